//! What git ignores below a folder, as far as `.gitignore` and `info/exclude` say so.
//!
//! These files are an agent's to write, so that each is opened without waiting and read with a bound, and all of one
//! worktree together may hold no more patterns than memory and time allow: a matcher takes some 12 KB for each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use vigil_core::fact::{Gap, GapKind};

use super::open::Regular;

/// 256 KiB for one file: the longest in public use have a tenth of it.
pub const FILE_BYTES_MAX: u64 = 256 << 10;

/// 5,000 patterns below one folder take 60 MB and a quarter of a second; large public repositories have some hundred.
pub const PATTERNS_MAX: usize = 5_000;

/// 1 KiB for one pattern: four names of the longest kind.
pub const PATTERN_BYTES_MAX: usize = 1 << 10;

/// The matchers of files that were read before, by their text: the worktrees of one repository have the same ones.
#[derive(Debug, Default)]
pub struct Matchers {
    known: HashMap<String, (Arc<Gitignore>, usize)>,
    /// The patterns of all that is known.
    patterns: usize,
}

impl Matchers {
    /// The matcher of `text`, and how many patterns it has.
    fn of(&mut self, text: String) -> (Arc<Gitignore>, usize) {
        if let Some(known) = self.known.get(&text) {
            return known.clone();
        }
        let mut builder = GitignoreBuilder::new("");
        for line in text.trim_start_matches('\u{feff}').lines() {
            // A pattern that is none ignores nothing.
            let _ = builder.add_line(None, line);
        }
        let matcher = builder.build().unwrap_or_else(|_| Gitignore::empty());
        let patterns = matcher.len();
        if self.patterns + patterns > PATTERNS_MAX {
            self.known.clear();
            self.patterns = 0;
        }
        self.patterns += patterns;
        let made = (Arc::new(matcher), patterns);
        self.known.insert(text, made.clone());
        made
    }
}

/// The rules that hold in one folder: its own, then those of the folders above it.
#[derive(Clone, Debug, Default)]
pub struct Rules(Option<Arc<Level>>);

#[derive(Debug)]
struct Level {
    /// Where its file lies, below the folder that is walked; paths are matched from there.
    base: PathBuf,
    matcher: Arc<Gitignore>,
    above: Rules,
}

impl Rules {
    /// These rules and, before them, those of `file`, which lies in `base`. `left` is how many patterns there is room
    /// for, and becomes less by those of the file.
    ///
    /// # Errors
    /// The file cannot be read, or holds more than its bounds. The gap names it.
    pub fn and(
        &self,
        base: &Path,
        file: Regular,
        matchers: &mut Matchers,
        left: &mut usize,
    ) -> Result<Rules, Gap> {
        let path = file.path().to_owned();
        let too_large = |what: String| {
            Gap::new(
                GapKind::TooLarge,
                format!("{} holds {what}", path.display()),
            )
        };
        let bytes = file.read(FILE_BYTES_MAX)?;
        // What is not UTF-8 matches no name that can be written in it.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines = text.lines().filter(|line| is_pattern(line));
        let (count, longest) = lines.fold((0, 0), |(count, longest), line| {
            (count + 1, line.len().max(longest))
        });
        if longest > PATTERN_BYTES_MAX {
            return Err(too_large(format!("a pattern of {longest} bytes")));
        }
        *left = left.checked_sub(count).ok_or_else(|| {
            too_large(format!(
                "patterns beyond the {PATTERNS_MAX} that vigil takes from one worktree"
            ))
        })?;
        let (matcher, patterns) = matchers.of(text);
        if patterns == 0 {
            return Ok(self.clone());
        }
        Ok(Rules(Some(Arc::new(Level {
            base: base.to_owned(),
            matcher,
            above: self.clone(),
        }))))
    }

    /// Whether git ignores `path`, which lies below the folder that is walked. Of the folders above it none is ignored.
    pub fn ignores(&self, path: &Path, is_folder: bool) -> bool {
        let mut rules = self;
        while let Some(level) = &rules.0 {
            let within = path.strip_prefix(&level.base).unwrap_or(path);
            match level.matcher.matched(within, is_folder) {
                Match::None => rules = &level.above,
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        false
    }
}

fn is_pattern(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with('#')
}
