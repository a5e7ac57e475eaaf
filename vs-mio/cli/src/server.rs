//! `vs server`: a membership server.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread;

use mio::{Events, Interest, Poll, Token, Waker};
use serde_json::{Value, json};
use signal_hook::consts::SIGTERM;
use signal_hook_mio::v1_0::Signals;
use vs_core::View;
use vs_core::ident::{Deployment, NUMBER_MAX, ServerId};
use vs_core::member::server::{Note, Server, ServerConfig};
use vs_core::status::{ServerCounters, Status};
use vs_mio::ServerDriver;
use vs_std::OpenFiles;
use vs_std::clock::Clock;
use vs_std::faults::Faults;

use crate::beacons::Discover;
use crate::config;
use crate::cut::Cut;
use crate::failure::Failure;
use crate::keys;
use crate::metrics::{self, Questions};
use crate::network::{note_text, refused, servers, unaccepted};
use crate::notify;
use crate::output::Output;
use crate::renewal::Renewal;

const SIGNALS: Token = Token(0);
const WAKE: Token = Token(1);
/// Of the driver: all from it on.
const DRIVER: Token = Token(2);
const EVENTS_MAX: usize = 256;

/// What `vs server` is told.
#[derive(clap::Args, Debug)]
#[command(
    about = "A membership server: decides who may be in the next view; data never passes through it",
    after_help = "Example: vs server --listen 127.0.0.1:7000\n\n\
                  Several servers serve the same groups if they know each other; members go over to another when theirs \
                  is lost:\n  \
                  vs server --listen 127.0.0.1:7000 --id 1 --peer 127.0.0.1:7001\n  \
                  vs server --listen 127.0.0.1:7001 --id 2 --peer 127.0.0.1:7000"
)]
pub(crate) struct Args {
    /// Where to listen; port 0: one that the system chooses
    #[arg(long, value_name = "IP:PORT")]
    listen: SocketAddr,
    /// Another server of the same groups; several may be named, also under a name that has several
    /// addresses
    #[arg(long = "peer", value_name = "HOST:PORT")]
    peers: Vec<String>,
    /// Server id, another one for each server
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=NUMBER_MAX))]
    id: u64,
    /// What the server belongs to; members and servers of another deployment are refused
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = |text: &str| Deployment::new(text))]
    deployment: Deployment,
    /// A connection that is silent for so long is taken for dead; signs of life, and how soon a
    /// peer is tried again, follow from it
    #[arg(long, value_name = "MS")]
    silence_ms: Option<u64>,
    /// An attempt to reach a peer is given up after so long: more than a round trip to the farthest
    /// [default: half of --silence-ms, at least 400 and at most 2000]
    #[arg(long, value_name = "MS")]
    dial_ms: Option<u64>,
    /// Signs of life go out after so much own silence
    #[arg(long, value_name = "MS")]
    heartbeat_ms: Option<u64>,
    /// A change that began with an arrival waits so long for more
    #[arg(long, value_name = "MS")]
    gather_join_ms: Option<u64>,
    /// A change that began with a departure waits so long for more
    #[arg(long, value_name = "MS")]
    gather_crash_ms: Option<u64>,
    /// An arrival waits so long for servers that have just started, so that those who start
    /// together share a view
    #[arg(long, value_name = "MS")]
    gather_max_ms: Option<u64>,
    /// After the first accusation others are waited for so long
    #[arg(long, value_name = "MS")]
    accuse_ms: Option<u64>,
    /// A member excluded by accusation stays out for so long
    #[arg(long, value_name = "MS")]
    readmit_ms: Option<u64>,
    #[command(flatten)]
    config: config::Named,
    #[command(flatten)]
    discover: Discover,
    #[command(flatten)]
    cut: Cut,
    /// End when standard input does: a server of `vs demo` must not outlive it, however that ends
    #[arg(long, hide = true)]
    end_with_input: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    metrics: metrics::Serving,
    #[command(flatten)]
    keys: keys::Sealing,
}

fn end_with_input() {
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
    let _ = signal_hook::low_level::raise(SIGTERM);
}

/// Serves until told to end.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let uses = [args.listen.ip()].into_iter().chain(args.metrics.uses());
    let uses = uses.chain(keys::named(&args.peers));
    let keys = args.keys.keys(uses.chain(args.discover.uses()), "--listen 127.0.0.1:7000")?;
    args.metrics.check(keys.as_ref());
    let peers = servers(&args.peers)?;
    let boot = Clock::new().unix_start_ms();
    let mut config = config(&args);
    let most = (config.connections_max, config.strangers_max);
    let fit = |files: &OpenFiles| files.fit(most.0, most.1, keys.is_some());
    let files = OpenFiles::now().filter(|files| fit(files) != most);
    if let Some(files) = files {
        (config.connections_max, config.strangers_max) = fit(&files);
    }
    let mut server = Server::new(config, ServerId(args.id), boot)
        .map_err(|e| Failure(format!("the configuration cannot be used: {e}")))?;
    keys::seal(&mut server, keys)?;
    let mut driver =
        ServerDriver::new(server, args.listen).map_err(|e| refused(args.listen, &e))?;
    for peer in peers {
        if !driver.add_peer(peer.clone()) {
            return Err(Failure(format!("{peer} is one peer too many: name fewer with --peer")));
        }
    }
    args.discover.begin(&mut driver)?;
    let poll = Poll::new().map_err(system)?;
    driver.register(poll.registry(), DRIVER).map_err(system)?;
    let renewal = Renewal::of(&args.keys);
    let mut signals = Signals::new(args.cut.signals(renewal.signals())).map_err(system)?;
    poll.registry().register(&mut signals, SIGNALS, Interest::READABLE).map_err(system)?;
    if args.end_with_input {
        thread::spawn(end_with_input);
    }
    let waker = Arc::new(Waker::new(poll.registry(), WAKE).map_err(system)?);
    let asked = args.metrics.open(&waker)?;
    let output = Output::start(waker)?;
    let addr = driver.local_addr().map_err(system)?;
    let first = if args.json {
        json!({"note": "listening", "server": args.id, "addr": addr.to_string()}).to_string()
    } else {
        format!("membership server {} listening on {addr}", args.id)
    };
    output.write((first + "\n").into_bytes());
    notify::ready(&format!("listening on {addr}"));
    serve(poll, driver, (signals, renewal), (output, asked), &args, files)
}

fn serve(
    mut poll: Poll,
    mut driver: ServerDriver,
    (mut signals, renewal): (Signals, Renewal),
    (output, asked): (Output, Option<Questions>),
    args: &Args,
    mut files: Option<OpenFiles>,
) -> Result<(), Failure> {
    let mut events = Events::with_capacity(EVENTS_MAX);
    loop {
        driver.advance();
        while let Some(failure) = driver.poll_lookup_failure() {
            tracing::warn!("peer {failure}");
        }
        if let Some(error) = driver.poll_accept_failure() {
            tracing::warn!("{}", unaccepted(&error));
        }
        // Notes that nobody reads stay with the server, which drops the oldest.
        while output.has_room()
            && let Some(note) = driver.poll_note()
        {
            if matches!(note, Note::NoRoom { .. })
                && let Some(OpenFiles { limit, .. }) = files.take()
            {
                tracing::warn!(
                    "there is no room for more connections, since this process may open {limit} files: raise \
                     that limit (ulimit -n)"
                );
            }
            let line = if args.json { as_json(&note).to_string() } else { note_text(&note) };
            output.write((line + "\n").into_bytes());
        }
        match poll.poll(&mut events, driver.timeout()) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(system(error)),
            _ => {}
        }
        for event in &events {
            if let (WAKE, Some(asked)) = (event.token(), &asked) {
                asked.answer(|| vec![Status::Server(driver.server().status())]);
            }
            if event.token() != SIGNALS {
                driver.handle_event(event);
                continue;
            }
            for signal in signals.pending() {
                if renewal.is_meant_by(signal) {
                    renewal.renew(|keys| driver.set_keys(&keys));
                    continue;
                }
                let Some(cut_off) = args.cut.after(signal) else {
                    let counters = driver.server().counters();
                    let summary = if args.json {
                        summary_json(counters).to_string()
                    } else {
                        summary(counters)
                    };
                    output.write((summary + "\n").into_bytes());
                    output.finish();
                    return Ok(());
                };
                driver.set_faults(Faults::default().with_cut_off(cut_off));
            }
        }
    }
}

fn config(args: &Args) -> ServerConfig {
    let deployment = args.deployment.clone();
    let silence_ms = args.silence_ms.unwrap_or(ServerConfig::default().silence_ms);
    let silence = Duration::from_millis(silence_ms);
    let mut config = ServerConfig::for_silence(silence).with_deployment(deployment);
    for (field, value) in [
        (&mut config.dial_ms, args.dial_ms),
        (&mut config.heartbeat_ms, args.heartbeat_ms),
        (&mut config.gather_join_ms, args.gather_join_ms),
        (&mut config.gather_crash_ms, args.gather_crash_ms),
        (&mut config.gather_max_ms, args.gather_max_ms),
        (&mut config.accuse_ms, args.accuse_ms),
        (&mut config.readmit_ms, args.readmit_ms),
    ] {
        if let Some(value) = value {
            *field = value;
        }
    }
    config
}

fn system(error: std::io::Error) -> Failure {
    Failure(format!("the system does not let the server work: {error}"))
}

fn as_json(note: &Note) -> Value {
    match note {
        Note::Attached { group, process, addr } => json!({
            "note": "attached", "g": group.as_str(), "p": process.0, "addr": addr.to_string(),
        }),
        Note::Detached { group, process, server, why } => json!({
            "note": "detached", "g": group.as_str(), "p": process.0, "server": server.0,
            "reason": why.to_string(),
        }),
        Note::StartChange { group, set } => json!({
            "note": "start_change", "g": group.as_str(),
            "set": set.iter().map(|p| p.0).collect::<Vec<_>>(),
        }),
        Note::View { group, view, fast } => json!({
            "note": "view", "g": group.as_str(), "view": view_json(view), "fast": fast,
        }),
        Note::Peer { server, connected } => {
            json!({"note": "peer", "server": server.0, "connected": connected})
        }
        Note::PeerTrouble { addr, why } => {
            json!({"note": "peer_trouble", "addr": addr.to_string(), "why": why.to_string()})
        }
        Note::UselessBeacon(beacon) => {
            json!({"note": "useless_beacon", "why": beacon.to_string()})
        }
        Note::Settled { servers } => json!({"note": "settled", "servers": servers}),
        Note::LeftOut { server, why } => {
            json!({"note": "left_out", "server": server.0, "why": why.to_string()})
        }
        Note::TakenIn { server } => json!({"note": "taken_in", "server": server.0}),
        Note::DuplicateId { server } => json!({"note": "duplicate_id", "server": server.0}),
        Note::NoRoom { connections_max } => {
            json!({"note": "no_room", "connections_max": connections_max})
        }
        Note::Refused { conn, why } => json!({"note": "refused", "conn": conn.0, "why": why}),
        other => json!({"note": "other", "words": other.to_string()}),
    }
}

/// What the server did, for people.
fn summary(counters: &ServerCounters) -> String {
    let ServerCounters { changes, proposals, change_ms_sum, change_ms_max, .. } = *counters;
    let views = counters.views_fast + counters.views_slow;
    let (fast, mean) = (fast_share(counters) * 100.0, change_ms_sum as f64 / views.max(1) as f64);
    format!(
        "{views} views, {fast:.1} % decided in the fast mode; {changes} changes, {proposals} proposals; from the first \
         start_change to the view {mean:.1} ms, at most {change_ms_max} ms"
    )
}

fn summary_json(counters: &ServerCounters) -> Value {
    json!({
        "summary": true,
        "changes": counters.changes,
        "proposals": counters.proposals,
        "views_fast": counters.views_fast,
        "views_slow": counters.views_slow,
        "fast_share": fast_share(counters),
        "change_ms_sum": counters.change_ms_sum,
        "change_ms_max": counters.change_ms_max,
    })
}

/// Of no views, all were decided fast.
fn fast_share(counters: &ServerCounters) -> f64 {
    let views = counters.views_fast + counters.views_slow;
    if views == 0 { 1.0 } else { counters.views_fast as f64 / views as f64 }
}

fn view_json(view: &View) -> Value {
    json!({
        "id": [view.id().major, view.id().minor],
        "members": view.members().iter().map(|p| p.0).collect::<Vec<_>>(),
        "start": view.start_ids().iter().map(|c| c.0).collect::<Vec<_>>(),
    })
}
