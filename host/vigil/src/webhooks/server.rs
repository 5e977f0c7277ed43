//! Takes deliveries over HTTP, and does no work for them: prove, read, queue, answer.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::body::{Reading, Refused, Room};
use super::counted::Counted;
use super::crowd::{Bounds, Crowd, Origin, Seat};
use super::event::{self, Heard};
use super::inbox::{Counts, Inbox, Put};
use super::settings::{Limits, Settings, host_of};
use crate::failure::Failure;

/// Where deliveries go.
pub const PATH: &str = "/webhooks/github";

/// The longest head of a request. GitHub's are under 2 KiB.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// How long a connection may take beyond the deadlines of head and body: the answer is a line.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// How long a stop waits for deliveries that are on their way.
const STOP_DEADLINE: Duration = Duration::from_secs(2);

/// After this the next connection is tried when one could not be taken: file descriptors are short, and others have to
/// give theirs back first.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// A server that listens. Dropping it ends it: no more connections are taken, and those that are there may finish.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    inbox: Inbox,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Listening {
    /// Where it listens, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was counted since the start.
    pub fn counters(&self) -> Counts {
        self.inbox.counts()
    }

    /// Where deliveries go, for the webhook's settings or a proxy's.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Ends it, and waits at most 2 s for deliveries that are on their way.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(());
        }
        if tokio::time::timeout(STOP_DEADLINE, &mut self.serving)
            .await
            .is_err()
        {
            self.serving.abort();
        }
    }
}

/// Listens on `address` and queues what comes in `inbox`.
///
/// # Errors
/// The address cannot be had: its port is in use, this machine does not have it, or the port takes more rights.
pub async fn listen(
    address: SocketAddr,
    settings: Settings,
    inbox: Inbox,
) -> Result<Listening, Failure> {
    let failed = |error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "another program has this port: choose another, or port 0",
            io::ErrorKind::PermissionDenied => "ports below 1024 take more rights: choose another",
            _ => "give an address of this machine, such as 127.0.0.1:8737",
        };
        Failure::request(format!("failed to listen for webhooks on {address}"))
            .because(error)
            .hint(hint)
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    if !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "webhooks are taken from other machines, and unencrypted; a proxy that ends TLS belongs before it"
        );
    }
    let (stop, stopped) = oneshot::channel();
    let crowd = Crowd::new(Bounds {
        in_all: settings.limits.connections_max,
        per_address: settings.limits.connections_per_address_max,
    });
    let shared = Arc::new(Shared {
        room: Room::new(settings.limits.held_bytes_max, crowd.clone()),
        crowd,
        settings,
        inbox: inbox.clone(),
    });
    let serving = tokio::spawn(serve(listener, shared, stopped));
    tracing::info!(
        url = format!("http://{address}{PATH}"),
        "listening for webhooks"
    );
    Ok(Listening {
        address,
        inbox,
        stop: Some(stop),
        serving,
    })
}

struct Shared {
    settings: Settings,
    inbox: Inbox,
    /// Who is connected.
    crowd: Crowd,
    /// For the bytes of all bodies that are being read.
    room: Room,
}

/// Takes connections until `stopped`, then lets those that are there finish. Whoever knocks is let in at once; where
/// there is no room, the slowest of those that are there goes.
async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let router = router(Arc::clone(&shared));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            (stream, peer) = next(&listener, &shared) => {
                let (seat, shed) = shared.crowd.enter(Origin::of(peer.ip()), Instant::now());
                if shed {
                    shared.count_shed();
                }
                let id = seat.id();
                let router = router.clone().layer(Extension(Peer { address: peer, seat: id }));
                let serving = connections.spawn(connection(stream, seat, router, shared.settings.limits));
                shared.crowd.served_by(id, serving);
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection.
async fn next(listener: &TcpListener, shared: &Shared) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Who knocked went away before the door was open.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                // The machine is short of something that every connection holds.
                if shared.crowd.thin_out(Instant::now()) {
                    shared.count_shed();
                }
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// One connection, one request: what is left open costs others their seat.
async fn connection(stream: TcpStream, seat: Seat, router: Router, limits: Limits) {
    let stream = Counted::new(stream, seat.heard());
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_deadline)
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let whole = limits.head_deadline + limits.body_deadline + ANSWER_DEADLINE;
    // Whoever breaks off or sends no HTTP has nobody to be told; whoever does not take the answer is let go.
    match tokio::time::timeout(whole, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a webhook's connection broke off"),
        Err(_) => tracing::debug!("a webhook's connection took too long"),
    }
    drop(seat);
}

fn router(shared: Arc<Shared>) -> Router {
    let refused = |status: StatusCode, text: &'static str| {
        let shared = Arc::clone(&shared);
        move || {
            shared.inbox.counters().refused.add(1);
            std::future::ready((status, text))
        }
    };
    Router::new()
        .route(
            PATH,
            post(deliver).fallback(refused(
                StatusCode::METHOD_NOT_ALLOWED,
                "deliveries are posted\n",
            )),
        )
        .fallback(refused(
            StatusCode::NOT_FOUND,
            "deliveries go to /webhooks/github\n",
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&shared),
            only_for_us,
        ))
        .with_state(shared)
}

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
struct Peer {
    address: SocketAddr,
    /// Its connection's.
    seat: u64,
}

/// Refuses what a browser was made to send: a page that names this machine by another name, or a form of another site.
async fn only_for_us(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let refuse = |status: StatusCode, text: &'static str| {
        shared.inbox.counters().refused.add(1);
        (status, text).into_response()
    };
    if !is_for_us(&request, &shared.settings) {
        return refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "this host is not in webhooks.hosts\n",
        );
    }
    if request.headers().contains_key(ORIGIN) {
        return refuse(StatusCode::FORBIDDEN, "no browser has business here\n");
    }
    next.run(request).await
}

/// Whether every host that the request names is one of ours, and it names one.
fn is_for_us(request: &Request, settings: &Settings) -> bool {
    let mut named = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else {
        return false;
    };
    let ours = |text: &str| host_of(text).is_some_and(|host| settings.hosts.contains(&host));
    host.to_str().is_ok_and(ours) && request.uri().host().is_none_or(ours)
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Queued { new: usize },
    Duplicate,
    Unknown,
    Unparsable,
    Forged,
    NoEvent,
    TooLarge,
    Slow,
    BrokenOff,
    NoRoom,
}

impl Answer {
    /// GitHub shows status and text in its list of deliveries. Whatever is in the 200s is not offered for redelivery,
    /// so that only what may come again is an error.
    fn response(self) -> Response {
        let (status, text) = match self {
            Answer::Queued { .. } => (StatusCode::ACCEPTED, "queued\n"),
            Answer::Duplicate => (StatusCode::OK, "this delivery was heard before\n"),
            Answer::Unknown => (StatusCode::OK, "no session depends on this event\n"),
            Answer::Unparsable => (
                StatusCode::OK,
                "genuine, and not understood; it was counted\n",
            ),
            Answer::Forged => (
                StatusCode::UNAUTHORIZED,
                "X-Hub-Signature-256 is missing, or was not made with this webhook's secret\n",
            ),
            Answer::NoEvent => (StatusCode::BAD_REQUEST, "X-GitHub-Event is missing\n"),
            Answer::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the payload is too large\n"),
            Answer::Slow => (StatusCode::REQUEST_TIMEOUT, "the payload took too long\n"),
            Answer::BrokenOff => (StatusCode::BAD_REQUEST, "the payload broke off\n"),
            Answer::NoRoom => (
                StatusCode::SERVICE_UNAVAILABLE,
                "there is no room at present; deliver it again\n",
            ),
        };
        (status, text).into_response()
    }
}

async fn deliver(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let answer = shared.hear(&parts.headers, body, peer.seat).await;
    shared.count(answer, &parts.headers, peer.address);
    answer.response()
}

impl Shared {
    async fn hear(&self, headers: &HeaderMap, body: Body, seat: u64) -> Answer {
        let max = self.settings.limits.body_bytes_max;
        let announced = only(headers, CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
        let mut reading = Reading::new(seat, announced.unwrap_or(max).min(max), self.room.clone());
        if announced.is_some_and(|length| length > max) {
            reading.refuse(Refused::TooLarge);
        }
        let read = read(body, max, &mut reading);
        let read = tokio::time::timeout(self.settings.limits.body_deadline, read).await;
        match (reading.refused(), read) {
            (Some(Refused::TooLarge), _) => Answer::TooLarge,
            (Some(Refused::NoRoom), _) => Answer::NoRoom,
            (None, Err(_)) => Answer::Slow,
            (None, Ok(Err(BrokenOff))) => Answer::BrokenOff,
            (None, Ok(Ok(()))) => self.judge(headers, reading.bytes()),
        }
    }

    /// What a whole delivery comes to. The signature is looked at first: nothing else is told to who does not know the
    /// secret.
    fn judge(&self, headers: &HeaderMap, body: &[u8]) -> Answer {
        let signed = only(headers, SIGNATURE)
            .is_some_and(|signature| self.settings.secrets.verify(body, signature));
        if !signed {
            return Answer::Forged;
        }
        let Some(name) = only(headers, EVENT).filter(|name| !name.is_empty()) else {
            return Answer::NoEvent;
        };
        let (wakes, otherwise) = match event::hear(name, &payload(headers, body)) {
            Heard::Wakes(wakes) => (wakes, None),
            Heard::Unknown => (Vec::new(), Some(Answer::Unknown)),
            Heard::Unparsable => (Vec::new(), Some(Answer::Unparsable)),
        };
        match self.inbox.put(only(headers, DELIVERY), wakes) {
            Put::Queued(new) => otherwise.unwrap_or(Answer::Queued { new }),
            Put::Duplicate => Answer::Duplicate,
            Put::Full => Answer::NoRoom,
        }
    }

    /// Counts a connection that was ended in favour of another.
    fn count_shed(&self) {
        let count = self.inbox.counters().shed.add(1);
        if count.is_power_of_two() {
            tracing::warn!(
                count,
                "more connections than are taken at once; the slowest are ended"
            );
        }
    }

    /// Counts a delivery, and logs it: what GitHub sent for the curious, what others sent for everybody.
    fn count(&self, answer: Answer, headers: &HeaderMap, peer: SocketAddr) {
        let counters = self.inbox.counters();
        counters.received.add(1);
        let (event, delivery) = (only(headers, EVENT), only(headers, DELIVERY));
        let (event, delivery) = (event::plain(event), event::plain(delivery));
        tracing::debug!(?answer, %event, %delivery, %peer, "delivery heard");
        let (counter, concern) = match answer {
            Answer::Queued { new } => {
                counters.wakes.add(new as u64);
                return;
            }
            Answer::Duplicate => (&counters.duplicates, None),
            Answer::Unknown => (&counters.unknown, None),
            Answer::Unparsable | Answer::NoEvent => (
                &counters.unparsable,
                Some("genuine deliveries are not understood"),
            ),
            Answer::Forged => (
                &counters.forged,
                Some("deliveries are not signed with the webhook's secret"),
            ),
            Answer::TooLarge => (&counters.too_large, Some("deliveries are too large")),
            Answer::Slow | Answer::BrokenOff => {
                (&counters.broken_off, Some("deliveries break off"))
            }
            Answer::NoRoom => (
                &counters.no_room,
                Some("there is no room for deliveries; redeliver them, or wait for the resync"),
            ),
        };
        let count = counter.add(1);
        // The first of a kind is news, and then every doubling: nobody fills the log from outside.
        if let Some(concern) = concern
            && count.is_power_of_two()
        {
            tracing::warn!(count, %event, %peer, "{concern}");
        }
    }
}

const SIGNATURE: &str = "x-hub-signature-256";
const EVENT: &str = "x-github-event";
const DELIVERY: &str = "x-github-delivery";

/// The sender went away.
struct BrokenOff;

/// Reads a body within the bounds. What is over them is read on and dropped, as much as `max`: whoever is still sending
/// would not see the answer otherwise.
async fn read(mut body: Body, max: usize, reading: &mut Reading) -> Result<(), BrokenOff> {
    let mut dropped = 0_usize;
    while let Some(frame) = body.frame().await {
        // What is no data is trailers, which GitHub does not send.
        let Ok(data) = frame.map_err(|_| BrokenOff)?.into_data() else {
            continue;
        };
        if !reading.take(&data, Instant::now()).await {
            dropped = dropped.saturating_add(data.len());
        }
        if dropped > max {
            break;
        }
    }
    Ok(())
}

/// The value of a header that is there once and is text. One that is there twice says nothing that can be trusted.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// The JSON of a body. A webhook whose content type was left as a form has it in the field `payload`.
fn payload<'a>(headers: &HeaderMap, body: &'a [u8]) -> Cow<'a, [u8]> {
    let kind = only(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Cow::Borrowed(body);
    }
    let field = form_urlencoded::parse(body).find(|(name, _)| name == "payload");
    let value = field.map(|(_, value)| value.into_owned().into_bytes());
    Cow::Owned(value.unwrap_or_default())
}

#[cfg(test)]
mod tests;
