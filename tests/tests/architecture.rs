//! The arrows between the crates go one way, and the rehearsal is built without any AWS SDK.
#![allow(clippy::unwrap_used)] // also in the functions that tests share

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

fn cargo_tree(edges: &str, format: &str, packages: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix", "none", "--edges", edges, "--format", format])
        .args(packages)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn tree(package: &str) -> BTreeSet<String> {
    cargo_tree("normal", "{p}", &["--package", package]).lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
}

/// The features of every package, by its name and version.
fn features(edges: &str, packages: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::<_, BTreeSet<_>>::new();
    // Between the packages of a workspace there are empty lines, and headings of the kinds of edges.
    for (package, features) in cargo_tree(edges, "{p}|{f}", packages).lines().filter_map(|line| line.trim_end_matches(" (*)").split_once('|')) {
        let name = package.split(' ').take(2).collect::<Vec<_>>().join(" ");
        all.entry(name).or_default().extend(features.split(',').filter(|feature| !feature.is_empty()).map(str::to_owned));
    }
    all
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
    assert_eq!(own("muster-backups"), set(&["muster-core", "muster-plan"]));
    assert_eq!(own("muster-actions"), set(&["muster-backups", "muster-core", "muster-plan", "muster-report"]));
    assert_eq!(own("muster-twin"), set(&["muster-actions", "muster-asl", "muster-backups", "muster-core", "muster-plan", "muster-report"]));
}

/// What the local stack runs is built with the whole workspace, so that tests, command and functions share what is compiled; what is deployed is
/// built alone. This is what the first has more than the second: nothing that changes what a function does.
#[test]
fn what_the_local_stack_runs_has_the_features_of_what_is_deployed() {
    let more = [
        // What tests of the adapters and of virtual time ask for.
        ("aws-credential-types", "test-util"),
        ("aws-smithy-runtime-api", "test-util"),
        ("aws-smithy-types", "test-util"),
        ("tokio", "test-util"),
        // `muster push` runs the programs that profiles name for credentials.
        ("aws-smithy-runtime", "rt-tokio"),
        ("tokio", "process signal-hook-registry"),
        ("muster-plan", "authoring"),
        // More functions of libraries, the old ones unchanged.
        ("bitflags", "std"),
        ("hashbrown", "allocator-api2 default default-hasher equivalent inline-more raw-entry"),
        ("num-integer", "i128"),
        ("num-traits", "default"),
    ];
    let mut expected = BTreeMap::<&str, BTreeSet<String>>::new();
    for (package, features) in more {
        expected.entry(package).or_default().extend(features.split(' ').map(str::to_owned));
    }
    let deployed = features("normal,no-proc-macro", &["--package", "muster-functions"]);
    let local = features("normal,dev,no-proc-macro", &["--workspace", "--all-features"]);
    assert!(deployed.keys().any(|package| package.starts_with("aws-sdk-rds ")), "the tree was read");
    for (package, features) in &deployed {
        let leaked: BTreeSet<String> = local[package].difference(features).cloned().collect();
        let name = package.split(' ').next().unwrap();
        let known = expected.get(name).cloned().unwrap_or_default();
        assert!(
            leaked.is_subset(&known),
            "{package} has {leaked:?} on the local stack and not on AWS: declare them in the workspace's Cargo.toml, or explain them here"
        );
    }
}
