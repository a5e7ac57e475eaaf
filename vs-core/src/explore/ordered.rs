//! What processes do in groups of an order other than FIFO: they deliver as the order says, put the
//! packets of others in order, and leave out at the end of a view what lacks something.

use alloc::vec::Vec;

use super::end::End;
use super::layer::{Layer, Next};
use super::log::{Log, Setting};
use super::net::{Net, Stream};
use super::world::World;
use crate::ident::{ProcessId, Rank, Seq};
use crate::order::{Head, Offers, Packets, Sealed};
use crate::trace::Event;
use crate::wire::trailer;

impl World {
    /// The next packet of `p`: message `k`, or none if that is 0.
    pub(super) fn seal(&mut self, p: ProcessId, k: u8) {
        let trailer = self.with_layer(p, |layer, world| {
            let end = world.end(p)?;
            Some(layer.seal(&end.received, &end.delivered))
        });
        let Some(end) = self.end_mut(p) else { return };
        let Some(rank) = end.view().rank(p) else { return };
        end.received[usize::from(rank)] += 1;
        let view = end.view().clone();
        let stream = self.net.streams.entry((p, view)).or_default();
        stream.said.push(k);
        stream.trailers.extend(trailer);
    }

    /// Lets the order of `p`, if it has one, look at the world.
    fn with_layer<T>(
        &mut self,
        p: ProcessId,
        look: impl FnOnce(&mut Layer, &Self) -> Option<T>,
    ) -> Option<T> {
        let mut layer = self.end_mut(p)?.layer.take()?;
        let seen = look(&mut layer, self);
        self.end_mut(p)?.layer = Some(layer);
        seen
    }

    /// Delivers at `p` all that is next, and puts in order what is here.
    pub(super) fn deliver_in_order(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) {
        let mut was_ended = false;
        loop {
            let next = self
                .with_layer(p, |layer, world| layer.next(&Here::new(world.end(p)?, &world.net)));
            let is_end = next.is_none();
            match next {
                Some(next) => self.take_next(setting, log, p, next),
                None if self.records(setting, log, p) => {}
                None if was_ended || !self.end_view(setting, log, p) => return,
                None => {}
            }
            was_ended = is_end;
        }
    }

    fn take_next(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId, next: Next) {
        match next {
            Next::PassOver(rank) => {
                let end = self.end_mut(p);
                end.into_iter().for_each(|end| end.delivered[usize::from(rank)] += 1);
            }
            Next::Message(rank) => {
                let stage = self.with_layer(p, |layer, _| Some(layer.handle_delivered(rank)));
                let from = self.end(p).and_then(|end| end.view().members().get(usize::from(rank)));
                if let (Some(stage), Some(&from)) = (stage, from) {
                    self.deliver(setting, log, (from, stage), p);
                }
            }
        }
    }

    /// A leader puts in order what others sent. False if there is nothing.
    fn records(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) -> bool {
        let has_some =
            self.end(p).and_then(|end| end.layer.as_ref()).is_some_and(Layer::has_records);
        if has_some {
            self.seal(p, 0);
            self.show(setting, log, p);
        }
        has_some
    }

    /// Nothing is next at `p`: if all that counts is here, the view ends. False if nothing comes
    /// by that.
    fn end_view(&mut self, setting: Setting<'_>, log: &mut Log, p: ProcessId) -> bool {
        if !self.end(p).is_some_and(|end| end.is_all_here() && !end.is_ending()) {
            return false;
        }
        let signal = self.with_layer(p, |layer, world| {
            let end = world.end(p)?;
            let transitional = end.sync.transitional_members();
            let together = end.view().members().iter().map(|p| transitional.contains(p));
            let here = Here::new(end, &world.net);
            let is_signal = layer.end_view(&here, together, end.sync.agreed());
            is_signal.then(|| transitional.into())
        });
        if let Some(transitional) = signal {
            self.emit(setting, log, p, Event::Signal { transitional });
        }
        !self.end(p).and_then(|end| end.layer.as_ref()).is_some_and(Layer::leaves_rest)
    }
}

/// The packets that are here and may be delivered.
struct Here<'a> {
    end: &'a End,
    streams: Vec<Option<&'a Stream>>,
}

impl<'a> Here<'a> {
    fn new(end: &'a End, net: &'a Net) -> Self {
        let view = end.view();
        let stream = |p: &ProcessId| net.streams.get(&(*p, view.clone()));
        Self { end, streams: view.members().iter().map(stream).collect() }
    }
}

impl Offers for Here<'_> {
    fn ranks(&self) -> usize {
        self.streams.len()
    }

    fn may_have_some(&self) -> bool {
        true
    }

    fn peek(&self, rank: Rank) -> Option<Head> {
        let rank = usize::from(rank);
        let has_some = rank < self.streams.len() && self.end.has_delivery(rank);
        has_some.then(|| Head { packet: self.end.delivered[rank] + 1, offset: 0 })
    }
}

impl Packets for Here<'_> {
    fn delivered(&self, rank: Rank) -> Seq {
        self.end.delivered.get(usize::from(rank)).copied().unwrap_or(0)
    }

    fn stable(&self, _: Rank) -> Seq {
        0
    }

    fn sealed(&self, rank: Rank, seq: Seq) -> Option<Sealed<'_>> {
        let at = usize::from(rank);
        if seq <= self.delivered(rank) || seq > self.end.here(at) {
            return None;
        }
        let (stream, place) = (self.streams.get(at)?.as_ref()?, usize::try_from(seq).ok()? - 1);
        let (_, trailer) = trailer::split(stream.trailers.get(place)?)?;
        let is_empty = *stream.said.get(place)? == 0;
        Some(Sealed { is_empty, ends_message: true, trailer })
    }
}
