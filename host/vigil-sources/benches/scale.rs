//! What a Vigilante home with 100,000 sessions costs in this crate: time and memory of each step, once. Run it with
//! `cargo bench -p vigil-sources --bench scale`; a number after `--` is the count of sessions.
//!
//! 200 real repositories; 70 % of the sessions have an open pull request, 20 % are blocked, 10 % run. Their worktrees
//! are gone, so that the cost of a look at each of them, which belongs to the machine, is left out; one large checkout is
//! looked at in the end.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a bench measures real time, prints it, and has nothing to measure when it fails"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use vigil_core::forge::Issue;
use vigil_core::survey::{self, Kin};
use vigil_core::{Evidence, Fact, Session, State, Timestamp};
use vigil_sources::vigilante::{Settings, Vigilante};
use vigil_sources::{Change, Committed, Listed, Proposal, Source as _, Target, World};

const SESSIONS: usize = 100_000;
const REPOSITORIES: usize = 200;

struct Live;

impl World for Live {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp(vigil_core::time::millis(since.unwrap()))
    }

    fn pause(&self, _: Duration) {}

    fn booted_at(&self) -> Option<Timestamp> {
        Some(Timestamp(1))
    }
}

fn main() {
    let count = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(SESSIONS);
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    repositories(&root);
    let home = root.join("home");
    fs::create_dir_all(home.join("logs")).unwrap();
    let text = records(&root, count);
    println!("{count} sessions in {} MB", text.len() / 1_000_000);
    fs::write(home.join("sessions.json"), &text).unwrap();
    drop(text);
    // From here on the largest use of memory is counted anew.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    step("(before)", || ());
    let source = Vigilante::new("vigilante", &home, root.join("state"), Settings::default());
    step("glance, first", || look(&source, count));
    // Only then its times prove that it is unchanged.
    std::thread::sleep(Duration::from_secs(5));
    step("glance, young file", || look(&source, count));
    step("glance, unchanged", || look(&source, count));
    let mut due = 0;
    let picked = step("1 of 100, unchanged", || {
        let mut one_of_100 = |_: &Listed| {
            due += 1;
            due % 99 == 0
        };
        source.load_picked(&mut one_of_100, &Live).unwrap()
    });
    let kin: Vec<Kin<'_>> = picked.listed.iter().map(Listed::kin).collect();
    let places: Vec<usize> = picked.sessions.iter().map(|(place, _)| *place).collect();
    step("their siblings", || survey::siblings_of(&kin, &places));
    drop(kin);
    let some: Vec<&Session> = picked.sessions.iter().map(|(_, session)| session).collect();
    step("observe them", || source.observe(&some, &Live));
    let blocked = picked.sessions.iter().map(|(_, session)| session);
    let blocked = blocked.filter(|session| session.native_state == "blocked");
    let evidence: Vec<Evidence> = blocked.take(1).map(closed).collect();
    let changes: Vec<Change<'_>> = evidence
        .iter()
        .map(|evidence| Change {
            evidence,
            target: Target::State(State::Closed),
            at: Live.now(),
            rule: "closed-issue",
            reason: "its issue was closed",
        })
        .collect();
    let proposed = step("propose one", || source.propose(&changes, &Live));
    let proposals: Vec<Proposal> = proposed.into_iter().map(|one| one.unwrap()).collect();
    let committed = step("commit it", || source.commit(&proposals, &Live));
    assert!(
        matches!(committed[..], [Committed::Written { .. }]),
        "{committed:?}"
    );
    let path = home.join("sessions.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("blocked", "failed", 1)).unwrap();
    drop(text);
    fs::write("/proc/self/clear_refs", "5").unwrap();
    step("glance, one changed", || look(&source, count));
    let sessions = step("load all", || source.load(&Live).unwrap());
    assert_eq!(sessions.len(), count);
    step("siblings of all", || survey::siblings(&sessions));
    let all: Vec<&Session> = sessions.iter().collect();
    step("observe all", || source.observe(&all, &Live));
    large(&root);
}

/// One session in a checkout of 50,000 files, as each stands in the index.
fn large(root: &Path) {
    let repo = root.join("large");
    for folder in 0..100 {
        let folder = repo.join(format!("folder-{folder}"));
        fs::create_dir_all(&folder).unwrap();
        for file in 0..500 {
            fs::write(folder.join(format!("file-{file}.txt")), "text\n").unwrap();
        }
    }
    git(&repo, &["init", "-q", "-b", "main"]);
    git(&repo, &["add", "-A"]);
    git(&repo, &["commit", "-q", "-m", "first"]);
    // Only then the index proves that they are unchanged.
    std::thread::sleep(Duration::from_secs(2));
    git(&repo, &["update-index", "--index-version", "4"]);
    let home = root.join("large-home");
    fs::create_dir_all(home.join("logs")).unwrap();
    let text = records(root, 1)
        .replace("repo-0/.worktrees/vigilante/issue-1", "large")
        .replace("repo-0", "large");
    fs::write(home.join("sessions.json"), text).unwrap();
    let source = Vigilante::new("large", &home, root.join("state"), Settings::default());
    let sessions = source.load(&Live).unwrap();
    let one: Vec<&Session> = sessions.iter().collect();
    for name in ["50,000 files, cold", "50,000 files, again"] {
        let seen = step(name, || source.observe(&one, &Live));
        assert_eq!(seen[0].dirty, Fact::Found(false));
    }
}

fn git(dir: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-C"])
        .arg(dir)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .status();
    assert!(status.unwrap().success());
}

/// Evidence that the session's issue was closed, and that nothing of its work is left.
fn closed(session: &Session) -> Evidence {
    let now = Live.now();
    let mut session = session.clone();
    session.liveness.dirty = Fact::absent_at(now);
    session.liveness.unpushed = Fact::absent_at(now);
    Evidence {
        issue: Fact::Found(Issue {
            open: false,
            reason: Some("completed".to_owned()),
            closed: Some(now),
            ..Issue::bare(session.issue.unwrap(), now)
        }),
        pull_request: Fact::absent_at(now),
        beyond_head: Fact::NotAsked,
        passed_over: Vec::new(),
        siblings: Vec::new(),
        session,
    }
}

fn look(source: &Vigilante, count: usize) {
    let picked = source.load_picked(&mut |_| false, &Live).unwrap();
    assert_eq!((picked.listed.len(), picked.sessions.len()), (count, 0));
}

/// Makes one repository, and copies of it.
fn repositories(root: &Path) {
    fs::create_dir(root.join("repo-0")).unwrap();
    let first = root.join("repo-0");
    git(&first, &["init", "-q", "-b", "main"]);
    git(&first, &["commit", "-q", "--allow-empty", "-m", "first"]);
    for repository in 1..REPOSITORIES {
        let copied = Command::new("cp")
            .arg("-r")
            .arg(root.join("repo-0"))
            .arg(root.join(format!("repo-{repository}")))
            .status();
        assert!(copied.unwrap().success());
    }
}

/// `sessions.json` as Vigilante writes it: over several lines, issue texts and copies of the issue included.
fn records(root: &Path, count: usize) -> String {
    let root = root.display();
    let body = "A thing that is to be made, told in some sentences with a \\\"quote\\\" and a line's end.\\n".repeat(6);
    let mut text = String::from("[\n");
    for n in 0..count {
        let repo = n % REPOSITORIES;
        let issue = n / REPOSITORIES + 1;
        let (status, minute) = match n % 10 {
            0..7 => ("success", 10),
            7..9 => ("blocked", 20),
            _ => ("running", 30),
        };
        let at = format!("2026-11-20T07:{minute}:{:02}Z", n % 60);
        let comma = if n == 0 { "" } else { ",\n" };
        write!(
            text,
            r#"{comma}  {{
    "repo_path": "{root}/repo-{repo}",
    "repo": "acme/app-{repo}",
    "provider": "claude",
    "issue_backend": "github",
    "git_backend": "github",
    "pr_backend": "github",
    "issue_number": {issue},
    "issue_title": "A title of the usual length, about a thing that is to be made",
    "issue_body": "{body}",
    "issue_url": "https://github.com/acme/app-{repo}/issues/{issue}",
    "base_branch": "main",
    "branch": "vigilante/issue-{issue}-a-title-of-the-usual-length",
    "worktree_path": "{root}/repo-{repo}/.worktrees/vigilante/issue-{issue}",
    "push_remote": "origin",
    "push_repo": "acme/app-{repo}",
    "status": "{status}",
    "blocked_reason": {{}},
    "process_id": 4194999,
    "started_at": "{at}",
    "last_heartbeat_at": "{at}",
    "cached_issue_details": {{
      "fetched_at": "{at}",
      "details": {{
        "title": "A title of the usual length, about a thing that is to be made",
        "body": "{body}",
        "html_url": "https://github.com/acme/app-{repo}/issues/{issue}",
        "state": "open",
        "labels": [
          {{
            "name": "vigilante:running"
          }}
        ],
        "assignees": [
          {{
            "login": "somebody"
          }}
        ]
      }}
    }},"#
        )
        .unwrap();
        if status == "success" {
            let pull = issue + 10_000;
            write!(
                text,
                r#"
    "pull_request_number": {pull},
    "pull_request_url": "https://github.com/acme/app-{repo}/pull/{pull}",
    "pull_request_state": "OPEN",
    "pull_request_head_branch": "vigilante/issue-{issue}-a-title-of-the-usual-length",
    "pull_request_base_branch": "main",
    "pull_request_mergeable": "MERGEABLE",
    "pull_request_merge_state_status": "CLEAN",
    "pull_request_checks_state": "passing",
    "pull_request_status_fingerprint": "state:OPEN|mergeable:MERGEABLE|merge:CLEAN|checks:passing",
    "last_maintained_at": "{at}","#
            )
            .unwrap();
        }
        write!(text, "\n    \"updated_at\": \"{at}\"\n  }}").unwrap();
    }
    text.push_str("\n]\n");
    text
}

fn step<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let (begun, worked) = (Instant::now(), processor());
    let done = work();
    println!(
        "{name:<20} {:>7.0} ms, {:>7.0} ms of processor   {:>4} MB now, {:>4} MB at most",
        begun.elapsed().as_secs_f64() * 1000.0,
        (processor() - worked) * 1000.0,
        memory("VmRSS"),
        memory("VmHWM")
    );
    done
}

/// Seconds that all threads of this process have worked.
fn processor() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A line of the kernel's account of this process, in MB.
fn memory(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1000
}
