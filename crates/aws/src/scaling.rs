//! EC2 Auto Scaling groups.

use std::collections::BTreeMap;

use aws_sdk_autoscaling::types::{Activity, AutoScalingGroup, LifecycleState, ScalingActivityStatusCode};
use muster_core::ports::{Control, GroupSize, GroupState, Ledger, ScalingGroups};
use muster_core::{CallError, CallFault, Region, ScalingGroupId};

use crate::call::joined;
use crate::{Aws, Failed, Target, classify};

/// A page of `DescribeAutoScalingGroups` holds no more (its `MaxRecords`), so no more are asked for at a time.
const PAGE: usize = 100;
/// So many groups that lack instances are asked why.
const EXPLAINED: usize = 5;

impl<X> ScalingGroups for Aws<X>
where
    Self: Control + Ledger,
{
    async fn describe_groups(&self, region: &Region, ids: &[ScalingGroupId]) -> Result<BTreeMap<ScalingGroupId, GroupState>, CallError> {
        let mut states = BTreeMap::new();
        for asked in ids.chunks(PAGE) {
            let mut token = None;
            loop {
                let names = asked.iter().map(|id| id.name.to_string()).collect();
                let request =
                    self.autoscaling(region).describe_auto_scaling_groups().set_auto_scaling_group_names(Some(names)).max_records(100).set_next_token(token);
                let target = Target::control("autoscaling:DescribeAutoScalingGroups", region, joined(asked));
                let page = self.read(target, async { request.send().await.map_err(classify) }).await?;
                let known = page.auto_scaling_groups().iter().filter_map(|group| {
                    let id = asked.iter().find(|id| group.auto_scaling_group_name() == Some(&id.name))?;
                    Some((id.clone(), described(group)))
                });
                states.extend(known);
                token = page.next_token;
                if token.as_deref().is_none_or(str::is_empty) {
                    break;
                }
            }
        }
        for (id, state) in states.iter_mut().filter(|(_, state)| state.size.desired > state.healthy).take(EXPLAINED) {
            // It explains and decides nothing: whoever cannot read it still recovers, and the first few explain the others.
            state.last_failure = self.last_failure(id).await.ok().flatten();
        }
        Ok(states)
    }

    async fn resize_group(&self, id: &ScalingGroupId, size: GroupSize) -> Result<(), CallError> {
        let target = Target::control("autoscaling:UpdateAutoScalingGroup", &id.region, &*id.name);
        let count =
            |count: u32| i32::try_from(count).map_err(|_| Failed::new(CallFault::Rejected, format!("{count} instances are more than a group can have")));
        let sizes = count(size.min).and_then(|min| Ok((min, count(size.desired)?, count(size.max)?)));
        let (min, desired, max) = sizes.map_err(|failed| target.failed(failed))?;
        let request =
            self.autoscaling(&id.region).update_auto_scaling_group().auto_scaling_group_name(&*id.name).min_size(min).desired_capacity(desired).max_size(max);
        self.mutate(target, async { request.send().await.map(drop).map_err(classify) }).await
    }
}

impl<X> Aws<X> {
    /// Why the newest scaling activity of a group failed, if it did.
    async fn last_failure(&self, id: &ScalingGroupId) -> Result<Option<String>, CallError> {
        let request = self.autoscaling(&id.region).describe_scaling_activities().auto_scaling_group_name(&*id.name).max_records(10);
        let target = Target::control("autoscaling:DescribeScalingActivities", &id.region, &*id.name);
        let answer = self.read(target, async { request.send().await.map_err(classify) }).await?;
        let newest = answer.activities().iter().max_by_key(|activity| activity.start_time().map(|at| (at.secs(), at.subsec_nanos())));
        Ok(newest.filter(|activity| activity.status_code() == Some(&ScalingActivityStatusCode::Failed)).map(reason))
    }
}

fn described(group: &AutoScalingGroup) -> GroupState {
    let count = |count: Option<i32>| count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    let serves = |instance: &&aws_sdk_autoscaling::types::Instance| {
        instance.lifecycle_state() == Some(&LifecycleState::InService) && instance.health_status().is_some_and(|health| health.eq_ignore_ascii_case("healthy"))
    };
    GroupState {
        size: GroupSize { min: count(group.min_size()), desired: count(group.desired_capacity()), max: count(group.max_size()) },
        healthy: u32::try_from(group.instances().iter().filter(serves).count()).unwrap_or(u32::MAX),
        last_failure: None,
    }
}

fn reason(activity: &Activity) -> String {
    let said = activity.status_message().or(activity.description()).unwrap_or("no reason given");
    said.trim().to_owned()
}

#[cfg(test)]
mod tests;
