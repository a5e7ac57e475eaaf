//! The story: five acts, each told while it happens.

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use vs_core::ident::ProcessId;
use vs_core::{DisplaySet, Time};

use super::process::{Process, Who};
use super::stage::{Stage, State, line};
use crate::Failure;

/// The group's name.
const GROUP: &str = "demo";

/// Who is there from the beginning.
pub(super) const FIRST: [ProcessId; 4] = [ProcessId(1), ProcessId(2), ProcessId(3), ProcessId(4)];
/// Who is killed.
pub(super) const KILLED: ProcessId = ProcessId(2);
/// Who goes on.
pub(super) const SURVIVORS: [ProcessId; 3] = [ProcessId(1), ProcessId(3), ProcessId(4)];
/// Who comes later, the second during the change for the first.
pub(super) const JOINERS: [ProcessId; 2] = [ProcessId(5), ProcessId(6)];
/// Who is there with the joiners.
pub(super) const LAST: [ProcessId; 5] =
    [ProcessId(1), ProcessId(3), ProcessId(4), ProcessId(5), ProcessId(6)];
/// Who is stopped for a while.
pub(super) const PAUSED: ProcessId = ProcessId(3);
/// Who goes on meanwhile.
pub(super) const AWAKE: [ProcessId; 4] = [ProcessId(1), ProcessId(4), ProcessId(5), ProcessId(6)];

/// The server gathers arrivals for so long, in ms: room for the second joiner.
const GATHER_JOIN_MS: u64 = 400;
/// A client that is silent for so long is taken for dead, in ms.
const SILENCE_MS: u64 = 600;

/// How long traffic flows between two events.
const PART: Duration = Duration::from_millis(700);
/// How long a process may take to start.
const START_MAX: Duration = Duration::from_secs(5);
/// How long a change of view may take.
const CHANGE_MAX: Duration = Duration::from_secs(3);
/// How long it may take until everything is delivered, or everybody has left.
const END_MAX: Duration = Duration::from_secs(3);

/// What the end of the story hands to the verdict.
#[derive(Debug)]
pub(super) struct Settled {
    /// Traces as they were when everything was delivered and nobody had left yet.
    pub(super) traces: Vec<(PathBuf, Vec<u8>)>,
    /// Lines typed into each of those who were there at the end.
    pub(super) typed: BTreeMap<ProcessId, u64>,
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
    come_together(stage)?;
    crash(stage)?;
    join_during_a_change(stage)?;
    pause(stage)?;
    settle_and_leave(stage)
}

fn come_together(stage: &mut Stage) -> Result<(), Failure> {
    stage.say("Start: a membership server and four members, each a process of its own.");
    let gather = GATHER_JOIN_MS.to_string();
    let silence = SILENCE_MS.to_string();
    let args = ["server", "--listen", "127.0.0.1:0", "--id", "1", "--gather-join-ms", &gather];
    let args: Vec<String> =
        args.iter().chain(&["--silence-ms", &silence]).map(ToString::to_string).collect();
    stage.server = Some(Process::start(Who::Server, &args, &stage.sender)?);
    stage.wait_for("the membership server listens", START_MAX, |s| s.server_addr.is_some())?;
    for id in FIRST {
        start(stage, id)?;
    }
    stage.say(format!(
        "Messages go by UDP multicast on {} (loopback); the server never sees them.",
        stage.multicast
    ));
    stage.wait_for("the four members are together", START_MAX, |s| s.together(&FIRST))?;
    line(
        "           A view is <number, {members}, [for each member its own number of the change]>,",
    );
    line("           counted from here; servers go on from the clock, as the traces show.");
    stage.set_traffic(true);
    stage.go_on(PART)?;
    counts(stage, "Everybody multicasts, and hears itself and the others", &FIRST);
    Ok(())
}

fn crash(stage: &mut Stage) -> Result<(), Failure> {
    stage.say(format!("kill -9 of process {KILLED}, in the middle of the traffic."));
    let member = stage.member(KILLED)?;
    member.state = State::Ending;
    let killed = now();
    member.process.kill();
    stage.wait_for("the survivors are in a view of their own", CHANGE_MAX, |s| {
        s.together(&SURVIVORS)
    })?;
    let installed = SURVIVORS.iter().filter_map(|p| stage.members.get(p)?.view.as_ref());
    let last = installed.map(|(_, at)| *at).max().unwrap_or_default();
    stage.say(format!(
        "The survivors agreed on what they had heard of process {KILLED}, and on their view: {:.1} ms after the kill.",
        last.0.saturating_sub(killed.0) as f64 / 1e6
    ));
    stage.go_on(PART)
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

fn settle_and_leave(stage: &mut Stage) -> Result<Settled, Failure> {
    stage.set_traffic(false);
    stage.wait_for("everybody delivers all that was sent in the last view", END_MAX, |s| {
        s.quiet(&LAST)
    })?;
    counts(stage, "The traffic ends; everything that was sent is delivered", &LAST);
    let mut settled = Settled { traces: Vec::new(), typed: BTreeMap::new() };
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
    if let Some(server) = &stage.server {
        server.signal("TERM")?;
    }
    stage.wait_for("the membership server ends", END_MAX, Stage::all_ended)?;
    stage.server.as_mut().map_or(Ok(()), Process::finish)?;
    stage.say(format!("Processes {} and the server ended by themselves.", DisplaySet(&LAST)));
    Ok(settled)
}

/// Starts a member.
fn start(stage: &mut Stage, id: ProcessId) -> Result<(), Failure> {
    let server = stage.server_addr.clone().unwrap_or_default();
    let file = trace_file(&stage.traces, id);
    let mut args: Vec<String> =
        ["node", "--group", GROUP, "--json", "--interface", "127.0.0.1", "--bind", "127.0.0.1"]
            .map(ToOwned::to_owned)
            .to_vec();
    args.extend(["--server".into(), server, "--id".into(), id.to_string()]);
    args.extend(["--multicast".into(), stage.multicast.clone()]);
    args.extend(["--trace".into(), file.display().to_string()]);
    let process = Process::start(Who::Member(id), &args, &stage.sender)?;
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
