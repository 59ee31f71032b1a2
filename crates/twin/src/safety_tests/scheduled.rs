//! Every call in every way, and every point of death, of the flows that schedules start. `make simulate` goes through all plans and more bases; here
//! each kind is tried once, of a plan that has both flows. A morning of backups takes longer than a restore test: of its trials every fifth is made.

use std::collections::BTreeSet;

use muster_plan::{Flow, Plan};

use super::backups::plan;
use super::*;
use crate::outcome::Rehearsal;
use crate::rehearse::{Recording, Rehearser};
use crate::simulate::{Cut, KINDS, Trial, Verdict, bases, every_call, every_death, judge};

/// The first base of a flow: it goes through, and what is tried can be tried.
fn recorded(rehearser: &Rehearser, plan: &Plan, flow: Flow) -> (Scenario, Rehearsal, Recording) {
    let goes_through = |seed| {
        let scenario = bases(plan, flow, seed).swap_remove(0);
        let (end, recording) = rehearser.record(&scenario);
        (end.outcome.as_deref() == Some("succeeded")).then_some((scenario, end, recording))
    };
    let (scenario, end, recording) = (1..20).find_map(goes_through).expect("a flow that goes through");
    assert!(end.violation.is_none() && end.held == 0 && !recording.events.is_empty(), "{:?}", end.violation);
    (scenario, end, recording)
}

/// What became of each trial, where that is wrong.
fn wrong(rehearser: &Rehearser, end: &Rehearsal, trials: &[Trial]) -> Vec<String> {
    let judged = |trial: &Trial| match judge(trial, &rehearser.run(&trial.scenario), end) {
        Verdict::Wrong(seen) => Some(format!("{}: {seen}", trial.what)),
        Verdict::Same | Verdict::Held => None,
    };
    trials.iter().filter_map(judged).collect()
}

fn every_call_of(flow: Flow, actions: &[&str], step: usize) {
    let plan = plan("kaireon");
    let rehearser = Rehearser::new(&plan).unwrap();
    let (scenario, end, recording) = recorded(&rehearser, &plan, flow);
    let trials = every_call(0, &scenario, &recording, 1);
    let of_flow: BTreeSet<&str> = recording.calls.iter().map(|call| &*call.action).collect();
    assert!(actions.iter().all(|action| of_flow.contains(action)), "{of_flow:?}");
    for kind in KINDS {
        assert!(trials.iter().any(|trial| trial.what.starts_with(kind)), "no call goes wrong as `{kind}`");
    }
    let trials: Vec<Trial> = trials.into_iter().step_by(step).collect();
    assert_eq!(wrong(&rehearser, &end, &trials), [""; 0], "of {} trials", trials.len());
}

#[test]
fn whichever_call_of_a_backup_goes_wrong_in_whichever_way_the_same_is_there_in_the_end() {
    every_call_of(Flow::Backup, &["open-run", "take-backup", "copy-backup", "prune-backups", "verify-backups", "close-run", "janitor"], 5);
}

#[test]
fn whichever_call_of_a_restore_test_goes_wrong_in_whichever_way_nothing_is_left_of_it() {
    every_call_of(Flow::RestoreTest, &["open-run", "restore-clone", "verify-clone", "destroy-clone", "close-run", "janitor", "sweep-clones"], 1);
}

fn every_death_of(flow: Flow, states: &[&str], step: usize) {
    let plan = plan("kaireon");
    let rehearser = Rehearser::new(&plan).unwrap();
    let (scenario, end, recording) = recorded(&rehearser, &plan, flow);
    let trials: Vec<Trial> = every_death(0, &scenario, &recording, 1).into_iter().step_by(step).collect();
    for state in states {
        assert!(recording.events.iter().any(|event| event.ends_with(&format!(" in {state}"))), "{state} is not entered");
    }
    assert!(trials.len() > 5 * Cut::ALL.len(), "{}", trials.len());
    assert_eq!(wrong(&rehearser, &end, &trials), [""; 0], "of {} trials", trials.len());
}

#[test]
fn wherever_a_backup_is_cut_off_and_however_it_goes_on_the_same_is_there_in_the_end() {
    every_death_of(Flow::Backup, &["OpenRun", "TakeBackup", "WaitForBackups", "CopyBackup", "PruneBackups", "VerifyBackups", "CloseRun"], 5);
}

#[test]
fn wherever_a_restore_test_is_cut_off_and_however_it_goes_on_nothing_is_left_of_it() {
    every_death_of(Flow::RestoreTest, &["OpenRun", "RestoreClone", "WaitForClone", "VerifyClone", "DestroyClone", "WaitToDestroy", "CloseRun"], 1);
}
