//! The stage: who plays, what each has reported so far, and waiting for what has to come.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use vs_core::ident::ProcessId;
use vs_core::trace::{Event, Record};
use vs_core::{DisplaySet, Members, Time, View};

use super::network::Network;
use super::numbers::Numbers;
use super::process::{News, Process, Who};
use crate::failure::Failure;

/// Each member multicasts a line so often.
const TRAFFIC_EVERY: Duration = Duration::from_millis(20);

/// An interruption by a signal is noticed within this.
const SIGNAL_WITHIN: Duration = Duration::from_millis(50);

/// Last lines on its standard error output that are kept of a process.
const LAST_WORDS_MAX: usize = 5;

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Runs,
    Paused,
    /// Its output may end, or has.
    Ending,
    Ended,
}

/// A member, as it told about itself.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) process: Process,
    pub(super) state: State,
    /// Lines that were typed into it.
    pub(super) typed: u64,
    /// The view that it is in, once it has installed one, and when it did.
    pub(super) view: Option<(View, Time)>,
    /// With whom it came there.
    pub(super) came_with: Members,
    /// The set of its last start_change.
    pub(super) proposed: Members,
    /// Messages that it sent in its view.
    sent: u64,
    /// Messages that it delivered in its view, by sender.
    delivered: BTreeMap<ProcessId, u64>,
    pub(super) own_delivered: u64,
    pub(super) all_delivered: u64,
}

impl Member {
    fn new(process: Process) -> Self {
        Self {
            process,
            state: State::Runs,
            typed: 0,
            view: None,
            came_with: Members::new(),
            proposed: Members::new(),
            sent: 0,
            delivered: BTreeMap::new(),
            own_delivered: 0,
            all_delivered: 0,
        }
    }

    /// Whether it is in a view of exactly `members`.
    pub(super) fn is_in(&self, members: &[ProcessId]) -> bool {
        self.view.as_ref().is_some_and(|(view, _)| view.members() == members)
    }
}

/// A membership server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) process: Process,
    /// Where it listens, once it said so.
    pub(super) addr: Option<String>,
    /// Whether it said that it is connected to the other one.
    pub(super) connected: bool,
    ended: bool,
}

/// All that takes part in the demo.
#[derive(Debug)]
pub(super) struct Stage {
    began: Instant,
    news: Receiver<News>,
    /// Kept for processes that are still to be started.
    pub(super) sender: Sender<News>,
    interrupted: Arc<AtomicBool>,
    pub(super) members: BTreeMap<ProcessId, Member>,
    pub(super) servers: BTreeMap<u64, Server>,
    pub(super) multicast: String,
    pub(super) traces: PathBuf,
    traffic_at: Option<Instant>,
    numbers: Numbers,
    /// The proposal that was told last.
    told: Members,
    last_words: Vec<String>,
    /// The last to go: the processes live in it.
    pub(super) network: Network,
    /// What all processes are told of keys.
    pub(super) keys: Vec<OsString>,
}

impl Stage {
    pub(super) fn new(
        traces: PathBuf,
        multicast: String,
        interrupted: Arc<AtomicBool>,
        network: Network,
        keys: Vec<OsString>,
    ) -> Self {
        let (sender, news) = channel();
        Self {
            began: Instant::now(),
            news,
            sender,
            interrupted,
            members: BTreeMap::new(),
            servers: BTreeMap::new(),
            multicast,
            traces,
            traffic_at: None,
            numbers: Numbers::default(),
            told: Members::new(),
            last_words: Vec::new(),
            network,
            keys,
        }
    }

    /// The play is over: whatever still runs is killed, and the network goes.
    pub(super) fn close(self) -> Result<(), Failure> {
        let Self { members, servers, network, .. } = self;
        drop((members, servers));
        network.remove()
    }

    /// Tells what happens, with the time since the beginning.
    pub(super) fn say(&self, text: impl AsRef<str>) {
        let seconds = self.began.elapsed().as_secs_f64();
        line(&format!("{seconds:7.3} s  {}", text.as_ref()));
    }

    pub(super) fn add_member(&mut self, id: ProcessId, process: Process) {
        self.members.insert(id, Member::new(process));
    }

    pub(super) fn add_server(&mut self, id: u64, process: Process) {
        self.servers.insert(id, Server { process, addr: None, connected: false, ended: false });
    }

    pub(super) fn member(&mut self, id: ProcessId) -> Result<&mut Member, Failure> {
        self.members.get_mut(&id).ok_or_else(|| Failure(format!("process {id} was never started")))
    }

    /// Lets everybody send lines from now on, or nobody.
    pub(super) fn set_traffic(&mut self, on: bool) {
        self.traffic_at = on.then(Instant::now);
    }

    /// Whether all of `members` are in a view of exactly them.
    pub(super) fn together(&self, members: &[ProcessId]) -> bool {
        members.iter().all(|p| self.members.get(p).is_some_and(|member| member.is_in(members)))
    }

    /// Whether each of `members` sent all that was typed, and all have delivered all that was sent
    /// in their view.
    pub(super) fn quiet(&self, members: &[ProcessId]) -> bool {
        let of = |p: &ProcessId| self.members.get(p);
        let complete = |sender: &ProcessId| {
            let Some(from) = of(sender) else { return false };
            let got = |p: &ProcessId| of(p).and_then(|m| m.delivered.get(sender)).copied();
            from.own_delivered == from.typed
                && members.iter().all(|p| got(p).unwrap_or_default() == from.sent)
        };
        self.together(members) && members.iter().all(complete)
    }

    /// Whether all processes have ended.
    pub(super) fn all_ended(&self) -> bool {
        self.servers.values().all(|server| server.ended)
            && self.members.values().all(|member| member.state == State::Ended)
    }

    /// Goes on for a while.
    pub(super) fn go_on(&mut self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        self.watch(until, |_| false).map(drop)
    }

    /// Waits until `done`, at most `limit`; `what` says in the words of an error what did not
    /// happen.
    pub(super) fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        done: impl Fn(&Self) -> bool,
    ) -> Result<(), Failure> {
        if self.watch(Instant::now() + limit, done)? {
            return Ok(());
        }
        let seconds = limit.as_secs_f64();
        Err(self.failure(&format!("within {seconds} s it did not happen that {what}")))
    }

    /// Takes in news and keeps the traffic going until `done` or `until`; whether `done`.
    fn watch(&mut self, until: Instant, done: impl Fn(&Self) -> bool) -> Result<bool, Failure> {
        loop {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(self.failure(""));
            }
            if done(self) {
                return Ok(true);
            }
            let now = Instant::now();
            if now >= until {
                return Ok(false);
            }
            if self.traffic_at.is_some_and(|at| at <= now) {
                self.type_lines()?;
                self.traffic_at = self.traffic_at.map(|at| (at + TRAFFIC_EVERY).max(now));
            }
            let tick = self.traffic_at.unwrap_or(until);
            let wake = until.min(now + SIGNAL_WITHIN).min(tick);
            // The stage has a sender itself, so that an error can only be that nothing came in
            // time.
            if let Ok(news) = self.news.recv_timeout(wake.saturating_duration_since(now)) {
                self.take(news)?;
            }
        }
    }

    /// An error, with what the processes complained about.
    pub(super) fn failure(&self, what: &str) -> Failure {
        if self.interrupted.load(Ordering::Relaxed) {
            return Failure("interrupted by a signal; all processes of the demo were ended".into());
        }
        let words = self.last_words.join("; ");
        let said = if words.is_empty() { words } else { format!(" (last words: {words})") };
        Failure(format!("{what}{said}"))
    }

    fn type_lines(&mut self) -> Result<(), Failure> {
        for (id, member) in &mut self.members {
            if member.state == State::Runs && member.view.is_some() {
                member.typed += 1;
                member.process.type_line(&format!("line {} of process {id}", member.typed))?;
            }
        }
        Ok(())
    }

    fn take(&mut self, news: News) -> Result<(), Failure> {
        match news {
            News::Line(server, line) => self.take_line(server, &line),
            News::Event(record) => self.take_event(record),
            News::Complaint(who, words) => {
                self.last_words.push(format!("{who}: {words}"));
                if self.last_words.len() > LAST_WORDS_MAX {
                    self.last_words.remove(0);
                }
            }
            News::Closed(who) => return self.take_end(who),
        }
        Ok(())
    }

    /// The first line of a server ends with its address; others tell of its connection to the other
    /// one.
    fn take_line(&mut self, id: u64, line: &str) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        if let Some((_, addr)) = line.rsplit_once("listening on ") {
            server.addr.get_or_insert_with(|| addr.trim().to_owned());
        } else if line.starts_with("server ") {
            server.connected = match line.rsplit(' ').next() {
                Some("connected") => true,
                Some("lost") => false,
                _ => server.connected,
            };
        }
    }

    fn take_end(&mut self, who: Who) -> Result<(), Failure> {
        let expected = match who {
            Who::Server(id) => {
                if let Some(server) = self.servers.get_mut(&id) {
                    server.ended = true;
                }
                self.members.values().all(|member| member.state != State::Runs)
            }
            Who::Member(id) => {
                let member = self.member(id)?;
                let expected = member.state != State::Runs;
                member.state = State::Ended;
                expected
            }
        };
        if expected {
            return Ok(());
        }
        // What it complained about may still be on its way.
        while let Ok(news) = self.news.recv_timeout(SIGNAL_WITHIN) {
            if matches!(news, News::Complaint(..)) {
                self.take(news)?;
            }
        }
        Err(self.failure(&format!("{who} ended although nobody asked it to")))
    }

    fn take_event(&mut self, record: Record) {
        let Record { ts, process: id, event, .. } = record;
        let Some(member) = self.members.get_mut(&id) else { return };
        match event {
            Event::Send { .. } => member.sent += 1,
            Event::Deliver { from, .. } => {
                member.all_delivered += 1;
                member.own_delivered += u64::from(from == id);
                *member.delivered.entry(from).or_default() += 1;
            }
            Event::StartChange { cid, set } => {
                member.proposed = set.clone();
                let cid = self.numbers.cid(id, cid);
                if self.told != set {
                    let text = format!(
                        "  change: the next view may have {}; process {id} calls this change {cid}",
                        DisplaySet(&set)
                    );
                    self.told = set;
                    self.say(text);
                }
            }
            Event::View { view, transitional, .. } => {
                let before: u64 = member.delivered.values().sum();
                member.view = Some(((*view).clone(), ts));
                member.sent = 0;
                member.delivered.clear();
                let view = self.numbers.view(&view);
                let with = DisplaySet(&transitional);
                let text = format!(
                    "  process {id} installs {view}, together with {with}; {before} messages before it"
                );
                member.came_with = transitional;
                self.say(text);
            }
            _ => {}
        }
    }
}

/// Prints a line. Nobody has to read it: the verdict counts.
pub(super) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
