//! Processes that share a folder, and accounts that share a token, have one query out among them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use vigil_github::tokens::Found;
use vigil_github::{Account, Ask, GitHub, Sample, Token, Tokens};

use crate::support::*;

/// A server that counts how many requests it has at a time. Its answers say nothing.
pub(crate) struct Counting {
    pub(crate) url: String,
    pub(crate) most: Arc<AtomicUsize>,
}

impl Counting {
    pub(crate) async fn serve() -> Counting {
        let out = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let peak = most.clone();
        let app = Router::new().fallback(move || {
            let (count, peak) = (out.clone(), peak.clone());
            async move {
                let now_out = count.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(now_out, Ordering::SeqCst);
                // Room for others to come in, if there were any.
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                count.fetch_sub(1, Ordering::SeqCst);
                "{}"
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Counting { url, most }
    }

    /// Another process, as far as anybody outside can tell, that shares `folder`.
    fn client(&self, folder: &Path, request_timeout: Duration) -> Client {
        let mut settings = settings(&self.url, tokens(TOKEN));
        settings.request_timeout = request_timeout;
        let mut client = Client::new(settings);
        client.github = client.github.taking_turns_in(folder);
        client
    }
}

fn asks() -> [Ask; 1] {
    [by_number("acme/app", 1, 2, LEAN)]
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_than_one_query_of_all_processes_is_out() {
    let server = Counting::serve().await;
    let folder = tempfile::tempdir().expect("a folder");
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let client = server.client(folder.path(), MINUTE);
            tokio::spawn(async move {
                let mut sent = 0;
                for _ in 0..4 {
                    sent += ask(&client, &asks()).await.usage.requests;
                }
                sent
            })
        })
        .collect();
    let mut sent = 0;
    for task in tasks {
        sent += task.await.expect("no panic");
    }
    assert_eq!(sent, 32);
    assert_eq!(server.most.load(Ordering::SeqCst), 1);
    // A file is named by two digits of what tells tokens apart, and holds nothing where nothing was told.
    let mut files = std::fs::read_dir(folder.path().join("lines")).expect("a folder");
    let file = files.next().expect("a file").expect("a file");
    let name = file.file_name().to_string_lossy().into_owned();
    assert!(name.starts_with("127-0-0-1-token-"), "{name}");
    assert_eq!(name.len(), "127-0-0-1-token-00.lock".len(), "{name}");
    assert_eq!(file.metadata().expect("a file").len(), 0);
    assert!(files.next().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_what_may_be_read_takes_its_turn() {
    let server = Counting::serve().await;
    let folder = tempfile::tempdir().expect("a folder");
    let sample = Sample {
        repo: "acme/app".to_owned(),
        issue: Some(1),
        pull_request: Some(2),
        branch: None,
    };
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let client = server.client(folder.path(), MINUTE);
            let sample = [sample.clone()];
            tokio::spawn(async move {
                for _ in 0..4 {
                    if n % 2 == 0 {
                        ask(&client, &asks()).await;
                        continue;
                    }
                    let account = Account::usual();
                    let look = client.github.access(&account, &sample, NOW, MINUTE);
                    // The server's answer says nothing about it.
                    look.await.expect_err("no answer");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(server.most.load(Ordering::SeqCst), 1);
}

/// Accounts of which each has the token of all others, which nobody knew before.
struct OneToken;

impl Tokens for OneToken {
    fn account(&self, owner: &str) -> Account {
        Account(owner.to_owned())
    }

    fn token<'a>(&'a self, _account: &'a Account) -> Found<'a> {
        let token = Token::new(TOKEN.to_owned().into(), "the test");
        Box::pin(async move { Ok(token) })
    }

    fn refresh<'a>(&'a self, account: &'a Account) -> Found<'a> {
        self.token(account)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_that_turn_out_to_have_one_token_have_one_line() {
    let server = Counting::serve().await;
    let github = Client::new(settings(&server.url, Arc::new(OneToken)));
    let asks: Vec<Ask> = (0..8)
        .map(|n| by_number(&format!("owner-{n}/app"), 1, 2, LEAN))
        .collect();
    assert_eq!(ask(&github, &asks).await.usage.requests, 8);
    assert_eq!(server.most.load(Ordering::SeqCst), 1);
    // And four lists, beside one query about what a list did not tell.
    let server = Counting::serve().await;
    let github = GitHub::new(settings(&server.url, Arc::new(OneToken))).expect("settings");
    let names: Vec<String> = (0..16)
        .map(|n| format!("owner-{}/app-{n}", n % 4))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut round = listing_of(&names, |owner| github.account(owner));
    github.work(&mut round, NOW, MINUTE, MINUTE).await;
    assert_eq!(round.end().usage.rest, 16);
    let most = server.most.load(Ordering::SeqCst);
    assert!((1..=5).contains(&most), "{most}");
}

#[tokio::test]
async fn where_no_folder_is_shared_none_is_made() {
    let server = Counting::serve().await;
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("nowhere");
    let client = server.client(&nowhere, MINUTE);
    assert_eq!(ask(&client, &asks()).await.usage.requests, 1);
    assert!(!nowhere.exists());
}
