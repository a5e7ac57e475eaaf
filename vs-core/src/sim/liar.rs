//! A member that lies: what it says to have received is changed on its way out. The node itself
//! does not know of it.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;

use crate::ident::{ProcessId, Seq};
use crate::rng::Rng;
use crate::wire::control::{self, SyncMessage};
use crate::wire::datagram::{Header, TransmitCounter, finish};
use crate::wire::packet::{self, Ack, AckEntry, Content};

/// More packets than anybody has room for.
const FAR: Seq = 1 << 30;

/// A lie that may be true is a few packets long.
const NEAR: Seq = 4;

/// Bytes by which a datagram grows with its numbers, at most.
const LONGER: usize = 16;

/// What changes the datagrams of one process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Liar {
    lies: u64,
}

impl Liar {
    /// Datagrams that were changed.
    pub(crate) fn lies(&self) -> u64 {
        self.lies
    }

    /// What goes out in the place of a datagram. One that is sealed stays as it is.
    pub(crate) fn said(&mut self, bytes: &[u8]) -> Rc<[u8]> {
        let mut copy: Vec<u8> = bytes.into();
        let Ok(packet) = packet::open(&mut copy) else { return bytes.into() };
        let mut out = vec![0; bytes.len() + LONGER];
        let len = match packet.content {
            Content::Sync(content) => control::decode_sync(content)
                .and_then(|message| false_sync(&mut out, &packet.header, message)),
            Content::Ack(ack) => false_ack(&mut out, &packet.header, ack),
            _ => None,
        };
        let Some(len) = len else { return bytes.into() };
        self.lies += 1;
        out.truncate(len);
        finish(&mut out, len, packet.to_group, &mut TransmitCounter::after(packet.counter - 1));
        out.into()
    }
}

/// A sync message with a lie that is the same whenever it is sent.
fn false_sync(out: &mut [u8], header: &Header, mut message: SyncMessage) -> Option<usize> {
    let SyncMessage { process: ProcessId(process), cid, .. } = message;
    let mut rng = Rng::new(cid.0 ^ process << 32);
    let mut cut: Vec<Seq> = message.cut().collect();
    let own = usize::from(header.rank).checked_sub(usize::from(message.first))?;
    let other = rng.below(cut.len() as u64 + 1) as usize;
    let (at, more) = match rng.below(4) {
        0 => (own, 1 + rng.below(NEAR)),
        1 => (other, FAR),
        2 => (other, 1 + rng.below(NEAR)),
        _ => return None,
    };
    *cut.get_mut(at)? += more;
    message.runs = cut.into_iter().map(|seq| (1, seq)).collect();
    control::encode_sync(out, header, &message, |_| None)
}

/// An acknowledgement of packets that nobody has sent, and of room that nobody has.
fn false_ack(out: &mut [u8], header: &Header, ack: Ack<'_>) -> Option<usize> {
    let false_entry = |(at, entry): (usize, AckEntry)| match at % 2 {
        0 => AckEntry { received: entry.received + FAR, ..entry },
        _ => AckEntry { received: entry.received + NEAR, credit: entry.credit + NEAR },
    };
    packet::encode_ack(out, header, ack.first, ack.entries().enumerate().map(false_entry))
}
