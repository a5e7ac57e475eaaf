//! Names of membership servers, and looking them up without holding up the protocol.

use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Instant;

/// Lookups of this process that may be under way at a time. Each has a thread of its own, since the
/// system's lookup blocks.
const LOOKUPS_MAX: usize = 16;

/// A loop looks whether a lookup has ended after this part of the time that the lookup has taken,
/// within the following bounds: soon where the answer is near, and seldom where it takes seconds.
const LOOK_PART: u32 = 8;
/// The shortest pause between two such looks.
const LOOK_MIN: Duration = Duration::from_millis(1);
/// The longest pause.
const LOOK_MAX: Duration = Duration::from_millis(100);

/// How long names that come first are waited for, when a later one has been found already.
const EARLIER_WAIT: Duration = Duration::from_millis(500);

static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

/// Where a membership server is: a socket address, or a host name with a port (`HOST:PORT`). A name
/// is looked up at each attempt to connect, so a server may move to another address under its name.
/// Each address of a name is tried in turn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName(Kind);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Addr(SocketAddr),
    Host(String, u16),
}

/// A text does not name a membership server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerNameError;

impl fmt::Display for ServerNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it does not name a host and a port: write it as HOST:PORT")
    }
}

impl core::error::Error for ServerNameError {}

impl ServerName {
    /// The address, if it is one and not a host name.
    #[must_use]
    pub fn as_addr(&self) -> Option<SocketAddr> {
        match self.0 {
            Kind::Addr(addr) => Some(addr),
            Kind::Host(..) => None,
        }
    }

    /// Looks the name up, and waits for it. Addresses of IPv4 come first.
    ///
    /// # Errors
    /// The system's.
    pub fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        let mut found: Vec<_> = match &self.0 {
            Kind::Addr(addr) => return Ok(vec![*addr]),
            Kind::Host(host, port) => (host.as_str(), *port).to_socket_addrs()?.collect(),
        };
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        found.sort_by_key(SocketAddr::is_ipv6);
        found.dedup();
        Ok(found)
    }

    /// Looks all of `names` up at the same time, and waits for at most `limit`: the addresses of
    /// the first one of them that has any.
    ///
    /// # Errors
    /// The system's answer about the first one; [`io::ErrorKind::TimedOut`] if there is none yet.
    pub fn look_up_any(names: &[Self], limit: Duration) -> io::Result<Vec<SocketAddr>> {
        let (tell, answers) = sync_channel(names.len());
        for (at, name) in names.iter().cloned().enumerate() {
            if let Some(addr) = name.as_addr() {
                let _ = tell.send((at, Ok(vec![addr]))); // there is room for all
            } else {
                Lookup::start(at, move || name.look_up(), &tell);
            }
        }
        drop(tell);
        first_found(names.len(), &answers, limit)
    }
}

/// Longest time for which lookups are waited for: a day.
const LIMIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What a lookup found, and the position of its name.
type Answer = (usize, io::Result<Vec<SocketAddr>>);

/// The answer of the first name that has one, of `count` names.
fn first_found(
    count: usize,
    answers: &Receiver<Answer>,
    limit: Duration,
) -> io::Result<Vec<SocketAddr>> {
    let mut until = Instant::now() + limit.min(LIMIT_MAX);
    let mut failures: Vec<Option<io::Error>> = (0..count).map(|_| None).collect();
    let mut found: Option<(usize, Vec<SocketAddr>)> = None;
    loop {
        let failed = failures.iter().take_while(|failure| failure.is_some()).count();
        match found {
            Some((at, addrs)) if at == failed => return Ok(addrs),
            _ if failed == count => break,
            _ => {}
        }
        match answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((at, Err(error))) => failures[at] = Some(error),
            Ok((at, Ok(addrs))) => {
                until = until.min(Instant::now() + EARLIER_WAIT);
                if found.as_ref().is_none_or(|(best, _)| at < *best) {
                    found = Some((at, addrs));
                }
            }
            Err(_) => match found {
                Some((_, addrs)) => return Ok(addrs),
                None => break,
            },
        }
    }
    let first = failures.into_iter().next().flatten();
    Err(first.unwrap_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
}

impl From<SocketAddr> for ServerName {
    fn from(addr: SocketAddr) -> Self {
        Self(Kind::Addr(addr))
    }
}

impl FromStr for ServerName {
    type Err = ServerNameError;

    fn from_str(text: &str) -> Result<Self, ServerNameError> {
        if let Ok(addr) = text.parse() {
            return Ok(Self(Kind::Addr(addr)));
        }
        let (host, port) = text.rsplit_once(':').ok_or(ServerNameError)?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().map_err(|_| ServerNameError)?;
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(ServerNameError);
        }
        Ok(Self(Kind::Host(host.to_owned(), port)))
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Addr(addr) => addr.fmt(f),
            Kind::Host(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Kind::Host(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// A lookup that is under way in a thread of its own.
#[derive(Debug)]
pub(crate) struct Lookup {
    answer: Receiver<Answer>,
    begun: Instant,
}

impl Lookup {
    /// Begins to look `name` up. It fails where the system has no thread for it, or [`LOOKUPS_MAX`]
    /// are under way.
    pub(crate) fn begin(name: &ServerName) -> Self {
        let name = name.clone();
        Self::of(move || name.look_up())
    }

    fn of(look_up: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static) -> Self {
        let (tell, answer) = sync_channel(1);
        Self::start(0, look_up, &tell);
        Self { answer, begun: Instant::now() }
    }

    /// Looks up in a thread of its own, and tells `tell`, which has room for the answer.
    fn start(
        at: usize,
        look_up: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
        tell: &SyncSender<Answer>,
    ) {
        let started = Place::take().and_then(|place| {
            let tell = tell.clone();
            thread::Builder::new().name("vs-lookup".into()).spawn(move || {
                // Given back when the lookup has ended, whoever waits for its answer.
                let _place = place;
                // Nobody may wait for it any more.
                let _ = tell.send((at, look_up()));
            })
        });
        if let Err(error) = started {
            let _ = tell.send((at, Err(error)));
        }
    }

    /// The answer, once it is there.
    pub(crate) fn poll(&self) -> Option<io::Result<Vec<SocketAddr>>> {
        match self.answer.try_recv() {
            Ok((_, answer)) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                Some(Err(io::Error::other("the lookup of the name panicked")))
            }
        }
    }

    /// How long a loop may wait before it polls again.
    pub(crate) fn timeout(&self) -> Duration {
        pause(self.begun.elapsed())
    }
}

/// The pause between two looks at a lookup that has taken `elapsed`.
fn pause(elapsed: Duration) -> Duration {
    (elapsed / LOOK_PART).clamp(LOOK_MIN, LOOK_MAX)
}

/// One of [`LOOKUPS_MAX`].
struct Place;

impl Place {
    fn take() -> io::Result<Self> {
        let taken = |n: usize| (n < LOOKUPS_MAX).then_some(n + 1);
        match LOOKUPS.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken) {
            Ok(_) => Ok(Self),
            Err(_) => Err(io::Error::other("too many lookups of names are under way")),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        LOOKUPS.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(lookup: &Lookup) -> io::Result<Vec<SocketAddr>> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(answer) = lookup.poll() {
                return answer;
            }
            assert!(Instant::now() < until, "the lookup does not end");
            thread::yield_now();
        }
    }

    #[test]
    fn names_and_addresses_are_read_and_shown() {
        for text in ["127.0.0.1:7000", "[::1]:7000", "localhost:7000", "a-b.example.com:1"] {
            let name: ServerName = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
        }
        assert!("127.0.0.1:7000".parse::<ServerName>().unwrap().as_addr().is_some());
        assert!("localhost:7000".parse::<ServerName>().unwrap().as_addr().is_none());
        for text in ["", "localhost", ":7000", "localhost:", "localhost:70000", "a b:1"] {
            assert_eq!(text.parse::<ServerName>(), Err(ServerNameError), "{text:?}");
        }
    }

    #[test]
    fn a_name_is_looked_up_beside_the_protocol() {
        let lookup = Lookup::begin(&"localhost:7000".parse().unwrap());
        let found = answer(&lookup).unwrap();
        assert!(found.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 7000));
        assert!(found.is_sorted_by_key(SocketAddr::is_ipv6));
        let lookup = Lookup::of(|| panic!("as a resolver may"));
        assert!(answer(&lookup).is_err());
    }

    #[test]
    fn a_lookup_of_seconds_wakes_the_loop_seldom() {
        let (mut elapsed, mut looks) = (Duration::ZERO, 0);
        while elapsed < Duration::from_secs(5) {
            elapsed += pause(elapsed);
            looks += 1;
        }
        assert!(looks < 100, "{looks}");
        assert_eq!(pause(Duration::ZERO), LOOK_MIN);
    }

    #[test]
    fn of_several_names_the_first_that_is_known_is_taken() {
        let known: SocketAddr = ([127, 0, 0, 1], 7001).into();
        let names = ["vs-nobody.invalid:7000", "127.0.0.1:7001", "127.0.0.1:7002"];
        let names = names.map(|name| name.parse::<ServerName>().unwrap());
        let limit = Duration::from_secs(60);
        assert_eq!(ServerName::look_up_any(&names, limit).unwrap(), [known]);
        let error = ServerName::look_up_any(&names[..1], limit).unwrap_err();
        assert_ne!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_name_whose_lookup_hangs_does_not_hide_another() {
        let addr: SocketAddr = ([127, 0, 0, 1], 7001).into();
        // The other end stays, as that of a resolver that says nothing.
        let (tell, answers) = sync_channel(2);
        let limit = Duration::from_millis(10);
        assert_eq!(first_found(2, &answers, limit).unwrap_err().kind(), io::ErrorKind::TimedOut);
        tell.send((1, Ok(vec![addr]))).unwrap();
        assert_eq!(first_found(2, &answers, limit).unwrap(), [addr]);
    }
}
