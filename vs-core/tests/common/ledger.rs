//! A replicated list in simulated worlds: each call appends, and is answered the place.

#![allow(dead_code, reason = "each of the tests that share it uses a part of it")]

use core::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use vs_core::ident::{GroupKey, ProcessId};
use vs_core::replica::{
    Answer, Broken, Replica, ReplicaConfig, ReplicaEvent, ReplicaStatus, Sink, Source, State,
    Ticket, put_value, take_value,
};
use vs_core::rng::Rng;
use vs_core::sim::{Application, Handle, Load, ProcessPlan};
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

/// What the clients of all processes saw.
#[derive(Debug, Default)]
pub(crate) struct History {
    next_op: u64,
    nonces: u64,
    /// The place of each answered operation.
    pub(crate) done: BTreeMap<u64, u64>,
    /// The furthest place that anybody was answered or has read.
    furthest: u64,
    pub(crate) reads: u64,
    pub(crate) restored: u64,
    pub(crate) served: u64,
    pub(crate) waiting: u64,
    /// An operator decided: what was answered before may be lost.
    pub(crate) recovered: bool,
    pub(crate) complaints: Vec<String>,
}

impl History {
    fn next_nonce(&mut self) -> u64 {
        self.nonces += 1;
        self.nonces
    }
}

enum Asked {
    Call { op: u64, floor: u64 },
    Read { floor: u64 },
}

pub(crate) struct Keeper {
    me: ProcessId,
    primary_of: Vec<ProcessId>,
    load: Load,
    rng: Rng,
    history: Rc<RefCell<History>>,
    group: Option<GroupKey>,
    pub(crate) replica: Option<Replica<Ledger>>,
    asked: BTreeMap<Ticket, Asked>,
    next: Option<Time>,
    /// An operator decides after so long without a majority, in ms.
    recover_ms: Option<u64>,
    waiting_since: Option<Time>,
    pub(crate) ballast: usize,
    is_broken: bool,
}

impl Keeper {
    pub(crate) fn new(
        plan: &ProcessPlan,
        primary_of: &[ProcessId],
        history: &Rc<RefCell<History>>,
        recover_ms: Option<u64>,
    ) -> Self {
        Self {
            me: plan.id,
            primary_of: primary_of.to_vec(),
            load: plan.load,
            rng: Rng::new(plan.id.0),
            history: Rc::clone(history),
            group: None,
            replica: None,
            asked: BTreeMap::new(),
            next: None,
            recover_ms,
            waiting_since: None,
            ballast: 0,
            is_broken: false,
        }
    }

    fn check<T>(&mut self, result: Result<T, Broken>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(why) => {
                self.is_broken = true;
                let complaint = format!("{} broke: {why}", self.me);
                self.history.borrow_mut().complaints.push(complaint);
                None
            }
        }
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
                }
                continue;
            }
            history.next_op += 1;
            let op = history.next_op;
            if let Ok(ticket) = replica.call(&op) {
                self.asked.insert(ticket, Asked::Call { op, floor });
            }
        }
    }

    fn hear_answers(&mut self) {
        let Some(replica) = &mut self.replica else { return };
        let mut history = self.history.borrow_mut();
        while let Some((ticket, answer)) = replica.poll_answer() {
            let asked = self.asked.remove(&ticket).expect("it was asked for");
            let complaint = match (asked, answer) {
                (Asked::Call { op, floor }, Answer::Done(answer)) => {
                    let place = Replica::<Ledger>::decode(&answer).unwrap();
                    history.furthest = history.furthest.max(place);
                    let twice = history.done.insert(op, place).is_some();
                    (twice || place <= floor)
                        .then(|| format!("{op} of {} came to {place}, after {floor}", self.me))
                }
                (Asked::Read { floor }, Answer::Readable) => {
                    history.reads += 1;
                    let len = replica.peek().map_or(0, |ledger| ledger.entries.len() as u64);
                    history.furthest = history.furthest.max(len);
                    (len < floor).then(|| format!("{} read {len}, after {floor}", self.me))
                }
                (Asked::Call { .. }, Answer::Lost) => None,
                _ => Some(String::from("an answer to something else")),
            };
            if let Some(complaint) = complaint.filter(|_| !history.recovered) {
                history.complaints.push(complaint);
            }
        }
        while let Some(event) = replica.poll_event() {
            match event {
                ReplicaEvent::Restored { .. } => history.restored += 1,
                ReplicaEvent::Served => history.served += 1,
                // All have restarted, and nobody remembers.
                ReplicaEvent::Created => history.recovered |= history.served > 0,
                ReplicaEvent::Waiting(_) => history.waiting += 1,
                event => history.complaints.push(format!("{event:?}")),
            }
        }
    }

    fn is_waiting(&self) -> bool {
        let status = self.replica.as_ref().map(Replica::status);
        matches!(status, Some(ReplicaStatus::Waiting(_)))
    }

    /// An operator looks after the one with the least id.
    fn look_after(&mut self, now: Time) -> Option<Time> {
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
        let config = ReplicaConfig::new(&self.primary_of, nonce);
        let initial = Ledger { entries: Vec::new(), ballast: vec![7; self.ballast] };
        self.replica = Some(Replica::new(self.me, config, initial));
        self.asked.clear();
    }

    fn handle_action(&mut self, now: Time, action: &Action<'_>) {
        if self.is_broken {
            return;
        }
        if let Some(replica) = &mut self.replica {
            let handled = replica.handle_action(now, action);
            self.check(handled);
            self.hear_answers();
        }
    }

    fn act(&mut self, handle: &mut Handle<'_>) -> Option<Time> {
        let (group, now) = (self.group?, handle.now());
        if self.is_broken || self.replica.is_none() {
            return None;
        }
        while let Some((from, message)) = handle.poll_direct(group) {
            let handled = self.replica.as_mut().map(|r| r.handle_direct(now, from, message));
            self.check(handled.unwrap_or(Ok(())));
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
        let driven = self.replica.as_mut()?.drive(now, &mut handle.port(group));
        let wake = self.check(driven).flatten();
        self.hear_answers();
        let next = self.next.filter(|at| now < *at && *at < self.load.until);
        wake.into_iter().chain(looked).chain(next).min()
    }

    fn is_hearing(&self) -> bool {
        !self.replica.as_ref().is_some_and(Replica::is_full)
    }

    fn handle_crash(&mut self) {
        self.replica = None;
        self.group = None;
        self.next = None;
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
        self.asked.is_empty() || is_stuck || self.replica.is_none()
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
