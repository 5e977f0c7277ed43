//! Trees, and in what two of them differ.

use std::collections::BTreeMap;

use gix_object::{Kind, TreeRefIter};
use vigil_core::fact::{Gap, GapKind};

use super::objects::Objects;
use super::oid::Oid;

/// The kind of a tree's entry, in the upper bits of its mode.
pub(crate) const TYPE: u32 = 0o170_000;
/// A folder.
pub(crate) const TREE: u32 = 0o040_000;
/// A symbolic link.
pub(crate) const LINK: u32 = 0o120_000;
/// A commit of another repository.
pub(crate) const GITLINK: u32 = 0o160_000;

/// 64: deeper folders than that are nobody's source code.
const DEPTH_MAX: usize = 64;

/// 50,000 changed files in one comparison.
const CHANGES_MAX: usize = 50_000;

/// What a name in a tree stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Leaf {
    pub(crate) mode: u32,
    pub(crate) oid: Oid,
}

impl Leaf {
    pub(crate) fn is_tree(self) -> bool {
        self.mode & TYPE == TREE
    }
}

/// The entries of the tree `oid`, by name.
pub(crate) fn read(objects: &Objects, oid: &Oid) -> Result<BTreeMap<Vec<u8>, Leaf>, Gap> {
    let content = objects.get(oid, Kind::Tree)?;
    TreeRefIter::from_bytes(&content, oid.kind())
        .map(|entry| {
            let entry = entry
                .map_err(|_| Gap::new(GapKind::Malformed, format!("tree {oid} is damaged")))?;
            let leaf = Leaf {
                mode: entry.mode.value().into(),
                oid: entry.oid.into(),
            };
            Ok((entry.filename.to_vec(), leaf))
        })
        .collect()
}

/// A file that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) path: Vec<u8>,
    pub(crate) old: Option<Leaf>,
    pub(crate) new: Option<Leaf>,
}

/// The files in which the trees `old` and `new` differ, by path. `None` stands for an empty tree.
pub(crate) fn changes(
    objects: &Objects,
    old: Option<&Oid>,
    new: Option<&Oid>,
) -> Result<Vec<Change>, Gap> {
    let mut found = Vec::new();
    descend(objects, old, new, &mut Vec::new(), 0, &mut found)?;
    Ok(found)
}

fn descend(
    objects: &Objects,
    old: Option<&Oid>,
    new: Option<&Oid>,
    path: &mut Vec<u8>,
    depth: usize,
    found: &mut Vec<Change>,
) -> Result<(), Gap> {
    if old == new {
        return Ok(());
    }
    if depth > DEPTH_MAX || found.len() > CHANGES_MAX {
        return Err(Gap::new(
            GapKind::TooLarge,
            format!(
                "two trees differ in more than {CHANGES_MAX} files, or deeper than {DEPTH_MAX} folders"
            ),
        ));
    }
    let side =
        |oid: Option<&Oid>| oid.map_or_else(|| Ok(BTreeMap::new()), |oid| read(objects, oid));
    let (olds, news) = (side(old)?, side(new)?);
    let mut names: Vec<&Vec<u8>> = olds.keys().chain(news.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (old, new) = (olds.get(name).copied(), news.get(name).copied());
        if old == new {
            continue;
        }
        let length = path.len();
        path.extend_from_slice(name);
        let tree = |leaf: Option<Leaf>| leaf.filter(|leaf| leaf.is_tree()).map(|leaf| leaf.oid);
        let (old_tree, new_tree) = (tree(old), tree(new));
        if old_tree.is_some() || new_tree.is_some() {
            path.push(b'/');
            descend(
                objects,
                old_tree.as_ref(),
                new_tree.as_ref(),
                path,
                depth + 1,
                found,
            )?;
            path.pop();
        }
        let file = |leaf: Option<Leaf>| leaf.filter(|leaf| !leaf.is_tree());
        if file(old) != file(new) {
            found.push(Change {
                path: path.clone(),
                old: file(old),
                new: file(new),
            });
        }
        path.truncate(length);
    }
    Ok(())
}
