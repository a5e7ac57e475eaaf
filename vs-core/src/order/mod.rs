//! The order in which messages of different senders are delivered: whose turn it is.
//!
//! The multicast offers what is next of each sender (`Offers`); a policy decides whose message is
//! delivered (`Policy`). Nothing here sees a payload.

mod fifo;
mod offers;

use core::fmt;

use crate::ident::Rank;

pub(crate) use offers::{Head, Offers};

use fifo::RoundRobin;

/// The order of a group: the same at all of its members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Order {
    /// Messages of one sender are delivered in the order in which they were sent. Nothing is
    /// promised about messages of different senders.
    #[default]
    Fifo,
}

impl Order {
    /// The number that stands for it in what members and servers say to each other.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Fifo => 0,
        }
    }

    /// The order that `code` stands for. `None` for an order that this version does not know.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        (code == 0).then_some(Self::Fifo)
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fifo => "fifo",
        })
    }
}

/// Decides whose message is delivered next in one view.
#[derive(Debug)]
pub(crate) enum Policy {
    /// [`Order::Fifo`].
    Fifo(RoundRobin),
}

impl Policy {
    /// The policy of a view that begins.
    pub(crate) fn new(order: Order) -> Self {
        match order {
            Order::Fifo => Self::Fifo(RoundRobin::default()),
        }
    }

    /// Whose message is next.
    #[inline]
    pub(crate) fn next(&self, offers: &impl Offers) -> Option<Rank> {
        if !offers.may_have_some() {
            return None;
        }
        match self {
            Self::Fifo(policy) => policy.next(offers),
        }
    }

    /// The message of `rank` was taken, and perhaps its packet ends with it.
    #[inline]
    pub(crate) fn handle_taken(&mut self, rank: Rank, ends_packet: bool) {
        match self {
            Self::Fifo(policy) => policy.handle_taken(rank, ends_packet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Order;

    #[test]
    fn a_code_stands_for_its_order() {
        for code in 0..=u8::MAX {
            assert!(Order::from_code(code).is_none_or(|order| order.code() == code));
        }
        assert_eq!(Order::from_code(Order::Fifo.code()), Some(Order::Fifo));
    }
}
