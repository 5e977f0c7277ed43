//! The end of a seed: nothing goes wrong any more, everything settles, and what can be said is said.

use std::time::Duration;

use anyhow::{Context as _, Result};
use vigil::pass::How;
use vigil_core::State;
use vigil_core::time::minutes;
use vigil_github::memory::{SWEEP_ENDED, TRIES_MAX};
use vigil_model::Item;
use vigil_sources::Source as _;
use vigil_sources::vigilante::{Settings, Vigilante};

use crate::outside::Frozen;
use crate::rng::Rng;
use crate::run::{Run, SOURCE};
use crate::stage::{Plan, State as Scene};
use crate::truth;

/// Between two passes of the calm. Longer than two looks at a missing issue lie apart, and than a mass loss counts.
const CALM_STEP: Duration = minutes(40);

/// Passes of the calm: four cover what a jump of the clock or a rule may wait for, and the rest is for what follows on it.
const CALM_PASSES_MAX: usize = 12;

impl Run<'_> {
    /// Nothing goes wrong any more: after a bounded number of passes nothing changes any more, and what can be said
    /// is said.
    pub(crate) fn calm(&mut self) -> Result<()> {
        {
            self.rng = Rng::new(0);
            let garbled = self.garbled.take();
            let mut state = self.stage.state();
            if let Some(text) = garbled {
                state.disk.put(&text)?;
                state.checker.garbled(&text);
            }
            state.trace.clear();
            state.trace.push("calm".to_owned());
            state.hub.heal();
            state.lock = None;
            state.unsynced = None;
            state.plan = Plan::default();
        }
        // What was deleted is in no list of changes: only the sweep of the day finds that it is gone.
        self.stage.state().clock.pass(SWEEP_ENDED + minutes(60));
        // GitHub's clock here is the machine's, which was set back: for a few reads its answers seem older than what it
        // announced.
        for _ in 0..=TRIES_MAX {
            self.stage.state().clock.pass(CALM_STEP);
            self.pass(&How::once())?;
        }
        let mut last = None;
        for _ in 0..CALM_PASSES_MAX {
            self.stage.state().clock.pass(CALM_STEP);
            self.pass(&How::once())?;
            let now = self.counts(&self.stage.state())?;
            if self.is_over() {
                return Ok(());
            }
            let quiet_for = match last.take() {
                Some((before, passes)) if before == now => passes + 1,
                _ => 0,
            };
            // Silence may be waited for: 80 minutes without a change is longer than any rule waits.
            if quiet_for == 2 {
                return self.stays(&now);
            }
            last = Some((now, quiet_for));
        }
        anyhow::bail!("{CALM_PASSES_MAX} passes after the last trouble something still changes");
    }

    /// Another pass changes nothing, and every session that can be judged is where it belongs.
    fn stays(&mut self, calm: &(String, usize, usize)) -> Result<()> {
        self.stage.state().clock.pass(minutes(1));
        self.pass(&How::once())?;
        let mut state = self.stage.state();
        let now = self.counts(&state)?;
        if now != *calm {
            anyhow::bail!(
                "all was settled, and another pass changed something: {calm:?} to {now:?}"
            );
        }
        let world = state.frozen();
        let settled = self.where_it_belongs(&state, &world);
        state.hold(settled);
        let told = self.reopenings_are_told(&state, &world)?;
        state.hold(told);
        Ok(())
    }

    /// What was reopened after vigil had settled its session is told, in repositories that are looked at anyway. Where
    /// vigil may have lost what it knew, or its clock was set back, it may not have seen it.
    fn reopenings_are_told(
        &self,
        state: &Scene,
        world: &Frozen,
    ) -> Result<std::result::Result<(), String>> {
        let store = state.store.as_ref().context("no journal")?;
        if !state.hub.was_never_excused() || state.tally.crashes > 0 {
            return Ok(Ok(()));
        }
        let source = Vigilante::new(
            SOURCE,
            &state.disk.home,
            &state.disk.state,
            Settings::default(),
        );
        let sessions = source.load(world)?;
        let alerts = store.open_alerts()?;
        for session in sessions.iter().filter(|one| one.state.is_settled()) {
            let (Some(repo), Some(issue)) = (session.repo.as_deref(), session.issue) else {
                continue;
            };
            let is_watched = sessions.iter().any(|other| {
                !other.state.is_settled()
                    && (other.lookup.issue()).is_some_and(|one| one.repo == repo)
            });
            let rows = store.transitions(Some(&session.id), None, 1)?;
            let Some(row) = rows.first().filter(|row| {
                row.kind == vigil_store::Kind::Transition
                    && vigil::pass::was_written(row)
                    && row.revision_after == session.revision
            }) else {
                continue;
            };
            let evidence = match &row.evidence {
                Some(digest) => store.evidence(digest)?,
                None => None,
            };
            let was_closed = evidence
                .and_then(|evidence| evidence.issue.found().cloned())
                .is_some_and(|found| !found.open);
            let is_open = state
                .hub
                .model
                .look(repo, issue)
                .is_some_and(|item| item.closed_ms.is_none());
            let key = format!("reopened-{}", session.id);
            let is_told = alerts.iter().any(|alert| alert.key == key);
            if is_watched && was_closed && is_open && !is_told {
                return Ok(Err(format!(
                    "issue #{issue} of {} is open again, and nobody is told",
                    session.id
                )));
            }
        }
        Ok(Ok(()))
    }

    fn where_it_belongs(&self, state: &Scene, world: &Frozen) -> Result<(), String> {
        let source = Vigilante::new(
            SOURCE,
            &state.disk.home,
            &state.disk.state,
            Settings::default(),
        );
        let sessions = source.load(world).map_err(|error| error.to_string())?;
        let now = state.clock.now();
        for member in &state.members {
            let id = member.id();
            let twins = sessions
                .iter()
                .filter(|one| one.id.id.split('@').next() == Some(&id))
                .count();
            let session = sessions.iter().find(|one| one.id.id == id);
            let (Some(session), 1) = (session, twins) else {
                continue;
            };
            let names_pull = session.pull_request == Some(member.pull);
            let looked_for = names_pull || session.pull_request.is_none();
            let started = session.times.started.unwrap_or(now);
            let of_this_run = |pull: &&Item| pull.closed_ms.is_none_or(|at| at >= started.0);
            let look = |number| state.hub.model.look(&member.repo, number);
            let recorded = look(member.pull).filter(|pull| names_pull || of_this_run(pull));
            let checked_out = (member.body.checked_out())
                .and_then(|_| look(member.other_pull))
                .filter(of_this_run);
            let Some(pull) = truth::speaking(recorded, checked_out) else {
                continue;
            };
            // What the record names and GitHub does not have may be anywhere.
            let is_astray = names_pull && recorded.is_none();
            if !(member.plain && looked_for)
                || is_astray
                || member.branch == "vigilante/shared"
                || state.checker.owner_touched(&id)
                || self.undone.contains(&id)
            {
                continue;
            }
            let from: State = session.state;
            if let Some(wanted) = truth::expected(from, pull, &member.body, now) {
                return Err(format!(
                    "{id} is still {from} and should be {wanted}: #{} is {}, {:?}",
                    pull.number,
                    pull.state(),
                    member.body
                ));
            }
        }
        Ok(())
    }
}
