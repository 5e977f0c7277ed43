//! `vigil status`: what is recorded, what is judged, and what could not be.

use std::collections::{BTreeSet, HashMap};

use vigil_core::evidence::Context;
use vigil_core::{Session, SessionId, State, Timestamp, signs};
use vigil_store::{Latest, Store};

use crate::cli::StatusArgs;
use crate::failure::{EXIT_DONE, EXIT_FAILED, Failure, Outcome};
use crate::memory;
use crate::pass::{Entry, How, Passed};
use crate::report::{
    self, AlertReport, BudgetReport, GitHubReport, PotReport, SourceReport, StatusReport,
    StatusSession,
};
use crate::sources::{self, Configured};
use crate::ui::{self, Ui};
use crate::wiring::Setup;

/// Runs the command.
pub(crate) async fn run(args: &StatusArgs, setup: Setup, ui: Ui) -> Outcome {
    let (report, failed) = look(args, &setup).await?;
    if ui.json {
        ui.document(&report)?;
    } else {
        print(&report, args.all, ui);
    }
    Ok(if failed { EXIT_FAILED } else { EXIT_DONE })
}

/// What is true now, and whether a source or a write failed.
pub(super) async fn look(
    args: &StatusArgs,
    setup: &Setup,
) -> Result<(StatusReport, bool), Failure> {
    let (report, failed) = if args.offline {
        (offline(args, setup)?, false)
    } else {
        online(args, setup).await?
    };
    let failed = failed || report.sources.iter().any(|source| source.error.is_some());
    Ok((report, failed))
}

/// A source as its records tell, without a look at the machine.
struct Read {
    configured: Configured,
    sessions: Vec<Session>,
    error: Option<String>,
    context: Context,
    journal: HashMap<SessionId, Latest>,
}

fn read(args: &StatusArgs, setup: &Setup, store: Option<&Store>) -> Result<Vec<Read>, Failure> {
    let now = setup.world.now();
    let mark = match store {
        Some(store) => store.mark().map_err(memory::failed)?,
        None => None,
    };
    let mut all = Vec::new();
    for configured in
        sources::configured(&setup.config, &setup.environment, args.source.as_deref())?
    {
        let (sessions, error) = match configured.source.load(setup.world.as_ref()) {
            Ok(sessions) => (sessions, None),
            Err(error) => (Vec::new(), Some(format!("{:#}", anyhow::Error::new(error)))),
        };
        let journal = match store {
            Some(store) => store
                .latest_of(configured.source.name())
                .map_err(memory::failed)?,
            None => HashMap::new(),
        };
        let context = Context {
            now,
            booted_at: setup.world.booted_at(),
            awake_since: mark.as_ref().and_then(|mark| mark.awake_since),
            source: configured.facts.clone(),
        };
        all.push(Read {
            configured,
            sessions,
            error,
            context,
            journal,
        });
    }
    Ok(all)
}

fn offline(args: &StatusArgs, setup: &Setup) -> Result<StatusReport, Failure> {
    let store = setup.store_if_any()?;
    let read = read(args, setup, store.as_ref())?;
    report(args, setup, store.as_ref(), &read, None, &HashMap::new())
}

async fn online(args: &StatusArgs, setup: &Setup) -> Result<(StatusReport, bool), Failure> {
    let (_engine, chain) = setup.chain(&args.chain.policies)?;
    let mut reconciler = setup.reconciler(chain, args.source.as_deref())?;
    let before = read(args, setup, Some(&reconciler.store))?;
    let how = if args.reconcile {
        How {
            dry_run: false,
            confirm: true,
            ..How::look()
        }
    } else {
        How {
            only: Some(doubtful(&before)),
            ..How::look()
        }
    };
    let passed = reconciler.pass(&how).await?;
    // What was just written is what is recorded now.
    let read = if args.reconcile {
        read(args, setup, Some(&reconciler.store))?
    } else {
        before
    };
    let looked: HashMap<&SessionId, (&Entry, &Context)> = passed
        .batches
        .iter()
        .flat_map(|batch| {
            batch
                .entries
                .iter()
                .map(move |entry| (entry, &batch.context))
        })
        .map(|(entry, context)| (&entry.evidence.session.id, (entry, context)))
        .collect();
    let failed = passed.trouble.is_some() || args.reconcile && passed.failed();
    let report = report(
        args,
        setup,
        Some(&reconciler.store),
        &read,
        Some(&passed),
        &looked,
    )?;
    Ok((report, failed))
}

/// The sessions that must be looked at before anything is said about them: those that look stale, and those that
/// nobody ever judged in the state that they are in.
fn doubtful(read: &[Read]) -> BTreeSet<SessionId> {
    read.iter()
        .flat_map(|one| {
            one.sessions.iter().filter(|session| {
                !session.state.is_settled()
                    && (signs::stale_since(session, &one.context).is_some()
                        || one
                            .journal
                            .get(&session.id)
                            .is_none_or(|row| row.to != session.state))
            })
        })
        .map(|session| session.id.clone())
        .collect()
}

fn report(
    args: &StatusArgs,
    setup: &Setup,
    store: Option<&Store>,
    read: &[Read],
    passed: Option<&Passed>,
    looked: &HashMap<&SessionId, (&Entry, &Context)>,
) -> Result<StatusReport, Failure> {
    let now = setup.world.now();
    let mut alerts = Vec::new();
    let mut paused = Vec::new();
    if let Some(store) = store {
        alerts = store.open_alerts().map_err(memory::failed)?;
        paused = store.pauses(now).map_err(memory::failed)?;
    }
    let mut alerts: Vec<AlertReport> = alerts
        .into_iter()
        .map(|alert| AlertReport {
            key: alert.key,
            text: alert.text,
            since: ui::moment(alert.since),
        })
        .collect();
    // Trouble of this very look, which no pass has raised as an alert yet.
    if let Some(trouble) = passed.and_then(|passed| passed.trouble.as_ref())
        && !alerts.iter().any(|alert| alert.text == *trouble)
    {
        alerts.push(AlertReport {
            key: "github".to_owned(),
            text: trouble.clone(),
            since: ui::moment(now),
        });
    }
    let sessions = read
        .iter()
        .flat_map(|one| one.sessions.iter().map(move |session| (one, session)))
        .map(|(one, session)| match looked.get(&session.id) {
            Some((entry, context)) => judged(entry, context, session),
            None => remembered(session, one.journal.get(&session.id), &one.context, store),
        })
        .collect();
    Ok(StatusReport {
        schema: report::STATUS.to_owned(),
        now: ui::moment(now),
        offline: args.offline,
        sources: read
            .iter()
            .map(|one| SourceReport {
                name: one.configured.source.name().to_owned(),
                kind: one.configured.source.kind().to_owned(),
                error: one.error.clone(),
            })
            .collect(),
        paused: paused
            .into_iter()
            .map(|pause| pause.source.unwrap_or_else(|| "every source".to_owned()))
            .collect(),
        alerts,
        sessions,
        github: passed.map_or_else(GitHubReport::default, |passed| passed.github.clone()),
        budget: match store {
            Some(store) => crate::budget::report(
                store,
                &setup.place()?.host,
                setup.shares(),
                setup.config.run.interval.0,
                now,
            )?,
            None => Vec::new(),
        },
    })
}

/// A session that was looked at just now. `recorded` is its record after the look.
fn judged(entry: &Entry, context: &Context, recorded: &Session) -> StatusSession {
    let seen = &entry.evidence.session;
    let ruling = entry.ruling.as_ref();
    let stale_since = if recorded.state == State::Running {
        signs::stale_since(seen, context)
    } else {
        None
    };
    let pr = entry
        .evidence
        .pull_request
        .found()
        .map(|pr| pr.number)
        .or(recorded.pull_request);
    let observed = [
        entry.evidence.issue.found().map(|issue| issue.observed),
        entry.evidence.pull_request.found().map(|pr| pr.observed),
    ];
    // Nothing was learned: then there is no evidence whose age could be told.
    let oldest = observed.into_iter().flatten().min();
    StatusSession {
        source: recorded.id.source.clone(),
        id: recorded.id.id.clone(),
        repo: recorded.repo.clone(),
        issue: recorded.issue,
        pr,
        recorded_state: recorded.state,
        judged_state: judged_state(ruling, seen.state, stale_since),
        native_state: recorded.native_state.clone(),
        stale: stale_since.is_some(),
        stale_since: stale_since.map(ui::moment),
        outcome: entry.outcome,
        rule: ruling.map(|ruling| ruling.rule.clone()),
        reason: Some(entry.reason()),
        evidence_age_s: oldest.map(|at| report::age_s(at, context.now)),
        gaps: report::gaps(&entry.evidence),
    }
}

/// What the chain and the guards say. `running` is never said on stale evidence: then it is unknown.
fn judged_state(
    ruling: Option<&vigil_core::decide::Ruling>,
    from: State,
    stale_since: Option<Timestamp>,
) -> Option<State> {
    let judged = ruling?.state_after(from);
    (judged != State::Running || stale_since.is_none()).then_some(judged)
}

/// Whether the latest look, young enough to count, saw the session alive: its process, or a write.
fn was_alive(session: &SessionId, row: &Latest, context: &Context, store: Option<&Store>) -> bool {
    let young = u128::from(context.source.fresh_for_ms);
    if row.last_at.age(context.now).as_millis() >= young {
        return false;
    }
    let evidence = store.and_then(|store| {
        let full = store.latest(session).ok().flatten()?;
        store.evidence(&full.latest_evidence).ok().flatten()
    });
    evidence.is_some_and(|evidence| {
        let then = Context {
            now: row.last_at,
            ..context.clone()
        };
        signs::alive(&evidence.session, &then)
    })
}

/// A session that nobody looked at just now, as the journal has it.
fn remembered(
    session: &Session,
    row: Option<&Latest>,
    context: &Context,
    store: Option<&Store>,
) -> StatusSession {
    // The row speaks of this record only while the record is in the state that the row left: the one before, where
    // nothing could be written.
    let row = row.filter(|row| {
        let unwritten = row.outcome == report::Outcome::WouldTransition.as_str();
        session.state == if unwritten { row.from } else { row.to }
    });
    let stale_since = signs::stale_since(session, context)
        .filter(|_| !row.is_some_and(|row| was_alive(&session.id, row, context, store)));
    let judged_state = match row {
        Some(row) if row.to != State::Running || stale_since.is_none() => Some(row.to),
        _ => session.state.is_settled().then_some(session.state),
    };
    StatusSession {
        source: session.id.source.clone(),
        id: session.id.id.clone(),
        repo: session.repo.clone(),
        issue: session.issue,
        pr: session.pull_request,
        recorded_state: session.state,
        judged_state,
        native_state: session.native_state.clone(),
        stale: stale_since.is_some(),
        stale_since: stale_since.map(ui::moment),
        outcome: row
            .and_then(|row| serde_json::from_value(row.outcome.as_str().into()).ok())
            .unwrap_or(report::Outcome::Held),
        rule: row.map(|row| row.rule.clone()),
        reason: row.map(|row| row.reason.clone()),
        evidence_age_s: row.map(|row| report::age_s(row.last_at, context.now)),
        gaps: Vec::new(),
    }
}

/// What a person reads.
pub(super) fn print(report: &StatusReport, all: bool, ui: Ui) {
    for source in &report.sources {
        if let Some(error) = &source.error {
            ui.line(format!(
                "{} {}: {error}",
                ui::styled(ui::ALARM, "source failed"),
                source.name
            ));
        }
    }
    for alert in &report.alerts {
        ui.line(format!(
            "{} {} (since {})",
            ui::styled(ui::ALARM, "alert"),
            alert.text,
            alert.since
        ));
    }
    for source in &report.paused {
        ui.line(format!(
            "{} vigil writes nothing to {source}",
            ui::styled(ui::NOTICE, "paused")
        ));
    }
    let unjudged: Vec<&StatusSession> = report
        .sessions
        .iter()
        .filter(|session| session.judged_state.is_none())
        .collect();
    if !unjudged.is_empty() {
        ui.heading(format!(
            "{} could not be judged",
            ui::count(unjudged.len(), "session")
        ));
        for session in &unjudged {
            let why = match session.gaps.first() {
                Some(gap) => format!("{} unknown: {}", gap.fact, gap.detail),
                None => session
                    .reason
                    .clone()
                    .unwrap_or_else(|| "nobody has looked yet".to_owned()),
            };
            ui.said(format!("  {}  {why}", session.id));
        }
        ui.line("");
    }
    if report.sessions.is_empty() {
        ui.line("No sessions.");
        return;
    }
    let shown: Vec<&StatusSession> = report
        .sessions
        .iter()
        .filter(|session| all || !session.recorded_state.is_settled())
        .collect();
    let heads = [
        "session", "recorded", "judged", "", "rule", "evidence", "why",
    ];
    if !shown.is_empty() {
        ui.table(&heads, shown.iter().map(|session| row(session)).collect());
    }
    let differ = report
        .sessions
        .iter()
        .filter(|session| {
            session
                .judged_state
                .is_some_and(|judged| judged != session.recorded_state)
        })
        .count();
    let stale = report
        .sessions
        .iter()
        .filter(|session| session.stale)
        .count();
    let mut summary = format!(
        "{}; {stale} stale, {differ} not as recorded",
        ui::count(report.sessions.len(), "session")
    );
    if differ > 0 {
        summary.push_str("; `vigil run --once` puts them right");
    }
    let hidden = report.sessions.len() - shown.len();
    if hidden > 0 {
        summary.push_str(&format!("; {hidden} settled (--all shows them)"));
    }
    ui.line(summary);
    for account in &report.budget {
        ui.line(budget(account));
    }
}

/// What may still be asked of GitHub, in one line.
fn budget(account: &BudgetReport) -> String {
    let pot = |pot: &PotReport, what: &str| {
        let number = |number: Option<u64>| {
            number.map_or_else(|| "unknown".to_owned(), |number| number.to_string())
        };
        let reset = pot
            .reset
            .as_ref()
            .map_or_else(String::new, |reset| format!(", filled again at {reset}"));
        match pot.limit {
            None => format!("{what}: no limit told, {} taken", pot.spent),
            Some(limit) => format!(
                "{what}: {} of {limit} left, vigil took {} and may take {}{reset}",
                number(pot.remaining),
                pot.spent,
                number(pot.share_left)
            ),
        }
    };
    let mut text = format!(
        "GitHub ({}): {}; {}",
        account.account,
        pot(&account.points, "points"),
        pot(&account.rest_requests, "REST requests")
    );
    if account.postponed > 0 {
        text.push_str(&format!("; {} questions put off", account.postponed));
    }
    if let (Some(until), Some(why)) = (&account.silent_until, &account.silent_because) {
        text.push_str(&format!("; silent until {until}: {why}"));
    }
    text
}

fn row(session: &StatusSession) -> Vec<String> {
    let judged = session
        .judged_state
        .map_or_else(|| "unknown".to_owned(), |state| state.to_string());
    let mark = match (session.stale, session.judged_state) {
        (_, Some(judged)) if judged != session.recorded_state => "differs",
        (true, _) => "stale",
        _ => "",
    };
    vec![
        session.id.clone(),
        format!("{} ({})", session.recorded_state, session.native_state),
        judged,
        mark.to_owned(),
        session.rule.clone().unwrap_or_default(),
        session.evidence_age_s.map_or_else(
            || "none".to_owned(),
            |age| ui::span_ms(u128::from(age) * 1000),
        ),
        session.reason.clone().unwrap_or_default(),
    ]
}
