//! Frames of the membership service, raw or well-formed, in an order that nobody expects. A server
//! reads them, and its other clients must notice nothing; or a node reads them, whose server is
//! hostile.

use std::net::SocketAddr;

use vs_core::ident::{Cid, FNV_OFFSET, IDS_PER_MS, ProcessId, ServerId, ViewId, fnv1a};
use vs_core::wire::frame::preamble;

use crate::message::{
    Attached, DEPLOYMENT, Held, Incarnation, Mode, Past, Peer, PeerWord, Profile, Proposal, Reason,
    Request, Triple,
};
use crate::{Bytes, Seeds};

mod client;
mod server;

/// Lets a server or a node, as the first byte says, read what the rest of `input` says.
pub fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    if bytes.flag() {
        client::run(&mut bytes);
    } else {
        server::run(&mut bytes);
    }
}

/// How a frame is damaged before it is sent, if it is.
fn spoilt(mut frame: Vec<u8>, bytes: &mut Bytes<'_>) -> Vec<u8> {
    match bytes.u8() {
        0..=0xef => {}
        0xf0..=0xf3 => frame.truncate(usize::from(bytes.u8())),
        0xf4..=0xf7 => frame.extend_from_slice(bytes.sized()),
        more => {
            let at = usize::from(bytes.u16()) % frame.len();
            frame[at] ^= more << 5 | bytes.u8() & 31;
        }
    }
    frame
}

/// Processes of the group are 1 to 3.
fn process(bytes: &mut Bytes<'_>) -> ProcessId {
    match bytes.u8() {
        0xff => ProcessId(bytes.number_near(4)),
        n => ProcessId(u64::from(n % 8)),
    }
}

/// The first cids and view numbers are of the first millisecond.
fn number(bytes: &mut Bytes<'_>) -> u64 {
    bytes.number_near(IDS_PER_MS)
}

fn processes(bytes: &mut Bytes<'_>) -> Vec<ProcessId> {
    match bytes.u8() {
        0xff => (0..bytes.u16()).map(|n| ProcessId(n.into())).collect(),
        0xf0..0xff => (0..bytes.below(6)).map(|_| process(bytes)).collect(),
        bits => (0..8).filter(|n| bits >> n & 1 == 1).map(|n| ProcessId(n + 1)).collect(),
    }
}

fn incarnation(bytes: &mut Bytes<'_>) -> Incarnation {
    Incarnation { millis: bytes.number_near(1), nonce: bytes.below(3).into() }
}

fn peer(process: ProcessId, bytes: &mut Bytes<'_>) -> Peer {
    let incarnation = incarnation(bytes);
    let addr = ([127, 0, 0, bytes.u8()], u16::from(bytes.u8()) + 4000).into();
    Peer { process, incarnation, addr }
}

fn triple(bytes: &mut Bytes<'_>) -> Triple {
    let id = ViewId { major: number(bytes), minor: bytes.number_near(1) };
    let members = processes(bytes);
    let missing = usize::from(bytes.u8() == 0xff);
    let start = members.iter().skip(missing).map(|_| Cid(number(bytes))).collect();
    Triple { id, members, start }
}

fn past(bytes: &mut Bytes<'_>) -> Past {
    if bytes.flag() {
        return Past::default();
    }
    Past {
        last_cid: Cid(number(bytes)),
        last_view: ViewId { major: number(bytes), minor: bytes.number_near(1) },
        pending: bytes.flag().then(|| Cid(number(bytes))),
        mbr_view: bytes.flag().then(|| triple(bytes)),
    }
}

/// Mostly one that fits all.
fn profile(bytes: &mut Bytes<'_>) -> Profile {
    let mut profile = Profile::default();
    match bytes.u8() {
        0xff => profile.message_bytes_max = bytes.u64(),
        0xfe => profile.datagram_bytes = bytes.u64(),
        0xfd => profile.window_packets = bytes.u64(),
        0xfc => profile.window_needed = bytes.u64(),
        0xfb => profile.peer_ms = bytes.u64(),
        0xfa => profile.heartbeat_max_ms = bytes.u64(),
        0xf9 => profile.order = bytes.u8(),
        0xf8 => profile.primary_of = processes(bytes),
        0xf7 => profile.clusters = true,
        _ => {}
    }
    profile
}

fn held(bytes: &mut Bytes<'_>) -> Option<Held> {
    bytes.flag().then(|| Held {
        since_ms: bytes.number_near(1),
        founder: process(bytes),
        profile: profile(bytes),
    })
}

fn request(bytes: &mut Bytes<'_>) -> Request {
    match bytes.below(11) {
        0 | 1 => {
            let process = process(bytes);
            Request::Client(peer(process, bytes), deployment(bytes))
        }
        2 => {
            let (server, boot) = (server_id(bytes), bytes.number_near(1));
            Request::Server { server, boot, deployment: deployment(bytes) }
        }
        3 | 4 => Request::Attach {
            group: server::name(bytes),
            counter: bytes.number_near(1),
            members_max: if bytes.flag() { 4 } else { bytes.u16() },
            past: past(bytes),
            profile: profile(bytes),
            held: held(bytes),
        },
        5 => Request::Leave { group: server::name(bytes) },
        6 => Request::Accuse { group: server::name(bytes), accused: processes(bytes) },
        7 | 8 => Request::Peer(peer_word(bytes)),
        9 => Request::Refused(reason(bytes)),
        _ if bytes.flag() => Request::Status,
        _ if bytes.flag() => Request::Silence(bytes.number_near(40)),
        _ => Request::Ping,
    }
}

/// Mostly the right one.
fn deployment(bytes: &mut Bytes<'_>) -> String {
    if bytes.u8() < 0xe0 { DEPLOYMENT.into() } else { server::name(bytes) }
}

/// One with what belongs to its code, more or less.
fn reason(bytes: &mut Bytes<'_>) -> Reason {
    Reason {
        code: if bytes.u8() < 0xf0 { bytes.below(13) } else { bytes.u8() },
        is_final: bytes.flag(),
        numbers: processes(bytes).iter().map(|p| p.0).collect(),
        texts: (0..bytes.below(4)).map(|_| deployment(bytes)).collect(),
    }
}

fn server_id(bytes: &mut Bytes<'_>) -> ServerId {
    match bytes.u8() {
        0xff => ServerId(bytes.u64()),
        n => ServerId(u64::from(n % 5)),
    }
}

fn addr(bytes: &mut Bytes<'_>) -> SocketAddr {
    ([127, 0, 0, bytes.u8()], bytes.u16()).into()
}

fn attached(process: ProcessId, home: ServerId, bytes: &mut Bytes<'_>) -> Attached {
    Attached {
        process,
        incarnation: incarnation(bytes),
        counter: bytes.number_near(1),
        home: if bytes.u8() < 0xf0 { home } else { server_id(bytes) },
        members_max: if bytes.flag() { 4 } else { bytes.u16() },
        profile: bytes.number_near(0),
        settled: bytes.flag().then(|| {
            (ViewId { major: number(bytes), minor: bytes.number_near(1) }, bytes.number_near(0))
        }),
    }
}

fn peer_word(bytes: &mut Bytes<'_>) -> PeerWord {
    let server = server_id(bytes);
    match bytes.below(9) {
        0 => {
            let version = bytes.number_near(1);
            let servers = (0..bytes.below(6)).map(|_| server_id(bytes)).collect();
            let ready = (0..bytes.below(3)).map(|_| server_id(bytes)).collect();
            PeerWord::Links { server, version, servers, ready }
        }
        1 | 2 => {
            let (version, group) = (bytes.number_near(1), server::name(bytes));
            let processes = processes(bytes);
            let client = |process| {
                let addr = ([127, 0, 0, 1], bytes.u16()).into();
                (attached(process, server, bytes), addr)
            };
            let clients = processes.into_iter().map(client).collect();
            PeerWord::Clients { version, group, clients, held: held(bytes) }
        }
        3 | 4 => {
            let group = server::name(bytes);
            PeerWord::Proposal { group, proposal: proposal(server, bytes) }
        }
        5 => {
            let embeds = bytes.flag().then(|| process(bytes));
            let (gathering, listen) = (bytes.flag(), bytes.flag().then(|| addr(bytes)));
            PeerWord::About { embeds, gathering, listen }
        }
        6 if bytes.flag() => {
            let (group, process) = (server::name(bytes), process(bytes));
            let reason = bytes.flag().then(|| reason(bytes));
            PeerWord::Gone { group, process, code: bytes.u8() % 5, reason }
        }
        6 => PeerWord::Ask { server: server_id(bytes) },
        7 => {
            let (server, boot) = (server_id(bytes), bytes.number_near(1));
            PeerWord::Tell { server, boot, listen: addr(bytes) }
        }
        _ => {
            let (group, by) = (server::name(bytes), process(bytes));
            PeerWord::Accuse { group, by, accused: processes(bytes) }
        }
    }
}

/// What a proposal says of those that it proposes.
fn report_id(set: Vec<Attached>) -> u64 {
    set.into_iter().fold(FNV_OFFSET, |hash, client| {
        let (view, fingerprint) = client.settled.unwrap_or_default();
        let numbers = [
            client.process.0,
            client.incarnation.millis,
            u64::from(client.incarnation.nonce),
            client.counter,
            client.home.0,
            u64::from(client.members_max) << 1 | u64::from(client.settled.is_some()),
            view.major,
            view.minor,
            fingerprint,
            client.profile,
        ];
        numbers.into_iter().fold(hash, |hash, number| fnv1a(hash, &number.to_le_bytes()))
    })
}

fn proposal(from: ServerId, bytes: &mut Bytes<'_>) -> Proposal {
    let members = processes(bytes);
    let cids = if bytes.u8() < 0xf0 { members.clone() } else { processes(bytes) };
    let set = members.into_iter().map(|process| {
        let home = if bytes.flag() { from } else { ServerId(1) };
        attached(process, home, bytes)
    });
    let set = report_id(set.collect());
    Proposal {
        from,
        set,
        cids: cids.into_iter().map(|process| (process, Cid(number(bytes)))).collect(),
        vnum: number(bytes),
        mode: if bytes.flag() { Mode::Fast } else { Mode::Slow },
        n: number(bytes),
        max_n: number(bytes),
        pn: number(bytes),
        used: (0..bytes.below(4)).map(|_| (server_id(bytes), number(bytes))).collect(),
    }
}

/// Initial inputs: a few conversations, and random ones.
#[must_use]
pub fn seeds() -> Seeds {
    let mut seeds = server::seeds();
    seeds.extend(client::seeds());
    for seed in 1..=10_u64 {
        let mut rng = vs_core::rng::Rng::new(seed);
        let drawn = (0..60 * seed).map(|_| rng.next_u64() as u8);
        seeds
            .push((format!("drawn-{seed}"), [(seed & 1) as u8].into_iter().chain(drawn).collect()));
    }
    seeds
}

/// A preamble and frames, as raw bytes of an input.
fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
    [&preamble()[..], &frames.concat()].concat()
}
