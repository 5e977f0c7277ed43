//! `vigil history`: the transitions, from the journal.

use serde::Serialize;
use vigil_core::Timestamp;
use vigil_store::{Standing, Transition};

use crate::cli::HistoryArgs;
use crate::failure::{EXIT_DONE, Outcome};
use crate::memory;
use crate::report;
use crate::ui::{self, Ui};
use crate::wiring::Setup;

#[derive(Debug, Serialize)]
struct History {
    schema: &'static str,
    transitions: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    at: String,
    source: String,
    session: String,
    kind: &'static str,
    from: String,
    to: String,
    from_native: String,
    to_native: String,
    rule: String,
    policy: Option<String>,
    policy_digest: Option<String>,
    reason: String,
    outcome: &'static str,
    detail: Option<String>,
    exclusive: Option<bool>,
    undoes: Option<String>,
    undone_by: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &HistoryArgs, setup: &Setup, ui: Ui) -> Outcome {
    let limit = args.limit as usize;
    let mut transitions = Vec::new();
    if let Some(store) = setup.store_if_any()? {
        // A session that is gone from its source still has a history: match by name alone.
        let all = match &args.session {
            None => store
                .transitions(None, None, limit)
                .map_err(memory::failed)?,
            Some(name) => store
                .transitions(None, None, usize::MAX)
                .map_err(memory::failed)?
                .into_iter()
                .filter(|one| one.session.id == *name || one.session.to_string() == *name)
                .take(limit)
                .collect(),
        };
        transitions = all;
    }
    if ui.json {
        let rows = transitions.iter().map(row).collect();
        ui.document(&History {
            schema: report::HISTORY,
            transitions: rows,
        })?;
        return Ok(EXIT_DONE);
    }
    if transitions.is_empty() {
        match &args.session {
            Some(name) => ui.line(format!("No transition of {name} is in the journal.")),
            None => ui.line("No transitions yet."),
        }
        return Ok(EXIT_DONE);
    }
    let now = setup.world.now();
    ui.table(
        &["id", "when", "session", "change", "rule", "result", "why"],
        transitions.iter().map(|one| line(one, now)).collect(),
    );
    Ok(EXIT_DONE)
}

fn line(transition: &Transition, now: Timestamp) -> Vec<String> {
    let change = if transition.from == transition.to {
        format!("{} ({})", transition.from, transition.kind.as_str())
    } else {
        format!("{} -> {}", transition.from, transition.to)
    };
    let mut result = outcome(&transition.standing).to_owned();
    if let Some(by) = transition.undone_by {
        result = format!("{result}, undone by {by}");
    }
    if let Some(of) = transition.undoes {
        result = format!("{result}, undoes {of}");
    }
    if let Some(detail) = detail(&transition.standing) {
        result = format!("{result}: {detail}");
    }
    vec![
        transition.id.to_string(),
        format!("{} ago", ui::age(transition.at, now)),
        transition.session.id.clone(),
        change,
        transition.rule.clone(),
        result,
        ui::with_ages(&transition.reason, &ui::moment(now)),
    ]
}

fn row(transition: &Transition) -> Row {
    Row {
        id: transition.id.to_string(),
        at: ui::moment(transition.at),
        source: transition.session.source.clone(),
        session: transition.session.id.clone(),
        kind: transition.kind.as_str(),
        from: transition.from.to_string(),
        to: transition.to.to_string(),
        from_native: transition.native_before.clone(),
        to_native: transition.native_after.clone(),
        rule: transition.rule.clone(),
        policy: transition.policy.clone(),
        policy_digest: transition.policy_digest.clone(),
        reason: transition.reason.clone(),
        outcome: outcome(&transition.standing),
        detail: detail(&transition.standing).map(str::to_owned),
        exclusive: match transition.standing {
            Standing::Written { exclusive } => Some(exclusive),
            _ => None,
        },
        undoes: transition.undoes.map(|id| id.to_string()),
        undone_by: transition.undone_by.map(|id| id.to_string()),
    }
}

fn outcome(standing: &Standing) -> &'static str {
    match standing {
        Standing::Prepared => "prepared",
        Standing::Written { .. } => "written",
        Standing::Conflict { .. } => "conflict",
        Standing::Failed { .. } => "failed",
    }
}

fn detail(standing: &Standing) -> Option<&str> {
    match standing {
        Standing::Conflict { detail } | Standing::Failed { detail } => Some(detail),
        Standing::Prepared | Standing::Written { .. } => None,
    }
}
