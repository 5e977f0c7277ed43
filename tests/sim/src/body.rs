//! What is really there of a session's work on the machine, whatever the record says, and how that changes.

use vigil_core::Timestamp;

use crate::plant::Bug;
use crate::rng::Rng;

/// Where a worktree stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where the record says.
    Recorded,
    /// Elsewhere, and its repository knows where.
    Listed,
    /// Elsewhere, moved by hand: nobody knows where.
    Unlisted,
}

/// What is really so about one session's work on the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The agent's pid, while it lives.
    pub agent: Option<u32>,
    /// The pid of another process at work in the worktree, under a name that no agent has.
    pub occupant: Option<u32>,
    /// What works there runs in another namespace, where nobody can tell it apart from here.
    pub hidden: bool,
    /// The supervisor that started it lives.
    pub supervisor: bool,
    /// The last write to the log; `None`: there is no log.
    pub log: Option<Timestamp>,
    /// The last write in the worktree; `None`: it is missing.
    pub worktree: Option<Timestamp>,
    /// Where the worktree stands, while it is there.
    pub place: Place,
    /// The branch that is checked out, where that is not the recorded one.
    pub renamed: Option<String>,
    /// Uncommitted changes.
    pub dirty: bool,
    /// Commits that no remote has.
    pub unpushed: u32,
    /// Commits beyond the pull request's head.
    pub beyond: u32,
    /// How often it became another one: what came and went was there.
    changes: u32,
}

impl Body {
    /// One at `now`, whose branch may have become `other`.
    pub fn new(now: Timestamp, other: &str, rng: &mut Rng) -> Self {
        let written = |rng: &mut Rng| {
            let most = if rng.chance(70) { 600 } else { 20 };
            (!rng.chance(15)).then(|| minutes_ago(now, rng, most))
        };
        Body {
            agent: rng.chance(15).then(|| pid(rng)),
            occupant: rng.chance(15).then(|| pid(rng)),
            hidden: rng.chance(10),
            supervisor: rng.chance(50),
            log: written(rng),
            worktree: written(rng),
            place: place(rng),
            renamed: rng.chance(20).then(|| other.to_owned()),
            dirty: rng.chance(15),
            unpushed: if rng.chance(15) { 2 } else { 0 },
            beyond: if rng.chance(10) { 1 } else { 0 },
            changes: 0,
        }
    }

    /// All of it that a move can rest on, which moments do not count as.
    pub fn words(&self) -> String {
        let still = Body {
            log: self.log.map(|_| Timestamp(0)),
            worktree: self.worktree.map(|_| Timestamp(0)),
            ..self.clone()
        };
        format!("{still:?}")
    }

    fn change(&mut self, change: impl FnOnce(&mut Body)) {
        let before = self.words();
        change(self);
        self.changes += u32::from(self.words() != before);
    }

    /// Where the worktree stands; `None`: it is missing.
    pub fn stands(&self) -> Option<Place> {
        self.worktree.map(|_| self.place)
    }

    /// Nobody can tell from here who is at work on it.
    pub fn is_out_of_sight(&self) -> bool {
        self.hidden || self.stands() == Some(Place::Unlisted)
    }

    /// The branch in its worktree, where that is not the recorded one and can be told.
    pub fn checked_out(&self) -> Option<&str> {
        match self.stands() {
            None | Some(Place::Unlisted) => None,
            Some(Place::Recorded | Place::Listed) => self.renamed.as_deref(),
        }
    }

    /// What whoever makes the mistake `bug` takes it for.
    #[must_use]
    pub fn mistaken(mut self, bug: Option<Bug>) -> Self {
        match bug {
            Some(Bug::OverlooksOccupants) => self.occupant = None,
            Some(Bug::HiddenIsAbsent) if self.hidden => {
                self.hidden = false;
                (self.agent, self.occupant) = (None, None);
            }
            // All of it is looked for where the record says, and only there.
            Some(Bug::MovedIsMissing) if self.place != Place::Recorded => {
                self.place = Place::Recorded;
                (self.agent, self.occupant) = (None, None);
                (self.worktree, self.dirty) = (None, false);
            }
            Some(Bug::GoesByRecordedBranch) => self.renamed = None,
            _ => {}
        }
        self
    }

    /// Every process is gone.
    pub fn ends(&mut self) {
        self.change(|body| {
            (body.agent, body.occupant) = (None, None);
            body.supervisor = false;
        });
    }

    /// Agent and supervisor die at `now`, in the middle of the work.
    pub fn dies(&mut self, now: Timestamp) {
        self.change(|body| {
            (body.agent, body.supervisor) = (None, false);
            (body.worktree, body.dirty) = (Some(now), true);
        });
    }

    /// Something happens to it at `now`; `other` is what its branch may be called.
    pub fn live_on(&mut self, now: Timestamp, other: &str, rng: &mut Rng) {
        self.change(|body| body.become_another(now, other, rng));
    }

    fn become_another(&mut self, now: Timestamp, other: &str, rng: &mut Rng) {
        match rng.below(13) {
            0 => self.agent = None,
            1 => self.supervisor = !self.supervisor,
            2 => self.log = Some(now),
            3 if self.worktree.is_some() => self.worktree = Some(now),
            4 => self.worktree = None,
            5 => self.dirty = !self.dirty,
            6 => self.unpushed = if self.unpushed == 0 { 1 } else { 0 },
            7 => self.beyond = if self.beyond == 0 { 1 } else { 0 },
            8 | 9 => {
                self.occupant = match self.occupant {
                    Some(_) => None,
                    None => Some(pid(rng)),
                };
            }
            10 => self.hidden = !self.hidden,
            11 => self.place = place(rng),
            12 => {
                self.renamed = match self.renamed {
                    Some(_) => None,
                    None => Some(other.to_owned()),
                };
            }
            _ => {}
        }
    }
}

fn pid(rng: &mut Rng) -> u32 {
    4000 + rng.below(1000) as u32
}

fn place(rng: &mut Rng) -> Place {
    match rng.below(10) {
        0 | 1 => Place::Listed,
        2 => Place::Unlisted,
        _ => Place::Recorded,
    }
}

/// A moment at most `most` minutes before `now`.
pub(crate) fn minutes_ago(now: Timestamp, rng: &mut Rng, most: u64) -> Timestamp {
    Timestamp(now.0 - rng.below(most) * 60_000 - rng.below(60_000))
}
