//! What stands behind the messages of a packet in a group of another order than FIFO.
//!
//! ```text
//! (rank u16, packets u32) for each record | after u32 | number of records u8
//! ```
//!
//! It is read from the end of the body. Numbers are little-endian.
//!
//! With one order for all members, a record says how many further packets of a member come next in
//! the order, or, if that is 0, that this member leads from the next slot on. The lead passes in a
//! packet in which a message ends or which holds none; of several such records the last counts.
//! `after` is the low half of the number of the last slot of which the sender had delivered
//! something when it sealed the packet.
//!
//! In a causal group, `packets` is the low half of the number of the last packet of a member of
//! which the sender had delivered something when it sealed the packet. There is a record only where
//! that has grown since the packet before. `after` is 0.

use crate::ident::{Rank, Seq};

/// Bytes of one record.
const RECORD_BYTES: usize = 6;
/// Bytes behind the records.
const END_BYTES: usize = 5;
/// Records that each packet has room for. Others find what messages leave, or go in packets of
/// their own.
pub(crate) const RECORDS_RESERVED: usize = 4;
/// Bytes of a body that are kept for the trailer.
pub(crate) const TRAILER_ROOM: usize = END_BYTES + RECORDS_RESERVED * RECORD_BYTES;
/// Records in one trailer, at most.
const RECORDS_MAX: usize = u8::MAX as usize;

/// With one order for all, so many further packets of a member come next. A record of none passes
/// the lead to the member: its packets say what comes next from there on. In a causal group: the
/// low half of the last packet of a member that comes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The member.
    pub rank: Rank,
    /// How many of its packets, or the low half of the number of one.
    pub packets: u32,
}

impl Record {
    /// The record that passes the lead to `rank`.
    #[must_use]
    pub fn of_new_leader(rank: Rank) -> Self {
        Self { rank, packets: 0 }
    }

    /// Whether it passes the lead to its member.
    #[must_use]
    pub fn passes_lead(self) -> bool {
        self.packets == 0
    }
}

/// The trailer of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer<'a> {
    records: &'a [u8],
    after: u32,
}

impl Trailer<'_> {
    /// The record at place `at`, from 0.
    #[must_use]
    pub fn record(&self, at: usize) -> Option<Record> {
        let record = self.records.get(at * RECORD_BYTES..)?.first_chunk::<RECORD_BYTES>()?;
        let [a, b, packets @ ..] = *record;
        Some(Record { rank: u16::from_le_bytes([a, b]), packets: u32::from_le_bytes(packets) })
    }

    /// The records from place `first` on.
    pub(crate) fn records_from(&self, first: usize) -> impl Iterator<Item = Record> + '_ {
        (first..).map_while(|at| self.record(at))
    }

    /// Whether the sender may have delivered something of slot `slot`, or of a later one, before it
    /// sealed the packet. Slots that are compared are less than 2^31 apart: a window is smaller.
    #[must_use]
    pub fn follows(&self, slot: Seq) -> bool {
        // The difference of the low halves, with its sign.
        self.after.wrapping_sub(slot as u32) as i32 >= 0
    }
}

/// Records that find room in a trailer of `bytes`.
#[must_use]
pub(crate) const fn records_in(bytes: usize) -> usize {
    let room = bytes.saturating_sub(END_BYTES) / RECORD_BYTES;
    if room < RECORDS_MAX { room } else { RECORDS_MAX }
}

/// Parts a body into what comes before the trailer, and the trailer; `None` if it has none.
#[must_use]
pub fn split(body: &[u8]) -> Option<(&[u8], Trailer<'_>)> {
    let (rest, end) = body.split_last_chunk::<END_BYTES>()?;
    let [after @ .., records] = *end;
    let at = rest.len().checked_sub(usize::from(records) * RECORD_BYTES)?;
    let (content, records) = rest.split_at(at);
    Some((content, Trailer { records, after: u32::from_le_bytes(after) }))
}

/// Writes a trailer behind the first `used` bytes of `body`: of `records` as many as find room. The
/// caller has kept room for one without records. Answers how many bytes of the body are used then.
pub(crate) fn append(
    body: &mut [u8],
    used: usize,
    after: Seq,
    records: impl Iterator<Item = Record>,
) -> usize {
    let room = records_in(body.len().saturating_sub(used));
    let (mut at, mut count) = (used, 0);
    for record in records.take(room) {
        let place = &mut body[at..at + RECORD_BYTES];
        place[..2].copy_from_slice(&record.rank.to_le_bytes());
        place[2..].copy_from_slice(&record.packets.to_le_bytes());
        (at, count) = (at + RECORD_BYTES, count + 1);
    }
    // The low half: receivers know the rest.
    body[at..at + 4].copy_from_slice(&(after as u32).to_le_bytes());
    body[at + 4] = count;
    at + END_BYTES
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn records() -> impl Iterator<Item = Record> {
        (0..).map(|rank| Record { rank, packets: u32::from(rank) * 70_000 })
    }

    #[test]
    fn trailer_takes_as_many_records_as_find_room() {
        for (len, count) in [(5, 0), (10, 0), (11, 1), (29, 4), (4000, 255)] {
            let mut body = vec![0xaa; 3 + len];
            let used = append(&mut body, 3, 1 << 33 | 7, records());
            let (content, trailer) = split(&body[..used]).unwrap();
            assert_eq!((content, used), (&[0xaa; 3][..], 3 + 5 + count * 6), "{len}");
            let read: Vec<Record> = (0..).map_while(|at| trailer.record(at)).collect();
            assert_eq!(read, records().take(count).collect::<Vec<_>>());
            assert!(trailer.follows(7) && !trailer.follows(8));
        }
    }

    #[test]
    fn slots_are_compared_beyond_32_bits() {
        let mut body = [0; 5];
        append(&mut body, 0, 1 << 32, core::iter::empty());
        let (_, trailer) = split(&body).unwrap();
        assert!(trailer.follows((1 << 32) - 1) && !trailer.follows((1 << 32) + 1));
    }

    #[test]
    fn bytes_without_room_for_their_records_are_no_trailer() {
        assert_eq!(split(&[0; 4]), None);
        assert_eq!(split(&[0, 0, 0, 0, 1]), None);
        assert!(split(&[0; 5]).is_some());
    }
}
