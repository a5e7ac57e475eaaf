//! Connections: what arrives at their ends.

use crate::member::ConnId;
use crate::sim::app::Application;
use crate::sim::host::{Body, Happening, HostState, addr_of};
use crate::sim::stream::EndState;
use crate::sim::world::World;

/// Attempts to reach a listener over a cut path before the dialer gives up.
const DIAL_TRIES_MAX: u8 = 5;

impl<A: Application> World<A> {
    /// The request for a connection reaches the listener's kernel, which answers for a paused
    /// process, too.
    pub(crate) fn dial_arrives(&mut self, id: u64, tries: u8) {
        let fabric = &mut self.fabric;
        let Some(conn) = fabric.conns.get_mut(&id) else { return };
        if conn.ends[0].state != EndState::Pending {
            fabric.conns.remove(&id);
            return;
        }
        let (dialer, listener) = (conn.ends[0].host, conn.ends[1].host);
        let cut = fabric.net.is_cut(dialer, listener) || fabric.net.is_cut(listener, dialer);
        let off = self.hosts[listener].state == HostState::Off;
        if (cut || off) && tries < DIAL_TRIES_MAX {
            let at = fabric.now.plus_ms(fabric.config.dial_retry_ms);
            fabric.queue.push(at, Happening::Dial { conn: id, tries: tries + 1 });
            return;
        }
        let up = matches!(self.hosts[listener].state, HostState::Up | HostState::Paused);
        let ok = up && !cut;
        let at = fabric.now + fabric.delay_ns(listener, dialer);
        if let Some(conn) = fabric.conns.get_mut(&id) {
            // What the listener writes at once must not overtake the answer.
            conn.pipes[1].last = at;
        }
        fabric.queue.push(at, Happening::Dialed { conn: id, ok });
        if ok {
            self.accept(id);
        }
    }

    pub(crate) fn accept(&mut self, id: u64) {
        let Some(conn) = self.fabric.conns.get_mut(&id) else { return };
        let host = conn.ends[1].host;
        if conn.ends[1].state != EndState::Pending
            || self.hold(host, &Happening::Accept { conn: id })
        {
            return;
        }
        let now = self.hosts[host].clock(self.fabric.now);
        let Body::Server(s) = &mut self.hosts[host].body else { return };
        let Some(server) = &mut s.server else { return };
        if let Some(conn) = self.fabric.conns.get_mut(&id) {
            conn.ends[1].state = EndState::Open;
        }
        s.conns.insert(id);
        server.handle_accepted(now, ConnId(id));
        // Bytes may have come before the process looked.
        self.fabric.schedule_pipe(id, 0, 0);
        self.service(host);
    }

    pub(crate) fn dialed(&mut self, id: u64, ok: bool) {
        let Some(conn) = self.fabric.conns.get_mut(&id) else { return };
        let host = conn.ends[0].host;
        if conn.ends[0].state != EndState::Pending
            || self.hold(host, &Happening::Dialed { conn: id, ok })
        {
            return;
        }
        if !ok {
            self.fabric.conns.remove(&id);
            self.ended(host, id);
            return;
        }
        if let Some(conn) = self.fabric.conns.get_mut(&id) {
            conn.ends[0].state = EndState::Open;
        }
        let now = self.hosts[host].clock(self.fabric.now);
        match &mut self.hosts[host].body {
            Body::Process(p) if p.link == Some(id) => {
                p.node.as_mut().into_iter().for_each(|node| node.handle_connected(now));
            }
            Body::Server(s) if s.dialed.contains_key(&id) => {
                s.conns.insert(id);
                if let Some(server) = &mut s.server {
                    server.handle_peer_connected(now, ConnId(id), addr_of(s.dialed[&id]));
                }
            }
            _ => self.fabric.close(id, 0),
        }
        self.fabric.schedule_pipe(id, 1, 0);
        self.service(host);
    }

    /// Bytes of the pipe that end `from` writes arrive at the other end, or its close does.
    pub(crate) fn bytes_arrive(&mut self, id: u64, from: usize, n: u32) {
        let Self { hosts, fabric, .. } = self;
        let Some(conn) = fabric.conns.get_mut(&id) else { return };
        let (sender, receiver) = (conn.ends[from].host, conn.ends[1 - from].host);
        let pipe = &mut conn.pipes[from];
        // A reset may have thrown bytes away.
        let n = (n as usize).min(pipe.bytes.len());
        let late = fabric.net.is_cut(sender, receiver)
            || hosts[receiver].state == HostState::Paused
            || conn.ends[1 - from].state == EndState::Pending;
        if late {
            pipe.stalled += n;
            return;
        }
        let was_full = pipe.bytes.len() >= fabric.config.pipe_bytes;
        if conn.ends[1 - from].state == EndState::Open {
            let (a, b) = pipe.bytes.as_slices();
            let in_a = n.min(a.len());
            for bytes in [&a[..in_a], &b[..n - in_a]] {
                if !bytes.is_empty() {
                    hosts[receiver].handle_stream(fabric.now, id, bytes);
                }
            }
            pipe.bytes.drain(..n);
            let closed = pipe.fin && pipe.bytes.is_empty();
            self.service(receiver);
            if closed {
                self.end_notices(id, 1 - from);
            } else if was_full {
                self.service(sender);
            }
        } else {
            pipe.bytes.drain(..n);
            if n > 0 && hosts[receiver].state != HostState::Off {
                fabric.reset_peer(id, 1 - from);
            }
        }
    }

    pub(crate) fn reset_arrives(&mut self, id: u64, end: u8) {
        let Some(conn) = self.fabric.conns.get(&id) else { return };
        let host = conn.ends[usize::from(end)].host;
        if !self.hold(host, &Happening::Reset { conn: id, end }) {
            self.end_notices(id, usize::from(end));
        }
    }

    /// End `end` notices that the connection is over.
    fn end_notices(&mut self, id: u64, end: usize) {
        let Some(conn) = self.fabric.conns.get_mut(&id) else { return };
        if !matches!(conn.ends[end].state, EndState::Open | EndState::Pending) {
            return;
        }
        conn.ends[end].state = EndState::Closed;
        let host = conn.ends[end].host;
        if conn.is_over() {
            self.fabric.conns.remove(&id);
        }
        self.ended(host, id);
    }

    /// Tells the process or server that had the connection.
    fn ended(&mut self, host: usize, id: u64) {
        let now = self.hosts[host].clock(self.fabric.now);
        match &mut self.hosts[host].body {
            Body::Process(p) if p.link == Some(id) => {
                p.link = None;
                p.node.as_mut().into_iter().for_each(|node| node.handle_disconnected(now));
            }
            Body::Server(s) => {
                let had = s.conns.contains(&id);
                let dialed = s.forget(id);
                match (&mut s.server, dialed) {
                    (Some(server), _) if had => server.handle_closed(now, ConnId(id)),
                    (Some(server), Some(peer)) => {
                        server.handle_dial_failed(now, addr_of(peer), &"nobody listens there");
                    }
                    _ => {}
                }
            }
            Body::Process(_) => {}
        }
        self.service(host);
    }
}
