//! A connection to where a request says, or to the proxy on the way there.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::no_way::{BoxError, NoWay, Resolver};
use super::proxy::{Proxies, Proxy, Speaks};
use super::roots::Roots;
use super::{Network, NetworkError};

/// How long making a TCP connection may take; the time for the whole request goes on meanwhile.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Connects to any address, through the proxy that is meant for it.
#[derive(Clone)]
pub(super) struct Connector {
    dial: Dial,
    proxies: Proxies,
}

impl Connector {
    /// Reads nothing yet.
    pub(super) fn new(network: &Network) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        // TLS is put over it here, and proxies are asked for by it, whatever they speak.
        tcp.enforce_http(false);
        Connector {
            dial: Dial {
                tcp,
                tls: Tls {
                    roots: network.roots.clone(),
                    ready: Arc::default(),
                },
            },
            proxies: network.proxies.clone(),
        }
    }

    async fn connect(mut self, uri: Uri) -> Result<Stream, BoxError> {
        let https = uri.scheme_str() == Some("https");
        let Some(proxy) = self.proxies.of(&uri) else {
            let io = self.dial.dial(&uri).await?;
            return Ok(Stream { io, proxied: false });
        };
        // To a proxy that speaks HTTP a plain request goes as it is; everything else goes through a tunnel.
        let as_it_is = !https && matches!(proxy.speaks, Speaks::Http(_));
        let way = match as_it_is {
            true => self.dial.dial(&proxy.uri).await,
            false => self.tunnel(&proxy, &uri).await,
        };
        let mut io = way.map_err(|error| {
            let (at, variable) = (proxy.address(), &proxy.variable);
            NoWay::behind(&format!("the proxy {at} of {variable} gave no way"), error)
        })?;
        if https {
            io = self.dial.tls.over(io, &uri).await?;
        }
        Ok(Stream {
            io,
            proxied: as_it_is,
        })
    }

    /// A way through `proxy` to the host and port of `uri`.
    async fn tunnel(&mut self, proxy: &Proxy, uri: &Uri) -> Result<Io, BoxError> {
        let (to, dial) = (proxy.uri.clone(), self.dial.clone());
        match &proxy.speaks {
            Speaks::Http(auth) => {
                let mut tunnel = Tunnel::new(to, dial);
                if let Some(auth) = auth {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                Ok(call(&mut tunnel, uri).await?)
            }
            // The proxy looks the name up: it may be the only one that can.
            Speaks::Socks(auth) => {
                let mut socks = SocksV5::new(to, dial);
                if let Some((user, password)) = auth {
                    socks = socks.with_auth(user.clone(), password.expose_secret().to_owned());
                }
                Ok(call(&mut socks, uri).await?)
            }
        }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Connecting<Stream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// Connects to exactly the address that it is given; with TLS where that begins with `https`.
#[derive(Clone)]
struct Dial {
    tcp: HttpConnector<Resolver>,
    tls: Tls,
}

impl Dial {
    async fn dial(&mut self, uri: &Uri) -> Result<Io, BoxError> {
        let io = Box::new(call(&mut self.tcp, uri).await.map_err(NoWay::tcp)?);
        match uri.scheme_str() {
            Some("https") => self.tls.over(io, uri).await,
            _ => Ok(io),
        }
    }
}

impl Service<Uri> for Dial {
    type Response = Io;
    type Error = BoxError;
    type Future = Connecting<Io>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let mut dial = self.clone();
        Box::pin(async move { dial.dial(&uri).await })
    }
}

async fn call<S: Service<Uri>>(service: &mut S, uri: &Uri) -> Result<S::Response, S::Error> {
    std::future::poll_fn(|context| service.poll_ready(context)).await?;
    service.call(uri.clone()).await
}

/// TLS, set up when it is first needed: reading the machine's certificates takes longer than `status` may.
#[derive(Clone)]
struct Tls {
    roots: Roots,
    /// Nothing while it has not worked: a file that was mended is read again.
    ready: Arc<Mutex<Option<Arc<ClientConfig>>>>,
}

impl Tls {
    async fn over(&self, io: Io, uri: &Uri) -> Result<Io, BoxError> {
        // An IPv6 address stands in brackets in an address, and without them in a certificate.
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())?;
        let stream = TlsConnector::from(self.config()?)
            .connect(name, TokioIo::new(io))
            .await
            .map_err(|error| NoWay::tls(error, host))?;
        Ok(Box::new(TokioIo::new(stream)))
    }

    fn config(&self) -> Result<Arc<ClientConfig>, BoxError> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = &*ready {
            return Ok(config.clone());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(NetworkError::Tls)?
            .with_root_certificates(self.roots.load()?)
            .with_no_client_auth();
        Ok(ready.insert(Arc::new(config)).clone())
    }
}

/// A connection, whatever it is made of.
type Io = Box<dyn ReadWrite>;

trait ReadWrite: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> ReadWrite for T {}

/// A connection as hyper's client wants it.
pub(super) struct Stream {
    io: Io,
    /// The other end is a proxy that reads where the request is to go.
    proxied: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
