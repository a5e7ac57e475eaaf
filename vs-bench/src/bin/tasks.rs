//! A group in tasks beside the same group in blocking threads: one way, and messages a second.
//!
//! `cargo run --release -p vs-bench --bin tasks`

use core::future::Future;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::net::UdpSocket;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use clap::Parser;
use futures_lite::{StreamExt, future};
use vs_bench::process::{PATIENCE, check_signals, watch_signals};
use vs_bench::samples::Samples;
use vs_core::ident::ProcessId;
use vs_std::udp::UdpConfig;
use vs_std::{Event, JoinOptions, RecvError, SendError, SharedGroup, pin};

#[derive(Parser)]
#[command(about = "Tasks beside blocking threads: one way, and messages a second")]
struct Args {
    /// Rounds, of which the medians count
    #[arg(long, default_value_t = 51)]
    rounds: usize,
    /// Messages there and back that are timed in a round
    #[arg(long, default_value_t = 1_000)]
    pings: usize,
    /// Messages that are sent as fast as it goes in a round
    #[arg(long, default_value_t = 200_000)]
    messages: usize,
    /// Bytes of a message
    #[arg(long, default_value_t = 64)]
    size: usize,
}

/// Who calls.
#[derive(Clone, Copy, PartialEq)]
enum Caller {
    Blocking,
    /// A runtime of one thread.
    Tokio,
    /// An executor of one task, which parks its thread.
    FuturesLite,
}

const CALLERS: [(Caller, &str); 3] = [
    (Caller::Blocking, "blocking"),
    (Caller::Tokio, "tokio"),
    (Caller::FuturesLite, "futures-lite"),
];

const PING: u8 = 0;
const PONG: u8 = 1;

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// All callers in turn, in each round.
fn measure(args: &Args) -> Result<(), String> {
    watch_signals()?;
    let mut samples = Samples::default();
    for round in 1..=args.rounds {
        for at in 0..CALLERS.len() {
            // Each is first as often as the others.
            let (caller, name) = CALLERS[(at + round) % CALLERS.len()];
            check_signals()?;
            let way = one_way(args, caller)?;
            let rate = throughput(args, caller)?;
            println!("round {round}, {name}: one way {way:.1} us, {rate:.0} messages/s");
            samples.push(format!("way/{name}"), way);
            samples.push(format!("rate/{name}"), rate);
        }
    }
    let of = |name: String| samples.median(&name).unwrap_or_default();
    let (way, rate) = (of("way/blocking".into()), of("rate/blocking".into()));
    println!("blocking: one way {way:.1} us, {rate:.0} messages/s");
    for (_, name) in &CALLERS[1..] {
        let (its_way, its_rate) = (of(format!("way/{name}")), of(format!("rate/{name}")));
        let (ways, rates) = (its_way / way, its_rate / rate);
        println!(
            "{name}: one way {its_way:.1} us, {ways:.2} of blocking; {its_rate:.0} messages/s, {rates:.2} of blocking"
        );
    }
    Ok(())
}

/// Two members of this process in one view; the thread of each on a core of its own, if `pinned`.
fn pair(pinned: bool) -> Result<[SharedGroup; 2], String> {
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
    let SocketAddr::V4(free) = free.local_addr().map_err(|e| e.to_string())? else {
        return Err("it is not of IPv4".into());
    };
    let multicast = SocketAddrV4::new(Ipv4Addr::new(239, 255, 80, 2), free.port());
    let name = "tasks".parse().map_err(|e| format!("{e}"))?;
    let join = |id| {
        let udp = UdpConfig::new(Ipv4Addr::LOCALHOST, multicast);
        let mut options = JoinOptions::without_server(ProcessId(id), udp);
        options.pin = pinned.then(|| core_of(id));
        SharedGroup::join(&name, options).map_err(|e| e.to_string())
    };
    let pair = [join(1)?, join(2)?];
    for group in &pair {
        while group.view().len() < 2 {
            let event = group.recv_timeout(PATIENCE).map_err(|e| e.to_string())?;
            event.ok_or("they do not meet")?;
        }
    }
    Ok(pair)
}

/// The core of a member: the first or the second one, if there are two.
fn core_of(id: u64) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    id as usize % cores
}

fn run<R>(caller: Caller, future: impl Future<Output = R>) -> Result<R, String> {
    if caller == Caller::FuturesLite {
        return Ok(future::block_on(future));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    Ok(runtime.map_err(|e| e.to_string())?.block_on(future))
}

fn is(event: &Event, kind: u8) -> bool {
    matches!(event, Event::Message { payload, .. } if payload.first() == Some(&kind))
}

/// The median of half the time there and back, in microseconds. The threads of a member share a
/// core: left to the scheduler, some rounds take five times as long as others, whoever calls.
fn one_way(args: &Args, caller: Caller) -> Result<f64, String> {
    let [one, two] = pair(true)?;
    let size = args.size;
    let answers = thread::spawn(move || {
        pin(core_of(2)).map_err(|e| e.to_string())?;
        answer(&two, caller, &vec![PONG; size])
    });
    let pings = args.pings;
    let ways = thread::spawn(move || {
        pin(core_of(1)).map_err(|e| e.to_string())?;
        let ways = ping(&one, caller, pings, &vec![PING; size])?;
        one.leave().map_err(|e| e.to_string())?;
        Ok::<_, String>(ways)
    });
    let ways = ways.join().map_err(|_| "the member that asks panicked")??;
    answers.join().map_err(|_| "the member that answers panicked")??;
    let mut samples = Samples::default();
    ways.into_iter().for_each(|way| samples.push("way", way));
    samples.median("way").ok_or("no pings".into())
}

/// Half the time there and back of each ping, in microseconds.
fn ping(
    group: &SharedGroup,
    caller: Caller,
    pings: usize,
    payload: &[u8],
) -> Result<Vec<f64>, String> {
    let mut ways = Vec::with_capacity(pings);
    let mut note = |start: Instant| ways.push(start.elapsed().as_secs_f64() * 1e6 / 2.0);
    if caller == Caller::Blocking {
        for _ in 0..pings {
            let start = Instant::now();
            group.send(payload).map_err(|e| e.to_string())?;
            while !is(&group.recv().map_err(|e| e.to_string())?, PONG) {}
            note(start);
        }
        return Ok(ways);
    }
    run(caller, async {
        let mut events = group.stream();
        for _ in 0..pings {
            let start = Instant::now();
            group.send_async(payload).await.map_err(|e| e.to_string())?;
            while !is(&events.next().await.ok_or("membership ended")?, PONG) {}
            note(start);
        }
        Ok::<_, String>(())
    })??;
    Ok(ways)
}

/// Answers each ping until it is alone.
fn answer(group: &SharedGroup, caller: Caller, pong: &[u8]) -> Result<(), String> {
    let is_alone = |event: &Event| matches!(event, Event::View { view, .. } if view.len() == 1);
    if caller == Caller::Blocking {
        for event in group.iter().take_while(|event| !is_alone(event)) {
            if is(&event, PING) {
                group.send(pong).map_err(|e| e.to_string())?;
            }
        }
        return Ok(());
    }
    run(caller, async {
        let mut events = group.stream().take_while(|event| !is_alone(event));
        while let Some(event) = events.next().await {
            if is(&event, PING) {
                group.send_async(pong).await.map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    })?
}

/// Messages that the other member receives in a second.
fn throughput(args: &Args, caller: Caller) -> Result<f64, String> {
    let pair = pair(false)?;
    let receivers = pair.clone().map(|group| {
        let count = args.messages;
        thread::spawn(move || receive(&group, caller, count))
    });
    let [sender, _other] = pair;
    let payload = vec![PING; args.size];
    let start = Instant::now();
    match caller {
        Caller::Blocking => (0..args.messages).try_for_each(|_| sender.send(&payload)),
        Caller::Tokio | Caller::FuturesLite => run(caller, async {
            for _ in 0..args.messages {
                sender.send_async(&payload).await?;
            }
            Ok::<_, SendError>(())
        })?,
    }
    .map_err(|e| e.to_string())?;
    for receiver in receivers {
        receiver.join().map_err(|_| "a receiver panicked")?.map_err(|e| e.to_string())?;
    }
    Ok(args.messages as f64 / start.elapsed().as_secs_f64())
}

/// Receives `count` messages, one by one.
fn receive(group: &SharedGroup, caller: Caller, count: usize) -> Result<(), RecvError> {
    let mut left = count;
    if caller == Caller::Blocking {
        while left > 0 {
            left -= usize::from(is(&group.recv()?, PING));
        }
        return Ok(());
    }
    let done = run(caller, async {
        let mut events = group.stream();
        while left > 0 {
            match events.next().await {
                Some(event) => left -= usize::from(is(&event, PING)),
                None => return Err(events.end().unwrap_or(RecvError::Left)),
            }
        }
        Ok(())
    });
    done.unwrap_or(Err(RecvError::Left))
}
