//! Rules taken out, to show that the checker misses none of them.

/// A rule of the algorithm that is left out, in simulated worlds only: the checker has to notice each. A
/// [`crate::NodeConfig`] or a [`crate::member::ServerConfig`] carries it, under the feature `sim`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Point 1: the cut is what was delivered, not what was received gap-free.
    CutIsDelivered,
    /// Point 1: the application goes on sending in the old view after the sync message.
    NoBlocking,
    /// Point 5: a member's latest sync message counts, not the one that the view names.
    LatestSync,
    /// Point 7: packets are forwarded for senders that are not in the new view, instead of not in the transitional
    /// set.
    ForwardForLeaversOnly,
    /// Point 7: nothing is forwarded, neither pushed nor pulled.
    NoForwarding,
    /// Point 8: while a change runs, packets and repairs of the current view go only to members of the change's set.
    ReliableToChangeOnly,
    /// Point 10: at the installation of v the sync message that v itself names is thrown away, too.
    CollectOwnSync,
    /// Server, D1: a proposal that comes after the sender's earlier one was used is not answered.
    NoD1,
    /// Server, D2: a proposal that has consumed the pending one is not answered.
    NoD2,
    /// Server, D3: a slow proposal with a number that was passed is not answered.
    NoD3,
    /// Server: proposals do not carry the highest slow number seen.
    NoMaxN,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::CutIsDelivered,
        Self::NoBlocking,
        Self::LatestSync,
        Self::ForwardForLeaversOnly,
        Self::NoForwarding,
        Self::ReliableToChangeOnly,
        Self::CollectOwnSync,
        Self::NoD1,
        Self::NoD2,
        Self::NoD3,
        Self::NoMaxN,
    ];
}
