//! Whether a policy's answer makes sense. What doesn't is a failure of kind `nonsense`, and holds the session.
//!
//! These checks are about form. Whether a decision may be carried out is for the kernel's guards.

use vigil_core::drift::REGISTRY;
use vigil_core::named;
use vigil_core::verdict::{Decision, Intent, MEMO_BYTES_MAX, PolicyFailure, Verdict};

use crate::failure::{FailureKind, failure};
use crate::limits::Limits;
use crate::policy::Rule;

/// The facts that a policy may ask for, by registered name.
pub const FACTS: [&str; 13] = [
    "issue",
    "assignees",
    "issue-history",
    "closing-references",
    "pull-request",
    "mergeability",
    "reviews",
    "review-list",
    "checks",
    "check-list",
    "runs",
    "merge-queue",
    "auto-merge",
];

/// The kinds of intent that a policy may ask for, by registered name.
pub const INTENTS: [&str; 7] = [
    "notify",
    "add-label",
    "remove-label",
    "comment",
    "requeue",
    "restart",
    "close-terminal",
];

/// Intents of one decision. A decision moves one session; a handful of effects is already much.
pub const INTENTS_MAX: usize = 16;

/// The longest key of an intent, in bytes. It becomes part of a key in the store.
pub const INTENT_KEY_BYTES_MAX: usize = 128;

/// `answers`, when there is one for each of `asked` questions.
pub(crate) fn one_each<T>(answers: Vec<T>, asked: usize) -> Result<Vec<T>, PolicyFailure> {
    if answers.len() == asked {
        Ok(answers)
    } else {
        Err(nonsense(format!(
            "gave {} answers to {asked} questions",
            answers.len()
        )))
    }
}

/// `wanted`, when it names facts that there are, each once.
pub(crate) fn check_wants(mut wanted: Vec<String>) -> Result<Vec<String>, PolicyFailure> {
    for (at, name) in wanted.iter().enumerate() {
        if !FACTS.contains(&name.as_str()) && named::registered(name).is_none() {
            return Err(nonsense(format!(
                "wants the fact {name:?}; there are {}",
                FACTS.join(", ")
            )));
        }
        if at >= FACTS.len() * 2 {
            return Err(nonsense(format!("wants {} facts", wanted.len())));
        }
    }
    in_order(&mut wanted);
    Ok(wanted)
}

/// Puts the names of wanted facts in the order of [`FACTS`], each once, and after them those that owners know.
pub(crate) fn in_order(wanted: &mut Vec<String>) {
    let place = |name: &str| FACTS.iter().position(|fact| *fact == name);
    wanted.sort_by(|one, other| {
        let places = (
            place(one).unwrap_or(usize::MAX),
            place(other).unwrap_or(usize::MAX),
        );
        places.0.cmp(&places.1).then_with(|| one.cmp(other))
    });
    wanted.dedup();
}

/// `decision`, when it makes sense for a policy with these rules.
pub(crate) fn check(
    decision: Decision,
    rules: &[Rule],
    limits: &Limits,
) -> Result<Decision, PolicyFailure> {
    match fault(&decision, rules, limits) {
        None => Ok(decision),
        Some(what) => Err(nonsense(what)),
    }
}

fn fault(decision: &Decision, rules: &[Rule], limits: &Limits) -> Option<String> {
    let passes = decision.verdict == Verdict::Pass;
    // Who passes need not say why. Whoever names a rule gives a standing reason, and that is a sentence.
    let nameless = passes && decision.rule.is_empty();
    if !nameless && rules.iter().all(|rule| rule.code != decision.rule) {
        return Some(format!(
            "names the rule {:?}, which describe does not",
            decision.rule
        ));
    }
    if !nameless && decision.reason.trim().is_empty() {
        return Some(format!("gives no reason for its rule {}", decision.rule));
    }
    if let Verdict::Repair(drifts) = &decision.verdict {
        if drifts.is_empty() {
            return Some("asks for a repair of nothing".to_owned());
        }
        if let Some(drift) = drifts
            .iter()
            .find(|name| REGISTRY.iter().all(|drift| drift.name != **name))
        {
            return Some(format!(
                "asks to repair {drift:?}; there is {}",
                REGISTRY.map(|drift| drift.name).join(", ")
            ));
        }
    }
    if let Some(memo) = &decision.memo
        && memo.len() > MEMO_BYTES_MAX
    {
        return Some(format!(
            "leaves a memo of {} bytes, more than {MEMO_BYTES_MAX}",
            memo.len()
        ));
    }
    if decision.rests_on.iter().any(String::is_empty) {
        return Some("rests on a fact without a name".to_owned());
    }
    if passes && !decision.intents.is_empty() {
        return Some("passes and yet asks for intents".to_owned());
    }
    if decision.intents.len() > INTENTS_MAX {
        return Some(format!(
            "asks for {} intents, more than {INTENTS_MAX}",
            decision.intents.len()
        ));
    }
    if let Some(what) = decision.intents.iter().find_map(intent_fault) {
        return Some(what);
    }
    for (at, intent) in decision.intents.iter().enumerate() {
        if decision.intents[..at]
            .iter()
            .any(|other| other.key == intent.key)
        {
            return Some(format!(
                "asks for two intents with the key {:?}",
                intent.key
            ));
        }
    }
    let bytes = size(decision);
    (bytes > limits.decision_bytes).then(|| {
        format!(
            "gives {bytes} bytes of text, more than {}",
            limits.decision_bytes
        )
    })
}

fn intent_fault(intent: &Intent) -> Option<String> {
    if !INTENTS.contains(&intent.kind.as_str()) {
        return Some(format!(
            "asks for an intent of the kind {:?}; there are {}",
            intent.kind,
            INTENTS.join(", ")
        ));
    }
    if intent.key.is_empty() || intent.key.len() > INTENT_KEY_BYTES_MAX {
        return Some(format!(
            "gives its {} intent a key of {} bytes; 1 to {INTENT_KEY_BYTES_MAX} will do",
            intent.kind,
            intent.key.len()
        ));
    }
    let arguments = &intent.arguments;
    let unusable = arguments.iter().enumerate().any(|(at, (name, _))| {
        name.is_empty() || arguments[..at].iter().any(|(other, _)| other == name)
    });
    unusable.then(|| {
        format!(
            "names an argument of its {} intent twice or not at all",
            intent.kind
        )
    })
}

/// All texts of a decision together, in bytes.
fn size(decision: &Decision) -> usize {
    let repairs = match &decision.verdict {
        Verdict::Repair(drifts) => drifts.iter().map(String::len).sum(),
        _ => 0,
    };
    let rests_on: usize = decision.rests_on.iter().map(String::len).sum();
    let intents: usize = decision
        .intents
        .iter()
        .map(|intent| {
            let arguments: usize = intent
                .arguments
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum();
            intent.kind.len() + intent.key.len() + arguments
        })
        .sum();
    let memo = decision.memo.as_ref().map_or(0, String::len);
    decision.rule.len() + decision.reason.len() + repairs + rests_on + intents + memo
}

fn nonsense(detail: String) -> PolicyFailure {
    failure(FailureKind::Nonsense, &detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vigil_core::State;

    fn sound() -> Decision {
        Decision {
            verdict: Verdict::Transition(State::Succeeded),
            rule: "merged-pr".into(),
            reason: "Its pull request is merged.".into(),
            rests_on: vec!["pull-request".into()],
            intents: vec![intent("notify", "n")],
            look_again_after_ms: None,
            despite_live_work: false,
            memo: Some("1".into()),
        }
    }

    fn intent(kind: &str, key: &str) -> Intent {
        Intent {
            kind: kind.into(),
            key: key.into(),
            arguments: vec![("text".into(), "done".into())],
        }
    }

    type Change = fn(&mut Decision);

    /// What is said about a sound decision after `change`.
    fn after(change: Change) -> String {
        let rules = [Rule {
            code: "merged-pr".into(),
            sentence: "Merged.".into(),
        }];
        let mut decision = sound();
        change(&mut decision);
        match check(decision, &rules, &Limits::default()) {
            Ok(_) => "sound".into(),
            Err(failed) => {
                assert_eq!(failed.kind, "nonsense");
                assert!(!failed.passes);
                failed.detail
            }
        }
    }

    #[test]
    fn a_sound_decision_goes_through() {
        assert_eq!(after(|_| {}), "sound");
        let bare_pass = |decision: &mut Decision| {
            decision.verdict = Verdict::Pass;
            decision.rule.clear();
            decision.reason.clear();
            decision.intents.clear();
        };
        assert_eq!(after(bare_pass), "sound");
        let with_a_reason = |decision: &mut Decision| {
            decision.verdict = Verdict::Pass;
            decision.intents.clear();
        };
        assert_eq!(after(with_a_reason), "sound");
        assert_eq!(
            after(|decision| decision.verdict = Verdict::Repair(vec![REGISTRY[0].name.into()])),
            "sound"
        );
    }

    #[test]
    fn every_kind_of_nonsense_is_named() {
        let cases: [(Change, &str); 16] = [
            (|d| d.rule = "other".into(), "names the rule \"other\""),
            (|d| d.rule.clear(), "names the rule \"\""),
            (|d| d.reason = " \n".into(), "gives no reason"),
            (
                |d| d.memo = Some("m".repeat(4097)),
                "leaves a memo of 4097 bytes",
            ),
            (
                |d| d.verdict = Verdict::Repair(vec![]),
                "a repair of nothing",
            ),
            (
                |d| d.verdict = Verdict::Repair(vec!["x".into()]),
                "asks to repair \"x\"",
            ),
            (|d| d.rests_on.push(String::new()), "a fact without a name"),
            (|d| d.verdict = Verdict::Pass, "passes and yet asks"),
            (
                |d| {
                    d.verdict = Verdict::Pass;
                    d.rule = "other".into();
                },
                "names the rule \"other\"",
            ),
            (
                |d| {
                    d.verdict = Verdict::Pass;
                    d.reason.clear();
                },
                "gives no reason for its rule merged-pr",
            ),
            (
                |d| d.intents.push(intent("launch", "l")),
                "of the kind \"launch\"",
            ),
            (
                |d| d.intents.push(intent("comment", "n")),
                "two intents with the key \"n\"",
            ),
            (
                |d| d.intents.push(intent("comment", "")),
                "a key of 0 bytes",
            ),
            (
                |d| d.intents[0].arguments.push(("text".into(), String::new())),
                "names an argument of its notify intent twice",
            ),
            (
                |d| d.intents = (0..17).map(|n| intent("notify", &n.to_string())).collect(),
                "asks for 17 intents",
            ),
            (
                |d| d.reason = "r".repeat(65 << 10),
                "bytes of text, more than 65536",
            ),
        ];
        for (change, said) in cases {
            let found = after(change);
            assert!(found.contains(said), "{found:?} does not say {said:?}");
        }
    }

    #[test]
    fn a_memo_of_exactly_the_bound_is_kept() {
        assert_eq!(
            after(|d| d.memo = Some("m".repeat(MEMO_BYTES_MAX))),
            "sound"
        );
    }

    #[test]
    fn wanted_facts_come_in_one_order_and_once() {
        let wanted = |names: &[&str]| check_wants(names.iter().map(|&n| n.to_owned()).collect());
        assert_eq!(
            wanted(&["pull-request", "issue", "issue"]).unwrap(),
            ["issue", "pull-request"]
        );
        assert!(
            wanted(&["weather"])
                .unwrap_err()
                .detail
                .contains("\"weather\"")
        );
        // A list may say each name twice, and no more than that.
        assert_eq!(wanted(&["issue"; 26]).unwrap(), ["issue"]);
        assert!(
            wanted(&["issue"; 27])
                .unwrap_err()
                .detail
                .contains("27 facts")
        );
    }

    #[test]
    fn every_registered_fact_may_be_wanted() {
        // From the last to the first, so that a wrong order shows, too.
        let names: Vec<String> = FACTS.iter().rev().map(|&name| name.to_owned()).collect();
        assert_eq!(check_wants(names).unwrap(), FACTS);
    }

    #[test]
    fn too_few_answers_are_nonsense() {
        assert!(
            one_each(vec![1], 2)
                .unwrap_err()
                .detail
                .contains("1 answers to 2")
        );
        assert_eq!(one_each(vec![1, 2], 2).unwrap(), [1, 2]);
    }
}
