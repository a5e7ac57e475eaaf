//! A file with options, against the whole command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::CommandFactory;
use toml::de::DeValue;

use crate::config::{expand, words};
use crate::failure::Failure;

fn expanded(text: &str, typed: &[&str]) -> Result<Vec<String>, String> {
    let file = tempfile(text);
    let path = file.display().to_string();
    let args = ["vs", "node", "--config", &path];
    let args = args.iter().chain(typed).map(OsString::from).collect();
    let mut command = crate::Cli::command();
    command.build();
    let all = expand(&command, args).map_err(|Failure(why)| why.replace(&path, "FILE"));
    let _ = std::fs::remove_file(file);
    Ok(all?.iter().map(|arg| arg.to_string_lossy().replace(&path, "FILE")).collect())
}

fn tempfile(text: &str) -> PathBuf {
    use core::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("vs-config-{}-{count}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn keys_of_the_file_are_options() {
    let file = "group = 'g'\nid = 7\nserver = ['a:1', 'b:2']\nunicast = true\njson = false\n";
    let words = expanded(file, &["--id", "8"]).unwrap();
    let expected = [
        "vs",
        "node",
        "--group=g",
        "--server=a:1",
        "--server=b:2",
        "--unicast",
        "--config",
        "FILE",
        "--id",
        "8",
    ];
    assert_eq!(words, expected, "what is typed wins");
    let words = expanded("group = 'g'\nkey-file = 'KEY'\n", &["--insecure"]).unwrap();
    assert!(!words.contains(&"--key-file=KEY".to_owned()), "what is typed excludes it: {words:?}");
}

#[test]
fn file_counts_behind_options_of_all_verbs() {
    let file = tempfile("group = 'g'\n");
    let path = file.display().to_string();
    for first in [&["--log", "json"][..], &["--log=json"], &["--log=json", "--log-level", "warn"]] {
        let behind = ["node", "--config", &path];
        let args = ["vs"].iter().chain(first).chain(&behind);
        let mut command = crate::Cli::command();
        command.build();
        let all = expand(&command, args.map(OsString::from).collect()).unwrap();
        let at = all.iter().position(|arg| arg == "node").unwrap();
        assert_eq!(all[at + 1], "--group=g", "{first:?}");
    }
    let _ = std::fs::remove_file(file);
}

#[test]
fn faults_name_the_file_and_the_line() {
    for (file, why) in [
        ("group = 'g'\ncolour = 1\n", "FILE:2: vs node has no option colour: see vs node --help"),
        ("\n\nunicast = 'yes'\n", "FILE:3: unicast is true or false"),
        ("group = ['a', 'b']\n", "FILE:1: group is one text or number"),
        ("id = 1\nid = 2\n", "FILE:2: duplicate key: id"),
        ("group 'g'\n", "FILE:1: "),
        ("group = 'g'\npeer-ms = 'soon'\n", "FILE:2: invalid value 'soon' for '--peer-ms <MS>'"),
        ("server = [[1]]\n", "FILE:1: server is a list of texts or numbers"),
    ] {
        let told = expanded(file, &[]).unwrap_err();
        assert!(told.starts_with(why), "{told} for {file}");
    }
}

/// An option that the file could not say would be missed by those who use one.
#[test]
fn every_option_can_stand_in_the_file() {
    let mut command = crate::Cli::command();
    command.build();
    for verb in ["server", "node", "kv"] {
        let verb = command.find_subcommand(verb).unwrap();
        for arg in verb.get_arguments().filter(|arg| !arg.is_hide_set()) {
            let name = arg.get_long().unwrap_or_else(|| panic!("{arg:?} has no long name"));
            let value = match arg.get_action().takes_values() {
                true => DeValue::String("1".into()),
                false => DeValue::Boolean(true),
            };
            assert!(words(arg, &value).is_ok(), "{name}");
        }
    }
}
