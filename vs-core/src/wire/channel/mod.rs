//! One sealed connection, without I/O: bytes that arrived go in and plaintext comes out, plaintext
//! goes in and bytes to be written come out.
//!
//! What goes over the connection behind the preambles, in both directions, is
//!
//! ```text
//! dialled  → accepted   party u8 | key id u8 | suite u8
//! accepted → dialled    challenge, 16 random bytes
//! dialled  → accepted   record of 64 bytes: proof, then e and the tag
//! accepted → dialled    record of 48 bytes: e and the tag; or of 1 byte: why not
//! both                  records, until the connection ends
//! ```
//!
//! - **A record** is the length of the rest, `u16`, little-endian, and so many bytes. After the
//!   handshake these are sealed: at most 16 KiB of plaintext, and a tag of 16 bytes.
//! - **Party**: 1 a client, or an operator who asks for the status; 2 a server.
//! - **Suite**: 1 AES-256-GCM, 2 ChaCha20-Poly1305.
//! - **Why not**: 1 there is no key of this id; 2 it has another suite; 3 it is another key.
//!
//! The handshake is `Noise_NKpsk0_25519_AESGCM_SHA256`, or with `ChaChaPoly`, as the suite of the
//! key says ([Noise, revision 34](https://noiseprotocol.org/noise.html)). All servers have one
//! static key, whose private half is derived from the secret of servers: so whoever holds the key
//! of members alone cannot answer as a server.
//!
//! The prologue is: the version of the preambles, party, key id and suite, the challenge, the name
//! of the deployment. The preshared key is derived from the prologue and the secret of members, for
//! a server from that of servers. Since the challenge is new for each connection, a first message
//! that was recorded opens no other one.
//!
//! The proof is 16 bytes that are derived from the preshared key. Noise shows the same, but only
//! behind a multiplication on the curve: who has no key should not cost that much.

mod error;
mod resolver;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use snow::{Builder, HandshakeState, TransportState};
use zeroize::{Zeroize, Zeroizing};

pub use error::ChannelError;
use resolver::{Resolver, noise_name};

use crate::seal::PUBLIC_BYTES;
use crate::seal::{KeyRing, Keys, RingKey, Secret, Suite, TAG_BYTES};

/// Bytes of a challenge.
const CHALLENGE_BYTES: usize = 16;

/// Bytes in which the dialling side says who it is and which key it has.
const HELLO_BYTES: usize = 3;

/// Bytes of a record's length.
const LENGTH_BYTES: usize = 2;

/// Bytes that show that the dialling side has the key.
const PROOF_BYTES: usize = 16;

/// Bytes of either message of the handshake.
const MESSAGE_BYTES: usize = PUBLIC_BYTES + TAG_BYTES;

/// Bytes of the hash of a handshake.
const HASH_BYTES: usize = 32;

/// Bytes of a record that says why there will be no handshake.
const FAILURE_BYTES: usize = 1;

/// Most plaintext in a record, in bytes.
const RECORD_BYTES_MAX: usize = 16 << 10;

/// Who dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    /// A client, or an operator.
    Client,
    Server,
}

/// What both sides of a connection have to agree on besides the key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// The version in the preambles.
    pub(crate) version: u16,
    /// The name of the deployment.
    pub(crate) deployment: &'a str,
}

/// What the dialling side says first.
#[derive(Clone, Copy, Debug)]
struct Hello {
    party: Party,
    key: u8,
    suite: u8,
}

impl Hello {
    fn bytes(self) -> [u8; HELLO_BYTES] {
        [if self.party == Party::Client { 1 } else { 2 }, self.key, self.suite]
    }

    fn read([party, key, suite]: [u8; HELLO_BYTES]) -> Result<Self, ChannelError> {
        let party = match party {
            1 => Party::Client,
            2 => Party::Server,
            _ => return Err(ChannelError::Handshake),
        };
        Ok(Self { party, key, suite })
    }
}

fn suite_code(suite: Suite) -> u8 {
    match suite {
        Suite::Aes256Gcm => 1,
        Suite::ChaCha20Poly1305 => 2,
    }
}

/// How far a connection is.
enum State {
    /// Dialled: the challenge is to come.
    Challenge(Hello),
    /// Accepted: who dials is to come.
    Hello([u8; CHALLENGE_BYTES]),
    /// Accepted: the first message is to come.
    First(Hello, [u8; CHALLENGE_BYTES]),
    /// Dialled: the answer is to come.
    Answer(Hello, Box<HandshakeState>),
    Up(Party, Box<TransportState>),
    Failed(ChannelError),
}

/// One sealed connection.
pub(crate) struct Channel {
    state: State,
    keys: Keys,
    version: u16,
    deployment: String,
    /// The key that is used: its id and the public half of servers.
    used: Option<(u8, [u8; PUBLIC_BYTES])>,
    /// The hash of the handshake, once it is done.
    binding: Option<[u8; HASH_BYTES]>,
    /// What arrived of the next piece.
    arrived: Vec<u8>,
    /// Plaintext that is to be sealed once the handshake is done.
    waiting: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Challenge(_) | State::Hello(_) | State::First(..) | State::Answer(..) => "opens",
            State::Up(..) => "is up",
            State::Failed(_) => "failed",
        };
        f.debug_struct("Channel").field("state", &state).finish_non_exhaustive()
    }
}

impl Channel {
    /// The channel of the side that dialled. It says who it is behind its preamble, which `out` has
    /// already.
    pub(crate) fn dialled(
        keys: &mut Keys,
        party: Party,
        context: Context<'_>,
        out: &mut Vec<u8>,
    ) -> Self {
        let first = keys.ring().first();
        let hello = Hello { party, key: first.id(), suite: suite_code(first.suite()) };
        out.extend_from_slice(&hello.bytes());
        Self::new(keys, context, State::Challenge(hello))
    }

    /// The channel of the side that accepted. Its challenge stands behind its preamble, which `out`
    /// has already.
    pub(crate) fn accepted(keys: &mut Keys, context: Context<'_>, out: &mut Vec<u8>) -> Self {
        let mut challenge = [0; CHALLENGE_BYTES];
        keys.draw().expand("vs channel challenge", &[], &mut challenge);
        out.extend_from_slice(&challenge);
        Self::new(keys, context, State::Hello(challenge))
    }

    fn new(keys: &mut Keys, context: Context<'_>, state: State) -> Self {
        Self {
            state,
            keys: keys.fork(),
            version: context.version,
            deployment: context.deployment.into(),
            used: None,
            binding: None,
            arrived: Vec::new(),
            waiting: Zeroizing::default(),
        }
    }

    /// Who dialled, once the handshake has shown it. The side that accepted is always a server.
    pub(crate) fn party(&self) -> Option<Party> {
        match self.state {
            State::Up(party, _) => Some(party),
            _ => None,
        }
    }

    /// Whether the handshake is done.
    pub(crate) fn is_up(&self) -> bool {
        self.party().is_some()
    }

    /// Whether the connection was made under a key of `ring`.
    pub(crate) fn is_of(&self, ring: &KeyRing) -> bool {
        let Some((id, public)) = self.used else { return false };
        self.is_up() && ring.get(id).is_some_and(|key| *key.public() == public)
    }

    /// What stands for this connection alone, and both ends know; none before the handshake is
    /// done.
    pub(crate) fn binding(&self) -> Option<&[u8]> {
        self.binding.as_ref().map(<[u8; HASH_BYTES]>::as_slice)
    }

    /// Bytes that wait until the handshake is done.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes that arrived of a record that is not complete.
    pub(crate) fn arrived_bytes(&self) -> usize {
        self.arrived.len()
    }

    /// Seals `plain` behind `out`, or keeps it until the handshake is done.
    pub(crate) fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        match &mut self.state {
            State::Up(_, transport) => seal(transport, plain, out),
            State::Failed(_) => {}
            _ => self.waiting.extend_from_slice(plain),
        }
    }

    /// Bytes arrived. What was sealed in them is appended to `plain`, and what is to be answered to
    /// `out`.
    ///
    /// # Errors
    /// Nothing more can be read or sent, and the connection is to be closed once `out` is written.
    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), ChannelError> {
        if let State::Failed(error) = self.state {
            return Err(error);
        }
        let mut arrived = core::mem::take(&mut self.arrived);
        arrived.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            match self.step(&arrived[at..], plain, out) {
                Ok(0) => break,
                Ok(taken) => at += taken,
                Err(error) => {
                    self.waiting = Zeroizing::default();
                    self.state = State::Failed(error);
                    return Err(error);
                }
            }
        }
        // Between two records nothing is kept: most connections are idle. Of a record that is not
        // complete no more is kept than arrived.
        if at < arrived.len() {
            self.arrived = arrived[at..].to_vec();
        }
        Ok(())
    }

    /// Takes the next piece; returns how many bytes it took. 0: it is not complete.
    fn step(
        &mut self,
        bytes: &[u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<usize, ChannelError> {
        match &mut self.state {
            State::Challenge(hello) => {
                let (hello, Some(challenge)) = (*hello, bytes.first_chunk()) else { return Ok(0) };
                self.handle_challenge(hello, challenge, out)?;
                return Ok(CHALLENGE_BYTES);
            }
            State::Hello(challenge) => {
                let (challenge, Some(hello)) = (*challenge, bytes.first_chunk()) else {
                    return Ok(0);
                };
                self.handle_hello(Hello::read(*hello)?, &challenge, out)?;
                return Ok(HELLO_BYTES);
            }
            _ => {}
        }
        let Some((len, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Ok(0) };
        let len = usize::from(u16::from_le_bytes(*len));
        if !self.may_be_long(len) {
            return Err(if self.is_up() { ChannelError::Forged } else { ChannelError::Handshake });
        }
        let Some(record) = rest.get(..len) else { return Ok(0) };
        match &mut self.state {
            State::First(hello, challenge) => {
                let (hello, challenge) = (*hello, *challenge);
                self.handle_first(hello, &challenge, record, out)?;
            }
            State::Answer(..) => self.handle_answer(record, out)?,
            State::Up(_, transport) => open(transport, record, plain)?,
            State::Challenge(_) | State::Hello(_) | State::Failed(_) => return Ok(0),
        }
        Ok(LENGTH_BYTES + len)
    }

    /// Whether a record may be so long now.
    fn may_be_long(&self, len: usize) -> bool {
        match self.state {
            State::First(..) => len == PROOF_BYTES + MESSAGE_BYTES,
            State::Answer(..) => len == MESSAGE_BYTES || len == FAILURE_BYTES,
            _ => (TAG_BYTES + 1..=TAG_BYTES + RECORD_BYTES_MAX).contains(&len),
        }
    }

    fn handle_challenge(
        &mut self,
        hello: Hello,
        challenge: &[u8; CHALLENGE_BYTES],
        out: &mut Vec<u8>,
    ) -> Result<(), ChannelError> {
        let key = self.keys.ring().get(hello.key).ok_or(ChannelError::Handshake)?.clone();
        let prologue = self.prologue(hello, challenge);
        // Whoever has no key of servers finds out here, before it is known as a server.
        let psk = preshared(&key, hello.party, &prologue).ok_or(ChannelError::Other(hello.key))?;
        let mut noise = self.noise(&key, &prologue, &psk, true)?;
        let mut first = proof(&psk).to_vec();
        first.extend_from_slice(&next_message(&mut noise)?);
        push_record(&first, out);
        self.state = State::Answer(hello, Box::new(noise));
        Ok(())
    }

    fn handle_hello(
        &mut self,
        hello: Hello,
        challenge: &[u8; CHALLENGE_BYTES],
        out: &mut Vec<u8>,
    ) -> Result<(), ChannelError> {
        let key = self.keys.ring().get(hello.key).filter(|key| key.server().is_some());
        let Some(key) = key else {
            push_record(&[1], out);
            return Err(ChannelError::NotHere(hello.key));
        };
        if suite_code(key.suite()) != hello.suite {
            push_record(&[2], out);
            return Err(ChannelError::Suite(hello.key));
        }
        self.state = State::First(hello, *challenge);
        Ok(())
    }

    /// Accepted: the first message shows whether the other side has the key.
    fn handle_first(
        &mut self,
        hello: Hello,
        challenge: &[u8; CHALLENGE_BYTES],
        record: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ChannelError> {
        let key = self.keys.ring().get(hello.key).ok_or(ChannelError::Handshake)?.clone();
        let prologue = self.prologue(hello, challenge);
        let psk = preshared(&key, hello.party, &prologue).ok_or(ChannelError::Handshake)?;
        let (shown, message) = record.split_at(PROOF_BYTES);
        let mut read = None;
        if are_equal(shown, &proof(&psk)) {
            let mut noise = self.noise(&key, &prologue, &psk, false)?;
            read = noise.read_message(message, &mut []).is_ok().then_some(noise);
        }
        let Some(mut noise) = read else {
            push_record(&[3], out);
            return Err(ChannelError::Other(hello.key));
        };
        push_record(&next_message(&mut noise)?, out);
        self.begin(hello, noise, out)
    }

    /// Dialled: the answer shows whether the other side is a server.
    fn handle_answer(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<(), ChannelError> {
        let broken = State::Failed(ChannelError::Handshake);
        let State::Answer(hello, mut noise) = core::mem::replace(&mut self.state, broken) else {
            return Err(ChannelError::Handshake);
        };
        if let [why] = record {
            return Err(match why {
                1 => ChannelError::NotThere(hello.key),
                2 => ChannelError::Suite(hello.key),
                3 => ChannelError::Other(hello.key),
                _ => ChannelError::Handshake,
            });
        }
        noise.read_message(record, &mut []).map_err(|_| ChannelError::Other(hello.key))?;
        self.begin(hello, *noise, out)
    }

    /// The handshake is done: what waited is sealed.
    fn begin(
        &mut self,
        hello: Hello,
        noise: HandshakeState,
        out: &mut Vec<u8>,
    ) -> Result<(), ChannelError> {
        self.binding = noise.get_handshake_hash().try_into().ok();
        let transport = noise.into_transport_mode().map_err(|_| ChannelError::Handshake)?;
        let mut transport = Box::new(transport);
        seal(&mut transport, &core::mem::take(&mut self.waiting), out);
        self.state = State::Up(hello.party, transport);
        let key = self.keys.ring().get(hello.key);
        self.used = key.map(|key| (key.id(), *key.public()));
        Ok(())
    }

    /// What both sides have to agree on.
    fn prologue(&self, hello: Hello, challenge: &[u8; CHALLENGE_BYTES]) -> Vec<u8> {
        let mut prologue = Vec::from(self.version.to_le_bytes());
        prologue.extend_from_slice(&hello.bytes());
        prologue.extend_from_slice(challenge);
        prologue.extend_from_slice(self.deployment.as_bytes());
        prologue
    }

    /// A handshake under `key`.
    fn noise(
        &mut self,
        key: &RingKey,
        prologue: &[u8],
        psk: &Secret,
        dialled: bool,
    ) -> Result<HandshakeState, ChannelError> {
        let own = key.static_secret();
        let resolver = Box::new(Resolver::new(&mut self.keys));
        let name = format!("Noise_NKpsk0_25519_{}_SHA256", noise_name(key.suite()));
        let make = || {
            let builder = Builder::with_resolver(name.parse()?, resolver);
            let builder = builder.prologue(prologue)?.psk(0, psk.bytes())?;
            match (dialled, &own) {
                (true, _) => builder.remote_public_key(key.public())?.build_initiator(),
                (false, Some(own)) => builder.local_private_key(own.bytes())?.build_responder(),
                (false, None) => builder.build_responder(),
            }
        };
        make().map_err(|_: snow::Error| ChannelError::Handshake)
    }
}

/// What both sides know before the handshake; none if `key` is none of that party.
fn preshared(key: &RingKey, party: Party, prologue: &[u8]) -> Option<Secret> {
    match party {
        Party::Client => Some(key.member().derive("vs stream of clients", &[prologue])),
        Party::Server => key.server().map(|key| key.derive("vs stream of servers", &[prologue])),
    }
}

/// What shows that somebody knows `psk`.
fn proof(psk: &Secret) -> [u8; PROOF_BYTES] {
    let mut proof = [0; PROOF_BYTES];
    psk.expand("vs stream proof", &[], &mut proof);
    proof
}

/// Compares in a time that does not tell where they differ.
fn are_equal(one: &[u8], other: &[u8; PROOF_BYTES]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// Appends a record of the handshake.
fn push_record(record: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(record.len() as u16).to_le_bytes());
    out.extend_from_slice(record);
}

/// The next message of the handshake.
fn next_message(noise: &mut HandshakeState) -> Result<[u8; MESSAGE_BYTES], ChannelError> {
    let mut message = [0; MESSAGE_BYTES];
    match noise.write_message(&[], &mut message) {
        Ok(MESSAGE_BYTES) => Ok(message),
        _ => Err(ChannelError::Handshake),
    }
}

/// Appends `plain` in records.
fn seal(transport: &mut TransportState, plain: &[u8], out: &mut Vec<u8>) {
    for piece in plain.chunks(RECORD_BYTES_MAX) {
        let len = piece.len() + TAG_BYTES;
        out.extend_from_slice(&(len as u16).to_le_bytes());
        let at = out.len();
        out.resize(at + len, 0);
        // Fails beyond 2^64 records alone. Zeroes open nowhere.
        let sealed = transport.write_message(piece, &mut out[at..]);
        debug_assert_eq!(sealed, Ok(len));
    }
}

/// Appends zeroes; what has to move leaves nothing behind.
fn grow(plain: &mut Vec<u8>, by: usize) {
    let len = plain.len() + by;
    if plain.capacity() < len {
        let mut wider = Vec::with_capacity(len.max(2 * plain.capacity()));
        wider.extend_from_slice(plain);
        plain.zeroize();
        *plain = wider;
    }
    plain.resize(len, 0);
}

/// Appends what was sealed in a record.
fn open(
    transport: &mut TransportState,
    record: &[u8],
    plain: &mut Vec<u8>,
) -> Result<(), ChannelError> {
    let at = plain.len();
    grow(plain, record.len() - TAG_BYTES);
    if transport.read_message(record, &mut plain[at..]).is_err() {
        plain.truncate(at);
        return Err(ChannelError::Forged);
    }
    Ok(())
}
