//! The rules that every state machine keeps, since JSON has no includes.
#![allow(clippy::unwrap_used)] // also in the functions that tests share

use std::collections::{BTreeMap, BTreeSet};

use muster_core::{Duration, poll_interval};
use serde_json::{Value, json};

const LAMBDA: &str = "arn:aws:states:::lambda:invoke";
const WITH_TOKEN: &str = "arn:aws:states:::lambda:invoke.waitForTaskToken";

fn machines() -> BTreeMap<String, Value> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../statemachines");
    let mut machines = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        machines.insert(path.file_name().unwrap().to_string_lossy().into_owned(), serde_json::from_str(&text).unwrap());
    }
    assert!(!machines.is_empty());
    machines
}

/// Every state of a machine with its name and the scope (machine or branch) that it stands in.
fn states(machine: &Value) -> Vec<(String, &Value, &Value)> {
    let mut found = Vec::new();
    let mut scopes = vec![machine];
    while let Some(scope) = scopes.pop() {
        for (name, state) in scope["States"].as_object().unwrap() {
            found.push((name.clone(), state, scope));
            scopes.extend(state["Branches"].as_array().into_iter().flatten());
        }
    }
    found
}

fn is_task(state: &Value, resource: &str) -> bool {
    state["Type"] == "Task" && state["Resource"] == resource
}

fn retry_block() -> Value {
    json!([{
        "ErrorEquals": [
            "Muster.Transient", "Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException", "Lambda.TooManyRequestsException",
            "Lambda.ClientExecutionTimeoutException", "Sandbox.Timedout", "Lambda.Unknown", "Runtime.ExitError", "States.Timeout"
        ],
        "IntervalSeconds": 1, "BackoffRate": 2, "MaxDelaySeconds": 20, "MaxAttempts": 10, "JitterStrategy": "FULL"
    }])
}

#[test]
fn every_machine_loads_in_the_interpreter() {
    for (file, machine) in machines() {
        let text = machine.to_string();
        let names: BTreeMap<String, String> = text
            .match_indices("${")
            .map(|(at, _)| text[at + 2..].split('}').next().unwrap().to_owned())
            .map(|name| (name.clone(), format!("arn:test:{name}")))
            .collect();
        if let Err(problems) = muster_asl::Machine::load(&text, &names) {
            panic!("{file}: {problems}");
        }
    }
}

#[test]
fn every_machine_says_what_it_takes_and_ends_in_time() {
    for (file, machine) in machines() {
        assert_eq!(machine["QueryLanguage"], "JSONata", "{file}");
        assert!(machine["Comment"].as_str().is_some_and(|comment| comment.contains("Input: ")), "{file}: the comment says what its input is");
        assert!(machine["TimeoutSeconds"].as_u64().is_some_and(|seconds| seconds > 0), "{file}");
    }
}

#[test]
fn every_task_says_why_and_has_a_time_out_and_a_way_out() {
    for (file, machine) in machines() {
        for (name, state, _) in states(&machine).iter().filter(|(_, state, _)| state["Type"] == "Task") {
            assert!(state["Comment"].as_str().is_some_and(|comment| !comment.is_empty()), "{file}: {name} says why");
            assert!(!state["TimeoutSeconds"].is_null(), "{file}: {name} has a time-out");
            assert!(
                state["Catch"].as_array().is_some_and(|catches| catches.iter().any(|one| one["ErrorEquals"] == json!(["States.ALL"]))),
                "{file}: {name} catches"
            );
        }
    }
}

#[test]
fn every_function_is_retried_alike_and_a_task_token_never() {
    for (file, machine) in machines() {
        for (name, state, _) in states(&machine) {
            if is_task(state, LAMBDA) {
                assert_eq!(state["Retry"], retry_block(), "{file}: {name}");
            }
            if is_task(state, WITH_TOKEN) {
                assert!(state["Retry"].is_null(), "{file}: {name} would mint a second token");
            }
        }
    }
}

#[test]
fn state_names_are_told_apart_and_choices_read_as_questions() {
    for (file, machine) in machines() {
        let mut seen = BTreeSet::new();
        for (name, state, _) in states(&machine) {
            assert!(
                name.chars().next().is_some_and(|first| first.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric()),
                "{file}: {name} is PascalCase"
            );
            assert!(seen.insert(name.clone()), "{file}: {name} stands in two scopes");
            if state["Type"] == "Choice" {
                assert!(["Is", "Are", "RunClosed"].iter().any(|word| name.starts_with(word)), "{file}: {name} reads as a question");
            }
        }
    }
}

#[test]
fn a_task_is_sent_the_name_of_its_own_state() {
    for (file, machine) in machines() {
        for (name, state, _) in states(&machine) {
            let phase = &state["Arguments"]["Payload"]["phase"];
            assert!(phase.is_null() || *phase == *name, "{file}: {name} says that it is {phase}");
        }
    }
}

/// What a phase's failure leads to can be answered with retry and with skip: both must be wired, for each phase.
#[test]
fn every_phase_that_can_hold_can_be_retried_and_skipped() {
    for (file, machine) in machines() {
        for (name, state, scope) in states(&machine) {
            for catch in state["Catch"].as_array().into_iter().flatten() {
                // Some look once more before they wait for anybody.
                let next = catch["Next"].as_str().map(|next| if next == "LookFirst" { "Hold" } else { next });
                let Some(next) = next.filter(|next| next.starts_with("Hold")) else { continue };
                let settle = scope["States"][next]["Next"].as_str().unwrap();
                let answers = scope["States"][settle]["Next"].as_str().unwrap();
                let rules = scope["States"][answers]["Choices"].as_array().unwrap();
                let held = catch["Assign"].as_object().unwrap().values().find_map(|value| value["phase"].as_str()).unwrap_or(&name).to_owned();
                assert_eq!(held, name, "{file}: the hold of {name} says who holds");
                for answer in ["retry", "skip"] {
                    let wired = rules.iter().any(|rule| {
                        rule["Condition"]
                            .as_str()
                            .is_some_and(|condition| condition.contains(&format!("'{answer}'")) && condition.contains(&format!("'{name}'")))
                    });
                    assert!(wired, "{file}: {name} cannot be answered with {answer}");
                }
            }
        }
    }
}

/// A poll costs at most so many history events: Task (5), Choice (2), Wait (2).
const EVENTS_PER_POLL: u64 = 9;

/// Polls of a phase that is asked for `patience`, in a run that was opened `age` before.
fn polls(patience: Duration, soonest: Duration, age: Duration) -> u64 {
    let (mut elapsed, mut polls) = (Duration::ZERO, 0);
    while elapsed < patience {
        let by_age = poll_interval(Duration::from_millis(age.saturating_add(elapsed).as_millis() / 5));
        elapsed = elapsed.saturating_add(poll_interval(elapsed).max(by_age).max(soonest));
        polls += 1;
    }
    polls
}

/// Every polling phase runs into its patience, one after the other or side by side, and everything is retried once.
#[test]
fn the_worst_case_stays_under_twenty_thousand_events() {
    let minutes = Duration::from_mins;
    let seconds = Duration::from_secs;
    // Patience and soonest poll of each phase, as the actions have them.
    let phases = [
        ("ConfirmOutage", minutes(30), seconds(5)),
        ("SettleDecision", minutes(10), seconds(15)),
        ("ConfirmAgain", minutes(30), seconds(5)),
        ("FenceDatabase", minutes(5), seconds(2)),
        ("PromoteReplica", minutes(30), seconds(3)),
        ("FailoverCache", minutes(15), seconds(3)),
        ("ScaleCompute", minutes(30), seconds(3)),
        ("StartWorkloads", minutes(30), seconds(3)),
        ("VerifyData", minutes(2), seconds(2)),
        ("VerifyStandby", minutes(15), seconds(2)),
        ("FlipDns", minutes(15), seconds(2)),
        ("VerifyPublic", minutes(15), seconds(2)),
        ("StartBackground", minutes(30), seconds(20)),
        ("Stabilize", minutes(45), seconds(20)),
        ("StandDown", minutes(5), seconds(2)),
    ];
    let machine = &machines()["region-failover.asl.json"];
    let names: BTreeSet<String> = states(machine).into_iter().map(|(name, _, _)| name).collect();
    let (mut age, mut events) = (Duration::ZERO, 0);
    for (name, patience, soonest) in phases {
        assert!(names.contains(name), "{name} is a state");
        events += EVENTS_PER_POLL * polls(patience, soonest, age);
        age = age.saturating_add(patience);
    }
    assert!(events < 20_000, "{events} events");
    // A day of retries, as long as an execution may run: whatever is polled then is polled once a minute at most.
    let day = EVENTS_PER_POLL * polls(Duration::from_hours(24), seconds(3), Duration::ZERO);
    assert!(day < 20_000, "{day} events in a day of one phase");
}

/// A round of a backup's run: two Tasks (5 events each), a Choice, a Wait. `LONGEST_BACKUP` ends the rounds; whatever takes long is looked at every five
/// minutes, once that is a sixth of what it took so far (`Pace::Hours`).
#[test]
fn a_day_of_a_backup_stays_under_twenty_thousand_events() {
    const EVENTS_PER_ROUND: u64 = 14;
    let (mut elapsed, mut rounds) = (Duration::ZERO, 0);
    while elapsed < Duration::from_hours(24) {
        let soonest = Duration::from_millis(elapsed.as_millis() / 6).max(Duration::from_secs(10)).min(Duration::from_mins(5));
        elapsed = elapsed.saturating_add(soonest);
        rounds += 1;
    }
    assert!(rounds > 250 && EVENTS_PER_ROUND * rounds < 20_000, "{rounds} rounds");
}
