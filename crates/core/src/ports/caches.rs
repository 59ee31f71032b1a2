//! Caches: global datastores, and the servers that clients talk to.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{CallError, Region};

/// One region's cluster in a global datastore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalMember {
    /// The cluster's region.
    pub region: Region,
    /// The replication group.
    pub group: Arc<str>,
    /// Whether it takes writes.
    pub primary: bool,
    /// Whether the cluster is `available`.
    pub available: bool,
    /// The host that clients of the region use; absent while the cluster is being created.
    pub endpoint: Option<Arc<str>>,
}

/// An ElastiCache global datastore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalCacheState {
    /// Whether the datastore is `available` or `primary-only`; otherwise it is modifying.
    pub settled: bool,
    /// Its clusters.
    pub members: Vec<GlobalMember>,
}

/// ElastiCache global datastores.
pub trait GlobalCaches {
    /// The states of global datastores as seen from `region`; those that do not exist are absent.
    async fn describe_global_caches(&self, region: &Region, ids: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, GlobalCacheState>, CallError>;

    /// Starts making the cluster in `region` the primary (`FailoverGlobalReplicationGroup`). Read before repeating.
    async fn failover_global_cache(&self, region: &Region, id: &str, group: &str) -> Result<(), CallError>;
}

/// Where a replication group serves its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEndpoint {
    /// The host that clients of the region use.
    pub host: Arc<str>,
    /// The port that it listens on.
    pub port: u16,
    /// Whether it speaks TLS (`TransitEncryptionEnabled`).
    pub encrypted: bool,
}

/// The checks' view of caches, from inside their VPC.
pub trait Caches {
    /// Where replication groups serve; those that do not exist, or serve nowhere yet, are absent.
    async fn describe_caches(&self, region: &Region, groups: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, CacheEndpoint>, CallError>;

    /// Whether a cache answers `PING`. `credentials` names the secret that holds its token, or its user and password.
    ///
    /// # Errors
    /// `Denied` for a cache that wants other credentials.
    async fn ping_cache(&self, region: &Region, endpoint: &CacheEndpoint, credentials: Option<&str>) -> Result<(), CallError>;
}
