//! When heartbeats are sent.

use super::settings::Settings;
use crate::time::Time;

/// Heartbeats of a member that lacks acknowledgements or credit are at most this many times
/// `heartbeat_ms` apart.
const UNSETTLED_BACKOFF_MAX: u64 = 16;

/// All idle groups of a node together send no more heartbeats than this number of groups that send
/// one in `heartbeat_max_ms`.
const IDLE_GROUPS: usize = 64;

/// When heartbeats are sent: `interval_ms` after `from`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beats {
    from: Time,
    last: Time,
    interval_ms: u64,
    /// The longest pause, as a multiple of `heartbeat_max_ms`.
    spread: u64,
}

impl Beats {
    pub(super) fn new(now: Time, settings: &Settings) -> Self {
        Self { from: now, last: now, interval_ms: settings.heartbeat_ms(), spread: 1 }
    }

    /// Something was sent that others have to learn the end of.
    pub(super) fn restart(&mut self, now: Time, settings: &Settings) {
        self.from = now;
        self.interval_ms = settings.heartbeat_ms();
    }

    /// Others make progress by themselves.
    pub(super) fn put_off(&mut self, now: Time) {
        self.from = now;
    }

    /// A heartbeat was sent.
    pub(super) fn handle_sent(&mut self, now: Time, settings: &Settings) {
        self.from = now;
        self.last = now;
        self.interval_ms = (self.interval_ms * 2).min(self.pause_max_ms(settings));
    }

    /// Tells in how many groups the node is. The first heartbeats after a packet reveal a lost
    /// tail. Those at the longest pause are for what all of the first ones missed, so they may be
    /// rarer.
    pub(super) fn set_groups(&mut self, groups: usize) {
        self.spread = groups.div_ceil(IDLE_GROUPS).max(1) as u64;
    }

    fn pause_max_ms(&self, settings: &Settings) -> u64 {
        settings.heartbeat_max_ms().saturating_mul(self.spread)
    }

    /// When the next one is due, if the pause is to be at most `pause_max_ms`.
    pub(super) fn next(&self, pause_max_ms: u64, settings: &Settings) -> Time {
        let latest = self.last.plus_ms(self.pause_max_ms(settings));
        self.from.plus_ms(self.interval_ms.min(pause_max_ms)).min(latest)
    }
}

/// The longest pause between heartbeats that ask for answers, in a view whose members take
/// `slowness` times as long.
pub(super) fn asking_pause_ms(settings: &Settings, slowness: u64) -> u64 {
    let often_ms = settings.heartbeat_ms() * UNSETTLED_BACKOFF_MAX;
    (often_ms * slowness).min(often_ms.max(settings.peer_ms() / 4))
}

#[cfg(test)]
mod tests {
    use super::super::size::CastSize;
    use super::*;
    use crate::config::GroupConfig;

    /// Acknowledgements of others put heartbeats off. Fault to avoid: for ever, so that members
    /// that lack the last packet never learn of it. Expected: for `heartbeat_max_ms` at most.
    #[test]
    fn heartbeats_are_put_off_within_bound() {
        let config = GroupConfig::default();
        let settings = Settings::new(&config, CastSize::of(1400, 256), 3);
        for groups in [1, 2 * IDLE_GROUPS] {
            let mut now = Time::from_millis(1000);
            let mut beats = Beats::new(now, &settings);
            beats.set_groups(groups);
            let most_ms = config.heartbeat_max_ms * groups.div_ceil(IDLE_GROUPS) as u64;
            let mut waited_ms = 0;
            while beats.next(u64::MAX, &settings) > now {
                now = now.plus_ms(1);
                waited_ms += 1;
                assert!(waited_ms <= most_ms, "{groups} groups");
                beats.put_off(now);
            }
            assert_eq!(waited_ms, most_ms);
            beats.handle_sent(now, &settings);
            assert!(beats.next(u64::MAX, &settings) > now);
        }
    }
}
