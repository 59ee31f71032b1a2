//! Slots of a schedule, and the day, week, month and year of an instant. All of it in UTC.

use jiff::civil::{Date, ISOWeekDate};
use jiff::tz::TimeZone;
use muster_core::{Duration, Timestamp};
use muster_plan::Schedule;

/// The slots after `after`, up to and including `until`, in their order.
pub fn slots(schedule: &Schedule, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> + use<'_> {
    std::iter::successors(schedule.next_after(after), |slot| schedule.next_after(*slot)).take_while(move |slot| *slot <= until)
}

/// The newest slot that is not after `now`. A slot that falls on `now` is due.
pub fn latest_slot(schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
    slots(schedule, now.before(schedule.longest_gap()).before(Duration::from_millis(1)), now).last()
}

/// The day, beginning at midnight UTC.
pub(crate) fn day(instant: Timestamp) -> Option<Date> {
    jiff::Timestamp::from_millisecond(instant.as_millis()).ok().map(|instant| TimeZone::UTC.to_datetime(instant).date())
}

/// The ISO week, beginning on Monday: its year and its number.
pub(crate) fn week(instant: Timestamp) -> Option<(i16, i8)> {
    day(instant).map(ISOWeekDate::from).map(|week| (week.year(), week.week()))
}

/// The month: its year and its number.
pub(crate) fn month(instant: Timestamp) -> Option<(i16, i8)> {
    day(instant).map(|day| (day.year(), day.month()))
}

/// The year.
pub(crate) fn year(instant: Timestamp) -> Option<i16> {
    day(instant).map(|day| day.year())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_latest_slot_may_be_now_and_is_never_later() {
        for (schedule, now, slot) in [
            ("daily 02:00 UTC", "2026-11-26T02:00:00Z", "2026-11-26T02:00:00Z"),
            ("daily 02:00 UTC", "2026-11-26T01:59:59.999Z", "2026-11-25T02:00:00Z"),
            ("every 6h", "2026-11-26T05:59:00Z", "2026-11-26T00:00:00Z"),
            ("Sunday 03:00 UTC", "2026-11-26T00:00:00Z", "2026-11-22T03:00:00Z"),
            ("day 1 04:00 UTC", "2028-02-29T23:59:00Z", "2028-02-01T04:00:00Z"),
            ("day 1 04:00 UTC", "2028-03-01T04:00:00Z", "2028-03-01T04:00:00Z"),
            ("day 28 of February 00:00 UTC", "2028-02-27T00:00:00Z", "2027-02-28T00:00:00Z"),
        ] {
            assert_eq!(latest_slot(&schedule.parse().unwrap(), at(now)), Some(at(slot)), "{schedule} at {now}");
        }
    }

    #[test]
    fn every_slot_of_a_leap_february_is_there_once() {
        let schedule = "every 6h".parse().unwrap();
        let found: Vec<Timestamp> = slots(&schedule, at("2028-01-31T23:59:59Z"), at("2028-02-29T23:59:59Z")).collect();
        assert_eq!(found.len(), 29 * 4);
        assert_eq!((found[0], found[29 * 4 - 1]), (at("2028-02-01T00:00:00Z"), at("2028-02-29T18:00:00Z")));
    }

    #[test]
    fn weeks_begin_on_monday_and_belong_to_the_year_of_their_thursday() {
        assert_eq!(week(at("2026-11-29T23:59:59Z")), Some((2026, 48)));
        assert_eq!(week(at("2026-11-30T00:00:00Z")), Some((2026, 49)));
        // 1 January 2027 is a Friday.
        assert_eq!(week(at("2027-01-01T00:00:00Z")), Some((2026, 53)));
        assert_eq!(week(at("2027-01-04T00:00:00Z")), Some((2027, 1)));
    }
}
