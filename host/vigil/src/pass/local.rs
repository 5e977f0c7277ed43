//! What the checkout adds to what the forge said: which branch it has, whether it shares the work of a pull request, and
//! which of its commits that lacks. Only looked at where it can change an answer, and followed by another round of asking
//! where it may.

use std::collections::HashSet;
use std::sync::Arc;

use vigil_core::forge::{PullRequest, PullRequestState};
use vigil_core::session::Liveness;
use vigil_core::{Fact, Gap, GapKind, Session};
use vigil_github::Repo;
use vigil_github::ask::Between;
use vigil_github::compare::Compared;
use vigil_github::memory::{Doubt, Memory};
use vigil_sources::{Checkout, Source};

use super::asking::Asked;
use super::load::blocking;
use super::observe::{Question, ask_of, learn};
use super::{Batch, How, Moment, Reconciler};
use crate::failure::Failure;

/// 8: as many beginnings of one session's work are compared. Each that was rewritten leaves one.
const FIRSTS_MAX: usize = 8;

/// 3: the branch that is checked out leads to a pull request, whose head GitHub is asked to compare, which says whose it
/// is.
const ROUNDS_MAX: usize = 3;

/// A session whose checkout is looked at, and why.
struct Closer {
    question: usize,
    session: Session,
    source: Arc<dyn Source>,
    /// Another branch may hold the pull request.
    other_branch: bool,
    /// Of these it matters whether the checkout shares their work.
    shared: Vec<PullRequest>,
    /// The one that speaks has ended, so that what it lacks counts.
    ended: Option<PullRequest>,
    /// The branches that work may have begun from, besides the pull request's own.
    bases: Vec<String>,
    seen: Seen,
}

/// What a look at a checkout brought.
#[derive(Default)]
struct Seen {
    /// The branch that it has, where that is another.
    branch: Option<String>,
    /// Which branch it has is known.
    is_read: bool,
    /// Why nobody knows which branch it has, where that matters.
    unread: Option<Gap>,
    /// By the newest commit of a head, whether it shares its work.
    shares: Vec<(String, Fact<bool>)>,
    /// What GitHub has to compare.
    compare: Vec<Between>,
    /// What the checkout has beyond the pull request that has ended.
    beyond: Option<Beyond>,
}

/// Commits of a checkout beyond the newest one of a pull request, as this machine tells.
#[derive(Clone, Debug)]
pub struct Beyond {
    head_sha: String,
    commits: Fact<u32>,
}

impl Reconciler {
    /// Looks at the checkouts of those sessions whose answer it can change, and asks once more where it does.
    pub(super) async fn look_closer(
        &mut self,
        questions: &[Question],
        batches: &mut [Batch],
        how: &How,
        moment: &Moment,
        asked: &mut Asked,
    ) -> Result<(), Failure> {
        let mut left: Vec<usize> = (0..questions.len()).collect();
        for _ in 0..ROUNDS_MAX {
            let Some(known) = self.asking.memory.take() else {
                return Ok(());
            };
            let all = left.iter().map(|at| (*at, &questions[*at]));
            let closer = closer(&known, all, batches, moment);
            let (known, mut closer) = look(known, closer).await?;
            self.asking.memory = Some(known);
            let is_other = |one: &Closer| one.seen.branch.is_some();
            if closer.iter().any(is_other) {
                let recorded = recorded(batches);
                closer.iter_mut().for_each(|one| one.leave(&recorded));
            }
            left.clear();
            for one in &closer {
                if one.apply(&questions[one.question], batches) {
                    left.push(one.question);
                }
            }
            if left.is_empty() {
                return Ok(());
            }
            let again = || left.iter().map(|at| &questions[*at]);
            let asks = again().map(|question| ask_of(question, batches)).collect();
            let answers = self.ask(asks, Doubt::Little, how, moment, asked).await?;
            learn(again(), answers, batches);
        }
        Ok(())
    }

    /// Compares local branches with the heads of the pull requests that were found: here where the clone has the head,
    /// else as GitHub told.
    pub(super) async fn compare(&mut self, batches: &mut Vec<Batch>) -> Result<(), Failure> {
        let known = self.asking.memory.take().unwrap_or_default();
        let taken = std::mem::take(batches);
        let (known, taken) = blocking(move || {
            let mut batches = taken;
            for batch in &mut batches {
                let source = Arc::clone(&batch.configured.source);
                for entry in &mut batch.entries {
                    let session = &entry.evidence.session;
                    if let Fact::Found(pr) = &entry.evidence.pull_request {
                        let here = match entry.beyond.take() {
                            Some(seen) if seen.head_sha == pr.head_sha => seen.commits,
                            _ => source.beyond_head(session, &pr.head_sha),
                        };
                        entry.evidence.beyond_head =
                            beyond(&known, source.as_ref(), session, pr, here);
                    }
                }
            }
            (known, batches)
        })
        .await?;
        self.asking.memory = Some(known);
        *batches = taken;
        Ok(())
    }
}

/// The sessions whose checkout can change what is known of their pull request.
fn closer<'q>(
    known: &Memory,
    questions: impl Iterator<Item = (usize, &'q Question)>,
    batches: &[Batch],
    moment: &Moment,
) -> Vec<Closer> {
    let mut all = Vec::new();
    for (at, question) in questions {
        let batch = &batches[question.batch];
        let entry = &batch.entries[question.entry];
        let evidence = &entry.evidence;
        let session = &evidence.session;
        let Some(looked_up) = session.lookup.pull_request() else {
            continue;
        };
        if !question.wants.any_pull_request() {
            continue;
        }
        let (other_branch, ended) = match &evidence.pull_request {
            Fact::Found(pr) => match pr.state {
                PullRequestState::Open => (false, None),
                PullRequestState::Merged => (pr.landed != Fact::Found(true), Some(pr)),
                PullRequestState::Closed => (true, Some(pr)),
            },
            Fact::Absent(_) => (true, None),
            // Nobody can say whose it is; another branch may show one that can be told.
            Fact::Unknown(gap) => (gap.kind == GapKind::NoControl, None),
            Fact::NotAsked => (false, None),
        };
        let shared = known.to_compare(&ask_of(question, batches), moment.now);
        if !other_branch && ended.is_none() && shared.is_empty() {
            continue;
        }
        let default = known.default_branch(&looked_up.repo);
        let bases = session.base.iter().map(String::as_str).chain(default);
        all.push(Closer {
            question: at,
            session: session.clone(),
            source: Arc::clone(&batch.configured.source),
            // What an earlier round could not read matters to whatever was found since.
            other_branch: (other_branch || entry.unread_branch.is_some())
                && looked_up.head_owner.is_some(),
            shared,
            ended: ended.cloned(),
            bases: bases.map(str::to_owned).collect(),
            // A round before this one may have looked.
            seen: Seen {
                beyond: batch.entries[question.entry].beyond.clone().filter(|seen| {
                    let head = ended.map(|pr| &pr.head_sha);
                    head == Some(&seen.head_sha)
                }),
                ..Seen::default()
            },
        });
    }
    all
}

/// The branches that records name, each with its repository in lower case.
fn recorded(batches: &[Batch]) -> HashSet<(String, &str)> {
    let listed = batches.iter().flat_map(|batch| batch.listed.iter());
    let named = listed.filter_map(|one| {
        let repo = one.repo.as_deref()?.to_ascii_lowercase();
        Some((repo, one.branch.as_deref()?))
    });
    named.collect()
}

/// Looks at the checkouts, off the async threads.
async fn look(known: Memory, mut closer: Vec<Closer>) -> Result<(Memory, Vec<Closer>), Failure> {
    if closer.is_empty() {
        return Ok((known, closer));
    }
    blocking(move || {
        for one in &mut closer {
            one.look(&known);
        }
        (known, closer)
    })
    .await
}

impl Closer {
    fn look(&mut self, known: &Memory) {
        let Some(looked_up) = self.session.lookup.pull_request() else {
            return;
        };
        let Ok(repo) = Repo::parse(&looked_up.repo) else {
            return;
        };
        let checkout = self.source.checkout(&self.session);
        let mut seen = Seen {
            beyond: self.seen.beyond.take(),
            ..Seen::default()
        };
        for pr in &self.shared {
            let answer = self.shares(known, &repo, &checkout, pr, &mut seen.compare);
            if answer != Fact::NotAsked {
                seen.shares.push((pr.head_sha.clone(), answer));
            }
        }
        if let (Some(pr), None) = (&self.ended, &seen.beyond) {
            let commits = self.source.beyond_head(&self.session, &pr.head_sha);
            if is_missing(&commits) {
                seen.compare.extend(between(&checkout, &pr.head_sha));
            }
            seen.beyond = Some(Beyond {
                head_sha: pr.head_sha.clone(),
                commits,
            });
        }
        seen.is_read = checkout.branch.found().is_some();
        match checkout.branch {
            Fact::Found(branch)
                if self.other_branch
                    && !looked_up.branches.contains(&branch)
                    && !self.bases.contains(&branch) =>
            {
                seen.branch = Some(branch);
            }
            Fact::Unknown(gap) if self.other_branch && is_doubt(&gap) => seen.unread = Some(*gap),
            _ => {}
        }
        self.seen = seen;
    }

    /// A branch that another session's record names is that session's, whoever has checked it out.
    fn leave(&mut self, recorded: &HashSet<(String, &str)>) {
        let Some(repo) = self.session.repo.as_deref() else {
            return;
        };
        let repo = repo.to_ascii_lowercase();
        self.seen.branch = self
            .seen
            .branch
            .take()
            .filter(|branch| !recorded.contains(&(repo, branch.as_str())));
    }

    /// Whether the checkout shares the work of `pr`: as the clone says, or where that does not have its head, as GitHub
    /// does, of which `compare` is to be asked.
    fn shares(
        &self,
        known: &Memory,
        repo: &Repo,
        checkout: &Checkout,
        pr: &PullRequest,
        compare: &mut Vec<Between>,
    ) -> Fact<bool> {
        let mut bases = self.bases.clone();
        bases.push(pr.base_ref.clone());
        let shares = |commit: &str| self.source.shares_work(&self.session, commit, &bases);
        let here = shares(&pr.head_sha);
        if !is_missing(&here) {
            return here;
        }
        let mut is_known = true;
        let mut is_pushed = self.session.liveness.unpushed == Fact::Found(0);
        let tips = between(checkout, &pr.head_sha);
        is_known &= !tips.is_empty();
        for between in tips {
            match known.compared(repo, &between) {
                // The newest commit that both have is in the clone, being a part of the checkout.
                Fact::Found(compared) => match shares(&compared.merge_base) {
                    Fact::Found(false) => {}
                    other => return other,
                },
                Fact::Absent(_) => is_pushed = false,
                Fact::Unknown(_) | Fact::NotAsked => {
                    compare.push(between);
                    is_known = false;
                }
            }
        }
        // Of work that was never pushed GitHub knows at most the beginning, and whoever has any of it has that.
        let begun = match is_pushed {
            true => Some(Vec::new()),
            false => self.begun(&bases, &pr.head_sha),
        };
        is_known &= begun.is_some();
        for between in begun.into_iter().flatten() {
            match known.compared(repo, &between) {
                Fact::Found(compared) if compared.ahead == 0 => return Fact::Found(true),
                Fact::Found(_) | Fact::Absent(_) => {}
                Fact::Unknown(_) | Fact::NotAsked => {
                    is_known = false;
                    if !compare.contains(&between) {
                        compare.push(between);
                    }
                }
            }
        }
        if is_known {
            return Fact::Found(false);
        }
        let told = compare.iter().filter(|between| between.base == pr.head_sha);
        let told: Vec<_> = told.map(|between| known.compared(repo, between)).collect();
        with_advice(here, &fetch(&self.session, repo, pr), &told)
    }

    /// The head of a pull request, and each commit that the work began with. `None`: nobody knows these, or there are too
    /// many.
    fn begun(&self, bases: &[String], head: &str) -> Option<Vec<Between>> {
        let Fact::Found(firsts) = self.source.firsts(&self.session, bases) else {
            return None;
        };
        let all = firsts.into_iter().map(|first| Between {
            base: head.to_owned(),
            head: first,
        });
        Some(all.collect()).filter(|all: &Vec<Between>| all.len() <= FIRSTS_MAX)
    }

    /// Adds what was seen to the session; gives whether there is something new to ask or to answer.
    fn apply(&self, question: &Question, batches: &mut [Batch]) -> bool {
        let entry = &mut batches[question.batch].entries[question.entry];
        let mut is_news = false;
        if self.seen.beyond.is_some() {
            entry.beyond.clone_from(&self.seen.beyond);
        }
        if self.seen.is_read && entry.unread_branch.take().is_some() {
            is_news = true;
        }
        // A later round need not have looked.
        if self.seen.unread.is_some() && entry.unread_branch != self.seen.unread {
            entry.unread_branch.clone_from(&self.seen.unread);
            is_news = true;
        }
        if let (Some(branch), Ok(Some(looked_up))) = (
            &self.seen.branch,
            &mut entry.evidence.session.lookup.pull_request,
        ) && !looked_up.branches.contains(branch)
        {
            looked_up.branches.push(branch.clone());
            looked_up.checked_out = Some(branch.clone());
            is_news = true;
        }
        for between in &self.seen.compare {
            is_news |= entry.local.compare.insert(between.clone());
        }
        for (head, shares) in &self.seen.shares {
            let before = entry.local.shares.insert(head.clone(), shares.clone());
            is_news |= before.as_ref() != Some(shares);
        }
        is_news
    }
}

/// What was said of a session's pull request, as far as its checkout bears it out: that there is none of the recorded
/// branch says nothing about the one that is checked out.
pub(super) fn borne_out(said: Fact<PullRequest>, unread: Option<&Gap>) -> Fact<PullRequest> {
    match (said, unread) {
        (Fact::Absent(_), Some(gap)) => Fact::unknown(
            gap.kind.clone(),
            format!(
                "the recorded branch has no pull request, and which branch is checked out is unknown: {}",
                gap.detail
            ),
        ),
        (said, _) => said,
    }
}

/// Whether there may be a checkout that could not be read. Where even its repository is not on this machine, nothing ever
/// will be, and the recorded branch is all that there is to go by.
fn is_doubt(gap: &Gap) -> bool {
    gap.kind != GapKind::NoControl
}

/// What is unknown only because the clone does not have the commit.
fn is_missing<T>(fact: &Fact<T>) -> bool {
    fact.gap().is_some_and(|gap| gap.kind == GapKind::NoControl)
}

/// The head of a pull request, and each commit that the checkout stands at.
fn between(checkout: &Checkout, head: &str) -> Vec<Between> {
    let tips = checkout.tips.found().into_iter().flatten();
    tips.map(|tip| Between {
        base: head.to_owned(),
        head: tip.clone(),
    })
    .collect()
}

/// Commits of the checkout beyond the head of `pr`; `here`: as this machine tells.
fn beyond(
    known: &Memory,
    source: &dyn Source,
    session: &Session,
    pr: &PullRequest,
    here: Fact<u32>,
) -> Fact<u32> {
    let (true, Some(looked_up)) = (is_missing(&here), session.lookup.pull_request()) else {
        return here;
    };
    let Ok(repo) = Repo::parse(&looked_up.repo) else {
        return here;
    };
    let told: Vec<Fact<Compared>> = between(&source.checkout(session), &pr.head_sha)
        .iter()
        .map(|between| known.compared(&repo, between))
        .collect();
    let fetch = fetch(session, &repo, pr);
    match judged(&told, &session.liveness) {
        Some(Ok(beyond)) => Fact::Found(beyond),
        Some(Err(Apart)) => Fact::unknown(
            GapKind::NoControl,
            format!(
                "the local branch and pull request #{} went apart, and the clone does not have the pull request's \
                 newest commit: {fetch} there lets vigil compare them",
                pr.number
            ),
        ),
        None => with_advice(here, &fetch, &told),
    }
}

/// What brings the newest commit of `pr` into the clone.
fn fetch(session: &Session, repo: &Repo, pr: &PullRequest) -> String {
    let looked_up = session.lookup.pull_request();
    let from = match looked_up.and_then(|looked_up| looked_up.head_owner.as_deref()) {
        Some(owner) if !owner.eq_ignore_ascii_case(repo.owner()) => "upstream",
        _ => "origin",
    };
    format!("`git fetch {from} pull/{}/head`", pr.number)
}

/// What is unknown since the clone lacks a commit, with what brings it, and why GitHub did not tell instead.
fn with_advice<T>(here: Fact<T>, fetch: &str, told: &[Fact<Compared>]) -> Fact<T> {
    let Fact::Unknown(gap) = here else {
        return here;
    };
    let unknown = told.iter().find_map(Fact::gap);
    let why = unknown.map_or_else(String::new, |gap| format!("; GitHub: {}", gap.detail));
    let detail = format!("{}; {fetch} there brings it{why}", gap.detail);
    Fact::from(Gap { detail, ..*gap })
}

/// Each side has commits that the other one does not have.
struct Apart;

/// What GitHub's comparisons come to: commits that the pull request does not have, or that nobody can say without its
/// commits. `None`: GitHub has not told.
fn judged(told: &[Fact<Compared>], liveness: &Liveness) -> Option<Result<u32, Apart>> {
    if told.is_empty() {
        return None;
    }
    let mut beyond = 0;
    for fact in told {
        match fact {
            Fact::Found(compared) if compared.ahead > 0 && compared.behind > 0 => {
                return Some(Err(Apart));
            }
            Fact::Found(compared) => beyond = beyond.max(compared.ahead),
            // GitHub has no such commit, so that it was never pushed.
            Fact::Absent(_) => {
                let unpushed = liveness.unpushed.found().copied().unwrap_or_default();
                beyond = beyond.max(unpushed.max(1));
            }
            Fact::Unknown(_) | Fact::NotAsked => return None,
        }
    }
    Some(Ok(beyond))
}
