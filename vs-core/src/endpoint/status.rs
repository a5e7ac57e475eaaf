//! What an operator is told of a group.

use super::Endpoint;
use crate::ident::{ProcessId, Rank};
use crate::status::{Listed, MEMBERS_LISTED_MAX, MembershipStatus, StreamStatus};

impl Endpoint {
    pub(crate) fn status(&self) -> MembershipStatus {
        let (view, cast) = (self.view(), self.current.cast());
        let ranks = (0..).map(|rank: Rank| rank);
        let member = |(process, rank): (&ProcessId, Rank)| StreamStatus {
            process: *process,
            received: cast.prefix(rank),
            delivered: cast.delivered(rank),
            stable: cast.stable(rank),
            acked: cast.acked_by(rank),
            credit: cast.credit_of(rank),
            lag: cast.lag_of(rank),
        };
        let (window, outstanding) = cast.in_flight();
        MembershipStatus {
            name: self.name.clone(),
            view: view.id(),
            changing: self.is_changing(),
            members: Listed::new(view.members().iter().zip(ranks), MEMBERS_LISTED_MAX, member),
            window,
            outstanding,
            queued: self.queue.len(),
            unheard_by: Listed::new(self.unheard_by(), MEMBERS_LISTED_MAX, |process| *process),
            unicast_missing_from: Listed::new(
                self.unicast_missing_from(),
                MEMBERS_LISTED_MAX,
                |process| *process,
            ),
            counters: *self.cast_counters(),
        }
    }
}
