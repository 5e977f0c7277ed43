//! Why there is no connection, in one sentence for who can do something about it. The libraries' own words stay behind
//! it as the source, and are told in the log.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiResolver, Name};
use rustls::CertificateError;
use tower_service::Service;

use super::connect::CONNECT_TIMEOUT;
use crate::words;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// A connection that could not be made.
#[derive(Debug)]
pub(super) struct NoWay {
    says: String,
    cause: BoxError,
}

impl NoWay {
    /// The same with words before it, such as which proxy it was.
    pub(super) fn behind(before: &str, cause: BoxError) -> Self {
        NoWay {
            says: format!("{before}: {}", said(&*cause)),
            cause,
        }
    }

    /// TCP came to nothing.
    pub(super) fn tcp(cause: impl Into<BoxError>) -> Self {
        let cause = cause.into();
        let says = match links(&*cause).find_map(of_tcp) {
            Some(says) => says,
            None => last(&*cause),
        };
        NoWay { says, cause }
    }

    /// TLS with `host` came to nothing.
    pub(super) fn tls(cause: io::Error, host: &str) -> Self {
        let inner = cause.get_ref().and_then(|inner| inner.downcast_ref());
        let says = match (inner, cause.kind()) {
            (Some(error), _) => of_tls(error, host),
            (None, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                "it hung up before TLS was agreed on; is that the port for https?".to_owned()
            }
            (None, _) => words::short(&format!("TLS came to nothing ({cause})")),
        };
        NoWay {
            says,
            cause: cause.into(),
        }
    }
}

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.says)
    }
}

impl Error for NoWay {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}

/// What is to be said of `error`: the sentence of a [`NoWay`] in its chain; else its last two links, since the first
/// ones say no more than that something failed.
pub(super) fn said(error: &(dyn Error + 'static)) -> String {
    links(error)
        .find_map(|link| link.downcast_ref::<NoWay>())
        .map_or_else(|| last(error), NoWay::to_string)
}

/// The whole chain in the libraries' own words, for the log.
pub(super) fn whole(error: &(dyn Error + 'static)) -> String {
    let theirs = links(error).filter(|link| !link.is::<NoWay>());
    let texts: Vec<String> = theirs.map(|link| link.to_string()).collect();
    // Foreign words never steer a terminal, not even in a log.
    texts.join(": ").replace(char::is_control, " ")
}

fn last(error: &(dyn Error + 'static)) -> String {
    let told = told(error);
    words::short(&told[told.len().saturating_sub(2)..].join(": "))
}

/// The texts of the chain, without those that repeat the one before.
fn told(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for link in links(error) {
        let text = link.to_string();
        if told.last().is_none_or(|last| !last.contains(&text)) {
            told.push(text);
        }
    }
    told
}

fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&link| link.source())
}

fn of_tcp(link: &(dyn Error + 'static)) -> Option<String> {
    if let Some(NotResolved { name, .. }) = link.downcast_ref() {
        return Some(format!(
            "the name {name} cannot be resolved; check how it is written, and this machine's DNS"
        ));
    }
    let error: &io::Error = link.downcast_ref()?;
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there (connection refused); check address and port".to_owned()
        }
        io::ErrorKind::TimedOut => format!(
            "nobody answered within {} s; check the address, and whether a firewall or a missing proxy is in the way",
            CONNECT_TIMEOUT.as_secs()
        ),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            format!("this machine's network does not lead there ({error})")
        }
        _ => return None,
    })
}

/// How to make a certificate trusted. The variables are those of rustls-native-certs.
const TRUST: &str = "name the certificate of its authority in SSL_CERT_FILE";

fn of_tls(error: &rustls::Error, host: &str) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => of_certificate(why, host),
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS there; is that the port for https?".to_owned()
        }
        rustls::Error::AlertReceived(alert) => format!("it refused to speak TLS ({alert:?})"),
        rustls::Error::PeerIncompatible(_) => {
            "it speaks no version of TLS, or no cipher, that vigil does (1.2 and 1.3)".to_owned()
        }
        other => words::short(&format!("TLS came to nothing ({other})")),
    }
}

fn of_certificate(why: &CertificateError, host: &str) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            format!("its certificate comes from an authority that is not trusted here; {TRUST}")
        }
        CertificateError::NotValidForName => {
            format!("its certificate is for another name than {host}")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            match names.as_slice() {
                [] => format!("its certificate is for no name at all, and not for {host}"),
                names => format!(
                    "its certificate is for {}, and not for {host}",
                    words::short(&names.join(", "))
                ),
            }
        }
        CertificateError::Expired => {
            "its certificate ran out; check this machine's clock, too".to_owned()
        }
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "its certificate ran out at {}; check this machine's clock, too",
            moment(not_after.as_secs())
        ),
        CertificateError::NotValidYet => {
            "its certificate is not valid yet; check this machine's clock".to_owned()
        }
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "its certificate is not valid before {}; check this machine's clock",
            moment(not_before.as_secs())
        ),
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        // What an `openssl req -x509` makes with its defaults. The verifier has no case of its own for it.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            format!(
                "its certificate is that of an authority, which signs for servers and is none; \
                 give it one for {host} that an authority signed, and {TRUST}"
            )
        }
        other => words::short(&format!("its certificate cannot be used ({other})")),
    }
}

/// A name as it stands in a certificate. The library writes `DnsName("github.com")` and `IpAddress(127.0.0.1)`.
fn bare(name: &str) -> &str {
    name.split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .map_or(name, |inner| inner.trim_matches('"'))
}

/// Seconds since the epoch, for people.
fn moment(seconds: u64) -> String {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(
        || format!("{seconds} s after 1970"),
        |time| time.to_string(),
    )
}

/// The system's resolver, whose failure says which name it was.
#[derive(Clone)]
pub(super) struct Resolver(pub(super) GaiResolver);

/// A name without an address.
#[derive(Debug)]
pub(super) struct NotResolved {
    name: String,
    cause: io::Error,
}

impl fmt::Display for NotResolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.cause)
    }
}

impl Error for NotResolved {}

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = NotResolved;
    type Future = Pin<Box<dyn Future<Output = Result<GaiAddrs, NotResolved>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NotResolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let text = name.as_str().to_owned();
        let found = self.0.call(name);
        Box::pin(async move {
            found
                .await
                .map_err(|cause| NotResolved { name: text, cause })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_is_for_people_and_the_librarys_words_are_for_the_log() {
        for (kind, sentence) in [
            (io::ErrorKind::ConnectionRefused, "nothing listens there"),
            (io::ErrorKind::TimedOut, "nobody answered within 5 s"),
            (io::ErrorKind::HostUnreachable, "does not lead there"),
            (io::ErrorKind::NetworkUnreachable, "does not lead there"),
            // What nobody foresaw is told as it came.
            (io::ErrorKind::AddrNotAvailable, "the library's\u{7} words"),
        ] {
            let behind = NoWay::tcp(io::Error::new(kind, "the library's\u{7} words"));
            let error = NoWay::behind("the proxy gave no way", behind.into());
            let told = said(&error);
            assert!(told.starts_with("the proxy gave no way: "), "{told}");
            let sentence = words::short(sentence);
            assert!(told.contains(&sentence), "{kind:?}: {told}");
            assert_eq!(whole(&error), "the library's  words");
        }
    }

    #[test]
    fn a_moment_and_a_name_are_shown_as_people_write_them() {
        assert_eq!(moment(1_609_459_200), "2021-01-01T00:00:00Z");
        assert_eq!(moment(u64::MAX), "18446744073709551615 s after 1970");
        for (written, shown) in [
            ("DnsName(\"*.github.com\")", "*.github.com"),
            ("IpAddress(127.0.0.1)", "127.0.0.1"),
            ("something else", "something else"),
        ] {
            assert_eq!(bare(written), shown);
        }
    }
}
