//! `muster check`: everything that is wrong with a plan; and of a good one, what it protects and what it does when things go wrong.

use std::path::PathBuf;

use anstyle::Style;
use muster_actions::unbuilt;
use muster_core::Duration;
use muster_plan::{
    BackgroundWorkload, Cache, CacheStandby, Compute, Database, DatabaseStandby, Decision, Objectives, Outcome, Plan, Queue, QueueKind, TrafficMethod,
    TrafficRecord, consequences, estimate, total,
};

use crate::ending::{Ending, Stop};
use crate::output::{self, BAD, GOOD, PLAIN, QUIET, STRONG, WARN, paint};
use crate::plan_file::PlanFile;
use crate::table::{Cell, table};
use crate::words::{count, span};

/// Checks every file, and goes on after a wrong one.
pub(crate) fn run(files: &[PathBuf]) -> Result<Ending, Stop> {
    let mut ending = Ending::Good;
    for (index, path) in files.iter().enumerate() {
        let file = match PlanFile::read(path) {
            Ok(file) => file,
            Err(complaint) => {
                output::note(&complaint.to_string())?;
                ending = Ending::Wrong;
                continue;
            }
        };
        file.show_problems()?;
        match &file.plan {
            None => ending = Ending::Wrong,
            Some(plan) => {
                let gap = if index == 0 { "" } else { "\n" };
                output::result(&format!("{gap}{}", summary(&file, plan)))?;
            }
        }
    }
    Ok(ending)
}

fn summary(file: &PlanFile, plan: &Plan) -> String {
    let warnings = match file.warnings() {
        0 => String::new(),
        warnings => format!(", {}", paint(WARN, &count(warnings, "warning"))),
    };
    let mut text = format!("{}: {}{warnings}\n\n", paint(STRONG, &file.name), paint(GOOD, "sound"));
    text.push_str(&table(2, &overview(plan)));
    text.push_str(&section("What it protects", &table(2, &parts(plan))));
    text.push_str(&section("What a region failover does when", &table(2, &faults(plan))));
    let missing = unbuilt(plan);
    if missing.is_empty() {
        text.push_str(&section("Rehearse it", &format!("  muster rehearse {}\n", crate::rehearse::quoted(&file.name))));
    } else {
        let rows: Vec<Vec<Cell>> = missing.into_iter().map(|what| vec![(BAD, "–".to_owned()), (PLAIN, what)]).collect();
        text.push_str(&section("Needed, and not built yet: its region failover cannot run", &table(2, &rows)));
    }
    text
}

fn section(title: &str, body: &str) -> String {
    format!("\n{}\n{body}", paint(STRONG, title))
}

fn overview(plan: &Plan) -> Vec<Vec<Cell>> {
    let row = |name: &str, text: String| vec![(QUIET, name.to_owned()), (PLAIN, text)];
    let regions = &plan.regions;
    let on_paper = total(&estimate(plan));
    let decision = match &plan.triggers.decision {
        Decision::Automatic => "automatic: nobody is asked".to_owned(),
        Decision::Veto { window } => format!("goes ahead unless somebody says no within {window}"),
        Decision::Approval { by, within } => format!("only when {by} says yes within {within}"),
    };
    let confirm = &plan.triggers.confirm;
    vec![
        row("service", plan.service.to_string()),
        row("regions", format!("{} → {}, watched from {} too", regions.primary, regions.standby, regions.witness)),
        row("objectives", format!("RTO {}, RPO {}; on paper a region failover takes {}", plan.objectives.rto, plan.objectives.rpo, span(on_paper))),
        row("confirmed", format!("by {} of {} sources, for {}", confirm.at_least, confirm.of.len(), confirm.held_for)),
        row("decision", decision),
    ]
}

/// A part of the plan: its name, its promise, and how it is recovered.
fn parts(plan: &Plan) -> Vec<Vec<Cell>> {
    let row = |name: String, promise: String, how: String| -> Vec<Cell> { vec![(PLAIN, name), (QUIET, promise), (PLAIN, how)] };
    let mut rows = vec![["PART", "RTO / RPO", "HOW"].map(|title| (QUIET, title.to_owned())).to_vec()];
    for database in &plan.databases {
        rows.push(row(format!("databases.{}", database.name), promise(Some(&database.objectives)), of_database(database)));
    }
    for cache in &plan.caches {
        rows.push(row(format!("caches.{}", cache.name), promise(Some(&cache.objectives)), of_cache(cache)));
    }
    for compute in &plan.compute {
        rows.push(row(format!("compute.{}", compute.name()), promise(compute.objectives()), of_compute(compute)));
    }
    for queue in &plan.queues {
        rows.push(row(format!("queues.{}", queue.name), promise(queue.objectives.as_ref()), of_queue(queue)));
    }
    for record in &plan.traffic {
        rows.push(row("traffic".to_owned(), "–".to_owned(), of_traffic(record)));
    }
    rows
}

fn promise(objectives: Option<&Objectives>) -> String {
    objectives.map_or_else(|| "–".to_owned(), |objectives| format!("{} / {}", objectives.rto, objectives.rpo))
}

fn of_database(database: &Database) -> String {
    let at_most = |age: Duration| format!("at most {age} old");
    let first = match &database.standby {
        DatabaseStandby::Replica { id, .. } => format!("its replica {id} is promoted"),
        DatabaseStandby::LatestSnapshot { max_age, target } => format!("its latest snapshot, {}, is restored into {}", at_most(*max_age), target.id),
        DatabaseStandby::PointInTime { max_age, target } => format!("replicated backups, {}, are restored into {}", at_most(*max_age), target.id),
        DatabaseStandby::GlobalCluster { global_id, cluster } => format!("the global database {global_id} fails over to {cluster}"),
        DatabaseStandby::External { how, .. } => how.clone(),
    };
    match database.fallback.len() {
        0 => first,
        fallbacks => format!("{first}; {} behind it", count(fallbacks as u64, "fallback")),
    }
}

fn of_cache(cache: &Cache) -> String {
    match &cache.standby {
        CacheStandby::GlobalDatastore { global_id, id } => format!("the global datastore {global_id} fails over to {id}"),
        CacheStandby::Snapshot { max_age, target, .. } => format!("an exported snapshot, at most {max_age} old, is restored into {}", target.id),
        CacheStandby::Independent { id } => format!("{id} stands by, shares no data, and is warmed"),
        CacheStandby::External { how } => how.clone(),
    }
}

fn of_compute(compute: &Compute) -> String {
    match compute {
        Compute::AutoScalingGroup(_) => "the standby's Auto Scaling group grows".to_owned(),
        Compute::EksNodeGroup(_) => "the standby's EKS node group grows".to_owned(),
        Compute::KubernetesDeployment(_) => "the standby's Kubernetes deployment grows".to_owned(),
        Compute::Background(background) => {
            let what = match &background.workload {
                BackgroundWorkload::AutoScalingGroup { .. } => "an Auto Scaling group",
                BackgroundWorkload::KubernetesDeployment { .. } => "a Kubernetes deployment",
                BackgroundWorkload::ScheduleGroup { .. } => "a group of schedules",
                BackgroundWorkload::EventRule { .. } => "an EventBridge rule",
            };
            format!("background work: {what}, stopped here and started there")
        }
    }
}

fn of_queue(queue: &Queue) -> String {
    let kind = match queue.kind {
        QueueKind::Sqs => "SQS",
        QueueKind::Cache => "kept in a cache, recovered with it",
        QueueKind::External => "recovered by other means",
    };
    queue.strategy.clone().unwrap_or_else(|| kind.to_owned())
}

fn of_traffic(record: &TrafficRecord) -> String {
    let how = match &record.method {
        TrafficMethod::TakeoverMetric { .. } => "follows the takeover metric",
        TrafficMethod::RoutingControl { .. } => "follows routing controls",
        TrafficMethod::UpsertAlias { .. } => "is rewritten in Route 53",
        TrafficMethod::AutomaticFailover { .. } => "fails over by itself",
    };
    format!("{} {how}; TTL {}", record.record, record.ttl)
}

fn faults(plan: &Plan) -> Vec<Vec<Cell>> {
    let style = |outcome: Outcome| -> Style {
        match outcome {
            Outcome::GoesOn => GOOD,
            Outcome::Holds => WARN,
            Outcome::Ends => PLAIN,
        }
    };
    consequences(plan)
        .into_iter()
        .map(|consequence| {
            let name = consequence.part.split_once('.').map_or("", |(_, name)| name);
            let about = if name.is_empty() { consequence.why } else { format!("{name}: {}", consequence.why) };
            vec![(PLAIN, consequence.fault.to_string()), (style(consequence.outcome), consequence.outcome.to_string()), (PLAIN, about)]
        })
        .collect()
}
