//! Parts of the secrets of views.

use super::secret::Secret;

/// Where a server's parts of the secrets of views come from: each is drawn once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shares {
    seed: Secret,
    drawn: u64,
}

impl Shares {
    /// Shares that follow from `seed`, which nothing else is drawn from.
    pub(crate) fn new(seed: Secret) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(crate) fn draw(&mut self) -> Secret {
        self.drawn += 1;
        self.seed.derive("vs share", &[&self.drawn.to_le_bytes()])
    }
}
