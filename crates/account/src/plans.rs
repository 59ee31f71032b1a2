//! The plan in force for a service: the current version of its object in the bucket.

use aws_sdk_s3::primitives::ByteStream;
use muster_core::Region;
use muster_plan::Plan;

use crate::{Account, Failed, failed};

/// The plan in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The version of the object.
    pub version: String,
    /// The canonical JSON.
    pub json: String,
}

fn key(service: &str) -> String {
    format!("plans/{service}.json")
}

/// The plan in force for a service; `None` before the first push.
///
/// # Errors
/// The bucket cannot be read.
pub async fn plan_in_force(account: &Account, region: &Region, bucket: &str, service: &str) -> Result<Option<InForce>, Failed> {
    let client = aws_sdk_s3::Client::new(&account.in_region(region));
    let object = match client.get_object().bucket(bucket).key(key(service)).send().await.map_err(failed("s3:GetObject")) {
        Ok(object) => object,
        Err(error) if error.code == "NoSuchKey" => return Ok(None),
        Err(error) => return Err(error),
    };
    let version = object.version_id().unwrap_or_default().to_owned();
    let unreadable = |error: String| Failed { operation: "s3:GetObject", code: String::new(), message: error };
    let bytes = object.body.collect().await.map_err(|error| unreadable(error.to_string()))?.into_bytes();
    let json = String::from_utf8(bytes.to_vec()).map_err(|error| unreadable(error.to_string()))?;
    Ok(Some(InForce { version, json }))
}

/// Puts a plan in force; returns its version. The same plan again makes another version of the same bytes.
///
/// # Errors
/// The bucket cannot be written, or keeps no versions.
pub async fn put_plan(account: &Account, region: &Region, bucket: &str, plan: &Plan) -> Result<String, Failed> {
    let client = aws_sdk_s3::Client::new(&account.in_region(region));
    let put = client
        .put_object()
        .bucket(bucket)
        .key(key(plan.service.as_str()))
        .content_type("application/json")
        .checksum_algorithm(aws_sdk_s3::types::ChecksumAlgorithm::Sha256)
        .body(ByteStream::from(plan.canonical_json().into_bytes()))
        .send()
        .await
        .map_err(failed("s3:PutObject"))?;
    put.version_id().map(str::to_owned).ok_or_else(|| Failed {
        operation: "s3:PutObject",
        code: String::new(),
        message: format!("the bucket {bucket} keeps no versions, so no run can pin a plan: deploy the stack anew"),
    })
}
