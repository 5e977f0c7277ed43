//! What git makes of a file's content before it compares it: line ends, and the mark `$Id$`.

use super::attributes::{Attributes, Value};
use super::config::Config;

/// What becomes of line ends on the way into the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// They stay.
    Keep,
    /// Each CR LF becomes LF.
    Text,
    /// The same where the content is text, and what is committed has no CR LF.
    Auto,
}

/// What git does with the line ends of a file with these attributes (gitattributes, "End-of-line conversion").
pub(crate) fn ends(attributes: &Attributes, config: &Config) -> Ends {
    let stated = |name: &str| match attributes.get(name) {
        Some(Value::True) => Some(Ends::Text),
        Some(Value::False) => Some(Ends::Keep),
        Some(Value::Text(text)) if text == "auto" => Some(Ends::Auto),
        Some(Value::Text(text)) if text == "input" => Some(Ends::Text),
        _ => None,
    };
    // `crlf` is what `text` was called long ago.
    let ends = stated("text").or_else(|| stated("crlf"));
    let names_end =
        matches!(attributes.get("eol"), Some(Value::Text(end)) if end == "lf" || end == "crlf");
    match ends {
        Some(ends) => ends,
        None if names_end => Ends::Text,
        None => match config.text("core", "autocrlf") {
            Some(value) if value.eq_ignore_ascii_case("input") => Ends::Auto,
            _ if config.flag("core", "autocrlf") == Some(true) => Ends::Auto,
            _ => Ends::Keep,
        },
    }
}

/// What a content is made of, as far as it says whether it is text.
#[derive(Debug, Default)]
struct Made {
    nul: bool,
    lone_cr: bool,
    crlf: bool,
    printable: usize,
    other: usize,
}

fn made_of(content: &[u8]) -> Made {
    let mut made = Made::default();
    let mut bytes = content.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' if bytes.peek() == Some(&&b'\n') => {
                bytes.next();
                made.crlf = true;
            }
            b'\r' => made.lone_cr = true,
            b'\n' => {}
            0 => {
                made.nul = true;
                made.other += 1;
            }
            8 | b'\t' | 27 | 12 => made.printable += 1,
            127 | 0..=31 => made.other += 1,
            _ => made.printable += 1,
        }
    }
    // The end of a text, to old systems.
    if content.last() == Some(&26) {
        made.other -= 1;
    }
    made
}

impl Made {
    fn is_binary(&self) -> bool {
        self.lone_cr || self.nul || self.printable >> 7 < self.other
    }
}

/// Whether git leaves the line ends of a file alone because of what is committed: text with CR LF in it.
pub(crate) fn has_crlf(committed: &[u8]) -> bool {
    let made = made_of(committed);
    made.crlf && !made.is_binary()
}

/// `content` with its line ends as they would be committed.
pub(crate) fn convert(content: Vec<u8>, ends: Ends, committed_has_crlf: bool) -> Vec<u8> {
    match ends {
        Ends::Keep => return content,
        Ends::Auto if committed_has_crlf || made_of(&content).is_binary() => return content,
        Ends::Auto | Ends::Text => {}
    }
    let mut made = Vec::with_capacity(content.len());
    let mut bytes = content.iter().peekable();
    while let Some(byte) = bytes.next() {
        if *byte == b'\r' && bytes.peek() == Some(&&b'\n') {
            continue;
        }
        made.push(*byte);
    }
    made
}

/// `content` with each `$Id: ... $` as it is committed, `$Id$`.
pub(crate) fn without_ids(content: Vec<u8>) -> Vec<u8> {
    let mut made = Vec::with_capacity(content.len());
    let mut rest: &[u8] = &content;
    while let Some(at) = memchr::memmem::find(rest, b"$Id") {
        let (before, after) = rest.split_at(at + 3);
        made.extend_from_slice(before);
        rest = after;
        if rest.first() == Some(&b':') {
            let end = rest.iter().position(|byte| matches!(byte, b'$' | b'\n'));
            if let Some(end) = end.filter(|end| rest[*end] == b'$') {
                rest = &rest[end..];
            }
        }
    }
    made.extend_from_slice(rest);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_converted_where_git_converts_them() {
        let convert = |content: &[u8], ends| convert(content.to_vec(), ends, false);
        assert_eq!(convert(b"a\r\nb\n", Ends::Text), b"a\nb\n");
        assert_eq!(convert(b"a\r\nb\n", Ends::Auto), b"a\nb\n");
        assert_eq!(convert(b"a\r\nb\n", Ends::Keep), b"a\r\nb\n");
        // No text: a zero, a lone CR, too much that nobody reads.
        assert_eq!(convert(b"a\r\n\0", Ends::Auto), b"a\r\n\0");
        assert_eq!(convert(b"a\r\nb\r", Ends::Auto), b"a\r\nb\r");
        assert_eq!(convert(b"a\r\n\x01", Ends::Auto), b"a\r\n\x01");
        assert_eq!(convert(b"a\r\n\x1a", Ends::Auto), b"a\n\x1a");
        assert!(has_crlf(b"a\r\n") && !has_crlf(b"a\n") && !has_crlf(b"\0\r\n"));
        assert_eq!(
            without_ids(b"a $Id: x $ b $Id$ c $Id: y\n$".to_vec()),
            b"a $Id$ b $Id$ c $Id: y\n$"
        );
    }
}
