//! Processes that share a folder have one query of an account out among them.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use vigil_github::Ask;

use crate::support::*;

/// A server that counts how many requests it has at a time. Its answers say nothing.
struct Counting {
    url: String,
    most: Arc<AtomicUsize>,
}

impl Counting {
    async fn serve() -> Counting {
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

/// The file of the only account.
fn file_in(folder: &Path) -> File {
    let mut files = fs::read_dir(folder.join("lines")).expect("a folder");
    let path = files.next().expect("a file").expect("a file").path();
    assert!(files.next().is_none());
    let name = path.file_name().expect("a name").to_string_lossy();
    assert_eq!(name, "127-0-0-1-default.lock");
    let file = OpenOptions::new().read(true).write(true).open(&path);
    file.expect("the file")
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
}

#[tokio::test]
async fn to_wait_for_another_process_takes_no_longer_than_the_whole_may() {
    let server = Counting::serve().await;
    let folder = tempfile::tempdir().expect("a folder");
    let client = server.client(folder.path(), MINUTE);
    assert_eq!(ask(&client, &asks()).await.usage.requests, 1);
    let file = file_in(folder.path());
    file.lock().expect("nobody has it");
    let reply = client.ask(&asks(), NOW, Duration::from_millis(50)).await;
    assert_eq!(
        (kinds(&reply).as_slice(), reply.usage.requests),
        (&["timed-out"][..], 0)
    );
    // And afterwards it is free again, whoever still waits.
    file.unlock().expect("it is ours");
    assert_eq!(ask(&client, &asks()).await.usage.requests, 1);
}

#[tokio::test]
async fn a_process_that_was_stopped_in_its_turn_holds_nobody_up_for_long() {
    let server = Counting::serve().await;
    let folder = tempfile::tempdir().expect("a folder");
    let client = server.client(folder.path(), Duration::from_millis(500));
    assert_eq!(ask(&client, &asks()).await.usage.requests, 1);
    let file = file_in(folder.path());
    file.lock().expect("nobody has it");
    for _ in 0..3 {
        assert_eq!(ask(&client, &asks()).await.usage.requests, 1);
    }
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
