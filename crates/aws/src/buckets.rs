//! S3 buckets of the estate: what lies in them, and what encrypts it.

use aws_sdk_s3::types::ServerSideEncryption;
use muster_core::ports::{Buckets, ObjectPage, StoredObject};
use muster_core::{CallError, CallFault, Region, Timestamp};
use std::sync::Arc;

use crate::{Aws, Failed, Target, classify};

impl<X> Buckets for Aws<X> {
    async fn list_objects(&self, region: &Region, bucket: &str, prefix: &str, after: Option<&str>) -> Result<ObjectPage, CallError> {
        let request = self.s3(region).list_objects_v2().bucket(bucket).prefix(prefix).set_continuation_token(after.map(str::to_owned));
        let target = Target::data("s3:ListObjectsV2", region, format!("{bucket}/{prefix}"));
        let page = self.read(target.clone(), async { request.send().await.map_err(classify) }).await?;
        let objects = page.contents().iter().map(stored).collect::<Result<_, _>>().map_err(|failed| target.failed(failed))?;
        Ok(ObjectPage { objects, next: page.next_continuation_token().map(Into::into) })
    }

    async fn object_key(&self, region: &Region, bucket: &str, key: &str) -> Result<Option<Arc<str>>, CallError> {
        let request = self.s3(region).head_object().bucket(bucket).key(key);
        let target = Target::data("s3:HeadObject", region, format!("{bucket}/{key}"));
        let head = self.read(target, async { request.send().await.map_err(classify) }).await?;
        let by_kms = matches!(head.server_side_encryption(), Some(ServerSideEncryption::AwsKms | ServerSideEncryption::AwsKmsDsse));
        Ok(head.ssekms_key_id().filter(|_| by_kms).map(Into::into))
    }
}

/// An object as the listing has it. One without key, size or instant is no object: nothing is concluded from it.
fn stored(object: &aws_sdk_s3::types::Object) -> Result<StoredObject, Failed> {
    let written_at = object.last_modified().and_then(|at| at.to_millis().ok()).map(Timestamp::from_millis);
    match (object.key(), object.size().and_then(|size| u64::try_from(size).ok()), written_at) {
        (Some(key), Some(size), Some(written_at)) => {
            Ok(StoredObject { key: key.into(), size, written_at, entity_tag: object.e_tag().map(|tag| tag.trim_matches('"').into()) })
        }
        _ => Err(Failed::new(CallFault::Rejected, format!("the answer tells no size or instant of {}", object.key().unwrap_or("an object without a key")))),
    }
}

#[cfg(test)]
mod tests;
