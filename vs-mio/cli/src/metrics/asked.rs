//! Questions to a process, from the thread that serves its metrics.

use std::sync::mpsc::{Receiver, SyncSender};

use vs_core::status::Status;

/// Asks for what a process sees: to be answered here.
pub(super) type Question = SyncSender<Vec<Status>>;

/// What the desk asks the process.
#[derive(Debug)]
pub(crate) struct Questions(Receiver<Question>);

impl Questions {
    pub(super) fn new(questions: Receiver<Question>) -> Self {
        Self(questions)
    }

    /// Answers what was asked.
    pub(crate) fn answer(&self, status: impl Fn() -> Vec<Status>) {
        while let Ok(question) = self.0.try_recv() {
            // Who does not wait any more does not want it.
            let _ = question.try_send(status());
        }
    }

    /// Answers until nobody can ask any more, or there is nothing more to tell.
    pub(crate) fn serve(&self, status: impl Fn() -> Option<Vec<Status>>) {
        while let Ok(question) = self.0.recv() {
            let Some(status) = status() else { return };
            let _ = question.try_send(status);
        }
    }
}
