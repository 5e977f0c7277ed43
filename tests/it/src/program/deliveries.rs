//! Webhooks as GitHub really brings them to `vigil run --listen`: lost, twice, out of order, forged, huge, and while a
//! pass hangs. Each time three things hold: no session moves on what was not learned, everything is learned once the
//! fault ends, and nothing is sent while limited.

use std::fs::{self, File, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use vigil::demo::home::REPO;
use vigil::demo::{Home, Made};
use vigil_model::{Fault, Forbidden, Hook, HookEvent, Scope};

use super::stage::{Held, Stage, wait_for, wait_for_end};

const SECRET: &str = "the secret of the webhook that GitHub signs with";

/// A daemon that listens, over sessions with an open pull request each: number 20 on from the issue.
struct Listening {
    stage: Stage,
    daemon: Held,
    address: SocketAddr,
}

impl Listening {
    /// So many sessions, all of which were looked at.
    fn new(sessions: u64, interval: &str, resync: &str) -> Listening {
        let stage = Listening::stage(sessions, resync);
        let command = stage.vigil(&["run", "--interval", interval, "--listen", "127.0.0.1:0"]);
        let listening = Listening::start(stage, command);
        for issue in 1..=sessions {
            listening.wait_for_state(issue, "maintaining");
        }
        listening
    }

    fn stage(sessions: u64, resync: &str) -> Stage {
        let mut stage = Stage::new();
        let created = stage.minutes_ago(100);
        for issue in 1..=sessions {
            let made = Made {
                issue,
                ..Made::default()
            };
            let head = stage.home.add(&made).expect("a session");
            stage.on_github(|model| {
                // Long ago: GitHub tells whole seconds, and within the second of a read nobody can tell what changed.
                model.set_now(created);
                let pull = model.repo(REPO).issue(issue).pull(issue + 20);
                let pull = pull.head(&Home::branch(issue)).sha(&head);
                pull.created_at(created);
            });
        }
        stage.write();
        let secret = stage.path("secret");
        fs::write(&secret, SECRET).expect("a file");
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("a mode");
        let secret = secret.display();
        stage.configure(&format!(
            "[webhooks]\nsecret_file = \"{secret}\"\nresync = \"{resync}\"\n\
             [github]\nrequest_timeout = \"10m\"\n"
        ));
        stage
    }

    fn start(stage: Stage, mut command: Command) -> Listening {
        let log = stage.path("log");
        let command = command.stdout(Stdio::null());
        let command = command.stderr(File::create(&log).expect("a file"));
        let daemon = Held(command.spawn().expect("vigil starts"));
        let address = wait_for("its address in the log", || {
            let text = fs::read_to_string(&log).expect("the log");
            let (_, url) = text.split_once("http://")?;
            url.split_once("/webhooks/github")?.0.parse().ok()
        });
        Listening {
            stage,
            daemon,
            address,
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.stage.path("log")).expect("the log")
    }

    /// How many passes have ended.
    fn passes(&self) -> usize {
        self.log().matches("pass_duration_ms=").count()
    }

    /// The delivery of what happened to a pull request, as GitHub is now.
    fn hook(&mut self, number: u64, action: &str, secret: &str, delivery: &str) -> Hook {
        let event = HookEvent::Pull {
            repo: REPO.to_owned(),
            number,
            action: action.to_owned(),
        };
        let hook = self
            .stage
            .on_github(|model| model.hook(&event, secret, delivery));
        hook.expect("there is such a pull request")
    }

    /// Sends a delivery; gives the status of the answer.
    fn send(&self, hook: &Hook) -> u16 {
        let mut request = format!(
            "POST /webhooks/github HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n",
            self.address,
            hook.body.len()
        );
        for (name, value) in &hook.headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it is taken");
        // Who is told early that this is too much may stop sending.
        let _ = stream.write_all(&hook.body);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let status = answer.split(' ').nth(1).map(str::parse);
        match status {
            Some(Ok(status)) => status,
            _ => panic!("no answer: {answer:?}"),
        }
    }

    /// Every state that the session of an issue was moved to, the latest first.
    fn states(&self, issue: u64) -> Vec<Value> {
        let history = self.stage.run(&["history", "--json"]).json_with(0);
        let rows = history["transitions"].as_array().expect("a list");
        let id = json!(format!("{REPO}#{issue}"));
        let of_it = rows.iter().filter(|row| row["session"] == id);
        of_it.map(|row| row["to"].clone()).collect()
    }

    #[track_caller]
    fn wait_for_state(&self, issue: u64, state: &str) {
        wait_for(state, || {
            (self.states(issue).first() == Some(&json!(state))).then_some(())
        });
    }

    fn merge(&mut self, number: u64) {
        let now_ms = super::stage::now().0;
        self.stage.on_github(|model| {
            model.set_now(now_ms);
            model.repo(REPO).pull(number).merged();
        });
    }

    /// What the daemon counted, as `status` tells it, once that holds.
    #[track_caller]
    fn wait_for_counts(&self, counts: &[(&str, u64)]) {
        wait_for("what was heard", || {
            let status = self.stage.run(&["status", "--offline", "--json"]);
            let heard = status.json_with(0)["webhooks"].clone();
            let as_told = counts.iter().all(|(key, count)| heard[key] == *count);
            as_told.then_some(())
        });
    }

    /// Nobody asked while told to wait, and the daemon is still there.
    fn ends_well(mut self) {
        let tally = self.stage.on_github(|model| model.tally().clone());
        assert_eq!((tally.while_limited, tally.crossed), (0, 0), "{tally:#?}");
        let ended = self.daemon.0.try_wait().expect("a child");
        assert_eq!(ended, None, "{}", self.log());
        assert!(!self.log().contains(SECRET) && !self.log().contains("panicked"));
    }
}

#[test]
fn a_lost_delivery_is_made_up_for_by_the_resync_and_by_nothing_before_it() {
    let mut lost = Listening::new(1, "5s", "6h");
    lost.merge(21);
    let (asked, passes) = (lost.stage.requests(), lost.passes());
    wait_for("two more passes", || {
        (lost.passes() >= passes + 2).then_some(())
    });
    assert_eq!(lost.stage.requests(), asked, "polling slows to the resync");
    assert_eq!(lost.states(1), ["maintaining"]);
    // GitHub does not repeat it, but a person may have it sent again.
    let again = lost.hook(21, "closed", SECRET, "1");
    assert_eq!(lost.send(&again), 202);
    lost.wait_for_state(1, "succeeded");
    lost.ends_well();

    let mut resynced = Listening::new(1, "5s", "5s");
    resynced.merge(21);
    resynced.wait_for_state(1, "succeeded");
    assert_eq!(resynced.states(1), ["succeeded", "maintaining"]);
    resynced.wait_for_counts(&[("received", 0)]);
    resynced.ends_well();
}

#[test]
fn deliveries_that_come_twice_and_out_of_order_move_nothing_that_is_not_so() {
    let mut daemon = Listening::new(1, "1h", "6h");
    // Closed, and opened again before the first news arrives.
    let now_ms = super::stage::now().0;
    daemon.stage.on_github(|model| {
        model.set_now(now_ms);
        model.repo(REPO).pull(21).closed();
    });
    let closed = daemon.hook(21, "closed", SECRET, "1");
    daemon.stage.on_github(|model| {
        model.repo(REPO).pull(21).reopened();
    });
    let reopened = daemon.hook(21, "reopened", SECRET, "2");
    let passes = daemon.passes();
    assert_eq!(daemon.send(&reopened), 202);
    assert_eq!(daemon.send(&closed), 202);
    assert_eq!(daemon.send(&closed), 200, "it was heard");
    wait_for("the pass that they wake", || {
        (daemon.passes() > passes).then_some(())
    });
    assert_eq!(daemon.states(1), ["maintaining"], "the payload says closed");

    // The same event by two hooks, and after it what was on its way for long.
    daemon.merge(21);
    for id in ["3", "4"] {
        let merged = daemon.hook(21, "closed", SECRET, id);
        assert_eq!(daemon.send(&merged), 202);
        assert_eq!(daemon.send(&merged), 200);
    }
    daemon.wait_for_state(1, "succeeded");
    let passes = daemon.passes();
    let mut late = reopened;
    for (name, value) in &mut late.headers {
        if *name == "x-github-delivery" {
            "5".clone_into(value);
        }
    }
    assert_eq!(daemon.send(&late), 202);
    daemon.wait_for_counts(&[("received", 8), ("duplicates", 3), ("forged", 0)]);
    wait_for("the pass that it wakes", || {
        (daemon.passes() > passes).then_some(())
    });
    assert_eq!(daemon.states(1), ["succeeded", "maintaining"]);
    daemon.ends_well();
}

#[test]
fn what_is_forged_or_huge_wakes_nobody_and_hinders_no_delivery_after_it() {
    let mut daemon = Listening::new(2, "1h", "6h");
    daemon.merge(21);
    daemon.merge(22);
    let genuine = daemon.hook(21, "closed", SECRET, "1");
    let without = |name: &str| Hook {
        headers: genuine
            .headers
            .iter()
            .filter(|(present, _)| *present != name)
            .cloned()
            .collect(),
        body: genuine.body.clone(),
    };
    let mut changed = genuine.clone();
    changed.body.push(b' ');
    let forged = [
        daemon.hook(21, "closed", "another secret", "1"),
        without("x-hub-signature-256"),
        changed,
        genuine.clone().into_form("another secret"),
    ];
    for hook in &forged {
        assert_eq!(daemon.send(hook), 401);
    }
    // GitHub sends none over 25 MB; whoever does is not read to the end.
    let event = |size: usize| {
        let text = "x".repeat(size);
        HookEvent::Raw {
            name: "pull_request".to_owned(),
            payload: json!({
                "action": "edited",
                "number": 21,
                "pull_request": { "number": 21, "body": text },
                "repository": { "full_name": REPO },
            }),
        }
    };
    let mut made = |size, id| {
        let hook = daemon
            .stage
            .on_github(|model| model.hook(&event(size), SECRET, id));
        hook.expect("a payload")
    };
    let (too_large, large) = (made(26 << 20, "2"), made(20 << 20, "3"));
    assert_eq!(daemon.send(&too_large), 413);

    // A genuine one for the other session has its pass, in which the first one is nobody's concern.
    let other = daemon.hook(22, "closed", SECRET, "4");
    assert_eq!(daemon.send(&other), 202);
    daemon.wait_for_state(2, "succeeded");
    assert_eq!(daemon.states(1), ["maintaining"], "nobody was told of it");
    daemon.wait_for_counts(&[("received", 6), ("forged", 4), ("too_large", 1)]);

    // Large is not too large, and the id of a forged delivery is still free.
    assert_eq!(daemon.send(&large), 202);
    daemon.wait_for_state(1, "succeeded");
    assert_eq!(daemon.send(&genuine), 202);
    daemon.ends_well();
}

#[test]
fn a_delivery_is_answered_while_a_pass_hangs_and_is_not_lost() {
    let stage = Listening::stage(1, "6h");
    let gate = stage.gate();
    let command = stage.vigil_through(
        &gate,
        &["run", "--interval", "1h", "--listen", "127.0.0.1:0"],
    );
    let mut daemon = Listening::start(stage, command);
    gate.wait_for_arrival();
    let opened = daemon.hook(21, "opened", SECRET, "1");
    let asked = Instant::now();
    assert_eq!(daemon.send(&opened), 202);
    let took = asked.elapsed();
    // Nothing that it waits for takes any time: that the pass hangs on shows it. A slow machine has GitHub's own 10 s.
    assert!(took < Duration::from_secs(10), "answered after {took:?}");
    assert_eq!(daemon.passes(), 0, "the pass still waits for GitHub");
    assert_eq!(daemon.stage.requests(), 0, "which nobody has reached yet");
    assert!(daemon.states(1).is_empty());
    gate.open();
    daemon.wait_for_state(1, "maintaining");
    wait_for("the pass that was woken", || {
        (daemon.passes() >= 2).then_some(())
    });
    daemon.merge(21);
    let merged = daemon.hook(21, "closed", SECRET, "2");
    assert_eq!(daemon.send(&merged), 202);
    daemon.wait_for_state(1, "succeeded");
    daemon.ends_well();
}

#[test]
fn what_was_answered_before_the_daemon_stopped_is_read_by_the_next_one() {
    let mut daemon = Listening::new(1, "1h", "6h");
    daemon.merge(21);
    let merged = daemon.hook(21, "closed", SECRET, "1");
    let pid = Pid::from_raw(i32::try_from(daemon.daemon.0.id()).expect("a pid")).expect("a pid");
    assert_eq!(daemon.send(&merged), 202);
    kill_process(pid, Signal::TERM).expect("it is our child");
    let ended = wait_for_end(&mut daemon.daemon.0);
    assert_eq!(ended.code(), Some(0), "{}", daemon.log());
    // Wakes are gathered for seconds before a pass, and the signal comes at once.
    assert_eq!(daemon.states(1), ["maintaining"]);
    let Listening { stage, .. } = daemon;
    let command = stage.vigil(&["run", "--interval", "1h", "--listen", "127.0.0.1:0"]);
    let next = Listening::start(stage, command);
    next.wait_for_state(1, "succeeded");
    next.ends_well();
}

#[test]
fn deliveries_do_not_break_a_silence_and_what_they_told_is_learned_after_it() {
    let mut daemon = Listening::new(1, "5s", "6h");
    let limited = Fault::Forbidden(Forbidden::Secondary(Some(15)));
    daemon
        .stage
        .on_github(|model| model.fail(Scope::Any, limited));
    daemon.merge(21);
    let first = daemon.hook(21, "closed", SECRET, "1");
    assert_eq!(daemon.send(&first), 202);
    wait_for("the limit to be told", || {
        let refused = |model: &mut vigil_model::Model| model.tally().refused_secondary > 0;
        daemon.stage.on_github(refused).then_some(())
    });
    let (asked, passes) = (daemon.stage.requests(), daemon.passes());
    let second = daemon.hook(21, "closed", SECRET, "2");
    assert_eq!(daemon.send(&second), 202);
    wait_for("a pass within the silence", || {
        (daemon.passes() >= passes + 2).then_some(())
    });
    let now_asked = daemon.stage.requests();
    // A slow machine may be through with the silence by now; what it sent then is judged by the model alone.
    if now_asked == asked {
        assert_eq!(daemon.states(1), ["maintaining"], "nobody said more");
    }
    daemon.stage.on_github(vigil_model::Model::heal);
    daemon.wait_for_state(1, "succeeded");
    daemon.ends_well();
}
