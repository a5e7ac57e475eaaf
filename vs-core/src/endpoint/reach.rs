//! Whether multicasts are heard, and who needs a copy by unicast.
//!
//! Who has heard nothing for too long that a member sent to the group asks that member, by unicast. The answer comes
//! twice: to the group, and to the one that asked alone. If only the latter arrive, multicast does not work on this
//! way, and the asker says so. From then on the other has a copy of what it sends to the group carried to the asker by
//! unicast. So nobody is taken for deaf who is dead, paused or cut off, and it is known of each pair on its own: members
//! may fall back one by one, and groups be mixed.

use alloc::vec::Vec;

use smallvec::SmallVec;

use super::{Cx, Dest, Endpoint, Route, Transmit, Verdict};
use crate::cast::ViewHeader;
use crate::ident::{ProcessId, Rank};
use crate::time::{Time, Wake};
use crate::trace::Mark;
use crate::view::Members;
use crate::wire::packet::{self, Header};
use crate::wire::reach::{self, Reach, Word};

/// Answers that arrive directly while nothing to the group does, before a member says that it hears no multicast: one
/// or two may be lost.
const DIRECT_MIN: u8 = 3;

/// Pause between two questions to a member that answers, in ms; doubled up to `heartbeat_max_ms` for one that does not.
const ASK_MS: u64 = 20;

/// A member that answers to the group is one of many groups, or others are: its signs of life may be this many times
/// `heartbeat_max_ms` apart before it is asked again, if nothing is owed.
const CALM_MAX: u64 = 256;

/// Members whose questions wait to be answered; others ask again.
const ANSWERS_MAX: usize = 8;

/// What is heard of a member of the current view.
#[derive(Clone, Copy, Debug)]
struct Sender {
    /// When something that it sent to the group last arrived.
    heard: Option<Time>,
    /// Answers that arrived directly since then.
    direct: u8,
    /// It is not asked before.
    ask_at: Time,
    pause_ms: u64,
    /// It is to be asked now.
    ask: bool,
    /// It was asked since then, though it owed nothing.
    asked_idle: bool,
    /// So many times `heartbeat_max_ms` it may be silent while nothing is owed: doubled with each question that it answers
    /// to the group, since it was needless.
    calm: u64,
    /// It has asked since then, so it lacks something.
    asks: bool,
}

#[derive(Debug, Default)]
pub(super) struct Reachability {
    /// Since when the view is there.
    since: Time,
    /// By rank.
    senders: Vec<Sender>,
    /// Nobody has been silent for too long before.
    look_at: Option<Time>,
    /// Whether somebody is to be asked now.
    asking: bool,
    /// Who is to be answered now, and whether the group got its copy of the answer.
    answers: SmallVec<[(ProcessId, bool); 1]>,
    /// Members that said that they hear no multicast of this process, ascending.
    unheard_by: Members,
    /// All others said so, in this view or in one before from which somebody of them is still here.
    by_all: bool,
}

impl Reachability {
    /// Somebody may have been silent for too long at `at`: what was sent is to be acknowledged by then, say.
    pub(super) fn look_by(&mut self, at: Time) {
        self.look_at = self.look_at.map(|look_at| look_at.min(at));
    }

    /// `rank` was heard: something that it sent to the group.
    pub(super) fn hear(&mut self, now: Time, rank: Rank) {
        if let Some(sender) = self.senders.get_mut(usize::from(rank)) {
            if core::mem::take(&mut sender.asked_idle) && sender.heard.is_some() {
                sender.calm = (2 * sender.calm).min(CALM_MAX);
            }
            sender.heard = Some(now);
            sender.direct = 0;
            sender.asks = false;
        }
    }
}

impl Endpoint {
    /// A view begins: nobody was heard in it yet. Who could not hear multicasts still cannot.
    pub(super) fn restart_reach(&mut self, now: Time) {
        let view = self.sync.current();
        let fresh = Sender {
            heard: None,
            direct: 0,
            ask_at: now,
            pause_ms: ASK_MS,
            ask: false,
            asked_idle: false,
            calm: 1,
            asks: false,
        };
        let mut unheard_by = core::mem::take(&mut self.reach.unheard_by);
        unheard_by.retain(|p| view.contains(*p));
        self.reach = Reachability {
            since: now,
            senders: alloc::vec![fresh; view.len()],
            look_at: (view.len() > 1).then(|| now.plus_ms(self.config.unheard_ms)),
            by_all: self.reach.by_all && !unheard_by.is_empty(),
            unheard_by,
            ..Reachability::default()
        };
    }

    /// A change begins: whoever cannot be heard now holds it up.
    pub(super) fn hurry_reach(&mut self, now: Time) {
        for sender in &mut self.reach.senders {
            (sender.ask_at, sender.pause_ms, sender.calm) = (sender.ask_at.min(now), ASK_MS, 1);
        }
        self.reach.look_by(now);
    }

    /// Members of the view or the proposed one that said that they hear no multicast of this process.
    pub(crate) fn unheard_by(&self) -> &[ProcessId] {
        &self.reach.unheard_by
    }

    /// How what goes to the group is carried.
    pub(crate) fn routes(&self) -> impl Iterator<Item = Route> + '_ {
        let Reachability { unheard_by, by_all, .. } = &self.reach;
        let copies = self.book.peers(move |p| *by_all || unheard_by.binary_search(&p).is_ok());
        (!by_all).then_some(Route::Multicast).into_iter().chain(copies.map(Route::Unicast))
    }

    /// Notes who sent a datagram that went to the whole group, as far as it matters here: a member of the current view,
    /// which may have gone ahead to the view that is announced.
    pub(super) fn note_heard(&mut self, now: Time, header: &Header) {
        if header.fingerprint == self.header.fingerprint {
            return self.reach.hear(now, header.rank);
        }
        let announced = self.sync.announced();
        if header.fingerprint == announced.fingerprint()
            && let Some(process) = announced.members().get(usize::from(header.rank))
            && let Some(rank) = self.sync.current().rank(*process)
        {
            self.reach.hear(now, rank);
        }
    }

    /// When `rank` has been silent for too long: it has something to say for all that time, or has to give a sign of life
    /// meanwhile.
    fn silent_at(&self, rank: Rank) -> Time {
        let (sender, patience) = (self.reach.senders[usize::from(rank)], self.config.unheard_ms);
        let Some(heard) = sender.heard else { return self.reach.since.plus_ms(patience) };
        match self.cast.acks_owed_since(rank) {
            _ if sender.asks => heard.plus_ms(patience),
            Some(since) => heard.max(since).plus_ms(patience),
            None => {
                let pause = self.config.heartbeat_max_ms.saturating_mul(sender.calm);
                heard.plus_ms(pause.saturating_add(patience))
            }
        }
    }

    pub(super) fn reach_timeout(&self) -> Option<(Time, Wake)> {
        self.reach.look_at.map(|at| (at, Wake::Reach))
    }

    /// Finds out who has to be asked.
    pub(super) fn handle_reach_timeout(&mut self, now: Time) {
        if self.reach.look_at.is_none_or(|at| now < at) {
            return;
        }
        let (mut next, pause_max) = (None, self.config.heartbeat_max_ms.max(ASK_MS));
        for at in 0..self.reach.senders.len() {
            if at == usize::from(self.header.rank) {
                continue;
            }
            let silent_at = self.silent_at(at as Rank);
            let owes = self.cast.acks_owed_since(at as Rank).is_some();
            let sender = &mut self.reach.senders[at];
            if silent_at <= now && sender.ask_at <= now {
                (sender.ask, sender.asked_idle) = (true, !owes && !sender.asks);
                self.reach.asking = true;
                sender.ask_at = now.plus_ms(sender.pause_ms);
                sender.pause_ms = (2 * sender.pause_ms).min(pause_max);
            }
            next = next.into_iter().chain([silent_at.max(sender.ask_at)]).min();
        }
        self.reach.look_at = next;
    }

    /// A member asks, answers, or says that it hears no multicast.
    pub(super) fn handle_reach(
        &mut self,
        cx: &mut Cx<'_>,
        to_group: bool,
        said: &Reach,
    ) -> Verdict {
        let view = self.sync.current();
        if said.word == Word::Answer && to_group {
            // Whoever asked: it is heard.
            let Some(rank) = view.rank(said.process) else { return Verdict::Foreign };
            self.reach.hear(cx.now, rank);
            return Verdict::Accepted;
        }
        if said.target != cx.identity.process || said.process == said.target {
            return Verdict::Foreign;
        }
        if said.word == Word::Answer {
            let Some(rank) = view.rank(said.process) else { return Verdict::Foreign };
            let sender = &mut self.reach.senders[usize::from(rank)];
            sender.direct = sender.direct.saturating_add(1);
            sender.pause_ms = ASK_MS;
            return Verdict::Accepted;
        }
        if self.book.addr(said.process).is_none() {
            return Verdict::Foreign;
        }
        if let Some(rank) = view.rank(said.process) {
            self.reach.senders[usize::from(rank)].asks = true;
            let silent_at = self.silent_at(rank).max(cx.now);
            self.reach.look_by(silent_at);
        }
        if said.word == Word::Unheard && self.note_unheard(said.process) {
            cx.tracer.mark(Mark::Unheard);
            cx.counters.unheard += 1;
        }
        let answers = &mut self.reach.answers;
        if answers.len() < ANSWERS_MAX && !answers.iter().any(|(p, _)| *p == said.process) {
            answers.push((said.process, false));
        }
        Verdict::Accepted
    }

    /// `process` says that it hears no multicast. False if that was known.
    fn note_unheard(&mut self, process: ProcessId) -> bool {
        let unheard_by = &mut self.reach.unheard_by;
        // Those who were to join and did not are forgotten.
        unheard_by.retain(|p| self.book.addr(*p).is_some());
        let Err(at) = unheard_by.binary_search(&process) else { return false };
        unheard_by.insert(at, process);
        let view = self.sync.current();
        let members = unheard_by.iter().filter(|p| view.contains(**p)).count();
        self.reach.by_all |= view.len() > 1 && members + 1 == view.len();
        true
    }

    /// The next question or answer.
    pub(super) fn next_reach(&mut self, me: ProcessId, out: &mut [u8]) -> Option<Transmit> {
        while let Some((target, to_group)) = self.reach.answers.first_mut() {
            let target = *target;
            // To the group first: what is sent to the asker alone proves only then that multicast does not work.
            let dest = if core::mem::replace(to_group, true) {
                self.reach.answers.remove(0);
                self.book.addr(target).map(Dest::Peer)
            } else {
                Some(Dest::Group(self.key))
            };
            if let Some(dest) = dest {
                return self.say(Reach { process: me, target, word: Word::Answer }, dest, out);
            }
        }
        if !self.reach.asking {
            return None;
        }
        while let Some(at) = self.reach.senders.iter().position(|sender| sender.ask) {
            let sender = &mut self.reach.senders[at];
            sender.ask = false;
            let word = if sender.direct >= DIRECT_MIN { Word::Unheard } else { Word::Ask };
            let target = self.sync.current().members()[at];
            if let Some(addr) = self.book.addr(target) {
                return self.say(Reach { process: me, target, word }, Dest::Peer(addr), out);
            }
        }
        self.reach.asking = false;
        None
    }

    fn say(&self, reach: Reach, dest: Dest, out: &mut [u8]) -> Option<Transmit> {
        let ViewHeader { group, fingerprint, rank, .. } = self.header;
        let len = reach::encode(out, &Header { rank, group, fingerprint }, &reach)?;
        Some(Transmit { dest, len, segment_bytes: len })
    }
}

/// Marks what goes to the group as such.
pub(super) fn mark_group(transmit: Transmit, out: &mut [u8]) -> Transmit {
    if matches!(transmit.dest, Dest::Group(_)) {
        packet::mark_group(&mut out[..transmit.len], transmit.segment_bytes);
    }
    transmit
}
