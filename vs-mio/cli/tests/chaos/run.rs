//! One run: the rounds of a plan one after the other, each of which must settle.

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use crate::crowd::Crowd;
use crate::hosts::Hosts;
use crate::kind::Kind;
use crate::plan::{Fault, Host, Rng, Round};
use crate::processes::{Processes, Setup};
use crate::store::{self, Store};

/// All members must be in one view, and hear each other, so long after the last fault of a round is
/// healed. A link between servers that was lost again and again counts only when it has held for 30
/// s (`link_hold_max_ms`), and who is then found not to answer stays out for 8 s (16 times
/// `readmit_ms`); the rest is for dialling, and for a machine that is busy.
pub(crate) const SETTLE_MAX: Duration = Duration::from_secs(45);
/// So often at most a run may end with a change that began when everything seemed to be settled.
const CALMS_MAX: u32 = 20;
/// What a process sent before it answered the last dump is delivered by all within so long.
const QUIET: Duration = Duration::from_secs(2);
/// What a fault makes its victim say is said within so long.
const WORDS_MAX: Duration = Duration::from_secs(30);
/// Two years, in seconds: a clock that far ahead is refused.
const FAR_S: i32 = 2 * 365 * 86_400;
/// Restarts that roll are so far apart.
const ROLL: Duration = Duration::from_millis(100);
/// Each member says something so often, as long as nothing is awaited.
const TRAFFIC: Duration = Duration::from_millis(100);
/// Longest line of traffic, in bytes: what a member is told within `SETTLE_MAX` fits its pipe, even
/// if it reads nothing.
const LINE_BYTES_MAX: u64 = 120;

/// A run that goes on.
pub(crate) struct Run {
    processes: Processes,
    crowd: Crowd,
    hosts: Hosts,
    /// What the members keep, if they keep a store.
    pub(crate) store: Option<Arc<Store>>,
    traffic: Rng,
    /// None: nothing is said any more.
    next_traffic: Option<Instant>,
    began: Instant,
    probes: u64,
    /// How long each round took to settle.
    pub(crate) settled: Vec<Duration>,
}

impl Run {
    /// Starts everything, and waits for the first view of all.
    pub(crate) fn start(seed: u64, traces: &Path) -> Result<Self, String> {
        let now = Instant::now();
        let store = store::is_on().then(|| Store::new(seed));
        let mut run = Self {
            processes: Processes::new(traces, store.clone()),
            crowd: Crowd::new(traces),
            hosts: Hosts::new(traces),
            store,
            traffic: Rng(!seed),
            next_traffic: Some(now),
            began: now,
            probes: 0,
            settled: Vec::new(),
        };
        for host in Host::servers().into_iter().chain(Host::members()) {
            run.processes.start(&run.hosts, host);
        }
        run.settle().map_err(|e| format!("before the first fault: {e}{}", run.state()))?;
        run.settled.clear();
        Ok(run)
    }

    /// The faults of `round`, their ends, and the calm after them.
    pub(crate) fn round(&mut self, round: &Round) -> Result<(), String> {
        let mut steps = Vec::new();
        for fault in round {
            steps.push((fault.begin_ms, true, fault));
            steps.push((fault.end_ms, false, fault));
        }
        // Stable: a fault that lasts no time begins before it ends.
        steps.sort_by_key(|(at, ..)| *at);
        let began = Instant::now();
        for (at, begins, fault) in steps {
            self.talk_until(began + Duration::from_millis(at));
            if begins {
                println!("{:8.3} s  {fault}", self.began.elapsed().as_secs_f64());
                let logged = fault.kind.words().map_or(0, |(host, _)| self.logged(host));
                self.begin(fault);
                self.await_words(&fault.kind, logged)?;
            } else {
                self.end(fault)?;
            }
        }
        self.settle().map_err(|e| format!("{e}{}", self.state()))
    }

    /// How much `host` has said besides events, in bytes.
    fn logged(&self, host: Host) -> usize {
        self.processes.logged(host).len()
    }

    /// What the fault makes its victim say, after the first `logged` bytes of its log.
    fn await_words(&mut self, kind: &Kind, logged: usize) -> Result<(), String> {
        let Some((host, words)) = kind.words() else { return Ok(()) };
        let since = Instant::now();
        while !self.processes.logged(host).get(logged..).unwrap_or_default().contains(words) {
            if since.elapsed() > WORDS_MAX {
                return Err(format!("{host} did not say \"{words}\"{}", self.state()));
            }
            self.talk_until(Instant::now() + Duration::from_millis(100));
        }
        Ok(())
    }

    fn begin(&mut self, fault: &Fault) {
        let (processes, hosts) = (&mut self.processes, &mut self.hosts);
        match &fault.kind {
            Kind::Kill(list) => list.iter().for_each(|host| processes.kill(*host)),
            Kind::Roll(list) => self.roll(list),
            Kind::Crowd { count, .. } => self.crowd.join(hosts, fault.number, *count),
            Kind::Stop(host) => processes.stop(*host, true),
            Kind::Throttle(list) => list.iter().for_each(|host| processes.throttle(*host, true)),
            Kind::Descriptors(host) => {
                processes.limit_files(*host, true);
                processes.visit(hosts, *host);
            }
            Kind::FullDisk(host) => processes.fill_disk(*host, true),
            Kind::Clock(host, clock_s) => {
                self.restart(*host, Setup { clock_s: *clock_s, ..Setup::default() });
            }
            Kind::FarClock(host) => {
                let setup = Setup { clock_s: FAR_S, is_untraced: true, ..Setup::default() };
                self.restart(*host, setup);
            }
            Kind::Options(host, mismatch) => {
                self.restart(*host, Setup { mismatch: Some(mismatch), ..Setup::default() });
            }
            Kind::Move(host) | Kind::Nameless(host) => {
                processes.kill(*host);
                hosts.cut(fault.number, &fault.kind);
                processes.start(hosts, *host);
            }
            network => hosts.cut(fault.number, network),
        }
    }

    fn end(&mut self, fault: &Fault) -> Result<(), String> {
        let (processes, hosts) = (&mut self.processes, &mut self.hosts);
        match &fault.kind {
            Kind::Kill(list) => list.iter().for_each(|host| processes.start(hosts, *host)),
            Kind::Roll(_) => {}
            Kind::Crowd { leave, .. } => self.crowd.go(*leave)?,
            Kind::Stop(host) => processes.stop(*host, false),
            Kind::Throttle(list) => list.iter().for_each(|host| processes.throttle(*host, false)),
            Kind::Descriptors(host) => processes.limit_files(*host, false),
            Kind::FullDisk(host) => {
                processes.fill_disk(*host, false);
                self.restart(*host, Setup::default());
            }
            Kind::Clock(host, _) | Kind::FarClock(host) | Kind::Options(host, _) => {
                self.restart(*host, Setup::default());
            }
            Kind::Move(host) => {
                processes.kill(*host);
                hosts.heal(fault.number, &fault.kind);
                processes.start(hosts, *host);
            }
            network => hosts.heal(fault.number, network),
        }
        Ok(())
    }

    fn restart(&mut self, host: Host, setup: Setup) {
        self.processes.kill(host);
        self.processes.start_as(&self.hosts, host, setup);
    }

    fn roll(&mut self, hosts: &[Host]) {
        for host in hosts {
            self.restart(*host, Setup::default());
            self.talk_until(Instant::now() + ROLL);
        }
    }

    /// Waits until all members are in one view and each delivered what each said there.
    fn settle(&mut self) -> Result<(), String> {
        let healed = Instant::now();
        if let Some(store) = self.store.clone() {
            return self.settle_store(&store, healed);
        }
        let mut asked = (Value::Null, Vec::new());
        loop {
            self.processes.supervise(&self.hosts)?;
            if let Some(view) = self.common_view() {
                if asked.0 != view {
                    asked = (view, self.probe());
                }
                if self.heard(&asked.1) {
                    self.settled.push(healed.elapsed());
                    return Ok(());
                }
            }
            if healed.elapsed() > SETTLE_MAX {
                let missing = self.missing(&asked.1);
                return Err(format!("not settled within {SETTLE_MAX:?}{missing}"));
            }
            self.talk();
            self.processes.pause(Duration::from_millis(20));
        }
    }

    /// Waits until all members serve the store; once nothing is said any more, until they have all
    /// dumped it, and all the same.
    fn settle_store(&mut self, store: &Store, healed: Instant) -> Result<(), String> {
        let mut question = self.next_traffic.is_none().then(|| store.ask_for_dumps());
        let mut differ = String::new();
        loop {
            self.processes.supervise(&self.hosts)?;
            store.complaint()?;
            let is_settled = match question.map(|question| store.compare_dumps(question)) {
                None => store.is_served(healed),
                Some(None) => false,
                Some(Some(Ok(()))) => true,
                Some(Some(Err(how))) => {
                    // What was asked for last may have come between two of them.
                    question = Some(store.ask_for_dumps());
                    differ = format!(": {how}");
                    false
                }
            };
            if is_settled {
                self.settled.push(healed.elapsed());
                if question.is_some() {
                    self.talk_until(Instant::now() + QUIET);
                }
                return self.processes.check_bounds();
            }
            if healed.elapsed() > SETTLE_MAX {
                return Err(format!("not all serve the same store within {SETTLE_MAX:?}{differ}"));
            }
            self.processes.pause(Duration::from_millis(20));
        }
    }

    /// The view that all members are in, if it is one with all of them and none has been told of a
    /// next one.
    fn common_view(&self) -> Option<Value> {
        let all = Host::members();
        let view = self.processes.said(all[0]).view.clone();
        let ids = all.iter().map(|host| Value::from(host.number())).collect::<Vec<_>>();
        let complete = view["members"].as_array() == Some(&ids);
        let same = all.iter().all(|host| {
            let said = self.processes.said(*host);
            said.view == view && !said.changing
        });
        (complete && same).then_some(view)
    }

    /// Each member is told something that all must deliver.
    fn probe(&mut self) -> Vec<String> {
        self.probes += 1;
        let mut lines = Vec::new();
        for host in Host::members() {
            let line = format!("probe {} of {host}", self.probes);
            self.processes.say(host, &line);
            lines.push(line);
        }
        lines
    }

    fn heard(&self, lines: &[String]) -> bool {
        let has_all = |host| {
            let said = self.processes.said(host);
            lines.iter().all(|line| said.probes.contains(line))
        };
        Host::members().into_iter().all(has_all)
    }

    /// Who has not delivered which probe, to be told.
    fn missing(&self, lines: &[String]) -> String {
        let mut text = String::new();
        for host in Host::members() {
            let said = self.processes.said(host);
            let mut lines = lines.iter().filter(|line| !said.probes.contains(*line)).peekable();
            if lines.peek().is_some() {
                text += &format!("\n  {host} has not delivered: {:?}", lines.collect::<Vec<_>>());
            }
        }
        text
    }

    fn talk_until(&mut self, until: Instant) {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.talk();
            self.processes.pause(left.min(Duration::from_millis(20)));
        }
    }

    /// Everybody's line, if it is time.
    fn talk(&mut self) {
        let now = Instant::now();
        if self.next_traffic.is_none_or(|next| now < next) {
            return;
        }
        self.next_traffic = Some(now + TRAFFIC);
        for host in Host::members() {
            let length = 1 + self.traffic.below(LINE_BYTES_MAX) as usize;
            self.processes.say(host, &"x".repeat(length));
        }
    }

    /// The last view of each member and the last words of each server, to be told.
    fn state(&self) -> String {
        let mut text = String::new();
        for host in Host::members() {
            text += &match &self.store {
                Some(store) => format!("\n  {host}: {}", store.state(host)),
                None => format!("\n  {host}: {}", self.processes.said(host).view),
            };
        }
        for host in Host::all() {
            let log = self.processes.logged(host);
            let lines = log.lines().collect::<Vec<_>>();
            for line in &lines[lines.len().saturating_sub(8)..] {
                text += &format!("\n  {host} wrote: {line}");
            }
        }
        text
    }

    /// Views and deliveries of all members.
    pub(crate) fn counts(&self) -> (u64, u64) {
        Host::members().into_iter().fold((0, 0), |(views, deliveries), host| {
            let said = self.processes.said(host);
            (views + said.views, deliveries + said.deliveries)
        })
    }

    /// Most memory that a process of a store had, in kB, and most files.
    pub(crate) fn most(&self) -> (u64, usize) {
        self.processes.most
    }

    /// How often a member was started again that could not start.
    pub(crate) fn started_again(&self) -> u32 {
        self.processes.started_again
    }

    /// Ends it in a calm: what all members said is delivered by all, no more is said, and no change
    /// is under way, such as the members of a server that was just restarted still cause. So the
    /// traces can be judged for liveness, too.
    pub(crate) fn finish(mut self) -> Result<(), String> {
        self.next_traffic = None;
        for _ in 0..CALMS_MAX {
            self.settle().map_err(|e| format!("after the last fault: {e}{}", self.state()))?;
            if self.processes.kill_in_calm() {
                return Ok(());
            }
        }
        Err(format!("after the last fault: {CALMS_MAX} times a change had begun meanwhile"))
    }
}
