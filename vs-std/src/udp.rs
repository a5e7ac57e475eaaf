//! The two UDP sockets of a node: one to send from and to be reached at, one that hears the multicast group.

use core::fmt;
use core::hash::{BuildHasher, Hasher};
use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::collections::hash_map::RandomState;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::UdpSocket;
use std::time::Instant;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rustix::io::Errno;
#[cfg(target_os = "linux")]
use socket2::SockFilter;
use socket2::{Domain, Protocol, Socket, Type};
use vs_core::config::DATAGRAM_BYTES;

/// Probes of the multicast group that the set-up sends until one comes back: a network may lose some.
const PROBES_MAX: usize = 10;
/// How long it waits for each.
const PROBE_WAIT: Duration = Duration::from_millis(30);
/// Bytes of the probe.
const PROBE_BYTES: usize = 16;
/// Room for what one receive can bring: the largest IP packet, or as much put together by the kernel.
const RECV_BYTES: usize = 1 << 16;
/// Receives of one batch. Each may bring a run of datagrams of 64 KiB, and what a batch brings is handled best while it
/// is in the processor's cache. Where the system receives one datagram at a time, a batch is one: a batch that is not
/// full says that nothing is left.
const RECV_BATCH: usize = if BATCH_SIZE < 4 { BATCH_SIZE } else { 4 };

/// Where a node sends and listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpConfig {
    /// Address of the unicast socket; the port is chosen by the system.
    pub bind: Ipv4Addr,
    /// Address of the interface that multicasts go out of and come in by; unspecified: the system chooses.
    pub interface: Ipv4Addr,
    /// The multicast group.
    pub multicast: SocketAddrV4,
    /// IP multicast is not used: what goes to the group goes to each member in a copy of its own. Others find out that
    /// this node hears no multicasts and do the same for it. Default false.
    pub unicast: bool,
    /// Routers that a multicast may pass, plus one. Default 1.
    pub ttl: u32,
    /// Bytes asked for each of the sockets' buffers; the system may grant less. Default 8 MiB.
    pub buffer_bytes: usize,
    /// Received datagrams of 1000 that are thrown away, each by its own chance: what a lossy network does, for tests
    /// and measurements. Default 0.
    pub loss_permille: u16,
}

impl UdpConfig {
    /// All traffic on the interface of address `interface`, through the group `multicast`.
    #[must_use]
    pub fn new(interface: Ipv4Addr, multicast: SocketAddrV4) -> Self {
        Self {
            bind: interface,
            interface,
            multicast,
            unicast: false,
            ttl: 1,
            buffer_bytes: 8 << 20,
            loss_permille: 0,
        }
    }

    /// All traffic on the interface of address `interface`, without IP multicast.
    #[must_use]
    pub fn unicast(interface: Ipv4Addr) -> Self {
        // Nobody hears it; the length of datagrams is tried with it.
        let multicast = SocketAddrV4::new(Ipv4Addr::new(239, 86, 83, 1), 7586);
        Self { unicast: true, ..Self::new(interface, multicast) }
    }
}

/// Why the sockets could not be set up: one sentence that says what to do.
#[derive(Debug)]
pub enum SetupError {
    /// The address is not one of a multicast group, or its port is 0.
    NotMulticast(SocketAddrV4),
    /// The address of the unicast socket belongs to another host.
    BindNotHere(Ipv4Addr),
    /// The interface's address belongs to another host.
    InterfaceNotHere(Ipv4Addr),
    /// A program that does not share it has the multicast port.
    PortInUse(SocketAddrV4),
    /// What is sent to the group does not come back.
    NoMulticast(Ipv4Addr),
    /// A full datagram does not fit the MTU of the interface.
    DatagramTooLong {
        /// The interface's address.
        interface: Ipv4Addr,
        /// Bytes of a full datagram.
        datagram_bytes: usize,
        /// Bytes of the longest datagram that fits, if one that a node can do with does.
        fits: Option<usize>,
    },
    /// The system refused a step.
    Io {
        /// The step.
        what: &'static str,
        /// Its answer.
        error: io::Error,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMulticast(addr) => write!(
                f,
                "{addr} is no multicast address with a port: choose one from 224.0.1.0 to 239.255.255.255 \
                 with --multicast"
            ),
            Self::BindNotHere(addr) => {
                write!(f, "address {addr} is not on this host: choose one that is with --bind")
            }
            Self::InterfaceNotHere(addr) => write!(
                f,
                "no interface of this host has the address {addr}: choose another with --interface"
            ),
            Self::PortInUse(addr) => write!(
                f,
                "port {} is taken by a program that does not share it: choose another with --multicast",
                addr.port()
            ),
            Self::NoMulticast(addr) => write!(
                f,
                "interface {addr} does not carry multicast: choose another with --interface, or do without with \
                 --unicast"
            ),
            Self::DatagramTooLong { interface, datagram_bytes, fits: Some(fits) } => write!(
                f,
                "datagrams of {datagram_bytes} bytes do not fit the MTU of interface {interface}: raise it, or start \
                 all members with --datagram-bytes {fits}"
            ),
            Self::DatagramTooLong { interface, fits: None, .. } => write!(
                f,
                "the MTU of interface {interface} is too small: raise it, or choose another with --interface"
            ),
            Self::Io { what, error } => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl core::error::Error for SetupError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// One of the two sockets of a [`UdpPair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The socket that peers reach this node at, and that everything is sent from.
    Unicast,
    /// The socket that hears the group; none with [`UdpConfig::unicast`].
    Multicast,
}

/// Bytes of buffers that the system granted, as it counts them (Linux counts its own overhead: twice what was asked).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Of the unicast socket, for sending.
    pub send: usize,
    /// Of the unicast socket, for receiving.
    pub unicast: usize,
    /// Of the multicast socket, for receiving; of the unicast socket if there is none.
    pub multicast: usize,
}

/// The system granted less for the buffers of received datagrams than was asked: in one sentence, what that means and
/// what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmallBuffers {
    /// Bytes granted, as the system counts them.
    pub granted: usize,
    /// Bytes asked for: [`UdpConfig::buffer_bytes`].
    pub asked: usize,
}

impl fmt::Display for SmallBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { granted, asked } = self;
        write!(
            f,
            "the system grants {granted} bytes where {asked} were asked for received datagrams: bursts will be lost and \
             sent again; "
        )?;
        if cfg!(target_os = "linux") {
            write!(f, "allow more with `sysctl -w net.core.rmem_max={asked}`")
        } else {
            f.write_str("allow more in the system's settings for sockets")
        }
    }
}

/// Memory for one batch of received datagrams; made once, used for every [`UdpPair::recv`].
#[derive(Debug)]
pub struct RecvBatch {
    bytes: Vec<u8>,
    meta: [RecvMeta; RECV_BATCH],
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl RecvBatch {
    /// Reserves the memory; the system gives it page by page as it is used.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: vec![0; RECV_BATCH * RECV_BYTES], meta: [RecvMeta::default(); RECV_BATCH] }
    }
}

/// What one [`UdpPair::recv`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Datagrams.
    pub datagrams: usize,
    /// The socket had no more at that moment: what comes later makes it readable anew.
    pub is_all: bool,
}

#[derive(Debug)]
struct Half {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Half {
    /// Also makes the socket non-blocking.
    fn new(socket: UdpSocket) -> Result<Self, SetupError> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket)).map_err(io("set up UDP"))?;
        Ok(Self { socket, state })
    }

    fn send(&self, dest: SocketAddr, bytes: &[u8], segment: Option<usize>) -> io::Result<()> {
        let transmit = Transmit {
            destination: dest,
            ecn: None,
            contents: bytes,
            segment_size: segment,
            src_ip: None,
        };
        self.state.try_send(UdpSockRef::from(&self.socket), &transmit)
    }
}

/// The two sockets of a node, non-blocking.
#[derive(Debug)]
pub struct UdpPair {
    unicast: Half,
    multicast: Option<Half>,
    local: SocketAddr,
    group: SocketAddr,
    granted: Granted,
    asked: usize,
    cut_off: Option<IpAddr>,
}

impl UdpPair {
    /// Opens the sockets, and makes sure that the interface carries multicast, if it is used (a probe tells; it takes up
    /// to 300 ms when it does not) and datagrams of `datagram_bytes`.
    ///
    /// # Errors
    /// Says what to do about it.
    pub fn open(config: &UdpConfig, datagram_bytes: usize) -> Result<Self, SetupError> {
        let group = config.multicast;
        if !group.ip().is_multicast() || group.port() == 0 {
            return Err(SetupError::NotMulticast(group));
        }
        let unicast = open_unicast(config)?;
        let multicast = if config.unicast { None } else { Some(open_multicast(config)?) };
        if let Some(multicast) = &multicast {
            probe(&unicast, multicast, config)?;
        }
        check_length(config, datagram_bytes)?;
        #[cfg(target_os = "linux")]
        if let Some(multicast) = &multicast {
            ignore_own(&unicast, multicast)?;
        }
        let size = |size: io::Result<usize>| size.map_err(io("ask for the size of a buffer"));
        let granted = Granted {
            send: size(unicast.send_buffer_size())?,
            unicast: size(unicast.recv_buffer_size())?,
            multicast: size(multicast.as_ref().unwrap_or(&unicast).recv_buffer_size())?,
        };
        let unicast = UdpSocket::from(unicast);
        let local = unicast.local_addr().map_err(io("ask for the local address"))?;
        Ok(Self {
            unicast: Half::new(unicast)?,
            multicast: multicast.map(|socket| Half::new(socket.into())).transpose()?,
            local,
            group: group.into(),
            granted,
            asked: config.buffer_bytes,
            cut_off: None,
        })
    }

    /// From now on throws away what comes from `addr`, as a network would that is parted; `None`: nothing any more.
    pub fn cut_off(&mut self, addr: Option<IpAddr>) {
        self.cut_off = addr;
    }

    /// Where peers reach this node, if [`UdpConfig::bind`] named an address.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The multicast group, unless there is none ([`UdpConfig::unicast`]).
    #[must_use]
    pub fn multicast_addr(&self) -> Option<SocketAddr> {
        self.multicast.as_ref().map(|_| self.group)
    }

    /// Sizes of the buffers.
    #[must_use]
    pub fn granted(&self) -> Granted {
        self.granted
    }

    /// What to tell an operator, if the buffers for received datagrams are smaller than was asked for.
    #[must_use]
    pub fn small_buffers(&self) -> Option<SmallBuffers> {
        let granted = self.granted.multicast.min(self.granted.unicast);
        (granted < self.asked).then_some(SmallBuffers { granted, asked: self.asked })
    }

    /// A socket, to wait for; the one for multicasts is missing with [`UdpConfig::unicast`].
    #[must_use]
    pub fn socket(&self, which: Which) -> Option<&UdpSocket> {
        self.half(which).map(|half| &half.socket)
    }

    /// The socket that peers reach, which is always there.
    #[must_use]
    pub fn unicast_socket(&self) -> &UdpSocket {
        &self.unicast.socket
    }

    /// Most datagrams that one [`UdpPair::send`] can carry now; falls to 1 when the interface turns out to refuse more.
    #[must_use]
    pub fn max_segments(&self) -> usize {
        self.unicast.state.max_gso_segments()
    }

    /// Sends one datagram or, cut every `segment_bytes`, several to `dest`.
    ///
    /// # Errors
    /// `WouldBlock`: wait until the unicast socket is writable. Any other: the datagrams are lost, as any may be.
    pub fn send(
        &self,
        dest: SocketAddr,
        bytes: &[u8],
        segment_bytes: Option<usize>,
    ) -> io::Result<()> {
        let segment = segment_bytes.filter(|&n| n > 0 && n < bytes.len());
        let error = match self.unicast.send(dest, bytes, segment) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        // The interface cannot cut: from now on there is one segment, and these are sent one at a time.
        match segment {
            Some(n) if error.kind() != ErrorKind::WouldBlock && self.max_segments() == 1 => {
                bytes.chunks(n).try_for_each(|chunk| self.unicast.send(dest, chunk, None))
            }
            _ => Err(error),
        }
    }

    /// Receives one batch and hands over each datagram, with who sent it.
    ///
    /// # Errors
    /// `WouldBlock`: nothing is there.
    pub fn recv(
        &self,
        which: Which,
        batch: &mut RecvBatch,
        mut f: impl FnMut(SocketAddr, &mut [u8]),
    ) -> io::Result<Received> {
        let Some(half) = self.half(which) else { return Err(ErrorKind::WouldBlock.into()) };
        let filled = {
            let mut chunks = batch.bytes.chunks_exact_mut(RECV_BYTES);
            let mut slices: [IoSliceMut<'_>; RECV_BATCH] =
                core::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
            half.state.recv(UdpSockRef::from(&half.socket), &mut slices, &mut batch.meta)?
        };
        let mut datagrams = 0;
        let received = batch.bytes.chunks_exact_mut(RECV_BYTES);
        for (meta, bytes) in batch.meta[..filled].iter().zip(received) {
            if self.cut_off == Some(meta.addr.ip()) {
                continue;
            }
            for datagram in bytes[..meta.len.min(RECV_BYTES)].chunks_mut(meta.stride.max(1)) {
                f(meta.addr, datagram);
                datagrams += 1;
            }
        }
        Ok(Received { datagrams, is_all: filled < RECV_BATCH })
    }

    fn half(&self, which: Which) -> Option<&Half> {
        match which {
            Which::Unicast => Some(&self.unicast),
            Which::Multicast => self.multicast.as_ref(),
        }
    }
}

fn io(what: &'static str) -> impl FnOnce(io::Error) -> SetupError {
    move |error| SetupError::Io { what, error }
}

/// Names the usual cause if `error` is of its kind.
fn cause(
    kind: ErrorKind,
    named: SetupError,
    what: &'static str,
) -> impl FnOnce(io::Error) -> SetupError {
    move |error| if error.kind() == kind { named } else { SetupError::Io { what, error } }
}

fn open_socket(config: &UdpConfig) -> Result<Socket, SetupError> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))
        .map_err(io("open a UDP socket"))?;
    socket.set_recv_buffer_size(config.buffer_bytes).map_err(io("set the size of a buffer"))?;
    socket.set_send_buffer_size(config.buffer_bytes).map_err(io("set the size of a buffer"))?;
    Ok(socket)
}

fn open_unicast(config: &UdpConfig) -> Result<Socket, SetupError> {
    let socket = open_socket(config)?;
    socket.bind(&SocketAddrV4::new(config.bind, 0).into()).map_err(cause(
        ErrorKind::AddrNotAvailable,
        SetupError::BindNotHere(config.bind),
        "bind the unicast socket",
    ))?;
    socket.set_multicast_if_v4(&config.interface).map_err(cause(
        ErrorKind::AddrNotAvailable,
        SetupError::InterfaceNotHere(config.interface),
        "choose the interface for multicast",
    ))?;
    socket.set_multicast_loop_v4(true).map_err(io("turn on the loop of multicasts"))?;
    socket.set_multicast_ttl_v4(config.ttl).map_err(io("set the ttl of multicasts"))?;
    Ok(socket)
}

fn open_multicast(config: &UdpConfig) -> Result<Socket, SetupError> {
    let socket = open_socket(config)?;
    socket.set_reuse_address(true).map_err(io("share the multicast port"))?;
    #[cfg(unix)]
    socket.set_reuse_port(true).map_err(io("share the multicast port"))?;
    // Bound to the group, a socket hears nothing else that is sent to the port. Windows cannot.
    let ip = if cfg!(unix) { *config.multicast.ip() } else { Ipv4Addr::UNSPECIFIED };
    socket.bind(&SocketAddrV4::new(ip, config.multicast.port()).into()).map_err(cause(
        ErrorKind::AddrInUse,
        SetupError::PortInUse(config.multicast),
        "bind the multicast socket",
    ))?;
    // Otherwise what other programs joined on other interfaces would be heard, too.
    #[cfg(target_os = "linux")]
    socket.set_multicast_all_v4(false).map_err(io("confine the multicast socket"))?;
    socket.join_multicast_v4(config.multicast.ip(), &config.interface).map_err(
        |error| match error.kind() {
            ErrorKind::OutOfMemory => SetupError::Io { what: "join the multicast group", error },
            _ => SetupError::NoMulticast(config.interface),
        },
    )?;
    Ok(socket)
}

/// Sends a datagram to the group and waits for it. Flags of interfaces do not tell: Linux's loopback carries multicast
/// without saying so.
fn probe(unicast: &Socket, multicast: &Socket, config: &UdpConfig) -> Result<(), SetupError> {
    let silent = || SetupError::NoMulticast(config.interface);
    let random = || RandomState::new().build_hasher().finish().to_ne_bytes();
    let mut sent = [0; PROBE_BYTES];
    sent[..8].copy_from_slice(&random());
    sent[8..].copy_from_slice(&random());
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

/// Lets the kernel drop what this node multicasts before it is queued and copied for the node itself: the node would
/// throw it away, and other processes of the host need the loop of multicasts. Without an address of its own, the
/// socket of another host may look the same: then nothing is dropped.
#[cfg(target_os = "linux")]
fn ignore_own(unicast: &Socket, multicast: &Socket) -> Result<(), SetupError> {
    let local = unicast.local_addr().map_err(io("ask for the local address"))?;
    let Some(local) = local.as_socket_ipv4().filter(|addr| !addr.ip().is_unspecified()) else {
        return Ok(());
    };
    // Classic BPF (linux/filter.h), from the UDP header on; relative to the network header, the source is at 12.
    const LOAD_HALF: u16 = 0x28;
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const NETWORK_HEADER: u32 = 0xfff0_0000;
    let filter = [
        SockFilter::new(LOAD_HALF, 0, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 0, 2, local.port().into()),
        SockFilter::new(LOAD_WORD, 0, 0, NETWORK_HEADER + 12),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, (*local.ip()).into()),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ];
    multicast.attach_filter(&filter).map_err(io("keep own multicasts out"))
}

/// Makes sure that datagrams of `datagram_bytes` fit the interface: they are never cut, and longer ones would be lost
/// without a word.
fn check_length(config: &UdpConfig, datagram_bytes: usize) -> Result<(), SetupError> {
    // What is sent from here is seen by nobody: it does not leave this host, and does not come back.
    let silent = UdpConfig { ttl: 0, ..config.clone() };
    let socket = open_unicast(&silent)?;
    socket.set_multicast_loop_v4(false).map_err(io("turn off the loop of multicasts"))?;
    // Also forbids that datagrams are cut.
    let half = Half::new(socket.into())?;
    let bytes = vec![0; datagram_bytes];
    let fits = |len: usize| {
        !half.send(config.multicast.into(), &bytes[..len], None).is_err_and(|e| is_too_long(&e))
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
pub(crate) fn is_too_long(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::MSGSIZE)
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
