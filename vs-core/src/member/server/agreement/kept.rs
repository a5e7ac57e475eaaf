//! The invariants of the proof (`proof/agreement.py`, `proof/membership.py`), as far as they are
//! about one server, asked of a real agreement.

use super::Agreement;
use crate::ident::{ProcessId, ServerId};
use crate::member::proposal::{Mode, Proposal};

impl Agreement {
    pub(crate) fn id(&self) -> ServerId {
        self.me
    }

    /// The first invariant that does not hold, between two inputs. The names are those of the
    /// models.
    pub(crate) fn broken(&self) -> Option<&'static str> {
        if self.gathering {
            return None; // It will propose: nothing is said of it before.
        }
        let own = self.changing.then(|| self.own_broken()).flatten();
        let concerned = self.concerned();
        let matters = |p: &&Proposal| {
            p.from != self.me && p.set == self.set && concerned.binary_search(&p.from).is_ok()
        };
        let has_say = self.locals().next().is_some();
        let mut heard = self.proposals.values().filter(|p| has_say && matters(p));
        own.or_else(|| heard.find_map(|p| self.heard_broken(p)))
    }

    /// Of the own proposal, which waits for those of others.
    fn own_broken(&self) -> Option<&'static str> {
        let Some(mine) = &self.mine else { return Some("q5 there is an own proposal") };
        let is_slow = self.mode == Mode::Slow;
        let used = |server| mine.used.iter().find(|(s, _)| *s == server).map_or(0, |(_, pn)| *pn);
        let said = |p: &ProcessId| {
            mine.cids.binary_search_by_key(p, |(q, _)| *q).ok().map(|at| mine.cids[at].1)
        };
        let within = |client| self.announced.binary_search(client).is_ok();
        [
            ("h2 within what was announced", self.ns.iter().all(within)),
            (
                "h3 it says what was given",
                self.locals().all(|p| {
                    let given = self.given.get(&p).copied();
                    given.is_some() && said(&p) == given
                }),
            ),
            (
                "n3 cids at the home are above",
                self.locals().all(|p| self.given.get(&p) <= self.cids.get(&p)),
            ),
            ("q5 the own one is the last", mine.from == self.me && mine.pn == self.pn),
            ("q5 it is of the mode", (mine.mode == Mode::Slow) == is_slow),
            ("q5 it has the number", !is_slow || mine.n == self.sent_n),
            ("q6 it is new", mine.pn > self.used(self.me)),
            ("q6 it is for the report", mine.set == self.set),
            ("w4 what is used is said", self.used.iter().all(|(&s, pn)| used(s) >= *pn)),
        ]
        .into_iter()
        .find_map(|(name, holds)| (!holds).then_some(name))
    }

    /// Of what was heard of another server, for the present report.
    fn heard_broken(&self, p: &Proposal) -> Option<&'static str> {
        let unused = p.pn > self.used(p.from);
        let waits = p.mode == Mode::Slow && unused;
        let mine = self.mine.as_ref().map_or(0, |mine| mine.pn);
        let consumed = p.used.iter().any(|&(server, pn)| server == self.me && pn >= mine);
        [
            ("w1 numbers are joined", !waits || p.n <= self.sent_n),
            ("w2 the own one was not used", !self.changing || !consumed),
            (
                "w3 numbers lead to the slow mode",
                !self.changing || !waits || self.mode == Mode::Slow,
            ),
            ("q4 who is in no change has used what it heard", self.changing || !unused),
        ]
        .into_iter()
        .find_map(|(name, holds)| (!holds).then_some(name))
    }
}
