//! Tasks that wait for something that a lock protects.

use core::task::Waker;
use std::collections::VecDeque;

use smallvec::SmallVec;

/// Tasks that wait, in the order in which they began to. They lie under the lock of what they wait
/// for, so nothing can come between a look and the wait.
///
/// No waker is woken or dropped in here: either may run code of the application, which may want the
/// same lock. So they are handed out, for the time after it.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// By ascending number.
    tasks: VecDeque<(u64, Waker)>,
    /// The number of the next one.
    next: u64,
}

/// The number of a task that waits, or that was woken and has not looked since.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<u64>);

impl Place {
    pub(crate) fn is_taken(&self) -> bool {
        self.0.is_some()
    }
}

/// What is to be done once nothing is locked.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Woken(SmallVec<[Waker; 2]>);

impl Woken {
    /// Wakes each.
    pub(crate) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn push(&mut self, waker: Waker) {
        self.0.push(waker);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// A task that waits no more.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Departed {
    /// It was woken, and has not looked since. What it was woken for is for another one.
    pub(crate) was_woken: bool,
    /// To be dropped once nothing is locked.
    _waker: Option<Waker>,
}

impl Waiters {
    /// The task of `waker` waits, where it did if it has a `place`. Returns what is to be dropped
    /// once nothing is locked.
    #[must_use]
    pub(crate) fn wait(&mut self, place: &mut Place, waker: &Waker) -> Option<Waker> {
        if let Some((_, known)) = self.find(place).map(|at| &mut self.tasks[at]) {
            let is_known = known.will_wake(waker);
            return (!is_known).then(|| core::mem::replace(known, waker.clone()));
        }
        // A clone that panics leaves no place behind.
        let waker = waker.clone();
        place.0 = Some(self.next);
        self.tasks.push_back((self.next, waker));
        self.next += 1;
        None
    }

    /// The task of `place` waits no more.
    pub(crate) fn leave(&mut self, place: &mut Place) -> Departed {
        let waker = self.find(place).and_then(|at| self.tasks.remove(at)).map(|(_, waker)| waker);
        let had_place = place.0.take().is_some();
        Departed { was_woken: had_place && waker.is_none(), _waker: waker }
    }

    /// Those who are to be woken: the first `count` at most.
    pub(crate) fn take(&mut self, count: usize) -> Woken {
        let count = count.min(self.tasks.len());
        Woken(self.tasks.drain(..count).map(|(_, waker)| waker).collect())
    }

    pub(crate) fn take_all(&mut self) -> Woken {
        self.take(usize::MAX)
    }

    fn find(&self, place: &Place) -> Option<usize> {
        let number = place.0?;
        self.tasks.binary_search_by_key(&number, |(number, _)| *number).ok()
    }
}

#[cfg(all(test, not(loom)))]
pub(crate) mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    /// Counts how often it was woken.
    #[derive(Debug, Default)]
    pub(crate) struct Count(AtomicUsize);

    impl Count {
        pub(crate) fn get(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    #[test]
    fn first_to_wait_is_woken_first() {
        let tasks = [(); 3].map(|()| counted());
        let mut places = [(); 3].map(|()| Place::default());
        let mut waiters = Waiters::default();
        for (place, (_, waker)) in places.iter_mut().zip(&tasks) {
            assert!(waiters.wait(place, waker).is_none());
            assert!(waiters.wait(place, waker).is_none(), "it keeps its place");
        }
        let woken = || [0, 1, 2].map(|at: usize| tasks[at].0.get());
        waiters.take(1).wake();
        assert_eq!(woken(), [1, 0, 0]);
        waiters.take_all().wake();
        waiters.take_all().wake();
        assert_eq!(woken(), [1, 1, 1]);
    }

    #[test]
    fn who_departs_tells_whether_it_was_woken() {
        let [first, second] = [(); 2].map(|()| counted());
        let mut places = [(); 3].map(|()| Place::default());
        let mut waiters = Waiters::default();
        let _ = waiters.wait(&mut places[0], &first.1);
        let _ = waiters.wait(&mut places[1], &second.1);
        waiters.take(1).wake();
        assert!(waiters.leave(&mut places[0]).was_woken);
        assert!(!waiters.leave(&mut places[0]).was_woken, "it has no place any more");
        assert!(!waiters.leave(&mut places[1]).was_woken, "it still waited");
        assert!(!waiters.leave(&mut places[2]).was_woken, "it never waited");
        waiters.take_all().wake();
        assert_eq!((first.0.get(), second.0.get()), (1, 0));
    }

    #[test]
    fn task_that_moved_is_woken_where_it_is() {
        let [before, after] = [(); 2].map(|()| counted());
        let (mut place, mut waiters) = (Place::default(), Waiters::default());
        let _ = waiters.wait(&mut place, &before.1);
        assert!(waiters.wait(&mut place, &after.1).is_some());
        waiters.take_all().wake();
        assert_eq!((before.0.get(), after.0.get()), (0, 1));
    }
}

/// An executor of one task for the model checker: a wake-up that is lost is a deadlock, which it
/// reports.
#[cfg(all(test, loom))]
pub(crate) mod loom_executor {
    use core::future::poll_fn;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use std::sync::Arc;
    use std::task::Wake;

    use loom::sync::{Condvar, Mutex};

    #[derive(Default)]
    struct Park {
        is_woken: Mutex<bool>,
        changed: Condvar,
    }

    impl Wake for Park {
        fn wake(self: Arc<Self>) {
            *self.is_woken.lock().unwrap() = true;
            self.changed.notify_one();
        }
    }

    /// Polls until it is ready.
    pub(crate) fn block_on<R>(poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
        let park = Arc::new(Park::default());
        let waker = Waker::from(Arc::clone(&park));
        let mut future = pin!(poll_fn(poll));
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return result;
            }
            let mut is_woken = park.is_woken.lock().unwrap();
            while !*is_woken {
                is_woken = park.changed.wait(is_woken).unwrap();
            }
            *is_woken = false;
        }
    }
}
