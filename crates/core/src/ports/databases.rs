//! Databases.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{CallError, DatabaseId, Region};

/// What RDS says about an instance, as far as Muster decides by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseStatus {
    /// `available`.
    Available,
    /// `backing-up`: serves, but cannot be promoted.
    BackingUp,
    /// `modifying`, `rebooting`, `promoting`, …: comes back by itself.
    Changing(&'static str),
    /// `failed`, `incompatible-…`, `storage-full`, `stopped`: does not come back by itself.
    Broken(&'static str),
}

/// Which way data flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseRole {
    /// Takes writes.
    Primary,
    /// Replays another instance's writes.
    Replica {
        /// The instance it replays.
        source: DatabaseId,
    },
}

/// The state of one RDS instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseState {
    /// The instance's status.
    pub status: DatabaseStatus,
    /// Primary or replica.
    pub role: DatabaseRole,
    /// `host:port`; absent while the instance is being created.
    pub endpoint: Option<Arc<str>>,
    /// The VPC security groups.
    pub security_groups: Vec<Arc<str>>,
    /// Days of automated backups; zero means none, and then a promotion reboots.
    pub backup_retention_days: u32,
}

/// RDS instances.
pub trait Databases {
    /// The states of `ids`, all in `region`; those that do not exist are absent.
    async fn describe_databases(&self, region: &Region, ids: &[DatabaseId]) -> Result<BTreeMap<DatabaseId, DatabaseState>, CallError>;

    /// Starts the promotion of a replica. Not idempotent on AWS: a second call is rejected, so read before calling.
    async fn promote_replica(&self, id: &DatabaseId, backup_retention_days: u32) -> Result<(), CallError>;

    /// Replaces the instance's security groups. Idempotent. Existing connections are not cut by it.
    async fn set_security_groups(&self, id: &DatabaseId, groups: &[Arc<str>]) -> Result<(), CallError>;

    /// Restarts the instance, which ends every session.
    async fn reboot_database(&self, id: &DatabaseId) -> Result<(), CallError>;
}

/// Where to send SQL, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlTarget {
    /// The instance.
    pub database: DatabaseId,
    /// `host:port`.
    pub endpoint: Arc<str>,
    /// The database inside the server to connect to; without it, `postgres`, which every server has.
    pub dbname: Option<Arc<str>>,
    /// The name or ARN of the secret that holds the user and the password; never the password.
    pub credentials: Option<Arc<str>>,
}

/// How an attempt to write went. A time-out is *unreachable*, never *refused*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteAttempt {
    /// The write was taken: this is a writable primary.
    Accepted,
    /// The server answered that it takes no writes (SQLSTATE 25006).
    Refused,
    /// Nobody answered: proves nothing.
    Unreachable {
        /// What was seen.
        why: String,
    },
}

/// The data checks' and the fence's view of a PostgreSQL server, from inside its VPC.
pub trait Sql {
    /// The single value that a query returns, as text; `None` for no row.
    async fn query(&self, target: &SqlTarget, statement: &str) -> Result<Option<String>, CallError>;

    /// Tries to write, in a transaction that is rolled back.
    async fn attempt_write(&self, target: &SqlTarget) -> Result<WriteAttempt, CallError>;

    /// How many sessions of clients (not Muster's, not the server's own) are connected.
    async fn client_sessions(&self, target: &SqlTarget) -> Result<u64, CallError>;

    /// Sets `default_transaction_read_only` for the target's database, or lifts it again. Idempotent. It holds for new sessions, and a
    /// session can override it: not a fence by itself.
    async fn set_read_only(&self, target: &SqlTarget, read_only: bool) -> Result<(), CallError>;

    /// Ends every client session (`pg_terminate_backend`). Idempotent.
    async fn end_sessions(&self, target: &SqlTarget) -> Result<(), CallError>;
}
