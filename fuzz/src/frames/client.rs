//! A node whose server says anything.

use vs_core::Blocking;
use vs_core::ident::{CLAIMED_MAX, Cid, ProcessId, ViewId};
use vs_core::wire::frame::preamble;

use super::{peer, processes, reason, spoilt, stream, triple};
use crate::lone::{Lone, ME, NAME};
use crate::message::{Incarnation, Peer, Reason, Reply, Triple, frame};
use crate::{Bytes, Seeds};

pub(super) fn run(bytes: &mut Bytes<'_>) {
    let manual = bytes.flag();
    let mut lone = Lone::new(|_, group| {
        if manual {
            group.blocking = Blocking::Manual;
        }
    });
    while !bytes.is_empty() {
        happen(&mut lone, bytes);
    }
    lone.end();
}

fn happen(lone: &mut Lone, bytes: &mut Bytes<'_>) {
    let pick = bytes.u8();
    match pick & 15 {
        0..=4 => {
            let reply = reply(lone, bytes);
            let frame = spoilt(frame(&reply), bytes);
            lone.node.handle_stream(lone.now(), &frame);
        }
        5 => {
            let raw = bytes.sized();
            lone.node.handle_stream(lone.now(), raw);
        }
        6 => honest(lone, bytes),
        7 => lone.attach(),
        8 => lone.connect(),
        9 => lone.disconnect(),
        10 => lone.timeout(lone.now().plus_ms(bytes.u16().into())),
        11 => lone.wake(),
        12 => lone.drain(),
        13 => {
            let len = usize::from(bytes.u16()) % 3000;
            // Refusals are judged where the input is an application.
            let _ = lone.node.send(lone.now(), lone.key, &vec![pick; len]);
        }
        14 => {
            let _ = lone.node.block_ok(lone.now(), lone.key);
        }
        _ if pick & 16 == 0 => {
            lone.node.leave(lone.now(), lone.key);
        }
        _ => {
            lone.join();
        }
    }
}

/// A change from its beginning to its end, or the half of it.
fn honest(lone: &mut Lone, bytes: &mut Bytes<'_>) {
    let mut members = processes(bytes);
    members.retain(|p| *p < ProcessId(5));
    if let Err(at) = members.binary_search(&ME) {
        members.insert(at, ME);
    }
    lone.attach();
    lone.start_change(&members);
    if bytes.flag() {
        lone.drain();
        lone.announce(&members);
    }
}

/// One that takes the server's place may know all that it was told.
fn reply(lone: &mut Lone, bytes: &mut Bytes<'_>) -> Reply {
    let group = if bytes.u8() < 0xf0 { NAME.into() } else { super::server::name(bytes) };
    let attachment = &mut lone.attachment;
    let counter =
        if bytes.u8() < 0xf0 { attachment.counter } else { bytes.number_near(attachment.counter) };
    match bytes.below(10) {
        9 => match super::held(bytes) {
            Some(held) => Reply::Profile { group, counter, held },
            None => Reply::Ping,
        },
        0..=2 => {
            let cid = Cid(bytes.number_near(attachment.cid + 1));
            attachment.cid = attachment.cid.max(cid.0.min(CLAIMED_MAX));
            let peers = processes(bytes).into_iter().map(|process| peer(process, bytes)).collect();
            Reply::StartChange { group, counter, cid, peers }
        }
        3..=5 => {
            let view = if bytes.flag() { triple(bytes) } else { likely(attachment, bytes) };
            attachment.vid = attachment.vid.max(view.id.major.min(CLAIMED_MAX));
            Reply::View { group, counter, view }
        }
        6 => {
            let (reason, retry_ms) = (reason(bytes), bytes.number_near(10));
            Reply::Detached { group, counter, reason, retry_ms }
        }
        7 => Reply::Refused(reason(bytes)),
        _ if bytes.flag() => Reply::Silence(bytes.number_near(40)),
        _ => Reply::Ping,
    }
}

/// A view that may be the right one.
fn likely(attachment: &crate::lone::Attachment, bytes: &mut Bytes<'_>) -> Triple {
    let members = processes(bytes);
    let id = ViewId { major: bytes.number_near(attachment.vid + 1), minor: bytes.u8().into() };
    let cid = |p: &ProcessId| if *p == ME { attachment.cid } else { bytes.number_near(1) };
    Triple { id, start: members.iter().map(cid).map(Cid).collect(), members }
}

pub(super) fn seeds() -> Seeds {
    let mut seeds = Seeds::new();
    let addr = ([127, 0, 0, 1], 4000).into();
    let peers = vec![Peer { process: ME, incarnation: Incarnation { millis: 1, nonce: 0 }, addr }];
    let (group, counter) = (|| NAME.to_string(), 1);
    let view = |major| {
        let id = ViewId { major, minor: 1 };
        let view = Triple { id, members: vec![ME], start: vec![Cid(1)] };
        Reply::View { group: group(), counter, view }
    };
    let change = Reply::StartChange { group: group(), counter, cid: Cid(1), peers };
    let (reason, retry_ms) = (Reason { code: 1, ..Reason::default() }, 10);
    let detached = Reply::Detached { group: group(), counter, reason, retry_ms };
    let conversations: [(&str, Vec<Reply>); 5] = [
        ("view", vec![change.clone(), view(1)]),
        ("no-change", vec![view(1)]),
        ("again", vec![change.clone(), view(1), change.clone(), view(2)]),
        ("detached", vec![change, detached]),
        ("ping", vec![Reply::Ping]),
    ];
    for (name, replies) in conversations {
        let frames: Vec<Vec<u8>> = replies.iter().map(frame).collect();
        // The preamble was said when the connection came up.
        let raw = &stream(&frames)[preamble().len()..];
        let len = (raw.len() as u16).to_le_bytes();
        let input = [&[1, 0, 7, 5], &len[..], raw, &[12, 10, 200, 0]].concat();
        seeds.push((format!("client-{name}"), input));
    }
    let honest = [6, 0b111, 1, 12, 13, 9, 0, 12, 6, 0b11, 1, 12, 11];
    seeds.push(("client-honest".into(), [&[1, 0], &honest[..]].concat()));
    seeds.push(("client-manual".into(), [&[1, 1], &honest[..], &[14, 12]].concat()));
    seeds
}
