//! The contents of datagrams: packets, acknowledgements, reports of gaps, heartbeats.
//!
//! The offsets are fixed, and numbers are little-endian. [`decode`] checks the form; what it
//! returns borrows from the bytes. Reserved bits are zero when sent and ignored when received.
//!
//! ```text
//! data  34 rank of the origin u16 | 36 bytes of padding u16 | 38 reserved u16
//!       40 packet number u64 | 48 stable u64 | 56 body, then padding
//! ack   34 first rank u16 | 36 count u16 | 38 reserved u16 | 40 (received u64, credit u64) a rank
//! nak   34 rank of the origin u16 | 36 target u16 | 38 count u16 | 40 (from u64, upto u64) a range
//! beat  34 reserved | 40 highest u64 | 48 stable u64 | 56 view id major u64 | 64 minor u64
//! sync, sync request  34 reserved | 40 payload: see the module of control messages
//! ```

use crate::ident::{Rank, Seq, ViewId};
pub use crate::ranges::SeqRange;
use crate::wire::bytes::{Raw, put_u16, put_u64};
use crate::wire::datagram::{
    self, Datagram, FLAG_GROUP, Header, KEY_NONE, Kind, Malformed, OpenDatagram,
};
use crate::wire::direct::{self, Direct};
use crate::wire::path::{self, Path};
use crate::wire::reach::{self, Reach};

/// Bytes before the body of a data packet.
pub const DATA_HEADER_BYTES: usize = 56;
/// Where a data packet has the number of bytes of padding at its end.
const PADDING_AT: usize = 36;
/// Bytes before the entries of an acknowledgement.
const ACK_HEADER_BYTES: usize = 40;
/// Bytes of an entry of an acknowledgement.
const ACK_ENTRY_BYTES: usize = 16;
/// Bytes before the ranges of a report of gaps.
const NAK_HEADER_BYTES: usize = 40;
/// Bytes of a range.
const NAK_RANGE_BYTES: usize = 16;
/// Most ranges in one report of gaps.
pub const NAK_RANGES_MAX: usize = 64;
/// Bytes of a heartbeat.
pub const HEARTBEAT_BYTES: usize = 72;
/// Bytes before the payload of a sync message or request.
pub const SYNC_HEADER_BYTES: usize = 40;

/// Data: the body is a part of one message, not whole messages.
pub const FLAG_FRAGMENT: u8 = 1;
/// Data: the body is the first part of a message and begins with the length of the whole.
pub const FLAG_FIRST: u8 = 2;
/// Data: the body is the last part of a message.
pub const FLAG_LAST: u8 = 4;
/// Data: the messages go between members, and are not the application's.
pub const FLAG_INTERNAL: u8 = 8;
/// Data: behind the messages, or instead of any, stands what the order of the group needs.
pub const FLAG_TRAILER: u8 = 16;
/// Heartbeat: the transmitter lacks acknowledgements or credit. Every member answers with an
/// acknowledgement.
pub const FLAG_SOLICIT: u8 = 1;

/// A datagram that was checked.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The common fields.
    pub header: Header,
    /// The number that its transmitter gave it.
    pub counter: u64,
    /// Whether it went to the whole group.
    pub to_group: bool,
    /// What the datagram says.
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
    /// A heartbeat.
    Heartbeat(Heartbeat),
    /// A sync message, not yet decoded.
    Sync(&'a [u8]),
    /// A request for sync messages, not yet decoded.
    SyncRequest(&'a [u8]),
    /// A question or an answer about who hears multicasts.
    Reach(Reach),
    /// A probe of how long datagrams may be, or an answer to one.
    Path(Path),
    /// A message to one member alone.
    Direct(Direct<'a>),
}

/// A packet of a stream. The body is checked by the receiver, which knows the sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// [`FLAG_FRAGMENT`], [`FLAG_FIRST`], [`FLAG_LAST`], [`FLAG_INTERNAL`], [`FLAG_TRAILER`].
    pub flags: u8,
    /// Whose stream it belongs to.
    pub origin: Rank,
    /// The number of the packet in it.
    pub seq: Seq,
    /// Up to where the stream is stable, as the transmitter knows it.
    pub stable: Seq,
    /// Messages, or a fragment.
    pub body: &'a [u8],
}

/// What the transmitter has received of the streams of some ranks.
#[derive(Clone, Copy, Debug)]
pub struct Ack<'a> {
    /// The rank of the first entry.
    pub first: Rank,
    entries: &'a [u8],
}

/// What a member has received of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckEntry {
    /// The gap-free prefix of the stream.
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

/// A report of gaps in a stream.
#[derive(Clone, Copy, Debug)]
pub struct Nak<'a> {
    /// Whose stream.
    pub origin: Rank,
    /// Who is to answer.
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

/// A heartbeat.
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

/// Reads a datagram in the clear and decodes its content.
///
/// # Errors
/// See [`Datagram::read`] and [`decode`]. One that is sealed has a [`Malformed::Field`].
pub fn open(bytes: &mut [u8]) -> Result<Packet<'_>, Malformed> {
    let datagram = Datagram::read(bytes)?;
    if datagram.key() != KEY_NONE {
        return Err(Malformed::Field);
    }
    decode(datagram.open())
}

/// Checks the content of a datagram.
///
/// # Errors
/// Names what is wrong. Callers need it for counters alone.
pub fn decode(opened: OpenDatagram<'_>) -> Result<Packet<'_>, Malformed> {
    let (bytes, flags) = (opened.bytes(), opened.flags());
    let content = match opened.kind()? {
        Kind::Data => Content::Data(decode_data(bytes, flags)?),
        Kind::Ack => Content::Ack(decode_ack(bytes)?),
        Kind::Nak => Content::Nak(decode_nak(bytes)?),
        Kind::Heartbeat => Content::Heartbeat(decode_heartbeat(bytes, flags)?),
        Kind::Sync => Content::Sync(decode_payload(bytes)?),
        Kind::SyncRequest => Content::SyncRequest(decode_payload(bytes)?),
        Kind::Reach => Content::Reach(reach::decode(bytes, flags)?),
        Kind::Path => Content::Path(path::decode(bytes, flags)?),
        Kind::Direct => Content::Direct(direct::decode(bytes)?),
    };
    let (header, counter) = (opened.header(), opened.counter());
    Ok(Packet { header, counter, to_group: flags & FLAG_GROUP != 0, content })
}

fn decode_data(bytes: &[u8], flags: u8) -> Result<Data<'_>, Malformed> {
    let raw = Raw(bytes);
    let end = bytes.len().saturating_sub(usize::from(raw.u16_at(PADDING_AT)));
    let Some(body @ [_, ..]) = bytes.get(DATA_HEADER_BYTES..end) else {
        return Err(Malformed::Length);
    };
    let data = Data {
        flags: flags & (FLAG_FRAGMENT | FLAG_FIRST | FLAG_LAST | FLAG_INTERNAL | FLAG_TRAILER),
        origin: raw.u16_at(34),
        seq: raw.u64_at(40),
        stable: raw.u64_at(48),
        body,
    };
    if data.seq == 0 { Err(Malformed::Field) } else { Ok(data) }
}

fn decode_ack(bytes: &[u8]) -> Result<Ack<'_>, Malformed> {
    let entries = bytes.get(ACK_HEADER_BYTES..).ok_or(Malformed::Length)?;
    let raw = Raw(bytes);
    let count = usize::from(raw.u16_at(36));
    if entries.len() != count * ACK_ENTRY_BYTES {
        return Err(Malformed::Length);
    }
    Ok(Ack { first: raw.u16_at(34), entries })
}

fn decode_nak(bytes: &[u8]) -> Result<Nak<'_>, Malformed> {
    let ranges = bytes.get(NAK_HEADER_BYTES..).ok_or(Malformed::Length)?;
    let raw = Raw(bytes);
    let count = usize::from(raw.u16_at(38));
    let nak = Nak { origin: raw.u16_at(34), target: raw.u16_at(36), ranges };
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

fn decode_heartbeat(bytes: &[u8], flags: u8) -> Result<Heartbeat, Malformed> {
    if bytes.len() != HEARTBEAT_BYTES {
        return Err(Malformed::Length);
    }
    let raw = Raw(bytes);
    Ok(Heartbeat {
        solicit: flags & FLAG_SOLICIT != 0,
        highest: raw.u64_at(40),
        stable: raw.u64_at(48),
        view: ViewId { major: raw.u64_at(56), minor: raw.u64_at(64) },
    })
}

fn decode_payload(bytes: &[u8]) -> Result<&[u8], Malformed> {
    bytes.get(SYNC_HEADER_BYTES..).ok_or(Malformed::Length)
}

/// Bytes of a data packet with a body of `body_bytes`.
#[must_use]
#[inline]
pub const fn data_bytes(body_bytes: usize) -> usize {
    DATA_HEADER_BYTES + body_bytes
}

/// Writes a data packet; its length, or `None` if `out` is too short.
pub fn encode_data(out: &mut [u8], header: &Header, data: &Data<'_>) -> Option<usize> {
    let len = data_bytes(data.body.len());
    if out.len() < len {
        return None;
    }
    let head = datagram::begin(out, DATA_HEADER_BYTES, Kind::Data, data.flags, header)?;
    put_u16(head, 34, data.origin);
    put_u64(head, 40, data.seq);
    put_u64(head, 48, data.stable);
    out[DATA_HEADER_BYTES..len].copy_from_slice(data.body);
    Some(len)
}

/// Pads the data packet of `len` bytes at the start of `datagram` to all of it: datagrams of one
/// length go out in one run. `datagram` is longer by less than 2^16.
pub fn pad_data(datagram: &mut [u8], len: usize) {
    let padding = datagram.len() - len;
    datagram[len..].fill(0);
    put_u16(datagram, PADDING_AT, padding as u16);
}

/// How many entries of an acknowledgement fit into `bytes` bytes.
#[must_use]
pub fn ack_entries_max(bytes: usize) -> usize {
    let room = bytes.saturating_sub(ACK_HEADER_BYTES);
    (room / ACK_ENTRY_BYTES).min(usize::from(u16::MAX))
}

/// Writes an acknowledgement of the streams from rank `first` on; its length, or `None` if `out` is
/// too short.
pub fn encode_ack(
    out: &mut [u8],
    header: &Header,
    first: Rank,
    entries: impl ExactSizeIterator<Item = AckEntry>,
) -> Option<usize> {
    let count = u16::try_from(entries.len()).ok()?;
    let len = ACK_HEADER_BYTES + usize::from(count) * ACK_ENTRY_BYTES;
    let out = datagram::begin(out, len, Kind::Ack, 0, header)?;
    put_u16(out, 34, first);
    put_u16(out, 36, count);
    for (place, entry) in out[ACK_HEADER_BYTES..].chunks_exact_mut(ACK_ENTRY_BYTES).zip(entries) {
        put_u64(place, 0, entry.received);
        put_u64(place, 8, entry.credit);
    }
    Some(len)
}

/// How many ranges of a report of gaps fit into `bytes` bytes.
#[must_use]
pub fn nak_ranges_max(bytes: usize) -> usize {
    let room = bytes.saturating_sub(NAK_HEADER_BYTES);
    (room / NAK_RANGE_BYTES).min(NAK_RANGES_MAX)
}

/// Writes a report of gaps in the stream of `origin` for `target` to answer; its length, or `None`
/// if `out` is too short or there are no ranges or too many.
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
    let out = datagram::begin(out, len, Kind::Nak, 0, header)?;
    put_u16(out, 34, origin);
    put_u16(out, 36, target);
    put_u16(out, 38, ranges.len() as u16);
    for (place, range) in out[NAK_HEADER_BYTES..].chunks_exact_mut(NAK_RANGE_BYTES).zip(ranges) {
        put_u64(place, 0, range.from);
        put_u64(place, 8, range.upto);
    }
    Some(len)
}

/// Writes a heartbeat; its length, or `None` if `out` is too short.
pub fn encode_heartbeat(out: &mut [u8], header: &Header, beat: &Heartbeat) -> Option<usize> {
    let flags = if beat.solicit { FLAG_SOLICIT } else { 0 };
    let out = datagram::begin(out, HEARTBEAT_BYTES, Kind::Heartbeat, flags, header)?;
    put_u64(out, 40, beat.highest);
    put_u64(out, 48, beat.stable);
    put_u64(out, 56, beat.view.major);
    put_u64(out, 64, beat.view.minor);
    Some(HEARTBEAT_BYTES)
}

/// Writes a sync message or request (`request`) around the `len` bytes of payload that stand at
/// [`SYNC_HEADER_BYTES`] of `out` already; its length, or `None` if `out` is too short.
pub fn encode_sync_header(
    out: &mut [u8],
    header: &Header,
    request: bool,
    len: usize,
) -> Option<usize> {
    let kind = if request { Kind::SyncRequest } else { Kind::Sync };
    let whole = SYNC_HEADER_BYTES + len;
    if out.len() < whole {
        return None;
    }
    datagram::begin(out, SYNC_HEADER_BYTES, kind, 0, header).map(|_| whole)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::ident::GroupKey;
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
            bytes(|out| encode_sync_header(out, &HEADER, false, 0)),
        ]
    }

    #[test]
    fn every_kind_comes_back_as_it_was_encoded() {
        let [mut data, mut ack, mut nak, mut beat, mut sync] = samples();
        let packet = open(&mut data).unwrap();
        assert_eq!((packet.header, packet.counter, packet.to_group), (HEADER, 0, false));
        assert!(matches!(packet.content, Content::Data(d)
            if d == Data { flags: FLAG_FRAGMENT, origin: 3, seq: 8, stable: 5, body: b"body" }));
        assert!(matches!(open(&mut ack).unwrap().content, Content::Ack(a) if a.first == 2
            && a.entries().map(|e| (e.received, e.credit)).eq([(5, 6), (7, 8)])));
        let nak = open(&mut nak).unwrap().content;
        assert!(matches!(nak, Content::Nak(n) if (n.origin, n.target) == (1, 2)
            && n.ranges().map(|r| (r.from, r.upto)).eq([(2, 2), (4, 9)])));
        assert!(matches!(open(&mut beat).unwrap().content, Content::Heartbeat(h) if h.solicit
            && (h.highest, h.stable, h.view) == (9, 4, ViewId { major: 6, minor: 1 })));
        assert!(matches!(open(&mut sync).unwrap().content, Content::Sync([])));
    }

    #[test]
    fn padding_is_no_part_of_the_body() {
        let mut data = samples()[0].clone();
        let len = data.len();
        let mut padded = data.clone();
        padded.resize(len + 300, 7);
        pad_data(&mut padded, len);
        let body = |bytes: &mut [u8]| match open(bytes).map(|packet| packet.content) {
            Ok(Content::Data(data)) => Ok(data.body.to_vec()),
            Ok(_) => unreachable!("it is a data packet"),
            Err(error) => Err(error),
        };
        assert_eq!(body(&mut padded), body(&mut data));
        // Nothing but padding is no packet.
        for (padding, wrong) in [(303, false), (304, true), (400, true), (u16::MAX, true)] {
            put_u16(&mut padded, PADDING_AT, padding);
            assert_eq!(body(&mut padded) == Err(Malformed::Length), wrong, "{padding}");
        }
    }

    #[test]
    fn an_unknown_kind_is_named() {
        let mut bytes = samples()[3].clone();
        bytes[32] = 77;
        assert_eq!(open(&mut bytes).unwrap_err(), Malformed::Kind(77));
    }

    #[test]
    fn reserved_bits_are_ignored() {
        let mut data = samples()[0].clone();
        data[33] |= 0xe0;
        data[38..40].fill(0xff);
        assert!(
            matches!(open(&mut data).unwrap().content, Content::Data(d) if d.flags == FLAG_FRAGMENT)
        );
    }

    #[test]
    fn ranges_must_ascend() {
        let good = &samples()[2];
        for (at, value) in [(40, 0), (40, 3), (56, 2), (64, 3)] {
            let mut bad = good.clone();
            put_u64(&mut bad, at, value);
            assert_eq!(open(&mut bad).unwrap_err(), Malformed::Field, "{at} {value}");
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
            match open(&mut bytes).map(|p| p.content) {
                Ok(Content::Ack(ack)) => assert!(ack.entries().count() <= 125),
                Ok(Content::Nak(nak)) => assert!(nak.ranges().all(|r| r.from <= r.upto)),
                _ => {}
            }
        }
    }
}
