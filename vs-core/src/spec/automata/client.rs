//! CLIENT: the application's side of the block contract (S21).

use alloc::collections::BTreeMap;
use alloc::format;

use super::{Step, demand};
use crate::ident::ProcessId;
use crate::trace::BlockState;

/// The block contract at each process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Client {
    status: BTreeMap<ProcessId, BlockState>,
}

const NAME: &str = "CLIENT";

impl Client {
    /// Where `p` is.
    #[must_use]
    pub fn status(&self, p: ProcessId) -> BlockState {
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
        self.demand(p, "S21, block only when unblocked", self.status(p) == BlockState::Unblocked)?;
        self.status.insert(p, BlockState::Requested);
        Ok(())
    }

    /// `block_ok_p()`.
    ///
    /// # Errors
    /// Nobody asked.
    pub fn block_ok(&mut self, p: ProcessId) -> Step {
        self.demand(p, "S21, block_ok only when asked", self.status(p) == BlockState::Requested)?;
        self.status.insert(p, BlockState::Blocked);
        Ok(())
    }

    /// `send_p(m)`.
    ///
    /// # Errors
    /// It has stopped.
    pub fn send(&self, p: ProcessId) -> Step {
        self.demand(
            p,
            "S21, no send from block_ok to the view",
            self.status(p) != BlockState::Blocked,
        )
    }

    /// `view_p(v, T)`, or an incarnation begins or ends: it may send again.
    pub fn unblock(&mut self, p: ProcessId) {
        self.status.remove(&p);
    }
}
