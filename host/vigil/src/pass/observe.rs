//! What is seen: the machine, then the forge, then both together. Nothing in here fails; what could not be learned is
//! a gap.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use vigil_core::forge::{Issue, PullRequest};
use vigil_core::session::PullRequestRef;
use vigil_core::{Fact, Session, Timestamp};
use vigil_github::{Answer, Ask, Parts, Reply, Trouble, Wants};
use vigil_store::CachedFact;

use super::load::blocking;
use super::{Batch, Entry, How, Moment, Reconciler};
use crate::failure::Failure;
use crate::memory;
use crate::report::GitHubReport;

/// What asking the forge came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// For the report.
    pub github: GitHubReport,
    /// Something that concerns all sessions.
    pub trouble: Option<Trouble>,
    /// About how many sessions the forge was asked: only with some does the absence of trouble mean that it is over.
    pub asks: usize,
    /// Everything was looked at, and not only what was due.
    pub whole: bool,
    /// Facts to remember: key, JSON, when they were learned.
    pub learned: Vec<(String, String, Timestamp)>,
}

/// An entry to ask the forge about: which batch, which entry, and where its facts are cached.
struct Question {
    batch: usize,
    entry: usize,
    wants: Wants,
    keys: Keys,
}

struct Keys {
    issue: Option<String>,
    pull_request: Option<String>,
}

impl Reconciler {
    /// Looks at the machine and asks the forge, both at once.
    pub(super) async fn observe(
        &mut self,
        batches: &mut Vec<Batch>,
        how: &How,
        moment: &Moment,
    ) -> Result<Asked, Failure> {
        let questions = self.questions(batches);
        let cached = self.cached(&questions)?;
        let (fresh, stale): (Vec<Question>, Vec<Question>) =
            questions.into_iter().partition(|question| {
                let session = &batches[question.batch].entries[question.entry]
                    .evidence
                    .session;
                from_cache(question, session, &cached, how.facts_max_age, moment.now).is_some()
            });
        let asks: Vec<Ask> = stale
            .iter()
            .map(|question| {
                let session = &batches[question.batch].entries[question.entry]
                    .evidence
                    .session;
                Ask {
                    lookup: session.lookup.clone(),
                    wants: question.wants,
                    started: session.times.started,
                }
            })
            .collect();
        let not_before = self
            .store
            .limited_until(&self.forge_host, moment.now)
            .map_err(memory::failed)?;
        let forge = Arc::clone(&self.forge);
        let asking = async {
            if asks.is_empty() {
                return Reply::default();
            }
            forge.ask(&asks, how.deadline, not_before, moment.now).await
        };
        let (reply, looked) = tokio::join!(asking, self.look(std::mem::take(batches)));
        *batches = looked?;

        let mut asked = Asked {
            github: GitHubReport {
                requests: u64::from(reply.usage.requests),
                points: u64::from(reply.usage.points),
                remaining: reply.usage.meter.remaining,
            },
            trouble: reply.trouble.clone(),
            asks: asks.len(),
            whole: !how.due_only,
            learned: Vec::new(),
        };
        if how.keep_facts
            && let Some(until) = reply.limited_until
        {
            self.store
                .put_limited_until(&self.forge_host, Some(until))
                .map_err(memory::failed)?;
        }
        for question in &fresh {
            let entry = &mut batches[question.batch].entries[question.entry];
            let session = &entry.evidence.session;
            if let Some(answer) =
                from_cache(question, session, &cached, how.facts_max_age, moment.now)
            {
                (entry.evidence.issue, entry.evidence.pull_request) =
                    (answer.issue, answer.pull_request);
            }
        }
        for (question, answer) in stale.iter().zip(reply.answers) {
            let entry = &mut batches[question.batch].entries[question.entry];
            learn(
                entry,
                question,
                answer,
                &cached,
                moment.now,
                &mut asked.learned,
            );
        }
        *batches = self.compare(std::mem::take(batches)).await?;
        Ok(asked)
    }

    fn questions(&self, batches: &mut [Batch]) -> Vec<Question> {
        let mut questions = Vec::new();
        for (batch, of) in batches.iter_mut().enumerate() {
            let host = &of.context.source.forge_host;
            for (entry, one) in of.entries.iter_mut().enumerate() {
                let wants = Wants::from_names(one.asked.iter().map(String::as_str));
                let session = &one.evidence.session;
                // What can never be asked is a gap even where no policy wants it, so that `explain` can say so.
                if let (false, Err(gap)) = (wants.issue, &session.lookup.issue) {
                    one.evidence.issue = Fact::Unknown(gap.clone());
                }
                if wants != Wants::NOTHING {
                    let keys = keys(host, &one.evidence.session);
                    questions.push(Question {
                        batch,
                        entry,
                        wants,
                        keys,
                    });
                }
            }
        }
        questions
    }

    fn cached(&self, questions: &[Question]) -> Result<HashMap<String, CachedFact>, Failure> {
        let keys: Vec<&str> = questions
            .iter()
            .flat_map(|question| [&question.keys.issue, &question.keys.pull_request])
            .flatten()
            .map(String::as_str)
            .collect();
        self.store.facts(&keys).map_err(memory::failed)
    }

    /// Looks at processes, logs and worktrees.
    async fn look(&self, mut batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        let world = Arc::clone(&self.world);
        blocking(move || {
            for batch in &mut batches {
                let sessions: Vec<&Session> = batch
                    .entries
                    .iter()
                    .map(|entry| &entry.evidence.session)
                    .collect();
                let seen = batch.configured.source.observe(&sessions, world.as_ref());
                for (entry, liveness) in batch.entries.iter_mut().zip(seen) {
                    entry.evidence.session.liveness = liveness;
                }
            }
            batches
        })
        .await
    }

    /// Compares local branches with the heads of the pull requests that were found.
    async fn compare(&self, mut batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        blocking(move || {
            for batch in &mut batches {
                let source = Arc::clone(&batch.configured.source);
                for entry in &mut batch.entries {
                    if let Fact::Found(pr) = &entry.evidence.pull_request {
                        entry.evidence.beyond_head =
                            source.beyond_head(&entry.evidence.session, &pr.head_sha);
                    }
                }
            }
            batches
        })
        .await
    }
}

/// Under which keys a session's facts are cached. The pull request's holds all that decides which one it is.
fn keys(host: &str, session: &Session) -> Keys {
    let issue = session.lookup.issue.as_ref().ok();
    let started = session.times.started.map_or(0, Timestamp::as_millis);
    let pull_request = session
        .lookup
        .pull_request
        .as_ref()
        .ok()
        .map(|lookup| match lookup {
            PullRequestRef::Number { repo, number } => format!("pr {host} {repo}#{number}"),
            PullRequestRef::Branch {
                repo,
                branch,
                head_owner,
            } => {
                format!("pr {host} {repo} {head_owner}:{branch} since {started}")
            }
        });
    Keys {
        issue: issue.map(|issue| format!("issue {host} {}#{}", issue.repo, issue.number)),
        pull_request,
    }
}

/// The answer to `question` from the cache, when all of it is there, known and young enough.
fn from_cache(
    question: &Question,
    session: &Session,
    cached: &HashMap<String, CachedFact>,
    max_age: Duration,
    now: Timestamp,
) -> Option<Answer> {
    if max_age.is_zero() {
        return None;
    }
    let issue = match (&question.keys.issue, &session.lookup.issue) {
        _ if !question.wants.any_issue() => Fact::NotAsked,
        (None, Err(gap)) => Fact::Unknown(gap.clone()),
        (key, _) => young::<Issue>(key.as_deref()?, cached, max_age, now)?,
    };
    let pull_request = match (&question.keys.pull_request, &session.lookup.pull_request) {
        _ if !question.wants.any_pull_request() => Fact::NotAsked,
        (None, Err(gap)) => Fact::Unknown(gap.clone()),
        (key, _) => {
            let fact = young::<PullRequest>(key.as_deref()?, cached, max_age, now)?;
            let parts_missing = fact.found().is_some_and(|pr| {
                let wanted = |part| question.wants.parts.contains(part);
                wanted(Parts::MERGEABILITY) && pr.mergeability == Fact::NotAsked
                    || wanted(Parts::REVIEWS) && pr.review == Fact::NotAsked
                    || wanted(Parts::CHECKS) && pr.checks == Fact::NotAsked
            });
            if parts_missing {
                return None;
            }
            fact
        }
    };
    Some(Answer {
        issue,
        pull_request,
    })
}

fn young<T: DeserializeOwned>(
    key: &str,
    cached: &HashMap<String, CachedFact>,
    max_age: Duration,
    now: Timestamp,
) -> Option<Fact<T>> {
    let fact = cached.get(key)?;
    // A fact from the future was learned before the clock was set back: how old it is, nobody knows.
    if fact.at > now || fact.at.age(now) >= max_age {
        return None;
    }
    let fact: Fact<T> = serde_json::from_str(&fact.json).ok()?;
    (!fact.is_unknown()).then_some(fact)
}

/// Takes an answer in, with what was known before: rows of absences go on, gaps remember since when.
fn learn(
    entry: &mut Entry,
    question: &Question,
    answer: Answer,
    cached: &HashMap<String, CachedFact>,
    now: Timestamp,
    learned: &mut Vec<(String, String, Timestamp)>,
) {
    if question.wants.issue {
        entry.evidence.issue = carry(
            answer.issue,
            question.keys.issue.as_deref(),
            cached,
            now,
            learned,
        );
    }
    if question.wants.any_pull_request() {
        entry.evidence.pull_request = carry(
            answer.pull_request,
            question.keys.pull_request.as_deref(),
            cached,
            now,
            learned,
        );
    }
}

fn carry<T: Serialize + DeserializeOwned>(
    fact: Fact<T>,
    key: Option<&str>,
    cached: &HashMap<String, CachedFact>,
    now: Timestamp,
    learned: &mut Vec<(String, String, Timestamp)>,
) -> Fact<T> {
    let Some(key) = key else { return fact };
    let before: Fact<T> = cached
        .get(key)
        .and_then(|cached| serde_json::from_str(&cached.json).ok())
        .unwrap_or_default();
    let fact = fact.carry(&before, now);
    if let Ok(value) = serde_json::to_string(&fact) {
        learned.push((key.to_owned(), value, now));
    }
    fact
}
