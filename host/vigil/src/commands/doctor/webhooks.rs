//! What `vigil doctor` finds out about being woken by GitHub: secret, names, and whether an address can be had.

use std::io;
use std::net::{SocketAddr, TcpListener};

use vigil_store::DaemonLock;

use super::{Finding, bad, good, note};
use crate::webhooks::{Keyring, WebhooksConfig};
use crate::wiring::Setup;

/// What a finding is about.
const WHAT: &str = "webhooks";

/// Looks at the configuration, where it says anything, and at `listen`, where somebody wants to know of it.
pub(super) fn look(setup: &Setup, listen: Option<SocketAddr>) -> Vec<Finding> {
    let config = &setup.config.webhooks;
    if listen.is_none() && *config == WebhooksConfig::default() {
        return Vec::new();
    }
    let mut findings = vec![secret(setup, listen.is_some())];
    if let Some(address) = listen {
        findings.extend(where_to(setup, address));
    }
    if config.hosts.is_empty() {
        findings.push(note(
            WHAT,
            "requests are answered under loopback's names and the address itself alone",
            "name in webhooks.hosts what GitHub, or the proxy before vigil, calls it",
        ));
    } else {
        findings.push(good(
            WHAT,
            format!("reached as {}", config.hosts.join(", ")),
        ));
    }
    findings
}

fn secret(setup: &Setup, is_needed: bool) -> Finding {
    let config = &setup.config.webhooks;
    match Keyring::read(config, &setup.environment) {
        Ok(Some(_)) => {
            let file = config.secret_file.as_ref();
            let places = [
                config.secret_env.clone(),
                file.map(|path| path.display().to_string()),
            ];
            let places: Vec<String> = places.into_iter().flatten().collect();
            good(WHAT, format!("secret from {}", places.join(" and ")))
        }
        Ok(None) => {
            let told = "there is no secret, so that --listen is refused";
            let hint = "set webhooks.secret_file or webhooks.secret_env";
            match is_needed {
                true => bad(WHAT, told, hint),
                false => note(WHAT, told, hint),
            }
        }
        Err(failure) => bad(WHAT, failure.to_string(), failure.hints().join("; ")),
    }
}

/// Takes the address and gives it back at once.
fn where_to(setup: &Setup, address: SocketAddr) -> Vec<Finding> {
    let mut findings = vec![match TcpListener::bind(address) {
        Ok(_) => good(WHAT, format!("{address} can be listened on")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let dir = &setup.environment.state_dir;
            let told = format!("{address} is in use");
            match DaemonLock::holder(dir) {
                // It may be its own, and nobody else can tell.
                Some(pid) if matches!(DaemonLock::try_take(dir), Ok(None)) => note(
                    WHAT,
                    told,
                    format!("the daemon that runs, pid {pid}, may be the one that listens there"),
                ),
                _ => bad(WHAT, told, "choose another port, or port 0"),
            }
        }
        Err(error) => bad(
            WHAT,
            format!("{address} cannot be listened on: {error}"),
            "give an address of this machine, such as 127.0.0.1:8737, and a port above 1023",
        ),
    }];
    if !address.ip().is_loopback() {
        findings.push(note(
            WHAT,
            format!("{address} takes webhooks from other machines, and unencrypted"),
            "listen on 127.0.0.1, with a proxy before it that ends TLS",
        ));
    }
    findings
}
