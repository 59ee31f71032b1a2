//! How long a region failover takes on paper. Rough on purpose: it finds promises that cannot be kept; a rehearsal and a drill measure.

use muster_core::Duration;

use crate::caches::{Cache, CacheStandby};
use crate::compute::{Compute, ComputeRole};
use crate::databases::DatabaseStandby;
use crate::plan::Plan;
use crate::triggers::Decision;
use crate::units::Bytes;

/// A phase, and how long it takes on paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EstimatedPhase {
    /// The phase, for people.
    pub what: &'static str,
    /// How long it takes.
    pub takes: Duration,
}

const PREFLIGHT_AND_FENCE: Duration = Duration::from_mins(1);
const CONFIGURATION_AND_WORKLOADS: Duration = Duration::from_mins(5);
const VERIFICATION: Duration = Duration::from_mins(2);

/// The phases of a region failover and how long each takes on paper, with nobody hesitating longer than the plan lets them.
pub fn estimate(plan: &Plan) -> Vec<EstimatedPhase> {
    let decision = match &plan.triggers.decision {
        Decision::Automatic => Duration::ZERO,
        Decision::Veto { window } => *window,
        Decision::Approval { within, .. } => *within,
    };
    let databases = plan.databases.iter().map(|database| standby_takes(plan, &database.standby, database.size));
    let caches = plan.caches.iter().map(cache_takes);
    let capacity = plan.compute.iter().filter(|compute| compute.role() == ComputeRole::Serving).map(capacity_takes);
    let recovery = databases.chain(caches).chain(capacity).max().unwrap_or(Duration::ZERO);
    let client_ttl = plan.traffic.iter().map(|record| record.ttl).max().unwrap_or(Duration::ZERO);
    let traffic = if plan.traffic.is_empty() { Duration::ZERO } else { client_ttl.saturating_add(Duration::from_mins(1)) };
    let phase = |what, takes| EstimatedPhase { what, takes };
    vec![
        phase("confirming the outage", plan.triggers.confirm.held_for),
        phase("the decision", decision),
        phase("preflight and fence", PREFLIGHT_AND_FENCE),
        phase("databases, caches and capacity", recovery),
        phase("configuration and workloads", CONFIGURATION_AND_WORKLOADS),
        phase("verification of the standby", VERIFICATION),
        phase("traffic and the clients' TTL", traffic),
    ]
}

/// How long a database takes to serve from its standby, on paper. AWS says "minutes" of a promotion: five to ten, and a reboot.
pub(crate) fn standby_takes(plan: &Plan, standby: &DatabaseStandby, size: Option<Bytes>) -> Duration {
    match standby {
        DatabaseStandby::Replica { .. } => Duration::from_mins(10),
        DatabaseStandby::GlobalCluster { .. } => Duration::from_mins(2),
        // Restores read at about 200 GiB an hour on top of half an hour for the instance.
        DatabaseStandby::LatestSnapshot { .. } | DatabaseStandby::PointInTime { .. } => {
            let gibibytes = size.map_or(100, Bytes::as_gib_ceil);
            Duration::from_mins(30).saturating_add(Duration::from_secs(18).times(gibibytes))
        }
        DatabaseStandby::External { step, .. } => {
            let step = step.as_ref().and_then(|name| plan.custom_step(name.as_str()));
            step.map_or(Duration::ZERO, |step| step.within)
        }
    }
}

fn cache_takes(cache: &Cache) -> Duration {
    match &cache.standby {
        CacheStandby::GlobalDatastore { .. } => Duration::from_mins(2),
        CacheStandby::Snapshot { .. } => Duration::from_mins(25),
        CacheStandby::Independent { .. } | CacheStandby::External { .. } => Duration::ZERO,
    }
}

fn capacity_takes(compute: &Compute) -> Duration {
    match compute {
        Compute::AutoScalingGroup(_) => Duration::from_mins(8),
        Compute::EksNodeGroup(_) => Duration::from_mins(6),
        Compute::KubernetesDeployment(_) => Duration::from_mins(3),
        Compute::Background(_) => Duration::ZERO,
    }
}

/// The sum of an estimate.
pub fn total(phases: &[EstimatedPhase]) -> Duration {
    phases.iter().fold(Duration::ZERO, |sum, phase| sum.saturating_add(phase.takes))
}
