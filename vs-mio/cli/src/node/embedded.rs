//! What is said of the membership server inside a node that was named none.

use core::net::SocketAddr;

use vs_core::member::PeerTrouble;
use vs_core::member::server::Note;
use vs_core::trace::Tracer;
use vs_mio::Driver;

use crate::network::{note_text, unaccepted};

/// Says what a person should know of the server inside. `how` are the words on how others are
/// found.
pub(super) fn say_notes<T: Tracer>(driver: &mut Driver<T>, how: &str) {
    while let Some(note) = driver.poll_note() {
        let Some(server) = driver.embedded() else { return };
        match note {
            Note::Settled { servers } => say_found(server.listen_addr(), servers, how),
            Note::UselessBeacon(_) | Note::DuplicateId { .. } => {
                tracing::warn!("{}", note_text(&note))
            }
            // Those that beacons told of come and go; who was named is missed.
            Note::PeerTrouble { addr, ref why }
                if server.driver().is_added_peer(addr) && *why != PeerTrouble::Itself =>
            {
                tracing::warn!("{}", note_text(&note));
            }
            _ => {}
        }
    }
    while let Some(failure) = driver.poll_lookup_failure() {
        tracing::warn!("peer {failure}");
    }
    if let Some(error) = driver.poll_accept_failure() {
        tracing::warn!("{}", unaccepted(&error));
    }
}

fn say_found(listen: SocketAddr, servers: usize, how: &str) {
    let found = match servers {
        0 => "nobody yet".into(),
        1 => "1 other".into(),
        n => format!("{n} others"),
    };
    tracing::info!("membership server inside, at {listen}; found {found} {how}");
}
