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

    /// A precondition of `view_p(v, T)` in groups of an order other than FIFO, which may leave
    /// messages out: never one of who comes along, who has stopped sending in the old view.
    ///
    /// # Errors
    /// Something that a member of T sent is not delivered.
    pub fn together(&self, parent: &WvRfifo, p: ProcessId, t: &[ProcessId]) -> Step {
        let Some(old) = parent.current(p) else { return Ok(()) };
        for q in t {
            let delivered = old.rank(*q).and_then(|r| parent.delivered(p).get(usize::from(r)));
            let sent = parent.sent_in(*q, old);
            demand("VS_RFIFO", "all of T is delivered", delivered == Some(&sent), || {
                format!("{p} leaves {old}, {q} sent {sent}, and {delivered:?} are delivered")
            })?;
        }
        Ok(())
    }

    /// Forgets the cuts towards views that `keep` denies: of those that nobody will come to.
    pub fn retain_views(&mut self, keep: impl Fn(&View) -> bool) {
        self.cuts.retain(|(_, to), _| keep(to));
    }
}
