//! Which peers are dialled, and when. A runtime makes the connections and says what became of them.
//!
//! Each address that was named is dialled until a server answers there, and again when it is lost.
//! Two servers that name each other end with one connection: of several the first that the lower id
//! made stays. Each side closes those of its own that are too many, once the other one is known to
//! use the one that is left.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use super::config::ServerConfig;
use super::conn_id::ConnId;
use crate::ident::ServerId;
use crate::member::message::Refusal;
use crate::status::{DialState, DialStatus, Listed, SERVERS_LISTED_MAX};
use crate::time::Time;
use crate::wire::ChannelError;

/// Longest reason that a runtime may give why a connection cannot be made, in bytes.
const REASON_BYTES_MAX: usize = 256;

/// Why a peer that was named is not connected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerTrouble {
    /// There is no connection to its address, in the words of the system; or a server that was
    /// there says nothing.
    Unreachable(String),
    /// What listens there is no membership server: what it did instead.
    NoServer(&'static str),
    /// It speaks another version of the protocol.
    Version {
        /// The peer's version.
        peer: u16,
        /// Ours.
        own: u16,
    },
    /// The connection to it is not sealed as this server wants it.
    Seal(ChannelError),
    /// It refuses this server.
    Refused(Refusal),
    /// It is this server itself, and not dialled again.
    Itself,
}

impl fmt::Display for PeerTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(words) => {
                write!(
                    f,
                    "the peer cannot be reached ({words}): start a server there; it is dialled again"
                )
            }
            Self::NoServer(what) => write!(
                f,
                "the peer does not answer as a membership server does ({what}): name the address of one"
            ),
            Self::Version { peer, own } => write!(
                f,
                "the peer speaks protocol version {peer}, this server {own}: upgrade the older of both"
            ),
            Self::Seal(error) => write!(f, "there is no sealed connection to the peer: {error}"),
            Self::Refused(refusal) => write!(f, "the peer refuses this server: {refusal}"),
            Self::Itself => {
                f.write_str("the address is one of this server itself, which needs none")
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be dialled.
    Waiting(Time),
    /// Dialled, at this time.
    Dialling(Time),
    /// There is a connection.
    Up(ConnId),
    /// The server that answers there is connected over another connection.
    Spare,
    /// It is this server itself.
    Itself,
}

/// An address at which there may be a peer.
#[derive(Debug)]
struct Target {
    state: State,
    /// How long the next pause will be.
    pause_ms: u64,
    /// The server that answered last, and its boot value.
    answered: Option<(ServerId, u64)>,
    /// What was noted since it was connected last.
    noted: Option<PeerTrouble>,
}

impl Target {
    fn new(now: Time, config: &ServerConfig) -> Self {
        Self { state: State::Waiting(now), pause_ms: config.redial_ms, answered: None, noted: None }
    }

    fn status(&self, addr: SocketAddr) -> DialStatus {
        let state = match self.state {
            State::Waiting(_) => DialState::Waiting,
            State::Dialling(_) => DialState::Dialling,
            State::Up(_) => DialState::Up,
            State::Spare => DialState::Spare,
            State::Itself => DialState::Itself,
        };
        DialStatus { addr, state, trouble: self.noted.as_ref().map(ToString::to_string) }
    }

    /// When something is due.
    fn next_timeout(&self, config: &ServerConfig) -> Option<Time> {
        match self.state {
            State::Waiting(at) => Some(at),
            State::Dialling(since) => Some(since.plus_ms(config.dial_ms)),
            State::Up(_) | State::Spare | State::Itself => None,
        }
    }

    /// Whether it was neither reached nor found out that it cannot be.
    fn is_new(&self) -> bool {
        let under_way = matches!(self.state, State::Waiting(_) | State::Dialling(_));
        under_way && self.answered.is_none() && self.noted.is_none()
    }

    /// Dials again after a pause, which grows: to that of a peer that is not there, or longer, if
    /// it is there and will not do before somebody changes something. An attempt that was under way
    /// for so long has been pause enough.
    fn wait(&mut self, now: Time, config: &ServerConfig, refused: bool) {
        let (least, most) = match refused {
            true => (config.refused_ms, config.refused_max_ms),
            false => (config.redial_ms, config.redial_max_ms),
        };
        let pause_ms = self.pause_ms.max(least).min(most);
        self.pause_ms = pause_ms.saturating_mul(2);
        let since = if let State::Dialling(since) = self.state { since } else { now };
        self.state = State::Waiting(now.max(since.plus_ms(pause_ms)));
    }
}

/// The addresses of peers that are dialled.
#[derive(Debug, Default)]
pub(super) struct Dialler(BTreeMap<SocketAddr, Target>);

impl Dialler {
    /// Dials `addr` from now on. False if there are [`ServerConfig::peers_max`] addresses already.
    pub(super) fn add(&mut self, now: Time, addr: SocketAddr, config: &ServerConfig) -> bool {
        if !self.0.contains_key(&addr) {
            if self.0.len() >= config.peers_max {
                return false;
            }
            self.0.insert(addr, Target::new(now, config));
        }
        true
    }

    /// Dials `addr` no more.
    pub(super) fn remove(&mut self, addr: SocketAddr) {
        self.0.remove(&addr);
    }

    /// A beacon of the server at `addr` came, the first one for long: it may be reached again, and
    /// the first packet of an attempt that is under way may be lost. A target that was refused
    /// still waits.
    pub(super) fn dial_now(&mut self, now: Time, addr: SocketAddr, config: &ServerConfig) {
        let Some(target) = self.0.get_mut(&addr) else { return };
        let unreached = matches!(target.noted, None | Some(PeerTrouble::Unreachable(_)));
        if unreached && matches!(target.state, State::Waiting(_) | State::Dialling(_)) {
            target.pause_ms = config.redial_ms;
            target.state = State::Waiting(now);
        }
    }

    /// An address to connect to now. One whose server is connected already, as `is_connected` says,
    /// is spare.
    pub(super) fn poll_dial(
        &mut self,
        now: Time,
        is_connected: impl Fn((ServerId, u64)) -> bool,
    ) -> Option<SocketAddr> {
        loop {
            let due = |target: &Target| matches!(target.state, State::Waiting(at) if at <= now);
            let (&addr, target) = self.0.iter_mut().find(|(_, target)| due(target))?;
            if !target.answered.is_some_and(&is_connected) {
                target.state = State::Dialling(now);
                return Some(addr);
            }
            target.state = State::Spare;
        }
    }

    /// The connection `conn` to `addr` is up. False if nobody wants it any more.
    pub(super) fn handle_connected(&mut self, conn: ConnId, addr: SocketAddr) -> bool {
        match self.0.get_mut(&addr) {
            Some(target) if matches!(target.state, State::Dialling(_) | State::Waiting(_)) => {
                target.state = State::Up(conn);
                true
            }
            _ => false,
        }
    }

    /// There is no room for another connection: `addr` is dialled again after a pause.
    pub(super) fn handle_no_room(&mut self, now: Time, addr: SocketAddr, config: &ServerConfig) {
        if let Some(target) = self.0.get_mut(&addr) {
            target.wait(now, config, false);
        }
    }

    /// No connection to `addr` can be made; `error` says why. The trouble is returned if it is
    /// news.
    pub(super) fn handle_failed(
        &mut self,
        now: Time,
        addr: SocketAddr,
        error: &dyn fmt::Display,
        config: &ServerConfig,
    ) -> Option<PeerTrouble> {
        let mut reason = alloc::format!("{error}");
        while reason.len() > REASON_BYTES_MAX {
            reason.pop();
        }
        self.handle_trouble(now, addr, PeerTrouble::Unreachable(reason), config)
    }

    /// Gives up attempts that nothing was heard of. Troubles that are news are returned.
    pub(super) fn handle_timeout(
        &mut self,
        now: Time,
        config: &ServerConfig,
    ) -> Vec<(SocketAddr, PeerTrouble)> {
        let dial_ms = config.dial_ms;
        let late = |t: &Target| matches!(t.state, State::Dialling(s) if now >= s.plus_ms(dial_ms));
        let late = self.0.iter().filter(|(_, target)| late(target)).map(|(addr, _)| *addr);
        let late: Vec<SocketAddr> = late.collect();
        let trouble = |addr| {
            let why = PeerTrouble::Unreachable(alloc::format!("no answer within {dial_ms} ms"));
            Some((addr, self.handle_trouble(now, addr, why, config)?))
        };
        late.into_iter().filter_map(trouble).collect()
    }

    /// The target is dialled again after a pause, if there is a point in it. The trouble is
    /// returned if it is news.
    pub(super) fn handle_trouble(
        &mut self,
        now: Time,
        addr: SocketAddr,
        why: PeerTrouble,
        config: &ServerConfig,
    ) -> Option<PeerTrouble> {
        let target = self.0.get_mut(&addr)?;
        if matches!(why, PeerTrouble::Itself) {
            target.state = State::Itself;
        } else {
            let refused = !matches!(why, PeerTrouble::Unreachable(_));
            target.wait(now, config, refused);
        }
        if target.noted.as_ref() == Some(&why) {
            return None;
        }
        target.noted = Some(why.clone());
        Some(why)
    }

    /// The connection `conn`, which this side made to `addr`, is over; `answered`: a server had
    /// named itself there. The trouble is returned if it is news.
    pub(super) fn handle_ended(
        &mut self,
        now: Time,
        (conn, addr): (ConnId, SocketAddr),
        answered: bool,
        config: &ServerConfig,
    ) -> Option<PeerTrouble> {
        let target = self.0.get_mut(&addr)?;
        if target.state != State::Up(conn) {
            return None;
        }
        if answered {
            target.wait(now, config, false);
            return None;
        }
        let silent = "it said nothing";
        // Where there was a server, its process is stopped, and the system takes the connection for
        // it.
        let why = match target.answered {
            Some(_) => PeerTrouble::Unreachable(silent.into()),
            None => PeerTrouble::NoServer(silent),
        };
        self.handle_trouble(now, addr, why, config)
    }

    /// The server that answered at `addr` is connected.
    pub(super) fn handle_answered(
        &mut self,
        addr: SocketAddr,
        server: (ServerId, u64),
        config: &ServerConfig,
    ) {
        if let Some(target) = self.0.get_mut(&addr) {
            target.answered = Some(server);
            target.pause_ms = config.redial_ms;
            target.noted = None;
        }
    }

    /// The server at `addr` is connected over another connection.
    pub(super) fn set_spare(&mut self, addr: SocketAddr) {
        if let Some(target) = self.0.get_mut(&addr) {
            target.state = State::Spare;
        }
    }

    /// The last connection to `server` is over: its spare addresses are dialled again.
    pub(super) fn use_spares(&mut self, now: Time, server: ServerId, config: &ServerConfig) {
        for target in self.0.values_mut() {
            let of_it = target.answered.is_some_and(|(other, _)| other == server);
            if target.state == State::Spare && of_it {
                target.wait(now, config, false);
            }
        }
    }

    /// Whether an address is being dialled of which it is not known whether a peer is there.
    pub(super) fn is_dialling_anew(&self) -> bool {
        self.0.values().any(Target::is_new)
    }

    /// When [`Dialler::poll_dial`] or [`Dialler::handle_timeout`] is due.
    pub(super) fn next_timeout(&self, config: &ServerConfig) -> Option<Time> {
        self.0.values().filter_map(|target| target.next_timeout(config)).min()
    }

    /// What became of each address.
    pub(super) fn status(&self) -> Listed<DialStatus> {
        Listed::new(&self.0, SERVERS_LISTED_MAX, |(addr, target)| target.status(*addr))
    }
}
