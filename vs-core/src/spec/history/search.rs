//! The search for an order that explains all answers of one key.
//!
//! Operations without an answer need no branches of their own. What one of them leaves is seen only
//! by an operation with an answer that comes right behind it, since each operation replaces the
//! value as a whole: elsewhere it may be left out. Where the value that an answer names is there
//! already, none is needed. Of those that leave the same value the one that was called first serves
//! as well as any: none of them has an end. So one is used, the first of its value, right before
//! an answer that names this value while another one is there.
//!
//! Nor do operations that leave the value as they found it: where one may come next and finds what
//! is there, it comes at once. Whatever follows could follow all the same.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};

use super::list::{Event, HEAD, List};
use super::operation::Operation;
use crate::time::Time;

/// A value of the key; the first one is that there is none.
type Value = u32;

/// Most of what fits that is told of.
const TOLD_MAX: usize = 8;

/// An operation with an answer, with values as numbers.
#[derive(Debug)]
struct Step {
    /// The position among the operations.
    operation: usize,
    answered: Time,
    found: Value,
    leaves: Value,
}

/// A step that stands in the order.
#[derive(Clone, Copy, Debug)]
struct Taken {
    step: usize,
    /// The value before the step, and before what was used for it.
    before: Value,
    /// The operation without an answer that stands right before it.
    used: Option<usize>,
    /// It changes nothing: whatever else might come next may as well follow.
    is_free: bool,
}

/// Where no order goes on: the longest one that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stuck {
    /// Operations with an answer that fit.
    pub(super) fit: usize,
    /// The last of them in their order, as positions among the operations.
    pub(super) last: Vec<usize>,
    /// Operations of which none can be next.
    pub(super) refused: Vec<usize>,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    Linearizable { carried_out: usize },
    Stuck(Stuck),
    TooManyStates,
}

/// A set of operations and the value behind them.
#[derive(PartialEq, Eq, Hash)]
struct State {
    value: Value,
    /// So many words of `taken` are full.
    full: usize,
    /// The words behind them, up to the last that is not empty.
    taken: Box<[u64]>,
    used: Box<[u64]>,
}

/// The search for one key.
pub(super) struct Search {
    steps: Vec<Step>,
    list: List,
    /// By the value that they leave, operations without an answer that some answer may show, in the
    /// order of their calls: when each was called, and its position.
    open: HashMap<Value, Vec<(Time, usize)>>,
    /// So many of them are used, by value.
    used: HashMap<Value, usize>,
    /// The number of each of them, for `used_bits`.
    numbers: HashMap<usize, usize>,
    used_bits: Bits,
    taken_bits: Bits,
    order: Vec<Taken>,
    value: Value,
    seen: HashSet<State>,
    stuck: Stuck,
}

impl Search {
    pub(super) fn new(operations: &[&Operation]) -> Self {
        let mut values: HashMap<Option<&str>, Value> = HashMap::from([(None, 0)]);
        let mut number = |value| {
            let next = values.len() as Value;
            *values.entry(value).or_insert(next)
        };
        let mut steps = Vec::new();
        let mut times = Vec::new();
        let mut sorted: Vec<(usize, &&Operation)> = operations.iter().enumerate().collect();
        sorted.sort_by_key(|(_, operation)| operation.called);
        for (position, operation) in &sorted {
            let Some(answer) = &operation.answer else { continue };
            let found = answer.value.as_deref();
            times.push((operation.called, answer.at));
            steps.push(Step {
                operation: *position,
                answered: answer.at,
                found: number(found),
                leaves: number(operation.leaves(found)),
            });
        }
        let (mut open, mut numbers) = (HashMap::<_, Vec<_>>::new(), HashMap::new());
        for (position, operation) in sorted {
            let changes = !matches!(operation.request, super::Request::Get);
            if operation.answer.is_none() && changes {
                numbers.insert(position, numbers.len());
                let value = number(operation.leaves(None));
                open.entry(value).or_default().push((operation.called, position));
            }
        }
        Self {
            list: List::new(&times),
            used: HashMap::new(),
            used_bits: Bits::new(numbers.len()),
            taken_bits: Bits::new(steps.len()),
            steps,
            open,
            numbers,
            order: Vec::new(),
            value: 0,
            seen: HashSet::new(),
            stuck: Stuck::default(),
        }
    }

    /// Sets of operations that were tried.
    pub(super) fn states(&self) -> usize {
        self.seen.len()
    }

    /// Searches, while at most `states_max` states are remembered.
    pub(super) fn run(&mut self, states_max: usize) -> Outcome {
        self.take_free();
        let mut at = self.list.first();
        while let Some(place) = at {
            at = match self.list.event(place) {
                Event::Call(step) if self.try_step(step) => {
                    if self.seen.len() > states_max {
                        return Outcome::TooManyStates;
                    }
                    self.list.first()
                }
                Event::Call(_) => self.list.after(place),
                // What was answered there has to come before whatever is behind it.
                Event::Answer(_) => {
                    self.note_stuck();
                    let Some(step) = self.step_back() else {
                        return Outcome::Stuck(core::mem::take(&mut self.stuck));
                    };
                    self.list.after(self.list.call(step))
                }
            };
        }
        Outcome::Linearizable {
            carried_out: self.order.iter().filter(|taken| taken.used.is_some()).count(),
        }
    }

    /// Puts `step` behind the order, if it fits there, and this was not tried before.
    fn try_step(&mut self, step: usize) -> bool {
        let Step { found, leaves, .. } = self.steps[step];
        let mut taken = Taken { step, before: self.value, used: None, is_free: false };
        if found != self.value {
            taken.used = self.open_that_leaves(found);
            if taken.used.is_none() {
                return false;
            }
        }
        self.take(taken);
        self.value = leaves;
        self.take_free();
        let state = State {
            value: leaves,
            full: self.taken_bits.full,
            taken: self.taken_bits.behind_full(),
            used: self.used_bits.words[..self.used_bits.end].into(),
        };
        let is_new = self.seen.insert(state);
        if !is_new {
            self.step_back();
        }
        is_new
    }

    /// Takes all that may come next, finds what is there, and leaves it so.
    fn take_free(&mut self) {
        let mut behind = HEAD;
        while let Some(place) = self.list.after(behind) {
            let Event::Call(step) = self.list.event(place) else { return };
            let Step { found, leaves, .. } = self.steps[step];
            if found == self.value && leaves == self.value {
                self.take(Taken { step, before: self.value, used: None, is_free: true });
            } else {
                behind = place;
            }
        }
    }

    fn take(&mut self, taken: Taken) {
        self.set(taken, true);
        self.list.take(taken.step);
        self.order.push(taken);
    }

    /// The next operation without an answer that leaves `value` and may stand at the end of the
    /// order.
    fn open_that_leaves(&self, value: Value) -> Option<usize> {
        let used = self.used.get(&value).copied().unwrap_or_default();
        let (called, position) = *self.open.get(&value)?.get(used)?;
        let (_, first_answer) = self.list.candidates();
        let first_answer = self.steps[first_answer?].answered;
        (called <= first_answer).then_some(position)
    }

    /// Marks what stands in the order, or does no longer.
    fn set(&mut self, taken: Taken, stands: bool) {
        self.taken_bits.set(taken.step, stands);
        if let Some(position) = taken.used {
            self.used_bits.set(self.numbers[&position], stands);
            let used = self.used.entry(self.steps[taken.step].found).or_default();
            *used = if stands { *used + 1 } else { *used - 1 };
        }
    }

    /// Takes the last step out of the order for which another one might do, and all behind it.
    fn step_back(&mut self) -> Option<usize> {
        while let Some(taken) = self.order.pop() {
            self.set(taken, false);
            self.value = taken.before;
            self.list.put_back(taken.step);
            if !taken.is_free {
                return Some(taken.step);
            }
        }
        None
    }

    fn note_stuck(&mut self) {
        if !self.stuck.refused.is_empty() && self.order.len() <= self.stuck.fit {
            return;
        }
        let position = |step: usize| self.steps[step].operation;
        let mut last = Vec::new();
        for taken in &self.order[self.order.len().saturating_sub(TOLD_MAX)..] {
            last.extend(taken.used);
            last.push(position(taken.step));
        }
        let refused = self.list.candidates().0.into_iter().map(position).collect();
        self.stuck = Stuck { fit: self.order.len(), last, refused };
    }
}

/// A set of numbers below a limit.
struct Bits {
    words: Vec<u64>,
    /// The first words of which all bits are set.
    full: usize,
    /// The words up to the last one of which a bit is set.
    end: usize,
}

impl Bits {
    fn new(limit: usize) -> Self {
        Self { words: vec![0; limit.div_ceil(64)], full: 0, end: 0 }
    }

    fn set(&mut self, at: usize, is_in: bool) {
        let (word, bit) = (at / 64, 1 << (at % 64));
        if is_in {
            self.words[word] |= bit;
            self.end = self.end.max(word + 1);
            while self.words.get(self.full) == Some(&u64::MAX) {
                self.full += 1;
            }
        } else {
            self.words[word] &= !bit;
            self.full = self.full.min(word);
            while self.end > 0 && self.words[self.end - 1] == 0 {
                self.end -= 1;
            }
        }
    }

    /// The words that are neither full nor empty, and those between them.
    fn behind_full(&self) -> Box<[u64]> {
        self.words[self.full..self.end.max(self.full)].into()
    }
}
