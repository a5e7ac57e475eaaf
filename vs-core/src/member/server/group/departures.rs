//! Who goes from a group, why, and who is told.

use alloc::vec::Vec;

use super::super::conn_id::ConnId;
use super::super::note::Note;
use super::{Cause, Cx, Group, Local, Send, tell_clients};
use crate::ident::{ProcessId, ServerId};
use crate::member::attached::Report;
use crate::member::{Departure, DetachReason};
use crate::view::VIEW_MEMBERS_MAX;

/// A silent client may attach again after so long, in ms: by then it has seen the end of the
/// connection over which it reads this.
const SILENT_RETRY_MS: u64 = 20;

impl Group {
    /// A client that is not attached is told why.
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

    /// The operator is told that a client of `server` is attached no more.
    pub(super) fn note_gone(
        &self,
        cx: &mut Cx<'_>,
        process: ProcessId,
        server: ServerId,
        why: Departure,
    ) {
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

    /// Components that come together may be too many for one view. Each server tells those of its
    /// clients that find no room.
    pub(super) fn turn_away(&mut self, cx: &mut Cx<'_>, left_over: &Report) {
        let here = left_over.iter().filter(|client| client.home == cx.me);
        let locals: Vec<Local> =
            here.filter_map(|client| self.attachments.detach(client.process)).collect();
        for local in &locals {
            self.expel(cx, local, DetachReason::ServerFull, cx.config.readmit_ms);
        }
        if !locals.is_empty() {
            tell_clients(cx);
        }
    }

    /// Who asks for an id that another connection has is told so. It gives up only if that is
    /// certain; else it asks again, the later the more often it was refused.
    pub(super) fn refuse_id(&mut self, cx: &mut Cx<'_>, local: &Local, reason: DetachReason) {
        let retry_ms = self.id_pause_ms(cx, local, &reason);
        self.refuse(cx, local, reason, retry_ms);
    }

    fn id_pause_ms(&mut self, cx: &Cx<'_>, local: &Local, reason: &DetachReason) -> u64 {
        let (process, first_ms) = (local.peer.process, cx.config.readmit_ms);
        if reason.is_final() { 0 } else { self.claimed.begin(cx.now, process, first_ms) }
    }

    /// Nobody waits any more over the connection of `local`. Nor does its process over one that it
    /// has left: if it has not, it is told so.
    pub(super) fn stop_waiting(&mut self, cx: &mut Cx<'_>, local: &Local) {
        for left in self.attachments.stop_waiting(local) {
            self.refuse_id(cx, &left, DetachReason::IdClaimed { at: cx.me });
        }
    }

    /// Another server has admitted a later incarnation under an id that somebody has here, or
    /// somebody who is here has moved there.
    pub(super) fn give_up_ids(&mut self, cx: &mut Cx<'_>, report: &Report) {
        let duplicates = self.attachments.take_duplicates(report);
        for (local, at) in &duplicates {
            let reason = DetachReason::IdClaimed { at: *at };
            let retry_ms = self.id_pause_ms(cx, local, &reason);
            self.expel(cx, local, reason, retry_ms);
        }
        if !duplicates.is_empty() {
            tell_clients(cx);
        }
    }

    /// A client leaves.
    pub(in super::super) fn handle_leave(
        &mut self,
        cx: &mut Cx<'_>,
        process: ProcessId,
        conn: ConnId,
    ) {
        self.end(cx, process, conn, Departure::Left);
    }

    /// The connection of a client ended.
    pub(in super::super) fn handle_disconnect(
        &mut self,
        cx: &mut Cx<'_>,
        process: ProcessId,
        conn: ConnId,
    ) {
        self.end(cx, process, conn, Departure::Ended);
    }

    /// A client gives no signs of life; its connection is about to be closed.
    pub(in super::super) fn handle_silence(
        &mut self,
        cx: &mut Cx<'_>,
        process: ProcessId,
        conn: ConnId,
    ) {
        if let Some(local) = self.attachments.local_at(process, conn) {
            let (group, reason) = (self.name.clone(), DetachReason::Silent);
            let reply = local.detached(group, reason.clone(), SILENT_RETRY_MS);
            cx.sends.push(Send::Client(conn, reply));
            self.end(cx, process, conn, Departure::Told(reason));
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>, process: ProcessId, conn: ConnId, why: Departure) {
        self.attachments.stop_waiting_at(conn);
        if self.attachments.local_at(process, conn).is_some() {
            self.remove(cx, process, why);
        }
    }

    /// A client is attached no more.
    pub(super) fn remove(&mut self, cx: &mut Cx<'_>, process: ProcessId, why: Departure) {
        self.attachments.detach(process);
        self.accusations.forget(process);
        self.note_gone(cx, process, cx.me, why.clone());
        cx.sends.push(Send::Gone(process, why));
        if !self.admit_heirs(cx) {
            tell_clients(cx);
            self.renotify(cx, Cause::Departure);
        }
    }

    /// Another server tells that a client of its own is attached no more, and why. It decides
    /// nothing.
    pub(in super::super) fn handle_gone(
        &self,
        cx: &mut Cx<'_>,
        server: ServerId,
        process: ProcessId,
        mut why: Departure,
    ) {
        if !self.attachments.is_client_of(server, process) {
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
}
