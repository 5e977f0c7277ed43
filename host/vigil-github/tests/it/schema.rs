//! Every shape of document that vigil builds, against the schema that GitHub publishes.
//!
//! The schema is npm's `@octokit/graphql-schema`, fetched by `cargo xtask` into the target folder and never committed.
//! Where it is missing this test says so and checks nothing.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::PathBuf;

use apollo_compiler::{ExecutableDocument, Schema, validation::Valid};
use vigil_core::session::{IssueRef, Lookup, PullRequestRef};
use vigil_core::{Gap, GapKind};
use vigil_github::{Ask, ChecksSoFar, Heads, Parts, Query, Question, Repo, Target, Wants};

use crate::support::plan;

fn schema() -> Option<Valid<Schema>> {
    let path = env::var_os("VIGIL_GITHUB_SCHEMA").map_or_else(default_path, PathBuf::from);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("skipped: no schema at {} ({error})", path.display());
            return None;
        }
    };
    // GitHub's file defines two fields of one type twice, which a strict parser reports; the rest is sound.
    Some(match Schema::parse(text, "schema.graphql") {
        Ok(schema) => Valid::assume_valid(schema),
        Err(errors) => Valid::assume_valid(errors.partial),
    })
}

fn default_path() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
            PathBuf::from,
        )
        .join("github-schema/schema.graphql")
}

fn question(target: Target, parts: Parts, after: Option<&str>) -> Question {
    Question {
        target,
        parts,
        after: after.map(str::to_owned),
        checks_so_far: None,
    }
}

/// Each kind of question alone with each set of parts, all together, and none.
fn shapes() -> Vec<Query> {
    let repo = Repo::parse("acme/app").expect("a name");
    let issue = Target::Issue {
        repo: repo.clone(),
        number: 299,
    };
    let pull_request = Target::PullRequest {
        repo: repo.clone(),
        number: 319,
    };
    let branch = Target::Branch {
        repo,
        branch: "vigilante/issue-299".to_owned(),
    };
    let mut shapes = vec![
        Query::new(Vec::new()),
        Query::new(vec![question(issue.clone(), Parts::empty(), None)]),
    ];
    for bits in 0..=Parts::all().bits() {
        let parts = Parts::from_bits_truncate(bits);
        let number = question(pull_request.clone(), parts, None);
        let mut goes_on = number.clone();
        goes_on.checks_so_far = Some(ChecksSoFar {
            head: "8c3a5b0f".to_owned(),
            known: Vec::new(),
            after: "cursor".to_owned(),
            pages: 1,
        });
        let all = [
            question(issue.clone(), parts, None),
            number,
            goes_on,
            question(branch.clone(), parts, None),
            question(branch.clone(), parts, Some("cursor")),
        ];
        // Each set alone; together only now and then, for the time that it takes.
        if bits.is_multiple_of(31) {
            shapes.push(Query::new(all.to_vec()));
        }
        shapes.extend(all.into_iter().map(|one| Query::new(vec![one])));
    }
    shapes
}

/// A hundred sessions over thirty repositories, with whatever a record may hold as a name.
fn fleet() -> Vec<Ask> {
    (0..100)
        .map(|n| {
            let repo = format!("acme/app-{}\") {{ id }} #", n % 30);
            Ask {
                lookup: Lookup {
                    issue: Ok(Some(IssueRef {
                        repo: repo.clone(),
                        number: n + 1,
                    })),
                    pull_request: match n % 3 {
                        0 => Ok(Some(PullRequestRef::by_number(repo, n + 1))),
                        1 => Ok(Some(PullRequestRef::by_branch(
                            repo,
                            format!("a\"b\\c\n{n}"),
                            "acme".to_owned(),
                        ))),
                        _ => Err(Gap::new(GapKind::Unrecorded, "no branch")),
                    },
                },
                wants: Wants {
                    issue: true,
                    pull_request: true,
                    parts: Parts::from_bits_truncate(u16::try_from(n * 37).expect("small")),
                },
                started: None,
                landing: vigil_core::landing::Landing::default(),
                local: vigil_github::ask::Local::default(),
            }
        })
        .collect()
}

#[test]
fn every_document_is_valid_by_the_published_schema() {
    let Some(schema) = schema() else { return };
    let fleet = plan(&fleet(), 50);
    assert_eq!(fleet.len(), 4);
    let without = |no_issues: usize| {
        [0, 1, 50].map(|count| {
            let repo = |n| Repo::parse(&format!("acme/app-{n}")).expect("a name");
            let last = format!("app-{no_issues}");
            Heads::new((0..count).map(repo).collect(), |repo| {
                repo.name() < last.as_str()
            })
            .document
        })
    };
    let heads = [0, 1, 9].map(without).concat();
    let shapes = shapes();
    // Different sets of parts can make the same document.
    let documents: BTreeSet<&str> = shapes
        .iter()
        .chain(&fleet)
        .map(|query| query.document.as_str())
        .chain(heads.iter().map(String::as_str))
        .collect();
    assert!(documents.len() > 1000, "{}", documents.len());
    for document in documents {
        if let Err(errors) =
            ExecutableDocument::parse_and_validate(&schema, document, "query.graphql")
        {
            panic!("{}\n{document}", errors.errors);
        }
        assert!(
            !document.contains("acme"),
            "text of a record in the document:\n{document}"
        );
    }
}

/// The check above would be worth nothing if the validator let mistakes pass.
#[test]
fn the_validator_refuses_what_github_does_not_know() {
    let Some(schema) = schema() else { return };
    let good = &shapes()[1].document;
    for (from, to) in [
        ("closedAt", "endedAt"),
        ("first: 100", "first: \"100\""),
        ("$number0: Int!", "$number0: String!"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(&bad, good);
        assert!(
            ExecutableDocument::parse_and_validate(&schema, &bad, "query.graphql").is_err(),
            "{to} passed"
        );
    }
}
