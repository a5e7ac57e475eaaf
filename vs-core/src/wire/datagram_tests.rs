//! Samples of all datagrams, held against files and against the manual.

extern crate std;

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::control::{self, SyncMessage, SyncRequest};
use super::datagram::{Header, TransmitCounter, finish};
use super::direct::{self, Direct};
use super::golden::{self, Sample};
use super::packet::{
    self, AckEntry, Content, Data, FLAG_FIRST, FLAG_FRAGMENT, FLAG_INTERNAL, FLAG_LAST,
    FLAG_TRAILER, Heartbeat, SeqRange,
};
use super::path::{self, Path};
use super::reach::{self, Reach, Word};
use crate::ident::{Cid, GroupKey, Incarnation, ProcessId, ViewId};
use crate::seal::{Proof, SECRET_BYTES, STAMP_BYTES, Secret, Signer};
use crate::view::{Note, ViewKey};
use crate::wire::shown::Shown;

const HEADER: Header =
    Header { rank: 2, group: GroupKey(0x0123_4567_89ab_cdef), fingerprint: 0xfedc_ba98_7654_3210 };

/// The number of every sample.
const COUNTER: u64 = 0x0102_0304;

const HEARTBEAT: Heartbeat =
    Heartbeat { solicit: false, highest: 9, stable: 4, view: ViewId { major: 70_000, minor: 2 } };

fn sync() -> SyncMessage {
    SyncMessage {
        process: ProcessId(300),
        incarnation: Incarnation::new(1_700_000_000_000),
        cid: Cid(9),
        view: ViewKey {
            id: ViewId { major: 70_000, minor: 2 },
            start: Cid(8),
            fingerprint: HEADER.fingerprint,
        },
        total: 5,
        first: 1,
        runs: vec![(3, 0), (1, 1000)],
        safe: 0,
        note: Note::EMPTY,
    }
}

fn note() -> Note {
    Note::new(b"a vote").unwrap()
}

fn proof() -> Proof {
    Signer::new(&Secret::new([1; SECRET_BYTES])).sign("vs sync", &[])
}

fn stamps() -> Shown {
    Shown::Stamps(proof().public(), vec![[7; STAMP_BYTES], [8; STAMP_BYTES]])
}

fn request() -> SyncRequest {
    SyncRequest { process: ProcessId(1), wanted: vec![(ProcessId(300), Cid(9))] }
}

const PROBE: Path = Path::Probe { bytes: 64 };
const ARRIVED: Path = Path::Arrived { target: 3, bytes: 64 };

const DIRECT: Direct<'static> = Direct { target: 3, message: b"hello" };

fn reach(word: Word) -> Reach {
    Reach { process: ProcessId(1), target: ProcessId(300), word }
}

/// A finished datagram.
fn sample(
    name: &str,
    what: &str,
    to_group: bool,
    encode: impl FnOnce(&mut [u8]) -> Option<usize>,
) -> Sample {
    let mut out = [0xaa; 512];
    let len = encode(&mut out).unwrap();
    finish(&mut out[..len], len, to_group, &mut TransmitCounter::after(COUNTER - 1));
    Sample { name: name.to_string(), what: what.to_string(), bytes: out[..len].to_vec() }
}

fn data(flags: u8, body: &[u8]) -> Data<'_> {
    Data { flags, origin: 1, seq: 8, stable: 5, body }
}

/// No records; after slot 258.
const ORDERED_TRAILER: &[u8] = b"\x02\x01\0\0\0";
/// The lead passes to rank 3; 2 packets of rank 1; after slot 7.
const NEW_LEADER: &[u8] = b"\x03\0\0\0\0\0\x01\0\x02\0\0\0\x07\0\0\0\x02";
/// 3 packets of rank 2 and 65,536 of rank 4; after slot 7.
const RECORDS: &[u8] = b"\x02\0\x03\0\0\0\x04\0\0\0\x01\0\x07\0\0\0\x02";

/// Packets up to 3 of rank 2 and up to one whose low half is 65,536 of rank 4 come before.
const CLAIMS: &[u8] = b"\x02\0\x03\0\0\0\x04\0\0\0\x01\0\0\0\0\0\x02";

fn packets() -> Vec<Sample> {
    let messages = b"\x05\0\0\0hello\0\0\0\0";
    let padded = |out: &mut [u8]| {
        let len = packet::encode_data(out, &HEADER, &data(0, messages))?;
        packet::pad_data(&mut out[..len + 3], len);
        Some(len + 3)
    };
    let data =
        |flags, body| move |out: &mut [u8]| packet::encode_data(out, &HEADER, &data(flags, body));
    let first = FLAG_FRAGMENT | FLAG_FIRST;
    vec![
        sample("data", "kind 1: two messages", true, data(0, messages)),
        sample("data-padded", "kind 1: two messages, then padding, to one member", false, padded),
        sample("data-first", "kind 1: the first fragment", true, data(first, b"\x09\0\0\0four")),
        sample(
            "data-last",
            "kind 1: the last fragment",
            true,
            data(FLAG_FRAGMENT | FLAG_LAST, b"fives"),
        ),
        sample(
            "data-between-members",
            "kind 1: two messages between members",
            true,
            data(FLAG_INTERNAL, messages),
        ),
        sample("data-ordered", "kind 1: two messages, then a trailer", true, |out| {
            let body = &[&messages[..], ORDERED_TRAILER].concat();
            packet::encode_data(out, &HEADER, &self::data(FLAG_TRAILER, body))
        }),
        sample("data-records", "kind 1: a trailer with two records alone", true, |out| {
            packet::encode_data(out, &HEADER, &self::data(FLAG_TRAILER, RECORDS))
        }),
        sample("data-new-leader", "kind 1: a trailer that passes the lead", true, |out| {
            packet::encode_data(out, &HEADER, &self::data(FLAG_TRAILER, NEW_LEADER))
        }),
        sample("data-causal", "kind 1: two messages, then what they follow from", true, |out| {
            let body = &[&messages[..], CLAIMS].concat();
            packet::encode_data(out, &HEADER, &self::data(FLAG_TRAILER, body))
        }),
        sample("ack", "kind 2: of two streams", true, |out| {
            let entry = |(received, credit)| AckEntry { received, credit };
            packet::encode_ack(out, &HEADER, 1, [(5, 69), (7, 1 << 40)].map(entry).into_iter())
        }),
        sample("nak", "kind 3: two ranges", true, |out| {
            let ranges = [SeqRange { from: 2, upto: 2 }, SeqRange { from: 4, upto: 1 << 40 }];
            packet::encode_nak(out, &HEADER, 1, 3, &ranges)
        }),
        sample("heartbeat", "kind 4", true, |out| {
            packet::encode_heartbeat(out, &HEADER, &HEARTBEAT)
        }),
        sample("heartbeat-solicit", "kind 4: acknowledgements are asked for", true, |out| {
            packet::encode_heartbeat(out, &HEADER, &Heartbeat { solicit: true, ..HEARTBEAT })
        }),
    ]
}

fn others() -> Vec<Sample> {
    let said = |word| move |out: &mut [u8]| reach::encode(out, &HEADER, &reach(word));
    vec![
        sample("sync", "kind 5: a part of a cut", true, |out| {
            control::encode_sync(out, &HEADER, &sync(), |_| None)
        }),
        sample("sync-safe", "kind 5: with a number of safe slots", true, |out| {
            control::encode_sync(out, &HEADER, &SyncMessage { safe: 300, ..sync() }, |_| None)
        }),
        sample("sync-note", "kind 5: with a note", true, |out| {
            control::encode_sync(out, &HEADER, &SyncMessage { note: note(), ..sync() }, |_| None)
        }),
        sample("sync-proof", "kind 5: with a proof, where there are keys", true, |out| {
            control::encode_sync(out, &HEADER, &sync(), |_| Some(Shown::Proof(proof())))
        }),
        sample("sync-stamps", "kind 5: with stamps for two receivers", true, |out| {
            control::encode_sync(out, &HEADER, &sync(), |_| Some(stamps()))
        }),
        sample("sync-request", "kind 6", true, |out| {
            control::encode_request(out, &HEADER, &request())
        }),
        sample("reach-ask", "kind 7: a question", false, said(Word::Ask)),
        sample("reach-unheard", "kind 7: multicasts do not arrive", false, said(Word::Unheard)),
        sample("reach-heard", "kind 7: multicasts arrive again", false, said(Word::Heard)),
        sample("reach-answer", "kind 7: an answer", true, said(Word::Answer)),
        sample("path-probe", "kind 8: a probe", true, |out| path::encode(out, &HEADER, &PROBE)),
        sample("path-answer", "kind 8: an answer", false, |out| {
            path::encode(out, &HEADER, &ARRIVED)
        }),
        sample("direct", "kind 9: a message", false, |out| direct::encode(out, &HEADER, &DIRECT)),
    ]
}

/// Whether the content of a datagram is that of the sample `name`.
fn is_content_of(name: &str, content: Content<'_>) -> bool {
    let messages = &b"\x05\0\0\0hello\0\0\0\0"[..];
    match (name, content) {
        ("data" | "data-padded", Content::Data(d)) => d == data(0, messages),
        ("data-between-members", Content::Data(d)) => d == data(FLAG_INTERNAL, messages),
        ("data-first", Content::Data(d)) => {
            d == data(FLAG_FRAGMENT | FLAG_FIRST, b"\x09\0\0\0four")
        }
        ("data-last", Content::Data(d)) => d == data(FLAG_FRAGMENT | FLAG_LAST, b"fives"),
        ("data-ordered", Content::Data(d)) => {
            d == data(FLAG_TRAILER, &[messages, ORDERED_TRAILER].concat()[..])
        }
        ("data-records", Content::Data(d)) => d == data(FLAG_TRAILER, RECORDS),
        ("data-new-leader", Content::Data(d)) => d == data(FLAG_TRAILER, NEW_LEADER),
        ("data-causal", Content::Data(d)) => {
            d == data(FLAG_TRAILER, &[messages, CLAIMS].concat()[..])
        }
        ("ack", Content::Ack(ack)) => {
            let entries = ack.entries().map(|e| (e.received, e.credit));
            ack.first == 1 && entries.eq([(5, 69), (7, 1 << 40)])
        }
        ("nak", Content::Nak(nak)) => {
            let ranges = nak.ranges().map(|r| (r.from, r.upto));
            (nak.origin, nak.target) == (1, 3) && ranges.eq([(2, 2), (4, 1 << 40)])
        }
        ("heartbeat", Content::Heartbeat(beat)) => beat == HEARTBEAT,
        ("heartbeat-solicit", Content::Heartbeat(beat)) => {
            beat == Heartbeat { solicit: true, ..HEARTBEAT }
        }
        ("sync", Content::Sync(bytes)) => control::decode_sync(bytes) == Some(sync()),
        ("sync-safe", Content::Sync(bytes)) => {
            control::decode_sync(bytes) == Some(SyncMessage { safe: 300, ..sync() })
        }
        ("sync-note", Content::Sync(bytes)) => {
            control::decode_sync(bytes) == Some(SyncMessage { note: note(), ..sync() })
        }
        ("sync-proof", Content::Sync(bytes)) => {
            control::decode_sync(bytes) == Some(sync())
                && control::shown(bytes).is_some_and(|(_, shown)| shown == Shown::Proof(proof()))
        }
        ("sync-stamps", Content::Sync(bytes)) => {
            control::decode_sync(bytes) == Some(sync())
                && control::shown(bytes).is_some_and(|(_, shown)| shown == stamps())
        }
        ("sync-request", Content::SyncRequest(bytes)) => {
            control::decode_request(bytes) == Some(request())
        }
        ("reach-ask", Content::Reach(said)) => said == reach(Word::Ask),
        ("reach-unheard", Content::Reach(said)) => said == reach(Word::Unheard),
        ("reach-heard", Content::Reach(said)) => said == reach(Word::Heard),
        ("reach-answer", Content::Reach(said)) => said == reach(Word::Answer),
        ("path-probe", Content::Path(path)) => path == PROBE,
        ("path-answer", Content::Path(path)) => path == ARRIVED,
        ("direct", Content::Direct(said)) => said == DIRECT,
        _ => false,
    }
}

#[test]
fn golden_datagrams() {
    let samples: Vec<Sample> = packets().into_iter().chain(others()).collect();
    let files = golden::check("datagrams", "wire::PROTOCOL_VERSION", &samples);
    for (mut bytes, Sample { name, .. }) in files.into_iter().zip(&samples) {
        let packet = packet::open(&mut bytes).unwrap();
        let direct = matches!(
            name.as_str(),
            "data-padded"
                | "direct"
                | "path-answer"
                | "reach-ask"
                | "reach-unheard"
                | "reach-heard"
        );
        assert_eq!((packet.header, packet.counter, packet.to_group), (HEADER, COUNTER, !direct));
        assert!(is_content_of(name, packet.content), "{name}: {:?}", packet.content);
    }
}

#[test]
fn reserved_bytes_are_ignored() {
    for Sample { name, bytes, .. } in packets().into_iter().chain(others()) {
        let reserved: &[usize] = match name.as_str() {
            "ack"
            | "data"
            | "data-between-members"
            | "data-first"
            | "data-last"
            | "data-ordered"
            | "data-records"
            | "data-new-leader"
            | "data-causal"
            | "data-padded" => &[6, 7, 38, 39],
            "nak" | "path-answer" => &[6, 7],
            "direct" => &[6, 7, 36, 37, 38, 39],
            // The target is that of an answer.
            "path-probe" => &[6, 7, 34, 35],
            _ => &[6, 7, 34, 35, 36, 37, 38, 39],
        };
        let mut bytes = bytes;
        reserved.iter().for_each(|&at| bytes[at] = 0xff);
        let packet = packet::open(&mut bytes).unwrap();
        assert!(packet.header == HEADER && is_content_of(&name, packet.content), "{name}");
    }
}

/// The page of the manual names each file of samples.
#[test]
fn the_manual_names_every_sample() {
    let golden: std::path::PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "tests", "golden"].iter().collect();
    let page = include_str!("../manual/wire.md");
    for folder in std::fs::read_dir(&golden).unwrap().map(|entry| entry.unwrap().path()) {
        for file in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = file.unwrap().path();
            let name = path.strip_prefix(&golden).unwrap().to_str().unwrap();
            assert!(page.contains(&alloc::format!("`{name}`")), "wire.md does not name {name}");
        }
    }
}
