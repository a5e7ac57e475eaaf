//! A member at work: one thread, one poll.

use core::time::Duration;
use std::io::ErrorKind;

use mio::{Events, Poll, Token};
use signal_hook_mio::v1_0::Signals;
use vs_core::ident::{GroupKey, ProcessId};
use vs_core::status::Status;
use vs_core::{DetachReason, SendError, Time};
use vs_mio::{Driver, Tokens};
use vs_std::ServerName;
use vs_std::faults::Faults;
use vs_std::udp::SmallBuffers;

use super::advice::Advice;
use super::echo::Tee;
use super::embedded::say_notes;
use super::status::{self, Desk};
use super::told::{Follow, told};
use crate::cut::Cut;
use crate::failure::{Failure, system};
use crate::input::{Next, Source};
use crate::metrics::Questions;
use crate::network::{is_limit, unconnected, unreached};
use crate::output::Output;
use crate::renewal::Renewal;
use crate::repeats::Repeats;

pub(super) const WAKE: Token = Token(0);
const SIGNALS: Token = Token(1);
/// Where the status is asked for, and connections there.
pub(super) const STATUS: Token = Token(2);
/// Of the driver: all from its first one on may be its own.
pub(super) const TOKENS: Tokens = {
    let base = STATUS.0 + 1 + status::CONNECTIONS_MAX;
    Tokens {
        multicast: Token(base),
        unicast: Token(base + 1),
        server: Token(base + 2),
        embedded: Token(base + 3),
    }
};
const EVENTS_MAX: usize = 256;

/// How long a server may take to answer before that is told, in ms.
const WAITING_MS: u64 = 1000;

/// Messages that are taken from the source before the sockets have their turn.
const SENDS_MAX: usize = 256;

/// Bounds of a session, and what it tells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) message_bytes_max: usize,
    pub(super) connect_ms: u64,
    /// That time is waited although all servers refuse the connection.
    pub(super) is_patient: bool,
    pub(super) leave_ms: u64,
    /// Views may be primary: those that cannot be are told of.
    pub(super) has_voters: bool,
}

/// How far the session is from its end.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Joined,
    /// Asked to leave, for [`vs_core::Action::Left`] until the time.
    Leaving(Time),
    /// Left; the last bytes for the server may take until the time.
    Left(Time),
    Over,
}

pub(super) struct Session {
    poll: Poll,
    driver: Driver<Tee>,
    /// With a membership server inside: how it finds others, in words.
    how: Option<String>,
    /// Where the status is asked for.
    desk: Option<Desk>,
    /// What is asked for metrics.
    asked: Option<Questions>,
    group: GroupKey,
    process: ProcessId,
    output: Output,
    signals: Signals,
    cut: Cut,
    renewal: Renewal,
    source: Source,
    leave_at_eof: bool,
    limits: Limits,
    phase: Phase,
    /// The first reason to end with an error.
    failure: Option<Failure>,
    /// A message that the group had no room for.
    held: Option<Vec<u8>>,
    /// Whether the group has no room for a message.
    refused: bool,
    ended: bool,
    /// When the source may have more, if it has nothing at the moment.
    source_at: Option<Time>,
    /// Whether the source was left with more to send.
    source_busy: bool,
    sent: u64,
    came_back: u64,
    trace_failed: bool,
    /// Why attachments ended.
    repeats: Repeats,
    /// What was said about datagrams.
    datagrams: Advice,
    /// Told that no server answers.
    waits: bool,
    /// What is told with the first view: it concerns traffic.
    advice: Option<SmallBuffers>,
    /// Since the connection was lost: how many connections had been answered then.
    lost_at: Option<u64>,
    /// Servers of which it was said that their names cannot be looked up.
    unknown: Vec<ServerName>,
}

impl Session {
    pub(super) fn new(
        poll: Poll,
        driver: Driver<Tee>,
        group: GroupKey,
        process: ProcessId,
        output: Output,
        source: Source,
        (cut, renewal): (Cut, Renewal),
    ) -> Result<Self, Failure> {
        let mut signals = Signals::new(cut.signals(renewal.signals()))
            .map_err(|e| system("wait for signals", &e))?;
        poll.registry()
            .register(&mut signals, SIGNALS, mio::Interest::READABLE)
            .map_err(|e| system("wait for signals", &e))?;
        Ok(Self {
            poll,
            advice: driver.small_buffers(),
            driver,
            how: None,
            desk: None,
            asked: None,
            group,
            process,
            output,
            signals,
            cut,
            renewal,
            source,
            leave_at_eof: false,
            limits: Limits::default(),
            phase: Phase::Joined,
            failure: None,
            held: None,
            refused: false,
            ended: false,
            source_at: None,
            source_busy: false,
            sent: 0,
            came_back: 0,
            trace_failed: false,
            repeats: Repeats::default(),
            datagrams: Advice::default(),
            waits: false,
            lost_at: None,
            unknown: Vec::new(),
        })
    }

    pub(super) fn with(self, limits: Limits, leave_at_eof: bool) -> Self {
        Self { limits, leave_at_eof, ..self }
    }

    pub(super) fn with_embedded(self, how: Option<String>) -> Self {
        Self { how, ..self }
    }

    pub(super) fn with_desk(self, desk: Option<Desk>, asked: Option<Questions>) -> Self {
        Self { desk, asked, ..self }
    }

    /// Takes part until the group is left.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            self.driver.advance();
            if let Some(how) = &self.how {
                say_notes(&mut self.driver, how);
            }
            self.hear();
            self.speak();
            self.driver.flush();
            self.print_events();
            self.watch();
            if matches!(self.phase, Phase::Over) {
                break;
            }
            match self.poll.poll(&mut events, self.timeout()) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    return Err(system("wait for sockets", &error));
                }
                _ => {}
            }
            for event in &events {
                let (now, status) = (self.driver.now(), || Status::Node(self.driver.status()));
                if self.desk.as_mut().is_some_and(|desk| desk.handle_event(now, event, status)) {
                    continue;
                }
                if let (WAKE, Some(asked)) = (event.token(), &self.asked) {
                    asked.answer(|| seen(&self.driver));
                }
                if event.token() == SIGNALS {
                    self.handle_signals();
                } else {
                    self.driver.handle_event(event);
                }
            }
        }
        self.output.finish();
        self.failure.map_or(Ok(()), Err)
    }

    fn timeout(&self) -> Option<Duration> {
        let now = self.driver.now();
        if self.source_busy {
            return Some(Duration::ZERO);
        }
        let phase = match self.phase {
            Phase::Leaving(until) | Phase::Left(until) => Some(until),
            Phase::Joined if self.driver.link_status().answered == 0 => {
                let waiting_ms = if self.waits { u64::MAX } else { WAITING_MS };
                Some(Time::from_millis(waiting_ms.min(self.limits.connect_ms)))
            }
            Phase::Joined | Phase::Over => None,
        };
        let own = [phase, self.source_at].into_iter().flatten().min();
        let own = own.map(|at| Duration::from_nanos(at - now));
        own.into_iter().chain(self.driver.timeout()).min()
    }

    /// Tells what the group has for us, while standard output has room.
    fn hear(&mut self) {
        loop {
            // A group that is left because nobody reads is heard to the end all the same.
            if !self.output.has_room() && !self.output.is_closed() {
                return;
            }
            let mut line = String::new();
            let json = self.driver.tracer_mut().echo.is_some();
            let Some(action) = self.driver.poll_action() else { return };
            let mut payload = None;
            let reader = (!json).then_some((&mut line, self.limits.has_voters));
            let follow = told(&action, self.process, reader, &mut payload);
            if let (Some(payload), Some(echo)) = (payload, &mut self.driver.tracer_mut().echo) {
                echo.payload(&payload);
            }
            self.output.write(line.into_bytes());
            self.follow(follow);
            self.print_events();
        }
    }

    fn follow(&mut self, follow: Follow) {
        match follow {
            Follow::Nothing => {}
            Follow::Delivered => self.came_back += 1,
            Follow::View(members) => {
                self.refused = false;
                if let Some(advice) = self.advice.take() {
                    tracing::warn!("{advice}");
                }
                self.source.handle_view(self.driver.now(), members);
            }
            Follow::Writable => self.refused = false,
            // Nothing is half sent between two calls, so the answer can be given at once. An answer
            // that is refused is not owed any more.
            Follow::Block => drop(self.driver.block_ok(self.group)),
            Follow::Detached(reason) if reason.is_final() => {
                self.fail(Failure(reason.to_string()));
                self.phase = Phase::Over;
            }
            Follow::Detached(reason) => self.detached(&reason),
            Follow::Left => {
                let until = self.driver.now().plus_ms(self.limits.leave_ms);
                self.phase = Phase::Left(until);
            }
        }
    }

    /// The attachment ended for a while. A lost connection is told of once, as is the next one; as
    /// long as no server has answered there was none.
    fn detached(&mut self, reason: &DetachReason) {
        let answered = self.driver.link_status().answered;
        let told = *reason == DetachReason::ServerLost
            && (answered == 0 || self.lost_at.replace(answered).is_some());
        let text = reason.to_string();
        if !told && self.repeats.is_due(self.driver.now(), &text) {
            tracing::warn!("{text}; trying again");
        }
    }

    fn watch_link(&mut self) {
        let answered = self.driver.link_status().answered;
        if self.lost_at.take_if(|before| answered > *before).is_some() {
            tracing::info!("connected to a membership server again");
        }
    }

    /// Tells once of each server whose name is unknown, since others may be reached meanwhile; and
    /// of a limit of this process that keeps it from every server.
    fn watch_failures(&mut self) {
        let status = self.driver.link_status();
        let Some(failure) = &status.last_failure else { return };
        if failure.addr.is_none() && !self.unknown.contains(&failure.server) {
            self.unknown.push(failure.server.clone());
            tracing::warn!("{failure}; trying again");
        } else if status.server.is_none() && is_limit(&failure.error) {
            let text = format!("{}; trying again", unconnected(&failure.error));
            if self.repeats.is_due(self.driver.now(), &text) {
                tracing::warn!("{text}");
            }
        }
    }

    /// Sends what the source has, while the group has room.
    fn speak(&mut self) {
        self.source_at = None;
        self.source_busy = false;
        for _ in 0..SENDS_MAX {
            if self.refused || self.ended || !matches!(self.phase, Phase::Joined) {
                return;
            }
            let message = match self.held.take() {
                Some(message) => message,
                None => match self.source.next(self.driver.now()) {
                    Next::Message(message) => message,
                    Next::TooLong(len) => {
                        too_large(len, self.limits.message_bytes_max);
                        continue;
                    }
                    Next::Later(at) => {
                        self.source_at = at;
                        return;
                    }
                    Next::End => {
                        self.ended = true;
                        return;
                    }
                },
            };
            match self.driver.send(self.group, &message) {
                Ok(_) => self.sent += 1,
                Err(SendError::TooLarge { len, max }) => too_large(len, max),
                // The end of the session follows.
                Err(SendError::NotJoined) => return,
                // The window is full, or the view changes: the message is sent later.
                Err(_) => {
                    self.refused = true;
                    self.held = Some(message);
                }
            }
        }
        self.source_busy = true;
    }

    /// Hands the events that were recorded to standard output.
    fn print_events(&mut self) {
        if let Some(echo) = &mut self.driver.tracer_mut().echo
            && (self.output.has_room() || self.output.is_closed())
        {
            self.output.write(echo.take());
        }
    }

    /// Looks after everything that ends a session.
    fn watch(&mut self) {
        let now = self.driver.now();
        self.watch_trace();
        self.watch_link();
        self.datagrams.say(&mut self.driver, self.group);
        match self.phase {
            Phase::Joined => {
                if let Some(why) = self.unreachable(now) {
                    self.fail(Failure(why));
                    self.phase = Phase::Over;
                } else if self.output.is_closed() {
                    self.fail(Failure("standard output was closed, so the group was left".into()));
                    self.leave();
                } else if self.ended && self.leave_at_eof && self.came_back >= self.sent {
                    self.leave();
                } else {
                    self.watch_failures();
                }
            }
            Phase::Leaving(until) if now >= until => {
                self.fail(Failure("the group did not let go in time; left it all the same".into()));
                self.phase = Phase::Over;
            }
            Phase::Left(until) => {
                if now >= until || self.is_flushed() {
                    self.phase = Phase::Over;
                }
            }
            Phase::Leaving(_) | Phase::Over => {}
        }
        if matches!(self.phase, Phase::Over) {
            self.say_left_out();
        }
    }

    /// Whether the server and the reader have everything that is meant for them.
    fn is_flushed(&mut self) -> bool {
        let echoed = self.driver.tracer_mut().echo.as_ref().is_none_or(|echo| echo.is_empty());
        echoed && !self.driver.has_stream_output()
    }

    /// A trace that ends early is told of once; the group goes on.
    fn watch_trace(&mut self) {
        let error = self.driver.tracer_mut().trace.0.as_ref().and_then(|file| file.error());
        if let Some(error) = error
            && !self.trace_failed
        {
            tracing::warn!("the trace ends here, it cannot be written: {error}");
            self.trace_failed = true;
        }
    }

    fn say_left_out(&mut self) {
        let left_out = self.driver.tracer_mut().echo.as_ref().map_or(0, |echo| echo.left_out());
        if left_out > 0 {
            tracing::warn!("{left_out} events were not printed, since nobody read them in time");
        }
    }

    /// Why no server was reached, once it is certain. That none answers is told earlier.
    fn unreachable(&mut self, now: Time) -> Option<String> {
        let status = self.driver.link_status();
        if status.answered > 0 {
            return None;
        }
        let late = now >= Time::from_millis(self.limits.connect_ms);
        let servers = self.driver.servers().len();
        let refused = !self.limits.is_patient && status.refused_in_a_row >= servers;
        if late || refused {
            return Some(unreached(status, self.driver.servers(), self.limits.connect_ms));
        }
        if !self.waits && now >= Time::from_millis(WAITING_MS) {
            // A name that cannot be looked up is told of elsewhere.
            if status.last_failure.as_ref().is_none_or(|failure| failure.addr.is_some()) {
                let why = unreached(status, self.driver.servers(), WAITING_MS);
                tracing::warn!("{why}; tried for {} ms in all", self.limits.connect_ms);
            }
            self.waits = true;
        }
        None
    }

    fn handle_signals(&mut self) {
        let mut count = 0;
        for signal in self.signals.pending() {
            if self.renewal.is_meant_by(signal) {
                self.renewal.renew(|keys| self.driver.set_keys(&keys));
                continue;
            }
            match self.cut.after(signal) {
                Some(cut_off) => {
                    self.driver.set_faults(Faults::default().with_cut_off(cut_off));
                }
                None => count += 1,
            }
        }
        match self.phase {
            Phase::Joined if count > 0 => self.leave(),
            // Whoever asks twice does not want to wait.
            Phase::Leaving(_) | Phase::Left(_) if count > 0 => self.phase = Phase::Over,
            _ => {}
        }
    }

    fn leave(&mut self) {
        let until = self.driver.now().plus_ms(self.limits.leave_ms);
        self.phase =
            if self.driver.leave(self.group) { Phase::Leaving(until) } else { Phase::Over };
    }

    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }
}

/// What this process sees, as a node and as a server.
fn seen(driver: &Driver<Tee>) -> Vec<Status> {
    let server = driver.embedded().map(|server| server.driver().server().status());
    core::iter::once(Status::Node(driver.status())).chain(server.map(Status::Server)).collect()
}

fn too_large(len: usize, max: usize) {
    tracing::warn!("not sent: {}", SendError::TooLarge { len, max });
}
