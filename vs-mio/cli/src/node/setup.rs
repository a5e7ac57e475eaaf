//! From what `vs node` is told to a session.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use mio::{Poll, Waker};
use vs_core::Blocking;
use vs_core::ident::{Incarnation, NUMBER_MAX, ProcessId};
use vs_core::trace::Header;
use vs_mio::{Driver, DriverConfig};
use vs_std::clock::Clock;
use vs_std::trace::{MaybeTrace, TraceError, TraceFile, reached_ms};
use vs_std::udp::{Detour, Follow, UdpConfig, address_towards, address_towards_others};
use vs_std::{Membership, ServerName, random};

use super::args::Args;
use super::echo::{Echo, Tee};
use super::session::{STATUS, Session, TOKENS, WAKE};
use super::status::Desk;
use crate::failure::{Failure, system};
use crate::generate::Generator;
use crate::input::{Generated, Source};
use crate::keys;
use crate::network::{find_any, pause, servers, unopened};
use crate::output::Output;
use crate::renewal::Renewal;

/// Opens everything and joins the group.
pub(super) fn session(args: Args) -> Result<Session, Failure> {
    let blocking = if args.manual_block { Blocking::Manual } else { Blocking::Auto };
    // What `--connect-ms` grants begins before names are looked up.
    let clock = clock(&args)?;
    let named = servers(&args.servers)?;
    let udp = udp(&args, &named)?;
    let keys = args.keys.keys(uses(&args, &udp), "--interface 127.0.0.1")?;
    keys::check_status(keys.as_ref(), args.status);
    args.metrics.check(keys.as_ref());
    let (mut node, mut config) = args.tuning.configs(blocking, udp.bind.is_ipv6());
    config.order = args.order;
    if let Some(voters) = &args.primary_of {
        config.primary_of.clone_from(&voters.0);
    }
    node.client.deployment = args.deployment.clone();
    let process = process(args.id);
    let membership = if named.is_empty() {
        Membership::Embedded(Box::new(args.embedded.config()?))
    } else {
        Membership::Servers(named)
    };
    let incarnation = clock.incarnation();
    let tracer = Tee {
        trace: trace(&args, process, incarnation, &clock)?,
        echo: args.json.then(|| Echo::new(clock.unix_offset())),
    };
    let (interface, datagram_bytes) = (udp.interface, node.datagram_bytes);
    let driver = DriverConfig::new(process, membership, udp)
        .with_node(node)
        .with_fit_datagrams(args.tuning.datagram_bytes.is_none())
        .with_incarnation(incarnation)
        .with_clock(clock)
        .with_keys(keys);
    let bind = if args.bind.is_some() { "--bind" } else { "--interface" };
    let mut driver = Driver::new(driver, tracer)
        .map_err(|e| unopened(&e, bind, args.embedded.listen_option(bind)))?;
    #[cfg(feature = "mutants")]
    if args.sync_after_view {
        driver.leave_out(vs_core::rule::Rule::ParallelSync);
    }
    if driver.datagram_bytes() < datagram_bytes {
        tracing::warn!(
            "the MTU of interface {interface} takes datagrams of {} bytes: such are used",
            driver.datagram_bytes()
        );
    }
    let how = driver.embedded().map(|server| args.embedded.how(server, interface));
    let poll = Poll::new().map_err(|e| system("make a poll", &e))?;
    driver.register(poll.registry(), TOKENS).map_err(|e| system("wait for sockets", &e))?;
    let desk = desk(&args, &poll)?;
    let waker = Waker::new(poll.registry(), WAKE).map_err(|e| system("make a waker", &e))?;
    let waker = Arc::new(waker);
    let asked = args.metrics.open(&waker)?;
    let output = Output::start(Arc::clone(&waker))?;
    let max = config.message_bytes_max;
    let leave_ms = config.peer_ms.saturating_add(LEAVE_SLACK_MS);
    let key = driver.join(&args.group, config).map_err(|e| Failure(e.to_string()))?;
    let source = source(&args, process, max, waker)?;
    let heard = (args.cut, Renewal::of(&args.keys));
    let session = Session::new(poll, driver, key, process, output, source, heard)?;
    let limits = super::session::Limits {
        message_bytes_max: max,
        connect_ms: args.tuning.connect_ms.unwrap_or(CONNECT_MS),
        is_patient: args.tuning.connect_ms.is_some(),
        leave_ms,
        has_voters: args.primary_of.is_some(),
    };
    Ok(session.with(limits, args.leave_at_eof).with_embedded(how).with_desk(desk, asked))
}

/// The addresses by which others reach this process, and those that it will be connected to.
fn uses(args: &Args, udp: &UdpConfig) -> Vec<IpAddr> {
    let status = args.status.map(|addr| addr.ip()).into_iter().chain(args.metrics.uses());
    let named = keys::named(&args.servers).chain(args.embedded.uses());
    keys::uses(udp).chain(named).chain(status).collect()
}

/// Where the status is asked for, if that was wanted.
fn desk(args: &Args, poll: &Poll) -> Result<Option<Desk>, Failure> {
    let Some(addr) = args.status else { return Ok(None) };
    let desk = Desk::open(addr, poll.registry(), STATUS)?;
    let addr = desk.local_addr().map_err(|e| system("listen for questions", &e))?;
    tracing::info!("what this member sees: vs status {addr}");
    Ok(Some(desk))
}

/// How long servers that say nothing are waited for, unless `--connect-ms` is given, in ms.
const CONNECT_MS: u64 = 5000;

/// How long the names of peers are waited for before the node is bound without them.
const PEERS_WAIT: Duration = Duration::from_secs(1);

/// What leaving may take beyond what the group grants a silent member, in ms.
const LEAVE_SLACK_MS: u64 = 1000;

fn udp(args: &Args, servers: &[ServerName]) -> Result<UdpConfig, Failure> {
    // Whether the addresses are of IPv6, if some that was named tells.
    let named = args.multicast.or(args.embedded.beacons()).map(|addr| addr.ip()).or(args.bind);
    let family = named.map(|ip| ip.is_ipv6());
    let interface = args.interface.as_ref().map(|interface| interface.addr(family)).transpose()?;
    let is_usable = |ip: &IpAddr| !ip.is_unspecified();
    let chosen = args.bind.filter(is_usable).or(interface.filter(is_usable));
    let (bind, follow) = match (chosen, &args.interface) {
        (Some(ip), Some(interface)) if args.bind.is_none() => (ip, interface.follow()),
        (Some(ip), _) => (ip, Follow::Stay),
        (None, _) => default_bind(args, servers)?,
    };
    if let Some(any) = args.bind.or(interface).filter(IpAddr::is_unspecified) {
        tracing::warn!(
            "others cannot send to {any}: they are told {bind}, the address on the way to them"
        );
    }
    let mut config = UdpConfig::on(bind);
    config.multicast = args.multicast.unwrap_or(config.multicast);
    config.unicast = args.unicast;
    config.port = args.data_port.unwrap_or_default();
    config.follow = follow;
    config.interface = interface.filter(is_usable).unwrap_or(bind);
    Ok(config)
}

/// The address of this host that the others are likely to reach: on the way to the servers, or to
/// the other nodes; and how it is found again.
fn default_bind(args: &Args, servers: &[ServerName]) -> Result<(IpAddr, Follow), Failure> {
    let group = args.multicast.or(args.embedded.beacons());
    let limit = Duration::from_millis(args.tuning.connect_ms.unwrap_or(CONNECT_MS));
    let until = Instant::now() + limit;
    let addrs = if !servers.is_empty() {
        find_any(servers, until, args.tuning.connect_ms.is_some())?
    } else {
        // A peer may get its name only once it has found this node.
        let known = ServerName::look_up_any(&args.embedded.peers()?, PEERS_WAIT).ok();
        known.unwrap_or_else(|| group.into_iter().collect())
    };
    // The group has to be of the same family.
    let fits = |addr: &&SocketAddr| {
        args.multicast.is_none_or(|multicast| multicast.is_ipv6() == addr.is_ipv6())
    };
    let there = addrs.iter().find(fits).or(addrs.first()).copied();
    let follow = there.map_or(Follow::Others, Follow::Towards);
    let towards = || there.map_or_else(address_towards_others, address_towards);
    if let Some(here) = towards() {
        if !addrs.iter().any(|addr| !addr.ip().is_multicast()) {
            advise_detour(here);
        }
        return Ok((here, follow));
    }
    if let Some(server) = servers.first() {
        tracing::warn!(
            "no local address leads to the membership server {server} yet: waiting for one"
        );
        while Instant::now() < until {
            pause(until);
            if let Some(here) = towards() {
                return Ok((here, follow));
            }
        }
        return Err(Failure(format!(
            "no local address leads to the membership server {server}: name one with --bind, or wait longer with \
             --connect-ms"
        )));
    }
    tracing::warn!(
        "no way from this host to others is known (it has no default route, say): only nodes on it are found until \
         there is one; name its address with --interface to reach others"
    );
    let is_ipv6 = there.as_ref().is_some_and(SocketAddr::is_ipv6);
    let here = if is_ipv6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    Ok((here, follow))
}

/// A tunnel or a bridge may hold the default route while the others are elsewhere.
fn advise_detour(here: IpAddr) {
    let Ok(Some(Detour { interface, others })) = Detour::of(here) else { return };
    let others: Vec<_> = others.iter().map(|(name, ip)| format!("{name} ({ip})")).collect();
    tracing::warn!(
        "{here} is told to the others, an address of {interface}, which is a tunnel or a bridge: if they are not \
         behind it, name another with --interface: {}",
        others.join(", ")
    );
}

/// The clock of the node. Where the time of day was set back since an earlier incarnation wrote the
/// trace, it goes on above that.
fn clock(args: &Args) -> Result<Clock, Failure> {
    let clock = Clock::new();
    let Some(path) = &args.trace else { return Ok(clock) };
    let reached_ms = reached_ms(path).map_err(|e| unwritable(path, &e.into()))?;
    let above = clock.above(reached_ms);
    // Clocks of hosts differ by less, and numbers come from all of them.
    let behind_s = (above.unix_start_ms() - clock.unix_start_ms()) / 1000;
    if behind_s > 0 {
        tracing::warn!(
            "the clock of this host is {behind_s} s behind what {} has reached, and numbers go on above that: it \
             was set back, or the clock of another host is ahead",
            path.display()
        );
    }
    Ok(above)
}

fn unwritable(path: &Path, error: &TraceError) -> Failure {
    Failure(format!(
        "cannot write the trace {}: {error}; choose another file with --trace",
        path.display()
    ))
}

fn process(id: Option<u64>) -> ProcessId {
    let process = ProcessId(id.unwrap_or_else(|| random() & NUMBER_MAX));
    if id.is_none() {
        tracing::info!("process id {process}; choose a lasting one with --id");
    }
    process
}

fn trace(
    args: &Args,
    process: ProcessId,
    incarnation: Incarnation,
    clock: &Clock,
) -> Result<MaybeTrace, Failure> {
    let Some(path) = &args.trace else { return Ok(MaybeTrace::default()) };
    let header = Header { process, incarnation, runtime: "mio".into() };
    let file = TraceFile::open(path, &header, clock.unix_offset())
        .map_err(|error| unwritable(path, &error))?;
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
