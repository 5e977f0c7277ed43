//! What is known becomes the answer about a session, and what is not known becomes questions.

use std::collections::HashMap;

use vigil_core::forge::{Issue, PullRequest, PullRequestState};
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use super::known::Timeless;
use super::speaks::{Consulted, Outcome};
use super::{Entry, Known, Memory, RepoMemory, Why, branch_key, says_something};
use crate::ask::{Answer, Ask, Parts};
use crate::convert::{only_parts, second};
use crate::question::{Question, Repo, Target, issue_target, sought};

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
    /// A person is to read what a pass would do: what a move would rest on and nobody has asked yet is asked.
    Look,
    /// A move is to rest on it: whatever was not read in this very pass is read.
    Move,
}

/// The pull requests of a branch, and what is asked of them.
struct List<'a> {
    repo: &'a Repo,
    owner: &'a str,
    branch: &'a str,
    parts: Parts,
    /// The answer depends on what comes after those that are known.
    goes_on: bool,
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
        let mut parts = ask.wants.of_issue();
        // Whoever says that it closes the issue may hold the work of a session that seems to have no pull request.
        // A closed issue says by itself that the work is over.
        let is_open = known
            .and_then(|known| known.fact.found())
            .is_none_or(|issue| issue.open);
        if doubt != Doubt::Little && is_open && self.has_none(ask, now) {
            parts |= Parts::REFERENCES;
        }
        let (why, learned) = why(known, parts, doubt, now);
        if let Some(why) = why {
            let parts = parts | known.map_or(Parts::empty(), |known| known.parts);
            needed.add(Target::Issue { repo, number }, parts, why, None, learned);
        }
    }

    fn of_pull_request(&self, ask: &Ask, doubt: Doubt, now: Timestamp, needed: &mut Questions) {
        let Some(Ok(sought)) = sought(ask) else {
            return;
        };
        let of_repo = self.repo(&sought.repo);
        let wants = ask.wants.of_pull_request();
        let walk = self.walk(ask, &sought, now);
        for consulted in &walk.consulted {
            match consulted {
                Consulted::Number(number) => {
                    let known = of_repo.and_then(|of| of.pull(*number));
                    needed.add_pull(sought.repo.clone(), *number, known, wants, doubt, now);
                }
                Consulted::Branch(branch) => {
                    let list = List {
                        repo: &sought.repo,
                        owner: sought.head_owner.unwrap_or_default(),
                        branch,
                        parts: wants.first() - Parts::LISTS,
                        goes_on: matches!(&walk.outcome, Outcome::Open(_)),
                    };
                    self.of_branch(&list, doubt, now, needed);
                }
            }
        }
        let Outcome::Chosen(choice) = walk.outcome else {
            return;
        };
        let Fact::Found(pr) = &choice.fact else {
            return;
        };
        // It may be known with less than is wanted of the one that speaks.
        let number = u32::try_from(pr.number).unwrap_or_default();
        let known = of_repo.and_then(|of| of.pull(number));
        needed.add_pull(sought.repo.clone(), number, known, wants, doubt, now);
        for branch in self.landing_asks(&sought.repo, ask, pr) {
            let list = List {
                repo: &sought.repo,
                owner: sought.repo.owner(),
                branch: &branch,
                parts: Parts::empty(),
                goes_on: false,
            };
            self.of_branch(&list, doubt, now, needed);
        }
    }

    fn of_branch(&self, list: &List<'_>, doubt: Doubt, now: Timestamp, needed: &mut Questions) {
        let List {
            repo,
            owner,
            branch,
            ..
        } = *list;
        let of_repo = self.repo(repo);
        let known = of_repo.and_then(|of| of.branch(&branch_key(owner, branch)));
        let (mut why, learned) = why(known, Parts::empty(), doubt, now);
        let tried = known.is_some_and(|known| known.tried == now);
        if let (None, Some(of_repo), Some(known)) = (why, of_repo, known)
            && let Fact::Found(found) = &known.fact
        {
            let is_unread = found.numbers.iter().any(|number| {
                let pull = of_repo.pull(*number);
                pull.is_none_or(|pull| pull.fact.found().is_none() && pull.doubtful().is_none())
            });
            // It depends on what nobody has looked at yet.
            if !tried && (is_unread || list.goes_on && found.partial) {
                why = Some(Why::Changed);
            }
            for number in &found.numbers {
                let pull = of_repo.pull(*number);
                // Another of them may have been opened again, or be the one that counts.
                if pull.is_some_and(|pull| pull.why(pull.parts, now).is_some()) {
                    needed.add_pull(repo.clone(), *number, pull, Parts::empty(), doubt, now);
                }
            }
        }
        if let Some(why) = why {
            let target = Target::Branch {
                repo: repo.clone(),
                branch: branch.to_owned(),
            };
            needed.add(target, list.parts, why, Some(owner), learned);
        }
    }

    /// What is known about a session at `now`. Whatever is doubtful is unknown, with the reason.
    pub fn answer(&self, ask: &Ask, now: Timestamp) -> Answer {
        let (pull_request, passed_over) = self.speaks(ask, now);
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
            pull_request,
            passed_over,
        }
    }
}

/// What is known of one thing, if it may be said: the repository is the one that the session knew, nothing announced
/// lies between, the last try did not fail, and the pass did not leave it unasked, which `left` says.
pub(super) fn said<T: Clone + Timeless>(
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
pub(super) fn whole<T: Clone + Timeless>(
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
pub(super) fn that_matter(known: Option<&PullRequest>, wants: Parts) -> Parts {
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
pub(super) fn as_wanted_pull(
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
pub(super) fn lost<T>(target: &Target) -> Fact<T> {
    Fact::unknown(
        GapKind::Malformed,
        format!("the answer about {target} got lost"),
    )
}
