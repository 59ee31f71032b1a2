//! Names of AWS resources. A name alone is ambiguous in disaster recovery (the same database has a twin in the
//! other region), so every id carries its region, and its kind in its type.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Region;

/// A resource of kind `K`, by region and name.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Id<K> {
    /// The region that the resource lives in.
    pub region: Region,
    /// The name or identifier that AWS's API takes.
    pub name: Arc<str>,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

impl<K> Id<K> {
    /// The resource `name` in `region`.
    pub fn new(region: &Region, name: &str) -> Self {
        Id { region: region.clone(), name: name.into(), kind: PhantomData }
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        Id { region: self.region.clone(), name: self.name.clone(), kind: PhantomData }
    }
}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.region == other.region && self.name == other.name
    }
}

impl<K> Eq for Id<K> {}

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.region, &self.name).cmp(&(&other.region, &other.name))
    }
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.region)
    }
}

impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Kinds of resources: markers, never made.
pub mod kind {
    /// An RDS instance.
    pub enum Database {}
    /// An EC2 Auto Scaling group.
    pub enum ScalingGroup {}
    /// An EC2 launch template.
    pub enum LaunchTemplate {}
    /// An SSM parameter.
    pub enum Parameter {}
}

/// An RDS instance.
pub type DatabaseId = Id<kind::Database>;
/// An Auto Scaling group.
pub type ScalingGroupId = Id<kind::ScalingGroup>;
/// A launch template.
pub type LaunchTemplateId = Id<kind::LaunchTemplate>;
/// An SSM parameter.
pub type ParameterId = Id<kind::Parameter>;
