//! What GitHub says when it is asked for everything anew, and how that is compared with what is known.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use secrecy::SecretString;
use serde_json::Value;
use vigil_core::forge::Reference;
use vigil_core::{Fact, Gap, Timestamp};
use vigil_github::budget::Shares;
use vigil_github::memory::{Doubt, Memory};
use vigil_github::round::{Body, Ended, How, Landed, Outcome, Raw, Round};
use vigil_github::{Account, Answer, Ask, Fingerprint};
use vigil_model::{Model, Request};

pub(super) const TRUTH: &str = "ghp_theOneThatSeesEverything0123456789";

/// Asks `model` in process for all of `asks`, with nothing known and nothing going wrong.
pub(super) fn full_read(mut model: Model, asks: Vec<Ask>, how: How) -> Vec<Answer> {
    model.heal();
    model.secondary_limits(None);
    model.token(TRUTH).login("all-knowing").sees_all();
    let now = how.now;
    let how = How {
        shares: Shares {
            reserve: 0,
            own: 100,
        },
        ..how
    };
    let account = |_: &str| Account::usual();
    let round = Round::ask(Memory::default(), asks, Doubt::Little, account, how);
    drive(&mut model, round, now, |body| body).answers
}

/// A round in process, over a GitHub that answers at once; `rest`: what becomes of the bodies of lists on the way.
pub(super) fn drive(
    model: &mut Model,
    mut round: Round,
    now: Timestamp,
    rest: impl Fn(Vec<u8>) -> Vec<u8>,
) -> Ended {
    while let Some(outgoing) = round.next(now) {
        let request = match &outgoing.body {
            Body::GraphQl {
                document,
                variables,
            } => Request::graphql(document, Value::Object(variables.clone()), TRUTH),
            Body::Rest { path, .. } => Request::get(path, TRUTH),
        };
        let mut response = model.respond(request, now.0);
        if matches!(outgoing.body, Body::Rest { .. }) {
            response.body = rest(response.body);
        }
        let landed = Landed {
            id: outgoing.id,
            outcome: Outcome::Answer(raw(&response)),
            sent: 1,
        };
        round.take(landed, now);
    }
    round.end()
}

pub(super) fn raw(response: &vigil_model::Response) -> Raw {
    let mut headers = HeaderMap::new();
    for (name, value) in &response.headers {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).expect("a header's value"),
        );
    }
    Raw {
        status: StatusCode::from_u16(response.status).expect("a status"),
        headers,
        body: response.body.clone(),
        fingerprint: Fingerprint::of(&SecretString::from(TRUTH)),
        origin: "the test".to_owned(),
        took: Duration::ZERO,
    }
}

/// An answer without the moments at which it was learned, and gaps by their kind alone.
pub(super) fn comparable(answer: &Answer) -> Answer {
    let mut answer = answer.clone();
    let zero = Timestamp::default();
    timeless(&mut answer.issue);
    timeless(&mut answer.pull_request);
    if let Fact::Found(issue) = &mut answer.issue {
        issue.observed = zero;
        timeless(&mut issue.closer);
    }
    if let Fact::Found(pr) = &mut answer.pull_request {
        (pr.observed, pr.parts_observed) = (zero, zero);
        if let Fact::Found(merge) = &mut pr.mergeability {
            merge.observed = zero;
        }
        timeless(&mut pr.mergeability);
        timeless(&mut pr.review);
        timeless(&mut pr.checks);
        timeless(&mut pr.check_list);
        timeless(&mut pr.runs);
        timeless(&mut pr.queue);
        timeless(&mut pr.auto_merge);
        timeless(&mut pr.landed);
    }
    answer
}

/// Takes the states of what issues and pull requests name out of an answer.
pub(super) fn stateless(answer: &mut Answer) {
    if let Fact::Found(issue) = &mut answer.issue {
        clear(&mut issue.closed_by);
    }
    if let Fact::Found(pr) = &mut answer.pull_request {
        clear(&mut pr.closes);
    }
}

fn clear(named: &mut Fact<Vec<Reference>>) {
    if let Fact::Found(named) = named {
        for one in named {
            one.state.clear();
        }
    }
}

/// The lines in which two answers differ, so that a failure can be read.
pub(super) fn where_they_differ(known: &Answer, truth: &Answer) -> String {
    let (known, truth) = (format!("{known:#?}"), format!("{truth:#?}"));
    let only = |one: &str, other: &str| -> Vec<String> {
        let lines = one.lines().filter(|line| !other.contains(*line));
        lines.map(|line| line.trim().to_owned()).collect()
    };
    format!(
        "known is {:?}, and GitHub says {:?}",
        only(&known, &truth),
        only(&truth, &known)
    )
}

/// What a full read that looked as far as `known` does would have said: single checks and held runs are looked at where
/// they can matter, and what was looked at earlier may be known beyond that.
pub(super) fn as_far_as(known: &Answer, mut truth: Answer) -> Answer {
    if let (Some(known), Fact::Found(truth)) = (known.pull_request.found(), &mut truth.pull_request)
    {
        if truth.check_list.is_absent() && known.check_list.found().is_some() {
            truth.check_list.clone_from(&known.check_list);
        }
        if truth.runs.is_absent() && known.runs.found().is_some_and(Vec::is_empty) {
            truth.runs.clone_from(&known.runs);
        }
    }
    truth
}

fn timeless<T>(fact: &mut Fact<T>) {
    match fact {
        Fact::Absent(sighting) => {
            sighting.first = Timestamp::default();
            sighting.last = Timestamp::default();
        }
        Fact::Unknown(gap) => **gap = Gap::new(gap.kind.clone(), ""),
        Fact::Found(_) | Fact::NotAsked => {}
    }
}
