//! What is known becomes the answer about a session, and what is not known becomes questions.

use std::collections::HashMap;

use vigil_core::fact::Sighting;
use vigil_core::forge::{Issue, PullRequest, PullRequestState};
use vigil_core::session::PullRequestRef;
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use super::known::Timeless;
use super::take::confirmed;
use super::{Branch, Entry, Known, Memory, RepoMemory, Why, branch_key, says_something};
use crate::ask::{Answer, Ask, Parts};
use crate::choose::{Candidates, More, Wanted, choose};
use crate::convert::{Candidate, only_parts, second};
use crate::question::{Question, Repo, Target, issue_target, pull_request_target};

/// A question with the reason why it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// What is asked.
    pub question: Question,
    /// Why.
    pub why: Why,
    /// Who may hold the branch that it asks about; empty for everything else.
    pub owners: Vec<String>,
    /// When it was last learned, to put the most stale first; zero: never.
    pub learned: Timestamp,
}

/// How much is to be asked although something is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// What is known stands as long as nothing says otherwise.
    Little,
    /// A move is to rest on it: whatever was not read in this very pass is read.
    Move,
}

impl Memory {
    /// What has to be asked so that all of `asks` can be answered at `now`, each question once, with all that anybody
    /// wants of it.
    pub fn questions(&self, asks: &[Ask], doubt: Doubt, now: Timestamp) -> Vec<Needed> {
        let mut needed = Questions::default();
        for ask in asks {
            self.of_issue(ask, doubt, now, &mut needed);
            self.of_pull_request(ask, doubt, now, &mut needed);
        }
        needed.list
    }

    fn of_issue(&self, ask: &Ask, doubt: Doubt, now: Timestamp, needed: &mut Questions) {
        let Some(Ok(Target::Issue { repo, number })) = issue_target(ask) else {
            return;
        };
        let known = self.repo(&repo).and_then(|of| of.issue(number));
        let parts = ask.wants.of_issue();
        let (why, learned) = why(known, parts, doubt, now);
        if let Some(why) = why {
            let parts = parts | known.map_or(Parts::empty(), |known| known.parts);
            needed.add(Target::Issue { repo, number }, parts, why, None, learned);
        }
    }

    fn of_pull_request(&self, ask: &Ask, doubt: Doubt, now: Timestamp, needed: &mut Questions) {
        let wants = ask.wants.of_pull_request();
        match pull_request_target(ask) {
            Some(Ok(Target::PullRequest { repo, number })) => {
                let known = self.repo(&repo).and_then(|of| of.pull(number));
                needed.add_pull(repo, number, known, wants, doubt, now);
            }
            Some(Ok(Target::Branch { repo, branch })) => {
                self.of_branch(ask, repo, branch, doubt, now, needed);
            }
            _ => {}
        }
    }

    fn of_branch(
        &self,
        ask: &Ask,
        repo: Repo,
        branch: String,
        doubt: Doubt,
        now: Timestamp,
        needed: &mut Questions,
    ) {
        let Ok(PullRequestRef::Branch { head_owner, .. }) = &ask.lookup.pull_request else {
            return;
        };
        let wants = ask.wants.of_pull_request();
        let of_repo = self.repo(&repo);
        let known = of_repo.and_then(|of| of.branch(&branch_key(head_owner, &branch)));
        let (mut why, learned) = why(known, Parts::empty(), doubt, now);
        let tried = known.is_some_and(|known| known.tried == now);
        if let (None, Some(of_repo), Some(known)) = (why, of_repo, known)
            && let Fact::Found(list) = &known.fact
        {
            match of_repo.pick(ask, list, now) {
                Some(Fact::Found(pr)) => {
                    let number = u32::try_from(pr.number).unwrap_or_default();
                    let pull = of_repo.pull(number);
                    needed.add_pull(repo.clone(), number, pull, wants, doubt, now);
                }
                Some(_) => {}
                // It depends on what nobody has looked at yet.
                None if !tried => why = Some(Why::Changed),
                None => {}
            }
            for number in &list.numbers {
                let pull = of_repo.pull(*number);
                // Another of them may have been opened again, or be the one that counts.
                if pull.is_some_and(|pull| pull.why(pull.parts, now).is_some()) {
                    needed.add_pull(repo.clone(), *number, pull, Parts::empty(), doubt, now);
                }
            }
        }
        if let Some(why) = why {
            let first = wants.first() - Parts::LISTS;
            let target = Target::Branch { repo, branch };
            needed.add(target, first, why, Some(head_owner), learned);
        }
    }

    /// What is known about a session at `now`. Whatever is doubtful is unknown, with the reason.
    pub fn answer(&self, ask: &Ask, now: Timestamp) -> Answer {
        Answer {
            issue: match issue_target(ask) {
                None => Fact::NotAsked,
                Some(Err(gap)) => Fact::from(gap),
                Some(Ok(Target::Issue { repo, number })) => {
                    let of_repo = self.repo(&repo);
                    let known = of_repo.and_then(|of| of.issue(number));
                    let left = self.left(&repo, |key| Entry::Issue(key, number), known, now);
                    let fact = said(of_repo, known, left, ask, &repo, now);
                    let fact = whole(fact, known, |_| ask.wants.of_issue(), &repo);
                    fact.map(|issue| as_wanted_issue(issue, ask, of_repo, known, now))
                }
                Some(Ok(target)) => lost(&target),
            },
            pull_request: match pull_request_target(ask) {
                None => Fact::NotAsked,
                Some(Err(gap)) => Fact::from(gap),
                Some(Ok(Target::PullRequest { repo, number })) => {
                    let of_repo = self.repo(&repo);
                    let known = of_repo.and_then(|of| of.pull(number));
                    let left = self.left(&repo, |key| Entry::Pull(key, number), known, now);
                    let fact = said(of_repo, known, left, ask, &repo, now);
                    let wants = ask.wants.of_pull_request();
                    let fact = whole(fact, known, |pr| that_matter(Some(pr), wants), &repo);
                    fact.map(|pr| as_wanted_pull(pr, ask, of_repo, known, now))
                }
                Some(Ok(Target::Branch { repo, branch })) => {
                    self.answer_of_branch(ask, &repo, &branch, now)
                }
                Some(Ok(target)) => lost(&target),
            },
        }
    }

    fn answer_of_branch(
        &self,
        ask: &Ask,
        repo: &Repo,
        branch: &str,
        now: Timestamp,
    ) -> Fact<PullRequest> {
        let Ok(PullRequestRef::Branch { head_owner, .. }) = &ask.lookup.pull_request else {
            return Fact::NotAsked;
        };
        let target = Target::Branch {
            repo: repo.clone(),
            branch: branch.to_owned(),
        };
        let of_repo = self.repo(repo);
        let name = branch_key(head_owner, branch);
        let known = of_repo.and_then(|of| of.branch(&name));
        let left = self.left(repo, |key| Entry::Branch(key, name.clone()), known, now);
        let (Some(of_repo), Some(known)) = (of_repo, known) else {
            return left.map_or_else(|| lost(&target), |gap| Fact::from(gap.clone()));
        };
        let list = said(Some(of_repo), Some(known), left, ask, repo, now);
        let numbers = list.found().map_or(&[][..], |list| &list.numbers);
        // Which of them counts rests on each.
        let left = numbers.iter().find_map(|number| {
            let pull = of_repo.pull(*number);
            self.left(repo, |key| Entry::Pull(key, *number), pull, now)
        });
        if let Some(gap) = left {
            return Fact::from(gap.clone());
        }
        if !list.is_unknown() && !of_repo.watch.unread.is_empty() {
            return Fact::unknown(
                GapKind::NotReady,
                format!("GitHub tells of a pull request in {repo} that nobody has read yet"),
            );
        }
        match list {
            Fact::Found(list) => match of_repo.pick(ask, &list, now) {
                Some(Fact::Found(pr)) => {
                    let number = u32::try_from(pr.number).unwrap_or_default();
                    let pull = of_repo.pull(number);
                    let fact = said(Some(of_repo), pull, None, ask, repo, now);
                    let wants = ask.wants.of_pull_request();
                    let fact = whole(fact, pull, |pr| that_matter(Some(pr), wants), repo);
                    fact.map(|pr| as_wanted_pull(pr, ask, Some(of_repo), pull, now))
                }
                Some(Fact::Absent(sighting)) => Fact::from(confirmed(
                    &Sighting {
                        first: known.learned,
                        ..*sighting
                    },
                    Memory::as_of(&of_repo.watch, known.learned, now),
                )),
                Some(other) => other,
                None => lost(&target),
            },
            Fact::Absent(sighting) => Fact::from(confirmed(
                &sighting,
                Memory::as_of(&of_repo.watch, known.learned, now),
            )),
            Fact::Unknown(gap) => Fact::from(gap),
            Fact::NotAsked => lost(&target),
        }
    }
}

impl RepoMemory {
    /// The pull request of `list` that is the session's; `None`: that depends on those that nobody has looked at.
    fn pick(&self, ask: &Ask, list: &Branch, now: Timestamp) -> Option<Fact<PullRequest>> {
        let wanted = Wanted::of(ask, now)?;
        let mut candidates = Vec::with_capacity(list.numbers.len());
        for number in &list.numbers {
            let pull = self.pulls.get(number)?;
            if let Some(gap) = pull.doubtful() {
                return Some(Fact::from(gap));
            }
            candidates.push(Candidate {
                pull_request: pull.fact.found()?.clone(),
                id: pull.id.clone().unwrap_or_default(),
                updated: pull.updated.unwrap_or_default(),
            });
        }
        let more = match list.partial {
            false => More::Complete,
            true => More::After(String::new()),
        };
        choose(
            &Candidates {
                known: candidates,
                more,
            },
            wanted,
        )
    }
}

/// What is known of one thing, if it may be said: the repository is the one that the session knew, nothing announced
/// lies between, the last try did not fail, and the pass did not leave it unasked, which `left` says.
fn said<T: Clone + Timeless>(
    of_repo: Option<&RepoMemory>,
    known: Option<&Known<T>>,
    left: Option<&Gap>,
    ask: &Ask,
    repo: &Repo,
    now: Timestamp,
) -> Fact<T> {
    let (Some(of_repo), Some(known)) = (of_repo, known) else {
        let lost = || {
            let text = format!("the answer about something in {repo} got lost");
            Gap::new(GapKind::Malformed, text)
        };
        return Fact::from(left.cloned().unwrap_or_else(lost));
    };
    // Where it went says more than that it is not here.
    let moved = of_repo.watch.gap.as_ref();
    let moved = moved.filter(|gap| gap.kind == GapKind::IdentityChanged);
    if let Some(gap) = moved.or(known.gap.as_deref()).or(left) {
        return Fact::from(gap.clone());
    }
    if known.is_of_the_future(now) {
        return Fact::unknown(
            GapKind::InTheFuture,
            "it was read before the clock was set back, and not since",
        );
    }
    let watch = &of_repo.watch;
    if let Some(gap) = &watch.gap
        && watch.tried > known.learned
    {
        return Fact::from(gap.clone());
    }
    let older = |since: Option<Timestamp>| {
        since.is_some_and(|since| ask.started.is_none_or(|started| started < since))
    };
    if older(watch.other_since) {
        return Fact::from(Gap::new(
            GapKind::IdentityChanged,
            format!("another repository bears the name {repo} since this session began"),
        ));
    }
    if older(known.other_since) {
        return Fact::from(Gap::new(
            GapKind::IdentityChanged,
            format!("something else in {repo} bears the number since this session began"),
        ));
    }
    if let Some(gap) = known.doubtful() {
        return Fact::from(gap);
    }
    match known.fact.clone() {
        fact if says_something(&fact) => fact,
        _ => Fact::unknown(
            GapKind::Malformed,
            format!("the answer about something in {repo} got lost"),
        ),
    }
}

/// What was found, if it was read with everything that is wanted of it: what was not asked must not look as if nobody
/// wanted it.
fn whole<T: Clone + Timeless>(
    fact: Fact<T>,
    known: Option<&Known<T>>,
    wanted: impl FnOnce(&T) -> Parts,
    repo: &Repo,
) -> Fact<T> {
    let has = known.map_or(Parts::empty(), |known| known.parts);
    match &fact {
        Fact::Found(found) if !has.contains(wanted(found)) => Fact::unknown(
            GapKind::NotReady,
            format!("something in {repo} has not been read with all that is wanted of it"),
        ),
        _ => fact,
    }
}

fn why<T: Clone + Timeless>(
    known: Option<&Known<T>>,
    parts: Parts,
    doubt: Doubt,
    now: Timestamp,
) -> (Option<Why>, Timestamp) {
    let Some(known) = known else {
        return (Some(Why::Missing), Timestamp::default());
    };
    let why = match (known.why(parts, now), doubt) {
        (None | Some(Why::Poll | Why::Sweep), Doubt::Move) if known.tried != now => {
            Some(Why::Confirm)
        }
        (why, _) => why,
    };
    (why, known.learned)
}

/// Questions, each once.
#[derive(Default)]
struct Questions {
    list: Vec<Needed>,
    places: HashMap<Target, usize>,
}

impl Questions {
    fn add(
        &mut self,
        target: Target,
        parts: Parts,
        why: Why,
        owner: Option<&str>,
        learned: Timestamp,
    ) {
        let place = *self.places.entry(target.clone()).or_insert_with(|| {
            self.list.push(Needed {
                question: Question {
                    target,
                    parts,
                    after: None,
                    checks_so_far: None,
                },
                why,
                owners: Vec::new(),
                learned,
            });
            self.list.len() - 1
        });
        let needed = &mut self.list[place];
        needed.question.parts |= parts;
        needed.why = needed.why.min(why);
        if let Some(owner) = owner
            && !needed
                .owners
                .iter()
                .any(|known| known.eq_ignore_ascii_case(owner))
        {
            needed.owners.push(owner.to_owned());
        }
    }

    /// A pull request by its number, with those parts that can matter by what is known of it.
    fn add_pull(
        &mut self,
        repo: Repo,
        number: u32,
        known: Option<&Known<PullRequest>>,
        wants: Parts,
        doubt: Doubt,
        now: Timestamp,
    ) {
        let found = known.and_then(|known| known.fact.found());
        let parts = that_matter(found, wants);
        let (why, learned) = why(known, parts, doubt, now);
        if let Some(why) = why {
            let before = known.map_or(Parts::empty(), |known| known.parts - Parts::SECOND);
            self.add(
                Target::PullRequest { repo, number },
                parts | before,
                why,
                None,
                learned,
            );
        }
    }
}

/// The parts that can change anything: single checks and held runs are only looked at where the summary leaves room
/// for them.
fn that_matter(known: Option<&PullRequest>, wants: Parts) -> Parts {
    let first = wants.first();
    let second = match known {
        Some(pr) if wants.intersects(Parts::SECOND) => second(&mut pr.clone(), wants),
        _ => Parts::empty(),
    };
    first | second
}

/// The issue with the parts that this session wants, as old as it is.
fn as_wanted_issue(
    mut issue: Issue,
    ask: &Ask,
    of_repo: Option<&RepoMemory>,
    known: Option<&Known<Issue>>,
    now: Timestamp,
) -> Issue {
    let parts = ask.wants.of_issue();
    if !parts.contains(Parts::ASSIGNEES) {
        issue.assignees = Fact::NotAsked;
    }
    if !parts.contains(Parts::HISTORY) {
        issue.closer = Fact::NotAsked;
        issue.reopened = Fact::NotAsked;
    }
    if !parts.contains(Parts::REFERENCES) {
        issue.closed_by = Fact::NotAsked;
    }
    if let (Some(of_repo), Some(known)) = (of_repo, known) {
        issue.observed = Memory::as_of(&of_repo.watch, known.learned, now);
    }
    issue
}

/// The pull request with the parts that this session wants, as old as it is.
fn as_wanted_pull(
    mut pr: PullRequest,
    ask: &Ask,
    of_repo: Option<&RepoMemory>,
    known: Option<&Known<PullRequest>>,
    now: Timestamp,
) -> PullRequest {
    let parts = ask.wants.of_pull_request();
    let has = known.map_or(Parts::empty(), |known| known.parts);
    // What was not looked at because it cannot matter is absent, and not unasked.
    let missing = (parts & Parts::SECOND) - has;
    if !missing.is_empty() {
        second(&mut pr, missing);
    }
    let mut pr = only_parts(pr, parts);
    if let (Some(of_repo), Some(known)) = (of_repo, known) {
        pr.observed = Memory::as_of(&of_repo.watch, known.learned, now);
        if pr.state != PullRequestState::Open {
            pr.parts_observed = pr.observed;
        }
    }
    pr
}

/// Every question ends in a finding; should one not, its fact is unknown all the same.
fn lost<T>(target: &Target) -> Fact<T> {
    Fact::unknown(
        GapKind::Malformed,
        format!("the answer about {target} got lost"),
    )
}
