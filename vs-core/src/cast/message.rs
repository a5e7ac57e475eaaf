//! What the multicast of a view and its user hand to each other.

use serde::{Deserialize, Serialize};

use crate::ident::{GroupKey, Rank, ViewId};
use crate::view::View;
use crate::wire::datagram::Header;

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

    pub(super) fn header(&self) -> Header {
        Header { rank: self.rank, group: self.group, fingerprint: self.fingerprint }
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

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataOutcome {
    /// It is kept.
    New,
    /// It was here already, or is of no use any more.
    Duplicate,
    /// Outside of the window, or beyond the end of a closed stream.
    Beyond,
    /// The pool has no slot.
    NoSlot,
    /// Its body makes no sense.
    Malformed,
}

/// A message, lent until the next call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delivered<'a> {
    /// The sender.
    pub(crate) from: Rank,
    /// The sender's number of it, from 1. `None`: it is between members, and not the application's.
    pub(crate) number: Option<u64>,
    /// Whether its packet holds no further message.
    pub(crate) ends_packet: bool,
    /// Its bytes.
    pub(crate) payload: &'a [u8],
}

/// What was counted in one view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CastCounters {
    /// Own packets, at their first transmission.
    pub sent: u64,
    /// Own packets without messages: they say which packets of others come next.
    pub records: u64,
    /// Packets sent again because somebody asked.
    pub repaired: u64,
    /// Packets that were asked for and not sent again, because that had just been done.
    pub repairs_suppressed: u64,
    /// Packets that were asked for and not sent again, because their asker had used up what it may
    /// ask for.
    #[serde(default)]
    pub repairs_refused: u64,
    /// Packets of others handed on.
    pub forwarded: u64,
    /// Acknowledgements sent.
    pub acks: u64,
    /// Parts of acknowledgements that say more than can have been sent, and were dropped.
    #[serde(default)]
    pub false_acks: u64,
    /// Reports of gaps sent.
    pub naks: u64,
    /// Reports of gaps that were put off because others reported the same.
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
    /// Messages delivered to the application.
    pub delivered: u64,
    /// Messages between members that this member does not know: they were dropped.
    #[serde(default)]
    pub unknown: u64,
    /// Messages refused for want of window or credit.
    pub refused: u64,
}
