//! Kinds of faults that a scenario brings about.

use crate::sim::profile::Profile;

macro_rules! faults {
    ($($name:ident: $what:literal,)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $(#[doc = $what] $name,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// A description in a few words.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$name => $what,)*
                }
            }
        }
    };
}

faults! {
    Kill: "a process is killed",
    QuickRecovery: "a process is killed and back before it is missed",
    PowerOff: "a host loses power",
    Pause: "a process is stopped for a while",
    SlowReader: "an application does not read for a while",
    OneWayCut: "a path is cut in one direction",
    ClientCut: "a process and a server are cut off from each other",
    Partition: "the network falls into parts",
    Flap: "the network falls into parts again and again",
    Storm: "all paths lose, copy and reorder",
    Leave: "a process leaves",
    Join: "a process joins in mid-change",
    ServerPause: "a server is stopped for a while",
    ServerCut: "two servers are cut off from each other",
    ServerKill: "a server is killed and started again",
    Stale: "a process is stopped until it was excluded",
    Isolate: "a process is cut off from everybody",
    LossyPath: "a path loses most in one direction",
    HerdRestart: "all processes die and come back at once",
    Churn: "processes die and come back without a pause",
    ClockJump: "a clock is set forward",
    AtMoment: "something happens at a moment of a view change",
    Impostor: "a second process starts under an id that is taken",
}

impl Fault {
    /// How often each kind occurs in a profile, relative to the others. A swarm draws its own
    /// weights.
    pub(crate) fn weights(profile: Profile) -> &'static [(Self, u64)] {
        use Fault::{
            ClientCut, Flap, Join, Kill, Leave, OneWayCut, Partition, Pause, PowerOff,
            QuickRecovery, ServerCut, ServerKill, ServerPause, SlowReader, Storm,
        };
        match profile {
            Profile::Mixed => &[
                (Kill, 4),
                (QuickRecovery, 2),
                (PowerOff, 1),
                (Pause, 2),
                (SlowReader, 2),
                (OneWayCut, 2),
                (ClientCut, 2),
                (Partition, 3),
                (Flap, 1),
                (Storm, 2),
                (Leave, 2),
                (Join, 3),
                (ServerPause, 1),
                (ServerCut, 2),
                (ServerKill, 2),
            ],
            Profile::Busy => &[(Kill, 3), (SlowReader, 5), (Join, 2), (Pause, 1), (Leave, 1)],
            Profile::Cascade => &[(Kill, 3), (QuickRecovery, 3), (Join, 4), (Leave, 2), (Flap, 1)],
            Profile::QuickRecovery => &[(QuickRecovery, 6), (Storm, 1), (Kill, 1), (Join, 1)],
            Profile::Swarm => &[],
            Profile::Lossy => &[(Kill, 4), (PowerOff, 1), (QuickRecovery, 2), (Join, 2)],
            Profile::Servers => &[
                (ServerCut, 6),
                (ServerPause, 2),
                (ServerKill, 2),
                (Partition, 2),
                (Kill, 3),
                (QuickRecovery, 3),
                (Join, 3),
                (Leave, 1),
                (ClientCut, 1),
            ],
        }
    }
}
