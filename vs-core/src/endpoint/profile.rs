//! What this process was configured for, and what the profile of its group makes of it.

use alloc::string::ToString;

use super::size::GroupSize;
use crate::cast::CastSize;
use crate::config::{ConfigError, GroupConfig};
use crate::member::DetachReason;
use crate::member::profile::{Held, Profile, ProfileField, ProfileMismatch};
use crate::wire::body::packets_for;

/// The configuration of an endpoint: what it uses now, and what it uses from the next view on.
#[derive(Debug)]
pub(super) struct Settings {
    /// As the application gave it.
    own: GroupConfig,
    size: GroupSize,
    now: GroupConfig,
    cast: CastSize,
    /// The profile that holds in the group, if the membership service named one.
    held: Option<Held>,
    next: Option<(GroupConfig, CastSize)>,
}

impl Settings {
    pub(super) fn new(own: GroupConfig, size: GroupSize) -> Self {
        Self { now: own.clone(), cast: size.cast(), own, size, held: None, next: None }
    }

    /// What the group reserves in the node.
    pub(super) fn size(&self) -> &GroupSize {
        &self.size
    }

    /// The sizes of the multicast of a view.
    pub(super) fn cast(&self) -> CastSize {
        self.cast
    }

    /// The longest message that is taken now: one that waits has to be possible in the next view,
    /// too.
    pub(super) fn message_bytes_max(&self) -> usize {
        let next = self.next.as_ref().map_or(usize::MAX, |(next, _)| next.message_bytes_max);
        next.min(self.now.message_bytes_max)
    }

    /// What this process was configured for, as servers are told it.
    pub(super) fn profile(&self) -> Profile {
        let own = &self.own;
        let room = self.size.cast().messages_bytes();
        Profile {
            message_bytes_max: own.message_bytes_max as u64,
            datagram_bytes: self.size.datagram_bytes() as u64,
            window_packets: self.size.window_packets() as u64,
            window_needed: packets_for(own.message_bytes_max, room) as u64 + 1,
            order: own.order.code(),
            clusters: own.clusters,
            peer_ms: own.peer_ms,
            heartbeat_ms: own.heartbeat_ms,
            heartbeat_max_ms: own.heartbeat_max_ms,
            primary_of: own.primary_of.clone(),
        }
    }

    pub(super) fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// The membership service names the profile that holds from the next view on. `longest`: of the
    /// messages that wait.
    pub(super) fn handle_profile(
        &mut self,
        held: Held,
        longest: usize,
    ) -> Result<(), DetachReason> {
        if !held.profile.is_sound() {
            let rule = "the profile of the group has impossible values";
            return Err(DetachReason::Contract(rule.to_string()));
        }
        self.profile().fits(&held.profile).map_err(DetachReason::Profile)?;
        let group = held.profile.message_bytes_max;
        if longest as u64 > group {
            let (group, own) = (group.to_string(), longest.to_string());
            let field = ProfileField::MessageBytesMax;
            return Err(DetachReason::Profile(ProfileMismatch { field, group, own }));
        }
        let next = self.with(&held.profile).map_err(|error| {
            DetachReason::Contract(alloc::format!("the profile of the group: {error}"))
        })?;
        (self.next, self.held) = (Some(next), Some(held));
        Ok(())
    }

    /// The own configuration with all that `group` says.
    fn with(&self, group: &Profile) -> Result<(GroupConfig, CastSize), ConfigError> {
        // Both fit what the process was configured for, and so a usize.
        let (message, datagram) = (group.message_bytes_max as usize, group.datagram_bytes as usize);
        let group_window = usize::try_from(group.window_packets).unwrap_or(usize::MAX);
        let window = self.size.window_packets().min(group_window);
        let config = GroupConfig {
            message_bytes_max: message,
            window_packets: Some(window),
            ack_packets: self.own.ack_packets.min(window / 2),
            peer_ms: group.peer_ms,
            block_ok_ms: self.own.block_ok_ms.min(group.peer_ms.saturating_sub(1)),
            heartbeat_ms: group.heartbeat_ms,
            heartbeat_max_ms: group.heartbeat_max_ms,
            ..self.own.clone()
        };
        let tag_bytes = self.size.cast().tag_bytes();
        let cast = CastSize::new(&config, datagram)?.with_tag(tag_bytes);
        Ok((config, cast))
    }

    /// A view begins: what was agreed for it holds.
    pub(super) fn handle_view(&mut self) {
        if let Some((now, cast)) = self.next.take() {
            (self.now, self.cast) = (now, cast);
        }
    }
}

/// The configuration that is used now.
impl core::ops::Deref for Settings {
    type Target = GroupConfig;

    fn deref(&self) -> &GroupConfig {
        &self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NodeConfig;
    use crate::ident::ProcessId;

    fn settings(own: GroupConfig) -> Settings {
        let size = GroupSize::new(&own, &NodeConfig::default()).unwrap();
        Settings::new(own, size)
    }

    fn held(of: &Settings, change: impl FnOnce(&mut Profile)) -> Held {
        let mut profile = of.profile();
        change(&mut profile);
        Held { since_ms: 1, founder: ProcessId(1), profile }
    }

    #[test]
    fn smaller_sizes_and_times_hold_from_the_next_view_on() {
        let mut settings = settings(GroupConfig::default());
        let (before, cast) = (settings.now.clone(), settings.cast());
        let held = held(&settings, |p| {
            (p.message_bytes_max, p.datagram_bytes, p.window_packets) = (1000, 600, 64);
            (p.window_needed, p.peer_ms, p.heartbeat_max_ms) = (4, 500, 700);
        });
        assert_eq!(settings.handle_profile(held, 1000), Ok(()));
        assert_eq!((&settings.now, settings.cast()), (&before, cast));
        assert_eq!(settings.message_bytes_max(), 1000, "what is sent now may wait");
        settings.handle_view();
        assert_eq!(settings.cast().window_packets(), 64);
        assert!(settings.cast().body_bytes() < 600);
        assert_eq!(
            (settings.peer_ms, settings.block_ok_ms, settings.heartbeat_max_ms),
            (500, 499, 700)
        );
        assert_eq!((settings.ack_packets, settings.message_bytes_max), (32, 1000));
    }

    #[test]
    fn what_this_process_has_no_room_for_is_refused() {
        let mut settings = settings(GroupConfig::default());
        let larger = held(&settings, |p| p.message_bytes_max *= 2);
        let reason = settings.handle_profile(larger, 0).unwrap_err();
        assert!(matches!(reason, DetachReason::Profile(_)) && reason.is_final(), "{reason}");
        let smaller = held(&settings, |p| p.message_bytes_max = 1000);
        let reason = settings.handle_profile(smaller, 1001).unwrap_err();
        assert!(matches!(reason, DetachReason::Profile(_)), "a message waits that is too large");
        let odd = held(&settings, |p| p.datagram_bytes = 1);
        assert!(matches!(settings.handle_profile(odd, 0), Err(DetachReason::Contract(_))));
    }
}
