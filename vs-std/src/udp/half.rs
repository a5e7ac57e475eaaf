//! One of the two sockets of a node.

use core::net::SocketAddr;
use std::io;
use std::net::UdpSocket;

use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};

use super::config::{SetupError, io};

/// One of the two sockets of a node, non-blocking.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) socket: UdpSocket,
    pub(super) state: UdpSocketState,
}

impl Half {
    /// Also makes the socket non-blocking.
    pub(super) fn new(socket: UdpSocket) -> Result<Self, SetupError> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket)).map_err(io("set up UDP"))?;
        Ok(Self { socket, state })
    }

    pub(super) fn send(
        &self,
        dest: SocketAddr,
        bytes: &[u8],
        segment: Option<usize>,
    ) -> io::Result<()> {
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
