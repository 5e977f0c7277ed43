//! While told to stop, nothing is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use vigil_core::Timestamp;
use vigil_github::budget::Shares;
use vigil_github::round::{Body, Landed, Outcome, Outgoing, Raw, Round};
use vigil_github::tokens::Found;
use vigil_github::{
    Account, Accounts, GitHub, Sample, Token, TokenChain, TokenOrigin, Tokens, Trouble,
};
use vigil_model::{Fault, Forbidden, Scope};

use crate::support::*;
use crate::turns::Counting;

const TIME: Duration = Duration::from_secs(120);

fn later(seconds: u64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1000)
}

#[tokio::test]
async fn every_form_of_a_limit_silences_this_call_and_the_next() {
    for (fault, at_least) in [
        (Fault::TooManyRequests(Some(30)), 30),
        (Fault::TooManyRequests(None), 60),
        (Fault::Forbidden(Forbidden::Secondary(Some(90))), 90),
        (Fault::Forbidden(Forbidden::Secondary(None)), 60),
        (Fault::Forbidden(Forbidden::Exhausted), 3600),
        (
            Fault::RateLimited {
                headers: true,
                older_name: false,
            },
            3600,
        ),
        (
            Fault::RateLimited {
                headers: true,
                older_name: true,
            },
            3600,
        ),
        (
            Fault::RateLimited {
                headers: false,
                older_name: false,
            },
            60,
        ),
    ] {
        let (model, asks) = fleet(60, 3);
        let server = serve(model);
        server.with(|model| model.fail_next(1, fault.clone()));
        let github = client(&server);
        let reply = ask(&github, &asks).await;
        assert_eq!(kinds(&reply), ["rate-limited"], "{fault:?}");
        assert_eq!(reply.usage.requests, 1, "{fault:?}");
        let until = reply.limited_until.expect("a moment");
        assert!(until >= later(at_least), "{fault:?}: {until}");
        assert!(until < later(at_least + 60), "{fault:?}: {until}");
        match &reply.trouble {
            Some(Trouble::Limited { until: said, .. }) => assert_eq!(*said, until),
            other => panic!("{fault:?}: {other:?}"),
        }

        // The same client remembers; another one is told.
        let before = Timestamp(until.0 - 1_000);
        let reply = github.ask(&asks, before, TIME).await;
        assert_eq!(kinds(&reply), ["rate-limited"], "{fault:?}");
        assert_eq!(reply.limited_until, Some(until));
        let told = client(&server).told_by(&github);
        let reply = told.ask(&asks, before, TIME).await;
        assert_eq!(kinds(&reply), ["rate-limited"], "{fault:?}");
        assert_eq!(reply.usage.requests, 0);
        assert_eq!(server.with(|model| model.tally().requests), 1, "{fault:?}");

        // And then it goes on.
        let reply = github.ask(&asks, until, TIME).await;
        assert_eq!(kinds(&reply), ["found"], "{fault:?}");
        assert_eq!(reply.limited_until, None);
    }
}

#[tokio::test]
async fn a_refusal_that_arrives_cut_off_is_heeded_all_the_same() {
    let (model, asks) = fleet(60, 3);
    let server = serve(model);
    server.with(|model| {
        let refusal = Fault::RateLimited {
            headers: true,
            older_name: false,
        };
        model.fail_next(1, refusal);
        model.fail_next(1, Fault::CutJson);
    });
    let github = client(&server);
    let reply = ask(&github, &asks).await;
    assert_eq!(kinds(&reply), ["rate-limited"]);
    assert_eq!(reply.usage.requests, 1);
    let until = reply.limited_until.expect("a moment");
    assert!(until >= later(3600) && until < later(3660), "{until}");
    let reply = github.ask(&asks, Timestamp(until.0 - 1_000), TIME).await;
    assert_eq!(reply.usage.requests, 0);
    server.with(|model| assert_eq!(model.tally().while_limited, 0));
}

#[tokio::test]
async fn what_was_learned_before_the_limit_stays_learned() {
    let (mut model, asks) = fleet(110, 3);
    // Two points: for two of the three queries.
    model.token(TOKEN).limits(5000, 2);
    let server = serve(model);
    let reply = ask(&client(&server), &asks).await;
    assert_eq!(kinds(&reply), ["found", "rate-limited"]);
    let learned = reply
        .answers
        .iter()
        .filter(|answer| kind(&answer.issue) == "found")
        .count();
    // Fifty questions, then a hundred.
    assert_eq!(learned, 75);
    // The pot said that it was empty; the third query was never sent, and nothing was refused.
    assert_eq!(reply.usage.requests, 2);
    server.with(|model| assert_eq!((model.tally().requests, model.tally().refused), (2, 0)));
    let until = reply.limited_until.expect("a moment");
    assert!(until >= later(3600) && until < later(3660), "{until}");
}

#[tokio::test]
async fn silence_without_a_named_time_grows_while_it_is_needed() {
    let (model, asks) = fleet(1, 1);
    let server = serve(model);
    let github = client(&server);
    server.with(|model| model.fail(Scope::Any, Fault::TooManyRequests(None)));
    let mut now = NOW;
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        let reply = github.ask(&asks, now, TIME).await;
        assert_eq!(reply.usage.requests, 1);
        let until = reply.limited_until.expect("a moment");
        let span = until.age(now).max(Duration::from_millis(until.0 - now.0));
        assert_eq!(span.as_secs() / 60, minutes);
        now = until;
    }
    server.with(|model| model.heal());
    assert_eq!(kinds(&github.ask(&asks, now, TIME).await), ["found"]);
    server.with(|model| model.fail(Scope::Any, Fault::TooManyRequests(None)));
    let reply = github.ask(&asks, now, TIME).await;
    let until = reply.limited_until.expect("a moment");
    assert_eq!((until.0 - now.0) / 60_000, 1);
}

#[tokio::test]
async fn never_more_than_one_query_is_out() {
    let server = Counting::serve().await;
    let github = Arc::new(Client::new(settings(&server.url, tokens(TOKEN))));
    let asks = [by_number("acme/app", 1, 2, LEAN)];
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (github, asks) = (github.clone(), asks.clone());
            tokio::spawn(async move { ask(&github, &asks).await.usage.requests })
        })
        .collect();
    let mut requests = 0;
    for task in tasks {
        requests += task.await.expect("no panic");
    }
    assert_eq!(requests, 16);
    assert_eq!(server.most.load(Ordering::SeqCst), 1);
}

/// A server of which the test says how each request is answered, and when.
struct Told {
    url: String,
    requests: Arc<AtomicUsize>,
    /// Lets one answer out.
    gate: Arc<tokio::sync::Semaphore>,
}

impl Told {
    /// Answers one request after the other with these statuses, the last one for all others; with `retry-after` where
    /// that makes a limit of it.
    async fn with(statuses: &'static [u16]) -> Told {
        let requests = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let (count, open) = (requests.clone(), gate.clone());
        let app = Router::new().fallback(move || {
            let (count, open) = (count.clone(), open.clone());
            async move {
                let at = count.fetch_add(1, Ordering::SeqCst);
                open.acquire().await.expect("nobody closes it").forget();
                let status = statuses[at.min(statuses.len() - 1)];
                let status = axum::http::StatusCode::from_u16(status).expect("a status");
                (status, [("retry-after", "3000")], "{}")
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Told {
            url,
            requests,
            gate,
        }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn what_waited_for_its_turn_is_not_sent_once_the_one_before_was_told_to_stop() {
    let server = Told::with(&[429]).await;
    let github = Arc::new(Client::new(settings(&server.url, tokens(TOKEN))));
    let asks = [by_number("acme/app", 1, 2, LEAN)];
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (github, asks) = (github.clone(), asks.clone());
            tokio::spawn(async move { ask(&github, &asks).await })
        })
        .collect();
    server.gate.add_permits(100);
    let mut sent = 0;
    for task in tasks {
        let reply = task.await.expect("no panic");
        assert_eq!(kinds(&reply), ["rate-limited"]);
        assert!(matches!(reply.trouble, Some(Trouble::Limited { .. })));
        sent += reply.usage.requests;
    }
    assert_eq!((server.requests(), sent), (1, 1));
}

#[tokio::test]
async fn another_process_that_waited_for_its_turn_sends_nothing_into_a_silence_that_is_not_stored_yet()
 {
    let server = Told::with(&[429]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let github = || {
        let github = GitHub::new(settings(&server.url, tokens(TOKEN))).expect("settings");
        github.taking_turns_in(folder.path())
    };
    let work = |github: GitHub, mut round: Round| {
        tokio::spawn(async move {
            github.work(&mut round, NOW, TIME, TIME).await;
            round.end().trouble
        })
    };
    let asks = [by_number("acme/app", 1, 2, LEAN)];
    let first = work(github(), round(&asks));
    while server.requests() == 0 {
        tokio::task::yield_now().await;
    }
    let second = work(github(), round(&asks));
    server.gate.add_permits(100);
    for one in [first, second] {
        let trouble = one.await.expect("no panic");
        assert!(
            matches!(trouble, Some(Trouble::Limited { .. })),
            "{trouble:?}"
        );
    }
    assert_eq!(server.requests(), 1);
    // What concerns everything is known to lists as well.
    let trouble = work(github(), listing(&["acme/app"])).await;
    let trouble = trouble.expect("no panic");
    assert!(
        matches!(trouble, Some(Trouble::Limited { .. })),
        "{trouble:?}"
    );
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn whoever_looks_at_an_account_is_told_and_tells_what_the_others_were() {
    let account = Account::usual();
    let sample = [Sample {
        repo: "acme/app".to_owned(),
        issue: Some(1),
        pull_request: None,
        branch: None,
    }];
    for first in 0..3 {
        let server = Told::with(&[429]).await;
        server.gate.add_permits(100);
        let folder = tempfile::tempdir().expect("a folder");
        let github = || {
            let github = GitHub::new(settings(&server.url, tokens(TOKEN))).expect("settings");
            github.taking_turns_in(folder.path())
        };
        for n in 0..3 {
            let github = github();
            let limited = match (first + n) % 3 {
                0 => github.check(&account, NOW, TIME).await.err(),
                1 => github.user(&account, NOW, TIME).await.err(),
                _ => github.access(&account, &sample, NOW, TIME).await.err(),
            };
            let is_limited = matches!(limited, Some(Trouble::Limited { .. }));
            assert!(is_limited, "{limited:?}");
            assert_eq!(server.requests(), 1, "{first} {n}");
        }
        let mut asking = round(&[by_number("acme/app", 1, 2, LEAN)]);
        github().work(&mut asking, NOW, TIME, TIME).await;
        let limited = asking.end().trouble;
        let is_limited = matches!(limited, Some(Trouble::Limited { .. }));
        assert!(is_limited, "{limited:?}");
        assert_eq!(server.requests(), 1, "{first}");
    }
}

#[tokio::test]
async fn what_an_account_is_told_holds_for_another_one_with_the_same_token() {
    let server = Told::with(&[429]).await;
    server.gate.add_permits(100);
    let folder = tempfile::tempdir().expect("a folder");
    // Before both were read nobody knows that there is one token in both.
    let chain = |name: &str| {
        let path = folder.path().join(name);
        put_secret(&path, TOKEN);
        TokenChain::new(vec![TokenOrigin::File { path }])
    };
    let accounts = Accounts::new(chain("usual")).with_token(["acme"], chain("other"));
    let github = GitHub::new(settings(&server.url, Arc::new(accounts))).expect("settings");
    for owner in ["beta", "acme"] {
        let asks = [by_number(&format!("{owner}/app"), 1, 2, LEAN)];
        let account = github.account(owner);
        let mut round = round_as(&asks, |_| account.clone());
        github.work(&mut round, NOW, TIME, TIME).await;
        let trouble = round.end().trouble;
        assert!(
            matches!(trouble, Some(Trouble::Limited { .. })),
            "{trouble:?}"
        );
        assert_eq!(server.requests(), 1, "{owner}");
    }
}

/// Tokens of which another one is found as soon as the test says so.
struct Rotated {
    /// Somebody looks for another one.
    wanted: tokio::sync::Notify,
    found: tokio::sync::Notify,
}

impl Tokens for Rotated {
    fn account(&self, _owner: &str) -> Account {
        Account::usual()
    }

    fn token<'a>(&'a self, _account: &'a Account) -> Found<'a> {
        let token = Token::new(TOKEN.to_owned().into(), "the test");
        Box::pin(async move { Ok(token) })
    }

    fn refresh<'a>(&'a self, _account: &'a Account) -> Found<'a> {
        let token = Token::new("ghp_another".to_owned().into(), "the test");
        Box::pin(async move {
            self.wanted.notify_one();
            self.found.notified().await;
            Ok(token)
        })
    }
}

#[tokio::test]
async fn another_token_of_the_account_is_not_tried_once_it_was_told_to_stop() {
    let server = Told::with(&[401, 429]).await;
    server.gate.add_permits(100);
    let rotated = Arc::new(Rotated {
        wanted: tokio::sync::Notify::new(),
        found: tokio::sync::Notify::new(),
    });
    let github = Arc::new(GitHub::new(settings(&server.url, rotated.clone())).expect("settings"));
    let work = |mut round: Round| {
        let github = github.clone();
        tokio::spawn(async move {
            github.work(&mut round, NOW, TIME, TIME).await;
            round.end().trouble
        })
    };
    let first = work(round(&[by_number("acme/app", 1, 2, LEAN)]));
    rotated.wanted.notified().await;
    // A list of changes does not wait for the query that has no token.
    let second = work(listing(&["acme/app"])).await.expect("no panic");
    assert!(matches!(second, Some(Trouble::Limited { .. })));
    rotated.found.notify_one();
    let first = first.await.expect("no panic");
    assert!(matches!(first, Some(Trouble::Limited { .. })), "{first:?}");
    assert_eq!(server.requests(), 2);
}

/// Answers lists with a limit, and breaks the connection of every query as soon as the test says so.
async fn breaking(release: Arc<tokio::sync::Notify>) -> (String, Arc<AtomicUsize>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let queries = Arc::new(AtomicUsize::new(0));
    let count = queries.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (count, release) = (count.clone(), release.clone());
            tokio::spawn(async move {
                let mut head = [0; 4];
                if socket.read_exact(&mut head).await.is_err() {
                    return;
                }
                if head == *b"POST" {
                    count.fetch_add(1, Ordering::SeqCst);
                    release.notified().await;
                    return;
                }
                let mut rest = Vec::new();
                while !rest.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = socket.read_u8().await else {
                        return;
                    };
                    rest.push(byte);
                }
                let answer =
                    b"HTTP/1.1 429 Slow Down\r\nretry-after: 3000\r\ncontent-length: 2\r\n\r\n{}";
                let _ = socket.write_all(answer).await;
                // Read to its end, so that the answer is not lost with the connection.
                let _ = socket.read_to_end(&mut rest).await;
            });
        }
    });
    (url, queries)
}

#[tokio::test]
async fn what_got_lost_is_not_sent_again_once_another_one_was_told_to_stop() {
    for told in [false, true] {
        let release = Arc::new(tokio::sync::Notify::new());
        let (url, queries) = breaking(release.clone()).await;
        let github = Arc::new(GitHub::new(settings(&url, tokens(TOKEN))).expect("settings"));
        let work = |mut round: Round| {
            let github = github.clone();
            tokio::spawn(async move {
                github.work(&mut round, NOW, TIME, TIME).await;
                round.end().trouble
            })
        };
        let first = work(round(&[by_number("acme/app", 1, 2, LEAN)]));
        while queries.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        if told {
            let second = work(listing(&["acme/app"])).await.expect("no panic");
            assert!(matches!(second, Some(Trouble::Limited { .. })));
        }
        // One for each time that it may be sent.
        release.notify_one();
        if !told {
            while queries.load(Ordering::SeqCst) == 1 {
                tokio::task::yield_now().await;
            }
            release.notify_one();
        }
        let first = first.await.expect("no panic");
        let is_limited = matches!(first, Some(Trouble::Limited { .. }));
        assert_eq!(is_limited, told, "{first:?}");
        let sent = if told { 1 } else { 2 };
        assert_eq!(queries.load(Ordering::SeqCst), sent, "{told}");
    }
}

/// An answer to the request `id`.
fn landed(id: u64, status: u16, link: &str) -> Landed {
    Landed {
        id,
        outcome: Outcome::Answer(Raw {
            status: http::StatusCode::from_u16(status).expect("a status"),
            headers: headers(&[("link", link)]),
            body: b"[]".to_vec(),
            fingerprint: vigil_github::Fingerprint("one".to_owned()),
            origin: "the test".to_owned(),
            took: Duration::ZERO,
        }),
        sent: 1,
    }
}

#[test]
fn what_was_under_way_lines_nothing_up_for_a_token_that_was_rejected() {
    let next = "<http://api/repositories/7/issues?page=2>; rel=\"next\"";
    for rejected in [false, true] {
        let mut round = listing(&["acme/one", "acme/two"]);
        let first = round.next(NOW).expect("a list");
        let second = round.next(NOW).expect("another one");
        if rejected {
            round.take(landed(first.id, 401, ""), NOW);
        }
        round.take(landed(second.id, 200, next), NOW);
        assert_eq!(round.next(NOW).is_none(), rejected);
        let trouble = round.end().trouble;
        let is_rejected = matches!(trouble, Some(Trouble::TokenRejected { .. }));
        assert_eq!(is_rejected, rejected, "{trouble:?}");
    }
}

#[test]
fn a_token_that_a_query_showed_to_be_rejected_lists_nothing_either() {
    let names: Vec<String> = (0..24).map(|n| format!("acme/app-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let busy: Vec<&str> = names.iter().copied().take(12).collect();
    for rejected in [false, true] {
        let mut round = scanning(&names, |repo| busy.contains(&repo), Shares::default());
        let out: Vec<_> = std::iter::from_fn(|| round.next(NOW)).collect();
        let is_query = |one: &&Outgoing| matches!(one.body, Body::GraphQl { .. });
        let (query, list) = (out.iter().find(is_query), out.first());
        let (query, list) = (query.expect("the newest entries"), list.expect("a list"));
        if rejected {
            round.take(landed(query.id, 401, ""), NOW);
        }
        round.take(landed(list.id, 200, ""), NOW);
        assert_eq!(round.next(NOW).is_none(), rejected);
    }
}
