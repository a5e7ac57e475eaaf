//! The state of an endpoint, copied for a tracer that checks it against a specification.

use alloc::vec::Vec;

use super::Event;
use crate::ident::{Cid, ProcessId, Seq};
use crate::view::{Members, View, ViewKey};

/// Whether an application may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BlockState {
    /// It may.
    #[default]
    Unblocked,
    /// It may, and was asked to stop.
    Requested,
    /// It has stopped, until the next view.
    Blocked,
}

/// A sync message that an endpoint has sent or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedSync {
    /// The sender.
    pub from: ProcessId,
    /// The sender's local id of the change.
    pub cid: Cid,
    /// The view that the sender was in.
    pub view: ViewKey,
    /// The cut, by rank in that view; `None` while parts of it are missing.
    pub cut: Option<Vec<Seq>>,
}

/// The state of an endpoint after a step. Lists of packet numbers are by rank in `current`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The process.
    pub process: ProcessId,
    /// The view that the process is in.
    pub current: View,
    /// The last view that the membership service announced.
    pub announced: View,
    /// The change under way: its local id, and who may be in the next view.
    pub change: Option<(Cid, Members)>,
    /// Whether the application may send.
    pub block: BlockState,
    /// The sync messages that are kept.
    pub syncs: Vec<ObservedSync>,
    /// Packets of each stream received without a gap; of the own stream: packets that can be sent.
    pub arrived: Vec<Seq>,
    /// The same up to the end of a message.
    pub received: Vec<Seq>,
    /// Packets of each stream of which a message is delivered.
    pub touched: Vec<Seq>,
    /// Packets of each stream of which all messages are delivered.
    pub delivered: Vec<Seq>,
    /// Packets of each stream that are no longer kept.
    pub freed: Vec<Seq>,
    /// Messages of the application that were accepted.
    pub sent: u64,
    /// Whether an accepted message is in no packet yet that could be sent.
    pub open: bool,
}

/// A step of an endpoint and where it leads: what [`crate::spec`] is told to judge it.
#[derive(Clone, Copy, Debug)]
pub struct ObservedStep<'a> {
    /// The process.
    pub process: ProcessId,
    /// What it did; none if something arrived.
    pub action: Option<&'a Event>,
    /// The state after it; none once an incarnation has ended.
    pub after: Option<&'a Observation>,
}
