//! The way back: an issue that is reopened after vigil has settled its session. vigil's marks keep Vigilante off it; it
//! says so, and how to take them back; and once a person has, Vigilante works on it, and vigil lets it.

use std::path::Path;

use anyhow::{Context as _, Result};
use vigil::demo::Made;
use vigil::report::Outcome;

use crate::keeps::two_scans;
use crate::stage::{Issue, Programs, Pull, Stage, Told, ago, of_issue};
use crate::trial::NUMBER;

/// Tries it. What is not as it must be comes back.
pub(crate) fn findings(programs: &Programs, dir: &Path) -> Result<Vec<String>> {
    let told = |number, issue, pull, made| Told {
        made: Made {
            issue: number,
            ..made
        },
        issue,
        pull,
        label: Some("vigilante:running"),
        pull_ended: ago::PULL_ENDED,
        head_known: true,
    };
    let waiting = Made {
        status: "blocked",
        ..Made::default()
    };
    let both = [
        told(NUMBER, Issue::Closed, Pull::Merged, Made::default()),
        // Somebody else's work, for whose sake the repository is looked at.
        told(NUMBER + 1, Issue::Open, Pull::None, waiting),
    ];
    let stage = Stage::set(programs, dir, &both, false)?;
    let mut findings = Vec::new();
    let mut expect = |holds: bool, what: String| {
        if !holds {
            findings.push(format!("reopened: {what}"));
        }
    };
    let report = stage.vigil()?;
    let settled = of_issue(&report, NUMBER)?;
    expect(
        settled.to_native == "success",
        format!("vigil wrote {} and not success", settled.to_native),
    );
    let transition = settled
        .transition_id
        .clone()
        .context("vigil settled nothing")?;
    two_scans(&stage)?;
    stage.reopen(NUMBER)?;
    stage.vigil()?;
    two_scans(&stage)?;
    let agents = stage.agents()?;
    expect(agents == 0, format!("{agents} agents after the reopening"));
    let status = stage.vigil_says(&["status"])?;
    let alerts = status["alerts"].as_array().cloned().unwrap_or_default();
    let names_undo = alerts.iter().any(|alert| {
        alert["text"]
            .as_str()
            .is_some_and(|text| text.contains(&format!("`vigil undo {transition}`")))
    });
    expect(
        names_undo,
        format!("status does not name the undo: {alerts:?}"),
    );

    stage.vigil_says(&["undo", &transition])?;
    let report = stage.vigil()?;
    let undone = of_issue(&report, NUMBER)?;
    expect(
        undone.outcome == Outcome::Refused,
        format!(
            "after the undo vigil did not let it be: {:?}",
            undone.outcome
        ),
    );
    two_scans(&stage)?;
    let agents = stage.agents()?;
    expect(agents > 0, "no agent after the undo".to_owned());
    let report = stage.vigil()?;
    let repeated = report
        .sessions
        .iter()
        .any(|one| one.id.ends_with(&format!("#{NUMBER}")) && one.outcome == Outcome::Transitioned);
    expect(!repeated, "the move was repeated".to_owned());
    println!(
        "reopened after vigil settled it: no agent, and told; after the undo {agents} agent runs in two scans, and the \
         move is not repeated"
    );
    Ok(findings)
}
