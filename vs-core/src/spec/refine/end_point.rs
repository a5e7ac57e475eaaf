//! The end-point automaton of the algorithm, once more: as slow and as literal as the paper has it.
//!
//! Everything derived (matched, complete, T, agreed) is computed anew from its definition, where
//! `sync` keeps it up to date piece by piece.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use crate::ident::{Cid, ProcessId, Rank, Seq};
use crate::order::Order;
use crate::spec::automata::{Refused, Step, demand};
use crate::sync::SYNCS_MAX;
use crate::trace::{BlockState, Event};
use crate::view::{DisplaySet, Members, View, ViewKey};

/// A sync message: where its sender was, and what it had there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sync {
    pub(crate) view: ViewKey,
    pub(crate) cut: Vec<Seq>,
}

/// A packet handed on: to whom, whose, which.
type Handed = (ProcessId, ProcessId, Seq);

/// The state of an end-point, in the paper's variables. Streams are by rank in the current view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndPoint {
    pub(crate) me: ProcessId,
    /// cv
    pub(crate) current: View,
    /// mv
    pub(crate) announced: View,
    /// `start_change`
    pub(crate) change: Option<(Cid, Members)>,
    pub(crate) block: BlockState,
    /// `sync[q][cid]`, as far as it is here in whole.
    pub(crate) syncs: BTreeMap<(ProcessId, Cid), Sync>,
    /// Sync messages that are here in part: they count for nothing yet, and take room.
    pub(crate) parts: BTreeSet<(ProcessId, Cid)>,
    /// Packets that CO_RFIFO has delivered.
    pub(crate) arrived: Vec<Seq>,
    /// The gap-free prefix of `msgs[q][cv]`, in packets: what has arrived, up to the end of a
    /// message.
    pub(crate) received: Vec<Seq>,
    /// `last_dlvrd[q]`, in packets of which a message is delivered: what is bounded.
    pub(crate) touched: Vec<Seq>,
    /// The same, in packets of which all messages are delivered: what counts when a view ends.
    pub(crate) delivered: Vec<Seq>,
    /// Packets of each stream that are given up: known to be everywhere, and delivered here.
    pub(crate) freed: Vec<Seq>,
    /// `last_sent`, in messages.
    pub(crate) sent: u64,
    /// An accepted message is in no packet yet that could be sent.
    pub(crate) open: bool,
    /// What was forwarded in the change under way. Kept by the specification alone.
    pub(crate) handed: BTreeSet<Handed>,
}

const NAME: &str = "end-point";

impl EndPoint {
    /// The state in which each incarnation starts.
    pub(crate) fn initial(me: ProcessId) -> Self {
        Self {
            me,
            current: View::initial(me),
            announced: View::initial(me),
            change: None,
            block: BlockState::Unblocked,
            syncs: BTreeMap::new(),
            parts: BTreeSet::new(),
            arrived: alloc::vec![0],
            received: alloc::vec![0],
            touched: alloc::vec![0],
            delivered: alloc::vec![0],
            freed: alloc::vec![0],
            sent: 0,
            open: false,
            handed: BTreeSet::new(),
        }
    }

    fn cid(&self) -> Option<Cid> {
        self.change.as_ref().map(|(cid, _)| *cid)
    }

    /// `matched`
    fn matched(&self) -> bool {
        self.cid().is_some_and(|cid| self.announced.start(self.me) == Some(cid))
            && self.announced.id() > self.current.id()
    }

    /// I: the processes that may come along.
    fn both(&self) -> impl Iterator<Item = ProcessId> + '_ {
        self.announced.members().iter().copied().filter(|&q| self.current.contains(q))
    }

    /// `sync[q][mv.start(q)]`
    fn counting(&self, q: ProcessId) -> Option<&Sync> {
        self.syncs.get(&(q, self.announced.start(q)?))
    }

    fn complete(&self) -> bool {
        self.both().all(|q| self.counting(q).is_some())
    }

    /// The known processes of T, with their cuts; all of T once complete.
    fn together(&self) -> Vec<(ProcessId, &[Seq])> {
        let with = |q| Some((q, self.counting(q)?));
        let here =
            |(q, sync): &(ProcessId, &Sync)| ViewKey::of(&self.current, *q) == Some(sync.view);
        self.both().filter_map(with).filter(here).map(|(q, sync)| (q, &*sync.cut)).collect()
    }

    /// `agreed(r)` over the sync messages that are here.
    fn agreed(&self, r: Rank) -> Seq {
        let cuts = self.together();
        cuts.iter().filter_map(|(_, cut)| cut.get(usize::from(r)).copied()).max().unwrap_or(0)
    }

    /// Up to where the stream of rank r may be delivered.
    fn bound(&self, r: Rank) -> Seq {
        let own = self.cid().and_then(|cid| self.syncs.get(&(self.me, cid)));
        match own {
            None => Seq::MAX,
            Some(_) if self.matched() => self.agreed(r),
            Some(own) => own.cut.get(usize::from(r)).copied().unwrap_or(0),
        }
    }

    fn ranks(&self) -> impl Iterator<Item = Rank> + use<> {
        0..self.current.len() as Rank
    }

    /// Takes the step, if it may be taken. `after` says how far packets went, which the action does
    /// not tell.
    pub(crate) fn apply(&mut self, event: &Event, after: &Self, order: Order) -> Step {
        match event {
            Event::Start { .. } | Event::Leave | Event::Crash | Event::BrokenOff => {
                *self = Self::initial(self.me)
            }
            Event::StartChange { cid, set } => {
                self.change = Some((*cid, set.clone()));
                self.handed.clear();
            }
            Event::MbrView { view } => self.announced = View::clone(view),
            Event::Block => {
                let changing = self.change.is_some();
                self.demand("block only in a change", changing)?;
                self.block = BlockState::Requested;
            }
            Event::BlockOk => self.block = BlockState::Blocked,
            Event::Send { .. } => self.sent += 1,
            Event::Sync { cid, view, cut, .. } => self.send_sync(*cid, view, cut)?,
            Event::Deliver { from, .. } => self.deliver(*from, after)?,
            Event::Forward { to, from, packet, view } => {
                self.forward(*to, *from, *packet, view)?;
            }
            Event::View { view, transitional, .. } => self.install(view, transitional, order)?,
            Event::Primary
            | Event::Lapsed
            | Event::Restored
            | Event::Gap { .. }
            | Event::State(_)
            | Event::Join { .. }
            | Event::Signal { .. } => {}
        }
        Ok(())
    }

    fn demand(&self, rule: &'static str, holds: bool) -> Step {
        demand(NAME, rule, holds, || format!("the state is {self}"))
    }

    fn send_sync(&mut self, cid: Cid, view: &View, cut: &[(ProcessId, Seq)]) -> Step {
        self.demand("sync for the change under way", self.cid() == Some(cid))?;
        self.demand("sync only once blocked", self.block == BlockState::Blocked)?;
        let key = (self.me, cid);
        self.demand("one sync for each cid", !self.syncs.contains_key(&key))?;
        self.demand("sync from the current view", *view == self.current)?;
        // Point 1: what was received, own accepted messages included, not what was delivered.
        self.demand("every own message in the cut", !self.open)?;
        let of = self.current.members().iter().copied();
        let received = of.zip(self.received.iter().copied());
        self.demand("cut = what was received gap-free", received.eq(cut.iter().copied()))?;
        let Some(view) = ViewKey::of(&self.current, self.me) else { return Ok(()) };
        self.syncs.insert(key, Sync { view, cut: self.received.clone() });
        Ok(())
    }

    fn deliver(&mut self, from: ProcessId, after: &Self) -> Step {
        let Some(r) = self.current.rank(from) else { return self.demand("from a member", false) };
        let of = |counts: &[Seq]| counts.get(usize::from(r)).copied();
        let (Some(touched), Some(delivered)) = (of(&after.touched), of(&after.delivered)) else {
            return self.demand("in the current view", false);
        };
        demand(NAME, "no delivery beyond what was received", touched <= self.received(r), || {
            format!("packet {touched} of {from}, received {}", self.received(r))
        })?;
        // Points 2 and 3.
        demand(NAME, "no delivery beyond the bound", touched <= self.bound(r), || {
            format!("packet {touched} of {from}, bound {} in {self}", self.bound(r))
        })?;
        self.bring_forth(r, touched, delivered)
    }

    /// Of one packet a part may be delivered.
    fn bring_forth(&mut self, r: Rank, touched: Seq, delivered: Seq) -> Step {
        let at = usize::from(r);
        let forth = touched >= self.touched[at] && delivered >= self.delivered[at];
        self.demand("delivery goes forth", forth)?;
        let in_order = delivered <= touched && touched - delivered <= 1;
        self.demand("packets are delivered one after the other", in_order)?;
        (self.touched[at], self.delivered[at]) = (touched, delivered);
        Ok(())
    }

    /// An order has passed over packets without messages, or left some out.
    pub(super) fn pass_over(&mut self, after: &Self) -> Step {
        for r in self.ranks() {
            let of = |counts: &[Seq]| counts.get(usize::from(r)).copied().unwrap_or(0);
            let (passed, before) = (of(&after.touched), of(&self.touched));
            let limit = of(&after.received).min(self.bound(r));
            demand(NAME, "passed over within the bound", passed <= limit.max(before), || {
                format!("packet {passed} of rank {r} after {before} in {self}")
            })?;
            self.bring_forth(r, passed, of(&after.delivered))?;
        }
        Ok(())
    }

    fn received(&self, r: Rank) -> Seq {
        self.received.get(usize::from(r)).copied().unwrap_or(0)
    }

    fn forward(&mut self, to: ProcessId, from: ProcessId, packet: Seq, view: &View) -> Step {
        self.demand("forward once matched and complete", self.matched() && self.complete())?;
        self.demand("forward in the current view", *view == self.current)?;
        let due = self.due().any(|due| due == (to, from, packet));
        demand(NAME, "forward to who lacks it, by the least who has it", due, || {
            format!("packet {packet} of {from} to {to} in {self}")
        })?;
        self.handed.insert((to, from, packet));
        Ok(())
    }

    /// What this process has to hand on ([point 7](crate::manual::algorithm#point-7)): packets of
    /// members outside T that it is the least of T to have, to those of T that lack them.
    fn due(&self) -> impl Iterator<Item = Handed> {
        let together = self.together();
        let mut out = Vec::new();
        for r in self.ranks() {
            let origin = self.current.members()[usize::from(r)];
            if together.iter().any(|(q, _)| *q == origin) {
                continue;
            }
            let at = usize::from(r);
            for packet in 1..=self.agreed(r) {
                let least = together.iter().find(|(_, cut)| cut[at] >= packet).map(|(q, _)| *q);
                if least == Some(self.me) {
                    let lack = together.iter().filter(|(_, cut)| cut[at] < packet);
                    out.extend(lack.map(|(q, _)| (*q, origin, packet)));
                }
            }
        }
        out.into_iter()
    }

    fn install(&mut self, view: &View, t: &[ProcessId], order: Order) -> Step {
        self.demand("S24, the view is the announced one", *view == self.announced)?;
        // Point 4: an obsolete view is remembered, never installed.
        self.demand("S23, the view answers the last start_change", self.matched())?;
        self.demand("a sync message of each who may come along", self.complete())?;
        let together: Members = self.together().iter().map(|(q, _)| *q).collect();
        demand(NAME, "T = those whose sync messages are of this view", *together == *t, || {
            format!("{} instead of {}", DisplaySet(t), DisplaySet(&together))
        })?;
        for r in self.ranks() {
            let (delivered, agreed) = (self.delivered[usize::from(r)], self.agreed(r));
            // Other orders leave messages out, and nobody sees when: what of them is delivered is
            // compared with who comes along.
            let may_leave_out = order != Order::Fifo && delivered < agreed;
            demand(NAME, "delivered = agreed", delivered == agreed || may_leave_out, || {
                format!("rank {r}: {delivered} delivered, {agreed} agreed in {self}")
            })?;
        }
        let rank = |p| self.current.rank(p).map_or(0, usize::from);
        let forwarded =
            self.due().all(|due| self.handed.contains(&due) || due.2 <= self.freed[rank(due.1)]);
        self.demand("what is due is forwarded", forwarded)?;
        let streams = view.len();
        self.current = view.clone();
        (self.change, self.block, self.sent, self.open) = (None, BlockState::Unblocked, 0, false);
        let Self { arrived, received, touched, delivered, freed, .. } = self;
        for stream in [arrived, received, touched, delivered, freed] {
            *stream = alloc::vec![0; streams];
        }
        self.handed.clear();
        Ok(())
    }

    /// Whether the sync message of q for cid may be forgotten in this state: it can count for no
    /// view to come, or q is nobody that a view may name, or there is no room for it (points 9 and
    /// 10).
    pub(super) fn may_forget(&self, q: ProcessId, cid: Cid) -> bool {
        let garbage = self.current.start(q).is_some_and(|start| cid < start);
        let named = self.announced.start(q) == Some(cid);
        let expected = self.current.contains(q)
            || self.announced.contains(q)
            || self.change.as_ref().is_some_and(|(_, set)| set.contains(&q));
        let of = |q| (q, Cid(0))..=(q, Cid(u64::MAX));
        let whole = || self.syncs.range(of(q)).map(|(key, _)| key.1);
        let others =
            || whole().chain(self.parts.range(of(q)).map(|key| key.1)).filter(|c| *c != cid);
        let crowded = others().count() >= SYNCS_MAX && others().any(|other| other > cid);
        garbage || !expected || (!named && crowded)
    }

    /// The first variable that differs in `actual`.
    pub(super) fn compare(&self, actual: &Self) -> Step {
        macro_rules! same {
            ($($field:ident)*) => {
                $(
                    let (a, b) = (&self.$field, &actual.$field);
                    if a != b {
                        let what = format!("{}: specified {a:?}, is {b:?}", stringify!($field));
                        return Err(Refused { automaton: NAME, rule: "the states agree", what });
                    }
                )*
            };
        }
        same!(me current announced change block syncs);
        same!(arrived received touched delivered freed sent open);
        Ok(())
    }
}

/// The variables by their names in the paper.
impl fmt::Display for EndPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cv {}, mv {}, ", self.current, self.announced)?;
        match &self.change {
            Some((cid, set)) => write!(f, "start_change <{cid}, {}>", DisplaySet(set))?,
            None => f.write_str("no start_change")?,
        }
        write!(f, ", {:?}, sync", self.block)?;
        for ((q, cid), sync) in &self.syncs {
            write!(f, " {q}[{cid}] in {} cut {:?}", sync.view.id, sync.cut)?;
        }
        let Self { received, delivered, .. } = self;
        write!(f, ", received {received:?}, delivered {delivered:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::ViewId;

    /// A large cut comes in several datagrams, and what has come of it takes the place of older
    /// ones. The check did not know of that, and refuted runs of large groups.
    #[test]
    fn partial_sync_message_takes_room() {
        let (me, q) = (ProcessId(1), ProcessId(2));
        let mut end = EndPoint::initial(me);
        end.current =
            View::new(ViewId { major: 5, minor: 1 }, &[me, q], &[Cid(1), Cid(5)]).unwrap();
        let view = ViewKey::of(&end.current, q).unwrap();
        for cid in [5, 6, 8].map(Cid) {
            end.syncs.insert((q, cid), Sync { view, cut: alloc::vec![0, 0] });
        }
        assert!(!end.may_forget(q, Cid(6)), "there is room");
        end.parts.extend([(q, Cid(9)), (q, Cid(10))]);
        assert!(end.may_forget(q, Cid(6)));
        assert!(end.may_forget(q, Cid(4)), "of a change that was decided");
    }

    /// A packet may carry several messages. One of them was delivered, and the packet passed for
    /// delivered: an end-point that installed then went unnoticed.
    #[test]
    fn packet_delivered_in_part_is_not_delivered() {
        let me = ProcessId(1);
        let view = |major, cid| View::new(ViewId { major, minor: 1 }, &[me], &[Cid(cid)]).unwrap();
        let mut end = EndPoint { current: view(5, 5), ..EndPoint::initial(me) };
        (end.announced, end.change) = (view(6, 6), Some((Cid(6), Members::from_slice(&[me]))));
        let key = ViewKey::of(&end.current, me).unwrap();
        end.syncs.insert((me, Cid(6)), Sync { view: key, cut: alloc::vec![2] });
        (end.arrived, end.received) = (alloc::vec![2], alloc::vec![2]);
        (end.touched, end.delivered) = (alloc::vec![2], alloc::vec![1]);
        let install = |end: &EndPoint| end.clone().install(&view(6, 6), &[me], Order::Fifo);
        assert_eq!(install(&end).unwrap_err().rule, "delivered = agreed");
        end.delivered = alloc::vec![2];
        assert!(install(&end).is_ok());
    }
}
