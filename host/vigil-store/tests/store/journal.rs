//! What makes a row, and what only counts one up.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vigil_core::guard::{Code, Objection};
use vigil_core::{Fact, GapKind, State, Timestamp, Verdict};
use vigil_store::{KEEP_LATEST_AFTER, Store};

use crate::common::{T0, answers, at, evidence, held, id};

fn store() -> Store {
    Store::in_memory(T0).unwrap()
}

#[test]
fn a_quiet_day_adds_no_row() {
    let mut store = store();
    let answers = answers(Verdict::Hold);
    for minute in 0..24 * 60 {
        let evidence = evidence(299, at(minute));
        store
            .record(&[held(&evidence, &answers, at(minute))])
            .unwrap();
    }
    let rows = store.journal(None, 10).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].first_at, rows[0].last_at),
        (at(0), at(24 * 60 - 1))
    );
    assert_eq!(rows[0].count, 24 * 60);
}

#[test]
fn a_pass_of_many_steps_is_one_pass() {
    let mut store = store();
    let answers = answers(Verdict::Hold);
    let evidence: Vec<_> = (0..4_500).map(|number| evidence(number, at(0))).collect();
    for (minute, count) in [(0, 1), (1, 2)] {
        let entries: Vec<_> = evidence
            .iter()
            .map(|one| held(one, &answers, at(minute)))
            .collect();
        store.record(&entries).unwrap();
        let rows = store.journal(None, usize::MAX).unwrap();
        assert_eq!(rows.len(), 4_500);
        assert!(rows.iter().all(|row| row.count == count));
        // Of one turn, so that the rows' own order is left.
        assert!(rows.is_sorted_by(|one, other| one.id > other.id));
    }
    // The next pass is a later one, though it is as short as it can be.
    store
        .record(&[held(&evidence[7], &answers, at(2))])
        .unwrap();
    assert_eq!(store.journal(None, 1).unwrap()[0].session, id(7));
}

#[test]
fn the_first_and_the_latest_evidence_are_kept_with_their_times() {
    let mut store = store();
    let answers = answers(Verdict::Hold);
    for minute in 0..100 {
        let evidence = evidence(299, at(minute));
        store
            .record(&[held(&evidence, &answers, at(minute))])
            .unwrap();
    }
    let row = store.latest(&id(299)).unwrap().unwrap();
    let first = store.evidence(&row.first_evidence).unwrap().unwrap();
    assert_eq!(first, evidence(299, at(0)));
    let latest = store.evidence(&row.latest_evidence).unwrap().unwrap();
    assert_eq!(latest, evidence(299, at(90)));
    assert!(at(90).age(row.last_at) < KEEP_LATEST_AFTER);
}

#[test]
fn before_the_latest_is_kept_it_is_the_first() {
    let mut store = store();
    let evidence = evidence(299, at(0));
    store
        .record(&[held(&evidence, &answers(Verdict::Hold), at(0))])
        .unwrap();
    let row = store.latest(&id(299)).unwrap().unwrap();
    assert_eq!(row.first_evidence, row.latest_evidence);
    assert_eq!(
        store.evidence(&row.latest_evidence).unwrap(),
        Some(evidence)
    );
}

#[test]
fn everything_that_tells_two_decisions_apart_makes_a_row() {
    let holds = answers(Verdict::Hold);
    let passes = answers(Verdict::Pass);
    let base_evidence = evidence(299, at(0));
    let mut other_evidence = base_evidence.clone();
    other_evidence.pull_request = Fact::unknown(GapKind::Unreachable, "down");
    let guard = [Objection::new(Code::LiveWork, "an agent is at work")];
    let base = held(&base_evidence, &holds, at(0));
    let mut others = vec![base; 9];
    others[1].outcome = "refused";
    others[2].rule = "another";
    others[3].policy_digest = Some("d2");
    others[4].settings_digest = Some("s2");
    others[5].verdict = None;
    others[6].guards = &guard;
    others[7].evidence = &other_evidence;
    others[8].answers = &passes;
    let mut store = store();
    for (number, entry) in others.iter().enumerate() {
        store.record(&[*entry]).unwrap();
        assert_eq!(
            store.journal(None, 100).unwrap().len(),
            number + 1,
            "number {number}"
        );
    }
    let mut later = base;
    later.to = State::Succeeded;
    store.record(&[later]).unwrap();
    assert_eq!(store.journal(None, 100).unwrap().len(), 10);
}

#[test]
fn sentences_and_what_a_guard_counted_make_no_row() {
    let answers = answers(Verdict::Hold);
    let evidence = evidence(299, at(0));
    let guards = ["3 of 5 were lost", "4 of 5 were lost"]
        .map(|said| [Objection::new(Code::MassChange, said)]);
    let mut store = store();
    for (number, guards) in guards.iter().enumerate() {
        let reason = format!("silent for {number} min");
        let mut entry = held(&evidence, &answers, at(number as u64));
        entry.guards = guards;
        entry.reason = &reason;
        store.record(&[entry]).unwrap();
    }
    let rows = store.journal(None, 10).unwrap();
    assert_eq!((rows.len(), rows[0].count), (1, 2));
    assert_eq!(rows[0].reason, "silent for 0 min");
    assert_eq!(rows[0].guards, guards[0]);
}

#[test]
fn a_row_gives_back_what_was_written() {
    let answers = answers(Verdict::Transition(State::Succeeded));
    let evidence = evidence(299, at(0));
    let verdict = Verdict::Transition(State::Succeeded);
    let mut entry = held(&evidence, &answers, at(0));
    entry.to = State::Succeeded;
    entry.outcome = "transitioned";
    entry.verdict = Some(&verdict);
    let mut store = store();
    store.record(&[entry]).unwrap();
    let row = store.latest(&id(299)).unwrap().unwrap();
    assert_eq!((row.from, row.to), (State::Running, State::Succeeded));
    assert_eq!(row.verdict, Some(verdict.clone()));
    assert_eq!(row.answers, answers);
    assert_eq!(row.policy.as_deref(), Some("default"));
    assert_eq!(row.transition, None);
    let shown = serde_json::to_value(&row).unwrap();
    assert_eq!(shown["session"]["id"], "o/r#299");
    assert_eq!(shown["first_evidence"], row.first_evidence.to_string());
}

#[test]
fn a_clock_that_was_set_back_does_not_hide_the_latest_decision() {
    let answers = answers(Verdict::Hold);
    let evidence = evidence(299, at(0));
    let mut store = store();
    store
        .record(&[held(&evidence, &answers, at(1000))])
        .unwrap();
    let mut other = held(&evidence, &answers, at(10));
    other.outcome = "refused";
    store.record(&[other]).unwrap();
    assert_eq!(store.latest(&id(299)).unwrap().unwrap().outcome, "refused");
    // And the first decision made again is the latest again, with the clock's present time.
    store.record(&[held(&evidence, &answers, at(11))]).unwrap();
    let row = store.latest(&id(299)).unwrap().unwrap();
    assert_eq!(
        (row.outcome.as_str(), row.last_at, row.count),
        ("held", at(11), 2)
    );
}

#[test]
fn the_latest_of_all_sessions_are_the_latest_of_each() {
    let answers = answers(Verdict::Hold);
    let mut store = store();
    // The third look comes back to the first decision, and the fourth after the clock was set back.
    let looks = [("held", 0), ("refused", 10), ("held", 20), ("conflict", 5)];
    for (pass, (outcome, minute)) in looks.into_iter().enumerate() {
        for number in 1..=2 {
            let evidence = evidence(number, at(minute));
            let mut entry = held(&evidence, &answers, at(minute));
            // The second session stays two looks behind, and the rows of the two lie interleaved.
            entry.outcome = if number == 1 {
                outcome
            } else {
                looks[pass.saturating_sub(2)].0
            };
            store.record(&[entry]).unwrap();
        }
        let all = store.latest_of("vigilante").unwrap();
        assert_eq!(all.len(), 2);
        for number in 1..=2 {
            let full = store.latest(&id(number)).unwrap().unwrap();
            let of_all = &all[&id(number)];
            assert_eq!(
                (of_all.from, of_all.to, of_all.last_at),
                (full.from, full.to, full.last_at)
            );
            assert_eq!(
                (&of_all.outcome, &of_all.rule, &of_all.reason),
                (&full.outcome, &full.rule, &full.reason)
            );
        }
        assert_eq!(all[&id(1)].outcome, outcome);
    }
    assert!(store.latest_of("other").unwrap().is_empty());
}

#[test]
fn the_journal_is_of_one_session_or_of_all_and_bounded() {
    let answers = answers(Verdict::Hold);
    let evidence: Vec<_> = (1..=5).map(|number| evidence(number, at(0))).collect();
    let mut store = store();
    for (minute, one) in evidence.iter().enumerate() {
        store
            .record(&[held(one, &answers, at(minute as u64))])
            .unwrap();
    }
    let sessions = |session: Option<u32>, limit| {
        let session = session.map(id);
        let rows = store.journal(session.as_ref(), limit).unwrap();
        rows.into_iter()
            .map(|row| row.session.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(sessions(None, 2), ["o/r#5", "o/r#4"]);
    assert_eq!(sessions(Some(3), 9), ["o/r#3"]);
    assert_eq!(sessions(Some(77), 9), Vec::<String>::new());
    assert_eq!(sessions(None, 0), Vec::<String>::new());
    assert_eq!(store.latest(&id(77)).unwrap(), None);
}

#[test]
fn odd_names_come_back_to_the_letter() {
    let answers = answers(Verdict::Hold);
    let mut store = store();
    let names = [
        "",
        "o/r#1@2",
        "ü/名前#1",
        "a'; DROP TABLE journal; --",
        "\0",
        "%_",
        "A",
        "a",
    ];
    for name in names {
        let mut evidence = evidence(1, at(0));
        evidence.session.id.id = name.into();
        store.record(&[held(&evidence, &answers, at(0))]).unwrap();
        let row = store.latest(&evidence.session.id).unwrap().unwrap();
        assert_eq!((row.session.id.as_str(), row.count), (name, 1));
    }
    assert_eq!(store.journal(None, 100).unwrap().len(), names.len());
}

#[test]
fn evidence_that_is_not_there_is_none() {
    let mut one = store();
    let evidence = evidence(1, at(0));
    one.record(&[held(&evidence, &answers(Verdict::Hold), at(0))])
        .unwrap();
    let digest = one.latest(&id(1)).unwrap().unwrap().first_evidence;
    assert_eq!(store().evidence(&digest).unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However decisions follow each other: one row for each different one, its count and times as they were, the
    /// one of the latest pass first.
    #[test]
    fn rows_are_the_different_decisions(
        passes in prop::collection::vec((0..3u32, 0..3usize, 0..60u64), 1..60),
    ) {
        let outcomes = ["held", "refused", "conflict"];
        let answers = answers(Verdict::Hold);
        let mut store = store();
        let mut model: BTreeMap<(u32, usize), (Timestamp, Timestamp, u64)> = BTreeMap::new();
        let mut now = T0;
        for (session, outcome, minutes) in &passes {
            now = Timestamp(now.0 + minutes * 60_000);
            let evidence = evidence(*session, now);
            let mut entry = held(&evidence, &answers, now);
            entry.outcome = outcomes[*outcome];
            store.record(&[entry]).unwrap();
            let seen = model.entry((*session, *outcome)).or_insert((now, now, 0));
            *seen = (seen.0, now, seen.2 + 1);
            let latest = store.latest(&id(*session)).unwrap().unwrap();
            prop_assert_eq!(&latest.outcome, outcomes[*outcome]);
            let kept = store.evidence(&latest.latest_evidence).unwrap().unwrap();
            let observed = kept.issue.found().unwrap().observed;
            prop_assert!(observed.age(now) < KEEP_LATEST_AFTER);
        }
        let rows: BTreeMap<_, _> = store
            .journal(None, 1000)
            .unwrap()
            .into_iter()
            .map(|row| {
                let session: u32 = row.session.id.trim_start_matches("o/r#").parse().unwrap();
                let outcome = outcomes.iter().position(|one| *one == row.outcome).unwrap();
                ((session, outcome), (row.first_at, row.last_at, row.count))
            })
            .collect();
        prop_assert_eq!(rows, model);
    }
}
