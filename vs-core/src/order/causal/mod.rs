//! Causal order: a message waits for those that its sender had delivered before it.
//!
//! Each packet names how much its sender had delivered of others (`sealer/claims.rs`). The messages
//! of a member come in its order, so only its next packet is looked at.
//!
//! Nobody waits in a circle: a packet names only what was sealed before it. Why the same messages
//! are left out at the end of a view at all who come along, and never one of theirs, is told in
//! [`crate::manual::architecture`].

use alloc::vec;
use alloc::vec::Vec;

use super::Found;
use super::offers::Packets;
use crate::ident::{Rank, Seq};
use crate::rule::{Rule, Rules};
use crate::wire::trailer::Record;

/// A packet that a trailer names is at most so far ahead of what is delivered here: its sender had
/// room for it here, too. Whatever seems to be further ahead lies behind.
pub(crate) const AHEAD_PACKETS_MAX: u32 = 1 << 20;

/// How far what the packets of one member name is delivered here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Met {
    /// All that is named up to this packet.
    upto: Seq,
    /// Of the packet behind it, so many records.
    records: usize,
    /// A message ends with packet `upto`.
    ends_message: bool,
}

/// The order of one member in one view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Causal {
    rules: Rules,
    /// By rank.
    met: Vec<Met>,
    /// Who is asked first; beyond the last rank it is the turn of the first one.
    first: Rank,
    /// Whose message is next, as the last look has found.
    turn: Option<Rank>,
    /// The view ends, and nothing more of it can be delivered.
    is_over: bool,
    /// Without the rules: nothing is waited for.
    waits: bool,
}

impl Causal {
    /// In a view of `ranks` that begins.
    pub(super) fn new(ranks: usize, rules: Rules) -> Self {
        let waits = rules.keeps(Rule::CausalWait);
        let met = vec![Met::default(); ranks];
        Self { rules, met, first: 0, turn: None, is_over: false, waits }
    }

    /// Whose message is next, as [`Causal::find`] has found; after it was taken, who may have one.
    #[inline]
    pub(crate) fn turn(&self) -> Option<Rank> {
        self.turn
    }

    /// The turn stays with `rank` until a packet ends.
    #[inline]
    pub(super) fn handle_taken(&mut self, rank: Rank, ends_packet: bool) {
        self.first = rank + Rank::from(ends_packet);
    }

    /// Looks for the next message: of the first member from the one whose turn it is that has one
    /// which waits for nothing.
    pub(super) fn find(&mut self, packets: &impl Packets) -> Found {
        self.is_over = false;
        let ranks = packets.ranks() as Rank;
        let first = if self.first < ranks { self.first } else { 0 };
        let mut around = (first..ranks).chain(0..first);
        let next = around.find_map(|rank| Some((rank, self.look(packets, rank)?)));
        self.turn = next.and_then(|(rank, next)| (next == Next::Message).then_some(rank));
        match next {
            Some((rank, Next::Nothing)) => Found::PassOver(rank),
            _ => Found::Turn,
        }
    }

    /// What of `rank` may be delivered.
    fn look(&mut self, packets: &impl Packets, rank: Rank) -> Option<Next> {
        let head = packets.peek(rank)?;
        let met = self.met.get_mut(usize::from(rank))?;
        // Alone nobody is waited for, and the packet that is next may still be open.
        if packets.ranks() == 1 || (met.upto >= head.packet && met.ends_message) {
            return Some(Next::Message);
        }
        loop {
            let packet = packets.sealed(rank, met.upto.max(head.packet - 1) + 1)?;
            for record in packet.trailer.records_from(met.records) {
                if self.waits && !is_delivered(packets, record) {
                    return None;
                }
                met.records += 1;
            }
            let upto = met.upto.max(head.packet - 1) + 1;
            *met = Met { upto, records: 0, ends_message: packet.ends_message };
            if packet.ends_message {
                return Some(if packet.is_empty { Next::Nothing } else { Next::Message });
            }
        }
    }

    /// All that counts of the view is here, and the last look has found nothing: what is left
    /// follows from what does not count. False if it is to be delivered nevertheless, without the
    /// rule.
    pub(crate) fn end(&mut self) -> bool {
        self.is_over = self.rules.keeps(Rule::CausalCut);
        self.waits &= self.is_over;
        self.is_over
    }

    /// Whether the view ends, and what is left of it is left out. Another look begins anew.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }
}

/// What a member has next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Message,
    /// A packet without messages.
    Nothing,
}

/// Whether all that a record names is delivered here.
fn is_delivered(packets: &impl Packets, record: Record) -> bool {
    // The difference of the low halves.
    let ahead = record.packets.wrapping_sub(packets.delivered(record.rank) as u32);
    ahead == 0 || ahead > AHEAD_PACKETS_MAX
}

#[cfg(test)]
mod tests;
