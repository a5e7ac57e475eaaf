//! The profile of a group: what all of its members must share.
//!
//! A process says with its attachment what it was configured for. The profile of the first member
//! holds. A server lets a process in if its bounds have room for what holds, and tells it what that
//! is; else it refuses the process, and both ends are told the field and both values
//! ([`ProfileMismatch`]).
//!
//! | field | a process whose own value differs |
//! |---|---|
//! | `primary_of`, `order`, `clusters` | is refused |
//! | `message_bytes_max`, `datagram_bytes` | takes the group's if it is smaller than its own; else it is refused |
//! | `window_packets` | uses the smaller of both, unless its own cannot hold the group's largest message: then it is refused |
//! | `peer_ms`, `heartbeat_ms`, `heartbeat_max_ms` | takes the group's |
//!
//! Servers that do not hear each other may have let the first member of a group in twice. When they
//! come together, the profile that has held for longer stays ([`Held::rank`]). Each server tells
//! those of its clients that have another one: they take it with the next view, or are refused as a
//! newcomer would be.
//!
//! A profile goes over the wire as it is, so `wire/message.rs` has its fields. What they mean is
//! here. Whoever is told one asks first whether it is possible at all ([`Profile::is_sound`]).
//!
//! Where views come from somebody else ([`super::external`]), nobody compares profiles: whoever
//! starts the members configures them alike.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::config::{DATAGRAM_BYTES, TIME_MS_LIMIT};
use crate::ident::{FNV_OFFSET, ProcessId, fnv1a};
pub(crate) use crate::wire::message::{Held, Profile};

/// Processes of `primary_of` that a text names.
const NAMED_MAX: usize = 16;

/// That of a process which leaves everything as it is.
impl Default for Profile {
    fn default() -> Self {
        Self {
            message_bytes_max: 1 << 20,
            datagram_bytes: 1452,
            window_packets: 4096,
            window_needed: 800,
            order: 0,
            clusters: false,
            peer_ms: 2000,
            heartbeat_ms: 5,
            heartbeat_max_ms: 1000,
            primary_of: Vec::new(),
        }
    }
}

/// A field in which a process and a group do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfileField {
    /// [`crate::GroupConfig::primary_of`].
    PrimaryOf,
    /// [`crate::GroupConfig::order`].
    Order,
    /// [`crate::GroupConfig::clusters`].
    Clusters,
    /// [`crate::GroupConfig::message_bytes_max`].
    MessageBytesMax,
    /// [`crate::NodeConfig::datagram_bytes`].
    DatagramBytes,
    /// [`crate::GroupConfig::window_packets`].
    WindowPackets,
    /// A field that this version does not know.
    Other,
}

impl fmt::Display for ProfileField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PrimaryOf => "primary_of",
            Self::Order => "order",
            Self::Clusters => "clusters",
            Self::MessageBytesMax => "message_bytes_max",
            Self::DatagramBytes => "datagram_bytes",
            Self::WindowPackets => "window_packets",
            Self::Other => "a field that this version does not know",
        })
    }
}

/// Why a process cannot be in a group: a field, the group's value and that of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileMismatch {
    /// The field.
    pub field: ProfileField,
    /// The value that holds in the group.
    pub group: String,
    /// The value of the process.
    pub own: String,
}

/// As the end of a sentence about the process.
impl fmt::Display for ProfileMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, group, own } = self;
        write!(f, "{field} is {group} in the group and {own} in this process: ")?;
        match field {
            ProfileField::MessageBytesMax => {
                write!(f, "give the process at least the value of the group")
            }
            ProfileField::DatagramBytes => {
                write!(
                    f,
                    "give the process at least the value of the group, or all members that of the process if the MTU \
                     here takes no more"
                )
            }
            ProfileField::WindowPackets => {
                write!(f, "give the process at least the window that the group's messages need")
            }
            _ => write!(f, "give all members the same value"),
        }
    }
}

fn list(processes: &[ProcessId]) -> String {
    let (named, more) = processes.split_at(processes.len().min(NAMED_MAX));
    let mut text = crate::view::DisplaySet(named).to_string();
    if !more.is_empty() {
        text.push_str(&alloc::format!(" and {} more", more.len()));
    }
    text
}

impl Profile {
    /// Whether its numbers are possible ones.
    pub(crate) fn is_sound(&self) -> bool {
        let times = [self.peer_ms, self.heartbeat_ms, self.heartbeat_max_ms];
        usize::try_from(self.datagram_bytes).is_ok_and(|bytes| DATAGRAM_BYTES.contains(&bytes))
            && self.message_bytes_max > 0
            && self.window_needed > 1
            && self.window_needed <= self.window_packets
            && times.iter().all(|ms| (1..=TIME_MS_LIMIT).contains(ms))
            && self.heartbeat_ms <= self.heartbeat_max_ms
            && self.primary_of.len() <= crate::view::VIEW_MEMBERS_MAX
            && self.primary_of.windows(2).all(|pair| pair[0] < pair[1])
    }

    /// Whether a process with this profile has room for `group`.
    pub(crate) fn fits(&self, group: &Self) -> Result<(), ProfileMismatch> {
        let refuse = |field, group: String, own: String| Err(ProfileMismatch { field, group, own });
        if self.order != group.order {
            let name = |code| match crate::order::Order::from_code(code) {
                Some(order) => order.to_string(),
                None => alloc::format!("number {code}"),
            };
            return refuse(ProfileField::Order, name(group.order), name(self.order));
        }
        if self.clusters != group.clusters {
            let (group, own) = (group.clusters.to_string(), self.clusters.to_string());
            return refuse(ProfileField::Clusters, group, own);
        }
        if self.primary_of != group.primary_of {
            let (group, own) = (list(&group.primary_of), list(&self.primary_of));
            return refuse(ProfileField::PrimaryOf, group, own);
        }
        for (field, group, own) in [
            (ProfileField::MessageBytesMax, group.message_bytes_max, self.message_bytes_max),
            (ProfileField::DatagramBytes, group.datagram_bytes, self.datagram_bytes),
            (ProfileField::WindowPackets, group.window_needed, self.window_packets),
        ] {
            if group > own {
                return refuse(field, group.to_string(), own.to_string());
            }
        }
        Ok(())
    }

    /// 64 bits that differ where profiles do.
    pub(crate) fn fingerprint(&self) -> u64 {
        let flags = u64::from(self.order) << 8 | u64::from(self.clusters);
        let numbers = [
            self.message_bytes_max,
            self.datagram_bytes,
            self.window_packets,
            self.window_needed,
            flags,
            self.peer_ms,
            self.heartbeat_ms,
            self.heartbeat_max_ms,
        ];
        let all = numbers.into_iter().chain(self.primary_of.iter().map(|p| p.0));
        all.fold(FNV_OFFSET, |hash, number| fnv1a(hash, &number.to_le_bytes()))
    }
}

impl Held {
    /// The least one stays where two meet.
    pub(crate) fn rank(&self) -> (u64, ProcessId, u64) {
        (self.since_ms, self.founder, self.profile.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// Changes one field.
    type Change = fn(&mut Profile);

    fn with(change: Change) -> Profile {
        let mut profile = Profile::default();
        change(&mut profile);
        profile
    }

    #[test]
    fn a_process_takes_smaller_sizes_and_any_times() {
        let changes: [Change; 6] = [
            |p| p.message_bytes_max = 7,
            |p| p.datagram_bytes = 600,
            |p| (p.window_packets, p.window_needed) = (5, 4),
            |p| p.window_packets += 1,
            |p| p.peer_ms = 9,
            |p| p.heartbeat_max_ms = 9_999,
        ];
        for group in changes.map(with) {
            assert!(group.is_sound());
            assert_eq!(Profile::default().fits(&group), Ok(()), "{group:?}");
            assert_ne!(Profile::default().fingerprint(), group.fingerprint());
        }
    }

    #[test]
    fn a_mismatch_names_the_field_and_both_values() {
        let changes: [(Change, &str); 6] = [
            (
                |p| p.message_bytes_max = 2 << 20,
                "message_bytes_max is 2097152 in the group and 1048576",
            ),
            (|p| p.datagram_bytes = 9000, "datagram_bytes is 9000 in the group and 1452"),
            (|p| p.window_needed = 5000, "window_packets is 5000 in the group and 4096"),
            (
                |p| p.primary_of = vec![ProcessId(1), ProcessId(2)],
                "primary_of is {1,2} in the group and {}",
            ),
            (|p| p.order = 9, "order is number 9 in the group and fifo"),
            (|p| p.clusters = true, "clusters is true in the group and false"),
        ];
        for (change, says) in changes {
            let mismatch = Profile::default().fits(&with(change)).unwrap_err();
            assert!(mismatch.to_string().starts_with(says), "{mismatch}");
        }
    }

    #[test]
    fn long_lists_are_cut_short_in_a_text() {
        let group = with(|p| p.primary_of = (1..=20).map(ProcessId).collect());
        let text = Profile::default().fits(&group).unwrap_err().group;
        assert!(text.ends_with(",16} and 4 more"), "{text}");
    }
}
