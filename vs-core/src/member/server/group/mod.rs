//! One group at one server: its clients here and elsewhere, who accuses whom, and what follows for
//! its view.
//!
//! What clients and servers say changes the attachments or the accusations; from these follows a
//! report of who can be in the next view; a report that is news goes to the agreement, at once or
//! after a wait.

mod accusations;
mod accuse;
mod attachments;
mod departures;
mod effects;
mod gathering;
mod pauses;
mod profile;
mod profiles;
mod status;

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::agreement::{Agreement, Step};
use super::conn_id::ConnId;
use super::note::Note;
use super::notify;
use crate::ident::{Cid, GroupName, ProcessId, ServerId};
use crate::member::attached::{Attached, Report, ReportId, Settled};
use crate::member::message::{Peer, PeerWord, Reply};
use crate::member::past::Past;
use crate::member::profile::Held;
use crate::member::proposal::{Mode, Proposal};
use crate::member::{Departure, DetachReason};
use crate::rule::Rules;
use crate::seal::Seed;
use crate::status::Decided;
use crate::time::Time;
use crate::view::View;
use accusations::Accusations;
use attachments::Attachments;
pub(super) use attachments::Local;
pub(super) use effects::{Cx, FEW_SERVERS, Send, more_ms};
use gathering::{Cause, Gathering, PutOff};
#[cfg(test)]
pub(super) use pauses::FORGIVEN_MS;
use pauses::Pauses;
pub(super) use pauses::REMEMBERED_MAX;
use profiles::Profiles;

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    name: GroupName,
    agreement: Agreement,
    attachments: Attachments,
    accusations: Accusations,
    /// Clients whose id is claimed over another connection.
    claimed: Pauses,
    /// Clients that found no room.
    full: Pauses,
    gathering: Gathering,
    /// What all members share.
    profiles: Profiles,
    /// Arrivals are put off for servers that have just started.
    put_off: PutOff,
    /// A view that a client brought along when nobody else was known, and until when its members
    /// are waited for.
    regroup: Option<(View, Time)>,
    /// When the change that is under way was told first.
    changing_since: Option<Time>,
    decided: Option<Decided>,
}

impl Group {
    pub(super) fn new(name: &GroupName, me: ServerId, boot: u64, rules: Rules) -> Self {
        Self {
            name: name.clone(),
            agreement: Agreement::new(me, boot, rules),
            attachments: Attachments::new(me),
            accusations: Accusations::default(),
            claimed: Pauses::default(),
            full: Pauses::default(),
            gathering: Gathering::default(),
            profiles: Profiles::default(),
            put_off: PutOff::default(),
            regroup: None,
            changing_since: None,
            decided: None,
        }
    }

    /// Views have secrets from now on.
    pub(super) fn set_shares(&mut self, shares: Seed) {
        self.agreement.set_shares(shares);
    }

    /// Whether nobody is attached or waits here, so that the group can be forgotten.
    pub(super) fn is_idle(&self) -> bool {
        self.attachments.is_empty()
    }

    /// Whether `process` is attached or waits over this connection.
    pub(super) fn knows(&self, process: ProcessId, conn: ConnId) -> bool {
        self.attachments.knows(process, conn)
    }

    /// The clients here.
    pub(super) fn clients(&self) -> Vec<(Attached, SocketAddr)> {
        self.attachments.clients(self.profiles.fingerprint())
    }

    /// The own proposal that was sent last.
    pub(super) fn proposal(&self) -> Option<&Proposal> {
        self.agreement.mine()
    }

    /// Whom the clients here accuse.
    pub(super) fn local_accusations(&self) -> Vec<(ProcessId, Vec<ProcessId>)> {
        self.accusations.of_locals(|by| self.attachments.local(by).is_some())
    }

    /// A client asks for membership; of what it says of others, numbers up to `claims_max` are
    /// believed.
    pub(super) fn handle_attach(
        &mut self,
        cx: &mut Cx<'_>,
        local: Local,
        past: &Past,
        claims_max: u64,
    ) {
        if let Some((by, retry_ms)) = self.accusations.excluded(cx.now, local.peer.process) {
            return self.refuse(cx, &local, DetachReason::Accused { by }, retry_ms);
        }
        if self.is_full_for(cx, &local) {
            let (now, process) = (cx.now, local.peer.process);
            let retry_ms = self.full.begin(now, process, cx.config.readmit_ms);
            return self.refuse(cx, &local, DetachReason::ServerFull, retry_ms);
        }
        self.learn(past, claims_max);
        self.profiles.handle_attach(local.conn, past);
        if let Some(holder) = self.attachments.holder(&local) {
            let silence_ms = cx.config.silence_ms;
            self.stop_waiting(cx, &local);
            if let Some(reason) =
                self.attachments.handle_duplicate(cx.now, local, holder, silence_ms)
            {
                self.refuse_id(cx, &local, reason);
            }
            return;
        }
        if local.settled.is_some() && self.agreement.is_ignorant() && self.regroup.is_none() {
            let until = cx.now.plus_ms(cx.config.regroup_ms);
            self.regroup = past.mbr_view.clone().map(|view| (view, until));
        }
        self.admit(cx, local);
    }

    /// Whether a view with `local` would be too large for one of its members, or for `local`
    /// itself. Those count as well who were admitted and are not reported yet. Nobody who is there
    /// has to go for a newcomer.
    fn is_full_for(&self, cx: &Cx<'_>, local: &Local) -> bool {
        let (known, _) = self.report(cx);
        let others = || known.iter().filter(|c| c.process != local.peer.process);
        let room = others().map(|c| c.members_max).chain([local.members_max]).min();
        others().count() + self.attachments.waiting() >= usize::from(room.unwrap_or_default())
    }

    /// The view that a client is in names cids that others were given, maybe by servers that have
    /// forgotten.
    fn learn(&mut self, past: &Past, claims_max: u64) {
        let views = past.mbr_view.iter().filter(|view| view.validate().is_ok());
        let given = views.flat_map(|v| v.members().iter().zip(v.start_ids()));
        for (&member, &cid) in given.filter(|(_, cid)| cid.0 <= claims_max) {
            self.agreement.learn(member, cid);
        }
        let report = self.agreement.report().clone();
        self.trim_memory(&report);
    }

    /// Admits a client, if it can have the profile of the group.
    fn admit(&mut self, cx: &mut Cx<'_>, local: Local) {
        let process = local.peer.process;
        self.stop_waiting(cx, &local);
        let is_first = self.attachments.locals().all(|other| other.peer.process == process);
        match self.profiles.handle_admission((local.conn, process), is_first, cx.clock_ms) {
            Ok(news) => self.tell_profile(cx, &local, news),
            Err(mismatch) => {
                return self.refuse(cx, &local, DetachReason::Profile(mismatch), 0);
            }
        }
        self.accusations.forget(process);
        self.agreement.raise(process, local.floor);
        self.attachments.attach(local);
        let attachments = &self.attachments;
        self.profiles.retain(|conn| attachments.is_in_use(conn));
        let (group, addr) = (self.name.clone(), local.peer.addr);
        cx.notes.push(Note::Attached { group, process, addr });
        tell_clients(cx);
        self.renotify(cx, Cause::Arrival);
    }

    /// Admits those who wait for an id that nobody holds any more; false if there are none.
    fn admit_heirs(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut any = false;
        while let Some(heir) = self.attachments.next_heir() {
            self.admit(cx, heir);
            any = true;
        }
        any
    }

    /// Another server tells of its clients, and of the profile that they have.
    pub(super) fn handle_clients(
        &mut self,
        cx: &mut Cx<'_>,
        server: ServerId,
        version: u64,
        clients: Vec<(Attached, SocketAddr)>,
        held: Option<Held>,
    ) {
        let Some(gone) = self.attachments.handle_clients(server, version, clients) else { return };
        let has_any = self.attachments.has_clients_of(server);
        self.profiles.handle_held(server, held.filter(|_| has_any));
        self.change_profile(cx);
        if !self.admit_heirs(cx) {
            self.renotify(cx, if gone { Cause::Departure } else { Cause::Arrival });
        }
    }

    /// A server was restarted.
    pub(super) fn forget_server(&mut self, server: ServerId) {
        self.agreement.forget_server(server);
    }

    /// `server`, which was lost, was a part of `process`: that is dead, too, and does not attach
    /// elsewhere.
    pub(super) fn forget_embedded(&mut self, server: ServerId, process: ProcessId) {
        self.attachments.forget_embedded(server, process);
    }

    /// Another server proposes. Without clients here this server has no say, and nothing to learn:
    /// a client that comes tells what it was given. Whoever has a say told of its clients before.
    pub(super) fn handle_proposal(&mut self, cx: &mut Cx<'_>, proposal: Proposal) {
        let has_say = self.attachments.locals().next().is_some();
        if !has_say || !proposal.is_credible() || self.agreement.is_stale(&proposal) {
            return;
        }
        let is_home = self.attachments.has_clients_of(proposal.from);
        if !is_home || self.agreement.is_made_up(&proposal) {
            cx.counters.proposals_dropped += 1;
            return;
        }
        let waits = self.put_off.is_on() || self.regroup.is_some();
        let calls = waits && ReportId::of(&self.report(cx).0) == proposal.set;
        let steps = self.agreement.receive(proposal);
        cx.counters.proposals_dropped += self.agreement.trim_proposals();
        self.take(cx, steps);
        let report = self.agreement.report().clone();
        self.trim_memory(&report);
        if calls {
            self.renotify(cx, Cause::Proposed);
        } else if self.regroup.is_some() {
            self.renotify(cx, Cause::Arrival);
        }
    }

    /// `server` is connected no more; what follows is looked at later. Its clients stay until
    /// `until`.
    pub(super) fn handle_lost(&mut self, server: ServerId, until: Time) {
        self.attachments.handle_lost(server, until);
    }

    /// The links between servers have changed; `lost`: a server was lost.
    pub(super) fn handle_links(&mut self, cx: &mut Cx<'_>, lost: bool) {
        let until = cx.now.plus_ms(cx.config.reattach_ms);
        self.attachments.handle_links(|server| cx.links.is_connected(server), until);
        self.forget_strangers(cx);
        self.renotify(cx, if lost { Cause::Departure } else { Cause::Arrival });
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.agreement.remembered().len()
    }

    #[cfg(test)]
    pub(super) fn servers_remembered(&self) -> usize {
        self.agreement.servers_remembered()
    }

    /// What a server said counts while it is connected, and for its grace.
    fn forget_strangers(&mut self, cx: &Cx<'_>) {
        let attachments = &self.attachments;
        self.agreement.retain_servers(|server| {
            *server == cx.me || cx.links.is_connected(*server) || attachments.knows_server(*server)
        });
    }

    /// What the notification service reports now, and who finds no room in that view.
    fn report(&self, cx: &Cx<'_>) -> (Report, Report) {
        // The clients of a server that was lost may attach elsewhere.
        let counts = |server| cx.links.counts(server);
        let own = self.clients();
        notify::fit(self.attachments.report(cx.now, cx.clique, counts, own))
    }

    /// Makes the report anew. The agreement gets it if it is news and there is no need to wait.
    fn renotify(&mut self, cx: &mut Cx<'_>, cause: Cause) {
        let (report, left_over) = self.report(cx);
        self.turn_away(cx, &left_over);
        self.give_up_ids(cx, &report);
        let brought = self.regroup.as_ref().and_then(|(view, _)| self.brought(view, &report));
        let is_news = report != *self.agreement.report();
        let cause = self.cause(cx, cause, &report);
        let waits = self.is_regrouping(cx, &report) || cause == Cause::Arrival && self.puts_off(cx);
        if is_news && waits {
            return;
        }
        self.put_off.end();
        if is_news {
            self.regroup = None;
            if self.agreement.follow(&report, brought) {
                self.gathering.end();
                self.changing_since = None;
                return self.forget_gone(&report);
            }
        }
        let wait = cx.wait(cause, self.is_unsettled());
        let many = report.len() > cx.config.announce_max;
        if let Some(report) = self.gathering.handle_change(cx.now, wait, (report, is_news), many) {
            self.report_now(cx, report);
        }
    }

    /// Whether a change is under way, or about to be.
    fn is_unsettled(&self) -> bool {
        self.agreement.is_changing() || self.gathering.is_open()
    }

    /// Reports to the agreement, which waits for more if that is being gathered.
    fn report_now(&mut self, cx: &mut Cx<'_>, report: Report) {
        self.forget_gone(&report);
        let steps = self.agreement.notify(report, self.gathering.is_open());
        self.take(cx, steps);
    }

    /// The view that all clients here brought along, and no other one elsewhere, if it has just the
    /// members that are reported.
    fn brought(&self, view: &View, report: &Report) -> Option<Settled> {
        let settled = Settled::in_view(view);
        let all = report.iter().map(|client| &client.process).eq(view.members());
        let mut here = self.attachments.locals();
        let same = here.all(|local| local.settled == Some(settled))
            && report.iter().all(|client| client.settled.is_none_or(|brought| brought == settled));
        (all && same).then_some(settled)
    }

    /// Whether others may still come from the view that a client brought, and nobody changes it.
    fn is_regrouping(&self, cx: &Cx<'_>, report: &Report) -> bool {
        let Some((view, until)) = &self.regroup else { return false };
        let reported = |p: &ProcessId| report.iter().any(|client| client.process == *p);
        let here = report.iter().any(|client| client.home == cx.me);
        cx.now < *until
            && here
            && !view.members().iter().all(reported)
            && !self.agreement.owes_answer(report)
    }

    /// Whether arrivals wait for servers that have just started. Nothing goes out meanwhile: a
    /// start_change would block the members.
    fn puts_off(&mut self, cx: &Cx<'_>) -> bool {
        let (ms, more_ms) = (cx.config.gather_max_ms, cx.more_ms());
        cx.gathering && self.put_off.waits(cx.now, ms, more_ms)
    }

    /// In a crowd, other links among the servers are no departure if all members stay.
    fn cause(&self, cx: &Cx<'_>, cause: Cause, report: &Report) -> Cause {
        let stays =
            |old: &Attached| report.binary_search_by_key(&old.process, |c| c.process).is_ok();
        match cause {
            Cause::Departure if cx.gather_ms() > 0 && self.agreement.report().iter().all(stays) => {
                Cause::Arrival
            }
            _ => cause,
        }
    }

    /// Forgets what those who are not members said, and them beyond a bound.
    fn forget_gone(&mut self, report: &Report) {
        let stays = |by: &ProcessId| report.binary_search_by_key(by, |c| c.process).is_ok();
        self.accusations.retain(stays);
        self.trim_memory(report);
    }

    /// Forgets processes that are neither members nor attached here, beyond a bound. One that is
    /// attached may be reported later, and says only once what it was given.
    fn trim_memory(&mut self, report: &Report) {
        self.accusations.trim();
        self.claimed.trim();
        self.full.trim();
        if self.agreement.remembered().len() <= REMEMBERED_MAX {
            return;
        }
        let is_gone = |p: &ProcessId| {
            let is_reported = report.binary_search_by_key(p, |c| c.process).is_ok();
            !is_reported && self.attachments.local(*p).is_none()
        };
        let gone: Vec<ProcessId> = self.agreement.remembered().filter(is_gone).collect();
        for process in gone.iter().take(gone.len().saturating_sub(REMEMBERED_MAX)) {
            self.agreement.forget(*process);
        }
    }

    /// Carries out what the agreement says.
    fn take(&mut self, cx: &mut Cx<'_>, steps: Vec<Step>) {
        let mut told = Vec::new();
        for step in steps {
            if let Step::StartChange(process, cid) = step {
                let local = self.attachments.local(process).filter(|l| self.is_reported(l));
                told.extend(local.map(|local| (local.conn, local.attachment.counter, cid)));
                continue;
            }
            self.start_change(cx, core::mem::take(&mut told));
            match step {
                Step::StartChange(..) => {}
                Step::Propose(servers) => {
                    cx.counters.proposals += 1;
                    let Some(proposal) = self.agreement.mine().cloned() else { continue };
                    let group = self.name.clone();
                    let proposal = PeerWord::Proposal { group, proposal };
                    cx.sends.push(Send::Servers(servers, proposal));
                }
                Step::View(view, mode, secret) => {
                    let is_told = |l: &&Local| view.contains(l.peer.process) && self.is_reported(l);
                    for local in self.attachments.locals().filter(is_told) {
                        let (group, view) = (self.name.clone(), view.clone());
                        let (counter, secret) = (local.attachment.counter, secret.clone());
                        let reply = Reply::View { group, counter, view, secret };
                        cx.sends.push(Send::Client(local.conn, reply));
                    }
                    self.decide(cx, view, mode == Mode::Fast);
                }
            }
        }
        self.start_change(cx, told);
    }

    /// Whether the agreement speaks of this attachment. A client that has attached anew since the
    /// last report was told of no change in its new attachment, and a view would break M5: a
    /// change of its own follows with the next report.
    fn is_reported(&self, local: &Local) -> bool {
        let (report, process) = (self.agreement.report(), local.peer.process);
        let at = report.binary_search_by_key(&process, |client| client.process);
        at.is_ok_and(|at| report[at].attachment == local.attachment)
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
            addr: self.attachments.addr(client),
        };
        let peers: Vec<Peer> = self.agreement.report().iter().map(peer).collect();
        let set = peers.iter().map(|peer| peer.process).collect();
        cx.sends.push(Send::StartChange(to, peers));
        cx.counters.changes += 1;
        self.changing_since.get_or_insert(cx.now);
        cx.notes.push(Note::StartChange { group: self.name.clone(), set });
    }

    /// When [`Group::handle_timeout`] is due.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        let regroup = self.regroup.as_ref().map(|(_, until)| *until);
        [
            self.attachments.next_timeout(),
            self.gathering.next_timeout(),
            self.accusations.next_timeout(),
            self.put_off.next_timeout(),
            regroup,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        match self.gathering.take_due(cx.now) {
            Some(Some(report)) => self.report_now(cx, report),
            Some(None) => {
                let steps = self.agreement.gathered();
                self.take(cx, steps);
            }
            None => {}
        }
        if self.regroup.as_ref().is_some_and(|(_, until)| cx.now >= *until) {
            self.renotify(cx, Cause::Departure);
            self.regroup = None;
        }
        if self.accusations.take_due(cx.now) {
            self.judge(cx);
        }
        if self.put_off.is_due(cx.now) && !self.puts_off(cx) {
            self.put_off.end();
            self.renotify(cx, Cause::Proposed);
        }
        self.give_up_late_servers(cx);
        let heard = |conn| cx.connections.heard(conn);
        let strangers = self.attachments.take_strangers(cx.now, heard);
        for (stranger, reason) in &strangers {
            self.refuse_id(cx, stranger, reason.clone());
        }
        if !strangers.is_empty() {
            self.admit_heirs(cx);
        }
    }

    /// The grace of the clients of lost servers is over.
    fn give_up_late_servers(&mut self, cx: &mut Cx<'_>) {
        let late = self.attachments.late_servers(cx.now);
        if late.is_empty() {
            return;
        }
        for server in late {
            self.profiles.handle_held(server, None);
            for process in self.attachments.give_up_server(server) {
                self.note_gone(cx, process, server, Departure::ServerLost);
            }
        }
        self.forget_strangers(cx);
        if !self.admit_heirs(cx) {
            self.renotify(cx, Cause::Departure);
        }
    }
}

/// Tells the other servers of the clients here.
fn tell_clients(cx: &mut Cx<'_>) {
    if cx.links.is_any_connected() {
        cx.sends.push(Send::Clients);
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::ServerConfig;
    use super::*;
    use crate::ident::Incarnation;
    use crate::member::attached::Attachment;
    use crate::view::VIEW_MEMBERS_MAX;

    #[test]
    fn gone_processes_remembered_within_bound() {
        let name = GroupName::new("chat").unwrap();
        let config = ServerConfig::default();
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
                group.agreement.learn(p, Cid(1));
                group.accusations.exclude(Time::ZERO, p, &[], &config);
                group.trim_memory(&report);
            }
            (group.agreement.remembered().count(), group.accusations.all_excluded().count())
        };
        assert_eq!(learn(3 * VIEW_MEMBERS_MAX), (3 * VIEW_MEMBERS_MAX, 3 * VIEW_MEMBERS_MAX));
        assert_eq!(learn(REMEMBERED_MAX + 9), (REMEMBERED_MAX + 1, REMEMBERED_MAX));
        assert_eq!(group.agreement.remembered().min(), Some(process));
    }
}
