//! Removes the clones of a run, and the mark on what they were made of.
//!
//! Converges: what is gone is gone, what is being deleted is waited for; a mark is taken off once nothing is restored from the snapshot any more.
//! Refuses:   nothing. Only what is a clone by its name and by its tags, and of this run, is deleted.
//! Leaves behind on failure: clones whose lease ends, which `sweep-clones` removes then.
//! AWS: rds:DescribeDBInstances, rds:DescribeDBSnapshots, rds:DeleteDBInstance, rds:RemoveTagsFromResource, dynamodb:GetItem (standby region).

use muster_core::ports::{CloneState, CloneStatus, Clones, Notes, Snapshots};
use muster_core::{Action, ActionError, CallFault, Clock, Conduct, Context, Duration, Evidence, Finding, Progress};
use muster_plan::{PartReference, Plan};
use serde::Deserialize;

use crate::backups::USED_BY_TAG;
use crate::batch::{Batch, Pace};
use crate::clones::{clone_name, copies, is_marked, is_of_run, origin, parts};
use crate::notes::Finished;

/// The action. It removes what the run has made, whatever became of the run.
pub const DESTROY_CLONE: Action = Action { name: "destroy-clone", conduct: Conduct::Undoes };

/// Whose clones are removed: all of the run's, whatever this says. It says whose snapshots may bear a mark.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// As `restore-clone` was asked.
    #[serde(default)]
    pub parts: Vec<PartReference>,
}

/// A deletion takes minutes; one that is refused while the instance changes is asked for again. Whoever has waited so long should look.
const PATIENCE: Duration = Duration::from_hours(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Delete,
    Await,
}

fn decide(status: &CloneStatus) -> Step {
    if *status == CloneStatus::Deleting { Step::Await } else { Step::Delete }
}

/// Removes them. Called twice, it deletes nothing twice.
///
/// # Errors
/// `Permanent` names what cannot be removed.
pub async fn destroy_clone<W>(request: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Clones + Snapshots + Notes,
{
    let parts = parts(cx.plan, &request.parts)?;
    let region = &cx.plan.regions.standby;
    let listed = world.list_clones(region).await?;
    let clones: Vec<&CloneState> = listed.iter().filter(|clone| is_of_run(clone, &cx.run.id)).collect();
    let mut seen = Finished::read(world, cx.run, cx.phase).await?;
    let mut batch = Batch::default();
    for clone in &clones {
        seen.first_seen(&clone.name, world.now());
        delete(world, cx, clone, &mut batch).await;
    }
    // Before a clone is gone it has to be known that there was one.
    seen.keep(world, cx.run).await?;
    for part in &parts {
        let name = clone_name(&cx.run.id, &part.of);
        if clones.iter().any(|clone| *clone.name == *name) {
            continue;
        }
        if seen.has(&name) {
            batch.saw(Evidence::CloneDestroyed { component: part.of.0.clone(), instance: name.clone() });
            batch.done(&name);
        }
        match copies(world, cx.plan, &part.made_of(), &part.source).await {
            Err(error) => batch.call_failed(&part.of.0, error),
            Ok(copies) => {
                // Another part's clone may have been made of the same one, or that of a run that died: with the last of them the sweep takes the mark off.
                let is_used = |snapshot: &str| listed.iter().filter_map(origin).any(|origin| origin.snapshot == snapshot);
                for marked in copies.iter().filter(|copy| is_marked(copy, &cx.run.id) && !is_used(&copy.name)) {
                    match world.unmark_snapshot(region, &marked.name, USED_BY_TAG).await {
                        Ok(()) => batch.done(format!("the mark on {}", marked.name)),
                        Err(error) if error.fault == CallFault::NotFound => {}
                        Err(error) => batch.call_failed(&marked.name, error),
                    }
                }
            }
        }
    }
    batch.into_progress(world.now(), cx, Pace::Hours, "removed")
}

async fn delete<W: Clones>(world: &W, cx: &Context<'_, Plan>, clone: &CloneState, batch: &mut Batch) {
    let is_slow = cx.elapsed() > PATIENCE;
    if decide(&clone.status) == Step::Await {
        return if is_slow { batch.failed(slow(clone)) } else { batch.pending(&clone.name, "deleting") };
    }
    match world.delete_clone(&cx.plan.regions.standby, &clone.name).await {
        Ok(()) => batch.pending(&clone.name, "asked to go"),
        Err(error) if error.fault.is_ambiguous() || error.fault == CallFault::NotFound => batch.pending(&clone.name, "asked to go"),
        // An instance that is being created or backed up cannot be deleted yet. Source: the API reference of RDS, DeleteDBInstance.
        Err(error) if error.fault == CallFault::Rejected && !is_slow => batch.pending(&clone.name, "cannot be deleted just now"),
        Err(error) => batch.call_failed(&clone.name, error),
    }
}

fn slow(clone: &CloneState) -> Finding {
    Finding::new(
        &clone.name,
        format!("it is being deleted for more than {PATIENCE}"),
        "an instance that is gone",
        "look at it in RDS; answer `retry` to go on waiting, or `skip`: it is looked after by its lease",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_clone_does_it_is_asked_to_go_and_once_only() {
        for status in [CloneStatus::Serves, CloneStatus::Changing("creating".into()), CloneStatus::Broken("incompatible-restore".into())] {
            assert_eq!(decide(&status), Step::Delete, "{status:?}");
        }
        assert_eq!(decide(&CloneStatus::Deleting), Step::Await);
    }
}
