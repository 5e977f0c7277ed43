//! Attributes of files, as far as they say how content is stored: `text`, `eol`, `filter` and their like.
//!
//! Not by gix-attributes (0.37), which brings gix-path along, as gix-ignore does.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::glob::Glob;

/// 2,048: git passes over a line with as many bytes.
const LINE_BYTES: usize = 2048;

/// What stands between the words of a line.
const BLANKS: &[u8] = b" \t\r";

/// What one attribute is for a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    True,
    False,
    Text(String),
}

/// The attributes of one path. What is missing is not specified.
pub(crate) type Attributes = HashMap<String, Value>;

/// What a name is set to. `None`: to what it is where nothing is said.
type Set = (String, Option<Value>);

/// The rules of one file.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    macros: HashMap<String, Vec<Set>>,
}

#[derive(Debug)]
struct Rule {
    glob: Glob,
    sets: Vec<Set>,
}

impl Rules {
    /// Reads a file. Names for several attributes are taken where git takes them, at the top.
    pub(crate) fn parse(text: &[u8], top: bool, fold: bool) -> Rules {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut rules = Rules::default();
        for line in text.split(|byte| *byte == b'\n') {
            if line.len() < LINE_BYTES {
                // A line with a mistake says nothing, for git either: `*.png binary # pictures` has one.
                let _ = rules.line(line, top, fold);
            }
        }
        rules
    }

    /// `None`: it says nothing, or is none.
    fn line(&mut self, line: &[u8], top: bool, fold: bool) -> Option<()> {
        let line = line.get(line.iter().position(|byte| !BLANKS.contains(byte))?..)?;
        if line.starts_with(b"#") {
            return None;
        }
        let (pattern, rest) = pattern(line);
        let words = rest.split(|byte| BLANKS.contains(byte));
        let sets = words
            .filter(|word| !word.is_empty())
            .map(|word| set(&String::from_utf8_lossy(word)))
            .collect::<Option<Vec<_>>>()?;
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

    /// What git knows without a file.
    pub(crate) fn builtin() -> Rules {
        Rules::parse(b"[attr]binary -diff -merge -text", true, false)
    }
}

/// The attributes of a path whose last part is `name`: what `files` say, the weakest first, each with the path as seen
/// from its folder. What the answer costs is added to `cost`.
pub(crate) fn of(files: &[(&Rules, &[u8])], name: &[u8], cost: &mut u64) -> Attributes {
    let mut macros: HashMap<&str, &[Set]> = HashMap::new();
    for (rules, _) in files {
        *cost += rules.macros.len() as u64;
        let own = rules.macros.iter();
        macros.extend(own.map(|(name, sets)| (name.as_str(), sets.as_slice())));
    }
    // From the strongest on: what was said once stands, so that each name is gone through once, whatever stands for what.
    let mut said: HashMap<&str, Option<&Value>> = HashMap::new();
    for (rules, path) in files.iter().rev() {
        for rule in rules.rules.iter().rev() {
            if !rule.glob.matches(path, name, cost) {
                continue;
            }
            let mut open = vec![rule.sets.as_slice()];
            while let Some(sets) = open.last_mut() {
                let Some(((name, value), before)) = sets.split_last() else {
                    open.pop();
                    continue;
                };
                *sets = before;
                *cost += 1;
                if let Entry::Vacant(vacant) = said.entry(name) {
                    vacant.insert(value.as_ref());
                    if *value == Some(Value::True) {
                        open.extend(macros.get(name.as_str()));
                    }
                }
            }
        }
    }
    said.into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.clone())))
        .collect()
}

/// What a word sets. `None`: its name is none.
fn set(word: &str) -> Option<Set> {
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
fn pattern(line: &[u8]) -> (Vec<u8>, &[u8]) {
    if line.starts_with(b"\"")
        && let Ok((pattern, used)) = gix_quote::ansi_c::undo(line.into())
    {
        return (pattern.to_vec(), line.get(used..).unwrap_or_default());
    }
    let end = line.iter().position(|byte| BLANKS.contains(byte));
    let (pattern, rest) = line.split_at(end.unwrap_or(line.len()));
    (pattern.to_owned(), rest)
}
