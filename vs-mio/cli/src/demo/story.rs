//! The story: six acts, each told while it happens.

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use vs_core::ident::ProcessId;
use vs_core::{DisplaySet, Time};

use super::network::{self, Network};
use super::process::{Process, Who};
use super::stage::{Stage, State, line};
use crate::failure::Failure;

/// The group's name.
const GROUP: &str = "demo";

/// Who is there from the beginning.
pub(super) const FIRST: [ProcessId; 4] = [ProcessId(1), ProcessId(2), ProcessId(3), ProcessId(4)];
/// Who is killed: the one whose packets are the order of the view.
pub(super) const KILLED: ProcessId = ProcessId(1);
/// Who goes on.
pub(super) const SURVIVORS: [ProcessId; 3] = [ProcessId(2), ProcessId(3), ProcessId(4)];
/// Who comes later, the second during the change for the first.
pub(super) const JOINERS: [ProcessId; 2] = [ProcessId(5), ProcessId(6)];
/// Who is there with the joiners.
pub(super) const LAST: [ProcessId; 5] =
    [ProcessId(2), ProcessId(3), ProcessId(4), ProcessId(5), ProcessId(6)];
/// Who is stopped for a while.
pub(super) const PAUSED: ProcessId = ProcessId(3);
/// Who goes on meanwhile.
pub(super) const AWAKE: [ProcessId; 4] = [ProcessId(2), ProcessId(4), ProcessId(5), ProcessId(6)];

/// The sides that the network falls into, and the members at each server.
pub(super) const SIDES: [Side; network::SIDES] = [
    Side {
        server: 1,
        at: 0,
        members: &[ProcessId(1), ProcessId(2), ProcessId(3), ProcessId(5)],
        last: &[ProcessId(2), ProcessId(3), ProcessId(5)],
    },
    Side {
        server: 2,
        at: 1,
        members: &[ProcessId(4), ProcessId(6)],
        last: &[ProcessId(4), ProcessId(6)],
    },
];

/// One side of the network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    pub(super) server: u64,
    /// Its number in the network.
    at: usize,
    members: &'static [ProcessId],
    /// Those of them who are there with the joiners.
    pub(super) last: &'static [ProcessId],
}

/// A server gathers arrivals for so long, in ms: room for the second joiner.
const GATHER_JOIN_MS: u64 = 400;
/// A client that is silent for so long is taken for dead, in ms.
const SILENCE_MS: u64 = 600;

/// How long traffic flows between two events.
const PART: Duration = Duration::from_millis(700);
/// How long a process may take to start.
const START_MAX: Duration = Duration::from_secs(10);
/// How long a change of view may take.
const CHANGE_MAX: Duration = Duration::from_secs(6);
/// How long it may take until everything is delivered, or everybody has left.
const END_MAX: Duration = Duration::from_secs(6);

/// What the end of the story hands to the verdict.
#[derive(Debug)]
pub(super) struct Settled {
    /// Traces as they were when everything was delivered and nobody had left yet.
    pub(super) traces: Vec<(PathBuf, Vec<u8>)>,
    /// Lines typed into each of those who were there at the end.
    pub(super) typed: BTreeMap<ProcessId, u64>,
    pub(super) times: Times,
}

/// How long it took the last of the group to be in its new view, in ms.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) kill: f64,
    pub(super) cut: f64,
    pub(super) heal: f64,
}

/// The trace file of a member.
pub(super) fn trace_file(dir: &Path, id: ProcessId) -> PathBuf {
    dir.join(format!("{id}.jsonl"))
}

/// Removes what an earlier demo left under the same names.
pub(super) fn forget_traces(dir: &Path) -> Result<(), Failure> {
    for id in FIRST.iter().chain(&JOINERS) {
        let file = trace_file(dir, *id);
        if file.exists() {
            std::fs::remove_file(&file).map_err(|e| {
                Failure(format!("{}: the old trace cannot be removed: {e}", file.display()))
            })?;
        }
    }
    Ok(())
}

/// Plays all acts.
pub(super) fn play(stage: &mut Stage) -> Result<Settled, Failure> {
    let mut times = Times::default();
    come_together(stage)?;
    times.kill = crash(stage)?;
    join_during_a_change(stage)?;
    pause(stage)?;
    times.cut = part(stage)?;
    times.heal = merge(stage)?;
    settle_and_leave(stage, times)
}

fn come_together(stage: &mut Stage) -> Result<(), Failure> {
    stage.say("Start: two membership servers and four members, each a process of its own.");
    stage.say(format!("Partition by: {}.", stage.network));
    let [first, second] = SIDES;
    start_server(stage, first, None)?;
    let addr = server_addr(stage, first);
    start_server(stage, second, addr)?;
    stage.wait_for("the membership servers are connected", START_MAX, |s| {
        s.servers.values().all(|server| server.connected)
    })?;
    for id in FIRST {
        start(stage, id)?;
    }
    stage.say(format!(
        "Messages go by UDP multicast on {} ({}); the servers never see them.",
        stage.multicast,
        match stage.network {
            Network::Filter(_) => "loopback",
            Network::Namespaces(_) => "two hosts, a bridge at each, a link between the bridges",
        }
    ));
    stage.wait_for("the four members are together", START_MAX, |s| s.together(&FIRST))?;
    line(
        "           A view is <number.server, {members}, [for each member its own number of the change]>,",
    );
    line("           numbers counted from here; servers go on from the clock, as the traces show.");
    stage.set_traffic(true);
    stage.go_on(PART)?;
    counts(stage, "Everybody multicasts, and hears itself and the others", &FIRST);
    Ok(())
}

fn crash(stage: &mut Stage) -> Result<f64, Failure> {
    stage.say(format!(
        "kill -9 of process {KILLED}, which leads the order, in the middle of the traffic."
    ));
    let member = stage.member(KILLED)?;
    member.state = State::Ending;
    let killed = now();
    member.process.kill();
    stage.wait_for("the survivors are in a view of their own", CHANGE_MAX, |s| {
        s.together(&SURVIVORS)
    })?;
    let ms = installed_within(stage, killed, &SURVIVORS);
    stage.say(format!(
        "The survivors agreed on what they had heard of process {KILLED}, in which order, and on their view: {ms:.1} ms after the kill."
    ));
    stage.go_on(PART)?;
    Ok(ms)
}

fn join_during_a_change(stage: &mut Stage) -> Result<(), Failure> {
    let [first, second] = JOINERS;
    stage.say(format!("Process {first} joins."));
    start(stage, first)?;
    stage.wait_for("the join of the first is proposed", START_MAX, |s| {
        let proposed = |p| s.members.get(p).map(|member| &member.proposed);
        SURVIVORS.iter().filter_map(proposed).any(|set| set.contains(&first))
    })?;
    stage.say(format!("Process {second} joins, too, while that change is under way."));
    start(stage, second)?;
    stage.wait_for("both joiners are in one view with the others", START_MAX, |s| {
        s.together(&LAST)
    })?;
    stage.say("Both came in with one view: no view with only the first was ever installed.");
    stage.go_on(PART)?;
    counts(stage, "Joiners hear what is sent in views that they are in", &LAST);
    Ok(())
}

fn pause(stage: &mut Stage) -> Result<(), Failure> {
    stage.say(format!(
        "Process {PAUSED} is stopped (SIGSTOP) for longer than the {SILENCE_MS} ms after which silence counts as death."
    ));
    let member = stage.member(PAUSED)?;
    member.state = State::Paused;
    member.process.signal("STOP")?;
    stage.wait_for("the stopped process is excluded", CHANGE_MAX, |s| s.together(&AWAKE))?;
    stage.say("The others go on without it.");
    stage.go_on(PART)?;
    stage.say(format!("Process {PAUSED} goes on (SIGCONT), knowing nothing of this."));
    let member = stage.member(PAUSED)?;
    member.process.signal("CONT")?;
    member.state = State::Runs;
    stage.wait_for("the resumed process is back in a view with all", START_MAX, |s| {
        s.together(&LAST)
    })?;
    stage.say("It came back as what it is: excluded, then joined again, with a transitional set of its own.");
    stage.go_on(PART)
}

fn part(stage: &mut Stage) -> Result<f64, Failure> {
    let [one, other] = SIDES;
    stage.say(format!(
        "The network parts: {} with server {} here, {} with server {} there. {}",
        DisplaySet(one.last),
        one.server,
        DisplaySet(other.last),
        other.server,
        match stage.network {
            Network::Filter(_) =>
                "A filter inside each process drops what comes from the other side.",
            Network::Namespaces(_) => "The link between the two bridges is down.",
        }
    ));
    let parted = now();
    match &stage.network {
        Network::Filter(_) => signal_all(stage, "USR1")?,
        Network::Namespaces(namespaces) => namespaces.part()?,
    }
    stage.wait_for("each side is in a view of its own", CHANGE_MAX, |s| {
        SIDES.iter().all(|side| s.together(side.last))
    })?;
    let ms = installed_within(stage, parted, &LAST);
    stage.say(format!("Each side has a view of its own, {ms:.1} ms after the cut, and goes on."));
    stage.go_on(PART)?;
    counts(stage, "Each side hears itself only", &LAST);
    Ok(ms)
}

fn merge(stage: &mut Stage) -> Result<f64, Failure> {
    let healed = now();
    match &stage.network {
        Network::Filter(_) => {
            stage.say("The network heals: the filters are open.");
            signal_all(stage, "USR2")?;
        }
        Network::Namespaces(namespaces) => {
            stage.say("The network heals: the link is up.");
            namespaces.heal()?;
        }
    }
    stage.wait_for("both sides are in one view", START_MAX, |s| s.together(&LAST))?;
    let ms = installed_within(stage, healed, &LAST);
    stage.say(format!("One view again, {ms:.1} ms after the healing. Who came along with me:"));
    for p in LAST {
        let with = &stage.member(p)?.came_with;
        line(&format!("           process {p} came with {}", DisplaySet(with)));
    }
    stage.go_on(PART)?;
    Ok(ms)
}

/// Sends a signal to all servers and to all members that run.
fn signal_all(stage: &Stage, signal: &str) -> Result<(), Failure> {
    let members = stage.members.values().filter(|member| member.state == State::Runs);
    let servers = stage.servers.values().map(|server| &server.process);
    servers.chain(members.map(|member| &member.process)).try_for_each(|p| p.signal(signal))
}

/// How long it took from `since` until the last of `members` was in the view that it is in, in ms.
fn installed_within(stage: &Stage, since: Time, members: &[ProcessId]) -> f64 {
    let installed = members.iter().filter_map(|p| stage.members.get(p)?.view.as_ref());
    let last = installed.map(|(_, at)| *at).max().unwrap_or_default();
    last.0.saturating_sub(since.0) as f64 / 1e6
}

fn settle_and_leave(stage: &mut Stage, times: Times) -> Result<Settled, Failure> {
    stage.set_traffic(false);
    stage.wait_for("everybody delivers all that was sent in the last view", END_MAX, |s| {
        s.quiet(&LAST)
    })?;
    counts(stage, "The traffic ends; everything that was sent is delivered", &LAST);
    let mut settled = Settled { traces: Vec::new(), typed: BTreeMap::new(), times };
    for id in FIRST.iter().chain(&JOINERS) {
        let file = trace_file(&stage.traces, *id);
        let bytes = std::fs::read(&file)
            .map_err(|e| Failure(format!("{}: the trace cannot be read: {e}", file.display())))?;
        settled.traces.push((file, bytes));
    }
    stage.say("All leave.");
    for id in LAST {
        let member = stage.member(id)?;
        member.state = State::Ending;
        settled.typed.insert(id, member.typed);
        member.process.signal("TERM")?;
    }
    stage.wait_for("all members end", END_MAX, |s| {
        s.members.values().all(|member| member.state == State::Ended)
    })?;
    for id in LAST {
        stage.member(id)?.process.finish()?;
    }
    for server in stage.servers.values() {
        server.process.signal("TERM")?;
    }
    stage.wait_for("the membership servers end", END_MAX, Stage::all_ended)?;
    for server in stage.servers.values_mut() {
        server.process.finish()?;
    }
    stage.say(format!("Processes {} and the servers ended by themselves.", DisplaySet(&LAST)));
    Ok(settled)
}

/// Starts a server, and waits until it listens. It connects to `peer`.
fn start_server(stage: &mut Stage, side: Side, peer: Option<String>) -> Result<(), Failure> {
    let [id, gather, silence] =
        [side.server, GATHER_JOIN_MS, SILENCE_MS].map(|number| number.to_string());
    let listen = format!("{}:0", stage.network.ip(side.at));
    let mut args = vec!["server", "--listen", &listen, "--id", &id];
    args.extend(["--gather-join-ms", &gather, "--silence-ms", &silence, "--end-with-input"]);
    if let Some(peer) = &peer {
        args.extend(["--peer", peer]);
    }
    let mut args: Vec<String> = args.into_iter().map(ToOwned::to_owned).collect();
    args.extend(stage.network.filter_args(side.at));
    let place = (&stage.network, side.at);
    let args = (&args[..], &stage.keys[..]);
    let process = Process::start(Who::Server(side.server), place, args, &stage.sender)?;
    stage.add_server(side.server, process);
    stage.wait_for("the membership server listens", START_MAX, |s| server_addr(s, side).is_some())
}

fn server_addr(stage: &Stage, side: Side) -> Option<String> {
    stage.servers.get(&side.server)?.addr.clone()
}

/// Starts a member.
fn start(stage: &mut Stage, id: ProcessId) -> Result<(), Failure> {
    let [one, other] = SIDES;
    let here = if one.members.contains(&id) { one } else { other };
    let server = server_addr(stage, here).unwrap_or_default();
    let file = trace_file(&stage.traces, id);
    let mut args: Vec<String> =
        ["node", "--group", GROUP, "--order", "total", "--json"].map(ToOwned::to_owned).to_vec();
    args.extend(["--interface".into(), stage.network.interface(here.at)]);
    args.extend(["--bind".into(), stage.network.ip(here.at)]);
    args.extend(["--server".into(), server, "--id".into(), id.to_string()]);
    args.extend(stage.network.filter_args(here.at));
    args.extend(["--multicast".into(), stage.multicast.clone()]);
    args.extend(["--trace".into(), file.display().to_string()]);
    let place = (&stage.network, here.at);
    let args = (&args[..], &stage.keys[..]);
    let process = Process::start(Who::Member(id), place, args, &stage.sender)?;
    stage.add_member(id, process);
    Ok(())
}

/// Tells who has delivered how much.
fn counts(stage: &Stage, what: &str, members: &[ProcessId]) {
    let delivered = members.iter().filter_map(|p| {
        let member = stage.members.get(p)?;
        Some(format!("process {p}: {} of {} own", member.all_delivered, member.own_delivered))
    });
    let delivered: Vec<String> = delivered.collect();
    stage.say(format!("{what}. Delivered so far, and own ones among them:"));
    line(&format!("           {}", delivered.join(", ").replace(" of ", " and ")));
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
