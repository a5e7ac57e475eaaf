//! Messages that wait for the next view, in order, within a bound.

use alloc::vec::Vec;

/// Bytes of framing that each waiting message takes.
const FRAME_BYTES: usize = 4;

/// A first-in first-out queue of byte strings in one buffer that never grows.
#[derive(Debug)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    /// Where the oldest message begins.
    head: usize,
    messages: usize,
    bytes_max: usize,
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes_max), ..Self::unallocated(bytes_max) }
    }

    /// A queue that takes its memory with the first message.
    pub(super) fn unallocated(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), head: 0, messages: 0, bytes_max }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Messages waiting.
    pub(super) fn len(&self) -> usize {
        self.messages
    }

    /// Whether a message of `len` bytes finds room.
    pub(super) fn fits(&self, len: usize) -> bool {
        self.bytes.len() - self.head + FRAME_BYTES + len <= self.bytes_max
    }

    /// Appends; call only if it fits.
    pub(super) fn push(&mut self, payload: &[u8]) {
        self.push_parts(&[], payload);
    }

    /// Appends one message of two parts; call only if both fit.
    pub(super) fn push_parts(&mut self, head: &[u8], rest: &[u8]) {
        let len = head.len() + rest.len();
        if self.bytes.len() + FRAME_BYTES + len > self.bytes_max {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
        if self.bytes.capacity() == 0 {
            self.bytes.reserve_exact(self.bytes_max);
        }
        // The bound is far below 2^32.
        self.bytes.extend_from_slice(&(len as u32).to_le_bytes());
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(rest);
        self.messages += 1;
    }

    /// The length of the longest message; 0 if none waits.
    pub(crate) fn longest(&self) -> usize {
        let (mut rest, mut longest) = (self.bytes.get(self.head..).unwrap_or_default(), 0);
        while let Some((len, behind)) = rest.split_first_chunk::<FRAME_BYTES>() {
            let len = u32::from_le_bytes(*len) as usize;
            (rest, longest) = (behind.get(len..).unwrap_or_default(), longest.max(len));
        }
        longest
    }

    /// The oldest message.
    pub(super) fn front(&self) -> Option<&[u8]> {
        let (len, rest) = self.bytes.get(self.head..)?.split_first_chunk::<FRAME_BYTES>()?;
        rest.get(..u32::from_le_bytes(*len) as usize)
    }

    /// Removes the oldest message.
    pub(super) fn pop(&mut self) {
        let Some(len) = self.front().map(<[u8]>::len) else { return };
        self.head += FRAME_BYTES + len;
        self.messages -= 1;
        if self.messages == 0 {
            self.bytes.clear();
            self.head = 0;
        }
    }

    /// Forgets all; answers how many were waiting.
    pub(super) fn clear(&mut self) -> usize {
        self.bytes.clear();
        self.head = 0;
        core::mem::take(&mut self.messages)
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;

    #[test]
    fn waiting_messages_keep_order_within_the_bound() {
        let mut queue = Queue::new(64);
        let mut next_in = 0_u8;
        let mut next_out = 0_u8;
        for _ in 0..200 {
            while queue.fits(usize::from(next_in % 13)) {
                queue.push(&alloc::vec![next_in; usize::from(next_in % 13)]);
                next_in = next_in.wrapping_add(1);
            }
            assert!(queue.bytes.capacity() == 64 && queue.bytes.len() <= 64);
            for _ in 0..1 + next_in % 3 {
                let Some(front) = queue.front() else { break };
                assert_eq!(front, alloc::vec![next_out; usize::from(next_out % 13)]);
                queue.pop();
                next_out = next_out.wrapping_add(1);
            }
        }
        let waiting = queue.len();
        assert_eq!(queue.clear(), waiting);
        assert!(queue.is_empty() && queue.front().is_none());
    }
}
