//! The network between hosts: delay and loss of datagrams, and cut paths.

use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::config::setters;
use crate::rng::Rng;
use crate::time::Time;

/// How one direction of a path treats what is sent over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// Least delay, in µs.
    pub delay_us: u64,
    /// A random delay from 0 to this is added, in µs. More than the distance between two datagrams
    /// reorders them.
    pub jitter_us: u64,
    /// Datagrams lost, of 1000.
    pub loss_permille: u16,
    /// Datagrams that arrive twice, of 1000.
    pub duplicate_permille: u16,
    /// Datagrams held back for up to `reorder_us`, of 1000.
    pub reorder_permille: u16,
    /// Longest time that a reordered datagram is held back, in µs.
    pub reorder_us: u64,
    /// Longer datagrams are lost, in bytes.
    pub datagram_bytes_max: usize,
}

impl Link {
    /// A calm local network: 50 to 150 µs, nothing lost.
    pub const LAN: Self = Self {
        delay_us: 50,
        jitter_us: 100,
        loss_permille: 0,
        duplicate_permille: 0,
        reorder_permille: 0,
        reorder_us: 0,
        datagram_bytes_max: usize::MAX,
    };

    /// The delay of one transmission, in ns, saturating.
    pub(crate) fn delay_ns(&self, rng: &mut Rng) -> u64 {
        let jitter_us = rng.below(self.jitter_us.saturating_add(1));
        let delay_us = self.delay_us.saturating_add(jitter_us);
        delay_us.saturating_mul(1_000).saturating_add(rng.below(1_000))
    }
}

/// Setters.
impl Link {
    setters! {
        with_delay(delay_us: us);
        with_jitter(jitter_us: us);
        with_loss_permille(loss_permille: u16);
        with_duplicate_permille(duplicate_permille: u16);
        with_reorder_permille(reorder_permille: u16);
        with_reorder(reorder_us: us);
        with_datagram_bytes_max(datagram_bytes_max: usize);
    }
}

impl Default for Link {
    fn default() -> Self {
        Self::LAN
    }
}

/// What the network did to datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetCounters {
    /// Datagrams handed to the network, each receiver of a multicast counted.
    pub datagrams: u64,
    /// Datagrams lost at random.
    pub lost: u64,
    /// Datagrams that arrived twice.
    pub duplicated: u64,
    /// Datagrams that were held back.
    pub reordered: u64,
    /// Datagrams lost on a cut path, or since they were too long for it.
    pub cut: u64,
    /// Datagrams lost because the receiver was down, or was paused and its socket's buffer was
    /// full.
    pub unreceived: u64,
}

#[derive(Clone, Copy, Debug)]
struct Path {
    link: Link,
    cut: bool,
    /// Multicasts are lost on the path, and nothing else.
    deaf: bool,
}

/// All directed paths between hosts.
#[derive(Debug)]
pub(crate) struct Net {
    default: Link,
    paths: Vec<Vec<Path>>,
    pub(crate) counters: NetCounters,
}

impl Net {
    pub(crate) fn new(default: Link) -> Self {
        Self { default, paths: Vec::new(), counters: NetCounters::default() }
    }

    pub(crate) fn add_host(&mut self) {
        let path = Path { link: self.default, cut: false, deaf: false };
        for row in &mut self.paths {
            row.push(path);
        }
        self.paths.push(alloc::vec![path; self.paths.len() + 1]);
    }

    pub(crate) fn link(&self, from: usize, to: usize) -> &Link {
        &self.paths[from][to].link
    }

    pub(crate) fn set_link(&mut self, from: usize, to: usize, link: Link) {
        self.paths[from][to].link = link;
    }

    pub(crate) fn set_every_link(&mut self, link: Link) {
        for path in self.paths.iter_mut().flatten() {
            path.link = link;
        }
    }

    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.paths[from][to].cut
    }

    pub(crate) fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        self.paths[from][to].cut = cut;
    }

    pub(crate) fn is_deaf(&self, from: usize, to: usize) -> bool {
        self.paths[from][to].deaf
    }

    pub(crate) fn set_deaf(&mut self, from: usize, to: usize, deaf: bool) {
        self.paths[from][to].deaf = deaf;
    }

    /// When a datagram arrives: never, once or twice.
    pub(crate) fn send_datagram(
        &mut self,
        rng: &mut Rng,
        now: Time,
        (from, to): (usize, usize),
        bytes: usize,
    ) -> SmallVec<[Time; 2]> {
        let Path { link, cut, .. } = self.paths[from][to];
        let mut arrivals = SmallVec::new();
        self.counters.datagrams += 1;
        if cut || bytes > link.datagram_bytes_max {
            self.counters.cut += 1;
            return arrivals;
        }
        if link.loss_permille > 0 && rng.below(1000) < u64::from(link.loss_permille) {
            self.counters.lost += 1;
            return arrivals;
        }
        let mut arrival = now + link.delay_ns(rng);
        if link.reorder_permille > 0 && rng.below(1000) < u64::from(link.reorder_permille) {
            self.counters.reordered += 1;
            arrival = arrival.plus_us(rng.below(link.reorder_us.saturating_add(1)));
        }
        arrivals.push(arrival);
        if link.duplicate_permille > 0 && rng.below(1000) < u64::from(link.duplicate_permille) {
            self.counters.duplicated += 1;
            arrivals.push(arrival + link.delay_ns(rng));
        }
        arrivals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_keep_rate_and_direction() {
        let mut net = Net::new(Link::LAN);
        net.add_host();
        net.add_host();
        net.set_link(
            0,
            1,
            Link { delay_us: 10, loss_permille: 200, duplicate_permille: 100, ..Link::LAN },
        );
        net.set_cut(1, 0, true);
        let mut rng = Rng::new(7);
        for _ in 0..10_000 {
            for at in net.send_datagram(&mut rng, Time(5), (0, 1), 9) {
                assert!(at > Time(5).plus_us(10));
            }
            assert!(net.send_datagram(&mut rng, Time(5), (1, 0), 9).is_empty());
        }
        assert!((1_800..2_200).contains(&net.counters.lost), "{:?}", net.counters);
        assert!((700..900).contains(&net.counters.duplicated), "{:?}", net.counters);
        assert_eq!(net.counters.cut, 10_000);
        assert_eq!(net.counters.datagrams, 20_000);
    }
}
