//! What stands in a worktree or beside a log and cannot be looked at: each place once, with the sessions that it holds up.

use std::collections::BTreeMap;

use vigil_core::session::{Liveness, Session};
use vigil_core::{Gap, GapKind};

use super::{Finding, bad};
use crate::failure::Failure;
use crate::sources;
use crate::ui;
use crate::wiring::Setup;

/// How many sessions are named for one place.
const NAMED_MAX: usize = 3;

/// Looks at the work of every session that is not settled, as a pass does. A source whose records cannot be read has been
/// told of already.
pub(super) fn look(setup: &Setup) -> Result<Vec<Finding>, Failure> {
    let mut places: BTreeMap<String, (GapKind, Vec<String>)> = BTreeMap::new();
    for configured in sources::configured(&setup.config, &setup.environment, None)? {
        let Ok(sessions) = configured.source.load(setup.world.as_ref()) else {
            continue;
        };
        let open: Vec<&Session> = sessions
            .iter()
            .filter(|session| !session.state.is_settled())
            .collect();
        let seen = configured.source.observe(&open, setup.world.as_ref());
        for (session, seen) in open.iter().zip(&seen) {
            for gap in troubles(seen) {
                let place = places.entry(gap.detail.clone());
                let (_, held) = place.or_insert_with(|| (gap.kind.clone(), Vec::new()));
                let name = session.id.to_string();
                if held.last() != Some(&name) {
                    held.push(name);
                }
            }
        }
    }
    let found = places.into_iter().map(|(detail, (kind, held))| {
        let named = held.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>();
        let more = match held.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let what = ui::count(held.len(), "session");
        let hint = match kind {
            GapKind::TimedOut => "see whether the mount's server is up, or unmount it",
            _ => "see what stands there, and put right or take away what does not belong",
        };
        bad(
            &format!("{what} cannot be looked at"),
            format!("{detail} ({}{more})", named.join(", ")),
            hint,
        )
    });
    Ok(found.collect())
}

/// What keeps files from being looked at. That something is not there is no trouble of a file.
fn troubles(seen: &Liveness) -> impl Iterator<Item = &Gap> {
    let gaps = [
        seen.log_written.gap(),
        seen.worktree_written.gap(),
        seen.dirty.gap(),
        seen.unpushed.gap(),
    ];
    gaps.into_iter().flatten().filter(|gap| {
        matches!(
            gap.kind,
            GapKind::Malformed | GapKind::TooLarge | GapKind::TimedOut | GapKind::Denied
        )
    })
}
