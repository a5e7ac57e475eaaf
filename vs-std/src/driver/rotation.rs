//! Other keys while a driver or a server runs.

use vs_core::seal::Keys;
use vs_core::trace::Tracer;

use super::Driver;
use crate::keys::{KeysError, with_fresh_seed};

impl<T: Tracer> Driver<T> {
    /// Seals with other keys from now on, and opens with these alone: the node, and the server
    /// inside, if there is one. [Operating](vs_core::manual::operating#keys) says in which steps
    /// keys are changed without a pause. A connection that was made under a key which is gone ends,
    /// and is made anew.
    ///
    /// # Errors
    /// See [`KeysError`]; the keys are as before.
    pub fn set_keys(&mut self, keys: &Keys) -> Result<(), KeysError> {
        if !self.node.has_keys() {
            return Err(KeysError::InTheClear);
        }
        let mut keys = with_fresh_seed(keys).map_err(KeysError::NoRandomNumbers)?;
        if let Some(embedded) = &mut self.embedded {
            embedded.driver_mut().set_keys(&keys.fork())?;
        }
        // It fails the first time alone.
        self.node.set_keys(keys).map_err(|_| KeysError::InTheClear)
    }
}
