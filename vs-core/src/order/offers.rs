//! What an order sees of the streams of a view.

use crate::ident::{Rank, Seq};

/// The message of a sender that can be delivered next: which packet it is in, or begins in, and
/// where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The number of the packet.
    pub(crate) packet: Seq,
    /// Bytes of the packet that are delivered.
    pub(crate) offset: usize,
}

/// What can be delivered in a view.
pub(crate) trait Offers {
    /// Number of members.
    fn ranks(&self) -> usize;
    /// False if there is nothing of anybody; it is cheap to ask.
    fn may_have_some(&self) -> bool;
    /// What is next of `rank`, if there is such a member, and it is here and may be delivered.
    fn peek(&self, rank: Rank) -> Option<Head>;
}
