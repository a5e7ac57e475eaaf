//! TOTAL: one order for all members of a view, and the signal at its end; on top of WV_RFIFO.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::{Step, WvRfifo, demand};
use crate::ident::ProcessId;
use crate::order::Stage;
use crate::view::{DisplaySet, Members, View};

/// A message: its sender, and its number in the view.
type Item = (ProcessId, u64);

/// What a process has delivered in its view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Walk {
    items: Vec<(Item, Stage)>,
    /// How many of them came before the signal, and its set.
    signal: Option<(usize, Members)>,
}

/// One order for all (T1, T2, T6), and in a safe group T4 and T5.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Total {
    is_safe: bool,
    /// `order[v]`: the one sequence of which the members of v deliver a prefix before the signal.
    orders: BTreeMap<View, Vec<Item>>,
    walks: BTreeMap<ProcessId, Walk>,
    /// `walk[v][v']`: what all deliver that go from v to v'.
    wholes: BTreeMap<(View, View), Walk>,
    /// In a safe group: what each delivered in v that has left it.
    left: BTreeMap<View, Vec<Vec<Item>>>,
}

const NAME: &str = "TOTAL";

impl Total {
    /// The order of a group; of a safe one, if `is_safe`.
    #[must_use]
    pub fn new(is_safe: bool) -> Self {
        Self { is_safe, ..Self::default() }
    }

    /// An incarnation of `p` begins or ends.
    pub fn reset(&mut self, p: ProcessId) {
        let initial = View::initial(p);
        self.orders.remove(&initial);
        self.left.remove(&initial);
        self.wholes.retain(|(from, _), _| *from != initial);
        self.walks.remove(&p);
    }

    /// The precondition that `deliver_p(q, m)`, the `n`-th that q sent in the view, has beyond that
    /// of `parent`. The first who delivers something at a place of the order puts it there.
    ///
    /// # Errors
    /// T1, T5 or T6 does not hold.
    pub fn deliver(
        &mut self,
        parent: &WvRfifo,
        p: ProcessId,
        item: (ProcessId, u64),
        stage: Stage,
    ) -> Step {
        let Some(view) = parent.current(p) else { return Ok(()) };
        let walk = self.walks.entry(p).or_default();
        let is_regular = stage == Stage::Regular;
        demand(NAME, "T6, regular before the signal", is_regular == walk.signal.is_none(), || {
            format!("{p} delivers {item:?} as {stage:?} in {view}")
        })?;
        let was_tail = walk.items.last().is_some_and(|(_, stage)| *stage == Stage::Tail);
        demand(NAME, "the tail comes last", !was_tail || stage == Stage::Tail, || {
            format!("{p} delivers {item:?} as {stage:?} in {view}")
        })?;
        let at = walk.items.len();
        walk.items.push((item, stage));
        if !is_regular {
            return Ok(());
        }
        let order = self.orders.entry(view.clone()).or_default();
        let next = order.get(at).copied().unwrap_or(item);
        demand(NAME, "T1, the next in the order", next == item, || {
            format!("{p} delivers {item:?} in {view}, where {next:?} is next")
        })?;
        if at == order.len() {
            order.push(item);
        }
        let mut left = self.left.get(view).into_iter().flatten();
        let has_it = left.all(|whole| whole.get(at) == Some(&item));
        demand(NAME, "T4, T5, who has left v delivered it there", has_it, || {
            format!("{p} delivers {item:?} in {view}")
        })
    }

    /// `signal_p(T)`.
    ///
    /// # Errors
    /// T6: there was one.
    pub fn signal(&mut self, p: ProcessId, t: &[ProcessId]) -> Step {
        let walk = self.walks.entry(p).or_default();
        demand(NAME, "T6, one signal", walk.signal.is_none(), || {
            format!("{p} is given {}", DisplaySet(t))
        })?;
        walk.signal = Some((walk.items.len(), Members::from_slice(t)));
        Ok(())
    }

    /// The preconditions that `view_p(v, T)` has beyond those of `parent`, which is still in the
    /// old view.
    ///
    /// # Errors
    /// T2, T4, T5 or T6 does not hold.
    pub fn view(&mut self, parent: &WvRfifo, p: ProcessId, v: &View, t: &[ProcessId]) -> Step {
        let Some(old) = parent.current(p) else { return Ok(()) };
        let walk = self.walks.remove(&p).unwrap_or_default();
        let signalled = walk.signal.as_ref().map_or(&[][..], |(_, set)| set);
        demand(NAME, "T6, T was signalled", signalled == t, || {
            let (t, signalled) = (DisplaySet(t), DisplaySet(signalled));
            format!("{p} goes from {old} to {v} with {t}, not {signalled}")
        })?;
        let key = (old.clone(), v.clone());
        let whole = self.wholes.entry(key).or_insert_with(|| walk.clone());
        demand(NAME, "T2, the same sequence and signal", *whole == walk, || {
            format!("{p} goes from {old} to {v} after {:?}, others after {:?}", walk, whole)
        })?;
        if !self.is_safe {
            return Ok(());
        }
        let whole: Vec<Item> = walk.items.iter().map(|(item, _)| *item).collect();
        let order = self.orders.get(old).map_or(&[][..], |order| order);
        demand(NAME, "T4, T5, what is safe is delivered", whole.starts_with(order), || {
            format!("{p} goes from {old} to {v} after {whole:?}, safe is {order:?}")
        })?;
        self.left.entry(old.clone()).or_default().push(whole);
        Ok(())
    }

    /// Forgets what concerns only views that `keep` denies: nobody is in them or will come to them.
    pub fn retain_views(&mut self, keep: impl Fn(&View) -> bool) {
        self.orders.retain(|view, _| keep(view));
        self.left.retain(|view, _| keep(view));
        self.wholes.retain(|(_, to), _| keep(to));
    }
}
