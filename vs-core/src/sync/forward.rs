//! Which packets of members outside the transitional set this process hands on.

use alloc::vec::Vec;

use super::{Automaton, Cut};
use crate::ident::{ProcessId, Rank, Seq};
use crate::rule::Rule;

/// Packets of one stream that this process hands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Forward {
    /// The receiver, by rank in the current view.
    pub(crate) to: Rank,
    /// The sender of the packets.
    pub(crate) origin: Rank,
    /// First packet.
    pub(crate) from: Seq,
    /// Last packet.
    pub(crate) upto: Seq,
}

impl Automaton {
    /// What this process has to push, once [`Automaton::complete`]. Packet `i` of each member `r`
    /// outside T is sent by the least member of T whose cut has it, to the members of T that lack
    /// it. `r` may be in the new view and still be outside T, if it comes from elsewhere.
    pub(crate) fn forwards(&self) -> Vec<Forward> {
        let mut out = Vec::new();
        if !self.complete() || !self.rules.keeps(Rule::Forwarding) {
            return out;
        }
        let together = self.together();
        let Some(me) = self.current.rank(self.me) else { return out };
        let Some(&(_, mine)) = together.iter().find(|(q, _)| *q == me) else { return out };
        for (r, &origin) in self.current.members().iter().enumerate() {
            if !self.needs_forwarding(origin) {
                continue;
            }
            // Members of lower rank hand on all that they have; this process hands on the rest.
            let below = together.iter().take_while(|(q, _)| *q < me);
            let has = |cut: &Cut| cut.get(r).unwrap_or(0);
            let done = below.map(|(_, cut)| has(cut)).max().unwrap_or(0);
            let upto = has(mine);
            for &(to, cut) in together.iter().filter(|(q, _)| *q != me) {
                let from = done.max(has(cut)) + 1;
                if from <= upto {
                    out.push(Forward { to, origin: r as Rank, from, upto });
                }
            }
        }
        out
    }

    fn needs_forwarding(&self, origin: ProcessId) -> bool {
        if self.rules.keeps(Rule::ForwardOutsideT) {
            !self.comes_along(origin)
        } else {
            !self.announced.contains(origin)
        }
    }

    /// Which of `holders`, some of [`Automaton::together`], can repair the stream of rank `r` up to
    /// the agreed cut: its sender if it moves along, then those whose cut reaches that far. This
    /// process is not among them.
    pub(crate) fn sources<'a>(
        &self,
        r: Rank,
        holders: &'a [(Rank, &Cut)],
    ) -> impl Iterator<Item = Rank> + 'a {
        let (at, members) = (usize::from(r), self.current.members());
        let me = self.current.rank(self.me);
        let farthest = self.agreed().get(at).copied();
        let origin = members.get(at).copied();
        let stays = origin.is_some_and(|origin| self.comes_along(origin));
        // If the rule is left out, nobody hands on, and nobody is asked.
        let handed_on = self.rules.keeps(Rule::Forwarding)
            && origin.is_some_and(|origin| self.needs_forwarding(origin));
        let others = holders.iter().filter(move |(q, cut)| {
            let holds = cut.get(at) == farthest;
            (stays || handed_on) && holds && Some(*q) != me && *q != r
        });
        stays.then_some(r).into_iter().chain(others.map(|(q, _)| *q))
    }
}
