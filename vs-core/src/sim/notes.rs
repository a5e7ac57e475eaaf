//! Notes that an application of the simulator hands in, and what it is told of those of others.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::ident::{FNV_OFFSET, GroupKey, ProcessId, fnv1a};
use crate::view::{Clusters, Note};

/// Bytes of a note: who made it, and its number; others follow.
const HEAD_BYTES: usize = 16;

/// The notes of one process, each with a number of its own, and those that it was told.
#[derive(Debug)]
pub(crate) struct Notes {
    process: ProcessId,
    /// The number of the last own note. Those of an impostor begin high, so that they are told
    /// from those of the process whose id it has.
    last: u64,
    /// The greatest number that was told of each process in each group; of an impostor, too.
    told: Vec<((GroupKey, ProcessId, bool), u64)>,
    /// What all notes of the current view of each group come to.
    digests: Vec<(GroupKey, u64)>,
}

impl Notes {
    /// The notes of `process`, which are numbered from `begin` on.
    pub(crate) fn new(process: ProcessId, begin: u64) -> Self {
        Self { process, last: begin, told: Vec::new(), digests: Vec::new() }
    }

    /// A note that was not there before, of 16 to 32 bytes.
    pub(crate) fn next(&mut self) -> Note {
        self.last += 1;
        let mut bytes = Vec::from(self.process.0.to_le_bytes());
        bytes.extend(self.last.to_le_bytes());
        bytes.resize(HEAD_BYTES + (self.last % 17) as usize, self.process.0 as u8);
        Note::new(&bytes).unwrap_or_default()
    }

    /// A view of `group` tells `clusters`. Answers what is wrong with the notes. `begin` parts the
    /// numbers of an impostor from those of others.
    pub(crate) fn handle_view(
        &mut self,
        group: GroupKey,
        clusters: &Clusters,
        begin: u64,
    ) -> Option<String> {
        let (mut digest, mut wrong) = (FNV_OFFSET, None);
        for &q in clusters.iter().flat_map(|cluster| cluster.members) {
            let note = clusters.note(q).unwrap_or_default();
            digest = fnv1a(fnv1a(digest, &q.0.to_le_bytes()), note.as_bytes());
            if note.is_empty() {
                continue;
            }
            let Some(number) = number_of(note, q) else {
                wrong = Some(format!("{q} never made the note {note:?}"));
                continue;
            };
            let key = (group, q, number >= begin);
            match self.told.iter_mut().find(|(known, _)| *known == key) {
                Some((_, last)) if number < *last => {
                    wrong = Some(format!("note {number} of {q} came after its note {last}"));
                }
                Some((_, last)) => *last = number,
                None => self.told.push((key, number)),
            }
        }
        self.forget(group);
        self.digests.push((group, digest));
        wrong
    }

    /// The group is left, or its view is over.
    pub(crate) fn forget(&mut self, group: GroupKey) {
        self.digests.retain(|(known, _)| *known != group);
    }

    /// What all who are in the current view of `group` were told.
    pub(crate) fn shown(&self, group: GroupKey) -> Option<String> {
        let (_, digest) = self.digests.iter().find(|(known, _)| *known == group)?;
        Some(format!("notes {digest:016x}"))
    }

    /// The process has crashed.
    pub(crate) fn clear(&mut self) {
        self.digests.clear();
    }
}

/// The number of a note that `q` made.
fn number_of(note: Note, q: ProcessId) -> Option<u64> {
    let (head, rest) = note.as_bytes().split_at_checked(HEAD_BYTES)?;
    let (process, number) = head.split_at(HEAD_BYTES / 2);
    let number = u64::from_le_bytes(number.try_into().ok()?);
    let is_whole = process == q.0.to_le_bytes() && rest.len() as u64 == number % 17;
    (is_whole && rest.iter().all(|byte| *byte == q.0 as u8)).then_some(number)
}
