//! Moves the public names to the standby region, and waits until the authoritative servers say so.
//!
//! Converges: a name that answers with the standby is left alone; a change that was asked for is waited for.
//! Refuses:   to move traffic to a standby that does not serve at this moment, or whose databases are no primaries.
//! Leaves behind on failure: names that were moved, and the takeover flag; `stand-down` does not move traffic back.
//! AWS: rds:DescribeDBInstances, cloudwatch:PutMetricData, dynamodb:Query (standby region, data plane);
//!      route53:ChangeResourceRecordSets (only for `upsertAlias`: Route 53's control plane, us-east-1).
//!
//! A health check that follows an alarm reads the alarm's metric stream, so the takeover metric is published here once and
//! by the probe each minute from then on. Source: the Route 53 developer guide, "Monitoring a CloudWatch alarm".

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures::{StreamExt, stream};
use muster_core::ports::{ALIASES_A_CALL, AliasRecord, DatabaseRole, Databases, Dns, Http, METRICS_A_CALL, MetricValue, MetricWriter, Note, Notes, Resolver};
use muster_core::{Action, ActionError, CallError, CallFault, Clock, Conduct, Context, DatabaseId, Duration, Evidence, Finding, Override, Progress};
use muster_plan::{Plan, TrafficMethod, TrafficRecord};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::acceptance::accepted_overrides;
use crate::batch::{Batch, Pace};
use crate::budget::{BUDGET, Budget, ROUTE_53};
use crate::notes::{self, Book, Settled, TAKEOVER, TRAFFIC, takeover};
use crate::verify_health::{serves, standby_name};

/// The action.
pub const FLIP_DNS: Action = Action { name: "flip-dns", conduct: Conduct::Mutates };

/// Nothing to ask for: the plan says which names, and how.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// Route 53 is usually done within a minute; after this long a person should look.
const PATIENCE: Duration = Duration::from_mins(15);
/// A change that was asked for is asked for again after this long: its answer may have been lost.
const ASK_AGAIN: Duration = Duration::from_mins(2);
/// So many names or addresses are looked at, at any time.
const SIDE_BY_SIDE: usize = 200;
/// So long into an invocation no further name is looked at: what is known is acted on first, well within the function's time.
const LOOKING: Duration = Duration::from_secs(20);
/// Whoever waits for its turn is asked again this soon, so that the budget is spent as it fills.
const TURN: Duration = Duration::from_secs(1);
const WAITING: &str = "waiting for the authoritative servers";

/// Moves every name of the plan. Called twice, it moves none twice.
///
/// # Errors
/// `Refused` when the standby does not serve; `Permanent` names every record that does not move.
pub async fn flip_dns<W>(_: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Databases + Http + MetricWriter + Dns + Resolver + Notes,
{
    if cx.plan.traffic.is_empty() {
        return Ok(Progress::done("the plan moves no traffic"));
    }
    let book = Book::of_run(world, cx.run, TRAFFIC).await?;
    let (mut batch, mut moved, mut to_ask) = (Batch::default(), Vec::new(), Vec::new());
    let mut settled = Settled::read(world, cx, "names").await?;
    for (record, is_there) in cx.plan.traffic.iter().zip(points_at_standby(world, cx, &settled).await?) {
        let asked = book.traffic_asked_at(&record.record)?;
        match is_there {
            // Nobody had the time to ask the servers, whose answer decides.
            None => batch.pending(&record.record, "not looked at yet"),
            Some(true) => {
                moved.push(record);
                settled.add(record.record.as_str());
                batch.saw(Evidence::TrafficSeen { record: record.record.clone() });
                batch.done(&record.record);
            }
            Some(false) if cx.elapsed() > PATIENCE => batch.failed(Finding::new(
                &record.record,
                format!("it still answers with the primary after {}", cx.elapsed().in_words()),
                "the standby's address",
                "look at the record and its health check; answer `retry` to go on waiting",
            )),
            Some(false) if asked.is_some_and(|at| cx.now.since(at) < ASK_AGAIN) => batch.pending(&record.record, WAITING),
            Some(false) => to_ask.push((record, asked.is_some())),
        }
    }
    // Whoever published it may have died before the flag was set: without it the probe would take traffic back.
    if !moved.is_empty() {
        let flags = Book::of_service(world, &cx.run.service, TAKEOVER).await?;
        moved.retain(|record| !flags.has(&takeover(&record.record)));
        keep_takeover(world, cx, &moved).await?;
    }
    settled.keep(world, cx.run).await?;
    if !to_ask.is_empty() {
        let to_ask = may_move(world, cx, to_ask, &mut batch).await?;
        ask_all(world, cx, to_ask, &mut batch).await?;
    }
    let pace = if batch.waiting_for_turn() > 0 { Pace::Turn(TURN) } else { Pace::Minutes };
    batch.into_progress(world.now(), cx, pace, "moved")
}

fn needs_control_plane(record: &TrafficRecord) -> bool {
    matches!(record.method, TrafficMethod::UpsertAlias { .. })
}

/// A record, and whether it was asked to move before.
type ToMove<'p> = (&'p TrafficRecord, bool);

/// Whether each record of the plan answers with its standby; `None` where the time was over before it was its turn.
async fn points_at_standby<W>(world: &W, cx: &Context<'_, Plan>, settled: &Settled) -> Result<Vec<Option<bool>>, ActionError>
where
    W: Clock + Resolver,
{
    let look = async |record: &TrafficRecord| -> Result<Option<bool>, ActionError> {
        if settled.has(&record.record) {
            return Ok(Some(true));
        }
        if world.now().since(cx.now) > LOOKING {
            return Ok(None);
        }
        let answered = world.resolve(&record.record).await?;
        let wanted = world.resolve(&standby_name(record)).await?;
        Ok(Some(!answered.is_empty() && answered.is_subset(&wanted)))
    };
    stream::iter(&cx.plan.traffic).map(look).buffered(SIDE_BY_SIDE).collect::<Vec<_>>().await.into_iter().collect()
}

/// Those of the records that may move: their standby serves and every database takes writes, at this moment and not some phases ago.
async fn may_move<'p, W>(world: &W, cx: &Context<'_, Plan>, records: Vec<ToMove<'p>>, batch: &mut Batch) -> Result<Vec<ToMove<'p>>, ActionError>
where
    W: Databases + Http + Notes,
{
    let standby = &cx.plan.regions.standby;
    let ids: Vec<DatabaseId> = cx.plan.replica_databases().map(|(_, id)| DatabaseId::new(standby, id)).collect();
    let states = if ids.is_empty() { Default::default() } else { world.describe_databases(standby, &ids).await? };
    if let Some(id) = ids.iter().find(|id| states.get(*id).is_none_or(|state| state.role != DatabaseRole::Primary)) {
        batch.refused(Finding::new(id, "it is no primary", "a database that takes writes, before traffic moves to it", "promote it, then answer `retry`"));
        return Ok(Vec::new());
    }
    // Many names may lead to one load balancer: it is asked once.
    let urls: BTreeSet<&str> = records.iter().map(|(record, _)| record.standby.url.as_str()).collect();
    let look = async |url| serves(world, cx.plan, url).await.map(|serves| (url, serves));
    let looked: Vec<Result<(&str, bool), ActionError>> = stream::iter(urls).map(look).buffered(SIDE_BY_SIDE).collect().await;
    let serving: BTreeMap<&str, bool> = looked.into_iter().collect::<Result<_, _>>()?;
    if serving.values().all(|serves| *serves) {
        return Ok(records);
    }
    let overrides = accepted_overrides(world, cx.run).await?;
    let accepted = overrides.iter().any(|risk| matches!(risk, Override::Check { phase, .. } if phase == "VerifyStandby"));
    let mut may = Vec::with_capacity(records.len());
    for (record, asked_before) in records {
        if accepted || serving.get(record.standby.url.as_str()) == Some(&true) {
            may.push((record, asked_before));
        } else {
            let seen = format!("{} does not answer with success", record.standby.url);
            batch.refused(Finding::new(&record.record, seen, "a standby that serves", "mend it and answer `retry`"));
        }
    }
    Ok(may)
}

/// From here on the probe publishes the takeover of these records each minute.
async fn keep_takeover<W: Notes>(world: &W, cx: &Context<'_, Plan>, records: &[&TrafficRecord]) -> Result<(), CallError> {
    let follows = |record: &&&TrafficRecord| matches!(record.method, TrafficMethod::TakeoverMetric { .. });
    let flags: Vec<Note> = records.iter().filter(follows).map(|record| notes::of_service(cx.run, takeover(&record.record), json!(true))).collect();
    if flags.is_empty() { Ok(()) } else { world.note_all(&flags).await }
}

/// Asks for the moves, in as few calls as there can be.
async fn ask_all<W>(world: &W, cx: &Context<'_, Plan>, records: Vec<ToMove<'_>>, batch: &mut Batch) -> Result<(), ActionError>
where
    W: Clock + MetricWriter + Dns + Notes,
{
    let (mut by_metric, mut by_zone, mut by_itself) = (Vec::new(), BTreeMap::<&str, Vec<ToMove<'_>>>::new(), Vec::new());
    for one in records {
        match one.0.method {
            TrafficMethod::TakeoverMetric { .. } => by_metric.push(one),
            TrafficMethod::UpsertAlias { .. } => by_zone.entry(&one.0.zone).or_default().push(one),
            TrafficMethod::AutomaticFailover { .. } => by_itself.push(one),
            TrafficMethod::RoutingControl { .. } => batch.failed(Finding::new(
                &one.0.record,
                "routing controls are not built yet",
                "a method that this version can move",
                "switch it by hand, then answer `retry`",
            )),
        }
    }
    asked(world, cx, &by_itself).await?;
    conclude(world, cx, by_itself, Ok(()), "moved by Route 53 itself", batch).await?;
    move_by_metric(world, cx, by_metric, batch).await?;
    move_by_zone(world, cx, by_zone, batch).await
}

async fn move_by_metric<W>(world: &W, cx: &Context<'_, Plan>, records: Vec<ToMove<'_>>, batch: &mut Batch) -> Result<(), ActionError>
where
    W: Clock + MetricWriter + Notes,
{
    let mut values = TakeoverValues::default();
    records.iter().for_each(|(record, _)| values.add(cx.plan, record, true));
    asked(world, cx, &records).await?;
    let mut left: BTreeMap<&str, ToMove<'_>> = records.into_iter().map(|one| (one.0.record.as_str(), one)).collect();
    for (namespace, values) in values.calls() {
        // Published first, and admitted by that: a flag that was set first would let the probe move traffic although
        // the kill switch did not let this call begin. Without the flag, a health check without data keeps its status.
        let published = world.put_metrics(&cx.plan.regions.standby, namespace, values, true).await;
        let of_this_call = values.iter().filter_map(|value| left.remove(value.dimensions.get(RECORD)?.as_str())).collect();
        conclude(world, cx, of_this_call, published, "takeover metric (data plane)", batch).await?;
    }
    Ok(())
}

async fn move_by_zone<W>(world: &W, cx: &Context<'_, Plan>, zones: BTreeMap<&str, Vec<ToMove<'_>>>, batch: &mut Batch) -> Result<(), ActionError>
where
    W: Clock + Dns + Notes,
{
    let mut calls: VecDeque<(&str, Vec<ToMove<'_>>)> = VecDeque::new();
    for (zone, records) in &zones {
        calls.extend(records.chunks(ALIASES_A_CALL).map(|records| (*zone, records.to_vec())));
    }
    if calls.is_empty() {
        return Ok(());
    }
    let book = Book::of_run(world, cx.run, BUDGET).await?;
    let mut budget = Budget::of(&book, ROUTE_53, &cx.plan.regions.standby, calls.len(), cx.now)?;
    while let Some((zone, records)) = calls.pop_front() {
        if budget.left(world.now()) == 0 {
            records.iter().for_each(|(record, _)| batch.queued(&record.record, "waiting for its turn in Route 53's call budget"));
            continue;
        }
        budget.spend(world.now(), 1);
        budget.keep(world, cx.run).await?;
        asked(world, cx, &records).await?;
        let aliases: Vec<AliasRecord<'_>> = records.iter().filter_map(|(record, _)| alias(record)).collect();
        let outcome = world.upsert_aliases(zone, &aliases).await;
        let is_rejected = outcome.as_ref().is_err_and(|error| matches!(error.fault, CallFault::Rejected | CallFault::NotFound));
        if is_rejected && records.len() > 1 {
            // All or none: one record that cannot be changed must not keep the others. It is found by halves.
            not_asked(world, cx, &records).await?;
            let (one, other) = records.split_at(records.len() / 2);
            calls.extend([(zone, one.to_vec()), (zone, other.to_vec())]);
            continue;
        }
        conclude(world, cx, records, outcome, "rewritten record (Route 53's control plane in us-east-1)", batch).await?;
    }
    Ok(())
}

fn alias(record: &TrafficRecord) -> Option<AliasRecord<'_>> {
    let TrafficMethod::UpsertAlias { standby, record_type, evaluate_target_health, .. } = &record.method else { return None };
    Some(AliasRecord {
        name: &record.record,
        record_type: record_type.as_str(),
        target: &standby.dns_name,
        target_zone: &standby.zone,
        evaluate_target_health: *evaluate_target_health,
    })
}

/// Writes down that records are asked to move. The notes come first: from here on nothing is undone any more, unless the call was certainly not
/// applied.
async fn asked<W: Clock + Notes>(world: &W, cx: &Context<'_, Plan>, records: &[ToMove<'_>]) -> Result<(), CallError> {
    let notes: Vec<Note> = records.iter().map(|(record, _)| notes::of_run(cx.run, notes::traffic(&record.record), json!(world.now()))).collect();
    if notes.is_empty() { Ok(()) } else { world.note_all(&notes).await }
}

/// Takes that back, for those of which it was the first time.
async fn not_asked<W: Notes>(world: &W, cx: &Context<'_, Plan>, records: &[ToMove<'_>]) -> Result<(), CallError> {
    let first = records.iter().filter(|(_, asked_before)| !asked_before);
    let notes: Vec<Note> = first.map(|(record, _)| notes::of_run(cx.run, notes::traffic(&record.record), Value::Null)).collect();
    if notes.is_empty() { Ok(()) } else { world.note_all(&notes).await }
}

/// What became of the records of one call.
async fn conclude<W>(
    world: &W,
    cx: &Context<'_, Plan>,
    records: Vec<ToMove<'_>>,
    outcome: Result<(), CallError>,
    method: &str,
    batch: &mut Batch,
) -> Result<(), ActionError>
where
    W: Clock + Notes,
{
    let all: Vec<&TrafficRecord> = records.iter().map(|(record, _)| *record).collect();
    match outcome {
        Ok(()) => {
            keep_takeover(world, cx, &all).await?;
            for record in all {
                cx.saw(world.now(), Evidence::TrafficMoved { record: record.record.clone(), method: method.to_owned() });
                batch.pending(&record.record, WAITING);
            }
        }
        Err(error) if error.fault.is_ambiguous() => {
            keep_takeover(world, cx, &all).await?;
            for (record, asked_before) in records {
                if asked_before && needs_control_plane(record) {
                    // Two minutes ago it was asked for already, and neither an answer nor the change has come: more of the same helps nobody.
                    batch.failed(Finding::new(
                        &record.record,
                        error.to_string(),
                        "an answer of Route 53's control plane, which is in us-east-1",
                        "move the name by other means and answer `skip`, or answer `retry` once it answers; `kind: takeoverMetric` in the plan does without it",
                    ));
                } else {
                    batch.pending(&record.record, "asked to move, and the answer was lost");
                }
            }
        }
        Err(error) => {
            not_asked(world, cx, &records).await?;
            all.iter().for_each(|record| batch.call_failed(&record.record, error.clone()));
        }
    }
    Ok(())
}

/// Whether the standby has taken over, 1 or 0, for each record that follows a metric: by namespace, as calls take them.
#[derive(Debug, Default)]
pub(crate) struct TakeoverValues<'p>(BTreeMap<&'p str, Vec<MetricValue>>);

/// The dimension that tells one record's takeover from another's.
const RECORD: &str = "Record";

impl<'p> TakeoverValues<'p> {
    pub(crate) fn add(&mut self, plan: &Plan, record: &'p TrafficRecord, taken_over: bool) {
        if let TrafficMethod::TakeoverMetric { namespace, metric, .. } = &record.method {
            let dimensions = [("Service".to_owned(), plan.service.to_string()), (RECORD.to_owned(), record.record.clone())].into();
            let value = MetricValue { name: metric.as_str().into(), dimensions, milli: if taken_over { 1_000 } else { 0 } };
            self.0.entry(namespace).or_default().push(value);
        }
    }

    /// One call each.
    pub(crate) fn calls(&self) -> impl Iterator<Item = (&'p str, &[MetricValue])> {
        self.0.iter().flat_map(|(namespace, values)| values.chunks(METRICS_A_CALL).map(|values| (*namespace, values)))
    }
}
