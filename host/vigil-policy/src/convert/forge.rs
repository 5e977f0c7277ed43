//! What the forge says, as policies see it. Each list gets a place in the arena; a fact that was not asked for costs
//! nothing but its case.

use bumpalo::Bump;
use vigil_core::Fact;
use vigil_core::forge::{
    Actor, AutoMerge, Check, HeldRun, Issue, Mergeability, PullRequest, PullRequestState,
    QueueEntry, Reference, Review,
};

use super::{count, gap, sighting, texts, time};
use crate::v0_1_0::wit;

pub(super) fn issue<'a>(issue: &'a Issue, arena: &'a Bump) -> wit::Issue<'a> {
    wit::Issue {
        number: issue.number,
        open: issue.open,
        reason: issue.reason.as_deref(),
        labels: texts(&issue.labels, arena),
        closed: time(issue.closed),
        assignees: fact!(NamesFact, &issue.assignees, found => texts(found, arena)),
        closer: fact!(ActorFact, &issue.closer, found => actor(found)),
        reopened: count(&issue.reopened),
        closed_by: references(&issue.closed_by, arena),
        observed: issue.observed.0,
    }
}

pub(super) fn pull_request<'a>(
    pull_request: &'a PullRequest,
    arena: &'a Bump,
) -> wit::PullRequest<'a> {
    wit::PullRequest {
        number: pull_request.number,
        state: match pull_request.state {
            PullRequestState::Open => wit::PullRequestState::Open,
            PullRequestState::Merged => wit::PullRequestState::Merged,
            PullRequestState::Closed => wit::PullRequestState::Closed,
        },
        draft: pull_request.draft,
        created: pull_request.created.0,
        merged: time(pull_request.merged),
        closed: time(pull_request.closed),
        url: &pull_request.url,
        head_ref: &pull_request.head_ref,
        base_ref: &pull_request.base_ref,
        head_sha: &pull_request.head_sha,
        head_owner: pull_request.head_owner.as_deref(),
        merge_commit: pull_request.merge_commit.as_deref(),
        landed: fact!(FlagFact, &pull_request.landed, found => *found),
        mergeability: fact!(
            MergeabilityFact,
            &pull_request.mergeability,
            found => mergeability(found)
        ),
        review: fact!(ReviewFact, &pull_request.review, found => found),
        review_list: fact!(
            ReviewListFact,
            &pull_request.review_list,
            found => list(found, arena, review)
        ),
        checks: fact!(ChecksFact, &pull_request.checks, found => found),
        check_list: fact!(
            CheckListFact,
            &pull_request.check_list,
            found => list(found, arena, check)
        ),
        runs: fact!(HeldRunsFact, &pull_request.runs, found => list(found, arena, held_run)),
        queue: fact!(QueueFact, &pull_request.queue, found => queue_entry(found)),
        auto_merge: fact!(AutoMergeFact, &pull_request.auto_merge, found => auto_merge(found)),
        closes: references(&pull_request.closes, arena),
        parts_observed: pull_request.parts_observed.0,
        observed: pull_request.observed.0,
    }
}

fn references<'a>(
    references: &'a Fact<Vec<Reference>>,
    arena: &'a Bump,
) -> wit::ReferencesFact<'a> {
    fact!(ReferencesFact, references, found => list(found, arena, reference))
}

fn list<'a, T, W>(items: &'a [T], arena: &'a Bump, convert: impl Fn(&'a T) -> W) -> &'a [W] {
    arena.alloc_slice_fill_iter(items.iter().map(convert))
}

fn actor(actor: &Actor) -> wit::Actor<'_> {
    wit::Actor {
        login: &actor.login,
        bot: actor.bot,
    }
}

fn reference(reference: &Reference) -> wit::Reference<'_> {
    wit::Reference {
        repo: &reference.repo,
        number: reference.number,
        state: &reference.state,
    }
}

fn mergeability(mergeability: &Mergeability) -> wit::Mergeability<'_> {
    wit::Mergeability {
        mergeable: mergeability.mergeable,
        merge_state: &mergeability.merge_state,
        observed: mergeability.observed.0,
    }
}

fn review(review: &Review) -> wit::Review<'_> {
    wit::Review {
        author: review.author.as_ref().map(actor),
        state: &review.state,
        commit: review.commit.as_deref(),
        submitted: time(review.submitted),
    }
}

fn check(check: &Check) -> wit::Check<'_> {
    wit::Check {
        name: &check.name,
        outcome: &check.outcome,
    }
}

fn held_run(run: &HeldRun) -> wit::HeldRun<'_> {
    wit::HeldRun {
        name: run.name.as_deref(),
        event: run.event.as_deref(),
        waits_for: &run.waits_for,
    }
}

fn queue_entry(entry: &QueueEntry) -> wit::QueueEntry<'_> {
    wit::QueueEntry {
        position: entry.position,
        state: &entry.state,
    }
}

fn auto_merge(wish: &AutoMerge) -> wit::AutoMerge<'_> {
    wit::AutoMerge {
        method: &wish.method,
        by: wish.by.as_ref().map(actor),
    }
}
