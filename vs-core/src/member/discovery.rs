//! How servers find one another without being told: each sends beacons, and hears those of the
//! others.
//!
//! A server that starts sends some quickly. Each that it did not know before is news; after
//! [`DiscoveryConfig::quiet_beacons`] of its own without news, and once all that it heard are
//! connected, it has *settled*: from then on its beacons are far apart, and answer those of
//! newcomers. The first that settle need not wait long for the others: see `gather` in the server.
//!
//! Of two servers that of the higher id connects to the other, so that they have one connection;
//! the other does only if it waits for that in vain, where beacons go one way only.
//!
//! With keys, beacons are sealed, and others are dropped: see [`sealed`]. Without, beacons prove
//! nothing: whoever can send to their address can make servers connect to addresses of his choice,
//! as many as [`DiscoveryConfig::servers_max`] at a time. What he cannot do is to be taken for a
//! server that is connected.

mod sealed;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use crate::config::{ConfigError, TIME_MS_LIMIT, setters};
use crate::ident::{Deployment, ServerId};
use crate::rng::Rng;
use crate::seal::Keys;
use crate::time::Time;
use crate::wire::STREAM_VERSION;
use crate::wire::beacon::{self, BEACON_BYTES_MAX, Beacon, Envelope, NoBeacon};
use sealed::Sealer;

/// Pause between notes of one kind on beacons that are of no use, in ms: they come again and again.
const NOTE_PAUSE_MS: u64 = 60_000;

/// For so long after a server was forgotten that may be cut off rather than dead, this one lets
/// itself be heard more often, in ms.
const MISSED_MS: u64 = 600_000;

/// A server that is heard, and dialled, and not connected for so long is not reached, in ms.
const UNREACHED_MS: u64 = 5_000;

/// Shortest pause between beacons, in ms.
const BEACON_MS_MIN: u64 = 10;

/// Greatest [`DiscoveryConfig::servers_max`].
const SERVERS_LIMIT: usize = 1 << 16;

/// Times and bounds of discovery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiscoveryConfig {
    /// Pause between beacons until the server has settled, in ms. Each pause is a quarter shorter
    /// or longer by chance. Default 50.
    pub beacon_ms: u64,
    /// Longest pause between beacons once it has settled, in ms: it doubles up to here. Default
    /// 2000.
    pub beacon_max_ms: u64,
    /// Longest pause between beacons for ten minutes after a server was forgotten, in ms: where the
    /// network was parted, it is found again soon after that heals. Default 500.
    pub beacon_missed_ms: u64,
    /// Beacons without news after which a server has settled. Default 4.
    pub quiet_beacons: u32,
    /// A server has settled at the latest after this time, in ms, whatever news there are. Default
    /// 1500.
    pub settle_max_ms: u64,
    /// A server of a lower id that was heard for so long without being connected to by the other
    /// connects itself, in ms. Default 500.
    pub dial_anyway_ms: u64,
    /// A server that is not connected is forgotten when its beacons have been missed for so long,
    /// in ms. Default 10,000.
    pub forget_ms: u64,
    /// Most servers that are known at a time; those beyond are not heard. Default 256.
    pub servers_max: usize,
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        Self {
            beacon_ms: 50,
            beacon_max_ms: 2000,
            beacon_missed_ms: 500,
            quiet_beacons: 4,
            settle_max_ms: 1500,
            dial_anyway_ms: 500,
            forget_ms: 10_000,
            servers_max: 256,
        }
    }
}

impl DiscoveryConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the first field that cannot be used, its value and the bound that it breaks.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (field, ms) in [
            ("settle_max_ms", self.settle_max_ms),
            ("dial_anyway_ms", self.dial_anyway_ms),
            ("forget_ms", self.forget_ms),
        ] {
            ConfigError::check(field, ms, 1..=TIME_MS_LIMIT)?;
        }
        for (field, ms) in [
            ("beacon_ms", self.beacon_ms),
            ("beacon_max_ms", self.beacon_max_ms),
            ("beacon_missed_ms", self.beacon_missed_ms),
        ] {
            ConfigError::check(field, ms, BEACON_MS_MIN..=TIME_MS_LIMIT)?;
        }
        let beacon = ("beacon_ms", self.beacon_ms);
        ConfigError::check_given(
            "beacon_max_ms",
            self.beacon_max_ms,
            self.beacon_ms..=u64::MAX,
            Some(beacon),
        )?;
        ConfigError::check_given(
            "beacon_missed_ms",
            self.beacon_missed_ms,
            self.beacon_ms..=u64::MAX,
            Some(beacon),
        )?;
        ConfigError::check_given(
            "forget_ms",
            self.forget_ms,
            self.beacon_max_ms + 1..=u64::MAX,
            Some(("beacon_max_ms", self.beacon_max_ms)),
        )?;
        ConfigError::check("quiet_beacons", self.quiet_beacons.into(), 1..=u32::MAX.into())?;
        ConfigError::check("servers_max", self.servers_max as u64, 1..=SERVERS_LIMIT as u64)
    }
}

/// Setters.
impl DiscoveryConfig {
    setters! {
        with_beacon(beacon_ms: ms);
        with_beacon_max(beacon_max_ms: ms);
        with_beacon_missed(beacon_missed_ms: ms);
        with_quiet_beacons(quiet_beacons: u32);
        with_settle_max(settle_max_ms: ms);
        with_dial_anyway(dial_anyway_ms: ms);
        with_forget(forget_ms: ms);
        with_servers_max(servers_max: usize);
    }
}

/// What follows from a beacon, or from the lack of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Connect to the server there, and do so again when the connection is lost.
    Dial(SocketAddr),
    /// The server there, which is being dialled, was not heard for a while, and is now: connect to
    /// it at once.
    Again(SocketAddr),
    /// Do not any more.
    Forget(SocketAddr),
    /// Tell the operator.
    Useless(UselessBeacon),
}

/// A beacon that was heard and is of no use. Each kind is noted once a minute at most.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UselessBeacon {
    /// It is of another deployment.
    Deployment(Deployment),
    /// It is of another version of the protocol.
    Version(u16),
    /// Another server, that listens there, has this id, the own one.
    SameId(ServerId, SocketAddr),
    /// There are more servers than [`DiscoveryConfig::servers_max`].
    TooMany,
    /// The server that listens there is heard for long, and no connection to it comes up, nor one
    /// from it.
    Unreached(SocketAddr),
    /// It is sealed, and this server has no keys.
    Sealed,
    /// It is not sealed, and this server has keys; where its server says that it listens.
    InTheClear(SocketAddr),
    /// It does not open; the id of the key that it is said to be sealed with.
    Unopened(u8),
}

impl fmt::Display for UselessBeacon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployment(other) => write!(
                f,
                "found servers of the deployment {other}, which are left alone: name the same deployment at all \
                 that belong together"
            ),
            Self::Version(version) => write!(
                f,
                "found a server that speaks protocol version {version}, this server {STREAM_VERSION}: run the \
                 same version everywhere"
            ),
            Self::SameId(id, addr) => write!(
                f,
                "the server at {addr} has the id {id}, too: give each server an id of its own"
            ),
            Self::TooMany => f.write_str(
                "found more servers than servers_max allows: this server does not connect to the others",
            ),
            Self::Unreached(addr) => write!(
                f,
                "beacons of {addr} arrive, and no connection to it comes up, nor one from there: something lets \
                 multicasts through and stops TCP to port {} (a firewall?), or the address is not reached from here",
                addr.port()
            ),
            Self::Sealed => f.write_str(
                "found a server whose beacons are sealed, and this server has no keys: give the same keys to all that \
                 belong together",
            ),
            Self::InTheClear(addr) => write!(
                f,
                "found a server at {addr} whose beacons are not sealed, and this server has keys: give the same keys to \
                 all that belong together"
            ),
            Self::Unopened(key) => write!(
                f,
                "found a server whose beacons are sealed with a key of id {key} and do not open here: give the same keys \
                 to all that belong together, each with the same id and suite"
            ),
        }
    }
}

impl UselessBeacon {
    const KINDS: usize = 8;

    /// Its place in [`Discovery::noted`].
    fn kind(&self) -> usize {
        match self {
            Self::Deployment(_) => 0,
            Self::Version(_) => 1,
            Self::SameId(..) => 2,
            Self::TooMany => 3,
            Self::Unreached(_) => 4,
            Self::Sealed => 5,
            Self::InTheClear(_) => 6,
            Self::Unopened(_) => 7,
        }
    }
}

/// A server that was heard.
#[derive(Clone, Copy, Debug)]
struct Heard {
    boot: u64,
    addr: SocketAddr,
    last: Time,
    /// Since when it is not connected, as far as this was looked at.
    apart: Time,
    dialled: bool,
}

/// What a server knows of the others from their beacons.
#[derive(Debug)]
pub(crate) struct Discovery {
    config: DiscoveryConfig,
    deployment: Deployment,
    me: ServerId,
    boot: u64,
    listen: SocketAddr,
    rng: Rng,
    /// When it settles whatever news there are.
    settle_at: Time,
    settled: bool,
    /// Own beacons since the last news.
    quiet: u32,
    /// When the next beacon is due, and when the last one was.
    next: Time,
    last: Time,
    /// The pause after the next one.
    pause_ms: u64,
    /// A beacon waits to be sent.
    pending: bool,
    heard: BTreeMap<ServerId, Heard>,
    /// A server was forgotten: until when it may come back.
    missed_until: Option<Time>,
    /// When a beacon of no use was noted last, by kind.
    noted: [Option<Time>; UselessBeacon::KINDS],
    /// With keys.
    sealer: Option<Sealer>,
    /// Beacons that were dropped since they were sealed otherwise than the own ones.
    dropped: u64,
}

impl Discovery {
    /// Begins now; `listen` is where others reach this server.
    pub(crate) fn new(
        now: Time,
        config: DiscoveryConfig,
        deployment: Deployment,
        (me, boot): (ServerId, u64),
        listen: SocketAddr,
        seed: u64,
    ) -> Self {
        Self {
            deployment,
            me,
            boot,
            listen,
            rng: Rng::new(seed),
            settle_at: now.plus_ms(config.settle_max_ms),
            settled: false,
            quiet: 0,
            next: now,
            last: now,
            pause_ms: config.beacon_ms,
            pending: false,
            heard: BTreeMap::new(),
            missed_until: None,
            noted: [None; UselessBeacon::KINDS],
            sealer: None,
            dropped: 0,
            config,
        }
    }

    /// Seals from now on, and hears sealed beacons alone. False, and nothing is changed, if the key
    /// that seals is one of members.
    pub(crate) fn set_keys(&mut self, keys: Keys) -> bool {
        if let Some(sealer) = &mut self.sealer {
            return sealer.set_keys(&keys);
        }
        self.sealer = Sealer::new(keys);
        self.sealer.is_some()
    }

    /// How many beacons were dropped since this was asked last, since they were sealed otherwise
    /// than the own ones.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        core::mem::take(&mut self.dropped)
    }

    /// Whether all servers that can be found are known, as far as one may wait for that. Once true,
    /// it stays.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether a server that was heard is not connected yet; `connected` ascend.
    pub(crate) fn misses_any(&self, connected: &[ServerId]) -> bool {
        self.heard.keys().any(|server| connected.binary_search(server).is_err())
    }

    /// A datagram came; `connected` are the servers that are, ascending.
    pub(crate) fn hear(
        &mut self,
        now: Time,
        datagram: &[u8],
        connected: &[ServerId],
    ) -> Vec<Found> {
        let mut room;
        let (datagram, envelope) = match &self.sealer {
            None => (datagram, None),
            Some(sealer) => {
                room = [0; BEACON_BYTES_MAX];
                match sealer.open(datagram, &mut room) {
                    Ok((opened, envelope)) => (opened, Some(envelope)),
                    Err(key) => return self.drop_unopened(now, datagram, key),
                }
            }
        };
        let useless = match beacon::decode(datagram) {
            Ok(beacon) if beacon.deployment != self.deployment.as_str() => {
                Deployment::new(beacon.deployment).ok().map(UselessBeacon::Deployment)
            }
            Ok(beacon) if self.is_old(now, &beacon, envelope) => {
                self.dropped += 1;
                None
            }
            // The own one may come back.
            Ok(beacon) if beacon.server == self.me => (beacon.boot != self.boot)
                .then_some(UselessBeacon::SameId(beacon.server, beacon.listen)),
            Ok(beacon) if self.knows(beacon.server) || self.has_room() => {
                return self.hear_server(now, &beacon, connected);
            }
            Ok(_) => Some(UselessBeacon::TooMany),
            Err(NoBeacon::Version(version)) => Some(UselessBeacon::Version(version)),
            Err(NoBeacon::Sealed) => {
                self.dropped += 1;
                Some(UselessBeacon::Sealed)
            }
            Err(NoBeacon::Other) => None,
        };
        let Some(useless) = useless else { return Vec::new() };
        self.note(now, useless)
    }

    /// Whether a sealed beacon is no later than what its server said before.
    fn is_old(&mut self, now: Time, beacon: &Beacon<'_>, envelope: Option<Envelope>) -> bool {
        let (said, servers_max) = ((beacon.server, beacon.boot), self.config.servers_max);
        let sealer = self.sealer.as_mut().filter(|_| beacon.server != self.me);
        sealer.zip(envelope).is_some_and(|(sealer, e)| !sealer.is_later(now, said, &e, servers_max))
    }

    /// A datagram is no beacon that opens; `key` is what it says that it is sealed with.
    fn drop_unopened(&mut self, now: Time, datagram: &[u8], key: Option<u8>) -> Vec<Found> {
        let useless = match (key, beacon::decode(datagram)) {
            (Some(key), _) => UselessBeacon::Unopened(key),
            (None, Ok(beacon)) => UselessBeacon::InTheClear(beacon.listen),
            (None, Err(NoBeacon::Version(version))) => {
                return self.note(now, UselessBeacon::Version(version));
            }
            (None, Err(_)) => return Vec::new(),
        };
        self.dropped += 1;
        self.note(now, useless)
    }

    /// What is to be told of it, if nothing of its kind was told just before.
    fn note(&mut self, now: Time, useless: UselessBeacon) -> Vec<Found> {
        let noted = &mut self.noted[useless.kind()];
        if noted.is_some_and(|last| now.millis_since(last) < NOTE_PAUSE_MS) {
            return Vec::new();
        }
        *noted = Some(now);
        Vec::from([Found::Useless(useless)])
    }

    /// Somebody who is connected to a server tells where it is.
    pub(crate) fn hear_of(
        &mut self,
        now: Time,
        (server, boot): (ServerId, u64),
        listen: SocketAddr,
        connected: &[ServerId],
    ) -> Vec<Found> {
        let deployment = self.deployment.clone();
        let beacon = Beacon { deployment: deployment.as_str(), server, boot, listen };
        if server == self.me || !beacon.is_sound() || !(self.knows(server) || self.has_room()) {
            return Vec::new();
        }
        self.hear_server(now, &beacon, connected)
    }

    /// Whether `server` was heard and is not forgotten.
    pub(crate) fn knows(&self, server: ServerId) -> bool {
        self.heard.contains_key(&server)
    }

    /// Where others reach this server.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Others reach this server at `listen` from now on. Beacons are as frequent as at the start.
    pub(crate) fn set_listen(&mut self, now: Time, listen: SocketAddr) {
        self.listen = listen;
        (self.next, self.pause_ms) = (now, self.config.beacon_ms);
    }

    fn has_room(&self) -> bool {
        self.heard.len() < self.config.servers_max
    }

    fn hear_server(
        &mut self,
        now: Time,
        beacon: &Beacon<'_>,
        connected: &[ServerId],
    ) -> Vec<Found> {
        let mut found = Vec::new();
        let &Beacon { server, boot, listen: addr, .. } = beacon;
        let known = self.heard.get(&server).copied();
        let same = known.filter(|known| (known.boot, known.addr) == (boot, addr));
        if same.is_none() {
            self.quiet = 0;
            // In an earlier incarnation it listened elsewhere.
            let gone = known.filter(|known| known.dialled && known.addr != addr);
            found.extend(gone.map(|known| Found::Forget(known.addr)));
        }
        let fresh = Heard { boot, addr, last: now, apart: now, dialled: false };
        let mut heard = Heard { last: now, ..same.unwrap_or(fresh) };
        if connected.binary_search(&server).is_ok() {
            heard.apart = now;
        } else if server < self.me {
            if !heard.dialled {
                heard.dialled = true;
                found.push(Found::Dial(addr));
            } else if same.is_some_and(|known| now.millis_since(known.last) > self.missing_ms()) {
                found.push(Found::Again(addr));
            }
        } else {
            // It connects as soon as it has heard of this server.
            let soon = now.plus_ms(self.rng.below(self.config.beacon_ms));
            self.next = self.next.min(soon.max(self.last.plus_ms(self.config.beacon_ms)));
        }
        self.heard.insert(server, heard);
        found
    }

    /// A beacon of a server that is heard is missing after so long, in ms: pauses are up to a
    /// quarter longer.
    fn missing_ms(&self) -> u64 {
        self.config.beacon_max_ms + self.config.beacon_max_ms / 4
    }

    /// When [`Discovery::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Time {
        self.next
    }

    /// Time for a beacon, and to look at who was heard. `busy`: somebody else is being connected
    /// to.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Time,
        connected: &[ServerId],
        busy: bool,
    ) -> Vec<Found> {
        if now < self.next {
            return Vec::new();
        }
        let found = self.look(now, connected);
        let complete = !busy && !self.misses_any(connected);
        self.settled |= complete && self.quiet >= self.config.quiet_beacons;
        self.settled |= now >= self.settle_at;
        let misses = self.missed_until.is_some_and(|until| now < until);
        let missed_ms = if misses { self.config.beacon_missed_ms } else { u64::MAX };
        self.pause_ms = match self.settled {
            true => (2 * self.pause_ms).min(self.config.beacon_max_ms).min(missed_ms),
            false => self.config.beacon_ms,
        };
        self.quiet = self.quiet.saturating_add(1);
        self.last = now;
        self.next = now.plus_ms(self.pause_ms - self.pause_ms / 4)
            + self.rng.below(Time::from_millis(self.pause_ms / 2).0);
        self.pending = true;
        found
    }

    /// Gives up who fell silent, and connects to who should have done so.
    fn look(&mut self, now: Time, connected: &[ServerId]) -> Vec<Found> {
        let mut found = Vec::new();
        let config = &self.config;
        let missed_until = &mut self.missed_until;
        self.heard.retain(|server, heard| {
            if connected.binary_search(server).is_ok() {
                heard.apart = now;
            } else if now.millis_since(heard.last.max(heard.apart)) >= config.forget_ms {
                found.extend(heard.dialled.then_some(Found::Forget(heard.addr)));
                *missed_until = Some(now.plus_ms(MISSED_MS));
                return false;
            } else if !heard.dialled && now.millis_since(heard.apart) >= config.dial_anyway_ms {
                heard.dialled = true;
                found.push(Found::Dial(heard.addr));
            }
            true
        });
        let is_unreached = |(server, heard): (&ServerId, &Heard)| {
            let is_apart = connected.binary_search(server).is_err()
                && now.millis_since(heard.apart) >= UNREACHED_MS;
            (is_apart && heard.dialled && heard.last > heard.apart).then_some(heard.addr)
        };
        if let Some(addr) = self.heard.iter().find_map(is_unreached) {
            found.extend(self.note(now, UselessBeacon::Unreached(addr)));
        }
        found
    }

    /// Writes the beacon that is due; returns its length.
    pub(crate) fn poll_beacon(&mut self, out: &mut [u8]) -> Option<usize> {
        if !core::mem::take(&mut self.pending) {
            return None;
        }
        let deployment = self.deployment.as_str();
        let own = Beacon { deployment, server: self.me, boot: self.boot, listen: self.listen };
        match &mut self.sealer {
            Some(sealer) => sealer.seal(out, &own),
            None => beacon::encode(out, &own),
        }
    }
}

#[cfg(test)]
mod sealed_tests;
#[cfg(test)]
mod tests;
