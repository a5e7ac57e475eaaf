//! How the thread that carries the protocol is woken.

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU8, Ordering};
use std::io;

#[cfg(loom)]
use loom::sync::atomic::{AtomicU8, Ordering};
use rustix::fd::{AsFd, BorrowedFd};

/// The thread is at work, and has seen all that was rung for.
const AWAKE: u8 = 0;
/// There is something that it has not seen.
const RUNG: u8 = 1;
/// It waits for its sockets, and for the waker.
const ASLEEP: u8 = 2;

/// What ends the sleep of the thread.
pub(crate) trait Signal {
    /// Ends the sleep, or the next one.
    fn wake(&self);

    /// The sleep has ended.
    fn clear(&self);
}

/// Rung by those who left something for the thread. Costs a system call only if the thread sleeps.
///
/// What was done before [`Bell::ring`] is seen after the next [`Bell::answer`]; and after a ring
/// that no answer follows, [`Bell::fall_asleep`] fails.
#[derive(Debug)]
pub(crate) struct Bell<W = Waker> {
    state: AtomicU8,
    waker: W,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self::with(Waker::new()?))
    }

    /// Readable when the bell was rung in the sleep.
    pub(crate) fn waker(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }
}

impl<W: Signal> Bell<W> {
    fn with(waker: W) -> Self {
        Self { state: AtomicU8::new(AWAKE), waker }
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

    /// Whether the thread may wait for the waker and its sockets; then [`Bell::wake_up`] has to
    /// follow.
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
}

#[cfg(target_os = "linux")]
pub(crate) type Waker = Counter;
#[cfg(not(target_os = "linux"))]
pub(crate) type Waker = Loopback;

/// An eventfd: one descriptor, 8 bytes.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct Counter(rustix::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Counter {
    pub(crate) fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }
}

#[cfg(target_os = "linux")]
impl Signal for Counter {
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
pub(crate) struct Loopback(std::net::UdpSocket);

#[cfg(any(test, not(target_os = "linux")))]
impl Loopback {
    pub(crate) fn new() -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((core::net::Ipv4Addr::LOCALHOST, 0))?;
        // Nobody else is heard.
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }
}

#[cfg(any(test, not(target_os = "linux")))]
impl Signal for Loopback {
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

#[cfg(all(test, not(loom)))]
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
    fn a_socket_wakes_where_there_is_no_eventfd() {
        let waker = Loopback::new().unwrap();
        assert!(!is_readable(waker.as_fd(), 0));
        waker.wake();
        waker.wake();
        assert!(is_readable(waker.as_fd(), 60));
        waker.clear();
        assert!(!is_readable(waker.as_fd(), 0));
    }
}

/// All orders in which the threads' steps can follow each other, and all values that they may see
/// by then: `RUSTFLAGS="--cfg loom" cargo test -p vs-std --lib --release bell`.
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::atomic::AtomicUsize;
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    use super::*;

    /// Preemptions in one order, where three threads take part.
    const PREEMPTIONS_MAX: usize = 2;

    /// An eventfd that loom sees through.
    #[derive(Debug, Default)]
    struct Modelled {
        is_readable: Mutex<bool>,
        changed: Condvar,
    }

    impl Modelled {
        /// As `poll` does: until it is readable.
        fn wait(&self) {
            let mut is_readable = self.is_readable.lock().unwrap();
            while !*is_readable {
                is_readable = self.changed.wait(is_readable).unwrap();
            }
        }
    }

    impl Signal for Modelled {
        fn wake(&self) {
            *self.is_readable.lock().unwrap() = true;
            self.changed.notify_one();
        }

        fn clear(&self) {
            *self.is_readable.lock().unwrap() = false;
        }
    }

    /// The thread sleeps until `ringers` have each left something and rung. A ring that is slept
    /// through is a deadlock, which loom reports; and so is something that was left and is not
    /// seen.
    fn everything_is_seen(ringers: usize) {
        let mut model = loom::model::Builder::new();
        // More threads have far more orders: those with few preemptions find what there is to find.
        model.preemption_bound = (ringers > 1).then_some(PREEMPTIONS_MAX);
        model.check(move || {
            let bell = Arc::new(Bell::with(Modelled::default()));
            let left = Arc::new(AtomicUsize::new(0));
            for _ in 0..ringers {
                let (bell, left) = (Arc::clone(&bell), Arc::clone(&left));
                thread::spawn(move || {
                    left.fetch_add(1, Ordering::Relaxed);
                    bell.ring();
                });
            }
            loop {
                bell.answer();
                if left.load(Ordering::Relaxed) == ringers {
                    return;
                }
                if bell.fall_asleep() {
                    bell.waker.wait();
                    bell.wake_up(true);
                }
            }
        });
    }

    #[test]
    fn a_ring_is_never_slept_through() {
        everything_is_seen(1);
    }

    #[test]
    fn rings_of_two_threads_are_all_seen() {
        everything_is_seen(2);
    }

    /// The sleep may also end because of a socket, just when somebody rings.
    #[test]
    fn a_ring_at_waking_up_is_seen() {
        loom::model(|| {
            let bell = Arc::new(Bell::with(Modelled::default()));
            let left = Arc::new(AtomicUsize::new(0));
            let ringer = {
                let (bell, left) = (Arc::clone(&bell), Arc::clone(&left));
                thread::spawn(move || {
                    left.store(1, Ordering::Relaxed);
                    bell.ring();
                })
            };
            bell.answer();
            if bell.fall_asleep() {
                // A socket was ready.
                bell.wake_up(false);
            }
            loop {
                bell.answer();
                if left.load(Ordering::Relaxed) == 1 {
                    break;
                }
                if bell.fall_asleep() {
                    bell.waker.wait();
                    bell.wake_up(true);
                }
            }
            ringer.join().unwrap();
        });
    }
}
