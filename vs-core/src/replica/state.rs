//! What an application replicates, and how its bytes are written and read.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a state, an operation or a snapshot cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

impl Broken {
    /// With its reason, in words.
    pub fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Broken {}

/// Takes the bytes of a snapshot, in order. A library that writes to `std::io::Write` does so with
/// `vs_std::SnapshotWriter`, and reads with `vs_std::SnapshotReader`.
pub trait Sink {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// Says why they cannot be kept.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Broken>;
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// Hands out the bytes of a snapshot, in order. They were checked before.
pub trait Source {
    /// Writes the next bytes to `out`, and says how many: 0 only at the end.
    ///
    /// # Errors
    /// Says why they cannot be read.
    fn take(&mut self, out: &mut [u8]) -> Result<usize, Broken>;
}

/// What an operation or an answer takes, often enough.
const VALUE_BYTES_USUAL: usize = 64;

/// What an application replicates: a deterministic state.
///
/// Every member applies the same operations in the same order. So [`State::apply`] may depend on
/// the state and the operation alone: not on time, random numbers, addresses, threads or the order
/// of a hash map. An operation that cannot be carried out is answered, it is no panic.
pub trait State: Sized {
    /// What changes the state.
    type Op: Serialize + DeserializeOwned;
    /// What an operation answers.
    type Out: Serialize + DeserializeOwned;

    /// Carries out an operation.
    fn apply(&mut self, op: Self::Op) -> Self::Out;

    /// Writes all of the state. Equal states write equal bytes.
    ///
    /// # Errors
    /// Says why it cannot be written: joiners turn to another member.
    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken>;

    /// Makes the state from what [`State::snapshot`] wrote.
    ///
    /// # Errors
    /// Says why it cannot be read: the replica ends with it.
    fn restore(input: &mut dyn Source) -> Result<Self, Broken>;

    /// How an operation and its answer are written: as postcard, if nothing else is said.
    ///
    /// # Errors
    /// Says why it cannot be written.
    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Broken> {
        let room = Vec::with_capacity(VALUE_BYTES_USUAL);
        postcard::to_extend(value, room).map_err(Broken::new)
    }

    /// Reads what [`State::encode`] wrote.
    ///
    /// # Errors
    /// Says why it cannot be read: the replica ends with it.
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Broken> {
        match postcard::take_from_bytes(bytes) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(Broken(alloc::format!("{} bytes are left over", rest.len()))),
            Err(error) => Err(Broken::new(error)),
        }
    }
}

/// Makes a state from a snapshot: [`State::restore`], or what an application has in its place
/// ([`super::Replica::with_restore`]).
pub struct Restore<S>(Arc<RestoreFn<S>>);

type RestoreFn<S> = dyn Fn(&mut dyn Source) -> Result<S, Broken> + Send + Sync;

impl<S> Restore<S> {
    /// Made by `restore`, which keeps what [`State::restore`] promises.
    pub fn new(
        restore: impl Fn(&mut dyn Source) -> Result<S, Broken> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(restore))
    }

    pub(super) fn run(&self, input: &mut dyn Source) -> Result<S, Broken> {
        (self.0)(input)
    }
}

impl<S> Clone for Restore<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for Restore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Restore")
    }
}

/// Most bytes of one [`put_value`].
pub const VALUE_BYTES_MAX: usize = 64 << 20;

/// Writes one value to a snapshot, as postcard behind its length. A state of many entries writes
/// one after the other, and never has them all as bytes.
///
/// # Errors
/// It cannot be written, or has more than [`VALUE_BYTES_MAX`].
pub fn put_value<T: Serialize>(out: &mut dyn Sink, value: &T) -> Result<(), Broken> {
    let bytes = postcard::to_allocvec(value).map_err(Broken::new)?;
    if bytes.len() > VALUE_BYTES_MAX {
        return Err(Broken(alloc::format!("a value of {} bytes is too long", bytes.len())));
    }
    out.put(&(bytes.len() as u32).to_le_bytes())?;
    out.put(&bytes)
}

/// Reads the next value that [`put_value`] wrote; `None` at the end.
///
/// # Errors
/// It cannot be read.
pub fn take_value<T: DeserializeOwned>(input: &mut dyn Source) -> Result<Option<T>, Broken> {
    let mut len = [0; 4];
    match fill(input, &mut len)? {
        0 => return Ok(None),
        4 => {}
        _ => return Err(Broken::new("the snapshot ends within a length")),
    }
    let len = u32::from_le_bytes(len) as usize;
    if len > VALUE_BYTES_MAX {
        return Err(Broken(alloc::format!("a value of {len} bytes is too long")));
    }
    let mut bytes = alloc::vec![0; len];
    if fill(input, &mut bytes)? != len {
        return Err(Broken::new("the snapshot ends within a value"));
    }
    postcard::from_bytes(&bytes).map(Some).map_err(Broken::new)
}

/// Fills `out` as far as there are bytes.
pub(super) fn fill(input: &mut dyn Source, out: &mut [u8]) -> Result<usize, Broken> {
    let mut filled = 0;
    while filled < out.len() {
        match input.take(&mut out[filled..])? {
            0 => break,
            n => filled += n.min(out.len() - filled),
        }
    }
    Ok(filled)
}
