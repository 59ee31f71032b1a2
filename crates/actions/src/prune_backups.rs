//! Deletes the snapshots that the plan's retentions do not want any more.
//!
//! Converges: what is gone is gone; what anything speaks for stays (docs/backups.md has the list).
//! Refuses:   more deletions at once than the plan's `pruning.atMost`: none of them is done.
//! Leaves behind on failure: the snapshots that were still to be deleted.
//! AWS: rds:DescribeDBSnapshots, rds:DescribeDBClusterSnapshots, rds:DescribeExportTasks, rds:DeleteDBSnapshot, rds:DeleteDBClusterSnapshot,
//!      elasticache:DescribeSnapshots, elasticache:ListTagsForResource, elasticache:DeleteSnapshot (primary region and standby region); s3:ListBucket (where exports are).

use std::collections::{BTreeMap, BTreeSet};

use muster_backups::{Fate, Hold, Place, Reason, RecoveryPoint, Rules};
use muster_core::ports::{Notes, SnapshotSource, Snapshots};
use muster_core::{Action, ActionError, CallFault, Clock, Conduct, Context, Finding, Progress};
use muster_plan::{PartReference, Plan};
use serde::{Deserialize, Serialize};

use crate::backups::{Seen, look, parts, port_place};
use crate::batch::{Batch, Pace};
use crate::round::{Round, is_over};

/// The action.
pub const PRUNE_BACKUPS: Action = Action { name: "prune-backups", conduct: Conduct::Mutates };

/// What a person may have said.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// What of a part is to go, as an invocation has seen it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Due {
    /// How much.
    many: usize,
    /// Which, in the order of their names; of more than may be deleted at once only the first, since then none is.
    which: BTreeSet<(String, Place)>,
    /// The listings that failed.
    unread: Batch,
}

/// Deletes them, once all of them are known and are not too many. Called twice, it deletes nothing that was not to go at the first call.
///
/// # Errors
/// `Refused` where there are more than the plan allows; `Permanent` names every one that cannot be deleted.
pub async fn prune_backups<W>(_: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Snapshots + Notes,
{
    let (parts, at_most) = (parts(cx.plan), Rules::of(cx.plan).at_most);
    let mut round = Round::<Due>::resume(world, cx, "due").await?;
    let mut fresh = BTreeMap::new();
    for (of, source, rules) in &parts {
        if round.has_turn(&of.0) && !is_over(world, cx) {
            let seen = look_at(world, cx, of, source, rules).await;
            round.put(of.0.clone(), due(&seen, at_most));
            fresh.insert(of, seen);
        }
    }
    if !round.keep(world, cx, parts.len(), |_| true).await? {
        return Ok(round.go_on(parts.len()));
    }
    let would_delete = round.all().map(|due| due.many).sum();
    if would_delete > at_most {
        return Err(ActionError::refused(too_many(cx.plan, Hold { would_delete, at_most }, round.all())));
    }
    let mut deleted = Round::<Batch>::resume(world, cx, "deleted").await?;
    for (of, source, rules) in &parts {
        let Some(due) = round.known(&of.0) else { continue };
        if !deleted.has_turn(&of.0) || (is_over(world, cx) && due.many > 0) {
            continue;
        }
        let mut batch = due.unread.clone();
        if due.many > 0 {
            let seen = match fresh.remove(of) {
                Some(seen) => seen,
                // Some minutes have passed: who has put a hold on one meanwhile is heard.
                None => look_at(world, cx, of, source, rules).await,
            };
            delete(world, cx, &seen, due, &mut batch).await;
        }
        deleted.put(of.0.clone(), batch);
    }
    if !deleted.keep(world, cx, parts.len(), Batch::is_settled).await? {
        round.store(world, cx).await?;
        return Ok(deleted.go_on(parts.len()));
    }
    deleted.together().into_progress(world.now(), cx, Pace::Soon, "pruned")
}

/// The limit is the plan's, not the part's: so each part says all that it would delete.
async fn look_at(world: &impl Snapshots, cx: &Context<'_, Plan>, of: &PartReference, source: &SnapshotSource, rules: &Rules) -> Seen {
    look(world, of.clone(), source.clone(), &Rules { at_most: usize::MAX, ..rules.clone() }, cx.now).await
}

/// The points that nothing speaks for any more, and why each goes.
fn doomed(seen: &Seen) -> impl Iterator<Item = (&RecoveryPoint, &Reason)> {
    seen.situation.points.iter().zip(&seen.decision.fates).filter_map(|(point, fate)| match fate {
        Fate::Delete { reason } => Some((point, reason)),
        _ => None,
    })
}

fn due(seen: &Seen, at_most: usize) -> Due {
    let mut unread = Batch::default();
    for (_, error) in &seen.unread {
        unread.call_failed(&seen.of.0, error.clone());
    }
    let which: BTreeSet<_> = doomed(seen).map(|(point, _)| (point.name.clone(), point.place.clone())).collect();
    Due { many: which.len(), which: which.into_iter().take(at_most).collect(), unread }
}

async fn delete<W>(world: &W, cx: &Context<'_, Plan>, seen: &Seen, due: &Due, batch: &mut Batch)
where
    W: Clock + Snapshots,
{
    for (RecoveryPoint { name, place, .. }, reason) in doomed(seen) {
        if !due.which.contains(&(name.clone(), place.clone())) {
            continue;
        }
        if is_over(world, cx) {
            batch.queued(name, "has its turn still to come");
            continue;
        }
        match world.delete_snapshot(&port_place(place), &seen.source, name).await {
            Ok(()) => batch.done(format!("{name} ({place}, {reason})")),
            Err(error) if error.fault == CallFault::NotFound => batch.done(format!("{name} ({place}, gone already)")),
            Err(error) if error.fault.is_ambiguous() => batch.pending(name, "asked for"),
            Err(error) => batch.call_failed(format!("{name} ({place})"), error),
        }
    }
}

fn too_many<'a>(plan: &Plan, hold: Hold, due: impl Iterator<Item = &'a Due>) -> Finding {
    let first: Vec<&str> = due.flat_map(|due| &due.which).take(3).map(|(name, _)| name.as_str()).collect();
    Finding::new(
        &plan.service,
        format!("{} backups would be deleted at once, the first of them {}", hold.would_delete, first.join(", ")),
        format!("at most {}, as `pruning.atMost` says", hold.at_most),
        "look at them with `muster backups plan`; where they may go, raise `pruning.atMost` and push the plan; answer `skip` to delete nothing this time",
    )
}
