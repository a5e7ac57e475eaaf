//! Two members of a view, and what somebody between them does.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use super::*;
use crate::ident::{Cid, ViewId};
use crate::seal::{KeyRing, RingKey, TAG_BYTES};
use crate::seal::{PORTABLE, SECRET_BYTES, Suite};
use crate::wire::datagram::Header;
use crate::wire::golden::{self, Sample};
use crate::wire::packet::{self, Content, Data};
use crate::wire::reach::{self, Reach, Word};

/// Where a datagram has its counter.
const COUNTER_AT: usize = 24;

pub(super) const GROUP: GroupKey = GroupKey(0x0123_4567_89ab_cdef);

fn ring(ids: &[u8]) -> Keys {
    let key = |id: &u8| {
        RingKey::of_servers(*id, Suite::Aes256Gcm, Secret::new([*id; SECRET_BYTES])).unwrap()
    };
    let ring = KeyRing::new(ids.iter().map(key).collect()).unwrap();
    Keys::new(ring, &PORTABLE, Secret::new([0; SECRET_BYTES]))
}

fn peer(p: u64) -> Peer {
    let incarnation = Incarnation::new(1_700_000_000_000 + p).with_nonce(7);
    Peer { process: ProcessId(p), incarnation, addr: ([127, 0, 0, 1], p as u16).into() }
}

/// The keys of process `p`, which signs.
pub(super) fn signing(p: u64) -> Keys {
    let of_all = ring(&[1]);
    let seed = Secret::new([p as u8; SECRET_BYTES]);
    let mut keys = Keys::new(of_all.ring().clone(), &PORTABLE, seed);
    keys.set_signer(None);
    keys
}

/// A process that signs with these keys.
pub(super) fn peer_with(p: u64, keys: &Keys) -> Peer {
    let peer = peer(p);
    let nonce = keys.nonce().expect("it signs");
    Peer { incarnation: peer.incarnation.with_nonce(nonce), ..peer }
}

/// Process `p` with these keys, among `peers`.
pub(super) fn member_of(p: u64, keys: Keys, peers: &[Peer]) -> Seals {
    let me = peer_with(p, &keys);
    let mut seals = Seals::new(keys, GROUP, me.process, me.incarnation, (2, 1424));
    seals.set_peers(peers);
    seals
}

fn view() -> View {
    let id = ViewId { major: 70_000, minor: 2 };
    View::new(id, &[1, 2].map(ProcessId), &[8, 9].map(Cid)).unwrap()
}

/// Member `p` of the view.
fn member(p: u64, keys: Keys) -> Seals {
    let me = peer(p);
    let mut seals = Seals::new(keys, GROUP, me.process, me.incarnation, EARLY);
    seals.set_peers(&[peer(3 - p)]);
    seals.handle_announced((&view(), None));
    seals
}

/// A datagram of member 1 with room for what is sealed, and its length.
fn written(scope: Scope) -> Vec<u8> {
    let header = Header { rank: 0, group: GROUP, fingerprint: view().fingerprint() };
    let mut out = vec![0; 200];
    let len = match scope {
        Scope::View => {
            let body = b"\x05\0\0\0hello\0\0\0\0";
            let data = Data { flags: 0, origin: 0, seq: 8, stable: 5, body };
            packet::encode_data(&mut out, &header, &data).unwrap() + TAG_BYTES
        }
        Scope::Incarnation | Scope::Receiver => {
            let said = Reach { process: ProcessId(1), target: ProcessId(2), word: Word::Ask };
            let end = crate::wire::datagram::SCOPE_BYTES + TAG_BYTES;
            reach::encode(&mut out, &header, &said).unwrap() + end
        }
    };
    out.truncate(len);
    out
}

fn sealed(seals: &mut Seals, scope: Scope, number: u64) -> Vec<u8> {
    let mut out = written(scope);
    let len = out.len();
    let to_group = scope != Scope::Receiver;
    seals.seal(&mut out, len, to_group, &mut TransmitCounter::after(number - 1));
    out
}

fn open(seals: &mut Seals, bytes: &[u8]) -> Result<(), Verdict> {
    let mut copy = bytes.to_vec();
    let Ok(datagram) = Datagram::read(&mut copy) else { return Err(Verdict::Malformed) };
    let to_group = datagram.scope() != Some(Scope::Receiver);
    let opened = seals.open(datagram, 0)?;
    let packet = packet::decode(opened).expect("what was sealed is well-formed");
    let header = Header { rank: 0, group: GROUP, fingerprint: view().fingerprint() };
    assert_eq!((packet.header, packet.to_group), (header, to_group));
    assert!(matches!(packet.content, Content::Data(_) | Content::Reach(_)));
    Ok(())
}

/// Fault to avoid: whoever sees the selector of a member makes others derive a key for each
/// datagram, by counters that are far from each other, or by other keys of the ring.
#[test]
fn keys_are_derived_in_vain_for_few_datagrams() {
    for scope in SCOPES {
        let (mut one, mut two) = (member(1, ring(&[1, 2])), member(2, ring(&[1, 2])));
        let bytes = sealed(&mut one, scope, 5);
        assert_eq!(open(&mut two, &bytes), Ok(()));
        for far in 1..=1024_u64 {
            let mut made_up = bytes.clone();
            made_up[COUNTER_AT..][..8].copy_from_slice(&(far << 30).to_le_bytes());
            assert_eq!(open(&mut two, &made_up), Err(Verdict::Forged));
        }
        // What is near costs no key, and what is true and far is found soon.
        assert_eq!(open(&mut two, &sealed(&mut one, scope, 6)), Ok(()));
        let mut far = (0..16).map(|more| sealed(&mut one, scope, (5 << 30) + 1 + more));
        assert!(far.any(|bytes| open(&mut two, &bytes).is_ok()), "{scope:?}");
        assert_eq!(open(&mut two, &sealed(&mut one, scope, (5 << 30) + 50)), Ok(()));
    }
}

/// Fault to avoid: whoever hears a member whose keys changed sends fifteen datagrams after each of
/// its own, so that none of those is the sixteenth.
#[test]
fn nobody_counts_past_a_member_that_needs_another_key() {
    for scope in SCOPES {
        let (mut one, mut two) = (member(1, ring(&[1, 2])), member(2, ring(&[1, 2])));
        let bytes = sealed(&mut one, scope, 5);
        assert_eq!(open(&mut two, &bytes), Ok(()));
        let mut far = 1_u64;
        let mut forge = |two: &mut Seals| {
            let mut made_up = bytes.clone();
            far += 1;
            made_up[COUNTER_AT..][..8].copy_from_slice(&(far << 30).to_le_bytes());
            open(two, &made_up).unwrap_err()
        };
        (0..64).for_each(|_| assert_eq!(forge(&mut two), Verdict::Forged));
        one.set_keys(&ring(&[2, 1]));
        let is_heard = (0..200).any(|more| {
            let is_open = open(&mut two, &sealed(&mut one, scope, 6 + more)).is_ok();
            (0..15).for_each(|_| _ = forge(&mut two));
            is_open
        });
        assert!(is_heard, "{scope:?}");
    }
}

/// Two datagrams of views to come are kept.
const EARLY: (usize, usize) = (2, 200);

const SCOPES: [Scope; 3] = [Scope::View, Scope::Incarnation, Scope::Receiver];

#[test]
fn member_opens_what_another_sealed_and_nothing_else() {
    for scope in SCOPES {
        let (mut one, mut two) = (member(1, ring(&[1])), member(2, ring(&[1])));
        let bytes = sealed(&mut one, scope, 5);
        for at in 0..bytes.len() {
            // What is reserved is authenticated, too.
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(open(&mut two, &changed).is_err(), "{scope:?}: bit {bit} of byte {at}");
            }
            assert!(open(&mut two, &bytes[..at]).is_err(), "{scope:?}: {at} bytes");
        }
        let content = &written(scope)[40..48];
        assert!(!bytes.windows(8).any(|part| part == content), "it can be read");
        assert_eq!(open(&mut two, &bytes), Ok(()));
        assert_eq!(open(&mut two, &bytes), Err(Verdict::Replayed));
        let later = sealed(&mut one, scope, 6);
        assert_eq!(open(&mut two, &later), Ok(()));
        // The one who sent it drops it unread.
        let mut copy = bytes.clone();
        let own = one.open(Datagram::read(&mut copy).unwrap(), 6);
        assert_eq!(own.map(drop), Err(Verdict::Foreign));
    }
}

#[test]
fn other_keys_and_none_are_told_apart() {
    for scope in SCOPES {
        let bytes = sealed(&mut member(1, ring(&[1])), scope, 5);
        assert_eq!(open(&mut member(2, ring(&[2])), &bytes), Err(Verdict::OtherKey));
        let mut clear = bytes.clone();
        clear[3] = KEY_NONE;
        assert_eq!(open(&mut member(2, ring(&[1])), &clear), Err(Verdict::Clear));
    }
    // The same id, and another secret.
    let key = RingKey::of_servers(1, Suite::Aes256Gcm, Secret::new([9; SECRET_BYTES])).unwrap();
    let other =
        Keys::new(KeyRing::new(vec![key]).unwrap(), &PORTABLE, Secret::new([0; SECRET_BYTES]));
    let bytes = sealed(&mut member(1, ring(&[1])), Scope::View, 5);
    // It may be of a view to come, which nobody can tell from one of another deployment.
    assert_eq!(open(&mut member(2, other), &bytes), Err(Verdict::Early));
}

/// Add the new key everywhere, move it to the front everywhere, remove the old one.
#[test]
fn keys_are_rotated_without_a_pause() {
    for scope in SCOPES {
        let (mut one, mut two) = (member(1, ring(&[1])), member(2, ring(&[1])));
        let mut number = 0;
        let mut opens = |one: &mut Seals, two: &mut Seals| {
            number += 1;
            open(two, &sealed(one, scope, number))
        };
        assert_eq!(opens(&mut one, &mut two), Ok(()));
        two.set_keys(&ring(&[1, 2]));
        assert_eq!(opens(&mut one, &mut two), Ok(()));
        one.set_keys(&ring(&[2, 1]));
        assert_eq!(opens(&mut one, &mut two), Ok(()));
        let under_old = sealed(&mut member(1, ring(&[1])), scope, 1);
        assert_eq!(open(&mut two, &under_old), Err(Verdict::Replayed), "the window stays");
        two.set_keys(&ring(&[2]));
        assert_eq!(opens(&mut one, &mut two), Ok(()));
        one.set_keys(&ring(&[1]));
        assert_eq!(opens(&mut one, &mut two), Err(Verdict::OtherKey), "{scope:?}");
    }
}

#[test]
fn datagrams_of_a_view_to_come_are_kept_within_a_bound() {
    let mut one = member(1, ring(&[1]));
    let mut two = Seals::new(ring(&[1]), GROUP, ProcessId(2), peer(2).incarnation, EARLY);
    for number in 1..=3 {
        let bytes = sealed(&mut one, Scope::View, number);
        assert_eq!(open(&mut two, &bytes), Err(Verdict::Early));
    }
    assert!(two.next_early().is_none(), "its view is not announced");
    two.set_peers(&[peer(1)]);
    two.handle_announced((&view(), None));
    for number in 2..=3 {
        let bytes = two.next_early().unwrap();
        assert_eq!(bytes[24], number, "the oldest gave way");
        assert_eq!(open(&mut two, &bytes), Ok(()));
    }
    assert!(two.next_early().is_none());
}

#[test]
fn sealed_datagrams_are_those_in_the_files() {
    let sample = |(name, scope): (&str, Scope)| Sample {
        name: name.to_string(),
        what: format!("scope {}, AES-256-GCM, key 1: 32 bytes of 1, number 5", scope as u8),
        bytes: sealed(&mut member(1, ring(&[1])), scope, 5),
    };
    let scopes =
        [("view", Scope::View), ("incarnation", Scope::Incarnation), ("receiver", Scope::Receiver)];
    let samples = scopes.map(sample);
    let version = "`PROTOCOL_VERSION` of wire";
    for bytes in golden::check("sealed", version, &samples) {
        assert_eq!(open(&mut member(2, ring(&[1])), &bytes), Ok(()));
    }
    let manual: String = include_str!("../../manual/wire.md").into();
    assert!(samples.iter().all(|s| manual.contains(&format!("`sealed/{}.hex`", s.name))));
}

/// A member that was removed keeps the key of members, and records what follows.
#[test]
fn secret_of_a_view_opens_that_view_alone() {
    let secret = |byte| Secret::new([byte; SECRET_BYTES]);
    let of = |p: u64, secret: Option<&Secret>| {
        let me = peer(p);
        let mut seals = Seals::new(ring(&[1]), GROUP, me.process, me.incarnation, EARLY);
        seals.set_peers(&[peer(3 - p)]);
        seals.handle_announced((&view(), secret));
        seals
    };
    let bytes = sealed(&mut of(1, Some(&secret(3))), Scope::View, 5);
    assert_eq!(open(&mut of(2, Some(&secret(3))), &bytes), Ok(()));
    // It is not even known of which view it is.
    assert_eq!(open(&mut of(2, Some(&secret(4))), &bytes), Err(Verdict::Early));
    assert_eq!(open(&mut of(2, None), &bytes), Err(Verdict::Early));
}

/// Who has no key could try names of groups, and triples of views.
#[test]
fn names_that_follow_without_a_key_are_not_in_the_clear() {
    let words = [GROUP.0, view().fingerprint()].map(u64::to_le_bytes);
    let names = |scope| {
        let bytes = sealed(&mut member(1, ring(&[1])), scope, 5);
        let is_in = |word: &[u8; 8]| bytes.windows(8).any(|part| part == word);
        assert!(!words.iter().any(is_in), "{scope:?}");
        [&bytes[8..16], &bytes[16..24]].map(<[u8]>::to_vec)
    };
    let [of_view, of_incarnation, of_receiver] = SCOPES.map(names);
    assert_eq!((&of_view[0], &of_incarnation), (&of_incarnation[0], &of_receiver));
    let group = u64::from_le_bytes(of_view[0][..].try_into().unwrap());
    assert!(member(2, ring(&[3, 1])).group_selectors().any(|known| known == group));
    assert!(!member(2, ring(&[2])).group_selectors().any(|known| known == group));
}

/// A copy of a process, or who has its keys, was not noticed by the process itself.
#[test]
fn own_seal_under_a_number_not_sent_is_an_impostor() {
    for scope in [Scope::View, Scope::Incarnation] {
        let mut one = member(1, ring(&[1]));
        let bytes = sealed(&mut member(1, ring(&[1])), scope, 7);
        let opened = |one: &mut Seals, bytes: &[u8], sent| {
            let mut copy = bytes.to_vec();
            one.open(Datagram::read(&mut copy).unwrap(), sent).map(drop)
        };
        assert_eq!(opened(&mut one, &bytes, 7), Err(Verdict::Foreign), "it comes back");
        let mut changed = bytes.clone();
        changed[40] ^= 1;
        assert_eq!(opened(&mut one, &changed, 6), Err(Verdict::Forged));
        assert_eq!(opened(&mut one, &bytes, 6), Err(Verdict::Impostor), "{scope:?}");
        assert_eq!(opened(&mut one, &bytes, 6), Err(Verdict::Replayed), "it is told of once");
    }
}

/// What was said to an earlier life of a process was heard by the one that followed: a member was
/// sent copies for it.
#[test]
fn restarted_process_hears_no_word_for_the_one_before() {
    let mut one = member(1, ring(&[1]));
    let bytes = sealed(&mut one, Scope::Receiver, 5);
    let again = Incarnation::new(peer(2).incarnation.millis() + 1);
    let mut two = Seals::new(ring(&[1]), GROUP, ProcessId(2), again, EARLY);
    two.set_peers(&[peer(1)]);
    assert_eq!(open(&mut two, &bytes), Err(Verdict::Forged));
    // Nor is what is for one process a word for all.
    let mut for_all = bytes.clone();
    for_all[6] = Scope::Incarnation as u8;
    assert_eq!(open(&mut two, &for_all), Err(Verdict::Forged));
    one.set_peers(&[Peer { incarnation: again, ..peer(2) }]);
    assert_eq!(open(&mut two, &sealed(&mut one, Scope::Receiver, 6)), Ok(()));
}

/// The key of an incarnation follows from the key of members alone. Whoever was removed has it, and
/// must not speak with it in a view.
#[test]
fn key_of_an_incarnation_does_not_speak_in_a_view() {
    let (mut one, mut two) = (member(1, ring(&[1])), member(2, ring(&[1])));
    let mut bytes = written(Scope::View);
    let end = bytes.len() - TAG_BYTES;
    bytes.splice(end..end, [0; crate::wire::datagram::SCOPE_BYTES]);
    let closing = Closing::new(&mut bytes, true, 1, &mut TransmitCounter::default());
    let (group, selector) = (one.group.first(), one.own_selectors.first());
    let (clear, content) = closing.of_incarnation(group, selector);
    one.own.seal(1, clear, content);
    assert_eq!(open(&mut two, &bytes), Err(Verdict::Malformed));
}

/// Two incarnations of a member would have the same rank and the same view, if a source of views
/// of one's own gave it again.
#[test]
fn incarnations_seal_with_other_keys() {
    let mut two = member(2, ring(&[1]));
    let mut again = Seals::new(ring(&[1]), GROUP, ProcessId(1), Incarnation::new(9), EARLY);
    again.set_peers(&[peer(2)]);
    again.handle_announced((&view(), None));
    let bytes = sealed(&mut again, Scope::View, 5);
    assert_eq!(open(&mut two, &bytes), Err(Verdict::Forged));
}
