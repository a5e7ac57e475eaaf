//! From what `vs node` is told to a session.

use core::hash::{BuildHasher, Hasher};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::hash_map::RandomState;
use std::net::UdpSocket;
use std::sync::Arc;

use mio::{Poll, Waker};
use vs_core::Blocking;
use vs_core::ident::{Incarnation, NUMBER_MAX, ProcessId};
use vs_core::rule::{LeftOut, Rule};
use vs_core::trace::Header;
use vs_mio::{Driver, DriverConfig, OpenError};
use vs_std::clock::Clock;
use vs_std::trace::{MaybeTrace, TraceFile};
use vs_std::udp::{SetupError, UdpConfig};

use super::Args;
use super::echo::{Echo, Tee};
use super::embedded::{Embedded, Place};
use super::session::{BEACONS, CONNECTIONS, LISTENER, STATUS, Session, TOKENS, WAKE};
use super::status::Desk;
use crate::Failure;
use crate::generate::Generator;
use crate::input::{Generated, Source};
use crate::output::Output;
use crate::tuning::resolve;

/// Opens everything and joins the group.
pub(super) fn session(args: Args) -> Result<Session, Failure> {
    let blocking = if args.manual_block { Blocking::Manual } else { Blocking::Auto };
    let (mut node, mut config) = args.tuning.configs(blocking);
    if let Some(voters) = &args.primary_of {
        config.primary_of.clone_from(&voters.0);
    }
    if args.sync_after_view {
        config.left_out = LeftOut::only(Rule::ParallelSync);
    }
    node.client.deployment = args.deployment.clone();
    let udp = udp(&args)?;
    let clock = Clock::new();
    let process = process(args.id);
    let place = Place { bind: udp.bind, interface: udp.interface, multicast: udp.multicast };
    let mut embedded = embedded(&args, place, process)?;
    let servers = match &embedded {
        Some(embedded) => vec![embedded.listen_addr()],
        None => resolve(&args.servers)?,
    };
    let incarnation = clock.incarnation();
    let tracer = Tee {
        trace: trace(&args, process, incarnation, &clock)?,
        echo: args.json.then(|| Echo::new(clock.unix_offset())),
    };
    let names =
        if embedded.is_some() { vec![servers[0].to_string()] } else { args.servers.clone() };
    let driver = DriverConfig { node, process, incarnation, seed: random(), servers, udp, clock };
    let mut driver = Driver::new(driver, tracer).map_err(|e| refused(e, args.bind.is_none()))?;
    if let Some(embedded) = &mut embedded {
        embedded.open_beacons(&args.embedded, place)?;
    }
    let poll = Poll::new().map_err(|e| system("make a poll", &e))?;
    driver.register(poll.registry(), TOKENS).map_err(|e| system("wait for sockets", &e))?;
    if let Some(embedded) = &mut embedded {
        let registered = embedded.register(poll.registry(), LISTENER, BEACONS, CONNECTIONS);
        registered.map_err(|e| system("wait for sockets", &e))?;
    }
    let desk = desk(&args, &poll)?;
    let waker = Waker::new(poll.registry(), WAKE).map_err(|e| system("make a waker", &e))?;
    let waker = Arc::new(waker);
    let output = Output::start(Arc::clone(&waker))?;
    let max = config.message_bytes_max;
    let leave_ms = config.peer_ms.saturating_add(LEAVE_SLACK_MS);
    let key = driver.join(&args.group, config).map_err(|e| Failure(e.to_string()))?;
    let source = source(&args, process, max, waker)?;
    let session = Session::new(poll, driver, key, process, output, source, args.cut)?;
    let limits = super::session::Limits {
        message_bytes_max: max,
        connect_ms: args.tuning.connect_ms.unwrap_or(CONNECT_MS),
        is_patient: args.tuning.connect_ms.is_some(),
        leave_ms,
        has_voters: args.primary_of.is_some(),
    };
    Ok(session.with(limits, names, args.leave_at_eof).with_embedded(embedded).with_desk(desk))
}

/// Where the status is asked for, if that was wanted.
fn desk(args: &Args, poll: &Poll) -> Result<Option<Desk>, Failure> {
    let Some(addr) = args.status else { return Ok(None) };
    let desk = Desk::open(addr, poll.registry(), STATUS)?;
    let addr = desk.local_addr().map_err(|e| system("listen for questions", &e))?;
    eprintln!("vs: what this member sees: vs status {addr}");
    Ok(Some(desk))
}

/// The server inside, if none was named.
fn embedded(args: &Args, place: Place, process: ProcessId) -> Result<Option<Embedded>, Failure> {
    if !args.servers.is_empty() {
        return Ok(None);
    }
    let blame = if args.bind.is_some() { "--bind" } else { "--interface" };
    Embedded::open(&args.embedded, place, (process, args.deployment.clone()), blame).map(Some)
}

/// How long servers that say nothing are waited for, unless `--connect-ms` is given, in ms.
const CONNECT_MS: u64 = 5000;

/// What leaving may take beyond what the group grants a silent member, in ms.
const LEAVE_SLACK_MS: u64 = 1000;

pub(super) fn system(what: &str, error: &std::io::Error) -> Failure {
    Failure(format!("cannot {what}: {error}"))
}

/// Blames the option that was used.
fn refused(error: OpenError, bind_follows_interface: bool) -> Failure {
    let error = match error {
        OpenError::Setup(SetupError::BindNotHere(ip)) if bind_follows_interface => {
            OpenError::Setup(SetupError::InterfaceNotHere(ip))
        }
        error => error,
    };
    Failure(error.to_string())
}

fn udp(args: &Args) -> Result<UdpConfig, Failure> {
    let bind = match args.bind.or(args.interface) {
        Some(ip) => ip,
        None => default_bind(args)?,
    };
    let mut config = UdpConfig::new(bind, args.multicast);
    config.unicast = args.unicast;
    config.interface = args.interface.unwrap_or(bind);
    Ok(config)
}

/// The address of this host that the others are likely to reach: on the way to the servers, or to the other nodes.
fn default_bind(args: &Args) -> Result<Ipv4Addr, Failure> {
    if args.servers.is_empty() {
        let there = args.embedded.on_the_way(args.multicast)?;
        return Ok(local_ip(there).unwrap_or_else(|| {
            eprintln!(
                "vs: no way from this host to others is known (it has no default route, say): only nodes on it are \
                 found; name its address with --interface to reach others"
            );
            Ipv4Addr::LOCALHOST
        }));
    }
    let server = resolve(&args.servers)?[0];
    local_ip(server).ok_or_else(|| {
        Failure(format!(
            "no local IPv4 address leads to the membership server {server}: name one with --bind"
        ))
    })
}

/// The address of this host on the way to `server`. Nothing is sent.
fn local_ip(server: SocketAddr) -> Option<Ipv4Addr> {
    if server.ip().is_loopback() {
        return Some(Ipv4Addr::LOCALHOST);
    }
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(server).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

fn process(id: Option<u64>) -> ProcessId {
    let process = ProcessId(id.unwrap_or_else(|| random() & NUMBER_MAX));
    if id.is_none() {
        eprintln!("vs: process id {process}; choose a lasting one with --id");
    }
    process
}

pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn trace(
    args: &Args,
    process: ProcessId,
    incarnation: Incarnation,
    clock: &Clock,
) -> Result<MaybeTrace, Failure> {
    let Some(path) = &args.trace else { return Ok(MaybeTrace::default()) };
    let header = Header { process, incarnation, runtime: "mio".into() };
    let file = TraceFile::open(path, &header, clock.unix_offset()).map_err(|e| {
        Failure(format!(
            "cannot write the trace {}: {e}; choose another file with --trace",
            path.display()
        ))
    })?;
    Ok(MaybeTrace(Some(file)))
}

fn source(
    args: &Args,
    process: ProcessId,
    max: usize,
    waker: Arc<Waker>,
) -> Result<Source, Failure> {
    let generate = &args.generate;
    let Some(count) = generate.generate else {
        let prefix = args.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        if prefix.len() >= max {
            return Err(Failure("--name leaves no room for a message: shorten it".into()));
        }
        return Source::lines(prefix, max, waker);
    };
    // A pause of more than 584 years is as long as that.
    let pause = generate.rate.map(|rate| (1e9 / rate) as u64);
    let generator = Generator::new(count, generate.sizes.clone(), generate.seed);
    let generated = Generated::new(generator, process, generate.generate_members, pause);
    Ok(Source::Generated(Box::new(generated)))
}
