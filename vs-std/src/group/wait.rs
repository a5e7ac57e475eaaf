//! Waiting for the sockets of a driver.

use core::time::Duration;
use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use smallvec::SmallVec;
use vs_core::trace::Tracer;

use crate::bell::Bell;
use crate::driver::Driver;
use crate::embedded::EmbeddedServer;
use crate::server::Source;
use crate::udp::Which;

/// Waits until a socket is ready, `bell` is rung or `driver` has something to do, for at most
/// `limit`, and tells the driver what is ready. Looks again and again for `busy` before it sleeps.
/// A signal ends the wait early.
pub(crate) fn wait<T: Tracer>(
    driver: &mut Driver<T>,
    limit: Option<Duration>,
    busy: Duration,
    bell: Option<&Bell>,
) -> io::Result<()> {
    let timeout = driver.timeout().into_iter().chain(limit).min();
    if !busy.is_zero() && timeout != Some(Duration::ZERO) {
        let busy = timeout.map_or(busy, |timeout| timeout.min(busy));
        if spin(driver, busy, bell)? || timeout == Some(busy) {
            return Ok(());
        }
    }
    let timeout = timeout.map(|timeout| timeout.saturating_sub(busy));
    let Some(bell) = bell.filter(|_| timeout != Some(Duration::ZERO)) else {
        return look(driver, timeout, None).map(drop);
    };
    if !bell.fall_asleep() {
        return look(driver, Some(Duration::ZERO), None).map(drop);
    }
    let result = look(driver, timeout, Some(bell.waker()));
    bell.wake_up(result.as_ref().is_ok_and(|looked| looked.is_woken));
    result.map(drop)
}

/// One turn in N of a busy wait looks at all sockets. The others read the one for multicasts, which
/// costs half as much.
const TURNS_PER_LOOK: u32 = 16;

/// Looks at the sockets for `busy`; whether something came, or `bell` was rung.
fn spin<T: Tracer>(
    driver: &mut Driver<T>,
    busy: Duration,
    bell: Option<&Bell>,
) -> io::Result<bool> {
    let begun = driver.now();
    for turn in (0..TURNS_PER_LOOK).cycle() {
        let came = if turn == 0 {
            // The process that this one waits for may need the core.
            std::thread::yield_now();
            look(driver, Some(Duration::ZERO), None)?.is_ready
        } else {
            driver.read_multicasts()
        };
        if came || bell.is_some_and(Bell::is_rung) {
            return Ok(true);
        }
        // Of the look at the clock that reading took.
        if Duration::from_nanos(driver.recent() - begun) >= busy {
            break;
        }
    }
    Ok(false)
}

struct Looked {
    is_ready: bool,
    is_woken: bool,
}

/// Waits for at most `timeout` and tells the driver what is ready.
fn look<T: Tracer>(
    driver: &mut Driver<T>,
    timeout: Option<Duration>,
    waker: Option<BorrowedFd<'_>>,
) -> io::Result<Looked> {
    // A time that does not fit is as good as none.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let ready = ready(driver, timeout.as_ref(), waker)?;
    let mut looked = Looked { is_ready: false, is_woken: false };
    for (socket, flags) in ready {
        let ended = flags.intersects(PollFlags::ERR | PollFlags::HUP);
        let readable = ended || flags.contains(PollFlags::IN);
        let writable = ended || flags.contains(PollFlags::OUT);
        match socket {
            // What waits to be written is tried with every call of `advance`.
            Socket::Udp(which) if readable => driver.handle_udp(which),
            Socket::Udp(_) => {}
            Socket::Stream => driver.handle_stream(readable, writable),
            Socket::Embedded(source) => driver.handle_embedded(source, readable, writable),
            Socket::Waker => {
                looked.is_woken = true;
                continue;
            }
        }
        looked.is_ready = true;
    }
    Ok(looked)
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
enum Socket {
    Udp(Which),
    Stream,
    Embedded(Source),
    Waker,
}

/// Sockets of a driver whose list needs no allocation: all without a server inside, and with it
/// some ten peers.
const SOCKETS: usize = 24;

/// What is ready, and how.
fn ready<T: Tracer>(
    driver: &Driver<T>,
    timeout: Option<&Timespec>,
    waker: Option<BorrowedFd<'_>>,
) -> io::Result<SmallVec<[(Socket, PollFlags); SOCKETS]>> {
    let interest = |write| if write { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    let mut sockets = SmallVec::<[Socket; SOCKETS]>::new();
    let mut fds = SmallVec::<[PollFd<'_>; SOCKETS]>::new();
    let mut wait_for = |socket, fd| {
        sockets.push(socket);
        fds.push(fd);
    };
    for which in [Which::Multicast, Which::Unicast] {
        if let Some(socket) = driver.udp_socket(which) {
            let write = which == Which::Unicast && driver.has_udp_waiting();
            wait_for(Socket::Udp(which), PollFd::new(socket, interest(write)));
        }
    }
    if let Some(stream) = driver.stream() {
        wait_for(Socket::Stream, PollFd::new(stream, interest(driver.has_stream_waiting())));
    }
    if let Some(waker) = waker {
        wait_for(Socket::Waker, PollFd::from_borrowed_fd(waker, PollFlags::IN));
    }
    if let Some(server) = driver.embedded().map(EmbeddedServer::driver) {
        if !server.is_accepting() {
            let fd = PollFd::new(server.listener(), PollFlags::IN);
            wait_for(Socket::Embedded(Source::Listener), fd);
        }
        if let Some(beacons) = server.beacons() {
            let fd = PollFd::new(beacons.socket(), PollFlags::IN);
            wait_for(Socket::Embedded(Source::Beacons), fd);
        }
        for (slot, stream, write) in server.connections() {
            let fd = PollFd::new(stream, interest(write));
            wait_for(Socket::Embedded(Source::Connection(slot)), fd);
        }
    }
    let polled = match poll(&mut fds, timeout) {
        Err(Errno::INVAL) => poll_in_parts(&mut fds, timeout),
        polled => polled.map(drop),
    };
    match polled {
        Err(Errno::INTR) => return Ok(SmallVec::new()),
        polled => polled?,
    }
    let all = sockets.into_iter().zip(fds.iter().map(PollFd::revents));
    Ok(all.filter(|(_, flags)| !flags.is_empty()).collect())
}

/// How often all sockets are looked at by a process that may not wait for all of them.
const PART: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// The system lets nobody wait for more files than the process may open. If that limit was lowered
/// below what is open, as many as it allows are looked at together.
fn poll_in_parts(fds: &mut [PollFd<'_>], timeout: Option<&Timespec>) -> Result<(), Errno> {
    let mut timeout = timeout.map_or(PART, |timeout| (*timeout).min(PART));
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit == 0 {
        return poll(&mut [], Some(&timeout)).map(drop);
    }
    for part in fds.chunks_mut(limit) {
        poll(part, Some(&timeout))?;
        timeout = Timespec::default();
    }
    Ok(())
}
