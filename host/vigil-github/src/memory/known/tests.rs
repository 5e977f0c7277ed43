use vigil_core::forge::Mergeability;
use vigil_core::time::minutes;

use super::*;

impl Timeless for u8 {
    fn says_as(&mut self, other: &Self) -> bool {
        self == other
    }
}

const NOW: Timestamp = Timestamp(1_795_154_400_000);

fn seen(what: u8, updated: Timestamp) -> Seen<u8> {
    Seen {
        fact: Fact::Found(what),
        id: Some("I_1".into()),
        updated: Some(updated),
    }
}

fn known() -> Known<u8> {
    let mut known = Known::default();
    known.take(seen(1, NOW), Parts::empty(), NOW);
    known.due = NOW.after(SWEEP_OPEN);
    known
}

#[test]
fn when_something_was_read_is_no_part_of_what_it_says() {
    let earlier = PullRequest {
        mergeability: Fact::Found(Mergeability {
            mergeable: true,
            merge_state: "clean".into(),
            observed: NOW,
        }),
        ..PullRequest::bare(7, NOW)
    };
    let later = NOW.after(minutes(1));
    let mut read = PullRequest {
        parts_observed: later,
        observed: later,
        ..earlier.clone()
    };
    if let Fact::Found(known) = &mut read.mergeability {
        known.observed = later;
    }
    let as_it_was = read.clone();
    assert!(read.says_as(&earlier));
    assert_eq!(read, as_it_was, "the comparison leaves its own times alone");
    read.mergeability = Fact::NotAsked;
    assert!(!read.says_as(&earlier));
}

#[test]
fn what_is_announced_is_doubtful_until_it_is_read() {
    let mut known = known();
    assert_eq!(known.doubtful(), None);
    assert!(!known.announce(NOW), "it is no news");
    let later = NOW.after(minutes(1));
    assert!(known.announce(later));
    assert!(!known.announce(later), "nor is it a second time");
    assert!(known.doubtful().is_some());
    assert_eq!(known.why(Parts::empty(), later), Some(Why::Changed));
    known.take(seen(2, later), Parts::empty(), later);
    assert_eq!((known.doubtful(), known.fact.found()), (None, Some(&2)));
}

#[test]
fn an_older_answer_is_believed_after_both_many_tries_and_a_long_time() {
    let announced = NOW.after(minutes(1));
    let mut many = known();
    many.announce(announced);
    for second in 0..100 {
        let at = announced.after(std::time::Duration::from_secs(second));
        many.take(seen(3, NOW), Parts::empty(), at);
        assert_eq!(many.fact.found(), Some(&1));
        assert!(many.doubtful().is_some());
    }
    let mut long = known();
    long.announce(announced);
    long.take(seen(3, NOW), Parts::empty(), announced);
    long.take(seen(3, NOW), Parts::empty(), announced.after(LAG_MAX));
    assert_eq!(long.fact.found(), Some(&1));
    many.take(seen(3, NOW), Parts::empty(), announced.after(LAG_MAX));
    assert_eq!((many.fact.found(), many.doubtful()), (Some(&3), None));
}

#[test]
fn an_earlier_trouble_does_not_count_as_lag() {
    let mut known = known();
    let down = || Gap::new(GapKind::Unreachable, "down");
    known.miss(down(), NOW);
    let later = NOW.after(LAG_MAX * 2);
    known.announce(later);
    for _ in 0..=TRIES_MAX {
        known.take(seen(3, NOW), Parts::empty(), later);
    }
    assert_eq!(known.fact.found(), Some(&1));
}

#[test]
fn what_a_person_has_to_change_is_asked_for_less_and_less_often() {
    let tried = |kind: GapKind| {
        let mut known = known();
        let mut tries = Vec::new();
        for minute in 0..60 {
            let at = NOW.after(minutes(minute));
            if minute == 0 || known.why(Parts::empty(), at).is_some() {
                tries.push(minute);
                known.miss(Gap::new(kind.clone(), "no"), at);
            }
        }
        tries
    };
    assert_eq!(tried(GapKind::NotFound), [0, 1, 3, 7, 15, 30, 45]);
    assert_eq!(tried(GapKind::Unreachable).len(), 60);
}

#[test]
fn news_end_the_pause() {
    let mut known = known();
    for minute in 1..9 {
        known.miss(Gap::new(GapKind::Denied, "no"), NOW.after(minutes(minute)));
    }
    let at = NOW.after(minutes(10));
    assert_eq!(known.why(Parts::empty(), at), None);
    known.announce(at);
    assert_eq!(known.why(Parts::empty(), at), Some(Why::Changed));
    // It is still not to be had, and nothing is heard of it any more.
    let tries = (10..70).filter(|minute| {
        let at = NOW.after(minutes(*minute));
        let asked = known.why(Parts::empty(), at).is_some();
        if asked {
            known.miss(Gap::new(GapKind::Denied, "no"), at);
        }
        asked
    });
    assert_eq!(tries.count(), 7);
}

#[test]
fn a_failed_try_calls_only_who_judged_before_the_first_one() {
    let at = |minute| NOW.after(minutes(minute));
    let calls = |known: &Known<u8>, judged| known.calls(judged, Parts::empty(), at(5));
    let mut known = known();
    assert!(!calls(&known, NOW), "it was judged with what is known");
    known.miss(Gap::new(GapKind::Unauthenticated, "no token"), at(2));
    assert!(calls(&known, at(1)), "it has become unknown since");
    assert!(!calls(&known, at(2)), "that it is unknown is known");
    known.miss(Gap::new(GapKind::Unreachable, "down"), at(4));
    assert!(!calls(&known, at(3)), "it still is");
    assert!(calls(&known, at(1)));
    // News end that, and so does an answer.
    known.announce(at(4));
    assert!(calls(&known, at(4)));
    known.miss(Gap::new(GapKind::Unreachable, "down"), at(4));
    assert!(!calls(&known, at(4)), "they could not be read");
    known.take(seen(2, at(4)), Parts::empty(), at(5));
    assert!(calls(&known, at(4)));
    // A clock that was ahead has dated the first try.
    known.miss(Gap::new(GapKind::Unreachable, "down"), at(60));
    known.miss(Gap::new(GapKind::Unreachable, "down"), at(5));
    assert!(!calls(&known, at(4)));
}

#[test]
fn what_is_older_than_announced_is_read_again_at_once() {
    let mut known = known();
    let later = NOW.after(minutes(1));
    known.announce(later);
    known.take(seen(1, NOW), Parts::empty(), later);
    let next = later.after(std::time::Duration::from_secs(5));
    assert!(known.calls(later, Parts::empty(), next));
}

#[test]
fn what_was_not_sent_in_a_silence_is_known_from_what_failed_otherwise() {
    let at = |minute| NOW.after(minutes(minute));
    let silence = [(at(1), at(3))];
    let tried = |kind: GapKind, minute| {
        let mut known = known();
        known.miss(Gap::new(kind, "no"), at(minute));
        known.was_silenced(&silence)
    };
    assert!(tried(GapKind::RateLimited, 1) && tried(GapKind::RateLimited, 2));
    assert!(!tried(GapKind::RateLimited, 0) && !tried(GapKind::RateLimited, 3));
    assert!(!tried(GapKind::Unreachable, 2));
    assert!(!known().was_silenced(&silence));
}

#[test]
fn what_failed_in_a_pass_is_not_tried_again_in_it() {
    let mut known = known();
    // It was read in this very pass, and a read with more of it failed.
    known.miss(Gap::new(GapKind::Unreachable, "down"), NOW);
    assert_eq!(known.why(Parts::CHECKS, NOW), None);
    assert_eq!(
        known.why(Parts::CHECKS, NOW.after(minutes(1))),
        Some(Why::Missing)
    );
}

#[test]
fn another_thing_of_the_same_name_is_told_apart() {
    let mut known = known();
    let later = NOW.after(minutes(5));
    let other = Seen {
        id: Some("I_2".into()),
        ..seen(2, later)
    };
    known.take(other, Parts::empty(), later);
    assert_eq!(known.other_since, Some(later));
}
