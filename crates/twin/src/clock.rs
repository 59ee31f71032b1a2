//! The rehearsal's clock. Its time is virtual: it stands still while any task can go on, and jumps to the next sleeper's
//! instant when all of them wait.
//!
//! That nothing can go on is what tokio tells, by parking its thread. Tokio has such a clock too, made for timers of any
//! number and length; most of a rehearsal's time went into it. Here a dozen sleepers wait in a sorted list. Tests of single
//! actions need no list of their own and take tokio's clock.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use muster_core::{Duration, Timestamp};

/// Who sleeps until when, in milliseconds since the beginning.
#[derive(Debug, Default)]
pub(crate) struct Sleepers {
    now: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By instant, and in the order in which they lay down.
    by_instant: BTreeMap<(u64, u64), Waker>,
    count: u64,
}

impl Sleepers {
    /// Lets the runtime that is built wake them: whenever it has nothing else to do, it is the next one's time.
    pub(crate) fn are_woken_by(self: &Arc<Self>, builder: &mut tokio::runtime::Builder) {
        let sleepers = self.clone();
        builder.on_thread_park(move || sleepers.wake_next());
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that is done under the lock can leave it half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves time to the next instant at which somebody wakes, and wakes all whose instant it is.
    fn wake_next(&self) {
        let mut waiting = self.waiting();
        let Some((&(at, _), _)) = waiting.by_instant.first_key_value() else { return };
        self.now.store(at, Ordering::Relaxed);
        let mut due = Vec::new();
        while let Some(entry) = waiting.by_instant.first_entry().filter(|entry| entry.key().0 == at) {
            due.push(entry.remove());
        }
        // Not under the lock: what is woken may end, and drop sleepers of its own.
        drop(waiting);
        due.into_iter().for_each(Waker::wake);
    }
}

/// Completes when its instant has come.
#[derive(Debug)]
struct Sleep {
    sleepers: Arc<Sleepers>,
    until: u64,
    /// Its place among those of the same instant, once it waits.
    place: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Sleep { sleepers, until, place } = &mut *self;
        if sleepers.now() >= *until {
            return Poll::Ready(());
        }
        let mut waiting = sleepers.waiting();
        let place = *place.get_or_insert_with(|| {
            waiting.count += 1;
            waiting.count
        });
        match waiting.by_instant.get_mut(&(*until, place)) {
            Some(waker) => waker.clone_from(context.waker()),
            None => drop(waiting.by_instant.insert((*until, place), context.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place
            && self.sleepers.now() < self.until
        {
            self.sleepers.waiting().by_instant.remove(&(self.until, place));
        }
    }
}

#[derive(Debug)]
enum Source {
    Sleepers(Arc<Sleepers>),
    Tokio(tokio::time::Instant),
}

/// Virtual time, in whole milliseconds.
#[derive(Debug)]
pub(crate) struct VirtualClock {
    origin: Timestamp,
    source: Source,
}

impl VirtualClock {
    /// A clock that shows `origin` now, and moves as its sleepers are woken.
    pub(crate) const fn new(origin: Timestamp, sleepers: Arc<Sleepers>) -> Self {
        VirtualClock { origin, source: Source::Sleepers(sleepers) }
    }

    /// A clock that shows `origin` now, and moves with tokio's. Call it inside a runtime whose clock is paused.
    pub(crate) fn of_tokio(origin: Timestamp) -> Self {
        VirtualClock { origin, source: Source::Tokio(tokio::time::Instant::now()) }
    }

    /// The present instant.
    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = match &self.source {
            Source::Sleepers(sleepers) => sleepers.now(),
            Source::Tokio(started) => u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        self.origin.after(Duration::from_millis(elapsed))
    }

    /// Passes time.
    pub(crate) async fn sleep(&self, span: Duration) {
        match &self.source {
            _ if span.is_zero() => {}
            Source::Sleepers(sleepers) => asleep(sleepers, span).await,
            Source::Tokio(_) => tokio::time::sleep(std::time::Duration::from_millis(span.as_millis())).await,
        }
    }
}

fn asleep(sleepers: &Arc<Sleepers>, span: Duration) -> Sleep {
    Sleep { sleepers: sleepers.clone(), until: sleepers.now().saturating_add(span.as_millis()), place: None }
}

impl muster_asl::Clock for VirtualClock {
    fn now(&self) -> u64 {
        u64::try_from(VirtualClock::now(self).as_millis()).unwrap_or_default()
    }

    fn sleep(&self, milliseconds: u64) -> muster_asl::LocalBoxFuture<'static, ()> {
        match &self.source {
            Source::Sleepers(sleepers) => Box::pin(asleep(sleepers, Duration::from_millis(milliseconds))),
            Source::Tokio(_) => Box::pin(tokio::time::sleep(std::time::Duration::from_millis(milliseconds))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    const ORIGIN: Timestamp = Timestamp::from_millis(1_000);

    /// Runs `test` on a clock of its own; what it returns is what was written into the list.
    fn in_virtual_time<F: Future<Output = ()>>(test: impl FnOnce(Rc<VirtualClock>, Rc<RefCell<Vec<(i64, u64)>>>) -> F) -> Vec<(i64, u64)> {
        let sleepers = Arc::new(Sleepers::default());
        let mut builder = tokio::runtime::Builder::new_current_thread();
        sleepers.are_woken_by(&mut builder);
        let written = Rc::new(RefCell::new(Vec::new()));
        let clock = Rc::new(VirtualClock::new(ORIGIN, sleepers.clone()));
        tokio::task::LocalSet::new().block_on(&builder.build().unwrap(), test(clock, written.clone()));
        assert!(sleepers.waiting().by_instant.is_empty(), "nobody is left behind");
        written.take()
    }

    #[test]
    fn sleepers_wake_at_their_instants_and_in_the_order_in_which_they_lay_down() {
        let written = in_virtual_time(async |clock, written| {
            let sleeper = |name: u64, step: u64, turns: u64| {
                let (clock, written) = (clock.clone(), written.clone());
                tokio::task::spawn_local(async move {
                    for _ in 0..turns {
                        clock.sleep(Duration::from_millis(step)).await;
                        written.borrow_mut().push((clock.now().as_millis(), name));
                    }
                })
            };
            for task in [sleeper(1, 300_000, 2), sleeper(2, 100, 3), sleeper(3, 150, 2), sleeper(4, 0, 1), sleeper(5, 100, 1)] {
                task.await.unwrap();
            }
        });
        assert_eq!(written, [(1_000, 4), (1_100, 2), (1_100, 5), (1_150, 3), (1_200, 2), (1_300, 3), (1_300, 2), (301_000, 1), (601_000, 1)]);
    }

    #[test]
    fn whoever_no_longer_waits_moves_no_time() {
        let written = in_virtual_time(async |clock, written| {
            tokio::select! {
                biased;
                () = clock.sleep(Duration::from_mins(10)) => panic!("the shorter sleep ends first"),
                () = clock.sleep(Duration::from_millis(7)) => {}
            }
            clock.sleep(Duration::from_millis(1)).await;
            written.borrow_mut().push((clock.now().as_millis(), 0));
        });
        assert_eq!(written, [(1_008, 0)]);
    }

    #[test]
    fn time_stands_still_while_any_task_can_go_on() {
        let written = in_virtual_time(async |clock, written| {
            let busy = tokio::task::spawn_local({
                let (clock, written) = (clock.clone(), written.clone());
                async move {
                    for _ in 0..200 {
                        tokio::task::yield_now().await;
                    }
                    written.borrow_mut().push((clock.now().as_millis(), 1));
                }
            });
            clock.sleep(Duration::from_millis(1)).await;
            written.borrow_mut().push((clock.now().as_millis(), 2));
            busy.await.unwrap();
        });
        assert_eq!(written, [(1_000, 1), (1_001, 2)]);
    }
}
