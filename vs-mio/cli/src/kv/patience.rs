//! Says what is waited for while an answer takes long.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use vs_core::replica::ReplicaStatus;

use crate::failure::Failure;

/// An answer that takes longer than this is spoken of.
const SILENCE: Duration = Duration::from_secs(2);
/// How often it is looked whether one does.
const LOOK: Duration = Duration::from_millis(250);

/// Since when an answer is waited for.
pub(super) struct Patience(Arc<Mutex<Option<Instant>>>);

impl Patience {
    /// From now on `tell` hears what long answers wait for: each reason once.
    pub(super) fn new(
        status: impl Fn() -> ReplicaStatus + Send + 'static,
        mut tell: impl FnMut(String) + Send + 'static,
    ) -> Result<Self, Failure> {
        let since = Arc::<Mutex<Option<Instant>>>::default();
        let shared = Arc::clone(&since);
        let look = move || {
            let mut told = None;
            loop {
                std::thread::park_timeout(LOOK);
                let since = *shared.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(since) = since.filter(|since| since.elapsed() >= SILENCE) else {
                    continue;
                };
                let next = Some((since, status()));
                if told != next {
                    told = next;
                    tell(told.as_ref().map_or_else(String::new, |(_, status)| reason(status)));
                }
            }
        };
        let spawned = std::thread::Builder::new().name("patience".into()).spawn(look);
        spawned.map(|_| Self(since)).map_err(|e| Failure(format!("no thread to watch: {e}")))
    }

    /// Does what takes until there is an answer.
    pub(super) fn during<R>(&self, work: impl FnOnce() -> R) -> R {
        self.set(Some(Instant::now()));
        let result = work();
        self.set(None);
        result
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

fn reason(status: &ReplicaStatus) -> String {
    match status {
        ReplicaStatus::Serving => "no answer yet: a member of the view is silent".to_owned(),
        status => format!("no answer yet: {status}"),
    }
}
