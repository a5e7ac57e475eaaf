//! Somebody on the network who has no key: sees all datagrams, keeps some, and sends what may do
//! harm.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::ident::{GroupKey, ViewId};
use crate::rng::Rng;
use crate::wire::datagram::{COUNTER_AT, Datagram, KEY_NONE, RANK_AT, TransmitCounter, finish};
use crate::wire::packet::{self, Heartbeat};
use crate::wire::reach::{self, REACH_BYTES, Reach, Word};

/// Datagrams that are kept to be sent again, the latest.
const KEPT_MAX: usize = 512;

/// Longest time before something is sent, in µs.
const LATER_US: u64 = 50_000;

/// The adversary of a world.
#[derive(Debug)]
pub(crate) struct Adversary {
    rng: Rng,
    permille: u64,
    /// To which host each went.
    kept: VecDeque<(usize, Rc<[u8]>)>,
    sent: u64,
}

/// What the adversary sends, and when.
#[derive(Debug)]
pub(crate) struct Harm {
    pub(crate) to: usize,
    pub(crate) bytes: Rc<[u8]>,
    pub(crate) later_us: u64,
}

impl Adversary {
    pub(crate) fn new(seed: u64, permille: u16) -> Self {
        let rng = Rng::new(seed ^ 0xadbe_ef00);
        Self { rng, permille: permille.into(), kept: VecDeque::new(), sent: 0 }
    }

    /// Datagrams that were sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// A datagram is on its way to the host `to`. The name of `group` is known, too.
    pub(crate) fn see(
        &mut self,
        to: usize,
        bytes: &Rc<[u8]>,
        group: Option<GroupKey>,
    ) -> Option<Harm> {
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back((to, Rc::clone(bytes)));
        if self.rng.below(1000) >= self.permille {
            return None;
        }
        let (to, bytes) = match self.rng.below(5) {
            0 => self.again(),
            1 => (to, self.changed(bytes)),
            2 => (to, self.cut(bytes)),
            3 => (to, self.in_place_of(bytes)),
            _ => (to, self.made_up(bytes, group)?),
        };
        self.sent += 1;
        Some(Harm { to, bytes, later_us: self.rng.below(LATER_US) })
    }

    /// Something that was sent before, to the same host or to another one.
    fn again(&mut self) -> (usize, Rc<[u8]>) {
        let at = |rng: &mut Rng, len: usize| rng.below(len as u64) as usize;
        let (old, other) = (at(&mut self.rng, self.kept.len()), at(&mut self.rng, self.kept.len()));
        let to = if self.rng.percent(50) { old } else { other };
        (self.kept[to].0, Rc::clone(&self.kept[old].1))
    }

    fn changed(&mut self, bytes: &[u8]) -> Rc<[u8]> {
        let mut bytes: Vec<u8> = bytes.into();
        let bit = self.rng.below(8 * bytes.len() as u64);
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        bytes.into()
    }

    fn cut(&mut self, bytes: &[u8]) -> Rc<[u8]> {
        bytes[..self.rng.below(bytes.len() as u64) as usize].into()
    }

    /// The same in the name of another member, or with another number.
    fn in_place_of(&mut self, bytes: &[u8]) -> Rc<[u8]> {
        let mut bytes: Vec<u8> = bytes.into();
        let number = COUNTER_AT + self.rng.below(8) as usize;
        let byte = if self.rng.percent(50) { RANK_AT } else { number };
        if let Some(byte) = bytes.get_mut(byte) {
            *byte = self.rng.below(8) as u8;
        }
        bytes.into()
    }

    /// Something in the clear: a heartbeat that tells of packets that nobody sent, or that somebody
    /// hears no multicasts.
    fn made_up(&mut self, bytes: &[u8], group: Option<GroupKey>) -> Option<Rc<[u8]>> {
        let mut copy: Vec<u8> = bytes.into();
        let datagram = Datagram::read(&mut copy).ok()?;
        let mut header = datagram.header();
        if datagram.key() != KEY_NONE {
            // A selector stands there, and no group has that name in the clear.
            header.group = group?;
        }
        let mut out = [0; packet::HEARTBEAT_BYTES + REACH_BYTES];
        let len = if self.rng.percent(50) {
            let highest = self.rng.below(1 << 20);
            let view = ViewId { major: 1, minor: 1 };
            let beat = Heartbeat { solicit: true, highest, stable: highest, view };
            packet::encode_heartbeat(&mut out, &header, &beat)?
        } else {
            let mut process = || crate::ident::ProcessId(1 + self.rng.below(8));
            let (process, target) = (process(), process());
            reach::encode(&mut out, &header, &Reach { process, target, word: Word::Unheard })?
        };
        let number = self.rng.below(1 << 20);
        finish(&mut out[..len], len, self.rng.percent(50), &mut TransmitCounter::after(number));
        Some(out[..len].into())
    }
}
