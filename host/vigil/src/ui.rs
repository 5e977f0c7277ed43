//! The only place that prints. Results go to standard output, events and errors to standard error.

mod ages;
mod bar;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use vigil_core::{State, Timestamp};
use vigil_github::{misleads, without_misleading};

pub use ages::{minute, with_ages};
pub use bar::{Bar, Beside};

use crate::failure::Failure;

/// Where and how a command prints.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    /// Results as JSON, one document.
    pub json: bool,
}

/// A sentence in fewer columns than this is no sentence any more.
const SENTENCE_WIDTH_MIN: usize = 40;

/// Yellow: look at this.
pub const NOTICE: Style = AnsiColor::Yellow.on_default();
/// Red: something failed.
pub const ALARM: Style = AnsiColor::Red.on_default().bold();
/// Green: as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Bold: headings.
pub const HEAD: Style = Style::new().bold();
/// Dim: what is only there for completeness.
pub const FAINT: Style = Style::new().dimmed();

impl Ui {
    /// Prints a result in one line. A reader that went away is no error.
    pub fn line(self, text: impl AsRef<str>) {
        let mut out = anstream::stdout().lock();
        must_be_written(writeln!(out, "{}", shown(text.as_ref())));
    }

    /// Prints a JSON document.
    pub fn document(self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::world("failed to write the result as JSON").because(error))?;
        self.line(escaped(&text));
        Ok(())
    }

    /// Prints what others said: records, policies, the forge. Nothing in it can steer the terminal.
    pub fn said(self, text: impl AsRef<str>) {
        self.line(clean(text.as_ref()));
    }

    /// Prints a heading with what belongs to it.
    pub fn heading(self, text: impl AsRef<str>) {
        self.line(styled(HEAD, clean(text.as_ref())));
    }

    /// Prints a table without frames, so that it can be cut and searched. In a pipe a row is a line, however long; on a
    /// terminal that is too narrow the last column, the one with sentences, goes below its row.
    pub fn table(self, heads: &[&str], rows: Vec<Vec<String>>) {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        let width = io::stdout()
            .is_terminal()
            .then(|| table.width())
            .flatten()
            .map(usize::from);
        let last = heads.len().saturating_sub(1);
        let before: usize = (0..last)
            .map(|column| {
                let cells = rows.iter().filter_map(|row| row.get(column));
                let widest = cells
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or_default();
                widest.max(heads[column].chars().count()) + 2
            })
            .sum();
        let below = width.is_some_and(|width| width < before + SENTENCE_WIDTH_MIN);
        if width.is_some() && !below {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        let shown = if below { last } else { heads.len() };
        table.set_header(heads[..shown].iter().map(|head| head.to_uppercase()));
        for row in &rows {
            table.add_row(row.iter().take(shown).map(|cell| clean(cell)));
        }
        let text = table.to_string();
        let mut lines = text.lines();
        // One write for all rows: a thousand of them are printed while a person waits.
        let mut printed = String::with_capacity(text.len());
        if below {
            printed.push_str(lines.next().unwrap_or_default().trim_end());
            printed.push('\n');
        }
        for (at, line) in lines.enumerate() {
            printed.push_str(line.trim_end());
            printed.push('\n');
            if below && let Some(sentence) = rows.get(at).and_then(|row| row.get(last)) {
                printed.push_str("     ");
                printed.push_str(&clean(sentence));
                printed.push('\n');
            }
        }
        self.line(printed.trim_end_matches('\n'));
    }

    /// Prints a remark for people on standard error; nothing while results go out as JSON to a pipe.
    pub fn remark(self, text: impl AsRef<str>) {
        let mut err = anstream::stderr().lock();
        ignore_broken_pipe(writeln!(err, "{}", shown(text.as_ref())));
    }

    /// Prints what a person can do about what was just said.
    pub fn hint(self, hint: &str) {
        self.line(format!("{NOTICE}hint{NOTICE:#}: {}", clean(hint)));
    }

    /// Prints a failure with its causes and hints, once.
    pub fn failure(self, failure: &Failure) {
        let mut err = anstream::stderr().lock();
        let failure_said = failure.to_string();
        ignore_broken_pipe(writeln!(
            err,
            "{ALARM}error{ALARM:#}: {}",
            lines(&failure_said)
        ));
        for hint in failure.hints() {
            ignore_broken_pipe(writeln!(err, "{NOTICE}hint{NOTICE:#}: {}", lines(hint)));
        }
    }
}

fn ignore_broken_pipe(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() == io::ErrorKind::BrokenPipe
    {
        // The reader has what it wanted, for example `vigil status | head`.
        std::process::exit(i32::from(crate::failure::EXIT_DONE));
    }
}

/// A result that cannot be written is no result: a full disk must not look like a success.
fn must_be_written(written: io::Result<()>) {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let mut err = anstream::stderr().lock();
            let _ = writeln!(err, "error: failed to write to standard output: {error}");
            std::process::exit(i32::from(crate::failure::EXIT_FAILED));
        }
        written => ignore_broken_pipe(written),
    }
}

/// `text` without what misleads a reader: an escape sequence in a branch name or a reason must not reach the terminal.
pub fn clean(text: &str) -> Cow<'_, str> {
    without_misleading(text, char::REPLACEMENT_CHARACTER, |_| false)
}

/// As [`clean`], for what has several lines.
fn lines(text: &str) -> Cow<'_, str> {
    without_misleading(text, char::REPLACEMENT_CHARACTER, |c| {
        matches!(c, '\n' | '\t')
    })
}

/// What is printed of a text that carries styles: as [`lines`], but for the escape sequences that vigil's own styles
/// consist of. Foreign text is cleaned before it is put into such a one; this is the net below, for what was forgotten.
fn shown(text: &str) -> Cow<'_, str> {
    without_misleading(text, char::REPLACEMENT_CHARACTER, |c| {
        matches!(c, '\n' | '\t' | '\u{1b}')
    })
}

/// A JSON document in which whatever would mislead a reader is spelled as an escape: the same document to every program.
fn escaped(json: &str) -> Cow<'_, str> {
    // Outside of strings JSON holds no such characters but the ends of its lines.
    let misleads = |c: char| c != '\n' && (misleads(c) || matches!(c, '\u{200c}' | '\u{200d}'));
    if !json.contains(misleads) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if misleads(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
    Cow::Owned(text)
}

/// Text in `style`.
pub fn styled(style: Style, text: impl AsRef<str>) -> String {
    format!("{style}{}{style:#}", text.as_ref())
}

/// A state by its name, with a colour beside the word.
pub fn state(state: State) -> String {
    let style = match state {
        State::Running | State::Maintaining => GOOD,
        State::Blocked | State::Interrupted => NOTICE,
        State::Failed => ALARM,
        State::Queued | State::Succeeded | State::Closed => Style::new(),
    };
    styled(style, state.as_str())
}

/// A moment as people and programs read it: RFC 3339, UTC, whole seconds.
pub fn moment(at: Timestamp) -> String {
    match i64::try_from(at.0 / 1000)
        .ok()
        .and_then(|s| jiff::Timestamp::from_second(s).ok())
    {
        Some(time) => time.to_string(),
        None => format!("{at} s after the epoch"),
    }
}

/// How long ago `at` was: the two largest units at the most.
pub fn age(at: Timestamp, now: Timestamp) -> String {
    span_ms(at.age(now).as_millis())
}

/// A length of time: the two largest units at the most.
pub fn span_ms(ms: u128) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, 0) => format!("{hours} h"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, 0, _) => format!("{days} d"),
        _ => format!("{days} d {hours} h"),
    }
}

/// `1 session`, `2 sessions`.
pub fn count(n: usize, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_says_its_two_largest_units() {
        for (ms, words) in [
            (0, "0 s"),
            (59_999, "59 s"),
            (109 * 60_000, "1 h 49 min"),
            (7_200_000, "2 h"),
            (26 * 3_600_000, "1 d 2 h"),
        ] {
            assert_eq!(span_ms(ms), words);
        }
    }

    #[test]
    fn what_others_said_cannot_steer_the_terminal() {
        assert_eq!(
            clean("plain, und übrigens 漢字"),
            "plain, und übrigens 漢字"
        );
        assert_eq!(clean("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(clean("moc.\u{202e}live"), "moc.\u{fffd}live");
    }

    #[test]
    fn a_forgotten_text_keeps_its_styles_and_lines_and_loses_the_rest() {
        let said = format!(
            "{}\n\tmoc.\u{202e}live\u{200b}\u{2028}",
            styled(HEAD, "head")
        );
        let printed = format!(
            "{}\n\tmoc.\u{fffd}live\u{fffd}\u{fffd}",
            styled(HEAD, "head")
        );
        assert_eq!(shown(&said), printed);
    }

    #[test]
    fn a_document_is_the_same_to_programs_and_misleads_nobody() {
        let value = serde_json::json!({ "na\u{202e}me": "a\u{200d}b\u{2028}c\u{e0041}\u{9b}\n" });
        let text = serde_json::to_string_pretty(&value).expect("JSON");
        let printed = escaped(&text);
        assert!(printed.is_ascii(), "{printed}");
        assert!(printed.lines().count() == 3, "{printed}");
        let read: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(read, value);
    }

    #[test]
    fn a_moment_is_rfc_3339() {
        assert_eq!(moment(Timestamp(1_774_546_268_999)), "2026-03-26T17:31:08Z");
    }
}
