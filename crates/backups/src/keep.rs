//! Which recovery points a retention wants: grandfather, father, son.

use std::collections::BTreeSet;
use std::fmt;

use muster_core::{Duration, Timestamp};
use muster_plan::Retention;
use serde::Serialize;

use crate::calendar::{day, month, week, year};
use crate::point::{Place, RecoveryPoint};

/// Why a recovery point is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "why", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Keep {
    /// It is younger than the RPO, or than the age at which a backup counts as late.
    Young {
        /// That age.
        than: Duration,
    },
    /// It is the newest of its day, week, month or year, and so many are kept.
    Generation {
        /// Which of them.
        period: Period,
    },
    /// It is not as old yet as its retention says.
    Within {
        /// The retention.
        keep: Duration,
    },
    /// It is one of the newest so many.
    Version {
        /// So many.
        keep: u32,
    },
    /// Its retention has no end.
    Indefinitely,
    /// Its bucket's lifecycle deletes it, and Muster does not.
    Lifecycle,
    /// It is the last good one of its part in its place.
    LastGood,
    /// Something uses it.
    InUse {
        /// What.
        by: String,
    },
    /// Its copy is not there yet.
    AwaitsCopy {
        /// Where.
        to: Place,
    },
    /// It is under legal hold.
    LegalHold {
        /// Whose, and why.
        hold: String,
    },
    /// It is being made.
    UnderWay,
    /// It claims to be of the future: a clock was wrong.
    FromTheFuture,
    /// Muster did not make it, and the plan does not adopt it.
    NotOurs,
    /// Muster made it for a backup that the plan does not have any more.
    NoSuchBackup,
    /// The place could not be read to its end.
    Unread,
    /// The kill switch is set.
    KillSwitch,
}

/// A calendar's period, in UTC; weeks begin on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Period {
    /// A day.
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Period::Day => "daily",
            Period::Week => "weekly",
            Period::Month => "monthly",
            Period::Year => "yearly",
        })
    }
}

impl Period {
    /// A number that all instants of one period share, and no others.
    fn of(self, instant: Timestamp) -> Option<(i16, i16)> {
        match self {
            Period::Day => day(instant).map(|day| (day.year(), day.day_of_year())),
            Period::Week => week(instant).map(|(year, week)| (year, i16::from(week))),
            Period::Month => month(instant).map(|(year, month)| (year, i16::from(month))),
            Period::Year => year(instant).map(|year| (year, 0)),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Keep::Young { than } => write!(f, "younger than {than}"),
            Keep::Generation { period } => period.fmt(f),
            Keep::Within { keep } => write!(f, "kept for {keep}"),
            Keep::Version { keep } => write!(f, "one of the newest {keep}"),
            Keep::Indefinitely => f.write_str("kept for ever"),
            Keep::Lifecycle => f.write_str("its bucket's lifecycle deletes it"),
            Keep::LastGood => f.write_str("the last good one"),
            Keep::InUse { by } => write!(f, "used by {by}"),
            Keep::AwaitsCopy { to } => write!(f, "waits for its copy in {to}"),
            Keep::LegalHold { hold } => write!(f, "under legal hold by {hold}"),
            Keep::UnderWay => f.write_str("being made"),
            Keep::FromTheFuture => f.write_str("dated in the future: a clock was wrong"),
            Keep::NotOurs => f.write_str("not made by Muster, and not adopted"),
            Keep::NoSuchBackup => f.write_str("made for a backup that the plan no longer has"),
            Keep::Unread => f.write_str("its region could not be read to the end"),
            Keep::KillSwitch => f.write_str("the kill switch is set"),
        }
    }
}

/// What a retention wants of each of the points, which are of one line and one place, in any order. Only good points are wanted, and only good ones
/// stand for their day, week, month or year: one that cannot be restored from replaces nothing.
///
/// Of each period, the newest stands for it; so whoever is wanted at some time was wanted at all times before, and nothing is deleted today that
/// would be asked for tomorrow. Periods without any are not counted: where backups stop, the old ones stay.
pub(crate) fn wanted(points: &[&RecoveryPoint], retention: &Retention, protects: Duration, now: Timestamp) -> Vec<Vec<Keep>> {
    let newest_first = newest_first(points, now);
    let mut reasons: Vec<Vec<Keep>> = vec![Vec::new(); points.len()];
    for index in &newest_first {
        if now.since(points[*index].taken_at) < protects {
            reasons[*index].push(Keep::Young { than: protects });
        }
    }
    match retention {
        Retention::For { keep } => {
            for index in newest_first.iter().filter(|index| now.since(points[**index].taken_at) < *keep) {
                reasons[*index].push(Keep::Within { keep: *keep });
            }
        }
        Retention::Versions { keep } => {
            for index in newest_first.iter().take(*keep as usize) {
                reasons[*index].push(Keep::Version { keep: *keep });
            }
        }
        Retention::Indefinite => {
            for index in &newest_first {
                reasons[*index].push(Keep::Indefinitely);
            }
        }
        Retention::Generations { daily, weekly, monthly, yearly } => {
            for (period, count) in [(Period::Day, daily), (Period::Week, weekly), (Period::Month, monthly), (Period::Year, yearly)] {
                let mut seen = BTreeSet::new();
                for index in &newest_first {
                    if seen.len() == *count as usize {
                        break;
                    }
                    if seen.insert(period.of(points[*index].stands_for())) {
                        reasons[*index].push(Keep::Generation { period });
                    }
                }
            }
        }
    }
    reasons
}

/// The good points that stand for a day: the newest of each.
pub(crate) fn newest_of_days<'a>(points: &[&'a RecoveryPoint], now: Timestamp) -> Vec<&'a RecoveryPoint> {
    let mut seen = BTreeSet::new();
    newest_first(points, now).into_iter().map(|index| points[index]).filter(|point| seen.insert(Period::Day.of(point.stands_for()))).collect()
}

fn newest_first(points: &[&RecoveryPoint], now: Timestamp) -> Vec<usize> {
    let mut good: Vec<usize> = (0..points.len()).filter(|index| points[*index].is_good(now)).collect();
    good.sort_by(|a, b| (points[*b].taken_at, &points[*b].name).cmp(&(points[*a].taken_at, &points[*a].name)));
    good
}
