//! Removes every clone whose lease is over, whoever's run it was, and takes marks off snapshots whose run is over: what a run leaves that died.
//!
//! Converges: what is gone is gone; a clone whose lease stands is left alone, and so is the snapshot that it was made of.
//! Refuses:   nothing. Only what is a clone by its name and by its tags is deleted.
//! Leaves behind on failure: what could not be removed, for the next call.
//! AWS: s3:ListBucket, s3:GetObject, dynamodb:BatchGetItem, dynamodb:GetItem, dynamodb:BatchWriteItem, rds:DescribeDBInstances,
//!      rds:DescribeDBSnapshots, rds:DeleteDBInstance, rds:RemoveTagsFromResource (standby region).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_core::ports::{CLONE_TAG, CloneState, CloneStatus, Clones, LEASE_TAG, LaneState, Plans, RunRegistry, Snapshots, StartedPlan};
use muster_core::{Action, ActionError, CallFault, Clock, Conduct, Evidence, Finding, Journaled, Lane, Progress, Region, Run, RunId, Timestamp, Waits};
use muster_plan::{DatabaseKind, Flow, PartReference, Plan};
use serde::Deserialize;

use crate::backups::{SERVICE_TAG, USED_BY_TAG, source_of};
use crate::clones::{PART_TAG, SNAPSHOT_TAG, copies};

/// The action.
pub const SWEEP_CLONES: Action = Action { name: "sweep-clones", conduct: Conduct::Undoes };

/// Started by a schedule, with nothing to say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// A snapshot that bears the mark of a run of the service.
struct Mark {
    service: Arc<str>,
    region: Region,
    snapshot: String,
    run: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// It is needed, or no clone, or going already.
    Leave,
    /// Nobody needs it any more.
    Delete,
    /// It is a clone, and nobody can tell until when it is needed.
    Unreadable,
}

fn decide(clone: &CloneState, now: Timestamp) -> Step {
    if !clone.is_clone() || clone.status == CloneStatus::Deleting {
        return Step::Leave;
    }
    let lease: Option<Timestamp> = clone.tags.get(LEASE_TAG).and_then(|lease| lease.parse().ok());
    match (lease, clone.tags.contains_key(SERVICE_TAG)) {
        (Some(lease), true) if lease < now => Step::Delete,
        (Some(_), true) => Step::Leave,
        _ => Step::Unreadable,
    }
}

/// Whether a mark protects nothing any more: no restore test of the service is open, which may have taken it over, and nothing is made of the snapshot.
fn is_over(mark: &Mark, lane: &LaneState, clones: &[CloneState]) -> bool {
    let is_of =
        |clone: &CloneState| clone.tags.get(CLONE_TAG) == Some(&mark.run) || clone.tags.get(SNAPSHOT_TAG).is_some_and(|made_of| **made_of == *mark.snapshot);
    lane.open.is_none() && !clones.iter().any(is_of)
}

/// Removes what is over. Called twice, it removes nothing twice.
///
/// # Errors
/// `Permanent` names what cannot be removed; `Transient` what could not be for a moment. Everything else is removed all the same.
pub async fn sweep_clones<W>(_: Request, world: &W) -> Result<Progress, ActionError>
where
    W: Clock + RunRegistry + Clones + Snapshots + Plans<Plan> + Journaled,
{
    let plans = world.plans_in_force().await?;
    let mut sweep = Sweep { world, plans: &plans, lanes: BTreeMap::new(), gone: 0, unmarked: 0, stuck: Vec::new(), passing: Vec::new() };
    // First the marks, then the lanes, then the clones: so that a run that opens meanwhile is never taken for one that is over.
    let marks = sweep.marks().await;
    for mark in &marks {
        sweep.lane(&mark.service).await?;
    }
    let regions: BTreeSet<&Region> = plans.iter().map(|started| &started.plan.regions.standby).collect();
    for region in regions {
        match world.list_clones(region).await {
            Err(error) => sweep.failed(region.as_str(), error.into()),
            Ok(clones) => {
                for clone in &clones {
                    sweep.clone(region, clone).await?;
                }
                for mark in marks.iter().filter(|mark| mark.region == *region) {
                    let lane = sweep.lane(&mark.service).await?;
                    if is_over(mark, &lane, &clones) {
                        sweep.unmark(mark, lane.epoch).await;
                    }
                }
            }
        }
    }
    sweep.end()
}

struct Sweep<'w, W> {
    world: &'w W,
    plans: &'w [StartedPlan<Plan>],
    lanes: BTreeMap<Arc<str>, LaneState>,
    gone: usize,
    unmarked: usize,
    stuck: Vec<Finding>,
    passing: Vec<String>,
}

impl<W> Sweep<'_, W>
where
    W: Clock + RunRegistry + Clones + Snapshots + Journaled,
{
    /// Every mark that a run of a restore test has left. A mark of anybody else is theirs.
    async fn marks(&mut self) -> Vec<Mark> {
        let mut marks = Vec::new();
        for started in self.plans {
            let plan = &started.plan;
            let ours = format!("{}.{}.", plan.service, Flow::RestoreTest.as_str());
            for database in plan.databases.iter().filter(|database| database.kind == DatabaseKind::RdsInstance && database.restore_test.is_some()) {
                let of = PartReference(format!("databases.{}", database.name));
                let Some(source) = source_of(plan, &of) else { continue };
                match copies(self.world, plan, &of, &source).await {
                    Err(error) => self.failed(&of.0, error.into()),
                    Ok(copies) => marks.extend(copies.into_iter().filter_map(|copy| {
                        let run = copy.used_by.into_iter().find(|by| by.starts_with(&ours))?.into();
                        Some(Mark { service: plan.service.as_str().into(), region: plan.regions.standby.clone(), snapshot: copy.name, run })
                    })),
                }
            }
        }
        marks
    }

    async fn lane(&mut self, service: &Arc<str>) -> Result<LaneState, ActionError> {
        if let Some(known) = self.lanes.get(service) {
            return Ok(known.clone());
        }
        let lane = self.world.read_lane(service, Lane::Prove).await?;
        self.lanes.insert(service.clone(), lane.clone());
        Ok(lane)
    }

    async fn clone(&mut self, region: &Region, clone: &CloneState) -> Result<(), ActionError> {
        match decide(clone, self.world.now()) {
            Step::Leave => return Ok(()),
            Step::Unreadable => {
                self.stuck.push(Finding::new(
                    &clone.name,
                    format!("the tag {LEASE_TAG} or {SERVICE_TAG} of the clone is missing or says nothing"),
                    "tags as Muster gave them",
                    "set the lease to an instant such as 2026-11-26T02:00:00Z and it goes then, or remove the clone by hand",
                ));
                return Ok(());
            }
            Step::Delete => {}
        }
        let tag = |name: &str| clone.tags.get(name).cloned().unwrap_or_default();
        let (service, run) = (tag(SERVICE_TAG), tag(CLONE_TAG));
        let epoch = self.lane(&service).await?.epoch;
        self.turn_to(service, run, epoch);
        match self.world.delete_clone(region, &clone.name).await {
            Ok(()) => {
                self.gone += 1;
                let (component, instance) = (tag(PART_TAG).to_string(), clone.name.to_string());
                self.world.journal().saw(self.world.now(), Evidence::CloneDestroyed { component, instance });
            }
            Err(error) if error.fault == CallFault::NotFound => {}
            // What is being created or backed up cannot be deleted yet, and is as soon as it can be.
            Err(error) if error.fault == CallFault::Rejected && matches!(clone.status, CloneStatus::Changing(_)) => self.passing.push(error.to_string()),
            Err(error) => self.failed(&clone.name, error.into()),
        }
        Ok(())
    }

    async fn unmark(&mut self, mark: &Mark, epoch: u64) {
        self.turn_to(mark.service.clone(), mark.run.clone(), epoch);
        match self.world.unmark_snapshot(&mark.region, &mark.snapshot, USED_BY_TAG).await {
            Ok(()) => self.unmarked += 1,
            Err(error) if error.fault == CallFault::NotFound => {}
            Err(error) => self.failed(&mark.snapshot, error.into()),
        }
    }

    /// What is removed is written into the ledger of the run that made it, under the service's present epoch.
    fn turn_to(&self, service: Arc<str>, id: Arc<str>, epoch: u64) {
        let pin = self.plans.iter().find(|started| *started.plan.service.as_str() == *service).or(self.plans.first()).map(|started| started.pin.clone());
        let (Some(plan), now) = (pin, self.world.now()) else { return };
        let run = Run {
            id: RunId(id),
            service,
            flow: Flow::RestoreTest.as_str().into(),
            epoch,
            lane: Lane::Prove,
            opened_at: now,
            deadline: now,
            plan,
            overrides: Vec::new(),
            waits: Waits { decision_seconds: 1, hold_seconds: 1 },
        };
        self.world.journal().turn_to(now, &run);
    }

    fn failed(&mut self, what: &str, error: ActionError) {
        match error {
            ActionError::Refused(findings) | ActionError::Permanent(findings) => self.stuck.extend(findings),
            ActionError::Transient(text) | ActionError::Invalid(text) => self.passing.push(format!("{what}: {text}")),
        }
    }

    fn end(self) -> Result<Progress, ActionError> {
        if !self.stuck.is_empty() {
            return Err(ActionError::Permanent(self.stuck));
        }
        if !self.passing.is_empty() {
            return Err(ActionError::Transient(self.passing.join("\n")));
        }
        Ok(Progress::done(format!("{} clones asked to go, {} marks taken off", self.gone, self.unmarked)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::ports::CLONE_PREFIX;

    const NOW: Timestamp = Timestamp::from_millis(1_793_584_800_000);

    fn clone(name: &str, status: CloneStatus, tags: &[(&str, &str)]) -> CloneState {
        let tags = tags.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect();
        CloneState { name: name.into(), status, endpoint: None, tags }
    }

    #[test]
    fn only_a_clone_whose_lease_is_over_goes() {
        let name = format!("{CLONE_PREFIX}main-c0be236f");
        let tags = |lease: &'static str| [(CLONE_TAG, "kaireon.restore-test.7"), (SERVICE_TAG, "kaireon"), (LEASE_TAG, lease)];
        let (over, stands) = ("2026-11-02T01:59:59Z", "2026-11-02T02:00:01Z");
        assert!(over.parse::<Timestamp>().unwrap() < NOW && NOW < stands.parse().unwrap(), "{NOW}");
        let decided = |name: &str, status, tags: &[(&str, &str)]| decide(&clone(name, status, tags), NOW);
        for status in [CloneStatus::Serves, CloneStatus::Changing("creating".into()), CloneStatus::Broken("failed".into())] {
            assert_eq!(decided(&name, status, &tags(over)), Step::Delete);
        }
        assert_eq!(decided(&name, CloneStatus::Serves, &tags(stands)), Step::Leave);
        assert_eq!(decided(&name, CloneStatus::Deleting, &tags(over)), Step::Leave);
        assert_eq!(decided("kaireon-prod", CloneStatus::Serves, &tags(over)), Step::Leave, "the name is not a clone's");
        assert_eq!(decided(&name, CloneStatus::Serves, &tags(over)[1..]), Step::Leave, "the tag is missing");
        assert_eq!(decided(&name, CloneStatus::Serves, &tags("soon")), Step::Unreadable);
    }
}
