//! What a replica tells the trace of its process.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::answer::{Collected, Missing};
use super::donate::Donations;
use super::owned::Outcome;
use super::port::Port;
use super::sessions::Sessions;
use crate::ident::{FNV_OFFSET, fnv1a};
use crate::order::Stage;
use crate::trace::{CallKind, CallResult, Event, ReplyResult, StateEvent};
use crate::wire::replica::Said;

/// Most lines that wait to be written. Beyond that the trace breaks off, and says so. They are
/// written by each [`super::Replica::drive`]. While some wait, the replica takes no actions; one
/// action leads to a few of them, or to one for each message that was held for the state.
const LINES_MAX: usize = 1 << 20;

/// A call or a read: its session, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) client: u64,
    pub(super) no: u64,
}

/// Lines that wait to be written. Without a trace there are none.
#[derive(Debug, Default)]
pub(super) struct Told {
    is_traced: bool,
    lines: VecDeque<StateEvent>,
    /// There were more than [`LINES_MAX`].
    is_broken_off: bool,
}

impl Told {
    pub(super) fn is_traced(&self) -> bool {
        self.is_traced
    }

    pub(super) fn has_lines(&self) -> bool {
        !self.lines.is_empty()
    }

    pub(super) fn learn(&mut self, is_traced: bool) {
        self.is_traced = is_traced && !self.is_broken_off;
    }

    /// Writes what waits.
    pub(super) fn write(&mut self, port: &mut impl Port) {
        if self.lines.is_empty() {
            return;
        }
        self.lines.drain(..).for_each(|line| port.record(Event::State(line)));
        if self.is_broken_off {
            port.record(Event::BrokenOff);
        }
    }

    pub(super) fn tell(&mut self, line: impl FnOnce() -> StateEvent) {
        if !self.is_traced {
            return;
        }
        if self.lines.len() == LINES_MAX {
            (self.is_traced, self.is_broken_off) = (false, true);
            return;
        }
        self.lines.push_back(line());
    }

    /// A message of `stage` has taken place `at` of the order.
    pub(super) fn applied(
        &mut self,
        said: &Said<'_>,
        stage: Stage,
        outcome: &Outcome,
        sessions: &Sessions,
        at: u64,
    ) {
        self.tell(|| match *said {
            Said::Op { session, no, op, .. } => {
                let (client, hash) = (sessions.nonce(session).unwrap_or(0), hash(op));
                match outcome {
                    Outcome::Answered { is_new: true, .. } => {
                        StateEvent::Apply { client, no, at, hash, stage }
                    }
                    _ => StateEvent::Pass { client, no, at, hash, stage },
                }
            }
            Said::Open { nonce, .. } => StateEvent::Open { client: nonce, at, stage },
            _ => StateEvent::Pass { client: 0, no: 0, at, hash: FNV_OFFSET, stage },
        });
    }

    /// What is to be said of snapshots to joiners.
    pub(super) fn offers(&mut self, donations: &mut Donations) {
        if self.is_traced {
            let offer = |(to, at, hash)| StateEvent::Snapshot { to, at, hash };
            donations.take_offers(|offered| self.tell(|| offer(offered)));
        }
    }

    /// A call goes to the group.
    pub(super) fn asked(&mut self, Name { client, no }: Name, op: &[u8]) {
        let kind = CallKind::Call;
        self.tell(|| StateEvent::Call { client, no, kind, hash: hash(op) });
    }

    /// A read goes to the group.
    pub(super) fn asked_to_read(&mut self, Name { client, no }: Name) {
        let kind = CallKind::Read;
        self.tell(|| StateEvent::Call { client, no, kind, hash: FNV_OFFSET });
    }

    /// A call is answered.
    pub(super) fn answered(
        &mut self,
        Name { client, no }: Name,
        result: CallResult,
        answer: &[u8],
    ) {
        let kind = CallKind::Call;
        self.tell(|| StateEvent::Reply { client, no, kind, result, hash: hash(answer) });
    }

    /// The answer to a call is asked of all members.
    pub(super) fn collects(&mut self, Name { client, no }: Name, want: u64) {
        self.tell(|| StateEvent::Collect { client, no, want });
    }

    /// Who has replied to a group call, and who is missing: no more is waited for.
    pub(super) fn collected(
        &mut self,
        Name { client, no }: Name,
        Collected { replies, missing, is_enough }: &Collected<Vec<u8>>,
    ) {
        for (from, answer) in replies {
            let (from, result) = (*from, ReplyResult::Ok);
            self.tell(|| StateEvent::Heard { client, no, from, result, hash: hash(answer) });
        }
        for (from, why) in missing {
            let (from, hash) = (*from, FNV_OFFSET);
            let result = match why {
                Missing::Left => ReplyResult::Left,
                Missing::Refused => ReplyResult::Refused,
                Missing::Timeout => ReplyResult::Timeout,
                Missing::TooLarge => ReplyResult::TooLarge,
            };
            self.tell(|| StateEvent::Heard { client, no, from, result, hash });
        }
        let is_enough = *is_enough;
        self.tell(|| StateEvent::Collected { client, no, is_enough });
    }

    /// A read is possible now.
    pub(super) fn readable(&mut self, Name { client, no }: Name) {
        let (kind, result) = (CallKind::Read, CallResult::Ok);
        self.tell(|| StateEvent::Reply { client, no, kind, result, hash: FNV_OFFSET });
    }
}

fn hash(bytes: &[u8]) -> u64 {
    fnv1a(FNV_OFFSET, bytes)
}
