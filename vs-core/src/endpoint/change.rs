//! The way from a start_change to an installed view.

use alloc::boxed::Box;
use alloc::vec::Vec;

use smallvec::SmallVec;

use super::early::EarlyPacket;
use super::output::Resend;
use super::{Action, AppEvent, Cx, EVENTS_MAX, Endpoint, Previous, Verdict};
use crate::cast::{Cast, DataOutcome, ViewHeader};
use crate::config::Blocking;
use crate::ident::{Cid, ProcessId, Rank, Seq};
use crate::member::DetachReason;
use crate::member::client::ClientEvent;
use crate::member::message::Peer;
use crate::sync::Heard;
use crate::time::{Time, Wake};
use crate::trace::{Event, Mark};
use crate::view::{Members, View};
use crate::wire::control::{self, SyncMessage, SyncRequest};
use crate::wire::packet::{Content, Data, Header, Packet};

impl Endpoint {
    /// What the membership service says.
    pub(crate) fn handle_membership(&mut self, cx: &mut Cx<'_>, event: ClientEvent) {
        if !self.is_active() {
            return;
        }
        match event {
            ClientEvent::StartChange { cid, peers, .. } => self.start_change(cx, cid, &peers),
            ClientEvent::Attached { .. } => self.watch_peers(cx),
            ClientEvent::View { view, .. } => self.announce(cx, view),
            ClientEvent::Detached { reason, .. } => self.detached(cx, reason),
        }
        self.flush_queue(cx);
        self.try_leave(cx);
    }

    fn start_change(&mut self, cx: &mut Cx<'_>, cid: Cid, peers: &[Peer]) {
        let set: Members = peers.iter().map(|peer| peer.process).collect();
        if self.sync.own_sync().is_some() {
            cx.tracer.mark(Mark::ChangeAfterSync);
        }
        self.sync.start_change(cid, peers.iter().map(|peer| (peer.process, peer.incarnation)));
        self.trace(cx, Event::StartChange { cid, set: set.clone() });
        if set.len() > self.config.members_max {
            return self.end(cx, DetachReason::ViewTooLarge);
        }
        self.book.announce(peers, self.sync.current().members(), cx.identity.process);
        self.forwarded = false;
        self.resend = Resend::default();
        self.hurry_reach(cx.now);
        if self.sync.ask_to_block() {
            self.trace(cx, Event::Block);
            self.block_asked = Some(cx.now);
            match self.config.blocking {
                Blocking::Manual => self.events.push_back(AppEvent::Block),
                Blocking::Auto => return self.blocked(cx),
            }
        }
        self.advance(cx);
    }

    /// The application has stopped sending: the open packet is sealed before the cut is computed (rule 5.7).
    pub(super) fn blocked(&mut self, cx: &mut Cx<'_>) {
        if self.sync.block_ok() {
            self.block_asked = None;
            self.trace(cx, Event::BlockOk);
            self.cast.seal(cx.pool);
            self.advance(cx);
        }
    }

    pub(super) fn block_timeout(&self) -> Option<(Time, Wake)> {
        Some((self.block_asked?.plus_ms(self.config.block_ok_ms), Wake::BlockOk))
    }

    pub(super) fn handle_block_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.block_timeout().is_some_and(|(at, _)| cx.now >= at) {
            self.block_asked = None;
            cx.tracer.mark(Mark::BlockTimeout);
            self.end(cx, DetachReason::BlockTimeout);
        }
    }

    fn announce(&mut self, cx: &mut Cx<'_>, view: View) {
        self.sync.announce(view.clone());
        self.trace(cx, Event::MbrView { view: Box::new(view) });
        self.suspicions.await_syncs(cx.now);
        self.advance(cx);
    }

    fn detached(&mut self, cx: &mut Cx<'_>, reason: DetachReason) {
        self.suspicions.suspend();
        if reason == DetachReason::DuplicateId {
            cx.tracer.mark(Mark::DuplicateId);
        }
        if reason.is_final() {
            return self.end(cx, reason);
        }
        let at_once = reason == DetachReason::ServerLost;
        match reason {
            DetachReason::ServerLost => cx.tracer.mark(Mark::ServerLost),
            DetachReason::Accused { .. } => cx.tracer.mark(Mark::Accused),
            _ => {}
        }
        // The application may be slow to listen: what it misses here is no news when the list is full.
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(AppEvent::Detached(reason));
        }
        if at_once {
            self.attach(cx);
        } else {
            self.reattach = true;
            self.reattach_when_caught_up(cx);
        }
    }

    /// A member that was excluded for not answering asks to come back once its application has taken what was waiting
    /// for it: sooner, it would be excluded again for the same reason.
    pub(super) fn reattach_when_caught_up(&mut self, cx: &mut Cx<'_>) {
        if self.reattach && !self.has_delivery() {
            self.attach(cx);
        }
    }

    pub(super) fn reattach_timeout(&self) -> Option<(Time, Wake)> {
        (self.reattach && !self.has_delivery()).then_some((Time::ZERO, Wake::Server))
    }

    /// Carries numbers between `sync` and `cast` after any change of what is known.
    pub(super) fn advance(&mut self, cx: &mut Cx<'_>) {
        if self.sync.wants_sync() {
            self.send_sync(cx);
        }
        self.limits = self.sync.limits().map(<[Seq]>::to_vec);
        if !self.sync.matched() {
            self.cast.unsettle(cx.now);
            return;
        }
        let complete = self.sync.complete();
        let together = self.sync.together();
        let mut sources = Vec::with_capacity(together.len());
        for (r, &upto) in self.sync.agreed().iter().enumerate() {
            let rank = r as Rank;
            let closed = complete && !self.sync.comes_along(self.sync.current().members()[r]);
            sources.clear();
            if upto > self.cast.prefix(rank) {
                sources.extend(self.sync.sources(rank, &together)); // of whom something is missing, not of all
            }
            self.cast.settle(cx.now, rank, upto, &sources, closed);
        }
        if complete && !core::mem::replace(&mut self.forwarded, true) {
            self.forward(cx);
        }
    }

    /// The sync message of `q` counts. Until it is the last one, only what it adds is looked at: a large view has as
    /// many of them as members, and each of those a stream.
    fn take_sync(&mut self, cx: &mut Cx<'_>, q: ProcessId) {
        if self.sync.complete() {
            return self.advance(cx);
        }
        let (Some(rank), Some(limits)) = (self.sync.current().rank(q), &mut self.limits) else {
            return; // the own sync message is still to come, and all is settled then
        };
        let holder = self.sync.cut_of(q).map(|cut| (rank, cut));
        for (r, (limit, &upto)) in limits.iter_mut().zip(self.sync.agreed()).enumerate() {
            if upto > *limit {
                *limit = upto;
                let sources: SmallVec<[Rank; 2]> =
                    self.sync.sources(r as Rank, holder.as_slice()).collect();
                self.cast.settle(cx.now, r as Rank, upto, &sources, false);
            }
        }
    }

    fn send_sync(&mut self, cx: &mut Cx<'_>) {
        let received = |r| {
            if self.config.left_out().keeps(crate::rule::Rule::CutReceived) {
                self.cast.prefix(r)
            } else {
                self.cast.delivered(r)
            }
        };
        if (0..self.cast.ranks() as Rank).any(|r| self.cast.arrived(r) > self.cast.prefix(r)) {
            cx.tracer.mark(Mark::CutInMessage);
        }
        let Some(own) = self.sync.send_sync(received) else { return };
        let (cid, cut) = (own.cid, own.cut.clone());
        let view = self.sync.current();
        let cut: SmallVec<_> = view.members().iter().copied().zip(cut).collect();
        let view = Box::new(view.clone());
        self.trace(cx, Event::Sync { cid, view, cut });
        self.resend.start(cx.now, self.config.sync_resend_ms);
    }

    fn forward(&mut self, cx: &mut Cx<'_>) {
        for forward in self.sync.forwards() {
            self.cast.forward(forward.to, forward.origin, forward.from, forward.upto);
            if !cx.tracer.enabled() {
                continue;
            }
            let view = self.sync.current();
            let (to, from) = (
                view.members()[usize::from(forward.to)],
                view.members()[usize::from(forward.origin)],
            );
            let view = Box::new(view.clone());
            for packet in forward.from..=forward.upto {
                self.trace(cx, Event::Forward { to, from, packet, view: view.clone() });
            }
        }
    }

    /// Installs the announced view: the old cast stays for those who still need it, early packets come in, waiting
    /// messages go out.
    pub(super) fn install<'a>(&'a mut self, cx: &mut Cx<'_>) -> Option<Action<'a>> {
        let installed = self.sync.install()?;
        let me = cx.identity.process;
        let view = self.sync.current();
        let rank = view.rank(me)?;
        let header = ViewHeader::new(self.key, view, rank);
        let seed = cx.identity.seed ^ header.fingerprint;
        let fresh = Cast::new(&self.config, self.size.cast(), view.len(), rank, cx.now, seed);
        let mut old_cast = core::mem::replace(&mut self.cast, fresh);
        let old_header = core::mem::replace(&mut self.header, header);
        self.unmoved = view.members().iter().copied().filter(|&p| p != me).collect();
        self.book.retain(view.members());
        if let Some(mut before) = self.previous.take() {
            before.cast.clear(cx.pool);
        }
        if installed.transitional.iter().any(|&p| p != me) {
            old_cast.freeze(cx.pool);
            let view = installed.old;
            self.previous = Some(Previous { cast: old_cast, header: old_header, view });
        } else {
            old_cast.clear(cx.pool);
        }
        self.transitional = installed.transitional;
        let unsent = self.resend.is_unsent().then(|| self.sync.previous_cid()).flatten();
        (self.limits, self.forwarded, self.resend) = (None, false, Resend::default());
        if let Some(cid) = unsent {
            self.resend.answer(cid); // others wait for it as we did for theirs
        }
        self.suspicions.reset(cx, self.key);
        self.restart_reach(cx.now);
        let view = Box::new(self.sync.current().clone());
        self.trace(cx, Event::View { view, transitional: self.transitional.clone() });
        self.begin_primary(cx);
        cx.counters.views += 1;
        self.take_early(cx);
        self.flush_queue(cx);
        self.try_leave(cx);
        let view = self.sync.current();
        let quorum = self.is_quorum(view);
        Some(Action::View { group: self.key, view, transitional: &self.transitional, quorum })
    }

    /// Early packets of the view that was just installed go into its rings; the rest is of views that came to nothing.
    fn take_early(&mut self, cx: &mut Cx<'_>) {
        while let Some(early) = self.early.pop() {
            let EarlyPacket { fingerprint, origin, seq, flags, stable, slot } = early;
            if fingerprint == self.header.fingerprint {
                let head = Data { flags, origin, seq, stable, body: &[] };
                self.cast.adopt(cx.pool, cx.now, &head, slot);
            } else {
                cx.pool.free(slot);
            }
        }
    }

    pub(super) fn dispatch(&mut self, cx: &mut Cx<'_>, packet: Packet<'_>) -> Verdict {
        let header = packet.header;
        if packet.to_group {
            self.note_heard(cx.now, &header);
        }
        match packet.content {
            Content::Sync(bytes) => match control::decode_sync(bytes) {
                Some(message) => self.handle_sync(cx, &message),
                None => Verdict::Malformed,
            },
            Content::SyncRequest(bytes) => match control::decode_request(bytes) {
                Some(message) => self.handle_request(cx, &message),
                None => Verdict::Malformed,
            },
            Content::Data(data) => self.handle_data(cx, &header, &data, packet.to_group),
            Content::Ack(ack) => self.in_view(cx, &header, |cast, cx| {
                cast.on_ack(cx.pool, cx.now, header.rank, ack.first, ack.entries())
            }),
            Content::Nak(nak) => {
                if !self.serves(&header) {
                    return Verdict::Foreign;
                }
                let now = cx.now;
                let ranges = nak.ranges();
                if let Some(previous) = self.previous_of(&header) {
                    cx.tracer.mark(Mark::PreviousServed);
                    previous.cast.on_nak(now, header.rank, nak.origin, nak.target, ranges);
                    return Verdict::Accepted;
                }
                if nak.target == self.header.rank && nak.origin != self.header.rank {
                    cx.tracer.mark(Mark::PullForward);
                }
                self.in_view(cx, &header, |cast, cx| {
                    cast.on_nak(cx.now, header.rank, nak.origin, nak.target, ranges)
                })
            }
            Content::Heartbeat(beat) => self.in_view(cx, &header, |cast, cx| {
                cast.on_heartbeat(cx.pool, cx.now, header.rank, beat)
            }),
            Content::Reach(said) => self.handle_reach(cx, packet.to_group, &said),
        }
    }

    /// Hands a packet of the current view to the cast.
    fn in_view(
        &mut self,
        cx: &mut Cx<'_>,
        header: &Header,
        take: impl FnOnce(&mut Cast, &mut Cx<'_>),
    ) -> Verdict {
        if !self.is_of_current_view(header) {
            return Verdict::Foreign;
        }
        self.show_moved(cx, header.rank);
        take(&mut self.cast, cx);
        Verdict::Accepted
    }

    fn is_of_current_view(&self, header: &Header) -> bool {
        header.fingerprint == self.header.fingerprint
            && header.rank != self.header.rank
            && usize::from(header.rank) < self.sync.current().len()
    }

    fn previous_of(&mut self, header: &Header) -> Option<&mut Previous> {
        self.previous.as_mut().filter(|previous| {
            header.fingerprint == previous.header.fingerprint
                && header.rank != previous.header.rank
                && usize::from(header.rank) < previous.view.len()
        })
    }

    /// A member outside the proposed set is served all the same until the view changes (rule 8: the reliable set is
    /// the union of the view and the proposal).
    fn serves(&self, header: &Header) -> bool {
        if self.config.left_out().keeps(crate::rule::Rule::ReliableUnion) {
            return true;
        }
        let asker = self.sync.current().members().get(usize::from(header.rank));
        self.sync.change().is_none_or(|change| asker.is_some_and(|p| change.set.contains(p)))
    }

    /// `rank` has installed the current view: once all of T have, the previous view's packets are of no more use, and
    /// once all have, nor is the own sync message that led here (rules 5.6, 5.9).
    fn show_moved(&mut self, cx: &mut Cx<'_>, rank: Rank) {
        if self.unmoved.is_empty() {
            return;
        }
        let member = self.sync.current().members()[usize::from(rank)];
        let Ok(at) = self.unmoved.binary_search(&member) else { return };
        self.unmoved.remove(at);
        self.count_installed(cx, member);
        let needed = self.unmoved.iter().any(|p| self.transitional.binary_search(p).is_ok());
        if let Some(mut previous) = self.previous.take_if(|_| !needed) {
            previous.cast.clear(cx.pool);
        }
        if self.unmoved.is_empty() {
            self.sync.forget_previous();
        }
    }

    fn handle_data(
        &mut self,
        cx: &mut Cx<'_>,
        header: &Header,
        data: &Data<'_>,
        to_group: bool,
    ) -> Verdict {
        if header.fingerprint != self.header.fingerprint {
            return self.keep_early(cx, header, data);
        }
        if !self.is_of_current_view(header) {
            return Verdict::Foreign;
        }
        self.show_moved(cx, header.rank);
        match self.cast.on_data(cx.pool, cx.now, data, to_group) {
            DataOutcome::New => Verdict::Accepted,
            DataOutcome::Duplicate => Verdict::Duplicate,
            DataOutcome::Beyond | DataOutcome::NoSlot => {
                cx.tracer.mark(Mark::NoRoom);
                Verdict::Dropped
            }
            DataOutcome::Malformed => Verdict::Malformed,
        }
    }

    fn keep_early(&mut self, cx: &mut Cx<'_>, header: &Header, data: &Data<'_>) -> Verdict {
        let announced = self.sync.announced();
        let awaited = self.sync.matched() && header.fingerprint == announced.fingerprint();
        let of_previous = self
            .previous
            .as_ref()
            .is_some_and(|previous| previous.header.fingerprint == header.fingerprint);
        // Once the next view is known, packets of any other are of no use.
        if of_previous || (self.sync.matched() && !awaited) || data.body.len() > cx.body_bytes {
            return Verdict::Foreign;
        }
        let Data { origin, seq, flags, stable, body } = *data;
        let fingerprint = header.fingerprint;
        if self.early.is_full() {
            cx.tracer.mark(Mark::EarlyPacketDropped);
        }
        let kept = self.early.keep(cx.pool, body, |slot| EarlyPacket {
            fingerprint,
            origin,
            seq,
            flags,
            stable,
            slot,
        });
        if !kept {
            return Verdict::Dropped;
        }
        cx.tracer.mark(Mark::EarlyPacketKept);
        Verdict::Early
    }

    fn handle_sync(&mut self, cx: &mut Cx<'_>, message: &SyncMessage) -> Verdict {
        if !self.book.accepts(message.process, message.incarnation) {
            cx.tracer.mark(Mark::StaleSync);
            return Verdict::Foreign; // of an incarnation that is no more
        }
        // The cut of a view that is too large to be ours says only "not your view".
        let total = usize::from(message.total);
        let total = if total > self.config.members_max { 0 } else { total };
        let heard = self.sync.receive_sync(
            (message.process, message.incarnation),
            message.cid,
            message.view,
            total,
            usize::from(message.first),
            message.cut(),
        );
        match heard {
            Heard::Nothing => return Verdict::Duplicate,
            Heard::Kept => {
                if self.sync.change().is_none() {
                    cx.tracer.mark(Mark::EarlySync);
                }
                self.show(cx, None);
            }
            Heard::Counted => {
                self.show(cx, None);
                self.take_sync(cx, message.process);
            }
        }
        Verdict::Accepted
    }

    fn handle_request(&mut self, cx: &mut Cx<'_>, message: &SyncRequest) -> Verdict {
        let me = cx.identity.process;
        let wanted: Vec<Cid> =
            message.wanted.iter().filter(|(p, _)| *p == me).map(|(_, cid)| *cid).collect();
        let mut verdict = Verdict::Foreign;
        for cid in wanted {
            if self.sync.own_sync_for(cid).is_some() {
                cx.tracer.mark(Mark::SyncAskedFor);
                self.resend.answer(cid);
                verdict = Verdict::Accepted;
            }
        }
        verdict
    }
}
