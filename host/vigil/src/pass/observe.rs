//! What is seen: the machine, then the forge, then both together. Nothing in here fails; what could not be learned is
//! a gap.

use std::sync::Arc;

use vigil_core::decide::Action;
use vigil_core::landing::Landing;
use vigil_core::{Fact, Session};
use vigil_github::memory::Doubt;
use vigil_github::{Answer, Ask, Wants};

use super::asking::Asked;
use super::load::blocking;
use super::local::borne_out;
use super::{Batch, How, Moment, Reconciler};
use crate::failure::Failure;

/// An entry to ask the forge about.
#[derive(Clone, Copy)]
pub(super) struct Question {
    pub(super) batch: usize,
    pub(super) entry: usize,
    pub(super) wants: Wants,
}

impl Reconciler {
    /// What the forge is going to be asked about the sessions of `batches`, as far as the policies want it.
    pub(super) fn wanted(&self, batches: &mut [Batch]) -> Vec<Ask> {
        let questions = self.questions(batches);
        asks(&questions, batches)
    }

    /// Asks the forge, and looks at the machine.
    pub(super) async fn observe(
        &mut self,
        batches: &mut Vec<Batch>,
        how: &How,
        moment: &Moment,
        asked: &mut Asked,
    ) -> Result<(), Failure> {
        let questions = self.questions(batches);
        let asks = asks(&questions, batches);
        let machine = look(Arc::clone(&self.world), std::mem::take(batches));
        let (answers, looked) =
            tokio::join!(self.ask(asks, Doubt::Little, how, moment, asked), machine);
        *batches = looked?;
        learn(&questions, answers?, batches);
        self.look_closer(&questions, batches, how, moment, asked)
            .await?;
        self.compare(batches).await
    }

    /// A move rests on facts that were read in this very pass: those that were only confirmed unchanged are read again,
    /// since no list of changes tells what was deleted. Gives whether anything is other than it seemed, so that the
    /// sessions have to be judged anew.
    pub(super) async fn confirm(
        &mut self,
        batches: &mut Vec<Batch>,
        how: &How,
        moment: &Moment,
        asked: &mut Asked,
    ) -> Result<bool, Failure> {
        let questions = self.questions(batches);
        let asks = questions
            .iter()
            .filter(|question| {
                let entry = &batches[question.batch].entries[question.entry];
                entry.ruling.as_ref().is_some_and(|ruling| {
                    matches!(ruling.action, Action::Move(_) | Action::Repair(_))
                })
            })
            .map(|question| ask_of(question, batches))
            .collect::<Vec<Ask>>();
        if asks.is_empty() {
            return Ok(false);
        }
        let doubt = match how.dry_run && !how.facts_max_age.is_zero() {
            true => Doubt::Look,
            false => Doubt::Move,
        };
        self.ask(asks, doubt, how, moment, asked).await?;
        let changed = self.hear(&questions, batches, moment);
        if changed.is_empty() {
            return Ok(false);
        }
        // What it turns out to be may be for the checked-out branch to say.
        self.look_closer(&changed, batches, how, moment, asked)
            .await?;
        self.compare(batches).await?;
        Ok(true)
    }

    /// Answers all `questions` once more from what is known by now, and gives those whose answer is another one. What is
    /// read for one session is told to all that rest on it: they are judged in this very pass, so that it is no news to
    /// them in the next one.
    pub(super) fn hear(
        &self,
        questions: &[Question],
        batches: &mut [Batch],
        moment: &Moment,
    ) -> Vec<Question> {
        let Some(known) = &self.asking.memory else {
            return Vec::new();
        };
        let mut changed = Vec::new();
        for question in questions {
            let mut is_news = false;
            let answer = known.answer(&ask_of(question, batches), moment.now);
            let entry = &mut batches[question.batch].entries[question.entry];
            let pull_request = borne_out(answer.pull_request, entry.unread_branch.as_ref());
            let evidence = &mut entry.evidence;
            if question.wants.any_issue() && evidence.issue != answer.issue {
                evidence.issue = answer.issue;
                is_news = true;
            }
            if evidence.pull_request != pull_request || evidence.passed_over != answer.passed_over {
                evidence.pull_request = pull_request;
                evidence.passed_over = answer.passed_over;
                is_news = true;
            }
            changed.extend(is_news.then_some(*question));
        }
        changed
    }

    fn questions(&self, batches: &mut [Batch]) -> Vec<Question> {
        let mut questions = Vec::new();
        for (batch, of) in batches.iter_mut().enumerate() {
            for (entry, one) in of.entries.iter_mut().enumerate() {
                let wants = one.wants();
                let session = &one.evidence.session;
                // What can never be asked is a gap even where no policy wants it, so that `explain` can say so.
                if let (false, Err(gap)) = (wants.any_issue(), &session.lookup.issue) {
                    one.evidence.issue = Fact::from(gap.clone());
                }
                if wants != Wants::NOTHING {
                    questions.push(Question {
                        batch,
                        entry,
                        wants,
                    });
                }
            }
        }
        questions
    }
}

fn asks(questions: &[Question], batches: &[Batch]) -> Vec<Ask> {
    let of = |question| ask_of(question, batches);
    questions.iter().map(of).collect()
}

pub(super) fn ask_of(question: &Question, batches: &[Batch]) -> Ask {
    let batch = &batches[question.batch];
    let entry = &batch.entries[question.entry];
    let session = &entry.evidence.session;
    Ask {
        lookup: session.lookup.clone(),
        wants: question.wants,
        started: session.times.started,
        landing: Landing {
            base: session.base.clone(),
            default: None,
            patterns: batch.configured.facts.landing_branches.clone(),
        },
        local: entry.local.clone(),
    }
}

pub(super) fn learn<'q>(
    questions: impl IntoIterator<Item = &'q Question>,
    answers: Vec<Answer>,
    batches: &mut [Batch],
) {
    for (question, answer) in questions.into_iter().zip(answers) {
        let entry = &mut batches[question.batch].entries[question.entry];
        let evidence = &mut entry.evidence;
        if question.wants.any_issue() {
            evidence.issue = answer.issue;
        }
        evidence.pull_request = borne_out(answer.pull_request, entry.unread_branch.as_ref());
        evidence.passed_over = answer.passed_over;
    }
}

/// Looks at processes, logs and worktrees.
async fn look(
    world: Arc<dyn vigil_sources::World>,
    mut batches: Vec<Batch>,
) -> Result<Vec<Batch>, Failure> {
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
