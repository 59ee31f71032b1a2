//! How often which span occurred: kept in bounded memory however many runs there are, and drawn as text.

use std::collections::BTreeMap;

use muster_core::Duration;

use crate::output::{BAD, GOOD, QUIET, paint};
use crate::words::{length, span, thousands};

/// Spans are kept to this many leading bits: to less than one part in a thousand, and exactly below two seconds.
const BITS: u32 = 11;
/// How many rows a histogram has.
const ROWS: u64 = 12;
/// How long the longest bar is.
const BAR: u64 = 36;

/// Spans and how often each occurred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Distribution {
    /// By the largest span, in milliseconds, that is counted here. At most 2^(BITS-1) entries per doubling: a few thousand.
    counts: BTreeMap<u64, u64>,
    total: u64,
    max: u64,
}

impl Distribution {
    /// Counts a span.
    pub(crate) fn add(&mut self, span: Duration) {
        let millis = span.as_millis();
        *self.counts.entry(upper_edge(millis)).or_insert(0) += 1;
        self.total += 1;
        self.max = self.max.max(millis);
    }

    /// How many spans were counted.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The longest span, exactly.
    pub(crate) fn max(&self) -> Option<Duration> {
        (self.total > 0).then(|| Duration::from_millis(self.max))
    }

    /// The span that so many per cent did not exceed, by nearest rank and rounded up.
    pub(crate) fn percentile(&self, percent: u64) -> Option<Duration> {
        let rank = (u128::from(self.total) * u128::from(percent)).div_ceil(100).max(1);
        let mut seen: u128 = 0;
        for (edge, count) in &self.counts {
            seen += u128::from(*count);
            if seen >= rank {
                return Some(Duration::from_millis((*edge).min(self.max)));
            }
        }
        None
    }

    /// Rows of equal width over nearly all spans; the last takes the few that are far longer. Spans beyond the target are marked.
    pub(crate) fn draw(&self, target: Duration) -> String {
        let (Some(first), Some(high)) = (self.counts.keys().next(), self.percentile(99)) else { return String::new() };
        let low = if *first < 1_000 { 0 } else { *first };
        let width = round_up((high.as_millis().saturating_sub(low)).div_ceil(ROWS).max(1));
        let low = low / width * width;
        let mut rows: BTreeMap<u64, u64> = BTreeMap::new();
        for (edge, count) in &self.counts {
            *rows.entry((edge.saturating_sub(low) / width).min(ROWS)).or_insert(0) += count;
        }
        let last = rows.keys().next_back().copied().unwrap_or(0);
        let most = rows.values().copied().max().unwrap_or(1);
        let label = |row: u64| {
            let from = span(Duration::from_millis(low + row * width));
            if row == ROWS { format!("{from} and more") } else { format!("{from} – {}", span(Duration::from_millis(low + (row + 1) * width))) }
        };
        let labels: Vec<String> = (0..=last).map(label).collect();
        let widest = labels.iter().map(|label| length(label)).max().unwrap_or(0);
        let mut text = String::new();
        for (row, label) in labels.iter().enumerate() {
            let row = row as u64;
            let count = rows.get(&row).copied().unwrap_or(0);
            let style = if low + row * width >= target.as_millis() { BAD } else { GOOD };
            text.push_str(&format!("  {}{}", " ".repeat(widest - length(label)), paint(QUIET, label)));
            if count > 0 {
                text.push_str(&format!("  {} {}", paint(style, &bar(count, most)), thousands(count)));
            }
            text.push('\n');
        }
        text
    }
}

/// A bar in eighths of a character; whatever occurred at all can be seen.
pub(crate) fn bar(part: u64, whole: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if part == 0 || whole == 0 {
        return String::new();
    }
    let eighths = usize::try_from(u128::from(part) * u128::from(BAR) * 8 / u128::from(whole)).unwrap_or(0).max(1);
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

fn upper_edge(millis: u64) -> u64 {
    let shift = (u64::BITS - millis.leading_zeros()).saturating_sub(BITS);
    (millis >> shift << shift) | ((1 << shift) - 1)
}

/// The next span that reads well: 1, 2 or 5 of a decimal, or of a minute or an hour.
fn round_up(millis: u64) -> u64 {
    const NICE: [u64; 27] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_200_000,
        1_800_000, 3_600_000, 7_200_000, 14_400_000, 43_200_000,
    ];
    NICE.into_iter().find(|nice| *nice >= millis).unwrap_or_else(|| millis.div_ceil(86_400_000) * 86_400_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Distribution {
        let mut distribution = Distribution::default();
        millis.into_iter().for_each(|millis| distribution.add(Duration::from_millis(millis)));
        distribution
    }

    #[test]
    fn percentiles_of_a_hundred_spans_are_those_spans() {
        let hundred = of((1..=100).map(|number| number * 10));
        assert_eq!(hundred.percentile(50), Some(Duration::from_millis(500)));
        assert_eq!(hundred.percentile(95), Some(Duration::from_millis(950)));
        assert_eq!(hundred.percentile(100), Some(Duration::from_millis(1_000)));
        assert_eq!(of([]).percentile(50), None);
    }

    #[test]
    fn a_histogram_is_drawn_with_what_exceeds_the_target_marked() {
        let distribution = of((0..200).map(|number| 600_000 + number * 3_000).chain([9_000_000]));
        let plain = anstream::adapter::strip_str(&distribution.draw(Duration::from_mins(18))).to_string();
        insta::assert_snapshot!(plain);
        assert!(plain.lines().all(|line| length(line) <= crate::output::WIDTH));
    }

    #[test]
    fn spans_of_nothing_are_one_row() {
        insta::assert_snapshot!(anstream::adapter::strip_str(&of([0; 20]).draw(Duration::from_mins(5))), @"  0s – 1ms  ████████████████████████████████████ 20");
    }

    proptest! {
        #[test]
        fn a_percentile_is_never_below_the_truth_and_at_most_a_thousandth_above(mut spans in proptest::collection::vec(0u64..200_000_000, 1..200), percent in 1u64..=100) {
            let distribution = of(spans.iter().copied());
            spans.sort_unstable();
            let truth = spans[(spans.len() as u64 * percent).div_ceil(100) as usize - 1];
            let told = distribution.percentile(percent).unwrap().as_millis();
            prop_assert!(told >= truth && told <= truth + truth / 1_000 + 1, "{told} for {truth}");
        }

        #[test]
        fn memory_does_not_grow_with_the_number_of_spans(spans in proptest::collection::vec(any::<u64>(), 1..500)) {
            let distribution = of(spans.iter().copied().chain(spans.iter().copied()));
            prop_assert!(distribution.counts.len() <= spans.len() && distribution.total() == 2 * spans.len() as u64);
        }
    }
}
