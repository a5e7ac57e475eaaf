//! Connections that were accepted, while nobody knows who is at the other end, and which of them
//! goes when there are too many.
//!
//! The one to go is drawn at random from the address that has most of them. So whoever opens
//! connections from one address crowds out its own. Behind one address, or from many, a newcomer
//! stays for as long as it takes others to open as many as there may be: on average, since no
//! order of arrivals is to be counted on.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::conn_id::ConnId;
use crate::rng::Rng;

/// Bits of an IPv6 address that name its network: one host has all addresses behind them.
const NETWORK_BITS: u32 = 64;

/// Where connections come from; 0: nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source(u128);

impl From<IpAddr> for Source {
    fn from(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
            IpAddr::V6(ip) => ip.to_bits() >> NETWORK_BITS << NETWORK_BITS,
        })
    }
}

/// Connections of one kind, within a bound.
#[derive(Debug)]
pub(super) struct Strangers {
    most: usize,
    sources: BTreeMap<ConnId, Source>,
    /// The connections of each source; none is empty.
    of: BTreeMap<Source, Vec<ConnId>>,
}

impl Strangers {
    pub(super) fn new(most: usize) -> Self {
        Self { most, sources: BTreeMap::new(), of: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether one has to go for another one.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    pub(super) fn contains(&self, id: ConnId) -> bool {
        self.sources.contains_key(&id)
    }

    pub(super) fn insert(&mut self, id: ConnId, source: Source) {
        if self.sources.insert(id, source).is_none() {
            self.of.entry(source).or_default().push(id);
        }
    }

    /// Removes a connection. Where it came from is returned if it was there.
    pub(super) fn remove(&mut self, id: ConnId) -> Option<Source> {
        let source = self.sources.remove(&id)?;
        if let Some(conns) = self.of.get_mut(&source) {
            if let Some(at) = conns.iter().position(|conn| *conn == id) {
                conns.swap_remove(at);
            }
            if conns.is_empty() {
                self.of.remove(&source);
            }
        }
        Some(source)
    }

    /// The one that goes for another one; none if there is none.
    pub(super) fn victim(&self, rng: &mut Rng) -> Option<ConnId> {
        let most = self.of.values().map(Vec::len).max()?;
        let crowds = || self.of.values().filter(|conns| conns.len() == most);
        let crowd = crowds().nth(rng.below(crowds().count() as u64) as usize)?;
        crowd.get(rng.below(most as u64) as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: u8) -> Source {
        Source::from(IpAddr::from([10, 0, 0, n]))
    }

    #[test]
    fn who_has_most_connections_loses_one() {
        let (mut strangers, mut rng) = (Strangers::new(12), Rng::new(1));
        assert_eq!(strangers.victim(&mut rng), None);
        (0..10).for_each(|id| strangers.insert(ConnId(id), source(1)));
        (10..12).for_each(|id| strangers.insert(ConnId(id), source(2)));
        assert!(strangers.is_full());
        let mut gone = Vec::new();
        for _ in 0..8 {
            let victim = strangers.victim(&mut rng).unwrap();
            assert_eq!(strangers.remove(victim), Some(source(1)));
            gone.push(victim.0);
        }
        assert!(!gone.is_sorted(), "{gone:?}: neither the oldest nor the youngest first");
        let last: Vec<_> = (0..20).filter_map(|_| strangers.victim(&mut rng)).collect();
        assert!(last.iter().any(|id| id.0 < 10) && last.iter().any(|id| id.0 >= 10));
        assert_eq!((strangers.len(), strangers.remove(ConnId(99))), (4, None));
    }

    #[test]
    fn addresses_of_one_host_are_one_source() {
        let of = |ip: &str| Source::from(ip.parse::<IpAddr>().unwrap());
        assert_eq!(of("fd00::1"), of("fd00::ffff:2"));
        assert_ne!(of("fd00::1"), of("fd00:0:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), source(1));
        assert_ne!(source(1), source(2));
    }
}
