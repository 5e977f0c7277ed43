//! Evidence as it is kept: JSON, compressed, and addressed by its content.

use std::fmt;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use vigil_core::Evidence;

use crate::digest::json;
use crate::error::{Result, StoreError};
use crate::open::Store;

/// The largest evidence that is read back, as JSON, in bytes: a thousand times what a session has, and small enough
/// that a tampered size cannot exhaust the memory.
pub const EVIDENCE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// zstd's default: about a third of the JSON, a few microseconds for each.
const LEVEL: i32 = 3;

/// The digest of an evidence with its times: the name under which it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentDigest(pub(crate) [u8; 32]);

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for ContentDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An evidence ready to be kept.
pub(crate) struct Packed {
    pub(crate) digest: [u8; 32],
    pub(crate) size: i64,
    pub(crate) body: Vec<u8>,
}

/// Packs evidence; keeps zstd's tables from one to the next, which is most of the cost for small ones.
pub(crate) struct Packer(zstd::bulk::Compressor<'static>);

impl Packer {
    pub(crate) fn new(store: &Store) -> Result<Packer> {
        let packer = zstd::bulk::Compressor::new(LEVEL);
        packer
            .map(Packer)
            .map_err(|error| StoreError::io("compress evidence for", &store.path, error))
    }

    pub(crate) fn pack(&mut self, evidence: &Evidence) -> rusqlite::Result<Packed> {
        let text = json(evidence);
        let body = self.0.compress(text.as_bytes());
        let body =
            body.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok(Packed {
            digest: Sha256::digest(text.as_bytes()).into(),
            size: i64::try_from(text.len()).unwrap_or(i64::MAX),
            body,
        })
    }
}

/// Keeps `packed` unless it is there already; gives its row.
pub(crate) fn keep(db: &Connection, packed: &Packed) -> rusqlite::Result<i64> {
    let known = db
        .prepare_cached("SELECT id FROM evidence WHERE digest = ?1")?
        .query_row([&packed.digest], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    db.prepare_cached("INSERT INTO evidence (digest, size, body) VALUES (?1, ?2, ?3)")?
        .insert(params![packed.digest, packed.size, packed.body])
}

impl Store {
    /// The evidence of that name; `None`: retention took it, or it never was.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] when the bytes are not what they were when they were written.
    pub fn evidence(&self, digest: &ContentDigest) -> Result<Option<Evidence>> {
        let found = self.read("read evidence", |db| {
            let sql = "SELECT size, body FROM evidence WHERE digest = ?1
                       UNION ALL SELECT size, body FROM journal_latest WHERE digest = ?1 LIMIT 1";
            db.prepare_cached(sql)?
                .query_row([&digest.0], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
                })
                .optional()
        })?;
        let Some((size, body)) = found else {
            return Ok(None);
        };
        self.unpack(digest, size, &body).map(Some)
    }

    fn unpack(&self, digest: &ContentDigest, size: i64, body: &[u8]) -> Result<Evidence> {
        let unreadable = |source| StoreError::Unreadable {
            what: format!("evidence {digest}"),
            path: self.path.clone(),
            source,
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > EVIDENCE_BYTES_MAX {
            return Err(unreadable(format!("it claims to have {size} bytes").into()));
        }
        let text = zstd::bulk::decompress(body, size).map_err(|error| unreadable(error.into()))?;
        if <[u8; 32]>::from(Sha256::digest(&text)) != digest.0 {
            return Err(unreadable("its content is not what its name says".into()));
        }
        serde_json::from_slice(&text).map_err(|error| unreadable(error.into()))
    }
}
