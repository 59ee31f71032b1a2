//! Caches: what stands by, how they are failed over, and how they are warmed.

use muster_core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::databases::SecretReference;
use crate::name::Name;
use crate::objectives::Objectives;
use crate::units::{DurationText, Percent};

/// A cache and how it is recovered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Cache {
    /// The name that the rest of the plan uses, as in `{caches.sessions.endpoint}`.
    pub name: Name,
    /// What it is.
    pub kind: CacheKind,
    /// The replication group's identifier in the primary region, or any description (`external`).
    pub primary: String,
    /// What stands by in the standby region.
    pub standby: CacheStandby,
    /// How soon it must serve again, and how much may be lost.
    pub objectives: Objectives,
    /// The shards that an in-region failover moves, such as `"0001"`; without them, all.
    #[serde(default)]
    pub node_groups: Vec<String>,
    /// What is restored when data was lost in the primary region.
    pub restore: Option<CacheTarget>,
    /// The port; without it, 6379.
    pub port: Option<u16>,
    /// The secret with the `AUTH` token or the user, where the cache wants one.
    pub credentials: Option<SecretReference>,
    /// How it is filled before it serves.
    pub warm_up: Option<WarmUp>,
    /// How its contents survive a restart, in the runbook's words.
    pub persistence: Option<String>,
    /// What must be true of it before traffic moves.
    #[serde(default)]
    pub checks: Vec<CacheCheck>,
}

impl Cache {
    /// The port that clients use: the plan's, or 6379.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(6379)
    }

    /// The replication group that serves the standby region, where Muster does not make one.
    pub fn standby_group(&self) -> Option<&str> {
        match &self.standby {
            CacheStandby::GlobalDatastore { id, .. } | CacheStandby::Independent { id } => Some(id),
            CacheStandby::Snapshot { .. } | CacheStandby::External { .. } => None,
        }
    }
}

/// What kind of cache it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CacheKind {
    /// An ElastiCache replication group.
    ReplicationGroup,
    /// Run by other means, such as Redis with Sentinel on Kubernetes; Muster only verifies it.
    External,
}

/// What stands by for a cache in the standby region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CacheStandby {
    /// The secondary group of a global datastore, which is promoted.
    GlobalDatastore {
        /// The global datastore's identifier, with its prefix, such as `ldgnf-basecoat`.
        global_id: String,
        /// The secondary replication group's identifier in the standby region.
        id: String,
    },
    /// A snapshot that was exported to S3 and replicated into the standby region, restored into a new group.
    Snapshot {
        /// The bucket in the **standby** region that the exported snapshots arrive in.
        bucket: String,
        /// The prefix of their keys.
        prefix: Option<String>,
        /// A snapshot older than this is refused.
        #[schemars(with = "DurationText")]
        max_age: Duration,
        /// What the snapshot is restored into.
        target: CacheTarget,
    },
    /// A group of its own in the standby region that shares no data with the primary, and is warmed instead.
    Independent {
        /// Its replication group identifier in the standby region.
        id: String,
    },
    /// Recovered by other means; Muster only verifies it.
    External {
        /// How it is recovered, for the person who reads the plan at night.
        how: String,
    },
}

/// A replication group that a restore creates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CacheTarget {
    /// The new replication group's identifier.
    pub id: String,
    /// Its description.
    pub description: Option<String>,
    /// The type of its nodes, such as `cache.r6g.large`.
    pub node_type: String,
    /// How many replicas each shard has.
    pub replicas: Option<u32>,
    /// Whether a replica takes over by itself.
    #[serde(default)]
    pub automatic_failover: bool,
    /// Whether its nodes are spread over zones.
    #[serde(default)]
    pub multi_az: bool,
    /// Its subnet group.
    pub subnet_group: Option<String>,
    /// Its parameter group.
    pub parameter_group: Option<String>,
    /// Its security groups.
    #[serde(default)]
    pub security_groups: Vec<String>,
    /// The KMS key that encrypts it at rest.
    pub kms_key: Option<String>,
}

/// How a cache is filled before it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum WarmUp {
    /// Requests to the standby whose answers fill the cache.
    Http {
        /// The addresses, each asked once.
        urls: Vec<String>,
    },
    /// A custom step.
    Step {
        /// Its name under `custom`.
        step: Name,
    },
}

/// What must be true of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CacheCheck {
    /// It answers `PING`.
    Ping,
    /// It holds at least this share of the keys that were last counted in the primary.
    KeyCount {
        /// The share, such as `95%`.
        at_least: Percent,
    },
}
