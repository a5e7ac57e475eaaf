//! Waiting for the sockets of a driver.

use core::time::Duration;
use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use vs_core::trace::Tracer;

use crate::driver::Driver;
use crate::udp::Which;

/// Waits until a socket is ready or `driver` has something to do, for at most `limit`, and tells the driver what is
/// ready. Looks again and again for `busy` before it sleeps. A signal ends the wait early.
pub(crate) fn wait<T: Tracer>(
    driver: &mut Driver<T>,
    limit: Option<Duration>,
    busy: Duration,
) -> io::Result<()> {
    let timeout = driver.timeout().into_iter().chain(limit).min();
    if !busy.is_zero() && timeout != Some(Duration::ZERO) {
        let busy = timeout.map_or(busy, |timeout| timeout.min(busy));
        if spin(driver, busy)? || timeout == Some(busy) {
            return Ok(());
        }
    }
    let timeout = timeout.map(|timeout| timeout.saturating_sub(busy));
    look(driver, timeout).map(drop)
}

/// Looks at the sockets for `busy`; whether one is ready.
fn spin<T: Tracer>(driver: &mut Driver<T>, busy: Duration) -> io::Result<bool> {
    let begun = driver.now();
    loop {
        if look(driver, Some(Duration::ZERO))? {
            return Ok(true);
        }
        if Duration::from_nanos(driver.now() - begun) >= busy {
            return Ok(false);
        }
        core::hint::spin_loop();
    }
}

/// Waits for at most `timeout` and tells the driver what is ready; whether anything is.
fn look<T: Tracer>(driver: &mut Driver<T>, timeout: Option<Duration>) -> io::Result<bool> {
    // A time that does not fit is as good as none.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let [multicast, unicast, stream] = ready(driver, timeout.as_ref())?;
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
    Ok(!(multicast | unicast | stream).is_empty())
}

/// What the multicast socket, the unicast socket and the connection are ready for.
fn ready<T: Tracer>(driver: &Driver<T>, timeout: Option<&Timespec>) -> io::Result<[PollFlags; 3]> {
    let interest = |write| if write { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    let unicast = driver.udp_socket(Which::Unicast);
    let multicast = PollFd::new(driver.udp_socket(Which::Multicast), PollFlags::IN);
    let unicast = PollFd::new(unicast, interest(driver.has_udp_waiting()));
    let result = match driver.stream() {
        Some(stream) => {
            let stream = PollFd::new(stream, interest(driver.has_stream_waiting()));
            let mut fds = [multicast, unicast, stream];
            poll(&mut fds, timeout).map(|_| fds.map(|fd| fd.revents()))
        }
        None => {
            let mut fds = [multicast, unicast];
            poll(&mut fds, timeout)
                .map(|_| [fds[0].revents(), fds[1].revents(), PollFlags::empty()])
        }
    };
    match result {
        Err(Errno::INTR) => Ok([PollFlags::empty(); 3]),
        result => Ok(result?),
    }
}
