//! What goes out: sync messages and requests for them, then what the casts have.

use smallvec::SmallVec;

use super::reach::mark_group;
use super::{Cx, Dest, Endpoint, Transmit};
use crate::cast::{CastDest, CastTransmit, ViewHeader};
use crate::ident::Cid;
use crate::time::{Time, Wake, earlier};
use crate::wire::control::{self, REQUESTS_MAX, SyncMessage, SyncRequest};
use crate::wire::packet::{self, HEADER_BYTES, Header};

/// The pause between repetitions is doubled up to this many times the first one.
const BACKOFF_MAX: u64 = 16;

/// Own sync messages that others asked for: of the current view and of the one before.
const ANSWERS_MAX: usize = 2;

/// When sync messages and requests for them go out, again and again until they are not needed.
#[derive(Debug, Default)]
pub(super) struct Resend {
    /// The next repetition of the own sync message.
    at: Option<Time>,
    pause_ms: u64,
    /// The first rank of the own sync message that is still to be sent now.
    next_rank: Option<usize>,
    /// The next request for missing ones.
    request_at: Option<Time>,
    request_pause_ms: u64,
    request_due: bool,
    /// Own sync messages that somebody asked for: cid and next rank to be sent.
    answers: SmallVec<[(Cid, usize); ANSWERS_MAX]>,
}

impl Resend {
    pub(super) fn start(&mut self, now: Time, pause_ms: u64) {
        *self = Self {
            at: Some(now.plus_ms(pause_ms)),
            pause_ms,
            next_rank: Some(0),
            request_at: Some(now.plus_ms(pause_ms)),
            request_pause_ms: pause_ms,
            ..Self::default()
        };
    }

    /// Somebody lacks the own sync message for `cid`: it is multicast once, however many ask.
    pub(super) fn answer(&mut self, cid: Cid) {
        let known = self.answers.iter().any(|(c, _)| *c == cid);
        if !known && self.answers.len() < ANSWERS_MAX {
            self.answers.push((cid, 0));
        }
    }

    /// Whether a part of the own sync message still has to go out for this time.
    pub(super) fn is_unsent(&self) -> bool {
        self.next_rank.is_some()
    }

    fn is_due(&self) -> bool {
        self.next_rank.is_some() || self.request_due || !self.answers.is_empty()
    }
}

impl Endpoint {
    pub(super) fn resend_timeout(&self) -> Option<(Time, Wake)> {
        let resend = self.resend.at.map(|at| (at, Wake::Sync));
        let request = self.resend.request_at.filter(|_| self.sync.is_waiting());
        earlier(resend, request.map(|at| (at, Wake::Sync)))
    }

    pub(super) fn handle_resend_timeout(&mut self, cx: &Cx<'_>) {
        let pause_max = BACKOFF_MAX * self.config.sync_resend_ms;
        let waiting = self.sync.is_waiting();
        let resend = &mut self.resend;
        if resend.at.is_some_and(|at| cx.now >= at) {
            resend.pause_ms = (2 * resend.pause_ms).min(pause_max);
            resend.at = Some(cx.now.plus_ms(resend.pause_ms));
            resend.next_rank = Some(0);
        }
        if waiting && resend.request_at.is_some_and(|at| cx.now >= at) {
            resend.request_pause_ms = (2 * resend.request_pause_ms).min(pause_max);
            resend.request_at = Some(cx.now.plus_ms(resend.request_pause_ms));
            resend.request_due = true;
        }
    }

    /// The next datagrams for one destination.
    pub(crate) fn poll_transmit(
        &mut self,
        cx: &mut Cx<'_>,
        out: &mut [u8],
        segments_max: usize,
    ) -> Option<Transmit> {
        let transmit = self.next_transmit(cx, out, segments_max)?;
        Some(mark_group(transmit, out))
    }

    fn next_transmit(
        &mut self,
        cx: &mut Cx<'_>,
        out: &mut [u8],
        segments_max: usize,
    ) -> Option<Transmit> {
        if !self.is_active() {
            return None;
        }
        if self.resend.is_due()
            && let Some(len) = self.control(cx, out)
        {
            let dest = Dest::Group(self.key);
            return Some(Transmit { dest, len, segment_bytes: len });
        }
        if let Some(transmit) = self.next_reach(cx.identity.process, out) {
            return Some(transmit);
        }
        if let Some(previous) = &mut self.previous {
            let header = &previous.header;
            let sent = previous.cast.poll_transmit(cx.pool, cx.now, header, out, segments_max);
            if let Some(sent) = sent {
                let to = match sent.dest {
                    CastDest::Rank(r) => previous.view.members().get(usize::from(r)).copied(),
                    CastDest::Group => None,
                };
                return Some(self.transmit(&sent, to));
            }
        }
        self.cast.spread_beats(cx.groups);
        let sent = self.cast.poll_transmit(cx.pool, cx.now, &self.header, out, segments_max)?;
        self.reach.look_by(cx.now.plus_ms(self.config.unheard_ms));
        let to = match sent.dest {
            CastDest::Rank(r) => self.sync.current().members().get(usize::from(r)).copied(),
            CastDest::Group => None,
        };
        Some(self.transmit(&sent, to))
    }

    /// A member whose address is not known (any more) is reached with all the others.
    fn transmit(&self, sent: &CastTransmit, to: Option<crate::ident::ProcessId>) -> Transmit {
        let dest = to
            .and_then(|process| self.book.addr(process))
            .map_or(Dest::Group(self.key), Dest::Peer);
        Transmit { dest, len: sent.len, segment_bytes: sent.segment_bytes }
    }

    /// A sync message or a request, behind the common header.
    fn control(&mut self, cx: &Cx<'_>, out: &mut [u8]) -> Option<usize> {
        if let Some(first) = self.resend.next_rank {
            let cid = self.sync.own_sync().map(|own| own.cid);
            let (next, len) = self.encode_sync(cx, cid, first, out);
            self.resend.next_rank = next;
            if len.is_some() {
                return len;
            }
        }
        while let Some(&(cid, first)) = self.resend.answers.first() {
            let (next, len) = self.encode_sync(cx, Some(cid), first, out);
            match next {
                Some(rank) => self.resend.answers[0].1 = rank,
                None => drop(self.resend.answers.remove(0)),
            }
            if len.is_some() {
                return len;
            }
        }
        if core::mem::take(&mut self.resend.request_due) {
            return self.encode_request(cx, out);
        }
        None
    }

    /// Writes the own sync message for `cid` from rank `first`; answers the rank to go on with, and the length.
    fn encode_sync(
        &self,
        cx: &Cx<'_>,
        cid: Option<Cid>,
        first: usize,
        out: &mut [u8],
    ) -> (Option<usize>, Option<usize>) {
        let Some(own) = cid.and_then(|cid| self.sync.own_sync_for(cid)) else {
            return (None, None);
        };
        let room = (cx.body_bytes).min(out.len().saturating_sub(HEADER_BYTES));
        let (runs, ranks) = control::runs(&own.cut[first..], room);
        let end = first + ranks;
        let message = SyncMessage {
            process: cx.identity.process,
            incarnation: cx.identity.incarnation,
            cid: own.cid,
            view: own.view,
            total: own.cut.len() as u16,
            first: first as u16,
            runs,
        };
        let len = self.encode_control(false, &message, out);
        ((end < own.cut.len() && len.is_some()).then_some(end), len)
    }

    fn encode_request(&self, cx: &Cx<'_>, out: &mut [u8]) -> Option<usize> {
        let message = SyncRequest {
            process: cx.identity.process,
            wanted: self.sync.missing().take(REQUESTS_MAX).collect(),
        };
        if message.wanted.is_empty() {
            return None;
        }
        self.encode_control(true, &message, out)
    }

    fn encode_control<M: serde::Serialize>(
        &self,
        is_request: bool,
        message: &M,
        out: &mut [u8],
    ) -> Option<usize> {
        let body = out.get_mut(HEADER_BYTES..)?;
        let len = control::encode(message, body)?;
        let ViewHeader { group, fingerprint, rank, .. } = self.header;
        packet::encode_sync_header(out, &Header { rank, group, fingerprint }, is_request)?;
        Some(HEADER_BYTES + len)
    }
}
