//! A restore test has a backup to restore, a place for its clone, and something to tell sound data by.

use super::{Findings, each};
use crate::backups::BackupMethod;
use crate::custom::Flow;
use crate::databases::{Database, DatabaseKind};
use crate::drills::DrillTarget;
use crate::plan::Plan;
use crate::restore_test::TAKEN_AT;

pub(super) fn check(plan: &Plan, findings: &mut Findings<'_>) {
    for (at, database) in each("/databases", &plan.databases) {
        place(&at, database, findings);
        dump(plan, &at, database, findings);
    }
    for (at, drill) in each("/drills", &plan.drills).filter(|(_, drill)| drill.flow == Flow::RestoreTest) {
        if drill.on == DrillTarget::Live {
            findings.error(
                "wrong-target",
                &format!("{at}/on"),
                format!("`{}` would restore over what serves: a restore test restores into a clone", drill.name),
                "write `on: clone`",
            );
        }
        if drill.parts.is_empty() {
            findings.error(
                "nothing-to-restore",
                &format!("{at}/name"),
                format!("nothing says whose backup `{}` restores", drill.name),
                "add `parts: [databases.…]`",
            );
        }
        for (at, part) in each(&format!("{at}/parts"), &drill.parts) {
            let database = match part.parts() {
                Some(("databases", name)) => plan.database(name),
                // What nothing loads is said when it is asked for: the calendar may have it done by hand.
                Some(("backups", _)) => plan.restorable(part).map(|restorable| restorable.database),
                _ => None,
            };
            if let Some(database) = database {
                restorable(plan, &at, database, findings);
            }
        }
    }
}

fn place(at: &str, database: &Database, findings: &mut Findings<'_>) {
    let Some(test) = &database.restore_test else { return };
    let at = format!("{at}/restoreTest");
    if database.kind == DatabaseKind::External {
        findings.error(
            "nothing-to-restore",
            &at,
            format!("`{}` is recovered by tools of its own: Muster restores nothing of it", database.name),
            "delete `restoreTest`, or verify it with a step of your own",
        );
    }
    if test.security_groups.is_empty() {
        findings.error(
            "open-clone",
            &format!("{at}/securityGroups"),
            "without a security group of its own the clone gets its VPC's default one",
            "name one that lets in the function that runs the checks, and nobody else",
        );
    }
    if !test.compare.is_empty() && database.credentials.is_none() {
        findings.error(
            "no-credentials",
            &format!("{at}/compare"),
            format!("what is compared of `{}` can be asked only by somebody who may sign in", database.name),
            "add `credentials: {secret: …}`, with the keys `username` and `password`",
        );
    }
    for (at, comparison) in each(&format!("{at}/compare"), &test.compare) {
        if !comparison.query.contains(TAKEN_AT) {
            findings.warning(
                "compares-what-changes",
                &format!("{at}/query"),
                format!("`{}` is asked of the source as it is by then, and of the clone as it was when the snapshot was taken", comparison.name),
                format!("ask for what was there by `{TAKEN_AT}`, such as `where created_at < '{TAKEN_AT}'`; let it be where the table never changes"),
            );
        }
    }
}

/// A dump can be found, has an instant that its data is of, and fits.
fn dump(plan: &Plan, at: &str, database: &Database, findings: &mut Findings<'_>) {
    let Some(dump) = database.restore_test.as_ref().and_then(|test| test.dump.as_ref()) else { return };
    let at = format!("{at}/restoreTest/dump");
    let of = format!("databases.{}", database.name);
    match plan.backup(dump.backup.as_str()).filter(|backup| backup.of.as_ref().is_some_and(|part| part.0 == of)) {
        None => findings.error(
            "nothing-to-restore",
            &format!("{at}/backup"),
            format!("`{}` is no backup of `{of}`", dump.backup),
            format!("name one of `backups` with `method: {{kind: s3Objects, …}}` and `of: {of}`"),
        ),
        Some(backup) => {
            if backup.objects_in_standby().is_none() {
                findings.error(
                    "nothing-to-restore",
                    &format!("{at}/backup"),
                    format!("no object of `{}` is in a bucket of {}, where it would be loaded", backup.name, plan.regions.standby),
                    "let it be `s3Objects`, and add `copy: {bucket: …}`",
                );
            }
            if backup.every.is_none() {
                findings.error(
                    "no-instant",
                    &format!("{at}/backup"),
                    format!("nothing says which instant the data of `{}` is of: an object knows only when it was finished", backup.name),
                    "add `every` to it: a dump's data is of the moment that it began, so of its slot",
                );
            }
        }
    }
    if let (Some(storage), Some(size)) = (dump.storage, database.size)
        && storage.as_u64() < size.as_u64().saturating_mul(2)
    {
        findings.warning(
            "small-clone",
            &format!("{at}/storage"),
            format!("the clone holds the snapshot's data and the dump's: `{}` has {size}", database.name),
            "write about twice that, or expect a load that fails for space",
        );
    }
}

fn restorable(plan: &Plan, at: &str, database: &Database, findings: &mut Findings<'_>) {
    if database.kind == DatabaseKind::External {
        return;
    }
    let is_copied =
        plan.backups_of(&format!("databases.{}", database.name)).any(|backup| backup.method == BackupMethod::DatabaseSnapshot && backup.copy.is_some());
    if !is_copied {
        findings.error(
            "nothing-to-restore",
            at,
            format!("no snapshot of `{}` is copied to {}, where it would be restored", database.name, plan.regions.standby),
            "add a backup with `method: {kind: databaseSnapshot}` and `copy`",
        );
    }
    match &database.restore_test {
        None => findings.error(
            "no-place-for-clone",
            at,
            format!("nothing says where a clone of `{}` goes", database.name),
            format!("add `restoreTest: {{subnetGroup: …, securityGroups: [sg-…]}}` to it, of {}", plan.regions.standby),
        ),
        Some(test) if database.checks.is_empty() && test.compare.is_empty() => findings.error(
            "no-data-check",
            at,
            format!("nothing tells whether the restored data of `{}` is sound", database.name),
            "add `checks` to the database, or `restoreTest.compare`",
        ),
        Some(_) => {}
    }
}
