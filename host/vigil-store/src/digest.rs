//! What tells two evidences apart once time is left out: the reason why a quiet day adds no row to the journal.

use std::fmt;

use sha2::{Digest as _, Sha256};
use vigil_core::evidence::Evidence;
use vigil_core::fact::{Fact, Gap, Sighting};
use vigil_core::forge::{Issue, PullRequest};
use vigil_core::named::{NamedFact, Value};
use vigil_core::session::{Liveness, Occupant, Process, Revision, Session, Times};
use vigil_core::time::Timestamp;

/// The digest of an evidence without its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EvidenceDigest(pub(crate) [u8; 32]);

impl fmt::Display for EvidenceDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The digest of what `evidence` says, without when it says so.
///
/// Left out, because it changes from look to look while nothing happens:
/// - every moment: those of the record, of a process's start, of the last writes, of sightings and of gaps' beginnings,
///   of the forge's events (their effect, such as `merged`, stays) and of the looks themselves. That there is a moment
///   stays: a session with a heartbeat is not one without;
/// - a gap's text, in which systems put delays and request numbers. Its kind stays;
/// - the record's revision, which moves with the heartbeat inside it;
/// - the order of labels, siblings, field gaps, extras and of what the forge lists, which means nothing.
///
/// All else counts, a pid among it: another process is another fact. The digest is the SHA-256 of the JSON of what is
/// left. A build that adds a field to the evidence gives other digests, so each session gets one new journal row.
pub fn evidence_digest(evidence: &Evidence) -> EvidenceDigest {
    let mut timeless = evidence.clone();
    strip(&mut timeless);
    let mut hash = Sha256::new();
    hash.update(b"vigil evidence 1\n");
    hash.update(json(&timeless));
    EvidenceDigest(hash.finalize().into())
}

/// `value` as JSON. The kernel's types have only string keys and no maps that could fail; a failure is told in the
/// text, so that it can never be taken for an empty value.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| format!("\"unwritable: {error}\""))
}

// The patterns below name every field: whoever adds one to the kernel's types has to say here whether it is a time.
fn strip(evidence: &mut Evidence) {
    let Evidence {
        session,
        issue,
        pull_request,
        beyond_head,
        passed_over,
        siblings,
    } = evidence;
    strip_session(session);
    fact(issue, strip_issue);
    fact(pull_request, strip_pull_request);
    fact(beyond_head, |_| ());
    passed_over.sort_by_key(|one| one.number);
    siblings.sort_by(|one, other| one.id.cmp(&other.id));
}

fn strip_session(session: &mut Session) {
    let Session {
        id: _,
        revision,
        tracker: _,
        repo: _,
        issue: _,
        branch: _,
        base: _,
        pull_request: _,
        state: _,
        native_state: _,
        times,
        liveness,
        attempts: _,
        tasks,
        gaps,
        readable: _,
        facts,
        owner_says: _,
        owner_words: _,
        lookup,
        owner_effects,
    } = session;
    *revision = Revision(String::new());
    if let Some(if_left) = &mut owner_effects.if_left {
        maybe(&mut if_left.silent_from);
    }
    let Times {
        started,
        heartbeat,
        updated,
        ended,
    } = times;
    for time in [started, heartbeat, updated, ended] {
        maybe(time);
    }
    let Liveness {
        agent,
        occupant,
        supervisor,
        log_written,
        log_outcome: _,
        worktree_written,
        worktree_moved_to: _,
        dirty,
        unpushed,
    } = liveness;
    for process in [agent, supervisor] {
        fact(process, |Process { pid: _, started }| maybe(started));
    }
    fact(
        occupant,
        |Occupant {
             pid: _,
             name: _,
             started,
         }| maybe(started),
    );
    for written in [log_written, worktree_written] {
        fact(written, |at| *at = Timestamp::default());
    }
    fact(dirty, |_| ());
    fact(unpushed, |_| ());
    for task in tasks {
        fact(&mut task.heartbeat, |at| *at = Timestamp::default());
        strip_facts(&mut task.facts);
    }
    for missing in gaps.iter_mut() {
        strip_gap(&mut missing.gap);
    }
    gaps.sort_by(|one, other| one.field.cmp(&other.field));
    strip_facts(facts);
    if let Err(gap) = &mut lookup.issue {
        strip_gap(gap);
    }
    if let Err(gap) = &mut lookup.pull_request {
        strip_gap(gap);
    }
}

fn strip_facts(facts: &mut [NamedFact]) {
    for known in facts.iter_mut() {
        fact(&mut known.answer, |value| match value {
            Value::Moment(at) => *at = Timestamp::default(),
            Value::Process(Process { pid: _, started }) => maybe(started),
            Value::Names(names) => names.sort(),
            Value::Text(_) | Value::Number(_) | Value::Flag(_) => {}
        });
    }
    facts.sort_by(|one, other| one.name.cmp(&other.name));
}

fn strip_issue(issue: &mut Issue) {
    let Issue {
        number: _,
        open: _,
        reason: _,
        labels,
        closed,
        assignees,
        closer,
        reopened,
        closed_by,
        observed,
    } = issue;
    labels.sort();
    maybe(closed);
    fact(assignees, |logins| logins.sort());
    fact(closer, |_| ());
    fact(reopened, |_| ());
    fact(closed_by, |references| unordered(references));
    *observed = Timestamp::default();
}

fn strip_pull_request(pull_request: &mut PullRequest) {
    let PullRequest {
        number: _,
        state: _,
        draft: _,
        created,
        merged,
        closed,
        url: _,
        head_ref: _,
        base_ref: _,
        head_sha: _,
        head_owner: _,
        merge_commit: _,
        landed,
        mergeability,
        review,
        review_list,
        checks,
        check_list,
        runs,
        queue,
        auto_merge,
        closes,
        parts_observed,
        observed,
    } = pull_request;
    for at in [created, parts_observed, observed] {
        *at = Timestamp::default();
    }
    maybe(merged);
    maybe(closed);
    fact(landed, |_| ());
    fact(mergeability, |merge| merge.observed = Timestamp::default());
    fact(review, |_| ());
    fact(review_list, |reviews| {
        for review in reviews.iter_mut() {
            maybe(&mut review.submitted);
        }
        unordered(reviews);
    });
    fact(checks, |_| ());
    fact(check_list, |checks| unordered(checks));
    fact(runs, |runs| unordered(runs));
    fact(queue, |_| ());
    fact(auto_merge, |_| ());
    fact(closes, |references| unordered(references));
}

/// Puts into one order what has none, by all that is left of each item once its times are gone: two reviews of accounts
/// that are gone, or two checks of one name, have no other rank between them.
fn unordered<T: serde::Serialize>(items: &mut [T]) {
    items.sort_by_cached_key(json);
}

fn fact<T>(fact: &mut Fact<T>, strip: impl FnOnce(&mut T)) {
    match fact {
        Fact::Found(value) => strip(value),
        Fact::Absent(sighting) => {
            let Sighting {
                first,
                last,
                detail: _,
            } = sighting.as_mut();
            *first = Timestamp::default();
            *last = Timestamp::default();
        }
        Fact::Unknown(gap) => strip_gap(gap),
        Fact::NotAsked => {}
    }
}

fn strip_gap(gap: &mut Gap) {
    let Gap {
        kind: _,
        detail,
        since,
    } = gap;
    detail.clear();
    *since = None;
}

fn maybe(time: &mut Option<Timestamp>) {
    if let Some(time) = time {
        *time = Timestamp::default();
    }
}
