//! The one place where a state is chosen: the chain's answers, checked by the guards, become a ruling.
//!
//! [`decide`] is total and pure. The pass acts on its ruling, `status` shows it and `explain` tells it: there is no
//! second code path that could drift from the first.

use serde::{Deserialize, Serialize};

use crate::drift;
use crate::evidence::{Context, Evidence};
use crate::guard::{self, Code, Move, Objection};
use crate::left;
use crate::session::Session;
use crate::standing::{Origin, Standing, standing};
use crate::state::State;
use crate::survey::Survey;
use crate::time::millis;
use crate::verdict::{Decision, Intent, PolicyAnswer, Verdict};

/// The rule of a ruling that no policy made.
pub mod rule {
    /// A policy failed, and a failure holds.
    pub const POLICY_FAILED: &str = "policy-failed";
    /// The record is one of two for the same issue.
    pub const DUPLICATE_RECORD: &str = "duplicate-record";
    /// The record could not be read in full.
    pub const UNREADABLE_RECORD: &str = "unreadable-record";
    /// Left as it is, the record would make its owner discard work: see [`crate::left`].
    pub const UNSAVED_WORK: &str = "unsaved-work";
}

/// What is to be done about a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing.
    Hold,
    /// A policy proposed something and a guard refused it: nothing, and say so.
    Refuse,
    /// Another state.
    Move(State),
    /// The same state, with the named drift put right.
    Repair(Vec<String>),
}

/// The decision about one session, with its grounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ruling {
    /// What to do.
    pub action: Action,
    /// The code of the rule that spoke: a policy's, one of [`rule`], or that of a standing reason.
    pub rule: String,
    /// Where the reason comes from.
    pub origin: Origin,
    /// The policy that spoke, or gave the standing reason as it passed; `None`: none did.
    pub policy: Option<String>,
    /// Its digest.
    pub policy_digest: Option<String>,
    /// One sentence for people.
    pub reason: String,
    /// What the speaking policy proposed, before the guards.
    pub proposed: Option<Verdict>,
    /// The names of the facts that the rule rests on: the grounds of a move, see [`crate::grounds`].
    pub rests_on: Vec<String>,
    /// The guards that spoke, in order. On a move: the one that changed where it leads.
    pub guards: Vec<Objection>,
    /// The effects that the policy asked for, not yet granted.
    pub intents: Vec<Intent>,
    /// When the policy wants to look again, in milliseconds.
    pub look_again_after_ms: Option<u64>,
}

impl Ruling {
    /// The state that the session has when the ruling is carried out.
    pub fn state_after(&self, from: State) -> State {
        match self.action {
            Action::Move(to) => to,
            _ => from,
        }
    }

    fn hold(rule: &str, reason: String) -> Ruling {
        Ruling {
            action: Action::Hold,
            rule: rule.to_owned(),
            origin: Origin::Host,
            policy: None,
            policy_digest: None,
            reason,
            proposed: None,
            rests_on: Vec::new(),
            guards: Vec::new(),
            intents: Vec::new(),
            look_again_after_ms: None,
        }
    }

    fn standing(standing: Standing) -> Ruling {
        let (policy, policy_digest) = standing.policy.unzip();
        Ruling {
            origin: standing.origin,
            policy,
            policy_digest,
            ..Ruling::hold(&standing.rule, standing.reason)
        }
    }
}

/// Decides about one session.
///
/// `answers` are those of the chain, in order, up to the first that isn't `pass` and whose refusal would not pass
/// either; `asked` names the facts that the chain asked for; `survey` is what the pass shows as a whole.
pub fn decide(
    evidence: &Evidence,
    answers: &[PolicyAnswer],
    asked: &[String],
    survey: &Survey,
    context: &Context,
) -> Ruling {
    if let Some(objection) = guard::duplicate_record(evidence) {
        let reason = objection.detail.clone();
        let ruling = Ruling::hold(rule::DUPLICATE_RECORD, reason);
        return Ruling {
            guards: vec![objection],
            ..ruling
        };
    }
    if let Some(reason) = unreadable(evidence) {
        return Ruling::hold(rule::UNREADABLE_RECORD, reason);
    }
    let ruling = of_chain(evidence, answers, asked, survey, context);
    let ruling = still_blocked(ruling, evidence, survey);
    unless_left(ruling, evidence, asked, survey, context)
}

/// What the chain's answers come to.
fn of_chain(
    evidence: &Evidence,
    answers: &[PolicyAnswer],
    asked: &[String],
    survey: &Survey,
    context: &Context,
) -> Ruling {
    let mut refused: Option<Ruling> = None;
    for spoke in answers.iter().filter(|answer| !passes(answer)) {
        let ruling = ruling_of(spoke, evidence, asked, survey, context);
        if spoke.passes_refused && is_refused_for_its_state(&ruling) {
            refused.get_or_insert(ruling);
            continue;
        }
        return match refused {
            Some(before) => heard_after(&before, ruling),
            None => ruling,
        };
    }
    // Nobody else had anything to say.
    refused.unwrap_or_else(|| {
        let brought = survey.brought(&evidence.session.id);
        Ruling::standing(standing(&evidence.session, answers, brought))
    })
}

/// What comes of the answer of one policy.
fn ruling_of(
    spoke: &PolicyAnswer,
    evidence: &Evidence,
    asked: &[String],
    survey: &Survey,
    context: &Context,
) -> Ruling {
    let ruling = match &spoke.answer {
        Err(failure) => Ruling::hold(
            rule::POLICY_FAILED,
            format!(
                "policy {} failed ({}): {}",
                spoke.policy, failure.kind, failure.detail
            ),
        ),
        Ok(decision) => rule_on(decision, evidence, asked, survey, context),
    };
    let ruling = match ruling.action {
        Action::Refuse => silencing(ruling, spoke),
        _ => ruling,
    };
    Ruling {
        policy: Some(spoke.policy.clone()),
        policy_digest: Some(spoke.policy_digest.clone()),
        ..ruling
    }
}

fn is_refused_for_its_state(ruling: &Ruling) -> bool {
    ruling.action == Action::Refuse
        && ruling
            .guards
            .iter()
            .all(|guard| guard.code.is_of_the_state())
}

/// A refusal holds, and who stands behind it is not heard: that is said, since nobody would look for it there.
fn silencing(ruling: Ruling, spoke: &PolicyAnswer) -> Ruling {
    if spoke.behind.is_empty() || spoke.passes_refused && is_refused_for_its_state(&ruling) {
        return ruling;
    }
    let behind = spoke.behind.join(", ");
    let remedy = match is_refused_for_its_state(&ruling) {
        true => "; on_refused = \"pass\" would let it speak",
        false => "",
    };
    Ruling {
        reason: format!(
            "{}; this was refused, so that {behind} is not heard{remedy}",
            ruling.reason
        ),
        ..ruling
    }
}

/// What a later policy's word came to, with the refusal that let it speak.
fn heard_after(refused: &Ruling, ruling: Ruling) -> Ruling {
    let codes: Vec<&str> = (refused.guards.iter())
        .map(|guard| guard.code.as_str())
        .collect();
    let before = refused.policy.as_deref().unwrap_or_default();
    Ruling {
        reason: format!(
            "{}; {before} was refused before it ({}: {})",
            ruling.reason,
            refused.rule,
            codes.join(", ")
        ),
        ..ruling
    }
}

/// A ruling that leaves the record as it is, where its owner would discard work because of it, becomes a move to
/// `blocked`: its owner leaves that alone, and a person decides. Freshness does not count against it, since the owner
/// goes by a clock of its own; where that has not run out yet, the next look comes in time.
fn unless_left(
    ruling: Ruling,
    evidence: &Evidence,
    asked: &[String],
    survey: &Survey,
    context: &Context,
) -> Ruling {
    if matches!(ruling.action, Action::Move(_) | Action::Repair(_)) {
        return ruling;
    }
    let Some(discard) = left::discard(evidence) else {
        return ruling;
    };
    if context.now < discard.from {
        let until = discard.from.0 - context.now.0;
        let look_again = ruling.look_again_after_ms.unwrap_or(u64::MAX).min(until);
        return Ruling {
            look_again_after_ms: Some(look_again),
            ..ruling
        };
    }
    let proposed = Move {
        to: State::Blocked,
        despite_live_work: false,
        asked,
        evidence,
        context,
        survey,
    };
    let objections = guard::keeping_objections(&proposed);
    let proposed = Some(Verdict::Transition(State::Blocked));
    // Whoever is at work there bars nothing: its owner would not ask either. A person is to know before doing anything.
    let occupied = match &discard.occupant {
        Some(occupant) => format!(", while {occupant} is at work in its worktree"),
        None => String::new(),
    };
    let reason = format!(
        "{}, and the supervisor is gone: left at {}, its owner would discard {}{occupied}; a person decides what becomes \
         of it",
        discard.ended, evidence.session.native_state, discard.what
    );
    let rule = rule::UNSAVED_WORK.to_owned();
    if !objections.is_empty() {
        return Ruling {
            action: Action::Refuse,
            rule,
            origin: Origin::Verdict,
            reason,
            proposed,
            guards: objections,
            ..ruling
        };
    }
    let instead_of = format!("it would have been left as it is: {}", ruling.reason);
    Ruling {
        action: Action::Move(State::Blocked),
        origin: Origin::Verdict,
        proposed,
        guards: vec![Objection::new(Code::UnsavedWork, instead_of)],
        rests_on: ["pull-request", "supervisor"]
            .into_iter()
            .chain(UNSAVED)
            .map(str::to_owned)
            .collect(),
        ..Ruling::hold(&rule, reason)
    }
}

/// A record of which its source cannot say what it is about is never written, whatever a policy makes of it.
fn unreadable(evidence: &Evidence) -> Option<String> {
    let session = &evidence.session;
    if session.readable {
        return None;
    }
    let gaps: Vec<String> = session
        .gaps
        .iter()
        .map(|missing| format!("{} ({})", missing.field, missing.gap))
        .collect();
    Some(format!("its record cannot be read: {}", gaps.join("; ")))
}

/// Whether no policy of a chain has a verdict.
fn all_pass(answers: &[PolicyAnswer]) -> bool {
    answers.iter().all(passes)
}

/// Whether what brought `session` where it is can be a part of what is said about it, after these answers: where no policy
/// has a verdict, and where a blocked one is held.
pub fn tells_what_brought(session: &Session, answers: &[PolicyAnswer]) -> bool {
    let mut verdicts = answers
        .iter()
        .filter_map(|answer| answer.answer.as_ref().ok());
    let mut is_held = || verdicts.any(|decision| decision.verdict == Verdict::Hold);
    all_pass(answers) || session.state == State::Blocked && is_held()
}

/// That nothing can be said for now takes nothing back: what vigil blocked a session for is told beside it.
fn still_blocked(ruling: Ruling, evidence: &Evidence, survey: &Survey) -> Ruling {
    let session = &evidence.session;
    let held = session.state == State::Blocked && ruling.proposed == Some(Verdict::Hold);
    let brought = survey.brought(&session.id);
    let brought = brought.filter(|brought| held && brought.explains(session));
    match brought.filter(|brought| brought.rule != ruling.rule) {
        Some(brought) => Ruling {
            reason: format!(
                "{}; {} blocked it: {}",
                ruling.reason, brought.name, brought.reason
            ),
            ..ruling
        },
        None => ruling,
    }
}

fn passes(answer: &PolicyAnswer) -> bool {
    match &answer.answer {
        Ok(decision) => decision.verdict == Verdict::Pass,
        Err(failure) => failure.passes,
    }
}

fn rule_on(
    decision: &Decision,
    evidence: &Evidence,
    asked: &[String],
    survey: &Survey,
    context: &Context,
) -> Ruling {
    let from = evidence.session.state;
    let (action, guards) = match &decision.verdict {
        Verdict::Pass | Verdict::Hold => (Action::Hold, Vec::new()),
        // A policy that wants the state which is already there has nothing to ask for.
        Verdict::Transition(to) if *to == from => (Action::Hold, Vec::new()),
        Verdict::Transition(to) => {
            let proposed = Move {
                to: *to,
                despite_live_work: decision.despite_live_work,
                asked,
                evidence,
                context,
                survey,
            };
            guarded(&proposed)
        }
        Verdict::Repair(drift) => {
            let marked_by = drift::marker(drift.iter().map(String::as_str));
            let proposed = Move {
                to: from,
                despite_live_work: false,
                asked,
                evidence,
                context,
                survey,
            };
            let objections = guard::repair_objections(&proposed, marked_by);
            if objections.is_empty() {
                (Action::Repair(drift.clone()), Vec::new())
            } else {
                (Action::Refuse, objections)
            }
        }
    };
    let reason = turned(decision, &action, &guards);
    let mut rests_on = decision.rests_on.clone();
    if guards.iter().any(|guard| guard.code == Code::UnsavedWork) {
        // What turned it is among its grounds.
        let unsaved = UNSAVED.map(str::to_owned).into_iter();
        rests_on.extend(unsaved.filter(|name| !decision.rests_on.contains(name)));
    }
    // A move that waits for its next try is looked at again when that is due.
    let waits = match &decision.verdict {
        Verdict::Transition(to) if action == Action::Refuse => {
            guard::wait_after_stale_copies(*to, evidence, survey, context.now)
        }
        _ => None,
    };
    let waits = waits.map(|wait| millis(wait.rest));
    Ruling {
        action,
        rule: decision.rule.clone(),
        origin: Origin::Verdict,
        policy: None,
        policy_digest: None,
        reason,
        proposed: Some(decision.verdict.clone()),
        rests_on,
        guards,
        intents: decision.intents.clone(),
        look_again_after_ms: waits.or(decision.look_again_after_ms),
    }
}

/// A decision's reason; where a guard turned the move or refused it, with what was not done and why: it is all that the
/// record keeps for the person who has to decide, and all that `status` shows.
fn turned(decision: &Decision, action: &Action, guards: &[Objection]) -> String {
    let Some(guard) = guards.first() else {
        return decision.reason.clone();
    };
    let not = match (&decision.verdict, action) {
        (Verdict::Transition(wanted), Action::Move(to)) if wanted != to => wanted.as_str(),
        (Verdict::Transition(wanted), Action::Refuse) => wanted.as_str(),
        (Verdict::Repair(_), Action::Refuse) => "repaired",
        _ => return decision.reason.clone(),
    };
    format!("{}; not {not}: {}", decision.reason, guard.detail)
}

/// The facts that say whether there is unsaved work.
const UNSAVED: [&str; 3] = ["dirty", "unpushed", "beyond-head"];

/// A move with the guards' word on it. Work that the owner would discard turns the move into one to `blocked`, so
/// that a person decides; where even that may not be written, the session is held.
fn guarded(proposed: &Move<'_>) -> (Action, Vec<Objection>) {
    let objections = guard::objections(proposed);
    if !objections.is_empty() {
        return (Action::Refuse, objections);
    }
    let Some(unsaved) = guard::unsaved_work(proposed.to, proposed.evidence) else {
        return (Action::Move(proposed.to), Vec::new());
    };
    let instead = Move {
        to: State::Blocked,
        ..*proposed
    };
    // `blocked` needs unsaved work that was seen; that it could not be looked for is no ground to bother a person.
    let objections = guard::objections(&instead);
    if proposed.evidence.session.state != State::Blocked
        && objections.is_empty()
        && guard::unsaved_work(State::Blocked, proposed.evidence).is_none()
        && crate::signs::unsaved(proposed.evidence) == crate::signs::Unsaved::Yes
    {
        return (Action::Move(State::Blocked), vec![unsaved]);
    }
    // One that is blocked already needs no word on why it does not become blocked.
    let from = proposed.evidence.session.state;
    let against_blocked = objections.into_iter().filter(|_| from != State::Blocked);
    (
        Action::Refuse,
        std::iter::once(unsaved).chain(against_blocked).collect(),
    )
}
