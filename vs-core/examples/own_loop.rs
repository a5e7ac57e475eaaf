//! The core in a loop of your own: two nodes and their membership server over UDP and TCP, with
//! nothing but `std::net`.
//!
//! ```text
//! cargo run -p vs-core --example own_loop
//! ```
//!
//! Each node sends a greeting and delivers both; then the program ends. A real program differs: it
//! waits with `poll` or the like instead of looking every half millisecond, it uses multicast where
//! the network has it, and it hosts one node.

use core::error::Error;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use vs_core::ident::{GroupKey, GroupName, Identity, Incarnation, ProcessId, ServerId};
use vs_core::member::{ConnId, Server, ServerConfig};
use vs_core::{Action, Dest, DisplaySet, GroupConfig, LinkCommand, Node, NodeConfig, Time};

const LOOPBACK: &str = "127.0.0.1:0";
const GIVE_UP: Duration = Duration::from_secs(10);

/// `None` if a socket has nothing now.
fn ready<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Writes what the socket takes; an end of the connection is noticed where it is read.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> usize {
    if bytes.is_empty() { 0 } else { ready(stream.write(bytes)).ok().flatten().unwrap_or(0) }
}

fn connect(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A server and its connections.
struct Host {
    server: Server,
    listener: TcpListener,
    streams: Vec<(ConnId, TcpStream)>,
    accepted: u64,
}

impl Host {
    fn turn(&mut self, now: Time) -> io::Result<()> {
        while let Some((stream, _)) = ready(self.listener.accept())? {
            self.accepted += 1;
            self.streams.push((ConnId(self.accepted), connect(stream)?));
            self.server.handle_accepted(now, ConnId(self.accepted));
        }
        let mut bytes = [0; 4096];
        let server = &mut self.server;
        self.streams.retain_mut(|(conn, stream)| {
            while let Ok(Some(n)) = ready(stream.read(&mut bytes)) {
                server.handle_stream(now, *conn, &bytes[..n]);
                if n == 0 {
                    server.handle_closed(now, *conn);
                    return false;
                }
            }
            true
        });
        if server.poll_timeout().is_some_and(|at| at <= now) {
            server.handle_timeout(now);
        }
        while server.poll_output().is_some() {}
        for (conn, stream) in &mut self.streams {
            let n = write(stream, server.output(*conn));
            server.consumed(*conn, n);
        }
        while let Some(conn) = server.poll_close() {
            self.streams.retain(|(c, _)| *c != conn);
        }
        Ok(())
    }
}

/// A node, its sockets, and its application, which says hello in the first view of two and counts
/// what it hears.
struct Member {
    node: Node,
    udp: UdpSocket,
    server: SocketAddr,
    stream: Option<TcpStream>,
    group: GroupKey,
    heard: usize,
}

impl Member {
    fn new(id: u64, server: SocketAddr, now: Time) -> Result<Self, Box<dyn Error>> {
        let udp = UdpSocket::bind(LOOPBACK)?;
        udp.set_nonblocking(true)?;
        let (process, incarnation) = (ProcessId(id), Incarnation::new(unix_ms()));
        let identity = Identity { process, incarnation, addr: udp.local_addr()?, seed: id };
        let mut node = Node::new(NodeConfig::default(), identity, 1, ())?;
        let group = node.join(now, &GroupName::new("hello")?, GroupConfig::default())?;
        Ok(Self { node, udp, server, stream: None, group, heard: 0 })
    }

    fn turn(&mut self, now: Time) -> io::Result<()> {
        let mut bytes = [0; 65_535];
        while let Some((n, from)) = ready(self.udp.recv_from(&mut bytes))? {
            self.node.handle_datagram(now, from, &mut bytes[..n]);
        }
        while let Some(stream) = &mut self.stream {
            match ready(stream.read(&mut bytes)) {
                Ok(None) => break,
                Ok(Some(n)) if n > 0 => self.node.handle_stream(now, &bytes[..n]),
                _ => {
                    self.stream = None;
                    self.node.handle_disconnected(now);
                }
            }
        }
        if self.node.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.node.handle_timeout(now);
        }
        while self.act(now) {}
        while let Some(command) = self.node.poll_link() {
            self.stream = None;
            if let LinkCommand::Connect(_) = command {
                self.stream = TcpStream::connect(self.server).and_then(connect).ok();
                match self.stream {
                    Some(_) => self.node.handle_connected(now),
                    None => self.node.handle_disconnected(now),
                }
            }
        }
        if let Some(stream) = &mut self.stream {
            let n = write(stream, self.node.stream_output());
            self.node.stream_consumed(n);
        }
        while let Some(sent) = self.node.poll_transmit(now, &mut bytes, 1) {
            let to: Vec<SocketAddr> = match sent.dest {
                Dest::Peer(addr) => vec![addr],
                Dest::Group(group) => self.node.group_addresses(group).collect(),
            };
            for addr in to {
                // What a full socket does not take is lost, and repaired like any other loss.
                ready(self.udp.send_to(&bytes[..sent.len], addr))?;
            }
        }
        Ok(())
    }

    /// Tells the application the next thing; false if there is none.
    fn act(&mut self, now: Time) -> bool {
        let mut hello = false;
        match self.node.poll_action(now) {
            None => return false,
            Some(Action::View { view, transitional, .. }) => {
                println!("view {view}, together with {}", DisplaySet(transitional));
                hello = view.len() == 2;
            }
            Some(Action::Deliver { from, payload, .. }) => {
                println!("{from} says {}", String::from_utf8_lossy(payload));
                self.heard += 1;
            }
            Some(_) => {}
        }
        if hello && let Err(e) = self.node.send(now, self.group, b"hello") {
            println!("not sent: {e}");
        }
        true
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let time = || Time(began.elapsed().as_nanos() as u64);
    let listener = TcpListener::bind(LOOPBACK)?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    let server = Server::new(ServerConfig::default(), ServerId(1), unix_ms())?;
    let mut host = Host { server, listener, streams: Vec::new(), accepted: 0 };
    let mut members = [Member::new(1, addr, time())?, Member::new(2, addr, time())?];

    while members.iter().any(|member| member.heard < 2) {
        if began.elapsed() > GIVE_UP {
            return Err("the two did not hear each other".into());
        }
        host.turn(time())?;
        for member in &mut members {
            member.turn(time())?;
        }
        std::thread::park_timeout(Duration::from_micros(500));
    }
    println!("both heard both");
    Ok(())
}
