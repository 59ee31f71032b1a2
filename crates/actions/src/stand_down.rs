//! Undoes what a run did, as long as nothing irreversible has happened; afterwards it undoes nothing and says what stands.
//!
//! Converges: what is as it was is left alone.
//! Refuses:   to touch anything once a promotion has begun: half of a failover undone is worse than a failover.
//! Leaves behind on failure: what could not be undone, in the report.
//! AWS: rds:DescribeDBInstances, autoscaling:DescribeAutoScalingGroups, autoscaling:DescribeScalingActivities,
//!      autoscaling:UpdateAutoScalingGroup, ssm:GetParameters, ssm:PutParameter, elasticache:DescribeGlobalReplicationGroups,
//!      elasticache:DescribeReplicationGroups, elasticache:FailoverGlobalReplicationGroup, ec2:DescribeLaunchTemplateVersions,
//!      ec2:CreateLaunchTemplateVersion, ec2:ModifyLaunchTemplate, secretsmanager:GetSecretValue, dynamodb:Query
//!      (standby region); rds:DescribeDBInstances, rds:ModifyDBInstance, and SQL inside the VPC (primary region).

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, stream};
use muster_core::ports::{DatabaseRole, DatabaseStatus, Databases, GlobalCaches, LaunchTemplates, Note, Notes, Parameters, ScalingGroups, Sql};
use muster_core::{
    Action, ActionError, CallError, Clock, Conduct, Context, DatabaseId, Duration, Evidence, LaunchTemplateId, ParameterId, Progress, Region, ScalingGroupId,
};
use muster_plan::{BackgroundWorkload, Cache, CacheStandby, Compute, Configuration, Database, Name, Plan};
use serde::Deserialize;
use serde_json::Value;

use crate::acceptance::fencing_note;
use crate::budget::{Budget, PUT_PARAMETER, RDS};
use crate::fence_database::{Before, PAGE, SIDE_BY_SIDE, groups_note, sql_target};
use crate::notes::{self, Book, CacheAsked, FENCE_DEBT, FenceDebt, PROMOTED, fence_debt};
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
    let book = Book::of_run(world, cx.run, "").await?;
    lift_fences(world, cx, &book, &mut left).await?;
    for cache in &cx.plan.caches {
        keep(fail_cache_back(world, cx, &book, cache).await, cache.name.as_str(), &mut left)?;
    }
    shrink(world, cx, &book, &mut left).await?;
    write_back(world, cx, &book, &mut left).await?;
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
    let promoted = Book::of_service(world, &cx.run.service, PROMOTED).await?;
    if let Some((database, _)) = cx.plan.replica_databases().find(|(database, _)| promoted.promoted_by_us(&database.name)) {
        return Ok(Some(format!("the standby of {} has been promoted", database.name)));
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

async fn lift_fences<W>(world: &W, cx: &Context<'_, Plan>, book: &Book, left: &mut Vec<String>) -> Result<(), ActionError>
where
    W: Clock + Databases + Sql + Notes,
{
    let debts = Book::of_service(world, &cx.run.service, FENCE_DEBT).await?;
    let (mut paid, mut fenced) = (Vec::new(), Vec::new());
    for database in &cx.plan.databases {
        if debts.get::<FenceDebt>(&fence_debt(&database.name))?.is_some_and(|debt| debt.run.id == cx.run.id) {
            paid.push(notes::of_service(cx.run, fence_debt(&database.name), Value::Null));
        }
        if let Some(before) = book.get::<Before>(&groups_note(database))? {
            fenced.push((database, DatabaseId::new(&cx.plan.regions.primary, &database.primary), before));
        }
    }
    if !paid.is_empty() {
        world.note_all(&paid).await?;
    }
    if fenced.is_empty() {
        return Ok(());
    }
    let pages = fenced.len().div_ceil(PAGE);
    let mut budget = Budget::of(book, RDS, &cx.plan.regions.primary, fenced.len() + pages, cx.now)?;
    budget.spend(world.now(), pages as u64);
    let ids: Vec<DatabaseId> = fenced.iter().map(|(_, id, _)| id.clone()).collect();
    let states = match world.describe_databases(&cx.plan.regions.primary, &ids).await {
        Ok(states) => states,
        Err(error) => return fenced.iter().try_for_each(|(database, ..)| keep(Err(error.clone().into()), database.name.as_str(), left)),
    };
    // By the note and not by the look, which may be stale: both calls set what was, and change nothing where it is so.
    fenced.retain(|(_, id, _)| states.contains_key(id));
    let turns = usize::try_from(budget.left(world.now())).unwrap_or(usize::MAX).min(fenced.len());
    for (database, ..) in fenced.drain(turns..) {
        left.push(format!("{}: waiting for its turn in RDS's call budget", database.name));
    }
    budget.spend(world.now(), fenced.len() as u64);
    let mut unfenced: Vec<Note> = fenced.iter().map(|(database, ..)| fencing_note(cx.run, database, None)).collect();
    unfenced.extend(budget.note(cx.run));
    world.note_all(&unfenced).await?;
    let lift = async |(database, id, before): &(&Database, DatabaseId, Before)| -> Result<(), ActionError> {
        if let Some(target) = states.get(id).and_then(|state| sql_target(database, id, state)) {
            world.set_read_only(&target, false).await?;
        }
        Ok(world.set_security_groups(id, &before.groups).await?)
    };
    let lifted: Vec<Result<(), ActionError>> = stream::iter(&fenced).map(lift).buffered(SIDE_BY_SIDE).collect().await;
    let mut done = Vec::new();
    for ((database, id, _), lifted) in fenced.iter().zip(lifted) {
        if lifted.is_ok() {
            done.push(notes::of_run(cx.run, groups_note(database), Value::Null));
            cx.saw(world.now(), Evidence::Undone { what: format!("the quarantine of {id}") });
        }
        keep(lifted, database.name.as_str(), left)?;
    }
    if done.is_empty() { Ok(()) } else { Ok(world.note_all(&done).await?) }
}

/// A cache that this run failed over belongs to the region that keeps the service. It is an error, and stays on the list,
/// until the former primary is the primary again.
async fn fail_cache_back<W>(world: &W, cx: &Context<'_, Plan>, book: &Book, cache: &Cache) -> Result<(), ActionError>
where
    W: Clock + GlobalCaches,
{
    let CacheStandby::GlobalDatastore { global_id, .. } = &cache.standby else { return Ok(()) };
    let Some(CacheAsked { former: Some(former), .. }) = book.cache_asked(&cache.name)? else { return Ok(()) };
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

async fn shrink<W>(world: &W, cx: &Context<'_, Plan>, book: &Book, left: &mut Vec<String>) -> Result<(), ActionError>
where
    W: Clock + ScalingGroups,
{
    let mut grown = Vec::new();
    for id in groups(cx.plan) {
        grown.extend(book.remembered_size(&id)?.map(|before| (id, before)));
    }
    if grown.is_empty() {
        return Ok(());
    }
    let ids: Vec<ScalingGroupId> = grown.iter().map(|(id, _)| id.clone()).collect();
    let states = match world.describe_groups(&cx.plan.regions.standby, &ids).await {
        Ok(states) => states,
        Err(error) => return grown.iter().try_for_each(|(id, _)| keep(Err(error.clone().into()), &id.name, left)),
    };
    grown.retain(|(id, before)| states.get(id).is_some_and(|state| state.size != *before));
    let resized: Vec<Result<(), CallError>> = stream::iter(&grown).map(|(id, before)| world.resize_group(id, *before)).buffered(SIDE_BY_SIDE).collect().await;
    for ((id, before), resized) in grown.iter().zip(resized) {
        if resized.is_ok() {
            cx.saw(world.now(), Evidence::Undone { what: format!("the size of {id}: {} instances again", before.desired) });
        }
        keep(resized.map_err(ActionError::from), &id.name, left)?;
    }
    Ok(())
}

async fn write_back<W>(world: &W, cx: &Context<'_, Plan>, book: &Book, left: &mut Vec<String>) -> Result<(), ActionError>
where
    W: Clock + Parameters + LaunchTemplates + Notes,
{
    let mut parameters: BTreeMap<&Region, Vec<(&Name, ParameterId, String)>> = BTreeMap::new();
    for item in &cx.plan.configuration {
        let Some(Some(before)) = book.remembered_value(item.name())? else { continue };
        match item {
            Configuration::SsmParameter { name, parameter, region, .. } => {
                let region = cx.plan.regions.get(*region);
                parameters.entry(region).or_default().push((name, ParameterId::new(region, parameter), before));
            }
            Configuration::LaunchTemplate { name, template, .. } => {
                let id = LaunchTemplateId::new(&cx.plan.regions.standby, template);
                keep(put_template_back(world, cx, name, &id, &before).await, name.as_str(), left)?;
            }
            _ => {}
        }
    }
    for (region, parameters) in parameters {
        put_back(world, cx, book, region, parameters, left).await?;
    }
    Ok(())
}

async fn put_template_back<W>(world: &W, cx: &Context<'_, Plan>, name: &Name, id: &LaunchTemplateId, before: &str) -> Result<(), ActionError>
where
    W: Clock + LaunchTemplates,
{
    let now = world.describe_templates(&id.region, std::slice::from_ref(id)).await?.remove(id);
    if now.is_some_and(|state| state.user_data != *before) {
        world.create_template_version(id, before, &client_token(&cx.run.id.0, &id.name, before)).await?;
        cx.saw(world.now(), Evidence::Undone { what: format!("the value of {name}") });
    }
    Ok(())
}

async fn put_back<W>(
    world: &W,
    cx: &Context<'_, Plan>,
    book: &Book,
    region: &Region,
    mut parameters: Vec<(&Name, ParameterId, String)>,
    left: &mut Vec<String>,
) -> Result<(), ActionError>
where
    W: Clock + Parameters + Notes,
{
    let ids: Vec<ParameterId> = parameters.iter().map(|(_, id, _)| id.clone()).collect();
    let values = match world.get_parameters(region, &ids).await {
        Ok(values) => values,
        Err(error) => return parameters.iter().try_for_each(|(name, ..)| keep(Err(error.clone().into()), name.as_str(), left)),
    };
    parameters.retain(|(_, id, before)| values.get(id) != Some(before));
    let mut budget = Budget::of(book, PUT_PARAMETER, region, parameters.len(), cx.now)?;
    let turns = usize::try_from(budget.left(world.now())).unwrap_or(usize::MAX).min(parameters.len());
    for (name, ..) in parameters.drain(turns..) {
        left.push(format!("{name}: waiting for its turn in the call budget of Parameter Store"));
    }
    budget.spend(world.now(), parameters.len() as u64);
    budget.keep(world, cx.run).await?;
    for (name, id, before) in parameters {
        let written = world.put_parameter(&id, &before).await;
        if written.is_ok() {
            cx.saw(world.now(), Evidence::Undone { what: format!("the value of {name}") });
        }
        keep(written.map_err(ActionError::from), name.as_str(), left)?;
    }
    Ok(())
}
