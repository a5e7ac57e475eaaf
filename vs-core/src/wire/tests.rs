//! Samples of all frames and beacons, held against files.

use alloc::string::ToString;
use alloc::vec::Vec;
use alloc::{format, vec};

use super::ChannelError;
use super::beacon::{self, BEACON_BYTES_MAX, Beacon};
use super::frame::{Decoder, FrameError, encode, preamble};
use super::golden::{self, Sample};
use super::message::*;
use super::stream::{End, Stream};
use crate::ident::{Cid, Deployment, ProcessId, ServerId, ViewId};
use crate::seal::{KeyRing, Keys, PORTABLE, Proof, RingKey, SECRET_BYTES, Secret, Signer, Suite};
use crate::wire::channel::Party;

fn incarnation(p: u64) -> Incarnation {
    Incarnation { millis: 1_700_000_000_000 + p, nonce: 0x89ab_cdef }
}

fn peer(p: u64, addr: &str) -> Peer {
    let addr = addr.parse::<core::net::SocketAddr>().unwrap().into();
    Peer { process: ProcessId(p), incarnation: incarnation(p), addr }
}

fn group() -> alloc::string::String {
    "chat".into()
}

fn view() -> View {
    let members = vec![ProcessId(1), ProcessId(300)];
    View { id: ViewId { major: 70_000, minor: 2 }, members, start: vec![Cid(9), Cid(128)] }
}

fn attached(p: u64) -> Attached {
    Attached {
        process: ProcessId(p),
        incarnation: incarnation(p),
        counter: 3,
        home: ServerId(2),
        members_max: 64,
        profile: 0xfedc_ba98_7654_3210,
        settled: (p == 1).then_some((ViewId { major: 5, minor: 2 }, 0x0123_4567_89ab_cdef)),
    }
}

fn held() -> Held {
    let profile = Profile {
        message_bytes_max: 1 << 20,
        datagram_bytes: 1452,
        window_packets: 4096,
        window_needed: 800,
        order: 0,
        clusters: false,
        peer_ms: 2000,
        heartbeat_ms: 5,
        heartbeat_max_ms: 1000,
        primary_of: vec![ProcessId(1), ProcessId(300)],
    };
    Held { since_ms: 1_700_000_000_000, founder: ProcessId(1), profile }
}

/// What clients say.
fn requests() -> Vec<Frame> {
    let past = Past {
        last_cid: Cid(9),
        last_view: view().id,
        pending: Some(Cid(10)),
        mbr_view: Some(view()),
    };
    let client =
        Client { peer: peer(1, "10.0.0.1:7000"), deployment: "default".into(), proof: None };
    vec![
        client.clone().into(),
        Client { proof: Some(proof()), ..client }.into(),
        Attach {
            group: group(),
            counter: 3,
            members_max: 64,
            past,
            profile: held().profile,
            held: Some(held()),
        }
        .into(),
        Leave { group: group() }.into(),
        Accuse { group: group(), accused: vec![ProcessId(2), ProcessId(300)] }.into(),
        Ping.into(),
        StatusRequest.into(),
        Silence { silence_ms: 300 }.into(),
    ]
}

/// What servers say to each other.
fn words() -> Vec<Frame> {
    let (server, boot) = (ServerId(2), 1_700_000_000_000);
    let listen: Addr = peer(1, "10.0.0.2:7000").addr;
    let texts = vec!["default".into(), "test".into()];
    let other = Reason { code: 2, is_final: true, texts, ..Reason::default() };
    let accused = Reason { code: 1, numbers: vec![1, 300], ..Reason::default() };
    let proposal = Proposal {
        group: group(),
        from: server,
        set: 0xfedc_ba98_7654_3210,
        cids: vec![(ProcessId(1), Cid(9)), (ProcessId(300), Cid(128))],
        vnum: 70_000,
        is_slow: true,
        n: 4,
        max_n: 5,
        pn: 6,
        used: vec![(ServerId(3), 7)],
        share: None,
    };
    vec![
        Server { server, boot, deployment: "default".into() }.into(),
        TurnedDown { reason: other }.into(),
        Links { server, version: 5, servers: vec![ServerId(1)], ready: vec![ServerId(3)] }.into(),
        Clients {
            version: 6,
            group: group(),
            clients: vec![(attached(1), listen)],
            held: Some(held()),
        }
        .into(),
        proposal.clone().into(),
        Proposal { share: Some(secret()), ..proposal }.into(),
        Accusation { group: group(), by: ProcessId(1), accused: vec![ProcessId(300)] }.into(),
        About { embeds: Some(ProcessId(1)), gathering: true, listen: Some(listen) }.into(),
        Ask { server }.into(),
        Tell { server, boot, listen }.into(),
        Gone { group: group(), process: ProcessId(2), code: 2, reason: Some(accused) }.into(),
    ]
}

/// What servers and nodes answer.
fn replies() -> Vec<Frame> {
    let reason = Reason { code: 3, is_final: true, numbers: vec![3, 2], ..Reason::default() };
    let peers = vec![peer(1, "10.0.0.1:7000"), peer(300, "[fe80::1]:65535")];
    vec![
        StartChange { group: group(), counter: 3, cid: Cid(9), peers }.into(),
        NewView { group: group(), counter: 3, view: view(), secret: None }.into(),
        NewView { group: group(), counter: 3, view: view(), secret: Some(secret()) }.into(),
        Detached { group: group(), counter: 3, reason: reason.clone(), retry_ms: 500 }.into(),
        Refused { reason }.into(),
        NewProfile { group: group(), counter: 3, held: held() }.into(),
        StatusAnswer { status: vec![2] }.into(),
    ]
}

/// `Attach { … }` is `attach`, as a file.
fn name(frame: &Frame) -> alloc::string::String {
    let text = format!("{frame:?}");
    let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    let mut name = alloc::string::String::new();
    for c in text[..end].chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(c.to_lowercase());
    }
    name.push_str(match frame {
        Frame::Proposal(proposal) if proposal.share.is_some() => "-secret",
        Frame::NewView(view) if view.secret.is_some() => "-secret",
        Frame::Client(client) if client.proof.is_some() => "-proof",
        _ => "",
    });
    name
}

fn proof() -> Proof {
    Signer::new(&secret()).sign("vs golden", &[])
}

fn secret() -> Secret {
    Secret::new([0x5a; SECRET_BYTES])
}

#[test]
fn golden_frames() {
    let frames = [requests(), words(), replies()].concat();
    let sample = |frame: &Frame| {
        let mut bytes = Vec::new();
        encode(frame, &mut bytes);
        let what = format!("kind {}, behind its length: {}", bytes[4], name(frame));
        Sample { name: name(frame), what, bytes }
    };
    let samples: Vec<Sample> = frames.iter().map(sample).collect();
    let files = golden::check("frames", "wire::STREAM_VERSION", &samples);
    for (bytes, frame) in files.iter().zip(&frames) {
        let mut decoder = Decoder::default();
        decoder.push(&preamble());
        decoder.push(bytes);
        assert_eq!(decoder.next::<Frame>(), Ok(Some(frame.clone())));
    }
}

#[test]
fn golden_beacons() {
    let beacon = |listen: &str| Beacon {
        deployment: "default",
        server: ServerId(2),
        boot: 1_700_000_000_000,
        listen: listen.parse().unwrap(),
    };
    let beacons = [("ipv4", beacon("10.0.0.2:7000")), ("ipv6", beacon("[fe80::1]:65535"))];
    let sample = |(name, beacon): &(&str, Beacon<'_>)| {
        let mut out = [0; BEACON_BYTES_MAX];
        let len = beacon::encode(&mut out, beacon).unwrap();
        let what = format!("the beacon of a server at {}", beacon.listen);
        Sample { name: (*name).to_string(), what, bytes: out[..len].to_vec() }
    };
    let samples: Vec<Sample> = beacons.iter().map(sample).collect();
    let files = golden::check("beacons", "wire::STREAM_VERSION", &samples);
    for (bytes, (_, beacon)) in files.iter().zip(&beacons) {
        assert_eq!(beacon::decode(bytes), Ok(*beacon));
    }
}

/// Both ends of a sealed connection, whose random numbers follow from fixed seeds.
fn sealed_ends() -> [Stream; 2] {
    let keys = |seed: u8| {
        let secret = Secret::new([1; SECRET_BYTES]);
        let key = RingKey::of_servers(1, Suite::Aes256Gcm, secret).unwrap();
        let ring = KeyRing::new(vec![key]).unwrap();
        Keys::new(ring, &PORTABLE, Secret::new([seed; SECRET_BYTES]))
    };
    let end = |end, seed| {
        let (mut keys, deployment) = (keys(seed), Deployment::default());
        Stream::new(Decoder::default(), 4096, end, Some(&mut keys), &deployment)
    };
    [end(End::Dialled(Party::Client), 2), end(End::Accepted, 3)]
}

/// What an end has written since the last call.
fn written(end: &mut Stream) -> Vec<u8> {
    let bytes = end.pending().to_vec();
    end.consumed(bytes.len());
    bytes
}

#[test]
fn golden_streams() {
    let [mut dials, mut accepts] = sealed_ends();
    let (hello, challenge) = (written(&mut dials), written(&mut accepts));
    dials.push(&challenge);
    let first = written(&mut dials);
    accepts.push(&[&hello[..], &first].concat());
    let answer = written(&mut accepts);
    dials.push(&answer);
    let record = |end: &mut Stream| {
        assert!(end.send(&Frame::from(Ping)));
        written(end)
    };
    let records = [record(&mut dials), record(&mut accepts)];
    // Somebody without the key.
    let [_, mut refuses] = sealed_ends();
    written(&mut refuses);
    refuses.push(&[&hello[..], &first[..2], &[0; 64]].concat());
    let [from_dialled, from_accepted] = records;
    let samples = [
        ("hello", "of who dialled: preamble, party, key id, suite", hello),
        ("challenge", "of who accepted: preamble, challenge", challenge),
        ("first", "of who dialled: the first message of the handshake", first),
        ("answer", "of who accepted: the second message of the handshake", answer),
        ("refusal", "of who accepted, instead: it is another key", written(&mut refuses)),
        ("record-dialled", "of who dialled: a sign of life, sealed", from_dialled),
        ("record-accepted", "of who accepted: a sign of life, sealed", from_accepted),
    ];
    let samples = samples.map(|(name, what, bytes)| Sample {
        name: name.to_string(),
        what: what.to_string(),
        bytes,
    });
    let files = golden::check("streams", "wire::STREAM_VERSION", &samples);
    let [mut dials, mut accepts] = sealed_ends();
    accepts.push(&[&files[0][..], &files[2], &files[5]].concat());
    assert_eq!(accepts.next::<Frame>(), Ok(Some(Ping.into())));
    dials.push(&[&files[1][..], &files[3], &files[6]].concat());
    assert_eq!(dials.next::<Frame>(), Ok(Some(Ping.into())));
    let [mut dials, _] = sealed_ends();
    dials.push(&[&files[1][..], &files[4]].concat());
    assert_eq!(dials.next::<Frame>(), Err(FrameError::Seal(ChannelError::Other(1))));
}
