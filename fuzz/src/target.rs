//! A target is one function over bytes: libFuzzer calls it, or a program that replays files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

/// The program of a target, by the name of its module.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|input: &[u8]| $crate::$name::run(input));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::replay($crate::$name::run)
        }
    };
}

/// Names the input at fault.
struct Current<'a>(&'a Path);

impl Drop for Current<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("input: {}", self.0.display());
        }
    }
}

/// Replays the files, and those in the directories, that the command line names.
#[must_use]
pub fn replay(run: fn(&[u8])) -> ExitCode {
    let files = match files() {
        Ok(files) if !files.is_empty() => files,
        Ok(_) => {
            eprintln!("name files, or directories of files, to be replayed");
            return ExitCode::from(2);
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    for file in &files {
        let input = match fs::read(file) {
            Ok(input) => input,
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                return ExitCode::from(2);
            }
        };
        let _current = Current(file);
        run(&input);
    }
    println!("{} inputs replayed", files.len());
    ExitCode::SUCCESS
}

fn files() -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for arg in env::args_os().skip(1).map(PathBuf::from) {
        if arg.is_dir() {
            let entries: io::Result<Vec<_>> = fs::read_dir(&arg)?.collect();
            let mut inside: Vec<PathBuf> = entries?.iter().map(fs::DirEntry::path).collect();
            inside.sort();
            files.extend(inside);
        } else {
            files.push(arg);
        }
    }
    Ok(files)
}
