//! A change waits for more before the server proposes ([rule
//! 5.12](crate::manual::algorithm#rule-5-12)).

use crate::member::attached::Report;
use crate::time::Time;

/// The wait for more changes.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// When the proposal goes out.
    at: Option<Time>,
    /// What is to be reported then, if more has changed since the wait began.
    report: Option<Report>,
}

impl Gathering {
    /// Whether a proposal waits.
    pub(super) fn is_open(&self) -> bool {
        self.at.is_some()
    }

    /// Something changed, or not (`is_news`), that may wait until `at`. Returns what is to be
    /// reported now.
    ///
    /// The clients were told of the first change at once. To tell all of each further one takes the
    /// square of their number, so in a group of `many` a further change waits, too.
    pub(super) fn handle_change(
        &mut self,
        now: Time,
        at: Time,
        (report, is_news): (Report, bool),
        many: bool,
    ) -> Option<Report> {
        let at = self.at.map_or(at, |gather| gather.min(at));
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

    /// Whether the wait is over, and what is to be reported then. Asked once: then nothing waits.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Option<Report>> {
        self.at.filter(|at| now >= *at)?;
        self.at = None;
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
