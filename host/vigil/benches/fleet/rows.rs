//! What is counted: a first look, quiet passes, and what one merge costs.

use std::time::Duration;

use anyhow::{Result, ensure};
use vigil_core::State;

use crate::fleet::{Count, Fleet, Look, Plan};

/// Passes after the first one until nothing of it is left to do: what was written is looked at once more, and each
/// repository's list is asked for the first time.
const SETTLING: u32 = 4;

/// The longest back-off of an idle repository, in minutes, and some.
const NOTICED_MAX: u32 = 20;

/// The first pass: every session is found by its branch, judged, and written as looked after.
///
/// # Errors
/// Those of [`Fleet::first`], and a session that did not come to that.
pub(crate) fn cold(fleet: &mut Fleet) -> Result<Look> {
    let look = fleet.first()?;
    let maintained = look
        .moved
        .iter()
        .filter(|(_, to)| *to == State::Maintaining);
    let (maintained, all) = (maintained.count(), fleet.members.len());
    ensure!(
        maintained == all,
        "{maintained} of {all} sessions were found to be maintained"
    );
    Ok(look)
}

/// Passes until nothing is to be done any more.
///
/// # Errors
/// Those of [`Fleet::daemon`].
pub(crate) fn settle(fleet: &mut Fleet) -> Result<()> {
    for _ in 0..SETTLING {
        fleet.daemon()?;
    }
    Ok(())
}

/// So many passes in which nothing happens: what all of them cost, and what the dearest did.
///
/// # Errors
/// Those of [`Fleet::daemon`], and a session that moved.
pub(crate) fn quiet(fleet: &mut Fleet, passes: u32) -> Result<(Count, Count)> {
    let (mut all, mut dearest) = (Count::default(), Count::default());
    for _ in 0..passes {
        let look = fleet.daemon()?;
        ensure!(
            look.moved.is_empty(),
            "nothing happened, and yet: {:?}",
            look.moved
        );
        all = all.plus(look.count);
        dearest = dearest.max(look.count);
    }
    Ok((all, dearest))
}

/// What it took to learn that a pull request was merged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noticed {
    /// Requests that would not have been sent without the merge.
    pub(crate) beyond: u64,
    /// From the merge to the pass that wrote its session as succeeded.
    pub(crate) after: Duration,
}

/// One pull request is merged, right after vigil looked at its repository and `idle` or a little more after the last
/// thing that happened there. Another fleet, of the same plan and at the same moments, in which it is not merged, shows
/// what would have been sent in any case.
///
/// # Errors
/// Those of [`Fleet::daemon`], and a merge that was not noticed.
pub(crate) fn merge(plan: &Plan, idle: Duration) -> Result<Noticed> {
    let mut fleet = Fleet::new(plan)?;
    let mut other = Fleet::new(plan)?;
    for fleet in [&mut fleet, &mut other] {
        cold(fleet)?;
        settle(fleet)?;
        let neighbour = fleet.members[fleet.members.len() - 1].clone();
        fleet.on_github(|model| {
            model
                .repo(&neighbour.repo)
                .issue(neighbour.issue)
                .comment("somebody", "a thought");
        });
        for _ in 0..idle.as_secs() / 60 {
            fleet.daemon()?;
        }
        while !fleet.has_asked_about(&neighbour.repo) {
            fleet.daemon()?;
        }
        // The worst moment: it was looked at just now.
        fleet.wait(Duration::from_secs(1));
    }
    let member = of_the_same_repository(&fleet).clone();
    fleet.on_github(|model| {
        model.repo(&member.repo).pull(member.pull).merged();
    });
    let merged = fleet.now();
    let (mut sent, mut in_any_case) = (0, 0);
    for _ in 0..NOTICED_MAX {
        let look = fleet.daemon()?;
        let without = other.daemon()?.count;
        sent += look.count.graphql + look.count.rest;
        in_any_case += without.graphql + without.rest;
        if look.moved == [(member.id(), State::Succeeded)] {
            return Ok(Noticed {
                beyond: sent.saturating_sub(in_any_case),
                after: merged.age(fleet.now()),
            });
        }
        ensure!(
            look.moved.is_empty(),
            "another session moved: {:?}",
            look.moved
        );
    }
    anyhow::bail!("the merge was not noticed within {NOTICED_MAX} passes")
}

/// A session in the repository of the last one.
fn of_the_same_repository(fleet: &Fleet) -> &crate::fleet::Member {
    let last = &fleet.members[fleet.members.len() - 1];
    let first = fleet.members.iter().find(|member| member.repo == last.repo);
    first.unwrap_or(last)
}
