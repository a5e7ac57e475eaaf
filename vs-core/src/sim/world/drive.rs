//! Driving nodes and servers as a runtime does.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::endpoint::{Action, Dest, Route};
use crate::ident::{GroupKey, GroupName};
use crate::member::{ConnId, DetachReason, LinkCommand, Server};
use crate::node::Node;
use crate::sim::app::{Application, Handle, INSTANT_SENDS_MAX};
use crate::sim::defect::Defect;
use crate::sim::fabric::Fabric;
use crate::sim::host::{
    Body, Happening, HostState, Move, ProcessBody, ServerBody, addr_of, host_at,
};
use crate::sim::site::Site;
use crate::sim::world::World;
use crate::time::Time;
use crate::view::View;

/// Rounds of polling after which output is taken for endless.
const DRAIN_ROUNDS_MAX: usize = 10_000;

/// Datagrams of one drain after which output is taken for endless.
const DRAIN_DATAGRAMS_MAX: usize = 100_000;

impl<A: Application> World<A> {
    /// A datagram arrived at a host that is up.
    pub(crate) fn receive(&mut self, from: usize, host: usize, bytes: &[u8]) {
        let Self { hosts, fabric, buffer, beside, .. } = self;
        let now = hosts[host].clock(fabric.now);
        let site = hosts[host].site;
        let Body::Process(p) = &mut hosts[host].body else { return };
        let Some(node) = &mut p.node else { return };
        // Others have the same bytes, and a node opens them in place.
        let bytes_here = &mut buffer[..bytes.len()];
        if let Some(beside) = beside {
            bytes_here.copy_from_slice(bytes);
            beside.borrow_mut().hand_over(site, bytes_here);
        }
        bytes_here.copy_from_slice(bytes);
        node.handle_datagram(now, addr_of(from), bytes_here);
        self.service(host);
    }

    /// Drains a process or server after it was given something, and sees to its next timer.
    pub(crate) fn service(&mut self, host: usize) {
        if self.hosts[host].state != HostState::Up {
            return;
        }
        match &self.hosts[host].body {
            Body::Process(_) => self.service_process(host),
            Body::Server(_) => self.service_server(host),
        }
        self.schedule_wake(host);
    }

    fn service_process(&mut self, host: usize) {
        for _ in 0..DRAIN_ROUNDS_MAX {
            let Self { hosts, fabric, buffer, .. } = self;
            let now = hosts[host].clock(fabric.now);
            let Body::Process(p) = &mut hosts[host].body else { return };
            let mut progress = p.drain_link(host, fabric);
            progress |= p.drain_stream(fabric);
            match p.drain_transmits(now, host, fabric, buffer) {
                Some(sent) => progress |= sent,
                None => break,
            }
            if let Some(counter) = p.transmitted.repeated() {
                let (process, at) = (p.id, self.now());
                self.defect = Some(Defect::RepeatedCounter { process, counter, at });
                return;
            }
            progress |= p.drain_actions(now, host, fabric);
            if p.sends_without_end() {
                self.defect = Some(Defect::EndlessSends { process: p.id, at: self.now() });
                return;
            }
            if !progress {
                self.end_if_left(host);
                return;
            }
        }
        self.defect = Some(Defect::EndlessOutput { site: self.hosts[host].site, at: self.now() });
    }

    fn service_server(&mut self, host: usize) {
        for _ in 0..DRAIN_ROUNDS_MAX {
            let Self { hosts, fabric, .. } = self;
            let Body::Server(s) = &mut hosts[host].body else { return };
            if !s.drain(host, fabric) {
                return;
            }
        }
        self.defect = Some(Defect::EndlessOutput { site: self.hosts[host].site, at: self.now() });
    }

    fn schedule_wake(&mut self, host: usize) {
        let Self { hosts, fabric, .. } = self;
        let Some((due, _)) = hosts[host].due() else { return };
        let slack = fabric.rng.below(fabric.config.timer_slack_us.saturating_add(1));
        let at = due.max(fabric.now).plus_us(slack);
        if hosts[host].wake.is_none_or(|queued| at < queued) {
            hosts[host].wake = Some(at);
            fabric.queue.push(at, Happening::Wake { host });
        }
    }

    pub(crate) fn wake(&mut self, host: usize) {
        // Another wake-up may have overtaken this one.
        if self.hosts[host].wake == Some(self.fabric.now) {
            self.hosts[host].wake = None;
            let free_at = self.hosts[host].processor.busy_until();
            if free_at > self.fabric.now {
                self.hosts[host].wake = Some(free_at);
                self.fabric.queue.push(free_at, Happening::Wake { host });
            } else {
                self.fire(host);
            }
        }
    }

    /// Hands in the time if a timer is due. Afterwards the next one must lie ahead.
    pub(crate) fn fire(&mut self, host: usize) {
        let now = self.fabric.now;
        if self.hosts[host].state != HostState::Up {
            return;
        }
        if self.hosts[host].due().is_some_and(|(due, _)| due <= now) {
            self.hosts[host].handle_timeout(now);
            self.service(host);
            if let Some((due, wake)) = self.hosts[host].due()
                && due <= now
            {
                let site = self.hosts[host].site;
                self.defect = Some(Defect::EndlessTimer { site, wake, at: now });
            }
        } else {
            self.schedule_wake(host);
        }
    }

    pub(crate) fn wake_app(&mut self, host: usize) {
        let now = self.fabric.now;
        if let Body::Process(p) = &self.hosts[host].body
            && p.app_wake == Some(now)
        {
            self.act(host);
        }
    }

    /// Lets the application act.
    pub(crate) fn act(&mut self, host: usize) {
        let Self { hosts, fabric, .. } = self;
        if hosts[host].state != HostState::Up {
            return;
        }
        let now = hosts[host].clock(fabric.now);
        if let Body::Process(p) = &mut hosts[host].body {
            p.act(now, host, fabric);
        }
        self.service(host);
    }

    pub(crate) fn join_group(&mut self, host: usize, group: &GroupName) {
        let now = self.hosts[host].clock(self.fabric.now);
        let Self { hosts, fabric, .. } = self;
        let Body::Process(p) = &mut hosts[host].body else { return };
        let Some((_, config)) = p.groups.iter().find(|(name, _)| name == group) else { return };
        let Some(node) = &mut p.node else { return };
        match node.join(now, group, config.clone()) {
            Ok(key) => {
                fabric.subscribers.push((key, host));
                p.app.handle_joined(key);
            }
            Err(error) => panic!("process {} cannot join {group}: {error}", p.id),
        }
        self.act(host);
    }

    /// Names its peers to a server that starts, and it to those.
    pub(crate) fn name_peers(&mut self, host: usize) {
        for peer in 0..self.hosts.len() {
            self.name_peer(host, peer);
            self.name_peer(peer, host);
        }
    }

    fn name_peer(&mut self, host: usize, peer: usize) {
        let (Site::Server(id), Site::Server(peer_id)) =
            (self.hosts[host].site, self.hosts[peer].site)
        else {
            return;
        };
        let now = self.hosts[host].clock(self.fabric.now);
        let dials = id > peer_id || (self.fabric.config.dial_both && id != peer_id);
        if dials
            && let Body::Server(s) = &mut self.hosts[host].body
            && let Some(server) = &mut s.server
        {
            server.add_peer(now, addr_of(peer));
            self.service(host);
        }
    }
}

impl<A: Application> ProcessBody<A> {
    fn drain_link(&mut self, host: usize, fabric: &mut Fabric) -> bool {
        let Some(node) = &mut self.node else { return false };
        let mut progress = false;
        while let Some(command) = node.poll_link() {
            progress = true;
            if let Some(conn) = self.link.take() {
                fabric.close(conn, 0);
            }
            if let LinkCommand::Connect(index) = command {
                self.link = Some(fabric.dial(host, self.servers[index]));
            }
        }
        progress
    }

    fn drain_stream(&mut self, fabric: &mut Fabric) -> bool {
        let (Some(node), Some(conn)) = (&mut self.node, self.link) else { return false };
        let output = node.stream_output();
        if output.is_empty() {
            return false;
        }
        let n = fabric.write(conn, 0, output);
        node.stream_consumed(n);
        n > 0
    }

    /// None: it did not come to an end.
    fn drain_transmits(
        &mut self,
        now: Time,
        host: usize,
        fabric: &mut Fabric,
        buffer: &mut [u8],
    ) -> Option<bool> {
        let Some(node) = &mut self.node else { return Some(false) };
        let mut sent = 0;
        while let Some(transmit) = node.poll_transmit(now, buffer, fabric.config.segments_max) {
            for bytes in buffer[..transmit.len].chunks_mut(transmit.segment_bytes.max(1)) {
                sent += 1;
                self.transmitted.note(bytes);
                let bytes: Rc<[u8]> = match &mut self.liar {
                    None => Rc::from(&*bytes),
                    Some(liar) => liar.said(bytes),
                };
                match transmit.dest {
                    Dest::Group(group) if fabric.config.multicast => {
                        for route in node.group_routes(group) {
                            match route {
                                Route::Multicast => fabric.multicast(group, host, &bytes),
                                Route::Unicast(addr) => {
                                    let to = host_at(addr);
                                    to.into_iter()
                                        .for_each(|to| fabric.send_datagram(host, to, &bytes));
                                }
                            }
                        }
                    }
                    Dest::Group(group) => {
                        let to: SmallVec<[usize; 8]> =
                            node.group_addresses(group).filter_map(host_at).collect();
                        for to in to {
                            fabric.send_datagram(host, to, &bytes);
                        }
                    }
                    Dest::Peer(addr) => {
                        if let Some(to) = host_at(addr) {
                            fabric.send_datagram(host, to, &bytes);
                        }
                    }
                }
            }
            if sent > DRAIN_DATAGRAMS_MAX {
                return None;
            }
        }
        Some(sent > 0)
    }

    fn drain_actions(&mut self, now: Time, host: usize, fabric: &mut Fabric) -> bool {
        let mut progress = false;
        while self.reading && self.app.is_hearing() && !self.sends_without_end() {
            let Some(node) = &mut self.node else { break };
            let Some(action) = node.poll_action(now) else { break };
            progress = true;
            match &action {
                Action::Detached { group, reason } if reason.is_final() => {
                    self.detached = Some((*group, reason.clone()));
                }
                Action::Detached { reason: DetachReason::IdClaimed { .. }, .. } => {
                    self.id_claimed = true;
                }
                Action::Left { group, .. } => {
                    fabric.subscribers.retain(|(key, at)| *at != host || key != group);
                    self.leaving.iter_mut().for_each(|left| left.retain(|key| key != group));
                    self.entered.retain(|(key, _)| key != group);
                }
                Action::View { group, view, .. } => {
                    self.id_claimed = false;
                    let state = self.app.common_state(*group);
                    note_move(&mut self.entered, &mut self.moves, *group, view, state);
                }
                _ => {}
            }
            self.app.handle_action(now, &action);
            self.act(now, host, fabric);
        }
        if self.reading && self.node.as_ref().is_some_and(Node::has_direct) {
            progress = true;
            self.act(now, host, fabric);
            // Whoever does not ask for them, does without.
            self.node.iter_mut().for_each(Node::drop_directs);
        }
        progress
    }

    /// The application goes by the clock of its host.
    fn act(&mut self, now: Time, host: usize, fabric: &mut Fabric) {
        let Some(node) = &mut self.node else { return };
        if self.sends.0 != now {
            self.sends = (now, 0);
        }
        let next = self.app.act(&mut Handle { now, sends: &mut self.sends.1, node });
        let ahead = now - fabric.now;
        let next = next.map(|at| at.max(Time(now.0 + 1)).0.saturating_sub(ahead)).map(Time);
        if next != self.app_wake {
            self.app_wake = next;
            if let Some(at) = next {
                fabric.queue.push(at, Happening::App { host });
            }
        }
    }

    fn sends_without_end(&self) -> bool {
        self.sends.1 >= INSTANT_SENDS_MAX
    }

    /// Where the process can be reached.
    pub(crate) fn addr(host: usize) -> core::net::SocketAddr {
        addr_of(host)
    }
}

/// An application comes to `view`, with `state` if it has anything in common with others.
fn note_move(
    entered: &mut Vec<(GroupKey, View)>,
    moves: &mut Vec<Move>,
    group: GroupKey,
    view: &View,
    state: Option<String>,
) {
    let former = entered.iter().position(|(key, _)| *key == group).map(|i| entered.swap_remove(i));
    entered.push((group, view.clone()));
    if let (Some((_, from)), Some(state)) = (former, state) {
        moves.push(Move { group, from, to: view.clone(), state });
    }
}

impl ServerBody {
    fn drain(&mut self, host: usize, fabric: &mut Fabric) -> bool {
        let mut progress = self.drain_dials(host, fabric);
        let Some(server) = &mut self.server else { return false };
        while server.poll_note().is_some() {}
        while let Some(conn) = server.poll_output() {
            self.unwritten.insert(conn.0);
        }
        for conn in self.unwritten.iter().copied().collect::<Vec<_>>() {
            let output = server.output(ConnId(conn));
            let end = usize::from(!self.dialed.contains_key(&conn));
            let n = fabric.write(conn, end, output);
            if n == output.len() {
                self.unwritten.remove(&conn);
            }
            if n > 0 {
                progress = true;
                server.consumed(ConnId(conn), n);
            }
        }
        while let Some(ConnId(conn)) = self.server.as_mut().and_then(Server::poll_close) {
            progress = true;
            let end = usize::from(!self.dialed.contains_key(&conn));
            let farewell = self.server.as_ref().map_or(&[][..], |s| s.output(ConnId(conn)));
            let told = fabric.write(conn, end, farewell) == farewell.len();
            let whole = told && (!farewell.is_empty() || !self.unwritten.contains(&conn));
            if whole {
                fabric.close(conn, end);
            } else {
                fabric.abort(conn, end);
            }
            self.forget(conn);
        }
        progress
    }

    /// Dials whom the server wants to reach.
    fn drain_dials(&mut self, host: usize, fabric: &mut Fabric) -> bool {
        let Some(server) = &mut self.server else { return false };
        let mut progress = false;
        while let Some(addr) = server.poll_dial() {
            progress = true;
            let Some(peer) = host_at(addr) else { continue };
            let former = self.dialed.iter().find(|(c, p)| **p == peer && !self.conns.contains(*c));
            if let Some(former) = former.map(|(conn, _)| *conn) {
                self.dialed.remove(&former);
                fabric.close(former, 0);
            }
            self.dialed.insert(fabric.dial(host, peer), peer);
        }
        progress
    }

    /// A connection has ended. Returns the host that it led to, if this server made it.
    pub(crate) fn forget(&mut self, conn: u64) -> Option<usize> {
        self.conns.remove(&conn);
        self.unwritten.remove(&conn);
        self.dialed.remove(&conn)
    }
}
