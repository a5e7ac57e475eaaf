//! A few `Agreement` values and the proposals between them, driven by hand.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::super::agreement::{Agreement, Step};
use crate::ident::{Cid, Incarnation, ProcessId, ServerId};
use crate::member::attached::{Attached, Attachment, Report};
use crate::member::proposal::{Mode, Proposal};
use crate::rule::Rules;
use crate::view::View;

/// Something that happens to the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// The notification service at this server reports these clients.
    Ns(u64, &'static [u64]),
    /// The oldest proposal that is under way from the first to the second server arrives.
    Go(u64, u64),
}

/// The clients that a list stands for: process `10 s + i` lives at server `s`, and hundreds number
/// its attachments.
pub(super) fn report(clients: &[u64]) -> Report {
    let attached = |&client: &u64| Attached {
        process: ProcessId(client % 100),
        attachment: Attachment { incarnation: Incarnation::new(1), counter: client / 100 },
        home: ServerId(client % 100 / 10),
        members_max: 1024,
        settled: None,
        profile: 0,
    };
    clients.iter().map(attached).collect()
}

pub(super) struct Servers {
    servers: BTreeMap<u64, Agreement>,
    /// Proposals under way from one server to another, oldest first.
    under_way: BTreeMap<(u64, u64), VecDeque<Proposal>>,
    views: BTreeMap<u64, Vec<(View, Mode)>>,
    starts: BTreeMap<u64, Vec<Cid>>,
    /// Proposals made.
    pub(super) proposals: u64,
    /// Invariants of the proof that did not hold.
    pub(super) broken: Vec<&'static str>,
    boots: u64,
}

impl Servers {
    pub(super) fn new(n: u64, rules: Rules) -> Self {
        Self {
            servers: (1..=n).map(|s| (s, Agreement::new(ServerId(s), 100 * s, rules))).collect(),
            under_way: BTreeMap::new(),
            views: BTreeMap::new(),
            starts: BTreeMap::new(),
            proposals: 0,
            broken: Vec::new(),
            boots: 1,
        }
    }

    pub(super) fn server(&mut self, s: u64) -> &mut Agreement {
        self.servers.get_mut(&s).unwrap()
    }

    pub(super) fn play(&mut self, ops: &[Op]) {
        for op in ops {
            match *op {
                Op::Ns(s, clients) => self.notify(s, &report(clients)),
                Op::Go(from, to) => assert!(self.deliver(from, to), "nothing from {from} to {to}"),
            }
        }
    }

    /// As in a group, what was reported before is no news.
    pub(super) fn notify(&mut self, s: u64, report: &Report) {
        if self.server(s).report() == report {
            return;
        }
        let steps = self.server(s).notify(report.clone(), false);
        self.take(s, steps);
    }

    /// The server crashes and starts anew, with a later boot value.
    pub(super) fn crash(&mut self, s: u64, rules: Rules) {
        self.boots += 1;
        self.restart(s, 1000 * self.boots, rules);
    }

    /// The same with a boot value below all that it had.
    pub(super) fn crash_back(&mut self, s: u64) {
        self.restart(s, 1, Rules::default());
    }

    fn restart(&mut self, s: u64, boot: u64, rules: Rules) {
        self.servers.insert(s, Agreement::new(ServerId(s), boot, rules));
        for t in self.servers.keys().copied().collect::<Vec<_>>() {
            self.reconnect(s, t);
        }
    }

    /// The connection of two servers ended and is up again: what was under way is lost, and each
    /// repeats its last message.
    pub(super) fn reconnect(&mut self, a: u64, b: u64) {
        for (from, to) in [(a, b), (b, a)] {
            if from == to {
                return;
            }
            let mine = self.servers[&from].mine().cloned();
            self.under_way.insert((from, to), mine.into_iter().collect());
        }
    }

    /// False if nothing is under way from `from` to `to`.
    pub(super) fn deliver(&mut self, from: u64, to: u64) -> bool {
        let Some(proposal) = self.under_way.get_mut(&(from, to)).and_then(VecDeque::pop_front)
        else {
            return false;
        };
        if !self.server(to).is_stale(&proposal) {
            let steps = self.server(to).receive(proposal);
            self.take(to, steps);
        }
        true
    }

    /// The connections on which something is under way.
    pub(super) fn busy(&self) -> Vec<(u64, u64)> {
        self.under_way.iter().filter(|(_, q)| !q.is_empty()).map(|(path, _)| *path).collect()
    }

    /// Delivers until nothing is under way.
    pub(super) fn drain(&mut self) {
        for _ in 0..1000 {
            let busy = self.busy();
            if busy.is_empty() {
                return;
            }
            for (from, to) in busy {
                self.deliver(from, to);
            }
        }
        panic!("proposals without end");
    }

    pub(super) fn take(&mut self, s: u64, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::StartChange(p, cid) => self.starts.entry(p.0).or_default().push(cid),
                Step::Propose(to) => {
                    self.proposals += 1;
                    let proposal = self.servers[&s].mine().unwrap().clone();
                    for t in to {
                        self.under_way.entry((s, t.0)).or_default().push_back(proposal.clone());
                    }
                }
                Step::View(view, mode, _) => self.views.entry(s).or_default().push((view, mode)),
            }
        }
        self.broken.extend(self.servers[&s].broken());
    }

    /// The views of a server, and how each was decided.
    pub(super) fn views(&self, s: u64) -> &[(View, Mode)] {
        self.views.get(&s).map_or(&[], Vec::as_slice)
    }

    /// The cids that a process was given.
    pub(super) fn cids(&self, p: u64) -> &[Cid] {
        self.starts.get(&p).map_or(&[], Vec::as_slice)
    }

    /// The one view that all homes decided last of `report`, about exactly these clients and
    /// their last cids.
    pub(super) fn settled(&self, report: &Report) -> Option<&View> {
        let home = report.first()?.home.0;
        let view = &self.views(home).last()?.0;
        let same = |client: &Attached| {
            self.views(client.home.0).last().is_some_and(|(v, _)| v == view)
                && view.start(client.process) == self.cids(client.process.0).last().copied()
        };
        let members: Vec<ProcessId> = report.iter().map(|client| client.process).collect();
        (view.members() == members && report.iter().all(same)).then_some(view)
    }
}
