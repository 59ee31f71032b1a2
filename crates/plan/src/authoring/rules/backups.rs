//! Backups exist where a standby needs them, are made often enough, and are kept long enough.

use muster_core::Duration;

use super::{Findings, each};
use crate::backups::{Backup, BackupMethod, Retention};
use crate::caches::{CacheKind, CacheStandby};
use crate::databases::{DatabaseKind, DatabaseStandby};
use crate::plan::Plan;

pub(super) fn check(plan: &Plan, findings: &mut Findings<'_>) {
    for (at, backup) in each("/backups", &plan.backups) {
        made(&at, backup, findings);
        taken_of(plan, &at, backup, findings);
        kept(&at, backup, findings);
        deleted(&at, backup, findings);
        archived(&at, backup, findings);
        copied(&at, backup, findings);
    }
    needed(plan, findings);
}

fn made(at: &str, backup: &Backup, findings: &mut Findings<'_>) {
    match (&backup.every, backup.on) {
        (Some(_), Some(_)) => findings.error(
            "two-schedules",
            &format!("{at}/on"),
            format!("`{}` is made on a schedule and on an occasion", backup.name),
            "keep `every` or `on`; for both, write two backups",
        ),
        (None, None) => findings.error(
            "no-schedule",
            &format!("{at}/name"),
            format!("nothing says when `{}` is made", backup.name),
            "add `every: daily 02:00 UTC`, or `on: change`",
        ),
        (Some(every), None) => {
            if let Some(max_age) = backup.max_age.filter(|max_age| *max_age < every.longest_gap()) {
                findings.warning(
                    "always-late",
                    &format!("{at}/maxAge"),
                    format!("`{}` counts as late after {max_age}, and up to {} pass between two", backup.name, every.longest_gap()),
                    "make it more often, or give it more time",
                );
            }
        }
        (None, Some(_)) => {}
    }
    let needs_part = backup.method.is_made_by_muster() || backup.method == BackupMethod::AutomatedBackups;
    if needs_part && backup.of.is_none() {
        findings.error(
            "no-source",
            &format!("{at}/name"),
            format!("nothing says what `{}` is a snapshot of", backup.name),
            "add `of: databases.…` or `of: caches.…`",
        );
    }
}

/// Muster takes snapshots of what RDS and ElastiCache have, each with the method for it.
fn taken_of(plan: &Plan, at: &str, backup: &Backup, findings: &mut Findings<'_>) {
    let Some((section, name)) = backup.of.as_ref().and_then(|of| of.parts()) else { return };
    let (wanted, external) = match &backup.method {
        BackupMethod::DatabaseSnapshot | BackupMethod::AutomatedBackups | BackupMethod::SnapshotExport { .. } => {
            ("databases", plan.database(name).is_some_and(|database| database.kind == DatabaseKind::External))
        }
        BackupMethod::CacheSnapshot { .. } => ("caches", plan.cache(name).is_some_and(|cache| cache.kind == CacheKind::External)),
        BackupMethod::S3Objects { .. } | BackupMethod::External { .. } => return,
    };
    if section != wanted || external {
        findings.error(
            "no-snapshot",
            &format!("{at}/of"),
            format!("AWS takes no such snapshot of `{section}.{name}`"),
            format!("name one of `{wanted}` that is not `external`, or let others make it: `method: {{kind: s3Objects, bucket: …}}`"),
        );
    }
}

fn kept(at: &str, backup: &Backup, findings: &mut Findings<'_>) {
    let gap = backup.every.as_ref().map(|every| every.longest_gap());
    let least = [gap, backup.max_age].into_iter().flatten().max().unwrap_or(Duration::ZERO);
    let original = backup.retention.as_ref().map(|retention| (format!("{at}/retention"), retention));
    let copy = backup.copy.as_ref().and_then(|copy| copy.retention.as_ref()).map(|retention| (format!("{at}/copy/retention"), retention));
    for (at, retention) in [original, copy].into_iter().flatten() {
        if let Some(reach) = retention.reach().filter(|reach| *reach < least) {
            findings.error(
                "retention-too-short",
                &at,
                format!("`{}` is kept for {reach}, and up to {least} pass before the next one has to be there", backup.name),
                "keep it longer: there would be times without any backup",
            );
        }
    }
}

/// What Muster makes, it deletes: so it has to know when, and what else it may take for its own.
fn deleted(at: &str, backup: &Backup, findings: &mut Findings<'_>) {
    if !backup.method.is_made_by_muster() {
        if !backup.adopt.is_empty() {
            findings.error(
                "adopts-nothing",
                &format!("{at}/adopt"),
                format!("`{}` is made by others, and Muster deletes none of it", backup.name),
                "remove `adopt`",
            );
        }
        return;
    }
    match &backup.retention {
        None => findings.error(
            "no-retention",
            &format!("{at}/name"),
            format!("nothing says how long `{}` is kept", backup.name),
            "add `retention: {kind: for, keep: 7d}`, or `{kind: indefinite}`",
        ),
        Some(Retention::Generations { daily: 0, weekly: 0, monthly: 0, yearly: 0 } | Retention::Versions { keep: 0 }) => findings.error(
            "retention-too-short",
            &format!("{at}/retention"),
            format!("of `{}`, none would be kept but the newest", backup.name),
            "say how many: `retention: {kind: generations, daily: 7, weekly: 4}`",
        ),
        Some(_) => {}
    }
    for (at, prefix) in each(&format!("{at}/adopt"), &backup.adopt) {
        // Automated snapshots are called `rds:…` and `automatic.…`: AWS deletes them, and refuses anybody else.
        if prefix.len() < 4 || ["rds:", "automatic."].iter().any(|automated| prefix.starts_with(automated)) {
            findings.error(
                "adopts-too-much",
                &at,
                format!("`{prefix}` begins the names of snapshots that nobody meant to hand over"),
                "write the beginning that only the meant ones have, such as `kaireon-pre-migration-`",
            );
        }
    }
}

/// An archive lies in one bucket, and stays there for a time that the bucket's lifecycle can be held against.
fn archived(at: &str, backup: &Backup, findings: &mut Findings<'_>) {
    let BackupMethod::SnapshotExport { role, .. } = &backup.method else { return };
    let is_role = role.split(':').collect::<Vec<_>>();
    if !matches!(is_role.as_slice(), ["arn", partition, "iam", "", account, name]
        if partition.starts_with("aws") && account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit()) && name.starts_with("role/"))
    {
        findings.error(
            "no-role",
            &format!("{at}/method/role"),
            format!("`{role}` is not the ARN of an IAM role"),
            "write it whole, such as `arn:aws:iam::123456789012:role/shop-archive`: the role that RDS may take to write into the bucket",
        );
    }
    if matches!(backup.retention, Some(Retention::Generations { .. } | Retention::Versions { .. })) {
        findings.error(
            "no-archive",
            &format!("{at}/retention"),
            format!("what lies in the bucket of `{}` goes by its age: a lifecycle counts no generations", backup.name),
            "write `retention: {kind: for, keep: 2557d}`, or `{kind: indefinite}`",
        );
    }
    if backup.copy.is_some() {
        findings.error(
            "no-archive",
            &format!("{at}/copy"),
            format!("`{}` is exported into one bucket, and Muster copies no exports", backup.name),
            "remove `copy`; to have it in the other region too, let S3 replicate the bucket, and write the replica down as `method: {kind: s3Objects, …}`, without `of`",
        );
    }
    if !backup.adopt.is_empty() {
        findings.error(
            "adopts-nothing",
            &format!("{at}/adopt"),
            format!("`{}` exports the snapshots that Muster takes for it, and keeps the newest of them", backup.name),
            "remove `adopt`",
        );
    }
}

fn copied(at: &str, backup: &Backup, findings: &mut Findings<'_>) {
    let Some(copy) = &backup.copy else { return };
    if copy.vault.is_some() && backup.method != BackupMethod::DatabaseSnapshot {
        findings.error(
            "no-vault",
            &format!("{at}/copy/vault"),
            format!("Muster copies snapshots of databases into another account, and `{}` is none", backup.name),
            "remove `vault`, and let the bucket be replicated into the other account",
        );
    }
    match &backup.method {
        BackupMethod::DatabaseSnapshot | BackupMethod::AutomatedBackups => {
            if copy.vault.as_ref().is_some_and(|vault| vault.kms_key.is_none()) && backup.encryption.is_some() {
                findings.error(
                    "no-destination-key",
                    &format!("{at}/copy/vault"),
                    format!("`{}` is encrypted, and its copy in the vault has no key: the vault's account needs one of its own", backup.name),
                    "add `kmsKey: …`, a key of the vault's account in the standby region",
                );
            }
            if backup.encryption.is_some() && copy.kms_key.is_none() {
                findings.error(
                    "no-destination-key",
                    &format!("{at}/copy"),
                    format!("`{}` is encrypted, and its copy has no key: KMS keys do not leave their region", backup.name),
                    "add `kmsKey: …`, a key of the standby region",
                );
            }
        }
        BackupMethod::CacheSnapshot { export_bucket } => match (export_bucket, &copy.bucket) {
            (None, Some(_)) => findings.error(
                "export-across-regions",
                &format!("{at}/copy/bucket"),
                "ElastiCache exports only to a bucket in the cache's own region",
                "add `exportBucket: …` to `method`, a bucket beside the cache, and let S3 replicate it to this one",
            ),
            (Some(from), Some(to)) if from == to => findings.error(
                "export-across-regions",
                &format!("{at}/copy/bucket"),
                format!("`{to}` cannot be in both regions, and ElastiCache exports only to a bucket in the cache's own region"),
                "name the bucket in the standby region that S3 replicates the exports to",
            ),
            (_, None) => findings.error(
                "no-copy",
                &format!("{at}/copy"),
                format!("`{}` is exported nowhere in the standby region", backup.name),
                "add `bucket: …`, a bucket in the standby region",
            ),
            _ => {}
        },
        BackupMethod::SnapshotExport { .. } | BackupMethod::S3Objects { .. } | BackupMethod::External { .. } => {}
    }
}

/// Whoever recovers from a backup has one.
fn needed(plan: &Plan, findings: &mut Findings<'_>) {
    for (at, database) in each("/databases", &plan.databases) {
        let part = format!("databases.{}", database.name);
        let copies: Vec<&Backup> = plan.backups_of(&part).filter(|backup| backup.copy.is_some()).collect();
        let paths = std::iter::once(format!("{at}/standby")).chain((0..database.fallback.len()).map(|index| format!("{at}/fallback/{index}")));
        for (path, standby) in paths.zip(database.standbys()) {
            let (wanted, method) = match standby {
                DatabaseStandby::LatestSnapshot { .. } => ("databaseSnapshot", BackupMethod::DatabaseSnapshot),
                DatabaseStandby::PointInTime { .. } => ("automatedBackups", BackupMethod::AutomatedBackups),
                _ => continue,
            };
            if !copies.iter().any(|backup| backup.method == method) {
                findings.error(
                    "nothing-to-restore",
                    &format!("{path}/kind"),
                    format!("nothing brings a backup of `{}` into the standby region", database.name),
                    format!("add to `backups`: method {{kind: {wanted}}}, of: {part}, with a `copy`"),
                );
            }
            let age = match standby {
                DatabaseStandby::LatestSnapshot { max_age, .. } | DatabaseStandby::PointInTime { max_age, .. } => *max_age,
                _ => continue,
            };
            let reach = copies.iter().filter(|backup| backup.method == method).filter_map(|backup| {
                let copy = backup.copy.as_ref().and_then(|copy| copy.retention.as_ref());
                copy.or(backup.retention.as_ref()).and_then(|retention| retention.reach())
            });
            if let Some(reach) = reach.max().filter(|reach| *reach < age) {
                findings.error(
                    "retention-too-short",
                    &format!("{path}/maxAge"),
                    format!("copies are kept for {reach}, and one of {age} is asked for"),
                    "keep the copies longer",
                );
            }
        }
    }
    for (at, cache) in each("/caches", &plan.caches) {
        let CacheStandby::Snapshot { bucket, .. } = &cache.standby else { continue };
        let part = format!("caches.{}", cache.name);
        let arrives = plan.backups_of(&part).any(|backup| backup.copy.as_ref().and_then(|copy| copy.bucket.as_ref()) == Some(bucket));
        if !arrives {
            findings.error(
                "nothing-to-restore",
                &format!("{at}/standby/bucket"),
                format!("no backup of `{}` arrives in `{bucket}`", cache.name),
                format!("add to `backups`: method {{kind: cacheSnapshot, exportBucket: …}}, of: {part}, copy: {{bucket: {bucket}}}"),
            );
        }
    }
}
