//! A change waits for more before the server proposes ([rule
//! 5.12](crate::manual::algorithm#rule-5-12)).

use crate::member::attached::Report;
use crate::time::Time;

/// Why a report may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Arrival,
    Departure,
    /// Another server proposes what this one put off.
    Proposed,
}

/// How many pauses without a change a crowd waits at most before it proposes in spite of further
/// changes.
const PAUSES_MAX: u64 = 4;

/// How long a change waits for more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// At least so long after the change, in ms.
    pub(super) ms: u64,
    /// Each further change begins the wait anew, up to [`PAUSES_MAX`] times.
    pub(super) until_calm: bool,
}

/// The wait for more changes.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// When the proposal goes out.
    at: Option<Time>,
    /// When it goes out at the latest, if the wait is until no more changes come.
    latest: Option<Time>,
    /// What is to be reported then, if more has changed since the wait began.
    report: Option<Report>,
}

impl Gathering {
    /// Whether a proposal waits.
    pub(super) fn is_open(&self) -> bool {
        self.at.is_some()
    }

    /// Something changed, or not (`is_news`), that may wait. Returns what is to be reported now.
    ///
    /// The clients were told of the first change at once. To tell all of each further one takes the
    /// square of their number, so in a group of `many` a further change waits, too.
    pub(super) fn handle_change(
        &mut self,
        now: Time,
        wait: Wait,
        (report, is_news): (Report, bool),
        many: bool,
    ) -> Option<Report> {
        let at = self.end_of(now, wait, is_news);
        let waits = at > now;
        if many && waits && self.is_open() {
            self.at = Some(at);
            self.report = is_news.then_some(report);
            return None;
        }
        self.report = None;
        if !is_news {
            return None;
        }
        self.at = waits.then_some(at);
        Some(report)
    }

    /// When the wait ends. One that is until calm may be put off, never beyond its latest end.
    fn end_of(&mut self, now: Time, wait: Wait, is_news: bool) -> Time {
        let at = now.plus_ms(wait.ms);
        if !wait.until_calm {
            return self.at.map_or(at, |gather| gather.min(at));
        }
        if self.at.is_none() {
            self.latest = Some(now.plus_ms(PAUSES_MAX * wait.ms));
        }
        let open = self.at.filter(|_| !is_news || self.latest.is_none());
        open.unwrap_or_else(|| self.latest.map_or(at, |latest| latest.min(at)))
    }

    /// Whether the wait is over, and what is to be reported then. Asked once: then nothing waits.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Option<Report>> {
        self.at.filter(|at| now >= *at)?;
        (self.at, self.latest) = (None, None);
        Some(self.report.take())
    }

    /// Nothing waits any more.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// When the wait is over.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.at
    }
}

/// Arrivals are put off: servers that have just started are about to bring more.
#[derive(Debug, Default)]
pub(super) struct PutOff(Option<Ends>);

/// When arrivals are put off no more.
#[derive(Clone, Copy, Debug)]
struct Ends {
    /// When to look whether they still have to be.
    until: Time,
    latest: Time,
}

impl PutOff {
    /// Whether arrivals are put off.
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether an arrival may be put off now: for `ms` since the first one, and `more_ms` more if
    /// that still has a reason then.
    pub(super) fn waits(&mut self, now: Time, ms: u64, more_ms: u64) -> bool {
        let until = now.plus_ms(ms);
        let ends = self.0.get_or_insert(Ends { until, latest: until.plus_ms(more_ms) });
        if now >= ends.until {
            ends.until = until.min(ends.latest);
        }
        now < ends.latest
    }

    /// Whether it is time to look whether they still have to be.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.0.is_some_and(|ends| now >= ends.until)
    }

    /// Arrivals are put off no more.
    pub(super) fn end(&mut self) {
        self.0 = None;
    }

    /// When to look whether they still have to be.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.0.map(|ends| ends.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_until_calm_is_put_off_within_bound() {
        let ms = Time::from_millis;
        let mut gathering = Gathering::default();
        let calm = Wait { ms: 100, until_calm: true };
        let mut change = |now, wait, is_news| {
            gathering.handle_change(ms(now), wait, (Report::new(), is_news), true);
            gathering.next_timeout()
        };
        assert_eq!(change(0, calm, true), Some(ms(100)));
        assert_eq!(change(60, calm, true), Some(ms(160)));
        assert_eq!(change(90, calm, false), Some(ms(160)), "no news put nothing off");
        assert_eq!(change(150, calm, true), Some(ms(250)));
        assert_eq!(change(240, calm, true), Some(ms(340)));
        assert_eq!(change(330, calm, true), Some(ms(400)), "no later");
        let soon = Wait { ms: 10, until_calm: false };
        assert_eq!(change(340, soon, true), Some(ms(350)));
        assert!(gathering.take_due(ms(350)).is_some());
        assert_eq!(gathering.next_timeout(), None);
    }
}
