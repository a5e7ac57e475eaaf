//! When a server looks at what follows from links and link reports, and what the look is for.
//!
//! Each server of a crowd hears of each link between any two. To look at all links each time, and
//! to tell all servers each time, would take the cube of their number. So among many servers all
//! that arrives together is looked at together, and looks have a rate. A server whose looks come
//! late has no processor to spare, and looks less often.

use alloc::vec::Vec;

use super::connections::ConnId;
use crate::time::{Pace, Time};

/// Looks at a time before they wait for their pauses: one link that is lost among many that stay
/// takes no longer than among few.
const LOOKS_AT_ONCE: u64 = 4;

/// How much longer the next pause is than a look was late.
const PAUSES_PER_LATENESS: u64 = 8;

/// Longest pause of a server whose looks come late, in ms.
const LATE_PAUSE_MAX_MS: u64 = 1000;

/// What a look is for.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// The own link report is to be sent, whatever the look finds.
    pub(super) tells: bool,
    /// A server was lost.
    pub(super) lost: bool,
    /// Servers may not share views with this one any more.
    pub(super) compares: bool,
    /// Peers that are to be told all.
    pub(super) newcomers: Vec<ConnId>,
}

/// The look at links that is to come.
#[derive(Debug, Default)]
pub(super) struct Review {
    due: Option<Due>,
    /// Nothing is looked at before.
    from: Time,
    pace: Pace,
    /// Since when something is due.
    since: Time,
    /// Looks have pauses: what arrives together is looked at together.
    has_pauses: bool,
}

impl Review {
    /// What is due from now on, to be added to.
    pub(super) fn plan(&mut self, now: Time) -> &mut Due {
        if self.due.is_none() {
            self.since = now;
        }
        self.due.get_or_insert_default()
    }

    /// What is due right after an input: nothing if more may arrive together with it. Asked once:
    /// then nothing is due.
    pub(super) fn take_due_at_once(&mut self, now: Time) -> Option<Due> {
        if self.has_pauses { None } else { self.take_due(now) }
    }

    /// What is due by `now`. Asked once: then nothing is due.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Due> {
        if now < self.from { None } else { self.due.take() }
    }

    /// A look is over; in the long run there is one every `pause_ms`, or fewer if they come late.
    pub(super) fn handle_done(&mut self, now: Time, pause_ms: u64) {
        let late_ms = now.millis_since(self.from.max(self.since));
        let late_ms = (PAUSES_PER_LATENESS * late_ms).min(LATE_PAUSE_MAX_MS);
        self.has_pauses = pause_ms > 0;
        let pause_ms = if self.has_pauses { pause_ms.max(late_ms) } else { 0 };
        let pause = Time::from_millis(pause_ms).0;
        if !self.has_pauses {
            self.pace = Pace::default();
        }
        self.pace.spend(now, pause);
        self.from = now.max(self.pace.next(LOOKS_AT_ONCE, pause));
    }

    /// When there is something to look at.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.due.as_ref().map(|_| self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_have_a_rate_and_a_burst() {
        let ms = Time::from_millis;
        let mut review = Review::default();
        let mut looks = |pause_ms, times: core::ops::Range<u64>| {
            let mut at = Vec::new();
            for now in times {
                review.plan(ms(now)).tells = true;
                if review.take_due(ms(now)).is_some() {
                    review.handle_done(ms(now), pause_ms);
                    at.push(now);
                }
            }
            at
        };
        assert_eq!(looks(0, 0..3), [0, 1, 2]);
        assert_eq!(looks(10, 3..40), [3, 4, 5, 6, 13, 23, 33]);
        assert_eq!(looks(10, 43..44), [43]);
        assert_eq!(looks(10, 90..105), [90, 91, 92, 93, 100], "after a calm");
        assert_eq!(looks(0, 105..115), [110, 111, 112, 113, 114]);
    }

    #[test]
    fn late_looks_become_rare() {
        let mut review = Review::default();
        let mut at = Vec::new();
        for now in (0..3000).step_by(50).map(Time::from_millis) {
            if review.take_due(now).is_some() {
                review.handle_done(now, 20);
                at.push(now.as_millis());
            }
            review.plan(now).tells = true;
        }
        assert!(at.len() < 20, "{at:?}");
    }

    #[test]
    fn look_among_many_waits_for_what_arrives_together() {
        let mut review = Review::default();
        review.plan(Time::ZERO).lost = true;
        assert!(review.take_due_at_once(Time::ZERO).is_some_and(|due| due.lost && !due.tells));
        assert!(review.take_due_at_once(Time::ZERO).is_none());
        review.handle_done(Time::ZERO, 10);
        review.plan(Time::ZERO).tells = true;
        assert!(review.take_due_at_once(Time::ZERO).is_none());
        assert_eq!(review.next_timeout(), Some(Time::ZERO));
        assert!(review.take_due(Time::ZERO).is_some_and(|due| due.tells && !due.lost));
        assert_eq!(review.next_timeout(), None);
    }
}
