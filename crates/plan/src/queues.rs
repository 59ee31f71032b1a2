//! Queues: what was waiting when the region failed, and how it is taken up again.

use muster_core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::objectives::Objectives;
use crate::units::DurationText;

/// A queue and how it is recovered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Queue {
    /// The name that the rest of the plan uses, as in `{queues.jobs.url}`.
    pub name: Name,
    /// What it is.
    pub kind: QueueKind,
    /// The queue in the primary region: its name (`sqs`), or any description.
    pub primary: String,
    /// The queue in the standby region.
    pub standby: Option<String>,
    /// Its dead-letter queue in the region that serves, by name.
    pub dead_letter: Option<String>,
    /// How the dead-letter queue is replayed, and how fast it must drain.
    pub replay: Option<Replay>,
    /// How soon it must be worked on again, and how much may be lost.
    pub objectives: Option<Objectives>,
    /// How it survives, in the runbook's words.
    pub strategy: Option<String>,
}

/// What kind of queue it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum QueueKind {
    /// Amazon SQS.
    Sqs,
    /// Kept in one of the plan's caches: recovered with it.
    Cache,
    /// Run by other means, such as Kafka; Muster only verifies it.
    External,
}

/// How a dead-letter queue is replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Replay {
    /// The most messages per second that are moved back.
    pub messages_per_second: Option<u32>,
    /// How soon the queue must be as short as before.
    #[schemars(with = "DurationText")]
    pub drained_within: Duration,
}
