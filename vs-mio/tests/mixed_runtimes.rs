//! One group of members of both runtimes over real sockets: blocking handles on threads, one with a
//! thread of its own, and a node in a mio loop.
//!
//! The story goes by views, never by time: all four members send in the view of four; then one
//! leaves; the other three send in the view of three; then one crashes; the last two send in the
//! view of two.

mod serving;

use core::net::SocketAddr;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use serving::{Failure, Serving, directory, fresh, read_traces, udp};
use vs_core::ident::{GroupName, ProcessId, ViewId};
use vs_core::member::server::ServerConfig;
use vs_core::spec::{Component, Options, Stability, check_with};
use vs_core::trace::Header;
use vs_core::{Action, Members, Sent, View};
use vs_mio::{Driver, run};
use vs_std::trace::TraceFile;
use vs_std::udp::UdpConfig;
use vs_std::{Event, Group, JoinOptions, SharedGroup};

/// Messages of each member in each view of the story.
const MESSAGES: u64 = 2000;
/// Members of both runtimes; the node in the mio loop comes last.
const MEMBERS: u64 = 4;
const LEAVER: u64 = 2;
const CRASHER: u64 = 3;
/// Only ends a hang: how long a silence counts as one, and the whole story.
const PATIENCE_MS: u64 = 120_000;

/// What a member received: the messages of each view, by sender, and with whom it came there.
#[derive(Default)]
struct Heard {
    views: BTreeMap<ViewId, InView>,
    last: Option<ViewId>,
}

#[derive(Default, PartialEq, Debug)]
struct InView {
    transitional: Vec<ProcessId>,
    messages: BTreeMap<ProcessId, Vec<Vec<u8>>>,
}

impl Heard {
    fn view(&mut self, view: &View, transitional: &[ProcessId]) {
        let entry = self.views.entry(view.id()).or_default();
        entry.transitional = transitional.to_vec();
        self.last = Some(view.id());
    }

    fn message(&mut self, from: ProcessId, number: u64, payload: &[u8]) {
        let view = self.last.and_then(|id| self.views.get_mut(&id)).expect("a view comes first");
        let messages = view.messages.entry(from).or_default();
        messages.push(payload.to_vec());
        assert_eq!(messages.len() as u64, number, "messages of {from} come in order");
    }

    /// Whether all that is sent in the present view, of `members`, has come.
    fn is_complete(&self, members: usize) -> bool {
        let view = self.last.and_then(|id| self.views.get(&id));
        let complete = |messages: &Vec<_>| messages.len() as u64 == MESSAGES;
        view.is_some_and(|view| view.messages.values().filter(|m| complete(m)).count() == members)
    }
}

/// Sends [`MESSAGES`] in each view of `next` members, then waits for smaller views.
struct Part {
    process: ProcessId,
    next: usize,
    left_to_send: u64,
    heard: Heard,
}

impl Part {
    fn new(process: ProcessId) -> Self {
        Self { process, next: MEMBERS as usize, left_to_send: 0, heard: Heard::default() }
    }

    fn view(&mut self, view: &View, transitional: &[ProcessId]) {
        self.heard.view(view, transitional);
        if view.len() == self.next {
            assert_eq!(self.left_to_send, 0, "{} had not sent all", self.process);
            self.left_to_send = MESSAGES;
            self.next -= 1;
        }
    }

    fn payload(&self) -> Vec<u8> {
        let number = MESSAGES - self.left_to_send;
        let text = format!("{} of {} to {}", number, self.process, self.next + 1);
        // Some need several packets.
        text.repeat(if number.is_multiple_of(100) { 400 } else { 1 }).into_bytes()
    }

    /// Whether everything came that is sent in the view of `members`, with which the part of this
    /// member ends.
    fn is_over(&self, members: usize) -> bool {
        self.next < members && self.left_to_send == 0 && self.heard.is_complete(members)
    }
}

/// Where everybody meets, and how many have ended.
#[derive(Clone)]
struct Place {
    group: GroupName,
    server: SocketAddr,
    udp: UdpConfig,
    traces: PathBuf,
    over: Arc<AtomicUsize>,
}

impl Place {
    fn trace(&self, id: u64) -> PathBuf {
        self.traces.join(format!("{id}.jsonl"))
    }

    fn options(&self, id: u64) -> JoinOptions {
        let servers = vec![self.server.into()];
        let mut options = JoinOptions::new(ProcessId(id), servers, self.udp.clone());
        // A slow machine excludes nobody.
        options.group.peer_ms = PATIENCE_MS;
        options.driver.node.client.server_silence_ms = PATIENCE_MS;
        options.send_timeout = Duration::from_millis(PATIENCE_MS);
        options.group.window_packets = Some(64);
        options.group.ack_packets = 16;
        options.group.message_bytes_max = 1 << 14;
        options.trace = Some(fresh(self.trace(id)));
        options
    }

    /// Whether both survivors are through, so that the traces of both end in the view of two.
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst) == 2
    }
}

fn take(part: &mut Part, event: Event) {
    match event {
        Event::Message { from, number, payload, .. } => part.heard.message(from, number, &payload),
        Event::View { view, transitional, .. } => part.view(&view, &transitional),
        event => panic!("{} was told {event:?}", part.process),
    }
}

/// A member on a thread of its own. Returns its group as long as it is a member.
fn blocking_member(place: &Place, id: u64) -> Result<(Heard, Option<Group>), Failure> {
    let mut group = Group::join(&place.group, place.options(id))?;
    let mut part = Part::new(ProcessId(id));
    let last = if id == CRASHER { 3 } else { 2 };
    while !part.is_over(last) {
        if part.left_to_send == 0 {
            let event = group.recv_timeout(Duration::from_millis(PATIENCE_MS))?;
            take(&mut part, event.ok_or("nothing came")?);
            continue;
        }
        match group.send(&part.payload()) {
            Ok(Sent::Now(_)) => part.left_to_send -= 1,
            Ok(Sent::Queued(_)) => panic!("the view of {} changed too early", part.next + 1),
            Err(error) => return Err(error.into()),
        }
        while let Some(event) = group.try_recv()? {
            take(&mut part, event);
        }
    }
    match id {
        // Dropped as it is.
        CRASHER => Ok((part.heard, None)),
        _ => {
            place.over.fetch_add(1, Ordering::SeqCst);
            while !place.is_over() {
                group.recv_timeout(Duration::from_millis(1))?;
            }
            Ok((part.heard, Some(group)))
        }
    }
}

/// The member that leaves, with a thread of its own behind the handle.
fn shared_member(place: &Place, id: u64) -> Result<(Heard, Option<Group>), Failure> {
    let group = SharedGroup::join(&place.group, place.options(id))?;
    let mut part = Part::new(ProcessId(id));
    while !part.is_over(MEMBERS as usize) {
        while part.left_to_send > 0 {
            group.send(&part.payload())?;
            part.left_to_send -= 1;
        }
        let event = group.recv_timeout(Duration::from_millis(PATIENCE_MS))?;
        take(&mut part, event.ok_or("nothing came")?);
    }
    assert_eq!(group.leave()?, 0);
    Ok((part.heard, None))
}

/// The member in the loop of vs-mio.
fn mio_member(place: &Place, id: u64) -> Result<(Heard, Driver<TraceFile>), Failure> {
    let JoinOptions { driver, group: config, .. } = place.options(id);
    let (process, incarnation) = (driver.process, driver.incarnation);
    let header = Header { process, incarnation, runtime: "mio".into() };
    let trace = TraceFile::open(&place.trace(id), &header, driver.clock.unix_offset())?;
    let mut driver = Driver::new(driver, trace)?;
    let key = driver.join(&place.group, config)?;
    let mut part = Part::new(process);
    let mut over = false;
    let begun = Instant::now();
    run(&mut driver, |driver| {
        while let Some(action) = driver.poll_action() {
            match action {
                Action::Deliver { from, number, payload, .. } => {
                    part.heard.message(from, number, payload);
                }
                Action::View { view, transitional, .. } => part.view(view, transitional),
                Action::Writable { .. } => {}
                action => panic!("the member in the loop was told {action:?}"),
            }
        }
        while part.left_to_send > 0 && driver.send(key, &part.payload()).is_ok() {
            part.left_to_send -= 1;
        }
        if part.is_over(2) && !over {
            over = true;
            place.over.fetch_add(1, Ordering::SeqCst);
        }
        let late = begun.elapsed() > Duration::from_millis(PATIENCE_MS);
        if place.is_over() || late { ControlFlow::Break(Ok(())) } else { ControlFlow::Continue(()) }
    })?;
    if !place.is_over() {
        return Err("the member in the loop did not come to its end".into());
    }
    Ok((part.heard, driver))
}

fn judge(files: &[PathBuf], group: &GroupName, survivors: &[ProcessId]) {
    let traces = read_traces(files);
    let component = Component { group: group.clone(), members: Members::from_slice(survivors) };
    let options = Options::settled(Stability { components: vec![component] });
    let report = check_with(&traces, &options);
    println!("{report}");
    assert!(report.is_clean(), "{:#?}", report.violations);
    assert_eq!(report.counts.traces, MEMBERS);
    // 4 senders in the view of 4, 3 in that of 3, 2 in that of 2.
    assert_eq!(report.counts.sent, (4 + 3 + 2) * MESSAGES);
}

/// In every view that two members share and came to together, and left together, they received the
/// same.
fn compare(heard: &[Heard]) {
    let mut shared = 0;
    for (i, a) in heard.iter().enumerate() {
        for b in &heard[i + 1..] {
            for (id, in_a) in &a.views {
                let Some(in_b) = b.views.get(id) else { continue };
                // Who goes from here to the same next view went together; the last view of both is
                // complete.
                let next = |heard: &Heard| heard.views.range(id..).nth(1).map(|(id, _)| *id);
                if next(a) == next(b) {
                    assert_eq!(in_a.messages, in_b.messages, "in view {id}");
                    shared += in_a.messages.values().map(Vec::len).sum::<usize>();
                }
            }
        }
    }
    println!("{shared} messages compared");
    // Three went on from the view of four, with four senders; two from that of three, with at least
    // their own; two are left in that of two.
    assert!(shared as u64 >= MESSAGES * (3 * 4 + 2 + 2));
}

#[test]
fn handles_and_a_mio_loop_form_one_group() -> Result<(), Failure> {
    let begun = Instant::now();
    let config = ServerConfig::default().with_silence(Duration::from_millis(PATIENCE_MS));
    let serving = Serving::begin(config)?;
    let place = Place {
        group: GroupName::new("mixed")?,
        server: serving.addr,
        udp: udp(3),
        traces: directory("mixed_runtimes"),
        over: Arc::new(AtomicUsize::new(0)),
    };
    let blocking: Vec<_> = (1..MEMBERS)
        .map(|id| {
            let place = place.clone();
            let member = if id == LEAVER { shared_member } else { blocking_member };
            thread::spawn(move || member(&place, id))
        })
        .collect();
    let (in_loop, driver) = mio_member(&place, MEMBERS)?;
    let mut heard = Vec::new();
    let mut members = Vec::new();
    for thread in blocking {
        let (one, group) = thread.join().expect("no member panics")?;
        heard.push(one);
        members.extend(group);
    }
    heard.push(in_loop);
    println!("the story took {} ms", begun.elapsed().as_millis());

    assert_eq!(members.len(), 1);
    assert_eq!(members[0].view().members(), [ProcessId(1), ProcessId(MEMBERS)]);
    assert!(members[0].trace_error().is_none());
    compare(&heard);
    let files: Vec<_> = (1..=MEMBERS).map(|id| place.trace(id)).collect();
    judge(&files, &place.group, &[ProcessId(1), ProcessId(MEMBERS)]);
    // Both survivors to the end: nobody saw the other go.
    drop((members, driver, serving));
    Ok(())
}
