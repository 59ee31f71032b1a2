//! Auto Scaling groups, launch templates, parameters, quotas, images.

use std::collections::BTreeMap;

use muster_core::ports::{GroupSize, GroupState, Headroom, ImageState, Images, LaunchTemplateState, LaunchTemplates, Parameters, Quotas, ScalingGroups};
use muster_core::{CallError, Duration, LaunchTemplateId, ParameterId, Region, ScalingGroupId};
use muster_plan::RegionRole;

use crate::changes::Change;
use crate::durations::{DATA_CALL, INSTANCE};
use crate::estate::Estate;
use crate::ports::{PAGE, PARAMETERS, control, data, in_pages, joined, missing, rejected};
use crate::world::{Refusal, World};

impl ScalingGroups for World {
    async fn describe_groups(&self, region: &Region, ids: &[ScalingGroupId]) -> Result<BTreeMap<ScalingGroupId, GroupState>, CallError> {
        in_pages(ids, PAGE, |ids| self.groups_page(region, ids)).await
    }

    async fn resize_group(&self, id: &ScalingGroupId, size: GroupSize) -> Result<(), CallError> {
        let calling = control("autoscaling:UpdateAutoScalingGroup", &id.region, id.to_string()).changing();
        self.mutate(calling, |estate| estate.resize(id, size)).await
    }
}

impl LaunchTemplates for World {
    async fn describe_templates(&self, region: &Region, ids: &[LaunchTemplateId]) -> Result<BTreeMap<LaunchTemplateId, LaunchTemplateState>, CallError> {
        self.read(control("ec2:DescribeLaunchTemplateVersions", region, joined(ids)), |estate, _| {
            let seen = |id: &LaunchTemplateId| {
                let template = estate.templates.get(id)?;
                let latest = template.latest();
                Some((id.clone(), LaunchTemplateState { latest_version: latest, user_data: template.user_data(latest).to_owned() }))
            };
            Ok(ids.iter().filter_map(seen).collect())
        })
        .await
    }

    async fn create_template_version(&self, id: &LaunchTemplateId, user_data: &str, client_token: &str) -> Result<u64, CallError> {
        self.mutate(control("ec2:CreateLaunchTemplateVersion", &id.region, id.to_string()).changing(), |estate| {
            let template = estate.templates.get_mut(id).ok_or_else(|| missing(id))?;
            if let Some(version) = template.tokens.get(client_token) {
                return Ok(*version);
            }
            template.versions.push(user_data.into());
            let version = template.latest();
            template.tokens.insert(client_token.into(), version);
            estate.tell(format!("{id} has version {version}"));
            Ok(version)
        })
        .await
    }
}

impl Parameters for World {
    async fn get_parameters(&self, region: &Region, ids: &[ParameterId]) -> Result<BTreeMap<ParameterId, String>, CallError> {
        in_pages(ids, PARAMETERS, |ids| self.parameters_page(region, ids)).await
    }

    async fn put_parameter(&self, id: &ParameterId, value: &str) -> Result<(), CallError> {
        self.mutate(data("ssm:PutParameter", &id.region, id.to_string(), &DATA_CALL).changing(), |estate| {
            estate.parameters.insert(id.clone(), value.into());
            let readers = estate.readers.get(id).cloned().unwrap_or_default();
            estate.touches(&readers);
            estate.tell(format!("{id} is {value}"));
            Ok(())
        })
        .await
    }
}

impl World {
    async fn groups_page(&self, region: &Region, ids: &[ScalingGroupId]) -> Result<BTreeMap<ScalingGroupId, GroupState>, CallError> {
        self.read(control("autoscaling:DescribeAutoScalingGroups", region, joined(ids)), |estate, _| {
            Ok(ids.iter().filter_map(|id| Some((id.clone(), estate.groups.get(id)?.describe()))).collect())
        })
        .await
    }

    async fn parameters_page(&self, region: &Region, ids: &[ParameterId]) -> Result<BTreeMap<ParameterId, String>, CallError> {
        self.read(data("ssm:GetParameters", region, joined(ids), &DATA_CALL), |estate, _| {
            Ok(ids.iter().filter_map(|id| Some((id.clone(), estate.parameters.get(id)?.to_string()))).collect())
        })
        .await
    }
}

impl Quotas for World {
    async fn instance_headroom(&self, region: &Region, instance_type: &str) -> Result<Headroom, CallError> {
        self.read(control("servicequotas:GetServiceQuota", region, instance_type), |estate, _| Ok(estate.headroom(region, instance_type))).await
    }
}

impl Images for World {
    async fn image_state(&self, region: &Region, image: &str) -> Result<ImageState, CallError> {
        self.read(control("ec2:DescribeImages", region, image), |_, _| Ok(ImageState::Available)).await
    }
}

impl Estate {
    fn headroom(&self, region: &Region, instance_type: &str) -> Headroom {
        let same_type = |group: &&crate::compute::Group| group.id.region == *region && *group.instance_type == *instance_type;
        let groups = self.groups.values().filter(same_type);
        let (used, needed) = groups.fold((0, 0), |(used, needed), group| (used + group.running(), needed + group.needed));
        let limited = self.quota_left.filter(|_| self.role_of(region) == Some(RegionRole::Standby));
        // A generous quota: twice what every group of that type needs.
        Headroom { limit: limited.unwrap_or(2 * needed + 20), used }
    }

    pub(crate) fn resize(&mut self, id: &ScalingGroupId, size: GroupSize) -> Result<(), Refusal> {
        let group = self.groups.get(id).ok_or_else(|| missing(id))?;
        if size.min > size.desired || size.desired > size.max {
            return Err(rejected(format!("ValidationError: {id}: desired capacity {} is not between {} and {}", size.desired, size.min, size.max)));
        }
        let (running, component, template) = (group.running(), group.component.clone(), group.template.clone());
        let room = self.headroom(&id.region, &group.instance_type);
        let version = template.and_then(|template| self.templates.get(&template)).map_or(1, crate::compute::LaunchTemplate::latest);
        let wanted = size.desired.saturating_sub(running);
        let started = wanted.min(room.limit.saturating_sub(room.used));
        let first = group.started;
        self.check_resize(id, size.desired);
        for ordinal in first..first + u64::from(started) {
            let until = self.work(&component, "instance", &INSTANCE, ordinal, Duration::ZERO);
            self.schedule(until, Change::Healthy { group: id.clone(), version });
        }
        if let Some(group) = self.groups.get_mut(id) {
            group.size = size;
            group.started += u64::from(started);
            group.launching += started;
            group.shrink_to(size.desired);
            group.last_failure =
                (started < wanted).then(|| format!("VcpuLimitExceeded: {} more instances than the limit of {} allows", wanted - started, room.limit));
        }
        self.tell(format!("{id}: {} instances wanted, {started} started", size.desired));
        Ok(())
    }
}
