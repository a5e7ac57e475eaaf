//! Primary views (S4): which of the configured processes have installed the current view.
//!
//! Nobody is asked: whoever sends anything in a view has installed it. That a view has more than half of them as members
//! is not enough, since a member may never install it; and who installs it first cannot know what others do.

use super::{AppEvent, Cx, Endpoint};
use crate::ident::ProcessId;
use crate::rule::Rule;
use crate::trace::{Event, Mark};
use crate::view::View;

/// What is known of the current view.
#[derive(Debug, Default)]
pub(super) struct Primary {
    /// Configured processes that have installed it.
    installed: usize,
    /// It is primary, and the application is told.
    told: bool,
}

impl Endpoint {
    fn is_configured(&self, p: ProcessId) -> bool {
        self.config.primary_of.binary_search(&p).is_ok()
    }

    fn is_enough(&self, processes: usize) -> bool {
        let all = self.config.primary_of.len();
        let half_counts = !self.config.left_out().keeps(Rule::PrimaryMajority);
        all > 0 && (2 * processes > all || (half_counts && 2 * processes == all))
    }

    /// Whether `view` may become primary.
    pub(super) fn is_quorum(&self, view: &View) -> bool {
        self.is_enough(view.members().iter().filter(|p| self.is_configured(**p)).count())
    }

    /// This process has installed the current view.
    pub(super) fn begin_primary(&mut self, cx: &mut Cx<'_>) {
        self.primary = Primary::default();
        if self.config.left_out().keeps(Rule::PrimaryInstalled) {
            return self.count_installed(cx, cx.identity.process);
        }
        for p in self.sync.current().clone().members() {
            self.count_installed(cx, *p);
        }
    }

    /// `p` has installed the current view; told once for each member.
    pub(super) fn count_installed(&mut self, cx: &mut Cx<'_>, p: ProcessId) {
        if self.primary.told || !self.is_configured(p) {
            return;
        }
        self.primary.installed += 1;
        if self.is_enough(self.primary.installed) {
            self.primary.told = true;
            cx.tracer.mark(Mark::Primary);
            self.trace(cx, Event::Primary);
            self.events.push_back(AppEvent::Primary);
        }
    }
}
