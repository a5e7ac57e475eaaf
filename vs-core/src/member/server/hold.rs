//! Clients that wait until the server has looked for others.

use alloc::vec::Vec;

use super::conn_id::ConnId;
use super::group::Local;
use crate::ident::GroupName;
use crate::member::past::Past;

/// Most requests that wait; those beyond are told to come back.
const HELD_MAX: usize = 256;

/// A request to attach that waits.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) group: GroupName,
    pub(super) local: Local,
    pub(super) past: Past,
}

/// Requests to attach that wait until the server has settled.
#[derive(Debug, Default)]
pub(super) struct Hold(Vec<Held>);

impl Hold {
    /// A client asks to attach. Its request is handed back if too many wait.
    pub(super) fn handle_attach(&mut self, held: Held) -> Option<Held> {
        self.let_go(held.local.conn, Some(&held.group));
        if self.0.len() >= HELD_MAX {
            return Some(held);
        }
        self.0.push(held);
        None
    }

    /// The client at `conn` does not wait any more, in one group or in all.
    pub(super) fn let_go(&mut self, conn: ConnId, group: Option<&GroupName>) {
        let goes =
            |held: &Held| held.local.conn == conn && group.is_none_or(|group| *group == held.group);
        self.0.retain(|held| !goes(held));
    }

    /// Takes all requests, in the order in which they came.
    pub(super) fn take_all(&mut self) -> Vec<Held> {
        core::mem::take(&mut self.0)
    }
}
