//! Objects in buckets, and the keys that encrypt: what verifying looks at besides snapshots.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{CallError, Region, Timestamp};

/// An object in a bucket, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Its whole key.
    pub key: Arc<str>,
    /// Bytes.
    pub size: u64,
    /// When it was last written.
    pub written_at: Timestamp,
    /// Its entity tag. Equal tags mean equal content; unequal ones mean nothing where parts were uploaded differently.
    pub entity_tag: Option<Arc<str>>,
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectPage {
    /// What is on it, in the order of the keys.
    pub objects: Vec<StoredObject>,
    /// Where the next one begins; `None` on the last.
    pub next: Option<Arc<str>>,
}

/// A rule of a bucket's lifecycle, of those that are enabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LifecycleRule {
    /// Its name.
    pub id: String,
    /// How the keys begin of what it is for; empty for all.
    pub prefix: String,
    /// Whether it is only for what has certain tags, or a certain size.
    pub is_narrower: bool,
    /// The storage classes that it moves current versions to, as S3 calls them, such as `DEEP_ARCHIVE`.
    pub moves_to: Vec<String>,
    /// When it deletes current versions; `None` where it does not.
    pub expires: Option<Expiry>,
}

/// When a lifecycle's rule deletes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase")]
pub enum Expiry {
    /// Each object, so many days after it was written.
    Days {
        /// So many.
        days: u32,
    },
    /// All that is there then.
    On {
        /// When.
        at: Timestamp,
    },
}

/// Reading buckets.
pub trait Buckets {
    /// A page (1,000 objects at most) of what lies under a prefix, in a bucket of `region`. `NotFound` where there is no such bucket; an empty page
    /// where there is nothing under the prefix.
    async fn list_objects(&self, region: &Region, bucket: &str, prefix: &str, after: Option<&str>) -> Result<ObjectPage, CallError>;

    /// The rules of a bucket's lifecycle that are enabled; none where it has no lifecycle. `NotFound` where there is no such bucket.
    async fn lifecycle(&self, region: &Region, bucket: &str) -> Result<Vec<LifecycleRule>, CallError>;

    /// The key that encrypts an object, by its ARN; `None` where S3's own key does, or none. `NotFound` where there is no such object.
    async fn object_key(&self, region: &Region, bucket: &str, key: &str) -> Result<Option<Arc<str>>, CallError>;
}

/// What a KMS key can be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EncryptionKey {
    /// Everything.
    Enabled {
        /// Its ARN.
        arn: Arc<str>,
    },
    /// Nothing: it is disabled, waits for its deletion or for its material.
    Disabled,
}

/// Reading KMS keys.
pub trait Keys {
    /// A key by its id, ARN or alias (`alias/…`), in a region; `None` where there is none.
    async fn describe_key(&self, region: &Region, name: &str) -> Result<Option<EncryptionKey>, CallError>;
}
