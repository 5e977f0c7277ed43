//! Cached facts with their age. What is in here may be lost at any time: it costs a question, no knowledge.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{OptionalExtension as _, params};
use vigil_core::Timestamp;

use crate::error::Result;
use crate::open::{Store, ms};
use crate::row;

/// A fact as it was learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedFact {
    /// The fact, as JSON.
    pub json: String,
    /// When it was learned.
    pub at: Timestamp,
}

impl CachedFact {
    /// How old it is at `now`; `None`: it was learned by a clock that ran ahead, and nobody can say.
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        (self.at <= now).then(|| self.at.age(now))
    }
}

impl Store {
    /// Keeps facts, each with its key, its JSON and the moment at which it was learned, in one transaction. What was
    /// kept under a key before is replaced, also by something older: only so can a clock that ran ahead be put right.
    ///
    /// # Errors
    /// Those of writing.
    pub fn put_facts<K: AsRef<str>, J: AsRef<str>>(
        &mut self,
        facts: &[(K, J, Timestamp)],
    ) -> Result<()> {
        if facts.is_empty() {
            return Ok(());
        }
        self.write("keep facts", |db| {
            let mut statement = db.prepare_cached(
                "INSERT INTO facts (key, value, at) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET value = excluded.value, at = excluded.at",
            )?;
            for (key, json, at) in facts {
                statement.execute(params![key.as_ref(), json.as_ref(), ms(*at)])?;
            }
            Ok(())
        })
    }

    /// The facts that are kept under `keys`; a key that is missing from the answer is not kept.
    ///
    /// # Errors
    /// Those of reading.
    pub fn facts<K: AsRef<str>>(&self, keys: &[K]) -> Result<HashMap<String, CachedFact>> {
        self.read("read facts", |db| {
            let mut statement = db.prepare_cached("SELECT value, at FROM facts WHERE key = ?1")?;
            let mut found = HashMap::with_capacity(keys.len());
            for key in keys {
                let key = key.as_ref();
                let fact = statement
                    .query_row([key], |row| {
                        Ok(CachedFact {
                            json: row.get(0)?,
                            at: row::at(row, 1)?,
                        })
                    })
                    .optional()?;
                if let Some(fact) = fact {
                    found.insert(key.to_owned(), fact);
                }
            }
            Ok(found)
        })
    }
}
