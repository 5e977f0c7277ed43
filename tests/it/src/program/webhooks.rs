//! `vigil run --listen`: GitHub wakes the daemon, and nobody else does.

use std::fs::{self, File, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use sha2::Sha256;
use vigil::demo::home::REPO;
use vigil::demo::{Home, Made};

use super::stage::{Held, Stage, wait_for, wait_for_end};

const SECRET: &str = "the secret of a webhook that nobody else knows";

/// Writes the secret, and a configuration that names it.
fn configure(stage: &Stage) {
    let path = stage.path("secret");
    fs::write(&path, format!("{SECRET}\n")).expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a mode");
    stage.configure(&format!(
        "[webhooks]\nsecret_file = \"{}\"\n",
        path.display()
    ));
}

/// 10 s: then GitHub gives a delivery up.
const GITHUB_WAITS: Duration = Duration::from_secs(10);

/// Posts a closed pull request as GitHub does, which waits for no longer than it; gives the status of the answer.
fn deliver(address: SocketAddr, id: &str, secret: &str, number: u64) -> String {
    let body = json!({
        "action": "closed",
        "number": number,
        // No facts are taken from it: this is not what GitHub says when it is asked.
        "pull_request": { "number": number, "merged": false, "head": { "ref": "elsewhere" } },
        "repository": { "full_name": REPO },
    })
    .to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    mac.update(body.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let request = format!(
        "POST /webhooks/github HTTP/1.1\r\nHost: {address}\r\nX-GitHub-Event: pull_request\r\n\
         X-GitHub-Delivery: {id}\r\nX-Hub-Signature-256: sha256={signature}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).expect("it listens");
    let patience = Some(GITHUB_WAITS);
    stream.set_write_timeout(patience).expect("a time");
    stream.set_read_timeout(patience).expect("a time");
    stream.write_all(request.as_bytes()).expect("it is taken");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("an answer in time");
    answer.lines().next().unwrap_or_default().to_owned()
}

/// A daemon that listens, with its address.
fn listening(stage: &Stage) -> (Held, SocketAddr) {
    configure(stage);
    let log = stage.path("log");
    let mut command = stage.vigil(&["run", "--interval", "1h", "--listen", "127.0.0.1:0"]);
    let command = command.stdout(Stdio::null());
    let command = command.stderr(File::create(&log).expect("a file"));
    let daemon = Held(command.spawn().expect("vigil starts"));
    let address = wait_for("its address in the log", || {
        let text = fs::read_to_string(&log).expect("the log");
        let (_, url) = text.split_once("http://")?;
        url.split_once("/webhooks/github")?.0.parse().ok()
    });
    (daemon, address)
}

/// Whether the newest transition went to `state`.
fn moved_to(stage: &Stage, state: &str) -> bool {
    let history = stage.run(&["history", "--json"]).json_with(0);
    history["transitions"][0]["to"] == state
}

#[test]
fn a_delivery_wakes_the_daemon_long_before_its_interval() {
    let mut stage = Stage::new();
    let head = stage.home.add(&Made::default()).expect("a session");
    stage.write();
    let (created, merged) = (stage.minutes_ago(100), stage.minutes_ago(1));
    stage.on_github(|model| {
        let issue = model.repo(REPO).issue(1);
        let pull = issue.pull(21).head(&Home::branch(1)).sha(&head);
        pull.created_at(created);
    });
    let (mut daemon, address) = listening(&stage);
    let log = stage.path("log");
    let logged = || fs::read_to_string(&log).expect("the log");
    wait_for("the open pull request to be seen", || {
        moved_to(&stage, "maintaining").then_some(())
    });

    stage.on_github(|model| {
        model.repo(REPO).pull(21).merged_at(merged);
    });
    let forged = deliver(address, "a", "another secret", 21);
    assert_eq!(forged, "HTTP/1.1 401 Unauthorized");
    let taken = deliver(address, "a", SECRET, 21);
    assert_eq!(taken, "HTTP/1.1 202 Accepted");
    let again = deliver(address, "a", SECRET, 21);
    assert_eq!(again, "HTTP/1.1 200 OK");
    wait_for("the merge to be seen", || {
        moved_to(&stage, "succeeded").then_some(())
    });
    wait_for("what was heard in the log", || {
        logged().contains("webhooks heard").then_some(())
    });
    // Who asks is told, too, and also after the daemon has ended.
    let heard = || stage.run(&["status", "--offline", "--json"]).json_with(0)["webhooks"].clone();
    let kept = wait_for("what was heard to be kept", || {
        Some(heard()).filter(|heard| heard["duplicates"] == 1)
    });
    for (key, count) in [("received", 3), ("forged", 1), ("unparsable", 0)] {
        assert_eq!(kept[key], count, "{key}: {kept:#}");
    }
    assert!(
        kept["since"].is_string() && kept["last"].is_string(),
        "{kept:#}"
    );
    let people = stage.run(&["status", "--offline"]).ended(0).out.clone();
    assert!(
        people.contains("3 received") && people.contains("1 forged"),
        "{people}"
    );

    // The secret is replaced while the daemon runs.
    let next = "another secret that takes its place";
    fs::write(stage.path("secret"), format!("{next}\n")).expect("a file");
    assert_eq!(
        deliver(address, "b", SECRET, 21),
        "HTTP/1.1 401 Unauthorized"
    );
    assert_eq!(deliver(address, "b", next, 21), "HTTP/1.1 202 Accepted");
    let kept = wait_for("these to be kept as well", || {
        Some(heard()).filter(|heard| heard["received"] == 5)
    });

    let pid = Pid::from_raw(i32::try_from(daemon.0.id()).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::TERM).expect("it is our child");
    assert_eq!(wait_for_end(&mut daemon.0).code(), Some(0), "{}", logged());
    assert!(TcpStream::connect(address).is_err(), "it ends with vigil");
    assert_eq!(heard(), kept);
    assert!(!logged().contains(SECRET), "{}", logged());
}

#[test]
fn it_does_not_start_without_a_secret_or_on_a_port_in_use() {
    let stage = Stage::new();
    stage.write();
    let unsigned = stage.run(&["run", "--listen", "127.0.0.1:0"]);
    let unsigned = unsigned.ended(2);
    assert!(
        unsigned.err.contains("secret_env") && unsigned.err.contains("secret_file"),
        "it says what to set: {unsigned:#?}"
    );

    configure(&stage);
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ran = stage.run(&["run", "--listen", &address]);
    let ran = ran.ended(2);
    assert!(
        ran.err.contains(&address) && ran.err.contains("in use"),
        "{ran:#?}"
    );

    let secret = stage.path("secret");
    fs::set_permissions(&secret, Permissions::from_mode(0o644)).expect("a mode");
    let ran = stage.run(&["run", "--listen", "127.0.0.1:0"]);
    let ran = ran.ended(2);
    assert!(
        ran.err.contains("chmod") && !ran.err.contains(SECRET),
        "{ran:#?}"
    );

    for arguments in [
        &["run", "--once", "--listen", "127.0.0.1:0"][..],
        &["run", "--dry-run", "--listen", "127.0.0.1:0"],
        &["run", "--listen", "8737"],
    ] {
        stage.run(arguments).ended(2);
    }
}

/// What `daemon` holds of the machine's memory, in MiB.
fn memory(daemon: &Held) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.0.id())).expect("it lives");
    let kib = status.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?
            .trim()
            .split(' ')
            .next()?
            .parse::<u64>()
            .ok()
    });
    kib.expect("its memory") / 1024
}

#[test]
fn a_delivery_gets_in_beside_a_thousand_idle_connections_and_memory_comes_back() {
    let stage = Stage::with_merged(1);
    let (daemon, address) = listening(&stage);
    wait_for("the merge to be seen", || {
        moved_to(&stage, "succeeded").then_some(())
    });
    let idle: Vec<TcpStream> = (0..1_000)
        .map(|_| TcpStream::connect(address).expect("it listens"))
        .collect();
    assert_eq!(deliver(address, "a", SECRET, 21), "HTTP/1.1 202 Accepted");
    drop(idle);

    // Whoever has no secret may send much; what is held of it at once is bounded, and none of it stays.
    let before = memory(&daemon);
    let body = vec![b' '; 20 << 20];
    std::thread::scope(|senders| {
        for _ in 0..6 {
            senders.spawn(|| {
                let mut stream = TcpStream::connect(address).expect("it listens");
                let head = format!(
                    "POST /webhooks/github HTTP/1.1\r\nHost: {address}\r\nX-GitHub-Event: push\r\n\
                     X-Hub-Signature-256: sha256={}\r\nContent-Length: {}\r\n\r\n",
                    "0".repeat(64),
                    body.len()
                );
                // It may be refused before all of it is sent.
                let sent = stream.write_all(head.as_bytes());
                let _ = sent.and_then(|()| stream.write_all(&body));
                let _ = stream.read_to_string(&mut String::new());
            });
        }
    });
    let after = wait_for("the memory to come back", || {
        Some(memory(&daemon)).filter(|after| *after < before + 20)
    });
    assert!(after < before + 20, "{before} MiB before, {after} after");
    drop(daemon);
}
