//! What the configuration says about webhooks, and where the secrets come from.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::uri::Authority;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::signature::Secrets;
use crate::config::Span;
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
    pub secrets: Secrets,
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
    /// Connections at once; the next one waits in the kernel's queue.
    pub connections_max: usize,
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
            connections_max: 64,
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
    /// There is no secret, it cannot be read, others can read its file, or a host is no name.
    pub fn settings(
        &self,
        address: SocketAddr,
        environment: &Environment,
    ) -> Result<Settings, Failure> {
        Ok(Settings {
            secrets: self.secrets(environment)?,
            hosts: self.hosts(address)?,
            limits: Limits::default(),
        })
    }

    fn secrets(&self, environment: &Environment) -> Result<Secrets, Failure> {
        let from_env = self
            .secret_env
            .as_deref()
            .map(|name| from_env(name, environment));
        let from_file = self.secret_file.as_deref().map(from_file);
        match (from_env.transpose()?, from_file.transpose()?) {
            (Some(one), Some(other)) => Ok(one.and(other)),
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => Err(Failure::request(
                "--listen needs the webhook's secret, or anybody could wake vigil",
            )
            .hint(
                "set secret_env (the name of a variable) or secret_file (a path) in [webhooks], \
                 and the same secret in the webhook's settings on GitHub",
            )),
        }
    }

    fn hosts(&self, address: SocketAddr) -> Result<BTreeSet<String>, Failure> {
        let mut hosts: BTreeSet<String> = ["localhost", "127.0.0.1", "[::1]"]
            .map(str::to_owned)
            .into();
        if !address.ip().is_unspecified() {
            hosts.insert(bare(address.ip()));
        }
        for name in &self.hosts {
            hosts.insert(host_of(name).ok_or_else(|| {
                Failure::request(format!("webhooks.hosts has \"{name}\", which is no host"))
                    .hint("write names such as vigil.example.org, without scheme and path")
            })?);
        }
        Ok(hosts)
    }
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

fn from_env(name: &str, environment: &Environment) -> Result<Secrets, Failure> {
    let value = environment.named(name).map(SecretString::from);
    value
        .and_then(|value| Secrets::parse(value.expose_secret()))
        .ok_or_else(|| {
            Failure::request(format!(
                "webhooks.secret_env names {name}, which is not set or empty"
            ))
            .hint(format!(
                "export {name} with the webhook's secret before vigil starts"
            ))
        })
}

/// A secret is a line; more than this is another file.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

fn from_file(path: &Path) -> Result<Secrets, Failure> {
    let failed = |error: std::io::Error| {
        Failure::request(format!(
            "failed to read webhooks.secret_file {}",
            path.display()
        ))
        .because(error)
        .hint("name a file that holds the webhook's secret and that vigil may read")
    };
    let file = File::open(path).map_err(failed)?;
    // The open file is asked, and not the path: nothing can come between the look and the reading.
    let meta = file.metadata().map_err(failed)?;
    let refused = |why: &str, hint: String| {
        Err(Failure::request(format!("webhooks.secret_file {} {why}", path.display())).hint(hint))
    };
    if !meta.is_file() {
        return refused("is no file", "name the file itself".to_owned());
    }
    let mode = meta.permissions().mode();
    if mode & 0o007 != 0 {
        return refused(
            &format!("is open to everybody (mode {:o})", mode & 0o777),
            format!("chmod o= {}", path.display()),
        );
    }
    let mut text = String::new();
    file.take(SECRET_FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > SECRET_FILE_BYTES_MAX {
        return refused(
            "is longer than 64 KiB",
            "a secret is one line; name the file that holds it".to_owned(),
        );
    }
    let text = SecretString::from(text);
    match Secrets::parse(text.expose_secret()) {
        Some(secrets) => Ok(secrets),
        None => refused(
            "is empty",
            "write the webhook's secret into it, one line for each that is valid".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::net::Ipv4Addr;

    use super::*;

    const SECRET: &str = "correct horse battery staple";

    fn settings(config: &WebhooksConfig) -> Result<Settings, String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 8737));
        let environment = Environment::default()
            .with("GH_TOKEN", format!("{SECRET}\nolder"))
            .with("GITHUB_TOKEN", "");
        config
            .settings(address, &environment)
            .map_err(|failure| format!("{failure} {}", failure.hints().join(" ")))
    }

    #[track_caller]
    fn refused(config: &WebhooksConfig, words: &[&str]) {
        let error = settings(config).expect_err("refused");
        for word in words {
            assert!(error.contains(word), "{word} is not in: {error}");
        }
        assert!(!error.contains(SECRET), "{error}");
    }

    #[test]
    fn without_a_secret_nobody_listens() {
        refused(&WebhooksConfig::default(), &["secret_env", "secret_file"]);
    }

    #[test]
    fn a_variable_that_is_missing_or_empty_is_named() {
        for name in ["GITHUB_TOKEN", "VIGIL_NO_SUCH_SECRET", "", "A=B"] {
            let config = WebhooksConfig {
                secret_env: Some(name.to_owned()),
                ..WebhooksConfig::default()
            };
            refused(&config, &[name, "not set"]);
        }
    }

    #[test]
    fn a_file_is_read_unless_everybody_may_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        std::fs::write(&path, format!("{SECRET}\n")).expect("a file");
        let config = WebhooksConfig {
            secret_file: Some(path.clone()),
            ..WebhooksConfig::default()
        };
        for (mode, fine) in [
            (0o600, true),
            (0o640, true),
            (0o400, true),
            (0o644, false),
            (0o602, false),
        ] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
            if fine {
                assert!(settings(&config).is_ok(), "{mode:o}");
            } else {
                refused(&config, &["secret", "open to everybody", "chmod"]);
            }
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a mode");
        for (content, word) in [
            ("\n \n".to_owned(), "empty"),
            ("x".repeat(70_000), "64 KiB"),
        ] {
            std::fs::write(&path, content).expect("a file");
            refused(&config, &[word]);
        }
        let missing = WebhooksConfig {
            secret_file: Some(folder.path().join("gone")),
            ..WebhooksConfig::default()
        };
        refused(&missing, &["gone", "No such file"]);
        let no_file = WebhooksConfig {
            secret_file: Some(folder.path().to_owned()),
            ..WebhooksConfig::default()
        };
        refused(&no_file, &["no file"]);
    }

    #[test]
    fn variable_and_file_are_both_valid() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        std::fs::write(&path, "third").expect("a file");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a mode");
        let config = WebhooksConfig {
            secret_env: Some("GH_TOKEN".to_owned()),
            secret_file: Some(path),
            ..WebhooksConfig::default()
        };
        let shown = format!("{:?}", settings(&config).expect("settings"));
        assert!(
            shown.contains("Secrets(3)") && !shown.contains(SECRET),
            "{shown}"
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
            assert_eq!(hosts.expect("hosts"), expected, "{address}");
        }
        for wrong in ["", "https://example.org", "example.org/hooks", "a b"] {
            let config = WebhooksConfig {
                hosts: vec![wrong.to_owned()],
                secret_env: Some("GH_TOKEN".to_owned()),
                ..WebhooksConfig::default()
            };
            refused(&config, &["webhooks.hosts", "no host"]);
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
