//! Fences a primary that was accepted as unfenced, as soon as it is seen again.
//!
//! Converges: works off the service's fence debts each time it is called; a debt ends when its primary is proven fenced.
//! Refuses:   nothing; a region that is still dark is asked again by the next schedule.
//! Leaves behind on failure: the debt.
//! AWS: rds:DescribeDBInstances, rds:ModifyDBInstance, and SQL inside the VPC (primary region); rds:DescribeDBInstances, s3:ListBucket,
//!      s3:GetObject, dynamodb:BatchGetItem, dynamodb:GetItem, dynamodb:Query, dynamodb:PutItem, dynamodb:BatchWriteItem,
//!      secretsmanager:GetSecretValue (standby region).

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use muster_core::ports::{DatabaseRole, DatabaseStatus, Databases, Notes, Plans, RunRegistry, Sql, WriteAttempt};
use muster_core::{Action, ActionError, CallError, Clock, Conduct, DatabaseId, Duration, Evidence, Journaled, Progress, Run, RunId, Timestamp};
use muster_plan::{Database, Plan};
use serde::Deserialize;
use serde_json::Value;

use crate::budget::{BUDGET, Budget, RDS};
use crate::fence_database::{PAGE, SIDE_BY_SIDE, Sight, Step, apply, decide, is_dark, quarantine, see_all};
use crate::notes::{self, Book, FENCE_DEBT, FenceDebt, PROMOTION, fence_debt};

/// The action.
pub const FENCE_RETURNED: Action = Action { name: "fence-returned", conduct: Conduct::Mutates };

/// Started by a schedule, with nothing to say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// So long into an invocation no further step is begun: the schedule calls again.
const LONG_ENOUGH: Duration = Duration::from_secs(20);

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
        match work_off(world, &started.plan).await {
            Ok((left, done)) => (open, fenced) = (open + left, fenced + done),
            // One service that cannot be fenced must not keep the others from it.
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or_else(|| Ok(Progress::done(format!("{fenced} fenced, {open} not seen yet"))), Err)
}

/// Works off the debts of a service: how many are left, and how many were fenced. Those that an open run is in charge of are neither.
async fn work_off<W>(world: &W, plan: &Plan) -> Result<(usize, usize), ActionError>
where
    W: Clock + RunRegistry + Databases + Sql + Notes + Journaled,
{
    let began = world.now();
    let book = Book::of_service(world, plan.service.as_str(), FENCE_DEBT).await?;
    let owed: Vec<&Database> = plan.databases.iter().filter(|database| database.fence.is_some() && book.has(&fence_debt(&database.name))).collect();
    let Some(one) = owed.first() else { return Ok((0, 0)) };
    // Most of the time the region is dark, and it makes no difference what became of the replacements.
    if is_out_of_sight(world, plan, one).await {
        return Ok((owed.len(), 0));
    }
    let mut debts: Vec<(&Database, FenceDebt)> = Vec::with_capacity(owed.len());
    for database in owed {
        debts.extend(book.get::<FenceDebt>(&fence_debt(&database.name))?.map(|debt| (database, debt)));
    }
    let Some((_, first)) = debts.first() else { return Ok((0, 0)) };
    let lane = world.read_lane(plan.service.as_str(), first.run.lane).await?;
    debts.retain(|(_, debt)| lane.open.as_ref().is_none_or(|open| open.run.id == debt.run.id));
    if debts.is_empty() {
        return Ok((0, 0));
    }
    let mut debts = promoted(world, plan, debts).await?;
    // The newest run first: a debt that outlives its run is worked off under the service's present epoch.
    debts.sort_by_key(|(_, debt)| std::cmp::Reverse(debt.since));
    let Some((_, newest)) = debts.first() else { return Ok((0, 0)) };
    let run = Run { epoch: lane.epoch, ..newest.run.clone() };
    world.journal().belongs_to(began, &run);
    let own = Book::of_run(world, &run, BUDGET).await?;
    let mut budget = Budget::of(&own, RDS, &plan.regions.primary, debts.len() + debts.len().div_ceil(PAGE), began)?;
    let count = debts.len();
    let mut left: Vec<&Database> = debts.into_iter().map(|(database, _)| database).collect();
    let mut failed = None;
    // As many steps as a fence has, and a look after each: it is finished within one call, unless they are too many for one.
    for _ in 0..4 {
        if left.is_empty() || world.now().since(began) > LONG_ENOUGH {
            break;
        }
        let failure;
        (left, failure) = fence(world, plan, &run, left, &mut budget, began).await?;
        failed = failure.or(failed);
    }
    failed.map_or_else(|| Ok((left.len(), count - left.len())), |error| Err(error.into()))
}

/// Whether nobody answers for a primary, and so for its region. Whatever else is wrong is found when it is fenced.
async fn is_out_of_sight(world: &impl Databases, plan: &Plan, database: &Database) -> bool {
    let id = DatabaseId::new(&plan.regions.primary, &database.primary);
    world.describe_databases(&id.region, std::slice::from_ref(&id)).await.is_err_and(|error| is_dark(&error))
}

/// Only a primary that has been replaced is fenced behind its back. Before that, the run that accepted it is in charge,
/// and undoes its acceptance when it is aborted.
async fn promoted<'p, W>(world: &W, plan: &Plan, debts: Vec<(&'p Database, FenceDebt)>) -> Result<Vec<(&'p Database, FenceDebt)>, ActionError>
where
    W: Databases + Notes,
{
    let standby = &plan.regions.standby;
    let ids: Vec<DatabaseId> = debts.iter().filter_map(|(database, _)| database.replica_id()).map(|id| DatabaseId::new(standby, id)).collect();
    let states = match world.describe_databases(standby, &ids).await {
        Ok(states) => Some(states),
        Err(error) if error.fault.is_transient() => None,
        Err(error) => return Err(error.into()),
    };
    let mut asked: BTreeMap<RunId, Book> = BTreeMap::new();
    let mut promoted = Vec::with_capacity(debts.len());
    for (database, debt) in debts {
        let Some(replica) = database.replica_id() else { continue };
        let state = states.as_ref().map(|states| states.get(&DatabaseId::new(standby, replica)));
        let may_be = match state {
            Some(Some(state)) if state.role == DatabaseRole::Primary => {
                promoted.push((database, debt));
                continue;
            }
            // A replica that is changing after a promotion was asked for becomes a primary. One that still replicates does not:
            // the call was not applied, and the old primary is the only one.
            Some(Some(state)) => matches!(state.status, DatabaseStatus::Changing(_)),
            Some(None) => false,
            None => true,
        };
        if may_be {
            if !asked.contains_key(&debt.run.id) {
                asked.insert(debt.run.id.clone(), Book::of_run(world, &debt.run, PROMOTION).await?);
            }
            if asked.get(&debt.run.id).is_some_and(|book| book.has(&notes::promotion(&database.name))) {
                promoted.push((database, debt));
            }
        }
    }
    Ok(promoted)
}

/// Makes the next step of each fence; returns those that are not fenced yet, and a failure if there was one.
async fn fence<'p, W>(
    world: &W,
    plan: &'p Plan,
    run: &Run,
    databases: Vec<&'p Database>,
    budget: &mut Budget,
    began: Timestamp,
) -> Result<(Vec<&'p Database>, Option<CallError>), ActionError>
where
    W: Clock + Databases + Sql + Notes + Journaled,
{
    budget.spend(world.now(), databases.len().div_ceil(PAGE) as u64);
    let sights = see_all(world, plan, &databases, began).await?;
    let mut calls = budget.left(world.now());
    let (mut left, mut to_apply, mut paid, mut failed) = (Vec::new(), Vec::new(), Vec::new(), None);
    for (database, sight) in databases.into_iter().zip(sights) {
        let Some((group, _)) = quarantine(database) else { continue };
        let (sight, state) = match sight {
            Ok(seen) => seen,
            // One primary that cannot be fenced must not keep the others from it.
            Err(error) => {
                failed = Some(error);
                left.push(database);
                continue;
            }
        };
        let step = decide(&sight, group);
        match step {
            Step::Proven { proof } => {
                world.journal().saw(world.now(), Evidence::Fenced { database: database.name.to_string(), proof });
                paid.push(notes::of_service(run, fence_debt(&database.name), Value::Null));
            }
            Step::Dark { .. } | Step::Later => left.push(database),
            Step::Quarantine if calls == 0 => left.push(database),
            step => {
                if step == Step::Quarantine {
                    calls -= 1;
                    note_divergence(world, plan, database, &sight);
                }
                to_apply.push((database, step, state, group));
                left.push(database);
            }
        }
    }
    if !paid.is_empty() {
        world.note_all(&paid).await?;
    }
    budget.spend(world.now(), to_apply.iter().filter(|(_, step, ..)| *step == Step::Quarantine).count() as u64);
    budget.keep(world, run).await?;
    let applied: Vec<Result<(), CallError>> = stream::iter(&to_apply)
        .map(|(database, step, state, group)| apply(world, run, plan, database, state.as_ref(), step, group))
        .buffered(SIDE_BY_SIDE)
        .collect()
        .await;
    Ok((left, failed.or_else(|| applied.into_iter().find_map(Result::err))))
}

/// What an old primary took while nobody saw it must be reconciled: people have to know.
fn note_divergence<W: Clock + Journaled>(world: &W, plan: &Plan, database: &Database, sight: &Sight) {
    let Sight::Seen { groups, write: WriteAttempt::Accepted, .. } = sight else { return };
    let id = DatabaseId::new(&plan.regions.primary, &database.primary);
    let what = format!(
        "the old primary {id} returned writable and is being fenced (its security groups were {}): what it took meanwhile is divergence and needs reconciliation",
        groups.join(", ")
    );
    world.journal().saw(world.now(), Evidence::Unprotected { what });
}
