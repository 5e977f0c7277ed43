//! Brings together what two writers made of the same records without seeing each other: record by record and field by
//! field, as texts, so that what vigil does not know keeps its bytes. Pure.
//!
//! A side's change is what differs from each text that it may have been made from. What only one side changed is taken;
//! what both changed in different ways is a conflict, which is decided for one of them and always named.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use vigil_core::session::Revision;

use crate::vigilante::edit::{self, Edit};
use crate::vigilante::record::{BOOKKEEPING, Record, RecordFile, canonical, is_empty};
use crate::vigilante::write::chain;

/// Two texts, each with changes that the other does not have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sides<'a> {
    /// The text that is in place, onto which the other's changes go.
    pub(crate) onto: &'a str,
    /// What `onto` may have been made from.
    pub(crate) onto_from: &'a [&'a str],
    /// The text whose changes would be lost.
    pub(crate) lost: &'a str,
    /// What `lost` may have been made from.
    pub(crate) lost_from: &'a [&'a str],
    /// Whose value stands where both changed a field.
    pub(crate) newer: Newer,
    /// The text that vigil put in place over `lost`, and what it was made from. Where the writer of `lost` changed a
    /// record without having seen this, vigil should not have written it: what it changed there is taken back.
    pub(crate) withdraw: Option<(&'a str, &'a str)>,
}

/// Which side was written last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newer {
    /// The text in place.
    Onto,
    /// The other.
    Lost,
}

/// What became of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Together {
    /// `onto` with the changes of `lost`; the very same where there are none.
    pub(crate) text: String,
    /// What both had changed in different ways, in words: session and field.
    pub(crate) conflicts: Vec<String>,
}

/// Puts the changes of `sides.lost` onto `sides.onto`.
///
/// Repeating it with the result changes nothing more, so that a crash in between does no harm.
///
/// # Errors
/// Why nobody can tell the changes, in words: one of the texts is not what it should be.
pub(crate) fn together(sides: &Sides<'_>) -> Result<Together, String> {
    let parse =
        |text| RecordFile::parse(Path::new("sessions.json"), text).map_err(|error| chain(&error));
    let onto = Side::of(parse(sides.onto)?);
    let lost = Side::of(parse(sides.lost)?);
    let onto_from = sides
        .onto_from
        .iter()
        .map(|text| parse(text).map(Side::of))
        .collect::<Result<Vec<_>, _>>()?;
    let lost_from = sides
        .lost_from
        .iter()
        .map(|text| parse(text).map(Side::of))
        .collect::<Result<Vec<_>, _>>()?;
    let withdraw = match sides.withdraw {
        Some((ours, base)) => Some((Side::of(parse(ours)?), Side::of(parse(base)?))),
        None => None,
    };
    let mut plan = Plan::default();
    let ids: BTreeSet<&str> = lost.ids().chain(onto.ids()).collect();
    for id in ids {
        let all = || {
            [&onto, &lost]
                .into_iter()
                .chain(&onto_from)
                .chain(&lost_from)
        };
        if all().any(|side| side.is_doubtful(id)) {
            let same = |from: &Side<'_>| from.raws(id) == lost.raws(id);
            if !lost_from.iter().any(same) && onto.raws(id) != lost.raws(id) {
                plan.conflicts
                    .push(format!("{id}, which is there more than once"));
            }
            continue;
        }
        // The usual case, without a look at the fields.
        let same = |from: &Side<'_>| from.raws(id) == lost.raws(id);
        if onto.at(id).is_some() && lost.at(id).is_some() && lost_from.iter().any(same) {
            continue;
        }
        let froms = |sides: &'_ [Side<'_>]| -> Vec<Option<Revision>> {
            sides.iter().map(|side| side.revision(id)).collect()
        };
        match (lost.record(id), onto.at(id)) {
            (Some(theirs), Some(at)) => {
                let withdrawn = withdraw.as_ref().map(|(ours, base)| Withdrawn {
                    ours: ours.record(id),
                    base: base.record(id),
                });
                let both = Both {
                    id,
                    theirs: &theirs,
                    present: &onto.file.outlines[at].record(),
                    theirs_from: lost_from
                        .iter()
                        .filter_map(|side| side.record(id))
                        .collect(),
                    present_from: onto_from
                        .iter()
                        .filter_map(|side| side.record(id))
                        .collect(),
                    newer: sides.newer,
                };
                let edits = both.edits(withdrawn, &mut plan.conflicts);
                if !edits.is_empty() {
                    plan.edits.push((at, edits));
                }
            }
            (Some(theirs), None) => {
                let revision = Some(theirs.revision());
                let known = froms(&lost_from);
                if known.iter().all(Option::is_none) {
                    plan.added.push(theirs.raw);
                } else if !known.contains(&revision) {
                    // Nothing of what anybody wrote goes away.
                    plan.conflicts
                        .push(format!("{id}, which the other removed"));
                    plan.added.push(theirs.raw);
                }
            }
            (None, Some(at)) => {
                if lost_from.is_empty() || froms(&lost_from).contains(&None) {
                    continue;
                }
                if froms(&onto_from).contains(&onto.revision(id)) {
                    plan.removed.insert(at);
                } else {
                    plan.conflicts
                        .push(format!("{id}, which the other removed"));
                }
            }
            (None, None) => {}
        }
    }
    for raw in lost.unnamed() {
        let known = lost_from.iter().chain([&onto]);
        if !known.flat_map(Side::unnamed).any(|other| other == raw) {
            plan.conflicts
                .push("a record without repository or issue".to_owned());
        }
    }
    plan.carry_out(&onto.file)
}

/// What is to be made of the text in place.
#[derive(Default)]
struct Plan<'a> {
    edits: Vec<(usize, Vec<Edit>)>,
    removed: BTreeSet<usize>,
    added: Vec<&'a str>,
    conflicts: Vec<String>,
}

impl Plan<'_> {
    fn carry_out(self, onto: &RecordFile<'_>) -> Result<Together, String> {
        let text = match self.edits.is_empty() {
            true => onto.text.to_owned(),
            false => edit::apply(onto, &self.edits),
        };
        let text = match self.removed.is_empty() && self.added.is_empty() {
            true => text,
            false => {
                let file = RecordFile::parse(Path::new("sessions.json"), &text)
                    .map_err(|error| chain(&error))?;
                edit::with_records(&file, &self.removed, &self.added)
            }
        };
        // What is put in an owner's place has to be readable, whatever was overlooked above.
        RecordFile::parse(Path::new("sessions.json"), &text).map_err(|error| chain(&error))?;
        Ok(Together {
            text,
            conflicts: self.conflicts,
        })
    }
}

/// What vigil made of a record, and of what.
struct Withdrawn<'a> {
    ours: Option<Record<'a>>,
    base: Option<Record<'a>>,
}

/// A record that both sides have.
struct Both<'a, 'r> {
    id: &'r str,
    theirs: &'r Record<'a>,
    present: &'r Record<'a>,
    theirs_from: Vec<Record<'a>>,
    present_from: Vec<Record<'a>>,
    newer: Newer,
}

impl Both<'_, '_> {
    /// The edits of the present record that bring the other's changes in.
    fn edits(&self, withdrawn: Option<Withdrawn<'_>>, conflicts: &mut Vec<String>) -> Vec<Edit> {
        let withdrawn = withdrawn
            .map(|withdrawn| withdrawn.fields(self.theirs))
            .unwrap_or_default();
        let sides = self.theirs_from.iter().chain([self.theirs]);
        let keys: BTreeSet<&str> = sides
            .flat_map(|record| record.fields.iter().map(|field| field.key.as_ref()))
            .collect();
        let mut edits = Vec::new();
        for key in keys {
            let theirs = value(self.theirs, key);
            let is_theirs = |from: &Record<'_>| value(from, key) == theirs;
            if !withdrawn.contains(key) && self.theirs_from.iter().any(is_theirs) {
                continue;
            }
            let present = value(self.present, key);
            if present == theirs {
                continue;
            }
            let unchanged = self
                .present_from
                .iter()
                .any(|from| value(from, key) == present);
            let take = unchanged || self.decide(key, &theirs, &present, conflicts);
            if take {
                edits.push(match self.theirs.field(key) {
                    Some(field) => Edit::Set {
                        key: key.to_owned(),
                        value: field.value.to_owned(),
                    },
                    None => Edit::Remove {
                        key: key.to_owned(),
                    },
                });
            }
        }
        edits
    }

    /// Whether the other's value of a field that both changed is taken. Of two moments the later one is, since that is
    /// what both writers mean; what Vigilante only notes for itself is the newer writer's; all else is told.
    fn decide(
        &self,
        key: &str,
        theirs: &Option<Cow<'_, str>>,
        present: &Option<Cow<'_, str>>,
        conflicts: &mut Vec<String>,
    ) -> bool {
        let moment = |value: &Option<Cow<'_, str>>| {
            let text: String = serde_json::from_str(value.as_deref()?).ok()?;
            text.parse::<jiff::Timestamp>().ok()
        };
        if let (Some(theirs), Some(present)) = (moment(theirs), moment(present)) {
            return theirs > present;
        }
        if !BOOKKEEPING.contains(&key) {
            conflicts.push(format!("`{key}` of {}", self.id));
        }
        self.newer == Newer::Lost
    }
}

impl Withdrawn<'_> {
    /// The fields that vigil changed in a record whose owner changed it, too, without having seen that.
    fn fields(&self, theirs: &Record<'_>) -> BTreeSet<String> {
        let (Some(ours), Some(base)) = (&self.ours, &self.base) else {
            return BTreeSet::new();
        };
        let keys = ours.fields.iter().chain(&base.fields);
        let changed: BTreeSet<String> = keys
            .map(|field| field.key.as_ref())
            .filter(|key| value(ours, key) != value(base, key))
            .map(str::to_owned)
            .collect();
        let moved = theirs.revision() != base.revision();
        let unseen = changed
            .iter()
            .any(|key| value(theirs, key) != value(ours, key));
        match moved && unseen {
            true => changed,
            false => BTreeSet::new(),
        }
    }
}

/// What a field says to its owner, however it is spelled; `None`: nothing.
fn value<'r>(record: &'r Record<'_>, key: &str) -> Option<Cow<'r, str>> {
    let value = canonical(record.field(key)?.value);
    (!is_empty(&value)).then_some(value)
}

/// A text whose records are found by their session's name.
struct Side<'a> {
    file: RecordFile<'a>,
    /// Under each name, the records of the same issue.
    by_id: HashMap<String, Vec<usize>>,
    unnamed: Vec<usize>,
}

impl<'a> Side<'a> {
    fn of(file: RecordFile<'a>) -> Self {
        let mut by_id: HashMap<String, Vec<usize>> = HashMap::new();
        let mut unnamed = Vec::new();
        for (at, outline) in file.outlines.iter().enumerate() {
            match &outline.issue {
                Some((repo, issue)) => by_id
                    .entry(format!("{}#{issue}", repo.to_ascii_lowercase()))
                    .or_default()
                    .push(at),
                None => unnamed.push(at),
            }
        }
        Side {
            file,
            by_id,
            unnamed,
        }
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
    }

    fn unnamed(&self) -> impl Iterator<Item = &'a str> {
        self.unnamed.iter().map(|at| self.file.outlines[*at].raw)
    }

    fn raws(&self, id: &str) -> Vec<&'a str> {
        let places = self.by_id.get(id).into_iter().flatten();
        places.map(|at| self.file.outlines[*at].raw).collect()
    }

    /// Several records of one issue, or one that has a key twice.
    fn is_doubtful(&self, id: &str) -> bool {
        let places = self.by_id.get(id).map_or(&[][..], Vec::as_slice);
        places.len() > 1
            || places
                .iter()
                .any(|at| self.file.outlines[*at].duplicate_key.is_some())
    }

    fn at(&self, id: &str) -> Option<usize> {
        self.by_id.get(id)?.first().copied()
    }

    fn record(&self, id: &str) -> Option<Record<'a>> {
        self.file.record(self.at(id)?)
    }

    fn revision(&self, id: &str) -> Option<Revision> {
        self.record(id).map(|record| record.revision())
    }
}

#[cfg(test)]
mod tests;
