//! Decoding of datagrams. Whatever is accepted can be walked, is the same when it is encoded again,
//! and has no other form except for reserved bits.

use vs_core::ident::{GroupName, Identity, Incarnation, NUMBER_MAX, ProcessId, ServerId, ViewId};
use vs_core::order::Order;
use vs_core::wire::beacon::{self, BEACON_BYTES_MAX, Beacon, NoBeacon};
use vs_core::wire::datagram::{Header, KIND_AT, Malformed, TransmitCounter, finish};
use vs_core::wire::direct;
use vs_core::wire::packet::{self, Content, Packet};
use vs_core::wire::path::{self, Path};
use vs_core::wire::reach;
use vs_core::wire::trailer;
use vs_core::{GroupConfig, Node, NodeConfig, Time, Verdict};

use crate::control::{SyncMessage, SyncRequest, ViewKey};
use crate::{Bytes, Seeds};

/// How many readings of an input there are; its first byte says which.
const WAYS: u8 = 3;
const RAW: u8 = 0;
const SYNC: u8 = 1;

/// Where a datagram names its group, and what its flags are.
const GROUP: core::ops::Range<usize> = 8..16;
const FLAGS_AT: usize = 33;
const FLAG_GROUP: u8 = 0x80;

/// Decodes `input`, or the control message that it describes.
pub fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    match bytes.u8() % WAYS {
        RAW => {
            let datagram = bytes.rest();
            decode(datagram);
            control(datagram);
            beacon(datagram);
        }
        SYNC => described(&sync(&mut bytes), bytes.rest(), false),
        _ => described(&request(&mut bytes), bytes.rest(), true),
    }
}

fn decode(datagram: &[u8]) {
    match packet::open(&mut datagram.to_vec()) {
        Ok(packet) => again(datagram, &packet),
        Err(Malformed::Version(version)) => assert_eq!(datagram[2], version),
        Err(Malformed::Kind(kind)) => assert_eq!(datagram[KIND_AT], kind),
        Err(Malformed::Magic | Malformed::Length | Malformed::Field) => {}
    }
}

/// What was decoded, encoded again, is the same datagram without its padding and with its reserved
/// bits cleared. It does not fit into less room.
fn again(datagram: &[u8], packet: &Packet<'_>) {
    let mut out = vec![0xaa; datagram.len()];
    let (header, content) = (&packet.header, packet.content);
    let len = encode(&mut out, header, content).expect("it had room for this before");
    let mut counter = TransmitCounter::after(packet.counter.wrapping_sub(1));
    finish(&mut out[..len], len, packet.to_group, &mut counter);
    let mut cleared = datagram[..len].to_vec();
    if let Content::Data(data) = content {
        let padding = u16::from_le_bytes([datagram[36], datagram[37]]);
        assert_eq!(len, packet::data_bytes(data.body.len()));
        assert_eq!(len + usize::from(padding), datagram.len());
        if let Some((messages, trailer)) = trailer::split(data.body) {
            let records = (0..).map_while(|at| trailer.record(at)).count();
            assert!(messages.len() + records < data.body.len());
        }
    } else {
        assert_eq!(len, datagram.len());
    }
    let (flags, reserved) = match content {
        Content::Data(_) => {
            let of_body = packet::FLAG_FRAGMENT | packet::FLAG_FIRST | packet::FLAG_LAST;
            (of_body | packet::FLAG_INTERNAL | packet::FLAG_TRAILER, 36..40)
        }
        Content::Ack(_) => (0, 38..40),
        Content::Nak(_) => (0, 40..40),
        Content::Heartbeat(_) => (packet::FLAG_SOLICIT, 34..40),
        Content::Sync(_) | Content::SyncRequest(_) => (0, 34..40),
        Content::Reach(_) => (7, 34..40),
        Content::Path(Path::Probe { .. }) => {
            cleared[34..36].fill(0);
            (1, 40..len)
        }
        Content::Path(Path::Arrived { .. }) => (1, 40..40),
        Content::Direct(_) => (0, 36..40),
    };
    cleared[FLAGS_AT] &= flags | FLAG_GROUP;
    cleared[reserved].fill(0);
    cleared[6..8].fill(0);
    assert_eq!(out[..len], cleared);
    assert_eq!(packet::open(&mut out[..len]).map(|p| p.header), Ok(*header));
    assert_eq!(encode(&mut out[..len - 1], header, content), None, "it fits less than it takes");
}

/// A decoded beacon, encoded again, is the same datagram with its reserved bits cleared and without
/// the optional fields, none of which this version knows.
fn beacon(datagram: &[u8]) {
    let beacon = match beacon::decode(datagram) {
        Ok(beacon) => beacon,
        Err(NoBeacon::Version(version)) => return assert_eq!(datagram[4], version as u8),
        Err(NoBeacon::Other | NoBeacon::Sealed) => return,
    };
    let mut out = [0xaa; BEACON_BYTES_MAX];
    let len = beacon::encode(&mut out, &beacon).expect("it was a datagram before");
    let mut cleared = datagram.to_vec();
    cleared.truncate(len);
    cleared[6] = 0;
    cleared[27..32].fill(0);
    if beacon.listen.is_ipv4() {
        cleared[36..48].fill(0);
    }
    assert_eq!(out[..len], cleared);
}

fn encode(out: &mut [u8], header: &Header, content: Content<'_>) -> Option<usize> {
    match content {
        Content::Data(data) => packet::encode_data(out, header, &data),
        Content::Ack(ack) => packet::encode_ack(out, header, ack.first, ack.entries()),
        Content::Nak(nak) => {
            let ranges: Vec<_> = nak.ranges().collect();
            assert!(ranges.windows(2).all(|pair| pair[0].upto < pair[1].from));
            packet::encode_nak(out, header, nak.origin, nak.target, &ranges)
        }
        Content::Heartbeat(beat) => packet::encode_heartbeat(out, header, &beat),
        Content::Sync(body) => encode_control(out, header, false, body),
        Content::SyncRequest(body) => encode_control(out, header, true, body),
        Content::Reach(said) => reach::encode(out, header, &said),
        Content::Path(said) => path::encode(out, header, &said),
        Content::Direct(direct) => direct::encode(out, header, &direct),
    }
}

fn encode_control(out: &mut [u8], header: &Header, is_request: bool, body: &[u8]) -> Option<usize> {
    let end = packet::SYNC_HEADER_BYTES + body.len();
    out.get_mut(packet::SYNC_HEADER_BYTES..end)?.copy_from_slice(body);
    packet::encode_sync_header(out, header, is_request, body.len())
}

/// A node counts a control message as malformed if and only if it is.
fn control(datagram: &[u8]) {
    let mut opened = datagram.to_vec();
    let Ok(packet) = packet::open(&mut opened) else { return };
    let well_formed = match packet.content {
        Content::Sync(body) => {
            let is_bounded = |safe: Option<u64>| safe.is_none_or(|safe| safe <= NUMBER_MAX);
            SyncMessage::read(body).is_some_and(|(m, safe)| m.is_well_formed() && is_bounded(safe))
        }
        Content::SyncRequest(body) => SyncRequest::read(body).is_some_and(|m| m.is_well_formed()),
        _ => return,
    };
    let verdict = verdict(datagram);
    assert_eq!(verdict != Verdict::Malformed, well_formed, "{verdict:?}");
}

/// The verdict of a node that has just joined.
fn verdict(datagram: &[u8]) -> Verdict {
    let config = NodeConfig::default().with_datagram_bytes(512).with_pool_slots_max(64);
    let group = GroupConfig::default()
        .with_members_max(4)
        .with_window_packets(4)
        .with_message_bytes_max(64)
        .with_queue_bytes(128)
        .with_early_packets_max(4)
        .with_ack_packets(1);
    let identity = Identity {
        process: ProcessId(1),
        incarnation: Incarnation::new(1),
        addr: ([127, 0, 0, 1], 4000).into(),
        seed: 1,
    };
    let mut node = Node::new(config, identity, 1, ()).expect("a configuration");
    let name = GroupName::new("wire").expect("a name");
    let key = node.join(Time::ZERO, &name, group).expect("room for the group");
    let mut datagram = datagram.to_vec();
    datagram[GROUP].copy_from_slice(&key.0.to_le_bytes());
    node.handle_datagram(Time::ZERO, ([127, 0, 0, 1], 4001).into(), &mut datagram)
}

/// The core reads a message that was encoded here, followed by what may be optional fields, and
/// judges it as this target does.
fn described<M: serde::Serialize>(message: &M, options: &[u8], is_request: bool) {
    let mut body = postcard::to_allocvec(message).expect("it has a length");
    body.extend_from_slice(options);
    let header = Header { rank: 0, group: vs_core::ident::GroupKey(0), fingerprint: 0 };
    let mut out = vec![0; packet::SYNC_HEADER_BYTES + body.len()];
    let len = encode_control(&mut out, &header, is_request, &body);
    assert_eq!(len, Some(out.len()));
    decode(&out);
    control(&out);
}

fn sync(bytes: &mut Bytes<'_>) -> SyncMessage {
    let id = ViewId { major: bytes.number_near(1), minor: bytes.number_near(1) };
    SyncMessage {
        process: bytes.number_near(1),
        incarnation: (bytes.number_near(1), bytes.u8().into()),
        cid: bytes.number_near(1),
        view: ViewKey { id, start: bytes.number_near(1), fingerprint: bytes.u64() },
        total: bytes.u16(),
        first: bytes.u16(),
        runs: (0..bytes.u8()).map(|_| (u16::from(bytes.u8()), bytes.number_near(1))).collect(),
    }
}

fn request(bytes: &mut Bytes<'_>) -> SyncRequest {
    let process = bytes.number_near(1);
    let wanted = (0..bytes.below(20)).map(|_| (bytes.number_near(1), bytes.number_near(1)));
    SyncRequest { process, wanted: wanted.collect() }
}

/// Initial inputs: datagrams of each kind, as a small group sends them.
#[must_use]
pub fn seeds() -> Seeds {
    let mut seeds: Seeds = crate::cluster::said()
        .into_iter()
        .map(|(name, datagram)| (name, [&[RAW], &datagram[..]].concat()))
        .collect();
    for order in [Order::Causal, Order::Total] {
        let data = crate::cluster::said_in(order)
            .into_iter()
            .filter(|(name, _)| name.starts_with("kind-1-"));
        seeds.extend(
            data.map(|(name, datagram)| {
                (format!("{order}-{name}"), [&[RAW], &datagram[..]].concat())
            }),
        );
    }
    let mut said = [0; BEACON_BYTES_MAX];
    let (server, listen) = (ServerId(2), ([10, 0, 0, 1], 7000).into());
    let own = Beacon { deployment: "default", server, boot: 1, listen };
    let len = beacon::encode(&mut said, &own).expect("a beacon");
    seeds.push(("beacon".into(), [&[RAW], &said[..len]].concat()));
    seeds.push(("described-sync".into(), vec![SYNC, 8, 8, 8, 8, 8, 8, 9, 9, 9, 9]));
    seeds.push(("described-request".into(), vec![SYNC + 1, 8, 3, 8, 8, 8, 8, 8, 8]));
    seeds
}
