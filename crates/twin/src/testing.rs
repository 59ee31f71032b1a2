//! A plan, and a runtime, for tests.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use muster_core::ports::{OpenRun, RunRegistry};
use muster_core::{Clock, Journaled, Lane, Run, RunId, Timestamp, Waits};
use muster_plan::{Plan, RegionRole};
use serde_json::json;

use crate::estate::Estate;
use crate::scenario::Scenario;
use crate::world::{Twin, World};

pub(crate) const START: Timestamp = Timestamp::from_millis(1_793_584_800_000);

/// A portal with a replica, a global cache, a group, both ways to configure it, and a name that follows a metric.
pub(crate) fn plan() -> Arc<Plan> {
    plan_with(|_| {})
}

/// The same, changed.
pub(crate) fn plan_with(change: impl FnOnce(&mut serde_json::Value)) -> Arc<Plan> {
    let mut plan = json!({
        "service": "portal",
        "regions": {"primary": "us-east-1", "standby": "us-west-2", "witness": "us-east-2"},
        "objectives": {"rto": "4h", "rpo": "1h"},
        "databases": [{
            "name": "portal-db", "kind": "rdsInstance", "engine": "postgres", "primary": "portal-db",
            "standby": {"kind": "replica", "id": "portal-db-replica", "backupRetention": "7d"},
            "objectives": {"rto": "30m", "rpo": "5m"},
            "lag": {"max": "60s", "whenUnknown": {"kind": "lastKnown", "within": "3m", "upTo": "2m", "by": "VP", "reason": "dark"}},
            "fence": {"kind": "quarantine", "securityGroup": "sg-quarantine", "whenUnreachable": {"kind": "accept", "by": "VP", "reason": "dark"}},
            "checks": [{"kind": "sql", "query": "select count(*) from users", "atLeast": 1}]
        }],
        "caches": [{
            "name": "sessions", "kind": "replicationGroup", "primary": "sessions",
            "standby": {"kind": "globalDatastore", "globalId": "ldgnf-sessions", "id": "sessions-dr"},
            "objectives": {"rto": "10m", "rpo": "0s"}
        }],
        "compute": [{
            "kind": "autoScalingGroup", "name": "web", "primary": {"group": "web"},
            "standby": {"group": "web-dr", "desired": 4, "min": 4, "max": 8, "launchTemplate": "web-lt"}
        }],
        "configuration": [
            {"kind": "launchTemplate", "name": "env", "template": "web-lt", "userData": "DB={databases.portal-db.endpoint}"},
            {"kind": "ssmParameter", "name": "db-host", "parameter": "/portal/db", "value": "{databases.portal-db.endpoint}"}
        ],
        "traffic": [{
            "record": "portal.example.com", "zone": "Z123", "method": {"kind": "takeoverMetric", "healthCheck": "check"}, "ttl": "60s",
            "primary": {"url": "https://alb.us-east-1.elb.amazonaws.com/health"},
            "standby": {"url": "https://alb.us-west-2.elb.amazonaws.com/health"}
        }],
        "checks": [{"kind": "http", "name": "health", "url": "https://portal.example.com/health", "via": "public"}],
        "triggers": {
            "alarms": ["portal-down"],
            "confirm": {"atLeast": 2, "for": "3m", "of": [
                {"kind": "http", "name": "near", "url": "https://alb.us-east-1.elb.amazonaws.com/health", "from": "standby"},
                {"kind": "http", "name": "far", "url": "https://alb.us-east-1.elb.amazonaws.com/health", "from": "witness"}
            ]},
            "decision": {"kind": "veto", "window": "15m"},
            "afterFailover": {"noAutomaticFailoverFor": "24h"}
        },
        "people": {
            "roles": [{"role": "VP", "channels": ["on-call"]}],
            "channels": [{"name": "on-call", "kind": "pagerDuty", "via": {"kind": "sns", "topic": "arn:aws:sns:us-west-2:123456789012:on-call"}}],
            "decide": ["VP"],
            "told": [{"audience": "All", "channels": ["on-call"], "what": ["declared", "decision", "held", "closed"]}],
            "hold": {"within": "30m", "otherwise": "abort"}
        },
        "load": {"requestsPerSecond": 40, "writes": "25%"}
    });
    change(&mut plan);
    Arc::new(serde_json::from_value(plan).unwrap())
}

/// Runs a test in virtual time, on the estate of a plan.
pub(crate) fn on<F: Future<Output = ()>>(plan: &Arc<Plan>, scenario: &Scenario, test: impl FnOnce(Rc<Twin>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let twin = Twin::new(Estate::new(plan, plan.digest().into(), scenario, START));
        test(twin).await;
    });
}

/// A run of the first epoch, open, and the world of one of its invocations.
pub(crate) async fn opened(twin: &Rc<Twin>, flow: &str) -> World {
    let world = twin.world(RegionRole::Standby, "test", "000001-test");
    let run = run(twin, flow, 1);
    assert!(world.open_run(0, &OpenRun { run: run.clone(), execution: "execution".into(), drill: false }).await.unwrap());
    world.journal().begin("000001-test", "test", "Test");
    world.journal().belongs_to(world.now(), &run);
    world
}

pub(crate) fn run(twin: &Rc<Twin>, flow: &str, epoch: u64) -> Run {
    Run {
        id: RunId(format!("portal.{flow}.{epoch}").into()),
        service: "portal".into(),
        flow: flow.into(),
        epoch,
        lane: Lane::Recover,
        opened_at: twin.now(),
        deadline: twin.now().after(muster_core::Duration::from_hours(8)),
        plan: twin.look(|estate| estate.memory.pin.clone()),
        overrides: Vec::new(),
        waits: Waits { decision_seconds: 900, hold_seconds: 1_800 },
    }
}

pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
}
