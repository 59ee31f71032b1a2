//! Promotions that no call of the run has brought about: found done by hand, or found detached.

use std::rc::Rc;

use muster_core::{Evidence, Override};
use muster_plan::RegionRole;
use serde_json::{Value, json};

use super::{Muster, is_quarantined, quiet, standby_is_blind, standby_returns, strike};
use crate::faults::Fault;
use crate::testing::{on, pass, plan};
use crate::world::Twin;

/// A run whose preflight saw the replica replicate, and that finds it promoted by an operator.
async fn promoted_by_hand(twin: &Rc<Twin>) -> Muster {
    let muster = Muster::in_outage(twin).await;
    muster.until_done("preflight", "Preflight").await.unwrap();
    muster.until_done("fence-database", "FenceDatabase").await.unwrap();
    strike(twin, &Fault::OperatorPromotes);
    pass(3_600).await;
    muster.until_done("promote-replica", "PromoteReplica").await.unwrap();
    muster
}

fn irreversible(muster: &Muster) -> Vec<String> {
    let step = |evidence| if let Evidence::Irreversible { step } = evidence { Some(step) } else { None };
    muster.evidence().into_iter().filter_map(step).collect()
}

#[test]
fn a_promotion_that_was_found_done_is_written_down_like_one_that_was_asked_for() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = promoted_by_hand(&twin).await;
        let steps = irreversible(&muster);
        assert!(matches!(steps.as_slice(), [step] if step.contains("portal-db-replica") && step.contains("found promoted")), "{steps:?}");
        assert!(muster.note("promotion/portal-db").await.is_some());
        assert_eq!(muster.service_note("promoted/portal-db").await, Some(json!(muster.run.id)));
        muster.until_done("promote-replica", "PromoteReplica").await.unwrap();
        assert_eq!(irreversible(&muster).len(), 1, "once");
    });
}

#[test]
fn after_a_promotion_that_was_found_done_nothing_is_undone_and_silence_goes_on() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = promoted_by_hand(&twin).await;
        standby_is_blind(&twin);
        muster.hold_at("ScaleCompute").await;
        assert_eq!(&*muster.question("ScaleCompute@1").await.default, "retry");
        let done = muster.call("stand-down", "StandDown", Value::Null).await.unwrap();
        assert_eq!(done.verdict.as_deref(), Some("irreversible"), "it need not look: {}", done.detail);
        assert!(muster.service_note("fenceDebt/portal-db").await.is_some(), "the old primary is to be fenced all the same");
        strike(&twin, &Fault::RegionReturns);
        muster.alone(RegionRole::Standby, "fence-returned", json!({})).await.unwrap();
        assert!(is_quarantined(&twin), "also while the standby cannot be seen");
    });
}

#[test]
fn the_next_run_takes_a_promotion_that_was_found_done_for_its_services_own() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = promoted_by_hand(&twin).await;
        muster.call("close-run", "CloseRun", json!({"outcome": "aborted", "execution": "execution"})).await.unwrap();
        let next = muster.next().await;
        next.until_done("preflight", "Preflight").await.unwrap();
        next.until_done("promote-replica", "PromoteReplica").await.unwrap();
        assert_eq!(irreversible(&next).len(), 1, "there is no way back for this run either");
    });
}

/// A run that meets a standby which somebody promoted before it was opened.
async fn detached(twin: &Rc<Twin>) -> Muster {
    strike(twin, &Fault::OperatorPromotes);
    pass(3_600).await;
    Muster::in_outage(twin).await
}

/// A person answers `skip` at a hold.
async fn skip(muster: &Muster, phase: &str) {
    muster.hold_at(phase).await;
    let answer = json!({"service": "portal", "question": format!("{phase}@1"), "choice": "skip", "by": "Ann", "reason": "its data is known"});
    muster.alone(RegionRole::Standby, "answer-question", answer).await.unwrap();
    assert_eq!(muster.settle_hold(phase).await.verdict.as_deref(), Some("skip"));
}

fn skipped(muster: &Muster, phase: &str) -> bool {
    muster
        .evidence()
        .iter()
        .any(|seen| matches!(seen, Evidence::Accepted { risk: Override::Check { phase: known, by, .. }, standing: false } if known == phase && by == "Ann"))
}

#[test]
fn a_detached_standby_is_used_once_a_person_has_skipped_the_preflight_that_told_of_it() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = detached(&twin).await;
        let refused = muster.until_done("preflight", "Preflight").await.unwrap_err();
        assert!(refused.error_message.contains("its standby is a primary already"), "{refused}");
        let refused = muster.until_done("promote-replica", "PromoteReplica").await.unwrap_err();
        assert!(refused.error_message.contains("its standby is a primary already"), "nobody has accepted it yet: {refused}");
        skip(&muster, "Preflight").await;
        assert!(skipped(&muster, "Preflight"), "by name");
        muster.until_done("promote-replica", "PromoteReplica").await.unwrap();
        assert_eq!(irreversible(&muster).len(), 1);
    });
}

#[test]
fn a_skipped_preflight_that_did_not_see_the_standby_vouches_for_no_detached_one() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = detached(&twin).await;
        standby_is_blind(&twin);
        muster.until_done("preflight", "Preflight").await.unwrap_err();
        skip(&muster, "Preflight").await;
        standby_returns(&twin);
        let refused = muster.until_done("promote-replica", "PromoteReplica").await.unwrap_err();
        assert_eq!(refused.error_type, "Muster.Refused", "nobody was told that it is detached: {refused}");
        assert!(irreversible(&muster).is_empty());
    });
}

#[test]
fn a_skipped_promotion_makes_no_detached_standby_the_services_own() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = detached(&twin).await;
        muster.until_done("preflight", "Preflight").await.unwrap_err();
        muster.until_done("promote-replica", "PromoteReplica").await.unwrap_err();
        skip(&muster, "PromoteReplica").await;
        assert!(skipped(&muster, "PromoteReplica"), "by name");
        assert_eq!(muster.service_note("promoted/portal-db").await, None);
        let refused = muster.until_done("promote-replica", "PromoteReplica").await.unwrap_err();
        assert_eq!(refused.error_type, "Muster.Refused", "{refused}");
        let done = muster.until_done("stand-down", "StandDown").await.unwrap();
        assert_eq!(done.verdict.as_deref(), Some("irreversible"), "it is a primary, whoever made it one");
        muster.call("close-run", "CloseRun", json!({"outcome": "aborted", "execution": "execution"})).await.unwrap();
        let refused = muster.next().await.until_done("preflight", "Preflight").await.unwrap_err();
        assert!(refused.error_message.contains("its standby is a primary already"), "{refused}");
    });
}
