//! Reads an input as choices. When no bytes are left, every choice is the first one.

/// What is left of an input.
#[derive(Clone, Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// All of `input`.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Up to `n` bytes.
    pub fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        head
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.take(usize::MAX)
    }

    fn number<const N: usize>(&mut self) -> u64 {
        let head = self.take(N);
        head.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        self.number::<1>() as u8
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self) -> u16 {
        self.number::<2>() as u16
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> u64 {
        self.number::<8>()
    }

    /// A number below `bound`, of one byte.
    pub fn below(&mut self, bound: u8) -> u8 {
        self.u8().checked_rem(bound).unwrap_or(0)
    }

    /// The low bit of a byte.
    pub fn flag(&mut self) -> bool {
        self.u8() & 1 == 1
    }

    /// One of `all`.
    ///
    /// # Panics
    /// If there is none.
    pub fn one<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.u8()) % all.len()]
    }

    /// A number near `near`, a small one, a limit, or any number: defects are most likely at these.
    pub fn number_near(&mut self, near: u64) -> u64 {
        let pick = self.u8();
        let small = u64::from(pick >> 3);
        match pick & 7 {
            0..=2 => near.saturating_add(small),
            3 => near.saturating_sub(small),
            4 => small,
            5 => vs_core::ident::NUMBER_MAX.saturating_sub(small),
            6 => self.one(&[u64::MAX, 1 << 63, 1 << 32, (1 << 32) - 1, 1 << 52, 1 << 53]),
            _ => self.u64(),
        }
    }

    /// A length of two bytes, and so many bytes.
    pub fn sized(&mut self) -> &'a [u8] {
        let len = usize::from(self.u16());
        self.take(len)
    }
}
