//! What starts a failover: an event, a schedule, a person; and what does not.

use std::time::Duration;

use serde_json::json;

use crate::failover::{assert_moved, outcome};
use crate::stack::{Stack, wait_for};

#[test]
fn an_alarm_that_comes_twice_and_a_person_who_comes_late_join_the_run_that_is_open() {
    let stack = Stack::start("automatic", "twice");
    wait_for(async {
        stack.lose_the_primary();
        let first = stack.start_flow(&stack.order()).await;
        stack.reaches(&first, "ConfirmOutage").await;
        stack.send_alarm();
        stack.send_alarm();
        let by_hand = stack.end_of(&stack.start_flow(&stack.order()).await).await;
        assert_eq!(by_hand.output["verdict"], "joined", "{} {}", by_hand.output, by_hand.error);
        // A plan that is pushed meanwhile is for the next run.
        stack.push(&[("rto: 30m", "rto: 31m")]);
        let ended = stack.end_of(&first).await;
        assert_moved(&stack, &ended).await;
        for other in stack.executions().await.into_iter().filter(|arn| *arn != first) {
            // The alarm that the health check follows has gone off as well, and its name begins like one that starts a failover.
            let verdict = stack.end_of(&other).await.output["verdict"].clone();
            assert!(verdict == "joined" || verdict == "notATrigger", "{verdict}");
        }
        assert_eq!(stack.calls("rds:PromoteReadReplica").len(), 1);
        let report = &stack.reports().await[0];
        assert!(report.to_string().contains(&stack.plan().digest()), "the report names the plan that the run was opened with");
    });
}

#[test]
fn what_cannot_be_started_says_why_and_leaves_nothing_locked() {
    let stack = Stack::start("automatic", "malformed");
    wait_for(async {
        let alarm = |name: &str, state: &str| json!({ "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "detail": { "alarmName": name, "state": { "value": state } } });
        for (input, wanted) in [
            (json!({}), "neither an alarm event nor an order"),
            (json!({ "service": "basecoat-portal" }), "missing field `by`"),
            (json!({ "service": "nobody", "by": "Ann", "reason": "r" }), "no plan is in force for the service `nobody`"),
            (alarm("basecoat-portal-other", "ALARM"), "no plan names the alarm `basecoat-portal-other`"),
            (json!({ "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "detail": {} }), "no CloudWatch alarm event"),
        ] {
            let ended = stack.end_of(&stack.start_flow(&input).await).await;
            assert_eq!(ended.status.as_str(), "FAILED", "{input}");
            assert!(ended.error.starts_with("Muster.Invalid") && ended.error.contains(wanted), "{input}: {}", ended.error);
        }
        let quiet = stack.end_of(&stack.start_flow(&alarm(&stack.text("/alarm"), "OK")).await).await;
        assert_eq!(quiet.output["verdict"], "notAnAlarm", "{} {}", quiet.output, quiet.error);
        let lane = stack.lane().await;
        assert_eq!((lane.epoch, lane.open), (0, None));
        // The primary is up: a failover that a person starts by mistake finds no outage.
        for _ in 0..3 {
            stack.operate(&["probe"]);
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        stack.end_of(&stack.start_flow(&stack.order()).await).await;
        assert_eq!(outcome(&stack).await, "stoodDown");
    });
}
