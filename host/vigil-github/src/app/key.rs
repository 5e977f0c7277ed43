//! The private key of an App, and what is signed with it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use vigil_core::Timestamp;

use crate::secret_file::{self, SecretFileError};

/// How long ago a signature says that it was made: GitHub advises a minute, since clocks differ.
const ISSUED_BEFORE: Duration = Duration::from_secs(60);

/// How long a signature counts. GitHub refuses more than ten minutes by its own clock.
const LASTS: Duration = Duration::from_secs(9 * 60);

/// The private key of an App, and the file that it came from. Clones share it.
#[derive(Clone)]
pub struct AppKey {
    path: PathBuf,
    held: Arc<Mutex<Held>>,
}

/// What the file held.
struct Held {
    /// Of its whole text: keys cannot be compared.
    digest: [u8; 32],
    key: EncodingKey,
}

impl AppKey {
    /// Reads a key in PEM: PKCS#1, as GitHub gives it, or PKCS#8.
    ///
    /// # Errors
    /// The file breaks the rule of [`secret_file`], or holds no RSA key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Ok(AppKey {
            path: path.to_owned(),
            held: Arc::new(Mutex::new(held(path)?)),
        })
    }

    /// Reads the file again, and keeps what it holds; gives whether that is another key. Its owner may have replaced it.
    ///
    /// # Errors
    /// As [`AppKey::read`]; the key that was held stays.
    pub(super) fn read_again(&self) -> Result<bool, KeyError> {
        let read = held(&self.path)?;
        let mut held = self.lock();
        let differs = read.digest != held.digest;
        *held = read;
        Ok(differs)
    }

    /// What GitHub takes for the App `id` from a minute before `now` until nine minutes after it.
    pub(super) fn sign(&self, id: &str, now: Timestamp) -> Result<SecretString, KeyError> {
        sign(&self.lock().key, id, now).ok_or_else(|| KeyError::NoKey {
            path: self.path.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn held(path: &Path) -> Result<Held, KeyError> {
    let pem = secret_file::read(path)?;
    let pem = pem.expose_secret().as_bytes();
    let key = EncodingKey::from_rsa_pem(pem).ok();
    // Only signing shows whether the numbers in it make a key.
    let key = key.filter(|key| sign(key, "0", Timestamp(0)).is_some());
    Ok(Held {
        digest: Sha256::digest(pem).into(),
        key: key.ok_or_else(|| KeyError::NoKey {
            path: path.to_owned(),
        })?,
    })
}

/// `None`: what was taken for a key is none.
fn sign(key: &EncodingKey, id: &str, now: Timestamp) -> Option<SecretString> {
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
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, key)
        .map(SecretString::from)
        .ok()
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppKey({})", self.path.display())
    }
}

/// A key that cannot be used. Its content is never shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file. Whoever reads it can act as the App, at every owner that installed it.
    #[error(transparent)]
    File(#[from] SecretFileError),
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
            KeyError::File(error) => error.hint(),
            KeyError::NoKey { .. } => {
                "make a new key on the App's settings page, under \"Private keys\"".to_owned()
            }
        }
    }
}
