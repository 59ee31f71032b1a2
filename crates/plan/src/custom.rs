//! Flows, their phases, and steps of the operator's own.

use std::collections::BTreeMap;

use muster_core::{Duration, Lane};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::template::Template;
use crate::units::DurationText;

/// A flow: one state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// The service moves to the standby region.
    RegionFailover,
    /// The service moves back.
    Failback,
    /// A database is recovered inside its region.
    DatabaseFailover,
    /// A database's data is brought back.
    DatabaseRestore,
    /// A cache is recovered.
    CacheFailover,
    /// Compute is recovered.
    ComputeRecovery,
    /// Snapshots are made, copied, pruned and verified.
    Backup,
    /// The newest backup is restored into a clone, and checked.
    RestoreTest,
    /// Any of these, rehearsed for real.
    Drill,
}

impl Flow {
    /// The flow's name in files and on the command line, such as `region-failover`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Flow::RegionFailover => "region-failover",
            Flow::Failback => "failback",
            Flow::DatabaseFailover => "database-failover",
            Flow::DatabaseRestore => "database-restore",
            Flow::CacheFailover => "cache-failover",
            Flow::ComputeRecovery => "compute-recovery",
            Flow::Backup => "backup",
            Flow::RestoreTest => "restore-test",
            Flow::Drill => "drill",
        }
    }

    /// Which of a service's locks its runs hold: a backup never blocks a failover, and the other way round; nor does a restore test, which takes
    /// hours, keep the next hour's backup waiting.
    pub const fn lane(self) -> Lane {
        match self {
            Flow::Backup => Lane::Protect,
            Flow::RestoreTest => Lane::Prove,
            _ => Lane::Recover,
        }
    }
}

/// A phase of a region failover, in the order in which they run (databases, caches and capacity side by side).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// The outage is confirmed.
    Confirm,
    /// The standby is looked at: lag, quotas, capacity, images, keys.
    Preflight,
    /// It is decided.
    Decision,
    /// The old primary stops taking writes.
    Fence,
    /// Databases are promoted or restored.
    Databases,
    /// Caches are promoted, restored, warmed.
    Caches,
    /// Nodes and instances are started.
    Capacity,
    /// Workloads are told where everything is.
    Configuration,
    /// Workloads are scaled and restarted.
    Workloads,
    /// Data is checked.
    VerifyData,
    /// The standby's health is checked.
    VerifyStandby,
    /// Public names move.
    Traffic,
    /// The service is checked through its public names.
    VerifyPublic,
    /// Error rates and latencies hold.
    Stabilize,
}

/// A step of your own. It is called until it answers `done`, as an action is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CustomStep {
    /// Its name.
    pub name: Name,
    /// What it does, for people.
    pub title: Option<String>,
    /// The flow that it belongs to.
    #[serde(default = "region_failover")]
    pub flow: Flow,
    /// When it runs.
    pub at: Placement,
    /// What is run. It must be in the standby region.
    pub run: CustomRun,
    /// The longest that it may take.
    #[schemars(with = "DurationText")]
    pub within: Duration,
    /// Whether a drill runs it too. Only with `true`: a drill on clones must not touch production.
    #[serde(default)]
    pub in_drills: bool,
}

fn region_failover() -> Flow {
    Flow::RegionFailover
}

/// When a custom step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Placement {
    /// Before a phase begins.
    Before {
        /// The phase.
        phase: Phase,
    },
    /// After a phase has ended.
    After {
        /// The phase.
        phase: Phase,
    },
    /// Only where another part of the plan names it.
    WhenNamed,
}

/// What a custom step runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CustomRun {
    /// A Lambda function that answers with a Progress.
    Lambda {
        /// Its name or ARN, in the standby region.
        function: String,
        /// What it is told, beside the run.
        #[serde(default)]
        input: BTreeMap<String, Template>,
    },
    /// A CodeBuild build: pending while it runs, done when it succeeded.
    CodeBuild {
        /// The project's name, in the standby region.
        project: String,
        /// Environment variables of the build.
        #[serde(default)]
        env: BTreeMap<String, Template>,
    },
    /// A Kubernetes job made from a CronJob's template: pending while it runs, done when it succeeded.
    KubernetesJob {
        /// The EKS cluster in the standby region.
        cluster: String,
        /// The namespace.
        namespace: String,
        /// The CronJob whose template is used; it may be suspended.
        cron_job: String,
    },
}

impl CustomRun {
    /// Its values with references, each with its key in the plan.
    pub fn values(&self) -> Vec<(String, &Template)> {
        match self {
            CustomRun::Lambda { input, .. } => input.iter().map(|(key, value)| (format!("input.{key}"), value)).collect(),
            CustomRun::CodeBuild { env, .. } => env.iter().map(|(key, value)| (format!("env.{key}"), value)).collect(),
            CustomRun::KubernetesJob { .. } => Vec::new(),
        }
    }
}
