//! `muster check`.

mod support;

use support::{muster, widest};

#[test]
fn the_plans_that_come_with_muster_are_sound() {
    let checked = muster(&["check", "../../plans/kaireon.yaml", "../../plans/kredete.yaml", "../../plans/basecoat.yaml"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert_eq!(checked.stdout.matches(": sound").count(), 3);
    assert!(widest(&checked.stdout) <= 80, "{}", checked.stdout);
}

#[test]
fn a_sound_plan_is_summed_up() {
    let checked = muster(&["check", "tests/plans/portal.yaml"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""));
    insta::assert_snapshot!("check_portal", checked.stdout);
}

#[test]
fn what_is_not_built_yet_is_said_when_the_plan_is_checked() {
    let checked = muster(&["check", "tests/plans/unbuilt.yaml"]);
    assert_eq!(checked.code, 0);
    assert!(checked.stdout.contains("Needed, and not built yet"), "{}", checked.stdout);
    assert!(!checked.stdout.contains("muster rehearse"), "{}", checked.stdout);
}

#[test]
fn every_problem_of_a_wrong_plan_is_shown_with_its_line() {
    let checked = muster(&["check", "tests/plans/misspelt.yaml"]);
    assert_eq!((checked.code, checked.stdout.as_str()), (2, ""));
    insta::assert_snapshot!("check_misspelt", checked.stderr);
}

#[test]
fn a_wrong_file_does_not_hide_the_others() {
    let checked = muster(&["check", "no-such-plan.yaml", "tests/plans/misspelt.yaml", "tests/plans/portal.yaml", "Cargo.toml"]);
    assert_eq!(checked.code, 2);
    assert!(checked.stderr.contains("no-such-plan.yaml cannot be read"), "{}", checked.stderr);
    assert!(checked.stderr.contains("did you mean `objectives`?"), "{}", checked.stderr);
    assert!(checked.stderr.contains("--> Cargo.toml"), "{}", checked.stderr);
    assert!(checked.stdout.starts_with("tests/plans/portal.yaml: sound") || checked.stdout.contains("\ntests/plans/portal.yaml: sound"));
}
