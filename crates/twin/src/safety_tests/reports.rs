//! What a run that ended otherwise says of what it leaves standing.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{Muster, is_quarantined, quiet};
use crate::testing::{on, plan};
use crate::world::Twin;

async fn close(muster: &Muster, outcome: &str) {
    muster.call("close-run", "CloseRun", json!({"outcome": outcome, "execution": "execution"})).await.unwrap();
}

/// What the report of the run says, as JSON.
fn report(muster: &Muster) -> String {
    muster.twin.look(|estate| serde_json::to_string(&estate.memory.reports[&muster.run.id]).unwrap())
}

#[test]
fn a_fence_that_was_put_up_and_never_proven_stands_in_the_report() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = Muster::opened(&twin).await;
        let first = muster.call("fence-database", "FenceDatabase", Value::Null).await.unwrap();
        assert!(!first.is_done() && is_quarantined(&twin));
        assert_eq!(muster.note("fencing/portal-db").await, None, "not proven");
        close(&muster, "aborted").await;
        let said = muster.unprotected();
        assert!(said.iter().any(|what| what.contains("portal-db in us-east-1 is quarantined")), "{said:?}");
        assert!(report(&muster).contains("portal-db in us-east-1 is quarantined"));
    });
}

#[test]
fn a_fence_that_was_proven_stands_in_the_report_and_one_that_was_lifted_does_not() {
    for lifted in [false, true] {
        on(&plan(), &quiet(), async |twin: Rc<Twin>| {
            let muster = Muster::opened(&twin).await;
            muster.until_done("fence-database", "FenceDatabase").await.unwrap();
            if lifted {
                muster.until_done("stand-down", "StandDown").await.unwrap();
            }
            close(&muster, "failed").await;
            assert_eq!(muster.unprotected().iter().any(|what| what.contains("is quarantined")), !lifted);
            assert_eq!(report(&muster).contains("is quarantined"), !lifted);
        });
    }
}

#[test]
fn a_promotion_that_was_asked_for_stands_in_the_report_of_a_run_that_was_aborted() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let muster = Muster::in_outage(&twin).await;
        muster.ask_for_promotion().await;
        close(&muster, "aborted").await;
        let said = muster.unprotected();
        assert!(said.iter().any(|what| what.contains("was promoted in us-west-2 or is being promoted")), "{said:?}");
    });
}
