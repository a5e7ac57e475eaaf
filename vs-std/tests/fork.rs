//! A process that forks while it is in a group: the parent's handle goes on, the child's is dead
//! and says so.

#![allow(unsafe_code, reason = "there is no safe fork")]

mod nobody;

use core::time::Duration;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::time::Instant;

use nobody::silent;
use vs_core::ident::GroupName;
use vs_core::replica::{Broken, Sink, Source, State};
use vs_std::driver::Driver;
use vs_std::trace::MaybeTrace;
use vs_std::{
    CallError, Group, JoinOptions, LeaveError, Readiness, RecvError, ReplicaEnd, ReplicaOptions,
    Replicated, SendError, SharedGroup,
};

struct Nothing;

impl State for Nothing {
    type Op = ();
    type Out = ();

    fn apply(&mut self, (): ()) {}

    fn snapshot(&self, _: &mut dyn Sink) -> Result<(), Broken> {
        Ok(())
    }

    fn restore(_: &mut dyn Source) -> Result<Self, Broken> {
        Ok(Self)
    }
}

/// How long the child may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn name() -> GroupName {
    GroupName::new("nobody").unwrap()
}

/// Runs `look` in a child; what it complains about, or nothing.
fn in_child(look: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    // SAFETY: the child runs this test alone, and ends without any destructor of the harness.
    match unsafe { libc::fork() } {
        0 => {
            let result = look();
            if let Err(why) = &result {
                eprintln!("{why}");
            }
            // SAFETY: it ends the child at once.
            unsafe { libc::_exit(i32::from(result.is_err())) }
        }
        child => {
            let until = Instant::now() + PATIENCE;
            loop {
                let mut status = 0;
                // SAFETY: the status is written to a variable that lives here.
                match unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } {
                    0 if Instant::now() < until => std::thread::yield_now(),
                    0 => {
                        // SAFETY: it is the own child, which nobody has waited for.
                        unsafe { libc::kill(child, libc::SIGKILL) };
                        return Err("the child waits for ever".into());
                    }
                    _ if status == 0 => return Ok(()),
                    _ => return Err(format!("the child ended with {status}")),
                }
            }
        }
    }
}

fn is_readable(readiness: &Readiness) -> bool {
    let mut asked = libc::pollfd { fd: readiness.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, which lives here.
    unsafe { libc::poll(&raw mut asked, 1, 0) == 1 }
}

fn expect(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn options(test: u8) -> (std::net::TcpListener, JoinOptions) {
    let (listener, server) = silent();
    (listener, nobody::options(server, test))
}

/// Both went on under one id, over the same sockets.
#[test]
fn forked_group_is_dead_in_child_alone() {
    let (listener, options) = options(31);
    let trace = std::env::temp_dir().join(format!("vs-std-fork-{}.jsonl", std::process::id()));
    let mut group = Group::join(&name(), options.with_trace(&trace)).unwrap();
    group.send(b"before").unwrap();
    let before = std::fs::read(&trace).unwrap();
    let result = in_child(|| {
        expect(matches!(group.send(b"child"), Err(SendError::Forked)), "it sends")?;
        expect(matches!(group.try_send(b"child"), Err(SendError::Forked)), "it sends again")?;
        expect(matches!(group.recv(), Err(RecvError::Forked)), "it receives")?;
        expect(matches!(group.try_recv(), Err(RecvError::Forked)), "it receives again")?;
        let said = RecvError::Forked.to_string();
        expect(said.contains("forked from the one that joined"), &said)
    });
    result.unwrap();
    assert_eq!(std::fs::read(&trace).unwrap(), before, "the trace is the parent's");
    std::fs::remove_file(&trace).unwrap();
    // What the child did has not reached the server, nor ended the connection.
    let (mut server, _) = listener.accept().unwrap();
    let mut said = Vec::new();
    server.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(server.read_to_end(&mut said).is_err(), "it is still open");
    let result =
        in_child(move || expect(matches!(group.leave(), Err(LeaveError::Forked)), "it leaves"));
    result.unwrap();
}

/// Each call that is the first one in the child notices.
#[test]
fn each_call_of_forked_group_says_so() {
    let (_listener, options) = options(32);
    let mut group = Group::join(&name(), options).unwrap();
    in_child(|| expect(matches!(group.try_recv(), Err(RecvError::Forked)), "try_recv")).unwrap();
    let (_other, options) = self::options(33);
    let mut group = Group::join(&name(), options).unwrap();
    let short = Duration::from_millis(5);
    let result = in_child(|| {
        let heard = group.recv_with(short, |_| core::ops::ControlFlow::Continue(()));
        expect(matches!(heard, Err(RecvError::Forked)), "recv_with")
    });
    result.unwrap();
}

/// The child waited for ever for a thread that is in the parent alone.
#[test]
fn forked_shared_group_is_dead_in_child_alone() {
    let (_listener, options) = options(34);
    let group = SharedGroup::join(&name(), options).unwrap();
    let clone = group.clone();
    let result = in_child(move || {
        expect(matches!(clone.recv(), Err(RecvError::Forked)), "it receives")?;
        expect(matches!(clone.try_send(b"child"), Err(SendError::Forked)), "it sends")?;
        expect(clone.inspect(|_| ()).is_none(), "it is inspected")?;
        expect(matches!(clone.leave(), Err(LeaveError::Forked)), "it leaves")
    });
    result.unwrap();
    group.try_send(b"parent").unwrap();
    // The thread takes what was sent between two questions.
    for _ in 0..2 {
        assert!(group.inspect(|_| ()).is_some(), "the parent goes on");
    }
    let result = in_child(move || {
        expect(matches!(group.send(b"child"), Err(SendError::Forked)), "it sends")?;
        drop(group);
        Ok(())
    });
    result.unwrap();
}

/// Parent and child have one eventfd: the child's end made the parent's loop spin.
#[test]
fn forked_group_leaves_the_descriptor_to_the_parent() {
    let (_listener, options) = options(37);
    let group = SharedGroup::join(&name(), options).unwrap();
    let readiness = group.readiness().unwrap();
    assert!(!is_readable(&readiness));
    let clone = group.clone();
    in_child(|| {
        expect(matches!(clone.try_recv(), Err(RecvError::Forked)), "it receives")?;
        let own = clone.readiness().map_err(|error| error.to_string())?;
        expect(is_readable(&own), "nobody tells that it is over")
    })
    .unwrap();
    assert!(!is_readable(&readiness), "the child has rung");
    group.begin_leave();
    while !is_readable(&readiness) {
        std::thread::yield_now();
    }
    // The child takes its copy of the event.
    in_child(|| expect(clone.try_recv().is_ok(), "it has no event")).unwrap();
    assert!(is_readable(&readiness), "the child has cleared it");
}

/// The child waited for ever for a thread that is in the parent alone.
#[test]
fn forked_replica_is_dead_in_child_alone() {
    let (_listener, options) = options(36);
    let replica = ReplicaOptions::new(&[options.driver.process]);
    let kv = Replicated::open(&name(), options, replica, Nothing).unwrap();
    let clone = kv.clone();
    let result = in_child(move || {
        expect(matches!(clone.call(&()), Err(CallError::Ended(_))), "it calls")?;
        expect(clone.read(|_| ()).is_err(), "it reads")?;
        expect(clone.peek(|_| ()).is_none(), "it looks")?;
        expect(matches!(clone.leave(), ReplicaEnd::Ended(_)), "it leaves")
    });
    result.unwrap();
    assert!(kv.peek(|_| ()).is_some(), "the parent goes on");
    let result = in_child(move || {
        drop(kv);
        Ok(())
    });
    result.unwrap();
}

/// A loop of the application's own finds out by asking.
#[test]
fn forked_driver_reads_and_writes_nothing() {
    let (_listener, options) = options(35);
    let mut driver = Driver::new(options.driver, MaybeTrace(None)).unwrap();
    driver.join(&name(), options.group).unwrap();
    driver.advance(|_| Ok(()));
    assert!(!driver.is_forked());
    let result = in_child(|| {
        driver.flush(|_| Ok(()));
        expect(driver.is_forked(), "flush notices")?;
        driver.advance(|_| Err(std::io::Error::other("it opens a socket")));
        expect(driver.is_forked(), "it stays so")
    });
    result.unwrap();
    driver.advance(|_| Ok(()));
    assert!(!driver.is_forked(), "the parent goes on");
}
