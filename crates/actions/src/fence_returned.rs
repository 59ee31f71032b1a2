//! Fences a primary that was accepted as unfenced, as soon as it is seen again.
//!
//! Converges: works off the service's fence debts each time it is called; a debt ends when its primary is proven fenced.
//! Refuses:   nothing; a region that is still dark is asked again by the next schedule.
//! Leaves behind on failure: the debt.
//! AWS: rds:DescribeDBInstances, rds:ModifyDBInstance, and SQL inside the VPC (primary region); rds:DescribeDBInstances, s3:ListBucket,
//!      s3:GetObject, dynamodb:BatchGetItem, dynamodb:GetItem, dynamodb:PutItem, dynamodb:DeleteItem, dynamodb:BatchWriteItem,
//!      secretsmanager:GetSecretValue (standby region).

use muster_core::ports::{DatabaseRole, DatabaseStatus, Databases, Notes, Plans, RunRegistry, Sql, WriteAttempt};
use muster_core::{Action, ActionError, Clock, Conduct, DatabaseId, Evidence, Journaled, Progress, Run};
use muster_plan::{Database, Plan};
use serde::Deserialize;
use serde_json::Value;

use crate::fence_database::{Sight, Step, apply, decide, is_dark, quarantine, see};
use crate::notes::{self, FenceDebt, fence_debt, service_scope};

/// The action.
pub const FENCE_RETURNED: Action = Action { name: "fence-returned", conduct: Conduct::Mutates };

/// Started by a schedule, with nothing to say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// Fences what has returned, once its replacement takes writes. Called twice, it changes nothing that is fenced. While
/// another run is open, which may be failing back to that very primary, it does nothing.
///
/// # Errors
/// `Transient` when the table cannot be read or written, or a call to the returned primary failed.
pub async fn fence_returned<W>(_: Request, world: &W) -> Result<Progress, ActionError>
where
    W: Clock + RunRegistry + Databases + Sql + Notes + Plans<Plan> + Journaled,
{
    let (mut open, mut fenced, mut failed) = (0, 0, None);
    for started in world.plans_in_force().await? {
        for database in started.plan.databases.iter().filter(|database| database.fence.is_some()) {
            match work_off(world, &started.plan, database).await {
                Ok(Some(true)) => fenced += 1,
                Ok(Some(false)) => open += 1,
                Ok(None) => {}
                // One primary that cannot be fenced must not keep the others from it.
                Err(error) => failed = Some(error),
            }
        }
    }
    failed.map_or_else(|| Ok(Progress::done(format!("{fenced} fenced, {open} not seen yet"))), Err)
}

/// Works off the debt of one database: `None` where there is none, or where an open run is in charge of it.
async fn work_off<W>(world: &W, plan: &Plan, database: &Database) -> Result<Option<bool>, ActionError>
where
    W: Clock + RunRegistry + Databases + Sql + Notes + Journaled,
{
    let scope = service_scope(plan.service.as_str());
    let Some(debt) = notes::read::<FenceDebt>(world, &scope, &fence_debt(&database.name)).await? else { return Ok(None) };
    let lane = world.read_lane(plan.service.as_str(), debt.run.lane).await?;
    if lane.open.as_ref().is_some_and(|open| open.run.id != debt.run.id) {
        return Ok(None);
    }
    // Most of the time the region is dark, and it makes no difference what became of the replacement.
    if is_out_of_sight(world, plan, database).await {
        return Ok(Some(false));
    }
    if !was_promoted(world, plan, database, &debt.run).await? {
        return Ok(None);
    }
    // A later run has come and gone: the debt outlives it, under the service's present epoch.
    let run = Run { epoch: lane.epoch, ..debt.run };
    world.journal().belongs_to(world.now(), &run);
    let is_fenced = fence(world, plan, database, &run).await?;
    if is_fenced {
        world.note(&scope, &fence_debt(&database.name), &Value::Null).await?;
    }
    Ok(Some(is_fenced))
}

/// Whether nobody answers for the primary. Whatever else is wrong is found when it is fenced.
async fn is_out_of_sight(world: &impl Databases, plan: &Plan, database: &Database) -> bool {
    let id = DatabaseId::new(&plan.regions.primary, &database.primary);
    world.describe_databases(&id.region, std::slice::from_ref(&id)).await.is_err_and(|error| is_dark(&error))
}

/// Only a primary that has been replaced is fenced behind its back. Before that, the run that accepted it is in charge,
/// and undoes its acceptance when it is aborted.
async fn was_promoted<W>(world: &W, plan: &Plan, database: &Database, run: &Run) -> Result<bool, ActionError>
where
    W: Databases + Notes,
{
    let Some(replica) = database.replica_id() else { return Ok(false) };
    let id = DatabaseId::new(&plan.regions.standby, replica);
    match world.describe_databases(&id.region, std::slice::from_ref(&id)).await {
        // A replica that is changing after a promotion was asked for becomes a primary. One that still replicates does not:
        // the call was not applied, and the old primary is the only one.
        Ok(states) => Ok(match states.get(&id) {
            Some(state) if state.role == DatabaseRole::Primary => true,
            Some(state) if matches!(state.status, DatabaseStatus::Changing(_)) => notes::promotion_asked_at(world, run, &database.name).await?.is_some(),
            _ => false,
        }),
        Err(error) if error.fault.is_transient() => Ok(notes::promotion_asked_at(world, run, &database.name).await?.is_some()),
        Err(error) => Err(error.into()),
    }
}

async fn fence<W>(world: &W, plan: &Plan, database: &Database, run: &Run) -> Result<bool, ActionError>
where
    W: Clock + Databases + Sql + Notes + Journaled,
{
    let Some((group, _)) = quarantine(database) else { return Ok(true) };
    let id = DatabaseId::new(&plan.regions.primary, &database.primary);
    // As many steps as a fence has, and a look after each: it is finished within one call.
    for _ in 0..4 {
        let sight = see(world, plan, database).await?;
        let step = decide(&sight, group);
        if let (Step::Quarantine, Sight::Seen { groups, write: WriteAttempt::Accepted, .. }) = (&step, &sight) {
            let what = format!(
                "the old primary {id} returned writable and is being fenced (its security groups were {}): what it took meanwhile is divergence and needs reconciliation",
                groups.join(", ")
            );
            world.journal().saw(world.now(), Evidence::Unprotected { what });
        }
        match step {
            Step::Proven { proof } => {
                world.journal().saw(world.now(), Evidence::Fenced { database: database.name.to_string(), proof });
                return Ok(true);
            }
            Step::Dark { .. } => return Ok(false),
            step => apply(world, run, database, &id, &step, group).await?,
        }
    }
    Ok(false)
}
