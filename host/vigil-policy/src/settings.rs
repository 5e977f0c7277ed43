//! A policy's settings: one canonical text, checked against the schema that the policy carries.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::LoadFault;
use crate::schema;

/// Settings as a policy gets them.
pub(crate) struct Settings {
    /// Canonical JSON of an object.
    pub(crate) json: String,
    /// SHA-256 of `json`, in hex.
    pub(crate) digest: String,
}

/// Checks `settings` (null counts as none) against `schema`, the text that the policy gave; empty: it has no settings.
pub(crate) fn check(settings: &Value, schema: &str) -> Result<Settings, LoadFault> {
    let none = Value::Object(Map::new());
    let settings = if settings.is_null() { &none } else { settings };
    let unfit = |path: String, message: String| LoadFault::BadSettings { path, message };
    let Value::Object(fields) = settings else {
        return Err(unfit(
            String::new(),
            "they are no table of names and values".to_owned(),
        ));
    };
    if schema.trim().is_empty() {
        if let Some(name) = fields.keys().next() {
            return Err(unfit(
                format!("/{name}"),
                "this policy has no settings".to_owned(),
            ));
        }
    } else if let Some(error) = validator(schema)?.iter_errors(settings).next() {
        return Err(unfit(error.instance_path().to_string(), error.to_string()));
    }
    let json = canonical(settings);
    let digest = hex::encode(Sha256::digest(json.as_bytes()));
    Ok(Settings { json, digest })
}

/// The schema, ready to check with. Its size and shape are bounded, patterns run in linear time, and nothing is fetched:
/// a schema is the policy's.
fn validator(text: &str) -> Result<Validator, LoadFault> {
    let unusable = |what: String| LoadFault::BadDescription(format!("settings-schema {what}"));
    if text.len() > schema::BYTES_MAX {
        return Err(unusable(format!(
            "has {} bytes, more than {}",
            text.len(),
            schema::BYTES_MAX
        )));
    }
    let parsed: Value =
        serde_json::from_str(text).map_err(|error| unusable(format!("is not JSON: {error}")))?;
    if !parsed.is_object() {
        return Err(unusable("is no JSON object".to_owned()));
    }
    if let Some(what) = schema::fault(&parsed) {
        return Err(unusable(what));
    }
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex().size_limit(schema::PATTERN_BYTES_MAX))
        .build(&parsed)
        .map_err(|error| unusable(format!("is no JSON schema: {error}")))
}

/// JSON with its keys in order and without spaces: equal settings have equal texts, however they were written.
pub(crate) fn canonical(value: &Value) -> String {
    // Sorted here and not left to the map's type, which another crate's features can change.
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                let mut names: Vec<_> = fields.keys().collect();
                names.sort();
                names
                    .into_iter()
                    .map(|name| (name.clone(), sorted(&fields[name])))
                    .collect::<Map<_, _>>()
                    .into()
            }
            Value::Array(items) => items.iter().map(sorted).collect(),
            plain => plain.clone(),
        }
    }
    sorted(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SCHEMA: &str = r#"{"type": "object", "additionalProperties": false,
        "properties": {"days": {"type": "integer", "minimum": 1}}}"#;

    fn fault(settings: &Value, schema: &str) -> String {
        check(settings, schema)
            .err()
            .map(|fault| fault.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn equal_settings_have_one_text_and_one_digest() {
        let one = check(&json!({"b": [{"y": 1, "x": 2}], "a": null}), "{}").unwrap();
        let other = check(&json!({"a": null, "b": [{"x": 2, "y": 1}]}), "{}").unwrap();
        assert_eq!(one.json, r#"{"a":null,"b":[{"x":2,"y":1}]}"#);
        assert_eq!(one.digest, other.digest);
        assert_eq!(check(&Value::Null, "").unwrap().json, "{}");
    }

    #[test]
    fn a_setting_that_does_not_fit_is_named_with_its_place() {
        let text = fault(&json!({"days": 0}), SCHEMA);
        assert!(
            text.contains("at /days") && text.contains("minimum"),
            "{text}"
        );
        assert!(fault(&json!({"weeks": 1}), SCHEMA).contains("weeks"));
        assert!(fault(&json!({"days": 1}), "").contains("at /days: this policy has no settings"));
        assert!(fault(&json!([1]), SCHEMA).contains("no table"));
        assert_eq!(fault(&json!({"days": 3}), SCHEMA), "");
    }

    #[test]
    fn a_schema_that_is_none_is_the_policys_fault() {
        for schema in ["{", "[]", r#"{"type": "sandwich"}"#, r#"{"properties": 7}"#] {
            let text = fault(&json!({}), schema);
            assert!(text.contains("settings-schema is no"), "{schema}: {text}");
        }
    }

    #[test]
    fn a_schema_fetches_nothing() {
        let text = fault(&json!({}), r#"{"$ref": "https://example.com/schema.json"}"#);
        assert!(text.contains("only to its own places"), "{text}");
        let text = fault(&json!({}), r#"{"$ref": "file:///etc/passwd"}"#);
        assert!(text.contains("only to its own places"), "{text}");
    }
}
