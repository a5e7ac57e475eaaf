//! Which links to other servers count.
//!
//! Each change of whom a server counts on costs its groups a view. So a link that is lost counts on
//! for the grace of the clients at its other end, and one that was lost for longer is ready again
//! only once it has held for a while, which is doubled each time. A link that comes and goes faster
//! than that costs nothing more. The first time it is ready at once.
//!
//! A link that is ready counts when those with whom this server shares views are ready for that
//! server, too: if one began before the other, the newcomer might take the other's place for that
//! time.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::config::ServerConfig;
use crate::ident::ServerId;
use crate::time::Time;

/// What is made of the link to one peer.
#[derive(Clone, Copy, Debug)]
struct Link {
    connected: bool,
    /// When it came or went last.
    since: Time,
    counts: bool,
    /// It has held for long enough.
    ready: bool,
    /// It ceased to count a moment ago: other servers may not know yet.
    abandoned: bool,
    /// How long it has to hold before it counts again, in ms.
    hold_ms: u64,
}

impl Link {
    /// When it is ready, begins or ceases to count whatever others do, or is abandoned no more.
    fn due(&self, config: &ServerConfig, silence_ms: u64) -> Option<Time> {
        match (self.connected, self.counts) {
            (true, false) if !self.ready => Some(self.since.plus_ms(self.hold_ms)),
            // Another one may have been reached so much later.
            (true, false) => Some(self.since.plus_ms(self.hold_ms + config.reach_ms())),
            (false, true) => Some(self.since.plus_ms(config.reattach_ms)),
            // Others may miss it as much later as it takes to miss a silent one.
            (false, false) if self.abandoned => {
                Some(self.since.plus_ms(config.reattach_ms + silence_ms))
            }
            _ => None,
        }
    }

    /// It ceases to count; the next time it has to hold for longer.
    fn cease(&mut self, config: &ServerConfig) {
        (self.counts, self.abandoned) = (false, true);
        self.hold_ms = (2 * self.hold_ms).max(config.link_hold_ms).min(config.link_hold_max_ms);
    }
}

/// The links to all peers that were ever connected, within a bound.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: BTreeMap<ServerId, Link>,
    /// After how long a silence a server is taken for dead, in ms, where that is longer than
    /// configured.
    silence_ms: u64,
}

impl Links {
    /// A server is taken for dead after this silence, in ms.
    pub(super) fn set_silence(&mut self, silence_ms: u64) {
        self.silence_ms = silence_ms;
    }

    /// `server` is connected. If it was restarted, the link is as a new one.
    pub(super) fn handle_up(
        &mut self,
        now: Time,
        server: ServerId,
        restarted: bool,
        config: &ServerConfig,
    ) {
        if !self.links.contains_key(&server) && self.links.len() >= config.connections_max {
            self.links.retain(|_, link| link.connected || link.counts);
        }
        let link = self.links.entry(server).or_insert(Link {
            connected: true,
            since: now,
            counts: false,
            ready: false,
            abandoned: false,
            hold_ms: 0,
        });
        (link.connected, link.since, link.abandoned) = (true, now, false);
        if restarted {
            link.hold_ms = 0;
        }
        link.ready = link.counts || link.hold_ms == 0;
    }

    /// `server` is connected no more. If the link has held for long, it is as a new one.
    pub(super) fn handle_down(&mut self, now: Time, server: ServerId, config: &ServerConfig) {
        let Some(link) = self.links.get_mut(&server) else { return };
        if link.counts && now.millis_since(link.since) >= config.link_forgive_ms {
            link.hold_ms = 0;
        }
        (link.connected, link.since, link.ready) = (false, now, false);
    }

    /// Whether any link is ready now or began to count, and whether any ceased to, or is abandoned
    /// no more, by `now`.
    pub(super) fn handle_timeout(&mut self, now: Time, config: &ServerConfig) -> (bool, bool) {
        let (mut began, mut ceased) = (false, false);
        let silence_ms = self.silence_ms.max(config.silence_ms);
        for link in self.links.values_mut() {
            while link.due(config, silence_ms).is_some_and(|at| now >= at) {
                match (link.connected, link.counts) {
                    (true, _) if link.ready => (link.counts, began) = (true, true),
                    (true, _) => (link.ready, began) = (true, true),
                    (false, true) => {
                        link.cease(config);
                        ceased = true;
                    }
                    (false, false) => (link.abandoned, ceased) = (false, true),
                }
            }
        }
        (began, ceased)
    }

    pub(super) fn next_timeout(&self, config: &ServerConfig) -> Option<Time> {
        let silence_ms = self.silence_ms.max(config.silence_ms);
        self.links.values().filter_map(|link| link.due(config, silence_ms)).min()
    }

    /// What others are told: the servers on whose links this one counts, and those that are ready;
    /// ascending.
    pub(super) fn report(&self) -> (Vec<ServerId>, Vec<ServerId>) {
        let those = |which: fn(&Link) -> bool| {
            self.links.iter().filter(|(_, link)| which(link)).map(|(server, _)| *server).collect()
        };
        (those(|link| link.counts), those(|link| link.ready && !link.counts))
    }

    /// Counts on `server` from now on.
    pub(super) fn begin(&mut self, server: ServerId) {
        if let Some(link) = self.links.get_mut(&server) {
            link.counts = true;
        }
    }

    /// Whether the link to `server` counts as soon as others are ready for it.
    pub(super) fn is_ready(&self, server: ServerId) -> bool {
        self.links.get(&server).is_some_and(|link| link.ready && !link.counts)
    }

    /// Whether `server` is connected, though its link may not count yet.
    pub(super) fn is_connected(&self, server: ServerId) -> bool {
        self.links.get(&server).is_some_and(|link| link.connected)
    }

    /// Those that are or were connected, and whether they are; ascending.
    pub(super) fn known(&self) -> impl Iterator<Item = (ServerId, bool)> + '_ {
        self.links.iter().map(|(server, link)| (*server, link.connected))
    }

    /// Whether any server is.
    pub(super) fn is_any_connected(&self) -> bool {
        self.links.values().any(|link| link.connected)
    }

    /// Those that are connected and do not count yet.
    pub(super) fn waiting(&self) -> impl Iterator<Item = ServerId> {
        let waits = |link: &Link| link.connected && !link.counts;
        self.links.iter().filter(move |(_, link)| waits(link)).map(|(server, _)| *server)
    }

    /// Whether this server counts on the link to `server`, though that may be lost just now.
    pub(super) fn counts(&self, server: ServerId) -> bool {
        self.links.get(&server).is_some_and(|link| link.counts)
    }

    /// Those that were connected at most `ms` ago, and were never lost for long; ascending.
    pub(super) fn newcomers(&self, now: Time, ms: u64) -> impl Iterator<Item = ServerId> {
        let is_new = move |link: &Link| {
            link.connected && link.hold_ms == 0 && now.millis_since(link.since) < ms
        };
        self.links.iter().filter(move |(_, link)| is_new(link)).map(|(server, _)| *server)
    }

    /// Those that it reaches, ascending.
    pub(super) fn reached(&self) -> Vec<ServerId> {
        let reached = self.links.iter().filter(|(_, link)| link.counts && link.connected);
        reached.map(|(server, _)| *server).collect()
    }

    /// Those of whom the reports of others that they reach them are not believed; ascending. They
    /// are lost, and if they are dead, others miss them a little earlier or later. Whoever believed
    /// some of the others would find another clique than the rest.
    pub(super) fn lost(&self) -> Vec<ServerId> {
        let is_lost = |link: &Link| !link.connected && (link.counts || link.abandoned);
        self.links.iter().filter(|(_, link)| is_lost(link)).map(|(server, _)| *server).collect()
    }

    /// How long the link to `server` has to hold before it is ready, in ms; none if it is.
    pub(super) fn held_off(&self, server: ServerId) -> Option<u64> {
        self.links.get(&server).filter(|link| !link.counts && !link.ready).map(|link| link.hold_ms)
    }
}
