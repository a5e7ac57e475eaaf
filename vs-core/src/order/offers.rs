//! What an order sees of the streams of a view.

use crate::ident::{Rank, Seq};
use crate::wire::trailer::Trailer;

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

/// What a member has sealed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed<'a> {
    /// It holds no message and no part of one.
    pub(crate) is_empty: bool,
    /// A message or a part of one ends in it.
    pub(crate) ends_message: bool,
    /// What its sender wrote for the order.
    pub(crate) trailer: Trailer<'a>,
}

/// The packets in which the messages of a view come.
pub(crate) trait Packets: Offers {
    /// Packets of `rank` that are delivered as a whole.
    fn delivered(&self, rank: Rank) -> Seq;
    /// Up to which packet all members are known to have the stream of `rank`.
    fn stable(&self, rank: Rank) -> Seq;
    /// Packet `seq` of `rank`, if it is here, as whole messages, is not delivered and may be.
    fn sealed(&self, rank: Rank, seq: Seq) -> Option<Sealed<'_>>;
}
