//! The process that a handle belongs to.

use rustix::process::{Pid, getpid};

/// The process that opened the sockets of a group. After a fork the child has them, too, and all
/// that was known; if both went on, the group would hear two members under one id. So the parent's
/// handle goes on, and the child's is dead.
///
/// A look is a system call of some 50 ns, made where others are made anyway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner(Pid);

impl Owner {
    /// This process.
    pub(crate) fn here() -> Self {
        Self(getpid())
    }

    /// Whether this is another process: one that was forked since.
    pub(crate) fn is_elsewhere(self) -> bool {
        getpid() != self.0
    }
}
