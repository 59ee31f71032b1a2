//! People's answers and the kill switch: the two functions that people invoke.

use std::rc::Rc;

use muster_core::ports::Databases;
use muster_core::{CallFault, Failure, Progress};
use muster_plan::RegionRole;
use serde_json::json;

use super::{Muster, Recorder, is_quarantined, primary, quiet};
use crate::testing::{on, opened, pass, plan};
use crate::world::Twin;

const WINDOW: u64 = 15 * 60;

/// A run that asks whether to fail over, and whose state waits for the token.
async fn asking(twin: &Rc<Twin>) -> (Muster, Rc<Recorder>) {
    let engine = Recorder::of(twin);
    let muster = Muster::in_outage(twin).await;
    let asked = muster.call("request-decision", "RequestDecision", json!({"token": "token-1"})).await.unwrap();
    assert!(!asked.is_done() && muster.question("failover").await.deadline.is_some());
    (muster, engine)
}

async fn answer(muster: &Muster, choice: &str, by: &str) -> Progress {
    let event = json!({"service": "portal", "question": "failover", "choice": choice, "by": by, "reason": "as seen from here"});
    muster.alone(RegionRole::Standby, "answer-question", event).await.unwrap()
}

/// What the run goes by.
async fn settled(muster: &Muster) -> Option<String> {
    muster.until_done("request-decision", "SettleDecision").await.unwrap().verdict
}

#[test]
fn the_first_answer_wakes_the_run_and_wins_over_a_second_one_and_over_silence() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let (muster, engine) = asking(&twin).await;
        assert_eq!(answer(&muster, "veto", "Ann").await.verdict.as_deref(), Some("answered"));
        assert_eq!(engine.woken("token-1"), ["veto"]);
        pass(1).await;
        let second = answer(&muster, "proceed", "Bob").await;
        assert_eq!(second.verdict.as_deref(), Some("answeredBefore"));
        assert!(second.detail.contains("`veto` by Ann"), "it says whose stands: {}", second.detail);
        assert!(engine.woken("token-1").iter().all(|verdict| verdict == "veto"), "a second answer wakes with the first");
        pass(WINDOW + 60).await;
        muster.alone(RegionRole::Standby, "sweep-decisions", json!({})).await.unwrap();
        assert_eq!(settled(&muster).await.as_deref(), Some("veto"));
        assert_eq!(&*muster.question("failover").await.answer.unwrap().by, "Ann");
        assert!(muster.service_note("noAutomaticStartUntil").await.is_some(), "alarms start nothing for a day");
    });
}

#[test]
fn an_answer_wakes_the_task_that_asked_last_and_one_that_asks_after_it_is_told_at_once() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let (muster, engine) = asking(&twin).await;
        let deadline = muster.question("failover").await.deadline;
        // The execution was redriven, or the function failed after it had asked: its task is another one now.
        muster.call("request-decision", "RequestDecision", json!({"token": "token-2"})).await.unwrap();
        assert_eq!(muster.question("failover").await.deadline, deadline, "no time is won by it");
        answer(&muster, "veto", "Ann").await;
        assert_eq!(engine.woken("token-1"), [""; 0], "nobody waits with it");
        assert_eq!(engine.woken("token-2"), ["veto"]);
        muster.call("request-decision", "RequestDecision", json!({"token": "token-3"})).await.unwrap();
        assert_eq!(engine.woken("token-3"), ["veto"]);
        assert_eq!(&*muster.question("failover").await.token, "token-2", "an answered question stays as it is");
    });
}

#[test]
fn an_answer_that_comes_after_silence_changes_nothing_and_is_told_so() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let (muster, engine) = asking(&twin).await;
        pass(WINDOW).await;
        assert_eq!(settled(&muster).await.as_deref(), Some("proceed"));
        let late = answer(&muster, "veto", "Ann").await;
        assert_eq!(late.verdict.as_deref(), Some("answeredBefore"));
        assert!(late.detail.contains("`proceed` by silence"), "{}", late.detail);
        assert!(!engine.woken("token-1").contains(&"veto".to_owned()));
        assert_eq!(settled(&muster).await.as_deref(), Some("proceed"));
        assert_eq!(muster.service_note("noAutomaticStartUntil").await, None);
    });
}

async fn switch(muster: &Muster, stop: bool) {
    let event = json!({"stop": stop, "by": "Ann", "reason": "something is wrong"});
    let verdict = muster.alone(RegionRole::Standby, "set-kill-switch", event).await.unwrap().verdict;
    assert_eq!(verdict.as_deref(), Some(if stop { "stopped" } else { "cleared" }));
}

#[test]
fn a_set_kill_switch_refuses_the_next_action_and_cleared_lets_a_retry_go_on() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = Muster::opened(&twin).await;
        switch(&muster, true).await;
        let refused: Failure = muster.until_done("fence-database", "FenceDatabase").await.unwrap_err();
        assert_eq!(refused.error_type, "Muster.Refused");
        assert!(refused.error_message.contains("Ann: something is wrong"), "whoever meets it reads who and why: {refused}");
        assert!(refused.error_message.contains("clear the switch and answer `retry`"), "it has not even begun: {refused}");
        assert!(!is_quarantined(&twin));
        let undoing = muster.until_done("stand-down", "StandDown").await.unwrap_err();
        assert_eq!(undoing.error_type, "Muster.Refused", "undoing is a change too");
        muster.hold_at("FenceDatabase").await;
        switch(&muster, false).await;
        let event = json!({"service": "portal", "choice": "retry", "by": "Ann"});
        muster.alone(RegionRole::Standby, "answer-question", event).await.unwrap();
        assert_eq!(muster.settle_hold("FenceDatabase").await.verdict.as_deref(), Some("retry"));
        muster.until_done("fence-database", "FenceDatabase").await.unwrap();
        assert!(is_quarantined(&twin));
    });
}

#[test]
fn a_kill_switch_stops_an_invocation_that_is_under_way_within_a_second() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        let muster = Muster::of_open_run(&twin);
        world.set_security_groups(&primary(), &["sg-one".into()]).await.unwrap();
        switch(&muster, true).await;
        // The permit of a second, and not a millisecond more.
        tokio::time::sleep(std::time::Duration::from_millis(1_001)).await;
        let error = world.set_security_groups(&primary(), &["sg-two".into()]).await.unwrap_err();
        assert_eq!(error.fault, CallFault::Halted);
        switch(&muster, false).await;
        world.set_security_groups(&primary(), &["sg-two".into()]).await.unwrap();
    });
}

#[test]
fn a_kill_switch_stops_no_looking_and_no_closing() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = Muster::in_outage(&twin).await;
        switch(&muster, true).await;
        muster.probe().await;
        muster.until_done("confirm-outage", "ConfirmAgain").await.unwrap();
        muster.hold_at("FenceDatabase").await;
        muster.call("close-run", "CloseRun", json!({"outcome": "aborted", "execution": "execution"})).await.unwrap();
        assert!(super::open_run(&twin).is_none());
    });
}
