//! `vigil policy schema`: what a fixture may say, for editors and for people.

use crate::failure::{EXIT_DONE, Failure, Outcome};
use crate::fixture;
use crate::ui::Ui;

/// Prints the schema. It is JSON in any case.
pub(crate) fn run(ui: Ui) -> Outcome {
    let text = serde_json::to_string_pretty(&fixture::schema())
        .map_err(|error| Failure::world("failed to write the schema of fixtures").because(error))?;
    ui.line(text);
    Ok(EXIT_DONE)
}
