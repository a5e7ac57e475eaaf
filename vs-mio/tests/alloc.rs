//! What the runtimes allocate in a stable view: nothing for what is lent, be it by vs-mio or by
//! vs-std, and next to nothing for payloads that the handles of vs-std keep for a while.

#[expect(dead_code, reason = "nothing is traced here")]
mod serving;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::hint::black_box;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::alloc::System;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use mio::{Events, Poll, Token};
use serving::{Failure, Serving, udp};
use vs_core::Action;
use vs_core::ident::{GroupKey, GroupName, ProcessId};
use vs_core::member::server::ServerConfig;
use vs_mio::{Driver, Tokens};
use vs_std::{Event, EventRef, Group, JoinOptions, SharedGroup};

/// Allocations of all threads while the meter runs.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static METER: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Allocations of this thread.
    static OWN: Cell<u64> = const { Cell::new(0) };
}

/// One test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// The system's allocator, counted.
struct Counting;

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if METER.load(Ordering::Relaxed) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // A thread that is being torn down has no cell any more, and does not count.
        let _ = OWN.try_with(|own| own.set(own.get() + 1));
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread while `f` ran.
fn count_own(f: impl FnOnce() -> Result<(), Failure>) -> Result<u64, Failure> {
    let before = OWN.get();
    f().map(|()| OWN.get() - before)
}

/// Allocations of all threads while `f` ran.
fn count_all(f: impl FnOnce() -> Result<(), Failure>) -> Result<u64, Failure> {
    ALLOCATIONS.store(0, Ordering::SeqCst);
    METER.store(true, Ordering::SeqCst);
    let result = f();
    METER.store(false, Ordering::SeqCst);
    result.map(|()| ALLOCATIONS.load(Ordering::SeqCst))
}

/// Only ends a hang.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_MS: u64 = 60_000;

/// A server that says nothing while a view is stable: what it would allocate for it is not of
/// interest here.
fn serving() -> Result<Serving, Failure> {
    Serving::begin(ServerConfig::default().with_silence(2 * PATIENCE).with_heartbeat(PATIENCE))
}

fn options(serving: &Serving, id: u64, test: u8) -> JoinOptions {
    let mut options = JoinOptions::new(ProcessId(id), vec![serving.addr.into()], udp(test));
    options.group.peer_ms = PATIENCE_MS;
    options.driver.node.client.server_silence_ms = 2 * PATIENCE_MS;
    options.driver.node.client.heartbeat_ms = PATIENCE_MS;
    options.send_timeout = Duration::from_millis(PATIENCE_MS);
    options
}

/// Lengths of messages, some of several packets.
const SIZES: [usize; 6] = [0, 8, 64, 300, 1400, 9000];
/// Messages of a round: bursts of each length.
const BURST: usize = 10;
const ROUNDS: usize = 200;
const MESSAGES: usize = ROUNDS * SIZES.len() * BURST;
const BYTES: u64 = (ROUNDS * BURST * (8 + 64 + 300 + 1400 + 9000)) as u64;
static PAYLOAD: [u8; 9000] = [7; 9000];

/// The two in one group.
fn pair(serving: &Serving, test: u8) -> Result<[Group; 2], Failure> {
    let name = GroupName::new("allocations")?;
    let join = |id| Group::join(&name, options(serving, id, test));
    let mut groups = [join(1)?, join(2)?];
    let begun = Instant::now();
    while groups.iter().any(|group| group.view().len() < 2) {
        assert!(begun.elapsed() < PATIENCE);
        for group in &mut groups {
            group.recv_timeout(Duration::from_millis(1))?;
        }
    }
    Ok(groups)
}

/// Lets the first of `groups` send, and both receive with `receive`, which says how many messages
/// came.
fn exchange(
    groups: &mut [Group; 2],
    receive: &mut dyn FnMut(&mut Group) -> Result<usize, Failure>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut sizes = SIZES.iter().cycle();
    for _ in 0..ROUNDS * SIZES.len() {
        let size = *sizes.next().unwrap_or(&0);
        let (mut left, mut heard) = (BURST, [0; 2]);
        while left > 0 || heard != [BURST; 2] {
            assert!(begun.elapsed() < PATIENCE, "{heard:?} came");
            while left > 0 && groups[0].try_feed(&PAYLOAD[..size]).is_ok() {
                left -= 1;
            }
            groups[0].flush()?;
            for (group, heard) in groups.iter_mut().zip(&mut heard) {
                *heard += receive(group)?;
            }
        }
    }
    Ok(())
}

fn lent(group: &mut Group) -> Result<usize, Failure> {
    let mut messages = 0;
    group.recv_with(Duration::ZERO, |event| {
        messages += usize::from(matches!(event, EventRef::Message { .. }));
        ControlFlow::Continue(())
    })?;
    Ok(messages)
}

fn kept(group: &mut Group) -> Result<usize, Failure> {
    Ok(group.try_iter().filter(|event| matches!(event, Event::Message { .. })).count())
}

#[test]
fn what_is_lent_costs_no_allocation() -> Result<(), Failure> {
    let _turn = TURN.lock();
    let serving = serving()?;
    let mut groups = pair(&serving, 20)?;
    // The inbox gets its memory, too: a thread that was not let run for long is behind, and what it
    // sends then has to be heard first.
    exchange(&mut groups, &mut kept)?;
    exchange(&mut groups, &mut lent)?;
    let allocations = count_own(|| exchange(&mut groups, &mut lent))?;
    assert_eq!(allocations, 0, "for {MESSAGES} messages at two members");
    Ok(())
}

#[test]
fn dropped_payloads_cost_almost_no_allocation() -> Result<(), Failure> {
    let _turn = TURN.lock();
    let serving = serving()?;
    let mut groups = pair(&serving, 21)?;
    exchange(&mut groups, &mut kept)?;
    let allocations = count_own(|| exchange(&mut groups, &mut kept))?;
    println!("{allocations} allocations for {MESSAGES} messages, {BYTES} bytes, at two members");
    assert!(allocations < 2 * BYTES / (16 << 10));
    Ok(())
}

/// Two nodes of vs-mio in one poll.
struct Nodes {
    poll: Poll,
    events: Events,
    nodes: [(Driver, GroupKey); 2],
}

impl Nodes {
    /// Both, in one group.
    fn new(serving: &Serving, test: u8) -> Result<Self, Failure> {
        let poll = Poll::new()?;
        let node = |id: usize| -> Result<_, Failure> {
            let JoinOptions { driver, group, .. } = options(serving, id as u64, test);
            let mut driver = Driver::new(driver, ())?;
            let key = driver.join(&GroupName::new("allocations")?, group)?;
            driver.register(poll.registry(), Tokens::from_base(Token(3 * id)))?;
            Ok((driver, key))
        };
        let nodes = [node(1)?, node(2)?];
        let mut all = Self { poll, events: Events::with_capacity(16), nodes };
        let (begun, mut sizes) = (Instant::now(), [0; 2]);
        while sizes != [2; 2] {
            assert!(begun.elapsed() < PATIENCE);
            all.turn(|at, action| {
                if let Action::View { view, .. } = action {
                    sizes[at] = view.len();
                }
            })?;
        }
        Ok(all)
    }

    /// One round of the loop; `hear` is told which node each action is of.
    fn turn(&mut self, mut hear: impl FnMut(usize, Action<'_>)) -> Result<(), Failure> {
        for (at, (driver, _)) in self.nodes.iter_mut().enumerate() {
            driver.advance();
            while let Some(action) = driver.poll_action() {
                hear(at, action);
            }
            driver.flush();
        }
        let timeouts = self.nodes.iter().filter_map(|(driver, _)| driver.timeout());
        self.poll.poll(&mut self.events, timeouts.min())?;
        for event in &self.events {
            let _ = self.nodes.iter_mut().any(|(driver, _)| driver.handle_event(event));
        }
        Ok(())
    }

    /// Lets the first one send, and both receive.
    fn exchange(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        for size in SIZES.iter().cycle().take(ROUNDS * SIZES.len()) {
            let (mut left, mut heard) = (BURST, [0; 2]);
            while left > 0 || heard != [BURST; 2] {
                assert!(begun.elapsed() < PATIENCE, "{heard:?} came");
                let (sender, key) = &mut self.nodes[0];
                while left > 0 && sender.send(*key, &PAYLOAD[..*size]).is_ok() {
                    left -= 1;
                }
                self.turn(|at, action| {
                    heard[at] += usize::from(matches!(action, Action::Deliver { .. }));
                })?;
            }
        }
        Ok(())
    }
}

#[test]
fn a_node_of_vs_mio_costs_no_allocation() -> Result<(), Failure> {
    let _turn = TURN.lock();
    let serving = serving()?;
    let mut nodes = Nodes::new(&serving, 23)?;
    nodes.exchange()?;
    let allocations = count_own(|| nodes.exchange())?;
    assert_eq!(allocations, 0, "for {MESSAGES} messages at two members");
    Ok(())
}

/// Lets a thread of the first of `groups` send, and one of each receive.
fn exchange_shared(groups: &[SharedGroup; 2]) -> Result<(), Failure> {
    let receive = |group: &SharedGroup| {
        let (mut messages, mut events) = (0, Vec::with_capacity(64));
        while messages < MESSAGES {
            group.recv_many(&mut events, 64).expect("the group lives");
            messages += events.drain(..).filter(|e| matches!(e, Event::Message { .. })).count();
        }
    };
    thread::scope(|scope| {
        for group in groups {
            scope.spawn(|| receive(group));
        }
        for size in SIZES.iter().cycle().take(ROUNDS * SIZES.len()) {
            for i in 0..BURST {
                if i % 2 == 0 {
                    groups[0].send(&PAYLOAD[..*size])?;
                } else {
                    groups[0].reserve(*size)?.commit()?;
                }
            }
        }
        Ok(())
    })
}

#[test]
fn a_shared_handle_costs_next_to_no_allocation() -> Result<(), Failure> {
    let _turn = TURN.lock();
    let serving = serving()?;
    let name = GroupName::new("allocations")?;
    let join = |id| SharedGroup::join(&name, options(&serving, id, 22));
    let groups = [join(1)?, join(2)?];
    for group in &groups {
        while group.view().len() < 2 {
            group.recv_timeout(PATIENCE)?.ok_or("no view came")?;
        }
    }
    exchange_shared(&groups)?;
    let allocations = count_all(|| exchange_shared(&groups))?;
    println!("{allocations} allocations for {MESSAGES} messages, {BYTES} bytes, at two members");
    assert!(allocations < 2 * BYTES / (16 << 10));
    Ok(())
}

/// The counter counts: else the tests above would prove nothing.
#[test]
fn meter_counts_an_allocation() -> Result<(), Failure> {
    let _turn = TURN.lock();
    let allocate = || {
        drop(black_box(Box::new(1)));
        Ok(())
    };
    assert_eq!(count_own(allocate)?, 1);
    assert!(count_all(allocate)? > 0);
    Ok(())
}
