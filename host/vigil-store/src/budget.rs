//! Intents that were carried out: budgets are counted from them, and a key is carried out once.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, params};
use vigil_core::intents::Spent;
use vigil_core::time::minutes;
use vigil_core::{SessionId, Timestamp};

use crate::error::Result;
use crate::open::{Store, ms};

/// The span over which the kernel's budgets count.
const HOUR: Duration = minutes(60);

/// An intent that was carried out.
#[derive(Clone, Copy, Debug)]
pub struct DoneIntent<'a> {
    /// `session/revision/key`, as the kernel granted it.
    pub key: &'a str,
    /// Its registered kind.
    pub kind: &'a str,
    /// For which session.
    pub session: &'a SessionId,
    /// In which repository, `owner/name`; `None`: the session names none.
    pub repo: Option<&'a str>,
    /// When.
    pub at: Timestamp,
}

impl Store {
    /// Notes durably that an intent was carried out; false: its key was noted before.
    ///
    /// # Errors
    /// Those of writing.
    pub fn intent_done(&mut self, done: &DoneIntent<'_>) -> Result<bool> {
        self.write_durably("note an intent", |db| {
            let sql = "INSERT INTO intents (key, kind, source, session, repo, at)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
            let DoneIntent {
                key,
                kind,
                session,
                repo,
                at,
            } = done;
            let values = params![key, kind, session.source, session.id, repo, ms(*at)];
            Ok(db.prepare_cached(sql)?.execute(values)? == 1)
        })
    }

    /// What was carried out of `kind` up to `now`, for the kernel's budget: for the session, in its repository and in
    /// all in the last hour, and the session's keys of that kind of all times that are kept. Witnesses and
    /// authorizations are not the store's to know: none.
    ///
    /// # Errors
    /// Those of reading.
    pub fn spent(
        &self,
        kind: &str,
        session: &SessionId,
        repo: Option<&str>,
        now: Timestamp,
    ) -> Result<Spent> {
        let since = ms(now.before(HOUR));
        self.read("count intents", |db| {
            let (source, id) = (&session.source, &session.id);
            let keys = db
                .prepare_cached(
                    "SELECT key FROM intents WHERE source = ?1 AND session = ?2 AND kind = ?3",
                )?
                .query_map(params![source, id, kind], |row| row.get(0))?
                .collect::<rusqlite::Result<BTreeSet<String>>>()?;
            let hour = "SELECT count(*) FROM intents WHERE kind = ?1 AND at > ?2";
            let of_session = format!("{hour} AND source = ?3 AND session = ?4");
            let in_repo = format!("{hour} AND repo = ?3");
            Ok(Spent {
                session_hour: count(db, &of_session, params![kind, since, source, id])?,
                repo_hour: match repo {
                    Some(repo) => count(db, &in_repo, params![kind, since, repo])?,
                    None => 0,
                },
                hour: count(db, hour, params![kind, since])?,
                keys,
                witnesses: 0,
                authorized: false,
            })
        })
    }
}

fn count(db: &Connection, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<u32> {
    let counted: i64 = db
        .prepare_cached(sql)?
        .query_row(values, |row| row.get(0))?;
    Ok(u32::try_from(counted).unwrap_or(u32::MAX))
}
