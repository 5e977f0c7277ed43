//! What a round comes to whose requests were not sent, or were refused: what is known stands, and every question is dealt
//! with.

use serde_json::Value;
use vigil_core::{Gap, GapKind, Timestamp};
use vigil_github::budget::{Shares, Silence};
use vigil_github::memory::{Doubt, Memory};
use vigil_github::round::{Body, How, Landed, Outcome, Outgoing, Round};
use vigil_github::{Account, Ask, Trouble};
use vigil_model::{Fault, Forbidden, Model, Request, Scope};

use super::fleet::*;
use super::truth::{TRUTH, raw};
use crate::support::*;

/// A GitHub in this process.
struct Desk {
    model: Model,
    now: Timestamp,
}

impl Desk {
    fn ask(&self, memory: Memory, asks: &[Ask]) -> Round {
        let how = How {
            now: self.now,
            interval: MINUTE,
            shares: Shares::default(),
            resync: None,
        };
        let account = |_: &str| Account::usual();
        Round::ask(memory, asks.to_vec(), Doubt::Little, account, how)
    }

    fn answer(&mut self, outgoing: &Outgoing) -> (Outcome, u32) {
        let request = match &outgoing.body {
            Body::GraphQl {
                document,
                variables,
            } => Request::graphql(document, Value::Object(variables.clone()), TRUTH),
            Body::Rest { path, .. } => Request::get(path, TRUTH),
        };
        let response = self.model.respond(request, self.now.0);
        (Outcome::Answer(raw(&response)), 1)
    }

    /// Works through `round`; `instead`: what becomes of a request that is not answered. As many are out as may be.
    fn work(
        &mut self,
        round: &mut Round,
        instead: impl Fn(&Outgoing) -> Option<(Outcome, u32)>,
    ) -> (u64, u64) {
        loop {
            let mut out = Vec::new();
            while let Some(outgoing) = round.next(self.now) {
                out.push(outgoing);
            }
            if out.is_empty() {
                return round.progress();
            }
            for outgoing in out {
                let (outcome, sent) = instead(&outgoing).unwrap_or_else(|| self.answer(&outgoing));
                let landed = Landed {
                    id: outgoing.id,
                    outcome,
                    sent,
                };
                round.take(landed, self.now);
            }
        }
    }
}

fn gap() -> Gap {
    Gap::new(GapKind::Unreachable, "no way")
}

fn silence() -> Silence {
    Silence {
        told: NOW,
        until: NOW.after(MINUTE * 10),
        why: "GitHub says so".to_owned(),
    }
}

fn no_token() -> Outcome {
    Outcome::NoToken(Trouble::Unanswered { gap: gap() })
}

/// How a request can end without having been sent.
fn not_sent() -> Vec<Outcome> {
    vec![
        Outcome::NoConnection(gap()),
        no_token(),
        Outcome::Silent(silence()),
    ]
}

/// Sessions whose CI is under way, after a first pass.
fn polled() -> (Desk, Memory, Vec<Ask>) {
    let (mut model, asks) = mixed(4, 1);
    model.token(TRUTH).login("somebody");
    for n in 1..=4 {
        let pull = model.repo("acme/app-0").pull(n + 100_000);
        pull.check("build", None);
    }
    let mut desk = Desk { model, now: NOW };
    let mut round = desk.ask(Memory::default(), &asks);
    desk.work(&mut round, |_| None);
    let ended = round.end();
    for answer in &ended.answers {
        let pull = answer.pull_request.found().expect("it was answered");
        assert_eq!(pull.checks.found().expect("it was asked for"), "pending");
    }
    desk.now = NOW.after(MINUTE * 2);
    (desk, ended.memory, asks)
}

#[test]
fn what_was_only_to_be_confirmed_stands_if_it_was_not_sent() {
    for outcome in 0..not_sent().len() {
        for sent in [0, 1] {
            let (mut desk, memory, asks) = polled();
            let mut round = desk.ask(memory, &asks);
            let (done, total) = desk.work(&mut round, |_| {
                let outcome = not_sent().into_iter().nth(outcome);
                Some((outcome.expect("one of them"), sent))
            });
            assert!(done == total && total >= 4, "{done} of {total}");
            for answer in round.end().answers {
                let stands = kind(&answer.pull_request) == "found";
                assert_eq!(stands, sent == 0, "{outcome}: {answer:?}");
            }
        }
    }
}

#[test]
fn every_question_is_dealt_with_once() {
    let (mut model, asks) = mixed(9, 1);
    model.token(TRUTH).login("somebody");
    // More than may be looked for at once.
    for n in 1..=9 {
        model.repo("acme/app-0").issue(n).deleted();
    }
    let lost: [fn() -> (Outcome, u32); 6] = [
        || (no_token(), 0),
        || (Outcome::NoConnection(gap()), 0),
        || (Outcome::Silent(silence()), 0),
        || (Outcome::TimedOut(gap()), 1),
        || (Outcome::Broken(gap()), 1),
        || (Outcome::OutOfTime, 1),
    ];
    let refused = [
        Fault::BadCredentialsExhausted,
        Fault::TooManyRequests(None),
        Fault::Forbidden(Forbidden::Exhausted),
        Fault::Html(502),
    ];
    let mut desk = Desk { model, now: NOW };
    let mut round = desk.ask(Memory::default(), &asks);
    let all = desk.work(&mut round, |_| None);
    assert_eq!(all.0, all.1);
    for (at, instead) in lost.iter().enumerate() {
        let mut round = desk.ask(Memory::default(), &asks);
        let came_to = desk.work(&mut round, |outgoing| {
            matches!(outgoing.body, Body::Rest { .. }).then(instead)
        });
        assert_eq!(came_to, all, "{at}");
    }
    for fault in refused {
        desk.model.fail_next_in(Scope::Rest, 1, fault.clone());
        let mut round = desk.ask(Memory::default(), &asks);
        assert_eq!(desk.work(&mut round, |_| None), all, "{fault:?}");
        desk.model.heal();
    }
}
