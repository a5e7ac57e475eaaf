//! Who goes from a group, why, and who is told.

use super::group::{Cause, Cx, Group, Local, Remote, Send};
use super::{ConnId, Departure, Note};
use crate::ident::{ProcessId, ServerId};
use crate::member::DetachReason;
use crate::view::VIEW_MEMBERS_MAX;

/// A silent client may attach again after so long, in ms: by then it has seen the end of the connection over which it
/// reads this.
const SILENT_RETRY_MS: u64 = 20;

impl Group {
    pub(super) fn refuse(
        &self,
        cx: &mut Cx<'_>,
        local: &Local,
        reason: DetachReason,
        retry_ms: u64,
    ) {
        self.note_gone(cx, local.peer.process, cx.me, Departure::Told(reason.clone()));
        let group = self.name.clone();
        cx.sends.push(Send::Client(local.conn, local.detached(group, reason, retry_ms)));
    }

    fn note_gone(&self, cx: &mut Cx<'_>, process: ProcessId, server: ServerId, why: Departure) {
        let group = self.name.clone();
        cx.notes.push(Note::Detached { group, process, server, why });
    }

    /// A client that was a member is refused, as [`Group::refuse`] does; peers hear of it, too.
    pub(super) fn expel(
        &self,
        cx: &mut Cx<'_>,
        local: &Local,
        reason: DetachReason,
        retry_ms: u64,
    ) {
        cx.sends.push(Send::Gone(local.peer.process, Departure::Told(reason.clone())));
        self.refuse(cx, local, reason, retry_ms);
    }

    /// A client leaves.
    pub(super) fn leave(&mut self, cx: &mut Cx<'_>, process: ProcessId, conn: ConnId) {
        self.end(cx, process, conn, Departure::Left);
    }

    /// The connection of a client ended.
    pub(super) fn disconnect(&mut self, cx: &mut Cx<'_>, process: ProcessId, conn: ConnId) {
        self.end(cx, process, conn, Departure::Ended);
    }

    /// A client gives no signs of life; its connection is about to be closed.
    pub(super) fn silence(&mut self, cx: &mut Cx<'_>, process: ProcessId, conn: ConnId) {
        let local = self.locals.get(&process).filter(|local| local.conn == conn);
        if let Some(local) = local {
            let (group, reason) = (self.name.clone(), DetachReason::Silent);
            let reply = local.detached(group, reason.clone(), SILENT_RETRY_MS);
            cx.sends.push(Send::Client(conn, reply));
            self.end(cx, process, conn, Departure::Told(reason));
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>, process: ProcessId, conn: ConnId, why: Departure) {
        self.waiting.retain(|w| w.local.conn != conn);
        if self.locals.get(&process).is_some_and(|local| local.conn == conn) {
            self.remove(cx, process, why);
        }
    }

    pub(super) fn remove(&mut self, cx: &mut Cx<'_>, process: ProcessId, why: Departure) {
        self.locals.remove(&process);
        self.accusations.remove(&process);
        self.note_gone(cx, process, cx.me, why.clone());
        cx.sends.push(Send::Gone(process, why));
        if !self.admit_heirs(cx) {
            self.tell_clients(cx);
            self.renotify(cx, Cause::Departure);
        }
    }

    /// Another server tells that a client of its own is attached no more, and why. It decides nothing.
    pub(super) fn hear_gone(
        &self,
        cx: &mut Cx<'_>,
        server: ServerId,
        process: ProcessId,
        mut why: Departure,
    ) {
        let clients = self.remotes.get(&server).map_or(&[][..], |remote| &remote.clients);
        if !clients.iter().any(|(client, _)| client.process == process) {
            return;
        }
        match &mut why {
            Departure::Told(DetachReason::Accused { by }) => by.truncate(VIEW_MEMBERS_MAX),
            // What a client says of its server; as long as it likes.
            Departure::Told(DetachReason::Contract(_)) => return,
            _ => {}
        }
        self.note_gone(cx, process, server, why);
    }

    /// The grace of the clients of `server` is over. Those that came over are attached elsewhere.
    pub(super) fn give_up_server(&mut self, cx: &mut Cx<'_>, server: ServerId) {
        let Some(remote) = self.remotes.remove(&server) else { return };
        self.forget_held(server);
        for (client, _) in remote.clients {
            let p = client.process;
            let elsewhere = |r: &Remote| r.clients.iter().any(|(c, _)| c.process == p);
            if !self.locals.contains_key(&p) && !self.remotes.values().any(elsewhere) {
                self.note_gone(cx, p, server, Departure::ServerLost);
            }
        }
    }
}
