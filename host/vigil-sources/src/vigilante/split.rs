//! The records of `sessions.json` one after another, in memory for one record: a file of a fleet has hundreds of
//! megabytes, most of them in copies of issues.
//!
//! What is not plainly an array of objects is a [`Doubt`], and no error: then the file is read whole, by the reader that
//! can say what is wrong with it and where.

use std::io::{self, Read};
use std::ops::Range;

use memchr::memchr2;

/// 1 MiB: few calls of the system, and small beside everything else.
const CHUNK_BYTES: usize = 1 << 20;

/// The file cannot be split like this.
#[derive(Debug)]
pub(super) struct Doubt;

impl From<io::Error> for Doubt {
    fn from(_: io::Error) -> Self {
        Doubt
    }
}

/// Calls `each` with every object of the array that `reader` holds: its first byte's place and its bytes, of which
/// nothing is sure but where they end if they are JSON at all.
pub(super) fn split(
    mut reader: impl Read,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), Doubt>,
) -> Result<(), Doubt> {
    let mut buffer: Vec<u8> = Vec::with_capacity(CHUNK_BYTES);
    // Where the buffer's first byte stands in the file.
    let mut base = 0u64;
    let mut state = State::default();
    loop {
        // What is left of the record that the last chunk cut.
        let kept = state.unfinished(buffer.len());
        base += kept.start as u64;
        buffer.copy_within(kept.clone(), 0);
        buffer.truncate(kept.len());
        state.moved(kept.start);
        let read = (&mut reader)
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut buffer)?;
        if read == 0 {
            return match state.expects {
                Expects::Nothing => Ok(()),
                _ => Err(Doubt),
            };
        }
        while let Some(found) = state.next(&buffer)? {
            each(base + found.start as u64, &buffer[found])?;
        }
    }
}

/// What may come next outside of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expects {
    #[default]
    Array,
    RecordOrEnd,
    Record,
    CommaOrEnd,
    Nothing,
}

/// How far the buffer was looked at.
#[derive(Debug, Default)]
struct State {
    expects: Expects,
    /// The next byte to look at.
    at: usize,
    /// Where the record under way begins.
    began: Option<usize>,
    /// Braces and brackets that are open in it.
    depth: usize,
    in_text: bool,
}

impl State {
    /// The part of a buffer of `len` bytes that is still needed.
    fn unfinished(&self, len: usize) -> Range<usize> {
        self.began.unwrap_or(self.at).min(len)..len
    }

    /// The buffer's first `by` bytes are gone.
    fn moved(&mut self, by: usize) {
        self.at -= by;
        self.began = self.began.map(|began| began - by);
    }

    /// The next whole record in `buffer`; `None`: more has to be read first.
    fn next(&mut self, buffer: &[u8]) -> Result<Option<Range<usize>>, Doubt> {
        if self.began.is_none() && !self.find(buffer)? {
            return Ok(None);
        }
        let Some(end) = self.end(buffer) else {
            return Ok(None);
        };
        let began = self.began.take().unwrap_or(end);
        self.expects = Expects::CommaOrEnd;
        Ok(Some(began..end))
    }

    /// Walks to the next record's first brace; false: the buffer is at its end.
    fn find(&mut self, buffer: &[u8]) -> Result<bool, Doubt> {
        while let Some(byte) = buffer.get(self.at) {
            self.expects = match (self.expects, byte) {
                (same, b' ' | b'\t' | b'\n' | b'\r') => same,
                (Expects::Array, b'[') => Expects::RecordOrEnd,
                (Expects::RecordOrEnd | Expects::CommaOrEnd, b']') => Expects::Nothing,
                (Expects::CommaOrEnd, b',') => Expects::Record,
                (Expects::RecordOrEnd | Expects::Record, b'{') => {
                    self.began = Some(self.at);
                    return Ok(true);
                }
                _ => return Err(Doubt),
            };
            self.at += 1;
        }
        Ok(false)
    }

    /// Walks to behind the brace that closes the record under way; `None`: it is not in the buffer.
    fn end(&mut self, buffer: &[u8]) -> Option<usize> {
        loop {
            let rest = buffer.get(self.at..)?;
            if self.in_text {
                let Some(found) = memchr2(b'"', b'\\', rest) else {
                    self.at = buffer.len();
                    return None;
                };
                if rest[found] == b'"' {
                    self.in_text = false;
                    self.at += found + 1;
                } else if found + 1 < rest.len() {
                    // Whatever is escaped ends no text.
                    self.at += found + 2;
                } else {
                    self.at += found;
                    return None;
                }
                continue;
            }
            // Between texts there are a few bytes at a time.
            let mut closed = false;
            for byte in rest {
                self.at += 1;
                match byte {
                    b'"' => {
                        self.in_text = true;
                        break;
                    }
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => {
                        self.depth -= 1;
                        closed = self.depth == 0;
                        if closed {
                            break;
                        }
                    }
                    _ => {}
                }
            }
            if closed {
                return Some(self.at);
            }
            if !self.in_text {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
