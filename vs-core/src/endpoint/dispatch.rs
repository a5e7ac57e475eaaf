//! What arrives, by its kind: packets of the multicast, sync messages, questions about who hears
//! multicasts.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::{Cx, Endpoint, Verdict};
use crate::cast::{Cast, DataOutcome};
use crate::ident::{Cid, Rank, Seq};
use crate::rule::Rule;
use crate::sync::{Received, SyncHead};
use crate::trace::Mark;
use crate::view::ViewKey;
use crate::wire::control::{self, SyncMessage, SyncRequest};
use crate::wire::datagram::Header;
use crate::wire::packet::{Content, Data, Nak, Packet};
use crate::wire::path::Path;
use crate::wire::reach::{Reach, Word};

impl Endpoint {
    /// A datagram of this group.
    pub(crate) fn handle_packet(&mut self, cx: &mut Cx<'_>, packet: &Packet<'_>) -> Verdict {
        if !self.attachment.is_active() {
            return Verdict::Foreign;
        }
        let verdict = self.dispatch(cx, packet);
        self.find_turn(cx);
        self.flush_queue(cx);
        self.try_leave(cx);
        verdict
    }

    pub(super) fn dispatch(&mut self, cx: &mut Cx<'_>, packet: &Packet<'_>) -> Verdict {
        let header = packet.header;
        if self.lease.may_be_over(cx.now) {
            // What arrives now may have lain unread for long.
            self.look_at_lease(cx);
        }
        if packet.to_group {
            self.note_heard(cx, &header, packet.counter);
        }
        match packet.content {
            Content::Data(data) => self.handle_data(cx, &header, &data, packet.to_group),
            Content::Ack(ack) => self.in_view(cx, &header, |cast, cx| {
                cast.handle_ack(cx.pool, cx.now, header.rank, ack.first, ack.entries())
            }),
            Content::Nak(nak) => self.handle_nak(cx, &header, &nak),
            Content::Heartbeat(beat) => self.in_view(cx, &header, |cast, cx| {
                cast.handle_heartbeat(cx.pool, cx.now, header.rank, beat)
            }),
            Content::Sync(bytes) => match control::decode_sync(bytes) {
                Some(message) => self.handle_sync(cx, &message, bytes),
                None => Verdict::Malformed,
            },
            Content::SyncRequest(bytes) => match control::decode_request(bytes) {
                Some(message) => self.handle_request(cx, &message, packet.to_group),
                None => Verdict::Malformed,
            },
            Content::Reach(said) => self.handle_reach(cx, packet.to_group, &header, &said),
            Content::Path(path) => self.handle_path(cx, &header, path),
            Content::Direct(direct) => self.handle_direct(&header, &direct),
        }
    }

    /// Whether a datagram of `from` says to be of this member and was not sent by it. Own
    /// multicasts come back, from another address if the host has several.
    pub(crate) fn is_forged(&self, cx: &Cx<'_>, packet: &Packet<'_>, from: SocketAddr) -> bool {
        let own = cx.identity.addr;
        let is_elsewhere = from.ip() != own.ip() && from.port() != own.port();
        self.current.owns(&packet.header)
            && packet.header.rank == self.current.header().rank
            && (is_elsewhere || packet.counter > self.transmit_counter.last())
    }

    /// Notes who sent a datagram that went to the whole group: a member of the current view, which
    /// may have gone ahead to the view that is announced.
    fn note_heard(&mut self, cx: &Cx<'_>, header: &Header, counter: u64) {
        if self.current.owns(header) {
            let view = self.sync.current();
            return self.reach.handle_heard(cx.now, header.rank, counter, view, false);
        }
        let announced = self.sync.announced();
        if header.fingerprint == announced.fingerprint()
            && let Some(process) = announced.members().get(usize::from(header.rank))
            && let Some(rank) = self.sync.current().rank(*process)
        {
            let view = self.sync.current();
            self.reach.handle_heard(cx.now, rank, counter, view, true);
        }
    }

    /// Hands a datagram of the current view to the multicast.
    fn in_view(
        &mut self,
        cx: &mut Cx<'_>,
        header: &Header,
        take: impl FnOnce(&mut Cast, &mut Cx<'_>),
    ) -> Verdict {
        if !self.current.is_from_peer(header) {
            return Verdict::Foreign;
        }
        self.handle_moved(cx, header.rank);
        take(self.current.cast_mut(), cx);
        Verdict::Accepted
    }

    fn handle_data(
        &mut self,
        cx: &mut Cx<'_>,
        header: &Header,
        data: &Data<'_>,
        to_group: bool,
    ) -> Verdict {
        if !self.current.owns(header) {
            return self.keep_early(cx, header, data);
        }
        if !self.current.is_from_peer(header) {
            return Verdict::Foreign;
        }
        self.handle_moved(cx, header.rank);
        match self.current.cast_mut().handle_data(cx.pool, cx.now, data, to_group) {
            DataOutcome::New => Verdict::Accepted,
            DataOutcome::Duplicate => Verdict::Duplicate,
            DataOutcome::Beyond | DataOutcome::NoSlot => {
                cx.mark(Mark::NoRoom);
                Verdict::Dropped
            }
            DataOutcome::Malformed => Verdict::Malformed,
        }
    }

    /// Keeps a packet of a view that may be installed next.
    fn keep_early(&mut self, cx: &mut Cx<'_>, header: &Header, data: &Data<'_>) -> Verdict {
        let is_of_announced = header.fingerprint == self.sync.announced().fingerprint();
        let is_of_previous = self.previous.as_ref().is_some_and(|previous| previous.owns(header));
        // Once the next view is known, packets of any other are of no use.
        let is_useless = self.sync.matched() && !is_of_announced;
        if is_of_previous || is_useless || data.body.len() > cx.pool.body_bytes() {
            return Verdict::Foreign;
        }
        if self.early.is_full() {
            cx.mark(Mark::EarlyPacketDropped);
        }
        if !self.early.keep(cx.pool, header.fingerprint, data) {
            return Verdict::Dropped;
        }
        cx.mark(Mark::EarlyPacketKept);
        Verdict::Early
    }

    /// A member reports a gap, in the current view or in the previous one.
    fn handle_nak(&mut self, cx: &mut Cx<'_>, header: &Header, nak: &Nak<'_>) -> Verdict {
        if !self.serves(header) {
            return Verdict::Foreign;
        }
        let (now, ranges) = (cx.now, nak.ranges());
        if let Some(previous) = self.previous.as_mut().filter(|p| p.is_from_peer(header)) {
            cx.mark(Mark::PreviousServed);
            previous.cast_mut().handle_nak(now, header.rank, nak.origin, nak.target, ranges);
            return Verdict::Accepted;
        }
        let own = self.current.header().rank;
        if nak.target == own && nak.origin != own {
            cx.mark(Mark::PullForward);
        }
        self.in_view(cx, header, |cast, _| {
            cast.handle_nak(now, header.rank, nak.origin, nak.target, ranges);
        })
    }

    /// Whether the sender of `header` is served. A member outside the proposed set is served until
    /// the view changes: the reliable set is the union of the view and the proposal ([point
    /// 8](crate::manual::algorithm#point-8)).
    fn serves(&self, header: &Header) -> bool {
        if self.sync.rules().keeps(Rule::ReliableUnion) {
            return true;
        }
        let asker = self.current.member(header.rank);
        self.sync.change().is_none_or(|change| asker.is_some_and(|p| change.set.contains(&p)))
    }

    /// A part of a sync message arrived, in these bytes.
    fn handle_sync(&mut self, cx: &mut Cx<'_>, message: &SyncMessage, bytes: &[u8]) -> Verdict {
        if !self.book.accepts(message.process, message.incarnation) {
            cx.mark(Mark::StaleSync);
            return Verdict::Foreign; // of an earlier incarnation
        }
        if !self.is_possible(message) {
            cx.counters.false_cuts += 1;
            return Verdict::Malformed;
        }
        let from = (message.process, message.incarnation);
        if self.sync.has_whole(from, message.cid) {
            return Verdict::Duplicate; // To check who says it costs more than all else.
        }
        if let Err(verdict) = self.is_shown(from, bytes) {
            return verdict;
        }
        // The cut of a view that is too large to be ours says only "not your view".
        let total = usize::from(message.total);
        let total = if total > self.config.members_max { 0 } else { total };
        let SyncMessage { view, safe, note, .. } = *message;
        let received = self.sync.receive_sync(
            from,
            message.cid,
            &SyncHead { view, total, safe, note },
            usize::from(message.first),
            message.cut(),
        );
        match received {
            Received::Nothing => return Verdict::Duplicate,
            Received::Kept => {
                if self.sync.change().is_none() {
                    cx.mark(Mark::EarlySync);
                }
                self.show(cx, None);
            }
            Received::Counted => {
                self.show(cx, None);
                self.count_sync(cx, message.process);
            }
        }
        Verdict::Accepted
    }

    /// Whether a cut of the current view names no packet that cannot have been sent: of the own
    /// stream one that is not sealed, of another one that this process never had room for. Nobody
    /// sends beyond what all members have room for. If such a cut counted, all would wait for
    /// packets that nobody has. The same holds for the slot that the message says to be safe.
    fn is_possible(&self, message: &SyncMessage) -> bool {
        let current = self.sync.current();
        if ViewKey::of(current, message.process) != Some(message.view) {
            return true;
        }
        let mut ranks = message.cut().zip(usize::from(message.first)..);
        message.safe <= self.slots_most() && ranks.all(|(seq, rank)| seq <= self.packets_most(rank))
    }

    /// The last packet of the member of `rank` that can have been sent in the current view.
    fn packets_most(&self, rank: usize) -> Seq {
        Rank::try_from(rank).map_or(0, |rank| self.current.cast().room_of(rank))
    }

    /// The last slot that there can be: each one is a packet of somebody.
    fn slots_most(&self) -> Seq {
        let ranks = self.current.cast().ranks();
        (0..ranks).map(|rank| self.packets_most(rank)).fold(0, u64::saturating_add)
    }

    /// The current view has just been installed: sync messages from it that came before are looked
    /// at now.
    pub(super) fn forget_false_cuts(&mut self, cx: &mut Cx<'_>) {
        let (cast, slots) = (self.current.cast(), self.slots_most());
        let most = |rank| Rank::try_from(rank).map_or(0, |rank| cast.room_of(rank));
        let forgotten = self.sync.forget_false(most, slots);
        cx.counters.false_cuts += forgotten as u64;
    }

    /// A process asks for sync messages that it lacks. Who asks this process alone may hear no
    /// multicasts of it.
    fn handle_request(
        &mut self,
        cx: &mut Cx<'_>,
        message: &SyncRequest,
        to_group: bool,
    ) -> Verdict {
        let me = cx.identity.process;
        let wanted: Vec<Cid> =
            message.wanted.iter().filter(|(p, _)| *p == me).map(|(_, cid)| *cid).collect();
        let mut verdict = Verdict::Foreign;
        for cid in wanted {
            if self.sync.own_sync_for(cid).is_some() {
                cx.mark(Mark::SyncAskedFor);
                match to_group || !self.book.contains(message.process) {
                    true => self.resend.answer(cid),
                    false => self.resend.answer_alone(message.process, cid),
                }
                verdict = Verdict::Accepted;
            }
        }
        verdict
    }

    /// A probe of how long datagrams may be, or an answer to one of this process.
    fn handle_path(&mut self, cx: &Cx<'_>, header: &Header, path: Path) -> Verdict {
        if !self.current.is_from_peer(header) {
            return Verdict::Foreign;
        }
        match path {
            Path::Probe { bytes } => self.path.answer(header.rank, bytes),
            Path::Arrived { target, .. } if target != self.current.header().rank => {
                return Verdict::Foreign;
            }
            Path::Arrived { bytes, .. } => {
                if self.path.handle_answer(cx.now, header.rank, bytes as usize) {
                    self.current.cast_mut().set_datagram_bytes(self.path.usable());
                }
            }
        }
        Verdict::Accepted
    }

    /// A process asks whether this one is there, answers, or says that it hears no multicast.
    fn handle_reach(
        &mut self,
        cx: &mut Cx<'_>,
        to_group: bool,
        header: &Header,
        said: &Reach,
    ) -> Verdict {
        let rank = self.sync.current().rank(said.process);
        if said.word == Word::Answer && to_group {
            // Whoever asked: the sender is heard.
            let Some(rank) = rank else { return Verdict::Foreign };
            let is_own = said.target == cx.identity.process;
            self.reach.handle_answer_to_group(cx.now, rank, said.process, is_own);
            return Verdict::Accepted;
        }
        if said.target != cx.identity.process || said.process == said.target {
            return Verdict::Foreign;
        }
        if said.word == Word::Answer {
            let Some(rank) = rank else { return Verdict::Foreign };
            self.reach.handle_direct_answer(rank, said.process);
            if self.current.owns(header) {
                self.reach.handle_met(cx.now, rank);
            }
            return Verdict::Accepted;
        }
        if !self.book.contains(said.process) {
            return Verdict::Foreign;
        }
        // Who asks through the group lacks nothing, but wants to know whether unicast arrives.
        if let Some(rank) = rank.filter(|_| !to_group) {
            let owed_since = self.current.cast().acks_owed_since(rank);
            self.reach.handle_question(cx.now, &self.config, rank, owed_since);
        }
        if said.word == Word::Heard {
            if self.reach.handle_heard_again(said.process) {
                cx.mark(Mark::HeardAgain);
            }
            return Verdict::Accepted;
        }
        if said.word == Word::Unheard
            && self.reach.handle_unheard(cx.now, said.process, self.sync.current(), &self.book)
        {
            cx.mark(Mark::Unheard);
            cx.counters.unheard += 1;
        }
        self.reach.answer(said.process);
        Verdict::Accepted
    }
}
