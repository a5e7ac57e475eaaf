//! What all members are known to have.

use super::offers::{Packets, Sealed};
use super::place::Place;
use crate::ident::Seq;

/// How far a safe order delivers before the signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Safe {
    /// What all members are known to have.
    AsKnown,
    /// Up to this slot.
    UpTo(Seq),
}

/// Whether all members are known to have the slot at `place` and what it records.
pub(super) fn is_safe(packets: &impl Packets, place: &Place, slot: &Sealed<'_>) -> bool {
    let mut named = slot.trailer.records_from(0).filter_map(|record| place.end_of(record));
    named.all(|(rank, upto)| packets.stable(rank) >= upto)
        && packets.stable(place.leader()) >= place.packet()
}
