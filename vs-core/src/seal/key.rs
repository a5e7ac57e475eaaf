//! The keys of a deployment, and the text of a key file.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use super::curve::{PUBLIC_BYTES, public_half};
use super::secret::{SECRET_BYTES, Secret};
use super::suite::Suite;

/// Most keys of a ring: those that are being rotated out, and some more.
pub const KEYS_MAX: usize = 8;

/// Greatest id of a key. 0 says that nothing is sealed.
pub const KEY_ID_MAX: u8 = u8::MAX;

/// What stands before the secret of a key of members.
const OF_MEMBERS: &str = "member";

/// Bytes of the longest line of a key file.
const LINE_BYTES_MAX: usize = 256;

/// One key.
#[derive(Clone, Debug)]
pub struct RingKey {
    id: u8,
    suite: Suite,
    /// None on hosts that may not be servers.
    server: Option<Secret>,
    member: Secret,
    /// The public half of the key by which servers show that they are.
    public: [u8; PUBLIC_BYTES],
}

/// What the key by which servers show that they are is derived from, and for.
const STATIC_KEY: &str = "vs server static key";

impl RingKey {
    /// The key of servers with these bytes. `None`: 0 is no id.
    #[must_use]
    pub fn of_servers(id: u8, suite: Suite, secret: Secret) -> Option<Self> {
        let member = secret.derive("vs member key", &[]);
        let public = public_half(&secret.derive(STATIC_KEY, &[]));
        (id != 0).then_some(Self { id, suite, server: Some(secret), member, public })
    }

    /// The key of members with these bytes, and what [`RingKey::public`] says of the key of
    /// servers. `None`: 0 is no id.
    #[must_use]
    pub fn of_members(
        id: u8,
        suite: Suite,
        secret: Secret,
        public: [u8; SECRET_BYTES],
    ) -> Option<Self> {
        (id != 0).then_some(Self { id, suite, server: None, member: secret, public })
    }

    /// Its id, the same at all hosts.
    #[must_use]
    pub fn id(&self) -> u8 {
        self.id
    }

    /// How is sealed with it.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The secret of servers, unless the host may not be one.
    #[must_use]
    pub fn server(&self) -> Option<&Secret> {
        self.server.as_ref()
    }

    /// The secret of members.
    #[must_use]
    pub fn member(&self) -> &Secret {
        &self.member
    }

    /// By what members know servers: the public half of a key of X25519, whose private half follows
    /// from the secret of servers.
    #[must_use]
    pub fn public(&self) -> &[u8; SECRET_BYTES] {
        &self.public
    }

    /// `servers` with another secret of members: of somebody who holds the one and made up the
    /// other.
    #[cfg(test)]
    pub(crate) fn forged(servers: &Self, member: Secret) -> Self {
        Self { member, ..servers.clone() }
    }

    /// The private half of [`RingKey::public`], unless the host may not be a server.
    pub(crate) fn static_secret(&self) -> Option<Secret> {
        self.server.as_ref().map(|secret| secret.derive(STATIC_KEY, &[]))
    }

    /// Its line in a key file, without the end of the line: the secret itself.
    #[must_use]
    pub fn line(&self) -> String {
        let (kind, secret) = match &self.server {
            Some(secret) => ("", secret),
            None => (" member", &self.member),
        };
        // What grows leaves copies behind.
        let mut line = String::with_capacity(LINE_BYTES_MAX);
        // Writing to a string cannot fail.
        let _ = write!(line, "{} {}{kind} ", self.id, self.suite);
        push_hex(secret.bytes(), &mut line);
        if self.server.is_none() {
            line.push(' ');
            push_hex(&self.public, &mut line);
        }
        line
    }
}

fn push_hex(bytes: &[u8; SECRET_BYTES], line: &mut String) {
    bytes.iter().for_each(|byte| _ = write!(line, "{byte:02x}"));
}

/// The keys of a deployment. The first one seals, each one opens; so a key is rotated without a
/// pause: add the new one everywhere, move it to the front everywhere, remove the old one.
#[derive(Clone, Debug)]
pub struct KeyRing {
    /// 1 to [`KEYS_MAX`], each with an id of its own.
    keys: Vec<RingKey>,
}

impl KeyRing {
    /// A ring of these keys, the first of which seals.
    ///
    /// # Errors
    /// There is none, there are more than [`KEYS_MAX`], or two have one id.
    pub fn new(keys: Vec<RingKey>) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError { line: 0, what: What::Empty });
        }
        if keys.len() > KEYS_MAX {
            return Err(KeyError { line: KEYS_MAX + 1, what: What::Many });
        }
        for (at, key) in keys.iter().enumerate() {
            if keys[..at].iter().any(|other| other.id == key.id) {
                return Err(KeyError { line: at + 1, what: What::TwoOfOneId(key.id) });
            }
        }
        Ok(Self { keys })
    }

    /// The ring of a key file: a line `ID SUITE SECRET` or `ID SUITE member SECRET PUBLIC` for each
    /// key, the secret and the public key as 64 hexadecimal digits. Empty lines and those that
    /// begin with `#` are skipped.
    ///
    /// # Errors
    /// Names the line and what is wrong with it, and never a secret.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        let mut lines = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if !text.is_empty() && !text.starts_with('#') {
                keys.push(parse_line(text).map_err(|what| KeyError { line, what })?);
                lines.push(line);
            }
        }
        let line_of = |error: KeyError| {
            let at = error.line.checked_sub(1).and_then(|at| lines.get(at));
            KeyError { line: at.copied().unwrap_or(0), ..error }
        };
        Self::new(keys).map_err(line_of)
    }

    /// The same keys without what makes a server.
    #[must_use]
    pub fn of_members(&self) -> Self {
        let keys = self.keys.iter().map(|key| RingKey { server: None, ..key.clone() });
        Self { keys: keys.collect() }
    }

    /// Whether a server can use the ring.
    ///
    /// # Errors
    /// Names a key that is one of members.
    pub fn check_servers(&self) -> Result<(), KeyError> {
        match self.keys.iter().position(|key| key.server.is_none()) {
            Some(at) => Err(KeyError { line: 0, what: What::OfMembers(self.keys[at].id) }),
            None => Ok(()),
        }
    }

    /// The key that seals.
    #[must_use]
    pub fn first(&self) -> &RingKey {
        &self.keys[0]
    }

    /// The key with this id.
    #[must_use]
    pub fn get(&self, id: u8) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// All keys, the one that seals first.
    pub fn iter(&self) -> impl Iterator<Item = &RingKey> {
        self.keys.iter()
    }
}

fn parse_line(line: &str) -> Result<RingKey, What> {
    let mut words = line.split_whitespace();
    let id = words.next().and_then(|id| id.parse().ok()).filter(|id| *id > 0).ok_or(What::Id)?;
    let suite = words.next().and_then(|suite| suite.parse().ok()).ok_or(What::Suite)?;
    let mut secret = words.next().ok_or(What::Secret)?;
    let is_of_members = secret == OF_MEMBERS;
    if is_of_members {
        secret = words.next().ok_or(What::Secret)?;
    }
    let secret = parse_secret(secret).ok_or(What::Secret)?;
    let key = if is_of_members {
        let public = words.next().and_then(parse_secret).ok_or(What::Public)?;
        RingKey::of_members(id, suite, secret, *public.bytes())
    } else {
        RingKey::of_servers(id, suite, secret)
    };
    if words.next().is_some() {
        return Err(What::More);
    }
    key.ok_or(What::Id)
}

fn parse_secret(hex: &str) -> Option<Secret> {
    let mut bytes = zeroize::Zeroizing::new([0; SECRET_BYTES]);
    if hex.len() != 2 * SECRET_BYTES || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(Secret::new(*bytes))
}

/// Why a text is no ring of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyError {
    /// The line, from 1; 0 if it is none.
    line: usize,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Empty,
    Many,
    TwoOfOneId(u8),
    Id,
    Suite,
    Secret,
    Public,
    More,
    OfMembers(u8),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        match self.what {
            What::Empty => f.write_str("there is no key: make one with `vs keygen`"),
            What::Many => write!(f, "there are more than {KEYS_MAX} keys: remove old ones"),
            What::TwoOfOneId(id) => write!(f, "two keys have the id {id}: give one another"),
            What::Id => write!(f, "a key begins with its id, 1 to {KEY_ID_MAX}"),
            What::Suite => {
                f.write_str("behind the id stands the suite: ")?;
                for (at, suite) in Suite::ALL.into_iter().enumerate() {
                    write!(f, "{}{suite}", if at == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
            What::Secret => write!(
                f,
                "behind the suite stands the secret, {} hexadecimal digits",
                2 * SECRET_BYTES
            ),
            What::Public => write!(
                f,
                "behind the secret of members stands the public key of servers, {} hexadecimal digits",
                2 * SECRET_BYTES
            ),
            What::OfMembers(id) => {
                write!(f, "the key {id} is one of members: a server needs the key of servers")
            }
            What::More => f.write_str("behind the key stands something more"),
        }
    }
}

impl core::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    fn key(id: u8, byte: u8) -> RingKey {
        RingKey::of_servers(id, Suite::Aes256Gcm, Secret::new([byte; SECRET_BYTES])).unwrap()
    }

    #[test]
    fn file_reads_as_it_was_written() {
        let ring = KeyRing::new(Vec::from([key(3, 1), key(1, 2)])).unwrap();
        let members = ring.of_members();
        for ring in [&ring, &members] {
            let lines: Vec<String> = ring.iter().map(RingKey::line).collect();
            let read = KeyRing::parse(&format!("# keys\n\n{}\n", lines.join("\n"))).unwrap();
            assert_eq!(read.iter().map(RingKey::line).collect::<Vec<_>>(), lines);
            assert_eq!((read.first().id(), read.get(1).unwrap().id()), (3, 1));
            assert_eq!(read.first().member().bytes(), members.first().member().bytes());
            assert_eq!(read.first().public(), members.first().public());
        }
        assert!(ring.first().server().is_some() && members.first().server().is_none());
        assert_eq!(ring.check_servers(), Ok(()));
        let error = members.check_servers().unwrap_err().to_string();
        assert_eq!(error, "the key 3 is one of members: a server needs the key of servers");
        assert!(members.first().line().starts_with("3 aes-256-gcm member "));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_without_secrets() {
        let good = key(1, 0xab).line();
        let of_members = KeyRing::new(Vec::from([key(1, 0xab)])).unwrap().of_members();
        let of_members = of_members.first().line();
        let many: String = (1..=9).map(|id| key(id, 1).line() + "\n").collect();
        for (text, says) in [
            ("".to_string(), "there is no key"),
            (format!("{good}\n\n{good}"), "line 3: two keys have the id 1"),
            (many, "line 9: there are more than 8"),
            (good.replacen('1', "0", 1), "line 1: a key begins with its id"),
            (good.replacen('1', "256", 1), "line 1: a key begins with its id"),
            (good.replace("aes-256-gcm", "rot13"), "line 1: behind the id stands the suite"),
            (good.replace("abab", "ab"), "line 1: behind the suite stands the secret, 64"),
            (good.replacen("ab", "xy", 1), "line 1: behind the suite stands the secret, 64"),
            (format!("{good} more"), "line 1: behind the key stands something more"),
            (of_members[..90].into(), "line 1: behind the secret of members stands the public key"),
            (format!("{of_members} more"), "line 1: behind the key stands something more"),
        ] {
            let error = KeyRing::parse(&text).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
            assert!(!error.contains("abab"));
        }
    }
}
