//! Reliable FIFO multicast inside one view.
//!
//! Members are ranks, packets are numbers from 1 in the stream of their sender. What [`Cast`] knows of views ends
//! here: the endpoint tells it which stream is needed up to where, and from whom ([`Cast::settle`]), and how far
//! delivery may go ([`Cast::deliver_next`]).
//!
//! - [`sender`]: packing, fragments, the room that receivers have;
//! - [`window`]: how many packets are best outstanding;
//! - [`receiver`]: what arrives, and delivery;
//! - [`stable`]: acknowledgements, credit, what everybody has;
//! - [`gap`]: what is missing of a stream, and what is learnt from that;
//! - [`repair`]: gaps are reported, reports answered, packets of others handed on;
//! - [`peers`]: who owes something for too long;
//! - [`transmit`]: what goes out next, derived from all of that.
//!
//! A place in a ring is freed only when its packet is stable (all members have it) and delivered here. Nothing
//! allocates after the first packets of a stream.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::config::GroupConfig;
use crate::ident::{GroupKey, Rank, Seq, ViewId};
use crate::pool::Pool;
use crate::rng::Rng;
use crate::time::{Time, Wake, earlier};
use crate::view::View;

mod gap;
mod peers;
mod receiver;
mod repair;
mod sender;
mod size;
mod stable;
mod transmit;
mod window;

#[cfg(test)]
mod tests;

pub(crate) use receiver::DataOutcome;
pub(crate) use size::CastSize;

/// What of the configuration matters here.
#[derive(Clone, Copy, Debug)]
struct Settings {
    window: usize,
    body_bytes: usize,
    message_bytes_max: usize,
    peer_ms: u64,
    nak_delay_us: u64,
    nak_delay_max_us: u64,
    nak_repeat_ms: u64,
    ack_ms: u64,
    ack_packets: u64,
    heartbeat_ms: u64,
    heartbeat_max_ms: u64,
}

/// A member of `ranks` acknowledges each so many packets: with more than three members the less often, so that all
/// together take the same part of the packets; but several times a window.
fn ack_packets(config: &GroupConfig, window: usize, ranks: usize) -> u64 {
    let seldom = config.ack_packets.saturating_mul(ranks.saturating_sub(1).div_ceil(2));
    config.ack_packets.max(seldom.min(window / 4)) as u64
}

/// What all packets of a view begin with, and heartbeats say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ViewHeader {
    /// The group.
    pub(crate) group: GroupKey,
    /// The fingerprint of the view.
    pub(crate) fingerprint: u64,
    /// Own rank in it.
    pub(crate) rank: Rank,
    /// Its id.
    pub(crate) id: ViewId,
}

impl ViewHeader {
    /// The header of packets of `view` from the member of rank `rank`.
    pub(crate) fn new(group: GroupKey, view: &View, rank: Rank) -> Self {
        Self { group, fingerprint: view.fingerprint(), rank, id: view.id() }
    }
}

/// Where datagrams go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CastDest {
    /// To all members of the view.
    Group,
    /// To one.
    Rank(Rank),
}

/// Datagrams that were written into the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CastTransmit {
    /// Where to.
    pub(crate) dest: CastDest,
    /// Bytes used.
    pub(crate) len: usize,
    /// Length of each datagram; the last may be shorter.
    pub(crate) segment_bytes: usize,
}

/// What was counted in one view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CastCounters {
    /// Own packets, at their first transmission.
    pub sent: u64,
    /// Packets sent again because somebody asked.
    pub repaired: u64,
    /// … not sent again because that had just been done.
    pub repairs_suppressed: u64,
    /// Packets of others handed on.
    pub forwarded: u64,
    /// Acknowledgements sent.
    pub acks: u64,
    /// Reports of gaps sent.
    pub naks: u64,
    /// … put off because others reported the same.
    pub naks_suppressed: u64,
    /// Heartbeats sent.
    pub heartbeats: u64,
    /// Packets that were new.
    pub received: u64,
    /// Packets that were here already.
    pub duplicates: u64,
    /// Packets outside of the window or beyond the end of a closed stream.
    pub beyond: u64,
    /// Packets for which the pool had no slot.
    pub no_slot: u64,
    /// Packets whose body made no sense.
    pub malformed: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages refused for want of window or credit.
    pub refused: u64,
}

/// The multicast of one member in one view.
#[derive(Debug)]
pub(crate) struct Cast {
    settings: Settings,
    me: Rank,
    frozen: bool,
    rng: Rng,
    streams: Vec<receiver::Stream>,
    /// Streams that have packets which are not known to be stable.
    unstable: usize,
    /// Streams that have messages which are not delivered.
    undelivered: usize,
    /// The rank whose turn it is in delivery.
    turn: Rank,
    /// The stream that the last delivered payload was lent from.
    lent: Option<Rank>,
    sender: sender::Sender,
    stability: stable::Stability,
    acks: stable::AckTimer,
    beats: transmit::Beats,
    repairs: repair::Repairs,
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
        let window = size.window_packets();
        let settings = Settings {
            window,
            body_bytes: size.body_bytes(),
            message_bytes_max: config.message_bytes_max,
            peer_ms: config.peer_ms,
            nak_delay_us: config.nak_delay_us,
            nak_delay_max_us: config.nak_delay_max_us,
            nak_repeat_ms: config.nak_repeat_ms,
            ack_ms: config.ack_ms.saturating_mul(stable::slowness(ranks)),
            ack_packets: ack_packets(config, window, ranks),
            heartbeat_ms: config.heartbeat_ms,
            heartbeat_max_ms: config.heartbeat_max_ms,
        };
        let stream = |rank| receiver::Stream::new(rank, window);
        Self {
            settings,
            me,
            frozen: false,
            rng: Rng::new(seed),
            streams: (0..ranks).map(|r| stream(r as Rank)).collect(),
            unstable: 0,
            undelivered: 0,
            turn: 0,
            lent: None,
            sender: sender::Sender::new(ranks, me, window, settings.ack_packets),
            stability: stable::Stability::new(ranks, me),
            acks: stable::AckTimer::default(),
            beats: transmit::Beats::new(now, config.heartbeat_ms),
            repairs: repair::Repairs::new(),
            peers: peers::Peers::new(ranks, now),
            counters: CastCounters::default(),
        }
    }

    /// Number of members.
    pub(crate) fn ranks(&self) -> usize {
        self.streams.len()
    }

    /// Own rank.
    #[cfg(test)]
    pub(crate) fn me(&self) -> Rank {
        self.me
    }

    /// What was counted.
    pub(crate) fn counters(&self) -> &CastCounters {
        &self.counters
    }

    /// The last message boundary of the gap-free prefix of `rank`'s stream; for the own rank: [`Cast::sealed`].
    pub(crate) fn prefix(&self, rank: Rank) -> Seq {
        self.stream(rank).map_or(0, |s| s.boundary)
    }

    /// Packets of `rank`'s stream that are fully delivered.
    pub(crate) fn delivered(&self, rank: Rank) -> Seq {
        self.stream(rank).map_or(0, |s| s.delivered)
    }

    /// The gap-free prefix of `rank`'s stream.
    pub(crate) fn arrived(&self, rank: Rank) -> Seq {
        self.stream(rank).map_or(0, |s| s.prefix)
    }

    /// Packets of `rank`'s stream that are delivered, in whole or in part.
    pub(crate) fn touched(&self, rank: Rank) -> Seq {
        self.stream(rank).map_or(0, receiver::Stream::touched)
    }

    /// Packets of `rank`'s stream that are given up: everybody has them, and they are delivered here.
    pub(crate) fn freed(&self, rank: Rank) -> Seq {
        self.stream(rank).map_or(0, |s| s.ring.base())
    }

    /// Messages accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.sender.messages()
    }

    /// Whether messages are in a packet that is not sealed.
    pub(crate) fn is_open(&self) -> bool {
        self.sender.open.is_some()
    }

    /// Up to where `rank`'s stream is known to be here at every member.
    pub(crate) fn stable(&self, rank: Rank) -> Seq {
        self.stream(rank).map_or(0, |s| s.stable)
    }

    /// Whether every member is known to have all that was accepted here.
    pub(crate) fn is_flushed(&self) -> bool {
        self.sender.open.is_none()
            && self.streams[usize::from(self.me)].stable == self.sender.sealed
    }

    /// Whether it is frozen.
    #[cfg(test)]
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Makes it the previous view's: nothing is accepted, delivered or acknowledged any more; own packets that were
    /// not transmitted yet still are, reports of gaps are answered and forwards done, since members that are still in
    /// the view may need them.
    pub(crate) fn freeze(&mut self, pool: &mut Pool) {
        self.seal(pool);
        self.frozen = true;
        self.acks = stable::AckTimer::default();
        self.repairs.next_nak = None;
    }

    /// Gives all slots back. Nothing can be done with it afterwards.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        self.frozen = true;
        self.repairs.clear();
        self.sender.transmitted = self.sender.sealed;
        if let Some(open) = self.sender.open.take() {
            pool.free(open.slot);
        }
        for stream in &mut self.streams {
            stream.wanted = repair::Wanted::default();
            for slot in stream.ring.drain() {
                pool.free(slot);
            }
        }
    }

    /// When [`Cast::handle_timeout`] and [`Cast::poll_transmit`] are to be called, and what for.
    pub(crate) fn poll_timeout(&self) -> Option<(Time, Wake)> {
        if self.frozen || self.ranks() == 1 {
            return None;
        }
        let nak = self.repairs.next_nak.map(|at| (at, Wake::Nak));
        let ack = self.acks.at.map(|at| (at, Wake::Ack));
        let beat = Some((self.next_beat(), Wake::Heartbeat));
        let peer = self.next_accusation().map(|at| (at, Wake::Peer));
        earlier(earlier(earlier(nak, ack), beat), peer)
    }

    /// Time has passed. What is due to be sent is found by [`Cast::poll_transmit`]; who is due to be accused, by
    /// [`Cast::owing`].
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.check_peers(now);
    }

    fn stream(&self, rank: Rank) -> Option<&receiver::Stream> {
        self.streams.get(usize::from(rank))
    }
}
