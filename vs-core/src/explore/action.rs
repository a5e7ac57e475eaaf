//! The actions of a small world.

use core::fmt;

use crate::ident::{Cid, ProcessId, ServerId};

/// Something that can happen next in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The next step of a track of the plan: a report of the notification service, a crash, a
    /// recovery.
    Track(usize),
    /// What is under way from the first to the second is lost.
    Lose(ProcessId, ProcessId),
    /// The application sends a message.
    Send(ProcessId),
    /// The server has waited long enough for more to happen.
    Gathered(ServerId),
    /// The oldest proposal from the first server arrives at the second.
    Proposal(ServerId, ServerId),
    /// The next message of its server arrives.
    Served(ProcessId),
    /// The application has stopped sending.
    BlockOk(ProcessId),
    /// The next packet of the first arrives at the second.
    Packet(ProcessId, ProcessId),
    /// The second asks others for the packets of the first, up to the agreed one, and gets them.
    Pull(ProcessId, ProcessId),
    /// The next packet of the first that was handed on to the second arrives there.
    Handed(ProcessId, ProcessId),
    /// The sync message of `from` for `cid` arrives.
    Sync { from: ProcessId, cid: Cid, to: ProcessId },
    /// The sync message is missed, asked for and given.
    Ask { from: ProcessId, cid: Cid, to: ProcessId },
    /// The next message of the first is delivered to the application of the second.
    Deliver(ProcessId, ProcessId),
    /// The announced view is installed.
    Install(ProcessId),
    /// The second hears that the first is in its view, too.
    Beat(ProcessId, ProcessId),
}

impl Action {
    /// Whether the action happens by itself sooner or later: no fault, and no choice of an
    /// application or of the plan.
    pub(super) fn is_progress(self) -> bool {
        !matches!(self, Self::Track(_) | Self::Lose(..) | Self::Send(_))
    }

    /// Whether it happens at a process, not at a server.
    pub(super) fn is_of_client(self) -> bool {
        self.is_progress() && !matches!(self, Self::Gathered(_) | Self::Proposal(..))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Track(_) => f.write_str("something happens outside"),
            Self::Lose(from, to) => write!(f, "what is under way from {from} to {to} is lost"),
            Self::Send(p) => write!(f, "{p} sends a message"),
            Self::Gathered(server) => write!(f, "server {server} has gathered enough"),
            Self::Proposal(from, to) => {
                write!(f, "the proposal of server {from} arrives at server {to}")
            }
            Self::Served(p) => write!(f, "a message of the server arrives at {p}"),
            Self::BlockOk(p) => write!(f, "{p} has stopped sending"),
            Self::Packet(from, to) => write!(f, "the next packet of {from} arrives at {to}"),
            Self::Pull(origin, to) => {
                write!(f, "{to} asks others for the packets of {origin}, and gets them")
            }
            Self::Handed(origin, to) => {
                write!(f, "a packet of {origin} that was handed on arrives at {to}")
            }
            Self::Sync { from, cid, to } => {
                write!(f, "the sync message of {from} for {cid} arrives at {to}")
            }
            Self::Ask { from, cid, to } => {
                write!(f, "{to} asks for the sync message of {from} for {cid}, and gets it")
            }
            Self::Deliver(from, to) => write!(f, "{to} delivers the next message of {from}"),
            Self::Beat(from, to) => write!(f, "{to} hears that {from} is in its view"),
            Self::Install(p) => write!(f, "{p} installs the view"),
        }
    }
}
