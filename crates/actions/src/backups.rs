//! What the actions of the flow `backup` share: what is there, part by part, and what follows from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_backups::{Decision, Fate, Line, Place, PointStatus, Reason, RecoveryPoint, Rules, Situation, decide};
use muster_core::ports::{Snapshot, SnapshotPlace, SnapshotSource, SnapshotStatus, Snapshots, SourceKind};
use muster_core::{CallError, CallFault, Context, Duration, Progress, Timestamp};
use muster_plan::{Bytes, CacheKind, DatabaseKind, PartReference, Plan};

use crate::batch::{Batch, Landed};

/// The tag that says whose a snapshot is. Only what carries the service's name was made by Muster.
pub const SERVICE_TAG: &str = "muster:service";
/// The tag that says which backup of the plan it is.
pub const BACKUP_TAG: &str = "muster:backup";
/// The tag that says which slot it is for, as an instant.
pub const SLOT_TAG: &str = "muster:slot";
/// The tag by which a person puts a snapshot under legal hold; its value says whose, and why.
pub const LEGAL_HOLD_TAG: &str = "muster:legal-hold";
/// The tag by which a restore says that it uses a snapshot.
pub const USED_BY_TAG: &str = "muster:used-by";

/// A listing longer than this is no listing any more: four hundred snapshots are four pages.
const MOST_PAGES: usize = 100;

/// A run waits so long for what is being made; the next one, within the hour, goes on with it. So verifying waits for nothing that does not end.
const A_RUN: Duration = Duration::from_mins(50);

/// What a run does not wait for any longer is left to the next one.
pub(crate) fn or_leave_to_the_next(progress: Progress, cx: &Context<'_, Plan>) -> Progress {
    match progress.is_done() || cx.now.since(cx.run.opened_at) < A_RUN {
        true => progress,
        false => Progress::done(format!("left to the next run: {}", progress.detail)).with_verdict("underWay"),
    }
}

/// One part of the plan: what is there of it, and what is to be done.
pub(crate) struct Seen {
    pub(crate) of: PartReference,
    pub(crate) source: SnapshotSource,
    pub(crate) situation: Situation,
    pub(crate) decision: Decision,
    /// The listings that failed: nothing is done in their places.
    pub(crate) unread: Vec<(Place, CallError)>,
}

/// The parts of which Muster makes backups, each with its own lines.
pub(crate) fn parts(plan: &Plan) -> Vec<(PartReference, SnapshotSource, Rules)> {
    let rules = Rules::of(plan);
    let mut lines: BTreeMap<PartReference, Vec<Line>> = BTreeMap::new();
    for line in &rules.lines {
        lines.entry(line.of.clone()).or_default().push(line.clone());
    }
    lines.into_iter().filter_map(|(of, lines)| Some((of.clone(), source_of(plan, &of)?, Rules { lines, ..rules.clone() }))).collect()
}

/// What a part's snapshots and automated backups are taken of; `None` where it is nothing that AWS runs.
pub fn source_of(plan: &Plan, of: &PartReference) -> Option<SnapshotSource> {
    let (section, name) = of.parts()?;
    let (kind, name) = match section {
        "databases" => {
            let database = plan.database(name)?;
            let kind = match database.kind {
                DatabaseKind::AuroraCluster => SourceKind::Cluster,
                DatabaseKind::RdsInstance => SourceKind::Instance,
                DatabaseKind::External => return None,
            };
            (kind, &database.primary)
        }
        "caches" => plan.cache(name).filter(|cache| cache.kind != CacheKind::External).map(|cache| (SourceKind::Cache, &cache.primary))?,
        _ => return None,
    };
    Some(SnapshotSource { kind, name: name.as_str().into() })
}

/// Looks at one part and decides what is to be done. Parts are looked at one after the other, so that memory holds one of them.
pub(crate) async fn look(world: &impl Snapshots, of: PartReference, source: SnapshotSource, rules: &Rules, now: Timestamp) -> Seen {
    let (situation, unread) = there(world, &of, &source, rules).await;
    let decision = decide(&situation, rules, now);
    Seen { of, source, situation, decision, unread }
}

/// What is there of one part: every page of every place that its backups go to; and the listings that failed.
pub(crate) async fn there(world: &impl Snapshots, of: &PartReference, source: &SnapshotSource, rules: &Rules) -> (Situation, Vec<(Place, CallError)>) {
    let mut places: Vec<&Place> = rules.lines.iter().flat_map(|line| line.destinations.iter().map(|destination| &destination.place)).collect();
    places.sort_unstable();
    places.dedup();
    let (mut points, mut unread) = (Vec::new(), Vec::new());
    for place in places {
        let origin = rules.lines.iter().any(|line| line.source().is_some_and(|source| source.place == *place));
        match pages(world, place, source).await {
            Ok(found) => points.extend(found.into_iter().map(|snapshot| point(snapshot, place, of, rules, origin))),
            Err(error) => unread.push((place.clone(), error)),
        }
    }
    // The kill switch is looked at on the way into every call that changes anything: what it stops, the run holds for.
    (Situation { points, unread: unread.iter().map(|(place, _)| place.clone()).collect(), kill_switch: false }, unread)
}

/// Removes what failed, where it was to be made: its name is in the way of the next attempt, and nothing can be restored from it.
pub(crate) async fn clear_failed(world: &impl Snapshots, seen: &Seen, places: &[&Place], batch: &mut Batch) {
    for (point, fate) in seen.situation.points.iter().zip(&seen.decision.fates) {
        if !places.contains(&&point.place) || !matches!(fate, Fate::Delete { reason: Reason::Failed }) {
            continue;
        }
        batch.land(match world.delete_snapshot(&port_place(&point.place), &seen.source, &point.name).await {
            Err(error) if error.fault != CallFault::NotFound && !error.fault.is_ambiguous() => {
                Landed::Failed(format!("{} ({})", point.name, point.place), error)
            }
            _ => Landed::Asked(point.name.clone(), "failed, and is made again"),
        });
    }
}

/// Every snapshot of a source in a place, whoever made it.
pub(crate) async fn pages(world: &impl Snapshots, place: &Place, source: &SnapshotSource) -> Result<Vec<Snapshot>, CallError> {
    let place = port_place(place);
    let (mut found, mut after) = (Vec::new(), None::<Arc<str>>);
    for _ in 0..MOST_PAGES {
        let page = world.list_snapshots(&place, source, after.as_deref()).await?;
        found.extend(page.snapshots);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(found),
        }
    }
    Err(CallError {
        operation: "DescribeSnapshots".into(),
        resource: format!("{} ({})", source.name, place.region),
        fault: CallFault::Rejected,
        message: format!("more than {MOST_PAGES} pages: the listing does not end"),
    })
}

/// The place, as the port has it.
pub(crate) fn port_place(place: &Place) -> SnapshotPlace {
    SnapshotPlace { region: place.region.clone(), account: place.account.as_deref().map(Into::into), bucket: place.bucket.as_deref().map(Into::into) }
}

/// A snapshot of a listing, as the rules of backups see it. `origin`: it is where snapshots are taken, and not where they are copied to.
pub(crate) fn point(snapshot: Snapshot, place: &Place, of: &PartReference, rules: &Rules, origin: bool) -> RecoveryPoint {
    let tag = |name: &str| snapshot.tags.get(name).map(ToString::to_string);
    let is_ours = tag(SERVICE_TAG).is_some_and(|service| rules.service == *service);
    RecoveryPoint {
        name: snapshot.name.to_string(),
        place: place.clone(),
        of: of.clone(),
        // A snapshot with the service's tag and without a readable backup's is not ours to delete.
        backup: tag(BACKUP_TAG).filter(|_| is_ours).and_then(|name| name.parse().ok()),
        slot: tag(SLOT_TAG).filter(|_| is_ours).and_then(|slot| slot.parse().ok()),
        taken_at: snapshot.taken_at,
        status: match snapshot.status {
            SnapshotStatus::Available => PointStatus::Available,
            SnapshotStatus::Failed => PointStatus::Failed,
            SnapshotStatus::UnderWay if origin => PointStatus::Creating,
            SnapshotStatus::UnderWay => PointStatus::Copying,
        },
        size: snapshot.size.map(Bytes::new),
        kms_key: snapshot.kms_key.as_deref().map(ToOwned::to_owned),
        checksum: None,
        used_by: tag(USED_BY_TAG).into_iter().collect(),
        legal_hold: tag(LEGAL_HOLD_TAG),
        failures: snapshot.failures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(tags: &[(&str, &str)]) -> Snapshot {
        Snapshot {
            name: "kaireon-rds-daily-20261126-020000-c0be236f".into(),
            status: SnapshotStatus::UnderWay,
            taken_at: "2026-11-26T02:00:04Z".parse().unwrap(),
            size: None,
            kms_key: None,
            failures: Vec::new(),
            tags: tags.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect(),
        }
    }

    fn seen(tags: &[(&str, &str)], origin: bool) -> RecoveryPoint {
        let rules = Rules { service: "kaireon".parse().unwrap(), lines: Vec::new(), at_most: 50 };
        point(snapshot(tags), &Place::in_region(&"us-east-1".parse().unwrap()), &PartReference("databases.main".into()), &rules, origin)
    }

    #[test]
    fn only_the_services_own_tag_makes_a_snapshot_musters() {
        let slot = ("muster:slot", "2026-11-26T02:00:00Z");
        let ours = seen(&[("muster:service", "kaireon"), ("muster:backup", "rds-daily"), slot], true);
        assert_eq!((ours.backup.unwrap().as_str(), ours.slot), ("rds-daily", Some("2026-11-26T02:00:00Z".parse().unwrap())));
        for foreign in
            [&[("muster:backup", "rds-daily"), slot][..], &[("muster:service", "other"), ("muster:backup", "rds-daily")], &[("muster:service", "kaireon")], &[]]
        {
            assert_eq!(seen(foreign, true).backup, None, "{foreign:?}");
        }
    }

    #[test]
    fn what_is_under_way_is_taken_where_it_begins_and_copied_elsewhere() {
        assert_eq!(seen(&[], true).status, PointStatus::Creating);
        assert_eq!(seen(&[], false).status, PointStatus::Copying);
        assert_eq!(seen(&[("muster:legal-hold", "Counsel: a matter"), ("muster:used-by", "restore-test")], true).used_by, ["restore-test"]);
    }
}
