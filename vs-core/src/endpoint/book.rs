//! Where the members are.

use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::ident::{Incarnation, ProcessId};
use crate::member::message::Peer;

/// The peers of the current view and of the change under way, ascending by process.
#[derive(Debug, Default)]
pub(super) struct AddressBook(Vec<Peer>);

impl AddressBook {
    /// Adds the peers of a start_change, without `me`; those of `current` stay.
    pub(super) fn handle_start_change(
        &mut self,
        peers: &[Peer],
        current: &[ProcessId],
        me: ProcessId,
    ) {
        self.0.retain(|known| {
            current.binary_search(&known.process).is_ok()
                && peers.binary_search_by_key(&known.process, |peer| peer.process).is_err()
        });
        self.0.extend(peers.iter().filter(|peer| peer.process != me));
        self.0.sort_unstable_by_key(|peer| peer.process);
    }

    /// Forgets all peers but `members`.
    pub(super) fn retain(&mut self, members: &[ProcessId]) {
        self.0.retain(|peer| members.binary_search(&peer.process).is_ok());
    }

    /// All of them.
    pub(super) fn peers(&self) -> &[Peer] {
        &self.0
    }

    fn find(&self, process: ProcessId) -> Option<&Peer> {
        let at = self.0.binary_search_by_key(&process, |peer| peer.process).ok()?;
        Some(&self.0[at])
    }

    pub(super) fn contains(&self, process: ProcessId) -> bool {
        self.find(process).is_some()
    }

    pub(super) fn addr(&self, process: ProcessId) -> Option<SocketAddr> {
        self.find(process).map(|peer| peer.addr)
    }

    /// Addresses of the peers that `wanted` selects, by process.
    pub(super) fn addresses<'a>(
        &'a self,
        wanted: impl Fn(ProcessId) -> bool + 'a,
    ) -> impl Iterator<Item = SocketAddr> + 'a {
        self.0.iter().filter(move |peer| wanted(peer.process)).map(|peer| peer.addr)
    }

    /// Whether a sync message of this incarnation may count. One of an earlier incarnation may not.
    pub(super) fn accepts(&self, process: ProcessId, incarnation: Incarnation) -> bool {
        self.find(process).is_none_or(|peer| incarnation >= peer.incarnation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(set: &[u64]) -> Vec<Peer> {
        let peer = |&p: &u64| Peer {
            process: ProcessId(p),
            incarnation: Incarnation::new(p),
            addr: ([127, 0, 0, 1], p as u16).into(),
        };
        set.iter().map(peer).collect()
    }

    /// A member that is not proposed is served until the view changes (point 8).
    #[test]
    fn addresses_of_members_outside_proposal_stay() {
        let (mut book, me) = (AddressBook::default(), ProcessId(1));
        let current = [1, 2, 3].map(ProcessId);
        let known = |book: &AddressBook| {
            (1..=5).filter(|p| book.contains(ProcessId(*p))).collect::<Vec<u64>>()
        };
        for (proposed, expected) in
            [(&[1, 2, 3][..], &[2, 3][..]), (&[1, 2, 4], &[2, 3, 4]), (&[1, 5], &[2, 3, 5])]
        {
            book.handle_start_change(&peers(proposed), &current, me);
            assert_eq!(known(&book), expected, "proposed: {proposed:?}");
        }
        book.retain(&[1, 5].map(ProcessId));
        assert_eq!(known(&book), [5]);
    }
}
