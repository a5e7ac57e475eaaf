//! Addresses on the command line, and what is said of those that cannot be used.

use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs;
use std::time::Instant;

use rustix::io::Errno;
use vs_core::member::{Note, PeerTrouble, Refusal, UselessBeacon};
use vs_std::ServerName;
use vs_std::driver::{LinkStatus, OpenError};
use vs_std::udp::{Follow, SetupError, addresses_of};
use vs_std::unheard::Unheard;

use crate::failure::Failure;

/// An interface of this host: by one of its addresses, or by its name.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    text: String,
    addrs: Vec<IpAddr>,
}

impl FromStr for Interface {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(addr) = text.parse() {
            return Ok(Self { text: text.into(), addrs: vec![addr] });
        }
        let addrs = addresses_of(text).map_err(|e| e.to_string())?;
        if addrs.is_empty() {
            return Err("no interface of this host has that name or address".into());
        }
        Ok(Self { text: text.into(), addrs })
    }
}

impl Interface {
    /// How its address is found again: one that was named by its address stays.
    pub(crate) fn follow(&self) -> Follow {
        match self.text.parse::<IpAddr>() {
            Ok(_) => Follow::Stay,
            Err(_) => Follow::Interface(self.text.clone()),
        }
    }

    /// Its address of the family, or the first one if any will do.
    pub(crate) fn addr(&self, is_ipv6: Option<bool>) -> Result<IpAddr, Failure> {
        let fits = |addr: &&IpAddr| is_ipv6.is_none_or(|is_ipv6| addr.is_ipv6() == is_ipv6);
        self.addrs.iter().find(fits).copied().ok_or_else(|| {
            let family = if is_ipv6 == Some(true) { "IPv6" } else { "IPv4" };
            Failure(format!(
                "interface {} has no address of {family}, as others have that are named: choose another with \
                 --interface",
                self.text
            ))
        })
    }
}

/// A note of a server, for people; with the option of the command that its advice is followed by.
pub(crate) fn note_text(note: &Note) -> String {
    match note {
        Note::UselessBeacon(UselessBeacon::Deployment(_))
        | Note::PeerTrouble { why: PeerTrouble::Refused(Refusal::Deployments(..)), .. } => {
            format!("{note}, with --deployment")
        }
        Note::UselessBeacon(
            UselessBeacon::Sealed | UselessBeacon::InTheClear(_) | UselessBeacon::Unopened(_),
        ) => format!("{note} (see --key-file)"),
        _ => note.to_string(),
    }
}

/// Why a connection waits that arrived, and what helps.
pub(crate) fn unaccepted(error: &io::Error) -> String {
    format!(
        "cannot accept a connection: {error}; it waits. If the limit of open files is met, raise it (ulimit -n)"
    )
}

/// Whether the system refused for want of descriptors or memory, of this process or of all.
pub(crate) fn is_limit(error: &io::Error) -> bool {
    let limits = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    limits.iter().any(|limit| error.raw_os_error() == Some(limit.raw_os_error()))
}

/// What keeps this process from every server, and what helps.
pub(crate) fn unconnected(error: &io::Error) -> String {
    format!(
        "no connection can be opened: {error}. If the limit of open files is met, raise it (ulimit -n)"
    )
}

/// Pause before names are looked up again of which none was found, and before a network is looked
/// for again.
const LOOK_UP_PAUSE: Duration = Duration::from_millis(500);

/// Reads names of servers. They are looked up when they are connected to.
pub(crate) fn servers(names: &[String]) -> Result<Vec<ServerName>, Failure> {
    let server = |name: &String| {
        name.parse().map_err(|_| {
            Failure(format!("cannot find the membership server {name}: write it as HOST:PORT"))
        })
    };
    names.iter().map(server).collect()
}

/// Addresses of the first of `servers` that has any, which is waited for until `until`. With
/// `is_patient` names may become known meanwhile.
pub(crate) fn find_any(
    servers: &[ServerName],
    until: Instant,
    is_patient: bool,
) -> Result<Vec<SocketAddr>, Failure> {
    let (mut is_told, mut before) = (false, None);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let error = match (ServerName::look_up_any(servers, left), before.take()) {
            (Ok(found), _) => return Ok(found),
            // The last attempt may have had no time.
            (Err(error), Some(before)) if error.kind() == ErrorKind::TimedOut => before,
            (Err(error), _) => error,
        };
        if !is_patient || Instant::now() >= until {
            return Err(Failure(unknown(servers, &error)));
        }
        if !core::mem::replace(&mut is_told, true) {
            tracing::warn!("{} cannot be looked up yet ({error}): trying again", list(servers));
        }
        before = Some(error);
        pause(until);
    }
}

/// Waits before something is tried again, until `until` at the latest.
pub(crate) fn pause(until: Instant) {
    let again = until.min(Instant::now() + LOOK_UP_PAUSE);
    while let Some(left) = again.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

/// The names of `servers`, in words.
fn list(servers: &[ServerName]) -> String {
    let names: Vec<_> = servers.iter().map(ToString::to_string).collect();
    let servers = if names.len() == 1 { "server" } else { "servers" };
    format!("the membership {servers} {}", names.join(", "))
}

fn unknown(servers: &[ServerName], error: &io::Error) -> String {
    let any = if servers.len() == 1 { "" } else { "any of " };
    format!("cannot find {any}{}: {}", list(servers), unknown_host(error))
}

/// Why none of `servers` was reached, and what to do about it.
pub(crate) fn unreached(status: &LinkStatus, servers: &[ServerName], waited_ms: u64) -> String {
    let reason = match &status.last_failure {
        Some(failure) if failure.addr.is_none() && servers.len() == 1 => {
            return unknown(servers, &failure.error);
        }
        Some(failure) if failure.addr.is_none() => failure.to_string(),
        Some(failure) => failure.error.kind().to_string(),
        None => format!("no answer within {waited_ms} ms"),
    };
    if status.connected > 0 {
        let names: Vec<_> = servers.iter().map(ToString::to_string).collect();
        return format!(
            "what listens at {} does not answer as a membership server does, or has no room ({reason}): look at what it \
             says, or name another with --server",
            names.join(", ")
        );
    }
    let any = if servers.len() == 1 { "" } else { "any of " };
    format!(
        "cannot reach {any}{} ({reason}): start one with `vs server --listen {}`",
        list(servers),
        servers[0]
    )
}

fn unknown_host(error: &io::Error) -> String {
    format!("{error}; name one that this host can look up, or its address")
}

/// Addresses of `name`, those of IPv4 first; or why there are none, and what to do about it.
pub(crate) fn addresses(name: &str) -> Result<Vec<SocketAddr>, String> {
    let found = name.to_socket_addrs().map_err(|e| match e.kind() {
        ErrorKind::InvalidInput => format!("{e}; write it as HOST:PORT"),
        _ => unknown_host(&e),
    })?;
    let mut found = found.collect::<Vec<_>>();
    found.sort_by_key(SocketAddr::is_ipv6);
    Ok(found)
}

/// Names the options at fault.
pub(crate) fn unset(error: &SetupError) -> String {
    let option = match error {
        SetupError::NotMulticast(_) | SetupError::PortInUse(_) => "--multicast",
        SetupError::MixedFamilies { .. } => "--bind, --interface and --multicast",
        SetupError::BindNotHere(_) | SetupError::BindUnspecified(_) => "--bind",
        SetupError::DataPortInUse(_) => "--data-port",
        SetupError::InterfaceNotHere(_) | SetupError::DatagramTooLong { fits: None, .. } => {
            "--interface"
        }
        SetupError::NoMulticast(_) => {
            return format!("{error} (see --interface, and --unicast)");
        }
        SetupError::DatagramTooLong { interface, datagram_bytes, fits: Some(fits) } => {
            return format!(
                "datagrams of {datagram_bytes} bytes do not fit the MTU of interface {interface}: raise it, or start \
                 all members with --datagram-bytes {fits}"
            );
        }
        _ => return error.to_string(),
    };
    format!("{error} (see {option})")
}

/// The same of beacons.
pub(crate) fn beacons_unset(error: &SetupError) -> Failure {
    Failure(unset(error).replace("--multicast", "--beacons").replace(", and --unicast", ""))
}

/// Why a node cannot be opened. `bind` is the option that its address came from, `listen` that of
/// the server inside.
pub(crate) fn unopened(error: &OpenError, bind: &str, listen: &str) -> Failure {
    match error {
        // The address of --interface was bound, if no other was named.
        OpenError::Setup(SetupError::BindNotHere(ip)) if bind == "--interface" => {
            Failure(unset(&SetupError::InterfaceNotHere(*ip)))
        }
        OpenError::Setup(error) => Failure(unset(error)),
        OpenError::Beacons(error) => beacons_unset(error),
        OpenError::Listen { addr, error } => {
            let Failure(why) = refused(*addr, error);
            Failure(why.replace("--listen", listen))
        }
        OpenError::TooManyPeers => {
            Failure("--peer names too many addresses: name fewer, or use beacons".into())
        }
        _ => Failure(error.to_string()),
    }
}

/// Why nothing can listen at `listen`.
pub(crate) fn refused(listen: SocketAddr, error: &io::Error) -> Failure {
    Failure(match error.kind() {
        ErrorKind::AddrInUse => format!(
            "port {} is taken: choose another with --listen, or 0 for a free one",
            listen.port()
        ),
        ErrorKind::AddrNotAvailable => {
            format!("address {} is not on this host: choose one that is with --listen", listen.ip())
        }
        ErrorKind::PermissionDenied => {
            format!("port {} is not permitted: choose one above 1023 with --listen", listen.port())
        }
        _ => format!("cannot listen on {listen}: {error}"),
    })
}

/// What to do about members that hear no multicasts.
pub(crate) fn advise_unheard(unheard: &Unheard) -> String {
    format!("{unheard} (see --multicast and --unicast)")
}
