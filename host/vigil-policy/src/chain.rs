//! Several policies that speak in turn.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vigil_core::evidence::Context;
use vigil_core::verdict::{PolicyAnswer, PolicyFailure, Verdict};
use vigil_core::{Evidence, Session};

use crate::answer;
use crate::failure::{FailureKind, failure};
use crate::policy::{Policy, Question};
use crate::quarantine::Quarantine;

/// Policies in the order in which they speak. The first verdict that isn't `pass` ends a session's turn; all answers
/// are returned.
///
/// A policy that fails holds the session, unless the configuration lets the next one speak in its place; so does one
/// whose proposal is refused.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    links: Vec<Link>,
}

/// One policy of a chain.
#[derive(Clone, Debug)]
pub struct Link {
    /// The policy.
    pub policy: Arc<Policy>,
    /// What its failure leads to.
    pub on_failure: OnFailure,
    /// What a refused proposal of it leads to.
    pub on_refused: OnRefused,
}

/// What it leads to that a guard refuses a policy's proposal for what the proposed state demands: an edge that the state
/// table or the source does not have, or evidence that is missing for it. Whatever else a guard says holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnRefused {
    /// The session is held, and the policies behind it are not heard.
    #[default]
    Hold,
    /// The next policy speaks.
    Pass,
}

/// What the failure of a policy leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The session is held, with the failure as the reason.
    #[default]
    Hold,
    /// The next policy speaks.
    Pass,
}

/// What a chain needs to judge one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Names of facts, each once, in the order of [`FACTS`](crate::FACTS): what any of the policies asks for.
    pub facts: Vec<String>,
    /// For each policy of the chain why it cannot be asked at this look; `None`: it can.
    pub failures: Vec<Option<PolicyFailure>>,
}

/// What a chain is asked about one session.
#[derive(Clone, Copy, Debug)]
pub struct ChainQuestion<'a> {
    /// All that is known.
    pub evidence: &'a Evidence,
    /// For each policy of the chain what its last decision about the session left. Missing ones count as `None`.
    pub memos: &'a [Option<&'a str>],
    /// [`Wanted::failures`] of this session. A policy that could not say what it needs is not asked to decide on what
    /// there happens to be. Missing ones count as `None`.
    pub failures: &'a [Option<PolicyFailure>],
}

impl Chain {
    /// A chain of `links`, in order. One without links gives no answers, which the kernel holds.
    pub fn new(links: Vec<Link>) -> Self {
        Chain { links }
    }

    /// The policies, in order.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// What the chain needs to judge each of `sessions`: one answer for each, in order.
    ///
    /// Policies that `quarantine` leaves out for a session are not asked about it.
    pub fn wants(
        &self,
        context: &Context,
        sessions: &[&Session],
        quarantine: &mut Quarantine,
    ) -> Vec<Wanted> {
        let mut all = vec![Wanted::default(); sessions.len()];
        for link in &self.links {
            let key = Quarantine::key(&link.policy);
            let (asked, left_out): (Vec<usize>, Vec<usize>) =
                (0..sessions.len()).partition(|&at| quarantine.admits(&key, &sessions[at].id));
            for at in left_out {
                all[at].failures.push(Some(left_out_failure(&link.policy)));
            }
            let of_asked: Vec<&Session> = asked.iter().map(|&at| sessions[at]).collect();
            let answers = link.policy.wants(context, &of_asked);
            for (at, answer) in asked.into_iter().zip(answers) {
                let wanted = &mut all[at];
                match answer {
                    Ok(facts) => {
                        wanted.facts.extend(facts);
                        wanted.failures.push(None);
                    }
                    Err(failed) => wanted.failures.push(Some(failed)),
                }
            }
        }
        for wanted in &mut all {
            answer::in_order(&mut wanted.facts);
        }
        all
    }

    /// What the policies say: for each question the answers of those that spoke, in the chain's order. The last of
    /// them is the one that counts, unless it passes.
    ///
    /// Counts in `quarantine` how each policy fared.
    pub fn decide(
        &self,
        context: &Context,
        questions: &[ChainQuestion<'_>],
        quarantine: &mut Quarantine,
    ) -> Vec<Vec<PolicyAnswer>> {
        // Most chains have one link, and a list grows by fours.
        let mut all: Vec<Vec<PolicyAnswer>> = questions
            .iter()
            .map(|_| Vec::with_capacity(self.links.len()))
            .collect();
        let mut undecided: Vec<usize> = (0..questions.len()).collect();
        for (place, link) in self.links.iter().enumerate() {
            let earlier = |at: usize| questions[at].failures.get(place).and_then(Option::as_ref);
            let asked: Vec<usize> = undecided
                .iter()
                .copied()
                .filter(|&at| earlier(at).is_none())
                .collect();
            let of_asked: Vec<Question<'_>> = asked
                .iter()
                .map(|&at| Question {
                    evidence: questions[at].evidence,
                    memo: questions[at].memos.get(place).copied().flatten(),
                })
                .collect();
            let mut judged = asked
                .into_iter()
                .zip(link.policy.decide(context, &of_asked))
                .peekable();
            let key = Quarantine::key(&link.policy);
            undecided.retain(|&at| {
                let answer = match judged.next_if(|(asked, _)| *asked == at) {
                    Some((_, judgement)) => judgement.answer,
                    // Not asked. Should a failure be missing all the same, the session is held all the same.
                    None => Err(earlier(at)
                        .cloned()
                        .unwrap_or_else(|| failure(FailureKind::Nonsense, "gave no answer"))),
                };
                let counts = |failed: &PolicyFailure| {
                    !FailureKind::Quarantined.is(failed) && !FailureKind::HostMemory.is(failed)
                };
                if answer.as_ref().err().is_none_or(counts) {
                    let session = &questions[at].evidence.session.id;
                    quarantine.record(&key, session, answer.is_err());
                }
                let answer = link.answer(answer, &self.links[place + 1..]);
                let goes_on = match &answer.answer {
                    Ok(decision) => match decision.verdict {
                        Verdict::Pass => true,
                        // Whether it is refused is the kernel's to say, once all who may speak have spoken.
                        Verdict::Transition(_) => answer.passes_refused,
                        Verdict::Hold | Verdict::Repair(_) => false,
                    },
                    Err(failed) => failed.passes,
                };
                all[at].push(answer);
                goes_on
            });
        }
        all
    }
}

impl Link {
    fn answer(
        &self,
        answer: Result<vigil_core::Decision, PolicyFailure>,
        behind: &[Link],
    ) -> PolicyAnswer {
        // Only a proposal can be refused.
        let proposes = answer.as_ref().is_ok_and(|decision| {
            matches!(
                decision.verdict,
                Verdict::Transition(_) | Verdict::Repair(_)
            )
        });
        PolicyAnswer {
            policy: self.policy.name().to_owned(),
            policy_digest: self.policy.digest().to_owned(),
            settings_digest: self.policy.settings_digest().to_owned(),
            answer: answer.map_err(|failed| PolicyFailure {
                passes: self.on_failure == OnFailure::Pass && !FailureKind::HostMemory.is(&failed),
                ..failed
            }),
            passes_refused: proposes && self.on_refused == OnRefused::Pass,
            behind: behind
                .iter()
                .filter(|_| proposes)
                .map(|link| link.policy.name().to_owned())
                .collect(),
        }
    }
}

fn left_out_failure(policy: &Policy) -> PolicyFailure {
    failure(
        FailureKind::Quarantined,
        &format!(
            "{} failed {} times in a row about this session and is not asked; it is tried again from time to time",
            policy.name(),
            Quarantine::FAILURES_MAX
        ),
    )
}
