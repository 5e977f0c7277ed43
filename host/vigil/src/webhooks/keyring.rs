//! Where the webhook's secrets come from, and what is valid at present: a file that changes is read again while vigil
//! runs, so that a secret is replaced without a restart.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};
use vigil_github::{Stamp, secret_file};

use super::WebhooksConfig;
use super::signature::Secrets;
use crate::environment::Environment;
use crate::failure::Failure;

/// The secrets that are valid at present. Clones share what they read.
#[derive(Clone)]
pub struct Keyring {
    /// From the environment, which stays as it was when vigil started.
    fixed: Option<Secrets>,
    file: Option<Arc<SecretFile>>,
}

/// A file of secrets, one in each line.
struct SecretFile {
    path: PathBuf,
    held: Mutex<Held>,
}

/// What was read of a file.
struct Held {
    /// Of the file, as it was last looked at, whether it could be read then or not.
    stamp: Option<Stamp>,
    secrets: Secrets,
}

impl Keyring {
    /// With these secrets and no others.
    pub fn of(secrets: Secrets) -> Keyring {
        Keyring {
            fixed: Some(secrets),
            file: None,
        }
    }

    /// From the places that the configuration names. `None`: it names none.
    ///
    /// # Errors
    /// The variable is not set, or the file cannot be used.
    pub fn read(
        config: &WebhooksConfig,
        environment: &Environment,
    ) -> Result<Option<Keyring>, Failure> {
        let fixed = config
            .secret_env
            .as_deref()
            .map(|name| from_env(name, environment))
            .transpose()?;
        let file = config
            .secret_file
            .as_deref()
            .map(SecretFile::open)
            .transpose()?
            .map(Arc::new);
        Ok((fixed.is_some() || file.is_some()).then_some(Keyring { fixed, file }))
    }

    /// Whether `signature`, the value of `X-Hub-Signature-256`, was made over `body` with a secret that is valid now.
    pub fn verify(&self, body: &[u8], signature: &str) -> bool {
        // Both are tried: an early end would tell which one it was.
        let fixed = self
            .fixed
            .as_ref()
            .is_some_and(|secrets| secrets.verify(body, signature));
        let filed = self
            .file
            .as_ref()
            .is_some_and(|file| file.current().verify(body, signature));
        fixed | filed
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_ref().map(|file| file.held().secrets.clone());
        f.debug_struct("Keyring")
            .field("fixed", &self.fixed)
            .field("file", &file)
            .finish()
    }
}

impl SecretFile {
    fn open(path: &Path) -> Result<SecretFile, Failure> {
        let stamp = Stamp::of(path);
        let secrets = from_file(path)?;
        Ok(SecretFile {
            path: path.to_owned(),
            held: Mutex::new(Held { stamp, secrets }),
        })
    }

    /// The secrets, read again if the file changed. While it cannot be used the ones that were read last are valid: a
    /// slip of the hand must not shut GitHub out.
    fn current(&self) -> Secrets {
        let mut held = self.held();
        // Before the reading: what is written meanwhile is seen the next time.
        let stamp = Stamp::of(&self.path);
        if stamp != held.stamp {
            held.stamp = stamp;
            match from_file(&self.path) {
                Ok(secrets) => {
                    tracing::info!(path = %self.path.display(), "the webhook's secrets were read again");
                    held.secrets = secrets;
                }
                Err(failure) => {
                    tracing::warn!(%failure, "the webhook's secrets stay what they were");
                }
            }
        }
        held.secrets.clone()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

fn from_file(path: &Path) -> Result<Secrets, Failure> {
    let text = secret_file::read(path).map_err(|error| {
        let hint = error.hint();
        Failure::request("failed to read webhooks.secret_file")
            .because(error)
            .hint(hint)
    })?;
    Secrets::parse(text.expose_secret()).ok_or_else(|| {
        Failure::request(format!("webhooks.secret_file {} is empty", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Sha256;

    use super::*;

    const SECRET: &str = "correct horse battery staple";

    fn put(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).expect("a file");
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    }

    fn read(config: &WebhooksConfig) -> Result<Option<Keyring>, String> {
        let environment = Environment::default()
            .with("GH_TOKEN", format!("{SECRET}\nolder"))
            .with("GITHUB_TOKEN", "");
        Keyring::read(config, &environment)
            .map_err(|failure| format!("{failure} {}", failure.hints().join(" ")))
    }

    fn of_file(path: &Path) -> WebhooksConfig {
        WebhooksConfig {
            secret_file: Some(path.to_owned()),
            ..WebhooksConfig::default()
        }
    }

    fn takes(keyring: &Keyring, secret: &str) -> bool {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
        mac.update(b"body");
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        keyring.verify(b"body", &signature)
    }

    #[test]
    fn a_variable_that_is_missing_or_empty_is_named() {
        for name in ["GITHUB_TOKEN", "VIGIL_NO_SUCH_SECRET"] {
            let config = WebhooksConfig {
                secret_env: Some(name.to_owned()),
                ..WebhooksConfig::default()
            };
            let error = read(&config).expect_err("refused");
            assert!(error.contains(name) && error.contains("not set"), "{error}");
        }
        assert!(read(&WebhooksConfig::default()).is_ok_and(|keyring| keyring.is_none()));
    }

    #[test]
    fn a_file_has_to_follow_the_rule_of_secret_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        for (text, mode, word) in [
            (SECRET, 0o644, "run chmod o="),
            ("\n \n", 0o600, "is empty"),
        ] {
            put(&path, text, mode);
            let error = read(&of_file(&path)).expect_err("refused");
            for word in ["webhooks.secret_file", word] {
                assert!(error.contains(word), "{word} is not in: {error}");
            }
            assert!(!error.contains(SECRET), "{error}");
        }
        let error = read(&of_file(&folder.path().join("gone"))).expect_err("refused");
        assert!(error.contains("gone cannot be read"), "{error}");
    }

    #[test]
    fn variable_and_file_are_both_valid_and_shown_nowhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        put(&path, "third", 0o600);
        let config = WebhooksConfig {
            secret_env: Some("GH_TOKEN".to_owned()),
            ..of_file(&path)
        };
        let keyring = read(&config).expect("a keyring").expect("secrets");
        for secret in [SECRET, "older", "third"] {
            assert!(takes(&keyring, secret), "{secret}");
        }
        assert!(!takes(&keyring, "fourth"));
        let shown = format!("{keyring:?}");
        assert!(
            shown.contains("Secrets(2)") && !shown.contains("third"),
            "{shown}"
        );
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_one_that_cannot_be_used_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        put(&path, "the old one", 0o600);
        let keyring = read(&of_file(&path)).expect("a keyring").expect("secrets");
        let valid = || ["the old one", "the new one, which is longer"].map(|s| takes(&keyring, s));
        assert_eq!(valid(), [true, false]);
        put(&path, "the old one\nthe new one, which is longer\n", 0o600);
        assert_eq!(valid(), [true, true]);
        put(&path, "the new one, which is longer\n", 0o600);
        assert_eq!(valid(), [false, true]);
        // Emptied, opened to everybody, gone: what was read last stays.
        put(&path, "", 0o600);
        assert_eq!(valid(), [false, true]);
        put(&path, "the old one", 0o644);
        assert_eq!(valid(), [false, true]);
        std::fs::remove_file(&path).expect("it was there");
        assert_eq!(valid(), [false, true]);
        put(&path, "the old one", 0o600);
        assert_eq!(valid(), [true, false]);
    }
}
