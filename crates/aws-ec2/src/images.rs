//! Machine images.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::ImageState as Ec2ImageState;
use muster_aws::{Aws, Target, classify};
use muster_core::ports::ImageState;
use muster_core::{CallError, CallFault, Region};

/// Whether an image can be started from in a region.
pub(crate) async fn state<X>(client: &Client, aws: &Aws<X>, region: &Region, image: &str) -> Result<ImageState, CallError> {
    let request = client.describe_images().image_ids(image);
    let target = Target::control("ec2:DescribeImages", region, image);
    match aws.read(target, async { request.send().await.map_err(classify) }).await {
        // One that is disabled, or still being copied, is listed in another state.
        Ok(answer) if answer.images().iter().any(|found| found.state() == Some(&Ec2ImageState::Available)) => Ok(ImageState::Available),
        Ok(_) => Ok(ImageState::Missing),
        // Deregistered, never copied to the region, or another account's and not shared: EC2 tells them apart for nobody.
        Err(error) if error.fault == CallFault::NotFound || error.message.starts_with("InvalidAMIID.Unavailable") => Ok(ImageState::Missing),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
