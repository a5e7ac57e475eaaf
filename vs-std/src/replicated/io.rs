//! Snapshots as what [`std::io`] writes to and reads from.

use core::fmt;
use std::io::{self, Read, Write};

use vs_core::replica::{Sink, Source};

/// Writes to a snapshot what a library writes to [`Write`]. Wrap it in a [`io::BufWriter`] if that
/// is done in small pieces, and flush it.
pub struct SnapshotWriter<'a>(&'a mut dyn Sink);

impl fmt::Debug for SnapshotWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotWriter").finish_non_exhaustive()
    }
}

impl<'a> SnapshotWriter<'a> {
    /// Writes to `out`.
    pub fn new(out: &'a mut dyn Sink) -> Self {
        Self(out)
    }
}

impl Write for SnapshotWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.put(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads from a snapshot what a library reads from [`Read`].
pub struct SnapshotReader<'a>(&'a mut dyn Source);

impl fmt::Debug for SnapshotReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotReader").finish_non_exhaustive()
    }
}

impl<'a> SnapshotReader<'a> {
    /// Reads from `input`.
    pub fn new(input: &'a mut dyn Source) -> Self {
        Self(input)
    }
}

impl Read for SnapshotReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.take(out).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use vs_core::replica::Broken;

    use super::*;

    struct Bytes<'a>(&'a [u8]);

    impl Source for Bytes<'_> {
        fn take(&mut self, out: &mut [u8]) -> Result<usize, Broken> {
            self.0.read(out).map_err(Broken::new)
        }
    }

    struct Full;

    impl Sink for Full {
        fn put(&mut self, _: &[u8]) -> Result<(), Broken> {
            Err(Broken::new("it is too long"))
        }
    }

    #[test]
    fn what_a_library_writes_it_reads_again() {
        let mut bytes = Vec::new();
        SnapshotWriter::new(&mut bytes).write_all(b"1 two").unwrap();
        let mut text = String::new();
        SnapshotReader::new(&mut Bytes(&bytes)).read_to_string(&mut text).unwrap();
        assert_eq!(text, "1 two");
    }

    #[test]
    fn a_library_is_told_why_it_cannot_write() {
        let error = SnapshotWriter::new(&mut Full).write_all(b"more").unwrap_err();
        assert_eq!(Broken::new(error).0, "it is too long");
    }
}
