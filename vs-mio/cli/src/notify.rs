//! What the service manager is told that started this process, if one did (`sd_notify`).

use core::sync::atomic::{AtomicBool, Ordering};

use sd_notify::NotifyState;

/// Whether it was told that the process is ready.
static IS_READY: AtomicBool = AtomicBool::new(false);

/// The process does what it was started for, and `status` says how. Told once it does, and again
/// when that changes.
pub(crate) fn ready(status: &str) {
    IS_READY.store(true, Ordering::Relaxed);
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The process reads its files again; [`reloaded`] follows.
pub(crate) fn reloading() {
    if !IS_READY.load(Ordering::Relaxed) {
        return;
    }
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now());
    tell(&states);
}

/// It has read them.
pub(crate) fn reloaded() {
    if IS_READY.load(Ordering::Relaxed) {
        tell(&[NotifyState::Ready]);
    }
}

/// The process ends.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Nobody asked, or nobody hears: that is no reason to end.
    let _ = sd_notify::notify(states);
}
