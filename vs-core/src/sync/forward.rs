//! Who hands on the packets of members that do not come along.

use alloc::vec::Vec;

use super::Automaton;
use crate::ident::{ProcessId, Rank, Seq};
use crate::rule::Rule;

/// Packets of one stream that this process hands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Forward {
    /// To whom, by rank in the current view.
    pub(crate) to: Rank,
    /// Whose packets.
    pub(crate) origin: Rank,
    /// First packet.
    pub(crate) from: Seq,
    /// Last packet.
    pub(crate) upto: Seq,
}

impl Automaton {
    /// What this process has to push, once [`Automaton::complete`]: of each member `r` outside T (not just outside the
    /// view: `r` may come along from elsewhere), packet `i` is sent by the least member of T whose cut has it, to
    /// those of T that lack it.
    pub(crate) fn forwards(&self) -> Vec<Forward> {
        let mut out = Vec::new();
        if !self.complete() || !self.left_out.keeps(Rule::Forwarding) {
            return out;
        }
        let together: Vec<(ProcessId, &[Seq])> = self.together().collect();
        let Some(&(_, mine)) = together.iter().find(|(q, _)| *q == self.me) else { return out };
        for (r, &origin) in self.current.members().iter().enumerate() {
            if !self.needs_forwarding(origin, &together) {
                continue;
            }
            // Members below me hand on all that they have; the rest, as far as I have it, is mine.
            let below = together.iter().take_while(|(q, _)| *q < self.me);
            let done = below.map(|(_, cut)| cut[r]).max().unwrap_or(0);
            for (q, cut) in together.iter().filter(|(q, _)| *q != self.me) {
                let from = done.max(cut[r]) + 1;
                if let (true, Some(to)) = (from <= mine[r], self.current.rank(*q)) {
                    out.push(Forward { to, origin: r as Rank, from, upto: mine[r] });
                }
            }
        }
        out
    }

    fn needs_forwarding(&self, origin: ProcessId, together: &[(ProcessId, &[Seq])]) -> bool {
        if self.left_out.keeps(Rule::ForwardOutsideT) {
            !together.iter().any(|(q, _)| *q == origin)
        } else {
            !self.announced.contains(origin)
        }
    }

    /// Who can repair the stream of rank `r` up to the agreed cut, by rank: its sender if it comes along, then those
    /// whose cut reaches farthest; this process is not among them. Empty unless matched.
    pub(crate) fn sources(&self, r: Rank) -> Vec<Rank> {
        let mut out = Vec::new();
        if !self.matched() {
            return out;
        }
        let Some(&origin) = self.current.members().get(usize::from(r)) else { return out };
        let together: Vec<(ProcessId, &[Seq])> = self.together().collect();
        let farthest = together.iter().map(|(_, cut)| cut[usize::from(r)]).max().unwrap_or(0);
        if together.iter().any(|(q, _)| *q == origin) {
            out.push(r);
        } else if !self.needs_forwarding(origin, &together)
            || !self.left_out.keeps(Rule::Forwarding)
        {
            return out; // the rule is left out: nobody hands on, and nobody is asked
        }
        for (q, cut) in &together {
            if *q != self.me && *q != origin && cut[usize::from(r)] == farthest {
                out.extend(self.current.rank(*q));
            }
        }
        out
    }
}
