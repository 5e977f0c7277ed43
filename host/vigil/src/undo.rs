//! Taking a transition back: the same lease, journal row and write as any other, from the other end.

use std::time::Duration;

use vigil_sources::{Refusal, Source, World};
use vigil_store::{Kind, NewTransition, Settled, Store, StoreError, Transition, TransitionId};

use crate::pass::{proposal_of, settled_as};

/// An undo takes no longer; a lease that a crash left behind is over before anybody waits for it.
const LEASE: Duration = Duration::from_secs(120);

/// What became of an undo.
pub enum Undo {
    /// Another process reconciles the session at this moment; nothing was written.
    Busy,
    /// The source does not take this back, for example since the record is another one by now; nothing was written.
    Refused(Refusal),
    /// It was tried, and stands in the journal.
    Ended {
        /// The undo's own row.
        id: TransitionId,
        /// How it ended.
        settled: Settled,
        /// The owner's word for the state that the session has again.
        native_after: String,
    },
}

/// Takes `row` back, leased to `holder`. The caller has seen that it was written and not yet undone.
///
/// # Errors
/// Those of vigil's memory. What was prepared then stays for recovery; the lease runs out.
pub fn undo(
    store: &mut Store,
    source: &dyn Source,
    world: &dyn World,
    row: &Transition,
    holder: &str,
    reason: &str,
) -> Result<Undo, StoreError> {
    let session = std::slice::from_ref(&row.session);
    if store.lease(session, holder, world.now(), LEASE)? != [true] {
        return Ok(Undo::Busy);
    }
    let undo = match source.propose_undo(&proposal_of(row), world) {
        Err(refusal) => Undo::Refused(refusal),
        Ok(proposal) => {
            let id = store.prepare_one(&NewTransition {
                session: &row.session,
                kind: Kind::Undo,
                from: row.to,
                to: row.from,
                native_before: &proposal.native_before,
                native_after: &proposal.native_after,
                revision_before: &proposal.before,
                revision_after: &proposal.after,
                record_before: &proposal.record_before,
                edits: &proposal.edits,
                rule: "undo",
                policy: None,
                policy_digest: None,
                reason,
                guards: &[],
                intents: &[],
                evidence: None,
                grounds: None,
                undoes: Some(row.id),
                at: world.now(),
            })?;
            let committed = source.commit(std::slice::from_ref(&proposal), world).pop();
            let silent = || Settled::Failed("the source gave no answer".to_owned());
            let settled = committed.as_ref().map_or_else(silent, settled_as);
            store.settle(id, &settled, world.now())?;
            Undo::Ended {
                id,
                settled,
                native_after: proposal.native_after,
            }
        }
    };
    store.release(holder)?;
    Ok(undo)
}
