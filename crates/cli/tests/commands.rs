//! What is typed, and what is answered: help, errors, and the commands that only print.

mod support;

use std::process::Stdio;

use support::{command, muster, ran, widest};

#[test]
fn help_teaches_with_examples_and_exit_codes() {
    let help = muster(&["--help"]);
    assert_eq!(help.code, 0);
    // With the feature `account` there is one command more.
    let shared: Vec<&str> = help.stdout.lines().filter(|line| !line.trim_start().starts_with("push ")).collect();
    insta::assert_snapshot!("help", shared.join("\n"));
    insta::assert_snapshot!("help_rehearse", muster(&["rehearse", "--help"]).stdout);
    let more: &[&str] = if cfg!(feature = "account") { &["push"] } else { &[] };
    for name in ["check", "rehearse", "asl"].iter().chain(more) {
        let help = muster(&[name, "--help"]).stdout;
        assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
        assert!(widest(&help) <= 80, "{help}");
    }
}

#[test]
#[cfg(feature = "account")]
fn a_plan_that_is_wrong_or_cannot_run_is_not_pushed_and_nobody_is_asked() {
    let unbuilt = muster(&["push", "../../plans/kredete.yaml"]);
    assert_eq!(unbuilt.code, 2);
    assert!(unbuilt.stderr.contains("needs what is not built yet"), "{}", unbuilt.stderr);
    let missing = muster(&["push", "no-such-plan.yaml"]);
    assert_eq!(missing.code, 2);
    assert!(missing.stderr.contains("no-such-plan.yaml"), "{}", missing.stderr);
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [&["rehearse"][..], &["check"], &["no-such-command"], &["rehearse", "x.yaml", "--runs", "0"], &[]] {
        assert_eq!(muster(arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn every_fault_and_every_flow_is_in_its_table() {
    let faults = muster(&["faults"]);
    assert_eq!(faults.code, 0);
    for fault in muster_twin::FAULTS {
        assert!(faults.stdout.lines().any(|line| line.trim_start().starts_with(&format!("{} ", fault.name))), "{}", fault.name);
    }
    assert!(widest(&faults.stdout) <= 80, "{}", faults.stdout);
    insta::assert_snapshot!("flows", muster(&["flows"]).stdout);
}

#[test]
fn schemas_are_json_and_name_what_they_describe() {
    for (document, title) in [("plan", "Muster recovery plan"), ("report", "Report")] {
        let schema = muster(&["schema", document]);
        let value: serde_json::Value = serde_json::from_str(&schema.stdout).unwrap();
        assert_eq!(value["title"], title);
        assert_eq!(schema.stdout, muster(&["schema", document]).stdout);
    }
    assert_eq!(muster(&["schema"]).stdout, muster(&["schema", "plan"]).stdout);
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = muster(&["completions", shell]);
        assert_eq!(script.code, 0);
        assert!(script.stdout.contains("rehearse") && script.stdout.contains("completions"));
    }
}

#[test]
fn a_machine_runs_in_virtual_time_against_recorded_results() {
    let run = |tasks: &str| muster(&["asl", "tests/machines/poll.asl.json", "--input", "{}", "--tasks", tasks]);
    let done = run("tests/machines/poll.tasks.json");
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let value: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&value["status"], &value["durationMs"], &value["output"]["status"]), (&"SUCCEEDED".into(), &20_000.into(), &"done".into()));
    assert_eq!(value["events"][0]["type"], "ExecutionStarted");

    let denied = run("tests/machines/denied.tasks.json");
    let value: serde_json::Value = serde_json::from_str(&denied.stdout).unwrap();
    assert_eq!((denied.code, &value["status"], &value["error"]), (1, &"FAILED".into(), &"Muster.Permanent".into()));
}

#[test]
fn an_input_may_come_from_a_file() {
    let run = muster(&["asl", "tests/machines/poll.asl.json", "--input", "@tests/machines/poll.tasks.json", "--tasks", "tests/machines/poll.tasks.json"]);
    assert_eq!(run.code, 0);
    assert!(run.stdout.contains("retryAfterSeconds"));
}

#[test]
fn what_is_wrong_with_a_machine_is_said_with_what_to_do() {
    let machine = "tests/machines/poll.asl.json";
    let messages = [
        &["asl", machine, "--input", "{}"][..],
        &["asl", machine, "--input", "{oops"],
        &["asl", "no-such-file.json", "--input", "{}"],
        &["asl", "tests/machines/poll.tasks.json", "--input", "{}"],
    ];
    let mut text = String::new();
    for arguments in messages {
        let wrong = muster(arguments);
        assert_eq!((wrong.code, wrong.stdout.as_str()), (2, ""), "{arguments:?}");
        text.push_str(&format!("$ muster {}\n{}\n", arguments.join(" "), wrong.stderr));
    }
    insta::assert_snapshot!("asl_errors", text);
}

#[test]
fn colour_is_there_where_it_is_wanted_and_nowhere_else() {
    assert!(!muster(&["faults"]).stdout.contains('\u{1b}'));
    let forced = ran(command(&["faults"]).env("CLICOLOR_FORCE", "1").output().unwrap());
    assert!(forced.stdout.contains('\u{1b}'));
    let refused = ran(command(&["faults"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().unwrap());
    assert!(!refused.stdout.contains('\u{1b}'));
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let mut child = command(&["schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
