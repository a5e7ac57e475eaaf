//! Events on their way from the thread that carries the protocol to the application's threads.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use vs_core::View;

use super::ended::Ended;
use crate::group::{Event, Inbox, RecvError};

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
        let state = State { inbox, view, waiting: 0, starved: false, ended: None };
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
        self.lock().ended.get_or_insert(ended);
        self.came.notify_all();
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

    use vs_core::ident::ProcessId;

    use super::*;

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
