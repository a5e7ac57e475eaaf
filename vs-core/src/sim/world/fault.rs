//! What is done to hosts and paths.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::config::ConfigError;
use crate::ident::{GroupName, Incarnation, ServerId};
use crate::ident::{Identity, ProcessId};
use crate::member::Server;
use crate::node::Node;
use crate::seal::{KeyRing, Keys, PORTABLE, SECRET_BYTES, Secret};
use crate::sim::app::Application;
use crate::sim::host::{Body, Happening, HostState, ProcessBody};
use crate::sim::processor::Processor;
use crate::sim::recorder::Recorder;
use crate::sim::site::Site;
use crate::sim::stream::EndState;
use crate::sim::transmitted::Transmitted;
use crate::sim::world::World;
use crate::trace::{Event, Record};

/// Keys of a process or server that draws from `from`.
fn keys(ring: &KeyRing, from: [u64; 2]) -> Keys {
    let mut bytes = [0; SECRET_BYTES];
    for (part, number) in bytes.chunks_mut(8).zip(from) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    Keys::new(ring.clone(), &PORTABLE, Secret::new(bytes))
}

impl<A: Application> World<A> {
    /// Starts a process, or lets it recover under its id with a higher incarnation, and joins its
    /// groups. Nothing if it runs.
    ///
    /// # Errors
    /// As [`Node::new`].
    pub fn start(&mut self, p: impl Into<Site>) -> Result<(), ConfigError> {
        let site = p.into();
        let host = self.host(site);
        // The clock that makes incarnations is not the one that jumps.
        let (now, seed) = (self.fabric.now, self.fabric.rng.next_u64());
        if let Site::Impostor(p) = site {
            // The times of their traces show that the two incarnations were not one after the
            // other.
            self.hosts[host].ahead_ns = self.hosts[self.host(Site::Process(p))].ahead_ns;
        }
        let ahead_ns = self.hosts[host].ahead_ns;
        let Body::Process(body) = &mut self.hosts[host].body else { return Ok(()) };
        if body.node.is_some() {
            return Ok(());
        }
        match site {
            Site::Impostor(_) => self.faults.impostors += 1,
            _ => self.faults.recoveries += u64::from(body.incarnation > Incarnation::new(0)),
        }
        let clock_ms = now.as_millis() + body.clock_ahead_ms;
        let reached_ms = match body.reads_trace {
            true => body.records.iter().map(Record::reached_ms).max().unwrap_or_default(),
            false if body.clock_ahead_ms < body.began_ahead_ms => 0,
            false => body.incarnation.millis(),
        };
        body.began_ahead_ms = body.clock_ahead_ms;
        let millis = clock_ms.max(reached_ms + 1);
        body.incarnation = Incarnation::new(millis).with_nonce(seed >> 32);
        let identity = Identity {
            process: body.id,
            incarnation: body.incarnation,
            addr: ProcessBody::<A>::addr(host),
            seed,
        };
        let tracer = Recorder {
            site,
            ahead_ns,
            records: core::mem::take(&mut body.records),
            traffic: Vec::new(),
            watch: Rc::clone(&self.watch),
            beside: self.beside.clone(),
        };
        let servers = body.servers.len();
        let config = body.config.clone();
        let mut node = Node::with_rules(config, identity, servers, tracer, self.rules)?;
        if let Some(ring) = &self.ring {
            node.set_keys(keys(ring, [seed, millis]))?;
        }
        body.node = Some(node);
        body.transmitted = Transmitted::default();
        body.reading = true;
        body.entered.clear();
        body.detached = None;
        body.id_claimed = false;
        body.leaving = None;
        self.hosts[host].state = HostState::Up;
        self.hosts[host].wake = None;
        for group in self.groups_of(host) {
            self.join_group(host, &group);
        }
        self.service(host);
        Ok(())
    }

    fn groups_of(&self, host: usize) -> Vec<GroupName> {
        match &self.hosts[host].body {
            Body::Process(body) => body.groups.iter().map(|(name, _)| name.clone()).collect(),
            Body::Server(_) => Vec::new(),
        }
    }

    /// Kills a process, as `kill -9` does: its connections close a little later.
    pub fn kill(&mut self, p: impl Into<Site>) {
        let site = p.into();
        if self.is_running(site) {
            self.faults.kills += u64::from(!matches!(site, Site::Impostor(_)));
            self.crash(site, HostState::Down);
        }
    }

    /// Takes the power from a process' host: nobody hears anything.
    pub fn power_off(&mut self, p: impl Into<Site>) {
        let site = p.into();
        if self.is_running(site) {
            self.faults.power_offs += 1;
            self.crash(site, HostState::Off);
        }
    }

    fn crash(&mut self, site: Site, state: HostState) {
        let host = self.host(site);
        let ts = self.fabric.now;
        let Body::Process(body) = &mut self.hosts[host].body else { return };
        if let Some(mut node) = body.node.take() {
            body.records.append(&mut node.tracer_mut().records);
        }
        for (group, _) in &body.groups {
            if let Some(beside) = &self.beside {
                beside.borrow_mut().step(ts, group, site, Some(&Event::Crash), None);
            }
            let group = group.clone();
            body.records.push(Record { ts, process: body.id, group, event: Event::Crash });
        }
        self.stop(host, state);
    }

    /// Leaves all groups; the process ends when its node says that they are left. Nothing if it is
    /// paused, or leaving already.
    pub fn leave(&mut self, p: impl Into<Site>) {
        let host = self.host(p.into());
        let now = self.hosts[host].clock(self.fabric.now);
        if !self.hosts[host].is_running() || self.hosts[host].state != HostState::Up {
            return;
        }
        let Body::Process(body) = &mut self.hosts[host].body else { return };
        if body.leaving.is_some() {
            return;
        }
        self.faults.leaves += 1;
        body.reading = true;
        if let Some(node) = &mut body.node {
            let groups = body.groups.iter().map(|(name, _)| name.key());
            body.leaving = Some(groups.filter(|key| node.leave(now, *key)).collect());
        }
        self.service(host);
    }

    /// Ends a process that has left all of its groups.
    pub(crate) fn end_if_left(&mut self, host: usize) {
        let Body::Process(body) = &mut self.hosts[host].body else { return };
        if body.leaving.as_ref().is_some_and(Vec::is_empty) {
            if let Some(mut node) = body.node.take() {
                body.records.append(&mut node.tracer_mut().records);
            }
            self.stop(host, HostState::Down);
        }
    }

    /// The process on `host` has ended.
    fn stop(&mut self, host: usize, state: HostState) {
        match &mut self.hosts[host].body {
            Body::Process(body) => {
                body.app.handle_crash();
                body.app_wake = None;
                body.link = None;
                body.leaving = None;
            }
            Body::Server(s) => {
                s.past = s.counters();
                s.server = None;
                s.conns.clear();
                s.unwritten.clear();
                s.dialed.clear();
            }
        }
        self.fabric.subscribers.retain(|(_, at)| *at != host);
        self.hosts[host].state = state;
        self.hosts[host].wake = None;
        self.hosts[host].held.clear();
        self.hosts[host].held_datagrams = 0;
        self.hosts[host].processor = Processor::default();
        for (conn, end) in self.fabric.conns_at(host) {
            if state == HostState::Off {
                if let Some(c) = self.fabric.conns.get_mut(&conn) {
                    c.ends[end].state = EndState::Vanished;
                    c.pipes[end].stalled = 0;
                }
            } else {
                let us = self.fabric.rng.below(self.fabric.config.close_us.saturating_add(1));
                let at = self.fabric.now.plus_us(us);
                self.fabric.queue.push(at, Happening::Gone { conn, end: end as u8 });
            }
        }
    }

    /// Kills a membership server.
    pub fn kill_server(&mut self, s: ServerId) {
        let host = self.host(Site::Server(s));
        if matches!(self.hosts[host].state, HostState::Up | HostState::Paused) {
            self.faults.server_kills += 1;
            self.stop(host, HostState::Down);
        }
    }

    /// Starts a membership server with a new boot epoch. Nothing if it runs.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn start_server(&mut self, s: ServerId) -> Result<(), ConfigError> {
        let host = self.host(Site::Server(s));
        let now = self.fabric.now;
        let Body::Server(body) = &mut self.hosts[host].body else { return Ok(()) };
        if body.server.is_some() {
            return Ok(());
        }
        body.boot = (body.boot + 1).max(now.as_millis() + body.clock_ahead_ms);
        let config = body.config.clone();
        let mut server = Server::with_rules(config, body.id, body.boot, self.rules)?;
        if let Some(ring) = &self.ring {
            server
                .set_keys(keys(ring, [body.id.0, body.boot]))
                .map_err(|_| ConfigError::Rule("servers need the secret of servers"))?;
        }
        body.server = Some(server);
        self.hosts[host].state = HostState::Up;
        self.name_peers(host);
        self.service(host);
        Ok(())
    }

    /// The clock by which lives of a process begin is `ms` ahead for good. If it `reads_trace`, a
    /// life begins above what its trace has reached, as a process does that names its trace in
    /// the runtimes; else above the begin of the life before, unless the clock was set back since.
    pub fn set_clock_ahead(&mut self, p: ProcessId, ms: u64, reads_trace: bool) {
        let host = self.host(Site::Process(p));
        if let Body::Process(body) = &mut self.hosts[host].body {
            (body.clock_ahead_ms, body.reads_trace) = (ms, reads_trace);
        }
    }

    /// Sets the clock of a host forward, by which what runs there measures time: the host was
    /// suspended, say. The clock that tells when a life begins is another one:
    /// [`World::set_clock_ahead`].
    pub fn set_clock_forward(&mut self, site: Site, ms: u64) {
        let host = self.host(site);
        self.faults.clock_jumps += 1;
        self.hosts[host].ahead_ns += ms * 1_000_000;
        let ahead_ns = self.hosts[host].ahead_ns;
        if let Body::Process(body) = &mut self.hosts[host].body {
            body.node.iter_mut().for_each(|node| node.tracer_mut().ahead_ns = ahead_ns);
        }
        if self.hosts[host].state == HostState::Up {
            self.fire(host);
        }
    }

    /// From now on a process says to have received what nobody has sent, or does not any more.
    /// Answers how many datagrams it has changed so far. Sealed datagrams stay as they are.
    pub fn set_liar(&mut self, p: ProcessId, lies: bool) -> u64 {
        let host = self.host(Site::Process(p));
        let Body::Process(body) = &mut self.hosts[host].body else { return 0 };
        let before = body.liar.map_or(0, |liar| liar.lies());
        body.liar = lies.then(|| body.liar.unwrap_or_default());
        before
    }

    /// Stops a process or server as SIGSTOP does.
    pub fn pause(&mut self, site: Site) {
        let host = self.host(site);
        if self.hosts[host].state == HostState::Up {
            self.faults.pauses += 1;
            self.hosts[host].state = HostState::Paused;
        }
    }

    /// Lets a paused process or server go on.
    pub fn resume(&mut self, site: Site) {
        let host = self.host(site);
        if self.hosts[host].state == HostState::Paused {
            self.hosts[host].state = HostState::Up;
            self.release(host);
        }
    }

    /// The application takes no more actions.
    pub fn stop_reading(&mut self, p: impl Into<Site>) {
        self.faults.slow_readers += 1;
        self.set_reading(p.into(), false);
    }

    /// The application takes actions again.
    pub fn read(&mut self, p: impl Into<Site>) {
        self.set_reading(p.into(), true);
    }

    fn set_reading(&mut self, site: Site, reading: bool) {
        let host = self.host(site);
        if let Body::Process(body) = &mut self.hosts[host].body {
            body.reading = reading;
        }
        self.service(host);
    }

    /// Cuts the path from `from` to `to`; the way back stays as it is.
    pub fn cut(&mut self, from: Site, to: Site) {
        let (from, to) = (self.host(from), self.host(to));
        self.faults.cuts += u64::from(!self.fabric.net.is_cut(from, to));
        self.fabric.net.set_cut(from, to, true);
    }

    /// Heals the path from `from` to `to`.
    pub fn heal(&mut self, from: Site, to: Site) {
        let (from, to) = (self.host(from), self.host(to));
        self.heal_path(from, to);
    }

    fn heal_path(&mut self, from: usize, to: usize) {
        if self.fabric.net.is_cut(from, to) {
            self.fabric.net.set_cut(from, to, false);
            self.fabric.resume_path(from, to);
        }
    }

    /// Whether multicasts are lost on the path from `from` to `to`, and nothing else. To be healed
    /// by the same way alone.
    pub fn block_multicast(&mut self, from: Site, to: Site, blocked: bool) {
        let (from, to) = (self.host(from), self.host(to));
        self.fabric.net.set_deaf(from, to, blocked);
    }

    /// Cuts all paths between sites of different parts; those in no part keep all theirs.
    pub fn partition(&mut self, parts: &[Vec<Site>]) {
        for (i, part) in parts.iter().enumerate() {
            for other in parts.iter().skip(i + 1) {
                for (a, b) in part.iter().flat_map(|a| other.iter().map(move |b| (*a, *b))) {
                    self.cut(a, b);
                    self.cut(b, a);
                }
            }
        }
    }

    /// Heals all paths.
    pub fn heal_all(&mut self) {
        for from in 0..self.hosts.len() {
            for to in 0..self.hosts.len() {
                self.heal_path(from, to);
            }
        }
    }
}
