//! What a plan's region failover needs that this version does not do yet: said when the plan is checked, and again before
//! anything is touched. Never found out in the middle.

use muster_plan::{
    BackgroundWorkload, Backup, BackupMethod, Cache, CacheCheck, CacheKind, CacheStandby, Check, Compute, Configuration, CustomStep, Database, DatabaseKind,
    DatabaseStandby, Engine, HttpCheck, LagSource, PartReference, Plan, Reference, RegionRole, Source, TrafficMethod, TrafficRecord,
};

/// The flows that exist, by name.
pub const FLOWS: [&str; 1] = ["region-failover"];

/// Each thing in words; empty when the region failover of the plan can run.
pub fn unbuilt(plan: &Plan) -> Vec<String> {
    let databases = plan.databases.iter().filter_map(|item| Some(format!("databases.{}: {}", item.name, of_database(item)?)));
    let lags = plan.databases.iter().filter(|item| reads_lag_in_database(item)).map(|item| format!("databases.{}: reading the lag in the database", item.name));
    let caches = plan.caches.iter().filter_map(|item| Some(format!("caches.{}: {}", item.name, of_cache(item)?)));
    let compute = plan.compute.iter().filter_map(|item| Some(format!("compute.{}: {}", item.name(), of_compute(item)?)));
    let configuration = plan.configuration.iter().filter_map(|item| Some(format!("configuration.{}: {}", item.name(), of_configuration(item)?)));
    let traffic = plan.traffic.iter().filter_map(|record| Some(format!("traffic of {}: {}", record.record, of_traffic(record)?)));
    let custom = plan.custom.iter().filter(|step| is_in_built_flow(step)).map(|step| format!("custom.{}: steps of your own", step.name));
    let checks = plan.checks.iter().filter_map(|check| Some(format!("checks.{}: {}", check.name(), of_check(check)?)));
    databases.chain(lags).chain(of_sources(plan)).chain(caches).chain(compute).chain(configuration).chain(traffic).chain(custom).chain(checks).collect()
}

/// The part of a plan whose region failover can run, for simulations: without what [`unbuilt`] lists, and without the configuration
/// that needs it. Nothing that touches an estate may go by it: half a failover is none.
///
/// # Errors
/// What cannot be left out, in words: without a source there is no confirmation.
pub fn built_part(plan: &Plan) -> Result<Plan, String> {
    if let Some(missing) = of_sources(plan) {
        return Err(missing);
    }
    let mut part = plan.clone();
    part.databases.retain(|item| of_database(item).is_none());
    for lag in part.databases.iter_mut().filter_map(|item| item.lag.as_mut()) {
        lag.measured = LagSource::Metric;
    }
    part.caches.retain(|item| of_cache(item).is_none());
    part.compute.retain(|item| of_compute(item).is_none());
    part.traffic.retain(|record| of_traffic(record).is_none());
    part.custom.retain(|step| !is_in_built_flow(step));
    part.checks.retain(|check| of_check(check).is_none());
    let stays = |reference: &Reference| match &*reference.section {
        "databases" => part.databases.iter().any(|item| *item.name.as_str() == *reference.name),
        "caches" => part.caches.iter().any(|item| *item.name.as_str() == *reference.name),
        _ => true,
    };
    let needs_no_other = |item: &Configuration| item.values().iter().all(|(_, value)| value.references().iter().flatten().all(stays));
    let configuration = plan.configuration.iter().filter(|item| of_configuration(item).is_none() && needs_no_other(item)).cloned().collect();
    part.configuration = configuration;
    Ok(part)
}

/// What stands in the way of restoring these parts into clones, each thing in words; empty when a restore test of them can run.
pub fn unbuilt_restores(plan: &Plan, parts: &[PartReference]) -> Vec<String> {
    if parts.is_empty() {
        return vec!["a part that can be restored: the plan's calendar has no restore test of one; name it with `parts`".to_owned()];
    }
    parts.iter().filter_map(|of| Some(format!("{}: {}", of.0, of_restore(plan, of)?))).collect()
}

fn of_restore(plan: &Plan, of: &PartReference) -> Option<String> {
    let built = |what: &str| Some(what.to_owned());
    let Some((section, name)) = of.parts() else { return built("a part such as `databases.main`") };
    let database = match (section, plan.restorable(of)) {
        ("databases", _) => match plan.database(name) {
            Some(database) => database,
            None => return built("a database that the plan has"),
        },
        ("backups", Some(dump)) => dump.database,
        ("caches", _) => return built("restoring a cache into a clone, which is not built yet"),
        ("backups", None) if plan.backup(name).is_some_and(|backup| !backup.method.is_made_by_muster()) => {
            return built("`restoreTest.dump` of its database in the plan: what is no snapshot takes a machine with its tools, and nothing says which");
        }
        _ => return built("a database, or a dump of one: nothing else can be restored into a clone"),
    };
    match database.kind {
        DatabaseKind::AuroraCluster => return built("restoring an Aurora cluster into a clone, which is not built yet"),
        DatabaseKind::External => return built("restoring what is recovered by tools of its own, which is not built yet"),
        DatabaseKind::RdsInstance => {}
    }
    if database.engine != Engine::Postgres && !database.checks.is_empty() {
        return built("data checks of another engine than PostgreSQL, which are not built yet");
    }
    if database.restore_test.is_none() {
        return built("`restoreTest` in the plan: nothing says where its clone goes");
    }
    let made_of = format!("databases.{}", database.name);
    if !plan.backups_of(&made_of).any(|backup| backup.method == BackupMethod::DatabaseSnapshot && backup.copy.is_some()) {
        return Some(format!("a snapshot that is copied to {}", plan.regions.standby));
    }
    let dump = plan.restorable(of)?.dump?;
    if database.engine != Engine::Postgres {
        return built("loading a dump of another engine than PostgreSQL, which is not built yet");
    }
    let backup = plan.backup(dump.backup.as_str());
    if backup.is_none_or(|backup| backup.every.is_none()) {
        return built("a schedule of the dump: nothing else says which instant its data is of");
    }
    backup.and_then(Backup::objects_in_standby).is_none().then(|| format!("a bucket in {} that the dump is copied to", plan.regions.standby))
}

fn of_database(database: &Database) -> Option<&'static str> {
    match (&database.kind, &database.standby) {
        (DatabaseKind::RdsInstance, DatabaseStandby::Replica { .. }) => None,
        (_, DatabaseStandby::LatestSnapshot { .. }) => Some("restoring the latest snapshot"),
        (_, DatabaseStandby::PointInTime { .. }) => Some("restoring to a point in time"),
        (_, DatabaseStandby::GlobalCluster { .. }) => Some("failing an Aurora global database over"),
        (DatabaseKind::AuroraCluster, _) => Some("promoting an Aurora cluster"),
        (_, DatabaseStandby::External { .. }) | (DatabaseKind::External, _) => Some("verifying what is recovered by other means"),
    }
}

fn reads_lag_in_database(database: &Database) -> bool {
    database.lag.as_ref().is_some_and(|lag| lag.measured == LagSource::Database)
}

fn of_cache(cache: &Cache) -> Option<&'static str> {
    match (&cache.kind, &cache.standby) {
        (CacheKind::ReplicationGroup, CacheStandby::GlobalDatastore { .. } | CacheStandby::Independent { .. }) => {
            cache.checks.iter().any(|check| matches!(check, CacheCheck::KeyCount { .. })).then_some("counting the keys of a cache")
        }
        (_, CacheStandby::Snapshot { .. }) => Some("restoring a cache from a snapshot"),
        _ => Some("verifying what is recovered by other means"),
    }
}

fn of_compute(compute: &Compute) -> Option<&'static str> {
    match compute {
        Compute::AutoScalingGroup(_) => None,
        Compute::EksNodeGroup(_) => Some("scaling EKS node groups"),
        Compute::KubernetesDeployment(_) => Some("scaling Kubernetes deployments"),
        Compute::Background(background) => match background.workload {
            BackgroundWorkload::AutoScalingGroup { .. } => None,
            BackgroundWorkload::KubernetesDeployment { .. } => Some("moving Kubernetes deployments"),
            BackgroundWorkload::ScheduleGroup { .. } | BackgroundWorkload::EventRule { .. } => Some("moving schedules"),
        },
    }
}

fn of_configuration(item: &Configuration) -> Option<&'static str> {
    match item {
        Configuration::SsmParameter { .. } | Configuration::LaunchTemplate { .. } => None,
        Configuration::Secret { .. } => Some("writing secrets"),
        Configuration::KubernetesEnv { .. } => Some("setting environment variables of deployments"),
        Configuration::KubernetesRestart { .. } => Some("restarting deployments"),
    }
}

fn of_traffic(record: &TrafficRecord) -> Option<&'static str> {
    matches!(record.method, TrafficMethod::RoutingControl { .. }).then_some("routing controls")
}

fn of_check(check: &Check) -> Option<&'static str> {
    match check {
        Check::Logs(_) => Some("reading logs"),
        Check::Http(HttpCheck { contains: Some(_), .. }) => Some("looking into an answer's text"),
        _ => None,
    }
}

fn is_in_built_flow(step: &CustomStep) -> bool {
    step.flow.as_str() == FLOWS[0]
}

/// AWS Health is not looked at yet: the other sources must be enough to confirm an outage without it.
fn of_sources(plan: &Plan) -> Option<String> {
    let confirm = &plan.triggers.confirm;
    let built: Vec<&Source> = confirm.of.iter().filter(|source| !matches!(source, Source::AwsHealth { .. })).collect();
    let outside = built.iter().any(|source| source.vantage().is_some_and(|region| region != RegionRole::Standby));
    let enough = built.len() >= confirm.at_least as usize && outside;
    (!enough).then(|| "triggers.confirm: AWS Health as a source, without which it cannot be confirmed".to_owned())
}
