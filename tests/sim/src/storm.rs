//! What happens between two passes: time goes by, GitHub and the machine live on, people write, and the next trouble is
//! planned.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Result;
use vigil::pass::was_written;
use vigil::undo::{self, Undo};
use vigil_core::time::minutes;
use vigil_core::{Grounds, SessionId, Timestamp};
use vigil_store::{Kind, Settled};

use crate::cast::{self, Member};
use crate::outside::SimWorld;
use crate::plant::Bug;
use crate::rng::Rng;
use crate::run::{Run, SOURCE};
use crate::stage::Plan;

impl Run<'_> {
    /// What happens between two passes.
    pub(crate) fn between(&mut self) -> Result<()> {
        if let Some(text) = self.garbled.take() {
            let mut state = self.stage.state();
            state.disk.put(&text)?;
            state.checker.garbled(&text);
        }
        self.disturb()?;
        let undo = self.rng.chance(10) && self.garbled.is_none();
        if undo { self.undo() } else { Ok(()) }
    }

    fn disturb(&mut self) -> Result<()> {
        let rng = &mut self.rng;
        let mut state = self.stage.state();
        let state = &mut *state;
        state.trace.clear();
        state.clock.pass(Duration::from_secs(rng.between(20, 1800)));
        match rng.below(14) {
            0 => state.clock.jump(rng.between(10, 120) as i64),
            1 => {
                // GitHub's clock here is the machine's: what was told by it before is in the future now.
                let before = state.clock.now();
                state.hub.excuse(before);
                state.clock.jump(-(rng.between(10, 90) as i64));
            }
            2 => state.clock.suspend(minutes(rng.between(5, 600))),
            3 => {
                state.clock.reboot();
                reboot(&mut state.members);
            }
            4 => state.clock.pass(minutes(rng.between(60, 2000))),
            _ => {}
        }
        state.unsynced = None;
        let now = state.clock.now();
        for _ in 0..rng.below(4) {
            state.hub.live_on(&state.members, now, rng);
        }
        if state.hub.is_ill && rng.chance(60) {
            state.hub.heal();
        }
        if rng.chance(35) {
            state.hub.fall_ill(&state.members, rng);
        }
        if rng.chance(40) {
            work_on(&mut state.members, now, rng);
        }
        if rng.chance(8) {
            // What somebody merges or closes while an agent is at it may leave work behind that is nowhere else.
            let at = rng.place(state.members.len());
            if let Some(member) = state.members.get_mut(at) {
                member.body.dies(now);
            }
            if let Some(member) = state.members.get(at) {
                state
                    .hub
                    .end_with(member, &state.members, now, rng.chance(50));
            }
        }
        if rng.chance(40) {
            state.owner_writes();
        }
        state.lock = None;
        if rng.chance(12) {
            wedge_signs(&state.disk.home, now.before(minutes(rng.below(30))))?;
            let lock = File::create(state.disk.home.join("scan.lock"))?;
            rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
            state.lock = Some((lock, rng.below(120) as u32));
        }
        // A pass that writes nothing has six steps. Those of a write come after them and count for more, and of these
        // the ones between the decision and the write, where comparing before swapping matters.
        let moment = |rng: &mut Rng, percent| {
            let (first, end) = *rng.pick(&[(0, 19), (5, 7), (5, 19), (7, 19)]);
            rng.chance(percent).then(|| rng.between(first, end) as u32)
        };
        state.plan = Plan {
            owner: moment(rng, 60),
            crash: moment(rng, 40),
            power_cut: rng.chance(50),
            fail: rng.chance(20).then(|| rng.below(8) as u32),
            blind: if rng.chance(25) { rng.below(60) } else { 0 },
        };
        let garble = rng.chance(3);
        if garble {
            let text = state.disk.text()?;
            let half = text.floor_char_boundary(text.len() / 2);
            state.disk.put(&text[..half])?;
            state.checker.garbled(&text[..half]);
            state.plan = Plan::default();
            self.garbled = Some(text);
        }
        if rng.chance(4)
            && let Some(store) = &mut state.store
        {
            let ids: Vec<SessionId> = state
                .checker
                .ids()
                .iter()
                .map(|id| SessionId::new(SOURCE, id))
                .collect();
            let span = Duration::from_secs(60);
            store.lease(&ids, "another vigil", now, span)?;
            self.leases_over = self.leases_over.max(now.after(span));
        }
        Ok(())
    }

    /// `vigil undo` of some transition, as the command does it.
    fn undo(&mut self) -> Result<()> {
        let Some(vigil) = &mut self.vigil else {
            return Ok(());
        };
        let plan = std::mem::take(&mut self.stage.state().plan);
        let rows = vigil.store.transitions(None, None, 50)?;
        let undoable: Vec<_> = rows
            .iter()
            .filter(|row| {
                was_written(row) && row.undone_by.is_none() && row.kind == Kind::Transition
            })
            .collect();
        let Some(row) = undoable.get(self.rng.place(undoable.len())) else {
            self.stage.state().plan = plan;
            return Ok(());
        };
        let source = Arc::clone(&vigil.sources[0].source);
        let world = SimWorld(Arc::clone(&self.stage));
        let done = undo::undo(
            &mut vigil.store,
            source.as_ref(),
            &world,
            row,
            "vigil undo",
            "undo by hand",
        )?;
        if let Undo::Ended {
            id,
            settled: Settled::Written { .. },
            ..
        } = done
        {
            self.undone.insert(row.session.id.clone());
            if self.stage.state().bug == Some(Bug::ForgetsUndos) {
                let never: Grounds = serde_json::from_str(r#"{"run": "never"}"#)?;
                vigil.store.note_grounds(id, &never)?;
            }
        }
        let mut state = self.stage.state();
        state.plan = plan;
        state.look();
        Ok(())
    }
}

/// The signs by which a wedged scan is known, last written at `at`.
pub(crate) fn wedge_signs(home: &Path, at: Timestamp) -> Result<()> {
    let log = home.join("logs/vigilante.log");
    fs::write(&log, "scan begins\n")?;
    let when = UNIX_EPOCH + Duration::from_millis(at.0);
    File::options().write(true).open(&log)?.set_modified(when)?;
    let list = format!(
        r#"[{{"repo": "acme/app", "last_scan_at": {}}}]"#,
        cast::moment(at)
    );
    fs::write(home.join("watchlist.json"), list)?;
    Ok(())
}

pub(crate) fn reboot(members: &mut [Member]) {
    for member in members {
        member.body.ends();
    }
}

/// Something happens on the machine.
fn work_on(members: &mut [Member], now: Timestamp, rng: &mut Rng) {
    let at = rng.place(members.len());
    let everybody = rng.chance(15);
    for (index, member) in members.iter_mut().enumerate() {
        if everybody {
            member.body.ends();
        } else if index == at {
            member.body.live_on(now, &member.other_branch, rng);
        }
    }
}
