//! The region failover, when all goes well and when it does not.

use muster_core::ports::{DatabaseRole, Databases, Parameters, Resolver, ScalingGroups};
use muster_core::{DatabaseId, ParameterId, ScalingGroupId};
use serde_json::{Value, json};

use crate::beside_the_rehearsal::assert_same_way;
use crate::stack::{Ended, Stack, wait_for};

#[test]
fn an_alarm_moves_the_service_to_the_standby_as_in_the_rehearsal() {
    let stack = Stack::start("automatic", "alarm");
    wait_for(async {
        stack.lose_the_primary();
        stack.send_alarm();
        let ended = stack.end_of(&stack.only_execution().await).await;
        assert_moved(&stack, &ended).await;
        assert_same_way(&stack, &ended.arn).await;
        let told = stack.operate(&["inbox"]);
        assert!(told.contains("declared"), "{told}");
    });
}

#[test]
fn a_function_that_is_killed_and_an_answer_that_is_lost_change_nothing_twice() {
    let stack = Stack::start("automatic", "faults");
    wait_for(async {
        stack.lose_the_primary();
        stack.fault("applied", "rds:PromoteReadReplica");
        stack.fault("kill", "autoscaling:UpdateAutoScalingGroup");
        stack.fault("lost", "ssm:PutParameter");
        stack.fault("throttled", "rds:DescribeDBInstances");
        let arn = stack.start_flow(&stack.order()).await;
        let ended = stack.end_of(&arn).await;
        assert_moved(&stack, &ended).await;
        let promotions = stack.calls("rds:PromoteReadReplica");
        assert_eq!(promotions.len(), 1, "{promotions:?}");
        assert_eq!(promotions[0]["fault"], "applied");
        assert!(stack.calls("autoscaling:UpdateAutoScalingGroup").iter().any(|call| call["fault"] == "kill"));
        assert!(stack.calls("ssm:PutParameter").len() >= 2, "the one that was lost was made again");
    });
}

#[test]
fn without_a_standing_acceptance_a_dark_primary_makes_the_run_hold_and_an_abort_undoes() {
    let stack = Stack::start("holding", "holding");
    wait_for(async {
        stack.lose_the_primary();
        let arn = stack.start_flow(&stack.order()).await;
        // The lag is unknown: somebody takes that on. Then the fence cannot be proven, and nobody takes that on.
        stack.is_asked("Preflight").await;
        stack.operate(&["decide", "skip", "--reason", "we fail over without knowing the lag"]);
        stack.is_asked("FenceDatabase").await;
        stack.operate(&["decide", "abort", "--reason", "we wait for the region"]);
        let ended = stack.end_of(&arn).await;
        assert_eq!(outcome(&stack).await, "aborted", "{}", ended.error);
        assert!(stack.calls("rds:PromoteReadReplica").is_empty());
        assert!(is_replica(&stack).await);
    });
}

#[test]
fn a_veto_stands_the_run_down_and_nothing_was_touched() {
    let stack = Stack::start("veto", "veto");
    wait_for(async {
        stack.lose_the_primary();
        let arn = stack.start_flow(&stack.order()).await;
        stack.is_asked("failover").await;
        stack.operate(&["decide", "veto", "--reason", "a partner migrates tonight"]);
        stack.end_of(&arn).await;
        assert_eq!(outcome(&stack).await, "vetoed");
        assert!(is_replica(&stack).await);
        assert!(stack.calls("rds:PromoteReadReplica").is_empty());
    });
}

/// The outcome of the only run, whose lock is released.
pub(crate) async fn outcome(stack: &Stack) -> String {
    let lane = stack.lane().await;
    assert_eq!(lane.open, None, "the lock is released");
    let reports = stack.reports().await;
    assert_eq!(reports.len(), 1, "one run, one report");
    let closed = lane.last_closed.unwrap().outcome.to_string();
    assert_eq!(reports[0]["summary"]["outcome"], Value::from(closed.clone()), "{}", reports[0]);
    closed
}

async fn is_replica(stack: &Stack) -> bool {
    let plan = stack.plan();
    let (_, id) = plan.replica_databases().next().unwrap();
    let id = DatabaseId::new(&plan.regions.standby, id);
    let states = stack.aws.describe_databases(&plan.regions.standby, std::slice::from_ref(&id)).await.unwrap();
    matches!(states[&id].role, DatabaseRole::Replica { .. })
}

/// The estate is as it should be, read through the ports that the actions use, and the report says so.
pub(crate) async fn assert_moved(stack: &Stack, ended: &Ended) {
    assert_eq!(outcome(stack).await, "succeeded", "{} {} {:?}", ended.error, ended.output, stack.entered(&ended.arn).await);
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{}", ended.error);
    let plan = stack.plan();
    let standby = &plan.regions.standby;

    let (_, replica) = plan.replica_databases().next().unwrap();
    let id = DatabaseId::new(standby, replica);
    let databases = stack.aws.describe_databases(standby, std::slice::from_ref(&id)).await.unwrap();
    assert_eq!(databases[&id].role, DatabaseRole::Primary);

    let group = ScalingGroupId::new(standby, "basecoat-portal-asg-dr");
    let groups = stack.aws.describe_groups(standby, std::slice::from_ref(&group)).await.unwrap();
    assert!(groups[&group].healthy >= 3, "{:?}", groups[&group]);

    let parameter = ParameterId::new(standby, "/basecoat/portal/db-host");
    let parameters = stack.aws.get_parameters(standby, std::slice::from_ref(&parameter)).await.unwrap();
    let host = databases[&id].endpoint.as_deref().and_then(|endpoint| endpoint.split(':').next());
    assert_eq!(Some(parameters[&parameter].as_str()), host);

    let record = &plan.traffic[0].record;
    let answered = stack.aws.resolve(record).await.unwrap();
    assert_eq!(answered, [stack.text("/addresses/standby")].into(), "{record}");

    let report = &stack.reports().await[0];
    assert_eq!(report["summary"]["service"], json!(stack.text("/service")));
    assert!(report.pointer("/objectives").is_some() && report.pointer("/timeline").is_some(), "{report}");
}
