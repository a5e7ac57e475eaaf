//! One group at one server: its clients here and elsewhere, who accuses whom, and what follows for its view.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::accuse::Exclusion;
use super::identity::Waiting;
use super::links::Links;
use super::moshe::{Floor, Moshe, Step};
use super::profiles::Profiles;
use super::{ConnId, Departure, Note, ServerConfig, ServerCounters, notify};
use crate::ident::{Cid, GroupName, ProcessId, ServerId};
use crate::member::DetachReason;
use crate::member::attached::{Attached, Attachment, Report, Settled};
use crate::member::message::{Peer, PeerWord, Reply};
use crate::member::past::Past;
use crate::member::profile::Held;
use crate::member::proposal::{Mode, Proposal};
use crate::rule::Rules;
use crate::status::Decided;
use crate::time::Time;
use crate::view::{VIEW_MEMBERS_MAX, View};

/// Processes whose cids are remembered after they have gone.
const REMEMBERED_MAX: usize = 4 * VIEW_MEMBERS_MAX;

/// What a group wants to be sent.
#[derive(Debug)]
pub(super) enum Send {
    Client(ConnId, Reply),
    /// A change of the same set to many: over which connection, the number of the attachment, the cid.
    StartChange(Vec<(ConnId, u64, Cid)>, Vec<Peer>),
    Server(ServerId, PeerWord),
    /// To all peers: the clients here, as they are when it is sent; its version says so.
    Clients,
    /// To all peers: a client here is attached no more.
    Gone(ProcessId, Departure),
}

/// What the server lends to a group for the time of a call.
pub(super) struct Cx<'a> {
    pub(super) now: Time,
    pub(super) me: ServerId,
    pub(super) config: &'a ServerConfig,
    pub(super) counters: &'a mut ServerCounters,
    pub(super) sends: Vec<Send>,
    pub(super) notes: Vec<Note>,
    /// The clock, in ms of UNIX time.
    pub(super) clock_ms: u64,
    /// The servers with which this one shares views.
    pub(super) clique: &'a [ServerId],
    pub(super) own_links: &'a Links,
    /// A server is connected that has no clients yet since it is looking for others.
    pub(super) gathering: bool,
}

/// A client that is attached here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    pub(super) conn: ConnId,
    pub(super) peer: Peer,
    pub(super) attachment: Attachment,
    /// Numbers go on from what the client was given, by whomever.
    pub(super) floor: Floor,
    /// Members of the largest view that it has room for.
    pub(super) members_max: u16,
    /// Where it was when it attached.
    pub(super) settled: Option<Settled>,
}

impl Local {
    pub(super) fn detached(&self, group: GroupName, reason: DetachReason, retry_ms: u64) -> Reply {
        Reply::Detached { group, counter: self.attachment.counter, reason, retry_ms }
    }
}

/// The clients of another server.
#[derive(Clone, Debug, Default)]
pub(super) struct Remote {
    /// The version of what was heard: over two connections a word may come twice, or an old one late.
    version: u64,
    pub(super) clients: Vec<(Attached, SocketAddr)>,
    /// The server was lost: until when its clients stay, since they may come over (rule 5.5).
    pub(super) lost_until: Option<Time>,
}

/// Why a report may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Arrival,
    Departure,
    /// Another server proposes what this one put off.
    Proposed,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: GroupName,
    pub(super) moshe: Moshe,
    pub(super) locals: BTreeMap<ProcessId, Local>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) remotes: BTreeMap<ServerId, Remote>,
    pub(super) accusations: BTreeMap<ProcessId, Vec<ProcessId>>,
    /// When the accusations are judged.
    pub(super) judge_at: Option<Time>,
    pub(super) excluded: BTreeMap<ProcessId, Exclusion>,
    /// When the proposal goes out that waits for more arrivals.
    gather_at: Option<Time>,
    /// Until when arrivals are put off for servers that have just started.
    pub(super) put_off_until: Option<Time>,
    /// What is to be reported then, if more has changed since that wait began.
    gathered: Option<Report>,
    /// What all members share.
    pub(super) profiles: Profiles,
    /// When the change that is under way was told first.
    changing_since: Option<Time>,
    pub(super) decided: Option<Decided>,
    /// A view that a client brought along when nobody else was known, and until when its members are waited for.
    pub(super) regroup: Option<(View, Time)>,
}

impl Group {
    pub(super) fn new(name: &GroupName, me: ServerId, boot: u64, rules: Rules) -> Self {
        Self {
            name: name.clone(),
            moshe: Moshe::new(me, boot, rules),
            locals: BTreeMap::new(),
            waiting: Vec::new(),
            remotes: BTreeMap::new(),
            accusations: BTreeMap::new(),
            judge_at: None,
            excluded: BTreeMap::new(),
            gather_at: None,
            put_off_until: None,
            gathered: None,
            profiles: Profiles::default(),
            changing_since: None,
            regroup: None,
            decided: None,
        }
    }

    /// Whether nobody is or waits here, so that it can be forgotten.
    pub(super) fn is_idle(&self) -> bool {
        self.locals.is_empty()
            && self.waiting.is_empty()
            && self.remotes.values().all(|remote| remote.clients.is_empty())
    }

    /// Whether `process` is attached or waits over this connection.
    pub(super) fn knows(&self, process: ProcessId, conn: ConnId) -> bool {
        self.locals.get(&process).is_some_and(|local| local.conn == conn)
            || self.waiting.iter().any(|w| w.local.conn == conn)
    }

    /// The clients here.
    pub(super) fn clients(&self) -> Vec<(Attached, SocketAddr)> {
        let (home, profile) = (self.moshe.me(), self.profiles.fingerprint());
        let attached = |(&process, local): (&ProcessId, &Local)| {
            let Local { attachment, members_max, peer, settled, .. } = *local;
            (Attached { process, attachment, home, members_max, settled, profile }, peer.addr)
        };
        self.locals.iter().map(attached).collect()
    }

    /// Tells the other servers of the clients here.
    pub(super) fn tell_clients(&self, cx: &mut Cx<'_>) {
        if cx.own_links.is_any_connected() {
            cx.sends.push(Send::Clients);
        }
    }

    pub(super) fn proposal(&self) -> Option<&Proposal> {
        self.moshe.mine()
    }

    /// A client asks for membership; of what it says of others, numbers up to `claims_max` are believed.
    pub(super) fn attach(&mut self, cx: &mut Cx<'_>, local: Local, past: &Past, claims_max: u64) {
        let process = local.peer.process;
        if self.locals.get(&process).is_some_and(|old| old.supersedes(&local)) {
            return;
        }
        if let Some(e) = self.excluded.get(&process).filter(|e| cx.now < e.until) {
            let (by, retry_ms) = (e.by.clone(), e.until.millis_since(cx.now) + 1);
            return self.refuse(cx, &local, DetachReason::Accused { by }, retry_ms);
        }
        if self.is_full_for(cx, &local) {
            return self.refuse(cx, &local, DetachReason::ServerFull, cx.config.readmit_ms);
        }
        self.learn(past, claims_max);
        self.profiles.handle_attach(local.conn, past);
        if let Some(holder) = self.holder(&local) {
            return self.wait(cx, local, holder);
        }
        if local.settled.is_some() && self.moshe.is_ignorant() && self.regroup.is_none() {
            let until = cx.now.plus_ms(cx.config.regroup_ms);
            self.regroup = past.mbr_view.clone().map(|view| (view, until));
        }
        self.admit(cx, local);
    }

    /// Whether a view with `local` would be too large for one of its members, or for `local` itself. Those count as well who
    /// were let in and are not reported yet. Nobody who is there has to go for a newcomer.
    fn is_full_for(&self, cx: &Cx<'_>, local: &Local) -> bool {
        let (known, _) = self.report(cx);
        let others = || known.iter().filter(|c| c.process != local.peer.process);
        let room = others().map(|c| c.members_max).chain([local.members_max]).min();
        others().count() + self.waiting.len() >= usize::from(room.unwrap_or_default())
    }

    /// The view that a client is in names cids that others were given, maybe by servers that have forgotten.
    fn learn(&mut self, past: &Past, claims_max: u64) {
        let views = past.mbr_view.iter().filter(|view| view.validate().is_ok());
        let given = views.flat_map(|v| v.members().iter().zip(v.start_ids()));
        for (&member, &cid) in given.filter(|(_, cid)| cid.0 <= claims_max) {
            self.moshe.learn(member, cid);
        }
        let report = self.moshe.report().clone();
        self.trim_memory(&report);
    }

    /// Lets a client in, if it goes together with the profile of the group.
    pub(super) fn admit(&mut self, cx: &mut Cx<'_>, local: Local) {
        let process = local.peer.process;
        self.stop_waiting(&local);
        let is_first = self.locals.keys().all(|other| *other == process);
        let who = (local.conn, process);
        match self.profiles.handle_admission(who, is_first, cx.clock_ms) {
            Ok(news) => self.tell_profile(cx, &local, news),
            Err(mismatch) => {
                return self.refuse(cx, &local, DetachReason::Profile(mismatch), 0);
            }
        }
        self.accusations.remove(&process);
        self.moshe.raise(process, local.floor);
        self.locals.insert(process, local);
        let (locals, waiting) = (&self.locals, &self.waiting);
        self.profiles.retain(|conn| {
            let waits = waiting.iter().any(|w| w.local.conn == conn);
            waits || locals.values().any(|local| local.conn == conn)
        });
        let (group, addr) = (self.name.clone(), local.peer.addr);
        cx.notes.push(Note::Attached { group, process, addr });
        self.tell_clients(cx);
        self.renotify(cx, Cause::Arrival);
    }

    /// Another server tells of its clients, and of the profile that they have.
    pub(super) fn hear_clients(
        &mut self,
        cx: &mut Cx<'_>,
        server: ServerId,
        version: u64,
        mut clients: Vec<(Attached, SocketAddr)>,
        held: Option<Held>,
    ) {
        if self.remotes.get(&server).is_some_and(|remote| version <= remote.version) {
            return;
        }
        clients.retain(|(client, _)| client.home == server);
        clients.truncate(VIEW_MEMBERS_MAX);
        clients.sort_unstable_by_key(|(client, _)| client.process);
        clients.dedup_by_key(|(client, _)| client.process);
        let stays = |old: &Attached| {
            clients.binary_search_by_key(&old.process, |(new, _)| new.process).is_ok()
        };
        let before = self.remotes.get(&server).map_or(&[][..], |remote| &remote.clients);
        let gone = !before.iter().all(|(old, _)| stays(old));
        self.profiles.handle_held(server, held.filter(|_| !clients.is_empty()));
        self.remotes.insert(server, Remote { version, clients, lost_until: None });
        self.change_profile(cx);
        if !self.admit_heirs(cx) {
            self.renotify(cx, if gone { Cause::Departure } else { Cause::Arrival });
        }
    }

    /// A server began another life.
    pub(super) fn forget_server(&mut self, server: ServerId) {
        self.moshe.forget_server(server);
    }

    pub(super) fn hear_proposal(&mut self, cx: &mut Cx<'_>, proposal: Proposal) {
        if self.moshe.is_stale(&proposal) {
            return;
        }
        let waits = self.put_off_until.is_some() || self.regroup.is_some();
        let calls = waits && self.report(cx).0 == proposal.set;
        let steps = self.moshe.receive(proposal);
        self.take(cx, steps);
        if calls {
            self.renotify(cx, Cause::Proposed);
        } else if self.regroup.is_some() {
            self.renotify(cx, Cause::Arrival);
        }
    }

    /// The links between servers have changed.
    pub(super) fn review(&mut self, cx: &mut Cx<'_>, lost: bool) {
        // One that is back says whom it has. Of groups that it does not know any more it says nothing: then its clients
        // of that time go when their grace is over.
        for (server, remote) in &mut self.remotes {
            if !cx.own_links.is_connected(*server) && remote.lost_until.is_none() {
                remote.lost_until = Some(cx.now.plus_ms(cx.config.reattach_ms));
                remote.version = 0; // no old word is under way any more
            }
        }
        self.forget_strangers(cx);
        self.renotify(cx, if lost { Cause::Departure } else { Cause::Arrival });
    }

    #[cfg(test)]
    pub(super) fn servers_remembered(&self) -> usize {
        self.moshe.servers_remembered()
    }

    /// What a server said counts while it is connected, and for its grace.
    fn forget_strangers(&mut self, cx: &Cx<'_>) {
        let remotes = &self.remotes;
        self.moshe.retain_servers(|server| {
            *server == cx.me || cx.own_links.is_connected(*server) || remotes.contains_key(server)
        });
    }

    /// What the notification service reports now, and who would be in it if all members had room for so many.
    fn report(&self, cx: &Cx<'_>) -> (Report, Report) {
        // The clients of a server that was lost may come over.
        let grace = |server: ServerId, remote: &Remote| {
            remote.lost_until.is_some_and(|until| cx.now < until) && cx.own_links.counts(server)
        };
        let mut best: BTreeMap<ProcessId, Attached> = BTreeMap::new();
        let remotes = self
            .remotes
            .iter()
            .filter(|(server, remote)| cx.clique.contains(server) || grace(**server, remote))
            .flat_map(|(_, remote)| remote.clients.iter().map(|(client, _)| *client));
        for client in remotes.chain(self.clients().into_iter().map(|(client, _)| client)) {
            let entry = best.entry(client.process).or_insert(client);
            if (client.attachment, client.home) > (entry.attachment, entry.home) {
                *entry = client;
            }
        }
        notify::fit(best.into_values().collect())
    }

    /// Components that come together may be too many for one view: the servers of those that find no room tell them.
    fn turn_away(&mut self, cx: &mut Cx<'_>, left_over: &Report) {
        let here = left_over.iter().filter(|client| client.home == cx.me);
        let locals: Vec<Local> =
            here.filter_map(|client| self.locals.remove(&client.process)).collect();
        for local in &locals {
            self.expel(cx, local, DetachReason::ServerFull, cx.config.readmit_ms);
        }
        if !locals.is_empty() {
            self.tell_clients(cx);
        }
    }

    pub(super) fn renotify(&mut self, cx: &mut Cx<'_>, cause: Cause) {
        let (report, left_over) = self.report(cx);
        self.turn_away(cx, &left_over);
        self.give_up_ids(cx, &report);
        let brought = self.regroup.as_ref().and_then(|(view, _)| self.brought(view, &report));
        let is_news = report != *self.moshe.report();
        let waits = self.is_regrouping(cx, &report) || cause == Cause::Arrival && self.puts_off(cx);
        if is_news && waits {
            return;
        }
        self.put_off_until = None;
        if is_news {
            self.regroup = None;
            if self.moshe.follow(&report, brought) {
                (self.gather_at, self.gathered, self.changing_since) = (None, None, None);
                return self.forget_gone(&report);
            }
        }
        let gather_ms = match cause {
            Cause::Arrival => cx.config.gather_join_ms,
            Cause::Departure => cx.config.gather_crash_ms,
            Cause::Proposed => 0,
        };
        let at = cx.now.plus_ms(gather_ms);
        let at = self.gather_at.map_or(at, |gather| gather.min(at));
        // The clients were told of the first change at once (rule 5.12). To tell them of each further one takes the square
        // of their number, to all of them.
        let gather = at > cx.now;
        let many = report.len() > cx.config.announce_max;
        if many && gather && self.gather_at.is_some() {
            self.gather_at = Some(at);
            self.gathered = is_news.then_some(report);
        } else if is_news {
            self.gather_at = gather.then_some(at);
            self.report_now(cx, report);
        } else {
            self.gathered = None;
        }
    }

    /// Reports to the agreement, which waits for more if that is being gathered.
    fn report_now(&mut self, cx: &mut Cx<'_>, report: Report) {
        self.gathered = None;
        self.forget_gone(&report);
        let steps = self.moshe.notify(report, self.gather_at.is_some());
        self.take(cx, steps);
    }

    /// The view that all clients here brought along, and no other one elsewhere, if it has just the members that are
    /// reported.
    fn brought(&self, view: &View, report: &Report) -> Option<Settled> {
        let settled = Settled::in_view(view);
        let all = report.iter().map(|client| &client.process).eq(view.members());
        let mut here = self.locals.values();
        let same = here.all(|local| local.settled == Some(settled))
            && report.iter().all(|client| client.settled.is_none_or(|brought| brought == settled));
        (all && same).then_some(settled)
    }

    /// Whether others may be about to come from the view that a client brought along, and nobody changes it meanwhile.
    fn is_regrouping(&self, cx: &Cx<'_>, report: &Report) -> bool {
        let Some((view, until)) = &self.regroup else { return false };
        let reported = |p: &ProcessId| report.iter().any(|client| client.process == *p);
        let here = report.iter().any(|client| client.home == cx.me);
        cx.now < *until
            && here
            && !view.members().iter().all(reported)
            && !self.moshe.owes_answer(report)
    }

    /// Forgets what those who are not members said, and them beyond a bound.
    fn forget_gone(&mut self, report: &Report) {
        let stays = |by: &ProcessId| report.binary_search_by_key(by, |c| c.process).is_ok();
        self.accusations.retain(|by, _| stays(by));
        self.trim_memory(report);
    }

    /// Forgets processes that are not members, beyond a bound.
    fn trim_memory(&mut self, report: &Report) {
        if self.excluded.len() > REMEMBERED_MAX {
            self.excluded.pop_first();
        }
        if self.moshe.remembered().len() <= REMEMBERED_MAX {
            return;
        }
        let is_gone = |p: &ProcessId| report.binary_search_by_key(p, |c| c.process).is_err();
        let gone: Vec<ProcessId> = self.moshe.remembered().filter(is_gone).collect();
        for process in gone.iter().take(gone.len().saturating_sub(REMEMBERED_MAX)) {
            self.moshe.forget(*process);
        }
    }

    /// Carries out what the agreement says.
    fn take(&mut self, cx: &mut Cx<'_>, steps: Vec<Step>) {
        let mut told = Vec::new();
        for step in steps {
            if let Step::StartChange(process, cid) = step {
                let local = self.locals.get(&process);
                told.extend(local.map(|local| (local.conn, local.attachment.counter, cid)));
                continue;
            }
            self.start_change(cx, core::mem::take(&mut told));
            match step {
                Step::StartChange(..) => {}
                Step::Propose(servers) => {
                    cx.counters.proposals += 1;
                    let Some(proposal) = self.moshe.mine().cloned() else { continue };
                    for server in servers {
                        let (group, proposal) = (self.name.clone(), proposal.clone());
                        cx.sends.push(Send::Server(server, PeerWord::Proposal { group, proposal }));
                    }
                }
                Step::View(view, mode) => {
                    for local in self.locals.values() {
                        if view.contains(local.peer.process) {
                            let (group, view) = (self.name.clone(), view.clone());
                            let counter = local.attachment.counter;
                            let reply = Reply::View { group, counter, view };
                            cx.sends.push(Send::Client(local.conn, reply));
                        }
                    }
                    self.decide(cx, view, mode == Mode::Fast);
                }
            }
        }
        self.start_change(cx, told);
    }

    /// A view was decided.
    fn decide(&mut self, cx: &mut Cx<'_>, view: View, fast: bool) {
        let since = self.changing_since.take().unwrap_or(cx.now);
        let took_ms = cx.now.millis_since(since);
        self.decided = Some(Decided { view: view.id(), fast, took_ms });
        cx.counters.views_fast += u64::from(fast);
        cx.counters.views_slow += u64::from(!fast);
        cx.counters.change_ms_sum += took_ms;
        cx.counters.change_ms_max = cx.counters.change_ms_max.max(took_ms);
        cx.notes.push(Note::View { group: self.name.clone(), view, fast });
    }

    fn start_change(&mut self, cx: &mut Cx<'_>, to: Vec<(ConnId, u64, Cid)>) {
        if to.is_empty() {
            return;
        }
        let peer = |client: &Attached| Peer {
            process: client.process,
            incarnation: client.attachment.incarnation,
            addr: self.addr(client),
        };
        let peers: Vec<Peer> = self.moshe.report().iter().map(peer).collect();
        let set = peers.iter().map(|peer| peer.process).collect();
        cx.sends.push(Send::StartChange(to, peers));
        cx.counters.changes += 1;
        self.changing_since.get_or_insert(cx.now);
        cx.notes.push(Note::StartChange { group: self.name.clone(), set });
    }

    pub(super) fn addr(&self, client: &Attached) -> SocketAddr {
        let remote = || {
            let clients = &self.remotes.get(&client.home)?.clients;
            let at = clients.binary_search_by_key(&client.process, |(c, _)| c.process).ok()?;
            Some(clients[at]).filter(|(c, _)| c == client).map(|(_, addr)| addr)
        };
        let local = self.locals.get(&client.process).map(|local| local.peer.addr);
        let known = if client.home == self.moshe.me() { local } else { remote() };
        known.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let waiting = self.waiting.iter().map(Waiting::next_look);
        let lost = self.remotes.values().filter_map(|remote| remote.lost_until);
        let regroup = self.regroup.as_ref().map(|(_, until)| *until);
        waiting
            .chain(lost)
            .chain(self.gather_at)
            .chain(self.judge_at)
            .chain(self.put_off_until)
            .chain(regroup)
            .min()
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.gather_at.is_some_and(|at| cx.now >= at) {
            self.gather_at = None;
            match self.gathered.take() {
                Some(report) => self.report_now(cx, report),
                None => {
                    let steps = self.moshe.gathered();
                    self.take(cx, steps);
                }
            }
        }
        if self.regroup.as_ref().is_some_and(|(_, until)| cx.now >= *until) {
            self.renotify(cx, Cause::Departure);
            self.regroup = None;
        }
        if self.judge_at.is_some_and(|at| cx.now >= at) {
            self.judge_at = None;
            self.judge(cx);
        }
        if self.put_off_until.is_some_and(|until| cx.now >= until) {
            self.put_off_until = None;
            self.renotify(cx, Cause::Proposed);
        }
        let late = |remote: &Remote| remote.lost_until.is_some_and(|until| cx.now >= until);
        let lost: Vec<ServerId> =
            self.remotes.iter().filter(|(_, r)| late(r)).map(|(server, _)| *server).collect();
        if !lost.is_empty() {
            for server in lost {
                self.give_up_server(cx, server);
            }
            self.forget_strangers(cx);
            if !self.admit_heirs(cx) {
                self.renotify(cx, Cause::Departure);
            }
        }
        self.refuse_strangers(cx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::Incarnation;

    #[test]
    fn processes_that_are_gone_are_remembered_within_a_bound_and_members_always() {
        let name = GroupName::new("chat").unwrap();
        let mut group = Group::new(&name, ServerId(1), 1, Rules::default());
        let attachment = Attachment { incarnation: Incarnation::new(1), counter: 1 };
        let (process, home) = (ProcessId(1), ServerId(1));
        let settled = None;
        let report = Vec::from([Attached {
            process,
            attachment,
            home,
            members_max: 16,
            settled,
            profile: 0,
        }]);
        let mut learn = |upto| {
            for p in (1..=upto as u64).map(ProcessId) {
                group.moshe.learn(p, Cid(1));
                let exclusion = Exclusion { until: Time::ZERO, pause_ms: 1, by: Vec::new() };
                group.excluded.insert(p, exclusion);
                group.trim_memory(&report);
            }
            (group.moshe.remembered().count(), group.excluded.len())
        };
        assert_eq!(learn(3 * VIEW_MEMBERS_MAX), (3 * VIEW_MEMBERS_MAX, 3 * VIEW_MEMBERS_MAX));
        assert_eq!(learn(REMEMBERED_MAX + 9), (REMEMBERED_MAX + 1, REMEMBERED_MAX));
        assert_eq!(group.moshe.remembered().min(), Some(process));
    }
}
