//! Times as Vigilante writes them.

use std::str::FromStr;
use std::time::Duration;

use vigil_core::Timestamp;
use vigil_core::fact::{Gap, GapKind};
use vigil_core::time::minutes;

/// A time further ahead than this is a gap: more than two machines' clocks differ by, less than a time zone.
pub(crate) const AHEAD_MAX: Duration = minutes(5);

/// The moment that `text` names. `None`: it is not RFC 3339 as Go reads it, or lies before 1970: date, `T`, time
/// with seconds, an optional fraction, `Z` or an offset in hours and minutes.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes
            .get(range)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let shape = digits(0..4)
        && bytes.get(4) == Some(&b'-')
        && digits(5..7)
        && bytes.get(7) == Some(&b'-')
        && digits(8..10)
        && bytes.get(10) == Some(&b'T')
        && digits(11..13)
        && bytes.get(13) == Some(&b':')
        && digits(14..16)
        && bytes.get(16) == Some(&b':')
        && digits(17..19);
    // A leap second is no time to Go, and its neighbours would be a guess.
    if !shape || bytes.get(17..19) == Some(b"60") {
        return None;
    }
    let mut rest = &text[19..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let end = fraction
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(fraction.len());
        if end == 0 {
            return None;
        }
        rest = &fraction[end..];
    }
    let offset = rest.as_bytes();
    let zoned = match offset {
        b"Z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()),
        _ => false,
    };
    if !zoned {
        return None;
    }
    let moment = jiff::Timestamp::from_str(text).ok()?;
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp)
}

/// `moment`, unless it lies ahead of `now` by more than [`AHEAD_MAX`]. `what` names it in the gap.
pub(crate) fn not_ahead(moment: Timestamp, now: Timestamp, what: &str) -> Result<Timestamp, Gap> {
    if moment > now.after(AHEAD_MAX) {
        let ahead = moment.0.saturating_sub(now.0) / 60_000;
        return Err(Gap::new(
            GapKind::InTheFuture,
            format!("{what} lies {ahead} min ahead; check the clocks"),
        ));
    }
    Ok(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_is_read_as_go_reads_it_and_nothing_else() {
        let noon = Some(Timestamp(1_774_526_400_000));
        for text in [
            "2026-03-26T12:00:00Z",
            "2026-03-26T12:00:00.000Z",
            "2026-03-26T14:00:00+02:00",
            "2026-03-26T07:30:00-04:30",
            "2026-03-26T12:00:00.000999999Z",
        ] {
            assert_eq!(parse(text), noon, "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2026-03-26",
            "2026-03-26T12:00Z",
            "2026-03-26 12:00:00Z",
            "2026-03-26t12:00:00z",
            "2026-03-26T12:00:00",
            "2026-03-26T12:00:00.Z",
            "2026-03-26T12:00:00+0200",
            "2026-03-26T12:00:00+02:00[Europe/Berlin]",
            "2026-02-30T12:00:00Z",
            "2026-03-26T12:00:60Z",
            "2026-03-26T24:00:00Z",
            "0001-01-01T00:00:00Z",
            "1774526400",
            " 2026-03-26T12:00:00Z",
            "2026-03-26T12:00:00Z ",
            "２０26-03-26T12:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn five_minutes_ahead_is_a_clock_and_six_a_gap() {
        let now = Timestamp(1_774_526_400_000);
        assert!(not_ahead(now.after(minutes(5)), now, "it").is_ok());
        let gap = not_ahead(now.after(minutes(6)), now, "it").expect_err("a gap");
        assert_eq!(gap.kind, GapKind::InTheFuture);
    }
}
