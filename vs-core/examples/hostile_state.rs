//! A replicated state in hostile worlds: hostile_state [--seed N] [--broken]

use std::collections::HashMap;

use vs_core::ident::{GroupKey, ProcessId};
use vs_core::order::Order;
use vs_core::replica::{
    Broken, Replica, ReplicaConfig, ReplicaStatus, Sink, Source, State, put_value, take_value,
};
use vs_core::sim::{Application, Handle, Scenario, Stats};
use vs_core::{Action, Time};

// How often each of the last three words was said. The one that is forgotten for a new one must be
// the same at all; with `broken` it is whichever a hash map names first.
#[derive(Clone, Default)]
struct Words(HashMap<u64, u64>, bool);

impl State for Words {
    type Op = u64;
    type Out = u64;

    fn apply(&mut self, word: u64) -> u64 {
        if self.0.len() == 3 && !self.0.contains_key(&word) {
            let forgotten = if self.1 { self.0.keys().next() } else { self.0.keys().min() };
            forgotten.copied().map(|word| self.0.remove(&word));
        }
        let count = self.0.entry(word).or_default();
        *count += 1;
        *count
    }
    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort();
        put_value(out, &(self.1, entries))
    }
    fn restore(input: &mut dyn Source) -> Result<Self, Broken> {
        let (broken, entries): (bool, Vec<_>) = take_value(input)?.ok_or(Broken::new("empty"))?;
        Ok(Self(entries.into_iter().collect(), broken))
    }
}

// From here on nothing is about words: the same lines test any state.
struct Member {
    me: ProcessId,
    primary_of: Vec<ProcessId>,
    initial: Words,
    lives: u64,
    replica: Option<(GroupKey, Replica<Words>)>,
    broken: Option<Broken>,
}

impl Application for Member {
    fn handle_joined(&mut self, group: GroupKey) {
        self.lives += 1;
        let config = ReplicaConfig::new(&self.primary_of, self.me.0 << 32 | self.lives);
        self.replica = Some((group, Replica::new(self.me, config, self.initial.clone())));
    }
    fn handle_action(&mut self, _: Time, action: &Action<'_>) {
        let Some((_, replica)) = &mut self.replica else { return };
        self.broken = replica.handle_action(action).err().or(self.broken.take());
    }
    fn is_hearing(&self) -> bool {
        !self.replica.as_ref().is_some_and(|(_, replica)| replica.is_full())
    }
    fn say(&mut self, n: u64) {
        let Some((_, replica)) = &mut self.replica else { return };
        (0..n).for_each(|word| drop(replica.call(&(word * self.me.0 % 7))));
    }
    fn act(&mut self, handle: &mut Handle<'_>) -> Option<Time> {
        let (now, (group, replica)) = (handle.now(), self.replica.as_mut()?);
        while let Some((from, message)) = handle.poll_direct(*group) {
            self.broken = replica.handle_direct(now, from, message).err().or(self.broken.take());
        }
        let driven = replica.drive(now, &mut handle.port(*group));
        driven.inspect_err(|why| self.broken = Some(why.clone())).ok()?
    }
    fn common_state(&self, _: GroupKey) -> Option<String> {
        let (_, replica) = self.replica.as_ref()?;
        let mut bytes = Vec::new();
        replica.peek()?.snapshot(&mut bytes).ok()?;
        let serves = replica.status() == ReplicaStatus::Serving;
        serves.then(|| format!("{:?} {bytes:?}", replica.standing()))
    }
    fn complaint(&self) -> Option<&str> {
        self.broken.as_ref().map(|why| why.0.as_str())
    }
}

fn main() {
    let is_broken = std::env::args().any(|arg| arg == "--broken");
    let seed = std::env::args().skip_while(|arg| arg != "--seed").nth(1);
    let seeds = seed.map(|seed| seed.parse().expect("a number")).map_or(0..200, |n| n..n + 1);
    let mut stats = Stats::default();
    for seed in seeds {
        let scenario = Scenario::random(seed).plain().with_order(Order::Safe);
        let primary_of: Vec<ProcessId> = scenario.processes.iter().map(|plan| plan.id).collect();
        let initial = Words(HashMap::new(), is_broken);
        let make = |plan: &vs_core::sim::ProcessPlan| Member {
            me: plan.id,
            primary_of: primary_of.clone(),
            initial: initial.clone(),
            lives: 0,
            replica: None,
            broken: None,
        };
        let outcome = scenario.run_with(make, |_| Ok(()));
        if let Some(failure) = outcome.failure {
            let again = if is_broken { "--broken" } else { "" };
            eprintln!("{failure}\nplay it again: --seed {seed} {again}");
            std::process::exit(1);
        }
        stats.add(&outcome.stats);
    }
    assert!(stats.compared > 0, "nothing was compared");
    println!("{stats}");
}
