//! Beacons: the datagrams by which membership servers find one another. Fixed offsets,
//! little-endian.
//!
//! ```text
//!  0 "VSB\0" | 4 version u16 | 6 flags (0) | 7 bytes of the deployment's name
//!  8 server id u64 | 16 boot value u64
//! 24 port u16 | 26 family of the address (4, 6) | 27 reserved | 32 address, 16 bytes
//! 48 the deployment's name
//! then optional fields, each: tag u8 | length u8 | bytes
//! ```
//!
//! Servers with keys send them sealed:
//!
//! ```text
//!  0 "VSB\x01" | 4 version u16 | 6 id of the key | 7 reserved
//!  8 salt, 16 bytes | 24 counter u64
//! 32 sealed: a beacon as above, from byte 6 on
//! then a tag of 16 bytes, which covers everything
//! ```
//!
//! What seals is derived from the key of servers and the salt, which a server draws when it starts.
//! The counter grows with each beacon, and is the nonce, behind which stand four bytes of 0.
//!
//! A sender writes reserved bits as 0, and a reader ignores them. A reader skips optional fields
//! whose tag it does not know; there is none yet.
//!
//! The version is [`STREAM_VERSION`], that of the connections. A beacon of another version has the
//! same first six bytes, and a reader does not look at the rest. Servers hear each other's beacons,
//! so each of them names both versions. Raise the version if a reader of the version before would
//! misread a beacon; do not raise it for an optional field or for the use of a reserved bit that
//! may be ignored.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::ident::{GROUP_NAME_BYTES_MAX, NUMBER_MAX, ServerId, check_name};
use crate::seal::TAG_BYTES;
use crate::wire::STREAM_VERSION;

const MAGIC: [u8; 4] = *b"VSB\0";
const SEALED_MAGIC: [u8; 4] = *b"VSB\x01";
const VERSION_AT: usize = 4;
const NAME_LENGTH_AT: usize = 7;
const SERVER_AT: usize = 8;
const BOOT_AT: usize = 16;
const PORT_AT: usize = 24;
const FAMILY_AT: usize = 26;
const IP_AT: usize = 32;
const NAME_AT: usize = 48;
/// Of a sealed one.
const KEY_AT: usize = 6;
const SALT_AT: usize = 8;
const COUNTER_AT: usize = 24;

/// Bytes of the magic and the version, which are never sealed.
pub(crate) const HEAD_BYTES: usize = 6;
/// Bytes of a salt.
pub(crate) const SALT_BYTES: usize = 16;
/// Bytes of what is in the clear of a sealed beacon.
pub(crate) const ENVELOPE_BYTES: usize = 32;

/// Bytes of the longest beacon, of which optional fields may take those that are left beside the
/// longest name.
pub const BEACON_BYTES_MAX: usize = 512;
const _: () =
    assert!(ENVELOPE_BYTES + NAME_AT + GROUP_NAME_BYTES_MAX + TAG_BYTES < BEACON_BYTES_MAX);

/// What a server says to all that may hear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon<'a> {
    /// The deployment that the server belongs to; named as groups are.
    pub deployment: &'a str,
    /// The server.
    pub server: ServerId,
    /// Its boot value.
    pub boot: u64,
    /// Where it listens: an address and port that others can connect to.
    pub listen: SocketAddr,
}

/// What is in the clear of a sealed beacon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// The id of the key.
    pub(crate) key: u8,
    /// Of the incarnation of the server.
    pub(crate) salt: [u8; SALT_BYTES],
    /// Of the beacon; never the same for two of one salt.
    pub(crate) counter: u64,
}

impl Envelope {
    /// The bytes in the clear.
    pub(crate) fn encode(&self) -> [u8; ENVELOPE_BYTES] {
        let mut out = [0; ENVELOPE_BYTES];
        out[..VERSION_AT].copy_from_slice(&SEALED_MAGIC);
        out[VERSION_AT..][..2].copy_from_slice(&STREAM_VERSION.to_le_bytes());
        out[KEY_AT] = self.key;
        out[SALT_AT..][..SALT_BYTES].copy_from_slice(&self.salt);
        out[COUNTER_AT..][..8].copy_from_slice(&self.counter.to_le_bytes());
        out
    }

    /// Takes a sealed beacon apart: what is in the clear, as it is and as it reads, and the rest.
    /// `None`: it is no sealed beacon of this version.
    pub(crate) fn split(datagram: &[u8]) -> Option<(&[u8; ENVELOPE_BYTES], Self, &[u8])> {
        let (clear, rest) = datagram.split_first_chunk::<ENVELOPE_BYTES>()?;
        let version = u16::from_le_bytes([clear[VERSION_AT], clear[VERSION_AT + 1]]);
        if !clear.starts_with(&SEALED_MAGIC) || version != STREAM_VERSION {
            return None;
        }
        let (mut salt, mut counter) = ([0; SALT_BYTES], [0; 8]);
        salt.copy_from_slice(&clear[SALT_AT..][..SALT_BYTES]);
        counter.copy_from_slice(&clear[COUNTER_AT..][..8]);
        let counter = u64::from_le_bytes(counter);
        Some((clear, Self { key: clear[KEY_AT], salt, counter }, rest))
    }
}

/// Writes what stands in front of an opened beacon, for [`decode`].
pub(crate) fn encode_head(out: &mut [u8; HEAD_BYTES]) {
    out[..VERSION_AT].copy_from_slice(&MAGIC);
    out[VERSION_AT..].copy_from_slice(&STREAM_VERSION.to_le_bytes());
}

/// Why a datagram is no beacon of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBeacon {
    /// It is something else.
    Other,
    /// It is one of another version.
    Version(u16),
    /// It is sealed.
    Sealed,
}

/// Writes a beacon; returns its length. `None`: `out` is too short, or it names what no beacon can.
#[must_use]
pub fn encode(out: &mut [u8], beacon: &Beacon<'_>) -> Option<usize> {
    if !beacon.is_sound() {
        return None;
    }
    let name = beacon.deployment.as_bytes();
    let out = out.get_mut(..NAME_AT + name.len())?;
    out.fill(0);
    out[..VERSION_AT].copy_from_slice(&MAGIC);
    out[VERSION_AT..][..2].copy_from_slice(&STREAM_VERSION.to_le_bytes());
    out[NAME_LENGTH_AT] = name.len() as u8;
    out[SERVER_AT..][..8].copy_from_slice(&beacon.server.0.to_le_bytes());
    out[BOOT_AT..][..8].copy_from_slice(&beacon.boot.to_le_bytes());
    out[PORT_AT..][..2].copy_from_slice(&beacon.listen.port().to_le_bytes());
    match beacon.listen.ip() {
        IpAddr::V4(ip) => {
            out[FAMILY_AT] = 4;
            out[IP_AT..][..4].copy_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out[FAMILY_AT] = 6;
            out[IP_AT..][..16].copy_from_slice(&ip.octets());
        }
    }
    out[NAME_AT..].copy_from_slice(name);
    Some(out.len())
}

/// Reads a beacon.
///
/// # Errors
/// Says whether it is one of another version, or sealed.
pub fn decode(datagram: &[u8]) -> Result<Beacon<'_>, NoBeacon> {
    let is_sealed = datagram.starts_with(&SEALED_MAGIC);
    let magic = if is_sealed { SEALED_MAGIC } else { MAGIC };
    let rest = datagram.strip_prefix(&magic).ok_or(NoBeacon::Other)?;
    let version = rest.first_chunk::<2>().ok_or(NoBeacon::Other)?;
    let version = u16::from_le_bytes(*version);
    if version != STREAM_VERSION {
        return Err(NoBeacon::Version(version));
    }
    if is_sealed {
        return Err(NoBeacon::Sealed);
    }
    let (head, rest) = datagram.split_first_chunk::<NAME_AT>().ok_or(NoBeacon::Other)?;
    let name_bytes = usize::from(head[NAME_LENGTH_AT]);
    let (name, mut options) = rest.split_at_checked(name_bytes).ok_or(NoBeacon::Other)?;
    while let [_, len, rest @ ..] = options {
        options = rest.get(usize::from(*len)..).ok_or(NoBeacon::Other)?;
    }
    if !options.is_empty() {
        return Err(NoBeacon::Other);
    }
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&head[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let mut octets = [0; 16];
    octets.copy_from_slice(&head[IP_AT..]);
    let ip = match head[FAMILY_AT] {
        4 => IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])),
        6 => IpAddr::V6(Ipv6Addr::from(octets)),
        _ => return Err(NoBeacon::Other),
    };
    let port = u16::from_le_bytes([head[PORT_AT], head[PORT_AT + 1]]);
    let beacon = Beacon {
        deployment: core::str::from_utf8(name).map_err(|_| NoBeacon::Other)?,
        server: ServerId(number(SERVER_AT)),
        boot: number(BOOT_AT),
        listen: SocketAddr::new(ip, port),
    };
    if beacon.is_sound() { Ok(beacon) } else { Err(NoBeacon::Other) }
}

impl Beacon<'_> {
    /// Whether its name and numbers are within their limits, and its address is one that can be
    /// connected to.
    pub(crate) fn is_sound(&self) -> bool {
        let ip = self.listen.ip();
        let is_reachable = !ip.is_unspecified() && !ip.is_multicast() && self.listen.port() != 0;
        let in_range = self.server.0 <= NUMBER_MAX && self.boot <= NUMBER_MAX;
        is_reachable && in_range && check_name(self.deployment).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTEN: [&str; 2] = ["10.0.0.1:7000", "[fe80::1]:65535"];

    fn beacon(listen: &str) -> Beacon<'static> {
        let listen = listen.parse().unwrap();
        Beacon { deployment: "default", server: ServerId(NUMBER_MAX), boot: 5, listen }
    }

    fn encoded(beacon: &Beacon<'_>) -> alloc::vec::Vec<u8> {
        let mut out = [0xaa; BEACON_BYTES_MAX];
        let len = encode(&mut out, beacon).unwrap();
        out[..len].to_vec()
    }

    #[test]
    fn a_beacon_says_the_same_when_it_is_read() {
        for beacon in LISTEN.map(beacon) {
            let bytes = encoded(&beacon);
            assert_eq!(decode(&bytes), Ok(beacon));
            assert_eq!(encode(&mut alloc::vec![0; bytes.len() - 1], &beacon), None);
        }
        let longest = "x".repeat(GROUP_NAME_BYTES_MAX);
        let longest = Beacon { deployment: &longest, ..beacon(LISTEN[0]) };
        assert_eq!(encoded(&longest).len(), NAME_AT + GROUP_NAME_BYTES_MAX);
    }

    #[test]
    fn what_is_cut_short_is_no_beacon() {
        let mut bytes = encoded(&beacon(LISTEN[0]));
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), Err(NoBeacon::Other), "{len} bytes");
        }
        bytes.push(b'x');
        assert_eq!(decode(&bytes), Err(NoBeacon::Other), "a field without its length");
    }

    #[test]
    fn unknown_optional_fields_are_skipped() {
        let bytes = encoded(&beacon(LISTEN[0]));
        for options in [&[9, 0][..], &[9, 2, 1, 1, 10, 1, 1]] {
            let with = [&bytes[..], options].concat();
            assert_eq!(decode(&with), Ok(beacon(LISTEN[0])));
            assert_eq!(decode(&with[..with.len() - 1]), Err(NoBeacon::Other), "cut short");
        }
    }

    #[test]
    fn another_version_is_told_from_something_else() {
        let mut bytes = encoded(&beacon(LISTEN[0]));
        bytes[VERSION_AT] = 9;
        assert_eq!(decode(&bytes), Err(NoBeacon::Version(9)));
        assert_eq!(decode(&bytes[..6]), Err(NoBeacon::Version(9)), "whatever follows");
        bytes[3] = 1;
        assert_eq!(decode(&bytes[..6]), Err(NoBeacon::Version(9)), "a sealed one");
        bytes[0] = b'X';
        assert_eq!(decode(&bytes), Err(NoBeacon::Other));
    }

    #[test]
    fn envelope_says_the_same_when_it_is_read() {
        let envelope = Envelope { key: 3, salt: [7; SALT_BYTES], counter: 1 << 40 };
        let bytes = [&envelope.encode()[..], b"sealed"].concat();
        assert_eq!(decode(&bytes), Err(NoBeacon::Sealed));
        let (clear, read, rest) = Envelope::split(&bytes).unwrap();
        assert_eq!((&clear[..], read, rest), (&bytes[..ENVELOPE_BYTES], envelope, &b"sealed"[..]));
        for len in 0..ENVELOPE_BYTES {
            assert_eq!(Envelope::split(&bytes[..len]), None);
        }
        for at in [0, 3, VERSION_AT] {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert_eq!(Envelope::split(&bytes), None, "{at}");
        }
    }

    #[test]
    fn what_cannot_be_connected_to_or_is_out_of_range_is_no_beacon() {
        let bytes = encoded(&beacon(LISTEN[0]));
        let spoilt: [(usize, &[u8]); 8] = [
            (IP_AT, &[0, 0, 0, 0]),
            (IP_AT, &[239, 0, 0, 1]),
            (PORT_AT, &[0, 0]),
            (FAMILY_AT, &[5]),
            (SERVER_AT + 7, &[1]),
            (BOOT_AT + 7, &[1]),
            (NAME_AT, b"\n"),
            (NAME_AT, b"\xff"),
        ];
        for (at, with) in spoilt {
            let mut bytes = bytes.clone();
            bytes[at..at + with.len()].copy_from_slice(with);
            assert_eq!(decode(&bytes), Err(NoBeacon::Other), "{with:?} at {at}");
        }
        let mut reserved = bytes.clone();
        (reserved[6], reserved[27], reserved[40]) = (0xff, 0xff, 0xff);
        assert_eq!(decode(&reserved), decode(&bytes), "reserved bits");
        let unnamed = Beacon { deployment: "", ..beacon(LISTEN[0]) };
        assert_eq!(encode(&mut [0; BEACON_BYTES_MAX], &unnamed), None);
    }
}
