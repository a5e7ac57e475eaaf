//! Every interleaving of small worlds, with the code that ships.
//!
//! A world is a handful of processes and one to three membership servers. The processes are real
//! end-point automata (`sync::Automaton`), the servers real agreements on membership (`Agreement`):
//! both are values without time or bytes, so a state can be copied, compared and gone back to. What
//! lies between them is counts: how much of each stream has arrived, which sync messages and
//! proposals are under way, what is lost. A plan ([`PLANS`]) says who is there and what happens
//! from outside (reports of the notification service, crashes, recoveries, connections of servers
//! that break); when it happens, and in which order everything else arrives, is open, and
//! [`explore`] goes through all of it, breadth first.
//!
//! # What is checked
//!
//! - *Safety, in every state.* The specifications of the services
//!   ([`automata`](crate::spec::automata)) and the algorithm's own automaton step beside each
//!   end-point ([`refine`](crate::spec::refine)); their states are a part of the state that is
//!   explored.
//! - *Liveness.* Each state counts what has happened by itself, so runs cannot go in circles, and
//!   none is longer than [`STEPS_MAX`]: whatever has happened, without further faults every run
//!   comes to a state in which nothing happens by itself any more. There all homes of clients that
//!   report the same, and whose clients live, must have brought those together: in one view of just
//!   them, with everything said in it at all (L1, L2, L3, L5).
//!
//! # What is left away
//!
//! Packets of a stream arrive in its order (gaps and repair are the multicast's), a packet is one
//! message, packets are not given up while the view lasts; sync messages are whole and arrive once.
//! What a process does by itself (it stops sending, delivers, sends its sync message, hands packets
//! on, puts packets in order) it does at once, but where a plan says that applications take their
//! time. An order is the real policy with the real trailers; nothing is safe, and the lead never
//! passes. Clients do not
//! move to another server, and servers do not restart: that is `sim`'s. Names of processes matter
//! (the least of those who have a packet hands it on), so worlds that differ only in names are not
//! taken for one. States are told apart by 128 bits.
//!
//! # What is found
//!
//! [`Found`] is a shortest run to what is wrong, replayed as traces that
//! [`check`](crate::spec::check) judges by itself. With a rule of the algorithm left out (feature
//! `mutants`, [`Plan::shows`]), something has to be found.
//!
//! ```
//! use vs_core::explore::{Limits, PLANS, explore};
//! use vs_core::rule::Rules;
//!
//! let world = PLANS.iter().find(|plan| plan.name == "last-words").unwrap();
//! let all = explore(world, Rules::default(), Limits::default());
//! assert!(all.found.is_none() && all.is_whole);
//! ```

mod action;
mod end;
mod fingerprint;
mod found;
mod layer;
mod log;
mod moves;
mod net;
mod ordered;
mod plan;
mod sleep;
mod walk;
mod world;

use alloc::vec::Vec;

use hashbrown::HashMap;

pub use found::{Found, Wrong};
pub use plan::{PLANS, Plan};
pub use walk::walk;

use crate::rule::Rules;
use action::Action;
use fingerprint::fingerprint;
use log::{Log, Setting};
use sleep::Sleep;
use world::World;

/// Most that may happen by itself in one run. More is a run without end.
pub const STEPS_MAX: u16 = 500;

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most states that are looked at, from 1. Each takes about 40 bytes, and those that are as far
    /// as one another and not yet gone on from, some KiB each: in the worlds here up to 3 GB in
    /// all.
    pub states_max: usize,
    /// Of two orders of independent steps one is gone through. The states are the same, the steps
    /// less. With a rule left out all are.
    pub reduced: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { states_max: 20_000_000, reduced: true }
    }
}

impl Limits {
    /// Sets [`Self::states_max`].
    #[must_use]
    pub fn with_states_max(mut self, states_max: usize) -> Self {
        self.states_max = states_max;
        self
    }

    /// Sets [`Self::reduced`].
    #[must_use]
    pub fn with_reduced(mut self, reduced: bool) -> Self {
        self.reduced = reduced;
        self
    }
}

/// What was gone through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Steps from one of them to one of them.
    pub steps: usize,
    /// States in which nothing happens by itself any more.
    pub ends: usize,
    /// Steps of the longest shortest way to a state.
    pub depth: usize,
    /// Whether these are all states; not if something was found, or a limit was met.
    pub is_whole: bool,
    /// What is wrong, at the end of a shortest run.
    pub found: Option<Found>,
}

/// How a state was come to: from which one, and by which of the actions that were possible there.
#[derive(Clone, Copy, Debug)]
struct Way {
    from: u32,
    choice: u16,
}

/// A state that was come to.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Steps of the way to it.
    depth: u16,
    /// Where it stands among those of its depth.
    at: u32,
    /// Nothing sleeps there.
    awake: bool,
}

/// A state that is to be gone on from.
struct Open {
    way: u32,
    world: World,
    sleep: Sleep,
    /// It was gone on from before.
    again: bool,
}

struct Explorer<'a> {
    setting: Setting<'a>,
    limits: Limits,
    seen: HashMap<u128, Seen>,
    level: u16,
    next: Vec<Open>,
    ways: Vec<Way>,
    explored: Explored,
}

/// Goes through all states of a world. The specification is stepped beside; with a rule left out
/// only what is promised is demanded, so that what is found is a violation that its traces show.
#[must_use]
pub fn explore(plan: &Plan, rules: Rules, limits: Limits) -> Explored {
    let refine = rules == Rules::default();
    let setting = Setting { plan, rules, refine, reduce: refine && limits.reduced };
    let mut explorer = Explorer {
        setting,
        limits,
        seen: HashMap::new(),
        level: 0,
        next: Vec::new(),
        ways: Vec::new(),
        explored: Explored::default(),
    };
    explorer.run();
    explorer.explored
}

impl Explorer<'_> {
    fn run(&mut self) {
        let mut log = Log::default();
        let first = World::prelude(self.setting, &mut log);
        if let Some(refuted) = log.refuted {
            return self.find(&[], Wrong::Refuted(refuted));
        }
        self.come_to(first, Way { from: 0, choice: 0 }, Sleep::new());
        while !self.next.is_empty() {
            self.level += 1;
            for open in core::mem::take(&mut self.next) {
                if !self.expand(open) {
                    self.explored.states = self.seen.len();
                    return;
                }
            }
            self.explored.depth += usize::from(!self.next.is_empty());
        }
        self.explored.states = self.seen.len();
        self.explored.is_whole = true;
    }

    /// A way has led to a state, where some actions need not be gone through; false if there are
    /// too many states.
    fn come_to(&mut self, world: World, way: Way, sleep: Sleep) -> bool {
        let print = fingerprint(&world);
        let (depth, at) = (self.level, self.next.len() as u32);
        let way_at = self.ways.len() as u32;
        match self.seen.get_mut(&print) {
            None if self.ways.len() >= self.limits.states_max => return false,
            None => {
                self.seen.insert(print, Seen { depth, at, awake: sleep.is_empty() });
                self.ways.push(way);
                self.next.push(Open { way: way_at, world, sleep, again: false });
            }
            // Another way of the same length: what sleeps on both.
            Some(seen) if seen.depth == depth => {
                let open = &mut self.next[seen.at as usize];
                open.sleep.retain(|action| sleep.contains(action));
                seen.awake |= open.sleep.is_empty();
            }
            Some(seen) if seen.awake => {}
            // A longer way to where something slept: it is gone on from once more, with all awake.
            Some(seen) => {
                *seen = Seen { depth, at, awake: true };
                self.ways.push(way);
                self.next.push(Open { way: way_at, world, sleep: Sleep::new(), again: true });
            }
        }
        true
    }

    /// All that can follow on a state; false if it is enough.
    fn expand(&mut self, open: Open) -> bool {
        let Open { way: at, world, sleep, again } = open;
        let actions = world.actions(self.setting);
        if !actions.iter().any(|action| action.is_progress()) {
            self.explored.ends += usize::from(!again);
            if let Some(set) = world.judge_end() {
                self.find(&self.choices(at), Wrong::Stuck(set));
                return false;
            }
        }
        let (reduced, mut gone) = (sleep::is_reduced(self.setting), sleep);
        for (choice, &action) in actions.iter().enumerate() {
            if gone.contains(&action) {
                continue;
            }
            let (mut world, mut log) = (world.clone(), Log::default());
            world.apply(self.setting, &mut log, action);
            self.explored.steps += 1;
            let way = Way { from: at, choice: choice as u16 };
            let endless = (world.steps > STEPS_MAX).then_some(Wrong::Endless);
            let refuted = log.refuted.map(Wrong::Refuted);
            if let Some(wrong) = refuted.or_else(|| self.broken(&world)).or(endless) {
                let mut choices = self.choices(at);
                choices.push(way.choice);
                self.find(&choices, wrong);
                return false;
            }
            let sleep = if reduced { sleep::after(action, &gone) } else { Sleep::new() };
            if !self.come_to(world, way, sleep) {
                return false;
            }
            if reduced {
                gone.push(action);
            }
        }
        true
    }

    /// The invariants of the proof are asked of each server.
    fn broken(&self, world: &World) -> Option<Wrong> {
        let mut servers = world.servers.iter().filter(|_| self.setting.refine);
        servers.find_map(|s| Some(Wrong::Broken(s.id(), s.broken()?)))
    }

    /// The choices that lead to a state.
    fn choices(&self, mut at: u32) -> Vec<u16> {
        let mut choices = Vec::new();
        while at != 0 {
            let way = self.ways[at as usize];
            choices.push(way.choice);
            at = way.from;
        }
        choices.reverse();
        choices
    }

    fn find(&mut self, choices: &[u16], wrong: Wrong) {
        self.explored.found = Some(Found::replay(self.setting, choices, wrong));
    }
}

impl World {
    /// The action of a choice.
    fn chosen(&self, setting: Setting<'_>, choice: u16) -> Option<Action> {
        self.actions(setting).get(usize::from(choice)).copied()
    }
}
