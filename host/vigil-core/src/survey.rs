//! The pass as a whole: what no single session can show. Mass changes, past moves, siblings.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::evidence::{Context, Evidence, Sibling};
use crate::forge::PullRequestState;
use crate::session::{Session, SessionId};
use crate::signs;
use crate::standing::Brought;
use crate::state::State;
use crate::time::{Timestamp, minutes};

/// Losses within this span count together.
pub const MASS_WINDOW: Duration = minutes(15);

/// Fewer losses than this are never a mass change, whatever the share.
pub const MASS_LOSSES_MIN: usize = 3;

/// A move that was made before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastMove {
    /// The transition's name, for people.
    pub name: String,
    /// What it left.
    pub from: State,
    /// What it made.
    pub to: State,
    /// When.
    pub at: Timestamp,
    /// Its grounds still hold; of one that was undone, those that it had when it was.
    pub same_facts: bool,
    /// A person took it back with `vigil undo`.
    pub undone: bool,
    /// Who took it back otherwise.
    pub reversal: Reversal,
}

/// How a move came to be no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reversal {
    /// Its owner, or somebody with its owner's tools, wrote the record anew.
    Owner,
    /// Somebody saved an older copy of the whole file over it: the record has not been written since the move, as its
    /// own bookkeeping says. That is no opinion about the move.
    StaleCopy,
    /// vigil itself moved on from it.
    Own,
}

/// What is remembered of a source from the passes before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The sessions that were seen alive at the previous pass, and when that was.
    pub seen_alive: BTreeMap<SessionId, Timestamp>,
    /// Sessions lost in earlier passes, and when. They stay until something explains the loss.
    pub lost: BTreeMap<SessionId, Timestamp>,
    /// A person said that losses up to this moment are real.
    pub acknowledged: Option<Timestamp>,
    /// Moves of the last day.
    pub past: HashMap<SessionId, Vec<PastMove>>,
    /// Of sessions about which the chain passed: the latest write of their state.
    pub brought: HashMap<SessionId, Brought>,
}

/// What the pass shows as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Sessions seen alive in this pass: what the next one compares with.
    pub alive: BTreeSet<SessionId>,
    /// Every session that was alive and is lost by local absence alone, with the moment of the loss: also those that
    /// this pass did not look at.
    pub lost: BTreeMap<SessionId, Timestamp>,
    /// Set when too many were lost at once.
    pub mass: Option<MassLoss>,
    past: HashMap<SessionId, Vec<PastMove>>,
    brought: HashMap<SessionId, Brought>,
}

/// Too many sessions lost at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MassLoss {
    /// How many were lost within the window.
    pub lost: usize,
    /// Of how many that had been seen alive.
    pub of: usize,
    /// What they have in common, for people.
    pub cause: String,
    /// Which ones.
    pub sessions: BTreeSet<SessionId>,
}

impl MassLoss {
    /// One sentence for people.
    pub fn describe(&self) -> String {
        format!(
            "{} of {} sessions seen alive were lost within 15 min, and {}; held until one comes back or \
             `vigil ack` says that it is real",
            self.lost, self.of, self.cause
        )
    }
}

impl Survey {
    /// The moves of the last day of a session.
    pub fn past(&self, id: &SessionId) -> &[PastMove] {
        self.past.get(id).map_or(&[], Vec::as_slice)
    }

    /// The latest write of a session's state; `None`: none is known, or nobody looked for it.
    pub fn brought(&self, id: &SessionId) -> Option<&Brought> {
        self.brought.get(id)
    }

    /// The mass loss that a session is part of.
    pub fn mass_loss(&self, id: &SessionId) -> Option<&MassLoss> {
        self.mass.as_ref().filter(|mass| mass.sessions.contains(id))
    }
}

/// Looks at all evidence of one source in one pass. Sessions that are not looked at stay as the memory has them.
///
/// First sightings do not count as losses, and neither do sessions about which the forge or the owner says why they
/// ended. A loss is over when the session is alive again, when the forge or the owner explains it, when the machine was
/// booted since it was seen, or when a person acknowledged it; time alone does not end it.
pub fn survey<E: Borrow<Evidence>>(evidence: &[E], context: &Context, memory: Memory) -> Survey {
    let evidence: Vec<&Evidence> = evidence.iter().map(Borrow::borrow).collect();
    let Memory {
        seen_alive,
        lost: mut lost_before,
        acknowledged,
        past,
        brought,
    } = memory;
    let known = seen_alive
        .keys()
        .chain(lost_before.keys())
        .collect::<BTreeSet<_>>()
        .len();
    lost_before.retain(|_, at| {
        !explained_by_boot(*at, context) && acknowledged.is_none_or(|ack| *at > ack)
    });
    let alive: BTreeSet<SessionId> = evidence
        .iter()
        .filter(|one| one.session.state == State::Running && signs::alive(&one.session, context))
        .map(|one| one.session.id.clone())
        .collect();
    let mut lost = lost_before;
    for one in &evidence {
        let id = &one.session.id;
        let over = alive.contains(id)
            || explained_by_forge(one)
            || one.session.state != State::Running
            || signs::local_absence(one).is_none();
        if over {
            lost.remove(id);
        } else if !lost.contains_key(id)
            && seen_alive
                .get(id)
                .is_some_and(|seen| !explained_by_boot(*seen, context))
            && acknowledged.is_none_or(|ack| context.now > ack)
        {
            lost.insert(id.clone(), context.now);
        }
    }
    let limit = MASS_LOSSES_MIN.max(known / 2);
    let together = lost_together(&lost, limit);
    let mass = (!together.is_empty()).then(|| MassLoss {
        lost: together.len(),
        of: known,
        cause: common_cause(&evidence, &together),
        sessions: together,
    });
    Survey {
        alive,
        lost,
        mass,
        past,
        brought,
    }
}

/// The sessions of every span of [`MASS_WINDOW`] in which more than `limit` were lost.
fn lost_together(lost: &BTreeMap<SessionId, Timestamp>, limit: usize) -> BTreeSet<SessionId> {
    let mut by_time: Vec<(Timestamp, &SessionId)> = lost.iter().map(|(id, at)| (*at, id)).collect();
    by_time.sort();
    let mut together = BTreeSet::new();
    let mut first = 0;
    for last in 0..by_time.len() {
        while by_time[first].0.age(by_time[last].0) >= MASS_WINDOW {
            first += 1;
        }
        if last + 1 - first > limit {
            together.extend(by_time[first..=last].iter().map(|(_, id)| (*id).clone()));
        }
    }
    together
}

fn explained_by_boot(seen: Timestamp, context: &Context) -> bool {
    context.booted_at.is_some_and(|booted| booted > seen)
}

fn explained_by_forge(evidence: &Evidence) -> bool {
    let ended = |state| matches!(state, PullRequestState::Merged | PullRequestState::Closed);
    evidence
        .pull_request
        .found()
        .is_some_and(|pr| ended(pr.state))
        || evidence.issue.found().is_some_and(|issue| !issue.open)
        || evidence.session.owner_says.is_some()
}

/// What the lost have in common: one kind of absence, one repository. Only those that this pass looked at can tell.
fn common_cause(evidence: &[&Evidence], together: &BTreeSet<SessionId>) -> String {
    let looked: Vec<&&Evidence> = evidence
        .iter()
        .filter(|one| together.contains(&one.session.id))
        .collect();
    let mut grounds: BTreeMap<&'static str, usize> = BTreeMap::new();
    for ground in looked.iter().filter_map(|one| signs::local_absence(one)) {
        *grounds.entry(ground).or_default() += 1;
    }
    if let Some((ground, _)) = grounds.iter().find(|(_, count)| **count == looked.len()) {
        let repos: BTreeSet<&str> = looked
            .iter()
            .filter_map(|one| one.session.repo.as_deref())
            .collect();
        return match repos.first() {
            Some(repo) if repos.len() == 1 => {
                format!("of each it is seen that {ground}, all in {repo}")
            }
            _ => format!("of each it is seen that {ground}"),
        };
    }
    let parts: Vec<String> = grounds
        .iter()
        .map(|(ground, count)| format!("{count} times {ground}"))
        .collect();
    if parts.is_empty() {
        "nothing new is seen of them".to_owned()
    } else {
        parts.join(", ")
    }
}

/// For each session the others on the same issue, or on the same branch of the same repository. Linear in the number
/// of sessions but for the pairs themselves.
pub fn siblings(sessions: &[Session]) -> Vec<Vec<Sibling>> {
    let all: Vec<Kin<'_>> = sessions.iter().map(Kin::of).collect();
    siblings_of(&all, &(0..all.len()).collect::<Vec<_>>())
}

/// What makes sessions siblings.
#[derive(Clone, Copy, Debug)]
pub struct Kin<'a> {
    /// [`Session::id`] within its source.
    pub id: &'a str,
    /// [`Session::state`].
    pub state: State,
    /// [`Session::tracker`].
    pub tracker: &'a str,
    /// [`Session::repo`].
    pub repo: Option<&'a str>,
    /// [`Session::issue`].
    pub issue: Option<u64>,
    /// [`Session::branch`].
    pub branch: Option<&'a str>,
}

impl<'a> Kin<'a> {
    /// Those of a session.
    pub fn of(session: &'a Session) -> Self {
        Kin {
            id: &session.id.id,
            state: session.state,
            tracker: &session.tracker,
            repo: session.repo.as_deref(),
            issue: session.issue,
            branch: session.branch.as_deref(),
        }
    }

    /// By issue, and by branch.
    fn keys(&self) -> [Option<KinKey<'a>>; 2] {
        let Some(repo) = self.repo else {
            return [None, None];
        };
        let issue = |issue| KinKey::Issue(self.tracker, repo, issue);
        [
            self.issue.map(issue),
            self.branch.map(|branch| KinKey::Branch(repo, branch)),
        ]
    }
}

/// What siblings have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum KinKey<'a> {
    /// The same issue: a second record of one thing.
    Issue(&'a str, &'a str, u64),
    /// The same branch.
    Branch(&'a str, &'a str),
}

/// As [`siblings`], for those of `all` alone that `wanted` names by their place, in its order; a place that is not there
/// has none. A few of many cost one walk over all.
pub fn siblings_of(all: &[Kin<'_>], wanted: &[usize]) -> Vec<Vec<Sibling>> {
    let mut numbers: HashMap<KinKey<'_>, usize> = HashMap::with_capacity(2 * wanted.len());
    let of_wanted: Vec<[Option<usize>; 2]> = wanted
        .iter()
        .map(|&place| {
            let keys = all.get(place).map(Kin::keys).unwrap_or_default();
            keys.map(|key| {
                let next = numbers.len();
                key.map(|key| *numbers.entry(key).or_insert(next))
            })
        })
        .collect();
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); numbers.len()];
    for (place, one) in all.iter().enumerate() {
        for key in one.keys().into_iter().flatten() {
            if let Some(group) = numbers.get(&key).and_then(|number| groups.get_mut(*number)) {
                group.push(place);
            }
        }
    }
    wanted
        .iter()
        .zip(of_wanted)
        .map(|(&place, [issue, branch])| {
            let mut others: BTreeMap<usize, bool> = BTreeMap::new();
            for (number, duplicate) in [(issue, true), (branch, false)] {
                let group = number.and_then(|number| groups.get(number));
                for other in company(group.map_or(&[], Vec::as_slice), place) {
                    *others.entry(other).or_default() |= duplicate;
                }
            }
            others
                .into_iter()
                .filter_map(|(other, duplicate)| {
                    all.get(other).map(|other| Sibling {
                        id: other.id.to_owned(),
                        state: other.state,
                        duplicate,
                    })
                })
                .collect()
        })
        .collect()
}

/// Whom `place` names of its group: the first [`SIBLINGS_MAX`] others. Past the bound the rest still learn that they
/// are not alone, which is what holds them.
fn company(group: &[usize], place: usize) -> impl Iterator<Item = usize> {
    let is_early = group.iter().take(SIBLINGS_MAX).any(|one| *one == place);
    let bound = if is_early { SIBLINGS_MAX } else { 1 };
    group
        .iter()
        .copied()
        .filter(move |other| *other != place)
        .take(bound)
}

/// How many siblings one session names at the most: enough to see what is going on.
pub const SIBLINGS_MAX: usize = 16;
