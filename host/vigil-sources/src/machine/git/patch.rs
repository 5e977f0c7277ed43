//! What a change is, apart from where it stands: the same patch on another base is the same change, as it is for
//! `git patch-id` and `git cherry`. Blanks count here, since a change of nothing else can be work, too.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use gix_object::Kind;
use imara_diff::{Algorithm, Diff, InternedInput, sources};
use sha2::{Digest as _, Sha256};
use vigil_core::fact::{Gap, GapKind};

use super::objects::Objects;
use super::oid::Oid;
use super::tree::{self, Change, Leaf};
use super::walk::History;

/// 4 MiB: a larger file counts as one piece.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// 8,000: as far as git looks for a zero before it calls a file binary.
const BINARY_WITHIN: usize = 8000;

/// 3: the lines around a change that git shows, and by which it tells apart what is changed where.
const CONTEXT: u32 = 3;

/// 1,000 commits of the other side: the newest ones. A branch that was rebased further is counted as it is.
const THEIRS_MAX: usize = 1000;

/// 200,000 changed files of all commits of both sides together, which take a second or two: as many as 1,000 commits of
/// 200 files each have. What is beyond is not known to be another patch.
const CHANGES_MAX: usize = 200_000;

/// 100,000 changed files, of some 200 bytes each, are kept for other looks.
const KEPT_CHANGES_MAX: usize = 100_000;

/// What a patch is known by.
type Identity = [u8; 32];

/// Changes that were worked out, kept for all looks at a repository.
#[derive(Debug, Default)]
pub(crate) struct Patches(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_commit: HashMap<Oid, Arc<Vec<Change>>>,
    /// How many changes these are.
    count: usize,
}

impl Patches {
    fn get(&self, oid: &Oid) -> Option<Arc<Vec<Change>>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_commit.get(oid).map(Arc::clone)
    }

    fn keep(&self, oid: Oid, changes: &Arc<Vec<Change>>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.count.saturating_add(changes.len()) > KEPT_CHANGES_MAX {
            *kept = Kept::default();
        }
        // Many times as many as ordinary commits have: it is worked out again rather than kept.
        if changes.len() <= KEPT_CHANGES_MAX / 10 {
            kept.count += changes.len();
            kept.by_commit.insert(oid, Arc::clone(changes));
        }
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_commit.values().map(|changes| changes.len()).sum()
    }
}

/// The commits among `mine` whose content the other side does not have, given that it has `theirs`. `tips` are the ends
/// of `mine`, and `heads` those of `theirs`.
///
/// The other side has the content of a commit that changes nothing; that made the same change as one of `theirs`; that
/// joined two lines without a change of its own. It has the content of all where the end is the same tree as one of
/// `theirs`, or where all of it together is the change that one of `theirs` made (squashed).
pub(crate) fn not_contained(
    history: &History<'_>,
    patches: &Patches,
    mine: &[Oid],
    theirs: &[Oid],
    tips: &[Oid],
    heads: &[Oid],
) -> Result<Vec<Oid>, Gap> {
    let mut sides = Sides::new(history, patches, Vec::new());
    let mut trees = HashSet::new();
    for oid in theirs.iter().take(THEIRS_MAX) {
        trees.insert(history.get(oid)?.tree);
        sides.theirs.push(*oid);
    }
    let mut open: Vec<Oid> = Vec::new();
    for tip in tips {
        // Where the other side made nothing since, its tree is the one that both began with.
        if !trees.contains(&history.get(tip)?.tree) {
            open.push(*tip);
        }
    }
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let mut left = Vec::new();
    for oid in mine {
        if !sides.has(oid)? {
            left.push(*oid);
        }
    }
    if left.is_empty() {
        return Ok(left);
    }
    for tip in &open {
        if !sides.has_squashed(tip, heads)? {
            return Ok(left);
        }
    }
    Ok(Vec::new())
}

/// Whether one side made a change that the other one made as well, given that they share no commit: one of the commits
/// is the same patch, or one side's commits together are what the other one made, at once or step by step. `mine` end
/// with `tips`, and `theirs` with `head`. Changes of nothing say nothing.
pub(crate) fn shares(
    history: &History<'_>,
    patches: &Patches,
    mine: &HashSet<Oid>,
    theirs: &HashSet<Oid>,
    tips: &[Oid],
    head: &Oid,
) -> Result<bool, Gap> {
    let mine = newest(history, mine)?;
    let mut sides = Sides::new(history, patches, newest(history, theirs)?);
    for oid in &mine {
        if history.get(oid)?.parents.len() > 1 {
            continue;
        }
        let changes = sides.changes(oid)?;
        if !changes.is_empty() && sides.has_change(&changes)? {
            return Ok(true);
        }
    }
    for tip in tips {
        if sides.has_squashed(tip, &[*head])? || sides.is_same_tree(tip, head)? {
            return Ok(true);
        }
    }
    let mut turned = Sides::new(history, patches, mine);
    turned.has_squashed(head, tips)
}

/// The newest of `commits`, at most [`THEIRS_MAX`].
fn newest(history: &History<'_>, commits: &HashSet<Oid>) -> Result<Vec<Oid>, Gap> {
    let mut all = Vec::with_capacity(commits.len());
    for oid in commits {
        all.push((history.get(oid)?.time, *oid));
    }
    all.sort_unstable_by(|one, other| other.cmp(one));
    let all = all.into_iter().take(THEIRS_MAX);
    Ok(all.map(|(_, oid)| oid).collect())
}

struct Sides<'a> {
    history: &'a History<'a>,
    patches: &'a Patches,
    theirs: Vec<Oid>,
    /// Commits of the other side by the files that they change: only such as change the same are read line by line.
    by_paths: HashMap<Identity, Vec<Oid>>,
    /// The patches of those that were read.
    known: HashMap<Oid, Identity>,
    /// How many more changed files are looked at.
    left: usize,
}

impl<'a> Sides<'a> {
    fn new(history: &'a History<'a>, patches: &'a Patches, theirs: Vec<Oid>) -> Self {
        Sides {
            history,
            patches,
            theirs,
            by_paths: HashMap::new(),
            known: HashMap::new(),
            left: CHANGES_MAX,
        }
    }
}

impl Sides<'_> {
    /// Notes that so many changed files are looked at.
    fn spend(&mut self, count: usize) -> Result<(), Gap> {
        let left = self.left.checked_sub(count);
        self.left = left.ok_or_else(|| {
            Gap::new(
                GapKind::TooLarge,
                format!(
                    "more than {CHANGES_MAX} changed files would have to be looked at to tell whether a change was made \
                     elsewhere as well"
                ),
            )
        })?;
        Ok(())
    }

    /// In which files two trees differ.
    fn differences(&mut self, old: Option<&Oid>, new: &Oid) -> Result<Vec<Change>, Gap> {
        let changes = tree::changes(self.history.objects, old, Some(new))?;
        self.spend(changes.len())?;
        Ok(changes)
    }

    /// Whether the other side has what the commit `oid` did.
    fn has(&mut self, oid: &Oid) -> Result<bool, Gap> {
        let commit = self.history.get(oid)?;
        if commit.parents.len() > 1 {
            return self.is_plain_merge(oid);
        }
        let changes = self.changes(oid)?;
        if changes.is_empty() {
            return Ok(true);
        }
        self.has_change(&changes)
    }

    /// Whether one of their commits is the change from where `tip` left their side up to `tip`.
    fn has_squashed(&mut self, tip: &Oid, heads: &[Oid]) -> Result<bool, Gap> {
        for head in heads {
            let Some(base) = self.history.base(tip, head)? else {
                continue;
            };
            let (old, new) = (self.history.get(&base)?.tree, self.history.get(tip)?.tree);
            let changes = self.differences(Some(&old), &new)?;
            // Where nothing is left of it all, its steps are still nowhere else.
            if !changes.is_empty() && self.has_change(&changes)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether both come to the same, which is not what they began with.
    fn is_same_tree(&self, tip: &Oid, head: &Oid) -> Result<bool, Gap> {
        let tree = self.history.get(tip)?.tree;
        if tree != self.history.get(head)?.tree {
            return Ok(false);
        }
        Ok(match self.history.base(tip, head)? {
            Some(base) => self.history.get(&base)?.tree != tree,
            None => false,
        })
    }

    fn has_change(&mut self, changes: &[Change]) -> Result<bool, Gap> {
        if self.by_paths.is_empty() {
            for oid in self.theirs.clone() {
                if self.history.get(&oid)?.parents.len() > 1 {
                    continue;
                }
                let changes = self.changes(&oid)?;
                self.by_paths.entry(paths(&changes)).or_default().push(oid);
            }
        }
        let Some(alike) = self.by_paths.get(&paths(changes)).cloned() else {
            return Ok(false);
        };
        self.spend(changes.len())?;
        let wanted = identity(self.history.objects, changes)?;
        for oid in alike {
            let known = match self.known.get(&oid) {
                Some(known) => *known,
                None => {
                    let changes = self.changes(&oid)?;
                    let identity = identity(self.history.objects, &changes)?;
                    self.known.insert(oid, identity);
                    identity
                }
            };
            if known == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a commit with at most one parent changed.
    fn changes(&mut self, oid: &Oid) -> Result<Arc<Vec<Change>>, Gap> {
        if let Some(known) = self.patches.get(oid) {
            self.spend(known.len())?;
            return Ok(known);
        }
        let commit = self.history.get(oid)?;
        let before = match commit.parents.first() {
            Some(parent) => Some(self.history.get(parent)?.tree),
            None => None,
        };
        let changes = Arc::new(self.differences(before.as_ref(), &commit.tree)?);
        self.patches.keep(*oid, &changes);
        Ok(changes)
    }

    /// Whether a merge has no file of its own: each is as one of its parents has it.
    fn is_plain_merge(&mut self, oid: &Oid) -> Result<bool, Gap> {
        let commit = self.history.get(oid)?;
        let mut own: Option<HashSet<Vec<u8>>> = None;
        for parent in &commit.parents {
            let before = self.history.get(parent)?.tree;
            let changes = self.differences(Some(&before), &commit.tree)?;
            let paths = changes.into_iter().map(|change| change.path);
            own = Some(match own {
                None => paths.collect(),
                Some(own) => paths.filter(|path| own.contains(path)).collect(),
            });
        }
        Ok(own.is_none_or(|own| own.is_empty()))
    }
}

/// What tells the files of a patch from those of others.
fn paths(changes: &[Change]) -> Identity {
    let mut sum = Sha256::new();
    for change in changes {
        sum.update((change.path.len() as u64).to_be_bytes());
        sum.update(&change.path);
    }
    sum.finalize().into()
}

/// What tells a patch from others: its files, their modes, and what is changed within its surroundings; not the lines'
/// numbers.
fn identity(objects: &Objects, changes: &[Change]) -> Result<Identity, Gap> {
    let mut sum = Sha256::new();
    for change in changes {
        let mode = |leaf: Option<Leaf>| leaf.map_or(0, |leaf| leaf.mode);
        sum.update((change.path.len() as u64).to_be_bytes());
        sum.update(&change.path);
        sum.update(mode(change.old).to_be_bytes());
        sum.update(mode(change.new).to_be_bytes());
        match (text(objects, change.old)?, text(objects, change.new)?) {
            (Some(old), Some(new)) => lines(&old, &new, &mut sum),
            _ => {
                for leaf in [change.old, change.new].into_iter().flatten() {
                    sum.update(b"=");
                    sum.update(leaf.oid.as_slice());
                }
            }
        }
    }
    Ok(sum.finalize().into())
}

/// The content of a text. `None`: it is none, or too large for one.
fn text(objects: &Objects, leaf: Option<Leaf>) -> Result<Option<Vec<u8>>, Gap> {
    let Some(leaf) = leaf else {
        return Ok(Some(Vec::new()));
    };
    if leaf.mode & tree::TYPE == tree::GITLINK {
        return Ok(None);
    }
    let content = match objects.get(&leaf.oid, Kind::Blob) {
        Ok(content) if content.len() <= TEXT_BYTES_MAX => content,
        // Too large to be read at all, or not in the clone: its name stands for it.
        _ => return Ok(None),
    };
    let begin = &content[..content.len().min(BINARY_WITHIN)];
    Ok((!begin.contains(&0)).then(|| content.to_vec()))
}

fn lines(old: &[u8], new: &[u8], sum: &mut Sha256) {
    let input = InternedInput::new(sources::byte_lines(old), sources::byte_lines(new));
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_no_heuristic(&input);
    let mut line = |mark: &[u8], text: &[u8]| {
        sum.update(mark);
        sum.update((text.len() as u64).to_be_bytes());
        sum.update(text);
    };
    let count = u32::try_from(input.before.len()).unwrap_or(u32::MAX);
    let before = |place: u32| input.interner[input.before[place as usize]];
    let after = |place: u32| input.interner[input.after[place as usize]];
    // Up to which line of the old text all was told.
    let mut told = 0;
    let mut hunks = diff.hunks().peekable();
    while let Some(hunk) = hunks.next() {
        for place in hunk.before.start.saturating_sub(CONTEXT).max(told)..hunk.before.start {
            line(b" ", before(place));
        }
        for place in hunk.before.clone() {
            line(b"-", before(place));
        }
        for place in hunk.after.clone() {
            line(b"+", after(place));
        }
        let next = hunks.peek().map_or(count, |next| next.before.start);
        told = hunk.before.end.saturating_add(CONTEXT).min(next);
        for place in hunk.before.end..told {
            line(b" ", before(place));
        }
    }
}
