//! An application that receives more slowly than others send, in one group over real sockets: what
//! each policy does to it and to the others.

mod serving;

use core::time::Duration;
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use serving::{Failure, Serving, directory, fresh, read_traces, udp};
use vs_core::ident::{GroupName, ProcessId, ViewId};
use vs_core::member::server::ServerConfig;
use vs_core::trace::Event as Traced;
use vs_core::{DetachReason, WaitsFor, spec};
use vs_std::{
    Event, Group, JoinError, JoinOptions, RecvError, Role, SendError, SharedGroup, SlowReader,
};

/// Only ends a hang.
const PATIENCE: Duration = Duration::from_secs(60);
const SLOW: ProcessId = ProcessId(2);
/// Some times what an inbox and a window hold.
const MESSAGES: u64 = 4000;
const PAYLOAD: [u8; 1000] = [7; 1000];

fn serving() -> Result<Serving, Failure> {
    Serving::begin(ServerConfig::default().with_silence(PATIENCE))
}

fn name() -> GroupName {
    "readers".parse().expect("a name")
}

fn trace(id: u64, test: u8) -> PathBuf {
    directory("slow_readers").join(format!("{test}-{id}.jsonl"))
}

fn options(serving: &Serving, id: u64, test: u8) -> JoinOptions {
    let mut options = JoinOptions::new(ProcessId(id), vec![serving.addr.into()], udp(100 + test))
        .with_inbox_bytes(100_000)
        .with_outbox_bytes(10_000)
        .with_trace(fresh(trace(id, test)));
    options.group.peer_ms = 60_000;
    options.driver.node.client.server_silence_ms = 60_000;
    options.group.window_packets = Some(64);
    options.group.ack_packets = 16;
    options.group.message_bytes_max = 1 << 14;
    options
}

/// Receives up to a view of `members`.
fn see(group: &SharedGroup, members: usize) -> Result<(), Failure> {
    while group.view().len() != members || group.view().id() == ViewId::default() {
        group.recv_timeout(PATIENCE)?.ok_or("nothing came")?;
    }
    Ok(())
}

/// What the traces of both say, which keep all promises.
fn judge(test: u8) -> Vec<Traced> {
    let traces = read_traces(&[trace(1, test), trace(2, test)]);
    let report = spec::check(&traces);
    assert!(report.is_clean(), "{:#?}", report.violations);
    traces.into_iter().flat_map(|trace| trace.lines).map(|line| line.record.event).collect()
}

fn gaps(events: &[Traced]) -> u64 {
    let gap = |event: &Traced| if let Traced::Gap { messages } = event { *messages } else { 0 };
    events.iter().map(gap).sum()
}

/// A sender and a member that does not receive, which is in the view when this returns.
fn two(
    serving: &Serving,
    test: u8,
    slow: impl FnOnce(JoinOptions) -> JoinOptions,
) -> Result<(SharedGroup, SharedGroup), Failure> {
    let fast = SharedGroup::join(&name(), options(serving, 1, test))?;
    let slow = SharedGroup::join(&name(), slow(options(serving, SLOW.0, test)))?;
    see(&fast, 2)?;
    Ok((fast, slow))
}

/// Sends and receives as fast as it can; how many of its own came back.
fn flood(fast: &SharedGroup) -> Result<u64, Failure> {
    thread::scope(|scope| {
        let sends = scope.spawn(|| (0..MESSAGES).try_for_each(|_| fast.send(&PAYLOAD)));
        let mut came = 0;
        while came < MESSAGES {
            let event = fast.recv_timeout(PATIENCE)?.ok_or("nothing came")?;
            came += u64::from(matches!(event, Event::Message { .. }));
        }
        sends.join().expect("it does not panic")?;
        Ok(came)
    })
}

#[test]
fn senders_learn_whom_they_wait_for() -> Result<(), Failure> {
    let serving = serving()?;
    let (fast, slow) = two(&serving, 1, |options| options)?;
    let error = loop {
        while fast.try_recv()?.is_some() {}
        match fast.send_timeout(&PAYLOAD, Duration::from_millis(300)) {
            Ok(()) | Err(SendError::InboxFull) => {}
            Err(error) => break error,
        }
    };
    let reading = |error: &SendError| match error {
        SendError::TimedOut { waits_for: Some(WaitsFor::Reading(of)) } => of == &[SLOW],
        _ => false,
    };
    assert!(reading(&error), "{error:?}");
    assert!(error.to_string().contains("waits for {2}, which do not receive"), "{error}");
    let status = fast.inspect(|driver| driver.node().status(None)).ok_or("it has ended")?;
    let group = &status.groups.first[0];
    let [own, other] = &group.members.first[..] else { return Err("two members".into()) };
    assert_eq!((other.process, other.credit, other.lag), (SLOW, 0, 64), "{other:?}");
    assert!(other.acked >= other.stable && own.lag == 0, "{own:?} {other:?}");
    // It goes on once the other one receives.
    thread::scope(|scope| -> Result<(), Failure> {
        let reads = scope.spawn(|| slow.iter().filter(|e| matches!(e, Event::Left { .. })).count());
        fast.send(&PAYLOAD)?;
        fast.clone().leave()?;
        slow.begin_leave();
        assert_eq!(reads.join().expect("it does not panic"), 1);
        Ok(())
    })?;
    judge(1);
    Ok(())
}

#[test]
fn own_application_that_does_not_receive_is_named() -> Result<(), Failure> {
    let serving = serving()?;
    let group = SharedGroup::join(&name(), options(&serving, 1, 5))?;
    see(&group, 1)?;
    while !matches!(
        group.send_timeout(&PAYLOAD, Duration::from_millis(100)),
        Err(SendError::InboxFull)
    ) {}
    let look = group.inspect(|driver| {
        let node = driver.node();
        (node.waits_for(name().key()), node.status(None).groups.first[0].members.first[0])
    });
    let (waits_for, own) = look.ok_or("it has ended")?;
    assert_eq!(waits_for, Some(WaitsFor::Reading(vec![ProcessId(1)])));
    assert_eq!((own.credit, own.lag), (0, 64), "{own:?}");
    Ok(())
}

#[test]
fn evicted_reader_is_out_with_the_reason() -> Result<(), Failure> {
    let serving = serving()?;
    let after = Duration::from_millis(20);
    let policy = SlowReader::Evict { lag_bytes: 50_000, after };
    let (fast, slow) = two(&serving, 2, |options| options.with_slow_reader(policy))?;
    flood(&fast)?;
    see(&fast, 1)?;
    // What waited can still be received; then it is told what it missed, and why it is out.
    let (mut messages, mut missed, mut told) = (0, 0, None);
    for event in slow.iter() {
        match event {
            Event::Message { .. } => messages += 1,
            Event::Gap { messages } => missed += messages,
            Event::Detached { reason } => told = Some(reason),
            _ => {}
        }
    }
    let Some(DetachReason::SlowReader { waiting_bytes, after_ms: 20 }) = told else {
        return Err(format!("{told:?}").into());
    };
    assert!((50_000..=110_000).contains(&waiting_bytes), "{waiting_bytes}");
    assert!(messages > 0 && messages + missed < MESSAGES, "{messages} and {missed}");
    assert!(matches!(slow.recv(), Err(RecvError::Detached(DetachReason::SlowReader { .. }))));
    assert!(matches!(slow.send(b"late"), Err(SendError::Detached(_))));
    drop(fast);
    assert_eq!(gaps(&judge(2)), missed);
    Ok(())
}

#[test]
fn observer_holds_nobody_up_and_hears_of_gaps() -> Result<(), Failure> {
    let serving = serving()?;
    let (fast, observer) = two(&serving, 3, |options| options.with_role(Role::Observer))?;
    assert!(matches!(observer.send(b"me"), Err(SendError::Observer)));
    assert!(matches!(observer.try_reserve(1).map(drop), Err(SendError::Observer)));
    flood(&fast)?;
    fast.leave()?;
    let until = Instant::now() + PATIENCE;
    let (mut messages, mut missed, mut last) = (0, 0, 0);
    while messages + missed < MESSAGES {
        assert!(Instant::now() < until, "{messages} and {missed}");
        match observer.recv_timeout(PATIENCE)?.ok_or("nothing came")? {
            Event::Message { number, .. } => (messages, last) = (messages + 1, number),
            Event::Gap { messages } => missed += messages,
            _ => {}
        }
    }
    assert_eq!((messages + missed, last), (MESSAGES, MESSAGES), "the newest are there");
    assert!(missed > 0);
    observer.leave()?;
    assert_eq!(gaps(&judge(3)), missed);
    Ok(())
}

#[test]
fn handles_refuse_policies_that_they_cannot_keep() -> Result<(), Failure> {
    let serving = serving()?;
    let policy = SlowReader::Evict { lag_bytes: 1, after: Duration::ZERO };
    let refused = Group::join(&name(), options(&serving, 1, 4).with_slow_reader(policy));
    assert!(matches!(refused, Err(JoinError::SlowReader(_))), "{refused:?}");
    let mut observer = Group::join(&name(), options(&serving, 1, 4).with_role(Role::Observer))?;
    assert!(matches!(observer.send(b"me"), Err(SendError::Observer)));
    observer.leave()?;
    Ok(())
}
