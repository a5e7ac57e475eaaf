//! The donor's side of transfers: a snapshot, and the ranges that joiners ask for.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::spool::Written;
use crate::ident::{FNV_OFFSET, ProcessId};
use crate::wire::replica::{Standing, Word};

/// Ranges that wait to be read and sent; more are dropped and asked for again.
const RANGES_MAX: usize = 256;
/// Snapshots of this process that joiners still pull. Of more the oldest is dropped.
pub const SNAPSHOTS_MAX: usize = 2;

/// Bytes of a snapshot that are read at a time.
const READ_BYTES: u64 = 64 << 10;

#[derive(Debug)]
struct Wanted {
    to: ProcessId,
    transfer: u64,
    from: u64,
    upto: u64,
    part: u32,
}

#[derive(Debug)]
struct Snapshot {
    standing: Standing,
    written: Written,
    joiners: BTreeSet<ProcessId>,
}

/// A snapshot that a job writes.
#[derive(Debug)]
struct Writing {
    job: u64,
    standing: Standing,
    joiners: BTreeSet<ProcessId>,
}

/// What a joiner is told about a snapshot.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// There is this one.
    Is(Standing),
    /// There will be one.
    Soon,
    /// There is none here.
    Gone,
}

/// What this process donates.
#[derive(Debug, Default)]
pub(super) struct Donations {
    writing: Option<Writing>,
    snapshots: Vec<Snapshot>,
    wanted: VecDeque<Wanted>,
    about: VecDeque<(ProcessId, Answer)>,
    /// So many of them, the last ones, are not in the trace yet.
    untold: usize,
    /// Bytes of a snapshot that were read ahead, and where they begin.
    read: (Option<Standing>, u64, Vec<u8>),
}

impl Donations {
    /// Joiners who have what they came for, or are gone, need nothing any more.
    pub(super) fn retain(&mut self, is_joining: impl Fn(ProcessId) -> bool) {
        for snapshot in &mut self.snapshots {
            snapshot.joiners.retain(|p| is_joining(*p));
        }
        self.snapshots.retain(|snapshot| !snapshot.joiners.is_empty());
        if let Some(writing) = &mut self.writing {
            writing.joiners.retain(|p| is_joining(*p));
        }
        self.wanted.retain(|wanted| is_joining(wanted.to));
        self.about.retain(|(p, _)| is_joining(*p));
    }

    /// The own state does not count any more: its snapshots are none of the one that does.
    pub(super) fn forget(&mut self) {
        self.snapshots.clear();
        self.writing = None;
        self.read.0 = None;
    }

    /// Whether there is, or will be, a snapshot of at least `since` messages; if so, `joiner`
    /// shares it.
    pub(super) fn share(&mut self, joiner: ProcessId, since: u64) -> bool {
        if let Some(snapshot) = self.snapshots.iter_mut().find(|s| s.standing.at >= since) {
            snapshot.joiners.insert(joiner);
            let standing = snapshot.standing;
            self.tell(joiner, Answer::Is(standing));
            return true;
        }
        match self.writing.as_mut().filter(|writing| writing.standing.at >= since) {
            Some(writing) => {
                writing.joiners.insert(joiner);
                self.tell(joiner, Answer::Soon);
                true
            }
            None => false,
        }
    }

    /// A job writes a snapshot for `joiner`.
    pub(super) fn begin(&mut self, joiner: ProcessId, standing: Standing, job: u64) {
        self.writing = Some(Writing { job, standing, joiners: BTreeSet::from([joiner]) });
    }

    /// The job has come to its end, with a snapshot or without. False if nobody waits for it.
    pub(super) fn handle_written(&mut self, job: u64, written: Option<Written>) -> bool {
        let Some(Writing { standing, joiners, .. }) = self.writing.take_if(|w| w.job == job) else {
            return false;
        };
        if joiners.is_empty() {
            return false;
        }
        let answer = if written.is_some() { Answer::Is(standing) } else { Answer::Gone };
        joiners.iter().for_each(|joiner| self.tell(*joiner, answer));
        if let Some(written) = written {
            if self.snapshots.len() == SNAPSHOTS_MAX {
                self.snapshots.remove(0);
            }
            self.snapshots.push(Snapshot { standing, written, joiners });
        }
        true
    }

    /// There is none for `joiner` here.
    pub(super) fn refuse(&mut self, joiner: ProcessId) {
        self.tell(joiner, Answer::Gone);
    }

    /// There will be one for `joiner`: it asks again.
    pub(super) fn put_off(&mut self, joiner: ProcessId) {
        self.tell(joiner, Answer::Soon);
    }

    fn tell(&mut self, joiner: ProcessId, answer: Answer) {
        if self.about.len() < RANGES_MAX {
            self.about.push_back((joiner, answer));
            self.untold += 1;
        }
    }

    /// Shows the snapshots of which joiners are about to be told: the joiner, the place in the
    /// order, and the hash.
    pub(super) fn take_offers(&mut self, mut show: impl FnMut((ProcessId, u64, u64))) {
        let told = self.about.len().saturating_sub(core::mem::take(&mut self.untold));
        for (to, answer) in self.about.range(told..) {
            let Answer::Is(standing) = *answer else { continue };
            if let Some(snapshot) = self.snapshots.iter().find(|s| s.standing == standing) {
                show((*to, standing.at, snapshot.written.hash().unwrap_or(FNV_OFFSET)));
            }
        }
    }

    /// A joiner asks for the bytes of a range, in parts.
    pub(super) fn handle_range(
        &mut self,
        to: ProcessId,
        transfer: u64,
        (from, upto): (u64, u64),
        part: u32,
    ) {
        if self.wanted.len() < RANGES_MAX && part > 0 {
            self.wanted.push_back(Wanted { to, transfer, from, upto, part });
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.wanted.is_empty() && self.about.is_empty()
    }

    /// Answers as long as `say` takes what is said, in parts of at most `part_max` bytes: what
    /// fits a datagram of the joiner may not fit one of this process.
    pub(super) fn answer(
        &mut self,
        part_max: u32,
        mut say: impl FnMut(ProcessId, &Word<'_>) -> bool,
    ) {
        let Self { snapshots, wanted, about, read, .. } = self;
        while let Some(&(to, answer)) = about.front() {
            let snapshot = |standing| snapshots.iter().find(|s| s.standing == standing);
            let word = match answer {
                Answer::Is(standing) => snapshot(standing).map_or(Word::Gone, |snapshot| {
                    let (len, sum) = (snapshot.written.len(), snapshot.written.sum());
                    Word::About { standing, len, sum }
                }),
                Answer::Soon => Word::Soon,
                Answer::Gone => Word::Gone,
            };
            if !say(to, &word) {
                return;
            }
            about.pop_front();
        }
        while let Some(next) = wanted.front_mut() {
            let (to, transfer) = (next.to, next.transfer);
            let snapshot = snapshots.iter_mut().find(|s| s.standing.transfer() == transfer);
            let Some(Snapshot { standing, written, .. }) = snapshot else {
                wanted.pop_front();
                say(to, &Word::Gone);
                continue;
            };
            let end = next.upto.min(written.len());
            while next.from < end {
                let part = u64::from(next.part.min(part_max)).min(end - next.from);
                let ahead = next.from.checked_sub(read.1).filter(|_| read.0 == Some(*standing));
                let place = ahead.map(|at| at as usize..(at + part) as usize);
                let Some(bytes) = place.and_then(|place| read.2.get(place)) else {
                    read.2.resize(READ_BYTES.max(part).min(end - next.from) as usize, 0);
                    (read.0, read.1) = (Some(*standing), next.from);
                    if written.read_at(next.from, &mut read.2).is_err() {
                        read.0 = None;
                        say(to, &Word::Gone);
                        break;
                    }
                    continue;
                };
                if !say(to, &Word::Part { transfer, from: next.from, bytes }) {
                    return;
                }
                next.from += part;
            }
            wanted.pop_front();
        }
    }
}
