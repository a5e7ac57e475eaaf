//! Which links to other servers count, and whom the server leaves out.
//!
//! Each change of whom a server counts on costs its groups a view. So a link that is lost counts on for the grace of the
//! clients at its other end, and one that was lost for longer counts again only once it has held for a while, which is
//! doubled each time. A link that comes and goes faster than that costs nothing more. The first time it counts at once.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use super::{Note, Server, ServerConfig, notify};
use crate::ident::ServerId;
use crate::time::Time;

/// What is made of the link to one peer.
#[derive(Clone, Copy, Debug)]
struct Link {
    connected: bool,
    /// When it came or went last.
    since: Time,
    counts: bool,
    /// How long it has to hold before it counts again, in ms.
    hold_ms: u64,
}

impl Link {
    /// When it begins or ceases to count.
    fn due(&self, config: &ServerConfig) -> Option<Time> {
        match (self.connected, self.counts) {
            (true, false) => Some(self.since.plus_ms(self.hold_ms)),
            (false, true) => Some(self.since.plus_ms(config.reattach_ms)),
            _ => None,
        }
    }

    /// It ceases to count; the next time it has to hold for longer.
    fn cease(&mut self, config: &ServerConfig) {
        self.counts = false;
        self.hold_ms = (2 * self.hold_ms).max(config.link_hold_ms).min(config.link_hold_max_ms);
    }
}

/// The links to all peers that were ever connected, within a bound.
#[derive(Debug, Default)]
pub(super) struct Links(BTreeMap<ServerId, Link>);

impl Links {
    /// `server` is connected.
    pub(super) fn up(&mut self, now: Time, server: ServerId, config: &ServerConfig) {
        if !self.0.contains_key(&server) && self.0.len() >= config.connections_max {
            self.0.retain(|_, link| link.connected || link.counts);
        }
        let new = Link { connected: true, since: now, counts: true, hold_ms: 0 };
        let link = self.0.entry(server).or_insert(new);
        (link.connected, link.since) = (true, now);
    }

    /// `server` is connected no more. If the link has held for long it is as one that is new.
    pub(super) fn down(&mut self, now: Time, server: ServerId, config: &ServerConfig) {
        let Some(link) = self.0.get_mut(&server) else { return };
        if link.counts && now.millis_since(link.since) >= config.link_forgive_ms {
            link.hold_ms = 0;
        }
        (link.connected, link.since) = (false, now);
    }

    /// Whether any link began to count, and whether any ceased to, by `now`.
    fn look(&mut self, now: Time, config: &ServerConfig) -> (bool, bool) {
        let (mut began, mut ceased) = (false, false);
        for link in self.0.values_mut().filter(|l| l.due(config).is_some_and(|at| now >= at)) {
            if link.counts {
                link.cease(config);
                ceased = true;
            } else {
                link.counts = true;
                began = true;
            }
        }
        (began, ceased)
    }

    pub(super) fn poll_timeout(&self, config: &ServerConfig) -> Option<Time> {
        self.0.values().filter_map(|link| link.due(config)).min()
    }

    /// The servers on whose links this one counts, ascending.
    pub(super) fn counted(&self, now: Time, config: &ServerConfig) -> Vec<ServerId> {
        let counts = |link: &Link| link.counts != link.due(config).is_some_and(|at| now >= at);
        self.0.iter().filter(|(_, link)| counts(link)).map(|(server, _)| *server).collect()
    }

    /// How long the link to `server` has to hold before it counts, in ms; none if it counts.
    fn held_off(&self, server: ServerId) -> Option<u64> {
        self.0.get(&server).filter(|link| !link.counts).map(|link| link.hold_ms)
    }
}

/// Why the clients of a server that is connected are in no view with those of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// Its link came back after it was lost for longer than `reattach_ms`.
    Returned {
        /// The link counts once it has held for so long, in ms; longer each time.
        hold_ms: u64,
    },
    /// It and this server, or another one with which this server shares views, do not both count on their link: it is
    /// cut, or came back just now.
    Unlinked {
        /// That server.
        from: ServerId,
    },
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned { hold_ms } => {
                write!(f, "its link was lost and counts again once it has held for {hold_ms} ms")
            }
            Self::Unlinked { from } => write!(f, "it and server {from} do not reach each other"),
        }
    }
}

impl Server {
    /// Takes up links that count now, or no more.
    pub(super) fn look_at_links(&mut self) {
        let (began, ceased) = self.own_links.look(self.now, &self.config);
        if began || ceased {
            self.tell_links();
            self.review_groups(ceased);
        }
    }

    /// Tells the operator whom the server leaves out since it was asked last, and whom no more.
    pub(super) fn note_left_out(&mut self) {
        let links = self.all_links();
        let clique = notify::clique(self.id, &links);
        let why = |server: ServerId| {
            let apart = |from: &ServerId| !notify::linked(&links, *from, server);
            if let Some(hold_ms) = self.own_links.held_off(server) {
                return LeftOut::Returned { hold_ms };
            }
            let from = clique.iter().copied().find(apart).unwrap_or(self.id);
            LeftOut::Unlinked { from }
        };
        let outside = self.connected().into_iter().filter(|server| !clique.contains(server));
        let left_out: BTreeMap<ServerId, LeftOut> = outside.map(|s| (s, why(s))).collect();
        let before = core::mem::replace(&mut self.left_out, left_out.clone());
        for (server, why) in &left_out {
            if before.get(server) != Some(why) {
                self.note(Note::LeftOut { server: *server, why: *why });
            }
        }
        for server in before.into_keys().filter(|server| clique.contains(server)) {
            self.note(Note::TakenIn { server });
        }
    }
}
