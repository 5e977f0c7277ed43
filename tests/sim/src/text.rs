//! `sessions.json` as text, read without any code of vigil's: what is lost by it must not be overlooked here as well.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// One record: its keys with their values, both as they are spelled, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    /// Keys without their quotes.
    pub fields: Vec<(String, String)>,
}

impl Raw {
    /// The value of `key` as it is spelled.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(present, _)| present == key)
            .map(|(_, value)| value.as_str())
    }

    /// The text in `key`; empty where there is none.
    pub fn text(&self, key: &str) -> String {
        self.get(key)
            .and_then(|value| serde_json::from_str(value).ok())
            .unwrap_or_default()
    }

    /// Sets `key` to `value`, which is JSON, in its place or at the end.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        let value = value.into();
        match self.fields.iter_mut().find(|(present, _)| present == key) {
            Some(field) => field.1 = value,
            None => self.fields.push((key.to_owned(), value)),
        }
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) {
        self.fields.retain(|(present, _)| present != key);
    }
}

/// The records of the file.
///
/// # Errors
/// Why it is not an array of objects.
pub fn parse(text: &str) -> Result<Vec<Raw>, String> {
    let records: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|error| format!("no array: {error}"))?;
    records.into_iter().map(|one| object(one.get())).collect()
}

/// One object.
///
/// # Errors
/// Why it is none.
pub fn object(text: &str) -> Result<Raw, String> {
    serde_json::Deserializer::from_str(text)
        .deserialize_map(Pairs)
        .map_err(|error| format!("no object: {error}"))
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut fields = Vec::new();
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let key = key.get().trim_matches('"').to_owned();
            fields.push((key, value.get().to_owned()));
        }
        Ok(Raw { fields })
    }
}

/// How a file is laid out.
#[derive(Clone, Copy, Debug)]
pub enum Layout {
    /// As Vigilante lays it out.
    Indented,
    /// All on one line.
    Compact,
    /// As a person with another editor may leave it.
    Odd,
}

/// The file with these records.
pub fn render(records: &[Raw], layout: Layout) -> String {
    if records.is_empty() {
        return "[]\n".to_owned();
    }
    let (open, lead, colon, close, between, end) = match layout {
        Layout::Indented => ("[\n  ", "\n    ", ": ", "\n  ", ",\n  ", "\n]\n"),
        Layout::Compact => ("[", "", ":", "", ",", "]"),
        Layout::Odd => ("[ ", "\r\n\t", " :  ", " ", " ,\r\n", "\r\n ]\r\n\r\n"),
    };
    let records: Vec<String> = records
        .iter()
        .map(|record| {
            let fields: Vec<String> = record
                .fields
                .iter()
                .map(|(key, value)| format!("{lead}\"{key}\"{colon}{value}"))
                .collect();
            format!("{{{}{close}}}", fields.join(","))
        })
        .collect();
    format!("{open}{}{end}", records.join(between))
}
