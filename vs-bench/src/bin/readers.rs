//! One of four members reads slowly: what each policy leaves of the rate at which the others
//! receive.
//!
//! `cargo run --release -p vs-bench --bin readers`

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::net::UdpSocket;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Instant;

use clap::Parser;
use vs_bench::process::{PATIENCE, Process, pause, receive, watch_signals};
use vs_bench::samples::Samples;
use vs_core::ident::ProcessId;
use vs_std::udp::UdpConfig;
use vs_std::{Event, JoinOptions, RecvError, Role, SharedGroup, SlowReader};

const MEMBERS: usize = 4;
/// Between two events that the slow member takes.
const PAUSE: Duration = Duration::from_millis(1);
/// When the slow member leaves: half an inbox has waited for this long.
const EVICT: SlowReader =
    SlowReader::Evict { lag_bytes: 2 << 20, after: Duration::from_millis(100) };

#[derive(Parser)]
#[command(about = "What a slow reader costs the others, by policy")]
struct Args {
    /// Rounds, of which the medians count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that are counted
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Bytes of a message
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// What another process does: ID MULTICAST POLICY
    #[arg(long, hide = true, num_args = 3)]
    member: Option<Vec<String>>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.member {
        Some(member) => be_member(&args, member),
        None => measure(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// All policies in turn, in each round; the rate of the slowest of the three others.
fn measure(args: &Args) -> Result<(), String> {
    watch_signals()?;
    let policies = ["none", "block", "evict", "observer"];
    let mut rates = Samples::default();
    for round in 1..=args.rounds {
        for policy in policies {
            let (rate, told) = run(args, policy)?;
            println!("round {round}, {policy}: {rate:.0} messages/s; the slow one: {told}");
            rates.push(policy, rate);
        }
    }
    let all = rates.median("none").unwrap_or_default();
    for policy in policies {
        let rate = rates.median(policy).unwrap_or_default();
        println!("{policy}: {rate:.0} messages/s, {:.3} of none", rate / all);
    }
    Ok(())
}

/// Members 1 (which sends), 2 and 3 read as fast as they can, member 4 as the policy says.
fn run(args: &Args, policy: &str) -> Result<(f64, String), String> {
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
    let port = free.local_addr().map_err(|e| e.to_string())?.port();
    let multicast = SocketAddr::from(([239, 255, 80, 1], port)).to_string();
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let start = |id: usize| {
        let mut command = Command::new(&program);
        command.args(["--seconds", &args.seconds.to_string(), "--size", &args.size.to_string()]);
        let policy = if id == MEMBERS { policy } else { "none" };
        command.args(["--member", &id.to_string(), &multicast, policy]);
        Process::start(format!("member {id}"), command)
    };
    let mut members = (1..=MEMBERS).map(start).collect::<Result<Vec<_>, _>>()?;
    let patience = PATIENCE + Duration::from_secs(args.seconds);
    let mut said = Vec::new();
    for member in &mut members {
        let line = receive(&member.take_lines(), patience, "a member")?;
        said.push(line.ok_or("a member ended without a word")?);
    }
    let rates =
        said[..MEMBERS - 1].iter().map(|line| line.parse::<f64>().map_err(|e| e.to_string()));
    let rates = rates.collect::<Result<Vec<_>, _>>()?;
    Ok((rates.into_iter().fold(f64::INFINITY, f64::min), said.pop().unwrap_or_default()))
}

fn be_member(args: &Args, member: &[String]) -> Result<(), String> {
    let [id, multicast, policy] = member else { return Err("--member has three values".into()) };
    let id: u64 = id.parse().map_err(|_| "an id is a number")?;
    let multicast: SocketAddr = multicast.parse().map_err(|_| "an address has a port")?;
    let SocketAddr::V4(multicast) = multicast else { return Err("by IPv4".into()) };
    let udp = UdpConfig::new(Ipv4Addr::LOCALHOST, multicast);
    let options = JoinOptions::without_server(ProcessId(id), udp);
    let options = match policy.as_str() {
        "evict" => options.with_slow_reader(EVICT),
        "observer" => options.with_role(Role::Observer),
        _ => options,
    };
    let name = "readers".parse().map_err(|e| format!("{e}"))?;
    let group = SharedGroup::join(&name, options).map_err(|e| e.to_string())?;
    while group.view().len() < MEMBERS {
        group.recv_timeout(PATIENCE).map_err(|e| e.to_string())?.ok_or("no view of all")?;
    }
    let until = Instant::now() + Duration::from_secs(args.seconds);
    let told = thread::scope(|scope| {
        if id == 1 {
            scope.spawn(|| {
                let payload = vec![7; args.size];
                while Instant::now() < until && group.send(&payload).is_ok() {}
            });
        }
        match policy.as_str() {
            "none" => match read(&group, until) {
                Ok(count) => Ok((count as f64 / args.seconds as f64).to_string()),
                Err(error) => Err(error.to_string()),
            },
            _ => read_slowly(&group, until),
        }
    });
    println!("{}", told?);
    Ok(())
}

/// How many messages come until then.
fn read(group: &SharedGroup, until: Instant) -> Result<usize, RecvError> {
    let (mut events, mut count) = (Vec::new(), 0);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(count);
        }
        let Some(first) = group.recv_timeout(left)? else { return Ok(count) };
        events.push(first);
        events.extend(group.try_iter());
        count += events.drain(..).filter(|e| matches!(e, Event::Message { .. })).count();
    }
}

/// What a member that reads slowly is told.
fn read_slowly(group: &SharedGroup, until: Instant) -> Result<String, String> {
    let (mut messages, mut missed, mut out) = (0, 0, String::from("stayed"));
    while Instant::now() < until {
        pause(PAUSE)?;
        match group.try_recv() {
            Ok(Some(Event::Message { .. })) => messages += 1,
            Ok(Some(Event::Gap { messages })) => missed += messages,
            Ok(Some(Event::Detached { reason })) => out = format!("out: {reason}"),
            Ok(_) => {}
            Err(RecvError::Detached(reason)) => {
                out = format!("out for good: {reason}");
                break;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    // What waited before it was out is not looked at: the end is told at once where nobody reads.
    let end = group.send(b"").err().map(|error| format!("; it cannot send: {error}"));
    Ok(format!("{messages} read, {missed} missed, {out}{}", end.unwrap_or_default()))
}
