//! Whose state counts in a view: decided once all members have said what they bring, by all in the
//! same way.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::ident::ProcessId;
use crate::rule::{Rule, Rules};
use crate::wire::replica::{Here, Standing};

/// What all members of a view bring.
#[derive(Debug)]
pub(super) struct Ballot<'a> {
    pub(super) primary_of: &'a [ProcessId],
    pub(super) heres: &'a BTreeMap<ProcessId, Here>,
    pub(super) rules: Rules,
}

/// A view whose members have, or get, one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    /// The state at the beginning of the view.
    pub(super) standing: Standing,
    /// Who has it.
    pub(super) settled: BTreeSet<ProcessId>,
    /// Whether it is the initial one.
    pub(super) is_created: bool,
}

impl Ballot<'_> {
    /// Those of `primary_of` who bring a state.
    fn votes(&self) -> usize {
        let is_any = !self.rules.keeps(Rule::ReplicaVotes)
            && self.heres.values().any(|here| here.standing.is_some());
        let counts = |here: &Here| is_any || here.standing.is_some();
        let votes = |p: &&ProcessId| self.heres.get(*p).is_some_and(counts);
        self.primary_of.iter().filter(votes).count()
    }

    /// Whose state counts; `None` if nobody can say.
    pub(super) fn decide(&self) -> Option<Agreed> {
        if is_majority(self.votes(), self.primary_of) {
            // What a copy has besides was never answered, or is of a state before this one; that
            // is worth more than a new one in which nothing was done.
            let counts = self.best(|p| self.primary_of.contains(&p));
            return counts.filter(|agreed| agreed.standing.at > 0).or_else(|| self.best(|_| true));
        }
        let nobody = self.heres.values().all(|here| here.standing.is_none());
        let all_here = self.primary_of.iter().all(|p| self.heres.contains_key(p));
        (nobody && all_here).then(|| self.create())
    }

    /// An operator says that the state of `by` counts, or, where nobody has one, the initial one.
    pub(super) fn decide_by(&self, by: ProcessId) -> Agreed {
        let standing = self.heres.get(&by).and_then(|here| here.standing);
        let Some(standing) = standing else {
            return self.best(|_| true).unwrap_or_else(|| self.create());
        };
        Agreed { settled: self.with(standing), standing, is_created: false }
    }

    /// All of `primary_of` who are here begin with the initial state.
    fn create(&self) -> Agreed {
        let here = |p: &&ProcessId| self.heres.contains_key(*p);
        let settled = self.primary_of.iter().filter(here).copied().collect();
        Agreed { standing: Standing::default(), settled, is_created: true }
    }

    /// Of the states that were served last the one that has come furthest; of equal ones that which
    /// most members bring. What only the others have was never answered.
    fn best(&self, counts: impl Fn(ProcessId) -> bool) -> Option<Agreed> {
        let brought = self.heres.iter().filter(|(p, _)| counts(**p));
        let standings: Vec<Standing> = brought.filter_map(|(_, here)| here.standing).collect();
        let weight = |s: &Standing| {
            let same = standings.iter().filter(|other| *other == s).count();
            (s.epoch, s.at, same, s.digest)
        };
        let standing = standings.iter().max_by_key(|s| weight(s)).copied()?;
        Some(Agreed { standing, settled: self.with(standing), is_created: false })
    }

    fn with(&self, standing: Standing) -> BTreeSet<ProcessId> {
        let same = self.heres.iter().filter(|(_, here)| here.standing == Some(standing));
        same.map(|(p, _)| *p).collect()
    }
}

/// Who donates to whom: settled members in turn, the leader of the view last.
pub(super) fn donors(
    members: &[ProcessId],
    settled: &BTreeSet<ProcessId>,
) -> Vec<(ProcessId, ProcessId)> {
    let leader = members.first();
    let mut donors: Vec<ProcessId> =
        settled.iter().filter(|p| members.contains(p)).copied().collect();
    donors.sort_unstable_by_key(|p| (Some(p) == leader, *p));
    let joiners = members.iter().filter(|p| !settled.contains(p)).copied();
    match donors.is_empty() {
        true => Vec::new(),
        false => joiners.zip(donors.into_iter().cycle()).collect(),
    }
}

/// The least number that is more than half of `of`.
pub(super) fn majority_of(of: usize) -> usize {
    of / 2 + 1
}

/// Whether `count` processes are more than half of `primary_of`.
pub(super) fn is_majority(count: usize, primary_of: &[ProcessId]) -> bool {
    count >= majority_of(primary_of.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::ViewId;
    use crate::wire::replica::VERSION;

    #[test]
    fn an_old_copy_never_outvotes_those_who_count() {
        let (one, copy) = (ProcessId(1), ProcessId(9));
        let standing = |major, at| Standing { epoch: ViewId { major, minor: 1 }, at, digest: at };
        let here = |standing| Here { version: VERSION, standing: Some(standing) };
        // Process 1 restarted, made a new state and served it before it met the copy.
        let decide = |done| {
            let heres = [(one, here(standing(0, done))), (copy, here(standing(5, 7)))].into();
            let agreed = Ballot { primary_of: &[one], heres: &heres, rules: Rules::default() }
                .decide()
                .unwrap();
            (agreed.standing, agreed.settled)
        };
        assert_eq!(decide(3), (standing(0, 3), [one].into()));
        assert_eq!(decide(0), (standing(5, 7), [copy].into()), "nothing was done in the new one");
    }
}
