//! Asking where an issue went that GraphQL does not find.

use vigil_core::fact::Sighting;
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use super::lane::{Job, silenced};
use super::{Outcome, Round};
use crate::budget::Pool;
use crate::learn::{Finding, Learned, Seen};
use crate::memory::Needed;
use crate::place::{DELETED, deleted_at, learn_place};
use crate::question::Target;
use crate::reply::Trouble;
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
        let raw = match outcome {
            Outcome::Answer(raw) => raw,
            Outcome::TimedOut(gap) | Outcome::TooLarge(gap) | Outcome::Broken(gap) => {
                return self.memory.miss(&one.question, &one.owners, &gap, observed);
            }
            Outcome::NoConnection(gap) => {
                let trouble = Trouble::Unanswered { gap: gap.clone() };
                return self.stop(account, Pool::Rest, &gap, trouble);
            }
            Outcome::NoToken(trouble) => {
                let gap = trouble.gap();
                self.stop(account, Pool::GraphQl, &gap, trouble.clone());
                return self.stop(account, Pool::Rest, &gap, trouble);
            }
            Outcome::Silent(silence) => {
                self.silenced(account, Pool::Rest, &silence);
                let gap = silenced(&Trouble::of(&silence));
                return self.memory.miss(&one.question, &one.owners, &gap, observed);
            }
            Outcome::OutOfTime => return,
        };
        let Target::Issue { repo, number } = &one.question.target else {
            return;
        };
        let (fact, meter) = match learn_place(repo, *number, &raw.received(now), observed) {
            Learned::Answered(answered) => answered,
            Learned::Overloaded(gap) | Learned::Lost(gap) => {
                return self.memory.miss(&one.question, &one.owners, &gap, observed);
            }
            other => {
                let trouble = self.trouble_of(account, Pool::Rest, other, &raw, now);
                if let Some((gap, trouble)) = trouble {
                    self.memory.miss(&one.question, &one.owners, &gap, observed);
                    self.stop_for(account, Pool::Rest, &gap, trouble);
                }
                return;
            }
        };
        self.lane(account).answered = true;
        self.memory
            .account_mut(account)
            .answered(Pool::Rest, 1, meter, now);
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
