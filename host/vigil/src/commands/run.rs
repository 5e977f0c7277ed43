//! `vigil run`: one pass, or a pass every interval until it is told to stop.

mod doorbell;
mod print;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use vigil_core::{Timestamp, requeue};
use vigil_store::{DaemonLock, Retention};

use crate::cli::RunArgs;
use crate::config::Config;
use crate::failure::{EXIT_DONE, EXIT_FAILED, Failure, Outcome};
use crate::memory;
use crate::pass::{How, Passed, Progress, Reconciler, asking};
use crate::policies::{Loaded, Watch};
use crate::report::Outcome as Result_;
use crate::ui::{Bar, Ui};
use crate::webhooks::coalesce;
use crate::wiring::Setup;

use doorbell::Doorbell;

pub(super) use print::print;

/// How long a pass may go on after a signal to stop: writing takes a second, and service managers wait for 90.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Old journal rows go every so many passes: once an hour at a minute's interval.
const PASSES_PER_PRUNE: u64 = 60;

/// Runs the command.
pub(crate) async fn run(args: &RunArgs, mut setup: Setup, ui: Ui, bar: &Bar) -> Outcome {
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
    let loaded = setup.loaded(&chain, &args.chain.policies);
    let only = args.source.as_deref();
    let mut reconciler = if args.dry_run {
        setup.looker(chain, only)?
    } else {
        setup.reconciler(chain, only)?
    };
    let shown = bar.clone();
    let progress: Progress = Arc::new(move |done, total| shown.show(done, total));
    reconciler.asking.progress = Some(progress);
    if only.is_none() && !args.dry_run {
        reconciler.end_alerts_of_gone_sources()?;
    }
    if args.once || args.dry_run {
        once(args, &mut reconciler, &setup, ui, bar).await
    } else {
        daemon(&mut reconciler, &setup, loaded, args.listen, ui, bar).await
    }
}

async fn once(
    args: &RunArgs,
    reconciler: &mut Reconciler,
    setup: &Setup,
    ui: Ui,
    bar: &Bar,
) -> Outcome {
    let how = How {
        dry_run: args.dry_run,
        keep_facts: !args.dry_run,
        ..How::once()
    };
    if args.dry_run && !ui.json {
        reconciler.asking.planned = Some(Arc::new(move |planned| print::print_plan(planned, ui)));
    }
    let passed = bar.over(reconciler.pass(&how)).await?;
    if args.dry_run {
        keep_silence(reconciler, setup)?;
    } else {
        prune(reconciler, &setup.config)?;
    }
    let report = passed.report(args.dry_run, setup.world.now());
    if ui.json {
        ui.document(&report)?;
    } else {
        print(&report, ui);
    }
    Ok(if passed.failed() || passed.a_policy_failed() {
        EXIT_FAILED
    } else {
        EXIT_DONE
    })
}

/// A dry run makes no journal where there is none. Only what GitHub wants outlives it even there: that nothing is sent
/// for a while, which the next command has to know.
fn keep_silence(reconciler: &Reconciler, setup: &Setup) -> Result<(), Failure> {
    let now = setup.world.now();
    let silenced = reconciler.silenced(now);
    // Another process may have made one meanwhile, which knows nothing of this.
    if silenced.is_empty() || !reconciler.store.is_in_memory() {
        return Ok(());
    }
    let mut store = setup.store()?;
    let (host, holder) = (&reconciler.forge_host, &reconciler.holder);
    silenced.iter().try_for_each(|(account, known)| {
        asking::tell_account(&mut store, host, (account, known), holder, now)
    })
}

async fn daemon(
    reconciler: &mut Reconciler,
    setup: &Setup,
    loaded: Loaded,
    listen: Option<SocketAddr>,
    ui: Ui,
    bar: &Bar,
) -> Outcome {
    let dir = &setup.environment.state_dir;
    let Some(lock) = DaemonLock::try_take(dir).map_err(memory::failed)? else {
        let holder =
            DaemonLock::holder(dir).map_or_else(String::new, |pid| format!(" (pid {pid})"));
        return Err(Failure::request(format!(
            "another vigil run already watches {}{holder}",
            dir.display()
        ))
        .hint("stop it, or make one pass beside it with `vigil run --once`"));
    };
    let mut stop = Stop::listen()?;
    let mut doorbell = Doorbell::new(listen, setup, reconciler).await?;
    // Where GitHub tells what happens, it is asked about the rest only now and then.
    reconciler.asking.resync = listen.map(|_| setup.config.webhooks.resync.0);
    let interval = setup.config.run.interval.0;
    tracing::info!(interval = %humantime::format_duration(interval), sources = reconciler.sources.len(), "watching");
    let mut how = How::watch();
    let mut trouble = None;
    let mut policies = Watch::new(loaded.clone());
    let mut stopped = None;
    for number in 0_u64.. {
        // Who works with a journal or a lock that is not there any more would write beside whoever starts anew.
        if let Err(lost) = lock.check() {
            doorbell.close(reconciler).await;
            return Err(memory::failed(lost));
        }
        tell_stop(&mut stopped, reconciler)?;
        let started = setup.world.now();
        if number % PASSES_PER_PRUNE == 0 {
            // Anew from time to time: what nobody keeps is forgotten.
            let kept = loaded.keep(&mut reconciler.store, &reconciler.forge_host, started);
            if let Err(failure) = kept {
                tracing::warn!(%failure, "which policies are loaded is not kept for now");
            }
        }
        reconciler.replaced = Some(policies.look().await);
        let (mut behind, mut soonest) = (false, None);
        let passed = stop.during(bar.over(reconciler.pass(&how))).await;
        // It may have been cut off.
        bar.clear();
        let Some(passed) = passed else {
            // The next start finds what was left and puts it right, as after a crash.
            let _ = reconciler.store.release(&reconciler.holder);
            doorbell.close(reconciler).await;
            tracing::info!("stopped in the middle of a pass");
            return Ok(EXIT_DONE);
        };
        match passed {
            Ok(passed) => {
                log(&passed, setup.world.now());
                if let Some(failure) = &passed.forgotten {
                    tracing::error!(%failure, "records were written, and this could not be noted; the next pass finds it");
                }
                behind = passed.batches.iter().any(|batch| batch.behind);
                soonest = passed.soonest_look();
                // Told when it changes, and by every daemon that starts into it: an alert is raised only once.
                if passed.github.trouble != trouble {
                    trouble.clone_from(&passed.github.trouble);
                    match &trouble {
                        Some(trouble) => {
                            let (why, hint) = (&trouble.detail, trouble.hint.as_deref());
                            tracing::warn!(why, hint, "GitHub could not be asked");
                        }
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
        if let Err(lost) = reconciler.store.watch().held("", setup.world.now())
            && lost.is_lost()
        {
            doorbell.close(reconciler).await;
            return Err(memory::failed(lost));
        }
        if number % PASSES_PER_PRUNE == 0
            && let Err(failure) = prune(reconciler, &setup.config)
        {
            tracing::error!(%failure, "old rows stay for now");
        }
        // A pass that took longer than the interval is followed by the next at once; only what comes after the sleep
        // later than the sleep was meant to last was held up. A clock that was set back makes no sleep longer.
        let ended = setup.world.now();
        let left = requeue::rest(interval, soonest, behind, started.age(ended));
        let mut due = pin!(tokio::time::sleep(left));
        let overslept = loop {
            tokio::select! {
                biased;
                () = stop.told() => {
                    doorbell.close(reconciler).await;
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
        doorbell.tell(reconciler);
        how = How {
            overslept,
            ..How::watch()
        };
    }
    Ok(EXIT_DONE)
}

/// Says once that a file stops all writes, and once that it is gone.
fn tell_stop(told: &mut Option<PathBuf>, reconciler: &Reconciler) -> Result<(), Failure> {
    let now = reconciler.store.watch().stopped().map_err(memory::failed)?;
    match (&told, &now) {
        (None, Some(file)) => tracing::warn!(
            file = %file.display(),
            "stopped: nothing is written to any source until the file is removed"
        ),
        (Some(file), None) => {
            tracing::info!(file = %file.display(), "writing again: the file is gone")
        }
        _ => {}
    }
    *told = now;
    Ok(())
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
    let pruned = reconciler.prune(&retention)?;
    if pruned.journal + pruned.transitions > 0 {
        tracing::info!(
            journal = pruned.journal,
            transitions = pruned.transitions,
            "old rows removed"
        );
    }
    Ok(())
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
