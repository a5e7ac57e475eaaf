//! Who hears multicasts, and who needs a copy by unicast.
//!
//! A process that has heard no multicast of a member for too long asks that member, by unicast. The
//! member answers twice: to the group, and to the asker alone. If only the second answer arrives,
//! multicast does not work on this way, and the asker says so. From then on the member sends the
//! asker a copy by unicast of everything that it sends to the group. So a member that is dead,
//! paused or cut off is not mistaken for one whose multicasts are lost, and each pair is judged on
//! its own: members may fall back to unicast one by one, and groups may be mixed.
//!
//! The same two answers tell whether unicast works ([`alone`]).
//!
//! Copies end, except where there are keys: there nothing is opened twice. A process that gets them
//! sees whether multicasts arrive beside them, and says so. A
//! process that nobody hears sends none, and tries again now and then. A process that is late
//! itself draws no conclusion from what it did not hear, and what a node says about all this has a
//! budget: or else load would bring questions, these answers and copies, and those load.

mod alone;
mod answers;
mod budget;
mod copies;
mod deaf;
mod sender;

use alloc::vec::Vec;

use super::Route;
use super::book::AddressBook;
use crate::config::GroupConfig;
use crate::ident::{ProcessId, Rank};
use crate::rng::Rng;
use crate::time::{Time, Wake};
use crate::view::{Members, View};
use crate::wire::reach::Word;

use alone::Alone;
use answers::{Answer, Answers};
pub(crate) use budget::Budget;
use deaf::Deaf;
use sender::{ASK_MS, Sender};

/// A look that comes later than this part of `unheard_ms` finds nothing out: the process was late
/// itself, and what was sent to it may have been lost here.
const LATENESS: u64 = 2;

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
#[derive(Debug)]
pub(super) struct Reachability {
    /// When the view began.
    since: Time,
    /// By rank.
    senders: Vec<Sender>,
    /// No member has been silent for too long before.
    look_at: Option<Time>,
    /// Whether a member is to be asked now.
    is_asking: bool,
    answers: Answers,
    /// Who is told now that its multicasts arrive beside its copies.
    heard: Members,
    /// The members that were told that their multicasts do not arrive, ascending.
    copied_by: Members,
    deaf: Deaf,
    /// Whether unicast arrives.
    alone: Alone,
    /// There is nothing left to say things with before.
    silent_until: Option<Time>,
    rng: Rng,
}

impl Reachability {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            since: Time::ZERO,
            senders: Vec::new(),
            look_at: None,
            is_asking: false,
            answers: Answers::default(),
            heard: Members::new(),
            copied_by: Members::new(),
            deaf: Deaf::default(),
            alone: Alone::default(),
            silent_until: None,
            rng: Rng::new(seed),
        }
    }

    /// A view begins, in which this process has rank `own` and which is one of so many `groups`:
    /// nobody was heard in it yet. A member that could not hear multicasts still cannot.
    pub(super) fn handle_installed(
        &mut self,
        now: Time,
        config: &GroupConfig,
        view: &View,
        own: Rank,
        groups: usize,
    ) {
        self.alone.handle_installed(now, view, own, groups, &mut self.rng);
        self.copied_by.retain(|p| view.contains(*p));
        self.deaf.handle_installed(view);
        let is_copied = |p| self.copied_by.binary_search(p).is_ok();
        self.since = now;
        self.senders = view.members().iter().map(|p| Sender::new(now, is_copied(p))).collect();
        self.look_at = (view.len() > 1).then(|| now.plus_ms(config.unheard_ms));
        self.is_asking = false;
        self.answers = Answers::default();
        self.heard = Members::new();
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

    /// The datagram `counter` arrived that the member of `rank` sent to the group, in the current
    /// view or, if it `is_ahead`, in the next one.
    #[inline]
    pub(super) fn handle_heard(
        &mut self,
        now: Time,
        rank: Rank,
        counter: u64,
        view: &View,
        is_ahead: bool,
    ) {
        let Some(sender) = self.senders.get_mut(usize::from(rank)) else { return };
        sender.handle_heard(now);
        if !is_ahead {
            sender.handle_met(now);
        }
        if sender.is_copied() {
            self.handle_copy(now, rank, counter, view);
        }
    }

    #[cold]
    fn handle_copy(&mut self, now: Time, rank: Rank, counter: u64, view: &View) {
        if let Some(sender) = self.senders.get_mut(usize::from(rank))
            && sender.handle_copy(now, counter)
            && let Some(process) = view.members().get(usize::from(rank))
            && !self.heard.contains(process)
        {
            self.heard.push(*process);
        }
    }

    /// This process is reached at another address from now on.
    pub(super) fn handle_new_address(&mut self) {
        self.alone.forget();
    }

    /// `process`, the member of `rank`, answered the group; `is_own`: a question of this process.
    pub(super) fn handle_answer_to_group(
        &mut self,
        now: Time,
        rank: Rank,
        process: ProcessId,
        is_own: bool,
    ) {
        if is_own {
            self.alone.handle_answer_to_group(process);
        }
        if let Some(sender) = self.senders.get_mut(usize::from(rank)) {
            sender.handle_heard(now);
        }
    }

    /// `process`, the member of `rank`, answered this process alone.
    pub(super) fn handle_direct_answer(&mut self, rank: Rank, process: ProcessId) {
        self.alone.handle_answer(process);
        if let Some(sender) = self.senders.get_mut(usize::from(rank)) {
            sender.handle_direct_answer();
        }
    }

    /// Something arrived that the member of `rank` sent in the current view.
    pub(super) fn handle_met(&mut self, now: Time, rank: Rank) {
        if let Some(sender) = self.senders.get_mut(usize::from(rank)) {
            sender.handle_met(now);
        }
    }

    /// When something last arrived that the member of `rank` sent in the current view: it has not
    /// left that view before.
    pub(super) fn met_at(&self, rank: Rank) -> Option<Time> {
        self.senders.get(usize::from(rank))?.met_at()
    }

    /// Asks the member of `rank`, unless it was met after `since`.
    pub(super) fn ask(&mut self, rank: Rank, since: Time) {
        let is_met = self.met_at(rank).is_some_and(|at| at > since);
        if let (false, Some(sender)) = (is_met, self.senders.get_mut(usize::from(rank))) {
            sender.ask();
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
        sender.handle_question();
        let silent_at = sender.silent_at(config, since, owed_since).max(now);
        self.look_by(silent_at);
    }

    /// `process` says that it hears no multicast of this process. False if that was known, or is
    /// not believed yet.
    pub(super) fn handle_unheard(
        &mut self,
        now: Time,
        process: ProcessId,
        view: &View,
        book: &AddressBook,
    ) -> bool {
        self.deaf.handle_unheard(now, process, view, book)
    }

    /// `process` says that multicasts of this process arrive beside the copies. False if it gets
    /// none.
    pub(super) fn handle_heard_again(&mut self, process: ProcessId) -> bool {
        self.deaf.handle_heard(process)
    }

    /// `process` is to be answered.
    pub(super) fn answer(&mut self, process: ProcessId) {
        self.answers.add(process);
    }

    /// Members of the view or of the proposed one that said that they hear no multicast of this
    /// process.
    pub(super) fn unheard_by(&self) -> &[ProcessId] {
        self.deaf.unheard_by()
    }

    /// Members whose datagrams to this process alone do not arrive, though their multicasts do.
    pub(super) fn unicast_missing_from(&self) -> &[ProcessId] {
        self.alone.missing()
    }

    /// How a datagram for the group is carried.
    pub(super) fn routes<'a>(&'a self, book: &'a AddressBook) -> impl Iterator<Item = Route> + 'a {
        self.deaf.routes(book)
    }

    pub(super) fn poll_timeout(&self) -> Option<(Time, Wake)> {
        let look_at = self.look_at?;
        let (until, retry) = (self.silent_until, self.deaf.next_timeout());
        // Nobody is answered or asked while there is nothing left to say it with.
        let word = [self.answers.next_timeout(), self.alone.next_timeout()].into_iter().flatten();
        let word = word.min().map(|at| until.map_or(at, |until| at.max(until)));
        let at = [until, retry, word].into_iter().flatten().fold(look_at, Time::min);
        Some((at, Wake::Reach))
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
        self.deaf.handle_timeout(now);
        self.silent_until = self.silent_until.filter(|until| now < *until);
        let Some(look_at) = self.look_at.filter(|at| *at <= now) else { return };
        if now.millis_since(look_at) > config.unheard_ms / LATENESS {
            self.senders.iter_mut().for_each(|sender| sender.handle_lateness(now));
        }
        let pause_ms_max = config.heartbeat_max_ms.max(ASK_MS);
        let mut next = None;
        for (rank, sender) in (0..).zip(&mut self.senders).filter(|(rank, _)| *rank != own) {
            let owed_since = owed_since(rank);
            let silent_at = sender.silent_at(config, self.since, owed_since);
            if silent_at <= now {
                let owes = owed_since.is_some();
                self.is_asking |= sender.handle_silence(now, pause_ms_max, owes, &mut self.rng);
            }
            let look_at = silent_at.max(sender.ask_at);
            next = Some(next.map_or(look_at, |next: Time| next.min(look_at)));
        }
        self.look_at = next;
    }

    /// The next question or answer that the `budget` of the node has room for. Members without an
    /// address in `book` are passed over.
    pub(super) fn next_say(
        &mut self,
        now: Time,
        budget: &mut Budget,
        view: &View,
        book: &AddressBook,
    ) -> Option<Say> {
        if self.silent_until.is_some_and(|until| now < until) || !self.has_to_say(now) {
            return None;
        }
        if let Err(until) = budget.take(now) {
            self.silent_until = Some(until);
            return None;
        }
        let say = self.next_answer(now, view, book);
        say.or_else(|| self.next_question(view, book)).or_else(|| {
            let target = self.alone.next(now, &mut self.rng)?;
            Some(Say { target, word: Word::Ask, is_to_group: true })
        })
    }

    /// Whether there may be something to say now.
    fn has_to_say(&self, now: Time) -> bool {
        self.is_asking
            || !self.heard.is_empty()
            || self.deaf.has_tries()
            || self.answers.is_due(now)
            || self.alone.is_due(now)
    }

    fn next_answer(&mut self, now: Time, view: &View, book: &AddressBook) -> Option<Say> {
        if let Some(target) = self.deaf.next_try() {
            return Some(Say { target, word: Word::Answer, is_to_group: true });
        }
        while let Some(target) = self.heard.pop() {
            if book.contains(target) {
                return Some(Say { target, word: Word::Heard, is_to_group: false });
            }
        }
        while let Some(answer) = self.answers.next(now, view.len()) {
            let (target, is_to_group) = match answer {
                Answer::ToGroup(target) => (target, true),
                Answer::Alone(target) => (target, false),
            };
            if is_to_group || book.contains(target) {
                return Some(Say { target, word: Word::Answer, is_to_group });
            }
        }
        None
    }

    fn next_question(&mut self, view: &View, book: &AddressBook) -> Option<Say> {
        if !self.is_asking {
            return None;
        }
        let asked = (0..).zip(&mut self.senders).filter(|(_, sender)| sender.is_to_be_asked());
        for (at, sender) in asked {
            sender.handle_asked();
            let target = view.members()[at];
            if !book.contains(target) {
                continue;
            }
            let word = if sender.is_unheard(view.len()) { Word::Unheard } else { Word::Ask };
            if word == Word::Unheard {
                sender.handle_told_unheard();
                if let Err(at) = self.copied_by.binary_search(&target) {
                    self.copied_by.insert(at, target);
                }
            }
            return Some(Say { target, word, is_to_group: false });
        }
        self.is_asking = false;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{Cid, ViewId};

    /// The group that was to be answered at once kept the timer due (`vs sim --seed 878`).
    #[test]
    fn exhausted_budget_puts_answers_off() {
        let members = [1, 2].map(ProcessId);
        let view = View::new(ViewId { major: 1, minor: 1 }, &members, &[Cid(1), Cid(1)]).unwrap();
        let (config, book) = (GroupConfig::default(), AddressBook::default());
        let (mut budget, now) = (Budget::default(), Time::from_millis(5));
        let mut reach = Reachability::new(1);
        reach.handle_installed(now, &config, &view, 0, 1);
        while budget.take(now).is_ok() {}
        reach.answer(members[1]);
        assert!(reach.next_say(now, &mut budget, &view, &book).is_none());
        let (due, _) = reach.poll_timeout().unwrap();
        assert!(now < due && due <= now.plus_ms(2), "{due:?}");
        reach.handle_timeout(due, &config, 0, |_| None);
        let say = reach.next_say(due, &mut budget, &view, &book);
        assert!(say.is_some_and(|say| say.word() == Word::Answer && say.is_to_group()));
        // So did the question that is due after a second.
        let now = now.plus_ms(2000);
        while budget.take(now).is_ok() {}
        reach.handle_timeout(now, &config, 0, |_| None);
        assert!(reach.next_say(now, &mut budget, &view, &book).is_none());
        let (due, _) = reach.poll_timeout().unwrap();
        assert!(now < due && due <= now.plus_ms(2), "{due:?}");
    }
}
