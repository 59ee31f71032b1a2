//! Launch templates: the newest version is described, and a new one is made from it.

use std::collections::BTreeMap;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::RequestLaunchTemplateData;
use aws_smithy_types::base64;
use muster_aws::{Aws, Failed, Target, classify};
use muster_core::ports::{Control, LaunchTemplateState, Ledger};
use muster_core::{CallError, CallFault, LaunchTemplateId, Region};

/// EC2's name for the newest version of a template.
const NEWEST: &str = "$Latest";

/// The newest versions of templates. One call each: by name, EC2 describes one at a time.
pub(crate) async fn describe<X>(
    client: &Client,
    aws: &Aws<X>,
    region: &Region,
    ids: &[LaunchTemplateId],
) -> Result<BTreeMap<LaunchTemplateId, LaunchTemplateState>, CallError> {
    let mut states = BTreeMap::new();
    for id in ids {
        let request = client.describe_launch_template_versions().launch_template_name(&*id.name).versions(NEWEST);
        let target = Target::control("ec2:DescribeLaunchTemplateVersions", region, &*id.name);
        let described = aws.read(target, async {
            let answer = request.send().await.map_err(classify)?;
            let version = answer.launch_template_versions().first().ok_or_else(|| Failed::new(CallFault::NotFound, "it has no version"))?;
            let encoded = version.launch_template_data().and_then(|data| data.user_data()).unwrap_or_default();
            Ok(LaunchTemplateState { latest_version: number(version.version_number())?, user_data: decoded(encoded)? })
        });
        match described.await {
            Ok(state) => drop(states.insert(id.clone(), state)),
            Err(error) if error.fault == CallFault::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(states)
}

/// Makes a version, then makes it the default one: two calls, each admitted and written down by itself. Whoever repeats them by the
/// same token gets the version that the first attempt made, and makes it the default one again.
pub(crate) async fn create_version<X>(client: &Client, aws: &Aws<X>, id: &LaunchTemplateId, user_data: &str, client_token: &str) -> Result<u64, CallError>
where
    Aws<X>: Control + Ledger,
{
    let request = client
        .create_launch_template_version()
        .launch_template_name(&*id.name)
        .source_version(NEWEST)
        .client_token(client_token)
        .launch_template_data(RequestLaunchTemplateData::builder().user_data(base64::encode(user_data)).build());
    let target = Target::control("ec2:CreateLaunchTemplateVersion", &id.region, &*id.name);
    let version = aws
        .mutate(target, async {
            let answer = request.send().await.map_err(classify)?;
            number(answer.launch_template_version().and_then(|version| version.version_number()))
        })
        .await?;
    let request = client.modify_launch_template().launch_template_name(&*id.name).default_version(version.to_string());
    let target = Target::control("ec2:ModifyLaunchTemplate", &id.region, &*id.name);
    aws.mutate(target, async { request.send().await.map(drop).map_err(classify) }).await?;
    Ok(version)
}

/// An answer without a number was given to a call that may have been applied.
fn number(version: Option<i64>) -> Result<u64, Failed> {
    version.and_then(|version| u64::try_from(version).ok()).ok_or_else(|| Failed::new(CallFault::Unavailable, "the answer has no version number"))
}

fn decoded(user_data: &str) -> Result<String, Failed> {
    let bytes = base64::decode(user_data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    bytes.ok_or_else(|| Failed::new(CallFault::Rejected, "its user data is no text in base 64"))
}

#[cfg(test)]
mod tests;
