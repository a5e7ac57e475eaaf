//! How the thread that carries the protocol is woken.

use core::sync::atomic::{AtomicU8, Ordering};
use std::io;

use rustix::fd::{AsFd, BorrowedFd};

/// The thread is at work, and has seen all that was rung for.
const AWAKE: u8 = 0;
/// There is something that it has not seen.
const RUNG: u8 = 1;
/// It waits for its sockets, and for the waker.
const ASLEEP: u8 = 2;

/// Rung by those who left something for the thread. Costs a system call only if the thread sleeps.
///
/// What was done before [`Bell::ring`] is seen after the next [`Bell::answer`]; and after a ring that no answer follows,
/// [`Bell::fall_asleep`] fails.
#[derive(Debug)]
pub(crate) struct Bell {
    state: AtomicU8,
    waker: Waker,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { state: AtomicU8::new(AWAKE), waker: Waker::new()? })
    }

    pub(crate) fn ring(&self) {
        if self.state.swap(RUNG, Ordering::AcqRel) == ASLEEP {
            self.waker.wake();
        }
    }

    /// The thread is going to look at everything.
    pub(crate) fn answer(&self) {
        self.state.swap(AWAKE, Ordering::AcqRel);
    }

    pub(crate) fn is_rung(&self) -> bool {
        self.state.load(Ordering::Relaxed) == RUNG
    }

    /// Whether the thread may wait for [`Bell::waker`] and its sockets; then [`Bell::wake_up`] has to follow.
    pub(crate) fn fall_asleep(&self) -> bool {
        let exchange =
            |from, to| self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
        exchange(AWAKE, ASLEEP).is_ok()
    }

    /// `woken`: the waker was readable.
    pub(crate) fn wake_up(&self, woken: bool) {
        if woken {
            self.waker.clear();
        }
        // A ring stays to be answered.
        let _ = self.state.compare_exchange(ASLEEP, AWAKE, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Readable when the bell was rung in the sleep.
    pub(crate) fn waker(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }
}

#[cfg(target_os = "linux")]
type Waker = Counter;
#[cfg(not(target_os = "linux"))]
type Waker = Loopback;

/// An eventfd: one descriptor, 8 bytes.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Counter(rustix::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Counter {
    fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    fn wake(&self) {
        // It fails only when it has been rung 2^64 times, and then it is readable.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    fn clear(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

#[cfg(target_os = "linux")]
impl AsFd for Counter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A socket that sends to itself, where there is no eventfd.
#[cfg(any(test, not(target_os = "linux")))]
#[derive(Debug)]
struct Loopback(std::net::UdpSocket);

#[cfg(any(test, not(target_os = "linux")))]
impl Loopback {
    fn new() -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((core::net::Ipv4Addr::LOCALHOST, 0))?;
        // Nobody else is heard.
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    fn wake(&self) {
        // It fails only when the buffer is full, and then it is readable.
        let _ = self.0.send(&[0]);
    }

    fn clear(&self) {
        while self.0.recv(&mut [0]).is_ok() {}
    }
}

#[cfg(any(test, not(target_os = "linux")))]
impl AsFd for Loopback {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn is_readable(fd: BorrowedFd<'_>, wait_s: i64) -> bool {
        let timeout = Timespec { tv_sec: wait_s, tv_nsec: 0 };
        poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&timeout)).unwrap() == 1
    }

    #[test]
    fn a_ring_is_not_slept_through() {
        let bell = Bell::new().unwrap();
        bell.ring();
        assert!(bell.is_rung() && !bell.fall_asleep());
        assert!(!is_readable(bell.waker(), 0), "no system call for a thread that is awake");
        bell.answer();
        assert!(!bell.is_rung() && bell.fall_asleep());
        bell.ring();
        bell.ring();
        assert!(is_readable(bell.waker(), 60));
        bell.wake_up(true);
        assert!(!is_readable(bell.waker(), 0));
        assert!(!bell.fall_asleep(), "it was not answered");
        bell.answer();
        assert!(bell.fall_asleep());
        bell.wake_up(false);
        assert!(bell.fall_asleep());
    }

    #[test]
    fn a_socket_does_where_there_is_no_eventfd() {
        let waker = Loopback::new().unwrap();
        assert!(!is_readable(waker.as_fd(), 0));
        waker.wake();
        waker.wake();
        assert!(is_readable(waker.as_fd(), 60));
        waker.clear();
        assert!(!is_readable(waker.as_fd(), 0));
    }
}
