//! Messages on their way from the application's threads to the one that carries the protocol.

use core::task::{Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Instant;

use super::ended::Ended;
use crate::group::SendError;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::waiters::{Place, Waiters};

/// Bytes before each message: its length.
pub(super) const LENGTH_BYTES: usize = 4;
/// Bytes of messages that lie in one piece of memory. A message that is longer has one of its own.
pub(super) const SEGMENT_BYTES: usize = 64 << 10;
/// What was written elsewhere and is not longer is copied behind what waits, so that no piece is
/// mostly empty.
const COPIED_BYTES_MAX: usize = SEGMENT_BYTES / 2;

/// Messages one behind the other, each behind its length.
pub(super) type Segment = Vec<u8>;

/// Why nothing more is taken.
#[derive(Clone, Debug)]
enum Closed {
    /// The process is an observer.
    Observer,
    Leaving,
    Ended(Ended),
}

#[derive(Debug, Default)]
struct State {
    segments: VecDeque<Segment>,
    /// Empty ones, to be used again.
    spare: Vec<Segment>,
    /// Bytes that wait or are reserved, lengths included.
    bytes: usize,
    /// Threads that wait for room.
    waiting: usize,
    /// Tasks that wait for room. All are woken when there is some: each wants another amount.
    tasks: Waiters,
    closed: Option<Closed>,
}

/// A queue with a bound, which one message alone may exceed.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    room: Condvar,
    bytes_max: usize,
    message_bytes_max: usize,
}

/// Whether the thread has to be told that something waits.
pub(super) type IsFirst = bool;

impl Outbox {
    pub(super) fn new(bytes_max: usize, message_bytes_max: usize) -> Self {
        Self { state: Mutex::default(), room: Condvar::new(), bytes_max, message_bytes_max }
    }

    /// Takes nothing from here on: the process is an observer.
    pub(super) fn refuse_all(&self) {
        self.close_as(Closed::Observer);
    }

    /// Takes a message; waits for room until the time, if there is one.
    pub(super) fn push(&self, payload: &[u8], until: Until) -> Result<IsFirst, SendError> {
        self.check_len(payload.len())?;
        let record = LENGTH_BYTES + payload.len();
        let mut state = self.acquire(record, until)?;
        let is_first = state.segments.is_empty();
        write(state.tail(record), payload);
        Ok(is_first)
    }

    /// Takes a message. If there is no room for it, the task of `waker` is woken when there may be.
    pub(super) fn poll_push(
        &self,
        payload: &[u8],
        place: &mut Place,
        waker: &Waker,
    ) -> Poll<Result<IsFirst, SendError>> {
        self.check_len(payload.len())?;
        let record = LENGTH_BYTES + payload.len();
        self.poll_for_room(record, place, waker).map_ok(|mut state| {
            state.bytes += record;
            let is_first = state.segments.is_empty();
            write(state.tail(record), payload);
            is_first
        })
    }

    /// Whether there is room for a message, if only for an empty one. If not, the task of `waker`
    /// is woken when there may be.
    pub(super) fn poll_room(
        &self,
        place: &mut Place,
        waker: &Waker,
    ) -> Poll<Result<(), SendError>> {
        self.poll_for_room(LENGTH_BYTES, place, waker).map_ok(drop)
    }

    fn poll_for_room(
        &self,
        record: usize,
        place: &mut Place,
        waker: &Waker,
    ) -> Poll<Result<MutexGuard<'_, State>, SendError>> {
        let mut state = self.lock();
        if let Some(closed) = &state.closed {
            return Poll::Ready(Err(closed.refusal()));
        }
        if state.has_room(record, self.bytes_max) {
            return Poll::Ready(Ok(state));
        }
        let replaced = state.tasks.wait(place, waker);
        drop(state);
        drop(replaced);
        Poll::Pending
    }

    /// The task of `place` does not wait any more.
    pub(super) fn leave(&self, place: &mut Place) {
        if place.is_taken() {
            // Nobody else is kept from being woken, since all are.
            let departed = self.lock().tasks.leave(place);
            drop(departed);
        }
    }

    /// Sets room for a message of `len` bytes aside. Returns where to write it: behind
    /// [`LENGTH_BYTES`], which [`Outbox::commit`] fills.
    pub(super) fn reserve(&self, len: usize, until: Until) -> Result<Segment, SendError> {
        self.check_len(len)?;
        let mut state = self.acquire(LENGTH_BYTES + len, until)?;
        let mut segment = state.empty(LENGTH_BYTES + len);
        drop(state);
        segment.resize(LENGTH_BYTES + len, 0);
        Ok(segment)
    }

    /// Takes a message for which `reserved` bytes were set aside.
    pub(super) fn commit(
        &self,
        mut segment: Segment,
        reserved: usize,
    ) -> Result<IsFirst, SendError> {
        let len = segment.len() - LENGTH_BYTES;
        segment[..LENGTH_BYTES].copy_from_slice(&(len as u32).to_le_bytes());
        let mut state = self.lock();
        state.bytes -= reserved;
        if let Some(closed) = &state.closed {
            return Err(closed.refusal());
        }
        state.bytes += segment.len();
        let is_first = self.put(&mut state, segment);
        self.tell_waiting(state);
        Ok(is_first)
    }

    /// Gives up what was set aside.
    pub(super) fn roll_back(&self, segment: Segment, reserved: usize) {
        let mut state = self.lock();
        state.bytes -= reserved;
        self.recycle(&mut state, segment);
        self.tell_waiting(state);
    }

    /// An empty piece of memory, to be handed to [`Outbox::push_segment`].
    pub(super) fn spare(&self) -> Segment {
        self.lock().empty(SEGMENT_BYTES)
    }

    /// Whether a message of `len` bytes may be sent at all.
    pub(super) fn check_len(&self, len: usize) -> Result<(), SendError> {
        let max = self.message_bytes_max;
        if len > max { Err(SendError::TooLarge { len, max }) } else { Ok(()) }
    }

    /// Takes the messages in `segment`, all or none.
    pub(super) fn push_segment(
        &self,
        segment: Segment,
        until: Until,
    ) -> Result<IsFirst, SendError> {
        let mut state = self.acquire(segment.len(), until)?;
        Ok(self.put(&mut state, segment))
    }

    /// Nothing more is taken from the application: the group is being left.
    pub(super) fn begin_leave(&self) {
        self.close_as(Closed::Leaving);
    }

    /// Whether the group is to be left.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.lock().closed, Some(Closed::Leaving))
    }

    /// Nothing more is taken, and nobody waits any longer.
    pub(super) fn close(&self, ended: Ended) {
        self.close_as(Closed::Ended(ended));
    }

    fn close_as(&self, closed: Closed) {
        let mut state = self.lock();
        if !matches!(state.closed, Some(Closed::Ended(_))) {
            state.closed = Some(closed);
        }
        self.tell_waiting(state);
    }

    /// Exchanges what waits for what was sent. Whether the group is to be left when that is sent.
    pub(super) fn exchange(&self, batch: &mut Batch) -> bool {
        let mut state = self.lock();
        for segment in batch.segments.drain(..) {
            self.recycle(&mut state, segment);
        }
        core::mem::swap(&mut state.segments, &mut batch.segments);
        (batch.index, batch.at) = (0, 0);
        state.bytes -= batch.segments.iter().map(Vec::len).sum::<usize>();
        let is_leaving = matches!(state.closed, Some(Closed::Leaving));
        self.tell_waiting(state);
        is_leaving
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whatever panicked, the state is complete at each step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for `record` bytes, and sets them aside.
    fn acquire(&self, record: usize, until: Until) -> Result<MutexGuard<'_, State>, SendError> {
        let mut state = self.lock();
        loop {
            if let Some(closed) = &state.closed {
                return Err(closed.refusal());
            }
            if state.has_room(record, self.bytes_max) {
                state.bytes += record;
                return Ok(state);
            }
            let Some(left) = until.left()? else { return Err(SendError::Full) };
            state.waiting += 1;
            let (woken, _) =
                self.room.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.waiting -= 1;
        }
    }

    /// Puts `segment` behind what waits. Its bytes are counted already.
    fn put(&self, state: &mut State, segment: Segment) -> IsFirst {
        let is_first = state.segments.is_empty();
        if segment.len() > COPIED_BYTES_MAX {
            state.segments.push_back(segment);
        } else {
            state.tail(segment.len()).extend_from_slice(&segment);
            self.recycle(state, segment);
        }
        is_first
    }

    /// Keeps the memory of `segment`, as much as there is use for.
    fn recycle(&self, state: &mut State, mut segment: Segment) {
        // What waits, what is being sent, and some that are being written.
        let spare_max = 2 * self.bytes_max.div_ceil(COPIED_BYTES_MAX) + 4;
        if segment.capacity() <= 2 * SEGMENT_BYTES && state.spare.len() < spare_max {
            segment.clear();
            state.spare.push(segment);
        }
    }

    fn tell_waiting(&self, mut state: MutexGuard<'_, State>) {
        let woken = state.tasks.take_all();
        if state.waiting > 0 {
            self.room.notify_all();
        }
        drop(state);
        woken.wake();
    }
}

impl State {
    fn has_room(&self, record: usize, bytes_max: usize) -> bool {
        self.bytes == 0 || self.bytes + record <= bytes_max
    }

    /// The piece of memory that `record` bytes are to be appended to.
    fn tail(&mut self, record: usize) -> &mut Segment {
        let fits = self.segments.back().is_some_and(|tail| tail.len() + record <= SEGMENT_BYTES);
        if !fits {
            let segment = self.empty(record);
            self.segments.push_back(segment);
        }
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    /// An empty piece of memory with room for `record` bytes.
    fn empty(&mut self, record: usize) -> Segment {
        let mut segment = self.spare.pop().unwrap_or_default();
        segment.reserve(record.max(SEGMENT_BYTES));
        segment
    }
}

impl Closed {
    fn refusal(&self) -> SendError {
        match self {
            Self::Observer => SendError::Observer,
            Self::Leaving => SendError::Left,
            Self::Ended(ended) => ended.into(),
        }
    }
}

/// How long to wait for room.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    /// Not at all.
    Now,
    Time(Instant),
}

/// As good as for ever.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

impl Until {
    pub(super) fn after(timeout: Duration) -> Self {
        Self::Time(Instant::now() + timeout.min(FOREVER))
    }

    fn left(self) -> Result<Option<Duration>, SendError> {
        let Self::Time(time) = self else { return Ok(None) };
        let left = time.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(SendError::TimedOut { waits_for: None }) } else { Ok(Some(left)) }
    }
}

/// Messages that the thread is handing to the node.
#[derive(Debug, Default)]
pub(super) struct Batch {
    segments: VecDeque<Segment>,
    /// The segment that is being read, and from where.
    index: usize,
    at: usize,
}

impl Batch {
    /// The next message.
    pub(super) fn front(&self) -> Option<&[u8]> {
        let (len, rest) = self.segments.get(self.index)?[self.at..].split_first_chunk()?;
        rest.get(..u32::from_le_bytes(*len) as usize)
    }

    /// Goes on to the one after it.
    pub(super) fn pop(&mut self) {
        let Some(len) = self.front().map(<[u8]>::len) else { return };
        self.at += LENGTH_BYTES + len;
        if self.at >= self.segments[self.index].len() {
            (self.index, self.at) = (self.index + 1, 0);
        }
    }

    /// Goes on to the end; how many there were.
    pub(super) fn skip_all(&mut self) -> usize {
        let mut count = 0;
        while self.front().is_some() {
            self.pop();
            count += 1;
        }
        count
    }
}

/// Appends a message to `segment`.
pub(super) fn write(segment: &mut Segment, payload: &[u8]) {
    // message_bytes_max bounds the length far below 2^32.
    segment.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    segment.extend_from_slice(payload);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::waiters::tests::counted;

    const MESSAGE_BYTES_MAX: usize = 200_000;

    fn all(outbox: &Outbox) -> Vec<Vec<u8>> {
        let (mut batch, mut messages) = (Batch::default(), Vec::new());
        outbox.exchange(&mut batch);
        while let Some(message) = batch.front() {
            messages.push(message.to_vec());
            batch.pop();
        }
        outbox.exchange(&mut batch);
        messages
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        let outbox = Outbox::new(1 << 20, MESSAGE_BYTES_MAX);
        let lengths = [0, 1, 0, 40_000, 7, 100_000, 0, 65_000, 30_000, 30_000, 0];
        let messages: Vec<_> =
            lengths.iter().enumerate().map(|(i, &len)| vec![i as u8; len]).collect();
        for round in 0..6 {
            for (i, message) in messages.iter().enumerate() {
                let is_first = if (i + round) % 3 == 0 {
                    let mut segment = outbox.reserve(message.len(), Until::Now).unwrap();
                    segment[LENGTH_BYTES..].copy_from_slice(message);
                    outbox.commit(segment, LENGTH_BYTES + message.len()).unwrap()
                } else if (i + round) % 3 == 1 {
                    let mut segment = outbox.spare();
                    write(&mut segment, message);
                    outbox.push_segment(segment, Until::Now).unwrap()
                } else {
                    outbox.push(message, Until::Now).unwrap()
                };
                assert_eq!(is_first, i == 0);
            }
            assert_eq!(all(&outbox), messages);
            assert_eq!(outbox.lock().bytes, 0);
        }
    }

    #[test]
    fn the_bound_holds_whatever_is_reserved() {
        let outbox = Outbox::new(100, MESSAGE_BYTES_MAX);
        let segment = outbox.reserve(60, Until::Now).unwrap();
        assert!(matches!(outbox.push(&[7; 40], Until::Now), Err(SendError::Full)));
        outbox.push(&[7; 32], Until::Now).unwrap();
        assert!(matches!(outbox.push(&[], Until::Now), Err(SendError::Full)));
        let refused = outbox.push(&[], Until::after(Duration::from_millis(1)));
        assert!(matches!(refused, Err(SendError::TimedOut { .. })));
        outbox.roll_back(segment, LENGTH_BYTES + 60);
        outbox.push(&[], Until::Now).unwrap();
        assert_eq!(all(&outbox), [&[7; 32][..], &[]]);
        // One message alone always finds room, up to the longest.
        outbox.push(&[1; MESSAGE_BYTES_MAX], Until::Now).unwrap();
        assert!(matches!(outbox.push(&[], Until::Now), Err(SendError::Full)));
        let refused = outbox.push(&[1; MESSAGE_BYTES_MAX + 1], Until::Now);
        assert!(matches!(refused, Err(SendError::TooLarge { max: MESSAGE_BYTES_MAX, .. })));
    }

    #[test]
    fn task_waits_for_room_and_is_woken() {
        let outbox = Outbox::new(20, MESSAGE_BYTES_MAX);
        let ((count, waker), mut place) = (counted(), Place::default());
        let mut push = |payload: &[u8]| outbox.poll_push(payload, &mut place, &waker);
        assert!(matches!(push(&[7; 10]), Poll::Ready(Ok(true))));
        assert!(push(&[8; 10]).is_pending());
        assert!(matches!(push(&[8; MESSAGE_BYTES_MAX + 1]), Poll::Ready(Err(_))));
        let ((other, waker), mut elsewhere) = (counted(), Place::default());
        let mut room = || outbox.poll_room(&mut elsewhere, &waker);
        assert!(matches!(room(), Poll::Ready(Ok(()))), "an empty message has room");
        outbox.push(&[], Until::Now).unwrap();
        assert!(room().is_pending());
        assert_eq!((count.get(), other.get()), (0, 0));
        assert_eq!(all(&outbox), [&[7; 10][..], &[]]);
        assert_eq!((count.get(), other.get()), (1, 1));
        assert!(matches!(push(&[8; 10]), Poll::Ready(Ok(true))));
        assert!(push(&[9; 10]).is_pending());
        outbox.begin_leave();
        assert_eq!(count.get(), 2);
        assert!(matches!(push(&[9; 10]), Poll::Ready(Err(SendError::Left))));
        assert!(matches!(room(), Poll::Ready(Err(SendError::Left))));
        assert_eq!(all(&outbox), [&[8; 10]]);
    }

    #[test]
    fn memory_is_used_again_and_does_not_grow() {
        let outbox = Outbox::new(1 << 20, MESSAGE_BYTES_MAX);
        let mut batch = Batch::default();
        for round in 0..100 {
            while outbox.push(&[round; 1000], Until::Now).is_ok() {}
            outbox.exchange(&mut batch);
            batch.skip_all();
        }
        outbox.exchange(&mut batch);
        let state = outbox.lock();
        let memory: usize = state.spare.iter().map(Vec::capacity).sum();
        assert!(memory <= 3 << 20, "{memory}");
    }

    #[test]
    fn who_waits_hears_of_the_end() {
        let outbox = Outbox::new(10, MESSAGE_BYTES_MAX);
        outbox.push(&[7; 6], Until::Now).unwrap();
        let segment = Segment::from([0; LENGTH_BYTES]);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| outbox.push(b"more", Until::after(FOREVER)));
            while outbox.lock().waiting == 0 {
                std::thread::yield_now();
            }
            outbox.begin_leave();
            assert!(matches!(waits.join().unwrap(), Err(SendError::Left)));
        });
        outbox.lock().bytes += LENGTH_BYTES;
        assert!(matches!(outbox.commit(segment, LENGTH_BYTES), Err(SendError::Left)));
        let mut batch = Batch::default();
        assert!(outbox.exchange(&mut batch), "what was taken before is still sent");
        assert_eq!(batch.skip_all(), 1);
        outbox.close(Ended::Detached(vs_core::DetachReason::DuplicateId));
        outbox.begin_leave();
        assert!(matches!(outbox.push(&[], Until::Now), Err(SendError::Detached(_))));
    }
}

/// As those of `bell.rs`.
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::waiters::loom_executor::block_on;

    fn push(outbox: &Outbox, payload: &[u8]) -> Result<IsFirst, SendError> {
        let mut place = Place::default();
        let pushed = block_on(|cx| outbox.poll_push(payload, &mut place, cx.waker()));
        outbox.leave(&mut place);
        pushed
    }

    #[test]
    fn task_hears_of_room() {
        loom::model(|| {
            let outbox = Arc::new(Outbox::new(10, 100));
            push(&outbox, &[1; 6]).unwrap();
            let thread = {
                let outbox = Arc::clone(&outbox);
                thread::spawn(move || _ = outbox.exchange(&mut Batch::default()))
            };
            push(&outbox, &[2; 6]).unwrap();
            thread.join().unwrap();
        });
    }

    /// Both fit in after one exchange, which is the only one.
    #[test]
    fn two_tasks_hear_of_room_for_both() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let outbox = Arc::new(Outbox::new(10, 100));
            push(&outbox, &[1; 6]).unwrap();
            let other = {
                let outbox = Arc::clone(&outbox);
                thread::spawn(move || _ = push(&outbox, &[2; 1]).unwrap())
            };
            let carries = {
                let outbox = Arc::clone(&outbox);
                thread::spawn(move || _ = outbox.exchange(&mut Batch::default()))
            };
            push(&outbox, &[3; 1]).unwrap();
            other.join().unwrap();
            carries.join().unwrap();
        });
    }
}
