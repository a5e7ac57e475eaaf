//! The state comes from others, or goes to them.

use super::Replica;
use crate::ident::ProcessId;
use crate::replica::ballot::donors;
use crate::replica::event::ReplicaEvent;
use crate::replica::joining::Joining;
use crate::replica::owned::Owned;
use crate::replica::pull::{Progress, Pull};
use crate::replica::round::Round;
use crate::replica::spool::Written;
use crate::replica::state::{Broken, State};
use crate::time::Time;
use crate::wire::replica::{Standing, Word, decode};

/// A donor is tried so often, all donors in turn, before the replica gives up.
const DONOR_TRIES: usize = 3;

impl<S: State> Replica<S> {
    /// The state has to come from others. What is on its way goes on if it leads there.
    pub(super) fn join(&mut self, standing: Standing) {
        let Some(donor) = self.donor(None) else { return };
        if let Some(joining) = &mut self.joining
            && joining.standing() == standing
        {
            let is_there = |round: &Round| round.settled().contains(&joining.pull().donor());
            if !self.round.as_ref().is_some_and(is_there) {
                self.pull_from(donor);
            }
            return;
        }
        let pull = self.new_pull(donor, standing.at);
        self.joining = Some(Joining::new(standing, pull));
    }

    pub(super) fn new_pull(&self, donor: ProcessId, since: u64) -> Pull {
        Pull::new(donor, since, (self.config.make_spool)(), self.config.state_bytes_max)
    }

    pub(super) fn pull_from(&mut self, donor: ProcessId) {
        let Some(since) = self.joining.as_ref().map(Joining::since) else { return };
        let pull = self.new_pull(donor, since);
        if let Some(joining) = &mut self.joining {
            joining.turn_to(pull);
        }
    }

    /// Who donates to this process: the one whose turn it is, or the next one after `failed`.
    pub(super) fn donor(&self, failed: Option<ProcessId>) -> Option<ProcessId> {
        let round = self.round.as_ref()?;
        let members = round.view().members();
        let mine = donors(members, round.settled()).into_iter().find(|(j, _)| *j == self.me);
        let Some(failed) = failed else { return mine.map(|(_, donor)| donor) };
        let settled = || round.settled().iter().copied().filter(|p| *p != self.me);
        settled().find(|p| *p > failed).or_else(|| settled().next())
    }

    /// The donor cannot go on: the next one.
    pub(super) fn turn_to_next_donor(&mut self) -> Result<(), Broken> {
        let donors = self.round.as_ref().map_or(0, |round| round.settled().len());
        let Some(joining) = &mut self.joining else { return Ok(()) };
        if joining.handle_failure() > DONOR_TRIES * donors.max(1) {
            return Err(Broken::new("no member could hand the state over: see what they report"));
        }
        let failed = joining.pull().donor();
        if let Some(next) = self.donor(Some(failed)) {
            self.pull_from(next);
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
            Word::About { .. } | Word::Part { .. } | Word::Gone => {
                let max = self.config.state_bytes_max;
                let Some(joining) = &mut self.joining else { return Ok(()) };
                if joining.pull().donor() != from {
                    return Ok(());
                }
                match joining.pull_mut().handle(now, &word, max)? {
                    Progress::Nothing => joining.drop_known(),
                    Progress::Whole => self.try_to_settle()?,
                    Progress::Failed => self.turn_to_next_donor()?,
                }
            }
        }
        Ok(())
    }

    pub(super) fn donate(&mut self, joiner: ProcessId, since: u64) {
        let owned = self.owned.as_ref().filter(|owned| owned.standing().at >= since);
        let Some(owned) = owned.filter(|_| self.joining.is_none()) else {
            return self.donations.refuse(joiner);
        };
        if self.donations.share(joiner, since) {
            return;
        }
        let out = Written::new((self.config.make_spool)(), self.config.state_bytes_max);
        match owned.snapshot(out) {
            Ok(written) => self.donations.add(joiner, owned.standing(), written),
            Err(why) => {
                self.donations.refuse(joiner);
                self.tell(ReplicaEvent::SnapshotFailed(why));
            }
        }
    }

    /// If the snapshot is here and all that is behind it is held, the state is made of them: not
    /// before it is known whose state counts, since the view may take that of others.
    pub(super) fn try_to_settle(&mut self) -> Result<(), Broken> {
        if !self.round.as_ref().is_some_and(Round::is_agreed) {
            return Ok(());
        }
        let Some(joining) = self.joining.take_if(|joining| joining.is_ready()) else {
            return Ok(());
        };
        let (standing, mut pull, held) = joining.into_parts();
        let from = pull.donor();
        let Some(snapshot) = pull.standing() else { return Ok(()) };
        let written = pull.written();
        let bytes = written.len();
        let owned = Owned::restore(snapshot, &mut written.reader()).map_err(|why| {
            Broken(alloc::format!("the state that came from {from} cannot be restored: {why}"))
        })?;
        self.owned = Some(owned);
        for message in held.into_iter().filter(|held| held.at > snapshot.at) {
            if let Some(said) = decode(&message.message) {
                self.apply(message.from, &said, message.stage)?;
            }
        }
        let Some(owned) = &mut self.owned else { return Ok(()) };
        owned.set_epoch(standing.epoch);
        if owned.standing() != standing {
            return Err(Broken(alloc::format!(
                "the state that came from {from} is not that of the group: its messages differ"
            )));
        }
        let Some(round) = &mut self.round else { return Ok(()) };
        round.handle_restored();
        let is_served = round.is_served();
        if is_served {
            self.calls.resolve(owned.sessions());
        }
        self.tell(ReplicaEvent::Restored { from, bytes });
        if is_served {
            self.tell(ReplicaEvent::Served);
        }
        Ok(())
    }
}
