//! Files of keys.

use core::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use vs_core::seal::{KeyError, KeyRing};
use zeroize::Zeroizing;

/// Longest key file that is read, in bytes.
pub const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// Who may do what with a key file: its owner alone may read it and write to it.
const MODE: u32 = 0o600;

/// What stands above the keys.
const HEADING: &str = "\
# Keys of vs. Whoever has this file can take part: let nobody else read it.
# The first key seals, each one opens.
";

/// Reads the keys of a file that `vs keygen` or [`write_key_file`] wrote. A symbolic link is not
/// followed, and nobody but the owner may be able to read the file.
///
/// # Errors
/// Names the file, what is wrong with it, and what to do.
pub fn read_key_file(path: impl AsRef<Path>) -> Result<KeyRing, KeyFileError> {
    let path = path.as_ref();
    read(path).map_err(|what| KeyFileError { path: path.to_owned(), what })
}

fn read(path: &Path) -> Result<KeyRing, What> {
    let mut options = File::options();
    // One that is no file, such as a pipe, must not make the caller wait.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = file.map_err(|error| match error.kind() {
        ErrorKind::NotFound => What::Missing,
        _ if is_link(&error) => What::NotAFile,
        _ => What::Unreadable(error),
    })?;
    let about = file.metadata().map_err(What::Unreadable)?;
    if !about.is_file() {
        return Err(What::NotAFile);
    }
    if about.mode() & 0o077 != 0 {
        return Err(What::Open(about.mode() & 0o777));
    }
    if about.len() > KEY_FILE_BYTES_MAX {
        return Err(What::Long);
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(about.len() as usize + 1));
    // It may have grown since.
    let most = KEY_FILE_BYTES_MAX + 1;
    file.take(most).read_to_end(&mut bytes).map_err(What::Unreadable)?;
    if bytes.len() as u64 == most {
        return Err(What::Long);
    }
    let text = core::str::from_utf8(&bytes).map_err(|_| What::NoText)?;
    KeyRing::parse(text).map_err(What::Key)
}

/// Writes the keys to a new file, which its owner alone may read. What is at `path` already stays:
/// that is an error, also if it is a symbolic link.
///
/// # Errors
/// Names the file, what is wrong with it, and what to do.
pub fn write_key_file(path: impl AsRef<Path>, ring: &KeyRing) -> Result<(), KeyFileError> {
    let path = path.as_ref();
    write(path, ring).map_err(|what| KeyFileError { path: path.to_owned(), what })
}

fn write(path: &Path, ring: &KeyRing) -> Result<(), What> {
    let mut text = Zeroizing::new(String::with_capacity(4096));
    text.push_str(HEADING);
    for key in ring.iter() {
        text.push_str(&Zeroizing::new(key.line()));
        text.push('\n');
    }
    let mut options = File::options();
    let made = options.write(true).create_new(true).mode(MODE).open(path);
    let mut file = made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => What::InTheWay,
        _ => What::Unwritable(error),
    })?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // Half of a key file is of no use, and it was made here.
        let _ = std::fs::remove_file(path);
        What::Unwritable(error)
    })
}

/// What opening a symbolic link fails with that is not to be followed.
fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

/// Why a file of keys cannot be used: one sentence that says what to do. It never tells a secret.
#[derive(Debug)]
pub struct KeyFileError {
    path: PathBuf,
    what: What,
}

#[derive(Debug)]
enum What {
    Missing,
    NotAFile,
    Open(u32),
    Long,
    NoText,
    Unreadable(io::Error),
    Key(KeyError),
    InTheWay,
    Unwritable(io::Error),
}

impl KeyFileError {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.what {
            What::Missing => {
                write!(f, "there is no key file {path}: make one with `vs keygen {path}`")
            }
            What::NotAFile => write!(
                f,
                "the key file {path} is no regular file (symbolic links are not followed): name the file itself"
            ),
            What::Open(mode) => write!(
                f,
                "others than its owner have rights to the key file {path} (mode {mode:04o}): `chmod 600 {path}`, and \
                 make a new key if others may have read it"
            ),
            What::Long => write!(
                f,
                "{path} has more than {KEY_FILE_BYTES_MAX} bytes and is no key file: name one that `vs keygen` wrote"
            ),
            What::NoText => {
                write!(f, "{path} is not text and no key file: name one that `vs keygen` wrote")
            }
            What::Unreadable(error) => write!(
                f,
                "the key file {path} cannot be read: {error}; let the user of this process own it"
            ),
            What::Key(error) => write!(f, "the key file {path} cannot be used: {error}"),
            What::InTheWay => write!(
                f,
                "{path} is there already, and keys are not overwritten: name another file, or remove that one"
            ),
            What::Unwritable(error) => write!(
                f,
                "the key file {path} cannot be written: {error}; name a file in a directory of this user"
            ),
        }
    }
}

impl core::error::Error for KeyFileError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.what {
            What::Unreadable(error) | What::Unwritable(error) => Some(error),
            What::Key(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use vs_core::seal::{RingKey, Suite};

    use super::*;
    use crate::keys::generate;

    fn ring() -> KeyRing {
        let key = |id, suite| generate(id, suite).unwrap().unwrap();
        KeyRing::new(vec![key(2, Suite::Aes256Gcm), key(1, Suite::ChaCha20Poly1305)]).unwrap()
    }

    fn lines(ring: &KeyRing) -> Vec<String> {
        ring.iter().map(RingKey::line).collect()
    }

    #[track_caller]
    fn refuses<T>(result: Result<T, KeyFileError>, says: &str) {
        let Err(error) = result else { panic!("it was taken") };
        let error = error.to_string();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn key_file_reads_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("KEY");
        let ring = ring();
        write_key_file(&path, &ring).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        assert_eq!(lines(&read_key_file(&path).unwrap()), lines(&ring));
        refuses(write_key_file(&path, &ring), "is there already");
        let link = dir.path().join("link");
        symlink(dir.path().join("elsewhere"), &link).unwrap();
        refuses(write_key_file(&link, &ring), "is there already");
        assert!(!dir.path().join("elsewhere").exists());
        refuses(write_key_file(dir.path().join("no/KEY"), &ring), "cannot be written");
    }

    #[test]
    fn key_file_that_is_unsafe_or_none_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let path = at("KEY");
        refuses(read_key_file(&path), &format!("`vs keygen {}`", path.display()));
        write_key_file(&path, &ring()).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o602] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            refuses(read_key_file(&path), &format!("`chmod 600 {}`", path.display()));
        }
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert!(read_key_file(&path).is_ok());

        symlink(&path, at("link")).unwrap();
        refuses(read_key_file(at("link")), "symbolic links are not followed");
        refuses(read_key_file(dir.path()), "is no regular file");
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR).unwrap();
        refuses(read_key_file(at("pipe")), "is no regular file");

        let write = |bytes: &[u8]| {
            let _ = fs::remove_file(at("file"));
            fs::write(at("file"), bytes).unwrap();
            fs::set_permissions(at("file"), Permissions::from_mode(MODE)).unwrap();
            read_key_file(at("file"))
        };
        refuses(write(b""), "there is no key");
        refuses(write(b"\xff"), "is not text");
        refuses(write(&vec![b'#'; KEY_FILE_BYTES_MAX as usize + 1]), "more than 65536 bytes");
        refuses(write(b"# keys\n1 rot13 00"), "line 2: behind the id stands the suite");
    }
}
