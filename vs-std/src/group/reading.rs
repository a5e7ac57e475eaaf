//! What happens when the application receives more slowly than others send.

use core::time::Duration;

/// What this process does in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Role {
    /// It sends and receives. What its application does not receive in time, senders wait for
    /// ([`SlowReader::Block`]), unless `slow_reader` says otherwise.
    #[default]
    Member,
    /// It only receives, and nobody ever waits for its application to do so: what it does not
    /// receive in time it skips ([`SlowReader::Skip`]), and is told how much that was. It is in the
    /// views as the others are, and a change of view waits for it as for them. A [`crate::Group`]
    /// does nothing while nobody calls it, so others wait for one that is not called; take a
    /// [`crate::SharedGroup`] if calls may be rare.
    Observer,
}

/// What happens while events wait that the application does not receive.
///
/// | | the other members | this process |
/// |---|---|---|
/// | `Block` | wait, for at most `peer_ms` at a time | is excluded then, and comes back |
/// | `Evict` | wait at most until it is out | leaves for good |
/// | `Skip` | never wait | misses messages |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SlowReader {
    /// Nothing more is taken from the node while `inbox_bytes` wait ([`crate::JoinOptions`]). Its
    /// rings fill, and the senders wait. If they wait for [`vs_core::GroupConfig::peer_ms`] without
    /// any progress, this process is excluded ([`vs_core::DetachReason::Accused`]). It comes back
    /// by itself once its inbox has room. So a reader that is slow for good slows all down for
    /// good.
    #[default]
    Block,
    /// The process leaves the group for good once too much has waited for too long. What waits can
    /// still be received; then come [`crate::Event::Gap`] for what was delivered meanwhile, and
    /// [`crate::Event::Detached`] with [`vs_core::DetachReason::SlowReader`]. It may join again.
    ///
    /// Only with [`crate::SharedGroup`]: a [`crate::Group`] does nothing while nobody calls it. Not
    /// with [`crate::Membership::External`], whose requests have to be received.
    Evict {
        /// Bytes of events that may wait, as `inbox_bytes` counts them. More than `inbox_bytes`
        /// never wait, so a larger value means `inbox_bytes`.
        lag_bytes: usize,
        /// How long that many may wait before the process leaves. The others notice as soon as the
        /// inbox and then a window are full, so give it less time than that takes.
        after: Duration,
    },
    /// The oldest messages are thrown away, until half of the inbox is free, whenever
    /// `inbox_bytes` are reached. The newest one stays. [`crate::Event::Gap`] stands in the place
    /// of the others. Of the views in a gap the last one stays, and of the events after it the last
    /// one of each kind. Signals go with the messages.
    ///
    /// Not with [`crate::Membership::External`], whose requests have to be received.
    ///
    /// To the group this process has delivered what was thrown away, and so its trace says.
    Skip,
}

impl Role {
    /// What holds if nothing is said.
    pub(crate) fn slow_reader(self) -> SlowReader {
        match self {
            Self::Member => SlowReader::Block,
            Self::Observer => SlowReader::Skip,
        }
    }
}
