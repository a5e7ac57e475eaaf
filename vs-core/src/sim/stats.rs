//! What was counted in runs, and how much of it there has to be.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::ident::{GroupName, ProcessId};
use crate::sim::kind::Fault;
use crate::sim::mark::Marks;
use crate::sim::net::NetCounters;
use crate::sim::world::HostFaults;
use crate::status::ServerCounters;
use crate::time::Time;
use crate::trace::{Event, Mark, Record, Trace};
use crate::view::{Members, View};

/// What happened in runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Runs.
    pub runs: u64,
    /// Simulated time, in ms.
    pub simulated_ms: u64,
    /// Events of the worlds.
    pub events: u64,
    /// Steps of processes that were held against the specification.
    pub refined_steps: u64,
    /// Views installed, counted at each process.
    pub views: u64,
    /// … of which with a transitional set of more than one.
    pub views_together: u64,
    /// Different views that somebody came to with others.
    pub views_distinct: u64,
    /// start_changes, counted at each process.
    pub changes: u64,
    /// … of which another one was under way and that brought a process that the other did not have.
    pub joins_in_mid_change: u64,
    /// Different sets of joiners that were added to a change under way, in each scenario.
    pub joins_distinct: u64,
    /// Membership views that no process installed because a later change had come (points 3 and 4).
    pub views_passed_over: u64,
    /// Sync messages, one for each process and cid.
    pub syncs: u64,
    /// Packets forwarded.
    pub forwards: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// States of applications that were compared with that of another and were the same
    /// ([`Application::common_state`](crate::sim::Application::common_state)), in runs that
    /// settled.
    pub compared: u64,
    /// Datagrams of processes that lied ([`Step::Lie`](crate::sim::Step::Lie)).
    pub lies: u64,
    /// Scenarios with four processes or more.
    pub of_four: u64,
    /// Scenarios with ten processes or more.
    pub of_ten: u64,
    /// The most processes of a scenario.
    pub processes_max: u64,
    /// Faults that were planned, by kind in the order of [`Fault::ALL`].
    pub kinds: [u64; Fault::ALL.len()],
    /// Scenarios that settled with two processes or more in a group.
    pub settled_together: u64,
    /// How often rare situations came up.
    pub marks: Marks,
    /// The faults that were done to hosts and paths.
    pub faults: HostFaults,
    /// The counters of the network.
    pub net: NetCounters,
    /// What the servers counted.
    pub servers: ServerCounters,
}

macro_rules! add_fields {
    ($into:expr, $from:expr, $($field:ident)*) => {
        $($into.$field += $from.$field;)*
    };
}

impl Stats {
    /// Adds another run, or several.
    pub fn add(&mut self, other: &Self) {
        add_fields!(self, other, runs simulated_ms events refined_steps views views_together changes);
        add_fields!(self, other, joins_in_mid_change views_passed_over syncs forwards sent);
        add_fields!(self, other, delivered compared lies views_distinct joins_distinct of_four of_ten);
        add_fields!(self, other, settled_together);
        self.processes_max = self.processes_max.max(other.processes_max);
        self.kinds.iter_mut().zip(other.kinds).for_each(|(a, b)| *a += b);
        self.marks.merge(&other.marks);
        let (a, b) = (&mut self.faults, &other.faults);
        add_fields!(a, b, kills power_offs recoveries pauses slow_readers leaves cuts server_kills);
        add_fields!(a, b, clock_jumps impostors);
        let (a, b) = (&mut self.net, &other.net);
        add_fields!(a, b, datagrams lost duplicated reordered cut unreceived);
        self.add_server(&other.servers);
    }

    pub(crate) fn add_server(&mut self, other: &ServerCounters) {
        self.servers.add(other);
    }

    /// Counts what the traces of one scenario show; `datagram_bytes` make a message a large one.
    pub(crate) fn add_traces(
        &mut self,
        groups: &[GroupName],
        traces: &[Trace],
        datagram_bytes: u64,
    ) {
        for group in groups {
            let mut seen = Seen::default();
            for trace in traces {
                let records = trace.lines.iter().map(|line| &line.record);
                let of_group = records.filter(|record| record.group == *group);
                Life::default().follow(self, &mut seen, of_group, datagram_bytes);
            }
            self.joins_distinct += seen.joins.len() as u64;
            self.views_distinct += seen.together.len() as u64;
            for parts in seen.together.values() {
                if parts.len() > 1 {
                    self.marks.add(Mark::Merge);
                }
            }
        }
    }

    /// Takes the marks that are counters elsewhere.
    pub(crate) fn mark_counters(&mut self) {
        for (mark, count) in [
            (Mark::SlowMode, self.servers.views_slow),
            (Mark::ObsoleteView, self.views_passed_over),
            (Mark::PushForward, self.forwards),
            (Mark::JoinInChange, self.joins_in_mid_change),
        ] {
            (0..count).for_each(|_| self.marks.add(mark));
        }
    }

    /// Faults that were planned.
    #[must_use]
    pub fn planned(&self) -> u64 {
        self.kinds.iter().sum()
    }

    /// Where these runs fall short of what they have to be, so that nothing is proved by runs in
    /// which nothing happens: for [`FLOOR_RUNS`] or more.
    #[must_use]
    pub fn shortfalls(&self) -> Vec<String> {
        let runs = self.runs;
        let floors = [
            ("scenarios of 4 processes or more", self.of_four, runs / 2),
            ("scenarios of 10 processes or more", self.of_ten, runs / 10),
            ("scenarios that settled with 2 processes or more", self.settled_together, runs / 2),
            ("faults planned", self.planned(), 3 * runs),
            ("different views entered with others", self.views_distinct, 5 * runs),
            ("different joins in mid-change", self.joins_distinct, runs),
            ("messages sent", self.sent, 50 * runs),
            ("lost datagrams", self.net.lost, 50 * runs),
            ("duplicated datagrams", self.net.duplicated, 10 * runs),
            ("reordered datagrams", self.net.reordered, 10 * runs),
        ];
        let low = floors.iter().filter(|(_, count, floor)| count < floor);
        let mut out: Vec<String> =
            low.map(|(what, count, floor)| format!("{what}: {count}, want {floor}")).collect();
        let never = self.marks.missing();
        let never = never.filter(|mark| *mark != Mark::LargeView || runs >= LARGE_VIEW_RUNS);
        out.extend(never.map(|mark| format!("never: {}", mark.what())));
        let kinds = Fault::ALL.iter().zip(self.kinds).filter(|(_, count)| *count == 0);
        out.extend(kinds.map(|(kind, _)| format!("never: {}", kind.what())));
        out
    }
}

/// Scenarios from which on rare situations and averages are demanded.
pub const FLOOR_RUNS: u64 = 2_000;

/// Scenarios from which on one has to be of a large group: those are rare, for each takes the time
/// of hundreds of others.
const LARGE_VIEW_RUNS: u64 = 20_000;

/// What the processes of a group show together.
#[derive(Default)]
struct Seen {
    /// Joiners, and the set that they were added to.
    joins: BTreeSet<(Members, Members)>,
    /// Of views that somebody entered with others: the parts that came to it.
    together: BTreeMap<View, BTreeSet<Members>>,
}

/// What is known of a process at some line of its trace.
#[derive(Default)]
struct Life {
    /// The proposed set of the change under way.
    pending: Option<Members>,
    announced: bool,
    synced: bool,
    /// The view that it is in, once it was in one with others.
    view: Option<View>,
    proposed: bool,
    entered: Option<Time>,
}

impl Life {
    fn follow<'a>(
        &mut self,
        stats: &mut Stats,
        seen: &mut Seen,
        records: impl Iterator<Item = &'a Record>,
        datagram_bytes: u64,
    ) {
        for record in records {
            match &record.event {
                Event::StartChange { set, .. } => self.start_change(stats, seen, set),
                Event::MbrView { .. } => self.announced = true,
                Event::View { view, transitional, .. } => {
                    self.entered = Some(record.ts);
                    self.enter(stats, seen, view, transitional);
                }
                Event::Start { .. } => *self = Self::default(),
                Event::Leave | Event::Crash | Event::BrokenOff => {
                    self.end(stats, record.event == Event::Leave);
                    *self = Self::default();
                }
                Event::Sync { .. } => {
                    stats.syncs += 1;
                    self.synced = true;
                }
                Event::Forward { .. } => stats.forwards += 1,
                Event::Send { .. } => {
                    stats.sent += 1;
                    if self.entered == Some(record.ts) {
                        stats.marks.add(Mark::SendAtView);
                    }
                }
                Event::Deliver { len, .. } => {
                    stats.delivered += 1;
                    if *len > datagram_bytes {
                        stats.marks.add(Mark::LargeMessage);
                    }
                }
                Event::Block
                | Event::BlockOk
                | Event::Primary
                | Event::Lapsed
                | Event::Restored
                | Event::Gap { .. }
                | Event::State(_)
                | Event::Join { .. }
                | Event::Signal { .. } => {}
            }
        }
    }

    fn start_change(&mut self, stats: &mut Stats, seen: &mut Seen, set: &Members) {
        stats.changes += 1;
        if let Some(known) = &self.pending {
            let new = |q: &&ProcessId| known.binary_search(q).is_err();
            let joined: Members = set.iter().filter(new).copied().collect();
            if !joined.is_empty() {
                stats.joins_in_mid_change += 1;
                seen.joins.insert((joined, set.clone()));
            }
        }
        stats.views_passed_over += u64::from(self.announced);
        (self.pending, self.announced, self.proposed) = (Some(set.clone()), false, true);
        self.synced = false;
    }

    fn enter(&mut self, stats: &mut Stats, seen: &mut Seen, view: &View, transitional: &Members) {
        stats.views += 1;
        if transitional.len() > 1 {
            stats.views_together += 1;
            seen.together.entry(view.clone()).or_default().insert(transitional.clone());
        }
        let of_both = |old: &View| view.members().iter().filter(|q| old.contains(**q)).count();
        if self.view.as_ref().is_some_and(|old| of_both(old) > transitional.len()) {
            stats.marks.add(Mark::SmallerT);
        }
        if view.len() >= 32 {
            stats.marks.add(Mark::LargeView);
        }
        (self.pending, self.announced, self.synced) = (None, false, false);
        if view.len() > 1 || self.view.is_some() {
            self.view = Some(view.clone());
        }
    }

    fn end(&self, stats: &mut Stats, left: bool) {
        if left && self.pending.is_some() {
            stats.marks.add(Mark::LeaveInChange);
        }
        if !left && self.synced {
            stats.marks.add(Mark::CrashAfterSync);
        }
        if !left && self.proposed && self.view.is_none() {
            stats.marks.add(Mark::JoinerDies);
        }
    }
}

/// Of one run what happened in it, of several all that is counted.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, of_four, of_ten, processes_max, settled_together, events, .. } = self;
        let seconds = self.simulated_ms as f64 / 1000.0;
        if *runs == 1 {
            let settled = if *settled_together > 0 { "settled together" } else { "none together" };
            write!(f, "{processes_max} processes, {settled} in the end")?;
        } else {
            write!(f, "{runs} runs, {of_four} of 4 processes or more, {of_ten} of 10 or more")?;
            write!(f, ", one of {processes_max}; {settled_together} settled with 2 or more")?;
        }
        write!(f, "; {seconds:.1} s simulated, {events} events")?;
        if self.refined_steps > 0 {
            self.list(f, "specification", &[(self.refined_steps, "steps held against it")])?;
        }
        self.list_work(f)?;
        self.list_trouble(f)
    }
}

impl Stats {
    /// A line of counts; of one run without those that are 0.
    fn list(&self, f: &mut fmt::Formatter<'_>, title: &str, counts: &[(u64, &str)]) -> fmt::Result {
        let told = counts.iter().filter(|(count, _)| self.runs > 1 || *count > 0);
        for (i, (count, what)) in told.enumerate() {
            match i {
                0 => write!(f, "\n{title}: {count} {what}")?,
                _ => write!(f, ", {count} {what}")?,
            }
        }
        Ok(())
    }

    /// What the group did.
    fn list_work(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let views = [
            (self.views, "installed"),
            (self.views_together, "of them together with others"),
            (self.views_distinct, "different ones of those"),
            (self.changes, "start_changes"),
            (self.joins_in_mid_change, "joins in mid-change"),
            (self.joins_distinct, "different ones of those"),
            (self.views_passed_over, "views passed over"),
            (self.syncs, "sync messages"),
            (self.forwards, "packets forwarded"),
        ];
        self.list(f, "views", &views)?;
        let (fast, slow) = (self.servers.views_fast, self.servers.views_slow);
        let share = slow as f64 * 100.0 / (fast + slow).max(1) as f64;
        let servers = [
            (self.servers.changes, "changes"),
            (self.servers.proposals, "proposals"),
            (fast, "views fast"),
            (slow, &format!("slow ({share:.2} %)")),
        ];
        self.list(f, "servers", &servers)?;
        self.list(f, "messages", &[(self.sent, "sent"), (self.delivered, "delivered")])?;
        match self.compared {
            0 => Ok(()),
            compared => self.list(f, "applications", &[(compared, "states compared")]),
        }
    }

    /// What was done to it.
    fn list_trouble(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, net, .. } = self;
        let faults = [
            (faults.kills, "kills"),
            (faults.power_offs, "power losses"),
            (faults.recoveries, "recoveries"),
            (faults.pauses, "pauses"),
            (faults.slow_readers, "slow readers"),
            (faults.leaves, "leaves"),
            (faults.cuts, "cut paths"),
            (faults.server_kills, "servers killed"),
            (faults.clock_jumps, "clocks set"),
            (faults.impostors, "impostors"),
        ];
        self.list(f, "faults", &faults)?;
        let named: Vec<String> = Fault::ALL.iter().map(|kind| format!("{kind:?}")).collect();
        let kinds = self.kinds.into_iter().zip(named.iter().map(String::as_str));
        self.list(f, "planned", &kinds.collect::<Vec<_>>())?;
        let datagrams = [
            (net.datagrams, "sent"),
            (net.lost, "lost"),
            (net.duplicated, "duplicated"),
            (net.reordered, "reordered"),
            (net.cut, "on cut paths"),
            (net.unreceived, "unreceived"),
        ];
        self.list(f, "datagrams", &datagrams)
    }
}
