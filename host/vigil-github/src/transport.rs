//! Bytes to GitHub and back: octocrab's client, with a deadline, a bound on the body, and the token per request.
//!
//! octocrab's own clients retry at once, wait without end, announce themselves twice and log failures as errors; its
//! `graphql()` throws a partial answer away and its cache replays cut-off bodies. So only its request and its service
//! are used, over a connection made here.

mod blank;
mod connect;
mod no_way;
mod proxy;
mod roots;

use std::error::Error as _;
use std::path::PathBuf;

use http::header::{ACCEPT, AUTHORIZATION, IF_NONE_MATCH, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::tokens::Token;
use crate::words;

use blank::blank;
use connect::Connector;
use proxy::Speaks;
pub use proxy::{Proxies, ProxyVariable, is_this_machine};
pub use roots::Roots;

/// The largest body that is read. 100 questions with 100 labels each stay below 1 MiB.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What lies between this machine and GitHub. [`Default`]: nothing, and the machine's own certificates.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// The proxies on the way.
    pub proxies: Proxies,
    /// Whose certificates are trusted, those of a proxy that is spoken to over TLS among them.
    pub roots: Roots,
}

/// A way to GitHub that cannot work. Names the variable, and never shows an address, which may hold a password.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// A variable that is to name a proxy.
    #[error("{variable} {why}")]
    Proxy {
        /// Which one.
        variable: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A variable that is to name certificates.
    #[error("{variable} names {}: {why}", path.display())]
    Certificates {
        /// Which one.
        variable: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There are none on this machine.
    #[error(
        "this machine has no CA certificates; install ca-certificates, or name a file in SSL_CERT_FILE"
    )]
    NoCertificates,
    /// The library refuses.
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
}

/// What a request carries beside its address and its token.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wire<'a> {
    /// Makes it a POST.
    pub(crate) body: Option<&'a Value>,
    /// The ETag of an earlier answer to the same token; an answer that still fits it is a 304 without a body.
    pub(crate) if_none_match: Option<&'a str>,
}

impl<'a> Wire<'a> {
    /// A GET.
    pub(crate) fn get() -> Self {
        Wire::default()
    }

    /// A POST.
    pub(crate) fn post(body: &'a Value) -> Self {
        Wire {
            body: Some(body),
            if_none_match: None,
        }
    }
}

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// How a request came to have no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There was no connection: name, network, port or TLS. Nothing was sent.
    NoConnection(String),
    /// The connection ended before the answer did.
    Broken(String),
    /// The time was up.
    TimedOut,
    /// The body is larger than is read.
    TooLarge,
}

/// The way to one GitHub.
pub(crate) struct Transport {
    user_agent: HeaderValue,
    network: Network,
    /// Bound to the runtime in which it first sends something.
    client: OnceCell<Octocrab>,
}

impl Transport {
    /// Connects to nothing, and reads no certificates yet.
    pub(crate) fn new(user_agent: HeaderValue, network: Network) -> Self {
        Transport {
            user_agent,
            network,
            client: OnceCell::new(),
        }
    }

    /// The variable and the address of the proxy that `uri` is reached through; `None`: it is reached directly.
    /// Reads the certificates where `uri` needs some.
    ///
    /// # Errors
    /// They cannot be read, or there are none.
    pub(crate) fn way(&self, uri: &Uri) -> Result<Option<(String, String)>, NetworkError> {
        if uri.scheme_str() == Some("https") {
            self.network.roots.load()?;
        }
        Ok(self.network.proxies.describe(uri))
    }

    /// Sends one request, and waits for its answer until `deadline`.
    pub(crate) async fn send(
        &self,
        uri: &Uri,
        token: &Token,
        wire: Wire<'_>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        match tokio::time::timeout_at(deadline, self.exchange(uri, token, wire)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::TimedOut),
        }
    }

    async fn exchange(&self, uri: &Uri, token: &Token, wire: Wire<'_>) -> Result<Answer, Failure> {
        let client = self
            .client
            .get_or_init(|| async { client(&self.network) })
            .await;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.secret.expose_secret()))
            .map_err(|_| Failure::NoConnection("the token does not fit a header".to_owned()))?;
        bearer.set_sensitive(true);
        let mut request = Request::builder()
            .method(match wire.body {
                Some(_) => Method::POST,
                None => Method::GET,
            })
            .uri(uri.clone())
            .header(USER_AGENT, self.user_agent.clone())
            .header(ACCEPT, "application/vnd.github+json")
            .header(AUTHORIZATION, bearer);
        if let Some(tag) = wire.if_none_match {
            request = request.header(IF_NONE_MATCH, tag);
        }
        // Through a tunnel the proxy is told at its entrance; this header would then go to GitHub.
        if uri.scheme_str() == Some("http")
            && let Some(proxy) = self.network.proxies.of(uri)
            && let Speaks::Http(Some(auth)) = proxy.speaks
        {
            request = request.header(PROXY_AUTHORIZATION, auth);
        }
        let request = client
            .build_request(request, wire.body)
            .map_err(|error| Failure::NoConnection(words::short(&error.to_string())))?;
        let response = client.execute(request).await.map_err(failure)?;
        let (parts, stream) = response.into_parts();
        let body = match Limited::new(stream, BODY_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes().to_vec(),
            Err(error) if error.is::<LengthLimitError>() => return Err(Failure::TooLarge),
            Err(error) => return Err(Failure::Broken(no_way::said(&*error))),
        };
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            // A proxy or an error page may echo what it was sent.
            body: blank(body, token.secret.expose_secret()),
        })
    }
}

/// octocrab over a connection of ours: it connects where the request says, and does nothing by itself.
fn client(network: &Network) -> Octocrab {
    let service = Client::builder(TokioExecutor::new()).build(Connector::new(network));
    let octocrab = OctocrabBuilder::new_empty()
        .with_service(service)
        .with_auth(AuthState::None)
        .build();
    octocrab.unwrap_or_else(|never| match never {})
}

/// Sorts what octocrab hands on.
fn failure(error: octocrab::Error) -> Failure {
    let mut next = error.source();
    let mut no_connection = false;
    while let Some(cause) = next {
        if let Some(client) = cause.downcast_ref::<hyper_util::client::legacy::Error>() {
            no_connection |= client.is_connect();
        }
        next = cause.source();
    }
    let said = no_way::said(&error);
    tracing::debug!(cause = no_way::whole(&error), "a request had no answer");
    if no_connection {
        Failure::NoConnection(said)
    } else {
        Failure::Broken(said)
    }
}
