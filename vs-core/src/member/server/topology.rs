//! Whom the servers reach, with which of them this one shares views, and whom it leaves out.
//!
//! A link that is ready counts when those with whom this server shares views are ready for that
//! server, too: if one began before the other, the newcomer might take the other's place for that
//! time.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use super::config::ServerConfig;
use super::graph::{Graph, places};
use super::link_reports::{Heard, LinkReport, LinkReports};
use super::links::Links;
use crate::ident::ServerId;
use crate::member::message::PeerWord;
use crate::time::Time;

/// Why the clients of a server that is connected are in no view with those of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftOut {
    /// Its link came back after it was lost for longer than `reattach_ms`.
    Returned {
        /// The link counts once it has held for so long, in ms; longer each time.
        hold_ms: u64,
    },
    /// It and this server, or another one with which this server shares views, do not both count on
    /// their link: it is cut, or came back just now.
    Unlinked {
        /// That server.
        from: ServerId,
    },
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned { hold_ms } => {
                write!(f, "its link was lost and counts again once it has held for {hold_ms} ms")
            }
            Self::Unlinked { from } => write!(f, "it and server {from} do not reach each other"),
        }
    }
}

/// The own links, the reports of others, and what follows from both.
#[derive(Debug)]
pub(super) struct Topology {
    me: ServerId,
    links: Links,
    reports: LinkReports,
    /// Whom each server reaches by the reports, this one among them, as of the last look.
    graph: Graph,
    /// The servers with which this one shares views; ascending.
    clique: Vec<ServerId>,
    /// Connected servers whose clients are in no view with those of this one, as they were noted
    /// last.
    left_out: BTreeMap<ServerId, LeftOut>,
}

impl Topology {
    pub(super) fn new(me: ServerId) -> Self {
        Self {
            me,
            links: Links::default(),
            reports: LinkReports::default(),
            graph: Graph::new(Vec::from([me])),
            clique: Vec::from([me]),
            left_out: BTreeMap::new(),
        }
    }

    /// The own links.
    pub(super) fn links(&self) -> &Links {
        &self.links
    }

    /// What others reported.
    pub(super) fn reports(&self) -> &LinkReports {
        &self.reports
    }

    /// The servers with which this one shares views; ascending.
    pub(super) fn clique(&self) -> &[ServerId] {
        &self.clique
    }

    /// Whether a server that has connected for the first time at most `ms` ago is about to share
    /// views with this one: not all have reported yet that they reach it.
    pub(super) fn is_growing(&self, now: Time, ms: u64) -> bool {
        let newcomers = self.links.newcomers(now, ms);
        newcomers.into_iter().any(|server| self.clique.binary_search(&server).is_err())
    }

    /// Why the clients of `server` are in no view with those of this one, if it is connected.
    pub(super) fn left_out(&self, server: ServerId) -> Option<&LeftOut> {
        self.left_out.get(&server)
    }

    /// What peers are told of the links of this server.
    pub(super) fn own_report(&self, version: u64) -> PeerWord {
        let (servers, ready) = self.links.report();
        LinkReport::new(version, servers, ready).message(self.me)
    }

    /// A server is taken for dead after this silence, in ms.
    pub(super) fn set_silence(&mut self, silence_ms: u64) {
        self.links.set_silence(silence_ms);
    }

    /// `server` is connected, and was not before.
    pub(super) fn handle_up(
        &mut self,
        now: Time,
        server: ServerId,
        restarted: bool,
        config: &ServerConfig,
    ) {
        self.links.handle_up(now, server, restarted, config);
        self.reports.handle_up(now, server, config);
    }

    /// One of several connections to `server` is over: what was told over it may be lost.
    pub(super) fn handle_repeat(&mut self, now: Time, server: ServerId, config: &ServerConfig) {
        self.reports.repeat(now, server, config);
    }

    /// `server` is connected no more.
    pub(super) fn handle_down(&mut self, now: Time, server: ServerId, config: &ServerConfig) {
        self.reports.handle_down(server);
        self.links.handle_down(now, server, config);
    }

    /// Time has passed: links count now, or no more. Whether anything changed, and whether a server
    /// was lost.
    pub(super) fn handle_timeout(&mut self, now: Time, config: &ServerConfig) -> (bool, bool) {
        let (began, ceased) = self.links.handle_timeout(now, config);
        (began || ceased, ceased)
    }

    /// `peer` sends, or passes on, a report of `of`.
    pub(super) fn handle_report(
        &mut self,
        now: Time,
        (peer, of): (ServerId, ServerId),
        report: LinkReport,
        config: &ServerConfig,
    ) -> Heard {
        let heard = self.reports.handle_report(now, (peer, of), report);
        if matches!(heard, Heard::New) {
            self.reports.plan(now, config);
        }
        heard
    }

    /// Whether it is time to pass on the reports that peers lack. Asked once: then nothing is due.
    pub(super) fn take_due(&mut self, now: Time) -> bool {
        self.reports.take_due(now)
    }

    /// The reports that peers lack, and who lacks them.
    pub(super) fn take_lacked(
        &mut self,
        now: Time,
        config: &ServerConfig,
    ) -> Vec<(ServerId, PeerWord)> {
        self.reports.take_lacked(now, config)
    }

    /// How long to wait from one look at what follows from reports to the next, in ms.
    pub(super) fn look_pause_ms(&self, config: &ServerConfig) -> u64 {
        self.reports.look_pause_ms(config)
    }

    /// When a link changes, or reports are to be passed on.
    pub(super) fn next_timeout(&self, config: &ServerConfig) -> Option<Time> {
        self.links.next_timeout(config).into_iter().chain(self.reports.next_timeout()).min()
    }

    /// Computes whom the servers reach, this one included, after that has changed, and counts on
    /// the links that are ready for all who are concerned. True if there are any.
    pub(super) fn relink(&mut self) -> bool {
        self.compute();
        let mut began = false;
        for server in self.links.report().1 {
            let mut mates = self.clique.iter().filter(|mate| **mate != self.me);
            if mates.all(|mate| self.are_ready(*mate, server)) {
                self.links.begin(server);
                // All with whom this server shares views are linked with it, or about to be.
                if let Err(at) = self.clique.binary_search(&server) {
                    self.clique.insert(at, server);
                }
                began = true;
            }
        }
        if began {
            self.compute();
        }
        began
    }

    /// Whether `mate` and `server` are ready for each other, as they report. A mate that has
    /// reported nothing is.
    fn are_ready(&self, mate: ServerId, server: ServerId) -> bool {
        let report = |of, other| self.reports.get(of).map(|report| report.is_ready_for(other));
        report(mate, server).is_none_or(|ready| ready && report(server, mate) == Some(true))
    }

    fn compute(&mut self) {
        let (own, lost) = (self.links.reached(), self.links.lost());
        let is_lost = |server: &ServerId| lost.binary_search(server).is_ok();
        let mut reports = self.reports.live();
        reports.retain(|(server, _)| !is_lost(server));
        let mut graph = Graph::new(self.in_question(&reports, &own, &lost));
        for &(server, report) in &reports {
            let servers = report.servers();
            if lost.iter().any(|lost| servers.binary_search(lost).is_ok()) {
                let believed = servers.iter().filter(|server| !is_lost(server));
                graph.reach(server, &believed.copied().collect::<Vec<_>>());
            } else {
                graph.reach(server, servers);
            }
            // Those on whom this server counts are about to count on each other.
            if own.binary_search(&server).is_ok() {
                let soon = report.ready().iter().filter(|other| own.binary_search(other).is_ok());
                graph.reach(server, &soon.copied().collect::<Vec<_>>());
            }
        }
        // A server that was never reached counts as others report. One that is about to report
        // itself does not.
        self.links.waiting().for_each(|server| graph.reach(server, &[]));
        graph.reach(self.me, &own);
        self.clique = graph.clique(self.me);
        self.graph = graph;
    }

    /// The servers among which cliques are looked for, ascending: this one, those that it reaches
    /// or waits for, those of the `reports`, and within a bound those that only others name.
    fn in_question(
        &self,
        reports: &[(ServerId, &LinkReport)],
        own: &[ServerId],
        lost: &[ServerId],
    ) -> Vec<ServerId> {
        let mut ids: Vec<ServerId> = reports.iter().map(|(server, _)| *server).collect();
        ids.push(self.me);
        ids.extend(own.iter().copied().chain(self.links.waiting()));
        ids.sort_unstable();
        ids.dedup();
        let named = reports.iter().flat_map(|(_, report)| places(&ids, report.servers()));
        let mut far: Vec<ServerId> = named.filter_map(Result::err).collect();
        far.retain(|server| lost.binary_search(server).is_err());
        far.sort_unstable();
        far.dedup();
        far.truncate(self.reports.far_max());
        ids.extend(far);
        ids.sort_unstable();
        ids
    }

    /// Which of the `connected` servers this one leaves out, if that has changed since it was asked
    /// last, and which it leaves out no more (`None`).
    pub(super) fn poll_left_out(
        &mut self,
        connected: &[ServerId],
    ) -> Vec<(ServerId, Option<LeftOut>)> {
        let outside = connected.iter().filter(|server| !self.clique.contains(server));
        let left_out: BTreeMap<ServerId, LeftOut> =
            outside.map(|server| (*server, self.why_left_out(*server))).collect();
        let before = core::mem::replace(&mut self.left_out, left_out);
        let news = self.left_out.iter().filter(|(server, why)| before.get(server) != Some(why));
        let mut changes: Vec<_> = news.map(|(server, why)| (*server, Some(*why))).collect();
        let taken_in = before.into_keys().filter(|server| self.clique.contains(server));
        changes.extend(taken_in.map(|server| (server, None)));
        changes
    }

    fn why_left_out(&self, server: ServerId) -> LeftOut {
        if let Some(hold_ms) = self.links.held_off(server) {
            return LeftOut::Returned { hold_ms };
        }
        let waits = self.links.is_ready(server);
        let apart = |from: &ServerId| match waits {
            true => *from != self.me && !self.are_ready(*from, server),
            false => !self.graph.linked(*from, server),
        };
        let from = self.clique.iter().copied().find(apart).unwrap_or(self.me);
        LeftOut::Unlinked { from }
    }
}
