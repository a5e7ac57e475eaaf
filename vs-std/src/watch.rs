//! Watches the addresses that sockets were opened with: they may go, and others may come.

use core::fmt;
use core::net::IpAddr;
use std::collections::BTreeMap;

use vs_core::Time;

use crate::changes::Changes;
use crate::interface::addresses_here;
use crate::udp::{Follow, UdpConfig};

/// Pause between two looks, in ms. What the kernel has not reported is not looked at.
const LOOK_MS: u64 = 1000;

/// Longest pause between attempts to open sockets that cannot be opened, in ms.
const RETRY_MAX_MS: u64 = 8000;

/// What became of the address of a node, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressNote {
    /// It is gone, and no other takes its place yet.
    Gone(IpAddr),
    /// It is back.
    Back(IpAddr),
    /// The node goes on with another one.
    Moved {
        /// The one before.
        from: IpAddr,
        /// The one from now on.
        to: IpAddr,
    },
    /// The interface of the address was replaced by another.
    Replaced(IpAddr),
    /// The sockets cannot be opened with the new address yet, and why.
    Refused {
        /// The new address.
        to: IpAddr,
        /// The error, in words.
        why: String,
    },
}

impl fmt::Display for AddressNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(ip) => {
                write!(f, "address {ip} is gone from this host: waiting for it or for another")
            }
            Self::Back(ip) => write!(f, "address {ip} is back on this host"),
            Self::Moved { from, to } => {
                write!(f, "this host is no longer reached at {from}: going on with {to}")
            }
            Self::Replaced(ip) => {
                write!(f, "the interface of address {ip} was replaced: going on with the new one")
            }
            Self::Refused { to, why } => write!(f, "cannot go on with address {to} yet: {why}"),
        }
    }
}

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing to do.
    Nothing,
    /// Nothing to do but to tell.
    Tell(AddressNote),
    /// The sockets have to be opened again, with these addresses.
    Reopen { bind: IpAddr, interface: IpAddr, note: AddressNote },
}

/// Where an address is: the index of its interface.
type Place = Option<u32>;

/// Watches the addresses of a pair of sockets.
#[derive(Debug)]
pub(crate) struct Watch {
    changes: Changes,
    follow: Follow,
    bind: IpAddr,
    interface: IpAddr,
    /// Where both were when the sockets were opened. One that was nowhere is not watched.
    places: [Place; 2],
    is_gone: bool,
    /// A look is due though nothing was reported.
    is_pending: bool,
    look_at: Time,
    /// The pause after the next attempt that fails.
    retry_ms: u64,
}

impl Watch {
    /// Watches the addresses of `config`, with which sockets were just opened.
    pub(crate) fn new(config: &UdpConfig) -> Self {
        // Before the addresses are asked for: what changes in between is reported.
        let changes = Changes::new();
        let here = addresses_here().unwrap_or_default();
        let (bind, interface) = (config.bind, config.interface);
        Self {
            changes,
            follow: config.follow.clone(),
            bind,
            interface,
            places: [bind, interface].map(|ip| here.get(&ip).copied()),
            is_gone: false,
            is_pending: false,
            look_at: Time::ZERO,
            retry_ms: LOOK_MS,
        }
    }

    /// When to look next.
    pub(crate) fn poll_timeout(&self) -> Time {
        self.look_at
    }

    /// Looks, if that is due.
    pub(crate) fn look(&mut self, now: Time) -> Found {
        if now < self.look_at {
            return Found::Nothing;
        }
        self.look_at = now.plus_ms(LOOK_MS);
        if !self.changes.take() && !core::mem::take(&mut self.is_pending) {
            return Found::Nothing;
        }
        match addresses_here() {
            Ok(here) => self.compare(&here),
            Err(_) => {
                self.is_pending = true;
                Found::Nothing
            }
        }
    }

    fn compare(&mut self, here: &BTreeMap<IpAddr, u32>) -> Found {
        let place = |ip: IpAddr| here.get(&ip).copied();
        let places = [self.bind, self.interface].map(place);
        // On the loopback interface for want of a better one.
        let better = if self.bind.is_loopback() && self.follow.is_by_route() {
            self.follow.next(self.bind).filter(|ip| !ip.is_loopback())
        } else {
            None
        };
        let is_lost = |i: usize| self.places[i].is_some() && places[i].is_none();
        if better.is_none() && !is_lost(0) && !is_lost(1) {
            if self.places != places && places[0].is_some() {
                let note = AddressNote::Replaced(self.bind);
                return Found::Reopen { bind: self.bind, interface: self.interface, note };
            }
            let was_gone = core::mem::take(&mut self.is_gone);
            return if was_gone {
                Found::Tell(AddressNote::Back(self.bind))
            } else {
                Found::Nothing
            };
        }
        let lost = if is_lost(0) || better.is_some() { self.bind } else { self.interface };
        let next = better.or_else(|| self.follow.next(lost)).filter(|ip| here.contains_key(ip));
        match next {
            Some(to) => {
                let or = |ip: IpAddr| if ip == lost || is_lost(0) { to } else { ip };
                let (bind, interface) = (or(self.bind), or(self.interface));
                let note = AddressNote::Moved { from: lost, to };
                Found::Reopen { bind, interface, note }
            }
            None => {
                self.is_pending = true;
                match core::mem::replace(&mut self.is_gone, true) {
                    true => Found::Nothing,
                    false => Found::Tell(AddressNote::Gone(lost)),
                }
            }
        }
    }

    /// The sockets could not be opened again: it is tried again, less and less often. Whether that
    /// is news.
    pub(crate) fn handle_refused(&mut self, now: Time) -> bool {
        let is_first = self.retry_ms == LOOK_MS;
        self.is_pending = true;
        self.look_at = now.plus_ms(self.retry_ms);
        self.retry_ms = (2 * self.retry_ms).min(RETRY_MAX_MS);
        is_first
    }
}
