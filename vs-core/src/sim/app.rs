//! Applications: what runs on top of a simulated process.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use crate::endpoint::{Action, BlockOkError, DirectError, NoteError, SendError, Sent};
use crate::ident::{GroupKey, ProcessId};
use crate::node::Node;
use crate::replica::{NodePort, Port};
use crate::rng::Rng;
use crate::sim::load::Load;
use crate::sim::notes::Notes;
use crate::sim::recorder::Recorder;
use crate::sim::scenario::ProcessPlan;
use crate::time::Time;
use crate::trace::Event;
use crate::view::{Note, View};

/// What runs on top of a process. It hears actions, and then it may act: a node lends its payloads,
/// so the two cannot be one call.
pub trait Application {
    /// A group was joined. Called once for each incarnation and group, before any action of the
    /// group.
    fn handle_joined(&mut self, _group: GroupKey) {}

    /// The node hands out an action.
    fn handle_action(&mut self, now: Time, action: &Action<'_>);

    /// Called after each action, and at the time that the last call returned. Returns when to be
    /// called again.
    fn act(&mut self, handle: &mut Handle<'_>) -> Option<Time>;

    /// Whether it takes actions now. While it does not, they wait in the node, and the senders
    /// wait.
    fn is_hearing(&self) -> bool {
        true
    }

    /// The process is gone; what is not on stable storage is lost.
    fn handle_crash(&mut self) {}

    /// A scenario asks for `n` more messages ([`Step::Send`](crate::sim::Step::Send)).
    /// [`Application::act`] follows at once.
    fn say(&mut self, _n: u64) {}

    /// Whether no message of the application waits for room in `group`. A scenario runs until this
    /// holds.
    fn is_drained(&self, _group: GroupKey) -> bool {
        true
    }

    /// What has to be the same at all who go together from one view of `group` to the next, for
    /// people to read. It is asked for when a view comes, before the application is told of it, and
    /// when a scenario has settled: [`World::disagreement`](crate::sim::World::disagreement).
    /// `None` if nothing has to be so just then.
    fn common_state(&self, _group: GroupKey) -> Option<String> {
        None
    }

    /// A fault that the application saw. A scenario fails with it.
    fn complaint(&self) -> Option<&str> {
        None
    }
}

/// Takes every action and sends nothing.
impl Application for () {
    fn handle_action(&mut self, _: Time, _: &Action<'_>) {}

    fn act(&mut self, _: &mut Handle<'_>) -> Option<Time> {
        None
    }
}

/// Messages that an application may send in one instant; then it is taken to send without end.
/// Alone in its view it hears each at once, and no window stops it.
pub(crate) const INSTANT_SENDS_MAX: usize = 50_000;

/// The commands that an application has.
#[derive(Debug)]
pub struct Handle<'a> {
    pub(crate) now: Time,
    /// Messages that the application has sent in this instant.
    pub(crate) sends: &'a mut usize,
    pub(crate) node: &'a mut Node<Recorder>,
}

impl Handle<'_> {
    /// The time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Sends, as [`Node::send`]. After 50 000 messages in one instant the message is refused, and
    /// the run ends with [`Defect::EndlessSends`](crate::sim::Defect::EndlessSends).
    ///
    /// # Errors
    /// As [`Node::send`].
    pub fn send(&mut self, group: GroupKey, payload: &[u8]) -> Result<Sent, SendError> {
        if *self.sends >= INSTANT_SENDS_MAX {
            return Err(SendError::WindowFull);
        }
        let sent = self.node.send(self.now, group, payload)?;
        *self.sends += 1;
        Ok(sent)
    }

    /// Sends the messages of `queue`, the first one first, each as the bytes that `encode` makes of
    /// it, and leaves there what finds no room.
    pub fn send_queued<M>(
        &mut self,
        group: GroupKey,
        queue: &mut VecDeque<M>,
        encode: impl Fn(&M) -> Vec<u8>,
    ) {
        while queue.front().is_some_and(|message| self.send(group, &encode(message)).is_ok()) {
            queue.pop_front();
        }
    }

    /// Sends to one member, as [`Node::send_direct`].
    ///
    /// # Errors
    /// As [`Node::send_direct`].
    pub fn send_direct(
        &mut self,
        group: GroupKey,
        to: ProcessId,
        message: &[u8],
    ) -> Result<(), DirectError> {
        self.node.send_direct(self.now, group, to, message)
    }

    /// The next message to this member alone, as [`Node::poll_direct`].
    /// [`Application::act`] is called when there are some, and drops those that it does not take.
    pub fn poll_direct(&mut self, group: GroupKey) -> Option<(ProcessId, &[u8])> {
        self.node.poll_direct(group)
    }

    /// What a [`crate::replica::Replica`] needs of the group.
    pub fn port(&mut self, group: GroupKey) -> impl Port {
        HandlePort { handle: Handle { now: self.now, sends: self.sends, node: self.node }, group }
    }

    /// The most bytes of a message to one member, as [`Node::direct_bytes_max`].
    #[must_use]
    pub fn direct_bytes_max(&self, group: GroupKey) -> usize {
        self.node.direct_bytes_max(group)
    }

    /// Answers a block request, as [`Node::block_ok`].
    ///
    /// # Errors
    /// As [`Node::block_ok`].
    pub fn block_ok(&mut self, group: GroupKey) -> Result<(), BlockOkError> {
        self.node.block_ok(self.now, group)
    }

    /// Sets the note of this process, as [`Node::set_note`].
    ///
    /// # Errors
    /// As [`Node::set_note`].
    pub fn set_note(&mut self, group: GroupKey, note: Note) -> Result<(), NoteError> {
        self.node.set_note(group, note)
    }

    /// The current view of the group.
    #[must_use]
    pub fn view(&self, group: GroupKey) -> Option<&View> {
        self.node.view(group)
    }
}

/// A group, as a replica needs it.
struct HandlePort<'a> {
    handle: Handle<'a>,
    group: GroupKey,
}

impl Port for HandlePort<'_> {
    fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.handle.send(self.group, message).map(drop)
    }

    fn send_direct(&mut self, to: ProcessId, message: &[u8]) -> Result<(), DirectError> {
        self.handle.send_direct(self.group, to, message)
    }

    fn direct_bytes_max(&self) -> usize {
        self.handle.direct_bytes_max(self.group)
    }

    fn is_traced(&self) -> bool {
        true
    }

    fn record(&mut self, event: Event) {
        let Handle { now, ref mut node, .. } = self.handle;
        NodePort { node: &mut **node, group: self.group, now }.record(event);
    }
}

/// Most messages that [`Traffic`] holds back while its sends are refused.
const BACKLOG_MAX: usize = 16;

/// Above this an impostor counts its messages: it does not know how far the process has come whose
/// id it has.
const IMPOSTOR_COUNTER: u64 = 1 << 63;

#[derive(Debug)]
struct GroupTraffic {
    group: GroupKey,
    /// Refused messages, to be tried again.
    backlog: VecDeque<Vec<u8>>,
    /// A send was refused and nothing has been said since.
    refused: bool,
    block_ok_at: Option<Time>,
    /// Whether a new note is to be handed in.
    note_due: bool,
    /// Number of the last message delivered from each sender in the current view.
    numbers: Vec<(ProcessId, u64)>,
    /// Counter in the last numbered payload of each sender, over all views; an impostor is another
    /// sender.
    counters: Vec<((ProcessId, bool), u64)>,
}

/// Sends messages of random sizes at random times, and checks each byte that it receives.
#[derive(Debug)]
pub struct Traffic {
    process: ProcessId,
    load: Load,
    rng: Rng,
    counter: u64,
    extra: u64,
    send_at: Option<Time>,
    groups: Vec<GroupTraffic>,
    notes: Notes,
    complaint: Option<String>,
}

impl Traffic {
    /// Traffic of `process`.
    #[must_use]
    pub fn new(process: ProcessId, load: Load, seed: u64) -> Self {
        Self {
            process,
            load,
            rng: Rng::new(seed),
            counter: 0,
            extra: 0,
            send_at: None,
            groups: Vec::new(),
            notes: Notes::new(process, 0),
            complaint: None,
        }
    }

    /// Traffic of the process of a plan.
    #[must_use]
    pub fn of(plan: &ProcessPlan, seed: u64) -> Self {
        let counter = if plan.impostor { IMPOSTOR_COUNTER } else { 0 };
        let traffic = Self::new(plan.id, plan.load, seed ^ plan.id.0 ^ counter);
        Self { counter, notes: Notes::new(plan.id, counter), ..traffic }
    }

    fn length(&mut self) -> usize {
        let max = match self.rng.below(100) {
            0..80 => 64,
            80..96 => 512,
            _ => self.load.bytes_max,
        };
        // An empty message is a message, too.
        self.rng.below(max.min(self.load.bytes_max) + 1) as usize
    }

    fn message(&mut self) -> Vec<u8> {
        self.counter += 1;
        let len = self.length();
        let mut bytes = Vec::with_capacity(len);
        fill(&mut bytes, self.process, self.counter, len);
        bytes
    }

    fn flush(&mut self, handle: &mut Handle<'_>) {
        for g in self.groups.iter_mut().filter(|g| !g.refused) {
            while let Some(bytes) = g.backlog.pop_front() {
                match handle.send(g.group, &bytes) {
                    Ok(_) | Err(SendError::NotJoined) => {}
                    Err(SendError::WindowFull | SendError::Blocked) => {
                        g.backlog.push_front(bytes);
                        g.refused = true;
                        break;
                    }
                    Err(error @ SendError::TooLarge { .. }) => {
                        self.complaint = Some(alloc::format!("a send was refused: {error}"));
                    }
                }
            }
        }
    }

    fn make_messages(&mut self, n: u64) {
        for index in 0..self.groups.len() {
            for _ in 0..n {
                if self.groups[index].backlog.len() < BACKLOG_MAX {
                    let message = self.message();
                    self.groups[index].backlog.push_back(message);
                }
            }
        }
    }

    fn deliver(&mut self, group: GroupKey, from: ProcessId, number: u64, payload: &[u8]) {
        let Some(g) = self.groups.iter_mut().find(|g| g.group == group) else { return };
        let last = entry(&mut g.numbers, from);
        if number != *last + 1 {
            self.complaint =
                Some(alloc::format!("number {number} from {from} was delivered after {last}"));
        }
        *last = number;
        if let Some(counter) = counter_of(payload) {
            let last = entry(&mut g.counters, (from, counter > IMPOSTOR_COUNTER));
            if counter <= *last {
                self.complaint = Some(alloc::format!(
                    "the message {counter} from {from} was delivered after its message {last}"
                ));
            }
            *last = counter;
        }
        if !is_filled(payload, from) {
            self.complaint =
                Some(alloc::format!("message {number} from {from} does not have the bytes sent"));
        }
    }
}

impl Application for Traffic {
    fn handle_joined(&mut self, group: GroupKey) {
        self.groups.push(GroupTraffic {
            group,
            backlog: VecDeque::new(),
            refused: false,
            block_ok_at: None,
            // Some have no note in their first view.
            note_due: self.process.0 % 2 == 1,
            numbers: Vec::new(),
            counters: Vec::new(),
        });
    }

    fn handle_action(&mut self, now: Time, action: &Action<'_>) {
        match *action {
            Action::Deliver { group, from, number, payload, .. } => {
                self.deliver(group, from, number, payload);
            }
            Action::View { group, clusters, .. } => {
                let told =
                    clusters.and_then(|told| self.notes.handle_view(group, told, IMPOSTOR_COUNTER));
                self.complaint = self.complaint.take().or(told);
                for g in self.groups.iter_mut().filter(|g| g.group == group) {
                    g.note_due = true;
                    g.numbers.clear();
                    g.refused = false;
                }
            }
            Action::Block { group } => {
                let delay = self.rng.below(self.load.block_ok_us.saturating_add(1));
                for g in self.groups.iter_mut().filter(|g| g.group == group) {
                    g.block_ok_at = Some(now.plus_us(delay));
                }
            }
            Action::Writable { group } => {
                for g in self.groups.iter_mut().filter(|g| g.group == group) {
                    g.refused = false;
                }
            }
            Action::Left { group, .. } => {
                self.groups.retain(|g| g.group != group);
                self.notes.forget(group);
            }
            Action::Detached { .. }
            | Action::Signal { .. }
            | Action::Primary { .. }
            | Action::Lapsed { .. }
            | Action::Restored { .. } => {}
        }
    }

    fn act(&mut self, handle: &mut Handle<'_>) -> Option<Time> {
        let now = handle.now();
        for g in &mut self.groups {
            if g.block_ok_at.is_some_and(|at| at <= now) {
                g.block_ok_at = None;
                // Refused if the change that asked for it is over; nothing is owed then.
                let _ = handle.block_ok(g.group);
            }
            if core::mem::take(&mut g.note_due) {
                // Refused in groups without clusters.
                let _ = handle.set_note(g.group, self.notes.next());
            }
        }
        let send_at = *self
            .send_at
            .get_or_insert(now.plus_us(self.rng.below(self.load.interval_us.saturating_add(1))));
        if send_at <= now && now < self.load.until {
            let n = 1 + self.rng.below(self.load.burst_max);
            self.make_messages(n);
            let pause_us =
                1 + self.rng.below(self.load.interval_us.saturating_mul(2).saturating_add(1));
            self.send_at = Some(now.plus_us(pause_us));
        }
        let extra = core::mem::take(&mut self.extra);
        self.make_messages(extra);
        self.flush(handle);
        // Of a process that was stopped beyond its end the next burst lies in the past, and never
        // comes.
        let send_at = self.send_at.filter(|at| now < *at && *at < self.load.until);
        self.groups.iter().filter_map(|g| g.block_ok_at).chain(send_at).min()
    }

    fn handle_crash(&mut self) {
        self.groups.clear();
        self.notes.clear();
        self.send_at = None;
        self.extra = 0;
    }

    fn say(&mut self, n: u64) {
        self.extra += n;
    }

    fn is_drained(&self, group: GroupKey) -> bool {
        let mut of_group = self.groups.iter().filter(|g| g.group == group);
        self.extra == 0 && of_group.all(|g| g.backlog.is_empty())
    }

    /// The notes of the view.
    fn common_state(&self, group: GroupKey) -> Option<String> {
        self.notes.shown(group)
    }

    /// Other bytes than were sent, messages out of order, or notes that nobody made.
    fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }
}

fn entry<K: PartialEq + Copy>(list: &mut Vec<(K, u64)>, key: K) -> &mut u64 {
    let index = list.iter().position(|(k, _)| *k == key).unwrap_or_else(|| {
        list.push((key, 0));
        list.len() - 1
    });
    &mut list[index].1
}

/// Bytes of the counter at the head of a payload that has room for it.
const COUNTER_BYTES: usize = 8;

fn pattern(process: ProcessId, len: usize, index: usize) -> u8 {
    (process.0 as u8).wrapping_mul(31) ^ (len as u8).wrapping_add((index as u8).wrapping_mul(7))
}

fn fill(bytes: &mut Vec<u8>, process: ProcessId, counter: u64, len: usize) {
    bytes.extend((0..len).map(|i| pattern(process, len, i)));
    if len >= COUNTER_BYTES {
        bytes[..COUNTER_BYTES].copy_from_slice(&counter.to_le_bytes());
    }
}

fn counter_of(payload: &[u8]) -> Option<u64> {
    payload.first_chunk().map(|head: &[u8; COUNTER_BYTES]| u64::from_le_bytes(*head))
}

fn is_filled(payload: &[u8], process: ProcessId) -> bool {
    let skip = if payload.len() >= COUNTER_BYTES { COUNTER_BYTES } else { 0 };
    let len = payload.len();
    payload.iter().enumerate().skip(skip).all(|(i, byte)| *byte == pattern(process, len, i))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_payload_is_noticed() {
        for len in [0, 1, 7, 8, 9, 700] {
            let mut bytes = Vec::new();
            fill(&mut bytes, ProcessId(9), 77, len);
            assert_eq!(counter_of(&bytes), (len >= 8).then_some(77));
            assert!(is_filled(&bytes, ProcessId(9)));
            if len > 8 {
                assert!(!is_filled(&bytes, ProcessId(8)));
                bytes[len - 1] ^= 1;
                assert!(!is_filled(&bytes, ProcessId(9)));
            }
        }
    }
}
