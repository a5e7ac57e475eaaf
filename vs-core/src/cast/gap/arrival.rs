//! How a missing packet came.

use crate::ident::Seq;

/// How a missing packet came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) seq: Seq,
    /// Whether it came to all or to this member alone, if that is known.
    pub(super) to_group: Option<bool>,
    /// Whether it came to all and nobody else was heard to ask for it.
    pub(super) is_original: bool,
    /// Whether it was reported.
    pub(super) was_asked: bool,
}
