//! Lengths of time, and how to say them.

use crate::{Millis, Timestamp};

/// Whole seconds as milliseconds.
#[must_use]
pub const fn secs(n: u64) -> Millis {
    n.saturating_mul(1000)
}

/// Whole minutes as milliseconds.
#[must_use]
pub const fn mins(n: u64) -> Millis {
    secs(n.saturating_mul(60))
}

/// Whole hours as milliseconds.
#[must_use]
pub const fn hours(n: u64) -> Millis {
    mins(n.saturating_mul(60))
}

/// How long ago `then` was; zero when it lies ahead.
#[must_use]
pub const fn age(now: Timestamp, then: Timestamp) -> Millis {
    now.saturating_sub(then)
}

/// A length of time for people, rounded down, in the unit that reads best: `40 s`, `109 min`, `7 h`, `12 d`.
///
/// Minutes go up to three hours and hours to three days, since "80 min" tells more than "1 h".
#[must_use]
pub fn words(span: Millis) -> String {
    let seconds = span / 1000;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=10_799 => format!("{} min", seconds / 60),
        10_800..=259_199 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long ago `then` was, for people: `109 min ago`.
#[must_use]
pub fn ago(now: Timestamp, then: Timestamp) -> String {
    format!("{} ago", words(age(now, then)))
}

/// A moment as RFC 3339 in UTC, whole seconds: `2026-01-01T12:00:00Z`. A reason is read long after it was written: a
/// moment in it stays true, where an age would not, and is shown as an age to people.
#[must_use]
pub fn moment(at: Timestamp) -> String {
    let seconds = at / 1000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years that each have the same number of days.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Months from March on, so that the leap day is a year's last.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!(
        "{:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        era * 400 + year + later,
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_said_in_the_unit_that_reads_best() {
        let cases = [
            (0, "0 s"),
            (secs(119), "119 s"),
            (mins(2), "2 min"),
            (mins(109) + 999, "109 min"),
            (hours(3) - 1, "179 min"),
            (hours(3), "3 h"),
            (hours(71), "71 h"),
            (hours(72), "3 d"),
        ];
        for (span, said) in cases {
            assert_eq!(words(span), said);
        }
    }

    #[test]
    fn a_time_ahead_is_no_age() {
        assert_eq!(ago(secs(5), secs(9)), "0 s ago");
    }

    #[test]
    fn a_moment_is_a_date_in_every_month_and_leap_year() {
        for (at, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_000, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_800_000, "2000-03-01T00:00:00Z"),
            (1_704_067_199_999, "2023-12-31T23:59:59Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00Z"),
            (1_767_268_800_000, "2026-01-01T12:00:00Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(moment(at), expected);
        }
    }
}
