//! Who had better lead: whoever sends most, and not a leader that lags.
//!
//! The leader counts what it puts in order, in spans of packets. It needs no clock, and the lead
//! passes at most once in a span, however members take turns to send.

use alloc::vec;
use alloc::vec::Vec;

use crate::ident::Rank;

/// Packets after which the leader looks whether another member had better lead: this part of a
/// window, and at most so many.
const SPAN_SHARE: usize = 4;
/// See [`SPAN_SHARE`].
const SPAN_PACKETS_MAX: usize = 64;
/// A leader that sends at most this part of a span does not need the lead.
const SILENT_SHARE: u32 = 8;
/// A leader lags if so many packets of one member wait for it: this part of a window.
const LATE_SHARE: usize = 2;
/// Spans one after the other in which most packets had to wait, before a leader that lags hands
/// over: everybody is late at times.
const LATE_SPANS: u32 = 8;

/// Bytes that are kept of each member.
pub(super) const SHARE_BYTES: usize = size_of::<u32>();

/// What the leader put in order in this span.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shares {
    /// Packets of each other member, by rank.
    packets: Vec<u32>,
    own: u32,
    total: u32,
    /// Those that waited with many others.
    late: u32,
    /// Packets of a span.
    span: u32,
    /// With so many others a packet of a member waits too long.
    late_from: u32,
    /// Spans up to this one in which most were late.
    late_spans: u32,
}

impl Shares {
    /// Nothing is in order yet. Each member may have `window` packets outstanding.
    pub(super) fn new(ranks: usize, window: usize) -> Self {
        // A window is smaller than 2^32.
        let late_from = (window / LATE_SHARE) as u32;
        let span = (window / SPAN_SHARE).clamp(1, SPAN_PACKETS_MAX) as u32;
        let packets = vec![0; ranks];
        Self { packets, own: 0, total: 0, late: 0, span, late_from, late_spans: 0 }
    }

    /// Begins anew.
    pub(super) fn restart(&mut self) {
        self.restart_span();
        self.late_spans = 0;
    }

    fn restart_span(&mut self) {
        self.packets.fill(0);
        (self.own, self.total, self.late) = (0, 0, 0);
    }

    /// An own packet is sealed.
    #[inline]
    pub(super) fn count_own(&mut self) {
        // Looked at in time: a span is smaller than 2^32.
        (self.own, self.total) = (self.own.wrapping_add(1), self.total.wrapping_add(1));
    }

    /// So many packets of another member are put in order together.
    pub(super) fn count(&mut self, rank: Rank, packets: u32) {
        let known = &mut self.packets[usize::from(rank)];
        *known = known.saturating_add(packets);
        self.total = self.total.saturating_add(packets);
        if packets >= self.late_from {
            self.late = self.late.saturating_add(packets);
        }
    }

    /// Who had better lead than `me`. It is asked for before each packet, and looks once a span.
    #[inline]
    pub(super) fn successor(&mut self, me: Rank) -> Option<Rank> {
        if self.total < self.span { None } else { self.end_span(me) }
    }

    #[inline(never)]
    fn end_span(&mut self, me: Rank) -> Option<Rank> {
        let (own, total) = (self.own, self.total);
        let others = (0..).zip(&self.packets).filter(|(rank, _)| *rank != me);
        let (rank, most) = others.max_by_key(|(_, packets)| **packets)?;
        let is_needless = own <= total / SILENT_SHARE && *most > total / 2;
        self.late_spans = if self.late > total / 2 { self.late_spans + 1 } else { 0 };
        let lags = self.late_spans >= LATE_SPANS && *most > 0;
        self.restart_span();
        (is_needless || lags).then_some(rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who leads after spans in which members send so many packets of 16, by rank.
    fn successor(shares: &mut Shares, spans: u32, sent: [u32; 3]) -> Option<Rank> {
        let rounds = (0..spans * shares.span.div_ceil(16)).map(|_| {
            let next = shares.successor(0);
            (0..sent[0]).for_each(|_| shares.count_own());
            (1..).zip(&sent[1..]).for_each(|(rank, packets)| shares.count(rank, *packets));
            next
        });
        let found = rounds.fold(None, Option::or);
        found.or(shares.successor(0))
    }

    #[test]
    fn lead_passes_to_who_sends_most_beside_a_silent_leader() {
        let after = |sent| successor(&mut Shares::new(3, 1024), 1, sent);
        assert_eq!(after([0, 0, 16]), Some(2));
        assert_eq!(after([2, 10, 4]), Some(1));
        assert_eq!(after([3, 13, 0]), None, "the leader sends, too");
        assert_eq!(after([0, 8, 8]), None, "two send the same");
        assert_eq!(after([16, 0, 0]), None);
    }

    #[test]
    fn lead_passes_from_a_leader_that_lags() {
        let mut shares = Shares::new(3, 8);
        assert_eq!(successor(&mut shares, LATE_SPANS - 1, [6, 6, 4]), None);
        assert_eq!(successor(&mut shares, 1, [6, 6, 4]), Some(1));
        let mut shares = Shares::new(3, 32);
        assert_eq!(successor(&mut shares, 2 * LATE_SPANS, [6, 6, 4]), None, "nothing waits");
    }
}
