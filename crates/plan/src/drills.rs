//! Drills: what is rehearsed for real, when, on what, and when it counts as passed.

use muster_core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::custom::Flow;
use crate::name::Name;
use crate::objectives::PartReference;
use crate::schedule::Schedule;
use crate::units::{DurationOrZeroText, DurationText, Percent};

/// A drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Drill {
    /// Its name.
    pub name: Name,
    /// What it is called in the runbook's calendar.
    pub title: Option<String>,
    /// When it is held, in UTC, such as `first Monday 02:00 UTC`.
    pub every: Schedule,
    /// The flow that is rehearsed.
    pub flow: Flow,
    /// Whether it runs on clones that it makes and removes, or on the real thing.
    pub on: DrillTarget,
    /// The parts that it is about; without them, the whole service.
    #[serde(default)]
    pub parts: Vec<PartReference>,
    /// The failure that it acts out, where a flow answers several.
    pub simulate: Option<SimulatedFailure>,
    /// What it covers, in the runbook's words.
    pub scope: Option<String>,
    /// How long it is planned to take; a drill that takes twice as long is stopped and cleaned up.
    #[schemars(with = "DurationText")]
    pub duration: Duration,
    /// What users notice, in the runbook's words.
    pub impact: Option<String>,
    /// When it counts as passed.
    pub pass: PassCriteria,
    /// What must hold before it begins.
    #[serde(default)]
    pub pre_checks: Vec<PreCheck>,
    /// Who is told beforehand.
    pub announce: Option<Announcement>,
    /// Who takes part, in which role.
    #[serde(default)]
    pub participants: Vec<Participant>,
    /// What happens at its end.
    #[serde(default)]
    pub finish: DrillFinish,
    /// What people do afterwards.
    #[serde(default)]
    pub follow_up: Vec<String>,
}

/// What a drill runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DrillTarget {
    /// Throw-away clones: production is not touched.
    Clone,
    /// The real thing: users may notice.
    Live,
}

/// A failure that a drill acts out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SimulatedFailure {
    /// One worker node is drained.
    NodeLoss,
    /// One Availability Zone is evacuated.
    ZoneLoss,
    /// The primary of a database or cache is failed over.
    PrimaryLoss,
    /// The primary region is treated as lost.
    RegionLoss,
    /// Data is treated as lost: a backup is restored.
    DataLoss,
}

/// When a drill counts as passed. Data checks always have to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PassCriteria {
    /// The flow ended within this time.
    #[schemars(with = "Option<DurationText>")]
    pub within: Option<Duration>,
    /// The share of failed client requests stayed below this during the transition.
    pub error_rate: Option<Percent>,
    /// The measured recovery time was at most this; without it, the objective of what was drilled.
    #[schemars(with = "Option<DurationText>")]
    pub rto: Option<Duration>,
    /// The measured loss was at most this; without it, the objective of what was drilled.
    #[schemars(with = "Option<DurationOrZeroText>")]
    pub rpo: Option<Duration>,
    /// The checks that must pass, by name; without them, all.
    #[serde(default)]
    pub checks: Vec<Name>,
    /// The share of data checks that must pass, such as `100%`.
    pub data_integrity: Option<Percent>,
}

/// What must hold before a drill begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum PreCheck {
    /// A fresh backup is made first.
    FreshBackup {
        /// Its name under `backups`.
        backup: Name,
    },
    /// The preflight of the standby passes.
    StandbyProvisioned,
    /// Every role in `participants` has somebody assigned.
    RolesAssigned,
    /// No alarm of the service stands.
    NoAlarm,
    /// A person confirms it.
    Manual {
        /// What they confirm, such as `Prepare the rollback plan`.
        task: String,
    },
}

/// An announcement before a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Announcement {
    /// How long before it.
    #[schemars(with = "DurationText")]
    pub before: Duration,
    /// The channels, by name.
    pub channels: Vec<Name>,
}

/// Somebody who takes part in a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Participant {
    /// One of `people.roles`.
    pub role: String,
    /// Who plays it this time; asked for when the drill is announced.
    pub person: Option<String>,
}

/// What happens at the end of a drill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DrillFinish {
    /// What the drill made is removed.
    #[default]
    CleanUp,
    /// The service is failed back: only for drills on the real thing.
    FailBack,
}

/// The result of a drill that was held before this plan existed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PastResult {
    /// What was drilled.
    pub test: String,
    /// The day, such as `2026-01-15`.
    #[schemars(regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    pub date: String,
    /// The recovery time that was reached.
    #[schemars(with = "Option<DurationText>")]
    pub rto: Option<Duration>,
    /// The loss that was measured.
    #[schemars(with = "Option<DurationOrZeroText>")]
    pub rpo: Option<Duration>,
    /// Whether it passed.
    pub passed: bool,
}
