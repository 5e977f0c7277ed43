//! `vigil notify test`: does a notice arrive?

use crate::failure::{EXIT_DONE, Failure, Outcome};
use crate::notify::{self, Notice};
use crate::ui::{self, Ui};
use crate::wiring::Setup;

/// Runs the command.
pub(crate) fn run(setup: &Setup, ui: Ui) -> Outcome {
    let notifier = setup.notifier();
    if !notifier.is_configured() {
        return Err(Failure::request("no way to notify anybody is configured")
            .hint("set notify.command or notify.webhook in the configuration"));
    }
    let now = setup.world.now();
    let notice = Notice {
        schema: notify::SCHEMA.to_owned(),
        kind: "test".to_owned(),
        key: format!("test/{now}"),
        text: "This is a test notice from vigil.".to_owned(),
        session: None,
        since: ui::moment(now),
    };
    notifier
        .send(&notice)
        .map_err(|error| Failure::world("failed to notify").because(error))?;
    if ui.json {
        ui.document(&notice)?;
    } else {
        ui.line("The notice was sent.");
    }
    Ok(EXIT_DONE)
}
