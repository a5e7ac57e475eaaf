//! Where connections arrive, and what is done when the system has no room for one.

use core::net::SocketAddr;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};

use vs_core::Time;

/// Pause after the system had no room for a connection, in ms.
const PAUSE_MS: u64 = 100;
/// Connections that may wait in the system to be accepted, if its own limit allows. Beyond, who
/// connects has to try again, which it does after a second.
const WAITING_MAX: i32 = 4096;
/// Least time between two words on that, in ms.
const TELL_MS: u64 = 1000;

/// A listener that remembers whether connections wait.
#[derive(Debug)]
pub(super) struct Listen {
    listener: TcpListener,
    /// There may be more connections to accept.
    is_ready: bool,
    /// Nothing is accepted before.
    from: Time,
    errors: u64,
    /// Why a connection could not be accepted, until it is told.
    failure: Option<io::Error>,
    /// That was told since the last connection was accepted.
    told: bool,
    /// It is not told again before.
    tell_from: Time,
}

impl Listen {
    pub(super) fn at(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            listener: bind(addr)?,
            is_ready: true,
            from: Time::ZERO,
            errors: 0,
            failure: None,
            told: false,
            tell_from: Time::ZERO,
        })
    }

    /// Connections arrive at another address, where `listener` is from [`bind`].
    pub(super) fn move_to(&mut self, listener: TcpListener) {
        (self.listener, self.is_ready) = (listener, true);
    }

    pub(super) fn socket(&self) -> &TcpListener {
        &self.listener
    }

    pub(super) fn handle_ready(&mut self) {
        self.is_ready = true;
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.is_ready.then_some(self.from)
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors
    }

    pub(super) fn poll_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// The next connection that waits, if the system has room for it.
    pub(super) fn accept(&mut self, now: Time) -> Option<(TcpStream, SocketAddr)> {
        while self.is_ready && now >= self.from {
            match self.listener.accept() {
                Ok(accepted) => {
                    self.told = false;
                    return Some(accepted);
                }
                Err(error) => self.refused(now, error),
            }
        }
        None
    }

    fn refused(&mut self, now: Time, error: io::Error) {
        match error.kind() {
            ErrorKind::WouldBlock => self.is_ready = false,
            ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
            // No descriptors or no memory: others may end meanwhile.
            _ => {
                self.errors += 1;
                self.from = now.plus_ms(PAUSE_MS);
                if !self.told && now >= self.tell_from {
                    (self.failure, self.told) = (Some(error), true);
                    self.tell_from = now.plus_ms(TELL_MS);
                }
            }
        }
    }
}

/// A listener that nobody waits for.
pub(super) fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addr)?;
    rustix::net::listen(&listener, WAITING_MAX)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    #[test]
    fn refusal_of_the_system_is_told_once_until_one_is_accepted() {
        let mut listen = Listen::at((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let addr = listen.socket().local_addr().unwrap();
        let refuse = |listen: &mut Listen, ms| {
            let error = io::Error::from_raw_os_error(24);
            listen.refused(Time::from_millis(ms), error);
            listen.poll_failure().is_some()
        };
        assert!(refuse(&mut listen, 0));
        assert!(!refuse(&mut listen, 5000), "it was told");
        assert_eq!(listen.poll_timeout(), Some(Time::from_millis(5100)));

        let _client = TcpStream::connect(addr).unwrap();
        assert!(listen.accept(Time::from_millis(5000)).is_none(), "it pauses");
        assert!(listen.accept(Time::from_millis(6000)).is_some());
        assert!(refuse(&mut listen, 6000));
        let _client = TcpStream::connect(addr).unwrap();
        assert!(listen.accept(Time::from_millis(6100)).is_some());
        assert!(!refuse(&mut listen, 6200), "at most once a second");
        assert_eq!(listen.errors(), 4);
    }
}
