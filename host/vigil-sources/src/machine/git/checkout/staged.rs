//! Whether the index holds what is committed.

use std::collections::{BTreeMap, HashMap};

use gix_object::Kind;
use vigil_core::fact::{Gap, GapKind};

use super::super::commit::Commit;
use super::super::index::{Entry, Index};
use super::super::oid::Oid;
use super::super::tree::{self, Leaf};
use super::Checkout;
use super::walk::FOLDERS_MAX;

/// Whether the index differs from the commit `head`. Without one every file in it is new.
pub(super) fn differs(checkout: &Checkout, index: &Index, head: Option<Oid>) -> Result<bool, Gap> {
    let Some(head) = head else {
        return Ok(!index.entries().is_empty());
    };
    let commit = Commit::parse(&head, &checkout.store.objects.get(&head, Kind::Commit)?)?;
    let staged = Staged {
        checkout,
        index,
        known: index
            .cached
            .iter()
            .map(|part| (part.path.as_slice(), part.tree))
            .collect(),
    };
    staged.part(&commit.tree, &mut Vec::new(), index.entries(), 0)
}

struct Staged<'a> {
    checkout: &'a Checkout,
    index: &'a Index,
    known: HashMap<&'a [u8], Oid>,
}

impl Staged<'_> {
    /// Whether `entries`, all that lie below `path`, differ from `tree`. `path` is empty or ends with a slash.
    fn part(
        &self,
        tree: &Oid,
        path: &mut Vec<u8>,
        entries: &[Entry],
        depth: usize,
    ) -> Result<bool, Gap> {
        if depth > FOLDERS_MAX {
            return Err(Gap::new(
                GapKind::TooLarge,
                format!(
                    "the index of {} has files in more than {FOLDERS_MAX} folders",
                    self.checkout.root.path().display()
                ),
            ));
        }
        let name = path.strip_suffix(b"/").unwrap_or(path);
        if self.known.get(name) == Some(tree) {
            return Ok(false);
        }
        let mut committed: BTreeMap<Vec<u8>, Leaf> =
            tree::read(&self.checkout.store.objects, tree)?;
        let mut rest = entries;
        while let Some((first, others)) = rest.split_first() {
            let within = &self.index.path(first)[path.len()..];
            let end = memchr::memchr(b'/', within);
            let name = &within[..end.unwrap_or(within.len())];
            let Some(leaf) = committed.remove(name) else {
                return Ok(true);
            };
            let Some(end) = end else {
                if leaf.oid != first.oid || plain(leaf.mode) != plain(first.mode) {
                    return Ok(true);
                }
                rest = others;
                continue;
            };
            // A folder that is not in the checkout is one entry, with its tree.
            if within.len() == end + 1 {
                if leaf.oid != first.oid || !leaf.is_tree() {
                    return Ok(true);
                }
                rest = others;
                continue;
            }
            if !leaf.is_tree() {
                return Ok(true);
            }
            let length = path.len();
            path.extend_from_slice(&within[..=end]);
            let count = rest.partition_point(|entry| self.index.path(entry).starts_with(path));
            let (below, after) = rest.split_at(count);
            if self.part(&leaf.oid, path, below, depth + 1)? {
                return Ok(true);
            }
            path.truncate(length);
            rest = after;
        }
        Ok(!committed.is_empty())
    }
}

/// The mode as git keeps it today: of the bits of a file only whether it may be run.
fn plain(mode: u32) -> u32 {
    const FILE: u32 = 0o100_000;
    match mode & tree::TYPE {
        FILE if mode & 0o100 != 0 => FILE | 0o755,
        FILE => FILE | 0o644,
        other => other,
    }
}
