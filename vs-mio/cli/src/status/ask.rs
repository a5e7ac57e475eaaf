//! A server or a node is asked what it sees.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use vs_core::ident::Deployment;
use vs_core::seal::Keys;
use vs_core::status::{ANSWERS_EVERY_MS, ANSWERS_MAX, Asker, Status};
use vs_core::wire::ChannelError;
use vs_core::wire::PROTOCOL_VERSION;
use vs_core::wire::frame::FrameError;

use crate::failure::Failure;
use crate::keys;
use crate::network::addresses;

/// How long an answer may take, from the first attempt to connect.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// Bytes of one read.
const READ_BYTES: usize = 16 * 1024;

/// It was asked too often, maybe by others.
pub(crate) fn busy(name: &str) -> String {
    let s = ANSWERS_EVERY_MS / 1000;
    format!(
        "{name} was asked more than {ANSWERS_MAX} times within {s} s and answers again then: ask less often (--watch asks \
         once a second)"
    )
}

/// Asks at the addresses that are named, one after the other, until one answers or says why not.
pub(crate) fn ask(
    name: &str,
    deployment: &Deployment,
    mut keys: Option<&mut Keys>,
) -> Result<Status, Failure> {
    let until = Instant::now() + ANSWER_MAX;
    let mut failure = None;
    for addr in addresses(name).map_err(|why| Failure(format!("cannot find {name}: {why}")))? {
        let mut told = connect(addr, until)
            .map(|stream| answer(stream, Asker::new(keys.as_deref_mut(), deployment), until));
        // A node has no key by which it could show what it is, and answers on its host alone.
        if let Ok(Err(NoAnswer::Strange(FrameError::Seal(ChannelError::Clear)))) = told
            && keys::is_loopback(addr.ip())
        {
            told = connect(addr, until)
                .map(|stream| answer(stream, Asker::new(None, deployment), until));
        }
        match told {
            Ok(told) => return told.map_err(|why| why.of(name)),
            Err(error) => failure = Some(error),
        }
    }
    Err(match failure {
        Some(e) if e.kind() == ErrorKind::ConnectionRefused => Failure(format!(
            "nobody listens at {name}: name the address of a `vs server --listen` or of a `vs node --status`"
        )),
        Some(e) => Failure(format!(
            "cannot reach {name} ({}): name an address that leads to a server or a node",
            e.kind()
        )),
        None => Failure(format!("{name} has no address: name one that has")),
    })
}

fn connect(addr: SocketAddr, until: Instant) -> std::io::Result<TcpStream> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    TcpStream::connect_timeout(&addr, left)
}

/// Why there is no answer on a connection.
enum NoAnswer {
    /// Nothing, or not all of it, in time.
    Late,
    /// The connection ended early; after so many bytes.
    Ended(usize),
    /// What came is no answer of this version.
    Strange(FrameError),
}

impl NoAnswer {
    fn of(self, name: &str) -> Failure {
        let own = u16::from(PROTOCOL_VERSION);
        Failure(match self {
            Self::Late => format!(
                "what listens at {name} did not answer within {} s: name the address of a server or a node of vs",
                ANSWER_MAX.as_secs()
            ),
            Self::Strange(FrameError::Version(theirs)) => format!(
                "{name} speaks protocol version {theirs}, this program {own}: ask with the vs of that version"
            ),
            Self::Strange(FrameError::Seal(ChannelError::Sealed)) => format!(
                "{name} answers only who has a key of its deployment: name the file with --key-file"
            ),
            Self::Strange(FrameError::Seal(why)) => {
                format!("there is no sealed connection to {name}: {why}")
            }
            Self::Ended(0) | Self::Strange(FrameError::Magic) => format!(
                "what listens at {name} is not vs, or has no room for another connection: look at what it says, or name \
                 the address of a server or a node of vs"
            ),
            Self::Ended(_) | Self::Strange(_) => format!(
                "{name} speaks protocol version {own} and did not answer: it is an older vs, ask with that one"
            ),
        })
    }
}

fn answer(mut stream: TcpStream, mut asker: Asker, until: Instant) -> Result<Status, NoAnswer> {
    let mut buffer = [0; READ_BYTES];
    let mut heard = 0;
    loop {
        // What is wrong shows when the answer is read.
        let _ = stream.write_all(asker.output());
        asker.consumed(asker.output().len());
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err(NoAnswer::Late);
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Err(NoAnswer::Ended(heard)),
            Ok(n) => {
                heard += n;
                match asker.handle_stream(&buffer[..n]) {
                    Ok(Some(status)) => return Ok(status),
                    Ok(None) => {}
                    Err(error) => return Err(NoAnswer::Strange(error)),
                }
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(NoAnswer::Late);
            }
            Err(_) => return Err(NoAnswer::Ended(heard)),
        }
    }
}
