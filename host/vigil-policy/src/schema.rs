//! Bounds on the schema that a policy carries, checked before anything else reads it.
//!
//! A validator follows a `$ref` wherever it leads and as often as it is met: sixty definitions that name the one before
//! them twice are 4 KB that nobody would ever see the end of. So what following all of them comes to is counted here,
//! without doing it.

use std::collections::HashMap;

use serde_json::Value;

/// The largest schema, in bytes. Schemas of policies are written by hand.
pub(crate) const BYTES_MAX: usize = 256 << 10;

/// Values of the schema, each counted as often as references lead to it. 20,000: a setting takes some ten, and checking
/// against so many takes milliseconds.
pub(crate) const VALUES_MAX: u64 = 20_000;

/// Tables, lists and references within one another. 64: a setting is found three or four deep.
pub(crate) const DEPTH_MAX: usize = 64;

/// Patterns, each counted as often as references lead to it. 100: each may take [`PATTERN_BYTES_MAX`].
pub(crate) const PATTERNS_MAX: u64 = 100;

/// What one pattern may take once it is compiled, in bytes. 256 KiB: a class of letters in all scripts takes a tenth.
pub(crate) const PATTERN_BYTES_MAX: usize = 256 << 10;

/// Words that lead elsewhere than to a place within the schema: what they come to cannot be counted.
const ELSEWHERE: [&str; 7] = [
    "$id",
    "id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
];

/// What is wrong with the shape of `schema`; `None`: it is bounded.
pub(crate) fn fault(schema: &Value) -> Option<String> {
    let mut counting = Counting {
        root: schema,
        known: HashMap::new(),
    };
    let size = match counting.size(schema, 0) {
        Ok(size) => size,
        Err(what) => return Some(what),
    };
    if size.values > VALUES_MAX {
        return Some(format!(
            "comes to more than {VALUES_MAX} values when its references are followed"
        ));
    }
    (size.patterns > PATTERNS_MAX).then(|| {
        format!("comes to more than {PATTERNS_MAX} patterns when its references are followed")
    })
}

/// What one place comes to.
#[derive(Clone, Copy, Default)]
struct Size {
    values: u64,
    patterns: u64,
    height: usize,
}

struct Counting<'a> {
    root: &'a Value,
    /// By the address of a value; `None`: it is being counted.
    known: HashMap<*const Value, Option<Size>>,
}

impl Counting<'_> {
    fn size(&mut self, value: &Value, depth: usize) -> Result<Size, String> {
        let too_deep = || format!("nests deeper than {DEPTH_MAX} tables, lists and references");
        if depth > DEPTH_MAX {
            return Err(too_deep());
        }
        let place = std::ptr::from_ref(value);
        match self.known.get(&place) {
            Some(Some(size)) if depth + size.height > DEPTH_MAX => return Err(too_deep()),
            Some(Some(size)) => return Ok(*size),
            Some(None) => return Err("has a $ref that leads back to itself".to_owned()),
            None => {}
        }
        self.known.insert(place, None);
        let mut size = Size {
            values: 1,
            ..Size::default()
        };
        let inside = |size: &mut Size, counted: Size| {
            size.values = size.values.saturating_add(counted.values);
            size.patterns = size.patterns.saturating_add(counted.patterns);
            size.height = size.height.max(counted.height + 1);
        };
        match value {
            Value::Array(items) => {
                for item in items {
                    inside(&mut size, self.size(item, depth + 1)?);
                }
            }
            Value::Object(fields) => {
                for (key, field) in fields {
                    inside(&mut size, self.size(field, depth + 1)?);
                    match (key.as_str(), field) {
                        ("$ref", Value::String(target)) => {
                            let target = self.place_of(target)?;
                            inside(&mut size, self.size(target, depth + 1)?);
                        }
                        ("pattern", Value::String(_)) => size.patterns += 1,
                        ("patternProperties", Value::Object(patterns)) => {
                            size.patterns += patterns.len() as u64;
                        }
                        // A setting may be called so; what leads elsewhere is a text or a flag.
                        (key, Value::String(_) | Value::Bool(_)) if ELSEWHERE.contains(&key) => {
                            return Err(format!(
                                "has \"{key}\"; it may refer to its own places by \"$ref\": \"#/...\", and no other way"
                            ));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        self.known.insert(place, Some(size));
        Ok(size)
    }
}

impl<'a> Counting<'a> {
    fn place_of(&self, target: &str) -> Result<&'a Value, String> {
        let nowhere = |why: &str| format!("has the $ref \"{}\", {why}", shortened(target));
        let Some(pointer) = target.strip_prefix('#') else {
            return Err(nowhere("and may refer only to its own places: \"#/...\""));
        };
        // Percent signs would be another way to write a place, and two ways are one too many.
        self.root
            .pointer(pointer)
            .filter(|_| !pointer.contains('%'))
            .ok_or_else(|| nowhere("which is no place in it"))
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `levels` definitions, each of which names the one before it `times` times.
    fn doubling(levels: usize, times: usize) -> Value {
        let mut definitions = json!({ "a0": { "type": "integer" } });
        for level in 1..=levels {
            let before = json!({ "$ref": format!("#/$defs/a{}", level - 1) });
            definitions[format!("a{level}")] = json!({ "allOf": vec![before; times] });
        }
        json!({ "$defs": definitions, "$ref": format!("#/$defs/a{levels}") })
    }

    #[test]
    fn what_people_write_is_bounded() {
        for schema in [
            json!({}),
            json!(true),
            json!({ "type": "object", "properties": { "days": { "$ref": "#/$defs/days" }, "id": { "type": "string" } },
                    "$defs": { "days": { "type": "integer", "default": 3 } } }),
            json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "properties": { "a": { "pattern": "^x" } } }),
            doubling(5, 2),
        ] {
            assert_eq!(fault(&schema), None, "{schema}");
        }
    }

    #[test]
    fn what_would_never_end_is_refused_by_its_shape() {
        let mut deep = json!({});
        for _ in 0..70 {
            deep = json!({ "not": deep });
        }
        let chain = doubling(70, 1);
        let patterns: Vec<Value> = (0..101)
            .map(|nth| json!({ "pattern": nth.to_string() }))
            .collect();
        for (schema, words) in [
            (doubling(60, 2), "nests deeper than 64"),
            (doubling(20, 2), "more than 20000 values"),
            (doubling(3, 40), "more than 20000 values"),
            (deep, "nests deeper than 64"),
            (chain, "nests deeper than 64"),
            (json!({ "$ref": "#" }), "leads back to itself"),
            (
                json!({ "properties": { "child": { "$ref": "#" } } }),
                "leads back to itself",
            ),
            (
                json!({ "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } }),
                "leads back to itself",
            ),
            (json!({ "allOf": patterns }), "more than 100 patterns"),
            (json!({ "$ref": "other.json" }), "only to its own places"),
            (json!({ "$ref": "#/nowhere" }), "no place in it"),
            (
                json!({ "$ref": "#/%24defs/a", "$defs": { "a": {} } }),
                "no place in it",
            ),
            (json!({ "$id": "x" }), "has \"$id\""),
            (
                json!({ "allOf": [{ "$dynamicRef": "#a" }] }),
                "has \"$dynamicRef\"",
            ),
        ] {
            let found = fault(&schema).unwrap_or_default();
            assert!(found.contains(words), "{words}: {found}");
        }
    }
}
