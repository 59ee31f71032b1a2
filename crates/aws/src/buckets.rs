//! S3 buckets of the estate: what lies in them, and what encrypts it.

use aws_sdk_s3::types::{ExpirationStatus, LifecycleRule as Rule, ServerSideEncryption};
use muster_core::ports::{Buckets, Expiry, LifecycleRule, ObjectPage, StoredObject};
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

    async fn lifecycle(&self, region: &Region, bucket: &str) -> Result<Vec<LifecycleRule>, CallError> {
        let request = self.s3(region).get_bucket_lifecycle_configuration().bucket(bucket);
        let target = Target::control("s3:GetBucketLifecycleConfiguration", region, bucket);
        let send = async {
            match request.send().await.map_err(classify) {
                Ok(answer) => Ok(answer.rules.unwrap_or_default()),
                // "The lifecycle configuration does not exist." Source: the API reference of S3, GetBucketLifecycleConfiguration.
                Err(failed) if failed.code == "NoSuchLifecycleConfiguration" => Ok(Vec::new()),
                Err(failed) => Err(failed),
            }
        };
        let rules = self.read(target.clone(), send).await?;
        let enabled = rules.iter().filter(|rule| *rule.status() == ExpirationStatus::Enabled);
        enabled.map(|rule| described(rule).map_err(|failed| target.failed(failed))).collect()
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

/// A rule as S3 has it. Its prefix stands in the filter, in its conjunction, or in the place that is deprecated and still answered.
fn described(rule: &Rule) -> Result<LifecycleRule, Failed> {
    let filter = rule.filter();
    let all_of = filter.and_then(|filter| filter.and());
    #[expect(deprecated, reason = "rules that were made before there were filters have it there")]
    let old = rule.prefix();
    let prefix = filter.and_then(|filter| filter.prefix()).or_else(|| all_of.and_then(|all| all.prefix())).or(old).unwrap_or_default();
    let by_filter =
        filter.is_some_and(|filter| filter.tag().is_some() || filter.object_size_greater_than().is_some() || filter.object_size_less_than().is_some());
    let by_all = all_of.is_some_and(|all| !all.tags().is_empty() || all.object_size_greater_than().is_some() || all.object_size_less_than().is_some());
    let name = rule.id().unwrap_or("a rule without a name");
    let expires = match rule.expiration().map(|expiration| (expiration.days(), expiration.date())) {
        Some((Some(days), _)) => {
            let days = u32::try_from(days).map_err(|_| Failed::new(CallFault::Rejected, format!("`{name}` deletes after {days} days")))?;
            Some(Expiry::Days { days })
        }
        Some((None, Some(date))) => {
            let at = date.to_millis().map_err(|_| Failed::new(CallFault::Rejected, format!("`{name}` deletes on {date}, which is no instant")))?;
            Some(Expiry::On { at: Timestamp::from_millis(at) })
        }
        // `ExpiredObjectDeleteMarker` deletes what is deleted already.
        Some((None, None)) | None => None,
    };
    let moves_to = rule.transitions().iter().filter_map(|transition| Some(transition.storage_class()?.as_str().to_owned())).collect();
    Ok(LifecycleRule { id: name.to_owned(), prefix: prefix.to_owned(), is_narrower: by_filter || by_all, moves_to, expires })
}

#[cfg(test)]
mod tests;
