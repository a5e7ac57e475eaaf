//! A replicated state in three processes: operations a second from one client with 64 of them
//! outstanding, and how fast a large state moves to a newcomer while the others go on.
//!
//! `cargo run --release -p vs-bench --bin state`

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;
use std::net::UdpSocket;
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use vs_bench::process::{Process, pause, watch_signals};
use vs_core::ident::{GroupName, ProcessId};
use vs_core::replica::{Broken, Sink, Source, State};
use vs_std::driver::DriverConfig;
use vs_std::udp::UdpConfig;
use vs_std::{JoinOptions, Membership, Pending, ReplicaOptions, Replicated};

/// Operations without an answer at a time.
const OUTSTANDING: usize = 64;
/// How long operations are counted.
const COUNTED: Duration = Duration::from_secs(3);
/// How long the state may take to be served.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes that are written to a snapshot at a time.
const PIECE_BYTES: usize = 1 << 20;

#[derive(Parser)]
#[command(about = "A replicated state: operations a second, and the transfer of a large one")]
struct Args {
    /// Bytes of the state that moves to a newcomer
    #[arg(long, default_value_t = 1 << 30)]
    state_bytes: usize,
    /// Operations a second meanwhile
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// Bytes of an operation
    #[arg(long, default_value_t = 100)]
    size: usize,
    /// What another process does: ID MULTICAST
    #[arg(long, hide = true, num_args = 2)]
    member: Option<Vec<String>>,
}

/// Bytes; an operation changes some of them.
struct Blob(Vec<u8>);

impl State for Blob {
    type Op = (u64, String);
    type Out = u64;

    fn apply(&mut self, (at, bytes): Self::Op) -> u64 {
        let at = at as usize % (self.0.len() - bytes.len()).max(1);
        self.0[at..at + bytes.len()].copy_from_slice(bytes.as_bytes());
        bytes.len() as u64
    }

    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        self.0.chunks(PIECE_BYTES).try_for_each(|piece| out.put(piece))
    }

    fn restore(input: &mut dyn Source) -> Result<Self, Broken> {
        let (mut bytes, mut piece) = (Vec::new(), vec![0; PIECE_BYTES]);
        loop {
            match input.take(&mut piece)? {
                0 => return Ok(Self(bytes)),
                n => bytes.extend_from_slice(&piece[..n]),
            }
        }
    }
}

fn open(id: u64, multicast: &str, bytes: usize) -> Result<Replicated<Blob>, String> {
    let multicast: SocketAddr =
        multicast.parse().map_err(|e| format!("{multicast} is no address: {e}"))?;
    let udp = UdpConfig::new(Ipv4Addr::LOCALHOST, multicast);
    let driver = DriverConfig::new(ProcessId(id), Membership::embedded(), udp);
    let primary_of = [1, 2, 3].map(ProcessId);
    let group = GroupName::new("state").map_err(|e| e.to_string())?;
    let options = ReplicaOptions::new(&primary_of).with_hear(move |event| {
        if id == 3 {
            println!("{event}");
        }
    });
    let join = JoinOptions::with(driver);
    Replicated::open(&group, join, options, Blob(vec![7; bytes])).map_err(|e| e.to_string())
}

/// Another member, until it is ended.
fn member(id: u64, multicast: &str, bytes: usize) -> Result<(), String> {
    let state = open(id, multicast, bytes)?;
    loop {
        pause(Duration::from_secs(1))?;
        if let Some(end) = state.end() {
            return Err(end.to_string());
        }
    }
}

fn start(id: u64, multicast: &str, bytes: usize) -> Result<Process, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let args = ["--member", &id.to_string(), multicast, "--state-bytes", &bytes.to_string()];
    let mut command = Command::new(program);
    command.args(args);
    Process::start(format!("member {id}"), command)
}

/// Operations of one client: as many as come to their end in `time`, at most `rate` a second.
fn drive(
    state: &Replicated<Blob>,
    size: usize,
    rate: Option<u64>,
    mut is_over: impl FnMut(Duration) -> bool,
) -> Result<f64, String> {
    let (begun, mut sent, mut done) = (Instant::now(), 0_u64, 0_u64);
    let mut pending: VecDeque<Pending<u64>> = VecDeque::new();
    while !is_over(begun.elapsed()) {
        let due =
            rate.map_or(u64::MAX, |rate| (begun.elapsed().as_secs_f64() * rate as f64) as u64);
        while pending.len() < OUTSTANDING && sent < due {
            let op = (sent * 4096, "1".repeat(size));
            pending.push_back(state.begin(&op).map_err(|e| e.to_string())?);
            sent += 1;
        }
        match pending.pop_front() {
            Some(first) => {
                first.wait(PATIENCE).map_err(|e| e.to_string())?;
                done += 1;
            }
            None => pause(Duration::from_micros(100))?,
        }
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}

fn measure(args: &Args) -> Result<(), String> {
    watch_signals()?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(|e| e.to_string())?;
    let port = socket.local_addr().map_err(|e| e.to_string())?.port();
    let multicast = format!("239.86.84.1:{port}");
    drop(socket);
    let _second = start(2, &multicast, args.state_bytes)?;
    let mut third = start(3, &multicast, args.state_bytes)?;
    let state = open(1, &multicast, args.state_bytes)?;
    if !state.wait_until_served(PATIENCE).map_err(|e| e.to_string())? {
        return Err(format!("not served in time: {}", state.status()));
    }
    let alone = drive(&state, args.size, None, |time| time > COUNTED)?;
    println!("{alone:.0} operations/s of {} bytes, {OUTSTANDING} outstanding", args.size);
    let before = drive(&state, args.size, Some(args.rate), |time| time > COUNTED)?;

    third.kill();
    drop(third);
    pause(Duration::from_secs(1))?;
    let begun = Instant::now();
    let mut third = start(3, &multicast, 1)?;
    let lines = third.take_lines();
    let (mut came, mut took) = (false, Duration::ZERO);
    let meanwhile = drive(&state, args.size, Some(args.rate), |time| {
        came |= lines.try_iter().any(|line| line.contains("the state has come from"));
        if came && took.is_zero() {
            took = begun.elapsed();
        }
        came || time > PATIENCE
    })?;
    if !came {
        return Err("the state did not come in time".into());
    }
    let mb = args.state_bytes as f64 / 1e6;
    println!(
        "{mb:.0} MB moved in {:.2} s with the start of the process: {:.0} MB/s; operations/s {before:.0} before, \
         {meanwhile:.0} meanwhile",
        took.as_secs_f64(),
        mb / took.as_secs_f64()
    );
    Ok(())
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.member.as_deref() {
        Some([id, multicast]) => match id.parse() {
            Ok(id) => member(id, multicast, args.state_bytes),
            Err(_) => Err(format!("{id} is no id")),
        },
        _ => measure(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("state: {why}");
            ExitCode::FAILURE
        }
    }
}
