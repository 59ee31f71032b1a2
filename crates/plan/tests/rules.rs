//! What has to be true of a plan as a whole: one case for each rule.
#![cfg(feature = "authoring")]

use muster_plan::{Fault, Outcome, Severity, consequences, load, render};

const SHOP: &str = include_str!("plans/shop.yaml");

/// A case: what it is, what is replaced by what, and the codes that it has to bring about.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

const REPLICA: &str = "standby: {kind: replica, id: shop-orders-replica}";
const SNAPSHOT: &str = "standby: {kind: latestSnapshot, maxAge: 26h, target: {id: shop-orders-dr, instanceClass: db.r6g.large}}";
const TAKEOVER: &str = "method: {kind: takeoverMetric, healthCheck: hc-1}";
const TOLD: &str = "what: [declared, decision, held, closed]";
const PARAMETER: &str = "  - {kind: ssmParameter, name: db-host, parameter: /shop/db-host, value: \"{databases.orders.endpoint}\"}";
const HEALTH: &str = "  - {kind: http, name: health, url: \"https://shop.example.com/health\", via: public}";
const NIGHTLY: &str =
    "method: {kind: databaseSnapshot}, of: databases.orders, every: \"daily 02:00 UTC\", retention: {kind: for, keep: 7d}, copy: {kmsKey: alias/shop}";
const CHECKED: &str = "    checks: [{kind: sql, query: \"select pg_is_in_recovery()\", equals: false}]\n";
const CLONED: &str = "    checks: [{kind: sql, query: \"select pg_is_in_recovery()\", equals: false}]
    restoreTest: {subnetGroup: isolated, securityGroups: [sg-0clone], compare: [{name: rows, query: \"select count(*) from orders where at < '{takenAt}'\"}]}\n";
const DUMPED: &str = "    checks: [{kind: sql, query: \"select pg_is_in_recovery()\", equals: false}]
    size: 200GiB
    restoreTest: {subnetGroup: isolated, securityGroups: [sg-0clone], dump: {backup: dumps, project: shop-pg-restore, storage: 500GiB}}\n";
/// The nightly snapshot, and a dump beside it.
const DUMPS: &str =
    "method: {kind: databaseSnapshot}, of: databases.orders, every: \"daily 02:00 UTC\", retention: {kind: for, keep: 7d}, copy: {kmsKey: alias/shop}}
  - {name: dumps, method: {kind: s3Objects, bucket: shop-dumps}, of: databases.orders, every: \"daily 03:00 UTC\", copy: {bucket: shop-dumps-dr}";
const DRILLED: &str = "flow: region-failover";
const OF_DUMP: &str = "flow: restore-test, parts: [backups.dumps]";
const RESTORED: &str = "flow: restore-test, parts: [databases.orders]";

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Names
    ("a duplicate name", &[(PARAMETER, "  - {kind: ssmParameter, name: db-host, parameter: /a, value: x}\n  - {kind: ssmParameter, name: db-host, parameter: /b, value: y}")], &["duplicate-name"]),
    ("a part that does not exist", &[("recoveredBy: [databases.orders, compute.web]", "recoveredBy: [databases.order, compute.web]")], &["dangling-reference"]),
    ("a section that does not exist", &[("recoveredBy: [databases.orders,", "recoveredBy: [database.orders,")], &["dangling-reference"]),
    ("a channel that does not exist", &[("told: [{audience: VP Engineering, channels: [pager]", "told: [{audience: VP Engineering, channels: [pagers, pager]")], &["dangling-reference"]),
    ("a role that nobody has", &[("whenUnreachable: {kind: hold}", "whenUnreachable: {kind: accept, by: VP Enginering, reason: known}")], &["dangling-reference"]),
    ("a check that does not exist", &[("pass: {rto: 1h}", "pass: {rto: 1h, checks: [heath]}")], &["dangling-reference"]),
    // References
    ("a reference to a database that does not exist", &[("{databases.orders.endpoint}", "{databases.order.endpoint}")], &["dangling-reference"]),
    ("a reference to an attribute that does not exist", &[("{databases.orders.endpoint}", "{databases.orders.endpont}")], &["dangling-reference"]),
    ("a reference into a section that does not exist", &[("{databases.orders.endpoint}", "{database.orders.endpoint}")], &["dangling-reference"]),
    ("half a reference", &[("{databases.orders.endpoint}", "{databases.orders}")], &["dangling-reference"]),
    ("a circle of references", &[(PARAMETER, "  - {kind: ssmParameter, name: a, parameter: /a, value: \"{configuration.b.value}\"}\n  - {kind: ssmParameter, name: b, parameter: /b, value: \"{configuration.a.value}\"}")], &["cyclic-reference"]),
    ("a reference to itself", &[("value: \"{databases.orders.endpoint}\"", "value: \"{configuration.db-host.value}\"")], &["cyclic-reference"]),
    ("a password in a value", &[("\"{databases.orders.endpoint}\"", "\"postgresql://app:hunter2@{databases.orders.endpoint}/shop\"")], &["secret-in-plan"]),
    // Regions
    ("standby and primary are one region", &[("standby: us-west-2,", "standby: us-east-1,")], &["same-region"]),
    ("witness and standby are one region", &[("witness: us-east-2", "witness: us-west-2")], &["same-region"]),
    ("a topic in the failed region", &[("arn:aws:sns:us-west-2:", "arn:aws:sns:us-east-1:")], &["needs-failed-region"]),
    ("a parameter in the failed region", &[("parameter: /shop/db-host,", "parameter: /shop/db-host, region: primary,")], &["needs-failed-region"]),
    ("a standby address in the failed region", &[("https://shop-lb.us-west-2.elb", "https://shop-lb-dr.us-east-1.elb")], &["needs-failed-region"]),
    ("the standby's address is the primary's", &[("https://shop-lb.us-west-2.elb", "https://shop-lb.us-east-1.elb")], &["same-endpoint"]),
    ("the standby's address is the public name", &[("https://shop-lb.us-west-2.elb.amazonaws.com", "https://shop.example.com")], &["same-endpoint"]),
    ("an alarm of the failed region", &[("{kind: http, name: near, url: \"https://shop-lb.us-east-1.elb.amazonaws.com/health\", from: standby}", "{kind: alarm, name: near, alarm: down, region: primary}")], &["needs-failed-region"]),
    ("a probe of the public name", &[("{kind: http, name: near, url: \"https://shop-lb.us-east-1.elb.amazonaws.com/health\"", "{kind: http, name: near, url: \"https://shop.example.com/health\"")], &["watches-public-name"]),
    ("a record that has to be rewritten in us-east-1", &[(TAKEOVER, "method: {kind: upsertAlias, primary: {dnsName: a.us-east-1.elb.amazonaws.com, zone: Z35SXDOTRQ7X7K}, standby: {dnsName: a.us-west-2.elb.amazonaws.com, zone: Z1H1FL5HABSF5}}")], &["control-plane"]),
    ("a record that is rewritten to what it is", &[(TAKEOVER, "method: {kind: upsertAlias, primary: {dnsName: a, zone: Z1}, standby: {dnsName: a, zone: Z1}}")], &["control-plane", "same-endpoint"]),
    ("a record that moves before its database is promoted", &[(TAKEOVER, "method: {kind: automaticFailover, healthCheck: hc-1}")], &["fails-over-by-itself"]),
    ("switches that only the failed region can turn", &[(TAKEOVER, "method: {kind: routingControl, endpoints: [{url: \"https://a\", region: us-east-1}], primaryControl: a, standbyControl: b}")], &["needs-failed-region"]),
    // Databases
    ("SQL for a database that speaks none", &[("engine: postgres", "engine: mongodb")], &["wrong-check"]),
    ("lag that nobody may ask for", &[("max: 60s, when", "max: 60s, measured: database, when"), ("    credentials: {secret: shop/orders}\n", "")], &["no-credentials", "no-credentials"]),
    ("a database without a fence", &[("    fence: {kind: quarantine, securityGroup: sg-0123, whenUnreachable: {kind: hold}}\n", "")], &["no-fence"]),
    ("a replica without a lag gate", &[("    lag: {max: 60s, whenUnknown: {kind: hold}}\n", "")], &["no-lag-gate"]),
    ("lag that CloudWatch cannot tell", &[("max: 60s", "max: 100ms")], &["lag-too-fine"]),
    ("a last known lag that has to be younger than it may be", &[("whenUnknown: {kind: hold}", "whenUnknown: {kind: lastKnown, within: 179s, upTo: 60s, by: VP Engineering}")], &["lag-sample-too-young"]),
    ("a last known lag that may be three minutes old", &[("whenUnknown: {kind: hold}", "whenUnknown: {kind: lastKnown, within: 3m, upTo: 60s, by: VP Engineering}")], &[]),
    ("data checks that cannot sign in", &[("    credentials: {secret: shop/orders}\n", "")], &["no-credentials"]),
    ("a data check that cannot fail", &[(", equals: false}", "}")], &["no-expectation"]),
    ("no data check", &[("    checks: [{kind: sql, query: \"select pg_is_in_recovery()\", equals: false}]\n", "")], &["no-data-check"]),
    ("a global cluster of an RDS instance", &[(REPLICA, "standby: {kind: globalCluster, globalId: g, cluster: c}")], &["wrong-standby"]),
    ("a promoted instance of an Aurora cluster", &[("kind: rdsInstance", "kind: auroraCluster")], &["wrong-standby"]),
    ("a cluster restored without instances", &[("kind: rdsInstance", "kind: auroraCluster"), (REPLICA, "standby: {kind: globalCluster, globalId: g, cluster: c}\n    fallback: [{kind: latestSnapshot, maxAge: 26h, target: {id: x, instanceClass: db.r6g.large}}]")], &["fallback-loses-more", "no-instances"]),
    ("a cluster's failover of an instance", &[("    engine: postgres", "    engine: postgres\n    inRegion: [{kind: clusterFailover}]")], &["wrong-recovery"]),
    ("one identifier for primary and replica", &[("id: shop-orders-replica", "id: shop-orders")], &["same-identifier"]),
    ("backups for longer than RDS keeps them", &[("backupRetention: 7d", "backupRetention: 36d")], &["retention-too-short"]),
    ("backups that a restore cannot reach", &[("    backupRetention: 7d", "    backupRetention: 1d\n    restore: {target: {id: x, instanceClass: y}, isolationGroup: sg-1, defaultAge: 48h, objectives: {rto: 4h, rpo: 5m}}")], &["retention-too-short"]),
    // Promises
    ("five minutes of loss from a daily snapshot", &[(REPLICA, SNAPSHOT)], &["rto-on-paper", "rpo-on-paper", "rto-on-paper", "rto-on-paper"]),
    ("more lag than may be lost", &[("max: 60s", "max: 10m")], &["rpo-on-paper"]),
    ("an accepted loss that is more than promised", &[("whenUnknown: {kind: hold}", "whenUnknown: {kind: lastKnown, within: 3m, upTo: 5m, by: VP Engineering}")], &["rpo-on-paper"]),
    ("a database that may lose more than the service", &[("objectives: {rto: 30m, rpo: 5m}", "objectives: {rto: 30m, rpo: 1h}")], &["rpo-on-paper", "rpo-on-paper"]),
    ("a service that cannot be back in time", &[("objectives: {rto: 1h, rpo: 5m}\ncomp", "objectives: {rto: 15m, rpo: 5m}\ncomp")], &["rto-on-paper"]),
    ("a component that nothing recovers", &[("recoveredBy: [databases.orders, compute.web]", "recoveredBy: []")], &["no-way-back"]),
    // Backups
    ("a snapshot that nothing copies", &[(REPLICA, "standby: {kind: replica, id: shop-orders-replica}\n    fallback: [{kind: pointInTime, maxAge: 5m, target: {id: x, instanceClass: y}}]")], &["nothing-to-restore"]),
    ("an encrypted copy without a key", &[("copy: {kmsKey: alias/shop}", "encryption: AES-256, copy: {retention: {kind: for, keep: 7d}}")], &["no-destination-key"]),
    ("kept for less than the time between two", &[("keep: 7d", "keep: 12h")], &["retention-too-short"]),
    ("an export across regions", &[(NIGHTLY, "method: {kind: cacheSnapshot}, of: caches.sessions, every: \"daily 02:00 UTC\", retention: {kind: for, keep: 7d}, copy: {bucket: shop-dr}")], &["export-across-regions"]),
    ("a backup that is never made", &[("every: \"daily 02:00 UTC\", ", "")], &["no-schedule"]),
    ("a backup made on two schedules", &[("every: \"daily 02:00 UTC\", ", "every: \"daily 02:00 UTC\", on: change, ")], &["two-schedules"]),
    ("a backup that is always late", &[("retention: {kind: for, keep: 7d}", "maxAge: 6h, retention: {kind: for, keep: 7d}")], &["always-late"]),
    ("a snapshot of nothing", &[("of: databases.orders, ", "")], &["no-source"]),
    ("an export to nowhere", &[(NIGHTLY, "method: {kind: cacheSnapshot}, of: caches.sessions, every: \"daily 02:00 UTC\", retention: {kind: for, keep: 7d}, copy: {kmsKey: alias/shop}")], &["no-copy"]),
    ("an archive of generations", &[(NIGHTLY, "method: {kind: snapshotExport, bucket: shop-archive, kmsKey: alias/shop, role: \"arn:aws:iam::123456789012:role/shop-archive\", storageClass: deepArchive}, of: databases.orders, every: \"day 1 04:00 UTC\", retention: {kind: generations, monthly: 84}")], &["no-archive"]),
    ("a copied archive", &[(NIGHTLY, "method: {kind: snapshotExport, bucket: shop-archive, kmsKey: alias/shop, role: \"arn:aws:iam::123456789012:role/shop-archive\", storageClass: deepArchive}, of: databases.orders, every: \"day 1 04:00 UTC\", retention: {kind: for, keep: 2557d}, copy: {bucket: shop-archive-dr}")], &["no-archive"]),
    ("an archive that is kept for less than its period", &[(NIGHTLY, "method: {kind: snapshotExport, bucket: shop-archive, kmsKey: alias/shop, role: \"arn:aws:iam::123456789012:role/shop-archive\", storageClass: deepArchive}, of: databases.orders, every: \"day 1 04:00 UTC\", retention: {kind: for, keep: 20d}")], &["retention-too-short"]),
    ("an archive that nobody says how long to keep", &[(NIGHTLY, "method: {kind: snapshotExport, bucket: shop-archive, kmsKey: alias/shop, role: \"arn:aws:iam::123456789012:role/shop-archive\", storageClass: deepArchive}, of: databases.orders, every: \"day 1 04:00 UTC\"")], &["no-retention"]),
    ("an archive of a cache", &[(NIGHTLY, "method: {kind: snapshotExport, bucket: shop-archive, kmsKey: alias/shop, role: \"arn:aws:iam::123456789012:role/shop-archive\", storageClass: deepArchive}, of: caches.sessions, every: \"day 1 04:00 UTC\", retention: {kind: indefinite}")], &["no-snapshot"]),
    ("an archive that adopts", &[(NIGHTLY, "method: {kind: snapshotExport, bucket: shop-archive, kmsKey: alias/shop, role: \"arn:aws:iam::123456789012:role/shop-archive\", storageClass: deepArchive}, of: databases.orders, every: \"day 1 04:00 UTC\", retention: {kind: indefinite}, adopt: [shop-archive-]")], &["adopts-nothing"]),
    ("an archive that nobody may write", &[(NIGHTLY, "method: {kind: snapshotExport, bucket: shop-archive, kmsKey: alias/shop, role: \"shop-archive\", storageClass: deepArchive}, of: databases.orders, every: \"day 1 04:00 UTC\", retention: {kind: indefinite}")], &["no-role"]),
    ("a copied snapshot older than any copy that is kept", &[(REPLICA, "standby: {kind: replica, id: shop-orders-replica}\n    fallback: [{kind: latestSnapshot, maxAge: 8d, target: {id: x, instanceClass: y}}]")], &["fallback-loses-more", "retention-too-short"]),
    ("a snapshot that is kept for who knows how long", &[("retention: {kind: for, keep: 7d}, ", "")], &["no-retention"]),
    ("a snapshot of which none is kept", &[("retention: {kind: for, keep: 7d}", "retention: {kind: generations}")], &["retention-too-short", "retention-too-short"]),
    ("a database's snapshot of a cache", &[("of: databases.orders, every", "of: compute.web, every")], &["no-snapshot"]),
    ("a copy in a vault without a key", &[("copy: {kmsKey: alias/shop}", "encryption: AES-256, copy: {kmsKey: alias/shop, vault: {account: \"210987654321\"}}")], &["no-destination-key"]),
    ("a vault for objects that others write", &[("method: {kind: databaseSnapshot}", "method: {kind: s3Objects, bucket: shop}"), ("copy: {kmsKey: alias/shop}", "copy: {bucket: shop-dr, vault: {account: \"210987654321\"}}")], &["no-vault"]),
    ("an account that is none", &[("copy: {kmsKey: alias/shop}", "copy: {kmsKey: alias/shop, vault: {account: \"42\"}}")], &["malformed"]),
    ("the adoption of automated snapshots", &[("copy: {kmsKey: alias/shop}", "adopt: [\"rds:shop-\"], copy: {kmsKey: alias/shop}")], &["adopts-too-much"]),
    ("the adoption of nearly everything", &[("copy: {kmsKey: alias/shop}", "adopt: [sho], copy: {kmsKey: alias/shop}")], &["adopts-too-much"]),
    ("the adoption of what Muster never deletes", &[("method: {kind: databaseSnapshot}", "method: {kind: s3Objects, bucket: shop}"), ("copy: {kmsKey: alias/shop}", "adopt: [shop-old-]")], &["adopts-nothing"]),
    ("a legal hold by nobody", &[("copy: {kmsKey: alias/shop}", "legalHold: {by: Counsel, reason: a matter}, copy: {kmsKey: alias/shop}")], &["dangling-reference"]),
    ("a vault, an adoption and a legal hold", &[("copy: {kmsKey: alias/shop}", "adopt: [shop-manual-], legalHold: {by: VP Engineering, reason: a matter}, copy: {kmsKey: alias/shop, vault: {account: \"210987654321\", kmsKey: alias/vault}}")], &[]),
    ("a limit of no deletions", &[("drills:", "pruning: {atMost: 0}\ndrills:")], &["out-of-range"]),
    // Triggers and people
    ("more confirmations than sources", &[("atLeast: 2", "atLeast: 3")], &["impossible-confirmation"]),
    ("a standby that can confirm alone", &[("atLeast: 2", "atLeast: 1")], &["one-sided-confirmation"]),
    ("no vantage outside the standby", &[("from: witness", "from: standby")], &["one-sided-confirmation"]),
    ("a confirmation in a hurry", &[("for: 3m", "for: 30s")], &["hasty-confirmation"]),
    ("a veto that nobody hears", &[(TOLD, "what: [declared, held]")], &["nobody-hears"]),
    ("a veto that a person would have to pass on", &[("via: {kind: sns, topic: \"arn:aws:sns:us-west-2:123456789012:pager\"}", "via: {kind: person, role: VP Engineering}")], &["nobody-hears", "nobody-hears"]),
    ("a hold that nobody hears", &[(TOLD, "what: [declared, decision]")], &["nobody-hears"]),
    ("nobody who may decide", &[("decide: [VP Engineering]", "decide: []")], &["nobody-decides"]),
    ("no look through the public name", &[(HEALTH, "  - {kind: http, name: health, url: \"https://shop-lb.us-west-2.elb.amazonaws.com/health\", via: standby}")], &["unverified-end"]),
    ("a metric with two thresholds", &[(HEALTH, "  - {kind: http, name: health, url: \"https://shop.example.com/health\", via: public}\n  - {kind: metric, name: errors, namespace: a, metric: b, statistic: Sum, below: 0.1%, equals: 0}")], &["no-threshold"]),
    ("a period that CloudWatch does not have", &[(HEALTH, "  - {kind: http, name: health, url: \"https://shop.example.com/health\", via: public}\n  - {kind: metric, name: errors, namespace: a, metric: b, statistic: Sum, period: 90s, equals: 0}")], &["no-such-period"]),
    ("periods that CloudWatch has", &[(HEALTH, "  - {kind: http, name: health, url: \"https://shop.example.com/health\", via: public}\n  - {kind: metric, name: errors, namespace: a, metric: b, statistic: Sum, period: 10s, equals: 0}\n  - {kind: metric, name: more, namespace: a, metric: b, statistic: Sum, period: 5m, equals: 0}")], &[]),
    // Drills
    ("a live drill that never comes back", &[("on: clone, duration", "on: live, duration")], &["drill-unprotects", "wrong-finish", "wrong-finish"]),
    ("a drill on clones that fails back", &[("pass: {rto: 1h}", "pass: {rto: 1h}, finish: failBack")], &["wrong-finish"]),
    // Restore tests
    ("a restore test", &[(CHECKED, CLONED), (DRILLED, RESTORED)], &[]),
    ("a restore test over what serves", &[(CHECKED, CLONED), (DRILLED, RESTORED), ("on: clone", "on: live")], &["wrong-target"]),
    ("a restore test of nothing", &[(CHECKED, CLONED), (DRILLED, "flow: restore-test")], &["nothing-to-restore"]),
    ("a clone that goes nowhere", &[(DRILLED, RESTORED)], &["no-place-for-clone"]),
    ("a clone in the default group", &[(CHECKED, CLONED), (DRILLED, RESTORED), ("[sg-0clone]", "[]")], &["open-clone"]),
    ("a comparison of what goes on growing", &[(CHECKED, CLONED), (DRILLED, RESTORED), (" where at < '{takenAt}'", "")], &["compares-what-changes"]),
    ("a comparison that cannot sign in", &[(CHECKED, CLONED), ("    credentials: {secret: shop/orders}\n", "")], &["no-credentials", "no-credentials"]),
    ("two comparisons of one name", &[(CHECKED, CLONED), ("compare: [", "compare: [{name: rows, query: \"select '{takenAt}'\"}, ")], &["duplicate-name"]),
    ("a restore that no snapshot serves", &[(CHECKED, CLONED), (DRILLED, RESTORED), ("copy: {kmsKey: alias/shop}", "encryption: none")], &["nothing-to-restore"]),
    ("a restore that nothing tells sound", &[(CHECKED, "    restoreTest: {subnetGroup: isolated, securityGroups: [sg-0clone]}\n"), (DRILLED, RESTORED)], &["no-data-check", "no-data-check"]),
    ("a restore test of a dump", &[(CHECKED, DUMPED), (NIGHTLY, DUMPS), (DRILLED, OF_DUMP)], &[]),
    ("a dump of another database", &[(CHECKED, DUMPED), (NIGHTLY, DUMPS), (DRILLED, OF_DUMP), ("{kind: s3Objects, bucket: shop-dumps}, of: databases.orders,", "{kind: s3Objects, bucket: shop-dumps},")], &["nothing-to-restore"]),
    ("a dump that nobody wrote down", &[(CHECKED, DUMPED)], &["nothing-to-restore"]),
    ("a dump that stays in the primary region", &[(CHECKED, DUMPED), (NIGHTLY, DUMPS), (", copy: {bucket: shop-dumps-dr}", "")], &["nothing-to-restore"]),
    ("a snapshot that is taken for a dump", &[(CHECKED, DUMPED), (NIGHTLY, DUMPS), ("dump: {backup: dumps,", "dump: {backup: nightly,")], &["nothing-to-restore"]),
    ("a dump of nobody knows when", &[(CHECKED, DUMPED), (NIGHTLY, DUMPS), ("every: \"daily 03:00 UTC\", ", "on: change, ")], &["no-instant"]),
    ("a dump that fills its clone", &[(CHECKED, DUMPED), (NIGHTLY, DUMPS), ("storage: 500GiB", "storage: 399GiB")], &["small-clone"]),
    ("a dump without a snapshot to load it into", &[(CHECKED, DUMPED), (NIGHTLY, DUMPS), (DRILLED, OF_DUMP), (", copy: {kmsKey: alias/shop}}", ", encryption: none}")], &["nothing-to-restore"]),
    ("a drill of a drill", &[("flow: region-failover", "flow: drill")], &["wrong-flow"]),
];

fn changed(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(SHOP.to_owned(), |source, (from, to)| {
        assert_eq!(source.matches(from).count(), 1, "`{from}` has to be in the plan once");
        source.replacen(from, to, 1)
    })
}

#[test]
fn every_rule_finds_what_it_is_for_and_nothing_else() {
    let mut shown = String::new();
    let mut wrong = String::new();
    for (case, changes, codes) in CASES {
        let source = changed(changes);
        let loaded = load("plans/shop.yaml", source.as_bytes());
        let mut found: Vec<&str> = loaded.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        let rendered = render(&loaded.diagnostics, "plans/shop.yaml", &source, false);
        shown.push_str(&format!("=== {case}\n\n{rendered}\n"));
        let mut expected = codes.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        if found != expected {
            wrong.push_str(&format!("=== {case}: {found:?} instead of {expected:?}\n{rendered}\n"));
        }
        let refused = loaded.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        assert_eq!(loaded.plan.is_none(), refused, "{case}");
    }
    assert!(wrong.is_empty(), "{wrong}");
    insta::assert_snapshot!("rules", shown);
}

#[test]
fn what_a_plan_does_about_each_fault_follows_from_its_acceptances() {
    let outcome = |source: &str, fault: Fault| {
        let plan = load("shop.yaml", source.as_bytes()).plan.unwrap();
        consequences(&plan).into_iter().find(|consequence| consequence.fault == fault).map(|consequence| consequence.outcome)
    };
    assert_eq!(outcome(SHOP, Fault::PrimaryDark), Some(Outcome::Holds));
    assert_eq!(outcome(SHOP, Fault::LagUnknown), Some(Outcome::Holds));
    assert_eq!(outcome(SHOP, Fault::RecordsCannotChange), Some(Outcome::GoesOn));
    assert_eq!(outcome(SHOP, Fault::NobodyDecides), Some(Outcome::GoesOn));
    let accepted = changed(&[
        ("whenUnreachable: {kind: hold}", "whenUnreachable: {kind: accept, by: VP Engineering, reason: known}"),
        ("whenUnknown: {kind: hold}", "whenUnknown: {kind: lastKnown, within: 3m, upTo: 60s, by: VP Engineering}"),
    ]);
    assert_eq!(outcome(&accepted, Fault::PrimaryDark), Some(Outcome::GoesOn));
    assert_eq!(outcome(&accepted, Fault::LagUnknown), Some(Outcome::GoesOn));
    let approved = changed(&[("decision: {kind: veto, window: 15m}", "decision: {kind: approval, by: VP Engineering, within: 15m}")]);
    assert_eq!(outcome(&approved, Fault::NobodyDecides), Some(Outcome::Ends));
}
