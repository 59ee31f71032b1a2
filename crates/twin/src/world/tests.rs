//! A call's way: faults, obstacles, effects, the journal.

use std::rc::Rc;

use muster_core::ports::{DatabaseRole, DatabaseStatus, Databases, Ledger};
use muster_core::{Body, CallFault, DatabaseId, Duration, Journaled};

use super::{ATTEMPT, Twin};
use crate::faults::Fault;
use crate::scenario::{Matching, Planned, Scenario, When};
use crate::testing::{on, opened, pass, plan};

fn replica() -> DatabaseId {
    DatabaseId::new(&"us-west-2".parse().unwrap(), "portal-db-replica")
}

/// A scenario whose fault strikes the first promotion.
fn at_promotion(fault: Fault) -> Scenario {
    let when = When::Call { matching: Matching::Operation("rds:PromoteReadReplica".into()), nth: 1 };
    Scenario { faults: vec![Planned { name: "test", when, fault }], ..Scenario::quiet(1) }
}

fn is_promoting(twin: &Rc<Twin>) -> bool {
    twin.look(|estate| estate.pairs[0].promotion.is_some())
}

#[test]
fn a_time_out_whose_call_was_applied_takes_the_attempts_budget_and_has_its_effect() {
    on(&plan(), &at_promotion(Fault::Call { fault: CallFault::TimedOut, applied: true, times: 1 }), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        pass(600).await;
        let before = twin.now();
        let error = world.promote_replica(&replica(), 7).await.unwrap_err();
        assert_eq!(error.fault, CallFault::TimedOut);
        assert!(twin.now().since(before) >= ATTEMPT);
        assert!(is_promoting(&twin));
    });
}

#[test]
fn a_call_that_was_throttled_has_no_effect() {
    on(&plan(), &at_promotion(Fault::Call { fault: CallFault::Throttled, applied: false, times: 1 }), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        pass(600).await;
        assert_eq!(world.promote_replica(&replica(), 7).await.unwrap_err().fault, CallFault::Throttled);
        assert!(!is_promoting(&twin));
        world.promote_replica(&replica(), 7).await.unwrap();
        assert!(is_promoting(&twin));
    });
}

#[test]
fn a_function_that_dies_before_a_call_leaves_no_effect_and_after_it_leaves_one() {
    for (fault, applied) in [(Fault::CrashBefore, false), (Fault::CrashAfter, true)] {
        on(&plan(), &at_promotion(fault), async |twin: Rc<Twin>| {
            let world = opened(&twin, "region-failover").await;
            pass(600).await;
            let call = tokio::time::timeout(std::time::Duration::from_secs(60), world.promote_replica(&replica(), 7)).await;
            assert!(call.is_err(), "nobody hears of it again");
            assert!(world.has_crashed());
            assert_eq!(is_promoting(&twin), applied);
        });
    }
}

#[test]
fn a_replica_is_promoted_once_and_its_status_lags_behind_the_call() {
    on(&plan(), &Scenario::quiet(3), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        let describe = async || {
            let id = replica();
            let states = world.describe_databases(&id.region, std::slice::from_ref(&id)).await.unwrap();
            states.get(&id).cloned().unwrap()
        };
        world.promote_replica(&replica(), 7).await.unwrap();
        assert_eq!(world.promote_replica(&replica(), 7).await.unwrap_err().fault, CallFault::Rejected);
        assert_eq!(describe().await.status, DatabaseStatus::Available);
        pass(61).await;
        assert_eq!(describe().await.status, DatabaseStatus::Changing("modifying"));
        pass(1_800).await;
        assert_eq!(describe().await.role, DatabaseRole::Primary);
    });
}

#[test]
fn what_was_confirmed_and_not_replicated_is_lost_and_counted() {
    on(&plan(), &Scenario::quiet(3), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        twin.change(|estate| estate.pairs[0].replication.base = Duration::from_secs(30));
        pass(600).await;
        twin.change(|estate| estate.strike(&Fault::RegionDown));
        pass(900).await;
        world.promote_replica(&replica(), 7).await.unwrap();
        pass(1_800).await;
        let truth =
            twin.look(|estate| estate.seen_by_clients(&Scenario::quiet(3))).components.into_iter().find(|truth| truth.component == "portal-db").unwrap();
        assert_eq!(truth.rpo, Some(Duration::from_secs(30)));
        // 30 seconds of 40 requests, a quarter of which write.
        assert_eq!(truth.writes_lost, 300);
    });
}

#[test]
fn writes_that_an_isolated_primary_takes_after_the_promotion_are_lost_too() {
    on(&plan(), &Scenario::quiet(3), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        twin.change(|estate| estate.pairs[0].replication.base = Duration::ZERO);
        twin.change(|estate| estate.strike(&Fault::RegionIsolated));
        let cut = twin.now();
        pass(100).await;
        world.promote_replica(&replica(), 7).await.unwrap();
        pass(100).await;
        let now = twin.now();
        let truth =
            twin.look(|estate| estate.seen_by_clients(&Scenario::quiet(3))).components.into_iter().find(|truth| truth.component == "portal-db").unwrap();
        assert_eq!(truth.rpo, Some(now.since(cut)));
        assert_eq!(truth.writes_lost, now.since(cut).as_millis() * 10 / 1_000);
    });
}

#[test]
fn every_call_to_the_estate_is_in_the_ledger_with_its_intent_first() {
    on(&plan(), &Scenario::quiet(3), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        world.promote_replica(&replica(), 7).await.unwrap();
        world.journal().save(&world).await.unwrap();
        let run = world.journal().run().unwrap();
        let entries = world.read_ledger(&run.id).await.unwrap();
        let kinds: Vec<&str> = entries
            .iter()
            .filter_map(|entry| match &entry.body {
                Body::Intent { call } if call.mutates => Some("intent"),
                Body::Called { call, outcome } if call.mutates && outcome.fault.is_none() => Some("called"),
                _ => None,
            })
            .collect();
        assert_eq!(kinds, ["intent", "called"]);
    });
}
