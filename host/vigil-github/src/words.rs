//! GitHub's words made fit for a journal and a terminal.

use std::borrow::Cow;

/// The longest text of GitHub's that is kept in a gap, in characters.
const TEXT_MAX: usize = 200;

/// `NOT_PLANNED` as `not-planned`. What is neither letter nor digit becomes a dash.
pub(crate) fn dashed(word: &str) -> String {
    word.chars()
        .take(TEXT_MAX)
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
            _ => '-',
        })
        .collect()
}

/// Whether a character misleads whoever reads a text on a screen: it steers the terminal, turns the direction of what
/// follows, ends a line for some readers and not for others, or cannot be seen. Joiners, which belong to many scripts
/// and to emoji, do so only beside plain letters; see [`without_misleading`].
pub fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Marks of direction, and what isolates or turns it.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Separators of lines and paragraphs.
            | '\u{2028}' | '\u{2029}'
            // Without width: a word with one in it reads like another word.
            | '\u{00ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            // Letters that are drawn as nothing.
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
            // Tags: a whole second text that nobody sees.
            | '\u{e0000}'..='\u{e007f}'
        )
}

/// Joins what stands on both sides of it, and cannot be seen where nothing joins.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// `text` with `instead` in the place of every character that misleads. `keep` says which ones stay all the same.
pub fn without_misleading(text: &str, instead: char, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_suspect = |c: char| is_joiner(c) || misleads(c) && !keep(c);
    if !text.contains(is_suspect) {
        return Cow::Borrowed(text);
    }
    let mut before = None;
    let mut rest = text.chars().peekable();
    let mut clean = String::with_capacity(text.len());
    while let Some(c) = rest.next() {
        let mut joins = || {
            let is_of_a_script = |beside: Option<char>| {
                beside.is_some_and(|c| !c.is_ascii() && !is_joiner(c) && !misleads(c))
            };
            is_of_a_script(before) && is_of_a_script(rest.peek().copied())
        };
        let stays = match is_joiner(c) {
            true => joins(),
            false => !misleads(c) || keep(c),
        };
        clean.push(if stays { c } else { instead });
        before = Some(c);
    }
    Cow::Owned(clean)
}

/// The beginning of a foreign text, without what misleads: it ends up on terminals.
pub(crate) fn short(text: &str) -> String {
    let start: String = text.chars().take(TEXT_MAX + 1).collect();
    let mut kept = without_misleading(&start, ' ', |_| false).into_owned();
    if kept.chars().count() > TEXT_MAX {
        kept.pop();
        kept.push('…');
    }
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_short_and_has_no_escape_codes() {
        assert_eq!(short("a\u{1b}[31mb\nc"), "a [31mb c");
        assert_eq!(short(&"x".repeat(500)).chars().count(), TEXT_MAX + 1);
        assert_eq!(short("moc.\u{202e}live"), "moc. live");
        assert_eq!(dashed("NOT_PLANNED"), "not-planned");
        assert_eq!(dashed("A B\u{7}"), "a-b-");
    }

    #[test]
    fn what_cannot_be_seen_or_turns_the_text_is_replaced() {
        for c in [
            '\u{7}',
            '\u{1b}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{200b}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{3164}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            let said = format!("a{c}b");
            assert_eq!(without_misleading(&said, '?', |_| false), "a?b", "{c:?}");
            assert_eq!(
                without_misleading(&said, '?', |one| one == c),
                said,
                "{c:?}"
            );
        }
    }

    #[test]
    fn a_joiner_stays_where_it_joins() {
        for (said, shown) in [
            ("a\u{200d}b", "a?b"),
            ("\u{200c}a", "?a"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("👩\u{200d}💻", "👩\u{200d}💻"),
            ("é\u{200d}\u{200d}é", "é??é"),
        ] {
            let is_kept = without_misleading(said, '?', |_| false);
            assert_eq!(is_kept, shown, "{said:?}");
        }
    }
}
