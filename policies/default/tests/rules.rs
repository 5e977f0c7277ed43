//! Every row of the table and its edges: the verdict and the rule that gave it.

use vigil_policy_default::DefaultPolicy;
use vigil_policy_default::rules::{
    ACTIVE, AGENT_GONE, CLOSED_ISSUE, CLOSED_PR, DONE_ISSUE, GITHUB_UNKNOWN, GONE_ISSUE,
    MERGED_ELSEWHERE, MERGED_PR, NO_EVIDENCE, OCCUPIED, OPEN_PR, STUCK_MAINTENANCE, UNMERGED_WORK,
};
use vigil_sdk::State::{
    Blocked, Closed, Failed, Interrupted, Maintaining, Queued, Running, Succeeded,
};
use vigil_sdk::Verdict::{Hold, Pass, Repair, Transition};
use vigil_sdk::evidence::{
    EvidenceBuilder, absent, absent_for, ago, closed_ago, context, evidence, merged_ago, occupant,
    open, process, rejected_ago, under_review, unknown,
};
use vigil_sdk::time::{hours, mins};
use vigil_sdk::{Context, Decision, FactName, OwnerFact, Policy, State, Verdict};

fn judge(context: &Context, built: EvidenceBuilder) -> Decision {
    DefaultPolicy::decide(context, &built.build())
}

#[track_caller]
fn check(built: EvidenceBuilder, verdict: Verdict, rule: &str) {
    check_in(&context(), built, verdict, rule);
}

#[track_caller]
fn check_in(context: &Context, built: EvidenceBuilder, verdict: Verdict, rule: &str) {
    let decision = judge(context, built);
    assert_eq!(
        (&decision.verdict, decision.rule.as_str()),
        (&verdict, rule),
        "{}",
        decision.reason
    );
}

/// Running, silent for 109 min, every place looked at, supervisor alive: the session of the seed before GitHub speaks.
fn stale() -> EvidenceBuilder {
    evidence()
        .running()
        .started_ago(mins(120))
        .heartbeat_ago(mins(109))
        .updated_ago(mins(109))
        .agent(absent())
        .occupant(absent())
        .supervisor(process(4242, hours(5)))
        .log_written(ago(mins(109)))
        .worktree_written(ago(mins(109)))
        .dirty(false)
        .unpushed(0)
        .beyond_head(0)
}

/// The same without its agent's supervisor, its issue open and without a pull request.
fn gone() -> EvidenceBuilder {
    stale()
        .supervisor(absent())
        .issue(open())
        .pull_request(absent())
}

// ---- The seed --------------------------------------------------------------------------------------------------------

#[test]
fn the_seed_succeeds_when_its_pull_request_was_merged() {
    let decision = judge(
        &context(),
        stale()
            .log_outcome("success")
            .issue(closed_ago(mins(80)).labelled("vigilante:done"))
            .pull_request(merged_ago(mins(80))),
    );
    assert_eq!(decision.verdict, Transition(Succeeded));
    assert_eq!(decision.rule, MERGED_PR);
    assert_eq!(
        decision.reason,
        "PR #319 was merged at 2026-03-26T17:40:00Z; the record was last touched at 2026-03-26T17:11:00Z"
    );
}

#[test]
fn the_seed_is_looked_after_when_its_pull_request_is_open() {
    let closed = closed_ago(mins(80)).labelled("vigilante:done");
    check(
        stale().issue(closed).pull_request(under_review()),
        Transition(Maintaining),
        OPEN_PR,
    );
}

#[test]
fn the_seed_stays_when_github_is_unreachable() {
    let decision = judge(
        &context(),
        stale()
            .log_outcome("success")
            .issue(unknown("unreachable", "no route to host"))
            .pull_request(unknown("unreachable", "no route to host")),
    );
    assert_eq!(
        (decision.verdict, decision.rule.as_str()),
        (Hold, GITHUB_UNKNOWN)
    );
    assert_eq!(
        decision.reason,
        "the pull request is unknown (unreachable: no route to host); the record stays at running until it is known"
    );
    assert_eq!(decision.look_again_after, Some(mins(1)));
}

// ---- active ----------------------------------------------------------------------------------------------------------

#[test]
fn an_agent_at_work_holds_whatever_github_says() {
    let at_work = || stale().agent(process(77, mins(100)));
    check(at_work(), Hold, ACTIVE);
    check(
        at_work()
            .issue(closed_ago(hours(9)))
            .pull_request(merged_ago(hours(9))),
        Hold,
        ACTIVE,
    );
    check(
        at_work()
            .issue(unknown("timed-out", "10 s"))
            .pull_request(absent()),
        Hold,
        ACTIVE,
    );
}

#[test]
fn any_of_the_four_signs_within_fresh_for_holds() {
    let quiet = || evidence().running().issue(open()).pull_request(absent());
    let at = mins(30) - 1;
    for fresh in [
        quiet().started_ago(at),
        quiet().heartbeat_ago(at),
        quiet().log_written(ago(at)),
        quiet().worktree_written(ago(at)),
    ] {
        check(fresh, Hold, ACTIVE);
    }
    let at = mins(30);
    for silent in [
        quiet().started_ago(at),
        quiet().heartbeat_ago(at),
        quiet().log_written(ago(at)),
        quiet().worktree_written(ago(at)),
    ] {
        check(silent, Hold, NO_EVIDENCE);
    }
}

#[test]
fn bookkeeping_is_no_sign_of_life() {
    check(
        stale().updated_ago(0).issue(open()).pull_request(absent()),
        Hold,
        NO_EVIDENCE,
    );
}

#[test]
fn fresh_for_is_the_sources() {
    let quiet = || stale().issue(open()).pull_request(absent());
    check_in(&context().fresh_for(mins(110)), quiet(), Hold, ACTIVE);
    check_in(&context().fresh_for(mins(109)), quiet(), Hold, NO_EVIDENCE);
}

#[test]
fn a_leftover_watcher_holds_for_thirty_minutes_and_no_longer() {
    let writes = || stale().log_written(ago(mins(1)));
    for (ended, verdict, rule) in [
        (mins(29), Hold, ACTIVE),
        (mins(30), Transition(Succeeded), MERGED_PR),
    ] {
        check(
            writes().issue(open()).pull_request(merged_ago(ended)),
            verdict,
            rule,
        );
    }
    for (ended, verdict, rule) in [
        (mins(29), Hold, ACTIVE),
        (mins(30), Transition(Closed), CLOSED_ISSUE),
    ] {
        check(
            writes().issue(closed_ago(ended)).pull_request(absent()),
            verdict,
            rule,
        );
    }
}

#[test]
fn an_end_that_is_unknown_bounds_nothing() {
    check(
        stale()
            .log_written(ago(mins(1)))
            .issue(unknown("timed-out", "10 s"))
            .pull_request(unknown("timed-out", "10 s")),
        Hold,
        ACTIVE,
    );
}

#[test]
fn a_run_that_began_after_its_issue_was_closed_is_no_leftover() {
    let begun = evidence()
        .running()
        .started_ago(mins(5))
        .issue(closed_ago(hours(48)))
        .pull_request(absent());
    check(begun, Hold, ACTIVE);
}

#[test]
fn after_a_break_silence_starts_anew() {
    let quiet = || stale().issue(open()).pull_request(absent());
    check_in(&context().awake_ago(mins(29)), quiet(), Hold, ACTIVE);
    check_in(&context().awake_ago(mins(31)), quiet(), Hold, NO_EVIDENCE);
    // What ended long before is known all the same.
    check_in(
        &context().awake_ago(mins(1)),
        stale()
            .issue(closed_ago(mins(80)))
            .pull_request(merged_ago(mins(80))),
        Transition(Succeeded),
        MERGED_PR,
    );
}

#[test]
fn a_fresh_session_is_looked_at_again_when_it_stops_being_fresh() {
    let decision = judge(
        &context(),
        stale()
            .heartbeat_ago(mins(12))
            .issue(open())
            .pull_request(absent()),
    );
    assert_eq!(decision.look_again_after, Some(mins(18)));
    assert_eq!(
        decision.reason,
        "its last heartbeat was at 2026-03-26T18:48:00Z; it counts as at work until 2026-03-26T19:18:00Z"
    );
}

#[test]
fn only_running_sessions_are_active() {
    check(
        stale()
            .state(Interrupted)
            .agent(process(77, mins(100)))
            .issue(open())
            .pull_request(under_review()),
        Transition(Maintaining),
        OPEN_PR,
    );
}

// ---- github-unknown --------------------------------------------------------------------------------------------------

#[test]
fn one_unknown_answer_outweighs_any_other() {
    let gap = || unknown("rate-limited", "until 19:30");
    for state in [Running, Blocked, Interrupted, Maintaining] {
        for built in [
            stale().issue(gap()).pull_request(absent()),
            stale().issue(gap()).pull_request(merged_ago(mins(80))),
            stale().issue(gap()).pull_request(under_review()),
            stale().issue(gap()).pull_request(rejected_ago(mins(80))),
            stale().issue(closed_ago(mins(80))).pull_request(gap()),
            stale().issue(absent_for(hours(1))).pull_request(gap()),
            stale()
                .issue(open().labelled("vigilante:done"))
                .pull_request(gap()),
        ] {
            check(built.state(state), Hold, GITHUB_UNKNOWN);
        }
    }
}

#[test]
fn commits_that_could_not_be_counted_hold_where_they_would_decide() {
    let uncounted = |state: State| {
        stale()
            .state(state)
            .issue(closed_ago(mins(80)))
            .beyond_head(unknown("timed-out", "git did not answer"))
    };
    for state in [Running, Interrupted, Blocked] {
        check(
            uncounted(state).pull_request(merged_ago(mins(80))),
            Hold,
            GITHUB_UNKNOWN,
        );
    }
    for state in [Running, Interrupted] {
        check(
            uncounted(state).pull_request(rejected_ago(mins(80))),
            Hold,
            GITHUB_UNKNOWN,
        );
    }
    check(
        uncounted(Maintaining).pull_request(merged_ago(mins(80))),
        Transition(Succeeded),
        MERGED_PR,
    );
    check(
        uncounted(Running).pull_request(under_review()),
        Transition(Maintaining),
        OPEN_PR,
    );
}

#[test]
fn the_wait_grows_with_the_gap() {
    let wait = |since: u64| {
        let mut gap = unknown("unreachable", "down");
        gap.since = Some(ago(since));
        let decision = judge(&context(), stale().issue(gap).pull_request(absent()));
        assert!(
            decision.reason.contains("issue #299"),
            "{}",
            decision.reason
        );
        decision.look_again_after
    };
    assert_eq!(wait(mins(4)), Some(mins(4)));
    assert_eq!(wait(hours(4)), Some(mins(30)));
}

#[test]
fn a_failed_session_is_held_only_where_the_unknown_fact_could_move_it() {
    let failed = || stale().state(Failed);
    let gap = || unknown("unreachable", "down");
    for built in [
        failed().pull_request(gap()).issue(open()),
        failed().pull_request(merged_ago(mins(80))).issue(gap()),
        failed().pull_request(under_review()).issue(gap()),
    ] {
        check(built, Hold, GITHUB_UNKNOWN);
    }
    check(failed().pull_request(absent()).issue(gap()), Pass, "");
}

#[test]
fn an_issue_in_another_tracker_is_no_gap_in_what_github_said() {
    let linear = || {
        stale()
            .tracker("linear")
            .issue(unknown("unsupported", "the issue lives in linear"))
    };
    check(
        linear().pull_request(merged_ago(mins(80))),
        Transition(Succeeded),
        MERGED_PR,
    );
    check(
        linear().pull_request(under_review()),
        Transition(Maintaining),
        OPEN_PR,
    );
    check(
        linear().pull_request(merged_ago(mins(80))).beyond_head(2),
        Transition(Blocked),
        UNMERGED_WORK,
    );
    for state in [Running, Interrupted, Maintaining] {
        check(
            linear().state(state).pull_request(rejected_ago(mins(80))),
            Hold,
            GITHUB_UNKNOWN,
        );
    }
    for state in [Running, Interrupted, Blocked] {
        check(
            linear().state(state).pull_request(absent()),
            Hold,
            GITHUB_UNKNOWN,
        );
    }
}

// ---- unmerged-work and merged-pr -------------------------------------------------------------------------------------

#[test]
fn commits_that_an_ended_pull_request_lacks_are_a_persons_matter() {
    for state in [Running, Interrupted] {
        for ended in [merged_ago(mins(80)), rejected_ago(mins(80))] {
            check(
                stale()
                    .state(state)
                    .issue(closed_ago(mins(80)))
                    .pull_request(ended)
                    .beyond_head(1),
                Transition(Blocked),
                UNMERGED_WORK,
            );
        }
    }
}

#[test]
fn a_session_blocked_for_unmerged_work_stays_until_the_person_has_decided() {
    let blocked = stale()
        .state(Blocked)
        .issue(closed_ago(mins(80)))
        .pull_request(merged_ago(mins(80)));
    check(blocked.clone().beyond_head(2), Hold, UNMERGED_WORK);
    check(blocked.beyond_head(0), Transition(Succeeded), MERGED_PR);
}

#[test]
fn a_merge_that_has_not_landed_waits_until_it_has() {
    for state in State::ALL {
        let elsewhere = merged_ago(mins(80))
            .into_branch("feature/parent")
            .landed(false);
        let built = stale().state(state).issue(open()).pull_request(elsewhere);
        match state {
            Running | Interrupted | Maintaining => {
                check(built, Transition(Blocked), MERGED_ELSEWHERE);
            }
            Blocked => check(built, Hold, MERGED_ELSEWHERE),
            Failed | Queued | Succeeded | Closed => check(built, Pass, ""),
        }
        let lost = merged_ago(mins(80)).landed(unknown("unreachable", "no way"));
        let built = stale().state(state).issue(open()).pull_request(lost);
        match state {
            Succeeded | Closed => check(built, Pass, ""),
            _ => check(built, Hold, GITHUB_UNKNOWN),
        }
    }
}

#[test]
fn a_merge_ends_every_state_but_the_settled_and_the_queued() {
    for state in State::ALL {
        let built = stale()
            .state(state)
            .issue(closed_ago(mins(80)))
            .pull_request(merged_ago(mins(80)));
        match state {
            Running | Interrupted | Blocked | Failed | Maintaining => {
                check(built, Transition(Succeeded), MERGED_PR);
            }
            Queued | Succeeded | Closed => check(built, Pass, ""),
        }
    }
}

#[test]
fn a_merge_beats_an_open_issue_and_a_missing_one() {
    for built in [
        stale().issue(open()),
        stale().issue(absent()),
        stale().issue(open().labelled("vigilante:done")),
    ] {
        check(
            built.pull_request(merged_ago(mins(80))),
            Transition(Succeeded),
            MERGED_PR,
        );
    }
}

// ---- open-pr ---------------------------------------------------------------------------------------------------------

#[test]
fn an_open_pull_request_is_looked_after_in_the_states_of_its_row() {
    for state in State::ALL {
        let built = stale()
            .state(state)
            .issue(open())
            .pull_request(under_review());
        match state {
            Running | Interrupted | Failed => check(built, Transition(Maintaining), OPEN_PR),
            Maintaining => check(built, Pass, OPEN_PR),
            Queued | Blocked | Succeeded | Closed => check(built, Pass, ""),
        }
    }
}

#[test]
fn a_session_that_failed_on_purpose_stays_failed() {
    let failed = || {
        stale()
            .state(Failed)
            .issue(open())
            .pull_request(under_review())
    };
    check(failed().fact(OwnerFact::Cleanup, "cli"), Pass, OPEN_PR);
    for stage in [
        "pr_maintenance",
        "ci_remediation",
        "conflict_resolution",
        "automatic_worktree_cleanup",
    ] {
        check(failed().fact(OwnerFact::Stage, stage), Pass, OPEN_PR);
    }
    for name in [OwnerFact::Stage, OwnerFact::Cleanup] {
        let gap = unknown("malformed", "a number where text belongs");
        check(failed().fact(name, gap), Pass, OPEN_PR);
    }
    check(
        failed().fact(OwnerFact::Stage, "issue_execution"),
        Transition(Maintaining),
        OPEN_PR,
    );
    // A merge says more than any of that.
    check(
        failed()
            .fact(OwnerFact::Cleanup, "cli")
            .pull_request(merged_ago(mins(80))),
        Transition(Succeeded),
        MERGED_PR,
    );
}

// ---- closed-pr -------------------------------------------------------------------------------------------------------

#[test]
fn a_closed_pull_request_ends_a_session_whose_issue_is_over() {
    for state in [Running, Interrupted, Maintaining] {
        let rejected = || stale().state(state).pull_request(rejected_ago(mins(80)));
        check(
            rejected().issue(closed_ago(mins(80)).because("not-planned")),
            Transition(Closed),
            CLOSED_PR,
        );
        check(
            rejected().issue(absent_for(mins(10))),
            Transition(Closed),
            CLOSED_PR,
        );
        check(rejected().issue(open()), Transition(Blocked), CLOSED_PR);
    }
    for state in [Queued, Blocked, Failed, Succeeded, Closed] {
        check(
            stale()
                .state(state)
                .pull_request(rejected_ago(mins(80)))
                .issue(closed_ago(mins(80))),
            Pass,
            "",
        );
    }
}

#[test]
fn what_a_closed_pull_request_of_an_open_issue_means_can_be_set() {
    let rejected = || stale().issue(open()).pull_request(rejected_ago(mins(80)));
    let set = |settings: &str| context().settings(settings);
    let mut lenient = context();
    lenient.source.closed_pr_is_final = true;
    for (context, verdict) in [
        (context(), Transition(Blocked)),
        (
            set(r#"{"closed_pr_of_open_issue":"blocked"}"#),
            Transition(Blocked),
        ),
        (
            set(r#"{"closed_pr_of_open_issue":"closed"}"#),
            Transition(Closed),
        ),
        (lenient.clone(), Transition(Closed)),
        (
            lenient.settings(r#"{"closed_pr_of_open_issue":"blocked"}"#),
            Transition(Blocked),
        ),
        (set(r#"{"closed_pr_of_open_issue":"gone"}"#), Hold),
    ] {
        check_in(&context, rejected(), verdict, CLOSED_PR);
    }
}

// ---- done-issue, closed-issue, gone-issue ----------------------------------------------------------------------------

#[test]
fn a_final_label_closes_a_session_without_a_pull_request() {
    for state in [Running, Interrupted, Blocked] {
        let alone = || stale().state(state).pull_request(absent());
        check(
            alone().issue(open().labelled("bug").labelled("vigilante:done")),
            Transition(Closed),
            DONE_ISSUE,
        );
    }
    let near_miss = open().labelled("Vigilante:Done");
    check(
        stale().pull_request(absent()).issue(near_miss),
        Hold,
        NO_EVIDENCE,
    );
    let mut other = context();
    other.source.final_labels = vec!["shipped".into()];
    check_in(
        &other,
        stale()
            .pull_request(absent())
            .issue(open().labelled("shipped")),
        Transition(Closed),
        DONE_ISSUE,
    );
    for state in [Maintaining, Failed] {
        check(
            stale()
                .state(state)
                .pull_request(absent())
                .issue(open().labelled("vigilante:done")),
            Pass,
            "",
        );
    }
}

#[test]
fn a_closed_issue_closes_a_session_without_a_pull_request() {
    for reason in ["completed", "not-planned", "duplicate"] {
        for state in [Running, Interrupted] {
            check(
                stale()
                    .state(state)
                    .pull_request(absent())
                    .issue(closed_ago(mins(80)).because(reason)),
                Transition(Closed),
                CLOSED_ISSUE,
            );
        }
    }
}

#[test]
fn a_blocked_session_is_closed_only_by_a_completed_issue() {
    let blocked = |issue| stale().state(Blocked).pull_request(absent()).issue(issue);
    let unreasoned = || {
        let mut issue = closed_ago(mins(80));
        issue.reason = None;
        issue
    };
    check(
        blocked(closed_ago(mins(80))),
        Transition(Closed),
        CLOSED_ISSUE,
    );
    check(
        blocked(closed_ago(mins(80)).because("not-planned")),
        Pass,
        CLOSED_ISSUE,
    );
    check(blocked(unreasoned()), Pass, CLOSED_ISSUE);
}

#[test]
fn an_issue_is_gone_after_two_looks_ten_minutes_apart() {
    for state in [Running, Interrupted, Blocked] {
        let alone = |span| {
            stale()
                .state(state)
                .pull_request(absent())
                .issue(absent_for(span))
        };
        check(alone(mins(10)), Transition(Closed), GONE_ISSUE);
        match state {
            Running => check(alone(mins(10) - 1), Hold, NO_EVIDENCE),
            _ => check(alone(mins(10) - 1), Pass, GONE_ISSUE),
        }
    }
}

#[test]
fn an_earlier_runs_pull_request_is_no_pull_request() {
    let mut earlier = absent();
    earlier.detail = "earlier-run".into();
    check(
        stale().pull_request(earlier).issue(closed_ago(mins(80))),
        Transition(Closed),
        CLOSED_ISSUE,
    );
}

// ---- stuck-maintenance -----------------------------------------------------------------------------------------------

#[test]
fn a_mark_of_maintenance_is_removed_when_its_owner_is_gone() {
    let marked = || {
        stale()
            .state(Maintaining)
            .issue(open())
            .pull_request(under_review())
            .fact(OwnerFact::MaintenanceInFlight, true)
    };
    check(
        marked().supervisor(absent()),
        Repair(vec!["maintenance-in-flight".into()]),
        STUCK_MAINTENANCE,
    );
    check(marked(), Pass, OPEN_PR);
    check(
        marked().supervisor(unknown("other-namespace", "a container's pid")),
        Pass,
        OPEN_PR,
    );
    check(
        stale()
            .state(Maintaining)
            .issue(open())
            .pull_request(under_review())
            .supervisor(absent()),
        Pass,
        OPEN_PR,
    );
}

// ---- agent-gone and no-evidence --------------------------------------------------------------------------------------

#[test]
fn an_agent_that_is_gone_for_good_is_a_persons_matter() {
    let decision = judge(&context(), gone().dirty(true).unpushed(2));
    assert_eq!(decision.verdict, Transition(Blocked));
    assert_eq!(decision.rule, AGENT_GONE);
    assert_eq!(
        decision.reason,
        "the agent is gone (no process, its supervisor is dead), nothing was written since 2026-03-26T17:11:00Z, issue #299 is open \
         and has no pull request; there is unsaved work: uncommitted changes and 2 commits on no remote; resume it \
         with `vigilante resume --repo acme/app --issue 299`"
    );
    check(
        stale()
            .worktree_written(absent())
            .issue(open())
            .pull_request(absent()),
        Transition(Blocked),
        AGENT_GONE,
    );
}

#[test]
fn silence_is_measured_to_the_millisecond_and_from_the_last_break() {
    let silent_for = |span| {
        gone()
            .started_ago(hours(9))
            .heartbeat_ago(hours(9))
            .worktree_written(ago(hours(9)))
            .log_written(ago(span))
    };
    check(silent_for(mins(50)), Transition(Blocked), AGENT_GONE);
    check(silent_for(mins(50) - 1), Hold, NO_EVIDENCE);
    check_in(
        &context().awake_ago(mins(49)),
        silent_for(hours(8)),
        Hold,
        NO_EVIDENCE,
    );
    check_in(
        &context().fresh_for(mins(60)),
        silent_for(mins(79)),
        Hold,
        NO_EVIDENCE,
    );
}

#[test]
fn a_gap_in_liveness_proves_no_death() {
    let gap = || unknown("other-namespace", "a container's pid");
    for built in [
        gone().agent(gap()),
        gone().occupant(gap()),
        gone().supervisor(gap()),
        gone().log_written(gap()),
        gone().worktree_written(gap()),
        gone().worktree_written(absent()).supervisor(gap()),
        gone().field_gap("times.heartbeat", unknown("in-the-future", "2031")),
    ] {
        check(built, Hold, NO_EVIDENCE);
    }
    // A gap that has nothing to do with life does not matter.
    check(
        gone().field_gap("extra.provider", unknown("malformed", "a list")),
        Transition(Blocked),
        AGENT_GONE,
    );
}

#[test]
fn a_process_in_the_worktree_may_be_the_agent() {
    let occupied = || gone().occupant(occupant("node", 77, mins(100)));
    check(occupied(), Hold, OCCUPIED);
    let decision = judge(&context(), occupied());
    assert_eq!(
        decision.reason,
        "no known agent is left (no process, its supervisor is dead) and nothing was written since \
         2026-03-26T17:11:00Z, but node (pid 77, started at 2026-03-26T17:20:00Z) works in its worktree; if that is no \
         agent, list its name in `ignore_processes`"
    );
    let moved = judge(&context(), occupied().worktree_moved_to("/w"));
    assert!(
        moved.reason.contains("its worktree was moved to /w"),
        "{}",
        moved.reason
    );
    // What GitHub decides it leaves alone.
    check(
        occupied().pull_request(merged_ago(mins(80))),
        Transition(Succeeded),
        MERGED_PR,
    );
    check(
        occupied().pull_request(rejected_ago(mins(80))),
        Transition(Blocked),
        CLOSED_PR,
    );
}

#[test]
fn where_nobody_looked_nobody_is_gone() {
    let unseen = evidence()
        .running()
        .heartbeat_ago(mins(109))
        .issue(open())
        .pull_request(absent());
    check(unseen, Hold, NO_EVIDENCE);
}

#[test]
fn a_living_supervisor_and_a_worktree_are_no_proof_of_death() {
    check(
        stale().issue(open()).pull_request(absent()),
        Hold,
        NO_EVIDENCE,
    );
}

#[test]
fn a_record_without_any_time_is_stale_but_not_dead() {
    let timeless = || {
        evidence()
            .running()
            .agent(absent())
            .occupant(absent())
            .supervisor(absent())
            .log_written(absent())
            .worktree_written(absent())
            .issue(open())
            .pull_request(absent())
    };
    check(timeless(), Hold, NO_EVIDENCE);
    check(
        timeless().updated_ago(mins(109)),
        Transition(Blocked),
        AGENT_GONE,
    );
    check(
        timeless()
            .updated_ago(mins(109))
            .issue(closed_ago(mins(80))),
        Transition(Closed),
        CLOSED_ISSUE,
    );
}

#[test]
fn no_evidence_says_what_was_looked_at() {
    let decision = judge(
        &context(),
        stale()
            .log_outcome("success")
            .issue(open())
            .pull_request(absent()),
    );
    assert_eq!(
        decision.reason,
        "stale: its worktree was last written at 2026-03-26T17:11:00Z; no agent process; no other process in the \
         worktree; supervisor alive (pid 4242); log written at 2026-03-26T17:11:00Z; worktree written at \
         2026-03-26T17:11:00Z; the log claims success; there is no pull request and issue #299 is open"
    );
}

// ---- wants -----------------------------------------------------------------------------------------------------------

#[test]
fn a_session_that_nothing_can_move_costs_no_request() {
    for state in State::ALL {
        let session = evidence().state(state).build().session;
        let wants = DefaultPolicy::wants(&context(), &session);
        match state {
            Queued | Succeeded | Closed => assert_eq!(wants, []),
            _ => assert_eq!(wants, [FactName::PullRequest, FactName::Issue], "{state:?}"),
        }
    }
}

#[test]
fn an_issue_that_cannot_be_asked_for_is_not_wanted() {
    let mut elsewhere = evidence().tracker("linear").build().session;
    assert_eq!(
        DefaultPolicy::wants(&context(), &elsewhere),
        [FactName::PullRequest]
    );
    elsewhere.tracker = "github".into();
    elsewhere.issue = None;
    assert_eq!(
        DefaultPolicy::wants(&context(), &elsewhere),
        [FactName::PullRequest]
    );
}

#[test]
fn work_that_exists_only_here_is_named_wherever_a_session_is_done() {
    let merged = || {
        stale()
            .issue(closed_ago(mins(78)))
            .pull_request(merged_ago(mins(80)))
    };
    let rejected = || {
        stale()
            .issue(closed_ago(mins(78)))
            .pull_request(rejected_ago(mins(80)))
    };
    let closed = || stale().issue(closed_ago(mins(78))).pull_request(absent());
    let done = |built: EvidenceBuilder| judge(&context(), built).reason;
    for built in [merged(), rejected(), closed()] {
        let reason = done(built);
        assert!(!reason.contains("only on this machine"), "{reason}");
    }
    for built in [merged(), rejected(), closed()] {
        let reason = done(built.dirty(true));
        let named = "; only on this machine: uncommitted changes";
        assert!(reason.ends_with(named), "{reason}");
    }
    // What the pull request has is elsewhere; without one it is nowhere else.
    let reason = done(merged().unpushed(2).beyond_head(0));
    assert!(!reason.contains("only on this machine"), "{reason}");
    let reason = done(closed().unpushed(2).beyond_head(absent()).dirty(true));
    let named = "; only on this machine: uncommitted changes and 2 commits on no remote";
    assert!(reason.ends_with(named), "{reason}");
}

#[test]
fn only_a_block_of_vigils_own_is_ended_by_what_becomes_of_it() {
    let blocked = |by: Option<&str>| {
        let built = stale().state(Blocked);
        match by {
            Some(by) => built
                .fact(OwnerFact::BlockedBy, by)
                .fact(OwnerFact::BlockedRule, AGENT_GONE),
            None => built,
        }
    };
    let stays = |built: EvidenceBuilder| assert_eq!(judge(&context(), built).verdict, Pass);
    let issues = || {
        [
            open(),
            closed_ago(mins(78)),
            closed_ago(mins(78)).because("not-planned"),
        ]
    };
    for (at, issue) in issues().into_iter().enumerate() {
        let own = || blocked(Some("vigil")).issue(issue.clone());
        check(
            own().pull_request(under_review()),
            Transition(Maintaining),
            OPEN_PR,
        );
        let rejected = own().pull_request(rejected_ago(mins(80)));
        let gone = own().pull_request(absent());
        if at == 0 {
            stays(rejected);
            stays(gone);
        } else {
            check(rejected, Transition(Closed), CLOSED_PR);
            check(gone, Transition(Closed), CLOSED_ISSUE);
        }
    }
    // A name that is nobody's, and none.
    for by in [Some("somebody"), None] {
        for issue in issues() {
            let foreign = || blocked(by).issue(issue.clone());
            stays(foreign().pull_request(under_review()));
            stays(foreign().pull_request(rejected_ago(mins(80))));
        }
    }
}
