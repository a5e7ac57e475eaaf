//! Clients accuse others, here and at other servers, and who goes for it.

use alloc::vec::Vec;

use super::super::conn_id::ConnId;
use super::{Cx, Group, Send};
use crate::ident::{ProcessId, ServerId};
use crate::member::{Departure, DetachReason};

impl Group {
    /// A client accuses others; false if it is not attached over this connection.
    pub(in super::super) fn handle_client_accuse(
        &mut self,
        cx: &mut Cx<'_>,
        conn: ConnId,
        by: ProcessId,
        accused: Vec<ProcessId>,
    ) -> bool {
        let known = self.attachments.local_at(by, conn).is_some();
        if known {
            self.handle_accuse(cx, by, accused);
        }
        known
    }

    /// `server` tells whom `by` accuses; nothing if that is no client of it.
    pub(in super::super) fn handle_peer_accuse(
        &mut self,
        cx: &mut Cx<'_>,
        server: ServerId,
        by: ProcessId,
        accused: Vec<ProcessId>,
    ) {
        if self.attachments.is_client_of(server, by) {
            self.handle_accuse(cx, by, accused);
        } else {
            cx.counters.accusations_dropped += 1;
        }
    }

    /// `by` accuses `accused`, instead of whomever it accused before.
    fn handle_accuse(&mut self, cx: &mut Cx<'_>, by: ProcessId, accused: Vec<ProcessId>) {
        let is_reported = || self.agreement.report().iter().any(|client| client.process == by);
        let is_waited_with = self.regroup.is_some() && self.attachments.local(by).is_some();
        if is_waited_with || is_reported() {
            self.accusations.handle_accuse(cx.now, by, accused, cx.config);
        }
    }

    /// Excludes who is accused, once others have had the time to accuse, too.
    pub(super) fn judge(&mut self, cx: &mut Cx<'_>) {
        if self.regroup.is_some() {
            return self.accusations.postpone(cx.now, cx.config);
        }
        for (process, by) in self.accusations.judge(cx.now, self.agreement.report()) {
            self.accusations.handle_verdict(process);
            // Each server excludes its own clients, and hears of the others.
            let Some(local) = self.attachments.local(process).copied() else { continue };
            let pause_ms = self.accusations.exclude(cx.now, process, &by, cx.config);
            let reason = DetachReason::Accused { by };
            let reply = local.detached(self.name.clone(), reason.clone(), pause_ms);
            cx.sends.push(Send::Client(local.conn, reply));
            self.remove(cx, process, Departure::Told(reason));
        }
    }
}
