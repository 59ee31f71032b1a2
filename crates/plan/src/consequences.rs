//! What a plan does about each fault: goes on, holds for a person, or ends. `muster check` shows it, so that nobody learns it at night.

use std::fmt;

use crate::caches::CacheStandby;
use crate::databases::{Database, DatabaseStandby, Fence, WhenLagUnknown, WhenUnreachable};
use crate::people::HoldDefault;
use crate::plan::Plan;
use crate::traffic::TrafficMethod;
use crate::triggers::Decision;

/// Something that can go wrong during a region failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The primary cannot be reached: it can be neither fenced nor proven fenced.
    PrimaryDark,
    /// Replication lag cannot be read.
    LagUnknown,
    /// Replication lag is above the plan's limit.
    LagAboveLimit,
    /// The newest backup is older than the plan accepts.
    BackupStale,
    /// Route 53's control plane, in us-east-1, does not answer.
    RecordsCannotChange,
    /// Nobody answers the veto or the approval.
    NobodyDecides,
    /// No channel accepts a message.
    NobodyCanHear,
    /// The outage ends while the run waits for a decision.
    OutageClears,
    /// A run holds, and nobody answers.
    HoldUnanswered,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Fault::PrimaryDark => "primary dark",
            Fault::LagUnknown => "lag unknown",
            Fault::LagAboveLimit => "lag above limit",
            Fault::BackupStale => "backup stale",
            Fault::RecordsCannotChange => "Route 53 control plane down",
            Fault::NobodyDecides => "nobody decides",
            Fault::NobodyCanHear => "no channel works",
            Fault::OutageClears => "outage clears",
            Fault::HoldUnanswered => "hold unanswered",
        })
    }
}

/// What a run does about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It goes on by itself.
    GoesOn,
    /// It holds until a person answers.
    Holds,
    /// It ends.
    Ends,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::GoesOn => "goes on",
            Outcome::Holds => "holds",
            Outcome::Ends => "ends",
        })
    }
}

/// What a plan does about a fault of one of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// The fault.
    pub fault: Fault,
    /// The part, such as `databases.portal-db`; `run` where it is the run as a whole.
    pub part: String,
    /// What the run does.
    pub outcome: Outcome,
    /// Why, in one sentence.
    pub why: String,
}

/// What a region failover of this plan does about each fault, in the order of the flow.
pub fn consequences(plan: &Plan) -> Vec<Consequence> {
    let mut list = decisions(plan);
    for database in plan.recovered_databases() {
        list.extend(fencing(database));
        list.extend(freshness(database));
    }
    for cache in &plan.caches {
        if let CacheStandby::Snapshot { max_age, .. } = &cache.standby {
            let why = format!("an exported snapshot older than {max_age} is refused");
            list.push(Consequence { fault: Fault::BackupStale, part: format!("caches.{}", cache.name), outcome: Outcome::Holds, why });
        }
    }
    for record in &plan.traffic {
        let (outcome, why) = match &record.method {
            TrafficMethod::UpsertAlias { .. } => (Outcome::Holds, "the record has to be rewritten, and the call is tried again until it works".to_owned()),
            TrafficMethod::TakeoverMetric { .. } => (Outcome::GoesOn, "the name follows a metric of the standby region".to_owned()),
            TrafficMethod::RoutingControl { .. } => (Outcome::GoesOn, "the switches are set at any of five regional endpoints".to_owned()),
            TrafficMethod::AutomaticFailover { .. } => (Outcome::GoesOn, "Route 53's data plane moves the name by itself".to_owned()),
        };
        list.push(Consequence { fault: Fault::RecordsCannotChange, part: format!("traffic.{}", record.record), outcome, why });
    }
    list.push(hold(plan));
    list
}

fn decisions(plan: &Plan) -> Vec<Consequence> {
    let run = |fault, outcome, why: String| Consequence { fault, part: "run".to_owned(), outcome, why };
    match &plan.triggers.decision {
        Decision::Automatic => Vec::new(),
        Decision::Veto { window } => vec![
            run(Fault::NobodyDecides, Outcome::GoesOn, format!("nobody says no within {window}")),
            run(Fault::NobodyCanHear, Outcome::Holds, "the window opens only once a channel has accepted the message".to_owned()),
            run(Fault::OutageClears, Outcome::Ends, "the outage is confirmed again after the window".to_owned()),
        ],
        Decision::Approval { by, within } => vec![
            run(Fault::NobodyDecides, Outcome::Ends, format!("{by} has {within} to say yes, and nothing was touched yet")),
            run(Fault::NobodyCanHear, Outcome::Ends, "nobody can say yes to what they did not hear".to_owned()),
            run(Fault::OutageClears, Outcome::Ends, "the outage is confirmed again after the approval".to_owned()),
        ],
    }
}

fn fencing(database: &Database) -> Option<Consequence> {
    let Fence::Quarantine { when_unreachable, .. } = database.fence.as_ref()?;
    let (outcome, why) = match when_unreachable {
        WhenUnreachable::Hold => (Outcome::Holds, "it cannot be proven that the old primary takes no writes, and nobody accepted that beforehand".to_owned()),
        WhenUnreachable::Accept { by, reason } => (Outcome::GoesOn, format!("{by} accepted it beforehand: {reason}")),
    };
    Some(Consequence { fault: Fault::PrimaryDark, part: format!("databases.{}", database.name), outcome, why })
}

fn freshness(database: &Database) -> Vec<Consequence> {
    let part = format!("databases.{}", database.name);
    let of = |fault, outcome, why: String| Consequence { fault, part: part.clone(), outcome, why };
    match &database.standby {
        DatabaseStandby::Replica { .. } | DatabaseStandby::GlobalCluster { .. } => {
            let Some(lag) = &database.lag else {
                return vec![of(Fault::LagUnknown, Outcome::Holds, "the plan says nothing about lag".to_owned())];
            };
            let unknown = match &lag.when_unknown {
                WhenLagUnknown::Hold => of(Fault::LagUnknown, Outcome::Holds, "unknown lag is not zero".to_owned()),
                WhenLagUnknown::LastKnown { within, up_to, by, .. } => of(
                    Fault::LagUnknown,
                    Outcome::GoesOn,
                    format!(
                        "{by} accepted it beforehand, if the last sample is at most {within} older than the outage and shows at most {up_to}; else it holds"
                    ),
                ),
            };
            vec![unknown, of(Fault::LagAboveLimit, Outcome::Holds, format!("more than {} would lose more than was accepted", lag.max))]
        }
        DatabaseStandby::LatestSnapshot { max_age, .. } => {
            vec![of(Fault::BackupStale, Outcome::Holds, format!("a snapshot older than {max_age} is refused"))]
        }
        DatabaseStandby::PointInTime { max_age, .. } => {
            vec![of(Fault::BackupStale, Outcome::Holds, format!("backups that end more than {max_age} ago are refused"))]
        }
        DatabaseStandby::External { .. } => Vec::new(),
    }
}

fn hold(plan: &Plan) -> Consequence {
    let hold = &plan.people.hold;
    let (outcome, then) = match hold.otherwise {
        HoldDefault::Abort => (Outcome::Ends, "it aborts and undoes what was done; after the first promotion it tries again until the run's deadline"),
        HoldDefault::Retry => (Outcome::GoesOn, "the phase is tried again, until the run's deadline"),
        HoldDefault::Skip => (
            Outcome::GoesOn,
            "a cache, launch configuration and what follows the flip are left out; everything else aborts, or after the first promotion tries again until the run's deadline",
        ),
    };
    Consequence { fault: Fault::HoldUnanswered, part: "run".to_owned(), outcome, why: format!("after {}, {then}", hold.within) }
}
