//! Direct messages of a view that wait to be sent or to be heard.

use alloc::vec::Vec;

use super::queue::Queue;
use crate::ident::Rank;

/// Bytes of direct messages that wait to be sent, and as many that wait for the application. What
/// arrives beyond that is dropped.
pub const DIRECT_QUEUE_BYTES: usize = 1 << 20;

/// The direct messages of a view that wait. Nothing is allocated before the first one.
#[derive(Debug)]
pub(super) struct Directs {
    pub(super) outgoing: Mail,
    pub(super) incoming: Mail,
    /// What the application was lent last.
    lent: Vec<u8>,
}

/// Messages, each with the rank of its receiver or sender.
#[derive(Debug)]
pub(super) struct Mail {
    queue: Queue,
}

const RANK_BYTES: usize = size_of::<Rank>();

impl Mail {
    fn new() -> Self {
        Self { queue: Queue::unallocated(DIRECT_QUEUE_BYTES) }
    }

    /// False if there is no room.
    pub(super) fn push(&mut self, rank: Rank, message: &[u8]) -> bool {
        let fits = self.queue.fits(RANK_BYTES + message.len());
        if fits {
            self.queue.push_parts(&rank.to_le_bytes(), message);
        }
        fits
    }

    pub(super) fn front(&self) -> Option<(Rank, &[u8])> {
        let (rank, message) = self.queue.front()?.split_first_chunk()?;
        Some((Rank::from_le_bytes(*rank), message))
    }

    pub(super) fn pop(&mut self) {
        self.queue.pop();
    }
}

impl Directs {
    pub(super) fn new() -> Self {
        Self { outgoing: Mail::new(), incoming: Mail::new(), lent: Vec::new() }
    }

    /// Takes the oldest message that arrived, and who sent it.
    pub(super) fn take_incoming(&mut self) -> Option<(Rank, &[u8])> {
        let (rank, message) = self.incoming.front()?;
        self.lent.clear();
        self.lent.extend_from_slice(message);
        self.incoming.pop();
        Some((rank, &self.lent))
    }

    /// A view ends, and with it all that was to be said in it.
    pub(super) fn clear(&mut self) {
        self.outgoing.queue.clear();
        self.incoming.queue.clear();
    }
}
