//! `vigil pause` and `vigil resume`: whether vigil may write.

use serde_json::json;
use vigil_store::Store;

use crate::cli::SourceArg;
use crate::failure::{EXIT_DONE, Failure, Outcome};
use crate::memory;
use crate::ui::Ui;
use crate::wiring::Setup;

use super::doctor;

/// Stops writing, to one source or to all.
pub(crate) fn pause(args: &SourceArg, setup: &Setup, ui: Ui) -> Outcome {
    known_source(args, setup)?;
    setup
        .store()?
        .pause(args.source.as_deref(), setup.world.now(), None)
        .map_err(memory::failed)?;
    // Noted is not seen: who goes on with another journal, for example after this folder was removed, never reads it.
    let strays = vigil_store::strays(&setup.environment.state_dir);
    if let Some(first) = strays.first() {
        return Err(Failure::world(format!(
            "the pause is noted in {}, but {} another journal and does not see it",
            Store::file_in(&setup.environment.state_dir).display(),
            doctor::pids(&strays)
        ))
        .hint(format!(
            "stop it with `kill {first}`; vigils that start from now on see the pause"
        )));
    }
    if ui.json {
        ui.document(&json!({ "schema": "vigil.pause/1", "source": args.source, "paused": true }))?;
    } else {
        let of = args.source.as_deref().unwrap_or("any source");
        ui.line(format!(
            "Paused: vigil goes on judging, and writes nothing to {of}. `vigil resume` ends it."
        ));
    }
    Ok(EXIT_DONE)
}

/// Writes again.
pub(crate) fn resume(args: &SourceArg, setup: &Setup, ui: Ui) -> Outcome {
    known_source(args, setup)?;
    let mut store = setup.store()?;
    let ended = store
        .resume(args.source.as_deref())
        .map_err(memory::failed)?;
    let left = store.pauses(setup.world.now()).map_err(memory::failed)?;
    let stopped = vigil_store::stop_file(&setup.environment.state_dir).map_err(memory::failed)?;
    if ui.json {
        ui.document(&json!({
            "schema": "vigil.pause/1",
            "source": args.source,
            "paused": !left.is_empty() || stopped.is_some(),
        }))?;
        return Ok(EXIT_DONE);
    }
    if ended.is_empty() {
        ui.line("Nothing was paused there.");
    } else if stopped.is_some() || !left.is_empty() {
        ui.line("Resumed.");
    } else {
        ui.line("Resumed: the next pass writes again.");
    }
    for pause in left {
        let of = pause.source.as_deref().unwrap_or("every source");
        ui.line(format!("Still paused: {of}."));
    }
    if let Some(file) = stopped {
        ui.line(format!(
            "Still stopped: nothing is written while {} is there.",
            file.display()
        ));
    }
    Ok(EXIT_DONE)
}

/// A source that is named must be configured.
pub(super) fn known_source(args: &SourceArg, setup: &Setup) -> Result<(), Failure> {
    match &args.source {
        Some(name) if !setup.config.source.contains_key(name) => {
            let names: Vec<&str> = setup.config.source.keys().map(String::as_str).collect();
            Err(Failure::request(format!("there is no source {name}"))
                .hint(format!("configured: {}", names.join(", "))))
        }
        _ => Ok(()),
    }
}
