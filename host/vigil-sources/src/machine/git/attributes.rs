//! Attributes of files, as far as they say how content is stored: `text`, `eol`, `filter` and their like.

use std::collections::HashMap;

use super::glob::Glob;

/// 2,048: git passes over a line with as many bytes.
const LINE_BYTES: usize = 2048;

/// What stands between the words of a line.
const BLANKS: [char; 3] = [' ', '\t', '\r'];

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
            if line.len() < LINE_BYTES {
                // A line with a mistake says nothing, for git either: `*.png binary # pictures` has one.
                let _ = rules.line(&String::from_utf8_lossy(line), top, fold);
            }
        }
        rules
    }

    /// `None`: it says nothing, or is none.
    fn line(&mut self, line: &str, top: bool, fold: bool) -> Option<()> {
        let line = line.trim_start_matches(BLANKS);
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (pattern, rest) = pattern(line);
        let words = rest.split(BLANKS).filter(|word| !word.is_empty());
        let sets = words.map(set).collect::<Option<Vec<_>>>()?;
        if let Some(name) = pattern
            .strip_prefix(b"[attr]")
            .filter(|name| !name.is_empty())
        {
            if top {
                self.macros
                    .insert(name_of(str::from_utf8(name).ok()?)?, sets);
            }
            return Some(());
        }
        // A pattern that is turned round is an error, and one for folders matches no file.
        if !pattern.starts_with(b"!") && !pattern.ends_with(b"/") {
            let glob = Glob::new(&pattern, fold);
            self.rules.push(Rule { glob, sets });
        }
        Some(())
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

/// What a word sets. `None`: its name is none.
fn set(word: &str) -> Option<(String, Option<Value>)> {
    let (name, text) = match word.split_once('=') {
        Some((name, text)) => (name, Some(text)),
        None => (word, None),
    };
    Some(match (name.strip_prefix('-'), name.strip_prefix('!')) {
        (Some(name), _) => (name_of(name)?, Some(Value::False)),
        (_, Some(name)) => (name_of(name)?, None),
        _ => {
            let value = text.map_or(Value::True, |text| Value::Text(text.to_owned()));
            (name_of(name)?, Some(value))
        }
    })
}

/// `name`, if git takes it for an attribute's.
fn name_of(name: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_one = !name.is_empty()
        && !name.starts_with('-')
        && !name.starts_with("builtin_")
        && name.bytes().all(plain);
    is_one.then(|| name.to_owned())
}

/// The pattern that a line begins with, and what follows it. One in quotes may hold blanks.
fn pattern(line: &str) -> (Vec<u8>, &str) {
    if line.starts_with('"')
        && let Ok((pattern, used)) = gix_quote::ansi_c::undo(line.into())
    {
        return (pattern.to_vec(), line.get(used..).unwrap_or_default());
    }
    let (pattern, rest) = line.split_at(line.find(BLANKS).unwrap_or(line.len()));
    (pattern.as_bytes().to_vec(), rest)
}
