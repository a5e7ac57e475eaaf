//! Datagrams of somebody who has no key: made up, changed, cut short, and sent again.

use vs_core::ident::{GroupName, ProcessId, Rank, ViewId};
use vs_core::wire::datagram::{Datagram, HEADER_BYTES, Scope, TransmitCounter, finish};
use vs_core::wire::direct::{self, Direct};
use vs_core::wire::packet::{
    self, AckEntry, Data, Heartbeat, SYNC_HEADER_BYTES, SeqRange, encode_sync_header,
};
use vs_core::wire::path::{self, Path};
use vs_core::wire::reach::{self, Reach, Word};

use crate::forger::{Sight, flipped, numbered, of_group, of_view, sealed_alike, varint};
use crate::hostile::{DROPPED, Group};

/// Datagrams of each kind that are forged.
const COUNT: u64 = 40;
/// The member in whose name they are, and one that they are for; their processes are one more.
const POSED: Rank = 0;
const TARGET: Rank = 1;
/// More bytes than datagrams of the group have.
const LONG: usize = 8000;
/// More packets than anybody has sent.
const FAR: u64 = 1 << 30;

/// What a node counts of datagrams that it believes.
const TAKEN: [&str; 2] = ["accepted", "duplicate"];

/// What a datagram does where there are no keys.
enum Bite {
    /// This number of the target grows.
    Grows(&'static str),
    /// The target takes as many datagrams as were sent for what members say.
    Taken,
}

/// A kind of harm.
struct Harm {
    what: &'static str,
    /// Writes the datagram of a number from 0 on.
    forge: fn(&Sight, u64, &mut [u8]) -> Option<usize>,
    bite: Bite,
}

const fn harm(
    what: &'static str,
    forge: fn(&Sight, u64, &mut [u8]) -> Option<usize>,
    bite: Bite,
) -> Harm {
    Harm { what, forge, bite }
}

/// The worst comes last: without keys members wait for packets that nobody has after it.
const HARMS: [Harm; 12] = [
    harm("a question", |s, _, out| word(s, Word::Ask, out), Bite::Taken),
    harm("unheard", |s, _, out| word(s, Word::Unheard, out), Bite::Grows("/counters/unheard")),
    harm("heard", |s, _, out| word(s, Word::Heard, out), Bite::Taken),
    harm("an answer", |s, _, out| word(s, Word::Answer, out), Bite::Taken),
    harm("a probe", probe, Bite::Taken),
    // It is answered during a change alone.
    harm("a request", |s, _, out| request(s, out), Bite::Grows("/counters/foreign")),
    harm("sync messages", sync, Bite::Taken),
    harm("a direct message", |s, _, out| message(s, out), Bite::Taken),
    harm("data", data, Bite::Grows("/counters/delivered")),
    harm("gaps", |s, _, out| gaps(s, out), Bite::Taken),
    harm("acknowledgements", |s, _, out| acks(s, out), Bite::Taken),
    harm("heartbeats", |s, _, out| heartbeat(s, out), Bite::Grows("/groups/first/0/counters/naks")),
];

fn word(sight: &Sight, word: Word, out: &mut [u8]) -> Option<usize> {
    let [process, target] = [POSED, TARGET].map(|rank| ProcessId(u64::from(rank) + 1));
    reach::encode(out, &sight.header(POSED), &Reach { process, target, word })
}

fn probe(sight: &Sight, number: u64, out: &mut [u8]) -> Option<usize> {
    path::encode(out, &sight.header(POSED), &Path::Probe { bytes: 600 + number as u32 })
}

fn message(sight: &Sight, out: &mut [u8]) -> Option<usize> {
    let direct = Direct { target: TARGET, message: b"forged" };
    direct::encode(out, &sight.header(POSED), &direct)
}

fn data(sight: &Sight, number: u64, out: &mut [u8]) -> Option<usize> {
    // The first ones are those of the true member.
    let (seq, body) = (number + 1, b"\x06\0\0\0forged");
    let data = Data { flags: 0, origin: POSED, seq, stable: 0, body };
    packet::encode_data(out, &sight.header(POSED), &data)
}

fn gaps(sight: &Sight, out: &mut [u8]) -> Option<usize> {
    let all = [SeqRange { from: 1, upto: FAR }];
    packet::encode_nak(out, &sight.header(POSED), TARGET, TARGET, &all)
}

fn acks(sight: &Sight, out: &mut [u8]) -> Option<usize> {
    let all = [AckEntry { received: FAR, credit: FAR }; 3];
    packet::encode_ack(out, &sight.header(POSED), 0, all.into_iter())
}

fn heartbeat(sight: &Sight, out: &mut [u8]) -> Option<usize> {
    let view = ViewId { major: 1 << 52, minor: 1 };
    let beat = Heartbeat { solicit: true, highest: FAR, stable: FAR, view };
    packet::encode_heartbeat(out, &sight.header(POSED), &beat)
}

/// What the sync message of the member `rank` begins with, if the forger knows.
fn sync_head(sight: &Sight, rank: Rank) -> [u64; 4] {
    let (addr, _) = sight.members[&rank];
    sight.syncs.get(&addr).copied().unwrap_or([u64::from(rank) + 1, 1, 1, 1])
}

/// A request for the sync message of the target.
fn request(sight: &Sight, out: &mut [u8]) -> Option<usize> {
    let ([asker, ..], [target, _, _, cid]) = (sync_head(sight, POSED), sync_head(sight, TARGET));
    control(sight, true, &[asker, 1, target, cid], out)
}

/// A sync message of a change that is far away, which says that nobody has sent anything.
fn sync(sight: &Sight, number: u64, out: &mut [u8]) -> Option<usize> {
    let [process, millis, nonce, cid] = sync_head(sight, POSED);
    let view = [1, 1, 1, sight.fingerprint];
    let cut = [3, 0, 1, 3, 0];
    let head = [process, millis, nonce, cid + 1000 + number];
    control(sight, false, &[&head[..], &view, &cut].concat(), out)
}

fn control(sight: &Sight, request: bool, numbers: &[u64], out: &mut [u8]) -> Option<usize> {
    let mut fields = Vec::new();
    numbers.iter().for_each(|number| varint(*number, &mut fields));
    out.get_mut(SYNC_HEADER_BYTES..)?.get_mut(..fields.len())?.copy_from_slice(&fields);
    encode_sync_header(out, &sight.header(POSED), request, fields.len())
}

impl Harm {
    /// The datagrams in the clear, under numbers that nobody has used.
    fn datagrams(&self, sight: &Sight) -> Vec<Vec<u8>> {
        let (_, last) = sight.members[&POSED];
        let mut counter = TransmitCounter::after(last + FAR);
        let one = |number| {
            let mut bytes = vec![0; 2000];
            let len = (self.forge)(sight, number, &mut bytes).expect("room");
            bytes.truncate(len);
            finish(&mut bytes, len, false, &mut counter);
            bytes
        };
        (0..COUNT).map(one).collect()
    }
}

/// What follows shows nothing if these datagrams do nothing anywhere.
#[test]
fn forged_datagrams_bite_without_keys() {
    let mut group = Group::new("forged-clear", false);
    for harm in &HARMS {
        let sight = group.forger.sight();
        let target = usize::from(TARGET);
        let before = group.members[target].look();
        group.send(&harm.datagrams(&sight));
        group.wait_for(target, harm.what, |look| match harm.bite {
            Bite::Grows(pointer) => look.count(pointer) > before.count(pointer),
            Bite::Taken => look.sum(&TAKEN) >= before.sum(&TAKEN) + COUNT,
        });
    }
}

/// In the clear, as if sealed with the key of the group, and as if with another one.
#[test]
fn forged_datagrams_change_nothing_with_keys() {
    let mut group = Group::new("forged-sealed", true);
    let name = GroupName::new("chat").expect("a name").key();
    for harm in &HARMS {
        let sight = group.forger.sight();
        let clear = harm.datagrams(&sight);
        let what = harm.what;
        // What is heard tells nothing of the name; somebody may know it, or guess.
        group.withstands(&format!("{what} in the clear"), &clear, &["foreign"]);
        let named: Vec<_> = clear.iter().cloned().map(|bytes| of_group(bytes, name)).collect();
        group.withstands(&format!("{what} in the clear, by name"), &named, &["clear"]);
        let selector = sight.selectors[&sight.members[&POSED].0];
        let alike: Vec<_> = clear.iter().map(|bytes| sealed_alike(bytes, 1, selector)).collect();
        // The one in whose name it is knows what it has sent.
        group.withstands(&format!("{what} as if sealed"), &alike, &["forged", "foreign"]);
        let other: Vec<_> = clear.iter().map(|bytes| sealed_alike(bytes, 9, selector)).collect();
        group.withstands(&format!("{what} under another key"), &other, &["other_key", "foreign"]);
    }
    let target = group.members[usize::from(TARGET)].look();
    for count in ["clear", "forged", "other_key"] {
        assert!(target.sum(&[count]) >= 2 * COUNT * HARMS.len() as u64, "{count}");
    }
    let sight = group.forger.sight();
    let selector = sight.selectors[&sight.members[&POSED].0];
    let clear: Vec<_> = HARMS.iter().flat_map(|harm| harm.datagrams(&sight)).collect();
    let alike = clear.iter().map(|bytes| sealed_alike(bytes, 1, selector));
    let flood = group.flood(clear.iter().cloned().chain(alike).collect());
    group.start(4);
    group.together();
    drop(flood);
    group.chat("who came meanwhile");
    group.end();
}

/// Datagrams of a view that may come are kept for a while, unread, if they are none too long.
#[test]
fn datagrams_of_unknown_views_are_of_no_use() {
    let mut group = Group::new("forged-views", true);
    let sight = group.forger.sight();
    let harm = &HARMS[8];
    let clear = harm.datagrams(&sight).into_iter().cycle().take(1500).enumerate();
    let datagrams: Vec<_> =
        clear.map(|(at, d)| of_view(sealed_alike(&d, 1, 0), FAR + at as u64 / 3)).collect();
    group.withstands(harm.what, &datagrams, &["early"]);
    let flood = group.flood(datagrams.clone());
    group.start(4);
    group.together();
    drop(flood);
    group.chat("who came meanwhile");
    let longer = |bytes: &Vec<u8>| [&bytes[..], &[0x5a; LONG]].concat();
    let long: Vec<_> = datagrams.iter().take(100).map(longer).collect();
    group.withstands("long ones", &long, &["foreign"]);
    group.end();
}

/// What was recorded, in the same view, in later ones, and after restarts and returns.
#[test]
fn replayed_datagrams_change_nothing() {
    let mut group = Group::new("replayed", true);
    let replay = |group: &mut Group, what: &str| {
        let datagrams: Vec<_> = group.forger.recorded.iter().map(|(_, d)| d.clone()).collect();
        println!("{what}: {} datagrams", datagrams.len());
        // A newcomer has not heard some of them before; they tell it nothing new.
        group.withstands(what, &datagrams, &["datagrams"]);
    };
    (0..10).for_each(|turn| group.chat(&format!("turn {turn} of")));
    replay(&mut group, "in the same view");
    group.start(4);
    group.together();
    group.chat("in a view of four");
    replay(&mut group, "in the next view");
    group.kill(3);
    group.together();
    group.chat("without the third");
    replay(&mut group, "after a loss");
    group.start(3);
    group.together();
    group.chat("with the third again");
    replay(&mut group, "after a restart");
    group.members[1].process.signal("STOP");
    for member in [0, 2, 3] {
        group.members[member]
            .process
            .wait("a view without it", |line| line.contains(" {1,3,4}, [").then_some(()));
    }
    group.members[1].process.signal("CONT");
    group.together();
    group.chat("all are back");
    replay(&mut group, "after a return");
    group.end();
}

#[test]
fn changed_datagrams_change_nothing() {
    let mut group = Group::new("flipped", true);
    let sight = group.forger.sight();
    let number = FAR;
    // One of a view, and one of an incarnation.
    for scope in [Scope::View, Scope::Incarnation] {
        let is_wanted = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let datagram = Datagram::read(&mut bytes).expect("a datagram");
            let header = datagram.header();
            let is_now = header.fingerprint == sight.fingerprint
                || sight.selectors.values().any(|s| *s == header.fingerprint);
            is_now && datagram.scope() == Some(scope)
        };
        let recorded = group.forger.recorded.iter();
        let found = recorded.map(|(_, bytes)| bytes).rfind(|bytes| is_wanted(bytes));
        let sample = found.expect("one of each scope").clone();
        group.withstands(&format!("flipped, {scope:?}"), &flipped(&sample, number), &DROPPED);
        let lens = HEADER_BYTES + 2..sample.len();
        let cut = |len: usize| numbered(sample[..len].to_vec(), number + len as u64);
        let short: Vec<_> = lens.map(cut).collect();
        group.withstands(&format!("cut short, {scope:?}"), &short, &["forged", "foreign"]);
        let headless: Vec<_> = (3..HEADER_BYTES + 2).map(|len| sample[..len].to_vec()).collect();
        group.withstands(&format!("headless, {scope:?}"), &headless, &["malformed"]);
    }
    group.end();
}
