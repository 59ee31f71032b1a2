//! What the actions about clones share: whose backup is restored, which backup, and which clone is whose.
//!
//! What has to be known of a clone is on the clone, as tags: a run that died has left nothing anywhere else that the next one needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_backups::{Place, PointStatus, RecoveryPoint, Rules};
use muster_core::ports::{CLONE_PREFIX, CLONE_TAG, CloneState, CloneStatus, LEASE_TAG, SnapshotSource, Snapshots, SourceKind};
use muster_core::{ActionError, CallError, Duration, Finding, Hash, RunId, Timestamp};
use muster_plan::{Database, DatabaseKind, DumpTest, PartReference, Plan, Restorable, RestoreTest};

use crate::backups::{SERVICE_TAG, pages, point, source_of};
use crate::unbuilt::unbuilt_restores;

/// The tag that says which part of the plan a clone is of.
pub const PART_TAG: &str = "muster:part";
/// The tag that says which snapshot a clone was restored from.
pub const SNAPSHOT_TAG: &str = "muster:snapshot";
/// The tag that says which instant that snapshot's data is of.
pub const TAKEN_AT_TAG: &str = "muster:taken-at";
/// The tag that says when the restore was asked for.
pub const ASKED_AT_TAG: &str = "muster:asked-at";

/// After a run's deadline, what it made is needed for this long at most: it has that time to remove it by itself.
const GRACE: Duration = Duration::from_hours(1);

/// A part whose backup is restored.
pub(crate) struct Part<'p> {
    pub(crate) of: PartReference,
    pub(crate) database: &'p Database,
    pub(crate) test: &'p RestoreTest,
    /// The dump that is loaded into the clone, where it is not its newest snapshot that is restored.
    pub(crate) dump: Option<&'p DumpTest>,
    pub(crate) source: SnapshotSource,
}

impl Part<'_> {
    /// The part whose snapshot the clone is made of.
    pub(crate) fn made_of(&self) -> PartReference {
        PartReference(format!("databases.{}", self.database.name))
    }
}

/// The parts that are asked for; without any, those of the plan's calendar that can be restored.
///
/// # Errors
/// `Invalid` names each that cannot be, and why: `open-run` has said the same before anything was touched.
pub(crate) fn parts<'p>(plan: &'p Plan, asked: &[PartReference]) -> Result<Vec<Part<'p>>, ActionError> {
    let wanted: Vec<PartReference> = match asked {
        [] => plan.restore_tested().into_iter().filter(|of| unbuilt_restores(plan, std::slice::from_ref(*of)).is_empty()).cloned().collect(),
        asked => asked.to_vec(),
    };
    let missing = unbuilt_restores(plan, &wanted);
    if !missing.is_empty() {
        return Err(ActionError::Invalid(format!("the restore test of {} needs what there is not: {}", plan.service, missing.join("; "))));
    }
    let part = |of: PartReference| {
        let restorable = plan.restorable(&of).filter(|restorable| restorable.database.kind == DatabaseKind::RdsInstance)?;
        let Restorable { database, test, dump } = restorable;
        Some(Part { source: source_of(plan, &PartReference(format!("databases.{}", database.name)))?, database, test, dump, of })
    };
    Ok(wanted.into_iter().filter_map(part).collect())
}

/// The name of a run's clone of a part: the same, however often it is asked for. At most 63 letters, digits and single hyphens, as RDS wants of an
/// instance. Source: the API reference of RDS, RestoreDBInstanceFromDBSnapshot, `DBInstanceIdentifier`.
pub(crate) fn clone_name(run: &RunId, of: &PartReference) -> String {
    const LONGEST: usize = 63;
    let digest: String = Hash::of(format!("{run}\n{}", of.0).as_bytes()).to_string().chars().take(8).collect();
    let name = of.parts().map_or(of.0.as_str(), |(_, name)| name);
    let mut stem = name.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    stem.truncate(LONGEST - CLONE_PREFIX.len() - 1 - digest.len());
    format!("{CLONE_PREFIX}{}-{digest}", stem.trim_end_matches('-'))
}

/// The tags of a clone.
pub(crate) fn tags(plan: &Plan, run: &muster_core::Run, of: &PartReference, backup: &RecoveryPoint, now: Timestamp) -> BTreeMap<Arc<str>, Arc<str>> {
    let tags = [
        (SERVICE_TAG, plan.service.to_string()),
        (CLONE_TAG, run.id.to_string()),
        (LEASE_TAG, run.deadline.max(now).after(GRACE).to_string()),
        (PART_TAG, of.0.clone()),
        (SNAPSHOT_TAG, backup.name.clone()),
        (TAKEN_AT_TAG, backup.taken_at.to_string()),
        (ASKED_AT_TAG, now.to_string()),
    ];
    tags.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// What a clone was made of, as its tags say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) snapshot: String,
    pub(crate) taken_at: Timestamp,
    pub(crate) asked_at: Timestamp,
}

/// `None` where a tag is missing or says nothing: somebody has changed it.
pub(crate) fn origin(clone: &CloneState) -> Option<Origin> {
    let instant = |tag: &str| clone.tags.get(tag)?.parse().ok();
    Some(Origin { snapshot: clone.tags.get(SNAPSHOT_TAG)?.to_string(), taken_at: instant(TAKEN_AT_TAG)?, asked_at: instant(ASKED_AT_TAG)? })
}

/// A run's clone of a part, if it is there.
pub(crate) fn clone_of<'c>(clones: &'c [CloneState], run: &RunId, of: &PartReference) -> Option<&'c CloneState> {
    let name = clone_name(run, of);
    clones.iter().find(|clone| *clone.name == *name && is_of_run(clone, run))
}

/// Whether it is a clone, and of this run.
pub(crate) fn is_of_run(clone: &CloneState, run: &RunId) -> bool {
    clone.is_clone() && clone.tags.get(CLONE_TAG) == Some(&run.0)
}

/// Where a clone is asked, and what it was made of.
///
/// # Errors
/// What keeps it from being asked, for a person.
pub(crate) fn serving(clone: Option<&CloneState>, name: &str) -> Result<(Arc<str>, Origin), Finding> {
    let gone = |seen: String| {
        Finding::new(name, seen, "a clone that serves", "see who removed it or whether its lease was over; answer `skip` to end the run, and test again")
    };
    let Some(clone) = clone else { return Err(gone("the clone is not there".to_owned())) };
    let (CloneStatus::Serves, Some(endpoint)) = (&clone.status, &clone.endpoint) else {
        return Err(gone(format!("the clone does not serve: {:?}", clone.status)));
    };
    Ok((endpoint.clone(), origin(clone).ok_or_else(|| untagged(name))?))
}

pub(crate) fn untagged(name: &str) -> Finding {
    Finding::new(
        name,
        "something of that name is there, and its tags do not say that Muster made it for this run",
        "a clone with the tags that Muster gave it",
        "look at it and remove it by hand if it is not needed; Muster deletes nothing whose tags it does not know. Then answer `retry`",
    )
}

/// The snapshots of an instance in the standby region: the copies, from which one would restore if the primary region died.
pub(crate) async fn copies(world: &impl Snapshots, plan: &Plan, of: &PartReference, source: &SnapshotSource) -> Result<Vec<RecoveryPoint>, CallError> {
    debug_assert_eq!(source.kind, SourceKind::Instance, "clones are made of instances");
    let place = Place::in_region(&plan.regions.standby);
    let rules = Rules::of(plan);
    Ok(pages(world, &place, source).await?.into_iter().map(|snapshot| point(snapshot, &place, of, &rules, false)).collect())
}

/// The newest good one that is a backup of the plan's: Muster made or adopted it. One that the run has marked already is the run's, whatever came since.
pub(crate) fn newest<'b>(copies: &'b [RecoveryPoint], plan: &Plan, run: &RunId) -> Option<&'b RecoveryPoint> {
    let rules = Rules::of(plan);
    let good = copies.iter().filter(|point| point.status == PointStatus::Available && rules.line_of(point).is_some());
    good.max_by_key(|point| (is_marked(point, run), point.taken_at, &point.name))
}

/// Whether the run has marked it as used.
pub(crate) fn is_marked(point: &RecoveryPoint, run: &RunId) -> bool {
    point.used_by.iter().any(|by| *by == *run.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::ports::CloneStatus;

    fn run(id: &str) -> RunId {
        RunId(id.into())
    }

    fn part(name: &str) -> PartReference {
        PartReference(name.to_owned())
    }

    #[test]
    fn a_clones_name_is_the_same_each_time_one_that_rds_takes_and_told_apart() {
        let name = clone_name(&run("kaireon.restore-test.7"), &part("databases.main"));
        assert_eq!(name, clone_name(&run("kaireon.restore-test.7"), &part("databases.main")));
        assert!(name.starts_with("muster-clone-main-"), "{name}");
        for (other, of) in [("kaireon.restore-test.8", "databases.main"), ("kaireon.restore-test.7", "databases.main-2")] {
            assert_ne!(name, clone_name(&run(other), &part(of)));
        }
        for long in ["a".repeat(63), format!("{}--{}", "b".repeat(39), "c".repeat(20)), "d-".repeat(30)] {
            let name = clone_name(&run("r"), &part(&format!("databases.{long}")));
            assert!(name.len() <= 63 && !name.contains("--") && !name.ends_with('-'), "{name}");
        }
    }

    #[test]
    fn a_clone_of_another_run_or_one_that_only_has_the_name_is_not_the_runs() {
        let state = |tags: &[(&str, &str)]| CloneState {
            name: clone_name(&run("r.1"), &part("databases.main")).into(),
            status: CloneStatus::Serves,
            endpoint: None,
            tags: tags.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect(),
        };
        let found = |clone: CloneState| clone_of(&[clone], &run("r.1"), &part("databases.main")).is_some();
        assert!(found(state(&[(CLONE_TAG, "r.1"), (LEASE_TAG, "x")])));
        assert!(!found(state(&[(CLONE_TAG, "r.2"), (LEASE_TAG, "x")])));
        assert!(!found(state(&[(CLONE_TAG, "r.1")])) && !found(state(&[])));
    }
}
