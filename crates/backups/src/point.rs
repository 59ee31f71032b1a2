//! A recovery point: one backup that exists, in one place.

use std::fmt;

use muster_core::ports::FailedAttempt;
use muster_core::{Region, Timestamp};
use muster_plan::{Bytes, Name, PartReference};
use serde::{Deserialize, Serialize};

/// Where a recovery point is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Place {
    /// The region.
    pub region: Region,
    /// The account, where it is not the service's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The bucket, of an exported snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
}

impl Place {
    /// The region, in the service's own account.
    pub fn in_region(region: &Region) -> Place {
        Place { region: region.clone(), account: None, bucket: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.bucket, &self.account) {
            (Some(bucket), _) => f.pad(&format!("s3://{bucket}")),
            (None, Some(account)) => f.pad(&format!("{}, account {account}", self.region)),
            (None, None) => self.region.fmt(f),
        }
    }
}

/// One backup that exists, in one place: a snapshot, a copy of one, an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RecoveryPoint {
    /// Its identifier there. A copy has the identifier of its original.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// The part of the plan that it is of, such as `databases.portal-db`.
    pub of: PartReference,
    /// The plan's backup that Muster made it for, as its tag says; `None` where Muster did not make it.
    #[serde(default)]
    pub backup: Option<Name>,
    /// The slot of the schedule that it was made for, or the instant at which somebody asked Muster for it, as its tag says.
    #[serde(default)]
    pub slot: Option<Timestamp>,
    /// The instant that its data is of. A copy's is its original's: RDS calls it `OriginalSnapshotCreateTime`.
    pub taken_at: Timestamp,
    /// Whether it can be restored from.
    #[serde(default)]
    pub status: PointStatus,
    /// Its size, where the service tells.
    #[serde(default)]
    pub size: Option<Bytes>,
    /// The ARN of the KMS key that encrypts it; `None` where nothing does.
    #[serde(default)]
    pub kms_key: Option<String>,
    /// A checksum of its content, where the service tells.
    #[serde(default)]
    pub checksum: Option<String>,
    /// What uses it now, such as a restore test.
    #[serde(default)]
    pub used_by: Vec<String>,
    /// The legal hold that it is under, as its tag says.
    #[serde(default)]
    pub legal_hold: Option<String>,
    /// The attempts at making it that have failed, the oldest first, where the service tells of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailedAttempt>,
}

/// Whether a recovery point can be restored from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PointStatus {
    /// Not yet: the snapshot is being taken.
    Creating,
    /// Not yet: the copy is under way.
    Copying,
    /// Yes.
    #[default]
    Available,
    /// Never: making it failed.
    Failed,
}

impl RecoveryPoint {
    /// The instant that decides which day, week, month and year it stands for: its slot, since a snapshot for 23:59 is often taken on the next day.
    pub(crate) fn stands_for(&self) -> Timestamp {
        self.slot.unwrap_or(self.taken_at)
    }

    /// Whether one could restore from it at `now`. What claims to be of the future was dated by a wrong clock, and replaces nothing.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.status == PointStatus::Available && self.taken_at <= now
    }
}
