//! What takes long: a state is written as a snapshot, or made from one.

use alloc::collections::VecDeque;

use super::owned::Owned;
use super::spool::Written;
use super::state::{Broken, Restore, State};
use crate::wire::replica::Standing;

/// What takes long, and may run on another thread: to write the state as a snapshot, or to make it
/// from one. Meanwhile what the group delivers is held ([`super::ReplicaConfig::hold_bytes`]).
#[derive(Debug)]
pub struct Job<S> {
    id: u64,
    task: Task<S>,
}

#[derive(Debug)]
enum Task<S> {
    Write(Owned<S>, Written),
    Read(Standing, Written, Option<Restore<S>>),
}

/// A job that has come to its end: see [`super::Replica::handle_job`].
#[derive(Debug)]
pub struct JobDone<S> {
    pub(super) id: u64,
    pub(super) result: JobResult<S>,
}

#[derive(Debug)]
pub(super) enum JobResult<S> {
    /// The state, and its snapshot if it could be written.
    Written(Owned<S>, Result<Written, Broken>),
    /// The state that a snapshot was read to.
    Read(Result<Owned<S>, Broken>),
}

impl<S: State> Job<S> {
    /// Runs it. Takes as long as [`State::snapshot`] or [`State::restore`].
    #[must_use]
    pub fn run(self) -> JobDone<S> {
        let result = match self.task {
            Task::Write(owned, out) => {
                let written = owned.snapshot(out);
                JobResult::Written(owned, written)
            }
            Task::Read(standing, mut written, restore) => {
                JobResult::Read(Owned::restore(standing, &mut written.reader(), restore.as_ref()))
            }
        };
        JobDone { id: self.id, result }
    }
}

/// Jobs that nobody has taken yet.
#[derive(Debug)]
pub(super) struct Jobs<S> {
    next: u64,
    due: VecDeque<Job<S>>,
    /// What makes a state from a snapshot; `None`: [`State::restore`].
    restore: Option<Restore<S>>,
    /// Whether a snapshot is being written, or read: one of each at a time.
    is_writing: bool,
    is_reading: bool,
}

impl<S> Jobs<S> {
    pub(super) fn new() -> Self {
        let due = VecDeque::new();
        Self { next: 1, due, restore: None, is_writing: false, is_reading: false }
    }

    /// Snapshots are read with `restore` from here on.
    pub(super) fn set_restore(&mut self, restore: Restore<S>) {
        self.restore = Some(restore);
    }

    /// The number of the job that is added next.
    pub(super) fn next_id(&self) -> u64 {
        self.next
    }

    pub(super) fn add_write(&mut self, owned: Owned<S>, out: Written) {
        self.is_writing = true;
        self.add(Task::Write(owned, out));
    }

    /// Answers its number.
    pub(super) fn add_read(&mut self, standing: Standing, written: Written) -> u64 {
        self.is_reading = true;
        self.add(Task::Read(standing, written, self.restore.clone()))
    }

    pub(super) fn is_writing(&self) -> bool {
        self.is_writing
    }

    pub(super) fn is_reading(&self) -> bool {
        self.is_reading
    }

    /// One has come to its end.
    pub(super) fn handle_end(&mut self, result: &JobResult<S>) {
        match result {
            JobResult::Written(..) => self.is_writing = false,
            JobResult::Read(_) => self.is_reading = false,
        }
    }

    fn add(&mut self, task: Task<S>) -> u64 {
        let id = self.next;
        self.next += 1;
        self.due.push_back(Job { id, task });
        id
    }

    pub(super) fn pop(&mut self) -> Option<Job<S>> {
        self.due.pop_front()
    }
}
