//! What was found of a plan's backups when somebody looked: the input of [`verify`](crate::verify).

use muster_core::Timestamp;
use muster_core::ports::LifecycleRule;
use muster_plan::{Name, PartReference};
use serde::{Deserialize, Serialize};

use crate::point::{Place, RecoveryPoint};

/// Everything that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Survey {
    /// A listing for each place of each backup, as [`expectations`](crate::expectations) asks for them.
    pub listings: Vec<Listing>,
    /// The KMS keys that the plan names.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// The parts whose database or cache does not exist any more.
    #[serde(default)]
    pub gone: Vec<PartReference>,
    /// How many manual snapshots a region has, and how many it may have.
    #[serde(default)]
    pub quotas: Vec<Quota>,
    /// The lifecycles of the buckets that archives lie in.
    #[serde(default)]
    pub lifecycles: Vec<Lifecycle>,
    /// What else could not be looked at: a key, a quota, whether a source exists.
    #[serde(default)]
    pub unread: Vec<Unread>,
}

/// Something besides a listing that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Unread {
    /// Where.
    pub place: Place,
    /// What, such as `the key alias/kaireon`.
    pub what: String,
    /// Why.
    pub why: String,
}

/// What was found of one backup in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Listing {
    /// The backup.
    pub backup: Name,
    /// The place.
    pub place: Place,
    /// What came of it.
    pub found: Found,
}

/// What came of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Found {
    /// All pages were read.
    Points {
        /// What was on them; for objects in S3, each with its key as its name.
        points: Vec<RecoveryPoint>,
    },
    /// Automated backups, from which any instant until then can be restored.
    Restorable {
        /// The newest instant; `None` where there are no automated backups.
        until: Option<Timestamp>,
    },
    /// The call was refused.
    Denied {
        /// What was refused, in AWS's words.
        call: String,
    },
    /// There is no such bucket.
    NoSuchBucket,
    /// A page was missing.
    Incomplete {
        /// What happened.
        why: String,
    },
}

/// A KMS key that the plan names, as its own region knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Key {
    /// As the plan names it, such as `alias/kaireon`.
    pub name: String,
    /// Where it was asked for.
    pub place: Place,
    /// What it is there.
    pub state: KeyState,
}

/// What a key is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase")]
pub enum KeyState {
    /// It works.
    Enabled {
        /// Its ARN, which is what recovery points name.
        arn: String,
    },
    /// It is disabled, or waits for its deletion: what it encrypts can neither be made nor restored.
    Disabled,
    /// There is none.
    Missing,
}

/// What a bucket does with what lies in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Lifecycle {
    /// The bucket.
    pub place: Place,
    /// Its rules, of those that are enabled.
    pub rules: Vec<LifecycleRule>,
}

/// How many manual snapshots a region has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Quota {
    /// Where.
    pub place: Place,
    /// How many there are, whoever made them.
    pub used: u64,
    /// How many there may be.
    pub limit: u64,
}
