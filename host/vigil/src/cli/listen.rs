//! Where to listen, as people write it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where to listen when nobody says where: only this machine reaches it.
pub(super) const DEFAULT: &str = "127.0.0.1:8737";

/// An address of this machine with a port. `localhost` is loopback by RFC 6761, section 6.3, so that nobody is asked for
/// it; another name would have to be resolved, and may lead to several addresses or to another machine.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let say = |what: &str, instead: &str| Err(format!("{what}; write {instead}"));
    let port = |text: &str| text.parse::<u16>().ok();
    if let Some(port) = port(text.strip_prefix(':').unwrap_or(text)) {
        return say("it names a port alone", &format!("127.0.0.1:{port}"));
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return say(
            "it names no port",
            &SocketAddr::from((ip, 8737)).to_string(),
        );
    }
    if text.contains("://") || text.contains('/') {
        return say(
            "it is no plain address",
            "127.0.0.1:8737, without scheme and path",
        );
    }
    match text.rsplit_once(':') {
        None if text.eq_ignore_ascii_case("localhost") => say("it names no port", "localhost:8737"),
        Some((host, number)) => match port(number) {
            Some(port) if host.eq_ignore_ascii_case("localhost") => {
                Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            }
            Some(port) => say(
                "it is no address of this machine",
                &format!(
                    "127.0.0.1:{port}; names under which GitHub reaches it belong into webhooks.hosts"
                ),
            ),
            None => say(
                "its port is none",
                "127.0.0.1:8737, with a port up to 65535",
            ),
        },
        None => say("it is no address with a port", "127.0.0.1:8737"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_taken_by_its_name_and_other_things_bring_a_hint() {
        for (text, taken) in [
            ("127.0.0.1:8737", "127.0.0.1:8737"),
            ("[::1]:0", "[::1]:0"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("localhost:8737", "127.0.0.1:8737"),
            ("LocalHost:0", "127.0.0.1:0"),
        ] {
            assert_eq!(
                address(text).map(|at| at.to_string()),
                Ok(taken.to_owned()),
                "{text}"
            );
        }
        for (text, hint) in [
            ("8737", "write 127.0.0.1:8737"),
            (":8737", "write 127.0.0.1:8737"),
            (":0", "write 127.0.0.1:0"),
            ("localhost", "write localhost:8737"),
            ("127.0.0.1", "write 127.0.0.1:8737"),
            ("::1", "write [::1]:8737"),
            ("[::1]", "write [::1]:8737"),
            ("localhost:99999", "a port up to 65535"),
            ("127.0.0.1:99999", "a port up to 65535"),
            ("vigil.example.org:8737", "webhooks.hosts"),
            ("http://127.0.0.1:8737", "without scheme"),
            ("", "write 127.0.0.1:8737"),
            ("99999", "write 127.0.0.1:8737"),
        ] {
            let said = address(text).expect_err(text);
            assert!(said.contains(hint), "{text}: {said}");
        }
    }
}
