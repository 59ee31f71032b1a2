//! The ports: one small trait per capability of the world. Adapters implement them (the twin here, AWS elsewhere);
//! actions are generic over exactly those that they use, so that a binary links only the clients that it needs.
//!
//! Rules for every implementation:
//! - a read of many resources is one method that takes them all, so that it can be batched;
//! - a resource that does not exist is absent from the answer, never an error of the whole batch;
//! - a mutating method first asks [`crate::admit`], and records the call in the [`crate::Journal`] whatever its end;
//! - a method is one attempt: retries belong to the state machine;
//! - calls to Muster's own tables, buckets and executions are not journaled: the ledger is about the service's estate, and
//!   appending to it would otherwise never end.
#![allow(async_fn_in_trait)] // one thread per run or per Lambda: nobody needs Send here

mod builds;
mod caches;
mod clones;
mod compute;
mod databases;
mod objects;
mod people;
mod snapshots;
mod state;
mod traffic;

pub use builds::{BuildOrder, BuildState, BuildStatus, Builds};
pub use caches::{CacheEndpoint, Caches, GlobalCacheState, GlobalCaches, GlobalMember};
pub use clones::{CLONE_PREFIX, CLONE_TAG, CloneOrder, CloneState, CloneStatus, Clones, LEASE_TAG};
pub use compute::{GroupSize, GroupState, Headroom, ImageState, Images, LaunchTemplateState, LaunchTemplates, Parameters, Quotas, ScalingGroups};
pub use databases::{DatabaseRole, DatabaseState, DatabaseStatus, Databases, Sql, SqlTarget, WriteAttempt};
pub use objects::{Buckets, EncryptionKey, Expiry, Keys, LifecycleRule, ObjectPage, StoredObject};
pub use people::{Address, Channels, Message, Recipient};
pub use snapshots::{
    ExportTask, FailedAttempt, Recoverability, Requested, Snapshot, SnapshotCopy, SnapshotPage, SnapshotPlace, SnapshotQuota, SnapshotSource, SnapshotStatus,
    Snapshots, SourceKind,
};
pub use state::{
    Answer, Closing, Control, ControlState, Decisions, ExecutionState, Executions, KillSwitch, LaneState, Ledger, Note, Notes, OpenRun, Plans, Question,
    Reading, Reports, RunRegistry, Sample, Samples, StartedPlan,
};
pub use traffic::{
    ALIASES_A_CALL, AlarmState, Alarms, AliasRecord, Datapoint, Dns, Http, HttpAnswer, METRICS_A_CALL, MetricQuery, MetricValue, MetricWriter, Metrics,
    Resolver, Vantage,
};
