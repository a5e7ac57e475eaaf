//! Where the bytes of a snapshot lie while they are on their way.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::state::{Broken, Sink, Source};
use crate::ident::{FNV_OFFSET, fnv1a};

/// Keeps the bytes of a snapshot: in memory (`Vec<u8>`), or wherever the runtime likes.
pub trait Spool: fmt::Debug + Send {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// Says why they cannot be kept.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Broken>;

    /// Fills `out` with the bytes from `offset` on; there are as many.
    ///
    /// # Errors
    /// Says why they cannot be read.
    fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<(), Broken>;
}

/// Makes an empty spool.
pub type MakeSpool = fn() -> Box<dyn Spool>;

impl Spool for Vec<u8> {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<(), Broken> {
        let bytes = usize::try_from(offset).ok().and_then(|from| self.get(from..));
        let bytes = bytes.and_then(|bytes| bytes.get(..out.len()));
        out.copy_from_slice(bytes.ok_or_else(|| Broken::new("beyond the end of the snapshot"))?);
        Ok(())
    }
}

/// A spool in memory.
#[must_use]
pub fn in_memory() -> Box<dyn Spool> {
    Box::new(Vec::new())
}

/// A snapshot that is written: its bytes, how many, and their sum.
pub(super) struct Written {
    spool: Box<dyn Spool>,
    len: u64,
    sum: crc32fast::Hasher,
    len_max: u64,
    /// FNV-1a of its bytes, if a trace tells it.
    hash: Option<u64>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Written {
    pub(super) fn new(spool: Box<dyn Spool>, len_max: u64) -> Self {
        Self { spool, len: 0, sum: crc32fast::Hasher::new(), len_max, hash: None }
    }

    /// The same, and its bytes are hashed if a trace tells that.
    pub(super) fn hashed(self, is_traced: bool) -> Self {
        Self { hash: is_traced.then_some(FNV_OFFSET), ..self }
    }

    pub(super) fn hash(&self) -> Option<u64> {
        self.hash
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn sum(&self) -> u32 {
        self.sum.clone().finalize()
    }

    pub(super) fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<(), Broken> {
        self.spool.read_at(offset, out)
    }

    /// Its bytes from the beginning.
    pub(super) fn reader(&mut self) -> Reader<'_> {
        Reader { written: self, at: 0 }
    }
}

impl Sink for Written {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let len = self.len + bytes.len() as u64;
        if len > self.len_max {
            let max = self.len_max;
            return Err(Broken(alloc::format!(
                "the state has more than state_bytes_max, {max} bytes: raise it at all members"
            )));
        }
        self.spool.append(bytes)?;
        self.sum.update(bytes);
        self.hash = self.hash.map(|hash| fnv1a(hash, bytes));
        self.len = len;
        Ok(())
    }
}

/// Reads a snapshot from its beginning.
pub(super) struct Reader<'a> {
    written: &'a mut Written,
    at: u64,
}

impl Source for Reader<'_> {
    fn take(&mut self, out: &mut [u8]) -> Result<usize, Broken> {
        let left = usize::try_from(self.written.len - self.at).unwrap_or(usize::MAX);
        let n = out.len().min(left);
        self.written.spool.read_at(self.at, &mut out[..n])?;
        self.at += n as u64;
        Ok(n)
    }
}
