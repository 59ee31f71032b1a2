//! Looks whether what was restored is sound: the database's data checks, and what has to be the same in the source and in the clone.
//!
//! Converges: reads only; what was answered is not asked again, and what one invocation has no time for the next one goes on with.
//! Refuses:   nothing: data that is not as wanted is what a restore test is for, and its verdict is `unsound`.
//! Leaves behind on failure: nothing.
//! AWS: rds:DescribeDBInstances, secretsmanager:GetSecretValue, and SQL inside the VPC (standby region); rds:DescribeDBInstances, and SQL there, where
//!      the source has no replica (primary region).

use muster_core::ports::{CloneState, Clones, Databases, Notes, Sql, SqlTarget};
use muster_core::{Action, ActionError, CallError, Clock, Conduct, Context, DatabaseId, Duration, Evidence, Finding, Progress, Timestamp};
use muster_plan::{Comparison, DumpTest, PartReference, Plan, SqlCheck};
use muster_report::COMPARED;
use serde::Deserialize;

use crate::batch::{Batch, Pace};
use crate::clones::{Part, clone_name, clone_of, parts, serving};
use crate::fence_database::sql_target;
use crate::load_dump::database_of;
use crate::notes::{Settled, loading};
use crate::verify_data;

/// The action.
pub const VERIFY_CLONE: Action = Action { name: "verify-clone", conduct: Conduct::Observes };

/// Whose clones are looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// As `restore-clone` was asked.
    #[serde(default)]
    pub parts: Vec<PartReference>,
}

/// So long into an invocation no further question is put: the next one goes on with the rest. Two queries take six seconds at most.
const ASKING: Duration = Duration::from_secs(40);
/// A server that has just been restored may not be found by its name for a while, and reads each block from the snapshot when it is first wanted: what
/// is slow at first may be in time later.
const PATIENCE: Duration = Duration::from_mins(15);
/// How what was not as wanted is remembered.
const UNSOUND: &str = "unsound/";

/// A question to a clone.
enum Ask<'a> {
    /// A check of the plan's.
    Check(&'a SqlCheck),
    /// What has to be the same in the source.
    Compare(&'a Comparison),
}

impl Ask<'_> {
    fn name(&self) -> String {
        match self {
            Ask::Check(check) => check.name.as_ref().map_or(check.query.as_str(), |name| name.as_str()).to_owned(),
            Ask::Compare(comparison) => format!("{COMPARED}{}", comparison.name),
        }
    }
}

/// Every question about a part. A check that goes through a pooler is about the pooler, and a clone has none.
fn questions<'a>(part: &Part<'a>) -> Vec<(String, Ask<'a>)> {
    let checks = part.database.checks.iter().enumerate().filter(|(_, check)| check.through.is_none());
    let checks = checks.map(|(index, check)| (format!("{}/check/{index}", part.of.0), Ask::Check(check)));
    let compared = part.test.compare.iter().map(|comparison| (format!("{}/compare/{}", part.of.0, comparison.name), Ask::Compare(comparison)));
    checks.chain(compared).collect()
}

/// What an answer comes to.
struct Judged {
    seen: String,
    wanted: String,
    passed: bool,
}

/// Two values that are not there are not the same: nothing was compared.
fn compare(source: Option<&str>, clone: Option<&str>) -> Judged {
    let said = |value: Option<&str>| value.unwrap_or("no value").to_owned();
    Judged { seen: said(clone), wanted: format!("{}, as in the source", said(source)), passed: clone.is_some() && clone == source }
}

/// Asks every clone every question once. Called twice, it asks again and changes nothing.
///
/// # Errors
/// `Permanent` where a clone is gone, or cannot be asked.
pub async fn verify_clone<W>(request: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Clones + Databases + Sql + Notes,
{
    let parts = parts(cx.plan, &request.parts)?;
    let clones = world.list_clones(&cx.plan.regions.standby).await?;
    let mut settled = Settled::read(world, cx, "questions").await?;
    let mut batch = Batch::default();
    for part in &parts {
        let name = clone_name(&cx.run.id, &part.of);
        let open: Vec<(String, Ask<'_>)> = questions(part).into_iter().filter(|(key, _)| !settled.has(key)).collect();
        if open.is_empty() {
            batch.done(&part.of.0);
            continue;
        }
        let (target, taken_at) = match served(world, cx, part, &clones, &name).await? {
            Ok(served) => served,
            Err(finding) => {
                batch.failed(finding);
                continue;
            }
        };
        let source = match open.iter().any(|(_, ask)| matches!(ask, Ask::Compare(_))) {
            true => source(world, cx.plan, part).await,
            false => Ok(None),
        };
        for (key, ask) in open {
            if world.now().since(cx.now) > ASKING {
                batch.pending(&part.of.0, "questions have their turn still to come");
                break;
            }
            let answer = match (&ask, &source) {
                (Ask::Check(check), _) => checked(world, &target, check).await,
                (Ask::Compare(comparison), Ok(Some(source))) => compared(world, source, &target, &comparison.at(taken_at)).await,
                (Ask::Compare(_), Ok(None)) => {
                    batch.failed(no_source(part));
                    continue;
                }
                (Ask::Compare(_), Err(error)) => Err(error.clone()),
            };
            match answer {
                Err(error) if error.fault.is_transient() && cx.elapsed() <= PATIENCE => {
                    batch.pending(format!("{}: {}", part.of.0, ask.name()), "no answer yet")
                }
                Err(error) => batch.call_failed(format!("{}: {}", part.of.0, ask.name()), error),
                Ok(judged) if !judged.passed && matches!(ask, Ask::Check(_)) && cx.elapsed() <= verify_data::PATIENCE => {
                    batch.pending(format!("{}: {}", part.of.0, ask.name()), "not as wanted yet");
                }
                Ok(Judged { seen, wanted, passed }) => {
                    if !passed {
                        settled.add(format!("{UNSOUND}{key}: saw {seen}, wanted {wanted}"));
                    }
                    settled.add(key);
                    // What is asked of a snapshot and of a dump of one database, in one run, are two things.
                    let component = if part.dump.is_some() { part.of.0.clone() } else { part.database.name.to_string() };
                    let check = ask.name();
                    cx.saw(world.now(), Evidence::Checked { check, component, seen, wanted, passed });
                }
            }
        }
        if questions(part).iter().all(|(key, _)| settled.has(key)) {
            batch.done(&part.of.0);
        }
    }
    settled.keep(world, cx.run).await?;
    let unsound: Vec<&str> = settled.beginning(UNSOUND).collect();
    let progress = batch.into_progress(world.now(), cx, Pace::Minutes, "asked")?;
    Ok(match (progress.is_done(), unsound.as_slice()) {
        (false, _) => progress,
        (true, []) => progress.with_verdict("sound"),
        (true, unsound) => Progress::done(format!("not as wanted: {}", unsound.join("; "))).with_verdict("unsound"),
    })
}

/// Where a clone is asked, and the instant that its data is of: the snapshot's, or, in the database that a dump was loaded into, the dump's.
async fn served<W: Notes>(
    world: &W,
    cx: &Context<'_, Plan>,
    part: &Part<'_>,
    clones: &[CloneState],
    name: &str,
) -> Result<Result<(SqlTarget, Timestamp), Finding>, ActionError> {
    let (endpoint, origin) = match serving(clone_of(clones, &cx.run.id, &part.of), name) {
        Ok(serving) => serving,
        Err(finding) => return Ok(Err(finding)),
    };
    let (dbname, taken_at) = match part.dump {
        None => (part.database.database.as_deref().map(Into::into), origin.taken_at),
        Some(dump) => match loading(world, cx.run, &part.of).await? {
            Some(loading) => (Some(database_of(&loading).into()), loading.taken_at),
            None => return Ok(Err(not_loaded(name, dump))),
        },
    };
    let credentials = part.database.credentials.as_ref().map(|reference| reference.secret.as_str().into());
    Ok(Ok((SqlTarget { database: DatabaseId::new(&cx.plan.regions.standby, name), endpoint, dbname, credentials }, taken_at)))
}

fn not_loaded(name: &str, dump: &DumpTest) -> Finding {
    Finding::new(
        name,
        format!("no dump of {} was loaded into it", dump.backup),
        "a clone with the dump in it",
        "start the flow by its state machine, which loads it first; answer `skip` to end this run",
    )
}

/// Where the source is asked: at its replica in the standby region, where that spares the primary the work.
async fn source<W: Databases>(world: &W, plan: &Plan, part: &Part<'_>) -> Result<Option<SqlTarget>, CallError> {
    let id = match part.database.replica_id() {
        Some(replica) => DatabaseId::new(&plan.regions.standby, replica),
        None => DatabaseId::new(&plan.regions.primary, &part.database.primary),
    };
    let states = world.describe_databases(&id.region, std::slice::from_ref(&id)).await?;
    Ok(states.get(&id).and_then(|state| sql_target(part.database, &id, state)))
}

fn no_source(part: &Part<'_>) -> Finding {
    Finding::new(
        &part.of.0,
        "neither its replica in the standby region nor its primary is there to be compared with",
        "a source that can be asked",
        "correct the plan or build the replica, then answer `retry`; or answer `skip` to end the run",
    )
}

async fn checked<W: Clock + Sql>(world: &W, clone: &SqlTarget, check: &SqlCheck) -> Result<Judged, CallError> {
    let asked_at = world.now();
    let answer = world.query(clone, &check.query).await?;
    let verdict = verify_data::decide(check, answer.as_deref(), world.now().since(asked_at));
    Ok(Judged { seen: answer.unwrap_or_else(|| "no row".to_owned()), wanted: verify_data::wanted(check), passed: verdict.is_ok() })
}

async fn compared<W: Sql>(world: &W, source: &SqlTarget, clone: &SqlTarget, query: &str) -> Result<Judged, CallError> {
    let here = world.query(clone, query).await?;
    let there = world.query(source, query).await?;
    Ok(compare(there.as_deref(), here.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_values_that_are_there_and_equal_are_the_same() {
        assert!(compare(Some("41230"), Some("41230")).passed);
        for (source, clone) in [(Some("41230"), Some("41229")), (Some("41230"), None), (None, Some("0")), (None, None)] {
            assert!(!compare(source, clone).passed, "{source:?} {clone:?}");
        }
        let judged = compare(Some("41230"), Some("41229"));
        assert_eq!((judged.seen.as_str(), judged.wanted.as_str()), ("41229", "41230, as in the source"));
    }
}
