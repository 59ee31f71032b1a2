//! Whether a backup is suspiciously small.

use std::collections::BTreeSet;

use muster_core::Timestamp;
use muster_plan::Bytes;

use crate::point::RecoveryPoint;

/// How many before it say what is usual.
const LAST_ONES: usize = 7;
/// Fewer than this say nothing.
const ENOUGH: usize = 3;
/// Smaller than this part of the usual size is no backup any more: incremental ones differ by less from night to day.
const PART: u64 = 4;

/// The usual size before a point: the median of the last seven good ones of the same backup and place. `None` where there are fewer than three.
///
/// A size that has changed for good is the usual one after four.
pub(crate) fn usual(points: &[&RecoveryPoint], before: &RecoveryPoint, now: Timestamp) -> Option<Bytes> {
    let mut earlier: Vec<&&RecoveryPoint> = points.iter().filter(|point| point.is_good(now) && point.taken_at < before.taken_at).collect();
    earlier.sort_by_key(|point| std::cmp::Reverse(point.taken_at));
    let mut sizes: Vec<Bytes> = earlier.into_iter().filter_map(|point| point.size).take(LAST_ONES).collect();
    sizes.sort_unstable();
    (sizes.len() >= ENOUGH).then(|| sizes[sizes.len() / 2])
}

/// Whether a size is far below the usual one. Nothing at all always is.
pub(crate) fn is_shrunken(size: Bytes, usual: Option<Bytes>) -> bool {
    size.as_u64() == 0 || usual.is_some_and(|usual| size.as_u64() < usual.as_u64() / PART)
}

/// The names of the points of one backup in one place that are suspiciously small: they are counted as backups nowhere where a better one would be
/// deleted for them.
pub(crate) fn doubted<'a>(points: &[&'a RecoveryPoint], now: Timestamp) -> BTreeSet<&'a str> {
    let mut good: Vec<&RecoveryPoint> = points.iter().copied().filter(|point| point.size.is_some() && point.is_good(now)).collect();
    good.sort_by(|a, b| (a.taken_at, &a.name).cmp(&(b.taken_at, &b.name)));
    let mut doubted = BTreeSet::new();
    for (index, point) in good.iter().enumerate() {
        let earlier = &good[index.saturating_sub(LAST_ONES)..index];
        if point.size.is_some_and(|size| is_shrunken(size, usual(earlier, point, now))) {
            doubted.insert(point.name.as_str());
        }
    }
    doubted
}

/// The newest good point of one backup in one place that is not suspiciously small, and the good ones that are newer: passed over for their size.
pub fn newest_believable(points: &[RecoveryPoint], now: Timestamp) -> (Option<&RecoveryPoint>, Vec<&RecoveryPoint>) {
    let doubted = doubted(&points.iter().collect::<Vec<_>>(), now);
    let mut good: Vec<&RecoveryPoint> = points.iter().filter(|point| point.is_good(now)).collect();
    good.sort_by(|a, b| (b.taken_at, &b.name).cmp(&(a.taken_at, &a.name)));
    let position = good.iter().position(|point| !doubted.contains(point.name.as_str()));
    let newest = position.map(|position| good[position]);
    good.truncate(position.unwrap_or(good.len()));
    (newest, good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Place, PointStatus};
    use muster_core::Duration;
    use muster_plan::PartReference;

    fn points(sizes: &[u64]) -> Vec<RecoveryPoint> {
        (0_u64..)
            .zip(sizes)
            .map(|(day, size)| RecoveryPoint {
                name: format!("dump-{day:02}"),
                place: Place::in_region(&"us-east-1".parse().unwrap()),
                of: PartReference("databases.main".to_owned()),
                backup: None,
                slot: None,
                taken_at: Timestamp::from_millis(0).after(Duration::from_hours(24 * day)),
                status: PointStatus::Available,
                size: Some(Bytes::new(*size)),
                kms_key: None,
                checksum: None,
                used_by: Vec::new(),
                legal_hold: None,
                failures: Vec::new(),
            })
            .collect()
    }

    fn small(sizes: &[u64]) -> Vec<String> {
        let points = points(sizes);
        let all: Vec<&RecoveryPoint> = points.iter().collect();
        doubted(&all, Timestamp::from_millis(i64::MAX)).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn a_dump_of_a_tenth_of_the_usual_size_is_doubted() {
        assert_eq!(small(&[1_000, 1_010, 1_020, 1_030, 103]), ["dump-04"]);
        assert_eq!(small(&[1_000, 1_010, 1_020, 1_030, 700]), [""; 0]);
        assert_eq!(small(&[1_000, 0]), ["dump-01"], "nothing at all is small whatever was before");
        assert_eq!(small(&[1_000, 1_000, 10]), [""; 0], "two say nothing yet");
    }

    #[test]
    fn a_size_that_has_changed_for_good_is_the_usual_one_after_four() {
        assert_eq!(small(&[1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 90, 90, 90, 90, 90, 90]), ["dump-07", "dump-08", "dump-09", "dump-10"]);
    }

    #[test]
    fn the_newest_that_is_believable_is_taken_and_what_is_passed_over_is_known() {
        let named = |sizes: &[u64], now: Timestamp| {
            let points = points(sizes);
            let (newest, passed_over) = newest_believable(&points, now);
            (newest.map(|point| point.name.clone()), passed_over.into_iter().map(|point| point.name.clone()).collect::<Vec<_>>())
        };
        let ever = Timestamp::from_millis(i64::MAX);
        let named_so = |newest: Option<&str>, others: &[&str]| (newest.map(str::to_owned), others.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(named(&[1_000, 1_010, 1_020, 1_030], ever), named_so(Some("dump-03"), &[]));
        assert_eq!(named(&[1_000, 1_010, 1_020, 103, 0], ever), named_so(Some("dump-02"), &["dump-04", "dump-03"]));
        assert_eq!(named(&[0], ever), named_so(None, &["dump-00"]));
        assert_eq!(named(&[], ever), named_so(None, &[]));
        let third_day = Timestamp::from_millis(0).after(Duration::from_hours(49));
        assert_eq!(named(&[1_000, 1_010, 1_020, 1_030], third_day), named_so(Some("dump-02"), &[]), "what is of the future is of no use");
    }

    #[test]
    fn increments_that_differ_from_night_to_day_are_not_doubted() {
        assert_eq!(small(&[300, 90, 280, 100, 310, 95, 290, 90, 300]), [""; 0]);
    }
}
