//! What a member of a causal group writes into the trailer of each packet that it seals: how much
//! it had delivered of each other member, where that has grown since its packet before.
//!
//! Nothing is claimed too late: a message is accepted only where all that was delivered before it
//! finds room up to the trailer of its own packet. What finds none goes before it, in packets
//! without messages.

use alloc::vec;
use alloc::vec::Vec;

use crate::ident::{Rank, Seq};
use crate::wire::trailer::{self, Record};

/// Bytes that are kept of each member.
pub(super) const CLAIM_BYTES: usize = size_of::<Claim>() + size_of::<Rank>();

/// What is claimed of one member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Claim {
    /// Up to which packet.
    upto: Seq,
    /// Something of it was delivered since.
    is_changed: bool,
}

/// Writes trailers in one view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Claims {
    me: Rank,
    /// By rank.
    claims: Vec<Claim>,
    /// Members of which something was delivered that is not claimed, as they came up.
    changed: Vec<Rank>,
}

impl Claims {
    /// Of rank `me` of `ranks`: nothing is delivered yet.
    pub(super) fn new(ranks: usize, me: Rank) -> Self {
        Self { me, claims: vec![Claim::default(); ranks], changed: Vec::with_capacity(ranks) }
    }

    /// Something of `rank` is delivered.
    #[inline]
    pub(crate) fn handle_delivered(&mut self, rank: Rank) {
        let claim = &mut self.claims[usize::from(rank)];
        if rank != self.me && !claim.is_changed {
            claim.is_changed = true;
            self.changed.push(rank);
        }
    }

    /// Records that the next trailers take, at most.
    #[inline]
    pub(crate) fn records(&self) -> usize {
        self.changed.len()
    }

    /// Writes a trailer behind the first `used` bytes of `body`: of what is to be claimed as much
    /// as finds room, the oldest first. `touched` tells the packets of a member that are delivered,
    /// in whole or in part. Answers how many bytes of the body are used then.
    pub(super) fn write(
        &mut self,
        body: &mut [u8],
        used: usize,
        touched: impl Fn(Rank) -> Seq,
    ) -> usize {
        let Self { claims, changed, .. } = self;
        let room = trailer::records_in(body.len().saturating_sub(used));
        let records = changed.drain(..room.min(changed.len())).filter_map(|rank| {
            let (claim, upto) = (&mut claims[usize::from(rank)], touched(rank));
            let before = core::mem::replace(claim, Claim { upto, is_changed: false });
            // The low half: receivers know the rest.
            (upto > before.upto).then_some(Record { rank, packets: upto as u32 })
        });
        trailer::append(body, used, 0, records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(claims: &mut Claims, room: usize, touched: &[Seq]) -> Vec<(Rank, u32)> {
        let mut body = vec![0; room];
        let end = claims.write(&mut body, 0, |rank| touched[usize::from(rank)]);
        let (_, trailer) = trailer::split(&body[..end]).unwrap();
        trailer.records_from(0).map(|r| (r.rank, r.packets)).collect()
    }

    #[test]
    fn only_what_has_grown_is_claimed() {
        let mut claims = Claims::new(4, 1);
        assert_eq!(written(&mut claims, 64, &[0; 4]), []);
        for rank in [2, 0, 2, 1] {
            claims.handle_delivered(rank);
        }
        assert_eq!(written(&mut claims, 64, &[7, 9, (1 << 32) | 5, 0]), [(2, 5), (0, 7)]);
        claims.handle_delivered(0);
        assert_eq!(written(&mut claims, 64, &[7, 9, 5, 0]), [], "of the same packet");
    }

    #[test]
    fn oldest_claims_come_first() {
        let mut claims = Claims::new(5, 0);
        (1..5).for_each(|rank| claims.handle_delivered(rank));
        assert_eq!(written(&mut claims, 5 + 2 * 6, &[0, 1, 2, 3, 4]), [(1, 1), (2, 2)]);
        claims.handle_delivered(1);
        assert_eq!(claims.records(), 3);
        assert_eq!(written(&mut claims, 64, &[0, 6, 2, 3, 4]), [(3, 3), (4, 4), (1, 6)]);
        assert_eq!(claims.records(), 0);
    }
}
