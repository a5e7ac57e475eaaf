//! Who hears multicasts, and who needs a copy by unicast.
//!
//! A process that has heard no multicast of a member for too long asks that member, by unicast. The
//! member answers twice: to the group, and to the asker alone. If only the second answer arrives,
//! multicast does not work on this way, and the asker says so. From then on the member sends the
//! asker a copy by unicast of everything that it sends to the group. So a member that is dead,
//! paused or cut off is not mistaken for one whose multicasts are lost, and each pair is judged on
//! its own: members may fall back to unicast one by one, and groups may be mixed.

use alloc::vec::Vec;

use smallvec::SmallVec;

use super::Route;
use super::book::AddressBook;
use crate::config::GroupConfig;
use crate::ident::{ProcessId, Rank};
use crate::time::{Time, Wake};
use crate::view::{Members, View};
use crate::wire::reach::Word;

/// Answers that arrive directly while nothing to the group does, before a process says that it
/// hears no multicast: one or two multicasts may have been lost.
const DIRECT_MIN: u8 = 3;

/// Pause between two questions to a member that answers, in ms; doubled up to `heartbeat_max_ms`
/// for one that does not.
const ASK_MS: u64 = 20;

/// With many groups, heartbeats are far apart. While nothing is owed, a member that answers to the
/// group may be silent for up to this many times `heartbeat_max_ms` before it is asked again.
const CALM_MAX: u64 = 256;

/// Members whose questions wait to be answered; others ask again.
const ANSWERS_MAX: usize = 8;

/// What is heard of a member of the current view.
#[derive(Clone, Copy, Debug)]
struct Sender {
    /// When something that it sent to the group last arrived.
    heard_at: Option<Time>,
    /// Answers that arrived directly since then.
    direct: u8,
    /// When the last of them arrived.
    direct_at: Option<Time>,
    /// It is not asked before.
    ask_at: Time,
    /// Pause before the next question.
    pause_ms: u64,
    /// It is to be asked now.
    is_to_be_asked: bool,
    /// It was asked since then, though it owed nothing.
    was_asked_idle: bool,
    /// It may be silent for this many times `heartbeat_max_ms` while nothing is owed. Doubled with
    /// each question that it answers to the group, since the question was needless.
    calm: u64,
    /// It has asked since then, so it lacks something.
    has_asked: bool,
}

impl Sender {
    fn new(now: Time) -> Self {
        Self {
            heard_at: None,
            direct: 0,
            direct_at: None,
            ask_at: now,
            pause_ms: ASK_MS,
            is_to_be_asked: false,
            was_asked_idle: false,
            calm: 1,
            has_asked: false,
        }
    }

    /// Something that it sent to the group arrived.
    fn handle_heard(&mut self, now: Time) {
        if core::mem::take(&mut self.was_asked_idle) && self.heard_at.is_some() {
            self.calm = (2 * self.calm).min(CALM_MAX);
        }
        self.heard_at = Some(now);
        self.direct = 0;
        self.has_asked = false;
    }

    /// A change begins: a member that cannot be heard holds it up.
    fn handle_change(&mut self, now: Time) {
        (self.ask_at, self.pause_ms, self.calm) = (self.ask_at.min(now), ASK_MS, 1);
    }

    /// When it has been silent for too long in a view that began at `since`; `owed_since`: it owes
    /// an acknowledgement. It has something to send for all that time, or has to send a heartbeat
    /// meanwhile.
    fn silent_at(&self, config: &GroupConfig, since: Time, owed_since: Option<Time>) -> Time {
        let patience = config.unheard_ms;
        let Some(heard_at) = self.heard_at else { return since.plus_ms(patience) };
        match owed_since {
            _ if self.has_asked => heard_at.plus_ms(patience),
            Some(owed_since) => heard_at.max(owed_since).plus_ms(patience),
            None => {
                let pause = config.heartbeat_max_ms.saturating_mul(self.calm);
                heard_at.plus_ms(pause.saturating_add(patience))
            }
        }
    }

    /// It has been silent for too long: asks it, unless that was done just before.
    fn handle_silence(&mut self, now: Time, pause_ms_max: u64, owes: bool) {
        if self.ask_at <= now {
            self.is_to_be_asked = true;
            self.was_asked_idle = !owes && !self.has_asked;
            self.ask_at = now.plus_ms(self.pause_ms);
            self.pause_ms = (2 * self.pause_ms).min(pause_ms_max);
        }
    }
}

/// A question or an answer that is to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Say {
    target: ProcessId,
    word: Word,
    is_to_group: bool,
}

impl Say {
    /// The process that is asked or answered.
    pub(super) fn target(&self) -> ProcessId {
        self.target
    }

    pub(super) fn word(&self) -> Word {
        self.word
    }

    /// Whether it goes to the group; otherwise it goes to the target alone.
    pub(super) fn is_to_group(&self) -> bool {
        self.is_to_group
    }
}

/// What is known of the current view.
#[derive(Debug, Default)]
pub(super) struct Reachability {
    /// When the view began.
    since: Time,
    /// By rank.
    senders: Vec<Sender>,
    /// No member has been silent for too long before.
    look_at: Option<Time>,
    /// Whether a member is to be asked now.
    is_asking: bool,
    /// Who is to be answered now, and whether the group got its copy of the answer.
    answers: SmallVec<[(ProcessId, bool); 1]>,
    /// Members that said that they hear no multicast of this process, ascending.
    unheard_by: Members,
    /// Whether all others said so, in this view or in one before from which one of them is still
    /// here.
    is_unheard_by_all: bool,
}

impl Reachability {
    /// A view begins: nobody was heard in it yet. A member that could not hear multicasts still
    /// cannot.
    pub(super) fn handle_installed(&mut self, now: Time, config: &GroupConfig, view: &View) {
        let mut unheard_by = core::mem::take(&mut self.unheard_by);
        unheard_by.retain(|p| view.contains(*p));
        *self = Self {
            since: now,
            senders: alloc::vec![Sender::new(now); view.len()],
            look_at: (view.len() > 1).then(|| now.plus_ms(config.unheard_ms)),
            is_unheard_by_all: self.is_unheard_by_all && !unheard_by.is_empty(),
            unheard_by,
            ..Self::default()
        };
    }

    /// A change begins.
    pub(super) fn handle_start_change(&mut self, now: Time) {
        self.senders.iter_mut().for_each(|sender| sender.handle_change(now));
        self.look_by(now);
    }

    /// A member may have been silent for too long at `at`: it has to acknowledge by then what was
    /// sent, for example.
    pub(super) fn look_by(&mut self, at: Time) {
        self.look_at = self.look_at.map(|look_at| look_at.min(at));
    }

    /// Something arrived that the member of `rank` sent to the group.
    pub(super) fn handle_heard(&mut self, now: Time, rank: Rank) {
        if let Some(sender) = self.senders.get_mut(usize::from(rank)) {
            sender.handle_heard(now);
        }
    }

    /// The member of `rank` answered this process alone.
    pub(super) fn handle_direct_answer(&mut self, now: Time, rank: Rank) {
        if let Some(sender) = self.senders.get_mut(usize::from(rank)) {
            sender.direct = sender.direct.saturating_add(1);
            sender.direct_at = Some(now);
            sender.pause_ms = ASK_MS;
        }
    }

    /// When the member of `rank` was heard last, by multicast or by an answer.
    pub(super) fn heard_at(&self, rank: Rank) -> Option<Time> {
        let sender = self.senders.get(usize::from(rank))?;
        sender.heard_at.max(sender.direct_at)
    }

    /// Asks the member of `rank`, unless it was heard after `since`.
    pub(super) fn ask(&mut self, rank: Rank, since: Time) {
        let is_heard = self.heard_at(rank).is_some_and(|at| at > since);
        if let (false, Some(sender)) = (is_heard, self.senders.get_mut(usize::from(rank))) {
            sender.is_to_be_asked = true;
            self.is_asking = true;
        }
    }

    /// The member of `rank` asks this process, so it lacks something. It owes acknowledgements
    /// since `owed_since`.
    pub(super) fn handle_question(
        &mut self,
        now: Time,
        config: &GroupConfig,
        rank: Rank,
        owed_since: Option<Time>,
    ) {
        let since = self.since;
        let Some(sender) = self.senders.get_mut(usize::from(rank)) else { return };
        sender.has_asked = true;
        let silent_at = sender.silent_at(config, since, owed_since).max(now);
        self.look_by(silent_at);
    }

    /// `process` says that it hears no multicast of this process. False if that was known.
    pub(super) fn handle_unheard(
        &mut self,
        process: ProcessId,
        view: &View,
        book: &AddressBook,
    ) -> bool {
        // Processes that were to join and did not are forgotten.
        self.unheard_by.retain(|p| book.contains(*p));
        let Err(at) = self.unheard_by.binary_search(&process) else { return false };
        self.unheard_by.insert(at, process);
        let members = self.unheard_by.iter().filter(|p| view.contains(**p)).count();
        self.is_unheard_by_all |= view.len() > 1 && members + 1 == view.len();
        true
    }

    /// `process` is to be answered.
    pub(super) fn answer(&mut self, process: ProcessId) {
        let is_known = self.answers.iter().any(|(p, _)| *p == process);
        if !is_known && self.answers.len() < ANSWERS_MAX {
            self.answers.push((process, false));
        }
    }

    /// Members of the view or of the proposed one that said that they hear no multicast of this
    /// process.
    pub(super) fn unheard_by(&self) -> &[ProcessId] {
        &self.unheard_by
    }

    /// How a datagram for the group is carried.
    pub(super) fn routes<'a>(&'a self, book: &'a AddressBook) -> impl Iterator<Item = Route> + 'a {
        let Self { unheard_by, is_unheard_by_all, .. } = self;
        let wanted = |p| *is_unheard_by_all || unheard_by.binary_search(&p).is_ok();
        let multicast = (!is_unheard_by_all).then_some(Route::Multicast);
        multicast.into_iter().chain(book.addresses(wanted).map(Route::Unicast))
    }

    pub(super) fn poll_timeout(&self) -> Option<(Time, Wake)> {
        self.look_at.map(|at| (at, Wake::Reach))
    }

    /// Time has passed: finds out who has to be asked. This process has rank `own`; `owed_since`
    /// says since when a member owes acknowledgements.
    pub(super) fn handle_timeout(
        &mut self,
        now: Time,
        config: &GroupConfig,
        own: Rank,
        owed_since: impl Fn(Rank) -> Option<Time>,
    ) {
        if self.look_at.is_none_or(|at| now < at) {
            return;
        }
        let pause_ms_max = config.heartbeat_max_ms.max(ASK_MS);
        let mut next = None;
        for (rank, sender) in (0..).zip(&mut self.senders).filter(|(rank, _)| *rank != own) {
            let owed_since = owed_since(rank);
            let silent_at = sender.silent_at(config, self.since, owed_since);
            if silent_at <= now {
                sender.handle_silence(now, pause_ms_max, owed_since.is_some());
                self.is_asking |= sender.is_to_be_asked;
            }
            let look_at = silent_at.max(sender.ask_at);
            next = Some(next.map_or(look_at, |next: Time| next.min(look_at)));
        }
        self.look_at = next;
    }

    /// The next question or answer. Members without an address in `book` are passed over.
    pub(super) fn next_say(&mut self, view: &View, book: &AddressBook) -> Option<Say> {
        while let Some((target, was_told_to_group)) = self.answers.first_mut() {
            let say = Say { target: *target, word: Word::Answer, is_to_group: !*was_told_to_group };
            // To the group first: what is sent to the asker alone proves only then that multicast
            // does not work.
            if !core::mem::replace(was_told_to_group, true) {
                return Some(say);
            }
            self.answers.remove(0);
            if book.contains(say.target) {
                return Some(say);
            }
        }
        if !self.is_asking {
            return None;
        }
        while let Some(at) = self.senders.iter().position(|sender| sender.is_to_be_asked) {
            let sender = &mut self.senders[at];
            sender.is_to_be_asked = false;
            let word = if sender.direct >= DIRECT_MIN { Word::Unheard } else { Word::Ask };
            let target = view.members()[at];
            if book.contains(target) {
                return Some(Say { target, word, is_to_group: false });
            }
        }
        self.is_asking = false;
        None
    }
}
