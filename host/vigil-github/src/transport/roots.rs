//! The certificate authorities that are trusted, as rustls-native-certs defines it for all programs that use rustls.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};

use super::NetworkError;

/// Whose certificates are trusted. [`Default`]: the machine's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// The value of `SSL_CERT_FILE`: a file with certificates in PEM. It takes the place of the machine's.
    pub file: Option<PathBuf>,
    /// The folders of `SSL_CERT_DIR`, every file in which is read. They take the place of the machine's certificates,
    /// and stand beside `file`.
    pub dirs: Vec<PathBuf>,
}

impl Roots {
    /// Reads what is named, and forgets it: whether it can be used. Without either there is nothing to check.
    ///
    /// # Errors
    /// The file or a folder cannot be read, or holds no certificate.
    pub fn check(&self) -> Result<(), NetworkError> {
        match self.file.is_none() && self.dirs.is_empty() {
            true => Ok(()),
            false => self.load().map(|_| ()),
        }
    }

    /// Reads the certificates: up to a few hundred from one file.
    ///
    /// # Errors
    /// The file or a folder cannot be read, or holds no certificate; without either: the machine has none.
    pub(super) fn load(&self) -> Result<RootCertStore, NetworkError> {
        let mut store = RootCertStore::empty();
        if self.file.is_none() && self.dirs.is_empty() {
            add(&mut store, load_native_certs().certs);
            return match store.is_empty() {
                true => Err(NetworkError::NoCertificates),
                false => Ok(store),
            };
        }
        if let Some(file) = &self.file {
            // What the system says of it is said once, and without the library's words around it.
            if let Err(error) = std::fs::File::open(file) {
                return Err(bad("SSL_CERT_FILE", file, error.to_string()));
            }
            let read = load_certs_from_paths(Some(file), None);
            if let Some(why) = first(&read) {
                return Err(bad("SSL_CERT_FILE", file, why));
            }
            if add(&mut store, read.certs) == 0 {
                return Err(bad("SSL_CERT_FILE", file, "holds no certificate"));
            }
        }
        for dir in &self.dirs {
            if let Err(error) = std::fs::read_dir(dir) {
                return Err(bad("SSL_CERT_DIR", dir, error.to_string()));
            }
            let read = load_certs_from_paths(None, Some(dir));
            // Such folders hold other things beside certificates; one of them is no reason to trust nobody.
            if let Some(why) = first(&read) {
                tracing::warn!(dir = %dir.display(), why, "a file of SSL_CERT_DIR was passed over");
            }
            add(&mut store, read.certs);
        }
        if store.is_empty() {
            let dir = self.dirs.first().map_or(Path::new(""), PathBuf::as_path);
            return Err(bad("SSL_CERT_DIR", dir, "holds no certificate"));
        }
        Ok(store)
    }
}

/// How many of them could be used.
fn add(store: &mut RootCertStore, certificates: Vec<CertificateDer<'static>>) -> usize {
    store.add_parsable_certificates(certificates).0
}

fn first(read: &CertificateResult) -> Option<String> {
    read.errors.first().map(ToString::to_string)
}

fn bad(variable: &'static str, path: &Path, why: impl Into<String>) -> NetworkError {
    NetworkError::Certificates {
        variable,
        path: path.to_owned(),
        why: why.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_named_with_its_variable() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = folder.path().join("text.pem");
        std::fs::write(&text, "no certificate").expect("a file");
        let broken = folder.path().join("broken.pem");
        std::fs::write(
            &broken,
            "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n",
        )
        .expect("a file");
        for (file, dirs, variable) in [
            (Some(folder.path().join("missing")), vec![], "SSL_CERT_FILE"),
            (Some(text), vec![], "SSL_CERT_FILE"),
            (Some(broken), vec![], "SSL_CERT_FILE"),
            (None, vec![folder.path().join("missing")], "SSL_CERT_DIR"),
            (None, vec![folder.path().to_owned()], "SSL_CERT_DIR"),
        ] {
            let error = Roots { file, dirs }.load().expect_err(variable).to_string();
            assert!(error.starts_with(variable), "{error}");
            assert!(
                error.contains(&folder.path().display().to_string()),
                "{error}"
            );
        }
    }
}
