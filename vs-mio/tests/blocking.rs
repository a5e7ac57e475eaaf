//! Blocking handles and their duties: to receive what they send, and to call often enough. All
//! handles of a test are driven by its one thread, so what happens follows from whom it calls.

mod serving;

use core::ops::ControlFlow;
use core::time::Duration;
use std::path::PathBuf;
use std::time::Instant;

use serving::{Failure, Serving, directory, fresh, read_traces, udp};
use vs_core::ident::{GroupName, ProcessId};
use vs_core::member::server::ServerConfig;
use vs_core::spec;
use vs_std::{Event, EventRef, Group, JoinOptions, SendError};

/// Only ends a hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn options(serving: &Serving, id: u64, test: u8) -> JoinOptions {
    let mut options = JoinOptions::new(ProcessId(id), vec![serving.addr.into()], udp(test));
    options.trace = Some(fresh(trace(id, test)));
    options
}

fn trace(id: u64, test: u8) -> PathBuf {
    directory("blocking").join(format!("{test}-{id}.jsonl"))
}

fn judge(files: &[PathBuf]) {
    let report = spec::check(&read_traces(files));
    assert!(report.is_clean(), "{:#?}", report.violations);
}

/// Calls each of `groups` in turn, and hands over what they hear, until `done`.
fn until(
    groups: &mut [&mut Group],
    mut done: impl FnMut(&[&mut Group], usize, Option<Event>) -> bool,
) -> Result<(), Failure> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        for at in 0..groups.len() {
            let event = groups[at].recv_timeout(Duration::from_millis(1))?;
            if done(groups, at, event) {
                return Ok(());
            }
        }
    }
    Err("it did not come to that".into())
}

fn all_see(groups: &[&mut Group], members: usize) -> bool {
    groups.iter().all(|group| group.view().len() == members)
}

#[test]
fn a_full_inbox_refuses_sends_and_loses_nothing() -> Result<(), Failure> {
    let serving = Serving::begin(ServerConfig::default())?;
    let mut options = options(&serving, 1, 4);
    options.inbox_bytes = 100_000;
    let mut group = Group::join(&GroupName::new("inbox")?, options)?;
    until(&mut [&mut group], |_, _, event| matches!(event, Some(Event::View { .. })))?;

    let mut sent = 0_u64;
    let refusal = loop {
        match group.send(&sent.to_le_bytes().repeat(125)) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refusal, SendError::InboxFull), "{refusal}");
    println!("{sent} messages of 1000 bytes were taken with an inbox of 100000 bytes");
    // The inbox, and what the group itself bounds: its window.
    assert!(sent > 50);

    let mut heard = 0_u64;
    until(&mut [&mut group], |_, _, event| {
        if let Some(Event::Message { payload, .. }) = event {
            assert_eq!(payload[..8], heard.to_le_bytes());
            heard += 1;
        }
        heard == sent
    })?;
    group.send(b"there is room again")?;
    assert_eq!(group.leave()?, 0);
    judge(&[trace(1, 4)]);
    Ok(())
}

#[test]
fn a_batch_is_packed_and_delivered_in_order() -> Result<(), Failure> {
    const MESSAGES: u64 = 20_000;
    let serving = Serving::begin(ServerConfig::default())?;
    let name = GroupName::new("batch")?;
    let join = |id| {
        let mut options = options(&serving, id, 6);
        options.group.window_packets = Some(128);
        options.group.ack_packets = 32;
        options.group.message_bytes_max = 10_000;
        options.busy_poll = Duration::from_micros(50);
        Group::join(&name, options)
    };
    let (mut a, mut b) = (join(1)?, join(2)?);
    until(&mut [&mut a, &mut b], |groups, _, _| all_see(groups, 2))?;

    // Lent to one, kept by the other: in turns, since one thread drives both.
    let (mut next, mut lent, mut kept) = (0_u64, 0_u64, 0_u64);
    let begun = Instant::now();
    while lent < MESSAGES || kept < MESSAGES {
        assert!(begun.elapsed() < PATIENCE, "{next} sent, {lent} and {kept} heard");
        let turn = MESSAGES.min(next + 1000);
        while next < turn && a.try_feed(&next.to_le_bytes()).is_ok() {
            next += 1;
        }
        a.flush()?;
        a.recv_with(Duration::ZERO, |event| {
            if let EventRef::Message { payload, .. } = event {
                assert_eq!(payload, lent.to_le_bytes());
                lent += 1;
            }
            // Some hearers stop in between.
            if lent.is_multiple_of(77) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        for event in b.try_iter() {
            if let Event::Message { payload, .. } = event {
                assert_eq!(payload[..], kept.to_le_bytes());
                kept += 1;
            }
        }
    }
    let packets = a.driver().node().cast_counters(name.key()).map(|counters| counters.sent);
    println!("{MESSAGES} messages in {packets:?} packets");
    // 12 bytes of a packet each.
    assert!(packets.is_some_and(|packets| packets < MESSAGES / 50));

    assert_eq!(a.send_batch([b"one", b"two"])?, 2);
    let refused = b.send_batch([&[7; 10_000][..], &[7; 10_001], b"three"]).unwrap_err();
    assert!(matches!(refused.error, SendError::TooLarge { .. }), "{refused}");
    assert_eq!(refused.taken, 1);
    let mut lengths = Vec::new();
    until(&mut [&mut a, &mut b], |_, at, event| {
        if let (0, Some(Event::Message { payload, .. })) = (at, event) {
            lengths.push(payload.len());
        }
        lengths.len() == 3
    })?;
    lengths.sort_unstable();
    assert_eq!(lengths, [3, 3, 10_000]);
    judge(&[trace(1, 6), trace(2, 6)]);
    Ok(())
}

/// A server and two members of a group that stay silent while nobody acts: no timer ends a wait.
fn silent_pair(test: u8) -> Result<(Serving, Group, Group), Failure> {
    let patience_ms = PATIENCE.as_millis() as u64;
    let config = ServerConfig::default().with_silence(3 * PATIENCE).with_heartbeat(2 * PATIENCE);
    let serving = Serving::begin(config)?;
    let name = GroupName::new("silent")?;
    let join = |id| {
        let mut options = options(&serving, id, test);
        options.group.peer_ms = 3 * patience_ms;
        options.group.ack_ms = 2 * patience_ms;
        options.group.heartbeat_ms = 2 * patience_ms;
        options.group.heartbeat_max_ms = 2 * patience_ms;
        options.driver.node.client.server_silence_ms = 3 * patience_ms;
        options.driver.node.client.heartbeat_ms = 2 * patience_ms;
        Group::join(&name, options)
    };
    let (mut a, mut b) = (join(1)?, join(2)?);
    until(&mut [&mut a, &mut b], |groups, _, _| all_see(groups, 2))?;
    Ok((serving, a, b))
}

/// A call that sends may read what it leaves to one that receives, and then no socket becomes ready
/// for it.
#[test]
fn events_read_by_a_send_need_no_wait() -> Result<(), Failure> {
    let (_serving, mut a, mut b) = silent_pair(15)?;
    let receives: [fn(&mut Group) -> Option<Event>; 2] = [
        |group| group.recv_timeout(PATIENCE).ok()?,
        |group| {
            let mut heard = None;
            let keep = |event: EventRef<'_>| {
                heard = Some(event.into());
                ControlFlow::Break(())
            };
            group.recv_with(PATIENCE, keep).ok()?;
            heard
        },
    ];
    for receive in receives {
        // A thread that does not get its turn for long finds it in the inbox: then it begins again.
        loop {
            while a.try_recv()?.is_some() {}
            b.send(b"hello")?;
            let mut turns = 0..1000;
            while !a.driver().node().has_action() && turns.next().is_some() {
                a.flush()?;
            }
            if a.driver().node().has_action() {
                break;
            }
        }
        let begun = Instant::now();
        assert!(matches!(receive(&mut a), Some(Event::Message { .. })));
        assert!(begun.elapsed() < PATIENCE / 4, "it waited for its sockets");
    }
    Ok(())
}

#[test]
fn a_refused_sender_is_woken_by_room() -> Result<(), Failure> {
    let (_serving, mut a, mut b) = silent_pair(16)?;
    let hear = |group: &mut Group| -> Result<usize, Failure> {
        let mut heard = 0;
        loop {
            let more = group.recv_with(Duration::ZERO, |_| ControlFlow::Continue(()))?;
            if more == 0 {
                return Ok(heard);
            }
            heard += more;
        }
    };
    while a.try_feed(&[7; 1200]).is_ok() {}
    a.flush()?;
    // Nothing is left to hear, and the window is full.
    while hear(&mut a)? > 0 {}
    assert!(matches!(a.try_feed(&[7; 1200]), Err(SendError::Full)));
    assert!(hear(&mut b)? > 0);
    let begun = Instant::now();
    assert_eq!(a.recv_with(PATIENCE, |event| panic!("{event:?}"))?, 0);
    assert!(begun.elapsed() < PATIENCE / 4, "it waited for an event");
    a.send(&[7; 1200])?;
    Ok(())
}

#[test]
fn a_silent_caller_is_excluded_and_returns() -> Result<(), Failure> {
    let config = ServerConfig::default()
        .with_silence(Duration::from_millis(300))
        .with_heartbeat(Duration::from_millis(50));
    let serving = Serving::begin(config)?;
    let name = GroupName::new("silence")?;
    let join = |id| {
        let mut options = options(&serving, id, 5);
        options.driver.node.client.heartbeat_ms = 50;
        Group::join(&name, options)
    };
    let (mut a, mut b) = (join(1)?, join(2)?);
    until(&mut [&mut a, &mut b], |groups, _, _| all_see(groups, 2))?;

    until(&mut [&mut b], |groups, _, _| all_see(groups, 1))?;

    let mut told = false;
    until(&mut [&mut a, &mut b], |groups, at, event| {
        if let (0, Some(Event::Detached { reason })) = (at, event) {
            assert!(!reason.is_final(), "{reason}");
            told = true;
        }
        told && all_see(groups, 2)
    })?;
    a.send(b"back")?;
    until(&mut [&mut a, &mut b], |_, at, event| {
        at == 0 && matches!(event, Some(Event::Message { .. }))
    })?;
    judge(&[trace(1, 5), trace(2, 5)]);
    Ok(())
}
