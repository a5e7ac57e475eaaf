//! Who says a sync message: signatures, and stamps among those who know each other.
//!
//! A signature is for everybody, and takes long to check: with sixteen members on few processors
//! longer than all else of a change. So members who know each other's keys stamp what they say
//! first. Whoever asks for a sync message again gets it signed.

use alloc::vec::Vec;

use super::Seals;
use super::who::PeerSeal;
use crate::endpoint::transmit::Verdict;
use crate::ident::{Incarnation, ProcessId};
use crate::seal::Pair;
use crate::wire::shown::{STAMPS_MAX, Shown};

/// What a sync message is signed or stamped for.
const PURPOSE: &str = "vs sync";

impl Seals {
    /// Shows that this incarnation sends a sync message which says this: to the members of `to`, if
    /// all of them are known, or to everybody.
    pub(in super::super) fn show_sync(
        &self,
        said: &[u8],
        to: Option<&[ProcessId]>,
    ) -> Option<Shown> {
        let (signer, group) = (self.keys.signer()?, self.me.group.0.to_le_bytes());
        let parts = [&group[..], said];
        let stamps =
            self.pairs(to).map(|pairs| pairs.iter().map(|p| p.stamp(PURPOSE, &parts)).collect());
        Some(match stamps {
            Some(stamps) => Shown::Stamps(signer.public(), stamps),
            None => Shown::Proof(signer.sign(PURPOSE, &parts)),
        })
    }

    /// Room for what [`Seals::show_sync`] shows.
    pub(in super::super) fn shown_bytes(&self, to: Option<&[ProcessId]>) -> usize {
        let pairs = self.pairs(to);
        pairs.map_or(Shown::PROOF_FIELD_BYTES, |pairs| Shown::stamps_field_bytes(pairs.len()))
    }

    /// What this incarnation shares with each other member of `to`. None if it does not know one of
    /// them, or they are too many.
    fn pairs(&self, to: Option<&[ProcessId]>) -> Option<Vec<&Pair>> {
        let to = to.filter(|to| self.takes_stamps(to.len()))?;
        let others = to.iter().filter(|q| **q != self.me.process);
        let pair = |q: &ProcessId| {
            let at = self.peers.binary_search_by_key(q, |peer| peer.who.process).ok()?;
            self.peers[at].pair.as_ref()
        };
        others.map(pair).collect()
    }

    /// Whether stamps for so many members, this one included, leave half of a datagram.
    fn takes_stamps(&self, members: usize) -> bool {
        let others = members.saturating_sub(1);
        others <= STAMPS_MAX && Shown::stamps_field_bytes(others) <= self.datagram_bytes / 2
    }

    /// Whether `shown` shows that the incarnation of `from` sent a sync message which says this.
    ///
    /// # Errors
    /// Somebody made it up; or it is stamped for others, perhaps, since its sender does not know
    /// that this process needs it: then it is asked for again.
    pub(in super::super) fn is_shown(
        &mut self,
        (from, incarnation): (ProcessId, Incarnation),
        said: &[u8],
        shown: &Shown,
    ) -> Result<(), Verdict> {
        let group = self.me.group.0.to_le_bytes();
        let parts = [&group[..], said];
        let is_it = |p: &&mut PeerSeal| (p.who.process, p.who.incarnation) == (from, incarnation);
        let peer = self.peers.iter_mut().chain(&mut self.left).find(is_it);
        match shown {
            Shown::Proof(proof) => {
                let is_shown = proof.shows(incarnation.nonce(), PURPOSE, &parts);
                if let (true, Some(peer)) = (is_shown, peer) {
                    peer.public = Some(proof.public());
                }
                is_shown.then_some(()).ok_or(Verdict::Forged)
            }
            Shown::Stamps(public, stamps) => {
                if public.nonce() != incarnation.nonce() {
                    return Err(Verdict::Forged);
                }
                let peer = peer.ok_or(Verdict::Foreign)?;
                peer.public = Some(*public);
                peer.meet(self.keys.signer());
                let pair = peer.pair.as_ref();
                let is_shown = pair.is_some_and(|pair| pair.is_among(stamps, PURPOSE, &parts));
                is_shown.then_some(()).ok_or(Verdict::Foreign)
            }
        }
    }

    /// Now that nobody waits: works out what this incarnation shares with each peer, if sync
    /// messages may be stamped.
    pub(super) fn meet_peers(&mut self) {
        if self.takes_stamps(self.peers.len()) {
            let signer = self.keys.signer();
            self.peers.iter_mut().for_each(|peer| peer.meet(signer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::seals::tests::{GROUP, member_of, peer_with, signing};

    const SAID: &[u8] = b"a cut";

    /// Members 1 to 3, which have met if `met`.
    fn members(met: bool) -> [Seals; 3] {
        let all = [1, 2, 3].map(signing);
        let peers = [1, 2, 3].map(|p| peer_with(p, &all[p as usize - 1]));
        let mut members = [1, 2, 3].map(|p| member_of(p, all[p as usize - 1].clone(), &peers));
        let says = |member: &Seals| member.show_sync(SAID, None).unwrap();
        let said = [0, 1, 2].map(|at| says(&members[at]));
        for (at, member) in members.iter_mut().enumerate() {
            for from in (0..3).filter(|from| met && *from != at) {
                assert_eq!(member.is_shown(who(&peers[from]), SAID, &said[from]), Ok(()));
            }
            member.meet_peers();
        }
        members
    }

    fn who(peer: &crate::member::message::Peer) -> (ProcessId, Incarnation) {
        (peer.process, peer.incarnation)
    }

    fn own(seals: &Seals) -> (ProcessId, Incarnation) {
        (seals.me.process, seals.me.incarnation)
    }

    #[test]
    fn members_that_have_met_stamp_and_others_sign() {
        let set = [1, 2, 3].map(ProcessId);
        let [one, mut two, _] = members(false);
        let shown = one.show_sync(SAID, Some(&set)).unwrap();
        assert!(matches!(shown, Shown::Proof(_)));
        assert_eq!(two.is_shown(own(&one), SAID, &shown), Ok(()));

        let [one, mut two, mut three] = members(true);
        let shown = one.show_sync(SAID, Some(&set)).unwrap();
        assert!(matches!(&shown, Shown::Stamps(_, stamps) if stamps.len() == 2));
        for other in [&mut two, &mut three] {
            assert_eq!(other.is_shown(own(&one), SAID, &shown), Ok(()));
            assert_eq!(other.is_shown(own(&one), b"another cut", &shown), Err(Verdict::Foreign));
        }
        // In the name of another one, by who has all that this one has.
        assert_eq!(two.is_shown(own(&three), SAID, &shown), Err(Verdict::Forged));
        let Shown::Stamps(_, stamps) = three.show_sync(SAID, Some(&set)).unwrap() else { panic!() };
        let Shown::Stamps(public, _) = shown else { panic!() };
        let forged = Shown::Stamps(public, stamps);
        assert_eq!(two.is_shown(own(&one), SAID, &forged), Err(Verdict::Foreign));
        // Who is asked signs.
        assert!(matches!(one.show_sync(SAID, None), Some(Shown::Proof(_))));
    }

    #[test]
    fn stamps_are_for_those_that_they_are_made_for() {
        let [one, mut two, mut three] = members(true);
        let shown = one.show_sync(SAID, Some(&[1, 2].map(ProcessId))).unwrap();
        assert_eq!(two.is_shown(own(&one), SAID, &shown), Ok(()));
        assert_eq!(three.is_shown(own(&one), SAID, &shown), Err(Verdict::Foreign));
        let many: Vec<ProcessId> = (1..60).map(ProcessId).collect();
        assert!(matches!(one.show_sync(SAID, Some(&many)), Some(Shown::Proof(_))));
        assert_eq!(GROUP, one.me.group);
    }
}
