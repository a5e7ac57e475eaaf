//! Group calls: all members are asked for their answers.

use super::Replica;
use crate::endpoint::DirectError;
use crate::replica::answer::{Answer, Ticket};
use crate::replica::calls::Own;
use crate::replica::collect::Circle;
use crate::replica::port::Port;
use crate::replica::state::State;
use crate::time::Time;
use crate::wire::replica::{Reply, TOLD_OVERHEAD, Word, encode};

impl<S: State> Replica<S> {
    /// Asks others, and answers them. Returns when to be called again.
    pub(super) fn drive_collects(&mut self, now: Time, port: &mut impl Port) -> Option<Time> {
        let Self { round: Some(round), collects, calls, copy, config, .. } = self else {
            return None;
        };
        while let Some(Own { ticket, session, no, answer }) = calls.poll_own_answer() {
            collects.begin(ticket, (session, no), self.me, &answer, round.view().members());
        }
        let answer_max = port.direct_bytes_max().saturating_sub(TOLD_OVERHEAD);
        let mut say = |to, word: &Word<'_>| {
            port.send_direct(to, &encode(word)) != Err(DirectError::QueueFull)
        };
        // A state that does not count, or is still to come, has nothing to tell.
        let sessions = copy.owned().filter(|_| self.joining.is_none()).map(|o| o.sessions());
        let told = |session, no| {
            let sessions = sessions?;
            match sessions.answer(session, no) {
                Some(answer) if answer.len() > answer_max => Some(Reply::TooLarge),
                Some(answer) => Some(Reply::Answer(answer)),
                None if sessions.expects(session, no) => None,
                None => Some(Reply::Refused),
            }
        };
        collects.answer(told, &mut say);
        let members = round.view().members();
        let circle =
            Circle { members, strangers: round.strangers(), primary_of: &config.primary_of };
        collects.drive(now, &circle, &mut say)
    }

    /// The next group call that has come to its end.
    pub(super) fn poll_collected(&mut self) -> Option<(Ticket, Answer)> {
        let round = self.round.as_ref()?;
        let members = round.view().members();
        let primary_of = &self.config.primary_of;
        let circle = Circle { members, strangers: round.strangers(), primary_of };
        let (ticket, no, collected) = self.collects.poll(&circle)?;
        self.calls.release(no);
        Some((ticket, Answer::Collected(collected)))
    }
}
