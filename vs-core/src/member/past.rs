//! What a process brings along when it attaches.

use crate::ident::{Cid, ViewId};
use crate::member::profile::{Held, Profile};
use crate::view::View;

/// What an attach reports of the past, so that cids and view ids keep increasing ([rule
/// 5.4](crate::manual::algorithm#rule-5-4)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// Highest cid that this process was given for the group.
    pub(crate) last_cid: Cid,
    /// Highest view id seen from the membership service or installed.
    pub(crate) last_view: ViewId,
    /// The cid of a change that is under way.
    pub(crate) pending: Option<Cid>,
    /// The last membership view.
    pub(crate) mbr_view: Option<View>,
    /// What this process is configured for.
    pub(crate) profile: Profile,
    /// The profile that holds in the group, as it was told.
    pub(crate) held: Option<Held>,
}
