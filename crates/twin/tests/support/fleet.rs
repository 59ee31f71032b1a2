//! A plan of many databases, as large as wanted: for tests, examples and the bench.

use std::sync::Arc;

use muster_plan::Plan;
use serde_json::{Value, json};

/// So many databases share a group of instances.
const DATABASES_A_GROUP: usize = 100;

/// A service of `databases` databases. Each has a replica, an endpoint in a parameter, and a public name: every other name is a rewritten alias, all
/// in one zone, and follows a takeover metric otherwise. A group of four instances serves a hundred of them. `change` has the last word.
pub(crate) fn fleet(databases: usize, change: impl FnOnce(&mut Value)) -> Arc<Plan> {
    let numbers = || 0..databases;
    let mut plan = json!({
        "service": "fleet",
        "regions": {"primary": "eu-west-1", "standby": "eu-central-1", "witness": "eu-north-1"},
        "objectives": {"rto": "4h", "rpo": "1h"},
        "databases": numbers().map(database).collect::<Vec<_>>(),
        "compute": (0..databases.div_ceil(DATABASES_A_GROUP)).map(group).collect::<Vec<_>>(),
        "configuration": numbers().map(parameter).collect::<Vec<_>>(),
        "traffic": numbers().map(record).collect::<Vec<_>>(),
        "checks": [{"kind": "http", "name": "health", "url": "https://app-0000.example.com/health", "via": "public"}],
        "triggers": {
            "alarms": ["fleet-down"],
            "confirm": {"atLeast": 2, "for": "3m", "of": [
                {"kind": "http", "name": "near", "url": "https://alb-0000.eu-west-1.elb.amazonaws.com/health", "from": "standby"},
                {"kind": "http", "name": "far", "url": "https://alb-0000.eu-west-1.elb.amazonaws.com/health", "from": "witness"}
            ]},
            "decision": {"kind": "veto", "window": "15m"},
            "afterFailover": {"noAutomaticFailoverFor": "24h"}
        },
        "people": {
            "roles": [{"role": "VP", "channels": ["on-call"]}],
            "channels": [{"name": "on-call", "kind": "pagerDuty", "via": {"kind": "sns", "topic": "arn:aws:sns:eu-central-1:123456789012:on-call"}}],
            "decide": ["VP"],
            "told": [{"audience": "All", "channels": ["on-call"], "what": ["declared", "decision", "held", "closed"]}],
            "hold": {"within": "30m", "otherwise": "abort"}
        },
        "load": {"requestsPerSecond": 1_000, "writes": "25%"}
    });
    change(&mut plan);
    Arc::new(serde_json::from_value(plan).expect("a plan of the right form"))
}

fn database(number: usize) -> Value {
    json!({
        "name": format!("db-{number:04}"), "kind": "rdsInstance", "engine": "postgres", "primary": format!("db-{number:04}"),
        "standby": {"kind": "replica", "id": format!("db-{number:04}-replica"), "backupRetention": "7d"},
        "objectives": {"rto": "1h", "rpo": "5m"},
        "lag": {"max": "60s", "whenUnknown": {"kind": "lastKnown", "within": "3m", "upTo": "2m", "by": "VP", "reason": "dark"}},
        "fence": {"kind": "quarantine", "securityGroup": "sg-quarantine", "whenUnreachable": {"kind": "accept", "by": "VP", "reason": "dark"}},
        "checks": [{"kind": "sql", "query": "select count(*) from users", "atLeast": 1}]
    })
}

fn group(number: usize) -> Value {
    json!({
        "kind": "autoScalingGroup", "name": format!("web-{number:02}"), "primary": {"group": format!("web-{number:02}")},
        "standby": {"group": format!("web-{number:02}-dr"), "desired": 4, "min": 4, "max": 8}
    })
}

fn parameter(number: usize) -> Value {
    json!({
        "kind": "ssmParameter", "name": format!("db-{number:04}-host"), "parameter": format!("/fleet/db-{number:04}"),
        "value": format!("{{databases.db-{number:04}.endpoint}}")
    })
}

fn record(number: usize) -> Value {
    let balancer = |region: &str| format!("alb-{number:04}.{region}.elb.amazonaws.com");
    let target = |region: &str| json!({"dnsName": balancer(region), "zone": "ZALB"});
    let method = if number.is_multiple_of(2) {
        json!({"kind": "upsertAlias", "recordType": "A", "primary": target("eu-west-1"), "standby": target("eu-central-1"), "evaluateTargetHealth": false})
    } else {
        json!({"kind": "takeoverMetric", "healthCheck": format!("check-{number:04}")})
    };
    json!({
        "record": format!("app-{number:04}.example.com"), "zone": "ZFLEET", "method": method, "ttl": "60s",
        "primary": {"url": format!("https://{}/health", balancer("eu-west-1"))},
        "standby": {"url": format!("https://{}/health", balancer("eu-central-1"))}
    })
}
