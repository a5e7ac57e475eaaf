//! Advances the time: events happen one after the other.

use alloc::collections::VecDeque;
use alloc::rc::Rc;

use crate::ident::ProcessId;
use crate::sim::app::Application;
use crate::sim::defect::Defect;
use crate::sim::host::{Happening, HostState};
use crate::sim::moment::Moment;
use crate::sim::world::World;
use crate::time::Time;

impl<A: Application> World<A> {
    /// Runs until `end` and moves the time there.
    ///
    /// # Errors
    /// The defect that ended the run; the world stays as it is then.
    pub fn run_until(&mut self, end: Time) -> Result<(), Defect> {
        while self.defect.is_none() && self.run_event(end) {}
        self.arrive(end)
    }

    /// As [`World::run_until`], but stops at the first moment that a process comes to, which is
    /// told.
    pub(crate) fn run_until_seen(
        &mut self,
        end: Time,
    ) -> Result<Option<(ProcessId, Moment)>, Defect> {
        self.watch.borrow_mut().seen.get_or_insert_default();
        loop {
            let seen = self.watch.borrow_mut().seen.as_mut().and_then(VecDeque::pop_front);
            if seen.is_some() {
                return Ok(seen);
            }
            if self.defect.is_some() || !self.run_event(end) {
                return self.arrive(end).map(|()| None);
            }
        }
    }

    /// Stops collecting moments.
    pub(crate) fn stop_watching(&mut self) {
        self.watch.borrow_mut().seen = None;
    }

    /// The next event until `end`; false if there is none.
    fn run_event(&mut self, end: Time) -> bool {
        if self.fabric.queue.next_at().is_none_or(|at| at > end) {
            return false;
        }
        let Some((at, event)) = self.fabric.queue.pop() else { return false };
        self.fabric.now = self.fabric.now.max(at);
        self.events += 1;
        if self.events > self.events_max {
            self.defect = Some(Defect::EventsMax { events: self.events, at });
        }
        self.dispatch(event);
        let refuted = self.beside.as_ref().and_then(|b| b.borrow_mut().take_refuted());
        self.defect = self.defect.take().or(refuted);
        true
    }

    fn arrive(&mut self, end: Time) -> Result<(), Defect> {
        match &self.defect {
            Some(defect) => Err(defect.clone()),
            None => {
                self.fabric.now = self.fabric.now.max(end);
                Ok(())
            }
        }
    }

    /// Runs for `ms` milliseconds.
    ///
    /// # Errors
    /// As [`World::run_until`].
    pub fn run_for_ms(&mut self, ms: u64) -> Result<(), Defect> {
        self.run_until(self.now().plus_ms(ms))
    }

    /// Runs until `condition` holds, looking every millisecond; false if it does not within `ms`
    /// milliseconds.
    ///
    /// # Errors
    /// As [`World::run_until`].
    pub fn run_while_ms(
        &mut self,
        ms: u64,
        mut condition: impl FnMut(&Self) -> bool,
    ) -> Result<bool, Defect> {
        let end = self.now().plus_ms(ms);
        while condition(self) {
            if self.now() >= end {
                return Ok(false);
            }
            self.run_for_ms(1)?;
        }
        Ok(true)
    }

    fn dispatch(&mut self, event: Happening) {
        match event {
            Happening::Datagram { from, to, bytes, is_multicast } => match self.hosts[to].state {
                HostState::Up => self.arrive_at(to, is_multicast, (from, bytes)),
                HostState::Paused => {
                    let event = Happening::Datagram { from, to, bytes, is_multicast };
                    self.hold_datagram(to, event);
                }
                HostState::Down | HostState::Off => self.fabric.net.counters.unreceived += 1,
            },
            Happening::Bytes { conn, from, n } => self.bytes_arrive(conn, usize::from(from), n),
            Happening::Reset { conn, end } => self.reset_arrives(conn, end),
            Happening::Dial { conn, tries } => self.dial_arrives(conn, tries),
            Happening::Accept { conn } => self.accept(conn),
            Happening::Dialed { conn, ok } => self.dialed(conn, ok),
            Happening::Gone { conn, end } => {
                if self.fabric.rng.percent(self.fabric.config.reset_percent) {
                    self.fabric.abort(conn, usize::from(end));
                } else {
                    self.fabric.close(conn, usize::from(end));
                }
            }
            Happening::Turn { host } => self.take_turn(host),
            Happening::Wake { host } => self.wake(host),
            Happening::App { host } => self.wake_app(host),
        }
    }

    /// A datagram arrives at a host that is up: it waits while that is busy.
    fn arrive_at(&mut self, to: usize, is_multicast: bool, (from, bytes): (usize, Rc<[u8]>)) {
        let Self { hosts, fabric, .. } = self;
        let processor = &mut hosts[to].processor;
        if fabric.config.datagram_us == 0 && processor.is_free(fabric.now) {
            return self.receive(from, to, &bytes);
        }
        if !processor.push(is_multicast, (from, bytes), fabric.config.socket_datagrams) {
            fabric.net.counters.unreceived += 1;
        }
        self.plan_turn(to);
    }

    /// The processor of a host is free for what waits.
    fn take_turn(&mut self, host: usize) {
        if self.hold(host, &Happening::Turn { host }) {
            return;
        }
        let Self { hosts, fabric, .. } = self;
        let cost_us = fabric.config.datagram_us;
        if let Some((from, bytes)) = hosts[host].processor.take(fabric.now, cost_us) {
            self.receive(from, host, &bytes);
        }
        self.plan_turn(host);
    }

    fn plan_turn(&mut self, host: usize) {
        let Self { hosts, fabric, .. } = self;
        if let Some(at) = hosts[host].processor.plan_turn(fabric.now) {
            fabric.queue.push(at, Happening::Turn { host });
        }
    }

    /// Lets a paused host find `event` when it goes on; true if it is paused.
    pub(crate) fn hold(&mut self, host: usize, event: &Happening) -> bool {
        let paused = self.hosts[host].state == HostState::Paused;
        if paused {
            self.hosts[host].held.push_back(event.clone());
        }
        paused
    }

    fn hold_datagram(&mut self, host: usize, event: Happening) {
        let room = self.fabric.config.socket_datagrams;
        let host = &mut self.hosts[host];
        if host.held_datagrams < room {
            host.held_datagrams += 1;
            host.held.push_back(event);
        } else {
            self.fabric.net.counters.unreceived += 1;
        }
    }

    /// The process goes on: timers and what it finds in its sockets come in either order.
    pub(crate) fn release(&mut self, host: usize) {
        let timers_first = self.fabric.rng.percent(50);
        if timers_first {
            self.fire(host);
        }
        self.hosts[host].held_datagrams = 0;
        for event in core::mem::take(&mut self.hosts[host].held) {
            self.dispatch(event);
        }
        for (conn, end) in self.fabric.conns_at(host) {
            self.fabric.schedule_pipe(conn, 1 - end, 0);
        }
        if !timers_first {
            self.fire(host);
        }
        self.act(host);
    }
}
