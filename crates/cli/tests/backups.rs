//! `muster backups plan`.
#![allow(clippy::unwrap_used)] // also in the functions that tests share

mod support;

use support::{command, muster, ran, widest};

const NIGHT: &str = "2026-11-26T00:30:00Z";

#[test]
fn what_becomes_of_the_backups_is_shown_before_anything_is_done() {
    let shown = muster(&["backups", "plan", "../../plans/basecoat.yaml", "--at", NIGHT]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    assert!(widest(&shown.stdout) <= 80, "{}", shown.stdout);
    insta::assert_snapshot!("backups_basecoat", shown.stdout);
}

#[test]
fn what_is_really_there_is_told_apart_from_what_should_be() {
    let shown = muster(&["backups", "plan", "../../plans/kaireon.yaml", "--at", NIGHT, "--existing", "tests/backups/there.json", "--list"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    assert!(widest(&shown.stdout) <= 80, "{}", shown.stdout);
    insta::assert_snapshot!("backups_there", shown.stdout);
}

/// Kaireon's daily snapshots of a year that nobody pruned: far more than the 50 that a plan allows where it says nothing.
#[test]
fn more_deletions_than_the_plan_allows_wait_for_a_person() {
    let point = |day: u32| {
        format!(
            "{{\"name\": \"kaireon-rds-daily-{day}\", \"place\": {{\"region\": \"us-east-1\"}}, \"of\": \"databases.main\", \"backup\": \"rds-daily\", \"takenAt\": \"2026-{:02}-{:02}T02:00:00Z\"}}",
            1 + day / 28,
            1 + day % 28
        )
    };
    let points: Vec<String> = (0..280).map(point).collect();
    let directory = support::directory("backups-held");
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("there.json");
    std::fs::write(&file, format!("{{\"points\": [{}]}}", points.join(","))).unwrap();
    let shown = muster(&["backups", "plan", "../../plans/kaireon.yaml", "--at", NIGHT, "--existing", file.to_str().unwrap()]);
    assert_eq!(shown.code, 1, "{}", shown.stdout);
    let text = shown.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("280 would be deleted at once, and the plan allows 50"), "{}", shown.stdout);
    assert!(text.contains("deleted: none"), "{}", shown.stdout);
    assert!(widest(&shown.stdout) <= 80, "{}", shown.stdout);
}

#[test]
fn the_kill_switch_and_an_unread_region_are_said_first() {
    let directory = support::directory("backups-stopped");
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("there.json");
    std::fs::write(&file, r#"{"points": [], "unread": [{"region": "us-west-2"}], "killSwitch": true}"#).unwrap();
    let shown = muster(&["backups", "plan", "../../plans/kaireon.yaml", "--at", NIGHT, "--existing", file.to_str().unwrap()]);
    assert_eq!(shown.code, 0);
    let head: Vec<&str> = shown.stdout.lines().take(4).collect();
    assert!(head[1].contains("The kill switch is set") && head.concat().contains("us-west-2 could not be read"), "{}", shown.stdout);
    assert!(shown.stdout.contains("taken: none; copied: none; deleted: none"), "{}", shown.stdout);
}

#[test]
fn a_list_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    for (file, said) in [("no-such-list.json", "cannot be read"), ("Cargo.toml", "expected value"), ("tests/backups/misspelt.json", "unknown field `takenat`")]
    {
        let shown = muster(&["backups", "plan", "../../plans/kaireon.yaml", "--existing", file]);
        assert_eq!((shown.code, shown.stdout.as_str()), (2, ""), "{file}");
        assert!(shown.stderr.contains(said), "{}", shown.stderr);
    }
    assert_eq!(muster(&["backups", "plan", "../../plans/kaireon.yaml", "--at", "yesterday"]).code, 2);
    assert_eq!(muster(&["backups", "plan", "tests/plans/misspelt.yaml"]).code, 2);
}

#[test]
fn the_json_is_what_a_list_is_made_of() {
    let shown = muster(&["backups", "plan", "../../plans/kredete.yaml", "--at", NIGHT, "--json"]);
    let value: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    let deleted: Vec<&str> =
        value["events"].as_array().unwrap().iter().filter(|event| event["what"] == "deleted").map(|event| event["takenAt"].as_str().unwrap()).collect();
    assert_eq!(deleted, ["2026-10-27T02:00:00.000Z"; 2]);
    let directory = support::directory("backups-json");
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("there.json");
    std::fs::write(&file, value["there"].to_string()).unwrap();
    let again = muster(&["backups", "plan", "../../plans/kredete.yaml", "--at", NIGHT, "--json", "--existing", file.to_str().unwrap()]);
    let again: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&again["there"], &again["events"]), (&value["there"], &value["events"]));
}

/// The documentation shows what the command prints: run it again and paste where this fails.
#[test]
fn the_output_in_the_documentation_is_that_of_this_build() {
    let page = std::fs::read_to_string("../../docs/backups.md").unwrap();
    let mut lines = page.lines().peekable();
    let mut shown = 0;
    while let Some(line) = lines.next() {
        let Some(arguments) = line.strip_prefix("    $ muster ") else { continue };
        let mut block = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("    ") || line.is_empty()) {
            block.push(line.strip_prefix("    ").unwrap_or(line));
        }
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let printed = ran(command(&arguments).current_dir("../..").output().unwrap()).stdout;
        assert_eq!(block.join("\n").trim_end(), printed.trim_end(), "muster {}", arguments.join(" "));
        shown += 1;
    }
    assert!(shown >= 3, "the page shows the three plans");
}
