//! Buckets and keys.

use std::sync::Arc;

use muster_core::ports::{Buckets, EncryptionKey, Keys, LifecycleRule, ObjectPage};
use muster_core::{CallError, Region};

use crate::durations::LISTING;
use crate::ports::{control, data};
use crate::world::World;

impl Buckets for World {
    async fn list_objects(&self, region: &Region, bucket: &str, prefix: &str, after: Option<&str>) -> Result<ObjectPage, CallError> {
        self.read(data("s3:ListBucket", region, bucket, &LISTING), |estate, _| estate.list_objects(region, bucket, prefix, after)).await
    }

    async fn lifecycle(&self, region: &Region, bucket: &str) -> Result<Vec<LifecycleRule>, CallError> {
        self.read(data("s3:GetLifecycleConfiguration", region, bucket, &LISTING), |estate, _| estate.lifecycle(region, bucket)).await
    }

    async fn object_key(&self, region: &Region, bucket: &str, key: &str) -> Result<Option<Arc<str>>, CallError> {
        self.read(data("s3:GetObject", region, format!("{bucket}/{key}"), &LISTING), |estate, _| estate.object_key(region, bucket, key)).await
    }
}

impl Keys for World {
    async fn describe_key(&self, region: &Region, name: &str) -> Result<Option<EncryptionKey>, CallError> {
        self.read(control("kms:DescribeKey", region, name), |estate, _| estate.describe_key(region, name)).await
    }
}
