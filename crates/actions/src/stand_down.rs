//! Undoes what a run did, as long as nothing irreversible has happened; afterwards it undoes nothing and says what stands.
//!
//! Converges: what is as it was is left alone.
//! Refuses:   to touch anything once a promotion has begun: half of a failover undone is worse than a failover.
//! Leaves behind on failure: what could not be undone, in the report.
//! AWS: rds:DescribeDBInstances, autoscaling:DescribeAutoScalingGroups, autoscaling:DescribeScalingActivities,
//!      autoscaling:UpdateAutoScalingGroup, ssm:GetParameters, ssm:PutParameter, elasticache:DescribeGlobalReplicationGroups,
//!      elasticache:DescribeReplicationGroups, elasticache:FailoverGlobalReplicationGroup, ec2:DescribeLaunchTemplateVersions,
//!      ec2:CreateLaunchTemplateVersion, ec2:ModifyLaunchTemplate, secretsmanager:GetSecretValue, dynamodb:GetItem, dynamodb:DeleteItem
//!      (standby region); rds:DescribeDBInstances, rds:ModifyDBInstance, and SQL inside the VPC (primary region).

use std::sync::Arc;

use muster_core::ports::{DatabaseRole, DatabaseStatus, Databases, GlobalCaches, LaunchTemplates, Notes, Parameters, ScalingGroups, Sql};
use muster_core::{
    Action, ActionError, CallError, Clock, Conduct, Context, DatabaseId, Duration, Evidence, LaunchTemplateId, ParameterId, Progress, ScalingGroupId,
};
use muster_plan::{BackgroundWorkload, Cache, CacheStandby, Compute, Configuration, Database, Plan};
use serde::Deserialize;
use serde_json::Value;

use crate::acceptance::note_fencing;
use crate::fence_database::{Before, groups_note, sql_target};
use crate::notes::{self, CacheAsked, FenceDebt, fence_debt, service_scope};
use crate::update_configuration::client_token;

/// The action.
pub const STAND_DOWN: Action = Action { name: "stand-down", conduct: Conduct::Undoes };

/// Nothing to ask for: the run's notes say what it did.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// What could not be undone within this long is left to people.
const PATIENCE: Duration = Duration::from_mins(5);

/// Undoes the run's changes. Called twice, it undoes nothing twice.
///
/// # Errors
/// `Transient` while a call fails for a moment.
pub async fn stand_down<W>(_: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Databases + Sql + GlobalCaches + ScalingGroups + Parameters + LaunchTemplates + Notes,
{
    let (irreversible, unseen) = match irreversible(world, cx).await {
        Ok(step) => (step, false),
        Err(ActionError::Transient(_)) if cx.elapsed() <= PATIENCE => {
            return Ok(cx.wait("the standby cannot be seen, so nothing is undone yet", Duration::from_secs(2)));
        }
        Err(ActionError::Transient(_)) => (Some("the standby cannot be seen".to_owned()), true),
        Err(error) => return Err(error),
    };
    if let Some(step) = irreversible {
        let next = if unseen { "look at it, and undo by hand what this run did" } else { "finish the failover by hand or with another run" };
        cx.saw(world.now(), Evidence::Unprotected { what: format!("nothing was undone, because {step}: {next}") });
        return Ok(Progress::done(format!("nothing undone: {step}")).with_verdict("irreversible"));
    }
    let mut left = Vec::new();
    for database in &cx.plan.databases {
        keep(lift_fence(world, cx, database).await, database.name.as_str(), &mut left)?;
    }
    for cache in &cx.plan.caches {
        keep(fail_cache_back(world, cx, cache).await, cache.name.as_str(), &mut left)?;
    }
    for id in groups(cx.plan) {
        keep(shrink(world, cx, &id).await, &id.name, &mut left)?;
    }
    for item in &cx.plan.configuration {
        keep(write_back(world, cx, item).await, item.name().as_str(), &mut left)?;
    }
    if left.is_empty() {
        return Ok(Progress::done("everything that this run changed is as it was").with_verdict("undone"));
    }
    if cx.elapsed() <= PATIENCE {
        return Ok(cx.wait(format!("undoing: {}", left.join("; ")), Duration::from_secs(2)));
    }
    for what in &left {
        cx.saw(world.now(), Evidence::Unprotected { what: format!("not undone: {what}") });
    }
    Ok(Progress::done(format!("not undone: {}", left.join("; "))).with_verdict("partly"))
}

/// The point of no return, if it was passed: what this run asked for, or a replica that is none any more.
async fn irreversible<W>(world: &W, cx: &Context<'_, Plan>) -> Result<Option<String>, ActionError>
where
    W: Databases + Notes,
{
    if let Some(step) = notes::point_of_no_return(world, cx).await? {
        return Ok(Some(step));
    }
    for (database, _) in cx.plan.replica_databases() {
        if notes::promoted_by_us(world, &cx.run.service, &database.name).await? {
            return Ok(Some(format!("the standby of {} has been promoted", database.name)));
        }
    }
    let standby = &cx.plan.regions.standby;
    let ids: Vec<DatabaseId> = cx.plan.replica_databases().map(|(_, id)| DatabaseId::new(standby, id)).collect();
    let states = if ids.is_empty() { Default::default() } else { world.describe_databases(standby, &ids).await? };
    // A replica that is changing may be one that somebody promotes by hand.
    let promoted = states.iter().find(|(_, state)| state.role == DatabaseRole::Primary || matches!(state.status, DatabaseStatus::Changing(_)));
    Ok(promoted.map(|(id, _)| format!("{id} is a primary, or becomes one")))
}

/// Sorts one undoing: what failed stays on the list, and only a stop of the whole run stops the rest.
fn keep(undone: Result<(), ActionError>, what: &str, left: &mut Vec<String>) -> Result<(), ActionError> {
    match undone {
        Err(error @ ActionError::Refused(_)) => Err(error),
        Err(error) => {
            left.push(format!("{what}: {error}"));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

async fn lift_fence<W>(world: &W, cx: &Context<'_, Plan>, database: &Database) -> Result<(), ActionError>
where
    W: Clock + Databases + Sql + Notes,
{
    let scope = service_scope(&cx.run.service);
    let debt = notes::read::<FenceDebt>(world, &scope, &fence_debt(&database.name)).await?;
    if debt.is_some_and(|debt| debt.run.id == cx.run.id) {
        world.note(&scope, &fence_debt(&database.name), &Value::Null).await?;
    }
    let Some(before) = notes::read::<Before>(world, &cx.run.id.0, &groups_note(database)).await? else { return Ok(()) };
    let id = DatabaseId::new(&cx.plan.regions.primary, &database.primary);
    let states = world.describe_databases(&id.region, std::slice::from_ref(&id)).await?;
    let Some(state) = states.get(&id) else { return Ok(()) };
    // By the note and not by the look, which may be stale: both calls set what was, and change nothing where it is so.
    note_fencing(world, cx.run, database, None).await?;
    if let Some(target) = sql_target(database, &id, state) {
        world.set_read_only(&target, false).await?;
    }
    world.set_security_groups(&id, &before.groups).await?;
    world.note(&cx.run.id.0, &groups_note(database), &Value::Null).await?;
    cx.saw(world.now(), Evidence::Undone { what: format!("the quarantine of {id}") });
    Ok(())
}

/// A cache that this run failed over belongs to the region that keeps the service. It is an error, and stays on the list,
/// until the former primary is the primary again.
async fn fail_cache_back<W>(world: &W, cx: &Context<'_, Plan>, cache: &Cache) -> Result<(), ActionError>
where
    W: Clock + GlobalCaches + Notes,
{
    let CacheStandby::GlobalDatastore { global_id, .. } = &cache.standby else { return Ok(()) };
    let Some(CacheAsked { former: Some(former), .. }) = notes::cache_asked(world, cx.run, &cache.name).await? else { return Ok(()) };
    let global: Arc<str> = global_id.as_str().into();
    let states = world.describe_global_caches(&cx.plan.regions.standby, std::slice::from_ref(&global)).await?;
    let Some(state) = states.get(&global) else { return Ok(()) };
    let Some(member) = state.members.iter().find(|member| *member.group == *former) else { return Ok(()) };
    if member.primary {
        cx.saw(world.now(), Evidence::Undone { what: format!("the failover of {}: {former} is the primary again", cache.name) });
        return Ok(());
    }
    if state.settled {
        world.failover_global_cache(&member.region, &global, &former).await?;
    }
    Err(ActionError::Transient(format!("{former} is not the primary again yet")))
}

fn groups(plan: &Plan) -> Vec<ScalingGroupId> {
    plan.compute
        .iter()
        .filter_map(|compute| match compute {
            Compute::AutoScalingGroup(group) => Some(ScalingGroupId::new(&plan.regions.standby, &group.standby.group)),
            Compute::Background(background) => match &background.workload {
                BackgroundWorkload::AutoScalingGroup { standby, .. } => Some(ScalingGroupId::new(&plan.regions.standby, standby)),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

async fn shrink<W>(world: &W, cx: &Context<'_, Plan>, id: &ScalingGroupId) -> Result<(), ActionError>
where
    W: Clock + ScalingGroups + Notes,
{
    let Some(before) = notes::remembered_size(world, cx.run, id).await? else { return Ok(()) };
    let states = world.describe_groups(&id.region, std::slice::from_ref(id)).await?;
    if states.get(id).is_none_or(|state| state.size == before) {
        return Ok(());
    }
    world.resize_group(id, before).await?;
    cx.saw(world.now(), Evidence::Undone { what: format!("the size of {id}: {} instances again", before.desired) });
    Ok(())
}

async fn write_back<W>(world: &W, cx: &Context<'_, Plan>, item: &Configuration) -> Result<(), ActionError>
where
    W: Clock + Parameters + LaunchTemplates + Notes,
{
    let Some(Some(before)) = notes::remembered_value(world, cx.run, item.name()).await? else { return Ok(()) };
    let changed = match item {
        Configuration::SsmParameter { parameter, region, .. } => put_back(world, &ParameterId::new(cx.plan.regions.get(*region), parameter), &before).await?,
        Configuration::LaunchTemplate { template, .. } => {
            let id = LaunchTemplateId::new(&cx.plan.regions.standby, template);
            let now = world.describe_templates(&id.region, std::slice::from_ref(&id)).await?.remove(&id);
            let differs = now.is_some_and(|state| state.user_data != before);
            if differs {
                world.create_template_version(&id, &before, &client_token(&cx.run.id.0, &id.name, &before)).await?;
            }
            differs
        }
        _ => false,
    };
    if changed {
        cx.saw(world.now(), Evidence::Undone { what: format!("the value of {}", item.name()) });
    }
    Ok(())
}

async fn put_back<W: Parameters>(world: &W, id: &ParameterId, before: &str) -> Result<bool, CallError> {
    let now = world.get_parameters(&id.region, std::slice::from_ref(id)).await?.remove(id);
    if now.as_deref() == Some(before) {
        return Ok(false);
    }
    world.put_parameter(id, before).await?;
    Ok(true)
}
