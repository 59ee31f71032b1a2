//! CloudWatch metrics: read and published in few calls.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricDatum, MetricStat, StatusCode};
use aws_smithy_types::DateTime;
use muster_core::ports::{Control, Datapoint, Ledger, MetricQuery, MetricValue, MetricWriter, Metrics};
use muster_core::{CallError, CallFault, Clock, Region, Timestamp};

use crate::Aws;
use crate::call::Target;
use crate::failure::{Failed, classify};

/// Source: the API reference of CloudWatch, GetMetricData ("up to 500 different metrics").
const QUERIES: usize = 500;

impl<X> Metrics for Aws<X> {
    async fn read_metrics(&self, region: &Region, queries: &[MetricQuery]) -> Result<Vec<Vec<Datapoint>>, CallError> {
        let mut series = Vec::with_capacity(queries.len());
        for some in queries.chunks(QUERIES) {
            series.extend(self.read_series(region, some).await?);
        }
        Ok(series)
    }
}

impl<X> Aws<X> {
    /// The series of as many queries as one call may carry.
    async fn read_series(&self, region: &Region, queries: &[MetricQuery]) -> Result<Vec<Vec<Datapoint>>, CallError> {
        let Some(since) = queries.iter().map(|query| query.since).min() else { return Ok(Vec::new()) };
        let named = queries.iter().take(1).map(|query| format!("{} {}", query.namespace, query.name)).collect::<String>();
        let target =
            Target::data("cloudwatch:GetMetricData", region, if queries.len() == 1 { named } else { format!("{named} and {} more", queries.len() - 1) });
        let now = self.now();
        let asked: Vec<MetricDataQuery> = queries.iter().enumerate().map(|(index, query)| asked(index, query)).collect();
        let mut answers: BTreeMap<String, Answer> = BTreeMap::new();
        let mut page: Option<String> = None;
        loop {
            let request = self
                .cloudwatch(region)
                .get_metric_data()
                .set_metric_data_queries(Some(asked.clone()))
                .start_time(DateTime::from_millis(since.as_millis()))
                .end_time(DateTime::from_millis(now.as_millis()))
                .scan_by(aws_sdk_cloudwatch::types::ScanBy::TimestampAscending)
                .set_next_token(page.take());
            let output = self.read(target.clone(), async { request.send().await.map_err(classify) }).await?;
            for result in output.metric_data_results() {
                let answer = answers.entry(result.id().unwrap_or_default().to_owned()).or_default();
                answer.points.extend(result.timestamps().iter().zip(result.values()).map(|(at, value)| (*at, *value)));
                answer.note(result.status_code(), result.messages().iter().filter_map(|message| message.value()).collect::<Vec<_>>().join("; "));
            }
            page = output.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if page.is_none() {
                break;
            }
        }
        let mut answered = |(index, query): (usize, &MetricQuery)| {
            let answer =
                answers.remove(&id(index)).ok_or_else(|| Failed::new(CallFault::Unavailable, format!("no answer about {} {}", query.namespace, query.name)))?;
            answer.series(query, now)
        };
        queries.iter().enumerate().map(&mut answered).collect::<Result<_, _>>().map_err(|failed| target.failed(failed))
    }
}

/// A query's name within one call: letters and digits, a small letter first.
fn id(index: usize) -> String {
    format!("q{index}")
}

fn asked(index: usize, query: &MetricQuery) -> MetricDataQuery {
    let metric = Metric::builder().namespace(&*query.namespace).metric_name(&*query.name).set_dimensions(Some(dimensions(&query.dimensions))).build();
    let period = i32::try_from(query.period.as_secs_ceil()).unwrap_or(i32::MAX);
    let statistic = MetricStat::builder().metric(metric).period(period).stat(&*query.statistic).build();
    MetricDataQuery::builder().id(id(index)).metric_stat(statistic).return_data(true).build()
}

fn dimensions(of: &BTreeMap<String, String>) -> Vec<Dimension> {
    of.iter().map(|(name, value)| Dimension::builder().name(name).value(value).build()).collect()
}

/// What CloudWatch answered to one query, over all pages.
#[derive(Debug, Default)]
struct Answer {
    points: Vec<(DateTime, f64)>,
    /// Nothing was left out.
    is_complete: bool,
    /// A page failed, whatever the later ones say.
    failed: Option<Failed>,
}

impl Answer {
    fn note(&mut self, status: Option<&StatusCode>, why: String) {
        // `PartialData` on a page with a successor only says that there is one.
        self.is_complete = status == Some(&StatusCode::Complete);
        let fault = match status {
            Some(StatusCode::Forbidden) => CallFault::Denied,
            Some(StatusCode::InternalError) => CallFault::Unavailable,
            _ => return,
        };
        self.failed = Some(Failed::new(fault, if why.is_empty() { "CloudWatch could not read this metric".to_owned() } else { why }));
    }

    /// The series, oldest first. Half an answer is none: it would be taken for a metric without data.
    fn series(self, query: &MetricQuery, now: Timestamp) -> Result<Vec<Datapoint>, Failed> {
        let named = |failed: Failed| Failed { message: format!("{} {}: {}", query.namespace, query.name, failed.message), ..failed };
        if let Some(failed) = self.failed {
            return Err(named(failed));
        }
        if !self.is_complete {
            return Err(named(Failed::new(CallFault::Unavailable, "the answer is not complete")));
        }
        let mut series: Vec<Datapoint> = self.points.iter().filter_map(|(began, value)| datapoint(query, *began, *value, now)).collect();
        series.sort_by_key(|point| point.at);
        Ok(series)
    }
}

/// CloudWatch dates a datapoint at the beginning of its period. The present period ends with the present: a figure from it is dated now.
fn datapoint(query: &MetricQuery, began: DateTime, value: f64, now: Timestamp) -> Option<Datapoint> {
    let ends = Timestamp::from_millis(began.to_millis().ok()?).after(query.period);
    // A sum over a part of a period is not yet the period's.
    let is_count = matches!(&*query.statistic, "Sum" | "SampleCount");
    if !value.is_finite() || ends < query.since || (is_count && ends > now) {
        return None;
    }
    Some(Datapoint { at: ends.min(now), milli: (value * 1_000.0).round() as i64 })
}

impl<X> MetricWriter for Aws<X>
where
    Aws<X>: Control + Ledger,
{
    async fn put_metrics(&self, region: &Region, namespace: &str, values: &[MetricValue], moves_traffic: bool) -> Result<(), CallError> {
        let Some(first) = values.first() else { return Ok(()) };
        let more = if values.len() > 1 { format!(" and {} more", values.len() - 1) } else { String::new() };
        let target = Target::data("cloudwatch:PutMetricData", region, format!("{namespace} {}{more}", first.name));
        let now = DateTime::from_millis(self.now().as_millis());
        let datum = |value: &MetricValue| {
            let datum = MetricDatum::builder().metric_name(&*value.name).set_dimensions(Some(dimensions(&value.dimensions))).timestamp(now);
            datum.value(value.milli as f64 / 1_000.0).build()
        };
        let request = self.cloudwatch(region).put_metric_data().namespace(namespace).set_metric_data(Some(values.iter().map(datum).collect()));
        let send = async { request.send().await.map(drop).map_err(classify) };
        // What is in force already is only repeated, by a probe that belongs to no run.
        if moves_traffic { self.mutate(target, send).await } else { self.books(target, send).await }
    }
}

#[cfg(test)]
mod tests;
