//! The private key of an App, and what is signed with it.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::SecretString;
use serde::Serialize;
use vigil_core::Timestamp;

/// Longer than any RSA key that GitHub gives or takes. In bytes.
const KEY_BYTES_MAX: u64 = 64 * 1024;

/// How long ago a signature says that it was made: GitHub advises a minute, since clocks differ.
const ISSUED_BEFORE: Duration = Duration::from_secs(60);

/// How long a signature counts. GitHub refuses more than ten minutes by its own clock.
const LASTS: Duration = Duration::from_secs(9 * 60);

/// The private key of an App.
#[derive(Clone)]
pub struct AppKey {
    path: PathBuf,
    key: EncodingKey,
}

impl AppKey {
    /// Reads a key in PEM: PKCS#1, as GitHub gives it, or PKCS#8.
    ///
    /// # Errors
    /// The file cannot be read, can be read by others, or holds no RSA key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let bad = |why: String| KeyError::Unreadable {
            path: path.to_owned(),
            why,
        };
        let file = std::fs::File::open(path).map_err(|error| bad(error.to_string()))?;
        let metadata = file.metadata().map_err(|error| bad(error.to_string()))?;
        if open_to_others(&metadata) {
            return Err(KeyError::OpenToOthers {
                path: path.to_owned(),
            });
        }
        let mut pem = Vec::new();
        file.take(KEY_BYTES_MAX)
            .read_to_end(&mut pem)
            .map_err(|error| bad(error.to_string()))?;
        let not_a_key = || KeyError::NoKey {
            path: path.to_owned(),
        };
        let key = AppKey {
            path: path.to_owned(),
            key: EncodingKey::from_rsa_pem(&pem).map_err(|_| not_a_key())?,
        };
        // Only signing shows whether the numbers in it make a key.
        key.sign("0", Timestamp(0))?;
        Ok(key)
    }

    /// What GitHub takes for the App `id` from a minute before `now` until nine minutes after it.
    pub(super) fn sign(&self, id: &str, now: Timestamp) -> Result<SecretString, KeyError> {
        #[derive(Serialize)]
        struct Claims<'a> {
            iat: u64,
            exp: u64,
            iss: &'a str,
        }
        let claims = Claims {
            iat: now.before(ISSUED_BEFORE).as_millis() / 1000,
            exp: now.after(LASTS).as_millis() / 1000,
            iss: id,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)
            .map(SecretString::from)
            .map_err(|_| KeyError::NoKey {
                path: self.path.clone(),
            })
    }
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppKey({})", self.path.display())
    }
}

/// A key that cannot be used. Its content is never shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file.
    #[error("{} cannot be read: {why}", path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// Whoever reads it can act as the App, at every owner that installed it.
    #[error("{} can be read by others", path.display())]
    OpenToOthers {
        /// Where it is.
        path: PathBuf,
    },
    /// What is in it.
    #[error("{} holds no RSA private key in PEM (PKCS#1 or PKCS#8, without a passphrase)", path.display())]
    NoKey {
        /// Where it is.
        path: PathBuf,
    },
}

impl KeyError {
    /// What a person can do about it, as a command where there is one.
    pub fn hint(&self) -> String {
        match self {
            KeyError::Unreadable { .. } => {
                "name the file that GitHub gave for the App under \"Private keys\"".to_owned()
            }
            KeyError::OpenToOthers { path } => format!("run chmod 600 {}", path.display()),
            KeyError::NoKey { .. } => {
                "make a new key on the App's settings page, under \"Private keys\"".to_owned()
            }
        }
    }
}

#[cfg(unix)]
fn open_to_others(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn open_to_others(_: &std::fs::Metadata) -> bool {
    false
}
