//! A replicated key-value store: run `kv 1`, `kv 2` and `kv 3` in three terminals, and type
//! what it answers to an empty line. The command `vs kv` is made of this file.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "an example")]

use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use vs_core::ident::{GroupName, ProcessId};
use vs_core::replica::{Broken, ReplicaEvent, Sink, Source, State, put_value, take_value};
use vs_std::{CallError, JoinError, JoinOptions, ReplicaOptions, Replicated};

#[derive(Clone, Debug, Default, Serialize)]
pub struct Kv(pub BTreeMap<String, String>);

impl State for Kv {
    type Op = (String, Option<String>); // a key and its new value, or none
    type Out = Option<String>; // the value before
    fn apply(&mut self, (key, value): Self::Op) -> Option<String> {
        match value {
            Some(value) => self.0.insert(key, value),
            None => self.0.remove(&key),
        }
    }
    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        self.0.iter().try_for_each(|entry| put_value(out, &entry))
    }
    fn restore(input: &mut dyn Source) -> Result<Self, Broken> {
        let mut kv = Self::default();
        while let Some((key, value)) = take_value(input)? {
            kv.0.insert(key, value);
        }
        Ok(kv)
    }
}

/// What the store says; with `serde_json` each is an object of one field.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    Before(Option<String>), // it is done; the value before
    Value(Option<String>),
    All(Kv),
    Changed(String, Option<String>),
    Recovered(bool), // whether anything waited for that
    Note(String),
    Failed(String),
}

pub struct Store {
    pub kv: Replicated<Kv>,
    watched: Arc<Mutex<Option<String>>>, // the beginning of keys
}

impl Store {
    /// Takes part in the store that `primary_of` keep. `tell` hears of changes.
    pub fn open(
        group: &GroupName,
        join: JoinOptions,
        primary_of: &[ProcessId],
        mut tell: impl FnMut(Said) + Send + 'static,
    ) -> Result<Self, JoinError> {
        let watched = Arc::<Mutex<Option<String>>>::default();
        let prefix = Arc::clone(&watched);
        let mut options = ReplicaOptions::new(primary_of).with_hear(move |event| match event {
            ReplicaEvent::Applied { op, .. } => {
                let (prefix, op) = (prefix.lock().unwrap(), Kv::decode::<<Kv as State>::Op>(&op));
                if let (Some(prefix), Ok((key, value))) = (&*prefix, op)
                    && key.starts_with(prefix)
                {
                    tell(Said::Changed(key, value));
                }
            }
            event => tell(Said::Note(format!("# {event}"))),
        });
        options.replica.applied = true;
        Ok(Self { kv: Replicated::open(group, join, options, Kv::default())?, watched })
    }

    /// Does what a line says; `None`: it was `quit`.
    pub fn execute(&self, line: &str) -> Option<Said> {
        let (verb, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let (key, value) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
        let (key, value) = (key.to_owned(), value.trim_start().to_owned());
        let said = match verb {
            "put" if !key.is_empty() => self.kv.call(&(key, Some(value))).map(Said::Before),
            "del" if !key.is_empty() => self.kv.call(&(key, None)).map(Said::Before),
            "get" if !key.is_empty() => {
                self.kv.read(move |kv| kv.0.get(&key).cloned()).map(Said::Value)
            }
            "dump" => self.kv.read(Kv::clone).map(Said::All),
            "status" => Ok(Said::Note(self.kv.status().to_string())),
            "recover" => self.kv.recover().map_err(CallError::Ended).map(Said::Recovered),
            "watch" => {
                *self.watched.lock().unwrap() = Some(key);
                Ok(Said::Note("changes follow".into()))
            }
            "quit" => return None,
            _ => Ok(Said::Failed("put, get, del, watch, dump, status, recover or quit".into())),
        };
        let done = |why: &CallError<_>| match why {
            CallError::Refused(_) | CallError::TooLarge | CallError::Inside => "not done",
            _ => "perhaps done",
        };
        Some(said.unwrap_or_else(|why| Said::Failed(format!("{}: {why}", done(&why)))))
    }
}

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let mut join = JoinOptions::local();
    join.driver.process = ProcessId(std::env::args().nth(1).ok_or("kv 1, 2 or 3")?.parse()?);
    let (group, primary_of) = (GroupName::new("store")?, [1, 2, 3].map(ProcessId));
    let store = Store::open(&group, join, &primary_of, |said| println!("{said:?}"))?;
    for line in std::io::stdin().lock().lines() {
        let Some(said) = store.execute(&line?) else { break };
        println!("{said:?}");
    }
    Err(store.kv.leave().into())
}
