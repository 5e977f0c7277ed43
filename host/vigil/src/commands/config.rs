//! `vigil config`: where the configuration is, what counts, and whether it is right.

mod check;
mod show;

use serde_json::json;

use crate::config::Loaded;
use crate::failure::{EXIT_DONE, Failure, Outcome};
use crate::sources;
use crate::ui::Ui;
use crate::wiring::Setup;

pub(crate) use check::check;

/// Prints where the file is, or would be.
pub(crate) fn path(loaded: &Loaded, ui: Ui) -> Outcome {
    if ui.json {
        let path = loaded.path.display().to_string();
        ui.document(&json!({ "schema": "vigil.config/1", "path": path, "found": loaded.found }))?;
    } else {
        ui.line(loaded.path.display().to_string());
    }
    Ok(EXIT_DONE)
}

/// Prints every key with the value that counts.
pub(crate) fn show(loaded: &Loaded, setup: &Setup, ui: Ui) -> Outcome {
    let mut config = loaded.config.clone();
    let place = setup.place()?;
    config.github.host = Some(place.host);
    config.github.api_url = Some(place.rest_url);
    config.github.graphql_url = Some(place.graphql_url);
    for configured in sources::configured(&loaded.config, &setup.environment, None)? {
        if let Some(source) = config.source.get_mut(configured.source.name()) {
            source.home = Some(configured.home);
        }
    }
    if ui.json {
        ui.document(&json!({ "schema": "vigil.config/1", "config": show::json(&config) }))?;
        return Ok(EXIT_DONE);
    }
    let text = show::toml(&config).map_err(|error| {
        Failure::world("failed to write the configuration as TOML").because(error)
    })?;
    let origin = if loaded.found {
        ""
    } else {
        " (no such file: these are the defaults)"
    };
    ui.line(format!("# {}{origin}", loaded.path.display()));
    ui.line(text.trim_end());
    Ok(EXIT_DONE)
}
