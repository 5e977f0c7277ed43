//! What `vigil doctor` finds out: accounts, what they may read, silences, pauses, and what is wrong with the set-up.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::{Value, json};
use vigil::demo::home::REPO;
use vigil_model::{Fault, Permission, Scope, TokenKind};

use super::stage::{Stage, TOKEN, ran};

/// The finding about `what` that holds `text`.
fn finding<'a>(document: &'a Value, what: &str, text: &str) -> &'a Value {
    document["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|finding| {
            finding["what"] == what
                && finding["detail"]
                    .as_str()
                    .is_some_and(|detail| detail.contains(text))
        })
        .unwrap_or_else(|| panic!("no finding on {what} with {text:?}: {document:#}"))
}

#[test]
fn a_good_set_up_shows_the_account_its_limits_and_the_repository() {
    let mut stage = Stage::with_merged(1);
    let document = stage.run(&["doctor", "--json"]).json_with(0);
    let account = &document["accounts"][0];
    assert_eq!(account["account"], "default");
    assert_eq!(account["origin"], "GH_TOKEN");
    assert_eq!(account["kind"], "classic");
    assert_eq!(account["scopes"], json!(["repo"]));
    assert_eq!(account["expires"], Value::Null);
    assert_eq!(account["graphql"]["limit"], 5000);
    assert_eq!(account["error"], Value::Null);
    let repository = &document["repositories"][0];
    assert_eq!(repository["repo"], REPO);
    assert_eq!(repository["readable"], true);
    assert_eq!(repository["missing"], json!([]));
    finding(&document, "repositories", "1 of 1 can be read");
    finding(&document, "clock", "s from GitHub's");
    finding(&document, "source vigilante", "scan.lock");
    // One question about the token, and one or two about the repository.
    assert!(stage.requests() <= 3);
    // They count as vigil's own.
    let points = stage.on_github(|model| model.tally().points);
    assert!(points > 0);
    let status = stage.run(&["status", "--offline", "--json"]).json_with(0);
    let pot = &status["budget"][0]["points"];
    assert_eq!(pot["spent"], points, "{status:#}");
    assert_eq!(pot["remaining"], 5000 - points, "{status:#}");
}

#[test]
fn what_the_token_may_not_read_is_named_with_what_would_stay_unknown() {
    let mut stage = Stage::with_merged(1);
    stage.on_github(|model| {
        model
            .token("github_pat_of_acme")
            .kind(TokenKind::FineGrained)
            .without(Permission::IssuesRead);
    });
    let doctor =
        |arguments: &[&str]| ran(stage.vigil(arguments).env("GH_TOKEN", "github_pat_of_acme"));
    let document = doctor(&["doctor", "--json"]).json_with(0);
    assert_eq!(document["accounts"][0]["kind"], "fine-grained");
    let repository = &document["repositories"][0];
    assert_eq!(repository["readable"], true);
    let missing = repository["missing"].as_array().expect("a list");
    let issue = missing.iter().find(|one| one["fact"] == "issue");
    let issue = issue.unwrap_or_else(|| panic!("{document:#}"));
    assert_eq!(issue["permissions"], json!(["Issues"]));
    let what = format!("repository {REPO}");
    let found = finding(&document, &what, "issue");
    assert!(
        found["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("Issues")),
        "{found:#}"
    );
    // For people it is a note, and no failure.
    assert!(doctor(&["doctor"]).ended(0).out.contains("note"));
}

#[test]
fn a_repository_that_cannot_be_seen_is_a_failure_with_advice() {
    let mut stage = Stage::with_merged(1);
    stage.on_github(|model| {
        model.fail(Scope::Any, Fault::RepoHidden(REPO.to_owned()));
    });
    let document = stage.run(&["doctor", "--json"]).json_with(1);
    assert_eq!(document["repositories"][0]["readable"], false);
    let found = finding(&document, &format!("repository {REPO}"), "no access");
    assert_eq!(found["ok"], false);
    assert!(found["hint"].is_string());
}

#[test]
fn a_silence_is_told_kept_and_respected() {
    let mut stage = Stage::with_merged(1);
    stage.on_github(|model| {
        model.fail_next(1, Fault::TooManyRequests(Some(600)));
    });
    let first = stage.run(&["doctor", "--json"]).json_with(0);
    let until = first["accounts"][0]["silent_until"]
        .as_str()
        .expect("a moment")
        .to_owned();
    finding(&first, "GitHub", "silent until");
    assert_eq!(first["repositories"][0]["readable"], Value::Null);
    assert_eq!(stage.requests(), 1);
    // Neither the next look nor a pass asks before that.
    let second = stage.run(&["doctor", "--json"]).json_with(0);
    assert_eq!(second["accounts"][0]["silent_until"], until.as_str());
    stage.run(&["run", "--once"]);
    stage.run(&["status"]);
    assert_eq!(stage.requests(), 1);
}

#[test]
fn points_that_are_used_up_silence_the_queries_alone() {
    let mut stage = Stage::with_merged(1);
    // From now on its repository is watched.
    stage.status().ended(0);
    stage.on_github(|model| {
        model.token(TOKEN).used(0, 5_000);
    });
    let sent =
        |stage: &mut Stage| stage.on_github(|model| (model.tally().rest, model.tally().graphql));
    let (_, queries) = sent(&mut stage);
    let document = stage.run(&["doctor", "--json"]).json_with(0);
    assert!(document["accounts"][0]["silent_until"].is_string());
    finding(&document, "GitHub", "the points of this token are used up");
    assert_eq!(document["repositories"][0]["readable"], Value::Null);
    let (lists, after) = sent(&mut stage);
    assert_eq!(after, queries, "a query would be refused");
    // A pass goes on with what is free.
    stage.run(&["run", "--once"]);
    let (later, after) = sent(&mut stage);
    assert!(later > lists, "the list of changes was asked for");
    assert_eq!(after, queries);
}

#[test]
fn several_tokens_and_an_app_are_accounts_of_their_own() {
    let mut stage = Stage::with_merged(1);
    let (owner, _) = REPO.split_once('/').expect("owner/name");
    let key = stage.path("app.pem");
    let keys = xtask::command::root().join("host/vigil-github/tests/it/app");
    fs::copy(keys.join("pkcs1.pem"), &key).expect("a copy");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a mode");
    let public = fs::read_to_string(keys.join("public.pem")).expect("a key");
    stage.on_github(|model| {
        model.app(7, &public).installation(70, owner);
        let end = model.now_ms() + 3_600_000;
        model.token("ghp_of_beta").expires_at(end);
    });
    stage.configure(&format!(
        "[github.app]\nid = 7\nkey_file = \"{}\"\nowners = [\"{owner}\"]\n\
         [[github.token]]\nowners = [\"beta\"]\nenv = \"BETA_TOKEN\"\n",
        key.display()
    ));
    let doctor = || {
        let mut command = stage.vigil(&["doctor", "--json"]);
        command
            .env_remove("GH_TOKEN")
            .env("BETA_TOKEN", "ghp_of_beta");
        ran(&mut command)
    };
    let document = doctor().json_with(0);
    let accounts: Vec<&str> = document["accounts"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|account| account["account"].as_str())
        .collect();
    assert_eq!(accounts, [&format!("app 7 at {owner}"), "beta"]);
    let app = &document["accounts"][0];
    assert_eq!(app["kind"], "installation");
    assert_eq!(app["owners"], json!([owner]));
    assert_eq!(app["permissions"]["checks"], "read");
    assert_eq!(document["repositories"][0]["account"], app["account"]);
    assert_eq!(document["repositories"][0]["readable"], true);
    // Beta's runs out within the hour.
    let soon = finding(&document, "GitHub (beta)", "runs out at");
    assert_eq!(
        (&soon["ok"], soon["hint"].is_string()),
        (&json!(true), true)
    );

    // A pass asks through the installation.
    let mut pass = stage.vigil(&["run", "--once", "--json"]);
    pass.env_remove("GH_TOKEN").env("BETA_TOKEN", "ghp_of_beta");
    let passed = ran(&mut pass).json_with(0);
    assert_eq!(
        passed["sessions"][0]["outcome"], "transitioned",
        "{passed:#}"
    );

    // The variable is gone, and then the key is open to others: both are told by name.
    let without = ran(stage.vigil(&["doctor", "--json"]).env_remove("BETA_TOKEN"));
    finding(
        &without.json_with(1),
        "GitHub",
        "github.token[0].env names BETA_TOKEN",
    );
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("a mode");
    let open = doctor().json_with(1);
    let found = finding(&open, "GitHub", "is open to everybody (mode 644)");
    assert!(
        found["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("chmod o=")),
        "{found:#}"
    );
}

#[test]
fn two_tokens_of_one_user_are_told_to_be_one_users() {
    let mut stage = Stage::with_merged(1);
    let config = "[[github.token]]\nowners = [\"beta\"]\nenv = \"BETA_TOKEN\"\n";
    stage.configure(config);
    let whose = |stage: &mut Stage, login: &str| {
        stage.on_github(|model| {
            model.token("ghp_of_beta").login(login);
        });
        let mut command = stage.vigil(&["doctor", "--json"]);
        ran(command.env("BETA_TOKEN", "ghp_of_beta")).json_with(0)
    };
    let document = whose(&mut stage, "octocat");
    let found = finding(
        &document,
        "GitHub",
        "the tokens of beta, default are all octocat's",
    );
    assert_eq!(found["ok"], true);
    let hint = found["hint"].as_str().expect("a hint");
    assert!(hint.contains("github.share to 12"), "{hint}");

    let document = whose(&mut stage, "somebody");
    let findings = document["findings"].to_string();
    assert!(!findings.contains("whose limits they share"), "{findings}");
    assert_eq!(document["accounts"][0]["login"], "somebody");

    // The same token is no other account, and one account is not asked whose it is.
    let mut command = stage.vigil(&["doctor", "--json"]);
    let document = ran(command.env("BETA_TOKEN", TOKEN)).json_with(0);
    let accounts = document["accounts"].as_array().expect("a list");
    assert_eq!(accounts.len(), 1, "{document:#}");
    assert_eq!(accounts[0]["login"], Value::Null);
}

#[test]
fn a_proxy_that_is_in_the_way_is_named_and_its_password_is_not() {
    let stage = Stage::with_merged(1);
    let commands: [&[&str]; 4] = [
        &["doctor"],
        &["doctor", "--json"],
        &["run", "--once", "--json"],
        &["status"],
    ];
    for arguments in commands {
        // Nobody listens there, so that nothing leaves this machine.
        let ran = ran(abroad(&stage, arguments)
            .env("VIGIL_LOG", "trace")
            .env("https_proxy", "http://me:hunter2@127.0.0.1:1"));
        let said = format!("{}{}", ran.out, ran.err);
        assert!(
            !said.contains("hunter2") && !said.contains("bWU6aHVudGVyMg"),
            "{arguments:?}"
        );
        if arguments[0] == "doctor" {
            assert!(
                said.contains("the proxy 127.0.0.1:1 of https_proxy"),
                "{said}"
            );
        }
    }
    let through = ran(abroad(&stage, &["doctor"])
        .env("NO_PROXY", "example.test")
        .env("all_proxy", "http://me:hunter2@127.0.0.1:1"));
    let said = &through.ended(1).out;
    assert!(
        said.contains("through the proxy 127.0.0.1:1 of all_proxy"),
        "{said}"
    );
    let ran =
        ran(abroad(&stage, &["doctor", "--json"])
            .env("ALL_PROXY", "gopher://me:hunter2@127.0.0.1:1"));
    let document = ran.json_with(1);
    finding(&document, "GitHub", "ALL_PROXY");
    assert!(!document.to_string().contains("hunter2"));
}

/// A command whose GitHub is on another machine: this one is never reached through a proxy.
fn abroad(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = stage.vigil(arguments);
    command
        .env("GITHUB_API_URL", "https://api.github.com")
        .env("GITHUB_GRAPHQL_URL", "https://api.github.com/graphql");
    command
}

#[test]
fn pauses_are_shown() {
    let stage = Stage::with_merged(1);
    stage.run(&["pause"]).ended(0);
    let document = stage.run(&["doctor", "--json"]).json_with(0);
    assert_eq!(document["pauses"][0]["source"], Value::Null);
    finding(&document, "every source", "paused since");
}

#[test]
fn a_home_that_is_not_there_is_told_by_config_check() {
    let stage = Stage::with_merged(1);
    let home = stage.path("nowhere");
    stage.configure(&format!(
        "[source.elsewhere]\nkind = \"vigilante\"\nhome = \"{}\"\n",
        home.display()
    ));
    let said = stage.run(&["config", "check"]).ended(0).out.clone();
    assert!(said.contains("source elsewhere is not there"), "{said}");
    let document = stage.run(&["config", "check", "--json"]).json_with(0);
    assert_eq!(
        document["missing_homes"],
        json!([{ "source": "elsewhere", "home": home.display().to_string() }])
    );
}
