//! Muster's own memory, in the standby region: switches, locks, decisions, samples, notes, ledger, plans, reports.
//!
//! Reads are strongly consistent unless a method says otherwise. Nothing here changes the service's estate.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{CallError, Duration, Entry, Lane, PlanPin, Progress, Region, Run, RunId, Timestamp};

/// Somebody stopped Muster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KillSwitch {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What decides whether a mutating call may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlState {
    /// Present while the installation's kill switch is set.
    pub kill_switch: Option<KillSwitch>,
    /// The service's epoch in the lane.
    pub epoch: u64,
}

/// The switches, read before every mutating action. Unreadable means no.
pub trait Control {
    /// Kill switch and epoch, in one strongly consistent read.
    async fn read_control(&self, service: &str, lane: Lane) -> Result<ControlState, CallError>;

    /// Sets the installation's kill switch, whoever has set it before; `None` clears it. Idempotent.
    async fn write_kill_switch(&self, switch: Option<&KillSwitch>) -> Result<(), CallError>;
}

/// The run that holds a lane's lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenRun {
    /// The run.
    pub run: Run,
    /// The execution that owns it.
    pub execution: Arc<str>,
    /// Whether it is a drill: any real flow supersedes it.
    pub drill: bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Closing {
    /// The run.
    pub run: RunId,
    /// Its flow.
    pub flow: Arc<str>,
    /// `succeeded`, `stoodDown`, `vetoed`, `aborted`, `failed`, `superseded`, `abandoned`.
    pub outcome: Arc<str>,
    /// When.
    pub at: Timestamp,
}

/// A service's lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneState {
    /// The epoch of the newest run; zero before the first.
    pub epoch: u64,
    /// The run that holds the lock, if one does.
    pub open: Option<OpenRun>,
    /// The last run that was closed.
    pub last_closed: Option<Closing>,
}

/// Locks and epochs, by conditional writes.
pub trait RunRegistry {
    /// The lane as it is.
    async fn read_lane(&self, service: &str, lane: Lane) -> Result<LaneState, CallError>;

    /// Takes the lock for `open.run`, whose epoch is one more than `expected_epoch`, if the lane's epoch is still
    /// `expected_epoch`. `false`: somebody was faster; read again.
    async fn open_run(&self, expected_epoch: u64, open: &OpenRun) -> Result<bool, CallError>;

    /// Releases the lock if `closing.run` still holds it. `false`: it does not (any more).
    async fn close_run(&self, service: &str, lane: Lane, closing: &Closing) -> Result<bool, CallError>;

    /// Every lane that is locked: what the janitor looks at.
    async fn open_runs(&self) -> Result<Vec<OpenRun>, CallError>;
}

/// A question that a run puts to people, and waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The run.
    pub run: RunId,
    /// The service.
    pub service: Arc<str>,
    /// Unique in the run: `failover`, or the phase that holds and how often it has held.
    pub name: Arc<str>,
    /// The answers that are understood.
    pub choices: Vec<Arc<str>>,
    /// The answer that silence gives at the deadline.
    pub default: Arc<str>,
    /// When it was put.
    pub asked_at: Timestamp,
    /// When silence answers; absent until a channel has accepted the message: nobody consents to what nobody heard.
    pub deadline: Option<Timestamp>,
    /// The state machine's task token.
    pub token: Arc<str>,
    /// The answer; the first one wins.
    pub answer: Option<Answer>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// One of the choices.
    pub choice: Arc<str>,
    /// Who: a person, `silence`, `policy`, or `probe`.
    pub by: Arc<str>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// Risks accepted with the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<crate::Override>,
}

/// Questions and their answers, by conditional writes.
pub trait Decisions {
    /// Puts a question, unless it has been put: then the stored one is returned and nothing is written.
    async fn ask(&self, question: &Question) -> Result<Question, CallError>;

    /// Has the answer wake this task and no other, unless it was given. Returns the question as it is then.
    async fn renew_token(&self, run: &RunId, name: &str, token: &str) -> Result<Question, CallError>;

    /// Sets the deadline, if none is set. Returns the question as it is then.
    async fn open_window(&self, run: &RunId, name: &str, deadline: Timestamp) -> Result<Question, CallError>;

    /// Answers, if nobody has. Returns the question as it is then: the first answer wins.
    async fn answer(&self, run: &RunId, name: &str, answer: &Answer) -> Result<Question, CallError>;

    /// The question, if it was put.
    async fn read_question(&self, run: &RunId, name: &str) -> Result<Option<Question>, CallError>;

    /// The questions of runs that are open: what the sweeper looks at.
    async fn questions(&self) -> Result<Vec<Question>, CallError>;
}

/// What a probe saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reading", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Reading {
    /// As it should be.
    Healthy,
    /// Not as it should be.
    Failing {
        /// What was seen.
        why: Arc<str>,
    },
    /// The probe itself could not look: proves nothing.
    Blind {
        /// Why.
        why: Arc<str>,
    },
    /// The lags of replicas, measured at the same instant.
    Lags {
        /// How far behind each is, by its database's name in the plan.
        lags: BTreeMap<Arc<str>, Duration>,
    },
}

/// One look of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub vantage: Region,
    /// At what: a source of the plan's confirmation, or a database.
    pub source: Arc<str>,
    /// What was seen.
    #[serde(flatten)]
    pub reading: Reading,
}

/// Stored, timestamped samples: "held for three minutes" is computed from these, never from counted calls.
pub trait Samples {
    /// Stores samples. The same sample twice is one sample.
    async fn put_samples(&self, service: &str, samples: &[Sample]) -> Result<(), CallError>;

    /// The samples since an instant, oldest first.
    async fn read_samples(&self, service: &str, since: Timestamp) -> Result<Vec<Sample>, CallError>;
}

/// Small notes: what a run must remember between invocations (what a value was before it was changed), and what a
/// service must remember between runs (that its old primary is unfenced).
pub trait Notes {
    /// Writes a note if there is none under that name. Returns the note as it is then.
    async fn note_once(&self, scope: &str, name: &str, value: &Value) -> Result<Arc<Value>, CallError>;

    /// Writes a note, whatever was there; `Null` removes it.
    async fn note(&self, scope: &str, name: &str, value: &Value) -> Result<(), CallError>;

    /// The note, if there is one.
    async fn read_note(&self, scope: &str, name: &str) -> Result<Option<Arc<Value>>, CallError>;

    /// The notes of a scope whose names begin so, by their whole names: one query, however many there are.
    async fn read_notes(&self, scope: &str, beginning: &str) -> Result<BTreeMap<String, Arc<Value>>, CallError>;

    /// Writes notes as [`Notes::note`] does, in batches; no two of the same scope and name. All are tried, whatever becomes of one: after an
    /// error, any of them may have been written.
    async fn note_all(&self, notes: &[Note]) -> Result<(), CallError>;
}

/// A note, to be written with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The run's id, or what outlives a run.
    pub scope: Arc<str>,
    /// Its name in the scope.
    pub name: String,
    /// What it says; `Null` removes it.
    pub value: Value,
}

/// The ledger's store.
pub trait Ledger {
    /// Appends entries of one invocation. Appending the same entries twice leaves one.
    async fn append(&self, entries: &[Entry]) -> Result<(), CallError>;

    /// A run's entries, by invocation and sequence.
    async fn read_ledger(&self, run: &RunId) -> Result<Vec<Entry>, CallError>;
}

/// The plan in force for a service.
#[derive(Clone, Debug)]
pub struct StartedPlan<P> {
    /// Where it is pinned.
    pub pin: PlanPin,
    /// The plan.
    pub plan: Arc<P>,
}

/// The plan bucket. An implementation checks the digest, and may keep what it has parsed by that digest.
pub trait Plans<P> {
    /// The pinned plan.
    async fn load_plan(&self, pin: &PlanPin) -> Result<Arc<P>, CallError>;

    /// Every plan in force.
    async fn plans_in_force(&self) -> Result<Vec<StartedPlan<P>>, CallError>;
}

/// The report bucket.
pub trait Reports<R> {
    /// Stores a run's report under the run's id; returns a link for people. The same run again overwrites nothing
    /// that was sealed: it returns the same link.
    async fn publish_report(&self, run: &RunId, report: &R) -> Result<String, CallError>;
}

/// How an execution of a state machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionState {
    /// Still running.
    Running,
    /// Ended: when.
    Ended(Timestamp),
    /// Nobody knows it (any more).
    Unknown,
}

/// Executions of state machines.
pub trait Executions {
    /// The state of an execution, by its ARN.
    async fn execution_state(&self, execution: &str) -> Result<ExecutionState, CallError>;

    /// Wakes a state that waits for a task token, with the progress that it is to see. A token that is no longer waited for is
    /// not an error: `Ok(false)`.
    async fn wake(&self, token: &str, progress: &Progress) -> Result<bool, CallError>;

    /// Starts a flow by its name. The same name and input again, while it runs, is the same execution.
    async fn start_flow(&self, flow: &str, name: &str, input: &Value) -> Result<(), CallError>;
}
