//! Notices: each once, with the start of the trouble, and again when they did not arrive.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use vigil::demo::Made;
use vigil::demo::home::REPO;
use vigil::pass::How;
use vigil::world::LiveWorld;
use vigil_core::Timestamp;
use vigil_sources::World;

use super::holds::somebody_elses;
use super::stage::{Stage, now};

/// A part of the address that must not be told.
const SECRET: &str = "T0123-secret-hook";

/// A receiver of notices over HTTP.
struct Hook {
    port: u16,
    status: Arc<AtomicU16>,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Hook {
    /// Listens on loopback. Its thread ends with the test's process.
    fn listen() -> Hook {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let hook = Hook {
            port: listener.local_addr().expect("an address").port(),
            status: Arc::new(AtomicU16::new(204)),
            bodies: Arc::default(),
        };
        let (status, bodies) = (Arc::clone(&hook.status), Arc::clone(&hook.bodies));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let mut length = 0;
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.trim() != "" {
                    if let Some((name, value)) = line.split_once(':')
                        && name.eq_ignore_ascii_case("content-length")
                    {
                        length = value.trim().parse().expect("a number");
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                if reader.read_exact(&mut body).is_err() {
                    continue;
                }
                bodies
                    .lock()
                    .expect("no panic")
                    .push(serde_json::from_slice(&body).expect("JSON"));
                let status = status.load(Ordering::SeqCst);
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                let _ = reader.into_inner().write_all(answer.as_bytes());
            }
        });
        hook
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/services/{SECRET}", self.port)
    }

    fn got(&self) -> Vec<Value> {
        self.bodies.lock().expect("no panic").clone()
    }
}

/// A program that keeps every notice in a line of a file.
fn command(stage: &Stage) -> String {
    let file = stage.path("notices");
    format!(
        "command = [\"/bin/sh\", \"-c\", \"cat >> {0}; echo >> {0}\"]\n",
        file.display()
    )
}

fn of_command(stage: &Stage) -> Vec<Value> {
    let text = fs::read_to_string(stage.path("notices")).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn work_that_only_this_machine_has_is_told_when_its_session_ends_and_no_other_is() {
    let mut stage = Stage::new();
    stage.configure(&format!("[notify]\n{}", command(&stage)));
    for (issue, dirty) in [(1, true), (2, false)] {
        stage.add_merged(&Made {
            issue,
            dirty,
            ..Made::default()
        });
    }
    stage.write();
    stage.pass().ended(0);
    for issue in [1, 2] {
        assert_eq!(stage.record(issue)["status"], "success", "{issue}");
    }
    for _ in 0..2 {
        let told = of_command(&stage);
        assert_eq!(told.len(), 1, "once, and of one: {told:?}");
        assert_eq!(told[0]["kind"], "unsaved-work");
        assert_eq!(told[0]["session"], format!("vigilante:{REPO}#1"));
        let text = told[0]["text"].as_str().expect("a text");
        assert!(
            text.contains("is succeeded, and only this machine has uncommitted changes: "),
            "{text}"
        );
        stage.pass().ended(0);
    }
}

#[test]
fn what_is_reopened_after_vigil_settled_it_is_a_notice_once_for_each_time() {
    let mut stage = Stage::new();
    stage.configure(&format!("[notify]\n{}", command(&stage)));
    stage.add_merged(&Made::default());
    // Somebody else's work, for whose sake the repository is looked at.
    somebody_elses(&mut stage);
    stage.write();
    stage.pass().ended(0);
    assert_eq!(stage.record(1)["status"], "success");
    let mut seconds = 0;
    for (open, notices) in [(true, 1), (true, 1), (false, 1), (true, 2)] {
        seconds += 5;
        let at = now().after(Duration::from_secs(seconds)).0;
        stage.on_github(|model| {
            let issue = model.repo(REPO).issue(1);
            let issue = match open {
                true => issue.reopened(),
                false => issue.closed("completed"),
            };
            issue.updated_at(at);
        });
        stage.pass().ended(0);
        let told = of_command(&stage);
        let told: Vec<&Value> = told.iter().filter(|one| one["kind"] == "alert").collect();
        assert_eq!(told.len(), notices, "{open}: {told:#?}");
        let text = told[0]["text"].as_str().expect("a text");
        assert!(text.contains("`vigil undo t1`"), "{text}");
    }
    let explained = stage.run(&["explain", &format!("{REPO}#1")]);
    let explained = &explained.ended(0).out;
    assert!(explained.contains("`vigil undo t1`"), "{explained}");
    assert_eq!(
        stage.status().json()["alerts"].as_array().map(Vec::len),
        Some(1)
    );
    // Whoever has done it is not told to do it again.
    stage.run(&["undo", "t1"]).ended(0);
    let alerts = stage.status().json()["alerts"].to_string();
    assert!(!alerts.contains("undo"), "{alerts}");
}

#[test]
fn github_down_is_one_alert_with_its_start_and_one_resolved_and_not_one_for_each_pass() {
    let stage = Stage::with_merged(1);
    let hook = Hook::listen();
    stage.configure(&format!(
        "[notify]\n{}webhook = {:?}\n",
        command(&stage),
        hook.url()
    ));
    let stage = stage.unplug();
    let before = now();
    stage.pass().ended(1);
    let after = now();
    for _ in 0..2 {
        stage.pass().ended(1);
    }
    let down = hook.got();
    assert_eq!(down.len(), 1, "{down:#?}");
    assert_eq!(down, of_command(&stage));
    assert_eq!(down[0]["kind"], "alert");
    assert_eq!(down[0]["schema"], "vigil.notice/1");
    let since = down[0]["since"].as_str().expect("a time").to_owned();
    let between = vigil::ui::moment(before)..=vigil::ui::moment(Timestamp(after.0 + 999));
    assert!(between.contains(&since), "{since} is not in {between:?}");
    let status = stage.status().json();
    assert_eq!(status["alerts"][0]["since"], since.as_str(), "{status:#}");

    let stage = stage.plug_in();
    for _ in 0..3 {
        stage.pass().ended(0);
    }
    let all = hook.got();
    assert_eq!(all.len(), 2, "{all:#?}");
    assert_eq!(all, of_command(&stage));
    assert_eq!(
        (all[1]["kind"].as_str(), all[1]["since"].as_str()),
        (Some("resolved"), Some(since.as_str()))
    );
    assert_eq!(
        stage.run(&["status", "--offline", "--json"]).json()["alerts"],
        serde_json::json!([])
    );
}

#[test]
fn a_rejected_token_is_one_alert_too() {
    let mut stage = Stage::with_merged(1);
    stage.configure(&format!("[notify]\n{}", command(&stage)));
    stage.on_github(|model| {
        model.token(super::stage::TOKEN).revoked();
    });
    for _ in 0..2 {
        stage.pass().ended(1);
    }
    let got = of_command(&stage);
    assert_eq!(got.len(), 1, "{got:#?}");
    assert!(
        got[0]["key"]
            .as_str()
            .is_some_and(|key| key.starts_with("alert/github-token-rejected/")),
        "{got:#?}"
    );
}

/// The live world, so many milliseconds later.
struct Later(u64);

impl World for Later {
    fn now(&self) -> Timestamp {
        Timestamp(LiveWorld.now().0 + self.0)
    }

    fn pause(&self, span: Duration) {
        LiveWorld.pause(span);
    }

    fn booted_at(&self) -> Option<Timestamp> {
        LiveWorld.booted_at()
    }
}

#[test]
fn what_did_not_arrive_is_kept_and_sent_again_later_by_whoever_makes_the_next_pass() {
    let stage = Stage::with_merged(1);
    let hook = Hook::listen();
    hook.status.store(500, Ordering::SeqCst);
    stage.configure(&format!("[notify]\nwebhook = {:?}\n", hook.url()));
    let stage = stage.unplug();
    // What cannot be delivered spoils no pass: its exit code is that of GitHub.
    stage.pass().ended(1);
    stage.pass().ended(1);
    let tried = hook.got();
    assert_eq!(tried.len(), 1, "it waits before it tries again: {tried:#?}");

    hook.status.store(200, Ordering::SeqCst);
    let setup = stage.inside(Arc::new(Later(5 * 60_000)));
    let (_engine, chain) = setup.chain(&[]).expect("a chain");
    let mut reconciler = setup.reconciler(chain, None).expect("a reconciler");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    for _ in 0..2 {
        runtime
            .block_on(reconciler.pass(&How::once()))
            .expect("a pass");
    }
    let got = hook.got();
    assert_eq!(got.len(), 2, "once more, and delivered for good: {got:#?}");
    assert_eq!(
        got[0], got[1],
        "the receiver can tell by the key that it is the same"
    );
}

#[test]
fn a_test_notice_arrives_and_a_failure_names_the_way_but_not_the_address() {
    let stage = Stage::new();
    let hook = Hook::listen();
    stage.configure(&format!("[notify]\nwebhook = {:?}\n", hook.url()));
    stage.run(&["notify", "test"]).ended(0);
    assert_eq!(hook.got()[0]["kind"], "test");

    let nobody = TcpListener::bind(("127.0.0.1", 0))
        .expect("a port")
        .local_addr()
        .expect("an address");
    for (name, address, status, code) in [
        ("an error", hook.url(), 500, 1),
        ("not found", hook.url(), 404, 1),
        ("a redirect", hook.url(), 302, 1),
        ("nobody there", format!("http://{nobody}/{SECRET}"), 200, 1),
        ("no address", format!("no address {SECRET}"), 200, 2),
    ] {
        hook.status.store(status, Ordering::SeqCst);
        stage.configure(&format!("[notify]\nwebhook = {address:?}\n"));
        for log in ["off", "trace"] {
            let ran = super::stage::ran(stage.vigil(&["notify", "test"]).env("VIGIL_LOG", log));
            assert!(ran.ended(code).err.contains("webhook"), "{name}: {ran:#?}");
            assert!(
                !ran.err.contains(SECRET) && !ran.out.contains(SECRET),
                "{name}, log {log}: {ran:#?}"
            );
        }
    }

    stage.configure("[notify]\ncommand = [\"/nowhere/at-all\"]\n");
    let ran = stage.run(&["notify", "test"]);
    assert!(ran.ended(1).err.contains("/nowhere/at-all"), "{ran:#?}");
    stage.configure("[notify]\ncommand = [\"/bin/false\"]\n");
    let ran = stage.run(&["notify", "test"]);
    assert!(ran.ended(1).err.contains("/bin/false"), "{ran:#?}");
}

#[test]
fn the_program_sees_what_it_needs_and_no_secret() {
    let stage = Stage::new();
    let file = stage.path("environment");
    stage.configure(&format!(
        "[notify]\ncommand = [\"/bin/sh\", \"-c\", \"/usr/bin/env > {}\"]\nenvironment = [\"TEAM_HOOK\"]\n\
         [webhooks]\nsecret_env = \"HOOK_SECRET\"\n",
        file.display()
    ));
    let mut command = stage.vigil(&["notify", "test"]);
    command
        .env("GITHUB_TOKEN", super::stage::TOKEN)
        .env("HOOK_SECRET", SECRET)
        .env("https_proxy", "http://someone:secret@127.0.0.1:1")
        .env("TEAM_HOOK", "its own")
        .env("DISPLAY", ":7")
        .env("LC_TIME", "C")
        .env("UNHEARD_OF", "1");
    super::stage::ran(&mut command).ended(0);
    let told = fs::read_to_string(&file).expect("it ran");
    let names: Vec<&str> = told
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        // The shell's own.
        .filter(|name| !matches!(*name, "PWD" | "SHLVL" | "_" | "OLDPWD"))
        .collect();
    for name in ["TEAM_HOOK", "DISPLAY", "LC_TIME", "PATH", "HOME"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    for name in [
        "GH_TOKEN",
        "GITHUB_TOKEN",
        "HOOK_SECRET",
        "https_proxy",
        "UNHEARD_OF",
    ] {
        assert!(!names.contains(&name), "{name} is in {names:?}");
    }
    assert!(
        !told.contains(super::stage::TOKEN) && !told.contains(SECRET),
        "{names:?}"
    );
}
