//! What an operator is told of a server.

use alloc::string::ToString;

use super::conn::Role;
use super::group::Group;
use super::{ConnId, Server};
use crate::member::attached::Attached;
use crate::status::{
    GROUPS_LISTED_MAX, GroupStatus, Listed, MEMBERS_LISTED_MAX, MemberStatus, PeerStatus,
    SERVERS_LISTED_MAX, ServerStatus, Status,
};

impl Server {
    /// What the server sees now. Takes time with what it lists, and counts the rest.
    #[must_use]
    pub fn status(&self) -> ServerStatus {
        let is_client = |role: &Role| matches!(role, Role::Client(_));
        let peer = |(server, connected)| PeerStatus {
            server,
            connected,
            shares_views: self.clique.contains(&server),
            left_out: self.left_out.get(&server).map(ToString::to_string),
        };
        let groups = self.groups.values().filter(|group| !group.is_idle());
        ServerStatus {
            server: self.id,
            boot_ms: self.boot,
            embeds: self.embeds,
            settled: self.is_settled(),
            connections: self.conns.len(),
            clients: self.conns.values().filter(|conn| is_client(&conn.role)).count(),
            counters: self.counters,
            peers: Listed::new(self.own_links.known(), SERVERS_LISTED_MAX, peer),
            dialled: Listed::new(&self.targets, SERVERS_LISTED_MAX, |(addr, t)| t.status(*addr)),
            groups: Listed::new(groups, GROUPS_LISTED_MAX, Group::status),
        }
    }

    /// Answers whoever asks for the status, and ends the connection: one answer costs more than the question.
    pub(super) fn answer_status(&mut self, conn: ConnId) {
        let is_time = self.answers.allows(self.now);
        let status = if is_time { Status::Server(self.status()) } else { Status::Busy };
        let Some(mut output) = self.drop_conn(conn) else { return };
        output.push(&status);
        self.closing.push_back((conn, Some(output)));
    }
}

impl Group {
    fn status(&self) -> GroupStatus {
        let member = |client: &Attached| MemberStatus {
            process: client.process,
            home: client.home,
            addr: self.addr(client),
        };
        GroupStatus {
            name: self.name.clone(),
            changing: self.moshe.is_changing(),
            decided: self.decided,
            members: Listed::new(self.moshe.report(), MEMBERS_LISTED_MAX, member),
            waiting: self.waiting.len(),
            excluded: Listed::new(self.excluded.keys(), MEMBERS_LISTED_MAX, |process| *process),
        }
    }
}
