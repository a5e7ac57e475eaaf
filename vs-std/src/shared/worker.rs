//! The thread that carries the protocol of a [`super::SharedGroup`].

use core::ops::ControlFlow;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use vs_core::Time;

use super::ended::Ended;
use super::eviction::Eviction;
use super::exchange::Exchange;
use super::outbox::Batch;
use crate::group::{Chunks, End, Event, EventRef, FEED_BYTES, Member, UNREAD_NANOS};

/// Bytes of events that are handed over at a time: receivers begin while the thread goes on.
const HAND_OVER_BYTES: usize = 64 << 10;

/// How far leaving has come.
#[derive(Clone, Copy, Debug)]
enum Leave {
    NotAsked,
    /// What was sent before is handed to the node, until then at the latest.
    Until(Time),
    Asked,
}

#[derive(Debug)]
pub(super) struct Worker {
    member: Member,
    exchange: Arc<Exchange>,
    /// Messages that the node had no room for yet.
    batch: Batch,
    chunks: Chunks,
    heard: Vec<Event>,
    leave: Leave,
    leave_ms: u64,
    /// If the process leaves when its application reads too slowly.
    eviction: Option<Eviction>,
    /// Messages that were taken, and that the node will not see any more.
    unsent: usize,
}

impl Worker {
    pub(super) fn new(
        member: Member,
        exchange: Arc<Exchange>,
        eviction: Option<Eviction>,
        leave_ms: u64,
    ) -> Self {
        Self {
            member,
            exchange,
            batch: Batch::default(),
            chunks: Chunks::default(),
            heard: Vec::new(),
            leave: Leave::NotAsked,
            leave_ms,
            eviction,
            unsent: 0,
        }
    }

    /// Carries the protocol until membership or the last handle ends.
    pub(super) fn run(mut self) {
        // Threads that wait are told even if this one panics.
        let _told = Told(Arc::clone(&self.exchange));
        let ended = self.serve().unwrap_or_else(|error| Ended::Failed(Arc::new(error)));
        // The sockets are closed before anybody hears that it is over, and joins again.
        let exchange = Arc::clone(&self.exchange);
        drop(self);
        exchange.close(&ended);
    }

    fn serve(&mut self) -> io::Result<Ended> {
        loop {
            self.exchange.bell.answer();
            if self.exchange.is_abandoned() {
                // Nobody hears, and nobody sends any more: this ends where the window does.
                while self.feed() {}
                return Ok(Ended::Left { unsent: 0 });
            }
            self.exchange.answer_questions(&mut self.member);
            let went_on = self.feed() | self.hear();
            self.look_at_reader();
            match self.member.end() {
                None => {}
                Some(End::Left) => return Ok(self.left()),
                Some(End::Detached(reason)) => return Ok(Ended::Detached(reason.clone())),
                Some(End::JoinTimedOut(why)) => return Ok(Ended::JoinTimedOut(why.clone())),
                // The thread is not in a process that was forked.
                Some(End::Forked) => return Ok(Ended::Forked),
            }
            if went_on && self.member.driver().recent() - self.member.advanced() < UNREAD_NANOS {
                continue;
            }
            let limit = if went_on { Some(Duration::ZERO) } else { self.until_due() };
            self.member.wait(limit, Some(&self.exchange.bell))?;
            self.member.advance();
        }
    }

    /// Hands messages to the node, as many as go out at once; whether there were any.
    fn feed(&mut self) -> bool {
        let mut fed = false;
        while self.member.unflushed() < FEED_BYTES && self.next_batch() {
            let Some(payload) = self.batch.front() else { break };
            match self.member.send(payload) {
                Ok(_) => self.batch.pop(),
                // The node says more when it is heard.
                Err(_) => {
                    self.note_leave(self.exchange.outbox.is_leaving());
                    self.leave_if_late();
                    break;
                }
            }
            fed = true;
        }
        if fed {
            self.member.flush();
        }
        fed
    }

    /// Whether there is a message to be sent. When there is none and the group is to be left, it
    /// is.
    fn next_batch(&mut self) -> bool {
        if self.batch.front().is_some() {
            return true;
        }
        let leaving = self.exchange.outbox.exchange(&mut self.batch);
        self.note_leave(leaving);
        if self.batch.front().is_some() {
            return true;
        }
        self.ask_to_leave();
        false
    }

    fn note_leave(&mut self, leaving: bool) {
        if let (true, Leave::NotAsked) = (leaving, self.leave) {
            self.leave = Leave::Until(self.member.driver().now().plus_ms(self.leave_ms));
        }
    }

    /// Gives up what the node had no room for in time.
    fn leave_if_late(&mut self) {
        let Leave::Until(time) = self.leave else { return };
        if self.member.driver().recent() >= time {
            self.unsent = self.batch.skip_all();
            self.exchange.outbox.exchange(&mut self.batch);
            self.unsent += self.batch.skip_all();
            self.ask_to_leave();
        }
    }

    fn ask_to_leave(&mut self) {
        if let Leave::Until(_) = self.leave {
            self.leave = Leave::Asked;
            self.member.leave();
            self.member.flush();
        }
    }

    fn until_due(&self) -> Option<Duration> {
        let now = self.member.driver().now();
        let leave = match self.leave {
            Leave::Until(time) => Some(Duration::from_nanos(time - now)),
            Leave::NotAsked | Leave::Asked => None,
        };
        let evict = self.eviction.as_ref().and_then(|eviction| eviction.left(now));
        leave.into_iter().chain(evict).min()
    }

    /// Begins to leave if the application reads too slowly.
    fn look_at_reader(&mut self) {
        let Some(eviction) = &mut self.eviction else { return };
        let waiting = self.exchange.arrivals.least_waiting_bytes();
        if eviction.is_due(waiting, self.member.driver().recent()) {
            // What was sent goes out first.
            self.exchange.outbox.begin_leave();
            self.exchange.bell.ring();
        }
    }

    /// The group was left, as asked for or since the application reads too slowly.
    fn left(&mut self) -> Ended {
        let evicted = self.eviction.as_ref().and_then(Eviction::outcome);
        let Some((reason, messages)) = evicted else { return Ended::Left { unsent: self.unsent } };
        self.member.trace_gap(messages);
        let gap = (messages > 0).then_some(Event::Gap { messages });
        self.heard.extend(gap);
        self.heard.push(Event::Detached { reason: reason.clone() });
        self.exchange.arrivals.push(&mut self.heard);
        Ended::Detached(reason)
    }

    /// Takes what nobody will receive.
    fn hear_in_vain(&mut self) -> bool {
        let Self { member, eviction, unsent, .. } = self;
        let (count, _) = member.hear(|event| {
            match event {
                EventRef::Message { .. } | EventRef::Direct { .. } => {
                    eviction.iter_mut().for_each(Eviction::skip);
                }
                EventRef::Left { unsent: waiting } => *unsent += waiting,
                _ => {}
            }
            ControlFlow::Continue(())
        });
        member.flush();
        count > 0
    }

    /// Hands over events, as many as there is room for; whether there were any.
    fn hear(&mut self) -> bool {
        if self.eviction.as_ref().is_some_and(Eviction::has_begun) {
            return self.hear_in_vain();
        }
        let room = self.exchange.arrivals.room().min(HAND_OVER_BYTES);
        if room == 0 {
            return false;
        }
        let Self { member, chunks, heard, unsent, exchange, .. } = self;
        let mut bytes = 0;
        let _ = member.hear(|event| {
            let event = match event {
                EventRef::Left { unsent: waiting } => {
                    *unsent += waiting;
                    Event::Left { unsent: *unsent }
                }
                event => event.keep(|payload| chunks.copy(payload)),
            };
            bytes += event.bytes();
            heard.push(event);
            if bytes < room { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if heard.is_empty() {
            return false;
        }
        let skipped = exchange.arrivals.push(heard);
        member.trace_gap(skipped);
        // What was heard is acknowledged, and an installed view has something to send.
        member.flush();
        true
    }
}

/// Tells all threads that wait, if a panic ends this one.
struct Told(Arc<Exchange>);

impl Drop for Told {
    fn drop(&mut self) {
        let error = io::Error::other("the thread of the group panicked");
        self.0.close(&Ended::Failed(Arc::new(error)));
    }
}
