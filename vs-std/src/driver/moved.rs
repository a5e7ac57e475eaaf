//! A driver whose host loses its address, or gets another one.

use core::net::IpAddr;
use std::io;

use vs_core::Time;
use vs_core::trace::Tracer;

use super::{Driver, Opened};
use crate::udp::Which;
use crate::watch::{AddressNote, Found, Watch};

impl<T: Tracer> Driver<T> {
    /// Looks whether the addresses of the sockets are still there, and goes on with others if not.
    pub(super) fn look_at_addresses(
        &mut self,
        now: Time,
        opened: &mut impl FnMut(Opened<'_>) -> io::Result<()>,
    ) {
        match self.watch.look(now) {
            Found::Nothing => {}
            Found::Tell(note) => self.address_note = Some(note),
            Found::Reopen { bind, interface, note } => {
                match self.reopen(now, bind, interface, opened) {
                    Ok(()) => self.address_note = Some(note),
                    Err(why) => {
                        if self.watch.handle_refused(now) {
                            self.address_note = Some(AddressNote::Refused { to: bind, why });
                        }
                    }
                }
            }
        }
    }

    fn reopen(
        &mut self,
        now: Time,
        bind: IpAddr,
        interface: IpAddr,
        opened: &mut impl FnMut(Opened<'_>) -> io::Result<()>,
    ) -> Result<(), String> {
        let mut udp = self.udp.clone().with_bind(bind).with_interface(interface);
        udp.faults = self.datagrams.faults().clone();
        self.datagrams.reopen(&udp).map_err(|error| error.to_string())?;
        let mut show = |which| match self.datagrams.socket(which) {
            Some(socket) => opened(Opened::Udp(which, socket)),
            None => Ok(()),
        };
        let shown = show(Which::Unicast).and_then(|()| show(Which::Multicast));
        shown.map_err(|error| error.to_string())?;
        if let Some(embedded) = &mut self.embedded {
            embedded
                .move_to(bind, |inside| opened(Opened::Embedded(inside)))
                .map_err(|error| error.to_string())?;
        }
        self.node.set_addr(now, self.datagrams.local_addr());
        (self.watch, self.udp) = (Watch::new(&udp), udp);
        Ok(())
    }

    /// What became of the address of this node since the last call, for the operator.
    pub fn poll_address_note(&mut self) -> Option<AddressNote> {
        self.address_note.take()
    }
}
