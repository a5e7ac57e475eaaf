//! Who leads a view.

use crate::ident::Rank;

/// The member of least rank leads, until it hands over.
pub(super) const FIRST_LEADER: Rank = 0;
