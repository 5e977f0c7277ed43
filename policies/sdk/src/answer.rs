//! Decisions, written the way they are said: `hold("active", reason).look_again_after(mins(5))`.

use crate::{Decision, Intent, IntentKind, Millis, State, Verdict};

/// Leave the session as it is: the facts do not say, or they say that it is right.
#[must_use]
pub fn hold(rule: &str, reason: impl Into<String>) -> Decision {
    decision(Verdict::Hold, rule, reason.into())
}

/// Move the session to `state`: the facts say so.
#[must_use]
pub fn transition(state: State, rule: &str, reason: impl Into<String>) -> Decision {
    decision(Verdict::Transition(state), rule, reason.into())
}

/// Same state, but put the named drift right; `maintenance-in-flight` is the one that is registered.
#[must_use]
pub fn repair<const N: usize>(drift: [&str; N], rule: &str, reason: impl Into<String>) -> Decision {
    let drift = drift.into_iter().map(str::to_owned).collect();
    decision(Verdict::Repair(drift), rule, reason.into())
}

/// Somebody else's question: the next policy in the chain speaks. No rule spoke, so none is named.
#[must_use]
pub fn pass(reason: impl Into<String>) -> Decision {
    decision(Verdict::Pass, "", reason.into())
}

/// The same with a standing reason: the next policy speaks, and when none has a verdict this is why the session is
/// rightly where it is.
#[must_use]
pub fn pass_because(rule: &str, reason: impl Into<String>) -> Decision {
    decision(Verdict::Pass, rule, reason.into())
}

fn decision(verdict: Verdict, rule: &str, reason: String) -> Decision {
    Decision {
        verdict,
        rule: rule.to_owned(),
        reason,
        rests_on: Vec::new(),
        intents: Vec::new(),
        look_again_after: None,
        despite_live_work: false,
        memo: None,
    }
}

impl Decision {
    /// Names the facts that it rests on. For people: the host derives what must be true by itself.
    #[must_use]
    pub fn rests_on<const N: usize>(mut self, facts: [&str; N]) -> Self {
        self.rests_on.extend(facts.into_iter().map(str::to_owned));
        self
    }

    /// Asks to be asked again after `millis`; the host bounds it on both sides.
    #[must_use]
    pub fn look_again_after(mut self, millis: Millis) -> Self {
        self.look_again_after = Some(millis);
        self
    }

    /// Leaves a note that comes back with this session's next evidence. At most 4 KiB: a longer one is nonsense to
    /// the host, and holds the session. Without one, an earlier note is forgotten.
    #[must_use]
    pub fn memo(mut self, memo: impl Into<String>) -> Self {
        self.memo = Some(memo.into());
        self
    }

    /// Asks for an effect. `key` tells two of one decision apart; the host carries it out only where the
    /// configuration grants its kind.
    #[must_use]
    pub fn intent<const N: usize>(
        mut self,
        kind: IntentKind,
        key: &str,
        arguments: [(&str, &str); N],
    ) -> Self {
        self.intents.push(Intent {
            kind: kind.into(),
            key: key.to_owned(),
            arguments: arguments
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        });
        self
    }

    /// Says that the move is meant although an agent is at work. The host allows it only where the forge is final.
    #[must_use]
    pub fn despite_live_work(mut self) -> Self {
        self.despite_live_work = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_reads_as_it_is_said() {
        let said = transition(State::Blocked, "agent-gone", "nobody is at work")
            .rests_on(["agent", "issue"])
            .intent(IntentKind::Notify, "gone", [("text", "agent gone")])
            .memo("1")
            .look_again_after(60_000)
            .despite_live_work();
        let expected = Decision {
            verdict: Verdict::Transition(State::Blocked),
            rule: "agent-gone".into(),
            reason: "nobody is at work".into(),
            rests_on: vec!["agent".into(), "issue".into()],
            intents: vec![Intent {
                kind: "notify".into(),
                key: "gone".into(),
                arguments: vec![("text".into(), "agent gone".into())],
            }],
            look_again_after: Some(60_000),
            despite_live_work: true,
            memo: Some("1".into()),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn a_pass_names_no_rule_and_still_has_a_reason() {
        let passed = pass("not ours");
        assert_eq!(
            (passed.rule.as_str(), passed.reason.as_str()),
            ("", "not ours")
        );
        let standing = pass_because("open-pr", "PR #24 is open");
        assert_eq!(
            (
                standing.verdict,
                standing.rule.as_str(),
                standing.reason.as_str()
            ),
            (Verdict::Pass, "open-pr", "PR #24 is open")
        );
    }
}
