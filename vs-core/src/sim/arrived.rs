//! The judge of arrivals: what a process says to have of a stream came to it in datagrams.
//!
//! The refinement check takes from the code how much of each stream has arrived, as nobody sees
//! that happen. Here it is counted once more, from the datagrams that the network hands over.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;

use crate::ident::{Rank, Seq};
use crate::spec::automata::{Step, demand};
use crate::trace::Observation;
use crate::wire::packet::{Content, Data, FLAG_FRAGMENT, FLAG_LAST, Packet};

const CO_RFIFO: &str = "CO_RFIFO";

/// What has come of one stream.
#[derive(Debug, Default)]
struct Stream {
    /// The gap-free prefix.
    prefix: Seq,
    /// Packets beyond it.
    beyond: BTreeSet<Seq>,
    /// Packets with which a message ends.
    ends: BTreeSet<Seq>,
}

impl Stream {
    fn add(&mut self, data: &Data<'_>) {
        if data.flags & FLAG_FRAGMENT == 0 || data.flags & FLAG_LAST != 0 {
            self.ends.insert(data.seq);
        }
        if data.seq > self.prefix {
            self.beyond.insert(data.seq);
        }
        while self.beyond.remove(&(self.prefix + 1)) {
            self.prefix += 1;
        }
    }

    /// The last end of a message in the first `arrived` packets.
    fn boundary(&self, arrived: Seq) -> Seq {
        self.ends.range(..=arrived).next_back().copied().unwrap_or(0)
    }
}

/// What came to one incarnation in a group.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// By the fingerprint of the view, and the sender's rank in it.
    streams: BTreeMap<(u64, Rank), Stream>,
}

impl Arrived {
    /// A datagram is handed over.
    pub(crate) fn note(&mut self, packet: &Packet<'_>) {
        if let Content::Data(data) = &packet.content {
            let stream = (packet.header.fingerprint, data.origin);
            self.streams.entry(stream).or_default().add(data);
        }
    }

    /// Holds against it what the process says to have.
    pub(crate) fn judge(&self, seen: &Observation) -> Step {
        let view = &seen.current;
        for (rank, q) in (0..).zip(view.members().iter().copied()) {
            if q == seen.process {
                continue;
            }
            let at = usize::from(rank);
            let (arrived, received) = (seen.arrived[at], seen.received[at]);
            let stream = self.streams.get(&(view.fingerprint(), rank));
            let came = stream.map_or(0, |stream| stream.prefix);
            demand(CO_RFIFO, "what has arrived came in datagrams", arrived <= came, || {
                format!("packets of {q} up to {arrived}, and {came} came in {view}")
            })?;
            let whole = stream.map_or(0, |stream| stream.boundary(arrived));
            demand(CO_RFIFO, "received = what came, by whole messages", received == whole, || {
                format!("packets of {q} up to {received} instead of {whole} in {view}")
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::observe::{Streams, observation};
    use crate::ident::{Cid, GroupKey, ProcessId, ViewId};
    use crate::rule::Rules;
    use crate::sync::Automaton;
    use crate::view::View;
    use crate::wire::datagram::{Header, TransmitCounter, finish};
    use crate::wire::packet::{encode_data, open};

    struct Nothing;

    impl Streams for Nothing {
        fn arrived(&self, _: Rank) -> Seq {
            0
        }
        fn received(&self, _: Rank) -> Seq {
            0
        }
        fn touched(&self, _: Rank) -> Seq {
            0
        }
        fn delivered(&self, _: Rank) -> Seq {
            0
        }
        fn freed(&self, _: Rank) -> Seq {
            0
        }
        fn sent(&self) -> u64 {
            0
        }
        fn is_open(&self) -> bool {
            false
        }
    }

    /// What a process had was taken from its own word.
    #[test]
    fn packets_that_never_came_are_noticed() {
        let (me, q) = (ProcessId(1), ProcessId(2));
        let view = View::new(ViewId { major: 5, minor: 1 }, &[me, q], &[Cid(1), Cid(5)]).unwrap();
        let (mut arrived, mut counter) = (Arrived::default(), TransmitCounter::after(0));
        let header = Header { rank: 1, group: GroupKey(1), fingerprint: view.fingerprint() };
        for (seq, flags) in [(1, 0), (2, FLAG_FRAGMENT), (3, FLAG_FRAGMENT | FLAG_LAST), (5, 0)] {
            let mut bytes = [0; 100];
            let data = Data { flags, origin: 1, seq, stable: 0, body: b"body" };
            let len = encode_data(&mut bytes, &header, &data).unwrap();
            finish(&mut bytes[..len], len, true, &mut counter);
            arrived.note(&open(&mut bytes[..len]).unwrap());
        }
        let state = observation(&Automaton::new(me, Rules::default()), &Nothing);
        let judge = |has: Seq, received: Seq| {
            let (counts, received) = (alloc::vec![0, has], alloc::vec![0, received]);
            let seen =
                Observation { current: view.clone(), arrived: counts, received, ..state.clone() };
            arrived.judge(&seen).err().map(|refused| refused.rule)
        };
        assert_eq!([judge(3, 3), judge(2, 1), judge(1, 1), judge(0, 0)], [None; 4]);
        assert_eq!(judge(4, 3), Some("what has arrived came in datagrams"));
        assert_eq!(judge(2, 2), Some("received = what came, by whole messages"));
    }
}
