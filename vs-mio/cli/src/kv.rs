//! `vs kv`: a replicated key-value store.

mod args;
mod patience;
mod seat;
#[path = "../../../vs-std/examples/kv.rs"]
mod store;

use core::time::Duration;
use std::io::BufRead;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Instant;

use vs_core::ident::ProcessId;
use vs_core::replica::{ReplicaStatus, Waiting};
use vs_core::status::Status;
use vs_core::{Blocking, DisplaySet, Time};
use vs_std::trace::MaybeTrace;
use vs_std::{JoinOptions, Membership, Replicated};

pub(crate) use args::Args;

use crate::failure::{Failure, system};
use crate::keys;
use crate::metrics;
use crate::network::{servers, unopened};
use crate::notify;
use crate::output::say;
use crate::renewal::{Flags, Renewal};
use crate::repeats::Repeats;
use patience::Patience;
use seat::Seat;
use store::{Kv, Said, Store};

/// Keeps the store until standard input ends or says `quit`.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let primary_of: Vec<ProcessId> = (1..=args.members).map(ProcessId).collect();
    let seat = Seat::take(&args)?;
    let flags = Renewal::of(&args.keys).watch()?;
    let named = servers(&args.servers)?;
    let udp = args.udp(&named)?;
    let named_uses = keys::named(&args.servers).chain(args.inside.uses());
    let uses = keys::uses(&udp).chain(named_uses).chain(args.metrics.uses());
    let keys = args.keys.keys(uses, "--interface 127.0.0.1")?;
    args.metrics.check(keys.as_ref());
    let (mut node, group) = args.tuning.configs(Blocking::Auto, udp.bind.is_ipv6());
    node.client.deployment = args.deployment.clone();
    let membership = match named.is_empty() {
        true => Membership::Embedded(Box::new(args.inside.config()?)),
        false => Membership::Servers(named),
    };
    let driver = vs_std::driver::DriverConfig::new(seat.process(), membership, udp)
        .with_node(node)
        .with_fit_datagrams(args.tuning.datagram_bytes.is_none())
        .with_keys(keys);
    let mut join = JoinOptions::with(driver).with_group(group);
    join.trace.clone_from(&args.trace);
    let is_json = args.json;
    let (began, mut repeats) = (Instant::now(), Repeats::default());
    let tell = move |said| {
        let now = Time::ZERO.plus_ms(began.elapsed().as_millis() as u64);
        if !matches!(&said, Said::Note(note) if note.ends_with(AGAIN) && !repeats.is_due(now, note))
        {
            print(is_json, &said);
        }
    };
    tracing::info!(
        "process {} of the {} that keep the store {}",
        seat.process(),
        args.members,
        args.group
    );
    let store = Store::open(&args.group, join, &primary_of, tell).map_err(|e| match e {
        vs_std::JoinError::Open(e) => {
            unopened(&e, "--interface", args.inside.listen_option("--interface"))
        }
        e => Failure(e.to_string()),
    })?;
    serve_metrics(&store, &args.metrics)?;
    serve(&store, is_json, args.leave_at_eof, &flags)?;
    store.kv.leave();
    Ok(())
}

/// Serves metrics, if that is wanted, as long as the store is there.
fn serve_metrics(store: &Store, options: &metrics::Serving) -> Result<(), Failure> {
    let Some(asked) = options.open_with(|| ())? else { return Ok(()) };
    let kv = store.kv.clone();
    let serve = move || asked.serve(|| kv.inspect(seen));
    let thread = std::thread::Builder::new().name("status".into());
    thread.spawn(serve).map(drop).map_err(|e| system("serve metrics", &e))
}

/// What this process sees, as a node and as a server.
fn seen(driver: &vs_std::driver::Driver<MaybeTrace>) -> Vec<Status> {
    let server = driver.embedded().map(|server| server.driver().server().status());
    core::iter::once(Status::Node(driver.status())).chain(server.map(Status::Server)).collect()
}

/// How a note ends that tells of something that is tried again, until it succeeds.
const AGAIN: &str = "; trying again";

/// How often it is looked whether a signal or the replica has ended it.
const LOOK: Duration = Duration::from_millis(50);

/// Does what is typed, until it is over.
fn serve(store: &Store, is_json: bool, leave_at_eof: bool, flags: &Flags) -> Result<(), Failure> {
    let (sender, lines) = sync_channel(1);
    // While there is another sender the end of standard input is no end.
    let _keep = (!leave_at_eof).then(|| sender.clone());
    read_lines(sender, leave_at_eof.then(|| store.kv.clone()))?;
    let tell = move |why| print(is_json, &Said::Note(format!("# {why}")));
    let mut is_served = false;
    let state = store.kv.clone();
    let patience = Patience::new(move || state.status(), tell)?;
    loop {
        match lines.recv_timeout(LOOK) {
            Ok(line) => match patience.during(|| execute(store, &line)) {
                Some(said) => print(is_json, &said),
                None => return Ok(()),
            },
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if !is_served && store.kv.status() == ReplicaStatus::Serving {
            is_served = true;
            notify::ready("the state is served");
        }
        if let Some(end) = store.kv.end() {
            return Err(Failure(end.to_string()));
        }
        if flags.look(|keys| store.kv.set_keys(keys)) {
            return Ok(());
        }
    }
}

/// Does what a line says; `None`: it was `quit`. What only absent processes have is given up by
/// `recover!` alone.
fn execute(store: &Store, line: &str) -> Option<Said> {
    let (is_decision, is_sure) = match line.trim() {
        "recover" => (true, false),
        "recover!" => (true, true),
        _ => (false, false),
    };
    if !is_decision {
        return store.execute(line);
    }
    // Once it has looked, the status is no older than what it has said.
    store.kv.peek(|_| ());
    match store.kv.status() {
        ReplicaStatus::Waiting(waiting) => match objection(&waiting, is_sure) {
            Some(why) => Some(Said::Failed(format!("not done: {why}"))),
            None => store.execute("recover"),
        },
        _ => Some(Said::Recovered(false)),
    }
}

/// Why an operator is not followed who says whose state counts.
fn objection(waiting: &Waiting, is_sure: bool) -> Option<String> {
    let Waiting { with_state, without_state, missing } = waiting;
    let here = with_state.len() + without_state.len();
    let (of, need, missing) = (waiting.of(), waiting.needed(), DisplaySet(missing));
    if here < need {
        return Some(format!(
            "{here} of {of} are here, {need} must be before anybody can decide: start more of {missing}"
        ));
    }
    if is_sure || waiting.missing.is_empty() {
        return None;
    }
    let begins =
        if with_state.is_empty() { "an empty store would begin" } else { "it would go on" };
    Some(format!(
        "{begins} without {missing}, and what only they have would be lost: bring them back, or say recover! if \
         they are gone for good"
    ))
}

/// Reads the lines of standard input; if there is a state to wait for, once it is served.
fn read_lines(sender: SyncSender<String>, state: Option<Replicated<Kv>>) -> Result<(), Failure> {
    let read = move || {
        if let Some(state) = state {
            // An end is told by the state itself.
            let _ = state.wait_until_served(Duration::MAX);
        }
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    };
    let spawned = std::thread::Builder::new().name("stdin".into()).spawn(read);
    spawned.map(drop).map_err(|e| Failure(format!("no thread for standard input: {e}")))
}

fn print(is_json: bool, said: &Said) {
    match (is_json, said) {
        (true, said) => match serde_json::to_string(said) {
            Ok(line) => say(format_args!("{line}")),
            Err(error) => say(format_args!("{{\"failed\":\"{error}\"}}")),
        },
        (false, Said::Before(value)) => match value {
            Some(value) => say(format_args!("ok, it was {value}")),
            None => say(format_args!("ok")),
        },
        (false, Said::Value(Some(value))) => say(format_args!("= {value}")),
        (false, Said::Value(None)) => say(format_args!("no such key")),
        (false, Said::All(kv)) => {
            kv.0.iter().for_each(|(key, value)| say(format_args!("{key} {value}")));
            let count = kv.0.len();
            say(format_args!("{count} key{}", if count == 1 { "" } else { "s" }));
        }
        (false, Said::Changed(key, Some(value))) => say(format_args!("* {key} {value}")),
        (false, Said::Changed(key, None)) => say(format_args!("* {key} is deleted")),
        (false, Said::Recovered(true)) => {
            say(format_args!("the state of this process counts from here on"));
        }
        (false, Said::Recovered(false)) => say(format_args!("nothing waits for that")),
        (false, Said::Note(text) | Said::Failed(text)) => say(format_args!("{text}")),
    }
}
