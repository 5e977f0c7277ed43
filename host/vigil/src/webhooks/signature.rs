//! Whether a delivery comes from who knows the secret: HMAC-SHA256 over the raw bytes, compared in constant time.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What the header `X-Hub-Signature-256` begins with; GitHub's documentation of webhooks.
const SCHEME: &str = "sha256=";

/// The secrets that are valid at present. More than one while a secret is being replaced by another.
#[derive(Clone)]
pub struct Secrets {
    /// Each ready to be fed with a body; the text that it was made from is not kept.
    keyed: Vec<Hmac<Sha256>>,
}

impl Secrets {
    /// One secret for each line of `text` that isn't blank, without the blanks around it. `None`: there is none.
    pub fn parse(text: &str) -> Option<Secrets> {
        let keyed = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| Hmac::new_from_slice(line.as_bytes()).ok())
            .collect::<Option<Vec<_>>>()?;
        (!keyed.is_empty()).then_some(Secrets { keyed })
    }

    /// These and `others`; a delivery that any of them signed is genuine.
    pub fn and(mut self, others: Secrets) -> Secrets {
        self.keyed.extend(others.keyed);
        self
    }

    /// Whether `signature`, the value of `X-Hub-Signature-256`, was made over `body` with one of the secrets. Takes
    /// the same time whatever the signature's digits are and whichever secret it was.
    pub fn verify(&self, body: &[u8], signature: &str) -> bool {
        let Some(claimed) = signature
            .strip_prefix(SCHEME)
            .and_then(|digits| hex::decode(digits).ok())
        else {
            return false;
        };
        // All of them are tried: an early end would tell which one it was.
        self.keyed.iter().fold(false, |found, keyed| {
            let mut mac = keyed.clone();
            mac.update(body);
            mac.verify_slice(&claimed).is_ok() | found
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.keyed.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's documentation: this secret over this body gives this signature.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str =
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn check(secrets: &str, body: &[u8], signature: &str) -> bool {
        Secrets::parse(secrets)
            .expect("secrets")
            .verify(body, signature)
    }

    #[test]
    fn githubs_own_example_is_genuine() {
        assert!(check(SECRET, BODY, SIGNATURE));
    }

    #[test]
    fn any_of_several_secrets_will_do() {
        for secrets in [
            format!("new\n{SECRET}\n"),
            format!("{SECRET}\r\n\r\n  new  \n"),
        ] {
            assert!(check(&secrets, BODY, SIGNATURE), "{secrets:?}");
        }
        let both = Secrets::parse("new")
            .expect("a secret")
            .and(Secrets::parse(SECRET).expect("a secret"));
        assert!(both.verify(BODY, SIGNATURE));
    }

    #[test]
    fn everything_else_is_forged() {
        let digits = SIGNATURE.strip_prefix(SCHEME).expect("the scheme");
        let mut flipped = SIGNATURE.to_owned();
        flipped.replace_range(70..71, if flipped.ends_with('0') { "1" } else { "0" });
        let odd = &SIGNATURE[..SIGNATURE.len() - 1];
        let short = &SIGNATURE[..SIGNATURE.len() - 2];
        for signature in [
            "",
            "sha256=",
            digits,
            odd,
            short,
            &flipped,
            &format!("{SIGNATURE}00"),
            &format!("sha1={digits}"),
            "sha256=zz7107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ] {
            assert!(!check(SECRET, BODY, signature), "{signature}");
        }
        assert!(!check("another", BODY, SIGNATURE));
        assert!(!check(SECRET, b"Hello, World?", SIGNATURE));
    }

    #[test]
    fn blank_lines_are_no_secret_and_none_is_shown() {
        assert!(Secrets::parse("").is_none());
        assert!(Secrets::parse(" \n\r\n").is_none());
        let shown = format!("{:?}", Secrets::parse("one\ntwo"));
        assert_eq!(shown, "Some(Secrets(2))");
    }
}
