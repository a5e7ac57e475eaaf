//! The properties by name.

use core::fmt;

macro_rules! properties {
    ($($name:ident: $statement:literal,)*) => {
        /// A property that the checker judges, by its name in the specification.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Property {
            $(#[doc = $statement] $name,)*
        }

        impl Property {
            /// All properties that are judged, in the order of the specification.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name, as `S8`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The demand, in one line.
            #[must_use]
            pub fn statement(self) -> &'static str {
                match self {
                    $(Self::$name => $statement,)*
                }
            }
        }
    };
}

properties! {
    M1: "a process is in the set of each start_change and of each view that the membership service gives to it",
    M2: "local ids given to a process strictly increase, across recoveries",
    M3: "the members of a view are within the set of the last start_change",
    M4: "a view carries at a process the local id last given to that process",
    M5: "each view has its own start_change before it, in the same incarnation",
    M6: "ids of the views given to a process strictly increase, across recoveries",
    S1: "Self Inclusion: a process installs only views that it is a member of",
    S2: "Local Monotonicity: ids of the views that a process installs strictly increase, across recoveries",
    S3: "Initial View Event: every send and delivery happens in some view, and is numbered in it",
    S4: "Primary Component: primary views form one sequence, of neighbours a process installed both and no primary between",
    S5: "Delivery Integrity: what is delivered was sent, byte for byte, by the stated sender",
    S6: "No Duplication: no message is delivered twice",
    S7: "Sending View Delivery: a message is delivered in the view in which it was sent",
    S8: "Virtual Synchrony: who goes from one view directly to the next together delivered the same messages",
    S9: "Transitional Set: it is within the members of both the old and the new view",
    S10: "Transitional Set: a member of the new view is in it if and only if it came from the same view",
    S12: "FIFO: messages of one sender are delivered in the order in which they were sent",
    S13: "Reliable FIFO: what is delivered from a sender in a view is a prefix of what it sent in the view",
    S14: "Self Delivery: a process delivers all that it sent in a view before it installs the next",
    S21: "Block contract: block only when unblocked, sync only after block_ok, no send from block_ok to the view",
    S23: "No obsolete view: a process installs a view only if no later start_change had reached it",
    S24: "Announced: a process installs only a view announced to it, after a start_change, in the same incarnation",
    T1: "Total order: of the regular deliveries of two members of a view, one is a prefix of the other",
    T2: "Total order: who goes from one view to the next together delivered one sequence, with the signal at one place",
    T3: "Causal order: what a sender had delivered before it sent is delivered before",
    T4: "Safe delivery: what is regular at a member is delivered by each member of the view that goes on",
    T5: "Safe order: what is regular at a member has the same sequence before it at each that goes on",
    T6: "Transitional signal: once a view, with the transitional set of the next; nothing regular after it",
    T7: "Clusters: all who install a view are told the same; two are in one if and only if they came from one view",
    T8: "State transfer: a restored state is the donor's at the named place; all who are served apply one sequence",
    T9: "Group calls: as many replies as are wanted, or of each member that is missing the reason",
    T10: "Exactly once: what is answered is applied once in every later served view, and calls and reads are linearizable",
    L1: "Membership Precision: all who stay install one last view with exactly them as members",
    L2: "Multicast Liveness: what is sent in the last view is delivered by all of its members",
    L3: "Self Delivery: a sender that does not crash delivers its own messages",
    L4: "Safe Liveness: in a safe group, what is sent in the last view is delivered as regular by all of its members",
    L5: "a view that is the last word of the membership service to all of its members is installed by each",
    L7: "Settling: if the state of the last view is at one of its members, it comes to each",
}

impl Property {
    /// The property called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|property| property.name() == name)
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
