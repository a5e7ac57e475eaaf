//! The side of a connection that asks for the status.

use super::Status;
use crate::ident::Deployment;
use crate::seal::Keys;
use crate::wire::channel::Party;
use crate::wire::frame::{Decoder, FRAME_BYTES_MAX, FrameError};
use crate::wire::message::{Frame, StatusRequest};
use crate::wire::stream::{End, Stream};

/// Who asks a server for its status, over a connection that was just made: with keys sealed,
/// without in the clear. A server that has keys answers nobody who has none.
#[derive(Debug)]
pub struct Asker(Stream);

impl Asker {
    /// Asks. `keys` are those of members or of servers. `deployment` is that of the server; it
    /// counts only with keys.
    #[must_use]
    pub fn new(keys: Option<&mut Keys>, deployment: &Deployment) -> Self {
        let end = End::Dialled(Party::Client);
        let mut stream = Stream::new(Decoder::default(), FRAME_BYTES_MAX, end, keys, deployment);
        stream.send(&Frame::from(StatusRequest));
        Self(stream)
    }

    /// Bytes to be written.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.0.pending()
    }

    /// `n` bytes of [`Asker::output`] were written.
    pub fn consumed(&mut self, n: usize) {
        self.0.consumed(n);
    }

    /// Takes bytes; the answer, once it is complete. There may be more to be written after it.
    ///
    /// # Errors
    /// There is no answer of this version, or the connection is not sealed as this side wants it.
    /// Nothing more can be read.
    pub fn handle_stream(&mut self, bytes: &[u8]) -> Result<Option<Status>, FrameError> {
        self.0.push(bytes);
        self.0.next()
    }
}
