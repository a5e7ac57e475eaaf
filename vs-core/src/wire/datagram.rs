//! The envelope of every datagram: how it begins and ends, where one is finished, and where one is
//! opened.
//!
//! ```text
//! in the clear  0 "VS" | 2 version | 3 id of the key, 0 if nothing is sealed
//!               4 rank of the transmitter u16 | 6 scope of the key (below) | 7 reserved
//!               8 group key u64; selector of the group, if it is sealed
//!               16 fingerprint of the view u64; if it is sealed, the selector of the view or of
//!               the incarnation
//!               24 counter of the transmitter u64
//! content       32 kind | 33 flags | 34 fields of the kind: see packet, reach, path and control
//! at the end    fingerprint of the view u64, in scopes 1 and 3; the tag, 16 bytes: nothing of that
//!               if nothing is sealed
//! ```
//!
//! All numbers are little-endian. Reserved bits are zero when sent and ignored when received.
//!
//! Encoders write a datagram into the buffer of the caller. [`finish`] is the last to write to one
//! in the clear, and a [`Closing`] to one that is sealed: no bit changes after that.
//! [`Datagram::read`] checks what stands in the clear, which is enough to find the group; after
//! [`Datagram::open`] the content can be decoded.
//!
//! What follows the header is sealed, and the header is authenticated with it. The **scope** of the
//! key is 1, 2 or 3. In scope 1, of sync messages, requests for them and what is said about
//! multicasts, the key is that of the transmitter's incarnation in the group: readers need not
//! share its view. Scope 3 is that of what one process says to another alone about multicasts: the
//! same key, and the selector of the receiver's incarnation is authenticated behind the header,
//! though it is not sent. In scope 2, of everything else, the key is that of the view and the rank.
//! The nonce is the counter. Selectors follow from keys.

use crate::ident::{GroupKey, ProcessId, Rank};
use crate::seal::TAG_BYTES;
use crate::wire::PROTOCOL_VERSION;
use crate::wire::bytes::{Raw, put_u16, put_u64};

/// The first bytes of every datagram.
pub const MAGIC: [u8; 2] = *b"VS";
/// Bytes of a datagram that stay in the clear.
pub const HEADER_BYTES: usize = 32;
/// The id of the key of datagrams that are not sealed.
pub const KEY_NONE: u8 = 0;
/// Bytes of the fingerprint at the end of a datagram that is sealed in the scope of an incarnation.
pub const SCOPE_BYTES: usize = 8;

const VERSION_AT: usize = 2;
const KEY_AT: usize = 3;
/// Where a datagram names the rank of its transmitter.
pub(crate) const RANK_AT: usize = 4;
const SCOPE_AT: usize = 6;
const GROUP_AT: usize = 8;
const FINGERPRINT_AT: usize = 16;
/// Where a datagram has the number that its transmitter gave it.
pub(crate) const COUNTER_AT: usize = 24;
/// Where a datagram says what [`Kind`] it is.
pub const KIND_AT: usize = 32;
const FLAGS_AT: usize = 33;
/// Where one of kind [`Kind::Reach`] names whom it is for.
pub(super) const TARGET_AT: usize = 48;

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

/// Whose key a datagram is sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scope {
    /// That of the transmitter's incarnation in the group.
    Incarnation = 1,
    /// That of the view and the transmitter's rank in it.
    View = 2,
    /// That of the transmitter's incarnation, bound to the receiver's incarnation.
    Receiver = 3,
}

impl Scope {
    /// Whose key a datagram with these flags is sealed with.
    fn of(kind: Kind, flags: u8) -> Self {
        match kind {
            Kind::Reach if flags & FLAG_GROUP == 0 => Self::Receiver,
            _ => kind.scope(),
        }
    }
}

impl Kind {
    /// In which scope datagrams of this kind are sealed that go to the group.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::Sync | Self::SyncRequest | Self::Reach => Scope::Incarnation,
            Self::Data | Self::Ack | Self::Nak | Self::Heartbeat | Self::Path | Self::Direct => {
                Scope::View
            }
        }
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

/// Finishes a run of datagrams in the clear of `segment_bytes` each, of which the last may be
/// shorter: says whether they go to the whole group, and numbers them. Nothing may change them
/// afterwards.
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

/// A datagram that is about to be sealed: the last that changes it.
#[derive(Debug)]
pub struct Closing<'a> {
    bytes: &'a mut [u8],
    number: u64,
}

impl<'a> Closing<'a> {
    /// Numbers a datagram with room at its end for what is sealed, and says whether it goes to the
    /// whole group and with which key it is sealed.
    pub fn new(
        bytes: &'a mut [u8],
        to_group: bool,
        key: u8,
        counter: &mut TransmitCounter,
    ) -> Self {
        let number = counter.next();
        if to_group {
            bytes[FLAGS_AT] |= FLAG_GROUP;
        }
        bytes[KEY_AT] = key;
        put_u64(bytes, COUNTER_AT, number);
        Self { bytes, number }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// In which scope it is to be sealed.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let kind = Kind::try_from(self.bytes[KIND_AT]);
        kind.map_or(Scope::View, |kind| Scope::of(kind, self.bytes[FLAGS_AT]))
    }

    /// The fingerprint of its view.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        Raw(self.bytes).u64_at(FINGERPRINT_AT)
    }

    /// The process that it is for, in [`Scope::Receiver`].
    #[must_use]
    pub fn receiver(&self) -> ProcessId {
        ProcessId(Raw(self.bytes).u64_at(TARGET_AT))
    }

    /// What stays in the clear, and what is to be sealed with room for the tag, in the scope of an
    /// incarnation. The arguments are the selectors of the group and the incarnation.
    #[must_use]
    pub fn of_incarnation(self, group: u64, selector: u64) -> (&'a [u8], &'a mut [u8]) {
        let fingerprint = self.fingerprint();
        let at = self.bytes.len() - TAG_BYTES - SCOPE_BYTES;
        put_u64(self.bytes, at, fingerprint);
        let scope = match self.scope() {
            Scope::Receiver => Scope::Receiver,
            Scope::Incarnation | Scope::View => Scope::Incarnation,
        };
        self.split(scope, group, selector)
    }

    /// The same in the scope of the view, with its selector.
    #[must_use]
    pub fn of_view(self, group: u64, selector: u64) -> (&'a [u8], &'a mut [u8]) {
        self.split(Scope::View, group, selector)
    }

    fn split(self, scope: Scope, group: u64, selector: u64) -> (&'a [u8], &'a mut [u8]) {
        self.bytes[SCOPE_AT] = scope as u8;
        put_u64(self.bytes, GROUP_AT, group);
        put_u64(self.bytes, FINGERPRINT_AT, selector);
        let (clear, content) = self.bytes.split_at_mut(HEADER_BYTES);
        (clear, content)
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
            Some(&[magic_0, magic_1, version, _])
                if [magic_0, magic_1] == MAGIC
                    && version == PROTOCOL_VERSION
                    && bytes.len() > FLAGS_AT =>
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
        match bytes.get(VERSION_AT) {
            Some(&version) if version != PROTOCOL_VERSION => Malformed::Version(version),
            _ => Malformed::Length,
        }
    }

    /// The group that it names; in one that is sealed this is the selector of the group.
    #[inline]
    #[must_use]
    pub fn group(&self) -> GroupKey {
        GroupKey(Raw(self.bytes).u64_at(GROUP_AT))
    }

    /// The id of the key with which it says to be sealed; [`KEY_NONE`] if it is not.
    #[inline]
    #[must_use]
    pub fn key(&self) -> u8 {
        self.bytes[KEY_AT]
    }

    /// In which scope it says to be sealed.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        let scopes = [Scope::View, Scope::Incarnation, Scope::Receiver];
        scopes.into_iter().find(|scope| *scope as u8 == self.bytes[SCOPE_AT])
    }

    /// What it says in the place of the header: in one that is sealed, selectors stand for the
    /// group and for the fingerprint.
    #[must_use]
    pub fn header(&self) -> Header {
        OpenDatagram { bytes: self.bytes }.header()
    }

    /// The number that it says its transmitter gave it.
    #[must_use]
    pub fn counter(&self) -> u64 {
        OpenDatagram { bytes: self.bytes }.counter()
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// The bytes in the clear, and those that are sealed with their tag.
    pub fn split(&mut self) -> (&[u8], &mut [u8]) {
        let (clear, content) = self.bytes.split_at_mut(HEADER_BYTES);
        (clear, content)
    }

    /// One that is not sealed can be read.
    #[inline]
    #[must_use]
    pub fn open(self) -> OpenDatagram<'a> {
        OpenDatagram { bytes: self.bytes }
    }

    /// One of `group` that was opened in place can be read. In the scope of a view, `fingerprint`
    /// is that of the view. `None`: it is too short, or of a kind that is not sealed in its scope.
    #[must_use]
    pub fn opened(self, group: GroupKey, fingerprint: Option<u64>) -> Option<OpenDatagram<'a>> {
        let scope = self.scope()?;
        let mut end = self.bytes.len().checked_sub(TAG_BYTES)?;
        if scope != Scope::View {
            end = end.checked_sub(SCOPE_BYTES).filter(|end| *end >= HEADER_BYTES)?;
        }
        let fingerprint = fingerprint.unwrap_or_else(|| Raw(self.bytes).u64_at(end));
        put_u64(self.bytes, FINGERPRINT_AT, fingerprint);
        put_u64(self.bytes, GROUP_AT, group.0);
        // A key of one scope does not speak in the other: who left a view still has its own.
        let kind = Kind::try_from(*self.bytes.get(KIND_AT)?).ok()?;
        let is_meant = Scope::of(kind, *self.bytes.get(FLAGS_AT)?) == scope;
        (is_meant && end > FLAGS_AT).then_some(OpenDatagram { bytes: &self.bytes[..end] })
    }
}

/// A datagram whose content can be read.
#[derive(Clone, Copy, Debug)]
pub struct OpenDatagram<'a> {
    /// All of it but what stands at the end of one that is sealed.
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

    /// All of it that has a place in the tables.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Begins a datagram of `len` bytes: writes what all have and zeroes the rest. `None` if `out` has
/// no room for it.
pub(super) fn begin<'a>(
    out: &'a mut [u8],
    len: usize,
    kind: Kind,
    flags: u8,
    header: &Header,
) -> Option<&'a mut [u8]> {
    if out.len() < len {
        return None;
    }
    let out = &mut out[..len];
    out.fill(0);
    out[..2].copy_from_slice(&MAGIC);
    out[VERSION_AT] = PROTOCOL_VERSION;
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
        let mut run = vec![0xaa; segments * LEN];
        for datagram in run.chunks_mut(LEN) {
            begin(datagram, LEN, Kind::Sync, 1, &HEADER).unwrap();
        }
        run
    }

    #[test]
    fn each_datagram_of_a_run_is_finished() {
        let mut counter = TransmitCounter::after(41);
        for to_group in [true, false] {
            let mut run = run(3);
            finish(&mut run, LEN, to_group, &mut counter);
            for (datagram, number) in run.chunks_mut(LEN).zip(counter.0 - 2..) {
                let opened = Datagram::read(datagram).unwrap().open();
                assert_eq!((opened.header(), opened.counter()), (HEADER, number));
                assert_eq!(opened.flags(), if to_group { FLAG_GROUP | 1 } else { 1 });
                assert_eq!(opened.bytes().len(), LEN);
            }
        }
        assert_eq!(counter, TransmitCounter::after(47));
    }

    #[test]
    fn other_protocols_and_versions_are_told_apart() {
        let error = |bytes: &mut [u8]| Datagram::read(bytes).map(drop).unwrap_err();
        let mut bytes = run(1);
        assert!(Datagram::read(&mut bytes).is_ok());
        bytes[VERSION_AT] = PROTOCOL_VERSION + 1;
        assert_eq!(error(&mut bytes), Malformed::Version(PROTOCOL_VERSION + 1));
        assert_eq!(error(&mut bytes[..3]), Malformed::Version(PROTOCOL_VERSION + 1));
        bytes[VERSION_AT] = PROTOCOL_VERSION;
        assert_eq!(error(&mut bytes[..FLAGS_AT]), Malformed::Length);
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
    fn no_room_means_no_datagram() {
        let mut out = [0; LEN];
        assert!(begin(&mut out, LEN, Kind::Ack, 0, &HEADER).is_some());
        assert!(begin(&mut out[1..], LEN, Kind::Ack, 0, &HEADER).is_none());
    }
}
