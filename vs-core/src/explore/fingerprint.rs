//! A fingerprint of 128 bits for each state.

use core::hash::{Hash, Hasher};

/// Two independent 64-bit lanes. Of ten million states two have the same 128 bits with a chance of
/// about 10^-25; a view stands for itself by its id and the 64 bits of its fingerprint, and a world
/// has some dozen of them.
struct Lanes(u64, u64);

impl Lanes {
    fn mix(&mut self, word: u64) {
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            product as u64 ^ (product >> 64) as u64
        };
        self.0 = fold(self.0 ^ word, 0x9e37_79b9_7f4a_7c15).wrapping_add(word.rotate_left(32));
        self.1 = fold(self.1.rotate_left(17) ^ word, 0xd6e8_feb8_6659_fd93).wrapping_add(!word);
    }
}

impl Hasher for Lanes {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word) ^ (chunk.len() as u64) << 56);
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.mix(u64::from(n));
    }

    fn write_u16(&mut self, n: u16) {
        self.mix(u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.mix(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.mix(n);
    }

    fn write_usize(&mut self, n: usize) {
        self.mix(n as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

pub(super) fn fingerprint(state: &impl Hash) -> u128 {
    let mut lanes = Lanes(0x2545_f491_4f6c_dd1d, 0x1405_7b7e_f767_814f);
    state.hash(&mut lanes);
    u128::from(lanes.0) << 64 | u128::from(lanes.1)
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn different_states_have_different_fingerprints() {
        let mut seen = alloc::collections::BTreeSet::new();
        for a in 0..200_u64 {
            for b in 0..200_u16 {
                assert!(seen.insert(fingerprint(&(a, b, [0_u8; 9]))));
                assert_eq!(fingerprint(&(a, b)), fingerprint(&(a, b)));
            }
        }
        assert_ne!(fingerprint(&"ab"), fingerprint(&"ba"));
    }
}
