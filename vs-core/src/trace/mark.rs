//! Rare situations, by name: a simulated world in which one never occurs proves nothing about it.

macro_rules! marks {
    ($($name:ident: $what:literal,)*) => {
        /// A rare situation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Mark {
            $(#[doc = $what] $name,)*
        }

        impl Mark {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// A short description.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$name => $what,)*
                }
            }
        }
    };
}

marks! {
    ObsoleteView: "an obsolete view is skipped",
    SlowMode: "servers agree in the slow mode",
    PushForward: "a packet is pushed to a member of T that lacks it",
    PullForward: "a member is asked for packets of another",
    CutInMessage: "a cut falls inside a large message",
    LargeMessage: "a message of several packets is delivered",
    EarlyPacketKept: "a packet of a later view is kept",
    EarlyPacketDropped: "a packet of a later view is dropped for another",
    EarlySync: "a sync message comes before the change that it is for",
    SyncAskedFor: "a lost sync message is asked for and sent",
    ChangeAfterSync: "another start_change comes after the own sync message",
    JoinInChange: "a process joins during a change",
    CrashAfterSync: "a process crashes between its sync message and the view",
    LeaveInChange: "a process leaves during a change",
    JoinerDies: "a process dies before its first view with others",
    SmallerT: "a member of both views is not in the transitional set",
    SendAtView: "a message is sent in the instant of a view",
    WindowFull: "a sender has to wait",
    NoRoom: "a packet finds no room in its ring or in the pool",
    PreviousServed: "a packet of the previous view is asked for and sent",
    Accused: "a member is excluded because others accuse it",
    ServerLost: "a process loses its membership server and attaches again",
    StaleSync: "a sync message of an earlier incarnation is refused",
    BlockTimeout: "an application that does not answer is detached",
    LargeView: "a view of 32 members or more",
    Merge: "two components of a group merge in one view",
    Unheard: "a member says that multicasts do not reach it",
    HeardAgain: "a member says that multicasts reach it beside copies",
    Primary: "a view becomes primary",
    Lapsed: "a view does not hold any more for a process that is cut off",
    LeadTaken: "the leader of an ordered view hands over to another member",
    LeftOut: "a causal view ends without messages that follow from a lost one",
    DuplicateId: "a second process under one id is refused",
}
