//! Looks at the primary from one vantage, stores what it saw, and publishes it.
//!
//! Converges: each call stores one sample of each source; a sample stored twice is one sample.
//! Refuses:   nothing. What it cannot see it stores as blind: a Muster that breaks must not look like a region that died.
//! Leaves behind on failure: samples that were stored.
//! AWS: cloudwatch:GetMetricData, cloudwatch:PutMetricData, dynamodb:PutItem, dynamodb:GetItem (standby region), and HTTP from outside.

use muster_core::ports::{Http, HttpAnswer, MetricWriter, Metrics, Notes, Plans, Reading, RunRegistry, Sample, Samples, Vantage};
use muster_core::{Action, ActionError, Clock, Conduct, Duration, Lane, Progress, Region};
use muster_plan::{Plan, Source, TrafficMethod};
use serde::Deserialize;
use serde_json::Value;

use crate::flip_dns::publish_takeover;
use crate::lag::lag_query;
use crate::notes::{service_scope, takeover};

/// The action.
pub const PROBE: Action = Action { name: "probe", conduct: Conduct::KeepsBooks };

/// Where this probe stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// The region that it looks from.
    pub vantage: Region,
}

/// The metric that alarms watch: 1 while every source of this vantage sees the primary healthy, 0 while all fail.
pub const PRIMARY_HEALTHY: &str = "PrimaryHealthy";
/// The namespace of Muster's own metrics.
pub const NAMESPACE: &str = "Muster";

/// Takes one sample of each source of each plan. Called twice, it samples twice.
///
/// # Errors
/// `Transient` when the samples cannot be stored.
pub async fn probe<W>(request: Request, world: &W) -> Result<Progress, ActionError>
where
    W: Clock + Http + Metrics + MetricWriter + Samples + Notes + RunRegistry + Plans<Plan>,
{
    let (mut taken, mut failed) = (0, None);
    for started in world.plans_in_force().await? {
        match probe_service(&request.vantage, world, &started.plan).await {
            Ok(samples) => taken += samples,
            // One service that cannot be probed must not blind the others.
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or_else(|| Ok(Progress::done(format!("{taken} samples"))), Err)
}

async fn probe_service<W>(vantage: &Region, world: &W, plan: &Plan) -> Result<usize, ActionError>
where
    W: Clock + Http + Metrics + MetricWriter + Samples + Notes + RunRegistry,
{
    let at = world.now();
    let at_standby = *vantage == plan.regions.standby;
    let mut samples = Vec::new();
    for source in &plan.triggers.confirm.of {
        if let Some(reading) = read_source(vantage, world, plan, source).await {
            samples.push(Sample { at, vantage: vantage.clone(), source: source.name().as_str().into(), reading });
        }
    }
    let looked = samples.iter().filter(|sample| !matches!(sample.reading, Reading::Blind { .. })).count();
    let healthy = samples.iter().filter(|sample| sample.reading == Reading::Healthy).count();
    if at_standby {
        samples.extend(read_lags(vantage, world, plan, at).await);
    }
    world.put_samples(plan.service.as_str(), &samples).await?;
    if at_standby {
        repeat_takeover(world, plan).await?;
        if looked > 0 {
            let dimensions = [("Service".to_owned(), plan.service.to_string())].into();
            world.put_metric(vantage, NAMESPACE, PRIMARY_HEALTHY, &dimensions, if healthy > 0 { 1_000 } else { 0 }, false).await?;
        }
    }
    Ok(samples.len())
}

/// What one source shows from here; `None` where it is looked at from elsewhere.
async fn read_source<W>(vantage: &Region, world: &W, plan: &Plan, source: &Source) -> Option<Reading>
where
    W: Http,
{
    match source {
        Source::Http { url, from, timeout, .. } => {
            let stands_at = match from {
                muster_plan::Vantage::Standby => &plan.regions.standby,
                muster_plan::Vantage::Witness => &plan.regions.witness,
            };
            if stands_at != vantage {
                return None;
            }
            Some(match world.get(&Vantage(vantage.clone()), url).await {
                Ok(HttpAnswer::Status { status: 200..=399, took }) if timeout.is_none_or(|limit| took <= limit) => Reading::Healthy,
                Ok(HttpAnswer::Status { status: 200..=399, took }) => Reading::Failing { why: format!("answered only after {took}") },
                Ok(HttpAnswer::Status { status, .. }) => Reading::Failing { why: format!("status {status}") },
                Ok(HttpAnswer::Nothing { why }) => Reading::Failing { why },
                Err(error) => Reading::Blind { why: error.to_string() },
            })
        }
        Source::Alarm { region, .. } if plan.regions.get(*region) == vantage => Some(Reading::Blind { why: "alarms as sources are not built yet".into() }),
        Source::AwsHealth { .. } if *vantage == plan.regions.standby => Some(Reading::Blind { why: "AWS Health as a source is not built yet".into() }),
        Source::Alarm { .. } | Source::AwsHealth { .. } => None,
    }
}

/// The replicas' lags while they can be measured: the last ones before an outage are what a failover will go by.
async fn read_lags<W>(vantage: &Region, world: &W, plan: &Plan, at: muster_core::Timestamp) -> Vec<Sample>
where
    W: Metrics,
{
    let replicas: Vec<_> = plan.replica_databases().collect();
    let queries: Vec<_> = replicas.iter().map(|(_, id)| lag_query(id, at.before(Duration::from_mins(3)))).collect();
    if queries.is_empty() {
        return Vec::new();
    }
    let Ok(series) = world.read_metrics(vantage, &queries).await else { return Vec::new() };
    replicas
        .iter()
        .zip(series)
        .filter_map(|((database, _), points)| {
            let point = points.last().filter(|point| point.milli >= 0)?;
            // The instant of the measurement, not of this look at it: an old figure stays old.
            let reading = Reading::Lag { lag: Duration::from_millis(point.milli.unsigned_abs()) };
            Some(Sample { at: point.at, vantage: vantage.clone(), source: database.name.as_str().into(), reading })
        })
        .collect()
}

/// Publishes again, for each record that follows it, whether the standby has taken over.
async fn repeat_takeover<W>(world: &W, plan: &Plan) -> Result<(), ActionError>
where
    W: MetricWriter + Notes + RunRegistry,
{
    // While a run is open, moving traffic is its own business: a `no takeover` that was read a moment before the flip must
    // not be published a moment after it. A health check without data keeps its last known status.
    let is_run_open = world.read_lane(plan.service.as_str(), Lane::Recover).await?.open.is_some();
    for record in &plan.traffic {
        if let TrafficMethod::TakeoverMetric { namespace, metric, .. } = &record.method {
            let flag = world.read_note(&service_scope(plan.service.as_str()), &takeover(&record.record)).await?;
            let taken_over = flag == Some(Value::Bool(true));
            if taken_over || !is_run_open {
                publish_takeover(world, plan, record, namespace, metric, taken_over, false).await?;
            }
        }
    }
    Ok(())
}
