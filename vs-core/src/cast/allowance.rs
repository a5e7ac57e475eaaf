//! How much each member may ask to be sent again. A report of gaps is short and what it asks for is
//! long, so a member that lies could make others send many times what it sends.
//!
//! Who really lacks packets acknowledges more and more of them. So what a member may ask for grows
//! with what it acknowledges, and slowly with time, for when nothing gets through.

use alloc::vec;
use alloc::vec::Vec;

use super::settings::Settings;
use crate::ident::{Rank, Seq};
use crate::time::Time;

/// A member may ask for so many windows of packets at once: all that was lost while it did not
/// read, and what is lost of that again.
pub(super) const ALLOWED_WINDOWS: u64 = 2;

/// For each own packet that a member acknowledges, it may ask for so many more. Where three of four
/// packets are lost, each is sent again three times.
pub(super) const ALLOWED_PER_PACKET: u64 = 3;

/// In `peer_ms` a member that acknowledges nothing may ask for so many windows.
pub(super) const ALLOWED_IN_PEER_MS: u64 = 4;

/// Bytes of what is known of a member that asks.
pub(super) const ALLOWANCE_BYTES: usize = size_of::<Asker>();

/// What a member has asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Asker {
    /// Until when time has to pass before it has asked for nothing.
    owes_until: Time,
    /// Up to where it has acknowledged the own stream.
    acknowledged: Seq,
}

/// What each member has asked for. Made for the first one that asks.
#[derive(Debug)]
pub(super) struct Allowances {
    ranks: usize,
    askers: Vec<Asker>,
}

impl Allowances {
    pub(super) fn new(ranks: usize) -> Self {
        Self { ranks, askers: Vec::new() }
    }

    /// What `rank` may still ask for, which has acknowledged the own stream up to `acknowledged`.
    pub(super) fn of(
        &mut self,
        now: Time,
        rank: Rank,
        acknowledged: Seq,
        settings: &Settings,
    ) -> Allowance<'_> {
        if self.askers.is_empty() {
            self.askers = vec![Asker::default(); self.ranks];
        }
        let window = settings.window() as u64;
        let refill_nanos = settings.peer_ms().saturating_mul(1_000_000) / ALLOWED_IN_PEER_MS;
        let packet_nanos = (refill_nanos / window).max(1);
        let asker = &mut self.askers[usize::from(rank)];
        let news = acknowledged.saturating_sub(asker.acknowledged);
        let earned = news.saturating_mul(ALLOWED_PER_PACKET).saturating_mul(packet_nanos);
        asker.acknowledged = acknowledged;
        asker.owes_until = Time(asker.owes_until.0.saturating_sub(earned)).max(now);
        let most = window.saturating_mul(ALLOWED_WINDOWS).saturating_mul(packet_nanos);
        Allowance { asker, packet_nanos, end: Time(now.0.saturating_add(most)) }
    }
}

/// What a member may still ask for now.
#[derive(Debug)]
pub(super) struct Allowance<'a> {
    asker: &'a mut Asker,
    /// The time in which it may ask for one packet more.
    packet_nanos: u64,
    /// Beyond that it may not owe.
    end: Time,
}

impl Allowance<'_> {
    /// Whether it may ask for nothing more.
    pub(super) fn is_spent(&self) -> bool {
        self.asker.owes_until >= self.end
    }

    /// One packet is sent again.
    pub(super) fn spend(&mut self) {
        self.asker.owes_until = Time(self.asker.owes_until.0.saturating_add(self.packet_nanos));
    }
}
