//! WV_RFIFO: reliable FIFO multicast within views.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::{Step, demand};
use crate::ident::{ProcessId, ViewId};
use crate::view::View;

/// A message, as far as a trace shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Payload {
    /// FNV-1a of its bytes.
    pub hash: u64,
    /// Number of its bytes.
    pub len: u64,
}

/// Within-view reliable FIFO: S1, S2, S3, S5, S6, S7, S12 and S13.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct WvRfifo {
    /// `msgs[q][v]`, from 1.
    messages: BTreeMap<(ProcessId, View), Vec<Payload>>,
    processes: BTreeMap<ProcessId, Process>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    /// `current_view[p]`.
    current: View,
    /// `last_dlvrd[q][p]`, by the rank of q in the current view.
    delivered: Vec<u64>,
    /// The highest view id over all incarnations.
    highest: ViewId,
}

const NAME: &str = "WV_RFIFO";

impl WvRfifo {
    /// An incarnation of `p` begins or ends: `p` is in its initial view, which no other incarnation
    /// and no other process has.
    pub fn reset(&mut self, p: ProcessId) {
        let current = View::initial(p);
        let highest = self.processes.get(&p).map_or_else(ViewId::default, |p| p.highest);
        self.messages.remove(&(p, current.clone()));
        self.processes.insert(p, Process { current, delivered: alloc::vec![0], highest });
    }

    /// The view that `p` is in.
    #[must_use]
    pub fn current(&self, p: ProcessId) -> Option<&View> {
        self.processes.get(&p).map(|p| &p.current)
    }

    /// How many messages of each member of its view `p` has delivered, by rank.
    #[must_use]
    pub fn delivered(&self, p: ProcessId) -> &[u64] {
        self.processes.get(&p).map_or(&[], |p| &p.delivered)
    }

    /// How many messages `p` has sent in its view.
    #[must_use]
    pub fn sent(&self, p: ProcessId) -> u64 {
        self.current(p).map_or(0, |view| self.sent_in(p, view))
    }

    /// How many messages `p` has sent in `view`.
    #[must_use]
    pub fn sent_in(&self, p: ProcessId, view: &View) -> u64 {
        self.messages.get(&(p, view.clone())).map_or(0, |sent| sent.len() as u64)
    }

    /// `send_p(m)`, the `n`-th in its view.
    ///
    /// # Errors
    /// S3: it is in no view, or the number is another.
    pub fn send(&mut self, p: ProcessId, n: u64, payload: Payload) -> Step {
        let current = self.current(p).cloned();
        demand(NAME, "S3, in some view", current.is_some(), || format!("{p} has not started"))?;
        let Some(current) = current else { return Ok(()) };
        let sent = self.messages.entry((p, current)).or_default();
        demand(NAME, "S3, n = 1 + the number of the last", n == sent.len() as u64 + 1, || {
            format!("{p} sent {n} after {}", sent.len())
        })?;
        sent.push(payload);
        Ok(())
    }

    /// `deliver_p(q, m)`, the `n`-th that q sent in the view.
    ///
    /// # Errors
    /// It is not the next one that q sent in the view that p is in.
    pub fn deliver(&mut self, p: ProcessId, q: ProcessId, n: u64, payload: Payload) -> Step {
        let Self { messages, processes } = self;
        let process = processes.get_mut(&p);
        demand(NAME, "S3, in some view", process.is_some(), || format!("{p} has not started"))?;
        let Some(Process { current, delivered, .. }) = process else { return Ok(()) };
        let rank = current.rank(q);
        let last = rank.and_then(|r| delivered.get_mut(usize::from(r)));
        demand(NAME, "S5, q in the view", last.is_some(), || format!("{q} is not in {current}"))?;
        let Some(last) = last else { return Ok(()) };
        demand(NAME, "S6, S12, S13, n = last_dlvrd + 1", n == *last + 1, || {
            format!("{p} delivers {n} of {q} after {last} in {current}")
        })?;
        let sent = messages.get(&(q, current.clone()));
        let sent = sent.and_then(|all| all.get(usize::try_from(n).ok()?.checked_sub(1)?));
        demand(NAME, "S5, S7, m = msgs[q][v][n]", sent == Some(&payload), || {
            format!("{p} delivers {payload:?} as {n} of {q} in {current}, where {sent:?} was sent")
        })?;
        *last = n;
        Ok(())
    }

    /// `view_p(v)`.
    ///
    /// # Errors
    /// S1 or S2 does not hold.
    pub fn view(&mut self, p: ProcessId, v: &View) -> Step {
        let process = self.processes.get_mut(&p);
        demand(NAME, "S3, it has started", process.is_some(), || format!("{p} installs {v}"))?;
        let Some(process) = process else { return Ok(()) };
        demand(NAME, "S1, p in v.set", v.contains(p), || format!("{p} installs {v}"))?;
        demand(NAME, "S2, v.id > the last one", v.id() > process.highest, || {
            format!("{p} installs {v} after {}", process.highest)
        })?;
        process.current = v.clone();
        process.delivered = alloc::vec![0; v.len()];
        process.highest = v.id();
        Ok(())
    }

    /// Forgets the messages of views that `keep` denies: of those that nobody is in and nobody will
    /// come to.
    pub fn retain_views(&mut self, keep: impl Fn(&View) -> bool) {
        self.messages.retain(|(_, view), _| keep(view));
    }
}
