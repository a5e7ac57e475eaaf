//! Which datagrams go out next: sync messages and requests for them, questions and answers about
//! who hears multicasts, then what the multicasts of the previous and the current view have.

use alloc::vec::Vec;

use super::path::SAFE_BYTES;
use super::resend::Due;
use super::{Budget, Cx, Dest, Endpoint, Transmit};
use crate::cast::{CastTransmit, ViewHeader};
use crate::ident::{Cid, ProcessId};
use crate::wire::control::{self, REQUESTS_MAX, SyncMessage, SyncRequest};
use crate::wire::datagram::{Header, Scope};
use crate::wire::path::{self, Path};
use crate::wire::reach::{self, Reach};

impl Endpoint {
    /// The next datagrams for one destination. Questions and answers about multicasts come out of
    /// the `budget` of the node.
    pub(crate) fn poll_transmit(
        &mut self,
        cx: &mut Cx<'_>,
        budget: &mut Budget,
        out: &mut [u8],
        segments_max: usize,
    ) -> Option<Transmit> {
        let transmit = self.next_transmit(cx, budget, out, segments_max)?;
        let Transmit { dest, len, segment_bytes } = transmit;
        self.finish_sending(&mut out[..len], segment_bytes, matches!(dest, Dest::Group(_)));
        Some(transmit)
    }

    fn next_transmit(
        &mut self,
        cx: &mut Cx<'_>,
        budget: &mut Budget,
        out: &mut [u8],
        segments_max: usize,
    ) -> Option<Transmit> {
        if !self.attachment.is_active() {
            return None;
        }
        if self.resend.has_due()
            && let Some((dest, len)) = self.next_control(cx, out)
        {
            return Some(self.one(dest, len, Scope::Incarnation));
        }
        if let Some((dest, len)) = self.next_reach(cx, budget, out) {
            return Some(self.one(dest, len, Scope::Incarnation));
        }
        if let Some((dest, len)) = self.next_path(cx, out) {
            return Some(self.one(dest, len, Scope::View));
        }
        if let Some(previous) = &mut self.previous
            && let Some((sent, to)) = previous.poll_transmit(cx, out, segments_max)
        {
            return Some(self.transmit(&sent, to));
        }
        self.current.cast_mut().set_groups(cx.groups);
        let sent = self.current.poll_transmit(cx, out, segments_max);
        // What was sealed may be next here, too.
        self.find_turn(cx);
        self.show_sealed(cx);
        let Some((sent, to)) = sent else { return self.next_direct(out, segments_max) };
        self.reach.look_by(cx.now.plus_ms(self.config.unheard_ms));
        Some(self.transmit(&sent, to))
    }

    /// One datagram of `len` bytes, with room behind it for what is sealed.
    fn one(&self, dest: Dest, len: usize, scope: Scope) -> Transmit {
        let len = len + self.end_bytes(scope);
        Transmit { dest, len, segment_bytes: len }
    }

    /// Where `sent` goes: to the group, or to `to`. A member whose address is not known (any more)
    /// is reached with all the others.
    fn transmit(&self, sent: &CastTransmit, to: Option<ProcessId>) -> Transmit {
        let dest = to
            .and_then(|process| self.book.addr(process))
            .map_or(Dest::Group(self.key), Dest::Peer);
        Transmit { dest, len: sent.len, segment_bytes: sent.segment_bytes }
    }

    /// The next sync message or request for one; answers its destination and its length.
    #[inline(never)] // Nothing of it is on the way of a message.
    fn next_control(&mut self, cx: &Cx<'_>, out: &mut [u8]) -> Option<(Dest, usize)> {
        while let Some(due) = self.resend.next_due() {
            let alone = match due {
                Due::RequestTo(process, _) | Due::AnswerTo { process, .. } => Some(process),
                Due::Sync { .. } | Due::Answer { .. } | Due::Request => None,
            };
            let (next, len) = match due {
                Due::Sync { first } => {
                    let cid = self.sync.own_sync().map(|own| own.cid);
                    let to = self.sync.change().map(|change| &change.set[..]);
                    self.encode_sync(cx, cid, first, to, out)
                }
                Due::Answer { cid, first } | Due::AnswerTo { cid, first, .. } => {
                    self.encode_sync(cx, Some(cid), first, None, out)
                }
                Due::Request => {
                    let wanted = self.sync.missing().take(REQUESTS_MAX).collect();
                    (None, self.encode_request(cx, wanted, out))
                }
                Due::RequestTo(process, cid) => {
                    (None, self.encode_request(cx, Vec::from([(process, cid)]), out))
                }
            };
            self.resend.handle_sent(due, next);
            if due == Due::Request {
                self.resend.ask_alone(self.sync.missing());
            }
            if let Some(len) = len {
                let addr = alone.and_then(|process| self.book.addr(process));
                return Some((addr.map_or(Dest::Group(self.key), Dest::Peer), len));
            }
        }
        None
    }

    /// Writes the own sync message for `cid` from rank `first`, for the members of `to` or for
    /// everybody; answers the rank to continue with, and the length.
    fn encode_sync(
        &self,
        cx: &Cx<'_>,
        cid: Option<Cid>,
        first: usize,
        to: Option<&[ProcessId]>,
        out: &mut [u8],
    ) -> (Option<usize>, Option<usize>) {
        let Some(own) = cid.and_then(|cid| self.sync.own_sync_for(cid)) else {
            return (None, None);
        };
        // The proposed members may be behind any way.
        let end_bytes = self.end_bytes(Scope::Incarnation);
        let whole = self.config.cast().datagram_bytes().min(SAFE_BYTES).min(out.len());
        let datagram_bytes = whole - end_bytes - self.shown_bytes(to);
        let (runs, ranks) = control::runs(&own.cut[first..], own.note, datagram_bytes);
        let end = first + ranks;
        let message = SyncMessage {
            process: cx.identity.process,
            incarnation: cx.identity.incarnation,
            cid: own.cid,
            view: own.view,
            total: own.cut.len() as u16,
            first: first as u16,
            runs,
            safe: own.safe,
            note: own.note,
        };
        let len =
            control::encode_sync(out, &self.header(), &message, |said| self.show_sync(said, to));
        ((end < own.cut.len() && len.is_some()).then_some(end), len)
    }

    fn encode_request(
        &self,
        cx: &Cx<'_>,
        wanted: Vec<(ProcessId, Cid)>,
        out: &mut [u8],
    ) -> Option<usize> {
        if wanted.is_empty() {
            return None;
        }
        let message = SyncRequest { process: cx.identity.process, wanted };
        control::encode_request(out, &self.header(), &message)
    }

    /// The next question or answer about who hears multicasts.
    fn next_reach(
        &mut self,
        cx: &Cx<'_>,
        budget: &mut Budget,
        out: &mut [u8],
    ) -> Option<(Dest, usize)> {
        let say = self.reach.next_say(cx.now, budget, self.sync.current(), &self.book)?;
        let dest = match self.book.addr(say.target()) {
            Some(addr) if !say.is_to_group() => Dest::Peer(addr),
            _ => Dest::Group(self.key),
        };
        let message =
            Reach { process: cx.identity.process, target: say.target(), word: say.word() };
        Some((dest, reach::encode(out, &self.header(), &message)?))
    }

    /// The next answer to a probe of how long datagrams may be, or the next probe.
    fn next_path(&mut self, cx: &Cx<'_>, out: &mut [u8]) -> Option<(Dest, usize)> {
        if let Some((target, bytes)) = self.path.next_answer() {
            let addr = self.current.member(target).and_then(|process| self.book.addr(process));
            let dest = addr.map_or(Dest::Group(self.key), Dest::Peer);
            let len = path::encode(out, &self.header(), &Path::Arrived { target, bytes })?;
            return Some((dest, len));
        }
        if !self.path.is_open() {
            return None;
        }
        if self.current.cast().is_limited() {
            self.path.handle_wanted(cx.now);
        }
        let met_at = |rank| self.reach.met_at(rank);
        let bytes = self.path.next_probe(cx.now, self.sync.current(), met_at)?;
        let len = path::encode(out, &self.header(), &Path::Probe { bytes: bytes as u32 })?;
        Some((Dest::Group(self.key), len))
    }

    pub(super) fn header(&self) -> Header {
        let ViewHeader { group, fingerprint, rank, .. } = *self.current.header();
        Header { rank, group, fingerprint }
    }
}
