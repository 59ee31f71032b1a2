//! The alarms that a plan speaks of and that follow Muster's own metrics: the one that starts its failover, and those that its
//! records' health checks follow.

use std::collections::BTreeSet;

use aws_sdk_cloudwatch::types::{ComparisonOperator, Dimension, Statistic, Tag};
use muster_actions::{NAMESPACE, PRIMARY_HEALTHY};
use muster_core::Region;
use muster_plan::{Plan, TrafficMethod};

use crate::{Account, Failed, SERVICE_TAG, failed};

/// Marks an alarm that `muster push` made, and may make anew.
const MADE_BY: (&str, &str) = ("muster:madeBy", "push");

/// An alarm on one of Muster's metrics, in the standby region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmPlan {
    /// Its name.
    pub name: String,
    /// What it says, for whoever sees it in the console.
    pub description: String,
    /// The metric's namespace.
    pub namespace: String,
    /// The metric.
    pub metric: String,
    /// The metric's dimensions.
    pub dimensions: Vec<(String, String)>,
    /// `true`: it goes off when the metric is below 1 for two minutes. `false`: as soon as it is 1.
    pub below_one: bool,
}

/// The alarms of a plan.
///
/// The first of `triggers.alarms` watches the probe. The others are the operator's own. An alarm keeps its state while there is no
/// data: Muster's silence must not look like a dead region; `muster-blind` pages for it.
pub fn plan_alarms(plan: &Plan) -> Vec<AlarmPlan> {
    let service = ("Service".to_owned(), plan.service.to_string());
    let probe = plan.triggers.alarms.first().map(|name| AlarmPlan {
        name: name.clone(),
        description: format!(
            "{}: no source of the standby's probe has seen the primary region healthy for two minutes. Starts Muster's region failover.",
            plan.service
        ),
        namespace: NAMESPACE.to_owned(),
        metric: PRIMARY_HEALTHY.to_owned(),
        dimensions: vec![service.clone()],
        below_one: true,
    });
    let takeovers = plan.traffic.iter().filter_map(|record| match &record.method {
        TrafficMethod::TakeoverMetric { alarm: Some(alarm), namespace, metric, .. } => Some(AlarmPlan {
            name: alarm.clone(),
            description: format!("{}: the standby has taken over {}. A health check follows it; no action belongs here.", plan.service, record.record),
            namespace: namespace.clone(),
            metric: metric.clone(),
            dimensions: vec![service.clone(), ("Record".to_owned(), record.record.clone())],
            below_one: false,
        }),
        _ => None,
    });
    probe.into_iter().chain(takeovers).collect()
}

/// Makes the alarms, or makes them anew; returns the names of those that exist already, were not made by `push`, and were left alone.
/// Called twice, it changes nothing.
///
/// # Errors
/// CloudWatch cannot be asked.
pub async fn make_alarms(account: &Account, region: &Region, service: &str, alarms: &[AlarmPlan]) -> Result<BTreeSet<String>, Failed> {
    let client = aws_sdk_cloudwatch::Client::new(&account.in_region(region));
    let mut left = BTreeSet::new();
    for alarm in alarms {
        if is_somebody_elses(&client, &alarm.name).await? {
            left.insert(alarm.name.clone());
            continue;
        }
        let dimensions = alarm.dimensions.iter().map(|(name, value)| Dimension::builder().name(name).value(value).build()).collect();
        let (comparison, periods) =
            if alarm.below_one { (ComparisonOperator::LessThanThreshold, 2) } else { (ComparisonOperator::GreaterThanOrEqualToThreshold, 1) };
        client
            .put_metric_alarm()
            .alarm_name(&alarm.name)
            .alarm_description(&alarm.description)
            .namespace(&alarm.namespace)
            .metric_name(&alarm.metric)
            .set_dimensions(Some(dimensions))
            .statistic(if alarm.below_one { Statistic::Minimum } else { Statistic::Maximum })
            .period(60)
            .evaluation_periods(periods)
            .datapoints_to_alarm(periods)
            .threshold(1.0)
            .comparison_operator(comparison)
            .treat_missing_data("ignore")
            .tags(Tag::builder().key(SERVICE_TAG).value(service).build())
            .tags(Tag::builder().key(MADE_BY.0).value(MADE_BY.1).build())
            .send()
            .await
            .map_err(failed("cloudwatch:PutMetricAlarm"))?;
    }
    Ok(left)
}

async fn is_somebody_elses(client: &aws_sdk_cloudwatch::Client, name: &str) -> Result<bool, Failed> {
    let described = client.describe_alarms().alarm_names(name).send().await.map_err(failed("cloudwatch:DescribeAlarms"))?;
    let Some(arn) = described.metric_alarms().first().and_then(|alarm| alarm.alarm_arn()) else { return Ok(!described.composite_alarms().is_empty()) };
    let tags = client.list_tags_for_resource().resource_arn(arn).send().await.map_err(failed("cloudwatch:ListTagsForResource"))?;
    Ok(!tags.tags().iter().any(|tag| (tag.key(), tag.value()) == (Some(MADE_BY.0), Some(MADE_BY.1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basecoat_has_an_alarm_on_the_probe_and_one_on_its_takeover() {
        let plan = muster_plan::load("basecoat.yaml", include_bytes!("../../../plans/basecoat.yaml")).plan.unwrap();
        let alarms = plan_alarms(&plan);
        let told: Vec<_> = alarms.iter().map(|alarm| (alarm.name.as_str(), alarm.metric.as_str(), alarm.below_one, alarm.dimensions.len())).collect();
        assert_eq!(told, [("basecoat-portal-primary-down", "PrimaryHealthy", true, 1), ("basecoat-portal-takeover", "Takeover", false, 2)]);
    }
}
