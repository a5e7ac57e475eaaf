//! Snapshots are written and read on threads of their own: the group goes on meanwhile.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use vs_core::replica::{Broken, Job, JobDone, State};

use super::front::Front;

/// Jobs of a replica on their threads: at most two at a time, one that writes and one that reads.
/// One that runs when the replica ends comes to its end for nobody.
pub(super) struct JobThreads<S: State> {
    front: Arc<Front<S>>,
    /// `None`: it panicked.
    send: mpsc::Sender<Option<JobDone<S>>>,
    done: mpsc::Receiver<Option<JobDone<S>>>,
}

/// Tells what became of a job, also when it panics.
struct Report<S: State> {
    front: Arc<Front<S>>,
    send: mpsc::Sender<Option<JobDone<S>>>,
    done: Option<JobDone<S>>,
}

impl<S: State> Drop for Report<S> {
    fn drop(&mut self) {
        // Nobody hears it once the replica has ended.
        let _ = self.send.send(self.done.take());
        self.front.bell.ring();
    }
}

impl<S: State + Send + 'static> JobThreads<S> {
    pub(super) fn new(front: Arc<Front<S>>) -> Self {
        let (send, done) = mpsc::channel();
        Self { front, send, done }
    }

    /// Runs a job on a thread of its own; the bell rings when it has ended.
    pub(super) fn run(&self, job: Job<S>) -> io::Result<()> {
        let (front, send) = (Arc::clone(&self.front), self.send.clone());
        let run = move || {
            let mut report = Report { front, send, done: None };
            report.done = Some(job.run());
        };
        thread::Builder::new().name("vs-snapshot".into()).spawn(run).map(drop)
    }

    /// The next one that has ended.
    pub(super) fn poll(&self) -> Result<Option<JobDone<S>>, Broken> {
        match self.done.try_recv() {
            Ok(Some(done)) => Ok(Some(done)),
            Ok(None) => Err(Broken::new("the state panicked in snapshot or restore")),
            Err(_) => Ok(None),
        }
    }
}
