//! What becomes of a datagram that arrived.

use core::net::SocketAddr;

use super::{Node, OtherVersion};
use crate::endpoint::Verdict;
use crate::time::Time;
use crate::trace::Tracer;
use crate::wire::datagram::{Datagram, KEY_NONE, Malformed};
use crate::wire::packet;

impl<T: Tracer> Node<T> {
    /// A datagram arrived from `from`, by multicast or unicast. It is opened in place: what is in
    /// `bytes` afterwards is of no use.
    pub fn handle_datagram(&mut self, now: Time, from: SocketAddr, bytes: &mut [u8]) -> Verdict {
        self.shared.clamp(now);
        let verdict = self.take_datagram(from, bytes);
        let counter = match verdict {
            Verdict::Accepted => &mut self.shared.counters.accepted,
            Verdict::Duplicate => &mut self.shared.counters.duplicate,
            Verdict::Early => &mut self.shared.counters.early,
            Verdict::Foreign => &mut self.shared.counters.foreign,
            Verdict::Dropped => &mut self.shared.counters.dropped,
            Verdict::Version => &mut self.shared.counters.version,
            Verdict::Malformed => &mut self.shared.counters.malformed,
            Verdict::Clear => &mut self.shared.counters.clear,
            Verdict::OtherKey => &mut self.shared.counters.other_key,
            Verdict::Forged => &mut self.shared.counters.forged,
            Verdict::Replayed => &mut self.shared.counters.replayed,
            Verdict::Impostor => {
                self.impostor = Some(from);
                &mut self.shared.counters.impostors
            }
        };
        *counter += 1;
        self.shared.counters.datagrams += 1;
        verdict
    }

    fn take_datagram(&mut self, from: SocketAddr, bytes: &mut [u8]) -> Verdict {
        let datagram = match Datagram::read(bytes) {
            Ok(datagram) => datagram,
            Err(Malformed::Version(version)) => {
                self.other_version.get_or_insert(OtherVersion { from, version });
                return Verdict::Version;
            }
            Err(_) => return Verdict::Malformed,
        };
        let found = match datagram.key() {
            KEY_NONE => self.groups.find(datagram.group()),
            _ => self.groups.find_sealed(datagram.group().0),
        };
        let Some(at) = found else {
            let verdict = self.of_no_group(datagram.key());
            self.note_keys(from, verdict);
            return verdict;
        };
        let (endpoint, mut cx) = self.lend(at);
        let opened = match endpoint.open(datagram) {
            Ok(opened) => opened,
            Err(verdict) => {
                self.note_keys(from, verdict);
                return verdict;
            }
        };
        match &packet::decode(opened) {
            Ok(packet) => {
                let verdict = endpoint.handle_packet(&mut cx, packet);
                let is_forged =
                    verdict == Verdict::Foreign && endpoint.is_forged(&cx, packet, from);
                if is_forged { Verdict::Impostor } else { verdict }
            }
            Err(_) => Verdict::Malformed,
        }
    }
}
