//! Where merged work counts as landed: a merge into any other branch is a step on the way, and no result.

use std::fmt;

use globset::GlobBuilder;
use serde::{Deserialize, Serialize};

/// The branches on which the work of a session counts as landed, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Landing {
    /// The branch that the record names for the work; `None`: it names none.
    pub base: Option<String>,
    /// The repository's default branch; `None`: nobody knows.
    pub default: Option<String>,
    /// Patterns from the source's configuration, see [`check`].
    pub patterns: Vec<String>,
}

/// What a branch is to a session's work, the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The record's base.
    Base,
    /// The repository's default branch.
    Default,
    /// A pattern of the source's configuration names it.
    Listed,
    /// It may be the default branch: nobody knows that one.
    Unknown,
    /// None of them: work that is merged here has not landed.
    Elsewhere,
}

impl Place {
    /// Work that is merged here has landed.
    pub fn lands(self) -> bool {
        matches!(self, Place::Base | Place::Default | Place::Listed)
    }
}

impl Landing {
    /// What `branch` is. Git tells upper from lower case, and so does this.
    pub fn place(&self, branch: &str) -> Place {
        if self.base.as_deref() == Some(branch) {
            return Place::Base;
        }
        if self.default.as_deref() == Some(branch) {
            return Place::Default;
        }
        if self.patterns.iter().any(|pattern| matches(pattern, branch)) {
            return Place::Listed;
        }
        match self.default {
            Some(_) => Place::Elsewhere,
            None => Place::Unknown,
        }
    }
}

/// Why a pattern is none, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPattern(String);

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadPattern {}

/// Whether `pattern` can name branches: `*` and `?` stand for anything but a slash, `**` for any number of parts, and
/// `{a,b}` and `[ab]` for one of several.
///
/// # Errors
/// The pattern is empty, or something in it is not closed.
pub fn check(pattern: &str) -> Result<(), BadPattern> {
    if pattern.is_empty() {
        return Err(BadPattern("an empty pattern names no branch".to_owned()));
    }
    match glob(pattern) {
        Ok(_) => Ok(()),
        Err(error) => Err(BadPattern(format!(
            "\"{pattern}\" is no pattern of branches: {}",
            error.kind()
        ))),
    }
}

fn glob(pattern: &str) -> Result<globset::Glob, globset::Error> {
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
}

/// A pattern that is none matches nothing; the configuration refuses it where it is read.
fn matches(pattern: &str, branch: &str) -> bool {
    glob(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(branch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(branch: &str, base: Option<&str>, default: Option<&str>) -> Place {
        let landing = Landing {
            base: base.map(str::to_owned),
            default: default.map(str::to_owned),
            patterns: vec!["release/*".to_owned(), "v[0-9]".to_owned()],
        };
        landing.place(branch)
    }

    #[test]
    fn a_branch_is_the_nearest_thing_that_it_can_be() {
        let usual = |branch| place(branch, Some("develop"), Some("main"));
        for (branch, what) in [
            ("develop", Place::Base),
            ("main", Place::Default),
            ("release/2", Place::Listed),
            ("v7", Place::Listed),
            // A star ends at a slash, and nothing is folded.
            ("release/2/fix", Place::Elsewhere),
            ("Main", Place::Elsewhere),
            ("v77", Place::Elsewhere),
            ("feature/x", Place::Elsewhere),
        ] {
            assert_eq!(usual(branch), what, "{branch}");
        }
        assert_eq!(place("main", Some("main"), Some("main")), Place::Base);
        assert_eq!(place("main", None, Some("main")), Place::Default);
    }

    #[test]
    fn a_default_branch_that_nobody_knows_may_be_any() {
        assert_eq!(place("feature/x", Some("main"), None), Place::Unknown);
        assert_eq!(place("main", Some("main"), None), Place::Base);
        assert_eq!(place("release/1", None, None), Place::Listed);
        assert!(!Place::Unknown.lands() && !Place::Elsewhere.lands());
    }

    #[test]
    fn what_is_no_pattern_is_refused_by_name() {
        for good in ["main", "release/*", "**/stable", "{a,b}", "v[0-9]"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "release/[", "{a"] {
            let said = check(bad).expect_err("no pattern").to_string();
            assert!(said.contains(bad) && said.contains("branch"), "{said}");
        }
    }
}
