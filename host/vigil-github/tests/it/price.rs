//! Prices: what a document costs by our count is what the model charges for its declared shape.

use serde_json::{Value, json};
use vigil_github::{ChecksSoFar, Heads, Parts, Query, Question, Repo, Target, points, points_of};
use vigil_model::{Model, Request};

use crate::support::*;

/// What the model charges.
fn charged(document: &str, variables: Value) -> u64 {
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    model.repo("acme/app");
    let response = model.respond(Request::graphql(document, variables, TOKEN), NOW.0);
    let body: Value = serde_json::from_slice(&response.body).expect("JSON");
    body["data"]["rateLimit"]["cost"]
        .as_u64()
        .unwrap_or_else(|| panic!("refused: {body}\n{document}"))
}

/// `count` questions of one shape; enough of them that a list too many or too few shows in the points.
fn queries(count: u32, parts: Parts) -> Vec<Query> {
    let repo = Repo::parse("acme/app").expect("a name");
    let one = |target, after: Option<&str>, goes_on: bool| Question {
        target,
        parts,
        after: after.map(str::to_owned),
        checks_so_far: goes_on.then(|| ChecksSoFar {
            head: HEAD.to_owned(),
            known: Vec::new(),
            after: "Y3Vyc29y".to_owned(),
            pages: 1,
        }),
    };
    let issue = |number| {
        one(
            Target::Issue {
                repo: repo.clone(),
                number,
            },
            None,
            false,
        )
    };
    let pull = |number| {
        one(
            Target::PullRequest {
                repo: repo.clone(),
                number,
            },
            None,
            false,
        )
    };
    let checks = |number| {
        one(
            Target::PullRequest {
                repo: repo.clone(),
                number,
            },
            None,
            true,
        )
    };
    let branch = |number: u32| {
        let branch = format!("b{number}");
        one(
            Target::Branch {
                repo: repo.clone(),
                branch,
            },
            None,
            false,
        )
    };
    vec![
        Query::new((1..=count).map(issue).collect()),
        Query::new((1..=count).map(pull).collect()),
        Query::new((1..=count).map(checks).collect()),
        Query::new((1..=count / 4).map(branch).collect()),
        Query::new(
            (1..=count)
                .flat_map(|n| [issue(n), branch(n)])
                .take(60)
                .collect(),
        ),
    ]
}

#[test]
fn every_shape_costs_what_the_model_charges() {
    let mut sets = vec![Parts::empty(), Parts::all()];
    for part in Parts::all().iter() {
        sets.push(part);
        sets.push(Parts::all() - part);
    }
    for parts in sets {
        for query in queries(80, parts) {
            let variables = Value::Object(query.variables.clone());
            let expected = charged(&query.document, variables);
            assert_eq!(
                u64::from(points(&query)),
                expected,
                "{parts}:\n{}",
                query.document
            );
        }
    }
}

#[test]
fn heads_cost_what_the_model_charges() {
    for count in [1, 50, 74, 75, 100] {
        let repos = (0..count)
            .map(|n| Repo::parse(&format!("acme/app-{n}")).expect("a name"))
            .collect();
        let heads = Heads::new(repos, |_| false);
        let expected = charged(&heads.document, json!(heads.variables));
        assert_eq!(u64::from(points_of(heads.connections)), expected, "{count}");
    }
}

#[test]
fn a_hundred_of_anything_lean_is_one_point() {
    let cost = |parts| queries(100, parts).iter().map(points).collect::<Vec<_>>();
    assert_eq!(cost(Parts::empty())[..3], [1, 1, 1]);
    // Summary, decision, queue and auto-merge are free; 100 issues with assignees are 200 lists.
    let free =
        Parts::MERGEABILITY | Parts::REVIEWS | Parts::CHECKS | Parts::QUEUE | Parts::AUTO_MERGE;
    assert_eq!(cost(free)[1], 1);
    assert_eq!(cost(Parts::ASSIGNEES)[0], 2);
    // The commits above both lists are fetched once.
    assert_eq!(cost(Parts::SECOND)[1], 3);
    assert_eq!(cost(Parts::RUNS)[1], 2);
}
