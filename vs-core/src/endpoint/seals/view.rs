//! The keys of one view.

use alloc::boxed::Box;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::opening::Opening;
use super::who::Who;
use crate::endpoint::transmit::Verdict;
use crate::ident::{GroupKey, Rank};
use crate::seal::{KeyRing, Keys, Lane, RingKey, Secret};
use crate::view::View;
use crate::wire::datagram::Datagram;

/// What the keys of all members follow from, under each key of the ring.
#[derive(Debug)]
struct Roots {
    /// What they follow from besides.
    context: Zeroizing<Vec<u8>>,
    /// By the id of the key.
    known: Vec<(u8, Secret)>,
}

impl Roots {
    /// The secret of the member of `rank`.
    fn of(&mut self, key: &RingKey, rank: Rank, who: &Who) -> Secret {
        let known = self.known.iter().find(|(id, _)| *id == key.id()).map(|(_, root)| root.clone());
        let root = known.unwrap_or_else(|| {
            let root = key.member().derive("vs view", &[&self.context]);
            self.known.push((key.id(), root.clone()));
            root
        });
        who.derive(&root, "vs sender").derive("vs rank", &[&rank.to_le_bytes()])
    }
}

/// A view whose datagrams are opened.
#[derive(Debug)]
pub(super) struct ViewSeal {
    fingerprint: u64,
    own: Rank,
    roots: Roots,
    sealing: Option<Lane>,
    /// By rank: who it is, if that is known, and what was opened.
    members: Vec<(Option<Who>, Option<Box<Opening>>)>,
}

impl ViewSeal {
    /// The keys of a view that was announced with a secret or without, in which this process has
    /// rank `own`. `who` are its members, by rank.
    pub(super) fn new(
        group: GroupKey,
        (view, secret): (&View, Option<&Secret>),
        own: Rank,
        who: impl Iterator<Item = Option<Who>>,
    ) -> Self {
        // It does not grow: else parts of the secret would be left behind.
        let numbers = 3 + 2 * view.len();
        let mut context = Zeroizing::new(Vec::with_capacity(8 * numbers + size_of::<Secret>()));
        let mut push = |number: u64| context.extend_from_slice(&number.to_le_bytes());
        [group.0, view.id().major, view.id().minor].into_iter().for_each(&mut push);
        for (process, cid) in view.members().iter().zip(view.start_ids()) {
            push(process.0);
            push(cid.0);
        }
        // With it, who was removed and keeps the key of members cannot open what follows.
        context.extend_from_slice(secret.map_or(&[], |secret| &secret.bytes()[..]));
        Self {
            fingerprint: view.fingerprint(),
            own,
            roots: Roots { context, known: Vec::new() },
            sealing: None,
            members: who.map(|who| (who, None)).collect(),
        }
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// What this process seals with in the view.
    pub(super) fn lane(&mut self, keys: &Keys) -> Option<&mut Lane> {
        let Self { own, roots, sealing, members, .. } = self;
        let who = members.get(usize::from(*own))?.0.as_ref()?;
        Some(sealing.get_or_insert_with(|| {
            let key = keys.ring().first();
            Lane::new(key.suite(), keys.ciphers(), roots.of(key, *own, who))
        }))
    }

    /// Opens a datagram in place. Of the own ones only those are opened that this process has not
    /// sent: up to the number `sent` it has.
    pub(super) fn open(&mut self, keys: &Keys, datagram: &mut Datagram<'_>, sent: u64) -> Verdict {
        let rank = datagram.header().rank;
        if rank == self.own && datagram.counter() <= sent {
            return Verdict::Foreign;
        }
        let (roots, member) = (&mut self.roots, self.members.get_mut(usize::from(rank)));
        let Some((Some(who), opening)) = member else { return Verdict::Foreign };
        Opening::open(opening, keys, datagram, |key| roots.of(key, rank, who))
    }

    /// Other keys hold from now on.
    pub(super) fn handle_keys(&mut self, old: &KeyRing, new: &KeyRing) {
        self.roots.known.clear();
        self.sealing = None;
        let openings = self.members.iter_mut().filter_map(|(_, opening)| opening.as_mut());
        openings.for_each(|opening| opening.handle_keys(old, new));
    }
}
