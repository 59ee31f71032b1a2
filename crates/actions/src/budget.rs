//! How many calls a Task may make now: AWS's token bucket, as the Task that owns it keeps it between its invocations.
//!
//! The bucket is a note of the run. It is written before the calls are made, so that a function that dies has spent what it never asked for, and its
//! next attempt cannot spend it twice.

use muster_core::ports::{Note, Notes};
use muster_core::{ActionError, CallError, Duration, Region, Run, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::notes::Book;

/// A service's limit: a burst, then so many calls a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    name: &'static str,
    burst: u64,
    per_second: u64,
}

/// RDS's budget, shared by all its calls of an account and region: 300 calls, then 12 a second. AWS publishes no quota for it; this is what is assumed of
/// an account, and an account that has less is throttled and goes on more slowly. What is left out of the burst is for whoever looks meanwhile: the
/// configuration of what is launched beside the promotions, and whatever else the account does.
pub(crate) const RDS: Rate = Rate { name: "rds", burst: 275, per_second: 12 };
/// Source: the Route 53 developer guide, "Throttling for Amazon Route 53 API requests": 50 calls, then 10 a second, by account.
pub(crate) const ROUTE_53: Rate = Rate { name: "route53", burst: 45, per_second: 10 };
/// `PutParameter` without the setting for higher throughput. Source: AWS General Reference, "AWS Systems Manager endpoints and quotas".
pub(crate) const PUT_PARAMETER: Rate = Rate { name: "ssmPutParameter", burst: 3, per_second: 3 };

/// How the names of their notes begin.
pub(crate) const BUDGET: &str = "budget/";

/// What is left of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    rate: Rate,
    /// Where it is kept; `None` for a batch that cannot empty it.
    name: Option<String>,
    bucket: Bucket,
}

/// In thousandths of a call, and when that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bucket {
    left: u64,
    at: Timestamp,
}

impl Budget {
    /// What the run has left of a budget in a region. A batch of which `calls` is all that it ever asks for at once, and less than half of the burst,
    /// cannot empty it: it keeps no books.
    pub(crate) fn of(book: &Book, rate: Rate, region: &Region, calls: usize, now: Timestamp) -> Result<Self, ActionError> {
        let name = (calls as u64 * 2 > rate.burst).then(|| format!("{BUDGET}{}/{region}", rate.name));
        let known = name.as_deref().map_or(Ok(None), |name| book.get(name))?;
        Ok(Budget { rate, name, bucket: known.unwrap_or(Bucket { left: rate.burst * 1_000, at: now }) })
    }

    fn filled(&self, now: Timestamp) -> u64 {
        (self.bucket.left + now.since(self.bucket.at).as_millis() * self.rate.per_second).min(self.rate.burst * 1_000)
    }

    /// How many calls may be made now.
    pub(crate) fn left(&self, now: Timestamp) -> u64 {
        self.filled(now) / 1_000
    }

    /// Takes what `calls` cost, and more than there is if need be: a look that must be taken is made up for by what follows.
    pub(crate) fn spend(&mut self, now: Timestamp, calls: u64) {
        self.bucket = Bucket { left: self.filled(now).saturating_sub(calls * 1_000), at: self.bucket.at.max(now) };
    }

    /// When so many calls may be made, the burst at most: zero where they may be made now.
    pub(crate) fn until(&self, now: Timestamp, calls: u64) -> Duration {
        let wanted = calls.min(self.rate.burst) * 1_000;
        Duration::from_millis(wanted.saturating_sub(self.filled(now)).div_ceil(self.rate.per_second))
    }

    /// Writes down what is left, before the calls are made.
    pub(crate) async fn keep(&self, world: &impl Notes, run: &Run) -> Result<(), CallError> {
        match &self.name {
            Some(name) => world.note(&run.id.0, name, &json!(self.bucket)).await,
            None => Ok(()),
        }
    }

    /// The same, as a note to be written with others.
    pub(crate) fn note(&self, run: &Run) -> Option<Note> {
        self.name.clone().map(|name| Note { scope: run.id.0.clone(), name, value: json!(self.bucket) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000).after(Duration::from_millis(millis))
    }

    fn full(rate: Rate) -> Budget {
        Budget { rate, name: Some("budget".into()), bucket: Bucket { left: rate.burst * 1_000, at: at(0) } }
    }

    #[test]
    fn a_budget_is_the_burst_and_then_the_rate() {
        // Spent, how many milliseconds later, what is left then.
        let cases =
            [(0, 0, 275), (275, 0, 0), (275, 83, 0), (275, 84, 1), (275, 1_000, 12), (275, 10_000, 120), (275, 60_000, 275), (100, 0, 175), (400, 1_000, 12)];
        for (spent, later, left) in cases {
            let mut budget = full(RDS);
            budget.spend(at(0), spent);
            assert_eq!(budget.left(at(later)), left, "{spent} spent, {later} ms later");
        }
    }

    #[test]
    fn a_budget_says_when_there_is_enough() {
        let mut budget = full(RDS);
        assert_eq!(budget.until(at(0), 275), Duration::ZERO);
        budget.spend(at(0), 275);
        assert_eq!(budget.until(at(0), 60), Duration::from_secs(5));
        assert_eq!(budget.until(at(4_000), 60), Duration::from_secs(1));
        assert_eq!(budget.until(at(0), 10_000), budget.until(at(0), 275), "never for more than it can hold");
    }

    #[test]
    fn a_batch_that_cannot_empty_a_budget_keeps_no_books() {
        let region = "us-west-2".parse().unwrap();
        let name = |calls| Budget::of(&Book::default(), RDS, &region, calls, at(0)).unwrap().name;
        assert_eq!(name(137), None);
        assert_eq!(name(138).as_deref(), Some("budget/rds/us-west-2"));
    }

    proptest! {
        /// Whenever the owner looks and however much it wants: AWS's bucket, which is fuller by what was left out of the burst, never runs dry.
        #[test]
        fn whoever_keeps_to_the_budget_is_never_refused(looks in proptest::collection::vec((0_u64..20_000, 0_u64..600), 1..60)) {
            let (burst, mut now, mut budget) = (300_000_u64, 0, full(RDS));
            let mut aws = burst;
            for (later, wanted) in looks {
                now += later;
                aws = (aws + later * 12).min(burst);
                let calls = wanted.min(budget.left(at(now)));
                budget.spend(at(now), calls);
                prop_assert!(aws >= calls * 1_000, "{aws} left of AWS's bucket for {calls} calls");
                aws -= calls * 1_000;
            }
        }
    }
}
