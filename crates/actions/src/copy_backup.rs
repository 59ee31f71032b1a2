//! Copies snapshots to where the plan wants them: the standby region, a vault's account, a bucket; lets RDS export those of archives.
//!
//! Converges: a copy that is there is left alone, one under way is waited for, one that failed is removed and made again; of one part, one copy into a place at a time, and at most 20 into a
//!            region, whoever asked for them; newest first. What waits for its turn waits outside: nothing here sleeps. An export by RDS that failed is tried again a day later, under
//!            another name, since RDS takes a name once; at most five are in progress.
//! Refuses:   nothing.
//! Leaves behind on failure: copies that were made, and those under way.
//! AWS: rds:DescribeDBSnapshots, rds:DescribeDBClusterSnapshots, rds:CopyDBSnapshot, rds:CopyDBClusterSnapshot, rds:AddTagsToResource,
//!      rds:DeleteDBSnapshot, rds:DeleteDBClusterSnapshot, rds:DescribeExportTasks, rds:StartExportTask, elasticache:DescribeSnapshots, elasticache:ListTagsForResource, elasticache:CopySnapshot,
//!      kms:DescribeKey, kms:CreateGrant (primary region and standby region); iam:PassRole (to RDS); s3:ListBucket, s3:GetBucketAcl, s3:PutObject, s3:DeleteObject (where exports are).
//!      RDS uses the keys, and ElastiCache the bucket, with the permissions of whoever calls them.

use std::collections::BTreeMap;

use muster_backups::{COPIES_PER_REGION, CopyOrder, Place, PointStatus, start_now};
use muster_core::ports::{ExportTask, Notes, SnapshotCopy, SnapshotSource, Snapshots};
use muster_core::{Action, ActionError, CallError, Clock, Conduct, Context, Progress};
use muster_plan::{PartReference, Plan};
use serde::{Deserialize, Serialize};

use crate::backups::{clear_failed, look, or_leave_to_the_next, parts, port_place};
use crate::batch::{Batch, Landed, Pace};
use crate::round::{Round, is_over};

/// The action.
pub const COPY_BACKUP: Action = Action { name: "copy-backup", conduct: Conduct::Mutates };

/// Nothing to ask for: the plan says what goes where.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// What came of a part.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Part {
    batch: Batch,
    /// Where copies of it are under way.
    under_way: Vec<(PartReference, Place)>,
}

/// Brings every copy on its way that there is room for. Called twice, it copies nothing twice: a copy has its original's name.
///
/// # Errors
/// `Permanent` names every copy that cannot be made; the others are made all the same.
pub async fn copy_backup<W>(_: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Snapshots + Notes,
{
    let parts = parts(cx.plan);
    let (mut round, many) = (Round::<Part>::resume(world, cx, "copied").await?, parts.len());
    let mut orders: Vec<(CopyOrder, SnapshotSource)> = Vec::new();
    let mut looked_at: BTreeMap<PartReference, Part> = BTreeMap::new();
    for (of, source, rules) in parts {
        if !round.has_turn(&of.0) || is_over(world, cx) {
            continue;
        }
        let mut part = Part::default();
        let seen = look(world, of.clone(), source, &rules, cx.now).await;
        for (_, error) in &seen.unread {
            part.batch.call_failed(&of.0, error.clone());
        }
        let copied: Vec<_> = rules.lines.iter().flat_map(|line| &line.destinations).filter(|to| to.from.is_some()).map(|to| &to.place).collect();
        clear_failed(world, &seen, &copied, &mut part.batch).await;
        for point in seen.situation.points.into_iter().filter(|point| point.status == PointStatus::Copying) {
            part.batch.pending(&point.name, format!("on its way to {}", point.place));
            part.under_way.push((of.clone(), point.place));
        }
        orders.extend(seen.decision.copies.into_iter().map(|order| (order, seen.source.clone())));
        looked_at.insert(of, part);
    }
    // Newest first, of all parts that were looked at; those of the others count where they are under way.
    orders.sort_by(|(a, _), (b, _)| (b.taken_at, &a.name, &a.to).cmp(&(a.taken_at, &b.name, &b.to)));
    let elsewhere = round.all().flat_map(|part| &part.under_way).filter(|(of, _)| !looked_at.contains_key(of));
    let under_way: Vec<(PartReference, Place)> = elsewhere.chain(looked_at.values().flat_map(|part| &part.under_way)).cloned().collect();
    let wanted: Vec<CopyOrder> = orders.iter().map(|(order, _)| order.clone()).collect();
    let now = start_now(&wanted, &under_way, COPIES_PER_REGION);
    for (order, source) in &orders {
        let part = looked_at.entry(order.of.clone()).or_default();
        if !now.contains(&order) {
            part.batch.pending(&order.name, format!("waits for its turn to {}", order.to));
            continue;
        }
        part.batch.land(match ask(world, order, source).await {
            Err(error) if !error.fault.is_ambiguous() => Landed::Failed(format!("{} to {}", order.name, order.to), error),
            _ => {
                part.under_way.push((order.of.clone(), order.to.clone()));
                Landed::Asked(order.name.clone(), "asked for")
            }
        });
    }
    looked_at.into_iter().for_each(|(of, part)| round.put(of.0, part));
    if !round.keep(world, cx, many, |part| part.batch.is_settled()).await? {
        return Ok(round.go_on(many));
    }
    let mut batch = Batch::default();
    round.all().for_each(|part| batch.join(part.batch.clone()));
    // A copy across regions "can take hours" (RDS user guide), and a full one of a large database a day. `verify-backups` says what is late.
    Ok(or_leave_to_the_next(batch.into_progress(world.now(), cx, Pace::Hours, "copied")?, cx))
}

async fn ask(world: &impl Snapshots, order: &CopyOrder, source: &SnapshotSource) -> Result<(), CallError> {
    let (from, to) = (port_place(&order.from), port_place(&order.to));
    let export = order.export.as_ref().map(|export| ExportTask { name: &export.name, role: &export.role });
    let copy = SnapshotCopy { source, name: &order.name, from: &from, to: &to, kms_key: order.kms_key.as_deref(), export };
    world.copy_snapshot(&copy).await.map(drop)
}
