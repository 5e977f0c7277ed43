//! GitHub's words made fit for a journal and a terminal.

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

/// Whether a terminal would obey `c` instead of showing it: a control character, or one that turns the direction of
/// what follows (Unicode, *UAX #9*, explicit formatting), so that it reads as something else.
pub fn misleads(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The beginning of a foreign text, without what misleads: it ends up on terminals.
pub(crate) fn short(text: &str) -> String {
    let mut kept: String = text
        .chars()
        .map(|c| if misleads(c) { ' ' } else { c })
        .take(TEXT_MAX + 1)
        .collect();
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
        assert_eq!(dashed("NOT_PLANNED"), "not-planned");
        assert_eq!(dashed("A B\u{7}"), "a-b-");
    }
}
