//! The plan file: one service, what it consists of, and how it is recovered.
//!
//! [`Plan`] and its types are what every other crate works with. They are read from canonical JSON ([`Plan::from_canonical_json`]).
//! The feature `authoring` adds what is needed for plans that people write: YAML, errors that point at the line, checks of the plan as a
//! whole, and the JSON Schema that editors use.

mod aftercare;
mod backups;
mod caches;
mod canonical;
mod checks;
mod compute;
mod configuration;
mod consequences;
mod custom;
mod databases;
mod drills;
mod estimate;
mod name;
mod objectives;
mod people;
mod plan;
mod queues;
mod restore_test;
mod schedule;
mod template;
mod traffic;
mod triggers;
mod units;

pub use aftercare::{Document, Failback, FailbackDatabase, FollowUp, InventoryItem, Load, Prerequisite};
pub use backups::{Backup, BackupCopy, BackupMethod, LegalHold, Occasion, Pruning, Retention, StorageClass, Vault};
pub use caches::{Cache, CacheCheck, CacheKind, CacheStandby, CacheTarget, WarmUp};
pub use canonical::NotAPlan;
pub use checks::{Check, CheckStage, HttpCheck, LogCheck, MetricCheck, Scalar, SqlCheck, SqlKind, Via};
pub use compute::{
    AutoScalingGroup, Autoscaler, Background, BackgroundWorkload, ClusterReplicas, Compute, ComputeRole, DisruptionBudget, EksNodeGroup, KubernetesDeployment,
    NodeGroup, PrimaryGroup, StandbyGroup, SystemicFailure,
};
pub use configuration::Configuration;
pub use consequences::{Consequence, Fault, Outcome, consequences};
pub use custom::{CustomRun, CustomStep, Flow, Phase, Placement};
pub use databases::{
    Database, DatabaseKind, DatabaseStandby, Engine, Fence, InRegionRecovery, LagGate, LagSource, RestorePolicy, RestoreTarget, SecretReference,
    WhenLagUnknown, WhenUnreachable,
};
pub use drills::{Announcement, Drill, DrillFinish, DrillTarget, Participant, PassCriteria, PastResult, PreCheck, SimulatedFailure};
pub use estimate::{EstimatedPhase, estimate, total};
pub use name::{InvalidName, Name};
pub use objectives::{Component, MeasurementWindow, Objectives, OutageScope, PartReference, ServiceLevel, Tier};
pub use people::{Audience, Channel, ChannelKind, Delivery, Escalation, Event, Hold, HoldDefault, Milestone, MilestoneEvent, People, Role, Rung, StatusPage};
pub use plan::{Plan, Regions};
pub use queues::{Queue, QueueKind, Replay};
pub use restore_test::{Comparison, DumpTest, Restorable, RestoreTest, TAKEN_AT};
pub use schedule::{Days, InvalidSchedule, Schedule};
pub use template::{Reference, Template, Unresolved};
pub use traffic::{AliasTarget, Endpoint, RecordType, RegionRole, RoutingEndpoint, TrafficMethod, TrafficRecord};
pub use triggers::{Confirm, Decision, HoldDown, PhaseBudget, Scenario, Source, Triggers, Vantage};
pub use units::{Bytes, InvalidBytes, InvalidPercent, Percent, Quantity};

#[cfg(feature = "authoring")]
mod authoring;
#[cfg(feature = "authoring")]
pub use authoring::{Diagnostic, Loaded, MAX_FILE_BYTES, Severity, load, render, schema};
