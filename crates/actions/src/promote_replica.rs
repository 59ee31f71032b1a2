//! Promotes cross-region read replicas to standalone primaries, all of the plan's at once.
//!
//! Converges: an instance that is already primary is left alone; one that is promoting or backing up is waited for.
//! Refuses:   a standby that is a primary already and that no failover of this service has made one; a replica whose old primary is neither proven fenced nor accepted by name as unfenced, and one whose lag
//!            is above the plan's maximum or unknown, unless the plan or a person accepted that.
//! Leaves behind on failure: replicas that were already promoted (a promotion cannot be undone).
//! AWS: rds:DescribeDBInstances, rds:PromoteReadReplica, cloudwatch:GetMetricData, dynamodb:Query (standby region).
//!
//! It owns RDS's call budget of the standby region while it runs: a thousand promotions are a burst, and then twelve a second.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use muster_core::ports::{DatabaseRole, DatabaseState, DatabaseStatus, Databases, Metrics, Note, Notes, Samples};
use muster_core::{Action, ActionError, CallError, CallFault, Clock, Conduct, Context, DatabaseId, Duration, Evidence, Finding, Override, Progress, Timestamp};
use muster_plan::{Database, DatabaseStandby, Name, Plan};
use serde::Deserialize;

use crate::acceptance::{Fencing, fencing};
use crate::batch::{Batch, Landed, Pace};
use crate::budget::{Budget, RDS};
use crate::lag::{LOOKED_BACK, LagKnowledge, LagVerdict, SampledLags, judge_lag, lag_query};
use crate::notes::{self, Book, Finished, PROMOTED};

/// The action.
pub const PROMOTE_REPLICA: Action = Action { name: "promote-replica", conduct: Conduct::Mutates };

/// No promotion ends sooner after it was asked for: a replica applies what it has received, restarts and becomes available.
/// Source: "several minutes or longer", the RDS user guide, "Promoting a read replica to be a standalone DB instance".
const AT_LEAST: Duration = Duration::from_secs(60);
const PROMOTING: &str = "promoting";

/// Nothing to ask for: the plan says which.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// After a promotion was asked for, the instance can still look like a replica for a while. Asking again would be rejected.
const STATUS_LAG: Duration = Duration::from_secs(60);
/// A page of DescribeDBInstances holds so many. Source: its API reference, `MaxRecords`.
const PAGE: usize = 100;
/// So many calls are under way at any time.
const SIDE_BY_SIDE: usize = 50;
/// Whoever waits for its turn is asked again this soon, so that the budget is spent as it fills.
const TURN: Duration = Duration::from_secs(5);
/// A promotion takes minutes (AWS, "Promoting a read replica"); after this long a person should look at it.
const PATIENCE: Duration = Duration::from_mins(30);
/// A rejection right after the call was asked for is most often an answer to its own repetition.
const REJECTIONS: Duration = Duration::from_mins(5);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Promote(LagVerdict),
    Await(&'static str),
    Drain(Duration),
    Done,
    Refuse(Finding),
    Fail(Finding),
}

struct Observed<'a> {
    state: Option<&'a DatabaseState>,
    /// Whether a primary here is one that this service's failover, or a person during this run, has made.
    is_ours: bool,
    asked_at: Option<Timestamp>,
    fencing: Option<Fencing>,
    lag: LagKnowledge,
}

fn decide(database: &Database, observed: &Observed<'_>, overrides: &[Override], now: Timestamp) -> Step {
    let Some(state) = observed.state else {
        return Step::Fail(Finding::new(
            &database.name,
            "its replica does not exist in the standby region",
            "the instance that the plan names as `standby.id`",
            "restore the database by hand or correct the plan, then answer `retry`",
        ));
    };
    match (&state.role, state.status) {
        (_, DatabaseStatus::Broken(status)) => Step::Fail(Finding::new(
            &database.name,
            format!("its standby instance is `{status}`"),
            "an instance that is `available`",
            "repair it in the RDS console, then answer `retry`",
        )),
        (DatabaseRole::Primary, _) if !observed.is_ours => Step::Refuse(detached(&database.name)),
        (DatabaseRole::Primary, DatabaseStatus::Available | DatabaseStatus::BackingUp) => Step::Done,
        (DatabaseRole::Primary, DatabaseStatus::Changing(_)) => Step::Await("finishing its promotion"),
        (DatabaseRole::Replica { .. }, DatabaseStatus::BackingUp) => Step::Await("backing up: RDS promotes no replica meanwhile"),
        (DatabaseRole::Replica { .. }, DatabaseStatus::Changing(_)) => Step::Await(PROMOTING),
        (DatabaseRole::Replica { .. }, DatabaseStatus::Available) if observed.asked_at.is_some_and(|at| now.since(at) < STATUS_LAG) => Step::Await(PROMOTING),
        (DatabaseRole::Replica { .. }, DatabaseStatus::Available) => decide_promotion(database, observed, overrides, now),
    }
}

/// A standby that is a primary already, and nobody knows since when: it may be weeks behind.
pub(crate) fn detached(database: &Name) -> Finding {
    Finding::new(
        database,
        "its standby is a primary already, and no failover of this service has made it one",
        "a replica, or a standby that was promoted by a run of Muster",
        "find out since when it is detached and what it lacks; build a new replica, or accept its data by answering `skip` at the preflight",
    )
}

fn decide_promotion(database: &Database, observed: &Observed<'_>, overrides: &[Override], now: Timestamp) -> Step {
    if observed.fencing.is_none() {
        return Step::Refuse(Finding::new(
            &database.name,
            "its old primary is not proven to refuse writes",
            "a proven fence, or a named person who accepted the risk",
            "fence it and answer `retry`, or accept the risk with an override of kind `unfenced`",
        ));
    }
    let Some(gate) = &database.lag else {
        return Step::Promote(LagVerdict::Go { lag: None, sampled_at: None, basis: muster_core::LagBasis::Unknown, accepted: None });
    };
    match judge_lag(&database.name, &observed.lag, gate, overrides, now) {
        LagVerdict::Drain { lag } => Step::Drain(lag),
        LagVerdict::Refuse(finding) => Step::Refuse(finding),
        go => Step::Promote(go),
    }
}

/// Brings every replica of the plan to being a primary. Called twice, it asks RDS nothing twice.
///
/// # Errors
/// `Refused` and `Permanent` name every database that cannot go on; the others go on all the same.
pub async fn promote_replica<W>(_: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Databases + Metrics + Samples + Notes,
{
    let databases: Vec<(&Database, DatabaseId)> =
        cx.plan.replica_databases().map(|(database, id)| (database, DatabaseId::new(&cx.plan.regions.standby, id))).collect();
    if databases.is_empty() {
        return Ok(Progress::done("the plan promotes no replica"));
    }
    let book = Book::of_run(world, cx.run, "").await?;
    let promoted = Book::of_service(world, &cx.run.service, PROMOTED).await?;
    let mut budget = Budget::of(&book, RDS, &cx.plan.regions.standby, databases.len() + databases.len().div_ceil(PAGE), cx.now)?;
    let mut finished = Finished::in_book(&book, cx.phase)?;
    let asked_lately = |database: &Database| Ok::<bool, ActionError>(book.promotion_asked_at(&database.name)?.is_some_and(|at| cx.now.since(at) < STATUS_LAG));
    // Looks cost calls too: nobody looks at what is done, and at what was asked for so lately that its status says nothing yet.
    let mut looked_at: Vec<DatabaseId> = Vec::new();
    for (database, id) in &databases {
        if !finished.has(database.name.as_str()) && !asked_lately(database)? {
            looked_at.push(id.clone());
        }
    }
    let states = if looked_at.is_empty() { Default::default() } else { world.describe_databases(&cx.plan.regions.standby, &looked_at).await? };
    budget.spend(world.now(), looked_at.len().div_ceil(PAGE) as u64);
    let waiting: Vec<&(&Database, DatabaseId)> = databases.iter().filter(|(_, id)| states.get(id).is_some_and(is_idle_replica)).collect();
    let lags = observe_lags(world, cx, &book, &waiting).await?;
    let overrides = book.overrides(cx.run)?;
    let skipped = overrides.iter().any(|risk| matches!(risk, Override::Check { phase, .. } if phase == "Preflight"));

    let mut batch = Batch::default();
    let mut left = budget.left(world.now());
    let (mut to_promote, mut notes) = (Vec::new(), Vec::new());
    // How long none of what is waited for can be done.
    let mut not_before = AT_LEAST;
    for (database, id) in &databases {
        let asked_at = book.promotion_asked_at(&database.name)?;
        let step = if finished.has(database.name.as_str()) {
            Step::Done
        } else if asked_lately(database)? {
            Step::Await(PROMOTING)
        } else {
            let lag = lags.get(database.name.as_str());
            let is_primary = states.get(id).is_some_and(|state| state.role == DatabaseRole::Primary);
            let observed = Observed {
                state: states.get(id),
                is_ours: !is_primary || is_ours(&book, &promoted, database, skipped),
                asked_at,
                fencing: fencing(&book, database)?,
                lag: lag.cloned().unwrap_or_default(),
            };
            decide(database, &observed, &overrides, world.now())
        };
        // How long ago the promotion was asked for; by somebody else, how long this phase has been waiting for it.
        let since_asked = asked_at.map_or(cx.elapsed(), |at| cx.now.since(at)).min(cx.elapsed());
        match step {
            Step::Done => {
                if asked_at.is_none() {
                    // By hand, or by an earlier run: there is no way back from here either.
                    cx.saw(world.now(), Evidence::Irreversible { step: format!("{id} was found promoted") });
                    notes.extend(notes::promotion_asked(cx.run, &database.name, world.now()));
                }
                batch.saw(Evidence::Awaited {
                    component: database.name.to_string(),
                    what: "promotion".into(),
                    from: cx.since,
                    until: finished.first_seen(database.name.as_str(), world.now()),
                });
                batch.done(&database.name);
            }
            Step::Await(what) if since_asked > PATIENCE => batch.failed(Finding::new(
                &database.name,
                format!("{what} for {}", since_asked.in_words()),
                format!("a promotion within {PATIENCE}"),
                "look at the instance's events in RDS; answer `retry` to go on waiting",
            )),
            Step::Await(what) => {
                let asked_for = if what == PROMOTING { since_asked } else { AT_LEAST };
                not_before = not_before.min(AT_LEAST.saturating_sub(asked_for));
                batch.pending(&database.name, what);
            }
            Step::Drain(lag) if cx.elapsed() > PATIENCE => batch.refused(Finding::new(
                &database.name,
                format!("its primary is fenced and its replica is still {lag} behind"),
                "a replica that catches up",
                "accept the loss with an override of kind `lag`, or answer `retry` to go on waiting",
            )),
            Step::Drain(lag) => {
                not_before = Duration::ZERO;
                batch.pending(&database.name, format!("catching up, {lag} behind a fenced primary"));
            }
            Step::Refuse(finding) => batch.refused(finding),
            Step::Fail(finding) => batch.failed(finding),
            Step::Promote(_) if left == 0 => batch.queued(&database.name, "waiting for its turn in RDS's call budget"),
            Step::Promote(verdict) => {
                left -= 1;
                to_promote.push((*database, id.clone(), verdict, asked_at.is_some()));
            }
        }
    }
    budget.spend(world.now(), to_promote.len() as u64);
    notes.extend(budget.note(cx.run));
    let landed = promote_all(world, cx, to_promote, notes).await?;
    for one in landed {
        if !matches!(one, Landed::Asked(_, PROMOTING)) {
            not_before = Duration::ZERO;
        }
        batch.land(one);
    }
    finished.keep(world, cx.run).await?;
    // What waits for its turn has it when its calls can be made, and the look that goes before them.
    let turn = budget.until(world.now(), (batch.waiting_for_turn() + looked_at.len().div_ceil(PAGE)) as u64).min(TURN);
    let pace = if batch.waiting_for_turn() > 0 { Pace::Turn(turn) } else { Pace::NotBefore(not_before) };
    batch.into_progress(world.now(), cx, pace, "promoted")
}

/// Whether a standby that is a primary became it by this service's failover, or by hand while this run was looking.
///
/// Where the preflight said that it was detached and a person skipped that, it is theirs to answer for.
fn is_ours(book: &Book, promoted: &Book, database: &Database, skipped: bool) -> bool {
    (skipped && book.was_seen_detached(&database.name)) || promoted.promoted_by_us(&database.name) || book.was_seen_replicating(&database.name)
}

fn is_idle_replica(state: &DatabaseState) -> bool {
    matches!(state.role, DatabaseRole::Replica { .. }) && state.status == DatabaseStatus::Available
}

async fn observe_lags<'p, W>(
    world: &W,
    cx: &Context<'_, Plan>,
    book: &Book,
    waiting: &[&(&'p Database, DatabaseId)],
) -> Result<BTreeMap<&'p str, LagKnowledge>, ActionError>
where
    W: Metrics + Samples,
{
    if waiting.is_empty() {
        return Ok(BTreeMap::new());
    }
    let outage_since = book.outage_since()?;
    let queries: Vec<_> = waiting.iter().map(|(_, id)| lag_query(&id.name, cx.now.before(LOOKED_BACK))).collect();
    let metrics = world.read_metrics(&cx.plan.regions.standby, &queries).await?;
    let sampled = SampledLags::read(world, &cx.run.service, outage_since.unwrap_or(cx.now), outage_since).await?;
    let mut known = BTreeMap::new();
    for ((database, _), metric) in waiting.iter().zip(&metrics) {
        let fenced = fencing(book, database)? == Some(Fencing::Proven);
        known.insert(database.name.as_str(), LagKnowledge::gather(&database.name, metric, &sampled, outage_since, fenced));
    }
    Ok(known)
}

/// What is to be promoted: the database, its replica, why it may be, and whether it was asked for before.
type ToPromote<'p> = (&'p Database, DatabaseId, LagVerdict, bool);

/// Asks for promotions. `notes` are written before.
async fn promote_all<W>(world: &W, cx: &Context<'_, Plan>, to_promote: Vec<ToPromote<'_>>, mut notes: Vec<Note>) -> Result<Vec<Landed>, ActionError>
where
    W: Clock + Databases + Notes,
{
    // Notes and evidence come first: a call that was applied and lost its answer must not be made again at once, and
    // whoever reads the ledger must find the point of no return even if this function dies on the call.
    for (database, id, verdict, _) in &to_promote {
        if let LagVerdict::Go { lag, sampled_at, basis, accepted } = verdict {
            cx.saw(world.now(), Evidence::Lag { database: database.name.to_string(), lag: *lag, sampled_at: *sampled_at, basis: *basis });
            if let Some((risk, standing)) = accepted {
                cx.saw(world.now(), Evidence::Accepted { risk: risk.clone(), standing: *standing });
            }
        }
        cx.saw(world.now(), Evidence::Irreversible { step: asked_for(id) });
        notes.extend(notes::promotion_asked(cx.run, &database.name, world.now()));
    }
    if !notes.is_empty() {
        world.note_all(&notes).await?;
    }
    let asked: Vec<Result<(), CallError>> =
        stream::iter(&to_promote).map(|(database, id, ..)| world.promote_replica(id, backup_retention_days(database))).buffered(SIDE_BY_SIDE).collect().await;
    let (mut landed, mut not_asked) = (Vec::with_capacity(asked.len()), Vec::new());
    for ((database, id, _, asked_before), asked) in to_promote.into_iter().zip(asked) {
        landed.push(match asked {
            Ok(()) => Landed::Asked(database.name.to_string(), PROMOTING),
            Err(error) if error.fault == CallFault::Rejected && cx.elapsed() < REJECTIONS => {
                Landed::Asked(database.name.to_string(), "RDS takes no promotion yet")
            }
            Err(error) if error.fault.is_ambiguous() => Landed::Asked(database.name.to_string(), "asked to promote, and the answer was lost"),
            Err(error) => {
                // Certainly not applied: the next attempt need not wait for a status that will not come, and nothing is
                // irreversible yet.
                if !asked_before {
                    not_asked.push((database, id, error.to_string()));
                }
                Landed::Failed(database.name.to_string(), error)
            }
        });
    }
    let taken_back: Vec<Note> = not_asked.iter().flat_map(|(database, ..)| notes::promotion_not_asked(cx.run, &database.name)).collect();
    // A note that stays behind only makes the run more careful.
    if !taken_back.is_empty() && world.note_all(&taken_back).await.is_ok() {
        for (_, id, why) in not_asked {
            cx.saw(world.now(), Evidence::NotApplied { step: asked_for(&id), why });
        }
    }
    Ok(landed)
}

fn asked_for(id: &DatabaseId) -> String {
    format!("promotion of {id} asked for")
}

/// RDS wants automated backups on, or follows the promotion with a reboot.
fn backup_retention_days(database: &Database) -> u32 {
    let retention = match &database.standby {
        DatabaseStandby::Replica { backup_retention, .. } => backup_retention.or(database.backup_retention),
        _ => None,
    };
    retention.map_or(1, |span| u32::try_from(span.as_millis() / 86_400_000).unwrap_or(35)).clamp(1, 35)
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::LagBasis;
    use muster_plan::{Engine, LagGate, LagSource, Objectives, WhenLagUnknown};
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn database() -> Database {
        Database {
            name: "portal-db".parse().unwrap(),
            kind: muster_plan::DatabaseKind::RdsInstance,
            engine: Engine::Postgres,
            primary: "portal-db".into(),
            standby: DatabaseStandby::Replica { id: "replica".into(), backup_retention: None, multi_az: None },
            fallback: Vec::new(),
            objectives: Objectives { rto: Duration::from_mins(30), rpo: Duration::from_mins(5), scope: muster_plan::OutageScope::Region },
            lag: Some(LagGate { max: Duration::from_secs(60), measured: LagSource::Metric, when_unknown: WhenLagUnknown::Hold }),
            fence: None,
            credentials: None,
            database: None,
            port: None,
            size: None,
            backup_retention: None,
            in_region: Vec::new(),
            restore: None,
            restore_test: None,
            checks: Vec::new(),
            reconciliation: Vec::new(),
        }
    }

    fn state(role: DatabaseRole, status: DatabaseStatus) -> DatabaseState {
        DatabaseState { status, role, endpoint: None, security_groups: Vec::new(), backup_retention_days: 1 }
    }

    fn replica() -> DatabaseRole {
        DatabaseRole::Replica { source: DatabaseId::new(&"us-east-1".parse().unwrap(), "portal-db") }
    }

    fn decided(state: Option<&DatabaseState>, asked_seconds_ago: Option<u64>, fencing: Option<Fencing>, lag_seconds: Option<u64>) -> Step {
        let measured = lag_seconds.map(|lag| (Duration::from_secs(lag), NOW.before(Duration::from_secs(30))));
        let observed = Observed {
            state,
            is_ours: true,
            asked_at: asked_seconds_ago.map(|ago| NOW.before(Duration::from_secs(ago))),
            fencing,
            lag: LagKnowledge { measured, fenced: fencing == Some(Fencing::Proven), ..LagKnowledge::default() },
        };
        decide(&database(), &observed, &[], NOW)
    }

    #[test]
    fn a_replica_is_promoted_only_fenced_or_accepted_and_with_a_known_small_lag() {
        let idle = state(replica(), DatabaseStatus::Available);
        let promote = |step: Step| matches!(step, Step::Promote(LagVerdict::Go { basis: LagBasis::Measured, .. }));
        assert!(promote(decided(Some(&idle), None, Some(Fencing::Proven), Some(60))));
        assert!(promote(decided(Some(&idle), None, Some(Fencing::Accepted), Some(60))));
        assert!(matches!(decided(Some(&idle), None, None, Some(0)), Step::Refuse(_)), "not fenced");
        assert!(matches!(decided(Some(&idle), None, Some(Fencing::Accepted), Some(61)), Step::Refuse(_)), "too far behind");
        assert!(matches!(decided(Some(&idle), None, Some(Fencing::Accepted), None), Step::Refuse(_)), "unknown is not zero");
        assert!(matches!(decided(Some(&idle), None, Some(Fencing::Proven), Some(61)), Step::Drain(_)), "a fenced primary's replica catches up");
    }

    #[test]
    fn what_was_asked_for_is_not_asked_for_again_while_the_status_lags_behind() {
        let idle = state(replica(), DatabaseStatus::Available);
        assert_eq!(decided(Some(&idle), Some(59), Some(Fencing::Proven), Some(0)), Step::Await(PROMOTING));
        assert!(matches!(decided(Some(&idle), Some(60), Some(Fencing::Proven), Some(0)), Step::Promote(_)));
    }

    #[test]
    fn every_status_has_one_reaction() {
        use DatabaseStatus::{Available, BackingUp, Broken, Changing};
        let step = |role, status| decided(Some(&state(role, status)), None, Some(Fencing::Proven), Some(0));
        assert_eq!(step(DatabaseRole::Primary, Available), Step::Done);
        assert_eq!(step(DatabaseRole::Primary, BackingUp), Step::Done);
        assert!(matches!(step(DatabaseRole::Primary, Changing("rebooting")), Step::Await(_)));
        assert!(matches!(step(replica(), BackingUp), Step::Await(_)));
        assert!(matches!(step(replica(), Changing("promoting")), Step::Await(_)));
        assert!(matches!(step(replica(), Broken("storage-full")), Step::Fail(_)));
        assert!(matches!(decided(None, None, Some(Fencing::Proven), Some(0)), Step::Fail(_)));
    }

    #[test]
    fn a_standby_that_was_detached_long_ago_is_not_taken_for_a_promoted_one() {
        let primary = state(DatabaseRole::Primary, DatabaseStatus::Available);
        let observed = Observed { state: Some(&primary), is_ours: false, asked_at: None, fencing: Some(Fencing::Proven), lag: LagKnowledge::default() };
        assert!(matches!(decide(&database(), &observed, &[], NOW), Step::Refuse(_)));
    }

    proptest! {
        #[test]
        fn nothing_unfenced_is_ever_promoted(lag in proptest::option::of(0u64..1_000), asked in proptest::option::of(0u64..1_000)) {
            let idle = state(replica(), DatabaseStatus::Available);
            let step = decided(Some(&idle), asked, None, lag);
            prop_assert!(!matches!(step, Step::Promote(_)));
        }
    }
}
