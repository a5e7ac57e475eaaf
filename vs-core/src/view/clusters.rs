//! Which members of a view came together, and what each of them hands in ahead of it.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};

use super::{Members, ViewKey};
use crate::ident::{ProcessId, ViewId};

/// Most bytes of a [`Note`].
pub const NOTE_MAX: usize = 32;

/// What an application tells all members of the next view before it is there: up to [`NOTE_MAX`]
/// bytes that travel with the process's sync message. Where nothing is set it is empty.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// What follows the note is 0.
    bytes: [u8; NOTE_MAX],
    len: u8,
}

/// A note has more than [`NOTE_MAX`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoteTooLong {
    /// Its length in bytes.
    pub len: usize,
}

impl fmt::Display for NoteTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the note has {} bytes, and a note has at most {NOTE_MAX}", self.len)
    }
}

impl core::error::Error for NoteTooLong {}

impl Note {
    /// No bytes.
    pub const EMPTY: Self = Self { bytes: [0; NOTE_MAX], len: 0 };

    /// A note of `bytes`.
    ///
    /// # Errors
    /// `bytes` are more than [`NOTE_MAX`].
    pub fn new(bytes: &[u8]) -> Result<Self, NoteTooLong> {
        let mut note = Self::default();
        let place = note.bytes.get_mut(..bytes.len()).ok_or(NoteTooLong { len: bytes.len() })?;
        place.copy_from_slice(bytes);
        note.len = bytes.len() as u8; // at most NOTE_MAX
        Ok(note)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

// An empty note is nothing to hash: a state that is looked up often has one per sync message.
impl Hash for Note {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Note(\"{}\")", self.as_bytes().escape_ascii())
    }
}

impl TryFrom<&[u8]> for Note {
    type Error = NoteTooLong;

    fn try_from(bytes: &[u8]) -> Result<Self, NoteTooLong> {
        Self::new(bytes)
    }
}

/// Members of a view that came together from the same previous view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cluster<'a> {
    /// Who they are, ascending.
    pub members: &'a [ProcessId],
    /// Whether this is the first view of its one member, which comes from its initial view.
    pub fresh: bool,
}

/// The clusters into which the members of a view fall: each member is in one of them, together with
/// all who came with it from the same previous view. A fresh process, which comes from its initial
/// view, is a cluster of its own. All members that install a view are told the same clusters, and
/// each finds its transitional set among them (T7).
///
/// Copies share what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clusters(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    /// The members of the view, ascending.
    places: Vec<Place>,
    /// In the order of their least members.
    clusters: Vec<(Members, bool)>,
}

/// A member of the view.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    process: ProcessId,
    /// The position of its cluster.
    cluster: usize,
    note: Note,
}

impl Clusters {
    /// The clusters of a view with these members, ascending: the view from which each of them says
    /// to come, and its note.
    pub(crate) fn new(members: impl Iterator<Item = (ProcessId, ViewKey, Note)>) -> Self {
        let mut inner = Inner { places: Vec::new(), clusters: Vec::new() };
        let mut settled = BTreeMap::new();
        for (process, view, note) in members {
            let (next, fresh) = (inner.clusters.len(), view.id == ViewId::default());
            let cluster = match fresh {
                true => next,
                // A view has a local id for each member: it is no part of what they share.
                false => *settled.entry((view.id, view.fingerprint)).or_insert(next),
            };
            if cluster == next {
                inner.clusters.push((Members::new(), fresh));
            }
            inner.clusters[cluster].0.push(process);
            inner.places.push(Place { process, cluster, note });
        }
        Self(Arc::new(inner))
    }

    /// The clusters, in the order of their least members.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Cluster<'_>> + '_ {
        self.0.clusters.iter().map(|(members, fresh)| Cluster { members, fresh: *fresh })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.clusters.len()
    }

    /// Always false: a view has members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.clusters.is_empty()
    }

    /// The cluster of `process`; `None` if it is not in the view.
    #[must_use]
    pub fn of(&self, process: ProcessId) -> Option<Cluster<'_>> {
        let (members, fresh) = &self.0.clusters[self.place(process)?.cluster];
        Some(Cluster { members, fresh: *fresh })
    }

    /// The note of `process`, empty if it set none; `None` if it is not in the view.
    #[must_use]
    pub fn note(&self, process: ProcessId) -> Option<Note> {
        self.place(process).map(|place| place.note)
    }

    /// Whether `process` is in the view and comes from its initial view.
    #[must_use]
    pub fn is_fresh(&self, process: ProcessId) -> bool {
        self.of(process).is_some_and(|cluster| cluster.fresh)
    }

    fn place(&self, process: ProcessId) -> Option<&Place> {
        let at = self.0.places.binary_search_by_key(&process, |place| place.process).ok()?;
        self.0.places.get(at)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;
    use crate::ident::Cid;
    use crate::view::View;

    fn p(n: u64) -> ProcessId {
        ProcessId(n)
    }

    fn from(view: &View, q: u64, note: &[u8]) -> (ProcessId, ViewKey, Note) {
        (p(q), ViewKey::of(view, p(q)).unwrap(), Note::new(note).unwrap())
    }

    #[test]
    fn two_sides_and_a_joiner_are_three_clusters() {
        let view = |minor, members: &[u64], start: &[u64]| {
            let members: Vec<_> = members.iter().map(|&q| p(q)).collect();
            let start: Vec<_> = start.iter().map(|&c| Cid(c)).collect();
            View::new(ViewId { major: 7, minor }, &members, &start).unwrap()
        };
        let (left, right) = (view(1, &[1, 3], &[4, 9]), view(2, &[2, 5], &[4, 4]));
        let alone = View::initial(p(4));
        let origins = [
            from(&left, 1, b"a"),
            from(&right, 2, b""),
            from(&left, 3, &[7; NOTE_MAX]),
            from(&alone, 4, b""),
            from(&right, 5, b"b"),
        ];
        let clusters = Clusters::new(origins.into_iter());
        let shown: Vec<_> = clusters.iter().map(|c| (c.members.to_vec(), c.fresh)).collect();
        let expected = [(vec![p(1), p(3)], false), (vec![p(2), p(5)], false), (vec![p(4)], true)];
        assert_eq!((&shown[..], clusters.len()), (&expected[..], 3));
        assert_eq!(clusters.of(p(3)).map(|c| c.members), Some(&[p(1), p(3)][..]));
        assert_eq!((clusters.of(p(6)), clusters.note(p(6))), (None, None));
        assert_eq!(clusters.note(p(5)).unwrap().as_bytes(), b"b");
        assert_eq!(clusters.note(p(3)).unwrap().as_bytes(), [7; NOTE_MAX]);
        assert_eq!(clusters.note(p(2)), Some(Note::default()));
        assert!(clusters.is_fresh(p(4)) && !clusters.is_fresh(p(1)) && !clusters.is_fresh(p(6)));
    }

    #[test]
    fn fresh_processes_are_clusters_of_their_own() {
        let origins = [1, 2, 3].map(|q| from(&View::initial(p(q)), q, b""));
        let clusters = Clusters::new(origins.into_iter());
        assert!(clusters.len() == 3 && clusters.iter().all(|c| c.fresh && c.members.len() == 1));
    }

    #[test]
    fn views_with_one_id_are_two_clusters() {
        // Two servers that do not know of each other may give one id to two views.
        let id = ViewId { major: 7, minor: 1 };
        let [one, other] = [1, 2].map(|q| View::new(id, &[p(q)], &[Cid(3)]).unwrap());
        let clusters = Clusters::new([from(&one, 1, b""), from(&other, 2, b"")].into_iter());
        assert_eq!(clusters.len(), 2);
    }

    #[test]
    fn note_beyond_its_bound_is_refused() {
        let refused = Note::new(&[0; NOTE_MAX + 1]).unwrap_err();
        assert_eq!(refused, NoteTooLong { len: 33 });
        assert_eq!(refused.to_string(), "the note has 33 bytes, and a note has at most 32");
        assert_ne!(Note::new(&[0]), Note::new(&[0, 0]));
    }
}
