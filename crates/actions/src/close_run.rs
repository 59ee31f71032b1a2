//! Closes a run: makes the report from the ledger, stores it, tells people, releases the lock.
//!
//! Converges: a run that was closed is not closed again; the report of the same run is the same report.
//! Refuses:   nothing.
//! Leaves behind on failure: an open run, which the janitor closes once its execution has ended.
//! AWS: dynamodb:GetItem, dynamodb:PutItem, dynamodb:Query, dynamodb:UpdateItem, s3:PutObject, sns:Publish, secretsmanager:GetSecretValue
//!      (standby region).

use std::sync::Arc;

use muster_core::ports::{Channels, Closing, Ledger, Message, Notes, OpenRun, Plans, Reports, RunRegistry, Samples};
use muster_core::{Action, ActionError, Clock, Conduct, Context, Duration, Evidence, Journaled, Lane, Progress, Run};
use muster_plan::{Event, Plan};
use muster_report::{Closing as Ending, Report, assemble};
use serde::Deserialize;
use serde_json::json;

use crate::acceptance::{Fencing, fencing};
use crate::fence_database::groups_note;
use crate::lag::samples_of_lag;
use crate::notes::{self, Book};
use crate::tell::{channels_for, tell};

/// The action.
pub const CLOSE_RUN: Action = Action { name: "close-run", conduct: Conduct::KeepsBooks };

/// How the run ended, as the state machine knows it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// `succeeded`, `stoodDown`, `vetoed`, `aborted`, `failed` or `superseded`.
    pub outcome: Arc<str>,
    /// The execution's ARN.
    pub execution: Arc<str>,
}

/// How long before the run the probe's samples count for the report.
const LOOKED_BACK: Duration = Duration::from_hours(1);

/// Closes the run. Called twice, the second call finds it closed.
///
/// # Errors
/// `Transient` when the table or the bucket cannot be reached: then the lock stays, and the call is repeated.
pub async fn close_run<W>(request: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + RunRegistry + Notes + Ledger + Samples + Reports<Report> + Channels + Journaled,
{
    if cx.run.lane == Lane::Recover {
        note_unprotected(cx, world.now(), &request.outcome);
        note_what_stands(world, cx, &request.outcome).await?;
    }
    let link = match sealed(world, cx, &request.outcome).await {
        Ok(link) => link,
        Err(error @ ActionError::Transient(_)) => return Err(error),
        // The lock must not depend on a bucket that denies: the ledger still has everything.
        Err(error) => format!("none could be stored ({error})"),
    };
    let message = Message {
        subject: format!("{}: {} of {} {}", cx.run.service, cx.run.flow, cx.plan.regions.primary, in_words(&request.outcome)),
        body: format!("Run {} {}. Report: {link}", cx.run.id, in_words(&request.outcome)),
        key: format!("{}/closed", cx.run.id).into(),
    };
    // Backups succeed every hour: what is worth a person's time is one that did not, and the alarms on what they leave open. That one restores is news.
    if cx.run.lane != Lane::Protect || &*request.outcome != "succeeded" {
        tell(world, cx, &channels_for(&cx.plan.people, Event::Closed), &message).await;
    }
    let released = release(world, cx.run, &request.outcome).await? || is_closed(world, cx.run).await?;
    let lock = if released { "lock released" } else { "the lock was another's already" };
    Ok(Progress::done(format!("{}; report at {link}; {lock}", in_words(&request.outcome))))
}

/// How an outcome is said.
pub(crate) fn in_words(outcome: &str) -> &'static str {
    match outcome {
        "succeeded" => "succeeded",
        "stoodDown" => "stood down: the outage cleared before anything was changed",
        "vetoed" => "was stopped by a decision not to fail over",
        "aborted" => "was aborted",
        "superseded" => "ended because another run took over",
        "abandoned" => "was closed after its execution had ended without closing it",
        _ => "failed",
    }
}

/// A run that ended otherwise may have left a fence or a promotion behind: whoever reads the report must find it there.
async fn note_what_stands<W>(world: &W, cx: &Context<'_, Plan>, outcome: &str) -> Result<(), ActionError>
where
    W: Clock + Notes,
{
    if outcome == "succeeded" || outcome == "superseded" {
        return Ok(());
    }
    let book = Book::of_run(world, cx.run, "").await?;
    for database in &cx.plan.databases {
        if book.has(&groups_note(database)) || fencing(&book, database)? == Some(Fencing::Proven) {
            let what = format!(
                "the primary {} in {} is quarantined and takes no writes: lift that if it is to serve again",
                database.primary, cx.plan.regions.primary
            );
            cx.saw(world.now(), Evidence::Unprotected { what });
        }
        if book.has(&notes::promotion(&database.name)) {
            let what = format!(
                "{} was promoted in {} or is being promoted: it replicates nothing any more, and has no replica behind it",
                database.name, cx.plan.regions.standby
            );
            cx.saw(world.now(), Evidence::Unprotected { what });
        }
    }
    Ok(())
}

/// A promotion leaves a primary with nothing behind it: people should know from the first minute.
fn note_unprotected(cx: &Context<'_, Plan>, now: muster_core::Timestamp, outcome: &str) {
    if outcome != "succeeded" {
        return;
    }
    for (database, id) in cx.plan.replica_databases() {
        let what = format!("{} runs on {id} in {} with no replica behind it: build a new one", database.name, cx.plan.regions.standby);
        cx.saw(now, Evidence::Unprotected { what });
    }
}

/// Makes the report and stores it; returns its link, and the root over every entry that was written until then.
async fn publish<W>(world: &W, plan: &Plan, run: &Run, outcome: &str) -> Result<(String, String), ActionError>
where
    W: Clock + Ledger + Samples + Reports<Report> + Journaled,
{
    // What this invocation has written down so far belongs into the report; a ledger that cannot be written does not block.
    let _ = world.journal().save(world).await;
    let entries = world.read_ledger(&run.id).await?;
    let since = run.opened_at.before(LOOKED_BACK);
    let mut samples = world.read_samples(&run.service, since).await?;
    samples.extend(world.read_samples(&samples_of_lag(&run.service), since).await?);
    samples.sort_by_key(|sample| sample.at);
    let report = assemble(plan, &Ending { run, outcome, started_by: "unknown", drill: false, closed_at: world.now(), entries: &entries, samples: &samples });
    let link = world.publish_report(&run.id, &report).await?;
    Ok((link, report.ledger().root.clone()))
}

/// Stores the report, or finds that an earlier call did: then what that one announced is announced, and not the root over a ledger that has
/// grown since.
async fn sealed<W>(world: &W, cx: &Context<'_, Plan>, outcome: &str) -> Result<String, ActionError>
where
    W: Clock + Notes + Ledger + Samples + Reports<Report> + Journaled,
{
    if let Some(known) = notes::read(world, &cx.run.id.0, SEALED_NOTE).await? {
        return Ok(known);
    }
    let (link, root) = publish(world, cx.plan, cx.run, outcome).await?;
    let told = format!("{link}, ledger sealed by {root}");
    let stands = world.note_once(&cx.run.id.0, SEALED_NOTE, &json!(told)).await?;
    Ok(stands.as_str().map_or(told, str::to_owned))
}

/// The note in the run's scope with the report's link and the ledger's root, as announced.
const SEALED_NOTE: &str = "sealed";

/// Whether an earlier call closed the run.
async fn is_closed<W: RunRegistry>(world: &W, run: &Run) -> Result<bool, ActionError> {
    Ok(world.read_lane(&run.service, run.lane).await?.last_closed.is_some_and(|closed| closed.run == run.id))
}

async fn release<W>(world: &W, run: &Run, outcome: &str) -> Result<bool, ActionError>
where
    W: Clock + RunRegistry,
{
    let closing = Closing { run: run.id.clone(), flow: run.flow.clone(), outcome: outcome.into(), at: world.now() };
    Ok(world.close_run(&run.service, run.lane, &closing).await?)
}

/// Closes a run whose execution has ended without closing it. Called twice, the second call changes nothing.
pub(crate) async fn close_abandoned<W>(world: &W, open: &OpenRun) -> Result<bool, ActionError>
where
    W: Clock + RunRegistry + Ledger + Samples + Plans<Plan> + Reports<Report> + Journaled,
{
    world.journal().belongs_to(world.now(), &open.run);
    let what = format!("the execution of run {} ended without closing it: see in the report which steps were done, and look at the estate", open.run.id);
    world.journal().saw(world.now(), Evidence::Unprotected { what });
    let published = match world.load_plan(&open.run.plan).await {
        Ok(plan) => publish(world, &plan, &open.run, "abandoned").await.map(drop),
        Err(error) => Err(error.into()),
    };
    match published {
        Err(error @ ActionError::Transient(_)) => return Err(error),
        // The lock must not depend on a plan that is gone or a bucket that denies: the ledger still has everything.
        Err(error) => {
            let what = format!("run {} has no report: {error}", open.run.id);
            world.journal().saw(world.now(), Evidence::Unprotected { what });
        }
        Ok(()) => {}
    }
    release(world, &open.run, "abandoned").await
}
