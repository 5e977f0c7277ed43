//! What was reopened after vigil had settled its session. vigil takes no mark back by itself: its owner would start an
//! agent on it, and an issue that is left open after its merge would be worked on again and again. It is told.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use vigil_core::session::Revision;
use vigil_core::time::minutes;
use vigil_core::{Grounds, SessionId, State, Timestamp};
use vigil_sources::Listed;
use vigil_store::{Kind, LastWritten, TransitionId};

use super::{Batch, Moment, Reconciler};
use crate::failure::Failure;
use crate::memory;

/// 30 days: whoever reopens something later than that opens a new chapter.
const TOLD_FOR: Duration = minutes(30 * 24 * 60);

/// A session whose issue or pull request is open again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reopened {
    /// The session.
    pub session: SessionId,
    /// vigil's move that settled it.
    pub transition: TransitionId,
    /// What that move made of it.
    pub state: State,
    /// What was reopened, for people.
    pub what: String,
}

impl Reopened {
    /// One sentence for people. `owner`: the kind of system whose session it is.
    pub fn describe(&self, owner: &str) -> String {
        let Reopened {
            session,
            transition,
            state,
            what,
        } = self;
        format!(
            "{session}: {what} after {transition} had made it {state}; the marks that {transition} set keep {owner} from \
             working on it, and `vigil undo {transition}` takes them back: {owner} will then start an agent on it"
        )
    }
}

/// The latest writes to settled sessions, as far as they were asked for: they stand while the record does.
pub type Settled = HashMap<SessionId, (Revision, Option<LastWritten>)>;

impl Reconciler {
    /// Notes in each batch which of the sessions that vigil settled were reopened since, as far as the lists of this
    /// pass and the ones before tell. Asks nobody.
    pub(super) fn note_reopened(
        &mut self,
        batches: &mut [Batch],
        moment: &Moment,
    ) -> Result<(), Failure> {
        let Some(known) = self.asking.memory.take() else {
            return Ok(());
        };
        let mut told = Ok(());
        let reopened_in = known.reopened();
        for batch in batches.iter_mut() {
            batch.reopened.clear();
            if reopened_in.is_empty() {
                continue;
            }
            for listed in batch.listed.iter().filter(|one| one.state.is_settled()) {
                let repo = listed.repo.as_deref().map(str::to_ascii_lowercase);
                let open = repo.and_then(|repo| reopened_in.get(repo.as_str()));
                let Some(open) = open else { continue };
                match self.settled_by_vigil(listed) {
                    Ok(last) => {
                        let found = last.and_then(|last| reopened(listed, last, open, moment.now));
                        batch.reopened.extend(found);
                    }
                    Err(failure) => told = Err(failure),
                }
            }
        }
        drop(reopened_in);
        self.asking.memory = Some(known);
        told
    }

    /// vigil's own move, where that is what the record shows.
    fn settled_by_vigil(&mut self, listed: &Listed) -> Result<Option<&LastWritten>, Failure> {
        let is_known = self
            .settled
            .get(&listed.id)
            .is_some_and(|(revision, _)| *revision == listed.revision);
        if !is_known {
            let last = self
                .store
                .last_written(&listed.id)
                .map_err(memory::failed)?
                .filter(|last| last.kind == Kind::Transition && last.to.is_settled())
                .filter(|last| last.revision_after == listed.revision);
            self.settled
                .insert(listed.id.clone(), (listed.revision.clone(), last));
        }
        Ok(self
            .settled
            .get(&listed.id)
            .and_then(|(_, last)| last.as_ref()))
    }
}

/// What of `open` had ended when `last` was decided, and is what it rested on.
fn reopened(
    listed: &Listed,
    last: &LastWritten,
    open: &BTreeMap<u32, Timestamp>,
    now: Timestamp,
) -> Option<Reopened> {
    if last.at.age(now) > TOLD_FOR {
        return None;
    }
    let grounds = last.grounds.as_ref()?;
    let is_open =
        |number: u64| u32::try_from(number).is_ok_and(|number| open.contains_key(&number));
    let issue = listed
        .issue
        .filter(|number| issue_was_closed(grounds) && is_open(*number))
        .map(|number| format!("issue #{number} was reopened"));
    let pull = closed_pull(grounds)
        .filter(|number| is_open(*number))
        .map(|number| format!("PR #{number} was reopened"));
    let what = [issue, pull].into_iter().flatten().collect::<Vec<_>>();
    (!what.is_empty()).then(|| Reopened {
        session: listed.id.clone(),
        transition: last.id,
        state: last.to,
        what: what.join(" and "),
    })
}

fn issue_was_closed(grounds: &Grounds) -> bool {
    grounds
        .get("issue")
        .is_some_and(|was| was.starts_with("closed"))
}

/// The pull request that had been closed without a merge; one that was merged cannot be reopened.
fn closed_pull(grounds: &Grounds) -> Option<u64> {
    let (number, rest) = grounds.get("pull-request")?.split_once(' ')?;
    let number = number.parse().ok()?;
    rest.starts_with("closed").then_some(number)
}
