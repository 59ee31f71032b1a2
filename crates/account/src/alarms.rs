//! The alarms on Muster's own metrics of a service: the one that starts its failover, those that its records' health checks follow, and the one
//! that pages when nobody verifies its backups any more.

use std::collections::BTreeSet;

use aws_sdk_cloudwatch::types::{ComparisonOperator, Dimension, Statistic, Tag};
use muster_actions::{BACKUP_PROBLEMS, NAMESPACE, PRIMARY_HEALTHY};
use muster_backups::schedules;
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
    /// When it goes off.
    pub rule: AlarmRule,
}

/// When an alarm goes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmRule {
    /// The metric is below 1 for two minutes. Its event starts a failover. While there is no data, it keeps its state: Muster's silence must not look
    /// like a dead region; `muster-blind` pages for it.
    BelowOne,
    /// The metric is 1. While there is no data, it keeps its state.
    One,
    /// Nothing was published for three hours. It pages, and says so when it is over.
    Silence,
}

/// The alarms of a plan.
///
/// The first of `triggers.alarms` watches the probe. The others are the operator's own.
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
        rule: AlarmRule::BelowOne,
    });
    let takeovers = plan.traffic.iter().filter_map(|record| match &record.method {
        TrafficMethod::TakeoverMetric { alarm: Some(alarm), namespace, metric, .. } => Some(AlarmPlan {
            name: alarm.clone(),
            description: format!("{}: the standby has taken over {}. A health check follows it; no action belongs here.", plan.service, record.record),
            namespace: namespace.clone(),
            metric: metric.clone(),
            dimensions: vec![service.clone(), ("Record".to_owned(), record.record.clone())],
            rule: AlarmRule::One,
        }),
        _ => None,
    });
    let is_verified = !schedules(plan).is_empty();
    let silence = is_verified.then(|| AlarmPlan {
        name: silence_of(plan.service.as_str()),
        description: format!(
            "{}: its backups have not been verified for three hours, so nobody knows whether they are there. See whether the schedules of the flow backup \
             fire, and how its last runs ended. After a first push it stands until the first hourly run.",
            plan.service
        ),
        namespace: NAMESPACE.to_owned(),
        metric: BACKUP_PROBLEMS.to_owned(),
        dimensions: vec![service.clone()],
        rule: AlarmRule::Silence,
    });
    probe.into_iter().chain(takeovers).chain(silence).collect()
}

/// It begins as no name does that starts a failover.
fn silence_of(service: &str) -> String {
    format!("muster-backups-silent-{service}")
}

/// Makes the alarms, or makes them anew, and removes the one on verified backups where the plan has none; returns the names of those that exist
/// already, were not made by `push`, and were left alone. Those that page tell `pages`, the ARN of a topic. Called twice, it changes nothing.
///
/// # Errors
/// CloudWatch cannot be asked.
pub async fn make_alarms(account: &Account, region: &Region, service: &str, pages: &str, alarms: &[AlarmPlan]) -> Result<BTreeSet<String>, Failed> {
    let client = aws_sdk_cloudwatch::Client::new(&account.in_region(region));
    let mut left = BTreeSet::new();
    let silence = silence_of(service);
    if alarms.iter().all(|alarm| alarm.name != silence) && !is_somebody_elses(&client, &silence).await? {
        // What does not exist is deleted without an error. Source: the API reference of CloudWatch, DeleteAlarms.
        client.delete_alarms().alarm_names(silence).send().await.map_err(failed("cloudwatch:DeleteAlarms"))?;
    }
    for alarm in alarms {
        if is_somebody_elses(&client, &alarm.name).await? {
            left.insert(alarm.name.clone());
            continue;
        }
        let dimensions = alarm.dimensions.iter().map(|(name, value)| Dimension::builder().name(name).value(value).build()).collect();
        let (statistic, comparison, seconds, periods, missing, paged) = match alarm.rule {
            AlarmRule::BelowOne => (Statistic::Minimum, ComparisonOperator::LessThanThreshold, 60, 2, "ignore", None),
            AlarmRule::One => (Statistic::Maximum, ComparisonOperator::GreaterThanOrEqualToThreshold, 60, 1, "ignore", None),
            AlarmRule::Silence => (Statistic::SampleCount, ComparisonOperator::LessThanThreshold, 3_600, 3, "breaching", Some(vec![pages.to_owned()])),
        };
        client
            .put_metric_alarm()
            .alarm_name(&alarm.name)
            .alarm_description(&alarm.description)
            .namespace(&alarm.namespace)
            .metric_name(&alarm.metric)
            .set_dimensions(Some(dimensions))
            .statistic(statistic)
            .period(seconds)
            .evaluation_periods(periods)
            .datapoints_to_alarm(periods)
            .threshold(1.0)
            .comparison_operator(comparison)
            .treat_missing_data(missing)
            .set_alarm_actions(paged.clone())
            .set_ok_actions(paged)
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
    fn basecoat_has_an_alarm_on_the_probe_one_on_its_takeover_and_one_on_the_silence_of_its_backups() {
        let plan = muster_plan::load("basecoat.yaml", include_bytes!("../../../plans/basecoat.yaml")).plan.unwrap();
        let alarms = plan_alarms(&plan);
        let told: Vec<_> = alarms.iter().map(|alarm| (alarm.name.as_str(), alarm.metric.as_str(), alarm.rule, alarm.dimensions.len())).collect();
        let wanted = [
            ("basecoat-portal-primary-down", "PrimaryHealthy", AlarmRule::BelowOne, 1),
            ("basecoat-portal-takeover", "Takeover", AlarmRule::One, 2),
            ("muster-backups-silent-basecoat-portal", "BackupProblems", AlarmRule::Silence, 1),
        ];
        assert_eq!(told, wanted);
        let bare = Plan { backups: Vec::new(), ..plan };
        assert_eq!(plan_alarms(&bare).len(), 2, "where there are no backups, nobody verifies them");
    }
}
