//! What a runtime does with its connection to a membership server.

/// What a runtime does with its connection to a membership server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkCommand {
    /// Connect to the server at this position of the runtime's list. Answer with
    /// [`crate::Node::handle_connected`] or [`crate::Node::handle_disconnected`].
    Connect(usize),
    /// Close the connection. No answer is expected.
    Close,
}
