//! The configuration of a node.

use crate::config::bounds::{DATAGRAM_BYTES, GROUPS_LIMIT, POOL_SLOTS_LIMIT};
use crate::config::client::ClientConfig;
use crate::config::error::{ConfigError, check_size};
use crate::config::setters::setters;

/// What holds for all groups of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeConfig {
    /// Size of the largest datagram, in bytes of UDP payload. A group uses that of its first
    /// member, and members with less are refused. Default 1472: what an Ethernet frame of 1500
    /// bytes carries over IPv4. Where there are keys, 16 of them are for the tag.
    pub datagram_bytes: usize,
    /// Greatest number of slots in the pool of packets that all groups share. The pool grows when a
    /// group is joined, by what that group needs ([`crate::GroupSize::slots`]). Memory is touched
    /// only when a packet uses it. Default 67,108,864: the groups decide.
    pub pool_slots_max: usize,
    /// Greatest number of groups. Default 64.
    pub groups_max: usize,
    /// The connection to the membership service.
    pub client: ClientConfig,
    /// Room at the end of each datagram, besides `datagram_bytes`: for the tag where there are
    /// keys.
    pub(crate) tag_bytes: usize,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            datagram_bytes: 1472,
            pool_slots_max: POOL_SLOTS_LIMIT,
            groups_max: 64,
            client: ClientConfig::default(),
            tag_bytes: 0,
        }
    }
}

impl NodeConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the field, its value and its bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_size("datagram_bytes", self.datagram_bytes, DATAGRAM_BYTES)?;
        check_size("pool_slots_max", self.pool_slots_max, 1..=POOL_SLOTS_LIMIT)?;
        check_size("groups_max", self.groups_max, 1..=GROUPS_LIMIT)?;
        self.client.validate()
    }
}

impl NodeConfig {
    /// Datagrams are sealed from now on: of `datagram_bytes`, `tag_bytes` are for the tag.
    ///
    /// # Errors
    /// Too few would be left.
    pub(crate) fn reserve_tag(&mut self, tag_bytes: usize) -> Result<(), ConfigError> {
        if self.tag_bytes == 0 {
            let (least, most) = (*DATAGRAM_BYTES.start(), *DATAGRAM_BYTES.end());
            check_size("datagram_bytes", self.datagram_bytes, least + tag_bytes..=most)?;
            self.datagram_bytes -= tag_bytes;
            self.tag_bytes = tag_bytes;
        }
        Ok(())
    }
}

/// Setters.
impl NodeConfig {
    setters! {
        with_datagram_bytes(datagram_bytes: usize);
        with_pool_slots_max(pool_slots_max: usize);
        with_groups_max(groups_max: usize);
        with_client(client: ClientConfig);
    }
}
