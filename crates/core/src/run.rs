//! A run: one execution of one flow for one service, opened once and closed once.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Duration, Timestamp};

/// The identity of a run: the service, the flow and the instant it was opened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Arc<str>);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The plan that a run was opened with, by object version and digest: what was checked is what runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanPin {
    /// The object's key in the plan bucket.
    pub key: Arc<str>,
    /// The object's version.
    pub version: Arc<str>,
    /// SHA-256 of the canonical JSON, in hexadecimal.
    pub sha256: Arc<str>,
}

/// Which of a service's locks a run holds. A backup never blocks a failover, and a restore test, which takes hours, blocks neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Lane {
    /// Backups.
    Protect,
    /// Restore tests: backups are proven.
    Prove,
    /// Failovers, restores, drills.
    Recover,
}

/// A risk that a named person accepted for this run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Override {
    /// Promote although the replica's lag is above the plan's maximum, or unknown.
    Lag {
        /// The database's name in the plan.
        database: String,
        /// The most data, as time, that the person accepted to lose; absent accepts an unknown lag too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        up_to: Option<Duration>,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Promote although the old primary is not proven to refuse writes.
    Unfenced {
        /// The database's name in the plan.
        database: String,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Go on although a check of the standby fails.
    Check {
        /// The phase whose check is passed over.
        phase: String,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

/// What travels with every Task of a run. Functions load the pinned plan themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// The run's identity.
    pub id: RunId,
    /// The service of the plan.
    pub service: Arc<str>,
    /// The flow, such as `region-failover`.
    pub flow: Arc<str>,
    /// Strictly increasing per service and lane; a call with an older one is not let through.
    pub epoch: u64,
    /// The lane whose lock the run holds.
    pub lane: Lane,
    /// When the run was opened.
    pub opened_at: Timestamp,
    /// After this instant every phase holds for a person instead of going on.
    pub deadline: Timestamp,
    /// The plan, pinned.
    pub plan: PlanPin,
    /// Risks that people accepted for this run.
    #[serde(default)]
    pub overrides: Vec<Override>,
    /// Time-outs of the states that wait for people, from the plan.
    pub waits: Waits,
}

/// How long the state machine waits for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Waits {
    /// For the decision to fail over: the veto window, or the time in which an approval must come.
    pub decision_seconds: u64,
    /// For an answer to a hold.
    pub hold_seconds: u64,
}
