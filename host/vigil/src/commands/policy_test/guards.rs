//! What the guards make of a policy's answer to a case: the very decision that `run` would make, so that a rule that
//! could never happen fails its test.

use vigil_core::Evidence;
use vigil_core::decide::{Action, Ruling, decide};
use vigil_core::guard::Code;
use vigil_core::survey::{Memory, survey};
use vigil_core::verdict::{Decision, PolicyAnswer, PolicyFailure, Verdict};
use vigil_core::{State, Timestamp};
use vigil_policy::Policy;

use super::Got;
use crate::fixture::{Case, GuardOutcome};

/// `got`, with what comes of the answer once the guards have spoken.
pub(super) fn after(
    got: Got,
    policy: &Policy,
    case: &Case,
    answer: Option<Result<Decision, PolicyFailure>>,
) -> Got {
    let Some(Ok(decision)) = answer else {
        return got;
    };
    let wanted = policy.wants(&case.context, &[&case.evidence.session]).pop();
    let asked = match wanted {
        Some(Ok(facts)) => facts,
        Some(Err(failure)) => {
            return Got {
                verdict: format!("failure ({})", failure.kind),
                reason: failure.detail,
                ..Got::default()
            };
        }
        None => Vec::new(),
    };
    let answers = [PolicyAnswer {
        policy: policy.name().to_owned(),
        policy_digest: policy.digest().to_owned(),
        settings_digest: policy.settings_digest().to_owned(),
        answer: Ok(decision.clone()),
        passes_refused: false,
        behind: Vec::new(),
    }];
    // A case is the first look at its session: nothing was undone, and nothing was lost together with it.
    let seen = survey(&[&case.evidence], &case.context, Memory::default());
    let ruling = decide(&case.evidence, &answers, &asked, &seen, &case.context);
    let outcome = outcome(&decision.verdict, &ruling, case.evidence.session.state);
    let refused = outcome == Some(GuardOutcome::Refused);
    Got {
        outcome,
        refused_by: match refused {
            true => ruling.guards.iter().map(|guard| guard.code).collect(),
            false => Vec::new(),
        },
        remedy: refused.then(|| remedy(&decision.verdict, &ruling, case)),
        guards: ruling.guards,
        ..got
    }
}

fn outcome(verdict: &Verdict, ruling: &Ruling, from: State) -> Option<GuardOutcome> {
    match (verdict, &ruling.action) {
        (Verdict::Transition(to), Action::Move(at)) if to == at => Some(GuardOutcome::CarriedOut),
        (Verdict::Repair(_), Action::Repair(_)) => Some(GuardOutcome::CarriedOut),
        (_, Action::Move(_)) => Some(GuardOutcome::Blocked),
        // It is there already.
        (Verdict::Transition(to), Action::Hold) if *to == from && ruling.guards.is_empty() => {
            Some(GuardOutcome::CarriedOut)
        }
        (Verdict::Transition(_) | Verdict::Repair(_), _) => Some(GuardOutcome::Refused),
        (Verdict::Pass | Verdict::Hold, _) => None,
    }
}

/// What would let it through, and how a refusal is expected on purpose.
fn remedy(verdict: &Verdict, ruling: &Ruling, case: &Case) -> String {
    let codes: Vec<&str> = ruling
        .guards
        .iter()
        .map(|guard| guard.code.as_str())
        .collect();
    let meant = format!(
        "refused_by = {} in expect says that it is meant",
        match codes.as_slice() {
            [one] => format!("\"{one}\""),
            several => format!("{several:?}"),
        }
    );
    let closes = *verdict == Verdict::Transition(State::Closed);
    let lacks_evidence = ruling
        .guards
        .iter()
        .any(|guard| guard.code == Code::PositiveEvidence);
    match setting(&case.evidence, case).filter(|_| closes && lacks_evidence) {
        Some(setting) => format!(
            "{setting} in the source's configuration would allow it, as source = {{ {setting} }} in a fixture; {meant}"
        ),
        None => meant,
    }
}

/// The setting of the source that would make the session's end final.
fn setting(evidence: &Evidence, case: &Case) -> Option<String> {
    let source = &case.context.source;
    let labels = evidence.issue.found().map(|issue| &issue.labels);
    if let Some(labels) = labels.filter(|labels| !labels.is_empty()) {
        let mut listed = source.final_labels.clone();
        listed.extend(labels.iter().cloned());
        return Some(format!("final_labels = {listed:?}"));
    }
    let ended: Option<Timestamp> = evidence.pull_request.found().and_then(|pull| pull.ended());
    ended.map(|_| "closed_pr_is_final = true".to_owned())
}
