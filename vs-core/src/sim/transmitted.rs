//! The judge of counters: each datagram that an incarnation transmits in a group has a number above
//! all before it, so no two have the same group, view, rank and counter.

use alloc::vec::Vec;

use crate::ident::GroupKey;
use crate::wire::datagram::Datagram;

/// What an incarnation transmitted.
#[derive(Debug, Default)]
pub(crate) struct Transmitted {
    /// The last counter in each group.
    last: Vec<(GroupKey, u64)>,
    repeated: Option<u64>,
}

impl Transmitted {
    /// Looks at a datagram that goes out.
    pub(crate) fn note(&mut self, bytes: &mut [u8]) {
        let opened = Datagram::read(bytes).expect("what a node transmits is well-formed").open();
        let (group, counter) = (opened.header().group, opened.counter());
        match self.last.iter_mut().find(|(key, _)| *key == group) {
            Some((_, last)) if counter <= *last => self.repeated = Some(counter),
            Some((_, last)) => *last = counter,
            None => self.last.push((group, counter)),
        }
    }

    /// A counter that was used again.
    pub(crate) fn repeated(&self) -> Option<u64> {
        self.repeated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::ProcessId;
    use crate::wire::datagram::{Header, TransmitCounter, finish};
    use crate::wire::reach::{REACH_BYTES, Reach, Word, encode};

    #[test]
    fn a_counter_used_again_is_noticed() {
        let mut transmitted = Transmitted::default();
        let mut note = |group, fingerprint, counter: u64| {
            let header = Header { rank: 0, group: GroupKey(group), fingerprint };
            let said = Reach { process: ProcessId(1), target: ProcessId(2), word: Word::Ask };
            let mut bytes = [0; REACH_BYTES];
            encode(&mut bytes, &header, &said).unwrap();
            finish(&mut bytes, REACH_BYTES, false, &mut TransmitCounter::after(counter - 1));
            transmitted.note(&mut bytes);
            transmitted.repeated()
        };
        assert!(
            [(1, 1, 1), (2, 1, 1), (1, 2, 2), (2, 1, 7)]
                .iter()
                .all(|&(g, f, c)| note(g, f, c).is_none())
        );
        assert_eq!(note(1, 2, 2), Some(2));
    }
}
