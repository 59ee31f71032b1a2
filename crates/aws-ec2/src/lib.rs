//! The adapters that need EC2, apart from the others: its SDK is as large as all others together, so only functions that ask
//! for images, launch templates or quotas link it.
//!
//! `Aws::new(…).with(Ec2::default())` is a world with these ports as well.

mod images;
mod quotas;
mod templates;
#[cfg(test)]
mod testing;

use std::cell::RefCell;
use std::collections::BTreeMap;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::Builder;
use muster_aws::{Aws, Ec2PlugIn};
use muster_core::ports::{Control, Headroom, ImageState, LaunchTemplateState, Ledger};
use muster_core::{CallError, LaunchTemplateId, Region};

/// The plug-in: EC2's clients, each made where it is first asked for.
#[derive(Default)]
pub struct Ec2 {
    clients: RefCell<BTreeMap<Region, Client>>,
}

impl Ec2 {
    fn client(&self, aws: &Aws<Self>, region: &Region) -> Client {
        let make = || Client::from_conf(Builder::from(&aws.sdk(region)).interceptor(aws.observer()).build());
        self.clients.borrow_mut().entry(region.clone()).or_insert_with(make).clone()
    }
}

impl Ec2PlugIn for Ec2 {
    async fn describe_templates(
        &self,
        aws: &Aws<Self>,
        region: &Region,
        ids: &[LaunchTemplateId],
    ) -> Result<BTreeMap<LaunchTemplateId, LaunchTemplateState>, CallError> {
        templates::describe(&self.client(aws, region), aws, region, ids).await
    }

    async fn create_template_version(&self, aws: &Aws<Self>, id: &LaunchTemplateId, user_data: &str, client_token: &str) -> Result<u64, CallError>
    where
        Aws<Self>: Control + Ledger,
    {
        templates::create_version(&self.client(aws, &id.region), aws, id, user_data, client_token).await
    }

    async fn image_state(&self, aws: &Aws<Self>, region: &Region, image: &str) -> Result<ImageState, CallError> {
        images::state(&self.client(aws, region), aws, region, image).await
    }

    async fn instance_headroom(&self, aws: &Aws<Self>, region: &Region, instance_type: &str) -> Result<Headroom, CallError> {
        quotas::headroom(&self.client(aws, region), aws, region, instance_type).await
    }
}
