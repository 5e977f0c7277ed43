//! The helper's side: what it says while it looks, and the answers.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Mutex;

use super::{MAY_ENTER, PART, PLACE, YES, lock};
use crate::machine::mounts::Mounts;

/// What a helper says while it looks.
pub(crate) trait Telling {
    /// It is about to look at `place`.
    fn at(&self, place: &Path);

    /// Whether it may touch `place`. Where a mount begins there behind which a server stands, this waits until nobody else
    /// looks into it.
    fn may_enter(&self, place: &Path) -> bool;

    /// So much is known by now, as JSON.
    fn part(&self, part: &dyn Fn() -> Vec<u8>);
}

/// Nobody waits.
pub(crate) struct Untold;

impl Telling for Untold {
    fn at(&self, _: &Path) {}

    fn may_enter(&self, _: &Path) -> bool {
        true
    }

    fn part(&self, _: &dyn Fn() -> Vec<u8>) {}
}

/// Who started this process, at the other end of standard input and output.
struct Told<R, W> {
    input: Mutex<R>,
    output: Mutex<W>,
    mounts: Mounts,
}

impl<R: BufRead, W: Write> Told<R, W> {
    /// The next line with its end. `None`: there are no more.
    fn next(&self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let read = lock(&self.input).read_until(b'\n', &mut line)?;
        Ok((read > 0).then_some(line))
    }

    fn line(&self, first: &[u8], rest: &[u8]) {
        let mut output = lock(&self.output);
        // Nobody listens any more when vigil has ended; the next question does not come either.
        let _ = output.write_all(&[first, rest, b"\n"].concat());
        let _ = output.flush();
    }
}

impl<R: BufRead, W: Write> Telling for Told<R, W> {
    fn at(&self, place: &Path) {
        // A path that is no text cannot come from a record.
        if let Ok(text) = serde_json::to_vec(place) {
            self.line(&[PLACE], &text);
        }
    }

    fn may_enter(&self, place: &Path) -> bool {
        if !self.mounts.remote_at(place) {
            return true;
        }
        // What is asked for is a name that all who ask spell alike.
        let name = serde_json::to_vec(&place.to_string_lossy());
        self.line(&[MAY_ENTER], &name.unwrap_or_default());
        self.next()
            .is_ok_and(|answer| answer.as_deref() == Some(YES))
    }

    fn part(&self, part: &dyn Fn() -> Vec<u8>) {
        self.line(&[PART], &part());
    }
}

/// Answers questions until there are no more: the helper's side. `answer` gives JSON, which has no line ends.
pub(crate) fn serve(
    input: impl BufRead,
    output: impl Write,
    mut answer: impl FnMut(&[u8], &dyn Telling) -> Vec<u8>,
) -> io::Result<()> {
    let told = Told {
        input: Mutex::new(input),
        output: Mutex::new(output),
        mounts: Mounts::read(),
    };
    while let Some(question) = told.next()? {
        let answered = answer(question.trim_ascii_end(), &told);
        told.line(&[], &answered);
    }
    Ok(())
}
