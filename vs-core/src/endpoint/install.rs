//! Installs a view.

use alloc::boxed::Box;

use super::events::AppEvent;
use super::installed::Installed;
use super::moved::Moved;
use super::primary::{self, Primary};
use super::{Action, Cx, Endpoint};
use crate::ident::{ProcessId, Rank};
use crate::sync;
use crate::trace::{Event, Mark, ToldCluster};
use crate::view::Members;

impl Endpoint {
    /// Installs the announced view: the multicast of the old view stays for those who still need
    /// it, early packets come in, waiting messages go out.
    pub(super) fn install<'a>(&'a mut self, cx: &mut Cx<'_>) -> Option<Action<'a>> {
        if self.has_rest() {
            cx.mark(Mark::LeftOut);
        }
        let sync::Installed { transitional, clusters, .. } = self.sync.install()?;
        self.clusters = clusters;
        let me = cx.identity.process;
        let view = self.sync.current().clone();
        let rank = view.rank(me)?;
        self.config.handle_view();
        let size = self.config.cast();
        let rules = self.sync.rules();
        let fresh = Installed::new(cx, &self.config, size, self.key, &view, rank, rules);
        let old = core::mem::replace(&mut self.current, fresh);
        let sizes =
            (size.least_datagram_bytes(self.config.message_bytes_max), size.datagram_bytes());
        self.path.handle_installed((old.view(), &view), &transitional, rank, sizes);
        self.current.cast_mut().set_datagram_bytes(self.path.usable());
        self.forget_false_cuts(cx);
        self.keep_previous(cx, old, &transitional);
        self.moved = Moved::new(&view, me, transitional);
        self.book.retain(view.members());
        self.seal_installed();
        let unsent_cid = self.resend.is_unsent().then(|| self.sync.previous_cid()).flatten();
        self.progress.handle_installed();
        self.resend.handle_installed(unsent_cid);
        if self.suspicions.handle_installed(cx.now) {
            cx.membership.accuse(cx.now, self.key, &[]);
        }
        self.reach.handle_installed(cx.now, &self.config, &view, rank, cx.groups);
        let transitional = self.moved.transitional().into();
        let told = self.clusters.as_ref().filter(|_| cx.tracer.enabled());
        let clusters = told.map(ToldCluster::all);
        self.trace(cx, Event::View { view: Box::new(view.clone()), transitional, clusters });
        let (primary, is_reached) = Primary::new(&self.config, self.sync.rules(), me, &view);
        self.primary = primary;
        self.lease.end();
        self.review_lease(cx.now, self.suspicions.is_attached());
        if is_reached {
            self.become_primary(cx);
        }
        cx.counters.views += 1;
        self.directs.clear();
        self.take_early(cx);
        self.flush_queue(cx);
        self.take_deferred(cx);
        self.find_turn(cx);
        self.try_leave(cx);
        Some(Action::View {
            group: self.key,
            view: self.sync.current(),
            transitional: self.moved.transitional(),
            quorum: primary::is_quorum(&self.config, self.sync.rules(), &view),
            clusters: self.clusters.as_ref(),
        })
    }

    /// Keeps the multicast of the view that was left while others of `transitional` may need its
    /// packets.
    fn keep_previous(&mut self, cx: &mut Cx<'_>, mut old: Installed, transitional: &Members) {
        if let Some(mut before) = self.previous.take() {
            before.clear(cx.pool);
        }
        if transitional.iter().any(|&p| p != cx.identity.process) {
            old.freeze(cx.pool);
            self.previous = Some(old);
        } else {
            old.clear(cx.pool);
        }
    }

    /// Early packets of the view that was just installed go into its rings; views of the others
    /// came to nothing.
    fn take_early(&mut self, cx: &mut Cx<'_>) {
        while let Some(early) = self.early.pop() {
            let is_of_view = early.fingerprint() == self.current.header().fingerprint;
            let (head, slot) = early.into_parts();
            if is_of_view {
                self.current.cast_mut().adopt(cx.pool, cx.now, &head, slot);
            } else {
                cx.pool.free(slot);
            }
        }
    }

    /// The member of `rank` has installed the current view, since it sent something in it. Once all
    /// of the transitional set have, the packets of the previous view are of no more use, and once
    /// all members have, nor is the own sync message that led here (rules
    /// [5.6](crate::manual::algorithm#rule-5-6), [5.9](crate::manual::algorithm#rule-5-9)).
    pub(super) fn handle_moved(&mut self, cx: &mut Cx<'_>, rank: Rank) {
        if self.moved.is_complete() {
            return;
        }
        let Some(member) = self.current.member(rank) else { return };
        if !self.moved.handle_sign(member) {
            return;
        }
        self.count_installed(cx, member);
        let is_needed = self.moved.needs_previous();
        if let Some(mut previous) = self.previous.take_if(|_| !is_needed) {
            previous.clear(cx.pool);
            self.forget_seals();
        }
        if self.moved.is_complete() {
            self.sync.forget_previous();
        }
    }

    fn count_installed(&mut self, cx: &mut Cx<'_>, p: ProcessId) {
        if self.primary.handle_installed(&self.config, p) {
            self.become_primary(cx);
        }
    }

    /// The current view is primary from here on (S4).
    fn become_primary(&mut self, cx: &mut Cx<'_>) {
        cx.mark(Mark::Primary);
        self.trace(cx, Event::Primary);
        self.events.push(AppEvent::Primary);
        self.lease.begin(cx.now, &self.config);
    }
}
