//! Where the interpreter's time comes from.

use std::future::Future;
use std::pin::Pin;

/// A future that stays on its thread (the same type as `futures::future::LocalBoxFuture`).
pub type LocalBoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The interpreter's only source of time. Its granularity is a whole millisecond.
pub trait Clock {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> u64;

    /// Completes when `milliseconds` have passed on this clock.
    fn sleep(&self, milliseconds: u64) -> LocalBoxFuture<'static, ()>;
}

/// Tokio's clock, shifted so that it reads `origin_ms` when it is made.
///
/// On a runtime that was built with `start_paused(true)` time is virtual: it jumps to the next timer
/// whenever every task is idle, so hours take milliseconds.
#[derive(Clone, Debug)]
pub struct TokioClock {
    origin_ms: u64,
    started: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that reads `origin_ms` (milliseconds since 1970) now. Call it inside the runtime.
    pub fn new(origin_ms: u64) -> Self {
        Self { origin_ms, started: tokio::time::Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> u64 {
        let elapsed = self.started.elapsed().as_millis();
        self.origin_ms.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    fn sleep(&self, milliseconds: u64) -> LocalBoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(std::time::Duration::from_millis(milliseconds)))
    }
}
