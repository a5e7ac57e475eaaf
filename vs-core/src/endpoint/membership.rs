//! What the membership service says, and how a process attaches to it.

use alloc::boxed::Box;

use super::events::AppEvent;
use super::{Cx, Endpoint};
use crate::config::Blocking;
use crate::ident::{Cid, ViewId};
use crate::member::DetachReason;
use crate::member::client::ClientEvent;
use crate::member::message::Peer;
use crate::member::past::Past;
use crate::seal::Secret;
use crate::trace::{Event, Mark};
use crate::view::{Members, View};

impl Endpoint {
    /// The membership service says something.
    pub(crate) fn handle_membership(&mut self, cx: &mut Cx<'_>, event: ClientEvent) {
        if !self.attachment.is_active() {
            return;
        }
        let Some(event) = self.defer(event) else { return };
        match event {
            ClientEvent::StartChange { cid, peers, .. } => {
                self.handle_start_change(cx, cid, &peers);
            }
            ClientEvent::Attached { .. } => {
                self.suspicions.handle_attached(cx.now);
                self.current.cast_mut().restart_detectors(cx.now);
                self.review_lease(cx.now, true);
            }
            ClientEvent::View { view, secret, .. } => self.handle_announced(cx, view, secret),
            ClientEvent::Profile { held, .. } => {
                if let Err(reason) = self.config.handle_profile(held, self.queue.longest()) {
                    self.end(cx, reason);
                }
            }
            ClientEvent::Detached { reason, .. } => self.handle_detached(cx, reason),
        }
        self.find_turn(cx);
        self.flush_queue(cx);
        self.try_leave(cx);
    }

    fn handle_start_change(&mut self, cx: &mut Cx<'_>, cid: Cid, peers: &[Peer]) {
        let set: Members = peers.iter().map(|peer| peer.process).collect();
        if self.sync.own_sync().is_some() {
            cx.mark(Mark::ChangeAfterSync);
        }
        self.handle_sync_void(cx);
        self.sync.start_change(cid, peers.iter().map(|peer| (peer.process, peer.incarnation)));
        self.trace(cx, Event::StartChange { cid, set: set.clone() });
        if set.len() > self.config.members_max {
            return self.end(cx, DetachReason::ViewTooLarge);
        }
        for peer in peers {
            if self.book.addr(peer.process).is_some_and(|addr| addr != peer.addr) {
                self.path.forget(self.sync.current(), Some(peer.process));
            }
        }
        self.book.handle_start_change(peers, self.sync.current().members(), cx.identity.process);
        self.seal_peers();
        self.progress.handle_start_change();
        self.resend.handle_start_change();
        self.reach.handle_start_change(cx.now);
        if self.sync.ask_to_block() {
            self.trace(cx, Event::Block);
            self.progress.handle_block(cx.now);
            match self.config.blocking {
                Blocking::Manual => self.events.push(AppEvent::Block),
                Blocking::Auto => return self.handle_blocked(cx),
            }
        }
        self.advance(cx);
    }

    fn handle_announced(&mut self, cx: &mut Cx<'_>, view: View, secret: Option<Secret>) {
        self.seal_announced(&view, secret.as_ref());
        self.sync.announce(view.clone());
        self.forget_seals();
        self.trace(cx, Event::MbrView { view: Box::new(view) });
        self.suspicions.handle_announced(cx.now);
        self.open_early(cx);
        self.advance(cx);
    }

    fn handle_detached(&mut self, cx: &mut Cx<'_>, reason: DetachReason) {
        self.suspicions.handle_detached();
        self.review_lease(cx.now, false);
        match reason {
            DetachReason::DuplicateId | DetachReason::IdClaimed { .. } => {
                cx.mark(Mark::DuplicateId);
            }
            DetachReason::ServerLost => cx.mark(Mark::ServerLost),
            DetachReason::Accused { .. } => cx.mark(Mark::Accused),
            _ => {}
        }
        if reason.is_final() {
            return self.end(cx, reason);
        }
        let is_server_lost = reason == DetachReason::ServerLost;
        // The application may be slow to listen; further detachments are no news to it then.
        self.events.push_if_room(AppEvent::Detached(reason));
        if is_server_lost {
            self.attach(cx);
        } else {
            self.attachment.handle_lost();
            self.reattach_when_caught_up(cx);
        }
    }

    /// This process is reached at another address from now on: other ways lead to the others.
    pub(crate) fn handle_new_address(&mut self) {
        self.path.forget(self.sync.current(), None);
        self.reach.handle_new_address();
    }

    /// Asks the membership service to take this process into the group.
    pub(super) fn attach(&mut self, cx: &mut Cx<'_>) {
        self.attachment.handle_requested();
        let announced = self.deferred.view().unwrap_or(self.sync.announced());
        let ids = self.highest_ids();
        let change = self.sync.change().map(|change| change.cid);
        let past = Past {
            last_cid: ids.cid(),
            last_view: ids.view(),
            pending: self.deferred.cid().or(change),
            mbr_view: (announced.id() != ViewId::default()).then(|| announced.clone()),
            profile: self.config.profile(),
            held: self.config.held().cloned(),
        };
        let members_max = self.config.members_max as u16; // at most VIEW_MEMBERS_MAX
        cx.membership.attach(cx.now, &self.name, members_max, past);
    }

    /// Whether to ask for a new attachment now. A process that was excluded for not answering waits
    /// until its application has taken what was waiting for it: sooner, it would be excluded again
    /// for the same reason.
    pub(super) fn may_reattach(&self) -> bool {
        self.attachment.is_lost() && !self.has_delivery()
    }

    pub(super) fn reattach_when_caught_up(&mut self, cx: &mut Cx<'_>) {
        if self.may_reattach() {
            self.attach(cx);
        }
    }
}
