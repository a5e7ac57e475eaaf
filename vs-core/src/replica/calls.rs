//! What this process has asked for and not heard yet: operations of its session, and reads.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::answer::{Answer, Ticket};
use super::sessions::{OUTSTANDING_MAX, Sessions};
use super::told::{Name, Told};
use crate::trace::CallResult;
use crate::wire::replica::{Said, encode};

#[derive(Debug)]
struct Call {
    ticket: Ticket,
    no: u64,
    op: Vec<u8>,
    /// Sent in this view or an earlier one.
    was_sent: bool,
    /// All members are asked for their answers.
    is_collected: bool,
}

/// The own answer to an operation to which all members are asked for theirs.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) ticket: Ticket,
    pub(super) name: Name,
    pub(super) session: u64,
    pub(super) no: u64,
    pub(super) answer: Vec<u8>,
}

/// A read, and the mark that it waits for.
#[derive(Debug)]
struct Read {
    ticket: Ticket,
    mark: Option<u64>,
    /// The session in which the trace names it, once a mark was sent.
    client: Option<u64>,
}

impl Read {
    fn name(&self) -> Name {
        Name { client: self.client.unwrap_or(0), no: self.ticket.0 }
    }
}

#[derive(Debug)]
pub(super) struct Calls {
    nonce: u64,
    next_ticket: u64,
    session: Option<u64>,
    is_open_sent: bool,
    /// The number of the next operation.
    next_no: u64,
    calls: VecDeque<Call>,
    /// So many of them were sent in the current view: the first ones.
    sent: usize,
    reads: VecDeque<Read>,
    last_mark: u64,
    answers: VecDeque<(Ticket, Answer)>,
    own_answers: VecDeque<Own>,
    /// Operations whose answers all members keep until they were asked for them.
    kept: BTreeSet<u64>,
}

impl Calls {
    pub(super) fn new(nonce: u64) -> Self {
        Self {
            nonce,
            next_ticket: 1,
            session: None,
            is_open_sent: false,
            next_no: 1,
            calls: VecDeque::new(),
            sent: 0,
            reads: VecDeque::new(),
            last_mark: 0,
            answers: VecDeque::new(),
            own_answers: VecDeque::new(),
            kept: BTreeSet::new(),
        }
    }

    /// How the trace names a call.
    fn name(&self, no: u64) -> Name {
        Name { client: self.nonce, no }
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket - 1)
    }

    /// Whether one more call or read finds room beside so many group calls. An answer takes the
    /// room of its call until it is heard.
    pub(super) fn has_room(&self, collects: usize) -> bool {
        let asked = self.calls.len().max(self.reads.len());
        asked + collects + self.answers.len() < OUTSTANDING_MAX
    }

    pub(super) fn call(&mut self, op: Vec<u8>, is_collected: bool) -> Ticket {
        let (ticket, no) = (self.ticket(), self.next_no);
        self.next_no += 1;
        self.calls.push_back(Call { ticket, no, op, was_sent: false, is_collected });
        ticket
    }

    pub(super) fn read(&mut self) -> Ticket {
        let ticket = self.ticket();
        self.reads.push_back(Read { ticket, mark: None, client: None });
        ticket
    }

    pub(super) fn poll_answer(&mut self) -> Option<(Ticket, Answer)> {
        self.answers.pop_front()
    }

    /// Whether a read has just become possible.
    pub(super) fn is_readable(&self) -> bool {
        self.answers.back().is_some_and(|(_, answer)| *answer == Answer::Readable)
    }

    /// The view ends: what was not answered is asked for again in the next served one.
    pub(super) fn handle_view(&mut self) {
        self.is_open_sent = false;
        self.sent = 0;
        self.reads.iter_mut().for_each(|read| read.mark = None);
    }

    /// The view is served, and the state is here: answers that it has already are taken.
    pub(super) fn resolve(&mut self, sessions: &Sessions, told: &mut Told) {
        match self.session {
            None => self.session = sessions.find(self.nonce),
            Some(id) if !sessions.is_of(id, self.nonce) => self.lose_session(told),
            Some(_) => {}
        }
        let Some(id) = self.session else { return };
        while let Some(answer) = self.calls.front().and_then(|c| sessions.answer(id, c.no)) {
            self.answer_first(id, answer.to_vec(), told);
        }
    }

    fn answer_first(&mut self, session: u64, answer: Vec<u8>, told: &mut Told) {
        let Some(Call { ticket, no, is_collected, .. }) = self.calls.pop_front() else { return };
        told.answered(self.name(no), CallResult::Ok, &answer);
        self.sent = self.sent.saturating_sub(1);
        if is_collected {
            self.kept.insert(no);
            let name = self.name(no);
            self.own_answers.push_back(Own { ticket, name, session, no, answer });
        } else {
            self.answers.push_back((ticket, Answer::Done(answer)));
        }
    }

    /// The next own answer to an operation to which all members are asked for theirs.
    pub(super) fn poll_own_answer(&mut self) -> Option<Own> {
        self.own_answers.pop_front()
    }

    /// No member needs to keep its answer to this operation any more.
    pub(super) fn release(&mut self, no: u64) {
        self.kept.remove(&no);
    }

    /// Answers up to this number are not needed any more.
    fn done(&self) -> u64 {
        let waiting = self.calls.front().map(|call| call.no);
        let first = waiting.into_iter().chain(self.kept.first().copied()).min();
        first.map_or(0, |no| no - 1)
    }

    /// The session was opened, as all are promised.
    pub(super) fn handle_open(&mut self, nonce: u64, sessions: &Sessions) {
        if nonce == self.nonce && self.session.is_none() {
            self.session = sessions.find(nonce);
        }
    }

    /// An operation of a session was carried out, as all are promised.
    pub(super) fn handle_answer(&mut self, session: u64, no: u64, answer: &[u8], told: &mut Told) {
        if self.session == Some(session) && self.calls.front().is_some_and(|call| call.no == no) {
            self.answer_first(session, answer.to_vec(), told);
        }
    }

    /// An operation of a session is not carried out, since the session is over.
    pub(super) fn handle_ended(&mut self, session: u64, no: u64, told: &mut Told) {
        let waits = self.calls.iter().take(self.sent).any(|call| call.no == no);
        if waits && self.session == Some(session) {
            self.lose_session(told);
        }
    }

    /// What was asked for in it is lost. The next session has another name.
    fn lose_session(&mut self, told: &mut Told) {
        let client = self.nonce;
        self.session = None;
        self.is_open_sent = false;
        self.nonce = self.nonce.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        self.sent = 0;
        self.kept.clear();
        let lost = self.calls.iter().filter(|call| call.was_sent).count();
        for call in self.calls.drain(..lost) {
            told.answered(Name { client, no: call.no }, CallResult::Unknown, &[]);
            self.answers.push_back((call.ticket, Answer::Lost));
        }
    }

    /// The own mark was delivered, as all are promised.
    pub(super) fn handle_mark(&mut self, nonce: u64, told: &mut Told) {
        while self.reads.front().is_some_and(|read| read.mark.is_some_and(|mark| mark <= nonce)) {
            if let Some(read) = self.reads.pop_front() {
                told.readable(read.name());
                self.answers.push_back((read.ticket, Answer::Readable));
            }
        }
    }

    /// Reads wait for nothing: no rule allows that.
    pub(super) fn read_at_once(&mut self, told: &mut Told) {
        for read in core::mem::take(&mut self.reads) {
            let read = Read { client: Some(self.nonce), ..read };
            told.asked_to_read(read.name());
            told.readable(read.name());
            self.answers.push_back((read.ticket, Answer::Readable));
        }
    }

    /// What is to be multicast next, in a served view; `handle_sent` follows if it was.
    pub(super) fn next(&self) -> Option<Vec<u8>> {
        if self.reads.back().is_some_and(|read| read.mark.is_none()) {
            return Some(encode(&Said::Mark { nonce: self.last_mark + 1 }));
        }
        let call = self.calls.get(self.sent)?;
        let Some(session) = self.session else {
            let first = self.calls.front().map_or(self.next_no, |call| call.no);
            let open = Said::Open { nonce: self.nonce, first };
            return (!self.is_open_sent).then(|| encode(&open));
        };
        let done = self.done();
        // No member keeps more answers.
        if call.no - done > OUTSTANDING_MAX as u64 {
            return None;
        }
        Some(encode(&Said::Op { session, no: call.no, done, op: &call.op }))
    }

    /// What [`Calls::next`] named was taken by the group.
    pub(super) fn handle_sent(&mut self, told: &mut Told) {
        let client = self.nonce;
        if self.reads.back().is_some_and(|read| read.mark.is_none()) {
            self.last_mark += 1;
            for read in self.reads.iter_mut().filter(|read| read.mark.is_none()) {
                read.mark = Some(self.last_mark);
                if read.client.replace(read.client.unwrap_or(client)).is_none() {
                    told.asked_to_read(read.name());
                }
            }
        } else if self.session.is_none() {
            self.is_open_sent = true;
        } else if let Some(call) = self.calls.get_mut(self.sent) {
            if !core::mem::replace(&mut call.was_sent, true) {
                told.asked(Name { client, no: call.no }, &call.op);
            }
            self.sent += 1;
        }
    }

    /// What [`Calls::next`] named is longer than a message of the group may be.
    pub(super) fn handle_too_large(&mut self, told: &mut Told) {
        let at = self.sent;
        if let Some(call) = self.calls.remove(at) {
            told.asked(self.name(call.no), &call.op);
            told.answered(self.name(call.no), CallResult::Refused, &[]);
            // Its number is free again for the ones behind it.
            self.calls.iter_mut().skip(at).for_each(|later| later.no -= 1);
            self.next_no -= 1;
            self.answers.push_back((call.ticket, Answer::TooLarge));
        }
    }
}
