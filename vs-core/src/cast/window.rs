//! How many own packets may be outstanding: enough to keep the group busy while losses are
//! repaired, and no more than receivers take without losing.
//!
//! Rings and credit bound it from above ([`crate::GroupConfig::window_packets`]). Below that it
//! adapts, a round at a time: the packets that were under way when it began. More in flight than
//! needed costs: packets fall out of the processors' caches, and wait in queues.

use alloc::vec;
use alloc::vec::Vec;

use crate::ident::{Rank, Seq};
use crate::time::Time;

/// Packets outstanding as long as nothing is lost and rounds are short.
const NORMAL_PACKETS: u64 = 1024;
/// Packets outstanding at least.
const LEAST_PACKETS: u64 = 256;
/// A member that asks for this part of a round's packets is flooded: its buffers overflow.
const FLOODED_SHARE: u64 = 8;
/// A round that takes longer than this, in ns, waits for the network, not for processors.
const LONG_ROUND_NANOS: u64 = 5_000_000;
/// By this part of itself the window grows, and by twice that it shrinks for a flooded member.
const STEP_SHARE: u64 = 8;

/// Bytes that are kept of each member.
pub(super) const ASKED_BYTES: usize = size_of::<u32>();

/// The adaptive part of the window.
#[derive(Debug)]
pub(super) struct Window {
    /// Packets that may be outstanding now.
    packets: u64,
    least: u64,
    normal: u64,
    most: u64,
    /// The round is over when this packet is stable.
    round_end: Seq,
    round_since: Time,
    round_packets: u64,
    /// Something was refused in this round.
    limited: bool,
    /// Packets that each member asked for in this round.
    asked: Vec<u32>,
}

/// Packets that may be outstanding in any case, and normally.
fn bounds(most: u64, ack_packets: u64) -> (u64, u64) {
    let least = LEAST_PACKETS.max(2 * ack_packets).min(most);
    (least, NORMAL_PACKETS.max(4 * ack_packets).min(most))
}

impl Window {
    /// At most `most` packets; members acknowledge each `ack_packets`.
    pub(super) fn new(ranks: usize, most: u64, ack_packets: u64) -> Self {
        let (least, normal) = bounds(most, ack_packets);
        Self {
            packets: normal,
            least,
            normal,
            most,
            round_end: 0,
            round_since: Time::ZERO,
            round_packets: 0,
            limited: false,
            asked: vec![0; ranks],
        }
    }

    /// At most `most` packets from now on.
    pub(super) fn set_most(&mut self, most: u64, ack_packets: u64) {
        (self.least, self.normal) = bounds(most, ack_packets);
        self.most = most;
        self.packets = self.packets.clamp(self.least, most);
    }

    /// Packets that may be outstanding.
    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    /// A message was refused.
    pub(super) fn handle_refused(&mut self) {
        self.limited = true;
    }

    /// A member asked for a packet.
    pub(super) fn handle_asked(&mut self, rank: Rank) {
        if let Some(asked) = self.asked.get_mut(usize::from(rank)) {
            *asked = asked.saturating_add(1);
        }
    }

    /// Packets up to `stable` are everywhere, those up to `transmitted` under way.
    pub(super) fn handle_stable(&mut self, now: Time, stable: Seq, transmitted: Seq) {
        if stable < self.round_end {
            return;
        }
        let most_asked = self.asked.iter().copied().max().map_or(0, u64::from);
        let is_long = now - self.round_since > LONG_ROUND_NANOS;
        if most_asked * FLOODED_SHARE > self.round_packets {
            self.packets = (self.packets - 2 * self.packets / STEP_SHARE).max(self.least);
        } else if self.limited && (most_asked > 0 || is_long) {
            self.packets = (self.packets + self.packets / STEP_SHARE).min(self.most);
        } else if self.packets > self.normal {
            self.packets -= (self.packets - self.normal).div_ceil(STEP_SHARE);
        } else {
            self.packets += (self.normal - self.packets).div_ceil(STEP_SHARE);
        }
        self.round_end = transmitted;
        self.round_since = now;
        self.round_packets = transmitted - stable;
        self.limited = false;
        self.asked.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds of full windows; in each, one member asks for `asked` of 100 packets.
    fn after(window: &mut Window, rounds: u64, asked: u64, limited: bool, round_ms: u64) -> u64 {
        let mut stable = window.round_end;
        let mut now = window.round_since;
        for _ in 0..rounds {
            (0..window.round_packets * asked / 100).for_each(|_| window.handle_asked(1));
            if limited {
                window.handle_refused();
            }
            now = now.plus_ms(round_ms);
            window.handle_stable(now, stable, stable + window.packets());
            stable += window.packets();
            window.round_end = stable;
        }
        window.packets()
    }

    #[test]
    fn losses_widen_the_window_and_floods_narrow_it() {
        let mut window = Window::new(3, 4096, 128);
        assert_eq!(after(&mut window, 50, 0, true, 1), 1024, "all is well");
        assert_eq!(after(&mut window, 50, 1, false, 1), 1024, "nothing waits for room");
        assert_eq!(after(&mut window, 50, 1, true, 1), 4096);
        assert_eq!(after(&mut window, 200, 0, true, 1), 1024);
        assert_eq!(after(&mut window, 50, 50, true, 1), 256);
        assert_eq!(after(&mut window, 200, 0, true, 1), 1024);
        assert_eq!(after(&mut window, 50, 0, true, 20), 4096, "the way is long");
    }

    #[test]
    fn a_narrow_window_stays_as_it_was_configured() {
        let mut window = Window::new(3, 64, 16);
        for (asked, round_ms) in [(0, 1), (1, 1), (50, 1), (0, 20)] {
            assert_eq!(after(&mut window, 20, asked, true, round_ms), 64);
        }
        let window = Window::new(65, 4096, 1024);
        assert_eq!((window.least, window.packets), (2048, 4096), "members acknowledge seldom");
    }
}
