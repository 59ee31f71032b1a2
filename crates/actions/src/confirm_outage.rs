//! Confirms that the primary is down: enough of the plan's sources, one of them outside the standby region, for long enough.
//!
//! Converges: reads stored samples and changes nothing; ends with the verdict `confirmed` or `cleared`. An outage that a
//!            person declared (an override of kind `check` for `ConfirmOutage`, or a skip) is confirmed.
//! Refuses:   to go on when neither shows within half an hour.
//! Leaves behind on failure: nothing.
//! AWS: dynamodb:Query (standby region).

use muster_core::ports::{Notes, Samples};
use muster_core::{Action, ActionError, Clock, Conduct, Context, Duration, Evidence, Finding, Override, Progress};
use muster_plan::Plan;
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
/// New samples come once a minute; asking every few seconds finds each of them soon.
const INTERVAL: Duration = Duration::from_secs(5);

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
        Outage::Open { seen } => Ok(cx.wait(seen, INTERVAL)),
    }
}
