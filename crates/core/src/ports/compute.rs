//! Auto Scaling groups, launch templates, parameters, and what bounds them.

use std::collections::BTreeMap;

use crate::{CallError, LaunchTemplateId, ParameterId, Region, ScalingGroupId};

/// The size of an Auto Scaling group, in instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupSize {
    /// Never fewer.
    pub min: u32,
    /// As many as wanted now.
    pub desired: u32,
    /// Never more.
    pub max: u32,
}

/// The state of an Auto Scaling group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// Its size.
    pub size: GroupSize,
    /// Instances that are `InService` and `Healthy`.
    pub healthy: u32,
    /// Why the newest scaling activity failed, if it did: no capacity, quota.
    pub last_failure: Option<String>,
}

/// Auto Scaling groups.
pub trait ScalingGroups {
    /// The states of `ids`, all in `region`; those that do not exist are absent.
    async fn describe_groups(&self, region: &Region, ids: &[ScalingGroupId]) -> Result<BTreeMap<ScalingGroupId, GroupState>, CallError>;

    /// Sets minimum, desired and maximum in one call. Idempotent.
    async fn resize_group(&self, id: &ScalingGroupId, size: GroupSize) -> Result<(), CallError>;
}

/// The newest version of a launch template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchTemplateState {
    /// Its number.
    pub latest_version: u64,
    /// Its user data, decoded.
    pub user_data: String,
}

/// EC2 launch templates.
pub trait LaunchTemplates {
    /// The newest versions of `ids`, all in `region`; those that do not exist are absent.
    async fn describe_templates(&self, region: &Region, ids: &[LaunchTemplateId]) -> Result<BTreeMap<LaunchTemplateId, LaunchTemplateState>, CallError>;

    /// Makes a new version from the newest one with other user data, and makes it the default one; returns its number.
    /// `client_token` makes a repeated call return the same version.
    async fn create_template_version(&self, id: &LaunchTemplateId, user_data: &str, client_token: &str) -> Result<u64, CallError>;
}

/// SSM parameters.
pub trait Parameters {
    /// The values of `ids`, all in `region`; those that do not exist are absent.
    async fn get_parameters(&self, region: &Region, ids: &[ParameterId]) -> Result<BTreeMap<ParameterId, String>, CallError>;

    /// Sets a value. Idempotent.
    async fn put_parameter(&self, id: &ParameterId, value: &str) -> Result<(), CallError>;
}

/// How much may still be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// Instances of the type that the quota allows.
    pub limit: u32,
    /// Instances of the type that count against it now.
    pub used: u32,
}

/// Service quotas.
pub trait Quotas {
    /// How many instances of a type may still be started in a region. A quota is no promise of capacity.
    async fn instance_headroom(&self, region: &Region, instance_type: &str) -> Result<Headroom, CallError>;
}

/// Whether a machine image can be started from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageState {
    /// `available`.
    Available,
    /// Deregistered, disabled, or never copied to the region.
    Missing,
}

/// EC2 machine images.
pub trait Images {
    /// The state of an image in a region.
    async fn image_state(&self, region: &Region, image: &str) -> Result<ImageState, CallError>;
}
