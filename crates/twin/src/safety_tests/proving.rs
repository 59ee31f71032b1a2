//! The flow `restore-test`, by its real state machine.

use super::backups::plan;
use super::protection::opened;
use super::*;
use crate::builds::BuildFault;
use crate::clones::CloneFault;
use crate::objects::ObjectFault;
use crate::proving::{Proving, Trouble};
use crate::rehearse::Rehearser;
use crate::testing::on;

const HOUR: Duration = Duration::from_hours(1);

/// Whatever happens: nothing is left, nothing was broken, and the one run has its report.
fn proven(name: &str, seed: u64, troubles: &[Trouble]) -> (Proving, muster_report::Report) {
    let part = if name == "kaireon" { "databases.main" } else { "databases.primary-store" };
    proven_of(name, &[part], seed, troubles)
}

fn proven_of(name: &str, parts: &[&str], seed: u64, troubles: &[Trouble]) -> (Proving, muster_report::Report) {
    let proving = Rehearser::new(&plan(name)).unwrap().prove(seed, parts, troubles);
    assert_eq!((&proving.violation, proving.clones.2, proving.marks, proving.builds.1), (&None, 0, 0, 0), "{name} {troubles:?}: {proving:?}");
    assert!(proving.longest_history < 20_000, "{} events", proving.longest_history);
    let [report] = proving.reports.values().collect::<Vec<_>>()[..] else { panic!("{name} {troubles:?}: {:?}", proving.reports.keys()) };
    let report = report.clone();
    (proving, report)
}

#[test]
fn a_restore_test_ends_well_and_says_how_long_the_restore_took() {
    for name in ["kaireon", "kredete"] {
        for seed in 1..=3 {
            let (proving, report) = proven(name, seed, &[]);
            let [restore] = report.restores.as_slice() else { panic!("{name}: {:?}", report.restores) };
            assert_eq!((report.summary.outcome.as_str(), proving.clones, proving.held), ("succeeded", (1, 1, 0), 0), "{name}");
            assert!(report.met_targets() && restore.destroyed_at.is_some() && !restore.took.is_zero(), "{name}: {restore:?}");
            assert!(report.checks.iter().filter(|check| check.check.starts_with("compare ") && check.passed).count() == 2, "{name}: {:?}", report.checks);
        }
    }
}

#[test]
fn a_checksum_that_differs_fails_the_run_holds_nobody_and_is_said() {
    let (proving, report) = proven("kredete", 1, &[Trouble::With(CloneFault::DataLost, HOUR)]);
    assert_eq!((report.summary.outcome.as_str(), proving.held, proving.clones), ("failed", 0, (1, 1, 0)));
    assert!(!report.met_targets());
    assert!(report.to_markdown().contains("compare applications-checksum of primary-store failed"), "{}", report.to_markdown());
}

#[test]
fn an_execution_that_is_stopped_in_the_middle_leaves_a_clone_that_the_sweep_destroys_by_its_lease() {
    for minutes in [3, 12, 20] {
        let (proving, report) = proven("kaireon", 2, &[Trouble::Stopped(Duration::from_mins(minutes))]);
        assert_eq!((report.summary.outcome.as_str(), proving.clones.0, proving.clones.1), ("abandoned", 1, 1));
        // The plan's drill is to take two hours: the deadline is at four, the lease ends an hour later, and a deletion takes minutes.
        let gone_after = proving.gone_after.unwrap();
        assert!(HOUR.times(5) < gone_after && gone_after < HOUR.times(6), "{gone_after}");
    }
}

#[test]
fn what_stands_in_the_way_ends_the_run_as_failed_and_leaves_nothing() {
    let whole = HOUR.times(24);
    let (failing, report) = proven("kaireon", 3, &[Trouble::With(CloneFault::RestoresFail, whole)]);
    assert!(
        report.summary.outcome == "failed" && failing.held == 1 && report.issues.iter().any(|issue| issue.what.contains("incompatible-restore")),
        "{report:?}"
    );
    let (refused, report) = proven("kaireon", 3, &[Trouble::With(CloneFault::QuotaReached, whole)]);
    assert!(report.summary.outcome == "failed" && refused.clones.0 == 0 && report.issues.iter().any(|issue| issue.what.contains("InstanceQuotaExceeded")));
    let (_, report) = proven("kaireon", 3, &[Trouble::CopiesGone(Duration::ZERO)]);
    assert!(report.summary.outcome == "failed" && report.issues.iter().any(|issue| issue.what.contains("no good snapshot")));
    let (late, report) = proven("kaireon", 3, &[Trouble::With(CloneFault::DeletionsFail, HOUR)]);
    assert_eq!((report.summary.outcome.as_str(), late.held), ("succeeded", 0), "a deletion is asked for again");
    let (hindered, report) = proven("kaireon", 3, &[Trouble::With(CloneFault::DeletionsFail, HOUR.times(7))]);
    assert!(report.summary.outcome == "failed" && hindered.held > 0, "the run ends without it, and the sweep removes the clone: {hindered:?}");
}

const DUMP: &str = "backups.pg-dump";

#[test]
fn a_dump_is_loaded_asked_compared_and_nothing_is_left_of_it() {
    for seed in 1..=3 {
        let (proving, report) = proven_of("kaireon", &[DUMP], seed, &[]);
        let [restore] = report.restores.as_slice() else { panic!("{:?}", report.restores) };
        assert_eq!((report.summary.outcome.as_str(), proving.clones, proving.builds, proving.held), ("succeeded", (1, 1, 0), (1, 0), 0));
        let load = restore.load.unwrap();
        assert!(restore.backup.starts_with("daily/pg-dump-") && restore.destroyed_at.is_some() && !load.is_zero() && load < restore.took, "{restore:?}");
        // The newest dump is that of 03:00 UTC, whenever it was finished.
        assert!(restore.taken_at.to_string().contains("T03:00:00"), "{restore:?}");
        let asked: Vec<_> = report.checks.iter().map(|check| (check.component.as_str(), check.check.as_str(), check.passed, check.data)).collect();
        let named = ["is-primary", "orphaned-decisions", "sequences", "compare decisions", "compare decisions-checksum"];
        assert_eq!(asked, named.map(|check| (DUMP, check, true, true)), "{}", report.to_markdown());
    }
}

#[test]
fn a_snapshot_and_a_dump_of_one_database_are_two_clones_in_one_run() {
    let (proving, report) = proven_of("kaireon", &["databases.main", DUMP], 2, &[Trouble::Loading(BuildFault::RowLost, HOUR.times(20))]);
    assert_eq!((report.summary.outcome.as_str(), proving.clones, proving.builds.0), ("failed", (2, 2, 0), 1));
    assert_eq!(
        report.restores.iter().map(|restore| (restore.component.as_str(), restore.load.is_some())).collect::<Vec<_>>(),
        [(DUMP, true), ("databases.main", false)]
    );
    let differing: Vec<_> = report.checks.iter().filter(|check| !check.passed).map(|check| check.component.as_str()).collect();
    assert_eq!(differing, [DUMP, DUMP], "the snapshot's answers hide nothing of the dump's");
}

#[test]
fn what_is_wrong_with_a_dump_is_said_and_leaves_nothing() {
    let whole = HOUR.times(24);
    for (fault, said) in [
        (BuildFault::Truncated, "pg_restore. Reason: exit status 1"),
        (BuildFault::QueueFull, "AccountLimitExceededException"),
        (BuildFault::Hang, "the run's deadline passed"),
    ] {
        let (proving, report) = proven_of("kaireon", &[DUMP], 3, &[Trouble::Loading(fault, whole)]);
        assert!(report.summary.outcome == "failed" && proving.held > 0 && report.restores.is_empty(), "{fault:?}: {report:?}");
        assert!(report.issues.iter().any(|issue| issue.what.contains(said)), "{fault:?}: {:?}", report.issues);
    }
    for fault in [BuildFault::Stale, BuildFault::RowLost] {
        let (proving, report) = proven_of("kaireon", &[DUMP], 3, &[Trouble::Loading(fault, whole)]);
        assert_eq!((report.summary.outcome.as_str(), proving.held, report.met_targets()), ("failed", 0, false), "{fault:?}");
        assert!(report.to_markdown().contains("compare decisions of backups.pg-dump failed"), "{fault:?}: {}", report.to_markdown());
    }
}

#[test]
fn a_dump_that_is_too_small_or_not_there_is_not_taken_for_one() {
    let (_, report) = proven_of("kaireon", &[DUMP], 1, &[Trouble::Written(ObjectFault::Shrunken, "pg-dump", HOUR.times(24))]);
    assert_eq!(report.summary.outcome, "succeeded");
    let (_, sound) = proven_of("kaireon", &[DUMP], 1, &[]);
    assert_eq!(sound.restores[0].taken_at.since(report.restores[0].taken_at), HOUR.times(24), "that of the night before is loaded");
    for (fault, name, said) in [
        (ObjectFault::NobodyWrites, "pg-dump", "no dump of pg-dump is in s3://kaireon-backups-dr"),
        (ObjectFault::ReplicationSkips, "kaireon-backups-dr", "no dump of pg-dump is in s3://kaireon-backups-dr"),
    ] {
        let (proving, report) = proven_of("kaireon", &[DUMP], 1, &[Trouble::Written(fault, name, HOUR.times(24 * 60))]);
        assert!(
            report.summary.outcome == "failed" && proving.builds.0 == 0 && report.issues.iter().any(|issue| issue.what.contains(said)),
            "{fault:?}: {report:?}"
        );
    }
}

#[test]
fn an_execution_that_is_stopped_while_a_dump_is_loaded_leaves_neither_clone_nor_build() {
    for minutes in [10, 30, 60] {
        let (proving, report) =
            proven_of("kaireon", &[DUMP], 2, &[Trouble::Loading(BuildFault::Hang, HOUR.times(20)), Trouble::Stopped(Duration::from_mins(minutes))]);
        assert_eq!((report.summary.outcome.as_str(), proving.clones.0, proving.clones.1), ("abandoned", 1, 1), "{minutes}");
    }
}

#[test]
fn what_cannot_be_restored_is_said_by_name_before_anything_is_touched() {
    on(&plan("kaireon"), &quiet(), |twin| async move {
        let order = |parts: &[&str]| json!({"service": "kaireon", "by": "Ada", "reason": "to be sure", "parts": parts});
        for (part, said) in [
            ("backups.pipeline-artifacts", "what is no snapshot takes a machine with its tools"),
            ("caches.redis", "restoring a cache into a clone"),
            ("databases.mian", "a database that the plan has"),
            ("compute.api", "nothing else can be restored"),
            ("backups.rds-daily", "nothing else can be restored"),
        ] {
            let refused = opened(&twin, "restore-test", part, order(&["databases.main", part])).await.unwrap_err();
            assert!(refused.error_type == "Muster.Invalid" && refused.error_message.contains(said), "{part}: {refused}");
        }
        let misplaced = opened(&twin, "backup", "misplaced", order(&["databases.main"])).await.unwrap_err();
        assert_eq!(misplaced.error_type, "Muster.Invalid");
        twin.look(|estate| estate.memory.executions.insert("first".into(), ExecutionState::Running));
        let verdict = |progress: Result<Progress, Failure>| progress.unwrap().verdict.unwrap_or_default();
        assert_eq!(verdict(opened(&twin, "restore-test", "first", order(&["databases.main"])).await), "opened");
        assert_eq!(verdict(opened(&twin, "backup", "a-backup", order(&[])).await), "opened", "neither waits for the other");
        let second = opened(&twin, "restore-test", "second", order(&[])).await.unwrap();
        assert_eq!(second.verdict.as_deref(), Some("joined"), "{second:?}");
        let waits = opened(&twin, "restore-test", "third", order(&["databases.main"])).await.unwrap();
        assert!(!waits.is_done() && waits.detail.contains("what was asked for is done after it"), "{waits:?}");
    });
    on(&plan("basecoat"), &quiet(), |twin| async move {
        let refused = opened(&twin, "restore-test", "none", json!({"service": "basecoat-portal", "by": "Ada", "reason": "why not"})).await.unwrap_err();
        assert!(refused.error_message.contains("the plan's calendar has no restore test"), "{refused}");
    });
}
