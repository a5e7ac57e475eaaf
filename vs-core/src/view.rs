//! Views: the triple `<id, members, start>`, the central value of the algorithm.

mod clusters;

use alloc::sync::Arc;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use smallvec::SmallVec;

use crate::ident::{Cid, FNV_OFFSET, NUMBER_MAX, ProcessId, Rank, ViewId, fnv1a};

pub use clusters::{Cluster, Clusters, NOTE_MAX, Note, NoteTooLong};

/// Most members of a view.
pub const VIEW_MEMBERS_MAX: usize = 2048;

/// A short list of processes, ascending, without repetition.
pub type Members = SmallVec<[ProcessId; 8]>;

/// A view of a group: its id, its members in ascending order, and for each member the local id
/// ("cid") of the start_change that it answers: the vector of latest local ids. When a view
/// arrives, everybody knows exactly which sync messages count: that of `q` is the one tagged
/// `start(q)`.
///
/// Two views are equal only if all three components are equal. A view never changes, so copies
/// share what it holds.
#[derive(Clone, Debug, Eq, Deserialize)]
#[serde(from = "Triple")]
pub struct View(Arc<Inner>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Inner {
    id: ViewId,
    members: Members,
    start: SmallVec<[Cid; 8]>,
    /// Derived from the other fields, and kept since each sync message and each early packet is
    /// compared with it.
    fingerprint: u64,
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Ord for View {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for View {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for View {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.id, self.0.fingerprint).hash(state);
    }
}

impl Serialize for View {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut triple = serializer.serialize_struct("View", 3)?;
        triple.serialize_field("id", &self.0.id)?;
        triple.serialize_field("members", &self.0.members)?;
        triple.serialize_field("start", &self.0.start)?;
        triple.end()
    }
}

/// A view as it is written down.
#[derive(Deserialize)]
struct Triple {
    id: ViewId,
    members: Members,
    start: SmallVec<[Cid; 8]>,
}

impl From<Triple> for View {
    fn from(Triple { id, members, start }: Triple) -> Self {
        let fingerprint = fingerprint(id, &members, &start);
        Self(Arc::new(Inner { id, members, start, fingerprint }))
    }
}

fn fingerprint(id: ViewId, members: &[ProcessId], start: &[Cid]) -> u64 {
    let mut hash = FNV_OFFSET;
    for n in [id.major, id.minor] {
        hash = fnv1a(hash, &n.to_le_bytes());
    }
    for (p, c) in members.iter().zip(start) {
        hash = fnv1a(hash, &p.0.to_le_bytes());
        hash = fnv1a(hash, &c.0.to_le_bytes());
    }
    hash
}

/// Why three components do not make a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ViewError {
    /// No members, or more than [`VIEW_MEMBERS_MAX`].
    Size,
    /// Members are not strictly ascending.
    Order,
    /// `start` has not one entry a member.
    StartLength,
    /// A number is above [`NUMBER_MAX`].
    Number,
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "a view has 1 to 2048 members",
            Self::Order => "members of a view must be strictly ascending",
            Self::StartLength => "a view has one start id for each member",
            Self::Number => "a number in a view is above 2^53 - 1",
        })
    }
}

impl core::error::Error for ViewError {}

impl View {
    /// Puts a view together.
    ///
    /// # Errors
    /// Says which rule is broken: size, ascending order, one start id a member, numbers within
    /// range.
    pub fn new(id: ViewId, members: &[ProcessId], start: &[Cid]) -> Result<Self, ViewError> {
        let view = Self::unchecked(id, members, start);
        view.validate()?;
        Ok(view)
    }

    /// Puts a view together as somebody said it; [`View::validate`] says whether it is one.
    pub(crate) fn unchecked(id: ViewId, members: &[ProcessId], start: &[Cid]) -> Self {
        let (members, start) = (Members::from_slice(members), SmallVec::from_slice(start));
        Self::from(Triple { id, members, start })
    }

    /// Checks the rules of [`View::new`]; for views that came from outside.
    ///
    /// # Errors
    /// As [`View::new`].
    pub fn validate(&self) -> Result<(), ViewError> {
        if self.0.members.is_empty() || self.0.members.len() > VIEW_MEMBERS_MAX {
            return Err(ViewError::Size);
        }
        if self.0.start.len() != self.0.members.len() {
            return Err(ViewError::StartLength);
        }
        if !self.0.members.windows(2).all(|w| w[0] < w[1]) {
            return Err(ViewError::Order);
        }
        let members = self.0.members.iter().map(|p| p.0);
        let numbers = members.chain(self.0.start.iter().map(|c| c.0));
        if numbers.chain([self.0.id.major, self.0.id.minor]).any(|n| n > NUMBER_MAX) {
            return Err(ViewError::Number);
        }
        Ok(())
    }

    /// The initial singleton view of `p`, in which each incarnation starts.
    #[must_use]
    pub fn initial(p: ProcessId) -> Self {
        Self::from(Triple {
            id: ViewId::default(),
            members: Members::from_slice(&[p]),
            start: SmallVec::from_slice(&[Cid(0)]),
        })
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> ViewId {
        self.0.id
    }

    /// The members, ascending.
    #[must_use]
    pub fn members(&self) -> &[ProcessId] {
        &self.0.members
    }

    /// The local ids, in the order of [`View::members`].
    #[must_use]
    pub fn start_ids(&self) -> &[Cid] {
        &self.0.start
    }

    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.members.len()
    }

    /// Always false: a view has members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.members.is_empty()
    }

    /// The position of `p` among the members.
    #[must_use]
    pub fn rank(&self, p: ProcessId) -> Option<Rank> {
        // A view has at most VIEW_MEMBERS_MAX members, so the index fits.
        self.0.members.binary_search(&p).ok().map(|i| i as Rank)
    }

    /// Whether `p` is a member.
    #[must_use]
    pub fn contains(&self, p: ProcessId) -> bool {
        self.rank(p).is_some()
    }

    /// The local id of the start_change that this view answers at `p`.
    #[must_use]
    pub fn start(&self, p: ProcessId) -> Option<Cid> {
        self.rank(p).map(|r| self.0.start[usize::from(r)])
    }

    /// 64 bits of the triple (FNV-1a), in each packet of the view: by them packets find their view.
    /// They never decide alone that two views are equal.
    ///
    /// Two views of a group that have the same by accident, which happens once in 2^64, and members
    /// of both that hear each other: packets of the one would be taken for packets of the other
    /// (S5). It is no defence against those who make ids up, who find two such views with ease.
    /// Where packets are sealed, each view has a secret of its own, and none opens in another one.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.0.fingerprint
    }
}

/// `<4, {1,2,3}, [8,9,3]>`.
impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}, {}, [", self.0.id, DisplaySet(&self.0.members))?;
        for (i, c) in self.0.start.iter().enumerate() {
            write!(f, "{}{c}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("]>")
    }
}

/// Names the view that the sender `q` of a sync message is in, without ambiguity: a process is
/// given at most one view for each of its cids (M5), so the id and `start(q)` decide. The
/// fingerprint guards against a sender that breaks the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ViewKey {
    /// The id of the view.
    pub id: ViewId,
    /// The view's local id at the sender.
    pub start: Cid,
    /// [`View::fingerprint`] of the view.
    pub fingerprint: u64,
}

impl ViewKey {
    /// The key of `view` in a sync message of `q`; `None` if `q` is not a member.
    #[must_use]
    pub fn of(view: &View, q: ProcessId) -> Option<Self> {
        Some(Self { id: view.id(), start: view.start(q)?, fingerprint: view.fingerprint() })
    }
}

/// Shows a set of processes as `{1,2,3}`.
#[derive(Clone, Copy, Debug)]
pub struct DisplaySet<'a>(pub &'a [ProcessId]);

impl fmt::Display for DisplaySet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, p) in self.0.iter().enumerate() {
            write!(f, "{}{p}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made of `8yn0iYCKYHlIj4-BwPqk` and `GReLUrM4wMqfg9yzV3KQ`, which are known to collide. Their
    /// numbers are beyond [`NUMBER_MAX`]: no server makes such views, and none that came from
    /// outside would be taken.
    #[test]
    fn views_with_one_fingerprint_are_different() {
        let with = |major, minor, p| {
            let members = [ProcessId(p), ProcessId(2_000_000_000)];
            View::unchecked(ViewId { major, minor }, &members, &[Cid(7), Cid(8)])
        };
        let one = with(5_423_276_684_603_193_656, 4_768_525_211_558_234_201, 1_802_588_279);
        let other = with(3_768_794_173_858_468_423, 8_825_148_061_072_313_719, 1_363_882_838);
        assert_eq!(one.fingerprint(), other.fingerprint());
        assert_ne!(one, other);
        let key = |view| ViewKey::of(view, ProcessId(2_000_000_000)).unwrap();
        assert_ne!(key(&one), key(&other), "a sync message says which one it is of");
    }

    #[test]
    fn view_read_back_equals_the_written_one() {
        let id = ViewId { major: 7, minor: 2 };
        let view = View::new(id, &[ProcessId(1), ProcessId(4)], &[Cid(8), Cid(9)]).unwrap();
        let mut bytes = [0; 64];
        let written = postcard::to_slice(&view, &mut bytes).unwrap();
        assert_eq!(written, [7, 2, 2, 1, 4, 2, 8, 9], "the fingerprint is not written");
        let read: View = postcard::from_bytes(written).unwrap();
        assert_eq!((read.fingerprint(), &read), (view.fingerprint(), &view));
    }
}
