//! Files that are read again while a command runs: keys, and options.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use signal_hook::consts::SIGHUP;
use vs_core::seal::Keys;
use vs_std::keys::KeysError;

use crate::config::{self, Changes};
use crate::failure::Failure;
use crate::keys::Sealing;
use crate::log;
use crate::notify;
use crate::signals::{self, Terminal};

/// What reads files again when SIGHUP arrives. Where none was named, SIGHUP ends the process.
#[derive(Clone, Debug)]
pub(crate) struct Renewal {
    /// Where the keys are, if they are in a file.
    sealing: Option<Sealing>,
    terminal: Terminal,
}

impl Renewal {
    pub(crate) fn of(sealing: &Sealing) -> Self {
        let sealing = sealing.has_file().then(|| sealing.clone());
        Self { sealing, terminal: Terminal::now() }
    }

    /// The signals to listen to.
    pub(crate) fn signals(&self) -> Vec<i32> {
        let mut all = signals::ending();
        if self.can_renew() && !all.contains(&SIGHUP) {
            all.push(SIGHUP);
        }
        all
    }

    /// Whether `signal` asks for files to be read again, and not for an end.
    pub(crate) fn is_meant_by(&self, signal: i32) -> bool {
        signal == SIGHUP && self.can_renew() && !self.terminal.has_ended()
    }

    /// Whether there is a file that can be read again.
    fn can_renew(&self) -> bool {
        self.sealing.is_some() || config::is_there()
    }

    /// Reads the file with options and the keys again, hands the keys to `set`, and says what holds
    /// now.
    pub(crate) fn renew(&self, set: impl FnOnce(Keys) -> Result<(), KeysError>) {
        notify::reloading();
        self.read_again(set);
        notify::reloaded();
    }

    fn read_again(&self, set: impl FnOnce(Keys) -> Result<(), KeysError>) {
        let changes = match config::read_again().and_then(changed) {
            Ok(changes) => changes,
            Err(Failure(why)) => {
                tracing::warn!("the options stay as they were: {why}");
                return;
            }
        };
        let Some(sealing) = &self.sealing else { return };
        let sealing = match changes.key_file {
            Some(key_file) => &sealing.with_file(key_file),
            None => sealing,
        };
        let renewed = sealing.read_again().and_then(|keys| {
            let held = held(&keys);
            set(keys).map(|()| held).map_err(|e| Failure(e.to_string()))
        });
        match renewed {
            Ok(held) => tracing::info!("the keys were read again: {held}"),
            Err(Failure(why)) => tracing::warn!("the keys stay as they were: {why}"),
        }
    }

    /// The same for a command that looks at flags.
    pub(crate) fn watch(self) -> Result<Flags, Failure> {
        let flags = Flags { renewal: self, ends: Arc::default(), hangs_up: Arc::default() };
        for signal in flags.renewal.signals() {
            let is_renewed = signal == SIGHUP && flags.renewal.can_renew();
            let flag = if is_renewed { &flags.hangs_up } else { &flags.ends };
            signal_hook::flag::register(signal, Arc::clone(flag))
                .map_err(|e| Failure(format!("signals cannot be watched: {e}")))?;
        }
        Ok(flags)
    }
}

/// What signals have asked for.
#[derive(Debug)]
pub(crate) struct Flags {
    renewal: Renewal,
    ends: Arc<AtomicBool>,
    hangs_up: Arc<AtomicBool>,
}

impl Flags {
    /// Whether the process is to end. If its files are to be read again, that is done; `set` takes
    /// the keys.
    pub(crate) fn look(&self, set: impl FnOnce(Keys) -> Result<(), KeysError>) -> bool {
        if self.hangs_up.swap(false, Ordering::Relaxed) {
            if !self.renewal.is_meant_by(SIGHUP) {
                return true;
            }
            self.renewal.renew(set);
        }
        self.ends.load(Ordering::Relaxed)
    }
}

/// Applies what can change while the process runs, and names the rest.
fn changed(changes: Changes) -> Result<Changes, Failure> {
    if let Some(levels) = &changes.log_level {
        log::set_levels(levels)?;
    }
    match (config::is_there(), changes.later.is_empty()) {
        (false, _) => {}
        (true, true) => tracing::info!("the options were read again"),
        (true, false) => tracing::warn!(
            "the options were read again; changed and not used before a restart: {}",
            changes.later.join(", ")
        ),
    }
    Ok(changes)
}

/// What holds now: which key seals, and which ones open besides.
fn held(keys: &Keys) -> String {
    let ring = keys.ring();
    let first = ring.first();
    let others: Vec<_> = ring.iter().skip(1).map(|key| key.id().to_string()).collect();
    let others = match others.len() {
        0 => "nothing else opens".into(),
        1 => format!("{} opens, too", others[0]),
        _ => format!("{} open, too", others.join(", ")),
    };
    format!("{} ({}) seals, {others}", first.id(), first.suite())
}
