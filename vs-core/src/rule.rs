//! Rules of the algorithm that a test can leave out, to see that the checker notices.
//!
//! Only a build with feature `mutants` can leave a rule out. In any other build, [`Rules`] has no
//! size and each question to it is a constant.

/// A rule of the algorithm. The figure is how many runs of a model broke without the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A cut counts what was received gap-free, not what was delivered (989 of 1000).
    CutReceived,
    /// The application stops sending before the sync message goes out (1000 of 1000).
    Blocking,
    /// After its sync message a process delivers nothing beyond its own cut until a view matches
    /// ([point 2](crate::manual::algorithm#point-2)).
    OwnCut,
    /// A view that does not answer the last start_change is never installed ([point
    /// 4](crate::manual::algorithm#point-4)).
    NoObsoleteView,
    /// The sync message of `q` that counts is the one tagged `view.start(q)`, never `q`'s latest
    /// (93 of 400).
    ExactSync,
    /// Packets are forwarded for members that are not in T, not just for those not in the view (8
    /// of 1000).
    ForwardOutsideT,
    /// Packets of members that do not come along are forwarded, or pulled (49 of 1000).
    Forwarding,
    /// The members of the old view are served until the view changes, also those not in the
    /// proposed set (129 of 1000).
    ReliableUnion,
    /// Only sync messages for cids below `view.start(q)` are garbage when `view` is installed (2 of
    /// 3000).
    CollectBelow,
    /// Server D1: a server that changed again after its proposal was used is answered in the slow
    /// mode (55 of 1000).
    ServerD1,
    /// Server D2: a server that has consumed a pending proposal is answered in the slow mode (a
    /// three-server deadlock).
    ServerD2,
    /// Server D3: a server that started a number which has been passed is answered in the slow mode
    /// (12 of 2000).
    ServerD3,
    /// Server: every proposal carries the highest number seen (18 of 1500).
    ServerMaxN,
    /// A view is primary with more than half of the configured processes, not with half of them.
    PrimaryMajority,
    /// A view is primary by the processes that are known to have installed it, not by its members.
    PrimaryInstalled,
    /// The sync message goes out as soon as a change is proposed, beside the round of the
    /// membership servers. Without it, it waits for the membership view, as it has to where a
    /// proposal needs an id that all share: safe, and a round later.
    ParallelSync,
    /// Of a sender that does not come along, what may follow from a message that nobody here has is
    /// left out at the end of an ordered view (87 of 3000).
    OrderHole,
    /// A packet follows from the slot of which its sender has delivered a part (1 of 10,000).
    OrderAfterPart,
    /// From its sync message on a member of a safe group acknowledges at most its own cut (14 of
    /// 5000).
    OrderAckCap,
    /// From its sync message on a member of a safe group delivers nothing that was not known to be
    /// at all members by then, until the change is settled (211 of 2000).
    OrderFreeze,
    /// What one who comes along knew to be at all members, all who come along deliver as that (430
    /// of 2000).
    OrderSafeMax,
    /// The numbers of slots go on when another member takes the lead (115 of 6000).
    OrderSlotsGoOn,
    /// A member that takes the lead goes on with what the slots so far have put in order. It does
    /// not begin anew.
    OrderLeadFromSlots,
    /// In a causal group a message waits for those that its sender had delivered before it.
    CausalWait,
    /// At the end of a causal view, what follows from a message that nobody has who comes along is
    /// left out.
    CausalCut,
    /// In a group with clusters a view is installed once the sync messages of all of its members
    /// are here, also of those that come from another view.
    ClusterSyncs,
    /// A process that restarted has no vote on whose state counts until it has one again.
    ReplicaVotes,
    /// The sessions of all clients are part of a state that is handed over.
    ReplicaSessions,
    /// An operation is answered only if it was delivered before the signal.
    ReplicaRegular,
    /// What a view begins with is answered only if it was known before the signal that the view is
    /// served.
    ReplicaPromised,
    /// A read waits for a message of its own.
    ReplicaReadMark,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 31] = [
        Self::CutReceived,
        Self::Blocking,
        Self::OwnCut,
        Self::NoObsoleteView,
        Self::ExactSync,
        Self::ForwardOutsideT,
        Self::Forwarding,
        Self::ReliableUnion,
        Self::CollectBelow,
        Self::ServerD1,
        Self::ServerD2,
        Self::ServerD3,
        Self::ServerMaxN,
        Self::PrimaryMajority,
        Self::PrimaryInstalled,
        Self::ParallelSync,
        Self::OrderHole,
        Self::OrderAfterPart,
        Self::OrderAckCap,
        Self::OrderFreeze,
        Self::OrderSafeMax,
        Self::OrderSlotsGoOn,
        Self::OrderLeadFromSlots,
        Self::CausalWait,
        Self::CausalCut,
        Self::ClusterSyncs,
        Self::ReplicaVotes,
        Self::ReplicaSessions,
        Self::ReplicaRegular,
        Self::ReplicaPromised,
        Self::ReplicaReadMark,
    ];
}

/// The rules that are kept. The default keeps all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    #[cfg(feature = "mutants")]
    left_out: Option<Rule>,
}

impl Rules {
    /// All rules but `rule`. This is for tests: what keeps these rules is broken.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub const fn without(rule: Rule) -> Self {
        Self { left_out: Some(rule) }
    }

    /// The rule that is left out; always none without feature `mutants`.
    #[must_use]
    pub const fn left_out(self) -> Option<Rule> {
        #[cfg(feature = "mutants")]
        return self.left_out;
        #[cfg(not(feature = "mutants"))]
        return None;
    }

    /// Whether `rule` is kept.
    #[cfg(feature = "mutants")]
    pub(crate) fn keeps(self, rule: Rule) -> bool {
        self.left_out != Some(rule)
    }

    /// Whether `rule` is kept. It always is without feature `mutants`.
    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn keeps(self, _: Rule) -> bool {
        true
    }
}
