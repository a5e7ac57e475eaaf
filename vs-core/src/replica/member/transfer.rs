//! The state comes from others, or goes to them.

use super::Replica;
use crate::ident::ProcessId;
use crate::replica::ballot::donors;
use crate::replica::event::ReplicaEvent;
use crate::replica::job::{Job, JobDone, JobResult};
use crate::replica::joining::Joining;
use crate::replica::pull::{Progress, Pull};
use crate::replica::round::Round;
use crate::replica::spool::Written;
use crate::replica::state::{Broken, State};
use crate::rule::Rule;
use crate::time::Time;
use crate::trace::StateEvent;
use crate::wire::replica::{Standing, Word, decode};

/// A donor is tried so often, all donors in turn, before the replica gives up.
const DONOR_TRIES: usize = 3;
/// After all donors in turn could not hand the state over it is asked for again so much later.
const DONORS_PAUSE_MS: u64 = 500;

impl<S: State> Replica<S> {
    /// The state has to come from others. What is on its way goes on if it leads there.
    pub(super) fn join(&mut self, standing: Standing) {
        let Some(donor) = self.donor(None) else { return };
        if let Some(joining) = &mut self.joining
            && joining.standing() == standing
        {
            let settled = self.round.as_ref().map(Round::settled);
            let is_there = settled.is_some_and(|settled| settled.contains(&joining.donor()));
            if joining.pull().is_some() && !is_there {
                self.pull_from(donor);
            }
            return;
        }
        let pull = self.new_pull(donor, standing.at);
        self.joining = Some(Joining::new(standing, pull));
    }

    fn new_pull(&self, donor: ProcessId, since: u64) -> Pull {
        Pull::new(donor, since, self.new_written())
    }

    fn new_written(&self) -> Written {
        let written = Written::new((self.config.make_spool)(), self.config.state_bytes_max);
        written.hashed(self.told.is_traced())
    }

    fn pull_from(&mut self, donor: ProcessId) {
        let Some(since) = self.joining.as_ref().map(Joining::since) else { return };
        let pull = self.new_pull(donor, since);
        if let Some(joining) = &mut self.joining {
            joining.turn_to(pull);
        }
    }

    /// Who donates to this process: the one whose turn it is, or the next one after `failed`.
    fn donor(&self, failed: Option<ProcessId>) -> Option<ProcessId> {
        let round = self.round.as_ref()?;
        let members = round.view().members();
        let mine = donors(members, round.settled()).into_iter().find(|(j, _)| *j == self.me);
        let Some(failed) = failed else { return mine.map(|(_, donor)| donor) };
        let settled = || round.settled().iter().copied().filter(|p| *p != self.me);
        settled().find(|p| *p > failed).or_else(|| settled().next())
    }

    /// The donor cannot go on: the next one; after all of them not at once.
    pub(super) fn turn_to_next_donor(&mut self, now: Time) -> Result<(), Broken> {
        let donors = self.round.as_ref().map_or(0, |round| round.settled().len()).max(1);
        let Some(joining) = &mut self.joining else { return Ok(()) };
        let (failures, failed) = (joining.handle_failure(), joining.donor());
        if failures > DONOR_TRIES * donors {
            return Err(Broken::new("no member could hand the state over: see what they report"));
        }
        if let Some(next) = self.donor(Some(failed)) {
            self.pull_from(next);
        }
        if failures.is_multiple_of(donors)
            && let Some(pull) = self.joining.as_mut().and_then(Joining::pull)
        {
            pull.wait_until(now.plus_ms(DONORS_PAUSE_MS));
        }
        Ok(())
    }

    pub(super) fn retain_joiners(&mut self) {
        let Some(round) = &self.round else { return };
        let settled = round.settled();
        self.donations.retain(|p| round.view().contains(p) && !settled.contains(&p));
    }

    /// Another member says something to this one alone.
    ///
    /// # Errors
    /// The replica cannot go on.
    pub fn handle_direct(
        &mut self,
        now: Time,
        from: ProcessId,
        message: &[u8],
    ) -> Result<(), Broken> {
        let Some(word) = decode(message) else { return Ok(()) };
        match word {
            Word::Ask { since } => self.donate(from, since),
            Word::Range { transfer, from: start, upto, part } => {
                self.donations.handle_range(from, transfer, (start, upto), part);
            }
            Word::About { .. } | Word::Part { .. } | Word::Gone | Word::Soon => {
                self.handle_word(now, from, &word)?;
            }
            Word::Question { session, no } => self.collects.handle_question(from, session, no),
            Word::Reply { session, no, reply } => {
                self.collects.handle_reply(from, session, no, reply);
            }
        }
        Ok(())
    }

    /// The donor says something.
    fn handle_word(&mut self, now: Time, from: ProcessId, word: &Word<'_>) -> Result<(), Broken> {
        let max = self.config.state_bytes_max;
        let Some(joining) = self.joining.as_mut().filter(|joining| joining.donor() == from) else {
            return Ok(());
        };
        let Some(pull) = joining.pull() else { return Ok(()) };
        match pull.handle(now, word, max)? {
            Progress::Nothing if *word == Word::Soon => Ok(()),
            Progress::Nothing => {
                joining.handle_progress();
                Ok(())
            }
            Progress::Whole => {
                joining.handle_progress();
                self.read_snapshot();
                Ok(())
            }
            Progress::Failed => self.turn_to_next_donor(now),
        }
    }

    /// A joiner asks for a snapshot.
    fn donate(&mut self, joiner: ProcessId, since: u64) {
        if self.joining.is_some() || !self.copy.exists() {
            return self.donations.refuse(joiner);
        }
        if self.donations.share(joiner, since) {
            return;
        }
        let has_come = self.copy.standing().is_some_and(|standing| standing.at >= since);
        let (is_free, job) = (!self.jobs.is_writing(), self.jobs.next_id());
        match (has_come && is_free).then(|| self.copy.lend(job)).flatten() {
            Some(owned) => {
                self.donations.begin(joiner, owned.standing(), job);
                self.jobs.add_write(owned, self.new_written());
            }
            // It will have: what waits for the copy, or is still to be delivered, is in it then. A
            // snapshot of a state that was lost may still be written.
            None => self.donations.put_off(joiner),
        }
    }

    /// If all bytes of a snapshot are here, the state is made of them.
    fn read_snapshot(&mut self) {
        let Self { joining: Some(joining), jobs, .. } = self else { return };
        if !jobs.is_reading() {
            joining.read(|standing, written| jobs.add_read(standing, written));
        }
    }

    /// What takes long, and may be run on another thread, if there is anything: take it before
    /// [`Replica::drive`], which runs what nobody took. [`Replica::handle_job`] follows.
    pub fn poll_job(&mut self) -> Option<Job<S>> {
        self.jobs.pop()
    }

    /// A job has come to its end.
    ///
    /// # Errors
    /// The replica cannot go on.
    pub fn handle_job(&mut self, done: JobDone<S>) -> Result<(), Broken> {
        let JobDone { id, result } = done;
        self.jobs.handle_end(&result);
        match result {
            JobResult::Written(owned, written) => {
                self.copy.take_back(id, owned);
                let (written, why) = match written {
                    Ok(written) => (Some(written), None),
                    Err(why) => (None, Some(why)),
                };
                if self.donations.handle_written(id, written) {
                    why.into_iter().for_each(|why| self.tell(ReplicaEvent::SnapshotFailed(why)));
                }
                self.catch_up()
            }
            JobResult::Read(owned) => {
                let joining = self.joining.as_mut().filter(|joining| joining.is_read_by(id));
                let Some(joining) = joining else {
                    self.read_snapshot(); // of the state that counts now
                    return Ok(());
                };
                let from = joining.donor();
                let owned = owned.map_err(|why| {
                    Broken(alloc::format!(
                        "the state that came from {from} cannot be restored: {why}"
                    ))
                })?;
                joining.handle_read(owned);
                self.try_to_settle()
            }
        }
    }

    /// If the state is made, and all that is behind it is held, it takes the place of the own one:
    /// not before it is known whose state counts, since the view may take that of others.
    pub(super) fn try_to_settle(&mut self) -> Result<(), Broken> {
        let Some(round) = self.round.as_ref().filter(|round| round.is_agreed()) else {
            return Ok(());
        };
        let Some(joining) = self.joining.take_if(|joining| joining.is_ready()) else {
            return Ok(());
        };
        let (from, hash) = (joining.donor(), joining.hash());
        let Some((mut owned, mut hold)) = joining.into_parts() else { return Ok(()) };
        if !self.config.rules.keeps(Rule::ReplicaSessions) {
            owned.forget_sessions();
        }
        let at = owned.standing().at;
        self.told.tell(|| StateEvent::Restore { from, at, hash });
        if round.is_served() {
            hold.push_served(round.view().id(), round.is_promised());
        }
        self.copy.replace(owned, hold);
        self.catch_up()
    }

    /// What came from another member is the state of the group from here on.
    pub(super) fn handle_restored(
        &mut self,
        standing: Standing,
        from: ProcessId,
        bytes: u64,
    ) -> Result<(), Broken> {
        let Some(owned) = self.copy.owned_mut() else { return Ok(()) };
        owned.set_epoch(standing.epoch);
        if owned.standing() != standing {
            return Err(Broken(alloc::format!(
                "the state that came from {from} is not that of the group: its messages differ"
            )));
        }
        if let Some(round) = &mut self.round {
            round.handle_restored();
        }
        self.told.tell(|| StateEvent::Settled);
        self.tell(ReplicaEvent::Restored { from, bytes });
        Ok(())
    }
}
