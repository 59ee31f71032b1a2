use muster_core::ports::{GroupSize, ScalingGroups};
use muster_core::{CallFault, Region, ScalingGroupId};

use crate::estate::{REFUSALS, calls, estate, form, xml, xml_error};
use crate::testing::{Answer, answer};

fn standby() -> Region {
    "us-west-2".parse().unwrap()
}

fn id(name: &str) -> ScalingGroupId {
    ScalingGroupId::new(&standby(), name)
}

fn group(name: &str, desired: u32, instances: &[(&str, &str)]) -> String {
    let instances: String = instances
        .iter()
        .map(|(state, health)| format!("<member><LifecycleState>{state}</LifecycleState><HealthStatus>{health}</HealthStatus></member>"))
        .collect();
    format!(
        "<member><AutoScalingGroupName>{name}</AutoScalingGroupName><MinSize>1</MinSize><DesiredCapacity>{desired}</DesiredCapacity><MaxSize>9</MaxSize>\
         <Instances>{instances}</Instances></member>"
    )
}

fn page(groups: &[String], token: &str) -> Option<Answer> {
    xml("DescribeAutoScalingGroups", &format!("<AutoScalingGroups>{}</AutoScalingGroups>{token}", groups.concat()))
}

fn activities(all: &[(&str, &str, &str)]) -> Option<Answer> {
    let all: String = all
        .iter()
        .map(|(at, status, message)| {
            format!("<member><ActivityId>{at}</ActivityId><StartTime>{at}</StartTime><StatusCode>{status}</StatusCode><StatusMessage>{message}</StatusMessage></member>")
        })
        .collect();
    xml("DescribeScalingActivities", &format!("<Activities>{all}</Activities>"))
}

#[tokio::test]
async fn only_instances_that_are_in_service_and_healthy_count() {
    let instances = [("InService", "Healthy"), ("InService", "HEALTHY"), ("Pending", "Healthy"), ("InService", "Unhealthy"), ("Standby", "Healthy")];
    let (aws, wire) = estate([page(&[group("web", 2, &instances)], "")]);
    let states = aws.describe_groups(&standby(), &[id("web"), id("gone")]).await.unwrap();
    assert_eq!(states.len(), 1, "what does not exist is absent");
    assert_eq!(states[&id("web")].size, GroupSize { min: 1, desired: 2, max: 9 });
    assert_eq!((states[&id("web")].healthy, states[&id("web")].last_failure.as_deref()), (2, None));
    let sent = calls(&wire);
    assert_eq!(sent.len(), 1, "a group that has its instances is not asked why it has not");
    let sent = form(&sent[0]);
    assert_eq!(sent["Action"], "DescribeAutoScalingGroups");
    assert_eq!((sent["AutoScalingGroupNames.member.1"].as_str(), sent["AutoScalingGroupNames.member.2"].as_str()), ("web", "gone"));
}

#[tokio::test]
async fn every_page_of_groups_is_read() {
    let (aws, wire) = estate([page(&[group("web", 0, &[])], "<NextToken>next</NextToken>"), page(&[group("work", 0, &[])], "")]);
    assert_eq!(aws.describe_groups(&standby(), &[id("web"), id("work")]).await.unwrap().len(), 2);
    assert_eq!(form(&calls(&wire)[1])["NextToken"], "next");
}

#[tokio::test]
async fn a_group_that_lacks_instances_says_why_its_newest_activity_failed() {
    let no_capacity = "We currently do not have sufficient capacity";
    let failed = [("2026-11-20T10:00:00Z", "Successful", ""), ("2026-11-20T11:00:00Z", "Failed", no_capacity)];
    let (aws, wire) = estate([page(&[group("web", 2, &[])], ""), activities(&failed)]);
    let states = aws.describe_groups(&standby(), &[id("web")]).await.unwrap();
    assert_eq!(states[&id("web")].last_failure.as_deref(), Some(no_capacity));
    assert_eq!(form(&calls(&wire)[1])["AutoScalingGroupName"], "web");

    let since = [("2026-11-20T12:00:00Z", "InProgress", ""), ("2026-11-20T11:00:00Z", "Failed", no_capacity)];
    let (aws, _) = estate([page(&[group("web", 2, &[])], ""), activities(&since)]);
    assert_eq!(aws.describe_groups(&standby(), &[id("web")]).await.unwrap()[&id("web")].last_failure, None, "something newer is under way");
}

#[tokio::test]
async fn a_reason_that_cannot_be_read_keeps_nobody_from_recovering() {
    let (aws, _) = estate([page(&[group("web", 2, &[])], ""), xml_error(403, "AccessDenied")]);
    let states = aws.describe_groups(&standby(), &[id("web")]).await.unwrap();
    assert_eq!((states[&id("web")].size.desired, states[&id("web")].last_failure.as_deref()), (2, None));
}

#[tokio::test]
async fn a_group_gets_all_three_sizes_in_one_call() {
    let (aws, wire) = estate([Some(answer(200, "<UpdateAutoScalingGroupResponse/>"))]);
    aws.resize_group(&id("web"), GroupSize { min: 2, desired: 4, max: 8 }).await.unwrap();
    let sent = form(&calls(&wire)[0]);
    assert_eq!((sent["Action"].as_str(), sent["AutoScalingGroupName"].as_str()), ("UpdateAutoScalingGroup", "web"));
    assert_eq!((sent["MinSize"].as_str(), sent["DesiredCapacity"].as_str(), sent["MaxSize"].as_str()), ("2", "4", "8"));
}

#[tokio::test]
async fn a_size_that_the_api_cannot_say_is_refused_before_anything_is_sent() {
    let (aws, wire) = estate([]);
    let error = aws.resize_group(&id("web"), GroupSize { min: 0, desired: u32::MAX, max: u32::MAX }).await.unwrap_err();
    assert_eq!(error.fault, CallFault::Rejected);
    assert!(wire.sent().is_empty());
}

#[tokio::test]
async fn every_refusal_of_auto_scaling_is_told_apart() {
    // By the first code a group does not exist; by the second, somebody else scales it right now.
    let special = [(400, "ValidationError", CallFault::Rejected), (400, "ScalingActivityInProgress", CallFault::Throttled)];
    for (status, code, fault) in REFUSALS.into_iter().chain(special) {
        let (aws, _) = estate([xml_error(status, code), xml_error(status, code)]);
        assert_eq!(aws.describe_groups(&standby(), &[id("web")]).await.unwrap_err().fault, fault, "{code}");
        assert_eq!(aws.resize_group(&id("web"), GroupSize { min: 0, desired: 1, max: 1 }).await.unwrap_err().fault, fault, "{code}");
    }
}

#[tokio::test]
async fn a_resize_whose_answer_is_lost_may_have_been_applied() {
    let (aws, _) = estate([None]);
    assert!(aws.resize_group(&id("web"), GroupSize { min: 0, desired: 1, max: 1 }).await.unwrap_err().fault.is_ambiguous());
}
