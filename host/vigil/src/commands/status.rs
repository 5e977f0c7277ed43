//! `vigil status`: what is recorded, what is judged, and what could not be.

mod causes;
mod print;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use vigil_core::evidence::Context;
use vigil_core::standing::{self, Brought};
use vigil_core::{Evidence, Session, SessionId, State, Timestamp, signs};
use vigil_github::memory::LastKnown;
use vigil_store::{Alert, DaemonLock, Kind, Latest, Store};

use crate::cli::StatusArgs;
use crate::failure::{EXIT_DONE, EXIT_FAILED, Failure, Outcome};
use crate::heard::Heard;
use crate::memory;
use crate::pass::{Entry, How, Passed, REOPENED};
use crate::policies::{Loaded, REPLACED};
use crate::report::{self, AlertReport, GitHubReport, SourceReport, StatusReport, StatusSession};
use crate::sources::{self, Configured};
use crate::ui::{self, Ui};
use crate::wiring::Setup;

use super::explain::last_known;

pub(super) use print::print;

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
            // What would move is what a pass would move.
            confirm: true,
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
    let looked: HashMap<&SessionId, Looked<'_>> = passed
        .batches
        .iter()
        .flat_map(|batch| {
            batch.entries.iter().map(|entry| Looked {
                entry,
                context: &batch.context,
                last_known: reconciler
                    .last_known(&entry.evidence.session.lookup, batch.context.now),
            })
        })
        .map(|looked| (&looked.entry.evidence.session.id, looked))
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

/// What a running daemon judges with and its files do not hold any more, by the policy's name.
fn replaced(setup: &Setup, store: Option<&Store>) -> Result<BTreeMap<String, String>, Failure> {
    let running = DaemonLock::holder(&setup.environment.state_dir).filter(|pid| is_alive(*pid));
    let (Some(store), Some(pid)) = (store, running) else {
        return Ok(BTreeMap::new());
    };
    let loaded = Loaded::recall(store, &setup.place()?.host, pid)?;
    Ok(loaded.map(|loaded| loaded.replaced()).unwrap_or_default())
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

/// A session that was looked at just now.
struct Looked<'a> {
    entry: &'a Entry,
    context: &'a Context,
    last_known: LastKnown,
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
    looked: &HashMap<&SessionId, Looked<'_>>,
) -> Result<StatusReport, Failure> {
    let now = setup.world.now();
    let one_account = setup.config.github.asks_with_one_account();
    let mut alerts = Vec::new();
    let mut paused = Vec::new();
    if let Some(store) = store {
        alerts = store.open_alerts().map_err(memory::failed)?;
        paused = store.pauses(now).map_err(memory::failed)?;
    }
    let mut alerts: Vec<AlertReport> = alerts
        .into_iter()
        .filter(|alert| !is_over(alert, read, passed, one_account))
        .filter(|alert| !store.is_some_and(|store| was_undone(alert, store)))
        .map(|alert| AlertReport {
            key: alert.key,
            text: alert.text,
            since: ui::moment(alert.since),
        })
        .collect();
    // Trouble of this very look, which no pass has raised as an alert yet.
    if let Some(trouble) = passed.and_then(|passed| passed.github.trouble.as_ref())
        && !alerts
            .iter()
            .any(|alert| alert.key == format!("github-{}", trouble.code))
    {
        alerts.push(AlertReport {
            key: "github".to_owned(),
            text: trouble.detail.clone(),
            since: ui::moment(now),
        });
    }
    // The daemon's own alert says since when; what it has not told yet, and what ended with it, is seen here.
    let mut replaced = replaced(setup, store)?;
    alerts.retain(|alert| match alert.key.strip_prefix(REPLACED) {
        Some(name) => replaced.remove(name).is_some(),
        None => true,
    });
    alerts.extend(replaced.into_iter().map(|(name, text)| AlertReport {
        key: format!("{REPLACED}{name}"),
        text,
        since: ui::moment(now),
    }));
    let sessions = read
        .iter()
        .flat_map(|one| one.sessions.iter().map(move |session| (one, session)))
        .map(|(one, session)| match looked.get(&session.id) {
            Some(looked) => judged(looked, session),
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
                locked: passed
                    .and_then(|passed| passed.locked(one.configured.source.name()))
                    .map(str::to_owned),
            })
            .collect(),
        paused: paused
            .into_iter()
            .map(|pause| pause.source.unwrap_or_else(|| "every source".to_owned()))
            .collect(),
        stopped: vigil_store::stop_file(&setup.environment.state_dir)
            .map_err(memory::failed)?
            .map(|file| file.display().to_string()),
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
        webhooks: match store {
            Some(store) => Heard::recall(store, &setup.place()?.host)?,
            None => None,
        }
        .as_ref()
        .map(Heard::report),
    })
}

/// Whether this very look shows that an alert is over. The next pass ends it, and tells so; until then it would only
/// contradict what stands beside it.
///
/// A look asks about some sessions alone. Where there is more than one account (`one_account` is false), that it was
/// answered says nothing of the account that the alert is about.
/// A person has done what the alert about a reopened session names; the next pass ends it.
fn was_undone(alert: &Alert, store: &Store) -> bool {
    let session = alert.key.strip_prefix(REOPENED);
    let named = session.and_then(|session| session.split_once(':'));
    named.is_some_and(|(source, id)| {
        let last = store.last_written(&SessionId::new(source, id));
        matches!(last, Ok(Some(last)) if last.kind == Kind::Undo)
    })
}

fn is_over(alert: &Alert, read: &[Read], passed: Option<&Passed>, one_account: bool) -> bool {
    let Some(passed) = passed else {
        return false;
    };
    if let Some(name) = alert.key.strip_prefix("source-") {
        return read
            .iter()
            .any(|one| one.configured.source.name() == name && one.error.is_none());
    }
    let Some(code) = alert.key.strip_prefix("github-") else {
        return false;
    };
    if !one_account {
        return false;
    }
    let github = &passed.github;
    match &github.trouble {
        Some(trouble) => trouble.code != code,
        // Where nothing had to be asked, nobody knows whether it would have been answered.
        None => github.requests + github.rest_requests > 0,
    }
}

/// A session that was looked at just now. `recorded` is its record after the look.
fn judged(looked: &Looked<'_>, recorded: &Session) -> StatusSession {
    let Looked {
        entry,
        context,
        last_known,
    } = looked;
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
        reason_from: Some(entry.origin()),
        reason_at: Some(ui::moment(context.now)),
        evidence_age_s: oldest.map(|at| report::age_s(at, context.now)),
        gaps: report::gaps(&entry.evidence),
        last_known: last_known::report(&entry.evidence, last_known, context.now),
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

/// Whether the latest look, young enough to count, saw the session alive: its process, or a write. `evidence`: what that
/// look rested on.
fn was_alive<'e>(
    row: &Latest,
    context: &Context,
    evidence: impl FnOnce() -> Option<&'e Evidence>,
) -> bool {
    let young = u128::from(context.source.fresh_for_ms);
    if row.last_at.age(context.now).as_millis() >= young {
        return false;
    }
    evidence().is_some_and(|evidence| {
        let then = Context {
            now: row.last_at,
            ..context.clone()
        };
        signs::alive(&evidence.session, &then)
    })
}

/// What the latest decision about a session rested on; `None`: nobody kept it.
fn latest_evidence(session: &SessionId, store: Option<&Store>) -> Option<Evidence> {
    let store = store?;
    let row = store.latest(session).ok().flatten()?;
    store.evidence(&row.latest_evidence).ok().flatten()
}

/// The latest write of vigil's to a session; `None`: the journal has none.
fn brought(session: &Session, store: &Store) -> Option<Brought> {
    let last = store.last_written(&session.id).ok().flatten()?;
    let written = store.transition(last.id).ok().flatten()?;
    Some(Brought {
        name: written.id.to_string(),
        to: written.to,
        rule: written.rule,
        reason: written.reason,
        // Nobody asks any more whether they do.
        grounds_stand: true,
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
    let read = OnceCell::new();
    let evidence = || {
        read.get_or_init(|| latest_evidence(&session.id, store))
            .as_ref()
    };
    let stale_since = signs::stale_since(session, context)
        .filter(|_| !row.is_some_and(|row| was_alive(row, context, evidence)));
    let judged_state = match row {
        Some(row) if row.to != State::Running || stale_since.is_none() => Some(row.to),
        _ => session.state.is_settled().then_some(session.state),
    };
    // Why it could not be judged. For the others nobody asks, and reading the evidence of each would take its time.
    let gaps = match (row, judged_state) {
        (Some(_), None) => evidence().map_or_else(Vec::new, report::gaps),
        _ => Vec::new(),
    };
    let (rule, reason, reason_from) = match row {
        Some(row) => (
            Some(row.rule.clone()),
            Some(row.reason.clone()),
            Some(row.reason_from),
        ),
        // Nobody looks at it any more, and what was judged of it is not kept as long as what was written.
        None if session.state.is_settled() => {
            let brought = store.and_then(|store| brought(session, store));
            let said = standing::of_record(session, brought.as_ref());
            (Some(said.rule), Some(said.reason), Some(said.origin))
        }
        None => (None, None, None),
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
        rule,
        reason,
        reason_from,
        reason_at: row.map(|row| ui::moment(row.first_at)),
        evidence_age_s: row.map(|row| report::age_s(row.last_at, context.now)),
        gaps,
        last_known: Vec::new(),
    }
}
