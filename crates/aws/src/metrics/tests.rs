use muster_core::Duration;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Sent, cbor_answer, world};

fn query(name: &str, statistic: &str, since: Timestamp) -> MetricQuery {
    MetricQuery {
        namespace: "AWS/RDS".into(),
        name: name.into(),
        dimensions: [("DBInstanceIdentifier".to_owned(), "replica".to_owned())].into(),
        statistic: statistic.into(),
        period: Duration::from_mins(1),
        since,
    }
}

fn at_second(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

fn result(id: &str, status: &str, points: &[(i64, f64)]) -> Value {
    let times: Vec<String> = points.iter().map(|(second, _)| format!("@{second}")).collect();
    let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    json!({ "Id": id, "Label": id, "Timestamps": times, "Values": values, "StatusCode": status })
}

fn region() -> Region {
    "us-west-2".parse().unwrap()
}

/// Reads with a CloudWatch that answers one page after the other.
async fn read(queries: &[MetricQuery], pages: Vec<Value>) -> (Result<Vec<Vec<Datapoint>>, CallError>, Vec<Sent>) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let (world, wire) = world(move |_| {
        let page = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Some(cbor_answer(200, &pages[page]))
    });
    let series = world.read_metrics(&region(), queries).await;
    (series, wire.sent())
}

#[tokio::test]
async fn a_datapoint_is_dated_at_the_end_of_its_period_and_counted_in_thousandths() {
    let queries = [query("ReplicaLag", "Maximum", at_second(1_600)), query("CPUUtilization", "p99", at_second(1_600))];
    let page = json!({ "MetricDataResults": [
        result("q1", "Complete", &[(1_620, 12.3456)]),
        result("q0", "Complete", &[(1_680, -1.0), (1_620, 0.0004), (1_560, 2.5)]),
    ] });
    let (series, sent) = read(&queries, vec![page]).await;
    let lag =
        vec![Datapoint { at: at_second(1_620), milli: 2_500 }, Datapoint { at: at_second(1_680), milli: 0 }, Datapoint { at: at_second(1_740), milli: -1_000 }];
    assert_eq!(series.unwrap(), [lag, vec![Datapoint { at: at_second(1_680), milli: 12_346 }]], "in the order of the queries, oldest first");
    let [sent] = sent.as_slice() else { panic!("{sent:?}") };
    for wanted in ["ReplicaLag", "CPUUtilization", "Maximum", "p99", "DBInstanceIdentifier", "TimestampAscending"] {
        assert!(sent.body.contains(wanted), "{wanted}");
    }
    assert!(sent.uri.ends_with("/operation/GetMetricData"), "{}", sent.uri);
}

#[tokio::test]
async fn a_period_is_asked_for_as_it_is_wanted_and_a_datapoint_is_dated_at_its_end() {
    let of_five_minutes = MetricQuery { period: Duration::from_mins(5), ..query("HTTPCode_Target_5XX_Count", "Sum", at_second(600)) };
    let page = json!({ "MetricDataResults": [result("q0", "Complete", &[(600, 7.0), (900, 8.0)]), result("q1", "Complete", &[(900, 1.0)])] });
    let (series, sent) = read(&[of_five_minutes, query("ReplicaLag", "Maximum", at_second(600))], vec![page]).await;
    let counts = vec![Datapoint { at: at_second(900), milli: 7_000 }, Datapoint { at: at_second(1_200), milli: 8_000 }];
    assert_eq!(series.unwrap(), [counts, vec![Datapoint { at: at_second(960), milli: 1_000 }]]);
    // In CBOR, 300 is 19 01 2C and 60 is 18 3C.
    for period in ["Period\u{19}\u{1}\u{2c}", "Period\u{18}\u{3c}"] {
        assert!(sent[0].body.contains(period), "{:?}", sent[0].body);
    }
}

#[tokio::test]
async fn a_series_over_several_pages_is_one() {
    let first = json!({ "MetricDataResults": [result("q0", "PartialData", &[(1_620, 1.0)])], "NextToken": "more" });
    let last = json!({ "MetricDataResults": [result("q0", "Complete", &[(1_680, 2.0)])] });
    let (series, sent) = read(&[query("ReplicaLag", "Maximum", at_second(0))], vec![first, last]).await;
    assert_eq!(series.unwrap()[0].iter().map(|point| point.milli).collect::<Vec<_>>(), [1_000, 2_000]);
    assert!(!sent[0].body.contains("more") && sent[1].body.contains("more"));
}

#[tokio::test]
async fn half_an_answer_is_an_error_and_never_a_metric_without_data() {
    let asked = [query("ReplicaLag", "Maximum", at_second(0))];
    for (page, fault) in [
        (json!({ "MetricDataResults": [result("q0", "PartialData", &[(1_620, 1.0)])] }), CallFault::Unavailable),
        (json!({ "MetricDataResults": [result("q0", "InternalError", &[])] }), CallFault::Unavailable),
        (json!({ "MetricDataResults": [result("q0", "SomethingNew", &[])] }), CallFault::Unavailable),
        (json!({ "MetricDataResults": [result("q0", "Forbidden", &[])] }), CallFault::Denied),
        (json!({ "MetricDataResults": [] }), CallFault::Unavailable),
    ] {
        let error = read(&asked, vec![page.clone()]).await.0.unwrap_err();
        assert!(error.fault == fault && error.message.contains("AWS/RDS ReplicaLag"), "{page}: {error}");
    }
    let first = json!({ "MetricDataResults": [result("q0", "InternalError", &[])], "NextToken": "more" });
    let last = json!({ "MetricDataResults": [result("q0", "Complete", &[(1_680, 2.0)])] });
    assert_eq!(read(&asked, vec![first, last]).await.0.unwrap_err().fault, CallFault::Unavailable, "a page is missing");
    let empty = json!({ "MetricDataResults": [result("q0", "Complete", &[])] });
    assert_eq!(read(&asked, vec![empty]).await.0.unwrap(), [[]], "no datapoint is an answer");
}

#[tokio::test]
async fn more_queries_than_a_call_may_carry_are_several_calls() {
    let queries: Vec<MetricQuery> = (0..501).map(|index| query(&format!("Metric{index}"), "Maximum", at_second(0))).collect();
    let page = |count: usize, value: f64| json!({ "MetricDataResults": (0..count).map(|index| result(&format!("q{index}"), "Complete", &[(60, value)])).collect::<Vec<_>>() });
    let (series, sent) = read(&queries, vec![page(500, 1.0), page(1, 2.0)]).await;
    let series = series.unwrap();
    assert_eq!((series.len(), sent.len(), series[499][0].milli, series[500][0].milli), (501, 2, 1_000, 2_000));
    assert!(sent[0].body.contains("Metric499") && !sent[0].body.contains("Metric500") && sent[1].body.contains("Metric500"));
    assert_eq!(read(&[], Vec::new()).await.1.len(), 0, "no query is no call");
}

#[test]
fn a_figure_from_the_present_minute_is_dated_now_and_a_sum_of_half_a_minute_is_none() {
    let began = DateTime::from_secs(1_620);
    let now = at_second(1_650);
    let since = at_second(1_600);
    assert_eq!(datapoint(&query("ReplicaLag", "Maximum", since), began, 3.0, now), Some(Datapoint { at: now, milli: 3_000 }));
    for statistic in ["Sum", "SampleCount"] {
        assert_eq!(datapoint(&query("RequestCount", statistic, since), began, 3.0, now), None);
        assert_eq!(datapoint(&query("RequestCount", statistic, since), began, 3.0, at_second(1_680)).map(|point| point.at), Some(at_second(1_680)));
    }
}

#[test]
fn what_ended_before_the_window_or_is_no_number_is_left_out() {
    let asked = query("ReplicaLag", "Maximum", at_second(1_681));
    assert_eq!(datapoint(&asked, DateTime::from_secs(1_620), 1.0, at_second(2_000)), None);
    assert_eq!(datapoint(&asked, DateTime::from_secs(1_680), f64::NAN, at_second(2_000)), None);
    assert!(datapoint(&asked, DateTime::from_secs(1_680), 1.0, at_second(2_000)).is_some());
}

#[tokio::test]
async fn a_value_that_only_repeats_what_is_in_force_needs_no_run_and_one_that_moves_traffic_does() {
    let (world, wire) = world(|_| Some(cbor_answer(200, &json!({}))));
    let dimensions = [("Service".to_owned(), "portal".to_owned()), ("Record".to_owned(), "portal.example.com".to_owned())].into();
    let value = |dimensions: &BTreeMap<String, String>| MetricValue { name: "Takeover".into(), dimensions: dimensions.clone(), milli: 1_000 };
    world.put_metrics(&region(), "Muster", &[value(&dimensions)], false).await.unwrap();
    let sent = wire.only();
    assert!(sent.uri.ends_with("/operation/PutMetricData"), "{}", sent.uri);
    for wanted in ["Muster", "Takeover", "Service", "portal", "Record", "portal.example.com"] {
        assert!(sent.body.contains(wanted), "{wanted}");
    }
    let error = world.put_metrics(&region(), "Muster", &[value(&dimensions)], true).await.unwrap_err();
    assert_eq!((error.fault, wire.sent().len()), (CallFault::Halted, 1), "{error}");
    world.put_metrics(&region(), "Muster", &[], true).await.unwrap();
    assert_eq!(wire.sent().len(), 1, "nothing to publish is no call");
    let others: Vec<MetricValue> = ["a.example.com", "b.example.com"].map(|record| value(&[("Record".to_owned(), record.to_owned())].into())).into();
    world.put_metrics(&region(), "Muster", &others, false).await.unwrap();
    let sent = wire.sent().pop().unwrap();
    assert!(wire.sent().len() == 2 && sent.body.contains("a.example.com") && sent.body.contains("b.example.com"), "many values are one call");
}
