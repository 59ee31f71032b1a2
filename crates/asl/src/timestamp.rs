//! Timestamps as AWS writes and reads them.

/// `2026-11-20T16:00:00.123Z` for milliseconds since 1970.
pub(crate) fn format(milliseconds: u64) -> String {
    let Some(instant) = i64::try_from(milliseconds).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) else {
        return format!("{milliseconds}ms");
    };
    instant.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Milliseconds since 1970 for an "ISO-8601 extended offset date-time", as a Wait's `Timestamp` wants
/// it: with a `T` and with an offset or `Z`. A moment before 1970 reads as 1970; part of a
/// millisecond counts as a whole one, so that a wait never ends early.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || bytes[10] != b'T' || text.contains('[') {
        return None;
    }
    let instant: jiff::Timestamp = text.parse().ok()?;
    let nanoseconds = instant.as_nanosecond().max(0);
    u64::try_from((nanoseconds + 999_999) / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_needs_a_t_and_an_offset_as_on_aws() {
        // The refused forms are those that AWS was recorded to refuse.
        assert_eq!(parse("1970-01-01T00:00:01Z"), Some(1_000));
        assert_eq!(parse("1970-01-01T01:00:01.5+01:00"), Some(1_500));
        assert_eq!(parse("1970-01-01T00:00:00.000000001Z"), Some(1));
        for refused in ["2016-12-05 21:29:29Z", "2016-12-05T21:29:29", "2016-13-05T21:29:29Z", "2016-12-05T25:29:29Z", "05-12-2016T21:29:29Z", ""] {
            assert_eq!(parse(refused), None, "{refused}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(format(1_500), "1970-01-01T00:00:01.500Z");
        assert_eq!(parse(&format(1_763_654_400_123)), Some(1_763_654_400_123));
    }
}
