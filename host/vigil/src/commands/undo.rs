//! `vigil undo`: takes a transition back, unless the record changed since.

use serde_json::json;
use vigil_store::{Settled, Transition, TransitionId};

use crate::cli::UndoArgs;
use crate::failure::{EXIT_DONE, Failure, Outcome};
use crate::memory;
use crate::pass::was_written;
use crate::sources;
use crate::ui::Ui;
use crate::undo::{self, Undo};
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
    let reason = format!("undo of {id} by hand");
    let undo = undo::undo(
        &mut store,
        source.as_ref(),
        world,
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
