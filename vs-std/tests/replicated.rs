//! A replicated state of one process, as its handles show it.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;

use vs_core::ident::{GroupName, ProcessId};
use vs_core::replica::{Broken, ReplicaEvent, Sink, Source, State, put_value, take_value};
use vs_std::udp::UdpConfig;
use vs_std::{CallError, JoinOptions, ReplicaEnd, ReplicaOptions, Replicated};

const WAIT: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Sum(u64);

impl State for Sum {
    type Op = u64;
    type Out = u64;

    fn apply(&mut self, op: u64) -> u64 {
        self.0 += op;
        self.0
    }

    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        put_value(out, &self.0)
    }

    fn restore(input: &mut dyn Source) -> Result<Self, Broken> {
        take_value(input)?.map(Self).ok_or(Broken::new("empty"))
    }
}

#[test]
fn questions_on_the_thread_of_the_replica_end() {
    let udp = UdpConfig::new(Ipv4Addr::LOCALHOST, SocketAddrV4::new([239, 86, 83, 9].into(), 7739));
    let join = JoinOptions::without_server(ProcessId(1), udp);
    let handle = Arc::new(OnceLock::<Replicated<Sum>>::new());
    let (inside, (sender, heard)) = (Arc::clone(&handle), mpsc::channel());
    let hear = move |event| {
        if event == ReplicaEvent::Served {
            let kv = inside.wait();
            let is_inside = matches!(kv.call(&1), Err(CallError::Inside));
            let looked = kv.peek(|_| ());
            let recovered = kv.recover().unwrap();
            kv.wait_until_served(WAIT).unwrap();
            let end = kv.clone().leave();
            let _ = sender.send((is_inside, looked, recovered, matches!(end, ReplicaEnd::Left)));
        }
    };
    let options = ReplicaOptions::new(&[ProcessId(1)]).with_hear(hear);
    let name = GroupName::new("inside").unwrap();
    let kv = Replicated::open(&name, join, options, Sum::default()).unwrap();
    handle.set(kv.clone()).unwrap();
    assert_eq!(heard.recv_timeout(WAIT), Ok((true, None, false, true)));
    let until = std::time::Instant::now() + WAIT;
    while kv.end().is_none() && std::time::Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(matches!(kv.end(), Some(ReplicaEnd::Left)), "{:?}", kv.end());
}
