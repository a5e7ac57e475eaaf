//! The source of a scenario's choices: a seed, or bytes that a fuzzer steers.

use crate::rng::Rng;

/// A source of choices.
#[derive(Clone, Debug)]
pub(crate) enum Draw<'a> {
    Seed(Rng),
    /// Each choice takes as few bytes as it needs. Without bytes, the first alternative is taken.
    Bytes(&'a [u8]),
}

impl Draw<'_> {
    /// A number below `bound`; 0 if `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        match self {
            Self::Seed(rng) => rng.below(bound),
            Self::Bytes(bytes) => {
                let width = match bound {
                    0..=0x100 => 1,
                    0x101..=0x1_0000 => 2,
                    0x1_0001..=0x1_0000_0000 => 4,
                    _ => 8,
                };
                let (head, rest) = bytes.split_at(width.min(bytes.len()));
                *bytes = rest;
                let number = head.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
                number.checked_rem(bound).unwrap_or(0)
            }
        }
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        match self {
            Self::Seed(rng) => rng.percent(percent),
            // Without bytes this is false.
            Self::Bytes(_) => self.below(100) >= 100 - percent.min(100),
        }
    }

    /// 64 bits.
    pub(crate) fn next_u64(&mut self) -> u64 {
        match self {
            Self::Seed(rng) => rng.next_u64(),
            Self::Bytes(_) => self.below(u64::MAX),
        }
    }

    /// One of `all`, which is not empty.
    pub(crate) fn one<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_decide_until_they_end() {
        let mut draw = Draw::Bytes(&[7, 1, 2, 99]);
        assert_eq!(draw.below(5), 2);
        assert_eq!(draw.below(1000), 258);
        assert!(draw.percent(1));
        assert!(!draw.percent(99));
        assert_eq!((draw.below(9), draw.below(0), draw.next_u64()), (0, 0, 0));
    }

    #[test]
    fn seed_decides_as_its_generator() {
        let (mut draw, mut rng) = (Draw::Seed(Rng::new(3)), Rng::new(3));
        for bound in [1, 2, 100, 1 << 40] {
            assert_eq!(draw.below(bound), rng.below(bound));
        }
        assert_eq!(draw.percent(50), rng.percent(50));
        assert_eq!(draw.next_u64(), rng.next_u64());
    }
}
