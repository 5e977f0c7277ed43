//! Asking how two commits lie to each other.

use super::lane::Job;
use super::rest::Nothing;
use super::{Outcome, Outgoing, Round, Sent};
use crate::compare::{Comparison, Step, Told};
use crate::learn::Received;
use crate::tokens::Account;

use vigil_core::{Gap, Timestamp};

impl Round {
    /// Lines comparisons up that were not asked for in this round yet; gives whether there were any.
    pub(super) fn enqueue_comparisons(&mut self) -> bool {
        let all = self
            .memory
            .comparisons(&self.asks, self.doubt, self.how.now);
        let mut any = false;
        for comparison in all {
            if !self.comparing.insert(comparison.clone()) {
                continue;
            }
            any = true;
            self.total += 1;
            let account = self.account_of(&comparison.repo);
            let job = Job::Compare(Box::new(comparison), Step::Compare);
            self.lane(&account).probes.push_back(job);
        }
        any
    }

    /// Asks, if the share allows; it is unknown until somebody has.
    pub(super) fn next_comparison(
        &mut self,
        account: &Account,
        comparison: Box<Comparison>,
        step: Step,
        now: Timestamp,
    ) -> Option<Outgoing> {
        let path = comparison.path(step);
        let outgoing = self.ask_rest(account, path, Sent::Compare(comparison, step), now);
        self.done += u64::from(outgoing.is_none());
        outgoing
    }

    pub(super) fn take_comparison(
        &mut self,
        account: &Account,
        comparison: Box<Comparison>,
        step: Step,
        outcome: Outcome,
        now: Timestamp,
    ) {
        let observed = self.how.now;
        let read = |received: &Received<'_>| comparison.learn(step, received, observed);
        let told = match self.rest_learned(account, outcome, now, read) {
            Ok(told) => told,
            Err(Nothing::Missed(gap)) => return self.missed_comparison(&comparison, &gap),
            Err(Nothing::OutOfTime) => {
                self.done += 1;
                return;
            }
        };
        match told {
            Told::Fact(vigil_core::Fact::Unknown(gap)) => self.missed_comparison(&comparison, &gap),
            Told::Fact(fact) => {
                self.done += 1;
                self.memory.take_comparison(&comparison, fact, observed);
            }
            Told::AskControl => {
                let job = Job::Compare(comparison, Step::Control);
                self.lane(account).probes.push_front(job);
            }
        }
    }

    pub(super) fn missed_comparison(&mut self, comparison: &Comparison, gap: &Gap) {
        self.done += 1;
        self.memory.miss_comparison(comparison, gap, self.how.now);
    }
}
