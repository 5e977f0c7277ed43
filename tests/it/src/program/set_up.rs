//! Set-up and its mistakes: what a configuration and an environment say wrongly is named, with its place and what is
//! allowed, before anybody is asked anything.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::bad_input::{redacted, snapshot};
use super::stage::{Ran, Stage, TOKEN, ran, session};

/// Writes a file that holds a secret.
fn put(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

/// A section of the configuration that is wrong, by what is wrong with it.
const WRONG: [(&str, &str); 58] = [
    (
        "token_file: missing",
        "[github]\ntoken_file = \"nowhere\"\n",
    ),
    ("token_file: empty", "[github]\ntoken_file = \"empty\"\n"),
    ("token_file: no token", "[github]\ntoken_file = \"words\"\n"),
    ("token_file: open", "[github]\ntoken_file = \"open\"\n"),
    ("token_file: a folder", "[github]\ntoken_file = \".\"\n"),
    ("token_file: no path", "[github]\ntoken_file = \"\"\n"),
    ("token_file: a number", "[github]\ntoken_file = 7\n"),
    ("token: no table", "[github]\ntoken = \"ghp_hunter2\"\n"),
    (
        "host: an address",
        "[github]\nhost = \"https://github.com\"\n",
    ),
    ("host: empty", "[github]\nhost = \"\"\n"),
    (
        "host: that of the API",
        "[github]\nhost = \"api.github.com\"\n",
    ),
    (
        "api_url: no address",
        "[github]\napi_url = \"git acme test\"\n",
    ),
    (
        "api_url: in the clear",
        "[github]\napi_url = \"http://git.acme.test\"\n",
    ),
    (
        "api_url: another scheme",
        "[github]\napi_url = \"ftp://git.acme.test\"\n",
    ),
    (
        "api_url: a password",
        "[github]\napi_url = \"https://me:hunter2@git.acme.test\"\n",
    ),
    (
        "graphql_url: of another host",
        "[github]\ngraphql_url = \"https://git.acme.test/api/graphql\"\n",
    ),
    (
        "request_timeout: none",
        "[github]\nrequest_timeout = \"0s\"\n",
    ),
    (
        "request_timeout: a number",
        "[github]\nrequest_timeout = 15\n",
    ),
    (
        "request_timeout: a word",
        "[github]\nrequest_timeout = \"soon\"\n",
    ),
    ("reserve: all", "[github]\nreserve = 100\n"),
    ("reserve: more than all", "[github]\nreserve = 300\n"),
    ("reserve: negative", "[github]\nreserve = -1\n"),
    ("reserve: a fraction", "[github]\nreserve = 12.5\n"),
    ("share: nothing", "[github]\nshare = 0\n"),
    ("share: a text", "[github]\nshare = \"25%\"\n"),
    (
        "github: an unknown key",
        "[github]\ntokenfile = \"token\"\n",
    ),
    ("token.owners: left out", "[[github.token]]\nenv = \"A\"\n"),
    (
        "token.owners: none",
        "[[github.token]]\nowners = []\nenv = \"A\"\n",
    ),
    (
        "token.owners: a repository",
        "[[github.token]]\nowners = [\"acme/app\"]\nenv = \"A\"\n",
    ),
    (
        "token.owners: a star",
        "[[github.token]]\nowners = [\"*\"]\nenv = \"A\"\n",
    ),
    (
        "token.owners: twice",
        "[[github.token]]\nowners = [\"acme\", \"Acme\"]\nenv = \"A\"\n",
    ),
    (
        "token.env: not set",
        "[[github.token]]\nowners = [\"acme\"]\nenv = \"NO_SUCH_TOKEN\"\n",
    ),
    (
        "token.env: the token itself",
        "[[github.token]]\nowners = [\"acme\"]\nenv = \"ghp_hunter2\"\n",
    ),
    (
        "token.env and file",
        "[[github.token]]\nowners = [\"acme\"]\nenv = \"A\"\nfile = \"token\"\n",
    ),
    (
        "token: neither env nor file",
        "[[github.token]]\nowners = [\"acme\"]\n",
    ),
    (
        "token.file: open",
        "[[github.token]]\nowners = [\"acme\"]\nfile = \"open\"\n",
    ),
    (
        "token.file: no path",
        "[[github.token]]\nowners = [\"acme\"]\nfile = \"\"\n",
    ),
    ("app.id: left out", "[github.app]\nkey_file = \"app.pem\"\n"),
    (
        "app.id: zero",
        "[github.app]\nid = 0\nkey_file = \"app.pem\"\n",
    ),
    (
        "app.id: a flag",
        "[github.app]\nid = true\nkey_file = \"app.pem\"\n",
    ),
    (
        "app.id: empty",
        "[github.app]\nid = \"\"\nkey_file = \"app.pem\"\n",
    ),
    ("app.key_file: left out", "[github.app]\nid = 7\n"),
    (
        "app.key_file: missing",
        "[github.app]\nid = 7\nkey_file = \"nowhere.pem\"\n",
    ),
    (
        "app.key_file: no key",
        "[github.app]\nid = 7\nkey_file = \"token\"\n",
    ),
    (
        "app.key_file: open",
        "[github.app]\nid = 7\nkey_file = \"open\"\n",
    ),
    (
        "app.key_file: no path",
        "[github.app]\nid = 7\nkey_file = \"\"\n",
    ),
    (
        "app.owners: none",
        "[github.app]\nid = 7\nkey_file = \"app.pem\"\nowners = []\n",
    ),
    (
        "webhooks.secret_env: not set",
        "[webhooks]\nsecret_env = \"NO_SUCH_SECRET\"\n",
    ),
    (
        "webhooks.secret_env: the secret itself",
        "[webhooks]\nsecret_env = \"hunter2 hunter2\"\n",
    ),
    (
        "webhooks.secret_file: missing",
        "[webhooks]\nsecret_file = \"nowhere\"\n",
    ),
    (
        "webhooks.secret_file: open",
        "[webhooks]\nsecret_file = \"open\"\n",
    ),
    (
        "webhooks.secret_file: empty",
        "[webhooks]\nsecret_file = \"empty\"\n",
    ),
    (
        "webhooks.secret_file: no path",
        "[webhooks]\nsecret_file = \"\"\n",
    ),
    (
        "webhooks.hosts: an address",
        "[webhooks]\nhosts = [\"https://vigil.example.org/hooks\"]\n",
    ),
    (
        "webhooks.hosts: a star",
        "[webhooks]\nhosts = [\"*.example.org\"]\n",
    ),
    (
        "webhooks.hosts: no list",
        "[webhooks]\nhosts = \"vigil.example.org\"\n",
    ),
    (
        "webhooks.resync: a word",
        "[webhooks]\nresync = \"often\"\n",
    ),
    (
        "webhooks: an unknown key",
        "[webhooks]\nsecret = \"hunter2\"\n",
    ),
];

/// The folder of the configuration, with the files that [`WRONG`] names.
fn with_files(stage: &Stage) -> std::path::PathBuf {
    stage.configure("");
    let folder = stage.user().join(".config/vigil");
    put(&folder.join("token"), TOKEN, 0o600);
    put(&folder.join("empty"), "\n", 0o600);
    put(&folder.join("words"), "GH_TOKEN=hunter2", 0o600);
    put(&folder.join("open"), TOKEN, 0o644);
    let keys = xtask::command::root().join("host/vigil-github/tests/it/app");
    let key = fs::read_to_string(keys.join("pkcs1.pem")).expect("a key");
    put(&folder.join("app.pem"), &key, 0o600);
    folder
}

#[test]
fn every_wrong_value_is_found_by_config_check_and_named_with_what_is_allowed() {
    let mut stage = Stage::with_merged(1);
    with_files(&stage);
    let mut said = String::new();
    for (name, text) in WRONG {
        stage.configure(text);
        // Whatever the environment has to say of where GitHub is must not hide it.
        let ran = ran(stage
            .vigil(&["config", "check"])
            .env_remove("GITHUB_API_URL")
            .env_remove("GITHUB_GRAPHQL_URL"));
        ran.ended(2);
        let all = format!("{}{}", ran.out, ran.err);
        assert!(!all.contains("hunter2 hunter2"), "{name}: {all}");
        assert!(
            !all.contains("ghp_hunter2") && !all.contains(TOKEN),
            "{name}: {all}"
        );
        assert_eq!(
            all.lines()
                .filter(|line| line.starts_with("error: ") || line.starts_with("problem: "))
                .count(),
            1,
            "{name}: {all}"
        );
        assert!(
            all.contains("hint: ") || all.contains("expected"),
            "{name}: {all}"
        );
        let lines = all.lines().filter(|line| !line.contains(" has 1 problem"));
        let lines: Vec<&str> = lines.collect();
        said.push_str(&format!(
            "## {name}\n{}\n\n",
            redacted(&lines.join("\n"), &stage)
        ));
    }
    assert_eq!(stage.requests(), 0, "nobody is asked");
    snapshot("config-check", &said);
}

#[test]
fn several_problems_are_told_at_once() {
    let stage = Stage::with_merged(1);
    let folder = with_files(&stage);
    stage.configure(
        "[[policy]]\npath = \"nowhere.wasm\"\n[github]\ntoken_file = \"open\"\n\
         [webhooks]\nsecret_file = \"empty\"\n",
    );
    let document = stage.run(&["config", "check", "--json"]).json_with(2);
    let problems: Vec<&str> = document["problems"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|problem| problem["what"].as_str())
        .collect();
    assert_eq!(problems.len(), 3, "{document:#}");
    let nowhere = folder.join("nowhere.wasm").display().to_string();
    assert!(problems[0].contains(&nowhere), "{problems:?}");
    assert!(problems[1].contains("github.token_file"), "{problems:?}");
    assert!(problems[2].contains("webhooks.secret_file"), "{problems:?}");

    stage.configure("[github]\ntoken_file = \"token\"\n[webhooks]\nsecret_file = \"token\"\n");
    let document = stage.run(&["config", "check", "--json"]).json_with(0);
    assert_eq!(document["problems"], json!([]));
    assert_eq!(document["policies"], 1);
}

#[test]
fn a_path_starts_from_the_folder_of_the_configuration_that_names_it() {
    let mut stage = Stage::with_merged(1);
    let folder = stage.path("etc");
    fs::create_dir(&folder).expect("a folder");
    put(&folder.join("token"), TOKEN, 0o600);
    let config = folder.join("vigil.toml");
    fs::write(&config, "[github]\ntoken_file = \"token\"\n").expect("a file");
    let pass = |stage: &Stage, config: &str, from: &Path| {
        let mut command = stage.vigil(&["--config", config, "run", "--once", "--json"]);
        command.env_remove("GH_TOKEN").current_dir(from);
        ran(&mut command)
    };
    let named = config.to_str().expect("UTF-8");
    let passed = pass(&stage, named, &stage.user()).json_with(0);
    assert_eq!(session(&passed, 1)["outcome"], "transitioned", "{passed:#}");
    // And where the file itself is named by a relative path.
    stage.set_merged(2);
    let passed = pass(&stage, "etc/vigil.toml", &stage.path("")).json_with(0);
    assert_eq!(session(&passed, 2)["outcome"], "transitioned", "{passed:#}");
    let shown = stage.run(&["--config", named, "config", "show", "--json"]);
    assert_eq!(
        shown.json_with(0)["config"]["github"]["token_file"],
        folder.join("token").display().to_string()
    );
    // A policy of the configuration is found from elsewhere, and is the one that the command line names from there.
    let policy = super::guests::path("custom");
    fs::copy(&policy, folder.join("team.wasm")).expect("a copy");
    fs::write(
        &config,
        "[[policy]]\npath = \"team.wasm\"\nsettings = { no_such_setting = 1 }\n",
    )
    .expect("a file");
    let check = |arguments: &[&str], from: &Path| {
        let mut all = vec!["--config", named];
        all.extend_from_slice(arguments);
        ran(stage.vigil(&all).current_dir(from))
    };
    for (arguments, from) in [
        (&["config", "check"][..], stage.user()),
        (&["run", "--once", "--policy", "team.wasm"], folder.clone()),
    ] {
        let said = check(arguments, &from);
        let said = format!("{}{}", said.ended(2).out, said.err);
        assert!(
            said.contains("team.wasm") && said.contains("no_such_setting"),
            "{said}"
        );
    }
}

#[test]
fn what_the_environment_says_wrongly_ends_the_start_with_one_error() {
    let stage = Stage::with_merged(1);
    let text = stage.path("text.pem");
    fs::write(&text, "no certificate").expect("a file");
    let text = text.to_str().expect("UTF-8");
    let https = ("GITHUB_API_URL", "https://localhost:9");
    let cases: [(&str, &[(&str, &str)]); 9] = [
        (
            "a certificate that is none",
            &[https, ("SSL_CERT_FILE", text)],
        ),
        (
            "certificates that are not there",
            &[https, ("SSL_CERT_FILE", "/nowhere/ca.pem")],
        ),
        (
            "a folder that is not there",
            &[https, ("SSL_CERT_DIR", "/nowhere/certs")],
        ),
        (
            "a proxy with a port that is too large",
            &[("https_proxy", "http://me:hunter2@proxy.test:99999")],
        ),
        (
            "a proxy whose port is a word",
            &[("HTTPS_PROXY", "proxy.test:http")],
        ),
        ("a proxy without a host", &[("ALL_PROXY", "http://")]),
        (
            "a proxy of another kind",
            &[("ALL_PROXY", "gopher://proxy.test")],
        ),
        (
            "a host that is an address",
            &[("GH_HOST", "https://github.com")],
        ),
        (
            "an address that is none",
            &[("GITHUB_API_URL", "api.github.com")],
        ),
    ];
    let mut said = String::new();
    for (name, variables) in cases {
        for arguments in [&["run", "--once"][..], &["status"], &["config", "check"]] {
            let mut command = stage.vigil(arguments);
            command.env_remove("GITHUB_GRAPHQL_URL");
            command.envs(variables.iter().copied());
            let ran = ran(&mut command);
            let all = format!("{}{}", ran.ended(2).out, ran.err);
            assert!(!all.contains("hunter2"), "{all}");
            if arguments == ["status"] {
                said.push_str(&format!("## {name}\n{}\n", redacted(&all, &stage)));
            } else {
                assert!(
                    all.contains(variables.last().expect("one").0),
                    "{arguments:?}: {all}"
                );
            }
        }
    }
    snapshot("environment", &said);
}

#[test]
fn an_entry_of_no_proxy_that_fits_no_host_is_told_and_stops_nobody() {
    let stage = Stage::with_merged(1);
    let with = |arguments: &[&str]| {
        ran(stage
            .vigil(arguments)
            .env("https_proxy", "http://127.0.0.1:1")
            .env("NO_PROXY", "localhost,http://git.acme.test:8080,10.0.0.0/8"))
    };
    let expected = "NO_PROXY has \"http://git.acme.test:8080\", which fits no host";
    let pass = with(&["run", "--once", "--json"]);
    assert!(pass.ended(0).err.contains(expected), "{pass:#?}");
    pass.json();
    for arguments in [&["doctor"][..], &["config", "check"]] {
        let said = with(arguments);
        assert!(said.ended(0).out.contains(expected), "{said:#?}");
        assert!(!said.out.contains("10.0.0.0/8\", which"), "{said:#?}");
    }
}

#[test]
fn a_token_for_github_com_is_not_sent_to_this_machine_over_tls() {
    let stage = Stage::with_merged(1);
    let document = ran(stage
        .vigil(&["doctor", "--json"])
        .env("GITHUB_API_URL", "https://127.0.0.1:9")
        .env_remove("GITHUB_GRAPHQL_URL"))
    .json_with(1);
    let account = &document["accounts"][0];
    assert_eq!(account["origin"], Value::Null);
    let said = document["findings"].to_string();
    assert!(
        said.contains("GH_TOKEN is for github.com and is not sent to 127.0.0.1"),
        "{document:#}"
    );
    assert!(
        said.contains("GH_ENTERPRISE_TOKEN is not set"),
        "{document:#}"
    );
}

#[test]
fn an_address_to_listen_on_is_taken_by_the_name_of_loopback_or_hinted_at() {
    let stage = Stage::with_merged(1);
    let folder = with_files(&stage);
    stage.configure("[webhooks]\nsecret_file = \"token\"\n");
    for (address, hint) in [
        ("8737", "write 127.0.0.1:8737"),
        (":8737", "write 127.0.0.1:8737"),
        ("localhost", "write localhost:8737"),
        ("vigil.example.org:8737", "webhooks.hosts"),
        ("localhost:99999", "65535"),
    ] {
        let said = stage.run(&["run", "--listen", address]);
        assert!(said.ended(2).err.contains(hint), "{address}: {said:#?}");
    }

    let about = |listen: &str, code: i32| -> Vec<String> {
        let ran: Ran = stage.run(&["doctor", "--json", "--listen", listen]);
        let document = ran.json_with(code);
        let findings = document["findings"].as_array().expect("a list");
        let webhooks = findings
            .iter()
            .filter(|finding| finding["what"] == "webhooks");
        webhooks
            .map(|finding| format!("{} {}", finding["ok"], finding["detail"]))
            .collect()
    };
    let found = about("localhost:0", 0).join("\n");
    assert!(
        found.contains("true \"127.0.0.1:0 can be listened on\""),
        "{found}"
    );
    let secret = folder.join("token");
    assert!(
        found.contains(&format!("secret from {}", secret.display())),
        "{found}"
    );
    let found = about("0.0.0.0:0", 0).join("\n");
    assert!(
        found.contains("from other machines, and unencrypted"),
        "{found}"
    );
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let found = about(&address, 1).join("\n");
    assert!(
        found.contains(&format!("false \"{address} is in use\"")),
        "{found}"
    );
    stage.configure("[webhooks]\nhosts = [\"vigil.example.org\"]\n");
    let found = about("127.0.0.1:0", 1).join("\n");
    assert!(found.contains("false \"there is no secret"), "{found}");
    assert!(found.contains("reached as vigil.example.org"), "{found}");
}

#[test]
fn what_is_shown_is_a_configuration_that_says_the_same() {
    let stage = Stage::with_merged(1);
    with_files(&stage);
    stage.configure("[github]\ntoken_file = \"token\"\n[notify]\ncommand = [\"./tell\", \"me\"]\n");
    let shown = stage.run(&["config", "show"]);
    let text = &shown.ended(0).out;
    for line in [
        "# secret_env = \"VARIABLE\"  # not set",
        "# same_pid_namespace = true  # not set: found out",
        "# [github.app]  # not set: a GitHub App that asks",
    ] {
        assert!(
            text.lines().any(|one| one == line),
            "{line} is not in {text}"
        );
    }
    let home = stage.home.vigilante().display().to_string();
    assert!(text.contains(&format!("home = \"{home}\"")), "{text}");
    let copy = stage.path("copy.toml");
    fs::write(&copy, text).expect("a file");
    let again = stage.run(&["--config", copy.to_str().expect("UTF-8"), "config", "show"]);
    let body = |text: &str| text.lines().skip(1).collect::<Vec<_>>().join("\n");
    assert_eq!(body(&again.ended(0).out), body(text));
}
