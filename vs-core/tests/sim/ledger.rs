//! A replicated list in simulated worlds: each call appends, and is answered the place.

use core::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use vs_core::ident::{GroupKey, ProcessId, ViewId};
use vs_core::replica::{
    Answer, Broken, Collected, JobDone, Replica, ReplicaConfig, ReplicaEvent, ReplicaStatus, Sink,
    Source, State, Ticket, Want, put_value, take_value,
};
use vs_core::rng::Rng;
use vs_core::sim::{Application, Handle, Load, Outcome, ProcessPlan, Scenario};
use vs_core::{Action, Time};

/// Names of the operations, in their order, and bytes that make snapshots long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<u64>,
    pub(crate) ballast: Vec<u8>,
}

impl State for Ledger {
    type Op = u64;
    type Out = u64;

    fn apply(&mut self, op: u64) -> u64 {
        self.entries.push(op);
        self.entries.len() as u64
    }

    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        put_value(out, &self.ballast)?;
        self.entries.iter().try_for_each(|entry| put_value(out, entry))
    }

    fn restore(input: &mut dyn Source) -> Result<Self, Broken> {
        let ballast = take_value(input)?.ok_or(Broken("empty".into()))?;
        let mut entries = Vec::new();
        while let Some(entry) = take_value(input)? {
            entries.push(entry);
        }
        Ok(Self { entries, ballast })
    }
}

/// What a process saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Its replica told this.
    Event(ReplicaEvent),
    /// So many bytes of the state came from this donor.
    Pulled { donor: ProcessId, bytes: u64 },
    /// It holds as much as it may.
    Full,
    /// It asks to read while its copy has so many entries, and `floor` are known to somebody.
    AsksToRead { len: u64, floor: u64 },
    /// The operation was answered this place.
    Answered { op: u64, place: u64 },
    /// Its read was answered.
    Read,
    /// Its replica cannot go on.
    Broke(String),
}

/// What the clients of all processes saw.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// In the order of time.
    pub(crate) log: Vec<(Time, ProcessId, Seen)>,
    next_op: u64,
    nonces: u64,
    /// The place of each answered operation.
    pub(crate) done: BTreeMap<u64, u64>,
    /// The furthest place that anybody was answered or has read.
    furthest: u64,
    pub(crate) reads: u64,
    /// Group calls with as many replies as were wanted, and with fewer.
    pub(crate) collected: u64,
    pub(crate) collected_in_part: u64,
    pub(crate) restored: u64,
    pub(crate) served: u64,
    pub(crate) waiting: u64,
    /// The view in which the state was made first.
    created_in: Option<ViewId>,
    /// An operator decided, or the state was made again: what was answered before may be lost.
    pub(crate) recovered: bool,
    pub(crate) complaints: Vec<String>,
}

impl History {
    /// The operation `op` was answered `place`; `floor` were known to somebody before.
    fn hear_place(
        &mut self,
        (now, me): (Time, ProcessId),
        op: u64,
        floor: u64,
        place: u64,
    ) -> Option<String> {
        self.furthest = self.furthest.max(place);
        self.log.push((now, me, Seen::Answered { op, place }));
        let twice = self.done.insert(op, place).is_some();
        (twice || place <= floor).then(|| format!("{op} of {me} came to {place}, after {floor}"))
    }

    /// T9: there are as many replies as were wanted, or of each that is missing the reason; and all
    /// answer the same.
    fn judge_collected(
        &mut self,
        me: ProcessId,
        op: u64,
        want: Want,
        collected: &Collected<u64>,
    ) -> Option<String> {
        let Collected { replies, missing, is_enough, .. } = collected;
        self.collected += u64::from(*is_enough);
        self.collected_in_part += u64::from(!is_enough);
        let is_own_in = replies.iter().any(|(p, _)| *p == me);
        let is_one = replies.iter().all(|(_, place)| *place == replies[0].1);
        let is_named = match want {
            Want::All => *is_enough == missing.is_empty(),
            Want::Majority => *is_enough || !missing.is_empty(),
            Want::First(k) => *is_enough == (replies.len() >= k),
        };
        let is_right = is_own_in && is_one && is_named;
        (!is_right).then(|| format!("{me} collected {collected:?} for {op}, {want:?}"))
    }

    fn next_nonce(&mut self) -> u64 {
        self.nonces += 1;
        self.nonces
    }
}

enum Asked {
    Call {
        op: u64,
        floor: u64,
    },
    /// Of all, or of as many.
    Collect {
        op: u64,
        floor: u64,
        want: Want,
    },
    Read {
        floor: u64,
    },
}

pub(crate) struct Keeper {
    pub(crate) me: ProcessId,
    pub(crate) primary_of: Vec<ProcessId>,
    load: Load,
    rng: Rng,
    history: Rc<RefCell<History>>,
    group: Option<GroupKey>,
    /// When it was called last.
    now: Time,
    view: ViewId,
    pub(crate) replica: Option<Replica<Ledger>>,
    asked: BTreeMap<Ticket, Asked>,
    /// Jobs that another thread runs, and when each comes to its end. Most ms that one takes.
    jobs: VecDeque<(Time, JobDone<Ledger>)>,
    pub(crate) job_ms_max: u64,
    next: Option<Time>,
    /// An operator decides after so long without a majority, in ms, and may lose answers.
    pub(crate) recover_ms: Option<u64>,
    waiting_since: Option<Time>,
    /// An operator decides here at this time.
    pub(crate) recover_at: Option<Time>,
    pub(crate) ballast: usize,
    /// What is different from the default.
    pub(crate) config: fn(ReplicaConfig) -> ReplicaConfig,
    /// That it cannot go on is no fault.
    pub(crate) may_break: bool,
    is_broken: bool,
    pulled: Option<Seen>,
    was_full: bool,
}

impl Keeper {
    pub(crate) fn new(
        plan: &ProcessPlan,
        primary_of: &[ProcessId],
        history: &Rc<RefCell<History>>,
    ) -> Self {
        Self {
            me: plan.id,
            primary_of: primary_of.to_vec(),
            load: plan.load,
            rng: Rng::new(plan.id.0),
            history: Rc::clone(history),
            group: None,
            now: Time::ZERO,
            view: ViewId::default(),
            replica: None,
            asked: BTreeMap::new(),
            jobs: VecDeque::new(),
            job_ms_max: 0,
            next: None,
            recover_ms: None,
            waiting_since: None,
            recover_at: None,
            ballast: 0,
            config: |config| config,
            may_break: false,
            is_broken: false,
            pulled: None,
            was_full: false,
        }
    }

    fn note(&self, now: Time, seen: Seen) {
        self.history.borrow_mut().log.push((now, self.me, seen));
    }

    fn check<T>(&mut self, now: Time, result: Result<T, Broken>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(why) => {
                self.is_broken = true;
                self.note(now, Seen::Broke(why.to_string()));
                if !self.may_break {
                    let complaint = format!("{} broke: {why}", self.me);
                    self.history.borrow_mut().complaints.push(complaint);
                }
                None
            }
        }
    }

    /// Notes how the transfer to this process fares.
    fn note_transfer(&mut self, now: Time) {
        let Some(replica) = &self.replica else { return };
        let pulled = match replica.status() {
            ReplicaStatus::Joining { donor, bytes, .. } => Some(Seen::Pulled { donor, bytes }),
            _ => None,
        };
        let is_full = replica.is_full();
        if pulled != self.pulled {
            self.pulled.clone_from(&pulled);
            pulled.into_iter().for_each(|pulled| self.note(now, pulled));
        }
        if is_full && !self.was_full {
            self.note(now, Seen::Full);
        }
        self.was_full = is_full;
    }

    /// Asks `n` times.
    fn ask(&mut self, n: u64) {
        for _ in 0..n {
            let Some(replica) = &mut self.replica else { return };
            let mut history = self.history.borrow_mut();
            let floor = history.furthest;
            if self.rng.percent(30) {
                if let Ok(ticket) = replica.read() {
                    self.asked.insert(ticket, Asked::Read { floor });
                    let len = replica.peek().map_or(0, |ledger| ledger.entries.len() as u64);
                    let now = self.now;
                    history.log.push((now, self.me, Seen::AsksToRead { len, floor }));
                }
                continue;
            }
            history.next_op += 1;
            let op = history.next_op;
            let (ticket, asked) = match self.rng.percent(15) {
                true => {
                    let k = self.rng.below(4) as usize;
                    let want = [Want::All, Want::Majority, Want::First(k)][k % 3];
                    let within_ms = self.rng.below(300);
                    let ticket = replica.collect(&op, want, within_ms);
                    (ticket, Asked::Collect { op, floor, want })
                }
                false => (replica.call(&op), Asked::Call { op, floor }),
            };
            if let Ok(ticket) = ticket {
                self.asked.insert(ticket, asked);
            }
        }
    }

    fn hear_answers(&mut self, now: Time) {
        let Some(replica) = &mut self.replica else { return };
        let mut history = self.history.borrow_mut();
        while let Some((ticket, answer)) = replica.poll_answer() {
            let asked = self.asked.remove(&ticket).expect("it was asked for");
            let complaint = match (asked, answer) {
                (Asked::Call { op, floor }, Answer::Done(answer)) => {
                    let place = Replica::<Ledger>::decode(&answer).unwrap();
                    history.hear_place((now, self.me), op, floor, place)
                }
                (Asked::Collect { op, floor, want }, Answer::Collected(collected)) => {
                    let read = |answer: Vec<u8>| Replica::<Ledger>::decode(&answer);
                    let collected = collected.try_map(read).unwrap();
                    let complaint = history.judge_collected(self.me, op, want, &collected);
                    let (_, place) = collected.replies[0];
                    complaint.or(history.hear_place((now, self.me), op, floor, place))
                }
                (Asked::Read { floor }, Answer::Readable) => {
                    history.reads += 1;
                    history.log.push((now, self.me, Seen::Read));
                    let len = replica.peek().map_or(0, |ledger| ledger.entries.len() as u64);
                    history.furthest = history.furthest.max(len);
                    (len < floor).then(|| format!("{} read {len}, after {floor}", self.me))
                }
                (Asked::Call { .. } | Asked::Collect { .. }, Answer::Lost) => None,
                _ => Some(String::from("an answer to something else")),
            };
            if let Some(complaint) = complaint.filter(|_| !history.recovered) {
                history.complaints.push(complaint);
            }
        }
        while let Some(event) = replica.poll_event() {
            history.log.push((now, self.me, Seen::Event(event.clone())));
            match event {
                ReplicaEvent::Restored { .. } => history.restored += 1,
                ReplicaEvent::Served => history.served += 1,
                // In another view: all have restarted, and nobody remembers.
                ReplicaEvent::Created => {
                    let first = *history.created_in.get_or_insert(self.view);
                    history.recovered |= first != self.view;
                }
                ReplicaEvent::Waiting(_) => history.waiting += 1,
                ReplicaEvent::Note(_) => {}
                event => history.complaints.push(format!("{event:?}")),
            }
        }
    }

    /// Jobs of a replica run elsewhere, and may take long. Returns when the next one ends.
    fn run_jobs(&mut self, now: Time) -> Option<Time> {
        let replica = self.replica.as_mut()?;
        while self.job_ms_max > 0
            && let Some(job) = replica.poll_job()
        {
            let takes = self.rng.below(self.job_ms_max * 1000);
            self.jobs.push_back((now.plus_us(takes), job.run()));
        }
        while self.jobs.front().is_some_and(|(at, _)| *at <= now) {
            let (_, done) = self.jobs.pop_front()?;
            let handled = self.replica.as_mut()?.handle_job(done);
            self.check(now, handled);
        }
        self.jobs.front().map(|(at, _)| *at)
    }

    fn is_waiting(&self) -> bool {
        let status = self.replica.as_ref().map(Replica::status);
        matches!(status, Some(ReplicaStatus::Waiting(_)))
    }

    /// An operator looks after the one with the least id.
    fn look_after(&mut self, now: Time) -> Option<Time> {
        match self.recover_at {
            Some(at) if now < at => return Some(at),
            Some(_) if self.replica.as_mut().is_some_and(Replica::recover) => {
                self.recover_at = None;
            }
            _ => {}
        }
        let recover_ms = self.recover_ms?;
        if !self.is_waiting() {
            self.waiting_since = None;
            return None;
        }
        let since = *self.waiting_since.get_or_insert(now);
        let at = since.plus_ms(recover_ms + 50 * self.me.0);
        if now < at {
            return Some(at);
        }
        self.waiting_since = None;
        let decided = self.replica.as_mut().is_some_and(Replica::recover);
        self.history.borrow_mut().recovered |= decided;
        None
    }
}

impl Application for Keeper {
    fn handle_joined(&mut self, group: GroupKey) {
        self.group = Some(group);
        let nonce = self.history.borrow_mut().next_nonce();
        let config = (self.config)(ReplicaConfig::new(&self.primary_of, nonce));
        let initial = Ledger { entries: Vec::new(), ballast: vec![7; self.ballast] };
        self.replica = Some(Replica::new(self.me, config, initial));
        self.asked.clear();
    }

    fn handle_action(&mut self, now: Time, action: &Action<'_>) {
        self.now = now;
        if let Action::View { view, .. } = action {
            self.view = view.id();
        }
        if self.is_broken {
            return;
        }
        if let Some(replica) = &mut self.replica {
            let handled = replica.handle_action(action);
            self.check(now, handled);
            self.hear_answers(now);
        }
    }

    fn act(&mut self, handle: &mut Handle<'_>) -> Option<Time> {
        let (group, now) = (self.group?, handle.now());
        self.now = now;
        if self.is_broken || self.replica.is_none() {
            return None;
        }
        while let Some((from, message)) = handle.poll_direct(group) {
            let handled = self.replica.as_mut().map(|r| r.handle_direct(now, from, message));
            self.check(now, handled.unwrap_or(Ok(())));
            if self.is_broken {
                return None;
            }
        }
        if self.load.interval_us > 0 && now < self.load.until {
            let pause = 1 + self.rng.below(2 * self.load.interval_us);
            let at = *self.next.get_or_insert(now.plus_us(pause));
            if at <= now {
                self.next = Some(now.plus_us(pause));
                let n = 1 + self.rng.below(self.load.burst_max);
                self.ask(n);
            }
        }
        let looked = self.look_after(now);
        let job = self.run_jobs(now);
        let driven = self.replica.as_mut()?.drive(now, &mut handle.port(group));
        let wake = self.check(now, driven).flatten().into_iter().chain(job);
        self.hear_answers(now);
        self.note_transfer(now);
        let next = self.next.filter(|at| now < *at && *at < self.load.until);
        wake.chain(looked).chain(next).min()
    }

    fn is_hearing(&self) -> bool {
        !self.replica.as_ref().is_some_and(Replica::is_full)
    }

    fn handle_crash(&mut self) {
        self.replica = None;
        self.jobs.clear();
        self.group = None;
        self.next = None;
        self.pulled = None;
        self.was_full = false;
        self.waiting_since = None;
        self.is_broken = false;
    }

    fn say(&mut self, n: u64) {
        self.ask(n);
    }

    fn is_drained(&self, _: GroupKey) -> bool {
        // Where no majority is left, nothing is answered any more.
        let status = self.replica.as_ref().map(Replica::status);
        let is_stuck = matches!(status, Some(ReplicaStatus::Waiting(_) | ReplicaStatus::Settling));
        let is_idle = self.asked.is_empty() && self.jobs.is_empty();
        is_idle || is_stuck || self.replica.is_none()
    }

    fn common_state(&self, _: GroupKey) -> Option<String> {
        let replica = self.replica.as_ref()?;
        if replica.status() != ReplicaStatus::Serving {
            return None;
        }
        let ledger = replica.peek()?;
        Some(format!("{:?} {:?}", replica.standing()?, ledger.entries))
    }
}

/// Every answered operation is in `ledger` once, at the place that was answered.
pub(crate) fn check_answers(history: &History, ledger: &Ledger) -> Result<(), String> {
    let distinct: BTreeSet<u64> = ledger.entries.iter().copied().collect();
    if distinct.len() != ledger.entries.len() {
        return Err(String::from("an operation was carried out twice"));
    }
    for (op, place) in &history.done {
        if ledger.entries.get(*place as usize - 1) != Some(op) {
            return Err(format!("{op} was answered the place {place}, and is not there"));
        }
    }
    Ok(())
}

/// A scenario that was played.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) outcome: Outcome,
    pub(crate) history: History,
    /// Processes that serve in the end.
    pub(crate) serving: usize,
}

/// Plays `scenario` with a ledger at each process, as `set` changes it, and judges what its clients
/// saw.
pub(crate) fn play(scenario: &Scenario, set: impl Fn(&mut Keeper)) -> Result<Run, String> {
    let history = Rc::new(RefCell::new(History::default()));
    let all: Vec<ProcessId> = scenario.processes.iter().map(|plan| plan.id).collect();
    let make = |plan: &ProcessPlan| {
        let mut keeper = Keeper::new(plan, &all, &history);
        set(&mut keeper);
        keeper
    };
    let mut serving = 0;
    let outcome = scenario.run_with(make, |world| {
        for &p in &all {
            let Some(replica) = &world.app(p).replica else { continue };
            if replica.status() == ReplicaStatus::Serving {
                serving += 1;
                let ledger = replica.peek().ok_or("it serves without a state")?;
                if !history.borrow().recovered {
                    check_answers(&history.borrow(), ledger)?;
                }
            }
        }
        Ok(())
    });
    let history = history.take();
    if let Some(failure) = &outcome.failure {
        return Err(failure.to_string());
    }
    match history.complaints.first() {
        Some(complaint) => Err(format!("seed {}: {complaint}", scenario.seed)),
        None => Ok(Run { outcome, history, serving }),
    }
}
