//! A descriptor by which an event loop learns that there is something to take.

use std::io;
use std::sync::Arc;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::bell::{Signal, Waker};
use crate::owner::Owner;

/// A descriptor that is readable while there is something to take, and once nothing more will come:
/// for `poll`, `epoll`, `kqueue`, and for the event loops that are built on them.
///
/// It is level-triggered, and only to be waited for: do not read from it or write to it. Whoever
/// takes the last thing that is there ends the readiness, through whatever clone and by whatever
/// method. So a loop that found it readable should take what is there without waiting, and expect
/// that another thread was quicker.
///
/// Clones share one descriptor. It stays open while one of them or a handle lives, and stays
/// readable after the end. It belongs to the process that asked for it: after a fork the child asks
/// again.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Waker>);

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Readiness {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Holds the descriptor, once somebody has asked for it. It lies under the lock of what it tells
/// about, so that it never says something else.
#[derive(Debug, Default)]
pub(crate) struct Ready(Option<Made>);

#[derive(Debug)]
struct Made {
    waker: Arc<Waker>,
    is_readable: bool,
    /// A child has the descriptor of its parent, and must not change what that says.
    owner: Owner,
}

impl Ready {
    /// The descriptor; it is made when it is asked for first.
    pub(crate) fn get(&mut self, is_something_there: bool) -> io::Result<Readiness> {
        match &self.0 {
            Some(made) if !made.owner.is_elsewhere() => Ok(Readiness(Arc::clone(&made.waker))),
            _ => {
                let waker = Arc::new(Waker::new()?);
                let readiness = Readiness(Arc::clone(&waker));
                self.0 = Some(Made { waker, is_readable: false, owner: Owner::here() });
                self.set(is_something_there);
                Ok(readiness)
            }
        }
    }

    /// Costs a system call only if there is a descriptor, and it said something else.
    pub(crate) fn set(&mut self, is_something_there: bool) {
        let Some(made) = &mut self.0 else { return };
        if made.is_readable == is_something_there || made.owner.is_elsewhere() {
            return;
        }
        made.is_readable = is_something_there;
        if is_something_there {
            made.waker.wake();
        } else {
            made.waker.clear();
        }
    }
}

#[cfg(test)]
pub(crate) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&now)).unwrap() == 1
}
