//! Between the kernel's types and columns.

use std::str::FromStr;

use rusqlite::types::Type;
use rusqlite::{Error, Row};
use serde::de::DeserializeOwned;
use vigil_core::{SessionId, State, Timestamp};

use crate::open::moment;

/// A column that holds what this build cannot read.
pub(crate) fn unreadable(
    column: usize,
    why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::FromSqlConversionFailure(column, Type::Text, why.into())
}

/// JSON in column `column`.
pub(crate) fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text)
        .map_err(|error| unreadable(column, format!("{}: {error}", name_of(row, column))))
}

/// JSON, or `None` for NULL.
pub(crate) fn maybe_json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(column)?.as_str_or_null()? {
        None => Ok(None),
        Some(_) => from_json(row, column).map(Some),
    }
}

/// A state by its name.
pub(crate) fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<State> {
    let text = row.get_ref(column)?.as_str()?;
    State::from_str(text)
        .map_err(|error| unreadable(column, format!("{}: {error}", name_of(row, column))))
}

/// Source and id in two columns, the first one `column`.
pub(crate) fn session_id(row: &Row<'_>, column: usize) -> rusqlite::Result<SessionId> {
    Ok(SessionId {
        source: row.get(column)?,
        id: row.get(column + 1)?,
    })
}

/// A moment.
pub(crate) fn at(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(moment)
}

/// A moment, or `None` for NULL.
pub(crate) fn maybe_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(moment))
}

/// A count that SQLite keeps as a signed number.
pub(crate) fn count<T: TryFrom<i64> + Default>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    row.get::<_, i64>(column)
        .map(|count| T::try_from(count).unwrap_or_default())
}

fn name_of(row: &Row<'_>, column: usize) -> String {
    row.as_ref()
        .column_name(column)
        .unwrap_or("a column")
        .to_owned()
}
