//! `vigil undo`: takes a transition back, unless the record changed since.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use vigil_core::{Grounds, SessionId};
use vigil_sources::World as _;
use vigil_store::{Settled, Transition, TransitionId};

use crate::cli::UndoArgs;
use crate::failure::{EXIT_DONE, Failure, Outcome};
use crate::memory;
use crate::pass::{How, Watched, was_written};
use crate::sources;
use crate::ui::Ui;
use crate::undo::{self, Undo};
use crate::wiring::Setup;

/// Runs the command.
pub(crate) async fn run(args: &UndoArgs, setup: &Setup, ui: Ui) -> Outcome {
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
    // A pause keeps vigil's own hands off, and taking its moves back is what people do then. The file stops everything.
    if let Some(file) =
        vigil_store::stop_file(&setup.environment.state_dir).map_err(memory::failed)?
    {
        return Err(Failure::world(format!(
            "{id} is not undone: {} stops every write",
            file.display()
        ))
        .hint("remove the file, then undo it"));
    }
    let session = &transition.session;
    let configured = sources::configured(&setup.config, &setup.environment, Some(&session.source))?;
    let source = configured
        .first()
        .map(|configured| configured.source.clone())
        .ok_or_else(|| Failure::request(format!("there is no source {}", session.source)))?;
    let world = Watched::by_hand(Arc::clone(&setup.world), &session.source, store.watch());
    let holder = format!("vigil undo {} of {}", std::process::id(), world.now());
    let reason = format!("undo of {id} by hand");
    let undo = undo::undo(
        &mut store,
        source.as_ref(),
        &world,
        &transition,
        &holder,
        &reason,
    )
    .map_err(memory::failed)?;
    let (undo, native_after) = match undo {
        Undo::Busy => {
            return Err(Failure::world(format!(
                "another vigil reconciles {session} at this moment"
            ))
            .hint("try again in a minute"));
        }
        Undo::Refused(refusal) => {
            return Err(Failure::world(format!("{id} cannot be undone")).because(refusal));
        }
        Undo::Ended {
            settled: Settled::Conflict(detail) | Settled::Failed(detail),
            ..
        } => return Err(Failure::world(format!("failed to undo {id}: {detail}"))),
        Undo::Ended {
            id, native_after, ..
        } => (id, native_after),
    };
    drop(store);
    if let Some(grounds) = &transition.grounds {
        // Where it cannot be learned now, the next pass that learns it takes its place.
        if let Err(failure) = note_grounds(setup, undo, session, grounds).await {
            tracing::warn!(%session, ?failure, "what the undone move rests on now is not known");
        }
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
            transition.from, native_after
        ));
        ui.line(
            "vigil does not repeat this move until what it rested on is no longer as it is now.",
        );
    }
    Ok(EXIT_DONE)
}

/// Looks at `session` once more: what the grounds of the undone move are at this moment is what they have to differ from
/// before it is made again.
async fn note_grounds(
    setup: &Setup,
    undo: TransitionId,
    session: &SessionId,
    grounds: &Grounds,
) -> Result<(), Failure> {
    let (_engine, chain) = setup.chain(&[])?;
    let mut reconciler = setup.reconciler(chain, Some(&session.source))?;
    let how = How {
        only: Some([session.clone()].into()),
        facts_max_age: Duration::ZERO,
        // One session's take as long as they may.
        looks: How::once().looks,
        ..How::look()
    };
    let passed = reconciler.pass(&how).await?;
    let now = passed
        .batches
        .iter()
        .flat_map(|batch| &batch.entries)
        .find(|entry| entry.evidence.session.id == *session)
        .and_then(|entry| grounds.now(&entry.evidence));
    match now {
        Some(now) => reconciler
            .store
            .note_grounds(undo, &now)
            .map_err(memory::failed),
        None => Ok(()),
    }
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
