//! What must never be seen in a run, apart from what the checker of traces finds.

use alloc::boxed::Box;
use core::fmt;

use crate::ident::{GroupName, ProcessId};
use crate::sim::site::Site;
use crate::spec::refine::Refuted;
use crate::time::{Time, Wake};

/// What must never be seen in a run, apart from what the checker of traces finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// After `handle_timeout(now)` and a full drain the next timeout was not after `now`.
    EndlessTimer {
        /// Where.
        site: Site,
        /// What for, if it was a process.
        wake: Option<Wake>,
        /// When.
        at: Time,
    },
    /// Polling did not come to an end.
    EndlessOutput {
        /// Where.
        site: Site,
        /// When.
        at: Time,
    },
    /// The application of a process sent again and again in one instant.
    EndlessSends {
        /// Of which process.
        process: ProcessId,
        /// When.
        at: Time,
    },
    /// A process took a step that the specification does not allow.
    Refuted {
        /// In which group.
        group: GroupName,
        /// The step.
        refuted: Box<Refuted>,
        /// When.
        at: Time,
    },
    /// An incarnation transmitted a datagram of a group whose counter is not above those before.
    RepeatedCounter {
        /// Of which process.
        process: ProcessId,
        /// The counter.
        counter: u64,
        /// When.
        at: Time,
    },
    /// More events than a run can need.
    EventsMax {
        /// How many there were.
        events: u64,
        /// When.
        at: Time,
    },
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndlessTimer { site, wake: Some(wake), at } => {
                write!(
                    f,
                    "{site}: the timer {wake:?} is due again right after it fired at {}",
                    at.0
                )
            }
            Self::EndlessTimer { site, wake: None, at } => {
                write!(f, "{site}: a timer is due again right after it fired at {}", at.0)
            }
            Self::EndlessOutput { site, at } => {
                write!(f, "{site}: polling did not come to an end at {}", at.0)
            }
            Self::EndlessSends { process, at } => {
                write!(f, "the application of {process} sends without end at {}", at.0)
            }
            Self::Refuted { group, refuted, at } => {
                write!(f, "not a step of the specification, group {group} at {}: {refuted}", at.0)
            }
            Self::RepeatedCounter { process, counter, at } => {
                write!(f, "{process} transmitted a second datagram {counter} at {}", at.0)
            }
            Self::EventsMax { events, at } => write!(f, "{events} events until {}", at.0),
        }
    }
}

impl core::error::Error for Defect {}
