//! What a plug-in that knows EC2 brings. EC2's SDK is as large as all others together, so only functions that need it link it;
//! and a crate beside this one can implement no port for [`Aws`], so it implements this.

use std::collections::BTreeMap;

use muster_core::ports::{Control, Headroom, ImageState, Images, LaunchTemplateState, LaunchTemplates, Ledger, Quotas};
use muster_core::{CallError, CallFault, LaunchTemplateId, Region};

use crate::{Aws, Failed, Target, classify};

/// The ports that need EC2, by the contracts of [`LaunchTemplates`], [`Images`] and [`Quotas`]. Calls go through `aws`, as all do.
#[allow(async_fn_in_trait)] // as the ports: one thread per Lambda, nobody needs Send
pub trait Ec2PlugIn: Sized {
    /// See [`LaunchTemplates::describe_templates`].
    async fn describe_templates(
        &self,
        aws: &Aws<Self>,
        region: &Region,
        ids: &[LaunchTemplateId],
    ) -> Result<BTreeMap<LaunchTemplateId, LaunchTemplateState>, CallError>;

    /// See [`LaunchTemplates::create_template_version`].
    async fn create_template_version(&self, aws: &Aws<Self>, id: &LaunchTemplateId, user_data: &str, client_token: &str) -> Result<u64, CallError>
    where
        Aws<Self>: Control + Ledger;

    /// See [`Images::image_state`].
    async fn image_state(&self, aws: &Aws<Self>, region: &Region, image: &str) -> Result<ImageState, CallError>;

    /// See [`Quotas::instance_headroom`].
    async fn instance_headroom(&self, aws: &Aws<Self>, region: &Region, instance_type: &str) -> Result<Headroom, CallError>;
}

impl<X: Ec2PlugIn> LaunchTemplates for Aws<X>
where
    Self: Control + Ledger,
{
    async fn describe_templates(&self, region: &Region, ids: &[LaunchTemplateId]) -> Result<BTreeMap<LaunchTemplateId, LaunchTemplateState>, CallError> {
        self.plug_in.describe_templates(self, region, ids).await
    }

    async fn create_template_version(&self, id: &LaunchTemplateId, user_data: &str, client_token: &str) -> Result<u64, CallError> {
        self.plug_in.create_template_version(self, id, user_data, client_token).await
    }
}

impl<X: Ec2PlugIn> Images for Aws<X> {
    async fn image_state(&self, region: &Region, image: &str) -> Result<ImageState, CallError> {
        self.plug_in.image_state(self, region, image).await
    }
}

impl<X: Ec2PlugIn> Quotas for Aws<X> {
    async fn instance_headroom(&self, region: &Region, instance_type: &str) -> Result<Headroom, CallError> {
        self.plug_in.instance_headroom(self, region, instance_type).await
    }
}

impl<X> Aws<X> {
    /// The value of an EC2 quota in a region, in its own unit: its applied value, or AWS's default where nobody asked for another.
    ///
    /// # Errors
    /// How the call failed; `Rejected` for an answer without a value.
    pub async fn ec2_quota(&self, region: &Region, code: &str) -> Result<f64, CallError> {
        let request = self.servicequotas(region).get_service_quota().service_code("ec2").quota_code(code);
        let target = Target::control("servicequotas:GetServiceQuota", region, code);
        self.read(target, async {
            let answer = request.send().await.map_err(classify)?;
            answer.quota().and_then(|quota| quota.value()).ok_or_else(|| Failed::new(CallFault::Rejected, "the answer has no value"))
        })
        .await
    }
}
