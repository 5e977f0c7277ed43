//! Asking where an issue went that GraphQL does not find.

use vigil_core::fact::Sighting;
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use super::lane::Job;
use super::rest::Nothing;
use super::{Outcome, Round};
use crate::learn::{Finding, Received, Seen};
use crate::memory::Needed;
use crate::place::{DELETED, deleted_at, learn_place};
use crate::question::Target;
use crate::tokens::Account;

impl Round {
    /// GraphQL does not find an issue in a repository that answers. Where it is known that it was deleted, that is one
    /// more look at its absence. Elsewhere nobody knows before REST has said where it is: gives whether that is asked.
    pub(super) fn seek(&mut self, account: &Account, one: Needed) -> bool {
        let now = self.how.now;
        let Target::Issue { repo, number } = &one.question.target else {
            return false;
        };
        let known = self.memory.repo(repo).and_then(|of| of.issue(*number));
        if known.is_some_and(|known| matches!(&known.fact, Fact::Absent(was) if is_deleted(was))) {
            self.found_deleted(&one, now);
            return false;
        }
        let gap = Gap::new(
            GapKind::NotReady,
            format!("there is no issue {repo}#{number}, and where it went was not found out"),
        );
        self.memory
            .miss(&one.question, &one.owners, &gap, self.how.now);
        self.lane(account)
            .probes
            .push_back(Job::Place(Box::new(one)));
        true
    }

    fn found_deleted(&mut self, one: &Needed, now: Timestamp) {
        let finding = Finding::Issue(Seen::from(deleted_at(now)));
        let pace = self.pace;
        self.memory
            .take(&one.question, finding, &one.owners, pace, now);
    }

    pub(super) fn take_place(
        &mut self,
        account: &Account,
        one: &Needed,
        outcome: Outcome,
        now: Timestamp,
    ) {
        self.done += 1;
        let observed = self.how.now;
        let Target::Issue { repo, number } = &one.question.target else {
            return;
        };
        let read = |received: &Received<'_>| learn_place(repo, *number, received, observed);
        let fact = match self.rest_learned(account, outcome, now, read) {
            Ok(fact) => fact,
            Err(Nothing::Missed(gap)) => {
                return self.memory.miss(&one.question, &one.owners, &gap, observed);
            }
            Err(Nothing::OutOfTime) => return,
        };
        match fact {
            Fact::Absent(_) => self.found_deleted(one, observed),
            Fact::Unknown(gap) => self.memory.miss(&one.question, &one.owners, &gap, observed),
            // It says nothing else.
            Fact::Found(_) | Fact::NotAsked => {}
        }
    }
}

fn is_deleted(sighting: &Sighting) -> bool {
    sighting.detail == DELETED
}
