//! Primary views (S4): which of the configured processes have installed the current view.
//!
//! Nobody is asked: a process that sends anything in a view has installed it. More than half of the
//! configured processes among the members is not enough, since a member may never install the view;
//! and the first process to install it cannot know what the others do.

use crate::config::GroupConfig;
use crate::ident::ProcessId;
use crate::rule::{Rule, Rules};
use crate::view::View;

/// What is known of the current view.
#[derive(Debug, Default)]
pub(super) struct Primary {
    /// Configured processes that have installed the view.
    installed: usize,
    /// Whether the view is known to be primary.
    reached: bool,
    rules: Rules,
}

impl Primary {
    /// This process, `me`, has installed `view`. The second value says whether the view is primary
    /// already.
    pub(super) fn new(
        config: &GroupConfig,
        rules: Rules,
        me: ProcessId,
        view: &View,
    ) -> (Self, bool) {
        let mut primary = Self { rules, ..Self::default() };
        if rules.keeps(Rule::PrimaryInstalled) {
            primary.handle_installed(config, me);
        } else {
            for &p in view.members() {
                primary.handle_installed(config, p);
            }
        }
        let reached = primary.reached;
        (primary, reached)
    }

    /// `p` has installed the view; called once for each member. True if that makes the view
    /// primary.
    pub(super) fn handle_installed(&mut self, config: &GroupConfig, p: ProcessId) -> bool {
        if self.reached || !is_configured(config, p) {
            return false;
        }
        self.installed += 1;
        self.reached = is_majority(config, self.rules, self.installed);
        self.reached
    }
}

/// Whether `view` may become primary.
pub(super) fn is_quorum(config: &GroupConfig, rules: Rules, view: &View) -> bool {
    let configured = view.members().iter().filter(|p| is_configured(config, **p));
    is_majority(config, rules, configured.count())
}

fn is_configured(config: &GroupConfig, p: ProcessId) -> bool {
    config.primary_of.binary_search(&p).is_ok()
}

fn is_majority(config: &GroupConfig, rules: Rules, processes: usize) -> bool {
    let all = config.primary_of.len();
    let half_counts = !rules.keeps(Rule::PrimaryMajority);
    all > 0 && (2 * processes > all || (half_counts && 2 * processes == all))
}
