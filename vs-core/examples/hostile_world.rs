//! A box office with several counters, in hostile worlds: hostile_world [--seed N] [--broken]

use std::collections::{BTreeSet, VecDeque};

use vs_core::ident::{GroupKey, ViewId};
use vs_core::sim::{Application, Handle, play};
use vs_core::{Action, Members, Time, View};

// Seats that were sold. With the id of a view: all seats that the sender knew when it installed it.
type Update = (Option<ViewId>, BTreeSet<u16>);

#[derive(Default)]
struct Counter {
    broken: bool,
    group: Option<GroupKey>,
    view: Option<View>,
    sold: BTreeSet<u16>,
    missing: Members, // members that may know of more, and have not said so yet
    to_say: VecDeque<Update>,
}

impl Application for Counter {
    fn handle_joined(&mut self, group: GroupKey) {
        // An incarnation begins, and knows nothing of the one before.
        *self = Self { broken: self.broken, group: Some(group), ..Self::default() };
    }
    fn handle_action(&mut self, _: Time, action: &Action<'_>) {
        match *action {
            Action::Deliver { from, payload, .. } => {
                let (all, seats): Update = postcard::from_bytes(payload).unwrap();
                self.sold.extend(seats);
                let told = all.is_some() && all == self.view.as_ref().map(View::id);
                self.missing.retain(|p| !told || *p != from);
            }
            Action::View { view, transitional, .. } => {
                let old = self.view.replace(view.clone()).filter(|_| self.broken);
                let came_along = |p| transitional.contains(p) || old.iter().any(|v| v.contains(*p));
                if view.members().iter().all(came_along) && self.missing.is_empty() {
                    return self.say(1);
                }
                self.missing = view.members().into();
                self.to_say = [(Some(view.id()), self.sold.clone())].into();
            }
            _ => {}
        }
    }
    fn say(&mut self, n: u64) {
        let free = (0..).filter(|seat| !self.sold.contains(seat)).take(n as usize);
        self.to_say.push_back((None, free.collect()));
    }
    fn act(&mut self, handle: &mut Handle<'_>) -> Option<Time> {
        handle.send_queued(self.group?, &mut self.to_say, |w| postcard::to_allocvec(w).unwrap());
        None // it has no timer
    }
    fn common_state(&self, _: GroupKey) -> Option<String> {
        self.missing.is_empty().then(|| format!("{:?}", self.sold))
    }
}

fn main() {
    let broken = std::env::args().any(|arg| arg == "--broken");
    let seed = std::env::args().skip_while(|arg| arg != "--seed").nth(1);
    let seeds = seed.map(|seed| seed.parse().expect("a number")).map_or(0..200, |n| n..n + 1);
    let played = play(seeds, |_| Counter { broken, ..Counter::default() });
    let stats = played.unwrap_or_else(|failure| {
        let again = if broken { "--broken" } else { "" };
        eprintln!("{failure}\nplay it again: --seed {} {again}", failure.seed);
        std::process::exit(1)
    });
    println!("{stats}");
}
