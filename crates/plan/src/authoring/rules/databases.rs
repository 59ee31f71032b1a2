//! Each database has a standby of a kind that fits it, and what its promotion needs.

use muster_core::Duration;

use super::{Findings, each};
use crate::databases::{Database, DatabaseKind, DatabaseStandby, Engine, InRegionRecovery, LagGate, LagSource, RestoreTarget, WhenLagUnknown};
use crate::plan::Plan;

const DAY: Duration = Duration::from_hours(24);
/// How much older than the first failing sample the last one of the lag may be: CloudWatch has one value a minute, which
/// describes the minute before it; the probe asks once a minute; and an outage begins between two of its samples.
const OLDEST_LAG_SAMPLE: Duration = Duration::from_mins(3);

pub(super) fn check(plan: &Plan, findings: &mut Findings<'_>) {
    for (at, database) in each("/databases", &plan.databases) {
        standbys(&at, database, findings);
        in_region(&at, database, findings);
        gate(&at, database, findings);
        checks(&at, database, findings);
        retention(&at, database, findings);
    }
}

fn standbys(at: &str, database: &Database, findings: &mut Findings<'_>) {
    let paths = std::iter::once(format!("{at}/standby")).chain((0..database.fallback.len()).map(|index| format!("{at}/fallback/{index}")));
    for (path, standby) in paths.zip(database.standbys()) {
        fits(&path, database.kind, standby, findings);
        match standby {
            DatabaseStandby::Replica { id, backup_retention, .. } => {
                if *id == database.primary {
                    findings.warning(
                        "same-identifier",
                        &format!("{path}/id"),
                        format!("replica and primary are both called `{id}`"),
                        "AWS allows that in two regions; at night nobody will know which one is meant",
                    );
                }
                if let Some(retention) = backup_retention {
                    whole_days(&format!("{path}/backupRetention"), *retention, findings);
                }
            }
            DatabaseStandby::LatestSnapshot { target, .. } | DatabaseStandby::PointInTime { target, .. } => {
                instances(&format!("{path}/target"), database.kind, target, findings);
            }
            DatabaseStandby::GlobalCluster { .. } | DatabaseStandby::External { .. } => {}
        }
    }
    if let Some(restore) = &database.restore {
        instances(&format!("{at}/restore/target"), database.kind, &restore.target, findings);
        if restore.target.id == database.primary {
            findings.error(
                "same-identifier",
                &format!("{at}/restore/target/id"),
                "a restore would have to replace the damaged database, and RDS restores only beside it",
                "give the restored one a name of its own",
            );
        }
    }
}

fn fits(at: &str, kind: DatabaseKind, standby: &DatabaseStandby, findings: &mut Findings<'_>) {
    let refusal = match (kind, standby) {
        (DatabaseKind::RdsInstance, DatabaseStandby::GlobalCluster { .. }) => "an RDS instance has no global cluster: use `replica`",
        (DatabaseKind::AuroraCluster, DatabaseStandby::Replica { .. }) => {
            "an Aurora cluster is not failed over by promoting an instance in another region: use `globalCluster`"
        }
        (DatabaseKind::AuroraCluster, DatabaseStandby::PointInTime { .. }) => {
            "Aurora's automated backups are not replicated to other regions: use `globalCluster`, or `latestSnapshot`"
        }
        (DatabaseKind::External, DatabaseStandby::External { .. }) => return,
        (DatabaseKind::External, _) => "what Muster only verifies has a standby of kind `external`",
        (_, DatabaseStandby::External { step: None, .. }) => "nothing would recover it: name a `step`, or use another kind of standby",
        _ => return,
    };
    findings.error("wrong-standby", &format!("{at}/kind"), "this kind of standby does not fit the database", refusal);
}

fn instances(at: &str, kind: DatabaseKind, target: &RestoreTarget, findings: &mut Findings<'_>) {
    match (kind, target.instances) {
        (DatabaseKind::AuroraCluster, None | Some(0)) => {
            findings.error(
                "no-instances",
                at,
                "a restored Aurora cluster has no instances, and nothing could connect to it",
                "add `instances: 2` (or how many it needs)",
            );
        }
        (DatabaseKind::RdsInstance, Some(_)) => {
            findings.error(
                "wrong-standby",
                &format!("{at}/instances"),
                "an RDS instance is one instance",
                "delete `instances`; for a second zone, write `multiAz: true`",
            );
        }
        _ => {}
    }
}

fn in_region(at: &str, database: &Database, findings: &mut Findings<'_>) {
    for (at, recovery) in each(&format!("{at}/inRegion"), &database.in_region) {
        let refusal = match (database.kind, recovery) {
            (DatabaseKind::AuroraCluster, InRegionRecovery::MultiAzFailover) => "an Aurora cluster fails over to a reader: use `clusterFailover`",
            (DatabaseKind::RdsInstance, InRegionRecovery::ClusterFailover { .. }) => "an RDS instance fails over to its other zone: use `multiAzFailover`",
            (DatabaseKind::External, _) => "Muster only verifies this database",
            (_, InRegionRecovery::PromoteStandby) if !promotes(database) => "its standby is not a replica that could be promoted",
            _ => continue,
        };
        findings.error("wrong-recovery", &format!("{at}/kind"), "this does not fit the database", refusal);
    }
}

fn promotes(database: &Database) -> bool {
    matches!(database.standby, DatabaseStandby::Replica { .. } | DatabaseStandby::GlobalCluster { .. })
}

fn gate(at: &str, database: &Database, findings: &mut Findings<'_>) {
    if !database.is_recovered_by_muster() {
        return;
    }
    if database.fence.is_none() {
        findings.error(
            "no-fence",
            &format!("{at}/name"),
            format!("nothing keeps the old primary of `{}` from taking writes once the new one is promoted", database.name),
            "add `fence: {kind: quarantine, securityGroup: sg-…, whenUnreachable: {kind: hold}}`",
        );
    }
    match &database.lag {
        None if promotes(database) => findings.error(
            "no-lag-gate",
            &format!("{at}/name"),
            format!("nothing says how far behind the replica of `{}` may be when it is promoted", database.name),
            format!("add `lag: {{max: {}, whenUnknown: {{kind: hold}}}}`", database.objectives.rpo),
        ),
        Some(lag) => {
            let seconds = lag.max.as_millis().is_multiple_of(1_000);
            if lag.measured == LagSource::Metric && database.kind == DatabaseKind::RdsInstance && !seconds {
                findings.error(
                    "lag-too-fine",
                    &format!("{at}/lag/max"),
                    format!("CloudWatch counts an RDS instance's lag in whole seconds: {} cannot be told from none", lag.max),
                    "write whole seconds, or add `measured: database`",
                );
            }
            if lag.measured == LagSource::Database && database.credentials.is_none() {
                findings.error(
                    "no-credentials",
                    &format!("{at}/lag/measured"),
                    "the database can be asked only by somebody who may sign in",
                    "add `credentials: {secret: …}`",
                );
            }
            last_known(at, lag, findings);
        }
        None => {}
    }
}

fn last_known(at: &str, lag: &LagGate, findings: &mut Findings<'_>) {
    let WhenLagUnknown::LastKnown { within, .. } = &lag.when_unknown else { return };
    if *within < OLDEST_LAG_SAMPLE {
        findings.warning(
            "lag-sample-too-young",
            &format!("{at}/lag/whenUnknown/within"),
            format!(
                "the last lag sample before an outage can be two to three minutes older than the first failing one, and only {within} are accepted: \
                 the failover may hold although the replica was up to date"
            ),
            format!(
                "CloudWatch has one value a minute and the probe asks once a minute: write `within: {OLDEST_LAG_SAMPLE}`, and an `upTo` with which \
                 the two stay within `objectives.rpo`; or `{{kind: hold}}` if a person is to decide"
            ),
        );
    }
}

fn checks(at: &str, database: &Database, findings: &mut Findings<'_>) {
    if database.checks.is_empty() && database.reconciliation.is_empty() {
        if database.is_recovered_by_muster() {
            findings.warning(
                "no-data-check",
                &format!("{at}/name"),
                format!("nothing tells whether the data of `{}` is sound after a recovery", database.name),
                "add `checks` with a query or two whose answer you know",
            );
        }
        return;
    }
    if database.engine == Engine::Mongodb {
        findings.error("wrong-check", &format!("{at}/checks"), "MongoDB answers no SQL", "check it with a custom step");
    }
    if database.credentials.is_none() {
        findings.error(
            "no-credentials",
            &format!("{at}/checks"),
            format!("the checks of `{}` cannot sign in", database.name),
            "add `credentials: {secret: …}`, with the keys `username` and `password`",
        );
    }
    for (at, check) in each(&format!("{at}/checks"), &database.checks) {
        if !check.has_expectation() {
            findings.error(
                "no-expectation",
                &at,
                "this check can never fail",
                "add `equals`, `atMost`, `atLeast` or `within`; what is only to be recorded goes under `reconciliation`",
            );
        }
    }
}

fn retention(at: &str, database: &Database, findings: &mut Findings<'_>) {
    let Some(retention) = database.backup_retention else { return };
    let at = format!("{at}/backupRetention");
    whole_days(&at, retention, findings);
    if let Some(restore) = database.restore.as_ref().filter(|restore| restore.default_age > retention) {
        findings.error(
            "retention-too-short",
            &at,
            format!("backups reach back {retention}, and a restore goes back {}", restore.default_age),
            "keep them longer, or restore to a later point",
        );
    }
}

fn whole_days(at: &str, retention: Duration, findings: &mut Findings<'_>) {
    if retention < DAY || retention > DAY.times(35) || !retention.as_millis().is_multiple_of(DAY.as_millis()) {
        findings.error(
            "retention-too-short",
            at,
            format!("RDS keeps automated backups for whole days, from 1d to 35d, and not for {retention}"),
            "write a number of days from 1d to 35d",
        );
    }
}
