//! The arrows between the crates go one way, and the rehearsal is built without any AWS SDK.
#![allow(clippy::unwrap_used)] // also in the functions that tests share

use std::collections::BTreeSet;
use std::process::Command;

fn tree(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--package", package])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
}

fn own(package: &str) -> BTreeSet<String> {
    tree(package).into_iter().filter(|name| name.starts_with("muster-") && name != package).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_rehearsal_compiles_no_aws_sdk() {
    let crates = tree("muster-cli");
    assert!(crates.contains("muster-twin"), "the tree was read");
    let sdk: Vec<&String> = crates.iter().filter(|name| name.starts_with("aws-")).collect();
    assert!(sdk.is_empty(), "{sdk:?}");
}

#[test]
fn arrows_go_one_way() {
    assert_eq!(own("muster-core"), set(&[]));
    assert_eq!(own("muster-asl"), set(&[]), "the interpreter knows nothing about disaster recovery");
    assert_eq!(own("muster-plan"), set(&["muster-core"]));
    assert_eq!(own("muster-report"), set(&["muster-core", "muster-plan"]));
    assert_eq!(own("muster-actions"), set(&["muster-core", "muster-plan", "muster-report"]));
    assert_eq!(own("muster-twin"), set(&["muster-actions", "muster-asl", "muster-core", "muster-plan", "muster-report"]));
}
