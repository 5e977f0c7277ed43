//! What must hold after every step, judged by what is really so and not by vigil's own code: its parsers are used for
//! names and revisions alone.

use std::collections::{BTreeMap, BTreeSet};

use vigil_core::session::Revision;
use vigil_core::{SessionId, State, Timestamp};
use vigil_sources::vigilante::Vigilante;
use vigil_sources::{Committed, Proposal, Source as _, World};
use vigil_store::{Kind, Standing, Store, Transition, TransitionId};

use crate::body::Body;
use crate::hub::Hub;
use crate::text::{self, Raw};
use crate::truth;

/// How often a move may be made under the same facts within a day.
const REPEATS_MAX: usize = 2;

const DAY_MS: u64 = 24 * 3_600_000;

/// What is known of the file and of who wrote what.
#[derive(Debug)]
pub struct Checker {
    /// Reads names and revisions; never the one that a pass uses.
    reader: Vigilante,
    seen: Seen,
    /// Counts the changes.
    clock: u64,
    /// When the owner last changed a record in a way that counts.
    owner_wrote: BTreeMap<String, u64>,
    /// When the write of a transition was seen in the file.
    vigil_wrote: BTreeMap<TransitionId, u64>,
    /// What a transition can rest on when it was prepared, and how much had happened by then.
    words: BTreeMap<TransitionId, (String, u64)>,
    /// When a transition was made whose write was seen in the file.
    made_at: BTreeMap<TransitionId, Timestamp>,
    /// Transitions in whose place the owner has put a record that it has written anew since.
    taken_back: BTreeSet<TransitionId>,
    /// The transition that a record showed last, whoever has written it since.
    showed: BTreeMap<String, TransitionId>,
    /// Texts that the owner has put down during the present write.
    during_write: Vec<String>,
    /// The latest transition whose grounds were looked at.
    judged: Option<TransitionId>,
    /// Looking is pointless for one step: two files have changed places, and are about to change back.
    pub look_away: bool,
    /// What this pass could not settle: a text of the owner's waits for a held lock, and may yet change it.
    pub waiting: Vec<Proposal>,
    /// Sessions of which vigil could not tell, when it last looked, which branch is checked out.
    pub unread: BTreeSet<String>,
    /// How many writes of vigil's were seen.
    pub writes: u64,
    /// How often each rule led to one.
    pub rules: BTreeMap<String, u64>,
}

/// The file as it was last seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    text: String,
    records: Vec<Raw>,
    ids: Vec<String>,
    revisions: BTreeMap<String, Revision>,
    /// The transition that a record shows, until somebody else writes it.
    shows: BTreeMap<String, TransitionId>,
}

impl Checker {
    /// Nothing was seen yet.
    pub fn new(reader: Vigilante) -> Self {
        Checker {
            reader,
            seen: Seen::default(),
            clock: 0,
            owner_wrote: BTreeMap::new(),
            vigil_wrote: BTreeMap::new(),
            words: BTreeMap::new(),
            made_at: BTreeMap::new(),
            taken_back: BTreeSet::new(),
            showed: BTreeMap::new(),
            during_write: Vec::new(),
            judged: None,
            look_away: false,
            waiting: Vec::new(),
            unread: BTreeSet::new(),
            writes: 0,
            rules: BTreeMap::new(),
        }
    }

    /// The file as it was last seen.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// A power cut has put an earlier file back.
    pub fn put_back(&mut self, seen: Seen) {
        self.seen = seen;
    }

    /// A write begins: from here on the owner's texts are remembered.
    pub fn write_begins(&mut self) {
        self.during_write.clear();
    }

    /// The owner has put `text` down.
    ///
    /// # Errors
    /// What does not hold.
    pub fn owner_put(&mut self, text: &str, world: &dyn World) -> Result<(), String> {
        let before = std::mem::take(&mut self.seen.revisions);
        let shows = std::mem::take(&mut self.seen.shows);
        self.read(text, world)?;
        self.clock += 1;
        self.during_write.push(text.to_owned());
        let ids: BTreeSet<String> = before
            .keys()
            .chain(self.seen.revisions.keys())
            .cloned()
            .collect();
        for id in &ids {
            if before.get(id) == self.seen.revisions.get(id) {
                if let Some(transition) = shows.get(id) {
                    self.seen.shows.insert(id.clone(), *transition);
                }
            } else {
                self.owner_wrote.insert(id.clone(), self.clock);
            }
            self.note_taken_back(id);
        }
        Ok(())
    }

    /// Whether the record of `id`, which its owner has put down, was written anew since vigil's latest write to it.
    fn note_taken_back(&mut self, id: &String) {
        let shown = self.seen.shows.get(id);
        let Some(transition) = self.showed.get(id).filter(|last| shown != Some(last)) else {
            return;
        };
        let place = self.seen.ids.iter().position(|one| one == id);
        let record = place.and_then(|at| self.seen.records.get(at));
        let updated = record
            .and_then(|record| record.text("updated_at").parse::<jiff::Timestamp>().ok())
            .and_then(|at| u64::try_from(at.as_second()).ok());
        let made = self.made_at.get(transition).map(|at| at.0 / 1000);
        // An owner without such a time is believed.
        match updated
            .zip(made)
            .is_none_or(|(updated, made)| updated >= made)
        {
            true => self.taken_back.insert(*transition),
            false => self.taken_back.remove(transition),
        };
    }

    /// The owner's file is unreadable for a while: `text`.
    pub fn garbled(&mut self, text: &str) {
        text.clone_into(&mut self.seen.text);
    }

    fn read(&mut self, text: &str, world: &dyn World) -> Result<(), String> {
        self.seen.records = text::parse(text)?;
        text.clone_into(&mut self.seen.text);
        let sessions = self
            .reader
            .load(world)
            .map_err(|error| format!("vigil cannot read what lies there: {error}"))?;
        self.seen.ids = sessions.iter().map(|one| one.id.id.clone()).collect();
        self.seen.revisions = sessions
            .into_iter()
            .map(|one| (one.id.id, one.revision))
            .collect();
        Ok(())
    }

    /// Looks at the file after a step. Whatever changed without the owner must be the edits of a transition that the
    /// journal holds as prepared, made on the very record that it was prepared for.
    ///
    /// # Errors
    /// What does not hold.
    pub fn look(&mut self, text: &str, store: &Store, world: &dyn World) -> Result<(), String> {
        if self.look_away || text == self.seen.text {
            return Ok(());
        }
        // Somebody wrote between the last look of a write and its exchange, and it was taken back.
        if self.during_write.iter().any(|put| put == text) {
            return self.owner_put(text, world);
        }
        let before = self.seen.clone();
        let records = text::parse(text).map_err(|error| {
            format!("the file is neither the old nor the new one ({error}):\n{text}")
        })?;
        if records.len() != before.records.len() {
            return Err(format!(
                "vigil wrote {} records in place of {}",
                records.len(),
                before.records.len()
            ));
        }
        let prepared = store
            .unsettled()
            .map_err(|error| format!("the journal cannot be read: {error}"))?;
        self.read(text, world)?;
        self.clock += 1;
        self.seen.shows = before.shows;
        for (at, (old, new)) in before.records.iter().zip(&records).enumerate() {
            if old == new {
                continue;
            }
            let id = &before.ids[at];
            let transition = prepared
                .iter()
                .rev()
                .find(|row| {
                    row.session.id == *id && before.revisions.get(id) == Some(&row.revision_before)
                })
                .ok_or_else(|| not_journaled(id, old, new, &prepared, before.revisions.get(id)))?;
            same_but_for(id, old, new, transition)?;
            native_edge(id, old, new, transition.kind)?;
            if self.seen.revisions.get(id) != Some(&transition.revision_after) {
                return Err(format!(
                    "{}: the record of {id} does not have the revision that was journaled",
                    transition.id
                ));
            }
            self.seen.shows.insert(id.clone(), transition.id);
            self.vigil_wrote.insert(transition.id, self.clock);
            self.made_at.insert(transition.id, transition.at);
            self.showed.insert(id.clone(), transition.id);
            self.writes += 1;
            *self.rules.entry(transition.rule.clone()).or_default() += 1;
        }
        Ok(())
    }

    /// Looks at the grounds of every transition that was prepared since.
    ///
    /// # Errors
    /// What does not hold.
    pub fn judge(
        &mut self,
        store: &Store,
        hub: &Hub,
        bodies: &BTreeMap<String, Body>,
    ) -> Result<(), String> {
        let failed = |error| format!("the journal cannot be read: {error}");
        let prepared = store.unsettled().map_err(failed)?;
        for row in prepared {
            if self.judged.is_some_and(|judged| row.id <= judged) {
                continue;
            }
            self.judged = Some(row.id);
            if row.kind == Kind::Undo {
                continue;
            }
            let evidence = match &row.evidence {
                Some(digest) => store.evidence(digest).map_err(failed)?,
                None => None,
            };
            let evidence =
                evidence.ok_or_else(|| format!("{}: nothing says what it rests on", row.id))?;
            let id = &row.session.id;
            let body = bodies
                .get(id)
                .or_else(|| bodies.get(id.split('@').next().unwrap_or(id)));
            truth::told(&evidence, hub).map_err(|lie| format!("{} of {id}: {lie}", row.id))?;
            let told = |why| {
                let (from, to, rule) = (row.from, row.to, &row.rule);
                format!("{} of {id} ({from} to {to}, {rule}): {why}", row.id)
            };
            truth::grounds(&row, &evidence, hub, body).map_err(told)?;
            if let Some(body) = body {
                let is_read = !self.unread.contains(id);
                truth::by_the_checkout(&row, &evidence, hub, body, is_read).map_err(told)?;
            }
            let words = (truth::words(&evidence, body), hub.happened(id));
            self.repeats(&row, &words, store)?;
            self.own_block(&row, store)?;
            self.words.insert(row.id, words);
        }
        Ok(())
    }

    /// A move that was undone by hand is not made again while nothing has happened since, and one that its owner has
    /// taken back twice within a day, by writing the record anew, is not either.
    fn repeats(
        &self,
        row: &Transition,
        words: &(String, u64),
        store: &Store,
    ) -> Result<(), String> {
        // What keeps work from being destroyed is no opinion that an owner could disagree with.
        let keeps = row.rule == "unsaved-work";
        if row.kind != Kind::Transition {
            return Ok(());
        }
        let earlier = self.rows(store, Some(&row.session))?;
        let same: Vec<&Transition> = earlier
            .iter()
            .filter(|one| one.id < row.id && one.kind == Kind::Transition)
            .filter(|one| matches!(one.standing, Standing::Written { .. }))
            .filter(|one| (one.from, one.to) == (row.from, row.to))
            .filter(|one| self.words.get(&one.id) == Some(words))
            .collect();
        if let Some(undone) = same.iter().find(|one| one.undone_by.is_some()) {
            return Err(format!("{}: {} was undone by hand", row.id, undone.id));
        }
        let taken_back = same
            .iter()
            .filter(|one| row.at.0.saturating_sub(one.at.0) < DAY_MS)
            .filter(|one| self.taken_back.contains(&one.id));
        if taken_back.count() >= REPEATS_MAX && !keeps {
            return Err(format!(
                "{}: the same move for the third time within a day",
                row.id
            ));
        }
        Ok(())
    }

    /// Nobody but who blocked a session lets it go, unless its work has ended.
    fn own_block(&self, row: &Transition, store: &Store) -> Result<(), String> {
        if (row.kind, row.from, row.to) != (Kind::Transition, State::Blocked, State::Maintaining) {
            return Ok(());
        }
        let earlier = self.rows(store, Some(&row.session))?;
        let last = earlier
            .iter()
            .filter(|one| one.id < row.id)
            .find(|one| matches!(one.standing, Standing::Written { .. }));
        let own = last.is_some_and(|last| {
            last.kind == Kind::Transition
                && last.to == State::Blocked
                && last.revision_after == row.revision_before
        });
        match own {
            true => Ok(()),
            false => Err(format!(
                "{}: lets go what somebody else has blocked",
                row.id
            )),
        }
    }

    /// Nothing that was held in the pass at `at` is left to an owner that destroys work because of it.
    ///
    /// # Errors
    /// What is.
    pub fn left_alone(
        &self,
        store: &Store,
        bodies: &BTreeMap<String, Body>,
        at: Timestamp,
    ) -> Result<(), String> {
        let failed = |error| format!("the journal cannot be read: {error}");
        for id in &self.seen.ids {
            let Some(body) = bodies.get(id) else { continue };
            let session = SessionId::new(crate::run::SOURCE, id);
            let Some(row) = store.latest(&session).map_err(failed)? else {
                continue;
            };
            let is_hold = row.outcome == "held" && row.last_at == at;
            let nobodys = matches!(row.rule.as_str(), "duplicate-record" | "unreadable-record");
            if !is_hold || nobodys {
                continue;
            }
            if let Some(evidence) = store.evidence(&row.latest_evidence).map_err(failed)? {
                truth::left_alone(&evidence, body, at).map_err(|why| format!("{id}: {why}"))?;
            }
        }
        Ok(())
    }

    /// What a commit says must be so.
    ///
    /// # Errors
    /// What does not hold.
    pub fn committed(
        &self,
        proposals: &[Proposal],
        committed: &[Committed],
        store: &Store,
    ) -> Result<(), String> {
        if proposals.len() != committed.len() {
            return Err("a commit does not answer each proposal".to_owned());
        }
        let rows = store
            .unsettled()
            .map_err(|error| format!("the journal cannot be read: {error}"))?;
        for (proposal, outcome) in proposals.iter().zip(committed) {
            let id = &proposal.id.id;
            let present = self.seen.revisions.get(id);
            let shown = self.seen.shows.get(id).is_some_and(|shown| {
                rows.iter()
                    .any(|row| row.id == *shown && row.revision_after == proposal.after)
            });
            let owner_after = rows
                .iter()
                .filter(|row| row.session.id == *id && row.revision_after == proposal.after)
                .filter_map(|row| self.vigil_wrote.get(&row.id))
                .any(|at| self.owner_wrote.get(id).is_some_and(|owner| owner > at));
            match outcome {
                Committed::Written { .. } if shown || owner_after => {}
                Committed::Written { .. } if present == Some(&proposal.after) => {}
                Committed::Written { .. } => {
                    return Err(format!(
                        "{id} is called written, and the file does not have it"
                    ));
                }
                Committed::Conflict(why) | Committed::Locked(why) | Committed::Failed(why)
                    if shown =>
                {
                    return Err(format!(
                        "{id} is called not written ({why}), and the file has it"
                    ));
                }
                Committed::Conflict(_) | Committed::Locked(_) | Committed::Failed(_) => {}
            }
        }
        Ok(())
    }

    /// Journal and file after a pass that went through. `settled`: nothing may be left prepared but what is waiting.
    ///
    /// # Errors
    /// What does not hold.
    pub fn agree(&self, store: &Store, settled: bool) -> Result<(), String> {
        let rows = self.rows(store, None)?;
        let mut newest: BTreeMap<&str, &Transition> = BTreeMap::new();
        for row in rows.iter().rev() {
            let waits = (self.waiting.iter())
                .any(|one| (&one.id, &one.after) == (&row.session, &row.revision_after));
            if row.standing == Standing::Prepared && settled && !waits {
                return Err(format!(
                    "{} of {} is still only prepared",
                    row.id, row.session
                ));
            }
            if matches!(row.standing, Standing::Written { .. }) {
                newest.insert(&row.session.id, row);
            }
            edge(row)?;
        }
        if !settled {
            return Ok(());
        }
        for (id, row) in newest {
            let shown = self.seen.shows.get(id) == Some(&row.id);
            let owner = self.owner_wrote.get(id).copied().unwrap_or_default();
            let after = match self.vigil_wrote.get(&row.id) {
                Some(at) => owner > *at,
                None => false,
            };
            let as_written = self.seen.revisions.get(id) == Some(&row.revision_after);
            if !(shown || after || as_written) {
                return Err(format!(
                    "{} of {id} is journaled as written, and the file does not have it",
                    row.id
                ));
            }
        }
        for (id, shown) in &self.seen.shows {
            let row = rows.iter().find(|row| row.id == *shown);
            if !row.is_some_and(|row| matches!(row.standing, Standing::Written { .. })) {
                return Err(format!(
                    "the file has the write of {shown} on {id}, and the journal says {:?}",
                    row.map(|row| &row.standing)
                ));
            }
        }
        Ok(())
    }

    fn rows(&self, store: &Store, session: Option<&SessionId>) -> Result<Vec<Transition>, String> {
        store
            .transitions(session, None, 10_000)
            .map_err(|error| format!("the journal cannot be read: {error}"))
    }

    /// The present names of the sessions, in the file's order.
    pub fn ids(&self) -> &[String] {
        &self.seen.ids
    }

    /// Whether the owner has ever written this record since the beginning.
    pub fn owner_touched(&self, id: &str) -> bool {
        self.owner_wrote.get(id).is_some_and(|at| *at > 1)
    }
}

impl Seen {
    /// The whole file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its records.
    pub fn records(&self) -> &[Raw] {
        &self.records
    }
}

/// The table of legal changes, as `product.md` has it: nothing starts work, nothing follows an end but after `failed`.
fn may_become(from: State, to: State) -> bool {
    use State::*;
    match (from, to) {
        (_, Queued | Running) | (Succeeded | Closed, _) => false,
        (Failed, Interrupted) => false,
        (from, to) => from != to,
    }
}

fn edge(row: &Transition) -> Result<(), String> {
    let legal = match row.kind {
        Kind::Transition => may_become(row.from, row.to),
        Kind::Repair => row.from == row.to,
        // By hand, and only back.
        Kind::Undo => row.undoes.is_some(),
    };
    match legal {
        true => Ok(()),
        false => Err(format!("{} leads from {} to {}", row.id, row.from, row.to)),
    }
}

/// The owner's words that vigil may put in place of others.
fn native_edge(id: &str, old: &Raw, new: &Raw, kind: Kind) -> Result<(), String> {
    let (from, to) = (old.text("status"), new.text("status"));
    let legal = match kind {
        Kind::Undo => true,
        Kind::Repair => from == to,
        Kind::Transition => matches!(to.as_str(), "blocked" | "success" | "closed"),
    };
    match legal {
        true => Ok(()),
        false => Err(format!("{id}: vigil wrote the status {to} over {from}")),
    }
}

fn not_journaled(
    id: &str,
    old: &Raw,
    new: &Raw,
    prepared: &[Transition],
    revision: Option<&Revision>,
) -> String {
    let changed: Vec<&str> = new
        .fields
        .iter()
        .chain(&old.fields)
        .map(|(key, _)| key.as_str())
        .filter(|key| old.get(key) != new.get(key))
        .collect();
    let of_it: Vec<String> = prepared
        .iter()
        .filter(|row| row.session.id == id)
        .map(|row| format!("{} for {}", row.id, row.revision_before.0))
        .collect();
    format!(
        "the record of {id} at {revision:?} was changed in {changed:?} without a prepared transition for it in the journal; \
         there are {of_it:?}"
    )
}

/// `new` is `old` with the edits of `transition`, to the letter and in the old order.
fn same_but_for(id: &str, old: &Raw, new: &Raw, transition: &Transition) -> Result<(), String> {
    let edits = text::object(&transition.edits)?;
    let is_edited = |key: &str| edits.get(key).is_some();
    let kept = |raw: &Raw| -> Vec<(String, String)> {
        raw.fields
            .iter()
            .filter(|(key, _)| !is_edited(key))
            .cloned()
            .collect()
    };
    if kept(old) != kept(new) {
        return Err(format!(
            "{}: fields of {id} that it does not name were lost or changed:\n{:?}\n{:?}",
            transition.id,
            kept(old),
            kept(new)
        ));
    }
    for (key, value) in &edits.fields {
        let wanted = (value != "null").then_some(value.as_str());
        if new.get(key) != wanted {
            return Err(format!(
                "{}: {key} of {id} is {:?} and not {wanted:?}",
                transition.id,
                new.get(key)
            ));
        }
    }
    Ok(())
}
