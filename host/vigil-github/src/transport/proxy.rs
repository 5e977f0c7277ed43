//! The proxies that the ecosystem's variables name. A name and password in one of them are shown nowhere.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use secrecy::{ExposeSecret, SecretString};

use super::NetworkError;
use crate::words;

/// Where SOCKS listens, where an address names no port: RFC 1928.
const SOCKS_PORT: u16 = 1080;

/// A variable that names a proxy, as the caller read it.
#[derive(Clone, Debug)]
pub struct ProxyVariable {
    /// Its name, for errors.
    pub name: String,
    /// Its value, such as `http://user:password@proxy.example:3128`. Without a scheme it speaks HTTP.
    pub value: SecretString,
}

/// Which proxy each address is reached through. [`Default`]: none.
///
/// The rules are curl's, as hyper-util reads them: `https` for https addresses and `http` for http ones, `all` for what
/// has none of its own; hosts in `no` are reached without one.
#[derive(Clone, Default)]
pub struct Proxies {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    matcher: Matcher,
    /// Entries of the list of hosts without a proxy that fit no host.
    idle: Vec<String>,
    /// The variables that count for https and http addresses.
    https: Option<String>,
    http: Option<String>,
}

/// One proxy, and how to speak with it.
#[derive(Clone)]
pub(super) struct Proxy {
    /// The variable that named it.
    pub(super) variable: String,
    /// Without name and password; always with a port.
    pub(super) uri: Uri,
    pub(super) speaks: Speaks,
}

/// What a proxy is spoken to in.
#[derive(Clone)]
pub(super) enum Speaks {
    /// HTTP, with what `Proxy-Authorization` is to say.
    Http(Option<HeaderValue>),
    /// SOCKS 5, with name and password.
    Socks(Option<(String, SecretString)>),
}

impl Proxies {
    /// From the variables for https addresses, for http ones and for both, and the list of hosts without a proxy:
    /// names with all below them, with or without `*.` or a dot before them, addresses, networks such as `10.0.0.0/8`,
    /// and `*`, separated by commas or spaces. What is none of these fits no host, as with curl; see
    /// [`Proxies::idle`].
    ///
    /// # Errors
    /// A variable that names no proxy that can be spoken to. Going without it would send a token where nobody wants it.
    pub fn new(
        https: Option<ProxyVariable>,
        http: Option<ProxyVariable>,
        all: Option<ProxyVariable>,
        no: Option<&str>,
    ) -> Result<Self, NetworkError> {
        for variable in [&https, &http, &all].into_iter().flatten() {
            check(variable)?;
        }
        if https.is_none() && http.is_none() && all.is_none() {
            return Ok(Proxies::default());
        }
        let value = |variable: &Option<ProxyVariable>| {
            variable
                .as_ref()
                .map_or_else(String::new, |variable| trimmed(variable).to_owned())
        };
        let (without, idle): (Vec<&str>, Vec<&str>) = no
            .unwrap_or_default()
            .split(|c: char| c == ',' || c.is_ascii_whitespace())
            .filter(|part| !part.is_empty())
            .map(plain)
            .partition(|part| may_fit(part));
        let matcher = Matcher::builder()
            .https(value(&https))
            .http(value(&http))
            .all(value(&all))
            .no(without.join(","))
            .build();
        let name = |variable: Option<ProxyVariable>| variable.map(|variable| variable.name);
        let all = name(all);
        Ok(Proxies {
            inner: Some(Arc::new(Inner {
                matcher,
                idle: idle.into_iter().map(words::short).collect(),
                https: name(https).or_else(|| all.clone()),
                http: name(http).or(all),
            })),
        })
    }

    /// Entries of the list of hosts without a proxy that can fit no host, such as addresses with a scheme or a port:
    /// where one was meant to keep a host away from the proxy, it does not. Empty without a proxy.
    pub fn idle(&self) -> &[String] {
        self.inner.as_ref().map_or(&[], |inner| &inner.idle)
    }

    /// The proxy that `uri` is reached through; `None`: it is reached directly, as this machine always is without TLS:
    /// only here does a token travel in the clear, and a proxy may be anywhere.
    pub(super) fn of(&self, uri: &Uri) -> Option<Proxy> {
        let inner = self.inner.as_ref()?;
        if uri.scheme_str() == Some("http") && uri.host().is_some_and(is_this_machine) {
            return None;
        }
        let found = inner.matcher.intercept(uri)?;
        let variable = match uri.scheme_str() {
            Some("https") => &inner.https,
            _ => &inner.http,
        };
        Some(Proxy {
            variable: variable.clone().unwrap_or_default(),
            speaks: speaks(&found),
            uri: with_port(found.uri())?,
        })
    }

    /// The variable that decides how `uri` is reached, and the proxy's host with its port, for people; `None`: it is
    /// reached directly.
    pub fn describe(&self, uri: &Uri) -> Option<(String, String)> {
        let proxy = self.of(uri)?;
        Some((proxy.variable.clone(), proxy.address().to_owned()))
    }
}

impl Proxy {
    /// Its host and port.
    pub(super) fn address(&self) -> &str {
        self.uri.authority().map_or("", |at| at.as_str())
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            None => f.write_str("Proxies(none)"),
            Some(inner) => f
                .debug_struct("Proxies")
                .field("https", &inner.https)
                .field("http", &inner.http)
                .finish(),
        }
    }
}

/// Whether `host`, as it stands in an address, is loopback by its name or its number.
pub fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let bare_ip = || bare.parse::<IpAddr>();
    bare.eq_ignore_ascii_case("localhost") || bare_ip().is_ok_and(|address| address.is_loopback())
}

fn trimmed(variable: &ProxyVariable) -> &str {
    variable.value.expose_secret().trim()
}

/// The matcher passes over what it does not understand, and goes without a proxy then.
fn check(variable: &ProxyVariable) -> Result<(), NetworkError> {
    let bad = |why| NetworkError::Proxy {
        variable: variable.name.clone(),
        why,
    };
    let uri: Uri = trimmed(variable)
        .parse()
        .map_err(|_| bad("is no address of a proxy"))?;
    match uri.scheme_str() {
        None | Some("http" | "https" | "socks5" | "socks5h") => {}
        Some(_) => {
            return Err(bad(
                "names a proxy that speaks neither http, https, socks5 nor socks5h",
            ));
        }
    }
    let Some(authority) = uri.authority() else {
        return Err(bad("names no host"));
    };
    if authority.host().is_empty() {
        return Err(bad("names no host"));
    }
    // What is no port is passed over by the parser, and the scheme's usual one would be taken instead.
    let at = authority.as_str();
    let at = at.rsplit_once('@').map_or(at, |(_, host)| host);
    match at.strip_prefix(authority.host()) {
        Some("") => Ok(()),
        Some(port) if port[1..].parse().is_ok_and(|port: u16| port > 0) => Ok(()),
        _ => Err(bad(
            "has something else than a port from 1 to 65535 behind its host",
        )),
    }
}

/// An entry of the list of hosts without a proxy as the matcher understands it: programs differ in whether `*.` may
/// stand before a name, and brackets around an address, and nobody means anything else by them.
fn plain(entry: &str) -> &str {
    let entry = entry
        .strip_prefix('*')
        .filter(|rest| rest.starts_with('.'))
        .unwrap_or(entry);
    entry
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(entry)
}

/// Whether an entry of that list is a name, an address, a network or `*`.
fn may_fit(entry: &str) -> bool {
    if let Some((address, bits)) = entry.split_once('/') {
        let (Ok(address), Ok(bits)) = (address.parse::<IpAddr>(), bits.parse::<u8>()) else {
            return false;
        };
        return bits <= if address.is_ipv4() { 32 } else { 128 };
    }
    let is_name = || {
        let name = entry.strip_prefix('.').unwrap_or(entry);
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    entry == "*" || entry.parse::<IpAddr>().is_ok() || is_name()
}

fn speaks(found: &Intercept) -> Speaks {
    match found.uri().scheme_str() {
        Some("socks5" | "socks5h") => Speaks::Socks(
            found
                .raw_auth()
                .map(|(user, password)| (user.to_owned(), SecretString::from(password.to_owned()))),
        ),
        _ => Speaks::Http(found.basic_auth().cloned()),
    }
}

/// The same address with the port that its scheme stands for.
fn with_port(uri: &Uri) -> Option<Uri> {
    if uri.port().is_some() {
        return Some(uri.clone());
    }
    let port = match uri.scheme_str() {
        Some("https") => 443,
        Some("http") => 80,
        _ => SOCKS_PORT,
    };
    Uri::builder()
        .scheme(uri.scheme_str()?)
        .authority(format!("{}:{port}", uri.host()?))
        .path_and_query("/")
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, value: &str) -> Option<ProxyVariable> {
        Some(ProxyVariable {
            name: name.to_owned(),
            value: SecretString::from(value.to_owned()),
        })
    }

    #[test]
    fn the_scheme_and_the_host_choose_the_proxy() {
        let proxies = Proxies::new(
            variable("HTTPS_PROXY", "secure.proxy.test:3128"),
            None,
            variable("ALL_PROXY", "socks5h://socks.test"),
            Some("direct.test, .below.test 10.0.0.0/8,192.168.1.7"),
        )
        .expect("proxies");
        let through = |address: &str| {
            let uri: Uri = address.parse().expect("an address");
            proxies.describe(&uri)
        };
        let via = |name: &str, at: &str| Some((name.to_owned(), at.to_owned()));
        let secure = via("HTTPS_PROXY", "secure.proxy.test:3128");
        for (address, expected) in [
            ("https://api.github.com/graphql", secure.clone()),
            (
                "http://api.github.com/",
                via("ALL_PROXY", "socks.test:1080"),
            ),
            ("http://127.0.0.1:8080/", None),
            ("http://[::1]:8080/", None),
            ("http://LocalHost/", None),
            ("https://127.0.0.1:8443/", secure.clone()),
            ("https://direct.test/", None),
            ("https://DIRECT.test:8443/", None),
            ("https://api.direct.test/", None),
            ("https://notdirect.test/", secure.clone()),
            ("https://a.below.test/", None),
            ("https://10.20.30.40/", None),
            ("https://11.20.30.40/", secure.clone()),
            ("https://192.168.1.7/", None),
            ("https://192.168.1.8/", secure.clone()),
        ] {
            assert_eq!(through(address), expected, "{address}");
        }
    }

    #[test]
    fn a_star_means_no_proxy_at_all() {
        let proxies = Proxies::new(
            variable("HTTPS_PROXY", "http://proxy.test"),
            None,
            None,
            Some("*"),
        )
        .expect("proxies");
        assert_eq!(proxies.describe(&Uri::from_static("https://a.test")), None);
    }

    #[test]
    fn what_names_no_proxy_is_an_error_that_does_not_show_it() {
        for value in [
            "",
            "http://",
            "ftp://me:hunter2@proxy.test",
            "socks4://me:hunter2@proxy.test",
            "http://me:hunter2@",
            "http://me:hunter2 @proxy.test",
            "http://me:hunter2@proxy.test:",
            "http://me:hunter2@proxy.test:99999",
            "http://me:hunter2@proxy.test:0",
            "http://me:hunter2@proxy.test:80a",
            "http://me:hunter2@[::1]:99999",
            "proxy.test:99999",
            "socks5://proxy.test:http",
        ] {
            let error = Proxies::new(None, None, variable("ALL_PROXY", value), None)
                .expect_err(value)
                .to_string();
            assert!(error.starts_with("ALL_PROXY "), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_entry_that_fits_no_host_is_told_and_the_others_count() {
        let list = "10.0.0.0/33,http://a.test, b.test:8080 c.test/path,<local>,*.d.test,[::1]\t*e.test,f_1.test,::2";
        let proxies = Proxies::new(
            variable("HTTPS_PROXY", "proxy.test"),
            None,
            None,
            Some(list),
        )
        .expect("proxies");
        assert_eq!(
            proxies.idle(),
            [
                "10.0.0.0/33",
                "http://a.test",
                "b.test:8080",
                "c.test/path",
                "<local>",
                "*e.test"
            ]
        );
        for (address, direct) in [
            ("https://x.d.test/", true),
            ("https://[::1]/", true),
            ("https://[::2]:8443/", true),
            ("https://f_1.test/", true),
            ("https://a.test/", false),
            ("https://b.test:8080/", false),
            ("https://e.test/", false),
        ] {
            let uri: Uri = address.parse().expect("an address");
            assert_eq!(proxies.describe(&uri).is_none(), direct, "{address}");
        }
        // Without a proxy nobody needs to be kept away from it.
        let none = Proxies::new(None, None, None, Some(list)).expect("no proxies");
        assert!(none.idle().is_empty());
    }

    #[test]
    fn a_password_is_in_no_debug_text() {
        let proxies = Proxies::new(
            variable("HTTPS_PROXY", "http://me:hunter2@proxy.test"),
            None,
            None,
            None,
        )
        .expect("proxies");
        let uri = Uri::from_static("https://api.github.com");
        let shown = format!(
            "{proxies:?} {:?} {:?}",
            variable("HTTPS_PROXY", "http://me:hunter2@proxy.test"),
            proxies.describe(&uri)
        );
        assert!(shown.contains("proxy.test:80"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
