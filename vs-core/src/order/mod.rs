//! The order in which messages of different senders are delivered: whose turn it is.
//!
//! The multicast offers what is next of each sender (`Offers`); a policy decides whose message is
//! delivered (`Policy`). Nothing here sees a payload.

mod causal;
mod fifo;
mod leader;
mod offers;
mod place;
mod safe;
mod sealer;
mod shares;
mod stage;
mod tail;
mod total;

use core::fmt;

use crate::ident::Rank;
use crate::rule::Rules;

pub(crate) use causal::{AHEAD_PACKETS_MAX, Causal};
pub(crate) use offers::{Head, Offers, Packets, Sealed};
pub(crate) use sealer::{Claims, Content, Records, SEALER_BYTES, Sealer};
pub use stage::Stage;
pub(crate) use tail::Tail;
pub(crate) use total::{Found, Total};

use fifo::RoundRobin;

/// The order of a group: the same at all of its members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Order {
    /// Messages of one sender are delivered in the order in which they were sent. Nothing is
    /// promised about messages of different senders.
    #[default]
    Fifo,
    /// What a sender had delivered before it sent is delivered before (causal, S15). Nothing is
    /// promised about messages that do not follow from each other.
    ///
    /// Each packet says of which members its sender has delivered more since its packet before: 6
    /// bytes for each. It takes no further delay. At the end of a view, messages that follow from
    /// one that nobody has who comes along are left out, at all of these alike. There is no signal.
    Causal,
    /// All members deliver all messages in one order (agreed, S18). It is causal (S15): what a
    /// sender had delivered before it sent is delivered before.
    ///
    /// One member leads: its packets say which packets of others come next. Its own messages take
    /// one delay, those of others two. The member of least rank leads first. The lead passes to
    /// who sends most if the leader sends hardly anything, and away from a leader that lags. A view
    /// ends with [`crate::Action::Signal`].
    Total,
    /// As [`Order::Total`], and what is delivered before the signal is known to be at all members
    /// of the view (safe, S19, S20): each of them that installs a later view delivers it, too,
    /// after the same messages. It takes one delay more, and an acknowledgement of each member.
    Safe,
}

impl Order {
    /// The number that stands for it in what members and servers say to each other.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Fifo => 0,
            Self::Causal => 1,
            Self::Total => 2,
            Self::Safe => 3,
        }
    }

    /// The order that `code` stands for. `None` for an order that this version does not know.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Fifo),
            1 => Some(Self::Causal),
            2 => Some(Self::Total),
            3 => Some(Self::Safe),
            _ => None,
        }
    }

    /// All orders that this version knows.
    pub const ALL: &[Self] = &[Self::Fifo, Self::Causal, Self::Total, Self::Safe];

    /// The order called `name`, as it is displayed.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|order| order.name() == name)
    }

    /// The name, as it stands in traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Causal => "causal",
            Self::Total => "total",
            Self::Safe => "safe",
        }
    }

    /// Whether nothing is delivered before all members are known to have it.
    pub(crate) fn is_safe(self) -> bool {
        self == Self::Safe
    }

    /// Whether all members deliver in one order, and a view ends with
    /// [`crate::Action::Signal`].
    #[must_use]
    pub fn is_one_for_all(self) -> bool {
        matches!(self, Self::Total | Self::Safe)
    }

    /// Whether packets carry a trailer.
    pub(crate) fn has_trailers(self) -> bool {
        self != Self::Fifo
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Decides whose message is delivered next in one view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Policy {
    /// [`Order::Fifo`].
    Fifo(RoundRobin),
    /// [`Order::Causal`].
    Causal(Causal),
    /// [`Order::Total`] and [`Order::Safe`].
    Total(Total),
}

impl Policy {
    /// The policy of a view of `ranks` that begins.
    pub(crate) fn new(order: Order, ranks: usize, rules: Rules) -> Self {
        match order {
            Order::Fifo => Self::Fifo(RoundRobin::default()),
            Order::Causal => Self::Causal(Causal::new(ranks, rules)),
            Order::Total | Order::Safe => Self::Total(Total::new(order.is_safe(), ranks, rules)),
        }
    }

    /// Whose message is next, in an ordered group as [`Policy::find`] has found out.
    #[inline]
    pub(crate) fn next(&self, offers: &impl Offers) -> Option<Rank> {
        if !offers.may_have_some() {
            return None;
        }
        match self {
            Self::Fifo(policy) => policy.next(offers),
            Self::Causal(policy) => policy.turn(),
            Self::Total(policy) => policy.turn(),
        }
    }

    /// Finds out whose message is next, where that takes more than a look.
    pub(crate) fn find(&mut self, packets: &impl Packets) -> Found {
        match self {
            Self::Fifo(_) => Found::Turn,
            Self::Causal(policy) => policy.find(packets),
            Self::Total(policy) => policy.find(packets),
        }
    }

    /// The message of `rank` was taken, and perhaps its packet ends with it.
    #[inline]
    pub(crate) fn handle_taken(&mut self, rank: Rank, ends_packet: bool) {
        match self {
            Self::Fifo(policy) => policy.handle_taken(rank, ends_packet),
            Self::Causal(policy) => policy.handle_taken(rank, ends_packet),
            // The next look finds out whose message is next. Until then the last answer stands: a
            // loop must not sleep while something may be left.
            Self::Total(_) => {}
        }
    }

    /// Whether somebody has to look for the next message ([`Policy::find`]).
    #[inline]
    pub(crate) fn looks(&self) -> bool {
        !matches!(self, Self::Fifo(_))
    }

    /// Whether the last look has found nothing, and the end of the view may change that.
    pub(crate) fn waits(&self) -> bool {
        match self {
            Self::Fifo(_) => false,
            Self::Causal(policy) => policy.turn().is_none(),
            Self::Total(policy) => policy.turn().is_none() && !policy.has_tail(),
        }
    }

    /// The policy of a causal group, to be changed.
    pub(crate) fn causal_mut(&mut self) -> Option<&mut Causal> {
        match self {
            Self::Causal(policy) => Some(policy),
            Self::Fifo(_) | Self::Total(_) => None,
        }
    }

    /// Whether the view ends, and what is left of it is left out.
    #[inline]
    pub(crate) fn leaves_rest(&self) -> bool {
        matches!(self, Self::Causal(policy) if policy.is_over())
    }

    /// The policy of a group with one order for all.
    #[inline]
    pub(crate) fn total(&self) -> Option<&Total> {
        match self {
            Self::Fifo(_) | Self::Causal(_) => None,
            Self::Total(policy) => Some(policy),
        }
    }

    /// The same, to be changed.
    pub(crate) fn total_mut(&mut self) -> Option<&mut Total> {
        match self {
            Self::Fifo(_) | Self::Causal(_) => None,
            Self::Total(policy) => Some(policy),
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
        for &order in Order::ALL {
            assert_eq!(Order::from_code(order.code()), Some(order));
            assert_eq!(Order::from_name(order.name()), Some(order));
        }
    }
}
