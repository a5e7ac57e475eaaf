//! The connection of the process that a server is inside of: bytes are handed over, without a
//! socket.

use vs_core::member::server::ConnId;

/// The connection.
#[derive(Debug)]
pub(super) struct Own {
    id: ConnId,
    /// The server ended it, and has this to say before.
    last_words: Option<Vec<u8>>,
}

impl Own {
    pub(super) fn new(id: ConnId) -> Self {
        Self { id, last_words: None }
    }

    pub(super) fn id(&self) -> ConnId {
        self.id
    }

    /// The server ended it, and has `output` to say before.
    pub(super) fn handle_ended(&mut self, output: Vec<u8>) {
        self.last_words = Some(output);
    }

    /// Whether the server ended it.
    pub(super) fn has_ended(&self) -> bool {
        self.last_words.is_some()
    }

    /// What the server had to say before it ended it; empty once that was taken.
    pub(super) fn take_last_words(&mut self) -> Option<Vec<u8>> {
        self.last_words.as_mut().map(core::mem::take)
    }

    /// Whether it has ended, and what was to be said before was taken.
    pub(super) fn is_over(&self) -> bool {
        self.last_words.as_ref().is_some_and(Vec::is_empty)
    }
}
