//! When a server looks at what follows from links and link reports, and what the look is for.
//!
//! Each server of a crowd hears of each link between any two. To look at all links each time, and
//! to tell all servers each time, would take the cube of their number. So among many servers all
//! that arrives together is looked at together, and looks have a rate. A server whose looks come
//! late has no processor to spare, and looks less often.

use alloc::vec::Vec;

use super::conn_id::ConnId;
use crate::time::{Pace, Time};

/// Looks at a time before they wait for their pauses: one link that is lost among many that stay
/// takes no longer than among few.
const LOOKS_AT_ONCE: u64 = 4;

/// Among many servers, news is looked at once no more came for a pause, and after so many pauses
/// at the latest: what one of them tells too early it tells all again.
pub(super) const CALM_PAUSES_MAX: u64 = 2;

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
    /// Pause between looks, in ms. If it is not 0, what arrives together is looked at together.
    pause_ms: u64,
    /// News is not looked at before, unless a server was lost.
    calm_at: Time,
}

impl Review {
    /// What is due from now on, to be added to.
    pub(super) fn plan(&mut self, now: Time) -> &mut Due {
        if self.due.is_none() {
            self.since = now;
        }
        self.due.get_or_insert_default()
    }

    /// News is due that may be followed by more: of servers that connect, say.
    pub(super) fn plan_news(&mut self, now: Time) -> &mut Due {
        self.plan(now);
        let latest = self.since.plus_ms(CALM_PAUSES_MAX * self.pause_ms);
        self.calm_at = now.plus_ms(self.pause_ms).min(latest);
        self.plan(now)
    }

    /// When what is due is to be looked at.
    fn at(&self, due: &Due) -> Time {
        if due.lost { self.from } else { self.from.max(self.calm_at) }
    }

    /// What is due right after an input: nothing if more may arrive together with it. Asked once:
    /// then nothing is due.
    pub(super) fn take_due_at_once(&mut self, now: Time) -> Option<Due> {
        if self.pause_ms > 0 { None } else { self.take_due(now) }
    }

    /// What is due by `now`. Asked once: then nothing is due.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Due> {
        let at = self.at(self.due.as_ref()?);
        if now < at { None } else { self.due.take() }
    }

    /// A look is over; in the long run there is one every `pause_ms`, or fewer if they come late.
    pub(super) fn handle_done(&mut self, now: Time, pause_ms: u64) {
        let late_ms = now.millis_since(self.from.max(self.since).max(self.calm_at));
        let late_ms = (PAUSES_PER_LATENESS * late_ms).min(LATE_PAUSE_MAX_MS);
        self.pause_ms = pause_ms;
        let pause_ms = if pause_ms > 0 { pause_ms.max(late_ms) } else { 0 };
        let pause = Time::from_millis(pause_ms).0;
        if pause_ms == 0 {
            self.pace = Pace::default();
        }
        self.pace.spend(now, pause);
        self.from = now.max(self.pace.next(LOOKS_AT_ONCE, pause));
    }

    /// When there is something to look at.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.due.as_ref().map(|due| self.at(due))
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
    fn news_is_looked_at_once_calm_within_bound() {
        let ms = Time::from_millis;
        let mut review = Review::default();
        review.plan_news(ms(1)).compares = true;
        assert!(review.take_due_at_once(ms(1)).is_some(), "among few");
        review.handle_done(ms(1), 10);
        let mut news = |now| {
            review.plan_news(ms(now)).compares = true;
            review.next_timeout()
        };
        assert_eq!(news(100), Some(ms(110)));
        assert_eq!(news(105), Some(ms(115)));
        assert_eq!(news(114), Some(ms(120)), "no later");
        review.plan(ms(115)).lost = true;
        assert!(review.take_due(ms(115)).is_some(), "a loss does not wait");
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
