//! Deletes the snapshots that the plan's retentions do not want any more.
//!
//! Converges: what is gone is gone; what anything speaks for stays (docs/backups.md has the list).
//! Refuses:   more deletions at once than the plan's `pruning.atMost`: none of them is done.
//! Leaves behind on failure: the snapshots that were still to be deleted.
//! AWS: rds:DescribeDBSnapshots, rds:DescribeDBClusterSnapshots, rds:DeleteDBSnapshot, rds:DeleteDBClusterSnapshot,
//!      elasticache:DescribeSnapshots, elasticache:ListTagsForResource, elasticache:DeleteSnapshot (primary region and standby region); s3:ListBucket (where exports are).

use muster_backups::{Fate, Hold, Place, Reason, Rules};
use muster_core::ports::{SnapshotSource, Snapshots};
use muster_core::{Action, ActionError, CallFault, Clock, Conduct, Context, Finding, Progress};
use muster_plan::Plan;
use serde::Deserialize;

use crate::backups::{look, parts, port_place};
use crate::batch::{Batch, Pace};

/// The action.
pub const PRUNE_BACKUPS: Action = Action { name: "prune-backups", conduct: Conduct::Mutates };

/// What a person may have said.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// A deletion: what, where, of what, why.
struct Doomed {
    name: String,
    place: Place,
    source: SnapshotSource,
    reason: Reason,
}

/// Deletes them, once all of them are known and are not too many.
///
/// # Errors
/// `Refused` where there are more than the plan allows; `Permanent` names every one that cannot be deleted.
pub async fn prune_backups<W>(_: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Snapshots,
{
    let mut batch = Batch::default();
    let mut doomed: Vec<Doomed> = Vec::new();
    for (of, source, rules) in parts(cx.plan) {
        // The limit is the plan's, not the part's: so each part says all that it would delete.
        let seen = look(world, of, source, &Rules { at_most: usize::MAX, ..rules }, cx.now).await;
        for (_, error) in seen.unread {
            batch.call_failed(&seen.of.0, error);
        }
        for (point, fate) in seen.situation.points.into_iter().zip(seen.decision.fates) {
            if let Fate::Delete { reason } = fate {
                doomed.push(Doomed { name: point.name, place: point.place, source: seen.source.clone(), reason });
            }
        }
    }
    let at_most = Rules::of(cx.plan).at_most;
    if doomed.len() > at_most {
        return Err(ActionError::refused(too_many(cx.plan, Hold { would_delete: doomed.len(), at_most }, &doomed)));
    }
    for Doomed { name, place, source, reason } in doomed {
        match world.delete_snapshot(&port_place(&place), &source, &name).await {
            Ok(()) => batch.done(format!("{name} ({place}, {reason})")),
            Err(error) if error.fault == CallFault::NotFound => batch.done(format!("{name} ({place}, gone already)")),
            Err(error) if error.fault.is_ambiguous() => batch.pending(&name, "asked for"),
            Err(error) => batch.call_failed(format!("{name} ({place})"), error),
        }
    }
    batch.into_progress(world.now(), cx, Pace::Soon, "pruned")
}

fn too_many(plan: &Plan, hold: Hold, doomed: &[Doomed]) -> Finding {
    let first: Vec<&str> = doomed.iter().take(3).map(|doomed| doomed.name.as_str()).collect();
    Finding::new(
        &plan.service,
        format!("{} backups would be deleted at once, the first of them {}", hold.would_delete, first.join(", ")),
        format!("at most {}, as `pruning.atMost` says", hold.at_most),
        "look at them with `muster backups plan`; where they may go, raise `pruning.atMost` and push the plan; answer `skip` to delete nothing this time",
    )
}
