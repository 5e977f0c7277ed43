//! A payload without what nobody looks at. GitHub's payloads describe everybody and everything around an event: of 25 MB
//! a few hundred bytes say where to look again.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Every key on the way to something that [`super::hear`] reads, at whatever depth. What stands under any other is
/// passed over while it is read.
pub(super) const KEYS: [&str; 39] = [
    "account",
    "action",
    "base",
    "base_ref",
    "branches",
    "changes",
    "check_run",
    "check_suite",
    "commit",
    "from",
    "full_name",
    "head",
    "head_branch",
    "head_ref",
    "head_sha",
    "id",
    "installation",
    "issue",
    "login",
    "merge_group",
    "name",
    "new_issue",
    "new_repository",
    "number",
    "organization",
    "owner",
    "pull_request",
    "pull_requests",
    "ref",
    "ref_type",
    "repo",
    "repositories",
    "repositories_added",
    "repositories_removed",
    "repository",
    "sha",
    "updated_at",
    "user",
    "workflow_run",
];

/// What is left of a payload.
#[derive(Debug)]
pub(super) struct Pruned(pub(super) Value);

impl<'de> Deserialize<'de> for Pruned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Pruning).map(Pruned)
    }
}

struct Pruning;

impl<'de> Visitor<'de> for Pruning {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if KEYS.contains(&key.as_ref()) {
                kept.insert(key.into_owned(), map.next_value::<Pruned>()?.0);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Object(kept))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut kept = Vec::new();
        while let Some(Pruned(value)) = list.next_element()? {
            kept.push(value);
        }
        Ok(Value::Array(kept))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}
