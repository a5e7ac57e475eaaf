//! The agreement of servers on a view (Moshe), for one group at one server: a pure value, without
//! bytes or time.
//!
//! The names are those of the paper. Each server proposes when what its notification service
//! reports (`ns`) changes; if all concerned report the same, the first proposals decide (the fast
//! mode, one round). Who sees that this cannot be, answers with a numbered proposal (the slow
//! mode), and the others join that number.

#[cfg(any(test, feature = "sim"))]
mod kept;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ident::{
    CREDIBLE_MAX, Cid, IDS_PER_MS, Incarnation, NUMBER_MAX, ProcessId, ServerId, ViewId,
};
use crate::member::attached::{Attached, Report, ReportId, Settled};
use crate::member::past::Past;
use crate::member::proposal::{Mode, Proposal};
use crate::rule::{Rule, Rules};
use crate::seal::{Secret, Seed};
use crate::view::View;

/// Entries of cids and of used proposals that are kept of the proposals of others, beyond those for
/// the present set: as many as 256 servers have in a group of 256.
pub(crate) const PROPOSED_MAX: usize = 1 << 17;

/// What a client's cids and view numbers have to be above, for they increase across all its
/// incarnations (M2, M6).
///
/// Nothing is stored, so a clock has to ensure that, and it is the client's. In one incarnation the
/// client remembers its numbers, and tells them. A new incarnation begins above all that an earlier
/// one was given, unless that was more than [`IDS_PER_MS`] on average. View numbers are made for
/// all members, so they depend on the clocks of all: where every server that knew a number has
/// died, clocks that differ by more than the group was away may give it again. The clocks of
/// servers give no numbers. ([Rule 5.4](crate::manual::algorithm#rule-5-4) as written uses the
/// server's boot value, and breaks when a client comes back to a server whose clock is behind that
/// of its last one.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Floor {
    pub(crate) cid: Cid,
    pub(crate) vid: u64,
}

impl Floor {
    /// `None`: nobody was ever given such numbers, or those that a client claims for itself are
    /// above `claims_max`. It may not know better of those of others.
    pub(crate) fn of(
        (process, incarnation): (ProcessId, Incarnation),
        past: &Past,
        claims_max: u64,
    ) -> Option<Self> {
        let view = past.mbr_view.as_ref();
        let announced = view.map_or(0, |view| view.id().major);
        let named = view.and_then(|view| view.start_ids().iter().max()).copied();
        let own = view.filter(|view| view.validate().is_ok()).and_then(|v| v.start(process));
        let begun = incarnation.millis().checked_mul(IDS_PER_MS)?;
        let given = [Some(past.last_cid), past.pending, own].into_iter().flatten().max();
        let cid = given.max(Some(Cid(begun)))?;
        let vid = past.last_view.major.max(announced).max(begun);
        let is_given = cid.0.max(vid) <= claims_max && named <= Some(Cid(CREDIBLE_MAX));
        is_given.then_some(Self { cid, vid })
    }
}

/// What follows from an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Give the local client this cid, for the reported set.
    StartChange(ProcessId, Cid),
    /// Send the own proposal to these servers.
    Propose(Vec<ServerId>),
    /// Give the view to the local clients, and what its members seal with; it was decided in this
    /// mode.
    View(View, Mode, Option<Secret>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Agreement {
    me: ServerId,
    ns: Report,
    /// Of `ns`.
    set: ReportId,
    changing: bool,
    mode: Mode,
    /// The highest cid that is known of each process, whoever gave it.
    cids: BTreeMap<ProcessId, Cid>,
    announced: Report,
    /// The cids that went out to the own clients with `announced`.
    given: BTreeMap<ProcessId, Cid>,
    pn: u64,
    mine: Option<Proposal>,
    proposals: BTreeMap<ServerId, Proposal>,
    used: BTreeMap<ServerId, u64>,
    max_vid: u64,
    max_n: u64,
    sent_n: u64,
    /// The view that the reported clients are in, unless a change is under way; none, if this
    /// server has none of them or came to know of them in a change.
    settled: Option<Settled>,
    /// Proposals wait: more may be about to happen ([rule
    /// 5.12](crate::manual::algorithm#rule-5-12)).
    gathering: bool,
    /// Where this server's parts of the secrets of views come from, if it has keys.
    shares: Option<Seed>,
    /// The part that goes with `given`.
    share: Option<Secret>,
    rules: Rules,
}

impl Agreement {
    pub(crate) fn new(me: ServerId, boot: u64, rules: Rules) -> Self {
        Self {
            me,
            ns: Report::new(),
            set: ReportId::of(&[]),
            changing: false,
            mode: Mode::Fast,
            cids: BTreeMap::new(),
            announced: Report::new(),
            given: BTreeMap::new(),
            pn: boot,
            mine: None,
            proposals: BTreeMap::new(),
            used: BTreeMap::new(),
            max_vid: 0,
            max_n: 0,
            sent_n: 0,
            settled: None,
            gathering: false,
            shares: None,
            share: None,
            rules,
        }
    }

    /// Views have secrets from now on, to which this server adds from `shares`.
    pub(crate) fn set_shares(&mut self, shares: Seed) {
        self.shares = Some(shares);
    }

    /// Whether `proposal` was heard already, or a later one of its sender.
    pub(crate) fn is_stale(&self, proposal: &Proposal) -> bool {
        self.proposals.get(&proposal.from).is_some_and(|known| known.pn >= proposal.pn)
    }

    pub(crate) fn report(&self) -> &Report {
        &self.ns
    }

    /// Whether a change is under way.
    pub(crate) fn is_changing(&self) -> bool {
        self.changing
    }

    pub(crate) fn mine(&self) -> Option<&Proposal> {
        self.mine.as_ref()
    }

    /// A client attaches: its next cids and view numbers are above `floor`.
    pub(crate) fn raise(&mut self, process: ProcessId, floor: Floor) {
        self.learn(process, floor.cid);
        self.max_vid = self.max_vid.max(floor.vid);
    }

    /// `process` was given `cid`, by whomever.
    pub(crate) fn learn(&mut self, process: ProcessId, cid: Cid) {
        let known = self.cids.entry(process).or_default();
        *known = (*known).max(cid);
    }

    /// Forgets the cid of a process that is no member; it will tell where it was when it comes
    /// back.
    pub(crate) fn forget(&mut self, process: ProcessId) {
        self.cids.remove(&process);
    }

    /// A server was restarted: what it proposed is over, and its numbers may begin anew.
    pub(crate) fn forget_server(&mut self, server: ServerId) {
        self.proposals.remove(&server);
        self.used.remove(&server);
    }

    #[cfg(test)]
    pub(crate) fn servers_remembered(&self) -> usize {
        self.proposals.len()
    }

    /// Forgets what servers other than these said.
    pub(crate) fn retain_servers(&mut self, known: impl Fn(&ServerId) -> bool) {
        self.proposals.retain(|server, _| known(server));
        self.used.retain(|server, _| known(server));
    }

    /// Processes whose cids are remembered.
    pub(crate) fn remembered(&self) -> impl ExactSizeIterator<Item = ProcessId> + '_ {
        self.cids.keys().copied()
    }

    /// The homes of the reported clients, and this server.
    fn concerned(&self) -> Vec<ServerId> {
        let mut servers: Vec<_> = self.ns.iter().map(|client| client.home).collect();
        servers.push(self.me);
        servers.sort_unstable();
        servers.dedup();
        servers
    }

    fn locals(&self) -> impl Iterator<Item = ProcessId> + '_ {
        self.ns.iter().filter(|client| client.home == self.me).map(|client| client.process)
    }

    fn used(&self, server: ServerId) -> u64 {
        self.used.get(&server).copied().unwrap_or(0)
    }

    fn begin(&mut self, steps: &mut Vec<Step>) {
        // Nobody got a view yet and the set only shrank: the cids stay.
        let within = |client: &Attached| self.announced.binary_search(client).is_ok();
        if self.changing && self.ns.iter().all(within) && !self.is_outrun() {
            return;
        }
        self.given.clear();
        // It belongs to the cids: a view that several proposals lead to has one secret.
        self.share = self.shares.as_mut().map(Seed::draw);
        for process in self.locals().collect::<Vec<_>>() {
            let cid = self.cids.entry(process).or_default();
            *cid = Cid((cid.0 + 1).min(NUMBER_MAX));
            self.given.insert(process, *cid);
            steps.push(Step::StartChange(process, *cid));
        }
        self.announced = self.ns.clone();
        if !self.changing {
            // The mode was that of the last view.
            (self.changing, self.mode) = (true, Mode::Fast);
        }
    }

    /// Whether a client was given a higher cid than the last one from here: by a server that it
    /// came from, and never heard of it. Views that members are in may name it.
    fn is_outrun(&self) -> bool {
        self.locals()
            .any(|p| self.given.get(&p).is_some_and(|given| self.cids.get(&p) > Some(given)))
    }

    fn propose(&mut self, mode: Mode, n: u64, steps: &mut Vec<Step>) {
        self.begin(steps);
        self.pn += 1;
        if mode == Mode::Slow {
            self.sent_n = n;
            self.max_n = self.max_n.max(n);
        }
        self.mode = mode;
        let known = |process| self.given.get(&process).or_else(|| self.cids.get(&process));
        let cids = self.ns.iter().filter_map(|c| Some((c.process, *known(c.process)?))).collect();
        let carried = if self.rules.keeps(Rule::ServerMaxN) { self.max_n } else { 0 };
        let proposal = Proposal {
            from: self.me,
            set: self.set,
            cids,
            vnum: (self.max_vid + 1).min(NUMBER_MAX),
            mode,
            n: if mode == Mode::Slow { n } else { 0 },
            max_n: carried,
            pn: self.pn,
            used: self.used.iter().map(|(&server, &pn)| (server, pn)).collect(),
            share: self.share.clone(),
        };
        self.mine = Some(proposal);
        let mut servers = self.concerned();
        servers.retain(|server| *server != self.me);
        steps.push(Step::Propose(servers));
    }

    /// Whether it is not known here in which view the clients are, and no change is under way that
    /// will tell.
    pub(crate) fn is_ignorant(&self) -> bool {
        !self.changing && self.settled.is_none()
    }

    /// Whether a server that has clients of `ns` waits for an answer to its proposal for it.
    pub(crate) fn owes_answer(&self, ns: &Report) -> bool {
        let set = ReportId::of(ns);
        let mut proposals = self.proposals.values();
        proposals.any(|p| {
            p.set == set && p.pn > self.used(p.from) && ns.iter().any(|c| c.home == p.from)
        })
    }

    /// Takes `ns` up if that needs no change ([rule 5.4](crate::manual::algorithm#rule-5-4)): a
    /// server without clients in it has no say, and clients that came from one server to another in
    /// the view that all are in stay there. `brought` is the view of all clients of this server, if
    /// it is a view of just the processes of `ns`. False: [`Agreement::notify`].
    pub(crate) fn follow(&mut self, ns: &Report, brought: Option<Settled>) -> bool {
        if !ns.iter().any(|client| client.home == self.me) {
            (self.changing, self.gathering, self.settled) = (false, false, None);
            self.mode = Mode::Fast;
            self.take_report(ns.clone());
            return true;
        }
        if self.changing || self.owes_answer(ns) {
            return false;
        }
        let stays = |(old, new): (&Attached, &Attached)| {
            old == new || (old.is_of(new) && new.settled == self.settled)
        };
        let quiet = match self.settled {
            Some(_) => ns.len() == self.ns.len() && self.ns.iter().zip(ns).all(stays),
            None => brought.is_some(),
        };
        if quiet {
            self.settled = self.settled.or(brought);
            self.take_report(ns.clone());
        }
        quiet
    }

    /// The notification service reports `ns`. With `gather`, the start_changes go out and the
    /// proposal waits for [`Agreement::gathered`].
    pub(crate) fn notify(&mut self, ns: Report, gather: bool) -> Vec<Step> {
        let mut steps = Vec::new();
        self.take_report(ns);
        if gather {
            self.gathering = true;
            self.begin(&mut steps);
        } else {
            self.decide(&mut steps);
        }
        steps
    }

    fn take_report(&mut self, ns: Report) {
        self.set = ReportId::of(&ns);
        self.ns = ns;
    }

    /// What was to be gathered is here.
    pub(crate) fn gathered(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        self.decide(&mut steps);
        steps
    }

    /// Proposes for the current report.
    fn decide(&mut self, steps: &mut Vec<Step>) {
        self.gathering = false;
        let highest = self.stored_slow();
        if let Some(n) = highest.filter(|n| *n > self.sent_n) {
            self.propose(Mode::Slow, n, steps);
        } else if (self.changing && self.mode == Mode::Slow) || highest.is_some() {
            self.propose(Mode::Slow, self.max_n + 1, steps);
        } else {
            self.propose(Mode::Fast, 0, steps);
        }
        self.try_view(steps);
    }

    /// Whether `proposal` gives cids to others than those of its set, which is the present one.
    pub(crate) fn is_made_up(&self, proposal: &Proposal) -> bool {
        let is_member =
            |p: &ProcessId| self.ns.binary_search_by_key(p, |client| client.process).is_ok();
        proposal.set == self.set && !proposal.cids.iter().all(|(process, _)| is_member(process))
    }

    /// Forgets the longest proposals for other sets than the present one while all have more than
    /// [`PROPOSED_MAX`] entries. Returns how many.
    pub(crate) fn trim_proposals(&mut self) -> u64 {
        let entries = |p: &Proposal| p.cids.len() + p.used.len();
        let mut all: usize = self.proposals.values().map(entries).sum();
        let mut forgotten = 0;
        while all > PROPOSED_MAX {
            let others = self.proposals.values().filter(|p| p.set != self.set);
            let Some(longest) = others.max_by_key(|p| entries(p)) else { break };
            let (from, longest) = (longest.from, entries(longest));
            self.proposals.remove(&from);
            (all, forgotten) = (all - longest, forgotten + 1);
        }
        forgotten
    }

    /// The highest number of an unused slow proposal for the present report.
    fn stored_slow(&self) -> Option<u64> {
        let concerned = self.concerned();
        self.proposals
            .values()
            .filter(|p| p.mode == Mode::Slow && p.set == self.set && concerned.contains(&p.from))
            .filter(|p| p.pn > self.used(p.from))
            .map(|p| p.n)
            .max()
    }

    /// A proposal of another server.
    pub(crate) fn receive(&mut self, proposal: Proposal) -> Vec<Step> {
        let mut steps = Vec::new();
        if !proposal.is_credible() {
            return steps;
        }
        let from = proposal.from;
        self.max_vid = self.max_vid.max(proposal.vnum);
        self.max_n = self.max_n.max(proposal.max_n).max(proposal.n);
        for &(process, cid) in &proposal.cids {
            self.learn(process, cid);
        }
        let concerns = proposal.set == self.set && self.concerned().contains(&from);
        self.proposals.insert(from, proposal);
        if concerns && !self.gathering && self.locals().next().is_some() {
            self.answer(from, &mut steps);
            if self.changing && self.is_outrun() {
                self.propose(self.mode, self.sent_n, &mut steps);
            }
        }
        self.try_view(&mut steps);
        steps
    }

    /// Whether the proposal of `from` calls for this server to join a number, or shows that the
    /// fast mode cannot decide.
    fn answer(&mut self, from: ServerId, steps: &mut Vec<Step>) {
        let Some(p) = self.proposals.get(&from) else { return };
        if p.mode == Mode::Slow && p.n > self.sent_n {
            let n = p.n;
            return self.propose(Mode::Slow, n, steps);
        }
        let mine = self.mine.as_ref().map_or(0, |mine| mine.pn);
        let unused = p.pn > self.used(from);
        // D1: it changed again after its earlier proposal was used here.
        let changed_again = !self.changing && unused;
        // D2: it has used up the proposal that is pending here.
        let consumed =
            self.changing && p.used.iter().any(|&(server, pn)| server == self.me && pn >= mine);
        // D3: it began a number that was passed here.
        let passed = p.mode == Mode::Slow && unused && !(self.changing && self.mode == Mode::Slow);
        if (changed_again && self.rules.keeps(Rule::ServerD1))
            || (consumed && self.rules.keeps(Rule::ServerD2))
            || (passed && self.rules.keeps(Rule::ServerD3))
        {
            self.propose(Mode::Slow, self.max_n + 1, steps);
        }
    }

    /// Whether the proposal of `p.from` counts for the view that this server tries for.
    fn counts(&self, p: &Proposal) -> bool {
        if p.set != self.set {
            return false;
        }
        if self.mode == Mode::Slow {
            return p.mode == Mode::Slow && p.n == self.sent_n;
        }
        let mine = self.mine.as_ref().map_or(0, |mine| mine.pn);
        let untouched = !p.used.iter().any(|&(server, pn)| server == self.me && pn >= mine);
        let outdated = p.mode == Mode::Slow && p.n <= self.sent_n;
        p.pn > self.used(p.from) && (p.from == self.me || (untouched && !outdated))
    }

    fn try_view(&mut self, steps: &mut Vec<Step>) {
        if !self.changing || self.gathering || self.ns.is_empty() {
            return;
        }
        let servers = self.concerned();
        let proposals: Option<Vec<&Proposal>> = servers
            .iter()
            .map(|s| if *s == self.me { self.mine.as_ref() } else { self.proposals.get(s) })
            .map(|p| p.filter(|p| self.counts(p)))
            .collect();
        let Some(proposals) = proposals else { return };
        let vnum = proposals.iter().map(|p| p.vnum).max().unwrap_or(0);
        let members: Vec<ProcessId> = self.ns.iter().map(|client| client.process).collect();
        // All that form this view do so from these proposals: a cid that one knows to be outrun
        // counts for none.
        let cid_of = |client: &Attached| {
            let said = |p: &&Proposal| {
                p.cids
                    .binary_search_by_key(&client.process, |(q, _)| *q)
                    .ok()
                    .map(|at| p.cids[at].1)
            };
            let home = proposals.iter().find(|p| p.from == client.home)?;
            let highest = proposals.iter().filter_map(said).max();
            said(home).filter(|cid| highest <= Some(*cid))
        };
        let start: Option<Vec<Cid>> = self.ns.iter().map(cid_of).collect();
        let minor = servers.iter().map(|s| s.0).min().unwrap_or(0);
        let id = ViewId { major: vnum, minor };
        // A peer's proposal may lack a cid or have too many members: then there is no view.
        let Some(view) = start.and_then(|start| View::new(id, &members, &start).ok()) else {
            return;
        };
        let shares: Option<Vec<&Secret>> = proposals.iter().map(|p| p.share.as_ref()).collect();
        let secret = shares.map(|shares| Secret::combine("vs view secret", &shares));
        let now_used: Vec<(ServerId, u64)> = proposals.iter().map(|p| (p.from, p.pn)).collect();
        self.used.extend(now_used);
        self.max_vid = self.max_vid.max(vnum);
        self.changing = false;
        self.settled = Some(Settled::in_view(&view));
        steps.push(Step::View(view, self.mode, secret));
    }
}
