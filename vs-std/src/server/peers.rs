//! Peers of a server that were given by name: what their names mean, looked up before each dial.

use core::fmt;
use core::net::SocketAddr;
use std::collections::VecDeque;
use std::io;

use vs_core::Time;
use vs_core::member::server::Server;

use crate::name::{Lookup, ServerName};

/// The first pause after a lookup that failed while no address of the name is known, in ms. Each
/// one is twice as long as the one before.
const PAUSE_MS: u64 = 500;
/// The longest such pause, in ms.
const PAUSE_MAX_MS: u64 = 10_000;
/// Failures that may wait to be told.
const FAILURES_MAX: usize = 64;

/// The name of a peer cannot be looked up. It is tried again.
#[derive(Debug)]
pub struct LookupFailure {
    /// The name.
    pub name: ServerName,
    /// The system's answer.
    pub error: io::Error,
}

impl fmt::Display for LookupFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be looked up ({}): it is tried again", self.name, self.error)
    }
}

impl core::error::Error for LookupFailure {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// A peer by name.
#[derive(Debug)]
struct Named {
    name: ServerName,
    /// What the last lookup found.
    addrs: Vec<SocketAddr>,
    /// Of these, those that were not dialled since.
    fresh: Vec<SocketAddr>,
    /// Dials that wait for the lookup.
    held: Vec<SocketAddr>,
    lookup: Option<Lookup>,
    /// When the name is looked up again, if it has no addresses.
    again: Option<Time>,
    pause_ms: u64,
    /// A failure was told since the last success.
    told: bool,
}

/// The peers that were given, by address or by name.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// Given as addresses.
    addrs: Vec<SocketAddr>,
    names: Vec<Named>,
    failures: VecDeque<LookupFailure>,
}

impl Peers {
    /// Whether `addr` was given, or belongs to a name that was.
    pub(super) fn contains(&self, addr: SocketAddr) -> bool {
        self.addrs.contains(&addr) || self.names.iter().any(|named| named.addrs.contains(&addr))
    }

    /// Adds a peer; false if the server has room for no more addresses.
    pub(super) fn add(&mut self, server: &mut Server, now: Time, name: ServerName) -> bool {
        if let Some(addr) = name.as_addr() {
            if !server.add_peer(now, addr) {
                return false;
            }
            if !self.addrs.contains(&addr) {
                self.addrs.push(addr);
            }
        } else if self.names.iter().all(|named| named.name != name) {
            self.names.push(Named {
                name,
                addrs: Vec::new(),
                fresh: Vec::new(),
                held: Vec::new(),
                lookup: None,
                again: Some(now),
                pause_ms: PAUSE_MS,
                told: false,
            });
        }
        true
    }

    /// Forgets a peer; returns the addresses that are not to be dialled any more.
    pub(super) fn remove(&mut self, name: &ServerName) -> Vec<SocketAddr> {
        if let Some(addr) = name.as_addr() {
            self.addrs.retain(|there| *there != addr);
            return vec![addr];
        }
        let Some(at) = self.names.iter().position(|named| named.name == *name) else {
            return Vec::new();
        };
        self.names.swap_remove(at).addrs
    }

    /// Whether the dial of `addr` has to wait until its name was looked up. [`Peers::advance`]
    /// tells when it may begin.
    pub(super) fn hold(&mut self, addr: SocketAddr) -> bool {
        if self.addrs.contains(&addr) {
            return false;
        }
        let Some(named) = self.names.iter_mut().find(|named| named.addrs.contains(&addr)) else {
            return false;
        };
        if let Some(at) = named.fresh.iter().position(|fresh| *fresh == addr) {
            named.fresh.swap_remove(at);
            return false;
        }
        if !named.held.contains(&addr) {
            named.held.push(addr);
        }
        named.begin();
        true
    }

    /// Takes the answers that came, and tells the server of them. Returns the dials that may begin.
    pub(super) fn advance(&mut self, server: &mut Server, now: Time) -> Vec<SocketAddr> {
        let mut dials = Vec::new();
        for at in 0..self.names.len() {
            let named = &mut self.names[at];
            if named.again.is_some_and(|again| again <= now) {
                named.again = None;
                named.begin();
            }
            let answer = named.lookup.as_ref().and_then(Lookup::poll);
            let Some(answer) = answer else { continue };
            named.lookup = None;
            match answer {
                Ok(found) => {
                    let gone = named.found(server, now, found, &mut dials);
                    for addr in gone {
                        if !self.contains(addr) {
                            server.remove_peer(addr);
                        }
                    }
                }
                Err(error) => {
                    if let Some(failure) = named.failed(server, now, error)
                        && self.failures.len() < FAILURES_MAX
                    {
                        self.failures.push_back(failure);
                    }
                }
            }
        }
        dials
    }

    /// When there is something to do, if nothing else happens.
    pub(super) fn poll_timeout(&self, now: Time) -> Option<Time> {
        let look = |lookup: &Lookup| now + lookup.timeout().as_nanos() as u64;
        let due = |named: &Named| named.lookup.as_ref().map(look).or(named.again);
        self.names.iter().filter_map(due).min()
    }

    pub(super) fn poll_failure(&mut self) -> Option<LookupFailure> {
        self.failures.pop_front()
    }
}

impl Named {
    /// Looks the name up, unless that is under way.
    fn begin(&mut self) {
        if self.lookup.is_none() {
            self.lookup = Some(Lookup::begin(&self.name));
        }
    }

    /// Adds addresses that are new, lets those wait no longer that were held, and returns those
    /// that are gone.
    fn found(
        &mut self,
        server: &mut Server,
        now: Time,
        found: Vec<SocketAddr>,
        dials: &mut Vec<SocketAddr>,
    ) -> Vec<SocketAddr> {
        let gone = self.addrs.iter().copied().filter(|addr| !found.contains(addr)).collect();
        for addr in &found {
            if !self.addrs.contains(addr) && server.add_peer(now, *addr) {
                self.fresh.push(*addr);
            }
        }
        self.fresh.retain(|addr| found.contains(addr));
        dials.extend(self.held.drain(..).filter(|addr| found.contains(addr)));
        self.addrs = found;
        (self.pause_ms, self.told) = (PAUSE_MS, false);
        gone
    }

    /// A lookup failed; what to tell about it, if it is the first one in a row.
    fn failed(
        &mut self,
        server: &mut Server,
        now: Time,
        error: io::Error,
    ) -> Option<LookupFailure> {
        for addr in self.held.drain(..) {
            server.handle_dial_failed(now, addr, &error);
        }
        if self.addrs.is_empty() {
            self.again = Some(now.plus_ms(self.pause_ms));
            self.pause_ms = (2 * self.pause_ms).min(PAUSE_MAX_MS);
        }
        if core::mem::replace(&mut self.told, true) {
            return None;
        }
        Some(LookupFailure { name: self.name.clone(), error })
    }
}
