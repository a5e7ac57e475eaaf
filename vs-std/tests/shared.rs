//! The shared handle where nobody answers: its bounds, its refusals, and how it ends.

mod nobody;

use core::net::SocketAddr;
use core::time::Duration;

use nobody::{PROCESS, silent};
use vs_core::View;
use vs_core::ident::GroupName;
use vs_std::{Event, JoinOptions, RecvError, SendError, SharedGroup};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(5);

fn options(server: SocketAddr) -> JoinOptions {
    let mut options = nobody::options(server, 7);
    options.group.peer_ms = 100;
    options.group.block_ok_ms = 50;
    options.outbox_bytes = 3000;
    options.send_timeout = Duration::from_millis(20);
    options
}

fn join(options: JoinOptions) -> SharedGroup {
    SharedGroup::join(&GroupName::new("nobody").unwrap(), options).unwrap()
}

/// Sends until there is no room, also after the thread had its turn; how many were taken.
fn fill(group: &SharedGroup, payload: &[u8]) -> usize {
    let mut taken = 0;
    loop {
        match group.try_send(payload) {
            Ok(()) => taken += 1,
            Err(SendError::Full) => {
                // The thread answers in turn: between two looks it takes what there is, if it has
                // nothing in its hands.
                group.inspect(|_| ());
                group.inspect(|_| ());
                match group.try_send(payload) {
                    Ok(()) => taken += 1,
                    Err(SendError::Full) => return taken,
                    Err(error) => panic!("{error}"),
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}

#[test]
fn messages_before_the_first_view_are_bounded() {
    let (_listener, server) = silent();
    let group = join(options(server));
    is_shared(&group);
    assert_eq!(group.view(), View::initial(PROCESS));
    let refused = group.send(&[0; 1001]);
    assert!(matches!(refused, Err(SendError::TooLarge { len: 1001, max: 1000 })), "{refused:?}");
    let refused = group.reserve(1001).map(drop);
    assert!(matches!(refused, Err(SendError::TooLarge { len: 1001, max: 1000 })), "{refused:?}");
    let refused = group.send_batch([&[0; 10][..], &[0; 1001], &[0; 10]]).unwrap_err();
    assert_eq!((refused.taken, refused.to_string().contains("message_bytes_max")), (1, true));

    // 4 that the node queues, besides the small one; those that wait for it in the thread's hands;
    // and those in the outbox.
    let taken = fill(&group, &[7; 900]);
    assert!((4 + 1 + 3..=4 + 3 + 3).contains(&taken), "{taken}");
    assert!(matches!(group.try_send(&[7; 900]), Err(SendError::Full)));
    assert!(matches!(group.try_reserve(900).map(drop), Err(SendError::Full)));
    assert!(matches!(group.reserve(900).map(drop), Err(SendError::TimedOut { .. })));
    assert!(matches!(group.send_timeout(&[7; 900], SHORT), Err(SendError::TimedOut { .. })));
    let refused = group.send_batch([[7; 900]; 2]).unwrap_err();
    assert!(matches!(refused.error, SendError::TimedOut { .. }) && refused.taken == 0, "{refused}");
    assert_eq!(group.try_recv().unwrap(), None);
    assert_eq!(group.recv_timeout(SHORT).unwrap(), None);
    assert_eq!(group.recv_many(&mut Vec::new(), 0).unwrap(), 0);
    assert_eq!(group.try_iter().next(), None);
    assert_eq!(group.leave().unwrap(), taken + 1, "those were not sent");
}

/// Fault to avoid: who sends from inside `inspect`, and finds no room in time, waits for ever to be
/// told for whom.
#[test]
fn send_inside_inspect_times_out() {
    let (_listener, server) = silent();
    let group = join(options(server));
    fill(&group, &[7; 900]);
    let inside = group.clone();
    let refused = group.inspect(move |_| inside.send_timeout(&[7; 900], SHORT)).unwrap();
    assert!(matches!(refused, Err(SendError::TimedOut { waits_for: None })), "{refused:?}");
    let refused = group.send_timeout(&[7; 900], SHORT);
    let waits_for = Some(vs_core::WaitsFor::Membership);
    assert!(matches!(&refused, Err(SendError::TimedOut { waits_for: w }) if *w == waits_for));
}

#[test]
fn a_reservation_is_committed_or_given_back() {
    let (_listener, server) = silent();
    let mut options = options(server);
    options.group.queue_bytes = 1008;
    let group = join(options);
    // The node's queue, and the thread's hands.
    assert!(fill(&group, &[7; 1000]) >= 3);
    let refused = group.try_reserve(1000).map(drop);
    assert!(matches!(refused, Err(SendError::Full)), "{refused:?}");
    drop(group);

    let group = join(self::options(server));
    for _ in 0..100 {
        let mut reservation = group.reserve(1000).unwrap();
        assert_eq!(*reservation, [0; 1000]);
        reservation.fill(7);
    }
    let mut reservation = group.reserve(1000).unwrap();
    reservation.truncate(2000);
    assert_eq!(reservation.len(), 1000);
    reservation.truncate(2);
    reservation.copy_from_slice(b"hi");
    reservation.commit().unwrap();
    let late = group.reserve(5).unwrap();
    group.begin_leave();
    assert!(matches!(late.commit(), Err(SendError::Left)));
    assert_eq!(group.leave().unwrap(), 1);
}

#[test]
fn all_clones_hear_that_the_group_was_left() {
    let (_listener, server) = silent();
    let group = join(options(server));
    let waits = std::thread::spawn({
        let group = group.clone();
        move || {
            let events: Vec<_> = group.iter().collect();
            (events, group.recv())
        }
    });
    let clone = group.clone();
    group.begin_leave();
    assert!(matches!(clone.try_send(b"late"), Err(SendError::Left)));
    let (events, then) = waits.join().unwrap();
    assert_eq!(events, [Event::Left { unsent: 0 }]);
    assert!(matches!(then, Err(RecvError::Left)));
    assert!(matches!(clone.recv_timeout(LONG), Err(RecvError::Left)));
    assert!(matches!(clone.send(b"late"), Err(SendError::Left)));
    assert!(clone.inspect(|_| ()).is_none() && clone.trace_error().is_none());
    assert_eq!(clone.leave().unwrap(), 0);
    assert_eq!(group.leave().unwrap(), 0);
}

#[test]
fn the_thread_lets_the_driver_be_looked_at() {
    let (listener, server) = silent();
    drop(listener);
    let mut options = options(server);
    options.busy_poll = SHORT;
    let group = join(options);
    while group.inspect(|driver| driver.link_status().refused_in_a_row).unwrap() == 0 {
        assert_eq!(group.recv_timeout(Duration::from_millis(1)).unwrap(), None);
    }
    // The last handle, dropped by the thread itself.
    let last = group.clone();
    drop(group.inspect(move |_| last));
    drop(group);
}

#[test]
fn options_that_cannot_be_used_are_named() {
    let (_listener, server) = silent();
    let refusal = |change: fn(&mut JoinOptions)| {
        let mut options = options(server);
        change(&mut options);
        SharedGroup::join(&GroupName::new("nobody").unwrap(), options).map(drop).unwrap_err()
    };
    let error = refusal(|options| options.pin = Some(1 << 20));
    assert!(error.to_string().contains("1048576"), "{error}");
    let error = refusal(|options| options.trace = Some("/no/such/place/1.jsonl".into()));
    assert!(error.to_string().contains("/no/such/place/1.jsonl"), "{error}");
}
