//! What a policy left for its next look at a session.

use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, params};
use vigil_core::verdict::MEMO_BYTES_MAX;
use vigil_core::{SessionId, Timestamp};

use crate::error::{Result, StoreError};
use crate::open::{Store, ms};
use crate::row;

/// A memo to be kept or forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Memo<'a> {
    /// The session that it is about.
    pub session: &'a SessionId,
    /// The name of the policy that left it.
    pub policy: &'a str,
    /// At most [`MEMO_BYTES_MAX`] bytes; `None`: forget what was there.
    pub text: Option<&'a str>,
}

impl Store {
    /// Keeps or forgets `memos` in one transaction.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for a memo over its bound, and then none is kept; those of writing.
    pub fn put_memos(&mut self, memos: &[Memo<'_>], at: Timestamp) -> Result<()> {
        for memo in memos {
            let bytes = memo.text.map_or(0, str::len);
            if bytes > MEMO_BYTES_MAX {
                return Err(StoreError::TooLarge {
                    what: format!("the memo of policy {} on {}", memo.policy, memo.session),
                    bytes,
                    max: MEMO_BYTES_MAX,
                });
            }
        }
        if memos.is_empty() {
            return Ok(());
        }
        self.write("keep memos", |db| {
            // The same memo is written again once a day at the most, so that retention sees that it is in use.
            let mut put = db.prepare_cached(
                "INSERT INTO memos (source, session, policy, memo, at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET memo = excluded.memo, at = excluded.at
                 WHERE memo != excluded.memo OR at < excluded.at - 86400000",
            )?;
            let mut forget = db.prepare_cached(
                "DELETE FROM memos WHERE source = ?1 AND session = ?2 AND policy = ?3",
            )?;
            for memo in memos {
                let (source, id) = (&memo.session.source, &memo.session.id);
                match memo.text {
                    Some(text) => put.execute(params![source, id, memo.policy, text, ms(at)])?,
                    None => forget.execute(params![source, id, memo.policy])?,
                };
            }
            Ok(())
        })
    }

    /// What the policy of that name left about `session`.
    ///
    /// # Errors
    /// Those of reading.
    pub fn memo(&self, session: &SessionId, policy: &str) -> Result<Option<String>> {
        self.read("read a memo", |db| {
            let sql = "SELECT memo FROM memos WHERE source = ?1 AND session = ?2 AND policy = ?3";
            db.prepare_cached(sql)?
                .query_row(params![session.source, session.id, policy], |row| {
                    row.get(0)
                })
                .optional()
        })
    }

    /// What the policy of that name left about the sessions of `source`.
    ///
    /// # Errors
    /// Those of reading.
    pub fn memos(&self, source: &str, policy: &str) -> Result<HashMap<SessionId, String>> {
        self.read("read memos", |db| {
            let sql = "SELECT source, session, memo FROM memos WHERE source = ?1 AND policy = ?2";
            db.prepare_cached(sql)?
                .query_map([source, policy], |row| {
                    Ok((row::session_id(row, 0)?, row.get(2)?))
                })?
                .collect()
        })
    }

    /// Forgets all that any policy left about `session`.
    ///
    /// # Errors
    /// Those of writing.
    pub fn forget_memos(&mut self, session: &SessionId) -> Result<()> {
        self.write("forget memos", |db| {
            db.prepare_cached("DELETE FROM memos WHERE source = ?1 AND session = ?2")?
                .execute([&session.source, &session.id])
                .map(drop)
        })
    }
}
