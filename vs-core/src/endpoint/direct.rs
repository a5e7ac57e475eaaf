//! Direct messages: from one member of the view to another, not ordered and not repaired.

use super::{Dest, DirectError, Endpoint, Transmit, Verdict};
use crate::ident::ProcessId;
use crate::wire::datagram::{Header, Scope};
use crate::wire::direct::{self, Direct, direct_bytes};

impl Endpoint {
    /// Whether a message waits for the application.
    pub(crate) fn has_direct(&self) -> bool {
        self.directs.incoming.front().is_some()
    }

    #[cfg(feature = "sim")]
    pub(crate) fn drop_directs(&mut self) {
        while self.poll_direct().is_some() {}
    }

    /// The most bytes that a direct message may have now.
    pub(crate) fn direct_bytes_max(&self) -> usize {
        direct_bytes(self.current.cast().packet_bytes_max())
    }

    /// Takes a message for the member `to` of the view.
    pub(crate) fn send_direct(&mut self, to: ProcessId, message: &[u8]) -> Result<(), DirectError> {
        let (len, max) = (message.len(), self.direct_bytes_max());
        if len > max {
            return Err(DirectError::TooLarge { len, max });
        }
        let own = self.current.header().rank;
        let rank = self.sync.current().rank(to).filter(|&rank| rank != own);
        let rank = rank.ok_or(DirectError::NoMember(to))?;
        let is_taken = self.directs.outgoing.push(rank, message);
        if is_taken { Ok(()) } else { Err(DirectError::QueueFull) }
    }

    /// A message of another member to this one.
    pub(super) fn handle_direct(&mut self, header: &Header, direct: &Direct<'_>) -> Verdict {
        let is_own = direct.target == self.current.header().rank;
        if !is_own || !self.current.is_from_peer(header) {
            return Verdict::Foreign;
        }
        let is_kept = self.directs.incoming.push(header.rank, direct.message);
        if is_kept { Verdict::Accepted } else { Verdict::Dropped }
    }

    /// The oldest message that waits for the application.
    pub(crate) fn poll_direct(&mut self) -> Option<(ProcessId, &[u8])> {
        let (rank, message) = self.directs.take_incoming()?;
        Some((self.current.member(rank)?, message))
    }

    /// The next messages for one member, each in a datagram.
    pub(super) fn next_direct(&mut self, out: &mut [u8], segments_max: usize) -> Option<Transmit> {
        let header = self.header();
        let end_bytes = self.end_bytes(Scope::View);
        let (room, queue) = (out.len() - end_bytes, &mut self.directs.outgoing);
        let (target, message) = queue.front()?;
        let datagram = Direct { target, message };
        let segment_bytes = direct::encode(&mut out[..room], &header, &datagram)? + end_bytes;
        queue.pop();
        let mut len = segment_bytes;
        for _ in 1..segments_max {
            let Some((next, message)) = queue.front().filter(|(next, _)| *next == target) else {
                break;
            };
            let datagram = Direct { target: next, message };
            let rest = out.get_mut(len..room).unwrap_or_default();
            let Some(bytes) = direct::encode(rest, &header, &datagram) else { break };
            let bytes = bytes + end_bytes;
            if bytes > segment_bytes {
                break;
            }
            queue.pop();
            len += bytes;
            if bytes < segment_bytes {
                break; // the last of a run
            }
        }
        let addr = self.current.member(target).and_then(|process| self.book.addr(process));
        let dest = addr.map_or(Dest::Group(self.key), Dest::Peer);
        Some(Transmit { dest, len, segment_bytes })
    }
}
