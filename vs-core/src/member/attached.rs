//! Clients of membership servers, in the eyes of all servers.

use alloc::vec::Vec;

use super::past::Past;
use crate::ident::{FNV_OFFSET, Incarnation, ProcessId, ServerId, ViewId, fnv1a};
use crate::view::View;

/// One attachment of a client: a crash and quick return is another attachment, and so a visible
/// change. Made by the client; the highest wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Attachment {
    pub(crate) incarnation: Incarnation,
    pub(crate) counter: u64,
}

/// The last membership view that somebody was told of. Where it is the same for all, nobody needs
/// another one; that the view itself is the same is for the members to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Settled {
    pub(super) id: ViewId,
    pub(super) fingerprint: u64,
}

impl Settled {
    pub(crate) fn in_view(view: &View) -> Self {
        Self { id: view.id(), fingerprint: view.fingerprint() }
    }

    /// What a client brings along from another server, or another incarnation of one: none, if a
    /// change is under way.
    pub(crate) fn of(process: ProcessId, past: &Past) -> Option<Self> {
        let view = past.mbr_view.as_ref()?;
        let start = view.validate().ok().and_then(|()| view.start(process))?;
        // That it still brings the view about is no matter of the servers.
        past.pending.is_none_or(|cid| cid == start).then(|| Self::in_view(view))
    }
}

/// A client in the eyes of the notification service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Attached {
    pub(crate) process: ProcessId,
    pub(crate) attachment: Attachment,
    pub(crate) home: ServerId,
    /// Members of the largest view that it has room for.
    pub(crate) members_max: u16,
    /// Where it was when it attached.
    pub(crate) settled: Option<Settled>,
    /// The fingerprint of the profile that it has: all members of a view have the same.
    pub(crate) profile: u64,
}

impl Attached {
    /// Whether both are of one incarnation of one process, with one profile.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        let life = |c: &Self| (c.process, c.attachment.incarnation, c.members_max, c.profile);
        life(self) == life(other)
    }
}

/// What the notification service reports: ascending, one entry a process.
pub(crate) type Report = Vec<Attached>;

/// Which report a server proposes: servers that propose compare their reports and nothing else of
/// them, and each of a crowd would have to tell each other one of all members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ReportId(pub(crate) u64);

impl ReportId {
    /// FNV-1a, 64 bits, over all fields of all entries, each number as eight bytes, little-endian.
    pub(crate) fn of(report: &[Attached]) -> Self {
        let numbers = |client: &Attached| {
            let Attached { process, attachment, home, members_max, settled, profile } = *client;
            let Attachment { incarnation, counter } = attachment;
            let Settled { id, fingerprint } = settled.unwrap_or_default();
            [
                process.0,
                incarnation.millis(),
                incarnation.nonce(),
                counter,
                home.0,
                u64::from(members_max) << 1 | u64::from(settled.is_some()),
                id.major,
                id.minor,
                fingerprint,
                profile,
            ]
        };
        let all = report.iter().flat_map(numbers);
        Self(all.fold(FNV_OFFSET, |hash, number| fnv1a(hash, &number.to_le_bytes())))
    }
}
