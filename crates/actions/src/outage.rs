//! Is the primary down? Computed from stored samples, never from counted calls.

use std::collections::BTreeMap;

use muster_core::ports::{Reading, Sample};
use muster_core::{Duration, Timestamp};
use muster_plan::{Confirm, RegionRole, Source};

/// The probe looks once a minute; a source without a sample for longer than this is blind, which proves nothing.
const FRESH: Duration = Duration::from_secs(130);
/// A source that was healthy in its last two samples has recovered; one healthy sample may be a flap.
const HEALTHY_SAMPLES: usize = 2;

/// How far back samples must be read to judge.
pub(crate) fn window(confirm: &Confirm) -> Duration {
    confirm.held_for.saturating_add(Duration::from_mins(10))
}

/// What the samples say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    /// Enough sources have seen it for long enough, one of them from outside the standby region.
    Confirmed { sources: Vec<String>, since: Timestamp },
    /// So many sources are healthy again, twice in a row, that it cannot be confirmed.
    Cleared { seen: String },
    /// Neither, yet.
    Open { seen: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Failing { since: Timestamp },
    Recovering,
    Healthy,
    Blind,
}

fn view(samples: &[&Sample], now: Timestamp) -> View {
    let seeing: Vec<&&Sample> = samples.iter().filter(|sample| !matches!(sample.reading, Reading::Blind { .. })).collect();
    match seeing.last() {
        Some(last) if now.since(last.at) <= FRESH => {}
        _ => return View::Blind,
    }
    let failing = |sample: &&&Sample| matches!(sample.reading, Reading::Failing { .. });
    let streak: Vec<&&&Sample> = seeing.iter().rev().take_while(|sample| failing(sample)).collect();
    match streak.last() {
        Some(first) => View::Failing { since: first.at },
        None if seeing.iter().rev().take_while(|sample| !failing(sample)).count() >= HEALTHY_SAMPLES => View::Healthy,
        None => View::Recovering,
    }
}

/// Judges the outage. The samples may be of other sources too, and must be oldest first.
pub(crate) fn judge_outage(confirm: &Confirm, samples: &[Sample], now: Timestamp) -> Outage {
    let mut by_source: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        by_source.entry(&sample.source).or_default().push(sample);
    }
    let views: Vec<(&Source, View)> =
        confirm.of.iter().map(|source| (source, by_source.get(source.name().as_str()).map_or(View::Blind, |samples| view(samples, now)))).collect();
    let mut failing: Vec<(&Source, Timestamp)> = views
        .iter()
        .filter_map(|(source, view)| match view {
            View::Failing { since } => Some((*source, *since)),
            _ => None,
        })
        .collect();
    let needed = confirm.at_least as usize;
    let healthy = views.iter().filter(|(_, view)| *view == View::Healthy).count();
    if views.len() - healthy < needed {
        return Outage::Cleared { seen: format!("{healthy} of {} sources see the primary healthy", views.len()) };
    }
    // The sources that have seen it longest count; one of them must look from outside the standby region.
    failing.sort_by_key(|(_, since)| *since);
    let held: Vec<&(&Source, Timestamp)> = failing.iter().filter(|(_, since)| now.since(*since) >= confirm.held_for).collect();
    let outside = held.iter().any(|(source, _)| source.vantage().is_some_and(|region| region != RegionRole::Standby));
    if held.len() >= needed && outside {
        let since = held.iter().map(|(_, since)| *since).min().unwrap_or(now);
        return Outage::Confirmed { sources: held.iter().map(|(source, _)| source.name().to_string()).collect(), since };
    }
    let longest = failing.first().map_or(Duration::ZERO, |(_, since)| now.since(*since));
    let vantage = if held.len() >= needed { "; none of them looks from outside the standby region" } else { "" };
    Outage::Open {
        seen: format!(
            "{} of {} sources see it down, for {} at most; wanted: {needed} for {}{vantage}",
            failing.len(),
            views.len(),
            longest.in_words(),
            confirm.held_for
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::Region;
    use muster_plan::Vantage;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(10_000_000_000);

    fn source(name: &str, from: Vantage) -> Source {
        Source::Http { name: name.parse().unwrap(), url: "https://primary.example/health".into(), from, timeout: None }
    }

    fn confirm() -> Confirm {
        Confirm {
            at_least: 2,
            of: vec![source("near", Vantage::Standby), source("near-too", Vantage::Standby), source("far", Vantage::Witness)],
            held_for: Duration::from_mins(3),
        }
    }

    /// One sample a minute, the last one just now: `x` failing, `.` healthy, `?` blind, space none.
    fn samples(rows: &[(&str, &str)]) -> Vec<Sample> {
        let mut samples: Vec<Sample> = rows
            .iter()
            .flat_map(|(name, row)| {
                row.chars().rev().enumerate().filter_map(move |(minutes, sign)| {
                    let reading = match sign {
                        'x' => Reading::Failing { why: "503".into() },
                        '.' => Reading::Healthy,
                        '?' => Reading::Blind { why: "no network".into() },
                        _ => return None,
                    };
                    let at = NOW.before(Duration::from_mins(minutes as u64));
                    Some(Sample { at, vantage: "us-west-2".parse::<Region>().unwrap(), source: (*name).into(), reading })
                })
            })
            .collect();
        samples.sort_by_key(|sample| sample.at);
        samples
    }

    fn judged(rows: &[(&str, &str)]) -> Outage {
        judge_outage(&confirm(), &samples(rows), NOW)
    }

    #[test]
    fn two_sources_for_three_minutes_one_of_them_outside_confirm() {
        let outage = judged(&[("near", "..xxxx"), ("near-too", "......"), ("far", "...xxxx")]);
        assert_eq!(outage, Outage::Confirmed { sources: vec!["near".into(), "far".into()], since: NOW.before(Duration::from_mins(3)) });
    }

    #[test]
    fn the_standbys_own_blindness_does_not_confirm() {
        assert!(matches!(judged(&[("near", "xxxxx"), ("near-too", "xxxxx"), ("far", ".....")]), Outage::Open { .. }));
        assert!(matches!(judged(&[("near", "xxxxx"), ("near-too", "xxxxx"), ("far", "     ")]), Outage::Open { .. }));
    }

    #[test]
    fn too_short_or_too_few_do_not_confirm() {
        assert!(matches!(judged(&[("near", "..xxx"), ("near-too", "....."), ("far", "..xxx")]), Outage::Open { .. }));
        assert!(matches!(judged(&[("near", "....."), ("near-too", "....."), ("far", "xxxxx")]), Outage::Cleared { .. }));
    }

    #[test]
    fn a_source_that_went_silent_or_blind_does_not_count() {
        assert!(matches!(judged(&[("near", "xxxxx   "), ("far", "xxxxx   ")]), Outage::Open { .. }));
        assert!(matches!(judged(&[("near", "?????"), ("near-too", "?????"), ("far", "xxxxx")]), Outage::Open { .. }));
    }

    #[test]
    fn one_healthy_sample_is_a_flap_and_two_are_a_recovery() {
        assert!(matches!(judged(&[("near", "xxxxx."), ("near-too", "xxxxx."), ("far", "xxxxx.")]), Outage::Open { .. }));
        assert!(matches!(judged(&[("near", "xxxx.."), ("near-too", "xxxx.."), ("far", "xxxxxx")]), Outage::Cleared { .. }));
    }

    proptest! {
        #[test]
        fn an_outage_is_never_confirmed_without_a_failing_source_outside_the_standby(
            near in "[x.? ]{8}", near_too in "[x.? ]{8}", far in "[.? ]{8}"
        ) {
            let outage = judged(&[("near", &near), ("near-too", &near_too), ("far", &far)]);
            let confirmed = matches!(outage, Outage::Confirmed { .. });
            prop_assert!(!confirmed);
        }
    }
}
