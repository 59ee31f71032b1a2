//! What is held against a target: the service and the parts of the plan that the run was about.

use muster_core::Duration;
use muster_plan::{CacheStandby, Compute, Flow, LagSource, Objectives, OutageScope, Plan};

use crate::scan::Scan;

/// What of a part's data can be lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// A database or a cache whose contents move: its loss is the lag, read like this.
    Data(LagSource),
    /// Nothing that could be lost; with the reason, in words.
    Nothing(&'static str),
    /// What its parts keep.
    WhatItsPartsKeep,
}

/// A part with targets.
pub(crate) struct Subject<'a> {
    pub(crate) name: &'a str,
    pub(crate) what: String,
    pub(crate) rto: Option<Duration>,
    pub(crate) rpo: Option<Duration>,
    pub(crate) keeps: Keeps,
    /// The parts that recover it; itself, for a part.
    pub(crate) parts: Vec<&'a str>,
}

/// The targets of the service in a flow; absent where the flow recovers nothing.
pub(crate) fn service_targets(plan: &Plan, flow: &str) -> (Option<Duration>, Option<Duration>) {
    if flow == Flow::Backup.as_str() || flow == "announce" {
        return (None, None);
    }
    let scenario = plan.scenarios.iter().find(|scenario| scenario.flow.is_some_and(|answer| answer.as_str() == flow && answer != Flow::RegionFailover));
    let objectives = scenario.and_then(|scenario| scenario.objectives).unwrap_or(plan.objectives);
    (Some(objectives.rto), Some(objectives.rpo))
}

/// The parts that the run was about, in the plan's order. A region failover is about all of them, a narrower flow about those that its ledger names.
pub(crate) fn subjects<'a>(plan: &'a Plan, flow: &str, scan: &Scan<'_>) -> Vec<Subject<'a>> {
    if flow == Flow::Backup.as_str() {
        return Vec::new();
    }
    let wide = flow == Flow::RegionFailover.as_str() || flow == Flow::Failback.as_str();
    // A part that promises itself only for a smaller outage is held against the service's targets in a larger one.
    let scope = if wide { OutageScope::Region } else { OutageScope::Node };
    let held = |objectives: Objectives| objectives.in_outage(scope, plan.objectives);
    let databases = plan.databases.iter().map(|database| Subject {
        name: database.name.as_str(),
        what: "database".to_owned(),
        rto: Some(held(database.objectives).rto),
        rpo: Some(held(database.objectives).rpo),
        keeps: Keeps::Data(database.lag.as_ref().map(|lag| lag.measured).unwrap_or_default()),
        parts: vec![database.name.as_str()],
    });
    let caches = plan.caches.iter().map(|cache| Subject {
        name: cache.name.as_str(),
        what: "cache".to_owned(),
        rto: Some(held(cache.objectives).rto),
        rpo: Some(held(cache.objectives).rpo),
        keeps: match cache.standby {
            CacheStandby::GlobalDatastore { .. } | CacheStandby::Snapshot { .. } => Keeps::Data(LagSource::Metric),
            CacheStandby::Independent { .. } => Keeps::Nothing("it shares no data with the primary's, and is filled afresh"),
            CacheStandby::External { .. } => Keeps::Nothing("it is recovered by other means, which Muster only verifies"),
        },
        parts: vec![cache.name.as_str()],
    });
    let compute = plan.compute.iter().filter_map(|compute| {
        let objectives = held(*compute.objectives()?);
        let what = match compute {
            Compute::Background(_) => "background work",
            _ => "compute",
        };
        let keeps = Keeps::Nothing("it keeps no data of its own");
        let name = compute.name().as_str();
        Some(Subject { name, what: what.to_owned(), rto: Some(objectives.rto), rpo: Some(objectives.rpo), keeps, parts: vec![name] })
    });
    let components = plan.components.iter().map(|component| {
        let own = component.scope >= scope;
        Subject {
            name: component.name.as_str(),
            what: format!("component: {}", component.strategy),
            rto: Some(if own { component.rto } else { plan.objectives.rto }),
            rpo: component.rpo.map(|rpo| if own { rpo } else { plan.objectives.rpo }),
            keeps: Keeps::WhatItsPartsKeep,
            parts: component.recovered_by.iter().filter_map(|part| part.parts()).map(|(_, name)| name).collect(),
        }
    });
    let all = databases.chain(caches).chain(compute).chain(components);
    all.filter(|subject| wide || subject.parts.iter().any(|part| is_named(part, scan))).collect()
}

fn is_named(part: &str, scan: &Scan<'_>) -> bool {
    scan.about(part).next().is_some()
}
