//! The keys of one view.

use alloc::boxed::Box;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::opening::Opening;
use super::selectors::Selectors;
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
    /// What all follow from under one key.
    fn root(&mut self, key: &RingKey) -> Secret {
        let known = self.known.iter().find(|(id, _)| *id == key.id()).map(|(_, root)| root.clone());
        known.unwrap_or_else(|| {
            let root = key.member().derive("vs view", &[&self.context]);
            self.known.push((key.id(), root.clone()));
            root
        })
    }

    /// The secret of the member of `rank`.
    fn of(&mut self, key: &RingKey, rank: Rank, who: &Who) -> Secret {
        who.derive(&self.root(key), "vs sender").derive("vs rank", &[&rank.to_le_bytes()])
    }

    /// What the view is called in the clear.
    fn selectors(&mut self, ring: &KeyRing) -> Selectors {
        Selectors::new(ring, |key| self.root(key).derive("vs view selector", &[]))
    }
}

/// A view whose datagrams are opened.
#[derive(Debug)]
pub(super) struct ViewSeal {
    fingerprint: u64,
    selectors: Selectors,
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
        keys: &Keys,
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
        let mut roots = Roots { context, known: Vec::new() };
        Self {
            fingerprint: view.fingerprint(),
            selectors: roots.selectors(keys.ring()),
            own,
            roots,
            sealing: None,
            members: who.map(|who| (who, None)).collect(),
        }
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// What the view is called in the clear, by who seals now.
    pub(super) fn selector(&self) -> u64 {
        self.selectors.first()
    }

    /// Whether a datagram that is sealed with `key` and says `selector` is of this view.
    pub(super) fn is_meant(&self, key: u8, selector: u64) -> bool {
        self.selectors.under(key) == Some(selector)
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
    /// sent, to know of them: up to the number `sent` it has.
    pub(super) fn open(&mut self, keys: &Keys, datagram: &mut Datagram<'_>, sent: u64) -> Verdict {
        let rank = datagram.header().rank;
        if rank == self.own && datagram.counter() <= sent {
            return Verdict::Foreign;
        }
        let (roots, member) = (&mut self.roots, self.members.get_mut(usize::from(rank)));
        let Some((Some(who), opening)) = member else { return Verdict::Foreign };
        match Opening::open(opening, keys, datagram, None, |key| roots.of(key, rank, who)) {
            Verdict::Accepted if rank == self.own => Verdict::Impostor,
            verdict => verdict,
        }
    }

    /// Other keys hold from now on.
    pub(super) fn handle_keys(&mut self, old: &KeyRing, new: &KeyRing) {
        self.roots.known.clear();
        self.selectors = self.roots.selectors(new);
        self.sealing = None;
        let openings = self.members.iter_mut().filter_map(|(_, opening)| opening.as_mut());
        openings.for_each(|opening| opening.handle_keys(old, new));
    }
}
