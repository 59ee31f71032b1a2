//! Looks at the service as its clients will: at the standby's own address before traffic moves, through the public name
//! after it, and at its metrics until they have held.
//!
//! Converges: reads only; what is not healthy yet is looked at again until its patience ends.
//! Refuses:   a standby that does not serve, a service that does not answer, a metric that does not hold. No data is not healthy.
//! Leaves behind on failure: nothing.
//! AWS: cloudwatch:GetMetricData (the region that the check names), and HTTP from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, stream};
use muster_core::ports::{Datapoint, Http, HttpAnswer, MetricQuery, Metrics, Vantage};
use muster_core::{Action, ActionError, CallError, Clock, Conduct, Context, Duration, Evidence, Finding, Progress, Timestamp};
use muster_plan::{Check, CheckStage, HttpCheck, MetricCheck, Percent, Plan, Quantity, Via, WarmUp};
use serde::Deserialize;

use crate::batch::{Batch, Pace};

/// The action.
pub const VERIFY_HEALTH: Action = Action { name: "verify-health", conduct: Conduct::Observes };

/// Where to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Through {
    /// The standby's own address, before traffic moves.
    #[default]
    Standby,
    /// The public name, after it.
    Public,
    /// The metrics that must hold for a while before the run ends.
    Stabilization,
}

/// Where to look.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// Before traffic moves, after it, or until it has settled.
    pub through: Through,
}

/// Starting applications need minutes; then a person should look. A metric gets this long beyond the time it must hold.
const PATIENCE: Duration = Duration::from_mins(15);
/// So many addresses are looked at, at any time.
const SIDE_BY_SIDE: usize = 200;
/// So long into an invocation no further address is looked at: its answers are judged first, well within the function's time.
const LOOKING: Duration = Duration::from_secs(40);
/// CloudWatch's period where the check names none.
const PERIOD: Duration = Duration::from_mins(1);

/// Looks at everything that the stage asks for. Called twice, it looks twice and changes nothing.
///
/// # Errors
/// `Refused` names every check that does not pass.
pub async fn verify_health<W>(request: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Http + Metrics,
{
    let stage = match request.through {
        Through::Standby => CheckStage::BeforeTraffic,
        Through::Public => CheckStage::AfterTraffic,
        Through::Stabilization => CheckStage::Stabilization,
    };
    let mut batch = Batch::default();
    if request.through == Through::Standby {
        look_at_standbys(world, cx, &mut batch).await;
    }
    let mut pages = batch.waiting();
    for check in cx.plan.checks_at(stage) {
        let before = batch.waiting();
        match check {
            Check::Http(check) => {
                let url = address(cx.plan, check);
                look_at(world, cx, Address { name: check.name.as_str(), url: &url, status: check.status, within: check.within }, &mut batch).await;
            }
            Check::Metric(check) => look_at_metric(world, cx, check, &mut batch).await,
            // `unbuilt` says so when the plan is checked; here it is written down, and never taken for a pass.
            Check::Logs(check) => batch.saw(Evidence::Checked {
                check: check.name.to_string(),
                component: "service".into(),
                seen: "not looked at: log checks are not built yet".into(),
                wanted: format!("at most {} of {}", check.at_most, check.pattern),
                passed: false,
            }),
        }
        if matches!(check, Check::Http(_)) {
            pages += batch.waiting() - before;
        }
    }
    // A page can be well within a second; a metric has one value a minute.
    let pace = match request.through {
        Through::Stabilization => Pace::Unhurried,
        _ if pages > 0 => Pace::Soon,
        _ => Pace::Minutes,
    };
    let progress = batch.into_progress(world.now(), cx, pace, "healthy")?;
    if progress.is_done() && request.through == Through::Standby {
        warm_up(world, cx).await;
    }
    Ok(progress)
}

/// The address that a check really asks: a check through the standby goes to the standby's host, whatever name it is written with.
fn address(plan: &Plan, check: &HttpCheck) -> String {
    if check.via == Via::Public {
        return check.url.clone();
    }
    let host = host_of(&check.url);
    let standby = plan.traffic.iter().find(|record| record.record == host).map(|record| host_of(&record.standby.url).to_owned());
    standby.map_or_else(|| check.url.clone(), |standby| check.url.replacen(host, &standby, 1))
}

pub(crate) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or(rest)
}

/// An address to ask, and what it must answer.
struct Address<'a> {
    name: &'a str,
    url: &'a str,
    status: u16,
    within: Option<Duration>,
}

/// Looks at where each public name will lead. Many names may lead to one load balancer, which is asked once.
async fn look_at_standbys<W>(world: &W, cx: &Context<'_, Plan>, batch: &mut Batch)
where
    W: Clock + Http,
{
    let urls: BTreeSet<&str> = cx.plan.traffic.iter().map(|record| record.standby.url.as_str()).collect();
    let from = Vantage(cx.plan.regions.standby.clone());
    let look = async |url| {
        let in_time = world.now().since(cx.now) <= LOOKING;
        (url, if in_time { Some(world.get(&from, url).await) } else { None })
    };
    let looked: Vec<(&str, Option<Result<HttpAnswer, CallError>>)> = stream::iter(urls).map(look).buffered(SIDE_BY_SIDE).collect().await;
    let looked: BTreeMap<&str, _> = looked.into_iter().collect();
    for record in &cx.plan.traffic {
        let name = format!("standby of {}", record.record);
        match looked.get(record.standby.url.as_str()).cloned().flatten() {
            Some(answer) => judge(cx, &Address { name: &name, url: &record.standby.url, status: 200, within: None }, answer, batch),
            None => batch.pending(&name, "not looked at yet"),
        }
    }
}

async fn look_at<W>(world: &W, cx: &Context<'_, Plan>, address: Address<'_>, batch: &mut Batch)
where
    W: Clock + Http,
{
    // A function can only look from where it runs. What the witness sees, its probe stores.
    let from = Vantage(cx.plan.regions.standby.clone());
    let answer = world.get(&from, address.url).await;
    judge(cx, &address, answer, batch);
}

fn judge(cx: &Context<'_, Plan>, address: &Address<'_>, answer: Result<HttpAnswer, CallError>, batch: &mut Batch) {
    let Address { name, status, within, .. } = *address;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.fault.is_transient() && cx.elapsed() <= PATIENCE => return batch.pending(name, "could not look"),
        Err(error) => return batch.call_failed(name, error),
    };
    let wanted = within.map_or_else(|| format!("status {status}"), |limit| format!("status {status} within {limit}"));
    let (seen, passed) = match answer {
        HttpAnswer::Status { status: seen, took } => (format!("status {seen} after {took}"), seen == status && within.is_none_or(|limit| took <= limit)),
        HttpAnswer::Nothing { why } => (why, false),
    };
    conclude(cx, Look { name, seen, wanted, passed: Some(passed), patience: PATIENCE }, batch);
}

async fn look_at_metric<W>(world: &W, cx: &Context<'_, Plan>, check: &MetricCheck, batch: &mut Batch)
where
    W: Clock + Metrics,
{
    let held_for = check.held_for.unwrap_or(Duration::ZERO);
    let period = check.period.unwrap_or(PERIOD);
    let since = cx.now.before(held_for.saturating_add(period).saturating_add(period));
    let queries = queries(check, since);
    let series = match world.read_metrics(cx.plan.regions.get(check.region), &queries).await {
        Ok(series) => series,
        Err(error) if error.fault.is_transient() && cx.elapsed() <= PATIENCE => return batch.pending(&check.name, "could not look"),
        Err(error) => return batch.call_failed(&check.name, error),
    };
    let values = values(check, &series, cx.since, cx.now);
    let (seen, passed) = decide(check, &values, cx.since, cx.now);
    let patience = PATIENCE.saturating_add(held_for.times(3));
    conclude(cx, Look { name: check.name.as_str(), seen, wanted: wanted(check), passed, patience }, batch);
}

/// The metric, and the one that it is a share of: in the check's own period, by which both are compared.
fn queries(check: &MetricCheck, since: Timestamp) -> Vec<MetricQuery> {
    let query = |metric: &str| MetricQuery {
        namespace: check.namespace.as_str().into(),
        name: metric.into(),
        dimensions: check.dimensions.clone(),
        statistic: check.statistic.as_str().into(),
        period: check.period.unwrap_or(PERIOD),
        since,
    };
    std::iter::once(check.metric.as_str()).chain(check.share_of.as_deref()).map(query).collect()
}

/// The values that are compared: the metric's own, or its share of another metric in each period that has both.
///
/// A part that is absent where the whole is present is none. A load balancer's count of responses by status is absent
/// where it is zero, so once a full period has passed it counts as that; every other absent metric is unknown.
/// Source: the Elastic Load Balancing user guide, "CloudWatch metrics for your Application Load Balancer", reporting
/// criteria of `HTTPCode_*`.
fn values(check: &MetricCheck, series: &[Vec<Datapoint>], phase_since: Timestamp, now: Timestamp) -> Vec<Datapoint> {
    let absent_is_zero = check.namespace == "AWS/ApplicationELB" && check.metric.starts_with("HTTPCode_");
    match (series, check.share_of.is_some()) {
        ([part, whole], true) => whole
            .iter()
            .map(|whole| {
                let part = part.iter().find(|other| other.at == whole.at).map_or(0, |point| point.milli.unsigned_abs());
                let share = Percent::ratio(part, whole.milli.unsigned_abs()).unwrap_or(Percent::from_ppm(0));
                Datapoint { at: whole.at, milli: i64::try_from(share.as_ppm() / 10).unwrap_or(i64::MAX) }
            })
            .collect(),
        ([own, ..], _) if own.iter().all(|point| point.at < phase_since) && absent_is_zero && now.since(phase_since) >= check.period.unwrap_or(PERIOD) => {
            vec![Datapoint { at: now, milli: 0 }]
        }
        ([own, ..], _) => own.clone(),
        ([], _) => Vec::new(),
    }
}

/// Whether the metric is as wanted, and has been for as long as wanted. `None`: not known yet.
fn decide(check: &MetricCheck, values: &[Datapoint], phase_since: Timestamp, now: Timestamp) -> (String, Option<bool>) {
    let held_for = check.held_for.unwrap_or(Duration::ZERO);
    // What was measured before this phase says nothing about what it looks at.
    let from = if held_for.is_zero() { phase_since } else { now.before(held_for).max(phase_since) };
    let counted: Vec<&Datapoint> = values.iter().filter(|point| point.at >= from).collect();
    let Some(last) = counted.last() else { return ("no datapoint yet".into(), None) };
    let seen = in_unit(check, last.milli);
    if held_for.is_zero() {
        return (seen, Some(is_as_wanted(check, last.milli)));
    }
    if let Some(bad) = counted.iter().rev().find(|point| !is_as_wanted(check, point.milli)) {
        return (format!("{} at {}", in_unit(check, bad.milli), bad.at.clock_time()), Some(false));
    }
    // One good minute in ten is not ten good minutes: there must be a value for nearly every period.
    let periods = held_for.as_millis() / check.period.unwrap_or(PERIOD).as_millis().max(1);
    if now.since(phase_since) < held_for || (counted.len() as u64) + 2 < periods {
        return (format!("{seen}, for {} so far", now.since(phase_since).in_words()), None);
    }
    (format!("{seen}, for {held_for}"), Some(true))
}

fn milli(quantity: &Quantity) -> i64 {
    let value = match quantity {
        // CloudWatch gives percentages as numbers up to 100, times in seconds.
        Quantity::Percent(share) => share.as_ppm() / 10,
        Quantity::Duration(span) => span.as_millis(),
        Quantity::Count(count) => count.saturating_mul(1_000),
    };
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn is_as_wanted(check: &MetricCheck, value: i64) -> bool {
    check.below.as_ref().is_none_or(|limit| value < milli(limit))
        && check.above.as_ref().is_none_or(|limit| value > milli(limit))
        && check.equals.as_ref().is_none_or(|wanted| value == milli(wanted))
}

fn in_unit(check: &MetricCheck, value: i64) -> String {
    let number = if value % 1_000 == 0 { format!("{}", value / 1_000) } else { format!("{}.{:03}", value / 1_000, value.unsigned_abs() % 1_000) };
    match check.below.as_ref().or(check.above.as_ref()).or(check.equals.as_ref()) {
        Some(Quantity::Percent(_)) => format!("{number}%"),
        Some(Quantity::Duration(_)) => format!("{number}s"),
        _ => number,
    }
}

fn wanted(check: &MetricCheck) -> String {
    let text = |word: &str, quantity: &Option<Quantity>| quantity.as_ref().map(|quantity| format!("{word} {}", in_unit(check, milli(quantity))));
    let parts: Vec<String> = [text("below", &check.below), text("above", &check.above), text("equal to", &check.equals)].into_iter().flatten().collect();
    let held = check.held_for.map(|span| format!(" for {span}")).unwrap_or_default();
    format!("{}{held}", parts.join(", "))
}

/// What one check saw.
struct Look<'a> {
    name: &'a str,
    seen: String,
    wanted: String,
    /// `None`: not known yet.
    passed: Option<bool>,
    patience: Duration,
}

fn conclude(cx: &Context<'_, Plan>, look: Look<'_>, batch: &mut Batch) {
    let Look { name, seen, wanted, passed, patience } = look;
    if passed != Some(true) && cx.elapsed() <= patience {
        return batch.pending(name, seen);
    }
    let passed = passed == Some(true);
    batch.saw(Evidence::Checked { check: name.to_owned(), component: "service".into(), seen: seen.clone(), wanted: wanted.clone(), passed });
    if passed {
        batch.done(name);
    } else {
        batch.refused(Finding::new(name, seen, wanted, "find out why; answer `retry` to look again, or `skip` to accept it by name"));
    }
}

/// Fills caches before clients come. It is worth trying and nothing to wait for.
async fn warm_up<W>(world: &W, cx: &Context<'_, Plan>)
where
    W: Clock + Http,
{
    let from = Vantage(cx.plan.regions.standby.clone());
    for cache in &cx.plan.caches {
        let Some(WarmUp::Http { urls }) = &cache.warm_up else { continue };
        let mut answered = 0;
        for url in urls {
            answered += usize::from(matches!(world.get(&from, url).await, Ok(HttpAnswer::Status { status: 200..=299, .. })));
        }
        cx.saw(
            world.now(),
            Evidence::Checked {
                check: format!("warm-up of {}", cache.name),
                component: cache.name.to_string(),
                seen: format!("{answered} of {} addresses answered", urls.len()),
                wanted: "all of them".into(),
                passed: answered == urls.len(),
            },
        );
    }
}

/// Where the traffic's standby answers, for whoever must know that it serves right now.
pub(crate) async fn serves<W>(world: &W, plan: &Plan, url: &str) -> Result<bool, ActionError>
where
    W: Http,
{
    Ok(matches!(world.get(&Vantage(plan.regions.standby.clone()), url).await?, HttpAnswer::Status { status: 200..=299, .. }))
}

/// The name of a record's standby, as DNS knows it.
pub(crate) fn standby_name(record: &muster_plan::TrafficRecord) -> Arc<str> {
    match &record.method {
        muster_plan::TrafficMethod::UpsertAlias { standby, .. } => standby.dns_name.as_str().into(),
        _ => host_of(&record.standby.url).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_plan::RegionRole;

    const NOW: Timestamp = Timestamp::from_millis(100_000_000);

    fn check(below: Option<&str>, held_for: Option<u64>, share: bool) -> MetricCheck {
        MetricCheck {
            name: "errors".parse().unwrap(),
            namespace: "AWS/ApplicationELB".into(),
            metric: "HTTPCode_Target_5XX_Count".into(),
            share_of: share.then(|| "RequestCount".into()),
            dimensions: Default::default(),
            statistic: "Sum".into(),
            period: None,
            below: below.map(|text| Quantity::Percent(text.parse().unwrap())),
            above: None,
            equals: None,
            held_for: held_for.map(Duration::from_mins),
            region: RegionRole::Standby,
            during: CheckStage::Stabilization,
        }
    }

    fn minutes_ago(minutes: u64, milli: i64) -> Datapoint {
        Datapoint { at: NOW.before(Duration::from_mins(minutes)), milli }
    }

    #[test]
    fn a_metric_must_hold_for_the_whole_time_and_not_only_now() {
        let check = check(Some("0.1%"), Some(3), false);
        let started = |minutes| NOW.before(Duration::from_mins(minutes));
        let good = [minutes_ago(2, 50), minutes_ago(1, 50), minutes_ago(0, 99)];
        assert_eq!(decide(&check, &good, started(3), NOW).1, Some(true));
        assert_eq!(decide(&check, &good, started(2), NOW).1, None, "not for long enough yet");
        let bad = [minutes_ago(2, 50), minutes_ago(1, 100), minutes_ago(0, 50)];
        assert_eq!(decide(&check, &bad, started(10), NOW).1, Some(false));
        let long_ago = [minutes_ago(5, 900), minutes_ago(2, 50), minutes_ago(0, 50)];
        assert_eq!(decide(&check, &long_ago, started(10), NOW).1, Some(true));
    }

    #[test]
    fn no_datapoint_is_not_healthy() {
        assert_eq!(decide(&check(Some("0.1%"), Some(3), false), &[], NOW.before(Duration::from_hours(1)), NOW).1, None);
        assert_eq!(decide(&check(Some("0.1%"), None, false), &[], NOW, NOW).1, None);
    }

    #[test]
    fn a_count_that_is_only_reported_when_it_is_not_zero_is_zero_after_a_full_period() {
        let check = check(Some("0.1%"), None, false);
        assert_eq!(values(&check, &[Vec::new()], NOW.before(Duration::from_secs(59)), NOW), [], "too early to tell");
        assert_eq!(values(&check, &[Vec::new()], NOW.before(Duration::from_mins(1)), NOW), [minutes_ago(0, 0)]);
        let other = MetricCheck { metric: "TargetResponseTime".into(), ..check };
        assert_eq!(values(&other, &[Vec::new()], NOW.before(Duration::from_mins(1)), NOW), [], "no other metric is taken for zero");
    }

    #[test]
    fn a_metric_is_asked_for_in_the_checks_own_period() {
        let periods = |check: &MetricCheck| queries(check, NOW).iter().map(|query| query.period).collect::<Vec<_>>();
        let own = MetricCheck { period: Some(Duration::from_mins(5)), ..check(Some("0.1%"), None, true) };
        assert_eq!(periods(&own), [Duration::from_mins(5); 2], "the metric, and what it is a share of");
        assert_eq!(periods(&check(Some("0.1%"), None, false)), [PERIOD]);
    }

    #[test]
    fn a_share_is_taken_of_the_same_period() {
        let check = check(Some("0.1%"), None, true);
        let errors = vec![minutes_ago(1, 2_000), minutes_ago(0, 1_000)];
        let requests = vec![minutes_ago(1, 1_000_000), minutes_ago(0, 2_000_000)];
        assert_eq!(values(&check, &[errors, requests.clone()], NOW, NOW), [minutes_ago(1, 200), minutes_ago(0, 50)]);
        assert_eq!(values(&check, &[Vec::new(), requests], NOW, NOW), [minutes_ago(1, 0), minutes_ago(0, 0)], "no errors among the requests");
    }

    #[test]
    fn the_host_is_told_from_the_rest_of_an_address() {
        assert_eq!(host_of("https://portal.example.com:8443/health"), "portal.example.com");
        assert_eq!(host_of("http://portal.example.com"), "portal.example.com");
    }
}
