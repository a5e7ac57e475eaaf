//! Golden bytes: what is sent, in files, so that a change of a format cannot go unnoticed.
//!
//! A file of `vs-core/tests/golden` holds one sample: lines that begin with `#` say what it is, the
//! others are its bytes in hexadecimal.

extern crate std;

use std::fs;
use std::path::PathBuf;
use std::string::String;
use std::vec::Vec;
use std::{env, format};

/// Bytes in one line of a file.
const LINE_BYTES: usize = 32;

/// One sample.
pub(crate) struct Sample {
    /// The name of the file, without its ending.
    pub(crate) name: String,
    /// What it is, in one line.
    pub(crate) what: String,
    pub(crate) bytes: Vec<u8>,
}

impl Sample {
    fn text(&self) -> String {
        let mut text = format!("# {}\n", self.what);
        for line in self.bytes.chunks(LINE_BYTES) {
            let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            text.push_str(&hex.join(" "));
            text.push('\n');
        }
        text
    }
}

/// The bytes that a file holds.
fn bytes_of(text: &str) -> Vec<u8> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let bytes = lines.flat_map(str::split_whitespace);
    bytes.map(|byte| u8::from_str_radix(byte, 16).expect("two hexadecimal digits")).collect()
}

/// Compares `samples` with the files of `tests/golden/FOLDER`, and returns what the files hold.
/// With `VS_GOLDEN=write` in the environment it writes the files first.
pub(crate) fn check(folder: &str, version: &str, samples: &[Sample]) -> Vec<Vec<u8>> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "golden", folder].iter().collect();
    if env::var("VS_GOLDEN").is_ok_and(|word| word == "write") {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for sample in samples {
            fs::write(folder.join(format!("{}.hex", sample.name)), sample.text()).unwrap();
        }
    }
    let files = fs::read_dir(&folder).map_or(0, Iterator::count);
    assert_eq!(files, samples.len(), "{}: one file for each sample", folder.display());
    let read = |sample: &Sample| {
        let path = folder.join(format!("{}.hex", sample.name));
        let bytes = bytes_of(&fs::read_to_string(&path).unwrap_or_default());
        assert!(
            bytes == sample.bytes,
            "{}: what is sent has changed. If that is meant, it is a change of the format: decide by the rule beside \
             {version} whether to raise it, describe the bytes there, then run this test with VS_GOLDEN=write.\n\
             file:    {bytes:02x?}\nwritten: {:02x?}",
            path.display(),
            sample.bytes,
        );
        bytes
    };
    samples.iter().map(read).collect()
}
