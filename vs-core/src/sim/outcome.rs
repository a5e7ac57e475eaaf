//! What a run came to.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::config::ConfigError;
use crate::member::ServerCounters;
use crate::rule::Rule;
use crate::sim::net::NetCounters;
use crate::sim::scenario::Profile;
use crate::sim::world::{Defect, HostFaults};
use crate::spec::{Report, Violation};
use crate::trace::{Event, Record, Trace};
use crate::view::Members;

/// A finished run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed of the scenario.
    pub seed: u64,
    /// What happened in it.
    pub stats: Stats,
    /// The trace of each process, over all its lives.
    pub traces: Vec<Trace>,
    /// The verdict of the checker.
    pub report: Report,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// A run that must not be. Shown, it says how to see it again.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The profile, if the scenario was made for one.
    pub profile: Option<Profile>,
    /// The rule that was left out.
    pub left_out: Option<Rule>,
    /// What was wrong.
    pub why: Why,
}

/// What was wrong with a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// Properties do not hold.
    Violations(Vec<Violation>),
    /// A node or server never came to rest.
    Defect(Defect),
    /// The group did not settle in time after all faults were over; the state of each process.
    Unsettled(String),
    /// An application got what it should not.
    Application(String),
    /// The configuration cannot be used.
    Config(ConfigError),
}

/// Violations that are shown of a failed run.
const VIOLATIONS_SHOWN: usize = 5;

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violations(all) => {
                for (i, violation) in all.iter().take(VIOLATIONS_SHOWN).enumerate() {
                    write!(f, "{}{violation}", if i == 0 { "" } else { "\n  " })?;
                }
                match all.len().saturating_sub(VIOLATIONS_SHOWN) {
                    0 => Ok(()),
                    more => write!(f, "\n  and {more} more"),
                }
            }
            Self::Defect(defect) => defect.fmt(f),
            Self::Unsettled(state) => {
                write!(f, "the group did not settle after all faults were over: {state}")
            }
            Self::Application(what) => f.write_str(what),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, profile, left_out, why } = self;
        write!(f, "seed {seed}: {why}\nreplay: cargo run --release -p vs-core --features sim ")?;
        write!(f, "--example simulate -- {seed}")?;
        if let Some(profile) = profile {
            write!(f, " --profile {profile}")?;
        }
        if matches!(why, Why::Defect(Defect::Refuted { .. })) {
            f.write_str(" --refine")?;
        }
        if let Some(rule) = left_out {
            write!(f, " --leave-out {rule:?}")?;
        }
        Ok(())
    }
}

impl core::error::Error for Failure {}

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
    /// start_changes, counted at each process.
    pub changes: u64,
    /// … of which another one was under way and that brought a process that the other did not have.
    pub joins_in_mid_change: u64,
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
    /// What was done to hosts and paths.
    pub faults: HostFaults,
    /// What the network did.
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
        add_fields!(self, other, delivered);
        let (a, b) = (&mut self.faults, &other.faults);
        add_fields!(a, b, kills power_offs recoveries pauses slow_readers leaves cuts server_kills);
        let (a, b) = (&mut self.net, &other.net);
        add_fields!(a, b, datagrams lost duplicated reordered cut unreceived);
        self.add_server(&other.servers);
    }

    pub(crate) fn add_server(&mut self, other: &ServerCounters) {
        add_fields!(self.servers, other, changes proposals views_fast views_slow);
    }

    /// Counts the events of one process in one group.
    pub(crate) fn add_records<'a>(&mut self, records: impl Iterator<Item = &'a Record>) {
        let mut pending: Option<Members> = None;
        let mut announced = false;
        for record in records {
            match &record.event {
                Event::StartChange { set, .. } => {
                    self.changes += 1;
                    let joined =
                        |known: &Members| set.iter().any(|q| known.binary_search(q).is_err());
                    self.joins_in_mid_change += u64::from(pending.as_ref().is_some_and(joined));
                    self.views_passed_over += u64::from(announced);
                    pending = Some(set.clone());
                    announced = false;
                }
                Event::MbrView { .. } => announced = true,
                Event::View { transitional, .. } => {
                    self.views += 1;
                    self.views_together += u64::from(transitional.len() > 1);
                    pending = None;
                    announced = false;
                }
                Event::Start { .. } | Event::Leave | Event::Crash => {
                    pending = None;
                    announced = false;
                }
                Event::Sync { .. } => self.syncs += 1,
                Event::Forward { .. } => self.forwards += 1,
                Event::Send { .. } => self.sent += 1,
                Event::Deliver { .. } => self.delivered += 1,
                Event::Block | Event::BlockOk => {}
            }
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, net, servers, .. } = self;
        writeln!(
            f,
            "{} runs, {} s simulated, {} events",
            self.runs,
            self.simulated_ms / 1000,
            self.events
        )?;
        if self.refined_steps > 0 {
            writeln!(f, "{} steps held against the specification", self.refined_steps)?;
        }
        writeln!(
            f,
            "views: {} installed, {} of them together with others; {} start_changes, {} joins in mid-change, \
             {} views passed over, {} sync messages, {} packets forwarded",
            self.views,
            self.views_together,
            self.changes,
            self.joins_in_mid_change,
            self.views_passed_over,
            self.syncs,
            self.forwards
        )?;
        writeln!(
            f,
            "servers: {} changes, {} proposals, {} views fast, {} slow",
            servers.changes, servers.proposals, servers.views_fast, servers.views_slow
        )?;
        writeln!(f, "messages: {} sent, {} delivered", self.sent, self.delivered)?;
        writeln!(
            f,
            "faults: {} kills, {} power losses, {} recoveries, {} pauses, {} slow readers, {} leaves, {} cut paths, \
             {} servers killed",
            faults.kills,
            faults.power_offs,
            faults.recoveries,
            faults.pauses,
            faults.slow_readers,
            faults.leaves,
            faults.cuts,
            faults.server_kills
        )?;
        write!(
            f,
            "datagrams: {}, {} lost, {} duplicated, {} reordered, {} on cut paths, {} unreceived",
            net.datagrams, net.lost, net.duplicated, net.reordered, net.cut, net.unreceived
        )
    }
}
