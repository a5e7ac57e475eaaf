//! A replicated key-value store: run `kv 1`, `kv 2` and `kv 3` in three terminals, and type
//! what it answers to an empty line. The command `vs kv` is made of this file.
#![allow(missing_docs, reason = "an example")]

use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use vs_core::ident::{GroupName, ProcessId};
use vs_core::replica::{Broken, ReplicaEvent, Sink, Source, State, put_value, take_value};
use vs_std::{CallError, JoinOptions, ReplicaOptions, Replicated};

#[derive(Clone, Debug, Default)]
pub struct Kv(BTreeMap<String, String>);

#[derive(Debug, Serialize, Deserialize)]
pub enum Op {
    Put(String, String),
    Del(String),
}

impl State for Kv {
    type Op = Op;
    type Out = Option<String>; // the value before

    fn apply(&mut self, op: Op) -> Option<String> {
        match op {
            Op::Put(key, value) => self.0.insert(key, value),
            Op::Del(key) => self.0.remove(&key),
        }
    }
    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        self.0.iter().try_for_each(|entry| put_value(out, &entry))
    }
    fn restore(input: &mut dyn Source) -> Result<Self, Broken> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = take_value(input)? {
            entries.insert(key, value);
        }
        Ok(Self(entries))
    }
}

/// What is watched: keys that begin so.
pub type Watched = Arc<Mutex<Option<String>>>;

/// Opens the store that the processes 1 to `members` keep; `tell` hears of changes.
pub fn open(
    group: &GroupName,
    join: JoinOptions,
    members: u64,
    watched: &Watched,
    mut tell: impl FnMut(String) + Send + 'static,
) -> Result<Replicated<Kv>, vs_std::JoinError> {
    let primary_of: Vec<ProcessId> = (1..=members).map(ProcessId).collect();
    let watched = Arc::clone(watched);
    let hear = move |event| match event {
        ReplicaEvent::Applied { op, .. } => {
            let (Some(prefix), Ok(op)) = (&*watched.lock().unwrap(), Kv::decode(&op)) else {
                return;
            };
            match op {
                Op::Put(key, value) if key.starts_with(prefix) => tell(format!("* {key} {value}")),
                Op::Del(key) if key.starts_with(prefix) => tell(format!("* {key}")),
                _ => {}
            }
        }
        event => tell(format!("# {event}")),
    };
    let mut options = ReplicaOptions::new(&primary_of).with_hear(hear);
    options.replica.applied = true;
    Replicated::open(group, join, options, Kv::default())
}

/// Does what a line says, and answers; `None`: it was `quit`.
pub fn execute(kv: &Replicated<Kv>, watched: &Watched, line: &str) -> Option<String> {
    let mut words = line.trim().splitn(3, ' ');
    let (verb, key) = (words.next()?, words.next().unwrap_or_default().to_owned());
    let value = words.next().unwrap_or_default().to_owned();
    let done = |result: Result<Option<String>, CallError<_>>| match result {
        Ok(old) => old.map_or("ok".into(), |old| format!("ok, it was {old}")),
        Err(why) => format!("not done: {why}"),
    };
    Some(match verb {
        "put" if !key.is_empty() => done(kv.call(&Op::Put(key, value))),
        "del" if !key.is_empty() => done(kv.call(&Op::Del(key))),
        "get" if !key.is_empty() => match kv.read(move |kv| kv.0.get(&key).cloned()) {
            Ok(value) => value.map_or("no such key".into(), |value| format!("= {value}")),
            Err(why) => format!("not read: {why}"),
        },
        "dump" => match kv.read(Kv::clone) {
            Ok(kv) => kv.0.iter().map(|(key, value)| format!("{key} {value}\n")).collect(),
            Err(why) => format!("not read: {why}"),
        },
        "watch" => {
            *watched.lock().unwrap() = Some(key);
            "changes follow, each behind *".into()
        }
        "status" => kv.status().to_string(),
        "recover" => match kv.recover() {
            Ok(true) => "the state of this process counts from here on".into(),
            Ok(false) => "nothing waits for that".into(),
            Err(end) => end.to_string(),
        },
        "quit" => return None,
        _ => {
            "put KEY VALUE, get KEY, del KEY, watch [PREFIX], dump, status, recover or quit".into()
        }
    })
}

#[allow(dead_code)] // the command has its own
fn main() -> Result<(), Box<dyn core::error::Error>> {
    let id = std::env::args().nth(1).ok_or("kv ID: 1, 2 or 3")?.parse()?;
    let mut join = JoinOptions::local();
    join.driver.process = ProcessId(id);
    let watched = Watched::default();
    let kv = open(&GroupName::new("store")?, join, 3, &watched, |line| println!("{line}"))?;
    for line in std::io::stdin().lock().lines() {
        let Some(answer) = execute(&kv, &watched, &line?) else { break };
        println!("{answer}");
    }
    Err(kv.leave().into())
}
