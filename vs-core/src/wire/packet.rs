//! Datagrams: fixed offsets, little-endian. [`decode`] checks; what it hands out can be trusted in form, and borrows
//! from the bytes. Reserved bits are zero when sent and ignored when received.
//!
//! ```text
//! all   0 "VS" | 2 version | 3 kind | 4 flags | 5 key epoch (0) | 6 rank of the transmitter u16
//!       8 group key u64 | 16 fingerprint of the view u64
//! data  24 rank of the origin u16 | 26 reserved | 32 packet number u64 | 40 stable u64 | 48 body
//! ack   24 first rank u16 | 26 count u16 | 28 reserved | 32 (received u64, credit u64) a rank
//! nak   24 rank of the origin u16 | 26 target u16 | 28 count u16 | 30 reserved | 32 (from u64, upto u64) a range
//! beat  24 highest u64 | 32 stable u64 | 40 view id major u64 | 48 minor u64
//! sync, sync request  24 payload (see the control messages)
//! reach 24 process u64 | 32 target u64
//! ```

use crate::ident::{GroupKey, Rank, Seq, ViewId};
pub use crate::ranges::SeqRange;
use crate::wire::PROTOCOL_VERSION;
use crate::wire::reach::{self, Reach};

/// The first bytes of every datagram.
pub const MAGIC: [u8; 2] = *b"VS";
/// Bytes that all datagrams begin with.
pub const HEADER_BYTES: usize = 24;
/// Bytes before the body of a data packet.
pub const DATA_HEADER_BYTES: usize = 48;
/// Where a data packet says how many bytes at its end are padding.
const PADDING_AT: usize = 26;
/// Bytes before the entries of an acknowledgement.
pub const ACK_HEADER_BYTES: usize = 32;
/// Bytes of an entry of an acknowledgement.
pub const ACK_ENTRY_BYTES: usize = 16;
/// Bytes before the ranges of a report of gaps.
pub const NAK_HEADER_BYTES: usize = 32;
/// Bytes of a range.
pub const NAK_RANGE_BYTES: usize = 16;
/// Most ranges in one report of gaps.
pub const NAK_RANGES_MAX: usize = 64;
/// Bytes of a heartbeat.
pub const HEARTBEAT_BYTES: usize = 56;

/// Data: the body is a part of one message.
pub const FLAG_FRAGMENT: u8 = 1;
/// Data: … its first part, which begins with the length of the whole.
pub const FLAG_FIRST: u8 = 2;
/// Data: … its last part.
pub const FLAG_LAST: u8 = 4;
/// Data: the messages go between members, and are not the application's.
pub const FLAG_INTERNAL: u8 = 8;
/// All: it goes to the whole group, by multicast or in copies; without it, to one member alone.
pub const FLAG_GROUP: u8 = 0x80;
/// Heartbeat: the transmitter lacks acknowledgements or credit; everybody answers with an acknowledgement.
pub const FLAG_SOLICIT: u8 = 1;

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A packet of a stream.
    Data = 1,
    /// An acknowledgement.
    Ack = 2,
    /// A report of gaps.
    Nak = 3,
    /// A sign of life.
    Heartbeat = 4,
    /// A sync message.
    Sync = 5,
    /// A request for sync messages.
    SyncRequest = 6,
    /// Whether multicasts are heard.
    Reach = 7,
}

/// The fields that all datagrams have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The transmitter's rank in the view.
    pub rank: Rank,
    /// The group.
    pub group: GroupKey,
    /// The fingerprint of the view.
    pub fingerprint: u64,
}

/// A checked datagram.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The common fields.
    pub header: Header,
    /// Whether it went to the whole group ([`FLAG_GROUP`]).
    pub to_group: bool,
    /// The rest.
    pub content: Content<'a>,
}

/// What a datagram says.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A packet of a stream.
    Data(Data<'a>),
    /// An acknowledgement.
    Ack(Ack<'a>),
    /// A report of gaps.
    Nak(Nak<'a>),
    /// A sign of life.
    Heartbeat(Heartbeat),
    /// A sync message, not yet decoded.
    Sync(&'a [u8]),
    /// A request for sync messages, not yet decoded.
    SyncRequest(&'a [u8]),
    /// Whether multicasts are heard.
    Reach(Reach),
}

/// A packet of a stream. The body is checked by the receiver, which knows the sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// [`FLAG_FRAGMENT`], [`FLAG_FIRST`], [`FLAG_LAST`], [`FLAG_INTERNAL`].
    pub flags: u8,
    /// Whose stream.
    pub origin: Rank,
    /// The number of the packet in it.
    pub seq: Seq,
    /// Up to where the stream is stable, as the transmitter knows it.
    pub stable: Seq,
    /// Messages, or a fragment.
    pub body: &'a [u8],
}

/// What the transmitter has of the streams of some ranks.
#[derive(Clone, Copy, Debug)]
pub struct Ack<'a> {
    /// The rank of the first entry.
    pub first: Rank,
    entries: &'a [u8],
}

/// What a member has of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckEntry {
    /// Its gap-free prefix.
    pub received: Seq,
    /// The highest packet that it has room for.
    pub credit: Seq,
}

impl<'a> Ack<'a> {
    /// The entries, of rank [`Ack::first`] and the ones after it.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = AckEntry> + use<'a> {
        self.entries.chunks_exact(ACK_ENTRY_BYTES).map(|entry| {
            let raw = Raw(entry);
            AckEntry { received: raw.u64_at(0), credit: raw.u64_at(8) }
        })
    }
}

/// Gaps in a stream.
#[derive(Clone, Copy, Debug)]
pub struct Nak<'a> {
    /// Whose stream.
    pub origin: Rank,
    /// Who shall answer.
    pub target: Rank,
    ranges: &'a [u8],
}

impl<'a> Nak<'a> {
    /// The ranges, ascending and without overlap.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = SeqRange> + use<'a> {
        self.ranges.chunks_exact(NAK_RANGE_BYTES).map(|range| {
            let raw = Raw(range);
            SeqRange { from: raw.u64_at(0), upto: raw.u64_at(8) }
        })
    }
}

/// A sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Whether acknowledgements are asked for.
    pub solicit: bool,
    /// The transmitter's highest packet.
    pub highest: Seq,
    /// Up to where its stream is stable.
    pub stable: Seq,
    /// The id of the view that it is in.
    pub view: ViewId,
}

/// Why bytes are not a datagram of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The first bytes are others': not of this protocol.
    Magic,
    /// Another version of the protocol.
    Version(u8),
    /// An unknown kind.
    Kind(u8),
    /// Encrypted under a key that is not known.
    KeyEpoch(u8),
    /// Shorter or longer than its fields say.
    Length,
    /// A field has a value that cannot be.
    Field,
}

/// Bytes as they came: reads fields at fixed places. The caller has checked the length.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl Raw<'_> {
    fn bytes_at<const N: usize>(self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        if let Some(field) = self.0.get(at..at + N) {
            bytes.copy_from_slice(field);
        }
        bytes
    }

    fn u16_at(self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes_at(at))
    }

    pub(super) fn u64_at(self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes_at(at))
    }
}

/// Checks a datagram.
///
/// # Errors
/// Says what is wrong with the bytes; nobody has to care, except for counting and for [`Malformed::Version`].
pub fn decode(bytes: &[u8]) -> Result<Packet<'_>, Malformed> {
    if !bytes.starts_with(&MAGIC) {
        return Err(Malformed::Magic);
    }
    match bytes.get(2) {
        Some(&PROTOCOL_VERSION) => {}
        Some(&version) => return Err(Malformed::Version(version)),
        None => return Err(Malformed::Length),
    }
    if bytes.len() < HEADER_BYTES {
        return Err(Malformed::Length);
    }
    if bytes[5] != 0 {
        return Err(Malformed::KeyEpoch(bytes[5]));
    }
    let raw = Raw(bytes);
    let header =
        Header { rank: raw.u16_at(6), group: GroupKey(raw.u64_at(8)), fingerprint: raw.u64_at(16) };
    let content = match bytes[3] {
        1 => Content::Data(decode_data(bytes)?),
        2 => Content::Ack(decode_ack(bytes)?),
        3 => Content::Nak(decode_nak(bytes)?),
        4 => Content::Heartbeat(decode_heartbeat(bytes)?),
        5 => Content::Sync(&bytes[HEADER_BYTES..]),
        6 => Content::SyncRequest(&bytes[HEADER_BYTES..]),
        7 => Content::Reach(reach::decode(bytes)?),
        kind => return Err(Malformed::Kind(kind)),
    };
    Ok(Packet { header, to_group: bytes[4] & FLAG_GROUP != 0, content })
}

fn decode_data(bytes: &[u8]) -> Result<Data<'_>, Malformed> {
    let raw = Raw(bytes);
    let end = bytes.len().saturating_sub(usize::from(raw.u16_at(PADDING_AT)));
    let Some(body @ [_, ..]) = bytes.get(DATA_HEADER_BYTES..end) else {
        return Err(Malformed::Length);
    };
    let data = Data {
        flags: bytes[4] & (FLAG_FRAGMENT | FLAG_FIRST | FLAG_LAST | FLAG_INTERNAL),
        origin: raw.u16_at(24),
        seq: raw.u64_at(32),
        stable: raw.u64_at(40),
        body,
    };
    if data.seq == 0 { Err(Malformed::Field) } else { Ok(data) }
}

fn decode_ack(bytes: &[u8]) -> Result<Ack<'_>, Malformed> {
    if bytes.len() < ACK_HEADER_BYTES {
        return Err(Malformed::Length);
    }
    let raw = Raw(bytes);
    let entries = &bytes[ACK_HEADER_BYTES..];
    let count = usize::from(raw.u16_at(26));
    if entries.len() != count * ACK_ENTRY_BYTES {
        return Err(Malformed::Length);
    }
    Ok(Ack { first: raw.u16_at(24), entries })
}

fn decode_nak(bytes: &[u8]) -> Result<Nak<'_>, Malformed> {
    if bytes.len() < NAK_HEADER_BYTES {
        return Err(Malformed::Length);
    }
    let raw = Raw(bytes);
    let count = usize::from(raw.u16_at(28));
    let nak =
        Nak { origin: raw.u16_at(24), target: raw.u16_at(26), ranges: &bytes[NAK_HEADER_BYTES..] };
    if nak.ranges.len() != count * NAK_RANGE_BYTES {
        return Err(Malformed::Length);
    }
    if count == 0 || count > NAK_RANGES_MAX {
        return Err(Malformed::Field);
    }
    let mut last = 0;
    for range in nak.ranges() {
        if range.from <= last || range.upto < range.from {
            return Err(Malformed::Field);
        }
        last = range.upto;
    }
    Ok(nak)
}

fn decode_heartbeat(bytes: &[u8]) -> Result<Heartbeat, Malformed> {
    if bytes.len() != HEARTBEAT_BYTES {
        return Err(Malformed::Length);
    }
    let raw = Raw(bytes);
    Ok(Heartbeat {
        solicit: bytes[4] & FLAG_SOLICIT != 0,
        highest: raw.u64_at(24),
        stable: raw.u64_at(32),
        view: ViewId { major: raw.u64_at(40), minor: raw.u64_at(48) },
    })
}

fn put_u16(out: &mut [u8], at: usize, value: u16) {
    out[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(out: &mut [u8], at: usize, value: u64) {
    out[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// Writes the common fields and zeroes the rest of the first `len` bytes of `out`; `None` if `out` is shorter.
pub(super) fn begin<'a>(
    out: &'a mut [u8],
    len: usize,
    kind: Kind,
    flags: u8,
    header: &Header,
) -> Option<&'a mut [u8]> {
    let out = out.get_mut(..len)?;
    out.fill(0);
    out[..2].copy_from_slice(&MAGIC);
    out[2] = PROTOCOL_VERSION;
    out[3] = kind as u8;
    out[4] = flags;
    put_u16(out, 6, header.rank);
    put_u64(out, 8, header.group.0);
    put_u64(out, 16, header.fingerprint);
    Some(out)
}

/// Writes a data packet; its length, or `None` if `out` is too short.
pub fn encode_data(out: &mut [u8], header: &Header, data: &Data<'_>) -> Option<usize> {
    let len = DATA_HEADER_BYTES + data.body.len();
    if out.len() < len {
        return None;
    }
    let head = begin(out, DATA_HEADER_BYTES, Kind::Data, data.flags, header)?;
    put_u16(head, 24, data.origin);
    put_u64(head, 32, data.seq);
    put_u64(head, 40, data.stable);
    out[DATA_HEADER_BYTES..len].copy_from_slice(data.body);
    Some(len)
}

/// Pads the data packet of `len` bytes at the start of `datagram` to all of it: datagrams of one length go out in one
/// run. `datagram` is longer by less than 2^16.
pub fn pad_data(datagram: &mut [u8], len: usize) {
    let padding = datagram.len() - len;
    datagram[len..].fill(0);
    put_u16(datagram, PADDING_AT, padding as u16);
}

/// Marks each of the datagrams of `segment_bytes` (the last may be shorter) as one that goes to the whole group.
pub fn mark_group(datagrams: &mut [u8], segment_bytes: usize) {
    for flags in datagrams.iter_mut().skip(4).step_by(segment_bytes.max(1)) {
        *flags |= FLAG_GROUP;
    }
}

/// How many entries of an acknowledgement fit into `bytes` bytes.
#[must_use]
pub fn ack_entries_max(bytes: usize) -> usize {
    (bytes.saturating_sub(ACK_HEADER_BYTES) / ACK_ENTRY_BYTES).min(usize::from(u16::MAX))
}

/// Writes an acknowledgement of the streams from rank `first` on; its length, or `None` if `out` is too short.
pub fn encode_ack(
    out: &mut [u8],
    header: &Header,
    first: Rank,
    entries: impl ExactSizeIterator<Item = AckEntry>,
) -> Option<usize> {
    let count = u16::try_from(entries.len()).ok()?;
    let len = ACK_HEADER_BYTES + usize::from(count) * ACK_ENTRY_BYTES;
    let out = begin(out, len, Kind::Ack, 0, header)?;
    put_u16(out, 24, first);
    put_u16(out, 26, count);
    for (place, entry) in out[ACK_HEADER_BYTES..].chunks_exact_mut(ACK_ENTRY_BYTES).zip(entries) {
        put_u64(place, 0, entry.received);
        put_u64(place, 8, entry.credit);
    }
    Some(len)
}

/// How many ranges of a report of gaps fit into `bytes` bytes.
#[must_use]
pub fn nak_ranges_max(bytes: usize) -> usize {
    (bytes.saturating_sub(NAK_HEADER_BYTES) / NAK_RANGE_BYTES).min(NAK_RANGES_MAX)
}

/// Writes a report of gaps in the stream of `origin` for `target` to answer; its length, or `None` if `out` is too
/// short or there are no ranges or too many.
pub fn encode_nak(
    out: &mut [u8],
    header: &Header,
    origin: Rank,
    target: Rank,
    ranges: &[SeqRange],
) -> Option<usize> {
    if ranges.is_empty() || ranges.len() > NAK_RANGES_MAX {
        return None;
    }
    let len = NAK_HEADER_BYTES + ranges.len() * NAK_RANGE_BYTES;
    let out = begin(out, len, Kind::Nak, 0, header)?;
    put_u16(out, 24, origin);
    put_u16(out, 26, target);
    put_u16(out, 28, ranges.len() as u16);
    for (place, range) in out[NAK_HEADER_BYTES..].chunks_exact_mut(NAK_RANGE_BYTES).zip(ranges) {
        put_u64(place, 0, range.from);
        put_u64(place, 8, range.upto);
    }
    Some(len)
}

/// Writes a heartbeat; its length, or `None` if `out` is too short.
pub fn encode_heartbeat(out: &mut [u8], header: &Header, beat: &Heartbeat) -> Option<usize> {
    let flags = if beat.solicit { FLAG_SOLICIT } else { 0 };
    let out = begin(out, HEARTBEAT_BYTES, Kind::Heartbeat, flags, header)?;
    put_u64(out, 24, beat.highest);
    put_u64(out, 32, beat.stable);
    put_u64(out, 40, beat.view.major);
    put_u64(out, 48, beat.view.minor);
    Some(HEARTBEAT_BYTES)
}

/// Writes the common fields of a sync message or request (`request`); the payload goes after [`HEADER_BYTES`].
/// `None` if `out` is too short.
pub fn encode_sync_header(out: &mut [u8], header: &Header, request: bool) -> Option<usize> {
    let kind = if request { Kind::SyncRequest } else { Kind::Sync };
    begin(out, HEADER_BYTES, kind, 0, header).map(|_| HEADER_BYTES)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::rng::Rng;

    const HEADER: Header = Header { rank: 7, group: GroupKey(0x0123_4567), fingerprint: 99 };

    fn bytes(encode: impl FnOnce(&mut [u8]) -> Option<usize>) -> Vec<u8> {
        let mut out = [0xaa_u8; 2000];
        let len = encode(&mut out).unwrap();
        out[..len].to_vec()
    }

    fn samples() -> [Vec<u8>; 5] {
        let data = Data { flags: FLAG_FRAGMENT, origin: 3, seq: 8, stable: 5, body: b"body" };
        let beat =
            Heartbeat { solicit: true, highest: 9, stable: 4, view: ViewId { major: 6, minor: 1 } };
        let ranges = [SeqRange { from: 2, upto: 2 }, SeqRange { from: 4, upto: 9 }];
        let entries = [(5, 6), (7, 8)].map(|(received, credit)| AckEntry { received, credit });
        [
            bytes(|out| encode_data(out, &HEADER, &data)),
            bytes(|out| encode_ack(out, &HEADER, 2, entries.into_iter())),
            bytes(|out| encode_nak(out, &HEADER, 1, 2, &ranges)),
            bytes(|out| encode_heartbeat(out, &HEADER, &beat)),
            bytes(|out| encode_sync_header(out, &HEADER, false)),
        ]
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let [data, ack, nak, beat, sync] = samples();
        let packet = decode(&data).unwrap();
        assert_eq!(packet.header, HEADER);
        assert!(matches!(packet.content, Content::Data(d)
            if d == Data { flags: FLAG_FRAGMENT, origin: 3, seq: 8, stable: 5, body: b"body" }));
        assert!(matches!(decode(&ack).unwrap().content, Content::Ack(a) if a.first == 2
            && a.entries().map(|e| (e.received, e.credit)).eq([(5, 6), (7, 8)])));
        assert!(
            matches!(decode(&nak).unwrap().content, Content::Nak(n) if (n.origin, n.target) == (1, 2)
            && n.ranges().map(|r| (r.from, r.upto)).eq([(2, 2), (4, 9)]))
        );
        assert!(matches!(decode(&beat).unwrap().content, Content::Heartbeat(h) if h.solicit
            && (h.highest, h.stable, h.view) == (9, 4, ViewId { major: 6, minor: 1 })));
        assert!(matches!(decode(&sync).unwrap().content, Content::Sync([])));
    }

    #[test]
    fn padding_is_no_part_of_the_body() {
        let data = samples()[0].clone();
        let len = data.len();
        let mut padded = data.clone();
        padded.resize(len + 300, 7);
        pad_data(&mut padded, len);
        let body = |bytes: &[u8]| match decode(bytes).map(|packet| packet.content) {
            Ok(Content::Data(data)) => Ok(data.body.to_vec()),
            Ok(_) => unreachable!("it is a data packet"),
            Err(error) => Err(error),
        };
        assert_eq!(body(&padded), body(&data));
        // Nothing but padding is no packet.
        for (padding, wrong) in [(303, false), (304, true), (400, true), (u16::MAX, true)] {
            put_u16(&mut padded, PADDING_AT, padding);
            assert_eq!(body(&padded) == Err(Malformed::Length), wrong, "{padding}");
        }
    }

    #[test]
    fn other_versions_kinds_and_keys_are_told_apart() {
        let mut bytes = samples()[3].clone();
        bytes[2] = PROTOCOL_VERSION + 1;
        assert_eq!(decode(&bytes).unwrap_err(), Malformed::Version(PROTOCOL_VERSION + 1));
        assert_eq!(decode(&bytes[..3]).unwrap_err(), Malformed::Version(PROTOCOL_VERSION + 1));
        bytes[2] = PROTOCOL_VERSION;
        bytes[5] = 1;
        assert_eq!(decode(&bytes).unwrap_err(), Malformed::KeyEpoch(1));
        bytes[5] = 0;
        bytes[3] = 77;
        assert_eq!(decode(&bytes).unwrap_err(), Malformed::Kind(77));
        bytes[0] = 0;
        assert_eq!(decode(&bytes).unwrap_err(), Malformed::Magic);
    }

    #[test]
    fn reserved_bits_are_ignored() {
        let mut data = samples()[0].clone();
        data[4] |= 0xf0;
        data[28..32].fill(0xff);
        assert!(
            matches!(decode(&data).unwrap().content, Content::Data(d) if d.flags == FLAG_FRAGMENT)
        );
    }

    #[test]
    fn ranges_must_ascend() {
        let good = &samples()[2];
        for (at, value) in [(32, 0), (32, 3), (48, 2), (56, 3)] {
            let mut bad = good.clone();
            put_u64(&mut bad, at, value);
            assert_eq!(decode(&bad).unwrap_err(), Malformed::Field, "{at} {value}");
        }
    }

    /// Truncated, mutated and random bytes: whatever is accepted can be walked.
    #[test]
    fn no_bytes_make_it_panic() {
        let mut rng = Rng::new(1);
        let samples = samples();
        for _ in 0..200_000 {
            let mut bytes = samples[rng.below(5) as usize].clone();
            bytes.truncate(rng.below(bytes.len() as u64 + 1) as usize);
            for _ in 0..rng.below(6) {
                let at = rng.below(bytes.len().max(1) as u64) as usize;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = rng.next_u64() as u8;
                }
            }
            match decode(&bytes).map(|p| p.content) {
                Ok(Content::Ack(ack)) => assert!(ack.entries().count() <= 125),
                Ok(Content::Nak(nak)) => assert!(nak.ranges().all(|r| r.from <= r.upto)),
                _ => {}
            }
        }
    }
}
