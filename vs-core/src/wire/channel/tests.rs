//! Two ends of a connection, with whoever is between them.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::seal::{PORTABLE, SECRET_BYTES, Secret};

const CONTEXT: Context<'static> = Context { version: 3, deployment: "default" };

/// Bytes that a record takes besides its plaintext.
const RECORD_OVERHEAD_BYTES: usize = LENGTH_BYTES + TAG_BYTES;

/// One key for each pair of an id and a byte.
fn ring(keys: &[(u8, u8)], suite: Suite) -> KeyRing {
    let key = |&(id, byte): &(u8, u8)| {
        RingKey::of_servers(id, suite, Secret::new([byte; SECRET_BYTES])).unwrap()
    };
    KeyRing::new(keys.iter().map(key).collect()).unwrap()
}

fn keys(ring: KeyRing, seed: u8) -> Keys {
    Keys::new(ring, &PORTABLE, Secret::new([seed; SECRET_BYTES]))
}

/// One end: what it has received, and what it wrote and nobody took.
struct End {
    channel: Channel,
    out: Vec<u8>,
    plain: Vec<u8>,
}

impl End {
    fn dialled(ring: KeyRing, party: Party) -> Self {
        let mut out = Vec::new();
        let channel = Channel::dialled(&mut keys(ring, 1), party, CONTEXT, &mut out);
        Self { channel, out, plain: Vec::new() }
    }

    fn accepted(ring: KeyRing, seed: u8, context: Context<'_>) -> Self {
        let mut out = Vec::new();
        let channel = Channel::accepted(&mut keys(ring, seed), context, &mut out);
        Self { channel, out, plain: Vec::new() }
    }

    fn send(&mut self, plain: &[u8]) {
        self.channel.send(plain, &mut self.out);
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<(), ChannelError> {
        self.channel.receive(bytes, &mut self.plain, &mut self.out)
    }

    fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.out)
    }
}

/// A dialled and an accepted end.
fn ends(dials: KeyRing, accepts: KeyRing, party: Party) -> [End; 2] {
    [End::dialled(dials, party), End::accepted(accepts, 2, CONTEXT)]
}

/// Both ends of one ring.
fn pair(party: Party) -> [End; 2] {
    let ring = || ring(&[(7, 1)], Suite::Aes256Gcm);
    ends(if party == Party::Client { ring().of_members() } else { ring() }, ring(), party)
}

/// Carries bytes between both ends, at most `step` at a time, until nobody has any or one fails.
/// What failed, by end, is returned.
fn carry(ends: &mut [End; 2], step: usize) -> [Result<(), ChannelError>; 2] {
    let mut results = [Ok(()), Ok(())];
    while !(ends[0].out.is_empty() && ends[1].out.is_empty()) {
        for from in [0, 1] {
            let bytes = ends[from].take();
            for piece in bytes.chunks(step) {
                if results[1 - from].is_ok() {
                    results[1 - from] = ends[1 - from].receive(piece);
                }
            }
        }
    }
    results
}

#[test]
fn what_is_sent_arrives_at_any_split() {
    let long: Vec<u8> = (0..3 * RECORD_BYTES_MAX + 5).map(|at| at as u8).collect();
    for (party, step) in [(Party::Client, 1), (Party::Server, 7), (Party::Server, usize::MAX)] {
        let mut ends = pair(party);
        ends[0].send(b"early");
        assert_eq!(ends[0].channel.waiting_bytes(), 5);
        assert_eq!(carry(&mut ends, step), [Ok(()), Ok(())]);
        assert!(ends.iter().all(|end| end.channel.party() == Some(party)));
        assert_eq!((ends[0].channel.waiting_bytes(), &ends[1].plain[..]), (0, &b"early"[..]));
        for (from, said) in [(0, &long[..]), (1, b"answer"), (1, &long), (0, b"end")] {
            ends[1 - from].plain.clear();
            ends[from].send(said);
            let records = said.len().div_ceil(RECORD_BYTES_MAX);
            assert_eq!(ends[from].out.len(), said.len() + records * RECORD_OVERHEAD_BYTES);
            assert_eq!(carry(&mut ends, step), [Ok(()), Ok(())]);
            assert!(ends[1 - from].plain == said);
        }
    }
}

#[test]
fn either_suite_and_any_key_of_the_ring_opens() {
    for suite in Suite::ALL {
        let mut ends = ends(
            ring(&[(2, 20)], suite).of_members(),
            ring(&[(1, 10), (2, 20)], suite),
            Party::Client,
        );
        assert_eq!(carry(&mut ends, usize::MAX), [Ok(()), Ok(())]);
        let has = |keys| ends.iter().all(|end| end.channel.is_of(&ring(keys, suite)));
        assert!(has(&[(3, 1), (2, 20)]));
        assert!(!has(&[(2, 21)]) && !has(&[(1, 10)]), "the key is gone, or another one");
    }
}

/// What both ends say when the dialling one has the first ring.
fn failures(
    dials: KeyRing,
    accepts: KeyRing,
    party: Party,
    context: Context<'_>,
) -> [ChannelError; 2] {
    let mut ends = [End::dialled(dials, party), End::accepted(accepts, 2, context)];
    ends[0].send(b"secret");
    let results = carry(&mut ends, usize::MAX);
    assert!(ends.iter().all(|end| end.plain.is_empty() && !end.channel.is_up()));
    results.map(Result::unwrap_err)
}

#[test]
fn each_end_names_what_is_wrong_with_the_key() {
    let suite = Suite::Aes256Gcm;
    let good = || ring(&[(7, 1)], suite);
    let fails = |accepts| failures(good(), accepts, Party::Client, CONTEXT);
    let unknown = [ChannelError::NotThere(7), ChannelError::NotHere(7)];
    assert_eq!(fails(ring(&[(8, 1)], suite)), unknown);
    assert_eq!(fails(good().of_members()), unknown, "who has no key of servers is none");
    assert_eq!(fails(ring(&[(7, 2)], suite)), [ChannelError::Other(7); 2]);
    let other_suite = ring(&[(7, 1)], Suite::ChaCha20Poly1305);
    assert_eq!(fails(other_suite), [ChannelError::Suite(7); 2]);
    for context in [Context { version: 4, ..CONTEXT }, Context { deployment: "test", ..CONTEXT }] {
        let both = failures(good(), good(), Party::Server, context);
        assert_eq!(both, [ChannelError::Other(7); 2]);
    }
}

/// Whoever has the key of members alone.
#[test]
fn holder_of_a_member_key_poses_as_no_server() {
    let servers = || ring(&[(7, 1)], Suite::Aes256Gcm);
    // It dials as a server: the handshake is not even begun.
    let mut ends = ends(servers().of_members(), servers(), Party::Server);
    assert_eq!(carry(&mut ends, usize::MAX)[0], Err(ChannelError::Other(7)));
    // It answers as a server, with a static key of its own: its psk is right, its proof is not.
    let own = ring(&[(7, 9)], Suite::Aes256Gcm);
    let forged = RingKey::forged(own.first(), servers().first().member().clone());
    let mut ends =
        self::ends(servers().of_members(), KeyRing::new(vec![forged]).unwrap(), Party::Client);
    assert_eq!(carry(&mut ends, usize::MAX), [Err(ChannelError::Other(7)); 2]);
}

#[test]
fn replayed_first_message_fails() {
    let ring = || ring(&[(7, 1)], Suite::Aes256Gcm);
    let [mut dials, mut accepts] = pair(Party::Client);
    let hello = dials.take();
    accepts.receive(&hello).unwrap();
    dials.receive(&accepts.take()).unwrap();
    let first = dials.take();
    accepts.receive(&first).unwrap();
    assert!(accepts.channel.is_up());
    let mut again = End::accepted(ring(), 3, CONTEXT);
    again.take();
    again.receive(&hello).unwrap();
    assert_eq!(again.receive(&first), Err(ChannelError::Other(7)));
    assert_eq!(again.take(), [1, 0, 3], "nothing is answered but why not");
    assert_eq!(again.receive(&first), Err(ChannelError::Other(7)), "the failure stays");
}

/// The bytes of a handshake, in the order in which they were written, by end.
fn handshake() -> [Vec<Vec<u8>>; 2] {
    let mut ends = pair(Party::Client);
    let mut written = [vec![], vec![]];
    while !(ends[0].out.is_empty() && ends[1].out.is_empty()) {
        for from in [0, 1] {
            let bytes = ends[from].take();
            ends[1 - from].receive(&bytes).unwrap();
            if !bytes.is_empty() {
                written[from].push(bytes);
            }
        }
    }
    written
}

/// Whether `end` comes up and says nothing when `bytes` arrive.
fn comes_up(mut end: End, bytes: &[Vec<u8>]) -> bool {
    let _ = bytes.iter().try_for_each(|bytes| end.receive(bytes));
    assert!(end.plain.is_empty());
    end.channel.is_up()
}

#[test]
fn changed_or_cut_handshakes_open_nothing() {
    let written = handshake();
    // Of either end: the same one again, with the same random numbers.
    let again = |end: usize| {
        let [dials, accepts] = pair(Party::Client);
        if end == 0 { dials } else { accepts }
    };
    for end in [0, 1] {
        let other = &written[1 - end];
        assert!(comes_up(again(end), other));
        let all = other.concat();
        for len in 0..all.len() {
            assert!(!comes_up(again(end), &[all[..len].to_vec()]), "{len} bytes");
        }
        for bit in 0..8 * all.len() {
            let mut changed = all.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            // The highest bit of a point means nothing to X25519, but it is a part of what is
            // hashed.
            assert!(!comes_up(again(end), &[changed]), "bit {bit}");
        }
    }
}

#[test]
fn changed_swapped_and_repeated_records_are_refused() {
    let opened = || {
        let mut ends = pair(Party::Server);
        assert_eq!(carry(&mut ends, usize::MAX), [Ok(()), Ok(())]);
        let records: Vec<Vec<u8>> = [&b"first"[..], b"second"]
            .map(|said| {
                ends[0].send(said);
                ends[0].take()
            })
            .into();
        let [_, accepts] = ends;
        (accepts, records)
    };
    let (mut end, records) = opened();
    assert_eq!(end.receive(&records[1]), Err(ChannelError::Forged), "in another order");
    let (mut end, records) = opened();
    end.receive(&records[0]).unwrap();
    assert_eq!(end.receive(&records[0]), Err(ChannelError::Forged), "again");
    assert_eq!(end.plain, b"first");
    for bit in 0..8 * records[0].len() {
        let (mut end, records) = opened();
        let mut changed = records.concat();
        changed[bit / 8] ^= 1 << (bit % 8);
        let _ = end.receive(&changed);
        assert!(end.plain.is_empty(), "bit {bit}");
    }
}

#[test]
fn junk_is_no_handshake() {
    let accepted = || End::accepted(ring(&[(7, 1)], Suite::Aes256Gcm), 2, CONTEXT);
    // Who dials as neither, and a record of another length than the first message has.
    for junk in [&[0, 7, 1][..], &[3, 7, 1], &[1, 7, 1, 63, 0], &[1, 7, 1, 0xff, 0xff]] {
        assert_eq!(accepted().receive(junk), Err(ChannelError::Handshake));
    }
    let mut dialled = End::dialled(ring(&[(7, 1)], Suite::Aes256Gcm), Party::Client);
    dialled.receive(&[0; CHALLENGE_BYTES]).unwrap();
    assert_eq!(dialled.receive(&[1, 0, 99]), Err(ChannelError::Handshake));
}

#[test]
fn codes_say_which_error_it_is() {
    for code in 0..10 {
        let error = ChannelError::of_code((code, 3, 4)).unwrap();
        let (again, first, second) = error.code();
        assert_eq!(ChannelError::of_code((again.into(), first, second)), Some(error));
        assert_eq!(u64::from(again), code);
    }
    assert_eq!(ChannelError::of_code((10, 0, 0)), None);
    assert_eq!(ChannelError::of_code((7, 256, 0)), None);
}

#[test]
fn nothing_of_a_channel_is_printed() {
    let [dials, _] = pair(Party::Client);
    assert_eq!(alloc::format!("{:?}", dials.channel), "Channel { state: \"opens\", .. }");
}
