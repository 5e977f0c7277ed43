//! What the configuration says about webhooks.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::uri::Authority;
use serde::{Deserialize, Serialize};

use super::keyring::Keyring;
use crate::config::{Span, Wrong, is_variable};
use crate::environment::Environment;
use crate::failure::Failure;

/// `[webhooks]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksConfig {
    /// The environment variable that holds the secret, or several in lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// A file that holds the secret, or several in lines. Others may not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// Names under which GitHub reaches vigil, besides those of loopback and the address that is listened on.
    pub hosts: Vec<String>,
    /// How often GitHub is asked about everything although no webhook came.
    pub resync: Span,
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        WebhooksConfig {
            secret_env: None,
            secret_file: None,
            hosts: Vec::new(),
            // 15 min: GitHub does not repeat a delivery that was lost, and nobody should wait longer for a merged pull
            // request than the longest back-off would make them.
            resync: Span::minutes(15),
        }
    }
}

/// What the server goes by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The secrets that are valid at present.
    pub secrets: Keyring,
    /// Hosts under which requests are answered, in lower case, without a port.
    pub hosts: BTreeSet<String>,
    /// Bounds on what others may take of this machine.
    pub limits: Limits,
}

/// Bounds on what others may take of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest body. GitHub sends none over 25 MB.
    pub body_bytes_max: usize,
    /// All bodies that are being read, together. A body counts before it is known to be genuine.
    pub held_bytes_max: usize,
    /// Connections at once; the next one takes the place of the slowest.
    pub connections_max: usize,
    /// The same from one address. Behind a proxy all come from one.
    pub connections_per_address_max: usize,
    /// How long a request's head may take.
    pub head_deadline: Duration,
    /// How long a request's body may take.
    pub body_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes_max: 25 * 1024 * 1024,
            held_bytes_max: 64 * 1024 * 1024,
            // A quarter of the descriptors that a process commonly has.
            connections_max: 256,
            connections_per_address_max: 128,
            // GitHub gives up after 10 s, so nobody who is still sending then is GitHub.
            head_deadline: Duration::from_secs(10),
            body_deadline: Duration::from_secs(10),
        }
    }
}

impl WebhooksConfig {
    /// What the server goes by when it listens on `address`.
    ///
    /// # Errors
    /// There is no secret, or it cannot be read.
    pub fn settings(
        &self,
        address: SocketAddr,
        environment: &Environment,
    ) -> Result<Settings, Failure> {
        Ok(Settings {
            secrets: self.secrets(environment)?,
            hosts: self.hosts(address),
            limits: Limits::default(),
        })
    }

    /// What stands in the file alone and can mean nothing: what, where, and what to do about it.
    pub(crate) fn check(&self) -> Result<(), Wrong> {
        if let Some(name) = self.hosts.iter().find(|name| named(name).is_none()) {
            // With an @ in it, it may hold a password.
            let shown = if name.contains('@') { "[...]" } else { name };
            return Err((
                format!("webhooks.hosts has \"{shown}\", which is no host"),
                "write names such as vigil.example.org, without scheme, path and *",
            ));
        }
        if let Some(name) = &self.secret_env
            && !is_variable(name)
        {
            return Err((
                "webhooks.secret_env is no variable's name".to_owned(),
                "name the variable that holds the secret, as in VIGIL_WEBHOOK_SECRET; the secret itself stands nowhere in this file",
            ));
        }
        if self.secret_file.as_deref() == Some(Path::new("")) {
            return Err((
                "webhooks.secret_file is empty".to_owned(),
                "name the file that holds the webhook's secret, or leave it out",
            ));
        }
        Ok(())
    }

    /// The secrets that are valid at present.
    ///
    /// # Errors
    /// There is none, or one cannot be read.
    pub(crate) fn secrets(&self, environment: &Environment) -> Result<Keyring, Failure> {
        Keyring::read(self, environment)?.ok_or_else(|| {
            Failure::request("--listen needs the webhook's secret, or anybody could wake vigil").hint(
                "set secret_env (the name of a variable) or secret_file (a path) in [webhooks], \
                 and the same secret in the webhook's settings on GitHub",
            )
        })
    }

    /// Every host under which requests are answered. Configured ones that are none are left out; [`Self::check`] names
    /// them.
    fn hosts(&self, address: SocketAddr) -> BTreeSet<String> {
        let mut hosts: BTreeSet<String> = ["localhost", "127.0.0.1", "[::1]"]
            .map(str::to_owned)
            .into();
        if !address.ip().is_unspecified() {
            hosts.insert(bare(address.ip()));
        }
        hosts.extend(self.hosts.iter().filter_map(|name| named(name)));
        hosts
    }
}

/// The host of a configured name; `None`: no request can name it.
fn named(text: &str) -> Option<String> {
    host_of(text).filter(|host| !host.contains('*'))
}

/// An address as it stands in a `Host` header.
fn bare(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The host of `host` or `host:port`, in lower case and without the root's dot; `None`: it is neither.
pub(super) fn host_of(text: &str) -> Option<String> {
    let authority = Authority::try_from(text).ok()?;
    let host = authority.host().trim_end_matches('.');
    // A name with a user before it is no host, and who sends one is up to something.
    (!host.is_empty() && !text.contains('@')).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const SECRET: &str = "correct horse battery staple";

    #[test]
    fn without_a_secret_nobody_listens() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 8737));
        let settings = WebhooksConfig::default().settings(address, &Environment::default());
        let failure = settings.expect_err("refused");
        let hint = failure.hints().join(" ");
        assert!(
            hint.contains("secret_env") && hint.contains("secret_file"),
            "{hint}"
        );
    }

    #[test]
    fn hosts_are_loopback_the_address_and_the_configured_ones() {
        let config = WebhooksConfig {
            hosts: vec!["Vigil.Example.org:8443".to_owned()],
            ..WebhooksConfig::default()
        };
        for (address, own) in [
            ("10.1.2.3:80", Some("10.1.2.3")),
            ("[fd00::1]:80", Some("[fd00::1]")),
            ("0.0.0.0:80", None),
        ] {
            let hosts = config.hosts(address.parse().expect("an address"));
            let mut expected: BTreeSet<String> =
                ["localhost", "127.0.0.1", "[::1]", "vigil.example.org"]
                    .map(str::to_owned)
                    .into();
            expected.extend(own.map(str::to_owned));
            assert_eq!(hosts, expected, "{address}");
        }
    }

    #[test]
    fn what_can_mean_nothing_is_named_and_no_secret_is_shown() {
        let wrong = |config: WebhooksConfig| config.check().expect_err("refused").0;
        for host in [
            "",
            "https://example.org",
            "example.org/hooks",
            "a b",
            "*.example.org",
        ] {
            let said = wrong(WebhooksConfig {
                hosts: vec![host.to_owned()],
                ..WebhooksConfig::default()
            });
            assert!(
                said.contains("webhooks.hosts has") && said.contains(host),
                "{said}"
            );
        }
        for secret in [SECRET, "", "A=B", "ghp_correctHorse", "3f2a"] {
            let said = wrong(WebhooksConfig {
                secret_env: Some(secret.to_owned()),
                ..WebhooksConfig::default()
            });
            assert_eq!(said, "webhooks.secret_env is no variable's name");
        }
    }

    #[test]
    fn a_host_is_read_as_it_stands_in_a_header() {
        for (text, host) in [
            ("localhost", Some("localhost")),
            ("LOCALHOST:8080", Some("localhost")),
            ("localhost.", Some("localhost")),
            ("[::1]:80", Some("[::1]")),
            ("localhost@evil.example", None),
            ("localhost/", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(host_of(text).as_deref(), host, "{text:?}");
        }
    }
}
