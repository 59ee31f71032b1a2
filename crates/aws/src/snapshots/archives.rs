//! Exports of RDS snapshots to S3: the tasks that RDS tells of.
//!
//! An export task is of one snapshot, by its ARN, and is called once: what failed keeps its name. So a snapshot has as many tasks in a bucket as there
//! were attempts, and its export is what the last of them is. RDS sets no tags on tasks, so tags and instant come from the snapshot, and an export
//! whose snapshot is gone is not listed: nothing is copied or deleted for it. Source: the API reference of RDS, StartExportTask and ExportTask.

use std::collections::BTreeMap;

use aws_sdk_rds::types::{ExportTask as Task, Filter};
use muster_core::ports::{Control, ExportTask, FailedAttempt, Ledger, Requested, SnapshotCopy, SnapshotPage, SnapshotStatus, SourceKind};
use muster_core::{CallError, CallFault, Region, Timestamp};

use super::instances::PAGE;
use super::{instant, next, requested};
use crate::{Aws, Failed, Target, classify};

/// A listing of tasks longer than this is none any more: seven years of nightly exports are twenty-six pages.
const MOST_PAGES: usize = 50;

impl<X> Aws<X> {
    /// Of a page of snapshots, those that were exported to the bucket, are being exported, or could not be.
    pub(super) async fn exported(&self, region: &Region, bucket: &str, kind: SourceKind, mut page: SnapshotPage) -> Result<SnapshotPage, CallError> {
        if page.snapshots.is_empty() {
            return Ok(page);
        }
        let target = Target::control("rds:DescribeExportTasks", region, bucket);
        let mut by_source: BTreeMap<String, Vec<Task>> = BTreeMap::new();
        for task in self.export_tasks(&target, bucket).await? {
            by_source.entry(task.source_arn().unwrap_or_default().to_owned()).or_default().push(task);
        }
        let mut exported = Vec::new();
        for mut snapshot in page.snapshots {
            let arn = self.snapshot_arn(region, resource(kind), &snapshot.name).map_err(|failed| target.failed(failed))?;
            let Some(tasks) = by_source.get(&arn) else { continue };
            snapshot.status = status(tasks);
            snapshot.failures = failures(tasks).map_err(|failed| target.failed(failed))?;
            // The bucket's objects are encrypted with the task's key, and not with the snapshot's.
            snapshot.kms_key = tasks.iter().find(|task| task.status() == Some("COMPLETE")).and_then(|task| task.kms_key_id()).map(Into::into);
            exported.push(snapshot);
        }
        page.snapshots = exported;
        Ok(page)
    }

    async fn export_tasks(&self, target: &Target, bucket: &str) -> Result<Vec<Task>, CallError> {
        let filter = Filter::builder().name("s3-bucket").values(bucket).build();
        let (mut tasks, mut marker) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let request = self.rds(&target.region).describe_export_tasks().filters(filter.clone()).max_records(PAGE).set_marker(marker);
            let page = self.read(target.clone(), async { request.send().await.map_err(classify) }).await?;
            tasks.extend(page.export_tasks.unwrap_or_default());
            marker = next(page.marker).map(|marker| marker.to_string());
            if marker.is_none() {
                return Ok(tasks);
            }
        }
        let what = format!("more than {MOST_PAGES} pages of export tasks: give the archive a bucket of its own");
        Err(target.failed(Failed::new(CallFault::Rejected, what)))
    }
}

impl<X> Aws<X>
where
    Self: Control + Ledger,
{
    pub(super) async fn start_export(&self, target: Target, copy: &SnapshotCopy<'_>, bucket: &str, export: ExportTask<'_>) -> Result<Requested, CallError> {
        if copy.from.region != copy.to.region {
            let what = format!("s3://{bucket} has to be in {}, where the snapshot is: RDS exports to no other region", copy.from.region);
            return Err(target.failed(Failed::new(CallFault::Rejected, what)));
        }
        let source = self.snapshot_arn(&copy.from.region, resource(copy.source.kind), copy.name).map_err(|failed| target.failed(failed))?;
        let request = self
            .rds(&target.region)
            .start_export_task()
            .export_task_identifier(export.name)
            .source_arn(source)
            .s3_bucket_name(bucket)
            .iam_role_arn(export.role)
            .set_kms_key_id(copy.kms_key.map(str::to_owned));
        self.mutate(target, async { requested(request.send().await.map_err(classify), "ExportTaskAlreadyExists") }).await
    }
}

/// How a snapshot's ARN calls what it is.
fn resource(kind: SourceKind) -> &'static str {
    if kind == SourceKind::Cluster { "cluster-snapshot" } else { "snapshot" }
}

/// What the attempts come to: complete as soon as one of them is.
fn status(tasks: &[Task]) -> SnapshotStatus {
    let is = |status: &str| tasks.iter().any(|task| task.status() == Some(status));
    match () {
        () if is("COMPLETE") => SnapshotStatus::Available,
        () if tasks.iter().all(has_failed) => SnapshotStatus::Failed,
        // `STARTING`, `IN_PROGRESS`, `CANCELING`, and what nobody knows yet: it is waited for.
        () => SnapshotStatus::UnderWay,
    }
}

/// Whether a task will never be complete. One that somebody has cancelled is none either: the plan wants its archive.
fn has_failed(task: &Task) -> bool {
    matches!(task.status(), Some("FAILED" | "CANCELED"))
}

/// The attempts that failed, the oldest first.
fn failures(tasks: &[Task]) -> Result<Vec<FailedAttempt>, Failed> {
    let mut failures = Vec::new();
    for task in tasks.iter().filter(|task| has_failed(task)) {
        let name = task.export_task_identifier().unwrap_or_default();
        // One that never began has no beginning, and may have no end.
        let at: Option<Timestamp> = task.task_end_time().or(task.task_start_time()).or(task.snapshot_time()).and_then(instant);
        let at = at.ok_or_else(|| Failed::new(CallFault::Rejected, format!("{name} has failed, and the answer does not say when")))?;
        let said = [task.failure_cause(), task.warning_message()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let why = match (task.status(), said.is_empty()) {
            (Some("CANCELED"), _) => format!("somebody has cancelled {name}"),
            (_, true) => format!("RDS does not say why {name} failed"),
            (_, false) => said,
        };
        failures.push(FailedAttempt { at, why });
    }
    failures.sort_by_key(|failure| failure.at);
    Ok(failures)
}
