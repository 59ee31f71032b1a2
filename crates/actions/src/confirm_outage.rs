//! Confirms that the primary is down: enough of the plan's sources, one of them outside the standby region, for long enough.
//!
//! Converges: reads stored samples and changes nothing; ends with the verdict `confirmed` or `cleared`. An outage that a
//!            person declared (an override of kind `check` for `ConfirmOutage`, or a skip) is confirmed.
//! Refuses:   to go on when neither shows within half an hour.
//! Leaves behind on failure: nothing.
//! AWS: dynamodb:Query (standby region).

use muster_core::ports::{Notes, Reading, Sample, Samples};
use muster_core::{Action, ActionError, Clock, Conduct, Context, Duration, Evidence, Finding, Override, Progress, Timestamp};
use muster_plan::{Confirm, Plan};
use serde::Deserialize;

use crate::acceptance::accepted_overrides;
use crate::notes;
use crate::outage::{Outage, judge_outage};

/// The action.
pub const CONFIRM_OUTAGE: Action = Action { name: "confirm-outage", conduct: Conduct::Observes };

/// Nothing to ask for: the plan says how.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// Beyond this, sources contradict each other and a person should look.
const PATIENCE: Duration = Duration::from_mins(30);
/// An outage that began longer ago counts from here.
const LOOKED_BACK: Duration = Duration::from_hours(6);
/// A sample that is overdue is found soon after it has come.
const INTERVAL: Duration = Duration::from_secs(5);
/// Each source is sampled once a minute.
const PERIOD: Duration = Duration::from_mins(1);
/// A sample bears the instant at which its probe began: this much later it can be read.
const ARRIVAL: Duration = Duration::from_secs(2);

/// How long until the picture can change: when the next sample of a source comes, or a failure is as old as the plan wants.
/// While the sample of any source is overdue, that can be at any moment.
fn next_look(confirm: &Confirm, samples: &[Sample], now: Timestamp) -> Duration {
    let mut next = now.after(PERIOD);
    for source in &confirm.of {
        let mut newest_first = samples.iter().rev().filter(|sample| *sample.source == *source.name().as_str()).peekable();
        let due = newest_first.peek().map(|sample| sample.at.after(PERIOD).after(ARRIVAL)).filter(|due| *due > now);
        let Some(due) = due else { return INTERVAL };
        // Of those that are not old enough, the oldest will be it first.
        let young = newest_first.take_while(|sample| sample.at.after(confirm.held_for) > now);
        let held = young.filter(|sample| matches!(sample.reading, Reading::Failing { .. })).last();
        // Then the sample of that minute counts too.
        let held = held.map(|sample| sample.at.after(confirm.held_for).after(ARRIVAL));
        next = next.min(due).min(held.unwrap_or(due));
    }
    next.since(now)
}

/// Whoever declared the outage whatever the sources say: a gray failure can look healthy from outside.
pub(crate) fn declared(overrides: &[Override]) -> Option<(&str, &str)> {
    overrides.iter().find_map(|risk| match risk {
        Override::Check { phase, by, reason } if phase.starts_with("Confirm") => Some((by.as_str(), reason.as_str())),
        _ => None,
    })
}

/// Judges the outage from the samples. Called twice, it answers the same unless a new sample has come.
///
/// # Errors
/// `Refused` when the sources contradict each other for half an hour.
pub async fn confirm_outage<W>(_: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Samples + Notes,
{
    if let Some((by, reason)) = declared(&accepted_overrides(world, cx.run).await?) {
        notes::outage_began(world, cx.run, cx.run.opened_at).await?;
        return Ok(Progress::done(format!("declared by {by}: {reason}")).with_verdict("confirmed"));
    }
    let confirm = &cx.plan.triggers.confirm;
    // Far back: when the outage began decides which replica lag still counts, also in a second run hours later.
    let samples = world.read_samples(&cx.run.service, cx.now.before(LOOKED_BACK)).await?;
    match judge_outage(confirm, &samples, cx.now) {
        Outage::Confirmed { sources, since } => {
            notes::outage_began(world, cx.run, since).await?;
            let detail = format!("down since {}, seen by {}", since.clock_time(), sources.join(", "));
            cx.saw(world.now(), Evidence::OutageConfirmed { sources, since });
            Ok(Progress::done(detail).with_verdict("confirmed"))
        }
        Outage::Cleared { seen } => {
            cx.saw(world.now(), Evidence::OutageCleared { seen: seen.clone() });
            Ok(Progress::done(seen).with_verdict("cleared"))
        }
        Outage::Open { seen } if cx.elapsed() > PATIENCE => Err(ActionError::refused(Finding::new(
            &cx.run.service,
            seen,
            format!("a clear picture within {PATIENCE}"),
            "look for yourself: answer `skip` to declare the outage, `retry` to go on watching, `abort` to stand down",
        ))),
        Outage::Open { seen } => Ok(cx.wait(seen, next_look(confirm, &samples, cx.now))),
    }
}

#[cfg(test)]
mod tests {
    use muster_plan::{Source, Vantage};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(10_000_000_000);

    fn confirm() -> Confirm {
        let source = |name: &str, from| Source::Http { name: name.parse().unwrap(), url: "https://primary.example/health".into(), from, timeout: None };
        Confirm { at_least: 2, of: vec![source("near", Vantage::Standby), source("far", Vantage::Witness)], held_for: Duration::from_mins(3) }
    }

    /// Samples by source, so many seconds ago: negative where it was healthy.
    fn samples(rows: &[(&str, &[i64])]) -> Vec<Sample> {
        let sample = |name: &str, ago: &i64| {
            let reading = if *ago < 0 { Reading::Healthy } else { Reading::Failing { why: "503".into() } };
            Sample { at: NOW.before(Duration::from_secs(ago.unsigned_abs())), vantage: "us-west-2".parse().unwrap(), source: name.into(), reading }
        };
        let mut samples: Vec<Sample> = rows.iter().flat_map(|(name, row)| row.iter().map(|ago| sample(name, ago))).collect();
        samples.sort_by_key(|sample| sample.at);
        samples
    }

    fn seconds(rows: &[(&str, &[i64])]) -> u64 {
        next_look(&confirm(), &samples(rows), NOW).as_millis() / 1_000
    }

    #[test]
    fn the_next_look_is_when_the_next_sample_has_come() {
        assert_eq!(seconds(&[("near", &[10, 70]), ("far", &[25, 85]), ("other", &[59])]), 37);
        assert_eq!(seconds(&[("near", &[-10, -70]), ("far", &[-9])]), 52);
    }

    #[test]
    fn the_next_look_is_when_a_failure_is_old_enough() {
        assert_eq!(seconds(&[("near", &[40, 100, 160, -220]), ("far", &[45, 105, 165])]), 17);
        assert_eq!(seconds(&[("near", &[5, 152]), ("far", &[5, 170])]), 12);
        // What is old enough already counts now, and what is healthy never will.
        assert_eq!(seconds(&[("near", &[5, 180]), ("far", &[5, -170])]), 57);
    }

    #[test]
    fn a_sample_that_is_overdue_or_never_came_is_asked_for_every_few_seconds() {
        for late in [&[("near", &[10][..]), ("far", &[62])][..], &[("near", &[10]), ("far", &[900])], &[("near", &[10])], &[]] {
            assert_eq!(seconds(late), INTERVAL.as_millis() / 1_000, "{late:?}");
        }
    }
}
