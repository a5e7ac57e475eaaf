//! Control messages: sync messages and requests for them, in datagrams of their own.
//!
//! They name process, incarnation, cid and the full old view ([rule
//! 5.3](crate::manual::algorithm#rule-5-3)), since they cross from view to view and so bypass the
//! filter by fingerprint. A cut is split by rank ranges over as many datagrams as it takes.
//!
//! ```text
//! sync     40 process | incarnation: milliseconds, nonce | cid
//!          old view: id major, id minor, start cid, fingerprint
//!          length of the whole cut | first rank | list of (ranks, packets received)
//!          optional fields
//! request  40 process | list of (process, cid), at most 16 | optional fields
//! ```
//!
//! - The fields stand one after the other. Each number is a varint: seven bits a byte, the least
//!   first; the highest bit says that more follow. Ranks and lengths of cuts have at most 16 bits,
//!   all others have 64.
//! - A list is its length as a varint, then its elements.
//! - Process, milliseconds, cid, view id, start cid and packets are at most 2^53 - 1.
//! - A run `(ranks, packets)` of a cut says the same number for one rank or more. A part ends
//!   within the whole cut, which has at most 2,048 ranks.
//! - An optional field is a tag u8, a length as a varint, and so many bytes. A reader skips a field
//!   whose tag it does not know. Of a sync message, tag 1 is `safe`, a varint of at most 2^53 - 1:
//!   up to which slot of the order all members are known to have everything. It is left out if 0.
//!   Tag 2 is `note`, of at most 32 bytes: what the sender's application hands in, in a group with
//!   clusters. It is left out if empty. Where there are keys, the last field shows who says it.
//!   Tag 3 is `proof`, of 96 bytes: the public key of the incarnation, whose hash is its nonce, and
//!   its signature of the group's key and of all that stands before the field. Tag 4 is `stamps`:
//!   that public key, and at most 32 stamps of 16 bytes, each of the same for one receiver.
//!
//! `SyncFields` and `RequestFields` are what stands on the wire; `SyncMessage` and
//! `SyncRequest` are what was checked.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::ident::{Cid, Incarnation, NUMBER_MAX, ProcessId, Seq, ViewId};
use crate::view::{Note, VIEW_MEMBERS_MAX, ViewKey};
use crate::wire::bytes::{are_options, option};
use crate::wire::datagram::Header;
use crate::wire::packet::{self, SYNC_HEADER_BYTES};
use crate::wire::shown::Shown;

/// The tag of the optional field `safe` of a sync message.
const SAFE_TAG: u8 = 1;

/// The tag of the optional field `note` of a sync message.
const NOTE_TAG: u8 = 2;

/// Bytes of a varint of 64 bits, at most.
const VARINT_BYTES: usize = 10;

/// Bytes of the fields of a sync message without its runs, at most: `safe` with its tag and its
/// length is one of them.
const SYNC_FIXED_BYTES: usize = 9 * VARINT_BYTES + 3 * 3 + 2;

/// Bytes of one run of a cut, at most.
const RUN_BYTES: usize = 3 + 10;

/// Sync messages that one request names, at most.
pub(crate) const REQUESTS_MAX: usize = 16;

/// The fields of a sync message, in order, as postcard writes them.
#[derive(Serialize, Deserialize)]
struct SyncFields {
    process: u64,
    millis: u64,
    nonce: u64,
    cid: u64,
    view_major: u64,
    view_minor: u64,
    view_start: u64,
    view_fingerprint: u64,
    total: u16,
    first: u16,
    runs: Vec<(u16, u64)>,
}

/// The fields of a request, in order, as postcard writes them.
#[derive(Serialize, Deserialize)]
struct RequestFields {
    process: u64,
    wanted: Vec<(u64, u64)>,
}

/// A part of a sync message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyncMessage {
    pub(crate) process: ProcessId,
    pub(crate) incarnation: Incarnation,
    pub(crate) cid: Cid,
    /// The view that the sender is in.
    pub(crate) view: ViewKey,
    /// Length of the whole cut.
    pub(crate) total: u16,
    /// The first rank of this part.
    pub(crate) first: u16,
    /// Packets received without a gap, by rank in `view`: how many ranks have the same number, and
    /// the number. In a large view few members send.
    pub(crate) runs: Vec<(u16, Seq)>,
    /// Up to which slot of the order everything is known to be at all members; 0 where that is of
    /// no interest.
    pub(crate) safe: Seq,
    /// What the sender's application hands in.
    pub(crate) note: Note,
}

impl SyncMessage {
    /// The part of the cut, rank by rank.
    pub(crate) fn cut(&self) -> impl Iterator<Item = Seq> + '_ {
        self.runs.iter().flat_map(|&(ranks, seq)| core::iter::repeat_n(seq, usize::from(ranks)))
    }
}

impl From<&SyncMessage> for SyncFields {
    fn from(message: &SyncMessage) -> Self {
        let SyncMessage { process, incarnation, cid, view, total, first, runs, .. } = message;
        Self {
            process: process.0,
            millis: incarnation.millis(),
            nonce: incarnation.nonce(),
            cid: cid.0,
            view_major: view.id.major,
            view_minor: view.id.minor,
            view_start: view.start.0,
            view_fingerprint: view.fingerprint,
            total: *total,
            first: *first,
            runs: runs.clone(),
        }
    }
}

impl TryFrom<SyncFields> for SyncMessage {
    type Error = OutOfBounds;

    fn try_from(fields: SyncFields) -> Result<Self, OutOfBounds> {
        let SyncFields { total, first, runs, .. } = fields;
        let ranks = runs.iter().map(|(ranks, _)| usize::from(*ranks));
        let end = ranks.fold(usize::from(first), usize::saturating_add);
        let is_part = (1..=VIEW_MEMBERS_MAX).contains(&usize::from(total))
            && end <= usize::from(total)
            && runs.iter().all(|&(ranks, seq)| ranks > 0 && seq <= NUMBER_MAX);
        if !is_part {
            return Err(OutOfBounds);
        }
        let id = ViewId { major: number(fields.view_major)?, minor: number(fields.view_minor)? };
        let (start, fingerprint) = (Cid(number(fields.view_start)?), fields.view_fingerprint);
        Ok(Self {
            process: ProcessId(number(fields.process)?),
            incarnation: Incarnation::new(number(fields.millis)?).with_nonce(fields.nonce),
            cid: Cid(number(fields.cid)?),
            view: ViewKey { id, start, fingerprint },
            total,
            first,
            runs,
            safe: 0,
            note: Note::default(),
        })
    }
}

/// Asks for sync messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyncRequest {
    /// Who asks.
    pub(crate) process: ProcessId,
    /// Whose sync messages, for which of their cids.
    pub(crate) wanted: Vec<(ProcessId, Cid)>,
}

impl From<&SyncRequest> for RequestFields {
    fn from(request: &SyncRequest) -> Self {
        let wanted = request.wanted.iter().map(|(process, cid)| (process.0, cid.0)).collect();
        Self { process: request.process.0, wanted }
    }
}

impl TryFrom<RequestFields> for SyncRequest {
    type Error = OutOfBounds;

    fn try_from(fields: RequestFields) -> Result<Self, OutOfBounds> {
        if fields.wanted.len() > REQUESTS_MAX {
            return Err(OutOfBounds);
        }
        let wanted = fields.wanted.iter();
        let wanted = wanted.map(|&(p, cid)| Ok((ProcessId(number(p)?), Cid(number(cid)?))));
        let (process, wanted) =
            (ProcessId(number(fields.process)?), wanted.collect::<Result<_, _>>()?);
        Ok(Self { process, wanted })
    }
}

/// A field is beyond its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfBounds;

fn number(n: u64) -> Result<u64, OutOfBounds> {
    if n <= NUMBER_MAX { Ok(n) } else { Err(OutOfBounds) }
}

/// The runs of `cut` that fit a sync message with `note` in a datagram of `datagram_bytes`, and how
/// many ranks they are.
pub(crate) fn runs(cut: &[Seq], note: Note, datagram_bytes: usize) -> (Vec<(u16, Seq)>, usize) {
    let fixed = SYNC_HEADER_BYTES + SYNC_FIXED_BYTES + note_bytes(note);
    let runs_max = datagram_bytes.saturating_sub(fixed) / RUN_BYTES;
    let same = cut.chunk_by(|a, b| a == b).take(runs_max);
    let runs: Vec<(u16, Seq)> = same.map(|run| (run.len() as u16, run[0])).collect();
    let ranks = runs.iter().map(|(ranks, _)| usize::from(*ranks)).sum();
    (runs, ranks)
}

/// Writes a sync message, with what `show` has to show of it behind it; its length, or `None` if
/// `out` is too short.
pub(crate) fn encode_sync(
    out: &mut [u8],
    header: &Header,
    message: &SyncMessage,
    show: impl FnOnce(&[u8]) -> Option<Shown>,
) -> Option<usize> {
    let mut len = put(&SyncFields::from(message), out)?;
    if message.safe > 0 {
        len += put_safe(message.safe, out.get_mut(SYNC_HEADER_BYTES + len..)?)?;
    }
    if !message.note.is_empty() {
        let out = out.get_mut(SYNC_HEADER_BYTES + len..)?;
        len += put_option(NOTE_TAG, message.note.as_bytes(), out)?;
    }
    let (said, out_behind) = out.get_mut(SYNC_HEADER_BYTES..)?.split_at_mut_checked(len)?;
    if let Some(shown) = show(said) {
        len += shown.put(out_behind)?;
    }
    packet::encode_sync_header(out, header, false, len)
}

/// Writes a request; its length, or `None` if `out` is too short.
pub(crate) fn encode_request(
    out: &mut [u8],
    header: &Header,
    request: &SyncRequest,
) -> Option<usize> {
    let len = put(&RequestFields::from(request), out)?;
    packet::encode_sync_header(out, header, true, len)
}

fn put<F: Serialize>(fields: &F, out: &mut [u8]) -> Option<usize> {
    let used = postcard::to_slice(fields, out.get_mut(SYNC_HEADER_BYTES..)?).ok()?;
    Some(used.len())
}

/// Writes `safe` as an optional field; answers its length.
fn put_safe(safe: Seq, out: &mut [u8]) -> Option<usize> {
    let mut value = [0; VARINT_BYTES];
    let value = postcard::to_slice(&safe, &mut value).ok()?;
    put_option(SAFE_TAG, value, out)
}

/// Writes an optional field; answers its length.
fn put_option(tag: u8, value: &[u8], out: &mut [u8]) -> Option<usize> {
    Some(postcard::to_slice(&(tag, value), out).ok()?.len())
}

/// Bytes of `note` as an optional field: a tag, a length that takes one byte, and the note.
fn note_bytes(note: Note) -> usize {
    if note.is_empty() { 0 } else { 2 + note.as_bytes().len() }
}

/// What a sync message says as it stands on the wire, and what shows who says it; none if nothing
/// does.
pub(crate) fn shown(bytes: &[u8]) -> Option<(&[u8], Shown)> {
    let (_, options) = postcard::take_from_bytes::<SyncFields>(bytes).ok()?;
    Shown::behind(bytes, options)
}

/// Reads a part of a sync message; `None` if it is malformed.
pub(crate) fn decode_sync(bytes: &[u8]) -> Option<SyncMessage> {
    let (fields, options) = postcard::take_from_bytes::<SyncFields>(bytes).ok()?;
    let mut message = SyncMessage::try_from(are_options(options).then_some(fields)?).ok()?;
    if let Some(safe) = option(options, SAFE_TAG) {
        let (safe, rest) = postcard::take_from_bytes(safe).ok()?;
        message.safe = number(rest.is_empty().then_some(safe)?).ok()?;
    }
    if let Some(note) = option(options, NOTE_TAG) {
        message.note = Note::new(note).ok()?;
    }
    Some(message)
}

/// Reads a request; `None` if it is malformed.
pub(crate) fn decode_request(bytes: &[u8]) -> Option<SyncRequest> {
    let (fields, options) = postcard::take_from_bytes::<RequestFields>(bytes).ok()?;
    are_options(options).then_some(fields)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::NOTE_MAX;

    fn message() -> SyncMessage {
        SyncMessage {
            process: ProcessId(300),
            incarnation: Incarnation::new(1_700_000_000_000),
            cid: Cid(9),
            view: ViewKey {
                id: ViewId { major: 70_000, minor: 2 },
                start: Cid(8),
                fingerprint: u64::MAX,
            },
            total: 4,
            first: 1,
            runs: alloc::vec![(2, 7), (1, NUMBER_MAX)],
            safe: 0,
            note: Note::default(),
        }
    }

    fn fields(message: &SyncMessage) -> Vec<u8> {
        postcard::to_allocvec(&SyncFields::from(message)).unwrap()
    }

    #[test]
    fn unknown_optional_fields_are_skipped() {
        let bytes = fields(&message());
        assert_eq!(decode_sync(&bytes), Some(message()));
        for options in [&[9, 0][..], &[9, 2, 1, 1, 10, 1, 1]] {
            let with = [&bytes[..], options].concat();
            assert_eq!(decode_sync(&with), Some(message()));
            assert_eq!(decode_sync(&with[..with.len() - 1]), None, "cut short");
        }
        let request =
            SyncRequest { process: ProcessId(1), wanted: alloc::vec![(ProcessId(2), Cid(3))] };
        let bytes = postcard::to_allocvec(&RequestFields::from(&request)).unwrap();
        assert_eq!(decode_request(&[&bytes[..], &[7, 1, 0]].concat()), Some(request));
    }

    #[test]
    fn number_of_safe_slots_comes_back() {
        for safe in [0, 1, 300, NUMBER_MAX] {
            let message = SyncMessage { safe, ..message() };
            let mut out = [0; 300];
            let header = Header { rank: 0, group: crate::ident::GroupKey(1), fingerprint: 2 };
            let len = encode_sync(&mut out, &header, &message, |_| None).unwrap();
            assert_eq!(decode_sync(&out[SYNC_HEADER_BYTES..len]), Some(message));
        }
        let beyond =
            [&fields(&message())[..], &[1, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]];
        assert_eq!(decode_sync(&beyond.concat()), None);
    }

    #[test]
    fn note_comes_back_and_a_longer_one_is_malformed() {
        for len in [0, 1, 31, NOTE_MAX] {
            let note = Note::new(&[0xab; NOTE_MAX][..len]).unwrap();
            let message = SyncMessage { note, safe: 7, ..message() };
            let mut out = [0; 300];
            let header = Header { rank: 0, group: crate::ident::GroupKey(1), fingerprint: 2 };
            let len = encode_sync(&mut out, &header, &message, |_| None).unwrap();
            let body = &out[SYNC_HEADER_BYTES..len];
            assert_eq!(body.len(), fields(&message).len() + 3 + note_bytes(note));
            assert_eq!(decode_sync(body), Some(message));
        }
        let longer = [&fields(&message())[..], &[2, 33], &[1; NOTE_MAX + 1]];
        assert_eq!(decode_sync(&longer.concat()), None);
    }

    #[test]
    fn fields_beyond_their_bounds_are_malformed() {
        let wrong: [fn(&mut SyncMessage); 8] = [
            |m| m.process.0 = NUMBER_MAX + 1,
            |m| m.cid.0 = NUMBER_MAX + 1,
            |m| m.view.id.major = NUMBER_MAX + 1,
            |m| m.view.start.0 = NUMBER_MAX + 1,
            |m| m.total = 3,
            |m| m.total = VIEW_MEMBERS_MAX as u16 + 1,
            |m| m.runs[0].0 = 0,
            |m| m.runs[0].1 = NUMBER_MAX + 1,
        ];
        for (i, change) in wrong.iter().enumerate() {
            let mut message = message();
            change(&mut message);
            assert_eq!(decode_sync(&fields(&message)), None, "{i}");
        }
    }

    #[test]
    fn the_longest_fields_fit_as_computed() {
        let max = SyncFields {
            process: u64::MAX,
            millis: u64::MAX,
            nonce: u64::MAX,
            cid: u64::MAX,
            view_major: u64::MAX,
            view_minor: u64::MAX,
            view_start: u64::MAX,
            view_fingerprint: u64::MAX,
            total: u16::MAX,
            first: u16::MAX,
            runs: alloc::vec![(u16::MAX, u64::MAX); 200],
        };
        let len = postcard::to_allocvec(&max).unwrap().len();
        assert!(len <= SYNC_FIXED_BYTES + 200 * RUN_BYTES, "{len}");
    }
}
