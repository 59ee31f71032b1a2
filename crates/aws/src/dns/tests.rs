use muster_core::{Clock, Journaled, Lane, PlanPin, Run, RunId, Timestamp, Waits};
use serde_json::json;

use super::*;
use crate::testing::{Sent, Wire, answer, world};

const ALIAS: AliasRecord<'_> = AliasRecord {
    name: "portal.example.com",
    record_type: "AAAA",
    target: "alb-2.us-west-2.elb.amazonaws.com",
    target_zone: "Z2",
    evaluate_target_health: true,
};

fn in_a_run(status: u16, body: &'static str) -> (Aws, Wire) {
    let (world, wire) = world(move |sent: &Sent| match sent.operation() {
        "BatchWriteItem" => Some(answer(200, json!({ "UnprocessedItems": {} }))),
        _ => Some(answer(status, body).with("x-amzn-requestid", "request-1")),
    });
    let now = Timestamp::from_millis(1_790_000_000_000);
    let run = Run {
        id: RunId("portal.region-failover.8".into()),
        service: "portal".into(),
        flow: "region-failover".into(),
        epoch: 8,
        lane: Lane::Recover,
        opened_at: now,
        deadline: now,
        plan: PlanPin { key: "plans/portal.json".into(), version: "1".into(), sha256: "00".into() },
        overrides: Vec::new(),
        waits: Waits { decision_seconds: 900, hold_seconds: 900 },
    };
    world.journal().begin("invocation", "flip-dns", "FlipDns");
    world.journal().belongs_to(world.now(), &run);
    world.journal().permit(world.now());
    (world, wire)
}

#[tokio::test]
async fn an_alias_is_written_as_the_plan_has_it_by_the_control_plane_in_us_east_1() {
    let accepted = "<ChangeResourceRecordSetsResponse><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>";
    let (world, wire) = in_a_run(200, accepted);
    world.upsert_aliases("Z123", &[ALIAS]).await.unwrap();
    let sent = wire.sent().pop().unwrap();
    assert_eq!(sent.uri, "https://route53.amazonaws.com/2013-04-01/hostedzone/Z123/rrset");
    assert!(sent.header("authorization").unwrap().contains("/us-east-1/route53/"));
    for wanted in [
        "<Action>UPSERT</Action>",
        "<Name>portal.example.com</Name>",
        "<Type>AAAA</Type>",
        "<HostedZoneId>Z2</HostedZoneId>",
        "<DNSName>alb-2.us-west-2.elb.amazonaws.com</DNSName>",
        "<EvaluateTargetHealth>true</EvaluateTargetHealth>",
    ] {
        assert!(sent.body.contains(wanted), "{wanted} in {}", sent.body);
    }
}

#[tokio::test]
async fn records_of_a_zone_are_one_change() {
    let accepted = "<ChangeResourceRecordSetsResponse><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>";
    let (world, wire) = in_a_run(200, accepted);
    world.upsert_aliases("Z123", &[ALIAS, AliasRecord { name: "shop.example.com", ..ALIAS }]).await.unwrap();
    let sent = wire.sent().pop().unwrap();
    assert_eq!(sent.body.matches("<Change>").count(), 2, "{}", sent.body);
    assert!(sent.body.contains("portal.example.com") && sent.body.contains("shop.example.com"));
    let calls = wire.sent().len();
    world.upsert_aliases("Z123", &[]).await.unwrap();
    assert_eq!(wire.sent().len(), calls, "no record is no call");
}

#[tokio::test]
async fn a_change_that_waits_for_another_is_throttled_and_was_not_applied() {
    let busy =
        "<ErrorResponse><Error><Type>Sender</Type><Code>PriorRequestNotComplete</Code><Message>wait</Message></Error><RequestId>r</RequestId></ErrorResponse>";
    let (world, _) = in_a_run(400, busy);
    let error = world.upsert_aliases("Z123", &[ALIAS]).await.unwrap_err();
    assert_eq!(error.to_string(), "route53:ChangeResourceRecordSets on portal.example.com in Z123 (us-east-1): PriorRequestNotComplete: wait");
    assert!(error.fault == CallFault::Throttled && !error.fault.is_ambiguous());
}

#[tokio::test]
async fn without_a_run_no_record_is_changed() {
    let (world, wire) = world(|_| Some(answer(200, "")));
    assert_eq!(world.upsert_aliases("Z123", &[ALIAS]).await.unwrap_err().fault, CallFault::Halted);
    assert_eq!(wire.sent().len(), 0);
}
