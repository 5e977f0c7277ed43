//! Connections: a page of a list, with GitHub's rules for `first` and `last`.

use serde_json::Map;
use serde_json::Value;

use super::resolve::{FieldError, Node};

/// The most records of one page.
const RECORDS_MAX: i64 = 100;

/// One page.
#[derive(Debug)]
pub(crate) struct Connection<'w> {
    pub(crate) type_name: &'static str,
    pub(crate) edge_type: &'static str,
    pub(crate) nodes: Vec<Node<'w>>,
    /// All that there are, on every page together.
    pub(crate) total: usize,
    /// How many come before this page.
    pub(crate) start: usize,
}

impl<'w> Connection<'w> {
    /// Cuts the page that `args` ask for. `node`: makes a node of a record, only for those of the page; `contents`: nodes
    /// or edges are selected, so that a bound has to be given.
    pub(crate) fn cut<T>(
        name: &str,
        types: (&'static str, &'static str),
        all: Vec<T>,
        node: impl Fn(T) -> Option<Node<'w>>,
        args: &Map<String, Value>,
        contents: bool,
    ) -> Result<Self, FieldError> {
        let (first, last) = (number(args, "first"), number(args, "last"));
        if contents && first.is_none() && last.is_none() {
            return Err(FieldError::new(
                "MISSING_PAGINATION_BOUNDARIES",
                format!(
                    "You must provide a `first` or `last` value to properly paginate the `{name}` connection."
                ),
            ));
        }
        for (bound, asked) in [("first", first), ("last", last)] {
            if asked.is_some_and(|asked| asked > RECORDS_MAX) {
                return Err(FieldError::new(
                    "EXCESSIVE_PAGINATION",
                    format!(
                        "Requesting {} records on the `{name}` connection exceeds the `{bound}` limit of \
                         {RECORDS_MAX} records.",
                        asked.unwrap_or_default()
                    ),
                ));
            }
            if asked.is_some_and(|asked| asked < 0) {
                return Err(FieldError::new(
                    "ARGUMENT_LIMIT",
                    format!("`{bound}` on the `{name}` connection cannot be less than zero."),
                ));
            }
        }
        let total = all.len();
        let mut start = match cursor(args, "after")? {
            Some(at) => (at + 1).min(total),
            None => 0,
        };
        let mut end = match cursor(args, "before")? {
            Some(at) => at.min(total),
            None => total,
        };
        if let Some(first) = first {
            end = end.min(start.saturating_add(usize::try_from(first).unwrap_or(0)));
        }
        if let Some(last) = last {
            start = start.max(end.saturating_sub(usize::try_from(last).unwrap_or(0)));
        }
        let nodes = if start < end {
            let page = all.into_iter().skip(start).take(end - start);
            page.filter_map(node).collect()
        } else {
            Vec::new()
        };
        Ok(Connection {
            type_name: types.0,
            edge_type: types.1,
            nodes,
            total,
            start,
        })
    }

    pub(crate) fn has_next(&self) -> bool {
        self.start + self.nodes.len() < self.total
    }

    pub(crate) fn has_previous(&self) -> bool {
        self.start > 0
    }

    /// The cursor of the node at `index` of this page.
    pub(crate) fn cursor(&self, index: usize) -> String {
        hex::encode(format!("cursor:{}", self.start + index))
    }
}

fn number(args: &Map<String, Value>, name: &str) -> Option<i64> {
    args.get(name)?.as_i64()
}

fn cursor(args: &Map<String, Value>, name: &str) -> Result<Option<usize>, FieldError> {
    let Some(text) = args.get(name).and_then(Value::as_str) else {
        return Ok(None);
    };
    let position = hex::decode(text)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix("cursor:")?.parse().ok());
    match position {
        Some(position) => Ok(Some(position)),
        None => Err(FieldError::new(
            "INVALID_CURSOR_ARGUMENTS",
            format!("`{text}` does not appear to be a valid cursor."),
        )),
    }
}
