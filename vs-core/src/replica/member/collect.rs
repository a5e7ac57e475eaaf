//! Group calls: all members are asked for their answers.

use super::Replica;
use crate::endpoint::DirectError;
use crate::replica::answer::{Answer, Ticket};
use crate::replica::collect::{Circle, Ended};
use crate::replica::port::Port;
use crate::replica::state::State;
use crate::time::Time;
use crate::wire::replica::{REPLY_OVERHEAD, Reply, Word, encode};

impl<S: State> Replica<S> {
    /// Asks others, and answers them. Returns when to be called again.
    pub(super) fn drive_collects(&mut self, now: Time, port: &mut impl Port) -> Option<Time> {
        let Self { round: Some(round), collects, calls, copy, config, told, .. } = self else {
            return None;
        };
        let (members, strangers) = (round.view().members(), round.strangers());
        let circle = Circle { members, strangers, primary_of: &config.primary_of };
        while let Some(own) = calls.poll_own_answer() {
            collects.begin(own, self.me, &circle, told);
        }
        let answer_max = port.direct_bytes_max().saturating_sub(REPLY_OVERHEAD);
        let mut say = |to, word: &Word<'_>| {
            port.send_direct(to, &encode(word)) != Err(DirectError::QueueFull)
        };
        // A state that does not count, or is still to come, has nothing to tell.
        let sessions = copy.owned().filter(|_| self.joining.is_none()).map(|o| o.sessions());
        let reply = |session, no| {
            let sessions = sessions?;
            match sessions.answer(session, no) {
                Some(answer) if answer.len() > answer_max => Some(Reply::TooLarge),
                Some(answer) => Some(Reply::Answer(answer)),
                None if sessions.expects(session, no) => None,
                None => Some(Reply::Refused),
            }
        };
        collects.answer(reply, &mut say);
        let wake = collects.drive(now, &circle, told, &mut say);
        told.write(port);
        wake
    }

    /// The next group call that has come to its end.
    pub(super) fn poll_collected(&mut self) -> Option<(Ticket, Answer)> {
        let Ended { ticket, no, collected } = self.collects.poll()?;
        self.calls.release(no);
        Some((ticket, Answer::Collected(collected)))
    }
}
