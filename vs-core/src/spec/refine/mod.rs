//! The refinement check: the specification steps beside the implementation.
//!
//! Of each step of a real end-point it is told the action and, by the simulation relation `relate`,
//! the state after it in the paper's variables. The step must be one that the specifications allow,
//! and lead to the state that they say:
//!
//! - the end-point automaton of the algorithm takes the step from *its* state, so that a guard that
//!   was missed is noticed even in a run in which no property breaks;
//! - the services below ([`Mbrshp`], [`CoRfifo`]) and above ([`WvRfifo`], [`VsRfifo`],
//!   [`TransSet`], [`Client`]) take their part of it; in groups of an order other than FIFO, so do
//!   [`Causal`] and [`Total`];
//! - then the states are compared, variable by variable.
//!
//! Steps inside the implementation that nobody sees (a packet that arrives) show in the next state
//! and are taken up before its action, each as the action of the service that it is.

mod end_point;
mod relation;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use core::fmt;

pub use end_point::EndPoint;

use crate::ident::{Cid, ProcessId, Rank};
use crate::order::Order;
use crate::spec::automata::{
    Causal, Client, CoRfifo, Mbrshp, Payload, Refused, Step, Total, TransSet, VsRfifo, WvRfifo,
    demand,
};
use crate::trace::Event;
use crate::view::{DisplaySet, Members, View};
use end_point::Sync;

/// A step of the implementation that the specification does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refuted {
    /// The process.
    pub process: ProcessId,
    /// The action; none if something arrived.
    pub action: Option<Box<Event>>,
    /// The automaton that refuses it, and why.
    pub refused: Refused,
}

impl fmt::Display for Refuted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, action, refused } = self;
        match action {
            Some(action) => write!(f, "process {process}, {}: {refused}", Shown(action)),
            None => write!(f, "process {process}, what has arrived: {refused}"),
        }
    }
}

/// An action by its name in the paper.
pub(crate) struct Shown<'a>(pub(crate) &'a Event);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::Start { incarnation } => write!(f, "start({incarnation})"),
            Event::Join { order, .. } => write!(f, "join({order})"),
            Event::Signal { transitional } => write!(f, "signal({})", DisplaySet(transitional)),
            Event::StartChange { cid, set } => {
                write!(f, "start_change({cid}, {})", DisplaySet(set))
            }
            Event::MbrView { view } => write!(f, "mbr_view({view})"),
            Event::Block => f.write_str("block()"),
            Event::BlockOk => f.write_str("block_ok()"),
            Event::Send { n, .. } => write!(f, "send({n})"),
            Event::Deliver { from, n, .. } => write!(f, "deliver({from}, {n})"),
            Event::Sync { cid, cut, .. } => {
                write!(f, "sync({cid}, cut")?;
                cut.iter().try_for_each(|(q, seq)| write!(f, " {q}:{seq}"))?;
                f.write_str(")")
            }
            Event::Forward { to, from, packet, .. } => {
                write!(f, "forward(packet {packet} of {from} to {to})")
            }
            Event::View { view, transitional, .. } => {
                write!(f, "view({view}, {})", DisplaySet(transitional))
            }
            Event::Primary => f.write_str("primary()"),
            Event::Lapsed => f.write_str("lapsed()"),
            Event::Restored => f.write_str("restored()"),
            Event::Gap { messages } => write!(f, "gap({messages})"),
            Event::State(event) => write!(f, "{event:?}"),
            Event::Leave => f.write_str("leave()"),
            Event::Crash => f.write_str("crash()"),
            Event::BrokenOff => f.write_str("broken_off()"),
        }
    }
}

impl core::error::Error for Refuted {}

/// All specifications of one group, and the end-points as they should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Refinement {
    mbrshp: Mbrshp,
    co_rfifo: CoRfifo,
    wv_rfifo: WvRfifo,
    vs_rfifo: VsRfifo,
    trans_set: TransSet,
    client: Client,
    /// The order that the group was joined with.
    order: Order,
    causal: Causal,
    total: Total,
    end_points: BTreeMap<ProcessId, Rc<EndPoint>>,
    /// Every sync message that was sent.
    syncs: BTreeMap<(ProcessId, Cid), Sync>,
}

impl Refinement {
    /// The state before any step.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `p` took `action` (none: it just took in what arrived) and is now in the state `after`; none
    /// after an incarnation has ended.
    ///
    /// # Errors
    /// The specification does not allow the step. The check cannot go on from there.
    pub fn step(
        &mut self,
        p: ProcessId,
        action: Option<&Event>,
        after: Option<&EndPoint>,
    ) -> Result<(), Refuted> {
        self.try_step(p, action, after).map_err(|refused| Refuted {
            process: p,
            action: action.cloned().map(Box::new),
            refused,
        })
    }

    /// `p` took `action`, whatever its state is: what is promised to applications and by the
    /// membership service is held against it, and not how it is done.
    ///
    /// # Errors
    /// A promise is broken.
    pub fn act(&mut self, p: ProcessId, action: &Event) -> Result<(), Refuted> {
        if matches!(action, Event::Start { .. } | Event::Leave | Event::Crash | Event::BrokenOff) {
            self.reset(p);
            return Ok(());
        }
        let step = match action {
            Event::View { view, transitional, .. } => {
                let seen = self.trans_set.arrive(&self.wv_rfifo, p, view, transitional);
                seen.and_then(|()| self.view(p, view, transitional))
            }
            _ => self.services(p, action),
        };
        let action = || Some(Box::new(action.clone()));
        step.map_err(|refused| Refuted { process: p, action: action(), refused })
    }

    fn try_step(&mut self, p: ProcessId, action: Option<&Event>, after: Option<&EndPoint>) -> Step {
        if let Some(Event::Join { order, .. }) = action {
            self.join(*order);
            return Ok(());
        }
        let Some(after) = after else {
            self.reset(p);
            return Ok(());
        };
        if matches!(action, Some(Event::Start { .. })) {
            self.reset(p);
            self.end_points.insert(p, Rc::new(EndPoint::initial(p)));
        }
        let Some(mut known) = self.end_points.remove(&p) else {
            return demand("end-point", "it has started", false, || format!("{p}"));
        };
        let end_point = Rc::make_mut(&mut known);
        self.take_in(end_point, after)?;
        if let Some(action) = action {
            end_point.apply(action, after, self.order)?;
            self.services(p, action)?;
        }
        self.forget(end_point, after)?;
        end_point.compare(after)?;
        self.end_points.insert(p, known);
        Ok(())
    }

    /// A process joins with `order`, as all do.
    fn join(&mut self, order: Order) {
        if self.order != order {
            (self.order, self.total) = (order, Total::new(order == Order::Safe));
        }
    }

    /// An incarnation of `p` begins or ends.
    fn reset(&mut self, p: ProcessId) {
        self.causal.reset(p);
        self.total.reset(p);
        self.mbrshp.reset(p);
        self.co_rfifo.reset(p);
        self.wv_rfifo.reset(p);
        self.client.unblock(p);
        self.end_points.remove(&p);
    }

    /// What arrived since: packets, while the view is the same, and sync messages.
    fn take_in(&mut self, end_point: &mut EndPoint, after: &EndPoint) -> Step {
        let p = end_point.me;
        if end_point.current == after.current {
            let view = &after.current;
            let of = |at: usize| (view.members()[at], at as Rank);
            for (at, &arrived) in after.arrived.iter().enumerate() {
                let (q, rank) = of(at);
                if q == p {
                    self.co_rfifo.send(p, view, arrived + u64::from(after.open))?;
                    self.co_rfifo.give_up(p, view, after.freed[at]);
                } else {
                    self.co_rfifo.deliver(p, view, rank, arrived)?;
                }
            }
            let whole = after.received.iter().zip(&after.arrived).all(|(r, a)| r <= a);
            demand("end-point", "received = what has arrived, by whole messages", whole, || {
                format!("{:?} of {:?}", after.received, after.arrived)
            })?;
            if self.order != Order::Fifo {
                end_point.pass_over(after)?;
            }
            end_point.arrived.clone_from(&after.arrived);
            end_point.received.clone_from(&after.received);
            end_point.freed.clone_from(&after.freed);
            end_point.open = after.open;
            self.co_rfifo.reliable(p, reliable(end_point));
        }
        end_point.parts.clone_from(&after.parts);
        for (key, sync) in after.syncs.iter().filter(|((q, _), _)| *q != p) {
            if end_point.syncs.get(key) == Some(sync) {
                continue;
            }
            demand(
                "CO_RFIFO",
                "a sync message is as it was sent",
                self.is_sent(*key, sync),
                || format!("{p} has {sync:?} of {key:?}, sent was {:?}", self.syncs.get(key)),
            )?;
            end_point.syncs.insert(*key, sync.clone());
        }
        Ok(())
    }

    fn is_sent(&self, key: (ProcessId, Cid), sync: &Sync) -> bool {
        self.syncs.get(&key) == Some(sync)
    }

    /// Removes sync messages that are no longer here.
    fn forget(&mut self, end_point: &mut EndPoint, after: &EndPoint) -> Step {
        let gone = end_point.syncs.keys().filter(|key| !after.syncs.contains_key(key));
        for key in gone.copied().collect::<alloc::vec::Vec<_>>() {
            let may = end_point.may_forget(key.0, key.1);
            demand("end-point", "a sync message that may count is kept", may, || {
                format!("that of {} for {} is gone in {end_point}", key.0, key.1)
            })?;
            end_point.syncs.remove(&key);
        }
        Ok(())
    }

    /// The services take their part of the action.
    fn services(&mut self, p: ProcessId, action: &Event) -> Step {
        match action {
            Event::Start { .. }
            | Event::Leave
            | Event::Crash
            | Event::BrokenOff
            | Event::Forward { .. }
            | Event::Primary
            | Event::Lapsed
            | Event::Restored
            | Event::Gap { .. }
            | Event::State(_) => Ok(()),
            Event::Join { order, .. } => {
                self.join(*order);
                Ok(())
            }
            Event::Signal { transitional } => self.total.signal(p, transitional),
            Event::StartChange { cid, set } => self.mbrshp.start_change(p, *cid, set),
            Event::MbrView { view } => self.mbrshp.view(p, view),
            Event::Block => self.client.block(p),
            Event::BlockOk => self.client.block_ok(p),
            Event::Send { n, hash, len } => {
                self.client.send(p)?;
                if self.order != Order::Fifo {
                    self.causal.send(&self.wv_rfifo, p);
                }
                self.wv_rfifo.send(p, *n, Payload { hash: *hash, len: *len })
            }
            Event::Deliver { from, n, hash, len, stage } => {
                if self.order != Order::Fifo {
                    self.causal.deliver(&self.wv_rfifo, p, *from, *n)?;
                }
                if self.order.is_one_for_all() {
                    self.total.deliver(&self.wv_rfifo, p, (*from, *n), *stage)?;
                }
                self.wv_rfifo.deliver(p, *from, *n, Payload { hash: *hash, len: *len })
            }
            Event::Sync { cid, view, cut, .. } => {
                if let Some(view) = crate::view::ViewKey::of(view, p) {
                    let cut = cut.iter().map(|(_, seq)| *seq).collect();
                    self.syncs.insert((p, *cid), Sync { view, cut });
                }
                self.trans_set.commit(&self.wv_rfifo, p, *cid)
            }
            Event::View { view, transitional, .. } => {
                self.trans_set.view(&self.wv_rfifo, p, view, transitional)?;
                self.view(p, view, transitional)
            }
        }
    }

    /// The part of `view_p(v, T)` that is the same whoever looks at T.
    fn view(&mut self, p: ProcessId, view: &View, t: &[ProcessId]) -> Step {
        self.mbrshp.installed(p, view)?;
        self.vs_rfifo.view(&self.wv_rfifo, p, view)?;
        if self.order != Order::Fifo {
            self.vs_rfifo.together(&self.wv_rfifo, p, t)?;
        }
        if self.order.is_one_for_all() {
            self.total.view(&self.wv_rfifo, p, view, t)?;
        }
        self.wv_rfifo.view(p, view)?;
        self.client.unblock(p);
        Ok(())
    }

    /// Forgets what concerns only views that `keep_view` denies (nobody is in them and nobody will
    /// come to them) and local ids that `keep_cid` denies (no view to come names them). For a model
    /// checker, to which states that differ only in that are the same.
    pub fn retain(
        &mut self,
        keep_view: impl Fn(&View) -> bool,
        keep_cid: impl Fn(ProcessId, Cid) -> bool,
    ) {
        self.co_rfifo.retain_views(&keep_view);
        self.wv_rfifo.retain_views(&keep_view);
        self.vs_rfifo.retain_views(&keep_view);
        self.causal.retain_views(&keep_view);
        self.total.retain_views(&keep_view);
        self.trans_set.retain_views(&keep_view);
        self.trans_set.retain(&keep_cid);
        self.syncs.retain(|(p, cid), _| keep_cid(*p, *cid));
    }
}

/// [Point 8](crate::manual::algorithm#point-8): `reliable_p` is the union of the view and of the
/// proposed set.
fn reliable(end_point: &EndPoint) -> Members {
    let proposed = end_point.change.iter().flat_map(|(_, set)| set);
    let mut set: Members = end_point.current.members().iter().chain(proposed).copied().collect();
    set.sort_unstable();
    set.dedup();
    set
}
