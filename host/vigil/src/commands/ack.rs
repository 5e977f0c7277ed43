//! `vigil ack`: a mass change is real, the held sessions may move.

use crate::cli::SourceArg;
use crate::failure::{EXIT_DONE, Outcome};
use crate::memory;
use crate::ui::Ui;
use crate::wiring::Setup;

/// Runs the command.
pub(crate) fn run(args: &SourceArg, setup: &Setup, ui: Ui) -> Outcome {
    super::pause::known_source(args, setup)?;
    let now = setup.world.now();
    setup
        .store()?
        .ack_mass_change(args.source.as_deref(), now)
        .map_err(memory::failed)?;
    let of = args.source.as_deref().unwrap_or("every source");
    if ui.json {
        ui.document(&serde_json::json!({ "schema": "vigil.ack/1", "source": args.source }))?;
    } else {
        ui.line(format!(
            "Losses up to now count as real in {of}; the next pass goes on."
        ));
    }
    Ok(EXIT_DONE)
}
