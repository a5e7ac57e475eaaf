//! Reliable FIFO multicast inside one view.
//!
//! Members are ranks, packets are numbers from 1 in the stream of their sender. What [`Cast`] knows
//! of views ends here: the endpoint tells it which stream is needed up to where, and from whom
//! ([`Cast::settle`]), and how far delivery may go ([`Cast::peek`]). Whose message is delivered
//! next is decided by [`crate::order`].
//!
//! [`Cast`] composes values that know nothing of each other:
//!
//! - [`stream`]: the packets of one member that are here, and how far they are stable and
//!   delivered;
//! - [`gap`]: what is missing of a stream, when that is reported, and what is learnt from how it
//!   comes;
//! - [`repair`]: what others lack, and who may be asked for what is missing here;
//! - [`allowance`]: how much each member may ask to be sent again;
//! - [`sender`]: the packet that is being written; [`Sealer`]: what an order adds to it;
//! - [`room`] and [`window`]: how much may be sent;
//! - [`stability`]: what each member has of each stream;
//! - [`acks`], [`beats`]: when acknowledgements and heartbeats are due;
//! - [`peers`]: who owes something for too long.
//!
//! What it does with them: [`send`], [`receive`], [`transmit`], [`deliver`].
//!
//! A place in a ring is freed only when its packet is stable (all members have it) and delivered
//! here. Nothing allocates after the first packets of a stream.

use crate::config::GroupConfig;
use crate::ident::{Rank, Seq};
use crate::order::{SEALER_BYTES, Sealer};
use crate::pool::Pool;
use crate::ring::ENTRY_BYTES;
use crate::rng::Rng;
use crate::time::{Time, Wake, earlier};

mod acks;
mod allowance;
mod batch;
mod beats;
mod deliver;
mod gap;
mod message;
mod peers;
mod receive;
mod repair;
mod room;
mod send;
mod sender;
mod settings;
mod size;
mod stability;
mod stream;
mod streams;
mod transmit;
mod window;

#[cfg(test)]
mod tests;

pub use message::CastCounters;
pub(crate) use message::{CastDest, CastTransmit, DataOutcome, Delivered, ViewHeader};
pub(crate) use size::CastSize;

use settings::Settings;

/// The multicast of one member in one view.
#[derive(Debug)]
pub(crate) struct Cast {
    settings: Settings,
    me: Rank,
    frozen: bool,
    rng: Rng,
    streams: streams::Streams,
    /// A message between members is or was here: otherwise nobody looks for one.
    has_internal: bool,
    /// Acknowledgements end at the own cut.
    are_acks_bounded: bool,
    /// The stream that the last delivered payload was lent from.
    lent: Option<Rank>,
    sender: sender::Sender,
    /// Writes the trailers of own packets, in an ordered group.
    sealer: Option<Sealer>,
    room: room::Room,
    stability: stability::Stability,
    acks: acks::Acks,
    beats: beats::Beats,
    reports: repair::ReportTimer,
    repairs: repair::Repairs,
    allowances: allowance::Allowances,
    forwards: repair::Forwards,
    sources: repair::Sources,
    peers: peers::Peers,
    counters: CastCounters,
}

impl Cast {
    /// The multicast of rank `me` of `ranks`.
    pub(crate) fn new(
        config: &GroupConfig,
        size: CastSize,
        ranks: usize,
        me: Rank,
        now: Time,
        seed: u64,
    ) -> Self {
        let settings = Settings::new(config, size, ranks);
        let sealer = Sealer::new(config.order, ranks, me, settings.window());
        let records = sealer.as_ref().is_some_and(Sealer::leads);
        Self {
            me,
            frozen: false,
            rng: Rng::new(seed),
            streams: streams::Streams::new(ranks, &settings),
            has_internal: false,
            are_acks_bounded: false,
            lent: None,
            sender: sender::Sender::new(settings.body_bytes() - settings.trailer_bytes()),
            sealer,
            room: room::Room::new(ranks, me, &settings, records),
            stability: stability::Stability::new(ranks, me),
            acks: acks::Acks::default(),
            beats: beats::Beats::new(now, &settings),
            reports: repair::ReportTimer::default(),
            repairs: repair::Repairs::default(),
            allowances: allowance::Allowances::new(ranks),
            forwards: repair::Forwards::new(),
            sources: repair::Sources::new(ranks),
            peers: peers::Peers::new(ranks, settings.peer_ms(), now),
            counters: CastCounters::default(),
            settings,
        }
    }

    /// Bytes of a cast with `members` members, besides its slots: a stream with its ring, a row and
    /// a column of what was received, and what is known of a peer, for each member.
    pub(crate) fn footprint(size: CastSize, members: usize) -> usize {
        let ring = size.window_packets().saturating_mul(ENTRY_BYTES);
        let received = members.saturating_mul(stability::RECEIVED_BYTES);
        let rows = received.saturating_add(repair::SOURCE_BYTES);
        let member = size_of::<stream::Stream>()
            + stability::FLOOR_BYTES
            + peers::PEER_BYTES
            + window::ASKED_BYTES
            + allowance::ALLOWANCE_BYTES
            + if size.trailer_bytes() > 0 { SEALER_BYTES } else { 0 };
        let members = ring.saturating_add(rows).saturating_add(member).saturating_mul(members);
        members.saturating_add(size_of::<Self>() + repair::FORWARDS_BYTES)
    }

    /// Number of members.
    pub(crate) fn ranks(&self) -> usize {
        self.streams.ranks()
    }

    /// What was counted.
    pub(crate) fn counters(&self) -> &CastCounters {
        &self.counters
    }

    /// The last message boundary of the gap-free prefix of `rank`'s stream; for the own rank: what
    /// is sealed.
    pub(crate) fn prefix(&self, rank: Rank) -> Seq {
        self.streams.get(rank).map_or(0, |s| s.boundary())
    }

    /// The last packet of `rank`'s stream that can have been sent, as there was never room for
    /// more; of the own stream, that is sealed.
    pub(crate) fn room_of(&self, rank: Rank) -> Seq {
        if rank == self.me {
            return self.sender.sealed();
        }
        self.streams.get(rank).map_or(0, |s| s.room_end())
    }

    /// Packets of `rank`'s stream that are fully delivered.
    pub(crate) fn delivered(&self, rank: Rank) -> Seq {
        self.streams.get(rank).map_or(0, |s| s.delivered())
    }

    /// The gap-free prefix of `rank`'s stream.
    pub(crate) fn arrived(&self, rank: Rank) -> Seq {
        self.streams.get(rank).map_or(0, |s| s.prefix())
    }

    /// Packets of `rank`'s stream that are delivered, in whole or in part.
    pub(crate) fn touched(&self, rank: Rank) -> Seq {
        self.streams.get(rank).map_or(0, |s| s.touched())
    }

    /// Packets of `rank`'s stream that are given up: everybody has them, and they are delivered
    /// here.
    pub(crate) fn freed(&self, rank: Rank) -> Seq {
        self.streams.get(rank).map_or(0, |s| s.base())
    }

    /// Messages accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.sender.messages()
    }

    /// Whether messages are in a packet that is not sealed.
    pub(crate) fn is_open(&self) -> bool {
        self.sender.open().is_some()
    }

    /// Up to where `rank`'s stream is known to be here at every member.
    pub(crate) fn stable(&self, rank: Rank) -> Seq {
        self.streams.get(rank).map_or(0, |s| s.stable())
    }

    /// Whether every member is known to have all that was accepted here.
    pub(crate) fn is_flushed(&self) -> bool {
        self.sender.open().is_none() && self.streams.of(self.me).stable() == self.sender.sealed()
    }

    /// Makes it the previous view's: nothing is accepted, delivered or acknowledged any more; own
    /// packets that were not transmitted yet still are, reports of gaps are answered and forwards
    /// done, since members that are still in the view may need them.
    pub(crate) fn freeze(&mut self, pool: &mut Pool) {
        self.seal(pool);
        self.frozen = true;
        self.acks = acks::Acks::default();
        self.reports.set(None);
    }

    /// Gives all slots back. Nothing can be done with it afterwards.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        self.frozen = true;
        self.reports.set(None);
        self.repairs.clear();
        self.forwards.clear();
        self.sender.handle_transmitted(self.sender.sealed());
        if let Some(open) = self.sender.take_open() {
            pool.free(open.slot());
        }
        for stream in self.streams.iter_mut() {
            stream.clear().for_each(|slot| pool.free(slot));
        }
    }

    /// When [`Cast::handle_timeout`] and [`Cast::poll_transmit`] are to be called, and what for.
    pub(crate) fn poll_timeout(&self) -> Option<(Time, Wake)> {
        if self.frozen || self.ranks() == 1 {
            return None;
        }
        let nak = self.reports.at().map(|at| (at, Wake::Nak));
        let ack = self.acks.at().map(|at| (at, Wake::Ack));
        let beat = Some((self.next_beat(), Wake::Heartbeat));
        let peer = self.next_accusation().map(|at| (at, Wake::Peer));
        earlier(earlier(earlier(nak, ack), beat), peer)
    }

    /// Time has passed. What is due to be sent is found by [`Cast::poll_transmit`]; who is due to
    /// be accused, by [`Cast::owing`].
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if self.peers.must_check(now) {
            let ranks = 0..self.ranks() as Rank;
            let debts = ranks.filter_map(|rank| self.debt_since(rank));
            let checked = self.peers.check(now, debts);
            self.peers.handle_checked(checked);
        }
    }

    /// Acknowledges of each stream at most what `end` says, for a safe order: what a member says to
    /// have after its sync message may be lost with it to those who go on.
    pub(crate) fn bound_acks(&mut self, end: impl Fn(Rank) -> Seq) {
        self.are_acks_bounded = true;
        (0..).zip(self.streams.iter_mut()).for_each(|(rank, stream)| stream.set_ack_end(end(rank)));
    }

    /// Acknowledges all again.
    pub(crate) fn unbound_acks(&mut self, now: Time) {
        if core::mem::take(&mut self.are_acks_bounded) {
            self.streams.iter_mut().for_each(|stream| stream.set_ack_end(Seq::MAX));
            self.acks.wake_by(now);
        }
    }

    /// Tells in how many groups the node is: heartbeats of idle groups are rarer then.
    pub(crate) fn set_groups(&mut self, groups: usize) {
        self.beats.set_groups(groups);
    }

    /// Own packets that may be outstanding, and that are.
    pub(crate) fn in_flight(&self) -> (u64, u64) {
        let stable = self.streams.of(self.me).stable();
        (self.room.window_packets(), self.sender.sealed().saturating_sub(stable))
    }
}

/// What the own stream waits for.
impl Cast {
    /// The last own packet that the member of `rank` has said to have, without a gap.
    pub(crate) fn acked_by(&self, rank: Rank) -> Seq {
        self.stability.received(self.me, rank).min(self.sender.sealed())
    }

    /// The last own packet that the member of `rank` has room for; of the own rank that is what the
    /// own ring has room for.
    fn room_end_of(&self, rank: Rank) -> Seq {
        match rank == self.me {
            true => self.streams.of(self.me).room_end(),
            false => self.room.credit_of(rank),
        }
    }

    /// Packets of the own stream that the member of `rank` has room for, beyond those that are
    /// sealed.
    pub(crate) fn credit_of(&self, rank: Rank) -> u64 {
        self.room_end_of(rank).saturating_sub(self.sender.sealed())
    }

    /// Own packets that are sealed and that the member of `rank` has not given room back for: it
    /// lacks them, or has not delivered them, or does not know yet that all have them.
    pub(crate) fn lag_of(&self, rank: Rank) -> u64 {
        let window = self.settings.window() as u64;
        (window + self.sender.sealed()).saturating_sub(self.room_end_of(rank)).min(window)
    }

    /// Whether the member of `rank` keeps the window closed by not delivering.
    pub(crate) fn keeps_credit(&self, rank: Rank) -> bool {
        let own = self.streams.of(self.me);
        let is_closed = self.room_end_of(rank) <= self.sender.sealed();
        if rank == self.me {
            return is_closed && own.delivered() < own.stable();
        }
        // Who cannot free its ring since somebody else owes acknowledgements is not to blame.
        let fair = own.stable() + self.settings.window() as u64;
        self.owes_credit(rank) || is_closed && self.room.credit_of(rank) < fair
    }

    /// Whether the member of `rank` is among those whose acknowledgements the window waits for.
    pub(crate) fn keeps_window(&self, rank: Rank) -> bool {
        let (acked, stable) = (self.acked_by(rank), self.streams.of(self.me).stable());
        let lacks_some = acked < self.sender.sealed() && acked <= stable;
        rank != self.me && lacks_some && self.window_is_closed()
    }
}

/// Who owes something.
impl Cast {
    /// Calls `accuse` for each rank that has owed an acknowledgement, a repair or credit for
    /// `peer_ms` without any progress. To be called after [`Cast::handle_timeout`], which finds out
    /// whether there can be one.
    pub(crate) fn owing(&self, now: Time, mut accuse: impl FnMut(Rank)) {
        if self.frozen || !self.peers.is_due() {
            return;
        }
        for rank in 0..self.ranks() as Rank {
            let due = self.debt_since(rank).map(|since| since.plus_ms(self.settings.peer_ms()));
            if due.is_some_and(|due| due <= now) {
                accuse(rank);
            }
        }
    }

    /// When the next member can be due to be accused; part of [`Cast::poll_timeout`].
    pub(crate) fn next_accusation(&self) -> Option<Time> {
        if self.frozen { None } else { self.peers.at() }
    }

    /// Time has jumped: everybody gets `peer_ms` anew.
    pub(crate) fn restart_detectors(&mut self, now: Time) {
        self.peers.restart(now);
        self.streams.iter_mut().for_each(|stream| stream.restart_gap(now));
    }

    /// Since when `rank` owes something, if it does.
    fn debt_since(&self, rank: Rank) -> Option<Time> {
        if rank == self.me {
            return None;
        }
        let ack = self.acks_owed_since(rank);
        let credit = self.owes_credit(rank).then(|| self.peers.credit_since(rank));
        [ack, credit, self.repair_owed_since(rank)].into_iter().flatten().min()
    }

    /// Since when `rank` owes an acknowledgement, if it does.
    pub(crate) fn acks_owed_since(&self, rank: Rank) -> Option<Time> {
        // Others end theirs, too: nobody owes any meanwhile.
        let owes = !self.are_acks_bounded
            && self.stability.received(self.me, rank) < self.sender.transmitted();
        owes.then(|| self.peers.ack_since(rank))
    }

    /// Since when `rank` owes a repair, if it does: it is the source of a stream that has a gap.
    fn repair_owed_since(&self, rank: Rank) -> Option<Time> {
        let owed = |(origin, stream): (Rank, &stream::Stream)| {
            let gap = stream.gap();
            let asked =
                if gap.is_settled() { self.sources.has(origin, rank) } else { origin == rank };
            (asked && stream.has_gap()).then(|| gap.since())
        };
        self.streams.iter().filter_map(owed).min()
    }
}

/// What tests look at.
#[cfg(test)]
impl Cast {
    pub(crate) fn me(&self) -> Rank {
        self.me
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// The last sealed packet.
    pub(crate) fn sealed(&self) -> Seq {
        self.sender.sealed()
    }
}
