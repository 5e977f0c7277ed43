//! Who looks at the machine: this process, or helpers that can be ended when a look takes for ever.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use vigil_core::Timestamp;
use vigil_core::fact::{Fact, Gap, GapKind};
use vigil_core::session::{Liveness, Session};

use crate::Checkout;
use crate::machine::looker::{self, Lookers, NoAnswer, Telling};
use crate::machine::mounts::Mounts;
use crate::vigilante::convert::Work;
use crate::vigilante::liveness::{
    Brief, Care, Looks, Observer, WITHOUT_CARE, in_parallel, looks, unknown,
};

/// 16: a helper opens a repository once for so many sessions at least, and the helpers share a large one.
const CHUNK: usize = 16;

/// What a helper is told and asked.
#[derive(Serialize, Deserialize)]
enum Question {
    /// What all that follows is about.
    Brief(Box<Brief>),
    /// What is to be seen of a session's work; answered with its [`Liveness`].
    Look {
        work: Box<Work>,
        since: Option<Timestamp>,
        looks: Looks,
        avoid: Vec<PathBuf>,
    },
    /// Whether files can be looked at; answered as soon as they were, whatever was found, with the gap of the first that
    /// cannot.
    Probe {
        paths: Vec<PathBuf>,
        avoid: Vec<PathBuf>,
    },
    /// What the checkout holds; answered with a [`Checkout`].
    Checkout {
        work: Box<Work>,
        avoid: Vec<PathBuf>,
    },
    /// Whether the checkout shares the work of a commit; answered with the fact.
    Shares {
        work: Box<Work>,
        commit: String,
        bases: Vec<String>,
        avoid: Vec<PathBuf>,
    },
    /// The commits that the work began with; answered with the fact.
    Firsts {
        work: Box<Work>,
        bases: Vec<String>,
        avoid: Vec<PathBuf>,
    },
    /// How many commits are beyond a commit; answered with the count.
    Beyond {
        work: Box<Work>,
        head_sha: String,
        avoid: Vec<PathBuf>,
    },
}

/// One moment's looks at the work of one home's sessions.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    who: Who,
}

#[derive(Clone, Debug)]
enum Who {
    /// This process. The observer is made when it is first needed.
    Itself(Arc<(Brief, OnceLock<Observer>)>),
    /// Others, with what each is told first.
    Helpers(Arc<Lookers>, Arc<Vec<u8>>),
}

impl Desk {
    /// Looks are made by `helpers`, else by this process, which then waits for as long as the kernel takes.
    pub(crate) fn new(brief: Brief, helpers: Option<Arc<Lookers>>) -> Self {
        let who = match helpers {
            Some(helpers) => {
                // Without it a helper answers nothing, which is told then.
                let brief = serde_json::to_vec(&Question::Brief(Box::new(brief)));
                Who::Helpers(helpers, Arc::new(brief.unwrap_or_default()))
            }
            None => Who::Itself(Arc::new((brief, OnceLock::new()))),
        };
        Desk { who }
    }

    /// One answer for each session, in order. A session without its work's particulars comes with the reason.
    pub(crate) fn observe(&self, sessions: &[(&Session, Result<Arc<Work>, Gap>)]) -> Vec<Liveness> {
        // What all of a repository's sessions need is found once for those that are asked about together.
        let mut by_repository: BTreeMap<&Path, Vec<usize>> = BTreeMap::new();
        for (place, (_, work)) in sessions.iter().enumerate() {
            let repository = work.as_ref().ok().map_or(Path::new(""), |work| topic(work));
            by_repository.entry(repository).or_default().push(place);
        }
        let chunks: Vec<&[usize]> = by_repository
            .values()
            .flat_map(|places| places.chunks(CHUNK))
            .collect();
        let seen = in_parallel(chunks.len(), |chunk| {
            let of = |place: &usize| {
                let (session, work) = &sessions[*place];
                let seen = match work {
                    Err(gap) if !session.state.is_settled() => unknown(gap),
                    Err(_) => Liveness::default(),
                    Ok(work) => {
                        let looks = looks(session.state, work);
                        self.look(work, session.times.started, looks)
                    }
                };
                (*place, seen)
            };
            chunks[chunk].iter().map(of).collect::<Vec<_>>()
        });
        let mut seen: Vec<(usize, Liveness)> = seen.into_iter().flatten().collect();
        seen.sort_by_key(|(place, _)| *place);
        seen.into_iter().map(|(_, seen)| seen).collect()
    }

    fn look(&self, work: &Work, since: Option<Timestamp>, looks: Looks) -> Liveness {
        if looks == Looks::default() {
            return Liveness::default();
        }
        match &self.who {
            Who::Itself(itself) => observer(itself).look(work, since, looks, WITHOUT_CARE),
            Who::Helpers(helpers, brief) => {
                let question = Question::Look {
                    work: Box::new(work.clone()),
                    since,
                    looks,
                    avoid: helpers.avoided(),
                };
                match ask(helpers, brief, work, &question) {
                    Ok(seen) => seen,
                    Err(NoAnswer { gap, part }) => {
                        let part = part.and_then(|part| serde_json::from_slice(&part).ok());
                        without_answer(part.unwrap_or_default(), looks, &gap)
                    }
                }
            }
        }
    }

    /// What the session's checkout holds.
    pub(crate) fn checkout(&self, work: &Work) -> Checkout {
        match &self.who {
            Who::Itself(itself) => observer(itself).checkout(work, WITHOUT_CARE),
            Who::Helpers(helpers, brief) => {
                let question = Question::Checkout {
                    work: Box::new(work.clone()),
                    avoid: helpers.avoided(),
                };
                ask(helpers, brief, work, &question)
                    .unwrap_or_else(|no_answer| Checkout::unknown(&no_answer.gap))
            }
        }
    }

    /// Whether the session's checkout shares the work that leads to `commit`, beyond `bases`.
    pub(crate) fn shares_work(&self, work: &Work, commit: &str, bases: &[String]) -> Fact<bool> {
        match &self.who {
            Who::Itself(itself) => observer(itself).shares_work(work, commit, bases, WITHOUT_CARE),
            Who::Helpers(helpers, brief) => {
                let question = Question::Shares {
                    work: Box::new(work.clone()),
                    commit: commit.to_owned(),
                    bases: bases.to_vec(),
                    avoid: helpers.avoided(),
                };
                ask(helpers, brief, work, &question)
                    .unwrap_or_else(|no_answer| Fact::from(no_answer.gap))
            }
        }
    }

    /// The commits that the session's work began with, beyond `bases`.
    pub(crate) fn firsts(&self, work: &Work, bases: &[String]) -> Fact<Vec<String>> {
        match &self.who {
            Who::Itself(itself) => observer(itself).firsts(work, bases, WITHOUT_CARE),
            Who::Helpers(helpers, brief) => {
                let question = Question::Firsts {
                    work: Box::new(work.clone()),
                    bases: bases.to_vec(),
                    avoid: helpers.avoided(),
                };
                ask(helpers, brief, work, &question)
                    .unwrap_or_else(|no_answer| Fact::from(no_answer.gap))
            }
        }
    }

    /// How many commits of the session's are beyond `head_sha`, the head of its pull request.
    pub(crate) fn beyond(&self, work: &Work, head_sha: &str) -> Fact<u32> {
        match &self.who {
            Who::Itself(itself) => observer(itself).beyond(work, head_sha, WITHOUT_CARE),
            Who::Helpers(helpers, brief) => {
                let question = Question::Beyond {
                    work: Box::new(work.clone()),
                    head_sha: head_sha.to_owned(),
                    avoid: helpers.avoided(),
                };
                ask(helpers, brief, work, &question)
                    .unwrap_or_else(|no_answer| Fact::from(no_answer.gap))
            }
        }
    }
}

fn observer(itself: &(Brief, OnceLock<Observer>)) -> &Observer {
    let (brief, made) = itself;
    made.get_or_init(|| Observer::new(brief.clone()))
}

fn ask<T: serde::de::DeserializeOwned>(
    helpers: &Lookers,
    brief: &[u8],
    work: &Work,
    question: &Question,
) -> Result<T, NoAnswer> {
    let nonsense = |error: serde_json::Error| NoAnswer {
        gap: Gap::new(
            GapKind::Malformed,
            format!("what a look found could not be told: {error}"),
        ),
        part: None,
    };
    if let Some(gap) = helpers.spent() {
        return Err(NoAnswer { gap, part: None });
    }
    let question = serde_json::to_vec(question).map_err(nonsense)?;
    let answer = helpers.ask(brief, topic(work), &question)?;
    serde_json::from_slice(&answer).map_err(nonsense)
}

fn topic(work: &Work) -> &Path {
    work.repo_path.as_deref().unwrap_or(Path::new(""))
}

/// Whether all of `paths` can be looked at, as far as they lie on, or lead to, a mount behind which a server stands: asked
/// of a helper, before this process waits for it.
///
/// # Errors
/// The server does not answer.
pub(crate) fn probe(helpers: &Lookers, paths: &[PathBuf]) -> io::Result<()> {
    let mounts = Mounts::read();
    let leads_elsewhere = |path: &&PathBuf| mounts.lead_elsewhere(path);
    let paths: Vec<PathBuf> = paths.iter().filter(leads_elsewhere).cloned().collect();
    let Some(topic) = paths.first().cloned() else {
        return Ok(());
    };
    let avoid = helpers.avoided();
    let question = serde_json::to_vec(&Question::Probe { paths, avoid })?;
    // It needs no brief.
    let answer = helpers.ask(b"null", &topic, &question);
    // It knows nothing of sessions.
    helpers.renew();
    let gap: Option<Gap> = match answer {
        Ok(answer) => serde_json::from_slice(&answer)?,
        Err(no_answer) => Some(no_answer.gap),
    };
    match gap {
        None => Ok(()),
        Some(gap) => Err(io::Error::new(io::ErrorKind::TimedOut, gap.detail)),
    }
}

/// What was seen before a look came to its end, with what it was to find out besides as a gap.
fn without_answer(seen: Liveness, looks: Looks, gap: &Gap) -> Liveness {
    let missing = unknown(gap);
    let mut seen = seen;
    // Beside a found agent nobody else is looked for.
    let is_found = matches!(seen.agent, Fact::Found(_));
    fill(
        looks.agent && !is_found,
        &mut seen.occupant,
        missing.occupant,
    );
    fill(looks.agent, &mut seen.agent, missing.agent);
    fill(looks.progress, &mut seen.supervisor, missing.supervisor);
    fill(looks.progress, &mut seen.log_written, missing.log_written);
    fill(
        looks.progress,
        &mut seen.worktree_written,
        missing.worktree_written,
    );
    fill(looks.unsaved, &mut seen.dirty, missing.dirty);
    fill(looks.unsaved, &mut seen.unpushed, missing.unpushed);
    seen
}

fn fill<T>(was_wanted: bool, fact: &mut Fact<T>, missing: Fact<T>) {
    if was_wanted && matches!(fact, Fact::NotAsked) {
        *fact = missing;
    }
}

/// The helper's side: answers the questions of a vigil that started this process, until there are no more.
///
/// # Errors
/// Standard input cannot be read.
pub fn help(input: impl BufRead, output: impl Write) -> io::Result<()> {
    let mut observer: Option<Observer> = None;
    looker::serve(input, output, |question, told| {
        answer(&mut observer, question, told).unwrap_or_else(|| b"null".to_vec())
    })
}

/// `None`: that is no question, or comes before the brief.
fn answer(observer: &mut Option<Observer>, question: &[u8], told: &dyn Telling) -> Option<Vec<u8>> {
    match serde_json::from_slice(question).ok()? {
        Question::Brief(brief) => {
            *observer = Some(Observer::new(*brief));
            None
        }
        Question::Look {
            work,
            since,
            looks,
            avoid,
        } => {
            let care = Care {
                avoid: &avoid,
                told,
            };
            serde_json::to_vec(&observer.as_ref()?.look(&work, since, looks, care)).ok()
        }
        Question::Probe { paths, avoid } => {
            let care = Care {
                avoid: &avoid,
                told,
            };
            let looked: Result<(), Gap> = paths.iter().try_for_each(|path| {
                care.follow(path)?;
                // What is wrong with it is found out by who reads it.
                let _ = fs::metadata(path);
                Ok(())
            });
            serde_json::to_vec(&looked.err()).ok()
        }
        Question::Checkout { work, avoid } => {
            let care = Care {
                avoid: &avoid,
                told,
            };
            serde_json::to_vec(&observer.as_ref()?.checkout(&work, care)).ok()
        }
        Question::Shares {
            work,
            commit,
            bases,
            avoid,
        } => {
            let care = Care {
                avoid: &avoid,
                told,
            };
            let shares = observer.as_ref()?.shares_work(&work, &commit, &bases, care);
            serde_json::to_vec(&shares).ok()
        }
        Question::Firsts { work, bases, avoid } => {
            let care = Care {
                avoid: &avoid,
                told,
            };
            serde_json::to_vec(&observer.as_ref()?.firsts(&work, &bases, care)).ok()
        }
        Question::Beyond {
            work,
            head_sha,
            avoid,
        } => {
            let care = Care {
                avoid: &avoid,
                told,
            };
            serde_json::to_vec(&observer.as_ref()?.beyond(&work, &head_sha, care)).ok()
        }
    }
}
