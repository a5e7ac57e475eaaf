//! Events on their way from the thread that carries the protocol to the application's threads.

use core::task::{Poll, Waker};
use std::io;
use std::sync::PoisonError;
use std::time::Instant;

use vs_core::View;

use super::ended::Ended;
use crate::group::{Event, Inbox, RecvError};
use crate::readiness::{Readiness, Ready};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::waiters::{Place, Waiters};

#[derive(Debug)]
struct State {
    inbox: Inbox,
    /// Of the last view that was taken out.
    view: View,
    /// Threads that wait for an event.
    waiting: usize,
    /// Tasks that wait for an event. One is woken for each: while any wait, at least as many were
    /// woken and have not looked since as there are events.
    tasks: Waiters,
    /// The fewest bytes that have waited since the thread looked last.
    least: usize,
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
        let (tasks, ready) = (Waiters::default(), Ready::default());
        let state =
            State { inbox, view, waiting: 0, tasks, least: 0, starved: false, ended: None, ready };
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
                && let Some(event) = state.pop()
            {
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

    /// Takes the next event. If there is none, the task of `waker` is woken once there is, and
    /// keeps its `place` among those that wait until then.
    pub(super) fn poll_take(
        &self,
        place: &mut Place,
        waker: &Waker,
    ) -> Poll<Result<(Event, IsRoom), RecvError>> {
        let mut state = self.lock();
        if let Some(event) = state.pop() {
            state.note_ready();
            let is_room = state.note_room();
            // It was woken for this one, or somebody else was, who will find nothing.
            let departed = state.tasks.leave(place);
            drop(state);
            drop(departed);
            return Poll::Ready(Ok((event, is_room)));
        }
        if let Some(ended) = &state.ended {
            return Poll::Ready(Err(ended.into()));
        }
        let replaced = state.tasks.wait(place, waker);
        drop(state);
        drop(replaced);
        Poll::Pending
    }

    /// The task of `place` does not wait any more. An event for which it was woken goes to another.
    pub(super) fn leave(&self, place: &mut Place) {
        if !place.is_taken() {
            return;
        }
        let mut state = self.lock();
        let departed = state.tasks.leave(place);
        let passes_on = departed.was_woken && !state.inbox.is_empty();
        let woken = state.tasks.take(usize::from(passes_on));
        drop(state);
        drop(departed);
        woken.wake();
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

    /// The fewest bytes of events that have waited since this was asked last: a reader that keeps
    /// up empties the inbox again and again, whatever has just come.
    pub(super) fn least_waiting_bytes(&self) -> usize {
        let mut state = self.lock();
        let now = state.inbox.bytes();
        core::mem::replace(&mut state.least, now).min(now)
    }

    /// Moves all of `events` here. Returns how many messages were skipped for them.
    pub(super) fn push(&self, events: &mut Vec<Event>) -> u64 {
        let mut state = self.lock();
        let count = events.len();
        for event in events.drain(..) {
            state.inbox.push(event);
        }
        state.note_ready();
        let skipped = state.inbox.take_skipped();
        let waiting = state.waiting;
        let woken = state.tasks.take(count);
        drop(state);
        woken.wake();
        // To wake nobody is a system call, too.
        match waiting {
            0 => {}
            _ if count == 1 => self.came.notify_one(),
            _ => self.came.notify_all(),
        }
        skipped
    }

    /// Nothing more will come.
    pub(super) fn close(&self, ended: Ended) {
        let mut state = self.lock();
        state.ended.get_or_insert(ended);
        state.note_ready();
        let woken = state.tasks.take_all();
        drop(state);
        self.came.notify_all();
        woken.wake();
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
    fn pop(&mut self) -> Option<Event> {
        let event = self.inbox.pop()?;
        self.least = self.least.min(self.inbox.bytes());
        if let Event::View { view, .. } = &event {
            self.view.clone_from(view);
        }
        Some(event)
    }

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

#[cfg(all(test, not(loom)))]
mod tests {
    use core::time::Duration;
    use std::sync::Arc;

    use rustix::fd::{AsFd, AsRawFd};
    use vs_core::ident::ProcessId;

    use super::*;
    use crate::readiness::is_readable;
    use crate::waiters::tests::{Count, counted};

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
        let arrivals = arrivals();
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
        let late = self::arrivals();
        late.close(Ended::Forked);
        assert!(is_readable(late.readiness().unwrap().as_fd()));
    }

    fn arrivals() -> Arrivals {
        Arrivals::new(1000, false, View::initial(ProcessId(1)))
    }

    /// Tasks, each with its place, that wait.
    fn waiting<const N: usize>(arrivals: &Arrivals) -> [(Arc<Count>, Place); N] {
        [(); N].map(|()| {
            let (count, waker) = counted();
            let mut place = Place::default();
            assert!(arrivals.poll_take(&mut place, &waker).is_pending());
            (count, place)
        })
    }

    #[test]
    fn each_event_wakes_one_task_and_the_end_all() {
        let arrivals = arrivals();
        let tasks = waiting::<4>(&arrivals);
        let woken = || [0, 1, 2, 3].map(|at: usize| tasks[at].0.get());
        arrivals.push(&mut vec![left(1)]);
        assert_eq!(woken(), [1, 0, 0, 0]);
        arrivals.push(&mut vec![left(2), left(3)]);
        assert_eq!(woken(), [1, 1, 1, 0]);
        arrivals.close(Ended::Left { unsent: 1 });
        assert_eq!(woken(), [1, 1, 1, 1]);
    }

    #[test]
    fn cancelled_task_hands_its_wake_up_on() {
        let arrivals = arrivals();
        let mut tasks = waiting::<3>(&arrivals);
        arrivals.push(&mut vec![left(1)]);
        arrivals.leave(&mut tasks[1].1);
        assert_eq!(tasks[2].0.get(), 0, "the one that left was not woken");
        arrivals.leave(&mut tasks[0].1);
        assert_eq!([0, 1, 2].map(|at: usize| tasks[at].0.get()), [1, 0, 1]);
        let (_, waker) = counted();
        assert!(arrivals.poll_take(&mut tasks[2].1, &waker).is_ready());
        // There is nothing to hand on.
        let mut more = waiting::<2>(&arrivals);
        arrivals.push(&mut vec![left(2)]);
        arrivals.take(1, None, |_| ()).unwrap();
        arrivals.leave(&mut more[0].1);
        assert_eq!(more[1].0.get(), 0);
    }

    /// Its place among those who wait took the wake-up of the next event, which nobody heard of.
    #[test]
    fn task_that_took_an_event_is_not_woken_for_the_next() {
        let arrivals = arrivals();
        let mut tasks = waiting::<3>(&arrivals);
        arrivals.push(&mut vec![left(1)]);
        // The second one looks before the first, which was woken.
        let (_, waker) = counted();
        assert!(arrivals.poll_take(&mut tasks[1].1, &waker).is_ready());
        arrivals.push(&mut vec![left(2)]);
        assert_eq!([0, 1, 2].map(|at: usize| tasks[at].0.get()), [1, 0, 1]);
    }

    #[test]
    fn task_that_takes_makes_room() {
        let bytes = size_of::<Event>();
        let arrivals = Arrivals::new(2 * bytes, false, View::initial(ProcessId(1)));
        arrivals.push(&mut vec![left(1), left(2)]);
        assert_eq!(arrivals.room(), 0);
        let ((_, waker), mut place) = (counted(), Place::default());
        let Poll::Ready(Ok(taken)) = arrivals.poll_take(&mut place, &waker) else { panic!() };
        assert_eq!(taken, (left(1), true));
    }

    /// Fault to avoid: what was looked at had just come, so that a reader who empties its inbox all
    /// the time was taken for one who never does.
    #[test]
    fn reader_that_keeps_up_has_nothing_waiting() {
        let bytes = size_of::<Event>();
        let arrivals = Arrivals::new(10 * bytes, false, View::initial(ProcessId(1)));
        assert_eq!(arrivals.least_waiting_bytes(), 0);
        for _ in 0..3 {
            arrivals.push(&mut (0..4).map(left).collect());
            assert_eq!(arrivals.least_waiting_bytes(), 0, "they have just come");
            arrivals.take(9, None, |_| ()).unwrap();
        }
        arrivals.push(&mut (0..4).map(left).collect());
        arrivals.least_waiting_bytes();
        arrivals.take(1, None, |_| ()).unwrap();
        arrivals.push(&mut (0..4).map(left).collect());
        assert_eq!(arrivals.least_waiting_bytes(), 3 * bytes, "never fewer");
        assert_eq!(arrivals.least_waiting_bytes(), 7 * bytes);
    }

    #[test]
    fn events_are_taken_before_the_end() {
        let arrivals = arrivals();
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

/// As those of `bell.rs`.
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;
    use rustix::fd::AsFd;
    use vs_core::ident::ProcessId;

    use super::*;
    use crate::readiness::is_readable;
    use crate::waiters::loom_executor::block_on;

    /// Preemptions in one order, where three threads take part.
    const PREEMPTIONS_MAX: usize = 2;

    fn check(threads: usize, model: impl Fn(Arc<Arrivals>) + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = (threads > 2).then_some(PREEMPTIONS_MAX);
        builder.check(move || {
            model(Arc::new(Arrivals::new(1000, false, View::initial(ProcessId(1)))))
        });
    }

    fn event(unsent: usize) -> Event {
        Event::Left { unsent }
    }

    fn spawn(
        arrivals: &Arc<Arrivals>,
        act: impl FnOnce(&Arrivals) + Send + 'static,
    ) -> thread::JoinHandle<()> {
        let arrivals = Arc::clone(arrivals);
        thread::spawn(move || act(&arrivals))
    }

    fn take_one(arrivals: &Arrivals) -> bool {
        let mut place = Place::default();
        block_on(|cx| arrivals.poll_take(&mut place, cx.waker())).is_ok()
    }

    #[test]
    fn task_hears_of_each_event_and_of_the_end() {
        check(2, |arrivals| {
            let pushes = spawn(&arrivals, |arrivals| {
                arrivals.push(&mut vec![event(1)]);
                arrivals.close(Ended::Left { unsent: 0 });
            });
            assert!(take_one(&arrivals));
            assert!(!take_one(&arrivals));
            pushes.join().unwrap();
        });
    }

    #[test]
    fn two_tasks_each_get_one_of_two_events() {
        check(3, |arrivals| {
            let other = spawn(&arrivals, |arrivals| assert!(take_one(arrivals)));
            let pushes = spawn(&arrivals, |arrivals| {
                arrivals.push(&mut vec![event(1)]);
                arrivals.push(&mut vec![event(2)]);
            });
            assert!(take_one(&arrivals));
            other.join().unwrap();
            pushes.join().unwrap();
        });
    }

    /// The classic fault: who is cancelled keeps a wake-up to itself.
    #[test]
    fn cancelled_task_keeps_no_wake_up() {
        check(3, |arrivals| {
            let mut place = Place::default();
            let polled = arrivals.poll_take(&mut place, Waker::noop());
            assert!(polled.is_pending());
            let pushes = spawn(&arrivals, |arrivals| _ = arrivals.push(&mut vec![event(1)]));
            let cancels = spawn(&arrivals, move |arrivals| arrivals.leave(&mut place));
            assert!(take_one(&arrivals));
            pushes.join().unwrap();
            cancels.join().unwrap();
        });
    }

    #[test]
    fn task_and_blocking_thread_each_get_one_of_two_events() {
        check(3, |arrivals| {
            let blocking = spawn(&arrivals, |arrivals| {
                assert_eq!(arrivals.take(1, None, drop).unwrap().0, 1);
            });
            let pushes = spawn(&arrivals, |arrivals| {
                arrivals.push(&mut vec![event(1)]);
                arrivals.push(&mut vec![event(2)]);
            });
            assert!(take_one(&arrivals));
            blocking.join().unwrap();
            pushes.join().unwrap();
        });
    }

    /// The descriptor says in the end what is so, whoever came last.
    #[test]
    fn descriptor_agrees_with_the_inbox() {
        check(3, |arrivals| {
            let readiness = arrivals.readiness().unwrap();
            let takes = spawn(&arrivals, |arrivals| {
                arrivals.take(1, Some(Instant::now()), drop).unwrap();
            });
            let pushes = spawn(&arrivals, |arrivals| _ = arrivals.push(&mut vec![event(1)]));
            takes.join().unwrap();
            pushes.join().unwrap();
            assert_eq!(is_readable(readiness.as_fd()), !arrivals.is_empty());
        });
    }
}
