//! What verifying the backups came to, as the ledger has it: texts, since what a backup is, is not known here.

use serde::{Deserialize, Serialize};

use crate::Duration;

/// One thing that is wrong with the backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupProblem {
    /// The part of the plan, such as `databases.portal-db`; absent of what the plan does not recover, and of what concerns a whole region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// The backup in the plan; absent of what concerns a whole region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// Where: a region, with the account if it is another's, or a bucket as `s3://…`.
    pub place: String,
    /// What was seen and what to do now, in words.
    pub words: String,
    /// Whether somebody has to be called; otherwise it has time until the morning.
    pub alarms: bool,
}

/// What would be lost of a part if the primary region died and nothing were left but its backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupExposure {
    /// The part of the plan, such as `databases.portal-db`.
    pub component: String,
    /// How much, as time; absent where no good backup outside the primary region is known: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Duration>,
    /// The part's RPO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<Duration>,
    /// The backup that it would be restored from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}
