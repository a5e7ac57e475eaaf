//! A replicated store instead of talk: the members are processes `vs kv`, each with a client on its
//! standard input. What the clients saw is judged in the end.
//!
//! The store lives in memory alone, while more than half of its voters do: see [`adapt`]. Where a
//! majority has forgotten it, and all are back, the clients are the operators who decide.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use serde_json::Value;
use vs_core::Time;
use vs_core::spec::history::{Answer, Judged, Operation, Request, judge};

use crate::kind::Kind;
use crate::plan::{Host, Rng, Round};

/// The processes that keep the store have the ids 1 to this; the other members have copies.
pub(crate) const VOTERS: u8 = 5;
/// So many of them may lose their memory in one round: the others have the state.
const LOST_MAX: usize = 2;
/// So many may if nothing else happens in the round: no majority has the state then, and those who
/// have it have all of it.
const LOST_ALONE_MAX: usize = 3;
/// Every so many-th fault lasts for long if it keeps members from each other.
const LONG_EVERY: u32 = 4;
/// So long, in ms: longer than a call waits. Clients are told that something is perhaps done, and
/// are then refused.
const LONG_MS: u64 = 13_000;
/// What a process says that an operator may help.
const UNDECIDED: &str = "decide that the state here counts: recover";
/// Keys of the clients: few, so that many are about one.
const KEYS: u64 = 6;
/// A client waits for so long before its next operation, in ms: at least and at most.
const THINKS_MS: (u64, u64) = (5, 30);
/// A client that was refused waits for so long.
const REFUSED: Duration = Duration::from_millis(100);
/// How often a client that has nothing to do looks whether there is something.
const LOOKS: Duration = Duration::from_millis(20);

/// Whether the members keep a store: `VS_CHAOS_STORE` is there.
pub(crate) fn is_on() -> bool {
    std::env::var_os("VS_CHAOS_STORE").is_some()
}

/// What the client of one host has seen.
#[derive(Default)]
struct Seen {
    lives: u64,
    /// When the last put that was answered in the present life was asked for.
    put: Option<Instant>,
    /// What was dumped last in the present life, for which question.
    dump: Option<(u64, Value)>,
    /// What the process said last besides answers.
    note: String,
}

/// What all clients share.
pub(crate) struct Store {
    began: Instant,
    seed: u64,
    /// In the order of their calls. `None`: refused, so it is not a part of the history.
    history: Mutex<Vec<Option<Operation>>>,
    seen: Mutex<BTreeMap<Host, Seen>>,
    complaints: Mutex<Vec<String>>,
    /// So many times dumps were asked for. From the first time on nothing else is done.
    dumps: AtomicU64,
    /// So often a client decided that the state of its process counts.
    recovered: AtomicU64,
    /// All members were there once: nobody makes the state anew.
    is_made: Mutex<bool>,
}

impl Store {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            seed,
            history: Mutex::default(),
            seen: Mutex::default(),
            complaints: Mutex::default(),
            dumps: AtomicU64::new(0),
            recovered: AtomicU64::new(0),
            is_made: Mutex::default(),
        })
    }

    fn now(&self) -> Time {
        let nanos = self.began.elapsed().as_nanos();
        Time(u64::try_from(nanos).expect("a run ends within centuries"))
    }

    fn complain(&self, complaint: String) {
        lock(&self.complaints).push(complaint);
    }

    /// What went wrong first.
    pub(crate) fn complaint(&self) -> Result<(), String> {
        lock(&self.complaints).first().cloned().map_or(Ok(()), Err)
    }

    /// Starts the client of a process that has just been started.
    /// Its notes go into `log`.
    pub(crate) fn attend(
        self: &Arc<Self>,
        host: Host,
        (input, output): (ChildStdin, ChildStdout),
        log: File,
    ) {
        let life = {
            let mut seen = lock(&self.seen);
            let seen = seen.entry(host).or_default();
            *seen = Seen { lives: seen.lives + 1, ..Seen::default() };
            seen.lives
        };
        let seed = self.seed ^ (u64::from(host.number()) << 32 | life);
        let output = BufReader::new(output).lines();
        let store = Arc::clone(self);
        let mut client = Client { store, host, life, rng: Rng(seed), input, output, puts: 0, log };
        // It ends with the process.
        std::thread::spawn(move || while client.go_on().is_some() {});
    }

    /// Whether each member has answered a put that was asked for after `since`: all are served.
    pub(crate) fn is_served(&self, since: Instant) -> bool {
        let seen = lock(&self.seen);
        let is_served = |host: Host| {
            seen.get(&host).and_then(|seen| seen.put).is_some_and(|called| called > since)
        };
        let all = Host::members().into_iter().all(is_served);
        *lock(&self.is_made) |= all;
        all
    }

    /// Lets all clients dump from now on; names the question.
    pub(crate) fn ask_for_dumps(&self) -> u64 {
        self.dumps.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Whether all have answered that question all the same; `None`: not all have answered yet.
    pub(crate) fn compare_dumps(&self, question: u64) -> Option<Result<(), String>> {
        let seen = lock(&self.seen);
        let mut dumps = Vec::new();
        for host in Host::members() {
            match seen.get(&host).and_then(|seen| seen.dump.as_ref()) {
                Some((of, dump)) if *of == question => dumps.push((host, dump)),
                _ => return None,
            }
        }
        let (first, of_first) = dumps[0];
        Some(match dumps.iter().find(|(_, dump)| *dump != of_first) {
            None => Ok(()),
            Some((host, dump)) => Err(format!("{first} has {of_first}, and {host} has {dump}")),
        })
    }

    /// How the process of a member fares, to be told.
    pub(crate) fn state(&self, host: Host) -> String {
        let seen = lock(&self.seen);
        let Some(seen) = seen.get(&host) else { return String::new() };
        let put = seen.put.map_or("never".to_owned(), |at| format!("{:.1?} ago", at.elapsed()));
        format!("last put {put}; last note: {}", seen.note)
    }

    /// Judges what the clients saw, and says in a line what that was.
    pub(crate) fn judge(&self) -> Result<String, String> {
        let history = lock(&self.history);
        let refused = history.iter().filter(|operation| operation.is_none()).count();
        let mut operations = history.iter().flatten().cloned().collect::<Vec<_>>();
        let began = Instant::now();
        let judged = judge(&operations).map_err(|refusal| refusal.to_string())?;
        let took = began.elapsed();
        let recovered = self.recovered.load(Ordering::SeqCst);
        let Judged { keys, answered, open, carried_out, states, .. } = judged;
        break_one(&mut operations)?;
        match judge(&operations) {
            Ok(_) => Err("a history with a stale read was accepted: the judge is broken".into()),
            Err(_) => Ok(format!(
                "{answered} operations on {keys} keys are linearizable, {refused} more were refused, {open} had no answer, \
                 of which {carried_out} were carried out; {recovered} times a client decided whose state counts \
                 ({states} states in {took:.1?})"
            )),
        }
    }
}

/// Makes one read a stale one: it finds what the value that it found has replaced.
fn break_one(history: &mut [Operation]) -> Result<(), String> {
    let mut replaced = BTreeMap::new();
    for operation in &*history {
        if let (Request::Put(value), Some(Answer { at, value: Some(before) })) =
            (&operation.request, &operation.answer)
        {
            replaced.insert(value.clone(), (*at, before.clone()));
        }
    }
    for operation in history.iter_mut().rev() {
        let Some(answer) = operation.answer.as_mut().filter(|_| operation.request == Request::Get)
        else {
            continue;
        };
        let found = answer.value.as_ref().and_then(|value| replaced.get(value));
        if let Some((_, before)) = found.filter(|(at, _)| *at < operation.called) {
            answer.value = Some(before.clone());
            return Ok(());
        }
    }
    Err("no read found a value that had replaced another one: the run was too short".into())
}

/// Takes out of a round what would make too many voters forget: what all have forgotten is lost,
/// and nobody promises that it is not. Lets some faults last.
pub(crate) fn adapt(round: &mut Round) {
    let is_herd = round.len() == 1 && matches!(round[0].kind, Kind::Kill(_));
    let lost_max = if is_herd { LOST_ALONE_MAX } else { LOST_MAX };
    let mut lost = BTreeSet::new();
    let mut may_lose = |host: &Host| {
        let is_voter = matches!(host, Host::Member(id) if *id <= VOTERS);
        let may = !is_voter || lost.contains(host) || lost.len() < lost_max;
        if is_voter && may {
            lost.insert(*host);
        }
        may
    };
    round.retain_mut(|fault| match &mut fault.kind {
        Kind::Kill(hosts) | Kind::Roll(hosts) => {
            hosts.retain(&mut may_lose);
            !hosts.is_empty()
        }
        Kind::FullDisk(host)
        | Kind::Clock(host, _)
        | Kind::FarClock(host)
        | Kind::Options(host, _)
        | Kind::Nameless(host) => may_lose(host),
        Kind::Partition(_) | Kind::Unplug(_) | Kind::Mute(_) | Kind::OneWay(..) | Kind::Stop(_) => {
            if fault.number.is_multiple_of(LONG_EVERY) {
                fault.end_ms = fault.begin_ms + LONG_MS;
            }
            true
        }
        _ => true,
    });
}

/// The client of one life of a process.
struct Client {
    store: Arc<Store>,
    host: Host,
    life: u64,
    rng: Rng,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    puts: u64,
    log: File,
}

impl Client {
    /// One operation more. `None`: the process has ended.
    fn go_on(&mut self) -> Option<()> {
        let question = self.store.dumps.load(Ordering::SeqCst);
        let pause = if question == 0 {
            self.operate()?
        } else if self.dumped() < question {
            self.dump(question)?
        } else {
            LOOKS
        };
        std::thread::park_timeout(pause);
        Some(())
    }

    fn dumped(&self) -> u64 {
        let seen = lock(&self.store.seen);
        seen[&self.host].dump.as_ref().map_or(0, |(question, _)| *question)
    }

    /// Puts, deletes or gets, and waits for the answer. How long to wait before the next one.
    fn operate(&mut self) -> Option<Duration> {
        let key = format!("k{}", self.rng.below(KEYS));
        let (request, line) = match self.rng.below(20) {
            0..10 => {
                self.puts += 1;
                let value = format!("{}.{}.{}", self.host, self.life, self.puts);
                let line = format!("put {key} {value}");
                (Request::Put(value), line)
            }
            10..12 => (Request::Delete, format!("del {key}")),
            _ => (Request::Get, format!("get {key}")),
        };
        let (is_put, is_get) = (matches!(request, Request::Put(_)), request == Request::Get);
        let number = self.call(key, request);
        let asked = Instant::now();
        let said = self.ask(&line)?;
        let answer = said.get(if is_get { "value" } else { "before" });
        match (answer, said["failed"].as_str()) {
            (Some(value), None) => {
                self.answer(number, value.as_str().map(str::to_owned));
                if is_put {
                    self.see(|seen| seen.put = Some(asked));
                }
            }
            (None, Some(why)) if why.starts_with("not done: ") => {
                lock(&self.store.history)[number] = None;
                if why.contains(UNDECIDED) {
                    self.recover()?;
                }
                return Some(REFUSED);
            }
            // It stays without an answer.
            (None, Some(why)) if why.starts_with("perhaps done: ") => return Some(REFUSED),
            _ => self.store.complain(format!("{} answered \"{line}\" with {said}", self.host)),
        }
        let (least, most) = THINKS_MS;
        Some(Duration::from_millis(least + self.rng.below(most - least + 1)))
    }

    /// Decides, if the process lets anybody: all are back.
    fn recover(&mut self) -> Option<()> {
        let said = self.ask("recover")?;
        let is_refused = said["failed"].as_str().is_some_and(|why| why.starts_with("not done: "));
        match said["recovered"].as_bool() {
            Some(is_done) => {
                self.store.recovered.fetch_add(u64::from(is_done), Ordering::SeqCst);
            }
            None if is_refused => {}
            None => self.store.complain(format!("{} answered recover with {said}", self.host)),
        }
        Some(())
    }

    /// Dumps: a get of each key at once.
    fn dump(&mut self, question: u64) -> Option<Duration> {
        let keys = (0..KEYS).map(|n| format!("k{n}")).collect::<Vec<_>>();
        let gets = keys.iter().map(|key| self.call(key.clone(), Request::Get)).collect::<Vec<_>>();
        let said = self.ask("dump")?;
        let Some(all) = said["all"].as_object() else {
            let mut history = lock(&self.store.history);
            gets.iter().for_each(|number| history[*number] = None);
            return Some(REFUSED);
        };
        for (key, number) in keys.iter().zip(gets) {
            self.answer(number, all.get(key).and_then(Value::as_str).map(str::to_owned));
        }
        self.see(|seen| seen.dump = Some((question, said["all"].clone())));
        Some(LOOKS)
    }

    /// Records a call, before it is made.
    fn call(&self, key: String, request: Request) -> usize {
        let client = u64::from(self.host.number()) * 10_000 + self.life;
        let mut history = lock(&self.store.history);
        let called = self.store.now();
        history.push(Some(Operation { client, key, request, called, answer: None }));
        history.len() - 1
    }

    /// Records the answer of a call, after it was heard.
    fn answer(&self, number: usize, value: Option<String>) {
        let at = self.store.now();
        let mut history = lock(&self.store.history);
        let operation = history[number].as_mut().expect("it was not refused");
        operation.answer = Some(Answer { at, value });
    }

    /// What the process says to `line`, besides notes.
    fn ask(&mut self, line: &str) -> Option<Value> {
        self.input.write_all(format!("{line}\n").as_bytes()).ok()?;
        loop {
            let line = self.output.next()?.ok()?;
            // A process that is killed may have written half a line.
            let said = serde_json::from_str::<Value>(&line).ok()?;
            let Some(note) = said["note"].as_str() else { return Some(said) };
            if note.contains("a new state begins") && *lock(&self.store.is_made) {
                self.store.complain(format!("{}: the state was made anew", self.host));
            }
            // Besides what it says on its standard errors.
            let _ = writeln!(self.log, "{note}");
            self.see(|seen| note.clone_into(&mut seen.note));
        }
    }

    /// Notes something about this life; not about a later one.
    fn see(&self, note: impl FnOnce(&mut Seen)) {
        let mut seen = lock(&self.store.seen);
        if let Some(seen) = seen.get_mut(&self.host).filter(|seen| seen.lives == self.life) {
            note(seen);
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("no thread panics with it")
}
