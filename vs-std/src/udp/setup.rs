//! Sets up the two sockets of a node, and makes sure that they work.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::time::Instant;

#[cfg(target_os = "linux")]
use socket2::SockFilter;
use socket2::{Domain, Protocol, Socket, Type};
use vs_core::limits::DATAGRAM_BYTES;

use super::config::{SetupError, UdpConfig, io};
use super::half::Half;
use crate::interface::index_of;
use crate::random::random;

/// Probes of the multicast group that the set-up sends until one comes back: a network may lose
/// some.
const PROBES_MAX: usize = 10;
/// How long it waits for each.
const PROBE_WAIT: Duration = Duration::from_millis(30);
/// Bytes of the probe.
const PROBE_BYTES: usize = 16;

/// Names the usual cause if `error` is of its kind.
fn cause(
    kind: ErrorKind,
    named: SetupError,
    what: &'static str,
) -> impl FnOnce(io::Error) -> SetupError {
    move |error| if error.kind() == kind { named } else { SetupError::Io { what, error } }
}

fn open_socket(config: &UdpConfig) -> Result<Socket, SetupError> {
    let domain = Domain::for_address(config.multicast);
    let socket =
        Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).map_err(io("open a UDP socket"))?;
    if config.multicast.is_ipv6() {
        socket.set_only_v6(true).map_err(io("confine a socket to IPv6"))?;
    }
    socket.set_recv_buffer_size(config.buffer_bytes).map_err(io("set the size of a buffer"))?;
    socket.set_send_buffer_size(config.buffer_bytes).map_err(io("set the size of a buffer"))?;
    Ok(socket)
}

/// The index of the interface for multicasts of IPv6.
fn interface_index(ip: Ipv6Addr) -> Result<u32, SetupError> {
    let index = index_of(ip).map_err(io("ask for the interfaces of this host"))?;
    index.ok_or(SetupError::InterfaceNotHere(ip.into()))
}

pub(super) fn open_unicast(config: &UdpConfig) -> Result<Socket, SetupError> {
    if config.bind.is_unspecified() {
        return Err(SetupError::BindUnspecified(config.bind));
    }
    let socket = open_socket(config)?;
    socket.bind(&SocketAddr::new(config.bind, config.port).into()).map_err(|error| match error
        .kind()
    {
        ErrorKind::AddrNotAvailable => SetupError::BindNotHere(config.bind),
        ErrorKind::AddrInUse => SetupError::DataPortInUse(config.port),
        _ => SetupError::Io { what: "bind the unicast socket", error },
    })?;
    let chosen = match config.interface {
        IpAddr::V4(ip) => {
            let chosen = socket.set_multicast_if_v4(&ip);
            socket.set_multicast_loop_v4(true).map_err(io("turn on the loop of multicasts"))?;
            socket.set_multicast_ttl_v4(config.ttl).map_err(io("set the ttl of multicasts"))?;
            chosen
        }
        IpAddr::V6(ip) => {
            let chosen = socket.set_multicast_if_v6(interface_index(ip)?);
            socket.set_multicast_loop_v6(true).map_err(io("turn on the loop of multicasts"))?;
            socket.set_multicast_hops_v6(config.ttl).map_err(io("set the ttl of multicasts"))?;
            chosen
        }
    };
    chosen.map_err(cause(
        ErrorKind::AddrNotAvailable,
        SetupError::InterfaceNotHere(config.interface),
        "choose the interface for multicast",
    ))?;
    Ok(socket)
}

pub(super) fn open_multicast(config: &UdpConfig) -> Result<Socket, SetupError> {
    let socket = open_socket(config)?;
    socket.set_reuse_address(true).map_err(io("share the multicast port"))?;
    #[cfg(unix)]
    socket.set_reuse_port(true).map_err(io("share the multicast port"))?;
    let index = match config.interface {
        IpAddr::V4(_) => 0,
        IpAddr::V6(ip) => interface_index(ip)?,
    };
    socket.bind(&multicast_bind(config.multicast, index).into()).map_err(cause(
        ErrorKind::AddrInUse,
        SetupError::PortInUse(config.multicast),
        "bind the multicast socket",
    ))?;
    // Otherwise what other programs joined on other interfaces would be heard, too.
    #[cfg(target_os = "linux")]
    match config.multicast {
        SocketAddr::V4(_) => socket.set_multicast_all_v4(false),
        SocketAddr::V6(_) => socket.set_multicast_all_v6(false),
    }
    .map_err(io("confine the multicast socket"))?;
    let joined = match (config.multicast.ip(), config.interface) {
        (IpAddr::V4(group), IpAddr::V4(interface)) => socket.join_multicast_v4(&group, &interface),
        (IpAddr::V6(group), _) => socket.join_multicast_v6(&group, index),
        // The families are the same.
        (IpAddr::V4(_), IpAddr::V6(_)) => Err(ErrorKind::InvalidInput.into()),
    };
    joined.map_err(|error| match error.kind() {
        ErrorKind::OutOfMemory => SetupError::Io { what: "join the multicast group", error },
        _ => SetupError::NoMulticast(config.interface),
    })?;
    Ok(socket)
}

/// Where the socket that hears `group` is bound. Bound to the group, it hears nothing else that is
/// sent to the port. Windows cannot.
fn multicast_bind(group: SocketAddr, index: u32) -> SocketAddr {
    match group {
        SocketAddr::V4(group) if cfg!(unix) => group.into(),
        SocketAddr::V6(group) if cfg!(unix) => {
            SocketAddrV6::new(*group.ip(), group.port(), 0, index).into()
        }
        SocketAddr::V4(group) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, group.port())),
        SocketAddr::V6(group) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, group.port())),
    }
}

/// Sends a datagram to the group and waits for it. Flags of interfaces do not tell: Linux's
/// loopback carries multicast without saying so.
pub(super) fn probe(
    unicast: &Socket,
    multicast: &Socket,
    config: &UdpConfig,
) -> Result<(), SetupError> {
    let silent = || SetupError::NoMulticast(config.interface);
    let mut sent = [0; PROBE_BYTES];
    sent[..8].copy_from_slice(&random().to_ne_bytes());
    sent[8..].copy_from_slice(&random().to_ne_bytes());
    // Nothing that a node takes for a packet begins so.
    sent[0] = 0;
    let multicast = multicast.try_clone().map(UdpSocket::from).map_err(io("probe the group"))?;
    for _ in 0..PROBES_MAX {
        unicast.send_to(&sent, &config.multicast.into()).map_err(|_| silent())?;
        if comes_back(&multicast, &sent).map_err(io("probe the group"))? {
            return Ok(());
        }
    }
    Err(silent())
}

/// Lets the kernel drop what this node multicasts before it is queued and copied for the node
/// itself: the node would throw it away, and other processes of the host need the loop of
/// multicasts. Without an address of its own, the socket of another host may look the same: then
/// nothing is dropped.
#[cfg(target_os = "linux")]
pub(super) fn ignore_own(unicast: &Socket, multicast: &Socket) -> Result<(), SetupError> {
    let local = unicast.local_addr().map_err(io("ask for the local address"))?;
    let Some(local) = local.as_socket().filter(|addr| !addr.ip().is_unspecified()) else {
        return Ok(());
    };
    // Classic BPF (linux/filter.h), from the UDP header on. The source address is relative to the
    // network header: at 12 in IPv4, at 8 in IPv6.
    const LOAD_HALF: u16 = 0x28;
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const NETWORK_HEADER: u32 = 0xfff0_0000;
    let (at, words): (u32, Vec<u32>) = match local.ip() {
        IpAddr::V4(ip) => (12, vec![ip.into()]),
        IpAddr::V6(ip) => {
            let bits = u128::from(ip);
            (8, (0..4).rev().map(|word| (bits >> (32 * word)) as u32).collect())
        }
    };
    // Each comparison that fails jumps to the instruction before the last one, which takes the
    // datagram.
    let mut left = 2 * words.len() as u8;
    let mut filter = vec![
        SockFilter::new(LOAD_HALF, 0, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 0, left, local.port().into()),
    ];
    for (i, word) in (0..).zip(words) {
        left -= 2;
        filter.push(SockFilter::new(LOAD_WORD, 0, 0, NETWORK_HEADER + at + 4 * i));
        let equal = u8::from(left == 0);
        filter.push(SockFilter::new(JUMP_IF_EQUAL, equal, left, word));
    }
    filter.push(SockFilter::new(RETURN, 0, 0, u32::MAX));
    filter.push(SockFilter::new(RETURN, 0, 0, 0));
    multicast.attach_filter(&filter).map_err(io("keep own multicasts out"))
}

/// Makes sure that datagrams of `datagram_bytes` fit the interface: they are never cut, and longer
/// ones would be lost without a word.
pub(super) fn check_length(config: &UdpConfig, datagram_bytes: usize) -> Result<(), SetupError> {
    // What is sent from here is seen by nobody: it does not leave this host, and does not come
    // back.
    let silent = UdpConfig { ttl: 0, port: 0, ..config.clone() };
    let socket = open_unicast(&silent)?;
    let turned_off = match config.multicast {
        SocketAddr::V4(_) => socket.set_multicast_loop_v4(false),
        SocketAddr::V6(_) => socket.set_multicast_loop_v6(false),
    };
    turned_off.map_err(io("turn off the loop of multicasts"))?;
    // Also forbids that datagrams are cut.
    let half = Half::new(socket.into())?;
    let bytes = vec![0; datagram_bytes];
    let fits = |len: usize| {
        !half.send(config.multicast, &bytes[..len], None).is_err_and(|e| is_too_long(&e))
    };
    if fits(datagram_bytes) {
        return Ok(());
    }
    // The longest one that fits lies from `low` on, below `high`.
    let (mut low, mut high) = (*DATAGRAM_BYTES.start(), datagram_bytes);
    let usable = low < high && fits(low);
    while usable && high - low > 1 {
        let middle = low.midpoint(high);
        if fits(middle) { low = middle } else { high = middle }
    }
    let fits = usable.then_some(low);
    Err(SetupError::DatagramTooLong { interface: config.interface, datagram_bytes, fits })
}

/// Whether the kernel refused a datagram since it does not fit the MTU.
#[cfg(unix)]
pub(crate) fn is_too_long(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::MSGSIZE)
}

/// Whether the system refused a datagram since it does not fit the MTU (`WSAEMSGSIZE`).
#[cfg(not(unix))]
pub(crate) fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(10_040)
}

/// Whether `sent` is heard within [`PROBE_WAIT`].
fn comes_back(multicast: &UdpSocket, sent: &[u8]) -> std::io::Result<bool> {
    let end = Instant::now() + PROBE_WAIT;
    let mut bytes = [0; PROBE_BYTES + 1];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        multicast.set_read_timeout(Some(left))?;
        match multicast.recv(&mut bytes) {
            Ok(n) if &bytes[..n] == sent => return Ok(true),
            Ok(_) => {}
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return Ok(false),
                _ => return Err(error),
            },
        }
    }
}
