//! A primary that was accepted as unfenced: when it is fenced behind its back, and when it is not.

use std::rc::Rc;

use muster_core::{CallFault, Evidence};
use muster_plan::RegionRole;
use serde_json::{Value, json};

use super::{Muster, is_quarantined, quiet, strike};
use crate::faults::Fault;
use crate::scenario::{Matching, Planned, Scenario, When};
use crate::testing::{on, pass, plan};
use crate::world::Twin;

const DEBT: &str = "fenceDebt/portal-db";

/// The first promotion is asked for and never arrives.
fn promotion_is_lost() -> Scenario {
    let when = When::Call { matching: Matching::Operation("rds:PromoteReadReplica".into()), nth: 1 };
    let fault = Fault::Call { fault: CallFault::TimedOut, applied: false, times: 1 };
    Scenario { faults: vec![Planned { name: "test", when, fault }], ..quiet() }
}

fn is_promoting(twin: &Rc<Twin>) -> bool {
    twin.look(|estate| estate.pairs[0].promotion.is_some())
}

async fn fence_returned(muster: &Muster) {
    muster.alone(RegionRole::Standby, "fence-returned", json!({})).await.unwrap();
}

#[test]
fn a_returned_primary_whose_replacement_was_never_made_one_is_not_fenced() {
    on(&plan(), &promotion_is_lost(), async |twin: Rc<Twin>| {
        let muster = Muster::in_outage(&twin).await;
        muster.ask_for_promotion().await;
        assert!(!is_promoting(&twin), "the call was lost");
        assert!(muster.service_note(DEBT).await.is_some());
        strike(&twin, &Fault::RegionReturns);
        pass(30).await;
        fence_returned(&muster).await;
        assert!(!is_quarantined(&twin), "it is the only primary that there is");
        assert!(muster.service_note(DEBT).await.is_some(), "the debt stays for when it is replaced");

        muster.until_done("promote-replica", "PromoteReplica").await.unwrap();
        assert!(is_promoting(&twin));
        fence_returned(&muster).await;
        assert!(is_quarantined(&twin));
        assert_eq!(muster.service_note(DEBT).await, None);
    });
}

#[test]
fn a_returned_primary_is_fenced_while_its_replacement_is_still_being_promoted() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = Muster::in_outage(&twin).await;
        muster.ask_for_promotion().await;
        pass(90).await;
        assert!(twin.look(|estate| estate.pairs[0].promotion.is_some_and(|promotion| promotion.finished_at.is_none())));
        strike(&twin, &Fault::RegionReturns);
        fence_returned(&muster).await;
        assert!(is_quarantined(&twin), "there is no way back from a promotion that was applied");
    });
}

#[test]
fn an_acceptance_leaves_a_debt_that_an_abort_before_the_promotion_takes_back() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = Muster::in_outage(&twin).await;
        assert_eq!(muster.service_note(DEBT).await, None);
        muster.until_done("fence-database", "FenceDatabase").await.unwrap();
        assert!(muster.evidence().iter().any(|seen| matches!(seen, Evidence::Accepted { standing: true, .. })));
        assert!(muster.service_note(DEBT).await.is_some());
        let done = muster.until_done("stand-down", "StandDown").await.unwrap();
        assert_eq!(done.verdict.as_deref(), Some("undone"), "{}", done.detail);
        assert_eq!(muster.service_note(DEBT).await, None);
        strike(&twin, &Fault::RegionReturns);
        fence_returned(&muster).await;
        assert!(!is_quarantined(&twin));
    });
}

#[test]
fn a_debt_outlives_its_run_and_waits_while_another_one_is_open() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = Muster::in_outage(&twin).await;
        muster.ask_for_promotion().await;
        pass(3_600).await;
        let closing = json!({"outcome": "succeeded", "execution": "execution"});
        muster.call("close-run", "CloseRun", closing.clone()).await.unwrap();
        let next = muster.next().await;
        strike(&twin, &Fault::RegionReturns);
        fence_returned(&next).await;
        assert!(!is_quarantined(&twin), "the open run may be failing back to it");
        next.call("close-run", "CloseRun", closing).await.unwrap();
        fence_returned(&next).await;
        assert!(is_quarantined(&twin));
        assert_eq!(next.service_note(DEBT).await, None);
        assert_eq!(next.note("fencing/portal-db").await, None::<Value>, "what the later run knows is its own");
    });
}
