//! What a plan's region failover needs that this version does not do yet: said when the plan is checked, and again before
//! anything is touched. Never found out in the middle.

use muster_plan::{
    BackgroundWorkload, CacheKind, CacheStandby, Check, Compute, Configuration, DatabaseKind, DatabaseStandby, HttpCheck, LagSource, Plan, RegionRole, Source,
    TrafficMethod,
};

/// The flows that exist, by name.
pub const FLOWS: [&str; 1] = ["region-failover"];

/// Each thing in words; empty when the region failover of the plan can run.
pub fn unbuilt(plan: &Plan) -> Vec<String> {
    let databases = plan.databases.iter().filter_map(|database| {
        let what = match (&database.kind, &database.standby) {
            (DatabaseKind::RdsInstance, DatabaseStandby::Replica { .. }) => return None,
            (_, DatabaseStandby::LatestSnapshot { .. }) => "restoring the latest snapshot",
            (_, DatabaseStandby::PointInTime { .. }) => "restoring to a point in time",
            (_, DatabaseStandby::GlobalCluster { .. }) => "failing an Aurora global database over",
            (DatabaseKind::AuroraCluster, _) => "promoting an Aurora cluster",
            (_, DatabaseStandby::External { .. }) | (DatabaseKind::External, _) => "verifying what is recovered by other means",
        };
        Some(format!("databases.{}: {what}", database.name))
    });
    let lags = plan
        .databases
        .iter()
        .filter(|database| database.lag.as_ref().is_some_and(|lag| lag.measured == LagSource::Database))
        .map(|database| format!("databases.{}: reading the lag in the database", database.name));
    let sources = sources(plan);
    let caches = plan.caches.iter().filter_map(|cache| {
        let what = match (&cache.kind, &cache.standby) {
            (CacheKind::ReplicationGroup, CacheStandby::GlobalDatastore { .. } | CacheStandby::Independent { .. }) => return None,
            (_, CacheStandby::Snapshot { .. }) => "restoring a cache from a snapshot",
            _ => "verifying what is recovered by other means",
        };
        Some(format!("caches.{}: {what}", cache.name))
    });
    let compute = plan.compute.iter().filter_map(|compute| {
        let what = match compute {
            Compute::AutoScalingGroup(_) => return None,
            Compute::EksNodeGroup(_) => "scaling EKS node groups",
            Compute::KubernetesDeployment(_) => "scaling Kubernetes deployments",
            Compute::Background(background) => match background.workload {
                BackgroundWorkload::AutoScalingGroup { .. } => return None,
                BackgroundWorkload::KubernetesDeployment { .. } => "moving Kubernetes deployments",
                BackgroundWorkload::ScheduleGroup { .. } | BackgroundWorkload::EventRule { .. } => "moving schedules",
            },
        };
        Some(format!("compute.{}: {what}", compute.name()))
    });
    let configuration = plan.configuration.iter().filter_map(|item| {
        let what = match item {
            Configuration::SsmParameter { .. } | Configuration::LaunchTemplate { .. } => return None,
            Configuration::Secret { .. } => "writing secrets",
            Configuration::KubernetesEnv { .. } => "setting environment variables of deployments",
            Configuration::KubernetesRestart { .. } => "restarting deployments",
        };
        Some(format!("configuration.{}: {what}", item.name()))
    });
    let traffic = plan
        .traffic
        .iter()
        .filter(|record| matches!(record.method, TrafficMethod::RoutingControl { .. }))
        .map(|record| format!("traffic of {}: routing controls", record.record));
    let custom = plan.custom.iter().filter(|step| step.flow.as_str() == FLOWS[0]).map(|step| format!("custom.{}: steps of your own", step.name));
    let checks = plan.checks.iter().filter_map(|check| match check {
        Check::Logs(check) => Some(format!("checks.{}: reading logs", check.name)),
        Check::Http(HttpCheck { name, contains: Some(_), .. }) => Some(format!("checks.{name}: looking into an answer's text")),
        _ => None,
    });
    databases.chain(lags).chain(sources).chain(caches).chain(compute).chain(configuration).chain(traffic).chain(custom).chain(checks).collect()
}

/// AWS Health is not looked at yet: the other sources must be enough to confirm an outage without it.
fn sources(plan: &Plan) -> Option<String> {
    let confirm = &plan.triggers.confirm;
    let built: Vec<&Source> = confirm.of.iter().filter(|source| !matches!(source, Source::AwsHealth { .. })).collect();
    let outside = built.iter().any(|source| source.vantage().is_some_and(|region| region != RegionRole::Standby));
    let enough = built.len() >= confirm.at_least as usize && outside;
    (!enough).then(|| "triggers.confirm: AWS Health as a source, without which it cannot be confirmed".to_owned())
}
