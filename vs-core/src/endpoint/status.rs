//! What an operator is told of a group.

use super::Endpoint;
use crate::ident::Rank;
use crate::status::{Listed, MEMBERS_LISTED_MAX, MembershipStatus, StreamStatus};

impl Endpoint {
    pub(crate) fn status(&self) -> MembershipStatus {
        let view = self.view();
        let ranks = (0..).map(|rank: Rank| rank);
        let members = view.members().iter().zip(ranks).map(|(process, rank)| StreamStatus {
            process: *process,
            received: self.cast.prefix(rank),
            delivered: self.cast.delivered(rank),
            stable: self.cast.stable(rank),
        });
        let (window, outstanding) = self.cast.in_flight();
        MembershipStatus {
            name: self.name.clone(),
            view: view.id(),
            changing: self.is_changing(),
            members: Listed::new(members, MEMBERS_LISTED_MAX),
            window,
            outstanding,
            queued: self.queue.len(),
            unheard_by: Listed::new(self.unheard_by().iter().copied(), MEMBERS_LISTED_MAX),
            counters: *self.cast_counters(),
        }
    }
}
