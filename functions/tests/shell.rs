//! The functions as Lambda runs them: an event in, an answer or an error out, and what is left in the log.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

mod support;

use serde_json::{Value, json};
use support::{Lambda, Request};

const SWEEP_DECISIONS: &str = env!("CARGO_BIN_EXE_sweep-decisions");
const NOTIFY: &str = env!("CARGO_BIN_EXE_notify");

/// An empty table and an empty bucket.
fn nothing(request: &Request) -> Option<(u16, String)> {
    Some(match request.target.as_str() {
        "" => (404, "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>".to_owned()),
        _ => (200, "{}".to_owned()),
    })
}

fn event_of_a_run() -> Value {
    json!({
        "run": {
            "id": "portal.region-failover.8", "service": "portal", "flow": "region-failover", "epoch": 8, "lane": "recover",
            "openedAt": "2026-11-20T02:00:00Z", "deadline": "2026-11-20T10:00:00Z",
            "plan": { "key": "plans/portal.json", "version": "v1", "sha256": "0".repeat(64) },
            "overrides": [], "waits": { "decisionSeconds": 900, "holdSeconds": 3600 },
        },
        "phase": "Notify",
    })
}

fn metrics(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line.get("_aws").is_some()).collect()
}

#[test]
fn an_event_goes_in_and_its_progress_comes_out() {
    let lambda = Lambda::start(nothing);
    let function = lambda.function(SWEEP_DECISIONS);
    for _ in 0..2 {
        lambda.send(&json!({}));
        let (what, body) = lambda.answer();
        assert_eq!((what.as_str(), &body["status"], &body["detail"]), ("response", &json!("done"), &json!("0 answered")));
    }
    lambda.send(&json!({}));
    lambda.answer();
    let (lines, _) = function.kill();
    let measured = metrics(&lines);
    assert!(measured.len() >= 2, "{lines:?}");
    assert_eq!((&measured[0]["Function"], &measured[0]["Outcome"]), (&json!("sweep-decisions"), &json!("done")));
    assert!(measured[0]["Duration"].is_u64());
    assert_eq!(measured[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Muster/Functions");
}

#[test]
fn an_error_comes_out_with_the_name_that_the_state_machines_know() {
    let lambda = Lambda::start(|request| match request.target.as_str() {
        "Query" => Some((400, r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}"#.to_owned())),
        _ => nothing(request),
    });
    let _function = lambda.function(SWEEP_DECISIONS);
    lambda.send(&json!({}));
    let (what, body) = lambda.answer();
    assert_eq!((what.as_str(), &body["errorType"]), ("error", &json!("Muster.Transient")));
    assert!(body["errorMessage"].as_str().is_some_and(|text| text.contains("dynamodb:Query") && text.contains("slow down")), "{body}");

    lambda.send(&json!({ "service": "portal" }));
    let (what, body) = lambda.answer();
    assert_eq!((what.as_str(), &body["errorType"]), ("error", &json!("Muster.Invalid")));
}

#[test]
fn what_the_ledger_did_not_take_is_in_the_log_and_no_secret_or_event_is() {
    let lambda = Lambda::start(|request| match request.target.as_str() {
        "BatchWriteItem" => Some((400, r#"{"__type":"AccessDeniedException","message":"no"}"#.to_owned())),
        _ => nothing(request),
    });
    let function = lambda.function(NOTIFY);
    let mut event = event_of_a_run();
    event["run"]["overrides"] = json!([{ "kind": "check", "phase": "VerifyData", "by": "Ada", "reason": "a-word-of-the-event" }]);
    lambda.send(&event);
    let (what, body) = lambda.answer();
    assert_eq!((what.as_str(), &body["errorType"]), ("error", &json!("Muster.Permanent")));
    // The next answer comes after everything about this one is written.
    lambda.send(&json!({}));
    lambda.answer();
    let (lines, all) = function.kill();
    let entries: Vec<&Value> = lines.iter().filter_map(|line| line.get("unsavedLedgerEntry")).collect();
    assert_eq!(entries.iter().map(|entry| entry["entry"].as_str().unwrap()).collect::<Vec<_>>(), ["began", "ended"]);
    let invocation = entries[0]["invocation"].as_str().unwrap();
    assert!(invocation.len() == 13 + "-request-1".len() && invocation.ends_with("-request-1"), "{invocation}");
    let said = lines.iter().find(|line| line["outcome"] == "Muster.Permanent").unwrap();
    for (name, value) in [
        ("function", json!("notify")),
        ("run", json!("portal.region-failover.8")),
        ("epoch", json!(8)),
        ("phase", json!("Notify")),
        ("request_id", json!("request-1")),
    ] {
        assert_eq!(said["span"][name], value, "{said}");
    }
    for secret in ["nobody-logs", "a-word-of-the-event"] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[test]
fn a_function_that_is_killed_in_a_call_leaves_the_event_to_the_next_one() {
    let lambda = Lambda::start(|request| (request.target != "Query").then(|| nothing(request)).flatten());
    let killed = lambda.function(SWEEP_DECISIONS);
    lambda.send(&json!({}));
    let asked = lambda.asked.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
    assert_eq!(asked.target, "Query");
    killed.kill();

    let lambda = Lambda::start(nothing);
    let _next = lambda.function(SWEEP_DECISIONS);
    lambda.send(&json!({}));
    assert_eq!(lambda.answer().1["status"], "done");
}

#[test]
fn a_function_without_its_settings_says_which_one_is_missing() {
    let ended = std::process::Command::new(NOTIFY).env_clear().env("MUSTER_TABLE", "table").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("MUSTER_BUCKET is not set"), "{said}");
}
