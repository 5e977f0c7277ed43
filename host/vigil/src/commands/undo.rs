//! `vigil undo`: takes a transition back, unless the record changed since.

use std::time::Duration;

use serde_json::json;
use vigil_sources::Committed;
use vigil_store::{Kind, NewTransition, Settled, Transition, TransitionId};

use crate::cli::UndoArgs;
use crate::failure::{EXIT_DONE, Failure, Outcome};
use crate::memory;
use crate::pass::{proposal_of, was_written};
use crate::sources;
use crate::ui::Ui;
use crate::wiring::Setup;

/// Runs the command.
pub(crate) fn run(args: &UndoArgs, setup: &Setup, ui: Ui) -> Outcome {
    let id: TransitionId = args.transition.parse().map_err(|_| {
        Failure::request(format!("{} is no transition", args.transition))
            .hint("`vigil history` lists them, for example t42")
    })?;
    let mut store = setup.store()?;
    let transition = store
        .transition(id)
        .map_err(memory::failed)?
        .ok_or_else(|| {
            Failure::request(format!("there is no transition {id}"))
                .hint("`vigil history` lists them")
        })?;
    may_be_undone(&transition)?;
    let session = &transition.session;
    let configured = sources::configured(&setup.config, &setup.environment, Some(&session.source))?;
    let source = configured
        .first()
        .map(|configured| configured.source.clone())
        .ok_or_else(|| Failure::request(format!("there is no source {}", session.source)))?;
    let world = setup.world.as_ref();
    let holder = format!("vigil undo {} of {}", std::process::id(), world.now());
    let leased = store
        .lease(
            std::slice::from_ref(session),
            &holder,
            world.now(),
            Duration::from_secs(120),
        )
        .map_err(memory::failed)?;
    if leased != [true] {
        return Err(
            Failure::world(format!("another vigil reconciles {session} at this moment"))
                .hint("try again in a minute"),
        );
    }
    let proposal = source
        .propose_undo(&proposal_of(&transition), world)
        .map_err(|refusal| Failure::world(format!("{id} cannot be undone")).because(refusal))?;
    let reason = format!("undo of {id} by hand");
    let new = NewTransition {
        session,
        kind: Kind::Undo,
        from: transition.to,
        to: transition.from,
        native_before: &proposal.native_before,
        native_after: &proposal.native_after,
        revision_before: &proposal.before,
        revision_after: &proposal.after,
        record_before: &proposal.record_before,
        edits: &proposal.edits,
        rule: "undo",
        policy: None,
        policy_digest: None,
        reason: &reason,
        guards: &[],
        intents: &[],
        evidence: None,
        undoes: Some(id),
        at: world.now(),
    };
    let prepared = store
        .prepare(std::slice::from_ref(&new))
        .map_err(memory::failed)?;
    let undo = prepared.first().copied().unwrap_or(id);
    let committed = source.commit(std::slice::from_ref(&proposal), world).pop();
    let (settled, failure) = match committed {
        Some(Committed::Written { exclusive }) => (Settled::Written { exclusive }, None),
        Some(Committed::Conflict(detail)) => (Settled::Conflict(detail.clone()), Some(detail)),
        Some(Committed::Failed(detail)) => (Settled::Failed(detail.clone()), Some(detail)),
        None => {
            let detail = "the source gave no answer".to_owned();
            (Settled::Failed(detail.clone()), Some(detail))
        }
    };
    store
        .settle(undo, &settled, world.now())
        .map_err(memory::failed)?;
    store.release(&holder).map_err(memory::failed)?;
    if let Some(detail) = failure {
        return Err(Failure::world(format!("failed to undo {id}: {detail}")));
    }
    if ui.json {
        ui.document(&json!({
            "schema": "vigil.undo/1",
            "transition_id": undo.to_string(),
            "undoes": id.to_string(),
            "session": session.to_string(),
            "from": transition.to,
            "to": transition.from,
        }))?;
    } else {
        ui.line(format!(
            "{undo}: {session} is {} again ({}).",
            transition.from, proposal.native_after
        ));
        ui.line("vigil does not repeat this move while GitHub says the same.");
    }
    Ok(EXIT_DONE)
}

fn may_be_undone(transition: &Transition) -> Result<(), Failure> {
    let id = transition.id;
    if let Some(by) = transition.undone_by {
        return Err(Failure::request(format!("{id} was already undone by {by}")));
    }
    if !was_written(transition) {
        return Err(Failure::request(format!(
            "{id} was not written, so there is nothing to undo"
        )));
    }
    Ok(())
}
