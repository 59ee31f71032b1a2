//! Takes the snapshots that the plan's schedules ask for, and those that somebody asked for.
//!
//! Converges: a slot that has its snapshot is left alone, one that is being taken is waited for; one that failed is removed and taken again; missed
//!            slots are made up for once.
//! Refuses:   nothing.
//! Leaves behind on failure: snapshots that were taken, and those that are being taken.
//! AWS: rds:DescribeDBSnapshots, rds:DescribeDBClusterSnapshots, rds:CreateDBSnapshot, rds:CreateDBClusterSnapshot, rds:AddTagsToResource,
//!      rds:DeleteDBSnapshot, rds:DeleteDBClusterSnapshot, rds:DescribeExportTasks, elasticache:DescribeSnapshots, elasticache:ListTagsForResource, elasticache:CreateSnapshot,
//!      elasticache:AddTagsToResource, elasticache:DeleteSnapshot (primary region); s3:ListBucket (where exports are).

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_backups::{PointStatus, Rules, Take, by_hand};
use muster_core::ports::{Notes, SnapshotSource, Snapshots};
use muster_core::{Action, ActionError, Clock, Conduct, Context, Duration, Finding, Progress};
use muster_plan::{Name, PartReference, Plan};
use serde::Deserialize;

use crate::backups::{BACKUP_TAG, SERVICE_TAG, SLOT_TAG, Seen, clear_failed, look, or_leave_to_the_next, parts};
use crate::batch::{Batch, Landed, Pace};
use crate::round::{Round, is_over};

/// The action.
pub const TAKE_BACKUP: Action = Action { name: "take-backup", conduct: Conduct::Mutates };

/// What somebody asked for, besides what the plan and the time say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// Backups of the plan that are to be taken once in this run, such as before a migration.
    #[serde(default)]
    pub asked: Vec<Name>,
}

/// A first snapshot of a large instance takes hours (RDS user guide). Whoever has waited so long for one that was asked for should look.
const PATIENCE: Duration = Duration::from_hours(12);

/// Takes what is due. Called twice, it takes nothing twice: the same slot has the same name.
///
/// # Errors
/// `Permanent` names every backup that cannot be taken; the others are taken all the same.
pub async fn take_backup<W>(request: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Snapshots + Notes,
{
    let parts = parts(cx.plan);
    let (mut round, many) = (Round::resume(world, cx, "taken").await?, parts.len());
    for (of, source, mut rules) in parts {
        if round.has_turn(&of.0) && !is_over(world, cx) {
            // What is copied elsewhere is `copy-backup`'s to look at.
            rules.lines.iter_mut().for_each(|line| line.destinations.retain(|destination| destination.place.region == cx.plan.regions.primary));
            round.put(of.0.clone(), take_part(&request, world, cx, of, source, &rules).await);
        }
    }
    let is_complete = round.keep(world, cx, many, Batch::is_settled).await?;
    if !is_complete {
        return Ok(round.go_on(many));
    }
    let progress = round.together().into_progress(world.now(), cx, Pace::Hours, "taken")?;
    // Whoever asked waits for the answer.
    Ok(if request.asked.is_empty() { or_leave_to_the_next(progress, cx) } else { progress })
}

/// What is due of one part.
async fn take_part<W>(request: &Request, world: &W, cx: &Context<'_, Plan>, of: PartReference, source: SnapshotSource, rules: &Rules) -> Batch
where
    W: Clock + Snapshots,
{
    let mut batch = Batch::default();
    let seen = look(world, of, source, rules, cx.now).await;
    let primary = rules.lines.iter().find_map(|line| line.source()).map(|source| source.place.clone());
    for (_, error) in seen.unread.iter().filter(|(place, _)| Some(place) == primary.as_ref()) {
        batch.call_failed(&seen.of.0, error.clone());
    }
    for point in seen.situation.points.iter().filter(|point| point.status == PointStatus::Creating) {
        match cx.elapsed() > PATIENCE {
            true => batch.failed(slow(&point.name, cx.elapsed())),
            false => batch.pending(&point.name, "being taken"),
        }
    }
    clear_failed(world, &seen, primary.iter().collect::<Vec<_>>().as_slice(), &mut batch).await;
    // Of one part one is taken at a time: what is due comes after what somebody waits for.
    let asked = asked_for(&request.asked, rules, &seen, cx);
    for take in asked.as_ref().map_or(seen.decision.takes.as_slice(), std::slice::from_ref) {
        let tags = tags(cx.plan, take);
        batch.land(match world.create_snapshot(&take.place.region, &seen.source, &take.name, &tags).await {
            // Taken already by an earlier request whose answer was lost: the next look sees it.
            Ok(_) => Landed::Asked(take.name.clone(), "asked for"),
            Err(error) if error.fault.is_ambiguous() => Landed::Asked(take.name.clone(), "asked for"),
            Err(error) => Landed::Failed(take.name.clone(), error),
        });
    }
    batch
}

/// The first that was asked for and is not there yet. The run's opening is its slot: a second call asks for the same name.
fn asked_for(asked: &[Name], rules: &Rules, seen: &Seen, cx: &Context<'_, Plan>) -> Option<Take> {
    let points = &seen.situation.points;
    let is_busy = points.iter().any(|point| point.status == PointStatus::Creating);
    if is_busy {
        return None;
    }
    let lines = rules.lines.iter().filter(|line| asked.contains(&line.name));
    let mut takes = lines.filter_map(|line| by_hand(&rules.service, line, cx.run.opened_at));
    let is_unread = |take: &Take| seen.unread.iter().any(|(place, _)| *place == take.place);
    takes.find(|take| !is_unread(take) && !points.iter().any(|point| point.name == take.name && point.place == take.place))
}

fn tags(plan: &Plan, take: &Take) -> BTreeMap<Arc<str>, Arc<str>> {
    let tags = [(SERVICE_TAG, plan.service.to_string()), (BACKUP_TAG, take.backup.to_string()), (SLOT_TAG, take.slot.to_string())];
    tags.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn slow(name: &str, elapsed: Duration) -> Finding {
    Finding::new(
        name,
        format!("being taken for {}", elapsed.in_words()),
        format!("a snapshot within {PATIENCE}"),
        "look at its progress and its source's events; answer `retry` to go on waiting, or `skip` to leave it to the next run",
    )
}
