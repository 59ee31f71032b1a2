//! Looks at everything that the failover will need in the standby region, before anything is touched.
//!
//! Converges: reads only; a phase of the failover that would be refused later is refused now, while nothing has happened yet.
//! Refuses:   when a standby is missing or broken, a lag is too high, a quota too small, an image gone.
//! Leaves behind on failure: nothing.
//! AWS: rds:DescribeDBInstances, cloudwatch:GetMetricData, autoscaling:DescribeAutoScalingGroups, autoscaling:DescribeScalingActivities,
//!      servicequotas:GetServiceQuota, ec2:DescribeInstances, ec2:DescribeInstanceTypes, ec2:DescribeImages,
//!      ec2:DescribeLaunchTemplateVersions, elasticache:DescribeGlobalReplicationGroups, elasticache:DescribeReplicationGroups, dynamodb:Query
//!      (standby region).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_core::ports::{
    DatabaseRole, DatabaseStatus, Databases, GlobalCaches, Headroom, ImageState, Images, LaunchTemplates, Metrics, Notes, Quotas, Samples, ScalingGroups,
};
use muster_core::{Action, ActionError, Clock, Conduct, Context, DatabaseId, Evidence, Finding, LaunchTemplateId, Progress, ScalingGroupId};
use muster_plan::{CacheStandby, Compute, Database, Name, Plan};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::lag::{LOOKED_BACK, LagKnowledge, LagVerdict, SampledLags, judge_lag, lag_query};
use crate::notes::{self, Book, PROMOTED};
use crate::promote_replica::detached;

/// The action.
pub const PREFLIGHT: Action = Action { name: "preflight", conduct: Conduct::Observes };

/// Nothing to ask for: the plan says what is needed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// What was found, good and bad.
#[derive(Default)]
struct Found {
    ready: Vec<(String, String)>,
    missing: Vec<Finding>,
}

impl Found {
    fn ready(&mut self, subject: impl ToString, seen: impl Into<String>) {
        self.ready.push((subject.to_string(), seen.into()));
    }
}

/// Looks at the standby region. Called twice, it looks twice and changes nothing.
///
/// # Errors
/// `Refused`, with everything at once that is not as it must be.
pub async fn preflight<W>(_: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Databases + Metrics + Samples + ScalingGroups + Quotas + Images + LaunchTemplates + GlobalCaches + Notes,
{
    let mut found = Found::default();
    look_at_databases(world, cx, &mut found).await?;
    look_at_caches(world, cx, &mut found).await?;
    look_at_groups(world, cx, &mut found).await?;
    for (subject, seen) in &found.ready {
        cx.saw(world.now(), Evidence::Preflight { subject: subject.clone(), seen: seen.clone(), ready: true });
    }
    for finding in &found.missing {
        cx.saw(world.now(), Evidence::Preflight { subject: finding.resource.clone(), seen: finding.seen.clone(), ready: false });
    }
    if found.missing.is_empty() {
        Ok(Progress::done(format!("{} things are as the failover needs them", found.ready.len())))
    } else {
        Err(ActionError::Refused(found.missing))
    }
}

async fn look_at_databases<W>(world: &W, cx: &Context<'_, Plan>, found: &mut Found) -> Result<(), ActionError>
where
    W: Clock + Databases + Metrics + Samples + Notes,
{
    let standby = &cx.plan.regions.standby;
    let replicas: Vec<(&Database, DatabaseId)> = cx.plan.replica_databases().map(|(database, id)| (database, DatabaseId::new(standby, id))).collect();
    if replicas.is_empty() {
        return Ok(());
    }
    let ids: Vec<DatabaseId> = replicas.iter().map(|(_, id)| id.clone()).collect();
    let states = world.describe_databases(standby, &ids).await?;
    let book = Book::of_run(world, cx.run, "").await?;
    let promoted = Book::of_service(world, &cx.run.service, PROMOTED).await?;
    let outage_since = book.outage_since()?;
    let until = outage_since.unwrap_or(cx.now);
    let since = until.before(LOOKED_BACK);
    let queries: Vec<_> = replicas.iter().map(|(_, id)| lag_query(&id.name, since)).collect();
    let metrics = world.read_metrics(standby, &queries).await?;
    let sampled = SampledLags::read(world, &cx.run.service, until, outage_since).await?;
    let overrides = book.overrides(cx.run)?;
    let mut noted = Vec::new();
    for ((database, id), metric) in replicas.iter().zip(&metrics) {
        match states.get(id).map(|state| state.status) {
            Some(DatabaseStatus::Available | DatabaseStatus::BackingUp) => found.ready(id, "exists and serves"),
            Some(DatabaseStatus::Changing(status)) => found.ready(id, format!("exists and is `{status}`")),
            Some(DatabaseStatus::Broken(status)) => {
                found.missing.push(Finding::new(id, format!("it is `{status}`"), "a replica that can be promoted", "repair it, then answer `retry`"));
                continue;
            }
            None => {
                found.missing.push(Finding::new(
                    id,
                    "it does not exist",
                    "the replica that the plan promotes",
                    "correct the plan or build the replica, then answer `retry`",
                ));
                continue;
            }
        }
        match states.get(id).map(|state| &state.role) {
            Some(DatabaseRole::Replica { source }) if *source.name != *database.primary || source.region != cx.plan.regions.primary => {
                found.missing.push(Finding::new(
                    id,
                    format!("it replicates {source}"),
                    format!("a replica of {} ({})", database.primary, cx.plan.regions.primary),
                    "correct the plan, then push it and start again",
                ));
                continue;
            }
            Some(DatabaseRole::Replica { .. }) => {
                // A standby that replicates is no primary of ours, whatever an earlier failover made of it.
                if promoted.promoted_by_us(&database.name) {
                    noted.push(notes::of_service(cx.run, notes::promoted(&database.name), Value::Null));
                }
                noted.push(notes::of_run(cx.run, notes::replicating(&database.name), json!(true)));
            }
            Some(DatabaseRole::Primary) if promoted.promoted_by_us(&database.name) => {
                found.ready(&database.name, "was promoted by an earlier run");
                continue;
            }
            Some(DatabaseRole::Primary) => {
                noted.push(notes::of_run(cx.run, notes::detached(&database.name), json!(true)));
                found.missing.push(detached(&database.name));
                continue;
            }
            None => continue,
        }
        let Some(gate) = &database.lag else { continue };
        let known = LagKnowledge::gather(&database.name, metric, &sampled, outage_since, false);
        match judge_lag(&database.name, &known, gate, &overrides, cx.now) {
            LagVerdict::Go { lag: Some(lag), .. } => found.ready(&database.name, format!("replica lag {lag}")),
            LagVerdict::Go { lag: None, .. } => found.ready(&database.name, "replica lag unknown, accepted"),
            LagVerdict::Drain { lag } => found.ready(&database.name, format!("replica lag {lag}, shrinking")),
            LagVerdict::Refuse(finding) => found.missing.push(finding),
        }
    }
    if !noted.is_empty() {
        world.note_all(&noted).await?;
    }
    Ok(())
}

async fn look_at_caches<W>(world: &W, cx: &Context<'_, Plan>, found: &mut Found) -> Result<(), ActionError>
where
    W: GlobalCaches,
{
    let caches: Vec<(&Name, Arc<str>, &str)> = cx
        .plan
        .caches
        .iter()
        .filter_map(|cache| match &cache.standby {
            CacheStandby::GlobalDatastore { global_id, id } => Some((&cache.name, Arc::from(global_id.as_str()), id.as_str())),
            _ => None,
        })
        .collect();
    if caches.is_empty() {
        return Ok(());
    }
    let ids: Vec<Arc<str>> = caches.iter().map(|(_, id, _)| id.clone()).collect();
    let states = world.describe_global_caches(&cx.plan.regions.standby, &ids).await?;
    for (name, id, group) in caches {
        if states.get(&id).is_some_and(|state| state.members.iter().any(|member| *member.group == *group)) {
            found.ready(name, format!("{group} belongs to {id}"));
        } else {
            found.missing.push(Finding::new(
                name,
                format!("{id} has no cluster {group}"),
                "the secondary cluster that the plan names",
                "add it or correct the plan, then answer `retry`; or answer `skip` to start with a cold cache",
            ));
        }
    }
    Ok(())
}

async fn look_at_groups<W>(world: &W, cx: &Context<'_, Plan>, found: &mut Found) -> Result<(), ActionError>
where
    W: ScalingGroups + Quotas + Images + LaunchTemplates,
{
    let region = &cx.plan.regions.standby;
    let groups = || cx.plan.compute.iter().filter_map(|compute| if let Compute::AutoScalingGroup(group) = compute { Some(group) } else { None });
    let ids: Vec<ScalingGroupId> = groups().map(|group| ScalingGroupId::new(region, &group.standby.group)).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let states = world.describe_groups(region, &ids).await?;
    // What all groups together still need of a type, by which the quota counts.
    let mut needed: BTreeMap<&str, u32> = BTreeMap::new();
    for (group, id) in groups().zip(&ids) {
        let Some(state) = states.get(id) else {
            found.missing.push(Finding::new(
                id,
                "it does not exist",
                "the Auto Scaling group that the plan names",
                "create it or correct the plan, then answer `retry`",
            ));
            continue;
        };
        found.ready(id, format!("{} of {} instances, {} healthy", state.size.desired, group.standby.desired, state.healthy));
        if let Some(instance_type) = &group.standby.instance_type {
            *needed.entry(instance_type).or_insert(0) += group.standby.desired.saturating_sub(state.size.desired);
        }
    }
    for (instance_type, needed) in needed {
        let headroom = world.instance_headroom(region, instance_type).await?;
        match decide_headroom(headroom, needed) {
            Ok(seen) => found.ready(format!("quota for {instance_type}"), seen),
            Err((seen, wanted)) => found.missing.push(Finding::new(
                format!("quota for {instance_type} in {region}"),
                seen,
                wanted,
                "raise the quota or stop other instances, then answer `retry`; or answer `skip` to start with what there is",
            )),
        }
    }
    let existing = || groups().zip(&ids).filter(|(_, id)| states.contains_key(*id)).map(|(group, _)| group);
    let images: BTreeSet<&str> = existing().filter_map(|group| group.standby.image.as_deref()).collect();
    for image in images {
        look_at_image(world, cx, image, found).await?;
    }
    let templates: BTreeSet<&str> = existing().filter_map(|group| group.standby.launch_template.as_deref()).collect();
    for template in templates {
        look_at_template(world, cx, template, found).await?;
    }
    Ok(())
}

async fn look_at_image<W: Images>(world: &W, cx: &Context<'_, Plan>, image: &str, found: &mut Found) -> Result<(), ActionError> {
    let region = &cx.plan.regions.standby;
    match world.image_state(region, image).await? {
        ImageState::Available => found.ready(image, "available"),
        ImageState::Missing => found.missing.push(Finding::new(
            image,
            format!("it is not available in {region}"),
            "the image that the instances start from",
            "copy it to the region or correct the launch template, then answer `retry`",
        )),
    }
    Ok(())
}

async fn look_at_template<W: LaunchTemplates>(world: &W, cx: &Context<'_, Plan>, template: &str, found: &mut Found) -> Result<(), ActionError> {
    let id = LaunchTemplateId::new(&cx.plan.regions.standby, template);
    match world.describe_templates(&id.region, std::slice::from_ref(&id)).await?.get(&id) {
        Some(state) => found.ready(&id, format!("version {}", state.latest_version)),
        None => found.missing.push(Finding::new(
            &id,
            "it does not exist",
            "the launch template that the plan names",
            "create it or correct the plan, then answer `retry`",
        )),
    }
    Ok(())
}

fn decide_headroom(headroom: Headroom, needed: u32) -> Result<String, (String, String)> {
    let left = headroom.limit.saturating_sub(headroom.used);
    let seen = format!("{left} more instances allowed ({} of {} used)", headroom.used, headroom.limit);
    if left >= needed { Ok(seen) } else { Err((seen, format!("room for {needed} more"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_must_leave_room_for_what_is_still_to_be_started() {
        assert!(decide_headroom(Headroom { limit: 10, used: 5 }, 5).is_ok());
        assert!(decide_headroom(Headroom { limit: 10, used: 6 }, 5).is_err());
        assert!(decide_headroom(Headroom { limit: 4, used: 6 }, 1).is_err());
        assert!(decide_headroom(Headroom { limit: 4, used: 6 }, 0).is_ok());
    }
}
