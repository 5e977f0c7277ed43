//! `vigil config check`: would vigil start with this configuration? Nobody is asked over a network; every file that the
//! configuration names is opened.

use serde::Serialize;
use serde_json::json;
use vigil_github::secret_file;

use crate::config::Loaded;
use crate::failure::{EXIT_DONE, EXIT_REQUEST, Failure, Outcome};
use crate::sources::{self, Configured};
use crate::ui::{self, Ui};
use crate::webhooks::Keyring;
use crate::wiring::Setup;

/// Something that would keep vigil from its work.
#[derive(Debug, Serialize)]
struct Problem {
    what: String,
    hint: Option<String>,
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let hint = failure.hints().join("; ");
        Problem {
            what: failure.to_string(),
            hint: Some(hint).filter(|hint| !hint.is_empty()),
        }
    }
}

/// Checks the file, its policies with their settings, its sources, and every other file that it names.
pub(crate) fn check(loaded: &Loaded, setup: &Setup, ui: Ui) -> Outcome {
    let mut problems: Vec<Problem> = Vec::new();
    let mut kept = |failure: Failure| problems.push(failure.into());
    let chain = setup.chain(&[]).map_err(&mut kept).ok();
    let policies = chain.map(|(_, chain)| chain.links().len());
    let sources = sources::configured(&loaded.config, &setup.environment, None).map_err(&mut kept);
    let sources = sources.unwrap_or_default();
    // What it says about where GitHub is stands among them by now, where that is what is wrong.
    if !sources.is_empty() {
        setup.github().map_err(&mut kept).ok();
    }
    token_files(setup).into_iter().for_each(&mut kept);
    Keyring::read(&setup.config.webhooks, &setup.environment)
        .map_err(&mut kept)
        .ok();
    let missing = missing_homes(&sources);
    let notes: Vec<String> = missing
        .iter()
        .map(|(source, home)| {
            format!(
                "the home of source {source} is not there: {home}. Set source.{source}.home, or start it there once."
            )
        })
        .chain(setup.notes().into_iter().map(|(what, hint)| format!("{what}; {hint}")))
        .collect();
    if ui.json {
        ui.document(&json!({
            "schema": "vigil.config/1",
            "path": loaded.path.display().to_string(),
            "found": loaded.found,
            "sources": sources.len(),
            "policies": policies,
            "missing_homes": missing
                .iter()
                .map(|(source, home)| json!({ "source": source, "home": home }))
                .collect::<Vec<_>>(),
            "problems": problems,
            "notes": notes,
        }))?;
    } else {
        let what = match (problems.as_slice(), loaded.found) {
            ([], true) => "is right".to_owned(),
            ([], false) => "is not there; the defaults are right".to_owned(),
            (some, _) => format!("has {}", ui::count(some.len(), "problem")),
        };
        let policies =
            policies.map_or("no chain".to_owned(), |number| format!("{number} policies"));
        ui.line(format!(
            "{} {what}: {} source(s), {policies}.",
            loaded.path.display(),
            sources.len(),
        ));
        for Problem { what, hint } in &problems {
            ui.line(format!("{}: {what}", ui::styled(ui::ALARM, "problem")));
            if let Some(hint) = hint {
                ui.line(format!("{}: {hint}", ui::styled(ui::NOTICE, "hint")));
            }
        }
        for note in notes {
            ui.line(format!("{}: {note}", ui::styled(ui::NOTICE, "note")));
        }
    }
    Ok(match problems.is_empty() {
        true => EXIT_DONE,
        false => EXIT_REQUEST,
    })
}

/// Opens every file that holds a token. A pass does so only when it needs one.
fn token_files(setup: &Setup) -> Vec<Failure> {
    let github = &setup.config.github;
    let usual = github
        .token_file
        .iter()
        .map(|path| ("github.token_file".to_owned(), path));
    let listed =
        github.token.iter().enumerate().filter_map(|(at, token)| {
            Some((format!("github.token[{at}].file"), token.file.as_ref()?))
        });
    usual
        .chain(listed)
        .filter_map(|(key, path)| {
            let error = secret_file::read_token(path).err()?;
            let hint = error.hint();
            Some(
                Failure::request(format!("failed to read {key}"))
                    .because(error)
                    .hint(hint),
            )
        })
        .collect()
}

/// Each source whose home is not there, with its home. It may come when its owner is first started.
fn missing_homes(sources: &[Configured]) -> Vec<(String, String)> {
    sources
        .iter()
        .filter(|configured| !configured.home.is_dir())
        .map(|configured| {
            (
                configured.source.name().to_owned(),
                configured.home.display().to_string(),
            )
        })
        .collect()
}
