//! The plans that come with Muster.
#![cfg(feature = "authoring")]

use std::path::{Path, PathBuf};

use muster_plan::{Plan, Severity, load, render};

fn plans() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plans");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).expect("plans").map(|entry| entry.expect("plans").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

fn name(file: &Path) -> String {
    format!("plans/{}", file.file_name().unwrap_or_default().to_string_lossy())
}

#[test]
fn every_plan_that_comes_with_muster_is_free_of_errors() {
    assert!(plans().len() >= 3);
    for file in plans() {
        let bytes = std::fs::read(&file).unwrap();
        let loaded = load(&name(&file), &bytes);
        let errors: Vec<_> = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).cloned().collect();
        assert!(errors.is_empty(), "{}", render(&errors, &name(&file), &String::from_utf8_lossy(&bytes), false));
        assert!(loaded.plan.is_some());
    }
}

#[test]
fn the_canonical_form_of_every_plan_reads_back_as_the_same_plan_and_the_same_bytes() {
    for file in plans() {
        let plan = load(&name(&file), &std::fs::read(&file).unwrap()).plan.unwrap();
        let canonical = plan.canonical_json();
        let read = Plan::from_canonical_json(canonical.as_bytes()).unwrap();
        assert_eq!(read, plan);
        assert_eq!(read.canonical_json(), canonical);
        assert_eq!(read.digest(), plan.digest());
        assert_eq!(plan.digest().len(), 64);
    }
}
