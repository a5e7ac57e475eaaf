//! When a server looks at what follows from links and link reports, and what the look is for.
//!
//! Each server of a crowd hears of each link between any two. To look at all links each time, and
//! to tell all servers each time, would take the cube of their number. So among many servers all
//! that arrives together is looked at together, and looks have a rate.

use alloc::vec::Vec;

use super::connections::ConnId;
use crate::time::Time;

/// Looks at a time before they wait for their pauses: one link that is lost among many that stay
/// takes no longer than among few.
const LOOKS_AT_ONCE: u64 = 4;

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
    /// When the looks so far would be over if each had waited for its pause.
    paid: Time,
    /// Looks have pauses: what arrives together is looked at together.
    has_pauses: bool,
}

impl Review {
    /// What is due from now on, to be added to.
    pub(super) fn plan(&mut self) -> &mut Due {
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

    /// A look is over; in the long run there is one every `pause_ms`.
    pub(super) fn handle_done(&mut self, now: Time, pause_ms: u64) {
        self.has_pauses = pause_ms > 0;
        let pause = Time::from_millis(pause_ms).0;
        self.paid = match self.has_pauses {
            true => self.paid.max(now) + pause,
            false => now,
        };
        self.from = now.max(Time(self.paid.0.saturating_sub((LOOKS_AT_ONCE - 1) * pause)));
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
                review.plan().tells = true;
                if review.take_due(ms(now)).is_some() {
                    review.handle_done(ms(now), pause_ms);
                    at.push(now);
                }
            }
            at
        };
        assert_eq!(looks(0, 0..3), [0, 1, 2]);
        assert_eq!(looks(10, 3..40), [3, 4, 5, 6, 13, 23, 33]);
        assert_eq!(looks(10, 90..105), [90, 91, 92, 93, 100], "after a calm");
        assert_eq!(looks(0, 105..115), [110, 111, 112, 113, 114]);
    }

    #[test]
    fn look_among_many_waits_for_what_arrives_together() {
        let mut review = Review::default();
        review.plan().lost = true;
        assert!(review.take_due_at_once(Time::ZERO).is_some_and(|due| due.lost && !due.tells));
        assert!(review.take_due_at_once(Time::ZERO).is_none());
        review.handle_done(Time::ZERO, 10);
        review.plan().tells = true;
        assert!(review.take_due_at_once(Time::ZERO).is_none());
        assert_eq!(review.next_timeout(), Some(Time::ZERO));
        assert!(review.take_due(Time::ZERO).is_some_and(|due| due.tells && !due.lost));
        assert_eq!(review.next_timeout(), None);
    }
}
