//! The datagrams of a node: two sockets, read in edges, and one run of datagrams that waits to be
//! written.

use core::net::SocketAddr;
use std::io::ErrorKind;
use std::net::UdpSocket;

use vs_core::limits::DATAGRAM_BYTES;
use vs_core::rng::Rng;
use vs_core::trace::Tracer;
use vs_core::{Dest, Node, Route, Time, Transmit};

use crate::faults::Faults;
use crate::overflow::{Overflow, Overflows};
use crate::udp::{
    Granted, RecvBatch, SetupError, SmallBuffers, UdpConfig, UdpPair, Which, is_too_long,
};

/// Batches that are read from one socket before the rest of the loop has its turn.
const READ_BATCHES_MAX: usize = 16;
/// Most bytes of one run of datagrams: what the kernel takes at once.
const RUN_BYTES_MAX: usize = 65_000;

/// What the sockets of a driver counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoCounters {
    /// Datagrams received.
    pub received: u64,
    /// Runs of datagrams handed to the kernel.
    pub sent: u64,
    /// Runs that had to wait for room in the kernel.
    pub deferred: u64,
    /// Runs that the kernel refused; they count as lost.
    pub send_errors: u64,
    /// Runs that the kernel refused since they do not fit the MTU of the way to their destination
    /// (any more). Nothing that long will arrive there until the MTU is raised or `datagram_bytes`
    /// of all members is lowered.
    pub too_long: u64,
    /// Received datagrams that were thrown away on purpose: see [`Faults`].
    pub lost: u64,
    /// Errors of receiving.
    pub recv_errors: u64,
    /// Datagrams that the system dropped since buffers of the sockets were full, at most (Linux;
    /// looked for every five seconds).
    pub overflowed: u64,
}

/// Datagrams in `out` that the kernel had no room for.
#[derive(Clone, Copy, Debug)]
struct Pending {
    dest: Dest,
    len: usize,
    segment_bytes: usize,
    /// Of a group: on how many of its ways they are already.
    carried: usize,
}

#[derive(Debug)]
pub(crate) struct Datagrams {
    pair: UdpPair,
    batch: RecvBatch,
    /// Whether there may be more to read: of the unicast and of the multicast socket.
    readable: [bool; 2],
    out: Vec<u8>,
    pending: Option<Pending>,
    counters: IoCounters,
    overflows: Overflows,
    faults: Faults,
    /// Which datagrams are lost on purpose.
    rng: Rng,
}

impl Datagrams {
    pub(crate) fn open(config: &UdpConfig, datagram_bytes: usize) -> Result<Self, SetupError> {
        let pair = UdpPair::open(config, datagram_bytes)?;
        Ok(Self {
            batch: RecvBatch::new(),
            readable: [true; 2],
            out: vec![0; RUN_BYTES_MAX.max(datagram_bytes)],
            pending: None,
            counters: IoCounters::default(),
            overflows: Overflows::new(&pair),
            faults: config.faults.clone(),
            rng: Rng::new(u64::from(pair.local_addr().port())),
            pair,
        })
    }

    /// Opens other sockets in place of these; what waits to be written is lost, as any datagram may
    /// be. The interface may take shorter datagrams than the one before: the node finds out what
    /// comes through.
    pub(crate) fn reopen(&mut self, config: &UdpConfig) -> Result<(), SetupError> {
        if config.port != 0 {
            // The port is free only once the socket that has it is closed.
            let any_port = config.clone().with_port(0);
            self.pair = UdpPair::open(&any_port, *DATAGRAM_BYTES.start())?;
        }
        self.pair = UdpPair::open(config, *DATAGRAM_BYTES.start())?;
        self.readable = [true; 2];
        self.pending = None;
        Ok(())
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.pair.local_addr()
    }

    pub(crate) fn granted(&self) -> Granted {
        self.pair.granted()
    }

    pub(crate) fn small_buffers(&self) -> Option<SmallBuffers> {
        self.pair.small_buffers()
    }

    /// Looks now and then whether the system dropped datagrams.
    #[inline]
    pub(crate) fn look_for_overflow(&mut self, now: Time) {
        self.counters.overflowed += self.overflows.look(now, &self.pair);
    }

    pub(crate) fn overflow(&self) -> Option<Overflow> {
        let datagrams = self.counters.overflowed;
        let Granted { unicast, multicast, .. } = self.pair.granted();
        (datagrams > 0).then_some(Overflow { datagrams, granted: unicast.min(multicast) })
    }

    pub(crate) fn multicasts(&self) -> bool {
        self.pair.multicast_addr().is_some()
    }

    pub(crate) fn counters(&self) -> &IoCounters {
        &self.counters
    }

    pub(crate) fn socket(&self, which: Which) -> Option<&UdpSocket> {
        self.pair.socket(which)
    }

    /// Whether datagrams wait for room in the kernel.
    pub(crate) fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    pub(crate) fn has_backlog(&self) -> bool {
        self.readable.contains(&true)
    }

    pub(crate) fn mark_readable(&mut self, which: Which) {
        self.readable[index(which)] = true;
    }

    /// Reads what arrived, up to a bound.
    pub(crate) fn read<T: Tracer>(&mut self, node: &mut Node<T>, now: Time, which: Which) {
        for _ in 0..READ_BATCHES_MAX {
            if !self.readable[index(which)] {
                return;
            }
            let (faults, rng, lost) = (&self.faults, &mut self.rng, &mut self.counters.lost);
            let mut take = |from: SocketAddr, bytes: &mut [u8]| {
                if faults.is_cut_off(from.ip()) {
                    return;
                }
                if faults.loses(rng) {
                    *lost += 1;
                    return;
                }
                node.handle_datagram(now, from, bytes);
            };
            match self.pair.recv(which, &mut self.batch, &mut take) {
                Ok(received) => {
                    self.counters.received += received.datagrams as u64;
                    self.readable[index(which)] &= !received.is_all;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable[index(which)] = false;
                }
                // A report of the fate of a datagram sent earlier; it took the place of a datagram.
                Err(_) => self.counters.recv_errors += 1,
            }
        }
    }

    /// Writes what the node has to send, until the kernel has no room. Then the unicast
    /// socket is worth waiting for.
    pub(crate) fn write<T: Tracer>(&mut self, node: &mut Node<T>, now: Time) {
        loop {
            let run = match self.pending.take() {
                Some(run) => run,
                None => match self.next_run(node, now) {
                    Some(run) => run,
                    None => return,
                },
            };
            if let Err(rest) = self.carry(node, run) {
                self.counters.deferred += 1;
                self.pending = Some(rest);
                return;
            }
        }
    }

    fn next_run<T: Tracer>(&mut self, node: &mut Node<T>, now: Time) -> Option<Pending> {
        let transmit = node.poll_transmit(now, &mut self.out, self.pair.max_segments())?;
        let Transmit { dest, len, segment_bytes } = transmit;
        Some(Pending { dest, len, segment_bytes, carried: 0 })
    }

    /// Hands a run to the kernel, on each of its ways; what is left of it if there is no room.
    fn carry<T: Tracer>(&mut self, node: &Node<T>, mut run: Pending) -> Result<(), Pending> {
        let group = match run.dest {
            Dest::Peer(addr) => return self.send(addr, &run),
            Dest::Group(group) => group,
        };
        if let Some(multicast) = self.pair.multicast_addr() {
            for route in node.group_routes(group).skip(run.carried) {
                let addr = match route {
                    Route::Multicast => multicast,
                    Route::Unicast(addr) => addr,
                };
                self.send(addr, &run)?;
                run.carried += 1;
            }
        } else {
            for addr in node.group_addresses(group).skip(run.carried) {
                self.send(addr, &run)?;
                run.carried += 1;
            }
        }
        Ok(())
    }

    fn send(&mut self, dest: SocketAddr, run: &Pending) -> Result<(), Pending> {
        match self.pair.send(dest, &self.out[..run.len], Some(run.segment_bytes)) {
            Ok(()) => self.counters.sent += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(*run),
            Err(error) => {
                self.counters.send_errors += 1;
                self.counters.too_long += u64::from(is_too_long(&error));
            }
        }
        Ok(())
    }
}

fn index(which: Which) -> usize {
    match which {
        Which::Unicast => 0,
        Which::Multicast => 1,
    }
}
