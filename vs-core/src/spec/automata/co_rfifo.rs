//! CO_RFIFO: the reliable FIFO multicast below, as packets in streams.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::{Step, demand};
use crate::ident::{ProcessId, Rank, Seq};
use crate::view::{Members, View};

/// Connection-oriented reliable FIFO. A stream is what one member sends in one view; packets are
/// numbers from 1, so a channel is known by two of them: how much was sent, and how much has
/// arrived without a gap.
///
/// It is looked at when something is seen of a process, not at each packet, so what is demanded is
/// that the numbers seen fit together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CoRfifo {
    /// How many packets each has sent in each view, the one included that is not full yet.
    sent: BTreeMap<(ProcessId, View), Seq>,
    /// The processes that each serves: `reliable_p`.
    reliable: BTreeMap<ProcessId, Members>,
    /// How many packets of its own stream each has given up, in the view that it is in.
    given_up: BTreeMap<ProcessId, (View, Seq)>,
    /// What each has received in the view that it is in, by rank.
    received: BTreeMap<ProcessId, (View, Vec<Seq>)>,
}

const NAME: &str = "CO_RFIFO";

impl CoRfifo {
    /// `send_p`: in `view`, `p` has sent so many packets.
    ///
    /// # Errors
    /// They were more before.
    pub fn send(&mut self, p: ProcessId, view: &View, sent: Seq) -> Step {
        let before = self.sent.entry((p, view.clone())).or_default();
        demand(NAME, "what was sent stays sent", sent >= *before, || {
            format!("{p} sent {sent} packets after {before} in {view}")
        })?;
        *before = sent;
        Ok(())
    }

    /// `deliver_{p,q}`: in `view`, `p` has packets up to `upto` of the member of `rank` without a
    /// gap.
    ///
    /// # Errors
    /// Packets were never sent, or were there before and are not.
    pub fn deliver(&mut self, p: ProcessId, view: &View, rank: Rank, upto: Seq) -> Step {
        let q = view.members()[usize::from(rank)];
        let sent = self.sent.get(&(q, view.clone())).copied().unwrap_or(0);
        demand(NAME, "only what was sent is received", upto <= sent, || {
            format!("{p} has {upto} packets of {q} in {view}, which sent {sent}")
        })?;
        let fresh = || (view.clone(), alloc::vec![0; view.len()]);
        let received = self.received.entry(p).or_insert_with(fresh);
        if received.0 != *view {
            *received = fresh();
        }
        let before = &mut received.1[usize::from(rank)];
        demand(NAME, "FIFO, what was received stays", upto >= *before, || {
            format!("{p} has {upto} packets of {q} in {view}, and had {before}")
        })?;
        *before = upto;
        self.is_served(p, view, q, upto)
    }

    /// A suffix may be lost only while q is not in the reliable set of its sender: what a sender
    /// has given up has arrived at all whom it serves.
    fn is_served(&self, p: ProcessId, view: &View, q: ProcessId, received: Seq) -> Step {
        let Some((_, given_up)) = self.given_up.get(&q).filter(|(of, _)| of == view) else {
            return Ok(());
        };
        let served = self.reliable.get(&q).is_some_and(|set| set.binary_search(&p).is_ok());
        demand(
            NAME,
            "nothing is lost to the reliable set",
            !served || received >= *given_up,
            || format!("{q} gave up {given_up} packets in {view}, and {p} has {received}"),
        )
    }

    /// `reliable_p(set)`, ascending.
    pub fn reliable(&mut self, p: ProcessId, set: Members) {
        self.reliable.insert(p, set);
    }

    /// `p` can no longer send the first `upto` packets of its own stream in `view` again.
    pub fn give_up(&mut self, p: ProcessId, view: &View, upto: Seq) {
        self.given_up.insert(p, (view.clone(), upto));
    }

    /// An incarnation of `p` begins or ends: `p` serves nobody, and nothing has arrived.
    pub fn reset(&mut self, p: ProcessId) {
        self.sent.remove(&(p, View::initial(p)));
        self.reliable.remove(&p);
        self.given_up.remove(&p);
        self.received.remove(&p);
    }

    /// Forgets streams of views that `keep` denies: of those that nobody is in and nobody will come
    /// to.
    pub fn retain_views(&mut self, keep: impl Fn(&View) -> bool) {
        self.sent.retain(|(_, view), _| keep(view));
    }
}
