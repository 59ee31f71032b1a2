//! What the record's lists hold: phases, lines of the timeline, decisions, checks, calls, issues.

use muster_core::{Duration, Plane, Region, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{DurationText, PlaneText, RegionText, TimestampText};

/// A phase of the flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Phase {
    /// The state's name.
    pub name: String,
    /// The action that it calls.
    pub action: String,
    /// When its first invocation began.
    #[schemars(with = "TimestampText")]
    pub from: Timestamp,
    /// When its last invocation ended.
    #[schemars(with = "TimestampText")]
    pub until: Timestamp,
    /// How often it was invoked.
    pub invocations: u32,
    /// How many calls it made.
    pub calls: u32,
    /// How it ended: `done`, `pending`, an error's name, `cutShort`, or `sealed` for the phase that makes the report.
    pub outcome: String,
    /// What it said last.
    pub detail: String,
    /// How often it held for a person.
    pub held: u32,
    /// Whether the restoration hung on it.
    pub critical: bool,
}

/// A line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Line {
    /// When.
    #[schemars(with = "TimestampText")]
    pub at: Timestamp,
    /// Milliseconds since the incident (since the opening when none was seen); negative before it.
    pub offset_millis: i64,
    /// The phase.
    pub phase: String,
    /// What was done or looked at.
    pub action: String,
    /// What came of it.
    pub result: String,
    /// How the line is to be read.
    pub tone: Tone,
    /// How often the same was written by the phase.
    pub times: u32,
}

/// How a line of the timeline is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Tone {
    /// For the record.
    Plain,
    /// A proof or a step that succeeded.
    Good,
    /// To be looked at.
    Bad,
    /// A person, or silence, decided.
    People,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decision {
    /// The question.
    pub question: String,
    /// The answer.
    pub choice: String,
    /// Who; `silence` where the deadline answered, `policy` where the plan did.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it was asked.
    #[schemars(with = "TimestampText")]
    pub asked_at: Timestamp,
    /// When it was answered.
    #[schemars(with = "TimestampText")]
    pub decided_at: Timestamp,
    /// The channels that had accepted the question.
    pub heard_by: Vec<String>,
    /// The phase that wrote it down.
    pub phase: String,
}

/// A risk that a named person accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AcceptedRisk {
    /// The risk, in words.
    pub risk: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Whether the plan carried it; otherwise it was accepted in this run.
    pub standing: bool,
    /// When it was written down.
    #[schemars(with = "TimestampText")]
    pub at: Timestamp,
}

/// Whether an old primary was proven to refuse writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fencing {
    /// The database.
    pub database: String,
    /// Proven, or not.
    pub fenced: bool,
    /// The proof, or what was seen instead.
    pub seen: String,
    /// When; absent when nothing was written about it.
    #[schemars(with = "Option<TimestampText>")]
    pub at: Option<Timestamp>,
}

/// How far behind a standby was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LagFigure {
    /// The database.
    pub database: String,
    /// The lag; absent when unknown.
    #[schemars(with = "Option<DurationText>")]
    pub lag: Option<Duration>,
    /// When it was sampled.
    #[schemars(with = "Option<TimestampText>")]
    pub sampled_at: Option<Timestamp>,
    /// `measured`, `lastKnown` or `unknown`.
    pub basis: String,
}

/// A check that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckMade {
    /// The check.
    pub check: String,
    /// The component, or `service`.
    pub component: String,
    /// The phase.
    pub phase: String,
    /// What was seen.
    pub seen: String,
    /// What was wanted.
    pub wanted: String,
    /// Whether it passed.
    pub passed: bool,
    /// Whether it looks at data.
    pub data: bool,
    /// How often it was made.
    pub times: u32,
    /// When it was last made.
    #[schemars(with = "TimestampText")]
    pub at: Timestamp,
    /// Since when it has given this result.
    #[schemars(with = "TimestampText")]
    pub since: Timestamp,
}

/// Every call of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Calls {
    /// All calls, grouped.
    pub groups: Vec<CallGroup>,
    /// Those that change the estate, each.
    pub mutating: Vec<MutatingCall>,
    /// Those that need the failed region or a global control plane.
    pub dependences: Vec<Dependence>,
}

/// Calls of one operation in one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallGroup {
    /// The operation, as IAM spells it.
    pub operation: String,
    /// The region.
    #[schemars(with = "RegionText")]
    pub region: Region,
    /// Control or data plane.
    #[schemars(with = "PlaneText")]
    pub plane: Plane,
    /// Whether it changes the estate.
    pub mutates: bool,
    /// How many.
    pub count: u64,
    /// Of them, failed.
    pub failures: u64,
    /// The time that all of them took together.
    #[schemars(with = "DurationText")]
    pub latency_total: Duration,
    /// The time that the slowest took.
    #[schemars(with = "DurationText")]
    pub latency_max: Duration,
}

/// A call that changes the estate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MutatingCall {
    /// When it ended; when it was about to begin, where its end was never written.
    #[schemars(with = "TimestampText")]
    pub at: Timestamp,
    /// The phase.
    pub phase: String,
    /// The operation.
    pub operation: String,
    /// The resource.
    pub resource: String,
    /// The region.
    #[schemars(with = "RegionText")]
    pub region: Region,
    /// Control or data plane.
    #[schemars(with = "PlaneText")]
    pub plane: Plane,
    /// `ok`, the fault in words, or `not known: …` where the intent was written and no outcome.
    pub outcome: String,
    /// Whether it is known to have succeeded.
    pub succeeded: bool,
    /// AWS's request id.
    pub request_id: Option<String>,
    /// From the request to the answer; absent where its end was never written.
    #[schemars(with = "Option<DurationText>")]
    pub latency: Option<Duration>,
}

/// A need for something that an outage takes away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dependence {
    /// The operation.
    pub operation: String,
    /// The region.
    #[schemars(with = "RegionText")]
    pub region: Region,
    /// The phase that made the calls.
    pub phase: String,
    /// What it needs.
    pub why: String,
    /// How many calls.
    pub count: u64,
    /// Of them, failed.
    pub failures: u64,
    /// When the first was made.
    #[schemars(with = "TimestampText")]
    pub first_at: Timestamp,
    /// Whether the restoration hung on the phase, and the first call came before it.
    pub on_critical_path: bool,
}

/// A wait for AWS, as Muster saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wait {
    /// The phase.
    pub phase: String,
    /// The component.
    pub component: String,
    /// What AWS was doing.
    pub what: String,
    /// When it was asked to, or first seen at it.
    #[schemars(with = "TimestampText")]
    pub from: Timestamp,
    /// When it was first seen finished.
    #[schemars(with = "TimestampText")]
    pub until: Timestamp,
    /// False where it was never seen finished: then `until` is the phase's end.
    pub finished: bool,
}

/// What one probe saw of one source, in stretches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProbeTrack {
    /// The source.
    pub source: String,
    /// From where it looked.
    #[schemars(with = "RegionText")]
    pub vantage: Region,
    /// Stretches of the same reading.
    pub stretches: Vec<Stretch>,
}

/// Readings of one kind in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stretch {
    /// The first sample.
    #[schemars(with = "TimestampText")]
    pub from: Timestamp,
    /// The last sample.
    #[schemars(with = "TimestampText")]
    pub until: Timestamp,
    /// How many samples.
    pub samples: u32,
    /// `healthy`, `failing`, `blind` or `lag`.
    pub reading: String,
    /// What was seen last.
    pub seen: String,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Issue {
    /// How bad.
    pub severity: Severity,
    /// What it is about: `target`, `hold`, `check`, `fence`, `lag`, `preflight`, `call`, `channel`, `decision`, `ledger`, `backup`.
    pub about: String,
    /// What.
    pub what: String,
}

/// How bad an issue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// A target was missed, data is in danger, or nobody can know.
    High,
    /// It cost time, or a person.
    Medium,
    /// To be known.
    Low,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActionItem {
    /// What.
    pub action: String,
    /// Who, where the plan names one.
    pub owner: Option<String>,
    /// By when; absent until people agree on it.
    pub due: Option<String>,
}
