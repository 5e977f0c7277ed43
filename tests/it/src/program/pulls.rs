//! Which pull request speaks for a session, as people meet it: one that was closed and replaced, a stack, a branch that
//! was renamed, a name that was used before, and a head that moved on GitHub.

use serde_json::{Value, json};
use vigil::demo::home::{REPO, git, touch_tree};
use vigil::demo::{Home, Made};
use vigil_core::Timestamp;

use super::stage::{Stage, session};

/// The issue of the one session.
const ISSUE: u64 = 1;

/// The commit that a merge or an update on GitHub made, which no clone has.
const ELSEWHERE: &str = "e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1";

/// A stage with one session, which went silent 109 minutes ago with its work pushed.
struct Scene {
    stage: Stage,
    /// The session's own commit.
    head: String,
    /// The first commit, which `main` has.
    root: String,
}

impl Scene {
    fn new(made: Made) -> Scene {
        let mut scene = Scene::unseen(made);
        let (root, own) = (scene.root.clone(), scene.head.clone());
        scene.stage.on_github(|model| {
            model.repo(REPO).commit(&own, &[&root]);
        });
        scene
    }

    /// The same, and GitHub has never seen the session's commit.
    fn unseen(made: Made) -> Scene {
        let mut stage = Stage::new();
        let head = stage.home.add(&made).expect("a session");
        stage.write();
        let root = git(&stage.home.repository(), &["rev-parse", "main"]).expect("a commit");
        let root = root.trim().to_owned();
        let (created, main) = (stage.minutes_ago(120), root.clone());
        stage.on_github(|model| {
            let repo = model.repo(REPO).commit(&main, &[]).branch("main", &main);
            repo.issue(ISSUE).created_at(created);
        });
        Scene { stage, head, root }
    }

    fn recorded(number: u64, status: &'static str) -> Scene {
        Scene::new(Made {
            status,
            extra: match json!({ "pull_request_number": number, "pull_request_state": "OPEN" }) {
                Value::Object(fields) => fields,
                _ => unreachable!("an object"),
            },
            ..Made::default()
        })
    }

    /// One of the session's own, opened after it began, with its commit at the head.
    fn pull(
        &mut self,
        number: u64,
        change: impl for<'m> FnOnce(vigil_model::PullEdit<'m>) -> vigil_model::PullEdit<'m>,
    ) {
        let head = self.head.clone();
        let created = self.stage.minutes_ago(100);
        self.stage.on_github(|model| {
            let pull = model.repo(REPO).pull(number).head(&Home::branch(ISSUE));
            change(pull.sha(&head).created_at(created));
        });
    }

    /// A pass; what it says of the session.
    #[track_caller]
    fn pass(&self) -> Value {
        session(&self.stage.pass().json_with(0), ISSUE)
    }

    fn status(&self) -> Value {
        self.stage.record(ISSUE)["status"].clone()
    }
}

#[track_caller]
fn expect(said: &Value, rule: &str, reason: &str) {
    assert_eq!(said["rule"], rule, "{said:#}");
    let text = said["reason"].as_str().unwrap_or_default();
    assert!(text.contains(reason), "{reason:?} is not in {text:?}");
}

#[test]
fn a_pull_request_that_was_closed_and_replaced_blocks_nothing() {
    // Of a healthy session, and of one whose record still says that it runs.
    for status in ["success", "running"] {
        let mut scene = Scene::recorded(10, status);
        scene.pull(10, |pull| pull.closed());
        scene.pull(11, |pull| pull);
        let said = scene.pass();
        assert_eq!(scene.status(), "success", "{said:#}");
        if status == "running" {
            let reason = "PR #11 is open (passed over: #10, closed without a merge)";
            expect(&said, "open-pr", reason);
        }
    }
}

#[test]
fn one_that_was_opened_by_mistake_and_closed_hides_no_merge() {
    for recorded in [10, 11] {
        let mut scene = Scene::recorded(recorded, "running");
        scene.pull(10, |pull| pull.merged());
        scene.pull(11, |pull| pull.closed());
        let said = scene.pass();
        expect(&said, "merged-pr", "PR #10 was merged");
        assert_eq!(said["to"], "succeeded", "{said:#}");
    }
}

#[test]
fn a_merge_into_a_parent_has_not_landed_until_the_parent_has() {
    let mut scene = Scene::new(Made::default());
    scene.pull(21, |pull| pull.base("feature/parent").merged());
    let said = scene.pass();
    expect(
        &said,
        "merged-elsewhere",
        "PR #21 was merged into feature/parent",
    );
    assert_eq!(scene.status(), "blocked", "{said:#}");
    // The branch's name was used before, and is used again.
    let (head, before) = (scene.root.clone(), scene.stage.minutes_ago(110));
    // GitHub's times have whole seconds: the same one as the last look would be no news.
    let later = super::stage::now().0 + 2_000;
    scene.stage.on_github(|model| {
        let other = model.repo(REPO).pull(19).head("feature/parent");
        let other = other.sha(ELSEWHERE).merged_at(before);
        let other = other.back().commit(ELSEWHERE, &[&head]).pull(50);
        let other = other.head("feature/parent").sha(ELSEWHERE);
        let other = other.created_at(later).merged_at(later);
        other.updated_at(later);
    });
    expect(
        &scene.pass(),
        "merged-elsewhere",
        "waits until feature/parent",
    );
    // The parent is open, and then it is merged as one commit.
    scene.stage.on_github(|model| {
        let parent = model.repo(REPO).pull(20).head("feature/parent");
        parent.sha(&head).created_at(before);
    });
    expect(
        &scene.pass(),
        "merged-elsewhere",
        "waits until feature/parent",
    );
    let later = later + 2_000;
    scene.stage.on_github(|model| {
        model.repo(REPO).pull(20).squashed().updated_at(later);
    });
    let said = scene.pass();
    expect(&said, "merged-pr", "PR #21 was merged");
    assert_eq!(said["to"], "succeeded", "{said:#}");
}

#[test]
fn a_merge_that_reaches_the_base_by_a_push_has_landed() {
    let mut scene = Scene::new(Made::default());
    scene.pull(21, |pull| pull.base("feature/parent").merged());
    let root = scene.root.clone();
    scene.stage.on_github(|model| {
        let merge = model.look(REPO, 21).and_then(|item| item.pull().cloned());
        let merge = merge.and_then(|pull| pull.merge_commit).expect("a merge");
        let repo = model.repo(REPO).commit(ELSEWHERE, &[&root, &merge]);
        repo.branch("main", ELSEWHERE);
    });
    let said = scene.pass();
    expect(&said, "merged-pr", "PR #21 was merged");
    assert_eq!(said["to"], "succeeded", "{said:#}");
}

#[test]
fn a_branch_that_the_configuration_lists_is_where_work_lands() {
    let mut scene = Scene::new(Made::default());
    scene.stage.configure(
        "[source.vigilante]\nkind = \"vigilante\"\nlanding_branches = [\"release/*\"]\n",
    );
    scene.pull(21, |pull| pull.base("release/2").merged());
    let said = scene.pass();
    assert_eq!(said["to"], "succeeded", "{said:#}");
}

#[test]
fn a_branch_that_was_renamed_in_the_worktree_is_found() {
    let mut scene = Scene::new(Made::default());
    let worktree = scene.stage.home.worktree(ISSUE);
    git(&worktree, &["branch", "--move", "agent/new-name"]).expect("a rename");
    // Which was a while ago.
    let admin = scene.stage.home.repository().join(".git/worktrees/issue-1");
    let then = Timestamp(scene.stage.minutes_ago(109));
    touch_tree(&admin, then).expect("its times");
    scene.pull(21, |pull| pull.head("agent/new-name").merged());
    let said = scene.pass();
    expect(
        &said,
        "merged-pr",
        "PR #21 of branch agent/new-name was merged",
    );
    assert_eq!(said["to"], "succeeded", "{said:#}");
}

#[test]
fn an_earlier_runs_pull_request_is_not_inherited() {
    let mut scene = Scene::new(Made::default());
    let (root, created) = (scene.root.clone(), scene.stage.minutes_ago(300));
    // Of the same branch name: merged while this session was at work already, its commit in no clone.
    scene.pull(7, |pull| {
        let pull = pull.sha(ELSEWHERE).created_at(created);
        pull.back().commit(ELSEWHERE, &[&root]).pull(7).squashed()
    });
    let said = scene.pass();
    assert_ne!(said["to"], "succeeded", "{said:#}");
    let reason = said["reason"].as_str().unwrap_or_default();
    assert!(!reason.contains("was merged"), "{reason}");
    assert!(reason.contains("#7, an earlier run's"), "{reason}");
}

#[test]
fn a_recorded_number_that_names_nothing_hides_no_pull_request() {
    let mut scene = Scene::recorded(99, "running");
    scene.pull(10, |pull| pull);
    let said = scene.pass();
    let reason =
        "PR #10 is open (passed over: #99, the record's number, which names no pull request)";
    expect(&said, "open-pr", reason);
    // The branch has none either: then there is none, and the reason says the same.
    let said = Scene::recorded(99, "running").pass();
    let reason = "no pull request (passed over: #99, the record's number, which names";
    expect(&said, "agent-gone", reason);
}

#[test]
fn beside_a_recorded_one_that_was_merged_an_open_one_speaks() {
    let mut scene = Scene::recorded(10, "running");
    scene.pull(10, |pull| pull.merged());
    scene.pull(11, |pull| pull);
    let said = scene.pass();
    let reason = "PR #11 is open (passed over: #10, merged before)";
    expect(&said, "open-pr", reason);
    assert_eq!(scene.status(), "success", "{said:#}");
}

#[test]
fn a_merge_into_an_unknown_branch_of_an_unknown_default_moves_nothing() {
    let mut scene = Scene::new(Made::default());
    scene.pull(21, |pull| {
        let pull = pull.base("develop").merged();
        pull.back().default_branch(None).pull(21)
    });
    let said = scene.pass();
    let reason = "does not say which branch of acme/app is the default";
    expect(&said, "github-unknown", reason);
    assert_eq!(scene.status(), "running", "{said:#}");
    // The record's own base needs none.
    let mut scene = Scene::new(Made::default());
    scene.pull(21, |pull| {
        let pull = pull.merged();
        pull.back().default_branch(None).pull(21)
    });
    expect(&scene.pass(), "merged-pr", "PR #21 was merged");
}

#[test]
fn under_a_closed_issue_a_merge_elsewhere_has_landed_no_more() {
    let mut scene = Scene::new(Made::default());
    scene.pull(21, |pull| {
        let repo = pull.base("feature/parent").merged().back();
        repo.issue(ISSUE).closed("completed").pull(21)
    });
    let said = scene.pass();
    let reason = "PR #21 was merged into feature/parent";
    expect(&said, "merged-elsewhere", reason);
    assert_eq!(scene.status(), "blocked", "{said:#}");
}

#[test]
fn what_was_amended_after_a_resume_keeps_its_pull_request() {
    for recorded in [true, false] {
        let mut scene = match recorded {
            true => Scene::recorded(7, "running"),
            false => Scene::new(Made::default()),
        };
        let worktree = scene.stage.home.worktree(ISSUE);
        std::fs::write(worktree.join("work.txt"), "something else\n").expect("a file");
        git(
            &worktree,
            &[
                "commit",
                "--all",
                "--amend",
                "--quiet",
                "--message",
                "amended",
            ],
        )
        .expect("a commit");
        let then = Timestamp(scene.stage.minutes_ago(109));
        let admin = scene.stage.home.repository().join(".git/worktrees/issue-1");
        touch_tree(&admin, then).expect("its times");
        touch_tree(&worktree, then).expect("its times");
        // It was opened before the resume, which the record calls the start.
        let created = scene.stage.minutes_ago(300);
        scene.pull(7, |pull| pull.created_at(created));
        let said = scene.pass();
        // Held back by what was not pushed, and by nothing else.
        expect(&said, "open-pr", "PR #7 is open");
    }
}

/// An earlier run's pull request, perhaps: opened before the start, with a head that the clone lacks and that follows
/// `parents`.
fn opened_before(scene: &mut Scene, parents: &[&str]) {
    pruned(scene);
    let created = scene.stage.minutes_ago(300);
    scene.pull(7, |pull| {
        let pull = pull.sha(ELSEWHERE).created_at(created);
        pull.back().commit(ELSEWHERE, parents).pull(7).squashed()
    });
}

#[test]
fn work_that_was_never_pushed_is_told_apart_from_an_earlier_runs() {
    // GitHub has none of it.
    let mut scene = Scene::unseen(Made::default());
    let root = scene.root.clone();
    opened_before(&mut scene, &[&root]);
    let said = scene.pass();
    expect(&said, "agent-gone", "#7, an earlier run's");
    // GitHub has what it began with, and the pull request holds that, or does not.
    for holds in [true, false] {
        let mut scene = Scene::new(Made {
            unpushed: 2,
            ..Made::default()
        });
        let (root, own) = (scene.root.clone(), scene.head.clone());
        let parents = if holds { [&*own] } else { [&*root] };
        opened_before(&mut scene, &parents);
        let said = scene.pass();
        match holds {
            true => expect(&said, "unmerged-work", "PR #7 was merged"),
            false => expect(&said, "agent-gone", "#7, an earlier run's"),
        }
    }
}

#[test]
fn an_earlier_runs_head_that_nobody_can_compare_comes_with_advice_that_works() {
    let mut scene = Scene::new(Made::default());
    // GitHub has both, and nothing in common between them.
    opened_before(&mut scene, &[]);
    let said = scene.pass();
    let gap = said["gaps"][0]["detail"].as_str().unwrap_or_default();
    assert!(gap.contains("`git fetch origin pull/7/head`"), "{said:#}");
}

#[test]
fn a_session_that_was_begun_anew_keeps_its_own_pull_request() {
    let mut scene = Scene::new(Made::default());
    let created = scene.stage.minutes_ago(300);
    scene.pull(7, |pull| pull.created_at(created).merged());
    let said = scene.pass();
    expect(&said, "merged-pr", "PR #7 was merged");
}

/// The branch is gone from the remote, and the clone has noticed.
fn pruned(scene: &Scene) {
    let app = scene.stage.home.repository();
    let branch = Home::branch(ISSUE);
    git(&app, &["push", "--quiet", "origin", "--delete", &branch]).expect("it goes");
    git(&app, &["fetch", "--quiet", "--prune", "origin"]).expect("it is noticed");
}

#[test]
fn a_head_that_moved_on_github_is_compared_there() {
    let mut scene = Scene::new(Made::default());
    pruned(&scene);
    let (own, root) = (scene.head.clone(), scene.root.clone());
    // "Update branch" brought the base in; the merge is one commit of its own.
    scene.pull(21, |pull| {
        let repo = pull.back().commit(ELSEWHERE, &[&own, &root]);
        repo.pull(21).sha(ELSEWHERE).squashed()
    });
    let said = scene.pass();
    expect(&said, "merged-pr", "PR #21 was merged");
    assert_eq!(said["to"], "succeeded", "{said:#}");
}

#[test]
fn a_head_that_went_apart_is_unknown_with_advice_that_works() {
    let mut scene = Scene::new(Made::default());
    pruned(&scene);
    let root = scene.root.clone();
    scene.pull(21, |pull| {
        let repo = pull.back().commit(ELSEWHERE, &[&root]);
        repo.pull(21).sha(ELSEWHERE).squashed()
    });
    let said = scene.pass();
    // The commit is nowhere else, as far as can be seen, and its owner would discard it.
    expect(&said, "unsaved-work", "1 commit that no remote has");
    let gap = said["gaps"][0]["detail"].as_str().unwrap_or_default();
    assert!(gap.contains("`git fetch origin pull/21/head`"), "{said:#}");
    assert_eq!(scene.status(), "blocked", "{said:#}");
}

#[test]
fn commits_that_were_never_pushed_are_beyond_a_head_that_the_clone_lacks() {
    let mut scene = Scene::new(Made {
        unpushed: 2,
        ..Made::default()
    });
    pruned(&scene);
    let own = scene.head.clone();
    scene.pull(21, |pull| {
        let repo = pull.back().commit(ELSEWHERE, &[&own]);
        repo.pull(21).sha(ELSEWHERE).squashed()
    });
    let said = scene.pass();
    expect(&said, "unmerged-work", "PR #21 was merged");
    assert_eq!(scene.status(), "blocked", "{said:#}");
}

#[test]
fn a_pull_request_that_only_says_that_it_closes_the_issue_leaves_it_open_whose_it_is() {
    let mut scene = Scene::new(Made::default());
    scene.stage.on_github(|model| {
        let theirs = model.repo(REPO).pull(30).head("somebody/else");
        theirs.closes(ISSUE);
    });
    let said = scene.pass();
    expect(
        &said,
        "github-unknown",
        "pull request #30 is open and says that it closes issue #1",
    );
    assert_eq!(scene.status(), "running", "{said:#}");
}

#[test]
fn fifty_pull_requests_that_say_so_are_more_than_can_be_looked_through_and_no_absence() {
    for (decoys, open_issue, rule) in [
        (49, true, "agent-gone"),
        (51, true, "github-unknown"),
        (51, false, "closed-issue"),
    ] {
        let mut scene = Scene::new(Made::default());
        scene.stage.on_github(|model| {
            for number in 100..100 + decoys {
                let decoy = model.repo(REPO).pull(number).head("somebody/else");
                decoy.closes(ISSUE).closed();
            }
            if !open_issue {
                model.repo(REPO).issue(ISSUE).closed("completed");
            }
        });
        let explained = scene
            .stage
            .run(&["explain", &format!("{REPO}#{ISSUE}"), "--json"]);
        expect(&explained.json_with(0)["session"], rule, "");
        expect(&scene.pass(), rule, "");
    }
}

#[test]
fn what_is_shown_rests_on_what_a_pass_would_ask() {
    let mut scene = Scene::new(Made::default());
    scene.stage.on_github(|model| {
        let theirs = model.repo(REPO).pull(30).head("somebody/else");
        theirs.closes(ISSUE);
    });
    let says = "pull request #30 is open and says that it closes issue #1";
    let status = session(&scene.stage.status().json_with(0), ISSUE);
    expect(&status, "github-unknown", says);
    let explained = scene
        .stage
        .run(&["explain", &format!("{REPO}#{ISSUE}"), "--json"]);
    expect(&explained.json_with(0)["session"], "github-unknown", says);
}

/// Two sessions of one repository, whose second has `branch` checked out, at `commit` where it has no such branch.
fn beside_the_first(branch: &str, commit: Option<&str>) -> (Scene, String) {
    let mut stage = Stage::new();
    let head = stage.home.add(&Made::default()).expect("a session");
    let second = Made {
        issue: 2,
        ..Made::default()
    };
    stage.home.add(&second).expect("a session");
    stage.write();
    let worktree = stage.home.worktree(2);
    let mut checkout = vec!["checkout", "--quiet", "--ignore-other-worktrees"];
    checkout.extend(commit.map(|_| "-b"));
    checkout.push(branch);
    checkout.extend(commit);
    git(&worktree, &checkout).expect("a checkout");
    let then = Timestamp(stage.minutes_ago(109));
    touch_tree(&worktree, then).expect("its times");
    let admin = stage.home.repository().join(".git/worktrees/issue-2");
    touch_tree(&admin, then).expect("its times");
    let root = git(&stage.home.repository(), &["rev-parse", "main"]).expect("a commit");
    let root = root.trim().to_owned();
    let (main, own) = (root.clone(), head.clone());
    let created = stage.minutes_ago(120);
    stage.on_github(|model| {
        let repo = model.repo(REPO).commit(&main, &[]).branch("main", &main);
        let repo = repo.commit(&own, &[&main]);
        repo.issue(ISSUE).created_at(created);
        model.repo(REPO).issue(2).created_at(created);
    });
    (
        Scene {
            stage,
            head,
            root: root.clone(),
        },
        root,
    )
}

#[test]
fn another_sessions_branch_brings_nothing_to_whoever_has_it_checked_out() {
    let (mut scene, _) = beside_the_first(&Home::branch(ISSUE), None);
    scene.pull(21, |pull| pull.merged());
    let run = scene.stage.pass().json_with(0);
    assert_eq!(session(&run, ISSUE)["to"], "succeeded", "{run:#}");
    let second = session(&run, 2);
    assert_eq!(second["to"], "blocked", "{second:#}");
    expect(&second, "agent-gone", "has no pull request");
}

#[test]
fn an_untouched_branch_brings_nobody_elses_pull_request() {
    let (mut scene, root) = beside_the_first("agent/theirs", Some("main"));
    let created = scene.stage.minutes_ago(100);
    scene.stage.on_github(|model| {
        let repo = model.repo(REPO).commit(ELSEWHERE, &[&root]);
        let pull = repo.pull(22).head("agent/theirs").sha(ELSEWHERE);
        pull.created_at(created).merged();
    });
    let second = session(&scene.stage.pass().json_with(0), 2);
    assert_ne!(second["to"], "succeeded", "{second:#}");
    let why = "#22, of the branch that is checked out, with none of the checkout's work";
    let reason = second["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(why), "{reason}");
}
