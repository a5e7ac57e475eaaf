//! What an order writes into the trailer of each packet that is sealed.

mod claims;
mod content;
mod records;

use super::Order;
use crate::ident::{Rank, Seq};

pub(crate) use claims::Claims;
pub(crate) use content::Content;
pub(crate) use records::Records;

/// Bytes that are kept of each member, at most.
pub(crate) const SEALER_BYTES: usize = if records::RECORDS_BYTES > claims::CLAIM_BYTES {
    records::RECORDS_BYTES
} else {
    claims::CLAIM_BYTES
};

/// Writes the trailers of one view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sealer {
    /// In [`Order::Total`] and [`Order::Safe`].
    Records(Records),
    /// In [`Order::Causal`].
    Claims(Claims),
}

impl Sealer {
    /// The sealer of rank `me` of `ranks`, if packets have trailers. Each member may have `window`
    /// packets outstanding.
    pub(crate) fn new(order: Order, ranks: usize, me: Rank, window: usize) -> Option<Self> {
        match order {
            Order::Fifo => None,
            Order::Causal => Some(Self::Claims(Claims::new(ranks, me))),
            Order::Total | Order::Safe => Some(Self::Records(Records::new(ranks, me, window))),
        }
    }

    /// What is recorded, where one order is made for all.
    #[inline]
    pub(crate) fn records(&self) -> Option<&Records> {
        match self {
            Self::Records(records) => Some(records),
            Self::Claims(_) => None,
        }
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn records_mut(&mut self) -> Option<&mut Records> {
        match self {
            Self::Records(records) => Some(records),
            Self::Claims(_) => None,
        }
    }

    /// What is claimed in a causal group.
    #[inline]
    pub(crate) fn claims(&self) -> Option<&Claims> {
        match self {
            Self::Records(_) => None,
            Self::Claims(claims) => Some(claims),
        }
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn claims_mut(&mut self) -> Option<&mut Claims> {
        match self {
            Self::Records(_) => None,
            Self::Claims(claims) => Some(claims),
        }
    }

    /// Whether this member leads others.
    pub(crate) fn leads(&self) -> bool {
        self.records().is_some_and(Records::leads)
    }

    /// Writes the trailer behind `content` in `body`. `boundary` tells up to which packet the
    /// messages of a member are here, `touched` its packets that are delivered, in whole or in
    /// part. Answers how many bytes of the body are used then.
    pub(crate) fn write(
        &mut self,
        body: &mut [u8],
        content: Content,
        boundary: impl Fn(Rank) -> Seq,
        touched: impl Fn(Rank) -> Seq,
    ) -> usize {
        match self {
            Self::Records(records) => records.write(body, content, boundary),
            Self::Claims(claims) => claims.write(body, content.len, touched),
        }
    }
}
