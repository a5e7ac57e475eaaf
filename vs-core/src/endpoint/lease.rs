//! How long a view holds for a process that hears nothing of the others.
//!
//! A primary view (S4) holds here while this process and those that it heard from within
//! [`GroupConfig::lease_ms`] are more than half of [`GroupConfig::primary_of`]. Without such a list
//! a view holds while there is an attachment to the membership service, or any other member was
//! heard within that time. What a process heard is judged by its own clock alone. That is enough if
//! this clock does not run slower than those of others.

use crate::config::GroupConfig;
use crate::time::{Time, Wake};

/// Looks per lease: the first one that finds too few asks the others.
const LOOKS_PER_LEASE: u64 = 2;

/// Looks per lease while the view does not hold.
const LOOKS_PER_LEASE_LAPSED: u64 = 4;

/// Whether the view holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nobody asks: the view is not primary, or there is an attachment.
    #[default]
    Unasked,
    /// It holds since then.
    Held(Time),
    /// It does not hold since then.
    Lapsed(Time),
}

/// What a look comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// All is as it was.
    Same,
    /// The others that were not heard since then are to be asked.
    Ask(Time),
    /// The view does not hold any more.
    Lapsed,
    /// The view holds again.
    Restored,
}

/// Whether the current view holds, and when to look again.
#[derive(Debug, Default)]
pub(super) struct Lease {
    state: State,
    look_at: Option<Time>,
    /// When it ends at the latest if nothing more is heard.
    ends_at: Option<Time>,
}

impl Lease {
    /// From now on it matters who is heard.
    pub(super) fn begin(&mut self, now: Time, config: &GroupConfig) {
        self.hold(now, now, config);
    }

    /// It does not matter any more.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Whether the view holds, as far as is known.
    pub(super) fn is_held(&self) -> bool {
        !matches!(self.state, State::Lapsed(_))
    }

    /// Whether it matters.
    pub(super) fn is_asked(&self) -> bool {
        self.state != State::Unasked
    }

    pub(super) fn poll_timeout(&self) -> Option<(Time, Wake)> {
        self.look_at.map(|at| (at, Wake::Peer))
    }

    /// Whether it may have ended unseen, since this process was suspended, say.
    #[inline]
    pub(super) fn may_be_over(&self, now: Time) -> bool {
        self.ends_at.is_some_and(|at| at <= now)
    }

    /// Looks, if that is due. `heard` says since when fewer others were heard than have to be, if
    /// nothing counts that was heard before a time; `None`: no other has to be.
    pub(super) fn look(
        &mut self,
        now: Time,
        config: &GroupConfig,
        heard: impl FnOnce(Time) -> Option<Time>,
    ) -> Look {
        if self.look_at.is_none_or(|at| now < at) {
            return Look::Same;
        }
        match self.state {
            State::Unasked => Look::Same,
            State::Held(from) => self.look_held(now, config, heard(from)),
            State::Lapsed(since) => self.look_lapsed(now, config, since, heard),
        }
    }

    fn look_lapsed(
        &mut self,
        now: Time,
        config: &GroupConfig,
        since: Time,
        heard: impl FnOnce(Time) -> Option<Time>,
    ) -> Look {
        let is_late = self.look_at.is_some_and(|at| now.millis_since(at) > config.lease_ms / 4);
        self.look_at = Some(later(now, config, LOOKS_PER_LEASE_LAPSED));
        if is_late {
            self.state = State::Lapsed(now);
            return Look::Same;
        }
        // What lay unread in a socket says nothing about now.
        let from = since.plus_ms(config.lease_ms / LOOKS_PER_LEASE);
        match heard(from).filter(|at| *at > from && now < at.plus_ms(config.lease_ms)) {
            Some(at) => {
                self.hold(now, at, config);
                Look::Restored
            }
            None => Look::Ask(from),
        }
    }

    /// It holds since `from`.
    fn hold(&mut self, now: Time, from: Time, config: &GroupConfig) {
        let ends_at = from.plus_ms(config.lease_ms);
        self.state = State::Held(from);
        self.ends_at = Some(ends_at);
        self.look_at = Some(ends_at.min(later(now, config, LOOKS_PER_LEASE)));
    }

    fn look_held(&mut self, now: Time, config: &GroupConfig, heard_at: Option<Time>) -> Look {
        let Some(heard_at) = heard_at else {
            self.end();
            return Look::Same;
        };
        if heard_at.plus_ms(config.lease_ms) <= now {
            self.look_at = Some(later(now, config, LOOKS_PER_LEASE_LAPSED));
            (self.state, self.ends_at) = (State::Lapsed(now), None);
            return Look::Lapsed;
        }
        self.hold(now, heard_at, config);
        let is_late = now >= heard_at.plus_ms(config.lease_ms / LOOKS_PER_LEASE);
        if is_late { Look::Ask(heard_at) } else { Look::Same }
    }
}

fn later(now: Time, config: &GroupConfig, looks: u64) -> Time {
    now.plus_ms((config.lease_ms / looks).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::ProcessId;

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn unread_datagrams_do_not_restore_a_lease() {
        let config =
            GroupConfig { lease_ms: 100, primary_of: [ProcessId(1)].into(), ..<_>::default() };
        let mut lease = Lease::default();
        lease.begin(at(0), &config);
        assert!(lease.may_be_over(at(5000)) && !lease.may_be_over(at(99)));
        assert_eq!(lease.look(at(5000), &config, Some), Look::Lapsed);
        assert!(!lease.may_be_over(at(6000)), "told once");
        // Heard at 5001, when the sockets were read that were full for long.
        let unread = |from: Time| Some(from.max(at(5001)));
        assert_eq!(lease.look(at(5025), &config, unread), Look::Ask(at(5050)));
        assert_eq!(lease.look(at(5050), &config, unread), Look::Ask(at(5050)));
        let fresh = |from: Time| Some(from.max(at(5060)));
        assert_eq!(lease.look(at(5075), &config, fresh), Look::Restored);
        assert!(lease.may_be_over(at(5160)) && !lease.may_be_over(at(5159)), "since it was heard");
        assert_eq!(lease.look(at(5125), &config, |_| Some(at(5100))), Look::Same);
        assert_eq!(lease.look(at(5175), &config, |_| Some(at(5100))), Look::Ask(at(5100)));
        assert_eq!(lease.poll_timeout(), Some((at(5200), Wake::Peer)));
    }
    /// It was heard before it was suspended, and looks a minute later.
    #[test]
    fn late_look_restores_no_lease() {
        let config =
            GroupConfig { lease_ms: 100, primary_of: [ProcessId(1)].into(), ..<_>::default() };
        let mut lease = Lease::default();
        lease.begin(at(0), &config);
        assert_eq!(lease.look(at(100), &config, Some), Look::Lapsed);
        let heard = |from: Time| Some(from.max(at(160)));
        assert_eq!(lease.look(at(60_000), &config, heard), Look::Same);
        assert_eq!(lease.look(at(60_025), &config, heard), Look::Ask(at(60_050)));
    }
}
