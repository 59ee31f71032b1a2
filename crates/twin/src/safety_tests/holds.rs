//! Holds: what silence means, and a hold that nobody could hear of.

use std::rc::Rc;

use muster_core::{Duration, Evidence};
use muster_plan::RegionRole;
use serde_json::json;

use super::{Muster, quiet, strike};
use crate::faults::Fault;
use crate::testing::{on, pass, plan};
use crate::world::Twin;

const WITHIN: u64 = 30 * 60;

/// How the hold at `ScaleCompute` was decided: choice, by whom.
fn decided(muster: &Muster) -> Vec<(String, String)> {
    let of_hold = |evidence| match evidence {
        Evidence::Decided { question, choice, by, .. } if question == "ScaleCompute@1" => Some((choice, by)),
        _ => None,
    };
    muster.evidence().into_iter().filter_map(of_hold).collect()
}

fn by_silence(choice: &str) -> Vec<(String, String)> {
    vec![(choice.to_owned(), "silence".to_owned())]
}

#[test]
fn silence_means_what_it_means_when_it_answers() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = Muster::in_outage(&twin).await;
        muster.hold_at("ScaleCompute").await;
        assert_eq!(&*muster.question("ScaleCompute@1").await.default, "abort", "nothing irreversible has happened yet");
        // Another branch of the run goes on meanwhile.
        muster.ask_for_promotion().await;
        pass(WITHIN).await;
        let settled = muster.settle_hold("ScaleCompute").await;
        assert_eq!(settled.verdict.as_deref(), Some("retry"), "{}", settled.detail);
        assert_eq!(decided(&muster), by_silence("retry"));
        assert_eq!(muster.note("abortedBy").await, None);
    });
}

#[test]
fn silence_aborts_where_nothing_was_asked_for_meanwhile() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = Muster::in_outage(&twin).await;
        muster.hold_at("ScaleCompute").await;
        let settled = muster.settle_hold("ScaleCompute").await;
        assert_eq!(settled.verdict.as_deref(), Some("abort"), "{}", settled.detail);
        assert_eq!(muster.note("abortedBy").await, Some(json!("silence")));
        assert_eq!(muster.service_note("noAutomaticStartUntil").await, None, "nobody has decided against a failover");
    });
}

#[test]
fn the_sweeper_leaves_silence_at_a_hold_to_the_run() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = Muster::in_outage(&twin).await;
        muster.hold_at("ScaleCompute").await;
        muster.ask_for_promotion().await;
        pass(WITHIN + 600).await;
        muster.alone(RegionRole::Standby, "sweep-decisions", json!({})).await.unwrap();
        assert_eq!(muster.question("ScaleCompute@1").await.answer, None, "the default that it was put with is out of date");
        assert_eq!(muster.settle_hold("ScaleCompute").await.verdict.as_deref(), Some("retry"));
    });
}

#[test]
fn a_hold_that_nobody_could_hear_ends_by_the_default_and_that_counts() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = Muster::in_outage(&twin).await;
        strike(&twin, &Fault::ChannelDown { channel: None });
        assert!(!muster.hold_at("ScaleCompute").await.is_done());
        let before = twin.now();
        let settled = muster.settle_hold("ScaleCompute").await;
        assert!(twin.now().since(before) > Duration::from_mins(30), "people get the time that the plan gives them");
        assert_eq!(settled.verdict.as_deref(), Some("abort"), "{}", settled.detail);
        assert_eq!(decided(&muster), by_silence("abort"));
        assert_eq!(muster.note("abortedBy").await, Some(json!("silence")));
        let refused = muster.until_done("fence-database", "FenceDatabase").await.unwrap_err();
        assert!(refused.error_message.contains("aborted by silence"), "the other branches end too: {refused}");
        assert_eq!(muster.service_note("fenceDebt/portal-db").await, None);
    });
}

#[test]
fn a_hold_that_nobody_could_hear_goes_on_after_a_promotion_and_ends_at_the_deadline() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = Muster::in_outage(&twin).await;
        muster.ask_for_promotion().await;
        strike(&twin, &Fault::ChannelDown { channel: None });
        muster.hold_at("ScaleCompute").await;
        assert_eq!(muster.settle_hold("ScaleCompute").await.verdict.as_deref(), Some("retry"));
        assert_eq!(decided(&muster), by_silence("retry"));
        assert_eq!(muster.note("abortedBy").await, None);
        pass(8 * 3_600).await;
        assert_eq!(muster.settle_hold("ScaleCompute").await.verdict.as_deref(), Some("abort"), "every run ends");
        assert_eq!(muster.note("abortedBy").await, Some(json!("silence")));
        assert_eq!(muster.note("deadline").await, None, "only a person gives a late run more time");
    });
}

#[test]
fn a_person_who_answers_late_gives_the_run_another_hour() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = Muster::in_outage(&twin).await;
        pass(8 * 3_600).await;
        let refused = muster.until_done("fence-database", "FenceDatabase").await.unwrap_err();
        assert!(refused.error_message.contains("deadline"), "{refused}");
        muster.hold_at("FenceDatabase").await;
        let answer = json!({"service": "portal", "choice": "retry", "by": "Ann"});
        muster.alone(RegionRole::Standby, "answer-question", answer).await.unwrap();
        assert_eq!(muster.settle_hold("FenceDatabase").await.verdict.as_deref(), Some("retry"));
        assert!(muster.until_done("fence-database", "FenceDatabase").await.is_ok());
        pass(3_600).await;
        assert!(muster.call("promote-replica", "PromoteReplica", json!({})).await.is_err(), "one hour, and no more");
    });
}
