//! A replicated state of one process, as its handles show it.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::sync::{Arc, OnceLock, mpsc};

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

fn join(process: u64, port: u16) -> JoinOptions {
    let multicast = SocketAddrV4::new([239, 86, 83, 9].into(), port);
    let udp = UdpConfig::new(Ipv4Addr::LOCALHOST, multicast);
    JoinOptions::without_server(ProcessId(process), udp)
}

#[test]
fn questions_on_the_thread_of_the_replica_end() {
    let join = join(1, 7739);
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
    assert!(matches!(kv.leave(), ReplicaEnd::Left));
}

#[test]
fn a_member_with_another_primary_of_is_refused() {
    let open = |process, primary_of: &[u64]| {
        let primary_of: Vec<ProcessId> = primary_of.iter().copied().map(ProcessId).collect();
        let (name, options) = (GroupName::new("other").unwrap(), ReplicaOptions::new(&primary_of));
        Replicated::open(&name, join(process, 7741), options, Sum::default()).unwrap()
    };
    let first = open(1, &[1]);
    assert!(first.wait_until_served(WAIT).unwrap());
    let second = open(2, &[1, 2]);
    let end = second.wait_until_served(WAIT);
    let why = end.expect_err("it takes part, and counts otherwise").to_string();
    assert!(why.contains("primary_of"), "{why}");
    assert_eq!(first.call(&1).unwrap(), 1);
}
