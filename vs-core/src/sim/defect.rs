//! A fault in a run that the checker of traces cannot find.

use alloc::boxed::Box;
use core::fmt;

use crate::ident::{GroupName, ProcessId};
use crate::sim::site::Site;
use crate::spec::refine::Refuted;
use crate::time::{Time, Wake};

/// A fault in a run that the checker of traces cannot find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The next timeout was not later than `now` after `handle_timeout(now)` and a full drain.
    EndlessTimer {
        /// Where.
        site: Site,
        /// The reason of the wake-up, if it was a process.
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
    /// The application of a process sent without end in one instant.
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
    /// There were more events than a run can need.
    EventsMax {
        /// Their number.
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
