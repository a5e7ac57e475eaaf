//! What is said about the datagrams of a node.

use core::fmt::Display;

use vs_core::Time;
use vs_core::ident::GroupKey;
use vs_mio::Driver;

use super::echo::Tee;
use crate::network::advise_unheard;

/// Pause before more datagrams that are forged or were dropped are told of, in ms.
const MORE_EVERY_MS: u64 = 60_000;

/// What was said; each thing is said once, unless it goes on.
#[derive(Debug, Default)]
pub(super) struct Advice {
    too_long: bool,
    unheard: bool,
    missing_unicast: bool,
    narrow: bool,
    other_version: bool,
    other_keys: bool,
    /// Forged datagrams that were told of, and when others may be.
    forged: (u64, Time),
    /// The same of those that the system dropped.
    dropped: (u64, Time),
}

impl Advice {
    /// Tells of a network that does not carry what is sent, and of others that send what they
    /// should not.
    pub(super) fn say(&mut self, driver: &mut Driver<Tee>, group: GroupKey) {
        once(&mut self.too_long, || {
            (driver.io_counters().too_long > 0).then_some(
                "full datagrams do not fit the network's MTU any more and are lost: raise it, or start all members \
                 with a smaller --datagram-bytes",
            )
        });
        once(&mut self.unheard, || Some(advise_unheard(&driver.unheard(group)?)));
        once(&mut self.missing_unicast, || {
            Some(format!("{} (see --data-port)", driver.missing_unicast(group)?))
        });
        once(&mut self.narrow, || {
            Some(format!("{} (see --datagram-bytes)", driver.narrow_path(group)?))
        });
        if let Some(note) = driver.poll_address_note() {
            tracing::warn!("{note}");
        }
        once(&mut self.other_version, || driver.other_version());
        once(&mut self.other_keys, || driver.other_keys());
        let now = driver.now();
        if let Some(impostor) = driver.impostor()
            && are_more(&mut self.forged, now, impostor.datagrams)
        {
            tracing::warn!("{impostor}");
        }
        if let Some(overflow) = driver.overflow()
            && are_more(&mut self.dropped, now, overflow.datagrams)
        {
            tracing::warn!("{overflow}");
        }
    }
}

/// Whether there are more than were told of, and it is time to tell of them.
fn are_more(told: &mut (u64, Time), now: Time, datagrams: u64) -> bool {
    let tells = datagrams > told.0 && now >= told.1;
    if tells {
        *told = (datagrams, now.plus_ms(MORE_EVERY_MS));
    }
    tells
}

fn once<W: Display>(was_said: &mut bool, words: impl FnOnce() -> Option<W>) {
    if !*was_said && let Some(words) = words() {
        tracing::warn!("{words}");
        *was_said = true;
    }
}
