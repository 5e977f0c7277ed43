//! The whole table: every status with everything that a record can say about its pull request.

use super::*;

#[test]
fn every_status_but_success_means_one_state_whatever_the_pull_request() {
    let rows = [
        ("running", State::Running),
        ("resuming", State::Running),
        ("blocked", State::Blocked),
        ("incomplete", State::Interrupted),
        ("failed", State::Failed),
        ("closed", State::Closed),
    ];
    for (status, expected) in rows {
        for pull_request_state in ["", "OPEN", "CLOSED", "MERGED", "DRAFT"] {
            for bits in 0..8 {
                let outcome = Outcome {
                    pull_request_state,
                    merged: bits & 1 > 0,
                    numbered: bits & 2 > 0,
                    let_go: bits & 4 > 0,
                    cleanup_source: "pull_request_closed",
                };
                assert_eq!(
                    state(status, outcome),
                    Some(expected),
                    "{status} {outcome:?}"
                );
            }
        }
    }
}

#[test]
fn success_means_what_became_of_its_pull_request() {
    use State::*;
    // State, merged_at, number, let go, who cleaned up.
    let rows = [
        (("MERGED", false, true, false, ""), Some(Succeeded)),
        (
            ("MERGED", true, true, true, "pull_request_merged"),
            Some(Succeeded),
        ),
        (("OPEN", true, true, false, ""), Some(Succeeded)),
        (("", true, false, false, ""), Some(Succeeded)),
        (("OPEN", false, true, false, ""), Some(Maintaining)),
        // What vigil itself writes for an open pull request of a closed issue reads back as it was written.
        (("OPEN", false, true, true, ""), Some(Maintaining)),
        (("CLOSED", false, true, false, ""), Some(Maintaining)),
        (
            ("CLOSED", false, true, true, "pull_request_closed"),
            Some(Closed),
        ),
        (("", false, false, false, ""), Some(Maintaining)),
        (("", false, true, false, ""), Some(Maintaining)),
        (("", false, true, true, ""), Some(Maintaining)),
        (
            ("", false, true, true, "pull_request_merged"),
            Some(Succeeded),
        ),
        (
            ("", false, false, true, "pull_request_closed"),
            Some(Closed),
        ),
        (("", false, false, true, "cli"), Some(Succeeded)),
        (("", false, false, true, ""), Some(Succeeded)),
        (("DRAFT", false, true, false, ""), None),
        (("open", false, true, false, ""), None),
    ];
    for ((pull_request_state, merged, numbered, let_go, cleanup_source), expected) in rows {
        let outcome = Outcome {
            pull_request_state,
            merged,
            numbered,
            let_go,
            cleanup_source,
        };
        assert_eq!(state("success", outcome), expected, "{outcome:?}");
    }
}

#[test]
fn a_word_that_nobody_knows_is_no_state() {
    for status in ["", "Running", "done", "paused", "success "] {
        assert_eq!(state(status, Outcome::default()), None, "{status:?}");
    }
}
