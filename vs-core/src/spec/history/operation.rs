//! What a client asked for, and what it was answered.

use alloc::string::String;
use core::fmt;

use crate::time::Time;

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The key has this value from now on. Answered the value before.
    Put(String),
    /// The key has no value from now on. Answered the value before.
    Delete,
    /// The value is asked for.
    Get,
}

/// What a client was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When it was heard.
    pub at: Time,
    /// The value that the operation found; `None`: there was none.
    pub value: Option<String>,
}

/// One operation of a client on one key. All times are of one clock, which never goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who asked: for people alone, since the times say what was at once.
    pub client: u64,
    /// The key.
    pub key: String,
    /// What was asked for.
    pub request: Request,
    /// When; not after it was handed over.
    pub called: Time,
    /// The answer. `None`: it was carried out once at any time after the call, or never.
    pub answer: Option<Answer>,
}

impl Operation {
    /// What the key has after it, if it found `found`.
    pub(super) fn leaves<'a>(&'a self, found: Option<&'a str>) -> Option<&'a str> {
        match &self.request {
            Request::Put(value) => Some(value),
            Request::Delete => None,
            Request::Get => found,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Time| time.0 as f64 / 1e6;
        write!(f, "{:.3} ms, client {}: ", ms(self.called), self.client)?;
        match &self.request {
            Request::Put(value) => write!(f, "put {value}")?,
            Request::Delete => f.write_str("delete")?,
            Request::Get => f.write_str("get")?,
        }
        match &self.answer {
            None => f.write_str(", no answer"),
            Some(Answer { at, value: Some(value) }) => {
                write!(f, ", found {value} at {:.3} ms", ms(*at))
            }
            Some(Answer { at, value: None }) => write!(f, ", found nothing at {:.3} ms", ms(*at)),
        }
    }
}
