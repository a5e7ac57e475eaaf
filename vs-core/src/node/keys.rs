//! What a node seals with.

use super::Node;
use crate::config::ConfigError;
use crate::seal::{Keys, TAG_BYTES};
use crate::trace::Tracer;

impl<T: Tracer> Node<T> {
    /// Everything is sealed with `keys` from now on, and nothing else is heard: to be called before
    /// the first group is joined. Later calls rotate keys; a node that has none stays without, since
    /// its datagrams have no room for a tag.
    ///
    /// # Errors
    /// The first time: of [`NodeConfig::datagram_bytes`] too few would be left, or a group was
    /// joined before.
    pub fn set_keys(&mut self, keys: Keys) -> Result<(), ConfigError> {
        if self.shared.keys.is_none() {
            if self.groups.len() > 0 {
                return Err(ConfigError::Rule("keys must be there before a group is joined"));
            }
            self.shared.config.reserve_tag(TAG_BYTES)?;
        }
        self.groups.set_keys(&keys);
        self.shared.keys = Some(keys);
        Ok(())
    }
}
