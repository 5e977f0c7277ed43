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
}
