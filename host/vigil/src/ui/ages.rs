//! Moments in sentences as people read them. What is stored says moments, which stay true; what is shown says ages.

use jiff::Timestamp;

/// `2026-01-01T12:00:00Z`.
const LENGTH: usize = 20;

/// `text` with its moments as they read at `now`, RFC 3339 both: `at 2026-01-01T12:00:00Z` becomes `80 min ago`, and a
/// moment that lies ahead, or after another word, becomes `12:00Z`, with its day where that is not today.
pub fn with_ages(text: &str, now: &str) -> String {
    let Ok(present) = now.parse::<Timestamp>() else {
        return text.to_owned();
    };
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, moment, after)) = next_moment(rest) {
        let age = present.duration_since(moment.1);
        match before.strip_suffix("at ") {
            Some(before) if !age.is_negative() => {
                shown.push_str(before);
                shown.push_str(&super::span_ms(age.unsigned_abs().as_millis()));
                shown.push_str(" ago");
            }
            _ => {
                shown.push_str(before);
                shown.push_str(&minute(moment.0, now));
            }
        }
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// `at` to the minute, and without the day where that is the day of `now`, RFC 3339 in UTC both.
pub fn minute(at: &str, now: &str) -> String {
    // 2026-11-20T12:01: all but seconds; and the day alone, with what divides it from the time.
    const MINUTE: usize = 16;
    const DAY: usize = 11;
    let shown = match (at.get(..DAY) == now.get(..DAY), at.get(DAY..MINUTE)) {
        (true, Some(time)) => time,
        _ => at.get(..MINUTE).unwrap_or(at),
    };
    format!("{shown}Z")
}

/// The first moment of `text`, with what stands before and after it.
fn next_moment(text: &str) -> Option<(&str, (&str, Timestamp), &str)> {
    let mut from = 0;
    while let Some(found) = text.get(from..)?.find("Z") {
        let end = from + found + 1;
        from = end;
        let Some(start) = end.checked_sub(LENGTH) else {
            continue;
        };
        let Some(word) = text.get(start..end).filter(|word| has_shape(word)) else {
            continue;
        };
        let whole = !text[..start].ends_with(|c: char| c.is_ascii_alphanumeric());
        if let (true, Ok(moment)) = (whole, word.parse()) {
            return Some((&text[..start], (word, moment), &text[end..]));
        }
    }
    None
}

fn has_shape(word: &str) -> bool {
    word.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_as_the_age_that_it_has_when_it_is_shown() {
        let stored = "PR #501 was merged at 2026-11-29T13:21:00Z; the record was last touched at 2026-11-28T10:00:00Z";
        assert_eq!(
            with_ages(stored, "2026-11-29T14:06:00Z"),
            "PR #501 was merged 45 min ago; the record was last touched 1 d 4 h ago"
        );
        assert_eq!(
            with_ages(stored, "2026-11-29T15:06:30Z"),
            "PR #501 was merged 1 h 45 min ago; the record was last touched 1 d 5 h ago"
        );
    }

    #[test]
    fn other_moments_are_told_to_the_minute() {
        let now = "2026-11-29T14:06:00Z";
        for (stored, shown) in [
            ("until 2026-11-29T14:36:10Z", "until 14:36Z"),
            ("since 2026-11-28T14:36:10Z", "since 2026-11-28T14:36Z"),
            ("at 2026-11-29T14:36:10Z", "at 14:36Z"),
            ("at 2026-11-29T14:06:00Z (x)", "0 s ago (x)"),
        ] {
            assert_eq!(with_ages(stored, now), shown);
        }
    }

    #[test]
    fn what_is_no_moment_stays() {
        let now = "2026-11-29T14:06:00Z";
        for text in [
            "",
            "Z",
            "äZ and Zürich",
            "at 2026-13-29T14:06:00Z",
            "x2026-11-29T14:06:00Z",
            "2026-11-29 14:06:00Z",
            "at 2026-11-29T14:06:00+01:00",
        ] {
            assert_eq!(with_ages(text, now), text);
        }
        assert_eq!(
            with_ages("at 2026-11-29T14:06:00Z", "soon"),
            "at 2026-11-29T14:06:00Z"
        );
    }
}
