use std::time::Duration;

use vigil_core::time::minutes;

use super::super::Shares;
use super::*;

const NOW: Timestamp = Timestamp(1_000_000_000);
const MINUTE: Duration = minutes(1);

fn meter(remaining: u64) -> Meter {
    Meter {
        limit: Some(5_000),
        remaining: Some(remaining),
        reset: Some(NOW.after(minutes(30))),
    }
}

fn limit(scope: LimitScope, until: Option<Timestamp>) -> Limit {
    Limit {
        until,
        detail: "slow down".into(),
        scope,
    }
}

/// A refusal that names no time.
fn bare(scope: LimitScope) -> Limit {
    limit(scope, None)
}

/// A refusal that names the time in so many minutes.
fn named(scope: LimitScope, span: u64) -> Limit {
    limit(scope, Some(NOW.after(minutes(span))))
}

impl AccountMemory {
    /// A refusal whose headers say nothing about the pot; gives the minutes to be silent from then on.
    fn refused(&mut self, pool: Pool, limit: &Limit, at: Timestamp) -> u64 {
        let silence = self.limited(pool, limit, Meter::default(), at);
        at.age(silence.until).as_secs() / 60
    }

    fn urgent(&self, pool: Pool, now: Timestamp) -> Option<u64> {
        self.pot(pool)
            .allowance(Shares::default(), MINUTE, now)
            .urgent
    }
}

#[test]
fn an_answer_that_was_overtaken_does_not_fill_an_empty_pot() {
    let mut account = AccountMemory::default();
    account.refused(Pool::Rest, &named(LimitScope::Pot, 5), NOW);
    account.answered(Pool::Rest, 1, meter(17), NOW);
    assert!(account.silent(Pool::Rest, NOW).is_some());
    let later = NOW.after(minutes(6));
    assert_eq!(account.silent(Pool::Rest, later), None);
    account.answered(Pool::Rest, 1, meter(16), later);
    assert_eq!(account.rest.remaining(later), Some(16));

    // Nor does one fill the pot that another answer told to be empty.
    let mut account = AccountMemory::default();
    account.answered(Pool::Rest, 1, meter(0), NOW);
    account.answered(Pool::Rest, 1, meter(1), NOW);
    assert!(account.silent(Pool::Rest, NOW).is_some());
}

#[test]
fn a_primary_limit_empties_one_pot_and_a_secondary_one_silences_the_account() {
    let mut account = AccountMemory::default();
    account.refused(Pool::Rest, &named(LimitScope::Pot, 5), NOW);
    assert!(account.silent(Pool::Rest, NOW).is_some());
    assert_eq!(account.silent(Pool::GraphQl, NOW), None);
    account.refused(Pool::Rest, &named(LimitScope::Account, 5), NOW);
    assert!(account.silent(Pool::GraphQl, NOW).is_some());
    assert_eq!(account.silent(Pool::GraphQl, NOW.after(minutes(5))), None);
}

#[test]
fn of_several_refusals_the_one_that_lasts_longest_counts_in_any_order() {
    for scope in [LimitScope::Account, LimitScope::Pot] {
        for refusals in [
            [named(scope, 10), bare(scope), named(scope, 2)],
            [bare(scope), named(scope, 10), bare(scope)],
            [named(scope, 2), bare(scope), named(scope, 10)],
        ] {
            let mut account = AccountMemory::default();
            for refusal in &refusals {
                account.refused(Pool::Rest, refusal, NOW);
            }
            let last = NOW.after(minutes(10) - Duration::from_millis(1));
            assert!(account.silent(Pool::Rest, last).is_some(), "{refusals:?}");
            assert_eq!(account.silent(Pool::Rest, NOW.after(minutes(10))), None);
        }
    }
}

#[test]
fn refusals_without_a_time_silence_for_longer_each_time() {
    for scope in [LimitScope::Account, LimitScope::Pot] {
        let mut account = AccountMemory::default();
        let mut now = NOW;
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(account.refused(Pool::GraphQl, &bare(scope), now), expected);
            // One that was under way meanwhile says nothing.
            account.answered(Pool::GraphQl, 1, Meter::default(), now);
            now = now.after(minutes(expected));
        }
        // One that comes after the silence does.
        account.answered(Pool::GraphQl, 1, Meter::default(), now);
        assert_eq!(account.refused(Pool::GraphQl, &bare(scope), now), 1);
    }
}

#[test]
fn what_was_under_way_together_and_is_refused_together_is_one_refusal() {
    let mut account = AccountMemory::default();
    let secondary = bare(LimitScope::Account);
    for pool in [
        Pool::Rest,
        Pool::Rest,
        Pool::GraphQl,
        Pool::Rest,
        Pool::Rest,
    ] {
        assert_eq!(account.refused(pool, &secondary, NOW), 1, "{pool:?}");
    }
    let later = NOW.after(MINUTE);
    assert_eq!(account.refused(Pool::Rest, &secondary, later), 2);
}

#[test]
fn lists_that_are_answered_do_not_make_the_silence_about_queries_short() {
    let secondary = bare(LimitScope::Account);
    let mut account = AccountMemory::default();
    let mut now = NOW;
    for expected in [1, 2, 4, 8] {
        account.answered(Pool::Rest, 0, meter(4_000), now);
        assert_eq!(account.refused(Pool::GraphQl, &secondary, now), expected);
        now = now.after(minutes(expected));
    }
}

#[test]
fn refusals_of_both_pools_in_turns_make_the_silence_about_everything_long() {
    let secondary = bare(LimitScope::Account);
    let mut account = AccountMemory::default();
    let mut now = NOW;
    for (pool, expected) in [
        (Pool::Rest, 1),
        (Pool::GraphQl, 2),
        (Pool::GraphQl, 4),
        (Pool::Rest, 8),
    ] {
        assert_eq!(account.refused(pool, &secondary, now), expected);
        now = now.after(minutes(expected));
    }
}

#[test]
fn a_refusal_without_a_time_is_no_new_window() {
    let mut account = AccountMemory::default();
    account.answered(Pool::GraphQl, 1_250, meter(3_750), NOW);
    assert_eq!(account.urgent(Pool::GraphQl, NOW), Some(0));
    account.refused(Pool::GraphQl, &bare(LimitScope::Pot), NOW);
    let later = NOW.after(minutes(2));
    assert_eq!(account.silent(Pool::GraphQl, later), None);
    assert_eq!(account.urgent(Pool::GraphQl, later), Some(0));
    account.answered(Pool::GraphQl, 1, Meter::default(), later);
    assert_eq!(account.graphql.spent, 1_251);
}

#[test]
fn what_two_processes_were_told_is_kept_together() {
    let (mut ours, mut theirs) = (AccountMemory::default(), AccountMemory::default());
    ours.answered(Pool::GraphQl, 7, meter(4_990), NOW);
    theirs.answered(Pool::GraphQl, 30, meter(4_960), NOW);
    theirs.refused(Pool::Rest, &named(LimitScope::Account, 5), NOW);
    theirs.refused(Pool::Rest, &named(LimitScope::Pot, 9), NOW);
    let both = ours.with(&theirs, NOW);
    for pool in [Pool::GraphQl, Pool::Rest] {
        assert_eq!(both.silent(pool, NOW), theirs.silent(pool, NOW));
    }
}

#[test]
fn what_two_processes_took_adds_up_and_nothing_counts_twice() {
    let meter = |remaining| meter(remaining);
    let mut stored = AccountMemory::default();
    stored.answered(Pool::GraphQl, 100, meter(4_900), NOW);
    stored.stored();
    // Both begin with that, and store what they took in turns.
    let (mut ours, mut theirs) = (stored.clone(), stored.clone());
    for _ in 0..3 {
        for process in [&mut ours, &mut theirs] {
            process.answered(Pool::GraphQl, 10, meter(4_000), NOW);
            stored = process.clone().with(&stored, NOW);
            process.stored();
        }
    }
    assert_eq!(stored.graphql.spent, 160);
    // To store it once more changes nothing.
    assert_eq!(ours.with(&stored, NOW).graphql.spent, 160);
}

#[test]
fn accounts_with_one_token_have_one_share_and_are_silent_together() {
    let print = |text: &str| Fingerprint(text.into());
    let told = |token: &str, spent, left| {
        let mut account = AccountMemory::default();
        account.has_token(&print(token), false, NOW);
        account.answered(Pool::GraphQl, spent, meter(left), NOW);
        account.recent.sent(400, NOW);
        account
    };
    let (mut one, other) = (told("a", 1_000, 3_700), told("a", 200, 3_750));
    let view = other.clone().beside(&one, NOW);
    assert_eq!(view.urgent(Pool::GraphQl, NOW), Some(50));
    assert_eq!(view.graphql.meter.remaining, Some(3_700));
    assert!(!view.keeps_pace(0, NOW));
    one.refused(Pool::Rest, &named(LimitScope::Pot, 5), NOW);
    assert!(
        other
            .clone()
            .beside(&one, NOW)
            .silent(Pool::Rest, NOW)
            .is_some()
    );
    // An hour on, what the one took of the last one is over.
    let later = NOW.after(minutes(31));
    let mut next = told("a", 0, 5_000);
    let full = Meter {
        reset: Some(NOW.after(minutes(90))),
        ..meter(4_999)
    };
    next.answered(Pool::GraphQl, 1, full, later);
    for view in [
        next.clone().beside(&one, later),
        one.clone().beside(&next, later),
    ] {
        assert_eq!(view.urgent(Pool::GraphQl, later), Some(1_249));
    }
    // Another token's are its own.
    let stranger = told("b", 0, 5_000);
    assert_eq!(stranger.clone().beside(&one, NOW), stranger);
    assert_eq!(
        AccountMemory::default().beside(&one, NOW),
        AccountMemory::default()
    );
}

#[test]
fn of_what_is_left_in_a_window_the_lower_counts() {
    let told = |remaining| {
        let mut account = AccountMemory::default();
        account.answered(Pool::GraphQl, 1, meter(remaining), NOW);
        account
    };
    for (ours, theirs) in [(0, 400), (400, 0)] {
        let both = told(ours).with(&told(theirs), NOW);
        assert_eq!(both.graphql.meter.remaining, Some(0));
        assert!(both.silent(Pool::GraphQl, NOW).is_some());
    }
    // A window that is over says nothing about the one that has begun.
    let later = NOW.after(minutes(40));
    let mut next = AccountMemory::default();
    let full = Meter {
        reset: Some(NOW.after(minutes(90))),
        ..meter(4_999)
    };
    next.answered(Pool::GraphQl, 1, full, later);
    for both in [
        told(0).with(&next, later),
        next.clone().with(&told(0), later),
    ] {
        assert_eq!(both.silent(Pool::GraphQl, later), None);
        assert_eq!(both.graphql.remaining(later), Some(4_999));
    }
    // Nor does another user's.
    let mut other = told(0);
    other.has_token(&Fingerprint("b".into()), false, NOW);
    let both = told(400).with(&other, NOW);
    assert_eq!(both.graphql.meter.remaining, Some(400));
}

#[test]
fn what_a_clock_that_was_ahead_was_told_ends_with_it() {
    let ahead = NOW.after(minutes(365 * 24 * 60));
    let mut account = AccountMemory::default();
    let meter = |at: Timestamp, remaining| Meter {
        limit: Some(5_000),
        remaining: Some(remaining),
        reset: Some(at.after(minutes(30))),
    };
    account.answered(Pool::GraphQl, 1_250, meter(ahead, 0), ahead);
    let refusal = limit(LimitScope::Account, Some(ahead.after(minutes(5))));
    account.refused(Pool::Rest, &refusal, ahead);
    assert_eq!(account.silent(Pool::GraphQl, NOW), None);
    account.answered(Pool::GraphQl, 1, meter(NOW, 4_000), NOW);
    assert_eq!(account.graphql.spent, 1);
    assert_eq!(account.urgent(Pool::GraphQl, NOW), Some(1_249));
    // What is told now counts, however far ahead the other one was.
    account.refused(Pool::Rest, &named(LimitScope::Account, 5), NOW);
    let silence = account.silent(Pool::GraphQl, NOW).expect("a silence");
    assert_eq!(silence.until, NOW.after(minutes(5)));
}

#[test]
fn another_token_of_the_account_is_held_to_what_the_first_one_was_told() {
    let print = |text: &str| Fingerprint(text.into());
    let later = NOW.after(minutes(2));
    let mut account = AccountMemory::default();
    account.has_token(&print("a"), false, NOW);
    account.answered(Pool::GraphQl, 1, meter(0), NOW);
    account.answered(Pool::Rest, 1, meter(1_000), NOW);
    account.has_token(&print("b"), false, later);
    assert!(
        account.silent(Pool::GraphQl, later).is_some(),
        "an empty pot"
    );
    // What else was left to the first one is no limit that anybody told.
    assert_eq!(account.urgent(Pool::Rest, later), None);

    account.refused(Pool::Rest, &named(LimitScope::Account, 50), later);
    account.has_token(&print("c"), false, later);
    let silence = account.silent(Pool::Rest, NOW.after(minutes(49)));
    assert!(silence.is_some(), "a silence");
    assert_eq!(account.silent(Pool::Rest, NOW.after(minutes(50))), None);
}

#[test]
fn six_hundred_lists_a_minute_are_the_most() {
    let mut account = AccountMemory::default();
    assert!(account.keeps_pace(599, NOW));
    assert!(!account.keeps_pace(600, NOW));
    account.recent.sent(599, NOW);
    assert!(account.keeps_pace(0, NOW));
    assert!(!account.keeps_pace(1, NOW));
    // Another process reads it.
    let json = serde_json::to_string(&account).expect("JSON");
    let read: AccountMemory = serde_json::from_str(&json).expect("the same");
    assert_eq!(read, account);
    assert!(account.keeps_pace(599, NOW.after(minutes(2))));
}

/// A meter of the window that ends so many minutes after [`NOW`].
fn until(minute: u64, remaining: u64) -> Meter {
    Meter {
        reset: Some(NOW.after(minutes(minute))),
        ..meter(remaining)
    }
}

/// The least of what cannot wait may have in any minute of `span`.
fn least(account: &AccountMemory, span: std::ops::Range<u64>) -> Option<u64> {
    let moments = span.map(|minute| NOW.after(minutes(minute)));
    moments
        .filter_map(|now| account.urgent(Pool::GraphQl, now))
        .min()
}

#[test]
fn the_level_of_a_window_ends_with_it_whatever_the_first_answer_of_the_next_says() {
    // Others have used the pot below the reserve, and the first query of the next hour tells nothing.
    for is_limited in [false, true] {
        let mut account = AccountMemory::default();
        account.answered(Pool::GraphQl, 1, until(30, 900), NOW);
        assert_eq!(account.urgent(Pool::GraphQl, NOW), Some(0));
        let next = NOW.after(minutes(31));
        if is_limited {
            account.refused(Pool::GraphQl, &bare(LimitScope::Pot), next);
        } else {
            account.graphql.spend(3, Meter::default(), next);
        }
        assert!(least(&account, 31..91) >= Some(1_247), "{is_limited}");
    }
}

#[test]
fn a_window_that_was_guessed_does_not_make_a_level_last_longer() {
    let mut account = AccountMemory::default();
    account.graphql.spend(3, Meter::default(), NOW);
    account.answered(Pool::GraphQl, 1, until(5, 900), NOW);
    assert_eq!(account.urgent(Pool::GraphQl, NOW), Some(0));
    assert!(least(&account, 5..60) >= Some(1_246));
}

#[test]
fn an_empty_pot_is_full_again_though_the_next_window_was_told_before_it_began() {
    let mut account = AccountMemory::default();
    let reset = NOW.after(Duration::from_secs(1));
    let empty = Meter {
        reset: Some(reset),
        ..meter(0)
    };
    account.answered(Pool::GraphQl, 1, empty, NOW);
    account.answered(Pool::GraphQl, 1, until(60, 4_999), NOW);
    assert!(account.silent(Pool::GraphQl, NOW).is_some());
    assert_eq!(account.silent(Pool::GraphQl, reset), None);
    assert_eq!(account.urgent(Pool::GraphQl, reset), Some(1_249));
}

#[test]
fn of_two_processes_the_later_window_counts_with_its_own_level() {
    let process = |token: &str, meter, at| {
        let mut account = AccountMemory::default();
        account.has_token(&Fingerprint(token.into()), false, at);
        account.answered(Pool::GraphQl, 1, meter, at);
        account
    };
    let later = NOW.after(minutes(40));
    // Of another token nobody takes a level over, nor does its own outlast its window.
    let both =
        process("a", until(30, 900), NOW).with(&process("b", until(90, 4_999), later), later);
    assert!(least(&both, 40..90) >= Some(1_248));

    // One process had no answer in the new window, and guesses when it ends; the other one has seen how little is left.
    let mut guessing = process("a", until(30, 4_000), NOW);
    guessing.graphql.spend(1, Meter::default(), later);
    let told = process("a", until(90, 1_100), later);
    for both in [
        guessing.clone().with(&told, later),
        told.with(&guessing, later),
    ] {
        assert_eq!(both.graphql.remaining(later), Some(1_100));
    }
}

#[test]
fn what_a_clock_that_was_ahead_was_told_does_not_hide_what_holds() {
    let ahead = NOW.after(minutes(60));
    let told = |at: Timestamp| {
        let mut account = AccountMemory::default();
        account.has_token(&Fingerprint("a".into()), false, at);
        for scope in [LimitScope::Account, LimitScope::Pot] {
            let refusal = limit(scope, Some(at.after(minutes(5))));
            account.refused(Pool::Rest, &refusal, at);
        }
        account
    };
    let (old, new) = (told(ahead), told(NOW));
    assert_eq!(old.silent(Pool::Rest, NOW), None);
    let mut heeding = old.clone();
    assert!(heeding.heed(&new, NOW));
    for account in [
        heeding,
        old.clone().with(&new, NOW),
        new.clone().with(&old, NOW),
        old.clone().beside(&new, NOW),
        new.beside(&old, NOW),
    ] {
        for pool in [Pool::Rest, Pool::GraphQl] {
            let silence = account.silent(pool, NOW).expect("a silence");
            assert_eq!(silence.until, NOW.after(minutes(5)), "{pool:?}");
        }
        let pot = account.rest.silence.expect("a silence of the pot");
        assert_eq!(pot.until, NOW.after(minutes(5)));
    }
}

#[test]
fn what_is_told_for_free_does_not_make_the_next_silence_short() {
    let mut account = AccountMemory::default();
    let refusal = bare(LimitScope::Account);
    let mut now = NOW;
    for expected in [1, 2, 4, 8] {
        assert_eq!(account.refused(Pool::GraphQl, &refusal, now), expected);
        now = now.after(minutes(expected));
        account.metered(Pool::GraphQl, until(60, 4_000), now);
        assert_eq!(account.graphql.remaining(now), Some(4_000));
    }
}
