//! `vigil run`: one pass, or a pass every interval until it is told to stop.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use vigil_core::Timestamp;
use vigil_store::{DaemonLock, Retention};

use crate::cli::RunArgs;
use crate::config::Config;
use crate::failure::{EXIT_DONE, EXIT_FAILED, Failure, Outcome};
use crate::memory;
use crate::pass::{How, Passed, Reconciler};
use crate::report::{GitHubReport, Outcome as Result_, PlannedReport, RunReport, SessionReport};
use crate::ui::{self, Ui};
use crate::webhooks::{self, Counts, Inbox, Listening, coalesce};
use crate::wiring::Setup;

/// How long a pass may go on after a signal to stop: writing takes a second, and service managers wait for 90.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Old journal rows go every so many passes: once an hour at a minute's interval.
const PASSES_PER_PRUNE: u64 = 60;

/// Runs the command.
pub(crate) async fn run(args: &RunArgs, mut setup: Setup, ui: Ui) -> Outcome {
    if let Some(interval) = args.interval {
        if interval < crate::config::INTERVAL_MIN {
            return Err(
                Failure::request(format!("--interval {interval} is under 5 s"))
                    .hint("GitHub asks for no more than it can answer: use 30s or more"),
            );
        }
        setup.config.run.interval = interval;
    }
    let (_engine, chain) = setup.chain(&args.chain.policies)?;
    let only = args.source.as_deref();
    let mut reconciler = if args.dry_run {
        setup.looker(chain, only)?
    } else {
        setup.reconciler(chain, only)?
    };
    if args.once || args.dry_run {
        once(args, &mut reconciler, &setup, ui).await
    } else {
        daemon(&mut reconciler, &setup, args.listen, ui).await
    }
}

async fn once(args: &RunArgs, reconciler: &mut Reconciler, setup: &Setup, ui: Ui) -> Outcome {
    let how = How {
        dry_run: args.dry_run,
        keep_facts: !args.dry_run,
        ..How::once()
    };
    let bar = progress_bar(ui);
    let shown = bar.clone();
    reconciler.asking.progress = Some(Arc::new(move |done, total| {
        shown.set_length(total);
        shown.set_position(done);
    }));
    let passed = reconciler.pass(&how).await;
    bar.finish_and_clear();
    let passed = passed?;
    if !args.dry_run {
        prune(reconciler, &setup.config)?;
    }
    let report = passed.report(args.dry_run, setup.world.now());
    if ui.json {
        ui.document(&report)?;
    } else {
        print(&report, &passed, ui);
    }
    Ok(if passed.failed() {
        EXIT_FAILED
    } else {
        EXIT_DONE
    })
}

async fn daemon(
    reconciler: &mut Reconciler,
    setup: &Setup,
    listen: Option<SocketAddr>,
    ui: Ui,
) -> Outcome {
    let dir = &setup.environment.state_dir;
    let Some(_lock) = DaemonLock::try_take(dir).map_err(memory::failed)? else {
        let holder =
            DaemonLock::holder(dir).map_or_else(String::new, |pid| format!(" (pid {pid})"));
        return Err(Failure::request(format!(
            "another vigil run already watches {}{holder}",
            dir.display()
        ))
        .hint("stop it, or make one pass beside it with `vigil run --once`"));
    };
    let mut stop = Stop::listen()?;
    let mut doorbell = Doorbell::new(listen, setup).await?;
    // Where GitHub tells what happens, it is asked about the rest only now and then.
    reconciler.asking.resync = listen.map(|_| setup.config.webhooks.resync.0);
    let interval = setup.config.run.interval.0;
    tracing::info!(interval = %humantime::format_duration(interval), sources = reconciler.sources.len(), "watching");
    let mut how = How::watch();
    let mut trouble = None;
    for number in 0_u64.. {
        let started = setup.world.now();
        let mut behind = false;
        let Some(passed) = stop.during(reconciler.pass(&how)).await else {
            // The next start finds what was left and puts it right, as after a crash.
            let _ = reconciler.store.release(&reconciler.holder);
            doorbell.close().await;
            tracing::info!("stopped in the middle of a pass");
            return Ok(EXIT_DONE);
        };
        match passed {
            Ok(passed) => {
                log(&passed, setup.world.now());
                behind = passed.batches.iter().any(|batch| batch.behind);
                // Told when it changes, and by every daemon that starts into it: an alert is raised only once.
                if passed.trouble != trouble {
                    trouble.clone_from(&passed.trouble);
                    match &trouble {
                        Some(why) => tracing::warn!(why, "GitHub could not be asked"),
                        None => tracing::info!("GitHub answers again"),
                    }
                }
                if ui.json {
                    ui.document(&passed.report(false, setup.world.now()))?;
                }
            }
            // A full disk or a busy journal may pass; nothing was written without its row.
            Err(failure) => tracing::error!(%failure, "pass failed; the next one tries again"),
        }
        if number % PASSES_PER_PRUNE == 0
            && let Err(failure) = prune(reconciler, &setup.config)
        {
            tracing::error!(%failure, "old rows stay for now");
        }
        // A pass that took longer than the interval is followed by the next at once; only what comes after the sleep
        // later than the sleep was meant to last was held up. A clock that was set back makes no sleep longer.
        let ended = setup.world.now();
        let left = match behind {
            // The rest of a fleet that does not fit into one pass waits no longer than it has to.
            true => Duration::ZERO,
            false => interval.saturating_sub(started.age(ended)),
        };
        let mut due = pin!(tokio::time::sleep(left));
        let overslept = loop {
            tokio::select! {
                biased;
                () = stop.told() => {
                    doorbell.close().await;
                    tracing::info!("stopped");
                    return Ok(EXIT_DONE);
                }
                () = &mut due => break ended.after(left).age(setup.world.now()),
                () = doorbell.inbox.woken() => {
                    let now = setup.world.now();
                    let rest = left.saturating_sub(ended.age(now));
                    let others = coalesce::wait(started.age(now), rest);
                    // Nobody planned the pass that follows, so that it cannot come late.
                    if !stop.within(others).await && doorbell.answer(reconciler) {
                        break Duration::ZERO;
                    }
                }
            }
        };
        doorbell.answer(reconciler);
        doorbell.tell();
        how = How {
            overslept,
            ..How::watch()
        };
    }
    Ok(EXIT_DONE)
}

/// Webhooks, where they are listened for; otherwise nobody ever rings.
struct Doorbell {
    inbox: Inbox,
    listening: Option<Listening>,
    /// What was told in the log.
    told: Counts,
}

impl Doorbell {
    async fn new(listen: Option<SocketAddr>, setup: &Setup) -> Result<Doorbell, Failure> {
        let inbox = Inbox::default();
        let listening = match listen {
            Some(address) => {
                let config = &setup.config.webhooks;
                let settings = config.settings(address, &setup.environment)?;
                Some(webhooks::listen(address, settings, inbox.clone()).await?)
            }
            None => None,
        };
        Ok(Doorbell {
            inbox,
            listening,
            told: Counts::default(),
        })
    }

    /// Hands on what was queued; gives whether a pass is needed.
    fn answer(&self, reconciler: &mut Reconciler) -> bool {
        let wakes = self.inbox.take();
        if wakes.is_empty() {
            return false;
        }
        match reconciler.wake(&wakes) {
            Ok(woken) => woken,
            Err(failure) => {
                tracing::error!(%failure, "wakes could not be handed on; they are tried again");
                self.inbox.put_back(wakes);
                true
            }
        }
    }

    /// Logs what was heard since the last time, if anything was.
    fn tell(&mut self) {
        let heard = self.inbox.counts();
        if heard != self.told {
            tracing::info!(
                received = heard.received,
                wakes = heard.wakes,
                duplicates = heard.duplicates,
                forged = heard.forged,
                unknown = heard.unknown,
                unparsable = heard.unparsable,
                too_large = heard.too_large,
                broken_off = heard.broken_off,
                no_room = heard.no_room,
                refused = heard.refused,
                "webhooks heard"
            );
            self.told = heard;
        }
    }

    async fn close(self) {
        if let Some(listening) = self.listening {
            listening.stop().await;
        }
    }
}

/// SIGTERM and SIGINT.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    seen: bool,
}

impl Stop {
    fn listen() -> Result<Stop, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error| Failure::world("failed to listen for signals").because(error);
        Ok(Stop {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            seen: false,
        })
    }

    /// Completes when it is time to stop; at once when it was before. A signal that came during the pass counts.
    async fn told(&mut self) {
        if !self.seen {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            self.seen = true;
        }
    }

    /// Waits for a pass. A signal lets it end, so that nothing is left half done, but not for longer than
    /// [`STOP_PATIENCE`], and a second signal not even that: a forge that does not answer holds nobody up. `None`: it was
    /// cut off.
    async fn during<T>(&mut self, pass: impl Future<Output = T>) -> Option<T> {
        let mut pass = pin!(pass);
        tokio::select! {
            biased;
            passed = &mut pass => return Some(passed),
            () = self.told() => {}
        }
        tracing::info!("stopping when this pass is over; once more to stop at once");
        tokio::select! {
            biased;
            passed = &mut pass => Some(passed),
            _ = self.terminate.recv() => None,
            _ = self.interrupt.recv() => None,
            () = tokio::time::sleep(STOP_PATIENCE) => None,
        }
    }

    /// Waits for `span`; true: it is time to stop.
    async fn within(&mut self, span: Duration) -> bool {
        tokio::time::timeout(span, self.told()).await.is_ok()
    }
}

fn prune(reconciler: &mut Reconciler, config: &Config) -> Result<(), Failure> {
    let retention = Retention {
        max_age: config.journal.max_age.0,
        max_bytes: config.journal.max_size_mb.saturating_mul(1_000_000),
    };
    let now = reconciler.world.now();
    let pruned = reconciler
        .store
        .prune(now, &retention)
        .map_err(memory::failed)?;
    if pruned.journal + pruned.transitions > 0 {
        tracing::info!(
            journal = pruned.journal,
            transitions = pruned.transitions,
            "old rows removed"
        );
    }
    Ok(())
}

fn progress_bar(ui: Ui) -> indicatif::ProgressBar {
    if ui.json {
        return indicatif::ProgressBar::hidden();
    }
    // indicatif draws on standard error, and only on a terminal.
    let bar = indicatif::ProgressBar::new(0).with_message("asking GitHub");
    let style = indicatif::ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn log(passed: &Passed, ended: Timestamp) {
    let entries = || passed.batches.iter().flat_map(|batch| &batch.entries);
    let with = |outcome: Result_| entries().filter(|entry| entry.outcome == outcome).count();
    tracing::info!(
        looked_at = entries().count(),
        transitioned = with(Result_::Transitioned),
        repaired = with(Result_::Repaired),
        held = with(Result_::Held),
        refused = with(Result_::Refused),
        conflicts = with(Result_::Conflict),
        failed = with(Result_::Failed),
        requests = passed.github.requests,
        points = passed.github.points,
        rest_requests = passed.github.rest_requests,
        unchanged = passed.github.unchanged,
        postponed = passed.github.postponed,
        pass_duration_ms = ended.0.saturating_sub(passed.moment.now.0),
        "pass"
    );
}

/// What a person reads after one pass.
pub(super) fn print(report: &RunReport, passed: &Passed, ui: Ui) {
    for source in &report.sources {
        if let Some(error) = &source.error {
            ui.line(format!(
                "{} {}: {error}",
                ui::styled(ui::ALARM, "source failed"),
                source.name
            ));
        }
    }
    if let Some(trouble) = &passed.trouble {
        ui.line(format!(
            "{} {trouble}",
            ui::styled(ui::ALARM, "GitHub could not be asked:")
        ));
    }
    let notable: Vec<&SessionReport> = report
        .sessions
        .iter()
        .filter(|session| session.outcome != Result_::Held)
        .collect();
    if !notable.is_empty() {
        let rows = notable
            .iter()
            .map(|session| decision_row(session))
            .collect();
        ui.table(&["session", "change", "outcome", "rule", "why"], rows);
    }
    let held = report.sessions.len() - notable.len();
    let unknown = report
        .sessions
        .iter()
        .filter(|session| !session.gaps.is_empty())
        .count();
    if report.dry_run {
        ui.line(format!(
            "Planned for GitHub: {}.",
            planned(&report.github.planned)
        ));
    }
    let mut summary = format!(
        "{} looked at, {held} held",
        ui::count(report.sessions.len(), "session")
    );
    if unknown > 0 {
        summary.push_str(&format!(" ({unknown} with something unknown)"));
    }
    summary.push_str(&format!(
        "; GitHub: {}; {} ms",
        asked(&report.github),
        report.took_ms
    ));
    ui.line(summary);
    if report.dry_run {
        ui.line("Dry run: nothing was changed.");
    }
}

/// What a pass cost at GitHub, for people.
fn asked(github: &GitHubReport) -> String {
    let mut text = format!(
        "{} for {}",
        counted(github.requests, "request"),
        counted(github.points, "point")
    );
    if github.rest_requests > 0 {
        text.push_str(&format!(
            " and {} ({} unchanged)",
            counted(github.rest_requests, "probe"),
            github.unchanged
        ));
    }
    if github.postponed > 0 {
        text.push_str(&format!(
            ", {} put off",
            counted(github.postponed, "question")
        ));
    }
    text
}

/// What a pass was going to ask, for people.
fn planned(planned: &PlannedReport) -> String {
    format!(
        "{} for {} and {}",
        counted(planned.requests, "request"),
        counted(planned.points, "point"),
        counted(planned.rest_requests, "probe")
    )
}

fn counted(number: u64, what: &str) -> String {
    ui::count(usize::try_from(number).unwrap_or(usize::MAX), what)
}

/// A session of a pass as a row: name, change, outcome, rule, reason with its guards.
fn decision_row(session: &SessionReport) -> Vec<String> {
    let change = if session.from == session.to {
        session.from.to_string()
    } else {
        format!("{} -> {}", session.from, session.to)
    };
    let mut why = session.reason.clone();
    for guard in &session.guards {
        why.push_str(&format!(" [{}: {}]", guard.code, guard.detail));
    }
    let mut outcome = session.outcome.as_str().to_owned();
    if let Some(id) = &session.transition_id {
        outcome.push_str(&format!(" ({id})"));
    }
    vec![
        session.id.clone(),
        change,
        outcome,
        session.rule.clone(),
        why,
    ]
}
