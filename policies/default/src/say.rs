//! The words of the reasons: one sentence for the person who reads `status`, with numbers and moments: it
//! is kept, and read long after, so that an age in it would be wrong soon.

use vigil_sdk::time::moment as at;
use vigil_sdk::{
    Gap, Issue, IssueFact, Liveness, OccupantFact, ProcessFact, PullRequest, PullRequestFact,
    PullRequestState, Sighting, TimeFact, Timestamp,
};

use crate::{Case, issue_is_on_the_forge, signs};

/// `PR #319 was merged at 2026-01-01T10:40:00Z`, with the branch where that says more, and with the ones that were passed over.
pub(crate) fn pull_request(case: &Case<'_>, found: &PullRequest) -> String {
    let what = one_pull_request(case, found);
    format!("{what}{}", passed_over(case))
}

/// ` (passed over: #310, closed without a merge)`, or nothing.
pub(crate) fn passed_over(case: &Case<'_>) -> String {
    let others = &case.evidence.passed_over;
    if others.is_empty() {
        return String::new();
    }
    let named: Vec<String> = others
        .iter()
        .map(|other| format!("#{}, {}", other.number, other.why))
        .collect();
    format!(" (passed over: {})", named.join("; "))
}

fn one_pull_request(case: &Case<'_>, found: &PullRequest) -> String {
    let own = case.session().branch.as_deref();
    let number = match own {
        Some(own) if own != found.head_ref => {
            format!("{} of branch {}", found.number, found.head_ref)
        }
        _ => found.number.to_string(),
    };
    match found.state {
        PullRequestState::Open if found.draft => format!("PR #{number} is open as a draft"),
        PullRequestState::Open => format!("PR #{number} is open"),
        PullRequestState::Merged if found.landed.found() != Some(&true) => format!(
            "PR #{number} was merged into {}{}",
            found.base_ref,
            when(found.ended())
        ),
        PullRequestState::Merged => format!("PR #{number} was merged{}", when(found.ended())),
        PullRequestState::Closed => format!(
            "PR #{number} was closed without a merge{}",
            when(found.ended())
        ),
    }
}

/// `issue #299 was closed as completed at 2026-01-01T10:40:00Z`.
pub(crate) fn issue(found: &Issue) -> String {
    let number = found.number;
    if found.open {
        return format!("issue #{number} is open");
    }
    let reason = match found.reason.as_deref() {
        Some(reason) => format!(" as {reason}"),
        None => String::new(),
    };
    format!("issue #{number} was closed{reason}{}", when(found.closed))
}

/// `issue #299 does not exist, as first seen at 2026-01-01T10:40:00Z`.
pub(crate) fn issue_absent(case: &Case<'_>, sighting: &Sighting) -> String {
    format!(
        "{} does not exist, as first seen at {}",
        issue_name(case),
        at(sighting.first)
    )
}

/// `issue #299 is unknown since 2026-01-01T10:40:00Z (unreachable: no route to host)`.
pub(crate) fn unknown(case: &Case<'_>, name: &str, gap: &Gap) -> String {
    let subject = match name {
        "issue" => issue_name(case),
        "pull-request" => match case.session().pull_request {
            Some(number) => format!("PR #{number}"),
            None => "the pull request".to_owned(),
        },
        "landed" => "whether the merged work has landed".to_owned(),
        "beyond-head" => {
            "whether the local branch holds commits that the pull request lacks".into()
        }
        other => other.to_owned(),
    };
    let since = match gap.since {
        Some(since) => format!(" since {}", at(since)),
        None => String::new(),
    };
    format!("{subject} is unknown{since} ({}: {})", gap.kind, gap.detail)
}

fn issue_name(case: &Case<'_>) -> String {
    match case.session().issue {
        Some(number) => format!("issue #{number}"),
        None => "the issue".to_owned(),
    }
}

/// ` at 2026-01-01T10:40:00Z`, or nothing when the time is not known.
fn when(moment: Option<Timestamp>) -> String {
    match moment {
        Some(moment) => format!(" at {}", at(moment)),
        None => String::new(),
    }
}

/// `what; the record was last touched at 2026-01-01T10:11:00Z`.
pub(crate) fn with_record(case: &Case<'_>, what: String) -> String {
    let times = &case.session().times;
    let touched = [times.updated, times.heartbeat, times.started, times.ended]
        .into_iter()
        .flatten()
        .max();
    match touched {
        Some(touched) => format!("{what}; the record was last touched at {}", at(touched)),
        None => format!("{what}; the record holds no time"),
    }
}

/// The host's rule for a session whose owner would discard work if nothing were written.
const UNSAVED_WORK: &str = "unsaved-work";

/// `what`, and that it ends a block that vigil wrote itself; `what` alone where there is none, or where that was over work
/// which still exists nowhere else.
pub(crate) fn unblocked(case: &Case<'_>, what: String) -> String {
    match case.own_block() {
        Some(rule) if rule != UNSAVED_WORK || only_here(case).is_none() => {
            format!("{what}, so that what vigil blocked it for ({rule}) is over")
        }
        _ => what,
    }
}

/// That the issue is none of the forge's, so that nobody can ask about it: `its issue lives in linear`. `None`: it is one
/// of the forge's.
pub(crate) fn issue_elsewhere(case: &Case<'_>) -> Option<String> {
    let session = case.session();
    match session.tracker.as_str() {
        _ if issue_is_on_the_forge(session) => None,
        "github" => Some("it names no issue".to_owned()),
        tracker => Some(format!("its issue lives in {tracker}")),
    }
}

/// What the forge said, as far as it was asked; empty when it was not.
pub(crate) fn forge(case: &Case<'_>) -> String {
    let pull_request = match &case.evidence.pull_request {
        PullRequestFact::Found(found) => Some(pull_request(case, found)),
        PullRequestFact::Absent(sighting) if sighting.detail == "earlier-run" => {
            let passed_over = passed_over(case);
            Some(format!("there is no pull request of this run{passed_over}"))
        }
        PullRequestFact::Absent(_) => {
            Some(format!("there is no pull request{}", passed_over(case)))
        }
        PullRequestFact::Unknown(gap) => Some(unknown(case, "pull-request", gap)),
        PullRequestFact::NotAsked => None,
    };
    let issue = match &case.evidence.issue {
        IssueFact::Found(found) => Some(issue(found)),
        IssueFact::Absent(sighting) => Some(issue_absent(case, sighting)),
        IssueFact::Unknown(gap) => Some(unknown(case, "issue", gap)),
        IssueFact::NotAsked => None,
    };
    match (pull_request, issue) {
        (Some(pull_request), Some(issue)) => format!("{pull_request} and {issue}"),
        (one, other) => one.or(other).unwrap_or_default(),
    }
}

/// `its last heartbeat was at 2026-01-01T11:48:00Z`, with the break in watching when that came later.
pub(crate) fn last_sign(case: &Case<'_>) -> String {
    let Some(sign) = signs::last(case) else {
        return "it never gave a sign of life".to_owned();
    };
    let said = format!("{} at {}", sign.what, at(sign.at));
    match case.context.awake_since {
        Some(awake) if awake > sign.at => {
            format!(
                "{said}, and the machine was not watched until {}",
                at(awake)
            )
        }
        _ => said,
    }
}

/// All that was looked at, with what was found there.
pub(crate) fn all(case: &Case<'_>) -> String {
    let liveness = &case.session().liveness;
    let mut parts = vec![
        last_sign(case),
        process("agent process", &liveness.agent),
        occupant(&liveness.occupant),
        process("supervisor", &liveness.supervisor),
        moment("log", &liveness.log_written),
        moment("worktree", &liveness.worktree_written),
    ];
    if let Some(place) = &liveness.worktree_moved_to {
        parts.push(format!("the worktree was moved to {place}"));
    }
    if let Some(outcome) = &liveness.log_outcome {
        parts.push(format!("the log claims {outcome}"));
    }
    for missing in &case.session().gaps {
        parts.push(format!(
            "{} is unknown ({})",
            missing.field, missing.gap.kind
        ));
    }
    let forge = forge(case);
    parts.push(if forge.is_empty() {
        "GitHub was not asked".to_owned()
    } else {
        forge
    });
    parts.join("; ")
}

fn process(name: &str, fact: &ProcessFact) -> String {
    match fact {
        ProcessFact::Found(found) => format!("{name} alive (pid {})", found.pid),
        ProcessFact::Absent(_) => format!("no {name}"),
        ProcessFact::Unknown(gap) => format!("{name} unknown ({}: {})", gap.kind, gap.detail),
        ProcessFact::NotAsked => format!("{name} not looked for"),
    }
}

fn occupant(fact: &OccupantFact) -> String {
    match fact {
        OccupantFact::Found(found) => {
            format!("{} (pid {}) works in the worktree", found.name, found.pid)
        }
        OccupantFact::Absent(_) => "no other process in the worktree".to_owned(),
        OccupantFact::Unknown(gap) => format!(
            "whether another process works in the worktree is unknown ({}: {})",
            gap.kind, gap.detail
        ),
        OccupantFact::NotAsked => "other processes not looked for".to_owned(),
    }
}

/// Where the worktree is now; empty when it stands where the record says, or is not known to stand anywhere.
pub(crate) fn moved(liveness: &Liveness) -> String {
    match &liveness.worktree_moved_to {
        Some(place) => format!("; its worktree was moved to {place}"),
        None => String::new(),
    }
}

fn moment(name: &str, fact: &TimeFact) -> String {
    match fact {
        TimeFact::Found(written) => format!("{name} written at {}", at(*written)),
        TimeFact::Absent(_) => format!("no {name}"),
        TimeFact::Unknown(gap) => format!("{name} unknown ({}: {})", gap.kind, gap.detail),
        TimeFact::NotAsked => format!("{name} not looked at"),
    }
}

/// What a person should know about the worktree before resuming; empty when there is nothing to tell.
pub(crate) fn unsaved(liveness: &Liveness) -> String {
    match unsaved_work(liveness, liveness.unpushed.found().copied()) {
        Some(work) => format!("; there is unsaved work: {work}"),
        None => String::new(),
    }
}

/// `what` of a session that is done, with how old the record is, whether that ends a block of vigil's own, and which of
/// its work exists nowhere but on this machine. Commits that the pull request has are elsewhere.
pub(crate) fn done(case: &Case<'_>, what: String) -> String {
    let said = with_record(case, unblocked(case, what));
    match only_here(case) {
        Some(work) => format!("{said}; only on this machine: {work}"),
        None => said,
    }
}

/// The work of the session that exists nowhere but on this machine; `None`: none was found.
fn only_here(case: &Case<'_>) -> Option<String> {
    let liveness = &case.session().liveness;
    let unpushed = (liveness.unpushed.found().copied())
        .filter(|_| case.evidence.beyond_head.found() != Some(&0));
    unsaved_work(liveness, unpushed)
}

fn unsaved_work(liveness: &Liveness, unpushed: Option<u32>) -> Option<String> {
    let mut parts = Vec::new();
    if liveness.dirty.found() == Some(&true) {
        parts.push("uncommitted changes".to_owned());
    }
    if let Some(commits) = unpushed.filter(|commits| *commits > 0) {
        parts.push(format!("{} on no remote", count(commits, "commit")));
    }
    (!parts.is_empty()).then(|| parts.join(" and "))
}

/// What to type to go on. Only Vigilante's command is known by heart.
pub(crate) fn how_to_resume(case: &Case<'_>) -> String {
    let session = case.session();
    // Its owner looks where the record says.
    let first = match session.liveness.worktree_moved_to {
        Some(_) => "move it back, then ",
        None => "",
    };
    match (&session.repo, session.issue) {
        (Some(repo), Some(issue)) if case.context.source.kind == "vigilante" => {
            format!("{first}resume it with `vigilante resume --repo {repo} --issue {issue}`")
        }
        _ => format!("{first}resume it with {}", case.context.source.kind),
    }
}

/// `1 commit`, `2 commits`.
pub(crate) fn count(n: u32, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
