//! The probe answers an alarm that stands, and nothing that people have answered.

use std::rc::Rc;

use muster_core::ports::{Closing, RunRegistry};
use muster_core::{Duration, Lane};
use muster_plan::RegionRole;

use super::{Muster, Recorder, quiet};
use crate::testing::{on, pass, plan};
use crate::world::Twin;

/// A run that was closed with that outcome while its outage goes on.
async fn closed(twin: &Rc<Twin>, outcome: &str) -> (Muster, Rc<Recorder>) {
    let engine = Recorder::of(twin);
    let muster = Muster::in_outage(twin).await;
    // The alarm on the probe's metric has stood since the outage began.
    twin.change(|estate| estate.alarm_since = Some(estate.now().before(Duration::from_mins(4))));
    let world = twin.world(RegionRole::Standby, "test", "close");
    let closing = Closing { run: muster.run.id.clone(), flow: "region-failover".into(), outcome: outcome.into(), at: twin.now() };
    assert!(world.close_run("portal", Lane::Recover, &closing).await.unwrap());
    (muster, engine)
}

#[test]
fn an_abandoned_run_is_started_again_by_one_name_however_often_the_probe_looks() {
    on(&plan(), &quiet(), async |twin: Rc<Twin>| {
        let (muster, engine) = closed(&twin, "abandoned").await;
        muster.probe().await;
        // Delivered twice, and a probe that looks again before the run is open.
        muster.probe().await;
        let started = engine.started.borrow().clone();
        assert!(!started.is_empty(), "nobody has finished it");
        assert!(started.iter().all(|one| *one == started[0]), "Step Functions takes the second for the first: {started:?}");
        assert_eq!(started[0].0, "region-failover");

        engine.started.borrow_mut().clear();
        let muster = muster.next().await;
        muster.probe_for(10).await;
        assert!(engine.started.borrow().is_empty(), "the run that is open answers the alarm");
    });
}

#[test]
fn a_run_that_was_ended_on_purpose_is_not_started_again_by_the_probe() {
    for outcome in ["vetoed", "aborted", "stoodDown", "succeeded", "failed"] {
        on(&plan(), &quiet(), async |twin: Rc<Twin>| {
            let (muster, engine) = closed(&twin, outcome).await;
            muster.probe_for(10).await;
            pass(3_600).await;
            muster.probe_for(3).await;
            assert!(engine.started.borrow().is_empty(), "{outcome}");
        });
    }
}
