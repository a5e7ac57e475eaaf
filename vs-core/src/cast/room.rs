//! How much of the own stream may be under way: the credit that each member gives, and the window.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::settings::Settings;
use super::window::Window;
use crate::ident::{Rank, Seq};
use crate::time::Time;

/// This part of the window of a member that leads others is kept for packets without messages.
const RECORDS_SHARE: usize = 8;

/// What bounds the own stream, besides the own ring.
#[derive(Debug)]
pub(super) struct Room {
    /// What each member has room for; of the own rank: no bound, the own ring is.
    credit: Vec<Seq>,
    credit_min: Seq,
    /// The last packet that a refused message would have needed; nobody owes room for it once the
    /// window reaches that far.
    refused: Option<Seq>,
    window: Window,
}

/// Packets that may be outstanding when a message is begun.
fn most(settings: &Settings, records: bool) -> u64 {
    let window = settings.window();
    let kept = if records { window.div_ceil(RECORDS_SHARE) } else { 0 };
    (window - kept).max(1) as u64
}

impl Room {
    /// The room of rank `me`. If it `records`, a part of it is kept for packets without messages,
    /// so that messages of its own never keep it from saying which of others' come next.
    pub(super) fn new(ranks: usize, me: Rank, settings: &Settings, records: bool) -> Self {
        let window = settings.window();
        // All rings are empty at the start of a view and of the same size.
        let mut credit = vec![window as u64; ranks];
        credit[usize::from(me)] = Seq::MAX;
        Self {
            credit_min: credit.iter().copied().min().unwrap_or(Seq::MAX),
            credit,
            refused: None,
            window: Window::new(ranks, most(settings, records), settings.ack_packets()),
        }
    }

    /// From now on a part is kept for packets without messages, or none any more.
    pub(super) fn set_records(&mut self, records: bool, settings: &Settings) {
        self.window.set_most(most(settings, records), settings.ack_packets());
    }

    /// The last packet that all members have room for.
    #[inline]
    pub(super) fn credit(&self) -> Seq {
        self.credit_min
    }

    /// Packets that may be outstanding.
    #[inline]
    pub(super) fn window_packets(&self) -> u64 {
        self.window.packets()
    }

    /// Whether a message was refused and none was accepted since.
    pub(super) fn has_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Whether `rank` has less room than a refused message needs, up to `fair`.
    pub(super) fn lacks_credit_of(&self, rank: Rank, fair: Seq) -> bool {
        let credit = self.credit[usize::from(rank)];
        self.refused.is_some_and(|needed| credit < needed.min(fair))
    }

    /// The last packet that `rank` has room for.
    pub(super) fn credit_of(&self, rank: Rank) -> Seq {
        self.credit[usize::from(rank)]
    }

    /// Members whose credit lies within `range`.
    pub(super) fn ranks_within(&self, range: Range<Seq>) -> impl Iterator<Item = Rank> + '_ {
        (0..).zip(&self.credit).filter(move |(_, credit)| range.contains(credit)).map(|(r, _)| r)
    }

    /// Member `from` has room up to packet `credit`; false if that is known.
    pub(super) fn handle_credit(&mut self, from: Rank, credit: Seq) -> bool {
        let known = &mut self.credit[usize::from(from)];
        if credit <= *known {
            return false;
        }
        let before = core::mem::replace(known, credit);
        if before == self.credit_min {
            self.credit_min = self.credit.iter().copied().min().unwrap_or(credit);
        }
        true
    }

    /// A message was refused.
    pub(super) fn handle_refused(&mut self) {
        self.window.handle_refused();
    }

    /// A message was refused that needs room up to packet `needed`. Answers up to where room was
    /// needed before, if that is less.
    pub(super) fn handle_needed(&mut self, needed: Seq) -> Option<Seq> {
        let before = self.refused.unwrap_or(0);
        if needed <= before {
            return None;
        }
        self.refused = Some(needed);
        Some(before)
    }

    /// A message was accepted.
    #[inline]
    pub(super) fn handle_accepted(&mut self) {
        self.refused = None;
    }

    /// A member asked for an own packet.
    pub(super) fn handle_asked(&mut self, rank: Rank) {
        self.window.handle_asked(rank);
    }

    /// Own packets up to `stable` are everywhere, those up to `transmitted` under way.
    pub(super) fn handle_stable(&mut self, now: Time, stable: Seq, transmitted: Seq) {
        self.window.handle_stable(now, stable, transmitted);
    }
}
