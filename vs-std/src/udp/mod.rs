//! The two UDP sockets of a node: one to send from and to be reached at, one that hears the
//! multicast group.

mod config;
mod follow;
mod half;
mod multicast;
mod setup;

use core::fmt;
use core::net::SocketAddr;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::UdpSocket;

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef};

pub use crate::interface::{Detour, address_towards, addresses_of};
use config::io;
pub use config::{SetupError, UdpConfig};
pub use follow::Follow;
use half::Half;
pub use multicast::{MULTICAST, MULTICAST_V6, address_towards_others};
#[cfg(target_os = "linux")]
use setup::ignore_own;
pub(crate) use setup::is_too_long;
use setup::{check_length, open_multicast, open_unicast, probe};

/// Room for what one receive can bring: the largest IP packet, or as much put together by the
/// kernel.
const RECV_BYTES: usize = 1 << 16;
/// Receives of one batch. Each may bring a run of datagrams of 64 KiB, and what a batch brings is
/// handled best while it is in the processor's cache. Where the system receives one datagram at a
/// time, a batch is one: a batch that is not full says that nothing is left.
const RECV_BATCH: usize = if BATCH_SIZE < 4 { BATCH_SIZE } else { 4 };

/// One of the two sockets of a [`UdpPair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The socket that peers reach this node at, and that everything is sent from.
    Unicast,
    /// The socket that hears the group; none with [`UdpConfig::unicast`].
    Multicast,
}

/// Bytes of buffers that the system granted, as it counts them (Linux counts its own overhead:
/// twice what was asked).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Of the unicast socket, for sending.
    pub send: usize,
    /// Of the unicast socket, for receiving.
    pub unicast: usize,
    /// Of the multicast socket, for receiving; of the unicast socket if there is none.
    pub multicast: usize,
}

/// The system granted less for the buffers of received datagrams than was asked: in one sentence,
/// what that means and what to do about it.
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

/// The two sockets of a node, non-blocking.
#[derive(Debug)]
pub struct UdpPair {
    unicast: Half,
    multicast: Option<Half>,
    local: SocketAddr,
    group: SocketAddr,
    granted: Granted,
    asked: usize,
}

impl UdpPair {
    /// Opens the sockets, and makes sure that the interface carries multicast, if it is used (a
    /// probe tells; it takes up to 300 ms when it does not) and datagrams of `datagram_bytes`.
    ///
    /// # Errors
    /// Says what to do about it.
    pub fn open(config: &UdpConfig, datagram_bytes: usize) -> Result<Self, SetupError> {
        let group = config.multicast;
        if !group.ip().is_multicast() || group.port() == 0 {
            return Err(SetupError::NotMulticast(group));
        }
        let (bind, interface) = (config.bind, config.interface);
        if [bind.is_ipv4(), interface.is_ipv4()] != [group.is_ipv4(); 2] {
            return Err(SetupError::MixedFamilies { bind, interface, multicast: group });
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
            group,
            granted,
            asked: config.buffer_bytes,
        })
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

    /// What to tell an operator, if the buffers for received datagrams are smaller than was asked
    /// for.
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

    /// Most datagrams that one [`UdpPair::send`] can carry now; falls to 1 when the interface turns
    /// out to refuse more.
    #[must_use]
    pub fn max_segments(&self) -> usize {
        self.unicast.state.max_gso_segments()
    }

    /// Sends one datagram or, cut every `segment_bytes`, several to `dest`.
    ///
    /// # Errors
    /// `WouldBlock`: wait until the unicast socket is writable. Any other: the datagrams are lost,
    /// as any may be.
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
        // The interface cannot cut: from now on there is one segment, and these are sent one at a
        // time.
        match segment {
            Some(n) if error.kind() != ErrorKind::WouldBlock && self.max_segments() == 1 => {
                bytes.chunks(n).try_for_each(|chunk| self.unicast.send(dest, chunk, None))
            }
            _ => Err(error),
        }
    }

    /// Receives one batch and hands over each datagram, with the address that it came from.
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
        let chunks = batch.bytes.chunks_exact_mut(RECV_BYTES);
        for (meta, bytes) in batch.meta[..filled].iter().zip(chunks) {
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
