//! What is heard of one member.

use super::copies::Copies;
use crate::config::GroupConfig;
use crate::rng::Rng;
use crate::time::Time;

/// Answers that arrive directly while nothing to the group does, before a process says that it
/// hears no multicast: some multicasts may have been lost.
const DIRECT_MIN: u8 = 4;

/// One more of these answers is needed for so many members: the more of them send, the sooner a
/// buffer overflows.
const MEMBERS_PER_DIRECT: usize = 16;

/// Pause between the first questions to a member, in ms; then doubled with each question, up to
/// `heartbeat_max_ms`.
pub(super) const ASK_MS: u64 = 20;

/// With many groups, heartbeats are far apart. While nothing is owed, a member that answers to the
/// group may be silent for up to this many times `heartbeat_max_ms` before it is asked again.
const CALM_MAX: u64 = 256;

/// What happened since a member was heard last.
#[derive(Clone, Copy, Debug, Default)]
struct Unheard {
    /// Answers that arrived directly.
    direct: u8,
    /// Questions to it.
    asked: u8,
    /// It is to be asked now.
    is_to_be_asked: bool,
    /// It was asked, though it owed nothing.
    was_asked_idle: bool,
    /// It was asked only because it had asked.
    was_asked_back: bool,
    /// It has asked, so it lacks something.
    has_asked: bool,
}

/// What is heard of a member of the current view.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    /// When something that it sent to the group last arrived.
    heard_at: Option<Time>,
    /// What happened since then, if anything did.
    unheard: Option<Unheard>,
    /// When something last arrived that it sent in the current view, to the group or directly.
    met_at: Option<Time>,
    /// It is not asked before.
    pub(super) ask_at: Time,
    /// Pause before the next question.
    pause_ms: u64,
    /// It may be silent for this many times `heartbeat_max_ms` while nothing is owed. Doubled with
    /// each question that it answers to the group, since the question was needless.
    calm: u64,
    /// After a question of its own it may be silent for this many times `unheard_ms`. Doubled with
    /// each question back that it answers to the group: or else two that hear each other would go
    /// on asking.
    calm_back: u64,
    /// It was told that its multicasts do not arrive, so it sends copies.
    copies: Option<Copies>,
}

impl Sender {
    pub(super) fn new(now: Time, is_copied: bool) -> Self {
        Self {
            heard_at: None,
            unheard: None,
            met_at: None,
            ask_at: now,
            pause_ms: ASK_MS,
            calm: 1,
            calm_back: 1,
            copies: is_copied.then(Copies::default),
        }
    }

    /// Something that it sent to the group arrived.
    #[inline]
    pub(super) fn handle_heard(&mut self, now: Time) {
        // Nothing has happened meanwhile, of most datagrams.
        if let Some(unheard) = self.unheard.take() {
            self.handle_heard_again(unheard);
        }
        self.heard_at = Some(now);
    }

    /// It is heard after `unheard`. A question that still waits for its turn is needless.
    #[cold]
    fn handle_heard_again(&mut self, unheard: Unheard) {
        if unheard.was_asked_idle && self.heard_at.is_some() {
            self.calm = (2 * self.calm).min(CALM_MAX);
        }
        if unheard.was_asked_back {
            self.calm_back = (2 * self.calm_back).min(CALM_MAX);
        }
        if unheard.asked > 0 {
            self.pause_ms = ASK_MS;
        }
    }

    /// Whether it was told that its multicasts do not arrive, so that it sends copies.
    #[inline]
    pub(super) fn is_copied(&self) -> bool {
        self.copies.is_some()
    }

    /// The datagram `counter` of it to the group arrived. True if its multicasts arrive beside its
    /// copies, and it is to be told.
    pub(super) fn handle_copy(&mut self, now: Time, counter: u64) -> bool {
        let Some(copies) = &mut self.copies else { return false };
        let tells = copies.handle_heard(now, counter);
        if copies.is_over() {
            self.copies = None;
        }
        tells
    }

    fn unheard(&self) -> Unheard {
        self.unheard.unwrap_or_default()
    }

    fn unheard_mut(&mut self) -> &mut Unheard {
        self.unheard.get_or_insert_default()
    }

    /// It answered this process alone.
    pub(super) fn handle_direct_answer(&mut self) {
        let unheard = self.unheard_mut();
        unheard.direct = unheard.direct.saturating_add(1);
    }

    /// Something that it sent in the current view arrived.
    #[inline]
    pub(super) fn handle_met(&mut self, now: Time) {
        self.met_at = Some(now);
    }

    /// When something last arrived that it sent in the current view.
    pub(super) fn met_at(&self) -> Option<Time> {
        self.met_at
    }

    /// It is to be asked now, however silent it is.
    pub(super) fn ask(&mut self) {
        self.unheard_mut().is_to_be_asked = true;
    }

    /// It asks this process, so it lacks something.
    pub(super) fn handle_question(&mut self) {
        self.unheard_mut().has_asked = true;
    }

    /// A change begins: a member that cannot be heard holds it up.
    pub(super) fn handle_change(&mut self, now: Time) {
        (self.ask_at, self.pause_ms) = (self.ask_at.min(now), ASK_MS);
        (self.calm, self.calm_back) = (1, 1);
        self.unheard.iter_mut().for_each(|unheard| unheard.asked = 0);
    }

    /// This process was late itself: what it did not hear may have been lost here.
    pub(super) fn handle_lateness(&mut self, now: Time) {
        self.unheard.iter_mut().for_each(|unheard| unheard.direct = 0);
        self.ask_at = self.ask_at.max(now.plus_ms(ASK_MS));
    }

    /// When it has been silent for too long in a view that began at `since`; `owed_since`: it owes
    /// an acknowledgement. It has something to send for all that time, or has to send a heartbeat
    /// meanwhile.
    pub(super) fn silent_at(
        &self,
        config: &GroupConfig,
        since: Time,
        owed_since: Option<Time>,
    ) -> Time {
        let patience = config.unheard_ms;
        let Some(heard_at) = self.heard_at else { return since.plus_ms(patience) };
        match owed_since {
            Some(_) if self.unheard().has_asked => heard_at.plus_ms(patience),
            Some(owed_since) => heard_at.max(owed_since).plus_ms(patience),
            None if self.unheard().has_asked => {
                heard_at.plus_ms(patience.saturating_mul(self.calm_back))
            }
            None => {
                let pause = config.heartbeat_max_ms.saturating_mul(self.calm);
                heard_at.plus_ms(pause.saturating_add(patience))
            }
        }
    }

    /// It has been silent for too long: asks it, unless that was done just before. True if it is
    /// to be asked.
    pub(super) fn handle_silence(
        &mut self,
        now: Time,
        pause_ms_max: u64,
        owes: bool,
        rng: &mut Rng,
    ) -> bool {
        if self.ask_at <= now {
            // Members that lost something together do not ask together again and again.
            let pause = Time::from_millis(self.pause_ms).0;
            self.ask_at = now + (pause - pause / 8 + rng.below(pause / 4));
            let unheard = self.unheard_mut();
            unheard.is_to_be_asked = true;
            unheard.was_asked_idle = !owes && !unheard.has_asked;
            unheard.was_asked_back = !owes && unheard.has_asked;
            unheard.asked = unheard.asked.saturating_add(1);
            if unheard.asked > DIRECT_MIN {
                self.pause_ms = (2 * self.pause_ms).min(pause_ms_max);
            }
        }
        self.is_to_be_asked()
    }

    /// Whether it is to be asked now.
    pub(super) fn is_to_be_asked(&self) -> bool {
        self.unheard().is_to_be_asked
    }

    /// It is asked.
    pub(super) fn handle_asked(&mut self) {
        self.unheard.iter_mut().for_each(|unheard| unheard.is_to_be_asked = false);
    }

    /// Whether it answers in a view of so many members, and its multicasts do not arrive.
    pub(super) fn is_unheard(&self, members: usize) -> bool {
        usize::from(self.unheard().direct) >= usize::from(DIRECT_MIN) + members / MEMBERS_PER_DIRECT
    }

    /// It is told that its multicasts do not arrive.
    pub(super) fn handle_told_unheard(&mut self) {
        self.copies = Some(Copies::default());
    }
}
