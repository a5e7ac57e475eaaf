//! Parts of the secrets of views.

use super::secret::Secret;

/// Where a server's parts of the secrets of views come from: each is drawn once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shares {
    seed: Secret,
}

impl Shares {
    /// Shares that follow from `seed`, which nothing else is drawn from.
    pub(crate) fn new(seed: Secret) -> Self {
        Self { seed }
    }

    pub(crate) fn draw(&mut self) -> Secret {
        let share = self.seed.derive("vs share", &[]);
        // Who reads the memory later does not learn the secrets of earlier views.
        self.seed = self.seed.derive("vs next", &[]);
        share
    }
}
