//! Which pull request speaks for a session, by what is known: the recorded one first, then those of its branches, each
//! only where it can change the answer.

use vigil_core::evidence::PassedOver;
use vigil_core::fact::Sighting;
use vigil_core::forge::{PullRequest, Reference};
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use super::answer::{as_wanted_pull, lost, said, that_matter, whole};
use super::{Entry, Memory, RepoMemory, branch_key};
use crate::ask::{Ask, Parts};
use crate::choose::{Candidates, Choice, More, Wanted, choose, to_compare};
use crate::convert::Candidate;
use crate::question::{Sought, Target, sought};

/// Why the number that the record names is passed over, where it names no pull request.
const NAMES_NOTHING: &str = "the record's number, which names no pull request";

/// What was looked at on the way to an answer, in order: nothing behind it can change the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consulted<'s> {
    /// The recorded pull request.
    Number(u32),
    /// The pull requests of that branch.
    Branch(&'s str),
}

/// Where the way ended.
pub(super) enum Outcome {
    /// At a choice.
    Chosen(Box<Choice>),
    /// At something that is unknown.
    Unknown(Gap),
    /// At a list that goes on.
    Open(Target),
}

/// A way through what is known.
pub(super) struct Walk<'s> {
    pub(super) consulted: Vec<Consulted<'s>>,
    pub(super) outcome: Outcome,
    /// The candidates that were met.
    pub(super) candidates: Candidates,
    /// The number that the record names, where it names no pull request.
    nothing: Option<u64>,
}

impl Memory {
    /// The way to the pull request of `ask`, as far as it is known at `now`.
    pub(super) fn walk<'s>(&self, ask: &Ask, sought: &'s Sought<'_>, now: Timestamp) -> Walk<'s> {
        let mut walk = Walk {
            consulted: Vec::new(),
            outcome: Outcome::Open(target_of(sought)),
            candidates: Candidates {
                known: Vec::new(),
                more: More::Complete,
            },
            nothing: sought.nothing,
        };
        let of_repo = self.repo(&sought.repo);
        let default = of_repo.and_then(|of| of.watch.default_branch.as_deref());
        let wanted = Wanted::of(ask, sought, default, now);
        if let Some(number) = sought.number {
            walk.consulted.push(Consulted::Number(number));
            match self.recorded(ask, sought, number, now) {
                Ok(candidate) => walk.candidates.known.push(candidate),
                // A number that names nothing is no candidate: the branch decides. Should all of the repository be out
                // of sight, so is its list; before a move both are asked anew.
                Err(gap) if gap.kind == GapKind::NotFound && !sought.branches.is_empty() => {
                    walk.nothing = Some(u64::from(number));
                }
                Err(gap) => {
                    walk.outcome = Outcome::Unknown(gap);
                    return walk;
                }
            }
        }
        let mut is_partial = false;
        for branch in &sought.branches {
            // What nobody has looked at may be another one.
            walk.candidates.more = More::After(String::new());
            if let Some(choice) = choose(&walk.candidates, &wanted) {
                walk.outcome = Outcome::Chosen(Box::new(choice));
                return walk;
            }
            walk.consulted.push(Consulted::Branch(branch));
            match self.of_list(ask, sought, branch, now) {
                Ok((candidates, partial)) => {
                    walk.candidates.known.extend(candidates);
                    is_partial |= partial;
                }
                Err(gap) => {
                    walk.outcome = Outcome::Unknown(gap);
                    return walk;
                }
            }
        }
        walk.candidates.more = match is_partial {
            true => More::After(String::new()),
            false => More::Complete,
        };
        if let Some(choice) = choose(&walk.candidates, &wanted) {
            walk.outcome = Outcome::Chosen(Box::new(choice));
        }
        walk
    }

    /// The pull request that the record names.
    fn recorded(
        &self,
        ask: &Ask,
        sought: &Sought<'_>,
        number: u32,
        now: Timestamp,
    ) -> Result<Candidate, Gap> {
        let of_repo = self.repo(&sought.repo);
        let known = of_repo.and_then(|of| of.pull(number));
        let left = self.left(&sought.repo, |key| Entry::Pull(key, number), known, now);
        let fact = said(of_repo, known, left, ask, &sought.repo, now);
        match (fact, of_repo) {
            (Fact::Found(_), Some(of_repo)) => {
                let target = || Target::PullRequest {
                    repo: sought.repo.clone(),
                    number,
                };
                of_repo.candidate(number).ok_or_else(|| lost_gap(&target()))
            }
            (Fact::Unknown(gap), _) => Err(*gap),
            _ => Err(lost_gap(&target_of(sought))),
        }
    }

    /// The pull requests of one branch, and whether there are more.
    fn of_list(
        &self,
        ask: &Ask,
        sought: &Sought<'_>,
        branch: &str,
        now: Timestamp,
    ) -> Result<(Vec<Candidate>, bool), Gap> {
        let repo = &sought.repo;
        let name = branch_key(sought.head_owner.unwrap_or_default(), branch);
        let of_repo = self.repo(repo);
        let known = of_repo.and_then(|of| of.branch(&name));
        let entry = |key| Entry::Branch(key, name.clone());
        let left = self.left(repo, entry, known, now);
        let (Some(of_repo), Some(known)) = (of_repo, known) else {
            return Err(left
                .cloned()
                .unwrap_or_else(|| lost_gap(&sought.branch(branch))));
        };
        let list = said(Some(of_repo), Some(known), left, ask, repo, now);
        let numbers = list.found().map_or(&[][..], |list| &list.numbers);
        // Which of them counts rests on each.
        let left = numbers.iter().find_map(|number| {
            let pull = of_repo.pull(*number);
            self.left(repo, |key| Entry::Pull(key, *number), pull, now)
        });
        if let Some(gap) = left {
            return Err(gap.clone());
        }
        if !list.is_unknown() && !of_repo.watch.unread.is_empty() {
            return Err(Gap::new(
                GapKind::NotReady,
                format!("GitHub tells of a pull request in {repo} that nobody has read yet"),
            ));
        }
        let list = match list {
            Fact::Found(list) => list,
            Fact::Absent(_) => return Ok((Vec::new(), false)),
            Fact::Unknown(gap) => return Err(*gap),
            Fact::NotAsked => return Err(lost_gap(&sought.branch(branch))),
        };
        let mut candidates = Vec::with_capacity(list.numbers.len());
        for number in &list.numbers {
            if let Some(gap) = of_repo.pull(*number).and_then(|pull| pull.doubtful()) {
                return Err(gap);
            }
            let candidate = of_repo.candidate(*number);
            candidates.push(candidate.ok_or_else(|| lost_gap(&sought.branch(branch)))?);
        }
        Ok((candidates, list.partial))
    }

    /// The pull request that speaks for `ask` at `now`, and those that do not.
    pub(super) fn speaks(&self, ask: &Ask, now: Timestamp) -> (Fact<PullRequest>, Vec<PassedOver>) {
        let sought = match sought(ask) {
            None => return (Fact::NotAsked, Vec::new()),
            Some(Err(gap)) => return (Fact::from(gap), Vec::new()),
            Some(Ok(sought)) => sought,
        };
        let walk = self.walk(ask, &sought, now);
        let choice = match walk.outcome {
            Outcome::Chosen(choice) => *choice,
            Outcome::Unknown(gap) => return (Fact::from(gap), Vec::new()),
            Outcome::Open(target) => return (lost(&target), Vec::new()),
        };
        let mut passed_over = choice.passed_over;
        passed_over.extend(walk.nothing.map(|number| PassedOver {
            number,
            why: NAMES_NOTHING.to_owned(),
        }));
        let fact = match choice.fact {
            Fact::Found(pr) => self.wanted_of(ask, &sought, &pr, now),
            Fact::Absent(sighting) => {
                let sighting = self.absence(&sought, &walk.consulted, *sighting, now);
                match self.named_by_others(ask, &walk.candidates, &mut passed_over) {
                    Some(gap) => Fact::from(gap),
                    None => Fact::from(sighting),
                }
            }
            other => other,
        };
        (fact, passed_over)
    }

    /// The pull request as this session wants it.
    fn wanted_of(
        &self,
        ask: &Ask,
        sought: &Sought<'_>,
        pr: &PullRequest,
        now: Timestamp,
    ) -> Fact<PullRequest> {
        let of_repo = self.repo(&sought.repo);
        let number = u32::try_from(pr.number).unwrap_or_default();
        let known = of_repo.and_then(|of| of.pull(number));
        let fact = said(of_repo, known, None, ask, &sought.repo, now);
        let wants = ask.wants.of_pull_request();
        let fact = whole(fact, known, |pr| that_matter(Some(pr), wants), &sought.repo);
        fact.map(|pr| {
            let mut pr = as_wanted_pull(pr, ask, of_repo, known, now);
            pr.landed = self.landed(&sought.repo, ask, &pr);
            pr
        })
    }

    /// Since when all that was looked at has held none, and until when that is known.
    fn absence(
        &self,
        sought: &Sought<'_>,
        consulted: &[Consulted<'_>],
        sighting: Sighting,
        now: Timestamp,
    ) -> Sighting {
        let Some(of_repo) = self.repo(&sought.repo) else {
            return sighting;
        };
        let owner = sought.head_owner.unwrap_or_default();
        let seen = consulted.iter().filter_map(|one| match one {
            Consulted::Number(number) => {
                let known = of_repo.pull(*number)?;
                // Of one that is not there, the tries say it.
                Some(match known.gap.as_deref() {
                    Some(gap) => (gap.since.unwrap_or(known.tried), known.tried),
                    None => (known.learned, known.learned),
                })
            }
            Consulted::Branch(branch) => {
                let known = of_repo.branch(&branch_key(owner, branch))?;
                let first = match &known.fact {
                    Fact::Absent(first) => first.first,
                    _ => known.learned,
                };
                Some((first, known.learned))
            }
        });
        // The one that was looked at last says since when all of them hold none.
        let all = seen.reduce(|one, other| (one.0.max(other.0), one.1.min(other.1)));
        let Some((first, learned)) = all else {
            return sighting;
        };
        let last = Memory::as_of(&of_repo.watch, learned, now).max(first);
        Sighting {
            first,
            last,
            ..sighting
        }
    }

    /// Pull requests that say of themselves that they close the issue, and that nothing else attributes to the session:
    /// anybody can write that. Where one of them may be its work, that there is none is unknown.
    fn named_by_others(
        &self,
        ask: &Ask,
        candidates: &Candidates,
        passed_over: &mut Vec<PassedOver>,
    ) -> Option<Gap> {
        let at = ask.lookup.issue().filter(|_| ask.wants.any_issue())?;
        let of_repo = self.repos.get(&at.repo.to_ascii_lowercase())?;
        let known = of_repo.issue(u32::try_from(at.number).ok()?)?;
        let issue = known
            .fact
            .found()
            .filter(|_| known.parts.contains(Parts::REFERENCES))?;
        let named = match &issue.closed_by {
            Fact::Found(named) => named,
            Fact::Unknown(gap) => {
                return match gap.kind {
                    // Whoever may not read them would wait for ever.
                    GapKind::Denied | GapKind::Unsupported => None,
                    // More than can be looked through, of which any may hold the work; once the issue is closed, it says
                    // by itself that the work is over.
                    GapKind::TooLarge if !issue.open => None,
                    _ => Some((**gap).clone()),
                };
            }
            Fact::Absent(_) | Fact::NotAsked => return None,
        };
        let is_known = |one: &&Reference| {
            let mut known = candidates
                .known
                .iter()
                .map(|known| known.pull_request.number);
            one.repo.eq_ignore_ascii_case(&at.repo) && known.any(|number| number == one.number)
        };
        let others = named.iter().filter(|one| !is_known(one));
        for other in others {
            // Once the issue is closed, it says by itself that the work is over.
            let may_be_ours = issue.open && matches!(other.state.as_str(), "open" | "merged");
            if may_be_ours {
                let number = match other.repo.eq_ignore_ascii_case(&at.repo) {
                    true => format!("#{}", other.number),
                    false => format!("{}#{}", other.repo, other.number),
                };
                return Some(Gap::new(
                    GapKind::NoControl,
                    format!(
                        "pull request {number} is {} and says that it closes issue #{}, its branch is none of this \
                         session's, and nobody can say whether it holds its work",
                        other.state, at.number
                    ),
                ));
            }
            if other.state == "merged" && other.repo.eq_ignore_ascii_case(&at.repo) {
                passed_over.push(PassedOver {
                    number: other.number,
                    why: "it closed the issue, and its branch is none of this session's".to_owned(),
                });
            }
        }
        None
    }

    /// Pull requests that may be the session's, and of which it matters whether the checkout shares their work, by what
    /// is known at `now`.
    pub fn to_compare(&self, ask: &Ask, now: Timestamp) -> Vec<PullRequest> {
        let Some(Ok(sought)) = sought(ask) else {
            return Vec::new();
        };
        let of_repo = self.repo(&sought.repo);
        let default = of_repo.and_then(|of| of.watch.default_branch.as_deref());
        let walk = self.walk(ask, &sought, now);
        let wanted = Wanted::of(ask, &sought, default, now);
        let all = to_compare(&walk.candidates, &wanted);
        all.into_iter().cloned().collect()
    }

    /// Whether `ask` looks for a pull request and, by what is known at `now`, there is none.
    pub(super) fn has_none(&self, ask: &Ask, now: Timestamp) -> bool {
        let Some(Ok(sought)) = sought(ask) else {
            return false;
        };
        let chosen = self.walk(ask, &sought, now).outcome;
        matches!(chosen, Outcome::Chosen(choice) if choice.fact.is_absent())
    }

    /// The default branch of a repository; `None`: nobody knows.
    pub fn default_branch(&self, repo: &str) -> Option<&str> {
        let of_repo = self.repos.get(&repo.to_ascii_lowercase())?;
        of_repo.watch.default_branch.as_deref()
    }
}

impl RepoMemory {
    fn candidate(&self, number: u32) -> Option<Candidate> {
        let pull = self.pull(number)?;
        Some(Candidate {
            pull_request: pull.fact.found()?.clone(),
            id: pull.id.clone().unwrap_or_default(),
            updated: pull.updated.unwrap_or_default(),
        })
    }
}

fn target_of(sought: &Sought<'_>) -> Target {
    match (sought.number, sought.branches.last()) {
        (_, Some(branch)) => sought.branch(branch),
        (number, None) => Target::PullRequest {
            repo: sought.repo.clone(),
            number: number.unwrap_or_default(),
        },
    }
}

fn lost_gap(target: &Target) -> Gap {
    match lost::<()>(target) {
        Fact::Unknown(gap) => *gap,
        _ => Gap::new(GapKind::Malformed, target.to_string()),
    }
}
