//! What the process that a server is inside of says to it, and hears from it.

use std::io;

use vs_core::member::server::ConnId;

use super::own::Own;
use super::{Opened, ServerDriver};

impl ServerDriver {
    /// Opens the connection.
    pub(crate) fn open_inside(&mut self) {
        let id = ConnId(self.count);
        self.count += 1;
        self.inside = Some(Own::new(id));
        self.server.handle_accepted(self.clock.now(), id);
    }

    /// Ends it.
    pub(crate) fn close_inside(&mut self) {
        if let Some(own) = self.inside.take() {
            self.server.handle_closed(self.clock.now(), own.id());
        }
    }

    /// The process says `bytes`.
    pub(crate) fn handle_inside(&mut self, bytes: &[u8]) {
        if let Some(own) = self.inside.as_ref().filter(|own| !own.has_ended()) {
            self.server.handle_stream(self.clock.now(), own.id(), bytes);
        }
    }

    /// Whether the server has something to say to the process, or ended the connection.
    pub(crate) fn has_word_inside(&self) -> bool {
        let Some(own) = &self.inside else { return false };
        own.has_ended() || !self.server.output(own.id()).is_empty()
    }

    /// Hands to `f` what the server says; whether it says anything.
    pub(crate) fn hear_inside(&mut self, f: impl FnOnce(&[u8])) -> bool {
        let Some(own) = &mut self.inside else { return false };
        if let Some(last_words) = own.take_last_words() {
            f(&last_words);
            return !last_words.is_empty();
        }
        let output = self.server.output(own.id());
        let said = output.len();
        if said > 0 {
            f(output);
            self.server.consumed(own.id(), said);
        }
        said > 0
    }

    /// Whether the server ended the connection, and everything it had to say was heard.
    pub(crate) fn has_ended_inside(&self) -> bool {
        self.inside.as_ref().is_some_and(Own::is_over)
    }

    /// Writes what follows from what the process said.
    pub(crate) fn flush_inside(&mut self, mut opened: impl FnMut(Opened<'_>) -> io::Result<()>) {
        self.flush(self.clock.now(), &mut opened);
    }
}
