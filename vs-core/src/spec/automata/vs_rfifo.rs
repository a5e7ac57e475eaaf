//! VS_RFIFO: virtual synchrony and self delivery, on top of WV_RFIFO.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::{Step, WvRfifo, demand};
use crate::ident::ProcessId;
use crate::view::View;

/// Virtual synchrony (S8): who goes from v to v' has delivered exactly `cut[v][v']`. With it, self
/// delivery (S14), which needs no state of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VsRfifo {
    /// `cut[v][v']`: messages of each member of v, by rank.
    cuts: BTreeMap<(View, View), Vec<u64>>,
}

impl VsRfifo {
    /// The preconditions that `view_p(v)` has beyond those of `parent`, which is still in the old
    /// view. The first one to take the step sets the cut.
    ///
    /// # Errors
    /// S8 or S14 does not hold.
    pub fn view(&mut self, parent: &WvRfifo, p: ProcessId, v: &View) -> Step {
        let Some(old) = parent.current(p) else { return Ok(()) };
        let delivered = parent.delivered(p);
        let own = old.rank(p).and_then(|r| delivered.get(usize::from(r))).copied();
        let sent = parent.sent(p);
        demand("SELF", "S14, all own messages delivered", own == Some(sent), || {
            format!("{p} goes from {old} to {v}, sent {sent} and delivered {own:?}")
        })?;
        let key = (old.clone(), v.clone());
        let cut = self.cuts.entry(key).or_insert_with(|| delivered.to_vec());
        demand("VS_RFIFO", "S8, last_dlvrd = cut[v][v']", cut == delivered, || {
            format!("{p} goes from {old} to {v} with {delivered:?} delivered, others with {cut:?}")
        })
    }

    /// Forgets the cuts towards views that `keep` denies: of those that nobody will come to.
    pub fn retain_views(&mut self, keep: impl Fn(&View) -> bool) {
        self.cuts.retain(|(_, to), _| keep(to));
    }
}
