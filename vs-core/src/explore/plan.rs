//! The small worlds: who is there, and what happens from outside.

use crate::ident::{Incarnation, ProcessId, ServerId};
use crate::member::attached::{Attached, Attachment};
use crate::order::Order;
use crate::rule::Rule;

/// One incarnation of a process, and the number of its attachment, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) process: u64,
    pub(super) incarnation: u64,
    pub(super) count: u64,
}

const fn at(process: u64, incarnation: u64, count: u64) -> Client {
    Client { process, incarnation, count }
}

impl Client {
    pub(super) fn attachment(self) -> Attachment {
        Attachment { incarnation: Incarnation::new(self.incarnation), counter: self.count }
    }

    pub(super) fn attached(self, plan: &Plan) -> Attached {
        let process = ProcessId(self.process);
        Attached {
            process,
            attachment: self.attachment(),
            home: plan.home(process),
            members_max: 64,
            settled: None,
            profile: 0,
        }
    }
}

/// Something that happens from outside.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    /// The notification service of this server reports these clients.
    Report(u64, &'static [Client]),
    /// The process crashes.
    Crash(u64),
    /// The process starts again.
    Recover(u64),
    /// The connection of two servers breaks, with what was under way, and is up again.
    Break(u64, u64),
}

/// A small world.
#[derive(Debug)]
pub struct Plan {
    /// Its name.
    pub name: &'static str,
    /// A description in one sentence.
    pub about: &'static str,
    /// Whether it is explored within seconds.
    pub short: bool,
    /// Rules whose removal shows in it.
    pub shows: &'static [Rule],
    /// The order of the group.
    pub(super) order: Order,
    /// The server of each process.
    pub(super) homes: &'static [u64],
    /// How many messages each process may send.
    pub(super) messages: &'static [u8],
    /// The prelude: played one step after the other, each to its end.
    pub(super) prelude: &'static [Op],
    /// Steps that have just happened; nothing of them has arrived yet.
    pub(super) begun: &'static [Op],
    /// The tracks. Each is played in its order, at any time.
    pub(super) tracks: &'static [&'static [Op]],
    /// Servers wait for any time before they propose.
    pub(super) gather: bool,
    /// Applications take any time to stop sending.
    pub(super) manual: bool,
    /// Applications take any time to read.
    pub(super) lazy: bool,
    /// Members hear of each other that they have moved, and let go of what those need no more.
    pub(super) beats: bool,
    /// Processes do at once what they do by themselves, so that only the servers are explored.
    pub(super) clients_at_once: bool,
}

impl Plan {
    pub(super) fn home(&self, p: ProcessId) -> ServerId {
        ServerId(self.homes[p.0 as usize - 1])
    }
}

use Op::{Break, Crash, Recover, Report};
use Rule::{
    Blocking, CausalCut, CausalWait, CollectBelow, CutReceived, ExactSync, ForwardOutsideT,
    Forwarding, NoObsoleteView, OrderHole, OwnCut, ServerD1, ServerD2, ServerD3,
};

const ONE: &[Client] = &[at(1, 1, 1)];
const TWO: &[Client] = &[at(2, 1, 1)];
const THREE: &[Client] = &[at(3, 1, 1)];
const BOTH: &[Client] = &[at(1, 1, 1), at(2, 1, 1)];
const BOTH_AGAIN: &[Client] = &[at(1, 1, 1), at(2, 1, 2)];
const ALL: &[Client] = &[at(1, 1, 1), at(2, 1, 1), at(3, 1, 1)];
const FOUR: &[Client] = &[at(1, 1, 1), at(2, 1, 1), at(3, 1, 1), at(4, 1, 1)];
const REBORN: &[Client] = &[at(1, 1, 1), at(2, 2, 1)];
const LAST_REBORN: &[Client] = &[at(1, 1, 1), at(2, 1, 1), at(3, 2, 1)];

/// The default of each field.
const BASE: Plan = Plan {
    name: "",
    about: "",
    short: false,
    shows: &[],
    order: Order::Fifo,
    homes: &[1, 1],
    messages: &[1, 1],
    prelude: &[Report(1, BOTH)],
    begun: &[],
    tracks: &[],
    gather: true,
    manual: false,
    lazy: false,
    beats: false,
    clients_at_once: false,
};

/// 3 members of a view, of which 2 send and then crash.
const LAST_OF_THREE: Plan = Plan {
    homes: &[1, 1, 1],
    messages: &[1, 1, 0],
    prelude: &[Report(1, ALL)],
    tracks: &[&[Crash(1), Crash(2), Report(1, THREE)]],
    ..BASE
};

/// All small worlds.
pub const PLANS: &[Plan] = &[
    Plan {
        name: "change",
        about: "2 members of a view attach anew; 2 messages each, slow readers, slow to stop",
        short: true,
        shows: &[CutReceived, Blocking],
        messages: &[2, 2],
        tracks: &[&[Report(1, BOTH_AGAIN)]],
        manual: true,
        lazy: true,
        ..BASE
    },
    Plan {
        name: "changes",
        about: "2 members, 2 messages each; one is excluded and comes back in the middle of that",
        short: true,
        shows: &[NoObsoleteView, ExactSync],
        messages: &[2, 2],
        tracks: &[&[Report(1, ONE), Report(1, BOTH_AGAIN)]],
        ..BASE
    },
    Plan {
        name: "changes-slowly",
        about: "the same with slow readers, slow to stop, and members that hear of each other",
        messages: &[2, 1],
        tracks: &[&[Report(1, ONE), Report(1, BOTH_AGAIN)]],
        manual: true,
        lazy: true,
        beats: true,
        ..BASE
    },
    Plan {
        name: "three-slowly",
        about: "3 members of a view, of which one attaches anew; 2 messages, slow readers",
        homes: &[1, 1, 1],
        messages: &[1, 1, 0],
        prelude: &[Report(1, ALL)],
        tracks: &[&[Report(1, &[at(1, 1, 1), at(2, 1, 2), at(3, 1, 1)])]],
        lazy: true,
        ..BASE
    },
    Plan {
        name: "two-halves",
        about: "4 members of a view at 2 servers part into two halves: two changes at a time",
        homes: &[1, 1, 2, 2],
        messages: &[0, 0, 0, 0],
        prelude: &[
            Report(1, BOTH),
            Report(2, &[at(3, 1, 1), at(4, 1, 1)]),
            Report(1, FOUR),
            Report(2, FOUR),
        ],
        tracks: &[&[Report(1, BOTH)], &[Report(2, &[at(3, 1, 1), at(4, 1, 1)])]],
        gather: false,
        ..BASE
    },
    Plan {
        name: "outsider",
        about: "3 members; one is excluded, goes on, and says something that some hear",
        short: true,
        shows: &[OwnCut],
        homes: &[1, 1, 1],
        messages: &[0, 0, 1],
        prelude: &[Report(1, ALL)],
        tracks: &[&[Report(1, BOTH)]],
        ..BASE
    },
    Plan {
        name: "joiner",
        about: "3 processes, a message each; a member attaches anew, and in the middle of that another joins",
        messages: &[1, 1, 1],
        homes: &[1, 1, 1],
        tracks: &[&[Report(1, BOTH_AGAIN), Report(1, &[at(1, 1, 1), at(2, 1, 2), at(3, 1, 1)])]],
        ..BASE
    },
    Plan {
        name: "reborn",
        about: "2 members, 2 messages each; one crashes and is back, noticed before or only then",
        messages: &[2, 2],
        tracks: &[&[Crash(2), Recover(2)], &[Report(1, ONE), Report(1, REBORN)]],
        ..BASE
    },
    Plan {
        name: "last-words",
        about: "3 members; one says something and crashes, and some of it is lost to some",
        short: true,
        shows: &[Forwarding],
        homes: &[1, 1, 1],
        messages: &[0, 0, 2],
        prelude: &[Report(1, ALL)],
        tracks: &[&[Crash(3)], &[Report(1, BOTH)]],
        ..BASE
    },
    Plan {
        name: "last-words-reborn",
        about: "the same, and it is back before it was missed",
        short: true,
        shows: &[ForwardOutsideT],
        homes: &[1, 1, 1],
        messages: &[0, 0, 1],
        prelude: &[Report(1, ALL)],
        tracks: &[&[Crash(3), Recover(3)], &[Report(1, LAST_REBORN)]],
        ..BASE
    },
    Plan {
        name: "flap",
        about: "2 servers with a member each; one loses the other for a moment; a message each",
        short: true,
        homes: &[1, 2],
        prelude: &[Report(1, ONE), Report(2, BOTH), Report(1, BOTH)],
        tracks: &[&[Report(1, ONE), Report(1, BOTH)]],
        gather: false,
        ..BASE
    },
    Plan {
        name: "flaps",
        about: "2 servers with a member each lose one another and come together again; nothing is said",
        homes: &[1, 2],
        messages: &[0, 0],
        prelude: &[Report(1, ONE), Report(2, BOTH), Report(1, BOTH)],
        tracks: &[&[Report(1, ONE), Report(1, BOTH)], &[Report(2, TWO), Report(2, BOTH)]],
        gather: false,
        ..BASE
    },
    Plan {
        name: "shrink",
        about: "2 servers; one has decided when a member crashes, and the other keeps its local id",
        shows: &[CollectBelow],
        homes: &[1, 2, 1],
        messages: &[0, 0, 0],
        prelude: &[Report(1, BOTH), Report(2, BOTH)],
        tracks: &[
            &[Crash(3)],
            &[Report(1, ALL), Report(1, BOTH)],
            &[Report(2, ALL), Report(2, BOTH)],
        ],
        gather: false,
        ..BASE
    },
    Plan {
        name: "causal",
        about: "3 members of a causal view; 1 message each, which may answer others",
        short: true,
        shows: &[CausalWait],
        order: Order::Causal,
        homes: &[1, 1, 1],
        messages: &[1, 1, 1],
        prelude: &[Report(1, ALL)],
        ..BASE
    },
    Plan {
        name: "causal-loss",
        about: "3 members of a causal view, of which 2 crash; what one of them answered may be lost",
        short: true,
        shows: &[CausalCut],
        order: Order::Causal,
        ..LAST_OF_THREE
    },
    Plan {
        name: "total",
        about: "2 members of a view with one order for all attach anew; 2 messages and 1",
        short: true,
        order: Order::Total,
        messages: &[1, 2],
        tracks: &[&[Report(1, BOTH_AGAIN)]],
        ..BASE
    },
    Plan {
        name: "total-loss",
        about: "3 members of a view with one order for all, of which 2 crash, the leader among them",
        short: true,
        shows: &[OrderHole],
        order: Order::Total,
        ..LAST_OF_THREE
    },
    Plan {
        name: "servers",
        about: "2 servers flap twice; what clients do they do at once",
        short: true,
        shows: &[ServerD1],
        homes: &[1, 2],
        messages: &[0, 0],
        prelude: &[Report(1, ONE), Report(2, TWO)],
        tracks: &[
            &[Report(1, BOTH), Report(1, ONE), Report(1, BOTH)],
            &[Report(2, BOTH), Report(2, TWO), Report(2, BOTH)],
        ],
        gather: false,
        clients_at_once: true,
        ..BASE
    },
    Plan {
        name: "reconnect",
        about: "2 servers lose one another twice, and their connection breaks twice; what clients do they do at once",
        short: true,
        shows: &[ServerD2],
        messages: &[0, 0],
        homes: &[1, 2],
        prelude: &[Report(1, ONE), Report(2, TWO)],
        tracks: &[
            &[Report(1, BOTH), Report(1, ONE), Report(1, BOTH)],
            &[Report(2, BOTH), Report(2, TWO), Report(2, BOTH)],
            &[Break(1, 2), Break(1, 2)],
        ],
        gather: false,
        clients_at_once: true,
        ..BASE
    },
    Plan {
        name: "three-servers",
        about: "3 servers; one loses the others and finds them again; what clients do they do at once",
        shows: &[ServerD2],
        homes: &[1, 2, 3],
        messages: &[0, 0, 0],
        prelude: &[Report(1, ONE), Report(2, TWO), Report(3, THREE)],
        tracks: &[
            &[Report(1, ALL), Report(1, ONE), Report(1, ALL)],
            &[Report(2, ALL)],
            &[Report(3, ALL)],
        ],
        gather: false,
        clients_at_once: true,
        ..BASE
    },
    Plan {
        name: "three-servers-flap",
        about: "3 servers; two of them, in turn, lose the others and find them again; what clients do they do at once",
        shows: &[ServerD3],
        homes: &[1, 2, 3],
        messages: &[0, 0, 0],
        prelude: &[Report(1, ONE), Report(2, TWO), Report(3, THREE)],
        begun: &[Report(1, ALL), Report(2, ALL), Report(3, ALL), Report(2, TWO), Report(2, ALL)],
        tracks: &[&[Report(1, ONE), Report(1, ALL)]],
        gather: false,
        clients_at_once: true,
        ..BASE
    },
];
