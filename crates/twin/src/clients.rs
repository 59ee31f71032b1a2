//! Clients as rates: integrated exactly between changes of the estate, with integers, never simulated one by one.
//!
//! A client keeps a DNS answer for the record's TTL, and clients ask at evenly spread instants. So at any instant the
//! share of clients on a region is the share of the last TTL in which the servers answered with it: linear between
//! changes, and exact however often the answer flips. A request succeeds with the region's success rate.
//!
//! Modelled: what share of requests succeeds when; which writes were confirmed by which database, and when the last of
//! them was. Not modelled: retries and queues of clients, load that rises after an outage, resolvers that keep answers
//! longer than they may.

use muster_core::{Duration, Timestamp};
use muster_report::CurveSegment;

pub use crate::shares::Writes;
use crate::shares::{Rates, Shares};

/// A whole, in parts per million.
pub(crate) const ALL: u64 = 1_000_000;

/// Which region's endpoint a name points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The primary's.
    Primary,
    /// The standby's.
    Standby,
}

/// What the authoritative servers answered for a name, and from when on.
#[derive(Clone, Debug)]
pub struct Answers {
    ttl: i64,
    history: Vec<(i64, Side)>,
}

impl Answers {
    /// A name that has always pointed to the primary, and whose answers are kept for `ttl` milliseconds.
    pub fn new(ttl: u64) -> Self {
        Answers { ttl: i64::try_from(ttl).unwrap_or(i64::MAX / 4).clamp(1, i64::MAX / 4), history: vec![(i64::MIN / 2, Side::Primary)] }
    }

    /// How long clients keep an answer, in milliseconds.
    pub fn ttl(&self) -> u64 {
        self.ttl.unsigned_abs()
    }

    /// What the servers answer now.
    pub fn current(&self) -> Side {
        self.history.last().map_or(Side::Primary, |(_, side)| *side)
    }

    /// When they began to.
    pub fn since(&self) -> Timestamp {
        Timestamp::from_millis(self.history.last().map_or(i64::MIN / 2, |(at, _)| *at))
    }

    /// From `at` on the servers answer with `side`. `at` never runs backwards.
    pub fn change(&mut self, at: Timestamp, side: Side) {
        if self.current() != side {
            self.history.push((at.as_millis(), side));
        }
    }

    /// Milliseconds of the last TTL before `at` in which the answer was the standby: the share of clients there, times the TTL.
    fn on_standby(&self, at: i64) -> u64 {
        let from = at.saturating_sub(self.ttl);
        let mut total = 0;
        for (index, (began, side)) in self.history.iter().enumerate() {
            let ended = self.history.get(index + 1).map_or(at, |(next, _)| (*next).min(at));
            let began = (*began).max(from);
            if *side == Side::Standby && ended > began {
                total += ended - began;
            }
        }
        u64::try_from(total).unwrap_or(0)
    }

    /// The instant by which every client follows the present answer.
    pub fn settled_at(&self) -> Timestamp {
        Timestamp::from_millis(self.history.last().map_or(i64::MIN, |(at, _)| at.saturating_add(self.ttl)))
    }
}

/// What a region does for the clients that come to it, in parts per million; constant between changes of the estate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Requests that succeed.
    pub success: u64,
}

/// The writes of one database: to its instance in either region.
#[derive(Clone, Debug, Default)]
pub struct Lineages {
    /// What the primary region's instance confirmed.
    pub primary: Writes,
    /// What the standby region's instance confirmed.
    pub standby: Writes,
}

/// The clients of a service.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Requests per second.
    rate: u64,
    /// The share of them that write, in parts per million.
    write_share: u64,
    /// Common multiple of the records' TTLs: shares are counted in it, so that they add up exactly.
    scale: u64,
    records: u64,
    started: Timestamp,
    integrated_until: i64,
    /// How they divide between the regions.
    shares: Shares,
    curve: Vec<CurveSegment>,
    /// Successes, in 1/(2 · 1,000 · 10⁶ · scale · records) of a request.
    successes: u128,
    /// By database, in the plan's order.
    databases: Vec<Lineages>,
}

impl Clients {
    /// Clients that send `rate` requests per second from `start` on, spread evenly over the records.
    pub fn new(start: Timestamp, rate: u32, write_share_ppm: u64, records: &[Answers], databases: usize) -> Self {
        let count = u64::try_from(records.len()).unwrap_or(1).max(1);
        let scale = records.iter().map(Answers::ttl).fold(1, common_multiple);
        Clients {
            rate: u64::from(rate),
            write_share: write_share_ppm.min(ALL),
            scale,
            records: count,
            started: start,
            integrated_until: start.as_millis(),
            shares: Shares::new(start.as_millis(), u128::from(scale) * u128::from(count)),
            curve: Vec::new(),
            successes: 0,
            databases: vec![Lineages::default(); databases],
        }
    }

    /// From now on the servers answer a name, whose answers are kept for `ttl` milliseconds, with the other side.
    pub(crate) fn turn(&mut self, ttl: u64, to: Side) {
        self.shares.turn(ttl, self.scale / ttl.max(1), to);
    }

    /// From now on a database's instance in the primary region confirms these parts of the writes that come from either region, and its instance in
    /// the standby region those.
    pub(crate) fn confirm(&mut self, database: usize, by_primary: Rates, by_standby: Rates) {
        if let Some(lineages) = self.databases.get_mut(database) {
            lineages.primary.confirm(self.integrated_until, by_primary);
            lineages.standby.confirm(self.integrated_until, by_standby);
        }
    }

    /// Integrates until `until`, during which nothing changed: `success` is the part of requests that either region answers.
    pub(crate) fn integrate(&mut self, until: Timestamp, success: Rates) {
        let until = until.as_millis();
        while self.integrated_until < until {
            let from = self.integrated_until;
            let (start, end, to) = self.shares.advance(until);
            let (first, last) = (start.at(success), end.at(success));
            self.successes += (first + last) * u128::from(to.abs_diff(from)) * u128::from(self.rate);
            self.draw(from, to, first, last);
            self.integrated_until = to;
        }
    }

    /// Requests that clients sent to a side in the minute until `until`, by its shares of them at the two ends of that minute.
    pub fn requests<'a>(&self, until: Timestamp, records: impl Iterator<Item = &'a Answers> + Clone, side: Side) -> u64 {
        let share = |at: i64| {
            let (primary, standby) = self.shares(at, records.clone());
            if side == Side::Standby { standby } else { primary }
        };
        let both = share(until.as_millis() - 60_000) + share(until.as_millis());
        narrow(both * u128::from(self.rate) * 30 / (u128::from(self.scale) * u128::from(self.records)))
    }

    /// The share of requests that write, in parts per million.
    pub fn write_share(&self) -> u64 {
        self.write_share
    }

    /// The shares of clients on either side at an instant, together `scale` times the number of records.
    fn shares<'a>(&self, at: i64, records: impl Iterator<Item = &'a Answers>) -> (u128, u128) {
        let whole = u128::from(self.scale) * u128::from(self.records);
        let standby: u128 = records.map(|answers| u128::from(answers.on_standby(at)) * u128::from(self.scale / answers.ttl())).sum();
        (whole.saturating_sub(standby), standby)
    }

    fn draw(&mut self, from: i64, until: i64, first: u128, last: u128) {
        let whole = u128::from(self.scale) * u128::from(self.records);
        let ppm = |rate: u128| u32::try_from(rate / whole).unwrap_or(u32::MAX);
        let (start, end) = (ppm(first), ppm(last));
        let (from, until) = (Timestamp::from_millis(from), Timestamp::from_millis(until));
        match self.curve.last_mut() {
            Some(segment) if segment.success_ppm_start == segment.success_ppm_end && start == end && segment.success_ppm_end == start => segment.until = until,
            _ => self.curve.push(CurveSegment { from, until, success_ppm_start: start, success_ppm_end: end }),
        }
    }

    /// The success rate over time.
    pub fn curve(&self) -> &[CurveSegment] {
        &self.curve
    }

    /// Requests that succeeded so far, rounded down.
    pub fn succeeded(&self) -> u64 {
        narrow(self.successes / (2_000 * u128::from(ALL) * u128::from(self.scale) * u128::from(self.records)))
    }

    /// A database's writes.
    pub fn lineages(&self, database: usize) -> Option<&Lineages> {
        self.databases.get(database)
    }

    /// Confirmed writes of an instance since an instant, rounded down.
    pub fn writes_since(&self, writes: &Writes, since: Timestamp) -> u64 {
        let unit = 2_000 * u128::from(ALL) * u128::from(ALL) * u128::from(self.scale) * u128::from(self.records);
        narrow(writes.doubled(&self.shares, since.as_millis(), self.integrated_until) * u128::from(self.rate) * u128::from(self.write_share) / unit)
    }

    /// How long an instance confirmed writes from `since` until `until`: a gap without writes is no loss.
    pub fn span(&self, writes: &Writes, since: Timestamp, until: Timestamp) -> Duration {
        let until = until.as_millis().min(self.integrated_until);
        Duration::from_millis(narrow(writes.millis(&self.shares, since.as_millis(), until)))
    }

    /// Confirmed writes of an instance since the rehearsal began, rounded down.
    pub fn writes(&self, writes: &Writes) -> u64 {
        self.writes_since(writes, self.started)
    }
}

fn narrow(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn common_multiple(one: u64, other: u64) -> u64 {
    let (mut a, mut b) = (one, other);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    // TTLs are minutes at most; a plan with absurd ones loses exactness, not sense.
    (one / a.max(1)).checked_mul(other).filter(|multiple| *multiple < 1 << 40).unwrap_or(one.max(other))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Integrates with the success of either region, and what the primary's instance confirms of either's writes.
    fn integrate(clients: &mut Clients, until: i64, primary: (u64, u64), standby: (u64, u64)) {
        clients.confirm(0, Rates { primary: primary.1, standby: standby.1 }, Rates::default());
        clients.integrate(at(until), Rates { primary: primary.0, standby: standby.0 });
    }

    #[test]
    fn after_a_flip_the_old_share_falls_linearly_to_nothing_over_the_ttl() {
        let mut answers = Answers::new(60_000);
        answers.change(at(100_000), Side::Standby);
        assert_eq!(answers.on_standby(100_000), 0);
        assert_eq!(answers.on_standby(130_000), 30_000);
        assert_eq!(answers.on_standby(160_000), 60_000);
        assert_eq!(answers.on_standby(999_000), 60_000);
        assert_eq!(answers.settled_at(), at(160_000));
    }

    #[test]
    fn the_curve_reaches_full_service_when_the_last_cache_has_expired() {
        let answers = Answers::new(60_000);
        let mut clients = Clients::new(at(0), 10, 200_000, std::slice::from_ref(&answers), 1);
        integrate(&mut clients, 100_000, (0, 0), (ALL, 0));
        clients.turn(60_000, Side::Standby);
        integrate(&mut clients, 300_000, (0, 0), (ALL, 0));
        let curve = clients.curve();
        assert_eq!(curve.len(), 3);
        assert_eq!((curve[1].from, curve[1].until), (at(100_000), at(160_000)));
        assert_eq!((curve[1].success_ppm_start, curve[1].success_ppm_end), (0, 1_000_000));
        // Half of 60 s and all of 140 s, at ten a second.
        assert_eq!(clients.succeeded(), 300 + 1_400);
    }

    #[test]
    fn writes_are_counted_from_any_instant_on() {
        let answers = Answers::new(60_000);
        let mut clients = Clients::new(at(0), 10, 200_000, std::slice::from_ref(&answers), 1);
        integrate(&mut clients, 100_000, (ALL, ALL), (0, 0));
        integrate(&mut clients, 200_000, (0, 0), (0, 0));
        let writes = &clients.lineages(0).unwrap().primary;
        assert_eq!(clients.writes(writes), 200);
        assert_eq!(clients.writes_since(writes, at(95_000)), 10);
    }

    #[test]
    fn a_gap_without_writes_is_no_loss() {
        let answers = Answers::new(60_000);
        let mut clients = Clients::new(at(0), 10, 200_000, std::slice::from_ref(&answers), 1);
        for (until, rate) in [(100_000, ALL), (400_000, 0), (450_000, ALL)] {
            integrate(&mut clients, until, (rate, rate), (0, 0));
        }
        let writes = &clients.lineages(0).unwrap().primary;
        assert_eq!(clients.span(writes, at(90_000), at(410_000)), Duration::from_secs(20));
        assert_eq!(clients.span(writes, at(100_000), at(400_000)), Duration::ZERO);
    }

    proptest! {
        /// Whatever the flips and the rates, the integral is what adding up small steps gives.
        #[test]
        fn the_integral_equals_a_fine_sum(
            ttl in 100_u64..9_000,
            flips in proptest::collection::vec((1_i64..8_000, prop::bool::ANY), 0..6),
            rates in proptest::collection::vec((0..=ALL, 0..=ALL, 0..=ALL), 7),
            since in 0_i64..20_000,
        ) {
            let mut answers = Answers::new(ttl);
            let mut clients = Clients::new(at(0), 10_000, 300_000, std::slice::from_ref(&answers), 1);
            let mut now = 0;
            let mut stretches = Vec::new();
            for (index, (gap, standby)) in flips.iter().enumerate() {
                let (one, other, writes) = rates[index];
                integrate(&mut clients, now + gap, (one, writes), (other, 0));
                stretches.push((now, now + gap, rates[index]));
                now += gap;
                let side = if *standby { Side::Standby } else { Side::Primary };
                if side != answers.current() {
                    clients.turn(ttl, side);
                }
                answers.change(at(now), side);
            }
            let (one, other, writes) = rates[6];
            integrate(&mut clients, now + 10_000, (one, writes), (other, 0));
            stretches.push((now, now + 10_000, rates[6]));

            let (mut successes, mut lost) = (0_u128, 0_u128);
            for (from, until, (one, other, writes)) in stretches {
                for instant in from..until {
                    // The mean of a linear rate over a millisecond is the mean of its ends.
                    let (start, end) = (answers.on_standby(instant), answers.on_standby(instant + 1));
                    let standby = u128::from(start + end);
                    let primary = 2 * u128::from(ttl) - standby;
                    successes += primary * u128::from(one) + standby * u128::from(other);
                    if instant >= since {
                        lost += primary * u128::from(writes);
                    }
                }
            }
            let unit = 2 * u128::from(ttl) * 1_000 * u128::from(ALL);
            prop_assert_eq!(u128::from(clients.succeeded()), successes * 10_000 / unit);
            let counted = clients.writes_since(&clients.lineages(0).unwrap().primary, at(since));
            let wanted = u64::try_from(lost * 10_000 * 300_000 / u128::from(ALL) / unit).unwrap();
            prop_assert!(counted.abs_diff(wanted) <= 1, "{} {}", counted, wanted);
        }
    }
}
