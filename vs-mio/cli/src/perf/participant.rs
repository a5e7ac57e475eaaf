//! One participant: waits for the full view, sends and hears for the time of the measurement, tells
//! the others what it measured and prints what all measured.

use core::time::Duration;
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use vs_core::DisplaySet;
use vs_core::ident::ProcessId;

use super::args::{Args, Load};
use super::latency::Latencies;
use super::member::{self, Heard, Member};
use super::payload::{self, Kind, Template};
use super::report::{self, Measured};
use crate::failure::Failure;
use crate::output::say;
use crate::renewal::{Flags, Renewal};

/// Bytes that are sent before the datagrams go out and others are heard: what one run of datagrams
/// carries.
const BURST_BYTES: usize = 64 * 1024;
/// As many messages at most.
const BURST_MESSAGES: usize = 1024;
/// In a closed loop the clock is read for one message of so many.
const SAMPLE: u64 = 64;
/// A sender at a fixed rate looks again and again for so long before a message is due: sleeping is
/// not as exact.
const SPIN: Duration = Duration::from_micros(200);
/// The longest sleep.
const NAP: Duration = Duration::from_millis(50);
/// What gathering and ending may take.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Until all are in the view.
    Gathering,
    Running,
    /// The own sending is over; until all have said so.
    Ending,
    /// Until all have told what they measured.
    Telling,
    Leaving,
    Left,
}

/// Deliveries and CPU time at a moment.
#[derive(Clone, Copy, Debug)]
struct Snapshot {
    at: Instant,
    delivered: u64,
    cpu: Duration,
}

/// What was heard of one sender.
#[derive(Debug, Default)]
struct From {
    delivered: u64,
    total: Option<u64>,
}

/// What is heard, apart from the member that hears it.
struct Ear {
    me: ProcessId,
    /// Record each latency, or one of [`SAMPLE`].
    every: bool,
    ping: bool,
    view: Vec<ProcessId>,
    delivered: u64,
    from: BTreeMap<ProcessId, From>,
    latencies: Latencies,
    results: Vec<Value>,
    /// Ping-pong: the other one's message came, with the time in it.
    ball: Option<u64>,
    left: bool,
    wrong: Option<String>,
}

impl Ear {
    fn hear(&mut self, heard: Heard<'_>) {
        match heard {
            Heard::Message { from, payload } => self.message(from, payload),
            Heard::View(view) => self.view = view.members().to_vec(),
            Heard::Left => self.left = true,
            Heard::Detached(reason) if reason.is_final() => self.wrong = Some(reason.to_string()),
            Heard::Detached(_) => {}
        }
    }

    fn message(&mut self, sender: ProcessId, bytes: &[u8]) {
        match payload::read(bytes) {
            Some(Kind::Data { n, time }) => self.data(sender, n, time),
            Some(Kind::End { total }) => {
                let from = self.from.entry(sender).or_default();
                from.total = Some(total);
                if from.delivered != total {
                    let got = from.delivered;
                    self.wrong =
                        Some(format!("{got} messages of {sender} came, {total} were sent"));
                }
            }
            Some(Kind::Result) => {
                let result = serde_json::from_slice(payload::body(bytes));
                self.results.push(result.unwrap_or_default());
            }
            None => self.wrong = Some(format!("a message of {sender} is not as it was sent")),
        }
    }

    fn data(&mut self, sender: ProcessId, n: u64, time: u64) {
        let from = self.from.entry(sender).or_default();
        from.delivered += 1;
        self.delivered += 1;
        if from.delivered != n {
            let due = from.delivered;
            self.wrong = Some(format!("message {n} of {sender} came where {due} was due"));
        }
        if sender == self.me {
            return;
        }
        if self.ping {
            self.ball = Some(time);
        } else if self.every || n.is_multiple_of(SAMPLE) {
            self.latencies.record(unix_nanos().saturating_sub(time));
        }
    }
}

fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

struct Participant<'a> {
    load: &'a Load,
    member: Box<dyn Member>,
    flags: Flags,
    ear: Ear,
    phase: Phase,
    since: Instant,
    template: Template,
    sent: u64,
    /// In ns of UNIX time: when the next message is due, at a fixed rate.
    due: u64,
    /// When the last own message of ping-pong went out.
    served: Option<u64>,
    begin: Option<Snapshot>,
    end: Option<Snapshot>,
}

/// Takes part in a run.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let me = ProcessId(args.id.unwrap_or_default());
    let load = &args.load;
    let mut participant = Participant {
        load,
        member: member::join(args, me)?,
        flags: Renewal::of(&args.keys).watch()?,
        ear: Ear {
            me,
            every: load.rate.is_some(),
            ping: load.ping,
            view: Vec::new(),
            delivered: 0,
            from: BTreeMap::new(),
            latencies: Latencies::new(),
            results: Vec::new(),
            ball: None,
            left: false,
            wrong: None,
        },
        phase: Phase::Gathering,
        since: Instant::now(),
        template: Template::new(me.0, load.size),
        sent: 0,
        due: 0,
        served: None,
        begin: None,
        end: None,
    };
    participant.play()?;
    participant.print(args.json);
    Ok(())
}

impl Participant<'_> {
    fn play(&mut self) -> Result<(), Failure> {
        while self.phase != Phase::Left {
            if self.flags.look(|keys| self.member.set_keys(&keys)) {
                return Err(Failure("interrupted by a signal".into()));
            }
            let wait = self.act()?;
            let ear = &mut self.ear;
            self.member.hear(wait, &mut |heard| ear.hear(heard))?;
            if let Some(wrong) = self.ear.wrong.take() {
                return Err(Failure(format!(
                    "{wrong}: this is a fault of vs; run it again with --trace, and report it with the traces"
                )));
            }
            self.proceed()?;
        }
        Ok(())
    }

    /// Sends what is due; how long there is nothing to do but to hear.
    fn act(&mut self) -> Result<Duration, Failure> {
        Ok(match self.phase {
            Phase::Running if self.load.ping => self.play_ball()?,
            Phase::Running if self.is_sender() => match self.load.rate {
                Some(rate) => self.send_due(rate)?,
                None => self.send_burst()?,
            },
            Phase::Running => NAP.min(self.until_next_mark()),
            _ => NAP,
        })
    }

    fn is_sender(&self) -> bool {
        let (view, senders) = (&self.ear.view, usize::from(self.load.senders));
        let others = view.len().saturating_sub(senders);
        let sending =
            if self.load.highest { &view[others..] } else { &view[..view.len() - others] };
        sending.contains(&self.ear.me)
    }

    fn send_burst(&mut self) -> Result<Duration, Failure> {
        let burst = (BURST_BYTES / self.load.size).clamp(1, BURST_MESSAGES);
        let mut time = 0;
        for _ in 0..burst {
            if time == 0 || (self.sent + 1).is_multiple_of(SAMPLE) {
                time = unix_nanos();
            }
            if !self.member.send(self.template.stamp(self.sent + 1, time))? {
                return Ok(NAP);
            }
            self.sent += 1;
        }
        self.member.flush()?;
        Ok(Duration::ZERO)
    }

    fn send_due(&mut self, rate: f64) -> Result<Duration, Failure> {
        let now = unix_nanos();
        if self.due == 0 {
            self.due = now;
        }
        let pause = (1e9 / rate) as u64;
        while self.due <= now {
            if !self.member.send(self.template.stamp(self.sent + 1, self.due))? {
                return Ok(NAP);
            }
            self.sent += 1;
            self.due += pause;
            self.member.flush()?;
        }
        let left = Duration::from_nanos(self.due.saturating_sub(unix_nanos()));
        Ok(left.saturating_sub(SPIN).min(NAP))
    }

    /// The first of the two serves; each answers what comes.
    fn play_ball(&mut self) -> Result<Duration, Failure> {
        let place = self.ear.view.iter().position(|p| *p == self.ear.me);
        let is_first = place == Some(0);
        let Some(0 | 1) = place else { return Ok(NAP) };
        let returned = self.ear.ball.take();
        if is_first && returned.is_some() {
            let trip = unix_nanos().saturating_sub(self.served.unwrap_or_default());
            self.ear.latencies.record(trip / 2);
        }
        if returned.is_some() || (is_first && self.served.is_none()) {
            let now = unix_nanos();
            if self.member.send(self.template.stamp(self.sent + 1, now))? {
                self.sent += 1;
                self.served = Some(now);
                self.member.flush()?;
            }
        }
        Ok(NAP)
    }

    /// Until the measurement begins or ends.
    fn until_next_mark(&self) -> Duration {
        let mark = match &self.begin {
            None => self.since + self.load.warm_up,
            Some(begin) => begin.at + self.load.seconds,
        };
        mark.saturating_duration_since(Instant::now())
    }

    /// Goes on to the next phase when this one is over.
    fn proceed(&mut self) -> Result<(), Failure> {
        let members = usize::from(self.load.members);
        match self.phase {
            Phase::Gathering if self.ear.view.len() == members => self.enter(Phase::Running),
            Phase::Gathering => self.be_patient("not all members came together")?,
            Phase::Running => self.run_on()?,
            Phase::Ending => {
                let ended = self.ear.from.values().filter(|from| from.total.is_some()).count();
                if ended == members {
                    self.tell()?;
                } else {
                    self.be_patient("not all members came to an end")?;
                }
            }
            Phase::Telling if self.ear.results.len() == members => {
                self.enter(Phase::Leaving);
                self.member.leave();
            }
            Phase::Telling => self.be_patient("not all members told what they measured")?,
            Phase::Leaving if self.ear.left => self.enter(Phase::Left),
            Phase::Leaving => self.be_patient("leaving did not come to an end")?,
            Phase::Left => {}
        }
        Ok(())
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }

    fn be_patient(&self, what: &str) -> Result<(), Failure> {
        if self.since.elapsed() < PATIENCE {
            return Ok(());
        }
        let (seconds, view) = (PATIENCE.as_secs(), DisplaySet(&self.ear.view));
        Err(Failure(format!(
            "{what} within {seconds} s (the view is {view}): look at the other members and at the membership server"
        )))
    }

    fn run_on(&mut self) -> Result<(), Failure> {
        if self.ear.view.len() != usize::from(self.load.members) {
            let view = DisplaySet(&self.ear.view);
            return Err(Failure(format!(
                "the view changed to {view} in mid-run: what was measured does not count; run it again"
            )));
        }
        if self.until_next_mark() > Duration::ZERO {
            return Ok(());
        }
        let snapshot =
            Snapshot { at: Instant::now(), delivered: self.ear.delivered, cpu: cpu_time() };
        if self.begin.is_none() {
            self.begin = Some(snapshot);
            self.ear.latencies = Latencies::new();
        } else {
            self.end = Some(snapshot);
            self.say_end()?;
        }
        Ok(())
    }

    fn say_end(&mut self) -> Result<(), Failure> {
        if self.member.send(&payload::end(self.sent))? {
            self.member.flush()?;
            self.enter(Phase::Ending);
        }
        Ok(())
    }

    fn tell(&mut self) -> Result<(), Failure> {
        let (Some(begin), Some(end)) = (self.begin, self.end) else { return Ok(()) };
        let (cast, io, granted) = self.member.counters();
        let measured = Measured {
            process: self.ear.me,
            messages: end.delivered - begin.delivered,
            time: end.at - begin.at,
            cpu: end.cpu.saturating_sub(begin.cpu),
            latencies: core::mem::replace(&mut self.ear.latencies, Latencies::new()),
            counters: json!({
                "packets": cast.sent, "records": cast.records, "repaired": cast.repaired,
                "acks": cast.acks,
                "naks": cast.naks, "heartbeats": cast.heartbeats, "received": cast.received,
                "duplicates": cast.duplicates, "datagrams": io.received, "lost": io.lost,
                "receive_buffer": granted.multicast,
            }),
        };
        let result = measured.to_json(self.load.size).to_string();
        if self.member.send(&payload::result(result.as_bytes()))? {
            self.member.flush()?;
            self.enter(Phase::Telling);
        }
        Ok(())
    }

    fn print(&mut self, as_json: bool) {
        let results = core::mem::take(&mut self.ear.results);
        let summary = report::summary(self.load, &results);
        for result in results {
            if result["member"] == self.ear.me.0 {
                say(format_args!("{}", report::line(result, as_json)));
            }
        }
        say(format_args!("{}", report::summary_line(&summary, as_json)));
    }
}
