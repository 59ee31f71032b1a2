//! Fences the old primaries: quarantine, read-only, sessions ended, and all of it proven, before another primary takes writes.
//!
//! Converges: what is quarantined already is only proven; a fence that was proven is not looked at again.
//! Refuses:   to call a primary fenced that it cannot see, unless the plan or a person accepted that by name.
//! Leaves behind on failure: primaries that are quarantined but not proven; `stand-down` lifts the quarantine.
//! AWS: rds:DescribeDBInstances, rds:ModifyDBInstance, and SQL inside the VPC (primary region); secretsmanager:GetSecretValue,
//!      dynamodb:Query (standby region).
//!
//! A change of security groups does not cut tracked connections, and a session can override `default_transaction_read_only`:
//! so all three are done, and the proof is a refused write with no client connected.
//! Source: the EC2 user guide, "Security group connection tracking".

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, stream};
use muster_core::ports::{DatabaseRole, DatabaseState, Databases, Notes, Sql, SqlTarget, WriteAttempt};
use muster_core::{
    Action, ActionError, CallError, CallFault, Clock, Conduct, Context, DatabaseId, Duration, Evidence, Finding, Override, Progress, Region, Run, Timestamp,
};
use muster_plan::{Database, Fence, Plan, WhenUnreachable};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::acceptance::{Fencing, fencing, fencing_note};
use crate::batch::{Batch, Pace};
use crate::budget::{Budget, RDS};
use crate::notes::{self, Book, FenceDebt, fence_debt};

/// The action.
pub const FENCE_DATABASE: Action = Action { name: "fence-database", conduct: Conduct::Mutates };

/// Which part of the work.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// Only look whether the primary region answers, and remember it: what runs beside the preflight.
    #[serde(default)]
    pub look: bool,
}

/// A primary that cannot be fenced for so long, although it answers, needs a person.
const PATIENCE: Duration = Duration::from_mins(5);
/// A page of DescribeDBInstances holds so many. Source: its API reference, `MaxRecords`.
pub(crate) const PAGE: usize = 100;
/// So many primaries are looked at, or fenced, at any time.
pub(crate) const SIDE_BY_SIDE: usize = 50;
/// So long into an invocation nothing more is looked at: what is known is acted on first, well within the function's time.
const LOOKING: Duration = Duration::from_secs(20);
/// Whoever waits for its turn is asked again this soon, so that the budget is spent as it fills.
const TURN: Duration = Duration::from_secs(5);
/// How long a look at a dark region is believed. After a longer decision it is looked at once more: a region that came
/// back meanwhile must be fenced, not accepted.
const DARK: Duration = Duration::from_mins(2);

/// What can be known about a primary that is to be fenced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The region's API, or the server itself, does not answer.
    Dark { why: String },
    /// The instance does not exist any more: nothing can write to it.
    Gone,
    /// It is a replica: it takes no writes of clients.
    Replica,
    /// Nobody had the time.
    NotLookedAt,
    /// It was seen.
    Seen { groups: Vec<Arc<str>>, write: WriteAttempt, sessions: u64 },
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Quarantine,
    MakeReadOnly,
    EndSessions,
    Proven { proof: String },
    Dark { why: String },
    Later,
}

pub(crate) fn decide(sight: &Sight, quarantine: &str) -> Step {
    match sight {
        Sight::Dark { why } => Step::Dark { why: why.clone() },
        Sight::NotLookedAt => Step::Later,
        Sight::Gone => Step::Proven { proof: "the instance does not exist".into() },
        Sight::Replica => Step::Proven { proof: "the instance is a replica and takes no writes".into() },
        Sight::Seen { groups, write, sessions } => {
            if !matches!(groups.as_slice(), [only] if **only == *quarantine) {
                return Step::Quarantine;
            }
            match write {
                WriteAttempt::Accepted => Step::MakeReadOnly,
                WriteAttempt::Unreachable { why } => Step::Dark { why: why.clone() },
                WriteAttempt::Refused if *sessions > 0 => Step::EndSessions,
                WriteAttempt::Refused => Step::Proven { proof: "a write was refused and no client is connected".into() },
            }
        }
    }
}

/// The plan's quarantine of a database.
pub(crate) fn quarantine(database: &Database) -> Option<(&str, &WhenUnreachable)> {
    match database.fence.as_ref()? {
        Fence::Quarantine { security_group, when_unreachable } => Some((security_group, when_unreachable)),
    }
}

pub(crate) fn sql_target(database: &Database, id: &DatabaseId, state: &DatabaseState) -> Option<SqlTarget> {
    Some(SqlTarget {
        database: id.clone(),
        endpoint: state.endpoint.clone()?,
        dbname: database.database.as_deref().map(Arc::from),
        credentials: database.credentials.as_ref().map(|reference| reference.secret.as_str().into()),
    })
}

/// Fences every primary of the plan. Called twice, it changes nothing that is fenced.
///
/// # Errors
/// `Refused` for a primary that cannot be seen and that nobody has accepted as unfenced.
pub async fn fence_database<W>(request: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Databases + Sql + Notes,
{
    let databases: Vec<&Database> = cx.plan.databases.iter().filter(|database| database.fence.is_some()).collect();
    if databases.is_empty() {
        return Ok(Progress::done("the plan fences no database"));
    }
    if request.look {
        return look(world, cx, &databases).await;
    }
    let book = Book::of_run(world, cx.run, "").await?;
    let overrides = book.overrides(cx.run)?;
    let mut batch = Batch::default();
    let mut unfenced = Vec::new();
    for database in databases {
        if fencing(&book, database)?.is_some() {
            batch.done(&database.name);
        } else {
            unfenced.push(database);
        }
    }
    let mut budget = Budget::of(&book, RDS, &cx.plan.regions.primary, unfenced.len() + unfenced.len().div_ceil(PAGE), cx.now)?;
    let known_dark = book.get::<Timestamp>("primaryDark")?;
    let dark_since = known_dark.filter(|since| cx.now.since(*since) < DARK);
    let sights = match dark_since {
        Some(since) => {
            let why = format!("{} did not answer at {}", cx.plan.regions.primary, since.clock_time());
            unfenced.iter().map(|_| Ok((Sight::Dark { why: why.clone() }, None))).collect()
        }
        None => {
            budget.spend(world.now(), unfenced.len().div_ceil(PAGE) as u64);
            see_all(world, cx.plan, &unfenced, cx.now).await?
        }
    };
    let (mut accepted, mut proven, mut to_apply) = (Vec::new(), Vec::new(), Vec::new());
    let (mut left, mut later, mut is_back) = (budget.left(world.now()), Vec::new(), false);
    for (database, sight) in unfenced.into_iter().zip(sights) {
        let Some((group, when_unreachable)) = quarantine(database) else { continue };
        let (sight, state) = match sight {
            Ok(sight) => sight,
            Err(error) => {
                batch.call_failed(&database.name, error);
                continue;
            }
        };
        is_back |= known_dark.is_some() && matches!(sight, Sight::Seen { .. } | Sight::Replica | Sight::Gone);
        match decide(&sight, group) {
            Step::Proven { proof } => {
                // The evidence comes first: once the note is written, nobody looks again.
                cx.saw(world.now(), Evidence::Fenced { database: database.name.to_string(), proof });
                proven.push(fencing_note(cx.run, database, Some(Fencing::Proven)));
                batch.done(&database.name);
            }
            Step::Dark { why } => match acceptance(database, when_unreachable, &overrides) {
                Some((risk, standing)) => {
                    accepted.push(Unfenced { database, seen: why, risk, standing });
                    batch.done(&database.name);
                }
                None => batch.refused(Finding::new(
                    &database.name,
                    format!("its old primary cannot be seen: {why}"),
                    "a proven fence, or a named person who accepts that it may still take writes",
                    "cut it off another way; then answer `skip` to accept the risk by name, or `abort`",
                )),
            },
            Step::Later => later.push(database),
            _ if cx.elapsed() > PATIENCE => batch.refused(Finding::new(
                &database.name,
                format!("its old primary answers, and is not fenced after {}", cx.elapsed().in_words()),
                "writes refused and no client connected",
                "end its sessions by hand and answer `retry`, or answer `abort`",
            )),
            Step::Quarantine if left == 0 => batch.queued(&database.name, "waiting for its turn in RDS's call budget"),
            step => {
                left -= u64::from(step == Step::Quarantine);
                to_apply.push((database, step, state, group));
            }
        }
    }
    if is_back {
        // Whatever else is to be done there is tried.
        world.note_all(&[notes::of_run(cx.run, "primaryDark".to_owned(), Value::Null)]).await?;
    }
    let gets_on = proven.len() + accepted.len() + to_apply.len() > 0;
    for database in later {
        // Where nothing gets on any more, those that stand in the way are reported first.
        if gets_on { batch.queued(&database.name, "not looked at yet") } else { batch.pending(&database.name, "not looked at yet") }
    }
    if !proven.is_empty() {
        world.note_all(&proven).await?;
    }
    accept_unfenced(world, cx, accepted).await?;
    budget.spend(world.now(), to_apply.iter().filter(|(_, step, ..)| *step == Step::Quarantine).count() as u64);
    budget.keep(world, cx.run).await?;
    let applied: Vec<Result<(), CallError>> = stream::iter(&to_apply)
        .map(|(database, step, state, group)| apply(world, cx.run, cx.plan, database, state.as_ref(), step, group))
        .buffered(SIDE_BY_SIDE)
        .collect()
        .await;
    for ((database, ..), applied) in to_apply.iter().zip(applied) {
        match applied {
            Ok(()) => batch.pending(&database.name, "being fenced"),
            Err(error) => batch.call_failed(&database.name, error),
        }
    }
    let turn = budget.until(world.now(), batch.waiting_for_turn() as u64).min(TURN);
    let pace = if batch.waiting_for_turn() > 0 { Pace::Turn(turn) } else { Pace::Soon };
    batch.into_progress(world.now(), cx, pace, "fenced or accepted")
}

async fn look<W>(world: &W, cx: &Context<'_, Plan>, databases: &[&Database]) -> Result<Progress, ActionError>
where
    W: Clock + Databases + Notes,
{
    let ids: Vec<DatabaseId> = databases.iter().map(|database| DatabaseId::new(&cx.plan.regions.primary, &database.primary)).collect();
    let dark = match describe_primaries(world, &cx.plan.regions.primary, &ids).await {
        Err(error) if is_dark(&error) => Some(error),
        Err(error) => return Err(error.into()),
        Ok(_) => None,
    };
    let since = dark.as_ref().map(|_| world.now());
    world.note(&cx.run.id.0, "primaryDark", &json!(since)).await?;
    let seen = dark.map_or_else(|| "answers".to_owned(), |error| error.to_string());
    // A dark region is no lack of the standby; that it could not be fenced is written down when it counts.
    if since.is_none() {
        let subject = format!("fencing the old primary in {}", cx.plan.regions.primary);
        cx.saw(world.now(), Evidence::Preflight { subject, seen: seen.clone(), ready: true });
    }
    Ok(Progress::done(format!("RDS in {}: {seen}", cx.plan.regions.primary)))
}

/// Nobody answered. A service that is throttled or answers 5xx is there: it is asked again, and never taken for dark.
pub(crate) fn is_dark(error: &CallError) -> bool {
    matches!(error.fault, CallFault::Unreachable | CallFault::TimedOut)
}

/// What RDS says of the primaries. One lost answer makes no region dark: it is asked once more. Where nobody even takes the
/// connection, it is not: a dark region shows itself so, and is looked at once.
async fn describe_primaries<W: Databases>(world: &W, region: &Region, ids: &[DatabaseId]) -> Result<BTreeMap<DatabaseId, DatabaseState>, CallError> {
    match world.describe_databases(region, ids).await {
        Err(error) if error.fault == CallFault::TimedOut => world.describe_databases(region, ids).await,
        answer => answer,
    }
}

/// What was seen of a primary, and its state where RDS told it.
pub(crate) type Seen = Result<(Sight, Option<DatabaseState>), CallError>;

/// Looks at primaries: their roles and groups, whether they take writes, who is connected. After [`LOOKING`] the rest is left for later.
///
/// # Errors
/// Those of the look at RDS, which is one for all, unless the region is dark: then each of them is.
pub(crate) async fn see_all<W>(world: &W, plan: &Plan, databases: &[&Database], began: Timestamp) -> Result<Vec<Seen>, CallError>
where
    W: Clock + Databases + Sql,
{
    let primary = &plan.regions.primary;
    let ids: Vec<DatabaseId> = databases.iter().map(|database| DatabaseId::new(primary, &database.primary)).collect();
    let states = match describe_primaries(world, primary, &ids).await {
        Ok(states) => states,
        Err(error) if is_dark(&error) => return Ok(databases.iter().map(|_| Ok((Sight::Dark { why: error.to_string() }, None))).collect()),
        Err(error) => return Err(error),
    };
    let look = async |(database, id): (&&Database, &DatabaseId)| {
        let Some(state) = states.get(id) else { return Ok((Sight::Gone, None)) };
        if world.now().since(began) > LOOKING {
            return Ok((Sight::NotLookedAt, None));
        }
        see(world, database, id, state).await.map(|sight| (sight, Some(state.clone())))
    };
    Ok(stream::iter(databases.iter().zip(&ids)).map(look).buffered(SIDE_BY_SIDE).collect().await)
}

/// Looks at a primary whose state is known.
async fn see<W: Sql>(world: &W, database: &Database, id: &DatabaseId, state: &DatabaseState) -> Result<Sight, CallError> {
    let dark = |error: CallError| if is_dark(&error) { Ok(Sight::Dark { why: error.to_string() }) } else { Err(error) };
    if matches!(state.role, DatabaseRole::Replica { .. }) {
        return Ok(Sight::Replica);
    }
    let Some(target) = sql_target(database, id, state) else { return Ok(Sight::Dark { why: "it has no endpoint".into() }) };
    let write = match world.attempt_write(&target).await {
        Ok(write) => write,
        Err(error) => return dark(error),
    };
    let sessions = match write {
        WriteAttempt::Refused => match world.client_sessions(&target).await {
            Ok(sessions) => sessions,
            Err(error) => return dark(error),
        },
        _ => 0,
    };
    Ok(Sight::Seen { groups: state.security_groups.clone(), write, sessions })
}

/// Makes one step of a fence, under the run whose notes remember how it was.
pub(crate) async fn apply<W>(
    world: &W,
    run: &Run,
    plan: &Plan,
    database: &Database,
    state: Option<&DatabaseState>,
    step: &Step,
    group: &str,
) -> Result<(), CallError>
where
    W: Databases + Sql + Notes,
{
    let Some(state) = state else { return Ok(()) };
    let id = &DatabaseId::new(&plan.regions.primary, &database.primary);
    let target = sql_target(database, id, state);
    match step {
        Step::Quarantine => {
            remember_groups(world, run, database, state).await?;
            world.set_security_groups(id, &[group.into()]).await?;
            // Nothing of the next steps waits for the quarantine: a fence should take one invocation.
            if let Some(target) = &target {
                world.set_read_only(target, true).await?;
                world.end_sessions(target).await?;
            }
            Ok(())
        }
        Step::MakeReadOnly => match &target {
            Some(target) => {
                remember_groups(world, run, database, state).await?;
                world.set_read_only(target, true).await
            }
            None => Ok(()),
        },
        Step::EndSessions => match &target {
            Some(target) => world.end_sessions(target).await,
            None => Ok(()),
        },
        Step::Proven { .. } | Step::Dark { .. } | Step::Later => Ok(()),
    }
}

/// Remembers how a primary was before the run touched it; the first note counts, and a quarantine is none.
async fn remember_groups<W: Notes>(world: &W, run: &Run, database: &Database, state: &DatabaseState) -> Result<(), CallError> {
    world.note_once(&run.id.0, &groups_note(database), &json!(Before { groups: state.security_groups.clone() })).await.map(drop)
}

/// What a primary's security groups were before the quarantine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Before {
    pub(crate) groups: Vec<Arc<str>>,
}

pub(crate) fn groups_note(database: &Database) -> String {
    format!("groups/{}", database.name)
}

/// Who accepted that this primary stays unfenced: the plan, or a person.
fn acceptance(database: &Database, when_unreachable: &WhenUnreachable, overrides: &[Override]) -> Option<(Override, bool)> {
    if let WhenUnreachable::Accept { by, reason } = when_unreachable {
        return Some((Override::Unfenced { database: database.name.to_string(), by: by.clone(), reason: reason.clone() }, true));
    }
    overrides.iter().find(|risk| matches!(risk, Override::Unfenced { database: name, .. } if database.name == **name)).map(|risk| (risk.clone(), false))
}

/// A primary that goes on unfenced, what was seen of it, and who accepted that: the plan (`standing`) or a person.
pub(crate) struct Unfenced<'p> {
    pub(crate) database: &'p Database,
    pub(crate) seen: String,
    pub(crate) risk: Override,
    pub(crate) standing: bool,
}

/// Goes on without a proven fence, as the plan or a person accepted: the acceptances and the debts are written down first.
pub(crate) async fn accept_unfenced<W>(world: &W, cx: &Context<'_, Plan>, accepted: Vec<Unfenced<'_>>) -> Result<(), ActionError>
where
    W: Clock + Notes,
{
    if accepted.is_empty() {
        return Ok(());
    }
    let debt = json!(FenceDebt { run: cx.run.clone(), since: world.now() });
    // The debts come first: once it is accepted, a returning primary must be fenced even if this run dies now.
    let (mut debts, mut fencings) = (Vec::with_capacity(accepted.len()), Vec::with_capacity(accepted.len()));
    for Unfenced { database, seen, risk, standing } in accepted {
        debts.push(notes::of_service(cx.run, fence_debt(&database.name), debt.clone()));
        fencings.push(fencing_note(cx.run, database, Some(Fencing::Accepted)));
        cx.saw(world.now(), Evidence::Unfenced { database: database.name.to_string(), seen });
        cx.saw(world.now(), Evidence::Accepted { risk, standing });
    }
    world.note_all(&debts).await?;
    Ok(world.note_all(&fencings).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(groups: &[&str], write: WriteAttempt, sessions: u64) -> Sight {
        Sight::Seen { groups: groups.iter().map(|group| Arc::from(*group)).collect(), write, sessions }
    }

    #[test]
    fn a_primary_is_fenced_only_when_a_write_was_refused_and_nobody_is_connected() {
        let quarantined = ["sg-quarantine"];
        let cases = [
            (seen(&["sg-app"], WriteAttempt::Accepted, 0), Step::Quarantine),
            (seen(&["sg-app"], WriteAttempt::Refused, 0), Step::Quarantine),
            (seen(&["sg-app", "sg-quarantine"], WriteAttempt::Refused, 0), Step::Quarantine),
            (seen(&quarantined, WriteAttempt::Accepted, 0), Step::MakeReadOnly),
            (seen(&quarantined, WriteAttempt::Refused, 3), Step::EndSessions),
        ];
        for (sight, step) in cases {
            assert_eq!(decide(&sight, "sg-quarantine"), step, "{sight:?}");
        }
        assert!(matches!(decide(&seen(&quarantined, WriteAttempt::Refused, 0), "sg-quarantine"), Step::Proven { .. }));
    }

    #[test]
    fn a_primary_that_nobody_can_reach_is_unreachable_and_not_refused() {
        let silent = seen(&["sg-quarantine"], WriteAttempt::Unreachable { why: "timed out".into() }, 0);
        assert!(matches!(decide(&silent, "sg-quarantine"), Step::Dark { .. }));
        assert!(matches!(decide(&Sight::Dark { why: "no route".into() }, "sg-quarantine"), Step::Dark { .. }));
    }

    #[test]
    fn what_does_not_exist_or_only_replays_takes_no_writes() {
        assert!(matches!(decide(&Sight::Gone, "sg"), Step::Proven { .. }));
        assert!(matches!(decide(&Sight::Replica, "sg"), Step::Proven { .. }));
    }
}
