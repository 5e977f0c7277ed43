//! What the forge's adapter remembers from pass to pass: entries, validators, identities, budgets. The store keeps its
//! texts and never reads them.

use std::borrow::Cow;

use rusqlite::{OptionalExtension as _, Row, params};
use vigil_core::Timestamp;

use crate::error::Result;
use crate::open::{Store, ms};
use crate::row;

/// One thing that the forge's adapter remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForgeRow {
    /// The repository that it is about, `owner/name` in lower case; empty: none.
    pub repo: String,
    /// What it is, unique within its repository.
    pub name: String,
    /// Its JSON, as the adapter gave it.
    pub value: String,
    /// When it was put there or confirmed last.
    pub at: Timestamp,
}

/// One thing to be remembered or forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForgeChange<'a> {
    /// The repository that it is about, `owner/name` in lower case; empty: none. The store compares letter by letter.
    pub repo: &'a str,
    /// What it is, unique within its repository.
    pub name: &'a str,
    /// Its JSON; `None`: forget it.
    pub value: Option<&'a str>,
    /// The present moment. What is not put again for as long as [`crate::Retention::max_age`] is forgotten.
    pub at: Timestamp,
}

/// What becomes of a row that stands there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// The change is made.
    Put,
    /// What stands there stays.
    Keep,
    /// This is put, and not what the change says.
    Other(String),
}

impl Store {
    /// What is remembered of the forge `host`: all of it, or that about `repos` alone (a repository that is named
    /// twice counts once, and the empty name stands for what is about none). By repository, then by name.
    ///
    /// # Errors
    /// Those of reading.
    pub fn forge_rows(&self, host: &str, repos: Option<&[&str]>) -> Result<Vec<ForgeRow>> {
        self.read("read what is remembered of the forge", |db| {
            let Some(repos) = repos else {
                let sql = "SELECT repo, name, value, at FROM forge WHERE host = ?1 ORDER BY repo, name";
                return db.prepare_cached(sql)?.query_map([host], read)?.collect();
            };
            let mut repos = repos.to_vec();
            repos.sort_unstable();
            repos.dedup();
            let mut statement = db.prepare_cached(
                "SELECT repo, name, value, at FROM forge WHERE host = ?1 AND repo = ?2 ORDER BY name",
            )?;
            let mut rows = Vec::new();
            for repo in repos {
                for row in statement.query_map([host, repo], read)? {
                    rows.push(row?);
                }
            }
            Ok(rows)
        })
    }

    /// Remembers and forgets, in order, in one transaction: all of `changes` or none, also when the machine loses
    /// power half-way. Of several about one thing the last counts; forgetting what is not there does nothing.
    ///
    /// # Errors
    /// Those of writing; then nothing was changed.
    pub fn put_forge_rows(&mut self, host: &str, changes: &[ForgeChange<'_>]) -> Result<()> {
        self.put_merged(host, changes, None)
    }

    /// The same, but that `merge` says for each change what becomes of it, by what stands there in that very transaction
    /// (`None`: nothing): no other process can write in between.
    ///
    /// # Errors
    /// Those of writing; then nothing was changed.
    pub fn merge_forge_rows(
        &mut self,
        host: &str,
        changes: &[ForgeChange<'_>],
        mut merge: impl FnMut(&ForgeChange<'_>, Option<&str>) -> Merge,
    ) -> Result<()> {
        self.put_merged(host, changes, Some(&mut merge))
    }

    fn put_merged(
        &mut self,
        host: &str,
        changes: &[ForgeChange<'_>],
        mut merge: Option<Merging<'_>>,
    ) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.write("keep what is remembered of the forge", |db| {
            let mut look = db.prepare_cached(
                "SELECT value FROM forge WHERE host = ?1 AND repo = ?2 AND name = ?3",
            )?;
            // What is there to the letter already costs no page.
            let mut put = db.prepare_cached(
                "INSERT INTO forge (host, repo, name, value, at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET value = excluded.value, at = excluded.at
                 WHERE value != excluded.value OR at != excluded.at",
            )?;
            let mut forget =
                db.prepare_cached("DELETE FROM forge WHERE host = ?1 AND repo = ?2 AND name = ?3")?;
            for change in changes {
                let (repo, name) = (change.repo, change.name);
                let mut value = change.value.map(Cow::Borrowed);
                if let Some(merge) = &mut merge {
                    let stored: Option<String> = look
                        .query_row([host, repo, name], |row| row.get(0))
                        .optional()?;
                    match merge(change, stored.as_deref()) {
                        Merge::Put => {}
                        Merge::Keep => continue,
                        Merge::Other(other) => value = Some(Cow::Owned(other)),
                    }
                }
                match value {
                    Some(value) => put.execute(params![host, repo, name, value, ms(change.at)])?,
                    None => forget.execute([host, repo, name])?,
                };
            }
            Ok(())
        })
    }
}

/// Says what becomes of a change, by what stands there.
type Merging<'a> = &'a mut dyn FnMut(&ForgeChange<'_>, Option<&str>) -> Merge;

fn read(row: &Row<'_>) -> rusqlite::Result<ForgeRow> {
    Ok(ForgeRow {
        repo: row.get(0)?,
        name: row.get(1)?,
        value: row.get(2)?,
        at: row::at(row, 3)?,
    })
}
