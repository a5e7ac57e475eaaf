//! A replicated store over HTTP, for `curl`. In three terminals:
//!
//! ```text
//! cargo run -p vs-std --example http_store 1 127.0.0.1:8001
//! cargo run -p vs-std --example http_store 2 127.0.0.1:8002
//! cargo run -p vs-std --example http_store 3 127.0.0.1:8003
//! ```
//!
//! Each of them answers, and reads are linearizable: what was answered at one is seen at all.
//!
//! ```text
//! curl -X PUT -d green 127.0.0.1:8001/colour
//! curl 127.0.0.1:8002/colour
//! curl -X DELETE 127.0.0.1:8003/colour
//! ```
//!
//! Kill one with `kill -9`: the other two go on, and started again it has the state. One that is
//! cut off from the majority answers 503, with the reason. Whoever can connect is trusted.

use core::error::Error;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::thread;

use tiny_http::{Header, Method, Request, Response, Server};
use vs_core::ident::{GroupName, ProcessId};
use vs_core::replica::{Broken, Sink, Source, State, put_value, take_value};
use vs_std::udp::UdpConfig;
use vs_std::{CallError, JoinOptions, ReplicaOptions, Replicated};

const KEY_BYTES_MAX: usize = 1 << 10;
const VALUE_BYTES_MAX: usize = 256 << 10;
const KEYS_MAX: usize = 100_000;
const THREADS: usize = 8;
/// A change of view is waited out; a majority that stays away is told.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Default)]
struct Store(BTreeMap<String, Vec<u8>>);

/// What became of an operation.
#[derive(serde::Serialize, serde::Deserialize)]
enum Outcome {
    Made,
    Replaced,
    Removed,
    Absent,
    Full,
}

impl State for Store {
    type Op = (String, Option<Vec<u8>>); // a key and its new value, or none
    type Out = Outcome;

    fn apply(&mut self, (key, value): Self::Op) -> Outcome {
        match value {
            None if self.0.remove(&key).is_some() => Outcome::Removed,
            None => Outcome::Absent,
            Some(_) if self.0.len() >= KEYS_MAX && !self.0.contains_key(&key) => Outcome::Full,
            Some(value) => match self.0.insert(key, value) {
                Some(_) => Outcome::Replaced,
                None => Outcome::Made,
            },
        }
    }
    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        self.0.iter().try_for_each(|entry| put_value(out, &entry))
    }
    fn restore(input: &mut dyn Source) -> Result<Self, Broken> {
        let mut store = Self::default();
        while let Some((key, value)) = take_value(input)? {
            store.0.insert(key, value);
        }
        Ok(store)
    }
}

type Answer = (u16, Vec<u8>);

fn answer(store: &Replicated<Store>, request: &mut Request) -> Result<Answer, CallError<Outcome>> {
    let key = request.url().trim_start_matches('/').to_owned();
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Ok((404, format!("/KEY, of at most {KEY_BYTES_MAX} bytes\n").into()));
    }
    let outcome = match request.method() {
        Method::Get | Method::Head => {
            let value = store.read(move |store| store.0.get(&key).cloned())?;
            return Ok(value.map_or((404, "there is no such key\n".into()), |value| (200, value)));
        }
        Method::Put => {
            let (len, mut value) = (request.body_length(), Vec::new());
            let read = request.as_reader().take(VALUE_BYTES_MAX as u64 + 1).read_to_end(&mut value);
            if value.len().max(len.unwrap_or(0)) > VALUE_BYTES_MAX {
                return Ok((413, format!("a value has at most {VALUE_BYTES_MAX} bytes\n").into()));
            } else if read.is_err() || len.is_some_and(|len| len != value.len()) {
                return Ok((400, "the value ends too early\n".into()));
            }
            store.call(&(key, Some(value)))?
        }
        Method::Delete => store.call(&(key, None))?,
        _ => return Ok((405, "GET, PUT or DELETE\n".into())),
    };
    Ok(match outcome {
        Outcome::Made => (201, Vec::new()),
        Outcome::Replaced | Outcome::Removed => (204, Vec::new()),
        Outcome::Absent => (404, "there is no such key\n".into()),
        Outcome::Full => (507, format!("there are {KEYS_MAX} keys: delete some\n").into()),
    })
}

fn serve(store: &Replicated<Store>, mut request: Request) {
    let (code, body) = answer(store, &mut request).unwrap_or_else(|why| match why {
        CallError::Refused(_) => (503, format!("not done: {why}\n").into()),
        CallError::TooLarge => (413, format!("not done: {why}\n").into()),
        _ => (504, format!("perhaps done: {why}\n").into()),
    });
    let response = Response::from_data(body).with_status_code(code);
    let later = Header::from_bytes("Retry-After", "1").expect("a header");
    let _ = request.respond(if code == 503 { response.with_header(later) } else { response });
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [id, listen, multicast @ ..] = &args[..] else {
        return Err("name an id (1, 2 or 3) and an address: http_store 1 127.0.0.1:8001".into());
    };
    let mut udp = UdpConfig::on(Ipv4Addr::LOCALHOST);
    if let Some(multicast) = multicast.first() {
        udp = udp.with_multicast(multicast.parse::<SocketAddr>()?);
    }
    let join = JoinOptions::without_server(ProcessId(id.parse()?), udp);
    let options = ReplicaOptions::new(&[1, 2, 3].map(ProcessId)).with_call_timeout(CALL_TIMEOUT);
    let server = Server::http(listen).map_err(|why| format!("cannot listen at {listen}: {why}"))?;
    let server = Arc::new(server);
    let store = Replicated::open(&GroupName::new("http")?, join, options, Store::default())?;
    println!("process {id} answers at http://{}", server.server_addr());
    for _ in 0..THREADS {
        let (server, store) = (Arc::clone(&server), store.clone());
        thread::spawn(move || server.incoming_requests().for_each(|it| serve(&store, it)));
    }
    store.wait_until_served(Duration::MAX)?;
    println!("a majority has the state");
    loop {
        thread::park();
    }
}
