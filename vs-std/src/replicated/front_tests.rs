//! Tests of where threads, tasks and the replica meet.

use vs_core::replica::{Broken, Sink, Source};

use super::*;

struct Nothing;

impl State for Nothing {
    type Op = ();
    type Out = ();

    fn apply(&mut self, (): ()) {}

    fn snapshot(&self, _: &mut dyn Sink) -> Result<(), Broken> {
        Ok(())
    }

    fn restore(_: &mut dyn Source) -> Result<Self, Broken> {
        Ok(Self)
    }
}

fn front() -> Front<Nothing> {
    Front::new(2).unwrap()
}

fn note(words: &str) -> ReplicaEvent {
    ReplicaEvent::Note(words.into())
}

#[cfg(not(loom))]
mod unit {
    use rustix::fd::AsFd;

    use super::*;
    use crate::readiness::is_readable;
    use crate::waiters::tests::counted;

    #[test]
    fn questions_that_nobody_takes_are_bounded() {
        let front = front();
        let ask = || front.ask(|number| Ask::Call(number, Vec::new()));
        for _ in 0..OUTSTANDING_MAX {
            ask().unwrap();
        }
        let refused = front.wait_for(ask().unwrap(), Some(Instant::now()));
        assert!(matches!(refused, Some(Ok(Told::Refused(CallRefused::TooMany)))));
        let mut asks = Vec::new();
        front.take_asks(&mut asks);
        assert_eq!(asks.len(), OUTSTANDING_MAX);
        assert!(front.wait_for(ask().unwrap(), Some(Instant::now())).is_none(), "it is asked");
    }

    #[test]
    fn an_answer_is_told_to_who_waits() {
        let front = front();
        let [first, second] = [(); 2].map(|()| front.ask(Ask::Recover).unwrap());
        front.forget(second);
        let mut told = vec![(first, Told::Recovered(true)), (second, Told::Recovered(true))];
        front.tell(&mut told, &ReplicaStatus::Gathering);
        let now = Some(Instant::now());
        assert!(matches!(front.wait_for(first, now), Some(Ok(Told::Recovered(true)))));
        assert!(front.wait_for(first, now).is_none() && front.wait_for(second, now).is_none());
    }

    #[test]
    fn task_is_woken_by_its_own_answer_and_by_the_end() {
        let front = front();
        let numbers = [(); 3].map(|()| front.ask(Ask::Recover).unwrap());
        let tasks = [(); 3].map(|()| counted());
        let poll = |at: usize| front.poll_for(numbers[at], &tasks[at].1);
        assert!((0..3).all(|at| poll(at).is_pending() && poll(at).is_pending()));
        let woken = || [0, 1, 2].map(|at: usize| tasks[at].0.get());
        front.tell(&mut vec![(numbers[1], Told::Recovered(true))], &ReplicaStatus::Gathering);
        assert_eq!(woken(), [0, 1, 0]);
        assert!(matches!(poll(1), Poll::Ready(Ok(Told::Recovered(true)))));
        front.forget(numbers[0]);
        front.close(ReplicaEnd::Left);
        assert_eq!(woken(), [0, 1, 1]);
        assert!(matches!(poll(2), Poll::Ready(Err(ReplicaEnd::Left))));
    }

    #[test]
    fn task_is_woken_when_the_status_changes() {
        let front = front();
        let is_served = |status: &ReplicaStatus| *status == ReplicaStatus::Serving;
        let (mut place, (count, waker)) = (Place::default(), counted());
        assert!(front.poll_status(is_served, &mut place, &waker).is_pending());
        front.tell(&mut Vec::new(), &ReplicaStatus::Gathering);
        assert_eq!(count.get(), 0);
        front.tell(&mut Vec::new(), &ReplicaStatus::Serving);
        assert_eq!(count.get(), 1);
        assert!(front.poll_status(is_served, &mut place, &waker).is_ready());
        front.leave_watchers(&mut place);
    }

    #[test]
    fn events_are_kept_up_to_their_bound() {
        let front = front();
        assert_eq!(front.try_hear().unwrap(), None);
        ["1", "2", "3"].into_iter().for_each(|words| front.keep(note(words)));
        assert_eq!(front.try_hear().unwrap(), Some(note("2")));
        front.close(ReplicaEnd::Left);
        assert_eq!(front.try_hear().unwrap(), Some(note("3")));
        assert!(front.try_hear().is_err());
    }

    #[test]
    fn cancelled_hearer_hands_its_wake_up_on() {
        let front = front();
        let mut tasks = [(); 2].map(|()| (counted(), Place::default()));
        for ((_, waker), place) in &mut tasks {
            assert!(front.poll_hear(place, waker).is_pending());
        }
        front.keep(note("1"));
        let [((first, _), place), ((second, waker), other)] = &mut tasks;
        assert_eq!((first.get(), second.get()), (1, 0));
        front.leave_hearers(place);
        assert_eq!((first.get(), second.get()), (1, 1));
        assert!(front.poll_hear(other, waker).is_ready());
    }

    #[test]
    fn descriptor_is_readable_while_something_is_there() {
        let front = front();
        let readiness = front.readiness().unwrap();
        let says = || is_readable(readiness.as_fd());
        let numbers = [(); 2].map(|()| front.ask(Ask::Recover).unwrap());
        assert!(!says());
        let mut told = numbers.map(|number| (number, Told::Recovered(true))).into();
        front.tell(&mut told, &ReplicaStatus::Gathering);
        assert!(says());
        front.forget(numbers[0]);
        assert!(says(), "the other answer is there");
        assert!(front.poll_for(numbers[1], Waker::noop()).is_ready() && !says());
        front.keep(note("1"));
        assert!(says());
        assert!(front.try_hear().unwrap().is_some() && !says());
        front.close(ReplicaEnd::Left);
        assert!(front.try_hear().is_err() && says());
    }
}

/// As those of `bell.rs`.
#[cfg(loom)]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::waiters::loom_executor::block_on;

    fn spawn(
        front: &Arc<Front<Nothing>>,
        act: impl FnOnce(&Front<Nothing>) + Send + 'static,
    ) -> thread::JoinHandle<()> {
        let front = Arc::clone(front);
        thread::spawn(move || act(&front))
    }

    #[test]
    fn task_hears_its_answer_and_the_end() {
        loom::model(|| {
            let front = Arc::new(front());
            let numbers = [(); 2].map(|()| front.ask(Ask::Recover).unwrap());
            let tells = spawn(&front, move |front| {
                let mut told = vec![(numbers[0], Told::Recovered(true))];
                front.tell(&mut told, &ReplicaStatus::Gathering);
                front.close(ReplicaEnd::Left);
            });
            let told = numbers.map(|number| block_on(|cx| front.poll_for(number, cx.waker())));
            assert!(matches!(told, [Ok(Told::Recovered(true)), Err(ReplicaEnd::Left)]));
            tells.join().unwrap();
        });
    }

    #[test]
    fn task_hears_that_the_status_changed() {
        loom::model(|| {
            let front = Arc::new(front());
            let tells = spawn(&front, |front| {
                front.tell(&mut Vec::new(), &ReplicaStatus::Serving);
            });
            let is_served = |status: &ReplicaStatus| *status == ReplicaStatus::Serving;
            let mut place = Place::default();
            block_on(|cx| front.poll_status(is_served, &mut place, cx.waker())).unwrap();
            tells.join().unwrap();
        });
    }

    #[test]
    fn cancelled_hearer_keeps_no_wake_up() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let front = Arc::new(front());
            let mut place = Place::default();
            assert!(front.poll_hear(&mut place, Waker::noop()).is_pending());
            let keeps = spawn(&front, |front| front.keep(note("1")));
            let cancels = spawn(&front, move |front| front.leave_hearers(&mut place));
            let mut own = Place::default();
            block_on(|cx| front.poll_hear(&mut own, cx.waker())).unwrap();
            keeps.join().unwrap();
            cancels.join().unwrap();
        });
    }
}
