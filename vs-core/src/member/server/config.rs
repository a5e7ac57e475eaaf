//! Bounds and times of a server.

use core::time::Duration;

use crate::config::{
    BUFFER_BYTES_LIMIT, ConfigError, GROUPS_LIMIT, REDIAL_MOST_MS, TIME_MS_LIMIT, attempt_ms,
    setters, to_ms,
};
use crate::ident::Deployment;

/// Greatest [`ServerConfig::connections_max`].
pub const CONNECTIONS_LIMIT: usize = 1 << 20;

/// Greatest [`ServerConfig::peers_max`].
pub const PEERS_LIMIT: usize = 1 << 16;

/// Greatest [`ServerConfig::strangers_max`].
pub const STRANGERS_LIMIT: usize = 1 << 16;

/// Greatest [`ServerConfig::buffers_bytes_max`].
const BUFFERS_BYTES_LIMIT: usize = 1 << 40;

/// Bounds and times of a server.
///
/// Components that can reach each other again have one view within twice `silence_ms`, if that is
/// 300 or more and the link between them has not flapped. An attempt to reach a peer is given up
/// after half of `silence_ms`; the pause to the next attempt is at most a quarter of it; a link has
/// to hold for a quarter before it counts. [`ServerConfig::for_silence`] sets these times for
/// another `silence_ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The deployment of this server. It refuses clients and servers of another one. Default
    /// "default".
    pub deployment: Deployment,
    /// A client or server is taken for dead after this silence, in ms. Default 1000. Among more
    /// than 32 servers a server is after twice that, among more than 64 and 128 after four and
    /// eight times that: each of them sends signs of life to each other one.
    pub silence_ms: u64,
    /// Pause after the last message before a heartbeat is sent, in ms. Default 100.
    pub heartbeat_ms: u64,
    /// How long a change that began with an arrival waits for further changes before the server
    /// proposes, in ms. Clients are told of each change at once, see `announce_max`. Default 3.
    pub gather_join_ms: u64,
    /// How long a change that began with a departure waits for further changes, in ms. Default 0.
    pub gather_crash_ms: u64,
    /// Members of the largest group whose clients are told of each change at once while further
    /// changes are waited for; so the sync round runs beside the wait. In a larger group they are
    /// told of the first change at once, and of the others together when the wait is over: to tell
    /// all of each change takes the square of their number. Default 32.
    pub announce_max: usize,
    /// How long an arrival waits for the clients of servers that have just started, in ms: many
    /// that start together share one view. Default 1500.
    pub gather_max_ms: u64,
    /// How long to wait for further accusations, in ms. Default 100.
    pub accuse_ms: u64,
    /// How long a member that was excluded by accusation stays out, in ms; doubled with each
    /// repetition, up to 16 times this. Default 500.
    pub readmit_ms: u64,
    /// Grace of the clients of a lost server: how long they stay members, in ms. Default 1000.
    pub reattach_ms: u64,
    /// Pause before a peer that is lost or not there is dialled again, in ms, counted from the
    /// beginning of an attempt; doubled up to `redial_max_ms` while nobody answers. Default 100.
    pub redial_ms: u64,
    /// Longest pause before a peer that is not there is dialled again, in ms. Default 250.
    pub redial_max_ms: u64,
    /// First pause before an address is dialled again where this server was refused or no server
    /// answered, in ms; doubled up to `refused_max_ms`. Default 1000.
    pub refused_ms: u64,
    /// Longest pause before such an address is dialled again, in ms. Default 60,000.
    pub refused_max_ms: u64,
    /// Longest time of an attempt to reach a peer, in ms: longer than a round trip to the farthest
    /// one. The system repeats a lost packet of an attempt only after a second, so a new attempt is
    /// quicker. Default 500.
    pub dial_ms: u64,
    /// Most addresses of peers. Default 256.
    pub peers_max: usize,
    /// How long a link that was lost for longer than `reattach_ms` has to hold before it may count
    /// again, in ms; doubled with each such loss up to `link_hold_max_ms`. It counts when the
    /// servers with which this one shares views are ready for it, too, or after the longer of
    /// `dial_ms` and `redial_max_ms` more. Default 250; 0: at once.
    pub link_hold_ms: u64,
    /// Longest time for which a link has to hold, in ms. Default 30,000.
    pub link_hold_max_ms: u64,
    /// A link that has held for this time counts as one that was never lost, in ms. Default
    /// 120,000.
    pub link_forgive_ms: u64,
    /// Pause before a link report of another server is passed on to servers that it does not reach,
    /// in ms: servers that reach each other meanwhile need not be told. Default 50.
    pub pass_on_ms: u64,
    /// How long a server that knows of nobody in a group waits for the members of the view that a
    /// client brings along, in ms: if all attach, they need no other view. Default 3000.
    pub regroup_ms: u64,
    /// Most connections of strangers: accepted, and without a name yet, or with keys: not shown to
    /// have one. For another one, one goes that is drawn from the address that has most of them. A
    /// stranger has a second to show a key, and `silence_ms` to name itself. With keys strangers
    /// that have shown none are open beside `connections_max` others. Default 1024.
    pub strangers_max: usize,
    /// Most open connections. The runtime bounds those that it is still closing. Default 4096.
    pub connections_max: usize,
    /// Most groups. Default 1024.
    pub groups_max: usize,
    /// Bytes that may wait to be written to one connection; beyond, it is closed. Default 4 MiB.
    pub output_bytes_max: usize,
    /// Bytes that all connections together may hold: what waits to be written, and what arrived of
    /// messages that are not complete. Beyond, the connection that holds most is closed. A change
    /// in a group of 2,048 takes 160 MiB for a moment. Default 256 MiB.
    pub buffers_bytes_max: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            deployment: Deployment::default(),
            silence_ms: 1000,
            heartbeat_ms: 100,
            gather_join_ms: 3,
            gather_crash_ms: 0,
            announce_max: 32,
            gather_max_ms: 1500,
            accuse_ms: 100,
            readmit_ms: 500,
            reattach_ms: 1000,
            redial_ms: 100,
            redial_max_ms: 250,
            refused_ms: 1000,
            refused_max_ms: 60_000,
            dial_ms: 500,
            peers_max: 256,
            link_hold_ms: 250,
            link_hold_max_ms: 30_000,
            link_forgive_ms: 120_000,
            pass_on_ms: 50,
            regroup_ms: 3000,
            strangers_max: 1024,
            connections_max: 4096,
            groups_max: 1024,
            output_bytes_max: 4 << 20,
            buffers_bytes_max: 256 << 20,
        }
    }
}

impl ServerConfig {
    /// The default, with another [`Self::silence_ms`], rounded up to a whole ms, and with times
    /// that follow from it: those of heartbeats, of dialling, and for which a link has to hold.
    /// Where a round trip takes longer than half of it (or 2000 ms, if that is less), raise
    /// [`Self::dial_ms`].
    #[must_use]
    pub fn for_silence(silence: Duration) -> Self {
        let silence_ms = to_ms(silence);
        let default = Self::default();
        let quarter_ms = (silence_ms / 4).max(1);
        Self {
            silence_ms,
            heartbeat_ms: default.heartbeat_ms.min(quarter_ms),
            redial_ms: default.redial_ms.min(quarter_ms),
            redial_max_ms: quarter_ms.min(REDIAL_MOST_MS),
            dial_ms: attempt_ms(silence_ms),
            link_hold_ms: default.link_hold_ms.min(quarter_ms),
            ..default
        }
    }

    /// Checks the fields.
    ///
    /// # Errors
    /// Names the first field that cannot be used, its value and the bound that it breaks.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_times()?;
        for (field, value, least, most) in [
            ("peers_max", self.peers_max, 0, PEERS_LIMIT),
            ("strangers_max", self.strangers_max, 1, STRANGERS_LIMIT),
            ("connections_max", self.connections_max, 1, CONNECTIONS_LIMIT),
            ("groups_max", self.groups_max, 1, GROUPS_LIMIT),
            ("output_bytes_max", self.output_bytes_max, 0, BUFFER_BYTES_LIMIT),
            ("buffers_bytes_max", self.buffers_bytes_max, 0, BUFFERS_BYTES_LIMIT),
        ] {
            ConfigError::check(field, value as u64, least as u64..=most as u64)?;
        }
        Ok(())
    }

    fn validate_times(&self) -> Result<(), ConfigError> {
        for (field, ms) in [
            ("silence_ms", self.silence_ms),
            ("heartbeat_ms", self.heartbeat_ms),
            ("dial_ms", self.dial_ms),
            ("redial_ms", self.redial_ms),
            ("redial_max_ms", self.redial_max_ms),
            ("refused_ms", self.refused_ms),
            ("refused_max_ms", self.refused_max_ms),
        ] {
            ConfigError::check(field, ms, 1..=TIME_MS_LIMIT)?;
        }
        for (field, ms) in [
            ("gather_join_ms", self.gather_join_ms),
            ("gather_crash_ms", self.gather_crash_ms),
            ("gather_max_ms", self.gather_max_ms),
            ("accuse_ms", self.accuse_ms),
            ("readmit_ms", self.readmit_ms),
            ("reattach_ms", self.reattach_ms),
            ("link_hold_ms", self.link_hold_ms),
            ("link_hold_max_ms", self.link_hold_max_ms),
            ("link_forgive_ms", self.link_forgive_ms),
            ("pass_on_ms", self.pass_on_ms),
            ("regroup_ms", self.regroup_ms),
        ] {
            ConfigError::check(field, ms, 0..=TIME_MS_LIMIT)?;
        }
        ConfigError::check_given(
            "silence_ms",
            self.silence_ms,
            self.heartbeat_ms + 1..=u64::MAX,
            Some(("heartbeat_ms", self.heartbeat_ms)),
        )?;
        ConfigError::check_given(
            "redial_max_ms",
            self.redial_max_ms,
            self.redial_ms..=u64::MAX,
            Some(("redial_ms", self.redial_ms)),
        )?;
        ConfigError::check_given(
            "refused_max_ms",
            self.refused_max_ms,
            self.refused_ms..=u64::MAX,
            Some(("refused_ms", self.refused_ms)),
        )?;
        ConfigError::check_given(
            "link_hold_max_ms",
            self.link_hold_max_ms,
            self.link_hold_ms..=u64::MAX,
            Some(("link_hold_ms", self.link_hold_ms)),
        )
    }

    /// By how much later one server may reach a peer than another one that could since the same
    /// time, in ms.
    pub(super) fn reach_ms(&self) -> u64 {
        self.dial_ms.max(self.redial_max_ms)
    }
}

/// Setters.
impl ServerConfig {
    setters! {
        with_deployment(deployment: Deployment);
        with_silence(silence_ms: ms);
        with_heartbeat(heartbeat_ms: ms);
        with_gather_join(gather_join_ms: ms);
        with_gather_crash(gather_crash_ms: ms);
        with_announce_max(announce_max: usize);
        with_gather_max(gather_max_ms: ms);
        with_accuse(accuse_ms: ms);
        with_readmit(readmit_ms: ms);
        with_reattach(reattach_ms: ms);
        with_redial(redial_ms: ms);
        with_redial_max(redial_max_ms: ms);
        with_refused(refused_ms: ms);
        with_refused_max(refused_max_ms: ms);
        with_dial(dial_ms: ms);
        with_peers_max(peers_max: usize);
        with_link_hold(link_hold_ms: ms);
        with_link_hold_max(link_hold_max_ms: ms);
        with_link_forgive(link_forgive_ms: ms);
        with_pass_on(pass_on_ms: ms);
        with_regroup(regroup_ms: ms);
        with_strangers_max(strangers_max: usize);
        with_connections_max(connections_max: usize);
        with_groups_max(groups_max: usize);
        with_output_bytes_max(output_bytes_max: usize);
        with_buffers_bytes_max(buffers_bytes_max: usize);
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::*;

    /// Sets one field.
    type Set<V> = fn(&mut ServerConfig, V);

    const TIMES: [(&str, Set<u64>); 18] = [
        ("silence_ms", |c, v| c.silence_ms = v),
        ("heartbeat_ms", |c, v| c.heartbeat_ms = v),
        ("gather_join_ms", |c, v| c.gather_join_ms = v),
        ("gather_crash_ms", |c, v| c.gather_crash_ms = v),
        ("gather_max_ms", |c, v| c.gather_max_ms = v),
        ("accuse_ms", |c, v| c.accuse_ms = v),
        ("readmit_ms", |c, v| c.readmit_ms = v),
        ("reattach_ms", |c, v| c.reattach_ms = v),
        ("redial_ms", |c, v| c.redial_ms = v),
        ("redial_max_ms", |c, v| c.redial_max_ms = v),
        ("refused_ms", |c, v| c.refused_ms = v),
        ("refused_max_ms", |c, v| c.refused_max_ms = v),
        ("dial_ms", |c, v| c.dial_ms = v),
        ("link_hold_ms", |c, v| c.link_hold_ms = v),
        ("link_hold_max_ms", |c, v| c.link_hold_max_ms = v),
        ("link_forgive_ms", |c, v| c.link_forgive_ms = v),
        ("pass_on_ms", |c, v| c.pass_on_ms = v),
        ("regroup_ms", |c, v| c.regroup_ms = v),
    ];

    const SIZES: [(&str, Set<usize>); 6] = [
        ("peers_max", |c, v| c.peers_max = v),
        ("strangers_max", |c, v| c.strangers_max = v),
        ("connections_max", |c, v| c.connections_max = v),
        ("groups_max", |c, v| c.groups_max = v),
        ("output_bytes_max", |c, v| c.output_bytes_max = v),
        ("buffers_bytes_max", |c, v| c.buffers_bytes_max = v),
    ];

    fn error_of(config: &ServerConfig) -> alloc::string::String {
        config.validate().expect_err("it cannot be used").to_string()
    }

    #[test]
    fn default_and_limits_are_valid() {
        assert_eq!(ServerConfig::default().validate(), Ok(()));
        for silence_ms in [2, 4, 1000, TIME_MS_LIMIT] {
            assert_eq!(
                ServerConfig::for_silence(Duration::from_millis(silence_ms)).validate(),
                Ok(()),
                "{silence_ms}"
            );
        }
    }

    #[test]
    fn extreme_time_error_names_value_and_bound() {
        for (field, set) in TIMES {
            for ms in [u64::MAX, u64::MAX / 2, TIME_MS_LIMIT + 1] {
                let mut config = ServerConfig::default();
                set(&mut config, ms);
                let error = error_of(&config);
                assert!(error.starts_with(&alloc::format!("{field} must be ")), "{error}");
                assert!(error.ends_with(&alloc::format!("86400000, but is {ms}")), "{error}");
            }
        }
    }

    #[test]
    fn extreme_size_error_names_value_and_bound() {
        for (field, set) in SIZES {
            let mut config = ServerConfig::default();
            set(&mut config, usize::MAX);
            let (error, end) = (error_of(&config), alloc::format!(", but is {}", usize::MAX));
            assert!(error.starts_with(&alloc::format!("{field} must be ")), "{error}");
            assert!(error.ends_with(&end), "{error}");
        }
        let none = ServerConfig { groups_max: 0, ..ServerConfig::default() };
        assert_eq!(error_of(&none), "groups_max must be 1 to 65536, but is 0");
    }

    #[test]
    fn contradicting_times_are_both_named() {
        let config = ServerConfig { silence_ms: 100, ..ServerConfig::default() };
        assert_eq!(
            error_of(&config),
            "silence_ms must be at least 101 since heartbeat_ms is 100, but is 100"
        );
        let config = ServerConfig { redial_max_ms: 99, ..ServerConfig::default() };
        assert_eq!(
            error_of(&config),
            "redial_max_ms must be at least 100 since redial_ms is 100, but is 99"
        );
    }

    #[test]
    fn extreme_silence_is_refused() {
        let long = [u64::MAX - 1, u64::MAX].map(Duration::from_millis);
        for silence in [Duration::ZERO, Duration::from_nanos(1), long[0], long[1], Duration::MAX] {
            let config = ServerConfig::for_silence(silence);
            assert!(error_of(&config).starts_with("silence_ms must be "));
        }
    }

    /// Every time at its limit, in a server that has clients, loses peers and lets time pass.
    #[test]
    fn longest_times_do_not_overflow() {
        use crate::ident::{NUMBER_MAX, ServerId};
        use crate::member::server::{ConnId, Server};
        use crate::time::Time;

        let mut config = ServerConfig::default();
        for (_, set) in TIMES {
            set(&mut config, TIME_MS_LIMIT);
        }
        config.heartbeat_ms = TIME_MS_LIMIT - 1;
        assert_eq!(config.validate(), Ok(()));
        let mut server = Server::new(config, ServerId(NUMBER_MAX), NUMBER_MAX).unwrap();
        let addr = ([127, 0, 0, 1], 1).into();
        for (at, now) in [Time::ZERO, Time(u64::MAX / 2), Time(u64::MAX)].into_iter().enumerate() {
            server.handle_accepted(now, ConnId(at as u64));
            server.add_peer(now, addr);
            if let Some(addr) = server.poll_dial() {
                server.handle_dial_failed(now, addr, &"nobody");
            }
            server.handle_timeout(now);
        }
        let notes: Vec<_> = core::iter::from_fn(|| server.poll_note()).collect();
        assert_eq!(notes.len(), 1, "{notes:?}");
    }
}
