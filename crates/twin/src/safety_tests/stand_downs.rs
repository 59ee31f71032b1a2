//! Standing down: nothing is undone while it cannot be known whether it may be.

use std::rc::Rc;

use muster_core::Evidence;
use serde_json::Value;

use super::{Muster, is_quarantined, quiet, standby_is_blind, standby_returns, strike};
use crate::faults::Fault;
use crate::testing::{on, pass, plan};
use crate::world::Twin;

/// A run whose primary answers and is fenced, and that lost sight of the standby before any promotion.
async fn fenced_and_blind(twin: &Rc<Twin>) -> Muster {
    let muster = Muster::opened(twin).await;
    muster.until_done("fence-database", "FenceDatabase").await.unwrap();
    assert!(is_quarantined(twin));
    standby_is_blind(twin);
    muster
}

#[test]
fn a_stand_down_that_cannot_see_the_standby_lifts_no_fence() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = fenced_and_blind(&twin).await;
        let first = muster.call("stand-down", "StandDown", Value::Null).await.unwrap();
        assert!(!first.is_done(), "it looks again for a while: {}", first.detail);
        assert!(is_quarantined(&twin), "a promotion may have been applied");
        let mut last = first;
        while !last.is_done() {
            pass(last.retry_after_seconds.unwrap()).await;
            last = muster.again("stand-down", &last, &Value::Null).await.unwrap();
            assert!(is_quarantined(&twin));
        }
        assert_eq!(last.verdict.as_deref(), Some("irreversible"), "{}", last.detail);
        let said = muster.unprotected();
        assert!(said.iter().any(|what| what.contains("the standby cannot be seen") && what.contains("undo by hand")), "{said:?}");
    });
}

#[test]
fn a_promotion_by_hand_that_shows_only_when_the_standby_is_seen_again_keeps_the_fence() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = fenced_and_blind(&twin).await;
        strike(&twin, &Fault::OperatorPromotes);
        let waiting = muster.call("stand-down", "StandDown", Value::Null).await.unwrap();
        assert!(!waiting.is_done());
        pass(120).await;
        standby_returns(&twin);
        let done = muster.again("stand-down", &waiting, &Value::Null).await.unwrap();
        assert_eq!(done.verdict.as_deref(), Some("irreversible"), "{}", done.detail);
        assert!(is_quarantined(&twin));
    });
}

#[test]
fn a_standby_that_is_seen_to_replicate_still_lets_the_fence_be_lifted() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = fenced_and_blind(&twin).await;
        let waiting = muster.call("stand-down", "StandDown", Value::Null).await.unwrap();
        pass(120).await;
        standby_returns(&twin);
        let done = muster.again("stand-down", &waiting, &Value::Null).await.unwrap();
        assert_eq!(done.verdict.as_deref(), Some("undone"), "{}", done.detail);
        assert!(!is_quarantined(&twin));
        assert!(muster.evidence().iter().any(|seen| matches!(seen, Evidence::Undone { what } if what.contains("quarantine"))));
    });
}
