//! Spans, counts and lines for people.

use jiff::civil::{Date, DateTime};
use muster_core::{Duration, Timestamp};

/// A span for reading: `29m 23s`, `4h`, `1.9s`, `850ms`. Rounded up: never in our own favour.
pub(crate) fn span(span: Duration) -> String {
    span.spoken()
}

/// The virtual clock: `T+26:43`, or `T+01:26:43` where `hours` are shown; `T-00:17` before the incident.
pub(crate) fn virtual_clock(millis: i64, hours: bool) -> String {
    let sign = if millis < 0 { '-' } else { '+' };
    let seconds = millis.unsigned_abs() / 1_000;
    if hours {
        format!("T{sign}{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    } else {
        format!("T{sign}{:02}:{:02}", seconds / 60, seconds % 60)
    }
}

/// The day in UTC.
pub(crate) fn date(instant: Timestamp) -> Option<Date> {
    civil(instant).map(|time| time.date())
}

fn civil(instant: Timestamp) -> Option<DateTime> {
    jiff::Timestamp::from_millisecond(instant.as_millis()).ok().map(|instant| jiff::tz::TimeZone::UTC.to_datetime(instant))
}

/// `Thu 26 Nov 02:00`, in UTC; with its year where that is not `now`'s, or nothing is known of now.
pub(crate) fn day_and_time(instant: Timestamp, now: Option<Timestamp>) -> String {
    let Some(time) = civil(instant) else { return instant.to_string() };
    let same_year = now.and_then(civil).is_some_and(|now| now.year() == time.year());
    time.strftime(if same_year { "%a %-d %b %H:%M" } else { "%a %-d %b %Y %H:%M" }).to_string()
}

/// `1 run`, `20 runs`, `1,000 runs`.
pub(crate) fn count(number: u64, what: &str) -> String {
    format!("{} {what}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in per cent with one decimal, cut and not rounded: 100 % is all of it.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let tenths = u128::from(part) * 1_000 / u128::from(whole);
    let text = format!("{}.{}", tenths / 10, tenths % 10);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// The text in lines of at most `width` characters, broken at spaces. Control characters become spaces: a plan's text does not steer a terminal.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word = word.to_owned();
        if !line.is_empty() && length(&line) + 1 + length(&word) > width {
            lines.push(std::mem::take(&mut line));
        }
        while length(&word) > width {
            let rest = word.split_off(byte_of(&word, width));
            lines.push(std::mem::replace(&mut word, rest));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// The text's first line, cut to `width` characters; an ellipsis says that there is more.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let lines = wrap(text, usize::MAX);
    let line = lines.first().map_or("", String::as_str);
    if length(line) <= width {
        return line.to_owned();
    }
    format!("{}…", line[..byte_of(line, width.saturating_sub(1))].trim_end())
}

/// How many columns the text takes.
pub(crate) fn length(text: &str) -> usize {
    text.chars().count()
}

fn byte_of(text: &str, character: usize) -> usize {
    text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
}

/// The known name that is most like the one that was written, where any is.
pub(crate) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| {
        let parts_in_common = written.split('-').filter(|part| part.len() > 2 && name.split('-').any(|known| known == *part)).count();
        strsim::damerau_levenshtein(written, name).saturating_sub(2 * parts_in_common)
    };
    known.into_iter().map(|name| (likeness(name), name)).filter(|(distance, _)| *distance <= written.chars().count().max(4) / 2).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_and_never_too_long() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("a\u{1b}[31mb", 20), ["a [31mb"]);
    }

    #[test]
    fn a_cut_line_says_that_there_is_more() {
        assert_eq!(cut("one two three", 9), "one two…");
        assert_eq!(cut("one", 9), "one");
    }

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not_guessed() {
        let known = ["primary-region-down", "primary-returns", "veto", "throttling"];
        assert_eq!(nearest("region-down", known), Some("primary-region-down"));
        assert_eq!(nearest("primry-region-down", known), Some("primary-region-down"));
        assert_eq!(nearest("vetto", known), Some("veto"));
        assert_eq!(nearest("meteorite-impact", known), None);
    }

    #[test]
    fn numbers_are_grouped_and_shares_are_not_rounded_up() {
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(999), "999");
        assert_eq!(percent(9_999, 10_000), "99.9 %");
        assert_eq!(percent(3, 3), "100 %");
    }

    #[test]
    fn a_day_has_its_year_where_it_is_another_one() {
        let now: Timestamp = "2026-11-26T00:30:00Z".parse().unwrap();
        assert_eq!(day_and_time(now, None), "Thu 26 Nov 2026 00:30");
        assert_eq!(day_and_time(now, Some(now)), "Thu 26 Nov 00:30");
        assert_eq!(day_and_time("2028-02-29T02:00:59Z".parse().unwrap(), Some(now)), "Tue 29 Feb 2028 02:00");
    }

    #[test]
    fn the_clock_runs_from_the_incident() {
        assert_eq!(virtual_clock(26 * 60_000 + 43_900, false), "T+26:43");
        assert_eq!(virtual_clock(-17_000, false), "T-00:17");
        assert_eq!(virtual_clock(5_203_000, true), "T+01:26:43");
    }
}
