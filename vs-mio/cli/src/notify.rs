//! What the service manager is told that started this process, if one did (`sd_notify`).

use sd_notify::NotifyState;

/// The process does what it was started for, and `status` says how. Told once it does, and again
/// when that changes.
pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The process reads its files again; [`reloaded`] follows.
pub(crate) fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now());
    tell(&states);
}

/// It has read them.
pub(crate) fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// The process ends.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Nobody asked, or nobody hears: that is no reason to end.
    let _ = sd_notify::notify(states);
}
