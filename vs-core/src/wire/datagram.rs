//! The envelope of every datagram: how it begins and ends, where one is finished, and where one is
//! opened.
//!
//! ```text
//! in the clear  0 "VS" | 2 version | 3 key epoch (0) | 4 rank of the transmitter u16 | 6 reserved
//!               8 group key u64 | 16 fingerprint of the view u64
//!               24 counter of the transmitter u64
//! content       32 kind | 33 flags | 34 fields of the kind: see packet, reach, path and control
//! tag           at the end, TAG_BYTES
//! ```
//!
//! All numbers are little-endian. Reserved bits are zero when sent and ignored when received.
//!
//! Encoders write a datagram into the buffer of the caller. [`finish`] is the last to write to it:
//! no bit changes after that. [`Datagram::read`] checks what stands in the clear, which is enough
//! to find the group; after [`Datagram::open`] the content can be decoded.

use crate::ident::{GroupKey, Rank};
use crate::wire::PROTOCOL_VERSION;
use crate::wire::bytes::{Raw, put_u16, put_u64};

/// The first bytes of every datagram.
pub const MAGIC: [u8; 2] = *b"VS";
/// Bytes of a datagram that stay in the clear.
pub const HEADER_BYTES: usize = 32;
/// The key epoch of datagrams that are not encrypted: the only one that there is.
pub const KEY_EPOCH_CLEAR: u8 = 0;
/// Bytes at the end of every datagram that are room for an authentication tag. A datagram in the
/// clear has none; an encrypted one needs 16.
pub const TAG_BYTES: usize = 0;

const VERSION_AT: usize = 2;
const KEY_EPOCH_AT: usize = 3;
const RANK_AT: usize = 4;
const GROUP_AT: usize = 8;
const FINGERPRINT_AT: usize = 16;
const COUNTER_AT: usize = 24;
/// Where a datagram says what [`Kind`] it is.
pub const KIND_AT: usize = 32;
const FLAGS_AT: usize = 33;

/// The datagram goes to the whole group, by multicast or in copies; without this flag it goes to
/// one member alone.
pub(super) const FLAG_GROUP: u8 = 0x80;

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
    /// A heartbeat.
    Heartbeat = 4,
    /// A sync message.
    Sync = 5,
    /// A request for sync messages.
    SyncRequest = 6,
    /// A question or an answer about who hears multicasts.
    Reach = 7,
    /// A probe of how long datagrams may be, or an answer to one.
    Path = 8,
    /// A message to one member alone.
    Direct = 9,
}

impl TryFrom<u8> for Kind {
    type Error = Malformed;

    fn try_from(kind: u8) -> Result<Self, Malformed> {
        Ok(match kind {
            1 => Self::Data,
            2 => Self::Ack,
            3 => Self::Nak,
            4 => Self::Heartbeat,
            5 => Self::Sync,
            6 => Self::SyncRequest,
            7 => Self::Reach,
            8 => Self::Path,
            9 => Self::Direct,
            _ => return Err(Malformed::Kind(kind)),
        })
    }
}

/// What an encoder writes at the start of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The transmitter's rank in the view.
    pub rank: Rank,
    /// The group.
    pub group: GroupKey,
    /// The fingerprint of the view.
    pub fingerprint: u64,
}

/// Why bytes are not a datagram of this protocol and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The first bytes are not those of this protocol.
    Magic,
    /// Another version of the protocol.
    Version(u8),
    /// An unknown kind.
    Kind(u8),
    /// Encrypted under a key that is not known.
    KeyEpoch(u8),
    /// Shorter or longer than its fields say.
    Length,
    /// A field has a value that is out of its bounds.
    Field,
}

/// Numbers the datagrams that one incarnation of a process transmits in one group, through all its
/// views.
///
/// No two of them have the same number, whereas the packet number is the same in a retransmission
/// whose other fields differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransmitCounter(u64);

impl TransmitCounter {
    /// A counter whose next datagram has the number after `last`.
    #[must_use]
    pub fn after(last: u64) -> Self {
        Self(last)
    }

    /// The number that was given last.
    pub(crate) fn last(self) -> u64 {
        self.0
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        self.0
    }
}

/// Finishes a run of datagrams of `segment_bytes` each, of which the last may be shorter: says
/// whether they go to the whole group, and numbers them. Nothing may change them afterwards.
pub fn finish(
    datagrams: &mut [u8],
    segment_bytes: usize,
    to_group: bool,
    counter: &mut TransmitCounter,
) {
    for datagram in datagrams.chunks_mut(segment_bytes.max(1)) {
        if to_group {
            datagram[FLAGS_AT] |= FLAG_GROUP;
        }
        put_u64(datagram, COUNTER_AT, counter.next());
    }
}

/// A datagram as it arrived. What stands in the clear was checked.
#[derive(Debug)]
pub struct Datagram<'a> {
    bytes: &'a mut [u8],
}

impl<'a> Datagram<'a> {
    /// Checks what stands in the clear.
    ///
    /// # Errors
    /// Names what is wrong. Callers need it for counters, and to name a peer of another version.
    pub fn read(bytes: &'a mut [u8]) -> Result<Self, Malformed> {
        match bytes.first_chunk() {
            Some(&[magic_0, magic_1, version, key_epoch])
                if [magic_0, magic_1] == MAGIC
                    && version == PROTOCOL_VERSION
                    && key_epoch == KEY_EPOCH_CLEAR
                    && bytes.len() > FLAGS_AT + TAG_BYTES =>
            {
                Ok(Self { bytes })
            }
            _ => Err(Self::defect(bytes)),
        }
    }

    /// What is wrong with what stands in the clear.
    #[cold]
    fn defect(bytes: &[u8]) -> Malformed {
        if !bytes.starts_with(&MAGIC) {
            return Malformed::Magic;
        }
        match (bytes.get(VERSION_AT), bytes.get(KEY_EPOCH_AT)) {
            (Some(&version), _) if version != PROTOCOL_VERSION => Malformed::Version(version),
            (_, Some(&epoch)) if epoch != KEY_EPOCH_CLEAR && bytes.len() > FLAGS_AT + TAG_BYTES => {
                Malformed::KeyEpoch(epoch)
            }
            _ => Malformed::Length,
        }
    }

    /// The group that it names.
    #[must_use]
    pub fn group(&self) -> GroupKey {
        GroupKey(Raw(self.bytes).u64_at(GROUP_AT))
    }

    /// Opens it in place. In the only key epoch nothing is encrypted, so the bytes stay as they
    /// are.
    #[must_use]
    pub fn open(self) -> OpenDatagram<'a> {
        let end = self.bytes.len() - TAG_BYTES;
        OpenDatagram { bytes: &self.bytes[..end] }
    }
}

/// A datagram whose content can be read.
#[derive(Clone, Copy, Debug)]
pub struct OpenDatagram<'a> {
    /// All of it but the tag.
    bytes: &'a [u8],
}

impl<'a> OpenDatagram<'a> {
    /// The header.
    #[must_use]
    pub fn header(&self) -> Header {
        let raw = Raw(self.bytes);
        Header {
            rank: raw.u16_at(RANK_AT),
            group: GroupKey(raw.u64_at(GROUP_AT)),
            fingerprint: raw.u64_at(FINGERPRINT_AT),
        }
    }

    /// The number that its transmitter gave it.
    #[must_use]
    pub fn counter(&self) -> u64 {
        Raw(self.bytes).u64_at(COUNTER_AT)
    }

    pub(super) fn kind(&self) -> Result<Kind, Malformed> {
        Kind::try_from(self.bytes[KIND_AT])
    }

    pub(super) fn flags(&self) -> u8 {
        self.bytes[FLAGS_AT]
    }

    /// All of it but the tag: offsets are those of the tables.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Begins a datagram of `len` bytes before the tag: writes what all have and zeroes the rest.
/// `None` if `out` has no room for it and its tag.
pub(super) fn begin<'a>(
    out: &'a mut [u8],
    len: usize,
    kind: Kind,
    flags: u8,
    header: &Header,
) -> Option<&'a mut [u8]> {
    if out.len() < len + TAG_BYTES {
        return None;
    }
    let out = &mut out[..len];
    out.fill(0);
    out[..2].copy_from_slice(&MAGIC);
    out[VERSION_AT] = PROTOCOL_VERSION;
    out[KEY_EPOCH_AT] = KEY_EPOCH_CLEAR;
    put_u16(out, RANK_AT, header.rank);
    put_u64(out, GROUP_AT, header.group.0);
    put_u64(out, FINGERPRINT_AT, header.fingerprint);
    out[KIND_AT] = kind as u8;
    out[FLAGS_AT] = flags;
    Some(out)
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    const HEADER: Header = Header { rank: 7, group: GroupKey(0x0123_4567), fingerprint: 99 };
    const LEN: usize = 40;

    fn run(segments: usize) -> Vec<u8> {
        let mut run = vec![0xaa; segments * (LEN + TAG_BYTES)];
        for datagram in run.chunks_mut(LEN + TAG_BYTES) {
            begin(datagram, LEN, Kind::Sync, 1, &HEADER).unwrap();
        }
        run
    }

    #[test]
    fn each_datagram_of_a_run_is_finished() {
        let mut counter = TransmitCounter::after(41);
        for to_group in [true, false] {
            let mut run = run(3);
            finish(&mut run, LEN + TAG_BYTES, to_group, &mut counter);
            for (datagram, number) in run.chunks_mut(LEN + TAG_BYTES).zip(counter.0 - 2..) {
                let opened = Datagram::read(datagram).unwrap().open();
                assert_eq!((opened.header(), opened.counter()), (HEADER, number));
                assert_eq!(opened.flags(), if to_group { FLAG_GROUP | 1 } else { 1 });
                assert_eq!(opened.bytes().len(), LEN);
            }
        }
        assert_eq!(counter, TransmitCounter::after(47));
    }

    #[test]
    fn other_protocols_versions_and_keys_are_told_apart() {
        let error = |bytes: &mut [u8]| Datagram::read(bytes).map(drop).unwrap_err();
        let mut bytes = run(1);
        assert!(Datagram::read(&mut bytes).is_ok());
        bytes[VERSION_AT] = PROTOCOL_VERSION + 1;
        assert_eq!(error(&mut bytes), Malformed::Version(PROTOCOL_VERSION + 1));
        assert_eq!(error(&mut bytes[..3]), Malformed::Version(PROTOCOL_VERSION + 1));
        bytes[VERSION_AT] = PROTOCOL_VERSION;
        assert_eq!(error(&mut bytes[..FLAGS_AT]), Malformed::Length);
        bytes[KEY_EPOCH_AT] = 1;
        assert_eq!(error(&mut bytes), Malformed::KeyEpoch(1));
        bytes[0] = 0;
        assert_eq!(error(&mut bytes), Malformed::Magic);
        assert_eq!(error(&mut []), Malformed::Magic);
    }

    #[test]
    fn reserved_bytes_of_the_header_are_ignored() {
        let mut bytes = run(1);
        bytes[6..8].fill(0xff);
        assert_eq!(Datagram::read(&mut bytes).unwrap().open().header(), HEADER);
    }

    #[test]
    fn no_room_for_the_tag_means_no_datagram() {
        let mut out = [0; LEN + TAG_BYTES];
        assert!(begin(&mut out, LEN, Kind::Ack, 0, &HEADER).is_some());
        assert!(begin(&mut out[1..], LEN, Kind::Ack, 0, &HEADER).is_none());
    }
}
