//! Which actions are possible in a world, and what each does.

use alloc::vec::Vec;

use super::action::Action;
use super::end::End;
use super::log::{Log, Setting};
use super::net::SyncMessage;
use super::world::World;
use crate::ident::{Cid, ProcessId, Rank};
use crate::order::Stage;

impl World {
    /// All possible actions, always in the same order.
    pub(super) fn actions(&self, setting: Setting<'_>) -> Vec<Action> {
        let mut out = Vec::new();
        let tracks = 0..setting.plan.tracks.len();
        out.extend(tracks.filter(|t| self.next_op(setting.plan, *t).is_some()).map(Action::Track));
        out.extend(self.gathering.iter().copied().map(Action::Gathered));
        out.extend(self.proposals.keys().map(|(from, to)| Action::Proposal(*from, *to)));
        for p in self.processes() {
            if let Some(end) = self.end(p) {
                self.actions_at(setting, p, end, &mut out);
            }
        }
        out
    }

    fn actions_at(&self, setting: Setting<'_>, p: ProcessId, end: &End, out: &mut Vec<Action>) {
        let seat = self.seat(p);
        // What the service says waits while an ordered view ends.
        if seat.has_message() && !end.is_ending() {
            out.push(Action::Served(p));
        }
        if setting.plan.manual && end.is_asked_to_block() {
            out.push(Action::BlockOk(p));
        }
        if seat.unspoken > 0 && end.sync.may_send() {
            out.push(Action::Send(p));
        }
        for (rank, &origin) in end.view().members().iter().enumerate() {
            if origin != p {
                self.arrivals(p, end, rank, origin, setting, out);
            }
            if setting.plan.lazy && end.has_delivery(rank) {
                out.push(Action::Deliver(origin, p));
            }
        }
        let to_me = self.net.syncs.range((p, ProcessId(0), Cid(0))..);
        let to_me = to_me.take_while(|((to, ..), _)| *to == p);
        out.extend(to_me.map(|((_, from, cid), _)| Action::Sync { from: *from, cid: *cid, to: p }));
        for (from, cid) in end.sync.missing() {
            let under_way = self.net.syncs.contains_key(&(p, from, cid));
            let given = self.kept_sync(from, cid).filter(|_| !under_way);
            // A sync message that would be refused would be asked for again without end.
            if given.is_some_and(|sync| end.clone().hear(from, cid, &sync)) {
                out.push(Action::Ask { from, cid, to: p });
            }
        }
        if end.is_installable() {
            out.push(Action::Install(p));
        }
        if setting.plan.beats {
            let seen =
                |q: &&ProcessId| self.end(**q).is_some_and(|other| other.view() == end.view());
            out.extend(end.unmoved.iter().filter(seen).map(|q| Action::Beat(*q, p)));
        }
        for from in self.processes().filter(|from| *from != p) {
            if self.can_lose(setting, from, p, end) {
                out.push(Action::Lose(from, p));
            }
        }
    }

    /// How packets of `origin` can come to `p`.
    fn arrivals(
        &self,
        p: ProcessId,
        end: &End,
        rank: usize,
        origin: ProcessId,
        setting: Setting<'_>,
        out: &mut Vec<Action>,
    ) {
        let (sent, lost) = self.net.sent(origin, end.view(), p);
        if end.received[rank] < sent && !lost {
            out.push(Action::Packet(origin, p));
        } else if end.lacks_agreed(rank).is_some() && self.has_source(setting, p, end, rank) {
            out.push(Action::Pull(origin, p));
        }
        let next = end.received[rank] + 1;
        if self.net.handed.iter().any(|h| (h.to, h.origin, h.seq) == (p, origin, next)) {
            out.push(Action::Handed(origin, p));
        }
    }

    /// Whether a live process that comes along has the packets that `p` lacks and still gives them.
    fn has_source(&self, setting: Setting<'_>, p: ProcessId, end: &End, rank: usize) -> bool {
        let view = end.view();
        let together = end.sync.together();
        let mut sources = end.sync.sources(rank as Rank, &together);
        sources.any(|q| {
            let q = view.members()[usize::from(q)];
            self.end(q).is_some_and(|other| other.serves(p, view, setting.rules))
        })
    }

    /// The own sync message of `q` for `cid`, if it is kept.
    fn kept_sync(&self, q: ProcessId, cid: Cid) -> Option<SyncMessage> {
        let end = self.end(q)?;
        let own = end.sync.own_sync_for(cid)?;
        let cut = own.cut.iter().copied().collect();
        Some(SyncMessage { incarnation: end.incarnation, view: own.view, cut })
    }

    /// Whether something is under way from `from` to `p` that nobody would send again.
    fn can_lose(&self, setting: Setting<'_>, from: ProcessId, p: ProcessId, end: &End) -> bool {
        let view = end.view();
        let served = self.end(from).is_some_and(|e| e.serves(p, view, setting.rules));
        let packets = || {
            let Some(rank) = view.rank(from) else { return false };
            let (sent, lost) = self.net.sent(from, view, p);
            !lost && end.received[usize::from(rank)] < sent
        };
        (!served && packets())
            || self.lost_syncs(from, p).next().is_some()
            || self
                .net
                .handed
                .iter()
                .any(|h| (h.by, h.to) == (from, p) && !self.is_alive(from, h.incarnation))
    }

    /// Sync messages under way from an incarnation of `from` that has ended.
    fn lost_syncs(&self, from: ProcessId, p: ProcessId) -> impl Iterator<Item = Cid> + '_ {
        let to_me = self.net.syncs.range((p, from, Cid(0))..=(p, from, Cid(u64::MAX)));
        to_me
            .filter(move |(_, sync)| !self.is_alive(from, sync.incarnation))
            .map(|((.., cid), _)| *cid)
    }

    fn lose(&mut self, setting: Setting<'_>, from: ProcessId, p: ProcessId) {
        let Some(view) = self.end(p).map(|end| end.view().clone()) else { return };
        for cid in self.lost_syncs(from, p).collect::<Vec<_>>() {
            self.net.syncs.remove(&(p, from, cid));
        }
        let incarnation = self.end(from).map(|end| end.incarnation);
        self.net.handed.retain(|h| (h.by, h.to) != (from, p) || Some(h.incarnation) == incarnation);
        let served = self.end(from).is_some_and(|e| e.serves(p, &view, setting.rules));
        if let (false, Some(stream)) = (served, self.net.streams.get_mut(&(from, view)))
            && let Err(at) = stream.lost_to.binary_search(&p)
        {
            stream.lost_to.insert(at, p);
        }
    }

    /// Carries out `action`.
    pub(super) fn apply(&mut self, setting: Setting<'_>, log: &mut Log, action: Action) {
        self.steps += u16::from(action.is_progress());
        self.carry_out(setting, log, action);
        if setting.plan.clients_at_once && !action.is_of_client() {
            self.settle_clients(setting, log);
        }
    }

    /// Carries out all actions of processes that happen by themselves.
    fn settle_clients(&mut self, setting: Setting<'_>, log: &mut Log) {
        self.run(setting, log, |action| action.is_of_client());
    }

    /// Carries out the first action that `chosen` allows, until there is none.
    fn run(&mut self, setting: Setting<'_>, log: &mut Log, chosen: impl Fn(&Action) -> bool) {
        while let Some(action) = self.actions(setting).into_iter().find(&chosen) {
            if self.steps > super::STEPS_MAX {
                return; // without end, as the explorer will see
            }
            self.steps += 1;
            self.carry_out(setting, log, action);
        }
    }

    /// Plays the prelude, one step after the other, each to its end.
    pub(super) fn prelude(setting: Setting<'_>, log: &mut Log) -> Self {
        let mut world = Self::new(setting, log);
        for op in setting.plan.prelude {
            world.play(setting, log, op);
            world.run(setting, log, |action| action.is_progress());
            assert!(
                world.steps <= super::STEPS_MAX,
                "the prelude of {} has no end",
                setting.plan.name
            );
        }
        for op in setting.plan.begun {
            world.play(setting, log, op);
        }
        world.steps = 0;
        world
    }

    fn carry_out(&mut self, setting: Setting<'_>, log: &mut Log, action: Action) {
        match action {
            Action::Track(track) => {
                let Some(op) = self.next_op(setting.plan, track) else { return };
                self.tracks[track] += 1;
                self.play(setting, log, op);
            }
            Action::Lose(from, to) => self.lose(setting, from, to),
            Action::Send(p) => self.send(setting, log, p),
            Action::Gathered(server) => self.gathered(server),
            Action::Proposal(from, to) => self.hear_proposal(from, to),
            Action::Served(p) => self.hear_server(setting, log, p),
            Action::BlockOk(p) => self.block_ok(setting, log, p),
            Action::Packet(from, to) | Action::Handed(from, to) => {
                let next = self
                    .end(to)
                    .and_then(|end| Some(end.received[usize::from(end.view().rank(from)?)] + 1));
                self.receive(setting, log, from, to, next.unwrap_or(0));
            }
            Action::Pull(origin, to) => {
                let agreed = self
                    .end(to)
                    .and_then(|end| end.lacks_agreed(usize::from(end.view().rank(origin)?)));
                self.receive(setting, log, origin, to, agreed.unwrap_or(0));
            }
            Action::Sync { from, cid, to } => self.hear_sync(setting, log, (to, from, cid)),
            Action::Ask { from, cid, to } => {
                if let Some(sync) = self.kept_sync(from, cid) {
                    self.take_sync(setting, log, (to, from, cid), &sync);
                }
            }
            Action::Deliver(from, p) => self.deliver(setting, log, (from, Stage::Regular), p),
            Action::Install(p) => self.install(setting, log, p),
            Action::Beat(from, to) => {
                self.end_mut(to).into_iter().for_each(|end| end.see_moved(from));
            }
        }
    }

    /// The sets on which the notification service has settled: all homes of the clients report the
    /// same, and all of those live and are attached.
    fn settled_sets(&self) -> Vec<Vec<ProcessId>> {
        let mut sets = Vec::new();
        for moshe in &self.servers {
            let report = moshe.report();
            let attached = report.iter().all(|client| {
                self.server(client.home).report() == report
                    && self.attachment(client.process) == Some(client.attachment)
            });
            let set: Vec<ProcessId> = report.iter().map(|client| client.process).collect();
            if attached && !set.is_empty() && !sets.contains(&set) {
                sets.push(set);
            }
        }
        sets
    }

    /// What is wrong with a world in which nothing happens by itself any more; who it concerns.
    pub(super) fn judge_end(&self) -> Option<Vec<ProcessId>> {
        self.settled_sets().into_iter().find(|set| !self.is_together(set))
    }

    /// All of `set` are in one view of just them, no change is under way, and everything said has
    /// come to all.
    fn is_together(&self, set: &[ProcessId]) -> bool {
        let mut ends = set.iter().map(|p| self.end(*p));
        let Some(Some(first)) = ends.next() else { return false };
        let view = first.view();
        let has_all = |end: &End| {
            view.members().iter().enumerate().all(|(rank, origin)| {
                let (sent, _) = self.net.sent(*origin, view, *origin);
                end.delivered[rank] == sent
            })
        };
        // A process that is told of a change and of no view does not advance.
        let rests = |end: &End| end.view() == view && end.sync.change().is_none() && has_all(end);
        view.members() == set && rests(first) && ends.all(|end| end.is_some_and(rests))
    }
}
