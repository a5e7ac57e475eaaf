//! What a node seals with, and who seals otherwise.

use core::fmt;
use core::net::SocketAddr;

use super::Node;
use crate::config::ConfigError;
use crate::endpoint::Verdict;
use crate::seal::{Keys, TAG_BYTES};
use crate::trace::Tracer;
use crate::wire::datagram::KEY_NONE;

/// A datagram came that was not sealed as this node seals, so its sender and this process do not
/// hear each other. In one sentence, it says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtherKeys {
    /// Where the datagram came from. Whoever sent it may have made that up.
    pub from: SocketAddr,
    verdict: Verdict,
    has_keys: bool,
}

impl fmt::Display for OtherKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.from;
        f.write_str(match (self.has_keys, self.verdict) {
            (false, _) => "sealed datagrams come from ",
            (true, Verdict::Clear) => "datagrams in the clear come from ",
            (true, _) => "datagrams that are sealed with another key come from ",
        })?;
        write!(f, "{from}: they are dropped; members of a group have the same keys, or none")
    }
}

impl<T: Tracer> Node<T> {
    /// Everything is sealed with `keys` from now on, and nothing else is heard: to be called before
    /// the first group is joined. Later calls rotate keys; a node that has none stays without,
    /// since its datagrams have no room for a tag.
    ///
    /// The nonce of the incarnation is another one afterwards ([`Node::identity`]): a hash of the
    /// key with which this incarnation signs, and which is drawn from the seed of `keys`. So nobody
    /// else can attach as this incarnation or send its sync messages. What is sealed follows from
    /// it, too: no two nodes of a deployment may have one process id and one seed.
    ///
    /// # Errors
    /// The first time: too few bytes would be left of `NodeConfig::datagram_bytes`, or a group was
    /// joined before.
    pub fn set_keys(&mut self, mut keys: Keys) -> Result<(), ConfigError> {
        if self.shared.keys.is_none() {
            if self.groups.len() > 0 {
                return Err(ConfigError::Rule("keys must be there before a group is joined"));
            }
            self.shared.config.reserve_tag(TAG_BYTES)?;
        }
        keys.set_signer(self.shared.keys.as_ref());
        if let Some(nonce) = keys.nonce() {
            let incarnation = &mut self.shared.identity.incarnation;
            *incarnation = incarnation.with_nonce(nonce);
        }
        self.shared.membership.set_keys(keys.fork());
        self.groups.set_keys(&keys);
        self.shared.keys = Some(keys);
        // The connection to the server may be given up.
        self.drain_membership();
        Ok(())
    }

    /// Whether this node seals what it sends.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.shared.keys.is_some()
    }

    /// The first process that was heard to seal otherwise than this one, for an operator to know;
    /// how many such datagrams there were is in [`Counters`](crate::status::Counters).
    #[must_use]
    pub fn other_keys(&self) -> Option<OtherKeys> {
        self.other_keys
    }

    /// What becomes of a datagram of no group that is known here. Who has another key calls groups
    /// by other selectors, so it may be of one of them.
    pub(super) fn of_no_group(&self, key: u8) -> Verdict {
        let keys = self.shared.keys.as_ref();
        let is_known = key == KEY_NONE || keys.is_some_and(|keys| keys.ring().get(key).is_some());
        if is_known || self.groups.len() == 0 { Verdict::Foreign } else { Verdict::OtherKey }
    }

    /// A datagram from `from` was not opened.
    pub(super) fn note_keys(&mut self, from: SocketAddr, verdict: Verdict) {
        if matches!(verdict, Verdict::Clear | Verdict::OtherKey | Verdict::Forged) {
            let has_keys = self.shared.keys.is_some();
            self.other_keys.get_or_insert(OtherKeys { from, verdict, has_keys });
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;
    use crate::ident::{GroupName, Identity, Incarnation, ProcessId, ServerId};
    use crate::member::{ConnId, Server, ServerConfig};
    use crate::seal::{KeyRing, PORTABLE, RingKey, SECRET_BYTES, Secret, Suite};
    use crate::wire::datagram::{Header, TransmitCounter, finish};
    use crate::wire::reach::{self, REACH_BYTES, Reach, Word};
    use crate::{Action, GroupConfig, NodeConfig, Time};

    const CONN: ConnId = ConnId(1);

    fn keys() -> Keys {
        keys_with(1)
    }

    fn keys_with(id: u8) -> Keys {
        let secret = || Secret::new([1; SECRET_BYTES]);
        let key = RingKey::of_servers(id, Suite::Aes256Gcm, secret()).unwrap();
        Keys::new(KeyRing::new(vec![key]).unwrap(), &PORTABLE, secret())
    }

    fn node(config: NodeConfig) -> Node {
        let addr = ([127, 0, 0, 1], 4000).into();
        let (process, incarnation) = (ProcessId(1), Incarnation::new(1));
        Node::new(config, Identity { process, incarnation, addr, seed: 1 }, 1, ()).unwrap()
    }

    #[test]
    fn the_first_that_seals_otherwise_is_named() {
        let group = GroupName::new("g").unwrap();
        for (is_sealed, key, said) in [
            (true, 0, "datagrams in the clear come from 127.0.0.1:4001"),
            (true, 9, "datagrams that are sealed with another key come from 127.0.0.1:4001"),
            (false, 9, "sealed datagrams come from 127.0.0.1:4001"),
        ] {
            let mut node = node(NodeConfig::default());
            if is_sealed {
                node.set_keys(keys()).unwrap();
            }
            let key_of = node.join(Time::ZERO, &group, GroupConfig::default()).unwrap();
            let header = Header { rank: 0, group: key_of, fingerprint: 7 };
            let said_by = Reach { process: ProcessId(2), target: ProcessId(1), word: Word::Ask };
            let mut bytes = [0; REACH_BYTES];
            reach::encode(&mut bytes, &header, &said_by).unwrap();
            finish(&mut bytes, REACH_BYTES, false, &mut TransmitCounter::default());
            (bytes[3], bytes[6]) = (key, 1);
            assert_eq!(node.other_keys(), None);
            let from = ([127, 0, 0, 1], 4001).into();
            let verdict = node.handle_datagram(Time::ZERO, from, &mut bytes);
            assert!(matches!(verdict, Verdict::Clear | Verdict::OtherKey), "{verdict:?}");
            let text = node.other_keys().unwrap().to_string();
            assert!(text.starts_with(said), "{text}");
        }
    }

    /// The connection to the server is given up under a key that is gone. The groups heard of that
    /// with the next event only.
    #[test]
    fn groups_hear_at_once_that_keys_end_a_connection() {
        let (mut node, now) = (node(NodeConfig::default()), Time::from_millis(1));
        node.set_keys(keys()).unwrap();
        let group = GroupName::new("g").unwrap();
        node.join(now, &group, GroupConfig::default()).unwrap();
        node.handle_connected(now);
        let mut server = Server::new(ServerConfig::default(), ServerId(1), 1).unwrap();
        server.set_keys(keys()).unwrap();
        server.handle_accepted(now, CONN);
        for _ in 0..3 {
            let said = node.stream_output().to_vec();
            node.stream_consumed(said.len());
            server.handle_stream(now, CONN, &said);
            let said = server.output(CONN).to_vec();
            server.consumed(CONN, said.len());
            node.handle_stream(now, &said);
        }
        node.set_keys(keys_with(2)).unwrap();
        let detached = core::iter::from_fn(|| {
            node.poll_action(now).map(|action| matches!(action, Action::Detached { .. }))
        });
        assert!(detached.take(10).any(|is_it| is_it));
    }

    #[test]
    fn keys_need_room_and_come_before_groups() {
        let mut small = node(NodeConfig::default().with_datagram_bytes(512 + TAG_BYTES - 1));
        assert!(small.set_keys(keys()).unwrap_err().to_string().starts_with("datagram_bytes"));
        let mut joined = node(NodeConfig::default());
        let group = GroupName::new("g").unwrap();
        joined.join(Time::ZERO, &group, GroupConfig::default()).unwrap();
        let error = joined.set_keys(keys()).unwrap_err().to_string();
        assert_eq!(error, "keys must be there before a group is joined");
    }
}
