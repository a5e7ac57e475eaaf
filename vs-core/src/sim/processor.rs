//! The processor of a process: each datagram takes some of its time, and those that arrive
//! meanwhile wait in its sockets.

use alloc::collections::VecDeque;
use alloc::rc::Rc;

use crate::time::Time;

/// A datagram in a socket, and the host that it came from.
type Waiting = (usize, Rc<[u8]>);

/// What waits for the processor of a host, and until when that is busy.
#[derive(Debug, Default)]
pub(crate) struct Processor {
    busy_until: Time,
    /// The socket that hears multicasts, and that which is sent from.
    sockets: [VecDeque<Waiting>; 2],
    /// The socket that is read next.
    next: usize,
    /// Whether a turn is queued.
    has_turn: bool,
}

impl Processor {
    /// Whether nothing waits, and the processor is free at `now`.
    pub(crate) fn is_free(&self, now: Time) -> bool {
        self.busy_until <= now && self.sockets.iter().all(VecDeque::is_empty)
    }

    /// Until when the processor is busy.
    pub(crate) fn busy_until(&self) -> Time {
        self.busy_until
    }

    /// A datagram arrives at a socket that has room for `room`. False if it is lost.
    pub(crate) fn push(&mut self, is_multicast: bool, datagram: Waiting, room: usize) -> bool {
        let socket = &mut self.sockets[usize::from(!is_multicast)];
        let has_room = socket.len() < room;
        if has_room {
            socket.push_back(datagram);
        }
        has_room
    }

    /// When a turn is to be queued, if one is and none is queued.
    pub(crate) fn plan_turn(&mut self, now: Time) -> Option<Time> {
        let waits = self.sockets.iter().any(|socket| !socket.is_empty());
        let is_due = waits && !self.has_turn;
        self.has_turn |= is_due;
        is_due.then_some(self.busy_until.max(now))
    }

    /// Its turn: takes the next datagram, of one socket after the other, for `cost_us`.
    pub(crate) fn take(&mut self, now: Time, cost_us: u64) -> Option<Waiting> {
        self.has_turn = false;
        for _ in 0..self.sockets.len() {
            let socket = &mut self.sockets[self.next];
            self.next = (self.next + 1) % 2;
            if let Some(datagram) = socket.pop_front() {
                self.busy_until = now.plus_us(cost_us);
                return Some(datagram);
            }
        }
        None
    }
}
