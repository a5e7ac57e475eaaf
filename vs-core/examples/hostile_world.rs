//! A box office with several counters, in hostile worlds: hostile_world [--seed N] [--broken]

use std::collections::BTreeSet;
use std::process::ExitCode;

use vs_core::ident::{GroupKey, ViewId};
use vs_core::sim::{Application, Handle, Scenario, Stats};
use vs_core::{Action, Members, Time, View};

// Seats that were sold; with the id of a view: all that the sender knew of when it came to that.
type Word = (Option<ViewId>, BTreeSet<u16>);

#[derive(Default)]
struct Counter {
    broken: bool,
    group: Option<GroupKey>,
    view: Option<View>,
    sold: BTreeSet<u16>,
    missing: Members, // who may know of more, and has not said so yet
    to_say: Vec<Word>,
}

impl Application for Counter {
    fn handle_joined(&mut self, group: GroupKey) {
        // A life begins, and knows nothing of the one before.
        *self = Self { broken: self.broken, group: Some(group), ..Self::default() };
    }
    fn handle_action(&mut self, _: Time, action: &Action<'_>) {
        match *action {
            Action::Deliver { from, payload, .. } => {
                let (all, seats): Word = postcard::from_bytes(payload).unwrap();
                self.sold.extend(seats);
                let told = all.is_some() && all == self.view.as_ref().map(View::id);
                self.missing.retain(|p| !told || *p != from);
            }
            Action::View { view, transitional, .. } => {
                let old = self.view.replace(view.clone());
                let was_here = |p| old.as_ref().is_some_and(|old| old.contains(p));
                let came_along = |p| transitional.contains(&p) || (self.broken && was_here(p));
                let all_came_along = view.members().iter().all(|p| came_along(*p));
                if !all_came_along || !self.missing.is_empty() {
                    self.missing = view.members().into();
                    self.to_say = vec![(Some(view.id()), self.sold.clone())];
                } else {
                    self.say(1);
                }
            }
            _ => {}
        }
    }
    fn say(&mut self, n: u64) {
        let free = (0..).filter(|seat| !self.sold.contains(seat));
        self.to_say.insert(0, (None, free.take(n as usize).collect()));
    }
    fn act(&mut self, handle: &mut Handle<'_>) -> Option<Time> {
        while let (Some(group), Some(word)) = (self.group, self.to_say.last()) {
            if handle.send(group, &postcard::to_allocvec(word).unwrap()).is_err() {
                break; // until there is room
            }
            self.to_say.pop();
        }
        None // it has no timer
    }
    fn common_state(&self, _: GroupKey) -> Option<String> {
        self.missing.is_empty().then(|| format!("{:?}", self.sold))
    }
}

fn arguments() -> Option<(Option<u64>, bool)> {
    let (mut seed, mut broken, mut args) = (None, false, std::env::args().skip(1));
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seed" => seed = Some(args.next()?.parse().ok()?),
            "--broken" => broken = true,
            _ => return None,
        }
    }
    Some((seed, broken))
}

fn main() -> ExitCode {
    let Some((seed, broken)) = arguments() else {
        eprintln!("hostile_world takes --seed N, where N is a number, and --broken");
        return ExitCode::from(2);
    };
    let mut stats = Stats::default();
    for seed in seed.map_or(0..=199, |seed| seed..=seed) {
        let scenario = Scenario::random(seed).plain();
        let outcome = scenario.run_with(|_| Counter { broken, ..Counter::default() }, |_| Ok(()));
        if let Some(failure) = outcome.failure {
            let broken = if broken { " --broken" } else { "" };
            eprintln!("{failure}\nplay it again: --seed {seed}{broken}");
            return ExitCode::FAILURE;
        }
        stats.add(&outcome.stats);
    }
    let Stats { runs, views, delivered, compared, .. } = stats;
    println!("{runs} worlds, {views} views, {delivered} messages, {compared} states compared");
    if compared == 0 {
        eprintln!("no states were compared, which proves nothing");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
