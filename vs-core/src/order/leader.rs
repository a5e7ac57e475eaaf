//! Who leads a view.

use crate::ident::Rank;

/// The member of least rank leads.
pub(crate) const LEADER: Rank = 0;
