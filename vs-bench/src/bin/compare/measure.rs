//! One round: everything once, for this library, Corosync and the limit, one after the other.

use core::time::Duration;

use vs_bench::members::Members;
use vs_bench::process::{check_signals, pause};
use vs_bench::samples::Samples;

use crate::args::{Args, Section};
use crate::corosync::Corosync;
use crate::lab::Lab;
use crate::life;
use crate::ours::{self, Perf, number};
use crate::raw;

/// Bytes of a message.
pub(crate) const SIZES: [usize; 4] = [64, 1024, 8192, 61440];

/// Members of a group whose throughput is measured.
pub(crate) const MEMBERS: [usize; 3] = [2, 3, 5];

/// Bytes of a message and senders, of three members that encrypt.
pub(crate) const SEALED: [(usize, usize); 4] = [(64, 1), (64, 3), (1024, 1), (1024, 3)];

/// Bytes of a datagram that fills an Ethernet frame: the limit in bytes.
pub(crate) const FULL_BYTES: usize = 1472;

/// Members of a group in which one is killed: the bars are about the first two.
pub(crate) const KILL_MEMBERS: [usize; 4] = [3, 5, 2, 8];

/// Silence after which a member is taken for dead, in ms: from the fastest on.
pub(crate) const SILENCES: [u64; 7] = [8, 12, 16, 24, 40, 60, 80];

/// Messages a second of each member while nobody may be suspected.
const CALM_RATE: &str = "1000";

/// What carries a node whose latency counts: the calling thread, without a hand-over.
const LATENCY_RUNTIME: &str = "std";

/// Pause between two changes, so that the first is over when the next begins.
const SETTLE: Duration = Duration::from_millis(60);

/// Attempts of a run that fails.
const ATTEMPTS: usize = 2;

/// Measures everything. A failed measurement is reported and left out; a signal ends the program.
pub(crate) fn round(lab: &Lab, args: &Args, samples: &mut Samples) -> Result<(), String> {
    for section in args.sections() {
        match section {
            Section::Throughput => throughput(lab, args, samples),
            Section::Loss => loss(lab, args, samples),
            Section::Latency => latency(lab, args, samples),
            Section::Kill => kill(lab, args, samples),
            Section::Silence => silence(lab, args, samples),
            Section::Idle => idle(lab, args, samples),
            Section::Sealed => sealed(lab, args, samples),
        }?;
    }
    Ok(())
}

/// The result, or nothing if it fails again and again.
fn attempt<T>(
    what: &str,
    mut measure: impl FnMut() -> Result<T, String>,
) -> Result<Option<T>, String> {
    for _ in 0..ATTEMPTS {
        match measure() {
            Ok(result) => return Ok(Some(result)),
            Err(error) => {
                check_signals()?;
                eprintln!("{what}: {error}");
            }
        }
    }
    Ok(None)
}

/// Measures a rate, and keeps it.
fn rate(
    samples: &mut Samples,
    name: &str,
    measure: impl FnMut() -> Result<f64, String>,
) -> Result<(), String> {
    if let Some(rate) = attempt(name, measure)? {
        eprintln!("{name}: {rate:.0}/s");
        samples.push(name, rate);
    }
    Ok(())
}

fn sizes(args: &Args) -> &'static [usize] {
    if args.quick { &SIZES[..3] } else { &SIZES }
}

fn members(args: &Args) -> &'static [usize] {
    if args.quick { &MEMBERS[..2] } else { &MEMBERS }
}

fn throughput(lab: &Lab, args: &Args, samples: &mut Samples) -> Result<(), String> {
    let seconds = args.seconds();
    for &n in members(args) {
        lab.plug(n)?;
        if let Some(corosync) = attempt("corosync", || Corosync::start(lab, n))?.flatten() {
            for &bytes in sizes(args) {
                for senders in [1, n] {
                    rate(samples, &format!("throughput/corosync/{n}/{senders}/{bytes}"), || {
                        corosync.throughput(senders, bytes, seconds)
                    })?;
                }
            }
        }
        for bytes in [64, 1024, FULL_BYTES] {
            rate(samples, &format!("throughput/raw-offload/{n}/{bytes}"), || {
                raw::multicast(lab, n - 1, bytes, true, seconds)
            })?;
        }
        for &bytes in sizes(args) {
            rate(samples, &format!("throughput/raw/{n}/{bytes}"), || {
                raw::multicast(lab, n - 1, bytes, false, seconds)
            })?;
            for senders in [1, n] {
                rate(samples, &format!("throughput/vs/{n}/{senders}/{bytes}"), || {
                    ours_per_second(lab, args, n, senders, bytes, &[])
                })?;
            }
        }
    }
    Ok(())
}

fn ours_per_second(
    lab: &Lab,
    args: &Args,
    members: usize,
    senders: usize,
    bytes: usize,
    options: &[&str],
) -> Result<f64, String> {
    let (seconds, runtime) = (args.seconds(), args.runtime.as_str());
    let run = Perf { members, senders, bytes, seconds, runtime, options, server: &[] };
    number(&ours::perf(lab, &run)?, "/msgs_per_s")
}

/// What is encrypted, and the same in the clear, by three members in turn.
fn sealed(lab: &Lab, args: &Args, samples: &mut Samples) -> Result<(), String> {
    let (seconds, runtime) = (args.seconds(), args.runtime.as_str());
    let key = lab.key_file(&lab.vs, &["keygen"])?;
    let seals = ["--key-file", key.as_str()];
    lab.plug(3)?;
    for (bytes, senders) in SEALED {
        for (name, options) in [("plain", &[][..]), ("vs", &seals[..])] {
            rate(samples, &format!("sealed/{name}/{senders}/{bytes}"), || {
                let server = options;
                let run = Perf { members: 3, senders, bytes, seconds, runtime, options, server };
                number(&ours::perf(lab, &run)?, "/msgs_per_s")
            })?;
        }
    }
    for encrypts in [false, true] {
        let start = if encrypts { Corosync::encrypted } else { Corosync::start };
        let Some(corosync) = attempt("corosync", || start(lab, 3))?.flatten() else { continue };
        let name = if encrypts { "corosync" } else { "corosync-plain" };
        for (bytes, senders) in SEALED {
            rate(samples, &format!("sealed/{name}/{senders}/{bytes}"), || {
                corosync.throughput(senders, bytes, seconds)
            })?;
        }
    }
    Ok(())
}

fn loss(lab: &Lab, args: &Args, samples: &mut Samples) -> Result<(), String> {
    lab.plug(3)?;
    for senders in [1, 3] {
        for (name, options) in [("none", &[][..]), ("one", &["--loss", "1"][..])] {
            rate(samples, &format!("loss/{name}/{senders}"), || {
                ours_per_second(lab, args, 3, senders, 1024, options)
            })?;
        }
    }
    Ok(())
}

fn latency(lab: &Lab, args: &Args, samples: &mut Samples) -> Result<(), String> {
    let seconds = args.seconds();
    lab.plug(2)?;
    for (how, busy) in [("blocking", false), ("busy", true)] {
        let name = format!("latency/raw/{how}");
        attempt(&name, || raw::ping_pong(lab, 64, busy, seconds, samples, &name))?;
        let name = format!("latency/vs/{how}");
        let options: &[&str] = if busy { &["--ping", "--busy", "--pin"] } else { &["--ping"] };
        let run = Perf {
            members: 2,
            senders: 2,
            bytes: 64,
            seconds,
            runtime: LATENCY_RUNTIME,
            options,
            server: &[],
        };
        if let Some(summary) = attempt(&name, || ours::perf(lab, &run))? {
            for quantile in ["p50", "p90", "p99", "p999", "max"] {
                let value = number(&summary, &format!("/latency_us/{quantile}"))?;
                samples.push(format!("{name}/{quantile}"), value);
            }
        }
        let p50 = |who| samples.median(&format!("latency/{who}/{how}/p50")).unwrap_or(f64::NAN);
        eprintln!("latency {how}: vs {:.1} µs, raw {:.1} µs", p50("vs"), p50("raw"));
    }
    if let Some(corosync) = attempt("corosync", || Corosync::start(lab, 2))?.flatten() {
        let name = "latency/corosync/blocking";
        attempt(name, || corosync.latency(64, seconds, samples, name))?;
    }
    Ok(())
}

/// How often something is repeated in a round.
fn repetitions(args: &Args, full: usize) -> usize {
    if args.quick { full.div_ceil(5) } else { full }
}

/// Kills each in turn.
fn kill_in_turn(
    members: &mut Members<'_>,
    times: usize,
    samples: &mut Samples,
    name: &str,
) -> Result<(), String> {
    for i in 0..times {
        let k = i % members.count() + 1;
        pause(SETTLE)?;
        samples.push(name, members.kill(k)?);
        members.join(k)?;
    }
    let median = samples.median(name).unwrap_or(f64::NAN);
    eprintln!("{name}: {median:.2} ms");
    Ok(())
}

fn kill(lab: &Lab, args: &Args, samples: &mut Samples) -> Result<(), String> {
    let sizes = if args.quick { &KILL_MEMBERS[..2] } else { &KILL_MEMBERS };
    for &n in sizes {
        lab.plug(n)?;
        let name = format!("kill/vs/{n}");
        attempt(&name, || {
            let _server = ours::serve(lab, &[])?;
            let mut members = life::embedded(lab, n)?;
            kill_in_turn(&mut members, repetitions(args, 50), samples, &name)
        })?;
        let name = format!("kill/corosync/{n}");
        if let Some(corosync) = attempt("corosync", || Corosync::start(lab, n))?.flatten() {
            attempt(&name, || {
                let mut members = life::of_corosync(&corosync, n)?;
                kill_in_turn(&mut members, repetitions(args, 20), samples, &name)
            })?;
        }
    }
    Ok(())
}

/// From the fastest setting on, until one at which nobody was suspected who was alive.
fn silence(lab: &Lab, args: &Args, samples: &mut Samples) -> Result<(), String> {
    lab.plug(3)?;
    for ms in SILENCES {
        let (text, beat) = (ms.to_string(), (ms / 4).to_string());
        let server = ["--silence-ms", &text, "--heartbeat-ms", &beat];
        let node = ["--server-silence-ms", &text];
        let name = format!("silence/{ms}");
        let suspected = is_suspected(lab, args, &server, &node)?;
        let measured = attempt(&name, || {
            let _server = ours::serve(lab, &server)?;
            let mut members = life::of_vs(lab, 3, &node)?;
            let mut disturbed = false;
            for i in 0..repetitions(args, 10) {
                disturbed |= members.is_disturbed(Duration::from_millis(400))?;
                let k = i % 3 + 1;
                samples.push(&name, members.silence(k)?);
                members.join(k)?;
            }
            Ok(disturbed)
        })?;
        let false_ones = suspected || measured != Some(false);
        samples.push(format!("silence-false/{ms}"), f64::from(u8::from(false_ones)));
        let median = samples.median(&name).unwrap_or(f64::NAN);
        eprintln!("{name}: {median:.1} ms, false suspicions: {false_ones}");
        if !false_ones {
            break;
        }
    }
    Ok(())
}

/// Whether somebody is taken for dead though all live, while three send at a moderate rate.
fn is_suspected(lab: &Lab, args: &Args, server: &[&str], node: &[&str]) -> Result<bool, String> {
    let options: Vec<&str> = node.iter().copied().chain(["--rate", CALM_RATE]).collect();
    let (seconds, runtime) = (2.0 * args.seconds(), args.runtime.as_str());
    let run =
        Perf { members: 3, senders: 3, bytes: 64, seconds, runtime, options: &options, server };
    match ours::perf(lab, &run) {
        Ok(_) => Ok(false),
        Err(_) => check_signals().map(|()| true),
    }
}

fn idle(lab: &Lab, args: &Args, samples: &mut Samples) -> Result<(), String> {
    let seconds = |full: u64| Duration::from_secs(if args.quick { full.div_ceil(3) } else { full });
    let (calm, time) = (seconds(4), seconds(6));
    lab.plug(3)?;
    let ours = attempt("idle", || {
        let _server = ours::serve(lab, &[])?;
        let members = life::of_vs(lab, 3, &[])?;
        pause(calm)?;
        life::idle(members.processes(), time)
    })?;
    for percent in ours.into_iter().flatten() {
        samples.push("idle/vs", percent);
    }
    if let Some(corosync) = attempt("corosync", || Corosync::start(lab, 3))?.flatten() {
        let theirs = attempt("idle", || {
            let _clients = life::of_corosync(&corosync, 3)?;
            pause(calm)?;
            life::idle(&corosync.daemons, time)
        })?;
        for percent in theirs.into_iter().flatten() {
            samples.push("idle/corosync", percent);
        }
    }
    let median = |who| samples.median(&format!("idle/{who}")).unwrap_or(f64::NAN);
    eprintln!("idle: vs {:.3} %, corosync {:.2} %", median("vs"), median("corosync"));
    Ok(())
}
