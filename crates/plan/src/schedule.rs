//! Schedules as people write them, in UTC: `first Monday 02:00 UTC`, `daily 02:00 UTC`, `every 6h`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use muster_core::{Duration, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// When something happens, again and again. All times are in UTC.
///
/// - `every 6h` (counted from midnight; divides a day)
/// - `daily 02:00 UTC`
/// - `Sunday 03:00 UTC` (each week)
/// - `first Monday 02:00 UTC` (each month; also `second`, `third`, `fourth`, `last`)
/// - `day 1 02:00 UTC` (each month)
/// - `first Monday of January, July 02:00 UTC`, `day 15 of June 09:00 UTC` (in these months)
/// - `quarterly first Monday 02:00 UTC` (January, April, July, October)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At midnight and then again and again, this far apart. Divides a day.
    Every(Duration),
    /// On days of a kind, at a time of day.
    On {
        /// The days.
        days: Days,
        /// The months that it is limited to, from 1 to 12, ascending; none means all.
        months: Vec<i8>,
        /// The time of day, in minutes after midnight UTC.
        minute: u16,
    },
}

/// The days of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Days {
    /// Every day.
    Daily,
    /// Every week, on this day.
    Weekly(Weekday),
    /// The nth such day of a month, from 1 to 4; -1 is the last.
    Nth(i8, Weekday),
    /// This day of a month, from 1 to 28: later days are missing from some months.
    DayOfMonth(i8),
}

/// Why a text is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a schedule: {why}; write, for example, `first Monday 02:00 UTC`, `daily 02:00 UTC`, `day 1 of June 09:00 UTC` or `every 6h`")]
pub struct InvalidSchedule {
    text: String,
    why: String,
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("Monday", Weekday::Monday),
    ("Tuesday", Weekday::Tuesday),
    ("Wednesday", Weekday::Wednesday),
    ("Thursday", Weekday::Thursday),
    ("Friday", Weekday::Friday),
    ("Saturday", Weekday::Saturday),
    ("Sunday", Weekday::Sunday),
];
const ORDINALS: [(&str, i8); 5] = [("first", 1), ("second", 2), ("third", 3), ("fourth", 4), ("last", -1)];
const MONTHS: [&str; 12] = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const QUARTERS: [i8; 4] = [1, 4, 7, 10];
const DAY: Duration = Duration::from_hours(24);

impl Schedule {
    /// The first occurrence after `instant`; `None` only beyond the calendar's end.
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        match self {
            Schedule::Every(period) => {
                let period = i64::try_from(period.as_millis()).ok().filter(|period| *period > 0)?;
                let next = instant.as_millis().div_euclid(period).checked_add(1)?.checked_mul(period)?;
                Some(Timestamp::from_millis(next))
            }
            Schedule::On { days, months, minute } => {
                let time = i64::from(*minute) * 60_000;
                let mut day = date_of(instant)?;
                // A leap day is never asked for; from the first Thursday of a January to the next are at most 371 days.
                for _ in 0..=372 {
                    if is_on(day, *days, months) {
                        let at = Timestamp::from_millis(midnight(day).checked_add(time)?);
                        if at > instant {
                            return Some(at);
                        }
                    }
                    day = day.tomorrow().ok()?;
                }
                None
            }
        }
    }

    /// The longest time between two occurrences.
    pub fn longest_gap(&self) -> Duration {
        match self {
            Schedule::Every(period) => *period,
            Schedule::On { days, months, .. } if months.is_empty() => match days {
                Days::Daily => DAY,
                Days::Weekly(_) => DAY.times(7),
                Days::Nth(..) => DAY.times(35),
                Days::DayOfMonth(_) => DAY.times(31),
            },
            Schedule::On { days, months, .. } => {
                let following = months.iter().skip(1).chain(months.first());
                let gap = months.iter().zip(following).map(|(from, to)| if to > from { to - from } else { to - from + 12 }).max().unwrap_or(12);
                // The nth weekday moves by up to six days within its month.
                let shift = if matches!(days, Days::Nth(..)) { 6 } else { 0 };
                DAY.times(31 * u64::from(gap.unsigned_abs()) + shift)
            }
        }
    }
}

fn date_of(instant: Timestamp) -> Option<Date> {
    let days = i32::try_from(instant.as_millis().div_euclid(86_400_000)).ok()?;
    let epoch = Date::new(1970, 1, 1).ok()?;
    epoch.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

fn midnight(day: Date) -> i64 {
    let epoch = Date::constant(1970, 1, 1);
    day.duration_since(epoch).as_secs().saturating_mul(1_000)
}

fn is_on(day: Date, days: Days, months: &[i8]) -> bool {
    if !months.is_empty() && !months.contains(&day.month()) {
        return false;
    }
    match days {
        Days::Daily => true,
        Days::Weekly(weekday) => day.weekday() == weekday,
        Days::Nth(-1, weekday) => day.weekday() == weekday && day.day() + 7 > day.days_in_month(),
        Days::Nth(nth, weekday) => day.weekday() == weekday && (day.day() - 1) / 7 + 1 == nth,
        Days::DayOfMonth(number) => day.day() == number,
    }
}

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        parse(text).map_err(|why| InvalidSchedule { text: text.to_owned(), why })
    }
}

fn parse(text: &str) -> Result<Schedule, String> {
    if let Some(period) = text.strip_prefix("every ") {
        let period: Duration = period.trim().parse().map_err(|_| format!("`{period}` is not a duration"))?;
        if period < Duration::from_mins(1) || !DAY.as_millis().is_multiple_of(period.as_millis()) {
            return Err("`every` takes a time of at least a minute that divides a day".to_owned());
        }
        return Ok(Schedule::Every(period));
    }
    let words = text.strip_suffix(" UTC").ok_or("it has to end with a time and `UTC`, since schedules are in UTC")?;
    let (days, time) = words.rsplit_once(' ').ok_or("it needs a day and a time")?;
    let minute = time_of_day(time).ok_or_else(|| format!("`{time}` is not a time of day such as 02:00"))?;
    let (days, quarterly) = match days.strip_prefix("quarterly ") {
        Some(days) => (days, true),
        None => (days, false),
    };
    let (days, months) = match days.split_once(" of ") {
        Some(_) if quarterly => return Err("`quarterly` already names the months".to_owned()),
        Some((days, months)) => (days, self::months(months)?),
        None if quarterly => (days, QUARTERS.to_vec()),
        None => (days, Vec::new()),
    };
    let days = self::days(days)?;
    if !months.is_empty() && matches!(days, Days::Daily | Days::Weekly(_)) {
        return Err("months go with one day of the month, such as `first Monday of June`".to_owned());
    }
    Ok(Schedule::On { days, months, minute })
}

fn time_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<u16>().ok())?;
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

fn months(text: &str) -> Result<Vec<i8>, String> {
    let mut months = Vec::new();
    for name in text.split(',').map(str::trim) {
        let month = (1..).zip(MONTHS).find(|(_, month)| *month == name).map(|(number, _)| number);
        let month = month.ok_or_else(|| format!("`{name}` is not a month"))?;
        if months.contains(&month) {
            return Err(format!("{name} is named twice"));
        }
        months.push(month);
    }
    months.sort_unstable();
    Ok(months)
}

fn days(text: &str) -> Result<Days, String> {
    let words: Vec<&str> = text.split(' ').collect();
    let weekday = |word: &str| WEEKDAYS.iter().find(|(name, _)| *name == word).map(|(_, day)| *day);
    match words.as_slice() {
        ["daily"] => Ok(Days::Daily),
        ["day", number] => match number.parse() {
            Ok(number @ 1..=28) => Ok(Days::DayOfMonth(number)),
            _ => Err(format!("`day {number}` is not in every month: use 1 to 28")),
        },
        [day] => weekday(day).map(Days::Weekly).ok_or_else(|| format!("`{day}` is not a weekday")),
        [nth, day] => {
            let number = ORDINALS.iter().find(|(name, _)| name == nth).ok_or_else(|| format!("`{nth}` is not first, second, third, fourth or last"))?;
            let day = weekday(day).ok_or_else(|| format!("`{day}` is not a weekday"))?;
            Ok(Days::Nth(number.1, day))
        }
        _ => Err(format!("`{text}` names no day")),
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, months, minute) = match self {
            Schedule::Every(period) => return write!(f, "every {period}"),
            Schedule::On { days, months, minute } => (days, months, minute),
        };
        let quarterly = months.as_slice() == QUARTERS;
        if quarterly {
            f.write_str("quarterly ")?;
        }
        let name = |wanted: Weekday| WEEKDAYS.iter().find(|(_, day)| *day == wanted).map_or("", |(name, _)| name);
        match days {
            Days::Daily => f.write_str("daily")?,
            Days::Weekly(day) => f.write_str(name(*day))?,
            Days::Nth(nth, day) => {
                let ordinal = ORDINALS.iter().find(|(_, number)| number == nth).map_or("", |(name, _)| name);
                write!(f, "{ordinal} {}", name(*day))?;
            }
            Days::DayOfMonth(number) => write!(f, "day {number}")?,
        }
        if !months.is_empty() && !quarterly {
            let names: Vec<&str> = (1..).zip(MONTHS).filter(|(number, _)| months.contains(number)).map(|(_, name)| name).collect();
            write!(f, " of {}", names.join(", "))?;
        }
        write!(f, " {:02}:{:02} UTC", minute / 60, minute % 60)
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Schedule {
    fn schema_name() -> Cow<'static, str> {
        "Schedule".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "schedule", "pattern": "^(every [0-9a-z]+|.+ [0-9]{2}:[0-9]{2} UTC)$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(schedule: &str, instant: &str) -> String {
        schedule.parse::<Schedule>().unwrap().next_after(instant.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_schedule_reads_back_what_it_writes() {
        for text in [
            "every 6h",
            "every 1m",
            "daily 02:00 UTC",
            "Sunday 03:30 UTC",
            "first Monday 02:00 UTC",
            "last Friday 23:59 UTC",
            "day 1 04:00 UTC",
            "quarterly third Monday 02:00 UTC",
            "second Tuesday of January, July 14:00 UTC",
            "day 15 of June 09:00 UTC",
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        assert_eq!("day 1 of July, January 00:00 UTC".parse::<Schedule>().unwrap().to_string(), "day 1 of January, July 00:00 UTC");
    }

    #[test]
    fn what_never_comes_or_comes_at_a_local_hour_is_not_a_schedule() {
        for bad in [
            "",
            "monthly",
            "02:00 UTC",
            "daily 2:00 UTC",
            "daily 24:00 UTC",
            "daily 02:60 UTC",
            "daily 02:00",
            "daily 02:00 CET",
            "fifth Monday 02:00 UTC",
            "first monday 02:00 UTC",
            "day 29 02:00 UTC",
            "day 0 02:00 UTC",
            "Monday of June 02:00 UTC",
            "daily of June 02:00 UTC",
            "first Monday of Juni 02:00 UTC",
            "first Monday of June, June 02:00 UTC",
            "quarterly first Monday of June 02:00 UTC",
            "every 7h",
            "every 30s",
            "every 0s",
            "every 48h",
            "daily é2:00 UTC",
        ] {
            assert!(bad.parse::<Schedule>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_next_occurrence_is_the_first_one_after_the_instant() {
        for (schedule, instant, next) in [
            // 2026-11-02 is a Monday, and the first of its month.
            ("first Monday 02:00 UTC", "2026-11-01T00:00:00Z", "2026-11-02T02:00:00.000Z"),
            ("first Monday 02:00 UTC", "2026-11-02T01:59:59.999Z", "2026-11-02T02:00:00.000Z"),
            ("first Monday 02:00 UTC", "2026-11-02T02:00:00Z", "2026-12-07T02:00:00.000Z"),
            ("last Friday 23:59 UTC", "2026-11-20T00:00:00Z", "2026-11-27T23:59:00.000Z"),
            ("last Friday 23:59 UTC", "2026-11-28T00:00:00Z", "2026-12-25T23:59:00.000Z"),
            ("daily 02:00 UTC", "2026-12-31T02:00:00Z", "2027-01-01T02:00:00.000Z"),
            ("Sunday 03:00 UTC", "2026-11-20T00:00:00Z", "2026-11-22T03:00:00.000Z"),
            ("day 1 04:00 UTC", "2028-02-01T04:00:00Z", "2028-03-01T04:00:00.000Z"),
            ("every 6h", "2026-11-20T05:59:59Z", "2026-11-20T06:00:00.000Z"),
            ("every 6h", "2026-11-20T06:00:00Z", "2026-11-20T12:00:00.000Z"),
            ("every 6h", "2026-11-20T18:00:00Z", "2026-11-21T00:00:00.000Z"),
            ("quarterly third Monday 02:00 UTC", "2026-11-20T00:00:00Z", "2027-01-18T02:00:00.000Z"),
            ("third Thursday of January 02:00 UTC", "2026-01-15T02:00:00Z", "2027-01-21T02:00:00.000Z"),
            ("day 28 of February 00:00 UTC", "2027-02-28T00:00:00Z", "2028-02-28T00:00:00.000Z"),
            ("first Monday 02:00 UTC", "1969-12-20T00:00:00Z", "1970-01-05T02:00:00.000Z"),
        ] {
            assert_eq!(after(schedule, instant), next, "{schedule} after {instant}");
        }
    }

    #[test]
    fn no_two_occurrences_are_further_apart_than_the_longest_gap() {
        for text in [
            "every 6h",
            "daily 02:00 UTC",
            "Sunday 03:30 UTC",
            "first Monday 02:00 UTC",
            "last Friday 23:59 UTC",
            "day 1 04:00 UTC",
            "quarterly third Monday 02:00 UTC",
            "second Tuesday of January, July 14:00 UTC",
            "day 15 of June 09:00 UTC",
            "first Monday of May, June 02:00 UTC",
        ] {
            let schedule: Schedule = text.parse().unwrap();
            let mut at: Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
            at = schedule.next_after(at).unwrap();
            for _ in 0..60 {
                let next = schedule.next_after(at).unwrap();
                assert!(next > at && next.since(at) <= schedule.longest_gap(), "{text}: {at} to {next}");
                at = next;
            }
        }
    }
}
