//! What a plan says about the backups that Muster makes.

use muster_core::Duration;
use muster_plan::{Backup, BackupMethod, Name, PartReference, Plan, Retention, Schedule};

use crate::point::{Place, RecoveryPoint};

/// What a plan says about the backups that Muster makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The service.
    pub service: Name,
    /// The backups, in the plan's order.
    pub lines: Vec<Line>,
    /// How many may be deleted at once.
    pub at_most: usize,
}

/// One backup of the plan: what is taken, when, where it goes, how long it stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The backup's name in the plan.
    pub name: Name,
    /// The part that it is of.
    pub of: PartReference,
    /// When it is taken; `None` where somebody asks for it.
    pub every: Option<Schedule>,
    /// The larger of the part's RPO and the backup's `maxAge`: younger ones are needed whatever the retention says. Of an archive's snapshots, the RPO.
    pub protects: Duration,
    /// Where it is taken, then where it is copied to.
    pub destinations: Vec<Destination>,
    /// How the names of the snapshots begin that were made by others and are treated as this line's.
    pub adopt: Vec<String>,
    /// The legal hold that all of it is under, in words.
    pub legal_hold: Option<String>,
}

/// A place of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The place.
    pub place: Place,
    /// The place that it is copied from; `None` where it is taken.
    pub from: Option<Place>,
    /// The KMS key that encrypts it there; `None` for the source's own.
    pub kms_key: Option<String>,
    /// How RDS exports a database's snapshot to it; `None` where it is no such export.
    pub archive: Option<ToArchive>,
    /// How long it stays; `None` where Muster deletes nothing: exports go by their bucket's lifecycle.
    pub retention: Option<Retention>,
}

/// How RDS exports a database's snapshot to a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToArchive {
    /// The ARN of the role that it takes to write there.
    pub role: String,
    /// How long the bucket's lifecycle has to let it stay, which is not Muster's to do.
    pub stays: Option<Retention>,
}

impl Rules {
    /// Of a plan. What Muster only verifies is not among them.
    pub fn of(plan: &Plan) -> Rules {
        Rules {
            service: plan.service.clone(),
            lines: plan.backups.iter().filter_map(|backup| line(plan, backup)).collect(),
            at_most: plan.pruning.clone().unwrap_or_default().at_most as usize,
        }
    }

    /// The line that a recovery point belongs to: the one that it was made for, or the one that adopts it.
    ///
    /// `None` where Muster neither made nor adopted it, and where the plan has no such backup of this part any more.
    pub fn line_of(&self, point: &RecoveryPoint) -> Option<&Line> {
        self.lines.iter().filter(|line| line.of == point.of).find(|line| match &point.backup {
            Some(backup) => line.name == *backup,
            None => line.adopt.iter().any(|prefix| point.name.starts_with(prefix)),
        })
    }
}

impl Line {
    /// The destination at a place.
    pub fn at(&self, place: &Place) -> Option<&Destination> {
        self.destinations.iter().find(|destination| destination.place == *place)
    }

    /// Where it is taken.
    pub fn source(&self) -> Option<&Destination> {
        self.destinations.iter().find(|destination| destination.from.is_none())
    }
}

fn line(plan: &Plan, backup: &Backup) -> Option<Line> {
    let of = backup.of.clone().filter(|_| backup.method.is_made_by_muster())?;
    let primary = Place::in_region(&plan.regions.primary);
    let retention = match &backup.method {
        // Its `retention` is the archive's, and so is its `maxAge`. Of its snapshots, the one that was exported last stays until the next one is.
        BackupMethod::SnapshotExport { .. } => Some(Retention::Versions { keep: 2 }),
        _ => backup.retention.clone(),
    };
    let mut destinations = vec![Destination { place: primary.clone(), from: None, kms_key: None, archive: None, retention }];
    match (&backup.method, &backup.copy) {
        (BackupMethod::DatabaseSnapshot, Some(copy)) => {
            let standby = Place::in_region(&plan.regions.standby);
            let retention = copy.retention.clone().or_else(|| backup.retention.clone());
            destinations.push(Destination {
                place: standby.clone(),
                from: Some(primary),
                kms_key: copy.kms_key.clone(),
                archive: None,
                retention: retention.clone(),
            });
            if let Some(vault) = &copy.vault {
                destinations.push(Destination {
                    place: Place { account: Some(vault.account.clone()), ..standby.clone() },
                    from: Some(standby),
                    kms_key: vault.kms_key.clone(),
                    archive: None,
                    retention: vault.retention.clone().or(retention),
                });
            }
        }
        (BackupMethod::CacheSnapshot { export_bucket: Some(bucket) }, _) => {
            let place = Place { bucket: Some(bucket.clone()), ..primary.clone() };
            destinations.push(Destination { place, from: Some(primary), kms_key: None, archive: None, retention: None });
        }
        (BackupMethod::SnapshotExport { bucket, kms_key, role, .. }, _) => {
            let place = Place { bucket: Some(bucket.clone()), ..primary.clone() };
            let archive = Some(ToArchive { role: role.clone(), stays: backup.retention.clone() });
            destinations.push(Destination { place, from: Some(primary), kms_key: Some(kms_key.clone()), archive, retention: None });
        }
        _ => {}
    }
    let is_archive = matches!(backup.method, BackupMethod::SnapshotExport { .. });
    let rpo = of.parts().and_then(|(section, name)| match section {
        "databases" => plan.database(name).map(|database| database.objectives.rpo),
        "caches" => plan.cache(name).map(|cache| cache.objectives.rpo),
        _ => None,
    });
    Some(Line {
        name: backup.name.clone(),
        of,
        every: backup.every.clone(),
        protects: [rpo, backup.max_age.filter(|_| !is_archive)].into_iter().flatten().max().unwrap_or(Duration::ZERO),
        destinations,
        adopt: backup.adopt.clone(),
        legal_hold: backup.legal_hold.as_ref().map(|hold| format!("{}: {}", hold.by, hold.reason)),
    })
}
