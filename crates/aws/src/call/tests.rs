use muster_core::{Body, Lane, PlanPin, Run, RunId, Waits};
use serde_json::json;

use super::*;
use crate::failure::classify;
use crate::testing::sockets::{beside, closed, world_at};
use crate::testing::{Answer, Sent, Wire, answer, settings, world};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

fn run() -> Run {
    Run {
        id: RunId("portal.region-failover.8".into()),
        service: "portal".into(),
        flow: "region-failover".into(),
        epoch: 8,
        lane: Lane::Recover,
        opened_at: NOW,
        deadline: later(3_600),
        plan: PlanPin { key: "plans/portal.json".into(), version: "1".into(), sha256: "00".into() },
        overrides: Vec::new(),
        waits: Waits { decision_seconds: 900, hold_seconds: 900 },
    }
}

#[test]
fn only_a_region_that_nobody_answers_from_is_taken_for_dark() {
    let every = [
        CallFault::Throttled,
        CallFault::Unavailable,
        CallFault::TimedOut,
        CallFault::Unreachable,
        CallFault::Denied,
        CallFault::NotFound,
        CallFault::Rejected,
        CallFault::Halted,
    ];
    for fault in every {
        let breaker = Breaker::default();
        breaker.learn(&region("us-east-1"), NOW, Some(fault));
        assert_eq!(breaker.is_open(&region("us-east-1"), NOW), fault == CallFault::Unreachable, "{fault:?}");
        assert!(!breaker.is_open(&region("us-east-2"), NOW), "another region has nothing to do with it");
    }
}

#[test]
fn a_dark_region_is_asked_again_after_twenty_seconds_or_once_it_has_answered() {
    let breaker = Breaker::default();
    breaker.learn(&region("us-east-1"), NOW, Some(CallFault::Unreachable));
    assert!(breaker.is_open(&region("us-east-1"), NOW.after(Duration::from_millis(19_999))));
    assert!(!breaker.is_open(&region("us-east-1"), later(20)));
    breaker.learn(&region("us-east-1"), later(20), None);
    breaker.learn(&region("us-east-1"), later(20), Some(CallFault::Unreachable));
    breaker.learn(&region("us-east-1"), later(21), None);
    assert!(!breaker.is_open(&region("us-east-1"), later(21)), "an answer closes it");
}

async fn put_parameter(world: &Aws, region: &Region) -> Result<(), CallError> {
    let request = world.ssm(region).put_parameter().name("n").value("v");
    world.read(Target::control("ssm:PutParameter", region, "n"), async { request.send().await.map(drop).map_err(classify) }).await
}

#[tokio::test]
async fn whoever_waits_for_a_dark_region_next_fails_at_once_and_home_is_asked_each_time() {
    beside(async {
        let world = world_at(&format!("http://{}", closed().await), settings());
        for (name, second) in [("us-east-1", "us-east-1 did not answer a moment ago"), ("us-west-2", "client error (Connect)")] {
            let first = put_parameter(&world, &region(name)).await.unwrap_err();
            assert!(first.fault == CallFault::Unreachable && first.message.contains("client error (Connect)"), "{first}");
            let next = put_parameter(&world, &region(name)).await.unwrap_err();
            assert!(next.fault == CallFault::Unreachable && next.message.contains(second), "{next}");
        }
    })
    .await;
}

/// A world in the middle of a run whose switches were read a moment ago.
fn in_a_run(put: impl Fn() -> Option<Answer> + Send + Sync + 'static) -> (Aws, Wire) {
    let (world, wire) = world(move |sent: &Sent| match sent.operation() {
        "PutParameter" => put(),
        "BatchWriteItem" => Some(answer(200, json!({ "UnprocessedItems": {} }))),
        _ => Some(answer(500, "{}")),
    });
    world.journal().begin("invocation", "update-configuration", "UpdateConfiguration");
    world.journal().belongs_to(world.now(), &run());
    (world, wire)
}

async fn change(world: &Aws) -> Result<(), CallError> {
    let region = region("us-west-2");
    let request = world.ssm(&region).put_parameter().name("n").value("v");
    world.mutate(Target::control("ssm:PutParameter", &region, "n"), async { request.send().await.map(drop).map_err(classify) }).await
}

#[tokio::test]
async fn the_intent_is_in_the_ledger_before_the_call_is_made_and_its_outcome_is_written_down_after() {
    let (world, wire) = in_a_run(|| Some(answer(200, json!({ "Version": 3 })).with("x-amzn-requestid", "request-1")));
    world.journal().permit(world.now());
    change(&world).await.unwrap();
    let order: Vec<String> = wire.sent().iter().map(|sent| sent.operation().to_owned()).collect();
    assert_eq!(order, ["BatchWriteItem", "PutParameter"]);
    assert!(wire.sent()[0].body.contains("ssm:PutParameter"), "{}", wire.sent()[0].body);
    let left = world.journal().unsaved();
    let [entry] = left.as_slice() else { panic!("{left:?}") };
    let Body::Called { call, outcome } = &entry.body else { panic!("{entry:?}") };
    assert_eq!((&*call.operation, call.mutates, call.plane, &*call.resource), ("ssm:PutParameter", true, Plane::Control, "n"));
    assert_eq!((outcome.fault, outcome.message.as_str(), outcome.request_id.as_deref()), (None, "", Some("request-1")));
}

#[tokio::test]
async fn a_call_that_failed_is_written_down_with_the_services_own_words() {
    let refusal = json!({ "__type": "ParameterLimitExceeded", "message": "too many" });
    let (world, _) = in_a_run(move || Some(answer(400, &refusal).with("x-amzn-requestid", "request-2")));
    world.journal().permit(world.now());
    let error = change(&world).await.unwrap_err();
    assert_eq!(error.to_string(), "ssm:PutParameter on n (us-west-2): ParameterLimitExceeded: too many");
    let left = world.journal().unsaved();
    let Some(Body::Called { outcome, .. }) = left.last().map(|entry| &entry.body) else { panic!("{left:?}") };
    assert_eq!((outcome.fault, outcome.message.as_str()), (Some(CallFault::Rejected), "ParameterLimitExceeded: too many"));
    assert_eq!(outcome.request_id.as_deref(), Some("request-2"));
}

#[tokio::test]
async fn where_kill_switch_and_epoch_cannot_be_read_no_call_begins() {
    let (world, wire) = in_a_run(|| Some(answer(200, json!({ "Version": 3 }))));
    let error = change(&world).await.unwrap_err();
    assert!(!error.fault.is_ambiguous() && error.fault.is_transient(), "{error}");
    assert!(wire.sent().iter().all(|sent| sent.operation() == "BatchGetItem"), "{:?}", wire.sent());
}

#[tokio::test]
async fn a_read_is_written_down_within_a_run_and_only_there() {
    let (world, _) = in_a_run(|| Some(answer(200, json!({ "Version": 3 }))));
    put_parameter(&world, &region("us-west-2")).await.unwrap();
    let left = world.journal().unsaved();
    assert!(matches!(left.last().map(|entry| &entry.body), Some(Body::Called { call, .. }) if !call.mutates), "{left:?}");
    world.journal().begin("invocation", "probe", "Probe");
    put_parameter(&world, &region("us-west-2")).await.unwrap();
    assert_eq!(world.journal().unsaved(), []);
}

#[tokio::test]
async fn no_client_makes_a_call_that_was_not_announced() {
    let (world, wire) = in_a_run(|| Some(answer(200, json!({ "Version": 3 }))));
    let region = region("us-west-2");
    let alone = classify(world.ssm(&region).put_parameter().name("n").value("v").send().await.unwrap_err());
    assert!(alone.fault == CallFault::Rejected && alone.message.contains("PutParameter is called and was not announced"), "{alone:?}");
    let request = world.ssm(&region).put_parameter().name("n").value("v");
    let other = world.read(Target::control("ssm:GetParameters", &region, "n"), async { request.send().await.map_err(classify) }).await.unwrap_err();
    assert!(other.fault == CallFault::Rejected && other.message.contains("PutParameter is called where another call was announced"), "{other}");
    assert_eq!(wire.sent().len(), 0, "nothing was sent");
}
