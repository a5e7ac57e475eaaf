//! The groups of a server, and when each has something to do.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::deadlines::Deadlines;
use super::group::Group;
use crate::ident::GroupName;
use crate::seal::{Keys, Seed};
use crate::time::Time;

/// All groups, at most `groups_max`.
#[derive(Debug)]
pub(super) struct Groups {
    groups_max: usize,
    groups: BTreeMap<GroupName, Group>,
    /// Groups without clients: they are forgotten when there is no room for others.
    idle: BTreeSet<GroupName>,
    /// The highest count of a proposal of a group that was forgotten: others may remember it.
    proposed: u64,
    /// When each group has something to do.
    due: Deadlines<GroupName>,
    /// What the secrets of views are drawn from, if there are any.
    keys: Option<Keys>,
}

impl Groups {
    pub(super) fn new(groups_max: usize) -> Self {
        Self {
            groups_max,
            groups: BTreeMap::new(),
            idle: BTreeSet::new(),
            proposed: 0,
            due: Deadlines::new(),
            keys: None,
        }
    }

    /// The views of all groups have secrets from now on.
    pub(super) fn set_keys(&mut self, mut keys: Keys) {
        for group in self.groups.values_mut() {
            group.set_shares(Seed::new(keys.draw()));
        }
        self.keys = Some(keys);
    }

    /// Makes the group if it is new: its proposals are counted from above those of groups that were
    /// forgotten, as it may have been one of them. False if there is no room for it.
    pub(super) fn open(&mut self, name: &GroupName, make: impl FnOnce(u64) -> Group) -> bool {
        if self.groups.contains_key(name) {
            return true;
        }
        if self.groups.len() >= self.groups_max {
            while let Some(name) = self.idle.pop_first() {
                let forgotten = self.groups.remove(&name);
                let last = forgotten.as_ref().and_then(Group::proposal).map_or(0, |last| last.pn);
                self.proposed = self.proposed.max(last);
                self.due.set(&name, None);
            }
        }
        if self.groups.len() >= self.groups_max {
            return false;
        }
        let mut group = make(self.proposed);
        if let Some(keys) = &mut self.keys {
            group.set_shares(Seed::new(keys.draw()));
        }
        self.groups.insert(name.clone(), group);
        true
    }

    pub(super) fn get(&self, name: &GroupName) -> Option<&Group> {
        self.groups.get(name)
    }

    /// Lets a group act, and notes when it has something to do next.
    pub(super) fn act<R>(
        &mut self,
        name: &GroupName,
        act: impl FnOnce(&mut Group) -> R,
    ) -> Option<R> {
        let group = self.groups.get_mut(name)?;
        let result = act(group);
        self.due.set(name, group.next_timeout());
        if group.is_idle() {
            self.idle.insert(name.clone());
        } else {
            self.idle.remove(name);
        }
        Some(result)
    }

    /// All groups. What is changed here must not change when a group is due.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.groups.values_mut()
    }

    /// All groups.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// The names of all groups, ascending.
    pub(super) fn names(&self) -> Vec<GroupName> {
        self.groups.keys().cloned().collect()
    }

    /// Takes the groups that have something to do by `now`.
    pub(super) fn take_due(&mut self, now: Time) -> Vec<GroupName> {
        self.due.take_due(now)
    }

    /// When a group has something to do.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.due.next()
    }
}
