//! What the application asks for: it sends messages, and answers block requests.

use super::{BlockOkError, Cx, Endpoint, NoteError, Phase, SendError, Sent};
use crate::config::Blocking;
use crate::ident::{FNV_OFFSET, fnv1a};
use crate::sync::Block;
use crate::trace::{Event, Mark};
use crate::view::Note;
use crate::wire::body::Audience;

impl Endpoint {
    /// Sets what the next own sync message carries.
    pub(crate) fn set_note(&mut self, note: Note) -> Result<(), NoteError> {
        if !self.attachment.is_active() {
            return Err(NoteError::NotJoined);
        }
        if !self.config.clusters {
            return Err(NoteError::NoClusters);
        }
        self.note = note;
        Ok(())
    }

    /// Takes a message of the application.
    pub(crate) fn send(&mut self, cx: &mut Cx<'_>, payload: &[u8]) -> Result<Sent, SendError> {
        if self.attachment.phase() != Phase::Live {
            return Err(SendError::NotJoined);
        }
        let (len, max) = (payload.len(), self.config.message_bytes_max());
        if len > max {
            return Err(SendError::TooLarge { len, max });
        }
        let result = self.take(cx, payload);
        if let Err(error) = &result {
            self.refused = Some(len);
            if *error == SendError::WindowFull {
                cx.mark(Mark::WindowFull);
            }
        }
        result
    }

    fn take(&mut self, cx: &mut Cx<'_>, payload: &[u8]) -> Result<Sent, SendError> {
        if self.may_send_now() {
            return self.accept(cx, payload).map(Sent::Now).ok_or(SendError::WindowFull);
        }
        if self.config.blocking == Blocking::Manual && self.queue.is_empty() {
            return Err(SendError::Blocked);
        }
        if !self.queue.fits(payload.len()) {
            return Err(SendError::WindowFull);
        }
        self.queue.push(payload);
        Ok(Sent::Queued(self.queue.len() - 1))
    }

    /// Whether a message goes into the current view, if the window has room.
    fn may_send_now(&self) -> bool {
        self.may_flush() && self.queue.is_empty()
    }

    /// Whether waiting messages may go into the view.
    pub(super) fn may_flush(&self) -> bool {
        self.sync.may_send() && !self.is_waiting_for_first_view()
    }

    /// Accepts a message in the current view: from here on it cannot be lost ([rule
    /// 5.1](crate::manual::algorithm#rule-5-1)).
    fn accept(&mut self, cx: &mut Cx<'_>, payload: &[u8]) -> Option<u64> {
        let cast = self.current.cast_mut();
        let n = cast.push(cx.pool, cx.now, payload, Audience::Application).ok()?;
        self.trace_send(cx, n, payload);
        Some(n)
    }

    fn trace_send(&self, cx: &mut Cx<'_>, n: u64, payload: &[u8]) {
        if cx.tracer.enabled() {
            let (hash, len) = (fnv1a(FNV_OFFSET, payload), payload.len() as u64);
            self.trace(cx, Event::Send { n, hash, len });
        }
    }

    /// Moves waiting messages into the view as far as the window has room.
    #[inline]
    pub(super) fn flush_queue(&mut self, cx: &mut Cx<'_>) {
        if !self.queue.is_empty() {
            self.flush_waiting(cx);
        }
    }

    #[inline(never)]
    fn flush_waiting(&mut self, cx: &mut Cx<'_>) {
        if !self.may_flush() {
            return;
        }
        while let Some(payload) = self.queue.front() {
            let cast = self.current.cast_mut();
            let pushed = cast.push(cx.pool, cx.now, payload, Audience::Application);
            let Ok(n) = pushed else { return };
            self.trace_send(cx, n, payload);
            self.queue.pop();
        }
    }

    /// Whether the message that was refused last finds room now.
    pub(super) fn is_writable(&self) -> bool {
        let Some(len) = self.refused else { return false };
        if self.may_send_now() {
            return self.current.cast().can_accept(len);
        }
        let is_queued = self.config.blocking == Blocking::Auto || !self.queue.is_empty();
        is_queued && self.queue.fits(len)
    }

    /// The application has stopped sending (manual blocking).
    pub(crate) fn block_ok(&mut self, cx: &mut Cx<'_>) -> Result<(), BlockOkError> {
        match self.attachment.phase() {
            Phase::Left => Err(BlockOkError::NotJoined),
            Phase::Live | Phase::Leaving(_) if self.sync.block() == Block::Requested => {
                self.handle_blocked(cx);
                self.find_turn(cx);
                Ok(())
            }
            Phase::Live | Phase::Leaving(_) | Phase::Ended => Err(BlockOkError::NotRequested),
        }
    }
}
