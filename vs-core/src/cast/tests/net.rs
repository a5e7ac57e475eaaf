//! Several casts joined by a seeded network that loses, delays, reorders and duplicates.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::super::*;
use crate::ident::{FNV_OFFSET, GroupKey, ViewId, fnv1a};
use crate::order::{Head, Offers, Order, Policy};
use crate::rule::Rules;
use crate::wire::body::{Audience, body_bytes};
use crate::wire::datagram::{KIND_AT, Kind, TransmitCounter, finish};
use crate::wire::packet::{Content, data_bytes, open};

pub(super) const BODY: usize = body_bytes(1472);

/// What the network does to datagrams.
#[derive(Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) loss_percent: u64,
    pub(super) duplicate_percent: u64,
    pub(super) delay_us: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) from: Rank,
    pub(super) number: u64,
    pub(super) hash: u64,
}

pub(super) struct Member {
    pub(super) cast: Cast,
    pub(super) pool: Pool,
    reassembly: Vec<u8>,
    pub(super) reads: bool,
    pub(super) mute: bool,
    cut: bool,
    pub(super) limits: Vec<Seq>,
    policy: Policy,
    pub(super) got: Vec<Got>,
    /// Messages between members that were taken.
    pub(super) internal: usize,
    pub(super) sent: Vec<u64>,
}

pub(super) struct Net {
    pub(super) now: Time,
    pub(super) members: Vec<Member>,
    pub(super) faults: Faults,
    rng: Rng,
    flying: BTreeMap<(Time, u64), (usize, Vec<u8>)>,
    launched: u64,
    /// Datagrams sent, by kind.
    pub(super) sent: BTreeMap<u8, u64>,
    /// What did not reach members that are cut off.
    pub(super) lost: Vec<Vec<u8>>,
    out: Vec<u8>,
    transmit_counter: TransmitCounter,
}

pub(super) fn config() -> GroupConfig {
    GroupConfig { message_bytes_max: 64 << 10, window_packets: Some(256), ..GroupConfig::default() }
}

/// What a member may deliver.
struct Deliverable<'a> {
    cast: &'a Cast,
    limits: &'a [Seq],
}

impl Offers for Deliverable<'_> {
    fn ranks(&self) -> usize {
        self.cast.ranks()
    }

    fn may_have_some(&self) -> bool {
        self.cast.may_deliver()
    }

    fn peek(&self, rank: Rank) -> Option<Head> {
        self.cast.peek(rank, *self.limits.get(usize::from(rank))?)
    }
}

fn header(cast: &Cast) -> ViewHeader {
    ViewHeader {
        group: GroupKey(5),
        fingerprint: 6,
        rank: cast.me(),
        id: ViewId { major: 7, minor: 1 },
    }
}

impl Net {
    pub(super) fn new(ranks: usize, config: &GroupConfig, faults: Faults, seed: u64) -> Self {
        Self::with_body(ranks, BODY, config, faults, seed)
    }

    pub(super) fn with_body(
        ranks: usize,
        body: usize,
        config: &GroupConfig,
        faults: Faults,
        seed: u64,
    ) -> Self {
        let size = CastSize::of(body, config.window_packets.unwrap_or(4096));
        let member = |rank: usize| Member {
            cast: Cast::new(config, size, ranks, rank as Rank, Time::ZERO, seed + rank as u64),
            pool: Pool::with_slots(ranks * size.window_packets(), body),
            reassembly: vec![0; config.message_bytes_max],
            reads: true,
            mute: false,
            cut: false,
            limits: vec![Seq::MAX; ranks],
            policy: Policy::new(Order::Fifo, ranks, Rules::default()),
            got: Vec::new(),
            internal: 0,
            sent: Vec::new(),
        };
        Self {
            now: Time::ZERO,
            members: (0..ranks).map(member).collect(),
            faults,
            rng: Rng::new(seed),
            flying: BTreeMap::new(),
            launched: 0,
            sent: BTreeMap::new(),
            lost: Vec::new(),
            out: vec![0; 65_507],
            transmit_counter: TransmitCounter::default(),
        }
    }

    /// An application's message of `len` bytes; false if it is refused.
    pub(super) fn send(&mut self, rank: usize, len: usize) -> bool {
        self.send_to(rank, len, Audience::Application)
    }

    /// A message of `len` bytes; false if it is refused.
    pub(super) fn send_to(&mut self, rank: usize, len: usize, audience: Audience) -> bool {
        let member = &mut self.members[rank];
        let possible = audience == Audience::Members || member.cast.can_accept(len);
        let mut payload = vec![self.launched as u8; len];
        payload.iter_mut().take(8).for_each(|byte| *byte = self.rng.next_u64() as u8);
        let result = member.cast.push(&mut member.pool, self.now, &payload, audience);
        if audience == Audience::Members {
            return result.is_ok();
        }
        assert_eq!(possible, result.is_ok(), "there are always slots enough");
        if let Ok(number) = result {
            member.sent.push(fnv1a(FNV_OFFSET, &payload));
            assert_eq!(number as usize, member.sent.len());
        }
        possible
    }

    /// Nothing reaches `rank` any more, or does again.
    pub(super) fn cut(&mut self, rank: usize, cut: bool) {
        self.members[rank].cut = cut;
    }

    fn launch(&mut self, to: usize, bytes: &[u8]) {
        if self.members[to].cut {
            self.lost.push(bytes.to_vec());
            return;
        }
        let copies = 1 + u64::from(self.rng.percent(self.faults.duplicate_percent));
        for _ in 0..copies {
            if !self.rng.percent(self.faults.loss_percent) {
                let delay = 20 + self.rng.below(self.faults.delay_us + 1);
                self.launched += 1;
                self.flying.insert((self.now.plus_us(delay), self.launched), (to, bytes.to_vec()));
            }
        }
    }

    /// Sends and delivers all that can be now.
    pub(super) fn drain(&mut self) {
        for from in 0..self.members.len() {
            self.drain_one(from);
        }
    }

    /// Sends and reads until there is nothing left to do: reading makes room that is acknowledged.
    pub(super) fn drain_one(&mut self, rank: usize) {
        let mut rounds = 0;
        while self.transmit(rank) | self.read(rank) {
            rounds += 1;
            assert!(rounds < 10_000, "it never ends");
        }
        let next = self.members[rank].cast.poll_timeout();
        assert!(next.is_none_or(|(at, _)| at > self.now), "{next:?}");
    }

    fn transmit(&mut self, from: usize) -> bool {
        let mut some = false;
        let mut out = core::mem::take(&mut self.out);
        loop {
            let member = &mut self.members[from];
            let view = header(&member.cast);
            let segments = 1 + self.rng.below(44) as usize;
            let sent =
                member.cast.poll_transmit(&mut member.pool, self.now, &view, &mut out, segments);
            let Some(transmit) = sent else { break };
            some = true;
            let mute = member.mute;
            assert!(transmit.len.div_ceil(transmit.segment_bytes) <= segments);
            let datagram_bytes = data_bytes(member.pool.body_bytes());
            assert!(transmit.segment_bytes <= datagram_bytes);
            let (to_group, counter) =
                (transmit.dest == CastDest::Group, &mut self.transmit_counter);
            finish(&mut out[..transmit.len], transmit.segment_bytes, to_group, counter);
            for bytes in out[..transmit.len].chunks(transmit.segment_bytes) {
                *self.sent.entry(bytes[KIND_AT]).or_default() += 1;
                for to in (0..self.members.len()).filter(|_| !mute) {
                    // Multicast comes back to its sender, too.
                    if matches!(transmit.dest, CastDest::Rank(r) if usize::from(r) != to) {
                        continue;
                    }
                    self.launch(to, bytes);
                }
            }
        }
        self.out = out;
        some
    }

    fn read(&mut self, rank: usize) -> bool {
        let member = &mut self.members[rank];
        let Member { cast, pool, reassembly, reads, limits, policy, got, internal, .. } = member;
        let before = got.len() + *internal;
        if !*reads {
            return false;
        }
        while let Some(rank) = policy.next(&Deliverable { cast, limits }) {
            let (limit, is_internal) = (limits[usize::from(rank)], cast.is_internal(rank));
            let Delivered { from, number, ends_packet, payload } =
                cast.take(pool, self.now, reassembly, rank, limit).expect("what was offered");
            assert_eq!((from, number.is_none()), (rank, is_internal));
            policy.handle_taken(rank, ends_packet);
            match number {
                Some(number) => got.push(Got { from, number, hash: fnv1a(FNV_OFFSET, payload) }),
                None => *internal += 1,
            }
        }
        cast.take_back(pool, self.now);
        got.len() + *internal > before
    }

    pub(super) fn receive(&mut self, to: usize, bytes: &[u8]) {
        let Member { cast, pool, .. } = &mut self.members[to];
        let mut bytes = bytes.to_vec();
        let packet = open(&mut bytes).expect("what a cast sends is well-formed");
        let from = packet.header.rank;
        match packet.content {
            Content::Data(data) => {
                cast.handle_data(pool, self.now, &data, packet.to_group);
            }
            Content::Ack(ack) => cast.handle_ack(pool, self.now, from, ack.first, ack.entries()),
            Content::Nak(nak) => {
                cast.handle_nak(self.now, from, nak.origin, nak.target, nak.ranges())
            }
            Content::Heartbeat(beat) => cast.handle_heartbeat(pool, self.now, from, beat),
            Content::Sync(_)
            | Content::SyncRequest(_)
            | Content::Reach(_)
            | Content::Path(_)
            | Content::Direct(_) => unreachable!(),
        }
    }

    /// Goes to the next event, at most to `end`. False if there is none before.
    pub(super) fn step(&mut self, end: Time) -> bool {
        self.drain();
        let wake = self.members.iter().filter_map(|m| m.cast.poll_timeout()).map(|(at, _)| at);
        let landing = self.flying.first_key_value().map(|(&(at, _), _)| at);
        let Some(next) = wake.chain(landing).min().filter(|&at| at <= end) else {
            self.now = end;
            return false;
        };
        assert!(next >= self.now);
        self.now = next;
        while let Some(entry) = self.flying.first_entry().filter(|e| e.key().0 <= self.now) {
            let (to, bytes) = entry.remove();
            self.receive(to, &bytes);
        }
        let now = self.now;
        self.members.iter_mut().for_each(|m| m.cast.handle_timeout(now));
        true
    }

    pub(super) fn run_ms(&mut self, ms: u64) {
        self.run_us(ms * 1000);
    }

    pub(super) fn run_us(&mut self, us: u64) {
        let end = self.now.plus_us(us);
        while self.step(end) {}
        self.drain();
    }

    /// Runs until `done` holds; panics if it takes longer than `ms`.
    pub(super) fn run_until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) {
        let end = self.now.plus_ms(ms);
        while !done(self) {
            assert!(self.step(end), "not done after {ms} ms");
        }
    }

    /// Whether `rank` got all that `from` sent.
    pub(super) fn has_all(&self, rank: usize, from: usize) -> bool {
        let got = self.members[rank].got.iter().filter(|g| usize::from(g.from) == from);
        got.count() == self.members[from].sent.len()
    }

    pub(super) fn all_have_all(&self) -> bool {
        let ranks = 0..self.members.len();
        ranks.clone().all(|to| ranks.clone().all(|from| self.has_all(to, from)))
    }

    /// What each got of each is what was sent, each message once and in order.
    pub(super) fn check_fifo(&self) {
        for member in &self.members {
            let mut next = vec![0; self.members.len()];
            for got in &member.got {
                let from = usize::from(got.from);
                assert_eq!(got.hash, self.members[from].sent[next[from]]);
                next[from] += 1;
                assert_eq!(got.number, next[from] as u64);
            }
        }
    }

    pub(super) fn count(&self, kind: Kind) -> u64 {
        self.sent.get(&(kind as u8)).copied().unwrap_or(0)
    }

    /// Ranks that `rank` accuses now.
    pub(super) fn accused_by(&self, rank: usize) -> Vec<Rank> {
        let mut ranks = Vec::new();
        self.members[rank].cast.owing(self.now, |r| ranks.push(r));
        ranks
    }

    pub(super) fn slots_used(&self) -> usize {
        self.members.iter().map(|m| m.pool.used()).sum()
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.rng.percent(percent)
    }

    /// A length from 1 to `max`, evenly over the orders of magnitude.
    pub(super) fn random_len(&mut self, max: usize) -> usize {
        let bits = self.rng.below(u64::from(max.ilog2()) + 1);
        let len = (1 << bits) + self.rng.below(1 << bits) as usize;
        len.min(max)
    }
}
