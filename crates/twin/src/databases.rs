//! Database instances: roles, statuses, sessions, replication.
//!
//! Modelled: one instance in the primary region per database of the plan, and its cross-region replica; statuses that
//! lag behind calls; sessions that outlive a change of security groups; a replica's position. Lag is data that the
//! replica has not received: what it has received it replays before it is promoted.
//!
//! Not modelled: Aurora, restores, storage, engine versions, a Multi-AZ partner, the content of tables.

use std::sync::Arc;

use muster_core::ports::{DatabaseRole, DatabaseState, DatabaseStatus};
use muster_core::{DatabaseId, Duration, Timestamp};

/// What CloudWatch shows of a replica whose source is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DarkLag {
    /// The last value, for ever.
    Frozen,
    /// −1.
    Broken,
    /// Nothing.
    Absent,
}

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `available`.
    Available,
    /// `backing-up`.
    BackingUp,
    /// `modifying`, by a promotion: replication has ended, writes are not taken yet. `noticed` is when the status shows it.
    Promoting {
        /// Status lags the call: until then it still reads `available`, with its source.
        noticed: Timestamp,
    },
    /// `rebooting`: no sessions.
    Rebooting,
}

/// One instance.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its identifier.
    pub id: DatabaseId,
    /// The database of the plan that it belongs to, by position.
    pub database: usize,
    /// What it is doing.
    pub phase: Phase,
    /// The instance that it replays; absent for a primary.
    pub source: Option<DatabaseId>,
    /// The host that clients connect to.
    pub host: Arc<str>,
    /// The host and the port.
    pub endpoint: Arc<str>,
    /// Its security groups.
    pub groups: Vec<Arc<str>>,
    /// Whether a group lets no client in.
    pub quarantined: bool,
    /// Sessions that were open when it was quarantined: a security group does not cut them.
    pub held_sessions: u64,
    /// `default_transaction_read_only`.
    pub read_only: bool,
    /// Days of automated backups.
    pub retention: u32,
    /// How often it was rebooted, promoted and so on: names the next draw.
    pub changes: u64,
    /// What it looked like from when on: a stale read answers with the past.
    pub history: Vec<(Timestamp, DatabaseState)>,
}

impl Instance {
    /// Whether it takes writes from whoever is let in.
    pub fn is_writable(&self) -> bool {
        self.source.is_none() && !self.read_only && self.answers()
    }

    /// Whether the server answers.
    pub fn answers(&self) -> bool {
        !matches!(self.phase, Phase::Rebooting)
    }

    /// Whether a client of the service is served: by a new session, or by one that is still open.
    pub fn lets_clients_in(&self) -> bool {
        self.answers() && (!self.quarantined || self.held_sessions > 0)
    }

    /// Remembers what it looks like now.
    pub fn remember(&mut self, now: Timestamp) {
        let state = self.describe(now);
        self.history.push((now, state));
    }

    /// What RDS said about it at an earlier instant.
    pub fn describe_earlier(&self, at: Timestamp) -> Option<DatabaseState> {
        self.history.iter().rev().find(|(from, _)| *from <= at).map(|(_, state)| state.clone())
    }

    /// What RDS says about it.
    pub fn describe(&self, now: Timestamp) -> DatabaseState {
        let (status, replica) = match self.phase {
            Phase::Available => (DatabaseStatus::Available, self.source.clone()),
            Phase::BackingUp => (DatabaseStatus::BackingUp, self.source.clone()),
            Phase::Promoting { noticed } if now < noticed => (DatabaseStatus::Available, self.source.clone()),
            Phase::Promoting { .. } => (DatabaseStatus::Changing("modifying"), self.source.clone()),
            Phase::Rebooting => (DatabaseStatus::Changing("rebooting"), self.source.clone()),
        };
        DatabaseState {
            status,
            role: replica.map_or(DatabaseRole::Primary, |source| DatabaseRole::Replica { source }),
            endpoint: Some(self.endpoint.clone()),
            security_groups: self.groups.clone(),
            backup_retention_days: self.retention,
        }
    }
}

/// How far a replica is behind its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replication {
    /// The lag on a good day.
    pub base: Duration,
    /// From when on it falls behind, and by how many thousandths of the time that passes.
    pub falling_behind: Option<(Timestamp, u64)>,
    /// Since when the link to the source is cut.
    pub cut_at: Option<Timestamp>,
    /// Until when the last cut lasted, and since when.
    pub was_cut: Option<(Timestamp, Timestamp)>,
    /// Where it stood when the link was cut.
    pub stood_at: Option<Timestamp>,
    /// From when on it has caught up after a cut.
    pub caught_up_at: Option<Timestamp>,
}

impl Replication {
    /// A replica that is `base` behind.
    pub const fn new(base: Duration) -> Self {
        Replication { base, falling_behind: None, cut_at: None, was_cut: None, stood_at: None, caught_up_at: None }
    }

    /// The instant up to which the replica has every write.
    pub fn position(&self, now: Timestamp) -> Timestamp {
        if let Some(stood) = self.stood_at {
            // Cut, or catching up: it stands until it has caught up.
            if self.cut_at.is_some() || self.caught_up_at.is_none_or(|at| now < at) {
                return stood;
            }
        }
        now.before(self.lag_while_linked(now))
    }

    fn lag_while_linked(&self, now: Timestamp) -> Duration {
        let behind = self.falling_behind.map_or(0, |(since, permille)| now.since(since).as_millis() * permille / 1_000);
        self.base.saturating_add(Duration::from_millis(behind))
    }

    /// What CloudWatch would show, exactly; absent while the link is cut.
    pub fn lag(&self, now: Timestamp) -> Option<Duration> {
        self.cut_at.is_none().then(|| now.since(self.position(now)))
    }

    /// Whether the link was cut at an instant, and if so since when.
    pub fn was_cut_at(&self, at: Timestamp) -> Option<Timestamp> {
        let earlier = self.was_cut.filter(|(since, until)| *since <= at && at < *until).map(|(since, _)| since);
        self.cut_at.filter(|since| *since <= at).or(earlier)
    }

    /// How far behind it was at an instant at which the link stood.
    pub fn lag_at(&self, at: Timestamp) -> Duration {
        match (self.stood_at, self.caught_up_at, self.was_cut) {
            // It was catching up.
            (Some(stood), Some(done), Some((_, mended))) if mended <= at && at < done => at.since(stood),
            _ => self.lag_while_linked(at),
        }
    }

    /// The link to the source is cut.
    pub fn cut(&mut self, now: Timestamp) {
        if self.cut_at.is_none() {
            self.stood_at = Some(self.position(now));
            self.cut_at = Some(now);
        }
    }

    /// The link is back; the replica has caught up after `catch_up`.
    pub fn mend(&mut self, now: Timestamp, catch_up: Duration) {
        if let Some(since) = self.cut_at.take() {
            self.was_cut = Some((since, now));
            self.caught_up_at = Some(now.after(catch_up));
            self.falling_behind = None;
        }
    }
}

/// A replica became a primary of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// When replication ended.
    pub at: Timestamp,
    /// The instant up to which it has every write.
    pub position: Timestamp,
    /// Since when the source could not be reached, if it could not.
    pub cut_at: Option<Timestamp>,
    /// When it took its first write; absent while it is being promoted.
    pub finished_at: Option<Timestamp>,
    /// Whether somebody did it by hand.
    pub by_hand: bool,
}

/// A database of the plan: an instance in each region and what is between them.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Its name in the plan.
    pub name: Arc<str>,
    /// The instance in the primary region.
    pub primary: DatabaseId,
    /// The replica in the standby region; absent where the plan recovers the database in another way.
    pub standby: Option<DatabaseId>,
    /// Replication.
    pub replication: Replication,
    /// What its metric shows while the link is cut.
    pub dark_lag: DarkLag,
    /// How often a promotion was begun.
    pub promotions: u64,
    /// The promotion, once it was asked for.
    pub promotion: Option<Promotion>,
    /// Whether a promotion hangs: a fault.
    pub promotion_hangs: Option<Duration>,
}

/// The host of an instance, as RDS spells it.
pub(crate) fn host(id: &DatabaseId) -> Arc<str> {
    format!("{}.c9akciq32rne.{}.rds.amazonaws.com", id.name, id.region).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_replica_that_lost_its_source_stands_where_it_stood() {
        let mut replication = Replication::new(Duration::from_secs(2));
        assert_eq!(replication.position(at(100)), at(98));
        replication.cut(at(100));
        replication.cut(at(150));
        assert_eq!(replication.position(at(200)), at(98));
        assert_eq!(replication.lag(at(200)), None);
        replication.mend(at(300), Duration::from_secs(10));
        assert_eq!(replication.lag(at(305)), Some(Duration::from_secs(207)));
        assert_eq!(replication.lag(at(310)), Some(Duration::from_secs(2)));
    }

    #[test]
    fn lag_grows_by_the_share_of_the_writes_that_are_not_replayed() {
        let mut replication = Replication::new(Duration::from_secs(1));
        replication.falling_behind = Some((at(100), 500));
        assert_eq!(replication.lag(at(100)), Some(Duration::from_secs(1)));
        assert_eq!(replication.lag(at(160)), Some(Duration::from_secs(31)));
    }

    #[test]
    fn a_quarantine_alone_does_not_end_sessions() {
        let id = DatabaseId::new(&"us-east-1".parse().unwrap(), "db");
        let mut instance = Instance {
            database: 0,
            phase: Phase::Available,
            source: None,
            host: host(&id),
            endpoint: host(&id),
            id,
            groups: Vec::new(),
            quarantined: true,
            held_sessions: 20,
            read_only: false,
            retention: 7,
            changes: 0,
            history: Vec::new(),
        };
        assert!(instance.lets_clients_in());
        instance.held_sessions = 0;
        assert!(!instance.lets_clients_in());
    }
}
