//! A certificate authority of the tests' own, a server that shows its certificate, and proxies, all on loopback.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The authority's certificate. Its key was thrown away when [`CERT`] had been signed.
pub(crate) fn authority() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls/ca.pem")
}

/// For `github.test`, `proxy.test`, `localhost` and `127.0.0.1`, for a hundred years.
const CERT: &[u8] = include_bytes!("tls/cert.pem");
/// The key of [`CERT`], which nobody trusts but these tests.
const KEY: &[u8] = include_bytes!("tls/key.pem");

/// An authority's own certificate, signed by itself with [`KEY`], for `localhost` and `127.0.0.1`.
pub(crate) const ITSELF: &[u8] = include_bytes!("tls/itself.pem");
/// For `localhost` and `127.0.0.1`, signed by [`ITSELF`], and run out at the end of 2020.
pub(crate) const EXPIRED: &[u8] = include_bytes!("tls/expired.pem");

fn acceptor() -> TlsAcceptor {
    acceptor_with(CERT)
}

/// Shows a certificate for [`KEY`].
fn acceptor_with(certificate: &[u8]) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate).expect("a certificate")],
            PrivateKeyDer::from_pem_slice(KEY).expect("a key"),
        )
        .expect("a key that fits");
    TlsAcceptor::from(Arc::new(config))
}

/// What went through something, in order.
pub(crate) type Heard = Arc<Mutex<Vec<String>>>;

/// A way through TLS to `upstream`: where it listens, and the heads of requests that came out of TLS.
pub(crate) async fn behind_tls(upstream: SocketAddr) -> (SocketAddr, Heard) {
    let (listener, address) = listen().await;
    let heard = Heard::default();
    let heads = heard.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let heads = heads.clone();
            tokio::spawn(async move {
                let mut inner = acceptor().accept(stream).await.ok()?;
                let head = head(&mut inner).await?;
                heads.lock().ok()?.push(head.clone());
                pass_on(head, inner, upstream).await
            });
        }
    });
    (address, heard)
}

/// Where somebody shows `certificate` and goes no further.
pub(crate) async fn showing(certificate: &'static [u8]) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who asks hangs up, which is what is tested.
            let _ = acceptor_with(certificate).accept(stream).await;
        }
    });
    address
}

/// Where somebody takes connections and ends them at once.
pub(crate) async fn hanging_up() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    address
}

/// How a [`proxy`] behaves.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Manner {
    /// It lets everybody through.
    Open,
    /// It wants `me` and `hunter2`.
    Guarded,
    /// It is spoken to over TLS, and guarded.
    OverTls,
}

/// A proxy that speaks HTTP and leads everywhere to `upstream`, whatever name is asked for: names of tests are none of
/// the resolver's. Where it listens, and the heads that it was sent.
pub(crate) async fn proxy(upstream: SocketAddr, manner: Manner) -> (SocketAddr, Heard) {
    let (listener, address) = listen().await;
    let heard = Heard::default();
    let heads = heard.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let heads = heads.clone();
            tokio::spawn(async move {
                if manner == Manner::OverTls {
                    let inner = acceptor().accept(stream).await.ok()?;
                    return serve(inner, upstream, manner, heads).await;
                }
                serve(stream, upstream, manner, heads).await
            });
        }
    });
    (address, heard)
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    upstream: SocketAddr,
    manner: Manner,
    heads: Heard,
) -> Option<()> {
    let head = head(&mut stream).await?;
    heads.lock().ok()?.push(head.clone());
    // me:hunter2
    let knows = head
        .to_lowercase()
        .contains("proxy-authorization: basic bwu6ahvudgvymg==");
    if manner != Manner::Open && !knows {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(refusal.as_bytes()).await.ok()?;
        return stream.shutdown().await.ok();
    }
    if head.starts_with("CONNECT ") {
        let open = b"HTTP/1.1 200 Connection established\r\n\r\n";
        stream.write_all(open).await.ok()?;
        return pass_on(String::new(), stream, upstream).await;
    }
    pass_on(head, stream, upstream).await
}

/// A SOCKS 5 proxy that wants `me` and `hunter2`, and leads everywhere to `upstream`; RFC 1928 and 1929. What it heard
/// are the names and ports that were asked for.
pub(crate) async fn socks(upstream: SocketAddr) -> (SocketAddr, Heard) {
    let (listener, address) = listen().await;
    let heard = Heard::default();
    let names = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let names = names.clone();
            tokio::spawn(async move {
                let methods = field(&mut stream, 1).await?;
                assert!(methods.contains(&2), "{methods:?}");
                stream.write_all(&[5, 2]).await.ok()?;
                let user = field(&mut stream, 1).await?;
                let password = field(&mut stream, 0).await?;
                let known = (user.as_slice(), password.as_slice()) == (b"me", b"hunter2");
                stream.write_all(&[1, u8::from(!known)]).await.ok()?;
                // Version, "connect", nothing, "a name", and then its length.
                let name = String::from_utf8(field(&mut stream, 4).await?).ok()?;
                let port = stream.read_u16().await.ok()?;
                names.lock().ok()?.push(format!("{name}:{port}"));
                let open = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
                stream.write_all(&open).await.ok()?;
                pass_on(String::new(), stream, upstream).await
            });
        }
    });
    (address, heard)
}

/// A text with its length before it, after `skipped` other bytes.
async fn field(stream: &mut TcpStream, skipped: usize) -> Option<Vec<u8>> {
    let mut skip = vec![0; skipped];
    stream.read_exact(&mut skip).await.ok()?;
    let length = stream.read_u8().await.ok()?;
    let mut text = vec![0; usize::from(length)];
    stream.read_exact(&mut text).await.ok()?;
    Some(text)
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

/// The head of a request, byte by byte, so that nothing behind it is taken.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Carries bytes to and fro between a client, of whom `said` was read already, and `upstream`.
async fn pass_on<S: AsyncRead + AsyncWrite + Unpin>(
    said: String,
    mut client: S,
    upstream: SocketAddr,
) -> Option<()> {
    let mut upstream = TcpStream::connect(upstream).await.ok()?;
    upstream.write_all(said.as_bytes()).await.ok()?;
    copy_bidirectional(&mut client, &mut upstream).await.ok()?;
    Some(())
}
