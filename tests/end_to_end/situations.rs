//! The estates on which policies are tried, and what each function is asked there: together, every call that its policy is for.

use std::sync::Arc;

use muster_actions::samples_of_lag;
use muster_core::ports::{Answer, Clones, Decisions, Notes, Question, Reading, Sample, Samples};
use muster_core::{Clock, Duration, Run};
use serde_json::{Value, json};

use crate::stack::Stack;

/// An execution that nobody knows any more, of the stack's own flow: whose run it was, has been abandoned.
const EXECUTION: &str = "arn:aws:states:us-west-2:123456789012:execution:muster-live-region-failover:forgotten";

/// What a function is asked, on which estate.
pub(crate) struct Situation {
    /// The estate, by the name under which it is kept.
    pub(crate) estate: &'static str,
    pub(crate) event: Value,
    /// A call that is refused for a moment.
    pub(crate) throttled: Option<&'static str>,
    /// What the answer contains when nothing is denied: a verdict, a detail, an error.
    pub(crate) answered: &'static str,
}

/// What the plan has beside the stack's own: records of every kind that the policies speak of, and a source that is an alarm.
const MORE: [(&str, &str); 2] = [
    (
        "traffic:\n",
        "traffic:
  - record: old.basecoat.test
    zone: ZONE
    method: {kind: upsertAlias, primary: {dnsName: portal-primary.basecoat.test, zone: ZONE}, standby: {dnsName: portal-standby.basecoat.test, zone: ZONE}}
    ttl: 5s
    primary: {url: \"PRIMARY/health\"}
    standby: {url: \"STANDBY/health\"}
  - record: six.basecoat.test
    zone: ZONE
    method: {kind: upsertAlias, recordType: AAAA, primary: {dnsName: portal-primary.basecoat.test, zone: ZONE}, standby: {dnsName: portal-standby.basecoat.test, zone: ZONE}}
    ttl: 5s
    primary: {url: \"PRIMARY/health\"}
    standby: {url: \"STANDBY/health\"}
  - record: own.basecoat.test
    zone: ZONE
    method: {kind: takeoverMetric, healthCheck: 6f1b0a52-5f0e-4c53-9d5d-0c1a2b3c4d5e, namespace: Muster/Portal}
    ttl: 5s
    primary: {url: \"PRIMARY/health\"}
    standby: {url: \"STANDBY/health\"}
  - record: plain.basecoat.test
    zone: ZONE
    method: {kind: takeoverMetric, healthCheck: 6f1b0a52-5f0e-4c53-9d5d-0c1a2b3c4d5e}
    ttl: 5s
    primary: {url: \"PRIMARY/health\"}
    standby: {url: \"STANDBY/health\"}
",
    ),
    ("    for: 5s\n", "      - {kind: alarm, name: seen-by-witness, alarm: basecoat-portal-witness, region: witness}\n    for: 5s\n"),
];

/// The runs that are open on most estates.
pub(crate) struct Runs {
    pub(crate) failover: Run,
    pub(crate) backup: Run,
    pub(crate) proof: Run,
}

/// Prepares every estate, each kept under its name.
pub(crate) async fn prepare(stack: &Stack) -> Runs {
    let plan = stack.plan();
    let zone = &plan.traffic[0].zone;
    let fill = |text: &str| text.replace("ZONE", zone).replace("PRIMARY", &stack.text("/urls/primary")).replace("STANDBY", &stack.text("/urls/standby"));
    let more = MORE.map(|(from, to)| (from, fill(to)));
    let mut changes: Vec<(&str, &str)> = more.iter().map(|(from, to)| (*from, to.as_str())).collect();
    stack.push(&changes);
    fall_ill(stack).await;
    keep(stack, "fresh");
    // The primary answers 503: nothing serves behind its load balancer. Its alarm has stood for a while, and nobody has heard of it.
    size(stack, "/regions/primary", "basecoat-portal-asg", 0).await;
    // The failover that the probe starts for it is refused: nothing happens behind a trial's back.
    ask(stack, "set-kill-switch", &json!({ "stop": true, "by": "Ann", "reason": "only the probe is looked at" }));
    stack.control("/unheard", Some(&json!({ "alarm": stack.text("/alarm"), "region": stack.text("/regions/standby"), "seconds": 200 })));
    keep(stack, "down");
    restore(stack, "fresh");

    let run = open(stack, "region-failover");
    // From here on another version of the plan is in force than the run was opened with.
    changes.push(("rto: 30m", "rto: 31m"));
    stack.push(&changes);
    an_outage_was_seen(stack, &run).await;
    keep(stack, "open");

    for (function, phase, request) in TOUCHES {
        ask(stack, function, &in_run(&run, phase, request));
    }
    // The datastore takes a second: what is kept before that has nothing to be undone.
    while ask(stack, "failover-cache", &in_run(&run, "FailoverCache", "{}"))["status"] != "done" {
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    keep(stack, "touched");
    restore(stack, "open");

    ask(stack, "close-run", &closing(&run, "succeeded"));
    keep(stack, "closed");
    restore(stack, "open");

    let now = stack.aws.now();
    put(stack, &run, "failover", &["proceed", "veto", "standDown"]).await;
    put(stack, &run, "Preflight/1", &["retry", "skip", "abort"]).await;
    keep(stack, "asked");
    stack.aws.open_window(&run.id, "failover", now.before(Duration::from_mins(2))).await.unwrap();
    keep(stack, "overdue");
    restore(stack, "asked");
    for (name, choice) in [("failover", "veto"), ("Preflight/1", "skip")] {
        let answer = Answer { choice: choice.into(), by: "Ann".into(), reason: "for a reason".into(), at: now, overrides: Vec::new() };
        stack.aws.answer(&run.id, name, &answer).await.unwrap();
    }
    keep(stack, "answered");
    restore(stack, "open");

    stack.aws.note(&run.id.0, "fencing/portal-db", &json!("accepted")).await.unwrap();
    stack.aws.note("service/basecoat-portal", "fenceDebt/portal-db", &json!({ "run": run, "since": now })).await.unwrap();
    keep(stack, "accepted");
    ask(stack, "scale-compute", &in_run(&run, "ScaleCompute", r#"{"stage": "serving"}"#));
    while ask(stack, "promote-replica", &in_run(&run, "PromoteReplica", "{}"))["status"] != "done" {
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    keep(stack, "promoted");
    restore(stack, "fresh");
    let backup = prepare_backups(stack).await;
    restore(stack, "copied");
    let proof = prepare_proofs(stack).await;
    Runs { failover: run, backup, proof }
}

/// Opens a run of a flow, as its state machine does.
fn open(stack: &Stack, flow: &str) -> Run {
    let execution = EXECUTION.replace("region-failover", flow);
    let opened = ask(stack, "open-run", &json!({ "flow": flow, "execution": execution, "input": stack.order() }));
    serde_json::from_value(opened["output"]["run"].clone()).unwrap_or_else(|error| panic!("{error}: {opened}"))
}

/// Estates with a run of the flow `restore-test`: before its clone is there, with it, with one that failed, with one whose lease is over; and with
/// a mark that a run has left.
async fn prepare_proofs(stack: &Stack) -> Run {
    let there = &stack.plan().regions.standby;
    let copy = stack.snapshots(there).await.into_iter().max_by_key(|copy| copy.taken_at).unwrap();
    stack.tag(there, "snapshot", &copy.name, "muster:used-by", "basecoat-portal.restore-test.1").await;
    keep(stack, "marked");
    restore(stack, "copied");
    let run = open(stack, "restore-test");
    keep(stack, "proving");
    while ask(stack, "restore-clone", &in_run(&run, "RestoreClone", "{}"))["status"] != "done" {
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    keep(stack, "restored");
    prepare_a_dump(stack, &run).await;
    restore(stack, "restored");
    let clone = stack.aws.list_clones(there).await.unwrap().remove(0);
    stack.end_lease(&clone).await;
    keep(stack, "lease over");
    restore(stack, "restored");
    stack.control("/instance", Some(&json!({ "region": there, "name": clone.name, "status": "incompatible-restore" })));
    keep(stack, "restored in vain");
    // The clone goes, and the mark stays: it is taken off when the clone is gone.
    stack.control("/instance", Some(&json!({ "region": there, "name": clone.name, "status": "gone" })));
    keep(stack, "clone gone");
    run
}

const OF_DUMP: &str = r#"{"parts": ["backups.portal-db-dump"]}"#;

/// Estates with a server for a dump, and with the dump loaded into it.
async fn prepare_a_dump(stack: &Stack, run: &Run) {
    let there = &stack.plan().regions.standby;
    let dump = json!({ "from": stack.plan().regions.primary, "region": there, "bucket": "basecoat-portal-dumps-dr", "key": "nightly/whole.dump" });
    stack.control("/dump", Some(&dump));
    for (function, phase, kept) in [("restore-clone", "RestoreClone", "server for a dump"), ("load-dump", "LoadDump", "dump loaded")] {
        let mut answer = json!({});
        while answer["status"] != "done" {
            let mut event = in_run(run, phase, OF_DUMP);
            event["last"] = if answer["status"] == "pending" { answer } else { json!(null) };
            answer = ask(stack, function, &event);
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        keep(stack, kept);
    }
}

/// Estates with a run of the flow `backup`: one without any snapshot, and one with every kind of them in both regions.
async fn prepare_backups(stack: &Stack) -> Run {
    let run = open(stack, "backup");
    keep(stack, "nothing taken");
    ask(stack, "take-backup", &in_run(&run, "TakeBackup", "{}"));
    keep(stack, "taken");
    ask(stack, "copy-backup", &in_run(&run, "CopyBackup", "{}"));
    // An hour old, and two newer ones beside them: the retention wants the newest two.
    for hours in 1..=3 {
        snapshot(stack, &format!("old-{hours}"), hours * 3_600, "available").await;
    }
    keep(stack, "copied");
    // An invocation that had no time for all of it has left what it had read.
    let read = json!({ "since": run.opened_at, "answers": {}, "failures": {} });
    stack.aws.note(&run.id.0, "survey/asked", &read).await.unwrap();
    keep(stack, "half surveyed");
    restore(stack, "copied");
    snapshot(stack, "failed", 3_600, "failed").await;
    keep(stack, "failed");
    run
}

/// A snapshot of Muster's in both regions, as if it had been made some time ago.
async fn snapshot(stack: &Stack, name: &str, seconds: u64, status: &str) {
    let plan = stack.plan();
    let region = |region: &muster_core::Region| aws_types::region::Region::new(region.to_string());
    let client = |at| aws_sdk_rds::Client::from_conf(aws_sdk_rds::config::Builder::from(&stack.sdk).region(region(at)).build());
    let tag = |(key, value): (&str, &str)| aws_sdk_rds::types::Tag::builder().key(key).value(value).build();
    let tags: Vec<_> = [("muster:service", plan.service.as_str()), ("muster:backup", "portal-db-snapshots")].into_iter().map(tag).collect();
    let (here, there) = (&plan.regions.primary, &plan.regions.standby);
    let made = client(here).create_db_snapshot().db_instance_identifier(&plan.databases[0].primary).db_snapshot_identifier(name).set_tags(Some(tags.clone()));
    let arn = made.send().await.unwrap().db_snapshot.unwrap().db_snapshot_arn.unwrap();
    client(there)
        .copy_db_snapshot()
        .source_db_snapshot_identifier(arn)
        .target_db_snapshot_identifier(name)
        .kms_key_id("alias/basecoat-portal")
        .set_tags(Some(tags))
        .send()
        .await
        .unwrap();
    for region in [here, there] {
        stack.control("/snapshot", Some(&json!({ "region": region, "name": name, "seconds": seconds, "status": status })));
    }
}

/// What a run does before its first promotion, and can undo.
const TOUCHES: [(&str, &str, &str); 4] = [
    ("fence-database", "FenceDatabase", "{}"),
    ("failover-cache", "FailoverCache", "{}"),
    ("scale-compute", "ScaleCompute", r#"{"stage": "serving"}"#),
    ("update-configuration", "UpdateConfiguration", r#"{"stage": "all"}"#),
];

/// One instance of the standby's group is not healthy.
async fn fall_ill(stack: &Stack) {
    let group = "basecoat-portal-asg-dr";
    size(stack, "/regions/standby", group, 1).await;
    let client = aws_sdk_autoscaling::Client::new(&stack.sdk);
    let seen = client.describe_auto_scaling_groups().auto_scaling_group_names(group).send().await.unwrap();
    let instance = seen.auto_scaling_groups()[0].instances()[0].instance_id().unwrap().to_owned();
    client.set_instance_health().instance_id(instance).health_status("Unhealthy").send().await.unwrap();
}

async fn size(stack: &Stack, region: &str, group: &str, desired: i32) {
    let region = aws_types::region::Region::new(stack.text(region));
    let client = aws_sdk_autoscaling::Client::from_conf(aws_sdk_autoscaling::config::Builder::from(&stack.sdk).region(region).build());
    client.update_auto_scaling_group().auto_scaling_group_name(group).min_size(0).desired_capacity(desired).send().await.unwrap();
}

/// Every source has failed for a minute, and the lag was known before.
async fn an_outage_was_seen(stack: &Stack, run: &Run) {
    let plan = stack.plan();
    let now = stack.aws.now();
    let since = now.before(Duration::from_mins(1));
    let sample = |at, source: &str, reading| Sample { at, vantage: plan.regions.witness.clone(), source: source.into(), reading };
    let failing = |at, source| sample(at, source, Reading::Failing { why: "no answer".into() });
    let lags = [("portal-db".into(), Duration::from_millis(200))].into();
    let lag = sample(since.before(Duration::from_secs(30)), "replica-lag", Reading::Lags { lags });
    let mut samples = Vec::new();
    for source in &plan.triggers.confirm.of {
        samples.extend([since, now].map(|at| failing(at, source.name().as_str())));
    }
    stack.aws.put_samples(plan.service.as_str(), &samples).await.unwrap();
    stack.aws.put_samples(&samples_of_lag(plan.service.as_str()), &[lag]).await.unwrap();
    stack.aws.note_once(&run.id.0, "outageSince", &json!(since)).await.unwrap();
}

async fn put(stack: &Stack, run: &Run, name: &str, choices: &[&str]) {
    let question = Question {
        run: run.id.clone(),
        service: run.service.clone(),
        name: name.into(),
        choices: choices.iter().map(|choice| Arc::from(*choice)).collect(),
        default: choices[0].into(),
        asked_at: stack.aws.now(),
        deadline: None,
        token: "a token that nobody waits for".into(),
        answer: None,
    };
    stack.aws.ask(&question).await.unwrap();
}

fn keep(stack: &Stack, name: &str) {
    stack.control("/keep", Some(&json!({ "name": name })));
}

/// The estate as it was when it was kept.
pub(crate) fn restore(stack: &Stack, name: &str) {
    stack.control("/restore", Some(&json!({ "name": name })));
}

/// One invocation that has to succeed.
pub(crate) fn ask(stack: &Stack, function: &str, event: &Value) -> Value {
    let answered =
        stack.control("/invoke", Some(&json!({ "function": format!("muster-live-{function}"), "region": stack.text("/regions/standby"), "event": event })));
    assert_eq!(answered["failed"], false, "{function}: {answered}");
    answered["answer"].clone()
}

/// What the state machine sends.
fn in_run(run: &Run, phase: &str, request: &str) -> Value {
    json!({ "run": run, "phase": phase, "request": serde_json::from_str::<Value>(request).unwrap() })
}

/// What it sends when the phase was pending before.
fn again(run: &Run, phase: &str) -> Value {
    let last = json!({ "status": "pending", "retryAfterSeconds": 1, "detail": "", "phase": phase, "since": run.opened_at });
    json!({ "run": run, "phase": phase, "last": last, "request": {} })
}

fn closing(run: &Run, outcome: &str) -> Value {
    in_run(run, "CloseRun", &json!({ "outcome": outcome, "execution": EXECUTION }).to_string())
}

/// What a function is asked, once on each estate; empty for a function that this test does not know.
pub(crate) fn situations(function: &str, runs: &Runs, stack: &Stack) -> Vec<Situation> {
    let run = &runs.failover;
    let on = |estate, event, answered| Situation { estate, event, throttled: None, answered };
    let phase = |estate, phase: &str, request: &str, answered| on(estate, in_run(run, phase, request), answered);
    let late = Run { deadline: run.opened_at, ..run.clone() };
    let hold = |token: &str| format!(r#"{{"phase": "Preflight", "error": "Muster.Refused", "cause": "a quota", "question": "Preflight/1"{token}}}"#);
    let token = r#", "token": "a token""#;
    match function {
        "muster-live-open-run" => {
            let opening = |input: Value| json!({ "flow": "region-failover", "execution": format!("{EXECUTION}-later"), "input": input });
            let alarm = json!({ "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "detail": { "alarmName": stack.text("/alarm"), "state": { "value": "ALARM" } } });
            vec![on("fresh", opening(alarm), "opened"), on("open", opening(stack.order()), "closed run")]
        }
        "muster-live-close-run" => vec![
            on("open", closing(run, "succeeded"), "lock released"),
            on("closed", closing(run, "succeeded"), "lock released"),
            on("open", closing(run, "failed"), "lock released"),
        ],
        "muster-live-confirm-outage" => vec![phase("open", "ConfirmOutage", "{}", "confirmed")],
        "muster-live-preflight" => {
            vec![phase("open", "Preflight", "{}", "as the failover needs them"), on("open", in_run(&late, "Preflight", "{}"), "deadline passed")]
        }
        "muster-live-request-decision" => vec![
            phase("open", "RequestDecision", r#"{"token": "a token"}"#, "waiting for an answer"),
            phase("answered", "RequestDecision", r#"{"token": "a token"}"#, "veto"),
            phase("answered", "SettleDecision", "{}", "veto"),
        ],
        "muster-live-hold" => vec![
            phase("open", "HoldPreflight", &hold(token), "waiting for an answer"),
            phase("answered", "HoldPreflight", &hold(token), "skip"),
            phase("answered", "SettlePreflightHold", &hold(""), "skip"),
        ],
        "muster-live-fence-database" => {
            vec![phase("open", "FenceDatabase", "{}", "being fenced"), phase("open", "LookAtPrimary", r#"{"look": true}"#, "answers")]
        }
        "muster-live-promote-replica" => vec![
            phase("accepted", "PromoteReplica", "{}", "promot"),
            phase("promoted", "PromoteReplica", "{}", "promoted"),
            Situation { throttled: Some("rds:PromoteReadReplica"), ..phase("accepted", "PromoteReplica", "{}", "Muster.Transient") },
        ],
        "muster-live-failover-cache" => vec![phase("open", "FailoverCache", "{}", "portal-cache")],
        "muster-live-scale-compute" => vec![
            phase("open", "ScaleCompute", r#"{"stage": "serving"}"#, "asked for 3 instances"),
            phase("open", "StartBackground", r#"{"stage": "background"}"#, "asked for"),
        ],
        "muster-live-update-configuration" => vec![phase("promoted", "UpdateConfiguration", r#"{"stage": "all"}"#, "configured")],
        "muster-live-verify-data" => {
            vec![phase("promoted", "VerifyData", "{}", "sound"), on("promoted", in_run(&late, "VerifyData", "{}"), "deadline passed")]
        }
        "muster-live-verify-health" => vec![
            phase("promoted", "VerifyPublic", r#"{"through": "public"}"#, "pending"),
            phase("promoted", "Stabilize", r#"{"through": "stabilization"}"#, "healthy"),
            on("promoted", in_run(&late, "Stabilize", r#"{"through": "stabilization"}"#), "deadline passed"),
        ],
        "muster-live-flip-dns" => vec![
            phase("promoted", "FlipDns", "{}", "waiting for the authoritative servers"),
            Situation { throttled: Some("cloudwatch:PutMetricData"), ..phase("promoted", "FlipDns", "{}", "waiting for the authoritative servers") },
        ],
        "muster-live-stand-down" => vec![phase("touched", "StandDown", "{}", "undoing"), phase("open", "StandDown", "{}", "is as it was")],
        "muster-live-take-backup" => {
            let take = |estate| on(estate, in_run(&runs.backup, "TakeBackup", "{}"), "asked for");
            vec![
                take("nothing taken"),
                Situation { answered: "failed, and is made again", ..take("failed") },
                Situation { answered: "taken", ..take("copied") },
            ]
        }
        "muster-live-copy-backup" => {
            let copy = |estate| on(estate, in_run(&runs.backup, "CopyBackup", "{}"), "asked for");
            vec![copy("taken"), Situation { answered: "failed, and is made again", ..copy("failed") }, Situation { answered: "copied", ..copy("copied") }]
        }
        "muster-live-prune-backups" => vec![on("copied", in_run(&runs.backup, "PruneBackups", "{}"), "old-3")],
        "muster-live-verify-backups" => {
            vec![on("copied", in_run(&runs.backup, "VerifyBackups", "{}"), "sound"), on("half surveyed", again(&runs.backup, "VerifyBackups"), "sound")]
        }
        "muster-live-restore-clone" => {
            let made = |estate, answered| on(estate, in_run(&runs.proof, "RestoreClone", "{}"), answered);
            vec![made("proving", "asked for, from"), made("restored in vain", "is being removed"), made("restored", "restored")]
        }
        "muster-live-verify-clone" => {
            vec![on("restored", in_run(&runs.proof, "VerifyClone", "{}"), "sound"), on("restored", again(&runs.proof, "VerifyClone"), "sound")]
        }
        "muster-live-load-dump" => {
            let loaded = |estate, answered| on(estate, in_run(&runs.proof, "LoadDump", OF_DUMP), answered);
            vec![loaded("server for a dump", "asked for, of nightly/"), loaded("dump loaded", "loaded: ")]
        }
        "muster-live-destroy-clone" => {
            let destroyed = |estate, answered| on(estate, in_run(&runs.proof, "DestroyClone", "{}"), answered);
            vec![destroyed("restored", "asked to go"), destroyed("clone gone", "the mark on")]
        }
        "muster-live-sweep-clones" => vec![on("lease over", json!({}), "1 clones asked to go"), on("marked", json!({}), "1 marks taken off")],
        "muster-live-notify" => vec![phase("open", "Announce", "{}", "messages sent")],
        "muster-live-probe" => vec![on("down", json!({ "vantage": stack.text("/regions/standby") }), "samples")],
        "muster-witness-probe" => vec![on("down", json!({ "vantage": stack.text("/regions/witness") }), "samples")],
        "muster-live-janitor" => vec![on("open", json!({}), "1 abandoned runs closed")],
        "muster-live-sweep-decisions" => vec![on("overdue", json!({}), "answered")],
        "muster-live-answer-question" => vec![on(
            "asked",
            json!({ "service": stack.text("/service"), "question": "failover", "choice": "veto", "by": "Ann", "reason": "a partner migrates" }),
            "answered",
        )],
        "muster-live-set-kill-switch" => {
            let switch = |stop: bool| json!({ "stop": stop, "by": "Ann", "reason": "to see" });
            vec![on("open", switch(true), "stopped"), on("open", switch(false), "cleared")]
        }
        "muster-live-fence-returned" => vec![on("promoted", json!({}), "1 fenced")],
        _ => Vec::new(),
    }
}
