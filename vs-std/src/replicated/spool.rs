//! Snapshots on their way: in memory while they are small, else in an unnamed file.

use std::io::{Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;
use vs_core::replica::{Broken, Spool};

/// Bytes of a snapshot up to which it stays in memory.
pub const SPOOL_MEMORY_BYTES: usize = 16 << 20;

/// A snapshot in memory, or in a file that has no name and is gone with the process: in the
/// directory for temporary files.
#[derive(Debug)]
struct FileSpool {
    file: SpooledTempFile,
    /// Whether the file stands at its end.
    is_at_end: bool,
    /// What is still to be written to its end.
    tail: Vec<u8>,
}

/// Bytes that are written at a time.
const WRITE_BYTES: usize = 256 << 10;

impl FileSpool {
    fn write(&mut self) -> Result<(), Broken> {
        if !self.is_at_end {
            self.file.seek(SeekFrom::End(0)).map_err(broken)?;
            self.is_at_end = true;
        }
        self.file.write_all(&self.tail).map_err(broken)?;
        self.tail.clear();
        Ok(())
    }
}

/// An empty spool: see [`SPOOL_MEMORY_BYTES`].
#[must_use]
pub fn spool() -> Box<dyn Spool> {
    let file = SpooledTempFile::new(SPOOL_MEMORY_BYTES);
    Box::new(FileSpool { file, is_at_end: true, tail: Vec::new() })
}

fn broken(error: std::io::Error) -> Broken {
    Broken(format!("a snapshot cannot be kept in a temporary file: {error}"))
}

impl Spool for FileSpool {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.tail.extend_from_slice(bytes);
        if self.tail.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<(), Broken> {
        if !self.tail.is_empty() {
            self.write()?;
        }
        self.is_at_end = false;
        self.file.seek(SeekFrom::Start(offset)).map_err(broken)?;
        self.file.read_exact(out).map_err(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_snapshot_is_read_as_it_was_written() {
        let mut spool = spool();
        let block: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        for _ in 0..SPOOL_MEMORY_BYTES / block.len() + 2 {
            spool.append(&block).unwrap();
        }
        let mut out = [0; 3];
        spool.read_at((SPOOL_MEMORY_BYTES + 254) as u64, &mut out).unwrap();
        assert_eq!(out, [254, 255, 0]);
        spool.append(b"end").unwrap();
        let len = SPOOL_MEMORY_BYTES + 2 * block.len();
        spool.read_at(len as u64, &mut out).unwrap();
        assert_eq!(&out, b"end");
        assert!(spool.read_at(len as u64 + 1, &mut out).is_err());
    }
}
