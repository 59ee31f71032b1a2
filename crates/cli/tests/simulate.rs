//! `muster simulate`, as it is typed.

mod support;

use serde_json::Value;
use support::muster;

const PLAN: &str = "tests/plans/portal.yaml";

#[test]
fn random_disasters_are_summed_up_and_the_summary_does_not_depend_on_the_threads() {
    let run = |threads: &str| muster(&["simulate", PLAN, "--runs", "8", "--threads", threads, "--json"]);
    let first = run("1");
    assert_eq!(first.code, 0, "{}", first.stdout);
    let summary: Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!((&summary[0]["service"], &summary[0]["trials"], &summary[0]["wrong"]), (&"portal".into(), &8.into(), &0.into()));
    assert_eq!(first.stdout, run("2").stdout);
}

#[test]
fn a_seed_tells_its_faults_and_its_story_and_is_the_same_again() {
    let run = |more: &[&str]| muster(&[&["simulate", PLAN, "--seed", "3"], more].concat());
    let whole = run(&[]);
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    assert_eq!(whole.stdout, run(&[]).stdout);
    assert!(whole.stdout.contains("T+00:00:00.000"), "{}", whole.stdout);
    let part = run(&["--keep", "1"]);
    assert!(part.stdout.starts_with("portal, seed 3\n    1  T+00:00"), "{}", part.stdout);
    assert!(!part.stdout.contains("\n    2  "), "{}", part.stdout);
}

#[test]
fn a_fault_that_the_seed_does_not_have_cannot_be_kept() {
    let wrong = muster(&["simulate", PLAN, "--seed", "3", "--keep", "99"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("seed 3 has no such fault") && wrong.stderr.contains("numbers from 1 to"), "{}", wrong.stderr);
}

#[test]
fn a_plan_is_simulated_without_what_is_not_built_and_says_what_that_is() {
    let run = muster(&["simulate", "../../plans/kredete.yaml", "--runs", "2", "--json"]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    let summary: Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(summary[0]["leftOut"].as_array().unwrap().iter().any(|what| what.as_str().unwrap().contains("EKS node groups")), "{summary}");
}
