//! Asking how two commits lie to each other.

use super::lane::{Job, silenced};
use super::{Body, Outcome, Outgoing, Round, Sent};
use crate::budget::Pool;
use crate::compare::{Comparison, Step, Told};
use crate::learn::Learned;
use crate::reply::Trouble;
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
        let flying = self.rest_flying(account);
        let keeps_pace = self.memory.account(account, now).keeps_pace(flying, now);
        if !keeps_pace || !self.affords(account, Pool::Rest, 1, true, now) {
            self.lane(account).postponed += 1;
            self.done += 1;
            return None;
        }
        let body = Body::Rest {
            path: comparison.path(step),
            etag: None,
        };
        self.rest_flies(account);
        Some(self.fly(account, body, Sent::Compare(comparison, step)))
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
        let raw = match outcome {
            Outcome::Answer(raw) => raw,
            Outcome::TimedOut(gap) | Outcome::TooLarge(gap) | Outcome::Broken(gap) => {
                return self.missed_comparison(&comparison, &gap);
            }
            Outcome::NoConnection(gap) => {
                self.missed_comparison(&comparison, &gap);
                let trouble = Trouble::Unanswered { gap: gap.clone() };
                return self.stop(account, Pool::Rest, &gap, trouble);
            }
            Outcome::NoToken(trouble) => {
                let gap = trouble.gap();
                self.missed_comparison(&comparison, &gap);
                self.stop(account, Pool::GraphQl, &gap, trouble.clone());
                return self.stop(account, Pool::Rest, &gap, trouble);
            }
            Outcome::Silent(silence) => {
                self.silenced(account, Pool::Rest, &silence);
                let gap = silenced(&Trouble::of(&silence));
                return self.missed_comparison(&comparison, &gap);
            }
            Outcome::OutOfTime => {
                self.done += 1;
                return;
            }
        };
        let (told, meter) = match comparison.learn(step, &raw.received(now), observed) {
            Learned::Answered(answered) => answered,
            Learned::Overloaded(gap) | Learned::Lost(gap) => {
                return self.missed_comparison(&comparison, &gap);
            }
            other => {
                let trouble = self.trouble_of(account, Pool::Rest, other, &raw, now);
                if let Some((gap, trouble)) = trouble {
                    self.missed_comparison(&comparison, &gap);
                    self.stop_for(account, Pool::Rest, &gap, trouble);
                }
                return;
            }
        };
        self.lane(account).answered = true;
        self.memory
            .account_mut(account)
            .answered(Pool::Rest, 1, meter, now);
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
