//! The twelve points of the algorithm that are easily got wrong, one test each where a single
//! end-point shows them.

use alloc::vec;
use alloc::vec::Vec;

use super::forward::Forward;
use super::*;
use crate::ident::{Cid, Incarnation, ProcessId, Seq, ViewId};

/// The incarnation of everybody, where nothing else is said.
const INCARNATION: Incarnation = Incarnation::new(1);

/// What a sync message says besides its cut, where no order and no note is of interest.
const NOTHING: (Seq, Note) = (0, Note::EMPTY);

fn head(view: ViewKey, total: usize) -> SyncHead {
    SyncHead { view, total, safe: 0, note: Note::EMPTY }
}

fn p(n: u64) -> ProcessId {
    ProcessId(n)
}

fn view(major: u64, members: &[u64], start: &[u64]) -> View {
    let members: Vec<_> = members.iter().map(|&m| p(m)).collect();
    let start: Vec<_> = start.iter().map(|&c| Cid(c)).collect();
    View::new(ViewId { major, minor: 1 }, &members, &start).unwrap()
}

fn set(members: &[u64]) -> Vec<ProcessId> {
    members.iter().map(|&m| p(m)).collect()
}

/// A start_change, and the question that follows; whether it was asked.
fn ask(end: &mut Automaton, cid: Cid, set: &[ProcessId]) -> bool {
    end.start_change(cid, set.iter().map(|q| (*q, INCARNATION)));
    end.ask_to_block()
}

/// An end-point `me` that is in `view`, without a change under way.
fn settled(me: u64, view: &View) -> Automaton {
    let mut end = Automaton::new(p(me), Rules::default());
    let cid = view.start(p(me)).unwrap();
    ask(&mut end, cid, view.members());
    assert!(end.block_ok());
    end.send_sync(|_| 0, NOTHING).unwrap();
    end.announce(view.clone());
    assert!(end.installable(|_| 0));
    assert_eq!(end.install().unwrap().transitional.as_slice(), [p(me)]);
    end
}

/// The sync message of `from` for `cid`, sent in `view`.
fn hear(end: &mut Automaton, from: u64, cid: u64, view: &View, cut: &[Seq]) -> bool {
    let key = ViewKey::of(view, p(from)).unwrap();
    receive_from(end, (from, INCARNATION), cid, key, cut)
}

fn receive_from(
    end: &mut Automaton,
    (from, incarnation): (u64, Incarnation),
    cid: u64,
    key: ViewKey,
    cut: &[Seq],
) -> bool {
    let from = (p(from), incarnation);
    end.receive_sync(from, Cid(cid), &head(key, cut.len()), 0, cut.iter().copied())
        != Received::Nothing
}

/// 1 in {1,2,3}, asked to move to `proposed` under cid 9, blocked, with `cut` sent.
fn blocked(v: &View, proposed: &[u64], cut: &[Seq]) -> Automaton {
    let mut end = settled(1, v);
    assert!(ask(&mut end, Cid(9), &set(proposed)));
    assert!(!end.wants_sync(), "not before block_ok");
    assert!(end.block_ok());
    assert!(end.wants_sync());
    end.send_sync(|r| cut[usize::from(r)], NOTHING).unwrap();
    assert!(!end.wants_sync(), "once");
    end
}

#[test]
fn point_2_own_cut_bounds_delivery_until_match() {
    let v = view(3, &[1, 2, 3], &[1, 1, 1]);
    let mut end = settled(1, &v);
    assert_eq!(end.limits(), None);
    ask(&mut end, Cid(9), &set(&[1, 2]));
    assert_eq!(end.limits(), None, "free before the sync is sent");
    end.block_ok();
    end.send_sync(|r| [4, 5, 6][usize::from(r)], NOTHING).unwrap();
    assert_eq!(end.limits(), Some(&[4, 5, 6][..]));
    hear(&mut end, 2, 7, &v, &[9, 9, 9]);
    assert_eq!(end.limits(), Some(&[4, 5, 6][..]));
    end.announce(view(5, &[1, 2], &[9, 7]));
    assert_eq!(end.limits(), Some(&[9, 9, 9][..]), "the greatest cut over T");
}

#[test]
fn point_3_new_start_change_lifts_commitment() {
    let v = view(3, &[1, 2, 3], &[1, 1, 1]);
    let mut end = blocked(&v, &[1, 2], &[4, 5, 6]);
    assert!(!ask(&mut end, Cid(10), &set(&[1, 2, 4])), "asked for once");
    assert_eq!(end.limits(), None);
    assert!(end.wants_sync(), "still blocked: the new sync goes out at once");
    end.send_sync(|r| [4, 6, 6][usize::from(r)], NOTHING).unwrap();
    assert_eq!(end.limits(), Some(&[4, 6, 6][..]));
}

#[test]
fn point_4_obsolete_view_is_never_installed() {
    let v = view(3, &[1, 2], &[1, 1]);
    let mut end = blocked(&v, &[1, 2], &[0, 0]);
    hear(&mut end, 2, 7, &v, &[0, 0]);
    ask(&mut end, Cid(10), &set(&[1, 2]));
    end.send_sync(|_| 0, NOTHING).unwrap();
    end.announce(view(5, &[1, 2], &[9, 7]));
    assert!(!end.matched() && !end.installable(|_| 0));
    end.announce(view(6, &[1, 2], &[10, 7]));
    assert!(end.installable(|_| 0));
}

#[test]
fn point_5_named_sync_counts_not_the_latest() {
    let v = view(3, &[1, 2], &[1, 1]);
    let mut end = blocked(&v, &[1, 2], &[2, 2]);
    hear(&mut end, 2, 8, &v, &[5, 5]);
    end.announce(view(5, &[1, 2], &[9, 7]));
    assert_eq!(end.missing().collect::<Vec<_>>(), [(p(2), Cid(7))]);
    hear(&mut end, 2, 7, &v, &[3, 4]);
    assert!(end.complete());
    assert_eq!(end.agreed(), [3, 4]);
}

#[test]
fn point_6_joiners_are_not_waited_for() {
    let v = view(3, &[1, 2], &[1, 1]);
    let mut end = blocked(&v, &[1, 2, 3], &[2, 2]);
    end.announce(view(5, &[1, 2, 3], &[9, 7, 1]));
    assert_eq!(end.missing().collect::<Vec<_>>(), [(p(2), Cid(7))]);
    hear(&mut end, 2, 7, &v, &[2, 2]);
    assert!(!end.installable(|r| [2, 1][usize::from(r)]), "what is agreed is delivered first");
    assert!(end.installable(|_| 2));
    assert_eq!(end.install().unwrap().transitional.as_slice(), [p(1), p(2)]);
}

/// 1 in {1,2}, asked to move to {1,2,3,4}, in a group with clusters, blocked. 3 comes from
/// elsewhere, and 4 is fresh.
fn blocked_with_clusters(rules: Rules) -> Automaton {
    let v = view(3, &[1, 2], &[1, 1]);
    let mut end = Automaton { has_clusters: true, rules, ..settled(1, &v) };
    ask(&mut end, Cid(9), &set(&[1, 2, 3, 4]));
    assert!(end.block_ok());
    end.send_sync(|_| 0, (0, Note::new(b"one").unwrap())).unwrap();
    hear(&mut end, 2, 7, &v, &[0, 0]);
    end.announce(view(5, &[1, 2, 3, 4], &[9, 7, 8, 6]));
    end
}

#[test]
fn clusters_wait_for_syncs_of_joiners() {
    let mut end = blocked_with_clusters(Rules::default());
    assert_eq!(end.missing().collect::<Vec<_>>(), [(p(3), Cid(8)), (p(4), Cid(6))]);
    assert!(end.is_waiting() && !end.installable(|_| 0));
    let elsewhere = view(4, &[3, 5], &[6, 6]);
    let (key, note) = (ViewKey::of(&elsewhere, p(3)).unwrap(), Note::new(b"three").unwrap());
    let head = SyncHead { view: key, total: 2, safe: 0, note };
    let mut part = |incarnation, first| {
        let from = (p(3), Incarnation::new(incarnation));
        end.receive_sync(from, Cid(8), &head, first, [7].into_iter())
    };
    assert_eq!((part(2, 0), part(2, 1)), (Received::Kept, Received::Kept), "not who is proposed");
    assert_eq!(part(1, 0), Received::Kept);
    assert_eq!(part(1, 1), Received::Counted, "its cut is whole");
    assert!(!end.complete());
    hear(&mut end, 4, 6, &View::initial(p(4)), &[0]);
    assert_eq!(end.transitional().unwrap().as_slice(), [p(1), p(2)]);
    assert!(end.agreed() == [0, 0] && end.installable(|_| 0), "cuts from elsewhere do not bound");
    let clusters = end.install().unwrap().clusters.unwrap();
    let shown: Vec<_> = clusters.iter().map(|c| (c.members, c.fresh)).collect();
    assert_eq!(shown, [(&[p(1), p(2)][..], false), (&[p(3)], false), (&[p(4)], true)]);
    let notes = [1, 2, 3, 4].map(|q| clusters.note(p(q)).unwrap());
    assert_eq!([notes[0].as_bytes(), notes[2].as_bytes()], [b"one".as_slice(), b"three"]);
    assert!(notes[1].is_empty() && notes[3].is_empty());
}

/// A joiner may still need what brought this process to the view.
#[test]
fn own_sync_with_its_note_is_kept_for_joiners() {
    let mut end = blocked_with_clusters(Rules::default());
    hear(&mut end, 3, 8, &view(4, &[3], &[6]), &[0]);
    hear(&mut end, 4, 6, &View::initial(p(4)), &[0]);
    end.install().unwrap();
    assert_eq!(end.own_sync_for(Cid(9)).unwrap().note.as_bytes(), b"one");
}

#[test]
fn group_without_clusters_tells_none() {
    let v = view(3, &[1, 2], &[1, 1]);
    let mut end = blocked(&v, &[1, 2, 3], &[0, 0]);
    hear(&mut end, 2, 7, &v, &[0, 0]);
    end.announce(view(5, &[1, 2, 3], &[9, 7, 1]));
    assert_eq!(end.install().unwrap().clusters, None);
}

/// All of a large group start at once: a process keeps the sync messages of all that are ahead.
#[test]
fn group_with_clusters_keeps_early_syncs_of_all() {
    let mut end = Automaton::new(p(1), Rules::default()).with_clusters(200);
    for q in 2..=300 {
        assert!(hear(&mut end, q, 2, &View::initial(p(q)), &[0]));
    }
    assert_eq!(end.strangers.len(), 200);
}

#[test]
fn point_7_member_from_elsewhere_has_packets_forwarded() {
    // 3 is in both views but went through another one in between: it is not in T.
    let v = view(3, &[1, 2, 3], &[1, 1, 1]);
    let elsewhere = view(4, &[3], &[6]);
    let mut end = blocked(&v, &[1, 2, 3], &[0, 0, 5]);
    hear(&mut end, 2, 7, &v, &[0, 0, 3]);
    hear(&mut end, 3, 8, &elsewhere, &[0]);
    assert!(end.forwards().is_empty(), "not before the view");
    end.announce(view(5, &[1, 2, 3], &[9, 7, 8]));
    assert_eq!(end.transitional().unwrap().as_slice(), [p(1), p(2)]);
    assert_eq!(end.forwards(), [Forward { to: 1, origin: 2, from: 4, upto: 5 }]);
    assert_eq!(end.sources(2, &end.together()).next(), None, "who has all asks nobody");
    let mut lacking = settled(2, &v);
    ask(&mut lacking, Cid(7), &set(&[1, 2, 3]));
    lacking.block_ok();
    lacking.send_sync(|r| [0, 0, 3][usize::from(r)], NOTHING).unwrap();
    hear(&mut lacking, 1, 9, &v, &[0, 0, 5]);
    hear(&mut lacking, 3, 8, &elsewhere, &[0]);
    lacking.announce(view(5, &[1, 2, 3], &[9, 7, 8]));
    assert!(lacking.forwards().is_empty());
    assert!(lacking.sources(2, &lacking.together()).eq([0]), "a holder, not the sender, is asked");
}

#[test]
fn forwards_are_sent_by_the_least_holder() {
    let v = view(3, &[1, 2, 3, 4], &[1, 1, 1, 1]);
    let mut end = settled(2, &v);
    ask(&mut end, Cid(9), &set(&[1, 2, 3]));
    end.block_ok();
    end.send_sync(|r| [0, 0, 0, 7][usize::from(r)], NOTHING).unwrap();
    hear(&mut end, 1, 5, &v, &[0, 0, 0, 4]);
    hear(&mut end, 3, 6, &v, &[0, 0, 0, 2]);
    end.announce(view(5, &[1, 2, 3], &[5, 9, 6]));
    let up_to_7 = |to, from| Forward { to, origin: 3, from, upto: 7 };
    assert_eq!(end.forwards(), [up_to_7(0, 5), up_to_7(2, 5)], "1 hands 3 and 4 to 3");
}

/// Who lacks what is known when all have said what they have.
#[test]
fn missing_sync_message_delays_forwards() {
    let v = view(3, &[1, 2, 3, 4], &[1, 1, 1, 1]);
    let mut end = blocked(&v, &[1, 2, 3], &[0, 0, 0, 5]);
    hear(&mut end, 2, 7, &v, &[0, 0, 0, 3]);
    end.announce(view(5, &[1, 2, 3], &[9, 7, 7]));
    assert!(end.comes_along(p(2)) && end.forwards().is_empty());
    hear(&mut end, 3, 7, &v, &[0, 0, 0, 5]);
    assert_eq!(end.forwards(), [Forward { to: 1, origin: 3, from: 4, upto: 5 }]);
}

#[test]
fn point_9_syncs_for_unknown_cids_are_bounded() {
    let v = view(3, &[1, 2], &[1, 1]);
    let mut end = settled(1, &v);
    for cid in 2..100 {
        assert!(hear(&mut end, 2, cid, &v, &[0, 0]));
    }
    assert_eq!(end.syncs.len(), SYNCS_MAX + 1, "and the own one");
    let far = view(1, &[7], &[1]);
    for stranger in 100..1000 {
        let mut alone = Vec::from(far.members());
        alone[0] = p(stranger);
        let its = View::new(far.id(), &alone, far.start_ids()).unwrap();
        hear(&mut end, stranger, 2, &its, &[0]);
    }
    assert!(end.syncs.len() <= SYNCS_MAX + 1 + EARLY_PROCESSES_MAX);
    ask(&mut end, Cid(9), &set(&[1, 2]));
    end.block_ok();
    end.send_sync(|_| 0, NOTHING).unwrap();
    end.announce(view(5, &[1, 2], &[9, 99]));
    assert!(end.complete(), "the early one counts");
}

/// A change that does not concern them changes nothing for processes that are ahead of the
/// membership service.
#[test]
fn point_9_start_change_keeps_syncs_of_strangers() {
    let mut end = settled(1, &view(3, &[1, 2], &[1, 1]));
    let alone = |q| View::initial(p(q));
    for q in [7, 8] {
        assert!(hear(&mut end, q, 2, &alone(q), &[0]));
    }
    ask(&mut end, Cid(9), &set(&[1, 2, 8]));
    assert_eq!(end.strangers.as_slice(), [p(7)], "8 is expected now");
    ask(&mut end, Cid(10), &set(&[1, 2]));
    assert!(end.syncs.contains_key(&(p(7), Cid(2))));
}

#[test]
fn stranger_with_many_syncs_takes_one_place() {
    let mut end = settled(1, &view(3, &[1, 2], &[1, 1]));
    let alone = |q| View::initial(p(q));
    assert!(hear(&mut end, 5000, 2, &alone(5000), &[0]));
    for cid in 2..100 {
        hear(&mut end, 5001, cid, &alone(5001), &[0]);
    }
    for q in (5001..).take(EARLY_PROCESSES_MAX - 1) {
        hear(&mut end, q, 100, &alone(q), &[0]);
    }
    assert!(end.syncs.contains_key(&(p(5000), Cid(2))), "there was room for all");
    assert!(hear(&mut end, 6000, 2, &alone(6000), &[0]));
    assert!(!end.syncs.contains_key(&(p(5000), Cid(2))), "the one that was heard first goes");
}

/// A later attachment tells them, so that cids and view numbers go on above them (M2, M6).
#[test]
fn highest_given_numbers_are_known() {
    let v = view(3, &[1, 2], &[1, 1]);
    let mut end = blocked(&v, &[1, 2], &[0, 0]);
    assert_eq!((end.last_cid(), end.last_view_id()), (Cid(9), v.id()));
    end.announce(view(5, &[1, 2], &[9, 7]));
    assert_eq!((end.last_cid(), end.last_view_id().major), (Cid(9), 5), "it need not be installed");
}

#[test]
fn point_10_previous_sync_may_count_again() {
    // 2 was never told of view 5 and is asked by view 6 for the same cid again.
    let v = view(3, &[1, 2], &[1, 1]);
    let mut end = blocked(&v, &[1, 2], &[0, 0]);
    hear(&mut end, 2, 7, &v, &[0, 0]);
    end.announce(view(5, &[1, 2], &[9, 7]));
    end.install().unwrap();
    ask(&mut end, Cid(10), &set(&[1, 2]));
    end.block_ok();
    end.send_sync(|_| 0, NOTHING).unwrap();
    end.announce(view(6, &[1, 2], &[10, 7]));
    assert!(end.complete());
    assert_eq!(end.transitional().unwrap().as_slice(), [p(1)]);
    assert!(!hear(&mut end, 2, 6, &v, &[0, 0]), "an older one does not");
}

#[test]
fn rule_6_own_sync_is_kept_for_late_requests() {
    let v = view(3, &[1, 2], &[1, 1]);
    let mut end = blocked(&v, &[1, 2], &[4, 4]);
    hear(&mut end, 2, 7, &v, &[4, 4]);
    end.announce(view(5, &[1, 2], &[9, 7]));
    end.install().unwrap();
    let kept = end.own_sync_for(Cid(9)).unwrap();
    assert_eq!((kept.view, &kept.cut), (ViewKey::of(&v, p(1)).unwrap(), &vec![4, 4]));
    assert_eq!(end.previous_cid(), Some(Cid(9)), "it goes with the view");
    end.forget_previous();
    assert!(end.own_sync_for(Cid(9)).is_none());
    assert_eq!(end.previous_cid(), None);
}

#[test]
fn cut_in_parts_counts_when_whole() {
    let v = view(3, &[1, 2, 3], &[1, 1, 1]);
    let mut end = blocked(&v, &[1, 2], &[0, 0, 0]);
    end.announce(view(5, &[1, 2], &[9, 7]));
    let key = ViewKey::of(&v, p(2)).unwrap();
    let from = (p(2), INCARNATION);
    let mut part = |first, cut: &[Seq]| {
        end.receive_sync(from, Cid(7), &head(key, 3), first, cut.iter().copied())
    };
    assert_eq!(part(1, &[2, 3]), Received::Kept);
    assert_eq!(part(1, &[8, 8]), Received::Nothing, "a sync message never changes");
    assert_eq!(part(0, &[1]), Received::Counted);
    assert_eq!(end.agreed(), [1, 2, 3]);
}

/// Two processes ran under one id, at servers that did not know of each other, and were given the
/// same cid: what the other one had said for it counted, and made a transitional set of who was
/// elsewhere (S10).
#[test]
fn two_incarnations_with_one_cid_proposed_one_counts() {
    let v = view(3, &[1, 2], &[1, 1]);
    let elsewhere = view(4, &[2], &[6]);
    let [here, there] = [&v, &elsewhere].map(|view| ViewKey::of(view, p(2)).unwrap());
    let (other, later) = (Incarnation::new(2), Incarnation::new(3));
    let told = |words: &[(Incarnation, ViewKey, &[Seq])]| {
        let mut end = blocked(&v, &[1, 2], &[0, 0]);
        end.announce(view(5, &[1, 2], &[9, 7]));
        for (incarnation, key, cut) in words {
            receive_from(&mut end, (2, *incarnation), 7, *key, cut);
        }
        end.transitional().map(|set| set.to_vec())
    };
    let (own, others): ((_, _, &[Seq]), (_, _, &[Seq])) =
        ((INCARNATION, there, &[0]), (other, here, &[0, 0]));
    assert_eq!(told(&[others]), None, "it is missing");
    assert_eq!(told(&[own]), Some(set(&[1])));
    assert_eq!(told(&[others, own]), Some(set(&[1])), "it takes the place");
    assert_eq!(told(&[own, others]), Some(set(&[1])), "it keeps it");
    // Received before anything was proposed, the later one is kept.
    let mut end = settled(1, &v);
    assert!(receive_from(&mut end, (2, other), 7, here, &[0, 0]));
    assert!(receive_from(&mut end, (2, later), 7, here, &[0, 0]));
    assert!(!receive_from(&mut end, (2, other), 7, here, &[0, 0]));
    end.start_change(Cid(9), [(p(1), INCARNATION), (p(2), later)].into_iter());
    assert!(end.ask_to_block() && end.block_ok());
    end.send_sync(|_| 0, NOTHING).unwrap();
    end.announce(view(5, &[1, 2], &[9, 7]));
    assert_eq!(end.transitional().map(|set| set.to_vec()), Some(set(&[1, 2])));
}

/// A sync message never changes: parts of two of them do not make one.
#[test]
fn contradicting_parts_are_refused() {
    let v = view(3, &[1, 2, 3], &[1, 1, 1]);
    let mut end = blocked(&v, &[1, 2], &[0, 0, 0]);
    end.announce(view(5, &[1, 2], &[9, 7]));
    let key = ViewKey::of(&v, p(2)).unwrap();
    let mut part = |view, total, first, cut: &[Seq]| {
        let from = (p(2), INCARNATION);
        end.receive_sync(from, Cid(7), &head(view, total), first, cut.iter().copied())
    };
    assert_eq!(part(key, 3, 0, &[1]), Received::Kept);
    let elsewhere = ViewKey { fingerprint: key.fingerprint ^ 1, ..key };
    assert_eq!(part(elsewhere, 3, 1, &[2, 3]), Received::Nothing, "of another view");
    assert_eq!(part(key, 4, 1, &[2, 3]), Received::Nothing, "of another length");
    assert!(!end.complete());
}

#[test]
fn s21_block_is_answered_once() {
    let mut end = settled(1, &view(3, &[1], &[1]));
    assert!(!end.block_ok(), "nobody asked");
    assert!(ask(&mut end, Cid(9), &set(&[1])));
    assert!(end.may_send());
    assert!(end.block_ok());
    assert!(!end.may_send() && !end.block_ok());
}

/// With each sync message everything was counted anew, for each stream: a view of 200 took 17 s,
/// and one of this size would not end.
#[test]
fn large_view_counts_each_sync_once() {
    let all: Vec<u64> = (1..=1024).collect();
    let v = view(3, &all, &[1; 1024]);
    let mut end = settled(1, &v);
    ask(&mut end, Cid(9), v.members());
    end.block_ok();
    end.send_sync(|_| 7, NOTHING).unwrap();
    end.announce(view(5, &all, &[9; 1024]));
    for (at, &q) in all.iter().enumerate().skip(1) {
        assert_eq!((end.complete(), end.missing().count()), (false, 1024 - at));
        assert!(hear(&mut end, q, 9, &v, &[6 + q; 1024]));
        assert_eq!(end.limits().unwrap()[0], 6 + q);
        assert!(end.sources(0, &[(at as Rank, &Cut::new(&[6 + q; 1024]))]).eq([0, at as Rank]));
    }
    assert!(end.complete() && !end.installable(|_| 7) && end.installable(|_| 6 + 1024));
    let together = end.together();
    assert!((0..1024).all(|r| end.sources(r, &together).last() == Some(1023)));
    assert_eq!(end.install().unwrap().transitional.len(), 1024);
}

/// Sync messages of those who had left were kept for ever, and took the room of early ones in the
/// end.
#[test]
fn syncs_of_departed_members_are_forgotten() {
    let mut end = Automaton::new(p(1), Rules::default());
    let alone = |q| View::initial(p(q));
    for cid in 10..1010 {
        let joiner = 100 + cid;
        ask(&mut end, Cid(cid), &set(&[1, joiner]));
        end.block_ok();
        end.send_sync(|_| 0, NOTHING).unwrap();
        assert!(hear(&mut end, joiner, 1, &alone(joiner), &[0]));
        end.announce(view(cid, &[1, joiner], &[cid, 1]));
        end.install().unwrap();
        hear(&mut end, joiner - 1, 2, &alone(joiner - 1), &[0]); // the one that left is still heard
        assert!(end.strangers.len() <= EARLY_PROCESSES_MAX);
    }
    assert!(end.syncs.len() <= 2 + EARLY_PROCESSES_MAX, "{} kept", end.syncs.len());
    assert!(hear(&mut end, 5000, 1, &alone(5000), &[0]));
    assert!(end.syncs.contains_key(&(p(5000), Cid(1))), "an early one finds room");
}

/// Four datagrams of anybody with the highest cids drove out the sync message that the view named,
/// each time it came.
#[test]
fn forged_cids_keep_the_counting_sync() {
    let v = view(3, &[1, 2], &[1, 1]);
    for announced_first in [true, false] {
        let mut end = blocked(&v, &[1, 2], &[0, 0]);
        if announced_first {
            end.announce(view(5, &[1, 2], &[9, 9]));
        }
        let far = |back| CREDIBLE_MAX - back;
        assert!(!hear(&mut end, 2, CREDIBLE_MAX + 1, &v, &[0, 0]), "nobody was given it");
        assert!((0..9).all(|back| hear(&mut end, 2, far(back), &v, &[0, 0]) || back >= 4));
        end.announce(view(5, &[1, 2], &[9, 9]));
        assert!(hear(&mut end, 2, 9, &v, &[0, 0]));
        assert!((10..20).all(|back| !end.complete() || hear(&mut end, 2, far(back), &v, &[0, 0])));
        assert!(end.complete());
        end.install().unwrap();
        assert!(end.syncs.contains_key(&(p(2), Cid(9))), "it may count once more");
    }
}

/// What the mutants of the simulator are: each leaves out its own rule, and nothing besides.
#[cfg(feature = "mutants")]
#[test]
fn mutant_leaves_out_its_rule_alone() {
    let v = view(3, &[1, 2, 3, 4], &[1, 1, 1, 1]);
    let without = |rule| {
        let mut end = Automaton { rules: Rules::without(rule), ..settled(1, &v) };
        ask(&mut end, Cid(9), &set(&[1, 2, 3]));
        assert!(end.block_ok());
        end.send_sync(|_| 5, NOTHING).unwrap();
        hear(&mut end, 2, 7, &v, &[0; 4]);
        hear(&mut end, 3, 8, &view(4, &[3], &[6]), &[0]);
        end
    };
    let next = view(5, &[1, 2, 3], &[9, 7, 8]);
    let of = |origin| Forward { to: 1, origin, from: 1, upto: 5 };

    let mut end = without(Rule::ForwardOutsideT);
    end.announce(next.clone());
    assert_eq!(end.forwards(), [of(3)], "of 4, who left, and not of 3, who came from elsewhere");
    assert!(end.sources(2, &[(1, &Cut::new(&[5; 4]))]).next().is_none());

    let mut end = without(Rule::Forwarding);
    end.announce(next.clone());
    assert!(end.complete() && end.forwards().is_empty());
    assert!(end.sources(3, &[(1, &Cut::new(&[5; 4]))]).next().is_none(), "nobody is asked, either");

    let mut end = without(Rule::CollectBelow);
    end.announce(next.clone());
    hear(&mut end, 2, 10, &v, &[0; 4]);
    end.install().unwrap();
    let kept = |cid| end.syncs.contains_key(&(p(2), Cid(cid)));
    assert!(!kept(7) && kept(10));

    let mut end = without(Rule::ExactSync);
    end.announce(view(5, &[1, 2, 3], &[9, 6, 6]));
    assert!(end.complete(), "any of theirs will do");

    let end = blocked_with_clusters(Rules::without(Rule::ClusterSyncs));
    assert!(end.complete(), "those from elsewhere are not waited for");

    let mut end = without(Rule::NoObsoleteView);
    end.announce(view(5, &[1, 2, 3], &[8, 7, 8]));
    assert!(end.matched(), "it answers an earlier change");
    let mut end = without(Rule::NoObsoleteView);
    end.announce(next);
    end.install().unwrap();
    ask(&mut end, Cid(10), &set(&[1, 2, 3]));
    assert!(!end.matched(), "but that it is in already");
}
