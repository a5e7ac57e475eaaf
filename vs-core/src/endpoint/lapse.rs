//! When a view does not hold any more for a process that is cut off, and holds again.

use smallvec::SmallVec;

use super::events::AppEvent;
use super::lease::Look;
use super::reach::Reachability;
use super::{Cx, Endpoint};
use crate::config::GroupConfig;
use crate::ident::{ProcessId, Rank};
use crate::time::Time;
use crate::trace::{Event, Mark};
use crate::view::View;

/// Members whose ranks need no allocation.
const RANKS: usize = 16;

/// The other members that count, and how many of them have to be heard.
struct Voters {
    ranks: SmallVec<[Rank; RANKS]>,
    wanted: usize,
}

impl Voters {
    fn new(config: &GroupConfig, view: &View, me: ProcessId) -> Self {
        let of = &config.primary_of;
        let counts = |p: ProcessId| of.is_empty() || of.binary_search(&p).is_ok();
        let others = (0..).zip(view.members()).filter(|(_, p)| **p != me && counts(**p));
        let ranks = others.map(|(rank, _)| rank).collect();
        let wanted = match of.len() {
            0 => 1,
            all => (all / 2 + 1).saturating_sub(usize::from(counts(me))),
        };
        Self { ranks, wanted }
    }

    /// Since when fewer than have to be were heard, if nothing counts that was heard before `from`.
    fn heard_since(&self, reach: &Reachability, from: Time) -> Option<Time> {
        let last = self.wanted.checked_sub(1)?;
        let met = |rank: &Rank| reach.met_at(*rank).unwrap_or(from).max(from);
        let mut met: SmallVec<[Time; RANKS]> = self.ranks.iter().map(met).collect();
        met.sort_unstable_by(|a, b| b.cmp(a));
        Some(met.get(last).copied().unwrap_or(from))
    }
}

impl Endpoint {
    /// The attachment began or ended, or a view was installed. Without a list of those who make a
    /// view primary it matters who is heard while there is no attachment.
    pub(super) fn review_lease(&mut self, now: Time, is_attached: bool) {
        if !self.config.primary_of.is_empty() {
            return;
        }
        if is_attached || self.sync.current().len() == 1 {
            // The application is yet to hear that a view holds again that lapsed.
            if self.lease.is_held() {
                self.lease.end();
            }
        } else if !self.lease.is_asked() {
            self.lease.begin(now, &self.config);
        }
    }

    /// Looks whether the view still holds, if that is due.
    pub(super) fn look_at_lease(&mut self, cx: &mut Cx<'_>) {
        // While the view does not hold, the application hears of what is next once it has taken
        // that.
        if !self.lease.is_held() && !self.events.is_empty() {
            return;
        }
        let voters = Voters::new(&self.config, self.sync.current(), cx.identity.process);
        let is_served = self.config.primary_of.is_empty() && self.suspicions.is_attached();
        let heard = |from| {
            if is_served { Some(cx.now) } else { voters.heard_since(&self.reach, from) }
        };
        match self.lease.look(cx.now, &self.config, heard) {
            Look::Same => {}
            Look::Ask(since) => {
                voters.ranks.iter().for_each(|rank| self.reach.ask(*rank, since));
            }
            Look::Lapsed => {
                cx.mark(Mark::Lapsed);
                self.trace(cx, Event::Lapsed);
                self.events.push(AppEvent::Lapsed);
            }
            Look::Restored if self.config.primary_of.is_empty() => {
                self.trace(cx, Event::Restored);
                self.events.push(AppEvent::Restored);
                self.review_lease(cx.now, self.suspicions.is_attached());
            }
            Look::Restored => {
                self.trace(cx, Event::Primary);
                self.events.push(AppEvent::Primary);
            }
        }
    }
}
