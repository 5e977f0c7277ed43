//! Commits: what is needed of them to walk from one to the next.
//!
//! Not by gix-object, which refuses a commit for an author's line that git does not mind.

use vigil_core::fact::{Gap, GapKind};

use super::oid::Oid;

/// A commit, without its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// What it holds.
    pub(crate) tree: Oid,
    /// What it was made from. Empty where the clone's history ends.
    pub(crate) parents: Vec<Oid>,
    /// When it was made, in seconds since 1970.
    pub(crate) time: i64,
}

impl Commit {
    pub(crate) fn parse(oid: &Oid, content: &[u8]) -> Result<Commit, Gap> {
        let bad = || Gap::new(GapKind::Malformed, format!("commit {oid} is damaged"));
        let name = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<Oid>().ok();
        let mut tree = None;
        let mut parents = Vec::new();
        for line in content.split(|byte| *byte == b'\n') {
            if let Some(text) = line.strip_prefix(b"tree ") {
                tree = Some(name(text).ok_or_else(bad)?);
            } else if let Some(text) = line.strip_prefix(b"parent ") {
                parents.push(name(text).ok_or_else(bad)?);
            } else if let Some(text) = line.strip_prefix(b"committer ") {
                let mut words = text.rsplit(|byte| *byte == b' ');
                let time = words
                    .nth(1)
                    .and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
                return Ok(Commit {
                    tree: tree.ok_or_else(bad)?,
                    parents,
                    // Git, too, takes a commit whose time it cannot read for very old.
                    time: time.unwrap_or_default(),
                });
            }
        }
        Err(bad())
    }
}
