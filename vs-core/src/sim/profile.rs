//! What a scenario stresses.

use core::fmt;

/// What a scenario stresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Everything, with weights that the seed draws.
    #[default]
    Mixed,
    /// Many messages, applications that read rarely, kills.
    Busy,
    /// A slow membership round into which change after change falls.
    Cascade,
    /// Loss, and processes that recover before they are missed.
    QuickRecovery,
    /// Heavy loss and kills in the middle of a burst.
    Lossy,
    /// Three servers, and paths between them that fail and recover.
    Servers,
    /// Each seed has its own mix of faults, some of them bound to moments, and its own size:
    /// [`Scenario::random`](super::Scenario::random).
    Swarm,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Mixed,
        Self::Busy,
        Self::Cascade,
        Self::QuickRecovery,
        Self::Lossy,
        Self::Servers,
        Self::Swarm,
    ];

    /// The name by which [`Profile::from_name`] finds it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Busy => "busy",
            Self::Cascade => "cascade",
            Self::QuickRecovery => "quick-recovery",
            Self::Lossy => "lossy",
            Self::Servers => "servers",
            Self::Swarm => "swarm",
        }
    }

    /// The profile of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
