//! Names of membership servers, and looking them up without holding up the protocol.

use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

/// Lookups of this process that may be under way at a time. Each has a thread of its own, since the
/// system's lookup blocks.
const LOOKUPS_MAX: usize = 16;

/// How often a loop looks whether a lookup has ended.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(10);

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
    answer: Receiver<io::Result<Vec<SocketAddr>>>,
}

impl Lookup {
    /// Begins to look `name` up. It fails where the system has no thread for it, or [`LOOKUPS_MAX`]
    /// are under way.
    pub(crate) fn begin(name: &ServerName) -> Self {
        let begun = Place::take().and_then(|place| {
            let name = name.clone();
            Self::spawn(move || {
                // Given back when the lookup has ended, whoever waits for its answer.
                let _place = place;
                name.look_up()
            })
        });
        begun.unwrap_or_else(|error| Self::ended(Err(error)))
    }

    fn spawn(
        look_up: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
    ) -> io::Result<Self> {
        let (tell, answer) = sync_channel(1);
        thread::Builder::new().name("vs-lookup".into()).spawn(move || {
            // Nobody may wait for it any more.
            let _ = tell.send(look_up());
        })?;
        Ok(Self { answer })
    }

    /// A lookup that has ended.
    fn ended(answer: io::Result<Vec<SocketAddr>>) -> Self {
        let (tell, receiver) = sync_channel(1);
        // There is room for one.
        let _ = tell.send(answer);
        Self { answer: receiver }
    }

    /// The answer, once it is there.
    pub(crate) fn poll(&self) -> Option<io::Result<Vec<SocketAddr>>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                Some(Err(io::Error::other("the lookup of the name panicked")))
            }
        }
    }
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
    use std::time::Instant;

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
        let lookup = Lookup::spawn(|| panic!("as a resolver may")).unwrap();
        assert!(answer(&lookup).is_err());
    }
}
