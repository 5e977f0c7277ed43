//! Attributes of files, as far as they say how content is stored: `text`, `eol`, `filter` and their like.

use std::collections::HashMap;

use super::glob::Glob;

/// What one attribute is for a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    True,
    False,
    Text(String),
}

/// The attributes of one path. What is missing is not specified.
pub(crate) type Attributes = HashMap<String, Value>;

/// The rules of one file.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    macros: HashMap<String, Vec<(String, Option<Value>)>>,
}

#[derive(Debug)]
struct Rule {
    glob: Glob,
    sets: Vec<(String, Option<Value>)>,
}

impl Rules {
    /// Reads a file. Names for several attributes are taken where git takes them, at the top.
    pub(crate) fn parse(text: &[u8], top: bool, fold: bool) -> Rules {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut rules = Rules::default();
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let (pattern, rest) = pattern(line);
            let sets: Vec<(String, Option<Value>)> = String::from_utf8_lossy(rest)
                .split_ascii_whitespace()
                .map(set)
                .collect();
            if let Some(name) = pattern.strip_prefix(b"[attr]") {
                if top {
                    let name = String::from_utf8_lossy(name).into_owned();
                    rules.macros.insert(name, sets);
                }
                continue;
            }
            // A pattern that is turned round is an error, which git tells and passes over; and one for folders matches
            // no file.
            if pattern.starts_with(b"!") || pattern.ends_with(b"/") {
                continue;
            }
            rules.rules.push(Rule {
                glob: Glob::new(&pattern, fold),
                sets,
            });
        }
        rules
    }

    /// Adds to `found` what this file says of `path`, as seen from its folder; it wins over what was found before.
    pub(crate) fn apply(
        &self,
        path: &[u8],
        name: &[u8],
        macros: &HashMap<String, Vec<(String, Option<Value>)>>,
        found: &mut Attributes,
    ) {
        for rule in &self.rules {
            if rule.glob.matches(path, name, &mut 0) {
                set_all(&rule.sets, macros, found, 0);
            }
        }
    }

    /// Adds the names for several attributes that this file makes.
    pub(crate) fn add_macros(&self, macros: &mut HashMap<String, Vec<(String, Option<Value>)>>) {
        for (name, sets) in &self.macros {
            macros.insert(name.clone(), sets.clone());
        }
    }
}

/// Those that git knows from the start.
pub(crate) fn builtin_macros() -> HashMap<String, Vec<(String, Option<Value>)>> {
    let off = |name: &str| (name.to_owned(), Some(Value::False));
    HashMap::from([(
        "binary".to_owned(),
        vec![off("diff"), off("merge"), off("text")],
    )])
}

fn set_all(
    sets: &[(String, Option<Value>)],
    macros: &HashMap<String, Vec<(String, Option<Value>)>>,
    found: &mut Attributes,
    depth: usize,
) {
    // 8: a name that stands for itself must end somewhere.
    if depth > 8 {
        return;
    }
    for (name, value) in sets {
        match value {
            Some(value) => found.insert(name.clone(), value.clone()),
            None => found.remove(name),
        };
        if let (Some(Value::True), Some(sets)) = (value, macros.get(name)) {
            set_all(sets, macros, found, depth + 1);
        }
    }
}

fn set(word: &str) -> (String, Option<Value>) {
    if let Some(name) = word.strip_prefix('-') {
        return (name.to_owned(), Some(Value::False));
    }
    if let Some(name) = word.strip_prefix('!') {
        return (name.to_owned(), None);
    }
    match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(Value::Text(value.to_owned()))),
        None => (word.to_owned(), Some(Value::True)),
    }
}

/// The pattern that a line begins with, and what follows it. One in quotes may hold blanks.
fn pattern(line: &[u8]) -> (Vec<u8>, &[u8]) {
    if let Some(quoted) = line.strip_prefix(b"\"")
        && let Some((pattern, rest)) = unquote(quoted)
    {
        return (pattern, rest);
    }
    let end = line
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(line.len());
    let (pattern, rest) = line.split_at(end);
    (pattern.to_owned(), rest)
}

fn unquote(quoted: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut made = Vec::new();
    let mut at = 0;
    loop {
        match quoted.get(at)? {
            b'"' => return Some((made, quoted.get(at + 1..)?)),
            b'\\' => {
                at += 1;
                match quoted.get(at)? {
                    b'a' => made.push(7),
                    b'b' => made.push(8),
                    b'f' => made.push(12),
                    b'n' => made.push(b'\n'),
                    b'r' => made.push(b'\r'),
                    b't' => made.push(b'\t'),
                    b'v' => made.push(11),
                    b'0'..=b'3' => {
                        let digits = std::str::from_utf8(quoted.get(at..at + 3)?).ok()?;
                        made.push(u8::from_str_radix(digits, 8).ok()?);
                        at += 2;
                    }
                    byte => made.push(*byte),
                }
            }
            byte => made.push(*byte),
        }
        at += 1;
    }
}
