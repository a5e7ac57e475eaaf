//! Handles that threads share, in one group over real sockets: what they promise beyond a blocking
//! handle.

mod serving;

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use serving::{Failure, Serving, directory, fresh, read_traces, udp};
use vs_core::DetachReason;
use vs_core::ident::{GroupName, Incarnation, ProcessId, ViewId};
use vs_core::member::server::ServerConfig;
use vs_core::spec;
use vs_std::{Event, Group, JoinOptions, RecvError, SendError, SharedGroup};

/// Only ends a hang.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_MS: u64 = 60_000;

/// A server that excludes nobody for being slow.
fn serving() -> Result<Serving, Failure> {
    Serving::begin(ServerConfig::default().with_silence(Duration::from_millis(PATIENCE_MS)))
}

fn options(serving: &Serving, id: u64, test: u8) -> JoinOptions {
    let mut options = JoinOptions::new(ProcessId(id), vec![serving.addr.into()], udp(test));
    options.group.peer_ms = PATIENCE_MS;
    options.driver.node.client.server_silence_ms = PATIENCE_MS;
    options.send_timeout = Duration::from_millis(PATIENCE_MS);
    options.group.window_packets = Some(64);
    options.group.ack_packets = 16;
    options.group.message_bytes_max = 1 << 14;
    options.trace = Some(fresh(trace(id, test)));
    options
}

fn trace(id: u64, test: u8) -> PathBuf {
    directory("shared").join(format!("{test}-{id}.jsonl"))
}

fn judge(test: u8, ids: core::ops::RangeInclusive<u64>) -> u64 {
    let files: Vec<_> = ids.map(|id| trace(id, test)).collect();
    let report = spec::check(&read_traces(&files));
    assert!(report.is_clean(), "{:#?}", report.violations);
    report.counts.sent
}

/// The next event, or a failure.
fn next(group: &SharedGroup) -> Result<Event, Failure> {
    Ok(group.recv_timeout(PATIENCE)?.ok_or("nothing came")?)
}

/// Receives up to a view of `members`.
fn see(group: &SharedGroup, members: usize) -> Result<(), Failure> {
    while group.view().len() != members || group.view().id() == ViewId::default() {
        next(group)?;
    }
    Ok(())
}

fn see_all(groups: &[SharedGroup]) -> Result<(), Failure> {
    groups.iter().try_for_each(|group| see(group, groups.len()))
}

const MEMBERS: u64 = 3;
const THREADS: u64 = 3;
/// Messages of each thread.
const MESSAGES: u64 = 1500;
const ALL: u64 = MEMBERS * THREADS * MESSAGES;

fn payload(thread: u64, n: u64) -> Vec<u8> {
    let mut payload = [thread.to_le_bytes(), n.to_le_bytes()].concat();
    // Some need several packets.
    payload.resize(if n.is_multiple_of(50) { 5000 } else { 16 + (n % 64) as usize }, 7);
    payload
}

/// Sends [`MESSAGES`] in all the ways there are, in turn.
fn send_all(group: &SharedGroup, thread: u64) {
    let mut n = 0;
    while n < MESSAGES {
        match n / 30 % 3 {
            0 => group.send(&payload(thread, n)).unwrap(),
            1 => {
                let payload = payload(thread, n);
                let mut reservation = group.reserve(payload.len() + 10).unwrap();
                reservation[..payload.len()].copy_from_slice(&payload);
                reservation.truncate(payload.len());
                reservation.commit().unwrap();
            }
            _ => {
                let end = MESSAGES.min(n + 30);
                let batch = (n..end).map(|n| payload(thread, n));
                assert_eq!(group.send_batch(batch).unwrap() as u64, end - n);
                n = end - 1;
            }
        }
        n += 1;
    }
}

type Heard = BTreeMap<ProcessId, BTreeMap<u64, (u64, u64)>>;

/// Receives until the group is left, in turn one by one and many at a time.
fn receive_all(group: &SharedGroup, heard: &Mutex<Heard>, count: &AtomicU64) {
    let mut last = BTreeMap::new();
    let mut take = |event| {
        let Event::Message { from, number, payload: bytes, .. } = event else { return };
        let before = last.insert(from, number).unwrap_or(0);
        assert!(number > before, "what one thread receives is in order");
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let (thread, n) = (word(0), word(8));
        assert_eq!(bytes, payload(thread, n));
        let twice = heard.lock().unwrap().entry(from).or_default().insert(number, (thread, n));
        assert_eq!(twice, None, "{from}'s message {number} came twice");
        count.fetch_add(1, Ordering::SeqCst);
    };
    let mut many = Vec::new();
    while let Ok(event) = group.recv() {
        take(event);
        if group.recv_many(&mut many, 20).is_err() {
            break;
        }
        many.drain(..).for_each(&mut take);
    }
}

#[test]
fn threads_share_handles_and_lose_nothing() -> Result<(), Failure> {
    let serving = serving()?;
    let name = GroupName::new("threads")?;
    let join = |id| {
        let mut options = options(&serving, id, 8);
        // Both ways are held up now and then.
        options.outbox_bytes = 20_000;
        options.inbox_bytes = 50_000;
        SharedGroup::join(&name, options)
    };
    let groups = (1..=MEMBERS).map(join).collect::<Result<Vec<_>, _>>()?;
    see_all(&groups)?;

    let heard: Vec<_> = groups.iter().map(|_| Mutex::new(Heard::new())).collect();
    let count = AtomicU64::new(0);
    thread::scope(|scope| {
        for (group, heard) in groups.iter().zip(&heard) {
            for thread in 0..THREADS {
                let (sends, receives, count) = (group.clone(), group.clone(), &count);
                scope.spawn(move || send_all(&sends, thread));
                scope.spawn(move || receive_all(&receives, heard, count));
            }
        }
        let begun = Instant::now();
        while count.load(Ordering::SeqCst) < MEMBERS * ALL && begun.elapsed() < PATIENCE {
            thread::yield_now();
        }
        groups.iter().for_each(SharedGroup::begin_leave);
    });
    for heard in heard {
        let heard = heard.into_inner()?;
        assert_eq!(heard.len() as u64, MEMBERS);
        for (from, messages) in heard {
            assert!(messages.keys().copied().eq(1..=THREADS * MESSAGES), "{from}'s numbers");
            for thread in 0..THREADS {
                let of_thread = messages.values().filter(|(t, _)| *t == thread).map(|(_, n)| *n);
                assert!(of_thread.eq(0..MESSAGES), "thread {thread} of {from}");
            }
        }
    }
    assert_eq!(judge(8, 1..=MEMBERS), ALL);
    Ok(())
}

#[test]
fn a_slow_receiver_makes_senders_wait() -> Result<(), Failure> {
    let serving = serving()?;
    let mut options = options(&serving, 1, 9);
    options.inbox_bytes = 100_000;
    options.outbox_bytes = 10_000;
    let group = SharedGroup::join(&GroupName::new("inbox")?, options)?;
    see(&group, 1)?;

    let mut sent = 0_u64;
    loop {
        match group.send_timeout(&sent.to_le_bytes().repeat(125), Duration::from_millis(20)) {
            Ok(()) => sent += 1,
            Err(SendError::InboxFull) => break,
            // The thread was slow.
            Err(SendError::TimedOut { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    println!("{sent} messages of 1000 bytes were taken with an inbox of 100000 bytes");
    // A sender that waits goes on when somebody receives.
    thread::scope(|scope| -> Result<(), Failure> {
        let waits = scope.spawn(|| group.send(&sent.to_le_bytes().repeat(125)));
        for n in 0..=sent {
            let Event::Message { payload, .. } = next(&group)? else {
                return Err("something else came".into());
            };
            assert_eq!(payload[..8], n.to_le_bytes());
        }
        waits.join().expect("it does not panic")?;
        Ok(())
    })?;
    assert_eq!(group.leave()?, 0);
    judge(9, 1..=1);
    Ok(())
}

#[test]
fn what_was_sent_before_leaving_arrives() -> Result<(), Failure> {
    const BEFORE: u64 = 5000;
    let serving = serving()?;
    let name = GroupName::new("leaving")?;
    let join = |id| SharedGroup::join(&name, options(&serving, id, 10));
    let groups = [join(1)?, join(2)?];
    see_all(&groups)?;
    let [a, b] = groups;
    let clone = a.clone();
    for n in 0..BEFORE {
        a.send(&n.to_le_bytes())?;
    }
    // The inbox holds all of these, so nobody has to receive meanwhile.
    assert_eq!(a.leave()?, 0);
    assert!(matches!(clone.send(b"late"), Err(SendError::Left)));
    assert!(matches!(clone.recv(), Err(RecvError::Left)));
    for n in 0..BEFORE {
        let Event::Message { payload, .. } = next(&b)? else {
            return Err("something else came".into());
        };
        assert_eq!(payload[..], n.to_le_bytes());
    }
    see(&b, 1)?;
    assert_eq!(b.leave()?, 0);
    assert_eq!(judge(10, 1..=2), BEFORE);
    Ok(())
}

#[test]
fn dropping_the_last_handle_is_a_crash() -> Result<(), Failure> {
    let serving = serving()?;
    let name = GroupName::new("dropped")?;
    let group = SharedGroup::join(&name, options(&serving, 1, 11))?;
    let mut other = Group::join(&name, options(&serving, 2, 11))?;
    let mut until = |wanted: &dyn Fn(&Event, usize) -> bool| -> Result<(), Failure> {
        loop {
            let event = other.recv_timeout(PATIENCE)?.ok_or("nothing came")?;
            if wanted(&event, other.view().len()) {
                return Ok(());
            }
        }
    };
    let sees = thread::scope(|scope| {
        let sees = scope.spawn(|| see(&group, 2));
        until(&|_, members| members == 2)?;
        sees.join().expect("it does not panic")
    });
    sees?;
    let clone = group.clone();
    drop(group);
    clone.send(b"the last word")?;
    drop(clone);
    until(
        &|event, _| matches!(event, Event::Message { payload, .. } if payload == "the last word"),
    )?;
    until(&|_, members| members == 1)?;
    judge(11, 1..=2);
    Ok(())
}

#[test]
fn a_lost_server_is_told() -> Result<(), Failure> {
    let serving = serving()?;
    let name = GroupName::new("lost")?;
    let join = |id| SharedGroup::join(&name, options(&serving, id, 12));
    let groups = [join(1)?, join(2)?];
    see_all(&groups)?;
    drop(serving);
    for group in &groups {
        let event = next(group)?;
        let Event::Detached { reason } = event else { return Err(format!("{event:?}").into()) };
        assert_eq!(reason, DetachReason::ServerLost);
        assert_eq!(group.inspect(|driver| driver.link_status().server), Some(None));
    }
    groups[0].send(b"still here")?;
    for group in &groups {
        assert!(matches!(next(group)?, Event::Message { payload, .. } if payload == "still here"));
    }
    assert!(groups.iter().all(|group| group.trace_error().is_none()));
    drop(groups);
    judge(12, 1..=2);
    Ok(())
}

#[test]
fn an_end_for_good_reaches_every_caller() -> Result<(), Failure> {
    let serving = serving()?;
    let name = GroupName::new("twice")?;
    let first = SharedGroup::join(&name, options(&serving, 1, 13))?;
    see(&first, 1)?;
    let mut options = options(&serving, 1, 14);
    let millis = options.driver.incarnation.millis() - PATIENCE_MS;
    options.driver.incarnation = Incarnation::new(millis);
    let group = SharedGroup::join(&name, options)?;
    thread::scope(|scope| {
        // Each of the threads that wait hears of it.
        let all = [(); 3].map(|()| scope.spawn(|| group.iter().collect::<Vec<_>>()));
        let all = all.map(|thread| thread.join().expect("it does not panic"));
        let told = Event::Detached { reason: DetachReason::DuplicateId };
        assert_eq!(all.concat(), [told], "an event is for one of them");
    });
    let refused = |error| matches!(error, SendError::Detached(DetachReason::DuplicateId));
    let ended = |error| matches!(error, RecvError::Detached(DetachReason::DuplicateId));
    assert!(ended(group.recv().unwrap_err()) && ended(group.try_recv().unwrap_err()));
    assert!(refused(group.send(b"nobody").unwrap_err()));
    assert!(refused(group.reserve(1).map(drop).unwrap_err()));
    assert!(refused(group.send_batch([b"nobody"]).unwrap_err().error));
    assert!(group.inspect(|_| ()).is_none());
    assert_eq!(group.leave()?, 0);
    assert_eq!(first.leave()?, 0);
    Ok(())
}
