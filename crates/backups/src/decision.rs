//! What is decided about backups, and of what: the input and the output of [`decide`](crate::decide).

use std::fmt;

use muster_core::{Duration, Timestamp};
use muster_plan::{Name, PartReference};
use serde::{Deserialize, Serialize};

use crate::keep::Keep;
use crate::point::{Place, RecoveryPoint};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Situation {
    /// Every recovery point of the plan's parts, in every place, in any order; also those that Muster did not make.
    pub points: Vec<RecoveryPoint>,
    /// Places of which the listing failed, or ended early: nothing is taken, copied into or deleted there, and nothing counts as arrived.
    #[serde(default)]
    pub unread: Vec<Place>,
    /// Whether the kill switch is set.
    #[serde(default)]
    pub kill_switch: bool,
}

/// What follows from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// What is taken now: at most one snapshot of each part, since a database that is being backed up takes no second one.
    pub takes: Vec<Take>,
    /// What is copied, in the order in which it should be asked for: newest first. [`start_now`](crate::start_now) says how many at once.
    pub copies: Vec<CopyOrder>,
    /// What becomes of each point, in the order of [`Situation::points`].
    pub fates: Vec<Fate>,
    /// Why a person has to look before anything is deleted.
    pub hold: Option<Hold>,
}

/// A snapshot that is to be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Take {
    /// The backup.
    pub backup: Name,
    /// The part that it is of.
    pub of: PartReference,
    /// Its name.
    pub name: String,
    /// Where.
    pub place: Place,
    /// The slot that it is for, or the instant at which somebody asked for it.
    pub slot: Timestamp,
    /// How many slots before this one were missed since the newest backup. One backup makes up for all of them.
    pub missed: usize,
}

/// A copy that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyOrder {
    /// The backup.
    pub backup: Name,
    /// The part that it is of. Copies of one part are made one after the other.
    pub of: PartReference,
    /// Its name, in both places.
    pub name: String,
    /// From where.
    pub from: Place,
    /// To where.
    pub to: Place,
    /// The KMS key of the destination.
    pub kms_key: Option<String>,
    /// Of an export of a database's snapshot: the role that writes it, and what this attempt is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<Export>,
    /// The instant that its data is of.
    pub taken_at: Timestamp,
}

/// An export of a database's snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    /// The ARN of the role that RDS takes to write it.
    pub role: String,
    /// Its identifier: [`export_name`](crate::export_name).
    pub name: String,
}

/// What becomes of a recovery point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Fate {
    /// It stays.
    Keep {
        /// Why; never empty.
        reasons: Vec<Keep>,
    },
    /// It is deleted.
    Delete {
        /// Why.
        reason: Reason,
    },
    /// It would be deleted, and a person has to say so first.
    Hold {
        /// Why it would be deleted.
        reason: Reason,
    },
}

/// Why a recovery point is deleted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "why", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Reason {
    /// It is as old as it may become.
    Older {
        /// How old it may become.
        than: Duration,
    },
    /// A newer one stands for its day, and with it for its week, month and year.
    NotTheNewestOfItsDay,
    /// It stands for its day, and the days, weeks, months and years that are kept are newer, or have a newer one.
    NoGeneration,
    /// There are enough newer ones.
    Superseded {
        /// So many are kept.
        by: u32,
    },
    /// It cannot be restored from, and its name is in the way of the next attempt.
    Failed,
}

/// Why a person has to look before anything is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// How many would be deleted.
    pub would_delete: usize,
    /// How many may be deleted at once: `pruning.atMost`.
    pub at_most: usize,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Older { than } => write!(f, "{than} old"),
            Reason::NotTheNewestOfItsDay => f.write_str("a newer one stands for its day"),
            Reason::NoGeneration => f.write_str("no day, week, month or year needs it any more"),
            Reason::Superseded { by } => write!(f, "{by} newer ones are kept"),
            Reason::Failed => f.write_str("failed: nothing can be restored from it"),
        }
    }
}
