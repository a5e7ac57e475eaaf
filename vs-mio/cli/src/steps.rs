//! Steps of end-points as lines of JSON, which `vs-core/proof/replay.py` holds against the proof.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use vs_core::View;
use vs_core::trace::{BlockState, Event, Observation, ObservedStep, ObservedSync};

use crate::failure::Failure;

/// The version of the format, in the first line.
const STEPS_VERSION: u64 = 1;

/// A file of steps, which several runs write to. What one of them writes stays in its order.
pub(crate) struct Steps {
    path: PathBuf,
    /// The first failure is kept; what follows it is dropped.
    out: Mutex<io::Result<BufWriter<File>>>,
}

impl Steps {
    /// Begins a file. One that is there is not written over.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let file = match File::options().write(true).create_new(true).open(path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists && !path.is_file() => {
                File::options().write(true).open(path)
            }
            other => other,
        };
        let out = file.map(BufWriter::new).map_err(|e| unwritable(path, &e))?;
        let steps = Self { path: path.to_owned(), out: Mutex::new(Ok(out)) };
        steps.write(&json!({ "steps": STEPS_VERSION }));
        Ok(steps)
    }

    /// A step of a process in `group` in a run.
    pub(crate) fn step(&self, run: u64, group: &str, step: &ObservedStep<'_>) {
        self.write(&json!({
            "run": run,
            "group": group,
            "process": step.process.0,
            "action": step.action.map(action),
            "state": step.after.map(state),
        }));
    }

    /// A run is over.
    pub(crate) fn end(&self, run: u64) {
        self.write(&json!({ "run": run, "end": true }));
    }

    fn write(&self, line: &Value) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(file) = &mut *out else { return };
        if let Err(e) = writeln!(file, "{line}") {
            *out = Err(e);
        }
    }

    /// All is written.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let out = self.out.into_inner().unwrap_or_else(PoisonError::into_inner);
        out.and_then(|mut out| out.flush()).map_err(|e| unwritable(&self.path, &e))
    }
}

fn unwritable(path: &Path, e: &io::Error) -> Failure {
    let hint = match e.kind() {
        ErrorKind::AlreadyExists => "; remove it, or name another file",
        _ => "",
    };
    Failure(format!("{}: the steps cannot be written: {e}{hint}", path.display()))
}

fn view(view: &View) -> Value {
    let id = view.id();
    json!({
        "id": [id.major, id.minor],
        "set": view.members().iter().map(|p| p.0).collect::<Vec<_>>(),
        "start": view.start_ids().iter().map(|cid| cid.0).collect::<Vec<_>>(),
        "fingerprint": view.fingerprint(),
    })
}

fn action(event: &Event) -> Value {
    match event {
        Event::Join { order, .. } => json!({ "is": "join", "order": order.to_string() }),
        Event::Start { .. } => json!({ "is": "start" }),
        Event::StartChange { cid, .. } => json!({ "is": "start_change", "cid": cid.0 }),
        Event::MbrView { view: v } => json!({ "is": "mbr_view", "view": view(v) }),
        Event::BlockOk => json!({ "is": "block_ok" }),
        Event::Deliver { from, .. } => json!({ "is": "deliver", "from": from.0 }),
        Event::Sync { cid, cut, .. } => {
            let cut: Vec<_> = cut.iter().map(|(_, seq)| *seq).collect();
            json!({ "is": "sync", "cid": cid.0, "cut": cut })
        }
        Event::View { view: v, transitional, .. } => {
            let transitional: Vec<_> = transitional.iter().map(|p| p.0).collect();
            json!({ "is": "view", "view": view(v), "transitional": transitional })
        }
        Event::Leave | Event::Crash | Event::BrokenOff => json!({ "is": "end" }),
        // Nothing of the model happens.
        _ => json!({ "is": "other" }),
    }
}

fn state(seen: &Observation) -> Value {
    json!({
        "cv": view(&seen.current),
        "mv": view(&seen.announced),
        "cid": seen.change.as_ref().map(|(cid, _)| cid.0),
        "blocked": seen.block == BlockState::Blocked,
        "syncs": seen.syncs.iter().filter_map(sync).collect::<Vec<_>>(),
        "arrived": seen.arrived,
        "received": seen.received,
        "touched": seen.touched,
        "delivered": seen.delivered,
        "freed": seen.freed,
        "open": seen.open,
    })
}

/// One of which parts are missing counts for nothing.
fn sync(sync: &ObservedSync) -> Option<Value> {
    let ObservedSync { from, cid, view, cut } = sync;
    Some(json!({
        "from": from.0,
        "cid": cid.0,
        "view": {
            "id": [view.id.major, view.id.minor],
            "start": view.start.0,
            "fingerprint": view.fingerprint,
        },
        "cut": cut.as_ref()?,
    }))
}
