//! What git ignores: `.gitignore` of each folder, `info/exclude` of the repository, and the person's own file.
//!
//! Not by gix-ignore (0.24): for these few lines it brings gix-path along, which starts git to ask for its folders.

use super::glob::Glob;

/// 1 MiB: a hundred thousand patterns.
pub(crate) const BYTES_MAX: u64 = 1 << 20;

/// The patterns of one file.
#[derive(Debug, Default)]
pub(crate) struct Patterns(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    glob: Glob,
    /// What matches is *not* ignored.
    kept: bool,
    /// Folders alone.
    folders: bool,
}

impl Patterns {
    pub(crate) fn parse(text: &[u8], fold: bool) -> Patterns {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Patterns(
            text.split(|byte| *byte == b'\n')
                .filter_map(|line| pattern(line, fold))
                .collect(),
        )
    }

    /// Whether `path`, as seen from the folder of this file, is ignored. `None`: the file does not say. What the answer
    /// cost is added to `cost`.
    pub(crate) fn says(
        &self,
        path: &[u8],
        name: &[u8],
        is_folder: bool,
        cost: &mut u64,
    ) -> Option<bool> {
        let matching = self
            .0
            .iter()
            .rev()
            .find(|one| (is_folder || !one.folders) && one.glob.matches(path, name, cost));
        matching.map(|one| !one.kept)
    }
}

fn pattern(line: &[u8], fold: bool) -> Option<Pattern> {
    let mut line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.starts_with(b"#") {
        return None;
    }
    // Blanks at the end do not count, unless a backslash keeps them.
    while let Some(shorter) = line.strip_suffix(b" ") {
        let backslashes = shorter
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        if backslashes % 2 == 1 {
            break;
        }
        line = shorter;
    }
    let (kept, line) = match line.strip_prefix(b"!") {
        Some(line) => (true, line),
        None => (false, line),
    };
    let (folders, line) = match line.strip_suffix(b"/") {
        Some(line) => (true, line),
        None => (false, line),
    };
    (!line.is_empty()).then(|| Pattern {
        glob: Glob::new(line, fold),
        kept,
        folders,
    })
}
