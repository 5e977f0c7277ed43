//! What the tests share: asks, answers as GitHub writes them, and a server that says what it is told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use serde_json::{Value, json};
use vigil_core::session::{IssueRef, Lookup, PullRequestRef};
use vigil_core::{Fact, Timestamp};
use vigil_github::budget::{Pool, Shares};
use vigil_github::memory::{Change, Doubt, Memory, Watch};
use vigil_github::round::{How, Round, Scan};
use vigil_github::{
    Account, Answer, Ask, GitHub, Parts, Query, Question, Repo, Settings, Target, TokenChain,
    TokenOrigin, Tokens, Trouble, Usage, Wants, graphql_url,
};
use vigil_model::{Handle, Model, Server};

/// 2026-11-20T06:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_795_154_400_000);

/// The issue, the pull request, and what the default policy wants of it.
pub(crate) const ALL: Wants = Wants {
    issue: true,
    pull_request: true,
    parts: Parts::MERGEABILITY
        .union(Parts::REVIEWS)
        .union(Parts::CHECKS),
};

/// All that there is.
pub(crate) const EVERYTHING: Wants = Wants {
    issue: true,
    pull_request: true,
    parts: Parts::all(),
};

/// The issue and the bare pull request.
pub(crate) const LEAN: Wants = Wants {
    issue: true,
    pull_request: true,
    parts: Parts::empty(),
};

/// A session on an issue, with the number of its pull request.
pub(crate) fn by_number(repo: &str, issue: u64, pr: u64, wants: Wants) -> Ask {
    Ask {
        lookup: Lookup {
            issue: Ok(Some(IssueRef {
                repo: repo.to_owned(),
                number: issue,
            })),
            pull_request: Ok(Some(PullRequestRef::by_number(repo.to_owned(), pr))),
        },
        wants,
        started: Some(NOW),
        landing: vigil_core::landing::Landing::default(),
        local: vigil_github::ask::Local::default(),
    }
}

/// A session on an issue, with its branch in the repository itself.
pub(crate) fn by_branch(repo: &str, issue: u64, branch: &str, wants: Wants) -> Ask {
    let (owner, _) = repo.split_once('/').expect("owner/name");
    Ask {
        lookup: Lookup {
            issue: Ok(Some(IssueRef {
                repo: repo.to_owned(),
                number: issue,
            })),
            pull_request: Ok(Some(PullRequestRef::by_branch(
                repo.to_owned(),
                branch.to_owned(),
                owner.to_owned(),
            ))),
        },
        wants,
        started: Some(Timestamp(NOW.0 - 3_600_000)),
        landing: vigil_core::landing::Landing::default(),
        local: vigil_github::ask::Local::default(),
    }
}

/// Queries for all that `asks` want, each question once and `size` of them in a query at most, as if nothing were known
/// and everything mattered. What the product asks, and when, is up to its memory and its rounds.
pub(crate) fn plan(asks: &[Ask], size: usize) -> Vec<Query> {
    let mut questions: Vec<Question> = Vec::new();
    for ask in asks {
        let alone = std::slice::from_ref(ask);
        for needed in Memory::default().questions(alone, Doubt::Little, NOW) {
            let parts = match needed.question.target {
                Target::Issue { .. } => ask.wants.of_issue(),
                Target::PullRequest { .. } | Target::Branch { .. } => ask.wants.of_pull_request(),
            };
            let question = Question {
                parts,
                ..needed.question
            };
            let asked = questions
                .iter_mut()
                .find(|asked| asked.target == question.target);
            match asked {
                Some(asked) => asked.parts |= parts,
                None => questions.push(question),
            }
        }
    }
    let chunks = questions.chunks(size);
    chunks.map(|chunk| Query::new(chunk.to_vec())).collect()
}

/// The newest commit of every pull request here.
pub(crate) const HEAD: &str = "8c3a5b0f3f5d1f6e2b7c9d0e1f2a3b4c5d6e7f80";

/// An issue as GitHub answers it, with all parts.
pub(crate) fn issue(repo: &str, number: u64, open: bool) -> Value {
    let closing =
        json!({ "__typename": "ClosedEvent", "actor": { "__typename": "Bot", "login": "robot" } });
    json!({
        "__typename": "Issue",
        "id": format!("I_{number}"),
        "updatedAt": "2026-11-20T05:50:00Z",
        "assignees": { "pageInfo": { "hasNextPage": false }, "nodes": [{ "login": "ada" }] },
        "timelineItems": {
            "pageInfo": { "hasPreviousPage": false },
            "nodes": if open { json!([]) } else { json!([closing.clone(), { "__typename": "ReopenedEvent" }, closing]) },
        },
        "closedByPullRequestsReferences": { "pageInfo": { "hasNextPage": false }, "nodes": [
            { "number": 319, "prState": "MERGED", "repository": { "nameWithOwner": repo } },
        ] },
        "number": number,
        "repository": { "nameWithOwner": repo },
        "issueState": if open { "OPEN" } else { "CLOSED" },
        "stateReason": if open { Value::Null } else { "COMPLETED".into() },
        "closedAt": if open { Value::Null } else { "2026-11-20T05:30:00Z".into() },
        "labels": { "pageInfo": { "hasNextPage": false }, "nodes": [{ "name": "bug" }, { "name": "vigilante:done" }] },
    })
}

/// A pull request as GitHub answers it, with all parts.
pub(crate) fn pull_request(number: u64, state: &str, owner: Option<&str>) -> Value {
    let ended = |of: &[&str]| match of.contains(&state) {
        true => Value::from("2026-11-20T05:40:00Z"),
        false => Value::Null,
    };
    let who = json!({ "__typename": "User", "login": "ada" });
    let mut pr = json!({
        "id": format!("PR_{number}"),
        "updatedAt": "2026-11-20T05:50:00Z",
        "number": number,
        "prState": state,
        "isDraft": false,
        "createdAt": "2026-11-20T05:20:00Z",
        "mergedAt": ended(&["MERGED"]),
        "closedAt": ended(&["MERGED", "CLOSED"]),
        "url": format!("https://github.com/acme/app/pull/{number}"),
        "headRefName": "vigilante/issue-299",
        "baseRefName": "main",
        "headRefOid": HEAD,
        "headRepositoryOwner": owner.map(|login| json!({ "login": login })),
        "mergeable": "MERGEABLE",
        "mergeStateStatus": "CLEAN",
        "reviewDecision": "APPROVED",
        "statusCheckRollup": { "state": "SUCCESS", "commit": { "oid": HEAD } },
        "latestOpinionatedReviews": { "pageInfo": { "hasNextPage": false }, "nodes": [
            { "state": "APPROVED", "submittedAt": "2026-11-20T05:30:00Z", "author": who, "commit": { "oid": HEAD } },
        ] },
        "mergeQueueEntry": { "position": 2, "state": "AWAITING_CHECKS" },
        "autoMergeRequest": { "mergeMethod": "SQUASH", "enabledBy": who },
        "closingIssuesReferences": { "pageInfo": { "hasNextPage": false }, "nodes": [
            { "number": 299, "issueState": "OPEN", "repository": { "nameWithOwner": "acme/app" } },
        ] },
        "commits": { "nodes": [{ "commit": {
            "oid": HEAD,
            "statusCheckRollup": { "contexts": { "pageInfo": { "hasNextPage": false, "endCursor": "Y" }, "nodes": [
                { "__typename": "CheckRun", "name": "build", "status": "COMPLETED", "conclusion": "SUCCESS" },
                { "__typename": "StatusContext", "context": "ci/old", "contextState": "SUCCESS" },
            ] } },
            "checkSuites": { "pageInfo": { "hasNextPage": false }, "nodes": [
                { "status": "COMPLETED", "conclusion": "SUCCESS", "workflowRun": { "event": "pull_request", "workflow": { "name": "CI" } } },
                { "status": "QUEUED", "conclusion": null, "workflowRun": null },
            ] },
        } }] },
    });
    pr["mergeCommit"] = Value::Null;
    pr
}

/// A repository with what was asked of it.
pub(crate) fn repository(name: &str, items: Value) -> Value {
    let mut repository = json!({ "id": "R_1", "nameWithOwner": name, "hasIssuesEnabled": true });
    if let (Some(into), Value::Object(items)) = (repository.as_object_mut(), items) {
        into.extend(items);
    }
    repository
}

/// The pot.
pub(crate) fn rate_limit() -> Value {
    json!({ "limit": 5000, "cost": 1, "remaining": 4999, "resetAt": "2026-11-20T07:00:00Z" })
}

/// Headers by name and value.
pub(crate) fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                name.parse::<HeaderName>().expect("a header's name"),
                HeaderValue::from_str(value).expect("a header's value"),
            )
        })
        .collect()
}

/// What the model knows as a valid token.
pub(crate) const TOKEN: &str = "ghp_aTokenThatNobodyMaySee0123456789";

/// A model with issue 299, closed by the merged pull request 319, in `acme/app`.
pub(crate) fn seed() -> Model {
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    model
        .repo("acme/app")
        .issue(299)
        .closed_at("completed", NOW.0 - 1_800_000)
        .label("vigilante:done")
        .pull(319)
        .head("vigilante/issue-299")
        .merged_at(NOW.0 - 1_800_000);
    model
}

/// `count` open issues in as many repositories as `repos`, each with an open pull request on a branch of its own.
pub(crate) fn fleet(count: u64, repos: u64) -> (Model, Vec<Ask>) {
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    let mut asks = Vec::new();
    for n in 1..=count {
        let repo = format!("acme/app-{}", n % repos);
        let branch = format!("vigilante/issue-{n}");
        model.repo(&repo).issue(n).pull(n + 100_000).head(&branch);
        asks.push(by_branch(&repo, n, &branch, ALL));
    }
    (model, asks)
}

/// Serves `model` with its clock standing at [`NOW`].
pub(crate) fn serve(model: Model) -> Handle {
    let address = ([127, 0, 0, 1], 0).into();
    Server::start_with(model, address, Arc::new(|| NOW.0)).expect("a port on loopback")
}

/// Writes a file that holds a secret, closed to everybody else.
pub(crate) fn put_secret(path: impl AsRef<std::path::Path>, text: &str) {
    let path = path.as_ref();
    std::fs::write(path, text).expect("a file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    }
}

/// A chain with this one token.
pub(crate) fn tokens(secret: &str) -> Arc<TokenChain> {
    Arc::new(TokenChain::new(vec![TokenOrigin::Env {
        name: "GH_TOKEN".to_owned(),
        value: Some(SecretString::from(secret.to_owned())),
    }]))
}

/// The settings for this server, with all the time in the world.
pub(crate) fn settings(rest_url: &str, tokens: Arc<dyn Tokens>) -> Settings {
    Settings {
        graphql_url: graphql_url(rest_url),
        rest_url: rest_url.to_owned(),
        request_timeout: Duration::from_secs(60),
        ..Settings::github_com("vigil/0.1.0", tokens)
    }
}

/// A client of `server` with the valid token.
pub(crate) fn client(server: &Handle) -> Client {
    Client::new(settings(&server.rest_url(), tokens(TOKEN)))
}

/// All of the budget, once a minute.
fn how(now: Timestamp) -> How {
    How {
        now,
        interval: Duration::from_secs(60),
        shares: Shares {
            reserve: 0,
            own: 100,
        },
        resync: None,
    }
}

/// A round that answers `asks` when nothing is known yet, of one account.
pub(crate) fn round(asks: &[Ask]) -> Round {
    round_as(asks, |_| Account::usual())
}

/// The same, of an account for each owner.
pub(crate) fn round_as(asks: &[Ask], account: impl Fn(&str) -> Account) -> Round {
    Round::ask(
        Memory::default(),
        asks.to_vec(),
        Doubt::Little,
        account,
        how(NOW),
    )
}

/// A round that lists what changed in `repos`, which are watched and quiet.
pub(crate) fn listing(repos: &[&str]) -> Round {
    listing_within(repos, how(NOW).shares)
}

/// The same with so much of the budget.
pub(crate) fn listing_within(repos: &[&str], shares: Shares) -> Round {
    scanning(repos, |_| false, shares)
}

/// A round that finds out what changed in `repos`, which are watched, and of which some are busy.
pub(crate) fn scanning(repos: &[&str], is_busy: impl Fn(&str) -> bool, shares: Shares) -> Round {
    scan_of(repos, is_busy, shares, |_| Account::usual())
}

/// A round that lists what changed in `repos`, which are watched and quiet, each as its owner's account.
pub(crate) fn listing_of(repos: &[&str], account: impl Fn(&str) -> Account) -> Round {
    scan_of(repos, |_| false, how(NOW).shares, account)
}

fn scan_of(
    repos: &[&str],
    is_busy: impl Fn(&str) -> bool,
    shares: Shares,
    account: impl Fn(&str) -> Account,
) -> Round {
    let watch = |repo: &&str| {
        let watch = Watch {
            name: (*repo).to_owned(),
            since: Some(NOW.before(Duration::from_secs(3_600))),
            changed: is_busy(repo).then_some(NOW),
            ..Watch::default()
        };
        serde_json::to_string(&watch).expect("JSON")
    };
    let rows: Vec<String> = repos.iter().map(watch).collect();
    let rows = repos.iter().zip(&rows);
    let (memory, unreadable) =
        Memory::read(rows.map(|(repo, watch)| (*repo, "watch", watch.as_str())));
    assert_eq!(unreadable, 0);
    let repos: Vec<Repo> = repos
        .iter()
        .map(|repo| Repo::parse(repo).expect("a name"))
        .collect();
    let how = How { shares, ..how(NOW) };
    Round::scan(memory, &repos, Scan::Due, account, how)
}

/// GitHub, and what is remembered of its accounts. Facts are forgotten from one call to the next, so that each asks.
pub(crate) struct Client {
    pub(crate) github: GitHub,
    accounts: Mutex<Vec<Change>>,
}

/// What came of one call.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) answers: Vec<Answer>,
    pub(crate) usage: Usage,
    pub(crate) trouble: Option<Trouble>,
    /// Until when the usual account is silent.
    pub(crate) limited_until: Option<Timestamp>,
}

impl Client {
    pub(crate) fn new(settings: Settings) -> Self {
        Client {
            github: GitHub::new(settings).expect("settings"),
            accounts: Mutex::default(),
        }
    }

    /// Another process that knows what this one stored.
    pub(crate) fn told_by(self, other: &Client) -> Self {
        *self.accounts.lock().expect("lock") = other.accounts.lock().expect("lock").clone();
        self
    }

    pub(crate) async fn ask(&self, asks: &[Ask], now: Timestamp, deadline: Duration) -> Reply {
        let rows = self.accounts.lock().expect("lock").clone();
        let rows = rows.iter().map(|row| {
            (
                "",
                row.name.as_str(),
                row.value.as_deref().unwrap_or_default(),
            )
        });
        let (memory, unreadable) = Memory::read(rows);
        assert_eq!(unreadable, 0);
        let account = |owner: &str| self.github.account(owner);
        let mut round = Round::ask(memory, asks.to_vec(), Doubt::Little, account, how(now));
        self.github.work(&mut round, now, deadline, deadline).await;
        let mut ended = round.end();
        let silent = ended.memory.accounts().find_map(|(_, known)| {
            let silence = known.silent(Pool::GraphQl, now);
            silence.map(|silence| silence.until)
        });
        let changes = ended.memory.take_changes().into_iter();
        let mut accounts = self.accounts.lock().expect("lock");
        for change in changes.filter(|change| change.repo.is_empty()) {
            accounts.retain(|known| known.name != change.name);
            accounts.push(change);
        }
        Reply {
            answers: ended.answers,
            usage: ended.usage,
            trouble: ended.trouble,
            limited_until: silent,
        }
    }
}

/// Asks with all the time in the world, and checks what holds for every reply.
pub(crate) async fn ask(github: &Client, asks: &[Ask]) -> Reply {
    let reply = github.ask(asks, NOW, Duration::from_secs(120)).await;
    assert_eq!(reply.answers.len(), asks.len());
    reply
}

/// The kind of a fact: `found`, `absent`, `not-asked`, or the kind of its gap.
pub(crate) fn kind<T>(fact: &Fact<T>) -> &str {
    match fact {
        Fact::Found(_) => "found",
        Fact::Absent(_) => "absent",
        Fact::Unknown(gap) => gap.kind.as_str(),
        Fact::NotAsked => "not-asked",
    }
}

/// The kinds of all issues and pull requests of a reply, each once.
pub(crate) fn kinds(reply: &Reply) -> Vec<&str> {
    kinds_of(&reply.answers)
}

/// The kinds of all issues and pull requests of these answers, each once.
pub(crate) fn kinds_of(answers: &[Answer]) -> Vec<&str> {
    let mut kinds: Vec<_> = answers
        .iter()
        .flat_map(|answer| [kind(&answer.issue), kind(&answer.pull_request)])
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}
