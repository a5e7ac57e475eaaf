//! The groups of a node, and which of them have something to do.

use alloc::vec::Vec;

use super::schedule::Schedule;
use crate::endpoint::{Endpoint, LeftGroups};
use crate::ident::GroupKey;
use crate::seal::Keys;
use crate::time::{Time, Wake, earlier};

/// The endpoints of a node.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// In the order in which they were joined, but the last one takes the place of one that was
    /// left.
    endpoints: Vec<Endpoint>,
    /// Their places by key, ascending.
    places: Vec<(GroupKey, usize)>,
    /// What they are called in the clear where there are keys, ascending.
    selectors: Vec<(u64, GroupKey)>,
    /// Which endpoints have something to do, by their places.
    schedule: Schedule,
    /// The endpoint that is asked first for its next datagram and action, so that none starves
    /// another.
    turn: usize,
    /// The groups that were left and dropped.
    left: LeftGroups,
}

impl Groups {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// The place of the endpoint of `key`.
    pub(super) fn find(&self, key: GroupKey) -> Option<usize> {
        let at = self.places.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        Some(self.places[at].1)
    }

    /// The place of the endpoint that is called `selector` by who seals.
    pub(super) fn find_sealed(&self, selector: u64) -> Option<usize> {
        let at = self.selectors.binary_search_by_key(&selector, |(known, _)| *known).ok()?;
        self.find(self.selectors[at].1)
    }

    fn find_selectors(&mut self) {
        let of = |e: &Endpoint| -> Vec<_> { e.group_selectors().map(|s| (s, e.key())).collect() };
        self.selectors = self.endpoints.iter().flat_map(of).collect();
        self.selectors.sort_unstable();
    }

    pub(super) fn get(&self, key: GroupKey) -> Option<&Endpoint> {
        self.find(key).map(|at| &self.endpoints[at])
    }

    pub(super) fn iter(&self) -> core::slice::Iter<'_, Endpoint> {
        self.endpoints.iter()
    }

    /// Other keys hold from now on.
    pub(super) fn set_keys(&mut self, keys: &Keys) {
        self.endpoints.iter_mut().for_each(|endpoint| endpoint.set_keys(keys));
        self.find_selectors();
    }

    /// This process is reached at another address from now on.
    pub(super) fn handle_new_address(&mut self) {
        self.endpoints.iter_mut().for_each(Endpoint::handle_new_address);
    }

    pub(super) fn left(&self) -> &LeftGroups {
        &self.left
    }

    /// Adds the endpoint of a group that is not among them; it has something to do.
    pub(super) fn add(&mut self, endpoint: Endpoint) {
        let (key, place) = (endpoint.key(), self.endpoints.len());
        let at = self.places.partition_point(|(known, _)| *known < key);
        self.places.insert(at, (key, place));
        for selector in endpoint.group_selectors() {
            let at = self.selectors.partition_point(|(known, _)| *known < selector);
            self.selectors.insert(at, (selector, key));
        }
        self.endpoints.push(endpoint);
        self.schedule.grow(place + 1);
        self.schedule.wake(place);
    }

    /// The endpoint at `at`, as it is.
    #[inline]
    pub(super) fn at_mut(&mut self, at: usize) -> &mut Endpoint {
        &mut self.endpoints[at]
    }

    /// The endpoint at `at`, to which something happens.
    #[inline]
    pub(super) fn wake(&mut self, at: usize, now: Time) -> &mut Endpoint {
        let endpoint = &mut self.endpoints[at];
        if self.schedule.wake(at) {
            endpoint.handle_woken(now);
        }
        endpoint
    }

    /// Wakes those whose deadline is not after `now`.
    #[inline]
    pub(super) fn wake_due(&mut self, now: Time) {
        // Asked with each call of the node, and seldom true.
        if self.schedule.deadline().is_some_and(|(at, _)| at <= now) {
            self.wake_all_due(now);
        }
    }

    #[inline(never)]
    fn wake_all_due(&mut self, now: Time) {
        while let Some(at) = self.schedule.next_due(now) {
            self.wake(at, now);
        }
    }

    /// The place of the first endpoint from `from` on that does not sleep.
    pub(super) fn next_awake(&self, from: usize) -> Option<usize> {
        self.schedule.next_awake(from)
    }

    /// The places of the endpoints that do not sleep.
    fn awake(&self) -> impl Iterator<Item = usize> + '_ {
        let next = |from: usize| self.schedule.next_awake(from);
        core::iter::successors(next(0), move |at| next(at + 1))
    }

    /// The next place that `find` finds, from the endpoint on whose turn it is.
    fn in_turn(&self, find: impl Fn(&Schedule, usize) -> Option<usize>) -> Option<usize> {
        find(&self.schedule, self.turn).or_else(|| find(&self.schedule, 0))
    }

    /// The place of the next endpoint that may have something to send.
    pub(super) fn next_to_send(&self) -> Option<usize> {
        self.in_turn(Schedule::next_to_send)
    }

    /// The endpoint at `at` has sent something, which may be delivered here.
    pub(super) fn handle_sent(&mut self, at: usize) {
        self.schedule.wake(at);
        self.turn = at;
    }

    /// The endpoint at `at` has nothing to send: it sleeps, unless it has something to tell.
    pub(super) fn handle_nothing_to_send(&mut self, at: usize) {
        let endpoint = &self.endpoints[at];
        if endpoint.is_busy() {
            self.schedule.tell(at);
        } else {
            self.schedule.rest(at, endpoint.poll_timeout());
        }
    }

    /// The place of the next endpoint that may have something to tell.
    #[inline]
    pub(super) fn next_to_tell(&self) -> Option<usize> {
        self.in_turn(Schedule::next_to_tell)
    }

    /// The endpoint at `at` tells something: the next one is asked first then.
    #[inline]
    pub(super) fn handle_told(&mut self, at: usize) {
        self.turn = (at + 1) % self.endpoints.len();
    }

    /// The endpoint at `at` has nothing to tell; what its application gave back may let it send.
    pub(super) fn handle_nothing_to_tell(&mut self, at: usize) {
        self.schedule.send(at);
    }

    /// Whether an endpoint has something to tell.
    pub(super) fn has_action(&self) -> bool {
        self.awake().any(|at| self.endpoints[at].has_action())
    }

    /// When the first of them has to be woken.
    pub(super) fn poll_timeout(&self) -> Option<(Time, Wake)> {
        let awake = self.awake().map(|at| self.endpoints[at].poll_timeout());
        awake.fold(self.schedule.deadline(), earlier)
    }

    /// Drops an endpoint that was left and has nothing more to say, and returns it. None of these
    /// sleeps.
    pub(super) fn drop_gone(&mut self) -> Option<Endpoint> {
        let at = self.awake().find(|at| self.endpoints[*at].is_gone())?;
        let endpoint = self.endpoints.swap_remove(at);
        self.left.add(endpoint.highest_ids(), endpoint.transmit_counter());
        self.places.retain(|(key, _)| *key != endpoint.key());
        self.selectors.retain(|(_, key)| *key != endpoint.key());
        let last = self.endpoints.len();
        self.schedule.rest(last, None);
        if at < last {
            let moved = self.places.iter_mut().find(|(_, place)| *place == last);
            moved.into_iter().for_each(|(_, place)| *place = at);
            self.schedule.wake(at);
        }
        Some(endpoint)
    }
}
