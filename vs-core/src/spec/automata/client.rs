//! CLIENT: the application's side of the block contract (S21).

use alloc::collections::BTreeMap;
use alloc::format;

use super::{Step, demand};
use crate::ident::ProcessId;

/// Whether an application may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Block {
    /// It may.
    #[default]
    Unblocked,
    /// It may, and was asked to stop.
    Requested,
    /// It has stopped, until the next view.
    Blocked,
}

/// The block contract at each process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Client {
    status: BTreeMap<ProcessId, Block>,
}

const NAME: &str = "CLIENT";

impl Client {
    /// Where `p` is.
    #[must_use]
    pub fn status(&self, p: ProcessId) -> Block {
        self.status.get(&p).copied().unwrap_or_default()
    }

    fn demand(&self, p: ProcessId, rule: &'static str, holds: bool) -> Step {
        demand(NAME, rule, holds, || format!("{p} is {:?}", self.status(p)))
    }

    /// `block_p()`.
    ///
    /// # Errors
    /// It is not unblocked.
    pub fn block(&mut self, p: ProcessId) -> Step {
        self.demand(p, "S21, block only when unblocked", self.status(p) == Block::Unblocked)?;
        self.status.insert(p, Block::Requested);
        Ok(())
    }

    /// `block_ok_p()`.
    ///
    /// # Errors
    /// Nobody asked.
    pub fn block_ok(&mut self, p: ProcessId) -> Step {
        self.demand(p, "S21, block_ok only when asked", self.status(p) == Block::Requested)?;
        self.status.insert(p, Block::Blocked);
        Ok(())
    }

    /// `send_p(m)`.
    ///
    /// # Errors
    /// It has stopped.
    pub fn send(&self, p: ProcessId) -> Step {
        self.demand(p, "S21, no send from block_ok to the view", self.status(p) != Block::Blocked)
    }

    /// `view_p(v, T)`, or a life begins or ends: it may send again.
    pub fn unblock(&mut self, p: ProcessId) {
        self.status.remove(&p);
    }
}
