//! One file per action: observe, decide, act. Knows ports and the plan, not AWS.
//!
//! [`dispatch`] runs any of them by its function's name; a Lambda links only its own.

mod acceptance;
mod answer_question;
mod archives;
mod backups;
mod batch;
mod budget;
mod cache_checks;
mod clones;
mod close_run;
mod confirm_outage;
mod copy_backup;
mod destroy_clone;
mod failover_cache;
mod fence_database;
mod fence_returned;
mod flip_dns;
mod hold;
mod janitor;
mod lag;
mod listed;
mod load_dump;
mod notes;
mod notify;
mod open_run;
mod outage;
mod preflight;
mod probe;
mod promote_replica;
mod prune_backups;
mod question;
mod request_decision;
mod restore_clone;
mod round;
mod scale_compute;
mod set_kill_switch;
mod stand_down;
mod superseded;
mod survey;
mod sweep_clones;
mod sweep_decisions;
mod take_backup;
mod tell;
mod unbuilt;
mod update_configuration;
mod verify_backups;
mod verify_clone;
mod verify_data;
mod verify_health;

use std::sync::Arc;

use muster_core::ports::{
    Alarms, Buckets, Builds, Caches, Channels, Clones, Control, Databases, Decisions, Dns, Executions, GlobalCaches, Http, Images, Keys, LaunchTemplates,
    Ledger, MetricWriter, Metrics, Notes, Parameters, Plans, Quotas, Recoverability, Reports, Resolver, RunRegistry, Samples, ScalingGroups, Snapshots, Sql,
};
use muster_core::{ActionError, Clock, Failure, Journaled, Progress, run_action as invoke, run_alone as invoke_alone};
use muster_plan::Plan;
use muster_report::Report;
use serde::Deserializer;

pub use answer_question::{ANSWER_QUESTION, answer_question};
pub use backups::{BACKUP_TAG, LEGAL_HOLD_TAG, SERVICE_TAG, SLOT_TAG, USED_BY_TAG, source_of};
pub use clones::{ASKED_AT_TAG, PART_TAG, SNAPSHOT_TAG, TAKEN_AT_TAG};
pub use close_run::{CLOSE_RUN, close_run};
pub use confirm_outage::{CONFIRM_OUTAGE, confirm_outage};
pub use copy_backup::{COPY_BACKUP, copy_backup};
pub use destroy_clone::{DESTROY_CLONE, destroy_clone};
pub use failover_cache::{FAILOVER_CACHE, failover_cache};
pub use fence_database::{FENCE_DATABASE, fence_database};
pub use fence_returned::{FENCE_RETURNED, fence_returned};
pub use flip_dns::{FLIP_DNS, flip_dns};
pub use hold::{HOLD, hold};
pub use janitor::{JANITOR, janitor};
pub use lag::samples_of_lag;
pub use load_dump::{DATABASE_VARIABLE, DUMP_VARIABLE, LOAD_DUMP, RUN_VARIABLE, load_dump};
pub use notify::{NOTIFY, notify};
pub use open_run::{LONGEST_FUNCTION, OPEN_RUN, open_run};
pub use preflight::{PREFLIGHT, preflight};
pub use probe::{NAMESPACE, PRIMARY_HEALTHY, PROBE, alarm_event, probe};
pub use promote_replica::{PROMOTE_REPLICA, promote_replica};
pub use prune_backups::{PRUNE_BACKUPS, prune_backups};
pub use request_decision::{FAILOVER, REQUEST_DECISION, request_decision};
pub use restore_clone::{RESTORE_CLONE, restore_clone};
pub use scale_compute::{SCALE_COMPUTE, scale_compute};
pub use set_kill_switch::{SET_KILL_SWITCH, set_kill_switch};
pub use stand_down::{STAND_DOWN, stand_down};
pub use sweep_clones::{SWEEP_CLONES, sweep_clones};
pub use sweep_decisions::{SWEEP_DECISIONS, sweep_decisions};
pub use take_backup::{TAKE_BACKUP, take_backup};
pub use unbuilt::{FLOWS, built_part, unbuilt, unbuilt_restores};
pub use update_configuration::{UPDATE_CONFIGURATION, update_configuration};
pub use verify_backups::{BACKUP_EXPOSURE, BACKUP_PROBLEMS, EVERYTHING, VERIFY_BACKUPS, verify_backups};
pub use verify_clone::{VERIFY_CLONE, verify_clone};
pub use verify_data::{VERIFY_DATA, verify_data};
pub use verify_health::{VERIFY_HEALTH, verify_health};

/// Everything that any action uses: what the rehearsal's world offers. A Lambda's world implements only its own part.
pub trait World:
    Clock
    + Control
    + RunRegistry
    + Decisions
    + Samples
    + Notes
    + Ledger
    + Plans<Plan>
    + Reports<Report>
    + Executions
    + Channels
    + Databases
    + Sql
    + GlobalCaches
    + Caches
    + Clones
    + Snapshots
    + Recoverability
    + Buckets
    + Builds
    + Keys
    + ScalingGroups
    + LaunchTemplates
    + Parameters
    + Quotas
    + Images
    + Metrics
    + MetricWriter
    + Alarms
    + Http
    + Resolver
    + Dns
    + Journaled
{
}

/// Runs the action that a function is named after. It calls what the Lambda of that name calls.
///
/// # Errors
/// As the action; `Muster.Invalid` for a function that there is none of.
pub async fn dispatch<'e, W: World>(
    function: &str,
    invocation: impl Into<Arc<str>>,
    event: impl Deserializer<'e, Error = serde_json::Error>,
    world: &W,
) -> Result<Progress, Failure> {
    // Boxed one by one: the future of this function would be as large as that of the largest action, at every call.
    match function {
        "answer-question" => Box::pin(invoke_alone(ANSWER_QUESTION, invocation, event, world, answer_question)).await,
        "close-run" => Box::pin(invoke(CLOSE_RUN, invocation, event, world, close_run)).await,
        "confirm-outage" => Box::pin(invoke(CONFIRM_OUTAGE, invocation, event, world, confirm_outage)).await,
        "copy-backup" => Box::pin(invoke(COPY_BACKUP, invocation, event, world, copy_backup)).await,
        "destroy-clone" => Box::pin(invoke(DESTROY_CLONE, invocation, event, world, destroy_clone)).await,
        "failover-cache" => Box::pin(invoke(FAILOVER_CACHE, invocation, event, world, failover_cache)).await,
        "fence-database" => Box::pin(invoke(FENCE_DATABASE, invocation, event, world, fence_database)).await,
        "fence-returned" => Box::pin(invoke_alone(FENCE_RETURNED, invocation, event, world, fence_returned)).await,
        "flip-dns" => Box::pin(invoke(FLIP_DNS, invocation, event, world, flip_dns)).await,
        "hold" => Box::pin(invoke(HOLD, invocation, event, world, hold)).await,
        "janitor" => Box::pin(invoke_alone(JANITOR, invocation, event, world, janitor)).await,
        "load-dump" => Box::pin(invoke(LOAD_DUMP, invocation, event, world, load_dump)).await,
        "notify" => Box::pin(invoke(NOTIFY, invocation, event, world, notify)).await,
        "open-run" => Box::pin(invoke_alone(OPEN_RUN, invocation, event, world, open_run)).await,
        "preflight" => Box::pin(invoke(PREFLIGHT, invocation, event, world, preflight)).await,
        "probe" => Box::pin(invoke_alone(PROBE, invocation, event, world, probe)).await,
        "promote-replica" => Box::pin(invoke(PROMOTE_REPLICA, invocation, event, world, promote_replica)).await,
        "prune-backups" => Box::pin(invoke(PRUNE_BACKUPS, invocation, event, world, prune_backups)).await,
        "request-decision" => Box::pin(invoke(REQUEST_DECISION, invocation, event, world, request_decision)).await,
        "restore-clone" => Box::pin(invoke(RESTORE_CLONE, invocation, event, world, restore_clone)).await,
        "scale-compute" => Box::pin(invoke(SCALE_COMPUTE, invocation, event, world, scale_compute)).await,
        "set-kill-switch" => Box::pin(invoke_alone(SET_KILL_SWITCH, invocation, event, world, set_kill_switch)).await,
        "stand-down" => Box::pin(invoke(STAND_DOWN, invocation, event, world, stand_down)).await,
        "sweep-clones" => Box::pin(invoke_alone(SWEEP_CLONES, invocation, event, world, sweep_clones)).await,
        "sweep-decisions" => Box::pin(invoke_alone(SWEEP_DECISIONS, invocation, event, world, sweep_decisions)).await,
        "take-backup" => Box::pin(invoke(TAKE_BACKUP, invocation, event, world, take_backup)).await,
        "update-configuration" => Box::pin(invoke(UPDATE_CONFIGURATION, invocation, event, world, update_configuration)).await,
        "verify-backups" => Box::pin(invoke(VERIFY_BACKUPS, invocation, event, world, verify_backups)).await,
        "verify-clone" => Box::pin(invoke(VERIFY_CLONE, invocation, event, world, verify_clone)).await,
        "verify-data" => Box::pin(invoke(VERIFY_DATA, invocation, event, world, verify_data)).await,
        "verify-health" => Box::pin(invoke(VERIFY_HEALTH, invocation, event, world, verify_health)).await,
        other => Err(ActionError::Invalid(format!("there is no function `{other}`")).into()),
    }
}
