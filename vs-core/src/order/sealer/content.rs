//! What a packet holds besides its trailer.

/// What stands before a trailer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    /// Bytes of the body that are used.
    pub(crate) len: usize,
    /// A message ends there, or there is none: the lead may pass.
    pub(crate) ends_message: bool,
}
