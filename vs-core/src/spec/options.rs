//! How to judge, and what is known about the run.

use alloc::vec::Vec;

use crate::ident::GroupName;
use crate::view::Members;

/// How to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// What is known about a run that settled before it ended; `None` leaves liveness out.
    pub stable: Option<Stability>,
    /// Most violations of one property that are listed; all are counted.
    pub violations_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { stable: None, violations_max: 20 }
    }
}

impl Options {
    /// Judges liveness, too.
    #[must_use]
    pub fn settled(stability: Stability) -> Self {
        Self { stable: Some(stability), ..Self::default() }
    }

    /// Sets [`Self::stable`].
    #[must_use]
    pub fn with_stable(mut self, stable: impl Into<Option<Stability>>) -> Self {
        self.stable = stable.into();
        self
    }

    /// Sets [`Self::violations_max`].
    #[must_use]
    pub fn with_violations_max(mut self, violations_max: usize) -> Self {
        self.violations_max = violations_max;
        self
    }
}

/// What is known about a run that settled: in each group the notification service told all of its
/// servers the same, nothing changed any more, and nothing was under way at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stability {
    /// The sets on which the groups settled. L1 is judged for each of them. A group may have
    /// several that are disjoint, if it stayed partitioned; whoever is in none of them did not
    /// survive. In a group without any, every process survived whose trace does not end in a leave
    /// or a crash.
    pub components: Vec<Component>,
}

/// Processes that were connected with each other, and nobody else, until the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The group.
    pub group: GroupName,
    /// The processes, ascending.
    pub members: Members,
}
