//! A replicated state over the sockets of this host: what a handle answers, and how it ends.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;
use vs_core::GroupConfig;
use vs_core::ident::{GroupName, ProcessId};
use vs_core::replica::{
    Broken, CallRefused, OUTSTANDING_MAX, ReplicaEvent, ReplicaStatus, Sink, Source, State, Want,
    put_value, take_value,
};
use vs_std::udp::UdpConfig;
use vs_std::{CallError, JoinOptions, Pending, ReplicaEnd, ReplicaOptions, Replicated};

/// How long what is waited for may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest message of the groups.
const MESSAGE_BYTES: usize = 4_096;

fn join(test: u8, process: u64) -> JoinOptions {
    // A port that no other run on this host has at the same time.
    let port = 20_000 + (std::process::id() % 20_000) as u16;
    let multicast = SocketAddrV4::new(Ipv4Addr::new(239, 255, 76, test), port);
    let udp = UdpConfig::new(Ipv4Addr::LOCALHOST, multicast);
    let group = GroupConfig::default()
        .with_members_max(4)
        .with_message_bytes_max(MESSAGE_BYTES)
        .with_peer(Duration::from_secs(30));
    JoinOptions::without_server(ProcessId(process), udp).with_group(group)
}

fn open<S: State + Send + 'static>(
    (test, process): (u8, u64),
    primary_of: &[u64],
    hear: impl FnMut(ReplicaEvent) + Send + 'static,
    initial: S,
) -> Replicated<S> {
    let primary_of: Vec<ProcessId> = primary_of.iter().copied().map(ProcessId).collect();
    let options = ReplicaOptions::new(&primary_of).with_call_timeout(PATIENCE).with_hear(hear);
    let name: GroupName = "replicated".parse().unwrap();
    Replicated::open(&name, join(test, process), options, initial).unwrap()
}

/// Processes 1 to 3, which serve the state of all three.
fn trio<S: State + Send + 'static>(test: u8, initial: impl Fn(u64) -> S) -> [Replicated<S>; 3] {
    let all = [1, 2, 3].map(|p| open((test, p), &[1, 2, 3], |_| (), initial(p)));
    all.iter().for_each(|replica| assert!(replica.wait_until_served(PATIENCE).unwrap()));
    all
}

/// What was said, in order. An operation is a number and bytes, and its answer is its place.
#[derive(Debug, Default)]
struct List {
    entries: Vec<u64>,
    /// What belongs to this process alone.
    own: Own,
}

#[derive(Debug, Default)]
struct Own {
    /// It cannot be written.
    fails: bool,
    /// To write it takes until the other end is gone.
    slow: Option<Mutex<mpsc::Receiver<()>>>,
    /// Lives as long as the state.
    _alive: Option<Arc<()>>,
}

/// This operation takes a while.
const SLOW: u64 = 1_000_000;

/// A fault of the application.
const FATAL: u64 = 1_000_001;

impl State for List {
    type Op = (u64, Vec<u8>);
    type Out = u64;

    fn apply(&mut self, (number, _): Self::Op) -> u64 {
        if number == SLOW {
            let until = Instant::now() + Duration::from_millis(100);
            while Instant::now() < until {
                thread::yield_now();
            }
        }
        assert_ne!(number, FATAL);
        self.entries.push(number);
        self.entries.len() as u64
    }

    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        if self.own.fails {
            return Err(Broken::new("the disk is on fire"));
        }
        if let Some(slow) = &self.own.slow {
            let _ = slow.lock().unwrap().recv();
        }
        put_value(out, &self.entries)
    }

    fn restore(input: &mut dyn Source) -> Result<Self, Broken> {
        let entries = take_value(input)?.ok_or(Broken::new("empty"))?;
        Ok(Self { entries, own: Own::default() })
    }
}

fn list(_: u64) -> List {
    List::default()
}

fn entries(replica: &Replicated<List>) -> Vec<u64> {
    replica.read(|list| list.entries.clone()).unwrap()
}

/// Waits until `holds`.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn three_handles_call_read_and_peek() {
    let all = trio(1, list);
    for (i, replica) in (1..).zip(&all) {
        assert_eq!(replica.call(&(i, Vec::new())).unwrap(), i);
        all.iter().for_each(|other| assert_eq!(entries(other).len() as u64, i));
    }
    for replica in &all {
        let look = || replica.peek(|list| list.map(|list| list.entries.clone())).unwrap();
        eventually("all copies have it", || look() == Some(vec![1, 2, 3]));
    }

    // Answers are waited for in another order than they were asked for.
    let [one, ..] = &all;
    let asked: Vec<_> = (4..=53).map(|n| one.begin(&(n, vec![7; 100])).unwrap()).collect();
    let places: Vec<u64> = asked.into_iter().rev().map(|p| p.wait(PATIENCE).unwrap()).collect();
    assert_eq!(places, (4..=53).rev().collect::<Vec<_>>());
    assert_eq!(entries(&all[2]), (1..=53).collect::<Vec<_>>());
}

#[test]
fn too_much_is_refused_and_the_next_works() {
    let [one, two, _three] = trio(2, list);
    let long = one.begin(&(2, vec![0; 2 * MESSAGE_BYTES])).unwrap();
    let next = one.begin(&(3, Vec::new())).unwrap();
    assert!(matches!(long.wait(PATIENCE), Err(CallError::TooLarge)));
    assert_eq!(next.wait(PATIENCE).unwrap(), 1);
    let exact = one.call(&(4, vec![0; MESSAGE_BYTES - 4])).unwrap_err();
    assert!(exact.to_string().contains("message_bytes_max"), "{exact}: no room for the session");
    assert_eq!(one.call(&(5, vec![0; MESSAGE_BYTES - 100])).unwrap(), 2);

    // The slow one holds up those behind it.
    let slow = two.begin(&(SLOW, Vec::new())).unwrap();
    let more = (0..2 * OUTSTANDING_MAX as u64).map(|n| two.begin(&(n, Vec::new())).unwrap());
    let more: Vec<_> = more.collect();
    assert_eq!(slow.wait(PATIENCE).unwrap(), 3);
    let answers: Vec<_> = more.into_iter().map(|pending| pending.wait(PATIENCE)).collect();
    let is_refused = |answer: &&Result<u64, CallError<u64>>| {
        matches!(answer, Err(CallError::Refused(CallRefused::TooMany)))
    };
    let refused = answers.iter().filter(is_refused).count();
    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(refused > 0 && refused + done == answers.len(), "{refused} and {done}");
    assert_eq!(entries(&one).len(), done + 3);
}

#[test]
fn an_unknown_call_is_answered_once_later() {
    let [one, two, _three] = trio(3, list);
    let CallError::Unknown(pending) =
        one.begin(&(SLOW, Vec::new())).unwrap().wait(Duration::from_millis(1)).unwrap_err()
    else {
        panic!("it takes longer")
    };
    assert_eq!(pending.wait(PATIENCE).unwrap(), 1);
    // What nobody waits for is carried out all the same.
    drop(one.begin(&(2, Vec::new())).unwrap());
    assert_eq!(one.call(&(3, Vec::new())).unwrap(), 3);
    assert_eq!(entries(&two), [SLOW, 2, 3]);
}

/// Calls and looks at itself in `apply`.
#[derive(Default)]
struct Inward {
    own: Arc<Mutex<Option<Replicated<Inward>>>>,
}

impl State for Inward {
    type Op = u8;
    type Out = Vec<String>;

    fn apply(&mut self, _: u8) -> Vec<String> {
        let own = self.own.lock().unwrap();
        let Some(own) = &*own else { return Vec::new() };
        let called = own.call(&1).map(drop).unwrap_err();
        let read = own.read(|_| ()).unwrap_err();
        vec![format!("{called:?}"), format!("{read:?}"), format!("{:?}", own.peek(|_| ()))]
    }

    fn snapshot(&self, _: &mut dyn Sink) -> Result<(), Broken> {
        Ok(())
    }

    fn restore(_: &mut dyn Source) -> Result<Self, Broken> {
        Ok(Self::default())
    }
}

#[test]
fn a_call_inside_apply_is_refused() {
    let own = Arc::default();
    let only = open((4, 1), &[1], |_| (), Inward { own: Arc::clone(&own) });
    *own.lock().unwrap() = Some(only.clone());
    assert!(only.wait_until_served(PATIENCE).unwrap());
    let told = only.call(&0).unwrap();
    assert!(told[..2].iter().all(|told| told.contains("would wait for itself")), "{told:?}");
    assert_eq!(told[2], "None");
    own.lock().unwrap().take();
    assert!(matches!(only.leave(), ReplicaEnd::Left));
}

#[test]
fn a_handle_is_used_where_it_hears() {
    let (send, heard) = mpsc::channel();
    let own = Arc::<Mutex<Option<Replicated<List>>>>::default();
    let inside = Arc::clone(&own);
    let hear = move |event| {
        if let (ReplicaEvent::Waiting(_), Some(own)) = (event, &*inside.lock().unwrap()) {
            let served = own.wait_until_served(PATIENCE).unwrap();
            let recovered = own.recover().is_ok();
            let left = matches!(own.clone().leave(), ReplicaEnd::Left);
            send.send((served, recovered, left)).unwrap();
        }
    };
    let only = {
        let mut own = own.lock().unwrap();
        own.insert(open((5, 1), &[1, 2], hear, List::default())).clone()
    };
    // Nothing waits for itself: the other one is still to come.
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), (false, true, true));
    eventually("it leaves then", || matches!(only.end(), Some(ReplicaEnd::Left)));
    own.lock().unwrap().take();
}

#[test]
fn an_answer_is_not_waited_for_inside() {
    let (send, heard) = mpsc::channel();
    let asked = Arc::new(Mutex::new(None));
    let inside = Arc::clone(&asked);
    let hear = move |event| {
        let pending = inside.lock().unwrap().take();
        if let (ReplicaEvent::Applied { .. }, Some(pending)) = (event, pending) {
            send.send(Pending::wait(pending, PATIENCE)).unwrap();
        }
    };
    let mut options = ReplicaOptions::new(&[ProcessId(1)]).with_hear(hear);
    options.replica.applied = true;
    let name: GroupName = "replicated".parse().unwrap();
    let only = Replicated::open(&name, join(10, 1), options, List::default()).unwrap();
    assert!(only.wait_until_served(PATIENCE).unwrap());
    {
        let mut asked = asked.lock().unwrap();
        *asked = Some(only.begin(&(SLOW, Vec::new())).unwrap());
    }
    let told = heard.recv_timeout(PATIENCE).unwrap();
    let Err(CallError::Unknown(pending)) = told else { panic!("{told:?}") };
    assert_eq!(pending.wait(PATIENCE).unwrap(), 1);
}

#[test]
fn a_panic_in_apply_is_told() {
    let only = open((9, 1), &[1], |_| (), List::default());
    assert!(only.wait_until_served(PATIENCE).unwrap());
    let behind = only.begin(&(FATAL, Vec::new())).and_then(|_| only.begin(&(1, Vec::new())));
    let Err(CallError::Ended(end)) = behind.and_then(|pending| pending.wait(PATIENCE)) else {
        panic!("it goes on")
    };
    assert!(end.to_string().contains("panicked, in apply"), "{end}");
    assert!(matches!(only.call(&(2, Vec::new())), Err(CallError::Ended(_))));
}

/// Counts operations; what they are made of differs from version to version.
#[derive(Default)]
struct Versioned<Op>(u64, core::marker::PhantomData<Op>);

impl<Op: Serialize + DeserializeOwned> State for Versioned<Op> {
    type Op = Op;
    type Out = u64;

    fn apply(&mut self, _: Op) -> u64 {
        self.0 += 1;
        self.0
    }

    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        put_value(out, &self.0)
    }

    fn restore(input: &mut dyn Source) -> Result<Self, Broken> {
        let count = take_value(input)?.ok_or(Broken::new("empty"))?;
        Ok(Self(count, core::marker::PhantomData))
    }
}

#[test]
fn another_version_ends_and_others_go_on() {
    let new = |p| open((6, p), &[1, 2, 3], |_| (), Versioned::<(u64, String)>::default());
    let (one, two) = (new(1), new(2));
    let old = open((6, 3), &[1, 2, 3], |_| (), Versioned::<u8>::default());
    assert!(one.wait_until_served(PATIENCE).unwrap() && old.wait_until_served(PATIENCE).unwrap());
    assert_eq!(one.call(&(500, "what old ones do not know".into())).unwrap(), 1);
    eventually("the old one ends", || old.end().is_some());
    let end = old.end().unwrap();
    assert!(matches!(end, ReplicaEnd::Broken(_)));
    assert!(end.to_string().contains("the same version of the application"), "{end}");
    assert!(matches!(old.call(&1), Err(CallError::Ended(ReplicaEnd::Broken(_)))));
    assert!(old.peek(|_| ()).is_none());
    assert_eq!(two.call(&(501, String::new())).unwrap(), 2);
    assert_eq!(one.read(|state| state.0).unwrap(), 2);
}

#[test]
fn a_donor_that_fails_is_replaced() {
    let (send, heard) = mpsc::channel();
    let tell = |p: u64| {
        let send = send.clone();
        move |event| send.send((p, event)).unwrap()
    };
    let fails = List { own: Own { fails: true, ..Own::default() }, ..List::default() };
    let one = open((7, 1), &[1, 2], tell(1), List::default());
    let two = open((7, 2), &[1, 2], tell(2), fails);
    assert!(two.wait_until_served(PATIENCE).unwrap());
    assert_eq!(two.call(&(5, Vec::new())).unwrap(), 1);
    let three = open((7, 3), &[1, 2], tell(3), List::default());
    assert!(three.wait_until_served(PATIENCE).unwrap());
    assert_eq!(entries(&three), [5]);
    assert_eq!(three.call(&(6, Vec::new())).unwrap(), 2);
    assert_eq!(entries(&one), [5, 6]);
    let heard: Vec<_> = heard.try_iter().collect();
    let failed = heard.iter().any(|(p, event)| {
        *p == 2 && matches!(event, ReplicaEvent::SnapshotFailed(why) if why.0.contains("on fire"))
    });
    let restored = heard.iter().any(|(p, event)| {
        *p == 3 && matches!(event, ReplicaEvent::Restored { from: ProcessId(1), .. })
    });
    assert!(failed && restored, "{heard:?}");
}

#[test]
fn a_snapshot_that_takes_long_holds_nobody_up() {
    let (written, slow) = mpsc::channel();
    let own = Own { slow: Some(Mutex::new(slow)), ..Own::default() };
    let one = open((12, 1), &[1, 2], |_| (), List::default());
    let two = open((12, 2), &[1, 2], |_| (), List { own, ..List::default() });
    assert!(two.wait_until_served(PATIENCE).unwrap());
    assert_eq!(two.call(&(1, Vec::new())).unwrap(), 1);
    let three = open((12, 3), &[1, 2], |_| (), List::default());
    let is_coming = || matches!(three.status(), ReplicaStatus::Joining { of: None, .. });
    eventually("the state is on its way", is_coming);
    for n in 2..=20 {
        assert_eq!(one.call(&(n, Vec::new())).unwrap(), n, "process 2 does not apply it yet");
    }
    let pending = two.begin(&(21, Vec::new())).unwrap();
    assert!(is_coming());
    drop(written);
    assert_eq!(pending.wait(PATIENCE).unwrap(), 21);
    assert!(three.wait_until_served(PATIENCE).unwrap());
    for replica in [&one, &two, &three] {
        assert_eq!(entries(replica), (1..=21).collect::<Vec<_>>());
    }
}

#[test]
fn a_group_call_hears_all_members() {
    let [one, two, three] = trio(13, list);
    let within = Duration::from_secs(30);
    let all = two.collect(&(7, Vec::new()), Want::All, within).unwrap();
    assert_eq!(all.replies, [1, 2, 3].map(|p| (ProcessId(p), 1)));
    assert!(all.is_enough && all.missing.is_empty());
    let some = one.collect(&(8, Vec::new()), Want::Majority, within).unwrap();
    assert!(some.is_enough && some.replies.len() >= 2);
    assert_eq!(one.call(&(9, Vec::new())).unwrap(), 3);
    assert!(matches!(three.leave(), ReplicaEnd::Left));
    let of_four = two.collect(&(10, Vec::new()), Want::First(4), within).unwrap();
    assert!(!of_four.is_enough, "{of_four:?}");
    assert_eq!(of_four.replies.len(), 2, "{of_four:?}");
}

#[test]
fn leave_and_drop_end_the_thread() {
    let alive = [1, 2, 3].map(|_| Arc::new(()));
    let initial = |p: u64| {
        let own = Own { _alive: Some(Arc::clone(&alive[p as usize - 1])), ..Own::default() };
        List { own, ..List::default() }
    };
    let [one, two, three] = trio(8, initial);
    let threads = || alive.each_ref().map(|alive| Arc::strong_count(alive) - 1);
    assert_eq!(threads(), [1, 1, 1]);
    let clone = three.clone();
    let pending = clone.begin(&(1, Vec::new())).unwrap();
    assert_eq!(pending.wait(PATIENCE).unwrap(), 1);
    assert!(matches!(three.leave(), ReplicaEnd::Left));
    assert!(matches!(clone.call(&(2, Vec::new())), Err(CallError::Ended(ReplicaEnd::Left))));
    assert!(matches!(clone.end(), Some(ReplicaEnd::Left)));
    assert_eq!(threads(), [1, 1, 0]);
    assert_eq!(one.call(&(3, Vec::new())).unwrap(), 2);
    let clone = two.clone();
    drop(two);
    assert_eq!(threads(), [1, 1, 0], "there is another handle");
    drop(clone);
    assert_eq!(threads(), [1, 0, 0]);
    drop(one);
    assert_eq!(threads(), [0, 0, 0]);
}
