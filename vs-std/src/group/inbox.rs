//! Events that wait for the application, and the memory of their payloads.

use core::mem::discriminant;
use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::event::Event;

/// Bytes of a piece of memory that payloads share.
const CHUNK_BYTES: usize = 64 << 10;
/// A longer payload has memory of its own: what is lost at the end of a chunk stays below this.
const SHARED_BYTES_MAX: usize = 16 << 10;
/// Chunks that are used again. While more payloads than these hold are kept, chunks are allocated.
const CHUNKS: usize = 4;

/// Memory for payloads: one allocation for many, and none while the application drops them as it
/// receives.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    chunks: [BytesMut; CHUNKS],
    /// The chunk that is written to.
    at: usize,
}

impl Chunks {
    /// A copy of `payload`.
    pub(crate) fn copy(&mut self, payload: &[u8]) -> Bytes {
        if payload.is_empty() {
            return Bytes::new();
        }
        if payload.len() > SHARED_BYTES_MAX {
            return Bytes::copy_from_slice(payload);
        }
        let chunk = &self.chunks[self.at];
        if chunk.capacity() - chunk.len() < payload.len() {
            self.next();
        }
        let chunk = &mut self.chunks[self.at];
        chunk.extend_from_slice(payload);
        chunk.split().freeze()
    }

    /// Goes on to the chunk that was filled longest ago; where payloads of it are still kept,
    /// another takes its place.
    fn next(&mut self) {
        self.at = (self.at + 1) % CHUNKS;
        let chunk = &mut self.chunks[self.at];
        if !chunk.try_reclaim(CHUNK_BYTES) {
            *chunk = BytesMut::with_capacity(CHUNK_BYTES);
        }
    }
}

/// A queue with a bound, which the last event in it may exceed.
#[derive(Debug)]
pub(crate) struct Inbox {
    events: VecDeque<Event>,
    bytes: usize,
    bytes_max: usize,
    /// Whether the oldest messages are thrown away when it is full.
    skips: bool,
    /// Messages that were thrown away since [`Inbox::take_skipped`].
    skipped: u64,
}

impl Inbox {
    pub(crate) fn new(bytes_max: usize, skips: bool) -> Self {
        Self { events: VecDeque::new(), bytes: 0, bytes_max, skips, skipped: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.skips || self.events.is_empty() || self.bytes < self.bytes_max
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that are free; at least one event has room if they are not 0.
    pub(crate) fn room(&self) -> usize {
        if self.events.is_empty() || self.skips {
            return self.bytes_max.max(1);
        }
        self.bytes_max.saturating_sub(self.bytes)
    }

    pub(crate) fn is_half_empty(&self) -> bool {
        self.bytes <= self.bytes_max / 2
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.bytes += event.bytes();
        self.events.push_back(event);
        if self.skips && self.bytes >= self.bytes_max {
            self.skip();
        }
    }

    /// Messages that were thrown away since this was asked last.
    pub(crate) fn take_skipped(&mut self) -> u64 {
        core::mem::take(&mut self.skipped)
    }

    /// Throws the oldest messages away until half is free. What else lies between them stays behind
    /// the gap: the last view, and the last event of each kind after it.
    fn skip(&mut self) {
        let (mut skipped, mut messages) = (0, 0);
        let mut kept: Vec<Event> = Vec::new();
        // What came last stays, however long it is.
        while self.bytes > self.bytes_max / 2
            && self.events.len() > 1
            && let Some(event) = self.pop()
        {
            match event {
                Event::Message { .. } | Event::Direct { .. } => skipped += 1,
                Event::Gap { messages: before } => messages += before,
                Event::Signal { .. } => {}
                Event::View { .. } => kept = vec![event],
                event => {
                    kept.retain(|other| discriminant(other) != discriminant(&event));
                    kept.push(event);
                }
            }
        }
        self.skipped += skipped;
        messages += skipped;
        let gap = (messages > 0).then_some(Event::Gap { messages });
        for event in kept.into_iter().rev().chain(gap) {
            self.bytes += event.bytes();
            self.events.push_front(event);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.bytes -= event.bytes();
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use vs_core::ident::ProcessId;

    use super::super::event::EVENT_BYTES;
    use super::*;

    #[test]
    fn a_full_inbox_has_room_after_a_pop() {
        let message = Event::Message {
            from: ProcessId(1),
            number: 1,
            payload: Bytes::from_static(&[7; 100]),
            stage: vs_core::order::Stage::Regular,
        };
        let mut inbox = Inbox::new(2 * (EVENT_BYTES + 100), false);
        for _ in 0..2 {
            assert!(inbox.has_room());
            inbox.push(message.clone());
        }
        assert!(!inbox.has_room());
        assert_eq!(inbox.pop(), Some(message));
        assert!(inbox.has_room());
        inbox.pop();
        assert_eq!((inbox.pop(), inbox.bytes), (None, 0));
        assert!(Inbox::new(0, false).has_room(), "one event always finds room");
    }

    fn message(number: u64) -> Event {
        let (from, stage) = (ProcessId(1), vs_core::order::Stage::Regular);
        Event::Message { from, number, payload: Bytes::from_static(&[7; 100]), stage }
    }

    fn view() -> Event {
        let view = vs_core::View::initial(ProcessId(1));
        Event::View { view, transitional: Vec::new(), quorum: false, clusters: None }
    }

    fn all(inbox: &mut Inbox) -> Vec<Event> {
        core::iter::from_fn(|| inbox.pop()).collect()
    }

    #[test]
    fn oldest_messages_are_skipped_and_counted() {
        let mut inbox = Inbox::new(10 * (EVENT_BYTES + 100), true);
        inbox.push(view());
        (1..=8).for_each(|number| inbox.push(message(number)));
        assert_eq!(inbox.take_skipped(), 0);
        let (first, last) = (9, 1000);
        (first..=last).for_each(|number| inbox.push(message(number)));
        assert!(inbox.has_room() && inbox.bytes < inbox.bytes_max);
        let skipped = inbox.take_skipped();
        let mut events = all(&mut inbox).into_iter();
        // One gap, however often something was skipped; then the view, then the newest messages.
        assert_eq!(events.next(), Some(Event::Gap { messages: skipped }));
        assert_eq!(events.next(), Some(view()));
        let rest: Vec<_> = events.collect();
        assert_eq!(rest, (skipped + 1..=last).map(message).collect::<Vec<_>>());
        assert_eq!(inbox.bytes, 0);
    }

    /// Fault to avoid: a message that alone fills the inbox was never received.
    #[test]
    fn newest_message_stays_whatever_its_length() {
        let mut inbox = Inbox::new(EVENT_BYTES, true);
        for number in 1..=3 {
            inbox.push(message(number));
        }
        assert_eq!(all(&mut inbox), [Event::Gap { messages: 2 }, message(3)]);
        inbox.push(message(4));
        assert_eq!(all(&mut inbox), [message(4)]);
    }

    #[test]
    fn events_without_messages_stay_bounded_when_nobody_reads() {
        let mut inbox = Inbox::new(10 * EVENT_BYTES, true);
        for _ in 0..1000 {
            inbox.push(view());
            inbox.push(Event::Lapsed);
            inbox.push(Event::Restored);
            inbox.push(Event::Signal { transitional: Vec::new() });
        }
        inbox.push(Event::Left { unsent: 0 });
        assert!(inbox.events.len() <= 10, "{}", inbox.events.len());
        let events = all(&mut inbox);
        assert!(events.contains(&view()));
        assert_eq!(events.last(), Some(&Event::Left { unsent: 0 }));
        assert!(!events.iter().any(|event| matches!(event, Event::Gap { .. })), "no message");
    }

    /// The chunk that a payload lies in.
    fn places(payloads: &[Bytes]) -> Vec<*const u8> {
        let mut places: Vec<_> = payloads.iter().map(|payload| payload.as_ptr()).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    #[test]
    fn memory_of_dropped_payloads_is_reused() {
        let mut chunks = Chunks::default();
        // Each fills a chunk with three others.
        let round = |chunks: &mut Chunks| -> Vec<Bytes> {
            (0..4 * CHUNKS).map(|i| chunks.copy(&[i as u8; SHARED_BYTES_MAX])).collect()
        };
        let first = round(&mut chunks);
        let memory = places(&first);
        assert_eq!(memory.len(), 4 * CHUNKS, "no two share a place");
        drop(first);
        let second = round(&mut chunks);
        assert_eq!(places(&second), memory);
        // Kept, they stay what they are, and the next ones go elsewhere.
        let third = round(&mut chunks);
        assert!(places(&third).iter().all(|place| !memory.contains(place)));
        for (i, payload) in second.iter().enumerate() {
            assert_eq!(payload[..], [i as u8; SHARED_BYTES_MAX]);
        }
    }

    #[test]
    fn empty_and_long_payloads_use_no_chunk() {
        let mut chunks = Chunks::default();
        assert_eq!(chunks.copy(&[]), Bytes::new());
        assert_eq!(chunks.copy(&[7; SHARED_BYTES_MAX + 1])[..], [7; SHARED_BYTES_MAX + 1]);
        assert!(chunks.chunks.iter().all(|chunk| chunk.capacity() == 0));
    }
}
