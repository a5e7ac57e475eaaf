//! Blocking handles and their duties: to receive what they send, and to call often enough. All handles of a test are
//! driven by its one thread, so what happens follows from whom it calls.

mod serving;

use core::time::Duration;
use std::path::PathBuf;
use std::time::Instant;

use serving::{Failure, Serving, directory, fresh, read_traces, udp};
use vs_core::ident::{GroupName, ProcessId};
use vs_core::member::server::ServerConfig;
use vs_core::spec;
use vs_std::{Event, Group, JoinOptions, SendError};

/// Only ends a hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn options(serving: &Serving, id: u64, test: u8) -> JoinOptions {
    let mut options = JoinOptions::new(ProcessId(id), vec![serving.addr], udp(test));
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
fn who_does_not_receive_cannot_send_for_ever_and_loses_nothing() -> Result<(), Failure> {
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
fn who_does_not_call_is_excluded_and_comes_back_when_it_calls() -> Result<(), Failure> {
    let config = ServerConfig { silence_ms: 300, heartbeat_ms: 50, ..ServerConfig::default() };
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
