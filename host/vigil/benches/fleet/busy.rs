//! An hour in the life of a large and busy fleet.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use vigil_core::{State, Timestamp};
use vigil_model::Model;

use crate::fleet::{Count, Fleet, Member, Plan};
use crate::rows;

/// One in so many sessions has its pull request merged within the hour; for the others it changes otherwise.
const MERGED_IN: u64 = 100;

/// What the hour came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hour {
    /// What the first look cost, before the hour.
    pub(crate) first: Count,
    /// What the hour cost.
    pub(crate) count: Count,
    /// What happened in it.
    pub(crate) changes: u64,
    /// Merges among them.
    pub(crate) merges: usize,
    /// From a merge to the pass that wrote its session as succeeded, at most.
    pub(crate) noticed_after: Duration,
}

/// Something that happens in the hour, so many milliseconds after its beginning.
struct Change {
    at: u64,
    place: u64,
    of_issue: bool,
}

/// Makes the fleet of `plan`, lets it settle, and watches it for an hour in which each session has two changes, spread
/// evenly: one of its issue and one of its pull request.
///
/// # Errors
/// Those of [`Fleet::daemon`], and a merge that went unnoticed.
pub(crate) fn hour(plan: &Plan) -> Result<Hour> {
    let mut fleet = Fleet::new(plan)?;
    let first = rows::cold(&mut fleet)?.count;
    rows::settle(&mut fleet)?;
    let began = fleet.now();
    let mut changes = changes(plan.sessions).into_iter().peekable();
    let mut hour = Hour {
        first,
        count: Count::default(),
        changes: 0,
        merges: 0,
        noticed_after: Duration::ZERO,
    };
    let mut merged: HashMap<String, Timestamp> = HashMap::new();
    // Two more passes, for what happens in the last minute.
    for minute in 1..=62 {
        while let Some(change) = changes.next_if(|change| change.at < minute * 60_000) {
            hour.changes += 1;
            fleet.wait_until(Timestamp(began.0 + change.at));
            let member = fleet.members[usize::try_from(change.place)?].clone();
            let ends = change.place % MERGED_IN == 7 && !change.of_issue;
            if ends {
                merged.insert(member.id(), fleet.now());
            }
            fleet.on_github(|model| apply(model, &member, &change, ends, plan));
        }
        let look = fleet.daemon()?;
        if minute <= 60 {
            hour.count = hour.count.plus(look.count);
        }
        for (id, to) in look.moved {
            let at = merged.remove(&id).filter(|_| to == State::Succeeded);
            ensure!(at.is_some(), "{id} became {to}, and nobody had merged it");
            let after = at.unwrap_or_default().age(fleet.now());
            hour.noticed_after = hour.noticed_after.max(after);
            hour.merges += 1;
        }
    }
    ensure!(merged.is_empty(), "merges were not noticed: {merged:?}");
    Ok(hour)
}

fn apply(model: &mut Model, member: &Member, change: &Change, ends: bool, plan: &Plan) {
    let repo = model.repo(&member.repo);
    if change.of_issue {
        repo.issue(member.issue).comment("somebody", "a thought");
    } else if ends {
        repo.pull(member.pull).merged();
    } else if plan.is_pending(change.place) {
        // A push, on which the check begins anew.
        let sha = format!("{:040x}", change.at << 32 | change.place);
        repo.pull(member.pull).push(&sha).check("build", None);
    } else {
        repo.pull(member.pull).comment("somebody", "a thought");
    }
}

/// Two for each session, in the order of time: the same each time, and in no order of the sessions.
fn changes(sessions: u64) -> Vec<Change> {
    const HOUR_MS: u64 = 3_600_000;
    let both = |place| [true, false].map(|of_issue| (place, of_issue));
    let mut changes: Vec<Change> = (0..sessions)
        .flat_map(both)
        .map(|(place, of_issue)| Change {
            // Knuth's multiplicative hash spreads neighbours over the hour.
            at: (place * 2 + u64::from(of_issue)).wrapping_mul(2_654_435_761) % HOUR_MS,
            place,
            of_issue,
        })
        .collect();
    changes.sort_by_key(|change| change.at);
    changes
}
