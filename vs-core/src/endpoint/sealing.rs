//! When an endpoint seals and opens, and when its keys change.

use super::{Cx, Endpoint, Verdict};
use crate::ident::{Incarnation, ProcessId};
use crate::seal::{Keys, Secret, TAG_BYTES};
use crate::view::View;
use crate::wire::control;
use crate::wire::datagram::{self, Datagram, KEY_NONE, OpenDatagram, SCOPE_BYTES, Scope};
use crate::wire::packet;
use crate::wire::shown::Shown;

impl Endpoint {
    /// Finishes what is about to be sent: numbers it, and seals it where there are keys.
    #[inline]
    pub(super) fn finish_sending(
        &mut self,
        datagrams: &mut [u8],
        segment_bytes: usize,
        to_group: bool,
    ) {
        let counter = &mut self.transmit_counter;
        match &mut self.seals {
            None => datagram::finish(datagrams, segment_bytes, to_group, counter),
            Some(seals) => seals.seal(datagrams, segment_bytes, to_group, counter),
        }
    }

    /// Room that a datagram in `scope` needs behind its content.
    pub(super) fn end_bytes(&self, scope: Scope) -> usize {
        match (&self.seals, scope) {
            (None, _) => 0,
            (Some(_), Scope::Incarnation | Scope::Receiver) => SCOPE_BYTES + TAG_BYTES,
            (Some(_), Scope::View) => TAG_BYTES,
        }
    }

    /// Opens a datagram of this group, or says what becomes of it.
    #[inline]
    pub(crate) fn open<'a>(&mut self, datagram: Datagram<'a>) -> Result<OpenDatagram<'a>, Verdict> {
        if self.seals.is_none() && datagram.key() == KEY_NONE {
            return Ok(datagram.open());
        }
        self.open_sealed(datagram)
    }

    #[inline(never)] // Without keys nothing of it is on the way of a message.
    fn open_sealed<'a>(&mut self, datagram: Datagram<'a>) -> Result<OpenDatagram<'a>, Verdict> {
        let Some(seals) = &mut self.seals else { return Err(Verdict::OtherKey) };
        seals.open(datagram, self.transmit_counter.last())
    }

    /// What the group is called in the clear by who seals, under each key.
    pub(crate) fn group_selectors(&self) -> impl Iterator<Item = u64> + '_ {
        self.seals.iter().flat_map(|seals| seals.group_selectors())
    }

    /// Other keys hold from now on.
    pub(crate) fn set_keys(&mut self, keys: &Keys) {
        if let Some(seals) = &mut self.seals {
            seals.set_keys(keys);
        }
    }

    /// The members of the current view and of the proposed one are others now.
    pub(super) fn seal_peers(&mut self) {
        if let Some(seals) = &mut self.seals {
            seals.set_peers(self.book.peers());
        }
    }

    /// Shows that this incarnation sends a sync message which says this, where there are keys: to
    /// the members of `to` alone, or to everybody.
    pub(super) fn show_sync(&self, said: &[u8], to: Option<&[ProcessId]>) -> Option<Shown> {
        self.seals.as_ref()?.show_sync(said, to)
    }

    /// Whether what stands in `bytes` shows that `from` sent this sync message. Nobody has to show
    /// it in the clear.
    pub(super) fn is_shown(
        &mut self,
        from: (ProcessId, Incarnation),
        bytes: &[u8],
    ) -> Result<(), Verdict> {
        let Some(seals) = &mut self.seals else { return Ok(()) };
        let (said, shown) = control::shown(bytes).ok_or(Verdict::Forged)?;
        seals.is_shown(from, said, &shown)
    }

    /// Room for what [`Endpoint::show_sync`] shows.
    pub(super) fn shown_bytes(&self, to: Option<&[ProcessId]>) -> usize {
        self.seals.as_ref().map_or(0, |seals| seals.shown_bytes(to))
    }

    /// Takes in what was kept of the view that is announced now.
    pub(super) fn open_early(&mut self, cx: &mut Cx<'_>) {
        while let Some(mut bytes) = self.seals.as_mut().and_then(|seals| seals.next_early()) {
            let opened = Datagram::read(&mut bytes).ok().and_then(|d| self.open(d).ok());
            if let Some(Ok(packet)) = opened.map(packet::decode) {
                self.dispatch(cx, &packet);
            }
        }
    }

    /// A view is announced: its members seal with other keys.
    pub(super) fn seal_announced(&mut self, view: &View, secret: Option<&Secret>) {
        if let Some(seals) = &mut self.seals {
            seals.handle_announced((view, secret));
        }
    }

    /// A view is installed, announced or left: what seals views that nobody needs is forgotten.
    pub(super) fn forget_seals(&mut self) {
        let Some(seals) = &mut self.seals else { return };
        let previous = self.previous.as_ref().map(|previous| previous.header().fingerprint);
        let (current, announced) = (self.sync.current(), self.sync.announced());
        let needed = [Some(current.fingerprint()), Some(announced.fingerprint()), previous];
        seals.retain_views(needed);
    }

    /// A view is installed.
    pub(super) fn seal_installed(&mut self) {
        if let Some(seals) = &mut self.seals {
            seals.handle_installed();
        }
        self.seal_peers();
        self.forget_seals();
    }
}
