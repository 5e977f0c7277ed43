//! What became of a request to REST that asks about one thing.

use vigil_core::{Gap, Timestamp};

use super::lane::silenced;
use super::{Body, Outcome, Outgoing, Raw, Round, Sent};
use crate::budget::Pool;
use crate::learn::{Learned, Received};
use crate::limits::Meter;
use crate::reply::Trouble;
use crate::tokens::Account;

/// Why nothing was learned.
pub(super) enum Nothing {
    /// For this reason; where it concerns more than this request, the pool is stopped.
    Missed(Gap),
    /// The time was up, which is nobody's failure.
    OutOfTime,
}

impl Round {
    /// Sends `path` if pace and share allow; `None`: it waits for a later pass.
    pub(super) fn ask_rest(
        &mut self,
        account: &Account,
        path: String,
        sent: Sent,
        now: Timestamp,
    ) -> Option<Outgoing> {
        let flying = self.rest_flying(account);
        let keeps_pace = self.memory.account(account, now).keeps_pace(flying, now);
        if !keeps_pace || !self.affords(account, Pool::Rest, 1, true, now) {
            self.lane(account).postponed += 1;
            return None;
        }
        self.rest_flies(account);
        Some(self.fly(account, Body::Rest { path, etag: None }, sent))
    }

    /// What `read` makes of the answer, which is counted.
    pub(super) fn rest_learned<A>(
        &mut self,
        account: &Account,
        outcome: Outcome,
        now: Timestamp,
        read: impl FnOnce(&Received<'_>) -> Learned<(A, Meter)>,
    ) -> Result<A, Nothing> {
        let raw = self.rest_answer(account, outcome)?;
        let received = raw.received(now);
        let (learned, meter) = match read(&received).heeding(&received, Pool::Rest.resource()) {
            Learned::Answered(answered) => answered,
            Learned::Overloaded(gap) | Learned::Lost(gap) => return Err(Nothing::Missed(gap)),
            other => {
                let (gap, trouble) = self
                    .trouble_of(account, Pool::Rest, other, &raw, now)
                    .ok_or(Nothing::OutOfTime)?;
                self.stop_for(account, Pool::Rest, &gap, trouble);
                return Err(Nothing::Missed(gap));
            }
        };
        self.lane(account).answered = true;
        self.memory
            .account_mut(account)
            .answered(Pool::Rest, 1, meter, now);
        Ok(learned)
    }

    fn rest_answer(&mut self, account: &Account, outcome: Outcome) -> Result<Raw, Nothing> {
        let gap = match outcome {
            Outcome::Answer(raw) => return Ok(raw),
            Outcome::OutOfTime => return Err(Nothing::OutOfTime),
            Outcome::TimedOut(gap) | Outcome::TooLarge(gap) | Outcome::Broken(gap) => gap,
            Outcome::NoConnection(gap) => {
                let trouble = Trouble::Unanswered { gap: gap.clone() };
                self.stop(account, Pool::Rest, &gap, trouble);
                gap
            }
            Outcome::NoToken(trouble) => {
                let gap = trouble.gap();
                self.stop(account, Pool::GraphQl, &gap, trouble.clone());
                self.stop(account, Pool::Rest, &gap, trouble);
                gap
            }
            Outcome::Silent(silence) => {
                self.silenced(account, Pool::Rest, &silence);
                silenced(&Trouble::of(&silence))
            }
        };
        Err(Nothing::Missed(gap))
    }
}
