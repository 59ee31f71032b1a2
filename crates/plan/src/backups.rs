//! Backups: what is kept, where, for how long, and how fresh it must be.

use muster_core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::objectives::PartReference;
use crate::schedule::Schedule;
use crate::traffic::RegionRole;
use crate::units::DurationText;

/// A backup that Muster makes, or verifies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Backup {
    /// Its name.
    pub name: Name,
    /// What is kept, and by whom it is made.
    pub method: BackupMethod,
    /// The part of the plan that it is of, such as `databases.portal-db`; left out for things that the plan does not recover.
    pub of: Option<PartReference>,
    /// When it is made: a schedule, or an occasion, never both.
    pub every: Option<Schedule>,
    /// When it is made, where that is not by the calendar.
    pub on: Option<Occasion>,
    /// How long it is kept in the primary region.
    pub retention: Option<Retention>,
    /// The copy in the standby region.
    pub copy: Option<BackupCopy>,
    /// A backup whose newest copy is older than this raises an alarm.
    #[schemars(with = "Option<DurationText>")]
    pub max_age: Option<Duration>,
    /// Snapshots of the same part that Muster did not make, to be kept and deleted as if it had: how their names begin, such as
    /// `kaireon-pre-migration-`. Everything else that Muster did not make is never deleted.
    #[serde(default)]
    pub adopt: Vec<String>,
    /// While this stands, nothing of it is deleted.
    pub legal_hold: Option<LegalHold>,
    /// How it is encrypted, such as `AES-256-GCM`.
    pub encryption: Option<String>,
    /// What obliges you to keep it so, such as `PCI DSS`.
    pub compliance: Option<String>,
    /// Whatever else a person has to know.
    pub note: Option<String>,
}

/// A reason for which nothing may be deleted, and who gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LegalHold {
    /// Who ordered it: one of `people.roles`.
    pub by: String,
    /// Why, such as the matter's reference.
    pub reason: String,
}

/// How many backups may be deleted at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pruning {
    /// More than this in one run is not done: none of them is deleted, and a person decides.
    #[schemars(range(min = 1))]
    pub at_most: u32,
}

impl Default for Pruning {
    /// A night's worth of a large plan; a mistake in a plan that would delete years is far more.
    fn default() -> Self {
        Pruning { at_most: 50 }
    }
}

/// What is kept, and by whom it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum BackupMethod {
    /// Muster makes a snapshot of an RDS instance or an Aurora cluster.
    DatabaseSnapshot,
    /// RDS's automated backups; Muster verifies that they reach far enough and are replicated where `copy` says so.
    AutomatedBackups,
    /// Muster makes an ElastiCache snapshot, and exports it where `copy` says so.
    CacheSnapshot {
        /// The bucket that it is exported to, **in the cache's own region**; replication takes it to the other.
        export_bucket: Option<String>,
    },
    /// Muster takes a snapshot of an RDS instance or an Aurora cluster, and lets RDS export it to S3, as Parquet: an archive, for audits. Nothing
    /// restores a database from it. `retention` is how long its objects have to stay: Muster deletes none of them, and verifies that the bucket's
    /// lifecycle deletes none earlier.
    SnapshotExport {
        /// The bucket that it is exported to, **in the primary region**, where the snapshot is.
        bucket: String,
        /// The KMS key, in the primary region, that encrypts it there.
        kms_key: String,
        /// The ARN of the IAM role with which RDS writes into the bucket.
        role: String,
        /// The storage class that the bucket's lifecycle has to move it to; without it, none is asked for.
        storage_class: Option<StorageClass>,
    },
    /// Objects that something else writes; Muster verifies that the newest is fresh, in both regions.
    S3Objects {
        /// The bucket that they are written to.
        bucket: String,
        /// The region that it is in; without it, the primary one.
        region: Option<RegionRole>,
        /// The prefix of their keys.
        prefix: Option<String>,
    },
    /// Made and kept elsewhere: recorded, so that nobody has to look for it at night.
    External {
        /// Where it is, such as `Git (GitHub)`.
        location: String,
    },
}

/// A storage class of S3 for what is hardly ever read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StorageClass {
    /// S3 Glacier Flexible Retrieval: read within minutes to hours.
    Glacier,
    /// S3 Glacier Deep Archive: read within 12 to 48 hours.
    DeepArchive,
}

impl StorageClass {
    /// As S3 calls it. Source: the API reference of S3, Transition, `StorageClass`.
    pub const fn in_s3(self) -> &'static str {
        match self {
            StorageClass::Glacier => "GLACIER",
            StorageClass::DeepArchive => "DEEP_ARCHIVE",
        }
    }
}

/// When a backup is made, where that is not by the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Occasion {
    /// All the time: logs are shipped as they are written.
    Continuous,
    /// Whenever it changes.
    Change,
    /// On demand, before a migration.
    BeforeMigration,
    /// Each time that the work is executed.
    Execution,
    /// When it is renewed.
    Renewal,
}

/// How long backups are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Retention {
    /// Each for the same time.
    For {
        /// How long.
        #[schemars(with = "DurationText")]
        keep: Duration,
    },
    /// The newest so many of each age: grandfather, father, son. The newest backup is never deleted.
    Generations {
        /// How many daily ones.
        #[serde(default)]
        daily: u32,
        /// How many weekly ones.
        #[serde(default)]
        weekly: u32,
        /// How many monthly ones.
        #[serde(default)]
        monthly: u32,
        /// How many yearly ones.
        #[serde(default)]
        yearly: u32,
    },
    /// The newest so many.
    Versions {
        /// How many.
        keep: u32,
    },
    /// For ever.
    Indefinite,
}

impl Backup {
    /// Bucket and prefix in the standby region of objects that something else writes; `None` where they are nowhere there.
    pub fn objects_in_standby(&self) -> Option<(&str, &str)> {
        let (bucket, prefix) = match &self.method {
            BackupMethod::S3Objects { bucket, prefix, region: Some(RegionRole::Standby) } => (bucket, prefix),
            BackupMethod::S3Objects { .. } => self.copy.as_ref().and_then(|copy| Some((copy.bucket.as_ref()?, &copy.prefix)))?,
            _ => return None,
        };
        Some((bucket, prefix.as_deref().unwrap_or_default()))
    }
}

impl BackupMethod {
    /// True where Muster makes it, and so deletes its snapshots; what others make, it only verifies.
    pub fn is_made_by_muster(&self) -> bool {
        matches!(self, BackupMethod::DatabaseSnapshot | BackupMethod::CacheSnapshot { .. } | BackupMethod::SnapshotExport { .. })
    }
}

impl Retention {
    /// How far back one can go; `None` where that is for ever, or depends on how often something changes.
    pub fn reach(&self) -> Option<Duration> {
        const DAY: Duration = Duration::from_hours(24);
        match self {
            Retention::For { keep } => Some(*keep),
            Retention::Generations { daily, weekly, monthly, yearly } => {
                let reaches = [(*daily, 1), (*weekly, 7), (*monthly, 30), (*yearly, 365)];
                reaches.iter().map(|(count, days)| DAY.times(u64::from(*count) * days)).max()
            }
            Retention::Versions { .. } | Retention::Indefinite => None,
        }
    }
}

/// The copy of a backup in the standby region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BackupCopy {
    /// The KMS key **in the standby region** that encrypts the copy; needed where the original is encrypted.
    pub kms_key: Option<String>,
    /// The bucket in the standby region, for exports and objects.
    pub bucket: Option<String>,
    /// The prefix of its keys there.
    pub prefix: Option<String>,
    /// How long the copy is kept; without it, as long as the original.
    pub retention: Option<Retention>,
    /// A further copy in another account, out of reach of whoever takes over this one.
    pub vault: Option<Vault>,
    /// A further place, outside AWS, such as `Azure`: recorded, not made by Muster.
    pub also: Option<String>,
}

/// A copy in another account, in the standby region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Vault {
    /// The account's number: twelve digits, in quotes.
    #[schemars(regex(pattern = r"^[0-9]{12}$"))]
    pub account: String,
    /// The KMS key of that account, in the standby region, that encrypts the copy there.
    pub kms_key: Option<String>,
    /// How long it is kept there; without it, as long as the copy in the standby region.
    pub retention: Option<Retention>,
}
