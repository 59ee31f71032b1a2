//! How long things take, as integer quantile tables. Every table names its source.
//!
//! Modelled: how long AWS works at each thing that a failover waits for, and how long API calls take. Not modelled:
//! that durations depend on one another (a large event slows everything at once) or on size and load.

use muster_core::Duration;

use crate::draw::{Draw, scale};

/// Whether things take their time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// As long as on AWS.
    #[default]
    Realistic,
    /// Every duration is a millisecond, for tests of logic.
    Instant,
}

/// The values below which 0, 10, 25, 50, 75, 90, 99 and 100 per cent of draws lie, in milliseconds; straight in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table(pub [u64; 8]);

const SHARES: [u64; 8] = [0, 1_000, 2_500, 5_000, 7_500, 9_000, 9_900, 10_000];

impl Table {
    const fn seconds(values: [u64; 8]) -> Table {
        let mut millis = values;
        let mut index = 0;
        while index < 8 {
            millis[index] *= 1_000;
            index += 1;
        }
        Table(millis)
    }

    /// The value at a draw.
    pub fn at(&self, bits: u64) -> Duration {
        // A share of ten thousand, in 2⁻²⁰ of it: fine enough that every millisecond of a table can be drawn.
        let share = scale(bits, 10_000 << 20);
        let above = SHARES.iter().position(|bound| share < bound << 20).unwrap_or(7).max(1);
        let (low, high) = (self.0[above - 1], self.0[above]);
        let (from, to) = (SHARES[above - 1] << 20, SHARES[above] << 20);
        // A table of hours, times a share of 34 bits, is far from 64.
        Duration::from_millis(low + (high - low) * (share - from) / (to - from))
    }

    /// The value that half of the draws are below.
    pub const fn median(&self) -> Duration {
        Duration::from_millis(self.0[3])
    }
}

/// A control-plane call that answers. AWS publishes no figures; RDS, EC2 and Auto Scaling answer in a few hundred
/// milliseconds, with a tail up to the attempt's budget.
pub(crate) const CONTROL_CALL: Table = Table([60, 90, 120, 180, 320, 600, 1_600, 2_600]);
/// A call to DynamoDB, S3, CloudWatch or SSM in the same region: single-digit to tens of milliseconds (DynamoDB's
/// service description promises single-digit ones).
pub(crate) const DATA_CALL: Table = Table([3, 4, 5, 8, 14, 30, 120, 600]);
/// A page of a listing of S3, or an object's head: "roughly 100–200 milliseconds" (S3 user guide, "Performance design patterns"), with a tail.
pub(crate) const LISTING: Table = Table([40, 70, 90, 130, 200, 300, 900, 2_000]);
/// A query, from a function in the VPC.
pub(crate) const QUERY: Table = Table([2, 4, 6, 10, 22, 60, 400, 1_500]);
/// A page of the service across the internet.
pub(crate) const PAGE: Table = Table([40, 60, 80, 120, 200, 420, 1_200, 2_400]);
/// A function's start: 6 ms from process start to the first poll as measured, plus the service's own start of a sandbox.
pub(crate) const COLD_START: Table = Table([8, 10, 12, 20, 60, 180, 400, 900]);

/// From PromoteReadReplica until the status leaves `available`: status lags the call (AWS documentation of the operation).
pub(crate) const PROMOTION_NOTICED: Table = Table::seconds([1, 2, 4, 8, 14, 20, 35, 60]);
/// Until the promoted replica is `available` with no source: 5–10 minutes in Basecoat's runbook; "several minutes or
/// longer" in the RDS user guide.
pub(crate) const PROMOTION: Table = Table::seconds([150, 240, 300, 400, 510, 620, 900, 1_500]);
/// A reboot without failover: the RDS user guide says that the outage depends on crash recovery; typically a minute or two.
pub(crate) const REBOOT: Table = Table::seconds([20, 30, 40, 60, 90, 120, 240, 480]);
/// The first backup of a promoted replica, during which it serves but cannot be promoted or deleted.
pub(crate) const FIRST_BACKUP: Table = Table::seconds([60, 120, 180, 300, 600, 900, 1_800, 3_600]);
/// A change of security groups takes effect.
pub(crate) const SECURITY_GROUPS: Table = Table::seconds([1, 2, 3, 5, 8, 15, 30, 45]);
/// From a larger desired capacity until an instance is `InService`: 3–10 minutes in Basecoat's runbook.
pub(crate) const INSTANCE: Table = Table::seconds([90, 150, 180, 260, 380, 500, 700, 1_200]);
/// FailoverGlobalReplicationGroup until the datastore is settled: ElastiCache's user guide promises under a minute for
/// the promotion itself; the datastore stays `modifying` longer.
pub(crate) const GLOBAL_CACHE: Table = Table::seconds([20, 35, 45, 60, 120, 240, 600, 900]);
/// A change batch until it is INSYNC: "usually within 60 seconds" (Route 53's API reference).
pub(crate) const INSYNC: Table = Table::seconds([4, 10, 18, 30, 42, 56, 120, 300]);
/// From a datapoint until a health check on its metric has flipped and the servers answer with it: the alarm's period
/// of a minute, the check's own evaluation, and propagation (Route 53 developer guide: no figure; tens of seconds).
pub(crate) const TAKEOVER: Table = Table::seconds([20, 45, 62, 80, 100, 130, 200, 320]);
/// The alarm on the probe's metric, after the last datapoint that it needs: CloudWatch evaluates each minute, late data
/// counts for a while.
pub(crate) const ALARM: Table = Table::seconds([4, 8, 15, 30, 50, 65, 100, 180]);
/// From the alarm's change of state until EventBridge has started an execution.
pub(crate) const DELIVERY: Table = Table([200, 350, 500, 800, 1_500, 3_000, 12_000, 45_000]);
/// How far a healthy cross-region replica is behind: under a second as a rule, seconds under load.
pub(crate) const LAG: Table = Table([60, 120, 200, 420, 900, 1_900, 6_000, 20_000]);
/// A replica that lost its source catches up once it is back.
pub(crate) const CATCH_UP: Table = Table::seconds([5, 10, 20, 40, 90, 180, 600, 1_200]);
/// A snapshot of an instance that has earlier ones, which is incremental: minutes (RDS user guide: depends on what changed since).
pub(crate) const SNAPSHOT: Table = Table::seconds([40, 90, 150, 240, 480, 900, 2_400, 5_400]);
/// An incremental copy across regions: minutes to hours (RDS user guide, "Copying a DB snapshot": can take hours).
pub(crate) const SNAPSHOT_COPY: Table = Table::seconds([120, 300, 480, 900, 1_800, 3_600, 9_000, 18_000]);
/// An export of a snapshot to S3: half an hour to most of a day (RDS user guide, "Exporting DB snapshot data to Amazon S3": depends on the data; the
/// snapshot is restored first).
pub(crate) const EXPORT: Table = Table::seconds([1_800, 2_400, 3_600, 5_400, 10_800, 21_600, 43_200, 86_400]);
/// A restore of a snapshot until the instance serves: "several minutes" to hours (RDS user guide, "Restoring to a DB instance": depends on size and class).
pub(crate) const RESTORE: Table = Table::seconds([300, 480, 600, 900, 1_500, 2_700, 5_400, 10_800]);
/// A load of a dump by pg_restore, from the build's order to its end: minutes to hours. PostgreSQL gives no figure: it depends on size, indices and jobs;
/// Kaireon's runbook plans two hours for the whole verification.
pub(crate) const LOAD: Table = Table::seconds([240, 600, 1_200, 2_100, 3_300, 4_500, 6_000, 7_200]);
/// A deletion of an instance without a final snapshot, until it is gone: minutes.
pub(crate) const DELETION: Table = Table::seconds([60, 120, 180, 240, 360, 540, 900, 1_800]);
/// A person looks at the phone and answers.
pub(crate) const PERSON: Table = Table::seconds([20, 60, 120, 240, 480, 900, 2_400, 5_400]);

/// Draws durations under a profile.
#[derive(Clone, Copy, Debug)]
pub struct Durations {
    draw: Draw,
    profile: Profile,
}

impl Durations {
    /// The durations of a seed.
    pub const fn new(draw: Draw, profile: Profile) -> Self {
        Durations { draw, profile }
    }

    /// How long the `ordinal`th `operation` on `resource` takes: at least a millisecond.
    pub fn of(&self, table: &Table, resource: &str, operation: &str, ordinal: u64) -> Duration {
        self.drawn(table, self.draw.bits(resource, operation, ordinal))
    }

    /// How long something takes for which `bits` were drawn: at least a millisecond.
    pub(crate) fn drawn(&self, table: &Table, bits: u64) -> Duration {
        match self.profile {
            Profile::Instant => Duration::from_millis(1),
            Profile::Realistic => table.at(bits).max(Duration::from_millis(1)),
        }
    }

    /// An instant within a minute: what begins by itself does not begin on the full one.
    pub fn within_a_minute(&self, what: &str) -> Duration {
        match self.profile {
            Profile::Instant => Duration::ZERO,
            Profile::Realistic => Duration::from_millis(self.draw.below(what, "within a minute", 0, 60_000)),
        }
    }

    /// The draws behind.
    pub const fn draw(&self) -> Draw {
        self.draw
    }

    /// The profile.
    pub const fn profile(&self) -> Profile {
        self.profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: [Table; 21] = [
        CONTROL_CALL,
        DATA_CALL,
        QUERY,
        PAGE,
        COLD_START,
        PROMOTION_NOTICED,
        PROMOTION,
        REBOOT,
        FIRST_BACKUP,
        SECURITY_GROUPS,
        INSTANCE,
        GLOBAL_CACHE,
        INSYNC,
        TAKEOVER,
        ALARM,
        DELIVERY,
        LAG,
        CATCH_UP,
        PERSON,
        RESTORE,
        DELETION,
    ];

    #[test]
    fn every_table_rises() {
        for table in TABLES {
            assert!(table.0.windows(2).all(|pair| pair[0] <= pair[1]), "{table:?}");
        }
    }

    #[test]
    fn draws_follow_the_table() {
        let durations = Durations::new(Draw::new(3), Profile::Realistic);
        let mut drawn: Vec<_> = (0..4_000).map(|ordinal| durations.of(&PROMOTION, "replica", "promotion", ordinal).as_millis()).collect();
        drawn.sort_unstable();
        let near = |value: u64, wanted: u64| value.abs_diff(wanted) * 20 < wanted;
        assert!(near(drawn[2_000], PROMOTION.0[3]), "{}", drawn[2_000]);
        assert!(near(drawn[3_600], PROMOTION.0[5]), "{}", drawn[3_600]);
        assert!(drawn[0] >= PROMOTION.0[0] && drawn[3_999] <= PROMOTION.0[7]);
    }

    #[test]
    fn the_ends_of_a_table_are_reached_and_not_passed() {
        assert_eq!(REBOOT.at(0).as_millis(), REBOOT.0[0]);
        assert!(REBOOT.at(u64::MAX).as_millis() <= REBOOT.0[7]);
    }
}
