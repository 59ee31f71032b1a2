//! Every invariant can fail: the ports are driven by hand into each violation.

use std::collections::BTreeMap;
use std::rc::Rc;

use muster_core::ports::{
    AliasRecord, Control, Databases, Dns, GroupSize, KillSwitch, LaunchTemplates, MetricValue, MetricWriter, OpenRun, Parameters, RunRegistry, ScalingGroups,
};
use muster_core::{DatabaseId, Evidence, Journaled, LaunchTemplateId, Override, ParameterId, ScalingGroupId};
use muster_plan::RegionRole;

use crate::faults::Fault;
use crate::scenario::Scenario;
use crate::testing::{on, opened, pass, plan, plan_with, run};
use crate::world::{Twin, World};

fn violated(twin: &Rc<Twin>) -> Option<u8> {
    twin.look(|estate| estate.guard.violation().map(|violation| violation.invariant))
}

fn replica() -> DatabaseId {
    DatabaseId::new(&"us-west-2".parse().unwrap(), "portal-db-replica")
}

fn strike(twin: &Rc<Twin>, fault: &Fault) {
    twin.change(|estate| estate.strike(fault));
}

fn holding() -> std::sync::Arc<muster_plan::Plan> {
    plan_with(|plan| {
        plan["databases"][0]["lag"]["whenUnknown"] = serde_json::json!({"kind": "hold"});
        plan["databases"][0]["fence"]["whenUnreachable"] = serde_json::json!({"kind": "hold"});
    })
}

async fn move_traffic(world: &World, milli: i64) {
    let standby = "us-west-2".parse().unwrap();
    let value = MetricValue { name: "Takeover".into(), dimensions: BTreeMap::new(), milli };
    world.put_metrics(&standby, "Muster", &[value], true).await.unwrap();
}

/// Everything that the standby needs to serve in full.
async fn recover(world: &World) {
    let standby = "us-west-2".parse().unwrap();
    let host = "portal-db-replica.c9akciq32rne.us-west-2.rds.amazonaws.com";
    world.create_template_version(&LaunchTemplateId::new(&standby, "web-lt"), host, "token").await.unwrap();
    world.put_parameter(&ParameterId::new(&standby, "/portal/db"), host).await.unwrap();
    world.resize_group(&ScalingGroupId::new(&standby, "web-dr"), GroupSize { min: 4, desired: 4, max: 8 }).await.unwrap();
    world.promote_replica(&replica(), 7).await.unwrap();
    pass(3_600).await;
}

#[test]
fn one_two_writable_primaries_are_seen() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        world.promote_replica(&replica(), 7).await.unwrap();
        assert_eq!(violated(&twin), None, "replication has ended, and the new primary takes no writes yet");
        pass(1_800).await;
        assert_eq!(violated(&twin), Some(1));
        let violation = twin.look(|estate| estate.guard.violation().cloned()).unwrap();
        assert!(violation.story.iter().any(|line| line.contains("is being promoted")), "{:?}", violation.story);
    });
}

#[test]
fn one_an_acceptance_by_name_allows_it() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        let risk = Override::Unfenced { database: "portal-db".into(), by: "VP".into(), reason: "test".into() };
        world.journal().saw(twin.now(), Evidence::Accepted { risk, standing: false });
        world.promote_replica(&replica(), 7).await.unwrap();
        pass(1_800).await;
        assert_eq!(violated(&twin), None);
    });
}

#[test]
fn one_a_standing_acceptance_is_no_excuse_while_the_primary_is_seen() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        strike(&twin, &Fault::RegionIsolated);
        world.promote_replica(&replica(), 7).await.unwrap();
        pass(1_800).await;
        assert_eq!(violated(&twin), None, "the plan accepts it while nobody sees the primary");
    });
}

#[test]
fn two_traffic_to_a_standby_that_does_not_serve_is_seen() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        move_traffic(&world, 1_000).await;
        assert_eq!(violated(&twin), Some(2));
    });
}

#[test]
fn two_and_six_traffic_may_move_to_a_standby_that_serves_and_not_back() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        strike(&twin, &Fault::RegionDown);
        recover(&world).await;
        move_traffic(&world, 1_000).await;
        pass(600).await;
        assert_eq!(violated(&twin), None);
        strike(&twin, &Fault::RegionReturns);
        move_traffic(&world, 0).await;
        assert_eq!(violated(&twin), Some(6));
    });
}

#[test]
fn two_a_rewritten_record_is_looked_at_too() {
    let plan = plan_with(|plan| {
        plan["traffic"][0]["method"] = serde_json::json!({
            "kind": "upsertAlias",
            "primary": {"dnsName": "alb-1.us-east-1.elb.amazonaws.com", "zone": "Z1"},
            "standby": {"dnsName": "alb-2.us-west-2.elb.amazonaws.com", "zone": "Z2"}
        });
    });
    on(&plan, &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        let alias = AliasRecord {
            name: "portal.example.com",
            record_type: "A",
            target: "alb-2.us-west-2.elb.amazonaws.com",
            target_zone: "Z2",
            evaluate_target_health: false,
        };
        world.upsert_aliases("Z123", &[alias]).await.unwrap();
        assert_eq!(violated(&twin), Some(2));
    });
}

#[test]
fn two_a_standby_that_clients_use_is_not_made_smaller_than_they_need() {
    let standby = ScalingGroupId::new(&"us-west-2".parse().unwrap(), "web-dr");
    let size = |desired| GroupSize { min: 0, desired, max: 8 };
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        strike(&twin, &Fault::RegionDown);
        world.resize_group(&standby, size(4)).await.unwrap();
        world.resize_group(&standby, size(0)).await.unwrap();
        assert_eq!(violated(&twin), None, "nobody uses it yet");
        recover(&world).await;
        move_traffic(&world, 1_000).await;
        pass(600).await;
        world.resize_group(&standby, size(6)).await.unwrap();
        world.resize_group(&standby, size(4)).await.unwrap();
        assert_eq!(violated(&twin), None, "four are what it needs");
        world.resize_group(&standby, size(3)).await.unwrap();
        assert_eq!(violated(&twin), Some(2));
    });
}

#[test]
fn two_a_standby_that_traffic_is_on_its_way_to_is_not_made_smaller_either() {
    let standby = ScalingGroupId::new(&"us-west-2".parse().unwrap(), "web-dr");
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        strike(&twin, &Fault::RegionDown);
        recover(&world).await;
        move_traffic(&world, 1_000).await;
        world.resize_group(&standby, GroupSize { min: 0, desired: 0, max: 8 }).await.unwrap();
        assert_eq!(violated(&twin), Some(2));
    });
}

#[test]
fn three_a_promotion_beyond_the_rpo_is_seen() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        strike(&twin, &Fault::ReplicaLag { already: muster_core::Duration::from_mins(6), permille: 0 });
        pass(60).await;
        world.promote_replica(&replica(), 7).await.unwrap();
        assert_eq!(violated(&twin), Some(3));
    });
}

#[test]
fn three_a_lag_that_nobody_knows_is_not_zero() {
    on(&holding(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        strike(&twin, &Fault::RegionIsolated);
        world.promote_replica(&replica(), 7).await.unwrap();
        assert_eq!(violated(&twin), Some(3));
    });
}

#[test]
fn three_a_person_may_accept_the_loss() {
    on(&holding(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        strike(&twin, &Fault::RegionDown);
        let risk = Override::Lag { database: "portal-db".into(), up_to: None, by: "VP".into(), reason: "test".into() };
        world.journal().saw(twin.now(), Evidence::Accepted { risk, standing: false });
        world.promote_replica(&replica(), 7).await.unwrap();
        assert_eq!(violated(&twin), None);
    });
}

#[test]
fn four_a_call_under_a_stale_epoch_is_seen() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        let newer = OpenRun { run: run(&twin, "region-failover", 2), execution: "another".into(), drill: false };
        assert!(world.open_run(1, &newer).await.unwrap());
        pass(10).await;
        let refused = world.promote_replica(&replica(), 7).await;
        assert_eq!(refused.unwrap_err().fault, muster_core::CallFault::Halted);
        assert_eq!(violated(&twin), None, "every adapter asks first");
        twin.without_admission();
        let _ = world.promote_replica(&replica(), 7).await;
        assert_eq!(violated(&twin), Some(4));
    });
}

#[test]
fn four_a_second_run_beside_a_running_one_is_seen() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        twin.look(|estate| estate.memory.executions.insert("execution".into(), muster_core::ports::ExecutionState::Running));
        let newer = OpenRun { run: run(&twin, "region-failover", 2), execution: "another".into(), drill: false };
        assert!(world.open_run(1, &newer).await.unwrap());
        assert_eq!(violated(&twin), Some(4));
    });
}

#[test]
fn seven_a_run_without_a_report_or_with_its_lock_is_seen() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        opened(&twin, "region-failover").await;
        twin.look(|estate| estate.check_end(&BTreeMap::new(), false));
        assert_eq!(violated(&twin), Some(7));
    });
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let run = muster_core::RunId("portal.region-failover.1".into());
        twin.look(|estate| estate.check_end(&BTreeMap::from([(run.0.clone(), run)]), false));
        assert_eq!(violated(&twin), Some(7));
    });
}

#[test]
fn nine_a_call_after_the_kill_switch_is_seen() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        twin.change(|estate| {
            let switch = KillSwitch { by: "operator".into(), reason: "test".into() };
            estate.memory.kill_switch = Some((switch, estate.now()));
        });
        assert!(world.read_control("portal", muster_core::Lane::Recover).await.unwrap().kill_switch.is_some());
        pass(10).await;
        let refused = world.promote_replica(&replica(), 7).await;
        assert_eq!(refused.unwrap_err().fault, muster_core::CallFault::Halted);
        assert_eq!(violated(&twin), None, "every adapter asks first");
        twin.without_admission();
        let _ = world.promote_replica(&replica(), 7).await;
        assert_eq!(violated(&twin), Some(9));
    });
}

#[test]
fn the_other_region_is_not_reached_by_the_dead_one() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let world = opened(&twin, "region-failover").await;
        strike(&twin, &Fault::RegionDown);
        let primary = DatabaseId::new(&"us-east-1".parse().unwrap(), "portal-db");
        let before = twin.now();
        let error = world.describe_databases(&primary.region, std::slice::from_ref(&primary)).await.unwrap_err();
        assert_eq!(error.fault, muster_core::CallFault::Unreachable);
        assert_eq!(twin.now().since(before), crate::world::CONNECT);
        assert_eq!(world.here(), RegionRole::Standby);
    });
}
