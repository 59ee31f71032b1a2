//! The ledger: what a run did and saw, entry by entry, in hash chains that cannot be edited unseen.
//!
//! One chain per invocation, so that functions that run side by side share no hot key. `close-run` links the heads.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::verified::{BackupExposure, BackupProblem};
use crate::{CallFault, Duration, Override, Region, RunId, Timestamp};

/// Control planes change things and fail in large events; data planes serve and are built to survive them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Plane {
    /// Creates, changes, describes resources.
    Control,
    /// Serves: queries, probes, metrics, DNS answers.
    Data,
}

/// A call to the world, before it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// The API's name as IAM spells it, such as `rds:PromoteReadReplica`; ours where it is none of AWS's (`http:Get`).
    pub operation: Arc<str>,
    /// The region whose endpoint is called.
    pub region: Region,
    /// Control or data plane.
    pub plane: Plane,
    /// Whether it changes the service's estate. Muster's own bookkeeping does not.
    pub mutates: bool,
    /// The resource, as people know it.
    pub resource: Arc<str>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Absent when it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<CallFault>,
    /// The service's words about a fault.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// From the request to the answer.
    pub latency: Duration,
    /// AWS's request id, where one came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Where a figure for replica lag comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LagBasis {
    /// Measured while the primary was still writing or after it had been fenced.
    Measured,
    /// The probe's last sample before the outage, under a standing acceptance of the plan.
    LastKnown,
    /// Nobody knows; a person accepted that.
    Unknown,
}

/// A fact that the report is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Evidence {
    /// The run was opened.
    Opened {
        /// What started it: an alarm's name, or an operator.
        by: String,
        /// Why, in words.
        reason: String,
    },
    /// The outage is real: enough sources saw it for long enough.
    OutageConfirmed {
        /// The sources that saw it, by name.
        sources: Vec<String>,
        /// The first sample of the failure that every confirming source saw.
        since: Timestamp,
    },
    /// The outage is over, or was none.
    OutageCleared {
        /// What is seen instead.
        seen: String,
    },
    /// Something that the failover will need, looked at before it is begun.
    Preflight {
        /// What was looked at.
        subject: String,
        /// What was seen.
        seen: String,
        /// Whether it is as it must be.
        ready: bool,
    },
    /// A question was put to people.
    Asked {
        /// Which: `failover`, or the phase that holds.
        question: String,
        /// The channels that accepted the message.
        heard_by: Vec<String>,
        /// When silence becomes an answer.
        deadline: Timestamp,
    },
    /// A question was answered, by a person or by silence.
    Decided {
        /// Which question.
        question: String,
        /// The answer: `proceed`, `veto`, `retry`, `skip`, `abort`, …
        choice: String,
        /// Who; `silence` where the deadline answered, `policy` where the plan did.
        by: String,
        /// Why, if said.
        reason: String,
        /// When the question was put.
        asked_at: Timestamp,
    },
    /// A risk was accepted, beforehand in the plan or now by a person.
    Accepted {
        /// The risk.
        risk: Override,
        /// Whether the plan carried it.
        standing: bool,
    },
    /// The old primary refuses writes: proven.
    Fenced {
        /// The database in the plan.
        database: String,
        /// The proof, in words.
        proof: String,
    },
    /// The old primary could not be fenced and a recorded acceptance names it.
    Unfenced {
        /// The database in the plan.
        database: String,
        /// What was seen of it.
        seen: String,
    },
    /// How far behind the replica was when it was promoted.
    Lag {
        /// The database in the plan.
        database: String,
        /// The lag; absent when unknown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lag: Option<Duration>,
        /// When it was sampled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sampled_at: Option<Timestamp>,
        /// Where the figure comes from.
        basis: LagBasis,
    },
    /// The point of no return: the first promotion of the run was asked for.
    Irreversible {
        /// What was done.
        step: String,
    },
    /// What was written down as irreversible was certainly not applied after all.
    NotApplied {
        /// What was to be done.
        step: String,
        /// Why it was not.
        why: String,
    },
    /// AWS worked on something from `from` until `until`, as far as Muster saw it.
    Awaited {
        /// The component in the plan.
        component: String,
        /// What it was doing.
        what: String,
        /// When it was asked to, or first seen at it.
        from: Timestamp,
        /// When it was first seen finished.
        until: Timestamp,
    },
    /// A configuration value was set.
    Configured {
        /// Which.
        item: String,
        /// What it was, where that is no secret.
        before: String,
        /// What it is now.
        after: String,
    },
    /// A check was made.
    Checked {
        /// The check's name.
        check: String,
        /// The component or `service`.
        component: String,
        /// What was seen.
        seen: String,
        /// What was wanted.
        wanted: String,
        /// Whether it passed.
        passed: bool,
    },
    /// Traffic was asked to move.
    TrafficMoved {
        /// The record.
        record: String,
        /// How.
        method: String,
    },
    /// The authoritative servers answer with the standby.
    TrafficSeen {
        /// The record.
        record: String,
    },
    /// Something that was done has been undone.
    Undone {
        /// What.
        what: String,
    },
    /// Something that this run left without protection.
    Unprotected {
        /// What, and what to do about it.
        what: String,
    },
    /// The run failed or held.
    Held {
        /// The phase.
        phase: String,
        /// The error's name.
        error: String,
        /// The error's text.
        cause: String,
    },
    /// The backups were looked at. A long list is several of these, of the same instant.
    BackupsVerified {
        /// The instant that this is of: what changed since, while the listings were read, is not in it.
        as_of: Timestamp,
        /// What is wrong.
        problems: Vec<BackupProblem>,
        /// What would be lost if the primary region died at that instant.
        exposures: Vec<BackupExposure>,
    },
    /// A backup was restored into a clone: how long it took is the component's restore time.
    Restored {
        /// The part of the plan, such as `databases.main`.
        component: String,
        /// The snapshot; of a dump, the object.
        snapshot: String,
        /// The instant that its data is of.
        taken_at: Timestamp,
        /// The clone.
        instance: String,
        /// When the restore was asked for.
        from: Timestamp,
        /// When the clone was first seen to serve; of a dump, when it was loaded.
        until: Timestamp,
        /// Of a dump: when the build began that loads it. The time before it went into a server to load it into.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        loaded_from: Option<Timestamp>,
        /// The component's RTO.
        rto: Duration,
    },
    /// A clone is gone.
    CloneDestroyed {
        /// The part of the plan that it was a clone of.
        component: String,
        /// The clone.
        instance: String,
    },
    /// A message went out, or did not.
    Told {
        /// The channel.
        channel: String,
        /// The subject.
        subject: String,
        /// Whether the channel accepted it.
        accepted: bool,
    },
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Body {
    /// The invocation began.
    Began,
    /// A mutating call is about to be made.
    Intent {
        /// The call.
        call: Call,
    },
    /// A call was made.
    Called {
        /// The call.
        call: Call,
        /// How it ended.
        outcome: Outcome,
    },
    /// A fact was seen.
    Saw {
        /// The fact.
        evidence: Evidence,
    },
    /// The invocation ended.
    Ended {
        /// `done`, `pending`, or the error's name.
        status: String,
        /// The progress's detail or the error's text.
        detail: String,
        /// The head of the chain up to here: an entry that is changed later no longer leads to it.
        chain: Hash,
    },
}

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The run.
    pub run: RunId,
    /// The run's epoch.
    pub epoch: u64,
    /// The invocation: unique in the run, and sorted by when it began.
    pub invocation: Arc<str>,
    /// The action.
    pub action: Arc<str>,
    /// The phase of the flow: the state's name.
    pub phase: Arc<str>,
    /// Position in the invocation's chain, from 0.
    pub sequence: u32,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub body: Body,
}

/// A SHA-256 digest. Text form: 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; Hash::BYTES]);

impl Hash {
    pub(crate) const BYTES: usize = 32;
    /// Where every chain starts.
    pub const ZERO: Hash = Hash([0; Hash::BYTES]);

    pub(crate) const fn as_bytes(&self) -> &[u8; Hash::BYTES] {
        &self.0
    }

    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }

    /// The head of a chain after one more entry: the digest of the head so far and the entry's JSON text. For many
    /// entries, [`Chain`](crate::Chain) does the same faster.
    pub fn link(self, entry: &Entry) -> Hash {
        let mut text = Vec::with_capacity(512);
        text.extend_from_slice(&self.0);
        // A struct serializes its fields in the order of their declaration, whatever features serde_json has. Nothing in
        // an entry can fail to serialize.
        let _ = serde_json::to_writer(&mut text, entry);
        Hash::of(&text)
    }
}

impl Hash {
    fn text(&self) -> [u8; 2 * Hash::BYTES] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 2 * Hash::BYTES];
        for (byte, pair) in self.0.iter().zip(text.chunks_exact_mut(2)) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        text
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Hash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(InvalidHash);
        }
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| InvalidHash)?;
        }
        Ok(Hash(bytes))
    }
}

/// Why a text is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest: 64 hexadecimal digits are wanted")]
pub struct InvalidHash;

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parsed(deserializer)
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}
