//! Blanks a secret in what others said, however it is spelled there.
//!
//! A proxy or an error page may echo what it was sent, and parts of bodies end up in gaps, which are shown, stored and
//! told. JSON may spell any character as an escape, so that a text without the secret can hold it once it is read.

/// What stands in its place.
const BLANK: &[u8] = b"[token]";

/// `body` without `secret`, whether it stands there as it is or with JSON's escapes (`\u0067`, `\/`) for some of its
/// characters. The body need not be JSON, nor text. `secret` is ASCII, as whatever fits into a header; an empty one is
/// nowhere.
pub(super) fn blank(body: Vec<u8>, secret: &str) -> Vec<u8> {
    let secret = secret.as_bytes();
    if secret.is_empty() {
        return body;
    }
    let mut kept: Vec<u8> = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while at < body.len() {
        // Only what could be its first character is looked at closely.
        let Some(next) = memchr::memchr2(secret[0], b'\\', &body[at..]) else {
            break;
        };
        at += next;
        match spelled(&body[at..], secret) {
            Some(length) => {
                kept.extend_from_slice(&body[copied..at]);
                kept.extend_from_slice(BLANK);
                at += length;
                copied = at;
            }
            // An escaped backslash is one character: what follows it is not escaped.
            None if body[at..].starts_with(br"\\") => at += 2,
            None => at += 1,
        }
    }
    if copied == 0 {
        return body;
    }
    kept.extend_from_slice(&body[copied..]);
    kept
}

/// How many bytes of `text` spell `secret` from the start; `None`: they do not.
fn spelled(text: &[u8], secret: &[u8]) -> Option<usize> {
    let mut at = 0;
    for wanted in secret {
        let rest = text.get(at..)?;
        at += match character(rest)? {
            (byte, length) if byte == *wanted => length,
            // A backslash that escapes nothing is one of the secret's own, in what is no JSON.
            _ if rest.first() == Some(wanted) => 1,
            _ => return None,
        };
    }
    Some(at)
}

/// The first character of `text` as JSON reads it, and how many bytes spell it. What is no ASCII is itself.
fn character(text: &[u8]) -> Option<(u8, usize)> {
    match *text {
        [b'\\', b'u', a, b, c, d, ..] => {
            let code = [a, b, c, d].iter().try_fold(0_u32, |code, digit| {
                Some(code * 16 + (*digit as char).to_digit(16)?)
            });
            match code.and_then(|code| u8::try_from(code).ok()) {
                Some(byte) if byte.is_ascii() => Some((byte, 6)),
                _ => Some((b'\\', 1)),
            }
        }
        [b'\\', escaped @ (b'/' | b'\\' | b'"'), ..] => Some((escaped, 2)),
        [byte, ..] => Some((byte, 1)),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "ghp_a/b+c=";

    fn blanked(body: &str) -> String {
        String::from_utf8(blank(body.as_bytes().to_vec(), SECRET)).expect("text")
    }

    #[test]
    fn it_is_blanked_however_it_is_spelled() {
        for body in [
            "ghp_a/b+c=",
            r"\u0067\u0068\u0070\u005f\u0061\u002f\u0062\u002b\u0063\u003d",
            r"\u0067\u0068\u0070\u005F\u0061\u002F\u0062\u002B\u0063\u003D",
            r"ghp_a\/b+c=",
            r"gh\u0070_a\/b+c\u003d",
        ] {
            let said = format!("{{\"message\":\"rejected: Bearer {body}\"}}");
            assert_eq!(blanked(&said), "{\"message\":\"rejected: Bearer [token]\"}");
            assert_eq!(blanked(&format!("{body}{body}")), "[token][token]");
        }
    }

    #[test]
    fn what_does_not_spell_it_stays_as_it_is() {
        for body in [
            "",
            "ghp_a/b+c",
            r"\u0167hp_a/b+c=",
            r"\u00",
            r"\\u0067hp_a/b+c=",
            r"\u0067\u0068",
            "\\",
        ] {
            assert_eq!(blanked(body), body);
        }
        assert_eq!(blank(b"anything".to_vec(), ""), b"anything");
    }

    #[test]
    fn a_body_that_is_no_text_is_searched_too() {
        let body = [b"\xff\xfe ".as_slice(), SECRET.as_bytes(), b" \xff"].concat();
        assert_eq!(blank(body, SECRET), b"\xff\xfe [token] \xff");
    }

    #[test]
    fn a_secret_with_a_backslash_is_found_outside_of_json() {
        assert_eq!(blank(br"say a\b!".to_vec(), r"a\b"), b"say [token]!");
        assert_eq!(
            blank(br#"{"m":"a\\b"}"#.to_vec(), r"a\b"),
            br#"{"m":"[token]"}"#
        );
    }

    proptest! {
        /// Whatever stands around it, and whichever characters are escaped, no JSON string of the result holds it.
        #[test]
        fn no_string_of_a_blanked_document_holds_it(
            before in ".{0,20}",
            after in ".{0,20}",
            escaped in prop::collection::vec(any::<bool>(), SECRET.len()),
        ) {
            let spelled: String = SECRET
                .bytes()
                .zip(escaped)
                .map(|(byte, escape)| match escape {
                    true => format!("\\u{byte:04x}"),
                    false => (byte as char).to_string(),
                })
                .collect();
            let inner = |text: &str| {
                let quoted = serde_json::to_string(text).expect("JSON");
                quoted[1..quoted.len() - 1].to_owned()
            };
            let body = format!("\"{}{spelled}{}\"", inner(&before), inner(&after));
            let blanked = blank(body.into_bytes(), SECRET);
            let text: String = serde_json::from_slice(&blanked).expect("JSON");
            prop_assert_eq!(text, format!("{before}[token]{after}"));
        }
    }
}
