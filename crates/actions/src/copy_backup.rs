//! Copies snapshots to where the plan wants them: the standby region, a vault's account, a bucket.
//!
//! Converges: a copy that is there is left alone, one under way is waited for, one that failed is removed and made again; of one part, one copy into a place at a time, and at most 20 into a
//!            region, whoever asked for them; newest first. What waits for its turn waits outside: nothing here sleeps.
//! Refuses:   nothing.
//! Leaves behind on failure: copies that were made, and those under way.
//! AWS: rds:DescribeDBSnapshots, rds:DescribeDBClusterSnapshots, rds:CopyDBSnapshot, rds:CopyDBClusterSnapshot, rds:AddTagsToResource,
//!      rds:DeleteDBSnapshot, rds:DeleteDBClusterSnapshot, elasticache:DescribeSnapshots, elasticache:ListTagsForResource, elasticache:CopySnapshot,
//!      kms:DescribeKey, kms:CreateGrant (primary region and standby region); s3:ListBucket, s3:GetBucketAcl, s3:PutObject, s3:DeleteObject (where exports are).
//!      RDS uses the keys, and ElastiCache the bucket, with the permissions of whoever calls them.

use muster_backups::{COPIES_PER_REGION, CopyOrder, PointStatus, RecoveryPoint, start_now};
use muster_core::ports::{SnapshotCopy, SnapshotSource, Snapshots};
use muster_core::{Action, ActionError, CallError, Clock, Conduct, Context, Progress};
use muster_plan::Plan;
use serde::Deserialize;

use crate::backups::{clear_failed, look, or_leave_to_the_next, parts, port_place};
use crate::batch::{Batch, Landed, Pace};

/// The action.
pub const COPY_BACKUP: Action = Action { name: "copy-backup", conduct: Conduct::Mutates };

/// Nothing to ask for: the plan says what goes where.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// Brings every copy on its way that there is room for.
///
/// # Errors
/// `Permanent` names every copy that cannot be made; the others are made all the same.
pub async fn copy_backup<W>(_: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Snapshots,
{
    let mut batch = Batch::default();
    let mut orders: Vec<(CopyOrder, SnapshotSource)> = Vec::new();
    let mut under_way: Vec<RecoveryPoint> = Vec::new();
    for (of, source, rules) in parts(cx.plan) {
        let seen = look(world, of, source, &rules, cx.now).await;
        for (_, error) in &seen.unread {
            batch.call_failed(&seen.of.0, error.clone());
        }
        let copied: Vec<_> = rules.lines.iter().flat_map(|line| &line.destinations).filter(|to| to.from.is_some()).map(|to| &to.place).collect();
        clear_failed(world, &seen, &copied, &mut batch).await;
        under_way.extend(seen.situation.points.into_iter().filter(|point| point.status == PointStatus::Copying));
        orders.extend(seen.decision.copies.into_iter().map(|order| (order, seen.source.clone())));
    }
    for point in &under_way {
        batch.pending(&point.name, format!("on its way to {}", point.place));
    }
    orders.sort_by(|(a, _), (b, _)| (b.taken_at, &a.name, &a.to).cmp(&(a.taken_at, &b.name, &b.to)));
    let wanted: Vec<CopyOrder> = orders.iter().map(|(order, _)| order.clone()).collect();
    let now = start_now(&wanted, &under_way, COPIES_PER_REGION);
    for (order, source) in &orders {
        if !now.contains(&order) {
            batch.pending(&order.name, format!("waits for its turn to {}", order.to));
            continue;
        }
        batch.land(match ask(world, order, source).await {
            Ok(()) => Landed::Asked(order.name.clone(), "asked for"),
            Err(error) if error.fault.is_ambiguous() => Landed::Asked(order.name.clone(), "asked for"),
            Err(error) => Landed::Failed(format!("{} to {}", order.name, order.to), error),
        });
    }
    // A copy across regions "can take hours" (RDS user guide), and a full one of a large database a day. `verify-backups` says what is late.
    Ok(or_leave_to_the_next(batch.into_progress(world.now(), cx, Pace::Hours, "copied")?, cx))
}

async fn ask(world: &impl Snapshots, order: &CopyOrder, source: &SnapshotSource) -> Result<(), CallError> {
    let (from, to) = (port_place(&order.from), port_place(&order.to));
    let copy = SnapshotCopy { source, name: &order.name, from: &from, to: &to, kms_key: order.kms_key.as_deref() };
    world.copy_snapshot(&copy).await.map(drop)
}
