//! Fences a primary that was accepted as unfenced, as soon as it is seen again.
//!
//! Converges: works off the service's fence debts each time it is called; a debt ends when its primary is proven fenced.
//! Refuses:   nothing; a region that is still dark is asked again by the next schedule.
//! Leaves behind on failure: the debt.
//! AWS: rds:DescribeDBInstances, rds:ModifyDBInstance, and SQL inside the VPC (primary region); dynamodb:GetItem, dynamodb:PutItem (standby region).

use muster_core::ports::{Control, Databases, Notes, Plans, Sql, WriteAttempt};
use muster_core::{Action, ActionError, Clock, Conduct, DatabaseId, Evidence, Journaled, Progress};
use muster_plan::{Database, Plan};
use serde::Deserialize;
use serde_json::Value;

use crate::fence_database::{Sight, Step, decide, quarantine, see, sql_target};
use crate::notes::{self, FenceDebt, fence_debt, service_scope};
use crate::superseded::is_superseded;

/// The action.
pub const FENCE_RETURNED: Action = Action { name: "fence-returned", conduct: Conduct::Mutates };

/// Started by a schedule, with nothing to say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// Fences what has returned. Called twice, it changes nothing that is fenced. Its calls are made under the epoch of the
/// run that left the debt: a newer run, which may be failing back to that very primary, stops them.
///
/// # Errors
/// `Transient` when the table cannot be read or written, or a call to the returned primary failed.
pub async fn fence_returned<W>(_: Request, world: &W) -> Result<Progress, ActionError>
where
    W: Clock + Control + Databases + Sql + Notes + Plans<Plan> + Journaled,
{
    let (mut open, mut fenced) = (0, 0);
    for started in world.plans_in_force().await? {
        let plan = &started.plan;
        for database in plan.databases.iter().filter(|database| database.fence.is_some()) {
            let scope = service_scope(plan.service.as_str());
            let Some(debt) = notes::read::<FenceDebt>(world, &scope, &fence_debt(&database.name)).await? else { continue };
            world.journal().belongs_to(world.now(), &debt.run);
            if is_superseded(world, &debt.run).await? {
                continue;
            }
            if fence(world, plan, database).await? {
                world.note(&scope, &fence_debt(&database.name), &Value::Null).await?;
                fenced += 1;
            } else {
                open += 1;
            }
        }
    }
    Ok(Progress::done(format!("{fenced} fenced, {open} not seen yet")))
}

async fn fence<W>(world: &W, plan: &Plan, database: &Database) -> Result<bool, ActionError>
where
    W: Clock + Databases + Sql + Notes + Journaled,
{
    let Some((group, _)) = quarantine(database) else { return Ok(true) };
    let id = DatabaseId::new(&plan.regions.primary, &database.primary);
    // As many steps as a fence has, and a look after each: it is finished within one call.
    for _ in 0..4 {
        let sight = see(world, plan, database).await?;
        let step = decide(&sight, group);
        if let (Step::Quarantine, Sight::Seen { write: WriteAttempt::Accepted, .. }) = (&step, &sight) {
            let what = format!("the old primary {id} returned writable: what it took meanwhile is divergence and needs reconciliation");
            world.journal().saw(world.now(), Evidence::Unprotected { what });
        }
        match step {
            Step::Proven { proof } => {
                world.journal().saw(world.now(), Evidence::Fenced { database: database.name.to_string(), proof });
                return Ok(true);
            }
            Step::Dark { .. } => return Ok(false),
            step => apply(world, database, &id, &step, group).await?,
        }
    }
    Ok(false)
}

async fn apply<W>(world: &W, database: &Database, id: &DatabaseId, step: &Step, group: &str) -> Result<(), ActionError>
where
    W: Databases + Sql,
{
    let states = world.describe_databases(&id.region, std::slice::from_ref(id)).await?;
    let target = states.get(id).and_then(|state| sql_target(database, id, state));
    match (step, target) {
        (Step::Quarantine, _) => world.set_security_groups(id, &[group.into()]).await?,
        (Step::MakeReadOnly, Some(target)) => world.set_read_only(&target, true).await?,
        (Step::EndSessions, Some(target)) => world.end_sessions(&target).await?,
        _ => {}
    }
    Ok(())
}
