//! Databases: where the primary is, what stands by for it, and what must hold before it is promoted.

use muster_core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checks::SqlCheck;
use crate::name::Name;
use crate::objectives::Objectives;
use crate::restore_test::RestoreTest;
use crate::units::{Bytes, DurationText};

/// A database and how it is recovered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Database {
    /// The name that the rest of the plan uses, as in `{databases.portal-db.endpoint}`.
    pub name: Name,
    /// What it is.
    pub kind: DatabaseKind,
    /// The engine; decides how data checks connect.
    pub engine: Engine,
    /// The identifier in the primary region: of the instance (`rdsInstance`), of the cluster (`auroraCluster`), or any description (`external`).
    pub primary: String,
    /// What stands by in the standby region, and becomes the primary in a region failover.
    pub standby: DatabaseStandby,
    /// What a person may recover from instead when the run holds because the standby cannot be used, in order of preference.
    #[serde(default)]
    pub fallback: Vec<DatabaseStandby>,
    /// How soon it must serve again, and how much may be lost.
    pub objectives: Objectives,
    /// The replication lag above which it is not promoted. Needed wherever a replica is promoted.
    pub lag: Option<LagGate>,
    /// How the old primary is kept from taking writes before the new one is promoted.
    pub fence: Option<Fence>,
    /// The secret that data checks and the fence's proof sign in with.
    pub credentials: Option<SecretReference>,
    /// The name of the database inside the server, such as `basecoat_db`.
    pub database: Option<String>,
    /// The port; without it, the engine's own.
    pub port: Option<u16>,
    /// How much storage it has. Decides how long a restore or a copy is expected to take.
    pub size: Option<Bytes>,
    /// How far back automated backups reach in the primary region, in whole days, at most `35d`.
    #[schemars(with = "Option<DurationText>")]
    pub backup_retention: Option<Duration>,
    /// What `database-failover` tries inside the primary region, in this order.
    #[serde(default)]
    pub in_region: Vec<InRegionRecovery>,
    /// How `database-restore` brings back data that was deleted or corrupted.
    pub restore: Option<RestorePolicy>,
    /// Where a restore test restores its newest backup, and what it compares.
    pub restore_test: Option<RestoreTest>,
    /// What must be true of the data before traffic moves.
    #[serde(default)]
    pub checks: Vec<SqlCheck>,
    /// Queries that measure divergence after a failover or a restore; their results go into the report.
    #[serde(default)]
    pub reconciliation: Vec<SqlCheck>,
}

impl Database {
    /// The port that clients use: the plan's, or the engine's default.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(self.engine.default_port())
    }

    /// The identifier of the replica that a region failover promotes; `None` for every other kind of standby.
    pub fn replica_id(&self) -> Option<&str> {
        match &self.standby {
            DatabaseStandby::Replica { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The standby, then every fallback, in the order in which they are tried.
    pub fn standbys(&self) -> impl Iterator<Item = &DatabaseStandby> {
        std::iter::once(&self.standby).chain(&self.fallback)
    }

    /// True where Muster itself recovers it, and not a tool of its own that Muster only verifies.
    pub fn is_recovered_by_muster(&self) -> bool {
        self.kind != DatabaseKind::External
    }
}

/// What kind of database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DatabaseKind {
    /// An RDS instance (Multi-AZ or not) that is not Aurora.
    RdsInstance,
    /// An Aurora cluster.
    AuroraCluster,
    /// Recovered by tools of its own; Muster verifies that it was, and that its backups are fresh.
    External,
}

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Engine {
    /// PostgreSQL, also Aurora PostgreSQL.
    Postgres,
    /// MySQL, also Aurora MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
    /// MongoDB.
    Mongodb,
}

impl Engine {
    /// The port that the engine listens on unless told otherwise.
    pub const fn default_port(self) -> u16 {
        match self {
            Engine::Postgres => 5432,
            Engine::Mysql | Engine::Mariadb => 3306,
            Engine::Mongodb => 27017,
        }
    }
}

/// What stands by for a database in the standby region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum DatabaseStandby {
    /// A cross-region read replica, which is promoted.
    Replica {
        /// The replica's instance identifier in the standby region.
        id: String,
        /// Retention of automated backups on the replica, in whole days, at least `1d`: RDS promotes no replica cleanly without backups.
        #[schemars(with = "Option<DurationText>")]
        backup_retention: Option<Duration>,
        /// Whether it is made Multi-AZ once it serves.
        multi_az: Option<bool>,
    },
    /// The newest usable snapshot of this database in the standby region, restored.
    LatestSnapshot {
        /// A snapshot older than this is refused.
        #[schemars(with = "DurationText")]
        max_age: Duration,
        /// What the snapshot is restored into.
        target: RestoreTarget,
    },
    /// A point in time from automated backups that are replicated into the standby region.
    PointInTime {
        /// Backups whose latest restorable time is older than this are refused.
        #[schemars(with = "DurationText")]
        max_age: Duration,
        /// What the backup is restored into.
        target: RestoreTarget,
    },
    /// The secondary cluster of an Aurora global database.
    GlobalCluster {
        /// The global cluster's identifier.
        global_id: String,
        /// The secondary cluster's identifier in the standby region.
        cluster: String,
    },
    /// Recovered by a custom step or by its own tooling; Muster waits for the checks to pass.
    External {
        /// The custom step that recovers it; without one, Muster only verifies.
        step: Option<Name>,
        /// How it is recovered, for the person who reads the plan at night.
        how: String,
    },
}

/// What a restore creates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RestoreTarget {
    /// The identifier of the new instance or cluster.
    pub id: String,
    /// The class of its instances, such as `db.r6g.xlarge`.
    pub instance_class: String,
    /// Whether the new instance is Multi-AZ.
    #[serde(default)]
    pub multi_az: bool,
    /// How many instances an Aurora cluster gets: a restored cluster has none.
    pub instances: Option<u32>,
    /// Its VPC security groups, in the region that it is restored in.
    #[serde(default)]
    pub security_groups: Vec<String>,
    /// Its subnet group, in the region that it is restored in.
    pub subnet_group: Option<String>,
    /// Its parameter group (cluster parameter group for Aurora), in the region that it is restored in.
    pub parameter_group: Option<String>,
    /// Its option group, in the region that it is restored in: option groups are regional.
    pub option_group: Option<String>,
    /// The KMS key that encrypts it, in the region that it is restored in.
    pub kms_key: Option<String>,
}

/// How far a replica may be behind and still be promoted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LagGate {
    /// The largest lag at which it is promoted without asking a person.
    #[schemars(with = "DurationText")]
    pub max: Duration,
    /// Where the lag is read.
    #[serde(default)]
    pub measured: LagSource,
    /// What happens when the lag cannot be read, as when the primary region is dark.
    pub when_unknown: WhenLagUnknown,
}

/// Where replication lag is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LagSource {
    /// CloudWatch: whole seconds for RDS instances, milliseconds for Aurora.
    #[default]
    Metric,
    /// The replica itself, with a query: finer than a second, but needs credentials and a function in the VPC.
    Database,
}

/// What happens when replication lag is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum WhenLagUnknown {
    /// The run holds until a person decides.
    Hold,
    /// The last sample from before the outage counts.
    LastKnown {
        /// How long before the outage that sample may have been taken: `3m` or more, since the last one can be that old.
        #[schemars(with = "DurationText")]
        within: Duration,
        /// The largest lag that it may show.
        #[schemars(with = "DurationText")]
        up_to: Duration,
        /// Who accepted the risk beforehand: one of `people.roles`.
        by: String,
        /// Why the risk was accepted.
        reason: Option<String>,
    },
}

/// How the old primary is kept from taking writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Fence {
    /// Its security groups are replaced by one that lets no client in, and existing sessions are ended.
    Quarantine {
        /// The quarantine's security group, in the primary region.
        security_group: String,
        /// What happens when the primary cannot be reached, so that neither the fence nor its proof is possible.
        when_unreachable: WhenUnreachable,
    },
}

/// What happens when the old primary cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum WhenUnreachable {
    /// The run holds until a person decides.
    Hold,
    /// The run goes on: a named person accepted beforehand that writes to a primary that nobody can see may be lost.
    Accept {
        /// Who accepted the risk: one of `people.roles`.
        by: String,
        /// Why the risk was accepted.
        reason: String,
    },
}

/// A secret, by reference: its value is never in a plan, a run's input, a log or the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SecretReference {
    /// Name or ARN of a Secrets Manager secret that can be read in the standby region, with the keys `username` and `password`.
    pub secret: String,
}

/// What can be tried inside the primary region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum InRegionRecovery {
    /// Reboot in place: for an instance that is unwell, not lost.
    Restart,
    /// Reboot with forced failover to the other zone of a Multi-AZ instance.
    MultiAzFailover,
    /// Aurora failover to a named reader of the same cluster.
    ClusterFailover {
        /// The instance that becomes the writer; without it, Aurora picks by promotion tier.
        target: Option<String>,
    },
    /// Promote the cross-region replica: ends in the standby region, and needs the same fence and lag gate as a region failover.
    PromoteStandby,
}

/// How deleted or corrupted data is brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RestorePolicy {
    /// What the restore creates, beside the damaged database, in its own region.
    pub target: RestoreTarget,
    /// The security group that isolates the damaged database while it is examined.
    pub isolation_group: String,
    /// How far back the restore goes when the operator names no instant.
    #[schemars(with = "DurationText")]
    pub default_age: Duration,
    /// How soon the restored data must serve, and how much may be lost.
    pub objectives: Objectives,
    /// The longest that it may take when much has to be examined first.
    #[schemars(with = "Option<DurationText>")]
    pub at_most: Option<Duration>,
}
