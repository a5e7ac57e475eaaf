//! How a world behaves.

use crate::config::setters;
use crate::sim::net::Link;
use crate::time::Time;

/// How a world behaves where nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorldConfig {
    /// Seed of everything random.
    pub seed: u64,
    /// Time at which the world begins. Incarnations and boot epochs are counted in its
    /// milliseconds.
    pub start: Time,
    /// How every path is, until [`World::set_link`](crate::sim::World::set_link) changes one.
    pub link: Link,
    /// Whether the network carries IP multicast. If not, a node's runtime sends one datagram to
    /// each member.
    pub multicast: bool,
    /// Whether a process hears its own multicasts.
    pub loopback: bool,
    /// Datagrams that a runtime takes from a node in one call.
    pub segments_max: usize,
    /// Datagrams that wait for a paused process; more are lost. Of a busy one, in each of its two
    /// sockets.
    pub socket_datagrams: usize,
    /// Processor time that each datagram takes which arrives at a process, in µs. The process is
    /// busy meanwhile: others wait, and its timers are late. 0: none.
    pub datagram_us: u64,
    /// Bytes that a connection holds in each direction before its writer has to wait.
    pub pipe_bytes: usize,
    /// Longest time in which the kernel closes the connections of a killed process, in µs.
    pub close_us: u64,
    /// How many of these closes are resets, in percent. A reset may lose bytes under way.
    pub reset_percent: u64,
    /// How late timers fire at most, in µs.
    pub timer_slack_us: u64,
    /// Whether both servers of a pair dial each other; else only the one with the greater id does.
    pub dial_both: bool,
    /// Of 1000 datagrams, after how many somebody without a key sends one of its own: an old one
    /// again, one that it changed, or one that it made up. Where nothing is sealed that breaks
    /// what is promised.
    pub harm_permille: u16,
    /// Time after which an unanswered request for a connection is sent again, in ms. Linux takes
    /// 1000.
    pub dial_retry_ms: u64,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            start: Time::from_millis(1_000_000),
            link: Link::LAN,
            multicast: true,
            loopback: true,
            segments_max: 8,
            socket_datagrams: 256,
            datagram_us: 0,
            pipe_bytes: 256 << 10,
            close_us: 1_000,
            reset_percent: 0,
            timer_slack_us: 0,
            dial_both: false,
            harm_permille: 0,
            dial_retry_ms: 200,
        }
    }
}

/// Setters.
impl WorldConfig {
    setters! {
        with_seed(seed: u64);
        with_start(start: Time);
        with_link(link: Link);
        with_multicast(multicast: bool);
        with_loopback(loopback: bool);
        with_segments_max(segments_max: usize);
        with_socket_datagrams(socket_datagrams: usize);
        with_datagram(datagram_us: us);
        with_pipe_bytes(pipe_bytes: usize);
        with_close(close_us: us);
        with_reset_percent(reset_percent: u64);
        with_timer_slack(timer_slack_us: us);
        with_dial_both(dial_both: bool);
        with_harm_permille(harm_permille: u16);
        with_dial_retry(dial_retry_ms: ms);
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::ident::{GroupName, ProcessId, ServerId};
    use crate::member::ServerConfig;
    use crate::sim::World;
    use crate::{GroupConfig, NodeConfig};

    #[test]
    fn longest_times_do_not_overflow() {
        let far = Link::LAN
            .with_delay(Duration::MAX)
            .with_jitter(Duration::MAX)
            .with_reorder_permille(1000)
            .with_reorder(Duration::MAX);
        for link in [Link::LAN, far] {
            let config = WorldConfig::default()
                .with_link(link)
                .with_close(Duration::MAX)
                .with_timer_slack(Duration::MAX)
                .with_dial_retry(Duration::MAX);
            let mut world = World::new(config);
            world.add_server(ServerId(1), ServerConfig::default(), 0).unwrap();
            for p in [1, 2].map(ProcessId) {
                world.add_process(p, NodeConfig::default(), &[ServerId(1)], ());
                world.join(p, &GroupName::new("late").unwrap(), GroupConfig::default());
                world.start(p).unwrap();
            }
            world.run_for_ms(100).unwrap();
            world.kill(ProcessId(1));
            world.run_for_ms(100).unwrap();
        }
    }
}
