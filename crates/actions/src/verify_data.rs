//! Asks the new primaries the plan's questions about their data, and the caches whether they answer, before anybody trusts them.
//!
//! Converges: reads only; a check that fails is asked again until its patience ends, one that has passed is not, and what one invocation has no time
//!            for the next one goes on with.
//! Refuses:   data that does not answer as the plan wants.
//! Leaves behind on failure: nothing.
//! AWS: rds:DescribeDBInstances, elasticache:DescribeReplicationGroups, secretsmanager:GetSecretValue, and SQL and PING inside the VPC (standby
//!      region).

use futures::{StreamExt, stream};
use muster_core::ports::{Caches, DatabaseRole, Databases, Notes, Sql, SqlTarget};
use muster_core::{Action, ActionError, CallError, Clock, Conduct, Context, DatabaseId, Duration, Evidence, Finding, Progress, Timestamp};
use muster_plan::{Database, Plan, Scalar, SqlCheck};
use serde::Deserialize;

use crate::batch::{Batch, Pace};
use crate::cache_checks::{check_caches, has_cache_checks};
use crate::fence_database::sql_target;
use crate::notes::Settled;

/// The action.
pub const VERIFY_DATA: Action = Action { name: "verify-data", conduct: Conduct::Observes };

/// Nothing to ask for: the plan says what is asked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// So many databases are asked at any time.
const SIDE_BY_SIDE: usize = 50;
/// So long into an invocation no further check is begun: the next one goes on with the rest. A query takes a few seconds at most.
const ASKING: Duration = Duration::from_secs(30);
/// A database that was just promoted may need a moment; data that is wrong stays wrong.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Whether an answer is what the plan wants; the error says what was wanted.
pub(crate) fn decide(check: &SqlCheck, answer: Option<&str>, took: Duration) -> Result<(), String> {
    let number = answer.and_then(|text| text.trim().parse::<i64>().ok());
    if let Some(wanted) = &check.equals {
        let (met, text) = match wanted {
            Scalar::Bool(wanted) => (answer.and_then(truth) == Some(*wanted), wanted.to_string()),
            Scalar::Integer(wanted) => (number == Some(*wanted), wanted.to_string()),
            Scalar::Text(wanted) => (answer == Some(wanted), wanted.clone()),
        };
        if !met {
            return Err(text);
        }
    }
    if let Some(limit) = check.at_most
        && number.is_none_or(|number| number > limit)
    {
        return Err(format!("at most {limit}"));
    }
    if let Some(limit) = check.at_least
        && number.is_none_or(|number| number < limit)
    {
        return Err(format!("at least {limit}"));
    }
    match check.within {
        Some(limit) if took > limit => Err(format!("an answer within {limit}; it took {took}")),
        _ => Ok(()),
    }
}

/// PostgreSQL writes `t` and `f`, MySQL 1 and 0.
fn truth(text: &str) -> Option<bool> {
    match text {
        "t" | "true" | "1" => Some(true),
        "f" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// What a check wants, in words.
pub(crate) fn wanted(check: &SqlCheck) -> String {
    let parts = [
        check.equals.as_ref().map(|value| match value {
            Scalar::Bool(value) => value.to_string(),
            Scalar::Integer(value) => value.to_string(),
            Scalar::Text(value) => value.clone(),
        }),
        check.at_most.map(|limit| format!("at most {limit}")),
        check.at_least.map(|limit| format!("at least {limit}")),
        check.within.map(|limit| format!("within {limit}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "an answer".to_owned() } else { parts.join(", ") }
}

/// Runs every data check of every promoted database, and every check of a cache. Called twice, it asks again and changes nothing.
///
/// # Errors
/// `Refused` names every check that fails.
pub async fn verify_data<W>(_: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Databases + Sql + Caches + Notes,
{
    let standby = &cx.plan.regions.standby;
    let databases: Vec<(&Database, DatabaseId)> = cx.plan.replica_databases().map(|(database, id)| (database, DatabaseId::new(standby, id))).collect();
    if databases.is_empty() && !has_cache_checks(cx.plan) {
        return Ok(Progress::done("the plan has neither a database nor a cache to check"));
    }
    let mut settled = Settled::read(world, cx, "checks").await?;
    let mut batch = Batch::default();
    check_databases(world, cx, &databases, &mut settled, &mut batch).await?;
    check_caches(world, cx, &mut settled, &mut batch).await;
    settled.keep(world, cx.run).await?;
    batch.into_progress(world.now(), cx, Pace::Soon, "sound")
}

/// Asks every question that has not been answered as wanted yet, and for which this invocation has the time.
async fn check_databases<W>(
    world: &W,
    cx: &Context<'_, Plan>,
    databases: &[(&Database, DatabaseId)],
    settled: &mut Settled,
    batch: &mut Batch,
) -> Result<(), ActionError>
where
    W: Clock + Databases + Sql,
{
    if databases.is_empty() {
        return Ok(());
    }
    let ids: Vec<DatabaseId> = databases.iter().map(|(_, id)| id.clone()).collect();
    let states = world.describe_databases(&cx.plan.regions.standby, &ids).await?;
    let (mut asked, mut not_asked) = (Vec::new(), Vec::new());
    for (database, id) in databases {
        let target = states.get(id).filter(|state| state.role == DatabaseRole::Primary).and_then(|state| sql_target(database, id, state));
        let Some(target) = target else {
            batch.refused(Finding::new(id, "it is no primary", "a promoted database", "promote it, then answer `retry`"));
            continue;
        };
        asked.extend(database.checks.iter().enumerate().map(|(index, check)| (database, check, format!("{}/{index}", database.name), target.clone())));
        if database.checks.is_empty() {
            batch.done(&database.name);
        }
    }
    let ask = async |(_, check, name, target): &(&&Database, &SqlCheck, String, SqlTarget)| {
        let asked_at = world.now();
        if settled.has(name) || asked_at.since(cx.now) > ASKING {
            return None;
        }
        let answer = world.query(target, &check.query).await;
        Some((answer, world.now().since(asked_at)))
    };
    let answers: Vec<Option<Answer>> = stream::iter(&asked).map(ask).buffered(SIDE_BY_SIDE).collect().await;
    for ((database, check, name, _), answer) in asked.into_iter().zip(answers) {
        match answer {
            Some(answer) => {
                if verify(world.now(), cx, database, check, answer, batch) {
                    settled.add(name);
                }
            }
            None if settled.has(&name) => batch.done(&database.name),
            None => not_asked.push(database),
        }
    }
    for database in not_asked {
        let why = "its checks have their turn still to come";
        // Where nothing gets on any more, those that stand in the way are reported first.
        if settled.has_grown() { batch.queued(&database.name, why) } else { batch.pending(&database.name, why) }
    }
    Ok(())
}

/// What a check answered, and how long it took.
type Answer = (Result<Option<String>, CallError>, Duration);

/// Judges an answer. Whether it is as wanted, and need not be asked for again.
fn verify(now: Timestamp, cx: &Context<'_, Plan>, database: &Database, check: &SqlCheck, (answer, took): Answer, batch: &mut Batch) -> bool {
    let check_name = check.name.as_ref().map_or(check.query.as_str(), |name| name.as_str());
    let name = format!("{}: {check_name}", database.name);
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.fault.is_transient() && cx.elapsed() <= PATIENCE => {
            batch.pending(&name, "no answer yet");
            return false;
        }
        Err(error) => {
            batch.call_failed(&name, error);
            return false;
        }
    };
    let verdict = decide(check, answer.as_deref(), took);
    if verdict.is_err() && cx.elapsed() <= PATIENCE {
        batch.pending(&name, "not as wanted yet");
        return false;
    }
    let seen = answer.unwrap_or_else(|| "no row".to_owned());
    let passed = verdict.is_ok();
    let checked = Evidence::Checked { check: check_name.to_owned(), component: database.name.to_string(), seen: seen.clone(), wanted: wanted(check), passed };
    match verdict {
        // It is not asked for again, and so it is written down at once.
        Ok(()) => {
            cx.saw(now, checked);
            batch.done(&name);
        }
        Err(wanted) => {
            batch.saw(checked);
            batch.refused(Finding::new(
                &name,
                format!("the answer is {seen}"),
                wanted,
                "see docs on reconciliation; answer `retry` after mending it, or `skip` to accept it by name",
            ));
        }
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(equals: Option<Scalar>, at_most: Option<i64>, at_least: Option<i64>) -> SqlCheck {
        SqlCheck { kind: muster_plan::SqlKind::Sql, name: None, query: "select 1".into(), equals, at_most, at_least, within: None, through: None }
    }

    #[test]
    fn an_answer_is_held_against_every_expectation() {
        let now = Duration::ZERO;
        assert!(decide(&check(Some(Scalar::Integer(0)), None, None), Some("0"), now).is_ok());
        assert!(decide(&check(Some(Scalar::Integer(0)), None, None), Some("3"), now).is_err());
        assert!(decide(&check(Some(Scalar::Bool(false)), None, None), Some("f"), now).is_ok());
        assert!(decide(&check(Some(Scalar::Bool(false)), None, None), Some("t"), now).is_err());
        assert!(decide(&check(None, Some(5), Some(1)), Some("5"), now).is_ok());
        assert!(decide(&check(None, Some(5), Some(1)), Some("0"), now).is_err());
        assert!(decide(&check(None, Some(5), None), Some("6"), now).is_err());
    }

    #[test]
    fn no_row_or_no_number_is_never_taken_for_zero() {
        assert!(decide(&check(Some(Scalar::Integer(0)), None, None), None, Duration::ZERO).is_err());
        assert!(decide(&check(None, Some(5), None), None, Duration::ZERO).is_err());
        assert!(decide(&check(None, Some(5), None), Some("many"), Duration::ZERO).is_err());
    }
}
