//! What pull requests, their reviews and their places in the merge queue answer.

use serde_json::{Map, Value};

use super::checks;
use super::execute::Run;
use super::resolve::{Answer, Node, Resolved, leaf, permit};
use super::things::{ISSUES, actor, common, is_listed, page, pull_node, url};
use crate::item::{AutoMerge, Item, Pull, Queued, Review};
use crate::time::iso;
use crate::token::Permission;
use crate::world::Repo;

const REVIEWS: (&str, &str) = ("PullRequestReviewConnection", "PullRequestReviewEdge");

pub(super) fn pull<'w>(
    run: &mut Run<'_, 'w, '_, '_>,
    repo: &'w Repo,
    item: &'w Item,
    pull: &'w Pull,
    name: &str,
    args: &Map<String, Value>,
    contents: bool,
) -> Answer<'w> {
    Ok(match name {
        "id" => leaf(format!("PR_{}_{}", repo.id, item.number)),
        "url" => leaf(url(repo, "pull", item.number)),
        "isDraft" => leaf(pull.draft),
        "merged" => leaf(pull.merged_ms.is_some()),
        "mergedAt" => leaf(pull.merged_ms.map(iso)),
        "mergedBy" => actor(pull.merged_ms.and(item.closed_by.as_deref())),
        "headRefName" => leaf(pull.head_ref.as_str()),
        "headRefOid" => leaf(pull.head_sha.as_str()),
        "headRepositoryOwner" => actor(pull.head_owner.as_deref()),
        "headRepository" => match &pull.head_owner {
            Some(owner) if *owner == repo.owner => Resolved::Node(Node::Repository(repo)),
            // A fork has its own repository only where the test made one.
            Some(owner) => match run.asker.world.repo(owner, &repo.name) {
                Some(fork) if run.asker.sees(fork) => Resolved::Node(Node::Repository(fork)),
                _ => leaf(Value::Null),
            },
            None => leaf(Value::Null),
        },
        "isCrossRepository" => leaf(pull.head_owner.as_deref() != Some(repo.owner.as_str())),
        "mergeCommit" => match &pull.merge_commit {
            Some(sha) => Resolved::Node(Node::Commit(repo, item, sha)),
            None => leaf(Value::Null),
        },
        "baseRefName" => leaf(pull.base_ref.as_str()),
        "mergeable" => leaf(if run.mergeability_is_pending(pull) {
            "UNKNOWN"
        } else {
            &pull.mergeable
        }),
        "mergeStateStatus" => leaf(if run.mergeability_is_pending(pull) {
            "UNKNOWN"
        } else {
            &pull.merge_state
        }),
        "reviewDecision" => leaf(pull.review_decision.clone()),
        "statusCheckRollup" => checks::rollup(run, repo, item, &pull.head_sha)?,
        "closingIssuesReferences" => {
            permit(run, Permission::IssuesRead)?;
            let nodes = pull
                .closes
                .iter()
                .filter_map(|number| Some(Node::Issue(repo, repo.issue(*number)?)));
            page(name, ISSUES, nodes.collect(), args, contents)?
        }
        "commits" => {
            let types = ("PullRequestCommitConnection", "PullRequestCommitEdge");
            let newest = vec![Node::PullCommit(repo, item, pull)];
            page(name, types, newest, args, contents)?
        }
        "latestOpinionatedReviews" => {
            let nodes = pull.opinions().into_iter();
            let nodes = nodes.map(|review| Node::Review(repo, item, review));
            page(name, REVIEWS, nodes.collect(), args, contents)?
        }
        "reviews" => {
            let author = args.get("author").and_then(Value::as_str);
            let shown = pull.reviews.iter().filter(|review| {
                author.is_none_or(|author| review.author == author)
                    && is_listed(args, "states", |state| state == review.state)
            });
            let nodes = shown.map(|review| Node::Review(repo, item, review));
            page(name, REVIEWS, nodes.collect(), args, contents)?
        }
        "isInMergeQueue" => leaf(pull.queued.is_some()),
        "mergeQueueEntry" => match &pull.queued {
            Some(queued) => {
                permit(run, Permission::MergeQueuesRead)?;
                Resolved::Node(Node::Queued(repo, item, queued))
            }
            None => leaf(Value::Null),
        },
        "autoMergeRequest" => match &pull.auto_merge {
            Some(auto_merge) => Resolved::Node(Node::AutoMerge(repo, item, auto_merge)),
            None => leaf(Value::Null),
        },
        _ => common(repo, item, name, args, contents)?,
    })
}

/// A submitted review.
pub(super) fn review<'w>(
    repo: &'w Repo,
    item: &'w Item,
    review: &'w Review,
    name: &str,
) -> Resolved<'w> {
    match name {
        "author" => actor(Some(&review.author)),
        "commit" => Resolved::Node(Node::Commit(repo, item, &review.commit)),
        "databaseId" => leaf(review.id),
        "state" => leaf(review.state.as_str()),
        "submittedAt" => leaf(iso(review.submitted_ms)),
        _ => leaf(format!("PRR_{}_{}", repo.id, review.id)),
    }
}

/// A place in the merge queue.
pub(super) fn queued<'w>(
    repo: &'w Repo,
    item: &'w Item,
    queued: &'w Queued,
    name: &str,
) -> Resolved<'w> {
    match name {
        "enqueuedAt" => leaf(iso(queued.since_ms)),
        "position" => leaf(queued.position),
        "state" => leaf(queued.state.as_str()),
        "pullRequest" => itself(repo, item),
        _ => leaf(format!("MQE_{}_{}", repo.id, item.number)),
    }
}

/// A merge that waits for its conditions.
pub(super) fn auto_merge<'w>(
    repo: &'w Repo,
    item: &'w Item,
    auto_merge: &'w AutoMerge,
    name: &str,
) -> Resolved<'w> {
    match name {
        "enabledAt" => leaf(iso(auto_merge.enabled_ms)),
        "enabledBy" => actor(Some(&auto_merge.enabled_by)),
        "mergeMethod" => leaf(auto_merge.method.as_str()),
        _ => itself(repo, item),
    }
}

fn itself<'w>(repo: &'w Repo, item: &'w Item) -> Resolved<'w> {
    pull_node(repo, item.number).map_or_else(|| leaf(Value::Null), Resolved::Node)
}
