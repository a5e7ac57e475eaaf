//! What the replica of a process did ([`crate::replica`]), as lines of a trace.

use crate::ident::{ProcessId, ViewId};
use crate::order::Stage;

/// What the replica of a process did.
///
/// A *client* is one session of a process, by the random number that it opens it with. Places in
/// the order count what is delivered to the state over its whole life: [`Self::Open`],
/// [`Self::Apply`] and [`Self::Pass`] take one each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateEvent {
    /// A new state is made, at place 0: nobody had one.
    Create,
    /// An operator decided whose state counts in the current view. What only others had is lost.
    Recover {
        /// The process of the operator.
        from: ProcessId,
    },
    /// A snapshot of the own state is offered to a joiner. Several joiners may share one.
    Snapshot {
        /// The joiner.
        to: ProcessId,
        /// The place in the order that it has come to.
        at: u64,
        /// FNV-1a of its bytes.
        hash: u64,
    },
    /// The own state is the snapshot of a donor from here on.
    Restore {
        /// The donor.
        from: ProcessId,
        /// The place in the order that it has come to.
        at: u64,
        /// FNV-1a of its bytes.
        hash: u64,
    },
    /// The process has the state that counts in the current view, and takes part from here on.
    Settled,
    /// A view is served here: calls are answered from here on. That was known before its signal.
    /// What was delivered in it comes after this line, even if it is carried out when the next view
    /// is installed already.
    Serve {
        /// The id of the view.
        epoch: ViewId,
    },
    /// A session begins.
    Open {
        /// The session.
        client: u64,
        /// The place in the order.
        at: u64,
        /// How far the promise of the order reaches.
        stage: Stage,
    },
    /// An operation is carried out.
    Apply {
        /// The session.
        client: u64,
        /// The number of the operation in it.
        no: u64,
        /// The place in the order.
        at: u64,
        /// FNV-1a of the operation.
        hash: u64,
        /// How far the promise of the order reaches.
        stage: Stage,
    },
    /// An operation is not carried out: it was before, or its session is over.
    Pass {
        /// The session; 0 if it is not known.
        client: u64,
        /// The number of the operation in it.
        no: u64,
        /// The place in the order.
        at: u64,
        /// FNV-1a of the operation.
        hash: u64,
        /// How far the promise of the order reaches.
        stage: Stage,
    },
    /// A call or a read of this process goes to the group for the first time.
    Call {
        /// The session.
        client: u64,
        /// The number in it; calls and reads are numbered apart.
        no: u64,
        /// Which of the two.
        kind: CallKind,
        /// FNV-1a of the operation; of a read, of nothing.
        hash: u64,
    },
    /// It is answered.
    Reply {
        /// The session of the call.
        client: u64,
        /// The number of the call.
        no: u64,
        /// The kind of the call.
        kind: CallKind,
        /// What became of it.
        result: CallResult,
        /// FNV-1a of the answer; of nothing, if there is none.
        hash: u64,
    },
    /// The operation of a call was carried out, and its answer is asked of all who are members of
    /// the current view.
    Collect {
        /// The session.
        client: u64,
        /// The number of the call.
        no: u64,
        /// Replies that are wanted.
        want: u64,
    },
    /// One of these members has replied, or will not.
    Heard {
        /// The session.
        client: u64,
        /// The number of the call.
        no: u64,
        /// The member.
        from: ProcessId,
        /// What became of its reply.
        result: ReplyResult,
        /// FNV-1a of its answer; of nothing, if there is none.
        hash: u64,
    },
    /// No more replies are waited for.
    Collected {
        /// The session.
        client: u64,
        /// The number of the call.
        no: u64,
        /// Whether there are as many as were wanted.
        is_enough: bool,
    },
}

/// What became of the reply of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplyResult {
    /// It came.
    Ok,
    /// The member is none any more.
    Left,
    /// The member does not carry the operation out.
    Refused,
    /// It did not come in time.
    Timeout,
    /// It is longer than a message to one member may be.
    TooLarge,
}

impl ReplyResult {
    /// All.
    pub const ALL: [Self; 5] = [Self::Ok, Self::Left, Self::Refused, Self::Timeout, Self::TooLarge];

    /// Its name in a trace.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Left => "left",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
        }
    }
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// An operation.
    Call,
    /// A look at the state.
    Read,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallResult {
    /// It was carried out, once; or the state may be read.
    Ok,
    /// It was carried out once or never.
    Unknown,
    /// It was not carried out, and never will be.
    Refused,
}

impl CallKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Call, Self::Read];

    /// Its name in a trace.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Read => "read",
        }
    }
}

impl CallResult {
    /// All.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Unknown, Self::Refused];

    /// Its name in a trace.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
        }
    }
}
