//! What secrets are drawn from.

use super::secret::Secret;

/// A source of secrets. It moves on with each: who learns it later does not learn what was drawn
/// before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Seed(Secret);

impl Seed {
    /// `secret` is used for nothing else.
    pub(crate) fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// A secret that was never drawn before.
    pub(crate) fn draw(&mut self) -> Secret {
        let drawn = self.0.derive("vs draw", &[]);
        self.0 = self.0.derive("vs next", &[]);
        drawn
    }
}
