//! The evidence as a table for people.

use vigil_core::forge::{
    Actor, AutoMerge, Check, HeldRun, Issue, Mergeability, PullRequest, QueueEntry, Reference,
    Review,
};
use vigil_core::named::Value;
use vigil_core::session::{Occupant, Process, Session};
use vigil_core::{Evidence, Fact, Timestamp};

use super::last_known::state_words;
use crate::ui;

/// Every fact in one row, the four answers told apart. The parts of an issue and of a pull request have rows where
/// somebody asked for them.
pub(super) fn rows(evidence: &Evidence, now: Timestamp) -> Vec<Vec<String>> {
    let session = &evidence.session;
    let liveness = &session.liveness;
    let at = |moment: &Timestamp| format!("{} ago", ui::age(*moment, now));
    let maybe =
        |moment: Option<Timestamp>| moment.map_or_else(|| "not recorded".to_owned(), |m| at(&m));
    let process = |process: &Process| match process.started {
        Some(started) => format!("alive: pid {}, started {}", process.pid, at(&started)),
        None => format!("alive: pid {}", process.pid),
    };
    let occupant = |occupant: &Occupant| {
        let Occupant { pid, name, started } = occupant;
        match started {
            Some(started) => format!(
                "{name} works in the worktree: pid {pid}, started {}",
                at(started)
            ),
            None => format!("{name} works in the worktree: pid {pid}"),
        }
    };
    let yes = |flag: &bool| {
        if *flag {
            "yes".to_owned()
        } else {
            "no".to_owned()
        }
    };
    let mut rows = vec![
        (
            "issue",
            match session.lookup.issue {
                Ok(None) if evidence.issue.is_not_asked() => no_issue(session),
                _ => tell(&evidence.issue, now, |issue| describe_issue(issue, now)),
            },
        ),
        (
            "pull request",
            match session.lookup.pull_request {
                Ok(None) if evidence.pull_request.is_not_asked() => {
                    "not asked: the session has none on GitHub".to_owned()
                }
                _ => tell(&evidence.pull_request, now, |pr| {
                    describe_pull_request(pr, now)
                }),
            },
        ),
        ("heartbeat", maybe(session.times.heartbeat)),
        ("started", maybe(session.times.started)),
        ("record updated", maybe(session.times.updated)),
        ("agent process", tell(&liveness.agent, now, process)),
        ("other process", tell(&liveness.occupant, now, occupant)),
        ("supervisor", tell(&liveness.supervisor, now, process)),
        ("log written", tell(&liveness.log_written, now, at)),
        (
            "worktree written",
            tell(&liveness.worktree_written, now, at),
        ),
        ("uncommitted changes", tell(&liveness.dirty, now, yes)),
        (
            "commits on no remote",
            tell(&liveness.unpushed, now, ToString::to_string),
        ),
        (
            "commits beyond the PR",
            tell(&evidence.beyond_head, now, ToString::to_string),
        ),
    ];
    if let Some(place) = &liveness.worktree_moved_to {
        rows.push(("worktree moved to", place.clone()));
    }
    if let Some(outcome) = &liveness.log_outcome {
        rows.push(("log says (a hint)", outcome.clone()));
    }
    // Beside what they are parts of; the pull request's first, so that the issue's do not move its place.
    rows.splice(
        2..2,
        evidence
            .pull_request
            .found()
            .map_or_else(Vec::new, |pr| parts_of_pull_request(pr, now)),
    );
    rows.splice(
        1..1,
        evidence
            .issue
            .found()
            .map_or_else(Vec::new, |issue| parts_of_issue(issue, now)),
    );
    let mut rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, known)| vec![name.to_owned(), known])
        .collect();
    for fact in &session.facts {
        let known = tell(&fact.answer, now, |value| match value {
            Value::Moment(moment) => at(moment),
            Value::Process(found) => process(found),
            Value::Flag(flag) => yes(flag),
            value => value.to_string(),
        });
        rows.push(vec![fact.name.clone(), known]);
    }
    for other in &evidence.passed_over {
        rows.push(vec![
            "passed over".to_owned(),
            format!("#{} ({})", other.number, other.why),
        ]);
    }
    for sibling in &evidence.siblings {
        let kind = if sibling.duplicate {
            "second record"
        } else {
            "sibling"
        };
        rows.push(vec![
            kind.to_owned(),
            format!("{} ({})", sibling.id, sibling.state),
        ]);
    }
    rows
}

type Row = (&'static str, String);

fn parts_of_issue(issue: &Issue, now: Timestamp) -> Vec<Row> {
    let times = |times: &u32| match times {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    asked([
        (
            "assignees",
            part(&issue.assignees, now, |names| {
                all(names, "nobody", Clone::clone)
            }),
        ),
        ("closed by", part(&issue.closer, now, actor)),
        ("reopened", part(&issue.reopened, now, times)),
        (
            "closed by merging",
            part(&issue.closed_by, now, |list| references(list)),
        ),
    ])
}

fn parts_of_pull_request(pr: &PullRequest, now: Timestamp) -> Vec<Row> {
    let looked = format!("(learned {} ago)", ui::age(pr.parts_observed, now));
    let merge = |merge: &Mergeability| {
        let mergeable = if merge.mergeable { "yes" } else { "no" };
        let said = ui::age(merge.observed, now);
        format!("{mergeable}, {} (said {said} ago)", merge.merge_state)
    };
    let checks = |word: &String| format!("{word} {looked}");
    let check = |check: &Check| format!("{} {}", check.name, check.outcome);
    let run = |run: &HeldRun| {
        let name = run.name.as_deref().unwrap_or("a run");
        format!("{name} waits for {}", run.waits_for)
    };
    let queue = |entry: &QueueEntry| format!("place {}, {} {looked}", entry.position, entry.state);
    let wish = |wish: &AutoMerge| match &wish.by {
        Some(by) => format!("{}, as {} wishes", wish.method, actor(by)),
        None => wish.method.clone(),
    };
    let opinion = |review: &Review| {
        let author = review
            .author
            .as_ref()
            .map_or_else(|| "a gone account".to_owned(), actor);
        let earlier = match &review.commit {
            Some(commit) if *commit == pr.head_sha => "",
            Some(_) => " of an earlier commit",
            None => " of a commit that is gone",
        };
        format!("{author} {}{earlier}", review.state)
    };
    let landed = |landed: &bool| match landed {
        true => format!("yes, by way of {}", pr.base_ref),
        false => format!("no: it was merged into {}", pr.base_ref),
    };
    asked([
        (
            "has landed",
            part(&pr.landed, now, landed).filter(|_| !pr.landed.is_absent()),
        ),
        ("could be merged", part(&pr.mergeability, now, merge)),
        ("reviews", part(&pr.review, now, Clone::clone)),
        (
            "single reviews",
            part(&pr.review_list, now, |list| all(list, "none", opinion)),
        ),
        ("checks", part(&pr.checks, now, checks)),
        (
            "single checks",
            part(&pr.check_list, now, |list| {
                // What did not succeed is what one looks for.
                let mut list: Vec<&Check> = list.iter().collect();
                list.sort_by_key(|check| check.outcome == "success");
                all(&list, "none", |one| check(one))
            }),
        ),
        (
            "held runs",
            part(&pr.runs, now, |list| all(list, "none", run)),
        ),
        ("merge queue", part(&pr.queue, now, queue)),
        ("auto-merge", part(&pr.auto_merge, now, wish)),
        (
            "its merge closes",
            part(&pr.closes, now, |list| references(list)),
        ),
    ])
}

/// The rows of those parts that somebody asked for.
fn asked<const N: usize>(rows: [(&'static str, Option<String>); N]) -> Vec<Row> {
    rows.into_iter()
        .filter_map(|(name, known)| Some((name, known?)))
        .collect()
}

/// What is known of a part; `None`: nobody asked.
fn part<T>(fact: &Fact<T>, now: Timestamp, found: impl Fn(&T) -> String) -> Option<String> {
    match fact {
        Fact::NotAsked => None,
        fact => Some(tell(fact, now, found)),
    }
}

/// 12 items of a list: as many as one reads. How many more there are is said, and `--json` has them.
const ITEMS_MAX: usize = 12;

fn all<T>(items: &[T], none: &str, say: impl Fn(&T) -> String) -> String {
    if items.is_empty() {
        return none.to_owned();
    }
    let mut said: Vec<String> = items.iter().take(ITEMS_MAX).map(say).collect();
    if items.len() > ITEMS_MAX {
        said.push(format!("and {} more", items.len() - ITEMS_MAX));
    }
    said.join(", ")
}

fn actor(actor: &Actor) -> String {
    match actor.bot {
        true => format!("{} (a bot)", actor.login),
        false => actor.login.clone(),
    }
}

fn references(named: &[Reference]) -> String {
    all(named, "none", |reference| {
        format!(
            "{}#{} ({})",
            reference.repo, reference.number, reference.state
        )
    })
}

fn tell<T>(fact: &Fact<T>, now: Timestamp, found: impl Fn(&T) -> String) -> String {
    match fact {
        Fact::Found(value) => found(value),
        Fact::Absent(sighting) => {
            let detail = if sighting.detail.is_empty() {
                String::new()
            } else {
                format!(" ({})", sighting.detail)
            };
            format!(
                "absent{detail}, first seen so {} ago",
                ui::age(sighting.first, now)
            )
        }
        Fact::Unknown(gap) => format!("unknown ({gap})"),
        Fact::NotAsked => "not asked".to_owned(),
    }
}

/// Of a session whose issue GitHub does not know.
fn no_issue(session: &Session) -> String {
    match session.tracker.as_str() {
        "github" => "not asked: the record names none".to_owned(),
        tracker => format!("not asked: it lives in {tracker}"),
    }
}

fn describe_issue(issue: &Issue, now: Timestamp) -> String {
    let labels = if issue.labels.is_empty() {
        String::new()
    } else {
        format!(", labels {}", issue.labels.join(", "))
    };
    let state = match (issue.open, issue.closed) {
        (true, _) => "open".to_owned(),
        (false, Some(closed)) => format!(
            "closed {} ago{}",
            ui::age(closed, now),
            issue
                .reason
                .as_deref()
                .map_or_else(String::new, |reason| format!(" as {reason}"))
        ),
        (false, None) => "closed".to_owned(),
    };
    format!(
        "#{} {state}{labels} (learned {} ago)",
        issue.number,
        ui::age(issue.observed, now)
    )
}

fn describe_pull_request(pr: &PullRequest, now: Timestamp) -> String {
    let ended = pr
        .ended()
        .map_or_else(String::new, |at| format!(" {} ago", ui::age(at, now)));
    let state = state_words(pr);
    format!(
        "#{} {state}{ended} (learned {} ago)",
        pr.number,
        ui::age(pr.observed, now)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn read(file: &str) -> Evidence {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/fixtures")
            .join(file);
        serde_json::from_slice(&std::fs::read(path).expect("the fixture")).expect("evidence")
    }

    fn known(evidence: &Evidence, name: &str) -> Option<String> {
        let mut rows = rows(evidence, NOW).into_iter();
        rows.find(|row| row[0] == name).map(|row| row[1].clone())
    }

    #[test]
    fn every_part_that_was_asked_for_has_its_row() {
        let evidence = read("every-fact.json");
        for (name, said) in [
            ("assignees", "mira"),
            ("closed by", "absent, first seen so 0 s ago"),
            ("reopened", "once"),
            ("closed by merging", "acme/storefront#319 (open)"),
            ("could be merged", "yes, blocked (said 1 min ago)"),
            ("reviews", "changes-requested"),
            (
                "single reviews",
                "mira changes-requested, review-bot (a bot) approved of an earlier commit",
            ),
            ("checks", "held (learned 1 min ago)"),
            (
                "single checks",
                "lint neutral, test pending, build (linux) success, build (macos) success",
            ),
            ("held runs", "preview waits for deployment"),
            ("merge queue", "absent, first seen so 1 min ago"),
            ("auto-merge", "squash, as mira wishes"),
            ("its merge closes", "acme/storefront#299 (open)"),
        ] {
            assert_eq!(known(&evidence, name).as_deref(), Some(said), "{name}");
        }
        let names: Vec<String> = rows(&evidence, NOW)
            .into_iter()
            .map(|mut row| row.remove(0))
            .collect();
        assert_eq!(names[..3], ["issue", "assignees", "closed by"]);
        assert_eq!(names[5..7], ["pull request", "could be merged"]);
    }

    #[test]
    fn what_nobody_asked_for_has_no_row_and_what_is_unknown_says_why() {
        let mut evidence = read("full-evidence.json");
        for name in ["assignees", "single reviews", "merge queue"] {
            assert_eq!(known(&evidence, name), None, "{name}");
        }
        if let Fact::Found(pr) = &mut evidence.pull_request {
            pr.runs = Fact::unknown(vigil_core::GapKind::Denied, "no permission for Actions");
        }
        let said = known(&evidence, "held runs").expect("a row");
        assert!(said.contains("no permission for Actions"), "{said}");
    }

    #[test]
    fn a_long_list_says_how_much_of_it_is_left_out() {
        let items: Vec<usize> = (0..ITEMS_MAX + 3).collect();
        let said = all(&items, "none", ToString::to_string);
        assert!(said.ends_with("11, and 3 more"), "{said}");
        assert_eq!(all::<usize>(&[], "none", ToString::to_string), "none");
    }
}
