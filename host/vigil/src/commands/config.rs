//! `vigil config`: where the configuration is, what counts, and whether it is right.

use serde_json::json;

use crate::config::Loaded;
use crate::failure::{EXIT_DONE, Failure, Outcome};
use crate::ui::Ui;
use crate::wiring::Setup;
use crate::{policies, sources};

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
pub(crate) fn show(loaded: &Loaded, ui: Ui) -> Outcome {
    if ui.json {
        ui.document(&json!({ "schema": "vigil.config/1", "config": loaded.config }))?;
        return Ok(EXIT_DONE);
    }
    let text = toml::to_string_pretty(&loaded.config).map_err(|error| {
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

/// Checks the file, its policies with their settings, and its sources.
pub(crate) fn check(loaded: &Loaded, setup: &Setup, ui: Ui) -> Outcome {
    let engine = policies::engine(&setup.environment)?;
    let chain = policies::chain(&engine, &[], &loaded.config.policy)?;
    let sources = sources::configured(&loaded.config, &setup.environment, None)?;
    setup.github()?;
    if ui.json {
        ui.document(&json!({
            "schema": "vigil.config/1",
            "path": loaded.path.display().to_string(),
            "found": loaded.found,
            "sources": sources.len(),
            "policies": chain.links().len(),
        }))?;
        return Ok(EXIT_DONE);
    }
    let what = if loaded.found {
        "is right"
    } else {
        "is not there; the defaults are right"
    };
    ui.line(format!(
        "{} {what}: {} source(s), {} policies.",
        loaded.path.display(),
        sources.len(),
        chain.links().len()
    ));
    Ok(EXIT_DONE)
}
