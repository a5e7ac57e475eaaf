//! Groups and replicated states in tasks, over the sockets of this host.

mod nobody;

use core::future::poll_fn;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;
use std::task::Wake;
use std::thread;
use std::time::Instant;

use async_io::{Async, Timer, block_on};
use futures_core::{FusedStream, Stream};
use futures_lite::{FutureExt, StreamExt, future};
use futures_util::{SinkExt, stream};
use nobody::silent;
use vs_core::ident::{GroupName, ProcessId};
use vs_core::replica::{Broken, ReplicaEvent, Sink, Source, State, Want, put_value, take_value};
use vs_std::udp::UdpConfig;
use vs_std::{
    CallError, Event, JoinOptions, RecvError, ReplicaEnd, ReplicaOptions, Replicated, SendError,
    SharedGroup,
};

/// How long what is waited for may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn name() -> GroupName {
    "tasks".parse().unwrap()
}

fn options(test: u8, process: u64) -> JoinOptions {
    // A port that no other run on this host has at the same time.
    let port = 20_000 + (std::process::id() % 20_000) as u16;
    let multicast = SocketAddrV4::new(Ipv4Addr::new(239, 255, 74, test), port);
    let udp = UdpConfig::new(Ipv4Addr::LOCALHOST, multicast);
    let mut options = JoinOptions::without_server(ProcessId(process), udp);
    options.group.peer_ms = 30_000;
    options.driver.node.client.server_silence_ms = 30_000;
    options
}

/// Two members in one view.
fn pair(test: u8) -> [SharedGroup; 2] {
    let pair = [1, 2].map(|id| SharedGroup::join(&name(), options(test, id)).unwrap());
    for group in &pair {
        let until = Instant::now() + PATIENCE;
        while group.view().len() < 2 {
            assert!(Instant::now() < until, "they do not meet");
            group.recv_timeout(Duration::from_millis(100)).unwrap();
        }
    }
    pair
}

/// Runs `future`, which has to end in time.
fn run<R>(future: impl Future<Output = R>) -> R {
    let late = async {
        Timer::after(PATIENCE).await;
        panic!("it waits for ever")
    };
    block_on(future.or(late))
}

/// The number in a message; none in other events.
fn number(event: &Event) -> Option<u32> {
    let Event::Message { payload, .. } = event else { return None };
    Some(u32::from_le_bytes(payload[..4].try_into().unwrap()))
}

/// The numbers of the next `count` messages.
async fn numbers(events: &mut (impl Stream<Item = Event> + Unpin), count: usize) -> Vec<u32> {
    events.filter_map(|event| number(&event)).take(count).collect().await
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counted() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (Arc::clone(&count), Waker::from(count))
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A task of any executor can hold it.
fn is_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn blocking_and_async_members_chat() {
    let [blocking, tasks] = pair(1);
    let all: Vec<u32> = (0..200).collect();
    let blocking = thread::spawn(move || {
        for number in (0..200_u32).step_by(2) {
            blocking.send(&number.to_le_bytes()).unwrap();
        }
        let mut heard: Vec<_> =
            blocking.iter().filter_map(|event| number(&event)).take(200).collect();
        heard.sort_unstable();
        heard
    });
    let mut heard = run(is_send(async {
        let (mut events, mut messages) = (tasks.stream(), tasks.sink());
        let odd = (1..200_u32).step_by(2).map(|number| Ok(number.to_le_bytes()));
        messages.send_all(&mut stream::iter(odd)).await.unwrap();
        numbers(&mut events, 200).await
    }));
    for sender in [0, 1] {
        assert!(heard.iter().filter(|number| *number % 2 == sender).is_sorted());
    }
    heard.sort_unstable();
    assert_eq!(heard, all);
    assert_eq!(blocking.join().unwrap(), all);
}

/// Each wait is given up again and again; all messages come, each once and in order.
#[test]
fn cancelled_futures_lose_and_repeat_nothing() {
    const MESSAGES: u32 = 2_000;
    let [sender, receiver] = pair(2);
    let sends = thread::spawn(move || {
        run(async {
            for number in 0..MESSAGES {
                let payload = number.to_le_bytes();
                // Polled once, dropped, and made again until it says that it has sent.
                while future::poll_once(sender.send_async(&payload)).await.is_none() {
                    future::yield_now().await;
                }
            }
        });
        sender
    });
    let (mut heard, mut cancelled) = (Vec::new(), 0);
    run(async {
        while heard.len() < MESSAGES as usize {
            let timeout = async {
                Timer::after(Duration::from_micros(50)).await;
                None
            };
            match async { Some(receiver.recv_async().await.unwrap()) }.or(timeout).await {
                Some(event) => heard.extend(number(&event)),
                None => cancelled += 1,
            }
        }
    });
    assert_eq!(heard, (0..MESSAGES).collect::<Vec<_>>());
    eprintln!("{cancelled} waits were cancelled");
    drop(sends.join().unwrap());
}

/// A member that reads nothing at first: its inbox fills, then its outbox.
#[test]
fn sink_waits_while_the_outbox_is_full_and_is_woken() {
    let mut options = options(3, 1).with_inbox_bytes(20_000);
    options.outbox_bytes = 20_000;
    let group = SharedGroup::join(&name(), options).unwrap();
    let (mut sink, (count, waker)) = (group.sink(), counted());
    let mut taken = 0_u32;
    loop {
        match group.try_send(&taken.to_le_bytes()) {
            Ok(()) => taken += 1,
            Err(SendError::Full) => {
                if sink.poll_ready(&mut Context::from_waker(&waker)).is_pending() {
                    break;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    let heard = run(async {
        let (mut events, mut more) = (group.stream(), group.sink());
        let sends = async {
            let messages = (taken..taken + 20_000).map(|number| Ok(number.to_le_bytes()));
            more.send_all(&mut stream::iter(messages)).await.unwrap();
        };
        future::zip(sends, numbers(&mut events, taken as usize + 20_000)).await.1
    });
    assert_eq!(heard, (0..taken + 20_000).collect::<Vec<_>>());
    run(poll_fn(|cx| sink.poll_ready(cx))).unwrap();
    assert!(count.get() > 0, "it was not woken");
}

/// With a server that says nothing the outbox is full for good.
#[test]
fn sink_holds_one_message_and_is_told_of_the_end() {
    let (_listener, server) = silent();
    let mut options = nobody::options(server, 71);
    options.group.peer_ms = 100;
    options.group.block_ok_ms = 50;
    options.outbox_bytes = 3000;
    let group = SharedGroup::join(&name(), options).unwrap();
    let fill = |payload: &[u8]| {
        // Until there is no room after the thread has had its turn, either.
        loop {
            while group.try_send(payload).is_ok() {}
            group.inspect(|_| ());
            group.inspect(|_| ());
            if group.try_send(payload).is_err() {
                return;
            }
        }
    };
    fill(&[7; 900]);
    let (mut sink, (count, waker)) = (group.sink(), counted());
    let mut cx = Context::from_waker(&waker);
    assert!(sink.poll_ready(&mut cx).is_ready(), "a short message has room");
    sink.start_send_unpin(&[8; 900]).unwrap();
    assert!(sink.poll_flush(&mut cx).is_pending() && sink.poll_ready(&mut cx).is_pending());
    assert!(matches!(sink.start_send_unpin(&[9; 900]), Err(SendError::Full)));
    assert!(matches!(sink.poll_send(&mut cx, &[9; 1001]), Poll::Pending), "what is held is first");
    fill(&[]);
    let mut other = group.sink();
    assert!(other.poll_ready(&mut cx).is_pending());
    assert!(poll_once(pin!(group.send_async(&[]))).is_pending());
    let too_large = run(group.send_async(&[0; 1001]));
    assert!(matches!(too_large, Err(SendError::TooLarge { len: 1001, max: 1000 })));
    assert_eq!(count.get(), 0);
    group.begin_leave();
    assert_eq!(count.get(), 2);
    assert!(matches!(sink.poll_flush(&mut cx), Poll::Ready(Err(SendError::Left))));
    assert!(matches!(other.poll_ready(&mut cx), Poll::Ready(Err(SendError::Left))));
    assert!(matches!(run(group.send_async(b"late")), Err(SendError::Left)));
}

#[test]
fn stream_ends_with_membership_and_tells_why() {
    let (_listener, server) = silent();
    let mut options = nobody::options(server, 72);
    options.group.peer_ms = 100;
    options.group.block_ok_ms = 50;
    let group = SharedGroup::join(&name(), options).unwrap();
    let mut events = group.stream();
    let clone = events.clone();
    assert!(events.end().is_none() && !events.is_terminated());
    let waits = thread::spawn(move || run(clone.collect::<Vec<_>>()));
    assert!(poll_once(pin!(group.recv_async())).is_pending());
    group.begin_leave();
    assert_eq!(waits.join().unwrap(), [Event::Left { unsent: 0 }]);
    assert_eq!(run(events.next()), None);
    assert_eq!(run(events.next()), None, "it can be polled again");
    assert!(events.is_terminated() && matches!(events.end(), Some(RecvError::Left)));
    assert!(matches!(run(group.recv_async()), Err(RecvError::Left)));
    assert_eq!(run(group.leave_async()).unwrap(), 0);
}

#[test]
fn group_lives_while_a_stream_does_and_is_left_in_a_task() {
    let [other, group] = pair(4);
    let mut events = group.stream();
    let last = group.clone();
    drop(group);
    other.send(&7_u32.to_le_bytes()).unwrap();
    assert_eq!(run(numbers(&mut events, 1)), [7]);
    last.send(&8_u32.to_le_bytes()).unwrap();
    {
        // It goes on, whoever waits for it.
        let mut leaves = pin!(last.leave_async());
        assert!(poll_once(leaves.as_mut()).is_pending());
    }
    assert_eq!(run(last.leave_async()).unwrap(), 0);
    assert_eq!(run(events.next()), None);
    let left = |event: &Event| matches!(event, Event::View { view, .. } if view.len() == 1);
    let seen: Vec<_> = other.iter().take_while(|event| !left(event)).collect();
    assert!(seen.iter().any(|event| number(event) == Some(8)), "{seen:?}");
    // The last handle of the other one is a stream.
    let events = other.stream();
    drop(other);
    drop(events);
}

/// Two tasks on two threads: each event goes to one of them.
#[test]
fn tasks_on_clones_share_the_events() {
    const MESSAGES: u32 = 5_000;
    let [sender, receiver] = pair(5);
    let tasks = [(); 2].map(|()| {
        let mut events = receiver.stream();
        thread::spawn(move || {
            let mut heard = Vec::new();
            run(async {
                while let Some(event) = events.next().await {
                    match number(&event) {
                        Some(MESSAGES) => break,
                        number => heard.extend(number),
                    }
                }
            });
            heard
        })
    });
    drop(receiver);
    for number in 0..MESSAGES {
        sender.send(&number.to_le_bytes()).unwrap();
    }
    // One end for each.
    for _ in 0..2 {
        sender.send(&MESSAGES.to_le_bytes()).unwrap();
    }
    let heard = tasks.map(|task| task.join().unwrap());
    assert!(heard.iter().all(|heard| heard.is_sorted()));
    let mut all = heard.concat();
    all.sort_unstable();
    assert_eq!(all, (0..MESSAGES).collect::<Vec<_>>());
}

/// The loop knows the descriptor alone.
#[test]
fn event_loop_waits_for_the_descriptor() {
    const MESSAGES: u32 = 1_000;
    let [sender, receiver] = pair(6);
    let sends = thread::spawn(move || {
        for number in 0..MESSAGES {
            sender.send(&number.to_le_bytes()).unwrap();
        }
        sender.leave().unwrap();
    });
    let readiness = Async::new(receiver.readiness().unwrap()).unwrap();
    let mut heard = Vec::new();
    let mut drain = || {
        loop {
            match receiver.try_recv() {
                Ok(Some(event)) => heard.extend(number(&event)),
                Ok(None) => return true,
                Err(RecvError::Left) => return false,
                Err(error) => panic!("{error}"),
            }
        }
    };
    run(async {
        while receiver.view().len() > 1 {
            readiness.readable().await.unwrap();
            assert!(drain());
        }
        receiver.begin_leave();
        loop {
            readiness.readable().await.unwrap();
            if !drain() {
                break;
            }
        }
        // It stays readable.
        readiness.readable().await.unwrap();
    });
    assert_eq!(heard, (0..MESSAGES).collect::<Vec<_>>());
    sends.join().unwrap();
}

/// What was added up.
#[derive(Debug, Default)]
struct Sum(u64);

impl State for Sum {
    type Op = u64;
    type Out = u64;

    fn apply(&mut self, number: u64) -> u64 {
        self.0 += number;
        self.0
    }

    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        put_value(out, &self.0)
    }

    fn restore(input: &mut dyn Source) -> Result<Self, Broken> {
        take_value(input)?.map(Self).ok_or(Broken::new("empty"))
    }
}

fn sum(test: u8, process: u64, primary_of: &[u64]) -> Replicated<Sum> {
    let primary_of: Vec<ProcessId> = primary_of.iter().copied().map(ProcessId).collect();
    let replica = ReplicaOptions::new(&primary_of).with_events_max(100);
    Replicated::open(&name(), options(test, process), replica, Sum::default()).unwrap()
}

#[test]
fn replicas_are_called_and_read_in_tasks() {
    let [one, two] = [1, 2].map(|process| sum(7, process, &[1, 2]));
    run(is_send(async {
        one.served_async().await.unwrap();
        two.served_async().await.unwrap();
        assert_eq!(one.call_async(&5).await.unwrap(), 5);
        assert_eq!(two.call_async(&6).await.unwrap(), 11);
        assert_eq!(one.read_async(|sum| sum.0).await.unwrap(), 11);
        let answers = [&one, &two].map(|replica| replica.begin(&1).unwrap());
        for answer in answers {
            assert!((12..=13).contains(&answer.await.unwrap()));
        }
        let collected = one.collect_async(&1, Want::All, PATIENCE).await.unwrap();
        assert_eq!(collected.replies.len(), 2);
    }));
    // Some are dropped as soon as they are asked, and nobody is woken in vain for them.
    run(async {
        for _ in 0..100 {
            let _ = future::poll_once(one.call_async(&1)).await;
            let _ = future::poll_once(two.read_async(|sum| sum.0)).await;
        }
        assert_eq!(one.call_async(&0).await.unwrap(), 114);
        assert_eq!(two.read_async(|sum| sum.0).await.unwrap(), 114);
    });
    assert_eq!(one.call(&0).unwrap(), 114, "blocking callers share it");
    let mut events = is_send(one.events());
    assert_eq!(
        run(events.find(|event| *event == ReplicaEvent::Served)),
        Some(ReplicaEvent::Served)
    );
    assert!(matches!(run(two.leave_async()), ReplicaEnd::Left));
    assert!(two.try_event().is_ok(), "events are taken before the end");
    let _rest = run(two.events().count());
    assert!(two.try_event().is_err());
    assert!(matches!(run(two.call_async(&1)), Err(CallError::Ended(ReplicaEnd::Left))));
    // There is no majority any more, and the end reaches whoever waits.
    let waits = one.begin(&1).unwrap();
    drop((one, events));
    assert!(matches!(run(waits), Err(CallError::Ended(_))));
}

#[test]
fn event_loop_waits_for_answers_of_a_replica() {
    let replica = sum(8, 1, &[1]);
    let readiness = Async::new(replica.readiness().unwrap()).unwrap();
    run(async {
        replica.served_async().await.unwrap();
        let mut waits: Vec<_> = (0..10).map(|_| replica.begin(&1).unwrap()).collect();
        let mut answers = Vec::new();
        let mut served = false;
        while !waits.is_empty() || !served {
            readiness.readable().await.unwrap();
            served |= replica.try_event().unwrap() == Some(ReplicaEvent::Served);
            waits = waits
                .into_iter()
                .filter_map(|pending| match pending.wait(Duration::ZERO) {
                    Err(CallError::Unknown(pending)) => Some(pending),
                    answer => {
                        answers.push(answer.unwrap());
                        None
                    }
                })
                .collect();
        }
        // One that came between two looks is seen after a later one.
        answers.sort_unstable();
        assert_eq!(answers, (1..=10).collect::<Vec<_>>());
        assert!(matches!(replica.leave_async().await, ReplicaEnd::Left));
        readiness.readable().await.unwrap();
    });
}
