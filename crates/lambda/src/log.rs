//! Logs as JSON, one line each: what happened, how long it took, what could not be saved.

use std::io::Write;

use muster_core::{Duration, Entry, Failure, Timestamp};
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Span};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The namespace of the functions' own metrics.
const NAMESPACE: &str = "Muster/Functions";

/// Begins logging: Muster's own words from `level` on (the values of Lambda's `AWS_LAMBDA_LOG_LEVEL`), of libraries only warnings: below
/// them, the SDK's words can quote requests.
pub(crate) fn begin(level: Option<&str>) {
    let level = match level {
        Some("TRACE") => LevelFilter::TRACE,
        Some("DEBUG") => LevelFilter::DEBUG,
        Some("WARN") => LevelFilter::WARN,
        Some("ERROR" | "FATAL") => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    };
    // The runtime's layers would say every error once more.
    let said = Targets::new().with_default(Level::WARN).with_target("lambda_runtime::layers", LevelFilter::OFF).with_target("muster", level);
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(std::io::stdout);
    // A second begin in one process (tests) leaves the first in force.
    let _ = tracing_subscriber::registry().with(lines).with(said).try_init();
}

/// What every line of an invocation says: the function, the request, and of the event only which run and phase it is about.
pub(crate) fn invocation(function: &str, request_id: &str, event: &Value) -> Span {
    let run = event.pointer("/run/id").and_then(Value::as_str);
    let epoch = event.pointer("/run/epoch").and_then(Value::as_u64);
    let phase = event.pointer("/phase").and_then(Value::as_str);
    tracing::info_span!("invocation", function, request_id, run, epoch, phase)
}

/// Says how an invocation ended.
pub(crate) fn ended(result: &Result<Value, Failure>) {
    match result {
        Ok(progress) => {
            let detail = progress.get("detail").and_then(Value::as_str).unwrap_or_default();
            tracing::info!(outcome = outcome(result), "{detail}");
        }
        Err(failure) => tracing::error!(outcome = failure.error_type, "{}", failure.error_message),
    }
}

/// Leaves what the ledger's table did not take in the log, so that it can be filled in later: an entry a line, under `unsavedLedgerEntry`.
pub(crate) fn unsaved(entries: &[Entry]) {
    if entries.is_empty() {
        return;
    }
    tracing::error!(entries = entries.len(), "the ledger could not be written: its entries follow, one a line");
    for entry in entries {
        print(&json!({ "unsavedLedgerEntry": entry }));
    }
}

/// Leaves duration and outcome as metrics.
pub(crate) fn measure(function: &str, now: Timestamp, took: Duration, result: &Result<Value, Failure>) {
    print(&metrics(function, now, took, outcome(result)));
}

/// A line that CloudWatch makes metrics of. Source: "CloudWatch embedded metric format specification".
fn metrics(function: &str, now: Timestamp, took: Duration, outcome: &str) -> Value {
    json!({
        "_aws": {
            "Timestamp": now.as_millis(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Function"], ["Function", "Outcome"]],
                "Metrics": [{ "Name": "Duration", "Unit": "Milliseconds" }],
            }],
        },
        "Function": function,
        "Outcome": outcome,
        "Duration": took.as_millis(),
    })
}

/// `done`, `pending`, or the error's name.
fn outcome(result: &Result<Value, Failure>) -> &str {
    match result {
        Ok(progress) => progress.get("status").and_then(Value::as_str).unwrap_or("done"),
        Err(failure) => failure.error_type,
    }
}

fn print(line: &Value) {
    // A log that cannot be written stops nothing.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_and_dimension_that_the_line_announces_is_in_it() {
        let line = metrics("hold", Timestamp::from_millis(5), Duration::from_millis(12), "Muster.Refused");
        assert_eq!((line["_aws"]["Timestamp"].as_i64(), line["Duration"].as_u64(), line["Outcome"].as_str()), (Some(5), Some(12), Some("Muster.Refused")));
        let announced = &line["_aws"]["CloudWatchMetrics"][0];
        let dimensions = announced["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap());
        let names = announced["Metrics"].as_array().unwrap().iter().map(|metric| &metric["Name"]);
        for name in dimensions.chain(names) {
            assert!(line.get(name.as_str().unwrap()).is_some(), "{name}");
        }
    }
}
