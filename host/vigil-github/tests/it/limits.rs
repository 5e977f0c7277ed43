//! What the headers say about limits.

use http::{HeaderMap, StatusCode};
use vigil_core::Timestamp;
use vigil_github::limits::{CORE, GRAPHQL, SILENCE_MAX, limit, scope, server_time, until};
use vigil_github::{LimitScope, Meter};

use crate::support::{NOW, headers};

fn later(seconds: u64) -> Option<Timestamp> {
    Some(Timestamp(NOW.0 + seconds * 1000))
}

#[test]
fn the_time_to_be_silent_comes_from_the_best_header_there_is() {
    let on = |pairs: &[(&str, &str)], message: &str| until(&headers(pairs), message, NOW);
    assert_eq!(on(&[], ""), None);
    assert_eq!(on(&[("retry-after", "17")], ""), later(17));
    assert_eq!(
        on(
            &[
                ("retry-after", "17"),
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1795158000")
            ],
            ""
        ),
        later(17)
    );
    assert_eq!(
        on(
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1795158000")
            ],
            ""
        ),
        later(3600)
    );
    // The pot can be far from empty when GitHub says that it is exceeded.
    assert_eq!(
        on(
            &[
                ("x-ratelimit-remaining", "71"),
                ("x-ratelimit-reset", "1795154460")
            ],
            "API rate limit exceeded"
        ),
        later(60)
    );
    // Neither does who refuses without a word of why; a secondary limit has nothing to do with the pot.
    for words in ["", "Too many requests"] {
        for left in [&[("x-ratelimit-remaining", "71")][..], &[]] {
            let reset = [("x-ratelimit-reset", "1795158000")];
            assert_eq!(on(&[left, &reset[..]].concat(), words), None, "{words}");
        }
    }
    assert_eq!(
        on(
            &[
                ("x-ratelimit-remaining", "71"),
                ("x-ratelimit-reset", "1795158000")
            ],
            "a secondary rate limit"
        ),
        None
    );
    assert_eq!(on(&[("retry-after", "soon")], ""), None);
}

#[test]
fn a_time_is_read_on_the_servers_clock() {
    let on = |pairs: &[(&str, &str)]| until(&headers(pairs), "", NOW);
    // This machine is ten minutes behind.
    let date = ("date", "Fri, 20 Nov 2026 06:10:00 GMT");
    assert_eq!(server_time(&headers(&[date])), later(600));
    let empty = ("x-ratelimit-remaining", "0");
    assert_eq!(
        on(&[date, empty, ("x-ratelimit-reset", "1795155060")]),
        later(60)
    );
    assert_eq!(
        on(&[date, ("retry-after", "Fri, 20 Nov 2026 06:11:00 GMT")]),
        later(60)
    );
    assert_eq!(on(&[date, ("retry-after", "5")]), later(5));
}

#[test]
fn a_silence_has_a_floor_and_a_ceiling() {
    let on = |pairs: &[(&str, &str)]| until(&headers(pairs), "", NOW);
    assert_eq!(on(&[("retry-after", "0")]), later(1));
    let empty = ("x-ratelimit-remaining", "0");
    assert_eq!(on(&[empty, ("x-ratelimit-reset", "1")]), later(1));
    assert_eq!(
        on(&[("retry-after", "18446744073709551615")]),
        later(SILENCE_MAX.as_secs())
    );
    assert_eq!(
        on(&[empty, ("x-ratelimit-reset", "18446744073709551615")]),
        later(65 * 60),
        "a window is an hour long"
    );
    let left = ("x-ratelimit-remaining", "900");
    let far = headers(&[left, ("x-ratelimit-reset", "2000000000")]);
    assert_eq!(
        Meter::from_headers(&far, GRAPHQL, NOW).reset,
        later(65 * 60)
    );
}

#[test]
fn only_some_refusals_are_limits() {
    let none = HeaderMap::new();
    let is = |status: u16, headers: &HeaderMap, message: &str| {
        limit(
            StatusCode::from_u16(status).expect("a status"),
            headers,
            message,
            NOW,
        )
        .is_some()
    };
    assert!(is(429, &none, ""));
    assert!(is(403, &none, "You have exceeded a secondary rate limit"));
    assert!(is(
        403,
        &none,
        "You have triggered an abuse detection mechanism"
    ));
    assert!(is(403, &headers(&[("retry-after", "1")]), ""));
    assert!(is(403, &headers(&[("x-ratelimit-remaining", "0")]), ""));
    assert!(!is(
        403,
        &headers(&[("x-ratelimit-remaining", "4999")]),
        "Resource not accessible by integration"
    ));
    assert!(!is(
        401,
        &headers(&[("x-ratelimit-remaining", "0"), ("retry-after", "1")]),
        "Bad credentials"
    ));
    assert!(!is(503, &none, ""));
    assert!(is(503, &headers(&[("retry-after", "1")]), ""));
}

#[test]
fn the_headers_of_another_pot_are_not_this_ones() {
    let pairs = [
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1795154460"),
    ];
    let graphql = [&pairs[..], &[("x-ratelimit-resource", "graphql")]].concat();
    let core = [&pairs[..], &[("x-ratelimit-resource", "core")]].concat();
    assert_eq!(
        Meter::from_headers(&headers(&core), GRAPHQL, NOW),
        Meter::default()
    );
    assert_eq!(
        Meter::from_headers(&headers(&graphql), CORE, NOW),
        Meter::default()
    );
    assert_eq!(
        Meter::from_headers(&headers(&core), CORE, NOW).remaining,
        Some(0)
    );
    let meter = Meter::from_headers(&headers(&graphql), GRAPHQL, NOW);
    assert_eq!(
        (meter.limit, meter.remaining, meter.reset),
        (Some(5000), Some(0), later(60))
    );
    assert_eq!(meter.empty_until(NOW), later(60));
    assert_eq!(meter.empty_until(Timestamp(NOW.0 + 60_000)), None);
    assert_eq!(
        Meter {
            remaining: Some(1),
            ..meter
        }
        .empty_until(NOW),
        None
    );
}

#[test]
fn a_limit_says_whether_a_pot_or_an_account_is_silenced() {
    let on = |pairs: &[(&str, &str)], message: &str| scope(&headers(pairs), message);
    let empty = [("x-ratelimit-remaining", "0")];
    let full = [("x-ratelimit-remaining", "4000")];
    for (pairs, message, expected) in [
        (&empty[..], "", LimitScope::Pot),
        (
            &empty[..],
            "API rate limit exceeded for user ID 1.",
            LimitScope::Pot,
        ),
        // GitHub has been seen to say so while the headers count on.
        (
            &full[..],
            "API rate limit exceeded for user ID 1.",
            LimitScope::Pot,
        ),
        (
            &[][..],
            "API rate limit already exceeded for installation ID 1.",
            LimitScope::Pot,
        ),
        (
            &[][..],
            "You have exceeded a secondary rate limit.",
            LimitScope::Account,
        ),
        (
            &empty[..],
            "You have exceeded a secondary rate limit.",
            LimitScope::Account,
        ),
        (
            &full[..],
            "You have triggered an abuse detection mechanism.",
            LimitScope::Account,
        ),
        // Nobody says which: everything.
        (&[][..], "", LimitScope::Account),
        (&[("retry-after", "5")][..], "", LimitScope::Account),
    ] {
        assert_eq!(on(pairs, message), expected, "{pairs:?} {message}");
    }
    let tired = headers(&[("retry-after", "5"), ("x-ratelimit-remaining", "0")]);
    let limit = limit(StatusCode::SERVICE_UNAVAILABLE, &tired, "", NOW).expect("a limit");
    assert_eq!(limit.scope, LimitScope::Account);
}
