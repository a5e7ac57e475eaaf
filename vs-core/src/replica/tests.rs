//! One replica, with the others played by hand.

use alloc::vec;
use alloc::vec::Vec;

use super::owned::Owned;
use super::port::Port;
use super::spool::{Written, in_memory};
use super::state::{Broken, Sink, Source, State, put_value, take_value};
use super::{
    Answer, Collected, Missing, Replica, ReplicaConfig, ReplicaEvent, ReplicaStatus, Ticket, Want,
};
use crate::endpoint::{DirectError, SendError};
use crate::ident::{Cid, ProcessId, ViewId};
use crate::order::Stage;
use crate::time::Time;
use crate::view::View;
use crate::wire::replica::{Here, Reply, Said, Standing, VERSION, Word, decode, encode};

const ALL: [ProcessId; 3] = [ProcessId(1), ProcessId(2), ProcessId(3)];
const ME: ProcessId = ProcessId(2);
const NOW: Time = Time::ZERO.plus_ms(1000);

#[derive(Debug, Default)]
struct Sum(u64);

impl State for Sum {
    type Op = u64;
    type Out = u64;

    fn apply(&mut self, op: u64) -> u64 {
        self.0 = self.0.wrapping_add(op);
        self.0
    }

    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        put_value(out, &self.0)
    }

    fn restore(input: &mut dyn Source) -> Result<Self, Broken> {
        take_value(input)?.map(Self).ok_or(Broken::new("empty"))
    }
}

/// What a replica has said.
#[derive(Debug)]
struct Sent {
    all: Vec<Vec<u8>>,
    directs: Vec<(ProcessId, Vec<u8>)>,
    direct_bytes_max: usize,
}

impl Sent {
    fn new() -> Self {
        Self { all: Vec::new(), directs: Vec::new(), direct_bytes_max: 1000 }
    }

    fn has_settled(&self) -> bool {
        self.all.iter().any(|m| matches!(decode(m), Some(Said::Settled { .. })))
    }
}

impl Port for Sent {
    fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.all.push(message.to_vec());
        Ok(())
    }

    fn send_direct(&mut self, to: ProcessId, message: &[u8]) -> Result<(), DirectError> {
        let (len, max) = (message.len(), self.direct_bytes_max);
        if len > max {
            return Err(DirectError::TooLarge { len, max });
        }
        self.directs.push((to, message.to_vec()));
        Ok(())
    }

    fn direct_bytes_max(&self) -> usize {
        self.direct_bytes_max
    }
}

fn replica() -> Replica<Sum> {
    Replica::new(ME, ReplicaConfig::new(&ALL, 7), Sum::default())
}

fn view(major: u64) -> View {
    View::new(ViewId { major, minor: 1 }, &ALL, &ALL.map(|_| Cid(major))).unwrap()
}

/// A replica that serves a new state in view 5.
fn serving() -> (Replica<Sum>, View) {
    let (mut replica, first) = (replica(), view(5));
    replica.handle_view(&first);
    gather(&mut replica, &first, [None; 3]);
    (replica, first)
}

/// A replica that serves, and has opened its session to call.
fn calling(port: &mut Sent) -> (Replica<Sum>, Ticket) {
    let (mut replica, _) = serving();
    let ticket = replica.call(&9).unwrap();
    hear(&mut replica, ME, &Said::Open { nonce: 7, first: 1 });
    replica.drive(NOW, port).unwrap();
    (replica, ticket)
}

fn standing(major: u64, at: u64) -> Standing {
    Standing { epoch: ViewId { major, minor: 1 }, at, digest: at }
}

fn hear(replica: &mut Replica<Sum>, from: ProcessId, said: &Said<'_>) {
    replica.handle_message(from, &encode(said), Stage::Regular).unwrap();
}

/// All say what they bring.
fn gather(replica: &mut Replica<Sum>, view: &View, brought: [Option<Standing>; 3]) {
    gather_at(replica, view, brought, Stage::Regular);
}

fn gather_at(
    replica: &mut Replica<Sum>,
    view: &View,
    brought: [Option<Standing>; 3],
    stage: Stage,
) {
    for (p, standing) in ALL.into_iter().zip(brought) {
        let here =
            Said::Here { view: view.fingerprint(), here: Here { version: VERSION, standing } };
        replica.handle_message(p, &encode(&here), stage).unwrap();
    }
}

/// A snapshot of an empty state.
fn snapshot() -> (Vec<u8>, u32) {
    let written = Owned::new(Sum::default()).snapshot(Written::new(in_memory(), 1 << 20));
    let mut written = written.unwrap();
    let mut bytes = alloc::vec![0; written.len() as usize];
    written.read_at(0, &mut bytes).unwrap();
    (bytes, written.sum())
}

/// A joiner whose last bytes come in the view after the one in which it asked for them, before it
/// is known there whose state counts.
fn joiner_that_gets_all_early(port: &mut Sent) -> (Replica<Sum>, View) {
    let (mut replica, first, second) = (replica(), view(5), view(6));
    replica.handle_view(&first);
    gather(&mut replica, &first, [Some(standing(4, 3)), None, Some(standing(4, 3))]);
    replica.drive(NOW, port).unwrap();
    let (donor, ask) = port.directs.pop().unwrap();
    assert!(matches!(decode(&ask), Some(Word::Ask { since: 3 })));
    let (bytes, sum) = snapshot();
    let about = Word::About { standing: standing(5, 3), len: bytes.len() as u64, sum };
    replica.handle_direct(NOW, donor, &encode(&about)).unwrap();
    replica.handle_view(&second);
    replica.drive(NOW, port).unwrap();
    let part = Word::Part { transfer: standing(5, 3).transfer(), from: 0, bytes: &bytes };
    replica.handle_direct(NOW, donor, &encode(&part)).unwrap();
    replica.drive(NOW, port).unwrap();
    (replica, second)
}

#[test]
fn a_state_that_comes_early_settles_once_decided() {
    let mut port = Sent::new();
    let (mut replica, second) = joiner_that_gets_all_early(&mut port);
    assert!(!port.has_settled(), "nobody knows yet whose state counts");
    gather(&mut replica, &second, [Some(standing(5, 3)), None, Some(standing(5, 3))]);
    replica.drive(NOW, &mut port).unwrap();
    assert_eq!(replica.status(), ReplicaStatus::Serving);
    assert!(port.has_settled());
}

#[test]
fn an_early_state_that_does_not_count_never_settles() {
    let mut port = Sent::new();
    let (mut replica, second) = joiner_that_gets_all_early(&mut port);
    gather(&mut replica, &second, [Some(standing(5, 9)), None, Some(standing(5, 9))]);
    replica.drive(NOW, &mut port).unwrap();
    assert!(matches!(replica.status(), ReplicaStatus::Joining { .. }));
    assert!(!port.has_settled(), "it says that it has the state of the view");
}

#[test]
fn a_donor_answers_in_parts_that_fit_its_datagrams() {
    let (mut port, (mut replica, _)) = (Sent::new(), serving());
    port.direct_bytes_max = 100;
    for nonce in 0..100 {
        hear(&mut replica, ProcessId(3), &Said::Open { nonce, first: 1 });
    }
    let mut ask = |word: Word<'_>| {
        replica.handle_direct(NOW, ProcessId(3), &encode(&word)).unwrap();
        replica.drive(NOW, &mut port).unwrap();
        port.directs.split_off(0)
    };
    let directs = ask(Word::Ask { since: 0 });
    let Some(Word::About { standing, len, .. }) = decode(&directs[0].1) else { panic!() };
    let transfer = standing.transfer();
    let parts = ask(Word::Range { transfer, from: 0, upto: len, part: u32::MAX });
    let bytes = parts.iter().map(|(_, part)| match decode(part) {
        Some(Word::Part { bytes, .. }) => bytes.len() as u64,
        _ => 0,
    });
    assert_eq!((bytes.sum::<u64>(), len > 300), (len, true));
}

/// A state in which another client has opened the first session, and added 9.
fn of_another_client() -> Owned<Sum> {
    let mut owned = Owned::new(Sum::default());
    let op = Sum::encode(&9_u64).unwrap();
    owned.apply(&Said::Open { nonce: 99, first: 1 }).unwrap();
    owned.apply(&Said::Op { session: 0, no: 1, done: 0, op: &op }).unwrap();
    owned.set_epoch(ViewId { major: 5, minor: 2 });
    owned
}

/// What the replica says first in a view.
fn brings(replica: &mut Replica<Sum>, port: &mut Sent) -> Option<Standing> {
    port.all.clear();
    replica.drive(NOW, port).unwrap();
    match decode(&port.all[0]) {
        Some(Said::Here { here, .. }) => here.standing,
        said => panic!("{said:?}"),
    }
}

/// In a view in which process 1 has the state `theirs`, and process 3 none, the replica takes it.
fn take(replica: &mut Replica<Sum>, port: &mut Sent, view: &View, theirs: &Owned<Sum>) {
    replica.handle_view(view);
    let mine = brings(replica, port);
    gather(replica, view, [Some(theirs.standing()), mine, None]);
    port.directs.clear();
    replica.drive(NOW, port).unwrap();
    let donor = port.directs[0].0;
    let mut written = theirs.snapshot(Written::new(in_memory(), 1 << 20)).unwrap();
    let mut bytes = alloc::vec![0; written.len() as usize];
    written.read_at(0, &mut bytes).unwrap();
    let (standing, len, sum) = (theirs.standing(), written.len(), written.sum());
    for word in [
        Word::About { standing, len, sum },
        Word::Part { transfer: standing.transfer(), from: 0, bytes: &bytes },
    ] {
        replica.handle_direct(NOW, donor, &encode(&word)).unwrap();
    }
    replica.drive(NOW, port).unwrap();
    assert!(port.has_settled());
    hear(replica, ME, &Said::Settled { view: view.fingerprint() });
    assert_eq!(replica.status(), ReplicaStatus::Serving);
}

#[test]
fn a_call_never_takes_the_answer_of_another_client() {
    let mut port = Sent::new();
    let (mut replica, ticket) = calling(&mut port);
    assert!(port.all.iter().any(|m| matches!(decode(m), Some(Said::Op { session: 0, .. }))));
    take(&mut replica, &mut port, &view(6), &of_another_client());
    assert_eq!(replica.poll_answer(), Some((ticket, Answer::Lost)));
}

#[test]
fn a_snapshot_of_a_lost_state_is_not_donated() {
    let (mut port, (mut replica, _)) = (Sent::new(), serving());
    let joiner = ProcessId(3);
    for nonce in 0..9 {
        hear(&mut replica, ME, &Said::Open { nonce, first: 1 });
    }
    let ask = |replica: &mut Replica<Sum>, port: &mut Sent| {
        port.directs.clear();
        replica.handle_direct(NOW, joiner, &encode(&Word::Ask { since: 2 })).unwrap();
        replica.drive(NOW, port).unwrap();
        match decode(&port.directs[0].1) {
            Some(Word::About { standing, .. }) => standing,
            word => panic!("{word:?}"),
        }
    };
    assert_eq!(Some(ask(&mut replica, &mut port)), replica.standing());
    take(&mut replica, &mut port, &view(6), &of_another_client());
    assert_eq!(Some(ask(&mut replica, &mut port)), replica.standing());
}

#[test]
fn a_read_is_possible_before_the_next_action() {
    let (mut port, (mut replica, _)) = (Sent::new(), serving());
    let ticket = replica.read().unwrap();
    replica.drive(NOW, &mut port).unwrap();
    hear(&mut replica, ProcessId(1), &Said::Mark { nonce: 1 });
    assert!(!replica.is_readable());
    hear(&mut replica, ME, &Said::Mark { nonce: 1 });
    assert!(replica.is_readable());
    assert_eq!(replica.poll_answer(), Some((ticket, Answer::Readable)));
    assert!(!replica.is_readable());
}

/// A replica that serves after two operations of process 1, and whose state process 3 asks for.
fn donor(port: &mut Sent) -> (Replica<Sum>, View) {
    let (mut replica, first) = serving();
    hear(&mut replica, ProcessId(1), &Said::Open { nonce: 1, first: 1 });
    add(&mut replica, 1, Stage::Regular);
    replica.handle_direct(NOW, ProcessId(3), &encode(&Word::Ask { since: 2 })).unwrap();
    port.directs.clear();
    (replica, first)
}

/// Process 1 adds `no`, in its operation of this number.
fn add(replica: &mut Replica<Sum>, no: u64, stage: Stage) {
    let op = Sum::encode(&no).unwrap();
    let said = Said::Op { session: 0, no, done: no - 1, op: &op };
    replica.handle_message(ProcessId(1), &encode(&said), stage).unwrap();
}

fn words(port: &mut Sent) -> Vec<Vec<u8>> {
    port.directs.split_off(0).into_iter().map(|(_, word)| word).collect()
}

#[test]
fn what_comes_while_a_snapshot_is_written_waits() {
    let mut port = Sent::new();
    let (mut replica, _) = donor(&mut port);
    let job = replica.poll_job().unwrap();
    add(&mut replica, 2, Stage::Regular);
    let ticket = replica.read().unwrap();
    replica.drive(NOW, &mut port).unwrap();
    hear(&mut replica, ME, &Said::Mark { nonce: 1 });
    add(&mut replica, 3, Stage::Tail);
    assert!(replica.peek().is_none() && words(&mut port).is_empty());
    replica.handle_job(job.run()).unwrap();
    assert_eq!(replica.poll_answer(), Some((ticket, Answer::Readable)));
    assert_eq!(replica.peek().unwrap().0, 3, "what nobody is promised was not read");
    assert_eq!(replica.drive(NOW, &mut port).unwrap(), None);
    assert_eq!(replica.peek().unwrap().0, 6);
    let about = words(&mut port);
    assert!(matches!(
        decode(&about[0]),
        Some(Word::About { standing: Standing { at: 2, .. }, .. })
    ));
}

#[test]
fn a_view_that_comes_while_a_snapshot_is_written_is_served_after_it() {
    let mut port = Sent::new();
    let (mut replica, _) = donor(&mut port);
    let job = replica.poll_job().unwrap();
    add(&mut replica, 2, Stage::Regular);
    let second = view(6);
    replica.handle_view(&second);
    let mine = brings(&mut replica, &mut port).unwrap();
    assert_eq!(mine.at, 3, "it brings what it holds");
    gather(&mut replica, &second, [Some(mine); 3]);
    let Some(_) = replica.call(&100).ok() else { panic!() };
    port.all.clear();
    replica.drive(NOW, &mut port).unwrap();
    assert!(port.all.is_empty(), "it may have the answer already");
    replica.handle_job(job.run()).unwrap();
    replica.drive(NOW, &mut port).unwrap();
    assert_eq!((replica.peek().unwrap().0, port.all.len()), (3, 1));
    assert_eq!(replica.standing().unwrap().epoch, second.id());
}

#[test]
fn a_joiner_is_put_off_while_its_snapshot_is_written() {
    let mut port = Sent::new();
    let (mut replica, _) = donor(&mut port);
    let job = replica.poll_job().unwrap();
    add(&mut replica, 2, Stage::Regular);
    for since in [2, 3] {
        let ask = Word::Ask { since };
        replica.handle_direct(NOW, ProcessId(3), &encode(&ask)).unwrap();
        replica.drive(NOW, &mut port).unwrap();
        assert_eq!(words(&mut port), [encode(&Word::Soon)], "asked for {since}");
    }
    replica.handle_job(job.run()).unwrap();
    replica.drive(NOW, &mut port).unwrap();
    assert_eq!(words(&mut port).len(), 1);
}

#[test]
fn one_snapshot_is_written_at_a_time() {
    let mut port = Sent::new();
    let (mut replica, _) = donor(&mut port);
    let job = replica.poll_job().unwrap();
    take(&mut replica, &mut port, &view(6), &of_another_client());
    let mut ask = |replica: &mut Replica<Sum>| {
        let word = Word::Ask { since: 0 };
        replica.handle_direct(NOW, ProcessId(3), &encode(&word)).unwrap();
        port.directs.clear();
        replica.drive(NOW, &mut port).unwrap();
        words(&mut port)
    };
    assert_eq!(ask(&mut replica), [encode(&Word::Soon)], "that of the lost state still is");
    replica.handle_job(job.run()).unwrap();
    let about = ask(&mut replica);
    let Some(Word::About { standing, .. }) = decode(&about[0]) else { panic!() };
    assert_eq!(Some(standing), replica.standing());
}

#[test]
fn a_donor_that_says_soon_is_not_given_up() {
    let (mut port, mut replica, first) = (Sent::new(), replica(), view(5));
    replica.handle_view(&first);
    gather(&mut replica, &first, [Some(standing(4, 3)), None, Some(standing(4, 3))]);
    let mut now = NOW;
    replica.drive(now, &mut port).unwrap();
    let (donor, _) = port.directs.pop().unwrap();
    for _ in 0..1000 {
        replica.handle_direct(now, donor, &encode(&Word::Soon)).unwrap();
        now = replica.drive(now, &mut port).unwrap().unwrap();
        replica.drive(now, &mut port).unwrap();
        assert_eq!(port.directs.pop(), Some((donor, encode(&Word::Ask { since: 3 }))));
    }
}

#[test]
fn donors_that_refuse_are_asked_again_later() {
    let (mut port, mut replica, first) = (Sent::new(), replica(), view(5));
    replica.handle_view(&first);
    gather(&mut replica, &first, [Some(standing(4, 3)), None, Some(standing(4, 3))]);
    replica.drive(NOW, &mut port).unwrap();
    for at in [NOW, NOW] {
        let (donor, _) = port.directs.pop().unwrap();
        replica.handle_direct(at, donor, &encode(&Word::Gone)).unwrap();
        replica.drive(at, &mut port).unwrap();
    }
    assert!(port.directs.is_empty(), "both refused");
    let later = replica.drive(NOW, &mut port).unwrap().unwrap();
    assert!(later >= NOW.plus_ms(500));
    replica.drive(later, &mut port).unwrap();
    assert_eq!(port.directs.len(), 1);
}

#[test]
fn a_member_that_cannot_be_understood_takes_no_part() {
    let (mut port, mut replica, first) = (Sent::new(), replica(), view(5));
    let stranger = ProcessId(3);
    replica.handle_view(&first);
    let id = first.fingerprint();
    let known = Here { version: VERSION, standing: Some(standing(4, 3)) };
    for p in [ProcessId(1), ME] {
        hear(&mut replica, p, &Said::Here { view: id, here: known });
    }
    assert_eq!(replica.status(), ReplicaStatus::Gathering);
    let other = Here { version: VERSION + 1, standing: None };
    hear(&mut replica, stranger, &Said::Here { view: id, here: other });
    assert_eq!(replica.poll_event(), Some(ReplicaEvent::Stranger(stranger)));
    replica.drive(NOW, &mut port).unwrap();
    assert_eq!(replica.status(), ReplicaStatus::Serving, "the others go on");
    replica.handle_message(stranger, b"\xff\xff", Stage::Regular).unwrap();
    assert_eq!(replica.poll_event(), None, "it is said once");
}

/// A replica that has an answer to a group call, and has asked the others.
fn caller(port: &mut Sent, want: Want) -> (Replica<Sum>, View, Ticket) {
    let (mut replica, first) = serving();
    let ticket = replica.collect(&7, want, 100).unwrap();
    hear(&mut replica, ME, &Said::Open { nonce: 7, first: 1 });
    replica.drive(NOW, port).unwrap();
    let op = Sum::encode(&7_u64).unwrap();
    hear(&mut replica, ME, &Said::Op { session: 0, no: 1, done: 0, op: &op });
    assert_eq!(replica.poll_answer(), None);
    port.directs.clear();
    replica.drive(NOW, port).unwrap();
    assert!(port.directs.iter().map(|(to, _)| *to).eq([ProcessId(1), ProcessId(3)]));
    (replica, first, ticket)
}

fn reply(replica: &mut Replica<Sum>, from: ProcessId, reply: Reply<'_>) {
    let word = Word::Reply { session: 0, no: 1, reply };
    replica.handle_direct(NOW, from, &encode(&word)).unwrap();
    replica.drive(NOW, &mut Sent::new()).unwrap();
}

fn collected(replica: &mut Replica<Sum>, ticket: Ticket) -> Collected<u64> {
    match replica.poll_answer() {
        Some((answered, Answer::Collected(all))) if answered == ticket => {
            all.try_map(|answer| Sum::decode(&answer)).unwrap()
        }
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn a_group_call_names_who_is_missing() {
    let mut port = Sent::new();
    let (mut replica, _, ticket) = caller(&mut port, Want::All);
    let answer = Sum::encode(&7_u64).unwrap();
    reply(&mut replica, ProcessId(3), Reply::Answer(&answer));
    let again = replica.drive(NOW, &mut port).unwrap().unwrap();
    assert_eq!(replica.poll_answer(), None, "one is missing");
    port.directs.clear();
    let late = replica.drive(again, &mut port).unwrap().unwrap();
    assert_eq!(port.directs.len(), 1, "it is asked again");
    assert!(late > again);
    replica.drive(NOW.plus_ms(100), &mut port).unwrap();
    let all = collected(&mut replica, ticket);
    assert_eq!(all.replies, [(ME, 7), (ProcessId(3), 7)]);
    assert_eq!((all.missing, all.is_enough), (vec![(ProcessId(1), Missing::Timeout)], false));
}

#[test]
fn a_group_call_says_who_left() {
    let mut port = Sent::new();
    let (mut replica, _, ticket) = caller(&mut port, Want::All);
    reply(&mut replica, ProcessId(1), Reply::Refused);
    let id = ViewId { major: 6, minor: 1 };
    let without = View::new(id, &ALL[..2], &[Cid(6), Cid(6)]).unwrap();
    replica.handle_view(&without);
    replica.drive(NOW, &mut port).unwrap();
    let all = collected(&mut replica, ticket);
    let missing = vec![(ProcessId(1), Missing::Refused), (ProcessId(3), Missing::Left)];
    assert_eq!((all.replies, all.missing), (vec![(ME, 7)], missing));
}

#[test]
fn a_group_call_waits_for_no_more_than_are_wanted() {
    for want in [Want::Majority, Want::First(2)] {
        let mut port = Sent::new();
        let (mut replica, _, ticket) = caller(&mut port, want);
        let answer = Sum::encode(&7_u64).unwrap();
        reply(&mut replica, ProcessId(1), Reply::Answer(&answer));
        let all = collected(&mut replica, ticket);
        assert_eq!((all.replies.len(), all.missing.len(), all.is_enough), (2, 0, true));
    }
}

#[test]
fn a_member_tells_its_answer() {
    let mut port = Sent::new();
    let (mut replica, _) = donor(&mut port);
    let mut ask = |no| {
        let word = Word::Question { session: 0, no };
        replica.handle_direct(NOW, ProcessId(1), &encode(&word)).unwrap();
        replica.drive(NOW, &mut port).unwrap();
        words(&mut port).into_iter().next_back()
    };
    let answer = Sum::encode(&1_u64).unwrap();
    let told = |reply| Some(encode(&Word::Reply { session: 0, no: 1, reply }));
    ask(1); // the snapshot, too
    assert_eq!(ask(1), told(Reply::Answer(&answer)));
    assert_eq!(ask(2), None, "it will come");
    let word = Word::Question { session: 9, no: 1 };
    replica.handle_direct(NOW, ProcessId(1), &encode(&word)).unwrap();
    replica.drive(NOW, &mut port).unwrap();
    let refused = Word::Reply { session: 9, no: 1, reply: Reply::Refused };
    assert_eq!(words(&mut port), [encode(&refused)]);
}

#[test]
fn a_view_served_after_the_signal_answers_nothing() {
    let mut port = Sent::new();
    let (mut replica, ticket) = calling(&mut port);
    let op = Sum::encode(&9_u64).unwrap();
    let op = encode(&Said::Op { session: 0, no: 1, done: 0, op: &op });
    replica.handle_message(ME, &op, Stage::Tail).unwrap();
    let brought = [replica.standing(); 3];
    for (major, stage) in [(6, Stage::Recorded), (7, Stage::Tail)] {
        let view = view(major);
        replica.handle_view(&view);
        gather_at(&mut replica, &view, brought, stage);
        assert_eq!((replica.status(), replica.poll_answer()), (ReplicaStatus::Serving, None));
    }
    let last = view(8);
    replica.handle_view(&last);
    let brought = [replica.standing(); 3];
    gather(&mut replica, &last, brought);
    assert_eq!(replica.poll_answer(), Some((ticket, Answer::Done(Sum::encode(&9_u64).unwrap()))));
}
