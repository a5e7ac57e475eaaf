//! What is under way between end-points.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::ident::{Cid, ProcessId, Seq};
use crate::view::ViewKey;
use crate::view::{Members, View};

/// The trailer of a packet.
pub(super) type Trailer = SmallVec<[u8; 16]>;

/// What a process has sent in a view; the network holds it until it has arrived or is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Stream {
    /// Each message by its number among all that its sender ever sent.
    /// 0 is a packet without a message.
    pub(super) said: SmallVec<[u8; 4]>,
    /// The trailer of each, in groups of an order other than FIFO.
    pub(super) trailers: Vec<Trailer>,
    /// The processes to which the rest is lost.
    pub(super) lost_to: Members,
}

/// A sync message.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct SyncMessage {
    /// The incarnation of its sender.
    pub(super) incarnation: u64,
    pub(super) view: ViewKey,
    pub(super) cut: SmallVec<[Seq; 4]>,
}

/// A packet that is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Handed {
    pub(super) to: ProcessId,
    pub(super) origin: ProcessId,
    pub(super) seq: Seq,
    pub(super) by: ProcessId,
    /// The incarnation of the process that hands it on.
    pub(super) incarnation: u64,
}

/// Sync messages and packets arrive in any order, each stream without gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Net {
    pub(super) streams: BTreeMap<(ProcessId, View), Stream>,
    /// By receiver, sender and cid.
    pub(super) syncs: BTreeMap<(ProcessId, ProcessId, Cid), Rc<SyncMessage>>,
    pub(super) handed: BTreeSet<Handed>,
}

impl Net {
    /// How much `origin` has sent in `view`, and whether the rest is lost to `to`.
    pub(super) fn sent(&self, origin: ProcessId, view: &View, to: ProcessId) -> (Seq, bool) {
        let stream = self.streams.get(&(origin, view.clone()));
        stream.map_or((0, false), |s| (s.said.len() as Seq, s.lost_to.contains(&to)))
    }

    /// How many messages are in the first `seq` packets of `origin` in `view`.
    pub(super) fn messages(&self, origin: ProcessId, view: &View, seq: Seq) -> u64 {
        let stream = self.streams.get(&(origin, view.clone()));
        let said = stream.into_iter().flat_map(|stream| &stream.said).zip(1..=seq);
        said.filter(|(k, _)| **k != 0).count() as u64
    }

    /// The message that `origin` sent as packet `seq` in `view`.
    pub(super) fn said(&self, origin: ProcessId, view: &View, seq: Seq) -> Option<u8> {
        let at = usize::try_from(seq).ok()?.checked_sub(1)?;
        self.streams.get(&(origin, view.clone()))?.said.get(at).copied()
    }

    /// Drops everything that is under way to `to`.
    pub(super) fn drop_for(&mut self, to: ProcessId) {
        self.syncs.retain(|(receiver, ..), _| *receiver != to);
        self.handed.retain(|handed| handed.to != to);
    }

    /// Drops forwarded packets to `to`, which has left their view.
    pub(super) fn drop_handed(&mut self, to: ProcessId) {
        self.handed.retain(|handed| handed.to != to);
    }
}
