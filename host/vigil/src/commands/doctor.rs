//! `vigil doctor`: does vigil have what it needs?

use serde::Serialize;
use vigil_github::Account;
use vigil_store::{DaemonLock, Store};

use crate::config::Loaded;
use crate::failure::{EXIT_DONE, EXIT_FAILED, Outcome};
use crate::sources;
use crate::ui::{self, Ui};
use crate::wiring::Setup;

/// The schema of `vigil doctor --json`.
pub(crate) const SCHEMA: &str = "vigil.doctor/1";

#[derive(Debug, Serialize)]
struct Findings {
    schema: &'static str,
    findings: Vec<Finding>,
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
pub(crate) async fn run(setup: Setup, loaded: &Loaded, ui: Ui) -> Outcome {
    let mut findings = vec![
        configuration(loaded),
        journal(&setup),
        daemon(&setup),
        git(),
    ];
    findings.extend(policies(&setup));
    findings.extend(source_findings(&setup)?);
    findings.extend(github(&setup).await?);
    let ok = findings.iter().all(|finding| finding.ok);
    if ui.json {
        ui.document(&Findings {
            schema: SCHEMA,
            findings,
        })?;
    } else {
        for finding in &findings {
            let mark = if finding.ok {
                ui::styled(ui::GOOD, "ok  ")
            } else {
                ui::styled(ui::ALARM, "FAIL")
            };
            ui.line(format!("{mark} {}: {}", finding.what, finding.detail));
            if let Some(hint) = &finding.hint {
                ui.line(format!("     {}: {hint}", ui::styled(ui::NOTICE, "hint")));
            }
        }
    }
    Ok(if ok { EXIT_DONE } else { EXIT_FAILED })
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

fn git() -> Finding {
    let output = std::process::Command::new("git").arg("--version").output();
    match output {
        Ok(output) if output.status.success() => good(
            "git",
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        ),
        Ok(output) => bad(
            "git",
            format!("git --version ended with {}", output.status),
            "install git",
        ),
        Err(error) => bad(
            "git",
            format!("{error}"),
            "install git; without it nobody can tell whether a worktree holds unsaved work",
        ),
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
                good(
                    "policy",
                    format!("{} {} ({digest})", description.name, description.version),
                )
            })
            .collect(),
    }
}

fn source_findings(setup: &Setup) -> Result<Vec<Finding>, crate::failure::Failure> {
    let mut findings = Vec::new();
    for configured in sources::configured(&setup.config, &setup.environment, None)? {
        let what = format!("source {}", configured.source.name());
        findings.push(match configured.source.load(setup.world.as_ref()) {
            Ok(sessions) => {
                let open = sessions
                    .iter()
                    .filter(|session| !session.state.is_settled())
                    .count();
                good(
                    &what,
                    format!(
                        "{}, {open} not settled",
                        ui::count(sessions.len(), "session")
                    ),
                )
            }
            Err(error) => bad(
                &what,
                format!("{:#}", anyhow::Error::new(error)),
                "set its home in the configuration, or VIGILANTE_HOME",
            ),
        });
        // Where a source is not there, its places are not either.
        if findings.last().is_some_and(|finding| finding.ok) {
            for (label, place) in configured.source.locations() {
                findings.push(good(&what, format!("{label}: {place}")));
            }
        }
    }
    Ok(findings)
}

async fn github(setup: &Setup) -> Result<Vec<Finding>, crate::failure::Failure> {
    let github = setup.github()?;
    let now = setup.world.now();
    let check = match github.check(&Account::usual(), now, DEADLINE).await {
        Ok(check) => check,
        Err(trouble) => {
            let hint = trouble.hint().unwrap_or_default();
            return Ok(vec![bad("GitHub", trouble.to_string(), hint)]);
        }
    };
    let meter = |meter: &vigil_github::Meter| match (meter.remaining, meter.limit) {
        (Some(remaining), Some(limit)) => format!("{remaining} of {limit} left"),
        _ => "no figure given".to_owned(),
    };
    let mut findings = vec![
        good("GitHub", format!("token from {}", check.origin)),
        good(
            "GitHub",
            format!(
                "GraphQL points: {}; REST requests: {}",
                meter(&check.graphql),
                meter(&check.rest)
            ),
        ),
    ];
    findings.push(clock(check.ahead_ms));
    Ok(findings)
}

/// A person waits for it.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

/// A clock that is off by more than this makes young facts look old.
const SKEW_MS_MAX: u64 = 60_000;

fn clock(skew_ms: Option<i64>) -> Finding {
    match skew_ms {
        None => good("clock", "GitHub did not say what time it is"),
        Some(skew) if skew.unsigned_abs() <= SKEW_MS_MAX => {
            good("clock", format!("{} s from GitHub's", skew / 1000))
        }
        Some(skew) => bad(
            "clock",
            format!("{} s from GitHub's", skew / 1000),
            "set the clock; check that NTP runs",
        ),
    }
}
