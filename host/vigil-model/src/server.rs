//! The model behind a socket: a thin shell that carries requests in and honours how answers are to be delivered.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request as Incoming, State};
use axum::response::Response as Outgoing;
use axum::serve::{IncomingStream, Listener};
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::flight::Flight;
use crate::message::{Delivery, Request, Response};
use crate::model::Model;

/// The longest body of a request, in bytes. GitHub refuses long ones, too; nobody asks that much.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Gives the time in milliseconds since the epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Starts models on sockets.
pub struct Server;

impl Server {
    /// Serves `model` on `address`, usually `127.0.0.1:0`, by the system's clock.
    ///
    /// Runs on a thread of its own, so that it can be used from any test, async or not. Errors: the address cannot be
    /// bound or no thread can be had.
    pub fn start(model: Model, address: SocketAddr) -> io::Result<Handle> {
        Server::start_with(model, address, Arc::new(system_now_ms))
    }

    /// The same by another clock, for tests that turn it.
    pub fn start_with(model: Model, address: SocketAddr, clock: Clock) -> io::Result<Handle> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut model = model;
        model.set_base_url(&format!("http://{address}"));
        let model = Arc::new(Mutex::new(model));
        let (stop, stopped) = oneshot::channel();
        let shared = Shared {
            model: model.clone(),
            clock,
        };
        let listener = {
            let _inside = runtime.enter();
            Wires(tokio::net::TcpListener::from_std(listener)?)
        };
        let thread = std::thread::Builder::new()
            .name("vigil-model".to_owned())
            .spawn(move || {
                let app = Router::new().fallback(handle).with_state(shared);
                let service = app.into_make_service_with_connect_info::<Cutter>();
                runtime.block_on(async move {
                    // Hanging requests are dropped with the runtime: waiting for them would be for ever.
                    tokio::select! {
                        _ = axum::serve(listener, service) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Handle {
            address,
            model,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the model GitHub is another machine, whose clock is not the caller's"
)]
fn system_now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}

/// A model that is being served. Dropping it ends the service and all its connections.
pub struct Handle {
    address: SocketAddr,
    model: Arc<Mutex<Model>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Where it listens. After a shutdown the same address can be served again.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base of REST, without a slash at the end: below `/api/v3` for an Enterprise Server.
    pub fn rest_url(&self) -> String {
        lock(&self.model).api_url()
    }

    /// The GraphQL endpoint.
    pub fn graphql_url(&self) -> String {
        match lock(&self.model).enterprise {
            Some(_) => format!("http://{}/api/graphql", self.address),
            None => format!("http://{}/graphql", self.address),
        }
    }

    /// Looks at the model or changes it between two requests.
    pub fn with<T>(&self, look: impl FnOnce(&mut Model) -> T) -> T {
        look(&mut lock(&self.model))
    }

    /// Ends the service: from now on GitHub is unreachable. The model is handed back as it is, to be served again.
    pub fn shutdown(mut self) -> Model {
        self.end();
        lock(&self.model).clone()
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself; then there is nobody to tell.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Clone)]
struct Shared {
    model: Arc<Mutex<Model>>,
    clock: Clock,
}

/// A panic in a test's closure must not hide what the model holds from the next look.
fn lock(model: &Mutex<Model>) -> MutexGuard<'_, Model> {
    model.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn handle(
    State(shared): State<Shared>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    incoming: Incoming,
) -> Outgoing {
    let (parts, body) = incoming.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return whole(Response::refusal(413, "Payload too large"));
    };
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    };
    let request = Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.iter().map(header).collect(),
        body: body.to_vec(),
    };
    let (response, flight) = {
        let now_ms = (shared.clock)();
        let mut model = lock(&shared.model);
        let flight = model.begin(&request);
        (model.respond(request, now_ms), flight)
    };
    let _under_way = UnderWay {
        model: shared.model,
        flight,
    };
    match response.delivery {
        Delivery::Whole => whole(response),
        Delivery::After { delay_ms } => {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            whole(response)
        }
        Delivery::Never => std::future::pending().await,
        Delivery::Cut { bytes } => cut(response, bytes),
        Delivery::Reset => {
            cutter.0.store(true, Ordering::Release);
            Outgoing::new(Body::empty())
        }
    }
}

/// Ends a request's flight with its handler, be it answered or given up by its sender.
struct UnderWay {
    model: Arc<Mutex<Model>>,
    flight: Flight,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        lock(&self.model).end(&self.flight);
    }
}

fn whole(response: Response) -> Outgoing {
    let body = Body::from(response.body.clone());
    head(response, body)
}

/// Promises the whole body, delivers a part of it, and breaks off.
fn cut(response: Response, bytes: usize) -> Outgoing {
    let promised = response.body.len();
    let mut part = response.body.clone();
    part.truncate(bytes);
    let broken = async {
        // One turn for the part to be flushed; what is still buffered when a body fails is never sent.
        tokio::task::yield_now().await;
        Some(Err(io::Error::from(io::ErrorKind::BrokenPipe)))
    };
    let body = Full::new(axum::body::Bytes::from(part))
        .map_err(|never| match never {})
        .with_trailers(broken)
        // Hides the size, which hyper would otherwise compare with what the head promises.
        .map_frame(|frame| frame);
    let mut outgoing = head(response, Body::new(body));
    outgoing
        .headers_mut()
        .insert(http::header::CONTENT_LENGTH, promised.into());
    outgoing
}

fn head(response: Response, body: Body) -> Outgoing {
    let mut outgoing = Outgoing::new(body);
    *outgoing.status_mut() =
        http::StatusCode::from_u16(response.status).unwrap_or(http::StatusCode::BAD_GATEWAY);
    for (name, value) in response.headers {
        if let Ok(value) = http::HeaderValue::from_str(&value) {
            outgoing.headers_mut().insert(name, value);
        }
    }
    outgoing
}

/// Set: the connection is reset instead of the next write.
#[derive(Clone, Debug)]
struct Cutter(Arc<AtomicBool>);

impl Connected<IncomingStream<'_, Wires>> for Cutter {
    fn connect_info(stream: IncomingStream<'_, Wires>) -> Self {
        stream.io().cutter.clone()
    }
}

/// A listener whose connections can be reset from within a handler.
struct Wires(tokio::net::TcpListener);

impl Listener for Wires {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        let cutter = Cutter(Arc::new(AtomicBool::new(false)));
        (Wire { stream, cutter }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

struct Wire {
    stream: TcpStream,
    cutter: Cutter,
}

impl Wire {
    fn intact(&self) -> io::Result<()> {
        if self.cutter.0.load(Ordering::Acquire) {
            // Closing without lingering sends a reset rather than an orderly end.
            self.stream.set_zero_linger()?;
            return Err(io::Error::from(io::ErrorKind::ConnectionReset));
        }
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Err(error) = self.intact() {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Err(error) = self.intact() {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
