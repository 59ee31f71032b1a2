//! Looks at the primary from one vantage, stores what it saw, and publishes it. Starts the failover of an alarm that stands unanswered.
//!
//! Converges: each call stores one sample of each source; a sample stored twice is one sample.
//! Refuses:   nothing. What it cannot see it stores as blind: a Muster that breaks must not look like a region that died.
//! Leaves behind on failure: samples that were stored.
//! AWS: cloudwatch:GetMetricData, cloudwatch:PutMetricData, cloudwatch:DescribeAlarms, dynamodb:BatchWriteItem, dynamodb:GetItem, dynamodb:Query,
//!      s3:ListBucket, s3:GetObject, states:StartExecution (standby region), and HTTP from outside.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::ports::{
    AlarmState, Alarms, Executions, Http, HttpAnswer, LaneState, MetricValue, MetricWriter, Metrics, Notes, Plans, Reading, RunRegistry, Sample, Samples,
    Vantage,
};
use muster_core::{Action, ActionError, Clock, Conduct, Duration, Lane, Progress, Region, Timestamp};
use muster_plan::{Flow, Plan, Source, TrafficMethod};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::flip_dns::TakeoverValues;
use crate::lag::{lag_query, samples_of_lag};
use crate::notes::{Book, TAKEOVER, takeover};

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
    W: Clock + Http + Metrics + MetricWriter + Alarms + Samples + Notes + RunRegistry + Executions + Plans<Plan>,
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
    W: Clock + Http + Metrics + MetricWriter + Alarms + Samples + Notes + RunRegistry + Executions,
{
    let at = world.now();
    let at_standby = *vantage == plan.regions.standby;
    let mut samples = Vec::new();
    for source in &plan.triggers.confirm.of {
        if let Some(reading) = read_source(vantage, world, plan, source).await {
            samples.push(Sample { at, vantage: vantage.clone(), source: source.name().as_str().into(), reading });
        }
    }
    let mut taken = samples.len();
    let looked = samples.iter().filter(|sample| !matches!(sample.reading, Reading::Blind { .. })).count();
    let healthy = samples.iter().filter(|sample| sample.reading == Reading::Healthy).count();
    world.put_samples(plan.service.as_str(), &samples).await?;
    if at_standby {
        let lags = read_lags(vantage, world, plan, at).await;
        if !lags.is_empty() {
            world.put_samples(&samples_of_lag(plan.service.as_str()), &lags).await?;
            taken += lags.len();
        }
        // While a run is open, moving traffic is its own business: a `no takeover` that was read a moment before the flip must
        // not be published a moment after it. A health check without data keeps its last known status.
        let lane = world.read_lane(plan.service.as_str(), Lane::Recover).await?;
        repeat_takeover(world, plan, lane.open.is_some()).await?;
        if looked > 0 {
            let dimensions = [("Service".to_owned(), plan.service.to_string())].into();
            let value = MetricValue { name: PRIMARY_HEALTHY.into(), dimensions, milli: if healthy > 0 { 1_000 } else { 0 } };
            world.put_metrics(vantage, NAMESPACE, &[value], false).await?;
        }
        if looked > 0 && healthy == 0 {
            answer_standing_alarm(world, plan, &lane).await?;
        }
    }
    Ok(taken)
}

/// What one source shows from here; `None` where it is looked at from elsewhere.
async fn read_source<W>(vantage: &Region, world: &W, plan: &Plan, source: &Source) -> Option<Reading>
where
    W: Clock + Http + Alarms,
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
                Ok(HttpAnswer::Status { status: 200..=399, took }) => Reading::Failing { why: format!("answered only after {took}").into() },
                Ok(HttpAnswer::Status { status, .. }) => Reading::Failing { why: format!("status {status}").into() },
                Ok(HttpAnswer::Nothing { why }) => Reading::Failing { why: why.into() },
                Err(error) => Reading::Blind { why: error.to_string().into() },
            })
        }
        Source::Alarm { region, alarm, .. } if plan.regions.get(*region) == vantage => {
            let states = world.alarm_states(vantage, std::slice::from_ref(alarm)).await;
            Some(match states.map(|states| states.get(alarm).copied()) {
                Ok(Some(AlarmState::Ok)) => Reading::Healthy,
                Ok(Some(AlarmState::Alarm { since })) => Reading::Failing { why: format!("the alarm {alarm} has stood since {since}").into() },
                Ok(Some(AlarmState::InsufficientData)) => Reading::Blind { why: format!("the alarm {alarm} has too little data").into() },
                Ok(None) => Reading::Blind { why: format!("there is no alarm {alarm} in {vantage}").into() },
                Err(error) => Reading::Blind { why: error.to_string().into() },
            })
        }
        Source::AwsHealth { .. } if *vantage == plan.regions.standby => Some(Reading::Blind { why: "AWS Health as a source is not built yet".into() }),
        Source::Alarm { .. } | Source::AwsHealth { .. } => None,
    }
}

/// The replicas' lags while they can be measured: the last ones before an outage are what a failover will go by.
async fn read_lags<W>(vantage: &Region, world: &W, plan: &Plan, at: Timestamp) -> Vec<Sample>
where
    W: Metrics,
{
    let replicas: Vec<_> = plan.replica_databases().collect();
    let queries: Vec<_> = replicas.iter().map(|(_, id)| lag_query(id, at.before(Duration::from_mins(3)))).collect();
    if queries.is_empty() {
        return Vec::new();
    }
    let Ok(series) = world.read_metrics(vantage, &queries).await else { return Vec::new() };
    // The instant of the measurement, not of this look at it: an old figure stays old.
    let mut by_instant: BTreeMap<Timestamp, BTreeMap<Arc<str>, Duration>> = BTreeMap::new();
    for ((database, _), points) in replicas.iter().zip(series) {
        if let Some(point) = points.last().filter(|point| point.milli >= 0) {
            by_instant.entry(point.at).or_default().insert(database.name.as_str().into(), Duration::from_millis(point.milli.unsigned_abs()));
        }
    }
    let sample = |(at, lags)| Sample { at, vantage: vantage.clone(), source: LAG_SOURCE.into(), reading: Reading::Lags { lags } };
    by_instant.into_iter().map(sample).collect()
}

/// What the lags are sampled as.
const LAG_SOURCE: &str = "replica-lag";

/// An alarm is an edge: its event can be lost, or its run abandoned. One that has stood for so long unanswered starts a run again.
const STANDS: Duration = Duration::from_mins(3);

/// Source: the API reference of Step Functions, StartExecution.
const LONGEST_EXECUTION_NAME: usize = 80;

/// Starts the failover whose alarm stands although no run is open, and none was closed by anybody since it began to.
/// The execution's name is the same for all calls of three minutes, so that a second call starts nothing.
async fn answer_standing_alarm<W>(world: &W, plan: &Plan, lane: &LaneState) -> Result<(), ActionError>
where
    W: Clock + Alarms + Executions,
{
    if lane.open.is_some() || plan.triggers.alarms.is_empty() {
        return Ok(());
    }
    let states = world.alarm_states(&plan.regions.standby, &plan.triggers.alarms).await?;
    let Some((alarm, since)) = unanswered(&states, lane, world.now()) else { return Ok(()) };
    let slot = world.now().since(since).as_millis() / STANDS.as_millis();
    let mut name = format!("standing.{}.{slot}.{}", since.as_millis(), plan.service);
    name.truncate(LONGEST_EXECUTION_NAME);
    Ok(world.start_flow(Flow::RegionFailover.as_str(), &name, &alarm_event(&plan.regions.standby, alarm, since)).await?)
}

/// The alarm that has stood for long enough without an answer, and since when: any end of a run is one, unless nobody closed it.
fn unanswered<'a>(states: &'a BTreeMap<String, AlarmState>, lane: &LaneState, now: Timestamp) -> Option<(&'a str, Timestamp)> {
    states.iter().find_map(|(alarm, state)| {
        let AlarmState::Alarm { since } = *state else { return None };
        let answered = lane.open.is_some() || lane.last_closed.as_ref().is_some_and(|closed| &*closed.outcome != "abandoned" && closed.at >= since);
        (now.since(since) >= STANDS && !answered).then_some((alarm.as_str(), since))
    })
}

/// What EventBridge sends when an alarm goes off. Source: the EventBridge user guide, "CloudWatch Alarm State Change".
pub fn alarm_event(region: &Region, alarm: &str, at: Timestamp) -> Value {
    json!({
        "version": "0",
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "time": at,
        "region": region,
        "detail": { "alarmName": alarm, "state": { "value": "ALARM" }, "previousState": { "value": "OK" } },
    })
}

/// Publishes again, for each record that follows it, whether the standby has taken over.
async fn repeat_takeover<W>(world: &W, plan: &Plan, is_run_open: bool) -> Result<(), ActionError>
where
    W: MetricWriter + Notes,
{
    if !plan.traffic.iter().any(|record| matches!(record.method, TrafficMethod::TakeoverMetric { .. })) {
        return Ok(());
    }
    let flags = Book::of_service(world, plan.service.as_str(), TAKEOVER).await?;
    let mut values = TakeoverValues::default();
    for record in &plan.traffic {
        let taken_over = flags.get(&takeover(&record.record))? == Some(true);
        if taken_over || !is_run_open {
            values.add(plan, record, taken_over);
        }
    }
    for (namespace, values) in values.calls() {
        world.put_metrics(&plan.regions.standby, namespace, values, false).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use muster_core::RunId;
    use muster_core::ports::Closing;

    use super::*;

    fn closed(outcome: &str, minute: i64) -> LaneState {
        let last_closed = Some(Closing { run: RunId("r".into()), flow: "region-failover".into(), outcome: outcome.into(), at: minutes(minute) });
        LaneState { epoch: 1, open: None, last_closed }
    }

    fn minutes(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    #[test]
    fn only_an_alarm_that_stands_unanswered_for_three_minutes_is_answered_by_the_probe() {
        let alarm = |since| BTreeMap::from([("down".to_owned(), AlarmState::Alarm { since: minutes(since) })]);
        let fresh = LaneState::default();
        assert_eq!(unanswered(&alarm(10), &fresh, minutes(13)), Some(("down", minutes(10))));
        assert_eq!(unanswered(&alarm(10), &fresh, Timestamp::from_millis(13 * 60_000 - 1)), None, "its event is still on the way");
        for quiet in [AlarmState::Ok, AlarmState::InsufficientData] {
            assert_eq!(unanswered(&BTreeMap::from([("down".to_owned(), quiet)]), &fresh, minutes(60)), None);
        }
        assert_eq!(unanswered(&alarm(10), &closed("vetoed", 12), minutes(13)), None, "a person has answered it");
        assert_eq!(unanswered(&alarm(10), &closed("abandoned", 12), minutes(13)), Some(("down", minutes(10))), "nobody has finished it");
        assert_eq!(unanswered(&alarm(10), &closed("succeeded", 9), minutes(13)), Some(("down", minutes(10))), "another outage");
    }
}
