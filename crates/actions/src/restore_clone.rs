//! Restores the newest backup of each part into a throw-away clone, in the standby region, where it would be needed.
//!
//! Converges: a clone that serves is left alone, one that is being made is waited for; one that failed is removed and made again on `retry`. The
//!            snapshot is marked as used first, so that nobody prunes it.
//! Refuses:   a part of which no good copy is there.
//! Leaves behind on failure: clones, each with a lease in its tags; `destroy-clone` removes them, and `sweep-clones` when the run has died.
//! AWS: rds:DescribeDBInstances, rds:DescribeDBSnapshots, rds:AddTagsToResource, rds:RestoreDBInstanceFromDBSnapshot, rds:DeleteDBInstance, and, with
//!      the key of an encrypted snapshot, kms:DescribeKey, kms:CreateGrant (standby region).

use muster_backups::RecoveryPoint;
use muster_core::ports::{CloneOrder, CloneState, CloneStatus, Clones, Notes, Requested, Snapshots};
use muster_core::{Action, ActionError, CallError, CallFault, Clock, Conduct, Context, Duration, Evidence, Finding, Progress};
use muster_plan::{Flow, PartReference, Plan};
use serde::Deserialize;

use crate::backups::USED_BY_TAG;
use crate::batch::{Batch, Landed, Pace};
use crate::clones::{Part, clone_name, clone_of, copies, is_marked, newest, origin, parts, tags, untagged};
use crate::notes::Finished;

/// The action.
pub const RESTORE_CLONE: Action = Action { name: "restore-clone", conduct: Conduct::Mutates };

/// Whose backup is restored.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// Parts such as `databases.main`; without any, those of the plan's restore tests.
    #[serde(default)]
    pub parts: Vec<PartReference>,
}

/// RDS lists a new instance within moments. A name that is taken for so long by something that is no clone will not be free.
const SHOWN: Duration = Duration::from_mins(10);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step<'a> {
    /// Nothing is there yet.
    Restore,
    /// RDS is at it.
    Await(&'a str),
    /// It serves.
    Done,
    /// It never will: its name is in the way of the next attempt.
    Clear(&'a str),
}

fn decide(clone: Option<&CloneState>) -> Step<'_> {
    match clone.map(|clone| &clone.status) {
        None => Step::Restore,
        Some(CloneStatus::Serves) => Step::Done,
        Some(CloneStatus::Changing(status)) => Step::Await(status),
        Some(CloneStatus::Deleting) => Step::Await("deleting"),
        Some(CloneStatus::Broken(status)) => Step::Clear(status),
    }
}

/// Restores what is not there. Called twice, it restores nothing twice: the same run's clone of a part has the same name.
///
/// # Errors
/// `Refused` where there is nothing to restore; `Permanent` names every clone that cannot be made; the others are made all the same.
pub async fn restore_clone<W>(request: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Clones + Snapshots + Notes,
{
    let parts = parts(cx.plan, &request.parts)?;
    let clones = world.list_clones(&cx.plan.regions.standby).await?;
    let mut finished = Finished::read(world, cx.run, cx.phase).await?;
    let mut batch = Batch::default();
    for part in &parts {
        let name = clone_name(&cx.run.id, &part.of);
        let clone = clone_of(&clones, &cx.run.id, &part.of);
        match decide(clone) {
            Step::Restore => restore(world, cx, part, &name, &mut batch).await,
            Step::Await(status) => batch.pending(&name, status),
            Step::Clear(status) => clear(world, cx, &name, status, &mut batch).await,
            Step::Done => match clone.and_then(origin) {
                Some(origin) => {
                    let until = finished.first_seen(&part.of.0, world.now());
                    // A dump is restored once it is loaded: this is only the server for it.
                    if part.dump.is_none() {
                        batch.saw(Evidence::Restored {
                            component: part.of.0.clone(),
                            snapshot: origin.snapshot,
                            taken_at: origin.taken_at,
                            instance: name.clone(),
                            from: origin.asked_at,
                            until,
                            loaded_from: None,
                            rto: part.database.objectives.rto,
                        });
                    }
                    batch.done(format!("{} in {}", part.of.0, until.since(origin.asked_at)));
                }
                None => batch.failed(untagged(&name)),
            },
        }
    }
    finished.keep(world, cx.run).await?;
    batch.into_progress(world.now(), cx, Pace::Unhurried, "restored")
}

async fn restore<W>(world: &W, cx: &Context<'_, Plan>, part: &Part<'_>, name: &str, batch: &mut Batch)
where
    W: Clock + Clones + Snapshots,
{
    let copies = match copies(world, cx.plan, &part.made_of(), &part.source).await {
        Ok(copies) => copies,
        Err(error) => return batch.call_failed(&part.of.0, error),
    };
    let Some(backup) = newest(&copies, cx.plan, &cx.run.id) else { return batch.refused(nothing(cx.plan, part)) };
    match ask(world, cx, part, name, backup).await {
        Ok(Requested::NameTaken) if cx.elapsed() > SHOWN => batch.failed(untagged(name)),
        Ok(_) => batch.pending(name, format!("asked for, from {}", backup.name)),
        Err(error) if error.fault.is_ambiguous() => batch.pending(name, format!("asked for, from {}", backup.name)),
        Err(error) => batch.land(Landed::Failed(name.to_owned(), error)),
    }
}

/// The mark comes first: from here on the snapshot stays, until the clone is gone.
async fn ask<W>(world: &W, cx: &Context<'_, Plan>, part: &Part<'_>, name: &str, backup: &RecoveryPoint) -> Result<Requested, CallError>
where
    W: Clock + Clones,
{
    let region = &cx.plan.regions.standby;
    // One that somebody else uses stays already, and the mark is theirs. That of an earlier restore test is taken over: one is open at a time, so that
    // run is over, and its mark is taken off some day.
    let of_restore_tests = format!("{}.{}.", cx.plan.service, Flow::RestoreTest.as_str());
    if !is_marked(backup, &cx.run.id) && backup.used_by.iter().all(|by| by.starts_with(&of_restore_tests)) {
        world.mark_snapshot(region, &backup.name, USED_BY_TAG, &cx.run.id.0).await?;
    }
    let tags = tags(cx.plan, cx.run, &part.of, backup, world.now());
    let order = CloneOrder {
        region,
        snapshot: &backup.name,
        name,
        instance_class: part.test.instance_class.as_deref(),
        storage: part.dump.and_then(|dump| dump.storage).map(|storage| u32::try_from(storage.as_gib_ceil()).unwrap_or(u32::MAX)),
        subnet_group: &part.test.subnet_group,
        security_groups: &part.test.security_groups,
        tags: &tags,
    };
    world.restore_clone(&order).await
}

async fn clear<W: Clones>(world: &W, cx: &Context<'_, Plan>, name: &str, status: &str, batch: &mut Batch) {
    match world.delete_clone(&cx.plan.regions.standby, name).await {
        Err(error) if error.fault != CallFault::NotFound && !error.fault.is_ambiguous() => batch.call_failed(name, error),
        _ => batch.failed(Finding::new(
            name,
            format!("the restore came to `{status}`, and what it made is being removed"),
            "an instance that serves",
            "see its events in RDS for why; answer `retry` to restore once more, or `skip` to leave it out: the run ends as failed",
        )),
    }
}

fn nothing(plan: &Plan, part: &Part<'_>) -> Finding {
    Finding::new(
        &part.of.0,
        format!("no good snapshot of {} is in {}", part.source.name, plan.regions.standby),
        "a copy to restore from",
        "see what the last backup run says of it; answer `retry` once one is there",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_left_alone_or_waited_for_and_what_failed_makes_room() {
        let decided = |status: CloneStatus| CloneState { name: "muster-clone-x".into(), status, endpoint: None, tags: Default::default() };
        assert_eq!(decide(None), Step::Restore);
        assert_eq!(decide(Some(&decided(CloneStatus::Serves))), Step::Done);
        assert_eq!(decide(Some(&decided(CloneStatus::Changing("creating".into())))), Step::Await("creating"));
        assert_eq!(decide(Some(&decided(CloneStatus::Deleting))), Step::Await("deleting"));
        assert_eq!(decide(Some(&decided(CloneStatus::Broken("incompatible-restore".into())))), Step::Clear("incompatible-restore"));
    }
}
