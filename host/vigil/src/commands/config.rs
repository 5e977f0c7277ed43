//! `vigil config`: where the configuration is, what counts, and whether it is right.

use serde_json::json;

use crate::config::Loaded;
use crate::failure::{EXIT_DONE, Failure, Outcome};
use crate::ui::{self, Ui};
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
pub(crate) fn show(loaded: &Loaded, setup: &Setup, ui: Ui) -> Outcome {
    let mut config = loaded.config.clone();
    let place = setup.place()?;
    config.github.host = Some(place.host);
    config.github.api_url = Some(place.rest_url);
    config.github.graphql_url = Some(place.graphql_url);
    if ui.json {
        ui.document(&json!({ "schema": "vigil.config/1", "config": config }))?;
        return Ok(EXIT_DONE);
    }
    let text = toml::to_string_pretty(&config).map_err(|error| {
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
    let missing: Vec<_> = sources
        .iter()
        .filter(|configured| !configured.home.is_dir())
        .map(|configured| {
            (
                configured.source.name(),
                configured.home.display().to_string(),
            )
        })
        .collect();
    if ui.json {
        ui.document(&json!({
            "schema": "vigil.config/1",
            "path": loaded.path.display().to_string(),
            "found": loaded.found,
            "sources": sources.len(),
            "policies": chain.links().len(),
            "missing_homes": missing
                .iter()
                .map(|(source, home)| json!({ "source": source, "home": home }))
                .collect::<Vec<_>>(),
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
    for (source, home) in missing {
        ui.line(format!(
            "{}: the home of source {source} is not there: {home}. Set source.{source}.home, or start it there once.",
            ui::styled(ui::NOTICE, "note")
        ));
    }
    Ok(EXIT_DONE)
}
