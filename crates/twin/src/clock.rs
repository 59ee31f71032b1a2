//! The rehearsal's clock. Its time is virtual: it stands still while any task can go on, and jumps to the next sleeper's
//! instant when all of them wait.
//!
//! Tokio has such a clock too, made for timers of any number and length, in a runtime that measures itself; most of a
//! rehearsal's time went into these. Here a dozen sleepers wait in a sorted list, and [`run`] does nothing but to go on with
//! what can go on, and to wake the next sleeper. Tests of single actions need no list of their own and take tokio's clock.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use muster_core::{Duration, Timestamp};
use tokio::task::LocalSet;

/// Runs `future`, and what it spawns on this thread, until it ends. When all of them wait, it is the next sleeper's time.
pub(crate) fn run<F: Future>(sleepers: &Sleepers, future: F) -> F::Output {
    let mut future = pin!(future);
    let anybody = Arc::new(Bell::default());
    let itself = Arc::new(Bell { rung: AtomicBool::new(true), also: Some(anybody.clone()) });
    let (wakes_anybody, wakes_itself) = (Waker::from(anybody.clone()), Waker::from(itself.clone()));
    let tasks = LocalSet::new();
    // It stays here: an output that is passed up is moved at each poll, also where there is none yet, and a report is large.
    let ended = Cell::new(None);
    // The tasks are polled together with it; that does not mean that it can go on.
    let mut all = pin!(tasks.run_until(poll_fn(|_| match itself.silence() {
        true => future.as_mut().poll(&mut Context::from_waker(&wakes_itself)).map(|output| ended.set(Some(output))),
        false => Poll::Pending,
    })));
    loop {
        let polled = all.as_mut().poll(&mut Context::from_waker(&wakes_anybody));
        if let (Poll::Ready(()), Some(output)) = (polled, ended.take()) {
            return output;
        }
        if anybody.silence() {
            continue;
        }
        if !sleepers.wake_next() {
            unreachable!("everything waits and nobody sleeps: a rehearsal always waits for its next tick");
        }
        // Whoever was woken goes on now: no second turn for that.
        anybody.silence();
    }
}

/// What a waker rings.
#[derive(Debug, Default)]
struct Bell {
    rung: AtomicBool,
    also: Option<Arc<Bell>>,
}

impl Bell {
    /// Whether it was rung since it was last silenced.
    fn silence(&self) -> bool {
        self.rung.swap(false, Ordering::Relaxed)
    }

    fn ring(&self) {
        self.rung.store(true, Ordering::Relaxed);
        if let Some(also) = &self.also {
            also.ring();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

/// Who sleeps until when, in milliseconds since the beginning.
#[derive(Debug, Default)]
pub(crate) struct Sleepers {
    now: Cell<u64>,
    /// The next one to be woken is the last.
    waiting: RefCell<Vec<Sleeper>>,
    count: Cell<u64>,
}

#[derive(Debug)]
struct Sleeper {
    until: u64,
    /// The order in which they lay down.
    place: u64,
    waker: Waker,
}

impl Sleepers {
    /// Moves time to the next instant at which somebody wakes, and wakes all whose instant it is; `false` where nobody sleeps.
    fn wake_next(&self) -> bool {
        let Some(at) = self.waiting.borrow().last().map(|next| next.until) else { return false };
        self.now.set(at);
        loop {
            // Nobody is woken while the list is borrowed: what is woken may end, and drop sleepers of its own.
            let due = self.waiting.borrow_mut().pop_if(|next| next.until == at);
            match due {
                Some(sleeper) => sleeper.waker.wake(),
                None => return true,
            }
        }
    }

    /// Where somebody waits, or would.
    fn position(waiting: &[Sleeper], until: u64, place: u64) -> Result<usize, usize> {
        waiting.binary_search_by(|known| (until, place).cmp(&(known.until, known.place)))
    }
}

/// Completes when its instant has come.
#[derive(Debug)]
struct Sleep {
    sleepers: Rc<Sleepers>,
    until: u64,
    /// Its place among those of the same instant, once it waits.
    place: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Sleep { sleepers, until, place } = &mut *self;
        let until = *until;
        if sleepers.now.get() >= until {
            return Poll::Ready(());
        }
        let place = *place.get_or_insert_with(|| {
            sleepers.count.set(sleepers.count.get() + 1);
            sleepers.count.get()
        });
        let mut waiting = sleepers.waiting.borrow_mut();
        match Sleepers::position(&waiting, until, place) {
            Ok(index) => waiting[index].waker.clone_from(context.waker()),
            Err(index) => waiting.insert(index, Sleeper { until, place, waker: context.waker().clone() }),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(place) = self.place.filter(|_| self.sleepers.now.get() < self.until) else { return };
        let mut waiting = self.sleepers.waiting.borrow_mut();
        if let Ok(index) = Sleepers::position(&waiting, self.until, place) {
            let gone = waiting.remove(index);
            drop(waiting);
            drop(gone);
        }
    }
}

#[derive(Debug)]
enum Source {
    Sleepers(Rc<Sleepers>),
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
    pub(crate) const fn new(origin: Timestamp, sleepers: Rc<Sleepers>) -> Self {
        VirtualClock { origin, source: Source::Sleepers(sleepers) }
    }

    /// A clock that shows `origin` now, and moves with tokio's. Call it inside a runtime whose clock is paused.
    pub(crate) fn of_tokio(origin: Timestamp) -> Self {
        VirtualClock { origin, source: Source::Tokio(tokio::time::Instant::now()) }
    }

    /// The present instant.
    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = match &self.source {
            Source::Sleepers(sleepers) => sleepers.now.get(),
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

fn asleep(sleepers: &Rc<Sleepers>, span: Duration) -> Sleep {
    Sleep { sleepers: sleepers.clone(), until: sleepers.now.get().saturating_add(span.as_millis()), place: None }
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
    use super::*;

    const ORIGIN: Timestamp = Timestamp::from_millis(1_000);

    /// Runs `test` on a clock of its own; what it returns is what was written into the list.
    fn in_virtual_time<F: Future<Output = ()>>(test: impl FnOnce(Rc<VirtualClock>, Rc<RefCell<Vec<(i64, u64)>>>) -> F) -> Vec<(i64, u64)> {
        let sleepers = Rc::new(Sleepers::default());
        let written = Rc::new(RefCell::new(Vec::new()));
        let clock = Rc::new(VirtualClock::new(ORIGIN, sleepers.clone()));
        run(&sleepers, test(clock, written.clone()));
        assert!(sleepers.waiting.borrow().is_empty(), "nobody is left behind");
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
    fn who_is_woken_by_a_task_goes_on_at_its_instant() {
        let written = in_virtual_time(async |clock, written| {
            let sleeper = |span: u64| {
                let clock = clock.clone();
                tokio::task::spawn_local(async move { clock.sleep(Duration::from_millis(span)).await })
            };
            let (early, late) = (sleeper(10), sleeper(50));
            for (name, task) in [(1, early), (2, late)] {
                task.await.unwrap();
                written.borrow_mut().push((clock.now().as_millis(), name));
            }
        });
        assert_eq!(written, [(1_010, 1), (1_050, 2)]);
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
