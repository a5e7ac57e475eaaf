//! The end of an ordered view: what is delivered after the signal.

use super::Total;
use crate::ident::Seq;
use crate::order::offers::Packets;
use crate::order::stage::Stage;
use crate::order::tail::Tail;

impl Total {
    /// All that counts is here, and nothing can be delivered before the signal any more.
    pub(crate) fn begin_tail(&mut self, tail: Tail, packets: &impl Packets) {
        let hole = self.hole(&tail, packets);
        self.tail = Some(tail.with_hole(hole));
    }

    /// The first slot from here on that names a packet which does not count, or the one after all
    /// that count.
    fn hole(&self, tail: &Tail, packets: &impl Packets) -> Seq {
        let (mut place, mut first) = (self.place.clone(), self.record);
        while place.packet() <= tail.agreed(place.leader()) {
            let number = place.slot();
            let slot = packets.sealed(place.leader(), place.packet());
            place.pass(slot.as_ref(), first, self.rules);
            if place.is_beyond(|rank| tail.agreed(rank)) {
                return number;
            }
            first = 0;
        }
        place.slot()
    }

    /// Whether the view ends here, whatever else happens.
    #[inline]
    pub(crate) fn has_tail(&self) -> bool {
        self.tail.is_some()
    }

    /// Whether the application has to be told that what it delivers from here on is promised to the
    /// transitional set alone.
    #[inline]
    pub(crate) fn is_signal_due(&self) -> bool {
        self.has_tail() && !self.is_signal_told
    }

    /// The application takes the signal.
    pub(crate) fn handle_signal_told(&mut self) {
        self.is_signal_told = true;
    }

    /// Whether nothing is left but the next view.
    pub(crate) fn is_done(&self) -> bool {
        self.is_signal_told && self.turn.is_none()
    }

    /// What a delivery is now.
    pub(crate) fn stage(&self) -> Stage {
        self.tail.as_ref().map_or(Stage::Regular, Tail::stage)
    }
}
