//! Moves the public names to the standby region, and waits until the authoritative servers say so.
//!
//! Converges: a name that answers with the standby is left alone; a change that was asked for is waited for.
//! Refuses:   to move traffic to a standby that does not serve at this moment, or whose databases are no primaries.
//! Leaves behind on failure: names that were moved, and the takeover flag; `stand-down` does not move traffic back.
//! AWS: rds:DescribeDBInstances, cloudwatch:PutMetricData, dynamodb:DeleteItem (standby region, data plane);
//!      route53:ChangeResourceRecordSets (only for `upsertAlias`: Route 53's control plane, us-east-1).
//!
//! A health check that follows an alarm reads the alarm's metric stream, so the takeover metric is published here once and
//! by the probe each minute from then on. Source: the Route 53 developer guide, "Monitoring a CloudWatch alarm".

use muster_core::ports::{AliasRecord, DatabaseRole, Databases, Dns, Http, MetricWriter, Notes, Resolver};
use muster_core::{Action, ActionError, CallError, Clock, Conduct, Context, DatabaseId, Duration, Evidence, Finding, Override, Progress};
use muster_plan::{Plan, TrafficMethod, TrafficRecord};
use serde::Deserialize;
use serde_json::json;

use crate::acceptance::accepted_overrides;
use crate::batch::{Batch, Pace};
use crate::notes::{self, service_scope, takeover};
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
    let mut batch = Batch::default();
    for record in &cx.plan.traffic {
        if points_at_standby(world, record).await? {
            // Whoever published it may have died before the flag was set: without it the probe would take traffic back.
            keep_takeover(world, cx, record).await?;
            batch.saw(Evidence::TrafficSeen { record: record.record.clone() });
            batch.done(&record.record);
            continue;
        }
        if cx.elapsed() > PATIENCE {
            batch.failed(Finding::new(
                &record.record,
                format!("it still answers with the primary after {}", cx.elapsed().in_words()),
                "the standby's address",
                "look at the record and its health check; answer `retry` to go on waiting",
            ));
            continue;
        }
        let asked = notes::traffic_asked_at(world, cx.run, &record.record).await?;
        if asked.is_some_and(|at| cx.now.since(at) < ASK_AGAIN) {
            batch.pending(&record.record, "waiting for the authoritative servers");
            continue;
        }
        if let Err(finding) = may_move(world, cx, record).await? {
            batch.refused(finding);
            continue;
        }
        // The note comes first: from here on nothing is undone any more, unless the call was certainly not applied.
        notes::traffic_asked(world, cx.run, &record.record).await?;
        match ask(world, cx, record).await {
            Ok(()) => batch.pending(&record.record, "waiting for the authoritative servers"),
            // Two minutes ago it was asked for already, and neither an answer nor the change has come: more of the same helps nobody.
            Err(Stuck::Call(error)) if error.fault.is_ambiguous() && asked.is_some() && needs_control_plane(record) => batch.failed(Finding::new(
                &record.record,
                error.to_string(),
                "an answer of Route 53's control plane, which is in us-east-1",
                "move the name by other means and answer `skip`, or answer `retry` once it answers; `kind: takeoverMetric` in the plan does without it",
            )),
            Err(Stuck::Call(error)) if error.fault.is_ambiguous() => {
                keep_takeover(world, cx, record).await?;
                batch.pending(&record.record, "asked to move, and the answer was lost");
            }
            Err(Stuck::Call(error)) => {
                if asked.is_none() {
                    notes::traffic_not_asked(world, cx.run, &record.record).await?;
                }
                batch.call_failed(&record.record, error);
            }
            Err(Stuck::NotBuilt(finding)) => batch.failed(finding),
        }
    }
    batch.into_progress(world.now(), cx, Pace::Minutes, "moved")
}

fn needs_control_plane(record: &TrafficRecord) -> bool {
    matches!(record.method, TrafficMethod::UpsertAlias { .. })
}

async fn points_at_standby<W>(world: &W, record: &TrafficRecord) -> Result<bool, ActionError>
where
    W: Resolver,
{
    let answered = world.resolve(&record.record).await?;
    let wanted = world.resolve(&standby_name(record)).await?;
    Ok(!answered.is_empty() && answered.is_subset(&wanted))
}

/// Whether the standby serves and its databases take writes, at this moment and not some phases ago.
async fn may_move<W>(world: &W, cx: &Context<'_, Plan>, record: &TrafficRecord) -> Result<Result<(), Finding>, ActionError>
where
    W: Databases + Http + Notes,
{
    let standby = &cx.plan.regions.standby;
    let ids: Vec<DatabaseId> = cx.plan.replica_databases().map(|(_, id)| DatabaseId::new(standby, id)).collect();
    let states = if ids.is_empty() { Default::default() } else { world.describe_databases(standby, &ids).await? };
    if let Some(id) = ids.iter().find(|id| states.get(*id).is_none_or(|state| state.role != DatabaseRole::Primary)) {
        return Ok(Err(Finding::new(id, "it is no primary", "a database that takes writes, before traffic moves to it", "promote it, then answer `retry`")));
    }
    if serves(world, cx.plan, &record.standby.url).await? {
        return Ok(Ok(()));
    }
    let overrides = accepted_overrides(world, cx.run).await?;
    let accepted = overrides.iter().any(|risk| matches!(risk, Override::Check { phase, .. } if phase == "VerifyStandby"));
    Ok(if accepted {
        Ok(())
    } else {
        Err(Finding::new(&record.record, format!("{} does not answer with success", record.standby.url), "a standby that serves", "mend it and answer `retry`"))
    })
}

/// From here on the probe publishes the takeover each minute.
async fn keep_takeover<W: Notes>(world: &W, cx: &Context<'_, Plan>, record: &TrafficRecord) -> Result<(), CallError> {
    match record.method {
        TrafficMethod::TakeoverMetric { .. } => world.note(&service_scope(&cx.run.service), &takeover(&record.record), &json!(true)).await,
        _ => Ok(()),
    }
}

enum Stuck {
    Call(CallError),
    NotBuilt(Finding),
}

impl From<CallError> for Stuck {
    fn from(error: CallError) -> Self {
        Stuck::Call(error)
    }
}

async fn ask<W>(world: &W, cx: &Context<'_, Plan>, record: &TrafficRecord) -> Result<(), Stuck>
where
    W: Clock + MetricWriter + Dns + Notes,
{
    let method = match &record.method {
        TrafficMethod::TakeoverMetric { namespace, metric, .. } => {
            // Published first, and admitted by that: a flag that was set first would let the probe move traffic although
            // the kill switch did not let this call begin. Without the flag, a health check without data keeps its status.
            publish_takeover(world, cx.plan, record, namespace, metric, true, true).await?;
            keep_takeover(world, cx, record).await?;
            "takeover metric (data plane)"
        }
        TrafficMethod::UpsertAlias { standby, record_type, evaluate_target_health, .. } => {
            let alias = AliasRecord {
                name: &record.record,
                zone: &record.zone,
                record_type: record_type.as_str(),
                target: &standby.dns_name,
                target_zone: &standby.zone,
                evaluate_target_health: *evaluate_target_health,
            };
            world.upsert_alias(alias).await?;
            "rewritten record (Route 53's control plane in us-east-1)"
        }
        TrafficMethod::AutomaticFailover { .. } => "moved by Route 53 itself",
        TrafficMethod::RoutingControl { .. } => {
            return Err(Stuck::NotBuilt(Finding::new(
                &record.record,
                "routing controls are not built yet",
                "a method that this version can move",
                "switch it by hand, then answer `retry`",
            )));
        }
    };
    cx.saw(world.now(), Evidence::TrafficMoved { record: record.record.clone(), method: method.to_owned() });
    Ok(())
}

/// Publishes whether the standby has taken over: 1 or 0. The probe repeats each minute what is in force.
pub(crate) async fn publish_takeover<W: MetricWriter>(
    world: &W,
    plan: &Plan,
    record: &TrafficRecord,
    namespace: &str,
    metric: &str,
    taken_over: bool,
    moves_traffic: bool,
) -> Result<(), CallError> {
    let dimensions = [("Service".to_owned(), plan.service.to_string()), ("Record".to_owned(), record.record.clone())].into();
    world.put_metric(&plan.regions.standby, namespace, metric, &dimensions, if taken_over { 1_000 } else { 0 }, moves_traffic).await
}
