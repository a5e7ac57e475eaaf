//! What an operator sees of a group at one server.

use super::Group;
use crate::member::attached::Attached;
use crate::status::{GroupStatus, Listed, MEMBERS_LISTED_MAX, MemberStatus};

impl Group {
    /// What an operator is told.
    pub(in super::super) fn status(&self) -> GroupStatus {
        let member = |client: &Attached| MemberStatus {
            process: client.process,
            home: client.home,
            addr: self.attachments.addr(client),
        };
        let excluded = self.accusations.all_excluded();
        GroupStatus {
            name: self.name.clone(),
            changing: self.agreement.is_changing(),
            decided: self.decided,
            members: Listed::new(self.agreement.report(), MEMBERS_LISTED_MAX, member),
            waiting: self.attachments.waiting(),
            excluded: Listed::new(excluded, MEMBERS_LISTED_MAX, |process| process),
        }
    }
}
