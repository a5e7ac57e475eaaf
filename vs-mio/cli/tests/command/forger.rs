//! Somebody on the network of a group who has no key: hears its multicasts, and sends what it
//! likes, to the group and to each member.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Instant;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use vs_core::ident::{GroupKey, Rank};
use vs_core::wire::datagram::{Datagram, HEADER_BYTES, Header, KIND_AT, Kind, Scope};
use vs_core::wire::packet::SYNC_HEADER_BYTES;

use crate::world::{HANG, pause};

/// Bytes of the longest datagram.
const BYTES_MAX: usize = 1 << 16;
/// Where a datagram says with which key it is sealed, in which scope, and which one it is.
const KEY_AT: usize = 3;
const SCOPE_AT: usize = 6;
const COUNTER_AT: usize = 24;
/// Where it says its group, by a selector if it is sealed.
const GROUP_AT: usize = 8;
/// Where it says its selector or its fingerprint.
const FINGERPRINT_AT: usize = 16;
/// Bytes of a tag, and of what stands before it in the scope of an incarnation.
const TAIL_BYTES: usize = 24;
/// Datagrams that are sent at once: the buffers of members have room for more.
const BURST: usize = 50;

/// What the forger knows of a group from what stands in the clear.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    pub(crate) group: GroupKey,
    /// Of the view that was heard last.
    pub(crate) fingerprint: u64,
    /// By rank: where the member sends from, and the highest number of its datagrams.
    pub(crate) members: BTreeMap<Rank, (SocketAddr, u64)>,
    /// Selectors of incarnations, by where they send from.
    pub(crate) selectors: BTreeMap<SocketAddr, u64>,
    /// By where they send from: process, incarnation in two numbers, and cid of the last sync
    /// message in the clear.
    pub(crate) syncs: BTreeMap<SocketAddr, [u64; 4]>,
}

impl Sight {
    /// A header in the name of the member `rank`.
    pub(crate) fn header(&self, rank: Rank) -> Header {
        Header { rank, group: self.group, fingerprint: self.fingerprint }
    }
}

pub(crate) struct Forger {
    ear: UdpSocket,
    mouth: UdpSocket,
    group: SocketAddrV4,
    /// All that was heard of members, as it came.
    pub(crate) recorded: Vec<(SocketAddr, Vec<u8>)>,
}

impl Forger {
    /// At the multicast address of a group.
    pub(crate) fn new(multicast: &str) -> Self {
        let group: SocketAddrV4 = multicast.parse().expect("an address of IPv4");
        let ear = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
        ear.set_reuse_address(true).expect("a port that is shared");
        ear.set_reuse_port(true).expect("a port that is shared");
        ear.set_recv_buffer_size(4 << 20).expect("a buffer");
        ear.bind(&SocketAddr::from(group).into()).expect("a port that is shared");
        ear.join_multicast_v4(group.ip(), &Ipv4Addr::LOCALHOST).expect("the group");
        let mouth = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let on = SockRef::from(&mouth).set_multicast_if_v4(&Ipv4Addr::LOCALHOST);
        on.expect("multicast on loopback");
        Self { ear: ear.into(), mouth, group, recorded: Vec::new() }
    }

    /// Records what members have sent until nothing comes any more.
    pub(crate) fn listen(&mut self) {
        let own = self.mouth.local_addr().expect("a bound socket");
        let quiet = Duration::from_millis(20);
        self.ear.set_read_timeout(Some(quiet)).expect("a time");
        let mut bytes = vec![0; BYTES_MAX];
        let until = Instant::now() + HANG;
        while let Ok((len, from)) = self.ear.recv_from(&mut bytes) {
            if from != own && bytes.starts_with(b"VS") {
                self.recorded.push((from, bytes[..len].to_vec()));
            }
            assert!(Instant::now() < until, "the group is never quiet");
        }
    }

    /// What all that was recorded tells.
    pub(crate) fn sight(&mut self) -> Sight {
        let mut sight = Sight::default();
        for (from, bytes) in &mut self.recorded {
            let Ok(datagram) = Datagram::read(bytes) else { continue };
            let (header, counter) = (datagram.header(), datagram.counter());
            sight.group = header.group;
            let in_clear = datagram.key() == 0;
            let kind = Kind::try_from(datagram.bytes()[KIND_AT]);
            let scope = if in_clear { kind.ok().map(Kind::scope) } else { datagram.scope() };
            if scope == Some(Scope::Incarnation) {
                sight.selectors.insert(*from, header.fingerprint);
                if in_clear && kind == Ok(Kind::Sync) {
                    sight.syncs.insert(*from, sync_head(&datagram.bytes()[SYNC_HEADER_BYTES..]));
                }
                continue;
            }
            if header.fingerprint != sight.fingerprint {
                (sight.fingerprint, sight.members) = (header.fingerprint, BTreeMap::new());
            }
            sight.members.insert(header.rank, (*from, counter));
        }
        sight
    }

    /// Sends datagrams to the group, and to each of `to`.
    pub(crate) fn send(&self, datagrams: &[Vec<u8>], to: &[SocketAddr]) {
        send(&self.mouth, datagrams, &self.and_group(to));
    }

    /// The same, again and again.
    pub(crate) fn flood(&self, datagrams: Vec<Vec<u8>>, to: Vec<SocketAddr>) -> Flood {
        let flood = Flood(Arc::default());
        let (ends, to) = (Arc::clone(&flood.0), self.and_group(&to));
        let mouth = self.mouth.try_clone().expect("a handle");
        std::thread::spawn(move || {
            while !ends.load(Ordering::SeqCst) {
                send(&mouth, &datagrams, &to);
            }
        });
        flood
    }

    fn and_group(&self, to: &[SocketAddr]) -> Vec<SocketAddr> {
        to.iter().copied().chain([self.group.into()]).collect()
    }
}

fn send(mouth: &UdpSocket, datagrams: &[Vec<u8>], to: &[SocketAddr]) {
    for (at, datagram) in datagrams.iter().enumerate() {
        for addr in to {
            // A member may have gone.
            let _ = mouth.send_to(datagram, addr);
        }
        if at % BURST == 0 {
            pause(1);
        }
    }
}

/// Datagrams that are sent again and again, until this is dropped.
pub(crate) struct Flood(Arc<AtomicBool>);

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A datagram in the clear as one that says to be sealed with the key `key`, in the scope of its
/// kind.
pub(crate) fn sealed_alike(clear: &[u8], key: u8, selector: u64) -> Vec<u8> {
    let kind = Kind::try_from(clear[KIND_AT]).expect("a kind");
    let mut bytes = [clear, &[0x5a; TAIL_BYTES]].concat();
    bytes[KEY_AT] = key;
    bytes[SCOPE_AT] = kind.scope() as u8;
    if kind.scope() == Scope::Incarnation {
        bytes[FINGERPRINT_AT..][..8].copy_from_slice(&selector.to_le_bytes());
    }
    bytes
}

/// The same datagram under another number.
pub(crate) fn numbered(mut bytes: Vec<u8>, number: u64) -> Vec<u8> {
    bytes[COUNTER_AT..][..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// The same datagram of another group.
pub(crate) fn of_group(mut bytes: Vec<u8>, group: GroupKey) -> Vec<u8> {
    bytes[GROUP_AT..][..8].copy_from_slice(&group.0.to_le_bytes());
    bytes
}

/// The same datagram of another view.
pub(crate) fn of_view(mut bytes: Vec<u8>, fingerprint: u64) -> Vec<u8> {
    bytes[FINGERPRINT_AT..][..8].copy_from_slice(&fingerprint.to_le_bytes());
    bytes
}

/// The datagram with each of its bits flipped, one at a time, behind the protocol and the version,
/// under numbers that nobody has used.
pub(crate) fn flipped(bytes: &[u8], number: u64) -> Vec<Vec<u8>> {
    let flip = |bit: usize| {
        let mut other = bytes.to_vec();
        if bit / 8 >= HEADER_BYTES {
            other = numbered(other, number + bit as u64);
        }
        other[bit / 8] ^= 1 << (bit % 8);
        other
    };
    (KEY_AT * 8..bytes.len() * 8).map(flip).collect()
}

/// A number as seven bits a byte, the least first.
pub(crate) fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The first fields of a sync message.
fn sync_head(mut fields: &[u8]) -> [u64; 4] {
    core::array::from_fn(|_| {
        let (number, rest) = read_varint(fields);
        fields = rest;
        number
    })
}

/// The first such number of `bytes`, and what follows it.
pub(crate) fn read_varint(bytes: &[u8]) -> (u64, &[u8]) {
    let len = 1 + bytes.iter().position(|b| b & 0x80 == 0).expect("a number");
    let (number, rest) = bytes.split_at(len);
    (number.iter().rev().fold(0, |all, b| all << 7 | u64::from(b & 0x7f)), rest)
}
