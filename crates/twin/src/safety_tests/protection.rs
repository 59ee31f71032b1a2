//! The flow `backup`, by its real state machine: weeks with and without faults, and the lanes beside each other.

use muster_actions::{OPEN_RUN, open_run};
use muster_core::{Timestamp, run_alone};
use muster_plan::Flow;

use super::backups::plan;
use super::*;
use crate::faults::Accepting;
use crate::rehearse::Rehearser;
use crate::scenario::{Planned, When};
use crate::snapshots::SnapshotFault;
use crate::story::Event;
use crate::testing::on;

#[test]
fn quiet_weeks_succeed_and_leave_what_the_schedules_want() {
    for name in ["basecoat", "kaireon", "kredete"] {
        let protection = Rehearser::new(&plan(name)).unwrap().protect(1, 6);
        assert!(protection.is_sound() && protection.faults.is_empty(), "{name}: {protection:?}");
        assert_eq!(protection.runs.keys().map(|outcome| &**outcome).collect::<Vec<_>>(), ["succeeded"], "{name}");
        assert!(protection.runs["succeeded"] > 120 && protection.made > 8, "{name}: {protection:?}");
    }
}

/// Ninety days of each plan are `make simulate`'s, years `make soak`'s.
#[test]
fn weeks_with_a_fault_leave_out_what_cannot_be_done_say_so_and_make_up_for_it() {
    let protection = Rehearser::new(&plan("kaireon")).unwrap().protect(1, 36);
    assert!(protection.is_sound(), "{protection:?}");
    assert!(protection.faults.len() == 1 && protection.runs.contains_key("succeeded") && protection.runs.contains_key("failed"), "{protection:?}");
}

/// Somebody answers each hold with another try, for hours, and no run comes to its end meanwhile.
#[test]
fn before_anybody_is_waited_for_what_is_late_is_looked_at_and_said() {
    let plan = plan("kaireon");
    let disabled = Fault::Snapshots { fault: SnapshotFault::KeyDisabled(plan.regions.standby.clone()), span: Duration::from_hours(6) };
    let again = Fault::Answer { question: "*", choice: "retry", by: "Ann", accepting: Accepting::Nothing };
    let faults = [(When::At(0), disabled), (When::Asked(Duration::from_mins(25)), again)];
    let faults = faults.into_iter().map(|(when, fault)| Planned { name: "test", when, fault }).collect();
    let mut events = Vec::new();
    Rehearser::new(&plan).unwrap().watch(&Scenario { faults, ..Scenario::of_flow(Flow::Backup, 1) }, &mut |event| events.push(event));
    let at = |is: &dyn Fn(&Evidence) -> bool| -> Vec<Timestamp> {
        events.iter().filter_map(|event| if let Event::Evidence { at, evidence, .. } = event { is(evidence).then_some(*at) } else { None }).collect()
    };
    let (looks, holds) = (at(&|evidence| matches!(evidence, Evidence::BackupsVerified { .. })), at(&|evidence| matches!(evidence, Evidence::Held { .. })));
    assert!(holds.len() > 4, "{holds:?}");
    for hold in holds {
        assert!(looks.iter().any(|look| *look <= hold && hold.since(*look) < Duration::from_mins(2)), "nobody had looked when the run held at {hold}");
    }
}

/// One invocation of `open-run`.
pub(super) async fn opened(twin: &Rc<Twin>, flow: &str, execution: &str, input: serde_json::Value) -> Result<Progress, Failure> {
    let world = twin.world(RegionRole::Standby, "open-run", execution);
    let result = run_alone(OPEN_RUN, execution, json!({"flow": flow, "execution": execution, "input": input}), &world, open_run).await;
    world.settle().await;
    result
}

#[test]
fn a_backup_and_a_failover_are_open_beside_each_other_and_whoever_asks_by_name_waits() {
    on(&plan("basecoat"), &quiet(), |twin| async move {
        let order = |backups: &[&str]| json!({"service": "basecoat-portal", "by": "Ada", "reason": "before a migration", "backups": backups});
        for execution in ["first", "failover"] {
            twin.look(|estate| estate.memory.executions.insert(execution.into(), ExecutionState::Running));
        }
        let verdict = |progress: Result<Progress, Failure>| progress.unwrap().verdict.unwrap_or_default();
        assert_eq!(verdict(opened(&twin, "backup", "first", order(&[])).await), "opened");
        assert_eq!(verdict(opened(&twin, "region-failover", "failover", json!({"service": "basecoat-portal", "by": "Ada", "reason": "down"})).await), "opened");
        assert_eq!(verdict(opened(&twin, "backup", "second", order(&[])).await), "joined");
        let waits = opened(&twin, "backup", "third", order(&["portal-db-snapshots"])).await.unwrap();
        assert!(!waits.is_done() && waits.detail.contains("taken after it"), "{waits:?}");
        for unknown in ["nothing-of-the-kind", "portal-db-automated"] {
            let refused = opened(&twin, "backup", "fourth", order(&[unknown])).await.unwrap_err();
            assert!(refused.error_type == "Muster.Invalid" && refused.error_message.contains("portal-db-snapshots"), "{refused}");
        }
        let misplaced = opened(&twin, "region-failover", "fifth", order(&["portal-db-snapshots"])).await.unwrap_err();
        assert_eq!(misplaced.error_type, "Muster.Invalid");
    });
}
