//! The own stream: messages are packed into packets, large ones cut into fragments, nothing beyond what is granted.

use alloc::vec;
use alloc::vec::Vec;

use super::Cast;
use super::window::Window;
use crate::ident::{Rank, Seq};
use crate::pool::{Pool, Slot};
use crate::time::Time;
use crate::wire::body::{LENGTH_BYTES, packets_for};
use crate::wire::packet::{FLAG_FIRST, FLAG_FRAGMENT, FLAG_LAST};

/// A message was not accepted: the window, a member's credit or the pool is full. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The packet that messages are being written into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) slot: Slot,
    pub(super) len: usize,
}

#[derive(Debug)]
pub(super) struct Sender {
    pub(super) open: Option<Open>,
    /// The last packet whose bytes never change again.
    pub(super) sealed: Seq,
    /// The last packet that was transmitted.
    pub(super) transmitted: Seq,
    /// Messages accepted.
    messages: u64,
    /// What each member has room for; of the own rank: no bound, the own ring is.
    pub(super) credit: Vec<Seq>,
    pub(super) credit_min: Seq,
    /// The last packet that a refused message would have needed; nobody owes room for it once the window reaches that
    /// far.
    pub(super) refused: Option<Seq>,
    pub(super) window: Window,
}

impl Sender {
    pub(super) fn new(ranks: usize, me: Rank, window: usize, ack_packets: u64) -> Self {
        // All rings are empty at the start of a view and of the same size.
        let mut credit = vec![window as u64; ranks];
        credit[usize::from(me)] = Seq::MAX;
        Self {
            open: None,
            sealed: 0,
            transmitted: 0,
            messages: 0,
            credit_min: credit.iter().copied().min().unwrap_or(Seq::MAX),
            credit,
            refused: None,
            window: Window::new(ranks, window as u64, ack_packets),
        }
    }

    pub(super) fn messages(&self) -> u64 {
        self.messages
    }
}

impl Cast {
    /// The last sealed packet.
    #[cfg(test)]
    pub(crate) fn sealed(&self) -> Seq {
        self.sender.sealed
    }

    /// The last packet that may be made now.
    pub(super) fn send_limit(&self) -> Seq {
        self.sender.credit_min.min(self.streams[usize::from(self.me)].ring.end())
    }

    /// Whether a message of `len` bytes fits the credit of every member and the own ring, all its packets, and begins
    /// within the window.
    pub(crate) fn can_accept(&self, len: usize) -> bool {
        !self.frozen
            && len <= self.settings.message_bytes_max
            && self.last_packet_of(len) <= self.send_limit()
            && self.sender.sealed < self.soft_limit()
    }

    /// The number of the last packet that a message of `len` bytes would be in.
    pub(super) fn last_packet_of(&self, len: usize) -> Seq {
        let body = self.settings.body_bytes;
        let opened = self.sender.sealed + u64::from(self.sender.open.is_some());
        match self.sender.open {
            Some(open) if len + LENGTH_BYTES <= body - open.len => opened,
            _ => opened + packets_for(len, body) as u64,
        }
    }

    /// Accepts a message and gives it its number, from 1. The caller has checked `message_bytes_max`.
    ///
    /// A refusal is remembered: a member that keeps the window closed is accused after `peer_ms`. So whoever has a
    /// message to send calls this, not only [`Cast::can_accept`].
    ///
    /// # Errors
    /// The message does not fit the window now; nothing changed.
    pub(crate) fn push(&mut self, pool: &mut Pool, now: Time, payload: &[u8]) -> Result<u64, Full> {
        let packets = packets_for(payload.len(), self.settings.body_bytes);
        if !self.can_accept(payload.len()) || pool.available() < packets {
            self.refuse(now, payload.len());
            return Err(Full);
        }
        if packets > 1 {
            self.push_fragments(pool, payload);
        } else {
            self.push_whole(pool, payload)?;
        }
        self.sender.refused = None;
        self.sender.messages += 1;
        Ok(self.sender.messages)
    }

    fn refuse(&mut self, now: Time, len: usize) {
        self.counters.refused += 1;
        self.sender.window.note_refused();
        if !self.frozen && len <= self.settings.message_bytes_max {
            let needed = self.last_packet_of(len);
            self.note_refused(now, needed);
        }
    }

    fn push_whole(&mut self, pool: &mut Pool, payload: &[u8]) -> Result<(), Full> {
        let needed = payload.len() + LENGTH_BYTES;
        if self.sender.open.is_some_and(|open| needed > self.settings.body_bytes - open.len) {
            self.seal(pool);
        }
        let mut open = match self.sender.open {
            Some(open) => open,
            None => Open { slot: pool.alloc().ok_or(Full)?, len: 0 },
        };
        let place = &mut pool.body_mut(open.slot)[open.len..open.len + needed];
        place[..LENGTH_BYTES].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        place[LENGTH_BYTES..].copy_from_slice(payload);
        open.len += needed;
        self.sender.open = Some(open);
        Ok(())
    }

    /// The caller has checked that there are slots and places enough. All fragments but the last are of one length, and
    /// the last is hardly shorter: so large messages go out in runs.
    fn push_fragments(&mut self, pool: &mut Pool, payload: &[u8]) {
        self.seal(pool);
        let packets = packets_for(payload.len(), self.settings.body_bytes);
        let share = (payload.len() + LENGTH_BYTES).div_ceil(packets);
        let length = (payload.len() as u32).to_le_bytes();
        let mut rest = payload;
        let mut flags = FLAG_FRAGMENT | FLAG_FIRST;
        while !rest.is_empty() {
            let Some(slot) = pool.alloc() else { return };
            let body = &mut pool.body_mut(slot)[..share];
            let head = if flags & FLAG_FIRST == 0 { 0 } else { LENGTH_BYTES };
            body[..head].copy_from_slice(&length[..head]);
            let (part, later) = rest.split_at(rest.len().min(share - head));
            body[head..head + part.len()].copy_from_slice(part);
            rest = later;
            if rest.is_empty() {
                flags |= FLAG_LAST;
            }
            self.seal_slot(pool, slot, head + part.len(), flags);
            flags = FLAG_FRAGMENT;
        }
    }

    /// Closes the packet that messages were being written into: at its first transmission, or before a cut is
    /// computed. Its bytes never change again.
    pub(crate) fn seal(&mut self, pool: &mut Pool) {
        if let Some(open) = self.sender.open.take() {
            self.seal_slot(pool, open.slot, open.len, 0);
        }
    }

    fn seal_slot(&mut self, pool: &mut Pool, slot: Slot, len: usize, flags: u8) {
        pool.set_len(slot, len);
        let seq = self.sender.sealed + 1;
        let stream = &mut self.streams[usize::from(self.me)];
        let placed = stream.ring.insert(seq, slot, flags);
        debug_assert!(placed, "a packet is only made when it has a place");
        self.sender.sealed = seq;
        stream.prefix = seq;
        stream.boundary = seq;
        stream.high = seq;
        self.count_undelivered(self.me);
        self.stability.record(self.me, self.me, seq);
        if self.ranks() == 1 {
            self.sender.transmitted = seq;
            self.streams[0].stable = seq;
        } else {
            self.count_unstable(self.me);
        }
    }
}
