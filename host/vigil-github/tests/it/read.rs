//! What the model GitHub answers is learned: documents, parts and errors in one go, without a socket.

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use vigil_core::forge::{Issue, PullRequest};
use vigil_core::{Fact, Timestamp};
use vigil_github::learn::{Answered, Finding, Learned, Received, learn};
use vigil_github::{
    Ask, Heads, Meter, Parts, Probe, Probed, Query, Repo, Wants, learn_heads, learn_probe,
};
use vigil_model::{Model, Permission, Request, TokenKind};

use crate::support::*;

/// The model's answer to a request, as it came.
struct Came {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Came {
    fn of(model: &mut Model, request: Request) -> Self {
        let response = model.respond(request, NOW.0);
        let pairs: Vec<(&str, &str)> = response
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        Came {
            status: StatusCode::from_u16(response.status).expect("a status"),
            headers: headers(&pairs),
            body: response.body,
        }
    }

    fn received(&self) -> Received<'_> {
        Received {
            status: self.status,
            headers: &self.headers,
            body: &self.body,
            at: NOW,
        }
    }
}

fn sent(model: &mut Model, query: &Query) -> Answered {
    let variables = Value::Object(query.variables.clone());
    let came = Came::of(model, Request::graphql(&query.document, variables, TOKEN));
    match learn(query, &came.received(), NOW) {
        Learned::Answered(answered) => answered,
        other => panic!("{other:?}"),
    }
}

/// What is learned about one session, with the checks read to their end.
fn look(model: &mut Model, ask: Ask) -> (Option<Fact<Issue>>, Option<Fact<PullRequest>>) {
    let mut facts = (None, None);
    let mut next = plan(&[ask], 25);
    while let Some(query) = next.pop() {
        let answered = sent(model, &query);
        assert!(answered.again.is_empty());
        for (_, finding) in answered.findings {
            match finding {
                Finding::Issue(seen) => facts.0 = Some(seen.fact),
                Finding::PullRequest(seen) => facts.1 = Some(seen.fact),
                Finding::Branch(list) => {
                    let first = list.known.into_iter().next();
                    facts.1 = first.map(|candidate| Fact::Found(candidate.pull_request));
                }
            }
        }
        if !answered.more.is_empty() {
            next.push(Query::new(answered.more));
        }
    }
    facts
}

fn pull(model: &mut Model, parts: Parts) -> PullRequest {
    let wants = Wants { parts, ..LEAN };
    let (_, pr) = look(model, by_number("acme/app", 299, 320, wants));
    pr.expect("an answer").found().expect("it is there").clone()
}

/// Issue 299 and the open pull request 320.
fn world() -> Model {
    let mut model = seed();
    model.repo("acme/app").pull(320).head("fix").closes(299);
    model
}

#[test]
fn everything_about_an_open_pull_request_is_learned() {
    let mut model = world();
    model
        .repo("acme/app")
        .pull(320)
        .review(Some("APPROVED"))
        .reviewed("ada", "APPROVED")
        .reviewed("bob", "CHANGES_REQUESTED")
        .dismissed("bob")
        .queued(3, "AWAITING_CHECKS")
        .auto_merge("SQUASH", "ada")
        .check("build", Some("SUCCESS"))
        .context("ci/old", "SUCCESS")
        .run("CI", "pull_request", "COMPLETED", Some("SUCCESS"));
    let pr = pull(&mut model, Parts::all());
    let reviews = pr.review_list.found().expect("reviews");
    let mut opinions: Vec<_> = reviews
        .iter()
        .map(|review| {
            let author = review.author.as_ref().map(|author| author.login.as_str());
            (author.unwrap_or_default(), review.state.as_str())
        })
        .collect();
    opinions.sort_unstable();
    assert_eq!(opinions, [("ada", "approved"), ("bob", "dismissed")]);
    assert!(
        reviews
            .iter()
            .all(|review| review.commit.as_deref() == Some(&pr.head_sha))
    );
    assert_eq!(pr.queue.found().expect("queued").position, 3);
    assert_eq!(pr.auto_merge.found().expect("a wish").method, "squash");
    assert_eq!(pr.checks, Fact::Found("passing".to_owned()));
    assert_eq!(pr.check_list.found().map(Vec::len), Some(2));
    assert_eq!(pr.runs, Fact::Found(Vec::new()));
    let closes = pr.closes.found().expect("references");
    assert_eq!(
        (closes.len(), closes[0].number, closes[0].state.as_str()),
        (1, 299, "closed")
    );
}

#[test]
fn the_past_of_an_issue_is_learned() {
    let mut model = world();
    model
        .repo("acme/app")
        .issue(299)
        .assignee("ada")
        .reopened_by("ada")
        .closed("not_planned")
        .closed_by_user("sweeper", true);
    let (issue, _) = look(&mut model, by_number("acme/app", 299, 320, EVERYTHING));
    let issue = issue.expect("an answer");
    let issue = issue.found().expect("it is there");
    assert_eq!(issue.assignees, Fact::Found(vec!["ada".to_owned()]));
    let closer = issue.closer.found().expect("a closer");
    assert_eq!((closer.login.as_str(), closer.bot), ("sweeper", true));
    assert_eq!(issue.reopened, Fact::Found(1));
    let by = issue.closed_by.found().expect("references");
    assert!(
        by.iter()
            .any(|one| one.number == 320 && one.state == "open")
    );
}

#[test]
fn held_runs_show_although_the_checks_are_green() {
    let mut model = world();
    model
        .repo("acme/app")
        .pull(320)
        .check("lint", Some("SUCCESS"));
    let summary = |model: &mut Model, parts| pull(model, parts).checks;
    let word = |word: &str| Fact::Found(word.to_owned());
    assert_eq!(summary(&mut model, Parts::CHECKS), word("passing"));
    model
        .repo("acme/app")
        .pull(320)
        .held_run("CI", "pull_request");
    // The roll-up does not know.
    assert_eq!(summary(&mut model, Parts::CHECKS), word("passing"));
    assert_eq!(
        summary(&mut model, Parts::CHECKS | Parts::RUNS),
        word("held")
    );
    model.repo("acme/app").pull(320).runs_approved();
    assert_ne!(
        summary(&mut model, Parts::CHECKS | Parts::RUNS),
        word("held")
    );
    model
        .repo("acme/app")
        .pull(320)
        .waiting_run("Deploy", "push");
    let pr = pull(&mut model, Parts::CHECKS | Parts::RUNS);
    assert_eq!(pr.checks, word("held"));
    let runs = pr.runs.found().expect("runs");
    assert_eq!(
        (runs[0].name.as_deref(), runs[0].waits_for.as_str()),
        (Some("Deploy"), "deployment")
    );
    model
        .repo("acme/app")
        .pull(320)
        .check("lint", Some("FAILURE"));
    assert_eq!(
        summary(&mut model, Parts::CHECKS | Parts::RUNS),
        word("failing")
    );
}

#[test]
fn hundreds_of_checks_are_read_and_too_many_are_not() {
    let mut model = world();
    model
        .repo("acme/app")
        .pull(320)
        .checks(250, Some("SUCCESS"));
    let pr = pull(&mut model, Parts::CHECKS | Parts::CHECK_LIST);
    assert_eq!(pr.check_list.found().map(Vec::len), Some(250));
    model
        .repo("acme/app")
        .pull(320)
        .checks(650, Some("SUCCESS"));
    let pr = pull(&mut model, Parts::CHECKS | Parts::CHECK_LIST);
    assert_eq!(kind(&pr.check_list), "too-large");
    assert_eq!(pr.checks, Fact::Found("passing".to_owned()));
}

#[test]
fn a_fine_grained_token_sees_the_summary_and_not_the_runs_of_checks() {
    let mut model = world();
    model
        .repo("acme/app")
        .pull(320)
        .check("build", Some("SUCCESS"));
    model
        .token(TOKEN)
        .kind(TokenKind::FineGrained)
        .without(Permission::ChecksRead);
    let pr = pull(&mut model, Parts::CHECKS | Parts::CHECK_LIST);
    assert_eq!(pr.checks, Fact::Found("passing".to_owned()));
    assert_eq!(kind(&pr.check_list), "denied");

    // An installation without that right loses the summary, too: unknown, and not absent.
    model.token(TOKEN).kind(TokenKind::Installation);
    let pr = pull(&mut model, Parts::CHECKS);
    assert_eq!(kind(&pr.checks), "denied");
}

#[test]
fn heads_show_what_changed_last() {
    let mut model = world();
    let repos = ["acme/app", "acme/gone"].map(|name| Repo::parse(name).expect("a name"));
    let heads = Heads::new(repos.to_vec(), |_| false);
    let variables = Value::Object(heads.variables.clone());
    let came = Came::of(
        &mut model,
        Request::graphql(&heads.document, variables, TOKEN),
    );
    let answered = match learn_heads(&heads, &came.received()) {
        Learned::Answered(answered) => answered,
        other => panic!("{other:?}"),
    };
    let seen = answered.repositories[0].1.as_ref().expect("heads");
    assert!(!seen.id.is_empty() && seen.issues_complete && seen.pulls_complete);
    assert_eq!(
        seen.issues
            .iter()
            .map(|head| head.number)
            .collect::<Vec<_>>(),
        [299]
    );
    let newest = seen
        .pulls
        .iter()
        .max_by_key(|head| head.updated)
        .expect("some");
    assert_eq!(seen.pulls[0].updated, newest.updated);
    let branches: Vec<_> = seen
        .pulls
        .iter()
        .filter_map(|head| head.branch.as_deref())
        .collect();
    assert!(branches.contains(&"fix"));
    let gap = answered.repositories[1].1.as_ref().expect_err("gone");
    assert_eq!(gap.kind.as_str(), "not-found");
}

/// What a probe comes to, with the tag of an earlier answer.
fn probe(model: &mut Model, path: &str, etag: Option<&str>) -> (Probed, Meter) {
    let mut request = Request::get(path, TOKEN);
    if let Some(etag) = etag {
        request = request.header("if-none-match", etag);
    }
    let came = Came::of(model, request);
    let probe = Probe {
        repo: Repo::parse("acme/app").expect("a name"),
        since: Timestamp(0),
    };
    match learn_probe(&probe, &came.received(), NOW) {
        Learned::Answered(answered) => answered,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_probe_is_free_while_nothing_changed_and_then_tells_what_did() {
    let mut model = world();
    let path = Probe {
        repo: Repo::parse("acme/app").expect("a name"),
        since: Timestamp(NOW.0 - 7_200_000),
    }
    .path();
    let (first, meter) = probe(&mut model, &path, None);
    let Probed::Changed { items, etag, next } = first else {
        panic!("{first:?}");
    };
    let mut numbers: Vec<u32> = items.iter().map(|item| item.number).collect();
    numbers.sort_unstable();
    assert_eq!((numbers, next), (vec![299, 319, 320], None));
    assert!(
        items
            .iter()
            .all(|item| item.issue.is_some() == (item.number == 299))
    );
    assert!(items.iter().all(|item| !item.id.is_empty()));
    let left = meter.remaining.expect("headers");
    let etag = etag.expect("a tag");

    let (second, meter) = probe(&mut model, &path, Some(&etag));
    assert!(matches!(second, Probed::Unchanged { .. }), "{second:?}");
    assert_eq!(meter.remaining, Some(left));

    model.set_now(NOW.0);
    model.repo("acme/app").issue(299).label("later");
    let (third, _) = probe(&mut model, &path, Some(&etag));
    match third {
        Probed::Changed { items, .. } => {
            let changed = items.iter().find(|item| item.number == 299);
            let issue = changed
                .and_then(|item| item.issue.as_ref())
                .expect("the issue");
            assert_eq!(issue.labels.last().map(String::as_str), Some("later"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn pages_of_a_probe_are_followed_to_the_end() {
    let mut model = seed();
    for number in 1000..1250 {
        model.repo("acme/app").issue(number);
    }
    let mut path = Probe {
        repo: Repo::parse("acme/app").expect("a name"),
        since: Timestamp(0),
    }
    .path();
    let mut seen = Vec::new();
    loop {
        match probe(&mut model, &path, None).0 {
            Probed::Changed { items, next, .. } => {
                seen.extend(items.into_iter().map(|item| item.number));
                match next {
                    Some(next) => path = next,
                    None => break,
                }
            }
            other => panic!("{other:?}"),
        }
        assert!(seen.len() < 1000, "pages without an end");
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 252);
}

#[test]
fn what_became_of_a_repository_is_told_by_a_probe() {
    let path = "/repos/acme/app/issues?state=all";
    let mut model = world();
    model.repo("acme/app").renamed("acme/new");
    let (moved, _) = probe(&mut model, path, None);
    assert!(
        matches!(&moved, Probed::Moved { to } if to.contains("repositories")),
        "{moved:?}"
    );
    let mut model = world();
    model.repo("acme/app").issues_disabled();
    assert_eq!(probe(&mut model, path, None).0, Probed::IssuesOff);
    let mut model = world();
    model.repo("acme/app").deleted();
    assert!(
        matches!(probe(&mut model, path, None).0, Probed::Gap(gap) if gap.kind.as_str() == "not-found")
    );
}
