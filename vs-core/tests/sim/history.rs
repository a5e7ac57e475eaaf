//! A replicated store in random worlds: whether what its clients saw is linearizable.

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::seeds::seeds;
use vs_core::ident::{GroupKey, ProcessId, ViewId};
use vs_core::order::Order;
use vs_core::replica::{
    Broken, Replica, ReplicaConfig, ReplicaEvent, Sink, Source, State, Ticket, put_value,
    take_value,
};
use vs_core::rng::Rng;
use vs_core::sim::{Application, Handle, Load, ProcessPlan, Scenario};
use vs_core::spec::history::{Answer, HistoryError, Judged, Operation, Request, judge};
use vs_core::{Action, Time};

/// Keys of a store.
const KEYS: u64 = 3;
/// A client asks for up to so many things at once, or more if its load has longer bursts.
const BURST: u64 = 4;
/// It waits for up to so many answers: of more at once too many orders would have to be tried.
const ASKED_MAX: usize = 6;

#[derive(Clone, Default)]
struct Store(BTreeMap<u64, u64>);

impl State for Store {
    type Op = (u64, Option<u64>);
    type Out = Option<u64>;

    fn apply(&mut self, (key, value): Self::Op) -> Option<u64> {
        match value {
            Some(value) => self.0.insert(key, value),
            None => self.0.remove(&key),
        }
    }

    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        put_value(out, &self.0)
    }

    fn restore(input: &mut dyn Source) -> Result<Self, Broken> {
        Ok(Self(take_value(input)?.ok_or(Broken("empty".into()))?))
    }
}

/// What the clients of all processes saw.
#[derive(Default)]
struct Seen {
    history: Vec<Operation>,
    /// Each process has a clock of its own; what is seen later has a later number.
    clock: u64,
    values: u64,
    lives: u64,
    /// The view in which the state was made first.
    made_in: Option<ViewId>,
    /// All forgot it, and it was made again.
    is_lost: bool,
}

impl Seen {
    fn now(&mut self) -> Time {
        self.clock += 1;
        Time(self.clock)
    }

    fn answer(&mut self, value: Option<&u64>) -> Answer {
        Answer { at: self.now(), value: value.map(u64::to_string) }
    }
}

/// A process with a client.
struct Client {
    me: ProcessId,
    primary_of: Vec<ProcessId>,
    load: Load,
    rng: Rng,
    seen: Rc<RefCell<Seen>>,
    /// Reads look at the local copy at once: that is wrong.
    is_hasty: bool,
    view: ViewId,
    replica: Option<(GroupKey, Replica<Store>)>,
    /// Which operations of the history wait for an answer, and the key that is read.
    asked: BTreeMap<Ticket, (usize, Option<u64>)>,
    next: Option<Time>,
    broken: Option<Broken>,
}

impl Client {
    fn ask(&mut self) {
        let Some((_, replica)) = &mut self.replica else { return };
        if self.asked.len() >= ASKED_MAX {
            return;
        }
        let mut seen = self.seen.borrow_mut();
        let key = self.rng.below(KEYS);
        let value = seen.values;
        let (request, ticket) = match self.rng.below(10) {
            0..5 => (Request::Put(value.to_string()), replica.call(&(key, Some(value)))),
            5 => (Request::Delete, replica.call(&(key, None))),
            _ => (Request::Get, replica.read()),
        };
        let Ok(ticket) = ticket else { return };
        seen.values += 1;
        let is_read = request == Request::Get;
        let (client, key_name) = (self.me.0, key.to_string());
        let called = seen.now();
        let mut operation = Operation { client, key: key_name, request, called, answer: None };
        match replica.peek() {
            Some(store) if is_read && self.is_hasty => {
                operation.answer = Some(seen.answer(store.0.get(&key)));
            }
            _ => drop(self.asked.insert(ticket, (seen.history.len(), is_read.then_some(key)))),
        }
        seen.history.push(operation);
    }

    fn hear(&mut self) {
        let Some((_, replica)) = &mut self.replica else { return };
        let mut seen = self.seen.borrow_mut();
        while let Some((ticket, heard)) = replica.poll_answer() {
            let Some((at, key)) = self.asked.remove(&ticket) else { continue };
            let found = match (&heard, key) {
                (vs_core::replica::Answer::Done(found), None) => {
                    Replica::<Store>::decode(found).expect("an answer that can be read")
                }
                (vs_core::replica::Answer::Readable, Some(key)) => {
                    replica.peek().expect("a state that can be read").0.get(&key).copied()
                }
                _ => continue,
            };
            seen.history[at].answer = Some(seen.answer(found.as_ref()));
        }
        while let Some(event) = replica.poll_event() {
            if event == ReplicaEvent::Created {
                let first = *seen.made_in.get_or_insert(self.view);
                seen.is_lost |= first != self.view;
            }
        }
    }
}

impl Application for Client {
    fn handle_joined(&mut self, group: GroupKey) {
        let nonce = {
            let mut seen = self.seen.borrow_mut();
            seen.lives += 1;
            seen.lives
        };
        let config = ReplicaConfig::new(&self.primary_of, nonce);
        self.replica = Some((group, Replica::new(self.me, config, Store::default())));
    }

    fn handle_action(&mut self, _: Time, action: &Action<'_>) {
        if let Action::View { view, .. } = action {
            self.view = view.id();
        }
        if let Some((_, replica)) = &mut self.replica {
            self.broken = replica.handle_action(action).err().or(self.broken.take());
        }
        self.hear();
    }

    fn act(&mut self, handle: &mut Handle<'_>) -> Option<Time> {
        let now = handle.now();
        let group = self.replica.as_ref()?.0;
        while let Some((from, message)) = handle.poll_direct(group) {
            let (_, replica) = self.replica.as_mut()?;
            self.broken = replica.handle_direct(now, from, message).err().or(self.broken.take());
        }
        if self.load.interval_us > 0 && now < self.load.until {
            let pause = 1 + self.rng.below(2 * self.load.interval_us);
            if *self.next.get_or_insert(now.plus_us(pause)) <= now {
                self.next = Some(now.plus_us(pause));
                for _ in 0..=self.rng.below(self.load.burst_max.max(BURST)) {
                    self.ask();
                }
            }
        }
        let driven = self.replica.as_mut()?.1.drive(now, &mut handle.port(group));
        self.hear();
        let wake = driven.inspect_err(|why| self.broken = Some(why.clone())).ok().flatten();
        let next = self.next.filter(|at| now < *at && *at < self.load.until);
        wake.into_iter().chain(next).min()
    }

    fn is_hearing(&self) -> bool {
        !self.replica.as_ref().is_some_and(|(_, replica)| replica.is_full())
    }

    fn handle_crash(&mut self) {
        self.replica = None;
        self.asked.clear();
        self.next = None;
    }

    fn say(&mut self, n: u64) {
        // There is no time here: it is the one at which it acts.
        self.next = (n > 0).then_some(Time::ZERO).or(self.next);
    }

    fn complaint(&self) -> Option<&str> {
        self.broken.as_ref().map(|why| why.0.as_str())
    }
}

/// Plays the world of `seed`; `None`: all forgot the state there, and nothing is promised.
fn play(seed: u64, is_hasty: bool) -> Option<Result<Judged, HistoryError>> {
    let scenario = Scenario::random(seed).plain().with_order(Order::Safe);
    let primary_of: Vec<ProcessId> = scenario.processes.iter().map(|plan| plan.id).collect();
    let seen = Rc::<RefCell<Seen>>::default();
    let make = |plan: &ProcessPlan| Client {
        me: plan.id,
        primary_of: primary_of.clone(),
        load: plan.load,
        rng: Rng::new(seed ^ plan.id.0 << 32),
        seen: Rc::clone(&seen),
        is_hasty,
        view: ViewId::default(),
        replica: None,
        asked: BTreeMap::new(),
        next: None,
        broken: None,
    };
    let outcome = scenario.run_with(make, |_| Ok(()));
    let seen = seen.take();
    if seen.is_lost {
        return None;
    }
    if let Some(failure) = outcome.failure {
        panic!("{failure}");
    }
    Some(judge(&seen.history))
}

#[test]
fn what_clients_see_is_linearizable() {
    let (mut judged, mut sum) = (0, Judged::default());
    for seed in seeds(0..60) {
        let Some(result) = play(seed, false) else { continue };
        let of = result.unwrap_or_else(|refusal| panic!("seed {seed}: {refusal}"));
        judged += 1;
        sum.answered += of.answered;
        sum.open += of.open;
        sum.carried_out += of.carried_out;
    }
    println!(
        "{judged} worlds, {} answers, {} operations without one, of which {} were carried out",
        sum.answered, sum.open, sum.carried_out
    );
    assert!(judged > 20 && sum.answered > 2000 && sum.carried_out > 10);
}

#[test]
fn reads_of_a_local_copy_are_found_out() {
    let found = seeds(0..60).find_map(|seed| play(seed, true)?.err());
    assert!(matches!(found, Some(HistoryError::NotLinearizable { .. })), "{found:?}");
}
