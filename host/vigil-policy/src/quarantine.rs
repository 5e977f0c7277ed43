//! A policy that keeps failing about a session is left out for it, and says so.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use vigil_core::SessionId;

use crate::policy::Policy;

/// Counts how often policies failed in a row, per policy and session. Pure: whoever holds it may keep it in memory or
/// store it between passes.
///
/// A policy is known by its component and its settings: rebuilt or set up otherwise, it starts anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    rows: BTreeMap<String, Vec<Row>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    session: SessionId,
    failures: u32,
    looks_left_out: u32,
}

/// A policy that is left out for a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// The policy, its component and its settings, as [`Quarantine::key`] writes them.
    pub policy: String,
    /// The session.
    pub session: SessionId,
    /// Failures in a row.
    pub failures: u32,
}

impl Quarantine {
    /// Failures in a row after which a policy is left out. 5: one bad reading and a loaded machine make fewer.
    pub const FAILURES_MAX: u32 = 5;

    /// Looks after which a policy that is left out is tried again. 20: a session that is looked at every minute or two
    /// recovers within the hour from what was no fault of the policy's, such as a deadline on a loaded machine.
    pub const LOOKS_LEFT_OUT: u32 = 20;

    /// How `policy` is counted.
    pub fn key(policy: &Policy) -> String {
        format!(
            "{}@{}+{}",
            policy.name(),
            policy.digest(),
            policy.settings_digest()
        )
    }

    /// Whether `policy` may speak about `session` at this look. Each refusal counts towards its next try.
    pub fn admits(&mut self, policy: &str, session: &SessionId) -> bool {
        let Some(row) = self.row(policy, session) else {
            return true;
        };
        if row.failures < Self::FAILURES_MAX {
            return true;
        }
        if row.looks_left_out < Self::LOOKS_LEFT_OUT {
            row.looks_left_out += 1;
            return false;
        }
        row.looks_left_out = 0;
        true
    }

    /// Counts how `policy` fared with `session`.
    pub fn record(&mut self, policy: &str, session: &SessionId, failed: bool) {
        if failed {
            match self.row(policy, session) {
                Some(row) => row.failures = row.failures.saturating_add(1),
                None => self.rows.entry(policy.to_owned()).or_default().push(Row {
                    session: session.clone(),
                    failures: 1,
                    looks_left_out: 0,
                }),
            }
        } else if let Some(rows) = self.rows.get_mut(policy) {
            rows.retain(|row| row.session != *session);
            if rows.is_empty() {
                self.rows.remove(policy);
            }
        }
    }

    /// Every policy that is left out at present, for `status`.
    pub fn list(&self) -> Vec<Quarantined> {
        self.rows
            .iter()
            .flat_map(|(policy, rows)| rows.iter().map(move |row| (policy, row)))
            .filter(|(_, row)| row.failures >= Self::FAILURES_MAX)
            .map(|(policy, row)| Quarantined {
                policy: policy.clone(),
                session: row.session.clone(),
                failures: row.failures,
            })
            .collect()
    }

    /// Forgets what is counted of policies and sessions that are no longer there. This is what bounds the counts.
    pub fn keep(&mut self, policies: &BTreeSet<String>, sessions: &BTreeSet<SessionId>) {
        self.rows.retain(|policy, rows| {
            rows.retain(|row| sessions.contains(&row.session));
            policies.contains(policy) && !rows.is_empty()
        });
    }

    fn row(&mut self, policy: &str, session: &SessionId) -> Option<&mut Row> {
        self.rows
            .get_mut(policy)?
            .iter_mut()
            .find(|row| row.session == *session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed_times(times: u32) -> (Quarantine, SessionId) {
        let mut quarantine = Quarantine::default();
        let session = SessionId::new("home", "a/b#1");
        for _ in 0..times {
            quarantine.record("p", &session, true);
        }
        (quarantine, session)
    }

    #[test]
    fn five_failures_in_a_row_leave_a_policy_out() {
        let (mut four, session) = failed_times(4);
        assert!(four.admits("p", &session));
        assert!(four.list().is_empty());
        let (mut five, session) = failed_times(5);
        assert!(!five.admits("p", &session));
        assert!(five.admits("q", &session));
        assert!(five.admits("p", &SessionId::new("home", "a/b#2")));
        assert_eq!(five.list()[0].failures, 5);
    }

    #[test]
    fn an_answer_starts_the_count_anew() {
        let (mut quarantine, session) = failed_times(4);
        quarantine.record("p", &session, false);
        quarantine.record("p", &session, true);
        assert!(quarantine.admits("p", &session));
        assert!(quarantine.list().is_empty());
    }

    #[test]
    fn a_policy_that_is_left_out_is_tried_again_after_a_while() {
        let (mut quarantine, session) = failed_times(5);
        let left_out = (0..100)
            .take_while(|_| !quarantine.admits("p", &session))
            .count();
        assert_eq!(left_out, Quarantine::LOOKS_LEFT_OUT as usize);
        quarantine.record("p", &session, true);
        assert!(!quarantine.admits("p", &session));
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let (mut quarantine, session) = failed_times(5);
        let policies = BTreeSet::from(["p".to_owned()]);
        quarantine.keep(&policies, &BTreeSet::from([session]));
        assert_eq!(quarantine.list().len(), 1);
        quarantine.keep(&policies, &BTreeSet::new());
        assert_eq!(quarantine, Quarantine::default());
    }

    #[test]
    fn counts_survive_being_stored() {
        let (quarantine, _) = failed_times(5);
        let text = serde_json::to_string(&quarantine).unwrap();
        assert_eq!(
            serde_json::from_str::<Quarantine>(&text).unwrap(),
            quarantine
        );
    }
}
