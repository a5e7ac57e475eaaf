//! Runs a scenario: faults first; then everything is healed, and the group has to settle.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::ops::Range;

use crate::config::{Blocking, ConfigError};
use crate::ident::{GroupName, Incarnation, ProcessId, ViewId};
use crate::sim::app::{Application, Traffic};
use crate::sim::defect::Defect;
use crate::sim::moment::Moment;
use crate::sim::net::Link;
use crate::sim::outcome::{Failure, Outcome, Why};
use crate::sim::recorder::StepObserver;
use crate::sim::scenario::{ProcessPlan, Scenario, Step, Trigger};
use crate::sim::site::Site;
use crate::sim::stats::Stats;
use crate::sim::world::World;
use crate::spec::{self, Component, Options, Report, Stability};
use crate::status::ServerStatus;
use crate::time::Time;
use crate::trace::{Event, Header, Record, Trace};
use crate::view::{Members, View};

/// How often the state is checked while a group settles, in ms.
const LOOK_MS: u64 = 5;

/// Time for which a settled group must not change, in ms.
const CALM_MS: u64 = 300;

/// How often a process that was detached for good is restarted while a healed world settles.
const RESTARTS_MAX: usize = 3;

impl Scenario {
    /// Runs it to its end, with [`Traffic`] on each process, and judges it.
    #[must_use]
    pub fn run(&self) -> Outcome {
        self.run_traffic(None)
    }

    /// The same, of a scenario that is [refined](Scenario::refined). `observer` is shown each step
    /// that the specification judges, before it does.
    #[must_use]
    pub fn run_observed(&self, observer: StepObserver) -> Outcome {
        self.run_traffic(Some(observer))
    }

    fn run_traffic(&self, observer: Option<StepObserver>) -> Outcome {
        let make = |plan: &ProcessPlan| Traffic::of(plan, self.seed);
        let mut outcome = self.run_all(make, |_| Ok(()), observer);
        // The same run, unless fields were changed since they were drawn.
        outcome.failure.iter_mut().for_each(|failure| failure.of_traffic = true);
        outcome
    }

    /// Runs it to its end with the applications that `make` makes, and judges it. When all have
    /// settled, and everything that was sent has been delivered, `check` looks at them and says
    /// what is wrong.
    ///
    /// Applications get [`ProcessPlan::load`] and should send nothing of their own accord after
    /// [`Load::until`]: a group that always has something under way does not settle, which is a
    /// failure, too.
    ///
    /// [`Load::until`]: crate::sim::Load::until
    pub fn run_with<A: Application>(
        &self,
        make: impl FnMut(&ProcessPlan) -> A,
        check: impl FnOnce(&World<A>) -> Result<(), String>,
    ) -> Outcome {
        self.run_all(make, check, None)
    }

    fn run_all<A: Application>(
        &self,
        make: impl FnMut(&ProcessPlan) -> A,
        check: impl FnOnce(&World<A>) -> Result<(), String>,
        observer: Option<StepObserver>,
    ) -> Outcome {
        match Run::new(self, make, observer) {
            Ok(mut run) => {
                let checked = run.play().and_then(|()| run.complaint(check));
                run.judge(checked.err())
            }
            Err(error) => Outcome {
                seed: self.seed,
                stats: Stats::default(),
                traces: Vec::new(),
                report: Report::default(),
                failure: Some(self.failure(Why::Config(error))),
            },
        }
    }

    fn failure(&self, why: Why) -> Failure {
        let profile = self.by_profile.then_some(self.profile);
        Failure {
            seed: self.seed,
            profile,
            left_out: self.rules.left_out(),
            of_traffic: false,
            why,
        }
    }
}

/// Plays the [plain](Scenario::plain) [random](Scenario::random) scenario of each seed with the
/// applications that `make` makes, up to the first that fails.
///
/// # Errors
/// What failed, or that no two states were compared ([`Application::common_state`]), which proves
/// nothing.
pub fn play<A: Application>(
    seeds: Range<u64>,
    mut make: impl FnMut(&ProcessPlan) -> A,
) -> Result<Stats, Failure> {
    let mut stats = Stats::default();
    for seed in seeds.clone() {
        let outcome = Scenario::random(seed).plain().run_with(&mut make, |_| Ok(()));
        match outcome.failure {
            Some(failure) => return Err(failure),
            None => stats.add(&outcome.stats),
        }
    }
    if stats.compared == 0 {
        let why = Why::Application("no states were compared, which proves nothing".into());
        return Err(Scenario::random(seeds.start).failure(why));
    }
    Ok(stats)
}

impl From<Defect> for Why {
    fn from(defect: Defect) -> Self {
        Self::Defect(defect)
    }
}

struct Run<'a, A: Application> {
    scenario: &'a Scenario,
    world: World<A>,
    groups: Vec<GroupName>,
    /// Started anew while the world settles.
    restarts: Vec<ProcessId>,
    /// Triggers that wait, and how often their moment has come.
    armed: Vec<(Trigger, u64)>,
    /// What triggers have left to do, by the time and the order in which it came up.
    follow: BTreeMap<(Time, u64), Step>,
    followed: u64,
    /// States of applications that were compared.
    compared: u64,
    /// Datagrams that processes changed which lied.
    lies: u64,
}

impl<'a, A: Application> Run<'a, A> {
    fn new(
        scenario: &'a Scenario,
        mut make: impl FnMut(&ProcessPlan) -> A,
        observer: Option<StepObserver>,
    ) -> Result<Self, ConfigError> {
        let mut world = World::new(scenario.world.clone());
        world.set_rules(scenario.rules);
        if let Some(ring) = scenario.ring() {
            world.set_keys(ring);
        }
        if scenario.refine {
            world.refine_observed(observer);
        }
        for (id, clock_ahead_ms) in &scenario.servers {
            world.add_server(*id, scenario.server.clone(), *clock_ahead_ms)?;
        }
        let groups: Vec<GroupName> =
            Scenario::GROUPS.iter().filter_map(|name| GroupName::new(name).ok()).collect();
        for plan in &scenario.processes {
            world.add_process(plan.id, scenario.node.clone(), &plan.servers, make(plan));
            if let Some(ms) = plan.clock_ahead_ms {
                world.set_clock_ahead(plan.id, ms, true);
            }
            for group in &plan.groups {
                let mut config = scenario.group.clone();
                if plan.manual_block {
                    config.blocking = Blocking::Manual;
                }
                world.join(plan.id, &groups[*group], config);
            }
        }
        let impostors = scenario.impostors();
        for plan in scenario.processes.iter().filter(|plan| impostors.contains(&plan.id)) {
            let app = make(&ProcessPlan { impostor: true, ..plan.clone() });
            world.add_impostor(plan.id, app);
        }
        Ok(Self {
            scenario,
            world,
            groups,
            restarts: Vec::new(),
            armed: Vec::new(),
            follow: BTreeMap::new(),
            followed: 0,
            compared: 0,
            lies: 0,
        })
    }

    fn play(&mut self) -> Result<(), Why> {
        let start = self.world.now();
        for (at_us, step) in &self.scenario.steps {
            self.run_until(start.plus_us(*at_us))?;
            self.apply(step)?;
        }
        self.run_until(start.plus_us(self.scenario.heal_us))?;
        self.world.stop_watching();
        self.heal()?;
        self.part_impostors()?;
        self.settle()
    }

    /// Runs until `end`, and does what triggers ask for on the way.
    fn run_until(&mut self, end: Time) -> Result<(), Why> {
        loop {
            let next = self.follow.first_key_value().map(|((at, _), _)| *at);
            let stop = next.map_or(end, |at| at.min(end));
            if self.armed.is_empty() {
                self.world.run_until(stop)?;
            } else if let Some((p, moment)) = self.world.run_until_seen(stop)? {
                self.came_to(p, moment);
                continue;
            }
            if next.is_none_or(|at| at > end) {
                return Ok(());
            }
            if let Some((_, step)) = self.follow.pop_first() {
                self.apply(&step)?;
            }
        }
    }

    /// Process `p` came to a moment: triggers that waited for it have something to do.
    fn came_to(&mut self, p: ProcessId, moment: Moment) {
        let now = self.world.now();
        for (trigger, count) in &mut self.armed {
            if trigger.moment != moment || trigger.process.is_some_and(|q| q != p) {
                continue;
            }
            *count += 1;
            if *count == trigger.nth {
                for (delay_us, step) in trigger.steps.drain(..) {
                    self.followed += 1;
                    self.follow.insert((now.plus_us(delay_us), self.followed), step);
                }
            }
        }
        self.armed.retain(|(trigger, count)| *count < trigger.nth);
        if self.armed.is_empty() {
            self.world.stop_watching();
        }
    }

    fn apply(&mut self, step: &Step) -> Result<(), Why> {
        let world = &mut self.world;
        match step {
            Step::Start(p) => world.start(*p).map_err(Why::Config)?,
            Step::Kill(p) => world.kill(*p),
            Step::PowerOff(p) => world.power_off(*p),
            Step::Leave(p) => world.leave(*p),
            Step::Send(p, n) => world.with_app(*p, |app| app.say(*n)),
            Step::Pause(site) => world.pause(*site),
            Step::Resume(site) => world.resume(*site),
            Step::StopReading(p) => world.stop_reading(*p),
            Step::Read(p) => world.read(*p),
            Step::Cut(from, to) => world.cut(*from, *to),
            Step::BlockMulticast(from, to) => world.block_multicast(*from, *to, true),
            Step::CarryMulticast(from, to) => world.block_multicast(*from, *to, false),
            Step::Heal(from, to) => world.heal(*from, *to),
            Step::Partition(parts) => world.partition(parts),
            Step::HealAll => world.heal_all(),
            Step::Links(link) => world.set_every_link(*link),
            Step::SetLink(from, to, link) => world.set_link(*from, *to, *link),
            Step::StartImpostor(p) if world.is_running(*p) => {
                world.start(Site::Impostor(*p)).map_err(Why::Config)?;
            }
            Step::StartImpostor(_) => {}
            Step::KillImpostor(p) => world.kill(Site::Impostor(*p)),
            Step::Clock(site, ms) => world.set_clock_forward(*site, *ms),
            Step::Lie(p) => _ = world.set_liar(*p, true),
            Step::When(trigger) => self.armed.push((trigger.clone(), 0)),
            Step::KillServer(s) => world.kill_server(*s),
            Step::StartServer(s) => world.start_server(*s).map_err(Why::Config)?,
        }
        Ok(())
    }

    /// Ends all faults. Whoever is down and is not to stay so comes back.
    fn heal(&mut self) -> Result<(), Why> {
        self.world.heal_all();
        self.world.set_every_link(Link::LAN);
        for (s, _) in &self.scenario.servers {
            self.world.start_server(*s).map_err(Why::Config)?;
            self.world.resume(Site::Server(*s));
        }
        for p in self.world.impostors().collect::<Vec<_>>() {
            self.world.resume(Site::Impostor(p));
            self.world.read(Site::Impostor(p));
        }
        for plan in &self.scenario.processes {
            self.world.resume(Site::Process(plan.id));
            self.world.read(plan.id);
            self.lies += self.world.set_liar(plan.id, false);
            if !plan.stays_down {
                self.world.start(plan.id).map_err(Why::Config)?;
            }
        }
        Ok(())
    }

    /// Of two processes under one id one is refused, and the impostor goes. Nobody may start anew
    /// before: who was refused would be so again.
    fn part_impostors(&mut self) -> Result<(), Why> {
        let end = self.world.now().plus_ms(self.scenario.settle_ms);
        let both = |world: &World<A>, p: ProcessId| {
            let sites = [Site::Process(p), Site::Impostor(p)];
            let has_id =
                |site: &Site| world.detached(*site).is_none() && !world.is_id_claimed(*site);
            sites.iter().all(|site| world.is_running(*site) && has_id(site))
        };
        let impostors: Vec<ProcessId> = self.world.impostors().collect();
        while let Some(p) = impostors.iter().find(|p| both(&self.world, **p)) {
            if self.world.now() >= end {
                return Err(Why::TwoUnderOneId(*p));
            }
            self.world.run_for_ms(LOOK_MS)?;
        }
        impostors.into_iter().for_each(|p| self.world.kill(Site::Impostor(p)));
        Ok(())
    }

    /// Waits until all agree, sends a last message from each, and waits until all have everything
    /// and nothing moves.
    fn settle(&mut self) -> Result<(), Why> {
        let end = self.world.now().plus_ms(self.scenario.settle_ms);
        loop {
            self.wait(end, Self::agree)?;
            let before = self.views();
            for p in self.running() {
                self.world.with_app(p, |app| app.say(2));
            }
            self.wait(end, |run| run.agree() && run.is_drained())?;
            self.world.run_for_ms(CALM_MS)?;
            if self.views() == before && self.agree() && self.is_drained() {
                return Ok(());
            }
        }
    }

    fn wait(&mut self, end: Time, condition: impl Fn(&Self) -> bool) -> Result<(), Why> {
        while !condition(self) {
            if self.world.now() >= end {
                return Err(Why::Unsettled(self.state()));
            }
            self.world.run_for_ms(LOOK_MS)?;
            self.restart_detached()?;
        }
        Ok(())
    }

    /// An application whose process was detached for good starts it anew.
    fn restart_detached(&mut self) -> Result<(), Why> {
        for p in self.running() {
            if self.world.detached(p).is_some() {
                self.restarts.push(p);
                if self.restarts.iter().filter(|q| **q == p).count() > RESTARTS_MAX {
                    return Err(Why::Unsettled(self.state()));
                }
                self.world.kill(p);
                self.world.start(p).map_err(Why::Config)?;
            }
        }
        Ok(())
    }

    fn running(&self) -> Vec<ProcessId> {
        self.world.processes().filter(|p| self.world.is_running(*p)).collect()
    }

    /// The running processes that are to be in a group.
    fn members(&self, group: usize) -> Members {
        let plans = self.scenario.processes.iter().filter(|plan| plan.groups.contains(&group));
        plans.map(|plan| plan.id).filter(|p| self.world.is_running(*p)).collect()
    }

    fn views(&self) -> Vec<Option<View>> {
        let of = |group: &GroupName| {
            let view = |p| self.world.view(p, group.key()).cloned();
            self.world.processes().map(view).collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(of).collect()
    }

    /// In each group all are in one view, nobody else is in it, and nobody is to leave it or was
    /// detached from it. The view in which a process starts is none that anybody gave it.
    fn agree(&self) -> bool {
        self.groups.iter().enumerate().all(|(index, group)| {
            let members = self.members(index);
            let mut views = members.iter().map(|p| self.world.view(*p, group.key()));
            let Some(first) = views.next() else { return true };
            let is_theirs = |view: &View| {
                view.id() != ViewId::default() && view.members() == members.as_slice()
            };
            first.is_some_and(is_theirs)
                && views.all(|view| view == first)
                && !members.iter().any(|p| self.world.is_changing(*p, group.key()))
                && members.iter().all(|p| self.world.detached(*p).is_none())
        })
    }

    /// Everything that was sent has reached everybody, and nobody has anything left to send.
    fn is_drained(&self) -> bool {
        self.groups.iter().enumerate().all(|(index, group)| {
            let (key, members) = (group.key(), self.members(index));
            let sent: u64 = members.iter().map(|p| self.world.traffic(*p, key).sent).sum();
            members.iter().all(|p| {
                self.world.app(*p).is_drained(key) && self.world.traffic(*p, key).delivered == sent
            }) && members.iter().all(|p| self.world.queued(*p, key) == 0)
        })
    }

    fn state(&self) -> String {
        let mut text = String::new();
        for (index, group) in self.groups.iter().enumerate() {
            for p in self.members(index) {
                let traffic = self.world.traffic(p, group.key());
                // Writing to a string cannot fail.
                let _ = write!(text, "\n  {group}: {p} in ");
                let _ = match self.world.view(p, group.key()) {
                    Some(view) => write!(text, "{view}"),
                    None => write!(text, "no view"),
                };
                let _ = write!(text, ", {} sent, {} delivered", traffic.sent, traffic.delivered);
                if !self.world.app(p).is_drained(group.key()) {
                    let _ = write!(text, ", more to send");
                }
                if let Some(reason) = self.world.detached(p) {
                    let _ = write!(text, ", detached: {reason}");
                }
            }
        }
        for ServerStatus { server, settled, peers, .. } in self.world.server_status() {
            let _ = write!(text, "\n  server {server}: settled {settled}, {:?}", peers.first);
        }
        text
    }

    fn judge(mut self, why: Option<Why>) -> Outcome {
        let options = match &why {
            None => Options::settled(Stability { components: self.components() }),
            Some(_) => Options::default(),
        };
        let mut stats = self.counters();
        let traces = self.traces();
        let datagram_bytes = self.scenario.node.datagram_bytes as u64;
        stats.add_traces(&self.groups, &traces, datagram_bytes);
        stats.mark_counters();
        let together = |c: &Component| c.members.len() > 1;
        let settled = options.stable.iter().flat_map(|stable| &stable.components).any(together);
        stats.settled_together = u64::from(settled);
        let report = spec::check_with(&traces, &options);
        // What breaks safety says more than that nothing moved any more.
        let why =
            if report.is_clean() { why } else { Some(Why::Violations(report.violations.clone())) };
        let failure = why.map(|why| self.scenario.failure(why));
        Outcome { seed: self.scenario.seed, stats, traces, report, failure }
    }

    fn components(&self) -> Vec<Component> {
        let component = |(index, group): (usize, &GroupName)| Component {
            group: group.clone(),
            members: self.members(index),
        };
        // One without members says that nobody is left, whatever the traces end in.
        self.groups.iter().enumerate().map(component).collect()
    }

    /// What applications complain of, or who looks at all of them.
    fn complaint(
        &mut self,
        check: impl FnOnce(&World<A>) -> Result<(), String>,
    ) -> Result<(), Why> {
        let processes = self.world.processes().map(Site::Process);
        for site in processes.chain(self.world.impostors().map(Site::Impostor)) {
            if let Some(what) = self.world.app(site).complaint() {
                return Err(Why::Application(alloc::format!("the application of {site}: {what}")));
            }
        }
        let at_moves = self.world.compare().map_err(Why::Application)?;
        self.compared = at_moves + self.compare_at_the_end().map_err(Why::Application)?;
        check(&self.world).map_err(Why::Application)
    }

    /// All are in one view and have delivered the same by now. How many states were compared with
    /// that of another.
    fn compare_at_the_end(&self) -> Result<u64, String> {
        let mut compared = 0;
        for (index, group) in self.groups.iter().enumerate() {
            let (key, members) = (group.key(), self.members(index));
            let mut states = members.iter().map(|p| (p, self.world.app(*p).common_state(key)));
            let Some((q, known)) = states.next() else { continue };
            for (p, state) in states {
                if state != known {
                    let [known, state] =
                        [&known, &state].map(|state| state.as_deref().unwrap_or("no common state"));
                    return Err(alloc::format!("in the end {q} has {known} and {p} has {state}"));
                }
                compared += u64::from(known.is_some());
            }
        }
        Ok(compared)
    }

    fn counters(&self) -> Stats {
        let elapsed = self.world.now() - self.scenario.world.start;
        let mut stats = Stats {
            runs: 1,
            simulated_ms: Time(elapsed).as_millis(),
            events: self.world.events(),
            refined_steps: self.world.refined_steps(),
            faults: *self.world.faults(),
            compared: self.compared,
            lies: self.lies,
            marks: self.world.marks(),
            kinds: self.scenario.kinds,
            of_four: u64::from(self.scenario.processes.len() >= 4),
            of_ten: u64::from(self.scenario.processes.len() >= 10),
            processes_max: self.scenario.processes.len() as u64,
            net: *self.world.net_counters(),
            ..Stats::default()
        };
        for s in self.world.servers() {
            stats.add_server(&self.world.server_counters(s));
        }
        stats
    }

    fn traces(&mut self) -> Vec<Trace> {
        let trace = |(process, records): (ProcessId, Vec<Record>)| {
            let incarnation = match records.first().map(|record| &record.event) {
                Some(Event::Start { incarnation }) => *incarnation,
                _ => Incarnation::new(0),
            };
            let header = Header { process, incarnation, runtime: "sim".into() };
            Trace::from_records(header, records)
        };
        self.world.take_traces().into_iter().map(trace).collect()
    }
}
