//! Events on their way from the thread that carries the protocol to the application's threads.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use vs_core::View;

use super::ended::Ended;
use crate::group::{Event, Inbox, RecvError};
use crate::readiness::{Readiness, Ready};

#[derive(Debug)]
struct State {
    inbox: Inbox,
    /// Of the last view that was taken out.
    view: View,
    /// Threads that wait for an event.
    waiting: usize,
    /// The thread found no room, and has to be told when there is some.
    starved: bool,
    ended: Option<Ended>,
    /// What event loops wait for.
    ready: Ready,
}

/// An inbox that threads share.
#[derive(Debug)]
pub(super) struct Arrivals {
    state: Mutex<State>,
    came: Condvar,
}

/// Whether the thread has to be told that there is room.
pub(super) type IsRoom = bool;

impl Arrivals {
    pub(super) fn new(bytes_max: usize, skips: bool, view: View) -> Self {
        let inbox = Inbox::new(bytes_max, skips);
        let ready = Ready::default();
        let state = State { inbox, view, waiting: 0, starved: false, ended: None, ready };
        Self { state: Mutex::new(state), came: Condvar::new() }
    }

    /// Takes up to `limit` events, each for `take`; waits for the first one until `until` or,
    /// without it, as long as it takes. Returns how many there were.
    pub(super) fn take(
        &self,
        limit: usize,
        until: Option<Instant>,
        mut take: impl FnMut(Event),
    ) -> Result<(usize, IsRoom), RecvError> {
        let mut state = self.lock();
        loop {
            let mut count = 0;
            while count < limit
                && let Some(event) = state.inbox.pop()
            {
                if let Event::View { view, .. } = &event {
                    state.view.clone_from(view);
                }
                take(event);
                count += 1;
            }
            if count > 0 || limit == 0 {
                state.note_ready();
                return Ok((count, state.note_room()));
            }
            if let Some(ended) = &state.ended {
                return Err(ended.into());
            }
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => return Ok((0, false)),
                left => {
                    state.waiting += 1;
                    let mut state = match left {
                        None => self.came.wait(state).unwrap_or_else(PoisonError::into_inner),
                        Some(left) => {
                            let result = self.came.wait_timeout(state, left);
                            result.unwrap_or_else(PoisonError::into_inner).0
                        }
                    };
                    state.waiting -= 1;
                    state
                }
            };
        }
    }

    /// How many bytes of events may be pushed; 0: the thread is told when there is room.
    pub(super) fn room(&self) -> usize {
        let mut state = self.lock();
        let room = state.inbox.room();
        state.starved = room == 0;
        room
    }

    /// Whether nothing has arrived.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().inbox.is_empty()
    }

    /// Whether there is none.
    pub(super) fn is_full(&self) -> bool {
        self.lock().inbox.room() == 0
    }

    /// Bytes of events that wait.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.lock().inbox.bytes()
    }

    /// Moves all of `events` here. Returns how many messages were skipped for them.
    pub(super) fn push(&self, events: &mut Vec<Event>) -> u64 {
        let mut state = self.lock();
        let one = events.len() == 1;
        for event in events.drain(..) {
            state.inbox.push(event);
        }
        state.note_ready();
        let skipped = state.inbox.take_skipped();
        let waiting = state.waiting;
        drop(state);
        // To wake nobody is a system call, too.
        match waiting {
            0 => {}
            _ if one => self.came.notify_one(),
            _ => self.came.notify_all(),
        }
        skipped
    }

    /// Nothing more will come.
    pub(super) fn close(&self, ended: Ended) {
        let mut state = self.lock();
        state.ended.get_or_insert(ended);
        state.note_ready();
        drop(state);
        self.came.notify_all();
    }

    /// A descriptor that is readable while there is an event, and after the end.
    pub(super) fn readiness(&self) -> io::Result<Readiness> {
        let mut state = self.lock();
        let is_ready = state.is_ready();
        state.ready.get(is_ready)
    }

    /// How it ended, once it has.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.lock().ended.clone()
    }

    pub(super) fn view(&self) -> View {
        self.lock().view.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whatever panicked, the state is complete at each step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether somebody who asks for an event gets an answer at once.
    fn is_ready(&self) -> bool {
        !self.inbox.is_empty() || self.ended.is_some()
    }

    fn note_ready(&mut self) {
        self.ready.set(self.is_ready());
    }

    /// Whether the thread has to be told that there is room: not for each event that is taken, but
    /// for half an inbox.
    fn note_room(&mut self) -> IsRoom {
        if self.starved && self.inbox.is_half_empty() {
            self.starved = false;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use rustix::fd::{AsFd, AsRawFd};
    use vs_core::ident::ProcessId;

    use super::*;
    use crate::readiness::is_readable;

    fn left(unsent: usize) -> Event {
        Event::Left { unsent }
    }

    #[test]
    fn room_is_told_when_half_is_free() {
        let bytes = size_of::<Event>();
        let arrivals = Arrivals::new(4 * bytes, false, View::initial(ProcessId(1)));
        assert_eq!(arrivals.room(), 4 * bytes);
        arrivals.push(&mut (0..4).map(left).collect());
        assert_eq!(arrivals.room(), 0);
        let mut taken = Vec::new();
        assert_eq!(arrivals.take(1, None, |event| taken.push(event)).unwrap(), (1, false));
        assert_eq!(arrivals.take(1, None, |event| taken.push(event)).unwrap(), (1, true));
        assert_eq!(arrivals.take(9, None, |event| taken.push(event)).unwrap(), (2, false));
        assert_eq!(taken, (0..4).map(left).collect::<Vec<_>>());
    }

    #[test]
    fn descriptor_is_readable_while_something_is_there() {
        let arrivals = Arrivals::new(1000, false, View::initial(ProcessId(1)));
        arrivals.push(&mut vec![left(1)]);
        let readiness = arrivals.readiness().unwrap();
        let says = || is_readable(readiness.as_fd());
        assert!(says(), "the event was there before the descriptor");
        arrivals.push(&mut vec![left(2), left(3)]);
        arrivals.take(2, None, |_| ()).unwrap();
        assert!(says(), "one is still there");
        arrivals.take(9, None, |_| ()).unwrap();
        assert!(!says());
        assert_eq!(arrivals.readiness().unwrap().as_raw_fd(), readiness.as_raw_fd());
        arrivals.push(&mut vec![left(4)]);
        assert!(says());
        arrivals.close(Ended::Left { unsent: 1 });
        arrivals.take(9, None, |_| ()).unwrap();
        assert!(says(), "nobody would wait");
        assert!(arrivals.take(9, None, |_| ()).is_err() && says());
        drop(arrivals);
        assert!(says());
        let late = Arrivals::new(1000, false, View::initial(ProcessId(1)));
        late.close(Ended::Forked);
        assert!(is_readable(late.readiness().unwrap().as_fd()));
    }

    #[test]
    fn events_are_taken_before_the_end() {
        let arrivals = Arrivals::new(1000, false, View::initial(ProcessId(1)));
        let soon = Some(Instant::now() + Duration::from_millis(1));
        assert_eq!(arrivals.take(1, soon, |_| ()).unwrap(), (0, false));
        arrivals.push(&mut vec![left(1)]);
        arrivals.close(Ended::Left { unsent: 1 });
        assert_eq!(arrivals.take(9, None, |_| ()).unwrap().0, 1);
        for _ in 0..2 {
            assert!(matches!(arrivals.take(1, None, |_| ()), Err(RecvError::Left)));
        }
    }
}
