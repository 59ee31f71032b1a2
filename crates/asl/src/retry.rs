//! Retry: whether and when a failed state is tried again.

use std::rc::Rc;

use crate::draw::unit_interval;
use crate::failure::Failure;

/// One entry of a `Retry` field.
#[derive(Debug)]
pub(crate) struct Retrier {
    pub(crate) errors: Vec<Rc<str>>,
    pub(crate) interval_seconds: u64,
    pub(crate) max_attempts: u64,
    pub(crate) backoff_rate: f64,
    pub(crate) max_delay_seconds: Option<u64>,
    pub(crate) full_jitter: bool,
}

impl Retrier {
    /// How long to wait before attempt `attempt` (0 is the first retry), in milliseconds. With
    /// `JitterStrategy: FULL` it is anything up to that; `draw` decides.
    fn delay(&self, attempt: u64, draw: impl FnOnce() -> u64) -> u64 {
        let growth = self.backoff_rate.powi(i32::try_from(attempt).unwrap_or(i32::MAX));
        let limit = self.max_delay_seconds.unwrap_or(crate::limits::MAX_SECONDS);
        let seconds = (self.interval_seconds as f64 * growth).min(limit as f64);
        let milliseconds = (seconds * 1_000.0).round() as u64;
        if self.full_jitter { (milliseconds as f64 * unit_interval(draw())).round() as u64 } else { milliseconds }
    }
}

/// The attempts of one visit to a state: each retrier counts its own.
pub(crate) struct Attempts {
    used: Vec<u64>,
    /// All retries of this visit: `$states.context.State.RetryCount`.
    pub(crate) total: u64,
}

impl Attempts {
    pub(crate) fn new(retriers: &[Retrier]) -> Self {
        Self { used: vec![0; retriers.len()], total: 0 }
    }

    /// The milliseconds to wait before the next attempt, or `None` when the failure is not retried: no
    /// retrier names it, or the first one that does has used up its attempts.
    pub(crate) fn next(&mut self, retriers: &[Retrier], failure: &Failure, draw: impl FnOnce() -> u64) -> Option<u64> {
        let index = retriers.iter().position(|retrier| retrier.errors.iter().any(|name| failure.matches(name)))?;
        let used = self.used.get_mut(index)?;
        if *used >= retriers[index].max_attempts {
            return None;
        }
        let delay = retriers[index].delay(*used, draw);
        *used += 1;
        self.total += 1;
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retrier(error: &str) -> Retrier {
        Retrier { errors: vec![error.into()], interval_seconds: 1, max_attempts: 3, backoff_rate: 2.0, max_delay_seconds: None, full_jitter: false }
    }

    #[test]
    fn delays_grow_by_the_backoff_rate_up_to_the_longest_delay() {
        let mut one = retrier("A");
        one.max_delay_seconds = Some(3);
        let mut attempts = Attempts::new(std::slice::from_ref(&one));
        let failure = Failure::new("A", "");
        let mut next = || attempts.next(std::slice::from_ref(&one), &failure, || 0);
        assert_eq!(next(), Some(1_000));
        assert_eq!(next(), Some(2_000));
        assert_eq!(next(), Some(3_000));
        assert_eq!(next(), None);
    }

    #[test]
    fn each_retrier_counts_its_own_attempts() {
        let retriers = [retrier("A"), retrier("B")];
        let mut attempts = Attempts::new(&retriers);
        for error in ["A", "B", "A", "B", "A", "B"] {
            assert!(attempts.next(&retriers, &Failure::new(error, ""), || 0).is_some());
        }
        assert_eq!(attempts.total, 6);
        assert_eq!(attempts.next(&retriers, &Failure::new("A", ""), || 0), None);
        assert_eq!(attempts.next(&retriers, &Failure::new("C", ""), || 0), None);
    }

    #[test]
    fn full_jitter_stays_between_nothing_and_the_whole_delay() {
        let mut one = retrier("A");
        one.full_jitter = true;
        assert_eq!(one.delay(2, || 0), 0);
        assert_eq!(one.delay(2, || u64::MAX), 4_000);
        assert_eq!(one.delay(2, || u64::MAX / 2), 2_000);
    }
}
