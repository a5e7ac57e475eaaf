//! Waiting for the sockets of a driver.

use core::time::Duration;
use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use vs_core::trace::Tracer;

use crate::driver::Driver;
use crate::shared::Bell;
use crate::udp::Which;

/// Waits until a socket is ready, `bell` is rung or `driver` has something to do, for at most `limit`, and tells the
/// driver what is ready. Looks again and again for `busy` before it sleeps. A signal ends the wait early.
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

/// Of so many turns of a busy wait one looks at all sockets; the others read the one for multicasts, which costs half
/// as much.
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
            // Whoever is to send what this waits for may need the core.
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
    let [multicast, unicast, stream, waker] = ready(driver, timeout.as_ref(), waker)?;
    if !multicast.is_empty() {
        driver.handle_udp(Which::Multicast);
    }
    if unicast.intersects(!PollFlags::OUT) {
        // What waits to be written is tried with every call of `advance`.
        driver.handle_udp(Which::Unicast);
    }
    if !stream.is_empty() {
        let ended = stream.intersects(PollFlags::ERR | PollFlags::HUP);
        let readable = ended || stream.contains(PollFlags::IN);
        driver.handle_stream(readable, ended || stream.contains(PollFlags::OUT));
    }
    let is_ready = !(multicast | unicast | stream).is_empty();
    Ok(Looked { is_ready, is_woken: !waker.is_empty() })
}

/// What the multicast socket, the unicast socket, the connection and the waker are ready for.
fn ready<T: Tracer>(
    driver: &Driver<T>,
    timeout: Option<&Timespec>,
    waker: Option<BorrowedFd<'_>>,
) -> io::Result<[PollFlags; 4]> {
    let interest = |write| if write { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    let Some(unicast) = driver.udp_socket(Which::Unicast) else {
        return Ok([PollFlags::empty(); 4]);
    };
    let multicast = driver.udp_socket(Which::Multicast);
    // Whoever is not there has a stand-in of which nothing is asked, and whose answer does not count.
    let stand_in = || PollFd::new(unicast, PollFlags::empty());
    let stream = driver.stream();
    let mut fds = [
        multicast.map_or_else(stand_in, |multicast| PollFd::new(multicast, PollFlags::IN)),
        PollFd::new(unicast, interest(driver.has_udp_waiting())),
        stream.map_or_else(stand_in, |stream| {
            PollFd::new(stream, interest(driver.has_stream_waiting()))
        }),
        waker.map_or_else(stand_in, |waker| PollFd::from_borrowed_fd(waker, PollFlags::IN)),
    ];
    match poll(&mut fds, timeout) {
        Err(Errno::INTR) => return Ok([PollFlags::empty(); 4]),
        result => result?,
    };
    let mut ready = fds.map(|fd| fd.revents());
    let are_there = [multicast.is_some(), true, stream.is_some(), waker.is_some()];
    for (flags, is_there) in ready.iter_mut().zip(are_there) {
        if !is_there {
            *flags = PollFlags::empty();
        }
    }
    Ok(ready)
}
