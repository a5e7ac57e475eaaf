//! How the profile of a group holds for the clients here ([`crate::member::profile`]).

use alloc::vec::Vec;

use super::{Cx, Group, Local, Send, tell_clients};
use crate::member::DetachReason;
use crate::member::message::Reply;
use crate::member::profile::Held;

impl Group {
    /// The profile of the clients here.
    pub(in super::super) fn held(&self) -> Option<Held> {
        let has_any = self.attachments.locals().next().is_some();
        self.profiles.held().filter(|_| has_any).cloned()
    }

    /// A client is told of the profile that holds, if that is news to it.
    pub(super) fn tell_profile(&self, cx: &mut Cx<'_>, local: &Local, news: Option<Held>) {
        let (group, counter) = (self.name.clone(), local.attachment.counter);
        let reply = news.map(|held| Reply::Profile { group, counter, held });
        cx.sends.extend(reply.map(|reply| Send::Client(local.conn, reply)));
    }

    /// Another profile may have held for longer: the clients here take it, or are refused.
    pub(super) fn change_profile(&mut self, cx: &mut Cx<'_>) {
        let Some(held) = self.profiles.next_held() else { return };
        let locals: Vec<Local> = self.attachments.locals().copied().collect();
        for local in &locals {
            match self.profiles.fits(local.conn) {
                Ok(()) => self.tell_profile(cx, local, Some(held.clone())),
                Err(mismatch) => {
                    self.attachments.detach(local.peer.process);
                    self.expel(cx, local, DetachReason::Profile(mismatch), 0);
                }
            }
        }
        tell_clients(cx);
    }
}
