//! The configuration of the connection to the membership service.

use core::time::Duration;

use crate::config::bounds::BUFFER_BYTES_LIMIT;
use crate::config::error::{ConfigError, check_size, check_times};
use crate::config::setters::setters;
use crate::config::times::{REDIAL_MOST_MS, attempt_ms, to_ms};
use crate::ident::Deployment;

/// How a process connects to its membership servers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The deployment that this process belongs to. Servers of another deployment refuse it.
    /// Default "default".
    pub deployment: Deployment,
    /// How long a server may be silent before it counts as dead, in ms. Default 1000.
    pub server_silence_ms: u64,
    /// How long this process is silent before it sends the server a heartbeat, in ms. Default 100.
    pub heartbeat_ms: u64,
    /// Pause before the next attempt after a connection was lost or refused, in ms. It is doubled
    /// up to `reconnect_max_ms` while attempts fail. Default 20.
    pub reconnect_ms: u64,
    /// Longest pause between attempts to connect, in ms. Default 250.
    pub reconnect_max_ms: u64,
    /// How long an attempt to connect may take, in ms: longer than a round trip to the farthest
    /// server. Default 500.
    pub connect_ms: u64,
    /// How many bytes may wait to be written to the server. The connection is closed when more
    /// wait. Default 1 MiB.
    pub output_bytes_max: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            deployment: Deployment::default(),
            server_silence_ms: 1000,
            heartbeat_ms: 100,
            reconnect_ms: 20,
            reconnect_max_ms: 250,
            connect_ms: 500,
            output_bytes_max: 1 << 20,
        }
    }
}

impl ClientConfig {
    /// The default with another [`Self::server_silence_ms`], rounded up to a whole ms, and with
    /// the times of heartbeats and of connecting that follow from it: a server that can be reached
    /// again is reached within that time. Where a round trip takes longer than half of it, set a
    /// greater [`Self::connect_ms`].
    #[must_use]
    pub fn for_silence(server_silence: Duration) -> Self {
        let server_silence_ms = to_ms(server_silence);
        let default = Self::default();
        let quarter_ms = (server_silence_ms / 4).max(1);
        Self {
            server_silence_ms,
            heartbeat_ms: default.heartbeat_ms.min(quarter_ms),
            reconnect_ms: default.reconnect_ms.min(quarter_ms),
            reconnect_max_ms: quarter_ms.min(REDIAL_MOST_MS),
            connect_ms: attempt_ms(server_silence_ms),
            ..default
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check_times([
            ("client.server_silence_ms", self.server_silence_ms),
            ("client.heartbeat_ms", self.heartbeat_ms),
            ("client.reconnect_ms", self.reconnect_ms),
            ("client.reconnect_max_ms", self.reconnect_max_ms),
            ("client.connect_ms", self.connect_ms),
        ])?;
        ConfigError::check_given(
            "client.server_silence_ms",
            self.server_silence_ms,
            self.heartbeat_ms + 1..=u64::MAX,
            Some(("client.heartbeat_ms", self.heartbeat_ms)),
        )?;
        check_size("client.output_bytes_max", self.output_bytes_max, 0..=BUFFER_BYTES_LIMIT)
    }
}

/// Setters.
impl ClientConfig {
    setters! {
        with_deployment(deployment: Deployment);
        with_server_silence(server_silence_ms: ms);
        with_heartbeat(heartbeat_ms: ms);
        with_reconnect(reconnect_ms: ms);
        with_reconnect_max(reconnect_max_ms: ms);
        with_connect(connect_ms: ms);
        with_output_bytes_max(output_bytes_max: usize);
    }
}
