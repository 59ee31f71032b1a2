//! `muster rehearse`. Figures belong to the twin, the actions and the plan, and are not asserted here.

mod support;

use muster_report::Report;
use serde_json::Value;
use support::{command, directory, muster, ran, widest};

const PLAN: &str = "tests/plans/portal.yaml";

#[allow(clippy::unwrap_used)] // a test that cannot name its directory fails
fn rehearse(name: &str, arguments: &[&str]) -> support::Ran {
    let directory = directory(name);
    muster(&[&["rehearse", PLAN, "--out", directory.to_str().unwrap()], arguments].concat())
}

#[test]
fn a_failover_within_its_targets_ends_with_0_and_leaves_three_reports() {
    let directory = directory("reports");
    let run = muster(&["rehearse", PLAN, "--out", directory.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}{}", run.stderr, run.stdout);
    assert!(run.stdout.starts_with("PASS  portal was failed over from us-east-1 to us-west-2."), "{}", run.stdout);
    for part in ["RTO", "RPO", "Where the time went", "Unprotected now", "Report  ", "Again   muster rehearse tests/plans/portal.yaml --seed 1"] {
        assert!(run.stdout.contains(part), "{part} is missing in\n{}", run.stdout);
    }
    for form in ["report.json", "report.md", "report.html"] {
        assert!(std::fs::metadata(directory.join(form)).unwrap().len() > 1_000, "{form}");
    }
    let report: Report = serde_json::from_slice(&std::fs::read(directory.join("report.json")).unwrap()).unwrap();
    assert!(report.met_targets());
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn the_phases_and_the_decision_are_shown_as_they_happen() {
    let run = rehearse("phases", &[]);
    let shown = ["ConfirmOutage", "asked about failover", "decided failover: proceed, by silence", "PromoteReplica", "FlipDns", "CloseRun"];
    let places: Vec<usize> = shown.iter().map(|what| run.stderr.find(what).unwrap_or_else(|| panic!("{what} is missing in\n{}", run.stderr))).collect();
    assert!(places.is_sorted(), "{}", run.stderr);
    assert!(run.stderr.lines().any(|line| line.starts_with(" T+")));
    assert!(run.stderr.contains("seed 1 (the default: --seed N for another)"));
}

#[test]
fn nothing_moves_and_no_line_is_too_wide_where_nobody_watches() {
    let run = rehearse("plain", &["--fault", "replica-lag"]);
    assert!(!run.stderr.contains(['\u{1b}', '\r']) && !run.stdout.contains(['\u{1b}', '\r']));
    assert!(widest(&run.stderr) <= 80, "{}", run.stderr);
    // A path or a command that somebody will copy is not broken.
    let to_copy = |line: &&str| line.starts_with("Report") || line.starts_with("Again");
    assert!(run.stdout.lines().filter(|line| !to_copy(line)).all(|line| line.chars().count() <= 80), "{}", run.stdout);
}

#[test]
fn a_service_that_stays_down_ends_with_1() {
    let run = rehearse("veto", &["--fault", "veto"]);
    assert_eq!(run.code, 1, "{}", run.stdout);
    assert!(run.stdout.starts_with("FAIL") && run.stdout.contains("not restored"), "{}", run.stdout);
    assert!(run.stdout.contains("--fault veto --seed 1"), "{}", run.stdout);
}

#[test]
fn a_false_alarm_that_is_stood_down_ends_with_0() {
    let run = rehearse("clears", &["--fault", "outage-clears"]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(run.stdout.starts_with("PASS") && run.stdout.contains("stood down"), "{}", run.stdout);
}

#[test]
fn a_hold_is_told_in_words() {
    let run = rehearse("hold", &["--fault", "replica-lag", "--seed", "3"]);
    assert!(run.stderr.contains("HELD at "), "{}", run.stderr);
    assert!(run.stderr.contains("behind"), "{}", run.stderr);
}

#[test]
fn json_is_the_report_alone_and_the_same_bytes_every_time() {
    let run = || ran(command(&["rehearse", PLAN, "--json", "--seed", "7"]).output().unwrap());
    let first = run();
    assert_eq!((first.code, first.stderr.as_str()), (0, ""));
    let report: Report = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(report.clients.unwrap().seed, 7);
    assert_eq!(first.stdout, run().stdout);
    assert!(!std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rehearsal").exists());
}

#[test]
fn many_runs_are_summed_up_in_the_order_of_their_seeds() {
    let run = || muster(&["rehearse", PLAN, "--runs", "20"]);
    let first = run();
    assert_eq!(first.code, 0, "{}", first.stdout);
    assert!(first.stdout.starts_with("PASS  20 rehearsals of portal: 100 % met every target and broke nothing"), "{}", first.stdout);
    for part in ["RTO  target 4h, met by 100 %", "RPO  target 1h, met by 100 %", "p50 ", "p95 ", "p99 ", "max ", "█", "succeeded  20  100 %", "0 violations"]
    {
        assert!(first.stdout.contains(part), "{part} is missing in\n{}", first.stdout);
    }
    assert!(first.stdout.contains("muster rehearse tests/plans/portal.yaml --seed "), "{}", first.stdout);
    assert!(widest(&first.stdout) <= 80);
    assert_eq!((first.stderr.as_str(), &first.stdout), ("", &run().stdout));
}

#[test]
fn the_worst_of_many_runs_is_replayed_by_its_command() {
    let many: Value = serde_json::from_str(&muster(&["rehearse", PLAN, "--runs", "6", "--json"]).stdout).unwrap();
    assert_eq!((&many["runs"], &many["metEveryTarget"], &many["violations"]), (&6.into(), &6.into(), &0.into()));
    let seed = many["rto"]["worstSeed"].as_u64().unwrap().to_string();
    let one = muster(&["rehearse", PLAN, "--seed", &seed, "--json"]);
    let report: Report = serde_json::from_str(&one.stdout).unwrap();
    let rto = report.objectives[0].rto.deciding().actual.unwrap();
    assert_eq!(many["rto"]["max"], rto.to_string());
}

#[test]
fn a_seed_brings_faults_of_its_own_where_that_is_asked_for() {
    let many = muster(&["rehearse", PLAN, "--runs", "4", "--fault", "random", "--json"]);
    let value: Value = serde_json::from_str(&many.stdout).unwrap();
    assert_eq!((&value["runs"], &value["violations"], &value["faults"][0]), (&4.into(), &0.into(), &"random".into()));
}

#[test]
fn what_cannot_be_rehearsed_is_refused_with_a_way_out() {
    let refused = [
        &["rehearse", PLAN, "--fault", "primry-region-down"][..],
        &["rehearse", PLAN, "--fault", "region-down"],
        &["rehearse", PLAN, "--fault", "meteorite"],
        &["rehearse", PLAN, "--fault", "random,veto"],
        &["rehearse", PLAN, "--flow", "failback"],
        &["rehearse", PLAN, "--flow", "region-failover2"],
        &["rehearse", "tests/plans/unbuilt.yaml"],
        &["rehearse", "tests/plans"],
        &["rehearse", PLAN, "--runs", "5", "--out", "somewhere"],
        &["rehearse", PLAN, "--out", "Cargo.toml"],
    ];
    let mut text = String::new();
    for arguments in refused {
        let run = muster(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}");
        let error = run.stderr.find("error: ").unwrap_or_else(|| panic!("{}", run.stderr));
        text.push_str(&format!("$ muster {}\n{}\n", arguments.join(" "), &run.stderr[error..]));
    }
    insta::assert_snapshot!("refusals", text);
}

#[test]
fn a_wrong_plan_is_not_rehearsed() {
    let run = muster(&["rehearse", "tests/plans/misspelt.yaml"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("did you mean `objectives`?"), "{}", run.stderr);
}
