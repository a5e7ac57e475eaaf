//! The state of a small world.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::vec::Vec;

use smallvec::SmallVec;

use super::end::End;
use super::log::{Log, Setting};
use super::net::{Net, SyncMessage};
use super::plan::{Client, Op, Plan};
use crate::ident::{CLAIMED_MAX, Cid, FNV_OFFSET, Incarnation, ProcessId, Rank, ServerId, fnv1a};
use crate::member::attached::{Attachment, Report};
use crate::member::past::Past;
use crate::member::proposal::Proposal;
use crate::member::server::agreement::{Agreement, Floor, Step};
use crate::order::{Order, Stage};
use crate::spec::refine::{EndPoint, Refinement};
use crate::trace::Event;
use crate::view::{Members, Note, View};

/// A message of a server to a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum FromServer {
    /// The proposed processes, each with its incarnation.
    StartChange(Cid, SmallVec<[(ProcessId, u64); 4]>),
    View(Rc<View>),
}

/// A process through all its incarnations, and its connection to its server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seat {
    pub(super) end: Option<Rc<End>>,
    incarnations: u64,
    attachment: Option<Attachment>,
    messages: VecDeque<FromServer>,
    /// Messages that it has sent, and that it may send still.
    spoken: u8,
    pub(super) unspoken: u8,
}

impl Seat {
    pub(super) fn has_message(&self) -> bool {
        !self.messages.is_empty()
    }
}

/// The whole state: the real automata, and everything under way between them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// What has happened by itself so far. Equal states have come equally far, so no run goes in
    /// circles.
    pub(super) steps: u16,
    /// The number of steps of each track that have happened.
    pub(super) tracks: SmallVec<[u8; 4]>,
    pub(super) servers: Vec<Rc<Agreement>>,
    /// Servers that gather.
    pub(super) gathering: SmallVec<[ServerId; 4]>,
    /// Proposals under way from one server to another, oldest first.
    pub(super) proposals: BTreeMap<(ServerId, ServerId), VecDeque<Rc<Proposal>>>,
    /// By process, from 1.
    pub(super) seats: Vec<Seat>,
    pub(super) net: Net,
    specs: Rc<Refinement>,
}

impl World {
    /// All processes have started, each in its initial view.
    pub(super) fn new(setting: Setting<'_>, log: &mut Log) -> Self {
        let Setting { plan, rules, .. } = setting;
        let servers = plan.homes.iter().max().copied().unwrap_or(1);
        let server = |s| Rc::new(Agreement::new(ServerId(s), 0, rules));
        let seat = |unspoken: &u8| Seat {
            end: None,
            incarnations: 0,
            attachment: None,
            messages: VecDeque::new(),
            spoken: 0,
            unspoken: *unspoken,
        };
        let mut world = Self {
            steps: 0,
            tracks: SmallVec::from_elem(0, plan.tracks.len()),
            servers: (1..=servers).map(server).collect(),
            gathering: SmallVec::new(),
            proposals: BTreeMap::new(),
            seats: plan.messages.iter().map(seat).collect(),
            net: Net::default(),
            specs: Rc::new(Refinement::new()),
        };
        for p in world.processes() {
            world.recover(setting, log, p);
        }
        world
    }

    pub(super) fn processes(&self) -> impl Iterator<Item = ProcessId> + use<> {
        (1..=self.seats.len() as u64).map(ProcessId)
    }

    pub(super) fn seat(&self, p: ProcessId) -> &Seat {
        &self.seats[p.0 as usize - 1]
    }

    fn seat_mut(&mut self, p: ProcessId) -> &mut Seat {
        &mut self.seats[p.0 as usize - 1]
    }

    pub(super) fn end(&self, p: ProcessId) -> Option<&End> {
        self.seat(p).end.as_deref()
    }

    pub(super) fn end_mut(&mut self, p: ProcessId) -> Option<&mut End> {
        self.seat_mut(p).end.as_mut().map(Rc::make_mut)
    }

    pub(super) fn server(&self, s: ServerId) -> &Agreement {
        &self.servers[s.0 as usize - 1]
    }

    fn server_mut(&mut self, s: ServerId) -> &mut Agreement {
        Rc::make_mut(&mut self.servers[s.0 as usize - 1])
    }

    /// The attachment of `p`, if the incarnation that made it is alive.
    pub(super) fn attachment(&self, p: ProcessId) -> Option<Attachment> {
        self.seat(p)
            .attachment
            .filter(|attachment| self.is_alive(p, attachment.incarnation.millis()))
    }

    /// Whether this incarnation of `p` is alive.
    pub(super) fn is_alive(&self, p: ProcessId, incarnation: u64) -> bool {
        self.end(p).is_some_and(|end| end.incarnation == incarnation)
    }

    /// An event of `p`, which is in the state after it.
    pub(super) fn emit(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId, event: Event) {
        let specs = Rc::make_mut(&mut self.specs);
        let end = self.seats[p.0 as usize - 1].end.as_deref();
        let lives = event != Event::Crash && log.asks(setting);
        let after = end.filter(|_| lives).map(End::observe);
        log.note(p, Some(&event), after.as_ref());
        let step = if setting.refine {
            specs.step(p, Some(&event), after.map(EndPoint::from).as_ref())
        } else {
            specs.act(p, &event)
        };
        log.refuted = log.refuted.take().or(step.err());
        if let Some(events) = &mut log.events {
            events.push((p, event));
        }
    }

    /// Something arrived at `p`.
    pub(super) fn show(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) {
        let Some(after) = self.end(p).filter(|_| log.asks(setting)).map(End::observe) else {
            return;
        };
        log.note(p, None, Some(&after));
        if setting.refine {
            let step = Rc::make_mut(&mut self.specs).step(p, None, Some(&after.into()));
            log.refuted = log.refuted.take().or(step.err());
        }
    }

    /// The next event of a track, if it can happen now.
    pub(super) fn next_op<'a>(&self, plan: &'a Plan, track: usize) -> Option<&'a Op> {
        let op = plan.tracks[track].get(usize::from(self.tracks[track]))?;
        self.is_possible(plan, op).then_some(op)
    }

    fn is_possible(&self, plan: &Plan, op: &Op) -> bool {
        match op {
            Op::Crash(p) => self.end(ProcessId(*p)).is_some(),
            Op::Recover(p) => self.end(ProcessId(*p)).is_none(),
            Op::Break(..) => true,
            Op::Report(server, clients) => clients.iter().all(|client| {
                let p = ProcessId(client.process);
                let known = self.seat(p).attachment == Some(client.attachment());
                let here = plan.home(p) == ServerId(*server);
                // A process that attaches is alive; one that attached earlier may have died since.
                if here && !known {
                    self.is_alive(p, client.incarnation)
                        && self.seat(p).attachment < Some(client.attachment())
                } else {
                    self.seat(p).attachment >= Some(client.attachment())
                }
            }),
        }
    }

    pub(super) fn play(&mut self, setting: Setting<'_>, log: &mut Log, op: &Op) {
        match op {
            Op::Crash(p) => self.crash(setting, log, ProcessId(*p)),
            Op::Recover(p) => self.recover(setting, log, ProcessId(*p)),
            Op::Break(a, b) => self.reconnect(ServerId(*a), ServerId(*b)),
            Op::Report(server, clients) => self.report(setting.plan, ServerId(*server), clients),
        }
    }

    fn recover(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) {
        let seat = self.seat_mut(p);
        seat.incarnations += 1;
        let incarnation = seat.incarnations;
        let order = setting.plan.order;
        seat.end = Some(Rc::new(End::new(p, incarnation, order, setting.rules)));
        if order != Order::Fifo {
            self.emit(setting, log, p, Event::Join { order, clusters: false });
        }
        self.emit(setting, log, p, Event::Start { incarnation: Incarnation::new(incarnation) });
    }

    fn crash(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) {
        self.emit(setting, log, p, Event::Crash);
        let seat = self.seat_mut(p);
        seat.end = None;
        seat.messages.clear();
        self.net.drop_for(p);
        self.forget();
    }

    /// The notification service of a server reports these clients. Its own ones attach now if they
    /// have not yet.
    fn report(&mut self, plan: &Plan, server: ServerId, clients: &[Client]) {
        for client in clients.iter().filter(|c| plan.home(ProcessId(c.process)) == server) {
            self.attach(server, client);
        }
        let report: Report = clients.iter().map(|client| client.attached(plan)).collect();
        if *self.server(server).report() == report {
            return;
        }
        let steps = self.server_mut(server).notify(report, plan.gather);
        if plan.gather && !self.gathering.contains(&server) {
            self.gathering.push(server);
            self.gathering.sort_unstable();
        }
        self.take(server, steps);
    }

    fn attach(&mut self, server: ServerId, client: &Client) {
        let p = ProcessId(client.process);
        let seat = self.seat_mut(p);
        if seat.attachment == Some(client.attachment()) {
            return;
        }
        seat.attachment = Some(client.attachment());
        seat.messages.clear();
        let Some(end) = seat.end.clone() else { return };
        let announced = end.sync.announced();
        let past = Past {
            last_cid: end.sync.last_cid(),
            last_view: end.sync.last_view_id(),
            pending: end.sync.change().map(|change| change.cid),
            mbr_view: (announced.id().major > 0).then(|| announced.clone()),
            ..Past::default()
        };
        let moshe = self.server_mut(server);
        if let Some(floor) =
            Floor::of((p, Incarnation::new(client.incarnation)), &past, CLAIMED_MAX)
        {
            moshe.raise(p, floor);
        }
        let named = past.mbr_view.iter().flat_map(|v| v.members().iter().zip(v.start_ids()));
        named.for_each(|(&q, &cid)| moshe.learn(q, cid));
    }

    /// The connection of two servers broke and is up again: what was under way is lost, and each
    /// repeats its last message.
    fn reconnect(&mut self, a: ServerId, b: ServerId) {
        for (from, to) in [(a, b), (b, a)] {
            self.proposals.remove(&(from, to));
            if let Some(mine) = self.server(from).mine().cloned() {
                self.proposals.insert((from, to), VecDeque::from([Rc::new(mine)]));
            }
        }
    }

    pub(super) fn gathered(&mut self, server: ServerId) {
        self.gathering.retain(|s| *s != server);
        let steps = self.server_mut(server).gathered();
        self.take(server, steps);
    }

    pub(super) fn hear_proposal(&mut self, from: ServerId, to: ServerId) {
        let Some(queue) = self.proposals.get_mut(&(from, to)) else { return };
        let proposal = queue.pop_front();
        if queue.is_empty() {
            self.proposals.remove(&(from, to));
        }
        let Some(proposal) = proposal else { return };
        let moshe = self.server_mut(to);
        if !moshe.is_stale(&proposal) {
            let steps = moshe.receive(Rc::unwrap_or_clone(proposal));
            self.take(to, steps);
        }
    }

    /// Carries out what a server decides.
    fn take(&mut self, s: ServerId, steps: Vec<Step>) {
        for step in steps {
            let moshe = Rc::clone(&self.servers[s.0 as usize - 1]);
            let locals = || moshe.report().iter().filter(|client| client.home == s);
            match step {
                Step::StartChange(p, cid) => {
                    let incarnation = |c: &Attachment| c.incarnation.millis();
                    let peers =
                        moshe.report().iter().map(|c| (c.process, incarnation(&c.attachment)));
                    let message = FromServer::StartChange(cid, peers.collect());
                    locals().filter(|c| c.process == p).for_each(|c| {
                        self.say(p, c.attachment, message.clone());
                    });
                }
                Step::Propose(to) => {
                    let Some(mine) = moshe.mine().cloned().map(Rc::new) else { continue };
                    for t in to {
                        self.proposals.entry((s, t)).or_default().push_back(Rc::clone(&mine));
                    }
                }
                Step::View(view, ..) => {
                    let view = Rc::new(view);
                    for client in locals().filter(|c| view.contains(c.process)) {
                        self.say(
                            client.process,
                            client.attachment,
                            FromServer::View(Rc::clone(&view)),
                        );
                    }
                }
            }
        }
    }

    /// Sends a message on the connection of an attachment, if that is still up.
    fn say(&mut self, p: ProcessId, attachment: Attachment, message: FromServer) {
        let up = self.is_alive(p, attachment.incarnation.millis());
        let seat = self.seat_mut(p);
        if up && seat.attachment == Some(attachment) {
            seat.messages.push_back(message);
        }
    }

    pub(super) fn hear_server(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) {
        let message = self.seat_mut(p).messages.pop_front();
        let Some(end) = self.end_mut(p) else { return };
        match message {
            Some(FromServer::StartChange(cid, peers)) => {
                let set: Members = peers.iter().map(|(q, _)| *q).collect();
                end.sync.start_change(
                    cid,
                    peers.iter().map(|(q, incarnation)| (*q, Incarnation::new(*incarnation))),
                );
                (end.forwarded, end.incarnations) = (false, peers);
                self.emit(setting, log, p, Event::StartChange { cid, set });
                self.ask_to_block(setting, log, p);
            }
            Some(FromServer::View(view)) => {
                end.sync.announce(View::clone(&view));
                self.emit(setting, log, p, Event::MbrView { view: Box::new(View::clone(&view)) });
            }
            None => {}
        }
        self.advance(setting, log, p);
    }

    fn ask_to_block(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) {
        if !self.end_mut(p).is_some_and(|end| end.sync.ask_to_block()) {
            return;
        }
        self.emit(setting, log, p, Event::Block);
        if !setting.plan.manual {
            self.block(setting, log, p);
        }
    }

    fn block(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) {
        if self.end_mut(p).is_some_and(|end| end.sync.block_ok()) {
            if let Some(layer) = self.end_mut(p).and_then(|end| end.layer.as_mut()) {
                layer.close();
            }
            self.emit(setting, log, p, Event::BlockOk);
        }
    }

    pub(super) fn block_ok(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) {
        self.block(setting, log, p);
        self.advance(setting, log, p);
    }

    /// The payload of the `k`-th message that `p` ever sends.
    fn payload(p: ProcessId, k: u8) -> (u64, u64) {
        let bytes = [p.0 as u8, k];
        (fnv1a(FNV_OFFSET, &bytes), bytes.len() as u64)
    }

    pub(super) fn send(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) {
        let seat = self.seat_mut(p);
        seat.unspoken -= 1;
        seat.spoken += 1;
        let k = seat.spoken;
        let Some(end) = self.end_mut(p) else { return };
        end.sent += 1;
        let n = end.sent;
        self.seal(p, k);
        let (hash, len) = Self::payload(p, k);
        self.emit(setting, log, p, Event::Send { n, hash, len });
        self.deliver_at_once(setting, log, p);
    }

    pub(super) fn deliver(
        &mut self,
        setting: Setting<'_>,
        log: &mut Log,
        (from, stage): (ProcessId, Stage),
        p: ProcessId,
    ) {
        let Some(end) = self.end_mut(p) else { return };
        let Some(rank) = end.view().rank(from).map(usize::from) else { return };
        end.delivered[rank] += 1;
        let (seq, view) = (end.delivered[rank], end.view().clone());
        // A message that was never sent has the number 0.
        let k = self.net.said(from, &view, seq).unwrap_or(0);
        let n = self.net.messages(from, &view, seq);
        let (hash, len) = Self::payload(from, k);
        self.emit(setting, log, p, Event::Deliver { from, n, hash, len, stage });
    }

    pub(super) fn deliver_at_once(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) {
        if setting.plan.order != Order::Fifo {
            return self.deliver_in_order(setting, log, p);
        }
        if setting.plan.lazy {
            return;
        }
        while let Some(from) = self.end(p).and_then(|end| {
            let at = (0..end.view().len()).find(|at| end.has_delivery(*at));
            at.map(|at| end.view().members()[at])
        }) {
            self.deliver(setting, log, (from, Stage::Regular), p);
        }
    }

    /// Carries out what an end-point does by itself once it knows more.
    pub(super) fn advance(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) {
        if self.end(p).is_some_and(|end| end.sync.wants_sync()) {
            self.send_sync(setting, log, p);
        }
        if self.end(p).is_some_and(|end| end.sync.complete() && !end.forwarded) {
            self.forward(setting, log, p);
        }
        self.deliver_at_once(setting, log, p);
    }

    fn send_sync(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) {
        let Some(end) = self.end_mut(p) else { return };
        let cut = end.cut(setting.rules);
        let Some(own) = end.sync.send_sync(|rank| cut[usize::from(rank)], (0, Note::default()))
        else {
            return;
        };
        let (cid, view) = (own.cid, own.view);
        let proposed = end.sync.change().map(|change| change.set.clone()).unwrap_or_default();
        let mut to: Members = end.view().members().iter().chain(&proposed).copied().collect();
        to.sort_unstable();
        to.dedup();
        let sync = Rc::new(SyncMessage { incarnation: end.incarnation, view, cut });
        let current = end.view().clone();
        to.retain(|q| *q != p && self.end(*q).is_some());
        for q in to {
            self.net.syncs.insert((q, p, cid), Rc::clone(&sync));
        }
        let cut = current.members().iter().copied().zip(sync.cut.iter().copied()).collect();
        self.emit(setting, log, p, Event::Sync { cid, view: Box::new(current), cut, safe: 0 });
    }

    fn forward(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) {
        let Some(end) = self.end_mut(p) else { return };
        end.forwarded = true;
        let (incarnation, view) = (end.incarnation, end.view().clone());
        let of = |rank: Rank| view.members()[usize::from(rank)];
        for forward in end.sync.forwards() {
            let (to, origin) = (of(forward.to), of(forward.origin));
            for seq in forward.from..=forward.upto {
                let event =
                    Event::Forward { to, from: origin, packet: seq, view: Box::new(view.clone()) };
                self.emit(setting, log, p, event);
                // A process that has moved on, died or has it by now has no use for it.
                let rank = usize::from(forward.origin);
                if self.end(to).is_some_and(|e| *e.view() == view && e.received[rank] < seq) {
                    self.net.handed.insert(super::net::Handed {
                        to,
                        origin,
                        seq,
                        by: p,
                        incarnation,
                    });
                }
            }
        }
    }

    pub(super) fn hear_sync(
        &mut self,
        setting: Setting<'_>,
        log: &mut Log,
        key: (ProcessId, ProcessId, Cid),
    ) {
        let Some(sync) = self.net.syncs.remove(&key) else { return };
        self.take_sync(setting, log, key, &sync);
    }

    pub(super) fn take_sync(
        &mut self,
        setting: Setting<'_>,
        log: &mut Log,
        (p, from, cid): (ProcessId, ProcessId, Cid),
        sync: &SyncMessage,
    ) {
        let Some(end) = self.end_mut(p) else { return };
        if end.hear(from, cid, sync) {
            self.show(setting, log, p);
            self.advance(setting, log, p);
        }
    }

    /// Packets of `origin` up to `upto` are here now.
    pub(super) fn receive(
        &mut self,
        setting: Setting<'_>,
        log: &mut Log,
        origin: ProcessId,
        p: ProcessId,
        upto: u64,
    ) {
        let Some(end) = self.end_mut(p) else { return };
        let Some(rank) = end.view().rank(origin).map(usize::from) else { return };
        end.received[rank] = end.received[rank].max(upto);
        if let Some(layer) = &mut end.layer {
            layer.handle_arrived(rank as Rank, end.received[rank]);
        }
        self.net.handed.retain(|h| (h.to, h.origin) != (p, origin) || h.seq > upto);
        self.show(setting, log, p);
        self.deliver_at_once(setting, log, p);
    }

    pub(super) fn install(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) {
        let Some(end) = self.end_mut(p) else { return };
        let Some(transitional) = end.install(setting.plan.order, setting.rules) else { return };
        let view = Box::new(end.view().clone());
        self.net.drop_handed(p);
        self.emit(setting, log, p, Event::View { view, transitional, clusters: None });
        self.forget();
    }

    /// Forgets what nothing can depend on any more, so that states which differ only in that are
    /// one.
    fn forget(&mut self) {
        let ends: Vec<(ProcessId, Rc<End>)> =
            self.processes().filter_map(|p| self.seat(p).end.clone().map(|end| (p, end))).collect();
        let lived_in = |view: &View| ends.iter().any(|(_, end)| end.view() == view);
        let awaited = |view: &View| ends.iter().any(|(p, end)| end.may_enter(*p, view));
        self.net.streams.retain(|(_, view), _| lived_in(view) || awaited(view));
        let past = |q, cid| ends.iter().all(|(_, end)| end.is_past(q, cid));
        let specs = Rc::make_mut(&mut self.specs);
        specs.retain(|view| lived_in(view) || awaited(view), |q, cid| !past(q, cid));
        self.net.syncs.retain(|(to, from, cid), _| {
            ends.iter().all(|(p, end)| p != to || !end.is_past(*from, *cid))
        });
    }
}
