//! TRANS_SET: transitional sets, on top of WV_RFIFO.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::{Step, WvRfifo, demand};
use crate::ident::{Cid, ProcessId};
use crate::view::{DisplaySet, Members, View};

/// Transitional sets (S9, S10). Before anybody is told a transitional set that concerns q, q is
/// committed to the view that it comes from: by its sync message, tagged with the local id that the
/// view names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TransSet {
    /// `prev_view[q][v]`, where v is any view with `v.start(q)` = the local id.
    previous: BTreeMap<(ProcessId, Cid), View>,
    /// Who came to a view, from which, and with whom, where only that is looked at
    /// ([`TransSet::arrive`]).
    arrived: BTreeMap<View, Vec<(ProcessId, View, Members)>>,
}

const NAME: &str = "TRANS_SET";

impl TransSet {
    /// `set_prev_view_p(v)` for each v with `v.start(p) = cid`: p will come from the view that it
    /// is in.
    ///
    /// # Errors
    /// It is committed to another one.
    pub fn commit(&mut self, parent: &WvRfifo, p: ProcessId, cid: Cid) -> Step {
        let Some(current) = parent.current(p) else { return Ok(()) };
        let committed = self.previous.entry((p, cid)).or_insert_with(|| current.clone());
        demand(NAME, "prev_view is set once", committed == current, || {
            format!("{p} in {current} committed itself for {cid} in {committed}")
        })
    }

    /// The preconditions that `view_p(v, T)` has beyond those of `parent`, which is still in the
    /// old view.
    ///
    /// # Errors
    /// p or one of those who may come along is not committed, or the set is another.
    pub fn view(&self, parent: &WvRfifo, p: ProcessId, v: &View, t: &[ProcessId]) -> Step {
        let Some(old) = parent.current(p) else { return Ok(()) };
        let mut expected = Members::new();
        for &q in v.members().iter().filter(|&&q| old.contains(q)) {
            let previous = v.start(q).and_then(|cid| self.previous.get(&(q, cid)));
            demand(NAME, "prev_view[q][v] is set for each q of both", previous.is_some(), || {
                format!("{p} goes from {old} to {v}, and {q} has not said where it is")
            })?;
            if previous == Some(old) {
                expected.push(q);
            }
        }
        demand(NAME, "S10, p comes from where it said", expected.contains(&p), || {
            format!("{p} goes from {old} to {v}")
        })?;
        demand(NAME, "S9, S10, T = those who come from v", *expected == *t, || {
            let (t, expected) = (DisplaySet(t), DisplaySet(&expected));
            format!("{p} goes from {old} to {v} with {t}, not {expected}")
        })
    }

    /// As [`TransSet::view`], but demands only what can be seen from outside: the sets of those who
    /// came to `v` so far agree with where each came from.
    ///
    /// # Errors
    /// S9 or S10 does not hold.
    pub fn arrive(&mut self, parent: &WvRfifo, p: ProcessId, v: &View, t: &[ProcessId]) -> Step {
        let Some(old) = parent.current(p) else { return Ok(()) };
        let within = t.iter().all(|q| v.contains(*q) && old.contains(*q)) && t.contains(&p);
        demand(NAME, "S9, T is within both views", within, || {
            format!("{p} goes from {old} to {v} with {}", DisplaySet(t))
        })?;
        let others = self.arrived.entry(v.clone()).or_default();
        for (q, from, with) in &*others {
            let together = from == old;
            let both_say_so = t.contains(q) == together && with.contains(&p) == together;
            demand(NAME, "S10, in T those who come from the same view", both_say_so, || {
                let (t, with) = (DisplaySet(t), DisplaySet(with));
                format!("{p} goes from {old} to {v} with {t}, and {q} came from {from} with {with}")
            })?;
        }
        others.push((p, old.clone(), Members::from_slice(t)));
        Ok(())
    }

    /// Forgets who came to views that `keep` denies: of those that nobody will come to.
    pub fn retain_views(&mut self, keep: impl Fn(&View) -> bool) {
        self.arrived.retain(|view, _| keep(view));
    }

    /// Forgets what `keep` denies: local ids that no view to come will name.
    pub fn retain(&mut self, keep: impl Fn(ProcessId, Cid) -> bool) {
        self.previous.retain(|(p, cid), _| keep(*p, *cid));
    }
}
