//! The shell: what the pure part decides arrives over a socket, faults included.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::Response;
use ureq::{Agent, Body, Error};

use super::{NOW, TOKEN, seed};
use crate::{Fault, Handle, Model, Server};

const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

fn serve(model: Model) -> Handle {
    Server::start_with(model, LOOPBACK.into(), Arc::new(|| NOW)).unwrap()
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .into()
}

fn get(handle: &Handle, target: &str) -> Result<Response<Body>, Error> {
    agent()
        .get(format!("{}{target}", handle.rest_url()))
        .header("authorization", format!("Bearer {TOKEN}"))
        .call()
}

fn ask(handle: &Handle, document: &str) -> Value {
    agent()
        .post(handle.graphql_url())
        .header("authorization", format!("Bearer {TOKEN}"))
        .send_json(json!({ "query": document }))
        .unwrap()
        .body_mut()
        .read_json()
        .unwrap()
}

#[test]
fn both_interfaces_answer_over_a_socket_while_the_world_changes() {
    let handle = serve(seed());
    let issue = "{ repository(owner: \"owner\", name: \"repo\") { issue(number: 300) { state } } }";
    let state = |answer: Value| answer["data"]["repository"]["issue"]["state"].clone();
    assert_eq!(state(ask(&handle, issue)), "OPEN");
    handle.with(|model| {
        model.repo("owner/repo").issue(300).closed("completed");
    });
    assert_eq!(state(ask(&handle, issue)), "CLOSED");
    let mut response = get(&handle, "/repos/owner/repo/issues/300").unwrap();
    assert_eq!(response.status(), 200);
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    assert_eq!(header("date"), Some("Fri, 20 Nov 2026 06:00:00 GMT"));
    assert_eq!(header("x-ratelimit-remaining"), Some("4999"));
    let body: Value = response.body_mut().read_json().unwrap();
    assert_eq!(body["state_reason"], "completed");
    assert_eq!(handle.with(|model| model.tally().requests), 3);
}

#[test]
fn links_point_back_to_the_server() {
    let mut model = seed();
    model.repo("owner/repo").renamed("new/name");
    let handle = serve(model);
    let moved = get(&handle, "/repos/owner/repo").unwrap();
    assert_eq!(moved.status(), 301);
    let location = moved
        .headers()
        .get("location")
        .and_then(|value| value.to_str().ok());
    assert_eq!(
        location,
        Some(format!("{}/repositories/1", handle.rest_url()).as_str())
    );
}

#[test]
fn a_cut_body_is_announced_whole_and_ends_early() {
    let handle = serve(seed());
    let whole = get(&handle, "/repos/owner/repo")
        .unwrap()
        .body_mut()
        .read_to_vec()
        .unwrap();
    handle.with(|model| model.fail_next(1, Fault::CutBody));
    let mut cut = get(&handle, "/repos/owner/repo").unwrap();
    assert_eq!(cut.status(), 200);
    let promised = cut
        .headers()
        .get("content-length")
        .and_then(|value| value.to_str().ok());
    assert_eq!(promised, Some(whole.len().to_string().as_str()));
    assert!(cut.body_mut().read_to_vec().is_err());
    handle.with(|model| model.fail_next(1, Fault::CutJson));
    let part = get(&handle, "/repos/owner/repo")
        .unwrap()
        .body_mut()
        .read_to_vec()
        .unwrap();
    assert_eq!(part, whole[..whole.len() / 2]);
}

#[test]
fn a_reset_ends_the_connection_without_an_answer() {
    let handle = serve(seed());
    handle.with(|model| model.fail_next(1, Fault::Reset));
    assert!(matches!(get(&handle, "/user"), Err(Error::Io(_))));
    assert_eq!(get(&handle, "/user").unwrap().status(), 200);
}

#[test]
fn a_hang_is_not_answered_and_does_not_keep_the_server_from_ending() {
    let handle = serve(seed());
    handle.with(|model| model.fail_next(1, Fault::Hang));
    let url = format!("{}/user", handle.rest_url());
    let waiting = std::thread::spawn(move || agent().get(url).call());
    while handle.with(|model| model.tally().requests) == 0 {
        std::thread::yield_now();
    }
    // The other client is served while the first one waits.
    assert_eq!(get(&handle, "/user").unwrap().status(), 200);
    assert!(!waiting.is_finished());
    handle.shutdown();
    assert!(waiting.join().unwrap().is_err());
}

#[test]
fn a_server_that_was_shut_down_is_unreachable_until_it_is_back() {
    let handle = serve(seed());
    let address = handle.address();
    assert_eq!(get(&handle, "/user").unwrap().status(), 200);
    let model = handle.shutdown();
    let url = format!("http://{address}/user");
    assert!(agent().get(url).call().is_err());
    let back = Server::start_with(model, address, Arc::new(|| NOW)).unwrap();
    assert_eq!(get(&back, "/user").unwrap().status(), 200);
    assert_eq!(back.with(|model| model.tally().requests), 2);
}

#[test]
fn the_clock_is_the_callers() {
    let now = Arc::new(AtomicU64::new(NOW));
    let clock = now.clone();
    let mut model = seed();
    model.token(TOKEN).limits(1, 1);
    let handle = Server::start_with(
        model,
        LOOPBACK.into(),
        Arc::new(move || clock.load(Ordering::Relaxed)),
    )
    .unwrap();
    assert_eq!(get(&handle, "/user").unwrap().status(), 200);
    assert_eq!(get(&handle, "/user").unwrap().status(), 403);
    now.fetch_add(3_600_000, Ordering::Relaxed);
    assert_eq!(get(&handle, "/user").unwrap().status(), 200);
}

#[test]
fn a_late_answer_is_late_and_right() {
    let handle = serve(seed());
    handle.with(|model| model.fail_next(1, Fault::Delay(1)));
    assert_eq!(get(&handle, "/user").unwrap().status(), 200);
    handle.with(|model| model.fail_next(1, Fault::Delay(3_600_000)));
    let url = format!("{}/user", handle.rest_url());
    let impatient: Agent = Agent::config_builder()
        .timeout_global(Some(Duration::from_millis(50)))
        .build()
        .into();
    assert!(matches!(impatient.get(url).call(), Err(Error::Timeout(_))));
}

#[test]
fn requests_that_overlap_are_seen_and_end_with_their_answer_or_their_client() {
    let handle = serve(seed());
    let document = "{ viewer { login } }";
    for _ in 0..3 {
        ask(&handle, document);
        assert_eq!(get(&handle, "/user").unwrap().status(), 200);
    }
    let at_once = || {
        handle.with(|model| {
            let tally = model.tally();
            (tally.graphql_at_once_max, tally.rest_at_once_max)
        })
    };
    assert_eq!(at_once(), (1, 1), "one after the other is never two");
    handle.with(|model| model.fail_next(1, Fault::Hang));
    let mut hanging = TcpStream::connect(handle.address()).unwrap();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\nuser-agent: raw\r\nauthorization: Bearer {TOKEN}\r\n\
         content-length: 0\r\n\r\n"
    );
    hanging.write_all(request.as_bytes()).unwrap();
    while handle.with(|model| model.tally().requests) < 7 {
        std::thread::yield_now();
    }
    ask(&handle, document);
    assert_eq!(at_once(), (2, 1));
    drop(hanging);
    // The server notices that nobody waits any longer; then one request is alone again.
    loop {
        handle.with(Model::reset_tally);
        ask(&handle, document);
        if at_once() == (1, 0) {
            break;
        }
        std::thread::yield_now();
    }
}

#[test]
fn an_enterprise_server_says_where_its_interfaces_are() {
    let mut model = seed();
    model.enterprise("3.18.1");
    let handle = serve(model);
    assert!(handle.rest_url().ends_with("/api/v3"));
    assert_eq!(get(&handle, "/repos/owner/repo").unwrap().status(), 200);
    assert_eq!(
        ask(&handle, "{ viewer { login } }")["data"]["viewer"]["login"],
        "octocat"
    );
}
