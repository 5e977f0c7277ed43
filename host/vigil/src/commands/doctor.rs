//! `vigil doctor`: does vigil have what it needs?

mod asked;
mod github;
mod places;
mod renamed;
mod silences;
mod webhooks;

use std::io::ErrorKind;

use serde::Serialize;
use vigil_core::Session;
use vigil_sources::SourceError;
use vigil_store::{DaemonLock, Store};

use crate::cli::DoctorArgs;
use crate::config::Loaded;
use crate::failure::{EXIT_DONE, EXIT_FAILED, Failure, Outcome};
use crate::memory;
use crate::pass::{self, POLICY_FAILED};
use crate::policies::Named;
use crate::sources;
use crate::ui::{self, Ui};
use crate::wiring::Setup;

/// The schema of `vigil doctor --json`.
pub(crate) const SCHEMA: &str = "vigil.doctor/1";

#[derive(Debug, Serialize)]
struct Findings {
    schema: &'static str,
    findings: Vec<Finding>,
    accounts: Vec<github::AccountReport>,
    repositories: Vec<github::RepositoryReport>,
    pauses: Vec<PauseReport>,
}

/// A pause that holds.
#[derive(Debug, Serialize)]
struct PauseReport {
    /// `None`: every source.
    source: Option<String>,
    since: String,
    until: Option<String>,
}

/// One thing that was checked.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    ok: bool,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

fn good(what: &str, detail: impl Into<String>) -> Finding {
    Finding {
        what: what.to_owned(),
        ok: true,
        detail: detail.into(),
        hint: None,
    }
}

/// Something that works, and that a person may want to change.
fn note(what: &str, detail: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding {
        ok: true,
        ..bad(what, detail, hint)
    }
}

fn bad(what: &str, detail: impl Into<String>, hint: impl Into<String>) -> Finding {
    let hint = Some(hint.into()).filter(|hint: &String| !hint.is_empty());
    Finding {
        what: what.to_owned(),
        ok: false,
        detail: detail.into(),
        hint,
    }
}

/// Runs the command.
pub(crate) async fn run(args: &DoctorArgs, setup: Setup, loaded: &Loaded, ui: Ui) -> Outcome {
    let mut findings = vec![configuration(loaded), journal(&setup), daemon(&setup)];
    findings.extend(policies(&setup));
    findings.extend(failing_policies(&setup)?);
    findings.extend(webhooks::look(&setup, args.listen));
    let (of_sources, sessions) = source_findings(&setup)?;
    findings.extend(of_sources);
    findings.extend(places::look(&setup)?);
    let (of_pauses, pauses) = pauses(&setup)?;
    findings.extend(of_pauses);
    findings.extend(stopped(&setup)?);
    findings.extend(strays(&setup));
    let looked = github::look(&setup, &sessions).await?;
    findings.extend(looked.findings);
    let ok = findings.iter().all(|finding| finding.ok);
    if ui.json {
        ui.document(&Findings {
            schema: SCHEMA,
            findings,
            accounts: looked.accounts,
            repositories: looked.repositories,
            pauses,
        })?;
    } else {
        for finding in &findings {
            let mark = match (finding.ok, &finding.hint) {
                (true, None) => ui::styled(ui::GOOD, "ok  "),
                (true, Some(_)) => ui::styled(ui::NOTICE, "note"),
                (false, _) => ui::styled(ui::ALARM, "FAIL"),
            };
            ui.line(format!("{mark} {}: {}", finding.what, finding.detail));
            if let Some(hint) = &finding.hint {
                ui.line(format!("     {}: {hint}", ui::styled(ui::NOTICE, "hint")));
            }
        }
    }
    Ok(if ok { EXIT_DONE } else { EXIT_FAILED })
}

/// Policies that failed in the latest pass that asked them. That a component loads says nothing of what it meets.
fn failing_policies(setup: &Setup) -> Result<Vec<Finding>, Failure> {
    let Some(store) = setup.store_if_any()? else {
        return Ok(Vec::new());
    };
    let open = store.open_alerts().map_err(memory::failed)?;
    let failing = open.iter().filter_map(|alert| {
        let name = alert.key.strip_prefix(POLICY_FAILED)?;
        let since = ui::moment(alert.since);
        Some(bad(
            &format!("policy {name}"),
            format!("{} (since {since})", alert.text),
            "`vigil explain SESSION` shows what it was asked; repair it, or take it out of the chain",
        ))
    });
    Ok(failing.collect())
}

fn configuration(loaded: &Loaded) -> Finding {
    let path = loaded.path.display();
    good(
        "configuration",
        if loaded.found {
            path.to_string()
        } else {
            format!("defaults ({path} is not there)")
        },
    )
}

fn journal(setup: &Setup) -> Finding {
    let dir = &setup.environment.state_dir;
    match Store::open(dir, setup.world.now()) {
        Err(error) => bad("journal", format!("{:#}", anyhow::Error::new(error)), ""),
        Ok(store) => match store.damage() {
            Ok(damage) if damage.is_empty() => good("journal", store.path().display().to_string()),
            Ok(damage) => bad(
                "journal",
                damage.join("; "),
                "move it aside; vigil starts a new one",
            ),
            Err(error) => bad("journal", format!("{:#}", anyhow::Error::new(error)), ""),
        },
    }
}

fn daemon(setup: &Setup) -> Finding {
    let dir = &setup.environment.state_dir;
    match DaemonLock::try_take(dir) {
        Ok(Some(_)) => good("daemon", "none is running here"),
        Ok(None) => match DaemonLock::holder(dir) {
            Some(pid) => good("daemon", format!("running, pid {pid}")),
            None => good("daemon", "running"),
        },
        Err(error) => bad("daemon", format!("{:#}", anyhow::Error::new(error)), ""),
    }
}

fn policies(setup: &Setup) -> Vec<Finding> {
    match setup.chain(&[]) {
        Err(failure) => vec![bad(
            "policies",
            failure.to_string(),
            failure.hints().join("; "),
        )],
        Ok((_, chain)) => chain
            .links()
            .iter()
            .map(|link| {
                let description = link.policy.description();
                let digest = link.policy.digest().get(..12).unwrap_or_default();
                let origin = match Named::of(link.policy.name()) {
                    Named::BuiltIn(..) => "built in".to_owned(),
                    Named::File(_) => format!("file {}", link.policy.name()),
                };
                good(
                    "policy",
                    format!(
                        "{} {} ({origin}, {digest})",
                        description.name, description.version
                    ),
                )
            })
            .collect(),
    }
}

/// What is said of each source, and all their sessions that are asked about.
fn source_findings(setup: &Setup) -> Result<(Vec<Finding>, Vec<Session>), Failure> {
    let mut findings = Vec::new();
    let mut all = Vec::new();
    for configured in sources::configured(&setup.config, &setup.environment, None)? {
        let what = format!("source {}", configured.source.name());
        findings.push(match configured.source.load(setup.world.as_ref()) {
            Ok(sessions) => {
                let open = sessions
                    .iter()
                    .filter(|session| !session.state.is_settled())
                    .count();
                let said = format!(
                    "{}, {open} not settled",
                    ui::count(sessions.len(), "session")
                );
                all.extend(sessions);
                good(&what, said)
            }
            Err(error) => {
                let hint = hint(&error);
                bad(&what, format!("{:#}", anyhow::Error::new(error)), hint)
            }
        });
        let is_there = findings.last().is_some_and(|finding| finding.ok);
        if let Some(told) = pass::displaced(&configured.source.displaced()) {
            findings.push(bad(&what, told, ""));
        }
        // Where a source is not there, its places are not either.
        if is_there {
            for (label, place) in configured.source.locations() {
                findings.push(good(&what, format!("{label}: {place}")));
            }
        }
    }
    Ok((findings, all))
}

/// The file that stops all writes, where it is there.
fn stopped(setup: &Setup) -> Result<Option<Finding>, Failure> {
    let file = vigil_store::stop_file(&setup.environment.state_dir).map_err(memory::failed)?;
    Ok(file.map(|file| {
        note(
            "every source",
            format!("stopped by {}: nothing is written", file.display()),
            "remove the file to let vigil write again",
        )
    }))
}

/// Processes that work with a journal which is not there any more.
fn strays(setup: &Setup) -> Option<Finding> {
    let strays = vigil_store::strays(&setup.environment.state_dir);
    let first = strays.first()?;
    Some(bad(
        "journal",
        format!(
            "{} another journal than this one, and does not see what is said to it",
            pids(&strays)
        ),
        format!("stop it with `kill {first}`; a daemon ends by itself before it writes again"),
    ))
}

/// `pid 4711 works with`, or `pids 4711, 4712 work with`.
pub(super) fn pids(pids: &[u32]) -> String {
    let list: Vec<String> = pids.iter().map(ToString::to_string).collect();
    match pids.len() {
        1 => format!("pid {} works with", list.join(", ")),
        _ => format!("pids {} work with", list.join(", ")),
    }
}

fn pauses(setup: &Setup) -> Result<(Vec<Finding>, Vec<PauseReport>), Failure> {
    let now = setup.world.now();
    let Some(store) = setup.store_if_any()? else {
        return Ok((Vec::new(), Vec::new()));
    };
    let pauses = store.pauses(now).map_err(memory::failed)?;
    let findings = pauses.iter().map(|pause| {
        let (what, resume) = match &pause.source {
            Some(source) => (format!("source {source}"), format!("vigil resume {source}")),
            None => ("every source".to_owned(), "vigil resume".to_owned()),
        };
        let until = match pause.until {
            Some(until) => format!(" until {}", ui::moment(until)),
            None => String::new(),
        };
        let since = ui::moment(pause.since);
        note(
            &what,
            format!("paused since {since}{until}: nothing is written"),
            format!("`{resume}` ends the pause"),
        )
    });
    let reports = pauses.iter().map(|pause| PauseReport {
        source: pause.source.clone(),
        since: ui::moment(pause.since),
        until: pause.until.map(ui::moment),
    });
    Ok((findings.collect(), reports.collect()))
}

/// What helps where a source could not be read.
fn hint(error: &SourceError) -> &'static str {
    match error {
        SourceError::Missing { .. } => "set its home in the configuration, or VIGILANTE_HOME",
        SourceError::Malformed { .. } => "repair the file, or put a copy back",
        SourceError::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            "run vigil as the user who runs Vigilante"
        }
        SourceError::Io { .. } => "look at the file and the folders above it",
    }
}
