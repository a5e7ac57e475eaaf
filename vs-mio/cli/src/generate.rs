//! Messages for measuring and testing: a stated number of them, of random sizes, the same for the
//! same seed.

use core::ops::RangeInclusive;
use core::str::FromStr;

use vs_core::rng::Rng;

/// Least and greatest size of a generated message, in bytes: `MIN..MAX`, both included, at least 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sizes(RangeInclusive<usize>);

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let number = |text: &str| {
            text.trim().parse::<usize>().map_err(|_| format!("{text:?} is not a number of bytes"))
        };
        let (min, max) = (number(min)?, number(max)?);
        if min == 0 {
            return Err("the smaller size must be at least 1".into());
        }
        if min > max {
            return Err(format!("{min} is more than {max}: write the smaller size first"));
        }
        Ok(Self(min..=max))
    }
}

/// Payloads whose sizes are spread evenly over the orders of magnitude (log-uniform), so that small
/// and large ones are equally tried. An iterator over nothing but its state: it can wait for the
/// window as long as it has to.
#[derive(Clone, Debug)]
pub(crate) struct Generator {
    rng: Rng,
    left: u64,
    sizes: Sizes,
    payload: Vec<u8>,
}

impl Generator {
    /// `count` messages.
    pub(crate) fn new(count: u64, sizes: Sizes, seed: u64) -> Self {
        let payload = Vec::with_capacity(*sizes.0.end());
        Self { rng: Rng::new(seed), left: count, sizes, payload }
    }

    /// Messages that are still to come.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Makes the next message; false if there are no more.
    pub(crate) fn advance(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let len = self.size();
        self.payload.clear();
        while self.payload.len() < len {
            let bytes = self.rng.next_u64().to_le_bytes();
            let room = (len - self.payload.len()).min(bytes.len());
            self.payload.extend_from_slice(&bytes[..room]);
        }
        true
    }

    /// The message made last.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// A size whose logarithm is evenly spread.
    fn size(&mut self) -> usize {
        let (min, max) = (*self.sizes.0.start() as f64, *self.sizes.0.end() as f64);
        let share = self.rng.below(1 << 32) as f64 / (1_u64 << 32) as f64;
        let size = min * ((max + 1.0) / min).powf(share);
        (size as usize).clamp(*self.sizes.0.start(), *self.sizes.0.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(text: &str, count: u64, seed: u64) -> Vec<usize> {
        let mut generator = Generator::new(count, text.parse().unwrap(), seed);
        let mut sizes = Vec::new();
        while generator.advance() {
            sizes.push(generator.payload().len());
        }
        assert_eq!(generator.left(), 0);
        sizes
    }

    #[test]
    fn sizes_stay_within_their_bounds_and_cover_them() {
        let sizes = sizes("1..65536", 20_000, 7);
        assert_eq!(sizes.len(), 20_000);
        assert_eq!(sizes.iter().min(), Some(&1));
        assert!(sizes.iter().all(|size| (1..=65536).contains(size)));
        let small = sizes.iter().filter(|size| **size < 256).count();
        assert!((9_000..11_000).contains(&small), "{small} of 20000 below 256 bytes");
    }

    #[test]
    fn a_seed_says_everything() {
        assert_eq!(sizes("1..5", 100, 1), sizes("1..5", 100, 1));
        assert_ne!(sizes("1..65536", 100, 1), sizes("1..65536", 100, 2));
        assert_eq!(sizes("64", 3, 1), [64, 64, 64]);
        for wrong in ["5..2", "a..b", "0..9", ""] {
            assert!(wrong.parse::<Sizes>().is_err(), "{wrong:?} was taken");
        }
    }
}
