//! A whole node in a view of three. Its peers send anything, its clock shows anything, its server
//! is honest.

use std::net::SocketAddr;

use vs_core::ident::ProcessId;
use vs_core::wire::PROTOCOL_VERSION;
use vs_core::wire::body::body_bytes;
use vs_core::wire::datagram::{Header, KIND_AT, Kind};
use vs_core::wire::packet::{self, AckEntry, Data, Heartbeat};
use vs_core::{Blocking, Time};

use crate::control::{SyncMessage, SyncRequest, ViewKey};
use crate::lone::{Lone, ME, TIME_MAX};
use crate::{Bytes, Seeds};

/// Where a datagram names its transmitter, its group and its view.
const RANK: core::ops::Range<usize> = 4..6;
const GROUP: core::ops::Range<usize> = 8..16;
const FINGERPRINT: core::ops::Range<usize> = 16..24;

/// Where a report of gaps says of whom, to whom and how many.
const NAK_FIELDS_AT: usize = 34;

/// Ranks of a view.
const RANKS: usize = 4;

/// What can happen; the rest of its byte says which kind of it.
const HAPPENINGS: u8 = 16;
const SAY: u8 = 0;
const DESCRIBED: u8 = 1;

/// Lets happen what `input` says.
pub fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let manual = bytes.flag();
    let mut lone = Lone::new(|_, group| {
        if manual {
            group.blocking = Blocking::Manual;
        }
    });
    settle(&mut lone, &set(0b111));
    let mut peers = Peers::default();
    while !bytes.is_empty() {
        happen(&mut lone, &mut peers, &mut bytes);
    }
    lone.end();
}

/// The processes whose bits are set, this one always among them.
fn set(bits: u8) -> Vec<ProcessId> {
    let all = (0..RANKS as u64).map(|bit| ProcessId(bit + 1));
    all.filter(|p| *p == ME || bits >> (p.0 - 1) & 1 == 1).collect()
}

fn settle(lone: &mut Lone, members: &[ProcessId]) {
    lone.attach();
    lone.start_change(members);
    lone.drain();
    lone.announce(members);
    lone.drain();
}

/// What the peers have made the node believe.
#[derive(Debug, Default)]
struct Peers {
    /// The view that the rest is about.
    fingerprint: u64,
    /// The highest packet of each rank.
    highest: [u64; RANKS],
}

fn happen(lone: &mut Lone, peers: &mut Peers, bytes: &mut Bytes<'_>) {
    let pick = bytes.u8();
    let more = pick / HAPPENINGS;
    match pick % HAPPENINGS {
        SAY => said(lone, bytes, more),
        DESCRIBED | 2 | 3 | 4 => {
            let mut datagram = described(lone, peers, bytes);
            lone.node.handle_datagram(lone.now(), peer(pick), &mut datagram);
        }
        5 | 6 => time(lone, bytes, more),
        7 => lone.wake(),
        8 | 9 => {
            let len = usize::from(bytes.u16()) % 3000;
            // Refusals are judged where the input is an application.
            let _ = lone.node.send(lone.now(), lone.key, &vec![more; len]);
        }
        10 => {
            lone.transmit(usize::from(more % 4));
        }
        11 => {
            lone.act();
        }
        12 => lone.drain(),
        13 => membership(lone, bytes, more),
        14 => {
            let _ = lone.node.block_ok(lone.now(), lone.key);
        }
        _ => {
            if more & 1 == 0 {
                lone.node.leave(lone.now(), lone.key);
            } else {
                lone.join();
            }
        }
    }
}

/// Where a datagram comes from.
fn peer(pick: u8) -> SocketAddr {
    ([127, 0, 0, 1], 4001 + u16::from(pick & 3)).into()
}

/// Bytes as they are, with as much of what the node looks at first as chance would never find.
fn said(lone: &mut Lone, bytes: &mut Bytes<'_>, known: u8) {
    let mut datagram = bytes.sized().to_vec();
    let fingerprint = lone.view().map_or(0, vs_core::View::fingerprint);
    let patches: [(_, &[u8]); 4] = [
        (0..3, &[b'V', b'S', PROTOCOL_VERSION]),
        (GROUP, &lone.key.0.to_le_bytes()),
        (FINGERPRINT, &fingerprint.to_le_bytes()),
        (RANK, &[datagram.first().copied().unwrap_or(0) % 4, 0]),
    ];
    for (i, (place, patch)) in patches.into_iter().enumerate() {
        if let (0, Some(place)) = (known >> i & 1, datagram.get_mut(place)) {
            place.copy_from_slice(patch);
        }
    }
    lone.node.handle_datagram(lone.now(), peer(known), &mut datagram);
}

/// A well-formed datagram of a peer, about numbers near those that count.
fn described(lone: &Lone, peers: &mut Peers, bytes: &mut Bytes<'_>) -> Vec<u8> {
    let view = lone.view().map_or(0, vs_core::View::fingerprint);
    if view != peers.fingerprint {
        *peers = Peers { fingerprint: view, ..Peers::default() };
    }
    let pick = bytes.u8();
    let rank = u16::from(pick & 3);
    // Of another view: an early packet, or one of the view before.
    let fingerprint = if pick & 0x1c == 0x1c { u64::from(bytes.u8()) } else { view };
    let header = Header { rank, group: lone.key, fingerprint };
    let mut out = vec![0; lone.datagram_bytes];
    let len = match pick >> 5 {
        0..=2 => data(&mut out, &header, peers, bytes),
        3 => {
            let entries: Vec<AckEntry> = (0..bytes.below(5))
                .map(|i| {
                    let near = peers.highest[usize::from(i) % RANKS];
                    let (received, credit) = (bytes.number_near(near), bytes.number_near(near));
                    AckEntry { received, credit }
                })
                .collect();
            packet::encode_ack(&mut out, &header, bytes.below(4).into(), entries.into_iter())
        }
        4 => nak(&mut out, &header, peers, bytes),
        5 => {
            let near = peers.highest[usize::from(rank)];
            let beat = Heartbeat {
                solicit: bytes.flag(),
                highest: bytes.number_near(near),
                stable: bytes.number_near(near),
                view: lone.view().map_or_else(Default::default, vs_core::View::id),
            };
            packet::encode_heartbeat(&mut out, &header, &beat)
        }
        6 => sync(lone, &mut out, &header, peers, bytes),
        _ => {
            let cid = lone.attachment.cid;
            let wanted = (0..bytes.below(18)).map(|_| (ME.0, bytes.number_near(cid))).collect();
            let request = SyncRequest { process: 1 + u64::from(rank), wanted };
            control(&mut out, &header, true, &request)
        }
    };
    out.truncate(len.unwrap_or_default());
    out
}

fn data(
    out: &mut [u8],
    header: &Header,
    peers: &mut Peers,
    bytes: &mut Bytes<'_>,
) -> Option<usize> {
    let pick = bytes.u8();
    let origin = if pick & 0x80 == 0 { header.rank } else { u16::from(pick & 3) };
    let highest = &mut peers.highest[usize::from(origin) % RANKS];
    let seq = if pick & 0x40 == 0 { *highest + 1 } else { bytes.number_near(*highest).max(1) };
    *highest = (*highest).max(seq.min(1 << 20));
    let stable = if pick & 0x20 == 0 { 0 } else { bytes.number_near(*highest) };
    let flags = if pick & 0x10 == 0 { 0 } else { bytes.u8() & 7 };
    let room = body_bytes(out.len());
    let mut body = Vec::new();
    if flags == 0 {
        for _ in 0..=bytes.below(3) {
            let len = usize::from(bytes.u8());
            body.extend_from_slice(&(len as u32).to_le_bytes());
            body.resize(body.len() + len, pick);
        }
        body.truncate(room);
    } else {
        // A fragment: full, or the last one.
        let total = if pick & 8 == 0 { 1000 } else { u32::from(bytes.u16()) };
        body.extend_from_slice(&total.to_le_bytes());
        let full = flags & packet::FLAG_LAST == 0;
        body.resize(if full { room } else { usize::from(bytes.u8()) + 1 }, pick);
    }
    packet::encode_data(out, header, &Data { flags, origin, seq, stable, body: &body })
}

fn nak(out: &mut [u8], header: &Header, peers: &Peers, bytes: &mut Bytes<'_>) -> Option<usize> {
    let (origin, target) = (bytes.below(4).into(), bytes.below(4).into());
    let near = peers.highest[usize::from(bytes.below(4))];
    let count = u16::from(1 + bytes.below(3));
    let mut body: Vec<u8> =
        [origin, target, count].iter().flat_map(|n: &u16| n.to_le_bytes()).collect();
    let mut last = 0_u64;
    for _ in 0..count {
        let from = bytes.number_near(near).max(last.saturating_add(1));
        last = from.saturating_add(u64::from(bytes.u8() & 15));
        body.extend([from, last].iter().flat_map(|n| n.to_le_bytes()));
    }
    let len = NAK_FIELDS_AT + body.len();
    packet::encode_sync_header(out, header, false, len - packet::SYNC_HEADER_BYTES)?;
    out[KIND_AT] = Kind::Nak as u8;
    out[NAK_FIELDS_AT..len].copy_from_slice(&body);
    Some(len)
}

/// A sync message: most often the one that the node waits for.
fn sync(
    lone: &Lone,
    out: &mut [u8],
    header: &Header,
    peers: &Peers,
    bytes: &mut Bytes<'_>,
) -> Option<usize> {
    let pick = bytes.u8();
    let process = 1 + u64::from(pick & 3);
    let view = lone.view()?;
    let start = view.start(ProcessId(process)).map_or(1, |cid| cid.0);
    let cid = lone.attachment.cid;
    let total = if pick & 4 == 0 { view.len() as u16 } else { bytes.u16() };
    let first = if pick & 8 == 0 { 0 } else { bytes.u8().into() };
    let count = if pick & 8 == 0 { total } else { bytes.below(5).into() };
    let id = view.id();
    let runs = (0..usize::from(count).min(64)).map(|r| {
        let near = peers.highest[r % RANKS];
        let ranks = if pick & 0x40 == 0 { 1 } else { bytes.below(4).into() };
        (ranks, if pick & 0x10 == 0 { near } else { bytes.number_near(near) })
    });
    let runs = runs.collect();
    let message = SyncMessage {
        process,
        incarnation: (1, 0),
        cid: if pick & 0x20 == 0 { cid } else { bytes.number_near(cid) },
        view: ViewKey { id, start, fingerprint: view.fingerprint() },
        total,
        first,
        runs,
    };
    control(out, header, false, &message)
}

fn control<M: serde::Serialize>(
    out: &mut [u8],
    header: &Header,
    is_request: bool,
    message: &M,
) -> Option<usize> {
    let payload = out.get_mut(packet::SYNC_HEADER_BYTES..)?;
    let len = postcard::to_slice(message, payload).ok()?.len();
    packet::encode_sync_header(out, header, is_request, len)
}

/// Time passes, stands still, jumps, or is set back.
fn time(lone: &mut Lone, bytes: &mut Bytes<'_>, pick: u8) {
    let (now, amount) = (lone.now(), u64::from(bytes.u16()));
    let at = match pick % 8 {
        0 | 1 => now.plus_us(amount),
        2 | 3 => now.plus_ms(amount),
        4 => now,
        5 => Time(now.0.saturating_sub(amount << (pick * 2))),
        6 => now.plus_ms(amount * 1000),
        _ => Time(bytes.u64()),
    };
    let at = at.min(TIME_MAX);
    if pick & 8 == 0 {
        lone.timeout(at);
    } else {
        // Handed in with something else.
        let at = lone.clock(at);
        lone.node.handle_datagram(at, peer(pick), &mut []);
    }
}

fn membership(lone: &mut Lone, bytes: &mut Bytes<'_>, pick: u8) {
    match pick % 8 {
        0 | 1 => settle(lone, &set(bytes.u8())),
        2 => {
            lone.attach();
            lone.start_change(&set(bytes.u8()));
        }
        3 => lone.announce(&set(bytes.u8())),
        4 => lone.disconnect(),
        5 => lone.connect(),
        6 => {
            settle(lone, &set(0b111));
            settle(lone, &set(bytes.u8()));
        }
        _ => lone.attach(),
    }
}

/// Initial inputs: the datagrams of a small group, one by one and together, and random ones.
#[must_use]
pub fn seeds() -> Seeds {
    let frame = |datagram: &[u8]| {
        let len = (datagram.len() as u16).to_le_bytes();
        [&[SAY], &len[..], datagram].concat()
    };
    let said = crate::cluster::said();
    let mut seeds: Seeds =
        said.iter().map(|(name, d)| (name.clone(), [&[0], &frame(d)[..]].concat())).collect();
    let all = said.iter().flat_map(|(_, datagram)| frame(datagram));
    seeds.push(("together".into(), std::iter::once(0).chain(all).collect()));
    for kind in 0..8_u8 {
        let one = [DESCRIBED, kind << 5, 0, 0, 0, 8, 12, 13, 3];
        seeds.push((format!("described-{kind}"), [&[kind & 1], &one.repeat(4)[..]].concat()));
    }
    for seed in 1..=6_u64 {
        let mut rng = vs_core::rng::Rng::new(seed);
        let drawn = (0..100 * seed).map(|_| rng.next_u64() as u8);
        seeds.push((format!("drawn-{seed}"), drawn.collect()));
    }
    seeds
}
