//! Whether a policy answers the same alone and in a batch. The lists of the contract are for speed, not for judging
//! sessions together.

use vigil_core::evidence::Context;
use vigil_core::verdict::{Decision, PolicyFailure};

use crate::limits::BATCH_SESSIONS_MAX;
use crate::policy::{Policy, Question};

/// A way in which a policy's answers depend on the company.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// One session gets another answer in a batch.
    Answer {
        /// Which of the questions.
        at: usize,
        /// What it gets alone.
        alone: Box<Result<Decision, PolicyFailure>>,
        /// What it gets in a batch.
        batched: Box<Result<Decision, PolicyFailure>>,
    },
    /// The batch fails as a whole, although each of its sessions gets an answer alone: the policy is too dear for a
    /// batch, and every pass pays for both.
    Batch {
        /// The first question of the batch.
        at: usize,
        /// How many there are in it.
        sessions: usize,
        /// How it fails.
        failure: PolicyFailure,
    },
}

/// Asks about each question alone and about all of them in batches, and tells every difference. Empty: they agree.
///
/// Costs one instance for each question: `policy check` does it for all fixtures, `run` for a sample.
pub fn check_batch_agreement(
    policy: &Policy,
    context: &Context,
    questions: &[Question<'_>],
) -> Vec<Disagreement> {
    let mut found = Vec::new();
    for (nth, batch) in questions.chunks(BATCH_SESSIONS_MAX).enumerate() {
        let first = nth * BATCH_SESSIONS_MAX;
        let alone: Vec<_> = batch
            .iter()
            .flat_map(|question| policy.decide(context, std::slice::from_ref(question)))
            .map(|judgement| judgement.answer)
            .collect();
        match policy.decide_once(context, batch) {
            Ok((batched, _)) => {
                for (at, (alone, batched)) in alone.into_iter().zip(batched).enumerate() {
                    if alone != batched {
                        found.push(Disagreement::Answer {
                            at: first + at,
                            alone: Box::new(alone),
                            batched: Box::new(batched),
                        });
                    }
                }
            }
            // A batch with a guilty one in it is judged one by one, and that is as it should be.
            Err(failure) if alone.iter().all(Result::is_ok) => found.push(Disagreement::Batch {
                at: first,
                sessions: batch.len(),
                failure,
            }),
            Err(_) => {}
        }
    }
    found
}
