//! What became of a packet.

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataOutcome {
    /// It is kept.
    New,
    /// It was here already, or is of no use any more.
    Duplicate,
    /// Outside of the window, or beyond the end of a closed stream.
    Beyond,
    /// The pool has no slot.
    NoSlot,
    /// Its body makes no sense.
    Malformed,
}
