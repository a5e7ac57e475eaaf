//! CAUSAL: causal order, on top of WV_RFIFO.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::{Step, WvRfifo, demand};
use crate::ident::ProcessId;
use crate::view::View;

/// How many messages of each member, by rank.
type Past = Vec<u64>;

/// Causal order (S15): what a sender had delivered before it sent is delivered before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Causal {
    /// `past[q][v][n]`: what q had delivered when it sent its n-th message in v.
    pasts: BTreeMap<(ProcessId, View), Vec<Past>>,
}

impl Causal {
    /// An incarnation of `p` begins or ends.
    pub fn reset(&mut self, p: ProcessId) {
        self.pasts.remove(&(p, View::initial(p)));
    }

    /// `send_p(m)`: m follows from what p has delivered.
    pub fn send(&mut self, parent: &WvRfifo, p: ProcessId) {
        let Some(view) = parent.current(p) else { return };
        self.pasts.entry((p, view.clone())).or_default().push(parent.delivered(p).to_vec());
    }

    /// The precondition that `deliver_p(q, m)`, the `n`-th that q sent in the view, has beyond that
    /// of `parent`, which has not taken the step yet.
    ///
    /// # Errors
    /// Something that m follows from is not delivered.
    pub fn deliver(&self, parent: &WvRfifo, p: ProcessId, q: ProcessId, n: u64) -> Step {
        let Some(view) = parent.current(p) else { return Ok(()) };
        let at = usize::try_from(n).ok().and_then(|n| n.checked_sub(1));
        let past = self.pasts.get(&(q, view.clone())).and_then(|pasts| pasts.get(at?));
        let Some(past) = past else { return Ok(()) };
        let delivered = parent.delivered(p);
        let is_past = past.iter().zip(delivered).all(|(past, delivered)| past <= delivered);
        demand("CAUSAL", "S15, what q had delivered is delivered", is_past, || {
            format!("{p} delivers {n} of {q} after {delivered:?} in {view}, and {q} had {past:?}")
        })
    }

    /// Forgets what was sent in views that `keep` denies.
    pub fn retain_views(&mut self, keep: impl Fn(&View) -> bool) {
        self.pasts.retain(|(_, view), _| keep(view));
    }
}
