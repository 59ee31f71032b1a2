//! Whether the backups are there that the plan promises: fresh, of a believable size, encrypted, and the same in the other region.

use std::collections::BTreeMap;

use muster_core::{Duration, Timestamp};
use muster_plan::{Backup, BackupMethod, Name, Occasion, PartReference, Plan, RegionRole, Retention, StorageClass};
use serde::Serialize;

use crate::finding::Finding;
use crate::lifecycle;
use crate::name::snapshot_stem;
use crate::point::{Place, PointStatus, RecoveryPoint};
use crate::size::{is_shrunken, usual};
use crate::survey::{Found, KeyState, Survey};

/// Of a backup whose plan says no `maxAge`: a slot and this long for making it count as fresh.
const GRACE: Duration = Duration::from_hours(2);

/// A place in which a backup has to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expectation {
    /// The backup.
    pub backup: Name,
    /// The part that it is of.
    pub of: Option<PartReference>,
    /// Where it has to be.
    pub place: Place,
    /// Where its original is, of a copy.
    pub from: Option<Place>,
    /// The prefix of its keys, in a bucket.
    pub prefix: Option<String>,
    /// The prefix of its originals' keys.
    pub from_prefix: Option<String>,
    /// How old the newest may be; `None` where it is made on an occasion that may never come.
    pub at_most: Option<Duration>,
    /// Whether it has to be encrypted.
    pub is_encrypted: bool,
    /// The key that has to encrypt it, as the plan names it.
    pub kms_key: Option<String>,
    /// Whether everything that its original's place has belongs here too: of what Muster copies, [`decide`](crate::decide) knows better.
    pub has_every_original: bool,
    /// Whether its sizes can be compared: of logs that are shipped as they are written, they cannot.
    pub has_usual_size: bool,
    /// What the bucket's lifecycle has to do with it, of an archive.
    pub archive: Option<Archive>,
}

/// What a bucket's lifecycle has to do with an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    /// The storage class that it has to be moved to, if any.
    pub storage_class: Option<StorageClass>,
    /// How long it has to stay.
    pub retention: Option<Retention>,
}

/// What verifying came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// What is wrong, in the plan's order; empty where all is well.
    pub problems: Vec<Problem>,
    /// What would be lost if the primary region died now, for each part that has backups.
    pub exposures: Vec<Exposure>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The backup; `None` of what concerns a whole region.
    pub backup: Option<Name>,
    /// Where.
    pub place: Place,
    /// What.
    pub finding: Finding,
}

/// The RPO of a part as it would be if the primary region died now and nothing were left but its backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exposure {
    /// The part.
    pub of: PartReference,
    /// How much would be lost; `None` where no backup outside the primary region is known: everything.
    pub loss: Option<Duration>,
    /// The backup that it would be restored from.
    pub from: Option<Name>,
    /// The part's RPO.
    pub rpo: Option<Duration>,
}

impl Exposure {
    /// Whether backups alone would keep the promise. A replica may keep it where they do not.
    pub fn is_within(&self) -> bool {
        matches!((self.loss, self.rpo), (Some(loss), Some(rpo)) if loss <= rpo)
    }
}

/// Where each backup of the plan has to be. What is only recorded is not among them.
pub fn expectations(plan: &Plan) -> Vec<Expectation> {
    plan.backups.iter().flat_map(|backup| places(plan, backup)).collect()
}

fn places(plan: &Plan, backup: &Backup) -> Vec<Expectation> {
    let (primary, standby) = (Place::in_region(&plan.regions.primary), Place::in_region(&plan.regions.standby));
    let in_bucket = |place: &Place, bucket: &str| Place { bucket: Some(bucket.to_owned()), ..place.clone() };
    let at_most = backup.max_age.or_else(|| backup.every.as_ref().map(|every| every.longest_gap().saturating_add(GRACE)));
    let expectation = |place: Place, from: Option<&Place>| Expectation {
        backup: backup.name.clone(),
        of: backup.of.clone(),
        place,
        from: from.cloned(),
        prefix: None,
        from_prefix: None,
        at_most,
        is_encrypted: backup.encryption.is_some(),
        kms_key: None,
        has_every_original: matches!(backup.method, BackupMethod::S3Objects { .. }),
        has_usual_size: backup.on != Some(Occasion::Continuous) && backup.on != Some(Occasion::Execution),
        archive: None,
    };
    let copy = backup.copy.as_ref();
    let copied_bucket = |from: &Place| {
        let copy = copy?;
        let place = in_bucket(&standby, copy.bucket.as_deref()?);
        Some(Expectation { prefix: copy.prefix.clone(), kms_key: copy.kms_key.clone(), ..expectation(place, Some(from)) })
    };
    match &backup.method {
        BackupMethod::External { .. } => Vec::new(),
        BackupMethod::DatabaseSnapshot | BackupMethod::AutomatedBackups => {
            let mut all = vec![expectation(primary.clone(), None)];
            if let Some(copy) = copy {
                all.push(Expectation { kms_key: copy.kms_key.clone(), ..expectation(standby.clone(), Some(&primary)) });
                all.extend(copy.vault.as_ref().map(|vault| {
                    let place = Place { account: Some(vault.account.clone()), ..standby.clone() };
                    Expectation { kms_key: vault.kms_key.clone(), ..expectation(place, Some(&standby)) }
                }));
            }
            all
        }
        BackupMethod::CacheSnapshot { export_bucket } => {
            let mut all = vec![expectation(primary.clone(), None)];
            if let Some(bucket) = export_bucket {
                let exported = in_bucket(&primary, bucket);
                all.push(expectation(exported.clone(), Some(&primary)));
                all.extend(copied_bucket(&exported));
            }
            all
        }
        BackupMethod::SnapshotExport { bucket, kms_key, storage_class, .. } => {
            let archived = Expectation {
                kms_key: Some(kms_key.clone()),
                prefix: Some(snapshot_stem(&plan.service, &backup.name)),
                // RDS's objects are parts of tables, of any size.
                has_usual_size: false,
                archive: Some(Archive { storage_class: *storage_class, retention: backup.retention.clone() }),
                ..expectation(in_bucket(&primary, bucket), Some(&primary))
            };
            vec![expectation(primary.clone(), None), archived]
        }
        BackupMethod::S3Objects { bucket, prefix, region } => {
            let original = in_bucket(&Place::in_region(plan.regions.get(region.unwrap_or(RegionRole::Primary))), bucket);
            let mut all = vec![Expectation { prefix: prefix.clone(), ..expectation(original.clone(), None) }];
            all.extend(copied_bucket(&original).map(|copy| Expectation { from_prefix: prefix.clone(), ..copy }));
            all
        }
    }
}

/// What is wrong, and what would be lost.
///
/// What could not be looked at is never taken for well: a listing that was denied, ended early or is missing is a problem of its own, and proves no
/// backup. Nor is an empty listing.
pub fn verify(plan: &Plan, survey: &Survey, now: Timestamp) -> Verdict {
    let mut verdict = Verdict::default();
    let mut newest: BTreeMap<PartReference, Option<(Timestamp, Name)>> = BTreeMap::new();
    for expectation in expectations(plan) {
        let look = Look { survey, expectation: &expectation, now };
        let problem = |finding| Problem { backup: Some(expectation.backup.clone()), place: expectation.place.clone(), finding };
        verdict.problems.extend(look.findings().into_iter().map(problem));
        let Some(of) = &expectation.of else { continue };
        let best = newest.entry(of.clone()).or_default();
        if expectation.place.region != plan.regions.primary
            && let Some(until) = look.newest()
            && best.as_ref().is_none_or(|(newest, _)| until > *newest)
        {
            *best = Some((until, expectation.backup.clone()));
        }
    }
    verdict.problems.extend(survey.quotas.iter().filter_map(|quota| {
        let (used, limit) = (quota.used, quota.limit);
        let finding = match () {
            () if used >= limit => Finding::QuotaReached { used, limit },
            () if used.saturating_mul(10) >= limit.saturating_mul(9) => Finding::QuotaNear { used, limit },
            () => return None,
        };
        Some(Problem { backup: None, place: quota.place.clone(), finding })
    }));
    verdict.problems.extend(survey.unread.iter().map(|unread| {
        let finding = Finding::Unread { what: unread.what.clone(), why: unread.why.clone() };
        Problem { backup: None, place: unread.place.clone(), finding }
    }));
    verdict.exposures = newest
        .into_iter()
        .map(|(of, best)| {
            let rpo = of.parts().and_then(|(section, name)| match section {
                "databases" => plan.database(name).map(|database| database.objectives.rpo),
                "caches" => plan.cache(name).map(|cache| cache.objectives.rpo),
                _ => None,
            });
            let (loss, from) = best.map(|(newest, from)| (now.since(newest), from)).unzip();
            Exposure { of, loss, from, rpo }
        })
        .collect();
    verdict
}

/// One expectation, and what was found.
struct Look<'a> {
    survey: &'a Survey,
    expectation: &'a Expectation,
    now: Timestamp,
}

impl<'a> Look<'a> {
    fn found(&self, place: &Place) -> Option<&'a Found> {
        self.survey.listings.iter().find(|listing| listing.backup == self.expectation.backup && listing.place == *place).map(|listing| &listing.found)
    }

    fn points(&self, place: &Place) -> Vec<&'a RecoveryPoint> {
        match self.found(place) {
            Some(Found::Points { points }) => points.iter().collect(),
            _ => Vec::new(),
        }
    }

    /// The newest instant that one could go back to.
    fn newest_at(&self, place: &Place) -> Option<Timestamp> {
        match self.found(place) {
            Some(Found::Points { points }) => points.iter().filter(|point| point.is_good(self.now)).map(|point| point.taken_at).max(),
            Some(Found::Restorable { until }) => until.filter(|until| *until <= self.now),
            _ => None,
        }
    }

    fn newest(&self) -> Option<Timestamp> {
        self.newest_at(&self.expectation.place)
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.expectation.from.is_none() && self.expectation.of.as_ref().is_some_and(|of| self.survey.gone.contains(of)) {
            findings.push(Finding::SourceGone);
        }
        findings.extend(self.key());
        match self.found(&self.expectation.place) {
            None => findings.push(Finding::NotLooked),
            Some(Found::Denied { call }) => findings.push(Finding::Denied { call: call.clone() }),
            Some(Found::NoSuchBucket) => findings.push(Finding::NoSuchBucket),
            Some(Found::Incomplete { why }) => findings.push(Finding::Incomplete { why: why.clone() }),
            Some(Found::Points { .. } | Found::Restorable { .. }) => {
                findings.extend(self.freshness());
                findings.extend(self.content());
                findings.extend(self.equality());
            }
        }
        findings.extend(self.lifecycle());
        findings
    }

    /// What the bucket will do with an archive, of whatever is in it now.
    fn lifecycle(&self) -> Vec<Finding> {
        let known = self.survey.lifecycles.iter().find(|known| known.place == self.expectation.place);
        let (Some(archive), Some(known)) = (&self.expectation.archive, known) else { return Vec::new() };
        lifecycle::findings(&known.rules, archive, self.expectation.prefix.as_deref().unwrap_or(""))
    }

    /// The key has to work even where nothing is there yet.
    fn key(&self) -> Option<Finding> {
        let key = self.expectation.kms_key.as_ref()?;
        match self.key_state()? {
            KeyState::Enabled { .. } => None,
            KeyState::Disabled => Some(Finding::KeyDisabled { key: key.clone() }),
            KeyState::Missing => Some(Finding::KeyMissing { key: key.clone() }),
        }
    }

    fn key_state(&self) -> Option<&'a KeyState> {
        let key = self.expectation.kms_key.as_ref()?;
        self.survey.keys.iter().find(|known| known.name == *key && known.place == self.expectation.place).map(|known| &known.state)
    }

    fn freshness(&self) -> Option<Finding> {
        let newest = self.newest();
        let original = self.expectation.from.as_ref().and_then(|from| self.newest_at(from).map(|original| (from, original)));
        let Some(at_most) = self.expectation.at_most else {
            // Made on an occasion: that there is none says nothing, unless there is an original that had the time to be copied.
            let from = self.expectation.from.as_ref()?;
            let had_time = self.points(from).into_iter().filter(|point| point.is_good(self.now) && self.now.since(point.taken_at) > GRACE);
            let original = had_time.map(|point| point.taken_at).max().filter(|original| newest.is_none_or(|newest| newest < *original))?;
            return Some(Finding::NotArrived { newest, original, from: from.clone(), at_most: GRACE });
        };
        if newest.is_some_and(|newest| self.now.since(newest) <= at_most) {
            return None;
        }
        match (newest, original) {
            (newest, Some((from, original))) if newest.is_none_or(|newest| newest < original) => {
                Some(Finding::NotArrived { newest, original, from: from.clone(), at_most })
            }
            (Some(newest), _) => Some(Finding::Late { newest, age: self.now.since(newest), at_most }),
            (None, _) => Some(Finding::Nothing),
        }
    }

    /// What can be seen of the newest: older ones were looked at when they were the newest.
    fn content(&self) -> Vec<Finding> {
        let points = self.points(&self.expectation.place);
        let mut findings: Vec<Finding> = points
            .iter()
            .filter(|point| point.taken_at > self.now)
            .map(|point| Finding::FromTheFuture { name: point.name.clone(), taken_at: point.taken_at })
            .collect();
        let newest_good = points.iter().filter(|point| point.is_good(self.now)).max_by_key(|point| (point.taken_at, &point.name));
        let failed = points.iter().filter(|point| point.status == PointStatus::Failed).max_by_key(|point| (point.taken_at, &point.name));
        if let Some(failed) = failed.filter(|failed| newest_good.is_none_or(|good| good.taken_at < failed.taken_at)) {
            findings.push(match failed.failures.last() {
                Some(last) => Finding::ExportFailed { name: failed.name.clone(), attempts: failed.failures.len(), why: last.why.clone() },
                None => Finding::Failed { name: failed.name.clone() },
            });
        }
        let Some(newest) = newest_good else { return findings };
        let name = || newest.name.clone();
        if let Some(size) = newest.size {
            let usual = if self.expectation.has_usual_size { usual(&points, newest, self.now) } else { None };
            if is_shrunken(size, usual) {
                findings.push(Finding::Shrunken { name: name(), size, usual });
            }
        }
        match (&newest.kms_key, self.key_state(), &self.expectation.kms_key) {
            (None, ..) if self.expectation.is_encrypted => findings.push(Finding::Unencrypted { name: name() }),
            (Some(key), Some(KeyState::Enabled { arn }), Some(wanted)) if key != arn => {
                findings.push(Finding::WrongKey { name: name(), key: key.clone(), wanted: format!("{wanted} ({arn})") });
            }
            _ => {}
        }
        findings
    }

    /// Whether what is here is what it is where it came from.
    fn equality(&self) -> Vec<Finding> {
        let Some(from) = &self.expectation.from else { return Vec::new() };
        let named = |point: &'a RecoveryPoint, prefix: &Option<String>| point.name.strip_prefix(prefix.as_deref().unwrap_or("")).unwrap_or(&point.name);
        let good = |place: &Place| self.points(place).into_iter().filter(|point| point.is_good(self.now));
        let here: BTreeMap<&str, &RecoveryPoint> = good(&self.expectation.place).map(|point| (named(point, &self.expectation.prefix), point)).collect();
        let originals: BTreeMap<&str, &RecoveryPoint> = good(from).map(|point| (named(point, &self.expectation.from_prefix), point)).collect();
        let mut findings = Vec::new();
        for (name, original) in &originals {
            let Some(copy) = here.get(name) else { continue };
            let what = match (original.size, copy.size, &original.checksum, &copy.checksum) {
                (Some(there), Some(here), ..) if there != here => format!("{here} here, {there} there"),
                (_, _, Some(there), Some(here)) if there != here => format!("checksum {here} here, {there} there"),
                _ => continue,
            };
            findings.push(Finding::Differs { name: copy.name.clone(), from: from.clone(), what });
        }
        // What is older than all copies may have expired here; what is newer may be on its way.
        let taken = || here.values().map(|point| point.taken_at);
        if let (true, Some(first), Some(last)) = (self.expectation.has_every_original, taken().min(), taken().max()) {
            let absent = originals.iter().filter(|(name, original)| !here.contains_key(*name) && first < original.taken_at && original.taken_at < last);
            let absent: Vec<&RecoveryPoint> = absent.map(|(_, original)| *original).collect();
            let newest = absent.iter().max_by_key(|original| (original.taken_at, &original.name));
            findings.extend(newest.map(|newest| Finding::Holes { count: absent.len(), newest: newest.name.clone(), from: from.clone() }));
        }
        findings
    }
}
