//! Moments as GitHub writes them: whole seconds, UTC.

use jiff::Timestamp;

/// `2026-11-20T06:00:00Z`; a moment outside of the calendar reads as the epoch.
pub(crate) fn iso(ms: u64) -> String {
    moment(ms).to_string()
}

/// `Fri, 20 Nov 2026 06:00:00 GMT`, as the `date` and `last-modified` headers have it.
pub(crate) fn http_date(ms: u64) -> String {
    jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&moment(ms))
        .unwrap_or_default()
}

/// Milliseconds since the epoch from an ISO 8601 moment, `None` when it is none or lies before the epoch.
pub(crate) fn parse_iso(text: &str) -> Option<u64> {
    let moment: Timestamp = text.parse().ok()?;
    u64::try_from(moment.as_millisecond()).ok()
}

/// Milliseconds since the epoch from an HTTP date.
pub(crate) fn parse_http_date(text: &str) -> Option<u64> {
    let moment = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    u64::try_from(moment.as_millisecond()).ok()
}

fn moment(ms: u64) -> Timestamp {
    i64::try_from(ms / 1000)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_whole_seconds_and_read_back() {
        assert_eq!(iso(1_795_154_400_999), "2026-11-20T06:00:00Z");
        assert_eq!(
            http_date(1_795_154_400_999),
            "Fri, 20 Nov 2026 06:00:00 GMT"
        );
        assert_eq!(parse_iso("2026-11-20T06:00:00Z"), Some(1_795_154_400_000));
        assert_eq!(parse_iso("yesterday"), None);
        assert_eq!(
            parse_http_date("Fri, 20 Nov 2026 06:00:00 GMT"),
            Some(1_795_154_400_000)
        );
        assert_eq!(iso(u64::MAX), "1970-01-01T00:00:00Z");
    }
}
