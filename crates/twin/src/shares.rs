//! How clients divide between the two regions over time, and what an instance confirmed of their writes.
//!
//! The division is linear between changes. It is kept once, with running totals, and every instance keeps only from when on it confirmed which part of
//! what comes from either region. So what a thousand databases confirmed costs what their own changes cost, however often names move meanwhile.

use std::collections::BTreeMap;

use crate::clients::Side;

/// How long before a rehearsal clients are known to have written as they do at its beginning: a day, in milliseconds. A replica may be further behind
/// than the rehearsal is long.
const BEFORE: i64 = 86_400_000;

/// Something of each region: clients, or parts of what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Divided {
    pub(crate) primary: u128,
    pub(crate) standby: u128,
}

impl Divided {
    /// All of it, where each region counts with a rate of its own.
    pub(crate) fn at(self, rates: Rates) -> u128 {
        self.primary * u128::from(rates.primary) + self.standby * u128::from(rates.standby)
    }

    fn map(self, other: Divided, of: impl Fn(u128, u128) -> u128) -> Divided {
        Divided { primary: of(self.primary, other.primary), standby: of(self.standby, other.standby) }
    }
}

/// What becomes of the requests that come from either region, in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    pub(crate) primary: u64,
    pub(crate) standby: u64,
}

/// A stretch in which the division is linear.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: i64,
    until: i64,
    start: Divided,
    end: Divided,
    /// Twice the integral of all stretches before it.
    doubled: Divided,
    /// How long, in all stretches before it, there were clients on either side.
    millis: Divided,
}

impl Stretch {
    /// Twice the integral over a part of it, at these rates.
    fn doubled_between(&self, from: i64, until: i64, rates: Rates) -> u128 {
        let (from, until) = (from.clamp(self.from, self.until), until.clamp(self.from, self.until));
        let whole = u128::from(self.until.abs_diff(self.from)).max(1);
        let (start, end) = (self.start.at(rates), self.end.at(rates));
        // On the straight line.
        let at = |instant: i64| {
            let rest = u128::from(self.until.abs_diff(instant));
            (start * rest + end * (whole - rest)) / whole
        };
        (at(from) + at(until)) * u128::from(until.abs_diff(from))
    }

    fn length(&self) -> u128 {
        u128::from(self.until.abs_diff(self.from))
    }

    /// How long it lasts for those who have clients in it.
    fn millis_between(&self, from: i64, until: i64, rates: Rates) -> u128 {
        let length = u128::from(until.min(self.until).saturating_sub(from.max(self.from)).max(0).unsigned_abs());
        let there = (rates.primary > 0 && self.start.primary + self.end.primary > 0) || (rates.standby > 0 && self.start.standby + self.end.standby > 0);
        if there { length } else { 0 }
    }

    fn doubled_after(&self) -> Divided {
        let own = self.start.map(self.end, |start, end| (start + end) * self.length());
        self.doubled.map(own, |before, own| before + own)
    }

    fn millis_after(&self) -> Divided {
        let own = self.start.map(self.end, |start, end| if start + end > 0 { self.length() } else { 0 });
        self.millis.map(own, |before, own| before + own)
    }
}

/// The division over time.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    /// All clients.
    whole: i128,
    /// How many are on the standby now, and by how many that grows in a millisecond.
    standby: i128,
    slope: i128,
    /// Where the slope changes: an old answer has left every cache.
    bends: BTreeMap<i64, i128>,
    stretches: Vec<Stretch>,
}

impl Shares {
    /// `whole` clients, all of them on the primary, until `started`.
    pub(crate) fn new(started: i64, whole: u128) -> Self {
        let all = Divided { primary: whole, standby: 0 };
        let first = Stretch { from: started - BEFORE, until: started, start: all, end: all, doubled: Divided::default(), millis: Divided::default() };
        Shares { whole: i128::try_from(whole).unwrap_or(i128::MAX), standby: 0, slope: 0, bends: BTreeMap::new(), stretches: vec![first] }
    }

    fn now(&self) -> i64 {
        self.stretches.last().map_or(0, |last| last.until)
    }

    /// From now on a name is answered with the other side: `weight` clients a millisecond follow, until the old answer has left every cache.
    pub(crate) fn turn(&mut self, ttl: u64, weight: u64, to: Side) {
        let growth = if to == Side::Standby { i128::from(weight) } else { -i128::from(weight) };
        self.slope += growth;
        *self.bends.entry(self.now() + i64::try_from(ttl).unwrap_or(i64::MAX / 4)).or_insert(0) -= growth;
    }

    /// The division at the beginning and at the end of the next stretch, which ends at `until` or at an earlier bend; and where it ends.
    pub(crate) fn advance(&mut self, until: i64) -> (Divided, Divided, i64) {
        let from = self.now();
        let bend = self.bends.first_key_value().map(|(at, _)| *at).filter(|at| *at <= until);
        let to = bend.unwrap_or(until);
        let start = self.divided();
        self.standby += self.slope * i128::from(to - from);
        if bend.is_some() {
            self.slope += self.bends.pop_first().map_or(0, |(_, change)| change);
        }
        let end = self.divided();
        match self.stretches.last_mut().filter(|last| last.start == last.end && start == end && last.end == start) {
            Some(last) => last.until = to,
            None => {
                let (doubled, millis) = self.stretches.last().map_or_else(Default::default, |last| (last.doubled_after(), last.millis_after()));
                self.stretches.push(Stretch { from, until: to, start, end, doubled, millis });
            }
        }
        (start, end, to)
    }

    fn divided(&self) -> Divided {
        let standby = self.standby.clamp(0, self.whole);
        Divided { primary: (self.whole - standby).unsigned_abs(), standby: standby.unsigned_abs() }
    }

    /// The stretches at both ends of a span, by position; `None` where it is empty or not known.
    fn ends(&self, from: i64, until: i64) -> Option<(usize, usize)> {
        let first = self.stretches.partition_point(|stretch| stretch.until <= from);
        let last = self.stretches.partition_point(|stretch| stretch.from < until).checked_sub(1)?;
        (from < until && first <= last).then_some((first, last))
    }

    /// Twice the integral over a span, at constant rates.
    fn doubled(&self, from: i64, until: i64, rates: Rates) -> u128 {
        let Some((first, last)) = self.ends(from, until) else { return 0 };
        let (one, other) = (&self.stretches[first], &self.stretches[last]);
        if first == last {
            return one.doubled_between(from, until, rates);
        }
        let between = other.doubled.map(one.doubled_after(), |until, from| until - from);
        one.doubled_between(from, one.until, rates) + between.at(rates) + other.doubled_between(other.from, until, rates)
    }

    /// For how many milliseconds of a span there were clients on a side that counts.
    fn millis(&self, from: i64, until: i64, rates: Rates) -> u128 {
        let Some((first, last)) = self.ends(from, until) else { return 0 };
        let (one, other) = (&self.stretches[first], &self.stretches[last]);
        if first == last {
            return one.millis_between(from, until, rates);
        }
        let between = other.millis.map(one.millis_after(), |until, from| until - from);
        let counted = match (rates.primary > 0, rates.standby > 0) {
            // On one side or the other there is always somebody.
            (true, true) => u128::from(other.from.abs_diff(one.until)),
            (true, false) => between.primary,
            (false, true) => between.standby,
            (false, false) => 0,
        };
        one.millis_between(from, one.until, rates) + counted + other.millis_between(other.from, until, rates)
    }
}

/// The confirmed writes of one instance of a database: from when on it confirmed what.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    pieces: Vec<(i64, Rates)>,
}

impl Writes {
    /// From `at` on it confirms this much; `at` never runs backwards.
    pub(crate) fn confirm(&mut self, at: i64, rates: Rates) {
        match self.pieces.last_mut() {
            Some((_, last)) if *last == rates => {}
            Some((from, last)) if *from == at => *last = rates,
            Some(_) => self.pieces.push((at, rates)),
            // Clients were there before.
            None => self.pieces.push((at - BEFORE, rates)),
        }
    }

    /// What it confirmed in which part of a span.
    fn between(&self, from: i64, until: i64) -> impl Iterator<Item = (i64, i64, Rates)> {
        let first = self.pieces.partition_point(|(began, _)| *began <= from).saturating_sub(1);
        self.pieces[first..].iter().enumerate().map_while(move |(index, (began, rates))| {
            let ended = self.pieces.get(first + index + 1).map_or(until, |(next, _)| (*next).min(until));
            (*began < until).then_some(((*began).max(from), ended, *rates))
        })
    }

    /// Twice the integral over a span.
    pub(crate) fn doubled(&self, shares: &Shares, from: i64, until: i64) -> u128 {
        self.between(from, until).map(|(from, until, rates)| shares.doubled(from, until, rates)).sum()
    }

    /// For how many milliseconds of a span writes were confirmed.
    pub(crate) fn millis(&self, shares: &Shares, from: i64, until: i64) -> u128 {
        self.between(from, until).map(|(from, until, rates)| shares.millis(from, until, rates)).sum()
    }
}
