//! The record: everything that a report says, as data. Markdown and HTML add nothing to it but form. What its lists hold is in `detail`.

use muster_core::{Duration, Region, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backups::Backups;
use crate::clients::Clients;
pub use crate::detail::{
    AcceptedRisk, ActionItem, CallGroup, Calls, CheckMade, Decision, Dependence, Fencing, Issue, LagFigure, Line, MutatingCall, Phase, ProbeTrack, Severity,
    Stretch, Tone, Wait,
};
use crate::restores::Restore;
use crate::schema::{DigestText, DurationText, RegionText, TimestampText};

/// The report of one run. Its JSON is the record; spans are texts such as `4m30s`, instants RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// The version of this format.
    pub format: u32,
    /// What ran, and how it ended.
    pub summary: Summary,
    /// RTO and RPO against their targets: the service first, then its components in the plan's order. Empty where the run recovers nothing.
    pub objectives: Vec<Objective>,
    /// Whether the data is whole.
    pub integrity: Integrity,
    /// Where the time went, as Muster measured it; with clients, as they saw it.
    pub breakdown: Breakdown,
    /// The phases of the flow, by when they began.
    pub phases: Vec<Phase>,
    /// What was seen and done, by time.
    pub timeline: Vec<Line>,
    /// Who decided what.
    pub decisions: Vec<Decision>,
    /// Risks that were accepted, beforehand or now.
    pub accepted_risks: Vec<AcceptedRisk>,
    /// Whether each old primary was proven to refuse writes.
    pub fencing: Vec<Fencing>,
    /// How far behind each database's standby was.
    pub lag: Vec<LagFigure>,
    /// The checks that were made; of one that was repeated, the last.
    pub checks: Vec<CheckMade>,
    /// What verifying the backups came to; absent where the run verified none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups: Option<Backups>,
    /// What a restore test restored; absent where the run was none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restores: Vec<Restore>,
    /// What is without protection now.
    pub unprotected: Vec<String>,
    /// Every call to AWS and to the world.
    pub calls: Calls,
    /// What AWS was awaited for, as Muster saw it.
    pub awaited: Vec<Wait>,
    /// When calls about the service's estate were on their way: for the breakdown, and told nowhere.
    #[serde(skip)]
    pub in_flight: Vec<InFlight>,
    /// What the probes saw.
    pub probes: Vec<ProbeTrack>,
    /// What went wrong, worst first.
    pub issues: Vec<Issue>,
    /// What should change in the plan or the runbook.
    pub runbook_updates: Vec<String>,
    /// What is to be done now.
    pub action_items: Vec<ActionItem>,
    /// What simulated clients saw; absent on AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Clients>,
}

/// What ran, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Summary {
    /// The service.
    pub service: String,
    /// The flow, such as `region-failover`.
    pub flow: String,
    /// What the run was for.
    pub occasion: Occasion,
    /// The run's id.
    pub run: String,
    /// The run's epoch.
    pub epoch: u64,
    /// The region that served before.
    #[schemars(with = "RegionText")]
    pub primary: Region,
    /// The region that stands by.
    #[schemars(with = "RegionText")]
    pub standby: Region,
    /// How it ended: `succeeded`, `stoodDown`, `vetoed`, `aborted`, `failed`, `superseded`, `abandoned`.
    pub outcome: String,
    /// How it ended, in a sentence.
    pub sentence: String,
    /// What started it: an alarm's name, or an operator.
    pub started_by: String,
    /// Why.
    pub reason: String,
    /// When the run was opened.
    #[schemars(with = "TimestampText")]
    pub opened_at: Timestamp,
    /// When it was closed.
    #[schemars(with = "TimestampText")]
    pub closed_at: Timestamp,
    /// When the incident began; absent when no outage was seen.
    #[schemars(with = "Option<TimestampText>")]
    pub incident_at: Option<Timestamp>,
    /// When the outage was confirmed, or found to be none; the run's opening where it was neither.
    #[schemars(with = "TimestampText")]
    pub detected_at: Timestamp,
    /// When traffic was first asked to move.
    #[schemars(with = "Option<TimestampText>")]
    pub traffic_moved_at: Option<Timestamp>,
    /// When the service served again; absent when that was not seen within the run.
    #[schemars(with = "Option<TimestampText>")]
    pub restored_at: Option<Timestamp>,
    /// Where the plan is kept.
    pub plan: String,
    /// The plan's version.
    pub plan_version: String,
    /// SHA-256 of the plan's canonical JSON.
    pub plan_sha256: String,
    /// Who took part: the roles of the plan, and who answered.
    pub participants: Vec<String>,
    /// The ledger that all this is made of.
    pub ledger: LedgerProof,
}

/// What a run was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Occasion {
    /// An incident.
    Incident,
    /// A drill on AWS.
    Drill,
    /// A rehearsal on the simulated estate.
    Rehearsal,
}

/// The ledger's seal: one SHA-256 chain per invocation, and one digest over their sorted heads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LedgerProof {
    /// SHA-256 over the heads of all chains, sorted, as 64 hexadecimal digits each, one a line.
    #[schemars(with = "DigestText")]
    pub root: String,
    /// How many entries there are.
    pub entries: u64,
    /// How many chains there are: one per invocation.
    pub chains: u64,
    /// Whether every chain is whole: counted from 0 without a gap, of this run. It cannot know entries that were replaced:
    /// [`crate::Report::seals`] holds a ledger against the root.
    pub intact: bool,
    /// What is wrong with it.
    pub faults: Vec<String>,
    /// Invocations that began and did not end: a crash, a time-out, or entries that were never filled in.
    pub cut_short: Vec<String>,
}

/// Targets against what was reached, of the service or of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objective {
    /// `service`, or the component's name in the plan.
    pub subject: String,
    /// What it is, in words.
    pub what: String,
    /// The parts of the plan that recover it, where it is not one itself.
    pub parts: Vec<String>,
    /// Recovery time.
    pub rto: Comparison,
    /// Recovery point.
    pub rpo: Comparison,
}

/// One target, and what was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Comparison {
    /// The target; absent where the plan has none.
    #[schemars(with = "Option<DurationText>")]
    pub target: Option<Duration>,
    /// As Muster measured it.
    pub measured: Figure,
    /// As the clients of a rehearsal saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Figure>,
}

impl Comparison {
    /// The figure that decides: what clients saw where that is known, else what Muster measured.
    pub fn deciding(&self) -> &Figure {
        self.clients.as_ref().unwrap_or(&self.measured)
    }
}

/// A figure, where it comes from and how exact it is. What is unknown is absent, never zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Figure {
    /// The figure; absent when there is none, and then `note` says why.
    #[schemars(with = "Option<DurationText>")]
    pub actual: Option<Duration>,
    /// Whether the true figure is this one, or this one at most.
    pub bound: Bound,
    /// By how much the true figure can differ; `0s` is exact, absent is not known.
    #[schemars(with = "Option<DurationText>")]
    pub precision: Option<Duration>,
    /// Against the target.
    pub verdict: Verdict,
    /// Where it comes from.
    pub source: String,
    /// What else there is to know: why there is no figure, or what it rests on.
    pub note: String,
}

/// How a figure is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Bound {
    /// This, within the precision.
    About,
    /// At most this.
    AtMost,
}

/// A figure against its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Met.
    Pass,
    /// Missed.
    Fail,
    /// Nobody knows. Never taken for a pass.
    Unknown,
    /// There is nothing to hold against a target.
    NotApplicable,
}

/// Whether the data is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Integrity {
    /// Data checks that passed.
    pub checks_passed: u64,
    /// Data checks that were made.
    pub checks_made: u64,
    /// Writes that clients had confirmed; absent on AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes_confirmed: Option<u64>,
    /// Of them, lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes_lost: Option<u64>,
    /// Whether every data check passed; unknown when none was made.
    pub verdict: Verdict,
}

/// A call on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// The phase that made it.
    pub phase: std::sync::Arc<str>,
    /// When it was made.
    pub from: Timestamp,
    /// When it was answered, or given up.
    pub until: Timestamp,
}

/// Where the time went. The five parts are exactly the time from `from` to `until`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Breakdown {
    /// The incident; the run's opening when none was seen.
    #[schemars(with = "TimestampText")]
    pub from: Timestamp,
    /// The restoration; the run's close when there was none.
    #[schemars(with = "TimestampText")]
    pub until: Timestamp,
    /// Whether `until` is a restoration.
    pub restored: bool,
    /// Until the outage was confirmed.
    #[schemars(with = "DurationText")]
    pub detection: Duration,
    /// Waiting for people, on the critical path.
    #[schemars(with = "DurationText")]
    pub decision: Duration,
    /// AWS at work, on the critical path.
    #[schemars(with = "DurationText")]
    pub aws: Duration,
    /// From moving traffic until clients had followed.
    #[schemars(with = "DurationText")]
    pub dns: Duration,
    /// All the rest: Muster's own.
    #[schemars(with = "DurationText")]
    pub overhead: Duration,
    /// Whether AWS's part is exact (a rehearsal), or what Muster saw by asking.
    pub exact: bool,
    /// The phases that the restoration hung on, first to last.
    pub critical_path: Vec<String>,
}
